/* fuse.c: elementwise calls of one shape become one call of `fused`, which runs tile by tile in cache.
 *
 * Every call begins as a group of its own. Walking in order, an elementwise call joins the groups of its
 * elementwise operands of the same shape. Two groups may be joined unless a third one lies between them
 * (A -> C -> B would become a cycle); `reach` holds, for each group, the groups it needs, transitively.
 *
 * A broadcast belongs to no group: whoever reads it inside a group gets a copy in the body, so that a bias
 * or a scalar is never spread out in memory. The new graph is then written group by group, each one when
 * its last operand is there. */
#include "graph/pass/pass.h"

#include <string.h>

enum { GROUP_CALLS_MAX = 48, GROUP_EDGES_MAX = 40 };

typedef struct fuser {
    const cj_graph *g;
    cj_graph *to;
    cj__arena scratch;
    int n;                /* calls = the most groups there can be */
    int words;
    int *group;           /* group of a call: the id of its first call */
    int *size;            /* calls in a group */
    uint64_t *reach;      /* [n][words]: groups a group needs */
    unsigned char *live, *done; /* call is needed; group is written */
    cj_node **map;
    cj_node ***roots;
    int n_roots;
} fuser;

static uint64_t *row(fuser *f, int group) { return f->reach + (size_t)group * (size_t)f->words; }
static bool has(fuser *f, int group, int other) { return row(f, group)[other / 64] >> (other % 64) & 1; }

static bool fusable(const cj_call *call)
{
    return call->op->flags & CJ_OP_ELEMENTWISE && call->n_out == 1 && call->n_in > 0 && (call->op->ref || call->op->lower);
}

static bool same_shape(const cj_type *a, const cj_type *b)
{
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

/* Group `from` becomes part of `into`. Whoever needed one needs the other's needs too. */
static void join(fuser *f, int into, int from)
{
    for (int i = 0; i < f->n; i++)
        if (f->group[i] == from) f->group[i] = into;
    f->size[into] += f->size[from];
    for (int w = 0; w < f->words; w++) row(f, into)[w] |= row(f, from)[w];
    row(f, into)[into / 64] &= ~(1ull << (into % 64));
    row(f, into)[from / 64] &= ~(1ull << (from % 64));
    for (int k = 0; k < f->n; k++) {
        if (f->group[k] != k || k == into || !(has(f, k, from) || has(f, k, into))) continue;
        row(f, k)[from / 64] &= ~(1ull << (from % 64));
        row(f, k)[into / 64] |= 1ull << (into % 64);
        for (int w = 0; w < f->words; w++) row(f, k)[w] |= row(f, into)[w];
    }
}

/* Is there a third group that needs `a` and is needed by `b`, or the other way round? */
static bool between(fuser *f, int a, int b)
{
    for (int k = 0; k < f->n; k++) {
        if (f->group[k] != k || k == a || k == b) continue;
        if ((has(f, k, a) && has(f, b, k)) || (has(f, k, b) && has(f, a, k))) return true;
    }
    return false;
}

/* The values a group reads from outside (broadcasts looked through). */
static int count_edges(fuser *f, int a, int b)
{
    int edges = 0;
    for (int i = 0; i < f->n; i++) {
        if (!f->live[i] || (f->group[i] != a && f->group[i] != b)) continue;
        for (int k = 0; k < f->g->calls[i]->n_in; k++) {
            int from = f->group[f->g->calls[i]->in[k]->call->id];
            edges += from != a && from != b;
        }
    }
    return edges;
}

static void form_groups(fuser *f)
{
    for (int i = 0; i < f->n; i++) {
        const cj_call *call = f->g->calls[i];
        if (!f->live[i]) continue;
        uint64_t *mine = row(f, i);
        for (int k = 0; k < call->n_in; k++) {
            int from = f->group[call->in[k]->call->id];
            mine[from / 64] |= 1ull << (from % 64);
            for (int w = 0; w < f->words; w++) mine[w] |= row(f, from)[w];
        }
        if (!fusable(call)) continue;
        for (int k = 0; k < call->n_in; k++) {
            const cj_call *from = call->in[k]->call;
            int a = f->group[from->id], b = f->group[i];
            if (a == b || !fusable(from) || !same_shape(&call->in[k]->type, &call->out[0].type)) continue;
            if (f->size[a] + f->size[b] > GROUP_CALLS_MAX || between(f, a, b)) continue;
            if (count_edges(f, a, b) <= GROUP_EDGES_MAX) join(f, a < b ? a : b, a < b ? b : a); /* named by its first call */
        }
    }
}

/* ---- Writing ----------------------------------------------------------------------------------- */

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

/* Does anything outside its group read this call? */
static bool escapes(fuser *f, const cj_call *call)
{
    for (int i = 0; i < f->n_roots; i++)
        if (*f->roots[i] && (*f->roots[i])->call == call) return true;
    for (int i = call->id + 1; i < f->n; i++) {
        if (!f->live[i] || f->group[i] == f->group[call->id]) continue;
        for (int k = 0; k < f->g->calls[i]->n_in; k++)
            if (f->g->calls[i]->in[k]->call == call) return true;
    }
    return false;
}

typedef struct body_builder {
    cj_graph *body;
    cj_node **inner; /* by call id of the old graph: in the body */
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
    return b->placeholder[b->n_in++] = cj_placeholder(b->body, name, node->type.dtype, node->type.rank, dims);
}

static cj_node *body_operand(fuser *f, body_builder *b, const cj_node *node, int group)
{
    const cj_call *call = node->call;
    if (f->group[call->id] == group) return b->inner[call->id];
    if (call->op != &cj_op_broadcast || f->group[call->in[0]->call->id] == group) return body_input(b, outside(f, node));
    cj_node *small = body_input(b, outside(f, call->in[0]));
    return cj__call_clone(b->body, call, &small);
}

static bool write_group(fuser *f, int group)
{
    body_builder b = {.body = cj_graph_new(f->g->cj)};
    const cj_call *exits[GROUP_CALLS_MAX];
    int n_exits = 0;
    b.inner = cj__arena_array(&f->scratch, (size_t)f->n, sizeof *b.inner);
    bool ok = b.body && b.inner;
    for (int i = group; ok && i < f->n; i++) {
        const cj_call *call = f->g->calls[i];
        if (!f->live[i] || f->group[i] != group) continue;
        cj_node *in[8];
        CJ_ASSERT(call->n_in <= 8);
        for (int k = 0; k < call->n_in; k++) in[k] = body_operand(f, &b, call->in[k], group);
        b.inner[i] = cj__call_clone(b.body, call, in);
        ok = b.inner[i] != NULL;
        if (ok && escapes(f, call)) {
            exits[n_exits++] = call;
            cj_graph_output(b.body, NULL, b.inner[i]);
        }
    }
    if (!ok) {
        if (b.body && b.body->failed) cj__graph_fail(f->to, NULL, b.body->failed, "%s", b.body->message ? b.body->message : "");
        cj_graph_free(b.body);
        return false;
    }
    f->to->where = f->g->calls[group]->where;
    cj_node *node = cj_apply(f->to, &cj_op_fused, b.in, b.n_in, &(cj__body_attrs){.body = b.body});
    if (!node) {
        if (!b.body->is_body) cj_graph_free(b.body);
        return false;
    }
    for (int i = 0; i < n_exits; i++) f->map[exits[i]->id] = cj_node_output(node, i);
    return true;
}

/* Writes groups until none is left: each when all groups it needs are there. Calls are visited in order,
 * and a group waits for its last operand, so a few rounds do. */
static bool write_all(fuser *f)
{
    for (bool more = true, moved = true; more;) {
        if (!moved) return cj__graph_fail(f->to, "fuse", CJ_ERR_STATE, "the groups need one another"), false;
        more = moved = false;
        for (int i = 0; i < f->n; i++) {
            int group = f->group[i];
            if (!f->live[i] || group != i || f->done[group]) continue;
            bool ready = true;
            for (int k = 0; ready && k < f->n; k++)
                ready = !(has(f, group, k) && f->group[k] == k && !f->done[k] && f->live[k]);
            if (!ready) {
                more = true;
                continue;
            }
            if (!(fusable(f->g->calls[i]) ? write_group(f, group) : write_plain(f, f->g->calls[i]))) return false;
            f->done[group] = 1;
            moved = true;
        }
    }
    return true;
}

static bool fuse(fuser *f)
{
    const cj_graph *g = f->g;
    f->n = g->n_calls;
    f->words = (f->n + 63) / 64;
    f->group = cj__arena_array(&f->scratch, (size_t)f->n + 1, sizeof *f->group);
    f->size = cj__arena_array(&f->scratch, (size_t)f->n + 1, sizeof *f->size);
    f->reach = cj__arena_array(&f->scratch, (size_t)f->n * (size_t)f->words + 1, sizeof *f->reach);
    f->live = cj__arena_alloc(&f->scratch, 2 * (size_t)f->n + 2);
    f->map = cj__arena_array(&f->scratch, (size_t)f->n + 1, sizeof *f->map);
    cj_node **nodes = cj__arena_array(&f->scratch, (size_t)f->n_roots + 1, sizeof *nodes);
    if (!f->group || !f->size || !f->reach || !f->live || !f->map || !nodes) return false;
    f->done = f->live + f->n + 1;
    for (int i = 0; i < f->n_roots; i++) nodes[i] = *f->roots[i];
    cj__graph_mark(g, nodes, f->n_roots, f->live);
    for (int i = 0; i < f->n; i++) {
        f->group[i] = i;
        f->size[i] = 1;
        if (g->calls[i]->op == &cj_op_input || g->calls[i]->op->flags & CJ_OP_OPAQUE) f->live[i] = 1;
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
