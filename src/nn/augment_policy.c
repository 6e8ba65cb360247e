/* augment_policy.c: operations that a policy chooses by sample, torchvision's _apply_op.
 *
 * A batch is one array, so all of it goes through each operation, and a sample takes the result
 * that was chosen for it. What moves pixels is one affine picture whose numbers are 0 where another
 * operation was chosen, so that a step costs one of them, one mean of neighbours (sharpness), one
 * histogram (equalize), and arithmetic that programs fuse. */
#include "nn/layers_augment.h"

#include <math.h>

/* Where an operation was chosen: bools [batch]. */
static cj_node *is(const cj__operations *o, cj__operation which)
{
    return cj_equal(o->which, cj__number_like(o->which, which));
}

/* Strength times most, to both sides. */
static cj_node *both_ways(const cj__operations *o, double most)
{
    cj_node *v = cj_scale(o->strength, most);
    return cj_where(o->negative, cj_neg(v), v);
}

static cj_node *where_it_is(const cj__operations *o, cj__operation which, cj_node *v)
{
    return cj_where(is(o, which), v, cj__number_like(v, 0));
}

/* Whole pixels; what is one but for rounding counts as it. */
static cj_node *pixels(const cj__operations *o, double most)
{
    cj_node *v = cj_floor(cj_shift(cj_scale(o->strength, most), 1e-3));
    return cj_where(o->negative, cj_neg(v), v);
}

/* Shears are about the upper left corner, so that they shift the picture too. */
void cj__operations_affine(const cj__operations *o, cj_node *x, cj_image_affine_opts *how)
{
    const double half_height = 0.5 * (double)cj_node_dim(x, 1),
                 half_width = 0.5 * (double)cj_node_dim(x, 2);
    how->shear_x = where_it_is(o, CJ__SHEAR_X, both_ways(o, o->most.shear));
    how->shear_y = where_it_is(o, CJ__SHEAR_Y, both_ways(o, o->most.shear));
    how->translate_x = cj_sub(where_it_is(o, CJ__TRANSLATE_X, pixels(o, o->most.translate_x)),
                              cj_scale(how->shear_x, half_height));
    how->translate_y = cj_sub(where_it_is(o, CJ__TRANSLATE_Y, pixels(o, o->most.translate_y)),
                              cj_scale(how->shear_y, half_width));
    how->angle = where_it_is(o, CJ__ROTATE, both_ways(o, -o->most.degrees * acos(-1) / 180));
}

cj_node *cj__operations_colour(const cj__operations *o, cj_node *x)
{
    if (!x) return NULL;
    const cj_dim each[] = {cj_node_dim(x, 0), 1, 1, 1};
    cj_node *factor = cj_shift(both_ways(o, o->most.blend), 1), *y = x;
    cj_node *bits = cj_sub(cj__number_like(o->strength, 8),
                           cj_round(cj_scale(o->strength, o->most.bits)));
    cj_node *threshold = cj_sub(cj__number_like(o->strength, 1), o->strength);
    const struct {
        cj__operation which;
        cj_node *picture;
    } all[] = {{CJ__BRIGHTNESS, cj_image_brightness(x, factor)},
               {CJ__COLOR, cj_image_saturation(x, factor)},
               {CJ__CONTRAST, cj_image_contrast(x, factor)},
               {CJ__SHARPNESS, cj_image_sharpness(x, factor)},
               {CJ__POSTERIZE, cj__image_posterize(x, bits)},
               {CJ__SOLARIZE, cj_image_solarize(x, threshold)},
               {CJ__AUTO_CONTRAST, cj_image_auto_contrast(x)},
               {CJ__EQUALIZE, cj_image_equalize(x)},
               {CJ__INVERT, cj_image_invert(x)}};
    for (size_t i = 0; i < CJ__COUNT(all); i++)
        y = cj_where(cj_reshape(is(o, all[i].which), 4, each), all[i].picture, y);
    return y;
}
