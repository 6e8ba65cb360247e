/* norm.h: attributes of the normalisations, read by formats. */
#ifndef CAJAL_GRAPH_OPS_NORM_H
#define CAJAL_GRAPH_OPS_NORM_H

#include "graph/graph.h"

/* Operands: x, then those that the flags name, in the order of the flags; has_statistics: mean and
 * variance. */
typedef struct cj__norm_attrs {
    int64_t
        channel_axis; /* batch_norm, group_norm, instance_norm: 1 or rank-1 after the shape rule */
    int64_t axis;         /* layer_norm, rms_norm: 0 .. rank-1 after the shape rule */
    int64_t groups;       /* group_norm */
    double epsilon;
    double momentum;      /* batch_norm, for files: what a running statistic keeps in a step */
    bool has_scale, has_shift, has_statistics, has_training;
} cj__norm_attrs;

typedef struct cj__response_attrs { /* local_response_norm */
    int64_t size, channel_axis;
    double alpha, beta, bias;
} cj__response_attrs;

/* What statistics of x are kept in: f32, or f64 for f64. */
static inline cj_dtype cj__wide(cj_dtype dtype) { return dtype == CJ_F64 ? CJ_F64 : CJ_F32; }

/* ---- norm.c, for the other files ------------------------------------------------------------- */

/* Makes an axis of -1, 1 or rank-1 positive, or fails. */
cj_status cj__infer_channel_axis(cj_infer *infer, int64_t *axis, int rank, int rank_min);
/* The vector operands that the flags name, in order; returns how many. */
int cj__norm_vectors(const cj__norm_attrs *a, const char *names[4]);
/* Checks that x is of floats, and operands 1 .. n of these sizes and the statistics' dtype. */
cj_status cj__infer_norm_vectors(cj_infer *infer, int n, const char *const *names, int rank,
                                 const cj_dim *dims);
/* 1 / n as a scalar; 1 for n = 0, so that the mean of nothing is 0. */
cj_node *cj__norm_share(cj_graph *g, cj_dtype dtype, cj_dim n);
/* moments.c: output 0 is the mean, output 1 the variance over axes axis .. rank-2; each of the
 * remaining axes. The CPU backend is fast up to so many columns. */
enum { CJ__MOMENTS_COLUMNS_MAX = 4096 };
cj_node *cj__moments(cj_node *x, int64_t axis);
/* The options an operator has besides scale and epsilon. */
enum {
    CJ__NORM_SHIFT = 1 << 0,
    CJ__NORM_CHANNELS = 1 << 1,
    CJ__NORM_GIVEN = 1 << 2,
    CJ__NORM_GROUPS = 1 << 3,
    CJ__NORM_ROWS = 1 << 4
};
struct cj_norm_opts;
cj_node *cj__norm_apply(const cj_op *op, cj_node *x, const struct cj_norm_opts *opts,
                        unsigned allowed);

#endif
