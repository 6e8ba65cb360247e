/* image.c: images resized, warped and rearranged.
 *
 * Images whose channels come last are written with a Transpose on either side, as convolutions are.
 * What the opset we write cannot say (antialiasing, a scale that no f32 holds, grids for other than
 * two axes, SpaceToDepth in the order CRD) or runtimes refuse (linear with exclude_outside) is
 * written as the arithmetic it is. */
#include <string.h>

#include <cajal/image.h>

#include "format/onnx/map.h"
#include "graph/ops/image.h"

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

static bool is_f32(double v) { return (double)(float)v == v; }

/* Scales for all axes, when some are given; false: Resize would not give this size, or (corners of
 * a size that is no whole number) runtimes disagree about it. */
static bool all_scales(const cj_call *call, double scales[CJ_RANK_MAX], bool *given)
{
    const cj__resize_attrs *a = call->attributes;
    const cj_type *x = &call->in[0]->type;
    *given = false;
    for (int i = 0; i < x->rank; i++) scales[i] = 1;
    for (int i = 0; i < a->axes.n; i++) {
        double *s = &scales[a->axes.v[i]], n = (double)x->dim[a->axes.v[i]];
        *given = *given || a->scales.v[i] != 0;
        *s = a->scales.v[i] != 0 ? a->scales.v[i] : (double)a->sizes.v[i] / n;
    }
    /* Whole ones say what sizes would say with the help of a batch that is a symbol. */
    bool whole_scales = !*given && x->dim[0] < 0;
    for (int i = 0; i < a->axes.n && whole_scales; i++) {
        const double v = scales[a->axes.v[i]];
        whole_scales = x->dim[a->axes.v[i]] > 0 && a->sizes.v[i] > 0 && v == (double)(int)v;
    }
    *given = *given || whole_scales;
    for (int i = 0; *given && i < a->axes.n; i++) {
        int64_t axis = a->axes.v[i], size = a->sizes.v[i];
        double m = (double)x->dim[axis] * scales[axis];
        bool whole = m == (double)size;
        if (x->dim[axis] < 0 || size < 0) {
            if (a->scales.v[i] == 0 ||
                cj__resize_scaled(call->graph, x->dim[axis], scales[axis]) != size)
                return false;
            m = (double)size;
            whole = scales[axis] == (double)(int64_t)scales[axis];
        }
        if (!is_f32(scales[axis]) || (int64_t)m != size) return false;
        if (a->coordinates == CJ__RESIZE_ALIGN_CORNERS && !whole) return false;
    }
    return true;
}

/* What part of each axis: all begins, then all ends. */
static bool region(const cj_call *call, double roi[2 * CJ_RANK_MAX])
{
    const cj__resize_attrs *a = call->attributes;
    int rank = call->in[0]->type.rank;
    for (int i = 0; i < 2 * rank; i++) roi[i] = i >= rank;
    for (int i = 0; i < a->begin.n; i++) {
        roi[a->axes.v[i]] = a->begin.v[i];
        roi[rank + a->axes.v[i]] = a->end.v[i];
        if (!is_f32(a->begin.v[i]) || !is_f32(a->end.v[i])) return false;
    }
    return true;
}

/* The last axis stays and axis 1 does not: channels last. Runtimes want them first. */
static bool has_last_channels(const cj_call *call)
{
    const cj__resize_attrs *a = call->attributes;
    int last = call->in[0]->type.rank - 1;
    bool first = false, end = false;
    for (int i = 0; i < a->axes.n; i++) {
        first = first || a->axes.v[i] == 1;
        end = end || a->axes.v[i] == last;
    }
    return first && !end;
}

static void write_resize(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj_call *call = w->call;
    const cj__resize_attrs *a = call->attributes;
    const cj_type *y = &call->out[0].type;
    double scales[CJ_RANK_MAX], roi[2 * CJ_RANK_MAX], s[CJ_RANK_MAX], part[2 * CJ_RANK_MAX];
    cj_dim dims[CJ_RANK_MAX];
    int rank = y->rank;
    bool last = has_last_channels(call), given;
    if (!all_scales(call, scales, &given) || !region(call, roi) || !is_f32(a->cubic_a) ||
        !is_f32(a->extrapolation) || a->antialias ||
        (a->exclude_outside && a->mode == CJ__RESIZE_LINEAR) ||
        a->coordinates == CJ__RESIZE_HALF_PIXEL_SYMMETRIC ||
        a->coordinates == CJ__RESIZE_TF_NEAREST) {
        cj__onnx_write_lowered(w);
        return;
    }
    for (int i = 0; i < rank; i++) { /* axes in the order in which they are written */
        int from = !last || !i ? i : i == 1 ? rank - 1 : i - 1;
        dims[i] = y->dim[from];
        s[i] = scales[from];
        part[i] = roi[from];
        part[rank + i] = roi[rank + from];
    }
    const char *in[] = {last ? cj__onnx_image(w, 0, -1) : cj__onnx_in(w, 0),
                        a->begin.n ? cj__onnx_floats(w, 2 * rank, part) : "",
                        given ? cj__onnx_floats(w, rank, s) : "",
                        given ? NULL : cj__onnx_dims(w, rank, dims)};
    const char *z = NULL;
    if (last) z = cj__onnx_step(w, row->onnx, in[0], in[1], in[2], in[3], NULL);
    else cj__onnx_last_list(w, row->onnx, given ? 3 : 4, in);
    cj__onnx_put_string(w, "mode", cj__resize_mode_words[a->mode]);
    cj__onnx_put_string(w, "coordinate_transformation_mode",
                        cj__resize_coordinate_words[a->coordinates]);
    cj__onnx_put_string(w, "nearest_mode", cj__resize_rounding_words[a->nearest]);
    if (a->mode == CJ__RESIZE_CUBIC) {
        cj__onnx_put_float(w, "cubic_coeff_a", a->cubic_a);
        cj__onnx_put_int(w, "exclude_outside", a->exclude_outside);
    }
    if (a->begin.n) cj__onnx_put_float(w, "extrapolation_value", a->extrapolation);
    if (last) cj__onnx_last_transposed(w, z, rank);
}

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

/* Scales are operand `at`; before opset 9 attributes: a list, or those of the last two axes. */
static int read_scales(cj__onnx_reader *r, size_t at, const cj_node *x, double out[CJ_RANK_MAX])
{
    const cj__onnx_attribute *list = cj__onnx_find_attribute(r->node, "scales");
    const int rank = x->type.rank;
    if (!list && !cj__onnx_has_attribute(r, "height_scale"))
        return read_numbers(r, at, "scales", CJ_RANK_MAX, out);
    if (list && (list->type != CJ__ONNX_ATTR_FLOATS || list->as.floats.count != (size_t)rank)) {
        cj__onnx_fail(r, CJ_ERR_DATA, "scales are not %d numbers", rank);
        return -1;
    }
    for (int i = 0; i < rank; i++)
        out[i] = list ? (double)list->as.floats.items[i]
                 : i < rank - 2
                     ? 1
                     : cj__onnx_get_float(r, i == rank - 2 ? "height_scale" : "width_scale", 1);
    return r->failed ? -1 : rank;
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

static void resize(cj__onnx_reader *r, const cj__resize_attrs *how, size_t scales_at,
                   size_t sizes_at)
{
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller", NULL};
    cj__resize_axis axes[CJ_RANK_MAX];
    int64_t which[CJ_RANK_MAX];
    double scales[CJ_RANK_MAX], roi[2 * CJ_RANK_MAX];
    cj_dim sizes[CJ_RANK_MAX];
    bool last;
    cj_node *x = cj__onnx_node_in(r, 0), *image = cj__onnx_image_in(r, 0, &last);
    if (!x || r->failed) return;
    int n = read_axes(r, x, which), n_sizes = 0, n_roi = 0;
    int given = n < 0 ? -1 : read_scales(r, scales_at, x, scales);
    if (given < 0) return;
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
        const double m = given ? (double)(size < 0 ? 1 : size) * scales[i] : 0;
        if (given && scales[i] != 1) {
            const bool fits = m >= 0 && m <= 1e9;
            axes[i].m = !fits ? 0 : size < 0 ? cj__resize_scaled(r->g, size, scales[i]) : (cj_dim)m;
            if (!fits || (size < 0 && !axes[i].m)) {
                cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "a scale of %g for axis %d of size %s",
                              scales[i], (int)which[i], cj_dim_text(r->g, size));
                return;
            }
        }
        if (policy && size < 1) {
            cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "keep_aspect_ratio_policy for unknown sizes");
            return;
        }
    }
    if (policy && n_sizes) keep_ratio(x, policy == 2, n, axes);
    for (int i = 0; last && i < n; i++) /* axes of the image before its Transpose */
        if (axes[i].axis) axes[i].axis = axes[i].axis == 1 ? x->type.rank - 1 : axes[i].axis - 1;
    /* Between whole numbers lie fractions, which are dropped. */
    bool whole = how->mode != CJ__RESIZE_NEAREST && !cj__is_float(x->type.dtype);
    cj_dtype wide = cj_dtype_info(x->type.dtype)->bits > 16 ? CJ_F64 : CJ_F32;
    cj_node *y = cj__resize_axes(whole ? cj_cast(image, wide) : image, how, n, axes);
    cj__onnx_set_image(r, 0, whole ? cj_cast(y, x->type.dtype) : y, last);
}

static void read_resize(cj__onnx_reader *r, const cj__onnx_row *row)
{
    (void)row;
    cj__resize_attrs how = {.mode = word_of(r, "mode", "nearest", cj__resize_mode_words)};
    if (r->opset < 11) {
        how.coordinates = CJ__RESIZE_ASYMMETRIC;
        how.nearest = CJ__RESIZE_FLOOR;
        if (!r->failed) resize(r, &how, 1, 0);
        return;
    }
    how.coordinates = word_of(r, "coordinate_transformation_mode", "half_pixel",
                              cj__resize_coordinate_words);
    how.nearest = word_of(r, "nearest_mode", "round_prefer_floor", cj__resize_rounding_words);
    how.cubic_a = cj__onnx_get_float(r, "cubic_coeff_a", -0.75);
    how.extrapolation = cj__onnx_get_float(r, "extrapolation_value", 0);
    how.exclude_outside = cj__onnx_get_int(r, "exclude_outside", 0);
    how.antialias = cj__onnx_get_int(r, "antialias", 0);
    if (!r->failed) resize(r, &how, 2, 3);
}

static void read_upsample(cj__onnx_reader *r, const cj__onnx_row *row)
{
    static const char *const modes[] = {"nearest", "linear", NULL},
                             *const old[] = {"nearest", "bilinear", NULL};
    (void)row;
    cj__resize_attrs how = {.mode = word_of(r, "mode", "nearest", r->opset < 7 ? old : modes),
                      .coordinates = CJ__RESIZE_ASYMMETRIC,
                      .nearest = CJ__RESIZE_FLOOR};
    if (!r->failed) resize(r, &how, 1, 0);
}

/* ---- GridSample, DepthToSpace, SpaceToDepth -------------------------------------------------- */

static void write_grid_sample(cj__onnx_writer *w, const cj__onnx_row *row)
{
    static const char *const modes[] = {"bilinear", "nearest", "bicubic"}, /* up to opset 19 */
        *const words[] = {"linear", "nearest", "cubic"};
    const cj__grid_attrs *a = w->call->attributes;
    if (w->call->in[0]->type.rank != 4 || w->call->in[1]->type.dtype == CJ_BF16) {
        cj__onnx_write_lowered(w);
        return;
    }
    const char *in[] = {cj__onnx_image(w, 0, a->channel_axis), cj__onnx_in(w, 1)}, *y = NULL;
    if (a->channel_axis == 1) cj__onnx_last_list(w, row->onnx, 2, in);
    else y = cj__onnx_step(w, row->onnx, in[0], in[1], NULL);
    cj__onnx_put_string(w, "mode", (w->opset < 20 ? modes : words)[a->mode]);
    cj__onnx_put_string(w, "padding_mode", cj__grid_padding_words[a->padding]);
    cj__onnx_put_int(w, "align_corners", a->align_corners);
    if (y) cj__onnx_last_transposed(w, y, 4);
}

static void read_grid_sample(cj__onnx_reader *r, const cj__onnx_row *row)
{
    static const char *const old[] = {"bilinear", "nearest", "bicubic", "linear", "cubic", NULL},
                             *const ours[] = {"linear", "nearest", "cubic", "linear", "cubic"};
    bool last;
    cj_node *x = cj__onnx_image_in(r, 0, &last), *grid = cj__onnx_node_in(r, 1);
    (void)row;
    if (!x || !grid) return;
    cj_grid_sample_opts o = {.struct_size = sizeof o, .channel_axis = last ? -1 : 1};
    o.mode = ours[word_of(r, "mode", r->opset < 20 ? "bilinear" : "linear", old)];
    o.padding = cj__grid_padding_words[word_of(r, "padding_mode", "zeros", cj__grid_padding_words)];
    o.align_corners = cj__onnx_get_int(r, "align_corners", 0);
    if (!r->failed) cj__onnx_set_image(r, 0, (cj_grid_sample)(x, grid, &o), last);
}

static const char *const orders[] = {"DCR", "CRD", NULL}; /* CRD: channel_major */

static void write_block(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj__block_attrs *a = w->call->attributes;
    bool to_space = row->op == &cj_op_depth_to_space;
    if (a->channel_major && !to_space) {
        cj__onnx_write_lowered(w);
        return;
    }
    const char *x = cj__onnx_image(w, 0, a->channel_axis), *y = NULL;
    if (a->channel_axis == 1) cj__onnx_last(w, row->onnx, x, NULL);
    else y = cj__onnx_step(w, row->onnx, x, NULL);
    cj__onnx_put_int(w, "blocksize", a->block);
    if (to_space) cj__onnx_put_string(w, "mode", orders[a->channel_major]);
    if (y) cj__onnx_last_transposed(w, y, 4);
}

static void read_block(cj__onnx_reader *r, const cj__onnx_row *row)
{
    bool last, to_space = row->op == &cj_op_depth_to_space;
    cj_node *x = cj__onnx_image_in(r, 0, &last);
    if (!x) return;
    cj_block_opts o = {.struct_size = sizeof o, .channel_axis = last ? -1 : 1};
    o.block = cj__onnx_get_int(r, "blocksize", 0);
    if (to_space) o.channel_major = word_of(r, "mode", orders[0], orders);
    if (!r->failed)
        cj__onnx_set_image(r, 0, to_space ? (cj_depth_to_space)(x, &o) : (cj_space_to_depth)(x, &o),
                           last);
}

const cj__onnx_row cj__onnx_rows_image[] = {
    {.onnx = "Resize", .op = &cj_op_resize, .write = write_resize, .read = read_resize},
    {.onnx = "Upsample", .read = read_upsample},
    {.onnx = "GridSample", .op = &cj_op_grid_sample, .write = write_grid_sample,
     .read = read_grid_sample},
    {.onnx = "DepthToSpace", .op = &cj_op_depth_to_space, .write = write_block,
     .read = read_block},
    {.onnx = "SpaceToDepth", .op = &cj_op_space_to_depth, .write = write_block,
     .read = read_block},
    {0},
};
