/* metrics_ranking.c: metrics of the order of predictions: ROC, precision and recall over all
 * thresholds, Spearman's rank correlation.
 *
 * They are exact, as scikit-learn's, for which the samples themselves are needed: a record a sample
 * is kept (cj_metric.collects), {weight, truth, scores}. A value sorts triples of numbers made from
 * the records. Samples of weight 0 are as if they were not there; NaN among the scores gives NaN.
 */
#include "nn/metrics.h"

#include <math.h>

/* ---- Sorting --------------------------------------------------------------------------------- */

typedef cj__triple triple;

/* Merges runs of 1, 2, 4 ... from one buffer to the other. */
triple *cj__sort_triples(triple *v, triple *other, int64_t n)
{
    for (int64_t run = 1; run < n; run *= 2) {
        for (int64_t at = 0; at < n; at += 2 * run) {
            int64_t left = at, middle = at + run < n ? at + run : n, right = middle,
                    end = middle + run < n ? middle + run : n;
            for (int64_t k = at; k < end; k++) {
                bool from_left = left < middle && (right == end || v[left].key >= v[right].key);
                other[k] = from_left ? v[left++] : v[right++];
            }
        }
        triple *swap = v;
        v = other, other = swap;
    }
    return v;
}

/* ---- Curves ---------------------------------------------------------------------------------- */

typedef enum average { MACRO, WEIGHTED, NONE } average;
static const char *const averages[] = {"macro", "weighted", "none", NULL};
typedef enum multi_class { OVR, OVO } multi_class;
static const char *const multi_classes[] = {"ovr", "ovo", NULL};

typedef struct ranking_options {
    int average;
    bool multilabel;
    int multi_class;
} ranking_options;

#define RANKING_OPTIONS                                                                            \
    CJ_OPTION_WORD(ranking_options, average, MACRO, averages,                                      \
                   "of classes; none: a number for each"),                                         \
        CJ_OPTION_BOOL(ranking_options, multilabel, false,                                         \
                       "each output is a yes or no of its own, as is each number of the target")
static const cj_option ranking_table[] = {RANKING_OPTIONS, CJ_OPTION_END};
static const cj_option roc_table[] = {
    RANKING_OPTIONS,
    CJ_OPTION_WORD(ranking_options, multi_class, OVR, multi_classes,
                   "ovr: each class against the rest, ovo: each pair (Hand and Till 2001)"),
    CJ_OPTION_END};

/* Columns beside one another: [n] or [n, k] each. */
static cj_node *records(cj_node *weight, cj_node *truth, cj_node *scores)
{
    cj_node *parts[] = {weight, truth, scores};
    for (int i = 0; i < 3; i++) {
        if (parts[i]) parts[i] = cj_cast(parts[i], CJ_F64);
        if (parts[i] && parts[i]->type.rank == 1) parts[i] = cj_expand_dims(parts[i], 1);
        if (!parts[i]) return NULL;
    }
    return cj_concat(parts, 3, 1);
}

/* {weight, class, score}, {weight, class, scores of classes}, or, of several labels, {weight,
 * truths, scores}. */
static cj_node *build_curve(cj_node *prediction, cj_node *target, cj_node *weight,
                            const void *options)
{
    static const char name[] = "roc_auc, average_precision";
    const ranking_options *o = options;
    cj_node *rows[3];
    cj__labels l;
    if (o->multilabel)
        return cj__take_rows(prediction, target, weight, name, rows)
                   ? records(rows[2], rows[1], rows[0])
                   : NULL;
    return cj__take_labels(prediction, target, weight, 0, name, &l)
               ? records(l.masked, l.truth, l.scores)
               : NULL;
}

static int64_t curve_classes(int64_t n, bool multilabel)
{
    return multilabel ? (n - 1) / 2 : n == 3 ? 1 : n - 2;
}
static int64_t curve_numbers(int64_t n, const void *options)
{
    const ranking_options *o = options;
    return o->average == NONE ? curve_classes(n, o->multilabel) : 0;
}

/* Samples of class c against those of class `other` (-1: all others) by the score of class c:
 * {score, weight if positive, weight if negative} by falling score. */
typedef struct curve {
    const triple *v;
    int64_t n;
    double positive, negative; /* weights */
    bool nan;
} curve;

static curve curve_of(const cj_metric_totals *t, int64_t c, int64_t other, bool multilabel)
{
    int64_t classes = curve_classes(t->n, multilabel);
    triple *v = (triple *)t->scratch;
    curve out = {0};
    for (int64_t i = 0; i < t->count; i++) {
        const double *r = t->v + i * t->n;
        double truth = r[1 + (multilabel ? c : 0)], score = r[t->n - classes + c];
        bool is_positive = multilabel     ? truth > 0.5
                           : classes == 1 ? truth == 1
                                          : truth == (double)c;
        if (r[0] == 0 || (!is_positive && other >= 0 && truth != (double)other)) continue;
        double p = is_positive ? r[0] : 0, q = is_positive ? 0 : r[0];
        out.positive += p, out.negative += q;
        out.nan = out.nan || isnan(score);
        v[out.n++] = (triple){score, p, q};
    }
    if (!out.nan) out.v = cj__sort_triples(v, v + t->count, out.n);
    return out;
}

/* The weights of a group of equal scores that begins at i; returns where the next begins. */
static int64_t group(const curve *c, int64_t i, double *positive, double *negative)
{
    double key = c->v[i].key;
    *positive = *negative = 0;
    for (; i < c->n && c->v[i].key == key; i++)
        *positive += c->v[i].a, *negative += c->v[i].b;
    return i;
}

/* The share of pairs (positive, negative) in which the positive scores higher, equal ones half. */
static double roc_area(const curve *c)
{
    double area = 0, above = 0, positive, negative;
    if (c->nan || !(c->positive > 0 && c->negative > 0)) return NAN;
    for (int64_t i = 0; i < c->n;) {
        i = group(c, i, &positive, &negative);
        area += negative * (above + positive / 2);
        above += positive;
    }
    return area / (c->positive * c->negative);
}

/* Sum over thresholds of (recall - recall before) * precision; 0 without positives. */
static double precision_area(const curve *c)
{
    double area = 0, hits = 0, said = 0, positive, negative;
    if (c->nan) return NAN;
    for (int64_t i = 0; i < c->n;) {
        i = group(c, i, &positive, &negative);
        hits += positive;
        said += positive + negative;
        area += positive * hits / said;
    }
    return cj__ratio(area, c->positive, 0);
}

/* Over classes: those without an area, or absent from the truth, are left out; several labels count
 * all. `nothing` where none is left. */
static double average_area(const cj_metric_totals *t, int64_t i, const ranking_options *o,
                           double (*area_of)(const curve *c), double nothing)
{
    int64_t classes = curve_classes(t->n, o->multilabel);
    bool one = o->average == NONE || classes == 1;
    double total = 0, weights = 0;
    for (int64_t c = one ? i : 0; c < (one ? i + 1 : classes); c++) {
        curve own = curve_of(t, c, -1, o->multilabel);
        double area = area_of(&own);
        if (one || own.nan) return area;
        double w = o->average == WEIGHTED                ? own.positive
                   : o->multilabel || own.positive > 0 ? 1
                                                         : 0;
        if (isnan(area) || w == 0) continue;
        total += w * area;
        weights += w;
    }
    return cj__ratio(total, weights, nothing);
}

/* Mean over pairs of classes of the mean of both areas; weighted: by how many samples a pair has.
 */
static double pairs_area(const cj_metric_totals *t, const ranking_options *o)
{
    int64_t classes = curve_classes(t->n, false);
    double total = 0, weights = 0;
    for (int64_t a = 0; a < classes; a++) {
        for (int64_t b = a + 1; b < classes; b++) {
            curve of_a = curve_of(t, a, b, false); /* the scratch is reused: the area at once */
            double first = roc_area(&of_a);
            curve of_b = curve_of(t, b, a, false);
            if (of_a.nan || of_b.nan) return NAN;
            if (isnan(first)) continue;
            double w = o->average == WEIGHTED ? of_a.positive + of_a.negative : 1;
            total += w * (first + roc_area(&of_b)) / 2;
            weights += w;
        }
    }
    return cj__ratio(total, weights, (double)NAN);
}

static double roc_value(const cj_metric_totals *t, int64_t i, const void *options)
{
    const ranking_options *o = options;
    bool pairs = o->multi_class == OVO && o->average != NONE && !o->multilabel && t->n > 3;
    return pairs ? pairs_area(t, o) : average_area(t, i, o, roc_area, NAN);
}
const cj_metric cj_metric_roc_auc = {
    .name = "roc_auc",
    .doc = "area under the ROC curve: how often a positive scores above a negative, equal ones "
           "half; NaN where one of them has no samples. Keeps all scores",
    .aliases = "auc, auroc, roc_auc_score",
    .options_size = sizeof(ranking_options),
    .options = roc_table,
    .build = build_curve,
    .value = roc_value,
    .collects = true,
    .numbers = curve_numbers};

static double precision_value(const cj_metric_totals *t, int64_t i, const void *options)
{
    return average_area(t, i, options, precision_area, 0);
}
const cj_metric cj_metric_average_precision = {
    .name = "average_precision",
    .doc = "sum over thresholds of (recall - recall before) precision, the area under the "
           "precision-recall curve; 0 without positives. Keeps all scores",
    .aliases = "pr_auc, auc_pr, average_precision_score",
    .options_size = sizeof(ranking_options),
    .options = ranking_table,
    .build = build_curve,
    .value = precision_value,
    .collects = true,
    .numbers = curve_numbers};

/* ---- Spearman -------------------------------------------------------------------------------- */

typedef enum outputs { UNIFORM, EACH } outputs;
static const char *const outputs_words[] = {"uniform_average", "none", NULL};
typedef struct spearman_options {
    int multioutput;
} spearman_options;
static const cj_option spearman_table[] = {
    CJ_OPTION_WORD(spearman_options, multioutput, UNIFORM, outputs_words,
                   "how several outputs are averaged; none: a number for each"),
    CJ_OPTION_END};

static int64_t spearman_numbers(int64_t n, const void *options)
{
    return ((const spearman_options *)options)->multioutput == EACH ? (n - 1) / 2 : 0;
}

static cj_node *build_spearman(cj_node *prediction, cj_node *target, cj_node *weight,
                               const void *options)
{
    cj_node *rows[3];
    (void)options;
    return cj__take_rows(prediction, target, weight, "spearman", rows)
               ? records(rows[2], rows[1], rows[0])
               : NULL;
}

/* ranks[i] of record i by column, from the middle of all: the weight of what is above, equal ones
 * half, so that a weight of two is the sample twice. false: there is NaN. */
static bool rank(const cj_metric_totals *t, int64_t column, double *ranks)
{
    triple *v = (triple *)t->scratch;
    double all = 0, above = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < t->count; i++) {
        const double *r = t->v + i * t->n;
        if (r[0] == 0) continue;
        if (isnan(r[column])) return false;
        all += r[0];
        v[n++] = (triple){r[column], (double)i, r[0]};
    }
    v = cj__sort_triples(v, v + t->count, n);
    for (int64_t i = 0, end = 0; i < n; i = end) {
        double w = 0;
        for (end = i; end < n && v[end].key == v[i].key; end++) w += v[end].b;
        for (int64_t k = i; k < end; k++) ranks[(int64_t)v[k].a] = above + w / 2 - all / 2;
        above += w;
    }
    return true;
}

static double spearman_of(const cj_metric_totals *t, int64_t c)
{
    int64_t columns = (t->n - 1) / 2;
    double *x = t->scratch + 6 * t->count, *y = x + t->count, xx = 0, yy = 0, xy = 0;
    if (!rank(t, 1 + c, x) || !rank(t, 1 + columns + c, y)) return NAN;
    for (int64_t i = 0; i < t->count; i++) {
        double w = t->v[i * t->n];
        if (w == 0) continue;
        xx += w * x[i] * x[i], yy += w * y[i] * y[i], xy += w * x[i] * y[i];
    }
    if (!(xx > 0 && yy > 0)) return NAN;
    return fmax(-1, fmin(1, xy / (sqrt(xx) * sqrt(yy))));
}

static double spearman_value(const cj_metric_totals *t, int64_t i, const void *options)
{
    const spearman_options *o = options;
    int64_t columns = (t->n - 1) / 2;
    double total = 0;
    if (o->multioutput == EACH) return spearman_of(t, i);
    for (int64_t c = 0; c < columns; c++) total += spearman_of(t, c);
    return total / (double)columns;
}
const cj_metric cj_metric_spearman = {
    .name = "spearman",
    .doc = "correlation of the ranks of target and prediction, equal values at their middle; NaN "
           "of constants. Keeps all numbers",
    .aliases = "spearmanr, spearman_correlation",
    .options_size = sizeof(spearman_options),
    .options = spearman_table,
    .build = build_spearman,
    .value = spearman_value,
    .collects = true,
    .numbers = spearman_numbers};
