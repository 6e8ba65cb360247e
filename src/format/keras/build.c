/* build.c: layers and calls of Keras's (model.c) as a model of ours.
 *
 * Calls are made once all they refer to are made; a round that makes none ends in an error, so
 * circles do.
 *
 * A model may be a layer, and a layer may be called more than once. Such layers stand in a scope
 * (cj_layer_scope), which makes them one; parameters of a nested model are "encoder.dense/kernel".
 */
#include "format/keras/keras.h"

#include <string.h>

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

cj_dtype cj__keras_dtype_of(const char *name)
{
    static const struct {
        const char *name;
        cj_dtype dtype;
    } names[] = {{"float32", CJ_F32}, {"float64", CJ_F64}, {"float16", CJ_F16},
                 {"bfloat16", CJ_BF16}, {"int8", CJ_I8}, {"int16", CJ_I16}, {"int32", CJ_I32},
                 {"int64", CJ_I64}, {"uint8", CJ_U8}, {"uint16", CJ_U16}, {"uint32", CJ_U32},
                 {"uint64", CJ_U64}, {"bool", CJ_BOOL}, {"string", CJ_STRING}};
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
    const cj_dtype said = cj__keras_dtype_of(type ? type : "float32");
    const bool bytes = said == CJ_STRING && k->bytes;
    const cj_dtype dtype = bytes ? CJ_U8 : said;
    if (!dtype)
        return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED, "inputs of the type %.40s", type);
    if (!shape->count || shape->count + bytes > CJ_RANK_MAX)
        return cj__keras_fail(k, l, CJ_ERR_DATA, "an input of %zu dimensions; 1 to %d are possible",
                              shape->count, CJ_RANK_MAX - bytes);
    for (const cj__json *size = shape->first; size; size = size->next, rank++) {
        char symbol[160];
        if (!rank) dims[0] = cj_symbol(k->g, "batch");
        else if (size->is_integer && size->integer > 0) dims[rank] = size->integer;
        else if (size->type == CJ__JSON_NULL) {
            cj__format(symbol, sizeof symbol, "%s_%d", name, rank);
            dims[rank] = cj_symbol(k->g, symbol);
        } else return cj__keras_fail(k, l, CJ_ERR_DATA, "a dimension that is no number above 0");
    }
    if (bytes) {
        char symbol[160];
        cj__format(symbol, sizeof symbol, "%s_bytes", name);
        dims[rank++] = cj_symbol(k->g, symbol);
    }
    *x = cj__model_input_of(k->m, name, dtype, rank, dims);
    return *x ? CJ_OK : k->g->failed;
}

/* ---- Layers -------------------------------------------------------------------------------- */

/* A name of letters, digits, '_', '-' and '.' (layer_names.c). */
static char *our_name(cj__arena *arena, const char *name)
{
    char *out = cj__arena_printf(arena, "%.90s", name);
    for (char *c = out; c && *c; c++)
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') &&
            !strchr("_-.", *c))
            *c = '_';
    return out;
}

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
    const bool shared = l->n_calls > 1 || l->again;
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

cj_node *cj__keras_move_channels(cj_node *x, bool to_end)
{
    int64_t order[CJ_RANK_MAX];
    const int rank = x ? cj_node_rank(x) : 0;
    if (rank < 3) return x;
    for (int i = 0; i < rank; i++) order[i] = i;
    for (int i = 1; i < rank; i++)
        order[i] = to_end ? (i + 1 < rank ? i + 1 : 1) : (i == 1 ? rank - 1 : i - 1);
    return cj_transpose(x, order);
}

CJ__KERAS_BUILDER(row)
{
    cj__keras_layer *l = layer;
    const char *format = cj__keras_string(l->config, "data_format");
    const char *old = cj__keras_string(l->config, "dim_ordering"); /* Keras 1's */
    const bool first = (format && !strcmp(format, "channels_first")) || (old && !strcmp(old, "th"));
    cj__text text;
    cj_node *y = NULL, *in = first ? cj__keras_move_channels(x[0], true) : NULL;
    if (first && (!l->row->images || n != 1))
        return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED, "channels that come first");
    cj__text_init(&text, k->cj);
    cj_status failed = cj__keras_options(k, l, &text);
    if (!failed)
        failed = cj__keras_apply(k, l, l->row->layer, cj__text_string(&text), first ? &in : x, n,
                                 &y);
    cj__text_release(&text);
    call->n_out = 1;
    call->out[0] = first && !failed ? cj__keras_move_channels(y, false) : y;
    return failed;
}

static cj_status build(cj__keras *k, cj__keras_layer *l, cj__keras_call *call, cj_node *const *x,
                       int n)
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
        const bool operator = call->number[0] || call->number[1] ||
                              cj__json_find(l->config, "newshape");
        cj_status failed = operator      ? cj__keras_build_operator(k, l, call, x, n)
                         : l->row->build ? l->row->build(k, l, call, x, n)
                                         : cj__keras_build_row(k, l, call, x, n);
        if (k->g->failed && (!failed || strncmp(cj_message(k->cj), "layer '", 7) != 0)) {
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

cj_status cj__keras_build(cj__keras *k, cj__keras_layer *l, cj__keras_call *call,
                          cj_node *const *x, int n)
{
    const cj__keras_layer *outer = k->top;
    if (!outer) k->top = l;
    cj_status failed = build(k, l, call, x, n);
    k->top = outer;
    return failed;
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
                    return cj_fail(k->cj, CJ_ERR_DATA,
                                   "the model's configuration: layers in an order that is no order "
                                   "at all");
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
