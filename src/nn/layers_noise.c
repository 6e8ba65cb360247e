/* layers_noise.c: layers that make training harder, so that the model generalises, and leave
 * everything as it is otherwise: noise, and a price on activity. */
#include "nn/model.h"

#include <cajal/layers.h>

#include <math.h>

static const cj_option gaussian_noise_options[] = {
    CJ_OPTION_FLOAT(cj_gaussian_noise_opts, stddev, -1, 0, 1e300, "deviation of the noise"),
    CJ_OPTION_STRING(cj_gaussian_noise_opts, name, NULL, "of the layer"), CJ_OPTION_END};
static const cj_option gaussian_dropout_options[] = {
    CJ_OPTION_FLOAT(cj_gaussian_dropout_opts, rate, 0, 0, 1,
                    "of the dropout with the same deviation, less than 1"),
    CJ_OPTION_STRING(cj_gaussian_dropout_opts, name, NULL, "of the layer"), CJ_OPTION_END};
static const cj_option alpha_dropout_options[] = {
    CJ_OPTION_FLOAT(cj_alpha_dropout_opts, rate, 0, 0, 1,
                    "share of the elements that are dropped, less than 1"),
    CJ_OPTION_STRING(cj_alpha_dropout_opts, name, NULL, "of the layer"), CJ_OPTION_END};

/* Independent normal numbers, deviation 1, as many as x has. */
static cj_node *normal_like(cj_node *x)
{
    if (!x) return NULL;
    cj_node *key = cj_random_key(x->call->graph);
    return cj_cast(cj_random_normal(key, CJ_F32, -1, x->type.rank, x->type.dim), x->type.dtype);
}

static bool leaves_something(const cj_layer_build *b, double rate)
{
    if (rate >= 1)
        cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                       "rate=1 leaves nothing; less than 1 is expected");
    return rate < 1;
}

static cj_node *gaussian_noise_build(cj_layer_build *b)
{
    const cj_gaussian_noise_opts *o = b->options;
    cj_node *x = cj__layer_float(b, b->x[0]);
    if (o->stddev == 0) return x;
    return cj_where(cj_training(b->graph), cj_add(x, cj_scale(normal_like(x), o->stddev)), x);
}

/* Deviation sqrt(rate / (1 - rate)), as dropout's factor of 0 or 1 / (1 - rate) has. */
static cj_node *gaussian_dropout_build(cj_layer_build *b)
{
    const double rate = ((const cj_gaussian_dropout_opts *)b->options)->rate;
    cj_node *x = leaves_something(b, rate) ? cj__layer_float(b, b->x[0]) : NULL;
    if (!x || rate == 0) return x;
    cj_node *factor = cj_shift(cj_scale(normal_like(x), sqrt(rate / (1 - rate))), 1);
    return cj_where(cj_training(b->graph), cj_mul(x, factor), x);
}

/* Dropped elements become selu's limit v = -1.7581; a x + b then has mean and deviation as before
 * (for inputs with 0 and 1): a = ((1 - rate) (1 + rate v^2))^(-1/2), b = -a rate v. */
static cj_node *alpha_dropout_build(cj_layer_build *b)
{
    const double rate = ((const cj_alpha_dropout_opts *)b->options)->rate;
    const double v = -1.0507009873554804934 * 1.6732632423543772848;
    const double a = 1 / sqrt((1 - rate) * (1 + rate * v * v));
    cj_node *x = leaves_something(b, rate) ? cj__layer_float(b, b->x[0]) : NULL;
    if (!x || rate == 0) return x;
    cj_node *u = cj_random_uniform(cj_random_key(b->graph), CJ_F32, -1, x->type.rank, x->type.dim);
    cj_node *kept = cj_greater_equal(u, cj_scalar(b->graph, CJ_F32, rate));
    cj_node *y = cj_where(kept, x, cj__number_like(x, v));
    return cj_where(cj_training(b->graph), cj_shift(cj_scale(y, a), -a * rate * v), x);
}

/* ---- spatial_dropout1d, spatial_dropout2d, spatial_dropout3d --------------------------------- */

static const cj_option spatial_dropout_options[] = {
    CJ_OPTION_FLOAT(cj_spatial_dropout2d_opts, rate, 0, 0, 1,
                    "share of the channels that become zero, less than 1"),
    CJ_OPTION_STRING(cj_spatial_dropout2d_opts, name, NULL, "of the layer"), CJ_OPTION_END};

/* One draw for each channel of a sample: dropout of ones [batch, 1..., channels]. */
static cj_node *spatial_dropout(cj_layer_build *b, int spatial)
{
    const double rate = ((const cj_spatial_dropout2d_opts *)b->options)->rate;
    cj_node *x = leaves_something(b, rate) ? cj__layer_float(b, b->x[0]) : NULL;
    if (!x) return NULL;
    if (cj_node_rank(x) != spatial + 2)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                              "its input is of rank %d; batch, %d spatial ax%cs and channels are "
                              "expected",
                              cj_node_rank(x), spatial, spatial == 1 ? 'i' : 'e'),
               NULL;
    if (rate == 0) return x;
    cj_dim dims[5] = {cj_node_dim(x, 0), 1, 1, 1, 1};
    dims[spatial + 1] = cj_node_dim(x, -1);
    cj_node *ones = cj_broadcast_to(cj__number_like(x, 1), spatial + 2, dims);
    return cj_mul(x, cj_dropout_node(ones, rate));
}

#define SPATIAL_DROPOUT(n, example) \
    static cj_node *spatial_dropout##n##d_build(cj_layer_build *b) \
    { \
        return spatial_dropout(b, n); \
    } \
    const cj_layer cj_layers_spatial_dropout##n##d = { \
        .name = "spatial_dropout" #n "d", \
        .doc = "in training, whole channels of a sample are zero at random; the others grow by " \
               "1 / (1 - rate) (Tompson et al. 2014)", \
        .inputs = 1, \
        .options_size = sizeof(cj_spatial_dropout2d_opts), \
        .options = spatial_dropout_options, \
        .build = spatial_dropout##n##d_build, \
        .sample = example, \
        .masking = CJ_MASK_PASSES}; \
    cj_node *(cj_spatial_dropout##n##d)(cj_node * x, const cj_spatial_dropout2d_opts *opts) \
    { \
        return cj__layer_keywords(&x, 1, &cj_layers_spatial_dropout##n##d, opts); \
    }
SPATIAL_DROPOUT(1, "rate=0.25 : 4, 8")
SPATIAL_DROPOUT(2, "rate=0.25 : 3, 2, 8")
SPATIAL_DROPOUT(3, "rate=0.25 : 2, 3, 2, 8")

CJ__LAYER_WITH_MASKS(gaussian_noise, "in training, x + normal noise", gaussian_noise_build,
                     "stddev=0.1 : 8", CJ_MASK_PASSES)
CJ__LAYER_WITH_MASKS(
    gaussian_dropout,
    "in training, x times normal noise of mean 1 and deviation sqrt(rate / (1 - rate)) "
    "(Srivastava et al. 2014)",
    gaussian_dropout_build, "rate=0.25 : 8", CJ_MASK_PASSES)
CJ__LAYER_WITH_MASKS(alpha_dropout,
                     "in training, dropout that keeps the mean and deviation of what selu gives "
                     "(Klambauer et al. 2017)",
                     alpha_dropout_build, "rate=0.25 : 8", CJ_MASK_PASSES)

/* ---- activity_regularization ----------------------------------------------------------------- */

static const cj_option activity_regularization_options[] = {
    CJ_OPTION_FLOAT(cj_activity_regularization_opts, l1, 0, 0, 1e9, "times the sum of |x|"),
    CJ_OPTION_FLOAT(cj_activity_regularization_opts, l2, 0, 0, 1e9, "times the sum of x^2"),
    CJ_OPTION_STRING(cj_activity_regularization_opts, name, NULL, "of the layer"), CJ_OPTION_END};

/* The sums are of a sample, their mean over the batch is added. */
static void price(cj_layer_build *b, cj_node *each, double factor)
{
    int64_t axes[CJ_RANK_MAX];
    int n = 0;
    if (!each || factor == 0) return;
    for (int i = 1; i < each->type.rank; i++) axes[n++] = i;
    if (n) each = cj_reduce_sum(each, n, axes, false);
    cj_layer_loss(b, cj_scale(cj_mean(each), factor));
}

static cj_node *activity_regularization_build(cj_layer_build *b)
{
    const cj_activity_regularization_opts *o = b->options;
    cj_node *x = cj__layer_float(b, b->x[0]);
    price(b, cj_abs(x), o->l1);
    price(b, cj_square(x), o->l2);
    return cj_identity(x);
}
CJ__LAYER_WITH_MASKS(activity_regularization,
                     "y = x; l1 sum |x| + l2 sum x^2 of a sample is added to the loss",
                     activity_regularization_build, "l2=0.01 : 8", CJ_MASK_PASSES)
