/* isa_reduce.h: sums in an order that every table shares, and what is built on them.
 *
 * A span is cut in blocks of CJ__BLOCK. In a block element i goes to lane i % CJ__LANES, whatever
 * the width of the vectors; the lanes are folded by halves (16 + 16, 8 + 8, ...) in float; blocks
 * are added up in double. Missing elements of the last row of lanes add zero. */
#include "backend/cpu/isa.h"
#include "backend/cpu/isa_math.h"

enum { WAYS = CJ__LANES / VF_LANES };

/* What is summed: x, x^2 or e^(scale x - shift), the last also stored when `out` is not NULL. */
typedef enum term { TERM_SELF, TERM_SQUARE, TERM_EXP } term;

SIMD vf term_of(vf x, term kind, vf scale, vf shift)
{
    return kind == TERM_SQUARE ? x * x : kind == TERM_EXP ? math_exp(x * scale - shift) : x;
}

SIMD float fold_lanes(vf acc[WAYS])
{
    SIMD_UNROLL
    for (int half = WAYS / 2; half > 0; half /= 2) {
        SIMD_UNROLL
        for (int v = 0; v < half; v++) acc[v] += acc[v + half];
    }
    return vf_fold(acc[0]);
}

SIMD double sum_terms(size_t n, const float *a, float *out, term kind, float factor, float by)
{
    const vf scale = vf_set(factor), shift = vf_set(by);
    double total = 0;
    for (size_t begin = 0; begin < n; begin += CJ__BLOCK) {
        const size_t end = n - begin < CJ__BLOCK ? n : begin + CJ__BLOCK;
        vf acc[WAYS];
        SIMD_UNROLL
        for (int v = 0; v < WAYS; v++) acc[v] = (vf){0};
        size_t i = begin;
        for (; i + CJ__LANES <= end; i += CJ__LANES) {
            SIMD_UNROLL
            for (int v = 0; v < WAYS; v++) {
                vf x = term_of(vf_load(a + i + v * VF_LANES), kind, scale, shift);
                if (out) vf_store(out + i + v * VF_LANES, x);
                acc[v] += x;
            }
        }
        for (int v = 0; i < end; i += VF_LANES, v++) {
            float lanes[VF_LANES] = {0};
            const size_t some = end - i < VF_LANES ? end - i : VF_LANES;
            vf_store_n(lanes, term_of(vf_load_n(a + i, some), kind, scale, shift), some);
            if (out) memcpy(out + i, lanes, some * sizeof(float));
            acc[v] += vf_load(lanes);
        }
        total += fold_lanes(acc);
    }
    return total;
}

static float reduce_f32_sum(size_t n, const float *a)
{
    return (float)sum_terms(n, a, NULL, TERM_SELF, 1, 0);
}
static float reduce_f32_sum_squares(size_t n, const float *a)
{
    return (float)sum_terms(n, a, NULL, TERM_SQUARE, 1, 0);
}
static float reduce_f32_mean(size_t n, const float *a)
{
    return (float)(sum_terms(n, a, NULL, TERM_SELF, 1, 0) / (double)n);
}

/* The result does not depend on the order, but for the sign of a zero: so +0 is made of any zero.
 */
SIMD float extreme(size_t n, const float *a, vf_binary better, float start)
{
    vf m0 = vf_set(start), m1 = m0, m2 = m0, m3 = m0;
    size_t i = 0;
    for (; i + 4 * VF_LANES <= n; i += 4 * VF_LANES) {
        m0 = better(m0, vf_load(a + i)), m1 = better(m1, vf_load(a + i + VF_LANES));
        m2 = better(m2, vf_load(a + i + 2 * VF_LANES)),
        m3 = better(m3, vf_load(a + i + 3 * VF_LANES));
    }
    for (; i + VF_LANES <= n; i += VF_LANES) m0 = better(m0, vf_load(a + i));
    m0 = better(better(m0, m1), better(m2, m3));
    for (; i < n; i++) m0 = better(m0, vf_set(a[i]));
    float t[VF_LANES];
    vf_store(t, m0);
    for (int half = VF_LANES / 2; half > 0; half /= 2) {
        for (int lane = 0; lane < half; lane++) {
            vf x = better(vf_set(t[lane]), vf_set(t[lane + half]));
            t[lane] = x[0];
        }
    }
    return t[0] + 0.0f;
}

static float reduce_f32_max(size_t n, const float *a) { return extreme(n, a, math_max, -INFINITY); }
static float reduce_f32_min(size_t n, const float *a) { return extreme(n, a, math_min, INFINITY); }

/* The first element that equals `wanted`, or the first NaN when that is wanted. It is there. */
static int64_t first_of(size_t n, const float *a, float wanted)
{
    const vf w = vf_set(wanted);
    const bool nan = wanted != wanted;
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) {
        const vf x = vf_load(a + i);
        if (vm_any(nan ? vf_nan(x) : vf_eq(x, w))) break;
    }
    for (; i + 1 < n; i++) {
        if (nan ? a[i] != a[i] : a[i] == wanted) break;
    }
    return (int64_t)i;
}

static int64_t argmax_f32(size_t n, const float *a) { return first_of(n, a, reduce_f32_max(n, a)); }
static int64_t argmin_f32(size_t n, const float *a) { return first_of(n, a, reduce_f32_min(n, a)); }

/* 128 rows are added in float, then to the sums so far. A strip is a few vectors wide, so that
 * reading stays within cache lines and enough additions are under way. */
static void column_sums_f32(size_t rows, size_t cols, size_t stride, const float *a, float *out)
{
    enum { ROWS = 128, VECTORS = 4 };
    for (size_t j = 0; j < cols; j++) out[j] = 0;
    for (size_t r0 = 0; r0 < rows; r0 += ROWS) {
        const size_t r1 = rows - r0 < ROWS ? rows : r0 + ROWS;
        size_t j = 0;
        for (; j + VECTORS * VF_LANES <= cols; j += VECTORS * VF_LANES) {
            vf acc[VECTORS];
            SIMD_UNROLL
            for (int v = 0; v < VECTORS; v++) acc[v] = (vf){0};
            for (size_t r = r0; r < r1; r++) {
                SIMD_UNROLL
                for (int v = 0; v < VECTORS; v++)
                    acc[v] += vf_load(a + r * stride + j + v * VF_LANES);
            }
            SIMD_UNROLL
            for (int v = 0; v < VECTORS; v++)
                vf_store(out + j + v * VF_LANES, vf_load(out + j + v * VF_LANES) + acc[v]);
        }
        for (; j < cols; j += VF_LANES) {
            const size_t some = cols - j < VF_LANES ? cols - j : VF_LANES;
            vf acc = (vf){0};
            for (size_t r = r0; r < r1; r++) acc += vf_load_n(a + r * stride + j, some);
            vf_store_n(out + j, vf_load_n(out + j, some) + acc, some);
        }
    }
}

/* The sums of a strip of columns stay in registers while its rows go by. */
SIMD void columns(size_t rows, size_t cols, const float *a, float *acc, vf_binary f)
{
    enum { VECTORS = 4 };
    size_t j = 0;
    for (; j + VECTORS * VF_LANES <= cols; j += VECTORS * VF_LANES) {
        vf t[VECTORS];
        SIMD_UNROLL
        for (int v = 0; v < VECTORS; v++) t[v] = vf_load(acc + j + v * VF_LANES);
        for (size_t r = 0; r < rows; r++) {
            SIMD_UNROLL
            for (int v = 0; v < VECTORS; v++)
                t[v] = f(t[v], vf_load(a + r * cols + j + v * VF_LANES));
        }
        SIMD_UNROLL
        for (int v = 0; v < VECTORS; v++) vf_store(acc + j + v * VF_LANES, t[v]);
    }
    for (; j < cols; j += VF_LANES) {
        const size_t some = cols - j < VF_LANES ? cols - j : VF_LANES;
        vf t = vf_load_n(acc + j, some);
        for (size_t r = 0; r < rows; r++) t = f(t, vf_load_n(a + r * cols + j, some));
        vf_store_n(acc + j, t, some);
    }
}

static void columns_f32_sum(size_t rows, size_t cols, const float *a, float *acc)
{
    columns(rows, cols, a, acc, math_add);
}
static void columns_f32_max(size_t rows, size_t cols, const float *a, float *acc)
{
    columns(rows, cols, a, acc, math_max);
}
static void columns_f32_min(size_t rows, size_t cols, const float *a, float *acc)
{
    columns(rows, cols, a, acc, math_min);
}

static void deviations_f32(size_t rows, size_t cols, const float *a, const float *centre,
                           float *sum, float *squares)
{
    enum { VECTORS = 4 };
    size_t j = 0;
    for (; j + VECTORS * VF_LANES <= cols; j += VECTORS * VF_LANES) {
        vf s[VECTORS], q[VECTORS], c[VECTORS];
        SIMD_UNROLL
        for (int v = 0; v < VECTORS; v++) {
            c[v] = vf_load(centre + j + v * VF_LANES);
            s[v] = vf_load(sum + j + v * VF_LANES);
            q[v] = vf_load(squares + j + v * VF_LANES);
        }
        for (size_t r = 0; r < rows; r++) {
            SIMD_UNROLL
            for (int v = 0; v < VECTORS; v++) {
                vf d = vf_load(a + r * cols + j + v * VF_LANES) - c[v];
                s[v] += d;
                q[v] += d * d;
            }
        }
        SIMD_UNROLL
        for (int v = 0; v < VECTORS; v++) {
            vf_store(sum + j + v * VF_LANES, s[v]);
            vf_store(squares + j + v * VF_LANES, q[v]);
        }
    }
    for (; j < cols; j += VF_LANES) {
        const size_t some = cols - j < VF_LANES ? cols - j : VF_LANES;
        vf s = vf_load_n(sum + j, some), q = vf_load_n(squares + j, some),
           c = vf_load_n(centre + j, some);
        for (size_t r = 0; r < rows; r++) {
            vf d = vf_load_n(a + r * cols + j, some) - c;
            s += d;
            q += d * d;
        }
        vf_store_n(sum + j, s, some);
        vf_store_n(squares + j, q, some);
    }
}

static void softmax_f32(size_t n, const float *a, float *out)
{
    const float largest = reduce_f32_max(n, a);
    const double sum = sum_terms(n, a, out, TERM_EXP, 1, largest);
    const vf inverse = vf_set((float)(1 / sum));
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) vf_store(out + i, vf_load(out + i) * inverse);
    if (i < n) vf_store_n(out + i, vf_load_n(out + i, n - i) * inverse, n - i);
}

static double exp_sum_f32(size_t n, const float *a, float scale, float shift, float *out)
{
    return sum_terms(n, a, out, TERM_EXP, scale, shift);
}

static float logsumexp_f32(size_t n, const float *a)
{
    const float largest = reduce_f32_max(n, a);
    if (!(fabsf(largest) < INFINITY)) return largest;
    return (float)(largest + log(sum_terms(n, a, NULL, TERM_EXP, 1, largest)));
}

static float crossentropy_f32(size_t n, const float *a, size_t label)
{
    const float largest = reduce_f32_max(n, a);
    const double loss = (double)largest - (double)a[label];
    if (!(fabsf(largest) < INFINITY)) return (float)loss;
    return (float)(loss + log(sum_terms(n, a, NULL, TERM_EXP, 1, largest)));
}

/* (x - largest) - log(sum), as torch does it: the difference is exact where it matters. */
static void log_softmax_f32(size_t n, const float *a, float *out)
{
    const float largest = reduce_f32_max(n, a);
    const vf shift = vf_set(largest),
             rest = vf_set((float)log(sum_terms(n, a, NULL, TERM_EXP, 1, largest)));
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) vf_store(out + i, vf_load(a + i) - shift - rest);
    if (i < n) vf_store_n(out + i, vf_load_n(a + i, n - i) - shift - rest, n - i);
}

/* ---- Double precision: the same lanes, blocks in a plain sum ---- */

SIMD double sum_terms_f64(size_t n, const double *a, bool square)
{
    double total = 0;
    for (size_t begin = 0; begin < n; begin += CJ__BLOCK) {
        const size_t end = n - begin < CJ__BLOCK ? n : begin + CJ__BLOCK;
        double t[CJ__LANES] = {0};
        size_t i = begin;
        for (; i + CJ__LANES <= end; i += CJ__LANES) {
            for (int lane = 0; lane < CJ__LANES; lane++)
                t[lane] += square ? a[i + lane] * a[i + lane] : a[i + lane];
        }
        for (int lane = 0; i < end; i++, lane++) t[lane] += square ? a[i] * a[i] : a[i];
        for (int half = CJ__LANES / 2; half > 0; half /= 2) {
            for (int lane = 0; lane < half; lane++) t[lane] += t[lane + half];
        }
        total += t[0];
    }
    return total;
}

static double reduce_f64_sum(size_t n, const double *a) { return sum_terms_f64(n, a, false); }
static double reduce_f64_sum_squares(size_t n, const double *a)
{
    return sum_terms_f64(n, a, true);
}
static double reduce_f64_mean(size_t n, const double *a)
{
    return sum_terms_f64(n, a, false) / (double)n;
}
static double reduce_f64_max(size_t n, const double *a)
{
    double m = -INFINITY;
    for (size_t i = 0; i < n; i++) m = m > a[i] || m != m ? m : a[i];
    return m + 0.0;
}
static double reduce_f64_min(size_t n, const double *a)
{
    double m = INFINITY;
    for (size_t i = 0; i < n; i++) m = m < a[i] || m != m ? m : a[i];
    return m + 0.0;
}
