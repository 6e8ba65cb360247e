/* isa_impl.h: all kernels and their table, for the instruction set its includer names.
 *
 * isa_avx512.c, isa_avx2.c, isa_neon.c and isa_generic.c include it and are compiled with these
 * flags:
 *
 *     all      -O3, and -fno-math-errno -fno-trapping-math for tighter loops
 *     avx512   -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma
 *     avx2     -mavx2 -mfma
 *
 * Everything here is static: two tables share no function, so no instruction of one set can end up
 * in the code of another. Products and sums are contracted only where vf_fma says so, whatever the
 * flags: the order and rounding of the reductions is a promise. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC optimize("fp-contract=off")
#endif

#include "backend/cpu/isa_gemm.h"
#include "backend/cpu/isa_span.h"
#include "backend/cpu/isa_reduce.h"
#include "backend/cpu/isa_move.h"
#include "backend/cpu/isa_fft.h"
#include "backend/cpu/isa_pool.h"
#include "backend/cpu/isa_conv.h"
#include "backend/cpu/isa_winograd.h"
#include "backend/cpu/isa_recurrent.h"

static float fma_chains(int64_t rounds)
{
    vf sum[CJ__FMA_CHAINS], shrink = vf_set(0.5f), grow = vf_set(1.0f);
    for (int k = 0; k < CJ__FMA_CHAINS; k++) sum[k] = vf_set((float)k);
    for (int64_t i = 0; i < rounds; i++) {
        SIMD_UNROLL
        for (int k = 0; k < CJ__FMA_CHAINS; k++) sum[k] = vf_fma(sum[k], shrink, grow);
    }
    for (int k = 1; k < CJ__FMA_CHAINS; k++) sum[0] = sum[0] + sum[k];
    return sum[0][0];
}

#define ROW_UNARY_F32(NAME, name, ulp) [CJ__UNARY_##NAME] = unary_f32_##name,
#define ROW_UNARY_F64(NAME, name, ulp) [CJ__UNARY_##NAME] = unary_f64_##name,
#define ROW_BINARY_F32(NAME, name, ulp) [CJ__BINARY_##NAME] = binary_f32_##name,
#define ROW_BINARY_F64(NAME, name, ulp) [CJ__BINARY_##NAME] = binary_f64_##name,
#define ROW_COMPARE_F32(NAME, name, op) [CJ__COMPARE_##NAME] = compare_f32_##name,
#define ROW_COMPARE_F64(NAME, name, op) [CJ__COMPARE_##NAME] = compare_f64_##name,
#define ROW_LOGICAL(NAME, name) [CJ__LOGICAL_##NAME] = logical_##name,
#define ROW_IDIOM(NAME, name, form, spans, numbers, expression) [CJ__IDIOM_##NAME] = idiom_##name,
#define ROW_CAST(NAME, from, to) [CJ__CAST_##NAME] = cast_##NAME,
#define ROW_WINOGRAD(NAME, name) [CJ__WINOGRAD_##NAME] = winograd_##name##_f32,
#define ROW_REDUCE_F32(NAME, name) [CJ__REDUCE_##NAME] = reduce_f32_##name,
#define ROW_REDUCE_F64(NAME, name) [CJ__REDUCE_##NAME] = reduce_f64_##name,

#define ISA_TABLE(isa, can_run) \
    extern const cj__isa cj__isa_##isa; \
    const cj__isa cj__isa_##isa = { \
        .name = #isa, \
        .supported = can_run, \
        .lanes = VF_LANES, \
        .gemm_f32 = gemm_f32, \
        .gemm_f64 = gemm_f64, \
        .gemm_workspace_f32 = gemm_workspace_f32, \
        .gemm_packed_f32 = gemm_packed_f32, \
        .gemm_strip = nr_f32, \
        .unary_f32 = {CJ__UNARY_LIST(ROW_UNARY_F32)}, \
        .unary_f64 = {CJ__UNARY_LIST(ROW_UNARY_F64)}, \
        .binary_f32 = {CJ__BINARY_LIST(ROW_BINARY_F32)}, \
        .binary_f64 = {CJ__BINARY_LIST(ROW_BINARY_F64)}, \
        .compare_f32 = {CJ__COMPARE_LIST(ROW_COMPARE_F32)}, \
        .compare_f64 = {CJ__COMPARE_LIST(ROW_COMPARE_F64)}, \
        .logical = {CJ__LOGICAL_LIST(ROW_LOGICAL)}, \
        .idiom_f32 = {CJ__IDIOM_LIST(ROW_IDIOM)}, \
        .where = where_any, \
        .cast = {CJ__CAST_LIST(ROW_CAST)}, \
        .reduce_f32 = {CJ__REDUCE_LIST(ROW_REDUCE_F32)}, \
        .reduce_f64 = {CJ__REDUCE_LIST(ROW_REDUCE_F64)}, \
        .argmax_f32 = argmax_f32, \
        .argmin_f32 = argmin_f32, \
        .column_sums_f32 = column_sums_f32, \
        .columns_f32 = {[CJ__REDUCE_SUM] = columns_f32_sum, \
                        [CJ__REDUCE_MAX] = columns_f32_max, \
                        [CJ__REDUCE_MIN] = columns_f32_min}, \
        .deviations_f32 = deviations_f32, \
        .softmax_f32 = softmax_f32, \
        .log_softmax_f32 = log_softmax_f32, \
        .logsumexp_f32 = logsumexp_f32, \
        .crossentropy_f32 = crossentropy_f32, \
        .exp_sum_f32 = exp_sum_f32, \
        .fft_pass_f32 = fft_pass_f32, \
        .pool_max_f32 = pool_max_f32, \
        .pool_spread_f32 = pool_spread_f32, \
        .pool_sum_f32 = pool_sum_f32, \
        .depth_f32 = depth_f32, \
        .depth_dot_f32 = depth_dot_f32, \
        .winograd_f32 = {CJ__WINOGRAD_LIST(ROW_WINOGRAD)}, \
        .stream = stream_any, \
        .stream_end = stream_end, \
        .transpose = transpose_any, \
        .gather = gather_any, \
        .scatter = scatter_any, \
        .recurrent_step = recurrent_step, \
        .recurrent_step_back = recurrent_step_back, \
        .fma_chains = fma_chains, \
    }
