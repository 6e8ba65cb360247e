/* size.c: the one place where sizes that come from outside are multiplied and added. */
#include "base/size.h"

bool cj__size_add(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (CJ__ADD_OVERFLOWS(a, b, &sum)) return false;
    *out = sum;
    return true;
}

bool cj__size_mul(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (CJ__MUL_OVERFLOWS(a, b, &product)) return false;
    *out = product;
    return true;
}

bool cj__count(int rank, const int64_t *shape, int64_t *count)
{
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0) return false;
        if (shape[i] == 0) empty = true;
    }
    int64_t product = empty ? 0 : 1;
    for (int i = 0; i < rank && !empty; i++)
        if (CJ__MUL_OVERFLOWS(product, shape[i], &product)) return false;
    *count = product;
    return true;
}

bool cj__bytes(int64_t count, int bits, size_t *bytes)
{
    if (count < 0 || bits < 0) return false;
    /* Whole groups of eight elements take `bits` bytes, so the total in bits need not fit. */
    size_t groups = (size_t)(count / 8), rest = ((size_t)(count % 8) * (size_t)bits + 7) / 8, total;
    if (CJ__MUL_OVERFLOWS(groups, (size_t)bits, &total)) return false;
    if (CJ__ADD_OVERFLOWS(total, rest, &total)) return false;
    *bytes = total;
    return true;
}

/* Saturates at the largest multiple, so that a caller who did not check gets a refusal from the
 * allocator and not a small block. */
size_t cj__round_up(size_t size, size_t to_power_of_two)
{
    CJ_ASSERT(to_power_of_two && !(to_power_of_two & (to_power_of_two - 1)));
    size_t mask = to_power_of_two - 1;
    return size > SIZE_MAX - mask ? SIZE_MAX & ~mask : (size + mask) & ~mask;
}
