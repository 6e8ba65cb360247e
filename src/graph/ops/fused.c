/* fused.c: a group of elementwise calls of one shape as one call with a body, made by pass/fuse.c.
 *
 * Operand i stands for placeholder i of the body: it has the shape of the outputs, or a smaller one
 * that the body broadcasts. Symbols have the same names inside and outside. Its lowering is its
 * body. */
#include "graph/graph.h"
#include "graph/sample.h"

static cj_status infer_fused(cj_infer *infer)
{
    cj_call *call = infer->call;
    const cj_graph *body = ((const cj__body_attrs *)call->attributes)->body;
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
        const cj__agreement *a = &body->dims.agreements[i];
        if (!cj_infer_equal(infer, cj__dim_translate(body, infer->graph, NULL, a->a),
                            cj__dim_translate(body, infer->graph, NULL, a->b)))
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
    return cj__graph_inline(g, ((const cj__body_attrs *)call->attributes)->body, call->in,
                            call->n_in, out);
}

/* exp(x) * b + c with a bias row: one group, as the pass makes it. */
static cj_node *sample_fused(cj_sampler *s, int i)
{
    cj_graph *g = cj_sampler_graph(s), *body;
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (!cj_sample_shape(i, &rank, dims) || !(body = cj_graph_new(g->cj))) return NULL;
    cj_node *x = cj_placeholder(body, "x", s->dtype, rank, dims);
    cj_node *b = cj_placeholder(body, "b", s->dtype, rank ? 1 : 0, rank ? &dims[rank - 1] : NULL);
    cj_node *e = cj_exp(x);
    cj_graph_output(body, "e", e);
    cj_graph_output(body, "y", cj_add(cj_mul(e, cj_broadcast_to(b, rank, dims)), cj_square(x)));
    cj_node *in[] = {cj_sample_real(s, -1, 1, rank, dims),
                     cj_sample_real(s, -1, 1, rank ? 1 : 0, rank ? &dims[rank - 1] : NULL)};
    return cj_apply(g, &cj_op_fused, in, 2, &(cj__body_attrs){.body = body});
}

const cj_op cj_op_fused = {.name = "fused",
                           .doc = "elementwise calls run tile by tile",
                           .inputs = -1,
                           .inputs_min = 1,
                           .outputs = -1,
                           .attributes_size = sizeof(cj__body_attrs),
                           .attributes = cj__body_options,
                           .infer = infer_fused,
                           .lower = lower_fused,
                           .sample = sample_fused};
