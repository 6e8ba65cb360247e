/* isa.h: the portable vector kernels of the CPU backend as plain functions over spans of memory.
 *
 * The same sources are compiled once for each instruction set; each compilation gives one const
 * table of functions. A program asks for the best table the processor can run:
 *
 *     const cj__isa *isa = cj__isa_best();
 *     isa->unary_f32[CJ__UNARY_EXP](n, x, y);
 *     isa->gemm_f32(team, &(cj__gemm){.m = 32, .n = 10, .k = 128, .a = x, .lda = 128, ...});
 *
 * Nothing here knows of tensors or graphs, allocates, fails, or keeps state. Sizes and pointers are
 * the caller's word. A table gives the same bits on every call and for any number of threads;
 * reductions give the same bits in every table. Tables may differ from each other in the last
 * places of gemm and of the functions with an error bound below. */
#ifndef CAJAL_BACKEND_CPU_ISA_H
#define CAJAL_BACKEND_CPU_ISA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/parallel.h"

/* ---- Elementwise ----------------------------------------------------------------------------- */

/* out[i] = f(a[i]). The number is the largest error of the f32 kernel in units in the last place of
 * the result, over all floats (tests/backend/test_isa_math.c measures it); 0.5 is correctly
 * rounded. Each gives IEEE results for infinities and signed zeros, and a NaN for a NaN. */
#define CJ__UNARY_LIST(X)                                                                          \
    X(NEG, neg, 0.5)                                                                               \
    X(ABS, abs, 0.5)                                                                               \
    X(SIGN, sign, 0.5)             /* -1, +-0, 1 */                                                \
    X(SQUARE, square, 0.5)                                                                         \
    X(SQRT, sqrt, 0.5)                                                                             \
    X(RSQRT, rsqrt, 1.5)           /* 1 / sqrt(a) */                                               \
    X(RECIPROCAL, reciprocal, 0.5) /* 1 / a */                                                     \
    X(EXP, exp, 2.0)                                                                               \
    X(EXPM1, expm1, 3.0)                                                                           \
    X(LOG, log, 2.0)                                                                               \
    X(LOG1P, log1p, 3.0)                                                                           \
    X(SIN, sin, 2.0)                                                                               \
    X(COS, cos, 2.0)                                                                               \
    X(TANH, tanh, 3.0)                                                                             \
    X(SIGMOID, sigmoid, 3.0)       /* 1 / (1 + e^-a) */                                            \
    X(ERF, erf, 3.0)                                                                               \
    X(SOFTPLUS, softplus, 4.0)     /* log(1 + e^a) */                                              \
    X(FLOOR, floor, 0.5)                                                                           \
    X(CEIL, ceil, 0.5)                                                                             \
    X(ROUND, round, 0.5)           /* half to even */                                              \
    X(RELU, relu, 0.5)             /* max(a, 0) */                                                 \
    X(STEP, step, 0.5)             /* a > 0: 1, else 0 (0 for NaN): relu's derivative */

/* out[i] = f(a[i], b[i]). */
#define CJ__BINARY_LIST(X)                                                                         \
    X(ADD, add, 0.5)                                                                               \
    X(SUB, sub, 0.5)                                                                               \
    X(MUL, mul, 0.5)                                                                               \
    X(DIV, div, 0.5)                                                                               \
    X(POW, pow, 1.0)                                                                               \
    X(MAX, max, 0.5) /* NaN when either is */                                                      \
    X(MIN, min, 0.5)                                                                               \
    X(RELU_GRAD, relu_grad, 0.5) /* b > 0: a, else 0 */

/* out[i] = a[i] ? b[i] as 0 or 1. A comparison with NaN is false, but for NE. */
#define CJ__COMPARE_LIST(X) \
    X(EQ, eq, ==) X(NE, ne, !=) X(LT, lt, <) X(LE, le, <=) X(GT, gt, >) X(GE, ge, >=)

/* Over bytes that are 0 or not 0; the result is 0 or 1. NOT ignores b. */
#define CJ__LOGICAL_LIST(X) X(AND, and) X(OR, or) X(XOR, xor) X(NOT, not)

/* out[i] = several of these in one sweep, with the same roundings (ADAM's quotient has an error of
 * up to 1 ulp): of spans a to e and numbers s, t, u. The form in prefix order (tile_idioms.c), how
 * many spans and numbers, and the expression. */
#define CJ__IDIOM_LIST(X) \
    X(BLEND_SQUARES, blend_squares, "+*as*qbt", 2, 2, a *s + b * b * t) \
    X(BLEND, blend, "+*as*bt", 2, 2, a *s + b * t) \
    X(MADD_TWO, madd_two, "++*aB*cDE", 5, 0, a *b + c * d + e) \
    X(MADD_ADD_RELU, madd_add_relu, "l++*aBCd", 4, 0, math_relu(a *b + c + d)) \
    X(MADD_MASK, madd_mask, "?>+*bCD0a0", 4, 0, math_relu_grad(a, b *c + d)) \
    X(MADD_RELU, madd_relu, "l+*aBC", 3, 0, math_relu(a *b + c)) \
    X(MADD, madd, "+*aBC", 3, 0, a *b + c) \
    X(CENTRED, centred, "*a-bC", 3, 0, a *(b - c)) \
    X(GELU_GRAD, gelu_grad, "*a+b*c*x*qcst", 3, 2, a *(b + c * (math_exp(c * c * s) * t))) \
    X(NORMAL_CDF, normal_cdf, "*+f*astu", 1, 3, (math_erf(a * s) + t) * u) \
    X(ADAM, adam, "-a/*sb+rct", 3, 2, a - math_over_root(s * b, c, t)) \
    X(SCALE_ADD, scale_add, "+*asb", 2, 1, a *s + b) \
    X(SCALE_SUB, scale_sub, "-a*bs", 2, 1, a - b * s)

#define CJ__ENUM_UNARY(name, word, ulp) CJ__UNARY_##name,
#define CJ__ENUM_BINARY(name, word, ulp) CJ__BINARY_##name,
#define CJ__ENUM_COMPARE(name, word, op) CJ__COMPARE_##name,
#define CJ__ENUM_LOGICAL(name, word) CJ__LOGICAL_##name,
#define CJ__ENUM_IDIOM(name, word, form, spans, numbers, expression) CJ__IDIOM_##name,
typedef enum cj__unary { CJ__UNARY_LIST(CJ__ENUM_UNARY) CJ__UNARY_COUNT } cj__unary;
typedef enum cj__binary { CJ__BINARY_LIST(CJ__ENUM_BINARY) CJ__BINARY_COUNT } cj__binary;
typedef enum cj__compare { CJ__COMPARE_LIST(CJ__ENUM_COMPARE) CJ__COMPARE_COUNT } cj__compare;
typedef enum cj__logical { CJ__LOGICAL_LIST(CJ__ENUM_LOGICAL) CJ__LOGICAL_COUNT } cj__logical;
typedef enum cj__idiom { CJ__IDIOM_LIST(CJ__ENUM_IDIOM) CJ__IDIOM_COUNT } cj__idiom;
#undef CJ__ENUM_UNARY
#undef CJ__ENUM_BINARY
#undef CJ__ENUM_COMPARE
#undef CJ__ENUM_LOGICAL
#undef CJ__ENUM_IDIOM

/* Which operand is one value for the whole span. The scalar is read before anything is written. */
enum { CJ__SPAN_A_SCALAR = 1, CJ__SPAN_B_SCALAR = 2, CJ__SPAN_C_SCALAR = 4 };

/* out may be one of the inputs of the same element size; other overlaps are not allowed. */
typedef void (*cj__unary_f32_fn)(size_t n, const float *a, float *out);
typedef void (*cj__unary_f64_fn)(size_t n, const double *a, double *out);
typedef void (*cj__binary_f32_fn)(size_t n, const float *a, const float *b, float *out,
                                  unsigned flags);
typedef void (*cj__binary_f64_fn)(size_t n, const double *a, const double *b, double *out,
                                  unsigned flags);
typedef void (*cj__compare_f32_fn)(size_t n, const float *a, const float *b, uint8_t *out,
                                   unsigned flags);
typedef void (*cj__compare_f64_fn)(size_t n, const double *a, const double *b, uint8_t *out,
                                   unsigned flags);
typedef void (*cj__logical_fn)(size_t n, const uint8_t *a, const uint8_t *b, uint8_t *out,
                               unsigned flags);
/* in: the spans, then the numbers. out may be one of the spans. */
typedef void (*cj__idiom_f32_fn)(size_t n, void *const *in, float *out);

/* ---- Matrix product -------------------------------------------------------------------------- */

/* C[m,n] = act(alpha op(A)[m,k] op(B)[k,n] + beta C + bias[n]), row-major; ld is the distance in
 * elements between stored rows. op(X) is X, or its transpose when the flag is set. With beta 0, C
 * is not read. A, B, C, bias are float in gemm_f32, double in gemm_f64. C overlaps no input. Each
 * element is the sum over k in order (in fixed blocks), so a row of C depends neither on m nor on
 * the threads. */
typedef struct cj__gemm {
    int64_t m, n, k;
    bool transpose_a, transpose_b;
    double alpha, beta;
    const void *a;
    int64_t lda;
    const void *b;
    int64_t ldb;
    void *c;
    int64_t ldc;
    const void *bias; /* [n], or NULL */
    bool relu;        /* act(x) = max(x, 0) */
    void *workspace;  /* of as many bytes as gemm_workspace_f32 says, or NULL: slower, same bits */
} cj__gemm;

/* ---- Reductions ------------------------------------------------------------------------------ */

/* Of a span of floats. Sums run in CJ__LANES lanes over blocks of CJ__BLOCK elements, each block is
 * folded by a tree in float and added to a double: the same bits from every table. MAX and MIN are
 * NaN when any is; of nothing they are -inf and inf, SUM is 0, MEAN NaN. */
enum { CJ__LANES = 32, CJ__BLOCK = 1024 };
#define CJ__REDUCE_LIST(X) \
    X(SUM, sum) X(MEAN, mean) X(MAX, max) X(MIN, min) X(SUM_SQUARES, sum_squares)
#define CJ__ENUM_REDUCE(name, word) CJ__REDUCE_##name,
typedef enum cj__reduce { CJ__REDUCE_LIST(CJ__ENUM_REDUCE) CJ__REDUCE_COUNT } cj__reduce;
#undef CJ__ENUM_REDUCE
typedef float (*cj__reduce_f32_fn)(size_t n, const float *a);
typedef double (*cj__reduce_f64_fn)(size_t n, const double *a);
typedef void (*cj__columns_f32_fn)(size_t rows, size_t cols, const float *a, float *acc);

/* ---- Conversions ----------------------------------------------------------------------------- */

/* Floats to integers truncate and saturate, NaN gives 0; to bool (a byte 0 or 1): x != 0; to 16
 * bits they are rounded to nearest even. */
#define CJ__CAST_LIST(X)                                                                           \
    X(F32_F64, float, double) X(F64_F32, double, float)                                            \
    X(F32_U8, float, uint8_t) X(F32_I8, float, int8_t) X(F32_I32, float, int32_t)                  \
    X(F32_I64, float, int64_t) X(F32_BOOL, float, bool)                                            \
    X(U8_F32, uint8_t, float) X(I8_F32, int8_t, float) X(I32_F32, int32_t, float)                  \
    X(I64_F32, int64_t, float) X(F32_BF16, float, uint16_t) X(BF16_F32, uint16_t, float)           \
    X(F32_F16, float, uint16_t) X(F16_F32, uint16_t, float)
#define CJ__ENUM_CAST(name, from, to) CJ__CAST_##name,
typedef enum cj__cast { CJ__CAST_LIST(CJ__ENUM_CAST) CJ__CAST_COUNT } cj__cast;
#undef CJ__ENUM_CAST
/* in and out do not overlap. A bool is cast to float as U8_F32. */
typedef void (*cj__cast_fn)(size_t n, const void *in, void *out);

/* ---- Recurrence ------------------------------------------------------------------------------ */

/* One step of rows [0, rows). Matrices are row-major, strides count floats; a row that is not
 * active (active NULL: all are) keeps its state and gives 0. Packed layouts are in isa_recurrent.h.
 */
typedef enum cj__recurrent_cell {
    CJ__RECURRENT_RNN, /* tanh */
    CJ__RECURRENT_LSTM,
    CJ__RECURRENT_GRU, /* reset after */
    CJ__RECURRENT_RELU /* rnn */
} cj__recurrent_cell;

enum { CJ__RECURRENT_FEW = 2 };

typedef struct cj__recurrent_step {
    cj__recurrent_cell cell;
    size_t rows, features, units;
    const float *input; /* [rows, features + units]: x, h before */
    size_t input_stride;
    float *next; /* h after, [rows, units]; not in input */
    size_t next_stride;
    float *c;    /* [rows, units] */
    const float *packed, *bias;
    const float *made; /* NULL, or what x adds to the sums: [rows, gates], of few rows */
    size_t made_stride;
    const uint8_t *active;
    float *y, *saved; /* saved: NULL, or [rows, parts * units] */
    size_t y_stride, saved_stride;
} cj__recurrent_step;

typedef struct cj__recurrent_back {
    cj__recurrent_cell cell;
    size_t rows, units, gates;                      /* gates: units times their number */
    const float *const *saved, *const *before_c, *const *before_h; /* by row; rnn: saved is y */
    const float *dy;                                /* NULL: none */
    const uint8_t *active;
    float *dh, *dc;                    /* [rows, units] of the step after, then before */
    float *dgates, *dinner, *previous; /* results; dinner may be NULL, and is as wide */
    float *local;                                   /* [rows, gates] */
    size_t dy_stride, dgates_stride, previous_stride, local_stride;
    /* How far the next step's saved values and results are from this one's. */
    ptrdiff_t saved_ahead, dgates_ahead, previous_ahead;
    const float *packed;                            /* R [gates, units] in strips of 4 vectors */
} cj__recurrent_back;

/* ---- Pooling --------------------------------------------------------------------------------- */

/* Results that read alike: isa_pool.h. Steps count elements. */
typedef struct cj__pool_span {
    int64_t count, lanes;             /* results, and numbers of each */
    int64_t in_step, out_step;        /* from result to result */
    ptrdiff_t in_lane, out_lane;      /* from number to number */
    int places;
    int phases;                       /* pool_spread: results side by side, out_phase apart, of one
                                         place each; 1: none */
    int64_t out_phase;
    bool stream; /* those past the caches, if lanes fill vectors; stream_end comes after the last */
    const int64_t *offset;            /* by place (or phase), from the first result's */
    const uint8_t *place;             /* its number in the window */
    const float *weight;              /* pool_sum; NULL: 1 */
    float divisor;                    /* pool_sum */
} cj__pool_span;

/* ---- Depthwise convolution ------------------------------------------------------------------- */

/* `count` pixels in a row, steps apart in floats: y = act(sum over places of x[offset] w + y if
 * `add`
 * + bias), channel by channel. */
typedef struct cj__depth {
    size_t channels, count;
    int places;
    ptrdiff_t in_step, out_step;
    const ptrdiff_t *offset; /* by place */
    const float *const *w;   /* by place: [channels] */
    const float *bias;       /* [channels], or NULL */
    bool add, relu;
} cj__depth;

/* ---- Winograd's convolution ------------------------------------------------------------------ */

/* Transforms of F(4x4, 3x3), see isa_winograd.h: of squares of n x n vectors to m x m. */
#define CJ__WINOGRAD_LIST(X)                                                  \
    X(SOURCE, source)   /* 6 to 6: of an image */                             \
    X(RESULT, result)   /* 6 to 4: results from products */                   \
    X(SPREAD, spread)   /* 4 to 6: gradients of results, RESULT transposed */ \
    X(WEIGHTS, weights) /* 3 to 6 */                                          \
    X(SUMS, sums)       /* 6 to 3: gradients of weights, WEIGHTS transposed */
#define CJ__ENUM_WINOGRAD(name, word) CJ__WINOGRAD_##name,
typedef enum cj__winograd { CJ__WINOGRAD_LIST(CJ__ENUM_WINOGRAD) CJ__WINOGRAD_COUNT } cj__winograd;
#undef CJ__ENUM_WINOGRAD

/* What follows: act(v + bias + addend), the addend lying in `addend` as v does in `result`. */
typedef struct cj__winograd_end {
    const float *bias;            /* [channels], or NULL */
    const float *addend, *result; /* addend may be NULL, or result */
    bool relu;
} cj__winograd_end;

/* in, out: a pointer to [channels] for each place, row by row. NULL: zeros; not wanted. */
typedef void (*cj__winograd_fn)(size_t channels, const float *const *in, float *const *out,
                                const cj__winograd_end *end);

/* ---- The table ------------------------------------------------------------------------------- */

enum { CJ__FFT_RADIX_MAX = 13 };

typedef struct cj__isa {
    const char *name;        /* "avx512", "avx2", "neon", "generic" */
    bool (*supported)(void); /* can this processor and system run it */
    int lanes;               /* floats in a vector */

    void (*gemm_f32)(cj__team *team, const cj__gemm *g);
    void (*gemm_f64)(cj__team *team, const cj__gemm *g);
    size_t (*gemm_workspace_f32)(const cj__gemm *g);
    /* This thread's product with a packed B: strips of `gemm_strip` columns, one after another,
     * each [ldb, gemm_strip] with zeros beyond column n, of which the first k rows count. alpha is
     * 1, k > 0; b is not transposed. */
    void (*gemm_packed_f32)(const cj__gemm *g);
    int gemm_strip;

    cj__unary_f32_fn unary_f32[CJ__UNARY_COUNT];
    cj__unary_f64_fn unary_f64[CJ__UNARY_COUNT];
    cj__binary_f32_fn binary_f32[CJ__BINARY_COUNT];
    cj__binary_f64_fn binary_f64[CJ__BINARY_COUNT];
    cj__compare_f32_fn compare_f32[CJ__COMPARE_COUNT];
    cj__compare_f64_fn compare_f64[CJ__COMPARE_COUNT];
    cj__logical_fn logical[CJ__LOGICAL_COUNT];
    cj__idiom_f32_fn idiom_f32[CJ__IDIOM_COUNT];
    /* out[i] = c[i] ? a[i] : b[i] over elements of 1, 2, 4 or 8 bytes, all three flags allowed. */
    void (*where)(size_t size, size_t n, const uint8_t *c, const void *a, const void *b, void *out,
                  unsigned flags);
    cj__cast_fn cast[CJ__CAST_COUNT];

    cj__reduce_f32_fn reduce_f32[CJ__REDUCE_COUNT];
    cj__reduce_f64_fn reduce_f64[CJ__REDUCE_COUNT];
    /* The first largest (or smallest), or the first NaN; n > 0. */
    int64_t (*argmax_f32)(size_t n, const float *a);
    int64_t (*argmin_f32)(size_t n, const float *a);
    /* out[j] = the sum of column j of `rows` rows, `stride` floats apart: the gradient of a bias.
     */
    void (*column_sums_f32)(size_t rows, size_t cols, size_t stride, const float *a, float *out);
    /* acc[j] = acc[j] + (or the larger, the smaller of it and) column j of `rows` rows of `cols`
     * floats, which follow each other. A row at a time, so the order is that of the rows. */
    cj__columns_f32_fn columns_f32[CJ__REDUCE_COUNT]; /* SUM, MAX, MIN; others are NULL */
    /* Of the same rows: sum[j] += d and squares[j] += d^2 with d = column j - centre[j]. */
    void (*deviations_f32)(size_t rows, size_t cols, const float *a, const float *centre,
                           float *sum, float *squares);
    /* One row; n > 0; out may be a. The largest is taken off first, so finite rows do not overflow.
     */
    void (*softmax_f32)(size_t n, const float *a, float *out);
    void (*log_softmax_f32)(size_t n, const float *a, float *out);
    float (*logsumexp_f32)(size_t n, const float *a);
    /* logsumexp(a) - a[label], without losing digits to a common offset. */
    float (*crossentropy_f32)(size_t n, const float *a, size_t label);
    /* out[i] = e^(scale a[i] - shift), and their sum; out may be a. */
    double (*exp_sum_f32)(size_t n, const float *a, float scale, float shift, float *out);

    /* The largest of each result's places (1 at least; the first of equals, NaN before all) and the
     * number of that place; index may be NULL. out_lane is 1. */
    void (*pool_max_f32)(const cj__pool_span *s, const float *x, float *y, uint8_t *index);
    /* The sum of those places whose number the index has there, 0 of none. in_lane is 1. */
    void (*pool_spread_f32)(const cj__pool_span *s, const float *dy, const uint8_t *index,
                            float *dx);
    /* The weighted sum of each result's places, divided. */
    void (*pool_sum_f32)(const cj__pool_span *s, const float *x, float *y);

    /* One pass of a Fourier transform of radix * m numbers, each `stride` floats: isa_fft.h. radix:
     * 2, 3, 4, 5, 7, 11 or 13. roots: pairs (cos, sin) of e^(-2 pi i t / radix) for t < radix, then
     * for each p < m those of e^(-2 pi i p u / (radix m)), u = 1 .. radix - 1. x and y do not
     * overlap. */
    void (*fft_pass_f32)(int radix, size_t m, size_t stride, const float *roots, const float *xr,
                         const float *xi, float *yr, float *yi);

    void (*depth_f32)(const cj__depth *d, const float *x, float *y);
    cj__winograd_fn winograd_f32[CJ__WINOGRAD_COUNT];
    /* sums[c] += the sum over t of x[t x_step + c] y[t y_step + c]. */
    void (*depth_dot_f32)(size_t channels, size_t count, const float *x, ptrdiff_t x_step,
                          const float *y, ptrdiff_t y_step, float *sums);

    /* out = a, written past the caches where the processor can: for more than they hold. Others may
     * read it after stream_end. */
    void (*stream)(size_t bytes, const void *a, void *out);
    void (*stream_end)(void);
    /* out[j * out_stride + i] = a[i * stride + j] over elements of 1, 2, 4 or 8 bytes; strides in
     * elements. */
    void (*transpose)(size_t size, size_t rows, size_t cols, const void *a, size_t stride,
                      void *out, size_t out_stride);
    /* n elements of 1, 2, 4, 8 or any number of bytes, `stride` bytes apart (negative, 0 allowed),
     * made contiguous. */
    void (*gather)(size_t size, size_t n, const void *a, ptrdiff_t stride, void *out);
    /* The reverse: contiguous elements to places `stride` bytes apart. */
    void (*scatter)(size_t size, size_t n, const void *a, void *out, ptrdiff_t stride);

    void (*recurrent_step)(const cj__recurrent_step *s);
    void (*recurrent_step_back)(const cj__recurrent_back *s);

    /* The processor's limit: `rounds` rounds of CJ__FMA_CHAINS vector multiply-adds that do not
     * wait for each other, and nothing else. The result depends on all of them. */
    float (*fma_chains)(int64_t rounds);
} cj__isa;
enum { CJ__FMA_CHAINS = 12 };

/* The compiled-in tables, best first; NULL past the last. Some may not run here. */
const cj__isa *cj__isa_at(int i);
/* The best table this processor runs; never NULL. */
const cj__isa *cj__isa_best(void);
/* The table of that name if it is compiled in and runs here, else NULL. */
const cj__isa *cj__isa_find(const char *name);

#endif
