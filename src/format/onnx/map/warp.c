/* warp.c: DeformConv and AffineGrid.
 *
 * A deformable convolution (Dai et al. 2017; with a mask Zhu et al. 2019) is one whose elements lie
 * beside their places: x is read between its elements, as grid_sample does, at the places of the
 * kernel plus the offsets, and what is found is a matrix that the weights multiply. */
#include "format/onnx/map.h"
#include "graph/ops/image.h"
#include "graph/ops/norm.h"

/* ---- DeformConv ------------------------------------------------------------------------------ */

typedef struct deformation {
    int n; /* spatial axes */
    int64_t kernel[CJ__SPATIAL_MAX], strides[CJ__SPATIAL_MAX], dilations[CJ__SPATIAL_MAX],
        pads[2 * CJ__SPATIAL_MAX], taps;
    int64_t groups, parts; /* of channels: for the weights, and for the offsets */
    cj_dim images;         /* n * parts */
} deformation;

/* `n` numbers from `least` on; that when the attribute is absent. */
static void read_list(cj__onnx_reader *r, const char *name, int n, int64_t least, int64_t *v)
{
    int found = cj__onnx_get_ints(r, name, 2 * CJ__SPATIAL_MAX, v);
    for (int i = 0; found < 0 && i < n; i++) v[i] = least;
    if (found >= 0 && found != n) {
        cj__onnx_fail(r, CJ_ERR_DATA, "%s has %d numbers, expected %d", name, found, n);
        return;
    }
    for (int i = 0; i < n; i++)
        if (v[i] < least || v[i] > 1 << 30)
            cj__onnx_fail(r, CJ_ERR_DATA, "%s[%d] is %lld, expected %lld or more", name, i,
                          (long long)v[i], (long long)least);
}

static bool read_deformation(cj__onnx_reader *r, const cj_node *x, const cj_node *w,
                             const cj_node *offset, deformation *d)
{
    int64_t kernel[CJ__SPATIAL_MAX];
    int listed = cj__onnx_get_ints(r, "kernel_shape", CJ__SPATIAL_MAX, kernel);
    *d = (deformation){.n = x->type.rank - 2, .taps = 1};
    if (d->n < 1 || d->n > CJ__SPATIAL_MAX || w->type.rank != x->type.rank ||
        offset->type.rank != x->type.rank) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "operands of rank %d, %d and %d, expected three of 3 to 5",
                      x->type.rank, w->type.rank, offset->type.rank);
        return false;
    }
    read_list(r, "strides", d->n, 1, d->strides);
    read_list(r, "dilations", d->n, 1, d->dilations);
    read_list(r, "pads", 2 * d->n, 0, d->pads);
    d->groups = cj__onnx_get_int(r, "group", 1);
    d->parts = cj__onnx_get_int(r, "offset_group", 1);
    for (int i = 0; i < d->n; i++) {
        d->kernel[i] = w->type.dim[2 + i];
        if (d->kernel[i] < 1 || d->kernel[i] > 1 << 10)
            cj__onnx_fail(r, CJ_ERR_SHAPE, "a kernel of %s along axis %d, expected 1 to 1024",
                          cj_dim_text(r->g, d->kernel[i]), i);
        else if (listed >= 0 && (listed != d->n || kernel[i] != d->kernel[i]))
            cj__onnx_fail(r, CJ_ERR_DATA,
                          "kernel_shape is not %lld along axis %d, as its weights are",
                          (long long)d->kernel[i], i);
        else d->taps *= d->kernel[i];
    }
    cj_dim channels = x->type.dim[1], out = w->type.dim[0];
    if (r->failed) return false;
    if (d->groups < 1 || d->parts < 1 || d->parts > 1 << 30 || channels < 1 || out < 1 ||
        channels % d->groups || out % d->groups || channels % d->parts ||
        w->type.dim[1] != channels / d->groups ||
        offset->type.dim[1] != d->parts * d->taps * d->n) {
        cj__onnx_fail(r, CJ_ERR_SHAPE,
                      "%s channels, weights of %s x %s, offsets of %s; group %lld, offset_group "
                      "%lld",
                      cj_dim_text(r->g, channels), cj_dim_text(r->g, out),
                      cj_dim_text(r->g, w->type.dim[1]), cj_dim_text(r->g, offset->type.dim[1]),
                      (long long)d->groups, (long long)d->parts);
        return false;
    }
    d->images = cj_dim_mul(r->g, x->type.dim[0], d->parts);
    return true;
}

/* [n, parts * kernel * `each`, out...] as [n * parts, kernel..., each, out...], without `each`
 * where it is 0. */
static cj_node *by_tap(cj_node *x, const deformation *d, int each)
{
    cj_dim dims[CJ_RANK_MAX];
    int rank = 0;
    dims[rank++] = d->images;
    for (int i = 0; i < d->n; i++) dims[rank++] = d->kernel[i];
    if (each) dims[rank++] = each;
    for (int i = 0; i < d->n; i++) dims[rank++] = x->type.dim[2 + i];
    return cj_reshape(x, rank, dims);
}

/* What the kernel sees of x: [n * parts, kernel..., out..., channels of a part]. */
static cj_node *deformed(cj_graph *g, cj_node *x, cj_node *offset, const deformation *d)
{
    cj_dim dims[CJ_RANK_MAX] = {d->images, x->type.dim[1] / d->parts};
    int rank = 1 + 2 * d->n;
    cj_node *places[CJ__SPATIAL_MAX], *moved = by_tap(offset, d, d->n);
    for (int i = 0; i < d->n; i++) {
        cj_dtype dtype = x->type.dtype;
        dims[2 + i] = x->type.dim[2 + i];
        cj_node *tap = cj__onnx_places(g, dtype, 1 + i, rank, d->kernel[i]),
                *result = cj__onnx_places(g, dtype, 1 + d->n + i, rank, offset->type.dim[2 + i]);
        cj_node *at = cj_add(cj_scale(tap, (double)d->dilations[i]),
                             cj_shift(cj_scale(result, (double)d->strides[i]),
                                      -(double)d->pads[i]));
        cj_node *by = cj_squeeze(cj_slice_axis(moved, 1 + d->n, i, 1), 1 + d->n);
        places[i] = cj_add(at, by);
    }
    x = cj_reshape(x, d->n + 2, dims);
    return x ? cj__grid_read(cj__onnx_channels_last(x),
                             cj__onnx_places(g, CJ_I64, 0, rank, d->images), places, CJ__GRID_ZEROS,
                             false)
             : NULL;
}

/* Rows of weights times columns: y [n, group, out channels of it, places]. */
static cj_node *contract(cj_graph *g, cj_node *seen, cj_node *w, const cj_node *x,
                         const deformation *d)
{
    cj_dim places = 1, n = x->type.dim[0];
    int64_t part = x->type.dim[1] / d->parts, share = x->type.dim[1] / d->groups * d->taps;
    if (!seen) return NULL;
    for (int i = 0; i < d->n; i++)
        places = cj_dim_mul(g, places, seen->type.dim[1 + d->n + i]);
    seen = cj_reshape(seen, 5, (cj_dim[]){n, d->parts, d->taps, places, part});
    seen = cj_transpose(seen, (int64_t[]){0, 1, 4, 2, 3});
    seen = cj_reshape(seen, 4, (cj_dim[]){n, d->groups, share, places});
    w = cj_reshape(w, 3, (cj_dim[]){d->groups, w->type.dim[0] / d->groups, share});
    return cj_matmul(w, seen);
}

static void read_deform_conv(cj__onnx_reader *r, const cj__onnx_row *row)
{
    deformation d;
    cj_node *x = cj__onnx_node_in(r, 0), *w = cj__onnx_node_in(r, 1),
            *offset = cj__onnx_node_in(r, 2);
    cj_node *bias = cj__onnx_has(r, 3) ? cj__onnx_node_in(r, 3) : NULL,
            *mask = cj__onnx_has(r, 4) ? cj__onnx_node_in(r, 4) : NULL;
    (void)row;
    if (!x || !w || !offset || !read_deformation(r, x, w, offset, &d)) return;
    cj_dtype dtype = x->type.dtype, wide = cj__wide(dtype);
    cj_node *seen = deformed(r->g, cj_cast(x, wide), cj_cast(offset, wide), &d);
    if (mask) seen = cj_mul(seen, cj_expand_dims(by_tap(cj_cast(mask, wide), &d, 0), -1));
    cj_node *y = contract(r->g, seen, cj_cast(w, wide), x, &d);
    cj_dim dims[CJ_RANK_MAX] = {x->type.dim[0], w->type.dim[0]};
    for (int i = 0; i < d.n; i++) dims[2 + i] = offset->type.dim[2 + i];
    y = cj_reshape(y, d.n + 2, dims);
    if (bias) {
        cj_dim along[CJ_RANK_MAX] = {1, w->type.dim[0], 1, 1, 1};
        y = cj_add(y, cj_reshape(cj_cast(bias, wide), d.n + 2, along));
    }
    cj__onnx_set(r, 0, cj_cast(y, dtype));
}

/* ---- AffineGrid ------------------------------------------------------------------------------ */

/* Coordinates of n places from -1 to 1, of their centres or their outer edges; one place lies at 0.
 */
static cj_node *coordinates(cj_graph *g, cj_node *places, cj_dim size, bool corners)
{
    if (!places) return NULL;
    cj_dtype dtype = places->type.dtype;
    cj_node *n = cj_cast(cj_dim_value(g, size), dtype), *one = cj_scalar(g, dtype, 1);
    if (!corners) return cj_shift(cj_div(cj_shift(cj_scale(places, 2), 1), n), -1);
    cj_node *span = cj_maximum(cj_shift(n, -1), one);
    cj_node *first = cj_minimum(cj_shift(n, -1), one); /* 0 for one place */
    return cj_sub(cj_div(cj_scale(places, 2), span), first);
}

static void read_affine_grid(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_dim size[CJ__SPATIAL_MAX + 2], all = 1, dims[CJ_RANK_MAX];
    cj_node *theta = cj__onnx_node_in(r, 0), *parts[CJ__SPATIAL_MAX + 1];
    bool corners = cj__onnx_get_int(r, "align_corners", 0);
    int n = cj__onnx_dims_in(r, 1, "size", CJ__SPATIAL_MAX + 2, size) - 2;
    (void)row;
    if (!theta || r->failed) return;
    if (n < 2 || theta->type.rank != 3 || theta->type.dim[1] != n || theta->type.dim[2] != n + 1 ||
        !cj__is_float(theta->type.dtype)) {
        cj__onnx_fail(r, CJ_ERR_SHAPE,
                      "a size of %d numbers and theta of rank %d, expected floats [n, 2, 3] for 4 "
                      "and [n, 3, 4] for 5", n + 2, theta->type.rank);
        return;
    }
    cj_dtype dtype = theta->type.dtype, wide = cj__wide(dtype);
    for (int i = 0; i < n; i++) all = cj_dim_mul(r->g, all, size[2 + i]);
    for (int i = 0; i < n; i++) { /* the last axis is x, the first coordinate */
        cj_node *places = cj__onnx_places(r->g, wide, i, n, size[2 + i]);
        places = cj_broadcast_to(coordinates(r->g, places, size[2 + i], corners), n, size + 2);
        parts[n - 1 - i] = cj_reshape(places, 1, &all);
    }
    parts[n] = cj_broadcast_to(cj_scalar(r->g, wide, 1), 1, &all);
    cj_node *y = cj_matmul_transposed(cj_stack(parts, n + 1, 1), cj_cast(theta, wide), false, true);
    dims[0] = theta->type.dim[0];
    for (int i = 0; i < n; i++) dims[1 + i] = size[2 + i];
    dims[n + 1] = n;
    cj__onnx_set(r, 0, cj_cast(cj_reshape(y, n + 2, dims), dtype));
}

const cj__onnx_row cj__onnx_rows_warp[] = {
    {.onnx = "DeformConv", .read = read_deform_conv},
    {.onnx = "AffineGrid", .read = read_affine_grid},
    {0},
};
