/* losses_margin.c: hinges and other margins between right and wrong scores.
 *
 * Classes of a pair may be 0 and 1 or -1 and 1: s is the sign, -1 for what is not above 0. */
#include "nn/losses.h"

/* ---- Two classes ----------------------------------------------------------------------------- */

/* max(0, 1 - s p) */
static cj_node *hinge(cj_node *p, cj_node *t)
{
    return cj_relu(cj_shift(cj_neg(cj_mul(cj__loss_sign(t), p)), 1));
}
CJ__LOSS_OF_ELEMENTS(hinge, "hinge_loss", "mean of max(0, 1 - s p), s = -1 or 1",
                     cj__no_options, NULL, hinge(p, t))
CJ__LOSS_OF_ELEMENTS(squared_hinge, NULL, "mean of max(0, 1 - s p)^2, s = -1 or 1",
                     cj__no_options, NULL, cj_square(hinge(p, t)))
CJ__LOSS_OF_ELEMENTS(soft_margin, "soft_margin_loss",
                     "mean of log(1 + e^(-s p)), s = -1 or 1", cj__no_options, NULL,
                     cj_softplus(cj_neg(cj_mul(cj__loss_sign(t), p))))

/* ---- One of many classes --------------------------------------------------------------------- */

static cj_node *build_categorical_hinge(cj_node *prediction, cj_node *target, const void *options)
{
    (void)options;
    cj_node *t = cj__loss_one_hot(prediction, target, "categorical_hinge");
    if (!t) return NULL;
    cj_node *right = cj__loss_last_sum(cj_mul(t, prediction), false);
    cj_node *others = cj_mul(cj_shift(cj_neg(t), 1), prediction);
    cj_node *wrong = cj_reduce_max(others, 1, (const int64_t[]){-1}, false);
    return cj__loss_mean(cj_relu(cj_shift(cj_sub(wrong, right), 1)));
}
const cj_loss cj_loss_categorical_hinge = {
    .name = "categorical_hinge",
    .doc = "max(0, 1 + max((1 - t) p) - sum(t p)) over the last axis, t one-hot or class numbers",
    .build = build_categorical_hinge,
    .class_target = true};

typedef struct margin_options {
    int64_t p;
    double margin;
    cj_floats class_weights;
} margin_options;
#define CLASS_WEIGHTS \
    CJ_OPTION_FLOATS(margin_options, class_weights, 0, 1e9, "a number for each class; none: 1")
static const cj_option multi_margin_table[] = {
    CJ_OPTION_INT(margin_options, p, 1, 1, 2, "power of each excess"),
    CJ_OPTION_FLOAT(margin_options, margin, 1, 0, 1e6, "by how much the right class should lead"),
    CLASS_WEIGHTS, CJ_OPTION_END};
static const cj_option multilabel_table[] = {CLASS_WEIGHTS, CJ_OPTION_END};

static cj_node *class_weights(cj_node *prediction, const margin_options *o, const char *loss)
{
    return o->class_weights.n
               ? cj__loss_list(prediction, &o->class_weights, false, loss, "class_weights")
               : cj__number_like(prediction, 1);
}

static cj_node *build_multi_margin(cj_node *prediction, cj_node *target, const void *options)
{
    const margin_options *o = options;
    cj_node *t = cj__loss_one_hot(prediction, target, "multi_margin");
    if (!t) return NULL;
    cj_node *right = cj__loss_last_sum(cj_mul(t, prediction), true);
    cj_node *excess = cj_relu(cj_shift(cj_sub(prediction, right), o->margin));
    if (o->p == 2) excess = cj_square(excess);
    excess = cj_mul(excess, cj_shift(cj_neg(t), 1));
    if (o->class_weights.n)
        excess = cj_mul(excess, cj__loss_last_sum(
                                    cj_mul(t, class_weights(prediction, o, "multi_margin")), true));
    return cj__loss_mean(excess);
}
const cj_loss cj_loss_multi_margin = {
    .name = "multi_margin",
    .doc = "mean over the classes i of w[y] max(0, margin - x[y] + x[i])^p, 0 for i = y",
    .options_size = sizeof(margin_options),
    .options = multi_margin_table,
    .build = build_multi_margin,
    .class_target = true,
    .aliases = "multi_margin_loss"};

/* ---- Many of many classes -------------------------------------------------------------------- */

/* Every pair of a class that is there and one that is not: [batch, ..., classes, classes]. */
static cj_node *build_multilabel_margin(cj_node *prediction, cj_node *target, const void *options)
{
    (void)options;
    if (!cj__loss_classes(prediction, "multilabel_margin")) return NULL;
    cj_node *t = cj__target_like(prediction, target, "multilabel_margin");
    if (!t) return NULL;
    cj_node *there = cj_expand_dims(t, -1), *missing = cj_expand_dims(cj_shift(cj_neg(t), 1), -2);
    cj_node *lead = cj_sub(cj_expand_dims(prediction, -1), cj_expand_dims(prediction, -2));
    cj_node *each = cj_mul(cj_mul(there, missing), cj_relu(cj_shift(cj_neg(lead), 1)));
    return cj__loss_mean(cj_reduce_sum(each, 1, (const int64_t[]){-2}, false));
}
const cj_loss cj_loss_multilabel_margin = {
    .name = "multilabel_margin",
    .doc =
        "mean over the classes i of the sum over j of t[j] (1 - t[i]) max(0, 1 - x[j] + x[i]), t "
        "0 or 1 for each class",
    .build = build_multilabel_margin,
    .aliases = "multilabel_margin_loss"};

static cj_node *build_multilabel_soft_margin(cj_node *prediction, cj_node *target,
                                             const void *options)
{
    static const char name[] = "multilabel_soft_margin";
    const margin_options *o = options;
    cj_node *t = cj__target_like(prediction, target, name);
    if (!t) return NULL;
    cj_node *each = cj_add(cj_mul(t, cj_softplus(cj_neg(prediction))),
                           cj_mul(cj_shift(cj_neg(t), 1), cj_softplus(prediction)));
    return cj__loss_mean(cj_mul(each, class_weights(prediction, o, name)));
}
const cj_loss cj_loss_multilabel_soft_margin = {
    .name = "multilabel_soft_margin",
    .doc = "mean of w (t log(1 + e^-x) + (1 - t) log(1 + e^x)), t 0 or 1 for each class",
    .options_size = sizeof(margin_options),
    .options = multilabel_table,
    .build = build_multilabel_soft_margin,
    .aliases = "multilabel_soft_margin_loss"};
