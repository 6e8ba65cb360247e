/* isa_avx512.c: the kernels for AVX-512 (F, DQ, BW, VL): 16 floats in a vector, 32 registers,
 * masks. */
#include "backend/cpu/isa.h"

#if defined(__x86_64__)
#define CJ__ISA_AVX512
#include "backend/cpu/isa_impl.h"

static bool can_run(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

ISA_TABLE(avx512, can_run);
#endif
