/* metrics.c: metrics as sums over samples.
 *
 * The sums of a batch are nodes; the host adds them in double, and a number is made from the
 * totals, so it does not depend on how samples were cut into batches. Whatever judges classes looks
 * at one matrix of counts, rows truth, columns prediction:
 *
 *     classes K > 1   K*K counts
 *     one output      the last three of {true negative, false positive, false negative, true
 * positive}, since two classes are judged by the positive one alone
 *
 * Counts are exact in float up to 2^24 samples a batch. The compiler's common-subexpression pass
 * makes one matrix of those that several metrics ask for. */
#include "nn/model.h"

#include <math.h>

typedef struct class_options {
    double threshold;
} class_options;
static const cj_option class_table[] = {
    CJ_OPTION_FLOAT(class_options, threshold, 0.5, -1e300, 1e300,
                    "one output: above it the class is the positive one"),
    CJ_OPTION_END};

/* ---- Classes --------------------------------------------------------------------------------- */

/* What was true and what was said, as class numbers [n]; n is batch, or batch times positions. */
typedef struct labels {
    cj_node *truth, *said, *weight;
    int64_t classes; /* 2 for one output */
    bool one_output;
} labels;

static cj_node *flat(cj_node *x) { return x ? cj_reshape(x, 1, (const cj_dim[]){CJ_INFER}) : NULL; }

/* [batch] -> the shape of `like` [batch, ...] -> [n] */
static cj_node *weight_like(cj_node *weight, cj_node *like)
{
    for (int i = 1; weight && like && i < like->type.rank; i++) weight = cj_expand_dims(weight, -1);
    return weight && like ? flat(cj_broadcast_to(weight, like->type.rank, like->type.dim)) : NULL;
}

static bool take_labels(cj_node *prediction, cj_node *target, cj_node *weight,
                        const class_options *o, const char *metric, labels *out)
{
    if (!prediction || !target || !weight) return false;
    cj_graph *g = prediction->call->graph;
    int rank = prediction->type.rank;
    cj_dim last = rank > 1 ? prediction->type.dim[rank - 1] : -1;
    if (last < 1)
        return cj_graph_fail(g, CJ_ERR_SHAPE,
                             "%s: the prediction needs a last axis of classes of a known size",
                             metric),
               false;
    bool same_rank = target->type.rank == rank;
    *out = (labels){.one_output = last == 1, .classes = last == 1 ? 2 : last};
    if (!same_rank && target->type.rank != rank - 1)
        return cj_graph_fail(g, CJ_ERR_SHAPE, "%s: the prediction has rank %d, the target rank %d",
                             metric, rank, target->type.rank),
               false;
    cj_node *said = prediction, *truth = target;
    if (out->one_output) {
        said = cj_cast(cj_greater(prediction, cj_scalar(g, prediction->type.dtype, o->threshold)),
                       CJ_I64);
        if (said) said = cj_squeeze(said, -1);
        if (same_rank) truth = cj_squeeze(truth, -1);
    } else {
        said = cj_argmax(prediction, -1, false);
        if (same_rank)
            truth = cj_node_dim(truth, -1) == 1 ? cj_squeeze(truth, -1)
                                                : cj_argmax(truth, -1, false);
    }
    out->weight = weight_like(cj_cast(weight, prediction->type.dtype), said);
    out->truth = flat(truth ? cj_cast(truth, CJ_I64) : NULL);
    out->said = flat(said);
    return out->truth && out->said && out->weight;
}

static cj_node *build_accuracy(cj_node *prediction, cj_node *target, cj_node *weight,
                               const void *options)
{
    labels l;
    if (!take_labels(prediction, target, weight, options, "accuracy", &l)) return NULL;
    cj_node *right = cj_cast(cj_equal(l.truth, l.said), l.weight->type.dtype);
    cj_node *sums[] = {cj_sum(cj_mul(right, l.weight)), cj_sum(l.weight)};
    return cj_stack(sums, 2, 0);
}
static double ratio(double a, double b) { return b != 0 ? a / b : 0; }
static double mean_value(const double *sums, int64_t n, const void *options)
{
    (void)n, (void)options;
    return ratio(sums[0], sums[1]);
}
const cj_metric cj_metric_accuracy = {.name = "accuracy",
                                      .doc = "share of samples whose class is right",
                                      .options_size = sizeof(class_options),
                                      .options = class_table,
                                      .build = build_accuracy,
                                      .value = mean_value};

/* ---- The matrix and what is read from it ----------------------------------------------------- */

/* onehot(truth)^T (onehot(said) * weight): [classes, classes] */
static cj_node *counts(const labels *l)
{
    cj_dtype dtype = l->weight->type.dtype;
    cj_node *truth = cj_one_hot(l->truth, l->classes, dtype),
            *said = cj_one_hot(l->said, l->classes, dtype);
    return flat(
        cj_matmul_transposed(truth, cj_mul(said, cj_expand_dims(l->weight, -1)), true, false));
}

static cj_node *build_confusion(cj_node *prediction, cj_node *target, cj_node *weight,
                                const void *options)
{
    labels l;
    return take_labels(prediction, target, weight, options, "confusion", &l) ? counts(&l) : NULL;
}
const cj_metric cj_metric_confusion = {.name = "confusion",
                                       .doc = "counts, rows truth, columns prediction",
                                       .options_size = sizeof(class_options),
                                       .options = class_table,
                                       .build = build_confusion};

static cj_node *build_counts(cj_node *prediction, cj_node *target, cj_node *weight,
                             const void *options)
{
    labels l;
    if (!take_labels(prediction, target, weight, options, "precision, recall, f1", &l)) return NULL;
    cj_node *matrix = counts(&l);
    return matrix && l.one_output ? cj_slice_axis(matrix, 0, 1, 3) : matrix;
}

/* of one class: tp true positives, fp false ones, fn the missed */
typedef double (*judge_fn)(double tp, double fp, double fn);

/* The mean over the classes that occur, as scikit-learn's average='macro'; 0/0 counts as 0. */
static double macro(const double *sums, int64_t n, judge_fn judge)
{
    if (n == 3) return judge(sums[2], sums[0], sums[1]);
    int64_t classes = (int64_t)lround(sqrt((double)n)), present = 0;
    double total = 0;
    for (int64_t c = 0; c < classes; c++) {
        double row = 0, column = 0, tp = sums[c * classes + c];
        for (int64_t i = 0; i < classes; i++)
            row += sums[c * classes + i], column += sums[i * classes + c];
        if (row == 0 && column == 0) continue;
        total += judge(tp, column - tp, row - tp);
        present++;
    }
    return ratio(total, (double)present);
}

#define FROM_COUNTS(id, text, formula) \
    static double judge_##id(double tp, double fp, double fn) \
    { \
        (void)fp, (void)fn; \
        return formula; \
    } \
    static double id##_value(const double *sums, int64_t n, const void *options) \
    { \
        (void)options; \
        return macro(sums, n, judge_##id); \
    } \
    const cj_metric cj_metric_##id = {.name = #id, \
                                      .doc = text, \
                                      .options_size = sizeof(class_options), \
                                      .options = class_table, \
                                      .build = build_counts, \
                                      .value = id##_value};

FROM_COUNTS(precision, "how many of those said to be of a class are; mean over classes",
            ratio(tp, tp + fp))
FROM_COUNTS(recall, "how many of a class are found; mean over classes", ratio(tp, tp + fn))
FROM_COUNTS(f1, "harmonic mean of precision and recall; mean over classes",
            ratio(2 * tp, 2 * tp + fp + fn))

/* ---- Numbers --------------------------------------------------------------------------------- */

/* each: one number a sample [batch, ...], averaged over all but the samples and summed in double */
static cj_node *weighted_sums(cj_node *each, cj_node *weight)
{
    if (!each || !weight) return NULL;
    each = cj_cast(each, CJ_F64);
    weight = cj_cast(weight, CJ_F64);
    int64_t axes[CJ_RANK_MAX];
    int n = 0;
    for (int i = 1; each && i < each->type.rank; i++) axes[n++] = i;
    if (n) each = cj_reduce_mean(each, n, axes, false);
    cj_node *sums[] = {cj_sum(cj_mul(each, weight)), cj_sum(weight)};
    return sums[0] && sums[1] ? cj_stack(sums, 2, 0) : NULL;
}

#define OF_DIFFERENCE(id, others, text, function) \
    static cj_node *build_##id(cj_node *prediction, cj_node *target, cj_node *weight, \
                               const void *options) \
    { \
        (void)options; \
        target = cj__target_like(prediction, target, #id); \
        return target ? weighted_sums(function(cj_sub(prediction, target)), weight) : NULL; \
    } \
    const cj_metric cj_metric_##id = {.name = #id, \
                                      .doc = text, \
                                      .aliases = others, \
                                      .build = build_##id, \
                                      .value = mean_value, \
                                      .smaller_is_better = true};

OF_DIFFERENCE(mse, "mean_squared_error", "mean of (prediction - target)^2", cj_square)
OF_DIFFERENCE(mae, "mean_absolute_error", "mean of |prediction - target|", cj_abs)
