/* isa_math.h: exp, log, sin, tanh, erf and their kin on vectors of floats.
 *
 * All follow the same plan: reduce the argument to a small interval where a polynomial holds,
 * evaluate it with fused multiply-adds, put the exponent back. The reductions split their constants
 * in two so that they lose nothing even where the processor has no fused form. Special values are
 * settled by selection, never by branching. tools/isa_coefficients.py makes the polynomials; the
 * error bounds stand in isa.h. */
#ifndef CAJAL_BACKEND_CPU_ISA_MATH_H
#define CAJAL_BACKEND_CPU_ISA_MATH_H

#include <math.h>

#include "backend/cpu/isa_pieces.h"
#include "backend/cpu/simd.h"

#define POLY2(x, a, b) vf_fma(vf_set(b), x, vf_set(a))
#define POLY3(x, a, ...) vf_fma(POLY2(x, __VA_ARGS__), x, vf_set(a))
#define POLY4(x, a, ...) vf_fma(POLY3(x, __VA_ARGS__), x, vf_set(a))
#define POLY5(x, a, ...) vf_fma(POLY4(x, __VA_ARGS__), x, vf_set(a))
#define POLY6(x, a, ...) vf_fma(POLY5(x, __VA_ARGS__), x, vf_set(a))
#define POLY7(x, a, ...) vf_fma(POLY6(x, __VA_ARGS__), x, vf_set(a))
#define POLY8(x, a, ...) vf_fma(POLY7(x, __VA_ARGS__), x, vf_set(a))
#define POLY9(x, a, ...) vf_fma(POLY8(x, __VA_ARGS__), x, vf_set(a))
#define POLY10(x, a, ...) vf_fma(POLY9(x, __VA_ARGS__), x, vf_set(a))

/* ln 2 = LN2_HIGH + LN2_LOW; the high part has 10 bits, so its product with an exponent is exact.
 */
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f

SIMD vf power_of_two(vi n) { return (vf)((vu)(n + 127) << 23); } /* -126 <= n <= 127 */

/* x = n ln 2 + r with |r| <= ln 2 / 2; returns e^r - 1. |x| is at most 110. */
SIMD vf expm1_reduced(vf x, vf *n)
{
    *n = vf_round(x * vf_set(1.44269504f));
    vf r = vf_fma(*n, vf_set(-LN2_HIGH), x);
    r = vf_fma(*n, vf_set(-LN2_LOW), r);
    vf p = POLY6(r, 5.000000014e-01f, 1.666666676e-01f, 4.166646352e-02f, 8.333285685e-03f,
                 1.393380543e-03f, 1.990780972e-04f);
    return vf_fma(r * r, p, r);
}

/* The limits lie just past overflow and past the smallest denormal. 2^n is applied in two steps so
 * that results among the denormals and next to the largest float come out right. */
SIMD_LONG vf math_exp(vf x)
{
    vf n, clamped = vf_at_most(vf_at_least(x, vf_set(-104.0f)), vf_set(89.0f));
    vf p = expm1_reduced(clamped, &n) + vf_set(1.0f);
#if defined(CJ__ISA_AVX512)
    return (vf)_mm512_scalef_ps((__m512)p, (__m512)n); /* p 2^n, rounded once */
#else
    n = vf_select(vf_nan(n), (vf){0}, n);
    vi e = vf_int(n), half = e >> 1;
    return p * power_of_two(half) * power_of_two(e - half);
#endif
}

/* 2^n (e^r - 1) + (2^n - 1). From 88 on, the 1 no longer matters, and below -20 the rest. */
SIMD_LONG vf math_expm1(vf x)
{
    vf n, clamped = vf_min(vf_max(x, vf_set(-20.0f)), vf_set(87.0f));
    vf q = expm1_reduced(clamped, &n);
    n = vf_select(vf_nan(n), (vf){0}, n);
    vf s = power_of_two(vf_int(n));
    vf y = vf_fma(s, q, s - vf_set(1.0f));
    y = vf_select(vf_lt(vf_set(87.0f), x), math_exp(x), y);
    return vf_select(vf_eq(x, (vf){0}), x, y); /* keeps the sign of zero */
}

/* log(u + c), u > 0 and c small against u. u = 2^e m with m in [2/3, 4/3); f = m - 1 + c / 2^e. */
SIMD_LONG vf log_of_sum(vf u, vf c)
{
    vm small = vf_lt(u, vf_set(1.17549435e-38f));
    vf scaled = vf_select(small, u * vf_set(8388608.0f), u);
    vi e = (vi)((vu)scaled - 0x3f2aaaabu) >> 23;
    vf f = (vf)((vu)scaled - ((vu)e << 23)) - vf_set(1.0f);
    vf fe = vi_float(e);
    f += c * power_of_two((vi)vf_select(vi_lt(e, vi_set(127)), (vf)-e, (vf)vi_set(-126)));
    fe -= vf_select(small, vf_set(23.0f), (vf){0});
    vf p = POLY9(f, 3.333333553e-01f, -2.499987857e-01f, 1.999954488e-01f, -1.667700359e-01f,
                 1.430718975e-01f, -1.223063534e-01f, 1.071503664e-01f, -1.269676605e-01f,
                 1.217939078e-01f);
    vf f2 = f * f;
    vf tail = vf_fma(f2 * f, p, fe * vf_set(LN2_LOW));
    tail = vf_fma(f2, vf_set(-0.5f), tail);
    return vf_fma(fe, vf_set(LN2_HIGH), f + tail);
}

/* log of what is not positive and finite: -inf at 0, inf at inf, NaN below 0 and for NaN. */
SIMD vf log_special(vf x, vf y)
{
    y = vf_select(vf_eq(x, vf_set(INFINITY)), x, y);
    y = vf_select(vf_eq(x, (vf){0}), vf_set(-INFINITY), y);
    return vf_select(vm_or(vf_lt(x, (vf){0}), vf_nan(x)), vf_set(NAN), y);
}

SIMD_LONG vf math_log(vf x) { return log_special(x, log_of_sum(x, (vf){0})); }

/* The rounding error of 1 + x is handed on. */
SIMD_LONG vf math_log1p(vf x)
{
    vf one = vf_set(1.0f), u = one + x;
    vf c = vf_select(vf_lt(one, x), one - (u - x), x - (u - one));
    vf y = log_special(u, log_of_sum(u, c));
    return vf_select(vf_lt(vf_abs(x), vf_set(1e-10f)), x, y);
}

/* The quadrant is found in double precision, where n pi/2 in two parts is exact up to |x| = 2^20;
 * lanes beyond go through libm. shift is 0 for sine, 1 for cosine. */
SIMD_LONG vf sine(vf x, int shift, float (*beyond)(float))
{
    const vd high = vd_set(1.5707963267341256), low = vd_set(6.077100506506192e-11),
             scale = vd_set(0.63661977236758134);
    vm far = vm_not(vf_lt(vf_abs(x), vf_set(1048576.0f)));
    vf safe = vf_select(far, (vf){0}, x);
    vd x0 = vf_low(safe), x1 = vf_high(safe);
    vd n0 = vd_round(x0 * scale), n1 = vd_round(x1 * scale);
    vf r = vd_join(x0 - n0 * high - n0 * low, x1 - n1 * high - n1 * low);
    vi q = vf_int(vd_join(n0, n1)) + shift;
    vf z = r * r;
    vf s = POLY4(z, -1.666666666e-01f, 8.333331865e-03f, -1.984008142e-04f, 2.724922275e-06f);
    vf c = POLY4(z, 4.166666666e-02f, -1.388888766e-03f, 2.480059587e-05f, -2.730036395e-07f);
    s = vf_fma(s * z, r, r);
    c = vf_fma(z, vf_set(-0.5f), vf_set(1.0f)) + c * z * z;
    vf y = vf_select(vi_lt((vi){0}, q & 1), c, s);
    if (!shift) y = vf_select(vf_eq(x, (vf){0}), x, y);
    y = (vf)((vu)y ^ ((vu)(q & 2) << 30));
    if (vm_any(far)) {
        float lanes[VF_LANES], values[VF_LANES];
        vf_store(lanes, x), vf_store(values, y);
        for (int i = 0; i < VF_LANES; i++) {
            if (!(fabsf(lanes[i]) < 1048576.0f)) values[i] = beyond(lanes[i]);
        }
        y = vf_load(values);
    }
    return y;
}

SIMD_LONG vf math_sin(vf x) { return sine(x, 0, sinf); }
SIMD_LONG vf math_cos(vf x) { return sine(x, 1, cosf); }

#if defined(CJ__ISA_AVX512)
/* A polynomial of degree 5 for each interval of width h around k h: column k of the table, lowest
 * power first, with k = |x| / h rounded, at most n - 1. Past that the function is 1 in float.
 * Adding 2^23 leaves a whole number in the lowest bits, where vf_look_up wants it. */
SIMD vf piecewise(vf x, float h, int n, const float *table)
{
    const vf whole = vf_set(8388608.0f), end = vf_set(h * ((float)n - 0.53125f));
    const vf a = vf_at_most(vf_abs(x), end);
    const vf k = vf_fma(a, vf_set(1 / h), whole), u = vf_fma(k - whole, vf_set(-h), a);
    vf y = vf_look_up(n, table + 5 * n, k);
    SIMD_UNROLL
    for (int i = 4; i >= 0; i--) y = vf_fma(y, u, vf_look_up(n, table + i * n, k));
    return vf_sign_of(y, x);
}

SIMD_LONG vf math_tanh(vf x) { return piecewise(x, 0.296875f, 32, tanh_pieces[0]); }
SIMD_LONG vf math_erf(vf x) { return piecewise(x, 0.265625f, 16, erf_pieces[0]); }

#else

/* With t = e^(2|x|) - 1: tanh |x| = t / (t + 2), which is 1 in float from 10 on. */
SIMD_LONG vf math_tanh(vf x)
{
    vf n, a = vf_min(vf_abs(x), vf_set(10.0f));
    vf q = expm1_reduced(a + a, &n);
    n = vf_select(vf_nan(n), (vf){0}, n);
    vf s = power_of_two(vf_int(n));
    vf t = vf_fma(s, q, s - vf_set(1.0f));
    vf y = vf_select(vf_lt(a, vf_set(1e-5f)), a, t / (t + vf_set(2.0f)));
    return vf_sign_of(y, x);
}

/* Below 1 an odd polynomial; above, 1 - e^-p with a polynomial p for -log(erfc), so that only its
 * absolute error matters. erf is 1 in float from 4 on. */
SIMD_LONG vf math_erf(vf x)
{
    vf a = vf_min(vf_abs(x), vf_set(4.0f)), z = x * x;
    vf near = POLY8(z, 1.128379167e+00f, -3.761263848e-01f, 1.128378275e-01f, -2.686544582e-02f,
                    5.221074869e-03f, -8.484711278e-04f, 1.127054306e-04f, -9.680131919e-06f);
    vf p = POLY10(a, -1.252935444e-04f, 1.129203854e+00f, 6.341961233e-01f, 1.069614986e-01f,
                  -2.383650923e-02f, 3.360269446e-03f, -1.017597668e-04f, -6.434161345e-05f,
                  1.245280930e-05f, -7.845224293e-07f);
    vf far = vf_sign_of(vf_set(1.0f) - math_exp(-p), x);
    return vf_select(vf_lt(a, vf_set(1.0f)), near * x, vf_select(vf_nan(x), x, far));
}
#endif

/* With z = e^-|x| nothing overflows: 1 / (1 + z) above zero, z / (1 + z) below. */
SIMD_LONG vf math_sigmoid(vf x)
{
    vf one = vf_set(1.0f), z = math_exp(-vf_abs(x));
    return vf_select(vf_lt(x, (vf){0}), z, one) / (one + z);
}

/* max(x, 0) + log(1 + e^-|x|) */
SIMD_LONG vf math_softplus(vf x)
{
    return vf_max(x, (vf){0}) + math_log1p(math_exp(-vf_abs(x)));
}

/* 1 / x to 2 ulp, for x from 2^-126 to 2^126 to either side. */
SIMD vf near_reciprocal(vf x)
{
#if defined(CJ__ISA_AVX512)
    vf r = (vf)_mm512_rcp14_ps((__m512)x);
    return vf_fma(vf_fma(-x, r, vf_set(1.0f)), r, r);
#else
    return vf_set(1.0f) / x;
#endif
}

/* a / (sqrt(x) + t), where t is the same in all lanes, to 1 ulp of the quotient; of 8e7 random ones
 * none was off by one. Dividing and taking the root take most of an optimizer's time, so the
 * numbers that it meets take Newton steps; those near the ends of the range, and zeros, the
 * processor's own way. */
SIMD vf math_over_root(vf a, vf x, vf t)
{
#if defined(CJ__ISA_AVX512)
    const int32_t from_a = 0x1c800000, from_x = 0x17800000, to = 0x53800000; /* 2^-70, -80, 40 */
    const vf half = vf_set(0.5f);
    vf r = (vf)_mm512_rsqrt14_ps((__m512)x), root = x * r;
    r = r * half;
    vf e = vf_fma(-root, r, half);
    root = vf_fma(root, e, root);
    root = vf_fma(vf_fma(-root, root, x), vf_fma(r, e, r), root);
    vf below = root + t, q = near_reciprocal(below), y = a * q;
    y = vf_fma(vf_fma(-y, below, a), q, y);
    vm met = vm_and(vf_le((vf){0}, t), vf_le(t, vf_set(0x1p40f)));
    met = vm_and(met, vm_and(vi_lt(vi_set(from_x), vf_bits(x)), vi_lt(vf_bits(x), vi_set(to))));
    met = vm_and(met, vm_and(vi_lt(vi_set(from_a), vf_bits(vf_abs(a))),
                             vi_lt(vf_bits(vf_abs(a)), vi_set(to))));
    if (!vm_any(vm_not(met))) return y;
    return vf_select(met, y, a / (vf_sqrt(x) + t));
#else
    return a / (vf_sqrt(x) + t);
#endif
}

SIMD vf math_neg(vf x) { return -x; }
SIMD vf math_abs(vf x) { return vf_abs(x); }
SIMD vf math_sign(vf x)
{
    vf y = vf_sign_of(vf_set(1.0f), x);
    return vf_select(vm_or(vf_eq(x, (vf){0}), vf_nan(x)), x, y);
}
SIMD vf math_square(vf x) { return x * x; }
SIMD vf math_sqrt(vf x) { return vf_sqrt(x); }
SIMD vf math_rsqrt(vf x) { return vf_set(1.0f) / vf_sqrt(x); }
SIMD vf math_reciprocal(vf x) { return vf_set(1.0f) / x; }
SIMD vf math_floor(vf x) { return vf_floor(x); }
SIMD vf math_ceil(vf x) { return vf_ceil(x); }
SIMD vf math_round(vf x) { return vf_round(x); }
SIMD vf math_relu(vf x) { return vf_max(x, (vf){0}); }
SIMD vf math_step(vf x) { return vf_select(vf_lt((vf){0}, x), vf_set(1.0f), (vf){0}); }

SIMD vf math_add(vf a, vf b) { return a + b; }
SIMD vf math_sub(vf a, vf b) { return a - b; }
SIMD vf math_mul(vf a, vf b) { return a * b; }
SIMD vf math_div(vf a, vf b) { return a / b; }
SIMD vf math_max(vf a, vf b) { return vf_max(a, b); }
SIMD vf math_min(vf a, vf b) { return vf_min(a, b); }
SIMD vf math_relu_grad(vf a, vf b) { return vf_select(vf_lt((vf){0}, b), a, (vf){0}); }
/* Lane by lane through libm: pow has more special cases than lanes. */
SIMD_LONG vf math_pow(vf a, vf b)
{
    float x[VF_LANES], y[VF_LANES];
    vf_store(x, a), vf_store(y, b);
    for (int i = 0; i < VF_LANES; i++) x[i] = powf(x[i], y[i]);
    return vf_load(x);
}

#endif
