/* values.c: what must be known while a file is read, and is not written in it.
 *
 * A graph of ours has shapes that are numbers or symbols. Files compute shapes as values, from
 * sizes (import_sizes.c keeps those known) but also from inputs and from what other nodes give: how
 * many boxes are left, how often a loop goes round. When somebody reads a file together with values
 * for its inputs, the reader runs the graph that it has so far for such a value, and goes on with
 * a number. The graph that comes out holds for these values; its gradients are those of the whole.
 * What was run is not run again: of each run the values are kept that something else may need, an
 * operand of a call that has not run or a name that nodes to come use, and the next run begins
 * there.
 *
 * Without values for the inputs, what depends on constants alone is known all the same. */
#include <string.h>

#include "base/text.h"
#include "format/onnx/import.h"
#include "graph/ops/control.h"
#include "tensor/tensor.h"

/* What a run takes: calls, and the bytes of their results, with those of bodies. */
typedef struct cost {
    int64_t calls;
    double bytes;
} cost;

static void add_call(cost *c, const cj_call *call);

static void add_body(cost *c, const cj_graph *body)
{
    for (int i = 0; body && i < body->n_calls; i++) add_call(c, body->calls[i]);
}

static void add_call(cost *c, const cj_call *call)
{
    c->calls++;
    for (int k = 0; k < call->n_out && !(call->op->flags & CJ_OP_SOURCE); k++) {
        const cj_type *type = &call->out[k].type;
        double bytes = cj_dtype_info(type->dtype)->bits / 8.0;
        for (int i = 0; i < type->rank; i++)
            if (type->dim[i] >= 0) bytes *= (double)type->dim[i];
        c->bytes += bytes;
    }
    if (!(call->op->flags & CJ_OP_CONTROL)) return;
    add_body(c, ((const cj__body_attrs *)call->attributes)->body);
    add_body(c, ((const cj__body_attrs *)call->attributes)->other);
}

/* ---- What was computed ----------------------------------------------------------------------- */

/* The notes about the model's own graph; NULL where a body is read, of which nothing is kept. */
static cj__onnx_values *notes_of(cj__onnx_reader *r)
{
    const cj__onnx_level *level = r->level;
    while (level->outer) level = level->outer;
    return level->g == r->g ? &r->values : NULL;
}

static cj__onnx_kept *kept_of(const cj__onnx_values *v, const cj_node *node)
{
    int at = v && node->call->id < v->n_calls ? v->calls[node->call->id] : 0;
    for (at = at > 0 ? at : 0; at && v->kept[at - 1].node != node;) at = v->kept[at - 1].next;
    return at ? &v->kept[at - 1] : NULL;
}

static bool has_run(const cj__onnx_values *v, int id) { return id < v->n_calls && v->calls[id]; }

static bool make_room(cj__onnx_reader *r, cj__onnx_values *v)
{
    const int n = r->g->n_calls;
    if (n > v->n_calls) {
        const int wide = 2 * v->n_calls > n ? 2 * v->n_calls : n;
        int *calls = cj__arena_array(r->arena, (size_t)wide, sizeof *calls);
        if (!calls) return cj__onnx_no_memory(r), false;
        if (v->n_calls) memcpy(calls, v->calls, (size_t)v->n_calls * sizeof *calls);
        v->calls = calls;
        v->n_calls = wide;
    }
    return true;
}

static bool keep(cj__onnx_reader *r, cj__onnx_values *v, cj_node *node, cj_tensor *value)
{
    int *call = &v->calls[node->call->id];
    if (v->n_kept == v->capacity) {
        const int capacity = v->capacity ? 2 * v->capacity : 16;
        cj__onnx_kept *grown = cj__arena_array(r->arena, (size_t)capacity, sizeof *grown);
        if (!grown) return cj_tensor_free(value), cj__onnx_no_memory(r), false;
        if (v->n_kept) memcpy(grown, v->kept, (size_t)v->n_kept * sizeof *grown);
        v->kept = grown;
        v->capacity = capacity;
    }
    if (!cj__onnx_keep(r, value)) return false;
    v->kept[v->n_kept++] = (cj__onnx_kept){node, value, NULL, *call > 0 ? *call : 0};
    *call = v->n_kept;
    return true;
}

static bool note_use(cj__onnx_reader *r, const char *name, size_t at)
{
    if (!name || !cj__names_put(&r->values.last_use, name, (void *)(uintptr_t)(at + 1)))
        return cj__onnx_no_memory(r), false;
    return true;
}

/* Which node of the model's graph is the last to use a name, with its bodies. */
static bool note_uses(cj__onnx_reader *r)
{
    const cj__onnx_graph *graph = r->model->graph;
    const char *what = "an operand's name";
    if (r->values.noted) return !r->failed;
    r->values.noted = true;
    cj__names_init(&r->values.last_use, r->arena);
    for (size_t i = 0; i < graph->node.count && !r->failed; i++) {
        const cj__onnx_node *node = &graph->node.items[i];
        for (size_t k = 0; k < node->input.count && !r->failed; k++)
            note_use(r, cj__onnx_string_of(r, node->input.items[k], what), i);
        for (size_t k = 0; k < node->attribute.count && !r->failed; k++) {
            const cj__onnx_attribute *a = &node->attribute.items[k];
            cj__onnx_free names = {0};
            if (a->type != CJ__ONNX_ATTR_GRAPH || !a->as.g) continue;
            if (!cj__onnx_free_names(r, a->as.g, &names)) return false;
            for (size_t n = 0; n < names.count && !r->failed; n++) note_use(r, names.names[n], i);
        }
    }
    return !r->failed;
}

/* ---- What is to be run ----------------------------------------------------------------------- */

enum { NEEDED = 1, WANTED = 2 }; /* marks of calls */

typedef struct need {
    cj__onnx_reader *r;
    cj__onnx_values *values; /* or NULL */
    cj_node *node;
    unsigned char *marks; /* by call */
    cj_node **outputs;    /* the node, and what is to be kept besides */
    int n_outputs, capacity;
    cost cost;
    int runs; /* calls, without sources */
} need;

/* Has it a size, or does it tell one, that is a symbol of the file? */
static bool tells_open_size(const cj_graph *g, const cj_call *call)
{
    bool open = false;
    if (call->op == &cj_op_dim_value) {
        const cj_dim d = ((const cj__dims_attrs *)call->attributes)->dims.v[0];
        open = d < 0 && !cj__dim_is_dynamic(g, d);
    }
    for (int k = 0; k < call->n_out && call->op != &cj_op_input; k++)
        for (int i = 0; i < call->out[k].type.rank; i++) {
            const cj_dim d = call->out[k].type.dim[i];
            open = open || (d < 0 && !cj__dim_is_dynamic(g, d));
        }
    return open;
}

/* Marks what the node depends on, up to what is known; false when an input has no value, or a size
 * no number. */
static bool mark(need *n)
{
    cj__onnx_reader *r = n->r;
    const cj_graph *g = r->g;
    n->marks[n->node->call->id] = NEEDED;
    for (int id = n->node->call->id; id >= 0; id--) {
        const cj_call *call = g->calls[id];
        if (!n->marks[id]) continue;
        for (int i = 0; i < call->n_in; i++)
            if (!kept_of(n->values, call->in[i])) n->marks[call->in[i]->call->id] = NEEDED;
        add_call(&n->cost, call);
        if (tells_open_size(g, call)) return false;
        if (call->op != &cj_op_input) continue;
        bool fed = false;
        for (int i = 0; i < r->n_feeds && !fed; i++) fed = r->feeds[i].node->call == call;
        if (!fed) return false;
    }
    return true;
}

/* Sizes that are found while running would be lost at a cut. */
static bool can_keep(const cj_node *node)
{
    bool numbers = !(node->call->op->flags & CJ_OP_SOURCE);
    for (int i = 0; i < node->type.rank; i++) numbers = numbers && node->type.dim[i] >= 0;
    return numbers;
}

static void want(need *n, cj_node *node)
{
    if (n->r->failed || node == n->node || !n->marks[node->call->id] || !can_keep(node) ||
        !cj__onnx_may_keep(n->r, &node->type))
        return;
    for (int i = 0; n->marks[node->call->id] & WANTED && i < n->n_outputs; i++)
        if (n->outputs[i] == node) return;
    if (n->n_outputs == n->capacity) {
        const int capacity = 2 * n->capacity;
        cj_node **grown = cj__realloc(n->r->cj, n->outputs, (size_t)n->capacity * sizeof *grown,
                                      (size_t)capacity * sizeof *grown);
        if (!grown) {
            cj__onnx_no_memory(n->r);
            return;
        }
        n->outputs = grown;
        n->capacity = capacity;
    }
    n->marks[node->call->id] |= WANTED;
    n->outputs[n->n_outputs++] = node;
}

static void want_named(void *user, const char *name, void *value)
{
    need *n = user;
    const cj__onnx_source *source = value;
    cj__onnx_reader *r = n->r;
    (void)name;
    if (source->node && source->node->call->graph == r->g) want(n, source->node);
}

static void want_used(void *user, const char *name, void *value)
{
    need *n = user;
    if ((uintptr_t)cj__names_get(&n->r->values.last_use, name) > n->r->at)
        want_named(user, name, value);
}

/* What is run now, and may be needed by something that is not: operands of calls that have not run,
 * names that nodes to come use. */
static void want_rest(need *n)
{
    cj__onnx_reader *r = n->r;
    if (!n->values || !r->n_feeds || !make_room(r, n->values) || !note_uses(r)) return;
    for (int id = 0; id < r->g->n_calls; id++) {
        const cj_call *call = r->g->calls[id];
        for (int i = 0; i < call->n_in && !n->marks[id] && !has_run(n->values, id); i++)
            want(n, call->in[i]);
    }
    for (const cj__onnx_level *l = r->level; l; l = l->outer)
        cj__names_each(&l->values, l->outer ? want_named : want_used, n);
}

/* ---- Running --------------------------------------------------------------------------------- */

/* What stands for `node` where what is known has become inputs: map[id], output 0 of a call. */
static cj_node *stand_in(need *n, cj_graph *to, cj_node *const *map, const cj_node *node)
{
    cj__onnx_kept *kept = kept_of(n->values, node);
    char name[32];
    if (!kept) return cj_node_output(map[node->call->id], node->output);
    if (!kept->input) {
        cj__format(name, sizeof name, "\n%d", (int)(kept - n->values->kept)); /* no name has one */
        kept->input = cj_placeholder(to, name, node->type.dtype, node->type.rank, node->type.dim);
    }
    return kept->input;
}

/* A graph of the calls that are marked; the outputs and `feeds` are its own then. */
static bool cut_out(need *n, cj_graph *to, cj_node **map, cj_feed *feeds, int *n_feeds)
{
    cj__onnx_reader *r = n->r;
    cj__onnx_values *v = n->values;
    for (int i = 0; v && i < v->n_kept; i++) v->kept[i].input = NULL;
    for (int id = 0; id <= n->node->call->id; id++) {
        const cj_call *call = r->g->calls[id];
        if (!n->marks[id]) continue;
        cj_node **in = cj__arena_array(&to->arena, (size_t)call->n_in + 1, sizeof *in);
        if (!in) return cj__onnx_no_memory(r), false;
        for (int i = 0; i < call->n_in; i++) in[i] = stand_in(n, to, map, call->in[i]);
        if (!(map[id] = cj__call_clone(to, call, in))) return false;
        n->runs += !(call->op->flags & CJ_OP_SOURCE);
        for (int i = 0; call->op == &cj_op_input && i < r->n_feeds; i++)
            if (r->feeds[i].node->call == call)
                feeds[(*n_feeds)++] = (cj_feed){map[id], r->feeds[i].value};
    }
    for (int i = 0; v && i < v->n_kept; i++)
        if (v->kept[i].input) feeds[(*n_feeds)++] = (cj_feed){v->kept[i].input, v->kept[i].value};
    for (int i = 0; i < n->n_outputs; i++)
        n->outputs[i] = cj_node_output(map[n->outputs[i]->call->id], n->outputs[i]->output);
    return true;
}

static cj_status run_cut(need *n, cj_graph *g, const cj_feed *feeds, int n_feeds, cj_tensor **out)
{
    cj__onnx_reader *r = n->r;
    cj_session *s = NULL;
    cj_session_info info = {0};
    cj_compile_opts opts = {
        .struct_size = sizeof opts, .output_list = n->outputs, .n_outputs = n->n_outputs};
    cj_session_opts how = {.struct_size = sizeof how,
                           .work_max = r->budget.any ? 0 : r->budget.work_ns};
    cj_program *p = g->failed ? NULL : (cj_compile)(g, &opts);
    if (p) s = cj_session_new_opts(p, cj_graph_store(r->g), &how);
    cj_status failed = s ? cj_run(s, feeds, n_feeds, out, n->n_outputs) : cj_last_status(r->cj);
    if (failed)
        cj__onnx_fail(r, failed, "a value that it needs cannot be computed: %s",
                      s ? cj_session_message(s) : cj_message(r->cj));
    if (s) cj_session_get_info(s, &info);
    cj__onnx_spend_run(r, n->cost.calls, info.work);
    cj_session_free(s);
    cj_program_free(p);
    return failed;
}

/* The values of the outputs, in the order of n->outputs, each the caller's. */
static cj_status run(need *n, cj_tensor **out)
{
    cj__onnx_reader *r = n->r;
    const size_t calls = (size_t)r->g->n_calls,
                 room = (size_t)r->n_feeds + (n->values ? (size_t)n->values->n_kept : 0) + 1;
    cj_node **map = cj__alloc(r->cj, (calls + 1) * sizeof *map);
    cj_feed *feeds = cj__alloc(r->cj, room * sizeof *feeds);
    cj_graph *g = map && feeds ? cj_graph_new(r->cj) : NULL;
    int n_feeds = 0;
    if (!g) cj__onnx_no_memory(r);
    if (g && !cut_out(n, g, map, feeds, &n_feeds) && !r->failed)
        cj__onnx_fail(r, g->failed ? g->failed : CJ_ERR_MEMORY, "%s",
                      g->message ? g->message : "out of memory");
    if (!r->failed && cj__debugs(r->cj, 2))
        cj__log(r->cj, CJ_LOG_DEBUG, "values: %d calls run for '%s', %d values kept", n->runs,
                n->node->name ? n->node->name : "", n->n_outputs);
    if (!r->failed) run_cut(n, g, feeds, n_feeds, out);
    cj_graph_free(g);
    cj__free(r->cj, map, (calls + 1) * sizeof *map);
    cj__free(r->cj, feeds, room * sizeof *feeds);
    return r->failed;
}

/* The node's value, which is kept with the others; NULL after a failure, or where an input has
 * none. */
static const cj_tensor *compute(need *n)
{
    cj__onnx_reader *r = n->r;
    cj__onnx_values *v = n->values;
    cj_tensor **out = NULL;
    const cj_tensor *value = NULL;
    if (!mark(n)) return r->waits = r->node, NULL;
    if (!cj__onnx_may_run(r, n->cost.calls, n->cost.bytes)) return NULL;
    n->outputs[n->n_outputs++] = n->node;
    want_rest(n);
    const int count = n->n_outputs;
    const size_t bytes = (size_t)count * (sizeof *out + sizeof(cj_node *));
    if (r->failed || !(out = cj__alloc(r->cj, bytes))) return cj__onnx_no_memory(r), NULL;
    cj_node **nodes = (cj_node **)(out + count);
    memcpy(nodes, n->outputs, (size_t)count * sizeof *nodes);
    if (!run(n, out)) value = out[0];
    for (int id = 0; value && v && id < v->n_calls && id < r->g->n_calls; id++)
        if (n->marks[id] && !v->calls[id]) v->calls[id] = -1;
    for (int i = 0; value && i < count; i++) {
        bool done = v && make_room(r, v) && (i > 0 || can_keep(nodes[i]))
                        ? keep(r, v, nodes[i], out[i])
                        : cj__onnx_keep(r, out[i]);
        if (!done) value = NULL;
        out[i] = NULL;
    }
    for (int i = 0; i < count; i++) cj_tensor_free(out[i]);
    cj__free(r->cj, out, bytes);
    return value;
}

const cj_tensor *cj__onnx_compute(cj__onnx_reader *r, cj__onnx_source *source)
{
    cj_node *node = source ? cj__onnx_node_of(r, source) : NULL;
    if (!node || r->failed || r->g->failed) return NULL;
    if (source->tensor) return source->tensor;
    if (node->call->graph != r->g) return NULL;
    need n = {.r = r, .values = notes_of(r), .node = node, .capacity = 8};
    const cj__onnx_kept *kept = kept_of(n.values, node);
    const size_t calls = (size_t)r->g->n_calls + 1;
    if (kept) return source->tensor = kept->value;
    n.marks = cj__alloc(r->cj, calls);
    n.outputs = cj__alloc(r->cj, (size_t)n.capacity * sizeof *n.outputs);
    if (!n.marks || !n.outputs) cj__onnx_no_memory(r);
    else source->tensor = (cj_tensor *)compute(&n);
    cj__free(r->cj, n.outputs, (size_t)n.capacity * sizeof *n.outputs);
    cj__free(r->cj, n.marks, calls);
    return source->tensor;
}
