/* resize.c: images made larger and smaller, one axis after the other.
 *
 * Along an axis each result is a weighted sum of a few elements, whose places and weights depend on
 * sizes alone: they are tables that are made with the graph.
 *
 *     nearest                1 element      gather
 *     linear, cubic          2, 4           as many gathers, each times its weights
 *     with antialias         many           a matrix product
 *
 * An element outside stands for the nearest one inside, or has no weight with exclude_outside. */
#include <math.h>
#include <string.h>

#include "graph/ops/block.h"
#include "graph/ops/resize.h"
#include "graph/ops/window.h"

enum { MOST = 1 << 20, TAPS = 4 };

const char *const cj__resize_mode_words[] = {"nearest", "linear", "cubic", NULL};
const char *const cj__resize_coordinate_words[] = {
    "half_pixel", "pytorch_half_pixel", "half_pixel_symmetric",
    "align_corners", "asymmetric", "tf_crop_and_resize", NULL};
const char *const cj__resize_rounding_words[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                                 "ceil", NULL};

/* ---- Where results lie, and weights ---------------------------------------------------------- */

static double place_of(const cj__resize *how, const cj__resize_axis *a, int64_t size, int64_t i)
{
    double n = (double)size, m = (double)a->m, s = a->scale, x = (double)i;
    double half = (x + 0.5) / s - 0.5;
    switch (how->coordinates) {
    case CJ__RESIZE_PYTORCH_HALF_PIXEL: return a->m > 1 ? half : 0;
    case CJ__RESIZE_HALF_PIXEL_SYMMETRIC: return n / 2 * (1 - m / (s * n)) + half;
    case CJ__RESIZE_ALIGN_CORNERS: return s * n != 1 ? x * (n - 1) / (s * n - 1) : 0;
    case CJ__RESIZE_ASYMMETRIC: return x / s;
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
static double filter(const cj__resize *how, double d)
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

static bool widens(const cj__resize *how, const cj__resize_axis *a)
{
    return how->antialias && how->mode != CJ__RESIZE_NEAREST && a->scale < 1;
}

/* Elements first, first + 1 ... have the weights of result i; returns how many. weight has room for
 * `room`. */
static int64_t weights_of(const cj__resize *how, const cj__resize_axis *a, int64_t n, int64_t i,
                          double *first, double *weight, int64_t room)
{
    double u = place_of(how, a, n, i), squeeze = widens(how, a) ? a->scale : 1, sum = 0;
    if (how->mode == CJ__RESIZE_NEAREST) {
        *first = nearest_of(how->rounding, u);
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
static cj_node *by_gathers(cj_node *x, const cj__resize *how, const cj__resize_axis *a, int64_t n)
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

/* x times a matrix of weights, from the right, for which the axis trades places with the last. */
static cj_node *by_matrix(cj_node *x, const cj__resize *how, const cj__resize_axis *a, int64_t n)
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
static cj_node *extrapolate(cj_node *y, const cj__resize *how, const cj__resize_axis *a, int64_t n)
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

cj_node *cj__resize_axes(cj_node *x, const cj__resize *how, int n, const cj__resize_axis *axes)
{
    if (!x || cj__is_zero(x)) return x;
    cj_graph *g = cj_node_graph(x);
    cj_type from = x->type;
    if (how->mode != CJ__RESIZE_NEAREST && !cj__is_float(x->type.dtype))
        return cj__graph_fail(g, "resize", CJ_ERR_TYPE, "%s takes floats, not %s",
                              cj__resize_mode_words[how->mode], cj_dtype_info(x->type.dtype)->name),
               NULL;
    for (int pass = 0; pass < 2; pass++) /* what lies outside is not interpolated with */
        for (int i = 0; x && i < n; i++) {
            cj__resize_axis a = axes[i];
            int64_t size = from.dim[a.axis];
            bool crops = how->coordinates == CJ__RESIZE_CROP;
            if (a.m == size && (a.scale == 0 || a.scale == 1) &&
                (!crops || (a.begin == 0 && a.end == 1)))
                continue;
            if (pass && !crops) continue;
            if (size < 1 || a.m < 1 || size > MOST || a.m > MOST)
                return cj__graph_fail(g, "resize", CJ_ERR_SHAPE,
                                      "%s results along axis %d of %s elements; numbers from 1 to "
                                      "%d are expected",
                                      cj_dim_text(g, a.m), a.axis, cj_dim_text(g, size), MOST),
                       NULL;
            if (a.scale == 0) a.scale = (double)a.m / (double)size;
            if (!isfinite(a.scale) || !(a.scale * (double)size >= 0.25))
                return cj__graph_fail(
                           g, "resize", CJ_ERR_ARGUMENT,
                           "the scale %g of axis %d with %lld elements; 1 / n at least is "
                           "expected",
                           a.scale, a.axis, (long long)size),
                       NULL;
            if (pass) x = extrapolate(x, how, &a, size);
            else
                x = widens(how, &a) ? by_matrix(x, how, &a, size) : by_gathers(x, how, &a, size);
        }
    return x;
}

/* ---- The builder ----------------------------------------------------------------------------- */

static bool choose(cj_graph *g, const char *op, const char *what, const char *word,
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
    if (opts)
        memcpy(&o, opts,
               opts->struct_size && opts->struct_size < sizeof o ? opts->struct_size : sizeof o);
    cj__resize how = {.cubic_a = o.cubic_a != 0 ? o.cubic_a : -0.75,
                      .extrapolation = o.extrapolation,
                      .exclude_outside = o.exclude_outside,
                      .antialias = o.antialias};
    if (!choose(g, "resize", "mode", o.mode, cj__resize_mode_words, &how.mode) ||
        !choose(g, "resize", "coordinates", o.coordinates, cj__resize_coordinate_words,
                &how.coordinates) ||
        !choose(g, "resize", "nearest", o.nearest, cj__resize_rounding_words, &how.rounding))
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
        double m = o.scales[i] > 0 && n > 0 ? floor((double)n * o.scales[i]) : 0;
        if (!axes[i].m) axes[i].m = m < MOST + 1 ? (int64_t)m : MOST + 1;
    }
    return cj__resize_axes(x, &how, spatial, axes);
}
