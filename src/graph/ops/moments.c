/* moments.c: mean and variance of each channel, out of one reading of x.
 *
 *     mean = sum of x / n      variance = sum of (x - mean)^2 / n      over axes axis .. rank-2
 *
 * As two reductions the second has to wait for the first, so x is read from memory twice. As one
 * row a kernel can take x in blocks that stay in a cache, and combine what it finds (Chan, Golub,
 * LeVeque 1983): the statistics of a batch norm cost one sweep. The mean of nothing is 0.
 *
 *     d mean / d x = 1 / n      d variance / d x = 2 (x - mean) / n */
#include "graph/ops/block.h"
#include "graph/ops/norm.h"
#include "tensor/dtype.h"

static cj_status moments_infer(cj_infer *infer)
{
    cj__axis_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    CJ__TRY(cj__infer_floats(infer));
    if (x->rank < 2)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "x has rank %d, expected 2 at least", x->rank);
    CJ__TRY(cj_infer_axis(infer, &a->axis, x->rank - 1));
    cj_type out = {.dtype = cj__wide(x->dtype), .rank = (int)a->axis + 1};
    for (int i = 0; i < a->axis; i++) out.dim[i] = x->dim[i];
    out.dim[a->axis] = x->dim[x->rank - 1];
    infer->out[0] = infer->out[1] = out;
    return CJ_OK;
}

static cj_status moments_ref(const cj_kernel *k)
{
    const cj_array *x = k->in[0], *mean = k->out[0], *variance = k->out[1];
    int64_t columns = x->dim[x->rank - 1], outer = columns ? mean->count / columns : 0,
            rows = mean->count ? x->count / mean->count : 0;
    for (int64_t i = 0; i < outer * columns; i++) {
        int64_t at = i / columns * rows * columns + i % columns;
        double sum = 0, squares = 0, n = rows ? (double)rows : 1;
        for (int64_t r = 0; r < rows; r++)
            sum += cj_load_f64(x->dtype, x->data, (size_t)(at + r * columns));
        for (int64_t r = 0; r < rows; r++) {
            double d = cj_load_f64(x->dtype, x->data, (size_t)(at + r * columns)) - sum / n;
            squares += d * d;
        }
        cj_store_f64(mean->dtype, mean->data, (size_t)i, sum / n);
        cj_store_f64(variance->dtype, variance->data, (size_t)i, squares / n);
    }
    return CJ_OK;
}

/* One number a channel, ready to be broadcast to x. */
static cj_node *spread(const cj_type *x, int64_t axis, cj_node *v)
{
    cj_dim dims[CJ_RANK_MAX];
    if (!v || cj__is_zero(v)) return v;
    for (int i = 0; i < x->rank; i++) dims[i] = i < axis || i == x->rank - 1 ? x->dim[i] : 1;
    return cj_reshape(v, x->rank, dims);
}

static cj_dim samples_of(cj_graph *g, const cj_type *x, int64_t axis)
{
    cj_dim n = 1;
    for (int i = (int)axis; i < x->rank - 1; i++) n = cj_dim_mul(g, n, x->dim[i]);
    return n;
}

/* In two readings, as files have it. */
static bool moments_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    const cj_type *x = &call->in[0]->type;
    int64_t axis = ((const cj__axis_attrs *)call->attributes)->axis, axes[CJ_RANK_MAX];
    int n = (int)(x->rank - 1 - axis);
    for (int i = 0; i < n; i++) axes[i] = axis + i;
    cj_node *wide = cj_cast(call->in[0], cj__wide(x->dtype));
    cj_node *share = cj__norm_share(g, cj__wide(x->dtype), samples_of(g, x, axis));
    out[0] = cj_mul(cj_reduce_sum(wide, n, axes, false), share);
    cj_node *centred = cj_sub(wide, spread(x, axis, out[0]));
    out[1] = cj_mul(cj_reduce_sum(cj_square(centred), n, axes, false), share);
    return out[1] != NULL;
}

static void moments_grad(cj_graph *g, cj_call *call, cj_node *const *dys, cj_node **dx)
{
    const cj_type *x = &call->in[0]->type;
    int64_t axis = ((const cj__axis_attrs *)call->attributes)->axis;
    cj_dtype wide = cj__wide(x->dtype);
    cj_node *share = cj__norm_share(g, wide, samples_of(g, x, axis));
    cj_node *centred = cj_sub(cj_cast(call->in[0], wide), spread(x, axis, &call->out[0]));
    cj_node *by_mean = spread(x, axis, cj_mul(dys[0], share));
    cj_node *by_variance = spread(x, axis, cj_mul(dys[1], cj_scale(share, 2)));
    cj_node *sum = cj_add(cj_mul(centred, by_variance), by_mean);
    dx[0] = cj__is_zero(sum) ? sum : cj_cast(cj_broadcast_to(sum, x->rank, x->dim), x->dtype);
}

static cj_node *moments_sample(cj_sampler *s, int i)
{
    static const struct {
        int rank;
        int64_t dim[4], axis;
    } shapes[] = {{2, {1, 1}, 0},       {2, {7, 3}, 0},        {2, {0, 4}, 0},
                  {2, {5, 0}, 0},       {3, {4, 3, 2}, 0},     {3, {4, 3, 2}, 1},
                  {3, {2, 0, 3}, 1},    {4, {3, 5, 2, 6}, 0},  {4, {3, 5, 2, 6}, 1},
                  {4, {3, 5, 2, 6}, 2}, {2, {300, 16}, 0},     {2, {45, 64}, 0},
                  {3, {2, 37, 65}, 1},  {2, {9, 130}, 0},      {4, {1, 1, 1, 5}, 0},
                  {3, {0, 2, 3}, 1},    {2, {67, 48}, 0},      {2, {129, 1}, 0},
                  {3, {3, 1, 4}, 1},    {4, {2, 1, 11, 3}, -2}, {2, {20000, 2}, 0}};
    if (i >= (int)CJ__COUNT(shapes)) return NULL;
    cj_node *x = cj_sample_real(s, -1, 3, shapes[i].rank, shapes[i].dim);
    cj__axis_attrs a = {.axis = shapes[i].axis};
    return x ? cj_apply(cj_node_graph(x), &cj_op_moments, &x, 1, &a) : NULL;
}

const cj_op cj_op_moments = {
    .name = "moments",
    .doc = "mean and variance over the axes from one on, up to the last, which stays",
    .flags = CJ_OP_NOFAIL,
    .inputs = 1,
    .outputs = 2,
    .attributes_size = sizeof(cj__axis_attrs),
    .attributes = cj__first_axis_options,
    .infer = moments_infer,
    .grad = moments_grad,
    .lower = moments_lower,
    .ref = moments_ref,
    .sample = CJ__SAMPLE(moments_sample),
};

cj_node *cj__moments(cj_node *x, int64_t axis)
{
    return cj_apply(cj_node_graph(x), &cj_op_moments, &x, 1, &(cj__axis_attrs){.axis = axis});
}
