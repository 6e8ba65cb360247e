/* max_pool.c: max_pool with the linear pair pool_pick and pool_spread.
 *
 * max_pool gives the largest element of each window and its place in the window, counted row by row
 * over the window's places, padding included. With that index the gradient needs neither x nor y:
 *
 *     x     1 5 | 0 2        y  6  2        index  2  1         dx   0 0 | 0 b
 *           6 2 | 1 0                                                a 0 | 0 0    for dy = a b
 *
 * pool_spread puts dy at those places and adds where windows overlap; pool_pick takes x's elements
 * from there. They are transposes of each other, so each is the other's gradient, and max_pool has
 * gradients of any order. An index that means no place, or one in the padding, picks 0 and spreads
 * nothing. */
#include <math.h>
#include <string.h>

#include "graph/ops/block.h"
#include "graph/ops/pool.h"
#include "tensor/dtype.h"

static const cj_option pool_options[] = {CJ__POOL_OPTIONS, CJ_OPTION_END};
static const cj_option spread_options[] = {CJ__POOL_OPTIONS, CJ__POOL_SIZES, CJ_OPTION_END};

/* ---- max_pool -------------------------------------------------------------------------------- */

static cj_status max_pool_infer(cj_infer *infer)
{
    const cj__pool_attrs *a = infer->call->attributes;
    CJ__TRY(cj__infer_pool(infer, &infer->call->in[0]->type, &infer->out[0], true));
    int64_t places = 1;
    for (int i = 0; i < a->kernel.n; i++) places *= a->kernel.v[i];
    infer->out[1] = infer->out[0];
    infer->out[1].dtype = places <= 256 ? CJ_U8 : CJ_I32;
    return CJ_OK;
}

static bool beats(const cj_array *x, int64_t at, int64_t best)
{
    size_t i = (size_t)at, j = (size_t)best;
    if (cj__is_float(x->dtype))
        return cj__beats_f64(cj_load_f64(x->dtype, x->data, i), cj_load_f64(x->dtype, x->data, j),
                             true);
    return cj__beats_i64(cj_load_i64(x->dtype, x->data, i), cj_load_i64(x->dtype, x->data, j), true,
                         x->dtype == CJ_U64);
}

static cj_status max_pool_ref(const cj_kernel *k)
{
    const cj_array *x = k->in[0], *y = k->out[0], *index = k->out[1];
    size_t bytes = cj__dtype_bytes(x->dtype);
    cj__pool p = cj__pool_of(k->call->attributes, x, y);
    for (int64_t e = 0; e < y->count; e++) {
        cj__spot s = cj__pool_spot(&p, e, true);
        int64_t best = -1, best_q = 0;
        for (int64_t q = 0; q < p.places; q++) {
            int64_t at = cj__pool_place(&p, &s, q);
            if (at < 0 || (best >= 0 && !beats(x, at, best))) continue;
            best = at;
            best_q = q;
        }
        if (best < 0) cj_store_f64(y->dtype, y->data, (size_t)s.own, -INFINITY);
        else memcpy(cj__element(y, s.own), cj__element(x, best), bytes);
        cj_store_i64(index->dtype, index->data, (size_t)s.own, best_q);
    }
    return CJ_OK;
}

static void max_pool_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    cj_dim room[CJ__SPATIAL_MAX];
    cj__pool_attrs a = *(const cj__pool_attrs *)call->attributes;
    a.dims = cj__spatial_dims(&call->in[0]->type, a.channel_axis, room);
    dx[0] = cj__apply_pool(&cj_op_pool_spread, dy[0], &call->out[1], &a);
}

static cj_node *max_pool_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t x[CJ_RANK_MAX], y[CJ_RANK_MAX];
    cj__pool_attrs a;
    if (!cj__pool_sample(i, &a, &rank, x, y)) return NULL;
    cj_node *in = i == 9    ? cj_sample_int(s, CJ_U8, 0, 9, rank, x)
                  : i == 20 ? cj_sample_int(s, CJ_I64, -3, 3, rank, x)
                            : cj_sample_distinct(s, rank, x);
    return cj__apply_pool(&cj_op_max_pool, in, NULL, &a);
}

const cj_op cj_op_max_pool = {
    .name = "max_pool",
    .doc =
        "the largest element of each window (the first of equals, NaN before all), and its place "
        "in the window, row by row: u8 where windows have up to 256 places, else i32",
    .flags = CJ_OP_NOFAIL,
    .inputs = 1,
    .outputs = 2,
    .attributes_size = sizeof(cj__pool_attrs),
    .attributes = pool_options,
    .infer = max_pool_infer,
    .grad = max_pool_grad,
    .lower = cj__max_pool_lower,
    .ref = max_pool_ref,
    .sample = CJ__SAMPLE(max_pool_sample),
};

/* ---- pool_pick, pool_spread ------------------------------------------------------------------ */

static cj_status check_index(cj_infer *infer, const cj_type *y)
{
    const cj_type *index = &infer->call->in[1]->type;
    if (index->dtype != CJ_U8 && index->dtype != CJ_I32)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "the index is %s, expected u8 or i32",
                             cj_dtype_info(index->dtype)->name);
    bool same = index->rank == y->rank;
    for (int i = 0; same && i < y->rank; i++)
        same = cj_infer_equal(infer, index->dim[i], y->dim[i]);
    if (same) return CJ_OK;
    return cj_infer_fail(infer, CJ_ERR_SHAPE,
                         "the index must have the shape of the windows, an element for each");
}

static cj_status pick_infer(cj_infer *infer)
{
    CJ__TRY(cj__infer_pool(infer, &infer->call->in[0]->type, &infer->out[0], false));
    return check_index(infer, &infer->out[0]);
}

static cj_status pick_ref(const cj_kernel *k)
{
    const cj_array *x = k->in[0], *index = k->in[1], *y = k->out[0];
    size_t bytes = cj__dtype_bytes(x->dtype);
    cj__pool p = cj__pool_of(k->call->attributes, x, y);
    for (int64_t e = 0; e < y->count; e++) {
        cj__spot s = cj__pool_spot(&p, e, true);
        int64_t q = cj_load_i64(index->dtype, index->data, (size_t)s.own);
        int64_t from = q >= 0 && q < p.places ? cj__pool_place(&p, &s, q) : -1;
        if (from < 0) memset(cj__element(y, s.own), 0, bytes);
        else memcpy(cj__element(y, s.own), cj__element(x, from), bytes);
    }
    return CJ_OK;
}

static cj_status spread_infer(cj_infer *infer)
{
    const cj_type *dy = &infer->call->in[0]->type;
    CJ__TRY(cj__infer_unpool(infer, dy, &infer->out[0]));
    return check_index(infer, dy);
}

static cj_status spread_ref(const cj_kernel *k)
{
    const cj_array *dy = k->in[0], *index = k->in[1], *dx = k->out[0];
    bool is_float = cj__is_float(dx->dtype);
    cj__pool p = cj__pool_of(k->call->attributes, dx, dy);
    for (int64_t e = 0; e < dx->count; e++) {
        cj__spot s = cj__pool_spot(&p, e, false);
        double sum = 0;
        uint64_t whole = 0;
        for (int64_t q = 0; q < p.places; q++) {
            int64_t at = cj__pool_window(&p, &s, q, NULL);
            if (at < 0 || cj_load_i64(index->dtype, index->data, (size_t)at) != q) continue;
            if (is_float) sum += cj_load_f64(dy->dtype, dy->data, (size_t)at);
            else whole += (uint64_t)cj_load_i64(dy->dtype, dy->data, (size_t)at);
        }
        if (is_float) cj_store_f64(dx->dtype, dx->data, (size_t)s.own, sum);
        else cj_store_i64(dx->dtype, dx->data, (size_t)s.own, (int64_t)whole);
    }
    return CJ_OK;
}

static void pick_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    cj_dim room[CJ__SPATIAL_MAX];
    cj__pool_attrs a = *(const cj__pool_attrs *)call->attributes;
    a.dims = cj__spatial_dims(&call->in[0]->type, a.channel_axis, room);
    dx[0] = cj__apply_pool(&cj_op_pool_spread, dy[0], call->in[1], &a);
}

static void spread_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    cj__pool_attrs a = *(const cj__pool_attrs *)call->attributes;
    a.dims = (cj_ints){0, NULL};
    dx[0] = cj__apply_pool(&cj_op_pool_pick, dy[0], call->in[1], &a);
}

/* Indices of all places and one behind them; negative ones in i32. */
static cj_node *sample_index(cj_sampler *s, int i, const cj__pool_attrs *a, int rank,
                             const int64_t *y)
{
    int64_t places = 1;
    for (int k = 0; k < a->kernel.n; k++) places *= a->kernel.v[k];
    bool wide = places > 255 || i % 5 == 4;
    return cj_sample_int(s, wide ? CJ_I32 : CJ_U8, wide ? -1 : 0, places, rank, y);
}

static cj_node *pick_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t x[CJ_RANK_MAX], y[CJ_RANK_MAX];
    cj__pool_attrs a;
    if (!cj__pool_sample(i, &a, &rank, x, y)) return NULL;
    cj_node *in = i == 9 ? cj_sample_int(s, CJ_I16, -9, 9, rank, x)
                         : cj_sample_real(s, -2, 2, rank, x);
    return cj__apply_pool(&cj_op_pool_pick, in, sample_index(s, i, &a, rank, y), &a);
}

static cj_node *spread_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t x[CJ_RANK_MAX], y[CJ_RANK_MAX], dims[CJ__SPATIAL_MAX];
    cj__pool_attrs a;
    if (!cj__pool_sample(i, &a, &rank, x, y)) return NULL;
    for (int k = 0; k < rank - 2; k++)
        dims[k] = x[cj__spatial_axis(a.channel_axis == 1 ? 1 : rank - 1, k)];
    a.dims = (cj_ints){rank - 2, dims};
    cj_node *in = i == 9 ? cj_sample_int(s, CJ_I16, -9, 9, rank, y)
                         : cj_sample_real(s, -2, 2, rank, y);
    return cj__apply_pool(&cj_op_pool_spread, in, sample_index(s, i, &a, rank, y), &a);
}

const cj_op cj_op_pool_pick = {
    .name = "pool_pick",
    .doc =
        "of each window of x the element at the place that the index says; 0 for a place outside",
    .flags = CJ_OP_NOFAIL,
    .inputs = 2,
    .attributes_size = sizeof(cj__pool_attrs),
    .attributes = pool_options,
    .infer = pick_infer,
    .grad = pick_grad,
    .lower = cj__pool_pick_lower,
    .ref = pick_ref,
    .sample = CJ__SAMPLE(pick_sample),
};

const cj_op cj_op_pool_spread = {
    .name = "pool_spread",
    .doc = "zeros, to which each element of dy is added at the place of its window that the index "
           "says: the transpose of pool_pick, the gradient of max_pool, and unpooling",
    .flags = CJ_OP_NOFAIL,
    .inputs = 2,
    .attributes_size = sizeof(cj__pool_attrs),
    .attributes = spread_options,
    .infer = spread_infer,
    .grad = spread_grad,
    .lower = cj__pool_spread_lower,
    .ref = spread_ref,
    .sample = CJ__SAMPLE(spread_sample),
};
