/* metrics_class.c: what was said against what was true.
 *
 * Nearly all of these are read from one table, a row for each class that is judged against all
 * others, of weights:
 *
 *     {true positive, false positive, false negative, true negative}
 *
 * One output is judged by its positive class alone unless an average over both is asked for. A
 * sample whose label names no class (-1, say) counts nowhere in the table. Kappa and the confusion
 * matrix need all pairs: classes * classes weights, rows truth, columns prediction. Counts are in
 * f64, so they are exact, and weights that are no whole numbers keep their digits.
 *
 * Conventions are scikit-learn's: a quotient 0/0 is zero_division; averages are over the classes
 * that occur in the truth or among what was said. */
#include "nn/metrics.h"

#include <math.h>

/* ---- Shares of right answers ----------------------------------------------------------------- */

typedef struct class_options {
    double threshold;
} class_options;
static const cj_option class_table[] = {
    CJ_OPTION_FLOAT(class_options, threshold, 0.5, -1e300, 1e300,
                    "one output: above it the class is the positive one"),
    CJ_OPTION_END};

static cj_node *build_accuracy(cj_node *prediction, cj_node *target, cj_node *weight,
                               const void *options)
{
    const class_options *o = options;
    cj__labels l;
    if (!cj__take_labels(prediction, target, weight, o->threshold, "accuracy", &l)) return NULL;
    return cj__mean_sums(cj_equal(l.truth, l.said), l.weight);
}
const cj_metric cj_metric_accuracy = {
    .name = "accuracy",
    .doc = "share of samples whose class is right",
    .aliases = "acc, categorical_accuracy, sparse_categorical_accuracy, accuracy_score",
    .options_size = sizeof(class_options),
    .options = class_table,
    .build = build_accuracy,
    .value = cj__mean_value};

static cj_node *build_binary_accuracy(cj_node *prediction, cj_node *target, cj_node *weight,
                                      const void *options)
{
    const class_options *o = options;
    cj_node *rows[3];
    if (!cj__take_rows(prediction, target, weight, "binary_accuracy", rows)) return NULL;
    cj_node *threshold = cj_scalar(prediction->call->graph, CJ_F64, o->threshold),
            *half = cj_scalar(prediction->call->graph, CJ_F64, 0.5);
    cj_node *right = cj_cast(cj_equal(cj_greater(rows[0], threshold), cj_greater(rows[1], half)),
                             CJ_F64);
    int64_t last = 1;
    return right ? cj__mean_sums(cj_reduce_mean(right, 1, &last, false), rows[2]) : NULL;
}
const cj_metric cj_metric_binary_accuracy = {
    .name = "binary_accuracy",
    .doc = "share of outputs on the right side of the threshold; of several labels each counts",
    .options_size = sizeof(class_options),
    .options = class_table,
    .build = build_binary_accuracy,
    .value = cj__mean_value};

typedef struct top_k_options {
    int64_t k;
} top_k_options;
static const cj_option top_k_table[] = {
    CJ_OPTION_INT(top_k_options, k, 5, 1, 0x1p31, "how many guesses there are"), CJ_OPTION_END};

/* Right when at least classes - k + 1 classes, the true one among them, are not above the true one.
 * Written so, NaN is never right. */
static cj_node *build_top_k(cj_node *prediction, cj_node *target, cj_node *weight,
                            const void *options)
{
    const top_k_options *o = options;
    cj__labels l;
    if (!cj__take_labels(prediction, target, weight, 0, "top_k_accuracy", &l)) return NULL;
    cj_graph *g = prediction->call->graph;
    if (l.one_output)
        return cj_graph_fail(g, CJ_ERR_SHAPE,
                             "top_k_accuracy: the prediction has one value a sample, expected one "
                             "for each class");
    cj_dtype dtype = l.scores->type.dtype;
    cj_node *hot = cj_one_hot(l.truth, l.classes, dtype), *zero = cj_scalar(g, dtype, 0),
            *one = cj_scalar(g, dtype, 1);
    cj_node *of_truth = cj__sum_axis(cj_where(cj_equal(hot, one), l.scores, zero), 1, true);
    if (!of_truth) return NULL;
    cj_node *not_before = cj_equal(cj_cumsum(hot, 1, false, false), one); /* class >= truth */
    cj_node *not_above = cj_logical_or(
        cj_greater(of_truth, l.scores),
        cj_logical_and(cj_equal(of_truth, l.scores), not_before));
    cj_node *count = cj__sum_axis(cj_cast(not_above, CJ_F64), 1, false);
    double needed = (double)(l.classes - o->k + 1);
    cj_node *hit = cj_cast(cj_greater_equal(count, cj_scalar(g, CJ_F64, needed)), CJ_F64);
    cj_node *known = cj__sum_axis(cj_cast(hot, CJ_F64), 1, false);
    return hit && known ? cj__mean_sums(cj_mul(hit, known), l.weight) : NULL;
}
const cj_metric cj_metric_top_k_accuracy = {
    .name = "top_k_accuracy",
    .doc = "share of samples whose class is among the k most probable; of equals the first",
    .aliases = "top_k_categorical_accuracy, sparse_top_k_categorical_accuracy, "
               "top_k_accuracy_score",
    .options_size = sizeof(top_k_options),
    .options = top_k_table,
    .build = build_top_k,
    .value = cj__mean_value};

/* ---- The table ------------------------------------------------------------------------------- */

/* truth and said as 0 and 1, f64 [n, classes]; weight [n]. Gives [classes, 4]. */
static cj_node *table(cj_node *truth, cj_node *said, cj_node *weight)
{
    if (!truth || !said || !weight) return NULL;
    cj_node *w = cj_expand_dims(weight, 1), *not_said = cj_shift(cj_neg(said), 1),
            *not_true = cj_shift(cj_neg(truth), 1);
    cj_node *wt = cj_mul(truth, w), *wn = cj_mul(not_true, w);
    cj_node *columns[] = {
        cj__sum_axis(cj_mul(wt, said), 0, false), cj__sum_axis(cj_mul(wn, said), 0, false),
        cj__sum_axis(cj_mul(wt, not_said), 0, false), cj__sum_axis(cj_mul(wn, not_said), 0, false)};
    for (int i = 0; i < 4; i++)
        if (!columns[i]) return NULL;
    return cj_stack(columns, 4, 1);
}

static cj_node *table_of_labels(const cj__labels *l)
{
    return table(cj_one_hot(l->truth, l->classes, CJ_F64), cj_one_hot(l->said, l->classes, CJ_F64),
                 l->masked);
}

/* One row of it, by name. */
typedef struct judged {
    double tp, fp, fn, tn;
} judged;
static judged row_of(const cj_metric_totals *t, int64_t c)
{
    const double *v = t->v + 4 * c;
    return (judged){v[0], v[1], v[2], v[3]};
}

/* ---- Precision, recall and their kin --------------------------------------------------------- */

typedef enum average { AUTO, BINARY, MICRO, MACRO, WEIGHTED, NONE } average;
static const char *const averages[] = {"auto",  "binary",   "micro",
                                       "macro", "weighted", "none", NULL};

typedef struct judge_options {
    double threshold;
    int average;
    double zero_division;
    bool multilabel;
    double beta;
} judge_options;

#define JUDGE_OPTIONS                                                                              \
    CJ_OPTION_FLOAT(judge_options, threshold, 0.5, -1e300, 1e300,                                  \
                    "one output, or several labels: above it the answer is yes"),                  \
        CJ_OPTION_WORD(judge_options, average, AUTO, averages,                                     \
                       "of classes; none: a number for each; auto: binary for one output, else "   \
                       "macro"),                                                                   \
        CJ_OPTION_FLOAT(judge_options, zero_division, 0, 0, 1, "what 0/0 is"),                     \
        CJ_OPTION_BOOL(judge_options, multilabel, false,                                           \
                       "each output is a yes or no of its own, as is each number of the target")
static const cj_option judge_table[] = {JUDGE_OPTIONS, CJ_OPTION_END};
static const cj_option fbeta_table[] = {
    JUDGE_OPTIONS,
    CJ_OPTION_FLOAT(judge_options, beta, 1, 0, 1e6, "how much more recall weighs than precision"),
    CJ_OPTION_END};

static cj_node *build_judged(cj_node *prediction, cj_node *target, cj_node *weight,
                             const void *options)
{
    static const char name[] = "precision, recall and their kin";
    const judge_options *o = options;
    cj_node *counts, *rows[3];
    bool positive_alone = o->average == BINARY;
    if (o->multilabel && positive_alone) {
        if (prediction)
            cj_graph_fail(prediction->call->graph, CJ_ERR_ARGUMENT,
                          "average=binary is for two classes, but multilabel=true");
        return NULL;
    }
    if (o->multilabel) {
        if (!cj__take_rows(prediction, target, weight, name, rows)) return NULL;
        cj_graph *g = prediction->call->graph;
        counts = table(cj_cast(cj_greater(rows[1], cj_scalar(g, CJ_F64, 0.5)), CJ_F64),
                       cj_cast(cj_greater(rows[0], cj_scalar(g, CJ_F64, o->threshold)), CJ_F64),
                       rows[2]);
    } else {
        cj__labels l;
        if (!cj__take_labels(prediction, target, weight, o->threshold, name, &l)) return NULL;
        if (positive_alone && l.classes != 2)
            return cj_graph_fail(prediction->call->graph, CJ_ERR_ARGUMENT,
                                 "average=binary is for two classes, but there are %lld",
                                 (long long)l.classes);
        counts = table_of_labels(&l);
        if (o->average == AUTO && l.one_output) positive_alone = true;
    }
    if (counts && positive_alone) counts = cj_slice_axis(counts, 0, 1, 1);
    return cj__flat(counts);
}

static int64_t judged_numbers(int64_t n, const void *options)
{
    return ((const judge_options *)options)->average == NONE ? n / 4 : 0;
}

typedef double (*judge_fn)(judged j, const judge_options *o);

/* Several labels are averaged over all of them, classes over those that occur. Where no class has
 * samples, a weighted average is what the sums over classes say. */
static double averaged(const cj_metric_totals *t, int64_t i, const judge_options *o, judge_fn judge)
{
    int64_t classes = t->n / 4;
    double total = 0, weights = 0;
    judged all = {0, 0, 0, 0};
    if (o->average == NONE) return judge(row_of(t, i), o);
    for (int64_t c = 0; c < classes; c++) {
        judged j = row_of(t, c);
        bool occurs = classes == 1 || o->multilabel || j.tp + j.fp + j.fn > 0;
        double w = o->average == WEIGHTED ? j.tp + j.fn : occurs;
        all.tp += j.tp, all.fp += j.fp, all.fn += j.fn, all.tn += j.tn;
        total += w > 0 ? w * judge(j, o) : 0;
        weights += w;
    }
    return o->average == MICRO || weights == 0 ? judge(all, o) : total / weights;
}

#define JUDGED(id, text, other_names, table_of_options, expression) \
    static double judge_##id(judged j, const judge_options *o) { return expression; } \
    static double id##_value(const cj_metric_totals *t, int64_t i, const void *options) \
    { \
        return averaged(t, i, options, judge_##id); \
    } \
    const cj_metric cj_metric_##id = {.name = #id, \
                                      .doc = text, \
                                      .aliases = other_names, \
                                      .options_size = sizeof(judge_options), \
                                      .options = table_of_options, \
                                      .build = build_judged, \
                                      .value = id##_value, \
                                      .numbers = judged_numbers};

JUDGED(precision, "TP / (TP + FP): how many of those said to be of a class are",
       "precision_score", judge_table, cj__ratio(j.tp, j.tp + j.fp, o->zero_division))
JUDGED(recall, "TP / (TP + FN): how many of a class are found",
       "recall_score, sensitivity", judge_table, cj__ratio(j.tp, j.tp + j.fn, o->zero_division))
JUDGED(f1,
       "2 TP / (2 TP + FP + FN): harmonic mean of precision and recall, also Dice's coefficient",
       "f1_score, dice, dice_coefficient", judge_table,
       cj__ratio(2 * j.tp, 2 * j.tp + j.fp + j.fn, o->zero_division))
JUDGED(fbeta, "(1 + b^2) TP / ((1 + b^2) TP + FP + b^2 FN) with b = beta",
       "fbeta_score, f_beta", fbeta_table,
       cj__ratio((1 + o->beta * o->beta) * j.tp,
                 (1 + o->beta * o->beta) * j.tp + j.fp + o->beta * o->beta * j.fn,
                 o->zero_division))
JUDGED(specificity, "TN / (TN + FP): how many of those not of a class are said not to be",
       NULL, judge_table, cj__ratio(j.tn, j.tn + j.fp, o->zero_division))
JUDGED(iou, "TP / (TP + FP + FN): intersection over union, Jaccard's index",
       "mean_iou, jaccard, jaccard_score", judge_table,
       cj__ratio(j.tp, j.tp + j.fp + j.fn, o->zero_division))

/* ---- One number of all classes --------------------------------------------------------------- */

/* The options of these and of those below begin as class_options does. */
static cj_node *build_table(cj_node *prediction, cj_node *target, cj_node *weight,
                            const void *options)
{
    const class_options *o = options;
    cj__labels l;
    return cj__take_labels(prediction, target, weight, o->threshold,
                           "balanced_accuracy, matthews", &l)
               ? cj__flat(table_of_labels(&l))
               : NULL;
}

typedef struct balanced_options {
    double threshold;
    bool adjusted;
} balanced_options;
static const cj_option balanced_table[] = {
    CJ_OPTION_FLOAT(balanced_options, threshold, 0.5, -1e300, 1e300,
                    "one output: above it the class is the positive one"),
    CJ_OPTION_BOOL(balanced_options, adjusted, false, "chance is 0 and the best still 1"),
    CJ_OPTION_END};

static double balanced_value(const cj_metric_totals *t, int64_t i, const void *options)
{
    const balanced_options *o = options;
    double total = 0, classes = 0;
    (void)i;
    for (int64_t c = 0; c < t->n / 4; c++) {
        judged j = row_of(t, c);
        if (!(j.tp + j.fn > 0)) continue;
        total += j.tp / (j.tp + j.fn);
        classes++;
    }
    if (classes == 0 || (o->adjusted && classes == 1)) return NAN;
    double score = total / classes, chance = 1 / classes;
    return o->adjusted ? (score - chance) / (1 - chance) : score;
}
const cj_metric cj_metric_balanced_accuracy = {
    .name = "balanced_accuracy",
    .doc = "mean over the classes of the truth of TP / (TP + FN)",
    .aliases = "balanced_accuracy_score",
    .options_size = sizeof(balanced_options),
    .options = balanced_table,
    .build = build_table,
    .value = balanced_value};

/* With t_k and p_k the weight of class k in truth and prediction and s of all:
 *
 *     (s sum TP_k - sum t_k p_k) / sqrt((s^2 - sum t_k^2) (s^2 - sum p_k^2))
 *
 * the differences as sums over k of products with s - t_k, so that they are exactly 0 for one class
 * (Gorodkin 2004). */
static double matthews_value(const cj_metric_totals *t, int64_t i, const void *options)
{
    double truth = 0, said = 0, both = 0, of_truth = 0, of_said = 0;
    (void)i, (void)options;
    for (int64_t c = 0; c < t->n / 4; c++)
        truth += row_of(t, c).tp + row_of(t, c).fn, said += row_of(t, c).tp + row_of(t, c).fp;
    for (int64_t c = 0; c < t->n / 4; c++) {
        judged j = row_of(t, c);
        double tk = j.tp + j.fn, pk = j.tp + j.fp;
        both += j.tp * truth - tk * pk;
        of_truth += tk * (truth - tk);
        of_said += pk * (said - pk);
    }
    return cj__ratio(both, sqrt(of_truth) * sqrt(of_said), 0);
}
const cj_metric cj_metric_matthews = {
    .name = "matthews",
    .doc = "Matthews's correlation of truth and prediction; 0 where one of them has one class",
    .aliases = "mcc, matthews_corrcoef, matthews_correlation",
    .options_size = sizeof(class_options),
    .options = class_table,
    .build = build_table,
    .value = matthews_value};

/* ---- All pairs of classes -------------------------------------------------------------------- */

static cj_node *pairs(cj_node *prediction, cj_node *target, cj_node *weight, const void *options,
                      const char *metric)
{
    const class_options *o = options;
    cj__labels l;
    if (!cj__take_labels(prediction, target, weight, o->threshold, metric, &l)) return NULL;
    cj_node *truth = cj_one_hot(l.truth, l.classes, CJ_F64),
            *said = cj_one_hot(l.said, l.classes, CJ_F64);
    return cj_matmul_transposed(truth, cj_mul(said, cj_expand_dims(l.weight, -1)), true, false);
}

static cj_node *build_confusion(cj_node *prediction, cj_node *target, cj_node *weight,
                                const void *options)
{
    return cj__flat(pairs(prediction, target, weight, options, "confusion"));
}
const cj_metric cj_metric_confusion = {.name = "confusion",
                                       .doc = "counts, rows truth, columns prediction",
                                       .aliases = "confusion_matrix",
                                       .options_size = sizeof(class_options),
                                       .options = class_table,
                                       .build = build_confusion};

typedef enum kappa_weights { UNWEIGHTED, LINEAR, QUADRATIC } kappa_weights;
static const char *const kappa_words[] = {"none", "linear", "quadratic", NULL};
typedef struct kappa_options {
    double threshold;
    int weights;
} kappa_options;
static const cj_option kappa_table[] = {
    CJ_OPTION_FLOAT(kappa_options, threshold, 0.5, -1e300, 1e300,
                    "one output: above it the class is the positive one"),
    CJ_OPTION_WORD(kappa_options, weights, UNWEIGHTED, kappa_words,
                   "how much it matters by how many classes an answer is off"),
    CJ_OPTION_END};

/* The pairs, then their sums along rows, then along columns: classes * (classes + 2) sums. */
static cj_node *build_kappa(cj_node *prediction, cj_node *target, cj_node *weight,
                            const void *options)
{
    cj_node *matrix = pairs(prediction, target, weight, options, "cohen_kappa");
    cj_node *parts[] = {cj__flat(matrix), cj__sum_axis(matrix, 1, false),
                        cj__sum_axis(matrix, 0, false)};
    return parts[0] && parts[1] && parts[2] ? cj_concat(parts, 3, 0) : NULL;
}

/* 1 - disagreement / the disagreement to be expected of answers that know nothing of the truth. */
static double kappa_value(const cj_metric_totals *t, int64_t i, const void *options)
{
    const kappa_options *o = options;
    int64_t classes = (int64_t)lround(sqrt((double)t->n + 1)) - 1;
    const double *rows = t->v + classes * classes, *columns = rows + classes;
    double found = 0, expected = 0, all = 0;
    (void)i;
    for (int64_t r = 0; r < classes; r++) {
        all += rows[r];
        for (int64_t c = 0; c < classes; c++) {
            double off = fabs((double)(r - c));
            double w = o->weights == UNWEIGHTED ? r != c : o->weights == LINEAR ? off : off * off;
            found += w * t->v[r * classes + c];
            expected += w * rows[r] * columns[c];
        }
    }
    return expected > 0 ? 1 - found * all / expected : (double)NAN;
}
const cj_metric cj_metric_cohen_kappa = {
    .name = "cohen_kappa",
    .doc = "agreement beyond chance; NaN where both have one class only",
    .aliases = "kappa, cohen_kappa_score",
    .options_size = sizeof(kappa_options),
    .options = kappa_table,
    .build = build_kappa,
    .value = kappa_value};
