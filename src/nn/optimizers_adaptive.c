/* optimizers_adaptive.c: each weight has a rate of its own, from the gradients it has seen:
 * RMSprop, Adagrad, Adadelta, Adafactor, Ftrl. */
#include "nn/optimizer.h"

#include <math.h>

/* ---- rmsprop --------------------------------------------------------------------------------- */

typedef struct rmsprop_options {
    cj_optimizer_common common;
    double rho, momentum, epsilon;
    bool centered;
} rmsprop_options;
static const cj_option rmsprop_table[] = {
    CJ_OPTION_FLOAT(rmsprop_options, rho, 0.9, 0, 1, "decay of the mean of squared gradients"),
    CJ_OPTION_FLOAT(rmsprop_options, momentum, 0, 0, 1, "share of the last step that is kept"),
    CJ__EPSILON_OPTION(rmsprop_options),
    CJ_OPTION_BOOL(rmsprop_options, centered, false,
                   "divide by the deviation, not the root mean square"),
    CJ_OPTIMIZER_COMMON(0, "is epsilon added inside (keras) or outside (torch) the root; and "
                           "weight_decay: " CJ__DECAY_FORM)};

/* v = rho v + (1 - rho) g^2; centered: less the square of the mean gradient, which rounding may
 * take below 0.
 * keras: d = a g / sqrt(v + epsilon);      u = momentum u + d;  w -= u
 * torch: d = g / (sqrt v + epsilon);       u = momentum u + d;  w -= a u */
static bool build_rmsprop(cj_optimizer_step *s)
{
    const rmsprop_options *o = s->options;
    const bool keras = o->common.form == CJ__FORM_KERAS;
    cj_node *w, *g;
    cj__decay(s, &w, &g);
    cj_node *spread = cj__slot_average(s, 0, cj_square(g), o->rho);
    if (o->centered)
        spread = cj_relu(cj_sub(spread, cj_square(cj__slot_average(s, 2, g, o->rho))));
    cj_node *root = keras ? cj_sqrt(cj_shift(spread, o->epsilon))
                          : cj_shift(cj_sqrt(spread), o->epsilon);
    cj_node *step = cj_div(keras ? cj_mul(s->learning_rate, g) : g, root);
    if (o->momentum > 0)
        step = s->new_slots[1] = cj_add(cj_scale(s->slots[1], o->momentum), step);
    s->new_parameter = cj_sub(w, keras ? step : cj_mul(s->learning_rate, step));
    return s->new_parameter != NULL;
}
static bool rmsprop_slot(const void *options, int k, cj_type *type)
{
    const rmsprop_options *o = options;
    (void)type;
    return k == 0 || (k == 1 ? o->momentum > 0 : o->centered);
}
static const char *const rmsprop_names[] = {"v", "momentum", "mean", NULL};
const cj_optimizer cj_optimizer_rmsprop = {
    .name = "rmsprop",
    .doc = "w -= a g / sqrt(v + epsilon), v = rho v + (1 - rho) g^2 (Tieleman and Hinton 2012)",
    .options_size = sizeof(rmsprop_options),
    .options = rmsprop_table,
    .learning_rate = 0.001,
    .slots = rmsprop_names,
    .build = build_rmsprop,
    .slot = rmsprop_slot};

/* ---- adagrad --------------------------------------------------------------------------------- */

typedef struct adagrad_options {
    cj_optimizer_common common;
    double initial_accumulator_value, epsilon, learning_rate_decay;
} adagrad_options;
static const cj_option adagrad_table[] = {
    CJ_OPTION_FLOAT(adagrad_options, initial_accumulator_value, 0.1, 0, 1e6,
                    "of the sum of squares"),
    CJ__EPSILON_OPTION(adagrad_options),
    CJ_OPTION_FLOAT(adagrad_options, learning_rate_decay, 0, 0, 1e6,
                    "the rate is divided by 1 + learning_rate_decay (t - 1)"),
    CJ_OPTIMIZER_COMMON(0, "is epsilon added inside (keras) or outside (torch) the root; and "
                           "weight_decay: " CJ__DECAY_FORM)};

/* n += g^2;  keras: w -= a g / sqrt(n + epsilon);  torch: w -= a g / (sqrt n + epsilon)
 * The initial value is added when n is used: a small sum would lose its digits beside it. */
static bool build_adagrad(cj_optimizer_step *s)
{
    const adagrad_options *o = s->options;
    const bool keras = o->common.form == CJ__FORM_KERAS;
    const double first = o->initial_accumulator_value;
    cj_node *w, *g, *rate = s->learning_rate;
    cj__decay(s, &w, &g);
    cj_node *n = s->new_slots[0] = cj_add(s->slots[0], cj_square(g));
    cj_node *root = cj_sqrt(cj_shift(n, first + (keras ? o->epsilon : 0)));
    if (!keras) root = cj_shift(root, o->epsilon);
    if (o->learning_rate_decay > 0) {
        cj_node *slower = cj_shift(cj_scale(cj_shift(s->step, -1), o->learning_rate_decay), 1);
        rate = cj__step_cast(s, cj_div(cj__step_rate(s), slower));
    }
    s->new_parameter = cj_sub(w, cj_div(cj_mul(rate, g), root));
    return s->new_parameter != NULL;
}
static const char *const sum_names[] = {"sum", NULL};
const cj_optimizer cj_optimizer_adagrad = {
    .name = "adagrad",
    .doc = "w -= a g / sqrt(n + epsilon), n = initial_accumulator_value + all g^2 (Duchi et al. "
           "2011)",
    .options_size = sizeof(adagrad_options),
    .options = adagrad_table,
    .learning_rate = 0.001,
    .slots = sum_names,
    .build = build_adagrad};

/* ---- adadelta -------------------------------------------------------------------------------- */

typedef struct adadelta_options {
    cj_optimizer_common common;
    double rho, epsilon;
} adadelta_options;
static const cj_option adadelta_table[] = {
    CJ_OPTION_FLOAT(adadelta_options, rho, 0.95, 0, 1, "decay of both means"),
    CJ__EPSILON_OPTION(adadelta_options), CJ_OPTIMIZER_COMMON(0, CJ__DECAY_FORM)};

/* v = rho v + (1 - rho) g^2;  d = g sqrt(u + epsilon) / sqrt(v + epsilon)
 * u = rho u + (1 - rho) d^2;  w -= a d */
static bool build_adadelta(cj_optimizer_step *s)
{
    const adadelta_options *o = s->options;
    cj_node *w, *g;
    cj__decay(s, &w, &g);
    cj_node *v = cj__slot_average(s, 0, cj_square(g), o->rho);
    cj_node *d = cj_mul(cj_div(cj_sqrt(cj_shift(s->slots[1], o->epsilon)),
                               cj_sqrt(cj_shift(v, o->epsilon))),
                        g);
    cj__slot_average(s, 1, cj_square(d), o->rho);
    s->new_parameter = cj_sub(w, cj_mul(s->learning_rate, d));
    return s->new_parameter != NULL;
}
static const char *const adadelta_names[] = {"v", "u", NULL};
const cj_optimizer cj_optimizer_adadelta = {
    .name = "adadelta",
    .doc = "w -= a d, d = g sqrt(u + epsilon) / sqrt(v + epsilon), u and v the means of d^2 and "
           "g^2 (Zeiler 2012)",
    .options_size = sizeof(adadelta_options),
    .options = adadelta_table,
    .learning_rate = 0.001,
    .slots = adadelta_names,
    .build = build_adadelta};

/* ---- adafactor ------------------------------------------------------------------------------- */

typedef struct adafactor_options {
    cj_optimizer_common common;
    double beta_2_decay, epsilon_1, epsilon_2, clip_threshold;
    bool relative_step;
} adafactor_options;
static const cj_option adafactor_table[] = {
    CJ_OPTION_FLOAT(adafactor_options, beta_2_decay, -0.8, -10, 0, "power of t: 1 - b2 = t^this"),
    CJ_OPTION_FLOAT(adafactor_options, epsilon_1, 1e-30, 0, 1, "added to the square of gradients"),
    CJ_OPTION_FLOAT(adafactor_options, epsilon_2, 1e-3, 0, 1, "least size of the parameter"),
    CJ_OPTION_FLOAT(adafactor_options, clip_threshold, 1, 1e-6, 1e6,
                    "largest root mean square of a step"),
    CJ_OPTION_BOOL(adafactor_options, relative_step, true,
                   "the rate is at most 1 / sqrt(t)"),
    CJ_OPTIMIZER_COMMON(0, CJ__DECAY_FORM)};

static cj_node *root_mean_square(cj_node *x)
{
    return cj_sqrt(cj_mean(cj_square(cj_cast(x, CJ_F64))));
}

/* g^2 + epsilon_1 of a matrix is kept as its means over rows and over columns: v = r c / mean(r).
 *     u = g / sqrt v;  u /= max(1, rms(u) / clip_threshold)
 *     w -= min(a, 1 / sqrt t) max(epsilon_2, rms(w)) u */
static bool build_adafactor(cj_optimizer_step *s)
{
    const adafactor_options *o = s->options;
    const int rank = s->parameter->type.rank;
    cj_node *w, *g, *one = cj__step_f64(s, 1);
    cj__decay(s, &w, &g);
    cj_node *square = cj_shift(cj_square(g), o->epsilon_1), *v;
    cj_node *share = cj_pow(s->step, cj__step_f64(s, o->beta_2_decay)),
            *new_share = cj__step_cast(s, share), *kept = cj__step_cast(s, cj_sub(one, share));
    if (rank >= 2) {
        static const int64_t row = -1, column = -2;
        cj_node *r = s->new_slots[0] = cj_add(
            cj_mul(kept, s->slots[0]),
            cj_mul(new_share, cj_reduce_mean(square, 1, &row, false)));
        cj_node *c = s->new_slots[1] = cj_add(
            cj_mul(kept, s->slots[1]),
            cj_mul(new_share, cj_reduce_mean(square, 1, &column, false)));
        cj_node *part = cj_div(r, cj_reduce_mean(r, 1, &row, true));
        v = cj_mul(cj_expand_dims(part, rank - 1), cj_expand_dims(c, rank - 2));
    } else {
        v = s->new_slots[2] = cj_add(cj_mul(kept, s->slots[2]), cj_mul(new_share, square));
    }
    cj_node *u = cj_div(g, cj_sqrt(v)), *rate = cj__step_rate(s);
    cj_node *far = cj_maximum(one, cj_scale(root_mean_square(u), 1 / o->clip_threshold));
    if (o->relative_step) rate = cj_minimum(rate, cj_rsqrt(s->step));
    cj_node *size = cj_maximum(cj__step_f64(s, o->epsilon_2), root_mean_square(w));
    rate = cj__step_cast(s, cj_div(cj_mul(rate, size), far));
    s->new_parameter = cj_sub(w, cj_mul(rate, u));
    return s->new_parameter != NULL;
}
static bool adafactor_slot(const void *options, int k, cj_type *type)
{
    (void)options;
    if (k == 2 || type->rank < 2) return k == 2 && type->rank < 2;
    if (k == 1) type->dim[type->rank - 2] = type->dim[type->rank - 1];
    type->rank--;
    return true;
}
static const char *const adafactor_names[] = {"r", "c", "v", NULL};
const cj_optimizer cj_optimizer_adafactor = {
    .name = "adafactor",
    .doc =
        "w -= a rms(w) g / sqrt v, v of a matrix as its means over rows and columns (Shazeer and "
        "Stern 2018)",
    .options_size = sizeof(adafactor_options),
    .options = adafactor_table,
    .learning_rate = 0.001,
    .slots = adafactor_names,
    .build = build_adafactor,
    .slot = adafactor_slot};

/* ---- ftrl ------------------------------------------------------------------------------------ */

typedef struct ftrl_options {
    cj_optimizer_common common;
    double learning_rate_power, initial_accumulator_value, l1_regularization_strength,
        l2_regularization_strength, l2_shrinkage_regularization_strength, beta;
} ftrl_options;
static const cj_option ftrl_table[] = {
    CJ_OPTION_FLOAT(ftrl_options, learning_rate_power, -0.5, -1, 0,
                    "how the rate falls as the sum of squares grows"),
    CJ_OPTION_FLOAT(ftrl_options, initial_accumulator_value, 0.1, 0, 1e6,
                    "of the sum of squares"),
    CJ_OPTION_FLOAT(ftrl_options, l1_regularization_strength, 0, 0, 1e6, "makes weights zero"),
    CJ_OPTION_FLOAT(ftrl_options, l2_regularization_strength, 0, 0, 1e6, "makes weights small"),
    CJ_OPTION_FLOAT(ftrl_options, l2_shrinkage_regularization_strength, 0, 0, 1e6,
                    "the same by the gradient"),
    CJ_OPTION_FLOAT(ftrl_options, beta, 0, 0, 1e6, "beta of the paper"),
    CJ_OPTIMIZER_COMMON(0, CJ__DECAY_FORM)};

/* n' = n + g^2;  z += g + 2 l2_shrinkage w - (n'^p - n^p) / a w,  p = -learning_rate_power
 * w = (clip(z, -l1, l1) - z) / (n'^p / a + 2 l2 + beta / a)
 * A rate of 0 moves nothing. */
static bool build_ftrl(cj_optimizer_step *s)
{
    const ftrl_options *o = s->options;
    const double first = o->initial_accumulator_value, l1 = o->l1_regularization_strength;
    cj_node *w, *g, *a = s->learning_rate, *none = cj_full_like(s->parameter, 0);
    cj__decay(s, &w, &g);
    cj_node *power = cj_full_like(w, -o->learning_rate_power);
    cj_node *sum = s->new_slots[0] = cj_add(s->slots[0], cj_square(g));
    cj_node *before = cj_pow(cj_shift(s->slots[0], first), power),
            *after = cj_pow(cj_shift(sum, first), power);
    cj_node *slope = cj_add(g, cj_scale(w, 2 * o->l2_shrinkage_regularization_strength));
    cj_node *z = cj_add(s->slots[1], cj_sub(slope, cj_mul(cj_div(cj_sub(after, before), a), w)));
    cj_node *below = cj_shift(cj_div(cj_shift(after, o->beta), a),
                              2 * o->l2_regularization_strength);
    cj_node *moves = cj_greater(a, cj_scalar(s->graph, a->type.dtype, 0));
    s->new_slots[1] = cj_where(moves, z, s->slots[1]);
    s->new_parameter = cj_where(cj_logical_and(moves, cj_greater(below, none)),
                                cj_div(cj_sub(cj_clip(z, -l1, l1), z), below), w);
    return s->new_parameter != NULL;
}
static const char *const ftrl_names[] = {"sum", "linear", NULL};
const cj_optimizer cj_optimizer_ftrl = {
    .name = "ftrl",
    .doc = "follow the regularized leader: w = (clip(z, -l1, l1) - z) / (n^p / a + 2 l2) (McMahan "
           "et al. 2013)",
    .options_size = sizeof(ftrl_options),
    .options = ftrl_table,
    .learning_rate = 0.001,
    .slots = ftrl_names,
    .build = build_ftrl};
