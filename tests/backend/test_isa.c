/* Spans, reductions and moves of every table this processor runs against plain loops: sizes 0 to 67
 * and a big one, unaligned, in place, scalar operands, NaN and infinity. Reductions have the same
 * bits in every table. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/isa.h"
#include "base/float_mode.h"
#include "tensor/dtype.h"

enum { MAX = 5003, GUARD = 3 };

static uint32_t seed = 1;
static float random_float(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / (1 << 22) - 2;
}

static const size_t sizes[] = {0,   1,   2,   3,    4,    5,    6,    7,    8,    9,    10,
                               11,  12,  13,  14,   15,   16,   17,   18,   19,   20,   23,
                               24,  25,  31,  32,   33,   34,   39,   40,   41,   47,   48,
                               49,  50,  55,  56,   57,   62,   63,   64,   65,   66,   67,
                               127, 128, 129, 1000, 1023, 1024, 1025, 1026, 1056, 1057, MAX};

static const cj__isa *runnable(int *t)
{
    while (cj__isa_at(*t) && !cj__isa_at(*t)->supported()) ++*t;
    return cj__isa_at(*t);
}

/* Values with everything awkward among them. */
static void fill(float *x, size_t n)
{
    static const float odd[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-42f, 3e38f, -1.0f};
    for (size_t i = 0; i < n; i++) x[i] = i % 7 == 3 ? odd[i / 7 % CJ__COUNT(odd)] : random_float();
}

static bool same(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static float ref_pow(float a, float b) { return (float)pow(a, b); }
static double scalar_binary(cj__binary op, double a, double b)
{
    switch (op) {
    case CJ__BINARY_ADD: return a + b;
    case CJ__BINARY_SUB: return a - b;
    case CJ__BINARY_MUL: return a * b;
    case CJ__BINARY_DIV: return a / b;
    case CJ__BINARY_POW: return pow(a, b);
    case CJ__BINARY_MAX: return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
    case CJ__BINARY_MIN: return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
    case CJ__BINARY_RELU_GRAD: return b > 0 ? a : 0;
    default: return 0;
    }
}

static void test_binary(void **state)
{
    (void)state;
    static float a[MAX + 8], b[MAX + 8], out[MAX + 8];
    static double a64[MAX], b64[MAX], out64[MAX];
    for (int t = 0; runnable(&t); t++) {
        const cj__isa *isa = cj__isa_at(t);
        for (int op = 0; op < CJ__BINARY_COUNT; op++) {
            for (size_t s = 0; s < CJ__COUNT(sizes); s++) {
                const size_t n = sizes[s], off = s % 4;
                for (unsigned flags = 0; flags < 8; flags++) { /* 4: in place */
                    fill(a, MAX + 8), fill(b + 1, MAX + 7), b[0] = 2;
                    float *x = a + off, *y = b + 1 + off,
                          *z = flags & 4 ? (flags & 1 ? y : x) : out + off;
                    static float x0[MAX], y0[MAX];
                    memcpy(x0, x, n * sizeof(float)), memcpy(y0, y, n * sizeof(float));
                    const float guard = z[n];
                    isa->binary_f32[op](n, x, y, z, flags & 3);
                    if (!same(z[n], guard))
                        fail_msg("%s: binary %d wrote past %zu", isa->name, op, n);
                    for (size_t i = 0; i < n; i++) {
                        const float p = x0[flags & 1 ? 0 : i], q = y0[flags & 2 ? 0 : i];
                        const float want = op == CJ__BINARY_POW
                                               ? ref_pow(p, q)
                                               : (float)scalar_binary((cj__binary)op, p, q);
                        if (same(z[i], want) ||
                            (op == CJ__BINARY_POW && fabsf(z[i] - want) <= 2e-7f * fabsf(want)))
                            continue;
                        fail_msg(
                            "%s: binary %d, n %zu, flags %u: (%.9g, %.9g)[%zu] = %.9g, want %.9g",
                            isa->name, op, n, flags, p, q, i, z[i], want);
                    }
                    if (flags > 3) continue;
                    for (size_t i = 0; i < n; i++) a64[i] = x0[i], b64[i] = y0[i];
                    isa->binary_f64[op](n, a64, b64, out64, flags);
                    for (size_t i = 0; i < n; i++) {
                        const double want = scalar_binary((cj__binary)op, a64[flags & 1 ? 0 : i],
                                                          b64[flags & 2 ? 0 : i]);
                        if (!same(out64[i], want))
                            fail_msg("%s: f64 binary %d[%zu] = %g, want %g", isa->name, op, i,
                                     out64[i], want);
                    }
                }
            }
        }
    }
}

/* The place of an element does not change its value, and the functions work in place. Their
 * accuracy is test_isa_math's business; double precision is libm's. */
/* With the same roundings as one operation after another, of `slack` for ADAM's quotient, and for
 * erf and exp what isa.h promises of them: 3 and 2 ulp of results up to 1, or of exp's. */
static float scalar_idiom(cj__idiom op, const float *x, const float *numbers, float *slack)
{
    const float s = numbers[0], t = numbers[1], u = numbers[2];
    const float a = x[0], b = x[1], c = x[2], d = x[3], e = x[4];
    const float ab = a * b, cd = c * d, madd = ab + c, two = ab + cd, off = b - c;
    const float as = a * s, bs = b * s, bt = b * t, square = b * b, root = sqrtf(c);
    const float scaled = square * t, below = root + t, ratio = bs / below;
    const float exponent = c * c * s, e_to = expf(exponent), bump = e_to * t, slope = b + c * bump;
    *slack = op == CJ__IDIOM_ADAM && isfinite(ratio) ? 2 * FLT_EPSILON * fabsf(ratio) : 0;
    if (op == CJ__IDIOM_NORMAL_CDF) *slack = 4 * FLT_EPSILON * fabsf(u);
    if (op == CJ__IDIOM_GELU_GRAD)
        *slack = 4 * FLT_EPSILON * fabsf(a) * (fabsf(b) + fabsf(c * bump));
    switch (op) {
    case CJ__IDIOM_NORMAL_CDF: return (erff(as) + t) * u;
    case CJ__IDIOM_GELU_GRAD: return a * slope;
    case CJ__IDIOM_BLEND_SQUARES: return as + scaled;
    case CJ__IDIOM_BLEND: return as + bt;
    case CJ__IDIOM_ADAM: return a - ratio;
    case CJ__IDIOM_MADD_TWO: return two + e;
    case CJ__IDIOM_MADD_RELU: return madd > 0 || isnan(madd) ? madd : 0;
    case CJ__IDIOM_MADD: return madd;
    case CJ__IDIOM_MADD_ADD_RELU: return madd + d > 0 || isnan(madd + d) ? madd + d : 0;
    case CJ__IDIOM_MADD_MASK: return b * c + d > 0 ? a : 0;
    case CJ__IDIOM_CENTRED: return a * off;
    case CJ__IDIOM_SCALE_ADD: return as + b;
    case CJ__IDIOM_SCALE_SUB: return a - bs;
    default: return 0;
    }
}

static void test_idioms(void **state)
{
    (void)state;
    enum { SPANS = 5 };
    static const struct {
        int spans, numbers;
    } rows[] = {
#define ROW_COUNTS(NAME, name, form, spans, numbers, expression) {spans, numbers},
        CJ__IDIOM_LIST(ROW_COUNTS)};
    static float from[SPANS][MAX + 8], x[SPANS][MAX + 8], out[MAX + 8];
    float numbers[] = {0.875f, -0.0625f, 0.5f};
    for (int t = 0; runnable(&t); t++) {
        const cj__isa *isa = cj__isa_at(t);
        for (int op = 0; op < CJ__IDIOM_COUNT; op++) {
            for (size_t k = 0; k < CJ__COUNT(sizes) * (SPANS + 1); k++) {
                const size_t n = sizes[k / (SPANS + 1)], off = k % 5;
                const int place = (int)(k % (SPANS + 1)) - 1; /* the span that is written over */
                if (place >= rows[op].spans) continue;
                void *in[SPANS + 3];
                for (int j = 0; j < SPANS; j++) {
                    fill(from[j], MAX + 8);
                    memcpy(x[j], from[j], sizeof x[j]);
                    in[j] = x[j] + off;
                }
                for (int j = 0; j < rows[op].numbers; j++) in[rows[op].spans + j] = &numbers[j];
                float *y = place >= 0 ? x[place] + off : out + off;
                const float guard = y[n];
                isa->idiom_f32[op](n, in, y);
                if (!same(y[n], guard)) fail_msg("%s: idiom %d wrote past %zu", isa->name, op, n);
                for (size_t i = 0; i < n; i++) {
                    float args[SPANS];
                    for (int j = 0; j < SPANS; j++) args[j] = from[j][i + off];
                    float slack, want = scalar_idiom((cj__idiom)op, args, numbers, &slack);
                    if (!same(y[i], want) && !(fabsf(y[i] - want) <= slack))
                        fail_msg("%s: idiom %d, n %zu: (%.9g, %.9g, %.9g)[%zu] = %.9g, want %.9g",
                                 isa->name, op, n, args[0], args[1], args[2], i, y[i], want);
                }
            }
        }
    }
}

/* The quotient of Adam's step over all sizes of numbers, and where it is no number: with a = 0 the
 * result is -s b / (sqrt(c) + t). */
static void test_quotients(void **state)
{
    (void)state;
    enum { N = 4096, ROUNDS = 200 };
    static const float odd[] = {0.0f, INFINITY, NAN, -1.0f, 1e-42f, FLT_MAX, FLT_MIN, 1.0f};
    static const float numbers[] = {0, 1e-7f, 1.0f, 1e30f, -1.0f, INFINITY, NAN};
    static float a[N], b[N], c[N], y[N];
    float one = 1;
    for (int t = 0; runnable(&t); t++) {
        double worst = 0;
        for (int round = 0; round < ROUNDS; round++) {
            float number = numbers[round % (int)CJ__COUNT(numbers)];
            void *in[] = {a, b, c, &one, &number};
            for (int i = 0; i < N; i++) {
                const int wide = round % 2 ? 120 : 30;
                b[i] = ldexpf(random_float(), (int)(random_float() * (float)wide / 2));
                c[i] = ldexpf(fabsf(random_float()), (int)(random_float() * (float)wide / 2));
                if (random_float() > 1.9f) b[i] = odd[i % (int)CJ__COUNT(odd)];
                if (random_float() > 1.9f) c[i] = odd[i / 8 % (int)CJ__COUNT(odd)];
            }
            cj__isa_at(t)->idiom_f32[CJ__IDIOM_ADAM](N, in, y);
            for (int i = 0; i < N; i++) {
                const double want = -(double)b[i] / (sqrt((double)c[i]) + (double)number);
                const float plain = 0 - b[i] / (sqrtf(c[i]) + number);
                if (same(y[i], plain)) continue;
                const double ulp = (double)(nextafterf(fabsf(plain), INFINITY) - fabsf(plain)),
                             error = fabs((double)y[i] - want) / ulp,
                             allowed = fabs((double)plain - want) / ulp + 1;
                if (!(error <= allowed))
                    fail_msg("%s: -(%.9g / (sqrt(%.9g) + %.9g)) = %.9g, want %.9g",
                             cj__isa_at(t)->name, b[i], c[i], number, y[i], want);
                if (error > worst) worst = error;
            }
        }
        print_message("%s: quotients are off by at most %.2f ulp where they differ\n",
                      cj__isa_at(t)->name, worst);
    }
}

static void test_unary_places(void **state)
{
    (void)state;
    static float x[MAX + 8], all[MAX + 8], y[MAX + 8];
    for (int t = 0; runnable(&t); t++) {
        const cj__isa *isa = cj__isa_at(t);
        for (int op = 0; op < CJ__UNARY_COUNT; op++) {
            fill(x, MAX);
            isa->unary_f32[op](MAX, x, all);
            for (size_t s = 0; s < CJ__COUNT(sizes); s++) {
                const size_t off = s % 5, n = sizes[s] + off <= MAX ? sizes[s] : MAX - off;
                memcpy(y, x, sizeof(y));
                isa->unary_f32[op](n, y + off, y + off);
                for (size_t i = 0; i < n; i++) {
                    if (memcmp(&y[off + i], &all[off + i], 4) &&
                        !(isnan(y[off + i]) && isnan(all[off + i])))
                        fail_msg("%s: unary %d n %zu at %zu: f(%g) = %.9g or %.9g", isa->name, op,
                                 n, i, x[off + i], y[off + i], all[off + i]);
                }
                if (memcmp(y + off + n, x + off + n, 4))
                    fail_msg("%s: unary %d wrote past %zu", isa->name, op, n);
            }
            double x64[64], y64[64];
            for (int i = 0; i < 64; i++) x64[i] = x[i];
            isa->unary_f64[op](64, x64, y64);
            for (int i = 0; i < 64; i++) {
                if (!(fabs(y64[i] - all[i]) <= 1e-6 * fabs(all[i])) && !same(y64[i], all[i]) &&
                    fabsf(all[i]) < 1e38f && fabsf(all[i]) > 1e-37f)
                    fail_msg("%s: unary %d in double: f(%g) = %g, in float %g", isa->name, op,
                             x64[i], y64[i], all[i]);
            }
        }
    }
}

static void test_compare_where_logical(void **state)
{
    (void)state;
    static float a[MAX + 1], b[MAX + 1];
    static uint8_t c[MAX + GUARD], d[MAX + GUARD];
    fill(a, MAX), fill(b, MAX);
    for (size_t i = 0; i < MAX; i += 5) b[i] = a[i];
    for (int t = 0; runnable(&t); t++) {
        const cj__isa *isa = cj__isa_at(t);
        for (size_t s = 0; s < CJ__COUNT(sizes); s++) {
            const size_t n = sizes[s];
            for (unsigned flags = 0; flags < 4; flags++) {
                for (int op = 0; op < CJ__COMPARE_COUNT; op++) {
                    c[n] = 77;
                    isa->compare_f32[op](n, a, b, c, flags);
                    assert_int_equal(c[n], 77);
                    for (size_t i = 0; i < n; i++) {
                        const float x = a[flags & 1 ? 0 : i], y = b[flags & 2 ? 0 : i];
                        const bool want[] = {x == y, x != y, x < y, x <= y, x > y, x >= y};
                        if (c[i] != want[op])
                            fail_msg("%s: compare %d (%g, %g) = %d", isa->name, op, x, y, c[i]);
                    }
                }
                for (size_t i = 0; i < n; i++) d[i] = (uint8_t)(i % 3 ? 0 : i);
                static uint8_t e[MAX + GUARD];
                for (int op = 0; op < CJ__LOGICAL_COUNT; op++) {
                    isa->compare_f32[CJ__COMPARE_LT](n, a, b, c, 0);
                    isa->logical[op](n, c, op == CJ__LOGICAL_NOT ? NULL : d, e, flags);
                    for (size_t i = 0; i < n; i++) {
                        const bool x = c[flags & 1 ? 0 : i], y = d[flags & 2 ? 0 : i];
                        const bool want[] = {x && y, x || y, x != y, !x};
                        assert_int_equal(e[i], want[op]);
                    }
                }
            }
            for (unsigned flags = 0; flags < 8; flags++) {
                for (size_t size = 1; size <= 8; size *= 2) {
                    static uint8_t p[8 * MAX], q[8 * MAX], r[8 * MAX + 1];
                    for (size_t i = 0; i < n * size; i++)
                        p[i] = (uint8_t)i, q[i] = (uint8_t)(i * 7 + 1);
                    r[n * size] = 99;
                    isa->where(size, n, d, p, q, r, flags);
                    assert_int_equal(r[n * size], 99);
                    for (size_t i = 0; i < n; i++) {
                        const uint8_t *want = d[flags & 4 ? 0 : i] ? p + (flags & 1 ? 0 : i * size)
                                                                   : q + (flags & 2 ? 0 : i * size);
                        assert_memory_equal(r + i * size, want, size);
                    }
                }
            }
        }
    }
}

static void test_casts(void **state)
{
    (void)state;
    static const float x[] = {0.0f,           -0.0f,   1.9f,          -1.9f,
                              254.5f,         255.0f,  256.0f,        127.5f,
                              -128.5f,        -129.0f, 2147483520.0f, 2147483648.0f,
                              -2147483648.0f, 9.3e18f, -9.3e18f,      INFINITY,
                              -INFINITY,      NAN,     1e-40f,        100.0f};
    enum { N = CJ__COUNT(x) };
    static const uint8_t u8[N] = {0,   0,   1, 0,   254, 255, 255, 127, 0, 0,
                                  255, 255, 0, 255, 0,   255, 0,   0,   0, 100};
    static const int8_t i8[N] = {0,   0,   1,    -1,  127,  127, 127,  127, -128, -128,
                                 127, 127, -128, 127, -128, 127, -128, 0,   0,    100};
    static const int32_t i32[N] = {0,          0,         1,         -1,        254,
                                   255,        256,       127,       -128,      -129,
                                   2147483520, INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN,
                                   INT32_MAX,  INT32_MIN, 0,         0,         100};
    static const int64_t i64[N] = {
        0,         0,    1,          -1,         254,           255,       256,       127,
        -128,      -129, 2147483520, 2147483648, -2147483648LL, INT64_MAX, INT64_MIN, INT64_MAX,
        INT64_MIN, 0,    0,          100};
    for (int t = 0; runnable(&t); t++) {
        const cj__isa *isa = cj__isa_at(t);
        union {
            uint8_t u8[N];
            int8_t i8[N];
            int32_t i32[N];
            int64_t i64[N];
            double f64[N];
            float f32[N];
        } y;
        isa->cast[CJ__CAST_F32_U8](N, x, &y), assert_memory_equal(y.u8, u8, sizeof(u8));
        isa->cast[CJ__CAST_F32_I8](N, x, &y), assert_memory_equal(y.i8, i8, sizeof(i8));
        isa->cast[CJ__CAST_F32_I32](N, x, &y), assert_memory_equal(y.i32, i32, sizeof(i32));
        isa->cast[CJ__CAST_F32_I64](N, x, &y), assert_memory_equal(y.i64, i64, sizeof(i64));
        isa->cast[CJ__CAST_F32_BOOL](N, x, &y);
        for (int i = 0; i < N; i++) assert_int_equal(y.u8[i], x[i] != 0);
        isa->cast[CJ__CAST_F32_F64](N, x, &y);
        for (int i = 0; i < N; i++) assert_true(same(y.f64[i], x[i]));
        double wide[N];
        memcpy(wide, y.f64, sizeof(wide));
        isa->cast[CJ__CAST_F64_F32](N, wide, &y);
        for (int i = 0; i < N; i++) assert_true(same(y.f32[i], x[i]));
        isa->cast[CJ__CAST_U8_F32](N, u8, &y);
        for (int i = 0; i < N; i++) assert_true(y.f32[i] == (float)u8[i]);
        isa->cast[CJ__CAST_I8_F32](N, i8, &y);
        for (int i = 0; i < N; i++) assert_true(y.f32[i] == (float)i8[i]);
        isa->cast[CJ__CAST_I32_F32](N, i32, &y);
        for (int i = 0; i < N; i++) assert_true(y.f32[i] == (float)i32[i]);
        isa->cast[CJ__CAST_I64_F32](N, i64, &y);
        for (int i = 0; i < N; i++) assert_true(y.f32[i] == (float)i64[i]);
    }
}

static bool same_half(cj_dtype dtype, uint16_t a, uint16_t b)
{
    double x = cj_load_f64(dtype, &a, 0), y = cj_load_f64(dtype, &b, 0);
    return a == b || (x != x && y != y);
}

/* Every half is widened as one by one, also while sessions count subnormal floats as zero; and
 * floats around every half (itself, ties, their neighbours) are rounded as doubles are. */
static void test_halves(void **state)
{
    (void)state;
    enum { ALL = 65536, AROUND = 6 };
    static uint16_t halves[ALL], rounded[AROUND * ALL];
    static float floats[ALL], around[AROUND * ALL];
    for (int flushed = 0; flushed < 2; flushed++) {
        for (int which = 0; which < 2; which++) {
            const cj_dtype dtype = which ? CJ_F16 : CJ_BF16;
            const int widen = which ? CJ__CAST_F16_F32 : CJ__CAST_BF16_F32,
                      narrow = which ? CJ__CAST_F32_F16 : CJ__CAST_F32_BF16;
            for (int t = 0; runnable(&t); t++) {
                const cj__isa *isa = cj__isa_at(t);
                for (int i = 0; i < ALL; i++) halves[i] = (uint16_t)i;
                uint64_t mode = cj__float_mode();
                if (flushed) cj__float_mode_flush();
                isa->cast[widen](ALL, halves, floats);
                cj__float_mode_set(mode);
                for (int i = 0; i < ALL; i++) {
                    float expected;
                    cj__convert(CJ_F32, &expected, dtype, &halves[i], 1);
                    if (memcmp(&expected, &floats[i], 4) && expected == expected)
                        fail_msg("%s: half %#x gives %g, not %g", isa->name, i, floats[i],
                                 expected);
                    const uint16_t after = (uint16_t)(i + 1);
                    float next;
                    cj__convert(CJ_F32, &next, dtype, &after, 1);
                    const float tie = expected / 2 + next / 2;
                    uint32_t bits, middle;
                    memcpy(&bits, &expected, 4);
                    memcpy(&middle, &tie, 4);
                    const uint32_t near[AROUND] = {bits,   bits + 1,   bits - 1,
                                                   middle, middle + 1, middle - 1};
                    memcpy(&around[AROUND * i], near, sizeof near);
                }
                if (flushed) cj__float_mode_flush();
                isa->cast[narrow](AROUND * ALL, around, rounded);
                cj__float_mode_set(mode);
                for (int i = 0; i < AROUND * ALL; i++) {
                    uint16_t expected;
                    if (flushed && fabsf(around[i]) < 0x1p-126f) continue;
                    cj__convert(dtype, &expected, CJ_F32, &around[i], 1);
                    if (!same_half(dtype, expected, rounded[i]))
                        fail_msg("%s: %.9g gives %#x, not %#x", isa->name, around[i], rounded[i],
                                 expected);
                }
            }
        }
    }
}

static void test_reductions(void **state)
{
    (void)state;
    static float x[MAX + 4];
    const cj__isa *generic = cj__isa_find("generic");
    assert_non_null(generic);
    for (size_t s = 0; s < CJ__COUNT(sizes); s++) {
        const size_t n = sizes[s];
        for (int kind = 0; kind < 4; kind++) { /* finite, with an infinity, with a NaN, all equal */
            const float *a = x + s % 4;
            for (size_t i = 0; i < MAX + 4; i++) x[i] = kind == 3 ? -0.25f : random_float();
            if (n && kind == 1) x[s % 4 + n / 2] = INFINITY;
            if (n && kind == 2) x[s % 4 + n / 3] = NAN, x[s % 4 + n / 2] = NAN;
            double sum = 0, squares = 0, size = 0, max = -INFINITY, min = INFINITY;
            int64_t argmax = 0, argmin = 0;
            for (size_t i = 0; i < n; i++) {
                sum += a[i], squares += (double)a[i] * a[i], size += fabs(a[i]);
                if (a[i] > max || (isnan(a[i]) && !isnan(max))) max = a[i], argmax = (int64_t)i;
                if (a[i] < min || (isnan(a[i]) && !isnan(min))) min = a[i], argmin = (int64_t)i;
            }
            const double want[] = {sum, sum / (double)n, max, min, squares};
            const double slack[] = {4e-7 * size, 4e-7 * size / (double)n, 0, 0, 4e-7 * squares};
            for (int t = 0; runnable(&t); t++) {
                const cj__isa *isa = cj__isa_at(t);
                double x64[MAX];
                for (size_t i = 0; i < n; i++) x64[i] = a[i];
                for (int op = 0; op < CJ__REDUCE_COUNT; op++) {
                    const float got = isa->reduce_f32[op](n, a),
                                base = generic->reduce_f32[op](n, a);
                    if (!same(got, want[op]) && !(fabs(got - want[op]) <= slack[op]))
                        fail_msg("%s: reduce %d of %zu (%d) = %.9g, want %.9g", isa->name, op, n,
                                 kind, got, want[op]);
                    if (!same(got, base))
                        fail_msg("%s: reduce %d of %zu = %.9g, generic %.9g", isa->name, op, n, got,
                                 base);
                    const double wide = isa->reduce_f64[op](n, x64);
                    if (!same(wide, want[op]) &&
                        !(fabs(wide - want[op]) <= 1e-13 * (size + squares)))
                        fail_msg("%s: f64 reduce %d of %zu = %.17g, want %.17g", isa->name, op, n,
                                 wide, want[op]);
                }
                if (!n) continue;
                assert_int_equal(isa->argmax_f32(n, a), argmax);
                assert_int_equal(isa->argmin_f32(n, a), argmin);
            }
        }
    }
}

static void test_column_sums(void **state)
{
    (void)state;
    static float a[400 * 150], out[151], base[151];
    for (size_t i = 0; i < CJ__COUNT(a); i++) a[i] = random_float();
    static const int shapes[][2] = {{0, 5},    {1, 1},    {3, 10},   {32, 128},
                                    {127, 17}, {129, 64}, {400, 67}, {300, 150}};
    for (int t = 0; runnable(&t); t++) {
        const cj__isa *isa = cj__isa_at(t);
        for (size_t s = 0; s < CJ__COUNT(shapes); s++) {
            const size_t rows = (size_t)shapes[s][0], cols = (size_t)shapes[s][1];
            out[cols] = 7;
            isa->column_sums_f32(rows, cols, 150, a, out);
            assert_true(out[cols] == 7);
            cj__isa_find("generic")->column_sums_f32(rows, cols, 150, a, base);
            for (size_t j = 0; j < cols; j++) {
                double want = 0;
                for (size_t i = 0; i < rows; i++) want += a[i * 150 + j];
                if (!(fabs(out[j] - want) <= 1e-4) || out[j] != base[j])
                    fail_msg("%s: column %zu of %zux%zu: %.9g, want %.9g, generic %.9g", isa->name,
                             j, rows, cols, out[j], want, base[j]);
            }
        }
    }
}

static void test_softmax(void **state)
{
    (void)state;
    static float x[MAX], y[MAX + 1], l[MAX + 1];
    for (int t = 0; runnable(&t); t++) {
        const cj__isa *isa = cj__isa_at(t);
        for (size_t s = 1; s < CJ__COUNT(sizes); s++) {
            const size_t n = sizes[s];
            for (int kind = 0; kind < 3; kind++) { /* small, huge, with -inf */
                for (size_t i = 0; i < n; i++) x[i] = random_float() * (kind == 1 ? 1e30f : 5);
                if (kind == 2 && n > 1) x[n / 2] = -INFINITY;
                double max = -INFINITY, sum = 0;
                for (size_t i = 0; i < n; i++) max = x[i] > max ? x[i] : max;
                for (size_t i = 0; i < n; i++) sum += exp(x[i] - max);
                y[n] = l[n] = 7;
                isa->softmax_f32(n, x, y);
                isa->log_softmax_f32(n, x, l);
                assert_true(y[n] == 7 && l[n] == 7);
                const double whole = max + log(sum);
                assert_true(fabs(isa->logsumexp_f32(n, x) - whole) <= 2e-7 * fabs(whole) + 2e-7);
                for (size_t i = 0; i < n; i++) {
                    const double p = exp(x[i] - max) / sum, q = x[i] - max - log(sum);
                    const double slack = 4e-7 + 6e-8 * fmin(fabs(x[i] - max),
                                                            1e3); /* x - max is rounded too */
                    if (!(fabs(y[i] - p) <= slack * p + 1e-44))
                        fail_msg("%s: softmax[%zu] = %.9g, want %.9g", isa->name, i, y[i], p);
                    if (!same(l[i], q) && !(fabs(l[i] - q) <= 3e-7 * fabs(q) + 3e-7))
                        fail_msg("%s: log softmax[%zu] = %.9g, want %.9g", isa->name, i, l[i], q);
                }
                isa->softmax_f32(n, x, x); /* in place */
                assert_memory_equal(x, y, n * sizeof(float));
            }
        }
        const float none[] = {-INFINITY, -INFINITY}, top[] = {INFINITY, 1}, bad[] = {NAN, 1};
        assert_true(isa->logsumexp_f32(2, none) == -INFINITY &&
                    isa->logsumexp_f32(2, top) == INFINITY);
        assert_true(isnan(isa->logsumexp_f32(2, bad)));
        isa->softmax_f32(2, bad, y);
        assert_true(isnan(y[0]) && isnan(y[1]));
    }
}

static void test_moves(void **state)
{
    (void)state;
    static uint8_t a[100 * 110 * 8], out[100 * 110 * 8], back[100 * 110 * 8];
    for (size_t i = 0; i < sizeof(a); i++) a[i] = (uint8_t)(i * 31 + i / 256);
    for (int t = 0; runnable(&t); t++) {
        const cj__isa *isa = cj__isa_at(t);
        for (size_t size = 1; size <= 8; size *= 2) {
            for (size_t rows = 0; rows <= 70; rows = rows * 2 + (rows % 3) + 1) {
                for (size_t cols = 0; cols <= 90; cols += cols / 2 + 1) {
                    const size_t stride = cols + 3, out_stride = rows + 2;
                    memset(out, 0xAA, sizeof(out));
                    isa->transpose(size, rows, cols, a, stride, out, out_stride);
                    for (size_t j = 0; j < cols; j++) {
                        for (size_t i = 0; i < rows; i++)
                            assert_memory_equal(out + (j * out_stride + i) * size,
                                                a + (i * stride + j) * size, size);
                        assert_int_equal(out[(j * out_stride + rows) * size], 0xAA);
                    }
                }
            }
        }
        for (size_t size = 1; size <= 12; size++) {
            static const ptrdiff_t strides[] = {0, 12, 13, 40, -17};
            for (size_t s = 0; s < CJ__COUNT(strides) + 1; s++) {
                const ptrdiff_t stride = s < CJ__COUNT(strides) ? strides[s] : (ptrdiff_t)size;
                const uint8_t *from = a + 1000;
                isa->gather(size, 50, from, stride, out);
                for (ptrdiff_t i = 0; i < 50; i++)
                    assert_memory_equal(out + i * (ptrdiff_t)size, from + i * stride, size);
                if (!stride) continue;
                memset(back, 0xAA, sizeof(back));
                isa->scatter(size, 50, out, back + 1000, stride);
                for (ptrdiff_t i = 0; i < 50; i++)
                    assert_memory_equal(back + 1000 + i * stride, from + i * stride, size);
            }
        }
    }
}

/* One tile with every table, 0 to 40 channels: results of a convolution of one channel with another
 * and, the other way round, the gradient of its weights, from the transforms and a product for each
 * point. Sums of 9 and of 16 products of numbers in [-2, 2); the transforms' own sums multiply the
 * errors by 10 at most. */
static void test_winograd(void **state)
{
    (void)state;
    enum { N = 40, TILE = 6, OUT = 4, K = 3, POINTS = TILE * TILE };
    static float x[POINTS][N], w[K * K][N], dy[OUT * OUT][N], v[POINTS][N], u[POINTS][N];
    static float y[OUT * OUT][N + GUARD], dw[K * K][N + GUARD];
    const float *px[POINTS], *pw[K * K], *pd[OUT * OUT], *pm[POINTS];
    float *pv[POINTS], *pu[POINTS], *py[OUT * OUT], *pg[K * K];
    for (int i = 0; i < POINTS; i++) px[i] = x[i], pv[i] = v[i], pu[i] = u[i], pm[i] = v[i];
    for (int i = 0; i < K * K; i++) pw[i] = w[i], pg[i] = dw[i];
    for (int i = 0; i < OUT * OUT; i++) pd[i] = dy[i], py[i] = y[i];
    const cj__isa *isa;
    for (int t = 0; (isa = runnable(&t)); t++)
        for (size_t n = 0; n <= N; n++) {
            const bool ends = n % 2; /* with bias, addend and relu; one place left out */
            float bias[N], addend[OUT * OUT][N + GUARD];
            for (size_t c = 0; c < n; c++) {
                for (int i = 0; i < POINTS; i++) x[i][c] = random_float();
                for (int i = 0; i < K * K; i++) w[i][c] = random_float();
                for (int i = 0; i < OUT * OUT; i++)
                    dy[i][c] = random_float(), addend[i][c] = random_float();
                bias[c] = random_float();
            }
            memset(y, 0x7f, sizeof y);
            memset(dw, 0x7f, sizeof dw);
            px[0] = ends ? NULL : x[0];
            py[OUT * OUT - 1] = ends ? NULL : y[OUT * OUT - 1];
            const cj__winograd_end end = {bias, addend[0], y[0], true};
            isa->winograd_f32[CJ__WINOGRAD_SOURCE](n, px, pv, NULL);
            isa->winograd_f32[CJ__WINOGRAD_WEIGHTS](n, pw, pu, NULL);
            for (int i = 0; i < POINTS; i++)
                for (size_t c = 0; c < n; c++) u[i][c] *= v[i][c];
            for (int i = 0; i < POINTS; i++) pm[i] = u[i];
            isa->winograd_f32[CJ__WINOGRAD_RESULT](n, pm, py, ends ? &end : NULL);
            isa->winograd_f32[CJ__WINOGRAD_SPREAD](n, pd, pu, NULL);
            for (int i = 0; i < POINTS; i++)
                for (size_t c = 0; c < n; c++) u[i][c] *= v[i][c];
            isa->winograd_f32[CJ__WINOGRAD_SUMS](n, pm, pg, NULL);
            for (size_t c = 0; c < n; c++) {
                for (int i = 0; i < OUT * OUT; i++) {
                    double sum = ends ? (double)bias[c] + (double)addend[i][c] : 0;
                    for (int k = 0; k < K * K; k++) {
                        const int at = (i / OUT + k / K) * TILE + i % OUT + k % K;
                        if (px[at]) sum += (double)x[at][c] * (double)w[k][c];
                    }
                    if (ends && sum < 0) sum = 0;
                    if (py[i]) assert_true(fabs(sum - (double)y[i][c]) < 36 * 10 * 0x1p-24);
                }
                for (int k = 0; k < K * K; k++) {
                    double sum = 0;
                    for (int i = 0; i < OUT * OUT; i++) {
                        const int at = (i / OUT + k / K) * TILE + i % OUT + k % K;
                        if (px[at]) sum += (double)x[at][c] * (double)dy[i][c];
                    }
                    assert_true(fabs(sum - (double)dw[k][c]) < 64 * 10 * 0x1p-24);
                }
            }
            for (int i = 0; i < OUT * OUT; i++) { /* nothing beyond, nothing where not wanted */
                uint32_t bits;
                memcpy(&bits, &y[i][py[i] ? n : 0], sizeof bits);
                assert_true(bits == 0x7f7f7f7f);
            }
        }
}

static void test_table(void **state)
{
    (void)state;
    assert_non_null(cj__isa_best());
    assert_true(cj__isa_best()->supported());
    assert_ptr_equal(cj__isa_find(cj__isa_best()->name), cj__isa_best());
    assert_non_null(cj__isa_find("generic"));
    assert_null(cj__isa_find("mmx"));
    assert_null(cj__isa_at(-1));
    int count = 0;
    while (cj__isa_at(count)) count++;
    assert_string_equal(cj__isa_at(count - 1)->name, "generic");
    for (int t = 0; runnable(&t); t++) print_message("runs here: %s\n", cj__isa_at(t)->name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_idioms),
        cmocka_unit_test(test_quotients),
        cmocka_unit_test(test_unary_places),
        cmocka_unit_test(test_compare_where_logical),
        cmocka_unit_test(test_casts),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_reductions),
        cmocka_unit_test(test_column_sums),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_winograd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
