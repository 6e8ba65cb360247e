/* grid_sample.c: images read between their elements, and blocks of pixels as channels.
 *
 * A coordinate g of the grid, -1 to 1 along an axis of n elements, is place
 *
 *     u = (g + 1) (n - 1) / 2          with align_corners
 *     u = ((g + 1) n - 1) / 2          without
 *
 * The elements around u are gathered from x as rows of channels and summed with weights that are
 * arithmetic on u - floor(u), so the gradient with respect to x (adding up at the same places) and
 * to the grid come from the operators used. */
#include <math.h>
#include <string.h>

#include "graph/ops/block.h"
#include "graph/ops/resize.h"
#include "graph/ops/window.h"

enum { ZEROS, BORDER, REFLECTION };
enum { LINEAR, NEAREST, CUBIC };

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

static void read_axis(const sampling *s, cj_node *coordinate, cj_dim size, axis_taps *t)
{
    cj_node *n = size_of(s, size, s->dtype), *up = cj_shift(coordinate, 1);
    cj_node *u = s->align ? cj_scale(cj_mul(up, cj_shift(n, -1)), 0.5)
                          : cj_scale(cj_shift(cj_mul(up, n), -1), 0.5);
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

/* The sum over all combinations of the axes' taps. */
static cj_node *sum_taps(const sampling *s, cj_node *x, const cj_type *points,
                         const axis_taps *taps)
{
    int spatial = x->type.rank - 2, total = 1;
    cj_node *rows = as_rows(x), *y = NULL;
    cj_node *image = cj_iota(s->g, CJ_I64, 0, points->rank, points->dim);
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
        y = y ? cj_add(y, part) : part;
    }
    return y;
}

static cj_node *channels_last(cj_node *x, bool back)
{
    int64_t p[CJ_RANK_MAX] = {0};
    if (!x) return NULL;
    int last = x->type.rank - 1;
    for (int i = 1; i <= last; i++) p[i] = back ? (i == 1 ? last : i - 1) : i == last ? 1 : i + 1;
    return cj_transpose(x, p);
}

static int word_of(const char *word, const char *const *words)
{
    int i = 0;
    while (word && words[i] && strcmp(words[i], word)) i++;
    return words[i] ? i : -1;
}

cj_node *(cj_grid_sample)(cj_node *x, cj_node *grid, const cj_grid_sample_opts *opts)
{
    static const char *const modes[] = {"linear", "nearest", "cubic", NULL},
                             *const paddings[] = {"zeros", "border", "reflection", NULL};
    cj_grid_sample_opts o = {0};
    axis_taps taps[CJ__SPATIAL_MAX];
    if (!x || !grid) return NULL;
    if (cj__is_zero(x) || cj__is_zero(grid)) return x;
    cj_graph *g = cj_node_graph(x);
    if (opts)
        memcpy(&o, opts,
               opts->struct_size && opts->struct_size < sizeof o ? opts->struct_size : sizeof o);
    sampling s = {g, grid->type.dtype, word_of(o.mode, modes), word_of(o.padding, paddings),
                  o.align_corners};
    int rank = x->type.rank, spatial = rank - 2;
    if (s.mode < 0 || s.padding < 0)
        return cj__graph_fail(g, "grid_sample", CJ_ERR_ARGUMENT,
                              "mode '%s' with padding '%s'; linear, nearest, cubic and zeros, "
                              "border, reflection are known",
                              o.mode ? o.mode : modes[0], o.padding ? o.padding : paddings[0]),
               NULL;
    if (spatial < 1 || spatial > CJ__SPATIAL_MAX || grid->type.rank != rank ||
        grid->type.dim[rank - 1] != spatial || !cj__is_float(grid->type.dtype) ||
        !cj__dim_agree(g, NULL, grid->type.dim[0], x->type.dim[0]))
        return cj__graph_fail(g, "grid_sample", CJ_ERR_SHAPE,
                              "an image of rank %d and a grid of rank %d and last size %s; floats "
                              "[batch, out..., %d] are expected",
                              rank, grid->type.rank,
                              grid->type.rank ? cj_dim_text(g, grid->type.dim[grid->type.rank - 1])
                                              : "nothing",
                              spatial),
               NULL;
    bool first = o.channel_axis == 1;
    if (first) x = channels_last(x, false);
    if (!x) return NULL;
    for (int i = 0; i < spatial; i++) {
        cj_node *coordinate = cj_squeeze(cj_slice_axis(grid, -1, spatial - 1 - i, 1), -1);
        read_axis(&s, coordinate, x->type.dim[i + 1], &taps[i]);
    }
    cj_type points = grid->type;
    points.rank--;
    cj_node *y = sum_taps(&s, x, &points, taps);
    return first ? channels_last(y, true) : y;
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

/* Axes of [n, h, b, w, b', C] in the order of the channels and of the image. The channels of a
 * pixel are b b' C of them, or C b b' with channel_major. */
static cj_node *shuffle(const char *op, cj_node *x, const cj_block_opts *opts, bool to_space)
{
    cj_block_opts o = {0};
    if (!x || cj__is_zero(x)) return x;
    cj_graph *g = cj_node_graph(x);
    if (opts)
        memcpy(&o, opts,
               opts->struct_size && opts->struct_size < sizeof o ? opts->struct_size : sizeof o);
    if (x->type.rank != 4 || o.block < 1 || o.block > 1 << 20)
        return cj__graph_fail(g, op, CJ_ERR_SHAPE,
                              "an operand of rank %d and blocks of %lld; rank 4 and a positive "
                              "number are expected",
                              x->type.rank, (long long)o.block),
               NULL;
    bool first = o.channel_axis == 1;
    const cj_dim *d = x->type.dim;
    cj_dim n = d[0], h = d[first ? 2 : 1], w = d[first ? 3 : 2], c = d[first ? 1 : 3], b = o.block;
    cj_dim whole[] = {to_space ? c : h, to_space ? c : w}, by[] = {to_space ? b * b : b, b};
    for (int i = 0; i < 2; i++)
        if (whole[i] >= 0 && whole[i] % by[i])
            return cj__graph_fail(g, op, CJ_ERR_SHAPE, "%lld %s do not divide into blocks of %lld",
                                  (long long)whole[i], to_space ? "channels" : "rows or columns",
                                  (long long)by[i]),
                   NULL;
    if (to_space) c = cj_dim_div(g, c, b * b);
    else h = cj_dim_div(g, h, b), w = cj_dim_div(g, w, b);
    /* Axes by name: 0 n, 1 h, 2 b of h, 3 w, 4 b of w, 5 c. */
    static const int packed_last[2][6] = {{0, 1, 3, 2, 4, 5}, {0, 1, 3, 5, 2, 4}},
                     packed_first[2][6] = {{0, 2, 4, 5, 1, 3}, {0, 5, 2, 4, 1, 3}},
                     open_last[6] = {0, 1, 2, 3, 4, 5}, open_first[6] = {0, 5, 1, 2, 3, 4};
    const int *packed = (first ? packed_first : packed_last)[o.channel_major];
    const int *open = first ? open_first : open_last;
    const int *from = to_space ? packed : open, *to = to_space ? open : packed;
    cj_dim size[] = {n, h, b, w, b, c}, dims[6];
    int64_t p[6];
    for (int i = 0; i < 6; i++) {
        dims[i] = size[from[i]];
        for (int k = 0; k < 6; k++)
            if (from[k] == to[i]) p[i] = k;
    }
    x = cj_transpose(cj_reshape(x, 6, dims), p);
    cj_dim hh = to_space ? cj_dim_mul(g, h, b) : h, ww = to_space ? cj_dim_mul(g, w, b) : w,
           cc = to_space ? c : cj_dim_mul(g, c, b * b);
    return cj_reshape(x, 4, first ? (cj_dim[]){n, cc, hh, ww} : (cj_dim[]){n, hh, ww, cc});
}

cj_node *(cj_depth_to_space)(cj_node *x, const cj_block_opts *opts)
{
    return shuffle("depth_to_space", x, opts, true);
}
cj_node *(cj_space_to_depth)(cj_node *x, const cj_block_opts *opts)
{
    return shuffle("space_to_depth", x, opts, false);
}
