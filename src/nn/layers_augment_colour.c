/* layers_augment_colour.c: layers that change the colours of pictures in training: see
 * layers_augment.c for what they have in common. Values are 0 .. 1, as fit prepares pictures; what
 * standardises them comes behind. */
#include "nn/layers_augment.h"

#include <cajal/augment.h>
#include <cajal/layers.h>

#include <math.h>
#include <string.h>

/* ---- By a factor ----------------------------------------------------------------------------- */

static const cj_option random_brightness_options[] = {
    CJ_OPTION_FLOATS(cj_random_brightness_opts, factor, 0, 1e3,
                     "f for a factor from 1 - f to 1 + f, or its smallest and its largest"),
    CJ__PICTURES_NAME(cj_random_brightness_opts)};
static const cj_option random_hue_options[] = {
    CJ_OPTION_FLOATS(cj_random_hue_opts, factor, -0.5, 0.5,
                     "share of the circle of colours: f for -f .. f, or two numbers"),
    CJ__PICTURES_NAME(cj_random_hue_opts)};

/* Of one number f: middle - f, or least where that is less, to middle + f. */
static bool range_about(cj_layer_build *b, const char *option, const cj_floats *list, double middle,
                        double least, cj__range *r)
{
    if (!cj__range_of(b, option, list, r)) return false;
    if (list->n == 1) *r = (cj__range){fmax(least, middle + r->low), middle + r->high};
    return true;
}

/* What a number of each sample changes. */
static cj_node *by_number(cj_layer_build *b, const char *option, const cj_floats *list,
                          double middle, double least,
                          cj_node *(*change)(cj_node *x, cj_node *number))
{
    cj_node *x = cj__pictures(b);
    cj__range r;
    if (!x || !range_about(b, option, list, middle, least, &r)) return NULL;
    return cj__in_training(b, change(x, cj__between(cj__draws(b, x, 1), 0, r, 1)), x);
}

/* torchvision's ColorJitter: f is 1 - f .. 1 + f, but not below 0. */
static cj_node *by_factor(cj_layer_build *b, cj_node *(*change)(cj_node *x, cj_node *factor))
{
    const cj_random_brightness_opts *o = b->options;
    return by_number(b, "factor", &o->factor, 1, 0, change);
}

static cj_node *random_brightness_build(cj_layer_build *b)
{
    return by_factor(b, cj_image_brightness);
}
static cj_node *random_contrast_build(cj_layer_build *b)
{
    return by_factor(b, cj_image_contrast);
}
static cj_node *random_saturation_build(cj_layer_build *b)
{
    return by_factor(b, cj_image_saturation);
}
static cj_node *random_sharpness_build(cj_layer_build *b)
{
    return by_factor(b, cj_image_sharpness);
}

static cj_node *random_hue_build(cj_layer_build *b)
{
    const cj_random_hue_opts *o = b->options;
    return by_number(b, "factor", &o->factor, 0, -0.5, cj_image_hue);
}

#define random_contrast_options random_brightness_options
#define random_saturation_options random_brightness_options
#define random_sharpness_options random_brightness_options
CJ__LAYER_OF_KEYWORDS(random_brightness, "in training, pictures are made lighter or darker",
                      random_brightness_build, "factor=0.2 : 3, 4, 3")
CJ__LAYER_OF_KEYWORDS(random_contrast,
                      "in training, pictures get more or less contrast: away from or towards the "
                      "mean of their grey",
                      random_contrast_build, "factor=[0.5, 1.5] : 3, 4, 3")
CJ__LAYER_OF_KEYWORDS(random_saturation,
                      "in training, colours are made stronger or weaker: away from or towards grey",
                      random_saturation_build, "factor=0.2 : 3, 4, 3")
CJ__LAYER_OF_KEYWORDS(random_sharpness, "in training, pictures are sharpened or smoothed",
                      random_sharpness_build, "factor=0.5 : 3, 4, 3")
CJ__LAYER_OF_KEYWORDS(random_hue, "in training, all colours of a picture turn on their circle",
                      random_hue_build, "factor=0.1 : 3, 4, 3")

/* ---- Or not ---------------------------------------------------------------------------------- */

static const cj_option random_grayscale_options[] = {
    CJ_OPTION_FLOAT(cj_random_grayscale_opts, factor, 0.5, 0, 1, "share of the pictures"),
    CJ__PICTURES_NAME(cj_random_grayscale_opts)};

/* Picture by picture y or x, y as often as factor says. */
static cj_node *some(cj_layer_build *b, cj_node *x, cj_node *u, double factor, cj_node *y)
{
    cj_node *chosen = cj_less(cj__draw(u, 0), cj__number_like(u, factor));
    chosen = cj_reshape(chosen, 4, (cj_dim[]){cj_node_dim(x, 0), 1, 1, 1});
    return cj__in_training(b, cj_where(chosen, y, x), x);
}

static cj_node *by_chance(cj_layer_build *b, cj_node *(*change)(cj_node *x))
{
    const cj_random_grayscale_opts *o = b->options;
    cj_node *x = cj__pictures(b);
    return x ? some(b, x, cj__draws(b, x, 1), o->factor, change(x)) : NULL;
}

static cj_node *random_grayscale_build(cj_layer_build *b)
{
    return by_chance(b, cj_image_grayscale);
}
static cj_node *random_invert_build(cj_layer_build *b)
{
    return by_chance(b, cj_image_invert);
}
#define random_invert_options random_grayscale_options
CJ__LAYER_OF_KEYWORDS(random_grayscale, "in training, some pictures lose their colours",
                      random_grayscale_build, " : 3, 4, 3")
CJ__LAYER_OF_KEYWORDS(random_invert, "in training, some pictures become their negative",
                      random_invert_build, "factor=0.1 : 3, 4, 2")

/* ---- random_gaussian_blur -------------------------------------------------------------------- */

static const cj_option random_gaussian_blur_options[] = {
    CJ_OPTION_FLOAT(cj_random_gaussian_blur_opts, factor, 1, 0, 1, "share of the pictures"),
    CJ_OPTION_INT(cj_random_gaussian_blur_opts, kernel_size, 3, 1, 255, "pixels; an odd number"),
    CJ_OPTION_FLOATS(cj_random_gaussian_blur_opts, sigma, 0, 1e3,
                     "deviation in pixels: s for 0 .. s, or two numbers; none: 0 to 1"),
    CJ__PICTURES_NAME(cj_random_gaussian_blur_opts)};

static cj_node *random_gaussian_blur_build(cj_layer_build *b)
{
    const cj_random_gaussian_blur_opts *o = b->options;
    cj_node *x = cj__pictures(b);
    cj__range sigma = {0, 1};
    if (!x || (o->sigma.n && !range_about(b, "sigma", &o->sigma, 0, 0, &sigma))) return NULL;
    cj_node *u = cj__draws(b, x, 2);
    cj_node *width = cj_shift(cj__between(u, 1, sigma, 1), 1e-6); /* never 0 */
    return some(b, x, u, o->factor, cj_image_gaussian_blur(x, width, o->kernel_size));
}
CJ__LAYER_OF_KEYWORDS(random_gaussian_blur, "in training, pictures are blurred",
                      random_gaussian_blur_build, "factor=0.5, sigma=[0.1, 2] : 3, 4, 3")

/* ---- solarization, random_posterization, auto_contrast, equalization ------------------------- */

static const cj_option solarization_options[] = {
    CJ_OPTION_FLOATS(cj_solarization_opts, threshold_factor, 0, 1,
                     "what is not below becomes its negative: f for 0 .. f, or two numbers"),
    CJ__PICTURES_NAME(cj_solarization_opts)};
static const cj_option random_posterization_options[] = {
    CJ_OPTION_INT(cj_random_posterization_opts, factor, 0, 1, 8, "bits that are left of 8"),
    CJ__PICTURES_NAME(cj_random_posterization_opts)};
static const cj_option auto_contrast_options[] = {CJ__PICTURES_NAME(cj_auto_contrast_opts)};
#define equalization_options auto_contrast_options

static cj_node *solarization_build(cj_layer_build *b)
{
    const cj_solarization_opts *o = b->options;
    return by_number(b, "threshold_factor", &o->threshold_factor, 0, 0, cj_image_solarize);
}
static cj_node *random_posterization_build(cj_layer_build *b)
{
    const cj_random_posterization_opts *o = b->options;
    cj_node *x = cj__pictures(b);
    return x ? cj__in_training(b, cj_image_posterize(x, (int)o->factor), x) : NULL;
}
static cj_node *auto_contrast_build(cj_layer_build *b)
{
    return cj_image_auto_contrast(cj__pictures(b));
}
static cj_node *equalization_build(cj_layer_build *b)
{
    return cj_image_equalize(cj__pictures(b));
}
CJ__LAYER_OF_KEYWORDS(solarization,
                      "in training, what is not darker than a threshold becomes its negative",
                      solarization_build, "threshold_factor=[0.2, 0.8] : 3, 4, 3")
CJ__LAYER_OF_KEYWORDS(random_posterization, "in training, colours have fewer bits",
                      random_posterization_build, "factor=4 : 3, 4, 3")
CJ__LAYER_OF_KEYWORDS(auto_contrast, "each channel of a picture becomes 0 .. 1",
                      auto_contrast_build, " : 3, 4, 3")
CJ__LAYER_OF_KEYWORDS(equalization, "levels of a channel are shifted until all are as frequent",
                      equalization_build, " : 3, 4, 3")

/* ---- random_erasing -------------------------------------------------------------------------- */

static const cj_option random_erasing_options[] = {
    CJ_OPTION_FLOAT(cj_random_erasing_opts, factor, 1, 0, 1, "share of the pictures"),
    CJ_OPTION_FLOATS(cj_random_erasing_opts, scale, 0, 1,
                     "share of a picture, smallest and largest; none: 0.02 to 0.33"),
    CJ_OPTION_FLOAT(cj_random_erasing_opts, fill_value, 0, -1e30, 1e30, "of what is erased"),
    CJ__PICTURES_NAME(cj_random_erasing_opts)};

/* round(side), 1 .. most. */
static cj_node *whole_side(cj_node *side, int64_t most)
{
    return cj_clip(cj_round(side), 1, (double)most);
}

/* A rectangle of a part of the area and sides in a ratio of 0.3 .. 3.3, evenly on a logarithmic
 * scale (Zhong et al. 2017; torchvision's RandomErasing, which draws again what is too large where
 * here its side is the picture's). */
static cj_node *random_erasing_build(cj_layer_build *b)
{
    const cj_random_erasing_opts *o = b->options;
    cj_node *x = cj__pictures(b);
    cj__range area = {0.02, 0.33}, ratio = {log(0.3), log(3.3)}, one = {0, 1};
    if (!x || (o->scale.n && !range_about(b, "scale", &o->scale, 0, 0, &area))) return NULL;
    const int64_t h = cj_node_dim(x, 1), w = cj_node_dim(x, 2);
    cj_node *u = cj__draws(b, x, 5);
    cj_node *side = cj_sqrt(cj__between(u, 1, area, (double)h * (double)w));
    cj_node *stretch = cj_exp(cj__between(u, 2, ratio, 0.5));
    cj_node *height = whole_side(cj_mul(side, stretch), h),
            *width = whole_side(cj_div(side, stretch), w);
    cj_node *rows = cj_sub(cj__number_like(u, (double)(h + 1)), height),
            *columns = cj_sub(cj__number_like(u, (double)(w + 1)), width);
    cj_node *top = cj_floor(cj_mul(cj__between(u, 3, one, 1), rows)),
            *left = cj_floor(cj_mul(cj__between(u, 4, one, 1), columns));
    return some(b, x, u, o->factor,
                cj_image_erase(x, top, left, height, width, o->fill_value));
}
CJ__LAYER_OF_KEYWORDS(random_erasing, "in training, a rectangle of a picture is erased",
                      random_erasing_build, "scale=[0.1, 0.3], fill_value=0.5 : 4, 5, 2")
