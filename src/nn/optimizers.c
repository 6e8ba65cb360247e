/* optimizers.c: optimizers as graph builders: one parameter's step is a handful of elementwise
 * nodes.
 *
 * The fusion pass makes one sweep over memory of them, so an optimizer written here, or by a
 * program, is as fast as one written by hand. Where Keras and PyTorch differ, Keras's formula is
 * the default and form=torch gives the other. Bias corrections are scalars computed in double: 1 -
 * 0.999^t loses half its digits in float.
 *
 * g gradient, w parameter, a learning rate, t step from 1. */
#include "nn/model.h"

#include "base/registry.h"

#include <float.h>
#include <string.h>

static const char *const forms[] = {"keras", "torch", NULL};
enum { FORM_KERAS, FORM_TORCH };

static cj_node *in_dtype(const cj_optimizer_step *s, cj_node *x)
{
    return cj_cast(x, s->parameter->type.dtype);
}
static cj_node *f64(const cj_optimizer_step *s, double value)
{
    return cj_scalar(s->graph, CJ_F64, value);
}
/* 1 - b^t, in double */
static cj_node *correction(const cj_optimizer_step *s, double b)
{
    return cj_shift(cj_neg(cj_pow(f64(s, b), s->step)), 1);
}
/* b x + (1 - b) y */
static cj_node *average(cj_node *x, cj_node *y, double b)
{
    return cj_add(cj_scale(x, b), cj_scale(y, 1 - b));
}
/* keras: w -= a decay w first, apart from the gradient (Loshchilov and Hutter 2019); torch: g +=
 * decay w. */
static void decay(const cj_optimizer_step *s, bool apart, double amount, cj_node **w, cj_node **g)
{
    if (amount == 0) return;
    if (apart) *w = cj_sub(*w, cj_mul(cj_scale(s->learning_rate, amount), *w));
    else *g = cj_add(*g, cj_scale(*w, amount));
}
/* A beta of 1 would make the correction 1 - b^t zero. */
#define BETA_MAX 0.999999999
#define DECAY_HELP \
    "keras: the parameter shrinks by learning_rate weight_decay w; torch: weight_decay w is " \
    "added to the gradient"

/* ---- sgd ------------------------------------------------------------------------------------- */

typedef struct sgd_options {
    double momentum;
    bool nesterov;
    double weight_decay;
    int form;
} sgd_options;
static const cj_option sgd_table[] = {
    CJ_OPTION_FLOAT(sgd_options, momentum, 0, 0, 1, "share of the last step that is kept"),
    CJ_OPTION_BOOL(sgd_options, nesterov, false,
                   "look ahead (Nesterov 1983; Sutskever et al. 2013)"),
    CJ_OPTION_FLOAT(sgd_options, weight_decay, 0, 0, 1e6, DECAY_HELP),
    CJ_OPTION_WORD(sgd_options, form, FORM_KERAS, forms,
                   "does the velocity hold the learning rate (keras) or not (torch); and how "
                   "weight_decay works"),
    CJ_OPTION_END};

/* keras: v = momentum v - a g;  w += v,             nesterov: w += momentum v - a g
 * torch: v = momentum v + g;    w -= a v,           nesterov: w -= a (g + momentum v) */
static bool build_sgd(cj_optimizer_step *s)
{
    const sgd_options *o = s->options;
    cj_node *g = s->gradient, *w = s->parameter;
    decay(s, o->form == FORM_KERAS, o->weight_decay, &w, &g);
    if (o->momentum == 0) {
        s->new_parameter = cj_sub(w, cj_mul(s->learning_rate, g));
    } else if (o->form == FORM_KERAS) {
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
static int sgd_slots(const void *options) { return ((const sgd_options *)options)->momentum > 0; }
static const char *const sgd_names[] = {"velocity", NULL};
const cj_optimizer cj_optimizer_sgd = {.name = "sgd",
                                       .doc = "stochastic gradient descent, with momentum",
                                       .options_size = sizeof(sgd_options),
                                       .options = sgd_table,
                                       .learning_rate = 0.01,
                                       .slots = sgd_names,
                                       .build = build_sgd,
                                       .slot_count = sgd_slots};

/* ---- adam, adamw ----------------------------------------------------------------------------- */

typedef struct adam_options {
    double beta_1, beta_2, epsilon, weight_decay;
    int form;
} adam_options;
static const cj_option adam_table[] = {
    CJ_OPTION_FLOAT(adam_options, beta_1, 0.9, 0, BETA_MAX, "decay of the mean of gradients"),
    CJ_OPTION_FLOAT(adam_options, beta_2, 0.999, 0, BETA_MAX,
                    "decay of the mean of squared gradients"),
    CJ_OPTION_FLOAT(adam_options, epsilon, 1e-7, 0, 1, "keeps the division finite"),
    CJ_OPTION_FLOAT(adam_options, weight_decay, 0, 0, 1e6, DECAY_HELP),
    CJ_OPTION_WORD(adam_options, form, FORM_KERAS, forms,
                   "is epsilon added before (keras) or after (torch) the bias correction"),
    CJ_OPTION_END};
static const cj_option adamw_table[] = {
    CJ_OPTION_FLOAT(adam_options, beta_1, 0.9, 0, BETA_MAX, "decay of the mean of gradients"),
    CJ_OPTION_FLOAT(adam_options, beta_2, 0.999, 0, BETA_MAX,
                    "decay of the mean of squared gradients"),
    CJ_OPTION_FLOAT(adam_options, epsilon, 1e-7, 0, 1, "keeps the division finite"),
    CJ_OPTION_FLOAT(adam_options, weight_decay, 0.004, 0, 1e6,
                    "the parameter shrinks by learning_rate weight_decay w"),
    CJ_OPTION_WORD(adam_options, form, FORM_KERAS, forms,
                   "is epsilon added before (keras) or after (torch) the bias correction"),
    CJ_OPTION_END};

/* m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
 * keras: w -= a sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt v + epsilon)
 * torch: w -= a / (1 - b1^t) * m / (sqrt v / sqrt(1 - b2^t) + epsilon) */
static void adam_step(cj_optimizer_step *s, cj_node *w, cj_node *g)
{
    const adam_options *o = s->options;
    cj_node *m = average(s->slots[0], g, o->beta_1),
            *v = average(s->slots[1], cj_square(g), o->beta_2);
    cj_node *rate = cj_cast(s->learning_rate, CJ_F64), *root = cj_sqrt(correction(s, o->beta_2));
    rate = cj_div(rate, correction(s, o->beta_1));
    cj_node *size = cj_sqrt(v);
    if (o->form == FORM_KERAS) rate = cj_mul(rate, root);
    else size = cj_div(size, in_dtype(s, root));
    s->new_slots[0] = m;
    s->new_slots[1] = v;
    s->new_parameter = cj_sub(w, cj_div(cj_mul(in_dtype(s, rate), m), cj_shift(size, o->epsilon)));
}

static bool build_adam(cj_optimizer_step *s)
{
    const adam_options *o = s->options;
    cj_node *w = s->parameter, *g = s->gradient;
    decay(s, o->form == FORM_KERAS, o->weight_decay, &w, &g);
    adam_step(s, w, g);
    return s->new_parameter != NULL;
}

static bool build_adamw(cj_optimizer_step *s)
{
    const adam_options *o = s->options;
    cj_node *w = s->parameter, *g = s->gradient;
    decay(s, true, o->weight_decay, &w, &g);
    adam_step(s, w, g);
    return s->new_parameter != NULL;
}

static const char *const adam_names[] = {"m", "v", NULL};
const cj_optimizer cj_optimizer_adam = {.name = "adam",
                                        .doc = "adaptive moments (Kingma and Ba 2015)",
                                        .options_size = sizeof(adam_options),
                                        .options = adam_table,
                                        .learning_rate = 0.001,
                                        .slots = adam_names,
                                        .build = build_adam};
const cj_optimizer cj_optimizer_adamw = {
    .name = "adamw",
    .doc = "adam with decoupled weight decay (Loshchilov and Hutter 2019)",
    .options_size = sizeof(adam_options),
    .options = adamw_table,
    .learning_rate = 0.001,
    .slots = adam_names,
    .build = build_adamw};

/* ---- rmsprop --------------------------------------------------------------------------------- */

typedef struct rmsprop_options {
    double rho, momentum, epsilon, weight_decay;
    bool centered;
    int form;
} rmsprop_options;
static const cj_option rmsprop_table[] = {
    CJ_OPTION_FLOAT(rmsprop_options, rho, 0.9, 0, 1, "decay of the mean of squared gradients"),
    CJ_OPTION_FLOAT(rmsprop_options, momentum, 0, 0, 1, "share of the last step that is kept"),
    CJ_OPTION_FLOAT(rmsprop_options, epsilon, 1e-7, 0, 1, "keeps the division finite"),
    CJ_OPTION_BOOL(rmsprop_options, centered, false,
                   "divide by the deviation, not the root mean square"),
    CJ_OPTION_FLOAT(rmsprop_options, weight_decay, 0, 0, 1e6, DECAY_HELP),
    CJ_OPTION_WORD(rmsprop_options, form, FORM_KERAS, forms,
                   "is epsilon added inside (keras) or outside (torch) the root"),
    CJ_OPTION_END};

/* v = rho v + (1 - rho) g^2, centered: less the square of the mean gradient (rounding may take it
 * below 0) keras: d = a g / sqrt(v + epsilon);  u = momentum u + d;  w -= u torch: d = g / (sqrt v
 * + epsilon);   u = momentum u + d;  w -= a u */
static bool build_rmsprop(cj_optimizer_step *s)
{
    const rmsprop_options *o = s->options;
    bool keras = o->form == FORM_KERAS;
    cj_node *w = s->parameter, *g = s->gradient;
    decay(s, keras, o->weight_decay, &w, &g);
    cj_node *v = average(s->slots[0], cj_square(g), o->rho), *spread = v;
    s->new_slots[0] = v;
    if (o->centered) {
        s->new_slots[2] = average(s->slots[2], g, o->rho);
        spread = cj_relu(cj_sub(v, cj_square(s->new_slots[2])));
    }
    cj_node *root = keras ? cj_sqrt(cj_shift(spread, o->epsilon))
                          : cj_shift(cj_sqrt(spread), o->epsilon);
    cj_node *step = cj_div(keras ? cj_mul(s->learning_rate, g) : g, root);
    if (o->momentum > 0) {
        step = cj_add(cj_scale(s->slots[1], o->momentum), step);
        s->new_slots[1] = step;
    }
    s->new_parameter = cj_sub(w, keras ? step : cj_mul(s->learning_rate, step));
    return s->new_parameter != NULL;
}
static int rmsprop_slots(const void *options)
{
    const rmsprop_options *o = options;
    return o->centered ? 3 : o->momentum > 0 ? 2 : 1;
}
static const char *const rmsprop_names[] = {"v", "momentum", "mean", NULL};
const cj_optimizer cj_optimizer_rmsprop = {
    .name = "rmsprop",
    .doc = "divides by a running root mean square (Tieleman and Hinton 2012)",
    .options_size = sizeof(rmsprop_options),
    .options = rmsprop_table,
    .learning_rate = 0.001,
    .slots = rmsprop_names,
    .build = build_rmsprop,
    .slot_count = rmsprop_slots};

/* ---- Updates --------------------------------------------------------------------------------- */

static bool same_type(const cj_type *a, cj_dtype dtype, int rank, const cj_dim *dims)
{
    if (a->dtype != dtype || a->rank != rank) return false;
    for (int i = 0; i < rank; i++)
        if (a->dim[i] != dims[i]) return false;
    return true;
}

static cj_node *state(cj_graph *g, const char *name, cj_dtype dtype, int rank, const cj_dim *dims)
{
    cj_node *there = cj_find_variable(g, name);
    if (there && same_type(&there->type, dtype, rank, dims)) return there;
    if (there)
        return cj_graph_fail(g, CJ_ERR_EXISTS,
                             "variable '%s' is there already, and of another type or shape", name);
    cj_tensor *zeros = cj_tensor_new(g->cj, dtype, rank, dims);
    if (!zeros) return cj_graph_fail(g, cj_last_status(g->cj), "%s", cj_message(g->cj));
    cj_node *node = cj_variable(g, name, zeros);
    cj_tensor_free(zeros);
    return node;
}

/* What a caller may have mixed up, said before shapes that broadcast hide it. */
static bool check_pair(cj_graph *g, cj_node *w, cj_node *gradient, int i)
{
    if (!w || !gradient)
        return cj_graph_fail(g, CJ_ERR_ARGUMENT, "updates: %s %d is NULL",
                             w ? "gradient" : "parameter", i),
               false;
    if (w == cj_zero || w->call->graph != g || w->call->op != &cj_op_variable)
        return cj_graph_fail(g, CJ_ERR_ARGUMENT,
                             "updates: parameter %d is not a variable of the graph", i),
               false;
    if (gradient == cj_zero || same_type(&gradient->type, w->type.dtype, w->type.rank, w->type.dim))
        return true;
    cj__text text;
    cj__text_init(&text, g->cj);
    cj__type_text(&text, g, &gradient->type);
    cj__text_add(&text, ", the parameter ");
    cj__type_text(&text, g, &w->type);
    cj_graph_fail(g, CJ_ERR_SHAPE, "updates: the gradient of '%s' is %s", w->name,
                  cj__text_string(&text));
    cj__text_release(&text);
    return false;
}

static bool check_rate(cj_graph *g, const cj_updates_opts *o)
{
    const cj_node *rate = o->learning_rate_node;
    if (!(o->learning_rate >= 0 && o->learning_rate <= DBL_MAX))
        return cj_graph_fail(g, CJ_ERR_ARGUMENT, "learning_rate=%g is not above 0",
                             o->learning_rate),
               false;
    if (rate && (rate == cj_zero || rate->type.rank != 0 ||
                 cj_dtype_info(rate->type.dtype)->kind != CJ_KIND_FLOAT))
        return cj_graph_fail(g, CJ_ERR_SHAPE,
                             "updates: the learning rate is not a scalar of floats"),
               false;
    return true;
}

static bool update_parameter(cj_graph *g, const cj_optimizer *row, cj_optimizer_step *s,
                             const char *prefix, int n_slots, cj_update **next)
{
    const cj_node *w = s->parameter;
    for (int k = 0; k < n_slots; k++) {
        const char *name = cj__arena_printf(&g->arena, "%s/%s/%s", prefix, row->slots[k], w->name);
        if (!name) return cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory"), false;
        s->slots[k] = state(g, name, w->type.dtype, w->type.rank, w->type.dim);
    }
    if (g->failed || !row->build(s) || g->failed) return false;
    *(*next)++ = (cj_update){s->parameter, s->new_parameter};
    for (int k = 0; k < n_slots; k++)
        if (s->new_slots[k]) *(*next)++ = (cj_update){s->slots[k], s->new_slots[k]};
    return true;
}

const cj_update *(cj_updates)(const char *optimizer, cj_node *const *parameters,
                              cj_node *const *gradients, int n, const cj_updates_opts *opts)
{
    cj_graph *g = parameters && gradients ? cj__graph_of(parameters, n) : NULL;
    if (!g || g->failed) return NULL;
    cj_updates_opts o = {0};
    if (opts)
        memcpy(&o, opts,
               opts->struct_size && opts->struct_size < sizeof o ? opts->struct_size : sizeof o);
    cj_graph_at(g, o.where);
    const char *prefix = o.prefix ? o.prefix : "optimizer";
    cj__named named;
    if (cj__named_parse(&g->arena, g->cj, CJ__ROW_OPTIMIZER, optimizer, &named))
        return cj_graph_fail(g, cj_last_status(g->cj), "%s", cj_message(g->cj)), NULL;
    const cj_optimizer *row = named.row;
    int n_slots = 0;
    while (row->slots && row->slots[n_slots]) n_slots++;
    int names = n_slots, most = (int)(sizeof((cj_optimizer_step *)0)->slots / sizeof(cj_node *));
    if (row->slot_count) n_slots = row->slot_count(named.options);
    if (n_slots < 0 || n_slots > names || n_slots > most)
        return cj_graph_fail(g, CJ_ERR_ARGUMENT, "%s: %d slots, of %d names, and at most %d",
                             row->name, n_slots, names, most),
               NULL;
    if (!check_rate(g, &o)) return NULL;
    const char *outer = g->layer;
    cj__graph_layer(g, row->name);
    const char *step_name = cj__arena_printf(&g->arena, "%s/step", prefix);
    cj__layers *layers = cj__layers_of(g);
    int n_layers = layers && !o.no_layer_updates ? layers->n_updates : 0;
    cj_update *updates = cj__arena_array(&g->arena,
                                         (size_t)n * (1 + (size_t)n_slots) + 2 + (size_t)n_layers,
                                         sizeof *updates),
              *next = updates;
    cj_node *step = step_name && updates ? state(g, step_name, CJ_I64, CJ_SCALAR) : NULL;
    if (!step) return g->failed ? NULL : (cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory"), NULL);
    cj_node *step_next = cj_add(step, cj_scalar(g, CJ_I64, 1)),
            *step_f64 = cj_cast(step_next, CJ_F64);
    double rate = o.learning_rate > 0 ? o.learning_rate : row->learning_rate;
    for (int i = 0; i < n; i++) {
        if (!check_pair(g, parameters[i], gradients[i], i)) return NULL;
        cj_optimizer_step s = {.graph = g,
                               .parameter = parameters[i],
                               .gradient = cj_zero_as(gradients[i], parameters[i]),
                               .step = step_f64,
                               .options = named.options};
        s.learning_rate = o.learning_rate_node
                              ? cj_cast(o.learning_rate_node, s.parameter->type.dtype)
                              : cj_scalar(g, s.parameter->type.dtype, rate);
        if (!update_parameter(g, row, &s, prefix, n_slots, &next)) return NULL;
    }
    *next++ = (cj_update){step, step_next};
    for (int i = 0; i < n_layers; i++) *next++ = layers->updates[i];
    g->layer = outer;
    return updates;
}

const cj_update *cj_layer_updates(cj_graph *g)
{
    cj__layers *layers = g && !g->failed ? cj__layers_of(g) : NULL;
    if (!layers) return NULL;
    cj_update *updates = cj__arena_array(&g->arena, (size_t)layers->n_updates + 1, sizeof *updates);
    if (!updates) return cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory"), NULL;
    for (int i = 0; i < layers->n_updates; i++) updates[i] = layers->updates[i];
    return updates;
}
