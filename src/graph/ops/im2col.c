/* im2col.c: the windows that a convolution reads, as the channels of an image; and back.
 *
 *     im2col   y[n, i..., c places + k] = x[n, i stride - before + k dilation, c]
 *     col2im   the sum of what im2col took from each element
 *
 * They are the convolution and the transposed one of each channel for itself whose filter
 * c places + k is 1 at place k alone, and are lowered to those. Both are linear and each is the
 * other's transpose, so each is the other's gradient. */
#include <string.h>

#include "graph/ops/block.h"
#include "graph/ops/conv.h"

/* The image's channels, the list of the kernel, and what both make. */
static cj_status check_columns(cj_infer *infer, bool wide, int *spatial, int64_t *places)
{
    cj__conv_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    cj__sliding s = cj__conv_sliding(a);
    int64_t weights;
    CJ__TRY(cj__infer_image(infer, x, &a->channel_axis, spatial));
    CJ__TRY(cj__infer_sliding(infer, &s, *spatial));
    if (a->kernel.n != *spatial)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "kernel has %d elements, expected %d",
                             a->kernel.n, *spatial);
    *places = 1;
    for (int i = 0; i < *spatial; i++) {
        if (a->kernel.v[i] < 1 || a->kernel.v[i] > INT16_MAX)
            return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "kernel[%d] is %lld", i,
                                 (long long)a->kernel.v[i]);
        *places *= a->kernel.v[i];
    }
    int64_t channels = x->dim[a->channel_axis], images = wide ? channels / *places : channels;
    if (channels < 1 || (wide && channels % *places))
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "%s channels%s",
                             cj_dim_text(infer->graph, channels),
                             channels > 0 ? " do not divide by the places of the kernel"
                                          : "; a positive number is expected");
    if (images > CJ__CONV_FAR || CJ__MUL_OVERFLOWS(images, *places, &weights) ||
        CJ__MUL_OVERFLOWS(weights, *places, &weights))
        return cj_infer_fail(infer, CJ_ERR_LIMIT, "a kernel of %lld places for %lld channels",
                             (long long)*places, (long long)images);
    infer->out[0] = *x;
    infer->out[0].dim[a->channel_axis] = wide ? images : images * *places;
    return CJ_OK;
}

static cj_status im2col_infer(cj_infer *infer)
{
    const cj__conv_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    cj__sliding s = cj__conv_sliding(a);
    int64_t places;
    int spatial;
    CJ__TRY(check_columns(infer, false, &spatial, &places));
    for (int i = 0; i < spatial; i++) {
        int axis = cj__spatial_axis(a->channel_axis, i);
        CJ__TRY(cj__infer_windows(infer, &s, i, x->dim[axis], a->kernel.v[i],
                                  &infer->out[0].dim[axis]));
    }
    return CJ_OK;
}

static cj_status col2im_infer(cj_infer *infer)
{
    const cj__conv_attrs *a = infer->call->attributes;
    const cj_type *columns = &infer->call->in[0]->type;
    cj__sliding s = cj__conv_sliding(a);
    int64_t places;
    int spatial;
    CJ__TRY(check_columns(infer, true, &spatial, &places));
    CJ__TRY(cj__infer_dims(infer, a->dims, 0));
    if (a->dims.n && a->dims.n != spatial)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "dims has %d elements, expected %d", a->dims.n,
                             spatial);
    for (int i = 0; i < spatial; i++) {
        int axis = cj__spatial_axis(a->channel_axis, i);
        cj_dim windows = columns->dim[axis], *n = &infer->out[0].dim[axis];
        if (!a->dims.n) {
            CJ__TRY(cj__infer_unslid(infer, &s, i, windows, a->kernel.v[i], n));
            continue;
        }
        *n = a->dims.v[i];
        CJ__TRY(cj__infer_window_count(infer, &s, i, *n, a->kernel.v[i], windows));
    }
    return CJ_OK;
}

/* Weights [images places, 1, kernel...] of which filter c places + k is 1 at place k alone. */
static cj_node *one_hot_kernel(cj_graph *g, const cj_call *call, int64_t images)
{
    const cj__conv_attrs *a = call->attributes;
    cj_dtype dtype = call->in[0]->type.dtype;
    int64_t dims[CJ_RANK_MAX] = {0, 1}, places = 1;
    for (int i = 0; i < a->kernel.n; i++) places *= dims[2 + i] = a->kernel.v[i];
    dims[0] = images * places;
    cj_tensor *t = cj_tensor_new(g->cj, dtype, 2 + a->kernel.n, dims);
    void *data = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    cj_node *w = NULL;
    if (!data) {
        cj__graph_fail(g, call->op->name, cj_last_status(g->cj), "%s", cj_message(g->cj));
    } else {
        for (int64_t i = 0; i < dims[0] * places; i++)
            cj_store_f64(dtype, data, (size_t)i, i / places % places == i % places);
        cj_tensor_unmap(t);
        w = cj_constant(g, t);
    }
    cj_tensor_free(t);
    return w;
}

static bool columns_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    cj__conv_attrs a = *(const cj__conv_attrs *)call->attributes;
    bool wide = call->op == &cj_op_col2im;
    const cj_type *image = wide ? &call->out[0].type : &call->in[0]->type;
    a.groups = image->dim[a.channel_axis];
    cj_node *in[] = {call->in[0], one_hot_kernel(g, call, a.groups)};
    out[0] = cj_apply(g, wide ? &cj_op_conv_transpose : &cj_op_conv, in, 2, &a);
    return out[0] != NULL;
}

static void columns_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    cj__conv_attrs a = *(const cj__conv_attrs *)call->attributes;
    bool wide = call->op == &cj_op_col2im;
    a.dims = (cj_ints){wide ? 0 : a.kernel.n,
                       &call->in[0]->type.dim[cj__spatial_axis(a.channel_axis, 0)]};
    dx[0] = cj_apply(g, wide ? &cj_op_im2col : &cj_op_col2im, dy, 1, &a);
}

static cj_node *columns_sample(cj_sampler *s, int i, bool wide)
{
    if (i >= 32) return NULL;
    int spatial = 1 + i % 3, rank = spatial + 2;
    int64_t kernel[3], strides[3], dilations[3], before[3], after[3], dims[5], places = 1;
    cj__conv_attrs a = {.groups = 1,
                        .channel_axis = i / 3 % 2 ? 1 : -1,
                        .padding = i % 4 == 3 ? 1 + i / 4 % 3 : CJ__PADDING_EXPLICIT,
                        .kernel = {spatial, kernel},
                        .strides = {i % 5 ? spatial : 0, strides},
                        .dilations = {i % 7 > 3 ? spatial : 0, dilations}};
    bool pads = a.padding == CJ__PADDING_EXPLICIT && i % 3 != 1;
    a.pads_before = (cj_ints){pads ? spatial : 0, before};
    a.pads_after = (cj_ints){pads ? spatial : 0, after};
    dims[0] = i == 13 ? 0 : 1 + i % 2;
    for (int k = 0; k < spatial; k++) {
        kernel[k] = i == 6 ? 1 : 1 + (i + k) % 3;
        strides[k] = 1 + (i + k) % 2;
        dilations[k] = kernel[k] < 3 ? 1 + (i / 2 + k) % 2 : 1;
        before[k] = (i + k) % 2;
        after[k] = (i / 2 + k) % 2;
        places *= kernel[k];
        dims[cj__spatial_axis(a.channel_axis, k)] = 5 - (spatial == 3) * (1 - k % 2) + i / 9 % 2;
    }
    dims[a.channel_axis == 1 ? 1 : rank - 1] = 1 + i % 2;
    if (!wide) {
        cj_node *x = cj_sample_real(s, -2, 2, rank, dims);
        return cj_apply(cj_sampler_graph(s), &cj_op_im2col, &x, 1, &a);
    }
    int64_t size[5];
    cj__sliding sliding = cj__conv_sliding(&a);
    memcpy(size, dims, sizeof size);
    for (int k = 0; k < spatial; k++) {
        int axis = cj__spatial_axis(a.channel_axis, k);
        dims[axis] = cj__window_of(&sliding, k, size[axis], kernel[k]).result;
    }
    dims[a.channel_axis == 1 ? 1 : rank - 1] *= places;
    a.dims = (cj_ints){i % 4 == 2 ? 0 : spatial, &size[cj__spatial_axis(a.channel_axis, 0)]};
    cj_node *columns = cj_sample_real(s, -2, 2, rank, dims);
    return cj_apply(cj_sampler_graph(s), &cj_op_col2im, &columns, 1, &a);
}

static cj_node *im2col_sample(cj_sampler *s, int i) { return columns_sample(s, i, false); }
static cj_node *col2im_sample(cj_sampler *s, int i) { return columns_sample(s, i, true); }

#define KERNEL \
    CJ__CONV_OPTIONS, CJ_OPTION_INTS(cj__conv_attrs, kernel, 0, 0, "places of a window, by axis")

static const cj_option im2col_options[] = {KERNEL, CJ_OPTION_END};
static const cj_option col2im_options[] = {
    KERNEL, CJ_OPTION_DIMS(cj__conv_attrs, dims, "spatial sizes of the result"), CJ_OPTION_END};

const cj_op cj_op_im2col = {
    .name = "im2col",
    .doc = "y[n, i, c places + k] = x[n, i stride - before + k dilation, c]",
    .inputs = 1,
    .attributes_size = sizeof(cj__conv_attrs),
    .attributes = im2col_options,
    .infer = im2col_infer,
    .grad = columns_grad,
    .lower = columns_lower,
    .sample = CJ__SAMPLE(im2col_sample),
};

const cj_op cj_op_col2im = {
    .name = "col2im",
    .doc = "x[n, p, c] = sum of y[n, i, c places + k] over i stride - before + k dilation = p",
    .inputs = 1,
    .attributes_size = sizeof(cj__conv_attrs),
    .attributes = col2im_options,
    .infer = col2im_infer,
    .grad = columns_grad,
    .lower = columns_lower,
    .sample = CJ__SAMPLE(col2im_sample),
};
