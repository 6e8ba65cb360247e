/* style.c: a picture in the style of another, by one pass through a network that was trained for
 * that style (Johnson et al. 2016), with instance norm (Ulyanov et al. 2016).
 *
 *     conv 32 9x9 - conv 64 3x3/2 - conv 128 3x3/2 - 5 times { x - conv - relu - conv - + x } -
 *     twice as large - conv 64 3x3 - twice as large - conv 32 3x3 - conv 9x9
 *
 * Behind each convolution but the last is an instance norm. Pictures are mirrored at their edges,
 * where zeros would show as a frame; they are made larger by repeating pixels, in front of a
 * convolution, where a transposed one would leave a chequered pattern. Names, and the 1,679,235
 * parameters, are those of PyTorch's examples/fast_neural_style. A size that 4 does not divide
 * grows to the next that it does. */
#include "nn/zoo/zoo.h"

#include <cajal/image.h>

/* `n` elements before and behind each axis, mirrored at the outermost one: 2 1 0 1 2 ... */
static cj_node *mirrored(cj_node *x, int64_t n)
{
    const int64_t edges[] = {0, n, n, 0};
    for (int axis = 1; x && n && axis < 3; axis++) {
        const int64_t size = cj_node_dim(x, axis);
        if (size <= n)
            return cj_graph_fail(cj_node_graph(x), CJ_ERR_SHAPE,
                                 "%lld elements are mirrored at the edge of a picture that has "
                                 "%lld; more are expected",
                                 (long long)n, (long long)size),
                   NULL;
    }
    return cj_extend(x, edges, edges, "reflect");
}

static cj_node *conv(const cj__zoo *outer, const char *name, cj_node *x, int64_t filters,
                     int64_t kernel, int64_t stride)
{
    const cj__zoo at = cj__zoo_in(outer, "%s", name);
    x = cj__zoo_here(&at, NULL, x, mirrored(x, kernel / 2));
    return CJ__ZOO_CONV(&at, "conv2d", x, .filters = filters,
                        .kernel = {kernel}, .strides = {stride});
}

static cj_node *norm(const cj__zoo *at, const char *name, cj_node *x, bool relu)
{
    x = cj__zoo_instance_norm(at, name, x, 1e-5);
    return relu ? cj__zoo_here(at, "relu", x, cj_relu(x)) : x;
}

static cj_node *residual(const cj__zoo *outer, int number, cj_node *x, int64_t filters)
{
    const cj__zoo at = cj__zoo_in(outer, "res%d", number);
    cj_node *y = norm(&at, "in1", conv(&at, "conv1", x, filters, 3, 1), true);
    y = norm(&at, "in2", conv(&at, "conv2", y, filters, 3, 1), false);
    return cj__zoo_here(&at, NULL, x, cj_add(y, x));
}

static cj_node *doubled(const cj__zoo *at, const char *name, cj_node *x)
{
    if (!x) return NULL;
    return cj__zoo_here(at, name, x, (cj_resize)(x, &(cj_resize_opts){
                              .struct_size = sizeof(cj_resize_opts),
                              .sizes = {2 * cj_node_dim(x, 1), 2 * cj_node_dim(x, 2)}}));
}

static cj_node *fast_style(cj_node *x, const cj_zoo_opts *o)
{
    const cj__zoo at = cj__zoo_at(o->name);
    const int64_t n = cj__zoo_widened(32, o), m = cj__zoo_widened(64, o),
                  w = cj__zoo_widened(128, o), channels = cj__zoo_channels(x);
    for (int i = 1; x && i < 3; i++)
        if (cj_node_rank(x) != 4 || cj_node_dim(x, i) < 1)
            return cj_graph_fail(cj_node_graph(x), CJ_ERR_SHAPE,
                                 "[batch, height, width, channels] of known sizes is expected"),
                   NULL;
    x = norm(&at, "in1", conv(&at, "conv1", x, n, 9, 1), true);
    x = norm(&at, "in2", conv(&at, "conv2", x, m, 3, 2), true);
    x = norm(&at, "in3", conv(&at, "conv3", x, w, 3, 2), true);
    for (int i = 1; i <= 5; i++) x = residual(&at, i, x, w);
    x = norm(&at, "in4", conv(&at, "deconv1", doubled(&at, "deconv1", x), m, 3, 1), true);
    x = norm(&at, "in5", conv(&at, "deconv2", doubled(&at, "deconv2", x), n, 3, 1), true);
    x = conv(&at, "deconv3", x, channels, 9, 1);
    return cj__zoo_here(&at, "deconv3", x, cj_activation(x, o->activation));
}

static const cj_option options[] = {
    CJ__ZOO_WIDTH, CJ_OPTION_STRING(cj_zoo_opts, activation, "linear", "of the result"),
    CJ__ZOO_END};

CJ__ZOO_ROW(fast_style, "a picture in the style that it was trained for (Johnson et al. 2016)",
            options, fast_style(x, o), .rank = 3, .shape = {256, 256, 3},
            .sample = "width=0.125 : 16, 20, 3")
