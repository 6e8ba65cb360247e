/* optimizers.c: optimizers as graph builders: one parameter's step is a handful of elementwise
 * nodes. Here: steps along the gradient or its sign; and what all families share.
 *
 * The fusion pass makes one sweep over memory of them, so an optimizer written here, or by a
 * program, is as fast as one written by hand. Where Keras and PyTorch differ, Keras's formula is
 * the default and form=torch gives the other. Slots begin as zeros; what begins as something else
 * is told by the first step. */
#include "nn/optimizer.h"

const char *const cj_optimizer_forms[] = {"keras", "torch", NULL};
const cj_option cj_optimizer_common_options[] = {
    CJ_OPTION_FLOAT(cj_optimizer_common, clipvalue, 0, 0, 1e30,
                    "largest element of a gradient; 0: any"),
    CJ_OPTION_FLOAT(cj_optimizer_common, clipnorm, 0, 0, 1e30,
                    "largest norm of the gradient of a parameter; 0: any"),
    CJ_OPTION_FLOAT(cj_optimizer_common, global_clipnorm, 0, 0, 1e30,
                    "largest norm of all gradients together; 0: any"),
    CJ_OPTION_INT(cj_optimizer_common, gradient_accumulation_steps, 1, 1, 1e9,
                  "batches whose mean gradient makes a step"),
    CJ_OPTION_BOOL(cj_optimizer_common, use_ema, false,
                   "keep a running average of the weights, which fit leaves in the end"),
    CJ_OPTION_FLOAT(cj_optimizer_common, ema_momentum, 0.99, 0, 1,
                    "share of the old average"),
    CJ_OPTION_INT(cj_optimizer_common, ema_overwrite_frequency, 0, 0, 1e15,
                  "steps after which the average becomes the weights; 0: never"),
    CJ_OPTION_INT(cj_optimizer_common, swa_start, 0, 0, 1e15,
                  "step from which fit's result is the mean of the weights (Izmailov et al. "
                  "2018); 0: none"),
    CJ_OPTION_INT(cj_optimizer_common, swa_frequency, 1, 1, 1e15,
                  "steps from one of these weights to the next"),
    CJ_OPTION_INT(cj_optimizer_common, lookahead_steps, 0, 0, 1e9,
                  "steps after which slow weights follow (Zhang et al. 2019); 0: none"),
    CJ_OPTION_FLOAT(cj_optimizer_common, lookahead_alpha, 0.5, 0, 1,
                    "how far the slow weights go"),
    CJ_OPTION_STRING(cj_optimizer_common, constraint, NULL,
                     "what weights are kept to, such as max_norm(2): a constraint"),
    CJ_OPTION_FLOAT(cj_optimizer_common, learning_rate_factor, 1, 0, 1e6,
                    "of the learning rate, for groups"),
    CJ_OPTION_STRING(cj_optimizer_common, groups, NULL,
                     "other options for parameters by name, * is any text: "
                     "*bias(weight_decay=0), embedding*(learning_rate_factor=0.1)"),
    CJ_OPTION_END};

/* ---- Shared ---------------------------------------------------------------------------------- */

cj_node *cj__step_f64(const cj_optimizer_step *s, double value)
{
    return cj_scalar(s->graph, CJ_F64, value);
}
cj_node *cj__step_cast(const cj_optimizer_step *s, cj_node *x)
{
    return cj_cast(x, s->parameter->type.dtype);
}
cj_node *cj__step_rate(const cj_optimizer_step *s) { return cj_cast(s->learning_rate, CJ_F64); }
cj_node *cj__step_is_first(const cj_optimizer_step *s)
{
    return cj_equal(s->step, cj__step_f64(s, 1));
}
cj_node *cj__step_correction(const cj_optimizer_step *s, double b)
{
    return cj_shift(cj_neg(cj_pow(cj__step_f64(s, b), s->step)), 1);
}
cj_node *cj__average(cj_node *x, cj_node *y, double b)
{
    return cj_add(cj_scale(x, b), cj_scale(y, 1 - b));
}
cj_node *cj__slot_average(cj_optimizer_step *s, int k, cj_node *x, double b)
{
    return s->new_slots[k] = cj__average(s->slots[k], x, b);
}
cj_node *cj__norm(cj_node *x) { return cj_sqrt(cj_sum(cj_square(cj_cast(x, CJ_F64)))); }

cj_node *cj__decay_apart(const cj_optimizer_step *s)
{
    const double amount = ((const cj_optimizer_common *)s->options)->weight_decay;
    cj_node *w = s->parameter;
    return amount == 0 ? w : cj_sub(w, cj_mul(cj_scale(s->learning_rate, amount), w));
}
void cj__decay(const cj_optimizer_step *s, cj_node **w, cj_node **g)
{
    const cj_optimizer_common *o = s->options;
    *w = s->parameter;
    *g = s->gradient;
    if (o->form == CJ__FORM_KERAS) *w = cj__decay_apart(s);
    else if (o->weight_decay != 0) *g = cj_add(*g, cj_scale(*w, o->weight_decay));
}

/* ---- sgd ------------------------------------------------------------------------------------- */

typedef struct sgd_options {
    cj_optimizer_common common;
    double momentum;
    bool nesterov;
} sgd_options;
static const cj_option sgd_table[] = {
    CJ_OPTION_FLOAT(sgd_options, momentum, 0, 0, 1, "share of the last step that is kept"),
    CJ_OPTION_BOOL(sgd_options, nesterov, false,
                   "look ahead (Nesterov 1983; Sutskever et al. 2013)"),
    CJ_OPTIMIZER_COMMON(0, "does the velocity hold the learning rate (keras) or not (torch); "
                           "and weight_decay: " CJ__DECAY_FORM)};

/* keras: v = momentum v - a g;  w += v,             nesterov: w += momentum v - a g
 * torch: v = momentum v + g;    w -= a v,           nesterov: w -= a (g + momentum v) */
static bool build_sgd(cj_optimizer_step *s)
{
    const sgd_options *o = s->options;
    cj_node *g, *w;
    cj__decay(s, &w, &g);
    if (o->momentum == 0) {
        s->new_parameter = cj_sub(w, cj_mul(s->learning_rate, g));
    } else if (o->common.form == CJ__FORM_KERAS) {
        cj_node *step = cj_mul(s->learning_rate, g),
                *v = cj_sub(cj_scale(s->slots[0], o->momentum), step);
        s->new_slots[0] = v;
        s->new_parameter = cj_add(w, o->nesterov ? cj_sub(cj_scale(v, o->momentum), step) : v);
    } else {
        cj_node *v = cj_add(cj_scale(s->slots[0], o->momentum), g);
        s->new_slots[0] = v;
        s->new_parameter = cj_sub(w, cj_mul(s->learning_rate,
                                            o->nesterov ? cj_add(g, cj_scale(v, o->momentum)) : v));
    }
    return s->new_parameter != NULL;
}
static bool sgd_slot(const void *options, int k, cj_type *type)
{
    (void)k, (void)type;
    return ((const sgd_options *)options)->momentum > 0;
}
static const char *const velocity_names[] = {"velocity", NULL};
const cj_optimizer cj_optimizer_sgd = {
    .name = "sgd",
    .doc = "w -= a g; momentum: v = momentum v - a g, w += v",
    .options_size = sizeof(sgd_options),
    .options = sgd_table,
    .learning_rate = 0.01,
    .slots = velocity_names,
    .build = build_sgd,
    .slot = sgd_slot};

/* ---- asgd ------------------------------------------------------------------------------------ */

typedef struct asgd_options {
    cj_optimizer_common common;
    double lambd, alpha, t0;
} asgd_options;
static const cj_option asgd_table[] = {
    CJ_OPTION_FLOAT(asgd_options, lambd, 1e-4, 0, 1, "decay of the parameter"),
    CJ_OPTION_FLOAT(asgd_options, alpha, 0.75, 0, 10, "power by which the learning rate falls"),
    CJ_OPTION_FLOAT(asgd_options, t0, 1e6, 0, 1e18, "step from which ax is an average"),
    CJ_OPTIMIZER_COMMON(0, CJ__DECAY_FORM)};

/* w = (1 - lambd eta) w - eta g;  ax += (w - ax) / max(1, t - 1 - t0)
 * eta is a at first, then a / (1 + lambd a t)^alpha of the step before, as in PyTorch. */
static bool build_asgd(cj_optimizer_step *s)
{
    const asgd_options *o = s->options;
    cj_node *g, *w, *rate = cj__step_rate(s), *one = cj__step_f64(s, 1);
    cj__decay(s, &w, &g);
    cj_node *eta = cj_where(cj__step_is_first(s), rate, s->slots[0]);
    cj_node *slower = cj_shift(cj_mul(cj_scale(rate, o->lambd), s->step), 1);
    s->new_slots[0] = cj_div(rate, cj_pow(slower, cj__step_f64(s, o->alpha)));
    cj_node *kept = cj_shift(cj_neg(cj_scale(eta, o->lambd)), 1);
    w = cj_sub(cj_mul(cj__step_cast(s, kept), w), cj_mul(cj__step_cast(s, eta), g));
    cj_node *share = cj_div(one, cj_maximum(one, cj_shift(s->step, -1 - o->t0)));
    s->new_slots[1] = cj_add(s->slots[1],
                             cj_mul(cj__step_cast(s, share), cj_sub(w, s->slots[1])));
    s->new_parameter = w;
    return w != NULL;
}
static bool asgd_slot(const void *options, int k, cj_type *type)
{
    (void)options;
    if (k == 0) *type = (cj_type){.dtype = CJ_F64};
    return true;
}
static const char *const asgd_names[] = {"eta", "ax", NULL};
const cj_optimizer cj_optimizer_asgd = {
    .name = "asgd",
    .doc = "w = (1 - lambd eta) w - eta g, and ax, the average of w (Polyak and Juditsky 1992)",
    .options_size = sizeof(asgd_options),
    .options = asgd_table,
    .learning_rate = 0.01,
    .slots = asgd_names,
    .build = build_asgd,
    .slot = asgd_slot};

/* ---- lars ------------------------------------------------------------------------------------ */

typedef struct lars_options {
    cj_optimizer_common common;
    double momentum, trust_coefficient, epsilon;
} lars_options;
static const cj_option lars_table[] = {
    CJ_OPTION_FLOAT(lars_options, momentum, 0.9, 0, 1, "share of the last step that is kept"),
    CJ_OPTION_FLOAT(lars_options, trust_coefficient, 0.001, 0, 1e6,
                    "how far a step goes, relative to the parameter"),
    CJ_OPTION_FLOAT(lars_options, epsilon, 1e-9, 0, 1, "keeps the division finite"),
    CJ_OPTIMIZER_COMMON(0, "keras: the parameter shrinks by learning_rate weight_decay w, apart "
                           "from the norms; torch: weight_decay w is added to the gradient, as in "
                           "the paper")};

/* trust = trust_coefficient |w| / (|g| + weight_decay |w| + epsilon), 1 where a norm is 0
 * v = momentum v + a trust (g + weight_decay w);  w -= v */
static bool build_lars(cj_optimizer_step *s)
{
    const lars_options *o = s->options;
    cj_node *g, *w;
    cj__decay(s, &w, &g);
    const double decay = o->common.form == CJ__FORM_TORCH ? o->common.weight_decay : 0;
    cj_node *size = cj__norm(w), *slope = cj__norm(s->gradient);
    cj_node *below = cj_shift(cj_add(slope, cj_scale(size, decay)), o->epsilon),
            *none = cj__step_f64(s, 0);
    cj_node *known = cj_logical_and(cj_greater(size, none), cj_greater(slope, none));
    cj_node *trust = cj_where(known, cj_div(cj_scale(size, o->trust_coefficient), below),
                              cj__step_f64(s, 1));
    cj_node *rate = cj__step_cast(s, cj_mul(cj__step_rate(s), trust));
    s->new_slots[0] = cj_add(cj_scale(s->slots[0], o->momentum), cj_mul(rate, g));
    s->new_parameter = cj_sub(w, s->new_slots[0]);
    return s->new_parameter != NULL;
}
const cj_optimizer cj_optimizer_lars = {
    .name = "lars",
    .doc = "v = momentum v + a trust g, w -= v; trust = trust_coefficient |w| / |g| (You et al. "
           "2017)",
    .options_size = sizeof(lars_options),
    .options = lars_table,
    .learning_rate = 0.1,
    .slots = velocity_names,
    .build = build_lars};

/* ---- lion ------------------------------------------------------------------------------------ */

typedef struct lion_options {
    cj_optimizer_common common;
    double beta_1, beta_2;
} lion_options;
static const cj_option lion_table[] = {
    CJ_OPTION_FLOAT(lion_options, beta_1, 0.9, 0, 1, "share of the mean in the step"),
    CJ_OPTION_FLOAT(lion_options, beta_2, 0.99, 0, 1, "decay of the mean of gradients"),
    CJ_OPTIMIZER_COMMON(0, CJ__DECAY_FORM)};

/* w -= a sign(b1 m + (1 - b1) g);  m = b2 m + (1 - b2) g */
static bool build_lion(cj_optimizer_step *s)
{
    const lion_options *o = s->options;
    cj_node *g, *w;
    cj__decay(s, &w, &g);
    cj_node *way = cj_sign(cj__average(s->slots[0], g, o->beta_1));
    cj__slot_average(s, 0, g, o->beta_2);
    s->new_parameter = cj_sub(w, cj_mul(s->learning_rate, way));
    return s->new_parameter != NULL;
}
static const char *const lion_names[] = {"m", NULL};
const cj_optimizer cj_optimizer_lion = {
    .name = "lion",
    .doc = "w -= a sign(b1 m + (1 - b1) g), then m = b2 m + (1 - b2) g (Chen et al. 2023)",
    .options_size = sizeof(lion_options),
    .options = lion_table,
    .learning_rate = 0.001,
    .slots = lion_names,
    .build = build_lion};

/* ---- rprop ----------------------------------------------------------------------------------- */

typedef struct rprop_options {
    cj_optimizer_common common;
    double eta_minus, eta_plus, step_min, step_max;
} rprop_options;
static const cj_option rprop_table[] = {
    CJ_OPTION_FLOAT(rprop_options, eta_minus, 0.5, 0, 1, "factor of a step after a turn"),
    CJ_OPTION_FLOAT(rprop_options, eta_plus, 1.2, 1, 100, "factor of a step that goes on"),
    CJ_OPTION_FLOAT(rprop_options, step_min, 1e-6, 0, 1e6, "the smallest step"),
    CJ_OPTION_FLOAT(rprop_options, step_max, 50, 0, 1e6, "the largest step"),
    CJ_OPTIMIZER_COMMON(0, CJ__DECAY_FORM)};

/* d = (d at first: a) eta_plus where g keeps its sign, eta_minus where it turns; w -= d sign(g),
 * but not after a turn. The product of signs, for that of tiny gradients is 0. */
static bool build_rprop(cj_optimizer_step *s)
{
    const rprop_options *o = s->options;
    cj_node *g, *w;
    cj__decay(s, &w, &g);
    cj_node *turn = cj_mul(cj_sign(g), cj_sign(s->slots[0])), *none = cj_full_like(g, 0);
    cj_node *back = cj_less(turn, none);
    cj_node *factor = cj_where(cj_greater(turn, none), cj_full_like(g, o->eta_plus),
                               cj_where(back, cj_full_like(g, o->eta_minus), cj_full_like(g, 1)));
    cj_node *size = cj_where(cj__step_is_first(s), s->learning_rate, s->slots[1]);
    s->new_slots[0] = cj_where(back, none, g);
    s->new_slots[1] = cj_clip(cj_mul(size, factor), o->step_min, o->step_max);
    s->new_parameter = cj_sub(w, cj_mul(s->new_slots[1], cj_sign(s->new_slots[0])));
    return s->new_parameter != NULL;
}
static const char *const rprop_names[] = {"previous", "size", NULL};
const cj_optimizer cj_optimizer_rprop = {
    .name = "rprop",
    .doc = "w -= d sign(g); d grows by eta_plus while g keeps its sign, shrinks by eta_minus when "
           "it turns (Riedmiller and Braun 1993)",
    .options_size = sizeof(rprop_options),
    .options = rprop_table,
    .learning_rate = 0.01,
    .slots = rprop_names,
    .build = build_rprop};
