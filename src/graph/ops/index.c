/* index.c: rows chosen by index: gather, its transpose scatter_add, and one_hot.
 *
 *     gather(x[5, 4], i[2, 3], axis 0)    ->  [2, 3, 4]    y[a, b, c] = x[i[a, b], c]
 *
 * Negative indices count from the end. What is out of range is found when running and named. Sums
 * are rounded at each addition. */
#include "graph/ops/block.h"

#include "tensor/dtype.h"

/* ---- gather ---------------------------------------------------------------------------------- */

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
        if (!cj__read_index(indices, i, l.length, &index))
            return cj__index_fail(k, indices, i, axis, l.length);
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
    .flags = CJ_OP_ANY_DTYPE,
    .infer = gather_infer,
    .grad = gather_grad,
    .ref = gather_ref,
    .sample = CJ__SAMPLE(gather_sample),
    .onnx = "Gather",
};

cj_node *(cj_gather)(cj_node *x, cj_node *indices, int axis)
{
    if (!x || !indices) return NULL;
    if (cj__is_zero(x)) return x;
    cj_node *in[] = {x, cj__as_indices(indices)};
    return cj_apply(cj_node_graph(x), &cj_op_gather, in, 2, &(cj__axis_attrs){.axis = axis});
}

/* ---- scatter_add ----------------------------------------------------------------------------- */

static const cj_option scatter_options[] = {
    CJ_OPTION_INT(cj__scatter_attrs, axis, 0, -CJ_RANK_MAX, CJ_RANK_MAX - 1,
                  "the axis the indices count along"),
    CJ_OPTION_DIMS(cj__scatter_attrs, size, "its size in the result"), CJ_OPTION_END};

/* Updates like what gather takes of y at these indices. */
static cj_status infer_updates(cj_infer *infer, const cj_type *updates, const cj_type *indices,
                               int64_t *axis, cj_dim size, cj_type *y)
{
    cj_graph *g = infer->graph;
    if (cj__is_bool(updates->dtype))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "takes numbers, not bool");
    int rank = updates->rank - indices->rank + 1;
    if (rank < 1 || rank > CJ_RANK_MAX)
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "updates of rank %d do not fit indices of rank %d", updates->rank,
                             indices->rank);
    CJ__TRY(cj_infer_axis(infer, axis, rank));
    for (int i = 0; i < indices->rank; i++)
        if (!cj_infer_equal(infer, updates->dim[*axis + i], indices->dim[i]))
            return cj_infer_fail(infer, CJ_ERR_SHAPE,
                                 "axis %d of the updates has size %s, the indices have %s",
                                 (int)*axis + i, cj_dim_text(g, updates->dim[*axis + i]),
                                 cj_dim_text(g, indices->dim[i]));
    *y = (cj_type){.dtype = updates->dtype, .rank = rank};
    for (int i = 0; i < rank; i++)
        y->dim[i] = i == *axis ? size : updates->dim[i < *axis ? i : i + indices->rank - 1];
    return CJ_OK;
}

static cj_status scatter_add_infer(cj_infer *infer)
{
    cj__scatter_attrs *a = infer->call->attributes;
    CJ__TRY(cj__infer_indices(infer, 1));
    CJ__TRY(cj__infer_dims(infer, a->size, 0));
    if (a->size.n != 1)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%d sizes, expected 1", a->size.n);
    return infer_updates(infer, &infer->call->in[0]->type, &infer->call->in[1]->type, &a->axis,
                         a->size.v[0], &infer->out[0]);
}

/* Row i of the updates is added to that row of y its index names. */
static void add_update(const cj_array *y, const cj__lines *l, const cj_array *updates, int64_t n,
                       int64_t i, int64_t index)
{
    for (int64_t outer = 0; y->count && outer < l->count / l->stride; outer++)
        cj__add_row(y->dtype, l->stride, y->data, (outer * l->length + index) * l->stride,
                    updates->data, (outer * n + i) * l->stride);
}

static cj_status scatter_add_ref(const cj_kernel *k)
{
    int64_t axis = ((const cj__scatter_attrs *)k->call->attributes)->axis, index;
    const cj_array *updates = k->in[0], *indices = k->in[1], *y = k->out[0];
    cj__lines l = cj__lines_of(y, axis);
    cj__clear(y);
    for (int64_t i = 0; i < indices->count; i++) {
        if (!cj__read_index(indices, i, l.length, &index))
            return cj__index_fail(k, indices, i, axis, l.length);
        add_update(y, &l, updates, indices->count, i, index);
    }
    return CJ_OK;
}

static void scatter_add_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[0] = (cj_gather)(dy[0], call->in[1],
                        (int)((const cj__scatter_attrs *)call->attributes)->axis);
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
    .attributes_size = sizeof(cj__scatter_attrs),
    .attributes = scatter_options,
    .infer = scatter_add_infer,
    .grad = scatter_add_grad,
    .ref = scatter_add_ref,
    .sample = CJ__SAMPLE(scatter_add_sample),
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
    return cj_apply(g, &cj_op_scatter_add, in, 2, &(cj__scatter_attrs){axis, {1, &size}});
}

/* ---- index_add ------------------------------------------------------------------------------- */

static cj_status index_add_infer(cj_infer *infer)
{
    cj__axis_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type, *updates = &infer->call->in[1]->type;
    CJ__TRY(cj__infer_indices(infer, 2));
    CJ__TRY(cj_infer_axis(infer, &a->axis, x->rank));
    if (x->dtype != updates->dtype)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "the dtypes of x and updates differ");
    CJ__TRY(infer_updates(infer, updates, &infer->call->in[2]->type, &a->axis, x->dim[a->axis],
                          &infer->out[0]));
    if (infer->out[0].rank != x->rank)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "the updates are those of rank %d, x has rank %d",
                             infer->out[0].rank, x->rank);
    for (int i = 0; i < x->rank; i++)
        if (!cj_infer_equal(infer, x->dim[i], infer->out[0].dim[i]))
            return cj_infer_fail(infer, CJ_ERR_SHAPE, "axis %d of x has size %s, of the updates %s",
                                 i, cj_dim_text(infer->graph, x->dim[i]),
                                 cj_dim_text(infer->graph, infer->out[0].dim[i]));
    infer->out[0] = *x;
    return CJ_OK;
}

static cj_status index_add_ref(const cj_kernel *k)
{
    const cj_array *x = k->in[0], *updates = k->in[1], *indices = k->in[2], *y = k->out[0];
    cj__lines l = cj__lines_of(y, ((const cj__axis_attrs *)k->call->attributes)->axis);
    int64_t index;
    if (x->data != y->data)
        cj__block_copy(&(cj__block){1, {y->count}, {1}, {1}}, y->dtype, y->data, x->data);
    for (int64_t i = 0; i < indices->count; i++)
        if (cj__read_index(indices, i, l.length, &index))
            add_update(y, &l, updates, indices->count, i, index);
    return CJ_OK;
}

/* An index that names no row takes its gradient from a row of zeros behind the others. */
static void index_add_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    const int axis = (int)((const cj__axis_attrs *)call->attributes)->axis;
    cj_node *at = cj_cast(call->in[2], CJ_I64), *zero = cj_full_like(at, 0),
            *size = cj_dim_value(g, call->out[0].type.dim[axis]);
    int64_t before[CJ_RANK_MAX] = {0}, after[CJ_RANK_MAX] = {0};
    after[axis] = 1;
    at = cj_where(cj_less(at, zero), cj_add(at, size), at);
    cj_node *inside = cj_logical_and(cj_greater_equal(at, zero), cj_less(at, size));
    dx[0] = dy[0];
    dx[1] = (cj_gather)(cj_pad(dy[0], before, after, 0), cj_where(inside, at, size), axis);
}

static cj_node *index_add_sample(cj_sampler *s, int i)
{
    int axis;
    cj_node *indices, *x = sample_rows(s, i, &axis, &indices);
    if (!x || !indices) return NULL;
    return cj_index_add(x, (cj_gather)(x, indices, axis), indices, axis);
}

const cj_op cj_op_index_add = {
    .name = "index_add",
    .doc = "x to whose rows along an axis, named by the indices, the updates are added; an index "
           "out of range names none",
    .inputs = 3,
    .flags = CJ_OP_NOFAIL,
    .inplace = cj__inplace_first,
    .attributes_size = sizeof(cj__axis_attrs),
    .attributes = cj__first_axis_options,
    .infer = index_add_infer,
    .grad = index_add_grad,
    .ref = index_add_ref,
    .sample = CJ__SAMPLE(index_add_sample),
};

cj_node *cj_index_add(cj_node *x, cj_node *updates, cj_node *indices, int axis)
{
    if (!x || !updates || !indices) return NULL;
    if (cj__is_zero(updates)) return x;
    if (cj__is_zero(x)) return NULL;
    cj_node *in[] = {x, cj_cast(updates, x->type.dtype), cj__as_indices(indices)};
    return cj_apply(cj_node_graph(x), &cj_op_index_add, in, 3, &(cj__axis_attrs){.axis = axis});
}

/* ---- one_hot --------------------------------------------------------------------------------- */

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
    .sample = CJ__SAMPLE(one_hot_sample),
};

cj_node *cj_one_hot(cj_node *indices, int64_t depth, cj_dtype dtype)
{
    if (!indices || cj__is_zero(indices)) return NULL;
    cj_node *in = cj__as_indices(indices);
    return cj_apply(cj_node_graph(indices), &cj_op_one_hot, &in, 1,
                    &(struct one_hot_attrs){depth, dtype});
}
