/* pass.h: functions from graph to graph.
 *
 * A pass walks a graph in order and says for each call what stands for it in a new graph: one of
 * the nodes made so far, something it builds, or (NULL) a copy. Calls that no root needs are not
 * visited, so every pass also removes dead code. Roots are pointers to nodes; they point into the
 * new graph afterwards. Placeholders are always kept, in order. */
#ifndef CAJAL_GRAPH_PASS_PASS_H
#define CAJAL_GRAPH_PASS_PASS_H

#include "graph/graph.h"

enum { CJ__CONSTANTS_SEEN = 256, CJ__TWINS = 1024 };

typedef struct cj__rewrite {
    const cj_graph *from;
    cj_graph *to;
    cj_node ***map; /* by call id of `from`: what stands for its outputs; NULL: not needed */
    cj_node **made; /* a pass whose outputs come from several calls leaves all of them here */
    cj_node *const *const *roots; /* of `from`, until the pass is done */
    int n_roots;
    cj__arena scratch; /* for the pass's time */
    bool training; /* what cj_training means */
    void *state;   /* the pass's own */
    cj_node *constants[CJ__CONSTANTS_SEEN]; /* cse: small constants of `to`, each at the hash of its
                                               value */
    int *twins; /* cse: for each hash the last call of `to` with it and for each call the one before
                   it, as id + 1 */
} cj__rewrite;

/* What stands for `call`, whose operands are now `in`; NULL for a plain copy. The result's call has
 * as many outputs as `call`, unless r->made says what stands for each. */
typedef cj_node *(*cj__pass_fn)(cj__rewrite *r, const cj_call *call, cj_node *const *in);

/* Runs one pass over g, which stays as it is. NULL with a message, and roots as they were, when it
 * fails. */
cj_graph *cj__pass_run(const cj_graph *g, cj__pass_fn pass, bool training, void *state,
                       cj_node ***roots, int n_roots);
/* What stands for a node of `from`. */
cj_node *cj__rewritten(const cj__rewrite *r, const cj_node *node);

/* The passes. simplify: training mode, neutral elements, reshape of reshape, transposes into
 * matmuls; fold: calls whose operands are all constants become constants; cse: equal calls become
 * one. */
cj_node *cj__pass_copy(cj__rewrite *r, const cj_call *call, cj_node *const *in);
cj_node *cj__pass_simplify(cj__rewrite *r, const cj_call *call, cj_node *const *in);
cj_node *cj__pass_fold(cj__rewrite *r, const cj_call *call, cj_node *const *in);
cj_node *cj__pass_cse(cj__rewrite *r, const cj_call *call, cj_node *const *in);
/* mode: nothing but what must be done: the training mode, and composites without a kernel are
 * lowered. */
cj_node *cj__pass_mode(cj__rewrite *r, const cj_call *call, cj_node *const *in);
/* pool.c: rules of simplify for poolings; NULL: none applies. */
cj_node *cj__pass_pool(cj__rewrite *r, const cj_call *call, cj_node *const *in);
/* sparse.c: a step along the gradient of a table touches only the rows that were looked up. */
cj_node *cj__pass_sparse(cj__rewrite *r, const cj_call *call, cj_node *const *in);
/* Does `look_up`, when it runs, find every index that `sum`, a scatter_add, would not? */
bool cj__checks_indices(const cj_call *look_up, const cj_call *sum);
/* mixed.c: operands of products in 16 bits. After epilogue, before recompute. */
cj_graph *cj__pass_mixed(const cj_graph *g, cj_precision precision, bool training, cj_node ***roots,
                         int n_roots);
/* recompute.c: gradients compute forward values again instead of keeping them; takes checkpoints
 * out. After cse. */
cj_graph *cj__pass_recompute(const cj_graph *g, cj_recompute what, bool training, cj_node ***roots,
                             int n_roots);
/* epilogue.c: bias, addend and activation into the products and convolutions that they follow. */
cj_graph *cj__pass_epilogue(const cj_graph *g, bool updates, bool training, cj_node ***roots,
                            int n_roots);
/* fuse.c: elementwise calls and reductions over one shape become one call of `fused`. Roots
 * [first_late, first_late + n_late) are the values of updates: what they alone need stays apart,
 * and so do forward and backward calls where values are recomputed (`apart`). */
cj_graph *cj__pass_fuse(const cj_graph *g, cj_node ***roots, int n_roots, int first_late,
                        int n_late, bool apart);

#endif
