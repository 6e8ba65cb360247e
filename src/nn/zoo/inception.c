/* inception.c: GoogLeNet (Szegedy et al. 2014) and Inception v3 (Szegedy et al. 2015): at each
 * place windows of several sizes look side by side, and their channels stand beside one another.
 *
 *     GoogLeNet     { 1x1 | 1x1 - 3x3 | 1x1 - 3x3 | max 3 - 1x1 }
 *     Inception v3  A { 1x1 | 1x1 - 5x5 | 1x1 - 3x3 - 3x3 | mean 3 - 1x1 }
 *                   B { 3x3/2 | 1x1 - 3x3 - 3x3/2 | max 3/2 }
 *                   C { 1x1 | 1x1 - 1x7 - 7x1 | 1x1 - 7x1 - 1x7 - 7x1 - 1x7 | mean 3 - 1x1 }
 *                   D { 1x1 - 3x3/2 | 1x1 - 1x7 - 7x1 - 3x3/2 | max 3/2 }
 *                   E { 1x1 | 1x1 - (1x3, 3x1) | 1x1 - 3x3 - (1x3, 3x1) | mean 3 - 1x1 }
 *
 * Every convolution has a batch norm and relu behind it. The third branch of GoogLeNet's blocks has
 * windows of 3x3 where the paper has 5x5, as torchvision's weights have it.
 *
 * With `aux` there are heads on the way that tell classes too; their losses count 0.3 and 0.4 in
 * training, so that the first layers have something to go by, and nothing else reads them. */
#include "nn/zoo/zoo.h"

static cj_node *unit(const cj__zoo *outer, const char *name, cj_node *x, cj_conv2d_opts o)
{
    const cj__zoo at = cj__zoo_in(outer, "%s", name);
    o.no_bias = true;
    x = cj__zoo_norm(&at, "bn", cj__zoo_conv(&at, "conv", x, o), 1e-3);
    return cj__zoo_here(&at, NULL, x, cj_relu(x));
}
#define UNIT(at, name, x, ...) unit(at, name, x, (cj_conv2d_opts){__VA_ARGS__})

/* What the branches of a block of x give. */
static cj_node *beside(const cj__zoo *at, cj_node *x, cj_node *a, cj_node *b, cj_node *c,
                       cj_node *d)
{
    return cj__zoo_here(at, NULL, x, cj_concat((cj_node *[]){a, b, c, d}, d ? 4 : 3, -1));
}

/* Heads and no_top exclude each other: a head is a last layer. */
static bool has_heads(cj_node *x, const cj_zoo_opts *o)
{
    if (x && o->aux && o->no_top)
        cj_graph_fail(cj_node_graph(x), CJ_ERR_ARGUMENT,
                      "aux=true gives heads that tell classes, and no_top=true asks for none");
    return o->aux && !o->no_top;
}

/* ---- GoogLeNet ------------------------------------------------------------------------------- */

static cj_node *block(const cj__zoo *outer, const char *name, cj_node *x, const int16_t n[6])
{
    const cj__zoo at = cj__zoo_in(outer, "inception%s", name), second = cj__zoo_in(&at, "branch2"),
                  third = cj__zoo_in(&at, "branch3"), fourth = cj__zoo_in(&at, "branch4");
    cj_node *a = UNIT(&at, "branch1", x, .filters = n[0], .kernel = {1});
    cj_node *b = UNIT(&second, "0", x, .filters = n[1], .kernel = {1});
    b = UNIT(&second, "1", b, .filters = n[2], .kernel = {3}, .pads = {1});
    cj_node *c = UNIT(&third, "0", x, .filters = n[3], .kernel = {1});
    c = UNIT(&third, "1", c, .filters = n[4], .kernel = {3}, .pads = {1});
    cj_node *d = CJ__ZOO_MAX_POOL(&fourth, "0", x, .size = 3, .stride = 1, .pads = 1);
    d = UNIT(&fourth, "1", d, .filters = n[5], .kernel = {1});
    return beside(&at, x, a, b, c, d);
}

static void googlenet_head(const cj__zoo *outer, const char *name, cj_node *x, const cj_zoo_opts *o)
{
    const cj__zoo at = cj__zoo_in(outer, "%s", name);
    x = UNIT(&at, "conv", cj__zoo_adaptive_pool(&at, x, 4), .filters = 128, .kernel = {1});
    x = cj__zoo_dropout(cj__zoo_dense(&at, "fc1", cj_flatten(x), 1024, "relu"), 0.7);
    cj__zoo_auxiliary(outer, name, cj__zoo_top(&at, "fc2", x, o), 0.3);
}

static cj_node *googlenet(cj_node *x, const cj_zoo_opts *o)
{
    static const struct {
        const char *name;
        int16_t n[6]; /* channels: of 1x1, before and of 3x3, before and of 3x3, of the maximum */
    } blocks[] = {{"3a", {64, 96, 128, 16, 32, 32}},     {"3b", {128, 128, 192, 32, 96, 64}},
                  {"4a", {192, 96, 208, 16, 48, 64}},    {"4b", {160, 112, 224, 24, 64, 64}},
                  {"4c", {128, 128, 256, 24, 64, 64}},   {"4d", {112, 144, 288, 32, 64, 64}},
                  {"4e", {256, 160, 320, 32, 128, 128}}, {"5a", {256, 160, 320, 32, 128, 128}},
                  {"5b", {384, 192, 384, 48, 128, 128}}};
    enum { FIRST_HEAD = 3, SECOND_HEAD = 6 }; /* in front of these blocks: 4b and 4e */
    const cj__zoo at = cj__zoo_at(o->name);
    const cj__zoo_window pool = {.size = 3, .stride = 2, .ceil_mode = true};
    const bool heads = has_heads(x, o);
    x = UNIT(&at, "conv1", x, .filters = 64, .kernel = {7}, .strides = {2}, .pads = {3});
    x = UNIT(&at, "conv2", cj__zoo_max_pool(&at, "maxpool1", x, pool), .filters = 64,
             .kernel = {1});
    x = UNIT(&at, "conv3", x, .filters = 192, .kernel = {3}, .pads = {1});
    x = cj__zoo_max_pool(&at, "maxpool2", x, pool);
    for (int i = 0; i < 9; i++) {
        if (heads && i == FIRST_HEAD) googlenet_head(&at, "aux1", x, o);
        if (heads && i == SECOND_HEAD) googlenet_head(&at, "aux2", x, o);
        if (i == 2) x = cj__zoo_max_pool(&at, "maxpool3", x, pool);
        if (i == 7) x = CJ__ZOO_MAX_POOL(&at, "maxpool4", x, .size = 2, .ceil_mode = true);
        x = block(&at, blocks[i].name, x, blocks[i].n);
    }
    x = cj__zoo_means(&at, x);
    return cj__zoo_top(&at, "fc", o->no_top ? x : cj__zoo_dropout(x, o->dropout), o);
}

#define OPTIONS(rate) \
    { \
        CJ__ZOO_CLASSES(1000), CJ__ZOO_DROPOUT(rate), CJ__ZOO_AUX, CJ__ZOO_ACTIVATION, \
            CJ__ZOO_NO_TOP, CJ__ZOO_END \
    }
static const cj_option googlenet_options[] = OPTIONS(0.2);

CJ__ZOO_ROW(googlenet,
            "windows of several sizes side by side, with batch norm (Szegedy et al. 2014)",
            googlenet_options, googlenet(x, o), .rank = 3, .shape = {224, 224, 3},
            .aliases = "inception_v1", .sample = "classes=3, dropout=0 : 48, 48, 3")

/* ---- Inception v3 ---------------------------------------------------------------------------- */

/* Windows of 1 x n and n x 1, around which the picture keeps its size. */
#define WIDE(at, name, x, n, width) \
    UNIT(at, name, x, .filters = n, .kernel = {1, width}, .padding = "same")
#define TALL(at, name, x, n, height) \
    UNIT(at, name, x, .filters = n, .kernel = {height, 1}, .padding = "same")

static cj_node *mean_branch(const cj__zoo *at, cj_node *x, int64_t filters)
{
    x = CJ__ZOO_MEAN_POOL(at, "branch_pool", x, .size = 3, .stride = 1, .pads = 1);
    return UNIT(at, "branch_pool", x, .filters = filters, .kernel = {1});
}

static cj_node *block_a(const cj__zoo *at, cj_node *x, int64_t pooled)
{
    cj_node *a = UNIT(at, "branch1x1", x, .filters = 64, .kernel = {1});
    cj_node *b = UNIT(at, "branch5x5_1", x, .filters = 48, .kernel = {1});
    b = UNIT(at, "branch5x5_2", b, .filters = 64, .kernel = {5}, .pads = {2});
    cj_node *c = UNIT(at, "branch3x3dbl_1", x, .filters = 64, .kernel = {1});
    c = UNIT(at, "branch3x3dbl_2", c, .filters = 96, .kernel = {3}, .pads = {1});
    c = UNIT(at, "branch3x3dbl_3", c, .filters = 96, .kernel = {3}, .pads = {1});
    return beside(at, x, a, b, c, mean_branch(at, x, pooled));
}

static cj_node *block_b(const cj__zoo *at, cj_node *x)
{
    cj_node *a = UNIT(at, "branch3x3", x, .filters = 384, .kernel = {3}, .strides = {2});
    cj_node *b = UNIT(at, "branch3x3dbl_1", x, .filters = 64, .kernel = {1});
    b = UNIT(at, "branch3x3dbl_2", b, .filters = 96, .kernel = {3}, .pads = {1});
    b = UNIT(at, "branch3x3dbl_3", b, .filters = 96, .kernel = {3}, .strides = {2});
    cj_node *c = CJ__ZOO_MAX_POOL(at, "branch_pool", x, .size = 3, .stride = 2);
    return beside(at, x, a, b, c, NULL);
}

static cj_node *block_c(const cj__zoo *at, cj_node *x, int64_t n)
{
    cj_node *a = UNIT(at, "branch1x1", x, .filters = 192, .kernel = {1});
    cj_node *b = UNIT(at, "branch7x7_1", x, .filters = n, .kernel = {1});
    b = TALL(at, "branch7x7_3", WIDE(at, "branch7x7_2", b, n, 7), 192, 7);
    cj_node *c = UNIT(at, "branch7x7dbl_1", x, .filters = n, .kernel = {1});
    c = WIDE(at, "branch7x7dbl_3", TALL(at, "branch7x7dbl_2", c, n, 7), n, 7);
    c = WIDE(at, "branch7x7dbl_5", TALL(at, "branch7x7dbl_4", c, n, 7), 192, 7);
    return beside(at, x, a, b, c, mean_branch(at, x, 192));
}

static cj_node *block_d(const cj__zoo *at, cj_node *x)
{
    cj_node *a = UNIT(at, "branch3x3_1", x, .filters = 192, .kernel = {1});
    a = UNIT(at, "branch3x3_2", a, .filters = 320, .kernel = {3}, .strides = {2});
    cj_node *b = UNIT(at, "branch7x7x3_1", x, .filters = 192, .kernel = {1});
    b = TALL(at, "branch7x7x3_3", WIDE(at, "branch7x7x3_2", b, 192, 7), 192, 7);
    b = UNIT(at, "branch7x7x3_4", b, .filters = 192, .kernel = {3}, .strides = {2});
    cj_node *c = CJ__ZOO_MAX_POOL(at, "branch_pool", x, .size = 3, .stride = 2);
    return beside(at, x, a, b, c, NULL);
}

static cj_node *block_e(const cj__zoo *at, cj_node *x)
{
    cj_node *a = UNIT(at, "branch1x1", x, .filters = 320, .kernel = {1});
    cj_node *b = UNIT(at, "branch3x3_1", x, .filters = 384, .kernel = {1});
    b = cj_concat((cj_node *[]){WIDE(at, "branch3x3_2a", b, 384, 3),
                                TALL(at, "branch3x3_2b", b, 384, 3)},
                  2, -1);
    cj_node *c = UNIT(at, "branch3x3dbl_1", x, .filters = 448, .kernel = {1});
    c = UNIT(at, "branch3x3dbl_2", c, .filters = 384, .kernel = {3}, .pads = {1});
    c = cj_concat((cj_node *[]){WIDE(at, "branch3x3dbl_3a", c, 384, 3),
                                TALL(at, "branch3x3dbl_3b", c, 384, 3)},
                  2, -1);
    return beside(at, x, a, b, c, mean_branch(at, x, 192));
}

static void inception_head(const cj__zoo *outer, cj_node *x, const cj_zoo_opts *o)
{
    const cj__zoo at = cj__zoo_in(outer, "AuxLogits");
    x = CJ__ZOO_MEAN_POOL(&at, "avgpool1", x, .size = 5, .stride = 3);
    x = UNIT(&at, "conv0", x, .filters = 128, .kernel = {1});
    x = cj__zoo_means(&at, UNIT(&at, "conv1", x, .filters = 768, .kernel = {5}));
    cj__zoo_auxiliary(outer, "aux", cj__zoo_top(&at, "fc", x, o), 0.4);
}

static cj_node *inception_v3(cj_node *x, const cj_zoo_opts *o)
{
    static const int16_t widths[4] = {128, 160, 160, 192};
    const cj__zoo at = cj__zoo_at(o->name);
    const cj__zoo_window pool = {.size = 3, .stride = 2};
    const bool heads = has_heads(x, o);
    cj__zoo mixed;
    x = UNIT(&at, "Conv2d_1a_3x3", x, .filters = 32, .kernel = {3}, .strides = {2});
    x = UNIT(&at, "Conv2d_2a_3x3", x, .filters = 32, .kernel = {3});
    x = UNIT(&at, "Conv2d_2b_3x3", x, .filters = 64, .kernel = {3}, .pads = {1});
    x = UNIT(&at, "Conv2d_3b_1x1", cj__zoo_max_pool(&at, "maxpool1", x, pool), .filters = 80,
             .kernel = {1});
    x = UNIT(&at, "Conv2d_4a_3x3", x, .filters = 192, .kernel = {3});
    x = cj__zoo_max_pool(&at, "maxpool2", x, pool);
    for (int i = 0; i < 3; i++) {
        mixed = cj__zoo_in(&at, "Mixed_5%c", 'b' + i);
        x = block_a(&mixed, x, i ? 64 : 32);
    }
    mixed = cj__zoo_in(&at, "Mixed_6a");
    x = block_b(&mixed, x);
    for (int i = 0; i < 4; i++) {
        mixed = cj__zoo_in(&at, "Mixed_6%c", 'b' + i);
        x = block_c(&mixed, x, widths[i]);
    }
    if (heads) inception_head(&at, x, o);
    mixed = cj__zoo_in(&at, "Mixed_7a");
    x = block_d(&mixed, x);
    for (int i = 0; i < 2; i++) {
        mixed = cj__zoo_in(&at, "Mixed_7%c", 'b' + i);
        x = block_e(&mixed, x);
    }
    x = cj__zoo_means(&at, x);
    return cj__zoo_top(&at, "fc", o->no_top ? x : cj__zoo_dropout(x, o->dropout), o);
}

static const cj_option inception_options[] = OPTIONS(0.5);

CJ__ZOO_ROW(inception_v3, "windows of 7x7 as 1x7 and 7x1, side by side (Szegedy et al. 2015)",
            inception_options, inception_v3(x, o), .rank = 3, .shape = {299, 299, 3},
            .sample = "classes=3, dropout=0 : 111, 111, 3")
