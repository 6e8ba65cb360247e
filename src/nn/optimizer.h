/* optimizer.h: what the families of optimizers share: scalars in double, averages, norms, weight
 * decay.
 *
 * In their comments: g gradient, w parameter, a learning rate, t step from 1. */
#ifndef CAJAL_NN_OPTIMIZER_H
#define CAJAL_NN_OPTIMIZER_H

#include "nn/model.h"

/* Where Keras and PyTorch differ, Keras's formula is the default. */
enum { CJ__FORM_KERAS, CJ__FORM_TORCH };

/* A beta of 1 would make the correction 1 - b^t zero. */
#define CJ__BETA_MAX 0.999999999
#define CJ__DECAY_FORM \
    "keras: the parameter shrinks by learning_rate weight_decay w; torch: weight_decay w is " \
    "added to the gradient"

/* beta_1, beta_2 and epsilon of a structure. */
#define CJ__MOMENT_OPTIONS(s, beta_1_default, beta_2_default) \
    CJ_OPTION_FLOAT(s, beta_1, beta_1_default, 0, CJ__BETA_MAX, "decay of the mean of gradients"), \
        CJ_OPTION_FLOAT(s, beta_2, beta_2_default, 0, CJ__BETA_MAX, \
                        "decay of the mean of squared gradients")
#define CJ__EPSILON_OPTION(s) \
    CJ_OPTION_FLOAT(s, epsilon, 1e-7, 0, 1, "keeps the division finite")

cj_node *cj__step_f64(const cj_optimizer_step *s, double value);   /* a scalar */
cj_node *cj__step_cast(const cj_optimizer_step *s, cj_node *x);    /* in the parameter's dtype */
cj_node *cj__step_rate(const cj_optimizer_step *s);                /* the learning rate in double */
cj_node *cj__step_is_first(const cj_optimizer_step *s);            /* t = 1 */
/* 1 - b^t, in double: in float 1 - 0.999^t loses half its digits. */
cj_node *cj__step_correction(const cj_optimizer_step *s, double b);
/* b x + (1 - b) y */
cj_node *cj__average(cj_node *x, cj_node *y, double b);
/* |x|, in double: the squares of 1e-20 and 1e20 are no floats. */
cj_node *cj__norm(cj_node *x);
/* Gradient and parameter with the weight decay of the common options. keras: w -= a decay w first,
 * apart from the gradient (Loshchilov and Hutter 2019); torch: g += decay w. */
void cj__decay(const cj_optimizer_step *s, cj_node **w, cj_node **g);
/* The first of the two, whatever the form. */
cj_node *cj__decay_apart(const cj_optimizer_step *s);
/* Slot k moves to b1 m + (1 - b1) x, which is returned. */
cj_node *cj__slot_average(cj_optimizer_step *s, int k, cj_node *x, double b);

/* The slot of a parameter's average: what fit leaves in the end, where the optimizer has one. */
#define CJ__AVERAGE_SLOT "average"

/* ---- groups.c -------------------------------------------------------------------------------- */

typedef struct cj__group cj__group;
/* The groups of the common options; NULL when there are none. */
cj_status cj__groups_parse(cj__arena *arena, const cj_optimizer *row, const void *options,
                           cj__group **out);
/* The options of a parameter: of the first group that has it, or those of all. */
const void *cj__groups_options(cj__group *groups, const char *name, const void *options);
/* The pattern of a group that no parameter was asked for; NULL: none. */
const char *cj__groups_unused(const cj__group *groups);

/* ---- constraints.c --------------------------------------------------------------------------- */

/* w as the constraint "max_norm(2)" leaves it. */
cj_node *cj__constrained(cj_node *w, const char *constraint);
cj_status cj__constraint_check(cj__arena *arena, const char *constraint);

#endif
