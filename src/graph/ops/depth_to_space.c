/* depth_to_space.c: blocks of pixels as channels, and back.
 *
 *     depth_to_space   [n, h, w, C b^2] -> [n, h b, w b, C]
 *     space_to_depth   the other way
 *
 * Both only move elements: what they are lowered to is a transposition of [n, h, b, w, b', C],
 * whose axes stand in one order for the image and in another for the channels of a pixel. Each is
 * the other's inverse, and so its gradient. */
#include "graph/ops/image.h"

#include <cajal/image.h>

#include <string.h>

static cj_status shuffle_infer(cj_infer *infer)
{
    cj__block_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    cj_type *y = &infer->out[0];
    cj_graph *g = infer->graph;
    bool to_space = infer->call->op == &cj_op_depth_to_space;
    int64_t b = a->block;
    int spatial;
    if (x->rank != 4)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "an operand of rank %d, expected 4", x->rank);
    CJ__TRY(cj__infer_image_axes(infer, x, &a->channel_axis, &spatial));
    *y = *x;
    for (int i = 0; i < 3; i++) {
        int axis = i < 2 ? cj__spatial_axis(a->channel_axis, i) : (int)a->channel_axis;
        cj_dim *d = &y->dim[axis], by = i < 2 ? b : b * b;
        if ((i < 2) == to_space) {
            *d = cj_dim_mul(g, *d, by);
            continue;
        }
        *d = cj_dim_div(g, *d, by);
        if (!cj_infer_equal(infer, cj_dim_mul(g, *d, by), x->dim[axis]))
            return cj_infer_fail(infer, CJ_ERR_SHAPE, "%s %s do not divide into blocks of %lld",
                                 cj_dim_text(g, x->dim[axis]),
                                 i < 2 ? "rows or columns" : "channels", (long long)b);
    }
    return g->failed;
}

/* The channels of a pixel are b b' C of them, or C b b' with channel_major. */
static bool shuffle_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    /* Axes by name: 0 n, 1 h, 2 b of h, 3 w, 4 b of w, 5 c. */
    static const int packed_last[2][6] = {{0, 1, 3, 2, 4, 5}, {0, 1, 3, 5, 2, 4}},
                     packed_first[2][6] = {{0, 2, 4, 5, 1, 3}, {0, 5, 2, 4, 1, 3}},
                     open_last[6] = {0, 1, 2, 3, 4, 5}, open_first[6] = {0, 5, 1, 2, 3, 4};
    const cj__block_attrs *a = call->attributes;
    bool to_space = call->op == &cj_op_depth_to_space, first = a->channel_axis == 1;
    const cj_type *y = &call->out[0].type, *deep = to_space ? &call->in[0]->type : y,
                  *wide = to_space ? y : &call->in[0]->type;
    int h = cj__spatial_axis(a->channel_axis, 0), w = h + 1;
    const int *packed = (first ? packed_first : packed_last)[a->channel_major];
    const int *open = first ? open_first : open_last;
    const int *from = to_space ? packed : open, *to = to_space ? open : packed;
    cj_dim size[] = {deep->dim[0], deep->dim[h], a->block,
                     deep->dim[w], a->block,     wide->dim[a->channel_axis]};
    cj_dim dims[6];
    int64_t p[6];
    (void)g;
    for (int i = 0; i < 6; i++) {
        dims[i] = size[from[i]];
        for (int k = 0; k < 6; k++)
            if (from[k] == to[i]) p[i] = k;
    }
    out[0] = cj_reshape(cj_transpose(cj_reshape(call->in[0], 6, dims), p), 4, y->dim);
    return out[0] != NULL;
}

static void shuffle_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    const cj_op *back = call->op == &cj_op_depth_to_space ? &cj_op_space_to_depth
                                                          : &cj_op_depth_to_space;
    dx[0] = cj_apply(g, back, dy, 1, call->attributes);
}

static cj_node *shuffle_sample(cj_sampler *s, int i, const cj_op *op)
{
    if (i >= 28) return NULL;
    cj__block_attrs a = {.block = 1 + i % 3,
                         .channel_major = i / 2 % 2,
                         .channel_axis = i / 4 % 2 ? 1 : -1};
    bool to_space = op == &cj_op_depth_to_space;
    int64_t b = a.block, by = to_space ? 1 : b, dims[4];
    int h = cj__spatial_axis(a.channel_axis, 0);
    dims[0] = i == 8 ? 0 : 1 + i % 2;
    dims[h] = (i == 11 ? 0 : 1 + i % 4) * by;
    dims[h + 1] = (1 + i / 3 % 3) * by;
    dims[a.channel_axis == 1 ? 1 : 3] = (i == 14 ? 0 : 1 + i / 5 % 3) * (to_space ? b * b : 1);
    cj_node *x = i < 24 ? cj_sample_real(s, -2, 2, 4, dims)
                        : cj_sample_int(s, i % 2 ? CJ_U8 : CJ_I64, 0, 99, 4, dims);
    return cj_apply(cj_sampler_graph(s), op, &x, 1, &a);
}

static cj_node *to_space_sample(cj_sampler *s, int i)
{
    return shuffle_sample(s, i, &cj_op_depth_to_space);
}
static cj_node *to_depth_sample(cj_sampler *s, int i)
{
    return shuffle_sample(s, i, &cj_op_space_to_depth);
}

static const cj_option block_options[] = {
    CJ_OPTION_INT(cj__block_attrs, block, 1, 1, 1 << 20, "the factor b of both spatial axes"),
    CJ_OPTION_BOOL(cj__block_attrs, channel_major, false,
                   "place k of channel c is channel c b^2 + k, not k C + c"),
    CJ_OPTION_INT(cj__block_attrs, channel_axis, -1, -1, CJ_RANK_MAX - 1,
                  "of images: 1, or -1, the last"),
    CJ_OPTION_END};

const cj_op cj_op_depth_to_space = {
    .name = "depth_to_space",
    .doc = "the b^2 C channels of a pixel as b x b pixels of C channels (pixel shuffle)",
    .inputs = 1,
    .attributes_size = sizeof(cj__block_attrs),
    .attributes = block_options,
    .flags = CJ_OP_ANY_DTYPE,
    .infer = shuffle_infer,
    .grad = shuffle_grad,
    .lower = shuffle_lower,
    .sample = CJ__SAMPLE(to_space_sample),
};

const cj_op cj_op_space_to_depth = {
    .name = "space_to_depth",
    .doc = "b x b pixels of C channels as the b^2 C channels of one (pixel unshuffle)",
    .inputs = 1,
    .attributes_size = sizeof(cj__block_attrs),
    .attributes = block_options,
    .flags = CJ_OP_ANY_DTYPE,
    .infer = shuffle_infer,
    .grad = shuffle_grad,
    .lower = shuffle_lower,
    .sample = CJ__SAMPLE(to_depth_sample),
};

static cj_node *shuffle(const cj_op *op, cj_node *x, const cj_block_opts *opts)
{
    cj_block_opts o = {0};
    if (!x || cj__is_zero(x)) return x;
    if (!cj__graph_opts(cj_node_graph(x), op->name, &o, sizeof o, opts)) return NULL;
    cj__block_attrs a = {o.block, o.channel_major, o.channel_axis ? o.channel_axis : -1};
    return cj_apply(cj_node_graph(x), op, &x, 1, &a);
}

cj_node *(cj_depth_to_space)(cj_node *x, const cj_block_opts *opts)
{
    return shuffle(&cj_op_depth_to_space, x, opts);
}
cj_node *(cj_space_to_depth)(cj_node *x, const cj_block_opts *opts)
{
    return shuffle(&cj_op_space_to_depth, x, opts);
}
