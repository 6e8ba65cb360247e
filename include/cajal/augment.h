/* augment.h: pictures flipped, turned, shifted and cut, each sample by numbers of its own, as graph
 * nodes. The layers random_flip, random_rotation ... (layers.h) draw those numbers.
 *
 *     y = cj_image_affine(x, .angle = angles, .interpolation = "nearest");
 *
 * Pictures x are floats [batch, height, width, channels] with known height and width; numbers of a
 * sample are nodes [batch]. Coordinates are in pixels from the centre of the picture, to the right
 * and down. */
#ifndef CAJAL_AUGMENT_H
#define CAJAL_AUGMENT_H

#include <cajal/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cj_image_affine_opts {
    size_t struct_size;
    cj_node *angle;                     /* radians, clockwise; each of these may be left out */
    cj_node *translate_x, *translate_y; /* pixels */
    cj_node *scale_x, *scale_y;         /* above 1: larger */
    cj_node *shear_x, *shear_y;         /* tangents of torchvision's angles */
    const char *interpolation;          /* "bilinear" (default), "nearest" */
    const char *fill_mode;              /* of what lies outside: "constant" (default), "reflect":
                                           d c b a | a b c d | d c b a, "nearest": a a | a b c d */
    double fill_value;                  /* of constant */
} cj_image_affine_opts;
/* torchvision's affine: the picture is sheared and scaled, then turned, then moved. */
CJ_API cj_node *cj_image_affine(cj_node *x, const cj_image_affine_opts *opts);

typedef struct cj_image_perspective_opts {
    size_t struct_size;
    const char *interpolation, *fill_mode; /* as of cj_image_affine */
    double fill_value;
} cj_image_perspective_opts;
/* The picture as seen from elsewhere: its corners come to `corners`, [batch, 8], x and y of the
 * upper left, the upper right, the lower right and the lower left one in pixels from the left and
 * upper edge. They have to go round a convex shape in this order. */
CJ_API cj_node *cj_image_perspective(cj_node *x, cj_node *corners,
                                     const cj_image_perspective_opts *opts);
/* flip: bools [batch]: those samples' axis 1 (upside down) or 2 (left and right) is turned. */
CJ_API cj_node *cj_image_flip(cj_node *x, cj_node *flip, int axis);
/* [batch, height, width, channels] from row `top` and column `left` on: i64 [batch], such that all
 * of it lies inside (else an error when running). */
CJ_API cj_node *cj_image_crop(cj_node *x, cj_node *top, cj_node *left, int64_t height,
                              int64_t width);

/* ---- Colours --------------------------------------------------------------------------------- */

/* torchvision's functional transforms on values 0 .. 1, to which results are clipped; a factor
 * [batch] of 1 leaves a picture as it is. Those with grey in them take 1 or 3 channels. */
CJ_API cj_node *cj_image_brightness(cj_node *x, cj_node *factor); /* 0: black */
CJ_API cj_node *cj_image_contrast(cj_node *x, cj_node *factor);   /* 0: the mean grey */
CJ_API cj_node *cj_image_saturation(cj_node *x, cj_node *factor); /* 0: grey */
CJ_API cj_node *cj_image_sharpness(cj_node *x, cj_node *factor);  /* 0: smooth; above 1: sharper */
CJ_API cj_node *cj_image_hue(cj_node *x, cj_node *shift);         /* in turns of the circle */
CJ_API cj_node *cj_image_grayscale(cj_node *x);                   /* as many channels as before */
CJ_API cj_node *cj_image_invert(cj_node *x);
CJ_API cj_node *cj_image_solarize(cj_node *x, cj_node *threshold); /* inverts what is not below */
CJ_API cj_node *cj_image_posterize(cj_node *x, int bits);          /* 1 to 8 of 8 bits are left */
CJ_API cj_node *cj_image_auto_contrast(cj_node *x);                /* each channel becomes 0 .. 1 */
/* Levels of 8 bits, shifted so that each is as frequent as the others (Pillow's equalize). */
CJ_API cj_node *cj_image_equalize(cj_node *x);
/* Each channel under a bell of deviation sigma [batch], in pixels, size x size of them, an odd
 * number; pictures go on mirrored at their edge, which is not repeated. */
CJ_API cj_node *cj_image_gaussian_blur(cj_node *x, cj_node *sigma, int64_t size);
/* A rectangle of each sample becomes what `other`, pictures of the same sizes, has there; whole
 * numbers [batch]. */
CJ_API cj_node *cj_image_paste(cj_node *x, cj_node *other, cj_node *top, cj_node *left,
                               cj_node *height, cj_node *width);
/* A rectangle of each sample gets a value; whole numbers [batch]. */
CJ_API cj_node *cj_image_erase(cj_node *x, cj_node *top, cj_node *left, cj_node *height,
                               cj_node *width, double value);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_image_affine(x, ...) \
    cj_at_end((cj_image_affine)( \
        cj_at(x, CJ_HERE), \
        &(cj_image_affine_opts){.struct_size = sizeof(cj_image_affine_opts), __VA_ARGS__}))
#define cj_image_perspective(x, corners, ...) \
    cj_at_end((cj_image_perspective)( \
        cj_at(x, CJ_HERE), corners, \
        &(cj_image_perspective_opts){.struct_size = sizeof(cj_image_perspective_opts), \
                                     __VA_ARGS__}))
#endif

#ifdef __cplusplus
}
#endif
#endif
