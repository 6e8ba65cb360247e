/* map_image.c: images resized, warped and rearranged. All of it is read as simpler operators. */
#include <string.h>

#include <cajal/image.h>

#include "format/onnx/map.h"
#include "graph/ops/resize.h"

static int word_of(cj__onnx_reader *r, const char *name, const char *initial,
                   const char *const *words)
{
    char word[32];
    if (!cj__onnx_get_word(r, name, initial, word)) return 0;
    for (int i = 0; words[i]; i++)
        if (!strcmp(words[i], word)) return i;
    cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "%s is '%s'", name, word);
    return 0;
}

/* ---- Resize, Upsample ------------------------------------------------------------------------ */

/* Constant input i as numbers; how many, 0 when it is absent or empty, -1 for a failure. */
static int read_numbers(cj__onnx_reader *r, size_t i, const char *what, int max, double *out)
{
    if (!cj__onnx_has(r, i)) return 0;
    const cj_tensor *t = cj__onnx_tensor_in(r, i);
    if (!t) {
        if (!r->failed) cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "%s is not known when reading", what);
        return -1;
    }
    int64_t n = cj_tensor_count(t);
    if (n > max) {
        cj__onnx_fail(r, CJ_ERR_DATA, "%s has %lld numbers, at most %d expected", what,
                      (long long)n, max);
        return -1;
    }
    const void *data = cj_tensor_map_read(t);
    for (int64_t k = 0; k < n; k++) out[k] = cj_load_f64(cj_tensor_dtype(t), data, (size_t)k);
    return (int)n;
}

/* Which axes the lists speak of. */
static int read_axes(cj__onnx_reader *r, const cj_node *x, int64_t axes[CJ_RANK_MAX])
{
    int n = cj__onnx_get_ints(r, "axes", CJ_RANK_MAX, axes), rank = x->type.rank;
    if (n < 0) {
        for (int i = 0; i < rank; i++) axes[i] = i;
        return r->failed ? -1 : rank;
    }
    for (int i = 0; i < n; i++) {
        if (axes[i] < 0) axes[i] += rank;
        if (axes[i] >= 0 && axes[i] < rank) continue;
        cj__onnx_fail(r, CJ_ERR_DATA, "axes[%d] is out of range for rank %d", i, rank);
        return -1;
    }
    return n;
}

/* One scale for all axes, so that the result fits into the sizes or covers them. */
static void keep_ratio(const cj_node *x, bool larger, int n, cj__resize_axis *axes)
{
    double scale = 0;
    for (int i = 0; i < n; i++) {
        double s = (double)axes[i].m / (double)x->type.dim[axes[i].axis];
        if (!i || (larger ? s > scale : s < scale)) scale = s;
    }
    for (int i = 0; i < n; i++) {
        double size = scale * (double)x->type.dim[axes[i].axis];
        axes[i].m = (int64_t)(size + 0.5);
        axes[i].scale = scale;
    }
}

static void resize(cj__onnx_reader *r, cj_node *x, const cj__resize *how, size_t scales_at,
                   size_t sizes_at, const double *attribute, int n_attribute)
{
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller", NULL};
    cj__resize_axis axes[CJ_RANK_MAX];
    int64_t which[CJ_RANK_MAX];
    double scales[CJ_RANK_MAX], roi[2 * CJ_RANK_MAX];
    cj_dim sizes[CJ_RANK_MAX];
    int n = read_axes(r, x, which), given = n_attribute, n_sizes = 0, n_roi = 0;
    if (n < 0) return;
    if (attribute) memcpy(scales, attribute, (size_t)n_attribute * sizeof *scales);
    else if ((given = read_numbers(r, scales_at, "scales", CJ_RANK_MAX, scales)) < 0) return;
    if (!given && sizes_at)
        if ((n_sizes = cj__onnx_dims_in(r, sizes_at, "sizes", CJ_RANK_MAX, sizes)) < 0) return;
    if (how->coordinates == CJ__RESIZE_CROP)
        if ((n_roi = read_numbers(r, 1, "roi", 2 * CJ_RANK_MAX, roi)) < 0) return;
    if (given + n_sizes != n || (n_roi && n_roi != 2 * n)) {
        cj__onnx_fail(r, CJ_ERR_DATA, "%d scales, %d sizes and %d numbers of roi for %d axes",
                      given, n_sizes, n_roi, n);
        return;
    }
    int policy = word_of(r, "keep_aspect_ratio_policy", "stretch", policies);
    for (int i = 0; i < n; i++) {
        cj_dim size = x->type.dim[which[i]];
        axes[i] = (cj__resize_axis){.axis = (int)which[i],
                                    .m = given ? size : sizes[i],
                                    .scale = given ? scales[i] : 0,
                                    .begin = n_roi ? roi[i] : 0,
                                    .end = n_roi ? roi[n + i] : 1};
        double m = given ? (double)size * scales[i] : 0;
        if (given && scales[i] != 1) {
            if (size < 0 || !(m >= 0) || m > 1e9) {
                cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "a scale of %g for axis %d of size %s",
                              scales[i], (int)which[i], cj_dim_text(r->g, size));
                return;
            }
            axes[i].m = (int64_t)m;
        }
        if (policy && size < 1) {
            cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "keep_aspect_ratio_policy for unknown sizes");
            return;
        }
    }
    if (policy && n_sizes) keep_ratio(x, policy == 2, n, axes);
    cj__onnx_set(r, 0, cj__resize_axes(x, how, n, axes));
}

static void read_resize(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    (void)row;
    if (!x) return;
    cj__resize how = {.mode = word_of(r, "mode", "nearest", cj__resize_mode_words)};
    if (r->opset < 11) {
        how.coordinates = CJ__RESIZE_ASYMMETRIC;
        how.rounding = CJ__RESIZE_FLOOR;
        if (!r->failed) resize(r, x, &how, 1, 0, NULL, 0);
        return;
    }
    how.coordinates = word_of(r, "coordinate_transformation_mode", "half_pixel",
                              cj__resize_coordinate_words);
    how.rounding = word_of(r, "nearest_mode", "round_prefer_floor", cj__resize_rounding_words);
    how.cubic_a = cj__onnx_get_float(r, "cubic_coeff_a", -0.75);
    how.extrapolation = cj__onnx_get_float(r, "extrapolation_value", 0);
    how.exclude_outside = cj__onnx_get_int(r, "exclude_outside", 0);
    how.antialias = cj__onnx_get_int(r, "antialias", 0);
    if (!r->failed) resize(r, x, &how, 2, 3, NULL, 0);
}

static void read_upsample(cj__onnx_reader *r, const cj__onnx_row *row)
{
    static const char *const modes[] = {"nearest", "linear", NULL};
    cj_node *x = cj__onnx_node_in(r, 0);
    (void)row;
    if (!x) return;
    cj__resize how = {.mode = word_of(r, "mode", "nearest", modes),
                      .coordinates = CJ__RESIZE_ASYMMETRIC,
                      .rounding = CJ__RESIZE_FLOOR};
    if (r->opset < 9) cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "Upsample before opset 9");
    if (!r->failed) resize(r, x, &how, 1, 0, NULL, 0);
}

/* ---- GridSample, DepthToSpace, SpaceToDepth -------------------------------------------------- */

static void read_grid_sample(cj__onnx_reader *r, const cj__onnx_row *row)
{
    static const char *const old[] = {"bilinear", "nearest", "bicubic", "linear", "cubic", NULL},
                             *const ours[] = {"linear", "nearest", "cubic", "linear", "cubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection", NULL};
    cj_node *x = cj__onnx_node_in(r, 0), *grid = cj__onnx_node_in(r, 1);
    (void)row;
    if (!x || !grid) return;
    cj_grid_sample_opts o = {.struct_size = sizeof o, .channel_axis = 1};
    o.mode = ours[word_of(r, "mode", r->opset < 20 ? "bilinear" : "linear", old)];
    o.padding = paddings[word_of(r, "padding_mode", "zeros", paddings)];
    o.align_corners = cj__onnx_get_int(r, "align_corners", 0);
    if (!r->failed) cj__onnx_set(r, 0, (cj_grid_sample)(x, grid, &o));
}

static void read_block(cj__onnx_reader *r, const cj__onnx_row *row)
{
    static const char *const modes[] = {"DCR", "CRD", NULL};
    bool last, to_space = !strcmp(row->onnx, "DepthToSpace");
    cj_node *x = cj__onnx_image_in(r, 0, &last);
    if (!x) return;
    cj_block_opts o = {.struct_size = sizeof o, .channel_axis = last ? -1 : 1};
    o.block = cj__onnx_get_int(r, "blocksize", 0);
    if (to_space) o.channel_major = word_of(r, "mode", "DCR", modes);
    if (!r->failed)
        cj__onnx_set_image(r, 0, to_space ? (cj_depth_to_space)(x, &o) : (cj_space_to_depth)(x, &o),
                           last);
}

const cj__onnx_row cj__onnx_rows_image[] = {
    {.onnx = "Resize", .read = read_resize},
    {.onnx = "Upsample", .read = read_upsample},
    {.onnx = "GridSample", .read = read_grid_sample},
    {.onnx = "DepthToSpace", .read = read_block},
    {.onnx = "SpaceToDepth", .read = read_block},
    {0},
};
