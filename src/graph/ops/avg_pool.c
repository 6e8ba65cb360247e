/* avg_pool.c: the mean of windows, its transpose, and lp_pool, which is made of it.
 *
 *     avg_pool        y[i]  = sum of x over window i / d(i)
 *     avg_pool_grad   dx[j] = sum over windows i that hold j of dy[i] / d(i)
 *
 * d(i) is the number of elements of the window; with count_include_pad that of its places up to the
 * end of the padding after (places behind that, which ceil_mode brings, never count); 1 with `sum`.
 * Both are linear and each is the gradient of the other. */
#include <math.h>

#include "graph/ops/map.h"
#include "graph/ops/pool.h"

#define POOL_DIVISOR \
    CJ_OPTION_BOOL(cj__pool_attrs, count_include_pad, false, "padding counts as elements"), \
        CJ_OPTION_BOOL(cj__pool_attrs, sum, false, "do not divide")

static const cj_option avg_options[] = {CJ__POOL_OPTIONS, POOL_DIVISOR, CJ_OPTION_END};
static const cj_option grad_options[] = {CJ__POOL_OPTIONS, POOL_DIVISOR, CJ__POOL_SIZES,
                                         CJ_OPTION_END};

/* How many of the places of window `at` are in low .. high-1. */
static int64_t places_in(const cj__window *w, int64_t at, int64_t low, int64_t high)
{
    int64_t begin = at * w->stride - w->before, first = 0, end = w->kernel;
    if (begin < low) first = (low - begin + w->dilation - 1) / w->dilation;
    if (begin + (w->kernel - 1) * w->dilation >= high)
        end = begin < high ? (high - 1 - begin) / w->dilation + 1 : 0;
    return end > first ? end - first : 0;
}

double cj__pool_divisor(const cj__pool_attrs *a, const cj__pool *p, const int64_t *at)
{
    double count = 1;
    for (int i = 0; !a->sum && i < CJ__SPATIAL_MAX; i++) {
        const cj__window *w = &p->axis[i];
        count *= (double)(a->count_include_pad ? places_in(w, at[i], -w->before, w->n + w->after)
                                               : places_in(w, at[i], 0, w->n));
    }
    return count > 0 ? count : 1;
}

static cj_status infer_floats_only(cj_infer *infer)
{
    cj_dtype dtype = infer->call->in[0]->type.dtype;
    return cj__is_float(dtype) ? CJ_OK
                               : cj_infer_fail(infer, CJ_ERR_TYPE, "takes floats, not %s",
                                               cj_dtype_info(dtype)->name);
}

static cj_status avg_pool_infer(cj_infer *infer)
{
    const cj__pool_attrs *a = infer->call->attributes;
    CJ__TRY(infer_floats_only(infer));
    return cj__infer_pool(infer, &infer->call->in[0]->type, &infer->out[0],
                          !a->sum && !a->count_include_pad);
}

static cj_status avg_pool_ref(const cj_kernel *k)
{
    const cj_array *x = k->in[0], *y = k->out[0];
    cj__pool p = cj__pool_of(k->call->attributes, x, y);
    for (int64_t e = 0; e < y->count; e++) {
        cj__spot s = cj__pool_spot(&p, e, true);
        double sum = 0;
        for (int64_t q = 0; q < p.places; q++) {
            int64_t at = cj__pool_place(&p, &s, q);
            if (at >= 0) sum += cj_load_f64(x->dtype, x->data, (size_t)at);
        }
        cj_store_f64(y->dtype, y->data, (size_t)s.own,
                     sum / cj__pool_divisor(k->call->attributes, &p, s.at));
    }
    return CJ_OK;
}

static void avg_pool_gradient(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    cj_dim room[CJ__SPATIAL_MAX];
    cj__pool_attrs a = *(const cj__pool_attrs *)call->attributes;
    a.dims = cj__spatial_dims(&call->in[0]->type, a.channel_axis, room);
    dx[0] = cj__apply_pool(&cj_op_avg_pool_grad, dy[0], NULL, &a);
}

static cj_node *avg_pool_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t x[CJ_RANK_MAX], y[CJ_RANK_MAX];
    cj__pool_attrs a;
    if (!cj__pool_sample(i, &a, &rank, x, y)) return NULL;
    a.count_include_pad = i % 4 >= 2;
    a.sum = i % 7 == 6;
    return cj__apply_pool(&cj_op_avg_pool, cj_sample_real(s, -2, 2, rank, x), NULL, &a);
}

const cj_op cj_op_avg_pool = {
    .name = "avg_pool",
    .doc = "the mean of each window's elements",
    .flags = CJ_OP_NOFAIL,
    .inputs = 1,
    .attributes_size = sizeof(cj__pool_attrs),
    .attributes = avg_options,
    .infer = avg_pool_infer,
    .grad = avg_pool_gradient,
    .lower = cj__avg_pool_lower,
    .ref = avg_pool_ref,
    .sample = CJ__SAMPLE(avg_pool_sample),
};

/* ---- avg_pool_grad --------------------------------------------------------------------------- */

static cj_status avg_pool_grad_infer(cj_infer *infer)
{
    CJ__TRY(infer_floats_only(infer));
    return cj__infer_unpool(infer, &infer->call->in[0]->type, &infer->out[0]);
}

static cj_status avg_pool_grad_ref(const cj_kernel *k)
{
    const cj_array *dy = k->in[0], *dx = k->out[0];
    cj__pool p = cj__pool_of(k->call->attributes, dx, dy);
    for (int64_t e = 0; e < dx->count; e++) {
        cj__spot s = cj__pool_spot(&p, e, false);
        double sum = 0;
        for (int64_t q = 0; q < p.places; q++) {
            int64_t window[CJ__SPATIAL_MAX], at = cj__pool_window(&p, &s, q, window);
            if (at >= 0)
                sum += cj_load_f64(dy->dtype, dy->data, (size_t)at) /
                       cj__pool_divisor(k->call->attributes, &p, window);
        }
        cj_store_f64(dx->dtype, dx->data, (size_t)s.own, sum);
    }
    return CJ_OK;
}

static void avg_pool_grad_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    cj__pool_attrs a = *(const cj__pool_attrs *)call->attributes;
    a.dims = (cj_ints){0, NULL};
    dx[0] = cj__apply_pool(&cj_op_avg_pool, dy[0], NULL, &a);
}

static cj_node *avg_pool_grad_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t x[CJ_RANK_MAX], y[CJ_RANK_MAX], dims[CJ__SPATIAL_MAX];
    cj__pool_attrs a;
    if (!cj__pool_sample(i, &a, &rank, x, y)) return NULL;
    for (int k = 0; k < rank - 2; k++)
        dims[k] = x[cj__spatial_axis(a.channel_axis == 1 ? 1 : rank - 1, k)];
    a.dims = (cj_ints){rank - 2, dims};
    a.count_include_pad = i % 4 >= 2;
    a.sum = i % 7 == 6;
    return cj__apply_pool(&cj_op_avg_pool_grad, cj_sample_real(s, -2, 2, rank, y), NULL, &a);
}

const cj_op cj_op_avg_pool_grad = {
    .name = "avg_pool_grad",
    .doc = "each element of dy divided among the elements of its window: the transpose of avg_pool",
    .flags = CJ_OP_NOFAIL,
    .inputs = 1,
    .attributes_size = sizeof(cj__pool_attrs),
    .attributes = grad_options,
    .infer = avg_pool_grad_infer,
    .grad = avg_pool_grad_grad,
    .lower = cj__avg_pool_grad_lower,
    .ref = avg_pool_grad_ref,
    .sample = CJ__SAMPLE(avg_pool_grad_sample),
};

/* ---- lp_pool --------------------------------------------------------------------------------- */

static const cj_option lp_options[] = {
    CJ__POOL_OPTIONS, CJ_OPTION_FLOAT(cj__lp_pool_attrs, p, 2, 1e-3, 1e3, "the power"),
    CJ_OPTION_END};

static cj_status lp_pool_infer(cj_infer *infer)
{
    CJ__TRY(infer_floats_only(infer));
    return cj__infer_pool(infer, &infer->call->in[0]->type, &infer->out[0], false);
}

static bool lp_pool_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    const cj__lp_pool_attrs *a = call->attributes;
    cj__pool_attrs pool = a->pool;
    cj_node *x = call->in[0];
    pool.sum = true;
    pool.count_include_pad = false;
    pool.dims = (cj_ints){0, NULL};
    cj_dtype dtype = x->type.dtype;
    cj_node *p = a->p == 1 || a->p == 2 ? NULL : cj_scalar(g, dtype, a->p);
    x = a->p == 2 ? cj_square(x) : p ? cj_pow(cj_abs(x), p) : cj_abs(x);
    cj_node *y = cj__apply_pool(&cj_op_avg_pool, x, NULL, &pool);
    out[0] = a->p == 2 ? cj_sqrt(y) : p ? cj_pow(y, cj_scalar(g, dtype, 1 / a->p)) : y;
    return out[0] != NULL;
}

/* Away from 0, where the root of a window has no derivative. */
static cj_node *lp_pool_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t x[CJ_RANK_MAX], y[CJ_RANK_MAX];
    cj__lp_pool_attrs a;
    if (!cj__pool_sample(i, &a.pool, &rank, x, y)) return NULL;
    a.p = i % 3 == 0 ? 2 : i % 3 == 1 ? 1 : 3;
    return cj__apply_pool(&cj_op_lp_pool, cj_sample_away(s, -2, 2, 1e9, 0.3, rank, x), NULL,
                          &a.pool);
}

const cj_op cj_op_lp_pool = {
    .name = "lp_pool",
    .doc = "(the sum over each window of |x|^p)^(1/p)",
    .flags = CJ_OP_NOFAIL,
    .inputs = 1,
    .attributes_size = sizeof(cj__lp_pool_attrs),
    .attributes = lp_options,
    .infer = lp_pool_infer,
    .lower = lp_pool_lower,
    .sample = CJ__SAMPLE(lp_pool_sample),
};
