/* grad.c: reverse-mode differentiation as a function from graph to graph.
 *
 * The calls between the wanted nodes and the outputs are walked backwards. Each value collects its
 * cotangent (d loss / d value) as a sum of nodes; each call's rule turns the cotangents of its
 * outputs into those of its operands. The rules use ordinary builders, so the result is an ordinary
 * graph, and its gradient can be taken again. A value nothing flows into has cj_zero, which costs
 * nothing. */
#include "graph/graph.h"

#include <string.h>

typedef struct tape {
    cj_graph *g;
    int n_calls;            /* of the forward graph */
    unsigned char *needed;  /* the call lies on a path from wrt to an output */
    cj_node ***cotangents;  /* by call id: n_out nodes each, NULL: zero so far */
    const char *layer, *backward; /* "conv2d_1" and "conv2d_1 backward" of the last call */
    cj__arena scratch;
} tape;

static bool is_float(const cj_node *node)
{
    return cj_dtype_info(node->type.dtype)->kind == CJ_KIND_FLOAT;
}

/* Calls that depend on wrt, among those the outputs need. */
static cj_status find_path(tape *t, cj_node *const *y, int n_y, cj_node *const *wrt, int n)
{
    cj_graph *g = t->g;
    unsigned char *used = cj__arena_alloc(&t->scratch, (size_t)t->n_calls + 1);
    t->needed = cj__arena_alloc(&t->scratch, (size_t)t->n_calls + 1);
    t->cotangents = cj__arena_array(&t->scratch, (size_t)t->n_calls + 1, sizeof *t->cotangents);
    if (!used || !t->needed || !t->cotangents) return CJ_ERR_MEMORY;
    cj__graph_mark(g, y, n_y, used);
    for (int i = 0; i < n; i++) t->needed[wrt[i]->call->id] = 1;
    for (int id = 0; id < t->n_calls; id++) {
        const cj_call *call = g->calls[id];
        for (int k = 0; !t->needed[id] && k < call->n_in; k++)
            t->needed[id] = t->needed[call->in[k]->call->id] && is_float(call->in[k]);
        t->needed[id] = t->needed[id] && used[id];
    }
    return CJ_OK;
}

/* cotangent of `node` += dy */
static cj_status collect(tape *t, cj_node *node, cj_node *dy)
{
    cj_call *call = node->call;
    if (!dy) return t->g->failed ? t->g->failed : CJ_ERR_STATE;
    if (cj__is_zero(dy) || call->id >= t->n_calls || !t->needed[call->id]) return CJ_OK;
    cj_node ***slot = &t->cotangents[call->id];
    if (!*slot) *slot = cj__arena_array(&t->scratch, (size_t)call->n_out, sizeof **slot);
    if (!*slot) return CJ_ERR_MEMORY;
    if (dy->type.dtype != node->type.dtype || dy->type.rank != node->type.rank)
        return cj__graph_fail(t->g, call->op->name, CJ_ERR_SHAPE,
                              "its cotangent has dtype %s and rank %d, expected %s and %d",
                              cj_dtype_info(dy->type.dtype)->name, dy->type.rank,
                              cj_dtype_info(node->type.dtype)->name, node->type.rank);
    for (int k = 0; k < dy->type.rank; k++)
        if (!cj__dim_agree(t->g, call, dy->type.dim[k], node->type.dim[k]))
            return cj__graph_fail(t->g, call->op->name, CJ_ERR_SHAPE,
                                  "its cotangent has size %s along axis %d, expected %s",
                                  cj_dim_text(t->g, dy->type.dim[k]), k,
                                  cj_dim_text(t->g, node->type.dim[k]));
    cj_node **sum = &(*slot)[node->output];
    *sum = *sum ? cj_add(*sum, dy) : dy;
    return *sum ? CJ_OK : t->g->failed;
}

/* The operands' cotangents by the row's rule, or by its lowering's when it has none. */
static cj_status apply_rule(tape *t, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    cj_graph *g = t->g;
    const cj_op *op = call->op;
    if (op->grad) {
        op->grad(g, call, dy, dx);
        return g->failed;
    }
    if (op->no_gradient) return CJ_OK; /* piecewise constant: zero almost everywhere */
    if (!op->lower)
        return cj__graph_fail(g, op->name, CJ_ERR_UNSUPPORTED, "it has no gradient");
    cj_node **out = cj__arena_array(&t->scratch, (size_t)call->n_out, sizeof *out);
    cj_node **some_y = cj__arena_array(&t->scratch, 2 * (size_t)call->n_out, sizeof *some_y),
            **some_dy = some_y + call->n_out;
    if (!out || !some_y) return CJ_ERR_MEMORY;
    /* Operands reached twice would be counted twice: the lowering is built on identities of them.
     */
    cj_node **in = cj__arena_array(&t->scratch, (size_t)call->n_in, sizeof *in), **real = call->in;
    if (!in) return CJ_ERR_MEMORY;
    for (int i = 0; i < call->n_in; i++)
        if (!(in[i] = cj_identity(real[i]))) return g->failed;
    call->in = in;
    bool lowered = op->lower(g, call, out);
    call->in = real;
    if (!lowered) return g->failed ? g->failed : CJ_ERR_STATE;
    int n = 0, m = 0;
    for (int k = 0; k < call->n_out; k++)
        if (!cj__is_zero(dy[k])) some_y[n] = out[k], some_dy[n++] = dy[k];
    cj_node **wrt = cj__arena_array(&t->scratch, 2 * (size_t)call->n_in, sizeof *wrt),
            **grads = wrt + call->n_in;
    if (!wrt) return CJ_ERR_MEMORY;
    for (int i = 0; i < call->n_in; i++)
        if (is_float(in[i])) wrt[m++] = in[i];
    CJ__TRY(cj_vjp(some_y, some_dy, n, wrt, m, grads));
    for (int i = 0, j = 0; i < call->n_in; i++)
        if (is_float(in[i])) dx[i] = grads[j++];
    return CJ_OK;
}

/* Calls of a gradient belong to "conv2d_1 backward"; a gradient's own gradient is not told apart.
 */
static void name_backward(tape *t, const char *layer)
{
    static const char suffix[] = " backward";
    size_t length = layer ? strlen(layer) : 0;
    if (layer != t->layer) {
        bool named = length > sizeof suffix && !strcmp(layer + length + 1 - sizeof suffix, suffix);
        t->backward = !layer || named ? layer
                                      : cj__arena_printf(&t->g->arena, "%s%s", layer, suffix);
        t->layer = layer;
    }
    t->g->layer = t->backward;
}

static cj_status backward_call(tape *t, cj_call *call)
{
    cj_node **sums = t->cotangents[call->id];
    if (!sums || !call->n_in) return CJ_OK;
    bool any = false;
    for (int k = 0; k < call->n_out; k++) {
        if (!sums[k]) sums[k] = cj_zero;
        any = any || !cj__is_zero(sums[k]);
    }
    if (!any) return CJ_OK;
    cj_node **dx = cj__arena_array(&t->scratch, (size_t)call->n_in, sizeof *dx);
    if (!dx) return CJ_ERR_MEMORY;
    for (int i = 0; i < call->n_in; i++) dx[i] = cj_zero;
    t->g->where = call->where;
    name_backward(t, call->layer);
    CJ__TRY(apply_rule(t, call, sums, dx));
    for (int i = 0; i < call->n_in; i++)
        if (is_float(call->in[i])) CJ__TRY(collect(t, call->in[i], dx[i]));
    return CJ_OK;
}

static cj_status check_arguments(cj_graph *g, cj_node *const *y, cj_node *const *dy, int n_y,
                                 cj_node *const *wrt, int n)
{
    for (int i = 0; i < n_y; i++) {
        if (!y[i] || !dy[i])
            return g->failed ? g->failed
                             : cj__graph_fail(g, "grad", CJ_ERR_ARGUMENT, "output %d is NULL", i);
        if (cj__is_zero(y[i]))
            return cj__graph_fail(g, "grad", CJ_ERR_ARGUMENT,
                                  "output %d is cj_zero, which depends on nothing", i);
        if (y[i]->call->graph != g)
            return cj__graph_fail(g, "grad", CJ_ERR_ARGUMENT,
                                  "output %d is not a node of this graph", i);
        if (!is_float(y[i]))
            return cj__graph_fail(g, "grad", CJ_ERR_TYPE,
                                  "output %d is %s; only floats have gradients", i,
                                  cj_dtype_info(y[i]->type.dtype)->name);
    }
    for (int i = 0; i < n; i++) {
        if (!wrt[i])
            return g->failed ? g->failed
                             : cj__graph_fail(g, "grad", CJ_ERR_ARGUMENT, "wrt[%d] is NULL", i);
        if (cj__is_zero(wrt[i]))
            return cj__graph_fail(g, "grad", CJ_ERR_ARGUMENT,
                                  "wrt[%d] is cj_zero, which is no variable", i);
        if (wrt[i]->call->graph != g)
            return cj__graph_fail(g, "grad", CJ_ERR_ARGUMENT, "wrt[%d] is not a node of this graph",
                                  i);
        if (!is_float(wrt[i]))
            return cj__graph_fail(g, "grad", CJ_ERR_TYPE,
                                  "wrt[%d] is %s; only floats have gradients", i,
                                  cj_dtype_info(wrt[i]->type.dtype)->name);
    }
    return CJ_OK;
}

cj_status cj_vjp(cj_node *const *y, cj_node *const *dy, int n_y, cj_node *const *wrt, int n,
                 cj_node **out)
{
    cj_graph *g = cj__graph_of(y, n_y);
    if (!g) g = cj__graph_of(wrt, n);
    for (int i = 0; i < n; i++) out[i] = NULL;
    if (!g) return CJ_ERR_ARGUMENT;
    if (g->failed) return g->failed;
    CJ__TRY(check_arguments(g, y, dy, n_y, wrt, n));
    tape t = {.g = g, .n_calls = g->n_calls};
    cj__arena_init(&t.scratch, g->cj);
    const char *where = g->where, *layer = g->layer;
    g->stage++;
    cj_status failed;
    CJ__CHECK(failed = find_path(&t, y, n_y, wrt, n));
    for (int i = 0; i < n_y; i++) CJ__CHECK(failed = collect(&t, y[i], dy[i]));
    for (int id = t.n_calls - 1; id >= 0; id--)
        if (t.needed[id]) CJ__CHECK(failed = backward_call(&t, g->calls[id]));
    for (int i = 0; i < n; i++) {
        cj_node **sums = t.cotangents[wrt[i]->call->id];
        out[i] = sums && sums[wrt[i]->output] ? sums[wrt[i]->output] : cj_zero;
    }
out:
    if (failed && !g->failed)
        failed = cj__graph_fail(g, "grad", failed, "%s", cj_status_name(failed));
    g->where = where;
    g->layer = layer;
    g->stage--;
    cj__arena_release(&t.scratch);
    return failed;
}

cj_status cj_grad(cj_node *loss, cj_node *const *wrt, int n, cj_node **out)
{
    cj_node *one = loss && !cj__is_zero(loss) && is_float(loss) ? cj_full_like(loss, 1) : loss;
    return cj_vjp(&loss, &one, 1, wrt, n, out);
}
