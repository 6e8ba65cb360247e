/* augment_colour.c: colours of pictures by numbers that are given for each sample, by torchvision's
 * formulas on values 0 .. 1, to which results are clipped. The grey of a picture of three channels
 * is 0.2989 r + 0.587 g + 0.114 b; of one of any other number, where it has a meaning, itself. */
#include "nn/layers_augment.h"

#include <cajal/pool.h>

#include <math.h>

/* x when it is pictures of as many channels as is expected (0: any); else the graph has failed. */
static cj_node *coloured(cj_node *x, const char *what, bool three)
{
    if (!x || cj__is_zero(x)) return NULL;
    const bool floats = cj_dtype_info(cj_node_dtype(x))->kind == CJ_KIND_FLOAT;
    const int64_t channels = cj_node_rank(x) == 4 && floats ? cj_node_dim(x, 3) : -1;
    if (channels >= 1 && (!three || channels == 1 || channels == 3)) return x;
    return cj__graph_fail(cj_node_graph(x), what, CJ_ERR_SHAPE,
                          "its input is of rank %d with %s as last size; pictures [batch, height, "
                          "width, %s] of floats are expected",
                          cj_node_rank(x),
                          cj_node_rank(x) ? cj_dim_text(cj_node_graph(x), cj_node_dim(x, -1)) : "-",
                          three ? "1 or 3" : "channels"),
           NULL;
}

static cj_node *of_sample(cj_node *x, cj_node *v)
{
    v = cj_cast(v, cj_node_dtype(x));
    return cj_reshape(v, 4, (cj_dim[]){cj_node_dim(x, 0), 1, 1, 1});
}

/* [batch, height, width, 1] */
static cj_node *grey(cj_node *x)
{
    static const double weights[] = {0.2989, 0.587, 0.114};
    cj_node *sum = NULL;
    if (cj_node_dim(x, 3) == 1) return x;
    for (int i = 0; i < 3; i++) {
        cj_node *part = cj_scale(cj_slice_axis(x, 3, i, 1), weights[i]);
        sum = sum ? cj_add(sum, part) : part;
    }
    return sum;
}

/* factor x + (1 - factor) other: 0 is the other one, 1 is x, and above it goes on. */
static cj_node *blend(cj_node *x, cj_node *other, cj_node *factor)
{
    cj_node *f = of_sample(x, factor);
    cj_node *rest = cj_sub(cj__number_like(x, 1), f);
    return cj_clip(cj_add(cj_mul(f, x), cj_mul(rest, other)), 0, 1);
}

cj_node *cj_image_brightness(cj_node *x, cj_node *factor)
{
    if (!factor || !(x = coloured(x, "image_brightness", false))) return NULL;
    return cj_clip(cj_mul(x, of_sample(x, factor)), 0, 1);
}

cj_node *cj_image_contrast(cj_node *x, cj_node *factor)
{
    if (!factor || !(x = coloured(x, "image_contrast", true))) return NULL;
    return blend(x, cj_reduce_mean(grey(x), 3, (int64_t[]){1, 2, 3}, true), factor);
}

cj_node *cj_image_saturation(cj_node *x, cj_node *factor)
{
    if (!factor || !(x = coloured(x, "image_saturation", true))) return NULL;
    return blend(x, grey(x), factor);
}

cj_node *cj_image_grayscale(cj_node *x)
{
    if (!(x = coloured(x, "image_grayscale", true))) return NULL;
    return cj_broadcast_to(grey(x), 4, cj_node_type(x)->dim);
}

cj_node *cj_image_invert(cj_node *x)
{
    if (!(x = coloured(x, "image_invert", false))) return NULL;
    return cj_sub(cj__number_like(x, 1), x);
}

cj_node *cj_image_solarize(cj_node *x, cj_node *threshold)
{
    if (!threshold || !(x = coloured(x, "image_solarize", false))) return NULL;
    return cj_where(cj_less(x, of_sample(x, threshold)), x, cj_image_invert(x));
}

/* Of v = round(255 x), of 8 bits, the lower ones become 0: those below step = 2^(8 - bits). */
cj_node *cj__image_posterize(cj_node *x, cj_node *bits)
{
    if (!bits || !(x = coloured(x, "image_posterize", false))) return NULL;
    cj_node *lost = cj_sub(cj__number_like(x, 8), of_sample(x, bits));
    cj_node *step = cj_round(cj_exp(cj_scale(lost, log(2))));
    cj_node *level = cj_round(cj_scale(x, 255));
    return cj_scale(cj_mul(cj_floor(cj_div(level, step)), step), 1.0 / 255);
}

cj_node *cj_image_posterize(cj_node *x, int bits)
{
    if (!(x = coloured(x, "image_posterize", false))) return NULL;
    if (bits < 1 || bits > 8)
        return cj__graph_fail(cj_node_graph(x), "image_posterize", CJ_ERR_ARGUMENT,
                              "%d bits; 1 to 8 are expected", bits),
               NULL;
    const double step = (double)(1 << (8 - bits));
    return cj_scale(cj_floor(cj_scale(cj_round(cj_scale(x, 255)), 1 / step)), step / 255);
}

/* A channel without any contrast stays as it is. */
cj_node *cj_image_auto_contrast(cj_node *x)
{
    const int64_t places[] = {1, 2};
    if (!(x = coloured(x, "image_auto_contrast", false))) return NULL;
    cj_node *low = cj_reduce_min(x, 2, places, true), *high = cj_reduce_max(x, 2, places, true);
    cj_node *span = cj_sub(high, low), *some = cj_greater(span, cj__number_like(x, 0));
    cj_node *full = cj_div(cj_sub(x, low), cj_where(some, span, cj__number_like(span, 1)));
    return cj_clip(cj_where(some, full, x), 0, 1);
}

/* Pillow's smoothing filter, 1/13 [1 1 1; 1 5 1; 1 1 1], as 9/13 of a mean and 4/13 of the pixel;
 * pixels at the edge stay. */
cj_node *cj_image_sharpness(cj_node *x, cj_node *factor)
{
    const int64_t edge[] = {0, 1, 1, 0}, off[] = {0, -1, -1, 0};
    if (!factor || !(x = coloured(x, "image_sharpness", false))) return NULL;
    const int64_t h = cj_node_dim(x, 1), w = cj_node_dim(x, 2);
    if ((h >= 0 && h <= 2) || (w >= 0 && w <= 2)) return x;
    cj_node *inner = cj_pad(x, off, off, 0);
    cj_node *mean = (cj_avg_pool)(x, &(cj_pool_opts){.struct_size = sizeof(cj_pool_opts),
                                                    .kernel = {3, 3},
                                                    .strides = {1, 1}});
    cj_node *change = cj_scale(cj_sub(mean, inner), 9.0 / 13);
    return blend(x, cj_add(x, cj_pad(change, edge, edge, 0)), factor);
}

/* ---- Blur ------------------------------------------------------------------------------------ */

/* b a | a b c | c b without the repeated ones: b | a b c | b. */
static cj_node *mirrored(cj_node *x, int axis, int64_t edge)
{
    const int64_t last = cj_node_dim(x, axis) - 1;
    cj_node *at = cj_iota(cj_node_graph(x), CJ_I64, 0, 1, (cj_dim[]){last + 1 + 2 * edge});
    at = cj_abs(cj_shift(at, -(double)edge));
    at = cj_sub(cj__number_like(at, (double)last), cj_abs(cj_shift(at, -(double)last)));
    return cj_gather(x, at, axis);
}

/* Along one axis, by weights exp(-(d / sigma)^2 / 2) over their sum. */
static cj_node *blurred(cj_node *x, int axis, cj_node *sigma, int64_t size)
{
    if (!x) return NULL;
    const int64_t edge = size / 2, n = cj_node_dim(x, axis);
    cj_node *wide = mirrored(x, axis, edge), *sum = NULL, *total = NULL;
    cj_node *rate = cj_scale(cj_reciprocal(cj_square(of_sample(x, sigma))), -0.5);
    for (int64_t i = 0; i < size; i++) {
        const double d = (double)(i - edge);
        cj_node *weight = cj_exp(cj_scale(rate, d * d));
        cj_node *part = cj_mul(cj_slice_axis(wide, axis, i, n), weight);
        sum = sum ? cj_add(sum, part) : part;
        total = total ? cj_add(total, weight) : weight;
    }
    return cj_div(sum, total);
}

cj_node *cj_image_gaussian_blur(cj_node *x, cj_node *sigma, int64_t size)
{
    if (!sigma || !(x = coloured(x, "image_gaussian_blur", false))) return NULL;
    const int64_t h = cj_node_dim(x, 1), w = cj_node_dim(x, 2), edge = size / 2;
    if (size >= 1 && size % 2 && h > edge && w > edge)
        return blurred(blurred(x, 1, sigma, size), 2, sigma, size);
    return cj__graph_fail(cj_node_graph(x), "image_gaussian_blur", CJ_ERR_SHAPE,
                          "%lldx%lld pixels of pictures of %lldx%lld; an odd number whose half is "
                          "less than each of their sides is expected",
                          (long long)size, (long long)size, (long long)h, (long long)w),
           NULL;
}

/* ---- Levels ---------------------------------------------------------------------------------- */

/* With n pixels, of which m are of the highest level, step = floor((n - m) / 255), and level v
 * becomes floor((pixels below v + floor(step / 2)) / step), at most 255; where step is 0, all stays
 * as it is. Counts are whole numbers, exact in floats below 2^24 pixels. */
cj_node *cj_image_equalize(cj_node *x)
{
    enum { LEVELS = 256 };
    if (!(x = coloured(x, "image_equalize", false))) return NULL;
    const cj_dim batch = cj_node_dim(x, 0), channels = cj_node_dim(x, 3);
    const cj_dim h = cj_node_dim(x, 1), w = cj_node_dim(x, 2);
    cj_graph *g = cj_node_graph(x);
    cj_node *level = cj_cast(cj_round(cj_scale(cj_clip(x, 0, 1), LEVELS - 1)), CJ_I64);
    level = cj_reshape(level, 3, (cj_dim[]){batch, cj_dim_mul(g, h, w), channels});
    if (!level) return NULL;
    cj_node *zero = cj_scalar(g, cj_node_dtype(x), 0), *one = cj_scalar(g, cj_node_dtype(x), 1);
    cj_node *counts = cj_scatter_along(
        cj_broadcast_to(zero, 3, (cj_dim[]){batch, LEVELS, channels}), level,
        cj_broadcast_to(one, 3, level->type.dim), 1, CJ_SCATTER_ADD);
    const int64_t pixels = 1;
    cj_node *top = cj_gather_along(counts, cj_reduce_max(level, 1, &pixels, true), 1),
            *all = cj_reduce_sum(counts, 1, &pixels, true);
    cj_node *step = cj_floor(cj_scale(cj_sub(all, top), 1.0 / (LEVELS - 1)));
    cj_node *spread = cj_greater(step, zero), *divisor = cj_maximum(step, one);
    cj_node *below = cj_add(cj_cumsum(counts, 1, true, false), cj_floor(cj_scale(step, 0.5)));
    cj_node *becomes = cj_minimum(cj_floor(cj_div(below, divisor)),
                                  cj_scalar(g, cj_node_dtype(x), LEVELS - 1));
    cj_node *y = cj_scale(cj_gather_along(becomes, level, 1), 1.0 / (LEVELS - 1));
    y = cj_reshape(y, 4, x->type.dim);
    return cj_where(cj_expand_dims(spread, 1), y, x);
}

/* ---- Hue ------------------------------------------------------------------------------------- */

/* x mod 1, in 0 .. 1. */
static cj_node *turn(cj_node *x)
{
    return cj_sub(x, cj_floor(x));
}

/* The hue in turns: where red is the largest, (g - b) / chroma sixths, green 2 + (b - r) / chroma,
 * blue 4 + (r - g) / chroma. Gray has hue 0. */
static cj_node *hue(cj_node *const c[3], cj_node *high, cj_node *chroma)
{
    cj_node *grey_one = cj_equal(chroma, cj__number_like(chroma, 0));
    cj_node *divisor = cj_where(grey_one, cj__number_like(chroma, 1), chroma), *sixths[3];
    for (int i = 0; i < 3; i++)
        sixths[i] = cj_shift(cj_div(cj_sub(c[(i + 1) % 3], c[(i + 2) % 3]), divisor), 2 * i);
    cj_node *h = cj_where(cj_equal(c[0], high), sixths[0],
                          cj_where(cj_equal(c[1], high), sixths[1], sixths[2]));
    return turn(cj_scale(h, 1.0 / 6));
}

/* Back again, channel by channel (Smith 1978): with k = (n + 6 h) mod 6 and n = 5, 3, 1 a channel
 * is high - chroma max(0, min(k, 4 - k, 1)). */
cj_node *cj_image_hue(cj_node *x, cj_node *shift)
{
    if (!shift || !(x = coloured(x, "image_hue", true))) return NULL;
    if (cj_node_dim(x, 3) == 1) return x;
    const int64_t last = 3;
    cj_node *c[3], *y[3];
    for (int i = 0; i < 3; i++) c[i] = cj_slice_axis(x, 3, i, 1);
    cj_node *high = cj_reduce_max(x, 1, &last, true),
            *chroma = cj_sub(high, cj_reduce_min(x, 1, &last, true));
    cj_node *h = turn(cj_add(hue(c, high, chroma), of_sample(x, shift)));
    for (int i = 0; i < 3; i++) {
        cj_node *k = cj_scale(turn(cj_shift(h, (5 - 2 * i) / 6.0)), 6);
        cj_node *ramp = cj_minimum(k, cj_sub(cj__number_like(k, 4), k));
        y[i] = cj_sub(high, cj_mul(chroma, cj_clip(ramp, 0, 1)));
    }
    return cj_clip(cj_concat(y, 3, 3), 0, 1);
}

/* ---- Pasting and erasing --------------------------------------------------------------------- */

/* from <= place < from + size along an axis, [batch, ...]. */
static cj_node *inside(cj_node *x, int axis, cj_node *from, cj_node *size)
{
    cj_dim dims[4] = {1, 1, 1, 1};
    dims[axis] = cj_node_dim(x, axis);
    cj_node *at = cj_iota(cj_node_graph(x), cj_node_dtype(x), axis, 4, dims);
    cj_node *low = of_sample(x, from), *high = cj_add(low, of_sample(x, size));
    return cj_logical_and(cj_greater_equal(at, low), cj_less(at, high));
}

cj_node *cj_image_paste(cj_node *x, cj_node *other, cj_node *top, cj_node *left, cj_node *height,
                        cj_node *width)
{
    if (!other || !top || !left || !height || !width || !(x = coloured(x, "image_paste", false)))
        return NULL;
    cj_node *in = cj_logical_and(inside(x, 1, top, height), inside(x, 2, left, width));
    return cj_where(in, other, x);
}

cj_node *cj_image_erase(cj_node *x, cj_node *top, cj_node *left, cj_node *height, cj_node *width,
                        double value)
{
    if (!(x = coloured(x, "image_erase", false))) return NULL;
    return cj_image_paste(x, cj__number_like(x, value), top, left, height, width);
}
