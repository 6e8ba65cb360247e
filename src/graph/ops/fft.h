/* fft.h: what the Fourier transform's row and its kernels share. */
#ifndef CAJAL_GRAPH_OPS_FFT_H
#define CAJAL_GRAPH_OPS_FFT_H

#include "graph/graph.h"

typedef struct cj__fft_attrs {
    int64_t axis;
    cj_ints length; /* one size, n; none in what is not inferred yet: that of the axis */
    bool inverse, onesided;
} cj__fft_attrs;

/* One call with numbers: lines along the axis, `stride` numbers (of 1 or 2 floats) apart. */
typedef struct cj__fft_shape {
    int64_t n;              /* of the transform */
    int64_t in, out;        /* numbers of a line that are read, and written */
    int64_t in_line, out_line; /* numbers of a line in memory */
    int64_t lines, stride;
    int in_parts, out_parts; /* 1: real, 2: complex */
} cj__fft_shape;

cj__fft_shape cj__fft_shape_of(const cj_kernel *k);

/* Number t of line i. */
static inline int64_t cj__fft_at(const cj__fft_shape *s, int64_t i, int64_t t, int64_t line)
{
    return (i / s->stride * line + t) * s->stride + i % s->stride;
}

#endif
