/* densenet.c: DenseNet-BC (Huang et al. 2016): every layer sees the results of all layers before it
 * in its block, and adds 32 channels to them.
 *
 *     layer       x - bn - relu - conv 1x1 (128) - bn - relu - conv 3x3 (32) - beside x
 *     transition  x - bn - relu - conv 1x1 (half of the channels) - mean 2 */
#include "nn/zoo/zoo.h"

enum { GROWTH = 32, NARROW = 4 * GROWTH };
#define EPSILON 1e-5

static cj_node *layer(const cj__zoo *block, int number, cj_node *x)
{
    const cj__zoo at = cj__zoo_in(block, "denselayer%d", number);
    cj_node *y = cj_relu(cj__zoo_norm(&at, "norm1", x, EPSILON));
    y = CJ__ZOO_CONV(&at, "conv1", y, .filters = NARROW, .kernel = {1}, .no_bias = true);
    y = cj_relu(cj__zoo_norm(&at, "norm2", y, EPSILON));
    y = CJ__ZOO_CONV(&at, "conv2", y, .filters = GROWTH, .kernel = {3}, .pads = {1},
                     .no_bias = true);
    return cj__zoo_here(&at, NULL, x, cj_concat((cj_node *[]){x, y}, 2, -1));
}

static cj_node *transition(const cj__zoo *features, int number, cj_node *x)
{
    const cj__zoo at = cj__zoo_in(features, "transition%d", number);
    const int64_t filters = cj__zoo_channels(x) / 2;
    const cj_node *from = x;
    x = cj_relu(cj__zoo_norm(&at, "norm", x, EPSILON));
    x = CJ__ZOO_CONV(&at, "conv", x, .filters = filters, .kernel = {1}, .no_bias = true);
    return cj__zoo_here(&at, NULL, from, CJ__ZOO_MEAN_POOL(&at, "pool", x, .size = 2));
}

static cj_node *densenet(cj_node *x, const cj_zoo_opts *o, const int counts[4])
{
    const cj__zoo at = cj__zoo_at(o->name), features = cj__zoo_in(&at, "features");
    x = CJ__ZOO_CONV(&features, "conv0", x, .filters = 2 * GROWTH, .kernel = {7}, .strides = {2},
                     .pads = {3}, .no_bias = true);
    x = cj__zoo_norm(&features, "norm0", x, EPSILON);
    x = cj__zoo_here(&features, "relu0", x, cj_relu(x));
    x = CJ__ZOO_MAX_POOL(&features, "pool0", x, .size = 3, .stride = 2, .pads = 1);
    for (int i = 0; i < 4; i++) {
        const cj__zoo block = cj__zoo_in(&features, "denseblock%d", i + 1);
        for (int k = 0; k < counts[i]; k++) x = layer(&block, k + 1, x);
        if (i < 3) x = transition(&features, i + 1, x);
    }
    x = cj__zoo_norm(&features, "norm5", x, EPSILON);
    x = cj__zoo_means(&at, cj__zoo_here(&at, "relu", x, cj_relu(x)));
    return cj__zoo_top(&at, "classifier", x, o);
}

static const cj_option options[] = {CJ__ZOO_CLASSES(1000), CJ__ZOO_ACTIVATION, CJ__ZOO_NO_TOP,
                                    CJ__ZOO_END};

#define DENSENET(id, ...) \
    CJ__ZOO_ROW(id, "dense blocks, 32 channels more a layer (Huang et al. 2016)", options, \
                densenet(x, o, (const int[]){__VA_ARGS__}), .rank = 3, .shape = {224, 224, 3}, \
                .sample = "classes=3 : 32, 32, 3")
DENSENET(densenet121, 6, 12, 24, 16)
DENSENET(densenet169, 6, 12, 32, 32)
