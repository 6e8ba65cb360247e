/* block.c: most operators on shapes are one copy of a block of elements between two layouts.
 *
 * A layout is a start and a stride for each axis. Transposing exchanges strides, broadcasting sets
 * some to 0, reversing makes them negative, slicing and padding move the start:
 *
 *     y = x[1:3, ::-1] of x[4, 5]      from: start 1*5 + 4, strides {5, -1}     to: strides {5, 1}
 */
#include "graph/ops/block.h"

#include "tensor/dtype.h"

const cj_option cj__last_axis_options[] = {CJ_OPTION_INT(cj__axis_attrs, axis, -1, -CJ_RANK_MAX,
                                                         CJ_RANK_MAX - 1,
                                                         "the axis; negative counts from the end"),
                                           CJ_OPTION_END};
const cj_option cj__first_axis_options[] = {CJ_OPTION_INT(cj__axis_attrs, axis, 0, -CJ_RANK_MAX,
                                                          CJ_RANK_MAX - 1,
                                                          "the axis; negative counts from the end"),
                                            CJ_OPTION_END};

/* ---- Copying --------------------------------------------------------------------------------- */

#define COPY_ROW(type) \
    do { \
        type *y = to; \
        const type *x = from; \
        for (int64_t i = 0; i < n; i++) y[i * to_stride] = x[i * from_stride]; \
    } while (0)

static void copy_row(size_t bytes, int64_t n, void *to, int64_t to_stride, const void *from,
                     int64_t from_stride)
{
    if (to_stride == 1 && from_stride == 1) {
        memcpy(to, from, (size_t)n * bytes);
        return;
    }
    switch (bytes) {
    case 1: COPY_ROW(uint8_t); break;
    case 2: COPY_ROW(uint16_t); break;
    case 4: COPY_ROW(uint32_t); break;
    default: COPY_ROW(uint64_t); break;
    }
}

/* Axes of size 1 are dropped and neighbours that are one walk in both layouts merged, so that rows
 * are as long as can be. Returns false when there is nothing to copy. */
static bool merge_axes(const cj__block *b, cj__block *merged)
{
    *merged = (cj__block){0};
    for (int i = 0; i < b->rank; i++) {
        if (b->dim[i] == 0) return false;
        if (b->dim[i] == 1) continue;
        int last = merged->rank - 1;
        if (last >= 0 && merged->to_stride[last] == b->dim[i] * b->to_stride[i] &&
            merged->from_stride[last] == b->dim[i] * b->from_stride[i]) {
            merged->dim[last] *= b->dim[i];
        } else {
            last = merged->rank++;
            merged->dim[last] = b->dim[i];
        }
        merged->to_stride[last] = b->to_stride[i];
        merged->from_stride[last] = b->from_stride[i];
    }
    return true;
}

void cj__block_copy(const cj__block *block, cj_dtype dtype, void *to, const void *from)
{
    size_t bytes = cj__dtype_bytes(dtype);
    cj__block b;
    if (!merge_axes(block, &b)) return;
    int last = b.rank - 1;
    if (last < 0) {
        memcpy(to, from, bytes);
        return;
    }
    int64_t at[CJ_RANK_MAX] = {0}, y = 0, x = 0; /* the odometer of all axes but the last */
    for (;;) {
        copy_row(bytes, b.dim[last], (char *)to + y * (int64_t)bytes, b.to_stride[last],
                 (const char *)from + x * (int64_t)bytes, b.from_stride[last]);
        int axis = last - 1;
        while (axis >= 0 && at[axis] + 1 == b.dim[axis]) {
            y -= at[axis] * b.to_stride[axis];
            x -= at[axis] * b.from_stride[axis];
            at[axis--] = 0;
        }
        if (axis < 0) return;
        at[axis]++;
        y += b.to_stride[axis];
        x += b.from_stride[axis];
    }
}

void cj__strides(const cj_array *x, int64_t stride[CJ_RANK_MAX])
{
    int64_t product = 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        stride[i] = product;
        product *= x->dim[i];
    }
}

void *cj__element(const cj_array *x, int64_t i)
{
    return i ? (char *)x->data + i * (int64_t)cj__dtype_bytes(x->dtype) : x->data;
}

void cj__clear(const cj_array *x)
{
    if (x->count) memset(x->data, 0, (size_t)x->count * cj__dtype_bytes(x->dtype));
}

cj__lines cj__lines_of(const cj_array *x, int64_t axis)
{
    cj__lines l = {.count = 1, .length = x->dim[axis], .stride = 1};
    for (int i = 0; i < x->rank; i++) {
        if (i != axis) l.count *= x->dim[i];
        if (i > axis) l.stride *= x->dim[i];
    }
    return l;
}

/* ---- Dimensions ------------------------------------------------------------------------------ */

cj_status cj__infer_dims(cj_infer *infer, cj_ints dims, int infer_max)
{
    if (dims.n > CJ_RANK_MAX)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "rank %d is more than %d", dims.n, CJ_RANK_MAX);
    for (int i = 0, inferred = 0; i < dims.n; i++) {
        if (dims.v[i] == CJ_INFER) {
            if (++inferred > infer_max)
                return cj_infer_fail(infer, CJ_ERR_ARGUMENT,
                                     infer_max ? "dimension %d is one more that is to be inferred"
                                               : "dimension %d cannot be inferred",
                                     i);
        } else if (dims.v[i] < 0 && -1 - dims.v[i] >= infer->graph->dims.count) {
            return cj_infer_fail(
                infer, CJ_ERR_SHAPE,
                "dimension %d is %lld, which is no size and no symbol of this graph", i,
                (long long)dims.v[i]);
        }
    }
    return CJ_OK;
}

cj_dim cj__dim_shift(cj_graph *g, cj_dim d, int64_t by)
{
    return by < 0 ? cj_dim_sub(g, d, -by) : cj_dim_add(g, d, by);
}

const int64_t *cj__keep_ints(cj_graph *g, const int64_t *v, int n)
{
    static const int64_t nothing;
    const int64_t *copy = n ? cj__arena_copy(&g->arena, v, (size_t)n * sizeof(*v)) : &nothing;
    if (!copy) cj__graph_fail(g, NULL, CJ_ERR_MEMORY, "out of memory");
    return copy;
}

/* ---- Indices --------------------------------------------------------------------------------- */

cj_status cj__infer_indices(cj_infer *infer, int i)
{
    cj_dtype dtype = infer->call->in[i]->type.dtype;
    if (dtype == CJ_I32 || dtype == CJ_I64) return CJ_OK;
    return cj_infer_fail(infer, CJ_ERR_TYPE,
                         "operand %d holds indices, which are i32 or i64, not %s", i,
                         cj_dtype_info(dtype)->name);
}

cj_node *cj__as_indices(cj_node *indices)
{
    if (!indices || cj__is_zero(indices)) return indices;
    switch (indices->type.dtype) {
    case CJ_I8:
    case CJ_U8:
    case CJ_I16:
    case CJ_U16: return cj_cast(indices, CJ_I32);
    case CJ_U32:
    case CJ_U64: return cj_cast(indices, CJ_I64);
    default: return indices;
    }
}

const char *cj__position(char text[128], const cj_array *x, int64_t at)
{
    int64_t stride[CJ_RANK_MAX];
    size_t used = 1;
    cj__strides(x, stride);
    text[0] = '[';
    for (int i = 0; i < x->rank; i++) {
        int n = cj__format(text + used, 128 - used, i ? ", %lld" : "%lld",
                           (long long)(at / stride[i] % x->dim[i]));
        if (n < 0 || used + (size_t)n >= 127) break;
        used += (size_t)n;
    }
    text[used] = ']';
    text[used + 1] = 0;
    return text;
}

int cj__inplace_first(const cj_call *call, int output)
{
    (void)call;
    return output ? -1 : 0;
}

cj_status cj__index_fail(const cj_kernel *k, const cj_array *indices, int64_t at, int64_t axis,
                         int64_t size)
{
    char text[128];
    return cj_fail(k->cj, CJ_ERR_DATA,
                   "index %lld at position %s is out of range for axis %d of size %lld",
                   (long long)cj_load_i64(indices->dtype, indices->data, (size_t)at),
                   cj__position(text, indices, at), (int)axis, (long long)size);
}

bool cj__read_index(const cj_array *indices, int64_t at, int64_t size, int64_t *index)
{
    int64_t i = indices->dtype == CJ_I64 ? ((const int64_t *)indices->data)[at]
                                         : ((const int32_t *)indices->data)[at];
    *index = i < 0 ? i + size : i;
    return *index >= 0 && *index < size;
}

void cj__add_row(cj_dtype dtype, int64_t n, void *y, int64_t to, const void *x, int64_t from)
{
    size_t a = (size_t)to, b = (size_t)from;
    if (dtype == CJ_F32) {
        for (int64_t i = 0; i < n; i++) ((float *)y)[to + i] += ((const float *)x)[from + i];
    } else if (dtype == CJ_F64) {
        for (int64_t i = 0; i < n; i++) ((double *)y)[to + i] += ((const double *)x)[from + i];
    } else if (cj__is_float(dtype)) {
        for (size_t i = 0; i < (size_t)n; i++)
            cj_store_f64(dtype, y, a + i,
                         cj_load_f64(dtype, y, a + i) + cj_load_f64(dtype, x, b + i));
    } else {
        for (size_t i = 0; i < (size_t)n; i++)
            cj_store_i64(dtype, y, a + i,
                         (int64_t)((uint64_t)cj_load_i64(dtype, y, a + i) +
                                   (uint64_t)cj_load_i64(dtype, x, b + i)));
    }
}
