/* isa_neon.c: the kernels for NEON, which every AArch64 processor has: 4 floats in a vector, 32
 * registers. */
#include "backend/cpu/isa.h"

#if defined(__aarch64__)
#define CJ__ISA_NEON
#include "backend/cpu/isa_impl.h"

static bool can_run(void)
{
    return true;
}

ISA_TABLE(neon, can_run);
#endif
