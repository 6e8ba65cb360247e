/* samples.c: tensors whose first axis counts samples, joined and cut. */
#include "data/dataset.h"

#include <string.h>

cj_status cj__samples_join(cj_context *cj, const char *name, cj_tensor **a, const cj_tensor *b)
{
    int64_t shape[CJ_RANK_MAX];
    const int rank = cj_tensor_rank(*a);
    memcpy(shape, cj_tensor_shape(*a), (size_t)rank * sizeof *shape);
    if (cj_tensor_dtype(*a) != cj_tensor_dtype(b) || cj_tensor_rank(b) != rank ||
        memcmp(shape + 1, cj_tensor_shape(b) + 1, (size_t)(rank - 1) * sizeof *shape))
        return cj_fail(cj, CJ_ERR_SHAPE, "%s: training and test samples are of different kinds",
                       name);
    shape[0] += cj_tensor_shape(b)[0];
    cj_tensor *both = cj_tensor_new(cj, cj_tensor_dtype(b), rank, shape);
    if (!both) return cj_last_status(cj);
    char *to = cj_tensor_map(both, CJ_MAP_WRITE);
    const size_t first = cj_tensor_size_bytes(*a), second = cj_tensor_size_bytes(b);
    if (first) memcpy(to, cj_tensor_map_read(*a), first);
    if (second) memcpy(to + first, cj_tensor_map_read(b), second);
    cj_tensor_unmap(both);
    cj_tensor_free(*a);
    *a = both;
    return CJ_OK;
}

cj_status cj__samples_cut(cj_context *cj, cj_tensor **t, int64_t limit)
{
    if (!*t || limit <= 0 || limit >= cj_tensor_shape(*t)[0]) return CJ_OK;
    cj_tensor *rows = cj_tensor_rows(*t, 0, limit);
    cj_tensor *copy = rows ? cj_tensor_copy(rows) : NULL; /* so that the rest can go */
    cj_tensor_free(rows);
    if (!copy) return cj_last_status(cj);
    cj_tensor_free(*t);
    *t = copy;
    return CJ_OK;
}
