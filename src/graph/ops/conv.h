/* conv.h: what conv.c, conv_build.c, conv_sample.c and im2col.c share. */
#ifndef CAJAL_GRAPH_OPS_CONV_H
#define CAJAL_GRAPH_OPS_CONV_H

#include "graph/ops/window.h"

#define CJ__CONV_FAR 2147483647
/* How a window slides, of cj__conv_attrs. */
#define CJ__CONV_OPTIONS \
    CJ_OPTION_INTS(cj__conv_attrs, strides, 1, CJ__CONV_FAR, \
                   "steps of the window, by spatial axis"), \
        CJ_OPTION_INTS(cj__conv_attrs, dilations, 1, CJ__CONV_FAR, \
                       "distance of the kernel's places"), \
        CJ_OPTION_INTS(cj__conv_attrs, pads_before, 0, CJ__CONV_FAR, \
                       "zeros in front of each axis"), \
        CJ_OPTION_INTS(cj__conv_attrs, pads_after, 0, CJ__CONV_FAR, "zeros behind each axis"), \
        CJ_OPTION_WORD(cj__conv_attrs, padding, 0, cj__padding_words, "who says the pads"), \
        CJ_OPTION_INT(cj__conv_attrs, channel_axis, -1, -1, CJ_RANK_MAX - 1, \
                      "of images: 1, or -1, the last")

cj_node *cj__conv_sample(cj_sampler *s, int i);
cj_node *cj__conv_transpose_sample(cj_sampler *s, int i);
cj_node *cj__conv_weight_grad_sample(cj_sampler *s, int i);

#endif
