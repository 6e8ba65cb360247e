/* model.c: a configuration of Keras as layers and calls.
 *
 * A Sequential calls its layers one after another. A functional model's layers say for each of
 * their calls whose results it takes: "result 0 of call 0 of dense_1". Keras 2 writes that as lists
 * [name, call, result, {keywords}], Keras 3 as objects with a history; both become references. */
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
char *cj__keras_snake(cj__arena *arena, const char *kind)
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

/* ---- Layers ---------------------------------------------------------------------------------- */

static bool is_model(const char *kind)
{
    return !strcmp(kind, "Sequential") || !strcmp(kind, "Functional") || !strcmp(kind, "Model");
}

static cj_status read_layer(cj__keras *k, const cj__json *from, cj__keras_layer *out);

static bool is_same(const cj__json *a, const cj__json *b)
{
    if (!a || !b || a->type != b->type) return a == b;
    return a->type == CJ__JSON_STRING ? !strcmp(a->string, b->string)
         : a->type == CJ__JSON_NUMBER ? a->number == b->number
         : a->type == CJ__JSON_BOOL   ? a->boolean == b->boolean
                                      : a->type == CJ__JSON_NULL;
}

/* Are both directions layers of their own? Those of a plain recurrent layer are one of ours where
 * they are alike. */
static bool is_twice(const cj__keras_layer *l, const cj__json *inner)
{
    static const char *const keys[] = {"units", "activation", "recurrent_activation", "use_bias",
                                       "reset_after"};
    const char *kind = cj__keras_string(inner, "class_name");
    const cj__json *back = cj__json_find(l->config, "backward_layer"),
                   *a = cj__json_find(inner, "config"), *b = cj__json_find(back, "config");
    if (l->row->build != cj__keras_build_bidirectional || !kind) return false;
    bool alike = strcmp(kind, "RNN") && strncmp(kind, "ConvLSTM", 8);
    if (alike && b) alike = is_same(cj__json_find(inner, "class_name"),
                                    cj__json_find(back, "class_name"));
    for (size_t i = 0; alike && b && i < CJ__COUNT(keys); i++)
        alike = is_same(cj__json_find(a, keys[i]), cj__json_find(b, keys[i]));
    return !alike;
}

/* What is in wrappers around a cell; which these are is written down in *cell. */
static cj_status unwrap(cj__keras *k, const cj__keras_layer *rnn, const cj__json **from,
                        cj__keras_layer *cell)
{
    static const char *const keeps[] = {"input_keep_prob", "output_keep_prob", "state_keep_prob"};
    cell->outermost = NULL, cell->wrappers = cell->residuals = 0;
    for (;;) {
        const char *kind = cj__keras_string(*from, "class_name");
        const cj__json *config = cj__json_find(*from, "config"),
                       *inner = cj__json_find(config, "cell");
        if (!kind || !cj__keras_is_word("ResidualWrapper DropoutWrapper DeviceWrapper", kind))
            return CJ_OK;
        if (!inner) return cj__keras_fail(k, rnn, CJ_ERR_DATA, "a %.40s without a cell", kind);
        for (int i = 0; i < 3; i++)
            if (cj__keras_number(config, keeps[i], 1) != 1)
                return cj__keras_fail(k, rnn, CJ_ERR_UNSUPPORTED,
                                      "a DropoutWrapper that drops, which it does outside of "
                                      "training, too");
        if (cj__json_find(config, "residual_fn"))
            return cj__keras_fail(k, rnn, CJ_ERR_UNSUPPORTED,
                                  "a ResidualWrapper with a function of its own, which is Python "
                                  "code");
        if (!cell->outermost) cell->outermost = kind;
        cell->wrappers++;
        cell->residuals += !strcmp(kind, "ResidualWrapper");
        *from = inner;
    }
}

/* The layers in a layer: one of a wrapper, some of a Pipeline, the cells of an RNN, two directions.
 */
static cj_status read_inner(cj__keras *k, cj__keras_layer *l)
{
    const bool cells = l->row->build == cj__keras_build_cells;
    const cj__json *inner = cj__json_find(l->config, cells ? "cell" : "layer");
    cj__keras_layer around = {.name = NULL};
    if (cells && inner) CJ__TRY(unwrap(k, l, &inner, &around));
    const cj__json *many = cells ? cj__json_find(cj__json_find(inner, "config"), "cells")
                                 : cj__json_find(l->config, "layers");
    const bool several = many && many->type == CJ__JSON_ARRAY;
    l->wrappers = several ? around.wrappers : 0;
    l->residuals = several ? around.residuals : 0;
    const cj__json *from = several ? many->first : inner;
    if (l->row->layer || (!cells && !several && (!inner || inner->type != CJ__JSON_OBJECT)))
        return CJ_OK;
    l->n_inner = several ? (int)many->count : is_twice(l, inner) ? 2 : 1;
    l->inner = cj__arena_array(k->arena, (size_t)l->n_inner + 1, sizeof *l->inner);
    if (!l->inner) return CJ_ERR_MEMORY;
    if (!from) return cj__keras_fail(k, l, CJ_ERR_DATA, "there is no layer in it");
    const cj__json *back = cj__json_find(l->config, "backward_layer");
    if (!back || back->type != CJ__JSON_OBJECT) back = inner;
    for (int i = 0; i < l->n_inner; i++, from = several ? from->next : back) {
        const cj__json *inside = from;
        cj__keras_layer wrapped = {.name = NULL};
        if (!several) wrapped = around;
        if (several && cells) CJ__TRY(unwrap(k, l, &inside, &wrapped));
        CJ__TRY(read_layer(k, inside, &l->inner[i]));
        l->inner[i].outermost = wrapped.outermost;
        l->inner[i].wrappers = wrapped.wrappers;
        l->inner[i].residuals = wrapped.residuals;
        l->inner[i].frozen |= l->frozen;
        if (cells && (!l->inner[i].row || l->inner[i].row->build != cj__keras_build_cell))
            return cj__keras_fail(
                k, l, CJ_ERR_UNSUPPORTED,
                "a cell of the class %.60s; SimpleRNNCell, LSTMCell and GRUCell are possible",
                l->inner[i].kind);
    }
    return CJ_OK;
}

static cj_status read_layer(cj__keras *k, const cj__json *from, cj__keras_layer *out)
{
    *out = (cj__keras_layer){.kind = cj__keras_string(from, "class_name"),
                             .config = cj__json_find(from, "config")};
    if (!out->kind || !out->config) return bad(k, "a layer without class_name or config");
    out->name = cj__keras_string(out->config, "name");
    if (!out->name) out->name = cj__keras_string(from, "name");
    if (!out->name) out->name = out->kind;
    out->frozen = !cj__keras_bool(out->config, "trainable", true);
    if (is_model(out->kind) || !strcmp(out->kind, "InputLayer")) return CJ_OK;
    if (!(out->row = cj__keras_row_of(out->kind)))
        return cj__keras_fail(k, out, CJ_ERR_UNSUPPORTED, "this class of layer is not known");
    return read_inner(k, out);
}

/* The class that a list in an archive has of it. */
static const char *listed_kind(const cj__keras_layer *l)
{
    return l->outermost ? l->outermost : strcmp(l->kind, "Model") ? l->kind : "Functional";
}

/* The path of each layer of a list in an archive: the snake of its class, counted:
 * "layers/dense_1". */
static cj_status set_paths(cj__keras *k, cj__keras_layer *layers, int n, const char *list)
{
    for (int i = 0; i < n; i++) {
        cj__keras_layer *l = &layers[i];
        int before = 0;
        for (int j = 0; j < i; j++) before += !strcmp(listed_kind(&layers[j]), listed_kind(l));
        const char *name = cj__keras_snake(k->arena, listed_kind(l));
        if (!name) return CJ_ERR_MEMORY;
        l->path = before ? cj__arena_printf(k->arena, "%s/%s_%d", list, name, before)
                         : cj__arena_printf(k->arena, "%s/%s", list, name);
        for (int j = 0; l->outermost && j < l->wrappers && l->path; j++)
            l->path = cj__arena_printf(k->arena, "%s/cell", l->path);
        if (!l->path) return CJ_ERR_MEMORY;
    }
    return CJ_OK;
}

/* Models in layers, and layers in wrappers, once paths are known. */
static cj_status read_nested(cj__keras *k, cj__keras_layer *l)
{
    const bool cells = l->row && l->row->build == cj__keras_build_cells;
    if (l->n_inner > 1) {
        const char *list = cj__arena_printf(k->arena, "%s/%s", l->path, cells ? "cell" : "layers");
        for (int i = 0; cells && i <= l->wrappers && list; i++)
            list = cj__arena_printf(k->arena, "%s/%s", list, i < l->wrappers ? "cell" : "cells");
        if (!list) return CJ_ERR_MEMORY;
        CJ__TRY(set_paths(k, l->inner, l->n_inner, list));
        for (int i = 0; i < 2 && l->row->build == cj__keras_build_bidirectional; i++) {
            l->inner[i].path = cj__arena_printf(k->arena, "%s/%s", l->path,
                                                i ? "backward_layer" : "forward_layer");
            if (!l->inner[i].path) return CJ_ERR_MEMORY;
        }
    } else if (l->n_inner) {
        l->inner->path = cj__arena_printf(k->arena, "%s/%s", l->path, cells ? "cell" : "layer");
        for (int i = 0; i < l->inner->wrappers && l->inner->path; i++)
            l->inner->path = cj__arena_printf(k->arena, "%s/cell", l->inner->path);
        if (!l->inner->path) return CJ_ERR_MEMORY;
    }
    for (int i = 0; i < l->n_inner; i++) CJ__TRY(read_nested(k, &l->inner[i]));
    if (l->n_inner) return CJ_OK;
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

/* Inputs or outputs of a model: a list, one, or an object of named ones. */
static cj_status find_ends(finder *f, const cj__json *value)
{
    if (value->type != CJ__JSON_OBJECT) return find_refs(f, value, NULL);
    for (const cj__json *at = value->first; at; at = at->next) CJ__TRY(find_refs(f, at, NULL));
    return CJ_OK;
}

static void take_refs(finder *f, cj__keras_ref **refs, int *n)
{
    *refs = f->refs;
    *n = f->count;
    f->refs = NULL;
    f->count = f->capacity = 0;
}

/* Operands of an operator that are numbers; elsewhere a number among the inputs of a call is none
 * that we could take. */
static cj_status take_numbers(const finder *f, const cj__json *args, cj__keras_call *call)
{
    int i = 0;
    for (const cj__json *a = args->first; a; a = a->next, i++) {
        const cj__json *value = cj__json_find(cj__json_find(a, "config"), "value");
        const char *kind = cj__keras_string(a, "class_name");
        const bool array = kind && cj__keras_is_word("__tensor__ __numpy__", kind) && value;
        if ((a->type == CJ__JSON_NUMBER || array) && i < 2 && args->count == 2)
            call->number[i] = array ? value : a;
        else if (a->type == CJ__JSON_NUMBER || a->type == CJ__JSON_STRING)
            return cj__keras_fail(f->k, call->layer, CJ_ERR_UNSUPPORTED,
                                  "a call whose arguments are not all results of layers");
    }
    return CJ_OK;
}

/* A number, or lists of numbers. */
static bool is_numbers(const cj__json *value)
{
    while (value && value->type == CJ__JSON_ARRAY) value = value->first;
    return value && value->type == CJ__JSON_NUMBER;
}

/* [layer, call, result, {"y": 2}] or ["_CONSTANT_VALUE", -1, 2, {"y": [layer, call, result]}] */
static cj_status read_operands(finder *f, const cj__json *node, cj__keras_call *call)
{
    const cj__json *third = node->first->next->next, *keywords = third->next;
    const bool is_number = !strcmp(node->first->string, "_CONSTANT_VALUE");
    const cj__json *y = cj__json_find(keywords, "y"), *b = cj__json_find(keywords, "b");
    if (!b) b = cj__json_find(keywords, "bias");
    call->keywords = keywords && keywords->type == CJ__JSON_OBJECT ? keywords : NULL;
    if (!y) y = b;
    if (is_number && is_numbers(third)) call->number[0] = third;
    else CJ__TRY(add_ref(f, node->first, node->first->next, third, NULL));
    if (y && is_numbers(y)) call->number[1] = y;
    else if (y) CJ__TRY(find_refs(f, y, NULL));
    return CJ_OK;
}

static cj_status read_call(finder *f, const cj__json *node, cj__keras_call *call)
{
    const cj__json *args = cj__json_find(node, "args");
    call->keywords = cj__json_find(node, "kwargs");
    if (args) {
        call->args = args;
        CJ__TRY(take_numbers(f, args, call));
        CJ__TRY(find_refs(f, args, NULL));
        for (const cj__json *at = call->keywords ? call->keywords->first : NULL; at; at = at->next)
            CJ__TRY(find_refs(f, at, at->key));
    } else if (cj__keras_is_word("TFOpLambda SlicingOpLambda", call->layer->kind) &&
               is_triple(node))
        CJ__TRY(read_operands(f, node, call));
    else {
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
    CJ__TRY(find_ends(&f, inputs));
    take_refs(&f, &m->inputs, &m->n_inputs);
    CJ__TRY(find_ends(&f, outputs));
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
        CJ__TRY(read_layer(k, from, &m->layers[i++]));
    const char *list = cj__arena_printf(k->arena, "%slayers", path);
    if (!list) return CJ_ERR_MEMORY;
    CJ__TRY(set_paths(k, m->layers, m->n_layers, list));
    for (i = 0; i < m->n_layers; i++) CJ__TRY(read_nested(k, &m->layers[i]));
    if (!m->sequential) CJ__TRY(read_functional(k, config, layers, m));
    *out = m;
    return CJ_OK;
}
