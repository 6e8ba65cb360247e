/* layers_augment.h: what layers of augmentation share. */
#ifndef CAJAL_NN_LAYERS_AUGMENT_H
#define CAJAL_NN_LAYERS_AUGMENT_H

#include "nn/moves.h"

#include <cajal/augment.h>

/* One number f means -f .. f, two mean what lies between them. */
typedef struct cj__range {
    double low, high;
} cj__range;

#define CJ__PICTURES_NAME(type) CJ_OPTION_STRING(type, name, NULL, "of the layer"), CJ_OPTION_END

/* The input as floats, checked to be pictures of known sizes. */
cj_node *cj__pictures(cj_layer_build *b);
/* n numbers of each sample in [0, 1): [batch, n]; number i of each sample: [batch]. */
cj_node *cj__draws(cj_layer_build *b, cj_node *x, int64_t n);
cj_node *cj__draw(cj_node *u, int64_t i);
/* false: the option is none of the two, and the graph has failed. */
bool cj__range_of(cj_layer_build *b, const char *option, const cj_floats *list, cj__range *r);
/* Number i of each sample, in the range, times factor. */
cj_node *cj__between(cj_node *u, int64_t i, cj__range r, double factor);
/* Where cj_image_affine moves points of a picture of these sizes: x and y, [batch, n], in pixels
 * from the left and upper edge. */
void cj__image_affine_points(const cj_image_affine_opts *o, int64_t height, int64_t width,
                             cj_node *xy[2]);
/* The same of cj_image_perspective. */
void cj__image_perspective_points(cj_node *corners, int64_t height, int64_t width, cj_node *xy[2]);
/* cj_image_affine in training programs, written down as a move (moves.h). */
cj_node *cj__layer_affine(cj_layer_build *b, cj_node *x, const cj_image_affine_opts *how);
/* cj_image_posterize with a number of bits for each sample: [batch]. */
cj_node *cj__image_posterize(cj_node *x, cj_node *bits);
/* Beta(a, a) of even numbers u and v in [0, 1), each [batch]. */
cj_node *cj__beta_of(cj_node *u, cj_node *v, double a);
/* y in training programs, else the other one. */
cj_node *cj__in_training(cj_layer_build *b, cj_node *y, cj_node *otherwise);


/* ---- Operations of policies: augment_policy.c ------------------------------------------------ */

typedef enum cj__operation {
    CJ__IDENTITY,
    CJ__SHEAR_X,
    CJ__SHEAR_Y,
    CJ__TRANSLATE_X,
    CJ__TRANSLATE_Y,
    CJ__ROTATE,
    CJ__BRIGHTNESS,
    CJ__COLOR,
    CJ__CONTRAST,
    CJ__SHARPNESS,
    CJ__POSTERIZE,
    CJ__SOLARIZE,
    CJ__AUTO_CONTRAST,
    CJ__EQUALIZE,
    CJ__INVERT,
    CJ__OPERATIONS
} cj__operation;

/* How far they go at the most; a solarization's threshold goes from 1 to 0. */
typedef struct cj__strengths {
    double shear, translate_x, translate_y; /* a tangent; pixels, which are rounded down */
    double degrees, blend, bits;            /* away from a factor of 1; bits that are lost */
} cj__strengths;

/* One operation of each sample. */
typedef struct cj__operations {
    cj_node *which;    /* [batch]: cj__operation */
    cj_node *strength; /* [batch]: 0 .. 1 */
    cj_node *negative; /* [batch]: bools: the other way */
    cj__strengths most;
} cj__operations;

/* The numbers of cj_image_affine that do those that move pixels; others leave them where they are.
 */
void cj__operations_affine(const cj__operations *o, cj_node *x, cj_image_affine_opts *how);
/* What the others do to colours. */
cj_node *cj__operations_colour(const cj__operations *o, cj_node *x);

#endif
