/* optimizers_adam.c: Adam and its family: a mean of gradients over a mean of their squares.
 *
 *     m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
 *
 * Both begin at 0, so they are divided by 1 - b1^t and 1 - b2^t: scalars, computed in double. */
#include "nn/optimizer.h"

static const char *const moment_names[] = {"m", "v", NULL};

static void moments(cj_optimizer_step *s, cj_node *g, double beta_1, double beta_2)
{
    cj__slot_average(s, 0, g, beta_1);
    cj__slot_average(s, 1, cj_square(g), beta_2);
}

/* ---- adam, adamw ----------------------------------------------------------------------------- */

typedef struct adam_options {
    cj_optimizer_common common;
    double beta_1, beta_2, epsilon;
    bool amsgrad;
} adam_options;
#define ADAM_TABLE(weight_decay, form)                                                             \
    {                                                                                              \
        CJ__MOMENT_OPTIONS(adam_options, 0.9, 0.999), CJ__EPSILON_OPTION(adam_options),            \
            CJ_OPTION_BOOL(adam_options, amsgrad, false,                                           \
                           "divide by the largest v so far (Reddi et al. 2018)"),                  \
            CJ_OPTIMIZER_COMMON(weight_decay, form)                                 \
    }
#define EPSILON_FORM "is epsilon added before (keras) or after (torch) the bias correction"
static const cj_option adam_table[] = ADAM_TABLE(0, EPSILON_FORM
                                                 "; and weight_decay: " CJ__DECAY_FORM);
static const cj_option adamw_table[] = ADAM_TABLE(0.004, EPSILON_FORM);

/* keras: w -= a sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt v + epsilon)
 * torch: w -= a / (1 - b1^t) * m / (sqrt v / sqrt(1 - b2^t) + epsilon) */
static bool adam_step(cj_optimizer_step *s, cj_node *w, cj_node *g)
{
    const adam_options *o = s->options;
    moments(s, g, o->beta_1, o->beta_2);
    cj_node *v = s->new_slots[1];
    if (o->amsgrad) v = s->new_slots[2] = cj_maximum(s->slots[2], v);
    cj_node *rate = cj__step_rate(s), *root = cj_sqrt(cj__step_correction(s, o->beta_2));
    rate = cj_div(rate, cj__step_correction(s, o->beta_1));
    cj_node *size = cj_sqrt(v);
    if (o->common.form == CJ__FORM_KERAS) rate = cj_mul(rate, root);
    else size = cj_div(size, cj__step_cast(s, root));
    s->new_parameter = cj_sub(w, cj_div(cj_mul(cj__step_cast(s, rate), s->new_slots[0]),
                                        cj_shift(size, o->epsilon)));
    return s->new_parameter != NULL;
}

static bool build_adam(cj_optimizer_step *s)
{
    cj_node *w, *g;
    cj__decay(s, &w, &g);
    return adam_step(s, w, g);
}
static bool build_adamw(cj_optimizer_step *s)
{
    return adam_step(s, cj__decay_apart(s), s->gradient);
}
static bool adam_slot(const void *options, int k, cj_type *type)
{
    (void)type;
    return k < 2 || ((const adam_options *)options)->amsgrad;
}

static const char *const adam_names[] = {"m", "v", "v_max", NULL};
const cj_optimizer cj_optimizer_adam = {
    .name = "adam",
    .doc = "w -= a m' / (sqrt v' + epsilon), m' and v' the means of g and g^2 (Kingma and Ba 2015)",
    .options_size = sizeof(adam_options),
    .options = adam_table,
    .learning_rate = 0.001,
    .slots = adam_names,
    .build = build_adam,
    .slot = adam_slot};
const cj_optimizer cj_optimizer_adamw = {
    .name = "adamw",
    .doc = "adam, and w -= a weight_decay w apart from the gradient (Loshchilov and Hutter 2019)",
    .options_size = sizeof(adam_options),
    .options = adamw_table,
    .learning_rate = 0.001,
    .slots = adam_names,
    .build = build_adamw,
    .slot = adam_slot};

/* ---- adamax ---------------------------------------------------------------------------------- */

typedef struct moment_options {
    cj_optimizer_common common;
    double beta_1, beta_2, epsilon;
} moment_options;
static const cj_option adamax_table[] = {
    CJ_OPTION_FLOAT(moment_options, beta_1, 0.9, 0, CJ__BETA_MAX, "decay of the mean of gradients"),
    CJ_OPTION_FLOAT(moment_options, beta_2, 0.999, 0, 1, "decay of the largest gradient"),
    CJ__EPSILON_OPTION(moment_options),
    CJ_OPTIMIZER_COMMON(0, "is epsilon added to u (keras) or to |g| (torch); and weight_decay: "
                        CJ__DECAY_FORM)};

/* keras: u = max(b2 u, |g|);            w -= a / (1 - b1^t) * m / (u + epsilon)
 * torch: u = max(b2 u, |g| + epsilon);  w -= a / (1 - b1^t) * m / u */
static bool build_adamax(cj_optimizer_step *s)
{
    const moment_options *o = s->options;
    const bool keras = o->common.form == CJ__FORM_KERAS;
    cj_node *w, *g;
    cj__decay(s, &w, &g);
    cj_node *m = cj__slot_average(s, 0, g, o->beta_1), *size = cj_abs(g);
    if (!keras) size = cj_shift(size, o->epsilon);
    cj_node *u = s->new_slots[1] = cj_maximum(cj_scale(s->slots[1], o->beta_2), size);
    cj_node *rate = cj_div(cj__step_rate(s), cj__step_correction(s, o->beta_1));
    if (keras) u = cj_shift(u, o->epsilon);
    s->new_parameter = cj_sub(w, cj_div(cj_mul(cj__step_cast(s, rate), m), u));
    return s->new_parameter != NULL;
}
static const char *const adamax_names[] = {"m", "u", NULL};
const cj_optimizer cj_optimizer_adamax = {
    .name = "adamax",
    .doc = "w -= a m' / (u + epsilon), u = max(b2 u, |g|) (Kingma and Ba 2015, section 7)",
    .options_size = sizeof(moment_options),
    .options = adamax_table,
    .learning_rate = 0.001,
    .slots = adamax_names,
    .build = build_adamax};

/* ---- nadam ----------------------------------------------------------------------------------- */

typedef struct nadam_options {
    cj_optimizer_common common;
    double beta_1, beta_2, epsilon, momentum_decay;
} nadam_options;
static const cj_option nadam_table[] = {
    CJ__MOMENT_OPTIONS(nadam_options, 0.9, 0.999), CJ__EPSILON_OPTION(nadam_options),
    CJ_OPTION_FLOAT(nadam_options, momentum_decay, 1, 0, 1e6,
                    "how fast the momentum grows to beta_1; PyTorch's default is 0.004"),
    CJ_OPTIMIZER_COMMON(0, CJ__DECAY_FORM)};

/* b1 (1 - 0.96^(t decay) / 2) */
static cj_node *nadam_momentum(const cj_optimizer_step *s, cj_node *t)
{
    const nadam_options *o = s->options;
    cj_node *power = cj_pow(cj__step_f64(s, 0.96), cj_scale(t, o->momentum_decay));
    return cj_scale(cj_shift(cj_scale(power, -0.5), 1), o->beta_1);
}

/* mu_t as above, p = mu_1 ... mu_t
 * w -= a (mu_(t+1) m / (1 - p mu_(t+1)) + (1 - mu_t) g / (1 - p)) / (sqrt(v / (1 - b2^t)) +
 * epsilon) */
static bool build_nadam(cj_optimizer_step *s)
{
    const nadam_options *o = s->options;
    cj_node *w, *g, *one = cj__step_f64(s, 1);
    cj__decay(s, &w, &g);
    moments(s, g, o->beta_1, o->beta_2);
    cj_node *mu = nadam_momentum(s, s->step), *next = nadam_momentum(s, cj_shift(s->step, 1));
    cj_node *p = cj_mul(cj_where(cj__step_is_first(s), one, s->slots[2]), mu);
    cj_node *rate = cj__step_rate(s);
    cj_node *of_m = cj_div(cj_mul(rate, next), cj_sub(one, cj_mul(p, next))),
            *of_g = cj_div(cj_mul(rate, cj_sub(one, mu)), cj_sub(one, p));
    cj_node *step = cj_add(cj_mul(cj__step_cast(s, of_m), s->new_slots[0]),
                           cj_mul(cj__step_cast(s, of_g), g));
    cj_node *root = cj__step_cast(s, cj_sqrt(cj__step_correction(s, o->beta_2)));
    s->new_slots[2] = p;
    s->new_parameter = cj_sub(
        w, cj_div(step, cj_shift(cj_div(cj_sqrt(s->new_slots[1]), root), o->epsilon)));
    return s->new_parameter != NULL;
}
static bool nadam_slot(const void *options, int k, cj_type *type)
{
    (void)options;
    if (k == 2) *type = (cj_type){.dtype = CJ_F64};
    return true;
}
static const char *const nadam_names[] = {"m", "v", "product", NULL};
const cj_optimizer cj_optimizer_nadam = {
    .name = "nadam",
    .doc = "adam with Nesterov's momentum, which grows to b1 (Dozat 2016)",
    .options_size = sizeof(nadam_options),
    .options = nadam_table,
    .learning_rate = 0.001,
    .slots = nadam_names,
    .build = build_nadam,
    .slot = nadam_slot};

/* ---- radam ----------------------------------------------------------------------------------- */

static const cj_option radam_table[] = {CJ__MOMENT_OPTIONS(moment_options, 0.9, 0.999),
                                        CJ__EPSILON_OPTION(moment_options),
                                        CJ_OPTIMIZER_COMMON(0, CJ__DECAY_FORM)};

/* r(t) = r - 2 t b2^t / (1 - b2^t), r = 2 / (1 - b2) - 1: how many gradients v is a mean of.
 * r(t) > 5:  w -= a c sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt v + epsilon),
 *            c^2 = (r(t) - 4) (r(t) - 2) r / ((r - 4) (r - 2) r(t))
 * else:      w -= a / (1 - b1^t) * m: v is not known well enough */
static bool build_radam(cj_optimizer_step *s)
{
    const moment_options *o = s->options;
    const double r = 2 / (1 - o->beta_2) - 1;
    cj_node *w, *g;
    cj__decay(s, &w, &g);
    moments(s, g, o->beta_1, o->beta_2);
    cj_node *rate = cj_div(cj__step_rate(s), cj__step_correction(s, o->beta_1));
    if (r <= 5) {
        s->new_parameter = cj_sub(w, cj_mul(cj__step_cast(s, rate), s->new_slots[0]));
        return s->new_parameter != NULL;
    }
    cj_node *correction = cj__step_correction(s, o->beta_2), *five = cj__step_f64(s, 5);
    cj_node *power = cj_pow(cj__step_f64(s, o->beta_2), s->step);
    cj_node *seen = cj_shift(
        cj_neg(cj_scale(cj_div(cj_mul(s->step, power), correction), 2)), r);
    cj_node *known = cj_greater(seen, five);
    seen = cj_maximum(seen, five);
    cj_node *c2 = cj_scale(cj_div(cj_mul(cj_shift(seen, -4), cj_shift(seen, -2)), seen),
                           r / ((r - 4) * (r - 2)));
    cj_node *full = cj_mul(rate, cj_sqrt(cj_mul(c2, correction)));
    cj_node *size = cj_shift(cj_sqrt(s->new_slots[1]), o->epsilon);
    s->new_parameter = cj_sub(w, cj_div(cj_mul(cj__step_cast(s, cj_where(known, full, rate)),
                                               s->new_slots[0]),
                                        cj_where(known, size, cj_full_like(size, 1))));
    return s->new_parameter != NULL;
}
const cj_optimizer cj_optimizer_radam = {
    .name = "radam",
    .doc = "adam whose division waits until v is known, then is rectified (Liu et al. 2020)",
    .options_size = sizeof(moment_options),
    .options = radam_table,
    .learning_rate = 0.001,
    .slots = moment_names,
    .build = build_radam};

/* ---- lamb ------------------------------------------------------------------------------------ */

static const cj_option lamb_table[] = {
    CJ__MOMENT_OPTIONS(moment_options, 0.9, 0.999), CJ__EPSILON_OPTION(moment_options),
    CJ_OPTIMIZER_COMMON(0, "keras: the parameter shrinks by learning_rate weight_decay w, apart; "
                           "torch: weight_decay w is part of r, as in the paper")};

/* r = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon) [+ weight_decay w]
 * w -= a |w| / |r| r, and w -= a r where a norm is 0 */
static bool build_lamb(cj_optimizer_step *s)
{
    const moment_options *o = s->options;
    const bool keras = o->common.form == CJ__FORM_KERAS;
    cj_node *w = keras ? cj__decay_apart(s) : s->parameter, *none = cj__step_f64(s, 0);
    moments(s, s->gradient, o->beta_1, o->beta_2);
    cj_node *first = cj__step_cast(s, cj__step_correction(s, o->beta_1)),
            *root = cj__step_cast(s, cj_sqrt(cj__step_correction(s, o->beta_2)));
    cj_node *r = cj_div(cj_div(s->new_slots[0], first),
                        cj_shift(cj_div(cj_sqrt(s->new_slots[1]), root), o->epsilon));
    if (!keras && o->common.weight_decay != 0) r = cj_add(r, cj_scale(w, o->common.weight_decay));
    cj_node *of_w = cj__norm(w), *of_r = cj__norm(r);
    cj_node *known = cj_logical_and(cj_greater(of_w, none), cj_greater(of_r, none));
    cj_node *trust = cj_where(known, cj_div(of_w, of_r), cj__step_f64(s, 1));
    cj_node *rate = cj__step_cast(s, cj_mul(cj__step_rate(s), trust));
    s->new_parameter = cj_sub(w, cj_mul(rate, r));
    return s->new_parameter != NULL;
}
const cj_optimizer cj_optimizer_lamb = {
    .name = "lamb",
    .doc = "w -= a |w| / |r| r, r adam's step (You et al. 2020)",
    .options_size = sizeof(moment_options),
    .options = lamb_table,
    .learning_rate = 0.001,
    .slots = moment_names,
    .build = build_lamb};

/* ---- schedule_free_adamw --------------------------------------------------------------------- */

typedef struct free_options {
    cj_optimizer_common common;
    double beta_1, beta_2, epsilon, r, weight_lr_power;
} free_options;
static const cj_option free_table[] = {
    CJ_OPTION_FLOAT(free_options, beta_1, 0.9, 0, 1, "how near gradients are taken to the average"),
    CJ_OPTION_FLOAT(free_options, beta_2, 0.999, 0, CJ__BETA_MAX,
                    "decay of the mean of squared gradients"),
    CJ__EPSILON_OPTION(free_options),
    CJ_OPTION_FLOAT(free_options, r, 0, 0, 10, "power of t in the weights of the average"),
    CJ_OPTION_FLOAT(free_options, weight_lr_power, 2, 0, 10,
                    "power of the largest rate so far in the weights of the average"),
    CJ_OPTIMIZER_COMMON(0, "weight_decay is apart from the gradient in both")};

/* z -= a (g / (sqrt(v / (1 - b2^t)) + epsilon) + weight_decay w)
 * x += c (z - x),  c = p_t / (p_1 + ... + p_t),  p = t^r (largest a so far)^weight_lr_power
 * w = z + b1 (x - z): where gradients are taken; x is what fit leaves in the end. */
static bool build_free(cj_optimizer_step *s)
{
    const free_options *o = s->options;
    cj_node *w = s->parameter, *g = s->gradient, *first = cj__step_is_first(s);
    cj_node *z = cj_where(first, w, s->slots[0]), *x = cj_where(first, w, s->slots[2]);
    cj_node *v = cj__slot_average(s, 1, cj_square(g), o->beta_2), *rate = cj__step_rate(s);
    cj_node *root = cj__step_cast(s, cj_sqrt(cj__step_correction(s, o->beta_2)));
    cj_node *way = cj_div(g, cj_shift(cj_div(cj_sqrt(v), root), o->epsilon));
    if (o->common.weight_decay != 0) way = cj_add(way, cj_scale(w, o->common.weight_decay));
    cj_node *largest = s->new_slots[4] = cj_maximum(s->slots[4], rate), *none = cj__step_f64(s, 0);
    cj_node *weight = cj_mul(cj_pow(s->step, cj__step_f64(s, o->r)),
                             cj_pow(largest, cj__step_f64(s, o->weight_lr_power)));
    cj_node *sum = s->new_slots[3] = cj_add(s->slots[3], weight);
    cj_node *share = cj_where(cj_greater(sum, none), cj_div(weight, sum), none);
    z = s->new_slots[0] = cj_sub(z, cj_mul(s->learning_rate, way));
    x = s->new_slots[2] = cj_add(x, cj_mul(cj__step_cast(s, share), cj_sub(z, x)));
    s->new_parameter = cj_add(z, cj_scale(cj_sub(x, z), o->beta_1));
    return s->new_parameter != NULL;
}
static bool free_slot(const void *options, int k, cj_type *type)
{
    (void)options;
    if (k > 2) *type = (cj_type){.dtype = CJ_F64};
    return true;
}
static const char *const free_names[] = {"z",          "v",           CJ__AVERAGE_SLOT,
                                         "weight_sum", "largest_rate", NULL};
const cj_optimizer cj_optimizer_schedule_free_adamw = {
    .name = "schedule_free_adamw",
    .doc = "adamw along z, gradients at z + b1 (x - z), x the average of z, which is the result "
           "(Defazio et al. 2024)",
    .aliases = "adamw_schedule_free",
    .options_size = sizeof(free_options),
    .options = free_table,
    .learning_rate = 0.0025,
    .slots = free_names,
    .build = build_free,
    .slot = free_slot};
