/* import.c: ONNX nodes as a graph.
 *
 * Every name of the file becomes a source: an initializer, a node of our graph, known integers, or
 * several of these. Nodes are read in the order of the file, which ONNX wants sorted, so a cycle
 * shows as a name that nothing before has made. Sources become nodes only when something asks for
 * one: a shape that is only reshaped to leaves no calls behind.
 *
 * Float initializers become parameters, other ones constants; but a file of ours lists which are
 * parameters and which state, and everything else is constant. */
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "format/onnx/map.h"
#include "format/onnx/tensor.h"
#include "graph/ops/map.h"
#include "tensor/tensor.h"

/* ---- Failing --------------------------------------------------------------------------------- */

static cj_status no_memory(cj__onnx_reader *r)
{
    if (!r->failed) r->failed = cj_last_status(r->cj) ? cj_last_status(r->cj) : CJ_ERR_MEMORY;
    return r->failed;
}

/* How a node is called for people: by its name, or else by its first output. */
static const char *shown_name(const cj__onnx_node *node, char name[CJ__SLICE_SHOWN])
{
    cj__slice shown = node->name;
    if (!shown.size && node->output.count) shown = node->output.items[0];
    return cj__slice_show(shown, name);
}

/* "node 'dense/MatMul' (MatMul): " before the message there is. */
static void name_node(cj__onnx_reader *r)
{
    char name[CJ__SLICE_SHOWN], op[CJ__SLICE_SHOWN];
    const cj__onnx_node *node = r->node;
    if (!node) return;
    cj__prefix(r->cj, r->failed, "node '%s' (%s)", shown_name(node, name),
               cj__slice_show(node->op_type, op));
}

void cj__onnx_fail(cj__onnx_reader *r, cj_status status, const char *format, ...)
{
    if (r->failed) return;
    if (r->g && r->g->failed) return; /* said already, by a builder */
    char what[512];
    va_list args;
    va_start(args, format);
    cj__vformat(what, sizeof(what), format, args);
    va_end(args);
    r->failed = cj_fail(r->cj, status, "%s", what);
    name_node(r);
}

static char *string_of(cj__onnx_reader *r, cj__slice slice, const char *what)
{
    char *text = NULL;
    if (r->failed) return NULL;
    if (!slice.at) slice = cj__slice_of("");
    r->failed = cj__slice_string(r->arena, slice, what, &text);
    if (r->failed) name_node(r);
    return text;
}

/* ---- Sources --------------------------------------------------------------------------------- */

static cj__onnx_source *declare(cj__onnx_reader *r, cj__slice slice, const char *what)
{
    char *name = string_of(r, slice, what);
    if (!name) return NULL;
    if (!*name) return cj__onnx_fail(r, CJ_ERR_DATA, "%s has no name", what), NULL;
    if (cj__names_get(&r->level->values, name))
        return cj__onnx_fail(r, CJ_ERR_DATA, "the name '%s' is given twice", name), NULL;
    cj__onnx_source *source = cj__arena_alloc(r->arena, sizeof(*source));
    if (!source || !cj__names_put(&r->level->values, name, source)) return no_memory(r), NULL;
    source->name = name;
    return source;
}

bool cj__onnx_has(const cj__onnx_reader *r, size_t i)
{
    return i < r->node->input.count && r->node->input.items[i].size > 0;
}

bool cj__onnx_wants(const cj__onnx_reader *r, size_t k)
{
    return k < r->node->output.count && r->node->output.items[k].size > 0;
}

cj__onnx_source *cj__onnx_source_in(cj__onnx_reader *r, size_t i)
{
    if (r->failed) return NULL;
    if (!cj__onnx_has(r, i)) return cj__onnx_fail(r, CJ_ERR_DATA, "it has no operand %zu", i), NULL;
    char *name = string_of(r, r->node->input.items[i], "an operand's name");
    if (!name) return NULL;
    cj__onnx_source *source = cj__names_get(&r->level->values, name);
    if (source) return source;
    cj__onnx_fail(r, CJ_ERR_DATA,
                  "it uses '%s', which is no input and no result of a node before it", name);
    return NULL;
}

cj_tensor *cj__onnx_decode(cj__onnx_reader *r, const cj__onnx_tensor *from)
{
    cj_tensor *t;
    if (r->failed) return NULL;
    if (r->n_tensors == r->tensors_capacity) {
        size_t capacity = r->tensors_capacity ? 2 * r->tensors_capacity : 32;
        cj_tensor **grown = cj__arena_array(r->arena, capacity, sizeof(cj_tensor *));
        if (!grown) return no_memory(r), NULL;
        if (r->n_tensors) memcpy(grown, r->tensors, r->n_tensors * sizeof(cj_tensor *));
        r->tensors = grown;
        r->tensors_capacity = capacity;
    }
    if ((r->failed = cj__onnx_tensor_decode(r->cj, from, r->folder, &t))) return name_node(r), NULL;
    return r->tensors[r->n_tensors++] = t;
}

static cj_tensor *tensor_of(cj__onnx_reader *r, cj__onnx_source *source)
{
    if (!source->tensor && source->initializer)
        source->tensor = cj__onnx_decode(r, source->initializer);
    return source->tensor;
}

const cj_tensor *cj__onnx_tensor_in(cj__onnx_reader *r, size_t i)
{
    cj__onnx_source *source = cj__onnx_source_in(r, i);
    return source ? tensor_of(r, source) : NULL;
}

/* A parameter, a variable or a constant, as the head of this file says. */
static cj_node *node_of_tensor(cj__onnx_reader *r, const cj__onnx_source *source, cj_tensor *t)
{
    bool is_float = cj_dtype_info(t->dtype)->kind == CJ_KIND_FLOAT, main_graph = !r->level->outer;
    bool listed = r->parameters || r->variables;
    bool trained = r->parameters ? cj__names_get(r->parameters, source->name) != NULL
                                 : is_float && t->rank > 0;
    if (!main_graph || !source->is_weight) return cj_constant(r->g, t);
    if (listed && r->variables && cj__names_get(r->variables, source->name))
        return cj_variable(r->g, source->name, t);
    return trained && is_float ? cj_parameter(r->g, source->name, t) : cj_constant(r->g, t);
}

cj_node *cj__onnx_sizes_node(cj__onnx_reader *r, const cj__onnx_sizes *sizes)
{
    cj_node *parts[CJ__ONNX_SIZES_MAX];
    bool numbers = true;
    for (int i = 0; i < sizes->n; i++) numbers = numbers && !sizes->at[i].symbolic;
    if (numbers) {
        int64_t n = sizes->n;
        cj_tensor *t = cj_tensor_new(r->cj, sizes->dtype, sizes->rank, &n);
        void *to = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
        for (int i = 0; to && i < sizes->n; i++)
            cj_store_i64(sizes->dtype, to, (size_t)i, sizes->at[i].v);
        if (to) cj_tensor_unmap(t);
        cj_node *node = to ? cj_constant(r->g, t) : NULL;
        if (!to) no_memory(r);
        cj_tensor_free(t);
        return node;
    }
    for (int i = 0; i < sizes->n; i++) {
        cj_node *value = sizes->at[i].symbolic ? cj_dim_value(r->g, sizes->at[i].v)
                                               : cj_scalar(r->g, CJ_I64, (double)sizes->at[i].v);
        parts[i] = cj_cast(value, sizes->dtype);
    }
    return sizes->rank ? cj_stack(parts, sizes->n, 0) : parts[0];
}

cj_node *cj__onnx_node_of(cj__onnx_reader *r, cj__onnx_source *source)
{
    if (!source || r->failed || source->node) return source && !r->failed ? source->node : NULL;
    cj_tensor *t = tensor_of(r, source);
    if (t) source->node = node_of_tensor(r, source, t);
    else if (source->sizes && !r->failed) source->node = cj__onnx_sizes_node(r, source->sizes);
    else cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "'%s' has no value here", source->name);
    return source->node;
}

cj_node *cj__onnx_node_in(cj__onnx_reader *r, size_t i)
{
    return cj__onnx_node_of(r, cj__onnx_source_in(r, i));
}

/* ---- Known integers -------------------------------------------------------------------------- */

cj__onnx_sizes *cj__onnx_new_sizes(cj__onnx_reader *r, int rank, int n, cj_dtype dtype)
{
    cj__onnx_sizes *sizes = cj__arena_alloc(r->arena,
                                            sizeof(*sizes) + (size_t)n * sizeof(sizes->at[0]));
    if (!sizes) return no_memory(r), NULL;
    sizes->rank = rank;
    sizes->n = n;
    sizes->dtype = dtype;
    return sizes;
}

const cj__onnx_sizes *cj__onnx_sizes_of(cj__onnx_reader *r, cj__onnx_source *source)
{
    if (!source || source->sizes) return source ? source->sizes : NULL;
    const cj__onnx_tensor *from = source->initializer;
    bool integers = from &&
                    (from->data_type == CJ__ONNX_INT64 || from->data_type == CJ__ONNX_INT32);
    const cj_tensor *t = source->tensor || integers ? tensor_of(r, source) : NULL;
    if (!t || (t->dtype != CJ_I64 && t->dtype != CJ_I32) || t->rank > 1 ||
        t->count > CJ__ONNX_SIZES_MAX)
        return NULL;
    cj__onnx_sizes *sizes = cj__onnx_new_sizes(r, t->rank, (int)t->count, t->dtype);
    for (int i = 0; sizes && i < sizes->n; i++)
        sizes->at[i].v = cj_load_i64(t->dtype, cj__tensor_data(t), (size_t)i);
    return source->sizes = sizes;
}

const cj__onnx_sizes *cj__onnx_sizes_in(cj__onnx_reader *r, size_t i)
{
    return cj__onnx_sizes_of(r, cj__onnx_source_in(r, i));
}

static int integers_in(cj__onnx_reader *r, size_t i, const char *what, int max, int64_t *out,
                       bool symbols)
{
    const cj__onnx_sizes *sizes = cj__onnx_sizes_in(r, i);
    if (!sizes || sizes->n > max) {
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED,
                      "%s (operand %zu) is not known before running, or has more than %d elements",
                      what, i, max);
        return -1;
    }
    for (int k = 0; k < sizes->n; k++) {
        out[k] = sizes->at[k].v;
        if (symbols ? sizes->at[k].symbolic || out[k] >= 0 : !sizes->at[k].symbolic) continue;
        cj__onnx_fail(r, symbols ? CJ_ERR_SHAPE : CJ_ERR_UNSUPPORTED,
                      symbols ? "%s has the size %lld"
                              : "%s depends on a size known only when running",
                      what, (long long)out[k]);
        return -1;
    }
    return sizes->n;
}

int cj__onnx_numbers_in(cj__onnx_reader *r, size_t i, const char *what, int max, int64_t *out)
{
    return integers_in(r, i, what, max, out, false);
}

int cj__onnx_dims_in(cj__onnx_reader *r, size_t i, const char *what, int max, cj_dim *out)
{
    return integers_in(r, i, what, max, out, true);
}

/* 0.1f as 0.1: the shortest decimal that is the same float, which is what was meant before it was
 * stored. */
static double decimal(float value)
{
    for (int digits = 6; digits <= 9; digits++) {
        char text[32];
        double wide;
        cj__format(text, sizeof(text), "%.*g", digits, (double)value);
        if (cj__parse_double(text, strlen(text), &wide) && (float)wide == value) return wide;
    }
    return (double)value;
}

bool cj__onnx_number_in(cj__onnx_reader *r, size_t i, const char *what, double *value)
{
    cj__onnx_source *source = cj__onnx_source_in(r, i);
    if (!source) return false;
    const cj_tensor *t = tensor_of(r, source);
    const cj__onnx_sizes *sizes = t ? NULL : source->sizes;
    if (t && t->count == 1) *value = cj_load_f64(t->dtype, cj__tensor_data(t), 0);
    if (t && t->count == 1 && t->dtype == CJ_F32) *value = decimal((float)*value);
    if (t && t->count == 1) return !r->failed;
    if (sizes && sizes->n == 1 && !sizes->at[0].symbolic) *value = (double)sizes->at[0].v;
    else if (!source->node || !cj__is_constant(source->node, value))
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "%s (operand %zu) is no number known before running",
                      what, i);
    return !r->failed;
}


/* ---- Attributes ------------------------------------------------------------------------------ */

bool cj__onnx_has_attribute(const cj__onnx_reader *r, const char *name)
{
    return cj__onnx_find_attribute(r->node, name) != NULL;
}

static const cj__onnx_attribute *typed(cj__onnx_reader *r, const char *name, int64_t type)
{
    const cj__onnx_attribute *a = r->failed ? NULL : cj__onnx_find_attribute(r->node, name);
    if (!a || a->type == type) return a;
    cj__onnx_fail(r, CJ_ERR_DATA, "attribute '%s' is %s, expected %s", name,
                  cj__onnx_attribute_type_name(a->type), cj__onnx_attribute_type_name(type));
    return NULL;
}

int64_t cj__onnx_get_int(cj__onnx_reader *r, const char *name, int64_t initial)
{
    const cj__onnx_attribute *a = typed(r, name, CJ__ONNX_ATTR_INT);
    return a ? a->as.i : initial;
}

double cj__onnx_get_float(cj__onnx_reader *r, const char *name, double initial)
{
    const cj__onnx_attribute *a = typed(r, name, CJ__ONNX_ATTR_FLOAT);
    return a ? decimal(a->as.f) : initial;
}

int cj__onnx_get_ints(cj__onnx_reader *r, const char *name, int max, int64_t *out)
{
    const cj__onnx_attribute *a = typed(r, name, CJ__ONNX_ATTR_INTS);
    if (!a) return -1;
    if (a->as.ints.count > (size_t)max) {
        cj__onnx_fail(r, CJ_ERR_LIMIT, "attribute '%s' has %zu elements, more than %d", name,
                      a->as.ints.count, max);
        return -1;
    }
    if (a->as.ints.count) memcpy(out, a->as.ints.items, a->as.ints.count * sizeof(*out));
    return (int)a->as.ints.count;
}

bool cj__onnx_get_word(cj__onnx_reader *r, const char *name, const char *initial, char out[32])
{
    const cj__onnx_attribute *a = typed(r, name, CJ__ONNX_ATTR_STRING);
    cj__slice word = a ? a->as.s : cj__slice_of(initial);
    if (r->failed) return false;
    if (word.size >= 32)
        return cj__onnx_fail(r, CJ_ERR_DATA, "attribute '%s' has %zu characters", name, word.size),
               false;
    if (word.size) memcpy(out, word.at, word.size);
    out[word.size] = 0;
    return true;
}

const char *cj__onnx_get_text(cj__onnx_reader *r, const char *name)
{
    const cj__onnx_attribute *a = typed(r, name, CJ__ONNX_ATTR_STRING);
    char *text = NULL;
    if (!a) cj__onnx_fail(r, CJ_ERR_DATA, "it has no text '%s'", name);
    else if (cj__slice_string(r->arena, a->as.s, name, &text))
        cj__onnx_fail(r, cj_last_status(r->cj), "%s", cj_message(r->cj));
    return text;
}

cj__onnx_graph *cj__onnx_get_graph(cj__onnx_reader *r, const char *name)
{
    const cj__onnx_attribute *a = typed(r, name, CJ__ONNX_ATTR_GRAPH);
    if (!a) cj__onnx_fail(r, CJ_ERR_DATA, "it has no graph '%s'", name);
    return a ? a->as.g : NULL;
}

int cj__onnx_axes(cj__onnx_reader *r, const char *name, size_t i, int max, int64_t *out)
{
    if (cj__onnx_find_attribute(r->node, name)) return cj__onnx_get_ints(r, name, max, out);
    return cj__onnx_has(r, i) ? cj__onnx_numbers_in(r, i, name, max, out) : -1;
}

/* ---- Results --------------------------------------------------------------------------------- */

static cj__onnx_source *result(cj__onnx_reader *r, size_t k)
{
    if (r->failed || !cj__onnx_wants(r, k)) return NULL;
    return declare(r, r->node->output.items[k], "an output");
}

void cj__onnx_set(cj__onnx_reader *r, size_t k, cj_node *node)
{
    cj__onnx_source *source = node && !r->g->failed ? result(r, k) : NULL;
    if (source) source->node = node;
}

void cj__onnx_set_sizes(cj__onnx_reader *r, size_t k, const cj__onnx_sizes *sizes)
{
    cj__onnx_source *source = sizes ? result(r, k) : NULL;
    if (source) source->sizes = sizes;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static bool read_constant(cj__onnx_reader *r)
{
    const cj__onnx_node *node = r->node;
    const cj__onnx_attribute *a = node->attribute.count ? &node->attribute.items[0] : NULL;
    cj__onnx_source *source = result(r, 0);
    if (!source) return false;
    if (!a || node->attribute.count != 1)
        cj__onnx_fail(r, CJ_ERR_DATA, "it has %zu values", node->attribute.count);
    else if (a->type == CJ__ONNX_ATTR_TENSOR) source->tensor = cj__onnx_decode(r, a->as.t);
    else if (a->type == CJ__ONNX_ATTR_FLOAT)
        source->node = cj_scalar(r->g, CJ_F32, (double)a->as.f);
    else if (a->type == CJ__ONNX_ATTR_INT ||
             (a->type == CJ__ONNX_ATTR_INTS && a->as.ints.count <= CJ__ONNX_SIZES_MAX)) {
        bool one = a->type == CJ__ONNX_ATTR_INT;
        int n = one ? 1 : (int)a->as.ints.count;
        cj__onnx_sizes *sizes = cj__onnx_new_sizes(r, !one, n, CJ_I64);
        for (int i = 0; sizes && i < n; i++) sizes->at[i].v = one ? a->as.i : a->as.ints.items[i];
        source->sizes = sizes;
    } else if (a->type == CJ__ONNX_ATTR_FLOATS) {
        int64_t n = (int64_t)a->as.floats.count;
        cj_tensor *t = cj_tensor_from(r->cj, CJ_F32, 1, &n, a->as.floats.items);
        source->node = t ? cj_constant(r->g, t) : NULL;
        if (!t) no_memory(r);
        cj_tensor_free(t);
    } else
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "a constant of attribute type %s",
                      cj__onnx_attribute_type_name(a->type));
    return !r->failed;
}

/* Names are kept, so that a model that is saved again reads as it did. */
static void keep_names(cj__onnx_reader *r)
{
    for (size_t k = 0; k < r->node->output.count && !r->failed; k++) {
        if (!r->node->output.items[k].size) continue;
        char *name = string_of(r, r->node->output.items[k], "an output's name");
        const cj__onnx_source *source = name ? cj__names_get(&r->level->values, name) : NULL;
        if (!source)
            cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "output %zu ('%s') is not one Cajal gives", k,
                          name ? name : "");
        else if (source->node && !source->node->name && source->node->call->op != &cj_op_input)
            cj_node_set_name(source->node, name);
    }
}

static void read_node(cj__onnx_reader *r, const cj__onnx_node *node)
{
    const cj__onnx_row *row = NULL;
    char op[CJ__SLICE_SHOWN], domain[CJ__SLICE_SHOWN];
    r->node = node;
    cj__graph_layer(r->g, shown_name(node, op));
    bool standard = !node->domain.size || cj__slice_is(node->domain, "ai.onnx");
    if (standard && cj__slice_is(node->op_type, "Constant")) {
        read_constant(r);
        return;
    }
    for (size_t i = 0; standard && (row = cj__onnx_row_at(i)); i++)
        if (row->read && row->onnx && cj__slice_is(node->op_type, row->onnx)) break;
    if (standard && cj__onnx_fold(r)) return;
    if (!row && !r->failed) {
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "Cajal has no operator %s%s%s",
                      standard ? "" : cj__slice_show(node->domain, domain), standard ? "" : ".",
                      cj__slice_show(node->op_type, op));
        return;
    }
    if (r->opset < 7 && cj__onnx_has_attribute(r, "broadcast"))
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "the broadcasting of opset 6");
    if (r->failed) return;
    row->read(r, row);
    if (r->g->failed && !r->failed) {
        r->failed = cj_fail(r->cj, r->g->failed, "%s",
                            r->g->message ? r->g->message : "out of memory");
        name_node(r);
    }
    if (!r->failed) keep_names(r);
}

static bool read_nodes(cj__onnx_reader *r, const cj__onnx_graph *graph)
{
    const cj__onnx_node *outer = r->node;
    for (size_t i = 0; i < graph->node.count && !r->failed; i++) {
        read_node(r, &graph->node.items[i]);
        if (!r->failed && i % 64 == 63) r->failed = cj__check_cancel(r->cj);
    }
    r->g->layer = NULL;
    if (!r->failed) r->node = outer;
    return !r->failed;
}

static bool read_initializers(cj__onnx_reader *r, const cj__onnx_graph *graph)
{
    if (graph->sparse_initializer.count)
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "sparse initializers");
    for (size_t i = 0; i < graph->initializer.count && !r->failed; i++) {
        cj__onnx_source *source = declare(r, graph->initializer.items[i].name, "an initializer");
        if (!source) return false;
        source->initializer = &graph->initializer.items[i];
        source->is_weight = true;
    }
    return !r->failed;
}

/* A name for a symbol: what is no letter, digit or '_' is '_'. */
static cj_dim symbol_of(cj__onnx_reader *r, cj__slice param, const char *input, int axis)
{
    char *name = param.size ? string_of(r, param, "a dimension's name")
                            : cj__arena_printf(r->arena, "%s_%d", input, axis);
    if (!name) return no_memory(r), 0;
    for (char *c = name; *c; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                      (*c >= '0' && *c <= '9') || *c == '_' || (unsigned char)*c >= 128;
        if (!letter || (c == name && *c >= '0' && *c <= '9')) *c = '_';
    }
    return cj_symbol(r->g, name);
}

static bool read_input(cj__onnx_reader *r, const cj__onnx_value *value)
{
    char *name = string_of(r, value->name, "an input's name");
    if (!name) return false;
    if (cj__names_get(&r->level->values, name))
        return true; /* an initializer with a default: IR 3 */
    const cj__onnx_value_type *type = value->type;
    if (!type || type->which != CJ__ONNX_TYPE_TENSOR || !type->as.tensor || !type->as.tensor->shape)
        return cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "input '%s' is no tensor of known rank", name),
               false;
    const cj__onnx_shape *shape = type->as.tensor->shape;
    cj_dtype dtype = cj__onnx_type_dtype(type->as.tensor->elem_type);
    if (dtype == CJ_DTYPE_NONE || shape->dim.count > CJ_RANK_MAX)
        return cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "input '%s' is of type %s and rank %zu", name,
                             cj__onnx_type_name(type->as.tensor->elem_type), shape->dim.count),
               false;
    cj_dim dims[CJ_RANK_MAX];
    for (size_t i = 0; i < shape->dim.count && !r->failed; i++) {
        const cj__onnx_dim *d = &shape->dim.items[i];
        if (d->which == CJ__ONNX_DIM_VALUE && d->as.value < 0)
            cj__onnx_fail(r, CJ_ERR_SHAPE, "input '%s' has the size %lld", name,
                          (long long)d->as.value);
        dims[i] = d->which == CJ__ONNX_DIM_VALUE
                      ? d->as.value
                      : symbol_of(r, d->which == CJ__ONNX_DIM_PARAM ? d->as.param : (cj__slice){0},
                                  name, (int)i);
    }
    cj__onnx_source *source = r->failed ? NULL : declare(r, value->name, "an input");
    if (source) source->node = cj_placeholder(r->g, name, dtype, (int)shape->dim.count, dims);
    return source && source->node;
}

/* Outputs of a body have no names of their own; those of the model have the file's. */
static bool read_outputs(cj__onnx_reader *r, const cj__onnx_graph *graph, bool named)
{
    for (size_t i = 0; i < graph->output.count && !r->failed; i++) {
        char *name = string_of(r, graph->output.items[i].name, "an output's name");
        if (!name) break;
        cj__onnx_source *source = cj__names_get(&r->level->values, name);
        if (!source) cj__onnx_fail(r, CJ_ERR_DATA, "nothing gives the output '%s'", name);
        cj_node *node = cj__onnx_node_of(r, source);
        if (node) cj_graph_output(r->g, named ? name : NULL, node);
    }
    if (r->g->failed && !r->failed)
        r->failed = cj_fail(r->cj, r->g->failed, "%s", r->g->message ? r->g->message : "");
    return !r->failed;
}

/* ---- Bodies ---------------------------------------------------------------------------------- */

cj_graph *cj__onnx_read_body(cj__onnx_reader *r, const cj__onnx_graph *graph, const cj_type *inputs,
                             int n, const cj__onnx_free *captures, cj_node **captured,
                             int *n_captured)
{
    if (r->failed) return NULL;
    cj__onnx_level level = {.outer = r->level}, *outer = r->level;
    cj_graph *outer_graph = r->g, *body = cj_graph_new(r->cj);
    if (!body) return no_memory(r), NULL;
    if ((size_t)n != graph->input.count)
        cj__onnx_fail(r, CJ_ERR_DATA, "its body has %zu inputs, expected %d", graph->input.count,
                      n);
    for (int depth = 0; outer; outer = outer->outer)
        if (++depth >= CJ__DEPTH_MAX)
            cj__onnx_fail(r, CJ_ERR_LIMIT, "bodies are nested more than %d deep", CJ__DEPTH_MAX);
    outer = r->level;
    cj__names_init(&level.values, r->arena);
    level.g = body;
    *n_captured = 0;
    for (int i = 0; i < n && !r->failed; i++) {
        cj_dim dims[CJ_RANK_MAX];
        for (int k = 0; k < inputs[i].rank; k++)
            dims[k] = cj__dim_translate(outer_graph, body, NULL, inputs[i].dim[k]);
        r->level = &level;
        cj__onnx_source *source = declare(r, graph->input.items[i].name, "an input of the body");
        if (source)
            source->node = cj_placeholder(body, source->name, inputs[i].dtype, inputs[i].rank,
                                          dims);
        r->level = outer;
    }
    for (size_t i = 0; i < captures->count && !r->failed; i++) {
        cj__onnx_source *from = cj__names_get(&outer->values, captures->names[i]);
        if (!from || cj__names_get(&level.values, captures->names[i])) continue;
        cj__onnx_source *source = cj__arena_alloc(r->arena, sizeof(*source));
        if (!source || !cj__names_put(&level.values, captures->names[i], source)) {
            no_memory(r);
            break;
        }
        *source = (cj__onnx_source){.name = from->name};
        /* Known integers without symbols are known inside, too. */
        const cj__onnx_sizes *sizes = cj__onnx_sizes_of(r, from);
        bool numbers = sizes != NULL;
        for (int k = 0; numbers && k < sizes->n; k++) numbers = !sizes->at[k].symbolic;
        if (numbers) {
            source->sizes = sizes;
            continue;
        }
        cj_node *node = cj__onnx_node_of(r, from);
        double number;
        if (!node) break;
        if (node->type.rank == 0 && cj__is_constant(node, &number)) {
            source->node = cj_scalar(body, node->type.dtype, number);
            continue;
        }
        cj_dim dims[CJ_RANK_MAX];
        for (int k = 0; k < node->type.rank; k++)
            dims[k] = cj__dim_translate(outer_graph, body, NULL, node->type.dim[k]);
        source->node = cj_placeholder(body, source->name, node->type.dtype, node->type.rank, dims);
        captured[(*n_captured)++] = node;
    }
    r->level = &level;
    r->g = body;
    bool done = !r->failed && read_initializers(r, graph) && read_nodes(r, graph) &&
                read_outputs(r, graph, false);
    if (!done && body->failed && !r->failed)
        r->failed = cj_fail(r->cj, body->failed, "%s", body->message);
    r->level = outer;
    r->g = outer_graph;
    if (done) return body;
    cj_graph_free(body);
    return NULL;
}

/* ---- Models ---------------------------------------------------------------------------------- */

static bool find_opset(cj__onnx_reader *r, const cj__onnx_model *model)
{
    r->opset = 1;
    for (size_t i = 0; i < model->opset_import.count; i++) {
        const cj__onnx_opset *o = &model->opset_import.items[i];
        if (!o->domain.size || cj__slice_is(o->domain, "ai.onnx")) r->opset = o->version;
    }
    if (r->opset < 6)
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "opset %lld; Cajal reads 6 and newer",
                      (long long)r->opset);
    if (model->functions.count)
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "functions of the model's own");
    return !r->failed;
}

static bool read_model(cj__onnx_reader *r, const cj__onnx_model *model)
{
    const cj__onnx_graph *graph = model->graph;
    if (!find_opset(r, model) || !read_initializers(r, graph)) return false;
    for (size_t i = 0; i < graph->input.count; i++)
        if (!read_input(r, &graph->input.items[i])) return false;
    if (!graph->output.count) cj__onnx_fail(r, CJ_ERR_DATA, "the graph has no outputs");
    return read_nodes(r, graph) && read_outputs(r, graph, true);
}

cj_status cj__onnx_import(cj_context *cj, cj__arena *arena, const cj__onnx_model *model,
                          const char *folder, const cj__names *parameters,
                          const cj__names *variables, cj_graph **out)
{
    cj__onnx_level level = {.g = cj_graph_new(cj)};
    cj__onnx_reader r = {.cj = cj, .arena = arena, .folder = folder, .level = &level, .g = level.g,
                         .parameters = parameters, .variables = variables};
    *out = NULL;
    if (!level.g) return CJ_ERR_MEMORY;
    cj__names_init(&level.values, arena);
    read_model(&r, model);
    if (!r.failed && level.g->failed)
        r.failed = cj_fail(cj, level.g->failed, "%s", level.g->message);
    if (!r.failed) r.failed = cj_graph_verify(level.g);
    for (size_t i = 0; i < r.n_tensors; i++) cj_tensor_free(r.tensors[i]);
    if (r.failed) cj_graph_free(level.g);
    else *out = level.g;
    return r.failed;
}
