/* mobilenet.c: MobileNetV2 (Sandler et al. 2018): each block widens the channels, looks at each by
 * itself, and narrows them again without an activation.
 *
 *     x - conv 1x1 (6 times) - bn - relu6 - depthwise 3x3 - bn - relu6 - conv 1x1 - bn - + x
 *
 * x is added where neither size nor channels change. With `width` all channels are so many times
 * as wide, in steps of 8. */
#include "nn/zoo/zoo.h"

/* The multiple of 8 that is nearest, but not more than a tenth below. */
static int64_t eights(double width)
{
    int64_t n = (int64_t)(width + 4) / 8 * 8;
    if (n < 8) n = 8;
    return (double)n < 0.9 * width ? n + 8 : n;
}

static cj_node *conv_norm(const cj__zoo *at, const char *conv, const char *norm, cj_node *x,
                          cj_conv2d_opts o)
{
    o.no_bias = true;
    return cj__zoo_norm(at, norm, cj__zoo_conv(at, conv, x, o), 1e-5);
}

static cj_node *inverted(const cj__zoo *outer, cj_node *x, int64_t expand, int64_t filters,
                         int64_t stride)
{
    const int64_t channels = cj__zoo_channels(x);
    const bool adds = stride == 1 && channels == filters;
    const cj__zoo at = cj__zoo_in(outer, "conv");
    cj_node *y = x;
    int n = 0;
    if (expand > 1) {
        const cj__zoo wide = cj__zoo_in(&at, "%d", n++);
        y = conv_norm(&wide, "0", "1", y,
                      (cj_conv2d_opts){.filters = expand * channels, .kernel = {1}});
        y = cj_activation(y, "relu6");
    }
    const cj__zoo deep = cj__zoo_in(&at, "%d", n++);
    y = conv_norm(&deep, "0", "1", y,
                  (cj_conv2d_opts){.filters = expand * channels,
                                   .groups = expand * channels,
                                   .kernel = {3},
                                   .strides = {stride},
                                   .pads = {1}});
    y = cj_activation(y, "relu6");
    y = conv_norm(&at, n == 2 ? "2" : "1", n == 2 ? "3" : "2", y,
                  (cj_conv2d_opts){.filters = filters, .kernel = {1}});
    return cj__zoo_here(outer, NULL, x, adds ? cj_add(x, y) : y);
}

static cj_node *mobilenet_v2(cj_node *x, const cj_zoo_opts *o)
{
    static const int16_t blocks[7][4] = {/* times as wide, channels, blocks, first stride */
                                         {1, 16, 1, 1},  {6, 24, 2, 2},  {6, 32, 3, 2},
                                         {6, 64, 4, 2},  {6, 96, 3, 1},  {6, 160, 3, 2},
                                         {6, 320, 1, 1}};
    const cj__zoo at = cj__zoo_at(o->name), features = cj__zoo_in(&at, "features"),
                  first = cj__zoo_in(&features, "0"), last = cj__zoo_in(&features, "18"),
                  classifier = cj__zoo_in(&at, "classifier");
    x = conv_norm(&first, "0", "1", x,
                  (cj_conv2d_opts){.filters = eights(32 * o->width),
                                   .kernel = {3},
                                   .strides = {2},
                                   .pads = {1}});
    x = cj__zoo_here(&first, NULL, x, cj_activation(x, "relu6"));
    for (int i = 0, number = 1; i < 7; i++)
        for (int k = 0; k < blocks[i][2]; k++) {
            const cj__zoo block = cj__zoo_in(&features, "%d", number++);
            x = inverted(&block, x, blocks[i][0], eights(blocks[i][1] * o->width),
                         k ? 1 : blocks[i][3]);
        }
    const int64_t filters = eights(1280 * (o->width > 1 ? o->width : 1));
    x = conv_norm(&last, "0", "1", x, (cj_conv2d_opts){.filters = filters, .kernel = {1}});
    x = cj__zoo_here(&last, NULL, x, cj_activation(x, "relu6"));
    x = cj__zoo_means(&at, x);
    return cj__zoo_top(&classifier, "1", o->no_top ? x : cj__zoo_dropout(x, o->dropout), o);
}

static const cj_option options[] = {
    CJ__ZOO_CLASSES(1000),
    CJ__ZOO_WIDTH,
    CJ__ZOO_DROPOUT(0.2),
    CJ__ZOO_ACTIVATION,
    CJ__ZOO_NO_TOP,
    CJ__ZOO_END};

CJ__ZOO_ROW(mobilenet_v2, "inverted residuals with depthwise convolutions (Sandler et al. 2018)",
            options, mobilenet_v2(x, o), .rank = 3, .shape = {224, 224, 3},
            .sample = "classes=3, width=0.25, dropout=0 : 96, 96, 3")
