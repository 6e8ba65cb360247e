/* low.c: numbers of eight bits and fewer, that are stored, moved and cast, but not computed with.
 *
 * A small float is sign, exponent and mantissa; how wide they are, where the exponent is counted
 * from and which codes are no numbers is a line of a table:
 *
 *     value = (-1)^s 2^(e - bias) 1.m      e > 0          f8e4m3fn: s eeee mmm, bias 7
 *             (-1)^s 2^(1 - bias) 0.m      e = 0
 *
 * f8e8m0 has neither sign nor mantissa, and no zero: the code is the exponent of a power of two.
 *
 * Sources: OCP's 8-bit floating point specification 1.0, OCP's Microscaling formats 1.0, and for
 * what casts make of numbers out of range, ONNX's Cast. */
#include "tensor/low.h"

#include <math.h>

#include "base/compiler.h"

typedef struct layout {
    int mantissa, bias;
    uint8_t sign;     /* the sign's bit */
    uint8_t largest;  /* the code of the largest number */
    uint8_t infinity; /* what stands beyond it: infinity, or else NaN */
    uint8_t nan;      /* 0: none */
    bool one_nan;     /* the code of -0 is the only NaN; no sign on zero or NaN */
} layout;

static const layout layouts[] = {
    [CJ_F8E4M3FN - CJ_F8E4M3FN] = {3, 7, 0x80, 0x7e, 0x7f, 0x7f, false},
    [CJ_F8E4M3FNUZ - CJ_F8E4M3FN] = {3, 8, 0x80, 0x7f, 0x80, 0x80, true},
    [CJ_F8E5M2 - CJ_F8E4M3FN] = {2, 15, 0x80, 0x7b, 0x7c, 0x7e, false},
    [CJ_F8E5M2FNUZ - CJ_F8E4M3FN] = {2, 16, 0x80, 0x7f, 0x80, 0x80, true},
    [CJ_F8E8M0 - CJ_F8E4M3FN] = {0, 127, 0, 0xfe, 0xff, 0xff, false},
    [CJ_F4E2M1 - CJ_F8E4M3FN] = {1, 1, 8, 7, 7, 0, false},
};

static const layout *layout_of(cj_dtype dtype)
{
    CJ_ASSERT(cj_dtype_info(dtype)->kind == CJ_KIND_LOW_FLOAT);
    return &layouts[dtype - CJ_F8E4M3FN];
}

double cj__low_load(cj_dtype dtype, uint8_t code)
{
    const layout *l = layout_of(dtype);
    if (dtype == CJ_F8E8M0) return code == l->nan ? NAN : ldexp(1, code - l->bias);
    if (l->one_nan && code == l->nan) return NAN;
    int magnitude = code & (l->sign - 1), exponent = magnitude >> l->mantissa;
    int mantissa = magnitude & ((1 << l->mantissa) - 1);
    double value = magnitude == l->infinity && magnitude > l->largest && l->nan != l->infinity
                       ? INFINITY
                   : magnitude > l->largest ? NAN
                   : exponent
                       ? ldexp(mantissa + (1 << l->mantissa), exponent - l->bias - l->mantissa)
                       : ldexp(mantissa, 1 - l->bias - l->mantissa);
    return code & l->sign ? -value : value;
}

/* A power of two: the exponent of |value|, one more where the rest asks for it. */
static uint8_t store_power(double value, cj_cast_mode mode)
{
    enum { LARGEST = 0xfe, BIAS = 127, NO_NUMBER = 0xff };
    const bool wrong = mode & CJ_CAST_OVERFLOW;
    int exponent;
    if (isnan(value)) return NO_NUMBER;
    if (isinf(value)) return wrong ? NO_NUMBER : LARGEST;
    if (value == 0) return wrong ? NO_NUMBER : 0;
    const double rest = frexp(fabs(value), &exponent) * 2; /* 1 <= rest < 2 */
    const int round = mode & ~CJ_CAST_OVERFLOW;
    const bool up = round == CJ_CAST_DOWN      ? false
                    : round == CJ_CAST_NEAREST ? rest >= 1.5
                                               : rest > 1;
    exponent += BIAS - 1 + up;
    if (exponent < 0) return wrong ? NO_NUMBER : 0;
    return exponent <= LARGEST ? (uint8_t)exponent : wrong ? NO_NUMBER : LARGEST;
}

uint8_t cj__low_store(cj_dtype dtype, double value, cj_cast_mode mode)
{
    const layout *l = layout_of(dtype);
    if (dtype == CJ_F8E8M0) return store_power(value, mode);
    uint8_t sign = signbit(value) ? l->sign : 0;
    if (isnan(value)) return l->one_nan ? l->nan : l->nan ? sign | l->nan : l->sign;
    /* In units of the last place of the number's binade, or of the smallest normal one's. */
    int exponent, least = 1 - l->bias;
    double size = fabs(value);
    frexp(size, &exponent);
    exponent = size == 0 || exponent - 1 < least ? least : exponent - 1;
    const int beyond = l->largest + 1;
    double units = size > 0x1p20 ? 0x1p30 : nearbyint(ldexp(size, l->mantissa - exponent));
    /* The hidden bit adds one to the exponent's field, and so does a mantissa that rounds up. */
    double code = size > 0x1p20 ? beyond
                                : units + (double)((exponent - least) * (1 << l->mantissa));
    if (code >= beyond) {
        if (!(mode & CJ_CAST_OVERFLOW) || l->infinity == l->largest) return sign | l->largest;
        return l->one_nan ? l->nan : sign | l->infinity;
    }
    return l->one_nan && code == 0 ? 0 : sign | (uint8_t)code;
}

/* ---- Integers of two and four bits, and how files pack elements ------------------------------ */

int8_t cj__low_bits(cj_dtype dtype, int64_t value)
{
    const cj_dtype_row *row = cj_dtype_info(dtype);
    int size = 1 << row->packed, low = (int)((uint64_t)value & (uint64_t)(size - 1));
    bool negative = row->kind == CJ_KIND_LOW_SIGNED && low >= size / 2;
    return (int8_t)(negative ? low - size : low);
}

void cj__bits_unpack(cj_dtype dtype, uint8_t *to, const uint8_t *from, size_t n)
{
    const size_t bits = (size_t)cj_dtype_info(dtype)->packed;
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)cj__low_bits(dtype, from[i * bits / 8] >> i * bits % 8);
}

void cj__bits_pack(cj_dtype dtype, uint8_t *to, const uint8_t *from, size_t n)
{
    const size_t bits = (size_t)cj_dtype_info(dtype)->packed;
    for (size_t i = 0; i < n; i++) {
        if (i * bits % 8 == 0) to[i * bits / 8] = 0;
        to[i * bits / 8] |= (uint8_t)((from[i] & ((1u << bits) - 1)) << i * bits % 8);
    }
}
