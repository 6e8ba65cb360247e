/* The error of every f32 function of every table this processor runs, in units in the last place
 * against libm in double precision, stays below the bound that isa.h documents. The floats tried
 * are spread over all bit patterns, and denser where the functions bend. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/isa.h"

enum { CHUNK = 4096 };

typedef double (*reference_fn)(double);

static double ref_neg(double x) { return -x; }
static double ref_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static double ref_square(double x) { return x * x; }
static double ref_rsqrt(double x) { return 1 / sqrt(x); }
static double ref_reciprocal(double x) { return 1 / x; }
static double ref_sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double ref_softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double ref_relu(double x) { return x < 0 ? 0 : x; }
static double ref_step(double x) { return x > 0; }
#define ref_abs fabs
#define ref_sqrt sqrt
#define ref_exp exp
#define ref_expm1 expm1
#define ref_log log
#define ref_log1p log1p
#define ref_sin sin
#define ref_cos cos
#define ref_tanh tanh
#define ref_erf erf
#define ref_floor floor
#define ref_ceil ceil
#define ref_round rint

static const struct {
    const char *name;
    cj__unary op;
    reference_fn reference;
    double ulp;
} unary[] = {
#define ROW(NAME, name, ulp) {#name, CJ__UNARY_##NAME, ref_##name, ulp},
    CJ__UNARY_LIST(ROW)
};

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* The distance of `got` from the exact value, in places of the float nearest to it. */
static double error_ulp(float got, double exact)
{
    const float nearest = (float)exact;
    if (isnan(exact) || isnan(got)) return isnan(exact) && isnan(got) ? 0 : INFINITY;
    if (isinf(nearest) || isinf(got)) {
        if (got == nearest) return 0;
        /* next to overflow: the largest float for an infinity and the reverse count by distance */
        const double limit = 0x1p128, step = 0x1p104;
        return fabs((isinf(got) ? copysign(limit, got) : got) -
                    (isinf(exact) ? copysign(INFINITY, exact) : exact)) /
               step;
    }
    int e;
    frexp(exact, &e);
    if (exact == 0 || e < -125) e = -125;
    return fabs(got - exact) / ldexp(1, e - 24);
}

static double worst_of(const cj__isa *isa, size_t u, const float *x, size_t n, float *worst_at,
                       float *worst_got)
{
    static float y[CHUNK];
    double worst = 0;
    isa->unary_f32[unary[u].op](n, x, y);
    for (size_t i = 0; i < n; i++) {
        const double e = error_ulp(y[i], unary[u].reference(x[i]));
        if (e > worst) worst = e, *worst_at = x[i], *worst_got = y[i];
    }
    return worst;
}

/* A stride that is odd visits every residue; a few hundred thousand patterns a function. */
static double sweep(const cj__isa *isa, size_t u, uint32_t low, uint32_t high, uint32_t stride,
                    float *at, float *got)
{
    static float x[CHUNK];
    double worst = 0;
    size_t n = 0;
    for (uint64_t bits = low; bits <= high; bits += stride) {
        x[n++] = float_of((uint32_t)bits);
        if (n == CHUNK || bits + stride > high) {
            float a = 0, g = 0;
            const double e = worst_of(isa, u, x, n, &a, &g);
            if (e > worst) worst = e, *at = a, *got = g;
            n = 0;
        }
    }
    return worst;
}

static void test_unary_bounds(void **state)
{
    (void)state;
    const bool all = getenv("CAJAL_TEST_LONG") != NULL;
    int bad = 0;
    for (int t = 0; cj__isa_at(t); t++) {
        const cj__isa *isa = cj__isa_at(t);
        if (!isa->supported()) continue;
        for (size_t u = 0; u < CJ__COUNT(unary); u++) {
            float at[4] = {0}, got[4] = {0};
            double e[4];
            e[0] = sweep(isa, u, 0, 0x7f800000, all ? 101 : 30011, &at[0], &got[0]);
            e[1] = sweep(isa, u, 0x80000000, 0xff800000, all ? 101 : 30011, &at[1], &got[1]);
            e[2] = sweep(isa, u, 0x3d000000, 0x43000000, all ? 17 : 1009, &at[2],
                         &got[2]); /* 0.03 .. 128 */
            e[3] = sweep(isa, u, 0xbd000000, 0xc3000000, all ? 17 : 1009, &at[3], &got[3]);
            size_t w = 0;
            for (size_t i = 1; i < 4; i++) w = e[i] > e[w] ? i : w;
            if (getenv("CAJAL_TEST_SHOW"))
                printf("%-8s %-10s %.3f ulp at %.9g\n", isa->name, unary[u].name, e[w], at[w]);
            if (!(e[w] <= unary[u].ulp)) {
                printf("%s: %s(%.9g) = %.9g, exact %.17g: %.3f ulp, bound %.1f\n", isa->name,
                       unary[u].name, at[w], got[w], unary[u].reference(at[w]), e[w], unary[u].ulp);
                bad++;
            }
        }
    }
    assert_int_equal(bad, 0);
}

/* Infinities, zeros with their signs, NaN, denormals, limits: the bits must be those of the exact
 * result, but where an error of a place is allowed. */
static void test_unary_special(void **state)
{
    (void)state;
    static const float x[] = {0.0f,       -0.0f,         INFINITY,       -INFINITY, NAN,
                              1.0f,       -1.0f,         1e-45f,         -1e-45f,   1e-38f,
                              -1e-38f,    3.4028235e38f, -3.4028235e38f, 88.72283f, 88.72284f,
                              -87.5f,     -103.9f,       -104.5f,        0.5f,      1.5f,
                              2.5f,       -0.5f,         -1.5f,          -2.5f,     8388607.5f,
                              8388609.0f, 16777216.0f,   1e10f,          -1e10f,    1e-20f};
    int bad = 0;
    for (int t = 0; cj__isa_at(t); t++) {
        const cj__isa *isa = cj__isa_at(t);
        if (!isa->supported()) continue;
        for (size_t u = 0; u < CJ__COUNT(unary); u++) {
            float y[CJ__COUNT(x)];
            isa->unary_f32[unary[u].op](CJ__COUNT(x), x, y);
            for (size_t i = 0; i < CJ__COUNT(x); i++) {
                double want = unary[u].reference(x[i]);
                if (isnan(x[i]) && unary[u].op == CJ__UNARY_STEP) want = 0;
                if (unary[u].op == CJ__UNARY_RELU && want == 0) want = 0.0;
                const bool sign_ok = want != 0 || y[i] != 0 || !signbit(want) == !signbit(y[i]) ||
                                     unary[u].op == CJ__UNARY_RELU;
                if (!(error_ulp(y[i], want) <= unary[u].ulp) || !sign_ok) {
                    printf("%s: %s(%.9g) = %.9g, want %.9g\n", isa->name, unary[u].name, x[i], y[i],
                           want);
                    bad++;
                }
            }
        }
    }
    assert_int_equal(bad, 0);
}

static void test_pow(void **state)
{
    (void)state;
    static const float x[] = {0.0f, -0.0f,  1,     -1,       2,         -2,  0.5f,  -0.5f,
                              3.7f, 1e-30f, 1e30f, INFINITY, -INFINITY, NAN, 1e-42f};
    int bad = 0;
    for (int t = 0; cj__isa_at(t); t++) {
        const cj__isa *isa = cj__isa_at(t);
        if (!isa->supported()) continue;
        for (size_t i = 0; i < CJ__COUNT(x); i++) {
            float y[CJ__COUNT(x)];
            isa->binary_f32[CJ__BINARY_POW](CJ__COUNT(x), x, &x[i], y, CJ__SPAN_B_SCALAR);
            for (size_t j = 0; j < CJ__COUNT(x); j++) {
                if (error_ulp(y[j], pow(x[j], x[i])) <= 1.0) continue;
                printf("%s: pow(%g, %g) = %.9g, want %.9g\n", isa->name, x[j], x[i], y[j],
                       pow(x[j], x[i]));
                bad++;
            }
        }
    }
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary_bounds),
        cmocka_unit_test(test_unary_special),
        cmocka_unit_test(test_pow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
