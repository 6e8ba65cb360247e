/* conv_build.c: builders of convolutions: keyword options become the lists that the rows take.
 *
 * Numbers left out of a list repeat the one before; words of padding that the rows do not know
 * ("causal") become explicit pads. What is wrong with shapes the rows say. */
#include "graph/ops/block.h"
#include "graph/ops/conv.h"

#include <cajal/conv.h>

#include <string.h>

typedef struct lists {
    cj__conv_attrs attrs;
    int64_t strides[CJ__SPATIAL_MAX], dilations[CJ__SPATIAL_MAX];
    int64_t before[CJ__SPATIAL_MAX], after[CJ__SPATIAL_MAX];
} lists;

static void repeat(int64_t to[CJ__SPATIAL_MAX], const int64_t from[CJ__SPATIAL_MAX])
{
    for (int i = 0; i < CJ__SPATIAL_MAX; i++)
        to[i] = from[i] ? from[i] : i ? to[i - 1] : 1;
}

static bool any(const int64_t v[CJ__SPATIAL_MAX])
{
    return v[0] || v[1] || v[2];
}

static bool set_padding(cj_graph *g, const char *op, const char *word, lists *l, int spatial,
                        const int64_t *kernel)
{
    static const char *const words[] = {"explicit", "valid", "same", "same_lower", "causal", NULL};
    int i = 0;
    while (word && words[i] && strcmp(words[i], word)) i++;
    if (!words[i])
        return cj__graph_fail(g, op, CJ_ERR_ARGUMENT,
                              "padding '%s' is none of explicit, valid, same, same_lower, causal",
                              word),
               false;
    bool causal = !strcmp(words[i], "causal"), pads = any(l->before) || any(l->after);
    if (i != CJ__PADDING_EXPLICIT && pads)
        return cj__graph_fail(g, op, CJ_ERR_ARGUMENT,
                              "pads are given, and padding is '%s'; \"explicit\" takes them", word),
               false;
    if (causal && spatial != 1)
        return cj__graph_fail(g, op, CJ_ERR_ARGUMENT,
                              "padding 'causal' is for one spatial axis; there are %d", spatial),
               false;
    l->attrs.padding = causal ? CJ__PADDING_EXPLICIT : i;
    if (causal && kernel[0] > 0 &&
        CJ__MUL_OVERFLOWS(kernel[0] - 1, l->dilations[0], &l->before[0]))
        return cj__graph_fail(g, op, CJ_ERR_LIMIT, "the kernel reaches over more than 2^63"), false;
    if (causal || pads) {
        l->attrs.pads_before = (cj_ints){spatial, l->before};
        l->attrs.pads_after = (cj_ints){spatial, l->after};
    }
    return true;
}

/* The lists of the options for images like x; lists that say nothing stay empty. */
static bool read_opts(const char *op, const cj_node *x, const int64_t *kernel,
                      const cj_conv_opts *o, lists *l)
{
    int spatial = x->type.rank - 2;
    *l = (lists){.attrs = {.groups = o->groups ? o->groups : 1,
                           .channel_axis = o->channel_axis ? o->channel_axis : -1}};
    if (spatial < 1 || spatial > CJ__SPATIAL_MAX) return true; /* the row says what is wrong */
    repeat(l->strides, o->strides);
    repeat(l->dilations, o->dilations);
    memcpy(l->before, o->pads_before, sizeof l->before);
    memcpy(l->after, o->pads_after, sizeof l->after);
    if (any(o->strides)) l->attrs.strides = (cj_ints){spatial, l->strides};
    if (any(o->dilations)) l->attrs.dilations = (cj_ints){spatial, l->dilations};
    return set_padding(cj_node_graph(x), op, o->padding, l, spatial, kernel);
}

/* The options in a structure of this version's size, and their lists. */
static bool take_opts(const char *op, const cj_node *x, const int64_t *kernel,
                      const cj_conv_opts *opts, cj_conv_opts *o, lists *l)
{
    *o = (cj_conv_opts){0};
    return cj__graph_opts(cj_node_graph(x), op, o, sizeof *o, opts) &&
           read_opts(op, x, kernel, o, l);
}

/* Both operands in one dtype; false when there is nothing to apply: *none is what to return then.
 */
static bool meet(cj_node **a, cj_node **b, cj_node **none)
{
    *none = NULL;
    if (!*a || !*b) return false;
    if (cj__is_zero(*a) || cj__is_zero(*b)) {
        *none = cj_zero;
        return false;
    }
    cj_dtype dtype = cj__promote((*a)->type.dtype, (*b)->type.dtype);
    *a = cj_cast(*a, dtype);
    *b = cj_cast(*b, dtype);
    return *a && *b;
}

/* Fails for lists of numbers where the weights' rank must tell how many are read. */
static bool fits(const char *op, const cj_node *x, const cj_node *w)
{
    if (w->type.rank == x->type.rank) return true;
    cj__graph_fail(cj_node_graph(x), op, CJ_ERR_SHAPE,
                   "the weights have rank %d, expected %d: [out, in / groups, kernel...]",
                   w->type.rank, x->type.rank);
    return false;
}

cj_node *(cj_conv)(cj_node *x, cj_node *w, const cj_conv_opts *opts)
{
    cj_conv_opts o;
    cj_node *none;
    lists l;
    if (!meet(&x, &w, &none)) return none;
    if (!fits("conv", x, w) || !take_opts("conv", x, &w->type.dim[2], opts, &o, &l)) return NULL;
    l.attrs.has_bias = o.bias && !cj__is_zero(o.bias);
    cj_node *in[] = {x, w, l.attrs.has_bias ? cj_cast(o.bias, x->type.dtype) : NULL};
    return cj_apply(cj_node_graph(x), &cj_op_conv, in, 2 + l.attrs.has_bias, &l.attrs);
}

/* Spatial sizes of the result that the options ask for, and how many elements more (`beyond`) no
 * window reaches; n = 0: the row computes them. */
static cj_ints result_sizes(cj_node *y, const cj_dim *sizes, const cj_conv_opts *o, lists *l,
                            cj_dim dims[CJ__SPATIAL_MAX], int64_t beyond[CJ__SPATIAL_MAX])
{
    cj_graph *g = cj_node_graph(y);
    int spatial = y->type.rank - 2;
    bool given = any(o->output_size);
    for (int i = 0; i < CJ__SPATIAL_MAX; i++) beyond[i] = 0;
    if (spatial < 1 || spatial > CJ__SPATIAL_MAX || (!given && !any(o->output_padding)))
        return (cj_ints){0, NULL};
    for (int i = 0; i < spatial; i++) {
        int64_t stride = l->strides[i], more = o->output_padding[i];
        dims[i] = o->output_size[i];
        if (given) continue;
        int64_t kernel = sizes[i] > 0 ? sizes[i] : 1;
        if (more >=
            stride) { /* a convolution has no such ends: less is cut off, then zeros follow */
            int64_t kept = more < l->after[i] ? more : l->after[i];
            l->after[i] -= kept;
            more -= kept;
            beyond[i] = more >= stride ? more - stride + 1 : 0;
        }
        dims[i] = cj_dim_mul(g, y->type.dim[cj__spatial_axis(l->attrs.channel_axis, i)], stride);
        dims[i] = cj__dim_shift(g, dims[i],
                                (kernel - 1) * l->dilations[i] + 1 - stride - l->before[i] -
                                    l->after[i] + more - beyond[i]);
    }
    return (cj_ints){spatial, dims};
}

/* A transposed convolution of in[0] whose result has the sizes that the options ask for. */
static cj_node *to_size(const cj_op *op, cj_node *const *in, int n_in, const cj_dim *kernel,
                        const cj_conv_opts *o, lists *l)
{
    cj_dim dims[CJ__SPATIAL_MAX];
    int64_t beyond[CJ__SPATIAL_MAX], pads[CJ_RANK_MAX] = {0};
    l->attrs.dims = result_sizes(in[0], kernel, o, l, dims, beyond);
    cj_node *x = cj_apply(cj_node_graph(in[0]), op, in, n_in, &l->attrs);
    for (int i = 0; i < CJ__SPATIAL_MAX; i++)
        pads[cj__spatial_axis(l->attrs.channel_axis, i)] = beyond[i];
    return any(beyond) ? cj_pad(x, NULL, pads, 0) : x;
}

/* A vector along the channels of an image. */
static cj_node *along_channels(cj_node *bias, const cj_node *image, int64_t channel_axis)
{
    if (!bias || channel_axis != 1 || bias->type.rank != 1) return bias;
    cj_dim dims[CJ_RANK_MAX];
    for (int i = 0; i < image->type.rank - 1; i++) dims[i] = i ? 1 : bias->type.dim[0];
    return cj_reshape(bias, image->type.rank - 1, dims);
}

cj_node *(cj_conv_transpose)(cj_node *y, cj_node *w, const cj_conv_opts *opts)
{
    cj_conv_opts o;
    cj_node *none;
    lists l;
    if (!meet(&y, &w, &none)) return none;
    if (!fits("conv_transpose", y, w) ||
        !take_opts("conv_transpose", y, &w->type.dim[2], opts, &o, &l))
        return NULL;
    cj_node *x = to_size(&cj_op_conv_transpose, (cj_node *[]){y, w}, 2, &w->type.dim[2], &o, &l);
    return o.bias ? cj_add(x, along_channels(o.bias, y, l.attrs.channel_axis)) : x;
}

cj_node *(cj_conv_weight_grad)(cj_node *x, cj_node *dy, const int64_t *kernel,
                               const cj_conv_opts *opts)
{
    cj_conv_opts o;
    cj_node *none;
    lists l;
    if (!meet(&x, &dy, &none)) return none;
    if (!take_opts("conv_weight_grad", x, kernel, opts, &o, &l)) return NULL;
    l.attrs.dims = (cj_ints){x->type.rank - 2, kernel};
    if (x->type.rank < 3) l.attrs.dims.n = 0;
    return cj_apply(cj_node_graph(x), &cj_op_conv_weight_grad, (cj_node *[]){x, dy}, 2, &l.attrs);
}

/* ---- im2col, col2im -------------------------------------------------------------------------- */

/* The options for windows over images like x, each channel for itself. */
static bool read_columns(const char *op, const cj_node *x, const int64_t *kernel,
                         const cj_conv_opts *opts, cj_conv_opts *o, lists *l)
{
    int spatial = x->type.rank - 2;
    if (!take_opts(op, x, kernel, opts, o, l)) return false;
    l->attrs.groups = 1;
    l->attrs.kernel = (cj_ints){spatial < 1 || spatial > CJ__SPATIAL_MAX ? 0 : spatial, kernel};
    return true;
}

cj_node *(cj_im2col)(cj_node *x, const int64_t *kernel, const cj_conv_opts *opts)
{
    cj_conv_opts o;
    lists l;
    if (!x || cj__is_zero(x)) return x;
    if (!read_columns("im2col", x, kernel, opts, &o, &l)) return NULL;
    return cj_apply(cj_node_graph(x), &cj_op_im2col, &x, 1, &l.attrs);
}

cj_node *(cj_col2im)(cj_node *columns, const int64_t *kernel, const cj_conv_opts *opts)
{
    cj_conv_opts o;
    lists l;
    if (!columns || cj__is_zero(columns)) return columns;
    if (!read_columns("col2im", columns, kernel, opts, &o, &l)) return NULL;
    return to_size(&cj_op_col2im, &columns, 1, kernel, &o, &l);
}
