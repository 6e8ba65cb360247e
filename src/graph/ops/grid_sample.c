/* grid_sample.c: images read between their elements.
 *
 * A coordinate g of the grid, -1 to 1 along an axis of n elements, is place
 *
 *     u = (g + 1) (n - 1) / 2          with align_corners
 *     u = ((g + 1) n - 1) / 2          without
 *
 * The elements around u are gathered from x as rows of channels and summed with weights that are
 * arithmetic on u - floor(u): that is the row's lowering, and the gradients with respect to x
 * (adding up at the same places) and to the grid are those of the operators used. */
#include "graph/ops/image.h"
#include "graph/ops/norm.h"

#include <cajal/image.h>

#include <math.h>
#include <string.h>

enum { ZEROS = CJ__GRID_ZEROS, BORDER = CJ__GRID_BORDER, REFLECTION };
enum { LINEAR, NEAREST, CUBIC };
const char *const cj__grid_mode_words[] = {"linear", "nearest", "cubic", NULL};
const char *const cj__grid_padding_words[] = {"zeros", "border", "reflection", NULL};

/* One spatial axis: what is gathered along it. */
typedef struct axis_taps {
    int n;
    cj_node *place[4];  /* i64, inside */
    cj_node *weight[4]; /* floats; NULL: 1 */
} axis_taps;

typedef struct sampling {
    cj_graph *g;
    cj_dtype dtype;
    int mode, padding;
    bool align;
} sampling;

static cj_node *real(const sampling *s, double value)
{
    return cj_scalar(s->g, s->dtype, value);
}

/* The size as a float and as an i64 scalar. */
static cj_node *size_of(const sampling *s, cj_dim n, cj_dtype dtype)
{
    (void)s;
    return n >= 0 ? cj_scalar(s->g, dtype, (double)n) : cj_cast(cj_dim_value(s->g, n), dtype);
}

static cj_node *floor_of(cj_node *u)
{
    return cj_floor(cj_stop_gradient(u));
}

/* Back and forth between the outermost centres (align) or the outer edges. */
static cj_node *reflect(const sampling *s, cj_node *u, cj_node *n)
{
    cj_node *low = real(s, s->align ? 0 : -0.5), *span = s->align ? cj_shift(n, -1) : n;
    cj_node *nothing = cj_less_equal(span, real(s, 0));
    span = cj_where(nothing, real(s, 1), span);
    cj_node *distance = cj_abs(cj_sub(u, low));
    cj_node *flips = floor_of(cj_div(distance, span));
    cj_node *rest = cj_sub(distance, cj_mul(flips, span));
    cj_node *odd = cj_mod(flips, real(s, 2));
    cj_node *back = cj_add(cj_where(cj_greater(odd, real(s, 0)), cj_sub(span, rest), rest), low);
    return cj_where(nothing, real(s, 0), back);
}

static cj_node *clamp(const sampling *s, cj_node *u, cj_node *n)
{
    return cj_minimum(cj_maximum(u, real(s, 0)), cj_shift(n, -1));
}

static cj_node *fold_in(const sampling *s, cj_node *u, cj_node *n)
{
    if (s->padding == REFLECTION) u = reflect(s, u, n);
    return s->padding == ZEROS ? u : clamp(s, u, n);
}

/* The element at whole place u: its index, and a weight that is 0 where it lies outside. */
static void set_tap(const sampling *s, axis_taps *t, cj_node *u, cj_node *weight, cj_node *n)
{
    u = cj_stop_gradient(u);
    if (s->padding == ZEROS) {
        cj_node *in = cj_logical_and(cj_greater_equal(u, real(s, 0)),
                                     cj_less_equal(u, cj_shift(n, -1)));
        weight = cj_where(in, weight ? weight : real(s, 1), real(s, 0));
    }
    cj_node *inside = cj_where(cj_is_nan(u), real(s, 0), clamp(s, u, n));
    t->place[t->n] = cj_cast(inside, CJ_I64);
    t->weight[t->n++] = weight;
}

/* Keys's cubic at distances t + 1, t, 1 - t, 2 - t. */
static cj_node *cubic(const sampling *s, cj_node *d, bool near)
{
    const double a = -0.75;
    cj_node *p = near ? cj_shift(cj_scale(d, a + 2), -(a + 3)) : cj_shift(cj_scale(d, a), -5 * a);
    if (near) return cj_add(cj_mul(cj_mul(p, d), d), real(s, 1));
    return cj_shift(cj_mul(cj_shift(cj_mul(p, d), 8 * a), d), -4 * a);
}

/* Place u of a coordinate. */
static cj_node *place_of(const sampling *s, cj_node *coordinate, cj_dim size)
{
    cj_node *n = size_of(s, size, s->dtype), *up = cj_shift(coordinate, 1);
    return s->align ? cj_scale(cj_mul(up, cj_shift(n, -1)), 0.5)
                    : cj_scale(cj_shift(cj_mul(up, n), -1), 0.5);
}

static void read_axis(const sampling *s, cj_node *u, cj_dim size, axis_taps *t)
{
    cj_node *n = size_of(s, size, s->dtype);
    t->n = 0;
    if (s->mode != CUBIC) u = fold_in(s, u, n);
    if (s->mode == NEAREST) {
        set_tap(s, t, cj_round(cj_stop_gradient(u)), NULL, n);
        return;
    }
    cj_node *first = floor_of(u), *rest = cj_sub(u, first), *left = cj_shift(cj_neg(rest), 1);
    if (s->mode == LINEAR) {
        set_tap(s, t, first, left, n);
        set_tap(s, t, cj_shift(first, 1), rest, n);
        return;
    }
    cj_node *weight[] = {cubic(s, cj_shift(rest, 1), false), cubic(s, rest, true),
                         cubic(s, left, true), cubic(s, cj_shift(left, 1), false)};
    for (int k = 0; k < 4; k++)
        set_tap(s, t, cj_round(fold_in(s, cj_shift(first, k - 1), n)), weight[k], n);
}

/* x [n, spatial..., c] as rows of channels. */
static cj_node *as_rows(cj_node *x)
{
    cj_graph *g = cj_node_graph(x);
    int last = x->type.rank - 1;
    cj_dim rows = 1;
    for (int i = 0; i < last; i++) rows = cj_dim_mul(g, rows, x->type.dim[i]);
    return cj_reshape(x, 2, (cj_dim[]){rows, x->type.dim[last]});
}

/* The sum over all combinations of the axes' taps, or the largest. */
static cj_node *sum_taps(const sampling *s, cj_node *x, cj_node *image, const axis_taps *taps,
                         bool largest)
{
    int spatial = x->type.rank - 2, total = 1;
    cj_node *rows = as_rows(x), *y = NULL;
    for (int i = 0; i < spatial; i++) total *= taps[i].n;
    for (int k = 0; k < total; k++) {
        cj_node *at = image, *weight = NULL;
        for (int i = 0, left = k; i < spatial; i++) {
            const axis_taps *t = &taps[i];
            int q = left % t->n;
            left /= t->n;
            at = cj_add(cj_mul(at, size_of(s, x->type.dim[i + 1], CJ_I64)), t->place[q]);
            weight = weight && t->weight[q] ? cj_mul(weight, t->weight[q])
                     : weight               ? weight
                                            : t->weight[q];
        }
        cj_node *part = cj_gather(rows, at, 0);
        if (weight) part = cj_mul(part, cj_expand_dims(weight, -1));
        y = !y ? part : largest ? cj_maximum(y, part) : cj_add(y, part);
    }
    return y;
}

cj_node *cj__grid_read(cj_node *x, cj_node *image, cj_node *const *places,
                       cj__grid_padding_mode padding, bool largest)
{
    axis_taps taps[CJ__SPATIAL_MAX];
    if (!x || !image) return NULL;
    sampling s = {.g = cj_node_graph(x), .dtype = x->type.dtype, .padding = (int)padding};
    for (int i = 0; i < x->type.rank - 2; i++) {
        if (!places[i]) return NULL;
        read_axis(&s, places[i], x->type.dim[i + 1], &taps[i]);
    }
    return sum_taps(&s, x, image, taps, largest);
}

static cj_node *channels_last(cj_node *x, bool back)
{
    int64_t p[CJ_RANK_MAX] = {0};
    if (!x) return NULL;
    int last = x->type.rank - 1;
    for (int i = 1; i <= last; i++) p[i] = back ? (i == 1 ? last : i - 1) : i == last ? 1 : i + 1;
    return cj_transpose(x, p);
}

/* ---- The row --------------------------------------------------------------------------------- */

static cj_status grid_infer(cj_infer *infer)
{
    cj__grid_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type, *grid = &infer->call->in[1]->type;
    cj_type *y = &infer->out[0];
    cj_graph *g = infer->graph;
    int spatial, last = grid->rank - 1;
    CJ__TRY(cj__infer_image(infer, x, &a->channel_axis, &spatial));
    if (grid->rank != x->rank || grid->dim[last] != spatial || !cj__is_float(grid->dtype))
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "an image of rank %d and a grid of rank %d and last size %s; floats "
                             "[batch, out..., %d] are expected",
                             x->rank, grid->rank,
                             grid->rank ? cj_dim_text(g, grid->dim[last]) : "nothing", spatial);
    if (!cj_infer_equal(infer, x->dim[0], grid->dim[0]))
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "%s images and grids for %s",
                             cj_dim_text(g, x->dim[0]), cj_dim_text(g, grid->dim[0]));
    *y = *x;
    for (int i = 0; i < spatial; i++) {
        int axis = cj__spatial_axis(a->channel_axis, i);
        if (x->dim[axis] == 0)
            return cj_infer_fail(infer, CJ_ERR_SHAPE, "the image has no elements along axis %d",
                                 axis);
        y->dim[axis] = grid->dim[i + 1];
    }
    return CJ_OK;
}

static bool grid_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    const cj__grid_attrs *a = call->attributes;
    cj_dtype dtype = call->in[0]->type.dtype, wide = cj__wide(dtype);
    if (call->in[1]->type.dtype == CJ_F64) wide = CJ_F64;
    sampling s = {g, wide, a->mode, a->padding, a->align_corners};
    axis_taps taps[CJ__SPATIAL_MAX];
    cj_node *x = cj_cast(call->in[0], wide), *grid = cj_cast(call->in[1], wide);
    int spatial = call->in[0]->type.rank - 2;
    bool first = a->channel_axis == 1;
    if (first) x = channels_last(x, false);
    if (!x || !grid) return false;
    for (int i = 0; i < spatial; i++) {
        cj_node *coordinate = cj_squeeze(cj_slice_axis(grid, -1, spatial - 1 - i, 1), -1);
        if (!coordinate) return false;
        read_axis(&s, place_of(&s, coordinate, x->type.dim[i + 1]), x->type.dim[i + 1], &taps[i]);
    }
    cj_type points = grid->type; /* as many images as x has: symbols are checked against it */
    points.rank--;
    points.dim[0] = x->type.dim[0];
    cj_node *image = cj_iota(g, CJ_I64, 0, points.rank, points.dim);
    cj_node *y = sum_taps(&s, x, image, taps, false);
    out[0] = cj_cast(first ? channels_last(y, true) : y, dtype);
    return out[0] != NULL;
}

/* Coordinates stay away from places where the result has a kink: whole and half places. */
static cj_node *grid_sample(cj_sampler *s, int i)
{
    if (i >= 54) return NULL;
    int spatial = i < 36 ? 2 : 1 + 2 * (i % 2), rank = spatial + 2;
    int64_t image[5], points[5];
    cj_grid_sample_opts o = {.struct_size = sizeof o,
                             .mode = cj__grid_mode_words[i % 3],
                             .padding = cj__grid_padding_words[i / 3 % 3],
                             .align_corners = i / 9 % 2,
                             .channel_axis = i % 4 < 2 ? 1 : -1};
    image[0] = points[0] = i == 40 ? 0 : 1 + i % 2;
    for (int k = 1; k <= spatial; k++) {
        image[o.channel_axis == 1 ? k + 1 : k] = i == 30 ? 1 : 2 + (i + k) % 3;
        points[k] = i == 41 && k == 1 ? 0 : spatial == 3 ? 1 : 1 + (i + k) % 2;
    }
    image[o.channel_axis == 1 ? 1 : rank - 1] = i == 42 ? 0 : 1 + i % 3;
    points[rank - 1] = spatial;
    cj_node *x = cj_sample_real(s, -2, 2, rank, image);
    /* With 1 to 4 elements half places lie at multiples of 1/12. */
    cj_node *grid = cj_sample_away(s, -1.4, 1.4, 1.0 / 12, 0.01, rank, points);
    return (cj_grid_sample)(x, grid, &o);
}

static const cj_option grid_options[] = {
    CJ_OPTION_WORD(cj__grid_attrs, mode, LINEAR, cj__grid_mode_words, "from how many neighbours"),
    CJ_OPTION_WORD(cj__grid_attrs, padding, ZEROS, cj__grid_padding_words, "what lies outside"),
    CJ_OPTION_BOOL(cj__grid_attrs, align_corners, false, "-1 and 1 are the corners' centres"),
    CJ_OPTION_INT(cj__grid_attrs, channel_axis, -1, -1, CJ_RANK_MAX - 1,
                  "of images: 1, or -1, the last"),
    CJ_OPTION_END};

const cj_op cj_op_grid_sample = {
    .name = "grid_sample",
    .doc =
        "y[n, i, c] = x[n, at grid[n, i], c], between the elements of x; -1 to 1 along each axis",
    .inputs = 2,
    .attributes_size = sizeof(cj__grid_attrs),
    .attributes = grid_options,
    .infer = grid_infer,
    .lower = grid_lower,
    .sample = CJ__SAMPLE(grid_sample),
};

cj_node *(cj_grid_sample)(cj_node *x, cj_node *grid, const cj_grid_sample_opts *opts)
{
    cj_grid_sample_opts o = {0};
    cj__grid_attrs a = {0};
    if (!x || !grid) return NULL;
    if (cj__is_zero(x) || cj__is_zero(grid)) return x;
    cj_graph *g = cj_node_graph(x);
    if (!cj__graph_opts(g, "grid_sample", &o, sizeof o, opts)) return NULL;
    if (!cj__image_word(g, "grid_sample", "mode", o.mode, cj__grid_mode_words, &a.mode) ||
        !cj__image_word(g, "grid_sample", "padding", o.padding, cj__grid_padding_words, &a.padding))
        return NULL;
    a.align_corners = o.align_corners;
    a.channel_axis = o.channel_axis ? o.channel_axis : -1;
    if (!cj__is_float(x->type.dtype)) x = cj_cast(x, grid->type.dtype);
    return cj_apply(g, &cj_op_grid_sample, (cj_node *[]){x, grid}, 2, &a);
}
