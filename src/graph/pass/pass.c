/* pass.c: the walk that all rewriting passes share. */
#include "graph/pass/pass.h"

#include <string.h>

cj_node *cj__rewritten(const cj__rewrite *r, const cj_node *node)
{
    cj_node *to = r->map[node->call->id];
    return node->call->n_out == 1 ? to : cj_node_output(to, node->output);
}

static bool rewrite_call(cj__rewrite *r, const cj_call *call, cj__pass_fn pass, cj_node **in)
{
    for (int k = 0; k < call->n_in; k++) in[k] = cj__rewritten(r, call->in[k]);
    r->to->where = call->where;
    cj_node *node = call->op->flags & CJ_OP_SOURCE && call->op != &cj_op_constant
                        ? NULL
                        : pass(r, call, in);
    if (!node && !r->to->failed) node = cj__call_clone(r->to, call, in);
    r->map[call->id] = node;
    return node && !r->to->failed;
}

static bool rewrite_all(cj__rewrite *r, cj__pass_fn pass, cj_node ***roots, int n_roots)
{
    const cj_graph *g = r->from;
    cj__arena scratch;
    cj__arena_init(&scratch, g->cj);
    unsigned char *marks = cj__arena_alloc(&scratch, (size_t)g->n_calls + 1);
    cj_node **nodes = cj__arena_array(&scratch, (size_t)n_roots + 1, sizeof *nodes);
    int most = 1;
    for (int i = 0; i < g->n_calls; i++)
        if (g->calls[i]->n_in > most) most = g->calls[i]->n_in;
    cj_node **in = cj__arena_array(&scratch, (size_t)most, sizeof *in);
    bool done = marks && nodes && in;
    for (int i = 0; done && i < n_roots; i++) nodes[i] = *roots[i];
    if (done) cj__graph_mark(g, nodes, n_roots, marks);
    for (int i = 0; done && i < g->n_calls; i++)
        if (marks[i] || g->calls[i]->op == &cj_op_input || (g->calls[i]->op->flags & CJ_OP_OPAQUE))
            done = rewrite_call(r, g->calls[i], pass, in);
    cj__arena_release(&scratch);
    return done;
}

cj_graph *cj__pass_run(const cj_graph *g, cj__pass_fn pass, bool training, void *state,
                       cj_node ***roots, int n_roots)
{
    cj_context *cj = g->cj;
    size_t size = ((size_t)g->n_calls + 1) * sizeof(cj_node *);
    cj__rewrite r = {.from = g,
                     .to = cj_graph_new(cj),
                     .map = cj__alloc(cj, size),
                     .training = training,
                     .state = state};
    bool done = r.to && r.map && rewrite_all(&r, pass, roots, n_roots);
    if (done)
        for (int i = 0; i < n_roots; i++)
            if (*roots[i]) *roots[i] = cj__rewritten(&r, *roots[i]);
    cj__free(cj, r.map, size);
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
