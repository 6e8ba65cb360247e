/* pass.h: functions from graph to graph.
 *
 * A pass walks a graph in order and says for each call what stands for it in a new graph: one of
 * the nodes made so far, something it builds, or (NULL) a copy. Calls that no root needs are not
 * visited, so every pass also removes dead code. Roots are pointers to nodes; they point into the
 * new graph afterwards. Placeholders are always kept, in order. */
#ifndef CAJAL_GRAPH_PASS_PASS_H
#define CAJAL_GRAPH_PASS_PASS_H

#include "graph/graph.h"

enum { CJ__CONSTANTS_SEEN = 256 };

typedef struct cj__rewrite {
    const cj_graph *from;
    cj_graph *to;
    cj_node **map; /* by call id of `from`: output 0 of what stands for it; NULL: not needed */
    bool training; /* what cj_training means */
    void *state;   /* the pass's own */
    cj_node *constants[CJ__CONSTANTS_SEEN]; /* cse: small constants of `to`, each at the hash of its
                                               value */
} cj__rewrite;

/* What stands for `call`, whose operands are now `in`; NULL for a plain copy. */
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
/* fuse.c: elementwise calls of one shape become one call of `fused`. */
cj_graph *cj__pass_fuse(const cj_graph *g, cj_node ***roots, int n_roots);

#endif
