/* model.c: ONNX's messages as tables, and the few rules a table cannot say.
 *
 * Field numbers are onnx.proto's. `least` of a table is the shortest valid message of its kind, so
 * a list of a million nothings is refused before a million structures are made: 32 bytes of memory
 * a byte of input is the most any table asks for. */
#include "format/onnx/model.h"

#include <string.h>

#include "format/onnx/tensor.h"

#define AT(type, member) offsetof(cj__onnx_##type, member)
#define ROW(number_, kind_, type, member, name_)                                                   \
    .number = number_, .kind = CJ__PROTO_##kind_, .offset = AT(type, member), .name = name_
#define TABLE(name_, type, least_, rows_)                                                          \
    .name = name_, .size = sizeof(cj__onnx_##type), .least = least_, .rows = rows_

static const cj__proto_table graph_table;

/* ---- Small messages -------------------------------------------------------------------------- */

static const cj__proto_row entry_rows[] = {
    {ROW(1, TEXT, entry, key, "key")},
    {ROW(2, TEXT, entry, value, "value")},
    {0},
};
static const cj__proto_table entry_table = {
    TABLE("StringStringEntryProto", entry, 0, entry_rows),
};

static const cj__proto_row opset_rows[] = {
    {ROW(1, TEXT, opset, domain, "domain")},
    {ROW(2, INT, opset, version, "version")},
    {0},
};
static const cj__proto_table opset_table = {
    TABLE("OperatorSetIdProto", opset, 0, opset_rows),
};

/* ---- Tensors --------------------------------------------------------------------------------- */

static const cj__proto_row tensor_rows[] = {
    {ROW(1, INTS, tensor, dims, "dims")},
    {ROW(2, INT, tensor, data_type, "data_type")},
    {ROW(6, TEXTS, tensor, strings, "string_data")},
    {ROW(8, TEXT, tensor, name, "name")},
    {ROW(9, TEXT, tensor, raw, "raw_data"), .write = cj__onnx_tensor_write_raw},
    {ROW(12, TEXT, tensor, doc_string, "doc_string")},
    {ROW(13, MESSAGES, tensor, external, "external_data"), .table = &entry_table},
    {ROW(14, INT, tensor, data_location, "data_location")},
    {0},
};
/* A data type, and data or a dim. */
static const cj__proto_table tensor_table = {
    TABLE("TensorProto", tensor, 4, tensor_rows), .finish = cj__onnx_tensor_finish,
};

static const cj__proto_row sparse_rows[] = {
    {ROW(1, MESSAGE, sparse, values, "values"), .table = &tensor_table},
    {ROW(2, MESSAGE, sparse, indices, "indices"), .table = &tensor_table},
    {ROW(3, INTS, sparse, dims, "dims")},
    {0},
};

static cj_status sparse_finish(cj__proto_reader *body, void *message)
{
    const cj__onnx_sparse *sparse = message;
    if (sparse->values && sparse->indices) return CJ_OK;
    return cj__proto_fail(body, CJ_ERR_DATA, NULL, "a sparse tensor without %s",
                          sparse->values ? "indices" : "values");
}

static const cj__proto_table sparse_table = {
    TABLE("SparseTensorProto", sparse, 4, sparse_rows), .finish = sparse_finish,
};

/* ---- Types ----------------------------------------------------------------------------------- */

static const cj__proto_row dim_rows[] = {
    {ROW(1, INT, dim, as, "dim_value"), .oneof = true},
    {ROW(2, TEXT, dim, as, "dim_param"), .oneof = true},
    {0},
};
static const cj__proto_table dim_table = {
    TABLE("Dimension", dim, 0, dim_rows), .which = AT(dim, which),
};

static const cj__proto_row shape_rows[] = {
    {ROW(1, MESSAGES, shape, dim, "dim"), .table = &dim_table}, {0}};
static const cj__proto_table shape_table = {
    TABLE("TensorShapeProto", shape, 0, shape_rows),
};

static const cj__proto_row tensor_type_rows[] = {
    {ROW(1, INT, tensor_type, elem_type, "elem_type")},
    {ROW(2, MESSAGE, tensor_type, shape, "shape"), .table = &shape_table},
    {0},
};
static const cj__proto_table tensor_type_table = {
    TABLE("TypeProto.Tensor", tensor_type, 0, tensor_type_rows),
};

static const cj__proto_row type_rows[] = {
    {ROW(1, MESSAGE, value_type, as, "tensor_type"), .table = &tensor_type_table, .oneof = true},
    {ROW(4, TEXT, value_type, as, "sequence_type"), .oneof = true},
    {ROW(5, TEXT, value_type, as, "map_type"), .oneof = true},
    {ROW(6, TEXT, value_type, denotation, "denotation")},
    {ROW(7, TEXT, value_type, as, "opaque_type"), .oneof = true},
    {ROW(8, TEXT, value_type, as, "sparse_tensor_type"), .oneof = true},
    {ROW(9, TEXT, value_type, as, "optional_type"), .oneof = true},
    {0},
};
static const cj__proto_table type_table = {
    TABLE("TypeProto", value_type, 0, type_rows), .which = AT(value_type, which),
};

static const cj__proto_row value_rows[] = {
    {ROW(1, TEXT, value, name, "name")},
    {ROW(2, MESSAGE, value, type, "type"), .table = &type_table},
    {ROW(3, TEXT, value, doc_string, "doc_string")},
    {0},
};
static const cj__proto_table value_table = {
    TABLE("ValueInfoProto", value, 0, value_rows),
};

/* ---- Attributes and nodes -------------------------------------------------------------------- */

static const cj__proto_row attribute_rows[] = {
    {ROW(1, TEXT, attribute, name, "name")},
    {ROW(2, FLOAT, attribute, as, "f"), .oneof = true},
    {ROW(3, INT, attribute, as, "i"), .oneof = true},
    {ROW(4, TEXT, attribute, as, "s"), .oneof = true},
    {ROW(5, MESSAGE, attribute, as, "t"), .table = &tensor_table, .oneof = true},
    {ROW(6, MESSAGE, attribute, as, "g"), .table = &graph_table, .oneof = true},
    {ROW(7, FLOATS, attribute, as, "floats"), .oneof = true},
    {ROW(8, INTS, attribute, as, "ints"), .oneof = true},
    {ROW(9, TEXTS, attribute, as, "strings"), .oneof = true},
    {ROW(10, MESSAGES, attribute, as, "tensors"), .table = &tensor_table, .oneof = true},
    {ROW(11, MESSAGES, attribute, as, "graphs"), .table = &graph_table, .oneof = true},
    {ROW(13, TEXT, attribute, doc_string, "doc_string")},
    {ROW(14, TEXT, attribute, as, "tp"), .oneof = true},
    {ROW(15, TEXTS, attribute, as, "type_protos"), .oneof = true},
    {ROW(20, INT, attribute, type, "type")},
    {ROW(21, TEXT, attribute, ref_attr_name, "ref_attr_name")},
    {ROW(22, MESSAGE, attribute, as, "sparse_tensor"), .table = &sparse_table, .oneof = true},
    {ROW(23, MESSAGES, attribute, as, "sparse_tensors"), .table = &sparse_table, .oneof = true},
    {0},
};

/* The field that carries each attribute type, and whether it must be there: lists may be empty, and
 * proto3 writers leave out zeros and empty strings. */
static const struct {
    const char *name;
    uint32_t field;
    bool needed;
} attribute_types[] = {
    [CJ__ONNX_ATTR_FLOAT] = {"FLOAT", 2, false},
    [CJ__ONNX_ATTR_INT] = {"INT", 3, false},
    [CJ__ONNX_ATTR_STRING] = {"STRING", 4, false},
    [CJ__ONNX_ATTR_TENSOR] = {"TENSOR", 5, true},
    [CJ__ONNX_ATTR_GRAPH] = {"GRAPH", 6, true},
    [CJ__ONNX_ATTR_FLOATS] = {"FLOATS", 7, false},
    [CJ__ONNX_ATTR_INTS] = {"INTS", 8, false},
    [CJ__ONNX_ATTR_STRINGS] = {"STRINGS", 9, false},
    [CJ__ONNX_ATTR_TENSORS] = {"TENSORS", 10, false},
    [CJ__ONNX_ATTR_GRAPHS] = {"GRAPHS", 11, false},
    [CJ__ONNX_ATTR_SPARSE] = {"SPARSE_TENSOR", 22, true},
    [CJ__ONNX_ATTR_SPARSES] = {"SPARSE_TENSORS", 23, false},
    [CJ__ONNX_ATTR_TYPE] = {"TYPE_PROTO", 14, true},
    [CJ__ONNX_ATTR_TYPES] = {"TYPE_PROTOS", 15, false},
};

bool cj__onnx_is_standard(cj__slice domain)
{
    return !domain.size || cj__slice_is(domain, "ai.onnx");
}

const char *cj__onnx_attribute_type_name(int64_t type)
{
    if (type <= 0 || type >= (int64_t)CJ__COUNT(attribute_types)) return "?";
    return attribute_types[type].name;
}

void cj__onnx_attribute_init(cj__onnx_attribute *attribute, const char *name,
                             cj__onnx_attribute_type type)
{
    *attribute = (cj__onnx_attribute){
        .name = cj__slice_of(name), .type = (int64_t)type, .which = attribute_types[type].field};
}

/* Models older than IR 2 give no type: it follows from the value. */
static cj_status attribute_finish(cj__proto_reader *body, void *message)
{
    cj__onnx_attribute *a = message;
    char name[CJ__SLICE_SHOWN];
    const int64_t count = (int64_t)CJ__COUNT(attribute_types);
    cj__slice_show(a->name, name);
    if (!a->name.size)
        return cj__proto_fail(body, CJ_ERR_DATA, NULL, "an attribute without a name");
    for (int64_t type = 1; a->type == 0 && a->which && type < count; type++)
        if (attribute_types[type].field == a->which) a->type = type;
    if (a->type <= 0 || a->type >= count)
        return cj__proto_fail(body, CJ_ERR_DATA, NULL,
                              "attribute '%s' has type %lld, which is none", name,
                              (long long)a->type);
    if (a->which && a->which != attribute_types[a->type].field)
        return cj__proto_fail(body, CJ_ERR_DATA, NULL,
                              "attribute '%s' is said to be %s, but its value is in field %u", name,
                              attribute_types[a->type].name, a->which);
    if (!a->which && attribute_types[a->type].needed && !a->ref_attr_name.size)
        return cj__proto_fail(body, CJ_ERR_DATA, NULL, "attribute '%s' of type %s has no value",
                              name, attribute_types[a->type].name);
    return CJ_OK;
}

static const cj__proto_table attribute_table = {
    TABLE("AttributeProto", attribute, 3, attribute_rows),
    .which = AT(attribute, which),
    .finish = attribute_finish,
};

static const cj__proto_row node_rows[] = {
    {ROW(1, TEXTS, node, input, "input")},
    {ROW(2, TEXTS, node, output, "output")},
    {ROW(3, TEXT, node, name, "name")},
    {ROW(4, TEXT, node, op_type, "op_type")},
    {ROW(5, MESSAGES, node, attribute, "attribute"), .table = &attribute_table},
    {ROW(6, TEXT, node, doc_string, "doc_string")},
    {ROW(7, TEXT, node, domain, "domain")},
    {ROW(8, TEXT, node, overload, "overload")},
    {0},
};

static cj_status node_finish(cj__proto_reader *body, void *message)
{
    const cj__onnx_node *node = message;
    char name[CJ__SLICE_SHOWN];
    if (node->op_type.size) return CJ_OK;
    return cj__proto_fail(body, CJ_ERR_DATA, NULL, "node '%s' has no op_type",
                          cj__slice_show(node->name, name));
}

static const cj__proto_table node_table = {
    TABLE("NodeProto", node, 3, node_rows), .finish = node_finish,
};

const cj__onnx_attribute *cj__onnx_find_attribute(const cj__onnx_node *node, const char *name)
{
    for (size_t i = 0; i < node->attribute.count; i++)
        if (cj__slice_is(node->attribute.items[i].name, name)) return &node->attribute.items[i];
    return NULL;
}

/* ---- Graphs, functions, models --------------------------------------------------------------- */

static const cj__proto_row graph_rows[] = {
    {ROW(1, MESSAGES, graph, node, "node"), .table = &node_table},
    {ROW(2, TEXT, graph, name, "name")},
    {ROW(5, MESSAGES, graph, initializer, "initializer"), .table = &tensor_table},
    {ROW(10, TEXT, graph, doc_string, "doc_string")},
    {ROW(11, MESSAGES, graph, input, "input"), .table = &value_table},
    {ROW(12, MESSAGES, graph, output, "output"), .table = &value_table},
    {ROW(13, MESSAGES, graph, value_info, "value_info"), .table = &value_table},
    {ROW(15, MESSAGES, graph, sparse_initializer, "sparse_initializer"), .table = &sparse_table},
    {0},
};
static cj_status graph_finish(cj__proto_reader *body, void *message)
{
    const cj__onnx_graph *g = message;
    bool has_output = g->output.count && g->output.items[0].name.size;
    if (g->name.size || g->node.count || g->initializer.count || has_output) return CJ_OK;
    return cj__proto_fail(body, CJ_ERR_DATA, NULL, "an empty graph");
}

static const cj__proto_table graph_table = {
    TABLE("GraphProto", graph, 3, graph_rows),
    .finish = graph_finish,
};

static const cj__proto_row function_rows[] = {
    {ROW(1, TEXT, function, name, "name")},
    {ROW(4, TEXTS, function, input, "input")},
    {ROW(5, TEXTS, function, output, "output")},
    {ROW(6, TEXTS, function, attribute, "attribute")},
    {ROW(7, MESSAGES, function, node, "node"), .table = &node_table},
    {ROW(8, TEXT, function, doc_string, "doc_string")},
    {ROW(9, MESSAGES, function, opset_import, "opset_import"), .table = &opset_table},
    {ROW(10, TEXT, function, domain, "domain")},
    {ROW(11, MESSAGES, function, attribute_proto, "attribute_proto"), .table = &attribute_table},
    {ROW(12, MESSAGES, function, value_info, "value_info"), .table = &value_table},
    {ROW(13, TEXT, function, overload, "overload")},
    {0},
};

static cj_status function_finish(cj__proto_reader *body, void *message)
{
    const cj__onnx_function *function = message;
    if (!function->name.size)
        return cj__proto_fail(body, CJ_ERR_DATA, NULL, "a function without a name");
    if (function->node.count || function->output.count || function->domain.size) return CJ_OK;
    return cj__proto_fail(body, CJ_ERR_DATA, NULL, "an empty function");
}

static const cj__proto_table function_table = {
    TABLE("FunctionProto", function, 5, function_rows),
    .finish = function_finish,
};

static const cj__proto_row model_rows[] = {
    {ROW(1, INT, model, ir_version, "ir_version")},
    {ROW(2, TEXT, model, producer_name, "producer_name")},
    {ROW(3, TEXT, model, producer_version, "producer_version")},
    {ROW(4, TEXT, model, domain, "domain")},
    {ROW(5, INT, model, model_version, "model_version")},
    {ROW(6, TEXT, model, doc_string, "doc_string")},
    {ROW(7, MESSAGE, model, graph, "graph"), .table = &graph_table},
    {ROW(8, MESSAGES, model, opset_import, "opset_import"), .table = &opset_table},
    {ROW(14, MESSAGES, model, metadata_props, "metadata_props"), .table = &entry_table},
    {ROW(25, MESSAGES, model, functions, "functions"), .table = &function_table},
    {0},
};

static cj_status model_finish(cj__proto_reader *body, void *message)
{
    const cj__onnx_model *model = message;
    if (model->graph) return CJ_OK;
    return cj__proto_fail(body, CJ_ERR_DATA, NULL, "this is not an ONNX model: it has no graph");
}

static const cj__proto_table model_table = {
    TABLE("ModelProto", model, 0, model_rows), .finish = model_finish,
};

/* ---- Entry points ---------------------------------------------------------------------------- */

static cj_status parse_top(cj__arena *arena, const cj__proto_table *table, const void *bytes,
                           size_t size, void **out)
{
    cj__proto_reader reader = cj__proto_open(arena->cj, bytes, size);
    void *message = cj__arena_alloc(arena, table->size);
    if (!message) return cj_last_status(arena->cj);
    CJ__TRY(cj__proto_parse(arena, &reader, table, message));
    *out = message;
    return CJ_OK;
}

static cj_status serialize_top(const cj__proto_table *table, const void *message, cj__text *out)
{
    cj__proto_writer counter = {NULL, 0}, writer = {out, 0};
    cj__proto_write(&counter, table, message);
    if (counter.size > INT32_MAX)
        return cj_fail(out->cj, CJ_ERR_LIMIT,
                       "a %s of %zu bytes: protobuf messages end below 2 GiB", table->name,
                       counter.size);
    cj__proto_write(&writer, table, message);
    return out->failed;
}

/* What begins like these is given for a model by mistake. NULL: it may be one that is damaged. */
static const char *other_kind(const char *bytes, size_t size)
{
    static const struct {
        size_t at;
        const char *begin, *what;
    } kinds[] = {{0, "\x93NUMPY", "an array of numpy"}, {0, "PK\3\4", "a zip archive"},
                 {0, "\x89PNG", "a picture"},           {0, "\xff\xd8\xff", "a picture"},
                 {0, "\x89HDF", "a file of HDF5"},      {8, "{", "a file of safetensors"}};
    for (size_t i = 0; i < CJ__COUNT(kinds); i++) {
        const size_t n = strlen(kinds[i].begin);
        if (size >= kinds[i].at + n && !memcmp(bytes + kinds[i].at, kinds[i].begin, n))
            return kinds[i].what;
    }
    size_t i = 0;
    while (i < size && i < 64 && ((bytes[i] >= ' ' && bytes[i] <= '~') || bytes[i] == '\n')) i++;
    return size && (i == size || i == 64) ? "a text" : NULL;
}

cj_status cj__onnx_parse(cj__arena *arena, const void *bytes, size_t size, cj__onnx_model **out)
{
    void *model = NULL;
    cj_status failed = parse_top(arena, &model_table, bytes, size, &model);
    *out = model;
    const char *other = failed == CJ_ERR_FORMAT ? other_kind(bytes, size) : NULL;
    return other ? cj_fail(arena->cj, CJ_ERR_FORMAT, "this is %s, not a model of ONNX", other)
                 : failed;
}

cj_status cj__onnx_parse_tensor(cj__arena *arena, const void *bytes, size_t size,
                                cj__onnx_tensor **out)
{
    void *tensor = NULL;
    cj_status failed = parse_top(arena, &tensor_table, bytes, size, &tensor);
    *out = tensor;
    return failed;
}

cj_status cj__onnx_serialize(const cj__onnx_model *model, cj__text *out)
{
    return serialize_top(&model_table, model, out);
}

cj_status cj__onnx_serialize_tensor(const cj__onnx_tensor *tensor, cj__text *out)
{
    return serialize_top(&tensor_table, tensor, out);
}
