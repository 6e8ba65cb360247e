/* layers_norm.c: layers of normalisation: parameters gamma and beta around the operators of norm.h,
 * and, for batches, running statistics.
 *
 * Batch normalisation hands the operator its running statistics and whether this is training; the
 * operator gives back those it used, and in training programs the layer's updates move the running
 * ones there:
 *
 *     moving = momentum moving + (1 - momentum) of the batch
 *
 * The batch's variance is that of its numbers (divided by n), as Keras has it. */
#include "nn/model.h"

#include <cajal/layers.h>
#include <cajal/norm.h>

/* ---- Shared ---------------------------------------------------------------------------------- */

#define AXIS_OPTION(s, what) CJ_OPTION_INT(s, axis, -1, -CJ_RANK_MAX, CJ_RANK_MAX - 1, what)
#define EPSILON_OPTION(s, value) \
    CJ_OPTION_FLOAT(s, epsilon, value, 0, 1e30, "added to the variance, keeps the division finite")
#define GAMMA_OPTIONS(s) \
    CJ_OPTION_BOOL(s, no_scale, false, "leave out gamma"), \
        CJ_OPTION_STRING(s, gamma_initializer, "ones", "first values of gamma"), \
        CJ_OPTION_STRING(s, gamma_regularizer, NULL, "added to the loss for gamma: l2(0.01)"), \
        CJ__CONSTRAINT_OPTION(s, gamma_constraint)
#define BETA_OPTIONS(s) \
    CJ_OPTION_BOOL(s, no_center, false, "leave out beta"), \
        CJ_OPTION_STRING(s, beta_initializer, "zeros", "first values of beta"), \
        CJ_OPTION_STRING(s, beta_regularizer, NULL, "added to the loss for beta"), \
        CJ__CONSTRAINT_OPTION(s, beta_constraint)
#define END_OPTIONS(s) CJ_OPTION_STRING(s, name, NULL, "of the layer"), CJ_OPTION_END
#define CHANNELS_TEXT "axis of the channels: 1 or the last"
#define ROWS_TEXT "the first normalised axis"

/* The axis of the batch that an option means; -1 with a failed graph. */
static int axis_of(cj_layer_build *b, cj_node *x, int64_t axis)
{
    return x ? cj__axis(x, b->name, axis, cj_node_rank(x)) : -1;
}

/* An axis of channels is 1 or the last one. */
static int channels_of(cj_layer_build *b, cj_node *x, int64_t axis)
{
    int at = axis_of(b, x, axis);
    if (at < 0 || at == 1 || at == cj_node_rank(x) - 1) return at;
    cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                   "axis=%lld of rank %d; channels are on axis 1 or the last", (long long)axis,
                   cj_node_rank(x));
    return -1;
}

/* What a layer's options say of gamma or beta. */
typedef struct vector {
    bool none;
    const char *initializer, *regularizer, *constraint;
} vector;

static cj_node *vector_of(cj_layer_build *b, const char *name, cj_node *x, int first, int last,
                          vector v)
{
    if (v.none) return NULL;
    cj_node *p = cj_layer_parameter(b, name, last - first + 1, cj_node_type(x)->dim + first,
                                    v.initializer, 0, 0, v.regularizer);
    return cj_layer_constraint(b, p, v.constraint);
}

/* gamma and beta of x's sizes from one axis to another, for the operator. */
static void affine(cj_layer_build *b, cj_norm_opts *n, cj_node *x, int first, int last,
                   vector gamma, vector beta)
{
    n->scale = vector_of(b, "gamma", x, first, last, gamma);
    n->shift = vector_of(b, "beta", x, first, last, beta);
}

#define GAMMA(o) \
    (vector) \
    { \
        (o)->no_scale, (o)->gamma_initializer, (o)->gamma_regularizer, (o)->gamma_constraint \
    }
#define BETA(o) \
    (vector) \
    { \
        (o)->no_center, (o)->beta_initializer, (o)->beta_regularizer, (o)->beta_constraint \
    }

/* ---- batch_normalization --------------------------------------------------------------------- */

static const cj_option batch_normalization_options[] = {
    AXIS_OPTION(cj_batch_normalization_opts, CHANNELS_TEXT),
    CJ_OPTION_FLOAT(cj_batch_normalization_opts, momentum, 0.99, 0, 1,
                    "share of a running statistic that a step keeps"),
    EPSILON_OPTION(cj_batch_normalization_opts, 1e-3),
    GAMMA_OPTIONS(cj_batch_normalization_opts),
    BETA_OPTIONS(cj_batch_normalization_opts),
    END_OPTIONS(cj_batch_normalization_opts)};

static void move(cj_layer_build *b, cj_node *state, cj_node *batch, double momentum)
{
    cj_node *kept = cj_scale(state, momentum);
    cj_layer_update(b, state, cj_add(kept, cj_scale(cj_cast(batch, cj_node_dtype(state)),
                                                    1 - momentum)));
}

/* Mean and variance of each channel over what counts, as Keras has them: 1e-7 keeps the divisions
 * finite. */
static void masked_moments(cj_node *x, cj_node *mask, int axis, cj_node *of[2])
{
    int64_t axes[CJ_RANK_MAX];
    int n = 0;
    for (int i = 0; i < cj_node_rank(x); i++)
        if (i != axis) axes[n++] = i;
    cj_node *weight = cj_broadcast_to(cj_cast(cj__mask_like(mask, x), cj_node_dtype(x)),
                                      cj_node_rank(x), cj_node_type(x)->dim);
    cj_node *count = cj_shift(cj_reduce_sum(weight, n, axes, true), 1e-7);
    cj_node *mean = cj_div(cj_reduce_sum(cj__masked(x, mask, 0), n, axes, true), count);
    cj_node *square = cj_square(cj__masked(cj_sub(x, mean), mask, 0));
    cj_node *variance = cj_div(cj_reduce_sum(square, n, axes, true), count);
    of[0] = cj_reshape(mean, 1, (cj_dim[]){CJ_INFER});
    of[1] = cj_reshape(variance, 1, (cj_dim[]){CJ_INFER});
}

static cj_node *batch_build(cj_layer_build *b)
{
    const cj_batch_normalization_opts *o = b->options;
    cj_node *x = cj__layer_float(b, b->x[0]);
    int axis = channels_of(b, x, o->axis);
    if (axis < 0) return NULL;
    cj_norm_opts n = {.struct_size = sizeof n, .channel_axis = axis, .epsilon = o->epsilon};
    affine(b, &n, x, axis, axis, GAMMA(o), BETA(o));
    int64_t channels = cj_node_dim(x, axis);
    n.mean = cj_layer_state(b, "moving_mean", 1, &channels, 0);
    n.variance = cj_layer_state(b, "moving_variance", 1, &channels, 1);
    cj_node *training = cj_training(b->graph), *mask = cj_mask_of(b->x[0]), *of[2] = {NULL};
    cj_node *moving[] = {n.mean, n.variance};
    if (b->graph->failed) return NULL;
    if (mask) {
        masked_moments(x, mask, axis, of);
        n.mean = cj_where(training, of[0], n.mean);
        n.variance = cj_where(training, of[1], n.variance);
    } else {
        n.training = training;
        n.momentum = o->momentum;
    }
    cj_node *y = (cj_batch_norm)(x, &n);
    if (!y) return NULL;
    for (int i = 0; i < 2; i++)
        move(b, moving[i], mask ? of[i] : cj_node_output(y, i + 1), o->momentum);
    b->mask = mask;
    return y;
}

CJ__LAYER_WITH_MASKS(batch_normalization,
           "each channel gets mean 0 and variance 1 over the batch, then gamma and beta "
           "(Ioffe and Szegedy 2015)",
           batch_build, "momentum=0.9, gamma_regularizer=l2(0.001) : 4, 5", CJ_MASK_READS)

/* ---- layer_normalization, rms_normalization -------------------------------------------------- */

static const cj_option layer_normalization_options[] = {
    AXIS_OPTION(cj_layer_normalization_opts, ROWS_TEXT),
    EPSILON_OPTION(cj_layer_normalization_opts, 1e-3),
    GAMMA_OPTIONS(cj_layer_normalization_opts),
    BETA_OPTIONS(cj_layer_normalization_opts),
    END_OPTIONS(cj_layer_normalization_opts)};

static cj_node *layer_build(cj_layer_build *b)
{
    const cj_layer_normalization_opts *o = b->options;
    cj_node *x = cj__layer_float(b, b->x[0]);
    int axis = axis_of(b, x, o->axis), rank = x ? cj_node_rank(x) : 0;
    if (axis < 0) return NULL;
    cj_norm_opts n = {.struct_size = sizeof n, .axis = axis - rank, .epsilon = o->epsilon};
    affine(b, &n, x, axis, rank - 1, GAMMA(o), BETA(o));
    return b->graph->failed ? NULL : (cj_layer_norm)(x, &n);
}

CJ__LAYER_WITH_MASKS(layer_normalization,
           "each row gets mean 0 and variance 1, then gamma and beta (Ba et al. 2016)", layer_build,
           "epsilon=0.01 : 4, 5", CJ_MASK_PASSES)

static const cj_option rms_normalization_options[] = {
    AXIS_OPTION(cj_rms_normalization_opts, ROWS_TEXT),
    EPSILON_OPTION(cj_rms_normalization_opts, 1e-6), GAMMA_OPTIONS(cj_rms_normalization_opts),
    END_OPTIONS(cj_rms_normalization_opts)};

static cj_node *rms_build(cj_layer_build *b)
{
    const cj_rms_normalization_opts *o = b->options;
    cj_node *x = cj__layer_float(b, b->x[0]);
    int axis = axis_of(b, x, o->axis), rank = x ? cj_node_rank(x) : 0;
    if (axis < 0) return NULL;
    cj_norm_opts n = {.struct_size = sizeof n, .axis = axis - rank, .epsilon = o->epsilon};
    n.scale = vector_of(b, "gamma", x, axis, rank - 1, GAMMA(o));
    return b->graph->failed ? NULL : (cj_rms_norm)(x, &n);
}

CJ__LAYER_WITH_MASKS(rms_normalization,
           "each row divided by its root mean square, then gamma (Zhang and Sennrich 2019)",
           rms_build, " : 4, 5", CJ_MASK_PASSES)

/* ---- group_normalization, instance_normalization --------------------------------------------- */

static const cj_option group_normalization_options[] = {
    CJ_OPTION_INT(cj_group_normalization_opts, groups, 32, -1, 0x1p31,
                  "sets the channels are cut into; -1: each its own"),
    AXIS_OPTION(cj_group_normalization_opts, CHANNELS_TEXT),
    EPSILON_OPTION(cj_group_normalization_opts, 1e-3),
    GAMMA_OPTIONS(cj_group_normalization_opts),
    BETA_OPTIONS(cj_group_normalization_opts),
    END_OPTIONS(cj_group_normalization_opts)};

static cj_node *group_build(cj_layer_build *b)
{
    const cj_group_normalization_opts *o = b->options;
    cj_node *x = cj__layer_float(b, b->x[0]);
    int axis = channels_of(b, x, o->axis);
    if (axis < 0) return NULL;
    cj_norm_opts n = {.struct_size = sizeof n,
                      .channel_axis = axis,
                      .epsilon = o->epsilon,
                      .groups = o->groups == -1 ? cj_node_dim(x, axis) : o->groups};
    affine(b, &n, x, axis, axis, GAMMA(o), BETA(o));
    return b->graph->failed ? NULL : (cj_group_norm)(x, &n);
}

CJ__LAYER_WITH_MASKS(group_normalization,
           "groups of channels of a sample get mean 0 and variance 1, then gamma and beta "
           "(Wu and He 2018)",
           group_build, "groups=2 : 3, 4", CJ_MASK_PASSES)

static const cj_option instance_normalization_options[] = {
    AXIS_OPTION(cj_instance_normalization_opts, CHANNELS_TEXT),
    EPSILON_OPTION(cj_instance_normalization_opts, 1e-3),
    GAMMA_OPTIONS(cj_instance_normalization_opts),
    BETA_OPTIONS(cj_instance_normalization_opts),
    END_OPTIONS(cj_instance_normalization_opts)};

static cj_node *instance_build(cj_layer_build *b)
{
    const cj_instance_normalization_opts *o = b->options;
    cj_node *x = cj__layer_float(b, b->x[0]);
    int axis = channels_of(b, x, o->axis);
    if (axis < 0) return NULL;
    cj_norm_opts n = {.struct_size = sizeof n, .channel_axis = axis, .epsilon = o->epsilon};
    affine(b, &n, x, axis, axis, GAMMA(o), BETA(o));
    return b->graph->failed ? NULL : (cj_instance_norm)(x, &n);
}

CJ__LAYER_WITH_MASKS(instance_normalization,
           "each channel of a sample gets mean 0 and variance 1, then gamma and beta "
           "(Ulyanov et al. 2016)",
           instance_build, " : 5, 3", CJ_MASK_PASSES)

/* ---- local_response_normalization ------------------------------------------------------------ */

static const cj_option local_response_normalization_options[] = {
    CJ_OPTION_INT(cj_local_response_normalization_opts, size, 5, 1, 1024,
                  "how many channels are summed"),
    CJ_OPTION_FLOAT(cj_local_response_normalization_opts, alpha, 1e-4, 0, 1e30,
                    "weight of the mean of squares"),
    CJ_OPTION_FLOAT(cj_local_response_normalization_opts, beta, 0.75, -1e3, 1e3, "the power"),
    CJ_OPTION_FLOAT(cj_local_response_normalization_opts, bias, 1, 0, 1e30,
                    "added before the power"),
    AXIS_OPTION(cj_local_response_normalization_opts, CHANNELS_TEXT),
    END_OPTIONS(cj_local_response_normalization_opts)};

static cj_node *response_build(cj_layer_build *b)
{
    const cj_local_response_normalization_opts *o = b->options;
    cj_node *x = cj__layer_float(b, b->x[0]);
    int axis = channels_of(b, x, o->axis);
    cj_local_response_norm_opts n = {.struct_size = sizeof n,
                                     .size = o->size,
                                     .alpha = o->alpha,
                                     .beta = o->beta,
                                     .bias = o->bias,
                                     .channel_axis = axis};
    return axis < 0 ? NULL : (cj_local_response_norm)(x, &n);
}

CJ__LAYER_OF_KEYWORDS(local_response_normalization,
           "each channel divided by the strength of its neighbours (Krizhevsky et al. 2012)",
           response_build, "size=3, alpha=0.1 : 4, 5")

/* ---- unit_normalization ---------------------------------------------------------------------- */

static const cj_option unit_normalization_options[] = {
    AXIS_OPTION(cj_unit_normalization_opts, "whose numbers make a vector"),
    END_OPTIONS(cj_unit_normalization_opts)};

/* A length below 1e-12 counts as that, so that zeros stay. */
static cj_node *unit_build(cj_layer_build *b)
{
    const cj_unit_normalization_opts *o = b->options;
    cj_node *x = cj__layer_float(b, b->x[0]);
    const int64_t axis = axis_of(b, x, o->axis);
    if (axis < 0) return NULL;
    cj_node *square = cj_reduce_sum(cj_square(x), 1, &axis, true);
    return cj_mul(x, cj_rsqrt(cj_maximum(square, cj__number_like(x, 1e-24))));
}

CJ__LAYER_WITH_MASKS(unit_normalization, "vectors along an axis get length 1: y = x / |x|",
                     unit_build, "axis=1 : 4, 3", CJ_MASK_PASSES)
