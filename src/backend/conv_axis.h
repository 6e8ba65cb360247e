/* conv_axis.h: how results of a convolution and elements of its source meet along an axis; shared
 * by the backends' own kernels. */
#ifndef CAJAL_BACKEND_CONV_AXIS_H
#define CAJAL_BACKEND_CONV_AXIS_H

#include "graph/ops/window.h"

/* One axis of a grid: result number t is element first + t step and reads elements
 * from + t advance + j apart of the source as place k_first + j k_step, j = 0 .. places - 1. */
typedef struct cj__conv_axis {
    int64_t first, step, count;
    int64_t source, from, advance, apart, places;
    int64_t k_first, k_step;
} cj__conv_axis;
typedef cj__conv_axis axis;

/* Windows of the image. */
cj__conv_axis cj__conv_axis_forward(const cj__window *w);
/* Elements p of the image with (p + before) mod stride = residue, which all meet the same places of
 * the windows; places from the last, so that the windows go upwards. */
cj__conv_axis cj__conv_axis_backward(const cj__window *w, int64_t residue);

static inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
/* How many parts of `size` hold n; the multiple of `to` that does. */
static inline int64_t parts_of(int64_t n, int64_t size) { return (n + size - 1) / size; }
static inline int64_t up(int64_t n, int64_t to) { return parts_of(n, to) * to; }

#endif
