/* response_norm.c: local response normalisation: each channel divided by its neighbours' strength.
 *
 *     y = x / (bias + alpha / size * s)^beta     s = sum of x^2 over `size` channels around
 *
 * The sum is one of shifted copies of the squares, padded with zeros: windows are short (5 in the
 * paper). The gradient is the lowering's. */
#include "graph/ops/block.h"
#include "graph/ops/norm.h"

#include <cajal/norm.h>

#include <string.h>

static cj_status response_infer(cj_infer *infer)
{
    cj__response_attrs *a = infer->call->attributes;
    CJ__TRY(cj__infer_floats(infer));
    CJ__TRY(cj__infer_channel_axis(infer, &a->channel_axis, infer->out[0].rank, 2));
    return CJ_OK;
}

static bool response_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    const cj__response_attrs *a = call->attributes;
    const cj_type *type = &call->in[0]->type;
    cj_dtype wide = cj__wide(type->dtype);
    int axis = (int)a->channel_axis;
    int64_t before[CJ_RANK_MAX] = {0}, after[CJ_RANK_MAX] = {0};
    before[axis] = (a->size - 1) / 2;
    after[axis] = a->size / 2;
    cj_node *x = cj_cast(call->in[0], wide), *sum = NULL;
    cj_node *squares = cj_pad(cj_square(x), before, after, 0);
    for (int64_t i = 0; i < a->size; i++) {
        cj_node *shifted = cj_slice_axis(squares, axis, i, type->dim[axis]);
        sum = i ? cj_add(sum, shifted) : shifted;
    }
    cj_node *base = cj_shift(cj_scale(sum, a->alpha / (double)a->size), a->bias);
    cj_node *factor = cj_pow(base, cj_scalar(g, wide, -a->beta));
    out[0] = cj_cast(cj_mul(x, factor), type->dtype);
    return out[0] != NULL;
}

static cj_node *response_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (i >= 28 || !cj_sample_shape(9 + i % 14, &rank, dims)) return NULL;
    cj_local_response_norm_opts o = {.struct_size = sizeof o,
                                     .size = 1 + i % 6,
                                     .alpha = 0.5,
                                     .beta = i % 3 ? 0.75 : 1.5,
                                     .bias = 1.5,
                                     .channel_axis = i < 14 ? 0 : 1};
    return (cj_local_response_norm)(cj_sample_real(s, -2, 2, rank, dims), &o);
}

static const cj_option response_options[] = {
    CJ_OPTION_INT(cj__response_attrs, size, 5, 1, 1024, "how many channels are summed"),
    CJ_OPTION_INT(cj__response_attrs, channel_axis, -1, -1, CJ_RANK_MAX - 1,
                  "axis of the channels: 1 or the last (-1)"),
    CJ_OPTION_FLOAT(cj__response_attrs, alpha, 1e-4, 0, 1e30, "weight of the mean of squares"),
    CJ_OPTION_FLOAT(cj__response_attrs, beta, 0.75, -1e3, 1e3, "the power"),
    CJ_OPTION_FLOAT(cj__response_attrs, bias, 1, 0, 1e30, "added before the power"),
    CJ_OPTION_END};

const cj_op cj_op_local_response_norm = {
    .name = "local_response_norm",
    .doc = "y = x / (bias + alpha / size * sum of x^2 over the nearest channels)^beta",
    .inputs = 1,
    .attributes_size = sizeof(cj__response_attrs),
    .attributes = response_options,
    .infer = response_infer,
    .lower = response_lower,
    .sample = CJ__SAMPLE(response_sample),
    .onnx = "LRN",
};

cj_node *cj_local_response_norm(cj_node *x, const cj_local_response_norm_opts *opts)
{
    cj_local_response_norm_opts o = {0};
    if (!x || cj__is_zero(x)) return NULL;
    cj_graph *g = cj_node_graph(x);
    if (!cj__graph_opts(g, "local_response_norm", &o, sizeof o, opts)) return NULL;
    cj__response_attrs a = {.size = o.size,
                            .channel_axis = o.channel_axis ? o.channel_axis : -1,
                            .alpha = o.alpha != 0 ? o.alpha : 1e-4,
                            .beta = o.beta != 0 ? o.beta : 0.75,
                            .bias = o.bias != 0 ? o.bias : 1};
    return cj_apply(g, &cj_op_local_response_norm, &x, 1, &a);
}
