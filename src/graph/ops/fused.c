/* fused.c: a group of calls over one shape as one call with a body, made by pass/fuse.c.
 *
 * The shape is dims, cut in two: `leading` axes number the rows, the others make a row. The body
 * has values of three kinds:
 *
 *     full    of the shape: elementwise calls, softmax along rows
 *     rows    one element a row: what reductions of rows give, and elementwise calls of such
 *     ends    reductions over other axes: sums of columns, of all; they are results only
 *
 * Operand i stands for placeholder i of the body: it is full, or smaller and broadcast by the body.
 * Symbols have the same names inside and outside. Its lowering is its body. */
#include "graph/graph.h"
#include "graph/sample.h"

static bool is_reduced(cj_ints axes, int axis)
{
    for (int i = 0; i < axes.n; i++)
        if (axes.v[i] == axis) return true;
    return false;
}

bool cj__reduction_cut(const cj_call *call, cj__cut *cut)
{
    const cj_type *x = &call->in[0]->type;
    cj_ints axes = ((const cj__reduce_attrs *)call->attributes)->axes;
    int first = -1, last = -1;
    for (int i = 0; i < x->rank; i++) {
        if (x->dim[i] == 1 || !is_reduced(axes, i)) continue;
        if (first < 0) first = i;
        last = i;
    }
    if (first < 0) return false;
    *cut = (cj__cut){0, x->rank};
    for (int i = 0; i < first; i++)
        if (x->dim[i] != 1) cut->outer = i + 1;
    for (int i = first; i <= last; i++)
        if (x->dim[i] != 1 && !is_reduced(axes, i)) return false;
    for (int i = last + 1; i < x->rank; i++)
        if (x->dim[i] != 1) cut->inner = last + 1;
    return true;
}

static const cj_option fused_options[] = {
    CJ_OPTION_GRAPH(cj__fused_attrs, body, "the calls of the group"),
    CJ_OPTION_DIMS(cj__fused_attrs, dims, "the shape that the group is about"),
    CJ_OPTION_INT(cj__fused_attrs, leading, -1, -1, CJ_RANK_MAX, "axes that number rows"),
    CJ_OPTION_END};

static cj_status infer_fused(cj_infer *infer)
{
    cj_call *call = infer->call;
    const cj__fused_attrs *a = call->attributes;
    const cj_graph *body = a->body;
    if (a->dims.n > CJ_RANK_MAX || a->leading > a->dims.n)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%d axes, %d of them leading", a->dims.n,
                             (int)a->leading);
    if (!body || body->outputs.count < 1)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "it has no body");
    if (body->inputs.count != call->n_in)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "the body takes %d operands, got %d",
                             body->inputs.count, call->n_in);
    for (int i = 0; i < call->n_in; i++) {
        const cj_type *inside = &body->inputs.items[i].node->type, *outside = &call->in[i]->type;
        bool same = inside->dtype == outside->dtype && inside->rank == outside->rank;
        for (int k = 0; same && k < inside->rank; k++)
            same = cj_infer_equal(infer,
                                  cj__dim_translate(body, infer->graph, NULL, inside->dim[k]),
                                  outside->dim[k]);
        if (!same)
            return cj_infer_fail(infer, CJ_ERR_TYPE, "operand %d is not of the type the body takes",
                                 i);
    }
    /* Sizes the body takes for equal (a broadcast of [n] to [batch]) must be so outside as well. */
    for (int i = 0; i < body->dims.n_agreements; i++) {
        const cj__agreement *same = &body->dims.agreements[i];
        if (!cj_infer_equal(infer, cj__dim_translate(body, infer->graph, NULL, same->a),
                            cj__dim_translate(body, infer->graph, NULL, same->b)))
            return cj_infer_fail(infer, CJ_ERR_SHAPE, "sizes that the body takes for equal differ");
    }
    call->n_out = body->outputs.count;
    for (int i = 0; i < call->n_out; i++) {
        infer->out[i] = body->outputs.items[i].node->type;
        for (int k = 0; k < infer->out[i].rank; k++)
            infer->out[i].dim[k] = cj__dim_translate(body, infer->graph, NULL,
                                                     infer->out[i].dim[k]);
    }
    return CJ_OK;
}

static bool lower_fused(cj_graph *g, cj_call *call, cj_node **out)
{
    return cj__graph_inline(g, ((const cj__fused_attrs *)call->attributes)->body, call->in,
                            call->n_in, out);
}

/* exp(x) * b + x^2 with a bias row: elementwise calls alone. */
static void body_pointwise(cj_graph *g, cj_node *x, cj_node *b)
{
    cj_node *e = cj_exp(x);
    cj_graph_output(g, "e", e);
    cj_graph_output(g, "y",
                    cj_add(cj_mul(e, cj_broadcast_to(b, x->type.rank, x->type.dim)), cj_square(x)));
}

/* Like a layer norm: rows are reduced and used again. */
static void body_rows(cj_graph *g, cj_node *x, cj_node *b)
{
    int rank = x->type.rank;
    int64_t last = rank - 1;
    cj_node *mean = cj_reduce_sum(x, 1, &last, true);
    cj_node *centred = cj_sub(x, cj_broadcast_to(mean, rank, x->type.dim));
    cj_node *variance = cj_reduce_sum(cj_square(centred), 1, &last, true);
    cj_node *scale = cj_rsqrt(cj_exp(variance));
    cj_node *y = cj_mul(centred, cj_broadcast_to(scale, rank, x->type.dim));
    cj_graph_output(g, "scale", scale);
    cj_graph_output(g, "y", cj_add(y, cj_broadcast_to(b, rank, x->type.dim)));
}

/* Two sums of columns and one of all, from values that are needed for nothing else. */
static void body_columns(cj_graph *g, cj_node *x, cj_node *b)
{
    int rank = x->type.rank;
    int64_t axes[CJ_RANK_MAX];
    for (int i = 0; i < rank; i++) axes[i] = i;
    cj_node *y = cj_mul(cj_square(x), cj_broadcast_to(b, rank, x->type.dim));
    cj_graph_output(g, "sum", cj_reduce_sum(x, rank - 1, axes, false));
    cj_graph_output(g, "y", y);
    cj_graph_output(g, "kept", cj_reduce_sum(y, rank - 1, axes, true));
    cj_graph_output(g, "all", cj_reduce_sum(y, rank, axes, false));
}

/* Sums of what lies between the first axis and the last. */
static void body_middle(cj_graph *g, cj_node *x, cj_node *b)
{
    int rank = x->type.rank;
    int64_t axes[CJ_RANK_MAX];
    for (int i = 1; i < rank - 1; i++) axes[i - 1] = i;
    cj_node *y = cj_sub(cj_square(x), cj_broadcast_to(b, rank, x->type.dim));
    cj_graph_output(g, "sums", cj_reduce_sum(y, rank - 2, axes, false));
    cj_graph_output(g, "y", y);
    for (int i = 0; i < rank - 1; i++) axes[i] = i;
    cj_graph_output(g, "sum", cj_reduce_sum(y, rank - 1, axes, false));
}

/* The kinds of groups that pass/fuse.c makes, each over all shapes that it can have. */
static cj_node *sample_fused(cj_sampler *s, int i)
{
    static void (*const bodies[])(cj_graph *, cj_node *, cj_node *) = {body_pointwise, body_rows,
                                                                       body_columns, body_middle};
    static const int ranks[] = {0, 1, 2, 3}; /* the least they need */
    cj_graph *g = cj_sampler_graph(s), *body;
    int rank, kind = 0;
    int64_t dims[CJ_RANK_MAX];
    for (;; kind++) { /* sample i of the first kind, or a later one of those that follow */
        int n = 0;
        if (kind == CJ__COUNT(bodies)) return NULL;
        for (int k = 0; cj_sample_shape(k, &rank, dims); k++)
            if (rank >= ranks[kind] && n++ == i) goto found;
        i -= n;
    }
found:
    if (!(body = cj_graph_new(g->cj))) return NULL;
    cj_node *x = cj_placeholder(body, "x", s->dtype, rank, dims);
    cj_node *b = cj_placeholder(body, "b", s->dtype, rank ? 1 : 0, rank ? &dims[rank - 1] : NULL);
    bodies[kind](body, x, b);
    cj_node *in[] = {cj_sample_real(s, -1, 1, rank, dims),
                     cj_sample_real(s, -1, 1, rank ? 1 : 0, rank ? &dims[rank - 1] : NULL)};
    return cj_apply(g, &cj_op_fused, in, 2,
                    &(cj__fused_attrs){body, {rank, dims}, kind ? rank - 1 : -1});
}

const cj_op cj_op_fused = {.name = "fused",
                           .flags = CJ_OP_NOFAIL | CJ_OP_ANY_DTYPE,
                           .doc = "elementwise calls and reductions run tile by tile",
                           .inputs = -1,
                           .inputs_min = 1,
                           .outputs = -1,
                           .attributes_size = sizeof(cj__fused_attrs),
                           .attributes = fused_options,
                           .infer = infer_fused,
                           .lower = lower_fused,
                           .sample = CJ__SAMPLE(sample_fused)};
