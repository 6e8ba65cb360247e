/* layers_conv.c: the layers made of convolutions, each a row for 1, 2 or 3 spatial axes.
 *
 * Weights are [out, in / groups, kernel...], transposed ones [in, out, kernel...]. The fans of
 * initializers are Keras's, of its layout [kernel..., a, b]: fan_in = places a, fan_out = places b.
 */
#include "nn/layers_conv.h"

#include <cajal/layers.h>

#include <string.h>

#define FAR 2147483647
#define SIZES(type, field, initial, min, help) \
    CJ_OPTION_SIZES(type, field, initial, min, FAR, help)
#define COMMON_OPTIONS(type) \
    CJ_OPTION_BOOL(type, no_bias, false, "leave out the bias"), \
        CJ_OPTION_STRING(type, bias_initializer, "zeros", "first values of the bias"), \
        CJ_OPTION_STRING(type, bias_regularizer, NULL, "added to the loss for the bias"), \
        CJ__CONSTRAINT_OPTION(type, bias_constraint), \
        CJ_OPTION_STRING(type, name, NULL, "of the layer"), CJ_OPTION_END
#define KERNEL_OPTIONS(type) \
    CJ_OPTION_STRING(type, kernel_initializer, "glorot_uniform", "first values of the kernel"), \
        CJ_OPTION_STRING(type, kernel_regularizer, NULL, \
                         "added to the loss for the kernel: l2(0.01)"), \
        CJ_OPTION_STRING(type, kernel_normalization, NULL, \
                         "of the kernel: spectral or weight"), \
        CJ__CONSTRAINT_OPTION(type, kernel_constraint)
#define WINDOW_OPTIONS(type, words) \
    SIZES(type, strides, 1, 1, "steps of the kernel"), \
        CJ_OPTION_CHOICE(type, padding, "valid", words, "zeros around the image"), \
        CJ_OPTION_STRING(type, activation, NULL, "function of the result"), \
        SIZES(type, dilation, 1, 1, "distance of the kernel's places")
#define PADS_OPTION(type) \
    SIZES(type, pads, 0, 0, "zeros at each end of each axis, instead of padding")

static const char *const padding_words[] = {"valid", "same", NULL};
static const char *const causal_words[] = {"valid", "same", "causal", NULL};

/* ---- What they share ------------------------------------------------------------------------- */

/* The input as floats, checked to be [batch, `spatial` axes, channels] with a known number of
 * channels. */
static cj_node *image(cj_layer_build *b, int spatial, int64_t *channels)
{
    static const char *const expected[] = {"[batch, time, channels]",
                                           "[batch, height, width, channels]",
                                           "[batch, depth, height, width, channels]"};
    cj_node *x = cj__layer_float(b, b->x[0]);
    if (!x) return NULL;
    *channels = cj_node_rank(x) ? cj_node_dim(x, -1) : -1;
    if (cj_node_rank(x) == spatial + 2 && *channels >= 0) return x;
    cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                   "its input is of rank %d and has %s as last size; %s is expected",
                   cj_node_rank(x), cj_node_rank(x) ? cj_dim_text(b->graph, *channels) : "nothing",
                   expected[spatial - 1]);
    return NULL;
}

cj_node *cj__conv_weights(cj_layer_build *b, const char *name, int spatial,
                          const int64_t sizes[CJ_SIZES], int64_t first, int64_t second,
                          cj__rules with, int64_t fan_in, int64_t fan_out)
{
    int64_t dims[2 + CJ_SIZES] = {first, second}, places = 1;
    for (int i = 0; i < spatial; i++) {
        dims[2 + i] = sizes[i] ? sizes[i] : i ? dims[1 + i] : 1;
        if (CJ__MUL_OVERFLOWS(places, dims[2 + i], &places)) places = INT64_MAX;
    }
    for (int i = spatial; i < CJ_SIZES; i++)
        if (sizes[i])
            return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                                  "kernel has more than %d number%s", spatial,
                                  spatial == 1 ? "" : "s"),
                   NULL;
    if (CJ__MUL_OVERFLOWS(fan_in, places, &fan_in)) fan_in = INT64_MAX;
    if (CJ__MUL_OVERFLOWS(fan_out, places, &fan_out)) fan_out = INT64_MAX;
    cj_node *w = cj_layer_parameter(b, name, 2 + spatial, dims, with.initializer, fan_in, fan_out,
                                    with.regularizer);
    return cj_layer_constraint(b, w, with.constraint);
}

static cj_node *bias_of(cj_layer_build *b, bool none, int64_t size, cj__rules with)
{
    if (none) return NULL;
    cj_node *bias = cj_layer_parameter(b, "bias", 1, &size, with.initializer, 0, 0,
                                       with.regularizer);
    return cj_layer_constraint(b, bias, with.constraint);
}

/* The number for an axis; one left out is the one before it, none at all is 1. */
static int64_t size_at(const int64_t v[CJ_SIZES], int i)
{
    while (i && !v[i]) i--;
    return v[i] ? v[i] : 1;
}

/* What a convolution's padding and pads say to the operator; false: they exclude each other. */
static bool set_padding(cj_layer_build *b, cj_conv_opts *c, const char *padding,
                        const int64_t pads[CJ_SIZES])
{
    c->padding = pads[0] ? NULL : padding;
    if (!pads[0]) return true;
    for (int i = 0; i < CJ_SIZES; i++) c->pads_before[i] = c->pads_after[i] = size_at(pads, i);
    if (!strcmp(padding, "valid")) return true;
    cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                   "pads are for padding=valid, and padding is %s", padding);
    return false;
}

static void copy_sizes(int64_t to[CJ_SIZES], const int64_t from[CJ_SIZES])
{
    for (int i = 0; i < CJ_SIZES; i++) to[i] = from[i];
}

static bool divides(cj_layer_build *b, int64_t groups, int64_t n, const char *what)
{
    if (n % groups == 0) return true;
    cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT, "%lld %s do not divide into %lld groups",
                   (long long)n, what, (long long)groups);
    return false;
}

/* One row for each number of spatial axes. */
#define ROW(layer, kind, axes, table, sample, doc) \
    static cj_node *layer##_build(cj_layer_build *b) \
    { \
        return kind##_build(b, axes); \
    } \
    CJ__LAYER_ROW(layer, table, doc, layer##_build, sample, CJ_MASK_STOPS)

/* ---- conv1d, conv2d, conv3d ------------------------------------------------------------------ */

static const cj_option conv1d_options[] = {
    CJ_OPTION_INT(cj_conv2d_opts, filters, 0, 1, FAR, "channels of the result"),
    SIZES(cj_conv2d_opts, kernel, 0, 1, "sizes of the window"),
    WINDOW_OPTIONS(cj_conv2d_opts, causal_words),
    CJ_OPTION_INT(cj_conv2d_opts, groups, 1, 1, FAR, "independent parts of the channels"),
    KERNEL_OPTIONS(cj_conv2d_opts),
    PADS_OPTION(cj_conv2d_opts),
    COMMON_OPTIONS(cj_conv2d_opts)};
static const cj_option conv_options[] = {
    CJ_OPTION_INT(cj_conv2d_opts, filters, 0, 1, FAR, "channels of the result"),
    SIZES(cj_conv2d_opts, kernel, 0, 1, "sizes of the window"),
    WINDOW_OPTIONS(cj_conv2d_opts, padding_words),
    CJ_OPTION_INT(cj_conv2d_opts, groups, 1, 1, FAR, "independent parts of the channels"),
    KERNEL_OPTIONS(cj_conv2d_opts),
    PADS_OPTION(cj_conv2d_opts),
    COMMON_OPTIONS(cj_conv2d_opts)};

static cj_node *conv_build(cj_layer_build *b, int spatial)
{
    const cj_conv2d_opts *o = b->options;
    int64_t channels;
    cj_node *x = image(b, spatial, &channels);
    if (!x || !divides(b, o->groups, channels, "channels") ||
        !divides(b, o->groups, o->filters, "filters"))
        return NULL;
    cj_node *w = cj__conv_weights(b, "kernel", spatial, o->kernel, o->filters, channels / o->groups,
                                  CJ__RULES(o, kernel), channels / o->groups,
                                  o->filters);
    w = cj__layer_normalized(b, w, 0, o->kernel_normalization);
    cj_conv_opts c = {.groups = o->groups};
    if (!set_padding(b, &c, o->padding, o->pads)) return NULL;
    c.bias = bias_of(b, o->no_bias, o->filters, CJ__RULES(o, bias));
    copy_sizes(c.strides, o->strides);
    copy_sizes(c.dilations, o->dilation);
    return b->graph->failed ? NULL : cj__layer_activate(b, (cj_conv)(x, w, &c), o->activation);
}

#define CONV_DOC "y = activation(conv(x, kernel) + bias), channels last"
ROW(conv1d, conv, 1, conv1d_options,
    "filters=3, kernel=2, padding=causal, dilation=2 : 5, 2", CONV_DOC)
ROW(conv2d, conv, 2, conv_options,
    "filters=4, kernel=[3, 2], padding=same, strides=2, groups=2, activation=tanh, "
    "kernel_regularizer=l2(0.001) : 5, 4, 2",
    CONV_DOC)
ROW(conv3d, conv, 3, conv_options, "filters=2, kernel=2, no_bias=true, pads=1 : 3, 3, 2, 2",
    CONV_DOC)

/* ---- conv1d_transpose, conv2d_transpose, conv3d_transpose ------------------------------------ */

static const cj_option transpose_options[] = {
    CJ_OPTION_INT(cj_conv2d_transpose_opts, filters, 0, 1, FAR, "channels of the result"),
    SIZES(cj_conv2d_transpose_opts, kernel, 0, 1, "sizes of the window"),
    WINDOW_OPTIONS(cj_conv2d_transpose_opts, padding_words),
    SIZES(cj_conv2d_transpose_opts, output_padding, 0, 0, "elements added behind the result"),
    KERNEL_OPTIONS(cj_conv2d_transpose_opts),
    COMMON_OPTIONS(cj_conv2d_transpose_opts)};

static cj_node *transpose_build(cj_layer_build *b, int spatial)
{
    const cj_conv2d_transpose_opts *o = b->options;
    bool same = !strcmp(o->padding, "same"), asked = o->output_padding[0] != 0;
    int64_t channels;
    cj_node *x = image(b, spatial, &channels);
    if (!x) return NULL;
    if (same && asked)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                              "output_padding is for padding=valid"),
               NULL;
    cj_node *w = cj__conv_weights(b, "kernel", spatial, o->kernel, channels, o->filters,
                                  CJ__RULES(o, kernel), o->filters, channels);
    w = cj__layer_normalized(b, w, 1, o->kernel_normalization);
    cj_conv_opts c = {.padding = same ? o->padding : NULL};
    c.bias = bias_of(b, o->no_bias, o->filters, CJ__RULES(o, bias));
    copy_sizes(c.strides, o->strides);
    copy_sizes(c.dilations, o->dilation);
    for (int i = 0; i < spatial && !same; i++) { /* a stride wider than the window leaves a gap */
        int64_t stride = size_at(o->strides, i);
        int64_t reach = (size_at(o->kernel, i) - 1) * size_at(o->dilation, i) + 1;
        c.output_padding[i] = asked            ? size_at(o->output_padding, i)
                              : stride > reach ? stride - reach
                                               : 0;
    }
    return b->graph->failed ? NULL
                            : cj__layer_activate(b, (cj_conv_transpose)(x, w, &c), o->activation);
}

#define TRANSPOSE_DOC "the transpose of a convolution, which makes images larger"
ROW(conv1d_transpose, transpose, 1, transpose_options,
    "filters=3, kernel=3, strides=2, padding=same : 4, 2", TRANSPOSE_DOC)
ROW(conv2d_transpose, transpose, 2, transpose_options,
    "filters=3, kernel=[2, 3], strides=3, activation=tanh : 3, 2, 2", TRANSPOSE_DOC)
ROW(conv3d_transpose, transpose, 3, transpose_options,
    "filters=2, kernel=2, strides=2, output_padding=1 : 2, 2, 2, 1", TRANSPOSE_DOC)

/* ---- depthwise_conv1d, depthwise_conv2d ------------------------------------------------------ */

static const cj_option depthwise_options[] = {
    SIZES(cj_depthwise_conv2d_opts, kernel, 0, 1, "sizes of the window"),
    WINDOW_OPTIONS(cj_depthwise_conv2d_opts, padding_words),
    CJ_OPTION_INT(cj_depthwise_conv2d_opts, depth_multiplier, 1, 1, FAR,
                  "results for each channel"),
    KERNEL_OPTIONS(cj_depthwise_conv2d_opts),
    PADS_OPTION(cj_depthwise_conv2d_opts),
    COMMON_OPTIONS(cj_depthwise_conv2d_opts)};

/* Fails when channels times multiplier do not fit 31 bits. */
static bool widen(cj_layer_build *b, int64_t channels, int64_t multiplier, int64_t *out)
{
    if (!CJ__MUL_OVERFLOWS(channels, multiplier, out) && *out <= FAR) return true;
    cj__graph_fail(b->graph, b->name, CJ_ERR_LIMIT, "%lld channels times depth_multiplier=%lld",
                   (long long)channels, (long long)multiplier);
    return false;
}

static cj_node *depthwise_build(cj_layer_build *b, int spatial)
{
    const cj_depthwise_conv2d_opts *o = b->options;
    int64_t channels, out;
    cj_node *x = image(b, spatial, &channels);
    if (!x || !widen(b, channels, o->depth_multiplier, &out)) return NULL;
    cj_node *w = cj__conv_weights(b, "kernel", spatial, o->kernel, out, 1, CJ__RULES(o, kernel),
                                  channels, o->depth_multiplier);
    w = cj__layer_normalized(b, w, 0, o->kernel_normalization);
    cj_conv_opts c = {.groups = channels};
    if (!set_padding(b, &c, o->padding, o->pads)) return NULL;
    c.bias = bias_of(b, o->no_bias, out, CJ__RULES(o, bias));
    copy_sizes(c.strides, o->strides);
    copy_sizes(c.dilations, o->dilation);
    return b->graph->failed ? NULL : cj__layer_activate(b, (cj_conv)(x, w, &c), o->activation);
}

#define DEPTHWISE_DOC "each channel convolved with filters of its own"
ROW(depthwise_conv1d, depthwise, 1, depthwise_options, "kernel=3, pads=1 : 5, 3", DEPTHWISE_DOC)
ROW(depthwise_conv2d, depthwise, 2, depthwise_options,
    "kernel=3, padding=same, depth_multiplier=2 : 4, 4, 2", DEPTHWISE_DOC)

/* ---- separable_conv1d, separable_conv2d ------------------------------------------------------ */

static const cj_option separable_options[] = {
    CJ_OPTION_INT(cj_separable_conv2d_opts, filters, 0, 1, FAR, "channels of the result"),
    SIZES(cj_separable_conv2d_opts, kernel, 0, 1, "sizes of the window"),
    WINDOW_OPTIONS(cj_separable_conv2d_opts, padding_words),
    CJ_OPTION_INT(cj_separable_conv2d_opts, depth_multiplier, 1, 1, FAR,
                  "results for each channel before they are mixed"),
    CJ_OPTION_STRING(cj_separable_conv2d_opts, depthwise_initializer, "glorot_uniform",
                     "first values of the depthwise kernel"),
    CJ_OPTION_STRING(cj_separable_conv2d_opts, pointwise_initializer, "glorot_uniform",
                     "first values of the mixing kernel"),
    CJ_OPTION_STRING(cj_separable_conv2d_opts, depthwise_regularizer, NULL, "added to the loss"),
    CJ_OPTION_STRING(cj_separable_conv2d_opts, pointwise_regularizer, NULL, "added to the loss"),
    CJ__CONSTRAINT_OPTION(cj_separable_conv2d_opts, depthwise_constraint),
    CJ__CONSTRAINT_OPTION(cj_separable_conv2d_opts, pointwise_constraint),
    COMMON_OPTIONS(cj_separable_conv2d_opts)};

static cj_node *separable_build(cj_layer_build *b, int spatial)
{
    const cj_separable_conv2d_opts *o = b->options;
    int64_t channels, wide;
    cj_node *x = image(b, spatial, &channels);
    if (!x || !widen(b, channels, o->depth_multiplier, &wide)) return NULL;
    cj_node *deep = cj__conv_weights(b, "depthwise_kernel", spatial, o->kernel, wide, 1,
                                     CJ__RULES(o, depthwise), channels, o->depth_multiplier);
    cj_node *point = cj__conv_weights(b, "pointwise_kernel", spatial, (int64_t[CJ_SIZES]){0},
                                      o->filters, wide, CJ__RULES(o, pointwise), wide, o->filters);
    cj_conv_opts c = {.padding = o->padding, .groups = channels}, mix = {0};
    mix.bias = bias_of(b, o->no_bias, o->filters, CJ__RULES(o, bias));
    copy_sizes(c.strides, o->strides);
    copy_sizes(c.dilations, o->dilation);
    if (b->graph->failed) return NULL;
    return cj__layer_activate(b, (cj_conv)((cj_conv)(x, deep, &c), point, &mix), o->activation);
}

#define SEPARABLE_DOC "a depthwise convolution, then one of kernel 1 that mixes the channels"
ROW(separable_conv1d, separable, 1, separable_options, "filters=3, kernel=3 : 6, 2",
    SEPARABLE_DOC)
ROW(separable_conv2d, separable, 2, separable_options,
    "filters=3, kernel=3, strides=2, padding=same, depth_multiplier=2 : 5, 5, 2", SEPARABLE_DOC)
