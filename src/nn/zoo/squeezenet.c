/* squeezenet.c: SqueezeNet (Iandola et al. 2016): few weights by squeezing channels before windows.
 *
 *     fire  x - conv 1x1 (few) - relu - { conv 1x1, conv 3x3 } - relu - side by side
 *
 * The last layer is a convolution too: a map for each class, of which the mean is taken. 1.1 pools
 * earlier than 1.0, with less than half of the work. */
#include "nn/zoo/zoo.h"

static cj_node *fire(const cj__zoo *features, int number, cj_node *x, int64_t squeeze,
                     int64_t expand)
{
    const cj__zoo at = cj__zoo_in(features, "%d", number);
    const cj_node *from = x;
    x = CJ__ZOO_CONV(&at, "squeeze", x, .filters = squeeze, .kernel = {1}, .activation = "relu");
    cj_node *sides[2] = {
        CJ__ZOO_CONV(&at, "expand1x1", x, .filters = expand, .kernel = {1}, .activation = "relu"),
        CJ__ZOO_CONV(&at, "expand3x3", x, .filters = expand, .kernel = {3}, .pads = {1},
                     .activation = "relu")};
    return cj__zoo_here(&at, NULL, from, cj_concat(sides, 2, -1));
}

static cj_node *squeezenet(cj_node *x, const cj_zoo_opts *o, bool early)
{
    static const int16_t squeeze[] = {16, 16, 32, 32, 48, 48, 64, 64};
    const int pools[2] = {early ? 2 : 3, early ? 4 : 7}; /* in front of these fires */
    const cj__zoo at = cj__zoo_at(o->name), features = cj__zoo_in(&at, "features"),
                  classifier = cj__zoo_in(&at, "classifier");
    const cj__zoo_window pool = {.size = 3, .stride = 2, .ceil_mode = true};
    x = CJ__ZOO_CONV(&features, "0", x, .filters = early ? 64 : 96, .kernel = {early ? 3 : 7},
                     .strides = {2}, .activation = "relu");
    x = cj__zoo_max_pool(&features, "2", x, pool);
    for (int i = 0, n = 3; i < 8; i++, n++) {
        const cj__zoo here = cj__zoo_in(&features, "%d", n);
        if (i == pools[0] || i == pools[1]) x = cj__zoo_max_pool(&here, NULL, x, pool), n++;
        x = fire(&features, n, x, squeeze[i], 4 * squeeze[i]);
    }
    if (o->no_top) return cj__zoo_means(&at, x);
    x = CJ__ZOO_CONV(&classifier, "1", cj__zoo_dropout(x, o->dropout), .filters = o->classes,
                     .kernel = {1}, .activation = "relu");
    x = cj__zoo_means(&classifier, x);
    return cj__zoo_here(&classifier, NULL, x, cj_activation(x, o->activation));
}

static const cj_option options[] = {CJ__ZOO_CLASSES(1000), CJ__ZOO_DROPOUT(0.5), CJ__ZOO_ACTIVATION,
                                    CJ__ZOO_NO_TOP, CJ__ZOO_END};

#define SQUEEZENET(id, early) \
    CJ__ZOO_ROW(id, "fire modules, 1.2 million weights (Iandola et al. 2016)", options, \
                squeezenet(x, o, early), .rank = 3, .shape = {224, 224, 3}, \
                .sample = "classes=3, dropout=0 : 40, 40, 3")
SQUEEZENET(squeezenet1_0, false)
SQUEEZENET(squeezenet1_1, true)
