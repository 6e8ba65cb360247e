/* detector.c: a small one-stage detector without anchors, as FCOS (Tian et al. 2019).
 *
 *     picture - stem /2 - layer1 /4 - layer2 /8 - layer3 /16 - layer4 /32
 *                                        |          |           |
 *                                      1x1 --- + - 1x1 --- + - 1x1       what is far made larger
 *                                              |
 *                                     head: conv, conv - distances, scores
 *
 * A layer is conv 3x3 /2, then two convolutions 3x3 around which it adds; all with batch norm and
 * relu. The head sees one grid, of cells of 8x8 pixels, where all three levels have been added. For
 * each cell it tells how far the four sides of a box are from the cell's middle, as 4 softplus(z)
 * cells, so that a box begins 5.5 cells wide and cannot turn inside out; and how sure it is of each
 * class, at first 0.01, so that the many cells without a box do not drown the others (Lin et al.
 * 2017). */
#include "nn/zoo/zoo.h"

#include <cajal/image.h>

#define EPSILON 1e-5

static cj_node *conv_norm(const cj__zoo *at, const char *conv, const char *norm, cj_node *x,
                          int64_t filters, int64_t kernel, int64_t stride)
{
    x = CJ__ZOO_CONV(at, conv, x, .filters = filters, .kernel = {kernel}, .strides = {stride},
                     .pads = {kernel / 2}, .no_bias = true);
    return cj__zoo_norm(at, norm, x, EPSILON);
}

/* Half as large, then what two convolutions add. */
static cj_node *layer(const cj__zoo *outer, int number, cj_node *x, int64_t filters)
{
    const cj__zoo at = cj__zoo_in(outer, "layer%d", number);
    const cj_node *from = x;
    x = cj_relu(conv_norm(&at, "conv1", "bn1", x, filters, 3, 2));
    cj_node *y = cj_relu(conv_norm(&at, "conv2", "bn2", x, filters, 3, 1));
    y = conv_norm(&at, "conv3", "bn3", y, filters, 3, 1);
    return cj__zoo_here(&at, NULL, from, cj_relu(cj_add(y, x)));
}

/* What a deeper level saw joins this one. */
static cj_node *join(const cj__zoo *at, const char *name, cj_node *x, cj_node *deeper,
                     int64_t filters)
{
    x = CJ__ZOO_CONV(at, name, x, .filters = filters, .kernel = {1});
    if (!deeper || !x) return x;
    const cj_resize_opts o = {.struct_size = sizeof o,
                              .sizes = {cj__zoo_size(x, 1), cj__zoo_size(x, 2)},
                              .nearest = "floor",
                              .coordinates = "asymmetric"};
    return cj__zoo_here(at, name, x, cj_add(x, (cj_resize)(deeper, &o)));
}

/* The middles of the cells along axis 1 or 2 as shares of the picture, with 1 for the other axes.
 */
static cj_node *middles(cj_node *x, int axis)
{
    cj_dim dims[] = {1, 1, 1};
    dims[axis] = cj_node_dim(x, axis);
    cj_node *number = cj_iota(cj_node_graph(x), cj_node_dtype(x), axis, 3, dims);
    return cj_scale(cj_shift(number, 0.5), 1 / (double)dims[axis]);
}

/* Distances in cells [batch, rows, columns, 4: left, top, right, bottom] to boxes as shares of the
 * picture. */
static cj_node *boxes(cj_node *distance)
{
    cj_graph *g = cj_node_graph(distance);
    if (!g) return NULL;
    const cj_dim rows = cj_node_dim(distance, 1), columns = cj_node_dim(distance, 2);
    if (rows < 0 || columns < 0)
        return cj_graph_fail(g, CJ_ERR_SHAPE, "detector: pictures are of a size that is not known");
    cj_node *x = middles(distance, 2), *y = middles(distance, 1), *side[4];
    for (int i = 0; i < 4; i++) {
        cj_node *share = cj_squeeze(cj_slice_axis(distance, -1, i, 1), -1);
        share = cj_scale(share, (i < 2 ? -1 : 1) / (double)(i % 2 ? rows : columns));
        side[i] = cj_add(share, i % 2 ? y : x);
        if (!side[i]) return NULL;
    }
    return cj_stack(side, 4, -1);
}

static cj_node *detector(cj_node *x, const cj_zoo_opts *o)
{
    const cj__zoo at = cj__zoo_at(o->name);
    const int64_t w = o->width < 0.05 ? 1 : (int64_t)(16 * o->width + 0.5);
    x = conv_norm(&at, "conv1", "bn1", x, w, 3, 2);
    x = cj__zoo_here(&at, "relu1", x, cj_relu(x));
    x = layer(&at, 1, x, 2 * w);
    cj_node *near = layer(&at, 2, x, 4 * w), *middle = layer(&at, 3, near, 8 * w),
            *far = layer(&at, 4, middle, 8 * w);
    far = join(&at, "lateral4", far, NULL, 4 * w);
    middle = join(&at, "lateral3", middle, far, 4 * w);
    near = join(&at, "lateral2", near, middle, 4 * w);
    cj_node *all = conv_norm(&at, "conv2", "bn2", near, 4 * w, 3, 1);
    all = cj__zoo_here(&at, "relu2", all, cj_relu(all));
    all = conv_norm(&at, "conv3", "bn3", all, 4 * w, 3, 1);
    all = cj__zoo_here(&at, "relu3", all, cj_relu(all));
    if (o->no_top) return all;
    cj_node *distance = CJ__ZOO_CONV(&at, "distances", all, .filters = 4, .kernel = {3},
                                     .pads = {1});
    cj_node *score = CJ__ZOO_CONV(&at, "scores", all, .filters = o->classes, .kernel = {3},
                                  .pads = {1}, .bias_initializer = "constant(-4.6)",
                                  .activation = "sigmoid");
    cj_node *parts[] = {boxes(cj_scale(cj_softplus(distance), 4)), score};
    return parts[0] && score ? cj__zoo_here(&at, "boxes", distance, cj_concat(parts, 2, -1)) : NULL;
}

static const cj_option options[] = {
    CJ__ZOO_CLASSES(20),
    CJ_OPTION_FLOAT(cj_zoo_opts, width, 1, 0.01, 64, "of channels: times 16, 32, 64, 128, 128"),
    CJ_OPTION_BOOL(cj_zoo_opts, no_top, false, "without the last layers: a grid of features"),
    CJ__ZOO_END};

CJ__ZOO_ROW(detector,
            "a small one-stage detector without anchors: of cells of 8x8 pixels boxes and scores, "
            "[batch, rows, columns, 4 + classes] (after Tian et al. 2019)",
            options, detector(x, o), .rank = 3, .shape = {240, 320, 3},
            .sample = "classes=3, width=0.5 : 32, 48, 3")
