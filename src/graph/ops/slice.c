/* slice.c: slice, and dynamic_slice and update_slice, whose begin is known only when running.
 *
 * slice takes every step-th element; its gradient is a pad, which puts them back.
 *
 *     slice begin=1 step=3 size=2 of  a b c d e f    ->  b e
 *
 * With symbols nothing can be compared when building. The rule then makes the dimension that must
 * not be negative (what is left behind the last element); binding the symbols evaluates every
 * dimension and refuses negative ones. */
#include "graph/ops/block.h"

/* ---- slice ----------------------------------------------------------------------------------- */

struct slice_attrs {
    cj_ints begin, size, step;
};

static const cj_option slice_options[] = {
    CJ_OPTION_INTS(struct slice_attrs, begin, -CJ__FAR, CJ__FAR,
                   "the first element along each axis; negative counts from the end"),
    CJ_OPTION_DIMS(struct slice_attrs, size, "how many elements are taken"),
    CJ_OPTION_INTS(struct slice_attrs, step, -CJ__FAR, CJ__FAR,
                   "from one to the next; none given: 1"),
    CJ_OPTION_END};

/* One axis of numbers: begin is made to count from 0, CJ_INFER becomes what is left. */
static cj_status slice_numbers(cj_infer *infer, int axis, int64_t n, int64_t *begin, cj_dim *size,
                               int64_t step)
{
    int64_t first = *begin, last;
    if (n == 0 && *size == CJ_INFER) first = *size = 0;
    else if (first < 0) first += n;
    bool fits = first >= 0 && first <= n && (first < n || step > 0 || *size == 0);
    if (fits && *size == CJ_INFER)
        *size = step < 0 ? first / -step + 1 : first < n ? (n - first - 1) / step + 1 : 0;
    fits = fits && !CJ__MUL_OVERFLOWS(*size - 1, step, &last) &&
           !CJ__ADD_OVERFLOWS(first, last, &last);
    if (!fits || (*size > 0 && (last < 0 || last >= n))) {
        char taken[32] = "all";
        if (*size != CJ_INFER) cj__format(taken, sizeof(taken), "%lld", (long long)*size);
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "axis %d: %s elements from %lld in steps of %lld leave its size %lld",
                             axis, taken, (long long)*begin, (long long)step, (long long)n);
    }
    *begin = first;
    return CJ_OK;
}

/* The same where a symbol is involved. */
static cj_status slice_symbols(cj_graph *g, cj_dim n, int64_t begin, cj_dim *size, int64_t step)
{
    if (step == -1 && begin == -1 && (*size == CJ_INFER || *size == n)) {
        *size = n; /* all of it, back to front: also when there is nothing */
        return CJ_OK;
    }
    cj_dim first = begin < 0 ? cj_dim_sub(g, n, -begin) : begin;
    if (step > 0) {
        if (*size == CJ_INFER)
            *size = cj_dim_div(g, cj__dim_shift(g, cj_dim_sub(g, n, first), step - 1), step);
        cj_dim end = cj__dim_shift(g, cj_dim_add(g, first, cj_dim_mul(g, *size, step)), 1);
        cj_dim_sub(g, cj__dim_shift(g, n, step), end); /* behind the last element: not negative */
    } else {
        if (*size == CJ_INFER) *size = cj__dim_shift(g, cj_dim_div(g, first, -step), 1);
        cj_dim_sub(g, n, cj__dim_shift(g, first, 1));
        cj_dim_sub(g, cj__dim_shift(g, first, -step), cj_dim_mul(g, *size, -step));
    }
    return g->failed;
}

static cj_status slice_infer(cj_infer *infer)
{
    struct slice_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    cj_type *y = &infer->out[0];
    int64_t begin[CJ_RANK_MAX], step[CJ_RANK_MAX];
    CJ__TRY(cj__infer_dims(infer, a->size, CJ_RANK_MAX));
    if (a->begin.n != x->rank || a->size.n != x->rank || (a->step.n && a->step.n != x->rank))
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%d begins, %d sizes and %d steps for rank %d",
                             a->begin.n, a->size.n, a->step.n, x->rank);
    *y = *x;
    for (int i = 0; i < x->rank; i++) {
        begin[i] = a->begin.v[i];
        step[i] = a->step.n ? a->step.v[i] : 1;
        y->dim[i] = a->size.v[i];
        if (step[i] == 0) return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "axis %d has step 0", i);
        if (x->dim[i] >= 0 && (y->dim[i] >= 0 || y->dim[i] == CJ_INFER))
            CJ__TRY(slice_numbers(infer, i, x->dim[i], &begin[i], &y->dim[i], step[i]));
        else CJ__TRY(slice_symbols(infer->graph, x->dim[i], begin[i], &y->dim[i], step[i]));
    }
    a->step.n = x->rank;
    a->begin.v = cj__keep_ints(infer->graph, begin, x->rank);
    a->step.v = cj__keep_ints(infer->graph, step, x->rank);
    a->size.v = cj__keep_ints(infer->graph, y->dim, x->rank);
    return infer->graph->failed;
}

static cj_status slice_ref(const cj_kernel *k)
{
    const struct slice_attrs *a = k->call->attributes;
    const cj_array *x = k->in[0], *y = k->out[0];
    if (!y->count) return CJ_OK;
    int64_t start = 0;
    cj__block b = {.rank = y->rank};
    cj__strides(x, b.from_stride);
    cj__strides(y, b.to_stride);
    for (int i = 0; i < y->rank; i++) {
        b.dim[i] = y->dim[i];
        start += (a->begin.v[i] < 0 ? a->begin.v[i] + x->dim[i] : a->begin.v[i]) * b.from_stride[i];
        b.from_stride[i] *= a->step.v[i];
    }
    cj__block_copy(&b, y->dtype, y->data, cj__element(x, start));
    return CJ_OK;
}

/* dy is put back where it was taken, zeros elsewhere. Along an axis whose begin counts from the end
 * of a symbol, places are counted from the end too: pad in reverse. A walk back is a reversed walk.
 */
static void slice_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    const struct slice_attrs *a = call->attributes;
    const cj_type *x = &call->in[0]->type;
    int64_t before[CJ_RANK_MAX], interior[CJ_RANK_MAX];
    bool from_end[CJ_RANK_MAX];
    cj_node *d = dy[0];
    for (int i = 0; i < x->rank; i++)
        if (a->size.v[i] == 0) return;
    for (int i = 0; i < x->rank; i++) {
        int64_t begin = a->begin.v[i], step = a->step.v[i], n = a->size.v[i];
        from_end[i] = begin < 0;
        if (from_end[i]) begin = -1 - begin, step = -step;
        before[i] = begin;
        interior[i] = (step < 0 ? -step : step) - 1;
        if (step > 0) continue;
        if (n < 0) {
            cj__graph_fail(
                g, "slice", CJ_ERR_UNSUPPORTED,
                "no gradient along axis %d, where %s elements are counted from begin=%lld "
                "in steps of %lld",
                i, cj_dim_text(g, n), (long long)a->begin.v[i], (long long)a->step.v[i]);
            return;
        }
        before[i] = begin + (n - 1) * step;
        d = cj_reverse(d, i);
    }
    d = cj__pad_to(d, before, interior, x->dim);
    for (int i = 0; i < x->rank; i++)
        if (from_end[i]) d = cj_reverse(d, i);
    dx[0] = d;
}

/* Steps 1, 2, -1 and -2 in turn, from the start or the end; then a few elements or none. */
static cj_node *slice_sample(cj_sampler *s, int i)
{
    static const int64_t steps[] = {1, 2, -1, -2};
    int rank;
    int64_t dims[CJ_RANK_MAX], begin[CJ_RANK_MAX], step[CJ_RANK_MAX];
    cj_dim size[CJ_RANK_MAX];
    if (i >= 72 || !cj_sample_shape(i % 24, &rank, dims)) return NULL;
    for (int k = 0; k < rank; k++) {
        step[k] = steps[(i / 24 + i + k) % 4];
        begin[k] = step[k] > 0 ? (i % 3 ? 0 : -dims[k]) : -1;
        size[k] = CJ_INFER;
        if (dims[k] > 2 && i >= 24) begin[k] = step[k] > 0 ? 1 : -2;
        if (dims[k] && i >= 48) size[k] = i % 5 ? 1 : 0;
    }
    cj_node *x = i % 10 == 9 ? cj_sample_int(s, CJ_I16, -9, 9, rank, dims)
                             : cj_sample_real(s, -2, 2, rank, dims);
    return cj_apply(cj_sampler_graph(s), &cj_op_slice, &x, 1,
                    &(struct slice_attrs){{rank, begin}, {rank, size}, {rank, step}});
}

const cj_op cj_op_slice = {
    .name = "slice",
    .doc = "y[i] = x[begin + i step] along every axis, size elements",
    .flags = CJ_OP_NOFAIL | CJ_OP_ANY_DTYPE,
    .inputs = 1,
    .attributes_size = sizeof(struct slice_attrs),
    .attributes = slice_options,
    .infer = slice_infer,
    .grad = slice_grad,
    .ref = slice_ref,
    .sample = CJ__SAMPLE(slice_sample),
};

cj_node *cj_slice(cj_node *x, const int64_t *begin, const cj_dim *size, const int64_t *step)
{
    if (!x || cj__is_zero(x)) return x;
    int rank = x->type.rank;
    cj_graph *g = cj_node_graph(x);
    if (rank && (!begin || !size))
        return cj__graph_fail(g, "slice", CJ_ERR_ARGUMENT, "begin or size is missing"), NULL;
    bool whole = true;
    for (int i = 0; i < rank && whole; i++)
        whole = begin[i] == 0 && (!step || step[i] == 1) &&
                (size[i] == CJ_INFER || size[i] == x->type.dim[i]);
    if (whole) return x;
    return cj_apply(g, &cj_op_slice, &x, 1,
                    &(struct slice_attrs){{rank, begin}, {rank, size}, {step ? rank : 0, step}});
}

cj_node *cj_slice_axis(cj_node *x, int axis, int64_t begin, cj_dim size)
{
    if (!x || cj__is_zero(x)) return x;
    int64_t begins[CJ_RANK_MAX] = {0};
    cj_dim sizes[CJ_RANK_MAX];
    if ((axis = cj__axis(x, "slice", axis, x->type.rank)) < 0) return NULL;
    for (int i = 0; i < x->type.rank; i++) sizes[i] = i == axis ? size : CJ_INFER;
    begins[axis] = begin;
    return cj_slice(x, begins, sizes, NULL);
}

/* ---- dynamic_slice, update_slice ------------------------------------------------------------- */

/* begin is i64[rank of x], and no size is larger than x's. */
static cj_status check_window(cj_infer *infer, const cj_type *begin, const cj_dim *size, int n)
{
    const cj_type *x = &infer->call->in[0]->type;
    cj_graph *g = infer->graph;
    if (begin->dtype != CJ_I64 || begin->rank != 1 ||
        !cj_infer_equal(infer, begin->dim[0], x->rank))
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "begin must be i64[%d]", x->rank);
    if (n != x->rank)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "the block has rank %d, expected %d", n, x->rank);
    for (int i = 0; i < n; i++) {
        if (size[i] >= 0 && x->dim[i] >= 0 && size[i] > x->dim[i])
            return cj_infer_fail(infer, CJ_ERR_SHAPE,
                                 "the block has size %lld along axis %d of size %lld",
                                 (long long)size[i], i, (long long)x->dim[i]);
        cj_dim_sub(g, x->dim[i], size[i]); /* not negative */
    }
    return g->failed;
}

/* Copies between x and a block of it that begins at `begin`, clamped so that it lies inside. */
static void copy_window(const cj_array *x, const cj_array *block, const int64_t *begin, bool to_x)
{
    int64_t stride[CJ_RANK_MAX], start = 0;
    cj__block b = {.rank = x->rank};
    if (!block->count) return;
    cj__strides(x, stride);
    cj__strides(block, to_x ? b.from_stride : b.to_stride);
    for (int i = 0; i < x->rank; i++) {
        int64_t last = x->dim[i] - block->dim[i];
        b.dim[i] = block->dim[i];
        (to_x ? b.to_stride : b.from_stride)[i] = stride[i];
        start += (begin[i] < 0 ? 0 : begin[i] > last ? last : begin[i]) * stride[i];
    }
    if (to_x) cj__block_copy(&b, x->dtype, cj__element(x, start), block->data);
    else cj__block_copy(&b, x->dtype, block->data, cj__element(x, start));
}

static cj_status dynamic_slice_infer(cj_infer *infer)
{
    cj__dims_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    cj_dim size[CJ_RANK_MAX] = {0};
    CJ__TRY(cj__infer_dims(infer, a->dims, CJ_RANK_MAX));
    for (int i = 0; i < a->dims.n; i++)
        size[i] = a->dims.v[i] == CJ_INFER && i < x->rank ? x->dim[i] : a->dims.v[i];
    CJ__TRY(check_window(infer, &infer->call->in[1]->type, size, a->dims.n));
    infer->out[0] = *x;
    for (int i = 0; i < x->rank; i++) infer->out[0].dim[i] = size[i];
    a->dims.v = cj__keep_ints(infer->graph, size, x->rank);
    return infer->graph->failed;
}

static cj_status dynamic_slice_ref(const cj_kernel *k)
{
    copy_window(k->in[0], k->out[0], k->in[1]->data, false);
    return CJ_OK;
}

static void dynamic_slice_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[0] = cj_update_slice(cj_full_like(call->in[0], 0), dy[0], call->in[1]);
}

/* x of a shared shape, a block of it, and begins inside and outside. */
static cj_node *sample_window(cj_sampler *s, int i, int *rank, int64_t *block, cj_node **begin)
{
    int64_t dims[CJ_RANK_MAX];
    if (!cj_sample_shape(i, rank, dims)) return NULL;
    for (int k = 0; k < *rank; k++) block[k] = (i + k) % 3 ? (dims[k] + 1) / 2 : dims[k];
    cj_node *x = i == 20 ? cj_sample_int(s, CJ_I32, -9, 9, *rank, dims)
                         : cj_sample_real(s, -2, 2, *rank, dims);
    *begin = cj_sample_int(s, CJ_I64, -2, 4, 1, (int64_t[]){*rank});
    return x;
}

static cj_node *dynamic_slice_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t block[CJ_RANK_MAX];
    cj_node *begin, *x = sample_window(s, i, &rank, block, &begin);
    return x ? cj_dynamic_slice(x, begin, block) : NULL;
}

const cj_op cj_op_dynamic_slice = {
    .name = "dynamic_slice",
    .doc = "the block of x of the given sizes at begin, clamped so that it lies inside",
    .flags = CJ_OP_NOFAIL | CJ_OP_ANY_DTYPE,
    .inputs = 2,
    .attributes_size = sizeof(cj__dims_attrs),
    .attributes = cj__dims_options,
    .infer = dynamic_slice_infer,
    .grad = dynamic_slice_grad,
    .ref = dynamic_slice_ref,
    .sample = CJ__SAMPLE(dynamic_slice_sample),
};

static cj_node *as_begin(cj_node *begin)
{
    return begin && !cj__is_zero(begin) && !cj__is_float(begin->type.dtype) ? cj_cast(begin, CJ_I64)
                                                                            : begin;
}

cj_node *cj_dynamic_slice(cj_node *x, cj_node *begin, const cj_dim *size)
{
    if (!x || !begin) return NULL;
    if (cj__is_zero(x)) return x;
    cj_node *in[] = {x, as_begin(begin)};
    return cj_apply(cj_node_graph(x), &cj_op_dynamic_slice, in, 2,
                    &(cj__dims_attrs){{x->type.rank, size}});
}

static cj_status update_slice_infer(cj_infer *infer)
{
    const cj_type *x = &infer->call->in[0]->type, *update = &infer->call->in[1]->type;
    if (x->dtype != update->dtype)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "the dtypes of x and update differ");
    CJ__TRY(check_window(infer, &infer->call->in[2]->type, update->dim, update->rank));
    infer->out[0] = *x;
    return CJ_OK;
}

static cj_status update_slice_ref(const cj_kernel *k)
{
    const cj_array *x = k->in[0], *y = k->out[0];
    if (x->data != y->data)
        cj__block_copy(&(cj__block){1, {y->count}, {1}, {1}}, y->dtype, y->data, x->data);
    copy_window(y, k->in[1], k->in[2]->data, true);
    return CJ_OK;
}

/* What was replaced has gradient 0; the update has that of its place. */
static void update_slice_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    cj_node *update = call->in[1], *begin = call->in[2];
    dx[0] = cj_update_slice(dy[0], cj_full_like(update, 0), begin);
    dx[1] = cj_dynamic_slice(dy[0], begin, update->type.dim);
}

static cj_node *update_slice_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t block[CJ_RANK_MAX];
    cj_node *begin, *x = sample_window(s, i, &rank, block, &begin);
    if (!x) return NULL;
    cj_node *update = i == 20 ? cj_sample_int(s, CJ_I32, 10, 19, rank, block)
                              : cj_sample_real(s, 3, 5, rank, block);
    return cj_update_slice(x, update, begin);
}

const cj_op cj_op_update_slice = {
    .name = "update_slice",
    .doc = "x with its block at begin, clamped so that it lies inside, replaced by update",
    .inputs = 3,
    .flags = CJ_OP_NOFAIL | CJ_OP_ANY_DTYPE,
    .inplace = cj__inplace_first,
    .infer = update_slice_infer,
    .grad = update_slice_grad,
    .ref = update_slice_ref,
    .sample = CJ__SAMPLE(update_slice_sample),
};

cj_node *cj_update_slice(cj_node *x, cj_node *update, cj_node *begin)
{
    if (!x || !update || !begin) return NULL;
    if (cj__is_zero(x) && cj__is_zero(update)) return x;
    if (cj__is_zero(x)) return NULL;
    if (cj__is_zero(update))
        return cj__graph_fail(cj_node_graph(x), "update_slice", CJ_ERR_ARGUMENT,
                              "update is cj_zero, which has no shape"),
               NULL;
    cj_node *in[] = {x, cj_cast(update, x->type.dtype), as_begin(begin)};
    return cj_apply(cj_node_graph(x), &cj_op_update_slice, in, 3, NULL);
}
