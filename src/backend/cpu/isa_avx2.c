/* isa_avx2.c: the kernels for AVX2 with FMA: 8 floats in a vector, 16 registers. */
#include "backend/cpu/isa.h"

#if defined(__x86_64__)
#define CJ__ISA_AVX2
#include "backend/cpu/isa_impl.h"

static bool can_run(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

ISA_TABLE(avx2, can_run);
#endif
