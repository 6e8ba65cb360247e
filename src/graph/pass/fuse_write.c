/* fuse_write.c: the groups that fuse.c found, as calls of `fused` in a new graph.
 *
 * Groups are written in the order of their places; those that come first in that of their ids; a
 * view when it is first read. A
 * body has the calls of its group, copies of the broadcasts they read, and what they compute again.
 */
#include "graph/pass/fuse.h"

static bool write_plain(cj__fuser *f, const cj_call *call);

/* What stands for a node in the new graph; NULL when a view of it cannot be made. */
static cj_node *outside(cj__fuser *f, const cj_node *node)
{
    const int id = node->call->id;
    if (!f->map[id] && cj__is_free_view(f, id) && !write_plain(f, node->call)) return NULL;
    return node->call->n_out == 1 ? f->map[id] : cj_node_output(f->map[id], node->output);
}

static bool write_plain(cj__fuser *f, const cj_call *call)
{
    cj_node **in = cj__arena_array(&f->scratch, (size_t)call->n_in + 1, sizeof *in);
    if (!in) return false;
    for (int k = 0; k < call->n_in; k++)
        if (!(in[k] = outside(f, call->in[k]))) return false;
    f->map[call->id] = cj__call_clone(f->to, call, in);
    return f->map[call->id] != NULL;
}

typedef struct body_builder {
    cj_graph *body;
    const cj__group *mine;
    int number; /* of the group */
    cj_node *in[2 * CJ__GROUP_EDGES], *placeholder[2 * CJ__GROUP_EDGES];
    int n_in;
} body_builder;

/* The placeholder of the body that stands for an outside node. */
static cj_node *body_input(body_builder *b, cj_node *node)
{
    if (!node) return NULL;
    for (int i = 0; i < b->n_in; i++)
        if (b->in[i] == node) return b->placeholder[i];
    char name[16];
    cj__format(name, sizeof name, "i%d", b->n_in);
    cj_dim dims[CJ_RANK_MAX];
    for (int i = 0; i < node->type.rank; i++)
        dims[i] = cj__dim_translate(node->call->graph, b->body, NULL, node->type.dim[i]);
    CJ_ASSERT(b->n_in < 2 * CJ__GROUP_EDGES);
    b->in[b->n_in] = node;
    return b->placeholder[b->n_in++] = cj_placeholder(b->body, name, node->type.dtype,
                                                      node->type.rank, dims);
}

/* What stands for a node in the body. Broadcasts, and what is computed again, are copied once;
 * fuse.c bounds how deep the latter goes. */
static cj_node *body_operand(cj__fuser *f, body_builder *b, const cj_node *node)
{
    const cj_call *call = node->call;
    bool mine = cj__group_at(f, call->id) == b->mine;
    if (mine && f->inner_of[call->id] == b->number) return f->inner[call->id];
    bool spread = call->op == &cj_op_broadcast;
    if (!spread && !f->again[call->id]) return body_input(b, outside(f, node));
    if (f->inner_of[call->id] == b->number) return f->inner[call->id];
    cj_node *in[CJ__GROUP_OPERANDS];
    for (int k = 0; k < call->n_in; k++)
        if (!(in[k] = body_operand(f, b, call->in[k]))) return NULL;
    f->inner_of[call->id] = b->number;
    return f->inner[call->id] = cj__call_clone(b->body, call, in);
}

/* The calls of a group in order; returns how many. */
static int members(cj__fuser *f, const cj__group *mine, int ids[CJ__GROUP_CALLS])
{
    int n = 0;
    for (int id = mine->first; id >= 0; id = f->next[id], n++) {
        int at = n;
        for (; at > 0 && ids[at - 1] > id; at--) ids[at] = ids[at - 1];
        ids[at] = id;
    }
    return n;
}

static bool write_body(cj__fuser *f, body_builder *b, const int *ids, int n)
{
    for (int i = 0; i < n; i++) {
        const cj_call *call = f->g->calls[ids[i]];
        cj_node *in[CJ__GROUP_OPERANDS];
        for (int k = 0; k < call->n_in; k++)
            if (!(in[k] = body_operand(f, b, call->in[k]))) return false;
        if (!(f->inner[call->id] = cj__call_clone(b->body, call, in))) return false;
        f->inner_of[call->id] = b->number;
        if (f->escapes[call->id]) cj_graph_output(b->body, NULL, f->inner[call->id]);
    }
    return !b->body->failed;
}

static cj_node *apply(cj__fuser *f, body_builder *b)
{
    const cj_type *shape = b->mine->shape;
    int64_t *dims = cj__arena_array(&f->to->arena, (size_t)shape->rank + 1, sizeof *dims);
    if (!dims) return NULL;
    for (int i = 0; i < shape->rank; i++)
        dims[i] = cj__dim_translate(f->g, f->to, NULL, shape->dim[i]);
    return cj_apply(f->to, &cj_op_fused, b->in, b->n_in,
                    &(cj__fused_attrs){b->body, {shape->rank, dims}, b->mine->leading});
}

static bool write_group(cj__fuser *f, const cj__group *mine)
{
    int ids[CJ__GROUP_CALLS], n = members(f, mine, ids), exit = 0;
    bool needed = false; /* not when others compute again all it would give */
    for (int i = 0; i < n; i++) needed = needed || f->escapes[ids[i]];
    if (!needed) return true;
    body_builder b = {
        .body = cj_graph_new(f->g->cj), .mine = mine, .number = (int)(mine - f->groups)};
    if (!b.body) return false;
    if (!write_body(f, &b, ids, n)) {
        if (b.body->failed)
            cj__graph_fail(f->to, NULL, b.body->failed, "%s",
                           b.body->message ? b.body->message : "");
        cj_graph_free(b.body);
        return false;
    }
    cj__graph_origin(f->to, f->g->calls[ids[0]]);
    cj_node *node = apply(f, &b);
    if (!node) {
        if (!b.body->is_body) cj_graph_free(b.body);
        return false;
    }
    for (int i = 0; i < n; i++)
        if (f->escapes[ids[i]]) f->map[ids[i]] = cj_node_output(node, exit++);
    return true;
}

/* A reduction over rows, or a softmax, by itself has a kernel of its own. */
static bool is_plain(cj__fuser *f, const cj__group *mine)
{
    const cj_call *call = f->g->calls[mine->first];
    if (mine->calls > 1 || f->kind[call->id] == CJ__FUSE_POINT) return false;
    if (!cj__is_member(f, call->id)) return true;
    return call->in[0]->call->op != &cj_op_broadcast && !f->again[call->in[0]->call->id] &&
           (f->rows[call->id] || f->kind[call->id] != CJ__FUSE_REDUCE);
}

bool cj__fuse_write(cj__fuser *f)
{
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < f->n; i++) {
            const cj__group *mine = cj__group_at(f, i);
            if (!f->live[i] || f->map[i] || mine->place != (pass ? i : CJ__GROUP_FIRST)) continue;
            if (!(is_plain(f, mine) ? write_plain(f, f->g->calls[i]) : write_group(f, mine)))
                return false;
        }
    }
    for (int i = 0; i < f->n_roots; i++)
        if (*f->roots[i]) *f->roots[i] = outside(f, *f->roots[i]);
    return true;
}
