/* index_along.c: single elements chosen by index along an axis: gather_along and scatter_along.
 *
 *     gather_along(x[5, 4], i[2, 4], axis 0)    ->  [2, 4]    y[a, c] = x[i[a, c], c]
 *
 * The indices have x's rank. Updates are added or written in their order, so that of several for
 * one place the last one stays; the gradient knows which one that is. */
#include "graph/ops/block.h"

#include "tensor/dtype.h"

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
    if (!cj__read_index(indices, at, x->dim[axis], &index)) return -1;
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
        if (from < 0) return cj__index_fail(k, indices, i, axis, x->dim[axis]);
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
    .sample = CJ__SAMPLE(gather_along_sample),
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
        if (to < 0) return cj__index_fail(k, indices, i, a->axis, y->dim[a->axis]);
        if (a->add) cj__add_row(y->dtype, 1, y->data, to, updates->data, i);
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
    .inplace = cj__inplace_first,
    .attributes_size = sizeof(struct scatter_along_attrs),
    .attributes = scatter_along_options,
    .infer = scatter_along_infer,
    .grad = scatter_along_grad,
    .ref = scatter_along_ref,
    .sample = CJ__SAMPLE(scatter_along_sample),
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
