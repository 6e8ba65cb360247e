/* resnet.c: residual networks (He et al. 2015): blocks that add what they find to what they see.
 *
 *     basic       x - conv 3x3 - bn - relu - conv 3x3 - bn - + x - relu
 *     bottleneck  x - conv 1x1 - bn - relu - conv 3x3 - bn - relu - conv 1x1 (4 times) - bn - + x -
 * relu
 *
 * Where a block halves the picture or widens the channels, the way around it must do so too:
 * shortcut B has a convolution 1x1 with a norm; A takes every second pixel, and zeros for the new
 * channels, so it has no weights. Of the large networks it is B; the stride of a bottleneck is in
 * its 3x3 convolution, as torchvision has it. */
#include "nn/zoo/zoo.h"

#include <string.h>

#define EPSILON 1e-5

static cj_node *conv_norm(const cj__zoo *at, int number, cj_node *x, int64_t filters,
                          int64_t kernel, int64_t stride)
{
    char conv[16], norm[16];
    cj__format(conv, sizeof conv, "conv%d", number);
    cj__format(norm, sizeof norm, "bn%d", number);
    x = CJ__ZOO_CONV(at, conv, x, .filters = filters, .kernel = {kernel}, .strides = {stride},
                     .pads = {kernel / 2}, .no_bias = true);
    return cj__zoo_norm(at, norm, x, EPSILON);
}

/* Every stride-th pixel; the new channels are zeros, as many before as behind. */
static cj_node *shortcut_a(const cj__zoo *block, cj_node *x, int64_t filters, int64_t stride)
{
    if (!x) return NULL;
    cj_graph *g = cj_node_graph(x);
    const int64_t more = filters - cj__zoo_channels(x);
    if (stride > 1)
        x = CJ__ZOO_MAX_POOL(block, "shortcut", x, .size = 1, .stride = stride);
    if (more < 0)
        return cj_graph_fail(g, CJ_ERR_SHAPE, "shortcut A cannot take channels away"), NULL;
    return cj__zoo_here(
        block, "shortcut", x,
        (cj_pad)(x, (int64_t[]){0, 0, 0, more / 2}, (int64_t[]){0, 0, 0, more - more / 2}, 0));
}

static cj_node *shortcut_b(const cj__zoo *block, const char *name, cj_node *x, int64_t filters,
                           int64_t stride)
{
    const cj__zoo at = cj__zoo_in(block, "%s", name);
    x = CJ__ZOO_CONV(&at, "0", x, .filters = filters, .kernel = {1}, .strides = {stride},
                     .no_bias = true);
    return cj__zoo_norm(&at, "1", x, EPSILON);
}

typedef struct plan {
    int64_t widen;    /* 1: basic blocks; 4: bottlenecks, whose result is so many times wider */
    const char *name; /* of a shortcut with weights */
    bool a;
} plan;

static cj_node *residual(const cj__zoo *at, const plan *p, cj_node *x, int64_t filters,
                         int64_t stride)
{
    const int64_t wide = p->widen * filters;
    const bool changes = stride != 1 || cj__zoo_channels(x) != wide, narrow = p->widen > 1;
    const cj_node *from = x;
    cj_node *y = conv_norm(at, 1, x, filters, narrow ? 1 : 3, narrow ? 1 : stride);
    y = conv_norm(at, 2, cj_relu(y), filters, 3, narrow ? stride : 1);
    if (narrow) y = conv_norm(at, 3, cj_relu(y), wide, 1, 1);
    if (changes)
        x = p->a ? shortcut_a(at, x, wide, stride) : shortcut_b(at, p->name, x, wide, stride);
    return cj__zoo_here(at, NULL, from, cj_relu(cj_add(y, x)));
}

static cj_node *stage(const cj__zoo *at, const plan *p, cj_node *x, int number, int blocks,
                      int64_t filters)
{
    for (int i = 0; i < blocks; i++) {
        const cj__zoo block = cj__zoo_in(at, "layer%d.%d", number, i);
        x = residual(&block, p, x, filters, i || number == 1 ? 1 : 2);
    }
    return x;
}

/* ---- Of small pictures: 6 n + 2 layers ------------------------------------------------------- */

static cj_node *cifar(cj_node *x, const cj_zoo_opts *o, int n)
{
    const cj__zoo at = cj__zoo_at(o->name);
    const plan p = {.widen = 1, .name = "shortcut", .a = !strcmp(o->shortcut, "A")};
    x = conv_norm(&at, 1, x, 16, 3, 1);
    x = cj__zoo_here(&at, "relu", x, cj_relu(x));
    for (int i = 0; i < 3; i++) x = stage(&at, &p, x, i + 1, n, (int64_t)16 << i);
    return cj__zoo_top(&at, "linear", cj__zoo_means(&at, x), o);
}

static const char *const shortcuts[] = {"A", "B", NULL};
static const cj_option cifar_options[] = {
    CJ__ZOO_CLASSES(10),
    CJ_OPTION_CHOICE(cj_zoo_opts, shortcut, "A", shortcuts,
                     "around a block that changes sizes: every second pixel, or a convolution"),
    CJ__ZOO_ACTIVATION, CJ__ZOO_NO_TOP, CJ__ZOO_END};

#define CIFAR(id, n, example) \
    CJ__ZOO_ROW(id, "residual network of small pictures, widths 16, 32, 64 (He et al. 2015)", \
                cifar_options, cifar(x, o, n), .rank = 3, .shape = {32, 32, 3}, .sample = example)
CIFAR(resnet20, 3, "classes=3 : 8, 8, 3")
CIFAR(resnet32, 5, "classes=3, shortcut=B : 8, 8, 3")
CIFAR(resnet56, 9, "classes=3 : 8, 8, 3")

/* ---- Of ImageNet ----------------------------------------------------------------------------- */

static cj_node *imagenet(cj_node *x, const cj_zoo_opts *o, int64_t widen, const int blocks[4])
{
    const cj__zoo at = cj__zoo_at(o->name);
    const plan p = {.widen = widen, .name = "downsample"};
    x = conv_norm(&at, 1, x, 64, 7, 2);
    x = cj__zoo_here(&at, "relu", x, cj_relu(x));
    x = CJ__ZOO_MAX_POOL(&at, "maxpool", x, .size = 3, .stride = 2, .pads = 1);
    for (int i = 0; i < 4; i++) x = stage(&at, &p, x, i + 1, blocks[i], (int64_t)64 << i);
    return cj__zoo_top(&at, "fc", cj__zoo_means(&at, x), o);
}

static const cj_option imagenet_options[] = {CJ__ZOO_CLASSES(1000), CJ__ZOO_ACTIVATION,
                                             CJ__ZOO_NO_TOP, CJ__ZOO_END};

#define IMAGENET(id, kind, widen, ...) \
    CJ__ZOO_ROW(id, "residual network of " kind " (He et al. 2015)", imagenet_options, \
                imagenet(x, o, widen, (const int[]){__VA_ARGS__}), .rank = 3, \
                .shape = {224, 224, 3}, .sample = "classes=3 : 32, 32, 3")
IMAGENET(resnet18, "basic blocks", 1, 2, 2, 2, 2)
IMAGENET(resnet34, "basic blocks", 1, 3, 4, 6, 3)
IMAGENET(resnet50, "bottlenecks", 4, 3, 4, 6, 3)
IMAGENET(resnet101, "bottlenecks", 4, 3, 4, 23, 3)
IMAGENET(resnet152, "bottlenecks", 4, 3, 8, 36, 3)
