/* pass.c: the walk that all rewriting passes share. */
#include "graph/pass/pass.h"

#include <string.h>

cj_node *cj__rewritten(const cj__rewrite *r, const cj_node *node)
{
    return r->map[node->call->id][node->output];
}

static bool rewrite_call(cj__rewrite *r, const cj_call *call, cj__pass_fn pass, cj_node **in)
{
    for (int k = 0; k < call->n_in; k++) in[k] = cj__rewritten(r, call->in[k]);
    cj__graph_origin(r->to, call);
    r->made = NULL;
    cj_node *node = call->op->flags & CJ_OP_SOURCE && call->op != &cj_op_constant
                        ? NULL
                        : pass(r, call, in);
    if (!node && !r->to->failed) node = cj__call_clone(r->to, call, in);
    cj_node **outputs = cj__arena_array(&r->scratch, (size_t)call->n_out + 1, sizeof *outputs);
    if (!node || !outputs || r->to->failed) return false;
    for (int k = 0; k < call->n_out; k++)
        outputs[k] = r->made ? r->made[k] : call->n_out == 1 ? node : cj_node_output(node, k);
    r->map[call->id] = outputs;
    return !r->to->failed;
}

static bool rewrite_all(cj__rewrite *r, cj__pass_fn pass, cj_node ***roots, int n_roots)
{
    const cj_graph *g = r->from;
    unsigned char *marks = cj__arena_alloc(&r->scratch, (size_t)g->n_calls + 1);
    cj_node **nodes = cj__arena_array(&r->scratch, (size_t)n_roots + 1, sizeof *nodes);
    int most = 1;
    for (int i = 0; i < g->n_calls; i++)
        if (g->calls[i]->n_in > most) most = g->calls[i]->n_in;
    cj_node **in = cj__arena_array(&r->scratch, (size_t)most, sizeof *in);
    r->map = cj__arena_array(&r->scratch, (size_t)g->n_calls + 1, sizeof *r->map);
    bool done = marks && nodes && in && r->map;
    for (int i = 0; done && i < n_roots; i++) nodes[i] = *roots[i];
    if (done) cj__graph_mark(g, nodes, n_roots, marks);
    for (int i = 0; done && i < g->n_calls; i++)
        if (marks[i] || g->calls[i]->op == &cj_op_input || (g->calls[i]->op->flags & CJ_OP_OPAQUE))
            done = rewrite_call(r, g->calls[i], pass, in);
    return done;
}

cj_graph *cj__pass_run(const cj_graph *g, cj__pass_fn pass, bool training, void *state,
                       cj_node ***roots, int n_roots)
{
    cj_context *cj = g->cj;
    cj__rewrite r = {.from = g,
                     .to = cj_graph_new(cj),
                     .roots = (cj_node *const *const *)roots,
                     .n_roots = n_roots,
                     .training = training,
                     .state = state};
    cj__arena_init(&r.scratch, cj);
    bool done = r.to && rewrite_all(&r, pass, roots, n_roots);
    if (done)
        for (int i = 0; i < n_roots; i++)
            if (*roots[i]) *roots[i] = cj__rewritten(&r, *roots[i]);
    cj__arena_release(&r.scratch);
    if (!done) {
        cj_graph_free(r.to);
        return NULL;
    }
    r.to->shared_store = g->store ? g->store : g->shared_store;
    return r.to;
}

cj_node *cj__pass_copy(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    (void)r, (void)call, (void)in;
    return NULL;
}
