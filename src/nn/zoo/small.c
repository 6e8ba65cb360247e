/* small.c: the first networks of every course.
 *
 *     lenet5  conv 6 5x5 - mean 2 - conv 16 5x5 - mean 2 - dense 120 - dense 84 - classes
 *     cnn     conv 32 3x3 - max 2 - conv 64 3x3 - max 2 - classes
 *
 * LeNet-5 (LeCun et al. 1998) saw pictures of 32x32; of 28x28 the first convolution pads, so that
 * the rest is as it was. Its subsampling is a plain mean and its last layer an ordinary one. */
#include "nn/zoo/zoo.h"

static cj_node *lenet5(cj_node *x, const cj_zoo_opts *o)
{
    const cj__zoo at = cj__zoo_at(o->name);
    const int64_t pads = cj__zoo_size(x, 1) < 32 ? 2 : 0;
    x = CJ__ZOO_CONV(&at, "conv1", x, .filters = 6, .kernel = {5}, .pads = {pads},
                     .activation = "tanh");
    x = CJ__ZOO_MEAN_POOL(&at, "pool1", x, .size = 2);
    x = CJ__ZOO_CONV(&at, "conv2", x, .filters = 16, .kernel = {5}, .activation = "tanh");
    x = cj_flatten(CJ__ZOO_MEAN_POOL(&at, "pool2", x, .size = 2));
    x = cj__zoo_dense(&at, "fc1", x, 120, "tanh");
    x = cj__zoo_dense(&at, "fc2", x, 84, "tanh");
    return cj__zoo_top(&at, "fc3", x, o);
}

static cj_node *cnn(cj_node *x, const cj_zoo_opts *o)
{
    const cj__zoo at = cj__zoo_at(o->name);
    x = CJ__ZOO_CONV(&at, "conv1", x, .filters = 32, .kernel = {3}, .activation = "relu");
    x = CJ__ZOO_MAX_POOL(&at, "pool1", x, .size = 2);
    x = CJ__ZOO_CONV(&at, "conv2", x, .filters = 64, .kernel = {3}, .activation = "relu");
    x = CJ__ZOO_MAX_POOL(&at, "pool2", x, .size = 2);
    return cj__zoo_top(&at, "fc", cj_flatten(x), o);
}

static const cj_option options[] = {CJ__ZOO_CLASSES(10), CJ__ZOO_ACTIVATION, CJ__ZOO_NO_TOP,
                                    CJ__ZOO_END};

CJ__ZOO_ROW(lenet5, "two convolutions and three dense layers with tanh (LeCun et al. 1998)",
            options, lenet5(x, o), .rank = 3, .shape = {28, 28, 1}, .aliases = "lenet",
            .sample = "classes=3 : 28, 28, 1")
CJ__ZOO_ROW(cnn, "conv 32, max 2, conv 64, max 2, dense: the small CNN of the examples", options,
            cnn(x, o), .rank = 3, .shape = {28, 28, 1}, .sample = "classes=3 : 12, 12, 2")
