/* resize.c: images made larger and smaller, one axis after the other.
 *
 * Along an axis each result is a weighted sum of a few elements, whose places and weights depend on
 * sizes alone: they are tables that the row's lowering makes, or nodes where sizes are symbols.
 *
 *     nearest                1 element      gather
 *     linear, cubic          2, 4           as many gathers, each times its weights
 *     with antialias         many           a matrix product
 *
 * An element outside stands for the nearest one inside, or has no weight with exclude_outside. */
#include "graph/ops/image.h"
#include "graph/ops/norm.h"

#include <cajal/image.h>

#include <math.h>
#include <string.h>

enum { MOST = 1 << 20, TAPS = 4 };

const char *const cj__resize_mode_words[] = {"nearest", "linear", "cubic", NULL};
const char *const cj__resize_coordinate_words[] = {
    "half_pixel", "pytorch_half_pixel", "half_pixel_symmetric",
    "align_corners", "asymmetric", "tf_crop_and_resize",
    "tf_half_pixel_for_nn", NULL};
const char *const cj__resize_rounding_words[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                                 "ceil", NULL};

/* ---- Where results lie, and weights ---------------------------------------------------------- */

static double place_of(const cj__resize_attrs *how, const cj__resize_axis *a, int64_t size,
                       int64_t i)
{
    double n = (double)size, m = (double)a->m, s = a->scale, x = (double)i;
    double half = (x + 0.5) / s - 0.5;
    switch (how->coordinates) {
    case CJ__RESIZE_PYTORCH_HALF_PIXEL: return a->m > 1 ? half : 0;
    case CJ__RESIZE_HALF_PIXEL_SYMMETRIC: return n / 2 * (1 - m / (s * n)) + half;
    case CJ__RESIZE_ALIGN_CORNERS: return s * n != 1 ? x * (n - 1) / (s * n - 1) : 0;
    case CJ__RESIZE_ASYMMETRIC: return x / s;
    case CJ__RESIZE_TF_NEAREST: return s == 1 ? x : (x + 0.5) / s;
    case CJ__RESIZE_CROP:
        if (a->m == 1) return 0.5 * (a->begin + a->end) * (n - 1);
        return a->begin * (n - 1) + x * (a->end - a->begin) * (n - 1) / (m - 1);
    default: return half;
    }
}

static double nearest_of(int rounding, double u)
{
    switch (rounding) {
    case CJ__RESIZE_PREFER_CEIL: return floor(u + 0.5);
    case CJ__RESIZE_FLOOR: return floor(u);
    case CJ__RESIZE_CEIL: return ceil(u);
    default: return ceil(u - 0.5);
    }
}

/* The filter at distance d. */
static double filter(const cj__resize_attrs *how, double d)
{
    double a = how->cubic_a;
    d = fabs(d);
    if (how->mode == CJ__RESIZE_LINEAR) return d < 1 ? 1 - d : 0;
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

static int64_t inside(double i, int64_t n)
{
    return i < 0 ? 0 : i > (double)(n - 1) ? n - 1 : (int64_t)i;
}

static bool widens(const cj__resize_attrs *how, const cj__resize_axis *a)
{
    return how->antialias && how->mode != CJ__RESIZE_NEAREST && a->scale < 1;
}

/* Elements first, first + 1 ... have the weights of result i; returns how many. weight has room for
 * `room`. */
static int64_t weights_of(const cj__resize_attrs *how, const cj__resize_axis *a, int64_t n,
                          int64_t i, double *first, double *weight, int64_t room)
{
    double u = place_of(how, a, n, i), squeeze = widens(how, a) ? a->scale : 1, sum = 0;
    if (how->mode == CJ__RESIZE_NEAREST) {
        *first = nearest_of(how->nearest, u);
        weight[0] = 1;
        return 1;
    }
    double reach = (how->mode == CJ__RESIZE_LINEAR ? 1 : 2) / squeeze;
    *first = floor(u) + floor(-reach) + 1;
    int64_t taps = 2 * (int64_t)-(floor(-reach));
    if (taps > room) taps = room;
    for (int64_t k = 0; k < taps; k++) {
        double at = *first + (double)k;
        weight[k] = filter(how, (at - u) * squeeze);
        if (how->exclude_outside && (at < 0 || at > (double)(n - 1))) weight[k] = 0;
        sum += weight[k];
    }
    bool normal = (how->exclude_outside || widens(how, a)) && sum != 0;
    for (int64_t k = 0; normal && k < taps; k++) weight[k] /= sum;
    return taps;
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static cj_node *constant_of(cj_graph *g, cj_tensor *t)
{
    if (!t)
        return cj__graph_fail(g, "resize", cj_last_status(cj_graph_context(g)), "%s",
                              cj_message(cj_graph_context(g))),
               NULL;
    cj_tensor_unmap(t);
    cj_node *node = cj_constant(g, t);
    cj_tensor_free(t);
    return node;
}

/* A vector along `axis` of an array of x's rank. */
static cj_node *along(cj_node *vector, const cj_node *x, int axis)
{
    cj_dim dims[CJ_RANK_MAX];
    if (!vector) return NULL;
    for (int i = 0; i < x->type.rank; i++) dims[i] = i == axis ? vector->type.dim[0] : 1;
    return cj_reshape(vector, x->type.rank, dims);
}

/* The sum over tap k of x[index_k] weight_k. */
static cj_node *by_gathers(cj_node *x, const cj__resize_attrs *how, const cj__resize_axis *a,
                           int64_t n)
{
    cj_graph *g = cj_node_graph(x);
    cj_context *cj = cj_graph_context(g);
    int taps = how->mode == CJ__RESIZE_NEAREST ? 1 : how->mode == CJ__RESIZE_LINEAR ? 2 : TAPS;
    cj_tensor *index[TAPS] = {NULL}, *weight[TAPS] = {NULL};
    int64_t *at[TAPS];
    void *w[TAPS];
    bool made = true;
    for (int k = 0; k < taps; k++) {
        made = (index[k] = cj_tensor_new(cj, CJ_I64, 1, &a->m)) && made;
        if (taps > 1) made = (weight[k] = cj_tensor_new(cj, x->type.dtype, 1, &a->m)) && made;
        at[k] = index[k] ? cj_tensor_map(index[k], CJ_MAP_WRITE) : NULL;
        w[k] = weight[k] ? cj_tensor_map(weight[k], CJ_MAP_WRITE) : NULL;
    }
    for (int64_t i = 0; made && i < a->m; i++) {
        double first, of[TAPS];
        weights_of(how, a, n, i, &first, of, TAPS);
        for (int k = 0; k < taps; k++) {
            at[k][i] = inside(first + k, n);
            if (w[k]) cj_store_f64(x->type.dtype, w[k], (size_t)i, of[k]);
        }
    }
    cj_node *y = NULL;
    for (int k = 0; k < taps; k++) {
        cj_node *part = cj_gather(x, constant_of(g, index[k]), a->axis);
        if (taps > 1) part = cj_mul(part, along(constant_of(g, weight[k]), x, a->axis));
        y = k ? cj_add(y, part) : part;
    }
    return y;
}

/* ---- Tables of symbols ----------------------------------------------------------------------- */

static bool is_open(int64_t n, int64_t m) { return n < 0 || m < 0; }

static cj_node *size_node(cj_graph *g, cj_dim d)
{
    return d < 0 ? cj_cast(cj_dim_value(g, d), CJ_F64) : cj_scalar(g, CJ_F64, (double)d);
}

/* As place_of, for all results: f64 [m]. */
static cj_node *place_nodes(cj_graph *g, const cj__resize_attrs *how, const cj__resize_axis *a,
                            cj_dim size)
{
    cj_node *n = size_node(g, size), *m = size_node(g, a->m), *x = cj_iota(g, CJ_F64, 0, 1, &a->m);
    cj_node *s = a->scale != 0 ? cj_scalar(g, CJ_F64, a->scale) : cj_div(m, n), *sn = cj_mul(s, n);
    cj_node *zero = cj_scalar(g, CJ_F64, 0), *one = cj_scalar(g, CJ_F64, 1);
    cj_node *half = cj_shift(cj_div(cj_shift(x, 0.5), s), -0.5);
    switch (how->coordinates) {
    case CJ__RESIZE_PYTORCH_HALF_PIXEL: return cj_where(cj_greater(m, one), half, zero);
    case CJ__RESIZE_HALF_PIXEL_SYMMETRIC:
        return cj_add(cj_mul(cj_scale(n, 0.5), cj_sub(one, cj_div(m, sn))), half);
    case CJ__RESIZE_ALIGN_CORNERS:
        return cj_where(cj_equal(sn, one), zero,
                        cj_div(cj_mul(x, cj_shift(n, -1)), cj_shift(sn, -1)));
    case CJ__RESIZE_ASYMMETRIC: return cj_div(x, s);
    case CJ__RESIZE_TF_NEAREST:
        return cj_where(cj_equal(s, one), x, cj_div(cj_shift(x, 0.5), s));
    default: return half;
    }
}

static cj_node *nearest_node(int rounding, cj_node *u)
{
    switch (rounding) {
    case CJ__RESIZE_PREFER_CEIL: return cj_floor(cj_shift(u, 0.5));
    case CJ__RESIZE_FLOOR: return cj_floor(u);
    case CJ__RESIZE_CEIL: return cj_ceil(u);
    default: return cj_ceil(cj_shift(u, -0.5));
    }
}

static cj_node *filter_node(const cj__resize_attrs *how, cj_node *d)
{
    cj_node *zero = cj_scalar(cj_node_graph(d), CJ_F64, 0), *near, *far;
    const double a = how->cubic_a;
    d = cj_abs(d);
    if (how->mode == CJ__RESIZE_LINEAR) return cj_maximum(cj_shift(cj_scale(d, -1), 1), zero);
    near = cj_shift(cj_mul(cj_mul(cj_shift(cj_scale(d, a + 2), -(a + 3)), d), d), 1);
    far = cj_shift(cj_mul(cj_shift(cj_mul(cj_shift(cj_scale(d, a), -5 * a), d), 8 * a), d), -4 * a);
    return cj_where(cj_less_equal(d, cj_full_like(d, 1)), near,
                    cj_where(cj_less(d, cj_full_like(d, 2)), far, zero));
}

/* As by_gathers; without a wide filter. */
static cj_node *by_nodes(cj_node *x, const cj__resize_attrs *how, const cj__resize_axis *a,
                         int64_t n)
{
    cj_graph *g = cj_node_graph(x);
    const int taps = how->mode == CJ__RESIZE_NEAREST  ? 1
                     : how->mode == CJ__RESIZE_LINEAR ? 2
                                                      : TAPS;
    cj_node *u = place_nodes(g, how, a, n), *zero = cj_scalar(g, CJ_F64, 0), *y = NULL;
    cj_node *last = cj_shift(size_node(g, n), -1), *sum = NULL, *at[TAPS], *weight[TAPS];
    for (int k = 0; k < taps; k++) {
        at[k] = taps == 1 ? nearest_node(how->nearest, u) : cj_shift(cj_floor(u), k + 1 - taps / 2);
        weight[k] = taps == 1 ? NULL : filter_node(how, cj_sub(at[k], u));
        if (taps > 1 && how->exclude_outside)
            weight[k] = cj_where(cj_logical_or(cj_less(at[k], zero), cj_greater(at[k], last)), zero,
                                 weight[k]);
        sum = k && how->exclude_outside ? cj_add(sum, weight[k]) : weight[k];
    }
    for (int k = 0; k < taps; k++) {
        cj_node *index = cj_cast(cj_minimum(cj_maximum(at[k], zero), last), CJ_I64);
        cj_node *part = cj_gather(x, index, a->axis), *w = weight[k];
        if (w && how->exclude_outside) w = cj_where(cj_equal(sum, zero), w, cj_div(w, sum));
        if (w) part = cj_mul(part, along(cj_cast(w, x->type.dtype), x, a->axis));
        y = k ? cj_add(y, part) : part;
    }
    return y;
}

/* ---- A wide filter, a crop ------------------------------------------------------------------- */

/* x times a matrix of weights, from the right, for which the axis trades places with the last. */
static cj_node *by_matrix(cj_node *x, const cj__resize_attrs *how, const cj__resize_axis *a,
                          int64_t n)
{
    cj_graph *g = cj_node_graph(x);
    cj_context *cj = cj_graph_context(g);
    int64_t p[CJ_RANK_MAX], reach = how->mode == CJ__RESIZE_LINEAR ? 1 : 2;
    int64_t room = 2 * ((int64_t)ceil((double)reach / a->scale) + 1), dims[] = {a->m, n};
    int last = x->type.rank - 1;
    double *weight = cj__alloc(cj, (size_t)room * sizeof *weight);
    cj_tensor *t = weight ? cj_tensor_new(cj, x->type.dtype, 2, dims) : NULL;
    void *data = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    for (int64_t i = 0; data && i < a->m * n; i++)
        cj_store_f64(x->type.dtype, data, (size_t)i, 0);
    for (int64_t i = 0; data && i < a->m; i++) {
        double first;
        int64_t taps = weights_of(how, a, n, i, &first, weight, room);
        for (int64_t k = 0; k < taps; k++) {
            size_t at = (size_t)(i * n + inside(first + (double)k, n));
            cj_store_f64(x->type.dtype, data, at,
                         cj_load_f64(x->type.dtype, data, at) + weight[k]);
        }
    }
    cj__free(cj, weight, (size_t)room * sizeof *weight);
    for (int i = 0; i <= last; i++) p[i] = i == a->axis ? last : i == last ? a->axis : i;
    cj_node *matrix = constant_of(g, t);
    return cj_transpose(cj_matmul_transposed(cj_transpose(x, p), matrix, false, true), p);
}

/* `value` where results lie outside the axis. */
static cj_node *extrapolate(cj_node *y, const cj__resize_attrs *how, const cj__resize_axis *a,
                            int64_t n)
{
    cj_graph *g = cj_node_graph(y);
    cj_tensor *t = cj_tensor_new(cj_graph_context(g), CJ_BOOL, 1, &a->m);
    bool *outside = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    for (int64_t i = 0; outside && i < a->m; i++) {
        double u = place_of(how, a, n, i);
        outside[i] = u < 0 || u > (double)(n - 1);
    }
    return cj_where(along(constant_of(g, t), y, a->axis),
                    cj_scalar(g, y->type.dtype, how->extrapolation), y);
}

/* ---- The row --------------------------------------------------------------------------------- */

/* What the lists say of their element i. */
static cj__resize_axis axis_of(const cj__resize_attrs *how, int i, int64_t n)
{
    cj__resize_axis a = {.axis = (int)how->axes.v[i], .m = how->sizes.v[i],
                         .scale = how->scales.v[i]};
    if (a.scale == 0 && !is_open(n, a.m)) a.scale = (double)a.m / (double)n;
    if (how->begin.n) a.begin = how->begin.v[i], a.end = how->end.v[i];
    return a;
}

/* As many numbers in each list as there are axes, which is at most CJ_RANK_MAX. */
static cj_status check_lists(cj_infer *infer)
{
    const cj__resize_attrs *how = infer->call->attributes;
    bool crops = how->coordinates == CJ__RESIZE_CROP;
    const struct {
        const char *name;
        int have, expected;
    } lists[] = {{"sizes", how->sizes.n, how->axes.n},
                 {"scales", how->scales.n, how->axes.n},
                 {"begin", how->begin.n, crops ? how->axes.n : 0},
                 {"end", how->end.n, crops ? how->axes.n : 0}};
    for (size_t i = 0; i < CJ__COUNT(lists); i++)
        if (lists[i].have != lists[i].expected)
            return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%s has %d elements, expected %d for %d "
                                 "axes", lists[i].name, lists[i].have, lists[i].expected,
                                 how->axes.n);
    return cj__infer_dims(infer, how->sizes, 0);
}

static cj_status resize_infer(cj_infer *infer)
{
    cj__resize_attrs *how = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    cj_graph *g = infer->graph;
    int64_t axes[CJ_RANK_MAX];
    bool taken[CJ_RANK_MAX] = {false};
    CJ__TRY(check_lists(infer));
    if (how->mode != CJ__RESIZE_NEAREST && !cj__is_float(x->dtype))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "%s takes floats, not %s",
                             cj__resize_mode_words[how->mode], cj_dtype_info(x->dtype)->name);
    infer->out[0] = *x;
    for (int i = 0; i < how->axes.n; i++) {
        axes[i] = how->axes.v[i];
        CJ__TRY(cj_infer_axis(infer, &axes[i], x->rank));
        int64_t n = x->dim[axes[i]], m = how->sizes.v[i];
        if (taken[axes[i]])
            return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "axis %d is there twice", (int)axes[i]);
        if (is_open(n, m) && (how->antialias || how->coordinates == CJ__RESIZE_CROP))
            return cj_infer_fail(infer, CJ_ERR_UNSUPPORTED,
                                 "%s results along axis %d of %s elements: symbols go with neither "
                                 "antialias nor a crop",
                                 cj_dim_text(g, m), (int)axes[i], cj_dim_text(g, n));
        if (n == 0 || m == 0 || n > MOST || m > MOST)
            return cj_infer_fail(infer, CJ_ERR_SHAPE,
                                 "%s results along axis %d of %s elements; numbers from 1 to %d "
                                 "are expected",
                                 cj_dim_text(g, m), (int)axes[i], cj_dim_text(g, n), MOST);
        cj__resize_axis a = axis_of(how, i, n);
        if (!is_open(n, m) && !(a.scale * (double)n >= 0.25))
            return cj_infer_fail(infer, CJ_ERR_ARGUMENT,
                                 "the scale %g of axis %d with %lld elements; 1 / n at least is "
                                 "expected",
                                 a.scale, (int)axes[i], (long long)n);
        taken[axes[i]] = true;
        infer->out[0].dim[axes[i]] = m;
    }
    how->axes.v = cj__keep_ints(g, axes, how->axes.n);
    return how->axes.v ? CJ_OK : CJ_ERR_MEMORY;
}

static bool resize_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    const cj__resize_attrs *how = call->attributes;
    const cj_type *from = &call->in[0]->type;
    cj_dtype wide = how->mode == CJ__RESIZE_NEAREST ? from->dtype : cj__wide(from->dtype);
    cj_node *x = cj_cast(call->in[0], wide);
    (void)g;
    for (int i = 0; x && i < how->axes.n; i++) {
        cj__resize_axis a = axis_of(how, i, from->dim[how->axes.v[i]]);
        int64_t n = from->dim[a.axis];
        x = is_open(n, a.m)   ? by_nodes(x, how, &a, n)
            : widens(how, &a) ? by_matrix(x, how, &a, n)
                              : by_gathers(x, how, &a, n);
    }
    for (int i = 0; x && i < how->begin.n; i++) { /* what lies outside is not interpolated with */
        cj__resize_axis a = axis_of(how, i, from->dim[how->axes.v[i]]);
        x = extrapolate(x, how, &a, from->dim[a.axis]);
    }
    out[0] = cj_cast(x, from->dtype);
    return out[0] != NULL;
}

/* All modes, coordinates and roundings, larger and smaller. */
static cj_node *resize_sample(cj_sampler *s, int i)
{
    static const int64_t to[] = {1, 2, 3, 4, 5, 7};
    if (i >= 60) return NULL;
    int spatial = i < 48 ? 2 : 1 + 2 * (i % 2), rank = spatial + 2;
    int64_t dims[5];
    cj__resize_attrs how = {.mode = i % 3,
                            .coordinates = i / 3 % 7,
                            .nearest = i / 2 % 4,
                            .cubic_a = i % 2 ? -0.75 : -0.5,
                            .extrapolation = 0.5,
                            .exclude_outside = i / 18 % 2,
                            .antialias = i >= 36};
    cj__resize_axis axes[3];
    bool first = i % 4 == 1;
    dims[0] = i == 20 ? 0 : 1 + i % 2;
    dims[first ? 1 : rank - 1] = i == 23 ? 0 : 1 + i % 3;
    for (int k = 0; k < spatial; k++) {
        int axis = cj__spatial_axis(first ? 1 : -1, k);
        dims[axis] = spatial == 3 ? 2 + (i + k) % 2 : 1 + (i + 3 * k) % 6;
        axes[k] = (cj__resize_axis){axis, to[(i + i / 6 + 2 * k) % (spatial == 3 ? 4 : 6)], 0,
                                    0.125, 0.75 + 0.5 * (i % 2)};
        if (i % 5 == 2) /* the scale is given, and is not that of the sizes */
            axes[k].scale = (double)axes[k].m / (double)dims[axis] + 0.125;
    }
    cj_node *x = i == 21 ? cj_sample_int(s, CJ_I32, -9, 9, rank, dims)
                         : cj_sample_real(s, -2, 2, rank, dims);
    cj_node *y = cj__resize_axes(x, &how, spatial, axes);
    if (y != x) return y;
    axes[0].m += 1; /* every size was what it is already */
    return cj__resize_axes(x, &how, spatial, axes);
}

static const cj_option resize_options[] = {
    CJ_OPTION_WORD(cj__resize_attrs, mode, 0, cj__resize_mode_words, "from how many neighbours"),
    CJ_OPTION_WORD(cj__resize_attrs, coordinates, 0, cj__resize_coordinate_words,
                   "where a result lies"),
    CJ_OPTION_WORD(cj__resize_attrs, nearest, 0, cj__resize_rounding_words,
                   "which neighbour is nearest"),
    CJ_OPTION_FLOAT(cj__resize_attrs, cubic_a, -0.75, -1e6, 1e6, "of cubic"),
    CJ_OPTION_FLOAT(cj__resize_attrs, extrapolation, 0, 0, 0, "value of what lies outside a crop"),
    CJ_OPTION_BOOL(cj__resize_attrs, exclude_outside, false, "elements outside do not count"),
    CJ_OPTION_BOOL(cj__resize_attrs, antialias, false, "a wide filter where it shrinks"),
    CJ_OPTION_INTS(cj__resize_attrs, axes, -CJ_RANK_MAX, CJ_RANK_MAX - 1, "axes that change"),
    CJ_OPTION_DIMS(cj__resize_attrs, sizes, "results along each of them"),
    CJ_OPTION_FLOATS(cj__resize_attrs, scales, 0, 1e9, "of each; 0: results / elements"),
    CJ_OPTION_FLOATS(cj__resize_attrs, begin, -1e6, 1e6, "of a crop, along each axis"),
    CJ_OPTION_FLOATS(cj__resize_attrs, end, -1e6, 1e6, "of a crop, along each axis"),
    CJ_OPTION_END};

const cj_op cj_op_resize = {
    .name = "resize",
    .doc = "each axis at other places: the nearest element, or sums of neighbours with the weights "
           "of a filter",
    .inputs = 1,
    .attributes_size = sizeof(cj__resize_attrs),
    .attributes = resize_options,
    .infer = resize_infer,
    .lower = resize_lower,
    .sample = CJ__SAMPLE(resize_sample),
};

/* ---- Builders -------------------------------------------------------------------------------- */

cj_node *cj__resize_axes(cj_node *x, const cj__resize_attrs *how, int n,
                         const cj__resize_axis *axes)
{
    int64_t which[CJ_RANK_MAX], sizes[CJ_RANK_MAX];
    double scales[CJ_RANK_MAX], begin[CJ_RANK_MAX], end[CJ_RANK_MAX];
    if (!x || cj__is_zero(x)) return x;
    cj__resize_attrs a = *how;
    bool crops = a.coordinates == CJ__RESIZE_CROP;
    int some = 0;
    for (int i = 0; i < n; i++) {
        const cj__resize_axis *axis = &axes[i];
        if (axis->m == x->type.dim[axis->axis] && (axis->scale == 0 || axis->scale == 1) &&
            (!crops || (axis->begin == 0 && axis->end == 1)))
            continue;
        which[some] = axis->axis;
        sizes[some] = axis->m;
        scales[some] = axis->scale;
        begin[some] = axis->begin;
        end[some++] = axis->end;
    }
    a.axes = (cj_ints){some, which};
    a.sizes = (cj_ints){some, sizes};
    a.scales = (cj_floats){some, scales};
    a.begin = (cj_floats){crops ? some : 0, begin};
    a.end = (cj_floats){crops ? some : 0, end};
    return some ? cj_apply(cj_node_graph(x), &cj_op_resize, &x, 1, &a) : x;
}

cj_dim cj__resize_scaled(cj_graph *g, cj_dim n, double scale)
{
    int bits = 0;
    if (n >= 0) {
        const double m = floor((double)n * scale);
        return m < MOST + 1 ? (cj_dim)m : MOST + 1;
    }
    for (; scale != floor(scale) && bits < 40; bits++) scale *= 2;
    return scale > 0 && scale < 0x1p40 && scale == floor(scale)
               ? cj_dim_div(g, cj_dim_mul(g, n, (cj_dim)scale), (cj_dim)1 << bits)
               : 0;
}

bool cj__image_word(cj_graph *g, const char *op, const char *what, const char *word,
                    const char *const *words, int *choice)
{
    char all[160] = "";
    size_t used = 0;
    *choice = 0;
    if (!word) return true;
    for (int i = 0; words[i]; i++) {
        *choice = i;
        if (!strcmp(words[i], word)) return true;
        used += (size_t)cj__format(all + used, sizeof all - used, "%s%s", i ? ", " : "", words[i]);
    }
    cj__graph_fail(g, op, CJ_ERR_ARGUMENT, "%s '%s' is none of %s", what, word, all);
    return false;
}

cj_node *(cj_resize)(cj_node *x, const cj_resize_opts *opts)
{
    cj_resize_opts o = {0};
    cj__resize_axis axes[CJ__SPATIAL_MAX];
    if (!x || cj__is_zero(x)) return x;
    cj_graph *g = cj_node_graph(x);
    int spatial = x->type.rank - 2;
    if (!cj__graph_opts(g, "resize", &o, sizeof o, opts)) return NULL;
    cj__resize_attrs how = {.cubic_a = o.cubic_a != 0 ? o.cubic_a : -0.75,
                      .extrapolation = o.extrapolation,
                      .exclude_outside = o.exclude_outside,
                      .antialias = o.antialias};
    if (!cj__image_word(g, "resize", "mode", o.mode, cj__resize_mode_words, &how.mode) ||
        !cj__image_word(g, "resize", "coordinates", o.coordinates, cj__resize_coordinate_words,
                &how.coordinates) ||
        !cj__image_word(g, "resize", "nearest", o.nearest, cj__resize_rounding_words, &how.nearest))
        return NULL;
    if (spatial < 1 || spatial > CJ__SPATIAL_MAX)
        return cj__graph_fail(g, "resize", CJ_ERR_SHAPE, "an operand of rank %d, expected 3 to 5",
                              x->type.rank),
               NULL;
    for (int i = 0; i < spatial; i++) {
        axes[i] = (cj__resize_axis){.axis = cj__spatial_axis(o.channel_axis, i),
                                    .m = o.sizes[i],
                                    .scale = o.scales[i],
                                    .begin = o.begin[i],
                                    .end = o.end[i]};
        int64_t n = x->type.dim[axes[i].axis];
        if (!axes[i].m && o.scales[i] > 0) axes[i].m = cj__resize_scaled(g, n, o.scales[i]);
    }
    return cj__resize_axes(x, &how, spatial, axes);
}
