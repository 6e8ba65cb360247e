/* resize.h: resizing along any axis, for builders and formats. */
#ifndef CAJAL_GRAPH_OPS_RESIZE_H
#define CAJAL_GRAPH_OPS_RESIZE_H

#include <cajal/image.h>

#include "graph/graph.h"

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
    CJ__RESIZE_CROP
} cj__resize_coordinates;
typedef enum cj__resize_rounding {
    CJ__RESIZE_PREFER_FLOOR,
    CJ__RESIZE_PREFER_CEIL,
    CJ__RESIZE_FLOOR,
    CJ__RESIZE_CEIL
} cj__resize_rounding;
extern const char *const cj__resize_mode_words[], *const cj__resize_coordinate_words[],
    *const cj__resize_rounding_words[];

typedef struct cj__resize {
    int mode, coordinates, rounding;
    double cubic_a, extrapolation;
    bool exclude_outside, antialias;
} cj__resize;

/* One axis: m results at `scale` (0: m / n); begin and end as in cj_resize_opts. */
typedef struct cj__resize_axis {
    int axis;
    int64_t m;
    double scale, begin, end;
} cj__resize_axis;

/* x resized along each of the axes; those that stay as they are are skipped. */
cj_node *cj__resize_axes(cj_node *x, const cj__resize *how, int n, const cj__resize_axis *axes);
#endif
