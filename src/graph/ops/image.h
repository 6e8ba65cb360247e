/* image.h: attributes of the rows on images, and resizing along any axis. */
#ifndef CAJAL_GRAPH_OPS_IMAGE_H
#define CAJAL_GRAPH_OPS_IMAGE_H

#include "graph/ops/block.h"
#include "graph/ops/window.h"

/* ---- resize.c -------------------------------------------------------------------------------- */

typedef enum cj__resize_mode {
    CJ__RESIZE_NEAREST,
    CJ__RESIZE_LINEAR,
    CJ__RESIZE_CUBIC
} cj__resize_mode;
typedef enum cj__resize_coordinates {
    CJ__RESIZE_HALF_PIXEL,
    CJ__RESIZE_PYTORCH_HALF_PIXEL,
    CJ__RESIZE_HALF_PIXEL_SYMMETRIC,
    CJ__RESIZE_ALIGN_CORNERS,
    CJ__RESIZE_ASYMMETRIC,
    CJ__RESIZE_CROP,
    CJ__RESIZE_TF_NEAREST
} cj__resize_coordinates;
typedef enum cj__resize_rounding {
    CJ__RESIZE_PREFER_FLOOR,
    CJ__RESIZE_PREFER_CEIL,
    CJ__RESIZE_FLOOR,
    CJ__RESIZE_CEIL
} cj__resize_rounding;
extern const char *const cj__resize_mode_words[], *const cj__resize_coordinate_words[],
    *const cj__resize_rounding_words[];

/* Lists have a number for each of `axes`; begin and end are empty but for tf_crop_and_resize. */
typedef struct cj__resize_attrs {
    int mode, coordinates, nearest; /* enums above */
    double cubic_a, extrapolation;
    bool exclude_outside, antialias;
    cj_ints axes, sizes;
    cj_floats scales, begin, end;
} cj__resize_attrs;

/* One axis: m results (a cj_dim) at `scale` (0: m / n); begin and end as in cj_resize_opts. */
typedef struct cj__resize_axis {
    int axis;
    int64_t m;
    double scale, begin, end;
} cj__resize_axis;

/* x resized along each of the axes (the lists of `how` do not count); those that stay as they are
 * are left out, and x is returned when all do. */
cj_node *cj__resize_axes(cj_node *x, const cj__resize_attrs *how, int n,
                         const cj__resize_axis *axes);
/* floor(n scale); 0 for a symbol and a scale that is no fraction of 40 bits. */
cj_dim cj__resize_scaled(cj_graph *g, cj_dim n, double scale);
/* Which of the words it is, 0 for NULL; false: the graph has failed. */
bool cj__image_word(cj_graph *g, const char *op, const char *what, const char *word,
                    const char *const *words, int *choice);

/* ---- extend.c -------------------------------------------------------------------------------- */

extern const char *const cj__extend_words[];
typedef enum cj__extend_mode {
    CJ__EXTEND_EDGE,
    CJ__EXTEND_REFLECT,
    CJ__EXTEND_WRAP
} cj__extend_mode;
typedef struct cj__extend_attrs {
    cj_ints before, after; /* empty: zeros */
    int mode;
} cj__extend_attrs;

/* ---- grid_sample.c, depth_to_space.c --------------------------------------------------------- */

extern const char *const cj__grid_mode_words[], *const cj__grid_padding_words[];
typedef enum cj__grid_padding_mode { CJ__GRID_ZEROS, CJ__GRID_BORDER } cj__grid_padding_mode;
/* x [n, spatial..., c] between its elements, linearly: y[p, c] at place places[i][p] along spatial
 * axis i (0: its first element) of image number image[p]. All broadcast to one shape of points.
 * Elements outside are 0, or the nearest inside. largest: instead of the sum of the weighted
 * elements around a point the largest of them. */
cj_node *cj__grid_read(cj_node *x, cj_node *image, cj_node *const *places,
                       cj__grid_padding_mode padding, bool largest);
typedef struct cj__grid_attrs {
    int mode, padding; /* of the words */
    bool align_corners;
    int64_t channel_axis;
} cj__grid_attrs;

typedef struct cj__block_attrs { /* depth_to_space, space_to_depth */
    int64_t block;
    bool channel_major;
    int64_t channel_axis;
} cj__block_attrs;

#endif
