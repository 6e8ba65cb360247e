/* prepare.c: from what the data gives to what the model takes.
 *
 *     raw input -> cast -> one-hot of categorical columns -> (x - offset) * scale -> the model's
 * input
 *
 * Pictures (u8) are multiplied by 1/255. Numeric columns of tables are standardised by the mean and
 * deviation of the training data; a column that never changes is only shifted, and a model of
 * another program's file takes all as they are, as its weights do. One-hot needs three nodes
 * however many columns there are: every number of the expanded row is a copy of its column
 * (gather), and where the column is categorical it is compared with the category it stands for:
 *
 *     row [7.5, 2]   columns: numeric, categorical of 3
 *     gather 0 1 1 1  ->  7.5  2    2    2
 *     code   - 0 1 2  ->  7.5  2==0 2==1 2==2  =  7.5 0 0 1
 *
 * A category that was not seen in training (-1) is all zeros. */
#include "nn/model.h"

#include <string.h>

int64_t cj__columns_width(int columns, const cj_column *info)
{
    int64_t width = 0;
    for (int i = 0; i < columns; i++)
        width += info[i].kind == CJ_COLUMN_CATEGORICAL ? info[i].categories : 1;
    return width;
}

static bool is_categorical(const cj__preparation *p, int column)
{
    return p->column_info[column].kind == CJ_COLUMN_CATEGORICAL;
}

static bool has_categories(const cj__preparation *p)
{
    for (int i = 0; i < p->columns; i++)
        if (is_categorical(p, i)) return true;
    return false;
}

/* ---- Deciding -------------------------------------------------------------------------------- */

static cj_status copy_names(cj__arena *arena, int n, const char *const *names, const char ***out)
{
    *out = NULL;
    if (!names || n < 1) return CJ_OK;
    const char **copy = cj__arena_array(arena, (size_t)n, sizeof *copy);
    if (!copy) return arena->cj->status;
    for (int i = 0; i < n; i++)
        if (!(copy[i] = cj__arena_strdup(arena, names[i]))) return arena->cj->status;
    *out = copy;
    return CJ_OK;
}

static cj_status copy_columns(cj__arena *arena, const cj_field *field, const cj_column **out)
{
    cj_column *info = cj__arena_array(arena, (size_t)field->columns, sizeof *info);
    *out = info;
    if (!info) return arena->cj->status;
    for (int i = 0; i < field->columns; i++) {
        const cj_column *from = &field->column_info[i];
        const char **names;
        CJ__TRY(copy_names(arena, from->categories, from->category_names, &names));
        info[i] = (cj_column){cj__arena_strdup(arena, from->name), from->kind, from->categories,
                              names};
        if (!info[i].name) return arena->cj->status;
    }
    return CJ_OK;
}

/* "[28, 28, 1]" */
static const char *shape_text(cj__arena *arena, int rank, const int64_t *dims)
{
    char *text = cj__arena_strdup(arena, "[");
    for (int i = 0; text && i < rank; i++)
        text = cj__arena_printf(arena, "%s%s%lld", text, i ? ", " : "", (long long)dims[i]);
    return text ? cj__arena_printf(arena, "%s]", text) : NULL;
}

/* Are samples of this shape, once columns are expanded, what input `x` takes? */
static cj_status check_shape(cj_model *m, const cj_node *x, const cj__preparation *p,
                             const char *data)
{
    int64_t dims[CJ_RANK_MAX];
    memcpy(dims, p->shape, sizeof dims);
    if (p->columns) dims[0] = cj__columns_width(p->columns, p->column_info);
    bool same = x->type.rank == p->rank + 1;
    for (int i = 0; same && i < p->rank; i++) same = x->type.dim[i + 1] == dims[i];
    if (same) return CJ_OK;
    int categorical = 0;
    for (int i = 0; i < p->columns; i++) categorical += is_categorical(p, i);
    const char *takes = shape_text(&m->arena, x->type.rank - 1, x->type.dim + 1);
    const char *has = shape_text(&m->arena, p->rank, dims);
    if (!takes || !has) return m->cj->status;
    if (categorical)
        return cj_fail(
            m->cj, CJ_ERR_SHAPE,
            "input '%s' of the model takes samples %s, and the %d columns of '%s' are %s (%d "
            "categorical, one number a category)",
            x->name, takes, p->columns, data, has, categorical);
    return cj_fail(m->cj, CJ_ERR_SHAPE,
                   "input '%s' of the model takes samples %s, and '%s' has '%s' of %s", x->name,
                   takes, data, p->field, has);
}

/* offset and scale of a table from the statistics of its numeric columns. */
static cj_status standardise(cj_model *m, const cj_dataset *train, int number, cj__preparation *p)
{
    double *mean = cj__arena_array(&m->arena, (size_t)p->columns, sizeof *mean);
    double *deviation = cj__arena_array(&m->arena, (size_t)p->columns, sizeof *deviation);
    p->channels = cj__columns_width(p->columns, p->column_info);
    double *offset = cj__arena_array(&m->arena, (size_t)p->channels, sizeof *offset);
    double *scale = cj__arena_array(&m->arena, (size_t)p->channels, sizeof *scale);
    if (!mean || !deviation || !offset || !scale) return m->cj->status;
    CJ__TRY(cj_dataset_statistics(train, number, mean, deviation, NULL, NULL));
    int64_t at = 0;
    for (int i = 0; i < p->columns; i++) {
        int64_t width = is_categorical(p, i) ? p->column_info[i].categories : 1;
        for (int64_t k = 0; k < width; k++, at++) {
            offset[at] = is_categorical(p, i) ? 0 : mean[i];
            scale[at] = is_categorical(p, i) || deviation[i] == 0 ? 1 : 1 / deviation[i];
        }
    }
    p->offset = offset;
    p->scale = scale;
    return CJ_OK;
}

extern const cj_layer cj_layers_reshape, cj_layers_flatten;

/* Numbers of categories and bytes of texts are no measure of anything. Only their shape may change
 * before the layer that takes them; layers are in the order they were made in. */
static bool is_for_numbers(const cj_model *m, const cj_node *x)
{
    const cj__layers *layers = m->graph->layers;
    for (int i = 0; layers && i < layers->count; i++) {
        const cj__layer_record *r = &layers->items[i];
        for (int k = 0; k < r->n; k++)
            if (r->x[k] == x && r->row->whole_numbers) return true;
        if (r->x[0] == x && (r->row == &cj_layers_reshape || r->row == &cj_layers_flatten))
            x = r->y;
    }
    return false;
}

static cj_status decide(cj_model *m, const cj_dataset *train, int number, bool normalize,
                        const cj_node *x, cj__preparation *out)
{
    const cj_field *field = cj_dataset_field(train, number);
    cj__preparation p = {.known = true,
                         .field = cj__arena_strdup(&m->arena, field->name),
                         .dtype = field->dtype,
                         .rank = field->rank,
                         .channels = 1,
                         .columns = field->columns,
                         .fit = field->fit};
    if (!p.field) return m->cj->status;
    memcpy(p.shape, field->shape, sizeof p.shape);
    if (p.columns) CJ__TRY(copy_columns(&m->arena, field, &p.column_info));
    CJ__TRY(check_shape(m, x, &p, cj_dataset_name(train)));
    if (normalize && p.columns && !m->imported) CJ__TRY(standardise(m, train, number, &p));
    else if (normalize && p.dtype == CJ_U8 && !is_for_numbers(m, x)) {
        if (!(p.scale = cj__arena_array(&m->arena, 1, sizeof *p.scale))) return m->cj->status;
        p.scale[0] = 1.0 / 255;
    }
    *out = p;
    return CJ_OK;
}

/* ---- Agreeing -------------------------------------------------------------------------------- */

static cj_status agree_names(cj_model *m, const char *what, int n, const char *const *known,
                             const char *const *found)
{
    if (!what) return m->cj->status;
    for (int i = 0; known && found && i < n; i++)
        if (strcmp(known[i], found[i]))
            return cj_fail(m->cj, CJ_ERR_DATA,
                           "%s %d is '%.100s' in the model and '%.100s' in the data", what, i,
                           known[i], found[i]);
    return CJ_OK;
}

static cj_status agree_columns(cj_model *m, const cj__preparation *p, const cj_field *field)
{
    if (p->columns != field->columns)
        return cj_fail(m->cj, CJ_ERR_DATA, "the model was made for %d columns, and the data has %d",
                       p->columns, field->columns);
    for (int i = 0; i < p->columns; i++) {
        const cj_column *known = &p->column_info[i], *found = &field->column_info[i];
        if (strcmp(known->name, found->name) || known->kind != found->kind ||
            known->categories != found->categories)
            return cj_fail(m->cj, CJ_ERR_DATA,
                           "column %d is '%.60s' (%s, %d categories) in the model and '%.60s' (%s, "
                           "%d categories) in the data",
                           i, known->name, is_categorical(p, i) ? "categorical" : "numeric",
                           known->categories, found->name,
                           found->kind == CJ_COLUMN_CATEGORICAL ? "categorical" : "numeric",
                           found->categories);
        CJ__TRY(agree_names(m,
                            cj__arena_printf(&m->arena, "category of column '%.60s'", known->name),
                            known->categories, known->category_names, found->category_names));
    }
    return CJ_OK;
}

/* Data for a model that was prepared before is of the same kind. */
static cj_status agree(cj_model *m, const cj_dataset *data, const cj_field *field,
                       const cj__preparation *p, const cj_node *x)
{
    if (p->dtype != field->dtype)
        return cj_fail(m->cj, CJ_ERR_TYPE,
                       "input '%s' of the model was prepared for %s, and '%s' has %s", x->name,
                       cj_dtype_info(p->dtype)->name, cj_dataset_name(data),
                       cj_dtype_info(field->dtype)->name);
    if (p->rank != field->rank ||
        memcmp(p->shape, field->shape, (size_t)p->rank * sizeof *p->shape)) {
        if (p->columns && field->columns) return agree_columns(m, p, field);
        const char *takes = shape_text(&m->arena, p->rank, p->shape),
                   *has = shape_text(&m->arena, field->rank, field->shape);
        if (!takes || !has) return m->cj->status;
        return cj_fail(m->cj, CJ_ERR_SHAPE,
                       "input '%s' of the model takes samples %s, and '%s' has '%s' of %s", x->name,
                       takes, cj_dataset_name(data), field->name, has);
    }
    return p->column_info && field->columns ? agree_columns(m, p, field) : CJ_OK;
}

/* The field that the model, or its first output, is named after; else the first of the targets. */
static const cj_field *target_of(const cj_model *m, const cj_dataset *data)
{
    const char *name = m->target                  ? m->target
                       : m->graph->outputs.count ? m->graph->outputs.items[0].name
                                                  : "";
    const cj_field *first = NULL;
    for (int i = cj_dataset_fields(data) - 1; i >= 0; i--) {
        const cj_field *field = cj_dataset_field(data, i);
        if (field->role != CJ_FIELD_TARGET) continue;
        if (!first || strcmp(first->name, name) != 0) first = field;
    }
    return first;
}

static cj_status prepare_target(cj_model *m, const cj_field *field)
{
    bool first = !m->target;
    if (!first && m->classes && field->classes > m->classes)
        return cj_fail(m->cj, CJ_ERR_DATA, "the model knows %d classes, and the data has %d",
                       m->classes, field->classes);
    if (!first) return agree_names(m, "class", field->classes, m->class_names, field->class_names);
    m->target = cj__arena_strdup(&m->arena, field->name);
    m->target_kind = field->kind;
    m->classes = field->classes;
    return m->target ? copy_names(&m->arena, field->classes, field->class_names, &m->class_names)
                     : m->cj->status;
}

/* ---- Fields and inputs ----------------------------------------------------------------------- */

/* The field for input x: by the name it is known under, by the input's name, or the only one. */
static cj_status find_field(cj_model *m, const cj_dataset *data, const cj_node *x,
                            const cj__preparation *p, int *number)
{
    int inputs = 0, only = -1;
    for (int i = 0; i < cj_dataset_fields(data); i++)
        if (cj_dataset_field(data, i)->role == CJ_FIELD_INPUT) inputs++, only = i;
    *number = cj_dataset_field_find(data, p->known && p->field ? p->field : x->name);
    if (*number < 0) *number = cj_dataset_field_find(data, x->name);
    if (*number >= 0 && cj_dataset_field(data, *number)->role == CJ_FIELD_INPUT) return CJ_OK;
    *number = only;
    if (inputs == 1 && m->graph->inputs.count == 1) return CJ_OK;
    return cj_fail(m->cj, CJ_ERR_NOT_FOUND, "'%s' has no field for input '%s' of the model",
                   cj_dataset_name(data), x->name);
}

cj_status cj__model_prepare(cj_model *m, const cj_dataset *train, const char *mode)
{
    CJ__TRY(m->graph->failed);
    bool none = mode && !strcmp(mode, "none");
    if (mode && !none && strcmp(mode, "auto"))
        return cj_fail(m->cj, CJ_ERR_ARGUMENT, "normalize='%.60s' is neither auto nor none", mode);
    if (!m->graph->inputs.count) return cj_fail(m->cj, CJ_ERR_STATE, "the model has no input");
    for (int i = 0; i < m->graph->inputs.count; i++) {
        const cj_node *x = m->graph->inputs.items[i].node;
        cj__preparation *p = &m->preparation[i];
        int number;
        CJ__TRY(find_field(m, train, x, p, &number));
        if (p->known) CJ__TRY(agree(m, train, cj_dataset_field(train, number), p, x));
        else CJ__TRY(decide(m, train, number, !none, x, p));
    }
    const cj_field *target = target_of(m, train);
    return target ? prepare_target(m, target) : CJ_OK;
}

/* ---- Building -------------------------------------------------------------------------------- */

static cj_node *constant_vector(cj_graph *g, cj_dtype dtype, int64_t n, const double *values)
{
    cj_tensor *t = cj_tensor_new(g->cj, dtype, 1, &n);
    void *v = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    if (!v) {
        cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory");
        cj_tensor_free(t);
        return NULL;
    }
    for (int64_t i = 0; i < n; i++) cj_store_f64(dtype, v, (size_t)i, values[i]);
    cj_tensor_unmap(t);
    cj_node *node = cj_constant(g, t);
    cj_tensor_free(t);
    return node;
}

/* [batch, columns] -> [batch, width] */
static cj_node *expand_columns(cj_graph *g, cj_node *x, const cj__preparation *p)
{
    int64_t width = cj__columns_width(p->columns, p->column_info), at = 0;
    double *numbers = cj__arena_array(&g->arena, 3 * (size_t)width, sizeof *numbers);
    if (!numbers) return cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory");
    double *column = numbers, *code = numbers + width, *categorical = numbers + 2 * width;
    for (int i = 0; i < p->columns; i++) {
        int64_t n = is_categorical(p, i) ? p->column_info[i].categories : 1;
        for (int64_t k = 0; k < n; k++, at++)
            column[at] = i, code[at] = (double)k, categorical[at] = is_categorical(p, i);
    }
    x = cj_gather(x, constant_vector(g, CJ_I64, width, column), 1);
    if (!x) return NULL;
    cj_node *hit = cj_cast(cj_equal(x, constant_vector(g, x->type.dtype, width, code)),
                           x->type.dtype);
    return cj_where(constant_vector(g, CJ_BOOL, width, categorical), hit, x);
}

/* A number, or one a channel. */
static cj_node *coefficients(cj_graph *g, cj_dtype dtype, const cj__preparation *p,
                             const double *values)
{
    return p->channels == 1 ? cj_scalar(g, dtype, values[0])
                            : constant_vector(g, dtype, p->channels, values);
}

/* Raw samples and, from them, the model's input. */
/* What a prepared input is called, so that it is found in a model that was saved. */
static const char *prepared_name(cj__arena *arena, const char *input)
{
    return cj__arena_printf(arena, "%s/prepared", input);
}

static cj_node *prepare_input(cj_graph *g, const cj_model *m, int i, cj_node **raw)
{
    static const cj__preparation none; /* of a placeholder that is no cj_input */
    const cj__preparation *p = i < m->n_preparations ? &m->preparation[i] : &none;
    const cj_node *x = m->graph->inputs.items[i].node;
    cj_dim dims[CJ_RANK_MAX] = {cj_symbol(g, "batch")};
    if (!p->known || p->in_graph) {
        for (int k = 0; k < x->type.rank; k++)
            dims[k] = cj__dim_translate(m->graph, g, NULL, x->type.dim[k]);
        return *raw = cj_placeholder(g, x->name, x->type.dtype, x->type.rank, dims);
    }
    if (x->type.dim[0] < 0) dims[0] = cj__dim_translate(m->graph, g, NULL, x->type.dim[0]);
    else dims[0] = x->type.dim[0];
    for (int k = 0; k < p->rank; k++) dims[k + 1] = p->shape[k];
    *raw = cj_placeholder(g, p->field, p->dtype, p->rank + 1, dims);
    cj_node *y = *raw ? cj_cast(*raw, x->type.dtype) : NULL;
    if (y && has_categories(p)) y = expand_columns(g, y, p);
    if (y && p->offset) y = cj_sub(y, coefficients(g, x->type.dtype, p, p->offset));
    if (y && p->scale) y = cj_mul(y, coefficients(g, x->type.dtype, p, p->scale));
    if (y && p->channels_first) y = cj_transpose(y, (const int64_t[]){0, 3, 1, 2});
    if (y && y != *raw) cj_node_set_name(y, prepared_name(&g->arena, p->field));
    return y;
}

static cj_node *copy_of(const cj__layers *layers, const cj_node *node)
{
    if (node->call->id >= layers->n_copies) return NULL;
    cj_node *copy = layers->copies[node->call->id];
    return copy && node->call->n_out > 1 ? cj_node_output(copy, node->output) : copy;
}

/* Copies the calls of the model behind its inputs, which stand in layers->copies already. */
static bool copy_calls(cj_graph *g, const cj_graph *model, cj__layers *layers)
{
    for (int i = 0; i < model->n_calls; i++) {
        const cj_call *call = model->calls[i];
        if (layers->copies[i]) continue;
        cj_node **in = cj__arena_array(&g->arena, (size_t)call->n_in + 1, sizeof *in);
        if (!in) return cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory"), false;
        for (int k = 0; k < call->n_in; k++) in[k] = copy_of(layers, call->in[k]);
        cj_node *copy = layers->copies[i] = cj__call_clone(g, call, in);
        if (!copy) return false;
        for (int k = 0; k < call->n_out; k++)
            if (call->out[k].name && !copy->call->out[k].name)
                cj_node_set_name(&copy->call->out[k], call->out[k].name);
    }
    g->where = g->layer = NULL;
    return !g->failed;
}

/* Everything of the model but its calls: parameters, random numbers, losses, outputs. */
static cj_status copy_lists(cj_graph *g, cj_model *m, cj__layers *layers, cj_node **outputs)
{
    const cj_graph *model = m->graph;
    const cj__layers *from = model->layers;
    for (int i = 0; i < model->parameters.count; i++) {
        cj_node *copy = copy_of(layers, model->parameters.items[i].node);
        CJ__TRY(cj__nodes_add(g, &g->parameters, copy->name, copy));
    }
    if (model->random_key) g->random_key = copy_of(layers, model->random_key);
    g->next_stream = model->next_stream;
    cj_layer_build b = {.graph = g, .name = "model"};
    for (int i = 0; i < from->n_losses; i++) cj_layer_loss(&b, copy_of(layers, from->losses[i]));
    for (const cj__rule *rule = from->rules; rule; rule = rule->next)
        cj__rule_copy(&b, rule, copy_of(layers, rule->parameter));
    for (int i = 0; i < from->n_updates; i++)
        cj__layer_add_update(&b, copy_of(layers, from->updates[i].variable),
                             copy_of(layers, from->updates[i].value));
    for (int i = 0; i < model->outputs.count; i++) {
        cj_node *copy = copy_of(layers, model->outputs.items[i].node);
        cj_graph_output(g, model->outputs.items[i].name, copy);
        if (outputs) outputs[i] = copy;
    }
    return g->failed;
}

cj_graph *cj__model_assemble(cj_model *m, cj_node **raw, cj_node **outputs)
{
    if (m->graph->failed) {
        cj_fail(m->cj, m->graph->failed, "%s",
                m->graph->message ? m->graph->message : "the model has failed");
        return NULL;
    }
    if (!m->graph->outputs.count) {
        cj_fail(m->cj, CJ_ERR_STATE, "the model has no output: cj_output gives it one");
        return NULL;
    }
    const cj__layers *from = m->graph->layers;
    cj_graph *g = cj_graph_new(m->cj);
    cj__layers *layers = g ? cj__layers_of(g) : NULL;
    if (!layers) goto failed;
    g->shared_store = cj_graph_store(m->graph);
    layers->seed = from->seed;
    layers->dtype = from->dtype;
    layers->model = m;
    layers->copies = cj__arena_array(&g->arena, (size_t)m->graph->n_calls + 1,
                                     sizeof *layers->copies);
    if (!g->shared_store || !layers->copies) goto failed;
    layers->n_copies = m->graph->n_calls;
    for (int i = 0; i < m->graph->inputs.count; i++) {
        cj_node *placeholder, *x = prepare_input(g, m, i, &placeholder);
        if (!x) goto failed;
        if (raw) raw[i] = placeholder;
        layers->copies[m->graph->inputs.items[i].node->call->id] = x;
    }
    if (copy_calls(g, m->graph, layers) && !copy_lists(g, m, layers, outputs)) return g;
failed:
    cj_graph_free(g);
    return NULL;
}

const cj_node *cj__model_prepared(cj_model *m)
{
    const cj_graph *g = m->graph;
    const cj_node *x = g->inputs.items[0].node;
    const cj__preparation *p = m->n_preparations ? &m->preparation[0] : NULL;
    const char *name = p && p->in_graph ? prepared_name(&m->arena, x->name) : NULL;
    for (int i = 0; name && i < g->n_calls; i++)
        for (int k = 0; k < g->calls[i]->n_out; k++)
            if (g->calls[i]->out[k].name && !strcmp(g->calls[i]->out[k].name, name))
                return &g->calls[i]->out[k];
    return x;
}

cj_node *cj__model_node_in(cj_model *m, cj_graph *assembled, const cj_node *node)
{
    const cj__layers *layers = assembled->layers;
    if (!layers || layers->model != m || !node || cj_node_graph(node) != m->graph) return NULL;
    return copy_of(layers, node);
}
