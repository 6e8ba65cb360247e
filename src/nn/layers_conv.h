/* layers_conv.h: what layers with convolutions share. */
#ifndef CAJAL_NN_LAYERS_CONV_H
#define CAJAL_NN_LAYERS_CONV_H

#include <cajal/conv.h>

#include "nn/model.h"

/* What a layer's options say of one of its parameters. */
typedef struct cj__rules {
    const char *initializer, *regularizer, *constraint;
} cj__rules;
#define CJ__RULES(o, of) \
    ((cj__rules){(o)->of##_initializer, (o)->of##_regularizer, (o)->of##_constraint})

/* Weights [first, second, kernel...]; fans are these numbers times the places of the kernel. */
cj_node *cj__conv_weights(cj_layer_build *b, const char *name, int spatial,
                          const int64_t sizes[CJ_SIZES], int64_t first, int64_t second,
                          cj__rules with, int64_t fan_in, int64_t fan_out);

#endif
