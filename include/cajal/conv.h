/* conv.h: convolutions of images, sequences and volumes, as graph nodes.
 *
 *     y = cj_conv(x, w, .padding = "same");                        // x [n, h, w, c], w [out, c, 3,
 * 3] y = cj_conv(x, w, .bias = b, .strides = {2, 2}, .pads_before = {1, 1}, .pads_after = {1, 1});
 *     y = cj_conv(x, w, .groups = channels);                       // depthwise: w [channels, 1, 3,
 * 3] x = cj_conv_transpose(y, w, .strides = {2, 2});              // the gradient of conv, and a
 * layer
 *
 * Images are [batch, spatial..., channels], or with channel_axis 1 [batch, channels, spatial...];
 * there are 1, 2 or 3 spatial axes. Weights are [out, in / groups, kernel...] for both, the order
 * of ONNX and PyTorch. A "convolution" does not flip its kernel, as everywhere in deep learning:
 *
 *     y[n, i, o] = bias[o] + sum over c, k of x[n, i stride - before + k dilation, c] w[o, c, k]
 *
 * Elements outside x count as 0. The three operators (conv, conv_transpose, conv_weight_grad) are
 * linear in both operands and each other's gradients, so derivatives of any order are made of them.
 * Layers with weights of their own are in layers.h. */
#ifndef CAJAL_CONV_H
#define CAJAL_CONV_H

#include <cajal/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Lists are by spatial axis. Of strides and dilations, a number left out (0) is the one before it,
 * and none at all is 1: {2} is {2, 2}. */
typedef struct cj_conv_opts {
    size_t struct_size;
    cj_node *bias;        /* [out]; NULL: none */
    int64_t strides[3], dilations[3];
    /* "explicit" (default): pads_before and pads_after. "valid": none. "same": as many results as
     * ceil(n / stride), the larger half of the padding after; "same_lower": the larger half before.
     * "causal" (one spatial axis): (kernel - 1) dilation before, so that no result sees what comes
     * later. */
    const char *padding;
    int64_t pads_before[3], pads_after[3];
    int64_t groups;       /* channels and results fall into so many independent parts; 0: 1 */
    int channel_axis;     /* 1: first; 0 or -1: last */
    /* cj_conv_transpose alone: elements added behind the result (less than stride adds windows'
     * ends that a convolution does not reach), or the spatial sizes of the result. */
    int64_t output_padding[3];
    cj_dim output_size[3];
} cj_conv_opts;

/* y: spatial sizes floor((n + before + after - (kernel - 1) dilation - 1) / stride) + 1. Fails for
 * channels that do not fit w and groups, for a window larger than the padded image, and for weights
 * whose kernel sizes are symbols. */
CJ_API cj_node *cj_conv(cj_node *x, cj_node *w, const cj_conv_opts *opts);
/* The transpose of cj_conv(., w): y [n, spatial..., out], w [out, in / groups, kernel...] gives
 * [n, spatial..., in] (+ bias [in]) of spatial sizes
 *     (n - 1) stride + (kernel - 1) dilation + 1 - before - after + output_padding
 * ("same": n stride). With the options of a convolution and output_size = sizes of its x, it is the
 * gradient with respect to x. */
CJ_API cj_node *cj_conv_transpose(cj_node *y, cj_node *w, const cj_conv_opts *opts);
/* sum over n, i of x[n, i stride - before + k dilation, c] dy[n, i, o]: the gradient of cj_conv
 * with respect to w, [out, in / groups, kernel...]. kernel: its sizes by spatial axis. */
CJ_API cj_node *cj_conv_weight_grad(cj_node *x, cj_node *dy, const int64_t *kernel,
                                    const cj_conv_opts *opts);

/* The elements under each window side by side: [n, result..., channels places], place k of channel
 * c at c places + k (torch's unfold). It is lowered to a convolution whose weights are ones and
 * zeros, one group a channel, and is saved as one. kernel: its sizes by spatial axis;
 * the number of channels must be known. bias, groups and output sizes do not apply. */
CJ_API cj_node *cj_im2col(cj_node *x, const int64_t *kernel, const cj_conv_opts *opts);
/* Its transpose (torch's fold): adds what lies under the windows back to an image of spatial sizes
 * opts->output_size (or the smallest that fits). */
CJ_API cj_node *cj_col2im(cj_node *columns, const int64_t *kernel, const cj_conv_opts *opts);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_im2col(x, kernel, ...) \
    cj_at_end((cj_im2col)(cj_at(x, CJ_HERE), kernel, \
                          &(cj_conv_opts){.struct_size = sizeof(cj_conv_opts), __VA_ARGS__}))
#define cj_col2im(x, kernel, ...) \
    cj_at_end((cj_col2im)(cj_at(x, CJ_HERE), kernel, \
                          &(cj_conv_opts){.struct_size = sizeof(cj_conv_opts), __VA_ARGS__}))
#define cj_conv(x, w, ...) \
    cj_at_end((cj_conv)(cj_at(x, CJ_HERE), w, \
                        &(cj_conv_opts){.struct_size = sizeof(cj_conv_opts), __VA_ARGS__}))
#define cj_conv_transpose(y, w, ...) \
    cj_at_end((cj_conv_transpose)( \
        cj_at(y, CJ_HERE), w, \
        &(cj_conv_opts){.struct_size = sizeof(cj_conv_opts), __VA_ARGS__}))
#define cj_conv_weight_grad(x, dy, kernel, ...) \
    cj_at_end((cj_conv_weight_grad)( \
        cj_at(x, CJ_HERE), dy, kernel, \
        &(cj_conv_opts){.struct_size = sizeof(cj_conv_opts), __VA_ARGS__}))
#endif

#ifdef __cplusplus
}
#endif
#endif
