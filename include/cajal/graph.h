/* graph.h: graphs of operators, their gradients, and the store that holds state.
 *
 * A graph is an append-only list of calls (an operator applied to operands). A cj_node is a value:
 * one output of one call. Shapes and dtypes are inferred and checked when a node is made.
 *
 *     cj_graph *g = cj_graph_new(cj);
 *     cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(cj_symbol(g, "batch"), 3));
 *     cj_node *w = cj_variable(g, "w", weights);            // a tensor; lives in cj_graph_store(g)
 *     cj_node *y = cj_tanh(cj_matmul(x, w));
 *     cj_node *dw;
 *     cj_grad(cj_sum(y), &w, 1, &dw);                        // gradients are ordinary nodes
 *     if (cj_graph_failed(g)) fprintf(stderr, "%s\n", cj_message(cj));
 *
 * Building is sticky: a builder that fails returns NULL, NULL operands give NULL, and the first
 * error stays with the graph, so one check at the end is enough. Builders promote dtypes and
 * broadcast shapes by numpy's rules; the operators themselves are strict.
 *
 * Ownership: nodes belong to their graph, a graph to its context (or to whoever frees it earlier).
 * A graph is built by one thread. */
#ifndef CAJAL_GRAPH_H
#define CAJAL_GRAPH_H

#include <cajal/option.h>
#include <cajal/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cj_graph cj_graph;
typedef struct cj_node cj_node;
typedef struct cj_store cj_store;
typedef struct cj_op cj_op;

/* Marks where a builder was called, so that errors read "mlp.c:14: matmul: ...". */
#define CJ_STRING_(x) #x
#define CJ_STRING(x) CJ_STRING_(x)
#define CJ_HERE __FILE__ ":" CJ_STRING(__LINE__)
CJ_API cj_node *cj_at(cj_node *node, const char *where);        /* returns node */
CJ_API cj_node *cj_at_end(cj_node *node); /* forgets the place; returns node */
CJ_API cj_graph *cj_graph_at(cj_graph *graph, const char *where); /* returns graph */

/* ---- Dimensions ------------------------------------------------------------------------------ */

/* >= 0: that many. < 0: a symbol of the graph, bound when a program runs: a name such as "batch",
 * or an expression of other dimensions (batch * 4, length - 1). Equal dimensions are equal numbers.
 */
typedef int64_t cj_dim;

/* A rank and dimensions as two arguments: CJ_DIMS(n, 28, 28) is 3, (cj_dim[]){n, 28, 28}; a scalar
 * is CJ_SCALAR. */
#define CJ_DIMS(...) \
    (int)(sizeof((cj_dim[]){__VA_ARGS__}) / sizeof(cj_dim)), (const cj_dim[]) \
    { \
        __VA_ARGS__ \
    }
#define CJ_SCALAR 0, NULL

typedef struct cj_type {
    cj_dtype dtype;
    int rank;
    cj_dim dim[CJ_RANK_MAX];
} cj_type;

/* The symbol of that name, made when new. 0 when out of memory (the graph has failed then). */
CJ_API cj_dim cj_symbol(cj_graph *g, const char *name);
CJ_API cj_dim cj_dim_add(cj_graph *g, cj_dim a, cj_dim b);
CJ_API cj_dim cj_dim_sub(cj_graph *g, cj_dim a, cj_dim b);
CJ_API cj_dim cj_dim_mul(cj_graph *g, cj_dim a, cj_dim b);
CJ_API cj_dim cj_dim_div(cj_graph *g, cj_dim a, cj_dim b); /* rounded down; b > 0 */
CJ_API cj_dim cj_dim_max(cj_graph *g, cj_dim a, cj_dim b);
CJ_API cj_dim cj_dim_min(cj_graph *g, cj_dim a, cj_dim b);
/* "batch", "4*batch+1"; owned by the graph. */
CJ_API const char *cj_dim_text(cj_graph *g, cj_dim d);

/* ---- Life cycle ------------------------------------------------------------------------------ */

CJ_API cj_graph *cj_graph_new(cj_context *cj);
/* What a file calls the graph; copied. Without one (or NULL) it is called as the zoo's network that
 * it is made with, or "model"; a graph of an ONNX or Keras file has its name from there. */
CJ_API void cj_graph_set_name(cj_graph *g, const char *name);
CJ_API void cj_graph_free(cj_graph *g); /* NULL is a no-op; its store goes with it */
/* CJ_OK, or the status of the first builder that failed (its sentence is in cj_message). */
CJ_API cj_status cj_graph_failed(const cj_graph *g);
CJ_API cj_context *cj_graph_context(const cj_graph *g);
/* The store of the graph's variables. */
CJ_API cj_store *cj_graph_store(cj_graph *g);

/* Fails the graph: "where: what"; returns NULL. For builders a program writes itself. */
CJ_API cj_node *cj_graph_fail(cj_graph *g, cj_status status, const char *format, ...)
    CJ_PRINTF(3, 4);

/* Walks the whole graph, subgraphs included, and checks every invariant. */
CJ_API cj_status cj_graph_verify(cj_graph *g);
/* One line a call: "%7 = matmul(%3, %5) transpose_b=true : f32[batch, 10]". */
CJ_API cj_status cj_graph_print(cj_graph *g, FILE *to);
/* The same as a picture for Graphviz: `dot -Tsvg`. */
CJ_API cj_status cj_graph_dot(cj_graph *g, FILE *to);

/* Inputs and outputs in order: what a subgraph, a saved file or cj_compile without outputs takes.
 */
CJ_API void cj_graph_output(cj_graph *g, const char *name, cj_node *node);
CJ_API int cj_graph_input_count(const cj_graph *g);
CJ_API cj_node *cj_graph_input_at(const cj_graph *g, int i);
CJ_API int cj_graph_output_count(const cj_graph *g);
CJ_API cj_node *cj_graph_output_at(const cj_graph *g, int i);
CJ_API const char *cj_graph_output_name(const cj_graph *g, int i);
CJ_API int cj_graph_call_count(const cj_graph *g);

/* ---- Nodes ----------------------------------------------------------------------------------- */

CJ_API cj_graph *cj_node_graph(const cj_node *node);
CJ_API const cj_type *cj_node_type(const cj_node *node);
CJ_API cj_dtype cj_node_dtype(const cj_node *node);
CJ_API int cj_node_rank(const cj_node *node);
CJ_API cj_dim cj_node_dim(const cj_node *node, int axis); /* negative axes count from the end */
CJ_API const char *cj_node_name(const cj_node *node);     /* NULL when it has none */
CJ_API cj_node *cj_node_set_name(cj_node *node, const char *name); /* copied; returns node */
/* Output i of the call that made `node`: cj_node_output(cj_top_k(x, 3), 1) are the indices. */
CJ_API cj_node *cj_node_output(cj_node *node, int i);

/* The zero of every shape: the gradient of what does not matter. Builders accept it where a zero
 * has a meaning; it is never NULL. */
extern CJ_API cj_node cj_zero_node;
#define cj_zero (&cj_zero_node)
/* A real tensor of zeros of like's type when node is cj_zero, else node. */
CJ_API cj_node *cj_zero_as(cj_node *node, cj_node *like);

/* ---- Sources --------------------------------------------------------------------------------- */

/* A value fed at every run. Names are unique in a graph. */
CJ_API cj_node *cj_placeholder(cj_graph *g, const char *name, cj_dtype dtype, int rank,
                               const cj_dim *dims);
/* State: the value lives in the graph's store under this name. The tensor is copied; all dimensions
 * are numbers. */
CJ_API cj_node *cj_variable(cj_graph *g, const char *name, const cj_tensor *initial);
/* A variable that gradients are wanted for by default (cj_graph_parameter_at lists them). */
CJ_API cj_node *cj_parameter(cj_graph *g, const char *name, const cj_tensor *initial);
CJ_API cj_node *cj_find_variable(cj_graph *g, const char *name); /* NULL (no failure) when none */
CJ_API int cj_graph_parameter_count(const cj_graph *g);
CJ_API cj_node *cj_graph_parameter_at(const cj_graph *g, int i);
/* A value known now. The tensor is shared, not copied: do not write to it afterwards. */
CJ_API cj_node *cj_constant(cj_graph *g, const cj_tensor *value);
CJ_API cj_node *cj_scalar(cj_graph *g, cj_dtype dtype, double value);
/* A constant of every shape: dtype and rank as `like`. */
CJ_API cj_node *cj_full_like(cj_node *like, double value);
/* true in programs compiled for training, else false: a bool scalar. */
CJ_API cj_node *cj_training(cj_graph *g);
/* The size of a dimension as an i64 scalar, known when running. */
CJ_API cj_node *cj_dim_value(cj_graph *g, cj_dim d);
/* 0, 1, 2 ... along `axis` of the shape. */
CJ_API cj_node *cj_iota(cj_graph *g, cj_dtype dtype, int axis, int rank, const cj_dim *dims);

/* ---- Elementwise ----------------------------------------------------------------------------- */

#define CJ_UNARY_LIST(X)                                                                           \
    X(identity) X(stop_gradient) X(checkpoint)                                                     \
    X(neg) X(abs) X(sign) X(square) X(sqrt) X(rsqrt) X(reciprocal)                                 \
    X(exp) X(expm1) X(log) X(log1p) X(sin) X(cos) X(tan) X(asin) X(acos) X(atan) X(sinh) X(cosh)   \
    X(tanh) X(sigmoid) X(softplus) X(erf) X(floor) X(ceil) X(round) X(relu) X(gelu) X(silu)        \
    X(logical_not) X(is_nan) X(is_inf)
#define CJ_BINARY_LIST(X)                                                                          \
    X(add) X(sub) X(mul) X(div) X(pow) X(mod) X(maximum) X(minimum) X(equal) X(not_equal) X(less)  \
    X(less_equal) X(greater) X(greater_equal) X(logical_and) X(logical_or) X(logical_xor)

#define CJ_DECLARE_UNARY(name) CJ_API cj_node *cj_##name(cj_node *x);
CJ_UNARY_LIST(CJ_DECLARE_UNARY)
#undef CJ_DECLARE_UNARY
#define CJ_DECLARE_BINARY(name) CJ_API cj_node *cj_##name(cj_node *a, cj_node *b);
CJ_BINARY_LIST(CJ_DECLARE_BINARY)
#undef CJ_DECLARE_BINARY
/* x times or plus a number, in x's dtype. */
CJ_API cj_node *cj_scale(cj_node *x, double factor);
CJ_API cj_node *cj_shift(cj_node *x, double term);
CJ_API cj_node *cj_leaky_relu(cj_node *x, double negative_slope);
CJ_API cj_node *cj_elu(cj_node *x, double alpha);
/* condition (bool) ? a : b */
CJ_API cj_node *cj_where(cj_node *condition, cj_node *a, cj_node *b);
CJ_API cj_node *cj_clip(cj_node *x, double min, double max);
/* As cj_store_f64 and cj_store_i64 convert; x itself when it has that dtype. */
CJ_API cj_node *cj_cast(cj_node *x, cj_dtype dtype);
/* The same with a mode for floats of 8 bits. */
CJ_API cj_node *cj_cast_as(cj_node *x, cj_dtype dtype, cj_cast_mode mode);
/* The bits of x as another dtype of as many bits in memory; into i4, u4, i2 and u2 the low ones. */
CJ_API cj_node *cj_bit_cast(cj_node *x, cj_dtype dtype);
/* On the bits of integers; a negative one is two's complement. */
CJ_API cj_node *cj_bitwise_and(cj_node *a, cj_node *b);
CJ_API cj_node *cj_bitwise_or(cj_node *a, cj_node *b);
CJ_API cj_node *cj_bitwise_xor(cj_node *a, cj_node *b);
CJ_API cj_node *cj_bitwise_not(cj_node *x);
/* a 2^b, wrapping, and a 2^-b rounded down; by 64 and more bits all are gone. */
CJ_API cj_node *cj_shift_left(cj_node *a, cj_node *b);
CJ_API cj_node *cj_shift_right(cj_node *a, cj_node *b);

/* ---- Reductions ------------------------------------------------------------------------------ */

/* Over the given axes (n_axes 0 with axes NULL: all; negative axes count from the end). keep:
 * reduced axes stay as size 1. The short forms reduce everything to a scalar. Empty: sum 0, product
 * 1, mean NaN, max and min of no elements are an error when running. */
CJ_API cj_node *cj_reduce_sum(cj_node *x, int n_axes, const int64_t *axes, bool keep);
CJ_API cj_node *cj_reduce_mean(cj_node *x, int n_axes, const int64_t *axes, bool keep);
CJ_API cj_node *cj_reduce_max(cj_node *x, int n_axes, const int64_t *axes, bool keep);
CJ_API cj_node *cj_reduce_min(cj_node *x, int n_axes, const int64_t *axes, bool keep);
CJ_API cj_node *cj_reduce_prod(cj_node *x, int n_axes, const int64_t *axes, bool keep);
CJ_API cj_node *cj_logsumexp(cj_node *x, int n_axes, const int64_t *axes, bool keep);
CJ_API cj_node *cj_sum(cj_node *x);
CJ_API cj_node *cj_mean(cj_node *x);
/* Index (i64) of the first largest or smallest element along one axis; NaN counts as largest,
 * smallest. */
CJ_API cj_node *cj_argmax(cj_node *x, int axis, bool keep);
CJ_API cj_node *cj_argmin(cj_node *x, int axis, bool keep);
CJ_API cj_node *cj_cumsum(cj_node *x, int axis, bool exclusive, bool reverse);

/* ---- Shapes ---------------------------------------------------------------------------------- */

/* The same elements under another shape; one dimension may be CJ_INFER. */
#define CJ_INFER INT64_MIN
CJ_API cj_node *cj_reshape(cj_node *x, int rank, const cj_dim *dims);
/* Axis i of the result is axis permutation[i] of x; NULL reverses all. */
CJ_API cj_node *cj_transpose(cj_node *x, const int64_t *permutation);
CJ_API cj_node *cj_expand_dims(cj_node *x, int axis);
CJ_API cj_node *cj_squeeze(cj_node *x, int axis);
/* numpy's broadcast_to: missing leading axes are added, size 1 is repeated. */
CJ_API cj_node *cj_broadcast_to(cj_node *x, int rank, const cj_dim *dims);
/* x[begin : begin+size : step] along every axis; begin may be negative (from the end). A size is
 * the number of elements taken; CJ_INFER: all that are left. step NULL: 1; negative steps walk
 * back. */
CJ_API cj_node *cj_slice(cj_node *x, const int64_t *begin, const cj_dim *size, const int64_t *step);
/* The same along one axis. */
CJ_API cj_node *cj_slice_axis(cj_node *x, int axis, int64_t begin, cj_dim size);
/* With begins known when running: an i64 vector of x's rank, clamped so that the slice lies inside.
 */
CJ_API cj_node *cj_dynamic_slice(cj_node *x, cj_node *begin, const cj_dim *size);
/* x with the block at `begin` (i64 vector, clamped) replaced by `update`. */
CJ_API cj_node *cj_update_slice(cj_node *x, cj_node *update, cj_node *begin);
CJ_API cj_node *cj_concat(cj_node *const *parts, int n, int axis);
CJ_API cj_node *cj_stack(cj_node *const *parts, int n, int axis);
/* n outputs of the given sizes along the axis; the first is returned, cj_node_output gives the
 * rest. */
CJ_API cj_node *cj_split(cj_node *x, int axis, int n, const int64_t *sizes);
/* before and after: elements added at each end of each axis; negative ones crop. */
CJ_API cj_node *cj_pad(cj_node *x, const int64_t *before, const int64_t *after, double value);
/* What is added are elements of x: the nearest ("edge"), mirrored at the outermost ("reflect") or
 * from the other end ("wrap"), as numpy's pad has them. before and after: none is negative. */
CJ_API cj_node *cj_extend(cj_node *x, const int64_t *before, const int64_t *after,
                          const char *mode);
CJ_API cj_node *cj_reverse(cj_node *x, int axis);

/* ---- Indices --------------------------------------------------------------------------------- */

/* Index values are i32 or i64; negative ones count from the end; out of range is an error when
 * running. */
/* ONNX Gather, numpy take: result shape = x[:axis] + indices + x[axis+1:]. */
CJ_API cj_node *cj_gather(cj_node *x, cj_node *indices, int axis);
/* The transpose of gather: zeros of `size` along axis, to which updates are added. */
CJ_API cj_node *cj_scatter_add(cj_node *updates, cj_node *indices, int axis, cj_dim size,
                               int indices_rank);
/* PyTorch's index_add: x to whose rows along axis the updates, shaped as gather's result, are
 * added. An index out of range names no row and is no error. */
CJ_API cj_node *cj_index_add(cj_node *x, cj_node *updates, cj_node *indices, int axis);
/* numpy take_along_axis, ONNX GatherElements: result has the shape of indices. */
CJ_API cj_node *cj_gather_along(cj_node *x, cj_node *indices, int axis);
/* ONNX ScatterElements: x with updates at indices along the axis. Of several for one place they
 * come in their order, so that of those that replace the last one stays; others meet what is there:
 * x and the updates before. Of equal extremes each has its share of the gradient. */
typedef enum cj_scatter_rule {
    CJ_SCATTER_REPLACE,
    CJ_SCATTER_ADD,
    CJ_SCATTER_MUL,
    CJ_SCATTER_MAX,
    CJ_SCATTER_MIN
} cj_scatter_rule;
CJ_API cj_node *cj_scatter_along(cj_node *x, cj_node *indices, cj_node *updates, int axis,
                                 cj_scatter_rule rule);
/* 1 where the last (new) axis equals the index, else 0; indices outside 0 .. depth-1 give zeros. */
CJ_API cj_node *cj_one_hot(cj_node *indices, int64_t depth, cj_dtype dtype);
/* The k largest along the axis in falling order, first index first among equals. Output 0: values,
 * output 1: indices (i64). */
CJ_API cj_node *cj_top_k(cj_node *x, int64_t k, int axis, bool smallest);

/* ---- Linear algebra, softmax, random --------------------------------------------------------- */

/* numpy's matmul: [..., n, k] x [..., k, m]; leading axes broadcast; vectors as numpy has them. */
CJ_API cj_node *cj_matmul(cj_node *a, cj_node *b);
/* Operands read transposed in their last two axes, without a copy. */
CJ_API cj_node *cj_matmul_transposed(cj_node *a, cj_node *b, bool transpose_a, bool transpose_b);
/* Sums of products of n operands (at most 16) by an equation, as numpy and PyTorch have them:
 * "bij,bjk->bik" a batched product of matrices, "ii->i" a diagonal, "ij->ji" a transpose, "i,i" a
 * dot product, "...d,de->...e" with any axes before. A letter names an axis, the same size wherever
 * it stands, or 1; what is not behind "->" is summed; without "->" the result has the letters that
 * occur once, sorted, behind "...". Operands are multiplied from the left. */
CJ_API cj_node *cj_einsum(cj_node *const *x, int n, const char *equation);
CJ_API cj_node *cj_softmax(cj_node *x, int axis);
CJ_API cj_node *cj_log_softmax(cj_node *x, int axis);
/* -log softmax(logits)[label] for logits [..., classes] and integer labels [...]: [...], stable. */
CJ_API cj_node *cj_sparse_softmax_crossentropy(cj_node *logits, cj_node *labels);

/* The graph's random key: an i64 vector {seed, step, index of the first sample} in the store under
 * "random/key"; a program of its own may write or update it. cj_fit writes the epoch as the step,
 * and where in the epoch the batch begins, so that a sample's numbers are the same whatever the
 * batches are. */
CJ_API cj_node *cj_random_key(cj_graph *g);
/* Values are a function of (key, stream, index along axis 0, element) alone. stream -1: the next
 * number of this graph. uniform in [0, 1), normal with mean 0 and deviation 1. */
CJ_API cj_node *cj_random_uniform(cj_node *key, cj_dtype dtype, int64_t stream, int rank,
                                  const cj_dim *dims);
CJ_API cj_node *cj_random_normal(cj_node *key, cj_dtype dtype, int64_t stream, int rank,
                                 const cj_dim *dims);
/* In training: each element is zero with probability rate, else divided by 1 - rate. */
CJ_API cj_node *cj_dropout_node(cj_node *x, double rate);

/* ---- Control --------------------------------------------------------------------------------- */

/* Bodies are graphs of their own (cj_graph_new on the same context, owned by the call afterwards)
 * whose placeholders, in order, are the operands, and whose cj_graph_output-s are the results. What
 * a body uses from outside is handed in as captures: operands after the others, the same for each
 * run of the body. A body's symbols are its own: the shapes of its placeholders bind them. Sizes
 * that only running tells (how often a loop ran) are symbols of the graph around it. Bodies nest 32
 * deep; a call has at most 64 outputs. */

/* condition: bool scalar. Both bodies take the captures and give outputs of the same types. */
CJ_API cj_node *cj_if(cj_node *condition, cj_graph *then_body, cj_graph *else_body,
                      cj_node *const *captures, int n);
/* body(i64 iteration, bool condition, carried..., captures...) -> (condition, carried...,
 * stacked...). Runs while iteration < trip_limit (i64 scalar or NULL) and the condition holds (bool
 * scalar or NULL). Outputs: the carried values, then the stacked ones with a new first axis as long
 * as it ran. */
CJ_API cj_node *cj_loop(cj_node *trip_limit, cj_node *condition, cj_node *const *carried,
                        int n_carried, cj_graph *body, cj_node *const *captures, int n_captures);
/* body(carried..., elements..., captures...) -> (carried..., stacked...), once for every index
 * along axis 0 of the sequences, in order or in reverse. Outputs: last carried values, then the
 * stacked ones. */
CJ_API cj_node *cj_scan(cj_node *const *carried, int n_carried, cj_node *const *sequences,
                        int n_sequences, bool reverse, cj_graph *body, cj_node *const *captures,
                        int n_captures);

/* ---- Gradient -------------------------------------------------------------------------------- */

/* What a training program computes a second time for its gradients instead of keeping it. Results
 * are the same. */
typedef enum cj_recompute {
    CJ_RECOMPUTE_CHEAP, /* elementwise results, where one value that is kept anyway gives them */
    CJ_RECOMPUTE_NONE,  /* nothing: up to a twentieth less time, a quarter more memory */
    CJ_RECOMPUTE_ALL    /* everything but what cj_checkpoint marks: about a third more work */
} cj_recompute;

/* What a program computes in. Mixed: matrix products and convolutions take operands rounded to 16
 * bits, add up in f32 and round their results; all else is f32, above all the state. The names are
 * Keras's. f16 reaches 65504 only, so that losses need scaling (cj_fit does it); bf16 reaches as
 * far as f32. Bodies of loops and conditions stay f32. */
typedef enum cj_precision {
    CJ_PRECISION_FLOAT32,
    CJ_PRECISION_MIXED_BFLOAT16,
    CJ_PRECISION_MIXED_FLOAT16
} cj_precision;
/* "float32", "mixed_bfloat16", "mixed_float16"; NULL past the last. */
CJ_API const char *cj_precision_name(cj_precision precision);

/* Appends the gradient of `loss` (any shape; its cotangent is one) with respect to each of
 * wrt[0..n) as ordinary nodes: out[i] has wrt[i]'s type, or is cj_zero when loss does not depend on
 * it. Fails the graph for an operator on the way that has none, naming it. */
CJ_API cj_status cj_grad(cj_node *loss, cj_node *const *wrt, int n, cj_node **out);
/* Vector-Jacobian product: several outputs y with their cotangents (cj_zero allowed). */
CJ_API cj_status cj_vjp(cj_node *const *y, cj_node *const *dy, int n_y, cj_node *const *wrt, int n,
                        cj_node **out);

/* ---- Store ----------------------------------------------------------------------------------- */

/* Names to tensors: parameters, statistics, optimizer slots. One writer at a time; several sessions
 * may read while nobody writes. */
CJ_API cj_store *cj_store_new(cj_context *cj);
CJ_API void cj_store_free(cj_store *store);
CJ_API int cj_store_count(const cj_store *store);
CJ_API const char *cj_store_name_at(const cj_store *store, int i); /* in the order they came */
CJ_API cj_tensor *cj_store_tensor_at(const cj_store *store, int i);
/* The tensor of that name, owned by the store; NULL without a message when there is none. */
CJ_API cj_tensor *cj_store_get(const cj_store *store, const char *name);
/* Copies `value` in; an entry that exists must have the same dtype and shape. */
CJ_API cj_status cj_store_set(cj_store *store, const char *name, const cj_tensor *value);
CJ_API uint64_t cj_store_version(const cj_store *store); /* grows with each commit and set */

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
/* What every keyword macro of a layer expands to (layers.h). */
#define CJ_LAYER_(name, x, ...) \
    (name)(cj_at(x, CJ_HERE), \
           &(name##_opts){.struct_size = sizeof(name##_opts), __VA_ARGS__})
/* Where an error was made: each builder tells its graph file and line, and takes them back
 * afterwards. The functions themselves are reached as (cj_add)(a, b). Builders that take lists
 * first have no place. */
#define CJ_AT_(name, x) cj_at_end((name)(cj_at(x, CJ_HERE)))
#define CJ_AT_MORE_(name, x, ...) cj_at_end((name)(cj_at(x, CJ_HERE), __VA_ARGS__))
#define CJ_AT_GRAPH_(name, g, ...) cj_at_end((name)(cj_graph_at(g, CJ_HERE), __VA_ARGS__))
#define cj_identity(x) CJ_AT_(cj_identity, x)
#define cj_stop_gradient(x) CJ_AT_(cj_stop_gradient, x)
#define cj_checkpoint(x) CJ_AT_(cj_checkpoint, x)
#define cj_neg(x) CJ_AT_(cj_neg, x)
#define cj_abs(x) CJ_AT_(cj_abs, x)
#define cj_sign(x) CJ_AT_(cj_sign, x)
#define cj_square(x) CJ_AT_(cj_square, x)
#define cj_sqrt(x) CJ_AT_(cj_sqrt, x)
#define cj_rsqrt(x) CJ_AT_(cj_rsqrt, x)
#define cj_reciprocal(x) CJ_AT_(cj_reciprocal, x)
#define cj_exp(x) CJ_AT_(cj_exp, x)
#define cj_expm1(x) CJ_AT_(cj_expm1, x)
#define cj_log(x) CJ_AT_(cj_log, x)
#define cj_log1p(x) CJ_AT_(cj_log1p, x)
#define cj_sin(x) CJ_AT_(cj_sin, x)
#define cj_cos(x) CJ_AT_(cj_cos, x)
#define cj_tan(x) CJ_AT_(cj_tan, x)
#define cj_asin(x) CJ_AT_(cj_asin, x)
#define cj_acos(x) CJ_AT_(cj_acos, x)
#define cj_atan(x) CJ_AT_(cj_atan, x)
#define cj_sinh(x) CJ_AT_(cj_sinh, x)
#define cj_cosh(x) CJ_AT_(cj_cosh, x)
#define cj_tanh(x) CJ_AT_(cj_tanh, x)
#define cj_sigmoid(x) CJ_AT_(cj_sigmoid, x)
#define cj_softplus(x) CJ_AT_(cj_softplus, x)
#define cj_erf(x) CJ_AT_(cj_erf, x)
#define cj_floor(x) CJ_AT_(cj_floor, x)
#define cj_ceil(x) CJ_AT_(cj_ceil, x)
#define cj_round(x) CJ_AT_(cj_round, x)
#define cj_relu(x) CJ_AT_(cj_relu, x)
#define cj_gelu(x) CJ_AT_(cj_gelu, x)
#define cj_silu(x) CJ_AT_(cj_silu, x)
#define cj_logical_not(x) CJ_AT_(cj_logical_not, x)
#define cj_is_nan(x) CJ_AT_(cj_is_nan, x)
#define cj_is_inf(x) CJ_AT_(cj_is_inf, x)
#define cj_sum(x) CJ_AT_(cj_sum, x)
#define cj_mean(x) CJ_AT_(cj_mean, x)
#define cj_add(x, ...) CJ_AT_MORE_(cj_add, x, __VA_ARGS__)
#define cj_sub(x, ...) CJ_AT_MORE_(cj_sub, x, __VA_ARGS__)
#define cj_mul(x, ...) CJ_AT_MORE_(cj_mul, x, __VA_ARGS__)
#define cj_div(x, ...) CJ_AT_MORE_(cj_div, x, __VA_ARGS__)
#define cj_pow(x, ...) CJ_AT_MORE_(cj_pow, x, __VA_ARGS__)
#define cj_mod(x, ...) CJ_AT_MORE_(cj_mod, x, __VA_ARGS__)
#define cj_maximum(x, ...) CJ_AT_MORE_(cj_maximum, x, __VA_ARGS__)
#define cj_minimum(x, ...) CJ_AT_MORE_(cj_minimum, x, __VA_ARGS__)
#define cj_equal(x, ...) CJ_AT_MORE_(cj_equal, x, __VA_ARGS__)
#define cj_not_equal(x, ...) CJ_AT_MORE_(cj_not_equal, x, __VA_ARGS__)
#define cj_less(x, ...) CJ_AT_MORE_(cj_less, x, __VA_ARGS__)
#define cj_less_equal(x, ...) CJ_AT_MORE_(cj_less_equal, x, __VA_ARGS__)
#define cj_greater(x, ...) CJ_AT_MORE_(cj_greater, x, __VA_ARGS__)
#define cj_greater_equal(x, ...) CJ_AT_MORE_(cj_greater_equal, x, __VA_ARGS__)
#define cj_logical_and(x, ...) CJ_AT_MORE_(cj_logical_and, x, __VA_ARGS__)
#define cj_logical_or(x, ...) CJ_AT_MORE_(cj_logical_or, x, __VA_ARGS__)
#define cj_logical_xor(x, ...) CJ_AT_MORE_(cj_logical_xor, x, __VA_ARGS__)
#define cj_scale(x, ...) CJ_AT_MORE_(cj_scale, x, __VA_ARGS__)
#define cj_shift(x, ...) CJ_AT_MORE_(cj_shift, x, __VA_ARGS__)
#define cj_leaky_relu(x, ...) CJ_AT_MORE_(cj_leaky_relu, x, __VA_ARGS__)
#define cj_elu(x, ...) CJ_AT_MORE_(cj_elu, x, __VA_ARGS__)
#define cj_where(x, ...) CJ_AT_MORE_(cj_where, x, __VA_ARGS__)
#define cj_clip(x, ...) CJ_AT_MORE_(cj_clip, x, __VA_ARGS__)
#define cj_cast(x, ...) CJ_AT_MORE_(cj_cast, x, __VA_ARGS__)
#define cj_reduce_sum(x, ...) CJ_AT_MORE_(cj_reduce_sum, x, __VA_ARGS__)
#define cj_reduce_mean(x, ...) CJ_AT_MORE_(cj_reduce_mean, x, __VA_ARGS__)
#define cj_reduce_max(x, ...) CJ_AT_MORE_(cj_reduce_max, x, __VA_ARGS__)
#define cj_reduce_min(x, ...) CJ_AT_MORE_(cj_reduce_min, x, __VA_ARGS__)
#define cj_reduce_prod(x, ...) CJ_AT_MORE_(cj_reduce_prod, x, __VA_ARGS__)
#define cj_logsumexp(x, ...) CJ_AT_MORE_(cj_logsumexp, x, __VA_ARGS__)
#define cj_argmax(x, ...) CJ_AT_MORE_(cj_argmax, x, __VA_ARGS__)
#define cj_argmin(x, ...) CJ_AT_MORE_(cj_argmin, x, __VA_ARGS__)
#define cj_cumsum(x, ...) CJ_AT_MORE_(cj_cumsum, x, __VA_ARGS__)
#define cj_reshape(x, ...) CJ_AT_MORE_(cj_reshape, x, __VA_ARGS__)
#define cj_transpose(x, ...) CJ_AT_MORE_(cj_transpose, x, __VA_ARGS__)
#define cj_expand_dims(x, ...) CJ_AT_MORE_(cj_expand_dims, x, __VA_ARGS__)
#define cj_squeeze(x, ...) CJ_AT_MORE_(cj_squeeze, x, __VA_ARGS__)
#define cj_broadcast_to(x, ...) CJ_AT_MORE_(cj_broadcast_to, x, __VA_ARGS__)
#define cj_slice(x, ...) CJ_AT_MORE_(cj_slice, x, __VA_ARGS__)
#define cj_slice_axis(x, ...) CJ_AT_MORE_(cj_slice_axis, x, __VA_ARGS__)
#define cj_dynamic_slice(x, ...) CJ_AT_MORE_(cj_dynamic_slice, x, __VA_ARGS__)
#define cj_update_slice(x, ...) CJ_AT_MORE_(cj_update_slice, x, __VA_ARGS__)
#define cj_split(x, ...) CJ_AT_MORE_(cj_split, x, __VA_ARGS__)
#define cj_pad(x, ...) CJ_AT_MORE_(cj_pad, x, __VA_ARGS__)
#define cj_extend(x, ...) CJ_AT_MORE_(cj_extend, x, __VA_ARGS__)
#define cj_reverse(x, ...) CJ_AT_MORE_(cj_reverse, x, __VA_ARGS__)
#define cj_gather(x, ...) CJ_AT_MORE_(cj_gather, x, __VA_ARGS__)
#define cj_scatter_add(x, ...) CJ_AT_MORE_(cj_scatter_add, x, __VA_ARGS__)
#define cj_index_add(x, ...) CJ_AT_MORE_(cj_index_add, x, __VA_ARGS__)
#define cj_gather_along(x, ...) CJ_AT_MORE_(cj_gather_along, x, __VA_ARGS__)
#define cj_scatter_along(x, ...) CJ_AT_MORE_(cj_scatter_along, x, __VA_ARGS__)
#define cj_one_hot(x, ...) CJ_AT_MORE_(cj_one_hot, x, __VA_ARGS__)
#define cj_top_k(x, ...) CJ_AT_MORE_(cj_top_k, x, __VA_ARGS__)
#define cj_matmul(x, ...) CJ_AT_MORE_(cj_matmul, x, __VA_ARGS__)
#define cj_matmul_transposed(x, ...) CJ_AT_MORE_(cj_matmul_transposed, x, __VA_ARGS__)
#define cj_softmax(x, ...) CJ_AT_MORE_(cj_softmax, x, __VA_ARGS__)
#define cj_log_softmax(x, ...) CJ_AT_MORE_(cj_log_softmax, x, __VA_ARGS__)
#define cj_sparse_softmax_crossentropy(x, ...) \
    CJ_AT_MORE_(cj_sparse_softmax_crossentropy, x, __VA_ARGS__)
#define cj_random_uniform(x, ...) CJ_AT_MORE_(cj_random_uniform, x, __VA_ARGS__)
#define cj_random_normal(x, ...) CJ_AT_MORE_(cj_random_normal, x, __VA_ARGS__)
#define cj_dropout_node(x, ...) CJ_AT_MORE_(cj_dropout_node, x, __VA_ARGS__)
#define cj_placeholder(g, ...) CJ_AT_GRAPH_(cj_placeholder, g, __VA_ARGS__)
#define cj_variable(g, ...) CJ_AT_GRAPH_(cj_variable, g, __VA_ARGS__)
#define cj_parameter(g, ...) CJ_AT_GRAPH_(cj_parameter, g, __VA_ARGS__)
#define cj_constant(g, ...) CJ_AT_GRAPH_(cj_constant, g, __VA_ARGS__)
#define cj_scalar(g, ...) CJ_AT_GRAPH_(cj_scalar, g, __VA_ARGS__)
#define cj_iota(g, ...) CJ_AT_GRAPH_(cj_iota, g, __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
