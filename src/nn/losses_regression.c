/* losses_regression.c: losses of numbers, distributions and directions.
 *
 * With e = prediction - target. Formulas are Keras's where Keras has the loss, else PyTorch's. */
#include "nn/losses.h"

#include <math.h>

#define TWO_PI 6.283185307179586476925

/* ---- Powers of the error --------------------------------------------------------------------- */

CJ__LOSS_OF_ELEMENTS(mse, "mean_squared_error, mse_loss",
                     "mean of (prediction - target)^2", cj__no_options, NULL,
                     cj_square(cj_sub(p, t)))
cj_node *cj_mse(cj_node *prediction, cj_node *target)
{
    cj_node *each = build_mse(prediction, target, NULL);
    return each ? cj_mean(each) : NULL;
}

CJ__LOSS_OF_ELEMENTS(mae, "mean_absolute_error, l1_loss",
                     "mean of |prediction - target|", cj__no_options, NULL, cj_abs(cj_sub(p, t)))

static cj_node *relative(cj_node *p, cj_node *t)
{
    return cj_div(cj_sub(p, t), cj_maximum(cj_abs(t), cj__number_like(t, CJ__LOSS_EPSILON)));
}
CJ__LOSS_OF_ELEMENTS(mape, "mean_absolute_percentage_error",
                     "100 times the mean of |prediction - target| / max(|target|, 1e-7)",
                     cj__no_options, NULL, cj_scale(cj_abs(relative(p, t)), 100))

/* Negative numbers count as 0; the epsilon is where the slope ends. */
static cj_node *log_of(cj_node *x)
{
    return cj_log1p(cj_maximum(x, cj__number_like(x, CJ__LOSS_EPSILON)));
}
CJ__LOSS_OF_ELEMENTS(
    msle, "mean_squared_logarithmic_error",
    "mean of (log(1 + prediction) - log(1 + target))^2, both at least 1e-7", cj__no_options, NULL,
    cj_square(cj_sub(log_of(p), log_of(t))))

/* ---- Squares near 0, straight far out -------------------------------------------------------- */

typedef struct huber_options {
    double delta;
} huber_options;
static const cj_option huber_table[] = {
    CJ_OPTION_FLOAT(huber_options, delta, 1, 0, 1e6, "error at which the square becomes straight"),
    CJ_OPTION_END};
typedef struct smooth_l1_options {
    double beta;
} smooth_l1_options;
static const cj_option smooth_l1_table[] = {
    CJ_OPTION_FLOAT(smooth_l1_options, beta, 1, 0, 1e6,
                    "error at which the square becomes straight; 0: mae"),
    CJ_OPTION_END};

/* e^2 / 2 up to delta, delta (|e| - delta / 2) beyond. With c = e kept within delta both are
 * c (e - c / 2), and so are the slopes. */
static cj_node *huber(cj_node *e, double delta)
{
    cj_node *c = cj_clip(e, -delta, delta);
    return cj_mul(c, cj_sub(e, cj_scale(c, 0.5)));
}
CJ__LOSS_OF_ELEMENTS(
    huber, "huber_loss",
    "mean of e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2) (Huber 1964)", huber_options,
    huber_table, huber(cj_sub(p, t), o->delta))
CJ__LOSS_OF_ELEMENTS(smooth_l1, "smooth_l1_loss",
                     "mean of e^2 / (2 beta) where |e| < beta, else |e| - beta / 2 (Girshick 2015)",
                     smooth_l1_options, smooth_l1_table,
                     o->beta > 0 ? cj_scale(huber(cj_sub(p, t), o->beta), 1 / o->beta)
                                 : cj_abs(cj_sub(p, t)))

/* Near 0 as ln(1 + 2 sinh^2(e / 2)), which keeps the digits of small errors; beyond 1 as
 * e + ln(1 + e^-2e) - ln 2, which does not overflow. */
static cj_node *log_cosh(cj_node *e)
{
    cj_node *half = cj_sinh(cj_scale(cj_clip(e, -1, 1), 0.5));
    cj_node *near = cj_log1p(cj_scale(cj_square(half), 2));
    cj_node *far = cj_shift(cj_add(e, cj_softplus(cj_scale(e, -2))), -log(2));
    return cj_where(cj_less(cj_abs(e), cj__number_like(e, 1)), near, far);
}
CJ__LOSS_OF_ELEMENTS(log_cosh, "logcosh", "mean of ln cosh(prediction - target)",
                     cj__no_options, NULL, log_cosh(cj_sub(p, t)))

/* ---- Quantiles ------------------------------------------------------------------------------- */

typedef struct quantile_options {
    double quantile;
} quantile_options;
static const cj_option quantile_table[] = {
    CJ_OPTION_FLOAT(quantile_options, quantile, 0.5, 0, 1,
                    "share of targets that should lie below the prediction"),
    CJ_OPTION_END};

/* q d where d >= 0, (q - 1) d below, with d = target - prediction: |d| / 2 + (q - 1/2) d. */
static cj_node *pinball(cj_node *d, double q)
{
    return cj_add(cj_scale(cj_abs(d), 0.5), cj_scale(d, q - 0.5));
}
CJ__LOSS_OF_ELEMENTS(
    quantile, "pinball, pinball_loss, quantile_loss",
    "mean of max(q d, (q - 1) d), d = target - prediction (Koenker and Bassett 1978)",
    quantile_options, quantile_table, pinball(cj_sub(t, p), o->quantile))

/* ---- Distributions --------------------------------------------------------------------------- */

typedef struct poisson_options {
    bool log_input, full;
} poisson_options;
static const cj_option poisson_table[] = {
    CJ_OPTION_BOOL(poisson_options, log_input, false,
                   "the prediction is the logarithm of the rate (PyTorch's default)"),
    CJ_OPTION_BOOL(poisson_options, full, false, "add Stirling's formula of log(target!)"),
    CJ_OPTION_END};

/* t log t - t + log(2 pi t) / 2 for t > 1, else 0. */
static cj_node *stirling(cj_node *t)
{
    cj_node *one = cj__number_like(t, 1), *safe = cj_maximum(t, one);
    cj_node *value = cj_add(cj_sub(cj_mul(safe, cj_log(safe)), safe),
                            cj_scale(cj_log(cj_scale(safe, TWO_PI)), 0.5));
    return cj_where(cj_greater(t, one), value, cj_zero);
}
static cj_node *poisson(cj_node *p, cj_node *t, const poisson_options *o)
{
    cj_node *y = o->log_input
                     ? cj_sub(cj_exp(p), cj_mul(t, p))
                     : cj_sub(p, cj_mul(t, cj_log(cj_shift(p, CJ__LOSS_EPSILON))));
    return o->full ? cj_add(y, stirling(t)) : y;
}
CJ__LOSS_OF_ELEMENTS(poisson, "poisson_nll_loss(log_input=true)",
                     "mean of p - t log(p + 1e-7); log_input: of e^p - t p", poisson_options,
                     poisson_table, poisson(p, t, o))

typedef struct gaussian_options {
    bool log_variance, full;
    double epsilon;
} gaussian_options;
static const cj_option gaussian_table[] = {
    CJ_OPTION_BOOL(gaussian_options, log_variance, false,
                   "the second half are logarithms of variances"),
    CJ_OPTION_BOOL(gaussian_options, full, false, "add the constant log(2 pi) / 2"),
    CJ_OPTION_FLOAT(gaussian_options, epsilon, 1e-6, 1e-12, 1, "the least variance"),
    CJ_OPTION_END};

static cj_node *build_gaussian_nll(cj_node *prediction, cj_node *target, const void *options)
{
    const gaussian_options *o = options;
    cj_graph *g = cj_node_graph(prediction);
    if (!g) return NULL;
    cj_dim width = prediction->type.rank > 1 ? cj_node_dim(prediction, -1) : 1;
    if (width < 1 || width % 2)
        return cj_graph_fail(g, CJ_ERR_SHAPE,
                             "gaussian_nll: the prediction's last axis has %s values, expected "
                             "means, then as many variances",
                             cj_dim_text(g, width));
    cj_node *mean = cj_slice_axis(prediction, -1, 0, width / 2),
            *second = cj_slice_axis(prediction, -1, width / 2, width / 2);
    target = mean ? cj__target_like(mean, target, "gaussian_nll") : NULL;
    if (!target) return NULL;
    cj_node *square = cj_square(cj_sub(mean, target)), *y;
    if (o->log_variance) {
        y = cj_add(second, cj_mul(square, cj_exp(cj_neg(second))));
    } else {
        cj_node *variance = cj_maximum(second, cj__number_like(second, o->epsilon));
        y = cj_add(cj_log(variance), cj_div(square, variance));
    }
    return cj__loss_mean(cj_scale(o->full ? cj_shift(y, log(TWO_PI)) : y, 0.5));
}
const cj_loss cj_loss_gaussian_nll = {
    .name = "gaussian_nll",
    .doc = "mean of (log v + (m - t)^2 / v) / 2; the prediction's last axis holds the means m, "
           "then as many variances v >= epsilon (Nix and Weigend 1994)",
    .options_size = sizeof(gaussian_options),
    .options = gaussian_table,
    .build = build_gaussian_nll,
    .aliases = "gaussian_nll_loss"};

typedef struct kl_options {
    bool from_logits;
} kl_options;
static const cj_option kl_table[] = {
    CJ_OPTION_BOOL(kl_options, from_logits, false, "the prediction is not yet through softmax"),
    CJ_OPTION_END};

/* From logits t (log t - log p) is exact, 0 for t = 0; from probabilities both are clipped as Keras
 * does it. */
static cj_node *build_kl(cj_node *prediction, cj_node *target, const void *options)
{
    const kl_options *o = options;
    if (!cj__loss_classes(prediction, "kl_divergence")) return NULL;
    cj_node *t = cj__target_like(prediction, target, "kl_divergence"), *each;
    if (!t) return NULL;
    if (o->from_logits || cj__loss_logits(prediction, &cj_op_softmax)) {
        cj_node *log_t = cj_log(cj_maximum(t, cj__number_like(t, 1e-37)));
        each = cj_mul(t, cj_sub(log_t, cj__loss_log_probabilities(prediction, o->from_logits)));
    } else {
        cj_node *p = cj_clip(prediction, CJ__LOSS_EPSILON, 1);
        t = cj_clip(t, CJ__LOSS_EPSILON, 1);
        each = cj_mul(t, cj_log(cj_div(t, p)));
    }
    return cj__loss_mean(cj__loss_last_sum(each, false));
}
const cj_loss cj_loss_kl_divergence = {
    .name = "kl_divergence",
    .doc = "sum of t log(t / p) over the last axis (Kullback and Leibler 1951)",
    .options_size = sizeof(kl_options),
    .options = kl_table,
    .build = build_kl,
    .aliases = "kld, kullback_leibler_divergence, kl_div(from_logits=true)"};

/* ---- Directions ------------------------------------------------------------------------------ */

static cj_node *build_cosine(cj_node *prediction, cj_node *target, const void *options)
{
    (void)options;
    if (!cj__loss_classes(prediction, "cosine_similarity")) return NULL;
    target = cj__target_like(prediction, target, "cosine_similarity");
    if (!target) return NULL;
    cj_node *product = cj_mul(cj__loss_unit(prediction), cj__loss_unit(target));
    return cj__loss_mean(cj_neg(cj__loss_last_sum(product, false)));
}
const cj_loss cj_loss_cosine_similarity = {
    .name = "cosine_similarity",
    .doc =
        "-(p . t) / (|p| |t|) along the last axis: -1 for the same direction, 1 for opposite ones",
    .build = build_cosine,
    .aliases = "cosine_proximity"};
