/* vgg.c: VGG (Simonyan and Zisserman 2014), stages of convolutions 3x3 that end in a maximum over
 * 2x2, and AlexNet (Krizhevsky et al. 2012, in the form of Krizhevsky 2014) before it.
 *
 *     n of 64 - max - n of 128 - max - n of 256 - max - n of 512 - max - n of 512 - max - means 7x7
 *     - dense 4096 - dense 4096 - classes
 *
 * n are 1, 1, 2, 2, 2 for 11 layers; 2, 2, 2, 2, 2 for 13; 2, 2, 3, 3, 3 for 16; 2, 2, 4, 4, 4 for
 * 19. Of pictures of 32x32 what is left before the means is 1x1, which they repeat. */
#include "nn/zoo/zoo.h"

/* A layer's name is its place in PyTorch's list of modules. */
static const char *place(char out[16], int number)
{
    cj__format(out, 16, "%d", number);
    return out;
}

static cj_node *vgg(cj_node *x, const cj_zoo_opts *o, const int counts[5], bool norm)
{
    const cj__zoo at = cj__zoo_at(o->name), features = cj__zoo_in(&at, "features"),
                  classifier = cj__zoo_in(&at, "classifier");
    char name[16];
    int n = 0;
    for (int stage = 0; stage < 5; stage++) {
        const int64_t filters = stage < 3 ? (int64_t)64 << stage : 512;
        for (int i = 0; i < counts[stage]; i++) {
            x = CJ__ZOO_CONV(&features, place(name, n++), x, .filters = filters, .kernel = {3},
                             .pads = {1});
            if (norm) x = cj__zoo_norm(&features, place(name, n++), x, 1e-5);
            x = cj__zoo_here(&features, place(name, n++), x, cj_relu(x));
        }
        x = CJ__ZOO_MAX_POOL(&features, place(name, n++), x, .size = 2);
    }
    x = cj_flatten(cj__zoo_adaptive_pool(&at, x, 7));
    x = cj__zoo_dropout(cj__zoo_dense(&classifier, "0", x, 4096, "relu"), o->dropout);
    x = cj__zoo_dropout(cj__zoo_dense(&classifier, "3", x, 4096, "relu"), o->dropout);
    return cj__zoo_top(&classifier, "6", x, o);
}

static cj_node *alexnet(cj_node *x, const cj_zoo_opts *o)
{
    const cj__zoo at = cj__zoo_at(o->name), features = cj__zoo_in(&at, "features"),
                  classifier = cj__zoo_in(&at, "classifier");
    const cj__zoo_window pool = {.size = 3, .stride = 2};
    x = CJ__ZOO_CONV(&features, "0", x, .filters = 64, .kernel = {11}, .strides = {4}, .pads = {2},
                     .activation = "relu");
    x = CJ__ZOO_CONV(&features, "3", cj__zoo_max_pool(&features, "2", x, pool), .filters = 192,
                     .kernel = {5}, .pads = {2}, .activation = "relu");
    x = CJ__ZOO_CONV(&features, "6", cj__zoo_max_pool(&features, "5", x, pool), .filters = 384,
                     .kernel = {3}, .pads = {1}, .activation = "relu");
    x = CJ__ZOO_CONV(&features, "8", x, .filters = 256, .kernel = {3}, .pads = {1},
                     .activation = "relu");
    x = CJ__ZOO_CONV(&features, "10", x, .filters = 256, .kernel = {3}, .pads = {1},
                     .activation = "relu");
    x = cj__zoo_max_pool(&features, "12", x, pool);
    x = cj_flatten(cj__zoo_adaptive_pool(&at, x, 6));
    x = cj__zoo_dense(&classifier, "1", cj__zoo_dropout(x, o->dropout), 4096, "relu");
    x = cj__zoo_dense(&classifier, "4", cj__zoo_dropout(x, o->dropout), 4096, "relu");
    return cj__zoo_top(&classifier, "6", x, o);
}

static const cj_option options[] = {CJ__ZOO_CLASSES(1000), CJ__ZOO_DROPOUT(0.5), CJ__ZOO_ACTIVATION,
                                    CJ__ZOO_NO_TOP, CJ__ZOO_END};

CJ__ZOO_ROW(alexnet, "five convolutions and three dense layers (Krizhevsky 2014)", options,
            alexnet(x, o), .rank = 3, .shape = {224, 224, 3},
            .sample = "classes=3, dropout=0 : 64, 64, 3")

#define VGG(id, norm, how, ...) \
    CJ__ZOO_ROW(id, "convolutions 3x3 in five stages" how " (Simonyan and Zisserman 2014)", \
                options, vgg(x, o, (const int[]){__VA_ARGS__}, norm), .rank = 3, \
                .shape = {224, 224, 3}, .sample = "classes=3, dropout=0 : 32, 32, 3")
VGG(vgg11, false, "", 1, 1, 2, 2, 2)
VGG(vgg13, false, "", 2, 2, 2, 2, 2)
VGG(vgg16, false, "", 2, 2, 3, 3, 3)
VGG(vgg19, false, "", 2, 2, 4, 4, 4)
VGG(vgg11_bn, true, ", with batch norm", 1, 1, 2, 2, 2)
VGG(vgg13_bn, true, ", with batch norm", 2, 2, 2, 2, 2)
VGG(vgg16_bn, true, ", with batch norm", 2, 2, 3, 3, 3)
VGG(vgg19_bn, true, ", with batch norm", 2, 2, 4, 4, 4)
