/* size.h: the one place where sizes that come from outside are multiplied and added. */
#ifndef CAJAL_BASE_SIZE_H
#define CAJAL_BASE_SIZE_H

#include "base/context.h"

/* true when the result fits; *out is untouched otherwise. */
bool cj__size_add(size_t a, size_t b, size_t *out);
bool cj__size_mul(size_t a, size_t b, size_t *out);
/* Of one value: what processors address. */
#define CJ__BYTES_MAX ((size_t)1 << 47)

/* Product of non-negative dimensions. false: a negative one or more than INT64_MAX elements. An
 * empty shape counts 1; a zero dimension gives 0 even when the others would overflow. */
bool cj__count(int rank, const int64_t *shape, int64_t *count);
/* Bytes of `count` packed elements of `bits` bits, rounded up; false when it does not fit. */
bool cj__bytes(int64_t count, int bits, size_t *bytes);
size_t cj__round_up(size_t size, size_t to_power_of_two);

#endif
