/* isa_winograd.h: the five transforms of winograd.c, vectors along the channels.
 *
 * Each is L in L^T of a square of vectors, first down its columns, then along its rows. The points
 * are 0, +-P, +-Q and infinity: with P = 5/8 and Q = 3/2 all numbers but those of the weights are
 * exact, and what is added is of like size, so that results are twice as far from exact ones as
 * those of a plain sum of products (with 1 and 2, which are more common, four times). */
#include "backend/cpu/isa.h"
#include "backend/cpu/simd.h"

#if defined(CJ_CORE) /* which is to be small */
#define WINO_UNROLL
#else
#define WINO_UNROLL SIMD_UNROLL
#endif

#define WINO_P 0.625f
#define WINO_Q 1.5f
#define WINO_PP (WINO_P * WINO_P)
#define WINO_QQ (WINO_Q * WINO_Q)

/* The polynomials that are zero at all points but one, of the source's 6. */
SIMD void winograd_source(const vf *d, vf *t)
{
    const vf pp = vf_set(WINO_PP), qq = vf_set(WINO_QQ), both = vf_set(WINO_PP + WINO_QQ);
    const vf product = vf_set(WINO_PP * WINO_QQ), p = vf_set(WINO_P), q = vf_set(WINO_Q);
    const vf even_p = d[4] - qq * d[2], odd_p = p * (d[3] - qq * d[1]);
    const vf even_q = d[4] - pp * d[2], odd_q = q * (d[3] - pp * d[1]);
    t[0] = vf_fma(product, d[0], d[4] - both * d[2]);
    t[1] = even_p + odd_p;
    t[2] = even_p - odd_p;
    t[3] = even_q + odd_q;
    t[4] = even_q - odd_q;
    t[5] = vf_fma(product, d[1], d[5] - both * d[3]);
}

/* Powers of the points: 4 results. */
SIMD void winograd_result(const vf *m, vf *y)
{
    const vf even_p = m[1] + m[2], odd_p = vf_set(WINO_P) * (m[1] - m[2]);
    const vf even_q = m[3] + m[4], odd_q = vf_set(WINO_Q) * (m[3] - m[4]);
    y[0] = m[0] + even_p + even_q;
    y[1] = odd_p + odd_q;
    y[2] = vf_fma(vf_set(WINO_PP), even_p, vf_set(WINO_QQ) * even_q);
    y[3] = vf_fma(vf_set(WINO_PP), odd_p, vf_fma(vf_set(WINO_QQ), odd_q, m[5]));
}

/* The transpose of winograd_result: 4 gradients of results to 6. */
SIMD void winograd_spread(const vf *y, vf *m)
{
    const vf even_p = vf_fma(vf_set(WINO_PP), y[2], y[0]),
             odd_p = vf_set(WINO_P) * vf_fma(vf_set(WINO_PP), y[3], y[1]);
    const vf even_q = vf_fma(vf_set(WINO_QQ), y[2], y[0]),
             odd_q = vf_set(WINO_Q) * vf_fma(vf_set(WINO_QQ), y[3], y[1]);
    m[0] = y[0];
    m[1] = even_p + odd_p;
    m[2] = even_p - odd_p;
    m[3] = even_q + odd_q;
    m[4] = even_q - odd_q;
    m[5] = y[3];
}

/* Powers of the points over what the polynomials are there: 3 weights to 6. */
#define WINO_N0 (1 / (WINO_PP * WINO_QQ))
#define WINO_NP (1 / (2 * WINO_PP * (WINO_PP - WINO_QQ)))
#define WINO_NQ (1 / (2 * WINO_QQ * (WINO_QQ - WINO_PP)))

SIMD void winograd_weights(const vf *g, vf *u)
{
    const vf even_p = vf_set(WINO_NP) * vf_fma(vf_set(WINO_PP), g[2], g[0]),
             odd_p = vf_set(WINO_NP * WINO_P) * g[1];
    const vf even_q = vf_set(WINO_NQ) * vf_fma(vf_set(WINO_QQ), g[2], g[0]),
             odd_q = vf_set(WINO_NQ * WINO_Q) * g[1];
    u[0] = vf_set(WINO_N0) * g[0];
    u[1] = even_p + odd_p;
    u[2] = even_p - odd_p;
    u[3] = even_q + odd_q;
    u[4] = even_q - odd_q;
    u[5] = g[2];
}

/* The transpose of winograd_weights. */
SIMD void winograd_sums(const vf *s, vf *g)
{
    const vf even_p = vf_set(WINO_NP) * (s[1] + s[2]), even_q = vf_set(WINO_NQ) * (s[3] + s[4]);
    g[0] = vf_fma(vf_set(WINO_N0), s[0], even_p + even_q);
    g[1] = vf_fma(vf_set(WINO_NP * WINO_P), s[1] - s[2], vf_set(WINO_NQ * WINO_Q) * (s[3] - s[4]));
    g[2] = vf_fma(vf_set(WINO_PP), even_p, vf_fma(vf_set(WINO_QQ), even_q, s[5]));
}

SIMD void winograd_step(cj__winograd which, const vf *in, vf *out)
{
    switch (which) {
#define CASE(NAME, name) \
    case CJ__WINOGRAD_##NAME: winograd_##name(in, out); break;
        CJ__WINOGRAD_LIST(CASE)
#undef CASE
    default: break;
    }
}

/* Whole vectors of a square of `from` rows to one of `to`; the first three are constants. */
SIMD void winograd_square(cj__winograd which, int from, int to, size_t c, const float *const *in,
                          float *const *out, const cj__winograd_end *end)
{
    vf half[6][6], column[6], row[6];
    SIMD_UNROLL
    for (int j = 0; j < from; j++) {
        SIMD_UNROLL
        for (int i = 0; i < from; i++) {
            const float *x = in[i * from + j];
            column[i] = x ? vf_load(x + c) : (vf){0};
        }
        winograd_step(which, column, row);
        SIMD_UNROLL
        for (int i = 0; i < to; i++) half[i][j] = row[i];
    }
    const vf bias = end && end->bias ? vf_load(end->bias + c) : (vf){0};
    WINO_UNROLL
    for (int i = 0; i < to; i++) {
        winograd_step(which, half[i], row);
        SIMD_UNROLL
        for (int j = 0; j < to; j++) {
            float *y = out[i * to + j];
            if (!y) continue;
            vf v = row[j];
            if (end) {
                v += bias;
                if (end->addend) v += vf_load(end->addend + (y - end->result) + c);
                if (end->relu) v = vf_max(v, (vf){0});
            }
            vf_store(y + c, v);
            __builtin_prefetch(y + c + 2 * VF_LANES, 1); /* where this place goes on: a new line */
        }
    }
}

static float winograd_end(float v, const cj__winograd_end *end, const float *y, size_t c)
{
    if (end->bias) v += end->bias[c];
    if (end->addend) v += end->addend[(y - end->result) + (ptrdiff_t)c];
    return end->relu && v < 0 ? 0 : v;
}

/* The last channels, fewer than a vector, by way of whole vectors. */
static void winograd_rest(cj__winograd_fn whole, int from, int to, size_t c, size_t n,
                          const float *const *in, float *const *out, const cj__winograd_end *end)
{
    float x[36][VF_LANES], y[36][VF_LANES];
    const float *px[36];
    float *py[36];
    memset(x, 0, sizeof x);
    for (int i = 0; i < from * from; i++) {
        px[i] = in[i] ? x[i] : NULL;
        if (in[i]) memcpy(x[i], in[i] + c, n * sizeof(float));
    }
    for (int i = 0; i < to * to; i++) py[i] = y[i];
    whole(VF_LANES, px, py, NULL);
    for (int i = 0; i < to * to; i++)
        for (size_t k = 0; out[i] && k < n; k++)
            out[i][c + k] = end ? winograd_end(y[i][k], end, out[i], c + k) : y[i][k];
}

#define WINOGRAD(NAME, name, from, to) \
    static void winograd_##name##_f32(size_t channels, const float *const *in, float *const *out, \
                                      const cj__winograd_end *end) \
    { \
        size_t c = 0; \
        for (; c + VF_LANES <= channels; c += VF_LANES) \
            winograd_square(CJ__WINOGRAD_##NAME, from, to, c, in, out, end); \
        if (c < channels) \
            winograd_rest(winograd_##name##_f32, from, to, c, channels - c, in, out, end); \
    }
WINOGRAD(SOURCE, source, 6, 6)
WINOGRAD(RESULT, result, 6, 4)
WINOGRAD(SPREAD, spread, 4, 6)
WINOGRAD(WEIGHTS, weights, 3, 6)
WINOGRAD(SUMS, sums, 6, 3)
