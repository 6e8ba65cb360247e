/* conv_sample.c: one list of convolutions from which the samples of all three rows are drawn.
 *
 * Each is tried with channels last and first, so there are twice as many samples as lines. */
#include "graph/ops/conv.h"

typedef struct geometry {
    int spatial;
    int64_t batch, in, out, groups;
    int64_t n[3], kernel[3], strides[3], dilations[3], before[3], after[3];
    int padding;
} geometry;

static const geometry geometries[] = {
    /* one axis: plain, size 1, strides, dilation, causal, pads wider than the image */
    {1, 2, 2, 3, 1, {5}, {3}, {1}, {1}, {0}, {0}, 0},
    {1, 1, 1, 1, 1, {1}, {1}, {1}, {1}, {0}, {0}, 0},
    {1, 1, 3, 2, 1, {8}, {3}, {2}, {1}, {1}, {0}, 0},
    {1, 2, 2, 2, 1, {7}, {2}, {1}, {3}, {3}, {0}, 0},
    {1, 1, 1, 2, 1, {3}, {4}, {3}, {1}, {3}, {4}, 0},
    {1, 1, 2, 2, 2, {6}, {3}, {2}, {2}, {0}, {0}, CJ__PADDING_SAME},
    /* two axes */
    {2, 2, 2, 3, 1, {4, 5}, {3, 3}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, 0},
    {2, 1, 3, 2, 1, {4, 4}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 0},
    {2, 1, 2, 2, 1, {6, 5}, {3, 2}, {2, 3}, {1, 1}, {0, 1}, {1, 0}, 0},
    {2, 2, 1, 1, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, 0},
    {2, 1, 1, 2, 1, {3, 4}, {1, 1}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, 0},
    {2, 1, 2, 1, 1, {7, 6}, {2, 3}, {1, 1}, {3, 2}, {0, 0}, {0, 0}, CJ__PADDING_VALID},
    {2, 1, 2, 2, 1, {5, 4}, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, CJ__PADDING_SAME},
    {2, 1, 1, 2, 1, {5, 7}, {4, 3}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, CJ__PADDING_SAME_LOWER},
    {2, 1, 4, 6, 2, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, 0},
    {2, 1, 3, 3, 3, {4, 3}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 0},
    {2, 1, 2, 4, 2, {5, 5}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, 0},
    {2, 0, 2, 2, 1, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, 0},
    {2, 1, 0, 2, 1, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, 0},
    {2, 1, 2, 0, 1, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, 0},
    {2, 1, 1, 1, 1, {2, 2}, {3, 3}, {5, 5}, {1, 1}, {2, 2}, {1, 1}, 0},
    {2, 1, 2, 17, 1, {3, 3}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 0},
    {2, 1, 17, 2, 1, {2, 3}, {2, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, 0},
    /* three axes */
    {3, 1, 2, 2, 1, {3, 3, 2}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}, 0},
    {3, 1, 2, 2, 2, {3, 4, 3}, {1, 3, 2}, {2, 1, 1}, {1, 1, 2}, {0, 1, 1}, {0, 1, 0}, 0},
    {3, 1, 1, 1, 1, {4, 2, 3}, {3, 2, 3}, {2, 2, 1}, {1, 1, 1}, {0}, {0}, CJ__PADDING_SAME},
};

enum { GEOMETRIES = CJ__COUNT(geometries) };

typedef struct shapes {
    const geometry *at;
    int rank;
    int64_t x[CJ_RANK_MAX], w[CJ_RANK_MAX], y[CJ_RANK_MAX];
    cj__conv_attrs attrs;
} shapes;

static bool draw(int i, shapes *s)
{
    if (i >= 2 * GEOMETRIES) return false;
    const geometry *at = &geometries[i / 2];
    int spatial = at->spatial, rank = spatial + 2;
    *s = (shapes){.at = at, .rank = rank};
    s->attrs = (cj__conv_attrs){.strides = {spatial, at->strides},
                                .dilations = {spatial, at->dilations},
                                .padding = at->padding,
                                .groups = at->groups,
                                .channel_axis = i % 2 ? 1 : -1};
    if (at->padding == CJ__PADDING_EXPLICIT) {
        s->attrs.pads_before = (cj_ints){spatial, at->before};
        s->attrs.pads_after = (cj_ints){spatial, at->after};
    }
    int64_t channel = i % 2 ? 1 : rank - 1;
    cj__sliding sliding = cj__conv_sliding(&s->attrs);
    s->x[0] = s->y[0] = at->batch;
    s->x[channel] = at->in;
    s->y[channel] = s->w[0] = at->out;
    s->w[1] = at->in / at->groups;
    for (int k = 0; k < spatial; k++) {
        int axis = cj__spatial_axis(channel, k);
        s->x[axis] = at->n[k];
        s->w[2 + k] = at->kernel[k];
        s->y[axis] = cj__window_of(&sliding, k, at->n[k], at->kernel[k]).result;
    }
    return true;
}

/* Plain, then with each of the epilogue's parts. For relu the bias keeps every sum away from its
 * kink: |sum| <= number of products < the bias. */
cj_node *cj__conv_sample(cj_sampler *s, int i)
{
    shapes t;
    bool relu = i >= 2 * GEOMETRIES && i % 3 == 0;
    int form = i < 2 * GEOMETRIES ? 0 : 1 + i % 3;
    if (i >= 4 * GEOMETRIES || !draw(i % (2 * GEOMETRIES), &t)) return NULL;
    cj_node *in[4];
    int n = 0;
    in[n++] = cj_sample_real(s, -1, 1, t.rank, t.x);
    in[n++] = cj_sample_real(s, -1, 1, t.rank, t.w);
    t.attrs.has_bias = form == 1 || form == 3;
    t.attrs.has_addend = form >= 2;
    t.attrs.activation = relu ? CJ__EPILOGUE_RELU : CJ__EPILOGUE_NONE;
    int64_t products = 2;
    for (int k = 1; k < t.rank; k++) products *= t.w[k] > 0 ? t.w[k] : 1;
    if (t.attrs.has_bias)
        in[n++] = cj_sample_away(s, (double)(-2 * products), (double)(2 * products), 1e9,
                                 (double)products, 1, &t.w[0]);
    if (t.attrs.has_addend) in[n++] = cj_sample_real(s, -0.5, 0.5, t.rank, t.y);
    return cj_apply(cj_sampler_graph(s), &cj_op_conv, in, n, &t.attrs);
}

cj_node *cj__conv_transpose_sample(cj_sampler *s, int i)
{
    shapes t;
    if (!draw(i, &t)) return NULL;
    t.attrs.dims = (cj_ints){t.at->spatial, t.at->n};
    cj_node *in[] = {cj_sample_real(s, -1, 1, t.rank, t.y), cj_sample_real(s, -1, 1, t.rank, t.w)};
    return cj_apply(cj_sampler_graph(s), &cj_op_conv_transpose, in, 2, &t.attrs);
}

cj_node *cj__conv_weight_grad_sample(cj_sampler *s, int i)
{
    shapes t;
    if (!draw(i, &t)) return NULL;
    t.attrs.dims = (cj_ints){t.at->spatial, t.at->kernel};
    cj_node *in[] = {cj_sample_real(s, -1, 1, t.rank, t.x), cj_sample_real(s, -1, 1, t.rank, t.y)};
    return cj_apply(cj_sampler_graph(s), &cj_op_conv_weight_grad, in, 2, &t.attrs);
}
