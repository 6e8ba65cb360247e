/* graph.c: the append-only list of calls: making, applying, copying.
 *
 * Everything a graph holds lives in its arena, but for the list of calls (which grows) and the
 * tensors of constants (which are shared). A call's id is its place; operands have smaller ids, so
 * forward is a loop over the list and backward the loop reversed.
 *
 * Applying an operator: check the operands, copy the attributes, let the row's shape rule fill the
 * types of the outputs, append. The first failure stays with the graph; later builders see it and
 * do nothing. */
#include "graph/graph.h"

#include <stdarg.h>
#include <string.h>

#include "base/opts.h"
#include "tensor/low.h"
#include "tensor/tensor.h"

cj_node cj_zero_node;

/* ---- Life cycle ------------------------------------------------------------------------------ */

static void free_owned(cj__owned *object)
{
    cj_graph_free((cj_graph *)((char *)object - offsetof(cj_graph, owned)));
}

void cj__graph_own(cj_graph *g) { cj__own(g->cj, &g->owned, free_owned); }

cj_graph *cj_graph_new(cj_context *cj)
{
    if (!cj) return NULL;
    cj_graph *g = cj__alloc(cj, sizeof *g);
    if (!g) return NULL;
    g->cj = cj;
    cj__arena_init(&g->arena, cj);
    cj__graph_own(g);
    return g;
}

void cj_graph_set_name(cj_graph *g, const char *name)
{
    if (g) g->name = name && *name ? cj__arena_strdup(&g->arena, name) : NULL;
}

static void free_nodes(cj_graph *g, cj__nodes *nodes)
{
    cj__free(g->cj, nodes->items, (size_t)nodes->capacity * sizeof *nodes->items);
}

/* Bodies may hold bodies: the lists are walked with a stack of graphs still to free. */
static void free_one(cj_graph *g)
{
    cj_context *cj = g->cj;
    cj__disown(&g->owned);
    if (g->free_layers) g->free_layers(g);
    for (int i = 0; i < g->tensors.count; i++)
        cj_tensor_free((cj_tensor *)(void *)g->tensors.items[i].node);
    cj_store_free(g->store);
    cj__dims_release(g);
    free_nodes(g, &g->inputs);
    free_nodes(g, &g->outputs);
    free_nodes(g, &g->variables);
    free_nodes(g, &g->parameters);
    free_nodes(g, &g->tensors);
    cj__free(cj, g->calls, (size_t)g->calls_capacity * sizeof *g->calls);
    cj__arena_release(&g->arena);
    cj__free(cj, g, sizeof *g);
}

void cj_graph_free(cj_graph *g)
{
    while (g) {
        cj_graph *last = g->bodies;
        while (last && last->next_body) last = last->next_body;
        cj_graph *next = g->next_body;
        if (last) {
            last->next_body = next;
            next = g->bodies;
        }
        free_one(g);
        g = next;
    }
}

cj_status cj__graph_adopt(cj_graph *g, cj_graph *body)
{
    if (!body || body == g)
        return cj__graph_fail(g, "body", CJ_ERR_ARGUMENT,
                              "the body graph is missing or its own parent");
    if (body->failed)
        return cj__graph_fail(g, "body", body->failed, "the body failed: %s",
                              body->message ? body->message : "");
    if (body->is_body)
        return cj__graph_fail(g, "body", CJ_ERR_ARGUMENT, "the body graph belongs to another call");
    if (body->cj->core != g->cj->core)
        return cj__graph_fail(g, "body", CJ_ERR_ARGUMENT, "the body graph is of another context");
    if (body->depth >= CJ__DEPTH_MAX)
        return cj__graph_fail(g, "body", CJ_ERR_LIMIT, "bodies are nested more than %d deep",
                              CJ__DEPTH_MAX);
    if (g->depth <= body->depth) g->depth = body->depth + 1;
    cj__disown(&body->owned);
    body->is_body = true;
    body->next_body = g->bodies;
    g->bodies = body;
    return CJ_OK;
}

cj_status cj_graph_failed(const cj_graph *g) { return g ? g->failed : CJ_ERR_MEMORY; }
cj_context *cj_graph_context(const cj_graph *g) { return g->cj; }

/* ---- Failing --------------------------------------------------------------------------------- */

static cj_status fail(cj_graph *g, const char *op, cj_status status, const char *format,
                      va_list args)
{
    if (g->failed) return g->failed;
    char text[CJ__MESSAGE_BYTES];
    cj__vformat(text, sizeof text, format, args);
    g->failed = status;
    const char *where = g->where ? g->where : "";
    cj_fail(g->cj, status, "%s%s%s%s%s", where, *where ? ": " : "", op ? op : "", op ? ": " : "",
            text);
    g->message = cj__arena_strdup(&g->arena, cj_message(g->cj));
    if (status != CJ_ERR_MEMORY && !g->message) g->message = "out of memory";
    return status;
}

cj_status cj__graph_fail(cj_graph *g, const char *op, cj_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    status = fail(g, op, status, format, args);
    va_end(args);
    return status;
}

bool cj__graph_opts(cj_graph *g, const char *op, void *own, size_t size, const void *given)
{
    if (cj__opts_copy(own, size, given)) return true;
    cj__graph_fail(g, op, CJ_ERR_UNSUPPORTED, CJ__OPTS_NEWER, cj_version());
    return false;
}

cj_node *cj_graph_fail(cj_graph *g, cj_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(g, NULL, status, format, args);
    va_end(args);
    return NULL;
}

cj_status cj_infer_fail(cj_infer *infer, cj_status status, const char *format, ...)
{
    cj_graph *g = infer->graph;
    if (g->failed) return g->failed;
    cj__text text;
    cj__text_init(&text, g->cj);
    char what[512];
    va_list args;
    va_start(args, format);
    cj__vformat(what, sizeof what, format, args);
    va_end(args);
    cj__text_add(&text, what);
    if (infer->call->n_in)
        cj__text_add(&text, infer->call->n_in > 1 ? " (operands " : " (operand ");
    for (int i = 0; i < infer->call->n_in && i < 6; i++) {
        if (i) cj__text_add(&text, ", ");
        cj__type_text(&text, g, &infer->call->in[i]->type);
    }
    if (infer->call->n_in) cj__text_add(&text, infer->call->n_in > 6 ? ", ...)" : ")");
    status = cj__graph_fail(g, infer->call->op->name, status, "%s", cj__text_string(&text));
    cj__text_release(&text);
    return status;
}

cj_node *cj_at(cj_node *node, const char *where)
{
    if (node && !cj__is_zero(node)) node->call->graph->where = where;
    return node;
}

cj_node *cj_at_end(cj_node *node) { return cj_at(node, NULL); }

cj_graph *cj_graph_at(cj_graph *graph, const char *where)
{
    if (graph) graph->where = where;
    return graph;
}

void cj__graph_layer(cj_graph *g, const char *layer)
{
    if (!layer) g->layer = NULL;
    else if (!g->layer || strcmp(g->layer, layer) != 0)
        g->layer = cj__arena_strdup(&g->arena, layer);
}

void cj__graph_origin(cj_graph *g, const cj_call *call)
{
    g->where = call->where;
    g->stage = call->stage;
    cj__graph_layer(g, call->layer);
}

/* ---- Lists ----------------------------------------------------------------------------------- */

/* Items of one hash value are chained, the newest first; item h says where chain h begins. */
static int *chain_of(const cj__nodes *nodes, const char *name)
{
    const uint64_t hash = cj__hash(name, strlen(name), 0);
    return &nodes->items[hash % (uint64_t)nodes->capacity].first;
}

static void index_item(cj__nodes *nodes, int i)
{
    cj__named_node *item = &nodes->items[i];
    int *chain = item->name ? chain_of(nodes, item->name) : NULL;
    if (!chain) return;
    item->next = *chain;
    *chain = 1 + i;
}

void cj__nodes_index(cj__nodes *nodes)
{
    for (int i = 0; i < nodes->capacity; i++) nodes->items[i].first = 0;
    for (int i = 0; i < nodes->count; i++) index_item(nodes, i);
}

cj_status cj__nodes_add(cj_graph *g, cj__nodes *nodes, const char *name, cj_node *node)
{
    if (nodes->count == nodes->capacity) {
        int capacity = nodes->capacity ? 2 * nodes->capacity : 8;
        cj__named_node *items = cj__realloc(g->cj, nodes->items,
                                            (size_t)nodes->capacity * sizeof *items,
                                            (size_t)capacity * sizeof *items);
        if (!items) return cj__graph_fail(g, NULL, CJ_ERR_MEMORY, "out of memory");
        nodes->items = items;
        nodes->capacity = capacity;
        cj__nodes_index(nodes);
    }
    nodes->items[nodes->count].name = name;
    nodes->items[nodes->count].node = node;
    index_item(nodes, nodes->count++);
    return CJ_OK;
}

cj_node *cj__nodes_find(const cj__nodes *nodes, const char *name)
{
    cj_node *found = NULL;
    for (int i = name && nodes->count ? *chain_of(nodes, name) : 0; i; i = nodes->items[i - 1].next)
        if (!strcmp(nodes->items[i - 1].name, name)) found = nodes->items[i - 1].node;
    return found;
}

void cj_graph_output(cj_graph *g, const char *name, cj_node *node)
{
    if (!g || g->failed || !node) return;
    if (cj__is_zero(node) || node->call->graph != g) {
        cj__graph_fail(g, "output", CJ_ERR_ARGUMENT, "output '%s' is not a node of this graph",
                       name ? name : "");
        return;
    }
    const char *copy = name ? cj__arena_strdup(&g->arena, name) : NULL;
    if (name && !copy) cj__graph_fail(g, "output", CJ_ERR_MEMORY, "out of memory");
    else if (name && cj__nodes_find(&g->outputs, name))
        cj__graph_fail(g, "output", CJ_ERR_EXISTS, "there is an output '%s' already", name);
    else cj__nodes_add(g, &g->outputs, copy, node);
}

int cj_graph_input_count(const cj_graph *g) { return g->inputs.count; }
int cj_graph_output_count(const cj_graph *g) { return g->outputs.count; }
int cj_graph_parameter_count(const cj_graph *g) { return g->parameters.count; }
int cj_graph_call_count(const cj_graph *g) { return g->n_calls; }
cj_node *cj_graph_input_at(const cj_graph *g, int i)
{
    return i >= 0 && i < g->inputs.count ? g->inputs.items[i].node : NULL;
}
cj_node *cj_graph_output_at(const cj_graph *g, int i)
{
    return i >= 0 && i < g->outputs.count ? g->outputs.items[i].node : NULL;
}
cj_node *cj_graph_parameter_at(const cj_graph *g, int i)
{
    return i >= 0 && i < g->parameters.count ? g->parameters.items[i].node : NULL;
}
const char *cj_graph_output_name(const cj_graph *g, int i)
{
    return i >= 0 && i < g->outputs.count ? g->outputs.items[i].name : NULL;
}
cj_node *cj_find_variable(cj_graph *g, const char *name)
{
    return cj__nodes_find(&g->variables, name);
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

cj_graph *cj_node_graph(const cj_node *node)
{
    return node && !cj__is_zero(node) ? node->call->graph : NULL;
}
const cj_type *cj_node_type(const cj_node *node) { return &node->type; }
cj_dtype cj_node_dtype(const cj_node *node) { return node->type.dtype; }
int cj_node_rank(const cj_node *node) { return node->type.rank; }
const char *cj_node_name(const cj_node *node) { return node->name; }

cj_dim cj_node_dim(const cj_node *node, int axis)
{
    if (axis < 0) axis += node->type.rank;
    return axis >= 0 && axis < node->type.rank ? node->type.dim[axis] : 1;
}

cj_node *cj_node_set_name(cj_node *node, const char *name)
{
    if (!node || cj__is_zero(node)) return node;
    cj_graph *g = node->call->graph;
    char *copy = name ? cj__arena_strdup(&g->arena, name) : NULL;
    if (name && !copy) return cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory");
    node->name = copy;
    return node;
}

cj_node *cj_node_output(cj_node *node, int i)
{
    if (!node || cj__is_zero(node)) return node;
    if (i >= 0 && i < node->call->n_out) return &node->call->out[i];
    return cj_graph_fail(node->call->graph, CJ_ERR_ARGUMENT,
                         "%s has %d outputs; output %d was asked for", node->call->op->name,
                         node->call->n_out, i);
}

cj_graph *cj__graph_of(cj_node *const *nodes, int n)
{
    for (int i = 0; i < n; i++)
        if (nodes[i] && !cj__is_zero(nodes[i])) return nodes[i]->call->graph;
    return NULL;
}

/* ---- Applying -------------------------------------------------------------------------------- */

static cj_status append(cj_graph *g, cj_call *call)
{
    if (g->n_calls == g->calls_capacity) {
        int capacity = g->calls_capacity ? 2 * g->calls_capacity : 64;
        cj_call **calls = cj__realloc(g->cj, g->calls, (size_t)g->calls_capacity * sizeof *calls,
                                      (size_t)capacity * sizeof *calls);
        if (!calls) return cj__graph_fail(g, NULL, CJ_ERR_MEMORY, "out of memory");
        g->calls = calls;
        g->calls_capacity = capacity;
    }
    call->id = g->n_calls;
    g->calls[g->n_calls++] = call;
    return CJ_OK;
}

/* Tensors in attributes are held by a reference of the graph's own; texts of another context are
 * copied into this one. */
static cj_status hold_tensors(cj_graph *g, const cj_option *table, void *attributes)
{
    for (; table && table->name; table++) {
        if (table->type == CJ_OPTION_TYPE_GRAPH) {
            cj_graph **body = (cj_graph **)((char *)attributes + table->offset);
            if (*body) CJ__TRY(cj__graph_adopt(g, *body));
        }
        if (table->type != CJ_OPTION_TYPE_TENSOR) continue;
        cj_tensor **tensor = (cj_tensor **)((char *)attributes + table->offset);
        if (!*tensor) continue;
        cj_tensor *view = cj__tensor_foreign(g->cj, *tensor)
                              ? cj__tensor_keep(g->cj, *tensor)
                              : cj_tensor_reshape(*tensor, cj_tensor_rank(*tensor),
                                                  cj_tensor_shape(*tensor));
        if (!view) return cj__graph_fail(g, NULL, CJ_ERR_MEMORY, "out of memory");
        if (cj__nodes_add(g, &g->tensors, NULL, (cj_node *)(void *)view)) {
            cj_tensor_free(view);
            return g->failed;
        }
        *tensor = view;
    }
    return CJ_OK;
}

static cj_status check_operands(cj_graph *g, const cj_op *op, cj_node *const *in, int n_in)
{
    if (op->inputs >= 0 ? n_in != op->inputs : n_in < op->inputs_min)
        return cj__graph_fail(g, op->name, CJ_ERR_ARGUMENT, "takes %s%d operands, got %d",
                              op->inputs >= 0 ? "" : "at least ",
                              op->inputs >= 0 ? op->inputs : op->inputs_min, n_in);
    for (int i = 0; i < n_in; i++) {
        if (cj__is_zero(in[i]))
            return cj__graph_fail(g, op->name, CJ_ERR_ARGUMENT,
                                  "operand %d is cj_zero, which has no shape", i);
        if (in[i]->call->graph != g)
            return cj__graph_fail(g, op->name, CJ_ERR_ARGUMENT,
                                  "operand %d belongs to another graph", i);
    }
    return CJ_OK;
}

/* Low dtypes are for operators that move elements. */
static cj_status check_dtype(cj_infer *infer, cj_dtype dtype)
{
    if (!cj__is_low(dtype) || infer->call->op->flags & CJ_OP_ANY_DTYPE) return CJ_OK;
    return cj_infer_fail(infer, CJ_ERR_TYPE,
                         "does not compute with %s, which is only stored, moved and cast",
                         cj_dtype_info(dtype)->name);
}

/* A size that no machine has is refused here, where symbols do not hide it. */
static cj_status check_size(cj_infer *infer, const cj_type *type)
{
    int64_t count;
    size_t bytes;
    for (int k = 0; k < type->rank; k++)
        if (type->dim[k] < 0) return CJ_OK;
    if (cj__count(type->rank, type->dim, &count) &&
        cj__bytes(count, cj_dtype_info(type->dtype)->bits, &bytes) && bytes <= CJ__BYTES_MAX)
        return CJ_OK;
    return cj_infer_fail(infer, CJ_ERR_LIMIT, "its result has too many elements");
}

static cj_status complete(cj_graph *g, cj_call *call)
{
    const cj_op *op = call->op;
    enum { OUTPUTS_MAX = 64 };
    cj_type types[OUTPUTS_MAX] = {{0}};
    cj_infer infer = {g, call, types};
    call->n_out = op->outputs > 0 ? op->outputs : 1;
    for (int i = 0; i < call->n_in; i++) CJ__TRY(check_dtype(&infer, call->in[i]->type.dtype));
    CJ__TRY(op->infer(&infer));
    for (int i = 0; i < call->n_out; i++) CJ__TRY(check_dtype(&infer, types[i].dtype));
    for (int i = 0; i < call->n_out; i++) CJ__TRY(check_size(&infer, &types[i]));
    if (g->failed) return g->failed;
    CJ_ASSERT(call->n_out >= 1 && call->n_out <= OUTPUTS_MAX);
    call->out = cj__arena_array(&g->arena, (size_t)call->n_out, sizeof *call->out);
    if (!call->out) return cj__graph_fail(g, op->name, CJ_ERR_MEMORY, "out of memory");
    for (int i = 0; i < call->n_out; i++) {
        CJ_ASSERT(types[i].dtype != CJ_DTYPE_NONE && types[i].rank >= 0 &&
                  types[i].rank <= CJ_RANK_MAX);
        for (int k = types[i].rank; k < CJ_RANK_MAX; k++) types[i].dim[k] = 0;
        call->out[i] = (cj_node){.call = call, .output = i, .type = types[i]};
    }
    return CJ_OK;
}

cj_node *cj_apply(cj_graph *g, const cj_op *op, cj_node *const *in, int n_in,
                  const void *attributes)
{
    if (!g || g->failed) return NULL;
    for (int i = 0; i < n_in; i++)
        if (!in[i]) return NULL;
    if (check_operands(g, op, in, n_in)) return NULL;
    cj_call *call = cj__arena_alloc(&g->arena, sizeof *call);
    if (!call) goto memory;
    *call = (cj_call){.op = op,
                      .graph = g,
                      .n_in = n_in,
                      .where = g->where,
                      .layer = g->layer,
                      .stage = g->stage};
    call->in = n_in ? cj__arena_copy(&g->arena, in, (size_t)n_in * sizeof *in) : NULL;
    if (n_in && !call->in) goto memory;
    if (op->attributes_size) {
        call->attributes = cj__arena_alloc(&g->arena, op->attributes_size);
        if (!call->attributes) goto memory;
        if (!attributes) cj__options_init(op->attributes, call->attributes);
        else if (cj__options_copy(&g->arena, op->attributes, call->attributes, attributes))
            goto memory;
        if (cj__options_check(g->cj, op->name, op->attributes, call->attributes)) {
            cj__graph_fail(g, NULL, g->cj->status, "%s", cj_message(g->cj));
            return NULL;
        }
        if (hold_tensors(g, op->attributes, call->attributes)) return NULL;
    }
    if (complete(g, call) || append(g, call)) return NULL;
    return &call->out[0];
memory:
    cj__graph_fail(g, op->name, CJ_ERR_MEMORY, "out of memory");
    return NULL;
}

/* ---- Copying --------------------------------------------------------------------------------- */

cj_node *cj__call_clone(cj_graph *to, const cj_call *call, cj_node *const *in)
{
    const cj_graph *from = call->graph;
    const cj_op *op = call->op;
    if (to->failed) return NULL;
    cj__graph_origin(to, call);
    if (!op->attributes_size)
        return op == &cj_op_training ? cj_training(to) : cj_apply(to, op, in, call->n_in, NULL);
    void *attributes = cj__arena_copy(&to->arena, call->attributes, op->attributes_size);
    if (!attributes) return cj_graph_fail(to, CJ_ERR_MEMORY, "out of memory");
    for (const cj_option *o = cj_option_row(op->attributes); o->type; o = cj_option_row(o + 1)) {
        void *field = (char *)attributes + o->offset;
        if (o->type == CJ_OPTION_TYPE_DIMS && from != to) {
            cj_ints *ints = field;
            int64_t *v = cj__arena_array(&to->arena, (size_t)ints->n + 1, sizeof *v);
            if (!v) return cj_graph_fail(to, CJ_ERR_MEMORY, "out of memory");
            for (int i = 0; i < ints->n; i++)
                v[i] = ints->v[i] == CJ_INFER ? CJ_INFER
                                              : cj__dim_translate(from, to, NULL, ints->v[i]);
            ints->v = v;
        } else if (o->type == CJ_OPTION_TYPE_GRAPH && *(cj_graph **)field) {
            cj_graph *body = cj__graph_clone(*(cj_graph **)field);
            if (!body) return cj_graph_fail(to, CJ_ERR_MEMORY, "out of memory");
            *(cj_graph **)field = body;
        }
    }
    cj_node *node = cj_apply(to, op, in, call->n_in, attributes);
    cj__nodes *list = op == &cj_op_input      ? &to->inputs
                      : op == &cj_op_variable ? &to->variables
                                              : NULL;
    if (node && list) {
        node->name = ((const cj__source_attrs *)node->call->attributes)->name;
        if (cj__nodes_add(to, list, node->name, node)) return NULL;
    }
    return node;
}

/* What stands for `node` in the copy. A call with one output may be replaced by any output of
 * another. */
static cj_node *mapped(cj_node *const *map, const cj_node *node)
{
    cj_node *to = map[node->call->id];
    return node->call->n_out == 1 ? to : cj_node_output(to, node->output);
}

/* Clones the calls of g into `to`; map[id] becomes output 0 of each call's copy. */
static bool clone_calls(cj_graph *to, const cj_graph *g, cj_node **map)
{
    for (int i = 0; i < g->n_calls; i++) {
        const cj_call *call = g->calls[i];
        if (map[i]) continue;
        cj_node *in[64];
        CJ_ASSERT(call->n_in <= 64 || call->op->inputs < 0);
        cj_node **operands = call->n_in <= 64
                                 ? in
                                 : cj__arena_array(&to->arena, (size_t)call->n_in, sizeof *in);
        if (!operands) return cj__graph_fail(to, NULL, CJ_ERR_MEMORY, "out of memory"), false;
        for (int k = 0; k < call->n_in; k++)
            operands[k] = mapped(map, call->in[k]);
        map[i] = cj__call_clone(to, call, operands);
        if (!map[i]) return false;
        for (int k = 0; k < call->n_out; k++)
            if (call->out[k].name && !map[i]->call->out[k].name)
                cj_node_set_name(&map[i]->call->out[k], call->out[k].name);
    }
    return !to->failed;
}

cj_graph *cj__graph_clone(const cj_graph *g)
{
    cj_graph *to = cj_graph_new(g->cj);
    if (!to) return NULL;
    size_t size = ((size_t)g->n_calls + 1) * sizeof(cj_node *);
    cj_node **map = cj__alloc(g->cj, size);
    bool done = map && clone_calls(to, g, map);
    for (int i = 0; done && i < g->outputs.count; i++) {
        const cj__named_node *o = &g->outputs.items[i];
        cj_graph_output(to, o->name, mapped(map, o->node));
    }
    cj__free(g->cj, map, size);
    if (done && !to->failed) return to;
    cj_graph_free(to);
    return NULL;
}

bool cj__graph_inline(cj_graph *g, const cj_graph *body, cj_node *const *in, int n_in,
                      cj_node **out)
{
    if (g->failed) return false;
    if (n_in != body->inputs.count)
        return cj__graph_fail(g, "body", CJ_ERR_ARGUMENT, "%d operands for %d inputs", n_in,
                              body->inputs.count),
               false;
    size_t size = ((size_t)body->n_calls + 1) * sizeof(cj_node *);
    cj_node **map = cj__alloc(g->cj, size);
    if (!map) return cj__graph_fail(g, NULL, CJ_ERR_MEMORY, "out of memory"), false;
    for (int i = 0; i < n_in; i++) map[body->inputs.items[i].node->call->id] = in[i];
    bool done = clone_calls(g, body, map);
    for (int i = 0; done && i < body->outputs.count; i++)
        out[i] = mapped(map, body->outputs.items[i].node);
    cj__free(g->cj, map, size);
    return done && !g->failed;
}

/* Has a marked call a size that this one finds out by running? What is an expression, or tells a
 * size, is taken to have. */
static bool finds_sizes(const cj_graph *g, const cj_call *call, const unsigned char *marks)
{
    bool finds = false, used = false;
    for (int k = 0; k < call->n_out && call->op->flags & CJ_OP_DYNAMIC; k++)
        for (int i = 0; i < call->out[k].type.rank; i++)
            finds = finds || cj__dim_is_dynamic(g, call->out[k].type.dim[i]);
    for (int id = 0; finds && !used && id < g->n_calls; id++) {
        if (!marks[id]) continue;
        used = g->calls[id]->op == &cj_op_dim_value;
        for (int k = 0; k < g->calls[id]->n_out; k++) {
            const cj_type *type = &g->calls[id]->out[k].type;
            for (int i = 0; i < type->rank; i++)
                used = used || (type->dim[i] < 0 &&
                                (cj__dim_is_dynamic(g, type->dim[i]) ||
                                 g->dims.items[-1 - type->dim[i]].kind != CJ__EXPR_NAME));
        }
    }
    return used;
}

void cj__graph_mark(const cj_graph *g, cj_node *const *nodes, int n, unsigned char *marks)
{
    int last = -1;
    for (int i = 0; i < n; i++) {
        if (!nodes[i] || cj__is_zero(nodes[i])) continue;
        marks[nodes[i]->call->id] = 1;
        if (nodes[i]->call->id > last) last = nodes[i]->call->id;
    }
    while (last >= 0) {
        for (int id = last; id >= 0; id--)
            for (int k = 0; marks[id] && k < g->calls[id]->n_in; k++)
                marks[g->calls[id]->in[k]->call->id] = 1;
        for (last = g->n_calls - 1; last >= 0; last--)
            if (!marks[last] && finds_sizes(g, g->calls[last], marks)) break;
        if (last >= 0) marks[last] = 1;
    }
}
