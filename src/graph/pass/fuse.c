/* fuse.c: elementwise calls of one shape become one call of `fused`, which runs tile by tile in
 * cache.
 *
 * Every call begins as a group of its own. Walking in order, an elementwise call joins the groups
 * of its elementwise operands of the same shape. Each group has a `place` in the order of the new
 * graph: the id of one of its calls. One rule keeps the order possible: whatever a group reads from
 * outside has a lower place than the group itself. Two groups may become one in two ways:
 *
 *     later     the one with the lower place moves up to the other's, if nobody outside reads it
 * before earlier   a call alone moves down to a group, if its other operands are there by then
 *
 * Both are checked in constant time; `reader` is the lowest place of a reader outside a group
 * (never higher than the truth, so a few legal unions are missed). Sources and their broadcasts
 * come first of all.
 *
 * A broadcast belongs to no group: whoever reads it inside a group gets a copy in the body, so that
 * a bias or a scalar is never spread out in memory. */
#include "graph/pass/pass.h"

#include <string.h>

enum { GROUP_CALLS_MAX = 48, GROUP_EDGES_MAX = 40, OPERANDS_MAX = 4, FIRST = -1 };

typedef struct group {
    int first, last; /* its calls are linked from first to last by `next` */
    int calls;
    int place;       /* FIRST, or the id of one of its calls */
    int reader;      /* lowest place of a reader outside */
} group;

typedef struct fuser {
    const cj_graph *g;
    cj_graph *to;
    cj__arena scratch;
    int n;              /* calls = the most groups there can be */
    int *group_of;      /* by call */
    int *next;          /* by call: the next one of its group, -1 */
    group *groups;      /* by number: the id of one of its calls */
    unsigned char *live, *escapes; /* by call: is needed; is read from outside its group */
    cj_node **map, **inner; /* by call: what stands for it in the new graph, in its group's body */
    cj_node ***roots;
    int n_roots;
} fuser;

static bool fusable(const cj_call *call)
{
    return call->op->flags & CJ_OP_ELEMENTWISE && call->n_out == 1 && call->n_in > 0 &&
           call->n_in <= OPERANDS_MAX && call->op->ref;
}

static bool same_shape(const cj_type *a, const cj_type *b)
{
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

static group *group_at(fuser *f, int call) { return &f->groups[f->group_of[call]]; }

/* The values that two groups read from outside both. */
static int count_edges(fuser *f, const group *a, const group *b)
{
    int edges = 0;
    for (int which = 0; which < 2; which++) {
        for (int id = which ? b->first : a->first; id >= 0; id = f->next[id]) {
            const cj_call *call = f->g->calls[id];
            for (int k = 0; k < call->n_in; k++) {
                const group *from = group_at(f, call->in[k]->call->id);
                edges += from != a && from != b;
            }
        }
    }
    return edges;
}

static void join(fuser *f, group *into, group *from, int place)
{
    for (int id = from->first; id >= 0; id = f->next[id]) f->group_of[id] = (int)(into - f->groups);
    f->next[into->last] = from->first;
    into->last = from->last;
    into->calls += from->calls;
    into->place = place;
    if (from->reader < into->reader) into->reader = from->reader;
}

/* May `alone`, a group of one call that nobody reads yet, be placed where group a is? */
static bool ready_at(fuser *f, const group *alone, const group *a)
{
    const cj_call *call = f->g->calls[alone->first];
    if (alone->calls != 1) return false;
    for (int k = 0; k < call->n_in; k++) {
        const group *from = group_at(f, call->in[k]->call->id);
        if (from != a && from->place >= a->place) return false;
    }
    return true;
}

/* Puts call `id` into the group of its operand k if that is possible. */
static void try_join(fuser *f, int id, int k)
{
    const cj_call *call = f->g->calls[id], *from = call->in[k]->call;
    group *a = group_at(f, from->id), *b = group_at(f, id);
    if (a == b || !fusable(from) || !same_shape(&call->in[k]->type, &call->out[0].type)) return;
    if (a->calls + b->calls > GROUP_CALLS_MAX || count_edges(f, a, b) > GROUP_EDGES_MAX) return;
    group *low = a->place < b->place ? a : b, *high = low == a ? b : a;
    if (low->reader > high->place) join(f, a, b, high->place);
    else if (ready_at(f, b, a)) join(f, a, b, a->place);
}

static void form_groups(fuser *f)
{
    for (int i = 0; i < f->n; i++) {
        const cj_call *call = f->g->calls[i];
        if (!f->live[i]) continue;
        bool first = call->n_in == 0 || (call->op == &cj_op_broadcast &&
                                         group_at(f, call->in[0]->call->id)->place == FIRST);
        f->groups[i].place = first ? FIRST : i;
        for (int k = 0; fusable(call) && k < call->n_in; k++) try_join(f, i, k);
        const group *mine = group_at(f, i);
        for (int k = 0; k < call->n_in; k++) {
            group *from = group_at(f, call->in[k]->call->id);
            if (from != mine && mine->place < from->reader) from->reader = mine->place;
        }
    }
    for (int i = 0; i < f->n; i++)
        for (int k = 0; f->live[i] && k < f->g->calls[i]->n_in; k++) {
            int from = f->g->calls[i]->in[k]->call->id;
            if (f->group_of[from] != f->group_of[i]) f->escapes[from] = 1;
        }
    for (int i = 0; i < f->n_roots; i++)
        if (*f->roots[i]) f->escapes[(*f->roots[i])->call->id] = 1;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static cj_node *outside(fuser *f, const cj_node *node)
{
    cj_node *to = f->map[node->call->id];
    return node->call->n_out == 1 ? to : cj_node_output(to, node->output);
}

static bool write_plain(fuser *f, const cj_call *call)
{
    cj_node **in = cj__arena_array(&f->scratch, (size_t)call->n_in + 1, sizeof *in);
    if (!in) return false;
    for (int k = 0; k < call->n_in; k++) in[k] = outside(f, call->in[k]);
    f->map[call->id] = cj__call_clone(f->to, call, in);
    return f->map[call->id] != NULL;
}

typedef struct body_builder {
    cj_graph *body;
    cj_node *in[GROUP_EDGES_MAX + 8], *placeholder[GROUP_EDGES_MAX + 8];
    int n_in;
} body_builder;

/* The placeholder of the body that stands for an outside node. */
static cj_node *body_input(body_builder *b, cj_node *node)
{
    for (int i = 0; i < b->n_in; i++)
        if (b->in[i] == node) return b->placeholder[i];
    char name[16];
    cj__format(name, sizeof name, "i%d", b->n_in);
    cj_dim dims[CJ_RANK_MAX];
    for (int i = 0; i < node->type.rank; i++)
        dims[i] = cj__dim_translate(node->call->graph, b->body, NULL, node->type.dim[i]);
    b->in[b->n_in] = node;
    return b->placeholder[b->n_in++] = cj_placeholder(b->body, name, node->type.dtype,
                                                      node->type.rank, dims);
}

static cj_node *body_operand(fuser *f, body_builder *b, const cj_node *node, const group *mine)
{
    const cj_call *call = node->call;
    if (group_at(f, call->id) == mine) return f->inner[call->id];
    if (call->op != &cj_op_broadcast || group_at(f, call->in[0]->call->id) == mine)
        return body_input(b, outside(f, node));
    cj_node *small = body_input(b, outside(f, call->in[0]));
    return cj__call_clone(b->body, call, &small);
}

/* The calls of a group in order; returns how many. */
static int members(fuser *f, const group *mine, int ids[GROUP_CALLS_MAX])
{
    int n = 0;
    for (int id = mine->first; id >= 0; id = f->next[id], n++) {
        int at = n;
        for (; at > 0 && ids[at - 1] > id; at--) ids[at] = ids[at - 1];
        ids[at] = id;
    }
    return n;
}

static bool write_body(fuser *f, body_builder *b, const group *mine, const int *ids, int n)
{
    for (int i = 0; i < n; i++) {
        const cj_call *call = f->g->calls[ids[i]];
        cj_node *in[OPERANDS_MAX];
        for (int k = 0; k < call->n_in; k++)
            if (!(in[k] = body_operand(f, b, call->in[k], mine))) return false;
        if (!(f->inner[call->id] = cj__call_clone(b->body, call, in))) return false;
        if (f->escapes[call->id]) cj_graph_output(b->body, NULL, f->inner[call->id]);
    }
    return !b->body->failed;
}

static bool write_group(fuser *f, const group *mine)
{
    int ids[GROUP_CALLS_MAX], n = members(f, mine, ids), exit = 0;
    body_builder b = {.body = cj_graph_new(f->g->cj)};
    if (!b.body) return false;
    if (!write_body(f, &b, mine, ids, n)) {
        if (b.body->failed)
            cj__graph_fail(f->to, NULL, b.body->failed, "%s",
                           b.body->message ? b.body->message : "");
        cj_graph_free(b.body);
        return false;
    }
    f->to->where = f->g->calls[ids[0]]->where;
    cj_node *node = cj_apply(f->to, &cj_op_fused, b.in, b.n_in, &(cj__body_attrs){.body = b.body});
    if (!node) {
        if (!b.body->is_body) cj_graph_free(b.body);
        return false;
    }
    for (int i = 0; i < n; i++)
        if (f->escapes[ids[i]]) f->map[ids[i]] = cj_node_output(node, exit++);
    return true;
}

/* In the order of places; those that come first in that of their ids. */
static bool write_all(fuser *f)
{
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < f->n; i++) {
            const group *mine = group_at(f, i);
            if (!f->live[i] || mine->place != (pass ? i : FIRST)) continue;
            const cj_call *call = f->g->calls[mine->first];
            if (!(fusable(call) ? write_group(f, mine) : write_plain(f, f->g->calls[i])))
                return false;
        }
    }
    return true;
}

static bool fuse(fuser *f)
{
    const cj_graph *g = f->g;
    size_t n = (size_t)g->n_calls + 1;
    f->n = g->n_calls;
    f->group_of = cj__arena_array(&f->scratch, n, sizeof *f->group_of);
    f->next = cj__arena_array(&f->scratch, n, sizeof *f->next);
    f->groups = cj__arena_array(&f->scratch, n, sizeof *f->groups);
    f->live = cj__arena_alloc(&f->scratch, n);
    f->escapes = cj__arena_alloc(&f->scratch, n);
    f->map = cj__arena_array(&f->scratch, n, sizeof *f->map);
    f->inner = cj__arena_array(&f->scratch, n, sizeof *f->inner);
    cj_node **nodes = cj__arena_array(&f->scratch, (size_t)f->n_roots + 1, sizeof *nodes);
    if (!f->group_of || !f->next || !f->groups || !f->live || !f->escapes || !f->map || !f->inner ||
        !nodes)
        return false;
    for (int i = 0; i < f->n_roots; i++) nodes[i] = *f->roots[i];
    cj__graph_mark(g, nodes, f->n_roots, f->live);
    for (int i = 0; i < f->n; i++) {
        f->group_of[i] = i;
        f->next[i] = -1;
        f->groups[i] = (group){.first = i, .last = i, .calls = 1, .place = i, .reader = f->n};
        if (g->calls[i]->op == &cj_op_input || g->calls[i]->op->flags & CJ_OP_OPAQUE)
            f->live[i] = 1;
    }
    form_groups(f);
    if (!write_all(f)) return false;
    for (int i = 0; i < f->n_roots; i++)
        if (*f->roots[i]) *f->roots[i] = outside(f, *f->roots[i]);
    return true;
}

cj_graph *cj__pass_fuse(const cj_graph *g, cj_node ***roots, int n_roots)
{
    fuser f = {.g = g, .to = cj_graph_new(g->cj), .roots = roots, .n_roots = n_roots};
    if (!f.to) return NULL;
    cj__arena_init(&f.scratch, g->cj);
    bool done = fuse(&f);
    cj__arena_release(&f.scratch);
    if (!done) {
        if (f.to->failed == CJ_OK) cj_fail(g->cj, CJ_ERR_MEMORY, "fuse: out of memory");
        cj_graph_free(f.to);
        return NULL;
    }
    f.to->shared_store = g->store ? g->store : g->shared_store;
    return f.to;
}
