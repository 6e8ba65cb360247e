/* export.c: a graph as ONNX nodes.
 *
 * Calls are written in their order, each by the row in map/ that knows its operator. Every value
 * has a name, decided when it is first written:
 *
 *     an output of the graph      the output's name
 *     a node that was named       its name
 *     anything else               "dense_1/MatMul": layer and ONNX operator
 *
 * and made unique by a number. The layer of a call is the one that made it; of a call from a file,
 * what stands before the last '/' of its node's name; else of the variable that it reads. Sources
 * and broadcasts are written when something first asks for their value, so that those which become
 * attributes, or which ONNX's operator does itself, leave no trace.
 *
 * Nothing here depends on addresses or time: equal graphs give equal models. */
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "format/onnx/map.h"
#include "format/onnx/tensor.h"
#include "format/onnx/turned.h"
#include "graph/ops/map.h"
#include "graph/pass/pass.h"

enum { LIST_MAX = 80 };

/* ---- Failing and memory ---------------------------------------------------------------------- */

static const char *shown_name(const cj_call *call)
{
    for (int k = 0; k < call->n_out; k++)
        if (call->out[k].name) return call->out[k].name;
    return NULL;
}

void cj__onnx_refuse(cj__onnx_writer *w, cj_status status, const char *format, ...)
{
    if (w->failed) return;
    char what[512];
    va_list args;
    va_start(args, format);
    cj__vformat(what, sizeof(what), format, args);
    va_end(args);
    if (!w->call) {
        w->failed = cj_fail(w->cj, status, "ONNX: %s", what);
        return;
    }
    const char *name = shown_name(w->call);
    char number[32];
    cj__format(number, sizeof(number), "%%%d", w->call->id);
    w->failed = cj_fail(w->cj, status, "ONNX: %s (node '%s'): %s", w->call->op->name,
                        name ? name : number, what);
}

static void no_memory(cj__onnx_writer *w)
{
    if (!w->failed) w->failed = cj_last_status(w->cj) ? cj_last_status(w->cj) : CJ_ERR_MEMORY;
}

/* Room for one item more in a list that lives in the arena; NULL when out of memory. */
static void *grow(cj__onnx_writer *w, void *items, size_t count, size_t *capacity, size_t item)
{
    if (count < *capacity) return items;
    size_t wanted = *capacity ? 2 * *capacity : 16;
    void *grown = cj__arena_array(w->arena, wanted, item);
    if (!grown) return no_memory(w), NULL;
    if (count) memcpy(grown, items, count * item);
    *capacity = wanted;
    return grown;
}

void cj__onnx_writer_init(cj__onnx_writer *w, cj_context *cj, cj__arena *arena)
{
    *w = (cj__onnx_writer){.cj = cj, .arena = arena, .opset = CJ_ONNX_OPSET};
    cj__names_init(&w->values, arena);
    cj__names_init(&w->nodes, arena);
    cj__names_init(&w->shared, arena);
    cj__names_init(&w->variables, arena);
    cj__names_init(&w->layers, arena);
    w->last_packed = &w->packed;
}

void cj__onnx_writer_release(cj__onnx_writer *w)
{
    for (size_t i = 0; i < w->n_mapped; i++) cj_tensor_unmap(w->mapped[i]);
    for (size_t i = 0; i < w->n_made; i++) cj_tensor_free(w->made[i]);
    w->n_mapped = w->n_made = 0;
    cj_graph_free(w->lowered);
    w->lowered = NULL;
}

/* ---- Attributes of calls --------------------------------------------------------------------- */

const void *cj__onnx_field(const cj_call *call, const char *name)
{
    const cj_option *option = cj__option_find(call->op->attributes, name);
    CJ_ASSERT(option);
    return (const char *)call->attributes + option->offset;
}

int64_t cj__onnx_field_int(const cj_call *call, const char *name)
{
    int64_t value;
    memcpy(&value, cj__onnx_field(call, name), sizeof(value));
    return value;
}

bool cj__onnx_field_bool(const cj_call *call, const char *name)
{
    return *(const bool *)cj__onnx_field(call, name);
}

cj_ints cj__onnx_field_ints(const cj_call *call, const char *name)
{
    return *(const cj_ints *)cj__onnx_field(call, name);
}

/* ---- Initializers ---------------------------------------------------------------------------- */

const char *cj__onnx_tensor_value(cj__onnx_writer *w, const char *base, const cj_tensor *value)
{
    if (w->failed) return NULL;
    const char *name = cj__names_unique(&w->values, base);
    cj__onnx_tensor *items = grow(w, w->initializers, w->n_initializers, &w->initializers_capacity,
                                  sizeof(*items));
    const cj_tensor **mapped = grow(w, w->mapped, w->n_mapped, &w->held_capacity, sizeof(*mapped));
    if (!name || !items || !mapped) return no_memory(w), NULL;
    w->initializers = items;
    w->mapped = mapped;
    w->failed = cj__onnx_tensor_encode(w->arena, name, value, &items[w->n_initializers]);
    if (w->failed) return NULL;
    w->mapped[w->n_mapped++] = value;
    w->n_initializers++;
    return name;
}

cj_tensor *cj__onnx_new_tensor(cj__onnx_writer *w, cj_dtype dtype, int rank, const int64_t *dims)
{
    if (w->failed) return NULL;
    cj_tensor **made = grow(w, w->made, w->n_made, &w->made_capacity, sizeof(*made));
    if (!made) return NULL;
    w->made = made;
    cj_tensor *t = cj_tensor_new(w->cj, dtype, rank, dims);
    if (!t) return no_memory(w), NULL;
    return made[w->n_made++] = t;
}

/* An initializer that may be there already, under a name that says what it holds; same: the first
 * of the reals everywhere. */
static const char *shared_value(cj__onnx_writer *w, const char *key, cj_dtype dtype, int rank,
                                int64_t n, const int64_t *integers, const double *reals,
                                bool same)
{
    const char *there = cj__names_get(&w->shared, key);
    if (w->failed || there) return w->failed ? NULL : there;
    cj_tensor *t = cj__onnx_new_tensor(w, dtype, rank, &n);
    void *to = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    if (!to) return no_memory(w), NULL;
    for (int64_t i = 0; integers && i < n; i++) cj_store_i64(dtype, to, (size_t)i, integers[i]);
    for (int64_t i = 0; reals && i < n; i++)
        cj_store_f64(dtype, to, (size_t)i, reals[same ? 0 : i]);
    cj_tensor_unmap(t);
    const char *kept = cj__arena_strdup(w->arena, key), *name = cj__onnx_tensor_value(w, key, t);
    if (!kept || !name || !cj__names_put(&w->shared, kept, (void *)(uintptr_t)name))
        return no_memory(w), NULL;
    return name;
}

/* "ints/2_3", "floats/0.5_1": a vector of one or the other. */
static const char *vector_value(cj__onnx_writer *w, int n, const int64_t *integers,
                                const double *reals)
{
    if (w->failed) return NULL;
    cj__text key;
    char number[32];
    cj__text_init(&key, w->cj);
    cj__text_add(&key, integers ? "ints/" : "floats/");
    for (int i = 0; i < n; i++) {
        if (i) cj__text_char(&key, '_');
        if (integers) cj__text_format(&key, "%lld", (long long)integers[i]);
        else cj__text_add(&key, cj__number(number, reals[i]));
    }
    const char *name = NULL;
    if (key.failed) no_memory(w);
    else
        name = shared_value(w, cj__text_string(&key), integers ? CJ_I64 : CJ_F32, 1, n, integers,
                            reals, false);
    cj__text_release(&key);
    return name;
}

const char *cj__onnx_ints(cj__onnx_writer *w, int n, const int64_t *values)
{
    static const int64_t none;
    return vector_value(w, n, n ? values : &none, NULL);
}

const char *cj__onnx_floats(cj__onnx_writer *w, int n, const double *values)
{
    return vector_value(w, n, NULL, values);
}

const char *cj__onnx_full(cj__onnx_writer *w, cj_dtype dtype, int64_t n, bool ones)
{
    char key[64];
    cj__format(key, sizeof key, "%s/%s/%lld", cj_dtype_info(dtype)->name, ones ? "ones" : "zeros",
               (long long)n);
    return shared_value(w, key, dtype, 1, n, NULL, &(double){ones}, true);
}

const char *cj__onnx_scalar(cj__onnx_writer *w, cj_dtype dtype, double value)
{
    char key[64], number[32];
    uint64_t room;
    if (w->failed) return NULL;
    cj_store_f64(dtype, &room, 0, value); /* as it will be read */
    value = cj_load_f64(dtype, &room, 0);
    cj__format(key, sizeof(key), "%s/%s", cj_dtype_info(dtype)->name, cj__number(number, value));
    return shared_value(w, key, dtype, 0, 1, NULL, &value, true);
}

/* Of the call that is being written. */
static const char *prefix_now(const cj__onnx_writer *w)
{
    return w->call ? w->scope->prefixes[w->call->id] : w->scope->prefix;
}

const char *cj__onnx_layer_tensor(cj__onnx_writer *w, const char *name, const cj_tensor *value)
{
    const char *prefix = prefix_now(w),
               *base = prefix ? cj__arena_printf(w->arena, "%s/%s", prefix, name) : name;
    return base ? cj__onnx_tensor_value(w, base, value) : (no_memory(w), NULL);
}

const char *cj__onnx_layer_name(cj__onnx_writer *w, const char *name)
{
    const char *prefix = prefix_now(w),
               *base = prefix ? cj__arena_printf(w->arena, "%s/%s", prefix, name) : name,
               *value = base ? cj__names_unique(&w->values, base) : NULL;
    if (!value) no_memory(w);
    return value;
}

static const char *constant_value(cj__onnx_writer *w, const cj_call *call)
{
    const cj_tensor *t = ((const cj__constant_attrs *)call->attributes)->value;
    if (cj_tensor_rank(t) == 0 && cj_dtype_info(cj_tensor_dtype(t))->bits <= 32 &&
        !call->out[0].name) {
        double value = cj_load_f64(cj_tensor_dtype(t), cj_tensor_map_read(t), 0);
        cj_tensor_unmap(t);
        return cj__onnx_scalar(w, cj_tensor_dtype(t), value);
    }
    return call->out[0].name ? cj__onnx_tensor_value(w, call->out[0].name, t)
                             : cj__onnx_layer_tensor(w, "constant", t);
}

/* A variable is one initializer wherever it is read. */
static const char *variable_value(cj__onnx_writer *w, const cj_call *call)
{
    const char *variable = ((const cj__source_attrs *)call->attributes)->name;
    const char *there = cj__names_get(&w->variables, variable);
    if (there) return there;
    const cj_tensor *value = cj_store_get(cj_graph_store(call->graph), variable);
    if (!value) return cj__onnx_refuse(w, CJ_ERR_STATE, "the store has no '%s'", variable), NULL;
    const char *name = cj__onnx_tensor_value(w, variable, value);
    if (name && !cj__names_put(&w->variables, variable, (void *)(uintptr_t)name))
        return no_memory(w), NULL;
    return name;
}

bool cj__onnx_has_variable(const cj__onnx_writer *w, const char *name)
{
    return cj__names_get(&w->variables, name) != NULL;
}

/* ---- Nodes and attributes -------------------------------------------------------------------- */

static cj__slice text_of(const char *text)
{
    return text ? cj__slice_of(text) : (cj__slice){0};
}

static const cj_node *before_broadcast(const cj_node *node)
{
    return node->call->op == &cj_op_broadcast ? node->call->in[0] : node;
}

/* What stands before the last '/' of a name; NULL when there is none. */
static const char *before_slash(cj__onnx_writer *w, const char *name)
{
    const char *slash = name ? strrchr(name, '/') : NULL;
    if (!slash || slash == name) return NULL;
    char *prefix = cj__arena_printf(w->arena, "%.*s", (int)(slash - name), name);
    if (!prefix) no_memory(w);
    return prefix;
}

/* The layer that the call belongs to, or NULL. Where there are no layers, calls belong to that of
 * their first operand. */
static const char *prefix_of(cj__onnx_writer *w, const cj_call *call)
{
    if (call->layer && cj__names_get(&w->layers, call->layer)) return call->layer;
    const char *prefix = before_slash(w, call->layer), *inherited = NULL;
    for (int i = 0; i < call->n_in && !prefix; i++) {
        const cj_call *from = before_broadcast(call->in[i])->call;
        if (from->op == &cj_op_variable && from->out[0].type.dtype != CJ_I64)
            prefix = before_slash(w, ((const cj__source_attrs *)from->attributes)->name);
        if (!inherited) inherited = w->scope->prefixes[from->id];
    }
    if (!prefix && !call->layer && !w->layers.count) prefix = inherited;
    return prefix ? prefix : w->scope->prefix;
}

/* "dense_1/MatMul". */
static const char *node_name(cj__onnx_writer *w, const char *op)
{
    const char *prefix = prefix_now(w);
    const char *base = prefix ? cj__arena_printf(w->arena, "%s/%s", prefix, op) : op;
    const char *name = base ? cj__names_unique(&w->nodes, base) : NULL;
    if (!name) no_memory(w);
    return name;
}

static void emit_named(cj__onnx_writer *w, const char *name, const char *op, size_t n_in,
                       const char *const *in, size_t n_out, const char *const *out)
{
    if (w->failed) return;
    cj__onnx_nodes *list = w->scope->nodes;
    cj__onnx_node *items = grow(w, list->items, list->count, &list->capacity, sizeof(*items));
    cj__slice *ends = cj__arena_array(w->arena, n_in + n_out + 1, sizeof(*ends));
    if (!items || !ends) {
        no_memory(w);
        return;
    }
    list->items = items;
    w->node = &items[list->count++];
    *w->node = (cj__onnx_node){.name = text_of(name), .op_type = text_of(op)};
    for (size_t i = 0; i < n_in; i++) ends[i] = text_of(in[i]);
    for (size_t i = 0; i < n_out; i++) ends[n_in + i] = text_of(out[i]);
    w->node->input.items = ends;
    w->node->input.count = n_in;
    w->node->output.items = ends + n_in;
    w->node->output.count = n_out;
}

void cj__onnx_emit(cj__onnx_writer *w, const char *op, size_t n_in, const char *const *in,
                   size_t n_out, const char *const *out)
{
    if (!w->failed) emit_named(w, node_name(w, op), op, n_in, in, n_out, out);
}

static size_t collect(cj__onnx_writer *w, va_list args, const char **in)
{
    size_t n = 0;
    if (w->failed) return 0;
    for (const char *x; (x = va_arg(args, const char *)) && n < LIST_MAX;) in[n++] = x;
    return n;
}

const char *cj__onnx_step(cj__onnx_writer *w, const char *op, ...)
{
    const char *in[LIST_MAX], *name = NULL;
    va_list args;
    va_start(args, op);
    size_t n = collect(w, args, in);
    va_end(args);
    if (!w->failed && (name = node_name(w, op))) {
        const char *value = cj__names_unique(&w->values, name);
        if (!value) no_memory(w);
        emit_named(w, name, op, n, in, 1, &value);
        name = value;
    }
    return w->failed ? NULL : name;
}

static const char **outputs_of(cj__onnx_writer *w, const cj_call *call)
{
    const char ***slot = &w->scope->names[call->id];
    if (!*slot) *slot = cj__arena_array(w->arena, (size_t)call->n_out, sizeof(**slot));
    if (!*slot) no_memory(w);
    return *slot;
}

void cj__onnx_only_list(cj__onnx_writer *w, const char *op, size_t n_in, const char *const *in)
{
    if (w->failed) return;
    const char **out = outputs_of(w, w->call), *name = node_name(w, op);
    if (!out || !name) return;
    if (!out[0])
        out[0] = cj__names_unique(&w->values, w->call->out[0].name ? w->call->out[0].name : name);
    if (out[0]) emit_named(w, name, op, n_in, in, 1, out);
    else no_memory(w);
}

void cj__onnx_only(cj__onnx_writer *w, const char *op, const char *x)
{
    cj__onnx_only_list(w, op, 1, &x);
}

void cj__onnx_last_list(cj__onnx_writer *w, const char *op, size_t n_in, const char *const *in)
{
    if (w->failed) return;
    const char **out = outputs_of(w, w->call), *name = node_name(w, op);
    for (int k = 0; out && name && k < w->call->n_out; k++) {
        const char *own = w->call->out[k].name, *base = own ? own : name;
        if (out[k]) continue;
        if (!own && w->call->n_out > 1) base = cj__arena_printf(w->arena, "%s:%d", name, k);
        out[k] = base ? cj__names_unique(&w->values, base) : NULL;
        if (!out[k]) {
            no_memory(w);
            return;
        }
    }
    emit_named(w, name, op, n_in, in, (size_t)w->call->n_out, out);
}

void cj__onnx_last(cj__onnx_writer *w, const char *op, ...)
{
    const char *in[LIST_MAX];
    va_list args;
    va_start(args, op);
    size_t n = collect(w, args, in);
    va_end(args);
    cj__onnx_last_list(w, op, n, in);
}

const char *cj__onnx_step_or_last(cj__onnx_writer *w, int left, const char *op, const char *x,
                                  const char *y, const char *z)
{
    if (left) return cj__onnx_step(w, op, x, y, z, NULL);
    cj__onnx_last(w, op, x, y, z, NULL);
    return NULL;
}

const char **cj__onnx_outputs(cj__onnx_writer *w)
{
    if (w->failed) return NULL;
    const char **out = outputs_of(w, w->call), *name = node_name(w, w->call->op->name);
    for (int k = 0; out && name && k < w->call->n_out; k++) {
        const char *own = w->call->out[k].name, *base = own ? own : name;
        if (out[k]) continue;
        if (!own && w->call->n_out > 1) base = cj__arena_printf(w->arena, "%s:%d", name, k);
        out[k] = base ? cj__names_unique(&w->values, base) : NULL;
        if (!out[k]) return no_memory(w), NULL;
    }
    return name ? out : NULL;
}

static cj__onnx_attribute *new_attribute(cj__onnx_writer *w, const char *name,
                                         cj__onnx_attribute_type type)
{
    if (w->failed) return NULL;
    size_t n = w->node->attribute.count;
    cj__onnx_attribute *items = cj__arena_array(w->arena, n + 1, sizeof(*items));
    if (!items) return no_memory(w), NULL;
    if (n) memcpy(items, w->node->attribute.items, n * sizeof(*items));
    w->node->attribute.items = items;
    w->node->attribute.count = n + 1;
    cj__onnx_attribute_init(&items[n], name, type);
    return &items[n];
}

void cj__onnx_put_int(cj__onnx_writer *w, const char *name, int64_t value)
{
    cj__onnx_attribute *a = new_attribute(w, name, CJ__ONNX_ATTR_INT);
    if (a) a->as.i = value;
}

void cj__onnx_put_float(cj__onnx_writer *w, const char *name, double value)
{
    cj__onnx_attribute *a = new_attribute(w, name, CJ__ONNX_ATTR_FLOAT);
    if (a) a->as.f = (float)value;
}

void cj__onnx_put_string(cj__onnx_writer *w, const char *name, const char *value)
{
    cj__onnx_attribute *a = new_attribute(w, name, CJ__ONNX_ATTR_STRING);
    if (a) a->as.s = cj__slice_of(value);
}

void cj__onnx_put_strings(cj__onnx_writer *w, const char *name, int n, const char *const *values)
{
    cj__onnx_attribute *a = new_attribute(w, name, CJ__ONNX_ATTR_STRINGS);
    cj__slice *items = a ? cj__arena_array(w->arena, (size_t)n, sizeof *items) : NULL;
    if (a && !items) no_memory(w);
    for (int i = 0; items && i < n; i++) items[i] = cj__slice_of(values[i]);
    if (!items) return;
    a->as.strings.items = items;
    a->as.strings.count = (size_t)n;
}

void cj__onnx_put_graph(cj__onnx_writer *w, const char *name, cj__onnx_graph *graph)
{
    cj__onnx_attribute *a = graph ? new_attribute(w, name, CJ__ONNX_ATTR_GRAPH) : NULL;
    if (a) a->as.g = graph;
}

void cj__onnx_put_ints(cj__onnx_writer *w, const char *name, int n, const int64_t *values)
{
    cj__onnx_attribute *a = new_attribute(w, name, CJ__ONNX_ATTR_INTS);
    if (!a || n == 0) return;
    a->as.ints.items = cj__arena_copy(w->arena, values, (size_t)n * sizeof(*values));
    a->as.ints.count = (size_t)n;
    if (!a->as.ints.items) no_memory(w);
}

const char *cj__onnx_cast(cj__onnx_writer *w, const char *x, cj_dtype dtype)
{
    const char *y = cj__onnx_step(w, "Cast", x, NULL);
    cj__onnx_put_int(w, "to", cj_dtype_info(dtype)->onnx);
    return y;
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void write_call(cj__onnx_writer *w, const cj_call *call);

static bool is_lazy(const cj_op *op)
{
    return op == &cj_op_constant || op == &cj_op_variable || op == &cj_op_broadcast ||
           op == &cj_op_training;
}

/* Files compute; what happens in training alone is left out: where(training, a, b) is b. */
static const cj_node *outside_training(const cj_node *node)
{
    while (node->call->op == &cj_op_where) {
        const cj_node *condition = node->call->in[0];
        while (condition->call->op == &cj_op_broadcast) condition = condition->call->in[0];
        if (condition->call->op != &cj_op_training) break;
        node = node->call->in[2];
    }
    return node;
}

const char *cj__onnx_value_of(cj__onnx_writer *w, const cj_node *node)
{
    if (w->failed) return NULL;
    node = outside_training(node);
    const cj_call *call = node->call;
    const char **names = outputs_of(w, call);
    if (!names || names[node->output]) return names ? names[node->output] : NULL;
    if (call->op == &cj_op_constant) names[0] = constant_value(w, call);
    else if (call->op == &cj_op_variable) names[0] = variable_value(w, call);
    else if (call->op == &cj_op_training) names[0] = cj__onnx_scalar(w, CJ_BOOL, 0);
    else {
        CJ_ASSERT(call->op == &cj_op_broadcast);
        const cj_call *outer = w->call;
        write_call(w, call);
        w->call = outer;
    }
    return names[node->output];
}

const char *cj__onnx_in(cj__onnx_writer *w, int i)
{
    return cj__onnx_value_of(w, w->call->in[i]);
}

/* Do operands of these shapes meet in the call's shape? The first `kept` are taken as they are. */
static bool fills(const cj_call *call, int kept)
{
    const cj_type *y = &call->out[0].type;
    for (int axis = 1; axis <= y->rank; axis++) {
        bool filled = y->dim[y->rank - axis] == 1;
        for (int i = 0; i < call->n_in && !filled; i++) {
            const cj_type *x = &(i < kept ? call->in[i] : before_broadcast(call->in[i]))->type;
            filled = axis <= x->rank && x->dim[x->rank - axis] == y->dim[y->rank - axis];
        }
        if (!filled) return false;
    }
    /* At least the rank must come from somewhere. */
    int rank = 0;
    for (int i = 0; i < call->n_in; i++) {
        int own = (i < kept ? call->in[i] : before_broadcast(call->in[i]))->type.rank;
        rank = own > rank ? own : rank;
    }
    return rank == y->rank;
}

void cj__onnx_in_broadcast(cj__onnx_writer *w, const char **names)
{
    const cj_call *call = w->call;
    int kept = 0;
    while (kept < call->n_in && !fills(call, kept)) kept++;
    for (int i = 0; i < call->n_in; i++)
        names[i] = cj__onnx_value_of(w, i < kept ? call->in[i] : before_broadcast(call->in[i]));
}

/* ---- Calls ----------------------------------------------------------------------------------- */

const cj__onnx_row *cj__onnx_row_at(size_t i)
{
    static const cj__onnx_row *const tables[] = {
        cj__onnx_rows_matrix, cj__onnx_rows_region, cj__onnx_rows_select, cj__onnx_rows_warp,
        cj__onnx_rows_elementwise, cj__onnx_rows_activation, cj__onnx_rows_reduce,
        cj__onnx_rows_shape,       cj__onnx_rows_slice,      cj__onnx_rows_index,
        cj__onnx_rows_signal,      cj__onnx_rows_attention,
        cj__onnx_rows_linear,      cj__onnx_rows_conv,       cj__onnx_rows_norm,
        cj__onnx_rows_control,     cj__onnx_rows_sequence,   cj__onnx_rows_random,
        cj__onnx_rows_training,    cj__onnx_rows_recurrent,
        cj__onnx_rows_pool,        cj__onnx_rows_image,
        cj__onnx_rows_quant,       cj__onnx_rows_text};
    for (size_t t = 0; t < CJ__COUNT(tables); t++)
        for (const cj__onnx_row *row = tables[t]; row->onnx || row->op; row++)
            if (i-- == 0) return row;
    return NULL;
}

static const cj__onnx_row *row_of(const cj_op *op)
{
    const cj__onnx_row *row;
    for (size_t i = 0; (row = cj__onnx_row_at(i)); i++)
        if (row->op == op && row->write) return row;
    return NULL;
}

/* Which opset has the type; texts and what is older are in all that are written. */
static int64_t since(cj_dtype dtype)
{
    switch (dtype) {
    case CJ_F8E4M3FN:
    case CJ_F8E4M3FNUZ:
    case CJ_F8E5M2:
    case CJ_F8E5M2FNUZ: return 19;
    case CJ_I4:
    case CJ_U4: return 21;
    case CJ_F4E2M1: return 23;
    case CJ_F8E8M0: return 24;
    case CJ_I2:
    case CJ_U2: return 25;
    default: return 0;
    }
}

/* Small types are cast, and since opset 21 moved, by whole tensors alone. */
static bool takes_small(const cj__onnx_writer *w, const cj_call *call)
{
    return call->op == &cj_op_cast || call->op == &cj_op_reshape ||
           (call->op == &cj_op_transpose && w->opset >= 21);
}

/* Has the opset the type of this operand or result? false with a failure. */
static bool has_type(cj__onnx_writer *w, const cj_node *node)
{
    const cj_dtype dtype = node->type.dtype;
    const char *name = cj_dtype_info(dtype)->name;
    const bool compared = w->call->op == &cj_op_equal || w->call->op == &cj_op_not_equal;
    const int64_t first = dtype == CJ_STRING && compared ? 19 : since(dtype);
    const bool takes = dtype == CJ_STRING || takes_small(w, w->call);
    if (!first || (first <= w->opset && takes)) return true;
    if (first > w->opset)
        cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED,
                        "%s%s is of opset %lld, newer than %lld, which is written",
                        compared ? "comparing " : "", name, (long long)first, (long long)w->opset);
    else
        cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED, "opset %lld casts and reshapes %s, and no more",
                        (long long)w->opset, name);
    return false;
}

static void write_call(cj__onnx_writer *w, const cj_call *call)
{
    const cj__onnx_row *row = row_of(call->op);
    w->call = call;
    for (int k = 0; k < call->n_out; k++)
        if (!has_type(w, &call->out[k])) return;
    for (int i = 0; i < call->n_in; i++)
        if (!has_type(w, call->in[i])) return;
    if (row) row->write(w, row);
    else if (call->op->lower) cj__onnx_write_lowered(w);
    else cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED, "ONNX has no such operator");
}

static void count_uses(const cj_graph *g, int *uses)
{
    for (int i = 0; i < g->outputs.count; i++) uses[g->outputs.items[i].node->call->id]++;
    for (int id = 0; id < g->n_calls; id++)
        for (int k = 0; k < g->calls[id]->n_in; k++) uses[g->calls[id]->in[k]->call->id]++;
}

/* By call: is it part of what the outputs are? */
static void mark_written(const cj__onnx_writer *w, unsigned char *marks)
{
    const cj_graph *g = w->scope->g;
    for (int i = 0; i < g->outputs.count; i++)
        marks[outside_training(g->outputs.items[i].node)->call->id] = 1;
    for (int id = g->n_calls - 1; id >= 0; id--) {
        const cj_call *call = g->calls[id];
        const cj__onnx_row *row = marks[id] ? row_of(call->op) : NULL;
        for (int k = 0; marks[id] && k < call->n_in; k++) {
            const cj_node *x = row && row->operand ? row->operand(w, call, k) : call->in[k];
            if (x) marks[outside_training(x)->call->id] = 1;
        }
    }
}

bool cj__onnx_write_calls(cj__onnx_writer *w)
{
    cj__onnx_scope *scope = w->scope;
    cj_graph *g = scope->g;
    const cj_call *outer = w->call;
    unsigned char *marks = cj__arena_alloc(w->arena, (size_t)g->n_calls + 1);
    int *uses = cj__arena_array(w->arena, (size_t)g->n_calls + 1, sizeof *uses);
    if (!marks || !uses) return no_memory(w), false;
    count_uses(g, uses);
    scope->uses = uses;
    mark_written(w, marks);
    for (int id = 0; id < g->n_calls && !w->failed; id++) {
        if (!marks[id]) continue;
        scope->prefixes[id] = prefix_of(w, g->calls[id]);
        if (is_lazy(g->calls[id]->op) || g->calls[id]->op == &cj_op_input) continue;
        write_call(w, g->calls[id]);
    }
    w->call = outer;
    return !w->failed;
}

/* ---- Graphs ---------------------------------------------------------------------------------- */

static bool open_scope(cj__onnx_writer *w, cj__onnx_scope *scope, cj_graph *g,
                       cj__onnx_nodes *nodes)
{
    size_t n = (size_t)g->n_calls + 1;
    *scope = (cj__onnx_scope){.outer = w->scope, .g = g, .nodes = nodes};
    if (w->call) scope->prefix = w->scope->prefixes[w->call->id];
    scope->names = cj__arena_array(w->arena, n, sizeof(*scope->names));
    scope->prefixes = cj__arena_array(w->arena, n, sizeof(*scope->prefixes));
    if (!scope->names || !scope->prefixes) return no_memory(w), false;
    w->scope = scope;
    return true;
}

static bool describe(cj__onnx_writer *w, cj_graph *g, const char *name, const cj_type *type,
                     cj__onnx_value *out)
{
    cj__onnx_value_type *value = cj__arena_alloc(w->arena, sizeof(*value));
    cj__onnx_tensor_type *tensor = cj__arena_alloc(w->arena, sizeof(*tensor));
    cj__onnx_shape *shape = cj__arena_alloc(w->arena, sizeof(*shape));
    cj__onnx_dim *dims = cj__arena_array(w->arena, (size_t)type->rank + 1, sizeof(*dims));
    if (!name || !value || !tensor || !shape || !dims) return no_memory(w), false;
    for (int i = 0; i < type->rank; i++) {
        dims[i].which = type->dim[i] < 0 ? CJ__ONNX_DIM_PARAM : CJ__ONNX_DIM_VALUE;
        if (type->dim[i] < 0) dims[i].as.param = cj__slice_of(cj_dim_text(g, type->dim[i]));
        else dims[i].as.value = type->dim[i];
    }
    shape->dim.items = dims;
    shape->dim.count = (size_t)type->rank;
    *tensor = (cj__onnx_tensor_type){.elem_type = cj_dtype_info(type->dtype)->onnx, .shape = shape};
    value->which = CJ__ONNX_TYPE_TENSOR;
    value->as.tensor = tensor;
    *out = (cj__onnx_value){.name = cj__slice_of(name), .type = value};
    return true;
}

/* The names that outputs shall have, before anything else takes them. What is no result of a call,
 * or an output twice, gets an Identity at the end. */
static const char **reserve_outputs(cj__onnx_writer *w, const char *prefix)
{
    const cj_graph *g = w->scope->g;
    const char **names = cj__arena_array(w->arena, (size_t)g->outputs.count + 1, sizeof(*names));
    if (!names) return no_memory(w), NULL;
    for (int i = 0; i < g->outputs.count; i++) {
        const cj_node *node = g->outputs.items[i].node;
        const char *own = g->outputs.items[i].name, *base = own;
        if (!own) base = cj__arena_printf(w->arena, "output_%d", i);
        if (prefix && base) base = cj__arena_printf(w->arena, "%s/%s", prefix, base);
        names[i] = base ? cj__names_unique(&w->values, base) : NULL;
        if (!names[i]) return no_memory(w), NULL;
        const cj_op *op = node->call->op;
        bool made = op != &cj_op_input && op != &cj_op_fused && !is_lazy(op) &&
                    outside_training(node) == node;
        const char **slot = made ? outputs_of(w, node->call) : NULL;
        if (slot && !slot[node->output]) slot[node->output] = names[i];
        if (w->failed) return NULL;
    }
    return names;
}

static bool finish_graph(cj__onnx_writer *w, const char *const *names, cj__onnx_graph *out)
{
    cj_graph *g = w->scope->g;
    size_t n = (size_t)g->outputs.count;
    out->output.items = cj__arena_array(w->arena, n + 1, sizeof(*out->output.items));
    if (!out->output.items) return no_memory(w), false;
    out->output.count = n;
    for (size_t i = 0; i < n && !w->failed; i++) {
        const cj_node *node = g->outputs.items[i].node;
        const char *value = cj__onnx_value_of(w, node);
        if (value && strcmp(value, names[i])) cj__onnx_emit(w, "Identity", 1, &value, 1, &names[i]);
        describe(w, g, names[i], &node->type, &out->output.items[i]);
    }
    out->node.items = w->scope->nodes->items;
    out->node.count = w->scope->nodes->count;
    return !w->failed;
}

cj__onnx_graph *cj__onnx_write_body(cj__onnx_writer *w, const char *name, cj_graph *body, int n_in,
                                    const char *const *captures)
{
    if (w->failed) return NULL;
    const cj_call *outer_call = w->call;
    cj__onnx_node *outer_node = w->node;
    cj__onnx_scope scope, *outer = w->scope;
    cj__onnx_graph *out = cj__arena_alloc(w->arena, sizeof(*out));
    cj__onnx_nodes *nodes = cj__arena_alloc(w->arena, sizeof(*nodes));
    if (!out || !nodes || !open_scope(w, &scope, body, nodes)) return no_memory(w), NULL;
    out->name = cj__slice_of(name);
    out->input.items = cj__arena_array(w->arena, (size_t)n_in + 1, sizeof(*out->input.items));
    out->input.count = (size_t)n_in;
    if (!out->input.items) no_memory(w);
    for (int i = 0; i < body->inputs.count && !w->failed; i++) {
        const cj_node *x = body->inputs.items[i].node;
        const char **slot = outputs_of(w, x->call);
        if (!slot) break;
        const size_t length = strlen(name); /* a body that was read has such names */
        const char *base = !strncmp(x->name, name, length) && x->name[length] == '/'
                               ? x->name
                               : cj__arena_printf(w->arena, "%s/%s", name, x->name);
        slot[0] = i >= n_in ? captures[i - n_in] : base ? cj__names_unique(&w->values, base) : NULL;
        if (!slot[0]) no_memory(w);
        else if (i < n_in) describe(w, body, slot[0], &x->type, &out->input.items[i]);
    }
    const char **names = w->failed ? NULL : reserve_outputs(w, name);
    w->call = NULL;
    bool done = names && cj__onnx_write_calls(w) && finish_graph(w, names, out);
    w->scope = outer;
    w->call = outer_call;
    w->node = outer_node;
    return done ? out : NULL;
}

void cj__onnx_write_inline(cj__onnx_writer *w, cj_graph *body, const char *const *in,
                           const char **out)
{
    cj__onnx_scope scope, *outer = w->scope;
    const cj_call *outer_call = w->call;
    if (w->failed || !open_scope(w, &scope, body, outer->nodes)) return;
    for (int i = 0; i < body->inputs.count && !w->failed; i++) {
        const char **slot = outputs_of(w, body->inputs.items[i].node->call);
        if (slot) slot[0] = in[i];
    }
    if (!w->failed && cj__onnx_write_calls(w))
        for (int i = 0; i < body->outputs.count; i++)
            out[i] = cj__onnx_value_of(w, body->outputs.items[i].node);
    w->scope = outer;
    w->call = outer_call;
}

void cj__onnx_write_lowered(cj__onnx_writer *w)
{
    const cj_call *call = w->call;
    const cj_graph *g = call->graph;
    cj_graph *body = w->failed ? NULL : cj_graph_new(w->cj);
    size_t n_in = (size_t)call->n_in, n_out = (size_t)call->n_out;
    const char **names = cj__arena_array(w->arena, n_in + n_out + 1, sizeof(*names)),
               **results = names + n_in;
    cj_node **nodes = cj__arena_array(w->arena, n_in + n_out + 1, sizeof(*nodes)),
            ***roots = cj__arena_array(w->arena, n_out + 1, sizeof(*roots));
    int n_roots = 0;
    if (!body || !names || !nodes || !roots) {
        cj_graph_free(body);
        no_memory(w);
        return;
    }
    body->next_body = w->lowered;
    w->lowered = body;
    for (int i = 0; i < call->n_in; i++) {
        cj_type type = call->in[i]->type;
        char name[24];
        cj__format(name, sizeof(name), "operand%d", i);
        for (int k = 0; k < type.rank; k++)
            type.dim[k] = cj__dim_translate(g, body, NULL, type.dim[k]);
        names[i] = cj__onnx_in(w, i);
        nodes[i] = cj_placeholder(body, name, type.dtype, type.rank, type.dim);
        if (!nodes[i]) break;
    }
    cj_node *copy = body->failed ? NULL : cj__call_clone(body, call, nodes);
    if (copy && !call->op->lower(body, copy->call, nodes + n_in)) copy = NULL;
    for (size_t k = 0; copy && k < n_out; k++)
        if (cj__onnx_is_read(w, &call->out[k])) roots[n_roots++] = &nodes[n_in + k];
    if (body->failed || !copy) {
        cj__onnx_refuse(w, body->failed ? body->failed : CJ_ERR_MEMORY, "%s",
                        body->message ? body->message : "out of memory");
        return;
    }
    cj_graph *folded = cj__pass_run(body, cj__pass_fold, false, NULL, roots, n_roots);
    if (!folded) {
        w->failed = cj_last_status(w->cj);
        return;
    }
    folded->next_body = w->lowered;
    w->lowered = folded;
    for (int i = 0; i < n_roots; i++) cj_graph_output(folded, NULL, *roots[i]);
    const char **written = cj__arena_array(w->arena, n_out + 1, sizeof(*written));
    if (!written) {
        no_memory(w);
        return;
    }
    cj__onnx_write_inline(w, folded, names, written);
    for (int i = 0; i < n_roots; i++) results[roots[i] - &nodes[n_in]] = written[i];
    w->scope->names[call->id] = results;
}

/* The version of the file format that came out with an opset. */
static int64_t ir_of(int64_t opset)
{
    return opset < 19 ? 8 : opset < 21 ? 9 : 10;
}

static cj_status export_graph(cj__onnx_writer *w, cj_graph *g, cj__onnx_model *out)
{
    cj__onnx_scope scope;
    cj__onnx_nodes *nodes = cj__arena_alloc(w->arena, sizeof(*nodes));
    cj__onnx_graph *graph = cj__arena_alloc(w->arena, sizeof(*graph));
    cj__onnx_opset *opset = cj__arena_alloc(w->arena, sizeof(*opset));
    if (!nodes || !graph || !opset || !open_scope(w, &scope, g, nodes))
        return no_memory(w), w->failed;
    if (!g->outputs.count)
        return cj__onnx_refuse(w, CJ_ERR_ARGUMENT, "the graph has no outputs"), w->failed;
    size_t n_in = (size_t)g->inputs.count;
    graph->name = cj__slice_of(w->name);
    graph->input.items = cj__arena_array(w->arena, n_in + 1, sizeof(*graph->input.items));
    graph->input.count = n_in;
    if (!graph->input.items) return no_memory(w), w->failed;
    for (size_t i = 0; i < n_in && !w->failed; i++) {
        const cj_node *x = g->inputs.items[i].node;
        const char **slot = outputs_of(w, x->call);
        if (slot && (slot[0] = cj__names_unique(&w->values, x->name)))
            describe(w, g, slot[0], &x->type, &graph->input.items[i]);
    }
    const char **names = w->failed ? NULL : reserve_outputs(w, NULL);
    if (names && cj__onnx_write_calls(w)) finish_graph(w, names, graph);
    cj__onnx_straighten(w, graph);
    if (w->failed) return w->failed;
    graph->initializer.items = w->initializers;
    graph->initializer.count = w->n_initializers;
    cj__onnx_order_initializers(w, graph);
    if (w->failed) return w->failed;
    opset->version = w->opset;
    *out = (cj__onnx_model){.ir_version = ir_of(w->opset), .graph = graph};
    out->producer_name = cj__slice_of("cajal");
    out->producer_version = cj__slice_of(cj_version());
    out->opset_import.items = opset;
    out->opset_import.count = 1;
    return CJ_OK;
}

cj_status cj__onnx_export(cj__onnx_writer *w, cj_graph *g, cj__onnx_model *out)
{
    if (g->failed)
        return cj_fail(w->cj, g->failed, "ONNX: the graph has failed: %s",
                       g->message ? g->message : "");
    return export_graph(w, g, out);
}
