/* unet.c: U-Net (Ronneberger et al. 2015): what each pixel belongs to. The way down sees more and
 * more of the picture in less and less detail; the way up gets the details back from the way down.
 *
 *     twice 64 ------------------------------------------- beside - twice 64 - classes
 *       max 2 - twice 128 ------------------- beside - twice 128 - up 2
 *                 max 2 - twice 256 ... twice 256 - up 2
 *
 *     twice   conv 3x3 - bn - relu - conv 3x3 - bn - relu
 *
 * Windows are padded, so that the result is as large as the picture, and convolutions have a batch
 * norm; the paper has neither. Where halving left a row or column out, the way up gets it back as
 * zeros around what it brings. Layers are called as in the U-Net of PyTorch that is used most
 * (github.com/milesial/Pytorch-UNet). */
#include "nn/zoo/zoo.h"

static cj_node *twice(const cj__zoo *outer, cj_node *x, int64_t filters, bool norm)
{
    static const char *const places[2][2] = {{"0", "2"}, {"0", "3"}};
    static const char *const norms[2] = {"1", "4"};
    const cj__zoo at = cj__zoo_in(outer, "double_conv");
    const cj_node *from = x;
    for (int i = 0; i < 2; i++) {
        x = CJ__ZOO_CONV(&at, places[norm][i], x, .filters = filters, .kernel = {3}, .pads = {1},
                         .no_bias = norm);
        if (norm) x = cj__zoo_norm(&at, norms[i], x, 1e-5);
        x = cj_relu(x);
    }
    return cj__zoo_here(&at, NULL, from, x);
}

/* x with zeros around it, as large as `like`; sizes that are not known are taken to agree. */
static cj_node *as_large(cj_node *x, const cj_node *like)
{
    int64_t before[4] = {0}, after[4] = {0};
    for (int i = 1; i < 3; i++) {
        const int64_t here = cj__zoo_size(x, i), there = cj__zoo_size(like, i);
        const int64_t lacking = here >= 0 && there > here ? there - here : 0;
        before[i] = lacking / 2;
        after[i] = lacking - before[i];
    }
    return x ? (cj_pad)(x, before, after, 0) : NULL;
}

static cj_node *unet(cj_node *x, const cj_zoo_opts *o)
{
    enum { DEEPEST = 8 };
    const cj__zoo at = cj__zoo_at(o->name), first = cj__zoo_in(&at, "inc");
    const int depth = (int)o->depth;
    const int64_t filters = cj__zoo_widened(64, o);
    cj_node *seen[DEEPEST + 1] = {twice(&first, x, filters, !o->no_norm)};
    for (int i = 1; i <= depth; i++) {
        const cj__zoo down = cj__zoo_in(&at, "down%d.maxpool_conv", i),
                      conv = cj__zoo_in(&down, "1");
        x = CJ__ZOO_MAX_POOL(&down, "0", seen[i - 1], .size = 2);
        seen[i] = twice(&conv, x, filters << i, !o->no_norm);
    }
    x = seen[depth];
    for (int i = depth - 1; i >= 0; i--) {
        const cj__zoo up = cj__zoo_in(&at, "up%d", depth - i), both = cj__zoo_in(&up, "conv");
        x = CJ__ZOO_RISE(&up, "up", x, .filters = filters << i, .kernel = {2}, .strides = {2});
        x = cj__zoo_here(&up, NULL, x,
                         cj_concat((cj_node *[]){seen[i], as_large(x, seen[i])}, 2, -1));
        x = twice(&both, x, filters << i, !o->no_norm);
    }
    if (o->no_top) return x;
    const cj__zoo last = cj__zoo_in(&at, "outc");
    x = CJ__ZOO_CONV(&last, "conv", x, .filters = o->classes, .kernel = {1});
    const char *word = o->activation ? o->activation : o->classes > 1 ? "softmax" : "sigmoid";
    return cj__zoo_here(&last, NULL, x, cj_activation(x, word));
}

static const cj_option options[] = {
    CJ__ZOO_CLASSES(1),
    CJ__ZOO_WIDTH,
    CJ_OPTION_INT(cj_zoo_opts, depth, 4, 1, 8, "how often the picture is halved"),
    CJ_OPTION_BOOL(cj_zoo_opts, no_norm, false, "biases instead of batch norms"),
    CJ_OPTION_STRING(cj_zoo_opts, activation, NULL,
                     "of the result; default softmax, sigmoid of one class; linear: logits"),
    CJ__ZOO_NO_TOP,
    CJ__ZOO_END};

CJ__ZOO_ROW(unet, "classes of pixels: halved and doubled again, beside what was seen on the way "
                  "down (Ronneberger et al. 2015)",
            options, unet(x, o), .rank = 3, .shape = {256, 256, 3},
            .sample = "classes=3, width=0.125, depth=2 : 20, 22, 3")
