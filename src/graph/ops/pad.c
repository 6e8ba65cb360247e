/* pad.c: elements added around an array and between its elements.
 *
 *     pad before=1 interior=2 after=1 of  b e    ->  0 b 0 0 e 0
 *
 * With an interior it is the transpose of slice, and slice its gradient. Either `after` says what
 * is added behind, or `size` how large the result is, which may be a symbol. */
#include "graph/ops/block.h"

struct pad_attrs {
    cj_ints before, after, interior, size;
    double value;
};

static const cj_option pad_options[] = {
    CJ_OPTION_INTS(struct pad_attrs, before, -CJ__FAR, CJ__FAR,
                   "elements added in front; negative ones crop"),
    CJ_OPTION_INTS(struct pad_attrs, after, -CJ__FAR, CJ__FAR,
                   "elements added behind; negative ones crop"),
    CJ_OPTION_INTS(struct pad_attrs, interior, 0, CJ__FAR, "elements put between neighbours"),
    CJ_OPTION_DIMS(struct pad_attrs, size, "sizes of the result, in place of after"),
    CJ_OPTION_FLOAT(struct pad_attrs, value, 0, 0, 0, "what is added"),
    CJ_OPTION_END};

/* A list may be missing: then all are 0. */
static int64_t at(cj_ints list, int i)
{
    return list.n ? list.v[i] : 0;
}

/* Size after putting `interior` elements between neighbours. */
static cj_dim spread(cj_graph *g, cj_dim n, int64_t interior)
{
    if (interior == 0 || n == 0) return n;
    cj_dim gaps = n > 0 ? n - 1 : cj_dim_sub(g, cj_dim_max(g, n, 1), 1);
    return cj_dim_add(g, n, cj_dim_mul(g, gaps, interior));
}

static cj_status pad_infer(cj_infer *infer)
{
    struct pad_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    cj_graph *g = infer->graph;
    const cj_ints *lists[] = {&a->before, &a->after, &a->interior, &a->size};
    for (size_t i = 0; i < CJ__COUNT(lists); i++)
        if (lists[i]->n && lists[i]->n != x->rank)
            return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%s has %d elements, expected %d",
                                 pad_options[i].name, lists[i]->n, x->rank);
    if (a->size.n && a->after.n)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "size and after are both given");
    CJ__TRY(cj__infer_dims(infer, a->size, 0));
    infer->out[0] = *x;
    for (int i = 0; i < x->rank; i++) {
        cj_dim *y = &infer->out[0].dim[i], n = spread(g, x->dim[i], at(a->interior, i));
        int64_t before = at(a->before, i), after = at(a->after, i);
        if (a->size.n) {
            *y = a->size.v[i];
            if (before < 0)
                return cj_infer_fail(infer, CJ_ERR_ARGUMENT,
                                     "size is given, and before[%d] is negative", i);
            n = cj__dim_shift(g, n, before);
            if (*y >= 0 && n > *y)
                return cj_infer_fail(infer, CJ_ERR_SHAPE,
                                     "axis %d has size %lld with its padding, more than %lld", i,
                                     (long long)n, (long long)*y);
            cj_dim_sub(g, *y, n); /* what is added behind: not negative */
        } else if (n >= 0 && before + after < 0 && n < -(before + after)) {
            return cj_infer_fail(infer, CJ_ERR_SHAPE, "axis %d of size %lld is cropped by %lld", i,
                                 (long long)n, (long long)-(before + after));
        } else {
            *y = cj__dim_shift(g, n, before + after);
        }
    }
    return g->failed;
}

static void fill(const cj_array *y, double value)
{
    if (value == 0) {
        cj__clear(y);
        return;
    }
    for (int64_t i = 0; i < y->count; i++) cj_store_f64(y->dtype, y->data, (size_t)i, value);
}

/* The elements low .. high-1 of an axis of size n that land inside 0 .. size-1 at before + i step.
 */
static void landing(int64_t n, int64_t before, int64_t step, int64_t size, int64_t *low,
                    int64_t *high)
{
    *low = before < 0 ? (-before + step - 1) / step : 0;
    *high = size > before ? (size - 1 - before) / step + 1 : 0;
    if (*high > n) *high = n;
}

static cj_status pad_ref(const cj_kernel *k)
{
    const struct pad_attrs *a = k->call->attributes;
    const cj_array *x = k->in[0], *y = k->out[0];
    if (!y->count) return CJ_OK;
    int64_t to = 0, from = 0;
    cj__block b = {.rank = y->rank};
    cj__strides(x, b.from_stride);
    cj__strides(y, b.to_stride);
    fill(y, a->value);
    for (int i = 0; i < y->rank; i++) {
        int64_t low, high, before = at(a->before, i), step = at(a->interior, i) + 1;
        landing(x->dim[i], before, step, y->dim[i], &low, &high);
        if (low >= high) return CJ_OK;
        b.dim[i] = high - low;
        from += low * b.from_stride[i];
        to += (before + low * step) * b.to_stride[i];
        b.to_stride[i] *= step;
    }
    cj__block_copy(&b, y->dtype, cj__element(y, to), cj__element(x, from));
    return CJ_OK;
}

/* The elements that were not cropped are taken out of dy again; the cropped ones (`low` in front,
 * `lost` behind) have gradient 0. */
static void pad_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    const struct pad_attrs *a = call->attributes;
    const cj_type *x = &call->in[0]->type;
    int64_t begin[CJ_RANK_MAX], step[CJ_RANK_MAX], low[CJ_RANK_MAX], lost[CJ_RANK_MAX];
    cj_dim size[CJ_RANK_MAX];
    for (int i = 0; i < x->rank; i++) {
        int64_t before = at(a->before, i), after = at(a->after, i);
        step[i] = at(a->interior, i) + 1;
        low[i] = before < 0 ? (-before + step[i] - 1) / step[i] : 0;
        lost[i] = after < 0 ? (-after + step[i] - 1) / step[i] : 0;
        if (x->dim[i] >= 0 && low[i] + lost[i] >= x->dim[i]) return;
        begin[i] = before + low[i] * step[i];
        size[i] = cj__dim_shift(g, x->dim[i], -(low[i] + lost[i]));
    }
    dx[0] = cj_pad(cj_slice(dy[0], begin, size, step), low, lost, 0);
}

static cj_node *pad_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX], before[CJ_RANK_MAX], after[CJ_RANK_MAX], interior[CJ_RANK_MAX];
    if (i >= 48 || !cj_sample_shape(i % 24, &rank, dims)) return NULL;
    for (int k = 0; k < rank; k++) {
        before[k] = (i + k) % 3;
        after[k] = (i + 2 * k) % 2;
        interior[k] = i < 24 ? 0 : (i + k) % 3;
        if (i % 2 && dims[k] > 2) (k % 2 ? before : after)[k] = -1;
        if (i % 3 == 0 && dims[k] > 3) before[k] = -2;
    }
    cj_node *x = i % 10 == 9 ? cj_sample_int(s, CJ_I16, -9, 9, rank, dims)
                             : cj_sample_real(s, -2, 2, rank, dims);
    return cj_apply(cj_sampler_graph(s), &cj_op_pad, &x, 1,
                    &(struct pad_attrs){.before = {rank, before},
                                        .after = {rank, after},
                                        .interior = {i < 24 ? 0 : rank, interior},
                                        .value = i % 2 ? -0.5 : 0});
}

const cj_op cj_op_pad = {
    .name = "pad",
    .doc = "x with `value` added around its elements and between them; negative numbers crop",
    .flags = CJ_OP_NOFAIL | CJ_OP_ANY_DTYPE,
    .inputs = 1,
    .attributes_size = sizeof(struct pad_attrs),
    .attributes = pad_options,
    .infer = pad_infer,
    .grad = pad_grad,
    .ref = pad_ref,
    .sample = CJ__SAMPLE(pad_sample),
};

cj_node *cj_pad(cj_node *x, const int64_t *before, const int64_t *after, double value)
{
    if (!x || (cj__is_zero(x) && value == 0)) return x;
    if (cj__is_zero(x)) return NULL;
    int rank = x->type.rank;
    bool moves = false;
    for (int i = 0; i < rank; i++) moves = moves || (before && before[i]) || (after && after[i]);
    if (!moves) return x;
    return cj_apply(cj_node_graph(x), &cj_op_pad, &x, 1,
                    &(struct pad_attrs){.before = {before ? rank : 0, before},
                                        .after = {after ? rank : 0, after},
                                        .value = value});
}

/* Zeros of the given sizes with x's elements at before + i (interior + 1). */
cj_node *cj__pad_to(cj_node *x, const int64_t *before, const int64_t *interior, const cj_dim *size)
{
    if (!x || cj__is_zero(x)) return x;
    int rank = x->type.rank;
    return cj_apply(cj_node_graph(x), &cj_op_pad, &x, 1,
                    &(struct pad_attrs){.before = {rank, before},
                                        .interior = {rank, interior},
                                        .size = {rank, size}});
}
