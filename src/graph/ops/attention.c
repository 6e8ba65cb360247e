/* attention.c: scaled dot-product attention (Vaswani et al. 2017) and its gradient.
 *
 *     q [N, Tq, Hq, D]   k [N, Tk, Hk, D]   v [N, Tk, Hk, Dv]   ->   o [N, Tq, Hq, Dv]
 *
 *     s = scale q k^T        softcap: c tanh(s / c)      mask: added, or -inf where it is false
 *     l = ln(sum of e^s)     p = e^(s - l)               o = dropout(p) v
 *
 * Heads lie inside a position, as a projection's output [N, T, H D] has them, so nothing is moved
 * before the product. Head h of q uses head h / (Hq / Hk) of k and v (grouped queries: Ainslie et
 * al. 2023). A query that sees no key has l = -inf, p = 0 and o = 0.
 *
 * l is an output: with it the gradient computes p again instead of keeping it (Dao 2023). With D =
 * rowsum(do o) - dl:
 *
 *     dp = do v^T (with dropout's mask)    ds = p (dp - D) (1 - tanh^2)
 *     dq = scale ds k     dk = scale ds^T q     dv = dropout(p)^T do     dmask = p (dp - D)
 *
 * Both rows are composites: the lowerings here are the definition, and 16-bit floats are computed
 * in f32. backend/cpu/attention.c runs f32 block by block without ever storing s. */
#include <math.h>

#include "graph/ops/attention.h"
#include "graph/ops/block.h"

#include <cajal/sequence.h>

static const cj_option attention_options[] = {
    CJ_OPTION_FLOAT(cj__attention_attrs, scale, 0, 0, 1e30, "factor of q k; 0: 1 / sqrt(D)"),
    CJ_OPTION_FLOAT(cj__attention_attrs, softcap, 0, 0, 1e30,
                    "c: scores become c tanh(s / c); 0: they stay"),
    CJ_OPTION_FLOAT(cj__attention_attrs, rate, 0, 0, 1, "of dropout in training, below 1"),
    CJ_OPTION_INT(cj__attention_attrs, stream, -1, -1, UINT32_MAX,
                  "of its random numbers; -1: the graph's next"),
    CJ_OPTION_BOOL(cj__attention_attrs, causal, false, "query i sees keys up to i + offset"),
    CJ_OPTION_BOOL(cj__attention_attrs, has_mask, false, "there is an operand mask"),
    CJ_OPTION_BOOL(cj__attention_attrs, has_lengths, false, "there is an operand lengths"),
    CJ_OPTION_BOOL(cj__attention_attrs, has_offset, false, "there is an operand offset"),
    CJ_OPTION_END};

static int take(int *count, bool present) { return present ? (*count)++ : -1; }

cj__attention_places cj__attention_places_of(const cj_call *call)
{
    const cj__attention_attrs *a = call->attributes;
    cj__attention_places at = {.count = call->op == &cj_op_attention ? CJ__ATTENTION_FIXED
                                                                     : CJ__ATTENTION_GRAD_FIXED};
    at.mask = take(&at.count, a->has_mask);
    at.lengths = take(&at.count, a->has_lengths);
    at.offset = take(&at.count, a->has_offset);
    at.key = take(&at.count, a->rate > 0);
    at.training = take(&at.count, a->rate > 0);
    return at;
}

double cj__attention_scale(const cj__attention_attrs *a, int64_t d)
{
    return a->scale > 0 ? a->scale : d > 0 ? 1 / sqrt((double)d) : 1;
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

/* Of the scores: [N, Hq, Tq, Tk]. */
static void score_dims(const cj_call *call, cj_dim dims[4])
{
    const cj_type *q = &call->in[CJ__ATTENTION_Q]->type, *k = &call->in[CJ__ATTENTION_K]->type;
    dims[0] = q->dim[0], dims[1] = q->dim[2], dims[2] = q->dim[1], dims[3] = k->dim[1];
}

static cj_status check_heads(cj_infer *infer, const cj_type *q, const cj_type *k, const cj_type *v)
{
    cj_graph *g = infer->graph;
    if (!cj__is_float(q->dtype) || k->dtype != q->dtype || v->dtype != q->dtype)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "q, k and v are floats of one dtype");
    if (q->rank != 4 || k->rank != 4 || v->rank != 4)
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "q, k, v of rank %d, %d, %d; [samples, positions, heads, numbers] "
                             "is expected",
                             q->rank, k->rank, v->rank);
    if (q->dim[2] < 1 || k->dim[2] < 1 || q->dim[3] < 0)
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "heads (%s of q, %s of k) and their size (%s) are known numbers, "
                             "heads at least 1",
                             cj_dim_text(g, q->dim[2]), cj_dim_text(g, k->dim[2]),
                             cj_dim_text(g, q->dim[3]));
    if (q->dim[2] % k->dim[2])
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "the %lld heads of q are no multiple of the %lld of k",
                             (long long)q->dim[2], (long long)k->dim[2]);
    if (!cj_infer_equal(infer, q->dim[3], k->dim[3]))
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "a head of q has %s numbers, one of k %s",
                             cj_dim_text(g, q->dim[3]), cj_dim_text(g, k->dim[3]));
    static const char *const axes[] = {"samples", "positions", "heads"};
    for (int i = 0; i < 3; i++) {
        if (!cj_infer_equal(infer, k->dim[i], v->dim[i]) ||
            (i == 0 && !cj_infer_equal(infer, q->dim[0], k->dim[0])))
            return cj_infer_fail(infer, CJ_ERR_SHAPE, "%s: %s in q, %s in k, %s in v", axes[i],
                                 cj_dim_text(g, q->dim[i]), cj_dim_text(g, k->dim[i]),
                                 cj_dim_text(g, v->dim[i]));
    }
    return CJ_OK;
}

static cj_status check_mask(cj_infer *infer, const cj_type *mask)
{
    static const char *const axes[] = {"samples", "heads", "queries", "keys"};
    cj_dim dims[4];
    score_dims(infer->call, dims);
    if (mask->dtype != CJ_BOOL && mask->dtype != infer->call->in[0]->type.dtype)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "the mask is bool or of q's dtype, not %s",
                             cj_dtype_info(mask->dtype)->name);
    if (mask->rank != 4)
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "the mask has rank %d; [samples, heads, queries, keys] is expected, "
                             "each of them or 1",
                             mask->rank);
    for (int i = 0; i < 4; i++)
        if (mask->dim[i] != 1 && !cj_infer_equal(infer, mask->dim[i], dims[i]))
            return cj_infer_fail(infer, CJ_ERR_SHAPE, "the mask has %s %s; 1 or %s is expected",
                                 cj_dim_text(infer->graph, mask->dim[i]), axes[i],
                                 cj_dim_text(infer->graph, dims[i]));
    return CJ_OK;
}

static cj_status check_counts(cj_infer *infer, const char *what, const cj_type *type)
{
    cj_dim n = infer->call->in[0]->type.dim[0];
    if (type->dtype == CJ_I64 && type->rank == 1 && cj_infer_equal(infer, type->dim[0], n))
        return CJ_OK;
    return cj_infer_fail(infer, CJ_ERR_SHAPE, "%s holds a number for each sample: i64[%s]", what,
                         cj_dim_text(infer->graph, n));
}

static cj_status check_operands(cj_infer *infer)
{
    const cj_call *call = infer->call;
    cj__attention_attrs *a = call->attributes;
    cj__attention_places at = cj__attention_places_of(call);
    if (!(a->rate >= 0 && a->rate < 1))
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "the rate of dropout, %g, is not in [0, 1)",
                             a->rate);
    if (call->n_in != at.count)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%d operands; its attributes tell of %d",
                             call->n_in, at.count);
    CJ__TRY(check_heads(infer, &call->in[0]->type, &call->in[1]->type, &call->in[2]->type));
    if (at.mask >= 0) CJ__TRY(check_mask(infer, &call->in[at.mask]->type));
    if (at.lengths >= 0) CJ__TRY(check_counts(infer, "lengths", &call->in[at.lengths]->type));
    if (at.offset >= 0) CJ__TRY(check_counts(infer, "offset", &call->in[at.offset]->type));
    if (at.key < 0) return CJ_OK;
    const cj_type *training = &call->in[at.training]->type;
    if (training->dtype != CJ_BOOL || training->rank)
        return cj_infer_fail(infer, CJ_ERR_TYPE,
                             "operand %d says whether it is training: a bool scalar", at.training);
    cj__take_stream(infer->graph, &a->stream);
    return cj__infer_key(infer, at.key);
}

/* ln(sum of e^s) keeps the digits that 16 bits do not have. */
static cj_dtype exact_dtype(cj_dtype dtype) { return dtype == CJ_F64 ? CJ_F64 : CJ_F32; }

static void result_types(const cj_call *call, cj_type *o, cj_type *lse)
{
    const cj_type *q = &call->in[CJ__ATTENTION_Q]->type;
    *o = *q;
    o->dim[3] = call->in[CJ__ATTENTION_V]->type.dim[3];
    *lse = (cj_type){.dtype = exact_dtype(q->dtype), .rank = 3};
    score_dims(call, lse->dim);
    lse->dim[3] = 0;
}

static cj_status attention_infer(cj_infer *infer)
{
    CJ__TRY(check_operands(infer));
    result_types(infer->call, &infer->out[0], &infer->out[1]);
    return CJ_OK;
}

static cj_status attention_grad_infer(cj_infer *infer)
{
    static const struct {
        int operand;
        const char *name;
    } results[] = {{CJ__ATTENTION_O, "o"},
                   {CJ__ATTENTION_LSE, "lse"},
                   {CJ__ATTENTION_DO, "do"},
                   {CJ__ATTENTION_DLSE, "dlse"}};
    cj_type types[2];
    CJ__TRY(check_operands(infer));
    result_types(infer->call, &types[0], &types[1]);
    for (int i = 0; i < 4; i++) {
        const cj_type *have = &infer->call->in[results[i].operand]->type, *type = &types[i % 2];
        bool same = have->dtype == type->dtype && have->rank == type->rank;
        for (int k = 0; same && k < type->rank; k++)
            same = cj_infer_equal(infer, have->dim[k], type->dim[k]);
        if (!same)
            return cj_infer_fail(infer, have->dtype == type->dtype ? CJ_ERR_SHAPE : CJ_ERR_TYPE,
                                 "%s is not of the type that attention's result has",
                                 results[i].name);
    }
    for (int i = 0; i < 3; i++) infer->out[i] = infer->call->in[i]->type;
    return CJ_OK;
}

/* ---- Lowering -------------------------------------------------------------------------------- */

/* What both lowerings begin with; [N, Hk, G Tq, ...] puts the queries of a group below one another.
 */
typedef struct lowering {
    cj_graph *g;
    cj_call *call;
    cj__attention_places at;
    cj_dim n, hq, tq, tk, hk, d, dv, rows; /* rows: G Tq */
    cj_node *q, *k, *v; /* [N, Hk, rows, D], [N, Hk, Tk, D or Dv] */
    cj_node *tanh;      /* of softcap, or NULL */
    cj_node *s;         /* [N, Hq, Tq, Tk] */
    cj_node *drop;      /* 0 or 1 / (1 - rate); NULL: no dropout */
} lowering;

/* [N, T, H, D] as [N, H, T, D], and back. */
static cj_node *swap_heads(cj_node *x)
{
    return cj_transpose(x, (int64_t[]){0, 2, 1, 3});
}

static cj_node *in_rows(lowering *l, cj_node *x)
{
    return cj_reshape(x, 4, (cj_dim[]){l->n, l->hk, l->rows, cj_node_dim(x, -1)});
}

static cj_node *in_heads(lowering *l, cj_node *x)
{
    return cj_reshape(x, 4, (cj_dim[]){l->n, l->hq, l->tq, cj_node_dim(x, -1)});
}

/* Which keys the queries see, as far as lengths and causality go: bool, [N or 1, 1, Tq or 1, Tk],
 * or NULL. */
static cj_node *visible(lowering *l)
{
    const cj__attention_attrs *a = l->call->attributes;
    cj_dim column[4] = {l->n, 1, 1, 1};
    cj_node *seen = NULL, *keys = cj_iota(l->g, CJ_I64, 3, 4, (cj_dim[]){1, 1, 1, l->tk});
    if (a->has_lengths)
        seen = cj_less(keys, cj_reshape(l->call->in[l->at.lengths], 4, column));
    if (!a->causal) return seen;
    cj_node *last = cj_iota(l->g, CJ_I64, 2, 4, (cj_dim[]){1, 1, l->tq, 1});
    if (a->has_offset) last = cj_add(last, cj_reshape(l->call->in[l->at.offset], 4, column));
    else if (l->tk >= 0 && l->tq >= 0 && l->tk != l->tq)
        last = cj_add(last, cj_scalar(l->g, CJ_I64, (double)(l->tk - l->tq)));
    else if (l->tk != l->tq)
        last = cj_add(last, cj_sub(cj_dim_value(l->g, l->tk), cj_dim_value(l->g, l->tq)));
    cj_node *past = cj_less_equal(keys, last);
    return seen ? cj_logical_and(seen, past) : past;
}

static cj_node *hide(lowering *l, cj_node *seen)
{
    return cj_where(seen, l->s, cj_scalar(l->g, l->s ? l->s->type.dtype : CJ_F32, -INFINITY));
}

/* The same numbers as cj_dropout_node draws for a tensor of this shape. */
static cj_node *dropout_factors(lowering *l)
{
    const cj__attention_attrs *a = l->call->attributes;
    if (!(a->rate > 0) || !l->s) return NULL;
    cj_dtype dtype = l->s->type.dtype;
    cj_node *one = cj_scalar(l->g, dtype, 1), *zero = cj_scalar(l->g, dtype, 0);
    cj_node *u = cj_random_uniform(l->call->in[l->at.key], CJ_F32, a->stream, 4, l->s->type.dim);
    cj_node *kept = cj_greater_equal(u, cj_scalar(l->g, CJ_F32, a->rate));
    cj_node *factor = cj_where(kept, cj_scale(one, 1 / (1 - a->rate)), zero);
    return cj_where(l->call->in[l->at.training], factor, one);
}

static void lower_scores(lowering *l, cj_graph *g, cj_call *call)
{
    const cj__attention_attrs *a = call->attributes;
    const cj_type *q = &call->in[0]->type, *k = &call->in[1]->type;
    cj_dtype exact = exact_dtype(q->dtype);
    *l = (lowering){.g = g,
                    .call = call,
                    .at = cj__attention_places_of(call),
                    .n = q->dim[0],
                    .tq = q->dim[1],
                    .hq = q->dim[2],
                    .d = q->dim[3],
                    .tk = k->dim[1],
                    .hk = k->dim[2],
                    .dv = call->in[2]->type.dim[3]};
    l->rows = cj_dim_mul(g, l->hq / l->hk, l->tq);
    l->q = in_rows(l, swap_heads(cj_cast(call->in[0], exact)));
    l->k = swap_heads(cj_cast(call->in[1], exact));
    l->v = swap_heads(cj_cast(call->in[2], exact));
    l->s = in_heads(l, cj_matmul_transposed(l->q, l->k, false, true));
    l->s = cj_scale(l->s, cj__attention_scale(a, l->d));
    if (a->softcap > 0) {
        l->tanh = cj_tanh(cj_scale(l->s, 1 / a->softcap));
        l->s = cj_scale(l->tanh, a->softcap);
    }
    if (a->has_mask) {
        cj_node *mask = call->in[l->at.mask];
        l->s = mask->type.dtype == CJ_BOOL ? hide(l, mask) : cj_add(l->s, cj_cast(mask, exact));
    }
    cj_node *seen = visible(l);
    if (seen) l->s = hide(l, seen);
    l->drop = dropout_factors(l);
}

/* e^(s - lse) for lse [N, Hq, Tq, 1]; 0 where a query sees nothing. */
static cj_node *probabilities(lowering *l, cj_node *lse)
{
    if (!lse || !l->s) return NULL;
    cj_dtype dtype = lse->type.dtype;
    cj_node *none = cj_equal(lse, cj_scalar(l->g, dtype, -INFINITY));
    return cj_exp(cj_sub(l->s, cj_where(none, cj_scalar(l->g, dtype, 0), lse)));
}

static cj_node *times_drop(lowering *l, cj_node *x) { return l->drop ? cj_mul(x, l->drop) : x; }

static bool attention_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    lowering l;
    lower_scores(&l, g, call);
    cj_node *lse = cj_logsumexp(l.s, 1, (int64_t[]){-1}, true);
    cj_node *p = times_drop(&l, probabilities(&l, lse));
    cj_node *o = swap_heads(in_heads(&l, cj_matmul(in_rows(&l, p), l.v)));
    out[0] = cj_cast(o, call->in[0]->type.dtype);
    out[1] = cj_squeeze(lse, -1);
    return out[0] && out[1];
}

/* ds before softcap, [N, Hq, Tq, Tk]: the cotangent of what the mask is added to. */
static cj_node *lower_score_gradient(lowering *l, cj_node **p, cj_node **d_o)
{
    cj_call *call = l->call;
    cj_dtype exact = exact_dtype(call->in[0]->type.dtype);
    cj_node *o = cj_cast(call->in[CJ__ATTENTION_O], exact);
    *p = probabilities(l, cj_expand_dims(call->in[CJ__ATTENTION_LSE], -1));
    *d_o = cj_cast(call->in[CJ__ATTENTION_DO], exact); /* [N, Tq, Hq, Dv] */
    cj_node *dot = cj_reduce_sum(cj_mul(*d_o, o), 1, (int64_t[]){-1}, true);
    cj_node *delta = cj_sub(swap_heads(dot), cj_expand_dims(call->in[CJ__ATTENTION_DLSE], -1));
    *d_o = in_rows(l, swap_heads(*d_o));
    cj_node *dp = times_drop(l, in_heads(l, cj_matmul_transposed(*d_o, l->v, false, true)));
    return cj_mul(*p, cj_sub(dp, delta));
}

static bool attention_grad_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    const cj__attention_attrs *a = call->attributes;
    lowering l;
    lower_scores(&l, g, call);
    cj_node *p, *d_o, *ds = lower_score_gradient(&l, &p, &d_o);
    if (l.tanh) ds = cj_mul(ds, cj_sub(cj_scalar(g, ds ? ds->type.dtype : CJ_F32, 1),
                                       cj_square(l.tanh)));
    ds = in_rows(&l, cj_scale(ds, cj__attention_scale(a, l.d)));
    cj_node *dropped = in_rows(&l, times_drop(&l, p));
    out[0] = swap_heads(in_heads(&l, cj_matmul(ds, l.k)));
    out[1] = swap_heads(cj_matmul_transposed(ds, l.q, true, false));
    out[2] = swap_heads(cj_matmul_transposed(dropped, d_o, true, false));
    for (int i = 0; i < 3; i++) out[i] = cj_cast(out[i], call->in[i]->type.dtype);
    return out[0] && out[1] && out[2];
}

/* The cotangent of a float mask is ds summed to its shape. It is made of the lowering; where nobody
 * trains a mask it is dead code. */
static void attention_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    cj__attention_places at = cj__attention_places_of(call);
    cj_node *in[CJ__ATTENTION_GRAD_FIXED + 5];
    for (int i = 0; i < CJ__ATTENTION_FIXED; i++) in[i] = call->in[i];
    in[CJ__ATTENTION_O] = &call->out[0];
    in[CJ__ATTENTION_LSE] = &call->out[1];
    in[CJ__ATTENTION_DO] = cj_zero_as(dy[0], &call->out[0]);
    in[CJ__ATTENTION_DLSE] = cj_zero_as(dy[1], &call->out[1]);
    int n = CJ__ATTENTION_GRAD_FIXED;
    for (int i = CJ__ATTENTION_FIXED; i < call->n_in; i++) in[n++] = call->in[i];
    cj_node *made = cj_apply(g, &cj_op_attention_grad, in, n, call->attributes);
    if (!made) return;
    for (int i = 0; i < 3; i++) dx[i] = cj_node_output(made, i);
    if (at.mask < 0 || !cj__is_float(call->in[at.mask]->type.dtype)) return;
    lowering l;
    cj_node *p, *d_o;
    lower_scores(&l, g, made->call);
    cj_node *ds = cj__sum_to(lower_score_gradient(&l, &p, &d_o), &call->in[at.mask]->type);
    dx[at.mask] = cj_cast(ds, call->in[at.mask]->type.dtype);
}

static double products(const cj_kernel *k, double matrices)
{
    const cj_array *q = k->in[0], *v = k->in[2];
    return matrices * (double)q->count * (double)v->dim[1] *
           (1 + (double)v->dim[3] / (double)(q->dim[3] ? q->dim[3] : 1)) / 2;
}

/* q k^T and p v. */
static double attention_multiply_adds(const cj_kernel *k) { return products(k, 2); }
/* Those of the scores again, do v^T, and one for each result. */
static double attention_grad_multiply_adds(const cj_kernel *k) { return products(k, 5); }

/* ---- Samples --------------------------------------------------------------------------------- */

enum { CAUSAL = 1, LENGTHS = 2, OFFSET = 4, DROPOUT = 8, SOFTCAP = 16, SCALE = 32 };

static const struct attention_case {
    int n, tq, tk, hq, hk, d, dv, flags;
    int mask[4]; /* sizes; 0 0 0 0: none. */
    bool bool_mask;
} cases[] = {
    {.n = 1, .tq = 1, .tk = 1, .hq = 1, .hk = 1, .d = 1, .dv = 1},
    {.n = 2, .tq = 3, .tk = 4, .hq = 2, .hk = 2, .d = 3, .dv = 5},
    {.n = 1, .tq = 4, .tk = 4, .hq = 2, .hk = 1, .d = 2, .dv = 2, .flags = CAUSAL},
    {.n = 2, .tq = 2, .tk = 5, .hq = 4, .hk = 2, .d = 3, .dv = 2, .flags = CAUSAL},
    {.n = 1, .tq = 5, .tk = 2, .hq = 1, .hk = 1, .d = 2, .dv = 3},
    {.n = 3, .tq = 2, .tk = 4, .hq = 2, .hk = 2, .d = 2, .dv = 2, .flags = LENGTHS},
    {.n = 3, .tq = 3, .tk = 4, .hq = 3, .hk = 1, .d = 2, .dv = 1, .flags = LENGTHS | CAUSAL},
    {.n = 2, .tq = 2, .tk = 6, .hq = 2, .hk = 1, .d = 4, .dv = 4, .flags = OFFSET | CAUSAL},
    {.n = 2, .tq = 1, .tk = 7, .hq = 4, .hk = 2, .d = 4, .dv = 3, .flags = OFFSET | CAUSAL},
    {.n = 2, .tq = 1, .tk = 7, .hq = 6, .hk = 2, .d = 4, .dv = 3, .flags = LENGTHS},
    {.n = 2, .tq = 3, .tk = 3, .hq = 2, .hk = 2, .d = 3, .dv = 2, .mask = {2, 2, 3, 3}},
    {.n = 2, .tq = 3, .tk = 4, .hq = 2, .hk = 1, .d = 3, .dv = 2, .mask = {1, 2, 1, 4}},
    {.n = 2, .tq = 3, .tk = 4, .hq = 2, .hk = 1, .d = 3, .dv = 2, .mask = {2, 1, 3, 1}},
    {.n = 2, .tq = 3, .tk = 4, .hq = 2, .hk = 2, .d = 2, .dv = 2, .mask = {2, 1, 3, 4},
     .bool_mask = true},
    {.n = 1, .tq = 4, .tk = 4, .hq = 2, .hk = 2, .d = 2, .dv = 2, .mask = {1, 1, 1, 4},
     .bool_mask = true, .flags = CAUSAL | SCALE},
    {.n = 2, .tq = 3, .tk = 4, .hq = 2, .hk = 1, .d = 3, .dv = 2, .flags = DROPOUT},
    {.n = 1, .tq = 5, .tk = 5, .hq = 2, .hk = 2, .d = 2, .dv = 2, .flags = DROPOUT | CAUSAL},
    {.n = 2, .tq = 3, .tk = 3, .hq = 2, .hk = 2, .d = 2, .dv = 2, .flags = SOFTCAP | SCALE},
    {.n = 2, .tq = 3, .tk = 5, .hq = 2, .hk = 1, .d = 2, .dv = 3,
     .flags = SOFTCAP | CAUSAL | DROPOUT, .mask = {1, 1, 3, 5}},
    {.n = 0, .tq = 3, .tk = 2, .hq = 2, .hk = 1, .d = 2, .dv = 2},
    {.n = 2, .tq = 0, .tk = 2, .hq = 2, .hk = 1, .d = 2, .dv = 2},
    {.n = 2, .tq = 3, .tk = 2, .hq = 2, .hk = 1, .d = 0, .dv = 2},
    {.n = 2, .tq = 3, .tk = 2, .hq = 2, .hk = 1, .d = 2, .dv = 0},
    {.n = 1, .tq = 67, .tk = 67, .hq = 1, .hk = 1, .d = 5, .dv = 4, .flags = CAUSAL},
    {.n = 1, .tq = 3, .tk = 131, .hq = 2, .hk = 1, .d = 4, .dv = 3, .flags = LENGTHS},
    {.n = 1, .tq = 66, .tk = 140, .hq = 1, .hk = 1, .d = 3, .dv = 2, .mask = {1, 1, 1, 140},
     .flags = CAUSAL | DROPOUT},
    {.n = 2, .tq = 3, .tk = 0, .hq = 2, .hk = 1, .d = 2, .dv = 2}, /* from here on: UNSEEN */
    {.n = 1, .tq = 5, .tk = 2, .hq = 1, .hk = 1, .d = 2, .dv = 3, .flags = CAUSAL},
};
/* Where a query sees nothing its logarithm is -inf, which has no differences: such cases are the
 * gradient's alone, whose operand it is. */
enum { UNSEEN = 2 };

/* The operands after the fixed ones; returns how many. */
static int sample_options(cj_sampler *s, const struct attention_case *c, cj__attention_attrs *a,
                          cj_node **in)
{
    int n = 0;
    *a = (cj__attention_attrs){.stream = -1, .causal = c->flags & CAUSAL};
    if (c->flags & SCALE) a->scale = 0.7;
    if (c->flags & SOFTCAP) a->softcap = 1.5;
    if (c->mask[0]) {
        int64_t dims[4] = {c->mask[0], c->mask[1], c->mask[2], c->mask[3]};
        a->has_mask = true;
        cj_node *first = cj_equal(cj_iota(cj_sampler_graph(s), CJ_I64, 3, 4, dims),
                                  cj_scalar(cj_sampler_graph(s), CJ_I64, 0));
        in[n++] = c->bool_mask ? cj_logical_or(cj_sample_bool(s, 4, dims), first)
                               : cj_sample_real(s, -1, 1, 4, dims);
    }
    if ((a->has_lengths = c->flags & LENGTHS))
        in[n++] = cj_sample_int(s, CJ_I64, 1, c->tk + 1, 1, (int64_t[]){c->n});
    if ((a->has_offset = c->flags & OFFSET))
        in[n++] = cj_sample_int(s, CJ_I64, 0, c->tk, 1, (int64_t[]){c->n});
    if (c->flags & DROPOUT) {
        a->rate = 0.4;
        in[n++] = cj_sample_int(s, CJ_I64, 0, 1000, 1, (int64_t[]){3});
        in[n++] = cj_sample_int(s, CJ_BOOL, c->tq != 5, 1, 0, NULL);
    }
    return n;
}

static void sample_heads(cj_sampler *s, const struct attention_case *c, cj_node **in)
{
    in[0] = cj_sample_real(s, -1, 1, 4, (int64_t[]){c->n, c->tq, c->hq, c->d});
    in[1] = cj_sample_real(s, -1, 1, 4, (int64_t[]){c->n, c->tk, c->hk, c->d});
    in[2] = cj_sample_real(s, -1, 1, 4, (int64_t[]){c->n, c->tk, c->hk, c->dv});
}

static cj_node *attention_sample(cj_sampler *s, int i)
{
    if (i >= (int)CJ__COUNT(cases) - UNSEEN) return NULL;
    cj__attention_attrs a;
    cj_node *in[CJ__ATTENTION_FIXED + 5];
    sample_heads(s, &cases[i], in);
    int n = CJ__ATTENTION_FIXED + sample_options(s, &cases[i], &a, in + CJ__ATTENTION_FIXED);
    return cj_apply(cj_sampler_graph(s), &cj_op_attention, in, n, &a);
}

static cj_node *attention_grad_sample(cj_sampler *s, int i)
{
    if (i >= (int)CJ__COUNT(cases)) return NULL;
    const struct attention_case *c = &cases[i];
    cj__attention_attrs a;
    cj_node *in[CJ__ATTENTION_GRAD_FIXED + 5];
    sample_heads(s, c, in);
    int64_t o[4] = {c->n, c->tq, c->hq, c->dv}, lse[3] = {c->n, c->hq, c->tq};
    cj_dtype exact = in[0] ? exact_dtype(in[0]->type.dtype) : CJ_F32;
    in[CJ__ATTENTION_O] = cj_sample_real(s, -1, 1, 4, o);
    in[CJ__ATTENTION_LSE] = cj_cast(cj_sample_real(s, 0.5, 2, 3, lse), exact);
    in[CJ__ATTENTION_DO] = cj_sample_real(s, -1, 1, 4, o);
    in[CJ__ATTENTION_DLSE] = cj_cast(cj_sample_real(s, -1, 1, 3, lse), exact);
    int n = CJ__ATTENTION_GRAD_FIXED +
            sample_options(s, c, &a, in + CJ__ATTENTION_GRAD_FIXED);
    return cj_apply(cj_sampler_graph(s), &cj_op_attention_grad, in, n, &a);
}

/* ---- Rows and builder ------------------------------------------------------------------------ */

const cj_op cj_op_attention = {
    .name = "attention",
    .doc = "o = softmax(scale q k^T + mask) v for each head, and ln(sum of e^scores)",
    .inputs = -1,
    .inputs_min = CJ__ATTENTION_FIXED,
    .outputs = 2,
    .flags = CJ_OP_NOFAIL | CJ_OP_KERNEL | CJ_OP_STOCHASTIC,
    .attributes_size = sizeof(cj__attention_attrs),
    .attributes = attention_options,
    .infer = attention_infer,
    .grad = attention_grad,
    .lower = attention_lower,
    .multiply_adds = attention_multiply_adds,
    .sample = CJ__SAMPLE(attention_sample),
};

const cj_op cj_op_attention_grad = {
    .name = "attention_grad",
    .doc = "dq, dk, dv of attention from its operands, its results and their cotangents",
    .inputs = -1,
    .inputs_min = CJ__ATTENTION_GRAD_FIXED,
    .outputs = 3,
    .flags = CJ_OP_NOFAIL | CJ_OP_KERNEL | CJ_OP_STOCHASTIC,
    .attributes_size = sizeof(cj__attention_attrs),
    .attributes = attention_options,
    .infer = attention_grad_infer,
    .lower = attention_grad_lower,
    .multiply_adds = attention_grad_multiply_adds,
    .sample = CJ__SAMPLE(attention_grad_sample),
};

/* A mask of rank 2 or 3 gets leading ones; numbers become q's dtype. */
static cj_node *as_mask(cj_node *mask, cj_dtype dtype)
{
    if (!mask || cj__is_zero(mask)) return mask;
    cj_dim dims[4] = {1, 1, 1, 1};
    int rank = mask->type.rank;
    if (rank > 4)
        return cj__graph_fail(cj_node_graph(mask), "attention", CJ_ERR_SHAPE,
                              "the mask has rank %d; at most 4 is expected", rank),
               NULL;
    for (int i = 0; i < rank; i++) dims[4 - rank + i] = mask->type.dim[i];
    if (mask->type.dtype != CJ_BOOL) mask = cj_cast(mask, dtype);
    return cj_reshape(mask, 4, dims);
}

/* A scalar serves all samples. */
static cj_node *as_counts(cj_node *x, cj_dim n)
{
    if (!x || cj__is_zero(x)) return NULL;
    if (cj__is_float(x->type.dtype))
        return cj__graph_fail(cj_node_graph(x), "attention", CJ_ERR_TYPE,
                              "lengths and offset are integers, not %s",
                              cj_dtype_info(x->type.dtype)->name),
               NULL;
    x = cj_cast(x, CJ_I64);
    return x && x->type.rank == 0 ? cj_broadcast_to(x, 1, &n) : x;
}

cj_node *(cj_attention)(cj_node *q, cj_node *k, cj_node *v, const cj_attention_opts *opts)
{
    static const cj_attention_opts none = {0};
    const cj_attention_opts *o = opts ? opts : &none;
    if (!q || !k || !v || cj__is_zero(q) || cj__is_zero(k) || cj__is_zero(v)) return NULL;
    cj_graph *g = cj_node_graph(q);
    cj_dtype dtype = cj__promote(q->type.dtype, cj__promote(k->type.dtype, v->type.dtype));
    cj__attention_attrs a = {.scale = o->scale,
                             .softcap = o->softcap,
                             .rate = o->dropout,
                             .stream = -1,
                             .causal = o->causal,
                             .has_mask = o->mask && !cj__is_zero(o->mask),
                             .has_lengths = o->lengths,
                             .has_offset = o->offset};
    cj_node *in[CJ__ATTENTION_FIXED + 5] = {cj_cast(q, dtype), cj_cast(k, dtype),
                                            cj_cast(v, dtype)};
    int n = CJ__ATTENTION_FIXED;
    if (a.has_mask) in[n++] = as_mask(o->mask, dtype);
    if (a.has_lengths) in[n++] = as_counts(o->lengths, q->type.rank ? q->type.dim[0] : 1);
    if (a.has_offset) in[n++] = as_counts(o->offset, q->type.rank ? q->type.dim[0] : 1);
    if (a.rate > 0) in[n++] = cj_random_key(g), in[n++] = cj_training(g);
    for (int i = 0; i < n; i++)
        if (!in[i]) return NULL;
    return cj_apply(g, &cj_op_attention, in, n, &a);
}
