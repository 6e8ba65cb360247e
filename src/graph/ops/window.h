/* window.h: the geometry that convolution and pooling share.
 *
 * A window of `kernel` places, `dilation` apart, slides over an axis of n elements (with `before`
 * and `after` elements of padding) in steps of `stride`:
 *
 *     reach  = (kernel - 1) dilation + 1
 *     result = floor((n + before + after - reach) / stride) + 1
 *     place k of window i reads element i stride - before + k dilation
 *
 * Padding `same` makes the result ceil(n / stride): the total is max((result - 1) stride + reach -
 * n, 0), of which the larger half comes after (same) or before (same_lower), as TensorFlow and ONNX
 * have it. */
#ifndef CAJAL_GRAPH_OPS_WINDOW_H
#define CAJAL_GRAPH_OPS_WINDOW_H

#include "graph/graph.h"

enum { CJ__SPATIAL_MAX = 3 };

typedef enum cj__padding { /* words: explicit, valid, same, same_lower */
    CJ__PADDING_EXPLICIT,
    CJ__PADDING_VALID,
    CJ__PADDING_SAME,
    CJ__PADDING_SAME_LOWER
} cj__padding;
extern const char *const cj__padding_words[];

typedef enum cj__epilogue_activation { /* words: none, relu ... */
    CJ__EPILOGUE_NONE,
    CJ__EPILOGUE_RELU
} cj__epilogue_activation;
extern const char *const cj__epilogue_words[];

/* conv, conv_transpose, conv_weight_grad, im2col, col2im. Lists are by spatial axis; an empty one
 * is all 1 (strides, dilations) or all 0 (pads). */
typedef struct cj__conv_attrs {
    cj_ints strides, dilations, pads_before, pads_after;
    int padding;              /* cj__padding */
    int64_t groups;
    int64_t channel_axis;     /* of images: 1 or rank - 1 after the shape rule */
    cj_ints kernel; /* im2col, col2im */
    cj_ints dims; /* conv_transpose, col2im: spatial sizes of the result, that is of the x of the
                     convolution it is the gradient of; conv_weight_grad: those of the
                     kernel; conv, im2col: empty */
    bool has_bias, has_addend; /* conv: operands 2 and 3 */
    int activation;           /* conv: cj__epilogue_activation */
} cj__conv_attrs;

/* max_pool, pool_pick, pool_spread, avg_pool, avg_pool_grad. */
typedef struct cj__pool_attrs {
    cj_ints kernel, strides, dilations, pads_before, pads_after; /* strides empty: the kernel */
    int padding;              /* cj__padding */
    bool ceil_mode;           /* round the number of windows up; none begins in the padding after */
    bool count_include_pad;   /* avg_pool: divide by all places of the window */
    bool sum;                 /* avg_pool: do not divide at all */
    int64_t channel_axis;
    cj_ints dims;             /* pool_spread, avg_pool_grad: spatial sizes of the result */
} cj__pool_attrs;

/* One spatial axis with concrete sizes. */
typedef struct cj__window {
    int64_t n, kernel, stride, dilation, before, after, result;
} cj__window;

/* How windows slide, whatever they do: what the two structures above have in common. */
typedef struct cj__sliding {
    cj_ints strides, dilations, pads_before, pads_after;
    int padding;
    bool ceil_mode;
} cj__sliding;

cj__sliding cj__conv_sliding(const cj__conv_attrs *a);
cj__sliding cj__pool_sliding(const cj__pool_attrs *a); /* strides: the kernel when there are none */

/* ---- Shape rules ----------------------------------------------------------------------------- */

/* Checks that x is an image of floats with 1 to CJ__SPATIAL_MAX spatial axes, [n, spatial..., c] or
 * [n, c, spatial...], and makes *channel_axis 1 or rank - 1. *spatial: how many spatial axes. */
cj_status cj__infer_image(cj_infer *infer, const cj_type *x, int64_t *channel_axis, int *spatial);
/* The same for any dtype. */
cj_status cj__infer_image_axes(cj_infer *infer, const cj_type *x, int64_t *channel_axis,
                               int *spatial);
/* Where spatial axis i of an image is. */
static inline int cj__spatial_axis(int64_t channel_axis, int i)
{
    return (channel_axis == 1 ? 2 : 1) + i;
}
/* Checks the lists' lengths, and that pads and a padding word do not meet. */
cj_status cj__infer_sliding(cj_infer *infer, const cj__sliding *s, int spatial);
/* How many windows fit spatial axis i of n elements, n and the result possibly symbols. Fails when
 * a number n is too small for one. */
cj_status cj__infer_windows(cj_infer *infer, const cj__sliding *s, int i, cj_dim n, int64_t kernel,
                            cj_dim *result);
/* Fails unless n elements along spatial axis i have `windows` windows. */
cj_status cj__infer_window_count(cj_infer *infer, const cj__sliding *s, int i, cj_dim n,
                                 int64_t kernel, cj_dim windows);
/* The smallest axis that gives `result` windows: (result - 1) stride + reach - before - after;
 * result stride with padding `same`. */
cj_status cj__infer_unslid(cj_infer *infer, const cj__sliding *s, int i, cj_dim result,
                           int64_t kernel, cj_dim *n);

/* ---- Concrete sizes -------------------------------------------------------------------------- */

/* Spatial axis i of n elements; padding words have become before and after. */
cj__window cj__window_of(const cj__sliding *s, int i, int64_t n, int64_t kernel);
/* The windows low .. high-1 whose place k reads an element and no padding. */
void cj__window_range(const cj__window *w, int64_t k, int64_t *low, int64_t *high);

/* Strides of an image's axes in elements. The last spatial axes are its own; missing ones come
 * first and have stride 0. */
void cj__image_strides(const cj_array *image, int64_t channel_axis, int64_t *batch,
                       int64_t *channel, int64_t axis[CJ__SPATIAL_MAX]);

/* A convolution with all its sizes, always with three spatial axes (missing ones come first and
 * have size 1). Strides count elements. weights: [out, in / groups, kernel...]. */
typedef struct cj__conv_shape {
    int64_t batch, in, out, groups; /* in, out: channels of x and y */
    cj__window axis[CJ__SPATIAL_MAX];
    int64_t x_batch, x_channel, x_axis[CJ__SPATIAL_MAX];
    int64_t y_batch, y_channel, y_axis[CJ__SPATIAL_MAX];
    int64_t places;        /* of the kernel */
    bool channels_last;
} cj__conv_shape;
/* y = conv(x, w), whichever of the three the row computes. */
cj__conv_shape cj__conv_shape_of(const cj__conv_attrs *a, const cj_array *x, const cj_array *w,
                                 const cj_array *y);
/* Of the rows conv, conv_transpose and conv_weight_grad: which array plays which part. */
typedef struct cj__conv_arrays {
    const cj_array *x, *w, *y, *bias, *addend; /* the last two may be NULL */
} cj__conv_arrays;
cj__conv_arrays cj__conv_arrays_of(const cj_kernel *k);

/* ---- Epilogues: epilogue.c ------------------------------------------------------------------- */

/* May an operand after the first two be of this dtype? It is the result's, but a bias may be f32
 * where the result has 16 bits. */
bool cj__epilogue_takes(cj_dtype result, cj_dtype operand, bool is_bias);
double cj__epilogue_apply(int activation, double x);
/* dy before the activation, given y = activation(before) and dy after it. */
cj_node *cj__epilogue_grad(int activation, cj_node *y, cj_node *dy);

#endif
