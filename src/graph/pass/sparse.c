/* sparse.c: updates of tables that touch only the rows that were looked up.
 *
 * The gradient of an embedding's table is a scatter_add: zeros, but for the rows of the batch. A
 * step along it needs neither these zeros nor a pass over the table:
 *
 *     w - a scatter_add(u, rows)    becomes    index_add(w, -a u, rows)
 *
 * which is written into the table where it lies. So it is for plain gradient descent; an optimizer
 * with slots moves every row in every step, and whatever else reads the gradient (its norm, a
 * weight decay) needs it whole. Rows that occur twice are added one after the other, not first to
 * each other, so their last places may differ. */
#include "graph/pass/pass.h"

/* Calls before `now` that are not mapped are dead. */
static int readers(const cj__rewrite *r, const cj_call *now, const cj_node *node)
{
    int n = 0;
    for (int i = node->call->id; i < r->from->n_calls; i++) {
        const cj_call *call = r->from->calls[i];
        for (int k = 0; (i >= now->id || r->map[i]) && k < call->n_in; k++)
            n += call->in[k] == node;
    }
    for (int i = 0; i < r->n_roots; i++) n += *r->roots[i] == node;
    return n;
}

/* The one value that a broadcast or a constant repeats, as a scalar; NULL: there is none. */
static cj_node *repeated(cj_node *node)
{
    double v;
    if (cj__is_constant(node, &v)) return cj_scalar(cj_node_graph(node), node->type.dtype, v);
    if (node->call->op != &cj_op_broadcast) return NULL;
    cj_node *x = node->call->in[0];
    for (int i = 0; i < x->type.rank; i++)
        if (x->type.dim[i] != 1) return NULL;
    return cj_reshape(x, 0, NULL);
}

bool cj__checks_indices(const cj_call *look_up, const cj_call *sum)
{
    if (look_up->op != &cj_op_gather || look_up->in[1] != sum->in[1]) return false;
    const int64_t axis = ((const cj__scatter_attrs *)sum->attributes)->axis;
    return ((const cj__axis_attrs *)look_up->attributes)->axis == axis &&
           look_up->in[0]->type.dim[axis] == sum->out[0].type.dim[axis];
}

/* index_add leaves out what is out of range; the user is to hear of it. */
static bool is_looked_up(const cj__rewrite *r, const cj_call *sum)
{
    for (int i = 0; i < sum->id; i++)
        if (r->map[i] && cj__checks_indices(r->from->calls[i], sum)) return true;
    return false;
}

typedef struct step {
    cj_node *factor; /* of the new graph, a scalar; NULL: 1 */
    bool negative;
    const cj_call *scatter; /* of the old graph */
} step;

/* Is a node of the old graph a scatter_add times something, that nobody else reads? */
static bool find_step(const cj__rewrite *r, const cj_call *now, const cj_node *node, step *s)
{
    enum { DEEPEST = 8 };
    for (int i = 0; i < DEEPEST && readers(r, now, node) == 1; i++) {
        const cj_call *call = node->call;
        if (call->op == &cj_op_scatter_add) {
            s->scatter = call;
            return ((const cj__scatter_attrs *)call->attributes)->axis == 0 &&
                   is_looked_up(r, call);
        }
        if (call->op == &cj_op_neg) {
            s->negative = !s->negative;
            node = call->in[0];
            continue;
        }
        if (call->op != &cj_op_mul) return false;
        cj_node *a = cj__rewritten(r, call->in[0]), *b = cj__rewritten(r, call->in[1]);
        cj_node *factor = a ? repeated(a) : NULL;
        node = call->in[1];
        if (!factor) {
            factor = b ? repeated(b) : NULL;
            node = call->in[0];
        }
        if (!factor) return false;
        s->factor = s->factor ? cj_mul(s->factor, factor) : factor;
    }
    return false;
}

cj_node *cj__pass_sparse(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    if (call->op != &cj_op_add && call->op != &cj_op_sub) return NULL;
    if (in[0]->call->op != &cj_op_variable) return NULL;
    step s = {.negative = call->op == &cj_op_sub};
    if (!find_step(r, call, call->in[1], &s)) return NULL;
    cj_node *updates = cj__rewritten(r, s.scatter->in[0]),
            *rows = cj__rewritten(r, s.scatter->in[1]);
    if (s.factor) updates = cj_mul(s.factor, updates);
    if (s.negative) updates = cj_neg(updates);
    return cj_index_add(in[0], updates, rows, 0);
}
