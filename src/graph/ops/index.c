/* index.c: elements chosen by index: gather and its transpose, one_hot, top_k.
 *
 * gather takes whole rows, gather_along one element for each index:
 *
 *     gather(x[5, 4], i[2, 3], axis 0)         ->  [2, 3, 4]     y[a, b, c] = x[i[a, b], c]
 *     gather_along(x[5, 4], i[2, 4], axis 0)   ->  [2, 4]        y[a, c]    = x[i[a, c], c]
 *
 * Negative indices count from the end. What is out of range is found when running and named. The
 * scatters add (or write) in the order of the updates; sums are rounded at each addition. */
#include "graph/ops/block.h"

#include "tensor/dtype.h"

/* Index `at` made 0 .. size-1; false when it is out of range. */
static bool read_index(const cj_array *indices, int64_t at, int64_t size, int64_t *index)
{
    int64_t i = indices->dtype == CJ_I64 ? ((const int64_t *)indices->data)[at]
                                         : ((const int32_t *)indices->data)[at];
    *index = i < 0 ? i + size : i;
    return *index >= 0 && *index < size;
}

static cj_status fail_index(const cj_kernel *k, const cj_array *indices, int64_t at, int64_t axis,
                            int64_t size)
{
    return cj__index_fail(k, indices, at, cj_load_i64(indices->dtype, indices->data, (size_t)at),
                          axis, size);
}

/* y[i] += x[i] */
static void add_row(cj_dtype dtype, int64_t n, void *y, int64_t to, const void *x, int64_t from)
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

/* ---- gather ------------------------------------------------------------------------------------ */

static cj_status gather_infer(cj_infer *infer)
{
    cj__axis_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type, *indices = &infer->call->in[1]->type;
    cj_type *y = &infer->out[0];
    CJ__TRY(cj__infer_indices(infer, 1));
    if (x->rank == 0)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "a scalar has no axis to take from");
    CJ__TRY(cj_infer_axis(infer, &a->axis, x->rank));
    if (x->rank - 1 + indices->rank > CJ_RANK_MAX)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "the result has rank %d, more than %d",
                             x->rank - 1 + indices->rank, CJ_RANK_MAX);
    *y = (cj_type){.dtype = x->dtype};
    for (int i = 0; i < x->rank; i++) {
        if (i != a->axis) y->dim[y->rank++] = x->dim[i];
        for (int k = 0; i == a->axis && k < indices->rank; k++) y->dim[y->rank++] = indices->dim[k];
    }
    return CJ_OK;
}

static cj_status gather_ref(const cj_kernel *k)
{
    int64_t axis = ((const cj__axis_attrs *)k->call->attributes)->axis;
    const cj_array *x = k->in[0], *indices = k->in[1], *y = k->out[0];
    cj__lines l = cj__lines_of(x, axis);
    size_t bytes = cj__dtype_bytes(x->dtype);
    for (int64_t i = 0; i < indices->count; i++) {
        int64_t index;
        if (!read_index(indices, i, l.length, &index))
            return fail_index(k, indices, i, axis, l.length);
        for (int64_t outer = 0; y->count && outer < l.count / l.stride; outer++)
            memcpy(cj__element(y, (outer * indices->count + i) * l.stride),
                   cj__element(x, (outer * l.length + index) * l.stride), (size_t)l.stride * bytes);
    }
    return CJ_OK;
}

static void gather_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    int axis = (int)((const cj__axis_attrs *)call->attributes)->axis;
    dx[0] = cj_scatter_add(dy[0], call->in[1], axis, call->in[0]->type.dim[axis],
                           call->in[1]->type.rank);
}

/* Operand, axis and indices of sample i; an axis of size 0 gets no indices. */
static cj_node *sample_rows(cj_sampler *s, int i, int *axis, cj_node **indices)
{
    int rank, shapes = i % 23 + 1, index_rank = i % 3;
    int64_t dims[CJ_RANK_MAX], index_dims[2] = {3, 1 + i % 2};
    if (i >= 46 || !cj_sample_shape(shapes, &rank, dims)) return NULL;
    *axis = i % rank;
    int64_t size = dims[*axis];
    if (size == 0) index_dims[0] = 0, index_rank = 1;
    if (i >= 23) *axis -= rank;
    cj_node *x = i == 33 ? cj_sample_int(s, CJ_U16, 0, 99, rank, dims)
                         : cj_sample_real(s, -2, 2, rank, dims);
    *indices = cj_sample_int(s, i % 2 ? CJ_I32 : CJ_I64, i % 4 == 3 ? -size : 0, size - 1,
                             index_rank, index_dims);
    return x;
}

static cj_node *gather_sample(cj_sampler *s, int i)
{
    int axis;
    cj_node *indices, *x = sample_rows(s, i, &axis, &indices);
    return x ? (cj_gather)(x, indices, axis) : NULL;
}

const cj_op cj_op_gather = {
    .name = "gather",
    .doc = "the rows of x along an axis that the indices name: x[:axis] + indices + x[axis+1:]",
    .inputs = 2,
    .attributes_size = sizeof(cj__axis_attrs),
    .attributes = cj__first_axis_options,
    .infer = gather_infer,
    .grad = gather_grad,
    .ref = gather_ref,
    .sample = gather_sample,
    .onnx = "Gather",
};

cj_node *(cj_gather)(cj_node *x, cj_node *indices, int axis)
{
    if (!x || !indices) return NULL;
    if (cj__is_zero(x)) return x;
    cj_node *in[] = {x, cj__as_indices(indices)};
    return cj_apply(cj_node_graph(x), &cj_op_gather, in, 2, &(cj__axis_attrs){.axis = axis});
}

/* ---- scatter_add ------------------------------------------------------------------------------- */

struct scatter_attrs {
    int64_t axis;
    cj_ints size;
};

static const cj_option scatter_options[] = {
    CJ_OPTION_INT(struct scatter_attrs, axis, 0, -CJ_RANK_MAX, CJ_RANK_MAX - 1,
                  "the axis the indices count along"),
    CJ_OPTION_DIMS(struct scatter_attrs, size, "its size in the result"), CJ_OPTION_END};

static cj_status scatter_add_infer(cj_infer *infer)
{
    struct scatter_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type, *indices = &infer->call->in[1]->type;
    cj_type *y = &infer->out[0];
    cj_graph *g = infer->graph;
    CJ__TRY(cj__infer_indices(infer, 1));
    CJ__TRY(cj__infer_dims(infer, a->size, 0));
    if (cj__is_bool(x->dtype)) return cj_infer_fail(infer, CJ_ERR_TYPE, "takes numbers, not bool");
    if (a->size.n != 1)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%d sizes, expected 1", a->size.n);
    int rank = x->rank - indices->rank + 1;
    if (rank < 1 || rank > CJ_RANK_MAX)
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "updates of rank %d do not fit indices of rank %d", x->rank,
                             indices->rank);
    CJ__TRY(cj_infer_axis(infer, &a->axis, rank));
    for (int i = 0; i < indices->rank; i++)
        if (!cj_infer_equal(infer, x->dim[a->axis + i], indices->dim[i]))
            return cj_infer_fail(infer, CJ_ERR_SHAPE,
                                 "axis %d of the updates has size %s, the indices have %s",
                                 (int)a->axis + i, cj_dim_text(g, x->dim[a->axis + i]),
                                 cj_dim_text(g, indices->dim[i]));
    *y = (cj_type){.dtype = x->dtype, .rank = rank};
    for (int i = 0; i < rank; i++)
        y->dim[i] = i == a->axis ? a->size.v[0] : x->dim[i < a->axis ? i : i + indices->rank - 1];
    return CJ_OK;
}

static cj_status scatter_add_ref(const cj_kernel *k)
{
    int64_t axis = ((const struct scatter_attrs *)k->call->attributes)->axis;
    const cj_array *updates = k->in[0], *indices = k->in[1], *y = k->out[0];
    cj__lines l = cj__lines_of(y, axis);
    cj__clear(y);
    for (int64_t i = 0; i < indices->count; i++) {
        int64_t index;
        if (!read_index(indices, i, l.length, &index))
            return fail_index(k, indices, i, axis, l.length);
        for (int64_t outer = 0; y->count && outer < l.count / l.stride; outer++)
            add_row(y->dtype, l.stride, y->data, (outer * l.length + index) * l.stride,
                    updates->data, (outer * indices->count + i) * l.stride);
    }
    return CJ_OK;
}

static void scatter_add_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[0] = (cj_gather)(dy[0], call->in[1],
                        (int)((const struct scatter_attrs *)call->attributes)->axis);
}

/* Updates shaped as gather's result. */
static cj_node *scatter_add_sample(cj_sampler *s, int i)
{
    int axis;
    cj_node *indices, *x = sample_rows(s, i, &axis, &indices);
    if (!x || !indices) return NULL;
    int at = axis < 0 ? axis + x->type.rank : axis;
    int64_t size = x->type.dim[at];
    cj_node *updates = (cj_gather)(x, indices, axis);
    return cj_scatter_add(updates, indices, axis, size, indices->type.rank);
}

const cj_op cj_op_scatter_add = {
    .name = "scatter_add",
    .doc = "zeros to whose rows along an axis, named by the indices, the updates are added",
    .inputs = 2,
    .attributes_size = sizeof(struct scatter_attrs),
    .attributes = scatter_options,
    .infer = scatter_add_infer,
    .grad = scatter_add_grad,
    .ref = scatter_add_ref,
    .sample = scatter_add_sample,
};

cj_node *cj_scatter_add(cj_node *updates, cj_node *indices, int axis, cj_dim size, int indices_rank)
{
    if (!updates || !indices) return NULL;
    if (cj__is_zero(updates)) return updates;
    cj_graph *g = cj_node_graph(updates);
    if (!cj__is_zero(indices) && indices->type.rank != indices_rank)
        return cj__graph_fail(g, "scatter_add", CJ_ERR_SHAPE,
                              "the indices have rank %d, expected %d", indices->type.rank,
                              indices_rank),
               NULL;
    cj_node *in[] = {updates, cj__as_indices(indices)};
    return cj_apply(g, &cj_op_scatter_add, in, 2, &(struct scatter_attrs){axis, {1, &size}});
}

/* ---- gather_along, scatter_along --------------------------------------------------------------- */

/* The indices have x's rank and, but for the axis, its sizes or smaller ones. */
static cj_status infer_along(cj_infer *infer, int64_t *axis)
{
    const cj_type *x = &infer->call->in[0]->type, *indices = &infer->call->in[1]->type;
    cj_graph *g = infer->graph;
    CJ__TRY(cj__infer_indices(infer, 1));
    if (x->rank == 0) return cj_infer_fail(infer, CJ_ERR_SHAPE, "a scalar has no axis to index");
    CJ__TRY(cj_infer_axis(infer, axis, x->rank));
    if (indices->rank != x->rank)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "the indices have rank %d, expected %d",
                             indices->rank, x->rank);
    for (int i = 0; i < x->rank; i++) {
        cj_dim n = indices->dim[i], most = x->dim[i];
        if (i == *axis || (n >= 0 && most >= 0 ? n <= most : cj_infer_equal(infer, n, most)))
            continue;
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "the indices have size %s along axis %d, more than %s",
                             cj_dim_text(g, n), i, cj_dim_text(g, most));
    }
    return CJ_OK;
}

/* Where element `at` of the indices points in x, whose size along the axis is known; -1: nowhere.
 */
static int64_t place_along(const cj_array *x, const cj_array *indices, int64_t axis, int64_t at)
{
    int64_t index, place = 0, stride = 1, rest = at;
    if (!read_index(indices, at, x->dim[axis], &index)) return -1;
    for (int i = x->rank - 1; i >= 0; i--) {
        place += (i == axis ? index : rest % indices->dim[i]) * stride;
        rest /= indices->dim[i];
        stride *= x->dim[i];
    }
    return place;
}

static void copy_element(size_t bytes, void *to, int64_t to_at, const void *from, int64_t from_at)
{
    memcpy((char *)to + (size_t)to_at * bytes, (const char *)from + (size_t)from_at * bytes, bytes);
}

static cj_status gather_along_infer(cj_infer *infer)
{
    CJ__TRY(infer_along(infer, &((cj__axis_attrs *)infer->call->attributes)->axis));
    infer->out[0] = infer->call->in[1]->type;
    infer->out[0].dtype = infer->call->in[0]->type.dtype;
    return CJ_OK;
}

static cj_status gather_along_ref(const cj_kernel *k)
{
    int64_t axis = ((const cj__axis_attrs *)k->call->attributes)->axis;
    const cj_array *x = k->in[0], *indices = k->in[1], *y = k->out[0];
    size_t bytes = cj__dtype_bytes(x->dtype);
    for (int64_t i = 0; i < indices->count; i++) {
        int64_t from = place_along(x, indices, axis, i);
        if (from < 0) return fail_index(k, indices, i, axis, x->dim[axis]);
        copy_element(bytes, y->data, i, x->data, from);
    }
    return CJ_OK;
}

static void gather_along_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    int axis = (int)((const cj__axis_attrs *)call->attributes)->axis;
    dx[0] = cj_scatter_along(cj_full_like(call->in[0], 0), call->in[1], dy[0], axis, true);
}

/* Operand, axis and indices; where the axis has no elements there are no indices either. */
static cj_node *sample_along(cj_sampler *s, int i, int *axis, cj_node **indices)
{
    int rank, shape = i % 23 + 1;
    int64_t dims[CJ_RANK_MAX], index_dims[CJ_RANK_MAX];
    if (i >= 46 || !cj_sample_shape(shape, &rank, dims)) return NULL;
    *axis = i % rank;
    int64_t size = dims[*axis];
    for (int k = 0; k < rank; k++)
        index_dims[k] = i % 3 == 2 && dims[k] > 1 ? dims[k] - 1 : dims[k];
    index_dims[*axis] = size ? 1 + i % 4 : 0;
    if (i >= 23) *axis -= rank;
    cj_node *x = i == 33 ? cj_sample_int(s, CJ_I8, -99, 99, rank, dims)
                         : cj_sample_real(s, -2, 2, rank, dims);
    *indices = cj_sample_int(s, i % 2 ? CJ_I32 : CJ_I64, i % 4 == 3 ? -size : 0, size - 1, rank,
                             index_dims);
    return x;
}

static cj_node *gather_along_sample(cj_sampler *s, int i)
{
    int axis;
    cj_node *indices, *x = sample_along(s, i, &axis, &indices);
    return x ? cj_gather_along(x, indices, axis) : NULL;
}

const cj_op cj_op_gather_along = {
    .name = "gather_along",
    .doc = "one element of x for each index, which replaces its place along the axis",
    .inputs = 2,
    .attributes_size = sizeof(cj__axis_attrs),
    .attributes = cj__first_axis_options,
    .infer = gather_along_infer,
    .grad = gather_along_grad,
    .ref = gather_along_ref,
    .sample = gather_along_sample,
    .onnx = "GatherElements",
};

cj_node *cj_gather_along(cj_node *x, cj_node *indices, int axis)
{
    if (!x || !indices) return NULL;
    if (cj__is_zero(x)) return x;
    cj_node *in[] = {x, cj__as_indices(indices)};
    return cj_apply(cj_node_graph(x), &cj_op_gather_along, in, 2, &(cj__axis_attrs){.axis = axis});
}

struct scatter_along_attrs {
    int64_t axis;
    bool add;
};

static const cj_option scatter_along_options[] = {
    CJ_OPTION_INT(struct scatter_along_attrs, axis, 0, -CJ_RANK_MAX, CJ_RANK_MAX - 1,
                  "the axis the indices count along"),
    CJ_OPTION_BOOL(struct scatter_along_attrs, add, false, "updates are added; else they replace"),
    CJ_OPTION_END};

static cj_status scatter_along_infer(cj_infer *infer)
{
    struct scatter_along_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type, *indices = &infer->call->in[1]->type,
                  *updates = &infer->call->in[2]->type;
    CJ__TRY(infer_along(infer, &a->axis));
    if (x->dtype != updates->dtype)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "the dtypes of x and updates differ");
    if (a->add && cj__is_bool(x->dtype))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "bools cannot be added");
    bool same = updates->rank == indices->rank;
    for (int i = 0; same && i < indices->rank; i++)
        same = cj_infer_equal(infer, updates->dim[i], indices->dim[i]);
    if (!same)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "the shapes of indices and updates differ");
    infer->out[0] = *x;
    return CJ_OK;
}

static cj_status scatter_along_ref(const cj_kernel *k)
{
    const struct scatter_along_attrs *a = k->call->attributes;
    const cj_array *x = k->in[0], *indices = k->in[1], *updates = k->in[2], *y = k->out[0];
    size_t bytes = cj__dtype_bytes(y->dtype);
    if (x->data != y->data && y->count) memcpy(y->data, x->data, (size_t)y->count * bytes);
    for (int64_t i = 0; i < indices->count; i++) {
        int64_t to = place_along(y, indices, a->axis, i);
        if (to < 0) return fail_index(k, indices, i, a->axis, y->dim[a->axis]);
        if (a->add) add_row(y->dtype, 1, y->data, to, updates->data, i);
        else copy_element(bytes, y->data, to, updates->data, i);
    }
    return CJ_OK;
}

/* Which updates stand in the result: of several for one place the last. Their numbers along the
 * axis are scattered and looked up again. */
static cj_node *surviving(cj_graph *g, cj_node *x, cj_node *indices, int axis)
{
    const cj_type *type = &indices->type;
    cj_node *number = cj_iota(g, CJ_I64, axis, type->rank, type->dim);
    cj_node *none = cj_broadcast_to(cj_scalar(g, CJ_I64, 0), x->type.rank, x->type.dim);
    cj_node *last = cj_scatter_along(none, indices, number, axis, false);
    return cj_equal(cj_gather_along(last, indices, axis), number);
}

/* An update reaches its place; what it replaced reaches nothing. */
static void scatter_along_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    const struct scatter_along_attrs *a = call->attributes;
    cj_node *indices = call->in[1], *updates = call->in[2];
    int axis = (int)a->axis;
    cj_node *taken = cj_gather_along(dy[0], indices, axis);
    dx[0] = dy[0];
    dx[2] = taken;
    if (a->add) return;
    dx[0] = cj_scatter_along(dy[0], indices, cj_full_like(updates, 0), axis, false);
    dx[2] = cj_where(surviving(g, call->in[0], indices, axis), taken, cj_full_like(updates, 0));
}

static cj_node *scatter_along_sample(cj_sampler *s, int i)
{
    int axis;
    cj_node *indices, *x = sample_along(s, i, &axis, &indices);
    if (!x || !indices) return NULL;
    const cj_type *type = &indices->type;
    cj_node *updates = i == 33 ? cj_sample_int(s, CJ_I8, -99, 99, type->rank, type->dim)
                               : cj_sample_real(s, -2, 2, type->rank, type->dim);
    return cj_scatter_along(x, indices, updates, axis, i / 2 % 2);
}

const cj_op cj_op_scatter_along = {
    .name = "scatter_along",
    .doc = "x with an update written, or added, at each index along the axis; the last one stays",
    .inputs = 3,
    .flags = CJ_OP_INPLACE,
    .attributes_size = sizeof(struct scatter_along_attrs),
    .attributes = scatter_along_options,
    .infer = scatter_along_infer,
    .grad = scatter_along_grad,
    .ref = scatter_along_ref,
    .sample = scatter_along_sample,
};

cj_node *cj_scatter_along(cj_node *x, cj_node *indices, cj_node *updates, int axis, bool add)
{
    if (!x || !indices || !updates) return NULL;
    if (cj__is_zero(x) && cj__is_zero(updates)) return x;
    if (cj__is_zero(updates) && add) return x;
    if (cj__is_zero(x)) return NULL;
    cj_node *in[] = {x, cj__as_indices(indices), cj_cast(updates, x->type.dtype)};
    return cj_apply(cj_node_graph(x), &cj_op_scatter_along, in, 3,
                    &(struct scatter_along_attrs){axis, add});
}

/* ---- one_hot ----------------------------------------------------------------------------------- */

struct one_hot_attrs {
    int64_t depth;
    cj_dtype dtype;
};

static const cj_option one_hot_options[] = {
    CJ_OPTION_INT(struct one_hot_attrs, depth, 1, 0, 0x1p52, "size of the new last axis"),
    CJ_OPTION_DTYPE(struct one_hot_attrs, dtype, CJ_F32, "dtype of the result"), CJ_OPTION_END};

static cj_status one_hot_infer(cj_infer *infer)
{
    const struct one_hot_attrs *a = infer->call->attributes;
    cj_type *y = &infer->out[0];
    CJ__TRY(cj__infer_indices(infer, 0));
    *y = infer->call->in[0]->type;
    if (y->rank == CJ_RANK_MAX)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "the result has rank %d, more than %d",
                             y->rank + 1, CJ_RANK_MAX);
    if (a->dtype == CJ_DTYPE_NONE) return cj_infer_fail(infer, CJ_ERR_TYPE, "it needs a dtype");
    y->dtype = a->dtype;
    y->dim[y->rank++] = a->depth;
    return CJ_OK;
}

static cj_status one_hot_ref(const cj_kernel *k)
{
    const cj_array *indices = k->in[0], *y = k->out[0];
    int64_t depth = y->dim[y->rank - 1];
    cj__clear(y);
    for (int64_t i = 0; i < indices->count; i++) {
        int64_t index = cj_load_i64(indices->dtype, indices->data, (size_t)i);
        if (index >= 0 && index < depth)
            cj_store_i64(y->dtype, y->data, (size_t)(i * depth + index), 1);
    }
    return CJ_OK;
}

static cj_node *one_hot_sample(cj_sampler *s, int i)
{
    static const cj_dtype dtypes[] = {CJ_F64, CJ_F32, CJ_I64, CJ_U8, CJ_BOOL, CJ_F16};
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (!cj_sample_shape(i, &rank, dims)) return NULL;
    return cj_one_hot(cj_sample_int(s, i % 2 ? CJ_I32 : CJ_I64, -1, 5, rank, dims), i % 6,
                      dtypes[i % 6]);
}

const cj_op cj_op_one_hot = {
    .name = "one_hot",
    .doc = "1 where the place along the new last axis is the index, else 0; all 0 outside of 0 .. "
           "depth-1",
    .inputs = 1,
    .attributes_size = sizeof(struct one_hot_attrs),
    .attributes = one_hot_options,
    .infer = one_hot_infer,
    .no_gradient = "integer operand",
    .ref = one_hot_ref,
    .sample = one_hot_sample,
};

cj_node *cj_one_hot(cj_node *indices, int64_t depth, cj_dtype dtype)
{
    if (!indices || cj__is_zero(indices)) return NULL;
    cj_node *in = cj__as_indices(indices);
    return cj_apply(cj_node_graph(indices), &cj_op_one_hot, &in, 1,
                    &(struct one_hot_attrs){depth, dtype});
}
