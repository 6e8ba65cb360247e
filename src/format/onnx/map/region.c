/* region.c: regions of images: RoiAlign, MaxRoiPool, CenterCropPad; ImageDecoder.
 *
 * RoiAlign reads x between its elements, as grid_sample does, at places that are arithmetic on the
 * regions: for each point the elements around it are gathered and weighted. The gradient with
 * respect to x is that of the operators used; regions have none. */
#include <math.h>
#include <string.h>

#include <cajal/picture.h>

#include "format/onnx/map.h"
#include "graph/ops/image.h"
#include "graph/ops/norm.h"
#include "tensor/tensor.h"

cj_node *cj__onnx_places(cj_graph *g, cj_dtype dtype, int axis, int rank, cj_dim n)
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

cj_node *cj__onnx_channels_last(cj_node *x)
{
    int64_t p[CJ_RANK_MAX] = {0};
    int rank = x ? x->type.rank : 0;
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
        if (n > 1 << 16)
            cj__onnx_fail(r, CJ_ERR_LIMIT, "region %lld has bins of %g samples, more than 65536",
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
    cj_node *bin = cj_div(extent, cj_scalar(g, a->dtype, (double)bins)),
            *bin_number = cj__onnx_places(g, a->dtype, axis, POINT_RANK, bins),
            *sample = cj__onnx_places(g, a->dtype, axis + 1, POINT_RANK, most);
    cj_node *step = cj_div(bin, cj_maximum(y->counts, one));
    y->at = cj_add(cj_add(cj_shift(begin, -a->offset), cj_mul(bin_number, bin)),
                   cj_mul(cj_shift(sample, 0.5), step));
    y->inside = cj_less(sample, y->counts);
    cj_node *n = cj_cast(cj_dim_value(g, size), a->dtype);
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
        cj__onnx_fail(r, CJ_ERR_DATA,
                      "mode '%s', coordinate_transformation_mode '%s', sampling_ratio %lld; "
                      "expected avg or max, half_pixel or output_half_pixel, 0 or more",
                      mode, coordinates, (long long)a->ratio);
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
        cj__onnx_fail(r, CJ_ERR_DATA, "%lld x %lld results of a region, expected 1 or more",
                      (long long)h, (long long)w);
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
        cj__onnx_fail(r, CJ_ERR_SHAPE, "batch_indices of rank %d, expected 1", image->type.rank);
        return;
    }
    a.dtype = cj__wide(x->type.dtype);
    a.regions = cj_stop_gradient(cj_cast(regions, a.dtype));
    for (int i = 0; i < 2; i++)
        if (!align_axis(r, &a, 1 - i, 1 + 2 * i, bins[i], x->type.dim[2 + i], &axes[i])) return;
    image = first_axis(cj_cast(image, CJ_I64), POINT_RANK);
    cj_node *values = cj__grid_read(cj__onnx_channels_last(cj_cast(x, a.dtype)), image,
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
    cj_node *bin = cj_div(extent, cj_scalar(g, dtype, (double)bins)),
            *number = cj__onnx_places(g, dtype, axis, RANK, bins),
            *element = cj__onnx_places(g, dtype, axis + 2, RANK, n);
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
    cj_node *y = cj_gather(cj__onnx_channels_last(x), image, 0); /* [regions, h, w, c] */
    if (!y || !rows || !columns) return;
    y = cj_expand_dims(cj_expand_dims(y, 1), 1);
    y = cj_reduce_max(cj_where(columns, y, least), 1, (int64_t[]){4}, true);
    y = cj_reduce_max(cj_where(rows, y, least), 2, (int64_t[]){3, 4}, false);
    y = cj_where(cj_equal(y, least), none, y); /* a bin beside the image */
    cj__onnx_set(r, 0, cj_transpose(y, (int64_t[]){0, 3, 1, 2}));
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

/* A kind of file that ONNX lists and Cajal does not read; NULL when it is none. */
static const char *foreign_kind(const cj_tensor *bytes)
{
    static const struct {
        const char *name, *begin;
        int64_t size;
    } kinds[] = {{"TIFF", "II*\0", 4}, {"TIFF", "MM\0*", 4}, {"WebP", "RIFF", 4},
                 {"JPEG 2000", "\0\0\0\fjP  ", 8}, {"JPEG 2000", "\377O\377Q", 4}};
    for (size_t i = 0; i < CJ__COUNT(kinds); i++)
        if (bytes->count >= kinds[i].size &&
            !memcmp(cj__tensor_data(bytes), kinds[i].begin, (size_t)kinds[i].size))
            return kinds[i].name;
    return NULL;
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
        cj__onnx_fail(r, CJ_ERR_DATA,
                      "pixel_format '%s' of %s, expected RGB, BGR or Grayscale of u8", format,
                      cj_dtype_info(bytes->dtype)->name);
        return;
    }
    if (foreign_kind(bytes)) {
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "a picture as %s", foreign_kind(bytes));
        return;
    }
    cj_status failed = cj_picture_read(r->cj, cj__tensor_data(bytes), (size_t)bytes->count,
                                       grey ? CJ_PICTURE_GREY : CJ_PICTURE_RGB, &picture);
    bool broken = failed == CJ_ERR_DATA || failed == CJ_ERR_FORMAT;
    if (broken)
        picture = cj_tensor_new(r->cj, CJ_U8, 3, (int64_t[]){0, 0, grey ? 1 : 3});
    if (!picture) {
        cj__onnx_fail(r, broken ? CJ_ERR_MEMORY : failed, "%s", cj_message(r->cj));
        return;
    }
    cj_node *y = cj_constant(r->g, picture);
    cj_tensor_free(picture);
    cj__onnx_set(r, 0, turned ? cj_reverse(y, 2) : y);
}

const cj__onnx_row cj__onnx_rows_region[] = {
    {.onnx = "RoiAlign", .read = read_roi_align},
    {.onnx = "MaxRoiPool", .read = read_max_roi_pool},
    {.onnx = "CenterCropPad", .read = read_center_crop_pad},
    {.onnx = "ImageDecoder", .read = read_image_decoder},
    {0},
};
