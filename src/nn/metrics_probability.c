/* metrics_probability.c: how sure it was said: log loss, perplexity, Brier score, calibration.
 *
 * Predictions are probabilities, of the positive class for one output; with from_logits they go
 * through softmax or sigmoid first. All is computed in f64. */
#include "nn/metrics.h"

#include <float.h>
#include <math.h>

typedef struct probability_options {
    bool from_logits;
} probability_options;
static const cj_option probability_table[] = {
    CJ_OPTION_BOOL(probability_options, from_logits, false,
                   "the prediction is not yet through softmax or sigmoid"),
    CJ_OPTION_END};

/* Labels and, in f64, probabilities [n, classes] or [n] in l->scores. */
static bool take(cj_node *prediction, cj_node *target, cj_node *weight, bool from_logits,
                 const char *metric, cj__labels *l)
{
    if (!cj__take_labels(prediction, target, weight, from_logits ? 0 : 0.5, metric, l))
        return false;
    l->scores = cj_cast(l->scores, CJ_F64);
    if (from_logits && l->scores)
        l->scores = l->one_output ? cj_sigmoid(l->scores) : cj_softmax(l->scores, -1);
    return l->scores != NULL;
}

static cj_node *one_hot(const cj__labels *l) { return cj_one_hot(l->truth, l->classes, CJ_F64); }

/* The number of the true class: x [n, classes]. */
static cj_node *of_truth(const cj__labels *l, cj_node *x)
{
    cj_node *hot = one_hot(l);
    if (!hot || !x) return NULL;
    cj_graph *g = hot->call->graph;
    cj_node *half = cj_scalar(g, CJ_F64, 0.5), *zero = cj_scalar(g, CJ_F64, 0);
    return cj__sum_axis(cj_where(cj_greater(hot, half), x, zero), 1, false);
}

/* ---- Log loss -------------------------------------------------------------------------------- */

/* -log p of the truth. Probabilities are kept between e and 1 - e with e = 2^-52 and scaled to sum
 * to one, as scikit-learn does; logits need neither. */
static cj_node *build_log_loss(cj_node *prediction, cj_node *target, cj_node *weight,
                               const void *options)
{
    const probability_options *o = options;
    cj__labels l;
    if (!cj__take_labels(prediction, target, weight, 0, "log_loss", &l)) return NULL;
    cj_node *x = cj_cast(l.scores, CJ_F64), *each, *hot = one_hot(&l);
    if (!x || !hot) return NULL;
    if (o->from_logits && l.one_output) {
        /* log(1 + e^-z) for the positive class, log(1 + e^z) for the other */
        cj_node *both[] = {cj_softplus(x), cj_softplus(cj_neg(x))};
        each = both[0] && both[1] ? of_truth(&l, cj_stack(both, 2, 1)) : NULL;
    } else if (o->from_logits) {
        each = cj_neg(of_truth(&l, cj_log_softmax(x, -1)));
    } else {
        cj_node *both[] = {cj_shift(cj_neg(x), 1), x};
        if (l.one_output) x = both[0] ? cj_stack(both, 2, 1) : NULL;
        x = cj_clip(x, DBL_EPSILON, 1 - DBL_EPSILON);
        each = cj_neg(of_truth(&l, cj_log(cj_div(x, cj__sum_axis(x, 1, true)))));
    }
    return cj__mean_sums(each, l.masked);
}
const cj_metric cj_metric_log_loss = {
    .name = "log_loss",
    .doc = "mean of -log p of the true class",
    .aliases = "logloss",
    .options_size = sizeof(probability_options),
    .options = probability_table,
    .build = build_log_loss,
    .value = cj__mean_value,
    .smaller_is_better = true};

static double perplexity_value(const cj_metric_totals *t, int64_t i, const void *options)
{
    return exp(cj__mean_value(t, i, options));
}
const cj_metric cj_metric_perplexity = {
    .name = "perplexity",
    .doc = "e^(mean of -log p of the true class)",
    .options_size = sizeof(probability_options),
    .options = probability_table,
    .build = build_log_loss,
    .value = perplexity_value,
    .smaller_is_better = true};

/* ---- Brier score ----------------------------------------------------------------------------- */

static cj_node *build_brier(cj_node *prediction, cj_node *target, cj_node *weight,
                            const void *options)
{
    const probability_options *o = options;
    cj__labels l;
    if (!take(prediction, target, weight, o->from_logits, "brier", &l)) return NULL;
    cj_node *each = l.one_output
                        ? cj_square(cj_sub(l.scores, cj_cast(l.truth, CJ_F64)))
                        : cj__sum_axis(cj_square(cj_sub(l.scores, one_hot(&l))), 1, false);
    return cj__mean_sums(each, l.masked);
}
const cj_metric cj_metric_brier = {
    .name = "brier",
    .doc = "mean of sum over classes (p - [class is true])^2 (Brier 1950); one output: (p - t)^2",
    .aliases = "brier_score, brier_score_loss",
    .options_size = sizeof(probability_options),
    .options = probability_table,
    .build = build_brier,
    .value = cj__mean_value,
    .smaller_is_better = true};

/* ---- Calibration ----------------------------------------------------------------------------- */

typedef enum norm { L1, L2, MAX } norm;
static const char *const norms[] = {"l1", "l2", "max", NULL};
typedef struct calibration_options {
    bool from_logits;
    int64_t bins;
    int norm;
} calibration_options;
static const cj_option calibration_table[] = {
    CJ_OPTION_BOOL(calibration_options, from_logits, false,
                   "the prediction is not yet through softmax or sigmoid"),
    CJ_OPTION_INT(calibration_options, bins, 15, 1, 100000, "equal parts of [0, 1]"),
    CJ_OPTION_WORD(calibration_options, norm, L1, norms,
                   "l1: expected error (ECE), l2: root of the mean square, max: worst bin (MCE)"),
    CJ_OPTION_END};

/* {weight, weight * p, weight * [right]} of each bin. p is that of the class that is said, or of
 * the positive class for one output; bin i is i <= bins * p < i + 1, the last with 1. */
static cj_node *build_calibration(cj_node *prediction, cj_node *target, cj_node *weight,
                                  const void *options)
{
    const calibration_options *o = options;
    cj__labels l;
    if (!take(prediction, target, weight, o->from_logits, "calibration_error", &l)) return NULL;
    int64_t last = 1;
    cj_node *p = l.one_output ? l.scores : cj_reduce_max(l.scores, 1, &last, false);
    cj_node *right = cj_cast(l.one_output ? l.truth : cj_equal(l.truth, l.said), CJ_F64);
    double bins = (double)o->bins;
    cj_node *bin = cj_cast(cj_clip(cj_floor(cj_scale(p, bins)), 0, bins - 1), CJ_I64);
    cj_node *weights[] = {l.masked, cj_mul(l.masked, p), cj_mul(l.masked, right)};
    cj_node *of_bin = bin ? cj_one_hot(bin, o->bins, CJ_F64) : NULL;
    if (!of_bin || !weights[1] || !weights[2]) return NULL;
    return cj__flat(cj_matmul(cj_stack(weights, 3, 0), of_bin));
}

static double calibration_value(const cj_metric_totals *t, int64_t i, const void *options)
{
    const calibration_options *o = options;
    const double *weight = t->v, *p = weight + o->bins, *right = p + o->bins;
    double all = 0, sum = 0, worst = 0;
    (void)i;
    for (int64_t b = 0; b < o->bins; b++) {
        if (!(weight[b] > 0)) continue;
        double gap = fabs(right[b] - p[b]) / weight[b];
        all += weight[b];
        sum += weight[b] * (o->norm == L2 ? gap * gap : gap);
        worst = fmax(worst, gap);
    }
    if (o->norm == MAX) return worst;
    sum = cj__ratio(sum, all, 0);
    return o->norm == L2 ? sqrt(sum) : sum;
}
const cj_metric cj_metric_calibration_error = {
    .name = "calibration_error",
    .doc = "mean over bins of |share that is right - mean p| (Guo et al. 2017)",
    .aliases = "ece, expected_calibration_error",
    .options_size = sizeof(calibration_options),
    .options = calibration_table,
    .build = build_calibration,
    .value = calibration_value,
    .smaller_is_better = true};
