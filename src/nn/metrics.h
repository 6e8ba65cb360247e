/* metrics.h: what the files of metrics share. */
#ifndef CAJAL_NN_METRICS_H
#define CAJAL_NN_METRICS_H

#include "nn/model.h"

/* ---- Classes --------------------------------------------------------------------------------- */

/* What was true and what was said, as class numbers [n]; n is batch, or batch times positions. */
typedef struct cj__labels {
    cj_node *truth, *said;
    cj_node *weight;        /* f64; of a label that names no class it is `masked` that is 0 */
    cj_node *masked;
    cj_node *scores;        /* the prediction as [n, classes], or [n] for one output */
    int64_t classes;        /* 2 for one output */
    bool one_output;
} cj__labels;

/* A prediction [batch, ..., classes] with a target of class numbers [batch, ...], or one-hot of the
 * prediction's shape. A last axis of 1 is one output: above the threshold the class is the positive
 * one. false: the graph has failed. */
bool cj__take_labels(cj_node *prediction, cj_node *target, cj_node *weight, double threshold,
                     const char *metric, cj__labels *out);
/* Rows of the prediction and of a target of its shape as f64 [n, last axis], and the weight as f64
 * [n]. */
bool cj__take_rows(cj_node *prediction, cj_node *target, cj_node *weight, const char *metric,
                   cj_node *out[3]);
cj_node *cj__flat(cj_node *x); /* [n] */

/* ---- Order ----------------------------------------------------------------------------------- */

typedef struct cj__triple {
    double key, a, b;
} cj__triple;
/* metrics_ranking.c: by falling keys, equal ones in their order; no key is NaN. Returns v or
 * `other`, which has room for as many: the one that has the result. */
cj__triple *cj__sort_triples(cj__triple *v, cj__triple *other, int64_t n);

/* ---- Sums ------------------------------------------------------------------------------------ */

/* {sum of each * weight, sum of weight} in f64, of two [n]; cj__mean_value is their quotient. */
cj_node *cj__mean_sums(cj_node *each, cj_node *weight);
double cj__mean_value(const cj_metric_totals *t, int64_t i, const void *options);
/* a / b, or `otherwise` where b is 0. */
double cj__ratio(double a, double b, double otherwise);
/* Sum over one axis. */
cj_node *cj__sum_axis(cj_node *x, int axis, bool keep);

#endif
