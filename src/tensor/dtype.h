/* dtype.h: element conversions for the library's own loops; cj_load_f64 and friends are the same
 * one element at a time. */
#ifndef CAJAL_TENSOR_DTYPE_H
#define CAJAL_TENSOR_DTYPE_H

#include <string.h>

#include <cajal/tensor.h>

/* Rounded once, to nearest even; overflow gives infinity, NaN stays NaN. */
uint16_t cj__f16_from_f64(double value);
uint16_t cj__bf16_from_f64(double value);

static inline float cj__bf16_to_f32(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline float cj__f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31,
             mantissa = half & 1023;
    float value;
    if (exponent == 0) { /* zero and subnormal: mantissa * 2^-24 */
        value = (float)mantissa * 0x1p-24f;
        return sign ? -value : value;
    }
    uint32_t bits = sign | mantissa << 13 | (exponent == 31 ? 255u : exponent + 112) << 23;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Elements first .. first+n-1 of `array`, as cj_load_* and cj_store_* convert one. */
void cj__load_f64_n(cj_dtype dtype, const void *array, size_t first, size_t n, double *out);
void cj__load_i64_n(cj_dtype dtype, const void *array, size_t first, size_t n, int64_t *out);
void cj__store_f64_n(cj_dtype dtype, void *array, size_t first, size_t n, const double *in);
void cj__store_i64_n(cj_dtype dtype, void *array, size_t first, size_t n, const int64_t *in);

/* Converts n elements; `to` and `from` do not overlap. The same dtype copies the bits. */
void cj__convert(cj_dtype to_dtype, void *to, cj_dtype from_dtype, const void *from, size_t n);
void cj__convert_as(cj_dtype to_dtype, void *to, cj_dtype from_dtype, const void *from, size_t n,
                    cj_cast_mode mode);

/* The dtype with this name in numpy ("f4", without byte order; never one that travels as
 * raw bits), ONNX or safetensors;
 * CJ_DTYPE_NONE for none. `name` need not end in NUL. */
cj_dtype cj__dtype_from_numpy(const char *name, size_t length);
cj_dtype cj__dtype_from_onnx(int64_t number);
cj_dtype cj__dtype_from_safetensors(const char *name, size_t length);
/* Bytes of one element in memory. */
static inline size_t cj__dtype_bytes(cj_dtype dtype)
{
    return (size_t)cj_dtype_info(dtype)->bits / 8;
}

#endif
