/* metrics_number.c: numbers against numbers.
 *
 * Errors are means over samples of a function of prediction and target. R2, explained variance and
 * Pearson's correlation are made of second moments, which must not be differences of large sums:
 * each batch takes them around a shift s of its own, its mean,
 *
 *     D = sum w (x - s)      Q = sum w (x - s)^2
 *
 * and joins those before by moving to their shift, with d = s' - s:
 *
 *     D += D' + W' d         Q += Q' + 2 d D' + W' d^2
 *
 * so that variance = (Q - D^2 / W) / W loses no digits to an offset of the data (Chan, Golub and
 * LeVeque 1979). */
#include "nn/metrics.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- Errors ---------------------------------------------------------------------------------- */

/* each: one number a sample [batch, ...], averaged over all but the samples */
static cj_node *weighted_sums(cj_node *each, cj_node *weight)
{
    if (!each || !weight) return NULL;
    int64_t axes[CJ_RANK_MAX];
    int n = 0;
    each = cj_cast(each, CJ_F64);
    for (int i = 1; each && i < each->type.rank; i++) axes[n++] = i;
    return cj__mean_sums(n ? cj_reduce_mean(each, n, axes, false) : each, weight);
}

static double root_value(const cj_metric_totals *t, int64_t i, const void *options)
{
    return sqrt(cj__mean_value(t, i, options));
}

/* p and t in f64. */
static cj_node *squared(cj_node *p, cj_node *t) { return cj_square(cj_sub(p, t)); }
static cj_node *absolute(cj_node *p, cj_node *t) { return cj_abs(cj_sub(p, t)); }
static cj_node *percentage(cj_node *p, cj_node *t)
{
    cj_node *size = cj_abs(t);
    return cj_scale(cj_div(absolute(p, t), cj_maximum(size, cj_full_like(size, 1e-7))), 100);
}

#define ERROR_METRIC(id, text, other_names, function, value_of) \
    static cj_node *build_##id(cj_node *prediction, cj_node *target, cj_node *weight, \
                               const void *options) \
    { \
        (void)options; \
        target = cj__target_like(prediction, target, #id); \
        if (!target) return NULL; \
        cj_node *p = cj_cast(prediction, CJ_F64), *t = cj_cast(target, CJ_F64); \
        return p && t ? weighted_sums(function(p, t), weight) : NULL; \
    } \
    const cj_metric cj_metric_##id = {.name = #id, \
                                      .doc = text, \
                                      .aliases = other_names, \
                                      .build = build_##id, \
                                      .value = value_of, \
                                      .smaller_is_better = true};

ERROR_METRIC(mse, "mean of (prediction - target)^2", "mean_squared_error", squared, cj__mean_value)
ERROR_METRIC(rmse, "square root of the mean of (prediction - target)^2",
             "root_mean_squared_error", squared, root_value)
ERROR_METRIC(mae, "mean of |prediction - target|", "mean_absolute_error", absolute, cj__mean_value)
ERROR_METRIC(mape, "100 times the mean of |prediction - target| / max(|target|, 1e-7)",
             "mean_absolute_percentage_error", percentage, cj__mean_value)

/* ---- Cosine ---------------------------------------------------------------------------------- */

/* x / |x| along the last axis; 0 for the zero vector. */
static cj_node *direction(cj_node *x)
{
    cj_node *norm = x ? cj_sqrt(cj__sum_axis(cj_square(x), x->type.rank - 1, true)) : NULL;
    return norm ? cj_div(x, cj_where(cj_greater(norm, cj_full_like(norm, 0)), norm,
                                     cj_full_like(norm, 1)))
                : NULL;
}

static cj_node *build_cosine(cj_node *prediction, cj_node *target, cj_node *weight,
                             const void *options)
{
    cj_node *rows[3];
    (void)options;
    if (!cj__take_rows(prediction, target, weight, "cosine_similarity", rows)) return NULL;
    return cj__mean_sums(cj__sum_axis(cj_mul(direction(rows[0]), direction(rows[1])), 1, false),
                         rows[2]);
}
const cj_metric cj_metric_cosine_similarity = {
    .name = "cosine_similarity",
    .doc = "mean of p t / (|p| |t|) along the last axis; 0 for a vector of zeros",
    .aliases = "cosine",
    .build = build_cosine,
    .value = cj__mean_value};

/* ---- Moments --------------------------------------------------------------------------------- */

/* What is kept of two series x and y, for each column: sums[field * columns + column]. */
enum { WEIGHT, COUNT, SHIFT_X, SHIFT_Y, D_X, D_Y, Q_X, Q_Y, Q_XY, FIELDS };

/* x, y [n, columns] and w [n] in f64. A batch without weight has shift 0 and all sums 0. */
static cj_node *moments(cj_node *x, cj_node *y, cj_node *w)
{
    w = w ? cj_mul(cj_expand_dims(w, 1), cj_full_like(x, 1)) : NULL;
    cj_node *sum = cj__sum_axis(w, 0, true);
    if (!sum || !y) return NULL;
    cj_node *divisor = cj_where(cj_greater(sum, cj_full_like(sum, 0)), sum, cj_full_like(sum, 1));
    cj_node *sx = cj_div(cj__sum_axis(cj_mul(w, x), 0, true), divisor),
            *sy = cj_div(cj__sum_axis(cj_mul(w, y), 0, true), divisor);
    cj_node *dx = cj_sub(x, sx), *dy = cj_sub(y, sy), *wx = cj_mul(w, dx), *wy = cj_mul(w, dy);
    cj_node *fields[FIELDS] = {[WEIGHT] = sum,
                               [COUNT] = cj__sum_axis(cj_full_like(w, 1), 0, true),
                               [SHIFT_X] = sx,
                               [SHIFT_Y] = sy,
                               [D_X] = cj__sum_axis(wx, 0, true),
                               [D_Y] = cj__sum_axis(wy, 0, true),
                               [Q_X] = cj__sum_axis(cj_mul(wx, dx), 0, true),
                               [Q_Y] = cj__sum_axis(cj_mul(wy, dy), 0, true),
                               [Q_XY] = cj__sum_axis(cj_mul(wx, dy), 0, true)};
    for (int i = 0; i < FIELDS; i++)
        if (!fields[i]) return NULL;
    return cj__flat(cj_concat(fields, FIELDS, 0));
}

static void merge_moments(double *totals, const double *batch, int64_t n)
{
    int64_t columns = n / FIELDS;
    for (int64_t c = 0; c < columns; c++) {
        double a[FIELDS], b[FIELDS];
        for (int f = 0; f < FIELDS; f++)
            a[f] = totals[f * columns + c], b[f] = batch[f * columns + c];
        double count = a[COUNT] + b[COUNT], w = b[WEIGHT];
        if (a[WEIGHT] == 0) {
            memcpy(a, b, sizeof a);
        } else if (w != 0) {
            double dx = b[SHIFT_X] - a[SHIFT_X], dy = b[SHIFT_Y] - a[SHIFT_Y];
            a[Q_X] += b[Q_X] + 2 * dx * b[D_X] + w * dx * dx;
            a[Q_Y] += b[Q_Y] + 2 * dy * b[D_Y] + w * dy * dy;
            a[Q_XY] += b[Q_XY] + dx * b[D_Y] + dy * b[D_X] + w * dx * dy;
            a[D_X] += b[D_X] + w * dx;
            a[D_Y] += b[D_Y] + w * dy;
            a[WEIGHT] += w;
        }
        a[COUNT] = count;
        for (int f = 0; f < FIELDS; f++) totals[f * columns + c] = a[f];
    }
}

/* Of one column: sums of squared deviations from the mean, their product, and the sum of y^2. A sum
 * that is not above the rounding of the values themselves is that of a constant, and 0. */
typedef struct spread {
    double x, y, xy, y2;
    bool one_sample;
} spread;

static double above(double sum, double weight, double size)
{
    double rounding = DBL_EPSILON * size;
    return sum <= weight * rounding * rounding ? 0 : sum;
}

static spread spread_of(const cj_metric_totals *t, int64_t c)
{
    double a[FIELDS];
    for (int f = 0; f < FIELDS; f++) a[f] = t->v[f * (t->n / FIELDS) + c];
    double w = a[WEIGHT];
    if (w == 0) return (spread){.one_sample = true};
    /* y may be the difference of x and something near it: it is as exact as x is. */
    double size = fmax(fabs(a[SHIFT_X]), fabs(a[SHIFT_Y]));
    return (spread){.x = above(a[Q_X] - a[D_X] * a[D_X] / w, w, fabs(a[SHIFT_X])),
                    .y = above(a[Q_Y] - a[D_Y] * a[D_Y] / w, w, size),
                    .xy = a[Q_XY] - a[D_X] * a[D_Y] / w,
                    .y2 = a[Q_Y] + 2 * a[SHIFT_Y] * a[D_Y] + w * a[SHIFT_Y] * a[SHIFT_Y],
                    .one_sample = a[COUNT] < 2};
}

/* ---- R2, explained variance ------------------------------------------------------------------ */

typedef enum outputs { UNIFORM, EACH, VARIANCE } outputs;
static const char *const outputs_words[] = {"uniform_average", "none", "variance_weighted", NULL};
static const char *const each_words[] = {"uniform_average", "none", NULL};
typedef struct outputs_options {
    int multioutput;
} outputs_options;
static const cj_option outputs_table[] = {
    CJ_OPTION_WORD(outputs_options, multioutput, UNIFORM, outputs_words,
                   "how several outputs are averaged; none: a number for each"),
    CJ_OPTION_END};

static int64_t output_numbers(int64_t n, const void *options)
{
    return ((const outputs_options *)options)->multioutput == EACH ? n / FIELDS : 0;
}

/* x is the target, y the target minus the prediction. */
static cj_node *build_residuals(cj_node *prediction, cj_node *target, cj_node *weight,
                                const void *options)
{
    cj_node *rows[3];
    (void)options;
    if (!cj__take_rows(prediction, target, weight, "r2, explained_variance", rows)) return NULL;
    return moments(rows[1], cj_sub(rows[1], rows[0]), rows[2]);
}

/* 1 - left / all, with 1 for 0/0 and 0 for a constant target that was missed, as scikit-learn. */
static double explained(double left, double all)
{
    return all > 0 ? 1 - left / all : left > 0 ? 0 : left == 0 ? 1 : (double)NAN;
}

static double r2_of(const cj_metric_totals *t, int64_t c)
{
    spread s = spread_of(t, c);
    return s.one_sample || isnan(s.x) ? (double)NAN : explained(s.y2, s.x);
}

static double explained_variance_of(const cj_metric_totals *t, int64_t c)
{
    spread s = spread_of(t, c);
    return isnan(s.x) ? (double)NAN : explained(s.y, s.x);
}

static double over_outputs(const cj_metric_totals *t, int64_t i, const outputs_options *o,
                           double (*of)(const cj_metric_totals *t, int64_t c))
{
    int64_t columns = t->n / FIELDS;
    double total = 0, weights = 0, plain = 0;
    if (o->multioutput == EACH) return of(t, i);
    for (int64_t c = 0; c < columns; c++) {
        double w = o->multioutput == VARIANCE ? spread_of(t, c).x : 1;
        total += w * of(t, c);
        weights += w;
        plain += of(t, c);
    }
    return weights > 0 ? total / weights : plain / (double)columns;
}

#define MOMENT_METRIC(id, text, other_names, table, builder) \
    static double id##_value(const cj_metric_totals *t, int64_t i, const void *options) \
    { \
        return over_outputs(t, i, options, id##_of); \
    } \
    const cj_metric cj_metric_##id = {.name = #id, \
                                      .doc = text, \
                                      .aliases = other_names, \
                                      .options_size = sizeof(outputs_options), \
                                      .options = table, \
                                      .build = builder, \
                                      .value = id##_value, \
                                      .numbers = output_numbers, \
                                      .merge = merge_moments};

MOMENT_METRIC(r2, "1 - sum (target - prediction)^2 / sum (target - mean target)^2",
              "r2_score", outputs_table, build_residuals)
MOMENT_METRIC(explained_variance, "1 - variance of (target - prediction) / variance of target",
              "explained_variance_score", outputs_table, build_residuals)

/* ---- Pearson --------------------------------------------------------------------------------- */

static const cj_option each_table[] = {
    CJ_OPTION_WORD(outputs_options, multioutput, UNIFORM, each_words,
                   "how several outputs are averaged; none: a number for each"),
    CJ_OPTION_END};

static cj_node *build_pearson(cj_node *prediction, cj_node *target, cj_node *weight,
                              const void *options)
{
    cj_node *rows[3];
    (void)options;
    return cj__take_rows(prediction, target, weight, "pearson", rows)
               ? moments(rows[1], rows[0], rows[2])
               : NULL;
}

static double pearson_of(const cj_metric_totals *t, int64_t c)
{
    spread s = spread_of(t, c);
    if (!(s.x > 0 && s.y > 0)) return NAN;
    return fmax(-1, fmin(1, s.xy / (sqrt(s.x) * sqrt(s.y))));
}
MOMENT_METRIC(pearson,
              "covariance / (deviation of target * deviation of prediction); NaN of constants",
              "pearson_correlation, pearsonr", each_table, build_pearson)
