/* layers_augment_policy.c: layers that choose one of many changes for each sample, in training:
 * TrivialAugment (Mueller and Hutter 2021), RandAugment (Cubuk et al. 2019) and AutoAugment (Cubuk
 * et al. 2018), with torchvision's tables. Pictures are floats, so that colours are not rounded to
 * 8 bits between one operation and the next, and moved pixels are the nearest ones. */
#include "nn/layers_augment.h"
#include "nn/preprocess.h"

#include <cajal/layers.h>

#include <string.h>

#define POLICY(type) \
    CJ_OPTION_CHOICE(type, interpolation, "nearest", interpolation_words, "between pixels"), \
        CJ_OPTION_FLOAT(type, fill_value, 0, -1e30, 1e30, "of what lies outside"), \
        CJ__PICTURES_NAME(type)

static const char *const interpolation_words[] = {"nearest", "bilinear", NULL};

/* ---- What they share ------------------------------------------------------------------------- */

/* RandAugment's and AutoAugment's: shares of the sides as of 331 pixels. */
static cj__strengths usual_strengths(const cj_node *x)
{
    return (cj__strengths){.shear = 0.3,
                           .translate_x = 150.0 / 331 * (double)cj_node_dim(x, 2),
                           .translate_y = 150.0 / 331 * (double)cj_node_dim(x, 1),
                           .degrees = 30,
                           .blend = 0.9,
                           .bits = 4};
}

/* x after one operation of each sample. */
static cj_node *operate(cj_layer_build *b, cj_node *x, const cj__operations *o,
                        const char *interpolation, double fill_value)
{
    if (!x) return NULL;
    cj_image_affine_opts how = {.struct_size = sizeof how,
                                .interpolation = interpolation,
                                .fill_mode = "constant",
                                .fill_value = fill_value};
    cj__operations_affine(o, x, &how);
    return cj__operations_colour(o, cj__layer_affine(b, x, &how));
}

/* Number i of each sample as one of n: 0 .. n - 1. */
static cj_node *one_of(cj_node *u, int64_t i, int64_t n)
{
    return cj_clip(cj_floor(cj_scale(cj__draw(u, i), (double)n)), 0, (double)(n - 1));
}

static cj_node *half(cj_node *u, int64_t i)
{
    return cj_less(cj__draw(u, i), cj__number_like(u, 0.5));
}

/* ---- trivial_augment ------------------------------------------------------------------------- */

static const cj_option trivial_augment_options[] = {
    CJ_OPTION_INT(cj_trivial_augment_opts, num_magnitude_bins, 31, 2, 1 << 20,
                  "how many strengths there are"),
    POLICY(cj_trivial_augment_opts)};

static cj_node *trivial_augment_build(cj_layer_build *b)
{
    const cj_trivial_augment_opts *o = b->options;
    cj_node *x = cj__pictures(b);
    if (!x) return NULL;
    cj_node *u = cj__draws(b, x, 3);
    const double last = (double)(o->num_magnitude_bins - 1);
    const cj__operations one = {
        .which = one_of(u, 0, CJ__INVERT), /* inversion is not among them */
        .strength = cj_scale(one_of(u, 1, o->num_magnitude_bins), 1 / last),
        .negative = half(u, 2),
        .most = {.shear = 0.99,
                 .translate_x = 32,
                 .translate_y = 32,
                 .degrees = 135,
                 .blend = 0.99,
                 .bits = 6}};
    return cj__in_training(b, operate(b, x, &one, o->interpolation, o->fill_value), x);
}
CJ__LAYER_OF_KEYWORDS(trivial_augment,
                      "in training, one of 14 changes of any strength for each picture",
                      trivial_augment_build, " : 5, 4, 3")

/* ---- rand_augment ---------------------------------------------------------------------------- */

static const cj_option rand_augment_options[] = {
    CJ_OPTION_INT(cj_rand_augment_opts, num_ops, 2, 1, 16, "changes, one after another"),
    CJ_OPTION_INT(cj_rand_augment_opts, magnitude, 9, 0, 1 << 20, "their strength"),
    CJ_OPTION_INT(cj_rand_augment_opts, num_magnitude_bins, 31, 2, 1 << 20,
                  "how many strengths there are, from 0 on"),
    POLICY(cj_rand_augment_opts)};

static cj_node *rand_augment_build(cj_layer_build *b)
{
    const cj_rand_augment_opts *o = b->options;
    cj_node *x = cj__pictures(b), *y = x;
    if (!x) return NULL;
    if (o->magnitude >= o->num_magnitude_bins)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                              "magnitude=%lld of num_magnitude_bins=%lld: the largest is one less",
                              (long long)o->magnitude, (long long)o->num_magnitude_bins),
               NULL;
    cj_node *u = cj__draws(b, x, 2 * o->num_ops);
    cj_node *strength = cj__number_like(
        x, (double)o->magnitude / (double)(o->num_magnitude_bins - 1));
    strength = cj_broadcast_to(strength, 1, cj_node_type(x)->dim); /* [batch] */
    for (int64_t i = 0; i < o->num_ops; i++) {
        const cj__operations one = {.which = one_of(u, 2 * i, CJ__INVERT),
                                    .strength = strength,
                                    .negative = half(u, 2 * i + 1),
                                    .most = usual_strengths(x)};
        y = operate(b, y, &one, o->interpolation, o->fill_value);
    }
    return cj__in_training(b, y, x);
}
CJ__LAYER_OF_KEYWORDS(rand_augment,
                      "in training, some of 14 changes for each picture, one after another",
                      rand_augment_build, "num_ops=1, magnitude=5 : 5, 4, 3")

/* ---- auto_augment ---------------------------------------------------------------------------- */

typedef struct choice { /* an operation, how often it happens, its strength in ninths */
    cj__operation which;
    double share, strength;
} choice;
enum { POLICIES = 25, LEVELS = 9 };

static const choice imagenet[POLICIES][2] = {
    {{CJ__POSTERIZE, 0.4, 8}, {CJ__ROTATE, 0.6, 9}},
    {{CJ__SOLARIZE, 0.6, 5}, {CJ__AUTO_CONTRAST, 0.6, 0}},
    {{CJ__EQUALIZE, 0.8, 0}, {CJ__EQUALIZE, 0.6, 0}},
    {{CJ__POSTERIZE, 0.6, 7}, {CJ__POSTERIZE, 0.6, 6}},
    {{CJ__EQUALIZE, 0.4, 0}, {CJ__SOLARIZE, 0.2, 4}},
    {{CJ__EQUALIZE, 0.4, 0}, {CJ__ROTATE, 0.8, 8}},
    {{CJ__SOLARIZE, 0.6, 3}, {CJ__EQUALIZE, 0.6, 0}},
    {{CJ__POSTERIZE, 0.8, 5}, {CJ__EQUALIZE, 1, 0}},
    {{CJ__ROTATE, 0.2, 3}, {CJ__SOLARIZE, 0.6, 8}},
    {{CJ__EQUALIZE, 0.6, 0}, {CJ__POSTERIZE, 0.4, 6}},
    {{CJ__ROTATE, 0.8, 8}, {CJ__COLOR, 0.4, 0}},
    {{CJ__ROTATE, 0.4, 9}, {CJ__EQUALIZE, 0.6, 0}},
    {{CJ__EQUALIZE, 0, 0}, {CJ__EQUALIZE, 0.8, 0}},
    {{CJ__INVERT, 0.6, 0}, {CJ__EQUALIZE, 1, 0}},
    {{CJ__COLOR, 0.6, 4}, {CJ__CONTRAST, 1, 8}},
    {{CJ__ROTATE, 0.8, 8}, {CJ__COLOR, 1, 2}},
    {{CJ__COLOR, 0.8, 8}, {CJ__SOLARIZE, 0.8, 7}},
    {{CJ__SHARPNESS, 0.4, 7}, {CJ__INVERT, 0.6, 0}},
    {{CJ__SHEAR_X, 0.6, 5}, {CJ__EQUALIZE, 1, 0}},
    {{CJ__COLOR, 0.4, 0}, {CJ__EQUALIZE, 0.6, 0}},
    {{CJ__EQUALIZE, 0.4, 0}, {CJ__SOLARIZE, 0.2, 4}},
    {{CJ__SOLARIZE, 0.6, 5}, {CJ__AUTO_CONTRAST, 0.6, 0}},
    {{CJ__INVERT, 0.6, 0}, {CJ__EQUALIZE, 1, 0}},
    {{CJ__COLOR, 0.6, 4}, {CJ__CONTRAST, 1, 8}},
    {{CJ__EQUALIZE, 0.8, 0}, {CJ__EQUALIZE, 0.6, 0}},
};
static const choice cifar10[POLICIES][2] = {
    {{CJ__INVERT, 0.1, 0}, {CJ__CONTRAST, 0.2, 6}},
    {{CJ__ROTATE, 0.7, 2}, {CJ__TRANSLATE_X, 0.3, 9}},
    {{CJ__SHARPNESS, 0.8, 1}, {CJ__SHARPNESS, 0.9, 3}},
    {{CJ__SHEAR_Y, 0.5, 8}, {CJ__TRANSLATE_Y, 0.7, 9}},
    {{CJ__AUTO_CONTRAST, 0.5, 0}, {CJ__EQUALIZE, 0.9, 0}},
    {{CJ__SHEAR_Y, 0.2, 7}, {CJ__POSTERIZE, 0.3, 7}},
    {{CJ__COLOR, 0.4, 3}, {CJ__BRIGHTNESS, 0.6, 7}},
    {{CJ__SHARPNESS, 0.3, 9}, {CJ__BRIGHTNESS, 0.7, 9}},
    {{CJ__EQUALIZE, 0.6, 0}, {CJ__EQUALIZE, 0.5, 0}},
    {{CJ__CONTRAST, 0.6, 7}, {CJ__SHARPNESS, 0.6, 5}},
    {{CJ__COLOR, 0.7, 7}, {CJ__TRANSLATE_X, 0.5, 8}},
    {{CJ__EQUALIZE, 0.3, 0}, {CJ__AUTO_CONTRAST, 0.4, 0}},
    {{CJ__TRANSLATE_Y, 0.4, 3}, {CJ__SHARPNESS, 0.2, 6}},
    {{CJ__BRIGHTNESS, 0.9, 6}, {CJ__COLOR, 0.2, 8}},
    {{CJ__SOLARIZE, 0.5, 2}, {CJ__INVERT, 0, 0}},
    {{CJ__EQUALIZE, 0.2, 0}, {CJ__AUTO_CONTRAST, 0.6, 0}},
    {{CJ__EQUALIZE, 0.2, 0}, {CJ__EQUALIZE, 0.6, 0}},
    {{CJ__COLOR, 0.9, 9}, {CJ__EQUALIZE, 0.6, 0}},
    {{CJ__AUTO_CONTRAST, 0.8, 0}, {CJ__SOLARIZE, 0.2, 8}},
    {{CJ__BRIGHTNESS, 0.1, 3}, {CJ__COLOR, 0.7, 0}},
    {{CJ__SOLARIZE, 0.4, 5}, {CJ__AUTO_CONTRAST, 0.9, 0}},
    {{CJ__TRANSLATE_Y, 0.9, 9}, {CJ__TRANSLATE_Y, 0.7, 9}},
    {{CJ__AUTO_CONTRAST, 0.9, 0}, {CJ__SOLARIZE, 0.8, 3}},
    {{CJ__EQUALIZE, 0.8, 0}, {CJ__INVERT, 0.1, 0}},
    {{CJ__TRANSLATE_Y, 0.7, 9}, {CJ__AUTO_CONTRAST, 0.9, 0}},
};
static const choice svhn[POLICIES][2] = {
    {{CJ__SHEAR_X, 0.9, 4}, {CJ__INVERT, 0.2, 0}},
    {{CJ__SHEAR_Y, 0.9, 8}, {CJ__INVERT, 0.7, 0}},
    {{CJ__EQUALIZE, 0.6, 0}, {CJ__SOLARIZE, 0.6, 6}},
    {{CJ__INVERT, 0.9, 0}, {CJ__EQUALIZE, 0.6, 0}},
    {{CJ__EQUALIZE, 0.6, 0}, {CJ__ROTATE, 0.9, 3}},
    {{CJ__SHEAR_X, 0.9, 4}, {CJ__AUTO_CONTRAST, 0.8, 0}},
    {{CJ__SHEAR_Y, 0.9, 8}, {CJ__INVERT, 0.4, 0}},
    {{CJ__SHEAR_Y, 0.9, 5}, {CJ__SOLARIZE, 0.2, 6}},
    {{CJ__INVERT, 0.9, 0}, {CJ__AUTO_CONTRAST, 0.8, 0}},
    {{CJ__EQUALIZE, 0.6, 0}, {CJ__ROTATE, 0.9, 3}},
    {{CJ__SHEAR_X, 0.9, 4}, {CJ__SOLARIZE, 0.3, 3}},
    {{CJ__SHEAR_Y, 0.8, 8}, {CJ__INVERT, 0.7, 0}},
    {{CJ__EQUALIZE, 0.9, 0}, {CJ__TRANSLATE_Y, 0.6, 6}},
    {{CJ__INVERT, 0.9, 0}, {CJ__EQUALIZE, 0.6, 0}},
    {{CJ__CONTRAST, 0.3, 3}, {CJ__ROTATE, 0.8, 4}},
    {{CJ__INVERT, 0.8, 0}, {CJ__TRANSLATE_Y, 0, 2}},
    {{CJ__SHEAR_Y, 0.7, 6}, {CJ__SOLARIZE, 0.4, 8}},
    {{CJ__INVERT, 0.6, 0}, {CJ__ROTATE, 0.8, 4}},
    {{CJ__SHEAR_Y, 0.3, 7}, {CJ__TRANSLATE_X, 0.9, 3}},
    {{CJ__SHEAR_X, 0.1, 6}, {CJ__INVERT, 0.6, 0}},
    {{CJ__SOLARIZE, 0.7, 2}, {CJ__TRANSLATE_Y, 0.6, 7}},
    {{CJ__SHEAR_Y, 0.8, 4}, {CJ__INVERT, 0.8, 0}},
    {{CJ__SHEAR_X, 0.7, 9}, {CJ__TRANSLATE_Y, 0.8, 3}},
    {{CJ__SHEAR_Y, 0.8, 5}, {CJ__AUTO_CONTRAST, 0.7, 0}},
    {{CJ__SHEAR_X, 0.7, 2}, {CJ__INVERT, 0.1, 0}},
};

static const char *const policy_words[] = {"imagenet", "cifar10", "svhn", NULL};
static const cj_option auto_augment_options[] = {CJ_OPTION_CHOICE(cj_auto_augment_opts, policy,
                                                                  "imagenet", policy_words,
                                                                  "what it was found on"),
                                                 POLICY(cj_auto_augment_opts)};

/* A number of each choice by the policy of each sample: [batch]. */
static cj_node *looked_up(cj_layer_build *b, cj_node *x, cj_node *policy, const double *values)
{
    cj_node *list = cj__layer_constant(b, CJ_F64, 1, (const int64_t[]){POLICIES}, values);
    return list ? cj_gather(cj_cast(list, cj_node_dtype(x)), policy, 0) : NULL;
}

static cj_node *auto_augment_build(cj_layer_build *b)
{
    const cj_auto_augment_opts *o = b->options;
    const choice(*table)[2] = !strcmp(o->policy, "svhn")      ? svhn
                              : !strcmp(o->policy, "cifar10") ? cifar10
                                                              : imagenet;
    cj_node *x = cj__pictures(b), *y = x;
    if (!x) return NULL;
    cj_node *u = cj__draws(b, x, 5), *policy = cj_cast(one_of(u, 0, POLICIES), CJ_I64);
    for (int i = 0; i < 2; i++) {
        double which[POLICIES], share[POLICIES], strength[POLICIES];
        for (int k = 0; k < POLICIES; k++) {
            which[k] = table[k][i].which;
            share[k] = table[k][i].share;
            strength[k] = table[k][i].strength / LEVELS;
        }
        cj_node *happens = cj_less(cj__draw(u, 1 + i), looked_up(b, x, policy, share));
        cj_node *chosen = looked_up(b, x, policy, which);
        const cj__operations one = {
            .which = cj_where(happens, chosen, cj__number_like(chosen, CJ__IDENTITY)),
            .strength = looked_up(b, x, policy, strength),
            .negative = half(u, 3 + i),
            .most = usual_strengths(x)};
        y = operate(b, y, &one, o->interpolation, o->fill_value);
    }
    return cj__in_training(b, y, x);
}
CJ__LAYER_OF_KEYWORDS(auto_augment,
                      "in training, one of 25 pairs of changes for each picture, found by search",
                      auto_augment_build, "policy=cifar10 : 5, 4, 3")
