/* verify.c: does a graph keep every promise of graph.h? Run after each pass in builds with
 * assertions, and on every graph that came from a file. Bodies are visited with a stack, not by
 * recursion. */
#include "graph/graph.h"

static cj_status wrong(cj_graph *g, const cj_call *call, const char *what)
{
    return cj_fail(g->cj, CJ_ERR_STATE, "graph: call %d (%s): %s", call ? call->id : -1,
                   call && call->op ? call->op->name : "?", what);
}

static cj_status verify_call(cj_graph *g, cj_call *call, int id)
{
    const cj_op *op = call->op;
    if (!op || call->graph != g || call->id != id)
        return wrong(g, call, "it is not where its id says");
    if (op->inputs >= 0 ? call->n_in != op->inputs : call->n_in < op->inputs_min)
        return wrong(g, call, "it has a wrong number of operands");
    if (call->n_out < 1 || (op->outputs > 0 && call->n_out != op->outputs))
        return wrong(g, call, "it has a wrong number of outputs");
    for (int k = 0; k < call->n_in; k++) {
        const cj_node *in = call->in[k];
        if (!in || in == cj_zero || in->call->graph != g)
            return wrong(g, call, "an operand is not of this graph");
        if (in->call->id >= id) return wrong(g, call, "an operand comes after it");
        if (in != &in->call->out[in->output])
            return wrong(g, call, "an operand is no output of its call");
    }
    for (int k = 0; k < call->n_out; k++) {
        const cj_type *type = &call->out[k].type;
        if (call->out[k].call != call || call->out[k].output != k)
            return wrong(g, call, "an output does not know its call");
        if (type->dtype <= CJ_DTYPE_NONE || type->dtype >= CJ_DTYPE_COUNT)
            return wrong(g, call, "an output has no dtype");
        if (type->rank < 0 || type->rank > CJ_RANK_MAX)
            return wrong(g, call, "an output has an impossible rank");
        for (int i = 0; i < type->rank; i++)
            if (type->dim[i] < 0 && -1 - type->dim[i] >= g->dims.count)
                return wrong(g, call, "a dimension is no symbol");
        if ((op->flags & CJ_OP_ELEMENTWISE) && call->n_in && type->rank != call->in[0]->type.rank)
            return wrong(g, call, "an elementwise result has another rank than its operand");
    }
    return op->attributes ? cj__options_check(g->cj, op->name, op->attributes, call->attributes)
                          : CJ_OK;
}

cj_status cj_graph_verify(cj_graph *g)
{
    if (!g) return CJ_ERR_ARGUMENT;
    enum { DEPTH = 64 };
    cj_graph
        *stack[DEPTH]; /* the next graph to visit at each depth; siblings follow by next_body */
    int depth = 0;
    stack[depth++] = g;
    while (depth) {
        cj_graph *at = stack[--depth];
        if (at->failed)
            return cj_fail(g->cj, at->failed, "%s", at->message ? at->message : "the graph failed");
        for (int i = 0; i < at->n_calls; i++) CJ__TRY(verify_call(at, at->calls[i], i));
        for (int i = 0; i < at->outputs.count; i++)
            if (!at->outputs.items[i].node || at->outputs.items[i].node->call->graph != at)
                return wrong(at, NULL, "an output is of another graph");
        if (at != g && at->next_body) stack[depth++] = at->next_body;
        if (at->bodies) {
            if (depth == DEPTH)
                return cj_fail(g->cj, CJ_ERR_LIMIT, "graph: bodies are nested more than %d deep",
                               DEPTH);
            stack[depth++] = at->bodies;
        }
    }
    return CJ_OK;
}
