/* losses.h: what the files of losses share.
 *
 * A loss is given a prediction [batch, ...] and a target, and gives [batch]: the mean over
 * everything but the samples, unless its row says otherwise. */
#ifndef CAJAL_NN_LOSSES_H
#define CAJAL_NN_LOSSES_H

#include "nn/model.h"

/* Keras's epsilon: how far probabilities are kept from 0 and 1. */
#define CJ__LOSS_EPSILON 1e-7

/* Options of a row that has none. */
typedef struct cj__no_options {
    char none;
} cj__no_options;

/* [batch, ...] -> [batch]. */
cj_node *cj__loss_mean(cj_node *x);
/* The sum over the last axis. */
cj_node *cj__loss_last_sum(cj_node *x, bool keep);
/* x kept CJ__LOSS_EPSILON away from 0 and 1. */
cj_node *cj__loss_clipped(cj_node *x);
/* x scaled to length 1 along the last axis; shorter than CJ__LOSS_EPSILON: divided by that. */
cj_node *cj__loss_unit(cj_node *x);
/* -1 or 1: whether t is above 0, so that classes may be 0 and 1 or -1 and 1. */
cj_node *cj__loss_sign(cj_node *t);
/* The operand of the activation a prediction came from, reshaped as it was where the last axis
 * stayed one; NULL when it came from something else. */
cj_node *cj__loss_logits(cj_node *prediction, const cj_op *activation);
/* The logarithms of the probabilities of classes along the last axis: stable when the prediction
 * came from softmax, else as Keras: scaled to sum to one, then clipped. */
cj_node *cj__loss_log_probabilities(cj_node *prediction, bool from_logits);
/* Whether the prediction is [batch, ..., classes]; else the graph has failed. */
bool cj__loss_classes(cj_node *prediction, const char *loss);
/* As cj__target_like; class numbers, of one axis less, become one-hot, and one that is no class
 * becomes zeros. */
cj_node *cj__loss_one_hot(cj_node *prediction, cj_node *target, const char *loss);
/* An option's list as a node: a number for each along the prediction's last axis; `one`: or one for
 * all, a scalar. NULL with a failure when there are others. */
cj_node *cj__loss_list(cj_node *prediction, const cj_floats *list, bool one, const char *loss,
                       const char *option);
/* Target spread evenly over the classes by a share (Szegedy et al. 2016). */
cj_node *cj__loss_smoothed(cj_node *prediction, cj_node *target, double share, const char *loss);

/* With logits z and target t: -log sigmoid(z) = log(1 + e^-z), so t log(1 + e^-z) + (1 - t) log(1 +
 * e^z). It overflows nowhere, small losses keep their digits, and it is smooth at z = 0, where the
 * usual form max(z, 0) - z t + log(1 + e^-|z|) has two kinks whose gradients do not cancel.
 * z NULL: from probabilities. weight of the positive part may be NULL. */
cj_node *cj__loss_binary(cj_node *prediction, cj_node *z, cj_node *t, cj_node *weight);
/* x^gamma; kept off 0, where powers below 1 are infinitely steep. */
cj_node *cj__loss_focus(cj_node *x, double gamma);

/* A loss that is a mean over elements: `expression` is of p, t (as p) and o, the options. */
#define CJ__LOSS_OF_ELEMENTS(id, other_names, formula, type, table, expression) \
    static cj_node *build_##id(cj_node *p, cj_node *t, const void *options) \
    { \
        const type *o = options; \
        (void)o; \
        t = cj__target_like(p, t, #id); \
        return t ? cj__loss_mean(expression) : NULL; \
    } \
    const cj_loss cj_loss_##id = {.name = #id, \
                                  .doc = formula, \
                                  .options_size = sizeof(type), \
                                  .options = table, \
                                  .build = build_##id, \
                                  .aliases = other_names};

#endif
