/* map_region.c: regions of images: RoiAlign, MaxRoiPool, DeformConv, AffineGrid, CenterCropPad,
 * ImageDecoder.
 *
 * RoiAlign and deformable convolution read x between its elements, as grid_sample does, at places
 * that are arithmetic on the regions or offsets: for each point the elements around it are gathered
 * and weighted, and the gradients are those of the operators used. */
#include <math.h>
#include <string.h>

#include <cajal/picture.h>

#include "format/onnx/map.h"
#include "graph/ops/image.h"
#include "graph/ops/norm.h"
#include "tensor/tensor.h"

static cj_node *size_node(cj_graph *g, cj_dim d, cj_dtype dtype)
{
    return d >= 0 ? cj_scalar(g, dtype, (double)d) : cj_cast(cj_dim_value(g, d), dtype);
}

/* 0, 1 ... n - 1 along one axis of `rank`, the others being 1. */
static cj_node *places_along(cj_graph *g, cj_dtype dtype, int axis, int rank, cj_dim n)
{
    cj_dim dims[CJ_RANK_MAX];
    for (int i = 0; i < rank; i++) dims[i] = i == axis ? n : 1;
    return cj_iota(g, dtype, axis, rank, dims);
}

/* A vector along axis 0 of `rank`. */
static cj_node *first_axis(cj_node *vector, int rank)
{
    cj_dim dims[CJ_RANK_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};
    if (!vector) return NULL;
    dims[0] = vector->type.dim[0];
    return cj_reshape(vector, rank, dims);
}

/* Column `i` of regions [r, n], along axis 0 of `rank`. */
static cj_node *column(cj_node *regions, int i, int rank)
{
    return first_axis(cj_squeeze(cj_slice_axis(regions, 1, i, 1), 1), rank);
}

static cj_node *channels_last(cj_node *x)
{
    int64_t p[CJ_RANK_MAX] = {0};
    int rank = x->type.rank;
    for (int i = 1; i < rank; i++) p[i] = i == rank - 1 ? 1 : i + 1;
    return cj_transpose(x, p);
}

/* ---- RoiAlign -------------------------------------------------------------------------------- */

/* Points [regions, bins, samples, bins, samples]: rows before columns. */
enum { POINT_RANK = 5 };

typedef struct region_axis {
    cj_node *at, *counts, *inside; /* places; samples in a bin of each region; which points count */
    cj_node *within;               /* those of them that lie on the image, 1, else 0 */
} region_axis;

typedef struct aligning {
    cj_node *regions, *image;
    double scale, offset;
    bool forced;           /* no region is smaller than 1 */
    int64_t ratio;         /* samples along an axis of a bin; 0: as many as elements it covers */
    cj_dtype dtype;
} aligning;

/* How many samples each region's bins have, and the most of all, from regions that are known. */
static cj_node *adaptive_counts(cj__onnx_reader *r, const aligning *a, int which, int64_t bins,
                                int64_t *most)
{
    const cj_tensor *known = cj__onnx_tensor_in(r, 1);
    cj_tensor *t = known ? cj_tensor_new(r->cj, a->dtype, 1, known->shape) : NULL;
    void *to = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    *most = 1;
    if (!to) {
        cj__onnx_fail(r, known ? CJ_ERR_MEMORY : CJ_ERR_UNSUPPORTED,
                      known ? "out of memory"
                            : "sampling_ratio 0 of regions that are not known when reading");
        cj_tensor_free(t);
        return NULL;
    }
    for (int64_t i = 0; i < known->shape[0]; i++) {
        double end[2];
        for (int k = 0; k < 2; k++) {
            end[k] = cj_load_f64(known->dtype, cj__tensor_data(known),
                                 (size_t)(i * 4 + which + 2 * k)) * a->scale;
            if (known->dtype != CJ_F64) end[k] = (double)(float)end[k]; /* as it runs */
        }
        double size = end[1] - end[0];
        if (a->forced && size < 1) size = 1;
        double n = ceil(size / (double)bins);
        n = n > 0 ? n : 0; /* no NaN */
        if (n > 1 << 16) cj__onnx_fail(r, CJ_ERR_LIMIT, "region %lld has bins of %g samples",
                                       (long long)i, n);
        if (n > (double)*most && !r->failed) *most = (int64_t)n;
        cj_store_f64(a->dtype, to, (size_t)i, n);
    }
    cj_tensor_unmap(t);
    cj_node *node = cj_constant(r->g, t);
    cj_tensor_free(t);
    return node;
}

/* Coordinate `which` (0: x) of the points, along axes `axis` and axis + 1. */
static bool align_axis(cj__onnx_reader *r, const aligning *a, int which, int axis, int64_t bins,
                       cj_dim size, region_axis *y)
{
    cj_graph *g = r->g;
    int64_t most = a->ratio;
    cj_node *one = cj_scalar(g, a->dtype, 1), *none = cj_scalar(g, a->dtype, 0);
    y->counts = a->ratio ? cj_scalar(g, a->dtype, (double)a->ratio)
                         : first_axis(adaptive_counts(r, a, which, bins, &most), POINT_RANK);
    cj_node *begin = cj_scale(column(a->regions, which, POINT_RANK), a->scale),
            *end = cj_scale(column(a->regions, which + 2, POINT_RANK), a->scale);
    cj_node *extent = cj_sub(end, begin);
    if (!extent || !y->counts || r->failed) return false;
    if (a->forced) extent = cj_maximum(extent, one);
    cj_node *bin = cj_scale(extent, 1 / (double)bins),
            *bin_number = places_along(g, a->dtype, axis, POINT_RANK, bins),
            *sample = places_along(g, a->dtype, axis + 1, POINT_RANK, most);
    cj_node *step = cj_div(bin, cj_maximum(y->counts, one));
    y->at = cj_add(cj_add(cj_shift(begin, -a->offset), cj_mul(bin_number, bin)),
                   cj_mul(cj_shift(sample, 0.5), step));
    y->inside = cj_less(sample, y->counts);
    cj_node *n = size_node(g, size, a->dtype);
    cj_node *on = cj_logical_and(cj_greater_equal(y->at, cj_scalar(g, a->dtype, -1)),
                                 cj_less_equal(y->at, n));
    y->within = cj_where(on, one, none);
    return y->within != NULL;
}

/* The mean over a bin's samples, or the largest; 0 for a bin without any. [regions, h, w, c] */
static cj_node *over_samples(cj_graph *g, cj_node *values, const region_axis axes[2], bool largest)
{
    const int64_t samples[] = {2, 4};
    cj_node *counts = cj_mul(axes[0].counts, axes[1].counts),
            *counted = cj_expand_dims(cj_logical_and(axes[0].inside, axes[1].inside), -1);
    if (!values || !counts || !counted) return NULL;
    cj_dtype dtype = values->type.dtype;
    cj_node *none = cj_scalar(g, dtype, 0), *one = cj_scalar(g, dtype, 1);
    if (!largest) {
        values = cj_reduce_sum(cj_where(counted, values, none), 2, samples, false);
        counts = cj_maximum(counts, one);
    } else {
        values = cj_where(counted, values, cj_scalar(g, dtype, -INFINITY));
        values = cj_reduce_max(values, 2, samples, false);
    }
    if (counts->type.rank) counts = first_axis(cj_reshape(counts, 1, counts->type.dim), 4);
    return largest ? cj_where(cj_greater(counts, none), values, none) : cj_div(values, counts);
}

static bool read_aligning(cj__onnx_reader *r, aligning *a, bool *largest)
{
    char mode[32], coordinates[32];
    if (!cj__onnx_get_word(r, "mode", "avg", mode) ||
        !cj__onnx_get_word(r, "coordinate_transformation_mode",
                           r->opset < 16 ? "output_half_pixel" : "half_pixel", coordinates))
        return false;
    *largest = !strcmp(mode, "max");
    a->forced = strcmp(coordinates, "half_pixel") != 0;
    a->offset = a->forced ? 0 : 0.5;
    a->scale = cj__onnx_get_float(r, "spatial_scale", 1);
    a->ratio = cj__onnx_get_int(r, "sampling_ratio", 0);
    if ((strcmp(mode, "avg") && !*largest) ||
        (a->forced && strcmp(coordinates, "output_half_pixel")) || a->ratio < 0 ||
        a->ratio > 1 << 16)
        cj__onnx_fail(r, CJ_ERR_DATA, "mode '%s', coordinate_transformation_mode '%s', "
                      "sampling_ratio %lld", mode, coordinates, (long long)a->ratio);
    return !r->failed;
}

/* Images [n, c, h, w] and regions [r, columns]. */
static bool are_regions(cj__onnx_reader *r, const cj_node *x, const cj_node *regions, int columns)
{
    if (!x || !regions) return false;
    if (x->type.rank == 4 && cj__is_float(x->type.dtype) && regions->type.rank == 2 &&
        regions->type.dim[1] == columns)
        return true;
    cj__onnx_fail(r, CJ_ERR_SHAPE,
                  "images of rank %d and regions of rank %d, expected floats [n, c, h, w] and "
                  "[regions, %d]", x->type.rank, regions->type.rank, columns);
    return false;
}

static bool read_bins(cj__onnx_reader *r, int64_t h, int64_t w)
{
    if (h < 1 || w < 1 || h > 1 << 16 || w > 1 << 16)
        cj__onnx_fail(r, CJ_ERR_DATA, "%lld x %lld results of a region", (long long)h,
                      (long long)w);
    return !r->failed;
}

static void read_roi_align(cj__onnx_reader *r, const cj__onnx_row *row)
{
    aligning a;
    region_axis axes[2];
    bool largest;
    int64_t bins[] = {cj__onnx_get_int(r, "output_height", 1),
                      cj__onnx_get_int(r, "output_width", 1)};
    cj_node *x = cj__onnx_node_in(r, 0), *regions = cj__onnx_node_in(r, 1),
            *image = cj__onnx_node_in(r, 2);
    (void)row;
    if (!image || !are_regions(r, x, regions, 4) || !read_bins(r, bins[0], bins[1]) ||
        !read_aligning(r, &a, &largest))
        return;
    if (image->type.rank != 1) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "batch_indices of rank %d", image->type.rank);
        return;
    }
    a.dtype = cj__wide(x->type.dtype);
    a.regions = cj_stop_gradient(cj_cast(regions, a.dtype));
    for (int i = 0; i < 2; i++)
        if (!align_axis(r, &a, 1 - i, 1 + 2 * i, bins[i], x->type.dim[2 + i], &axes[i])) return;
    image = first_axis(cj_cast(image, CJ_I64), POINT_RANK);
    cj_node *values = cj__grid_read(channels_last(cj_cast(x, a.dtype)), image,
                                    (cj_node *[]){axes[0].at, axes[1].at}, CJ__GRID_BORDER,
                                    largest);
    values = cj_mul(values, cj_expand_dims(cj_mul(axes[0].within, axes[1].within), -1));
    cj_node *y = over_samples(r->g, values, axes, largest);
    cj__onnx_set(r, 0, cj_cast(cj_transpose(y, (int64_t[]){0, 3, 1, 2}), x->type.dtype));
}

/* ---- MaxRoiPool ------------------------------------------------------------------------------ */

/* Half away from 0, as C rounds. */
static cj_node *rounded(cj_node *x)
{
    return cj_mul(cj_sign(x), cj_floor(cj_shift(cj_abs(x), 0.5)));
}

/* Which elements of an axis belong to which bin: bool [regions, bins, n] in six axes, as [regions,
 * bins or 1, bins or 1, n or 1, n or 1, 1]. A region ends with the element of its second corner. */
static cj_node *bin_elements(cj_graph *g, cj_node *regions, double scale, int which, int64_t bins,
                             cj_dim n)
{
    enum { RANK = 6 };
    int axis = 2 - which;
    cj_node *begin = rounded(cj_scale(column(regions, 1 + which, RANK), scale)),
            *end = rounded(cj_scale(column(regions, 3 + which, RANK), scale));
    if (!begin || !end) return NULL;
    cj_dtype dtype = begin->type.dtype;
    cj_node *extent = cj_maximum(cj_shift(cj_sub(end, begin), 1), cj_scalar(g, dtype, 1));
    cj_node *bin = cj_scale(extent, 1 / (double)bins),
            *number = places_along(g, dtype, axis, RANK, bins),
            *element = places_along(g, dtype, axis + 2, RANK, n);
    cj_node *first = cj_add(cj_floor(cj_mul(number, bin)), begin),
            *last = cj_add(cj_ceil(cj_mul(cj_shift(number, 1), bin)), begin);
    return cj_logical_and(cj_greater_equal(element, first), cj_less(element, last));
}

static void read_max_roi_pool(cj__onnx_reader *r, const cj__onnx_row *row)
{
    int64_t bins[2];
    double scale = cj__onnx_get_float(r, "spatial_scale", 1);
    cj_node *x = cj__onnx_node_in(r, 0), *regions = cj__onnx_node_in(r, 1);
    (void)row;
    if (!are_regions(r, x, regions, 5)) return;
    if (cj__onnx_get_ints(r, "pooled_shape", 2, bins) != 2) {
        cj__onnx_fail(r, CJ_ERR_DATA, "pooled_shape has not 2 numbers");
        return;
    }
    if (!read_bins(r, bins[0], bins[1])) return;
    const cj_type *type = &x->type;
    cj_dtype dtype = cj__wide(type->dtype);
    regions = cj_stop_gradient(cj_cast(regions, dtype));
    cj_node *rows = bin_elements(r->g, regions, scale, 1, bins[0], type->dim[2]),
            *columns = bin_elements(r->g, regions, scale, 0, bins[1], type->dim[3]);
    cj_node *image = cj_cast(cj_squeeze(cj_slice_axis(regions, 1, 0, 1), 1), CJ_I64);
    cj_node *none = cj_scalar(r->g, type->dtype, 0),
            *least = cj_scalar(r->g, type->dtype, -INFINITY);
    cj_node *y = cj_gather(channels_last(x), image, 0); /* [regions, h, w, c] */
    if (!y || !rows || !columns) return;
    y = cj_expand_dims(cj_expand_dims(y, 1), 1);
    y = cj_reduce_max(cj_where(columns, y, least), 1, (int64_t[]){4}, true);
    y = cj_reduce_max(cj_where(rows, y, least), 2, (int64_t[]){3, 4}, false);
    y = cj_where(cj_equal(y, least), none, y); /* a bin beside the image */
    cj__onnx_set(r, 0, cj_transpose(y, (int64_t[]){0, 3, 1, 2}));
}

/* ---- DeformConv ------------------------------------------------------------------------------ */

typedef struct deformation {
    int n; /* spatial axes */
    int64_t kernel[CJ__SPATIAL_MAX], strides[CJ__SPATIAL_MAX], dilations[CJ__SPATIAL_MAX],
        pads[2 * CJ__SPATIAL_MAX], taps;
    int64_t groups, parts; /* of channels: for the weights, and for the offsets */
    cj_dim images;         /* n * parts */
} deformation;

/* `n` positive numbers; 1s when the attribute is absent. */
static void read_list(cj__onnx_reader *r, const char *name, int n, int64_t least, int64_t *v)
{
    int found = cj__onnx_get_ints(r, name, 2 * CJ__SPATIAL_MAX, v);
    for (int i = 0; found < 0 && i < n; i++) v[i] = least;
    for (int i = 0; i < n; i++)
        if ((found >= 0 && found != n) || v[i] < least || v[i] > 1 << 30) {
            cj__onnx_fail(r, CJ_ERR_DATA, "%s has %d numbers, expected %d from %lld on", name,
                          found, n, (long long)least);
            return;
        }
}

static bool read_deformation(cj__onnx_reader *r, const cj_node *x, const cj_node *w,
                             const cj_node *offset, deformation *d)
{
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
        if (d->kernel[i] < 1) cj__onnx_fail(r, CJ_ERR_SHAPE, "a kernel without known sizes");
        else d->taps *= d->kernel[i] < 1 << 10 ? d->kernel[i] : 1 << 10;
    }
    cj_dim channels = x->type.dim[1], out = w->type.dim[0];
    if (r->failed) return false;
    if (d->groups < 1 || d->parts < 1 || channels < 1 || out < 1 || channels % d->groups ||
        out % d->groups || channels % d->parts || w->type.dim[1] != channels / d->groups ||
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
        cj_node *tap = places_along(g, dtype, 1 + i, rank, d->kernel[i]),
                *result = places_along(g, dtype, 1 + d->n + i, rank, offset->type.dim[2 + i]);
        cj_node *at = cj_add(cj_scale(tap, (double)d->dilations[i]),
                             cj_shift(cj_scale(result, (double)d->strides[i]),
                                      -(double)d->pads[i]));
        cj_node *by = cj_squeeze(cj_slice_axis(moved, 1 + d->n, i, 1), 1 + d->n);
        places[i] = cj_add(at, by);
    }
    x = cj_reshape(x, d->n + 2, dims);
    return x ? cj__grid_read(channels_last(x), places_along(g, CJ_I64, 0, rank, d->images), places,
                             CJ__GRID_ZEROS, false)
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
    cj_node *n = size_node(g, size, dtype), *one = cj_scalar(g, dtype, 1);
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
        cj_node *places = places_along(r->g, wide, i, n, size[2 + i]);
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

/* ---- CenterCropPad, ImageDecoder ------------------------------------------------------------- */

/* Of an odd difference the smaller half lies before. */
static void read_center_crop_pad(cj__onnx_reader *r, const cj__onnx_row *row)
{
    int64_t axes[CJ_RANK_MAX], before[CJ_RANK_MAX] = {0}, after[CJ_RANK_MAX] = {0};
    cj_dim wanted[CJ_RANK_MAX];
    cj_node *x = cj__onnx_node_in(r, 0);
    (void)row;
    int n = cj__onnx_dims_in(r, 1, "shape", CJ_RANK_MAX, wanted),
        n_axes = cj__onnx_get_ints(r, "axes", CJ_RANK_MAX, axes);
    if (!x || n < 0 || r->failed) return;
    if (n != (n_axes < 0 ? x->type.rank : n_axes)) {
        cj__onnx_fail(r, CJ_ERR_DATA, "%d sizes for %d axes", n,
                      n_axes < 0 ? x->type.rank : n_axes);
        return;
    }
    for (int i = 0; i < n; i++) {
        int axis = cj__axis(x, "CenterCropPad", n_axes < 0 ? i : axes[i], x->type.rank);
        if (axis < 0) return;
        cj_dim size = x->type.dim[axis];
        if (size == wanted[i]) continue;
        if (size < 0 || wanted[i] < 0) {
            cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "axis %d of %s elements made %s", axis,
                          cj_dim_text(r->g, size), cj_dim_text(r->g, wanted[i]));
            return;
        }
        int64_t more = wanted[i] - size;
        before[axis] = more / 2;
        after[axis] = more - more / 2;
    }
    cj__onnx_set(r, 0, cj_pad(x, before, after, 0));
}

/* A picture that cannot be read is one of no pixels, as ONNX has it; a kind of file that this build
 * does not read is not supported. */
static void read_image_decoder(cj__onnx_reader *r, const cj__onnx_row *row)
{
    char format[32];
    const cj_tensor *bytes = cj__onnx_tensor_in(r, 0);
    cj_tensor *picture = NULL;
    (void)row;
    if (!bytes) cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "a stream that is not known when reading");
    if (!cj__onnx_get_word(r, "pixel_format", "RGB", format)) return;
    bool grey = !strcmp(format, "Grayscale"), turned = !strcmp(format, "BGR");
    if ((strcmp(format, "RGB") && !grey && !turned) || bytes->dtype != CJ_U8) {
        cj__onnx_fail(r, CJ_ERR_DATA, "pixel_format '%s' of %s", format,
                      cj_dtype_info(bytes->dtype)->name);
        return;
    }
    cj_status failed = cj_picture_read(r->cj, cj__tensor_data(bytes), (size_t)bytes->count,
                                       grey ? CJ_PICTURE_GREY : CJ_PICTURE_RGB, &picture);
    if (failed == CJ_ERR_DATA)
        picture = cj_tensor_new(r->cj, CJ_U8, 3, (int64_t[]){0, 0, grey ? 1 : 3});
    if (!picture) {
        cj__onnx_fail(r, failed == CJ_ERR_DATA ? CJ_ERR_MEMORY : failed, "%s", cj_message(r->cj));
        return;
    }
    cj_node *y = cj_constant(r->g, picture);
    cj_tensor_free(picture);
    cj__onnx_set(r, 0, turned ? cj_reverse(y, 2) : y);
}

const cj__onnx_row cj__onnx_rows_region[] = {
    {.onnx = "RoiAlign", .read = read_roi_align},
    {.onnx = "MaxRoiPool", .read = read_max_roi_pool},
    {.onnx = "DeformConv", .read = read_deform_conv},
    {.onnx = "AffineGrid", .read = read_affine_grid},
    {.onnx = "CenterCropPad", .read = read_center_crop_pad},
    {.onnx = "ImageDecoder", .read = read_image_decoder},
    {0},
};
