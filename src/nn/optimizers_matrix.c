/* optimizers_matrix.c: optimizers that see a weight as a matrix: Muon. */
#include "nn/optimizer.h"

/* ---- muon ------------------------------------------------------------------------------------ */

typedef struct muon_options {
    cj_optimizer_common common;
    double momentum;
    bool nesterov;
    int64_t ns_steps;
    double adam_beta_1, adam_beta_2, epsilon, adam_lr_ratio;
} muon_options;
static const cj_option muon_table[] = {
    CJ_OPTION_FLOAT(muon_options, momentum, 0.95, 0, 1, "decay of the mean of gradients"),
    CJ_OPTION_BOOL(muon_options, nesterov, true, "look ahead"),
    CJ_OPTION_INT(muon_options, ns_steps, 5, 1, 100, "iterations of the orthogonalisation"),
    CJ_OPTION_FLOAT(muon_options, adam_beta_1, 0.9, 0, CJ__BETA_MAX, "of vectors"),
    CJ_OPTION_FLOAT(muon_options, adam_beta_2, 0.999, 0, CJ__BETA_MAX, "of vectors"),
    CJ__EPSILON_OPTION(muon_options),
    CJ_OPTION_FLOAT(muon_options, adam_lr_ratio, 0.1, 0, 1e6,
                    "the rate of vectors as a share of the rate"),
    CJ_OPTIMIZER_COMMON(0, CJ__DECAY_FORM)};

/* x of [n, m] with its singular values brought near 1: x = a x + (b y + c y^2) x, y = x x^T, which
 * moves them by a s + b s^3 + c s^5 (Newton-Schulz; Jordan 2024 chose a, b, c for speed, not for an
 * exact 1). The shorter side is that of y. */
static cj_node *orthogonal(cj_node *x, int64_t steps)
{
    const double a = 3.4445, b = -4.7750, c = 2.0315;
    const bool tall = x->type.dim[0] > x->type.dim[1];
    cj_node *norm = cj_cast(cj_shift(cj__norm(x), 1e-7), x->type.dtype);
    x = cj_div(x, norm);
    for (int64_t i = 0; i < steps && x; i++) {
        cj_node *y = cj_matmul_transposed(x, x, tall, !tall);
        cj_node *step = cj_add(cj_scale(y, b), cj_scale(cj_matmul(y, y), c));
        step = tall ? cj_matmul(x, step) : cj_matmul(step, x);
        x = cj_add(cj_scale(x, a), step);
    }
    return x;
}

/* A matrix [..., outputs], all axes but the last as one:
 *     m += (1 - momentum) (g - m);  w -= a max(1, outputs / inputs)^(1/2) orthogonal(m),
 *     nesterov: of (1 - momentum) g + momentum m
 * A vector has adam's step at adam_lr_ratio a. */
static bool build_muon(cj_optimizer_step *s)
{
    const muon_options *o = s->options;
    const cj_type *type = &s->parameter->type;
    cj_node *w, *g;
    cj__decay(s, &w, &g);
    if (type->rank < 2) {
        cj_node *m = cj__slot_average(s, 1, g, o->adam_beta_1),
                *v = cj__slot_average(s, 2, cj_square(g), o->adam_beta_2);
        cj_node *rate = cj_div(cj_scale(cj__step_rate(s), o->adam_lr_ratio),
                               cj__step_correction(s, o->adam_beta_1));
        rate = cj_mul(rate, cj_sqrt(cj__step_correction(s, o->adam_beta_2)));
        s->new_parameter = cj_sub(w, cj_div(cj_mul(cj__step_cast(s, rate), m),
                                            cj_shift(cj_sqrt(v), o->epsilon)));
        return s->new_parameter != NULL;
    }
    cj_node *m = cj__slot_average(s, 0, g, o->momentum);
    if (o->nesterov) m = cj__average(m, g, o->momentum);
    const cj_dim outputs = type->dim[type->rank - 1], flat[2] = {CJ_INFER, outputs};
    m = type->rank > 2 ? cj_reshape(m, 2, flat) : m;
    if (!m) return false;
    const double ratio = (double)outputs / (double)m->type.dim[0];
    cj_node *way = orthogonal(m, o->ns_steps);
    if (type->rank > 2) way = cj_reshape(way, type->rank, type->dim);
    cj_node *rate = cj_mul(cj__step_rate(s),
                           cj_sqrt(cj__step_f64(s, ratio > 1 ? ratio : 1)));
    s->new_parameter = cj_sub(w, cj_mul(cj__step_cast(s, rate), way));
    return s->new_parameter != NULL;
}
static bool muon_slot(const void *options, int k, cj_type *type)
{
    (void)options;
    return (k == 0) == (type->rank >= 2);
}
static const char *const muon_names[] = {"momentum", "m", "v", NULL};
const cj_optimizer cj_optimizer_muon = {
    .name = "muon",
    .doc = "w -= a sqrt(max(1, outputs / inputs)) U V^T, m = U S V^T the mean of gradients; adam "
           "for vectors (Jordan 2024)",
    .options_size = sizeof(muon_options),
    .options = muon_table,
    .learning_rate = 0.001,
    .slots = muon_names,
    .build = build_muon,
    .slot = muon_slot};
