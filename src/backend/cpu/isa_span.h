/* isa_span.h: a function of vectors becomes a function of spans: whole vectors, then the rest in
 * one more, in the same loop where functions may be long.
 *
 * An element's result does not depend on its place. Double precision and bytes are plain loops,
 * which the compiler turns into vectors with this table's flags. */
#include "backend/cpu/isa.h"
#include "backend/cpu/isa_math.h"

typedef vf (*vf_unary)(vf);
typedef vf (*vf_binary)(vf, vf);
typedef vm (*vf_compare)(vf, vf);

SIMD vf load_rest(const float *x, size_t n) { return n < VF_LANES ? vf_load_n(x, n) : vf_load(x); }

SIMD void store_rest(float *x, vf y, size_t n)
{
    if (n < VF_LANES) vf_store_n(x, y, n);
    else vf_store(x, y);
}

SIMD void span_unary(size_t n, const float *a, float *out, vf_unary f)
{
    for (size_t i = 0; i < n; i += VF_LANES) {
        const size_t rest = n - i;
        const vf y = f(load_rest(a + i, rest));
        store_rest(out + i, y, rest);
    }
}

/* a_step, b_step are constants, VF_LANES or 0, where this is inlined. */
SIMD void span_binary_steps(size_t n, const float *a, const float *b, float *out, int a_step,
                            int b_step, vf_binary f)
{
    const vf x0 = vf_set(a_step ? 0 : *a), y0 = vf_set(b_step ? 0 : *b);
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(out + i, f(a_step ? vf_load(a + i) : x0, b_step ? vf_load(b + i) : y0));
    if (i < n) {
        const vf x = a_step ? vf_load_n(a + i, n - i) : x0,
                 y = b_step ? vf_load_n(b + i, n - i) : y0;
        vf_store_n(out + i, f(x, y), n - i);
    }
}

SIMD void span_binary(size_t n, const float *a, const float *b, float *out, unsigned flags,
                      vf_binary f)
{
    if (!n) return;
    switch (flags & 3) {
    case 0: span_binary_steps(n, a, b, out, VF_LANES, VF_LANES, f); break;
    case CJ__SPAN_A_SCALAR: span_binary_steps(n, a, b, out, 0, VF_LANES, f); break;
    case CJ__SPAN_B_SCALAR: span_binary_steps(n, a, b, out, VF_LANES, 0, f); break;
    default: span_binary_steps(n, a, b, out, 0, 0, f); break;
    }
}

SIMD void span_compare(size_t n, const float *a, const float *b, uint8_t *out, unsigned flags,
                       vf_compare f)
{
    if (!n) return;
    const bool a_one = flags & CJ__SPAN_A_SCALAR, b_one = flags & CJ__SPAN_B_SCALAR;
    const vf x0 = vf_set(*a), y0 = vf_set(*b);
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vm_store(out + i, f(a_one ? x0 : vf_load(a + i), b_one ? y0 : vf_load(b + i)));
    if (i < n) {
        uint8_t rest[VF_LANES];
        vm_store(rest,
                 f(a_one ? x0 : vf_load_n(a + i, n - i), b_one ? y0 : vf_load_n(b + i, n - i)));
        memcpy(out + i, rest, n - i);
    }
}

SIMD vm compare_eq(vf a, vf b) { return vf_eq(a, b); }
SIMD vm compare_ne(vf a, vf b) { return vm_not(vf_eq(a, b)); }
SIMD vm compare_lt(vf a, vf b) { return vf_lt(a, b); }
SIMD vm compare_le(vf a, vf b) { return vf_le(a, b); }
SIMD vm compare_gt(vf a, vf b) { return vf_lt(b, a); }
SIMD vm compare_ge(vf a, vf b) { return vf_le(b, a); }

/* ---- Double precision, an element at a time ---- */

SIMD double f64_neg(double x) { return -x; }
SIMD double f64_abs(double x) { return fabs(x); }
SIMD double f64_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
SIMD double f64_square(double x) { return x * x; }
SIMD double f64_sqrt(double x) { return sqrt(x); }
SIMD double f64_rsqrt(double x) { return 1 / sqrt(x); }
SIMD double f64_reciprocal(double x) { return 1 / x; }
SIMD double f64_exp(double x) { return exp(x); }
SIMD double f64_expm1(double x) { return expm1(x); }
SIMD double f64_log(double x) { return log(x); }
SIMD double f64_log1p(double x) { return log1p(x); }
SIMD double f64_sin(double x) { return sin(x); }
SIMD double f64_cos(double x) { return cos(x); }
SIMD double f64_tanh(double x) { return tanh(x); }
SIMD double f64_sigmoid(double x)
{
    double z = exp(-fabs(x));
    return (x < 0 ? z : 1) / (1 + z);
}
SIMD double f64_erf(double x) { return erf(x); }
SIMD double f64_softplus(double x) { return (x < 0 ? 0 : x) + log1p(exp(-fabs(x))); }
SIMD double f64_floor(double x) { return floor(x); }
SIMD double f64_ceil(double x) { return ceil(x); }
SIMD double f64_round(double x) { return rint(x); }
SIMD double f64_relu(double x) { return x < 0 ? 0 : x; }
SIMD double f64_step(double x) { return x > 0; }
SIMD double f64_add(double a, double b) { return a + b; }
SIMD double f64_sub(double a, double b) { return a - b; }
SIMD double f64_mul(double a, double b) { return a * b; }
SIMD double f64_div(double a, double b) { return a / b; }
SIMD double f64_pow(double a, double b) { return pow(a, b); }
SIMD double f64_max(double a, double b) { return a > b || a != a ? a : b; }
SIMD double f64_min(double a, double b) { return a < b || a != a ? a : b; }
SIMD double f64_relu_grad(double a, double b) { return b > 0 ? a : 0; }

/* ---- One function for each row of the lists ---- */

#define DEFINE_UNARY(NAME, name, ulp) \
    static void unary_f32_##name(size_t n, const float *a, float *out) \
    { \
        span_unary(n, a, out, math_##name); \
    } \
    static void unary_f64_##name(size_t n, const double *a, double *out) \
    { \
        for (size_t i = 0; i < n; i++) out[i] = f64_##name(a[i]); \
    }
CJ__UNARY_LIST(DEFINE_UNARY)

#define DEFINE_BINARY(NAME, name, ulp) \
    static void binary_f32_##name(size_t n, const float *a, const float *b, float *out, \
                                  unsigned flags) \
    { \
        span_binary(n, a, b, out, flags, math_##name); \
    } \
    static void binary_f64_##name(size_t n, const double *a, const double *b, double *out, \
                                  unsigned flags) \
    { \
        if (!n) return; \
        const double x = *a, y = *b; \
        if (flags & CJ__SPAN_A_SCALAR) \
            for (size_t i = 0; i < n; i++) \
                out[i] = f64_##name(x, flags & CJ__SPAN_B_SCALAR ? y : b[i]); \
        else if (flags & CJ__SPAN_B_SCALAR) \
            for (size_t i = 0; i < n; i++) out[i] = f64_##name(a[i], y); \
        else \
            for (size_t i = 0; i < n; i++) out[i] = f64_##name(a[i], b[i]); \
    }
CJ__BINARY_LIST(DEFINE_BINARY)

#define DEFINE_COMPARE(NAME, name, op) \
    static void compare_f32_##name(size_t n, const float *a, const float *b, uint8_t *out, \
                                   unsigned flags) \
    { \
        span_compare(n, a, b, out, flags, compare_##name); \
    } \
    static void compare_f64_##name(size_t n, const double *a, const double *b, uint8_t *out, \
                                   unsigned flags) \
    { \
        const size_t a_step = !(flags & CJ__SPAN_A_SCALAR), b_step = !(flags & CJ__SPAN_B_SCALAR); \
        for (size_t i = 0; i < n; i++) out[i] = a[i * a_step] op b[i * b_step]; \
    }
CJ__COMPARE_LIST(DEFINE_COMPARE)

/* ---- Idioms ---- */

typedef vf (*vf_idiom)(vf a, vf b, vf c, vf d, vf e, vf s, vf t, vf u);

/* `spans` and `numbers` are constants where this is inlined. */
SIMD void span_idiom(size_t n, void *const *in, float *out, int spans, int numbers, vf_idiom f)
{
    const float *a = in[0], *b = spans > 1 ? in[1] : a, *c = spans > 2 ? in[2] : a,
                *d = spans > 3 ? in[3] : a, *e = spans > 4 ? in[4] : a;
    if (!n) return;
    const vf s = numbers > 0 ? vf_set(*(const float *)in[spans]) : (vf){0},
             t = numbers > 1 ? vf_set(*(const float *)in[spans + 1]) : s,
             u = numbers > 2 ? vf_set(*(const float *)in[spans + 2]) : s;
    for (size_t i = 0; i < n; i += VF_LANES) {
        const size_t rest = n - i;
        const vf y = f(load_rest(a + i, rest), load_rest(b + i, rest), load_rest(c + i, rest),
                       load_rest(d + i, rest), load_rest(e + i, rest), s, t, u);
        store_rest(out + i, y, rest);
    }
}

#define DEFINE_IDIOM(NAME, name, form, spans, numbers, expression) \
    SIMD vf math_##name(vf a, vf b, vf c, vf d, vf e, vf s, vf t, vf u) \
    { \
        (void)b, (void)c, (void)d, (void)e, (void)s, (void)t, (void)u; \
        return expression; \
    } \
    static void idiom_##name(size_t n, void *const *in, float *out) \
    { \
        span_idiom(n, in, out, spans, numbers, math_##name); \
    }
CJ__IDIOM_LIST(DEFINE_IDIOM)

/* Steps of 0 and 1 rather than a test in the loop, which the compiler would turn into a loop for
 * each case. */
#define LOGICAL(name, expression) \
    static void logical_##name(size_t n, const uint8_t *a, const uint8_t *b, uint8_t *out, \
                               unsigned flags) \
    { \
        if (!b) b = a; \
        const size_t a_step = !(flags & CJ__SPAN_A_SCALAR), b_step = !(flags & CJ__SPAN_B_SCALAR); \
        const bool x0 = n && *a, y0 = n && *b; \
        if (a_step && b_step) { \
            for (size_t i = 0; i < n; i++) { \
                const bool x = a[i], y = b[i]; \
                (void)y; \
                out[i] = expression; \
            } \
            return; \
        } \
        for (size_t i = 0; i < n; i++) { \
            const bool x = a_step ? a[i] : x0, y = b_step ? b[i] : y0; \
            (void)y; \
            out[i] = expression; \
        } \
    }
LOGICAL(and, x & y)
LOGICAL(or, x | y)
LOGICAL(xor, x ^ y)
LOGICAL(not, !x)

#define WHERE(T) \
    static void where_##T(size_t n, const uint8_t *c, const T *a, const T *b, T *out, \
                          unsigned flags) \
    { \
        const size_t a_step = !(flags & CJ__SPAN_A_SCALAR), b_step = !(flags & CJ__SPAN_B_SCALAR); \
        const size_t c_step = !(flags & CJ__SPAN_C_SCALAR); \
        const T x0 = *a, y0 = *b; /* out may be either */ \
        if (a_step && b_step && c_step) { \
            for (size_t i = 0; i < n; i++) { \
                const T x = a[i], y = b[i]; /* both are read, so that the loop has no branch */ \
                out[i] = c[i] ? x : y; \
            } \
            return; \
        } \
        if (a_step && c_step) { /* the gradient of relu, where it keeps a mask */ \
            for (size_t i = 0; i < n; i++) { \
                const T x = a[i]; \
                out[i] = c[i] ? x : y0; \
            } \
            return; \
        } \
        const bool c0 = *c; \
        for (size_t i = 0; i < n; i++) { \
            const T *p = a_step ? a + i : &x0, *q = b_step ? b + i : &y0; \
            out[i] = *((c_step ? c[i] : c0) ? p : q); \
        } \
    }
WHERE(uint8_t)
WHERE(uint16_t)
WHERE(uint32_t)
WHERE(uint64_t)

static void where_any(size_t size, size_t n, const uint8_t *c, const void *a, const void *b,
                      void *out, unsigned flags)
{
    if (!n) return;
    switch (size) {
    case 1: where_uint8_t(n, c, a, b, out, flags); break;
    case 2: where_uint16_t(n, c, a, b, out, flags); break;
    case 4: where_uint32_t(n, c, a, b, out, flags); break;
    case 8: where_uint64_t(n, c, a, b, out, flags); break;
    default: break;
    }
}

/* The limits are written as floats: the largest int32 and int64 are not, the next powers of two
 * are. */
SIMD uint8_t convert_F32_U8(float x) { return x >= 255 ? 255 : x > 0 ? (uint8_t)x : 0; }
SIMD int8_t convert_F32_I8(float x)
{
    return x >= 127 ? 127 : x <= -128 ? -128 : x == x ? (int8_t)x : 0;
}
SIMD int32_t convert_F32_I32(float x)
{
    return x >= 0x1p31f ? INT32_MAX : x <= -0x1p31f ? INT32_MIN : x == x ? (int32_t)x : 0;
}
SIMD int64_t convert_F32_I64(float x)
{
    return x >= 0x1p63f ? INT64_MAX : x <= -0x1p63f ? INT64_MIN : x == x ? (int64_t)x : 0;
}
SIMD bool convert_F32_BOOL(float x) { return x != 0; }
SIMD double convert_F32_F64(float x) { return x; }
SIMD float convert_F64_F32(double x) { return (float)x; }
SIMD float convert_U8_F32(uint8_t x) { return x; }
SIMD float convert_I8_F32(int8_t x) { return x; }
SIMD float convert_I32_F32(int32_t x) { return (float)x; }
SIMD float convert_I64_F32(int64_t x) { return (float)x; }

/* Halves by integer arithmetic without branches, which becomes vectors everywhere. The compiler
 * must not see a floating-point operation on a subnormal number: sessions count those as zero. */
SIMD uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
SIMD float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
SIMD float convert_BF16_F32(uint16_t x) { return float_of((uint32_t)x << 16); }
SIMD uint16_t convert_F32_BF16(float x)
{
    uint32_t b = bits_of(x), rounded = b + 0x7fff + (b >> 16 & 1);
    return (uint16_t)(((b & 0x7fffffff) > 0x7f800000 ? b | 0x400000 : rounded) >> 16);
}
/* The exponent's bias is 127 here and 15 there. A subnormal half is 2^-14 (1 + m) - 2^-14. */
SIMD float convert_F16_F32(uint16_t x)
{
    uint32_t magnitude = (uint32_t)(x & 0x7fff) << 13, exponent = magnitude & 0xf800000,
             sign = (uint32_t)(x & 0x8000) << 16, normal = magnitude + (112u << 23);
    uint32_t special = normal + (112u << 23),
             subnormal = bits_of(float_of(normal + (1u << 23)) - float_of(113u << 23));
    return float_of(sign | (exponent == 0xf800000 ? special : exponent ? normal : subnormal));
}
/* Adding 1/2 to a number below 2^-14 rounds it to multiples of 2^-24. */
SIMD uint16_t convert_F32_F16(float x)
{
    uint32_t b = bits_of(x), sign = b >> 16 & 0x8000, m = b & 0x7fffffff;
    uint32_t normal = (m - (112u << 23) + 0xfff + (m >> 13 & 1)) >> 13,
             subnormal = bits_of(float_of(m) + 0.5f) - bits_of(0.5f),
             special = m > 0x7f800000 ? 0x7e00 : 0x7c00;
    return (uint16_t)(sign | (m >= 143u << 23 ? special : m < 113u << 23 ? subnormal : normal));
}

#define CAST(NAME, from, to)                                                                       \
    static void cast_##NAME(size_t n, const void *in, void *out)                                   \
    {                                                                                              \
        const from *restrict x = in;                                                               \
        to *restrict y = out;                                                                      \
        for (size_t i = 0; i < n; i++) y[i] = convert_##NAME(x[i]);                                \
    }
CJ__CAST_LIST(CAST)
