/* losses_region.c: how little a predicted region and the true one overlap.
 *
 * Each sample is compared by itself, over all its positions and classes together (Keras's axis=None
 * takes the batch as one region), or class by class. Predictions are probabilities; they enter
 * linearly, so there are no logarithms to look through to logits for. */
#include "nn/losses.h"

typedef struct region_options {
    double alpha, beta, smooth;
    bool per_class;
} region_options;

#define SMOOTH \
    CJ_OPTION_FLOAT(region_options, smooth, 0, 0, 1e6, \
                    "added above and below: with 1, two empty regions agree")
#define PER_CLASS \
    CJ_OPTION_BOOL(region_options, per_class, false, \
                   "each class of the last axis is a region; their mean")
static const cj_option dice_table[] = {SMOOTH, PER_CLASS, CJ_OPTION_END};
static const cj_option tversky_table[] = {
    CJ_OPTION_FLOAT(region_options, alpha, 0.5, 0, 1e6, "what a false positive costs"),
    CJ_OPTION_FLOAT(region_options, beta, 0.5, 0, 1e6, "what a false negative costs"), SMOOTH,
    PER_CLASS, CJ_OPTION_END};

/* The sum over a sample, or over its positions. */
static cj_node *region_sum(cj_node *x, bool per_class)
{
    int64_t axes[CJ_RANK_MAX];
    int n = 0;
    if (!x) return NULL;
    for (int i = 1; i < x->type.rank - per_class; i++) axes[n++] = i;
    return n ? cj_reduce_sum(x, n, axes, false) : x;
}

/* 1 - (overlap + smooth) / (overlap + alpha false positives + beta false negatives + smooth +
 * epsilon) */
static cj_node *region(cj_node *prediction, cj_node *target, const region_options *o, double alpha,
                       double beta, double epsilon, const char *loss)
{
    cj_node *p = prediction, *t = p && p->type.rank > 1 ? cj__loss_one_hot(p, target, loss)
                                                        : cj__target_like(p, target, loss);
    if (!t) return NULL;
    cj_node *overlap = cj_mul(t, p);
    cj_node *positives = cj_mul(cj_shift(cj_neg(t), 1), p),
            *negatives = cj_mul(t, cj_shift(cj_neg(p), 1));
    overlap = region_sum(overlap, o->per_class);
    cj_node *wrong = cj_add(cj_scale(region_sum(positives, o->per_class), alpha),
                            cj_scale(region_sum(negatives, o->per_class), beta));
    cj_node *ratio = cj_div(cj_shift(overlap, o->smooth),
                            cj_shift(cj_add(overlap, wrong), o->smooth + epsilon));
    return cj__loss_mean(cj_shift(cj_neg(ratio), 1));
}

/* 2 overlap / (sum t + sum p + epsilon) is the same with both costs, and epsilon, halved. */
static cj_node *build_dice(cj_node *prediction, cj_node *target, const void *options)
{
    return region(prediction, target, options, 0.5, 0.5, CJ__LOSS_EPSILON / 2, "dice");
}
const cj_loss cj_loss_dice = {
    .name = "dice",
    .doc = "1 - (2 sum(t p) + 2 smooth) / (sum t + sum p + 2 smooth + 1e-7), sums over a sample "
           "(Milletari et al. 2016)",
    .options_size = sizeof(region_options),
    .options = dice_table,
    .build = build_dice,
    .class_target = true,
    .whole = true,
    .aliases = "dice_loss"};

static cj_node *build_tversky(cj_node *prediction, cj_node *target, const void *options)
{
    const region_options *o = options;
    return region(prediction, target, o, o->alpha, o->beta, CJ__LOSS_EPSILON, "tversky");
}
const cj_loss cj_loss_tversky = {
    .name = "tversky",
    .doc =
        "1 - (n + smooth) / (n + alpha sum((1 - t) p) + beta sum(t (1 - p)) + smooth + 1e-7), n = "
        "sum(t p), sums over a sample (Salehi et al. 2017)",
    .options_size = sizeof(region_options),
    .options = tversky_table,
    .build = build_tversky,
    .class_target = true,
    .whole = true,
    .aliases = "tversky_loss"};
