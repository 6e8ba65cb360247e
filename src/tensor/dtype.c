/* dtype.c: what an element is and how one becomes another.
 *
 * Every conversion goes through a double or an int64: each dtype but (u)int64 fits a double
 * exactly, and integers meet integers through int64, which wraps. Loops stand inside the switch, so
 * an array costs one decision. The rules: floats round once, to nearest even; floats become
 * integers by cutting the fraction off, saturating, with NaN as 0; integers wrap; anything but zero
 * is true. */
#include "tensor/dtype.h"

#include <math.h>

#include "base/compiler.h"
#include "tensor/low.h"

static const cj_dtype_row rows[CJ_DTYPE_COUNT] = {
    [CJ_DTYPE_NONE] = {"none", 0, 0, CJ_KIND_FLOAT, "", 0, ""},
#define ROW(id, name, bits, packed, kind, numpy, onnx, safetensors)                                \
    [CJ_##id] = {#name, bits, packed, CJ_KIND_##kind, numpy, onnx, safetensors},
    CJ_DTYPE_LIST(ROW)
#undef ROW
};

const cj_dtype_row *cj_dtype_info(cj_dtype dtype)
{
    bool known = (int)dtype > CJ_DTYPE_NONE && (int)dtype < CJ_DTYPE_COUNT;
    return &rows[known ? dtype : CJ_DTYPE_NONE];
}

cj_dtype cj_dtype_find(const char *name)
{
    for (int i = CJ_DTYPE_NONE + 1; name && i < CJ_DTYPE_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0) return (cj_dtype)i;
    return CJ_DTYPE_NONE;
}

static bool same(const char *word, const char *text, size_t length)
{
    return strlen(word) == length && memcmp(word, text, length) == 0;
}

cj_dtype cj__dtype_from_numpy(const char *name, size_t length)
{
    for (int i = CJ_DTYPE_NONE + 1; i < CJ_DTYPE_COUNT; i++)
        if (i != CJ_BF16 && !cj__is_low((cj_dtype)i) && same(rows[i].numpy, name, length))
            return (cj_dtype)i;
    return CJ_DTYPE_NONE;
}

cj_dtype cj__dtype_from_onnx(int64_t number)
{
    for (int i = CJ_DTYPE_NONE + 1; i < CJ_DTYPE_COUNT; i++)
        if (rows[i].onnx == number) return (cj_dtype)i;
    return CJ_DTYPE_NONE;
}

cj_dtype cj__dtype_from_safetensors(const char *name, size_t length)
{
    for (int i = CJ_DTYPE_NONE + 1; i < CJ_DTYPE_COUNT; i++)
        if (length && same(rows[i].safetensors, name, length)) return (cj_dtype)i;
    return CJ_DTYPE_NONE;
}

/* ---- Small floats ---------------------------------------------------------------------------- */

/* The bits of `value` as a float of 1 + exponent_bits + mantissa_bits bits. The exponent field and
 * the mantissa are added, not joined, so a mantissa that rounds up carries into the exponent by
 * itself. */
static uint16_t small_float(double value, int exponent_bits, int mantissa_bits)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    unsigned sign = (unsigned)(bits >> 63) << (exponent_bits + mantissa_bits);
    int exponent = (int)(bits >> 52 & 0x7ff);
    uint64_t mantissa = bits & 0xfffffffffffff;
    unsigned infinity = ((1u << exponent_bits) - 1) << mantissa_bits;
    if (exponent == 0x7ff) {
        if (!mantissa) return (uint16_t)(sign | infinity);
        unsigned payload = (unsigned)(mantissa >> (52 - mantissa_bits)) | 1u << (mantissa_bits - 1);
        return (uint16_t)(sign | infinity | payload);
    }
    if (exponent == 0)
        return (uint16_t)sign; /* a subnormal double is far below half of the smallest */
    int shift = 52 - mantissa_bits;
    exponent += (1 << (exponent_bits - 1)) - 1 - 1023;
    mantissa |= UINT64_C(1) << 52;
    if (exponent <= 0) { /* becomes subnormal: no hidden bit */
        shift = exponent < -60 ? 60 : shift + 1 - exponent;
        if (shift > 60) shift = 60;
        exponent = 1;
    }
    uint64_t kept = mantissa >> shift, rest = mantissa & ((UINT64_C(1) << shift) - 1);
    uint64_t half = UINT64_C(1) << (shift - 1);
    if (rest > half || (rest == half && (kept & 1))) kept++;
    uint64_t result = ((uint64_t)(exponent - 1) << mantissa_bits) + kept;
    return (uint16_t)(sign | (result < infinity ? (unsigned)result : infinity));
}

uint16_t cj__f16_from_f64(double value)
{
    return small_float(value, 5, 10);
}

uint16_t cj__bf16_from_f64(double value)
{
    return small_float(value, 8, 7);
}

/* A double for an integer that is about to be rounded to 24 bits or fewer: the low bits that a
 * double has no room for are kept as one sticky bit, so that the integer is rounded once, not
 * twice. */
static double sticky(uint64_t value)
{
    if (value >> 53) value = (value | ((value & 0xfff) ? 0x1000 : 0)) & ~UINT64_C(0xfff);
    return (double)value;
}

static double sticky_signed(int64_t value)
{
    return value < 0 ? -sticky(0 - (uint64_t)value) : sticky((uint64_t)value);
}

/* ---- Loading and storing --------------------------------------------------------------------- */

#define INTEGERS(X)                                                                                \
    X(I8, int8_t, INT8_MIN, INT8_MAX)                                                              \
    X(I16, int16_t, INT16_MIN, INT16_MAX)                                                          \
    X(I32, int32_t, INT32_MIN, INT32_MAX)                                                          \
    X(U8, uint8_t, 0, UINT8_MAX)                                                                   \
    X(U16, uint16_t, 0, UINT16_MAX)                                                                \
    X(U32, uint32_t, 0, UINT32_MAX)

static int64_t saturate(double value, int64_t min, int64_t max)
{
    if (isnan(value)) return 0;
    return value <= (double)min ? min : value >= (double)max ? max : (int64_t)value;
}

static uint64_t saturate_u64(double value)
{
    return !(value > 0) ? 0 : value >= 0x1p64 ? UINT64_MAX : (uint64_t)value;
}

#define LOW_FLOAT_CASES                                                                            \
    case CJ_F8E4M3FN:                                                                              \
    case CJ_F8E4M3FNUZ:                                                                            \
    case CJ_F8E5M2:                                                                                \
    case CJ_F8E5M2FNUZ:                                                                            \
    case CJ_F8E8M0:                                                                                \
    case CJ_F4E2M1:
#define LOW_INTEGER_CASES                                                                          \
    case CJ_I4:                                                                                    \
    case CJ_U4:                                                                                    \
    case CJ_I2:                                                                                    \
    case CJ_U2:

/* One case of a switch: for every element, `a` is the array and `i` the index in it. */
#define CASE(id, type, statement)                                                                  \
    case CJ_##id: EACH(type, statement)
#define EACH(type, statement)                                                                      \
    {                                                                                              \
        type *a = (type *)array + first;                                                           \
        for (size_t i = 0; i < n; i++) statement;                                                  \
        break;                                                                                     \
    }

void cj__load_f64_n(cj_dtype dtype, const void *array, size_t first, size_t n, double *out)
{
    switch (dtype) {
        CASE(F64, const double, out[i] = a[i])
        CASE(F32, const float, out[i] = (double)a[i])
        CASE(F16, const uint16_t, out[i] = (double)cj__f16_to_f32(a[i]))
        CASE(BF16, const uint16_t, out[i] = (double)cj__bf16_to_f32(a[i]))
        CASE(I64, const int64_t, out[i] = (double)a[i])
        CASE(U64, const uint64_t, out[i] = (double)a[i])
        CASE(BOOL, const uint8_t, out[i] = a[i] != 0)
#define LOAD(id, type, min, max) CASE(id, const type, out[i] = (double)a[i])
        INTEGERS(LOAD)
#undef LOAD
    LOW_FLOAT_CASES EACH(const uint8_t, out[i] = cj__low_load(dtype, a[i]))
    LOW_INTEGER_CASES EACH(const uint8_t, out[i] = (double)cj__low_bits(dtype, a[i]))
        CASE(STRING, const uint64_t, out[i] = (double)a[i])
    case CJ_DTYPE_NONE:
    case CJ_DTYPE_COUNT: CJ_ASSERT(!"a dtype");
    }
}

void cj__load_i64_n(cj_dtype dtype, const void *array, size_t first, size_t n, int64_t *out)
{
    switch (dtype) {
        CASE(F64, const double, out[i] = saturate(a[i], INT64_MIN, INT64_MAX))
        CASE(F32, const float, out[i] = saturate((double)a[i], INT64_MIN, INT64_MAX))
        CASE(F16, const uint16_t,
             out[i] = saturate((double)cj__f16_to_f32(a[i]), INT64_MIN, INT64_MAX))
        CASE(BF16, const uint16_t,
             out[i] = saturate((double)cj__bf16_to_f32(a[i]), INT64_MIN, INT64_MAX))
        CASE(I64, const int64_t, out[i] = a[i])
        CASE(U64, const uint64_t, out[i] = (int64_t)a[i])
        CASE(BOOL, const uint8_t, out[i] = a[i] != 0)
#define LOAD(id, type, min, max) CASE(id, const type, out[i] = (int64_t)a[i])
        INTEGERS(LOAD)
#undef LOAD
    LOW_FLOAT_CASES EACH(const uint8_t,
                         out[i] = saturate(cj__low_load(dtype, a[i]), INT64_MIN, INT64_MAX))
    LOW_INTEGER_CASES EACH(const uint8_t, out[i] = cj__low_bits(dtype, a[i]))
        CASE(STRING, const uint64_t, out[i] = (int64_t)a[i])
    case CJ_DTYPE_NONE:
    case CJ_DTYPE_COUNT: CJ_ASSERT(!"a dtype");
    }
}

void cj__store_f64_n(cj_dtype dtype, void *array, size_t first, size_t n, const double *in)
{
    switch (dtype) {
        CASE(F64, double, a[i] = in[i])
        CASE(F32, float, a[i] = (float)in[i])
        CASE(F16, uint16_t, a[i] = cj__f16_from_f64(in[i]))
        CASE(BF16, uint16_t, a[i] = cj__bf16_from_f64(in[i]))
        CASE(I64, int64_t, a[i] = saturate(in[i], INT64_MIN, INT64_MAX))
        CASE(U64, uint64_t, a[i] = saturate_u64(in[i]))
        CASE(BOOL, uint8_t, a[i] = in[i] != 0)
#define STORE(id, type, min, max) CASE(id, type, a[i] = (type)saturate(in[i], min, max))
        INTEGERS(STORE)
#undef STORE
    LOW_FLOAT_CASES EACH(uint8_t, a[i] = cj__low_store(dtype, in[i], CJ_CAST_UP))
    LOW_INTEGER_CASES EACH(int8_t,
                           a[i] = cj__low_bits(dtype, saturate(in[i], INT64_MIN, INT64_MAX)))
        CASE(STRING, uint64_t, a[i] = saturate_u64(in[i]))
    case CJ_DTYPE_NONE:
    case CJ_DTYPE_COUNT: CJ_ASSERT(!"a dtype");
    }
}

void cj__store_i64_n(cj_dtype dtype, void *array, size_t first, size_t n, const int64_t *in)
{
    switch (dtype) {
        CASE(F64, double, a[i] = (double)in[i])
        CASE(F32, float, a[i] = (float)in[i])
        CASE(F16, uint16_t, a[i] = cj__f16_from_f64(sticky_signed(in[i])))
        CASE(BF16, uint16_t, a[i] = cj__bf16_from_f64(sticky_signed(in[i])))
        CASE(I64, int64_t, a[i] = in[i])
        CASE(U64, uint64_t, a[i] = (uint64_t)in[i])
        CASE(BOOL, uint8_t, a[i] = in[i] != 0)
#define STORE(id, type, min, max) CASE(id, type, a[i] = (type)(uint64_t)in[i])
        INTEGERS(STORE)
#undef STORE
    LOW_FLOAT_CASES EACH(uint8_t,
                         a[i] = cj__low_store(dtype, sticky_signed(in[i]), CJ_CAST_UP))
    LOW_INTEGER_CASES EACH(int8_t, a[i] = cj__low_bits(dtype, in[i]))
        CASE(STRING, uint64_t, a[i] = (uint64_t)in[i])
    case CJ_DTYPE_NONE:
    case CJ_DTYPE_COUNT: CJ_ASSERT(!"a dtype");
    }
}

double cj_load_f64(cj_dtype dtype, const void *array, size_t i)
{
    double value = 0;
    cj__load_f64_n(dtype, array, i, 1, &value);
    return value;
}

int64_t cj_load_i64(cj_dtype dtype, const void *array, size_t i)
{
    int64_t value = 0;
    cj__load_i64_n(dtype, array, i, 1, &value);
    return value;
}

void cj_store_f64(cj_dtype dtype, void *array, size_t i, double value)
{
    cj__store_f64_n(dtype, array, i, 1, &value);
}

void cj_store_i64(cj_dtype dtype, void *array, size_t i, int64_t value)
{
    cj__store_i64_n(dtype, array, i, 1, &value);
}

/* ---- Conversion of arrays -------------------------------------------------------------------- */

static bool is_real(cj_dtype dtype)
{
    cj_dtype_kind kind = cj_dtype_info(dtype)->kind;
    return kind == CJ_KIND_FLOAT || kind == CJ_KIND_LOW_FLOAT;
}

/* Numbers in double, as a small float in a mode of its own. */
static void store_as(cj_dtype dtype, void *array, size_t first, size_t n, const double *in,
                     cj_cast_mode mode)
{
    uint8_t *a = (uint8_t *)array + first;
    if (mode == CJ_CAST_UP || cj_dtype_info(dtype)->kind != CJ_KIND_LOW_FLOAT)
        cj__store_f64_n(dtype, array, first, n, in);
    else
        for (size_t i = 0; i < n; i++) a[i] = cj__low_store(dtype, in[i], mode);
}

void cj__convert(cj_dtype to_dtype, void *to, cj_dtype from_dtype, const void *from, size_t n)
{
    cj__convert_as(to_dtype, to, from_dtype, from, n, CJ_CAST_UP);
}

void cj__convert_as(cj_dtype to_dtype, void *to, cj_dtype from_dtype, const void *from, size_t n,
                    cj_cast_mode mode)
{
    enum { BLOCK = 256 };
    if (to_dtype == from_dtype) {
        if (n) memcpy(to, from, n * cj__dtype_bytes(to_dtype));
        return;
    }
    double reals[BLOCK];
    int64_t whole[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t block = n - i < BLOCK ? n - i : BLOCK;
        if (is_real(from_dtype) || (from_dtype == CJ_U64 && to_dtype == CJ_F64)) {
            cj__load_f64_n(from_dtype, from, i, block, reals);
            store_as(to_dtype, to, i, block, reals, mode);
        } else if (is_real(to_dtype) && (from_dtype == CJ_U64 || cj__is_low(to_dtype))) {
            cj__load_i64_n(from_dtype, from, i, block, whole);
            for (size_t j = 0; j < block; j++)
                reals[j] = from_dtype == CJ_U64 ? sticky((uint64_t)whole[j])
                                                : sticky_signed(whole[j]);
            store_as(to_dtype, to, i, block, reals, mode);
        } else {
            cj__load_i64_n(from_dtype, from, i, block, whole);
            cj__store_i64_n(to_dtype, to, i, block, whole);
        }
    }
}
