/* isa_generic.c: the kernels in the compiler's vector extensions alone, for any processor; SSE2 on
 * x86-64. */
#include "backend/cpu/isa.h"

#define CJ__ISA_GENERIC
#include "backend/cpu/isa_impl.h"

static bool can_run(void)
{
    return true;
}

ISA_TABLE(generic, can_run);
