/* low.h: elements of eight bits and fewer, that files pack. */
#ifndef CAJAL_TENSOR_LOW_H
#define CAJAL_TENSOR_LOW_H

#include <cajal/tensor.h>

static inline bool cj__is_low(cj_dtype dtype)
{
    return cj_dtype_info(dtype)->kind >= CJ_KIND_LOW_FLOAT;
}
/* Do files put several elements into a byte? */
static inline bool cj__is_packed(cj_dtype dtype)
{
    return cj_dtype_info(dtype)->packed < 8;
}

/* A code of a dtype of CJ_KIND_LOW_FLOAT as a number, and a number as its nearest code. */
double cj__low_load(cj_dtype dtype, uint8_t code);
uint8_t cj__low_store(cj_dtype dtype, double value, cj_cast_mode mode);

/* The low bits of an integer as an element of i4, u4, i2, u2, or of another dtype as its code. */
int8_t cj__low_bits(cj_dtype dtype, int64_t value);

/* n elements from packed bytes, the first in the lowest bits, and back; bits past the last are 0.
 * The packed bytes may be the end of the elements' own memory. */
void cj__bits_unpack(cj_dtype dtype, uint8_t *to, const uint8_t *from, size_t n);
void cj__bits_pack(cj_dtype dtype, uint8_t *to, const uint8_t *from, size_t n);

#endif
