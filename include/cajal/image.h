/* image.h: images made larger, smaller, warped and rearranged, as graph nodes.
 *
 *     y = cj_resize(x, .sizes = {64, 64}, .mode = "linear");
 *     y = cj_grid_sample(x, grid, .mode = "linear", .padding = "border");
 *     y = cj_depth_to_space(x, .block = 2);
 *
 * Images are [batch, spatial..., channels], or with channel_axis 1 [batch, channels, spatial...];
 * there are 1, 2 or 3 spatial axes. Each is one call, which programs lower to simpler operators
 * (gather, matmul, arithmetic): those give the gradients, of any order. */
#ifndef CAJAL_IMAGE_H
#define CAJAL_IMAGE_H

#include <cajal/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Element i of m results lies at u in an axis of n elements; s is the scale, m / n or as given:
 *
 *     half_pixel            (i + 1/2) / s - 1/2      (default; Keras, PyTorch)
 *     pytorch_half_pixel    the same, 0 for m = 1
 *     half_pixel_symmetric  n/2 (1 - m / (s n)) + (i + 1/2) / s - 1/2
 *     align_corners         i (n - 1) / (s n - 1), 0 for s n = 1
 *     asymmetric            i / s
 *     tf_half_pixel_for_nn  (i + 1/2) / s, i for s = 1: no axis changes that keeps its size (ONNX
 *                           Runtime)
 *     tf_crop_and_resize    (begin (m - 1) + i (end - begin)) (n - 1) / (m - 1), the middle for m =
 * 1
 */
typedef struct cj_resize_opts {
    size_t struct_size;
    cj_dim sizes[3];          /* of the result; 0: floor(n scale) */
    double scales[3];         /* by spatial axis; 0: m / n */
    const char *mode;         /* "nearest" (default), "linear", "cubic" */
    const char *coordinates;  /* as above */
    const char *nearest; /* "round_prefer_floor" (default), "round_prefer_ceil", "floor", "ceil" */
    double cubic_a;           /* of cubic (Keys 1981); 0: -0.75 */
    bool exclude_outside;     /* elements outside do not count; else the nearest one inside does */
    bool antialias; /* when it shrinks, the filter is as wide as the distance of results */
    double begin[3], end[3];  /* tf_crop_and_resize: what part of the axis, in 0 .. 1 */
    double extrapolation;     /* tf_crop_and_resize: value of what lies outside */
    int channel_axis;         /* 1: first; 0 or -1: last */
} cj_resize_opts;
/* With antialias and with a crop spatial sizes are numbers. x: floats; with "nearest" any dtype. */
CJ_API cj_node *cj_resize(cj_node *x, const cj_resize_opts *opts);

typedef struct cj_grid_sample_opts {
    size_t struct_size;
    const char *mode;         /* "linear" (default), "nearest", "cubic" (a = -0.75) */
    const char *padding;      /* "zeros" (default), "border", "reflection" */
    bool align_corners;       /* -1 and 1 are the centres of the corners, not their outer edges */
    int channel_axis;
} cj_grid_sample_opts;
/* Values of x between its elements: y[n, i..., c] = x[n, at grid[n, i...], c]. grid [n, out...,
 * spatial axes of x] holds coordinates from -1 to 1, the last axis first (x, y, z) as in PyTorch
 * and ONNX. Differentiable in x and in grid. */
CJ_API cj_node *cj_grid_sample(cj_node *x, cj_node *grid, const cj_grid_sample_opts *opts);

typedef struct cj_block_opts {
    size_t struct_size;
    int64_t block;            /* required: the factor b of both spatial axes */
    bool channel_major;       /* channel c b^2 + k ("CRD", PyTorch's pixel_shuffle); else k C + c
                                 ("DCR", Keras's depth_to_space), for place k of C channels */
    int channel_axis;
} cj_block_opts;
/* [n, h, w, C b^2] -> [n, h b, w b, C], and back. */
CJ_API cj_node *cj_depth_to_space(cj_node *x, const cj_block_opts *opts);
CJ_API cj_node *cj_space_to_depth(cj_node *x, const cj_block_opts *opts);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_resize(x, ...) \
    cj_at_end((cj_resize)(cj_at(x, CJ_HERE), \
                          &(cj_resize_opts){.struct_size = sizeof(cj_resize_opts), __VA_ARGS__}))
#define cj_grid_sample(x, grid, ...) \
    cj_at_end((cj_grid_sample)( \
        cj_at(x, CJ_HERE), grid, \
        &(cj_grid_sample_opts){.struct_size = sizeof(cj_grid_sample_opts), __VA_ARGS__}))
#define cj_depth_to_space(x, ...) \
    cj_at_end((cj_depth_to_space)( \
        cj_at(x, CJ_HERE), &(cj_block_opts){.struct_size = sizeof(cj_block_opts), __VA_ARGS__}))
#define cj_space_to_depth(x, ...) \
    cj_at_end((cj_space_to_depth)( \
        cj_at(x, CJ_HERE), &(cj_block_opts){.struct_size = sizeof(cj_block_opts), __VA_ARGS__}))
#endif

#ifdef __cplusplus
}
#endif
#endif
