/* layers_pool.c: the layers without parameters that change an image's size: pooling, global and
 * adaptive pooling, up-sampling, padding and cropping; each a row for 1, 2 or 3 spatial axes. */
#include "nn/model.h"

#include <cajal/image.h>
#include <cajal/layers.h>
#include <cajal/pool.h>

#include <string.h>

#define FAR 2147483647
#define SIZES(type, field, initial, min, help) CJ_OPTION_SIZES(type, field, initial, min, FAR, help)
#define NAME(type) CJ_OPTION_STRING(type, name, NULL, "of the layer"), CJ_OPTION_END

static const char *const padding_words[] = {"valid", "same", NULL};
static const char *const interpolation_words[] = {"nearest", "bilinear", "bicubic", NULL};

/* The input as floats, checked to be [batch, `spatial` axes, channels]. */
static cj_node *image(cj_layer_build *b, int spatial)
{
    cj_node *x = cj__layer_float(b, b->x[0]);
    if (!x || cj_node_rank(x) == spatial + 2) return x;
    return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                          "its input is of rank %d; batch, %d spatial ax%cs and channels are "
                          "expected",
                          cj_node_rank(x), spatial, spatial == 1 ? 'i' : 'e'),
           NULL;
}

static int64_t size_at(const int64_t v[CJ_SIZES], int i)
{
    while (i && !v[i]) i--;
    return v[i] ? v[i] : 1;
}

#define ROW_WITH_MASKS(layer, result, table, sample, doc, masks) \
    static cj_node *layer##_build(cj_layer_build *b) \
    { \
        return result; \
    } \
    CJ__LAYER_ROW(layer, table, doc, layer##_build, sample, masks)
#define ROW(layer, result, table, sample, doc) \
    ROW_WITH_MASKS(layer, result, table, sample, doc, CJ_MASK_STOPS)

/* ---- Pooling --------------------------------------------------------------------------------- */

static const cj_option pool_options[] = {
    SIZES(cj_max_pool2d_opts, size, 2, 1, "of the window"),
    SIZES(cj_max_pool2d_opts, strides, 0, 0, "from window to window; none: the size"),
    CJ_OPTION_CHOICE(cj_max_pool2d_opts, padding, "valid", padding_words, "around the image"),
    SIZES(cj_max_pool2d_opts, pads, 0, 0, "at each end of each axis, instead of padding"),
    CJ_OPTION_BOOL(cj_max_pool2d_opts, ceil_mode, false,
                   "a last window may reach over the end of the image"),
    CJ_OPTION_BOOL(cj_max_pool2d_opts, count_include_pad, false,
                   "for a mean, pads count as elements of 0"),
    NAME(cj_max_pool2d_opts)};

static cj_node *pool_build(cj_layer_build *b, int spatial, bool max)
{
    const cj_max_pool2d_opts *o = b->options;
    cj_node *x = image(b, spatial);
    bool same = !strcmp(o->padding, "same"), pads = o->pads[0] != 0;
    cj_pool_opts p = {.struct_size = sizeof p,
                      .padding = pads || o->ceil_mode ? NULL : o->padding,
                      .ceil_mode = o->ceil_mode,
                      .count_include_pad = o->count_include_pad};
    if (same && (pads || o->ceil_mode))
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT, "%s for padding=valid",
                              pads ? "pads are" : "ceil_mode is"),
               NULL;
    for (int i = 0; i < spatial && pads; i++)
        p.pads_before[i] = p.pads_after[i] = size_at(o->pads, i);
    memcpy(p.kernel, o->size, sizeof p.kernel);
    memcpy(p.strides, o->strides, sizeof p.strides);
    return max ? (cj_max_pool)(x, &p) : (cj_avg_pool)(x, &p);
}

#define MAX_DOC "the largest element of each window"
#define AVERAGE_DOC "the mean of each window"
ROW(max_pool1d, pool_build(b, 1, true), pool_options, "size=2 : 6, 2", MAX_DOC)
ROW(max_pool2d, pool_build(b, 2, true), pool_options, "size=3, strides=2, padding=same : 5, 4, 2",
    MAX_DOC)
ROW(max_pool3d, pool_build(b, 3, true), pool_options, "size=2 : 4, 2, 2, 2", MAX_DOC)
ROW(average_pool1d, pool_build(b, 1, false), pool_options, "size=3, strides=1, pads=1 : 6, 2",
    AVERAGE_DOC)
ROW(average_pool2d, pool_build(b, 2, false), pool_options, "size=2, ceil_mode=true : 4, 5, 2",
    AVERAGE_DOC)
ROW(average_pool3d, pool_build(b, 3, false), pool_options,
    "size=[2, 1, 2], padding=same : 3, 2, 2, 2", AVERAGE_DOC)

/* ---- Global and adaptive pooling ------------------------------------------------------------- */

static const cj_option global_options[] = {
    CJ_OPTION_BOOL(cj_global_max_pool2d_opts, keepdims, false, "spatial axes of size 1 stay"),
    NAME(cj_global_max_pool2d_opts)};

static cj_node *global_build(cj_layer_build *b, int spatial, bool max)
{
    bool keep = ((const cj_global_max_pool2d_opts *)b->options)->keepdims;
    cj_node *x = image(b, spatial);
    return max ? (cj_global_max_pool)(x, -1, keep) : (cj_global_avg_pool)(x, -1, keep);
}

/* The mean over the steps that count; of none it is 0. */
static cj_node *steps_build(cj_layer_build *b)
{
    const int64_t steps = 1;
    bool keep = ((const cj_global_max_pool2d_opts *)b->options)->keepdims;
    cj_node *x = image(b, 1), *mask = x ? cj__mask_of_steps(b, 0) : NULL;
    if (!mask || b->graph->failed) return global_build(b, 1, false);
    cj_node *weight = cj__mask_like(cj_cast(mask, cj_node_dtype(x)), x);
    cj_node *sum = cj_reduce_sum(cj__masked(x, mask, 0), 1, &steps, keep);
    cj_node *count = cj_reduce_sum(weight, 1, &steps, keep);
    return cj_div(sum, cj_maximum(count, cj__number_like(x, 1)));
}

#define GLOBAL_MAX_DOC "the largest element of each channel"
#define GLOBAL_AVERAGE_DOC "the mean of each channel"
ROW(global_max_pool1d, global_build(b, 1, true), global_options, " : 5, 3", GLOBAL_MAX_DOC)
ROW(global_max_pool2d, global_build(b, 2, true), global_options, " : 3, 4, 2", GLOBAL_MAX_DOC)
ROW(global_max_pool3d, global_build(b, 3, true), global_options, " : 2, 3, 2, 2", GLOBAL_MAX_DOC)
ROW_WITH_MASKS(global_average_pool1d, steps_build(b), global_options, " : 5, 3",
               GLOBAL_AVERAGE_DOC, CJ_MASK_READS)
ROW(global_average_pool2d, global_build(b, 2, false), global_options, "keepdims=true : 3, 4, 2",
    GLOBAL_AVERAGE_DOC)
ROW(global_average_pool3d, global_build(b, 3, false), global_options, " : 2, 3, 2, 2",
    GLOBAL_AVERAGE_DOC)

static const cj_option adaptive_options[] = {
    SIZES(cj_adaptive_max_pool2d_opts, output, 0, 1, "sizes of the result"),
    NAME(cj_adaptive_max_pool2d_opts)};

static cj_node *adaptive_build(cj_layer_build *b, int spatial, bool max)
{
    cj_node *x = image(b, spatial);
    cj_pool_opts p = {.struct_size = sizeof p};
    memcpy(p.sizes, ((const cj_adaptive_max_pool2d_opts *)b->options)->output, sizeof p.sizes);
    return max ? (cj_adaptive_max_pool)(x, &p) : (cj_adaptive_avg_pool)(x, &p);
}

#define ADAPTIVE_MAX_DOC "the largest elements of windows that make a result of the given sizes"
#define ADAPTIVE_AVERAGE_DOC "the means of windows that make a result of the given sizes"
ROW(adaptive_max_pool1d, adaptive_build(b, 1, true), adaptive_options, "output=3 : 7, 2",
    ADAPTIVE_MAX_DOC)
ROW(adaptive_max_pool2d, adaptive_build(b, 2, true), adaptive_options, "output=[2, 3] : 4, 5, 2",
    ADAPTIVE_MAX_DOC)
ROW(adaptive_max_pool3d, adaptive_build(b, 3, true), adaptive_options, "output=2 : 4, 4, 2, 2",
    ADAPTIVE_MAX_DOC)
ROW(adaptive_average_pool1d, adaptive_build(b, 1, false), adaptive_options, "output=3 : 7, 2",
    ADAPTIVE_AVERAGE_DOC)
ROW(adaptive_average_pool2d, adaptive_build(b, 2, false), adaptive_options,
    "output=[2, 3] : 4, 5, 2", ADAPTIVE_AVERAGE_DOC)
ROW(adaptive_average_pool3d, adaptive_build(b, 3, false), adaptive_options,
    "output=2 : 4, 4, 2, 2", ADAPTIVE_AVERAGE_DOC)

/* ---- Up-sampling ----------------------------------------------------------------------------- */

static const cj_option up_options[] = {
    SIZES(cj_up_sampling2d_opts, size, 2, 1, "how many times larger"),
    CJ_OPTION_CHOICE(cj_up_sampling2d_opts, interpolation, "nearest", interpolation_words,
                     "how elements between are made"),
    NAME(cj_up_sampling2d_opts)};

/* Each element is repeated along an axis of its own, which is then merged with the one before. */
static cj_node *repeat_along(cj_node *x, int axis, int64_t times)
{
    cj_dim dims[CJ_RANK_MAX];
    int rank = cj_node_rank(x) + 1;
    if (!x || times == 1) return x;
    for (int i = 0; i < rank; i++)
        dims[i] = i == axis + 1 ? times : cj_node_dim(x, i <= axis ? i : i - 1);
    cj_node *y = cj_broadcast_to(cj_expand_dims(x, axis + 1), rank, dims);
    dims[axis] = cj_dim_mul(cj_node_graph(x), dims[axis], times);
    for (int i = axis + 1; i + 1 < rank; i++) dims[i] = dims[i + 1];
    return cj_reshape(y, rank - 1, dims);
}

static cj_node *up_build(cj_layer_build *b, int spatial)
{
    const cj_up_sampling2d_opts *o = b->options;
    cj_node *x = image(b, spatial);
    if (x && strcmp(o->interpolation, "nearest") != 0) { /* Keys's cubic, as Keras has it */
        const bool cubic = !strcmp(o->interpolation, "bicubic");
        cj_resize_opts r = {.struct_size = sizeof r,
                            .mode = cubic ? "cubic" : "linear",
                            .cubic_a = cubic ? -0.5 : 0,
                            .exclude_outside = cubic};
        for (int i = 0; i < spatial; i++)
            r.sizes[i] = cj_dim_mul(b->graph, cj_node_dim(x, i + 1), size_at(o->size, i));
        return (cj_resize)(x, &r);
    }
    for (int i = 0; x && i < spatial; i++) x = repeat_along(x, i + 1, size_at(o->size, i));
    return x;
}

#define UP_DOC "an image some times larger"
ROW(up_sampling1d, up_build(b, 1), up_options, "size=3 : 4, 2", UP_DOC)
ROW(up_sampling2d, up_build(b, 2), up_options, "size=[2, 3], interpolation=bilinear : 3, 2, 2",
    UP_DOC)
ROW(up_sampling3d, up_build(b, 3), up_options, "size=[1, 2], interpolation=bicubic : 2, 2, 3, 1",
    UP_DOC)

/* ---- Padding and cropping -------------------------------------------------------------------- */

static const cj_option edge_options[] = {
    CJ_OPTION_INT(cj_zero_padding2d_opts, padding, 0, 0, FAR, "elements at each end of each axis"),
    CJ_OPTION_INT(cj_zero_padding2d_opts, left, 0, 0, FAR, "more in front of the last axis"),
    CJ_OPTION_INT(cj_zero_padding2d_opts, right, 0, 0, FAR, "more behind it"),
    CJ_OPTION_INT(cj_zero_padding2d_opts, top, 0, 0, FAR, "more in front of the axis before"),
    CJ_OPTION_INT(cj_zero_padding2d_opts, bottom, 0, 0, FAR, "more behind it"),
    CJ_OPTION_INT(cj_zero_padding2d_opts, front, 0, 0, FAR, "more in front of the third last axis"),
    CJ_OPTION_INT(cj_zero_padding2d_opts, back, 0, 0, FAR, "more behind it"),
    NAME(cj_zero_padding2d_opts)};

static cj_node *edge_build(cj_layer_build *b, int spatial, int sign)
{
    const cj_zero_padding2d_opts *o = b->options;
    const int64_t more[3][2] = {{o->front, o->back}, {o->top, o->bottom}, {o->left, o->right}};
    int64_t before[5] = {0}, after[5] = {0};
    cj_node *x = image(b, spatial);
    for (int i = 0; i < 3; i++) {
        int axis = i - (3 - spatial);
        if (axis < 0 && (more[i][0] || more[i][1]))
            return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                                  "%s is for images of %d spatial axes", i ? "top, bottom"
                                                                           : "front, back",
                                  i ? 2 : 3),
                   NULL;
        if (axis < 0) continue;
        before[axis + 1] = sign * (o->padding + more[i][0]);
        after[axis + 1] = sign * (o->padding + more[i][1]);
    }
    return cj_pad(x, before, after, 0);
}

#define PAD_DOC "zeros around an image"
#define CROP_DOC "an image without its borders"
ROW(zero_padding1d, edge_build(b, 1, 1), edge_options, "left=2 : 3, 2", PAD_DOC)
ROW(zero_padding2d, edge_build(b, 2, 1), edge_options, "padding=1, top=1 : 3, 2, 2", PAD_DOC)
ROW(zero_padding3d, edge_build(b, 3, 1), edge_options, "padding=1 : 2, 2, 2, 1", PAD_DOC)
ROW(cropping1d, edge_build(b, 1, -1), edge_options, "left=1 : 4, 2", CROP_DOC)
ROW(cropping2d, edge_build(b, 2, -1), edge_options, "padding=1, right=1 : 4, 5, 2", CROP_DOC)
ROW(cropping3d, edge_build(b, 3, -1), edge_options, "padding=1 : 3, 4, 3, 1", CROP_DOC)
