/* recompute.c: forward values that the backward part reads are computed again there, so that they
 * need not be kept from the one to the other: time for memory (Chen et al. 2016, "Training deep
 * nets with sublinear memory cost").
 *
 *     kept:        x ---> y ----------> loss ... ---> dy            y lives all the way
 *                         `-----------------------> used
 *     recomputed:  x ---> y ----------> loss ... ---> dy
 *                   `------------------ y' -------> used            only x does
 *
 * A call's stage tells the two parts apart: cj_grad makes calls of stage 1. Walking in order, an
 * operand of a backward call that is to be recomputed is replaced by a copy of the calls that lead
 * to it; a copy is made when it is first needed, so it comes late in the order. Two choices:
 *
 *     cheap   elementwise results that follow from one large value, when the backward part
 *             reads several of them: then that one is kept for all. The sum of a residual
 *             follows from two and is kept, so that copies do not pile up
 *     all     everything but what cj_checkpoint marks
 *
 * It has to run after cse, which would merge the copies again, and it takes the marks out. */
#include "graph/pass/pass.h"

/* Sizes known to be smaller are not worth a copy, nor is what stands for FEW numbers or more. */
enum { SMALL = 4096, FEW = 16, NO_LEAF = -1, SEVERAL = -2 };

typedef struct recompute {
    cj_recompute what;
    bool *again;       /* by call: to be computed again when the backward part needs it */
    bool *needed;      /* by call: the backward part reads it */
    int *readers;      /* by large kept call: values the backward part reads that follow from it */
    int *leaf;         /* by call that is elementwise: the large kept call it follows from */
    cj_node ***copies; /* by call: the outputs of its copy */
    int *stack;
} recompute;

static bool is_small(const cj_type *type)
{
    int64_t count = 1;
    for (int i = 0; i < type->rank; i++) {
        if (type->dim[i] < 0 || type->dim[i] > SMALL) return false;
        count *= type->dim[i];
        if (count > SMALL) return false;
    }
    return true;
}

static bool may_repeat(const cj_call *call)
{
    const unsigned never = CJ_OP_SOURCE | CJ_OP_CONTROL | CJ_OP_OPAQUE | CJ_OP_DYNAMIC;
    return call->stage == 0 && !(call->op->flags & never) && call->n_in > 0 &&
           call->op != &cj_op_checkpoint;
}

static bool is_cheap(const cj_call *call)
{
    return may_repeat(call) && call->n_out == 1 &&
           (call->op->flags & (CJ_OP_ELEMENTWISE | CJ_OP_VIEW) || call->op == &cj_op_broadcast);
}

/* A few numbers for many: a row's mean, a channel's scale. */
static bool spreads(const cj_call *call)
{
    const cj_type *x = &call->in[0]->type, *y = &call->out[0].type;
    int64_t times = 1;
    for (int i = 0; call->op == &cj_op_broadcast && i < y->rank; i++) {
        const int from = i - (y->rank - x->rank);
        if ((from < 0 || x->dim[from] == 1) && y->dim[i] > 0 && times < FEW) times *= y->dim[i];
    }
    return times >= FEW;
}

/* The one large kept call that a cheap call follows from. */
static int find_leaf(const recompute *s, const cj_call *call)
{
    int leaf = NO_LEAF;
    if (spreads(call)) return NO_LEAF;
    for (int k = 0; k < call->n_in; k++) {
        const cj_call *from = call->in[k]->call;
        if (is_small(&call->in[k]->type)) continue;
        int other = is_cheap(from) && s->leaf[from->id] != SEVERAL ? s->leaf[from->id] : from->id;
        if (other == NO_LEAF || other == leaf) continue;
        leaf = leaf == NO_LEAF ? other : SEVERAL;
    }
    return leaf;
}

static void choose(recompute *s, const cj_graph *g)
{
    for (int i = 0; i < g->n_calls; i++) {
        const cj_call *call = g->calls[i];
        for (int k = 0; call->stage && k < call->n_in; k++) s->needed[call->in[k]->call->id] = true;
        s->leaf[i] = is_cheap(call) ? find_leaf(s, call) : NO_LEAF;
    }
    for (int i = 0; i < g->n_calls; i++) {
        const cj_call *call = g->calls[i];
        int leaf = s->leaf[i] >= 0 ? s->leaf[i] : i;
        if (s->needed[i] && call->n_out > 0 && !is_small(&call->out[0].type)) s->readers[leaf]++;
    }
    for (int i = 0; i < g->n_calls; i++) {
        const cj_call *call = g->calls[i];
        if (s->what == CJ_RECOMPUTE_ALL) s->again[i] = may_repeat(call);
        else
            s->again[i] = is_cheap(call) && s->leaf[i] >= 0 && s->readers[s->leaf[i]] > 1 &&
                          !is_small(&call->out[0].type);
    }
}

/* A copy of `call`, whose operands that are to be computed again have been copied already. */
static bool copy_call(cj__rewrite *r, recompute *s, const cj_call *call)
{
    cj_node **in = cj__arena_array(&r->scratch, (size_t)call->n_in, sizeof *in),
            **out = cj__arena_array(&r->scratch, (size_t)call->n_out, sizeof *out);
    if (!in || !out) return false;
    for (int k = 0; k < call->n_in; k++) {
        const cj_node *operand = call->in[k];
        in[k] = s->again[operand->call->id] ? s->copies[operand->call->id][operand->output]
                                            : cj__rewritten(r, operand);
    }
    cj_node *node = cj__call_clone(r->to, call, in);
    if (!node) return false;
    node->call->stage = 1;
    for (int k = 0; k < call->n_out; k++)
        out[k] = call->n_out == 1 ? node : cj_node_output(node, k);
    s->copies[call->id] = out;
    return true;
}

/* The copy of a value, and before it those of all it follows from. */
static cj_node *copy_of(cj__rewrite *r, recompute *s, const cj_node *node)
{
    const cj_graph *g = r->from;
    int depth = 0;
    if (!s->copies[node->call->id]) s->stack[depth++] = node->call->id;
    while (depth) {
        const cj_call *call = g->calls[s->stack[depth - 1]];
        int before = depth;
        for (int k = 0; k < call->n_in; k++) {
            int id = call->in[k]->call->id;
            if (s->again[id] && !s->copies[id]) {
                s->stack[depth++] = id;
                break; /* operands have smaller numbers: the stack is never deeper than the graph */
            }
        }
        if (depth > before) continue;
        if (!copy_call(r, s, call)) return NULL;
        depth--;
    }
    return s->copies[node->call->id][node->output];
}

static cj_node *rewrite(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    recompute *s = r->state;
    size_t n = (size_t)r->from->n_calls + 1;
    if (call->op == &cj_op_checkpoint) return in[0];
    if (s->what == CJ_RECOMPUTE_NONE) return NULL;
    if (!s->again) { /* the first call of the walk */
        s->again = cj__arena_array(&r->scratch, n, sizeof *s->again);
        s->needed = cj__arena_array(&r->scratch, n, sizeof *s->needed);
        s->leaf = cj__arena_array(&r->scratch, n, sizeof *s->leaf);
        s->readers = cj__arena_array(&r->scratch, n, sizeof *s->readers);
        s->copies = cj__arena_array(&r->scratch, n, sizeof *s->copies);
        s->stack = cj__arena_array(&r->scratch, n, sizeof *s->stack);
        if (!s->again || !s->needed || !s->leaf || !s->readers || !s->copies || !s->stack) {
            cj__graph_fail(r->to, NULL, CJ_ERR_MEMORY, "recompute: out of memory");
            return NULL;
        }
        choose(s, r->from);
    }
    bool any = false;
    for (int k = 0; call->stage && k < call->n_in; k++)
        any = any || s->again[call->in[k]->call->id];
    if (!any) return NULL;
    cj_node **operands = cj__arena_array(&r->scratch, (size_t)call->n_in, sizeof *operands);
    if (!operands) return NULL;
    for (int k = 0; k < call->n_in; k++)
        if (!(operands[k] = s->again[call->in[k]->call->id] ? copy_of(r, s, call->in[k]) : in[k]))
            return NULL;
    cj__graph_origin(r->to, call);
    return cj__call_clone(r->to, call, operands);
}

cj_graph *cj__pass_recompute(const cj_graph *g, cj_recompute what, bool training,
                                 cj_node ***roots, int n_roots)
{
    recompute state = {.what = what};
    return cj__pass_run(g, rewrite, training, &state, roots, n_roots);
}
