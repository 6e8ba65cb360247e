/* import_source.c: what the names of a file stand for, and the attributes of its nodes.
 *
 * A source is an initializer, a node of our graph, known integers, or several of these. It becomes
 * a node only when something asks for one: a shape that is only reshaped to leaves no calls behind.
 *
 * What must be known while reading (a shape, a count) is looked up here: an initializer, folded
 * sizes, or else the graph so far is run for it: values.c. */
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "format/onnx/import.h"
#include "format/onnx/packed.h"
#include "format/onnx/tensor.h"
#include "tensor/tensor.h"

/* ---- Failing --------------------------------------------------------------------------------- */

cj_status cj__onnx_no_memory(cj__onnx_reader *r)
{
    if (!r->failed) r->failed = cj_last_status(r->cj) ? cj_last_status(r->cj) : CJ_ERR_MEMORY;
    return r->failed;
}

/* How a node is called for people: by its name, or else by its first output. */
const char *cj__onnx_shown_name(const cj__onnx_node *node, char name[CJ__SLICE_SHOWN])
{
    cj__slice shown = node->name;
    if (!shown.size && node->output.count) shown = node->output.items[0];
    return cj__slice_show(shown, name);
}

/* "node 'dense/MatMul' (MatMul): " before the message there is. */
void cj__onnx_name_node(cj__onnx_reader *r)
{
    char name[CJ__SLICE_SHOWN], op[CJ__SLICE_SHOWN];
    const cj__onnx_node *node = r->node;
    if (!node) return;
    cj__prefix(r->cj, r->failed, "node '%s' (%s)", cj__onnx_shown_name(node, name),
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
    cj__onnx_name_node(r);
}

char *cj__onnx_string_of(cj__onnx_reader *r, cj__slice slice, const char *what)
{
    char *text = NULL;
    if (r->failed) return NULL;
    if (!slice.at) slice = cj__slice_of("");
    r->failed = cj__slice_string(r->arena, slice, what, &text);
    if (r->failed) cj__onnx_name_node(r);
    return text;
}

/* ---- Sources --------------------------------------------------------------------------------- */

cj__onnx_source *cj__onnx_declare(cj__onnx_reader *r, cj__slice slice, const char *what)
{
    char *name = cj__onnx_string_of(r, slice, what);
    if (!name) return NULL;
    if (!*name) return cj__onnx_fail(r, CJ_ERR_DATA, "%s has no name", what), NULL;
    if (cj__names_get(&r->level->values, name))
        return cj__onnx_fail(r, CJ_ERR_DATA, "the name '%s' is given twice", name), NULL;
    cj__onnx_source *source = cj__arena_alloc(r->arena, sizeof(*source));
    if (!source || !cj__names_put(&r->level->values, name, source))
        return cj__onnx_no_memory(r), NULL;
    source->name = name;
    return source;
}

cj__onnx_source *cj__onnx_find(const cj__onnx_reader *r, cj__slice name)
{
    cj__onnx_source *source = NULL;
    for (const cj__onnx_level *l = r->level; l && !source; l = l->open ? l->outer : NULL)
        source = cj__names_get_bytes(&l->values, name.at, name.size);
    return source;
}

bool cj__onnx_has(cj__onnx_reader *r, size_t i)
{
    if (i >= r->asked) r->asked = i + 1;
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
    cj__onnx_source *source = cj__onnx_find(r, r->node->input.items[i]);
    if (source) return source;
    char *name = cj__onnx_string_of(r, r->node->input.items[i], "an operand's name");
    if (!name) return NULL;
    cj__onnx_fail(r, CJ_ERR_DATA,
                  "it uses '%s', which is no input and no result of a node before it", name);
    return NULL;
}

bool cj__onnx_keep(cj__onnx_reader *r, cj_tensor *tensor)
{
    if (r->n_tensors == r->tensors_capacity) {
        size_t capacity = r->tensors_capacity ? 2 * r->tensors_capacity : 32;
        cj_tensor **grown = cj__arena_array(r->arena, capacity, sizeof(cj_tensor *));
        if (!grown) return cj_tensor_free(tensor), cj__onnx_no_memory(r), false;
        if (r->n_tensors) memcpy(grown, r->tensors, r->n_tensors * sizeof(cj_tensor *));
        r->tensors = grown;
        r->tensors_capacity = capacity;
    }
    r->tensors[r->n_tensors++] = tensor;
    return true;
}

cj_tensor *cj__onnx_decode(cj__onnx_reader *r, const cj__onnx_tensor *from)
{
    cj_tensor *t;
    if (r->failed) return NULL;
    if ((r->failed = cj__onnx_files_tensor(r->files, from, &t)))
        return cj__onnx_name_node(r), NULL;
    if (from->data_location == 1) cj__onnx_grant(r, cj_tensor_size_bytes(t));
    return cj__onnx_keep(r, t) ? t : NULL;
}

static cj_tensor *tensor_of(cj__onnx_reader *r, cj__onnx_source *source)
{
    if (source->origin) return tensor_of(r, source->origin);
    if (!source->tensor && source->initializer)
        source->tensor = cj__onnx_decode(r, source->initializer);
    return source->tensor;
}

const cj_tensor *cj__onnx_tensor_in(cj__onnx_reader *r, size_t i)
{
    cj__onnx_source *source = cj__onnx_source_in(r, i);
    const cj_tensor *t = source ? tensor_of(r, source) : NULL;
    return t || r->failed ? t : cj__onnx_compute(r, source);
}

/* A parameter, a variable or a constant, as the head of this file says. */
static cj_node *node_of_tensor(cj__onnx_reader *r, const cj__onnx_source *source, cj_tensor *t)
{
    bool is_float = cj_dtype_info(t->dtype)->kind == CJ_KIND_FLOAT;
    bool trained = r->parameters ? cj__names_get(r->parameters, source->name) != NULL
                                 : is_float && t->rank > 0;
    if (!source->is_weight) return cj_constant(r->g, t);
    if (r->frozen && cj__names_get(r->frozen, source->name))
        return cj_variable(r->g, source->name, t);
    if (source->is_state || (r->variables && cj__names_get(r->variables, source->name)))
        return cj_variable(r->g, source->name, t);
    return (trained || (r->opts && r->opts->all_weights)) && is_float
               ? cj_parameter(r->g, source->name, t)
               : cj_constant(r->g, t);
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
        if (!to) cj__onnx_no_memory(r);
        cj_tensor_free(t);
        return node;
    }
    for (int i = 0; i < sizes->n; i++) {
        cj_node *value = sizes->at[i].symbolic ? cj_dim_value(r->g, sizes->at[i].v)
                                               : cj_scalar(r->g, CJ_I64, (double)sizes->at[i].v);
        parts[i] = cj_cast(value, sizes->dtype);
    }
    if (!sizes->rank) return parts[0];
    cj_node *list = cj_stack(parts, sizes->n, 0);
    return sizes->rank == 1
               ? list
               : cj_reshape(list, 2, (cj_dim[]){sizes->n / sizes->width, sizes->width});
}

cj_node *cj__onnx_node_of(cj__onnx_reader *r, cj__onnx_source *source)
{
    if (!source || r->failed || source->node) return source && !r->failed ? source->node : NULL;
    if (source->origin) return source->node = cj__onnx_node_of(r, source->origin);
    cj_tensor *t = tensor_of(r, source);
    if (t) source->node = node_of_tensor(r, source, t);
    else if (source->packed) source->node = cj__onnx_stacked(r, source->packed);
    else if (source->sizes && !r->failed) source->node = cj__onnx_sizes_node(r, source->sizes);
    else
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED,
                      source->list     ? "'%s' is a sequence, not a tensor"
                      : source->absent ? "'%s' is an optional value that is none"
                                       : "'%s' has no value here",
                      source->name);
    return source->node;
}

cj_node *cj__onnx_node_in(cj__onnx_reader *r, size_t i)
{
    return cj__onnx_node_of(r, cj__onnx_source_in(r, i));
}

cj_node *cj__onnx_state_in(cj__onnx_reader *r, size_t i)
{
    cj__onnx_source *source = cj__onnx_source_in(r, i);
    if (source && source->origin) source = source->origin;
    if (source && !r->parameters && source->is_weight && !source->node) source->is_state = true;
    return cj__onnx_node_of(r, source);
}

/* ---- Known integers -------------------------------------------------------------------------- */

cj__onnx_sizes *cj__onnx_new_sizes(cj__onnx_reader *r, int rank, int n, cj_dtype dtype)
{
    cj__onnx_sizes *sizes = cj__arena_alloc(r->arena,
                                            sizeof(*sizes) + (size_t)n * sizeof(sizes->at[0]));
    if (!sizes) return cj__onnx_no_memory(r), NULL;
    sizes->rank = rank;
    sizes->n = n;
    sizes->dtype = dtype;
    return sizes;
}

const cj__onnx_sizes *cj__onnx_sizes_of(cj__onnx_reader *r, cj__onnx_source *source)
{
    if (!source || source->sizes)
        return source && source->sizes->rank < 2 ? source->sizes : NULL;
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

const cj__onnx_sizes *cj__onnx_want_sizes(cj__onnx_reader *r, size_t i)
{
    cj__onnx_source *source = cj__onnx_source_in(r, i);
    const cj__onnx_sizes *sizes = cj__onnx_sizes_of(r, source);
    if (sizes || !source || !cj__onnx_compute(r, source)) return sizes;
    return cj__onnx_sizes_of(r, source);
}

static int integers_in(cj__onnx_reader *r, size_t i, const char *what, int max, int64_t *out,
                       bool symbols)
{
    const cj__onnx_sizes *sizes = cj__onnx_want_sizes(r, i);
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
double cj__onnx_decimal(float value)
{
    for (int digits = 6; digits <= 9; digits++) {
        char text[32];
        double wide;
        cj__format(text, sizeof(text), "%.*g", digits, (double)value);
        if (cj__parse_double(text, strlen(text), &wide) && (float)wide == value) return wide;
    }
    return (double)value;
}

bool cj__onnx_number_of(cj__onnx_reader *r, cj__onnx_source *source, double *value)
{
    if (!source || r->failed) return false;
    const cj_tensor *t = tensor_of(r, source);
    const cj__onnx_sizes *sizes = t ? NULL : source->sizes;
    if (sizes && sizes->n == 1 && !sizes->at[0].symbolic)
        return *value = (double)sizes->at[0].v, true;
    if (!t && source->node && cj__is_constant(source->node, value)) return true;
    if (!t) t = cj__onnx_compute(r, source);
    if (!t || t->count != 1) return false;
    *value = cj_load_f64(t->dtype, cj__tensor_data(t), 0);
    if (t->dtype == CJ_F32) *value = cj__onnx_decimal((float)*value);
    return !r->failed;
}

bool cj__onnx_number_in(cj__onnx_reader *r, size_t i, const char *what, double *value)
{
    if (cj__onnx_number_of(r, cj__onnx_source_in(r, i), value)) return true;
    cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "%s (operand %zu) is no number known before running", what,
                  i);
    return false;
}

/* ---- Attributes ------------------------------------------------------------------------------ */

bool cj__onnx_has_attribute(const cj__onnx_reader *r, const char *name)
{
    return cj__onnx_find_attribute(r->node, name) != NULL;
}

static const cj__onnx_attribute *typed(cj__onnx_reader *r, const char *name, int64_t type)
{
    const cj__onnx_attribute *a = r->failed ? NULL : cj__onnx_find_attribute(r->node, name);
    if (a && !a->which && a->ref_attr_name.size) {
        char of[CJ__SLICE_SHOWN];
        cj__onnx_fail(r, CJ_ERR_DATA, "attribute '%s' refers to '%s' of a function, but is in none",
                      name, cj__slice_show(a->ref_attr_name, of));
        return NULL;
    }
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

int cj__onnx_get_axis(cj__onnx_reader *r, const char *name, int initial)
{
    int64_t axis = cj__onnx_get_int(r, name, initial);
    if (axis >= -CJ_RANK_MAX && axis <= CJ_RANK_MAX) return (int)axis;
    cj__onnx_fail(r, CJ_ERR_SHAPE, "%s is %lld", name, (long long)axis);
    return initial;
}

double cj__onnx_get_float(cj__onnx_reader *r, const char *name, double initial)
{
    const cj__onnx_attribute *a = typed(r, name, CJ__ONNX_ATTR_FLOAT);
    return a ? cj__onnx_decimal(a->as.f) : initial;
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

cj__onnx_source *cj__onnx_result(cj__onnx_reader *r, size_t k)
{
    if (r->failed || !cj__onnx_wants(r, k)) return NULL;
    return cj__onnx_declare(r, r->node->output.items[k], "an output");
}

void cj__onnx_set(cj__onnx_reader *r, size_t k, cj_node *node)
{
    cj__onnx_source *source = node && !r->g->failed ? cj__onnx_result(r, k) : NULL;
    if (source) source->node = node;
}

void cj__onnx_set_sizes(cj__onnx_reader *r, size_t k, const cj__onnx_sizes *sizes)
{
    cj__onnx_source *source = sizes ? cj__onnx_result(r, k) : NULL;
    if (source) source->sizes = sizes;
}
