/* pool.h: pooling of images, sequences and volumes, as graph nodes.
 *
 *     y = cj_max_pool(x, .kernel = {2});                       // 2 x 2 windows, side by side
 *     cj_node *index = cj_node_output(y, 1);                   // where in its window each was
 *     y = cj_avg_pool(x, .kernel = {3}, .strides = {2}, .padding = "same");
 *     x = cj_pool_spread(y, index, .kernel = {2}, .sizes = {28, 28});     // unpooling
 *     y = cj_adaptive_avg_pool(x, .sizes = {7, 7});
 *
 * Images are [batch, spatial..., channels], or with channel_axis 1 [batch, channels, spatial...];
 * there are 1, 2 or 3 spatial axes. How windows lie is said in conv.h; here
 *
 *     result = floor((n + before + after - (kernel - 1) dilation - 1) / stride) + 1
 *
 * or with ceil_mode the ceiling, without windows that begin in the padding after. Padding never
 * wins and never adds. Layers of the same things are in layers.h. */
#ifndef CAJAL_POOL_H
#define CAJAL_POOL_H

#include <cajal/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Lists are by spatial axis; a number left out (0) of kernel, strides, dilations or sizes is the
 * one before it. */
typedef struct cj_pool_opts {
    size_t struct_size;
    int64_t kernel[3];       /* required */
    int64_t strides[3];      /* none: the kernel */
    int64_t dilations[3];    /* none: 1 */
    const char *padding;     /* "explicit" (default), "valid", "same", "same_lower": see conv.h */
    int64_t pads_before[3], pads_after[3];
    int channel_axis;        /* 1: first; 0 or -1: last */
    bool ceil_mode;
    bool count_include_pad;  /* cj_avg_pool: the padding counts as elements */
    bool sum;                /* cj_avg_pool: do not divide */
    double p;                /* cj_lp_pool: > 0; 0: 2 */
    cj_dim sizes[3];         /* cj_pool_spread, cj_max_unpool, cj_adaptive_*: of the result */
} cj_pool_opts;

/* Output 0: the largest element of each window, NaN before all, the first of equals. Output 1: its
 * place in the window, row by row, padding counted: u8 where windows have up to 256 places, else
 * i32. x: numbers. Fails for a window that holds padding only. */
CJ_API cj_node *cj_max_pool(cj_node *x, const cj_pool_opts *opts);
/* The element of each window of x at the place the index (as above) says; 0 for a place outside. */
CJ_API cj_node *cj_pool_pick(cj_node *x, cj_node *index, const cj_pool_opts *opts);
/* The transpose, also known as unpooling: zeros of the spatial sizes `sizes`, to which each element
 * of y is added at the place the index says. It is the gradient of cj_max_pool. */
CJ_API cj_node *cj_pool_spread(cj_node *y, cj_node *index, const cj_pool_opts *opts);
/* The mean of each window's elements (floats). */
CJ_API cj_node *cj_avg_pool(cj_node *x, const cj_pool_opts *opts);
/* (sum over the window of |x|^p)^(1/p). */
CJ_API cj_node *cj_lp_pool(cj_node *x, const cj_pool_opts *opts);

/* Output 1 of cj_max_pool as PyTorch counts (i64): the number of the element among all spatial
 * places of x, row by row. pooled: output 0 of cj_max_pool. */
CJ_API cj_node *cj_pool_flat_index(cj_node *pooled);
/* Unpooling with such an index: zeros of spatial sizes `sizes`, in which the elements of y are
 * written (not added) at the places of the index; out of range is an error when running. */
CJ_API cj_node *cj_max_unpool(cj_node *y, cj_node *flat_index, const cj_pool_opts *opts);

/* Windows floor(i n / m) .. ceil((i + 1) n / m) - 1 for m results along an axis of n elements.
 * Other than for m = 1, n must be a number. */
CJ_API cj_node *cj_adaptive_avg_pool(cj_node *x, const cj_pool_opts *opts);
CJ_API cj_node *cj_adaptive_max_pool(cj_node *x, const cj_pool_opts *opts);
/* Over all spatial axes: [batch, channels]; keep: spatial axes of size 1 stay. channel_axis 1:
 * first; 0 or -1: last. */
CJ_API cj_node *cj_global_avg_pool(cj_node *x, int channel_axis, bool keep);
CJ_API cj_node *cj_global_max_pool(cj_node *x, int channel_axis, bool keep);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define CJ_POOL_(name, x, ...) \
    cj_at_end((name)(cj_at(x, CJ_HERE), \
                     &(cj_pool_opts){.struct_size = sizeof(cj_pool_opts), __VA_ARGS__}))
#define CJ_POOL_INDEX_(name, x, index, ...) \
    cj_at_end((name)(cj_at(x, CJ_HERE), index, \
                     &(cj_pool_opts){.struct_size = sizeof(cj_pool_opts), __VA_ARGS__}))
#define cj_max_pool(x, ...) CJ_POOL_(cj_max_pool, x, __VA_ARGS__)
#define cj_avg_pool(x, ...) CJ_POOL_(cj_avg_pool, x, __VA_ARGS__)
#define cj_lp_pool(x, ...) CJ_POOL_(cj_lp_pool, x, __VA_ARGS__)
#define cj_adaptive_avg_pool(x, ...) CJ_POOL_(cj_adaptive_avg_pool, x, __VA_ARGS__)
#define cj_adaptive_max_pool(x, ...) CJ_POOL_(cj_adaptive_max_pool, x, __VA_ARGS__)
#define cj_pool_pick(x, index, ...) CJ_POOL_INDEX_(cj_pool_pick, x, index, __VA_ARGS__)
#define cj_pool_spread(y, index, ...) CJ_POOL_INDEX_(cj_pool_spread, y, index, __VA_ARGS__)
#define cj_max_unpool(y, index, ...) CJ_POOL_INDEX_(cj_max_unpool, y, index, __VA_ARGS__)
#define cj_pool_flat_index(x) CJ_AT_(cj_pool_flat_index, x)
#define cj_global_avg_pool(x, ...) CJ_AT_MORE_(cj_global_avg_pool, x, __VA_ARGS__)
#define cj_global_max_pool(x, ...) CJ_AT_MORE_(cj_global_max_pool, x, __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
