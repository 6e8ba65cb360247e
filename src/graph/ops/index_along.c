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
    dx[0] = cj_scatter_along(cj_full_like(call->in[0], 0), call->in[1], dy[0], axis,
                             CJ_SCATTER_ADD);
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
    .flags = CJ_OP_ANY_DTYPE,
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

static const char *const rules[] = {"replace", "add", "mul", "max", "min", NULL};

static const cj_option scatter_along_options[] = {
    CJ_OPTION_INT(cj__scatter_along_attrs, axis, 0, -CJ_RANK_MAX, CJ_RANK_MAX - 1,
                  "the axis the indices count along"),
    CJ_OPTION_WORD(cj__scatter_along_attrs, rule, CJ_SCATTER_REPLACE, rules,
                   "what an update does to the element at its place"),
    CJ_OPTION_END};

static cj_status scatter_along_infer(cj_infer *infer)
{
    cj__scatter_along_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type, *indices = &infer->call->in[1]->type,
                  *updates = &infer->call->in[2]->type;
    CJ__TRY(infer_along(infer, &a->axis));
    if (x->dtype != updates->dtype)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "the dtypes of x and updates differ");
    if (a->rule != CJ_SCATTER_REPLACE && (cj__is_bool(x->dtype) || cj__is_low(x->dtype)))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "%s takes numbers, not %ss", rules[a->rule],
                             cj_dtype_info(x->dtype)->name);
    bool same = updates->rank == indices->rank;
    for (int i = 0; same && i < indices->rank; i++)
        same = cj_infer_equal(infer, updates->dim[i], indices->dim[i]);
    if (!same)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "the shapes of indices and updates differ");
    infer->out[0] = *x;
    return CJ_OK;
}

/* y[to] = y[to] times u[i], or the better of the two; NaN wins. Integers wrap. */
static void combine(int rule, const cj_array *y, int64_t to, const cj_array *u, int64_t i)
{
    bool largest = rule == CJ_SCATTER_MAX;
    if (cj__is_float(y->dtype)) {
        double a = cj_load_f64(y->dtype, y->data, (size_t)to),
               b = cj_load_f64(u->dtype, u->data, (size_t)i);
        double best = cj__beats_f64(b, a, largest) ? b : a;
        cj_store_f64(y->dtype, y->data, (size_t)to, rule == CJ_SCATTER_MUL ? a * b : best);
    } else {
        int64_t a = cj_load_i64(y->dtype, y->data, (size_t)to),
                b = cj_load_i64(u->dtype, u->data, (size_t)i);
        int64_t best = cj__beats_i64(b, a, largest, y->dtype == CJ_U64) ? b : a;
        int64_t product = (int64_t)((uint64_t)a * (uint64_t)b);
        cj_store_i64(y->dtype, y->data, (size_t)to, rule == CJ_SCATTER_MUL ? product : best);
    }
}

static cj_status scatter_along_ref(const cj_kernel *k)
{
    const cj__scatter_along_attrs *a = k->call->attributes;
    const cj_array *x = k->in[0], *indices = k->in[1], *updates = k->in[2], *y = k->out[0];
    size_t bytes = cj__dtype_bytes(y->dtype);
    if (x->data != y->data && y->count) memcpy(y->data, x->data, (size_t)y->count * bytes);
    for (int64_t i = 0; i < indices->count; i++) {
        int64_t to = place_along(y, indices, a->axis, i);
        if (to < 0) return cj__index_fail(k, indices, i, a->axis, y->dim[a->axis]);
        if (a->rule == CJ_SCATTER_ADD) cj__add_row(y->dtype, 1, y->data, to, updates->data, i);
        else if (a->rule == CJ_SCATTER_REPLACE)
            copy_element(bytes, y->data, to, updates->data, i);
        else combine(a->rule, y, to, updates, i);
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
    cj_node *last = cj_scatter_along(none, indices, number, axis, CJ_SCATTER_REPLACE);
    return cj_equal(cj_gather_along(last, indices, axis), number);
}

/* Equal extremes share the gradient equally, as those of a reduction do. */
static void extreme_grad(cj_call *call, int axis, cj_node *dy, cj_node **dx)
{
    cj_node *x = call->in[0], *indices = call->in[1], *u = call->in[2], *y = &call->out[0];
    cj_dtype dtype = x->type.dtype;
    cj_node *x_won = cj_equal(x, y), *u_won = cj_equal(u, cj_gather_along(y, indices, axis));
    cj_node *ties = cj_scatter_along(cj_cast(x_won, dtype), indices, cj_cast(u_won, dtype), axis,
                                     CJ_SCATTER_ADD);
    cj_node *share = cj_div(dy, ties);
    dx[0] = cj_where(x_won, share, cj_full_like(x, 0));
    dx[2] = cj_where(u_won, cj_gather_along(share, indices, axis), cj_full_like(u, 0));
}

/* The product of the others at the place: that of all that are not zero, divided by the element
 * itself, where every zero there is the element itself; else 0. (reduce_prod's, by index.) */
static void product_grad(cj_call *call, int axis, cj_node *dy, cj_node **dx)
{
    cj_node *in[] = {call->in[0], call->in[2]}, *zero[2], *other[2], *indices = call->in[1];
    cj_dtype dtype = in[0]->type.dtype;
    for (int i = 0; i < 2; i++) {
        cj_node *is_zero = cj_equal(in[i], cj_full_like(in[i], 0));
        zero[i] = cj_cast(is_zero, dtype);
        other[i] = cj_where(is_zero, cj_full_like(in[i], 1), in[i]);
    }
    cj_node *product = cj_scatter_along(other[0], indices, other[1], axis, CJ_SCATTER_MUL),
            *zeros = cj_scatter_along(zero[0], indices, zero[1], axis, CJ_SCATTER_ADD);
    cj_node *all = cj_mul(dy, product);
    dx[0] = cj_where(cj_equal(zeros, zero[0]), cj_div(all, other[0]), cj_full_like(in[0], 0));
    dx[2] = cj_where(cj_equal(cj_gather_along(zeros, indices, axis), zero[1]),
                     cj_div(cj_gather_along(all, indices, axis), other[1]),
                     cj_full_like(in[1], 0));
}

/* An update reaches its place; what it replaced reaches nothing. */
static void scatter_along_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    const cj__scatter_along_attrs *a = call->attributes;
    cj_node *indices = call->in[1], *updates = call->in[2];
    int axis = (int)a->axis;
    if (a->rule == CJ_SCATTER_MUL) {
        product_grad(call, axis, dy[0], dx);
        return;
    }
    if (a->rule == CJ_SCATTER_MAX || a->rule == CJ_SCATTER_MIN) {
        extreme_grad(call, axis, dy[0], dx);
        return;
    }
    cj_node *taken = cj_gather_along(dy[0], indices, axis);
    dx[0] = dy[0];
    dx[2] = taken;
    if (a->rule == CJ_SCATTER_ADD) return;
    dx[0] = cj_scatter_along(dy[0], indices, cj_full_like(updates, 0), axis, CJ_SCATTER_REPLACE);
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
    return cj_scatter_along(x, indices, updates, axis, (cj_scatter_rule)(i / 2 % 5));
}

const cj_op cj_op_scatter_along = {
    .name = "scatter_along",
    .doc = "x with an update written at each index along the axis (the last one stays), or added, "
           "multiplied, or the larger or smaller of the two",
    .inputs = 3,
    .inplace = cj__inplace_first,
    .attributes_size = sizeof(cj__scatter_along_attrs),
    .attributes = scatter_along_options,
    .flags = CJ_OP_ANY_DTYPE,
    .infer = scatter_along_infer,
    .grad = scatter_along_grad,
    .ref = scatter_along_ref,
    .sample = CJ__SAMPLE(scatter_along_sample),
};

cj_node *cj_scatter_along(cj_node *x, cj_node *indices, cj_node *updates, int axis,
                          cj_scatter_rule rule)
{
    if (!x || !indices || !updates) return NULL;
    if (cj__is_zero(x) && cj__is_zero(updates)) return x;
    if (cj__is_zero(updates) && rule == CJ_SCATTER_ADD) return x;
    if (cj__is_zero(x)) return NULL;
    cj_node *in[] = {x, cj__as_indices(indices), cj_cast(updates, x->type.dtype)};
    return cj_apply(cj_node_graph(x), &cj_op_scatter_along, in, 3,
                    &(cj__scatter_along_attrs){axis, (int)rule});
}
