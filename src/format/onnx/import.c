/* import.c: ONNX nodes as a graph.
 *
 * Every name of the file becomes a source: an initializer, a node of our graph, known integers, or
 * several of these. Nodes are read in the order of the file, which ONNX wants sorted, so a cycle
 * shows as a name that nothing before has made. Sources become nodes only when something asks for
 * one: a shape that is only reshaped to leaves no calls behind.
 *
 * Float initializers become parameters, other ones constants; but a file of ours lists which are
 * parameters and which state, and everything else is constant. */
#include <string.h>

#include "base/text.h"
#include "format/onnx/import.h"
#include "format/onnx/tensor.h"
#include "format/onnx/turned.h"
#include "graph/ops/map.h"
#include "tensor/tensor.h"

/* ---- Nodes ----------------------------------------------------------------------------------- */

static bool read_constant(cj__onnx_reader *r)
{
    const cj__onnx_node *node = r->node;
    const cj__onnx_attribute *a = node->attribute.count ? &node->attribute.items[0] : NULL;
    cj__onnx_source *source = cj__onnx_result(r, 0);
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
        if (!t) cj__onnx_no_memory(r);
        cj_tensor_free(t);
    } else if (a->type == CJ__ONNX_ATTR_STRING)
        source->tensor = cj__onnx_strings(r, 0, 1, &a->as.s);
    else if (a->type == CJ__ONNX_ATTR_STRINGS)
        source->tensor = cj__onnx_strings(r, 1, a->as.strings.count, a->as.strings.items);
    else
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "a constant of attribute type %s",
                      cj__onnx_attribute_type_name(a->type));
    return !r->failed;
}

/* An operand that its row did not look at would be dropped without a word. */
static void check_operands(cj__onnx_reader *r)
{
    const cj__onnx_node *node = r->node;
    char name[CJ__SLICE_SHOWN];
    for (size_t i = r->asked; i < node->input.count && !r->failed; i++)
        if (node->input.items[i].size)
            cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "operand %zu ('%s') is not one Cajal takes", i,
                          cj__slice_show(node->input.items[i], name));
}

/* Names are kept, so that a model that is saved again reads as it did. What our files call as its
 * node is called so again without; a channels-first image's name is that of the channels-last one
 * that it is the Transpose of. */
static void keep_names(cj__onnx_reader *r)
{
    const bool ours = r->parameters != NULL;
    for (size_t k = 0; k < r->node->output.count && !r->failed; k++) {
        const cj__slice name = r->node->output.items[k];
        char shown[CJ__SLICE_SHOWN];
        if (!name.size) continue;
        const cj__onnx_source *source = cj__names_get_bytes(&r->level->values, name.at, name.size);
        if (!source)
            cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "output %zu ('%s') is not one Cajal gives", k,
                          cj__slice_show(name, shown));
        else if (source->node && !(ours && cj__slice_equal(name, r->node->name))) {
            const bool turn = cj__slice_is(r->node->op_type, "Transpose");
            cj_node *inner = turn ? NULL : cj__onnx_untransposed(source->node),
                    *node = inner && !inner->name && inner->call->op != &cj_op_input ? inner
                                                                                    : source->node;
            if (!node->name && node->call->op != &cj_op_input) cj_node_set_name(node, source->name);
        }
    }
}

/* "Relu", or with a domain that is not ONNX's first "com.microsoft.Gelu". */
enum { ROW_NAME = 96 };

static size_t name_of_row(char out[ROW_NAME], cj__slice domain, cj__slice op)
{
    size_t at = domain.size ? domain.size + 1 : 0;
    if (at + op.size >= ROW_NAME) return 0;
    if (at) memcpy(out, domain.at, domain.size), out[domain.size] = '.';
    if (op.size) memcpy(out + at, op.at, op.size);
    out[at + op.size] = 0;
    return at + op.size;
}

/* Names of operators that can be read, of rows that come first. */
static bool index_rows(cj__onnx_reader *r)
{
    const cj__onnx_row *row;
    cj__names_init(&r->rows, r->arena);
    for (size_t i = 0; (row = cj__onnx_row_at(i)); i++) {
        char text[ROW_NAME];
        if (!row->read || !row->onnx) continue;
        size_t size = name_of_row(text, cj__slice_of(row->domain ? row->domain : ""),
                                  cj__slice_of(row->onnx));
        CJ_ASSERT(size);
        if (cj__names_get_bytes(&r->rows, text, size)) continue;
        const char *name = row->domain ? cj__arena_strdup(r->arena, text) : row->onnx;
        if (!name || !cj__names_put(&r->rows, name, (void *)row))
            return cj__onnx_no_memory(r), false;
    }
    return true;
}

static const cj__onnx_row *find_row(const cj__onnx_reader *r, const cj__onnx_node *node)
{
    char name[ROW_NAME];
    const cj__slice none = {0};
    size_t size = name_of_row(name, cj__onnx_is_standard(node->domain) ? none : node->domain,
                              node->op_type);
    return size ? cj__names_get_bytes(&r->rows, name, size) : NULL;
}

static void read_node(cj__onnx_reader *r, const cj__onnx_node *node)
{
    char op[CJ__SLICE_SHOWN], domain[CJ__SLICE_SHOWN];
    r->node = node;
    if (!cj__onnx_spend(r, 1)) return;
    cj__graph_layer(r->g, cj__onnx_shown_name(node, op));
    const bool standard = cj__onnx_is_standard(node->domain);
    if (standard && cj__slice_is(node->op_type, "Constant")) {
        read_constant(r);
        return;
    }
    const cj__onnx_row *row = find_row(r, node);
    if (standard && cj__onnx_fold(r)) return;
    if (!row && cj__onnx_call(r)) {
        if (!r->failed) keep_names(r);
        return;
    }
    if (!row && !r->failed) {
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "Cajal has no operator %s%s%s",
                      standard ? "" : cj__slice_show(node->domain, domain), standard ? "" : ".",
                      cj__slice_show(node->op_type, op));
        return;
    }
    if (r->failed) return;
    if (!cj__onnx_read_turned(r, row)) row->read(r, row);
    if (r->g->failed && !r->failed) {
        r->failed = cj_fail(r->cj, r->g->failed, "%s",
                            r->g->message ? r->g->message : "out of memory");
        cj__onnx_name_node(r);
    }
    if (!r->failed) check_operands(r);
    if (!r->failed) keep_names(r);
}

bool cj__onnx_read_nodes(cj__onnx_reader *r, size_t n, const cj__onnx_node *nodes)
{
    const cj__onnx_node *outer = r->node;
    for (size_t i = 0; i < n && !r->failed; i++) {
        const size_t asked = r->asked;
        int calls = r->g->n_calls;
        r->asked = 0;
        if (!r->level->outer) r->at = i;
        read_node(r, cj__onnx_resolve(r, &nodes[i]));
        r->asked = asked; /* by the node whose body this is */
        cj__onnx_spend(r, (r->g->n_calls - calls) / 4);
        if (!r->failed && i % 64 == 63) r->failed = cj__check_cancel(r->cj);
    }
    r->g->layer = NULL;
    if (!r->failed) r->node = outer;
    return !r->failed;
}

bool cj__onnx_read_initializers(cj__onnx_reader *r, const cj__onnx_graph *graph)
{
    if (graph->sparse_initializer.count)
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "sparse initializers");
    for (size_t i = 0; i < graph->initializer.count && !r->failed; i++) {
        cj__onnx_source *source = cj__onnx_declare(r, graph->initializer.items[i].name,
                                                   "an initializer");
        if (!source) return false;
        source->initializer = &graph->initializer.items[i];
        source->is_weight = !r->level->outer; /* those of bodies are constants */
    }
    return !r->failed;
}

static void declare_packed(void *reader, const char *name, void *packed)
{
    cj__onnx_source *source = cj__onnx_declare(reader, cj__slice_of(name), "an initializer");
    if (source) source->packed = packed;
}

/* A name for a symbol: what is no letter, digit or '_' is '_'. */
static cj_dim symbol_of(cj__onnx_reader *r, cj__slice param, const char *input, int axis)
{
    char *name = param.size ? cj__onnx_string_of(r, param, "a dimension's name")
                            : cj__arena_printf(r->arena, "%s_%d", input, axis);
    if (!name) return cj__onnx_no_memory(r), 0;
    for (char *c = name; *c; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                      (*c >= '0' && *c <= '9') || *c == '_' || (unsigned char)*c >= 128;
        if (!letter || (c == name && *c >= '0' && *c <= '9')) *c = '_';
    }
    return cj_symbol(r->g, name);
}

/* What the file says of an input: a negative rank where it says none. */
static bool input_type(cj__onnx_reader *r, const cj__onnx_value *value, const char *name,
                       cj_type *out)
{
    const cj__onnx_value_type *type = value->type;
    const cj__onnx_tensor_type *tensor =
        type && type->which == CJ__ONNX_TYPE_TENSOR ? type->as.tensor : NULL;
    const cj__onnx_shape *shape = tensor ? tensor->shape : NULL;
    size_t rank = shape ? shape->dim.count : 0;
    if (!tensor)
        return cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "input '%s' is no tensor", name), false;
    *out = (cj_type){.dtype = cj__onnx_type_dtype(tensor->elem_type),
                     .rank = shape ? (int)rank : -1};
    if (out->dtype == CJ_DTYPE_NONE || rank > CJ_RANK_MAX)
        return cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "input '%s' is of type %s and rank %zu", name,
                             cj__onnx_type_name(tensor->elem_type), rank),
               false;
    for (size_t i = 0; i < rank && !r->failed; i++) {
        const cj__onnx_dim *d = &shape->dim.items[i];
        if (d->which == CJ__ONNX_DIM_VALUE && d->as.value < 0)
            cj__onnx_fail(r, CJ_ERR_SHAPE, "input '%s' has the size %lld", name,
                          (long long)d->as.value);
        out->dim[i] = d->which == CJ__ONNX_DIM_VALUE
                          ? d->as.value
                          : symbol_of(r, d->which == CJ__ONNX_DIM_PARAM ? d->as.param
                                                                        : (cj__slice){0},
                                      name, (int)i);
    }
    return !r->failed;
}

/* The sizes of a value take the place of symbols, and of a rank that is not told. */
static bool take_sizes(cj__onnx_reader *r, const cj_onnx_input *input, const cj_tensor *value,
                       cj_type *type)
{
    if (value->dtype != type->dtype || (type->rank >= 0 && value->rank != type->rank))
        return cj__onnx_fail(r, CJ_ERR_SHAPE, "input '%s' is %s of rank %d, expected %s of rank %d",
                             input->name, cj_dtype_info(value->dtype)->name, value->rank,
                             cj_dtype_info(type->dtype)->name, type->rank),
               false;
    type->rank = value->rank;
    for (int i = 0; i < value->rank; i++) {
        if (input->type.rank >= 0 && type->dim[i] >= 0 && type->dim[i] != value->shape[i])
            return cj__onnx_fail(r, CJ_ERR_SHAPE, "input '%s': dimension %d is %lld, expected %s",
                                 input->name, i, (long long)value->shape[i],
                                 cj_dim_text(r->g, type->dim[i])),
                   false;
        if (i || !r->opened) type->dim[i] = value->shape[i];
    }
    return true;
}

static bool read_input(cj__onnx_reader *r, const cj_onnx_input *input, const cj_tensor *value)
{
    cj_type type = input->type;
    if (value && !take_sizes(r, input, value, &type)) return false;
    if (type.rank < 0)
        return cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "input '%s' is no tensor of known rank",
                             input->name),
               false;
    cj__onnx_source *source = cj__onnx_declare(r, cj__slice_of(input->name), "an input");
    if (!source) return false;
    source->node = cj_placeholder(r->g, input->name, type.dtype, type.rank, type.dim);
    if (value && source->node) r->feeds[r->n_feeds++] = (cj_feed){source->node, value};
    return source->node != NULL;
}

/* Where the file has one number in front of all inputs, and the values have another: a batch, and a
 * symbol from here on. */
static void open_batch(cj__onnx_reader *r, size_t n, cj_onnx_input *inputs,
                       const cj_tensor *const *values)
{
    for (size_t i = 0; i < n; i++) {
        const cj_type *type = &inputs[i].type;
        if (!values[i] || type->rank < 1 || values[i]->rank != type->rank || type->dim[0] < 1 ||
            type->dim[0] != inputs[0].type.dim[0] || values[i]->shape[0] != values[0]->shape[0])
            return;
    }
    if (!n || inputs[0].type.dim[0] == values[0]->shape[0]) return;
    r->batch = inputs[0].type.dim[0];
    r->opened = cj_symbol(r->g, "batch");
    for (size_t i = 0; i < n; i++) inputs[i].type.dim[0] = r->opened;
}

static bool read_inputs(cj__onnx_reader *r, const cj__onnx_graph *graph)
{
    size_t n = 0, room = graph->input.count + 1;
    cj_onnx_input *inputs = cj__arena_array(r->arena, room, sizeof(*inputs));
    const cj_tensor **values = cj__arena_array(r->arena, room, sizeof(*values));
    r->feeds = cj__arena_array(r->arena, room, sizeof(*r->feeds));
    if (!inputs || !values || !r->feeds) return cj__onnx_no_memory(r), false;
    for (size_t i = 0; i < graph->input.count; i++) {
        const cj__onnx_value *value = &graph->input.items[i];
        const char *name = cj__onnx_string_of(r, value->name, "an input's name");
        if (!name) return false;
        if (cj__names_get(&r->level->values, name)) continue; /* has a default: IR 3 */
        inputs[n].name = name;
        if (!input_type(r, value, name, &inputs[n++].type)) return false;
    }
    if (r->opts && r->opts->values)
        r->failed = r->opts->values(r->opts->user, r->g, (int)n, inputs, values);
    if (r->opts && r->opts->values && !r->failed) open_batch(r, n, inputs, values);
    for (size_t i = 0; i < n && !r->failed; i++) {
        if (values[i]) cj__onnx_grant(r, cj_tensor_size_bytes(values[i]));
        if (!read_input(r, &inputs[i], values[i])) return false;
    }
    return !r->failed;
}

/* Outputs of a body have no names of their own; those of the model have the file's. */
static bool read_outputs(cj__onnx_reader *r, const cj__onnx_graph *graph, bool named)
{
    for (size_t i = 0; i < graph->output.count && !r->failed; i++) {
        char *name = cj__onnx_string_of(r, graph->output.items[i].name, "an output's name");
        if (!name) break;
        cj__onnx_source *source = cj__names_get(&r->level->values, name);
        if (!source) cj__onnx_fail(r, CJ_ERR_DATA, "nothing gives the output '%s'", name);
        cj_node *node = cj__onnx_node_of(r, source);
        bool open = !named || !r->opened;
        for (int k = 0; node && k < node->type.rank; k++) open |= node->type.dim[k] < 0;
        if (node && !open)
            cj__onnx_fail(r, CJ_ERR_SHAPE, "output '%s' does not depend on the batch", name);
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
    if (!cj__onnx_spend(r, 1)) return NULL;
    cj__onnx_level level = {.outer = r->level}, *outer = r->level;
    cj_graph *outer_graph = r->g, *body = cj_graph_new(r->cj);
    if (!body) return cj__onnx_no_memory(r), NULL;
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
        cj__onnx_source *source = cj__onnx_declare(r, graph->input.items[i].name,
                                                   "an input of the body");
        if (source)
            source->node = cj_placeholder(body, source->name, inputs[i].dtype, inputs[i].rank,
                                          dims);
        r->level = outer;
    }
    for (size_t i = 0; i < captures->count && !r->failed; i++) {
        cj__onnx_source *from = cj__onnx_find(r, cj__slice_of(captures->names[i]));
        if (!from || cj__names_get(&level.values, captures->names[i])) continue;
        cj__onnx_source *source = cj__arena_alloc(r->arena, sizeof(*source));
        if (!source || !cj__names_put(&level.values, captures->names[i], source)) {
            cj__onnx_no_memory(r);
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
    bool done = !r->failed && cj__onnx_read_initializers(r, graph) &&
                cj__onnx_read_nodes(r, graph->node.count, graph->node.items) &&
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
        if (cj__onnx_is_standard(o->domain)) r->opset = o->version;
    }
    if (r->opset < 1 || r->opset > CJ__ONNX_OPSET_NEWEST)
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "opset %lld; Cajal reads 1 to %d",
                      (long long)r->opset, CJ__ONNX_OPSET_NEWEST);
    return !r->failed;
}

/* Initializers that nothing uses, or that were read as numbers, become parameters, too. */
static bool read_weights(cj__onnx_reader *r, const cj__onnx_graph *graph)
{
    for (size_t i = 0; i < graph->initializer.count && !r->failed; i++) {
        const cj__onnx_tensor *t = &graph->initializer.items[i];
        char *name = cj__onnx_string_of(r, t->name, "an initializer");
        cj_dtype dtype = cj__onnx_type_dtype(t->data_type);
        if (name && dtype != CJ_DTYPE_NONE && cj_dtype_info(dtype)->kind == CJ_KIND_FLOAT)
            cj__onnx_node_of(r, cj__names_get(&r->level->values, name));
    }
    return !r->failed;
}

static bool read_model(cj__onnx_reader *r, const cj__onnx_model *model)
{
    const cj__onnx_graph *graph = model->graph;
    if (!find_opset(r, model) || !index_rows(r) || !cj__onnx_read_initializers(r, graph))
        return false;
    if (r->packed) cj__names_each(r->packed, declare_packed, r);
    if (r->failed || !read_inputs(r, graph)) return false;
    if (!graph->output.count) cj__onnx_fail(r, CJ_ERR_DATA, "the graph has no outputs");
    return cj__onnx_read_nodes(r, graph->node.count, graph->node.items) &&
           (!r->opts || !r->opts->all_weights || read_weights(r, graph)) &&
           read_outputs(r, graph, true);
}

cj_status cj__onnx_import(cj_context *cj, cj__arena *arena, const cj__onnx_model *model,
                          const cj__onnx_import_opts *opts, cj_graph **out)
{
    cj__onnx_level level = {.g = cj_graph_new(cj)};
    cj__onnx_files files;
    cj__onnx_reader r = {.cj = cj, .arena = arena, .files = &files, .level = &level,
                         .g = level.g, .parameters = opts->parameters,
                         .variables = opts->variables, .frozen = opts->frozen,
                         .packed = opts->packed, .batch = opts->batch,
                         .model = model, .opts = opts->asked, .budget.any = !opts->bytes};
    *out = NULL;
    if (!level.g) return CJ_ERR_MEMORY;
    cj__onnx_files_init(&files, arena, opts->folder, opts->path, opts->file);
    cj__names_init(&level.values, arena);
    if (opts->bytes) cj__onnx_grant(&r, opts->bytes);
    read_model(&r, model);
    if (!r.failed && level.g->failed)
        r.failed = cj_fail(cj, level.g->failed, "%s", level.g->message);
    if (!r.failed) r.failed = cj_graph_verify(level.g);
    const cj__slice name = model->graph->name;
    if (!r.failed && name.size)
        level.g->name = cj__arena_printf(&level.g->arena, "%.*s", (int)name.size, name.at);
    if (r.failed && r.opened)
        cj__prefix(cj, r.failed, "with another batch than the file's %lld", (long long)r.batch);
    for (size_t i = 0; i < r.n_tensors; i++) cj_tensor_free(r.tensors[i]);
    cj__onnx_files_release(&files);
    if (opts->waits) *opts->waits = r.failed && r.waits && r.waits == r.node;
    if (r.failed) cj_graph_free(level.g);
    else *out = level.g;
    return r.failed;
}
