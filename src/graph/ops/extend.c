/* extend.c: an array made longer with elements of its own.
 *
 *     before=2 after=1 of  a b c    edge     a a  a b c  c
 *                                   reflect  c b  a b c  b
 *                                   wrap     b c  a b c  a
 *
 * A composite: the ends are slices of x joined to it, where x is known to have as many elements;
 * else all are gathered by index, again and again from the start where there are too few. */
#include "graph/ops/image.h"

const char *const cj__extend_words[] = {"edge", "reflect", "wrap", NULL};
enum { EDGE = CJ__EXTEND_EDGE, REFLECT, WRAP };

static int64_t at(cj_ints list, int i) { return list.n ? list.v[i] : 0; }

static cj_status extend_infer(cj_infer *infer)
{
    const cj__extend_attrs *a = infer->call->attributes;
    cj_type *y = &infer->out[0];
    *y = infer->call->in[0]->type;
    if ((a->before.n && a->before.n != y->rank) || (a->after.n && a->after.n != y->rank))
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%d and %d numbers for rank %d", a->before.n,
                             a->after.n, y->rank);
    for (int i = 0; i < y->rank; i++) {
        const int64_t more = at(a->before, i) + at(a->after, i);
        if (more && !y->dim[i])
            return cj_infer_fail(infer, CJ_ERR_SHAPE, "mode '%s' along axis %d, which has no "
                                 "elements", cj__extend_words[a->mode], i);
        y->dim[i] = cj__dim_shift(infer->graph, y->dim[i], more);
    }
    return infer->graph->failed;
}

/* The slice of n elements from `begin` on, as it stands beside x. */
static cj_node *end_of(cj_node *x, int axis, int64_t begin, int64_t n, int mode)
{
    cj_node *y = cj_slice_axis(x, axis, begin, n);
    return mode == REFLECT && n > 1 ? cj_reverse(y, axis) : y;
}

static cj_node *longer(cj_node *x, int axis, int64_t before, int64_t after, int mode)
{
    if (!x || !(before || after)) return x;
    cj_graph *g = cj_node_graph(x);
    const cj_dim size = x->type.dim[axis];
    const int64_t most = before > after ? before : after;
    if (size >= 0 && most <= (mode == EDGE ? 1 : size - (mode == REFLECT))) {
        const int64_t front[] = {0, 1, size - before}, back[] = {size - 1, size - 1 - after, 0};
        cj_node *parts[3];
        int n = 0;
        if (before) parts[n++] = end_of(x, axis, front[mode], before, mode);
        parts[n++] = x;
        if (after) parts[n++] = end_of(x, axis, back[mode], after, mode);
        return cj_concat(parts, n, axis);
    }
    const cj_dim all = cj__dim_shift(g, size, before + after);
    cj_node *n = cj_dim_value(g, size), *last = cj_shift(n, -1);
    cj_node *i = cj_shift(cj_iota(g, CJ_I64, 0, 1, &all), -(double)before);
    if (mode == EDGE) i = cj_minimum(cj_maximum(i, cj_scalar(g, CJ_I64, 0)), last);
    if (mode == WRAP) i = cj_mod(i, n);
    if (mode == REFLECT) {
        i = cj_mod(i, cj_scale(last, 2)); /* 0 where n is 1 */
        i = cj_minimum(i, cj_sub(cj_scale(last, 2), i));
    }
    return cj_gather(x, i, axis);
}

static bool extend_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    const cj__extend_attrs *a = call->attributes;
    cj_node *x = call->in[0];
    (void)g;
    for (int i = 0; x && i < x->type.rank; i++)
        x = longer(x, i, at(a->before, i), at(a->after, i), a->mode);
    out[0] = x;
    return x != NULL;
}

/* Every second one by more elements than there are. */
static cj_node *extend_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX], before[CJ_RANK_MAX], after[CJ_RANK_MAX];
    if (i >= 72 || !cj_sample_shape(i % 24, &rank, dims)) return NULL;
    for (int k = 0; k < rank; k++) {
        before[k] = dims[k] ? (i + k) % 3 : 0;
        after[k] = dims[k] ? (i + 2 * k) % 2 * (i % 2 ? dims[k] + 2 : 1) : 0;
    }
    cj_node *x = i % 10 == 9 ? cj_sample_int(s, CJ_I16, -9, 9, rank, dims)
                             : cj_sample_real(s, -2, 2, rank, dims);
    return cj_apply(cj_sampler_graph(s), &cj_op_extend, &x, 1,
                    &(cj__extend_attrs){{rank, before}, {rank, after}, i / 24});
}

static const cj_option extend_options[] = {
    CJ_OPTION_INTS(cj__extend_attrs, before, 0, CJ__FAR, "elements added in front of each axis"),
    CJ_OPTION_INTS(cj__extend_attrs, after, 0, CJ__FAR, "elements added behind"),
    CJ_OPTION_WORD(cj__extend_attrs, mode, EDGE, cj__extend_words,
                   "which: the nearest, mirrored at the outermost, from the other end"),
    CJ_OPTION_END};

const cj_op cj_op_extend = {
    .name = "extend",
    .doc = "x with elements of its own added around it",
    .flags = CJ_OP_ANY_DTYPE,
    .inputs = 1,
    .attributes_size = sizeof(cj__extend_attrs),
    .attributes = extend_options,
    .infer = extend_infer,
    .lower = extend_lower,
    .sample = CJ__SAMPLE(extend_sample),
};

cj_node *(cj_extend)(cj_node *x, const int64_t *before, const int64_t *after, const char *mode)
{
    if (!x || cj__is_zero(x)) return x;
    cj_graph *g = cj_node_graph(x);
    const int rank = x->type.rank;
    cj__extend_attrs a = {.before = {before ? rank : 0, before},
                          .after = {after ? rank : 0, after}};
    if (!cj__image_word(g, "extend", "mode", mode, cj__extend_words, &a.mode)) return NULL;
    return cj_apply(g, &cj_op_extend, &x, 1, &a);
}
