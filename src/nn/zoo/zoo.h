/* zoo.h: what the networks of the zoo are written with: places that name layers, and short forms of
 * the layers that they all have.
 *
 *     const cj__zoo at = cj__zoo_at(o->name);                  // "", or "name."
 *     x = CJ__ZOO_CONV(&at, "conv1", x, .filters = 64, .kernel = {7}, .strides = {2}, .pads = {3});
 *     const cj__zoo block = cj__zoo_in(&at, "layer%d.%d", 1, 0);
 *     x = CJ__ZOO_CONV(&block, "conv1", x, ...);               // "layer1.0.conv1"
 *
 * Layers have the names that PyTorch's modules have in torchvision, so that weights are found by
 * name (cj_load_weights). What has no parameters is an operator and no layer, but for dropout; it
 * has a place all the same (cj__zoo_here): a block's, or a name of its own such as "maxpool".
 * A failed builder gives NULL, and NULL goes through all of this. */
#ifndef CAJAL_NN_ZOO_ZOO_H
#define CAJAL_NN_ZOO_ZOO_H

#include "nn/model.h"

#include <cajal/layers.h>
#include <cajal/pool.h>
#include <cajal/zoo.h>

/* A place in a network: what the names of the layers there begin with. */
typedef struct cj__zoo {
    char prefix[112];
} cj__zoo;

cj__zoo cj__zoo_at(const char *name); /* NULL: nothing */
cj__zoo cj__zoo_in(const cj__zoo *outer, const char *format, ...) CJ_PRINTF(2, 3);

/* conv2d and conv2d_transpose, kernels from he_normal where o says nothing else. */
cj_node *cj__zoo_conv(const cj__zoo *at, const char *name, cj_node *x, cj_conv2d_opts o);
cj_node *cj__zoo_rise(const cj__zoo *at, const char *name, cj_node *x, cj_conv2d_transpose_opts o);
/* Batch norm; layer norm over a whole picture with a factor for each channel; instance norm. */
cj_node *cj__zoo_norm(const cj__zoo *at, const char *name, cj_node *x, double epsilon);
cj_node *cj__zoo_layer_norm(const cj__zoo *at, const char *name, cj_node *x, double epsilon);
cj_node *cj__zoo_instance_norm(const cj__zoo *at, const char *name, cj_node *x, double epsilon);
cj_node *cj__zoo_dense(const cj__zoo *at, const char *name, cj_node *x, int64_t units,
                       const char *activation);
/* Pooling as PyTorch has it: square windows, the same pads at both ends. */
typedef struct cj__zoo_window {
    int64_t size, stride, pads;
    bool ceil_mode;
} cj__zoo_window;
cj_node *cj__zoo_max_pool(const cj__zoo *at, const char *name, cj_node *x, cj__zoo_window w);
/* Pads count as zeros. */
cj_node *cj__zoo_mean_pool(const cj__zoo *at, const char *name, cj_node *x, cj__zoo_window w);
cj_node *cj__zoo_adaptive_pool(const cj__zoo *at, cj_node *x, int64_t size);
cj_node *cj__zoo_dropout(cj_node *x, double rate);
/* The mean of each channel: [batch, channels]. */
cj_node *cj__zoo_means(const cj__zoo *at, cj_node *x);
/* x, and then y, of what follows: operators since x that are in no layer, and in no place yet, are
 * in `name` of this place, or (NULL) in itself. Files and profiles tell it. Gives y. */
cj_node *cj__zoo_here(const cj__zoo *at, const char *name, const cj_node *x, cj_node *y);
/* The last layer of a network that tells classes: dense, unless no_top. */
cj_node *cj__zoo_top(const cj__zoo *at, const char *name, cj_node *x, const cj_zoo_opts *o);
cj_node *cj__zoo_embedding(const cj__zoo *at, const char *name, cj_node *x, int64_t rows,
                           int64_t width);
/* sampling (layers.h). */
cj_node *cj__zoo_sampling(const cj__zoo *at, const char *name, cj_node *mean, cj_node *log_var,
                          double weight);
/* Channels times the option `width`, at least 1. */
int64_t cj__zoo_widened(int64_t channels, const cj_zoo_opts *o);

/* A result that helps in training alone: the loss of the network's result is taken of it as well,
 * times weight, and added. No output of the model, so that nothing else sees it. It is called
 * "name", behind what the place's layers begin with; x may be NULL. */
void cj__zoo_auxiliary(const cj__zoo *at, const char *name, cj_node *x, double weight);

/* Of x's shape, or 1 of NULL. */
int64_t cj__zoo_channels(const cj_node *x);
int64_t cj__zoo_size(const cj_node *x, int axis);

/* The keyword function of a row. */
cj_node *cj__zoo_keywords(cj_node *x, const cj_network *row, const cj_zoo_opts *opts);

#define CJ__ZOO_CONV(at, name, x, ...) cj__zoo_conv(at, name, x, (cj_conv2d_opts){__VA_ARGS__})
#define CJ__ZOO_RISE(at, name, x, ...) \
    cj__zoo_rise(at, name, x, (cj_conv2d_transpose_opts){__VA_ARGS__})
#define CJ__ZOO_MAX_POOL(at, name, x, ...) \
    cj__zoo_max_pool(at, name, x, (cj__zoo_window){__VA_ARGS__})
#define CJ__ZOO_MEAN_POOL(at, name, x, ...) \
    cj__zoo_mean_pool(at, name, x, (cj__zoo_window){__VA_ARGS__})

/* Options that several have. */
#define CJ__ZOO_CLASSES(n) \
    CJ_OPTION_INT(cj_zoo_opts, classes, n, 1, 2147483647, "it tells apart")
#define CJ__ZOO_ACTIVATION \
    CJ_OPTION_STRING(cj_zoo_opts, activation, "softmax", "of the result; linear: logits")
#define CJ__ZOO_NO_TOP \
    CJ_OPTION_BOOL(cj_zoo_opts, no_top, false, "without the last layer: features")
#define CJ__ZOO_DROPOUT(rate) \
    CJ_OPTION_FLOAT(cj_zoo_opts, dropout, rate, 0, 1, "in front of dense layers, less than 1")
#define CJ__ZOO_WIDTH \
    CJ_OPTION_FLOAT(cj_zoo_opts, width, 1, 0.01, 100, "of all channels, times the usual one")
#define CJ__ZOO_AUX \
    CJ_OPTION_BOOL(cj_zoo_opts, aux, false, "heads on the way, whose losses count in training too")
#define CJ__ZOO_END \
    CJ_OPTION_STRING(cj_zoo_opts, name, NULL, "begins the names of all layers, NAME.conv1"), \
        CJ_OPTION_END

/* A row and its functions: `text` is an expression of x and o that builds it; the rest of the row
 * says its shape and sample. */
#define CJ__ZOO_ROW(id, text, table, what, ...) \
    static cj_node *id##_build(cj_node *x, const void *opts) \
    { \
        const cj_zoo_opts *o = opts; \
        return what; \
    } \
    const cj_network cj_network_##id = {.name = #id, \
                                        .doc = text, \
                                        .options_size = sizeof(cj_zoo_opts), \
                                        .options = table, \
                                        .build = id##_build, \
                                        __VA_ARGS__}; \
    cj_node *(cj_zoo_##id)(cj_node *x, const cj_zoo_opts *opts) \
    { \
        return cj__zoo_keywords(x, &cj_network_##id, opts); \
    }

#endif
