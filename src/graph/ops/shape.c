/* shape.c: reshape, transpose, broadcast and reverse.
 *
 * reshape keeps the elements in their order, so a plan may alias it. The others are copies of
 * blocks (block.h). Each is linear, and its gradient is its transpose: reshape and transpose are
 * undone, a broadcast is summed. */
#include "graph/ops/block.h"
#include "tensor/dtype.h"

static bool same_dims(const cj_type *type, int rank, const cj_dim *dims)
{
    if (type->rank != rank) return false;
    for (int i = 0; i < rank; i++)
        if (type->dim[i] != dims[i]) return false;
    return true;
}

/* A rank and a list that come from a caller. */
static bool check_list(cj_graph *g, const char *op, int rank, const cj_dim *dims)
{
    if (rank >= 0 && rank <= CJ_RANK_MAX && (rank == 0 || dims)) return true;
    cj__graph_fail(g, op, CJ_ERR_SHAPE, "rank %d is not between 0 and %d", rank, CJ_RANK_MAX);
    return false;
}

/* ---- reshape --------------------------------------------------------------------------------- */

static cj_status fail_count(cj_infer *infer, const cj_dim *dims, int n)
{
    cj__text text;
    cj_graph *g = infer->graph;
    cj__text_init(&text, g->cj);
    for (int i = 0; i < n; i++)
        cj__text_format(&text, "%s%s", i ? ", " : "",
                        dims[i] == CJ_INFER ? "?" : cj_dim_text(g, dims[i]));
    cj_status failed = cj_infer_fail(infer, CJ_ERR_SHAPE, "%s elements do not fill the shape [%s]",
                                     cj_dim_text(g, cj__type_count(g, &infer->call->in[0]->type)),
                                     cj__text_string(&text));
    cj__text_release(&text);
    return failed;
}

static cj_status reshape_infer(cj_infer *infer)
{
    cj_graph *g = infer->graph;
    cj__dims_attrs *a = infer->call->attributes;
    CJ__TRY(cj__infer_dims(infer, a->dims, 1));
    cj_type *y = &infer->out[0];
    *y = (cj_type){.dtype = infer->call->in[0]->type.dtype, .rank = a->dims.n};
    cj_dim count = cj__type_count(g, &infer->call->in[0]->type), others = 1;
    int unknown = -1;
    for (int i = 0; i < a->dims.n; i++) {
        y->dim[i] = a->dims.v[i];
        if (y->dim[i] == CJ_INFER) unknown = i;
        else others = cj_dim_mul(g, others, y->dim[i]);
    }
    if (g->failed) return g->failed;
    cj_dim filled = others;
    if (unknown >= 0) {
        if (others == 0)
            return cj_infer_fail(infer, CJ_ERR_SHAPE,
                                 "dimension %d cannot be inferred beside a size of 0", unknown);
        y->dim[unknown] = cj_dim_div(g, count, others);
        filled = cj_dim_mul(g, y->dim[unknown], others);
    }
    if (g->failed) return g->failed;
    if (!cj_infer_equal(infer, filled, count)) return fail_count(infer, a->dims.v, a->dims.n);
    a->dims.v = cj__keep_ints(g, y->dim, y->rank);
    return a->dims.v ? CJ_OK : CJ_ERR_MEMORY;
}

static cj_status reshape_ref(const cj_kernel *k)
{
    const cj_array *x = k->in[0], *y = k->out[0];
    if (x->data != y->data && y->count)
        memcpy(y->data, x->data, (size_t)y->count * cj__dtype_bytes(y->dtype));
    return CJ_OK;
}

static void reshape_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    const cj_type *x = &call->in[0]->type;
    dx[0] = cj_reshape(dy[0], x->rank, x->dim);
}

/* Flat; back to front; with an axis of size 1 more; with the last axis inferred. */
static cj_node *reshape_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX], to[CJ_RANK_MAX], count = 1, kept = 1;
    if (i >= 48 || !cj_sample_shape(i % 24, &rank, dims)) return NULL;
    int to_rank = rank;
    for (int k = 0; k < rank; k++) {
        count *= dims[k];
        if (k < rank - 1) kept *= dims[k];
        to[k] = i < 24 ? dims[rank - 1 - k] : dims[k];
    }
    if (i < 24 && i % 2) to[0] = count, to_rank = 1;
    else if (i >= 24 && rank && kept && i % 2) to[rank - 1] = CJ_INFER;
    else if (i >= 24) to[to_rank++] = 1;
    cj_node *x = i % 10 == 9 ? cj_sample_int(s, CJ_I16, -9, 9, rank, dims)
                             : cj_sample_real(s, -2, 2, rank, dims);
    return cj_apply(cj_sampler_graph(s), &cj_op_reshape, &x, 1, &(cj__dims_attrs){{to_rank, to}});
}

const cj_op cj_op_reshape = {
    .name = "reshape",
    .doc = "the same elements in the same order under another shape",
    .inputs = 1,
    .flags = CJ_OP_VIEW | CJ_OP_ANY_DTYPE,
    .attributes_size = sizeof(cj__dims_attrs),
    .attributes = cj__dims_options,
    .infer = reshape_infer,
    .grad = reshape_grad,
    .ref = reshape_ref,
    .sample = CJ__SAMPLE(reshape_sample),
};

cj_node *cj_reshape(cj_node *x, int rank, const cj_dim *dims)
{
    if (!x || cj__is_zero(x)) return x;
    cj_graph *g = cj_node_graph(x);
    if (!check_list(g, "reshape", rank, dims)) return NULL;
    if (same_dims(&x->type, rank, dims)) return x;
    return cj_apply(g, &cj_op_reshape, &x, 1, &(cj__dims_attrs){{rank, dims}});
}

cj_node *cj_expand_dims(cj_node *x, int axis)
{
    if (!x || cj__is_zero(x)) return x;
    int rank = x->type.rank;
    cj_dim dims[CJ_RANK_MAX + 1];
    if ((axis = cj__axis(x, "expand_dims", axis, rank + 1)) < 0) return NULL;
    for (int i = 0; i <= rank; i++) dims[i] = i == axis ? 1 : x->type.dim[i > axis ? i - 1 : i];
    return cj_reshape(x, rank + 1, dims);
}

cj_node *cj_squeeze(cj_node *x, int axis)
{
    if (!x || cj__is_zero(x)) return x;
    int rank = x->type.rank;
    cj_graph *g = cj_node_graph(x);
    cj_dim dims[CJ_RANK_MAX];
    if ((axis = cj__axis(x, "squeeze", axis, rank)) < 0) return NULL;
    if (!cj__dim_agree(g, NULL, x->type.dim[axis], 1))
        return cj__graph_fail(g, "squeeze", CJ_ERR_SHAPE, "axis %d has size %s, expected 1", axis,
                              cj_dim_text(g, x->type.dim[axis])),
               NULL;
    for (int i = 0; i < rank - 1; i++) dims[i] = x->type.dim[i < axis ? i : i + 1];
    return cj_reshape(x, rank - 1, dims);
}

/* ---- transpose ------------------------------------------------------------------------------- */

static const cj_option transpose_options[] = {
    CJ_OPTION_INTS(cj__permutation_attrs, permutation, 0, CJ_RANK_MAX - 1,
                   "axis i of the result is axis permutation[i] of x"),
    CJ_OPTION_END};

static cj_status transpose_infer(cj_infer *infer)
{
    const cj_type *x = &infer->call->in[0]->type;
    cj_ints p = ((const cj__permutation_attrs *)infer->call->attributes)->permutation;
    bool seen[CJ_RANK_MAX] = {false};
    if (p.n != x->rank)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "the permutation has %d axes, expected %d",
                             p.n, x->rank);
    infer->out[0] = *x;
    for (int i = 0; i < p.n; i++) {
        if (p.v[i] < 0 || p.v[i] >= x->rank)
            return cj_infer_fail(infer, CJ_ERR_ARGUMENT,
                                 "permutation[%d] is %lld, which is no axis of rank %d", i,
                                 (long long)p.v[i], x->rank);
        if (seen[p.v[i]])
            return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "the permutation names axis %lld twice",
                                 (long long)p.v[i]);
        seen[p.v[i]] = true;
        infer->out[0].dim[i] = x->dim[p.v[i]];
    }
    return CJ_OK;
}

static cj_status transpose_ref(const cj_kernel *k)
{
    const int64_t *p = ((const cj__permutation_attrs *)k->call->attributes)->permutation.v;
    const cj_array *x = k->in[0], *y = k->out[0];
    int64_t stride[CJ_RANK_MAX];
    cj__block b = {.rank = y->rank};
    cj__strides(x, stride);
    cj__strides(y, b.to_stride);
    for (int i = 0; i < y->rank; i++) {
        b.dim[i] = y->dim[i];
        b.from_stride[i] = stride[p[i]];
    }
    cj__block_copy(&b, y->dtype, y->data, x->data);
    return CJ_OK;
}

static void transpose_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    cj_ints p = ((const cj__permutation_attrs *)call->attributes)->permutation;
    int64_t inverse[CJ_RANK_MAX];
    for (int i = 0; i < p.n; i++) inverse[p.v[i]] = i;
    dx[0] = cj_transpose(dy[0], inverse);
}

static cj_node *transpose_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX], p[CJ_RANK_MAX];
    if (i >= 48 || !cj_sample_shape(i % 24, &rank, dims)) return NULL;
    for (int k = 0; k < rank; k++) p[k] = i < 24 ? rank - 1 - k : (k + 1) % rank;
    cj_node *x = i % 10 == 9 ? cj_sample_int(s, CJ_U8, 0, 255, rank, dims)
                             : cj_sample_real(s, -2, 2, rank, dims);
    return cj_apply(cj_sampler_graph(s), &cj_op_transpose, &x, 1,
                    &(cj__permutation_attrs){{rank, p}});
}

const cj_op cj_op_transpose = {
    .name = "transpose",
    .doc = "x with its axes in another order: axis i of the result is axis permutation[i] of x",
    .flags = CJ_OP_NOFAIL | CJ_OP_ANY_DTYPE,
    .inputs = 1,
    .attributes_size = sizeof(cj__permutation_attrs),
    .attributes = transpose_options,
    .infer = transpose_infer,
    .grad = transpose_grad,
    .ref = transpose_ref,
    .sample = CJ__SAMPLE(transpose_sample),
    .onnx = "Transpose",
};

cj_node *(cj_transpose)(cj_node *x, const int64_t *permutation)
{
    if (!x || cj__is_zero(x)) return x;
    int64_t p[CJ_RANK_MAX];
    int rank = x->type.rank;
    bool moves = false;
    for (int i = 0; i < rank; i++) {
        p[i] = permutation ? permutation[i] : rank - 1 - i;
        if (p[i] >= -rank && p[i] < 0) p[i] += rank;
        moves = moves || p[i] != i;
    }
    if (!moves) return x;
    return cj_apply(cj_node_graph(x), &cj_op_transpose, &x, 1, &(cj__permutation_attrs){{rank, p}});
}

/* ---- broadcast ------------------------------------------------------------------------------- */

static cj_status broadcast_infer(cj_infer *infer)
{
    const cj_type *x = &infer->call->in[0]->type;
    cj_ints dims = ((const cj__dims_attrs *)infer->call->attributes)->dims;
    cj_graph *g = infer->graph;
    CJ__TRY(cj__infer_dims(infer, dims, 0));
    if (x->rank > dims.n)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "rank %d does not broadcast to rank %d", x->rank,
                             dims.n);
    infer->out[0] = (cj_type){.dtype = x->dtype, .rank = dims.n};
    for (int i = 0; i < dims.n; i++) {
        int from = i - (dims.n - x->rank);
        infer->out[0].dim[i] = dims.v[i];
        if (from < 0 || x->dim[from] == 1 || cj_infer_equal(infer, x->dim[from], dims.v[i]))
            continue;
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "axis %d of size %s does not broadcast to %s",
                             from, cj_dim_text(g, x->dim[from]), cj_dim_text(g, dims.v[i]));
    }
    return CJ_OK;
}

static cj_status broadcast_ref(const cj_kernel *k)
{
    const cj_array *x = k->in[0], *y = k->out[0];
    int64_t stride[CJ_RANK_MAX];
    cj__block b = {.rank = y->rank};
    cj__strides(x, stride);
    cj__strides(y, b.to_stride);
    for (int i = 0; i < y->rank; i++) {
        int from = i - (y->rank - x->rank);
        b.dim[i] = y->dim[i];
        b.from_stride[i] = from < 0 || x->dim[from] == 1 ? 0 : stride[from];
    }
    cj__block_copy(&b, y->dtype, y->data, x->data);
    return CJ_OK;
}

static void broadcast_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[0] = cj__sum_to(dy[0], &call->in[0]->type);
}

/* A new leading axis; then every other axis of size 1, and one more in front. */
static cj_node *broadcast_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX], to[CJ_RANK_MAX];
    if (i >= 48 || !cj_sample_shape(i % 24, &rank, dims)) return NULL;
    to[0] = i % 3;
    for (int k = 0; k < rank; k++) to[k + 1] = dims[k] == 1 ? 3 : dims[k];
    for (int k = i % 2; i >= 24 && k < rank; k += 2) dims[k] = 1;
    cj_node *x = i % 10 == 9 ? cj_sample_bool(s, rank, dims) : cj_sample_real(s, -2, 2, rank, dims);
    return cj_apply(cj_sampler_graph(s), &cj_op_broadcast, &x, 1,
                    &(cj__dims_attrs){{rank + 1, to}});
}

const cj_op cj_op_broadcast = {
    .name = "broadcast",
    .doc = "x repeated along axes of size 1 and along new leading axes",
    .flags = CJ_OP_NOFAIL | CJ_OP_ANY_DTYPE,
    .inputs = 1,
    .attributes_size = sizeof(cj__dims_attrs),
    .attributes = cj__dims_options,
    .infer = broadcast_infer,
    .grad = broadcast_grad,
    .ref = broadcast_ref,
    .sample = CJ__SAMPLE(broadcast_sample),
};

cj_node *cj_broadcast_to(cj_node *x, int rank, const cj_dim *dims)
{
    if (!x || cj__is_zero(x)) return x;
    cj_graph *g = cj_node_graph(x);
    if (!check_list(g, "broadcast", rank, dims)) return NULL;
    if (same_dims(&x->type, rank, dims)) return x;
    return cj_apply(g, &cj_op_broadcast, &x, 1, &(cj__dims_attrs){{rank, dims}});
}

/* ---- reverse --------------------------------------------------------------------------------- */

struct reverse_attrs {
    cj_ints axes;
};

static const cj_option reverse_options[] = {CJ_OPTION_INTS(struct reverse_attrs, axes, -CJ_RANK_MAX,
                                                           CJ_RANK_MAX - 1,
                                                           "the axes whose order is reversed"),
                                            CJ_OPTION_END};

static cj_status reverse_infer(cj_infer *infer)
{
    struct reverse_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    bool reversed[CJ_RANK_MAX] = {false};
    int64_t axes[CJ_RANK_MAX];
    int n = 0;
    for (int i = 0; i < a->axes.n; i++) {
        int64_t axis = a->axes.v[i];
        CJ__TRY(cj_infer_axis(infer, &axis, x->rank));
        if (reversed[axis])
            return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "axis %d is named twice", (int)axis);
        reversed[axis] = true;
    }
    for (int i = 0; i < x->rank; i++)
        if (reversed[i]) axes[n++] = i;
    a->axes.v = cj__keep_ints(infer->graph, axes, n);
    infer->out[0] = *x;
    return a->axes.v ? CJ_OK : CJ_ERR_MEMORY;
}

static cj_status reverse_ref(const cj_kernel *k)
{
    cj_ints axes = ((const struct reverse_attrs *)k->call->attributes)->axes;
    const cj_array *x = k->in[0], *y = k->out[0];
    if (!y->count) return CJ_OK;
    cj__block b = {.rank = y->rank};
    int64_t start = 0;
    cj__strides(x, b.from_stride);
    cj__strides(y, b.to_stride);
    for (int i = 0; i < y->rank; i++) b.dim[i] = y->dim[i];
    for (int i = 0; i < axes.n; i++) {
        int64_t *stride = &b.from_stride[axes.v[i]];
        start += (x->dim[axes.v[i]] - 1) * *stride;
        *stride = -*stride;
    }
    cj__block_copy(&b, y->dtype, y->data, cj__element(x, start));
    return CJ_OK;
}

static void reverse_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    dx[0] = cj__is_zero(dy[0]) ? dy[0] : cj_apply(g, &cj_op_reverse, dy, 1, call->attributes);
}

static cj_node *reverse_sample(cj_sampler *s, int i)
{
    static const int64_t axes[] = {0, 1, 2, 3, 4};
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (i >= 47 || !cj_sample_shape(i < 24 ? i : i - 23, &rank, dims)) return NULL;
    cj_node *x = i % 10 == 9 ? cj_sample_int(s, CJ_I8, -99, 99, rank, dims)
                             : cj_sample_real(s, -2, 2, rank, dims);
    if (i >= 24) return cj_reverse(x, i % 2 ? -1 : i % rank);
    return cj_apply(cj_sampler_graph(s), &cj_op_reverse, &x, 1,
                    &(struct reverse_attrs){{rank, axes}});
}

const cj_op cj_op_reverse = {
    .name = "reverse",
    .doc = "x back to front along the axes",
    .flags = CJ_OP_NOFAIL | CJ_OP_ANY_DTYPE,
    .inputs = 1,
    .attributes_size = sizeof(struct reverse_attrs),
    .attributes = reverse_options,
    .infer = reverse_infer,
    .grad = reverse_grad,
    .ref = reverse_ref,
    .sample = CJ__SAMPLE(reverse_sample),
};

cj_node *cj_reverse(cj_node *x, int axis)
{
    if (!x || cj__is_zero(x)) return x;
    int64_t axes[] = {axis};
    return cj_apply(cj_node_graph(x), &cj_op_reverse, &x, 1, &(struct reverse_attrs){{1, axes}});
}
