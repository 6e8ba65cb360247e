/* join.c: concat and split: arrays laid one after another along an axis, and taken apart again.
 *
 * Each is the other's transpose, so the gradient of one is the other. Sizes may be symbols: a batch
 * can be joined to a batch. */
#include "graph/ops/block.h"

enum { JOIN_MAX = 64 }; /* outputs that one call can have */

/* Copies between the whole array and its part that begins at `begin` along the axis. */
static void copy_part(const cj_array *whole, const cj_array *part, int64_t axis, int64_t begin,
                      bool to_part)
{
    int64_t stride[CJ_RANK_MAX];
    cj__block b = {.rank = part->rank};
    cj__strides(whole, stride);
    cj__strides(part, to_part ? b.to_stride : b.from_stride);
    for (int i = 0; i < part->rank; i++) {
        b.dim[i] = part->dim[i];
        (to_part ? b.from_stride : b.to_stride)[i] = stride[i];
    }
    if (!part->count) return;
    void *block = cj__element(whole, begin * stride[axis]);
    if (to_part) cj__block_copy(&b, part->dtype, part->data, block);
    else cj__block_copy(&b, part->dtype, block, part->data);
}

/* ---- concat ---------------------------------------------------------------------------------- */

static cj_status concat_infer(cj_infer *infer)
{
    cj_call *call = infer->call;
    cj_graph *g = infer->graph;
    cj__axis_attrs *a = call->attributes;
    cj_type y = call->in[0]->type;
    if (call->n_in > JOIN_MAX)
        return cj_infer_fail(infer, CJ_ERR_LIMIT, "%d operands are more than %d", call->n_in,
                             JOIN_MAX);
    if (y.rank == 0)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "scalars have no axis to join along");
    CJ__TRY(cj_infer_axis(infer, &a->axis, y.rank));
    for (int i = 1; i < call->n_in; i++) {
        const cj_type *x = &call->in[i]->type;
        if (x->dtype != y.dtype)
            return cj_infer_fail(infer, CJ_ERR_TYPE, "operand %d is %s, expected %s", i,
                                 cj_dtype_info(x->dtype)->name, cj_dtype_info(y.dtype)->name);
        if (x->rank != y.rank)
            return cj_infer_fail(infer, CJ_ERR_SHAPE, "operand %d has rank %d, expected %d", i,
                                 x->rank, y.rank);
        for (int k = 0; k < y.rank; k++) {
            if (k == a->axis || cj_infer_equal(infer, x->dim[k], y.dim[k])) continue;
            return cj_infer_fail(infer, CJ_ERR_SHAPE,
                                 "operand %d has size %s along axis %d, expected %s", i,
                                 cj_dim_text(g, x->dim[k]), k, cj_dim_text(g, y.dim[k]));
        }
        y.dim[a->axis] = cj_dim_add(g, y.dim[a->axis], x->dim[a->axis]);
    }
    infer->out[0] = y;
    return CJ_OK;
}

static cj_status concat_ref(const cj_kernel *k)
{
    int64_t axis = ((const cj__axis_attrs *)k->call->attributes)->axis, begin = 0;
    for (int i = 0; i < k->call->n_in; i++) {
        copy_part(k->out[0], k->in[i], axis, begin, false);
        begin += k->in[i]->dim[axis];
    }
    return CJ_OK;
}

static cj_node *split_dims(cj_node *x, int64_t axis, int n, const cj_dim *sizes);

static void concat_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    int64_t axis = ((const cj__axis_attrs *)call->attributes)->axis;
    cj_dim sizes[JOIN_MAX];
    for (int i = 0; i < call->n_in; i++) sizes[i] = call->in[i]->type.dim[axis];
    cj_node *parts = split_dims(dy[0], axis, call->n_in, sizes);
    for (int i = 0; i < call->n_in; i++) dx[i] = cj_node_output(parts, i);
}

/* One to four parts of 0 to 3 elements more each. */
static cj_node *concat_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    cj_node *parts[4];
    if (!cj_sample_shape(i + 1, &rank, dims)) return NULL;
    int axis = i % rank;
    for (int k = 0; k < 1 + i % 4; k++) {
        parts[k] = i == 20 ? cj_sample_int(s, CJ_I32, -9, 9, rank, dims)
                           : cj_sample_real(s, -2, 2, rank, dims);
        dims[axis] = (dims[axis] + 1) % 4;
    }
    return cj_apply(cj_sampler_graph(s), &cj_op_concat, parts, 1 + i % 4,
                    &(cj__axis_attrs){.axis = i % 2 ? axis : axis - rank});
}

const cj_op cj_op_concat = {
    .name = "concat",
    .doc = "the operands one after another along an axis",
    .flags = CJ_OP_NOFAIL | CJ_OP_ANY_DTYPE,
    .inputs = -1,
    .inputs_min = 1,
    .attributes_size = sizeof(cj__axis_attrs),
    .attributes = cj__first_axis_options,
    .infer = concat_infer,
    .grad = concat_grad,
    .ref = concat_ref,
    .sample = CJ__SAMPLE(concat_sample),
    .onnx = "Concat",
};

static bool check_parts(cj_node *const *parts, int n, const char *op, cj_graph **g)
{
    *g = n > 0 && parts ? cj__graph_of(parts, n) : NULL;
    for (int i = 0; *g && i < n; i++) {
        if (!parts[i]) return false;
        if (!cj__is_zero(parts[i])) continue;
        cj__graph_fail(*g, op, CJ_ERR_ARGUMENT, "part %d is cj_zero, which has no shape", i);
        return false;
    }
    return *g != NULL;
}

static cj_node *concat_few(cj_graph *g, cj_node *const *parts, int n, int axis, cj_dtype dtype)
{
    cj_node *in[JOIN_MAX];
    for (int i = 0; i < n; i++) in[i] = cj_cast(parts[i], dtype);
    return cj_apply(g, &cj_op_concat, in, n, &(cj__axis_attrs){.axis = axis});
}

/* More parts than one call takes are joined in groups, whose sizes grow from round to round. */
static cj_node *concat_many(cj_graph *g, cj_node *const *parts, int n, int axis, cj_dtype dtype)
{
    cj_node *whole[JOIN_MAX];
    int group = (n + JOIN_MAX - 1) / JOIN_MAX, k = 0;
    if (n <= JOIN_MAX) return concat_few(g, parts, n, axis, dtype);
    for (int i = 0; i < n; i += group)
        whole[k++] = concat_many(g, parts + i, n - i < group ? n - i : group, axis, dtype);
    return concat_few(g, whole, k, axis, dtype);
}

cj_node *(cj_concat)(cj_node *const *parts, int n, int axis)
{
    cj_graph *g;
    if (!check_parts(parts, n, "concat", &g)) return NULL;
    cj_dtype dtype = parts[0]->type.dtype;
    for (int i = 1; i < n; i++) dtype = cj__promote(dtype, parts[i]->type.dtype);
    return n == 1 && cj__axis(parts[0], "concat", axis, parts[0]->type.rank) >= 0
               ? parts[0]
               : concat_many(g, parts, n, axis, dtype);
}

/* Many parts are stacked through one list in the graph's arena. */
cj_node *cj_stack(cj_node *const *parts, int n, int axis)
{
    cj_graph *g;
    if (!check_parts(parts, n, "stack", &g)) return NULL;
    if ((axis = cj__axis(parts[0], "stack", axis, parts[0]->type.rank + 1)) < 0) return NULL;
    cj_node **rows = cj__arena_array(&g->arena, (size_t)n, sizeof(*rows));
    if (!rows) return cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory");
    for (int i = 0; i < n; i++) rows[i] = cj_expand_dims(parts[i], axis);
    return (cj_concat)(rows, n, axis);
}

/* ---- split ----------------------------------------------------------------------------------- */

struct split_attrs {
    int64_t axis;
    cj_ints sizes;
};

static const cj_option split_options[] = {
    CJ_OPTION_INT(struct split_attrs, axis, 0, -CJ_RANK_MAX, CJ_RANK_MAX - 1,
                  "the axis that is cut; negative counts from the end"),
    CJ_OPTION_DIMS(struct split_attrs, sizes, "size of each part along the axis"), CJ_OPTION_END};

static cj_status split_infer(cj_infer *infer)
{
    struct split_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    cj_graph *g = infer->graph;
    if (x->rank == 0) return cj_infer_fail(infer, CJ_ERR_SHAPE, "a scalar has no axis to cut");
    CJ__TRY(cj_infer_axis(infer, &a->axis, x->rank));
    if (a->sizes.n < 1 || a->sizes.n > JOIN_MAX)
        return cj_infer_fail(infer, CJ_ERR_LIMIT, "%d parts are not between 1 and %d", a->sizes.n,
                             JOIN_MAX);
    cj_dim sum = 0;
    for (int i = 0; i < a->sizes.n; i++) {
        cj_dim size = a->sizes.v[i];
        if (size < 0 && (size == CJ_INFER || -1 - size >= g->dims.count))
            return cj_infer_fail(infer, CJ_ERR_SHAPE,
                                 "part %d has size %lld, which is no size and no symbol", i,
                                 (long long)size);
        sum = cj_dim_add(g, sum, size);
        infer->out[i] = *x;
        infer->out[i].dim[a->axis] = size;
    }
    if (g->failed) return g->failed;
    infer->call->n_out = a->sizes.n;
    if (cj_infer_equal(infer, sum, x->dim[a->axis])) return CJ_OK;
    return cj_infer_fail(infer, CJ_ERR_SHAPE, "the parts have size %s together, but axis %d has %s",
                         cj_dim_text(g, sum), (int)a->axis, cj_dim_text(g, x->dim[a->axis]));
}

static cj_status split_ref(const cj_kernel *k)
{
    int64_t axis = ((const struct split_attrs *)k->call->attributes)->axis, begin = 0;
    for (int i = 0; i < k->call->n_out; i++) {
        copy_part(k->in[0], k->out[i], axis, begin, true);
        begin += k->out[i]->dim[axis];
    }
    return CJ_OK;
}

static void split_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    cj_node *parts[JOIN_MAX];
    for (int i = 0; i < call->n_out; i++) parts[i] = cj_zero_as(dy[i], &call->out[i]);
    dx[0] = (cj_concat)(parts, call->n_out,
                        (int)((const struct split_attrs *)call->attributes)->axis);
}

static cj_node *split_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX], sizes[4];
    if (!cj_sample_shape(i + 1, &rank, dims)) return NULL;
    int axis = i % rank, n = 1 + i % 4;
    int64_t left = dims[axis];
    for (int k = 0; k < n; k++) {
        sizes[k] = k == n - 1 ? left : left / 2;
        left -= sizes[k];
    }
    cj_node *x = i == 20 ? cj_sample_bool(s, rank, dims) : cj_sample_real(s, -2, 2, rank, dims);
    return split_dims(x, i % 2 ? axis : axis - rank, n, sizes);
}

const cj_op cj_op_split = {
    .name = "split",
    .doc = "x cut into parts along an axis: output i has sizes[i] elements of it",
    .flags = CJ_OP_NOFAIL | CJ_OP_ANY_DTYPE,
    .inputs = 1,
    .outputs = -1,
    .attributes_size = sizeof(struct split_attrs),
    .attributes = split_options,
    .infer = split_infer,
    .grad = split_grad,
    .ref = split_ref,
    .sample = CJ__SAMPLE(split_sample),
};

static cj_node *split_dims(cj_node *x, int64_t axis, int n, const cj_dim *sizes)
{
    if (!x || cj__is_zero(x)) return x;
    return cj_apply(cj_node_graph(x), &cj_op_split, &x, 1, &(struct split_attrs){axis, {n, sizes}});
}

cj_node *cj_split(cj_node *x, int axis, int n, const int64_t *sizes)
{
    return split_dims(x, axis, n, sizes);
}
