/* pool_build.c: builders of poolings. Keyword options become the lists that the rows take; adaptive
 * and global pooling, indices as other libraries count them, and unpooling by those are made of
 * other operators. What is wrong with shapes the rows say. */
#include "graph/ops/block.h"
#include "graph/ops/pool.h"

#include <cajal/pool.h>

#include <string.h>

typedef struct lists {
    cj__lp_pool_attrs attrs;
    int64_t kernel[CJ__SPATIAL_MAX], strides[CJ__SPATIAL_MAX], dilations[CJ__SPATIAL_MAX];
    int64_t before[CJ__SPATIAL_MAX], after[CJ__SPATIAL_MAX];
    cj_dim sizes[CJ__SPATIAL_MAX];
} lists;

/* The list, with numbers left out repeated; an empty one when there are none. */
static cj_ints repeated(int64_t to[CJ__SPATIAL_MAX], const int64_t from[CJ__SPATIAL_MAX], int n)
{
    bool any = false;
    for (int i = 0; i < CJ__SPATIAL_MAX; i++) {
        to[i] = from[i] ? from[i] : i ? to[i - 1] : 1;
        any = any || from[i];
    }
    return (cj_ints){any ? n : 0, to};
}

static cj_ints plain(int64_t to[CJ__SPATIAL_MAX], const int64_t from[CJ__SPATIAL_MAX], int n)
{
    memcpy(to, from, CJ__SPATIAL_MAX * sizeof *to);
    return (cj_ints){to[0] || to[1] || to[2] ? n : 0, to};
}

static bool read_opts(const char *op, const cj_node *x, const cj_pool_opts *opts, lists *l)
{
    cj_pool_opts o = {0};
    int spatial = x->type.rank - 2, word = 0;
    if (!cj__graph_opts(cj_node_graph(x), op, &o, sizeof o, opts)) return false;
    *l = (lists){.attrs = {.p = o.p ? o.p : 2}};
    cj__pool_attrs *a = &l->attrs.pool;
    if (spatial < 1 || spatial > CJ__SPATIAL_MAX) spatial = 0; /* the row says what is wrong */
    while (o.padding && cj__padding_words[word] && strcmp(cj__padding_words[word], o.padding))
        word++;
    if (!cj__padding_words[word])
        return cj__graph_fail(cj_node_graph(x), op, CJ_ERR_ARGUMENT,
                              "padding '%s' is none of explicit, valid, same, same_lower",
                              o.padding),
               false;
    *a = (cj__pool_attrs){.kernel = repeated(l->kernel, o.kernel, spatial),
                          .strides = repeated(l->strides, o.strides, spatial),
                          .dilations = repeated(l->dilations, o.dilations, spatial),
                          .pads_before = plain(l->before, o.pads_before, spatial),
                          .pads_after = plain(l->after, o.pads_after, spatial),
                          .padding = word,
                          .ceil_mode = o.ceil_mode,
                          .count_include_pad = o.count_include_pad,
                          .sum = o.sum,
                          .channel_axis = o.channel_axis ? o.channel_axis : -1,
                          .dims = repeated(l->sizes, o.sizes, spatial)};
    return true;
}

/* x of a float dtype, unless the operator takes all numbers. */
static cj_node *pool(const cj_op *op, cj_node *x, cj_node *index, const cj_pool_opts *opts,
                     bool has_sizes)
{
    lists l;
    if (!x || (op->inputs == 2 && !index)) return NULL;
    if (cj__is_zero(x)) return x;
    if (!read_opts(op->name, x, opts, &l)) return NULL;
    if (!has_sizes) l.attrs.pool.dims = (cj_ints){0, NULL};
    return cj__apply_pool(op, x, index, &l.attrs.pool);
}

cj_node *(cj_max_pool)(cj_node *x, const cj_pool_opts *opts)
{
    return pool(&cj_op_max_pool, x, NULL, opts, false);
}
cj_node *(cj_pool_pick)(cj_node *x, cj_node *index, const cj_pool_opts *opts)
{
    return pool(&cj_op_pool_pick, x, index, opts, false);
}
cj_node *(cj_pool_spread)(cj_node *y, cj_node *index, const cj_pool_opts *opts)
{
    return pool(&cj_op_pool_spread, y, index, opts, true);
}
cj_node *(cj_avg_pool)(cj_node *x, const cj_pool_opts *opts)
{
    return pool(&cj_op_avg_pool, x, NULL, opts, false);
}
cj_node *(cj_lp_pool)(cj_node *x, const cj_pool_opts *opts)
{
    return pool(&cj_op_lp_pool, x, NULL, opts, false);
}

/* ---- Global and adaptive pooling ------------------------------------------------------------- */

/* Fails unless x is an image; *channel_axis is made 1 or rank - 1. */
static bool is_image(const char *op, const cj_node *x, int64_t *channel_axis)
{
    int rank = x->type.rank;
    int64_t axis = *channel_axis == 1 ? 1 : rank - 1;
    if (rank < 3 || rank > CJ__SPATIAL_MAX + 2 ||
        (*channel_axis != axis && *channel_axis != -1 && *channel_axis != 0))
        return cj__graph_fail(
                   cj_node_graph(x), op, CJ_ERR_SHAPE,
                   "an operand of rank %d with channel_axis %d; rank 3 to 5 is expected, "
                   "and channels first (1) or last (-1)",
                   rank, (int)*channel_axis),
               false;
    *channel_axis = axis;
    return true;
}

typedef cj_node *(*reduce_fn)(cj_node *x, int n_axes, const int64_t *axes, bool keep);

static cj_node *global_pool(const char *op, cj_node *x, int channel_axis, bool keep, reduce_fn f)
{
    int64_t axes[CJ__SPATIAL_MAX], channels = channel_axis;
    if (!x || cj__is_zero(x)) return x;
    if (!is_image(op, x, &channels)) return NULL;
    for (int i = 0; i < x->type.rank - 2; i++) axes[i] = cj__spatial_axis(channels, i);
    return f(x, x->type.rank - 2, axes, keep);
}

cj_node *(cj_global_avg_pool)(cj_node *x, int channel_axis, bool keep)
{
    return global_pool("global_avg_pool", x, channel_axis, keep, cj_reduce_mean);
}
cj_node *(cj_global_max_pool)(cj_node *x, int channel_axis, bool keep)
{
    return global_pool("global_max_pool", x, channel_axis, keep, cj_reduce_max);
}

/* A constant of the graph that `fill` writes; data [rows, columns]. */
static cj_node *window_table(cj_graph *g, cj_dtype dtype, int64_t m, int64_t n, int64_t columns)
{
    cj_tensor *t = cj_tensor_new(cj_graph_context(g), dtype, 2, (int64_t[]){m, columns});
    if (!t)
        return cj__graph_fail(g, "adaptive pooling", cj_last_status(cj_graph_context(g)), "%s",
                              cj_message(cj_graph_context(g))),
               NULL;
    void *data = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < m; i++) {
        int64_t begin = i * n / m, length = ((i + 1) * n + m - 1) / m - begin;
        for (int64_t j = 0; j < columns; j++) {
            size_t at = (size_t)(i * columns + j);
            if (dtype == CJ_I64) /* elements of window i, the last one repeated */
                cj_store_i64(dtype, data, at, begin + (j < length ? j : length - 1));
            else /* their weights */
                cj_store_f64(dtype, data, at,
                             j >= begin && j < begin + length ? 1 / (double)length : 0);
        }
    }
    cj_tensor_unmap(t);
    cj_node *node = cj_constant(g, t);
    cj_tensor_free(t);
    return node;
}

/* Means along an axis of n elements are a matrix; it is multiplied from the left, or where the axis
 * is the last one from the right. */
static cj_node *mean_along(cj_node *x, int axis, int64_t n, int64_t m)
{
    cj_graph *g = cj_node_graph(x);
    const int rank = x->type.rank;
    cj_type y = x->type;
    cj_dim dims[3] = {1, n, 1};
    y.dim[axis] = m;
    cj_node *weights = window_table(g, y.dtype, m, n, n);
    if (axis == rank - 1) return cj_matmul_transposed(x, weights, false, true);
    for (int i = 0; i < rank; i++)
        if (i != axis) dims[2 * (i > axis)] = cj_dim_mul(g, dims[2 * (i > axis)], y.dim[i]);
    if (x->call->op == &cj_op_reshape) x = x->call->in[0]; /* of the axis before */
    return cj_reshape(cj_matmul(weights, cj_reshape(x, 3, dims)), rank, y.dim);
}

/* The elements of each window stand along a new axis. An element that is repeated changes nothing.
 */
static cj_node *max_along(cj_node *x, int axis, int64_t n, int64_t m)
{
    int64_t longest = 1, along = axis + 1;
    for (int64_t i = 0; i < m; i++) {
        int64_t length = ((i + 1) * n + m - 1) / m - i * n / m;
        if (length > longest) longest = length;
    }
    cj_node *windows = cj_gather(x, window_table(cj_node_graph(x), CJ_I64, m, n, longest), axis);
    return cj_reduce_max(windows, 1, &along, false);
}

static cj_node *adaptive(const char *op, cj_node *x, const cj_pool_opts *opts, bool max)
{
    enum { MOST = 1 << 20 }; /* elements of an axis, and windows */
    lists l;
    if (!x || cj__is_zero(x)) return x;
    cj_graph *g = cj_node_graph(x);
    if (!read_opts(op, x, opts, &l)) return NULL;
    int64_t channels = l.attrs.pool.channel_axis;
    if (!is_image(op, x, &channels)) return NULL;
    cj_dim repeated[CJ_RANK_MAX] = {0};
    for (int i = 0; x && i < x->type.rank - 2; i++) {
        int64_t axis = cj__spatial_axis(channels, i), n = x->type.dim[axis], m = l.sizes[i];
        if (n == m) continue;
        if (m == 1) {
            x = (max ? cj_reduce_max : cj_reduce_mean)(x, 1, &axis, true);
            continue;
        }
        if (n < 1 || m < 1 || n > MOST || m > MOST)
            return cj__graph_fail(g, op, CJ_ERR_SHAPE,
                                  "%s windows along axis %d of %s elements; numbers from 1 to %d "
                                  "are expected",
                                  cj_dim_text(g, m), (int)axis, cj_dim_text(g, n), MOST),
                   NULL;
        if (n == 1) repeated[axis] = m;
        else x = max ? max_along(x, (int)axis, n, m) : mean_along(x, (int)axis, n, m);
    }
    for (int i = 0; x && i < x->type.rank; i++)
        if (!repeated[i]) repeated[i] = x->type.dim[i];
    return x ? cj_broadcast_to(x, x->type.rank, repeated) : NULL;
}

/* Sizes that divide give ordinary windows. */
static cj_node *adaptive_pool(const char *op, cj_node *x, const cj_pool_opts *opts, bool max)
{
    lists l;
    if (!x || cj__is_zero(x)) return x;
    if (!read_opts(op, x, opts, &l)) return NULL;
    cj__pool_attrs *a = &l.attrs.pool;
    int64_t channels = a->channel_axis;
    bool divides = is_image(op, x, &channels), all = true;
    for (int i = 0; divides && i < x->type.rank - 2; i++) {
        int64_t n = x->type.dim[cj__spatial_axis(channels, i)], m = l.sizes[i];
        divides = n > 0 && m > 0 && n % m == 0;
        all = all && m == 1;
        if (divides) l.kernel[i] = n / m;
    }
    if (!divides || all) return adaptive(op, x, opts, max);
    a->kernel = (cj_ints){x->type.rank - 2, l.kernel};
    a->strides = a->dims = (cj_ints){0, NULL};
    return cj__apply_pool(max ? &cj_op_max_pool : &cj_op_avg_pool, x, NULL, a);
}

cj_node *(cj_adaptive_avg_pool)(cj_node *x, const cj_pool_opts *opts)
{
    return adaptive_pool("adaptive_avg_pool", x, opts, false);
}
cj_node *(cj_adaptive_max_pool)(cj_node *x, const cj_pool_opts *opts)
{
    return adaptive_pool("adaptive_max_pool", x, opts, true);
}

/* ---- Indices as others count them ------------------------------------------------------------ */

static cj_node *number(cj_graph *g, cj_dim d)
{
    return d >= 0 ? cj_scalar(g, CJ_I64, (double)d) : cj_dim_value(g, d);
}

/* Place k of window o along an axis is element o stride - before + k dilation. */
cj_node *(cj_pool_flat_index)(cj_node *pooled)
{
    if (!pooled) return NULL;
    if (cj__is_zero(pooled) || pooled->call->op != &cj_op_max_pool)
        return cj__graph_fail(cj_node_graph(pooled), "pool_flat_index", CJ_ERR_ARGUMENT,
                              "the operand is no result of max_pool"),
               NULL;
    const cj_call *call = pooled->call;
    const cj__pool_attrs *a = call->attributes;
    const cj_type *x = &call->in[0]->type, *y = &call->out[0].type;
    cj_graph *g = call->graph;
    cj__sliding s = cj__pool_sliding(a);
    cj_node *flat = NULL, *left = cj_cast(&call->out[1], CJ_I64);
    cj_dim below = 1; /* elements of x for one step along the axis */
    for (int i = x->rank - 3; i >= 0; i--) {
        int axis = cj__spatial_axis(a->channel_axis, i);
        cj_node *kernel = cj_scalar(g, CJ_I64, (double)a->kernel.v[i]);
        cj_node *k = i ? cj_mod(left, kernel) : left;
        left = cj_div(left, kernel);
        cj_node *at = cj_scale(cj_iota(g, CJ_I64, axis, y->rank, y->dim),
                               (double)(s.strides.n ? s.strides.v[i] : 1));
        at = cj_add(at, cj_scale(k, (double)(s.dilations.n ? s.dilations.v[i] : 1)));
        at = cj_sub(at, number(g, cj__pool_before(g, &s, i, x->dim[axis], a->kernel.v[i])));
        at = cj_mul(at, number(g, below));
        flat = flat ? cj_add(flat, at) : at;
        below = cj_dim_mul(g, below, x->dim[axis]);
    }
    return flat;
}

/* From channels last to first and back. */
static cj_node *channels_first(cj_node *x, bool back)
{
    int64_t p[CJ_RANK_MAX] = {0};
    if (!x) return NULL;
    int last = x->type.rank - 1;
    for (int i = 1; i <= last; i++) p[i] = back ? (i == last ? 1 : i + 1) : i == 1 ? last : i - 1;
    return cj_transpose(x, p);
}

cj_node *(cj_max_unpool)(cj_node *y, cj_node *flat_index, const cj_pool_opts *opts)
{
    lists l;
    if (!y || !flat_index) return NULL;
    if (cj__is_zero(y)) return y;
    cj_graph *g = cj_node_graph(y);
    if (!read_opts("max_unpool", y, opts, &l)) return NULL;
    int64_t channels = l.attrs.pool.channel_axis;
    if (!is_image("max_unpool", y, &channels)) return NULL;
    if (flat_index->type.rank != y->type.rank)
        return cj__graph_fail(g, "max_unpool", CJ_ERR_SHAPE, "the index has rank %d, expected %d",
                              flat_index->type.rank, y->type.rank),
               NULL;
    bool last = channels != 1;
    int rank = y->type.rank;
    if (last) y = channels_first(y, false), flat_index = channels_first(flat_index, false);
    if (!y || !flat_index) return NULL;
    cj_dim from[] = {y->type.dim[0], y->type.dim[1], 1}, to[CJ_RANK_MAX] = {from[0], from[1]},
           all = 1;
    for (int i = 2; i < rank; i++) {
        from[2] = cj_dim_mul(g, from[2], y->type.dim[i]);
        all = cj_dim_mul(g, all, to[i] = l.sizes[i - 2]);
    }
    cj_node *zeros = cj_broadcast_to(cj_scalar(g, y->type.dtype, 0), 3,
                                     (cj_dim[]){from[0], from[1], all});
    cj_node *x = cj_scatter_along(zeros, cj_reshape(flat_index, 3, from), cj_reshape(y, 3, from), 2,
                                  CJ_SCATTER_REPLACE);
    x = cj_reshape(x, rank, to);
    return last ? channels_first(x, true) : x;
}
