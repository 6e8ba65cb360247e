/* isa_gemm.h: the matrix product for float and double: the numbers that fit it to a register file.
 *
 * A tile of MR x NV vectors must leave registers for NV vectors of B and a broadcast of A: 12 x 2
 * of 32 (AVX-512), 6 x 4 of 32 (NEON), 6 x 2 of 16 (AVX2; SSE2, which has no fused form, spills a
 * little). BLOCK_K rows of a strip stay within 32 KiB of first-level cache; a block of A (TILE_M x
 * BLOCK_K) within 256 KiB of the second. */
#include "backend/cpu/isa.h"
#include "backend/cpu/simd.h"

#if defined(CJ__ISA_AVX512)
#define MR 12
#define NV 2
#elif defined(CJ__ISA_NEON)
#define MR 6
#define NV 4
#else
#define MR 6
#define NV 2
#endif
#define TILE_M 240
#define TILE_N 256
#define BLOCK_K 256      /* the same for all: where sums are cut decides their bits */
#define IN_PLACE_ROWS 64 /* up to here packing B costs more than reading it in place */
#define THIN 2

#define T float
#define V vf
#define LANES VF_LANES
#define FN(name) name##_f32
#define V_SET vf_set
#define V_LOAD vf_load
#define V_STORE vf_store
#define V_LOAD_N vf_load_n
#define V_STORE_N vf_store_n
#define V_FMA vf_fma
#define V_RELU(x) vf_max(x, (vf){0})
#define V_LOAD_COLUMNS vf_load_columns
#include "backend/cpu/gemm_impl.h"

#undef T
#undef V
#undef LANES
#undef FN
#undef V_SET
#undef V_LOAD
#undef V_STORE
#undef V_LOAD_N
#undef V_STORE_N
#undef V_FMA
#undef V_RELU
#undef V_LOAD_COLUMNS
#define T double
#define V vd
#define LANES VD_LANES
#define FN(name) name##_f64
#define V_SET vd_set
#define V_LOAD vd_load
#define V_STORE vd_store
#define V_LOAD_N vd_load_n
#define V_STORE_N vd_store_n
#define V_FMA vd_fma
#define V_RELU vd_relu
/* NaN stays NaN. */
SIMD vd vd_relu(vd x) { return (vd)((vl)x & ~(vl)(x < (vd){0})); }
#include "backend/cpu/gemm_impl.h"
#undef T
#undef V
#undef LANES
#undef FN
