/* pool_lower.c: poolings as gathers and sums, for formats that lack them and as their second
 * definition in the tests.
 *
 * x is padded and gathered along each spatial axis with a table of [windows, places], so that the
 * places of each window stand along an axis of their own:
 *
 *     [n, h, w, c]  ->  [n, h', w', places, c]        or     [n, c, h', w', places]
 *
 * Folding goes the other way with the same tables: what windows share is added up. */
#include <math.h>

#include "graph/ops/block.h"
#include "graph/ops/pool.h"

typedef struct windows {
    cj_graph *g;
    cj_type x;                   /* the image */
    int spatial, axis, channels; /* axis: of the places; channels: of x */
    int64_t places;
    cj__window w[CJ__SPATIAL_MAX];
    int64_t more[CJ__SPATIAL_MAX]; /* padding behind, up to the last place of the last window */
} windows;

static bool windows_of(cj_graph *g, const cj__pool_attrs *a, const cj_type *x, windows *v)
{
    cj__sliding s = cj__pool_sliding(a);
    *v = (windows){.g = g, .x = *x, .spatial = x->rank - 2, .places = 1};
    v->channels = (int)a->channel_axis;
    v->axis = x->rank - (a->channel_axis == 1 ? 0 : 1);
    for (int i = 0; i < v->spatial; i++) {
        cj_dim n = x->dim[cj__spatial_axis(a->channel_axis, i)];
        if (n < 0)
            return cj__graph_fail(g, "pooling", CJ_ERR_UNSUPPORTED,
                                  "it is taken apart only for known sizes, and one is %s",
                                  cj_dim_text(g, n)),
                   false;
        cj__window w = v->w[i] = cj__window_of(&s, i, n, a->kernel.v[i]);
        int64_t end = (w.result - 1) * w.stride + (w.kernel - 1) * w.dilation + 1;
        v->more[i] = end > n + w.before ? end - n - w.before : 0;
        v->places *= w.kernel;
    }
    return true;
}

static cj_node *table(const windows *v, int i)
{
    const cj__window *w = &v->w[i];
    cj_context *cj = cj_graph_context(v->g);
    cj_tensor *t = cj_tensor_new(cj, CJ_I64, 2, (int64_t[]){w->result, w->kernel});
    int64_t *at = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    if (!at)
        return cj__graph_fail(v->g, "pooling", cj_last_status(cj), "%s", cj_message(cj)), NULL;
    for (int64_t o = 0; o < w->result; o++)
        for (int64_t k = 0; k < w->kernel; k++)
            at[o * w->kernel + k] = o * w->stride + k * w->dilation;
    cj_tensor_unmap(t);
    cj_node *node = cj_constant(v->g, t);
    cj_tensor_free(t);
    return node;
}

/* Axes [n, (c,) h', kh, w', kw (, c)] with the kernels behind the windows, and back. */
static cj_node *swap_axes(const windows *v, cj_node *t, bool back)
{
    int64_t p[CJ_RANK_MAX];
    int first = v->channels == 1 ? 2 : 1, rank = v->x.rank + v->spatial;
    for (int i = 0; i < rank; i++) p[i] = i;
    for (int i = 0; i < v->spatial; i++)
        for (int k = 0; k < 2; k++) {
            int apart = first + 2 * i + k, together = first + i + k * v->spatial;
            if (back) p[apart] = together;
            else p[together] = apart;
        }
    return cj_transpose(t, p);
}

static int swapped_dims(const windows *v, cj_dim dims[CJ_RANK_MAX], bool merged)
{
    int n = 0;
    dims[n++] = v->x.dim[0];
    if (v->channels == 1) dims[n++] = v->x.dim[1];
    for (int i = 0; i < v->spatial; i++) dims[n++] = v->w[i].result;
    for (int i = 0; i < v->spatial && !merged; i++) dims[n++] = v->w[i].kernel;
    if (merged) dims[n++] = v->places;
    if (v->channels != 1) dims[n++] = v->x.dim[v->channels];
    return n;
}

static cj_node *unfold(const windows *v, cj_node *x, double padding)
{
    int64_t before[CJ_RANK_MAX] = {0}, after[CJ_RANK_MAX] = {0};
    cj_dim dims[CJ_RANK_MAX];
    for (int i = 0; i < v->spatial; i++) {
        int axis = cj__spatial_axis(v->channels, i);
        before[axis] = v->w[i].before;
        after[axis] = v->more[i];
    }
    x = cj_pad(x, before, after, padding);
    for (int i = 0; i < v->spatial; i++)
        x = cj_gather(x, table(v, i), cj__spatial_axis(v->channels, i) + i);
    int rank = swapped_dims(v, dims, true);
    return cj_reshape(swap_axes(v, x, false), rank, dims);
}

static cj_node *fold(const windows *v, cj_node *t)
{
    int64_t begin[CJ_RANK_MAX] = {0};
    cj_dim dims[CJ_RANK_MAX];
    int rank = swapped_dims(v, dims, false);
    t = swap_axes(v, cj_reshape(t, rank, dims), true);
    for (int i = v->spatial - 1; i >= 0; i--) {
        int64_t size = v->w[i].n + v->w[i].before + v->more[i];
        t = cj_scatter_add(t, table(v, i), cj__spatial_axis(v->channels, i) + i, size, 2);
        begin[cj__spatial_axis(v->channels, i)] = v->w[i].before;
    }
    return cj_slice(t, begin, v->x.dim, NULL);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

bool cj__max_pool_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    windows v;
    if (!windows_of(g, call->attributes, &call->in[0]->type, &v)) return false;
    cj_node *t = unfold(&v, call->in[0], -INFINITY), *index = cj_argmax(t, v.axis, true);
    out[0] = cj_squeeze(cj_gather_along(t, index, v.axis), v.axis);
    out[1] = cj_squeeze(cj_cast(index, call->out[1].type.dtype), v.axis);
    return out[0] && out[1];
}

/* The index along the axis of the places, and whether it is one of them. */
static cj_node *index_of(const windows *v, cj_node *index, cj_node **is_place)
{
    index = cj_expand_dims(cj_cast(index, CJ_I64), v->axis);
    cj_node *none = cj_scalar(v->g, CJ_I64, 0), *end = cj_scalar(v->g, CJ_I64, (double)v->places);
    *is_place = cj_logical_and(cj_greater_equal(index, none), cj_less(index, end));
    return cj_where(*is_place, index, none);
}

bool cj__pool_pick_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    windows v;
    cj_node *is_place;
    if (!windows_of(g, call->attributes, &call->in[0]->type, &v)) return false;
    cj_node *index = index_of(&v, call->in[1], &is_place);
    cj_node *picked = cj_gather_along(unfold(&v, call->in[0], 0), index, v.axis);
    out[0] = cj_squeeze(cj_where(is_place, picked, cj_zero), v.axis);
    return out[0] != NULL;
}

bool cj__pool_spread_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    windows v;
    cj_dim dims[CJ_RANK_MAX];
    if (!windows_of(g, call->attributes, &call->out[0].type, &v)) return false;
    int rank = swapped_dims(&v, dims, true);
    cj_node *index = cj_expand_dims(cj_cast(call->in[1], CJ_I64), v.axis);
    cj_node *here = cj_equal(cj_iota(g, CJ_I64, v.axis, rank, dims), index);
    out[0] = fold(&v, cj_where(here, cj_expand_dims(call->in[0], v.axis), cj_zero));
    return out[0] != NULL;
}

/* By how much each window is divided: [1, h', w', 1]. */
static cj_node *divisors(const windows *v, const cj__pool_attrs *a, cj_dtype dtype)
{
    cj_context *cj = cj_graph_context(v->g);
    cj__pool p = {0};
    int64_t dims[CJ_RANK_MAX], count = 1;
    for (int i = 0; i < v->x.rank; i++) dims[i] = 1;
    for (int i = 0; i < CJ__SPATIAL_MAX; i++) p.axis[i] = (cj__window){1, 1, 1, 1, 0, 0, 1};
    for (int i = 0; i < v->spatial; i++) {
        p.axis[CJ__SPATIAL_MAX - v->spatial + i] = v->w[i];
        count *= dims[cj__spatial_axis(v->channels, i)] = v->w[i].result;
    }
    cj_tensor *t = cj_tensor_new(cj, dtype, v->x.rank, dims);
    void *data = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    if (!data)
        return cj__graph_fail(v->g, "pooling", cj_last_status(cj), "%s", cj_message(cj)), NULL;
    for (int64_t e = 0; e < count; e++) {
        int64_t at[CJ__SPATIAL_MAX], left = e;
        for (int i = CJ__SPATIAL_MAX - 1; i >= 0; i--) {
            at[i] = left % p.axis[i].result;
            left /= p.axis[i].result;
        }
        cj_store_f64(dtype, data, (size_t)e, cj__pool_divisor(a, &p, at));
    }
    cj_tensor_unmap(t);
    cj_node *node = cj_constant(v->g, t);
    cj_tensor_free(t);
    return node;
}

bool cj__avg_pool_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    const cj__pool_attrs *a = call->attributes;
    windows v;
    if (!windows_of(g, a, &call->in[0]->type, &v)) return false;
    int64_t axis = v.axis;
    out[0] = cj_reduce_sum(unfold(&v, call->in[0], 0), 1, &axis, false);
    if (!a->sum) out[0] = cj_div(out[0], divisors(&v, a, call->in[0]->type.dtype));
    return out[0] != NULL;
}

bool cj__avg_pool_grad_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    const cj__pool_attrs *a = call->attributes;
    windows v;
    cj_dim dims[CJ_RANK_MAX];
    if (!windows_of(g, a, &call->out[0].type, &v)) return false;
    cj_node *dy = call->in[0];
    if (!a->sum) dy = cj_div(dy, divisors(&v, a, dy->type.dtype));
    int rank = swapped_dims(&v, dims, true);
    out[0] = fold(&v, cj_broadcast_to(cj_expand_dims(dy, v.axis), rank, dims));
    return out[0] != NULL;
}
