/* model.h: an ONNX file as plain structures, before any graph of ours.
 *
 *     cj__arena arena;
 *     cj__arena_init(&arena, cj);
 *     cj__onnx_model *model;
 *     cj_status failed = cj__onnx_parse(&arena, bytes, size, &model);
 *     if (failed) cj__prefix(cj, failed, "%s", path);             "m.onnx: byte 1234: ..."
 *
 * The structures mirror onnx.proto (IR 8, with the newer fields named below). Text and tensor data
 * refer to the input bytes, which must outlive the model; turn text into C strings with
 * cj__slice_string, which checks it. Arena memory is at most 32 bytes a byte of input.
 *
 * Parsing refuses what no writer writes: a model without graph, a node without op_type, attributes
 * without name or with two values, tensors whose data are not as long as their dims say.
 * Not kept: unknown fields, training_info, quantization_annotation, and metadata_props but for the
 * model's. */
#ifndef CAJAL_FORMAT_ONNX_MODEL_H
#define CAJAL_FORMAT_ONNX_MODEL_H

#include "format/onnx/message.h"

typedef struct cj__onnx_graph cj__onnx_graph;

typedef struct cj__onnx_entry { /* StringStringEntryProto */
    cj__slice key, value;
} cj__onnx_entry;

typedef struct cj__onnx_opset { /* OperatorSetIdProto; domain "" is ai.onnx */
    cj__slice domain;
    int64_t version;
} cj__onnx_opset;

/* ---- Tensors --------------------------------------------------------------------------------- */

typedef enum cj__onnx_type { /* TensorProto.DataType */
    CJ__ONNX_UNDEFINED, CJ__ONNX_FLOAT, CJ__ONNX_UINT8, CJ__ONNX_INT8, CJ__ONNX_UINT16,
    CJ__ONNX_INT16, CJ__ONNX_INT32, CJ__ONNX_INT64, CJ__ONNX_STRING, CJ__ONNX_BOOL,
    CJ__ONNX_FLOAT16, CJ__ONNX_DOUBLE, CJ__ONNX_UINT32, CJ__ONNX_UINT64, CJ__ONNX_COMPLEX64,
    CJ__ONNX_COMPLEX128, CJ__ONNX_BFLOAT16, CJ__ONNX_FLOAT8E4M3FN, CJ__ONNX_FLOAT8E4M3FNUZ,
    CJ__ONNX_FLOAT8E5M2, CJ__ONNX_FLOAT8E5M2FNUZ, CJ__ONNX_UINT4, CJ__ONNX_INT4,
    CJ__ONNX_FLOAT4E2M1, CJ__ONNX_FLOAT8E8M0, CJ__ONNX_UINT2, CJ__ONNX_INT2
} cj__onnx_type;

/* One of: raw, typed, strings, external data, or nothing when a dim is 0. tensor.h decodes them. */
typedef struct cj__onnx_tensor {
    cj__slice name, doc_string;
    CJ__PROTO_LIST(int64_t) dims; /* all >= 0 */
    int64_t data_type;            /* cj__onnx_type, or a newer number */
    int64_t data_location;        /* 1: external */
    cj__slice raw;                /* little-endian */
    struct {                      /* values of float_data, int32_data ...: still in the input */
        uint32_t field;           /* their field number, 0 for none */
        size_t count;             /* of values */
        cj__slice body;           /* the TensorProto they are in */
    } typed;
    CJ__PROTO_LIST(cj__slice) strings;       /* any bytes */
    CJ__PROTO_LIST(cj__onnx_entry) external; /* location, offset, length, checksum */
} cj__onnx_tensor;

typedef struct cj__onnx_sparse { /* SparseTensorProto */
    cj__onnx_tensor *values, *indices;
    CJ__PROTO_LIST(int64_t) dims;
} cj__onnx_sparse;

/* ---- Types ----------------------------------------------------------------------------------- */

enum { CJ__ONNX_DIM_VALUE = 1, CJ__ONNX_DIM_PARAM = 2 };
typedef struct cj__onnx_dim {
    uint32_t which; /* CJ__ONNX_DIM_...; 0: unknown */
    union {
        int64_t value;
        cj__slice param;
    } as;
} cj__onnx_dim;

typedef struct cj__onnx_shape {
    CJ__PROTO_LIST(cj__onnx_dim) dim;
} cj__onnx_shape;

typedef struct cj__onnx_tensor_type {
    int64_t elem_type;     /* cj__onnx_type */
    cj__onnx_shape *shape; /* NULL: unknown rank */
} cj__onnx_tensor_type;

enum {
    CJ__ONNX_TYPE_TENSOR = 1,
    CJ__ONNX_TYPE_SEQUENCE = 4,
    CJ__ONNX_TYPE_MAP = 5,
    CJ__ONNX_TYPE_OPAQUE = 7,
    CJ__ONNX_TYPE_SPARSE = 8,
    CJ__ONNX_TYPE_OPTIONAL = 9
};
typedef struct cj__onnx_value_type { /* TypeProto */
    uint32_t which;                  /* CJ__ONNX_TYPE_...; 0: none */
    union {
        cj__onnx_tensor_type *tensor;
        cj__slice other; /* every other kind: its message, as it came */
    } as;
    cj__slice denotation;
} cj__onnx_value_type;

typedef struct cj__onnx_value { /* ValueInfoProto */
    cj__slice name, doc_string;
    cj__onnx_value_type *type; /* NULL: not told */
} cj__onnx_value;

/* ---- Nodes ----------------------------------------------------------------------------------- */

typedef enum cj__onnx_attribute_type { /* AttributeProto.AttributeType */
    CJ__ONNX_ATTR_NONE = 0, CJ__ONNX_ATTR_FLOAT = 1, CJ__ONNX_ATTR_INT = 2,
    CJ__ONNX_ATTR_STRING = 3, CJ__ONNX_ATTR_TENSOR = 4, CJ__ONNX_ATTR_GRAPH = 5,
    CJ__ONNX_ATTR_FLOATS = 6, CJ__ONNX_ATTR_INTS = 7, CJ__ONNX_ATTR_STRINGS = 8,
    CJ__ONNX_ATTR_TENSORS = 9, CJ__ONNX_ATTR_GRAPHS = 10, CJ__ONNX_ATTR_SPARSE = 11,
    CJ__ONNX_ATTR_SPARSES = 12, CJ__ONNX_ATTR_TYPE = 13, CJ__ONNX_ATTR_TYPES = 14
} cj__onnx_attribute_type;

/* After parsing, `type` is one of the above and agrees with `as`; as.t, as.g, as.sparse are not
 * NULL. Only when ref_attr_name is there (inside a function) may `as` be empty. A writer sets type
 * and as through cj__onnx_attribute_init, since `which` must agree too. */
typedef struct cj__onnx_attribute {
    cj__slice name, ref_attr_name, doc_string;
    int64_t type;
    uint32_t which; /* field number of the value that is there, 0 for none */
    union {
        float f;
        int64_t i;
        cj__slice s;
        cj__onnx_tensor *t;
        cj__onnx_graph *g;
        cj__onnx_sparse *sparse;
        cj__slice type_proto; /* a TypeProto, as it came */
        CJ__PROTO_LIST(float) floats;
        CJ__PROTO_LIST(int64_t) ints;
        CJ__PROTO_LIST(cj__slice) strings;
        CJ__PROTO_LIST(cj__onnx_tensor) tensors;
        CJ__PROTO_LIST(cj__onnx_graph) graphs;
        CJ__PROTO_LIST(cj__onnx_sparse) sparses;
        CJ__PROTO_LIST(cj__slice) type_protos;
    } as;
} cj__onnx_attribute;

typedef struct cj__onnx_node {
    CJ__PROTO_LIST(cj__slice) input, output; /* "" is an absent one */
    cj__slice name, op_type, domain, overload, doc_string;
    CJ__PROTO_LIST(cj__onnx_attribute) attribute;
} cj__onnx_node;

/* ---- Graphs, functions, models --------------------------------------------------------------- */

struct cj__onnx_graph {
    CJ__PROTO_LIST(cj__onnx_node) node;
    cj__slice name, doc_string;
    CJ__PROTO_LIST(cj__onnx_tensor) initializer;
    CJ__PROTO_LIST(cj__onnx_value) input, output, value_info;
    CJ__PROTO_LIST(cj__onnx_sparse) sparse_initializer;
};

/* Model-local. overload, attribute_proto and value_info are newer than IR 8. */
typedef struct cj__onnx_function {
    cj__slice name, domain, overload, doc_string;
    CJ__PROTO_LIST(cj__slice) input, output, attribute;
    CJ__PROTO_LIST(cj__onnx_attribute) attribute_proto; /* attributes with default values */
    CJ__PROTO_LIST(cj__onnx_node) node;
    CJ__PROTO_LIST(cj__onnx_opset) opset_import;
    CJ__PROTO_LIST(cj__onnx_value) value_info;
} cj__onnx_function;

typedef struct cj__onnx_model {
    int64_t ir_version, model_version;
    cj__slice producer_name, producer_version, domain, doc_string;
    cj__onnx_graph *graph; /* never NULL after parsing */
    CJ__PROTO_LIST(cj__onnx_opset) opset_import;
    CJ__PROTO_LIST(cj__onnx_entry) metadata_props;
    CJ__PROTO_LIST(cj__onnx_function) functions;
} cj__onnx_model;

/* The model in the arena. CJ_ERR_FORMAT for bytes that are no protobuf, CJ_ERR_DATA for a message
 * that is no model, CJ_ERR_LIMIT for more than 64 levels; the message begins "byte 1234: ". */
cj_status cj__onnx_parse(cj__arena *arena, const void *bytes, size_t size, cj__onnx_model **out);
/* Appends the file. The same model gives the same bytes: fields in ascending number, lengths
 * minimal, dense numeric tensor data as raw_data. CJ_ERR_LIMIT from 2 GiB on, where protobuf ends
 * (use external data). */
cj_status cj__onnx_serialize(const cj__onnx_model *model, cj__text *out);

/* The same for a tensor alone, as in the .pb files beside ONNX's test models. */
cj_status cj__onnx_parse_tensor(cj__arena *arena, const void *bytes, size_t size,
                                cj__onnx_tensor **out);
cj_status cj__onnx_serialize_tensor(const cj__onnx_tensor *tensor, cj__text *out);

/* An attribute to be written: the value is then put into ->as. */
void cj__onnx_attribute_init(cj__onnx_attribute *attribute, const char *name,
                             cj__onnx_attribute_type type);
/* By name; NULL when the node has none. */
const cj__onnx_attribute *cj__onnx_find_attribute(const cj__onnx_node *node, const char *name);
/* Is it the domain of ONNX's own operators? */
bool cj__onnx_is_standard(cj__slice domain);
/* "INTS"; "?" for a number that is none. */
const char *cj__onnx_attribute_type_name(int64_t type);

#endif
