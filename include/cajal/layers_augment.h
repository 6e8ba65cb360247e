/* layers_augment.h: layers that change pictures in training, so that they are never the same twice.
 *
 *     x = cj_random_flip(x, .mode = "horizontal");
 *     x = cj_random_crop(x, .height = 32, .width = 32, .padding = 4);
 *
 * Pictures [batch, height, width, channels] of known height and width. Random layers change them
 * in training only, every sample by numbers that depend on (seed, epoch, sample) alone; outside of
 * training, and in saved models, they are not there. One number f as a factor means -f .. f, two
 * what lies between them; in text random_rotation 0.1 or random_rotation [-0.1, 0.2]. augment.h
 * has the same with numbers that are given.
 *
 * What belongs to the model's first input goes where layers in front of all that learns move it
 * (or cut, or make it larger: center_crop and resizing too): targets of kind CJ_FIELD_MASK and
 * CJ_FIELD_BOXES, and the input itself where a model restores it. Masks take the nearest pixel and
 * class 0 where fill_mode is constant; a box becomes the smallest one around its moved corners,
 * cut at the picture's edge, and has class -1 where less than a tenth of it is left. */
#ifndef CAJAL_LAYERS_AUGMENT_H
#define CAJAL_LAYERS_AUGMENT_H

#include <cajal/graph.h>
#include <cajal/option.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cj_random_flip_opts {
    size_t struct_size;
    const char *mode; /* "horizontal_and_vertical" (default), "horizontal", "vertical" */
    const char *name;
} cj_random_flip_opts;
CJ_API cj_node *cj_random_flip(cj_node *x, const cj_random_flip_opts *opts);

typedef struct cj_random_rotation_opts {
    size_t struct_size;
    cj_floats factor; /* required: shares of a full turn, counter-clockwise */
    const char *interpolation; /* "bilinear" (default), "nearest" */
    const char *fill_mode;     /* "reflect" (default), "constant", "nearest" (augment.h) */
    double fill_value;         /* of constant */
    const char *name;
} cj_random_rotation_opts;
CJ_API cj_node *cj_random_rotation(cj_node *x, const cj_random_rotation_opts *opts);

typedef struct cj_random_translation_opts {
    size_t struct_size;
    cj_floats height_factor; /* required: shares of the height, down */
    cj_floats width_factor;  /* of the width, to the right; default as the height's */
    const char *interpolation; /* "bilinear" (default), "nearest" */
    const char *fill_mode;     /* "reflect" (default), "constant", "nearest" (augment.h) */
    double fill_value;         /* of constant */
    const char *name;
} cj_random_translation_opts;
CJ_API cj_node *cj_random_translation(cj_node *x, const cj_random_translation_opts *opts);

typedef struct cj_random_zoom_opts {
    size_t struct_size;
    cj_floats
        height_factor; /* required: what is seen is larger by this share (the picture smaller) */
    cj_floats width_factor;  /* default: the same number as the height's */
    const char *interpolation; /* "bilinear" (default), "nearest" */
    const char *fill_mode;     /* "reflect" (default), "constant", "nearest" (augment.h) */
    double fill_value;         /* of constant */
    const char *name;
} cj_random_zoom_opts;
CJ_API cj_node *cj_random_zoom(cj_node *x, const cj_random_zoom_opts *opts);

typedef struct cj_random_shear_opts {
    size_t struct_size;
    cj_floats x_factor; /* required: tangents */
    cj_floats y_factor; /* default 0 */
    const char *interpolation; /* "bilinear" (default), "nearest" */
    const char *fill_mode;     /* "reflect" (default), "constant", "nearest" (augment.h) */
    double fill_value;         /* of constant */
    const char *name;
} cj_random_shear_opts;
CJ_API cj_node *cj_random_shear(cj_node *x, const cj_random_shear_opts *opts);

typedef struct cj_random_perspective_opts {
    size_t struct_size;
    double factor; /* share of the pictures; default 1 */
    double scale;  /* share of half a side that a corner comes inside by at most; default 0.5 */
    const char *interpolation, *fill_mode;
    double fill_value;
    const char *name;
} cj_random_perspective_opts;
CJ_API cj_node *cj_random_perspective(cj_node *x, const cj_random_perspective_opts *opts);

typedef struct cj_random_crop_opts {
    size_t struct_size;
    int64_t height, width; /* required */
    int64_t padding;       /* zeros around the picture before; default 0 */
    const char *name;
} cj_random_crop_opts;
/* Outside of training the middle. */
CJ_API cj_node *cj_random_crop(cj_node *x, const cj_random_crop_opts *opts);

typedef struct cj_center_crop_opts {
    size_t struct_size;
    int64_t height, width; /* required */
    const char *name;
} cj_center_crop_opts;
CJ_API cj_node *cj_center_crop(cj_node *x, const cj_center_crop_opts *opts);

typedef struct cj_resizing_opts {
    size_t struct_size;
    int64_t height, width;     /* required */
    const char *interpolation; /* "bilinear" (default), "nearest", "bicubic" (a = -0.5) */
    bool antialias;            /* as image.h has it */
    const char *name;
} cj_resizing_opts;
/* cj_resize with half_pixel coordinates. */
CJ_API cj_node *cj_resizing(cj_node *x, const cj_resizing_opts *opts);

/* Colours are 0 .. 1, as fit prepares pictures: results are clipped to that. */
typedef struct cj_random_brightness_opts {
    size_t struct_size;
    cj_floats factor; /* required: {1, {f}}: a factor from 1 - f to 1 + f; or from one to another */
    const char *name;
} cj_random_brightness_opts;
typedef cj_random_brightness_opts cj_random_contrast_opts, cj_random_saturation_opts,
    cj_random_sharpness_opts;
typedef struct cj_random_hue_opts {
    size_t struct_size;
    cj_floats factor; /* required: shares of the circle of colours, up to 0.5 */
    const char *name;
} cj_random_hue_opts;
typedef struct cj_random_grayscale_opts {
    size_t struct_size;
    double factor; /* share of the pictures; default 0.5 */
    const char *name;
} cj_random_grayscale_opts;
typedef cj_random_grayscale_opts cj_random_invert_opts;
typedef struct cj_solarization_opts {
    size_t struct_size;
    cj_floats threshold_factor; /* required: {1, {f}} is 0 .. f */
    const char *name;
} cj_solarization_opts;
typedef struct cj_random_posterization_opts {
    size_t struct_size;
    int64_t factor; /* required: bits that are left, 1 to 8 */
    const char *name;
} cj_random_posterization_opts;
typedef struct cj_auto_contrast_opts {
    size_t struct_size;
    const char *name;
} cj_auto_contrast_opts, cj_equalization_opts;
typedef struct cj_random_gaussian_blur_opts {
    size_t struct_size;
    double factor;       /* share of the pictures; default 1 */
    int64_t kernel_size; /* pixels, an odd number; default 3 */
    cj_floats sigma;     /* one number s is 0 .. s; default 0 to 1 */
    const char *name;
} cj_random_gaussian_blur_opts;
typedef struct cj_random_erasing_opts {
    size_t struct_size;
    double factor;     /* share of the pictures; default 1 */
    cj_floats scale;   /* share of a picture; default 0.02 to 0.33 */
    double fill_value; /* default 0 */
    const char *name;
} cj_random_erasing_opts;
CJ_API cj_node *cj_random_brightness(cj_node *x, const cj_random_brightness_opts *opts);
CJ_API cj_node *cj_random_contrast(cj_node *x, const cj_random_contrast_opts *opts);
CJ_API cj_node *cj_random_saturation(cj_node *x, const cj_random_saturation_opts *opts);
CJ_API cj_node *cj_random_sharpness(cj_node *x, const cj_random_sharpness_opts *opts);
CJ_API cj_node *cj_random_hue(cj_node *x, const cj_random_hue_opts *opts);
CJ_API cj_node *cj_random_grayscale(cj_node *x, const cj_random_grayscale_opts *opts);
CJ_API cj_node *cj_random_invert(cj_node *x, const cj_random_invert_opts *opts);
CJ_API cj_node *cj_solarization(cj_node *x, const cj_solarization_opts *opts);
CJ_API cj_node *cj_random_posterization(cj_node *x, const cj_random_posterization_opts *opts);
/* In every program, not in training alone. */
CJ_API cj_node *cj_auto_contrast(cj_node *x, const cj_auto_contrast_opts *opts);
CJ_API cj_node *cj_equalization(cj_node *x, const cj_equalization_opts *opts);
CJ_API cj_node *cj_random_gaussian_blur(cj_node *x, const cj_random_gaussian_blur_opts *opts);
CJ_API cj_node *cj_random_erasing(cj_node *x, const cj_random_erasing_opts *opts);

/* Policies: changes that are chosen for each picture, with torchvision's tables; pictures of 1 or 3
 * channels. Each change costs a rotation and a little, whichever is chosen. */
typedef struct cj_trivial_augment_opts {
    size_t struct_size;
    int64_t num_magnitude_bins; /* strengths; default 31 */
    const char *interpolation;  /* "nearest" (default), "bilinear" */
    double fill_value;          /* of what lies outside; default 0 */
    const char *name;
} cj_trivial_augment_opts;
typedef struct cj_rand_augment_opts {
    size_t struct_size;
    int64_t num_ops;            /* changes, one after another; default 2 */
    int64_t magnitude;          /* their strength; default 9 */
    int64_t num_magnitude_bins; /* magnitude is below this; default 31 */
    const char *interpolation;
    double fill_value;
    const char *name;
} cj_rand_augment_opts;
typedef struct cj_auto_augment_opts {
    size_t struct_size;
    const char *policy; /* "imagenet" (default), "cifar10", "svhn" */
    const char *interpolation;
    double fill_value;
    const char *name;
} cj_auto_augment_opts;
CJ_API cj_node *cj_trivial_augment(cj_node *x, const cj_trivial_augment_opts *opts);
CJ_API cj_node *cj_rand_augment(cj_node *x, const cj_rand_augment_opts *opts);
CJ_API cj_node *cj_auto_augment(cj_node *x, const cj_auto_augment_opts *opts);

/* Layers that mix a picture with those behind it in its batch, which are others in each epoch, and
 * cj_fit's targets with them: whole numbers (classes; masks too where pictures are blended) so that
 * the loss is the sum of the losses of all parts, times their shares, and metrics of training
 * compare with the largest part; other numbers are mixed as they are. Boxes of all parts come one
 * behind another, 2 or 4 times as many rows; cut_mix has no boxes. */
typedef struct cj_mix_up_opts {
    size_t struct_size;
    double alpha; /* a sample's own share is Beta(alpha, alpha); default 0.2, of cut_mix 1 */
    const char *name;
} cj_mix_up_opts, cj_cut_mix_opts;
typedef struct cj_mosaic_opts {
    size_t struct_size;
    double factor;             /* share of the pictures; default 1 */
    const char *interpolation; /* "bilinear" (default), "nearest" */
    const char *name;
} cj_mosaic_opts;
CJ_API cj_node *cj_mix_up(cj_node *x, const cj_mix_up_opts *opts);
CJ_API cj_node *cj_cut_mix(cj_node *x, const cj_cut_mix_opts *opts);
/* Four pictures around a point between 0.3 and 0.7 of each side, each as small as its part. */
CJ_API cj_node *cj_mosaic(cj_node *x, const cj_mosaic_opts *opts);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_mix_up(x, ...) CJ_LAYER_(cj_mix_up, x, __VA_ARGS__)
#define cj_cut_mix(x, ...) CJ_LAYER_(cj_cut_mix, x, __VA_ARGS__)
#define cj_mosaic(x, ...) CJ_LAYER_(cj_mosaic, x, __VA_ARGS__)
#define cj_trivial_augment(x, ...) CJ_LAYER_(cj_trivial_augment, x, __VA_ARGS__)
#define cj_rand_augment(x, ...) CJ_LAYER_(cj_rand_augment, x, __VA_ARGS__)
#define cj_auto_augment(x, ...) CJ_LAYER_(cj_auto_augment, x, __VA_ARGS__)
#define cj_random_flip(x, ...) CJ_LAYER_(cj_random_flip, x, __VA_ARGS__)
#define cj_random_rotation(x, ...) CJ_LAYER_(cj_random_rotation, x, __VA_ARGS__)
#define cj_random_translation(x, ...) CJ_LAYER_(cj_random_translation, x, __VA_ARGS__)
#define cj_random_zoom(x, ...) CJ_LAYER_(cj_random_zoom, x, __VA_ARGS__)
#define cj_random_shear(x, ...) CJ_LAYER_(cj_random_shear, x, __VA_ARGS__)
#define cj_random_crop(x, ...) CJ_LAYER_(cj_random_crop, x, __VA_ARGS__)
#define cj_center_crop(x, ...) CJ_LAYER_(cj_center_crop, x, __VA_ARGS__)
#define cj_random_brightness(x, ...) CJ_LAYER_(cj_random_brightness, x, __VA_ARGS__)
#define cj_random_contrast(x, ...) CJ_LAYER_(cj_random_contrast, x, __VA_ARGS__)
#define cj_random_saturation(x, ...) CJ_LAYER_(cj_random_saturation, x, __VA_ARGS__)
#define cj_random_sharpness(x, ...) CJ_LAYER_(cj_random_sharpness, x, __VA_ARGS__)
#define cj_random_hue(x, ...) CJ_LAYER_(cj_random_hue, x, __VA_ARGS__)
#define cj_random_grayscale(x, ...) CJ_LAYER_(cj_random_grayscale, x, __VA_ARGS__)
#define cj_random_invert(x, ...) CJ_LAYER_(cj_random_invert, x, __VA_ARGS__)
#define cj_solarization(x, ...) CJ_LAYER_(cj_solarization, x, __VA_ARGS__)
#define cj_random_posterization(x, ...) CJ_LAYER_(cj_random_posterization, x, __VA_ARGS__)
#define cj_auto_contrast(x, ...) CJ_LAYER_(cj_auto_contrast, x, __VA_ARGS__)
#define cj_equalization(x, ...) CJ_LAYER_(cj_equalization, x, __VA_ARGS__)
#define cj_random_gaussian_blur(x, ...) CJ_LAYER_(cj_random_gaussian_blur, x, __VA_ARGS__)
#define cj_random_perspective(x, ...) CJ_LAYER_(cj_random_perspective, x, __VA_ARGS__)
#define cj_random_erasing(x, ...) CJ_LAYER_(cj_random_erasing, x, __VA_ARGS__)
#define cj_resizing(x, ...) CJ_LAYER_(cj_resizing, x, __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
