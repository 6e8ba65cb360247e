/* graph.h: the inside of graphs. Public names are in <cajal/graph.h> and <cajal/op.h>. */
#ifndef CAJAL_GRAPH_GRAPH_H
#define CAJAL_GRAPH_GRAPH_H

#define CJ_NO_KEYWORDS
#include <cajal/graph.h>
#include <cajal/op.h>

#include "base/arena.h"
#include "base/option.h"
#include "base/size.h"
#include "base/text.h"

/* A row's samples for the tests, which the core build has no room for. */
#ifdef CJ_CORE
#define CJ__SAMPLE(function) (0 ? (function) : NULL)
#else
#define CJ__SAMPLE(function) (function)
#endif

/* ---- Dimensions: dim.c ----------------------------------------------------------------------- */

/* A dimension below zero is -1 - (index of its expression). Expressions are unique in a graph, and
 * sums of products are kept in one normal form, so equal ones have equal numbers:
 *
 *     NAME      a symbol; bound from the shape of a fed placeholder, or (call set) found while
 * running PRODUCT   of 2 or more atoms, sorted SUM       constant + coefficient * (atom or product)
 * + ..., sorted QUOTIENT  floor(a / b), MAX, MIN: of two dimensions; atoms like NAME
 */
typedef enum cj__expr_kind {
    CJ__EXPR_NAME,
    CJ__EXPR_PRODUCT,
    CJ__EXPR_SUM,
    CJ__EXPR_QUOTIENT,
    CJ__EXPR_MAX,
    CJ__EXPR_MIN
} cj__expr_kind;

enum { CJ__EXPR_TERMS_MAX = 8 };

typedef struct cj__expr {
    cj__expr_kind kind;
    const char *name;                     /* NAME */
    bool dynamic;                         /* NAME: known only after a call has run */
    int n;                                /* factors of a PRODUCT, terms of a SUM, else 2 */
    int64_t constant;                     /* SUM */
    int64_t coefficient[CJ__EXPR_TERMS_MAX]; /* SUM */
    cj_dim part[CJ__EXPR_TERMS_MAX];      /* factors, terms, or the two operands */
} cj__expr;

/* Two dimensions assumed equal, to be checked when the symbols are bound. */
typedef struct cj__agreement {
    cj_dim a, b;
    const cj_call *call;
} cj__agreement;

typedef struct cj__dims {
    cj__expr *items;
    int count, capacity;
    int *table; /* hash -> 1 + index of the item, 0: none; twice `capacity` places, open addressing
                 */
    cj__agreement *agreements;
    int n_agreements, agreements_capacity;
} cj__dims;

void cj__dims_release(cj_graph *g);
/* A new symbol that only running `call` can tell. */
cj_dim cj__dim_dynamic(cj_graph *g, const char *name);
/* Does it hold a dynamic symbol? */
bool cj__dim_is_dynamic(const cj_graph *g, cj_dim d);
/* The dimension with every NAME replaced: map[i] stands for expression i of `from`, if not
 * CJ_INFER. A name that is not in the map becomes the symbol of that name in `to`. map may be NULL.
 */
cj_dim cj__dim_translate(const cj_graph *from, cj_graph *to, const cj_dim *map, cj_dim d);
/* values[i] of every expression from the NAMEs' values (set by the caller, -1 when unknown;
 * expressions of unknown parts become -1). CJ_ERR_SHAPE for an overflow or a negative result. */
cj_status cj__dims_evaluate(cj_context *cj, const cj_graph *g, int64_t *values);
/* d as a number, -1 when unknown. */
int64_t cj__dim_number(cj_dim d, const int64_t *values);
/* Equal, or different (false), or not provable: then true, and written down to be checked when the
 * symbols are bound; `call` (or NULL) is named in that error. */
bool cj__dim_agree(cj_graph *g, const cj_call *call, cj_dim a, cj_dim b);
/* The product of all dimensions of a type. */
cj_dim cj__type_count(cj_graph *g, const cj_type *type);
bool cj__type_equal(const cj_type *a, const cj_type *b);
/* "4*batch+1" */
void cj__dim_print(cj__text *out, const cj_graph *g, cj_dim d);
/* "f32[batch, 10]" */
void cj__type_text(cj__text *out, const cj_graph *g, const cj_type *type);

/* ---- Graphs: graph.c ------------------------------------------------------------------------- */

typedef struct cj__named_node {
    const char *name;
    cj_node *node;
    int first, next; /* graph.c: of the hash table that lies in the list; 1 + index, 0: none */
} cj__named_node;

typedef struct cj__nodes { /* a growing list, whose names are found in constant time */
    cj__named_node *items;
    int count, capacity;
} cj__nodes;

struct cj_graph {
    cj__owned owned;
    cj_context *cj;
    cj__arena arena;
    const char *name;      /* cj_graph_set_name; NULL: none */
    cj_status failed;
    const char *message;   /* of the first failure */
    const char *where;     /* the caller's place, "file.c:12" */
    const char *layer;     /* what is being built, see cj__graph_layer */
    int stage;             /* of the calls made now: cj_vjp adds one */
    cj_call **calls;
    int n_calls, calls_capacity;
    cj__dims dims;
    cj__nodes inputs, outputs, variables, parameters;
    cj_store *store;       /* made with the first variable */
    cj_store *shared_store; /* of the graph this one was cloned from; not owned */
    cj_node *random_key, *training;
    cj_dim rows_per_sample; /* of the nodes made now; 0: 1 */
    int64_t next_stream;
    cj__nodes tensors;     /* attribute tensors held: released with the graph */
    cj_graph *next_body;   /* bodies owned: a list */
    cj_graph *bodies;
    bool is_body;          /* owned by another graph */
    int depth;             /* 0, or 1 + that of the deepest body */
    void *layers;          /* nn/model.h: what layers leave here, freed by: */
    void (*free_layers)(cj_graph *g);
};

/* Fails the graph: "where: what". Sets the context's message; the first failure stays. */
cj_status cj__graph_fail(cj_graph *g, const char *op, cj_status status, const char *format, ...)
    CJ_PRINTF(4, 5);
/* Options of a builder of `op`: base/opts.h. false: the graph has failed. */
bool cj__graph_opts(cj_graph *g, const char *op, void *own, size_t size, const void *given);
cj_status cj__nodes_add(cj_graph *g, cj__nodes *nodes, const char *name, cj_node *node);
/* The first of that name. */
cj_node *cj__nodes_find(const cj__nodes *nodes, const char *name);
/* After the list was changed in another way than by adding to it. */
void cj__nodes_index(cj__nodes *nodes);
/* Makes `body` (a free graph of the same context) the property of g. Bodies nest CJ__DEPTH_MAX
 * deep, so that walking them by recursion is bounded. */
enum { CJ__DEPTH_MAX = 32 };
cj_status cj__graph_adopt(cj_graph *g, cj_graph *body);
/* The context frees it in the end, as it does one that was just made. */
void cj__graph_own(cj_graph *g);
/* The graph of the first operand that is neither NULL nor cj_zero; NULL when there is none. */
cj_graph *cj__graph_of(cj_node *const *nodes, int n);
/* Calls made from now on are part of this layer (the text is copied), or of none (NULL). Profiles
 * and summaries group by it; where memory is short, only the label is lost. */
void cj__graph_layer(cj_graph *g, const char *layer);
/* Calls made from now on come from where `call` came from: place, layer and stage. */
void cj__graph_origin(cj_graph *g, const cj_call *call);
/* A copy of `call` in another graph with these operands; its types are inferred anew. attributes
 * are copied, symbols in them translated by name, bodies cloned. */
cj_node *cj__call_clone(cj_graph *to, const cj_call *call, cj_node *const *in);
/* A copy of a whole graph (bodies). */
cj_graph *cj__graph_clone(const cj_graph *g);
/* Appends the calls of `body` to g with its placeholders replaced by `in`; out[i] is output i. */
bool cj__graph_inline(cj_graph *g, const cj_graph *body, cj_node *const *in, int n_in,
                      cj_node **out);
/* Calls that the given nodes need (marks by id): marks has n_calls bytes, zeroed by the caller. */
void cj__graph_mark(const cj_graph *g, cj_node *const *nodes, int n, unsigned char *marks);

/* print.c: cj_graph_print to the context's log. */
void cj__graph_log(cj_graph *g);

/* ---- Store: store.c -------------------------------------------------------------------------- */

int cj__store_index(const cj_store *store, const char *name); /* -1: none */
void cj__store_touch(cj_store *store); /* a run committed: the version grows */

/* ---- Building: build.c ----------------------------------------------------------------------- */

static inline bool cj__is_zero(const cj_node *node) { return node == cj_zero; }
/* A scalar of x's dtype; NULL for NULL. (cj_full_like has x's shape as well.) */
cj_node *cj__number_like(cj_node *x, double value);
/* The dtype two operands meet in: equal ones stay; float beats integer beats bool; wider beats
 * narrower; f16 with bf16 is f32; signed with unsigned of the same width is the next wider signed.
 */
cj_dtype cj__promote(cj_dtype a, cj_dtype b);
/* Casts and broadcasts `n` nodes in place to one dtype (unless same_dtype is false) and one shape.
 * Fails the graph with `op` in the message. */
bool cj__meet(cj_graph *g, const char *op, cj_node **nodes, int n, bool same_dtype);
/* "negative axes count from the end" for builders; -1 with a failed graph when out of range. */
int cj__axis(cj_node *x, const char *op, int64_t axis, int rank);
/* Reduces `dy` (a gradient of the broadcast result) to `type`, for hand-written rules. */
cj_node *cj__sum_to(cj_node *dy, const cj_type *type);

/* ---- Operators ------------------------------------------------------------------------------- */

/* ops.def lists every row: CJ__OP(name) declares cj_op_<name>. */
#define CJ__OP(name) extern const cj_op cj_op_##name;
#include "graph/ops.def"
#undef CJ__OP
const cj_op *const *cj__ops_builtin(void); /* NULL-terminated */
/* The row's multiply_adds with the call's sizes under these symbols; 0 when there is no such member
 * or a size is too large to count. CJ_ERR_MEMORY is the only failure. */
cj_status cj__call_multiply_adds(const cj_call *call, const int64_t *symbols, double *count);

/* Attribute structures read outside their family. */
typedef struct cj__source_attrs { /* input, variable */
    const char *name;
    cj_dtype dtype;
    cj_ints dims;
} cj__source_attrs;
typedef struct cj__constant_attrs {
    cj_tensor *value;
} cj__constant_attrs;
typedef struct cj__reduce_attrs { /* reduce_*, logsumexp: axes sorted, unique, 0 .. rank-1 */
    cj_ints axes;
    bool keep;
} cj__reduce_attrs;
typedef struct cj__axis_attrs { /* argmax, argmin, softmax, log_softmax ... */
    int64_t axis;
    bool keep;
} cj__axis_attrs;
typedef struct cj__scatter_attrs { /* scatter_add */
    int64_t axis;
    cj_ints size; /* along the axis, of the result */
} cj__scatter_attrs;
typedef struct cj__scatter_along_attrs {
    int64_t axis;
    int rule; /* cj_scatter_rule */
} cj__scatter_along_attrs;
typedef struct cj__permutation_attrs { /* transpose */
    cj_ints permutation;
} cj__permutation_attrs;
typedef struct cj__dims_attrs { /* reshape, broadcast */
    cj_ints dims;
} cj__dims_attrs;
typedef struct cj__matmul_attrs {
    bool transpose_a, transpose_b;
    bool has_bias, has_addend; /* operands 2 and 3 */
    int activation;            /* cj__epilogue_activation */
} cj__matmul_attrs;
typedef struct cj__random_attrs { /* random_uniform, random_normal */
    cj_dtype dtype;
    int64_t stream;
    cj_ints dims;
} cj__random_attrs;
typedef struct cj__body_attrs { /* if, loop, scan use those they need */
    cj_graph *body, *other;      /* if: then, else */
    int64_t n_carried, n_sequences;
    bool reverse, has_limit, has_condition;
    const char *symbol;          /* begins the names of sizes found out while running; NULL: none */
} cj__body_attrs;

typedef struct cj__fused_attrs {
    cj_graph *body;
    cj_ints dims;    /* the shape that all of the group is about */
    int64_t leading; /* its first axes number rows, the others make a row; -1: it does not matter */
} cj__fused_attrs;

/* fused.c: where a reduction cuts its operand's axes: [0, outer) are kept, [outer, inner) reduced,
 * [inner, rank) kept. Axes of size 1 count to neither side, so each cut comes directly after an
 * axis that is not. False when the reduced axes have others between them, or reduce nothing. */
typedef struct cj__cut {
    int outer, inner;
} cj__cut;
bool cj__reduction_cut(const cj_call *call, cj__cut *cut);

/* Options of the structures above, shared by rows. */
extern const cj_option cj__axis_options[], cj__reduce_options[], cj__dims_options[],
    cj__body_options[];

/* True when `call` is a constant (or a cast, reshape or broadcast of one) all of whose elements are
 * `value`. */
bool cj__is_constant(const cj_node *node, double *value);

#endif
