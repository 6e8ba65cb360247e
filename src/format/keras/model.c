/* model.c: a configuration of Keras as layers and calls, and these as a model of ours.
 *
 * A Sequential calls its layers one after another. A functional model's layers say for each of
 * their calls whose results it takes: "result 0 of call 0 of dense_1". Keras 2 writes that as lists
 * [name, call, result, {keywords}], Keras 3 as objects with a history; both become references.
 * Calls are made once all they refer to are made; a round that makes none ends in an error, so
 * circles do.
 *
 * A model may be a layer, and a layer may be called more than once. Such layers stand in a scope
 * (cj_layer_scope), which makes them one; parameters of a nested model are "encoder.dense/kernel".
 */
#include "format/keras/keras.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS_MAX = 16384 };

cj_status cj__keras_fail(const cj__keras *k, const cj__keras_layer *layer, cj_status status,
                         const char *format, ...)
{
    char what[600];
    va_list args;
    va_start(args, format);
    cj__vformat(what, sizeof what, format, args);
    va_end(args);
    return cj_fail(k->cj, status, "layer '%.100s' (%.60s): %s", layer->name, layer->kind, what);
}

static cj_status bad(const cj__keras *k, const char *what)
{
    return cj_fail(k->cj, CJ_ERR_DATA, "the model's configuration: %s", what);
}

/* ---- Names ----------------------------------------------------------------------------------- */

static bool upper(char c) { return c >= 'A' && c <= 'Z'; }
static bool lower(char c) { return c >= 'a' && c <= 'z'; }

/* Keras's to_snake_case: "Conv2DTranspose" is "conv2d_transpose", "PReLU" is "p_re_lu". */
static char *snake(cj__arena *arena, const char *kind)
{
    const size_t n = strlen(kind);
    char *out = cj__arena_alloc(arena, 2 * n + 1);
    size_t length = 0;
    for (size_t i = 0; out && i < n; i++) {
        if (i && upper(kind[i]) && (lower(kind[i + 1]) || lower(kind[i - 1]))) out[length++] = '_';
        out[length++] = upper(kind[i]) ? (char)(kind[i] - 'A' + 'a') : kind[i];
    }
    return out;
}

/* A name of letters, digits, '_', '-' and '.' (layer_names.c). */
static char *our_name(cj__arena *arena, const char *name)
{
    char *out = cj__arena_printf(arena, "%.90s", name);
    for (char *c = out; c && *c; c++)
        if (!lower(*c) && !upper(*c) && !(*c >= '0' && *c <= '9') && !strchr("_-.", *c)) *c = '_';
    return out;
}

/* ---- Layers ---------------------------------------------------------------------------------- */

static bool is_model(const char *kind)
{
    return !strcmp(kind, "Sequential") || !strcmp(kind, "Functional") || !strcmp(kind, "Model");
}

cj_status cj__keras_read_layer(cj__keras *k, const cj__json *from, cj__keras_layer *out)
{
    *out = (cj__keras_layer){.kind = cj__keras_string(from, "class_name"),
                             .config = cj__json_find(from, "config")};
    if (!out->kind || !out->config) return bad(k, "a layer without class_name or config");
    out->name = cj__keras_string(out->config, "name");
    if (!out->name) out->name = cj__keras_string(from, "name");
    if (!out->name) out->name = out->kind;
    out->frozen = !cj__keras_bool(out->config, "trainable", true);
    const cj__json *inner = cj__json_find(out->config, "layer");
    if (is_model(out->kind) || !strcmp(out->kind, "InputLayer")) return CJ_OK;
    if (!(out->row = cj__keras_row_of(out->kind)))
        return cj__keras_fail(k, out, CJ_ERR_UNSUPPORTED, "this class of layer is not known");
    if (!inner || inner->type != CJ__JSON_OBJECT || out->row->layer) return CJ_OK;
    out->inner = cj__arena_alloc(k->arena, sizeof *out->inner);
    if (!out->inner) return CJ_ERR_MEMORY;
    return cj__keras_read_layer(k, inner, out->inner);
}

/* The path of each layer in an archive: the snake of its class, counted: "layers/dense_1". */
static cj_status set_paths(cj__keras *k, cj__keras_model *model, const char *path)
{
    for (int i = 0; i < model->n_layers; i++) {
        cj__keras_layer *l = &model->layers[i];
        int before = 0;
        for (int j = 0; j < i; j++) before += !strcmp(model->layers[j].kind, l->kind);
        const char *name = snake(k->arena, strcmp(l->kind, "Model") ? l->kind : "Functional");
        if (!name) return CJ_ERR_MEMORY;
        l->path = before ? cj__arena_printf(k->arena, "%slayers/%s_%d", path, name, before)
                         : cj__arena_printf(k->arena, "%slayers/%s", path, name);
        if (!l->path) return CJ_ERR_MEMORY;
    }
    return CJ_OK;
}

/* Models in layers, and in wrappers, once paths are known. */
static cj_status read_nested(cj__keras *k, cj__keras_layer *l)
{
    if (l->inner) {
        l->inner->path = cj__arena_printf(k->arena, "%s/layer", l->path);
        return l->inner->path ? read_nested(k, l->inner) : CJ_ERR_MEMORY;
    }
    if (!is_model(l->kind)) return CJ_OK;
    const char *path = cj__arena_printf(k->arena, "%s/", l->path);
    return path ? cj__keras_read_model(k, l->kind, l->config, path, &l->model) : CJ_ERR_MEMORY;
}

/* ---- References ------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(cj__keras_layer *const *)a)->name, (*(cj__keras_layer *const *)b)->name);
}

/* What the references of a model are found in. */
typedef struct finder {
    cj__keras *k;
    cj__keras_layer **sorted;
    int n;
    cj__keras_ref *refs; /* of the list that is being read */
    int count, capacity;
} finder;

static cj_status add_ref(finder *f, const cj__json *name, const cj__json *node,
                         const cj__json *tensor, const char *keyword)
{
    if (!name || name->type != CJ__JSON_STRING || !node || !node->is_integer || node->integer < 0 ||
        !tensor || !tensor->is_integer || tensor->integer < 0)
        return bad(f->k, "a reference that is not [layer, call, result]");
    cj__keras_layer wanted = {.name = name->string}, *key = &wanted;
    cj__keras_layer **found = f->n ? bsearch(&key, f->sorted, (size_t)f->n, sizeof key, by_name)
                                   : NULL;
    if (!found)
        return cj_fail(
            f->k->cj, CJ_ERR_DATA,
            "the model's configuration: there is no layer '%.100s' that a call refers to",
            name->string);
    if (f->count == f->capacity) {
        const int more = f->capacity ? 2 * f->capacity : 4;
        cj__keras_ref *refs = cj__arena_array(f->k->arena, (size_t)more, sizeof *refs);
        if (!refs) return CJ_ERR_MEMORY;
        if (f->count) memcpy(refs, f->refs, (size_t)f->count * sizeof *refs);
        f->refs = refs;
        f->capacity = more;
    }
    f->refs[f->count++] = (cj__keras_ref){*found, node->integer, tensor->integer, keyword};
    return CJ_OK;
}

/* ["name", 0, 0, ...] */
static bool is_triple(const cj__json *value)
{
    return value->type == CJ__JSON_ARRAY && value->count >= 3 &&
           value->first->type == CJ__JSON_STRING && value->first->next->is_integer;
}

/* All references in a value: a list of them, one, or an object of Keras 3. Nothing else has any.
 * Lists in lists are JSON's, at most 64 deep. */
static cj_status find_refs(finder *f, const cj__json *value, const char *keyword)
{
    if (value->type == CJ__JSON_OBJECT) {
        const char *kind = cj__keras_string(value, "class_name");
        const cj__json *config = cj__json_find(value, "config");
        const cj__json *history = kind && !strcmp(kind, "__keras_tensor__")
                                      ? cj__json_find(config, "keras_history")
                                      : NULL;
        if (!history || history->type != CJ__JSON_ARRAY || history->count != 3) return CJ_OK;
        const cj__json *at = history->first;
        return add_ref(f, at, at->next, at->next->next, keyword);
    }
    if (value->type != CJ__JSON_ARRAY) return CJ_OK;
    if (is_triple(value)) {
        const cj__json *at = value->first, *more = at->next->next->next;
        CJ__TRY(add_ref(f, at, at->next, at->next->next, keyword));
        for (at = more && more->type == CJ__JSON_OBJECT ? more->first : NULL; at; at = at->next)
            CJ__TRY(find_refs(f, at, at->key));
        return CJ_OK;
    }
    for (const cj__json *item = value->first; item; item = item->next)
        CJ__TRY(find_refs(f, item, keyword));
    return CJ_OK;
}

static void take_refs(finder *f, cj__keras_ref **refs, int *n)
{
    *refs = f->refs;
    *n = f->count;
    f->refs = NULL;
    f->count = f->capacity = 0;
}

/* A number among the inputs of a call is none that we could take. */
static bool has_number(const cj__json *args)
{
    for (const cj__json *a = args ? args->first : NULL; a; a = a->next)
        if (a->type == CJ__JSON_NUMBER || a->type == CJ__JSON_STRING) return true;
    return false;
}

static cj_status read_call(finder *f, const cj__json *node, cj__keras_call *call)
{
    const cj__json *args = cj__json_find(node, "args");
    call->keywords = cj__json_find(node, "kwargs");
    if (args) {
        if (has_number(args))
            return cj__keras_fail(f->k, call->layer, CJ_ERR_UNSUPPORTED,
                                  "a call whose arguments are not all results of layers");
        CJ__TRY(find_refs(f, args, NULL));
        for (const cj__json *at = call->keywords ? call->keywords->first : NULL; at; at = at->next)
            CJ__TRY(find_refs(f, at, at->key));
    } else {
        const cj__json *first = node->type == CJ__JSON_ARRAY ? node->first : NULL;
        if (first && !is_triple(node) && first->type == CJ__JSON_ARRAY && first->count > 3)
            for (call->keywords = first->first; call->keywords->next;)
                call->keywords = call->keywords->next;
        if (call->keywords && call->keywords->type != CJ__JSON_OBJECT) call->keywords = NULL;
        CJ__TRY(find_refs(f, node, NULL));
    }
    take_refs(f, &call->refs, &call->n_refs);
    return CJ_OK;
}

static cj_status read_calls(finder *f, const cj__json *from, cj__keras_layer *l)
{
    const cj__json *nodes = cj__json_find(from, "inbound_nodes");
    const bool none = !nodes || nodes->type != CJ__JSON_ARRAY || !nodes->count;
    const bool input = !strcmp(l->kind, "InputLayer");
    l->n_calls = input ? 1 : none ? 0 : (int)nodes->count;
    l->calls = cj__arena_array(f->k->arena, (size_t)l->n_calls + 1, sizeof *l->calls);
    if (!l->calls) return CJ_ERR_MEMORY;
    l->calls[0].layer = l;
    if (input) return CJ_OK;
    const cj__json *node = none ? NULL : nodes->first;
    for (int i = 0; i < l->n_calls; i++, node = node->next) {
        l->calls[i].layer = l;
        CJ__TRY(read_call(f, node, &l->calls[i]));
    }
    return CJ_OK;
}

/* A model that is a layer has a call of its own making, 0, which others do not refer to: its calls
 * are counted from the first one that somebody does refer to. */
static void count_from(const cj__keras_ref *refs, int n)
{
    for (int i = 0; i < n; i++) {
        cj__keras_layer *l = refs[i].layer;
        if (l->model && refs[i].node < l->first_node) l->first_node = refs[i].node;
    }
}

static cj_status read_functional(cj__keras *k, const cj__json *config, const cj__json *layers,
                                 cj__keras_model *m)
{
    const cj__json *inputs = cj__json_find(config, "input_layers"),
                   *outputs = cj__json_find(config, "output_layers"), *from = layers->first;
    finder f = {.k = k, .n = m->n_layers};
    f.sorted = cj__arena_array(k->arena, (size_t)f.n + 1, sizeof(cj__keras_layer *));
    if (!f.sorted) return CJ_ERR_MEMORY;
    for (int i = 0; i < f.n; i++) f.sorted[i] = &m->layers[i];
    qsort(f.sorted, (size_t)f.n, sizeof *f.sorted, by_name);
    for (int i = 1; i < f.n; i++)
        if (!strcmp(f.sorted[i]->name, f.sorted[i - 1]->name))
            return cj__keras_fail(k, f.sorted[i], CJ_ERR_DATA, "there are two layers of this name");
    for (int i = 0; i < f.n; i++, from = from->next) CJ__TRY(read_calls(&f, from, &m->layers[i]));
    if (!inputs || !outputs) return bad(k, "no input_layers or output_layers");
    CJ__TRY(find_refs(&f, inputs, NULL));
    take_refs(&f, &m->inputs, &m->n_inputs);
    if (outputs->type == CJ__JSON_OBJECT) /* named ones */
        for (const cj__json *at = outputs->first; at; at = at->next)
            CJ__TRY(find_refs(&f, at, NULL));
    else CJ__TRY(find_refs(&f, outputs, NULL));
    take_refs(&f, &m->outputs, &m->n_outputs);
    if (!m->n_inputs || !m->n_outputs) return bad(k, "a model without inputs or outputs");
    for (int i = 0; i < f.n; i++) m->layers[i].first_node = m->layers[i].model ? INT64_MAX : 0;
    for (int i = 0; i < f.n; i++)
        for (int c = 0; c < m->layers[i].n_calls; c++)
            count_from(m->layers[i].calls[c].refs, m->layers[i].calls[c].n_refs);
    count_from(m->outputs, m->n_outputs);
    return CJ_OK;
}

cj_status cj__keras_read_model(cj__keras *k, const char *kind, const cj__json *config,
                               const char *path, cj__keras_model **out)
{
    /* A Sequential of Keras 1 is the list of its layers. */
    const cj__json *layers = config->type == CJ__JSON_ARRAY ? config
                                                            : cj__json_find(config, "layers");
    cj__keras_model *m = cj__arena_alloc(k->arena, sizeof *m);
    if (!m) return CJ_ERR_MEMORY;
    if (!layers || layers->type != CJ__JSON_ARRAY || !layers->count)
        return cj_fail(k->cj, is_model(kind) ? CJ_ERR_DATA : CJ_ERR_UNSUPPORTED,
                       "a %.60s has no list of layers: only Sequential and functional models can "
                       "be read, as others are Python code",
                       kind);
    if (layers->count > LAYERS_MAX) return bad(k, "more than 16384 layers");
    m->config = config;
    m->n_layers = (int)layers->count;
    m->sequential = !cj__json_find(config, "output_layers");
    m->layers = cj__arena_array(k->arena, layers->count, sizeof *m->layers);
    if (!m->layers) return CJ_ERR_MEMORY;
    int i = 0;
    for (const cj__json *from = layers->first; from; from = from->next)
        CJ__TRY(cj__keras_read_layer(k, from, &m->layers[i++]));
    CJ__TRY(set_paths(k, m, path));
    for (i = 0; i < m->n_layers; i++) CJ__TRY(read_nested(k, &m->layers[i]));
    if (!m->sequential) CJ__TRY(read_functional(k, config, layers, m));
    *out = m;
    return CJ_OK;
}

/* ---- Inputs ---------------------------------------------------------------------------------- */

/* The shape of a model's input, with its batch, or NULL. */
static const cj__json *shape_of(const cj__json *config)
{
    static const char *const keys[] = {"batch_shape", "batch_input_shape", "build_input_shape"};
    for (size_t i = 0; i < CJ__COUNT(keys); i++) {
        const cj__json *shape = cj__json_find(config, keys[i]);
        if (shape && shape->type == CJ__JSON_ARRAY) return shape;
    }
    return NULL;
}

static const char *dtype_name(const cj__json *config)
{
    const cj__json *dtype = cj__json_find(config, "dtype");
    if (dtype && dtype->type == CJ__JSON_OBJECT)
        return cj__keras_string(cj__json_find(dtype, "config"), "name");
    return dtype && dtype->type == CJ__JSON_STRING ? dtype->string : NULL;
}

static cj_dtype dtype_of(const char *name)
{
    static const struct {
        const char *name;
        cj_dtype dtype;
    } names[] = {{"float32", CJ_F32}, {"float64", CJ_F64}, {"float16", CJ_F16},
                 {"bfloat16", CJ_BF16}, {"int8", CJ_I8}, {"int16", CJ_I16}, {"int32", CJ_I32},
                 {"int64", CJ_I64}, {"uint8", CJ_U8}, {"uint16", CJ_U16}, {"uint32", CJ_U32},
                 {"uint64", CJ_U64}, {"bool", CJ_BOOL}};
    for (size_t i = 0; i < CJ__COUNT(names); i++)
        if (!strcmp(names[i].name, name)) return names[i].dtype;
    return CJ_DTYPE_NONE;
}

/* float64, where a layer of the model computes in it; else float32: mixed precision, too, has its
 * weights in that. */
cj_dtype cj__keras_dtype(const cj__keras_model *m)
{
    for (int i = 0; i < m->n_layers; i++) {
        const char *name = dtype_name(m->layers[i].config);
        if (strcmp(m->layers[i].kind, "InputLayer") && name && !strcmp(name, "float64"))
            return CJ_F64;
    }
    return CJ_F32;
}

/* An input: of a layer that is one, or that says the shape of what it takes (sequential). */
static cj_status make_input(cj__keras *k, const cj__keras_layer *l, const cj__json *shape,
                            const char *type, const char *name, cj_node **x)
{
    cj_dim dims[CJ_RANK_MAX];
    int rank = 0;
    if (!shape)
        return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED,
                              "the file does not say the sizes of the model's input");
    if (cj__keras_bool(l->config, "sparse", false) || cj__keras_bool(l->config, "ragged", false))
        return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED, "a sparse or ragged input");
    const cj_dtype dtype = dtype_of(type ? type : "float32");
    if (!dtype)
        return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED, "inputs of the type %.40s", type);
    if (!shape->count || shape->count > CJ_RANK_MAX)
        return cj__keras_fail(k, l, CJ_ERR_DATA, "an input of %zu dimensions; 1 to %d are possible",
                              shape->count, CJ_RANK_MAX);
    for (const cj__json *size = shape->first; size; size = size->next, rank++) {
        char symbol[160];
        if (!rank) dims[0] = cj_symbol(k->g, "batch");
        else if (size->is_integer && size->integer > 0) dims[rank] = size->integer;
        else if (size->type == CJ__JSON_NULL) {
            cj__format(symbol, sizeof symbol, "%s_%d", name, rank);
            dims[rank] = cj_symbol(k->g, symbol);
        } else return cj__keras_fail(k, l, CJ_ERR_DATA, "a dimension that is no number above 0");
    }
    *x = cj__model_input_of(k->m, name, dtype, rank, dims);
    return *x ? CJ_OK : k->g->failed;
}

/* ---- Building -------------------------------------------------------------------------------- */

/* Enters or leaves a scope, which is part of the names of layers. */
static cj_status enter(cj__keras *k, const char *scope)
{
    k->scope = scope;
    cj_layer_scope(k->g, scope);
    return k->g->failed;
}

cj_status cj__keras_apply(cj__keras *k, cj__keras_layer *l, const char *row, const char *options,
                          cj_node *const *x, int n, cj_node **y)
{
    const char *outer = k->scope, *own = our_name(k->arena, l->name);
    const bool shared = l->n_calls > 1;
    cj__text text;
    if (!own) return CJ_ERR_MEMORY;
    if (shared) {
        const char *scope = outer ? cj__arena_printf(k->arena, "%s.%s", outer, own) : own;
        if (!scope) return CJ_ERR_MEMORY;
        CJ__TRY(enter(k, scope));
    }
    cj__text_init(&text, k->cj);
    cj__text_format(&text, "%s%sname=%s", options, *options ? ", " : "", own);
    *y = text.failed ? NULL : cj_layer_apply(x, n, row, cj__text_string(&text));
    cj_status failed = text.failed ? text.failed : k->g->failed;
    cj__text_release(&text);
    if (failed) {
        char why[700];
        cj__format(why, sizeof why, "%s", cj_message(k->cj));
        return cj__keras_fail(k, l, failed, "%s", why);
    }
    const cj__layers *layers = cj__layers_of(k->g);
    l->full = layers->items[layers->count - 1].name;
    return shared ? enter(k, outer) : CJ_OK;
}

/* Images with their channels first: [batch, channels, ...] to [batch, ..., channels], or back. */
static cj_node *move_channels(cj_node *x, bool to_end)
{
    int64_t order[CJ_RANK_MAX];
    const int rank = x ? cj_node_rank(x) : 0;
    if (rank < 3) return x;
    for (int i = 0; i < rank; i++) order[i] = i;
    for (int i = 1; i < rank; i++)
        order[i] = to_end ? (i + 1 < rank ? i + 1 : 1) : (i == 1 ? rank - 1 : i - 1);
    return cj_transpose(x, order);
}

static cj_status build_row(cj__keras *k, cj__keras_layer *l, cj__keras_call *call,
                           cj_node *const *x, int n)
{
    const char *format = cj__keras_string(l->config, "data_format");
    const char *old = cj__keras_string(l->config, "dim_ordering"); /* Keras 1's */
    const bool first = (format && !strcmp(format, "channels_first")) || (old && !strcmp(old, "th"));
    cj__text text;
    cj_node *y = NULL, *in = first ? move_channels(x[0], true) : NULL;
    if (first && (!l->row->images || n != 1 || (old && l->row->weights[0].name)))
        return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED, "channels that come first");
    cj__text_init(&text, k->cj);
    cj_status failed = cj__keras_options(k, l, &text);
    if (!failed)
        failed = cj__keras_apply(k, l, l->row->layer, cj__text_string(&text), first ? &in : x, n,
                                 &y);
    cj__text_release(&text);
    call->n_out = 1;
    call->out[0] = first && !failed ? move_channels(y, false) : y;
    return failed;
}

cj_status cj__keras_build(cj__keras *k, cj__keras_layer *l, cj__keras_call *call,
                          cj_node *const *x, int n)
{
    if (++k->built > k->most)
        return cj_fail(k->cj, CJ_ERR_LIMIT,
                       "the model has more than %lld layers, counted as often as they are called, "
                       "which is more than a configuration of its size can mean",
                       (long long)k->most);
    if (n < 1 && !l->model && strcmp(l->kind, "InputLayer"))
        return cj__keras_fail(k, l, CJ_ERR_DATA, "it is called without an input");
    call->done = true;
    if (!strcmp(l->kind, "InputLayer")) {
        if (n) call->out[0] = x[0];
        else
            CJ__TRY(make_input(k, l, shape_of(l->config), dtype_name(l->config), l->name,
                               &call->out[0]));
        call->n_out = 1;
        return CJ_OK;
    }
    if (!l->model) {
        cj_status failed = l->row->build ? l->row->build(k, l, call, x, n)
                                         : build_row(k, l, call, x, n);
        if (!failed && k->g->failed) {
            char why[700];
            cj__format(why, sizeof why, "%s", cj_message(k->cj));
            failed = cj__keras_fail(k, l, k->g->failed, "%s", why);
        }
        return failed;
    }
    const char *outer = k->scope, *own = our_name(k->arena, l->name);
    const char *scope = own && outer ? cj__arena_printf(k->arena, "%s.%s", outer, own) : own;
    cj_node **out;
    if (!scope) return CJ_ERR_MEMORY;
    CJ__TRY(enter(k, scope));
    CJ__TRY(cj__keras_build_model(k, l->model, n ? x : NULL, n, &out, &call->n_out));
    if (call->n_out > CJ__KERAS_OUTPUTS)
        return cj__keras_fail(k, l, CJ_ERR_LIMIT, "a model in a model with more than %d outputs",
                              CJ__KERAS_OUTPUTS);
    memcpy(call->out, out, (size_t)call->n_out * sizeof *out);
    return enter(k, outer);
}

/* The result that a reference names; NULL: it is not made yet. */
static cj_status look_up(cj__keras *k, const cj__keras_ref *ref, cj_node **out)
{
    const cj__keras_layer *l = ref->layer;
    const int64_t i = ref->node - l->first_node;
    *out = NULL;
    if (i < 0 || i >= l->n_calls)
        return cj__keras_fail(k, l, CJ_ERR_DATA, "it has no call %lld, to which another refers",
                              (long long)ref->node);
    if (!l->calls[i].done) return CJ_OK;
    if (ref->tensor >= l->calls[i].n_out)
        return cj__keras_fail(k, l, CJ_ERR_DATA, "it has no result %lld, to which another refers",
                              (long long)ref->tensor);
    *out = l->calls[i].out[ref->tensor];
    return CJ_OK;
}

/* Makes a call if all it takes is there; *made says whether. */
static cj_status try_call(cj__keras *k, cj__keras_call *call, bool *made)
{
    cj_node **x = cj__arena_array(k->arena, (size_t)call->n_refs + 1, sizeof *x);
    int n = 0;
    if (!x) return CJ_ERR_MEMORY;
    for (int i = 0; i < call->n_refs; i++) {
        cj_node *node;
        CJ__TRY(look_up(k, &call->refs[i], &node));
        if (!node) return CJ_OK;
        x[n++] = node;
    }
    *made = true;
    return cj__keras_build(k, call->layer, call, x, n);
}

static cj_status build_functional(cj__keras *k, cj__keras_model *m, cj_node *const *x, int n)
{
    bool made = true;
    for (int i = 0; i < m->n_layers; i++)
        for (int c = 0; c < m->layers[i].n_calls; c++) m->layers[i].calls[c].done = false;
    if (x && n != m->n_inputs)
        return cj_fail(k->cj, CJ_ERR_DATA, "a model in a model has %d inputs and is given %d",
                       m->n_inputs, n);
    for (int i = 0; i < m->n_inputs; i++) {
        cj__keras_layer *l = m->inputs[i].layer;
        if (strcmp(l->kind, "InputLayer"))
            return cj__keras_fail(k, l, CJ_ERR_DATA, "it is an input, and no InputLayer");
        CJ__TRY(cj__keras_build(k, l, &l->calls[0], x ? &x[i] : NULL, x ? 1 : 0));
    }
    for (int64_t looked = 0; made;) {
        made = false;
        for (int i = 0; i < m->n_layers; i++)
            for (int c = 0; c < m->layers[i].n_calls; c++) {
                if (++looked > 1000000)
                    return bad(k, "layers in an order that is no order at all");
                if (m->layers[i].calls[c].done || !m->layers[i].calls[c].n_refs) continue;
                CJ__TRY(try_call(k, &m->layers[i].calls[c], &made));
            }
    }
    return CJ_OK;
}

static cj_status build_sequential(cj__keras *k, cj__keras_model *m, const cj_node *given,
                                  cj_node **y)
{
    cj_node *x = (cj_node *)given;
    cj__keras_layer *first = &m->layers[0];
    if (!x && !first->model && strcmp(first->kind, "InputLayer")) {
        const cj__json *own = shape_of(first->config), *shape = own ? own : shape_of(m->config);
        const char *dtype = cj__keras_string(first->config, "dtype");
        const char *name = cj__arena_printf(k->arena, "%s_input", first->name);
        if (!name) return CJ_ERR_MEMORY;
        CJ__TRY(make_input(k, first, shape, dtype, name, &x));
    }
    for (int i = 0; i < m->n_layers; i++) {
        cj__keras_layer *l = &m->layers[i];
        cj__keras_call call = {.layer = l};
        if (!l->calls) l->calls = cj__arena_alloc(k->arena, sizeof *l->calls);
        if (!l->calls) return CJ_ERR_MEMORY;
        CJ__TRY(cj__keras_build(k, l, &call, &x, x ? 1 : 0));
        if (call.n_out != 1)
            return cj__keras_fail(k, l, CJ_ERR_DATA, "it has %d results inside a Sequential",
                                  call.n_out);
        x = call.out[0];
    }
    *y = x;
    return CJ_OK;
}

cj_status cj__keras_build_model(cj__keras *k, cj__keras_model *m, cj_node *const *x, int n,
                                cj_node ***out, int *n_out)
{
    *n_out = m->sequential ? 1 : m->n_outputs;
    if (!(*out = cj__arena_array(k->arena, (size_t)*n_out, sizeof **out))) return CJ_ERR_MEMORY;
    if (m->sequential) {
        if (x && n != 1)
            return cj_fail(k->cj, CJ_ERR_DATA, "a Sequential in a model is given %d inputs", n);
        return build_sequential(k, m, x ? x[0] : NULL, *out);
    }
    CJ__TRY(build_functional(k, m, x, n));
    for (int i = 0; i < m->n_outputs; i++) {
        CJ__TRY(look_up(k, &m->outputs[i], &(*out)[i]));
        if (!(*out)[i])
            return cj__keras_fail(k, m->outputs[i].layer, CJ_ERR_DATA,
                                  "it is an output, but what it takes is never made: its inputs go "
                                  "round in a circle, or begin nowhere");
    }
    return CJ_OK;
}
