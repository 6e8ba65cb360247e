/* conv.h: what conv.c, conv_build.c and conv_sample.c share. */
#ifndef CAJAL_GRAPH_OPS_CONV_H
#define CAJAL_GRAPH_OPS_CONV_H

#include "graph/ops/window.h"

cj_node *cj__conv_sample(cj_sampler *s, int i);
cj_node *cj__conv_transpose_sample(cj_sampler *s, int i);
cj_node *cj__conv_weight_grad_sample(cj_sampler *s, int i);

#endif
