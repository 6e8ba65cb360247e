/* map.h: between our operators and ONNX's: the rows, and what the code of a row works with.
 *
 * A row pairs an operator of ours with one of ONNX's. `write` turns a call into ONNX nodes, `read`
 * a node into calls. Operators that ONNX lacks are written as a few nodes, each of which is read
 * again as what it is; operators that we lack are read as a few calls.
 *
 *     static void write_rsqrt(cj__onnx_writer *w, const cj__onnx_row *row)
 *     {
 *         cj__onnx_last(w, "Reciprocal", cj__onnx_step(w, "Sqrt", cj__onnx_in(w, 0), NULL), NULL);
 *     }
 *
 * Both sides are sticky: after a failure everything gives NULL or does nothing. */
#ifndef CAJAL_FORMAT_ONNX_MAP_H
#define CAJAL_FORMAT_ONNX_MAP_H

#include "format/onnx/model.h"
#include "format/onnx/names.h"
#include "graph/graph.h"

#include <cajal/nn.h>
#include <cajal/run.h>

/* The newest that is read. */
enum { CJ__ONNX_OPSET_NEWEST = 28 };

typedef struct cj__onnx_writer cj__onnx_writer;
typedef struct cj__onnx_reader cj__onnx_reader;
typedef struct cj__onnx_row cj__onnx_row;

struct cj__onnx_row {
    const char *onnx; /* ONNX's operator; NULL: op->onnx, or none that is read */
    const char *domain; /* NULL: ONNX's first */
    const cj_op *op;  /* ours; NULL: only read */
    void (*write)(cj__onnx_writer *w, const cj__onnx_row *row);
    void (*read)(cj__onnx_reader *r, const cj__onnx_row *row);
    unsigned types;   /* CJ__ONNX_BIT of what ONNX's operator takes; 0: everything */
    bool broadcasts;  /* operands of smaller shape may be written as they are */
    /* What is to be written for operand i; NULL: nothing, `write` does it. Without: the operand. */
    const cj_node *(*operand)(const cj__onnx_writer *w, const cj_call *call, int i);
    union { /* for readers that many rows share */
        cj_node *(*unary)(cj_node *x);
        cj_node *(*binary)(cj_node *a, cj_node *b);
        cj_node *(*reduce)(cj_node *x, int n_axes, const int64_t *axes, bool keep);
    };
};

#define CJ__ONNX_BIT(dtype) (1u << (dtype))
enum {
    CJ__ONNX_FLOATS = 1u << CJ_F16 | 1u << CJ_F32 | 1u << CJ_F64,
    CJ__ONNX_FLOATS_BF = CJ__ONNX_FLOATS | 1u << CJ_BF16,
    CJ__ONNX_WIDE = 1u << CJ_I32 | 1u << CJ_I64 | 1u << CJ_U32 | 1u << CJ_U64,
    CJ__ONNX_BYTES = 1u << CJ_I8 | 1u << CJ_U8,
    CJ__ONNX_NUMBERS = CJ__ONNX_FLOATS_BF | CJ__ONNX_WIDE | CJ__ONNX_BYTES | 1u << CJ_I16 |
                       1u << CJ_U16
};

/* Ended by a row without names; the files of map/. */
extern const cj__onnx_row cj__onnx_rows_elementwise[], cj__onnx_rows_activation[],
    cj__onnx_rows_reduce[], cj__onnx_rows_shape[], cj__onnx_rows_slice[], cj__onnx_rows_index[],
    cj__onnx_rows_signal[], cj__onnx_rows_attention[], cj__onnx_rows_linear[], cj__onnx_rows_conv[],
    cj__onnx_rows_norm[], cj__onnx_rows_control[], cj__onnx_rows_sequence[],
    cj__onnx_rows_random[], cj__onnx_rows_training[],
    cj__onnx_rows_quant[], cj__onnx_rows_text[],
    cj__onnx_rows_recurrent[], cj__onnx_rows_pool[], cj__onnx_rows_image[];
extern const cj__onnx_row cj__onnx_rows_matrix[], cj__onnx_rows_region[], cj__onnx_rows_select[],
    cj__onnx_rows_warp[];
/* Row i of all tables, NULL past the last. */
const cj__onnx_row *cj__onnx_row_at(size_t i);

/* ---- Writing: export.c ----------------------------------------------------------------------- */

typedef struct cj__onnx_nodes { /* a growing list */
    cj__onnx_node *items;
    size_t count, capacity;
} cj__onnx_nodes;

/* A graph that is being written: the model's, a body, or a body that is inlined. */
typedef struct cj__onnx_scope {
    struct cj__onnx_scope *outer;
    cj_graph *g;
    const char ***names;   /* by call id: the names of its outputs; NULL: not written yet */
    const char **prefixes; /* by call id: the layer's name, NULL for none */
    const int *uses;       /* by call id: of operands and outputs */
    const char *prefix;    /* of what is written in place of a call: its layer's name; or NULL */
    cj__onnx_nodes *nodes;
    const char **dims;     /* by expression: the i64 scalar that is its value */
    int n_dims;
} cj__onnx_scope;

struct cj__onnx_writer {
    cj_context *cj;
    cj__arena *arena;
    cj_status failed;
    const char *name; /* of the graph */
    cj__onnx_scope *scope;
    int64_t opset;
    const cj_call *call;    /* that is being written */
    cj__onnx_node *node;    /* the last one emitted, which attributes go to */
    cj__names values, nodes, shared; /* names in use; initializers by what they hold */
    cj__names variables;    /* initializers by the variable's name */
    cj__names layers;       /* names of the model's layers */
    cj__onnx_tensor *initializers;
    size_t n_initializers, initializers_capacity;
    const cj_tensor **mapped; /* to be unmapped once the model is serialized, */
    size_t n_mapped;
    cj_tensor **made;         /* and those of our own making, to be freed */
    size_t n_made, held_capacity, made_capacity;
    cj_graph *lowered;        /* of composites: a list by next_body */
    struct cj__onnx_packed *packed, **last_packed; /* packed.h */
};

/* The value of operand i of the call. */
const char *cj__onnx_in(cj__onnx_writer *w, int i);
/* The value of any node of the scope. */
const char *cj__onnx_value_of(cj__onnx_writer *w, const cj_node *node);
/* Operand names of a call whose ONNX operator broadcasts: broadcasts are left out where they may.
 */
void cj__onnx_in_broadcast(cj__onnx_writer *w, const char **names);
/* A node with the given inputs (up to NULL; "" is an absent one) and a new value, which is
 * returned. */
const char *cj__onnx_step(cj__onnx_writer *w, const char *op, ...);
/* The node that gives the call's outputs. */
void cj__onnx_last(cj__onnx_writer *w, const char *op, ...);
void cj__onnx_emit(cj__onnx_writer *w, const char *op, size_t n_in, const char *const *in,
                   size_t n_out, const char *const *out);
/* The same of one input for the first output alone; nobody reads the others. */
void cj__onnx_only_list(cj__onnx_writer *w, const char *op, size_t n_in, const char *const *in);
void cj__onnx_only(cj__onnx_writer *w, const char *op, const char *x);
/* `step` when more nodes of this call follow, else `last` and NULL; y and z may be NULL. */
const char *cj__onnx_step_or_last(cj__onnx_writer *w, int left, const char *op, const char *x,
                                  const char *y, const char *z);
/* The same as `last`, with a list. */
void cj__onnx_last_list(cj__onnx_writer *w, const char *op, size_t n_in, const char *const *in);
/* Names of the call's outputs, for nodes that are emitted one by one. NULL after a failure. */
const char **cj__onnx_outputs(cj__onnx_writer *w);
/* Attributes of w->node. */
void cj__onnx_put_int(cj__onnx_writer *w, const char *name, int64_t value);
void cj__onnx_put_float(cj__onnx_writer *w, const char *name, double value);
void cj__onnx_put_ints(cj__onnx_writer *w, const char *name, int n, const int64_t *values);
void cj__onnx_put_string(cj__onnx_writer *w, const char *name, const char *value);
void cj__onnx_put_strings(cj__onnx_writer *w, const char *name, int n, const char *const *values);
void cj__onnx_put_graph(cj__onnx_writer *w, const char *name, cj__onnx_graph *graph);
/* Initializers: equal ones are shared. */
const char *cj__onnx_ints(cj__onnx_writer *w, int n, const int64_t *values); /* an i64 vector */
const char *cj__onnx_scalar(cj__onnx_writer *w, cj_dtype dtype, double value);
const char *cj__onnx_full(cj__onnx_writer *w, cj_dtype dtype, int64_t n, bool ones); /* or zeros */
const char *cj__onnx_floats(cj__onnx_writer *w, int n, const double *values); /* an f32 vector */
const char *cj__onnx_tensor_value(cj__onnx_writer *w, const char *name, const cj_tensor *value);
/* The same, named after the layer: "lstm/W" for the name "W". */
const char *cj__onnx_layer_tensor(cj__onnx_writer *w, const char *name, const cj_tensor *value);
/* "lstm/LSTM" for the name "LSTM": a new value's. NULL after a failure. */
const char *cj__onnx_layer_name(cj__onnx_writer *w, const char *name);
/* A tensor that the writer frees. NULL after a failure. */
cj_tensor *cj__onnx_new_tensor(cj__onnx_writer *w, cj_dtype dtype, int rank, const int64_t *dims);
/* "x" as dtype. */
const char *cj__onnx_cast(cj__onnx_writer *w, const char *x, cj_dtype dtype);
/* An attribute of w->call by name, which the operator must have. */
const void *cj__onnx_field(const cj_call *call, const char *name);
int64_t cj__onnx_field_int(const cj_call *call, const char *name);
bool cj__onnx_field_bool(const cj_call *call, const char *name);
cj_ints cj__onnx_field_ints(const cj_call *call, const char *name);
/* Fails naming the call. */
void cj__onnx_refuse(cj__onnx_writer *w, cj_status status, const char *format, ...) CJ_PRINTF(3, 4);
/* The calls of `graph` in a scope whose node list is `nodes`; then gives the values of its outputs.
 */
bool cj__onnx_write_calls(cj__onnx_writer *w);
/* A body as a GraphProto: its first n_in placeholders are inputs, the others stand for captures. */
cj__onnx_graph *cj__onnx_write_body(cj__onnx_writer *w, const char *name, cj_graph *body, int n_in,
                                    const char *const *captures);
/* A body's calls in place: out[i] is the value of its output i. */
void cj__onnx_write_inline(cj__onnx_writer *w, cj_graph *body, const char *const *in,
                           const char **out);

/* map/norm.c: does the file need this value? */
bool cj__onnx_is_read(const cj__onnx_writer *w, const cj_node *node);
/* The call as its lowering, as far as it is read: for a composite that ONNX lacks. */
void cj__onnx_write_lowered(cj__onnx_writer *w);

/* Reading x as `type`, or x times or plus v, where that is a step of what is written for a group
 * normalisation before opset 21: gives the node's output, true. */
bool cj__onnx_read_groups(cj__onnx_reader *r, const cj_node *x, const cj_type *type);
bool cj__onnx_read_affine(cj__onnx_reader *r, cj_node *x, cj_node *v, bool shift);

/* map/conv.c: images. Operand i channels-first; a channels-last value as channels-first or (back)
 * the other way, as a step or as the call's last node, for its first output alone. */
const char *cj__onnx_image(cj__onnx_writer *w, int i, int64_t channel_axis);
const char *cj__onnx_transposed(cj__onnx_writer *w, const char *x, int rank, bool back);
void cj__onnx_last_transposed(cj__onnx_writer *w, const char *y, int rank);

/* export_dims.c: a dimension as an i64 scalar, dimensions as an i64 vector. */
const char *cj__onnx_dim_value(cj__onnx_writer *w, cj_dim d);
const char *cj__onnx_dims(cj__onnx_writer *w, int n, const cj_dim *dims);

/* The whole graph. Names, initializers and nodes live in w's arena; after serializing, release. */
void cj__onnx_writer_init(cj__onnx_writer *w, cj_context *cj, cj__arena *arena);
void cj__onnx_writer_release(cj__onnx_writer *w);
cj_status cj__onnx_export(cj__onnx_writer *w, cj_graph *g, cj__onnx_model *out);
/* export_order.c: initializers in the order in which nodes first use them, no others. */
void cj__onnx_order_initializers(cj__onnx_writer *w, cj__onnx_graph *graph);
/* Has the variable of this name been written? */
bool cj__onnx_has_variable(const cj__onnx_writer *w, const char *name);

/* ---- Reading: import.c ----------------------------------------------------------------------- */

/* An integer scalar or vector whose elements are known when importing, though they may be symbols:
 * Shape(x), and what is computed from it. Of rank 2, rows of `width`, as PyTorch turns its pads
 * round, it goes from one view to the next and to nobody else. */
typedef struct cj__onnx_sizes {
    int rank, n; /* rank 0: n is 1 */
    int width;
    cj_dtype dtype;
    struct {
        bool symbolic;
        int64_t v; /* a number, or (symbolic) a cj_dim of the scope's graph */
    } at[];
} cj__onnx_sizes;
enum { CJ__ONNX_SIZES_MAX = 64 };

/* A sequence: a list of values, while reading. */
typedef struct cj__onnx_list {
    struct cj__onnx_source **items;
    int64_t n;
} cj__onnx_list;

typedef struct cj__onnx_source { /* a value: where it comes from, as far as is known */
    const char *name;
    const cj__onnx_tensor *initializer;
    cj_tensor *tensor;
    cj_node *node;
    const cj__onnx_sizes *sizes;
    const struct cj__onnx_source *sum[2]; /* it was an Add of these; for slices of known size */
    const struct cj__onnx_packed *packed; /* of ours: rows are as we have them (packed.h) */
    const cj__onnx_list *list; /* it is a sequence, */
    bool absent;               /* or an optional value that is none */
    struct cj__onnx_source *origin; /* the initializer that this is another name for */
    bool is_weight; /* the tensor becomes a variable; else a constant */
    bool is_state;  /* and one that is not trained */
} cj__onnx_source;

typedef struct cj__onnx_level { /* a graph that is being read */
    struct cj__onnx_level *outer;
    cj_graph *g;
    cj__names values; /* name -> cj__onnx_source */
    bool open;        /* read in place: in the graph around it, whose names are seen */
    /* Of a function that is called: what attributes refer to. */
    const cj__onnx_function *function;
    const cj__onnx_node *caller;
} cj__onnx_level;

/* What was computed of the model's graph while reading: values.c. */
typedef struct cj__onnx_kept {
    const cj_node *node;
    cj_tensor *value; /* the reader's */
    cj_node *input;   /* that stands for it in the run that is being made */
    int next;         /* of the same call: as calls[] */
} cj__onnx_kept;
typedef struct cj__onnx_values {
    int *calls; /* by call: 0, it has not run; -1, it has; else 1 + the place of a value in kept */
    int n_calls;
    cj__onnx_kept *kept;
    int n_kept, capacity;
    bool noted;         /* is last_use made? */
    cj__names last_use; /* name -> 1 + the number of the last node of the model's graph to use it */
} cj__onnx_values;

/* What reading may still cost: budget.c. */
typedef struct cj__onnx_budget {
    int64_t bytes;          /* of the file and what else was given; everything below follows */
    int64_t nodes, granted; /* nodes that may still be read; of them, for steps that were known */
    int64_t work_ns;        /* for values that must be computed */
    double kept;            /* bytes of values that are kept for more of them */
    bool any;               /* no limits */
} cj__onnx_budget;

struct cj__onnx_reader {
    cj_context *cj;
    cj__arena *arena;
    struct cj__onnx_files *files; /* that tensors lie in */
    cj_status failed;
    int64_t opset;
    cj__onnx_level *level;
    cj_graph *g;                /* level->g */
    const cj__onnx_node *node;  /* that is being read */
    size_t asked;               /* of its operands: 1 + the last that was looked at */
    cj_tensor **tensors;        /* decoded, to be freed */
    size_t n_tensors, tensors_capacity;
    const cj__names *parameters, *variables; /* of a file that lists them; else NULL */
    const cj__names *frozen;    /* as cj__onnx_import_opts */
    const cj__names *packed;    /* as cj__onnx_import_opts */
    int64_t batch;              /* that the file fixes, and has become a symbol; 0: none */
    cj_dim opened;              /* which, where the values of the inputs have another; 0: none */
    const cj__onnx_model *model;
    const cj_onnx_opts *opts;
    cj_feed *feeds;             /* inputs whose values are known: values.c */
    int n_feeds;
    const cj__onnx_node *waits; /* the last that asked for what depends on inputs without a value */
    size_t at;                  /* the number of the node of the model's graph that is being read */
    cj__onnx_values values;
    cj__names rows;             /* by the operator's name: const cj__onnx_row */
    int anonymous;              /* symbols made for sizes without a name */
    cj__onnx_budget budget;
};

bool cj__onnx_has(cj__onnx_reader *r, size_t i);       /* is input i there? */
bool cj__onnx_wants(const cj__onnx_reader *r, size_t k);     /* has output k a name? */
cj_node *cj__onnx_node_in(cj__onnx_reader *r, size_t i);     /* fails when it is absent */
/* The same; an initializer of another program that nothing asked for yet becomes state. */
cj_node *cj__onnx_state_in(cj__onnx_reader *r, size_t i);
/* The value, computed when it can be (values.c); NULL, which is no failure, when it is known only
 * when running. */
const cj_tensor *cj__onnx_tensor_in(cj__onnx_reader *r, size_t i);
cj__onnx_source *cj__onnx_source_in(cj__onnx_reader *r, size_t i);
/* Known integers, NULL when they are not known. */
const cj__onnx_sizes *cj__onnx_sizes_of(cj__onnx_reader *r, cj__onnx_source *source);
const cj__onnx_sizes *cj__onnx_sizes_in(cj__onnx_reader *r, size_t i);
/* The same, computed when it can be; for what must be known. */
const cj__onnx_sizes *cj__onnx_want_sizes(cj__onnx_reader *r, size_t i);
/* Input i as numbers, or a failure that names it `what`. Returns how many, -1 for a failure. */
int cj__onnx_numbers_in(cj__onnx_reader *r, size_t i, const char *what, int max, int64_t *out);
int cj__onnx_dims_in(cj__onnx_reader *r, size_t i, const char *what, int max, cj_dim *out);
/* A constant scalar; false when absent, with a failure when not constant. */
bool cj__onnx_number_in(cj__onnx_reader *r, size_t i, const char *what, double *value);
/* The same of a source; false, which is no failure, when it is known only when running. */
bool cj__onnx_number_of(cj__onnx_reader *r, cj__onnx_source *source, double *value);
/* Attributes; the initial value when absent. A wrong type is a failure. */
bool cj__onnx_has_attribute(const cj__onnx_reader *r, const char *name);
int64_t cj__onnx_get_int(cj__onnx_reader *r, const char *name, int64_t initial);
/* An axis as an int; one that no rank has is a failure. */
int cj__onnx_get_axis(cj__onnx_reader *r, const char *name, int initial);
double cj__onnx_get_float(cj__onnx_reader *r, const char *name, double initial);
/* 0.1f as 0.1, which was meant. */
double cj__onnx_decimal(float value);
/* How many; -1 when absent or (then the reader has failed) wrong. */
int cj__onnx_get_ints(cj__onnx_reader *r, const char *name, int max, int64_t *out);
bool cj__onnx_get_word(cj__onnx_reader *r, const char *name, const char *initial, char out[32]);
/* Of any length, in the reader's arena; NULL with a failure when absent. */
const char *cj__onnx_get_text(cj__onnx_reader *r, const char *name);
cj__onnx_graph *cj__onnx_get_graph(cj__onnx_reader *r, const char *name);
/* ints of an attribute (old opsets) or of input i (new ones). As the two above. */
int cj__onnx_axes(cj__onnx_reader *r, const char *name, size_t i, int max, int64_t *out);

/* map/elementwise.c: operand 1 to be combined with a. Before opset 7 it lies on a's axes from the
 * attribute `axis` on, by default on the last ones. */
cj_node *cj__onnx_second_in(cj__onnx_reader *r, const cj_node *a);
/* The attribute `to`, a name before opset 6; CJ_DTYPE_NONE with a failure. */
cj_dtype cj__onnx_cast_to(cj__onnx_reader *r);

void cj__onnx_set(cj__onnx_reader *r, size_t k, cj_node *node);
void cj__onnx_set_sizes(cj__onnx_reader *r, size_t k, const cj__onnx_sizes *sizes);
void cj__onnx_fail(cj__onnx_reader *r, cj_status status, const char *format, ...) CJ_PRINTF(3, 4);
/* Size and dims as a node: a constant, or stacked dim_values. */
cj_node *cj__onnx_sizes_node(cj__onnx_reader *r, const cj__onnx_sizes *sizes);
cj__onnx_sizes *cj__onnx_new_sizes(cj__onnx_reader *r, int rank, int n, cj_dtype dtype);
/* map/shape.c: x with its axes in the order p; a failure where it has not n axes. NULL for NULL. */
cj_node *cj__onnx_permuted(cj__onnx_reader *r, cj_node *x, int n, const int64_t *p);
/* A tensor of the file, which the reader frees; NULL for a failure. */
cj_tensor *cj__onnx_decode(cj__onnx_reader *r, const cj__onnx_tensor *from);

/* map/conv.c: input i, an image. Behind the Transpose of a channels-last one (*last) it is that
 * one; output k is then to be channels-last as well, and is transposed for those that follow. */
cj_node *cj__onnx_image_in(cj__onnx_reader *r, size_t i, bool *last);
void cj__onnx_set_image(cj__onnx_reader *r, size_t k, cj_node *y, bool last);
/* map/shape.c: x transposed; its operand when it is a transpose that is undone. NULL: reversed. */
cj_node *cj__onnx_turned(cj_node *x, const int64_t *permutation);
/* The convolution that the node's attributes describe, of these channels-first images. */
cj_node *cj__onnx_conv(cj__onnx_reader *r, cj_node *x, cj_node *w);

/* map/quant.c: what attributes say of casts to small floats. */
cj_cast_mode cj__onnx_cast_mode(cj__onnx_reader *r);

/* map/scan.c: a placeholder in a body that the importer makes, for x or an element of x along axis
 * 0; y, the call that took the body, which is freed where there is none; the Scan of opset 8. */
cj_node *cj__onnx_body_input(cj__onnx_reader *r, cj_graph *body, const cj_node *x, bool element);
cj_node *cj__onnx_took(cj_node *y, cj_graph *body);
void cj__onnx_read_batch_scan(cj__onnx_reader *r);

/* map/region.c: 0, 1 ... n - 1 along one axis of `rank`, the others being 1; an image [n, c, ...]
 * as [n, ..., c]. */
cj_node *cj__onnx_places(cj_graph *g, cj_dtype dtype, int axis, int rank, cj_dim n);
cj_node *cj__onnx_channels_last(cj_node *x);

/* import_sizes.c: gives the outputs of nodes on known sizes; true when it did. */
bool cj__onnx_fold(cj__onnx_reader *r);
/* map/control.c: the names a graph uses and does not make, in order of first use. */
typedef struct cj__onnx_free {
    const char **names;
    size_t count, capacity;
    cj__names seen;
} cj__onnx_free;
bool cj__onnx_free_names(cj__onnx_reader *r, const cj__onnx_graph *graph, cj__onnx_free *out);
/* A body: its inputs stand for nodes of these types (n of them), then one for each captured node.
 */
cj_graph *cj__onnx_read_body(cj__onnx_reader *r, const cj__onnx_graph *graph, const cj_type *inputs,
                             int n, const cj__onnx_free *captures, cj_node **captured,
                             int *n_captured);
cj_node *cj__onnx_node_of(cj__onnx_reader *r, cj__onnx_source *source);

typedef struct cj__onnx_import_opts {
    const char *folder, *path; /* of external data, of the model; NULL: none */
    struct cj__buffer *file;   /* the model's bytes, when tensors may share them; else NULL */
    const cj__names *parameters, *variables; /* names, or NULL */
    const cj__names *frozen; /* weights that are state; of a batch normalisation: its statistics
                                stay; or NULL */
    const cj__names *packed; /* names of what cj__onnx_unpack took apart, or NULL */
    int64_t batch; /* a size that is the symbol "batch" now; 0: none */
    const cj_onnx_opts *asked; /* or NULL */
    size_t bytes; /* of the file, which limit what reading may cost; 0: any */
    bool *waits;  /* set where it failed for want of the values of inputs; or NULL */
} cj__onnx_import_opts;
/* The model's graph, verified. The caller frees it. */
cj_status cj__onnx_import(cj_context *cj, cj__arena *arena, const cj__onnx_model *model,
                          const cj__onnx_import_opts *opts, cj_graph **out);

#endif
