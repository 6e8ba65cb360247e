/* layer.c: how any layer is made: options completed and checked, a name found, the row's builder
 * called, and what it made written down for summary, text and saved files.
 *
 *     x, row, options -> name "dense_1" -> row->build: parameters "dense_1/kernel", nodes,
 *                        losses -> mask -> record
 *
 * Layers live in a plain graph as well: then with seed 0 and f32, for loops a program writes
 * itself. */
#include "nn/model.h"

#include "base/registry.h"
#include "base/size.h"
#include "tensor/tensor.h"

#include <string.h>

static const cj_option no_options[] = {CJ_OPTION_END};

static const cj_option *table_of(const cj_layer *row)
{
    return row->options ? row->options : no_options;
}

/* ---- Options --------------------------------------------------------------------------------- */

/* A number whose initial value is out of its own range must be given. */
static bool is_missing(const cj_option *o, const void *options)
{
    const char *field = (const char *)options + o->offset;
    const bool whole = o->type == CJ_OPTION_TYPE_INT || o->type == CJ_OPTION_TYPE_SIZES;
    if (!whole && o->type != CJ_OPTION_TYPE_FLOAT) return false;
    if (o->min == 0 && o->max == 0) return false; /* no range */
    if (o->initial >= o->min && o->initial <= o->max) return false;
    return whole ? *(const int64_t *)field == (int64_t)o->initial
                 : *(const double *)field == o->initial;
}

static cj_status check_options(cj_graph *g, const cj_layer *row, const void *options)
{
    for (const cj_option *o = cj_option_row(table_of(row)); o->type; o = cj_option_row(o + 1))
        if (is_missing(o, options))
            return cj__graph_fail(g, row->name, CJ_ERR_ARGUMENT, "%s is required", o->name);
    cj_status failed = cj__options_check(g->cj, row->name, table_of(row), options);
    return failed ? cj__graph_fail(g, NULL, failed, "%s", cj_message(g->cj)) : CJ_OK;
}

/* ---- Building -------------------------------------------------------------------------------- */

static cj_status check_inputs(cj_graph *g, const cj_layer *row, cj_node *const *x, int n)
{
    int least = row->inputs_min ? row->inputs_min : 2;
    if (row->inputs < 0 && n < least)
        return cj__graph_fail(g, row->name, CJ_ERR_ARGUMENT, "it takes %d or more inputs, got %d",
                              least, n);
    if (row->inputs >= 0 && n != row->inputs)
        return cj__graph_fail(g, row->name, CJ_ERR_ARGUMENT, "it takes %d input%s, got %d",
                              row->inputs, row->inputs == 1 ? "" : "s", n);
    for (int i = 0; i < n; i++) {
        if (cj__is_zero(x[i]))
            return cj__graph_fail(g, row->name, CJ_ERR_ARGUMENT,
                                  "input %d is cj_zero, which has no shape", i);
        if (x[i]->call->graph != g)
            return cj__graph_fail(g, row->name, CJ_ERR_ARGUMENT,
                                  "input %d belongs to another graph", i);
    }
    return CJ_OK;
}

static cj_status add_record(cj_graph *g, cj__layers *layers, const cj__layer_record *record)
{
    if (layers->count == layers->capacity) {
        int capacity = layers->capacity ? 2 * layers->capacity : 16;
        cj__layer_record *items = cj__realloc(g->cj, layers->items,
                                              (size_t)layers->capacity * sizeof *items,
                                              (size_t)capacity * sizeof *items);
        if (!items) return cj__graph_fail(g, record->row->name, CJ_ERR_MEMORY, "out of memory");
        layers->items = items;
        layers->capacity = capacity;
    }
    layers->items[layers->count++] = *record;
    return CJ_OK;
}

cj_node *cj__layer_add(cj_node *const *x, int n, const cj_layer *row, const void *options)
{
    for (int i = 0; i < n; i++)
        if (!x[i]) return NULL;
    cj_graph *g = cj__graph_of(x, n);
    cj__layers *layers = g && !g->failed ? cj__layers_of(g) : NULL;
    if (!layers || check_inputs(g, row, x, n) || check_options(g, row, options)) return NULL;
    void *copy = cj__arena_alloc(&g->arena, row->options_size ? row->options_size : 1);
    cj_node **inputs = cj__arena_copy(&g->arena, x, (size_t)n * sizeof *x);
    if (!copy || !inputs || cj__options_copy(&g->arena, table_of(row), copy, options))
        return cj__graph_fail(g, row->name, CJ_ERR_MEMORY, "out of memory"), NULL;
    cj__layer_record record = {.row = row,
                               .scoped = layers->scope != NULL,
                               .entry = layers->scope_entry,
                               .options = copy,
                               .x = inputs,
                               .n = n,
                               .inner = g->layer != NULL,
                               .first_parameter = g->parameters.count};
    bool shared = false;
    if (!(record.name = cj__layer_name(g, layers, row, copy, &shared))) return NULL;
    int64_t state = layers->state_elements;
    const char *outer = g->layer; /* a layer inside a layer belongs to that */
    cj__graph_layer(g, outer ? outer : record.name);
    cj_layer_build b = {
        .graph = g, .name = record.name, .x = inputs, .n = n, .options = copy, .shared = shared};
    record.y = row->build(&b);
    if (!g->failed && (!record.y || cj_node_graph(record.y) != g))
        cj__graph_fail(g, record.name, CJ_ERR_STATE,
                       "the layer's builder gave no node of its graph");
    if (!g->failed) record.y = cj__mask_result(row, &b, record.y);
    g->layer = outer;
    if (g->failed) return NULL;
    record.n_parameters = g->parameters.count - record.first_parameter;
    record.state_elements = layers->state_elements - state;
    if (!record.y->name) cj_node_set_name(record.y, record.name);
    return add_record(g, layers, &record) ? NULL : record.y;
}

cj_node *cj__layer_keywords(cj_node *const *x, int n, const cj_layer *row, const void *options)
{
    for (int i = 0; i < n; i++)
        if (!x[i]) return NULL;
    cj_graph *g = cj__graph_of(x, n);
    if (!g || g->failed) return NULL;
    void *complete = cj__arena_alloc(&g->arena, row->options_size);
    if (!complete) return cj__graph_fail(g, row->name, CJ_ERR_MEMORY, "out of memory"), NULL;
    if (!cj__graph_opts(g, row->name, complete, row->options_size, options)) return NULL;
    cj__options_default(table_of(row), complete);
    return cj__layer_add(x, n, row, complete);
}

/* ---- What builders make ---------------------------------------------------------------------- */

static const char *full_name(cj_layer_build *b, const char *name)
{
    const char *full = cj__arena_printf(&b->graph->arena, "%s/%s", b->name, name);
    if (!full) cj__graph_fail(b->graph, b->name, CJ_ERR_MEMORY, "out of memory");
    return full;
}

/* Parameters are of the input's dtype when that is a float, else of the model's. */
static cj_dtype parameter_dtype(cj_layer_build *b)
{
    cj_dtype dtype = cj_node_dtype(b->x[0]);
    return cj_dtype_info(dtype)->kind == CJ_KIND_FLOAT ? dtype : cj__layers_of(b->graph)->dtype;
}

static cj_tensor *new_tensor(cj_layer_build *b, const char *name, int rank, const int64_t *dims)
{
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0) {
            cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                           "dimension %d of '%s' is not a known number", i, name);
            return NULL;
        }
    cj__layers *layers = cj__layers_of(b->graph);
    int64_t count;
    if (layers->bounded && (!cj__count(rank, dims, &count) || count > layers->room)) {
        cj__graph_fail(b->graph, b->name, CJ_ERR_LIMIT,
                       "'%s': the model has more weights than its file", name);
        return NULL;
    }
    if (layers->bounded) layers->room -= count;
    cj_tensor *t = cj_tensor_new(b->graph->cj, parameter_dtype(b), rank, dims);
    if (!t)
        cj__graph_fail(b->graph, b->name, cj_last_status(b->graph->cj), "'%s': %s", name,
                       cj_message(b->graph->cj));
    return t;
}

/* The parameter or state of a layer that is shared. */
static cj_node *made_before(cj_layer_build *b, const char *full, int rank, const int64_t *dims)
{
    cj_graph *g = b->graph;
    cj_node *there = cj_find_variable(g, full);
    bool same = there && there->type.dtype == parameter_dtype(b) && there->type.rank == rank;
    for (int i = 0; same && i < rank; i++) same = there->type.dim[i] == dims[i];
    if (same) return there;
    cj__shape_text now, before;
    return cj__graph_fail(g, b->name, CJ_ERR_SHAPE,
                          "it is shared with what was made before, but its '%s' is %s here and %s "
                          "there",
                          full + strlen(b->name) + 1, cj__shape_string(&now, rank, dims),
                          there ? cj__shape_string(&before, there->type.rank, there->type.dim)
                                : "none"),
           NULL;
}

cj_node *cj_layer_parameter(cj_layer_build *b, const char *name, int rank, const int64_t *dims,
                            const char *initializer, int64_t fan_in, int64_t fan_out,
                            const char *regularizer)
{
    cj_graph *g = b->graph;
    if (g->failed) return NULL;
    cj__named named;
    const char *full = full_name(b, name);
    if (!full) return NULL;
    if (b->shared) return made_before(b, full, rank, dims);
    if (cj__layers_of(g)->bounded) initializer = "zeros";
    cj_status failed = cj__named_parse(&g->arena, g->cj, CJ__ROW_INITIALIZER, initializer, &named);
    if (failed) return cj__graph_fail(g, full, failed, "%s", cj_message(g->cj)), NULL;
    cj_tensor *t = new_tensor(b, name, rank, dims);
    if (!t) return NULL;
    cj_initializer_target at = {.seed = cj__layers_of(g)->seed,
                                .stream = (uint32_t)g->parameters.count,
                                .fan_in = fan_in,
                                .fan_out = fan_out};
    if (!at.fan_out) at.fan_out = rank ? dims[rank - 1] : 1;
    if (!at.fan_in)
        at.fan_in = at.fan_out && rank > 1 ? cj_tensor_count(t) / at.fan_out : at.fan_out;
    failed = ((const cj_initializer *)named.row)->fill(t, &at, named.options);
    cj_node *parameter = NULL;
    if (failed) cj__graph_fail(g, b->name, failed, "'%s': %s", name, cj_message(g->cj));
    else parameter = cj_parameter(g, full, t);
    cj_tensor_free(t);
    if (parameter && regularizer && *regularizer) {
        cj_layer_loss(b, cj__regularizer(parameter, regularizer));
        cj__rule_add(g, parameter, CJ__ROW_REGULARIZER, regularizer);
    }
    return g->failed ? NULL : parameter;
}

cj_node *cj_layer_state(cj_layer_build *b, const char *name, int rank, const int64_t *dims,
                        double value)
{
    cj_graph *g = b->graph;
    if (g->failed) return NULL;
    const char *full = full_name(b, name);
    if (full && b->shared) return made_before(b, full, rank, dims);
    cj_tensor *t = full ? new_tensor(b, name, rank, dims) : NULL;
    if (!t) return NULL;
    void *v = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; v && i < cj_tensor_count(t); i++)
        cj_store_f64(cj_tensor_dtype(t), v, (size_t)i, value);
    cj_tensor_unmap(t);
    cj_node *state = cj_variable(g, full, t);
    if (state) cj__layers_of(g)->state_elements += cj_tensor_count(t);
    cj_tensor_free(t);
    return state;
}

/* A list with room for more; NULL (the list stays) when there is no memory. */
static void *grown(cj_layer_build *b, void *list, int *capacity, size_t size)
{
    int more = *capacity ? 2 * *capacity : 8;
    void *items = cj__realloc(b->graph->cj, list, (size_t)*capacity * size, (size_t)more * size);
    if (items) *capacity = more;
    else cj__graph_fail(b->graph, b->name, CJ_ERR_MEMORY, "out of memory");
    return items;
}

void cj_layer_loss(cj_layer_build *b, cj_node *loss)
{
    cj_graph *g = b->graph;
    if (g->failed || !loss || cj__is_zero(loss)) return;
    cj__layers *layers = cj__layers_of(g);
    if (loss->type.rank != 0 || cj_dtype_info(loss->type.dtype)->kind != CJ_KIND_FLOAT) {
        cj__graph_fail(g, b->name, CJ_ERR_SHAPE, "a loss of a layer is a scalar, not of rank %d",
                       loss->type.rank);
        return;
    }
    if (layers->n_losses == layers->losses_capacity) {
        cj_node **more = grown(b, layers->losses, &layers->losses_capacity, sizeof *more);
        if (!more) return;
        layers->losses = more;
    }
    layers->losses[layers->n_losses++] = loss;
}

/* State of a layer that is shared takes the mean of what its uses give it. */
static bool join_update(const cj_layer_build *b, cj__layers *layers, cj_node *variable,
                        cj_node *value)
{
    int uses = 1; /* with this one */
    if (!b->shared) return false;
    for (int i = 0; i < layers->count; i++) uses += !strcmp(layers->items[i].name, b->name);
    for (int i = 0; i < layers->n_updates; i++) {
        cj_update *u = &layers->updates[i];
        if (u->variable != variable) continue;
        u->value = cj_add(u->value, cj_scale(cj_sub(value, u->value), 1 / (double)uses));
        return true;
    }
    return false;
}

void cj__layer_add_update(cj_layer_build *b, cj_node *variable, cj_node *value)
{
    cj__layers *layers = cj__layers_of(b->graph);
    if (!layers || !variable || !value || join_update(b, layers, variable, value)) return;
    if (layers->n_updates == layers->updates_capacity) {
        cj_update *more = grown(b, layers->updates, &layers->updates_capacity, sizeof *more);
        if (!more) return;
        layers->updates = more;
    }
    layers->updates[layers->n_updates++] = (cj_update){variable, value};
}

/* Outside training the new value is the old one, so that a program that was compiled with updates
 * but not for training leaves the state as it was. */
void cj_layer_update(cj_layer_build *b, cj_node *variable, cj_node *value)
{
    cj_graph *g = b->graph;
    if (g->failed || !variable || !value) return;
    if (cj__is_zero(variable) || variable->call->op != &cj_op_variable) {
        cj__graph_fail(g, b->name, CJ_ERR_ARGUMENT, "what a layer updates is state of its own "
                                                    "(cj_layer_state)");
        return;
    }
    value = cj_zero_as(value, variable);
    if (value && !cj__type_equal(&variable->type, &value->type)) {
        cj__graph_fail(g, b->name, CJ_ERR_SHAPE, "the new value of '%s' is of another type",
                       variable->name);
        return;
    }
    cj__layer_add_update(b, variable, cj_where(cj_training(g), value, variable));
}

cj_node *cj__layer_float(cj_layer_build *b, cj_node *x)
{
    return cj_dtype_info(cj_node_dtype(x))->kind == CJ_KIND_FLOAT
               ? x
               : cj_cast(x, cj__layers_of(b->graph)->dtype);
}

cj_node *cj__layer_activate(cj_layer_build *b, cj_node *y, const char *function)
{
    if (!y || !function || !*function) return y;
    cj_graph *g = b->graph;
    cj__named named;
    cj_status failed = cj__named_parse(&g->arena, g->cj, CJ__ROW_ACTIVATION, function, &named);
    if (failed) return cj__graph_fail(g, b->name, failed, "%s", cj_message(g->cj)), NULL;
    return ((const cj_activation_row *)named.row)->build(y, named.options);
}
