/* reduce.c: sums, means, products, extremes and logsumexp over axes.
 *
 * A reduction cuts its operand into slices, one for each element of the result. Two walks say where
 * the elements are: `outer` over the kept axes finds a slice, `inner` over the reduced ones its
 * elements. Neighbouring axes of a walk are merged, so that nearly all walks are a single stride:
 *
 *     x[2, 3, 4] over axes {1, 2}:  outer {2 x 12}   inner {12 x 1}
 *     x[2, 3, 4] over axis {1}:     outer {4 x 1, 2 x 12}   inner {3 x 4}
 *
 * Floats accumulate in double and are rounded once; integers wrap. NaN anywhere in a slice makes
 * every reduction of it NaN. */
#include <math.h>

#include "graph/ops/map.h"
#include "tensor/dtype.h"

/* ---- Walks ----------------------------------------------------------------------------------- */

typedef struct walk {
    int n; /* axes, innermost first */
    int64_t count, dim[CJ_RANK_MAX], stride[CJ_RANK_MAX];
} walk;

static void walk_add(walk *w, int64_t dim, int64_t stride)
{
    w->count *= dim;
    if (dim == 1) return;
    if (w->n && w->dim[w->n - 1] * w->stride[w->n - 1] == stride) {
        w->dim[w->n - 1] *= dim;
    } else {
        w->dim[w->n] = dim;
        w->stride[w->n++] = stride;
    }
}

/* The index of a walk's element i, relative to its start; i < count. */
static int64_t walk_at(const walk *w, int64_t i)
{
    if (w->n == 1) return i * w->stride[0];
    int64_t at = 0;
    for (int k = 0; k < w->n; k++) {
        at += i % w->dim[k] * w->stride[k];
        i /= w->dim[k];
    }
    return at;
}

static bool listed(cj_ints axes, int axis)
{
    for (int i = 0; i < axes.n; i++)
        if (axes.v[i] == axis) return true;
    return false;
}

static void walks_init(const cj_array *x, cj_ints axes, walk *outer, walk *inner)
{
    int64_t stride = 1;
    *outer = *inner = (walk){.count = 1};
    for (int axis = x->rank - 1; axis >= 0; axis--) {
        walk_add(listed(axes, axis) ? inner : outer, x->dim[axis], stride);
        stride *= x->dim[axis];
    }
}

/* ---- Shape rule and builder ------------------------------------------------------------------ */

/* Makes the axes count from 0, sorted; refuses one that is out of range or named twice. */
static cj_status normalise_axes(cj_infer *infer, cj__reduce_attrs *attrs, int rank)
{
    int64_t axes[CJ_RANK_MAX];
    bool reduced[CJ_RANK_MAX] = {false};
    for (int i = 0; i < attrs->axes.n; i++) {
        int64_t axis = attrs->axes.v[i];
        CJ__TRY(cj_infer_axis(infer, &axis, rank));
        if (reduced[axis])
            return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "axis %d is named twice", (int)axis);
        reduced[axis] = true;
    }
    int n = 0;
    for (int axis = 0; axis < rank; axis++)
        if (reduced[axis]) axes[n++] = axis;
    attrs->axes.v = cj__arena_copy(&infer->graph->arena, axes, (size_t)n * sizeof(axes[0]));
    if (n && !attrs->axes.v) return CJ_ERR_MEMORY;
    return CJ_OK;
}

static cj_status reduce_infer(cj_infer *infer)
{
    const cj_type *x = &infer->call->in[0]->type;
    cj__reduce_attrs *attrs = infer->call->attributes;
    CJ__TRY(normalise_axes(infer, attrs, x->rank));
    infer->out[0] = (cj_type){.dtype = x->dtype};
    for (int axis = 0; axis < x->rank; axis++) {
        bool reduced = listed(attrs->axes, axis);
        if (!reduced || attrs->keep)
            infer->out[0].dim[infer->out[0].rank++] = reduced ? 1 : x->dim[axis];
    }
    return CJ_OK;
}

static cj_status reduce_infer_numbers(cj_infer *infer)
{
    CJ__TRY(cj__infer_numbers(infer));
    return reduce_infer(infer);
}

static cj_status reduce_infer_floats(cj_infer *infer)
{
    CJ__TRY(cj__infer_floats(infer));
    return reduce_infer(infer);
}

static cj_node *build(const cj_op *op, cj_node *x, int n_axes, const int64_t *axes, bool keep)
{
    static const int64_t all[CJ_RANK_MAX] = {0, 1, 2, 3, 4, 5, 6, 7};
    if (!x || cj__is_zero(x)) return NULL;
    if (n_axes < 0 || (n_axes && !axes))
        return cj__graph_fail(cj_node_graph(x), op->name, CJ_ERR_ARGUMENT, "%d axes, but no list",
                              n_axes),
               NULL;
    cj__reduce_attrs attrs = {.axes = {n_axes, axes}, .keep = keep};
    if (!axes) attrs.axes = (cj_ints){x->type.rank, all};
    return cj_apply(cj_node_graph(x), op, &x, 1, &attrs);
}

/* ---- Reference kernels ----------------------------------------------------------------------- */

/* One slice: x's elements at base + walk_at(inner, 0 .. inner->count - 1). */
typedef double (*fold_f64_fn)(const cj_array *x, const walk *inner, int64_t base);
typedef int64_t (*fold_i64_fn)(const cj_array *x, const walk *inner, int64_t base);

static inline double real_at(const cj_array *x, const walk *inner, int64_t base, int64_t i)
{
    return cj_load_f64(x->dtype, x->data, (size_t)(base + walk_at(inner, i)));
}

static inline int64_t integer_at(const cj_array *x, const walk *inner, int64_t base, int64_t i)
{
    return cj_load_i64(x->dtype, x->data, (size_t)(base + walk_at(inner, i)));
}

static cj_status reduce(const cj_kernel *k, fold_f64_fn real, fold_i64_fn integer, bool empty_fails)
{
    const cj_array *x = k->in[0], *y = k->out[0];
    walk outer, inner;
    walks_init(x, ((const cj__reduce_attrs *)k->call->attributes)->axes, &outer, &inner);
    if (empty_fails && inner.count == 0 && outer.count > 0)
        return cj_fail(k->cj, CJ_ERR_SHAPE, "%s: the reduced axes have no elements",
                       k->call->op->name);
    for (int64_t i = 0; i < outer.count; i++) {
        int64_t base = walk_at(&outer, i);
        if (cj__is_float(x->dtype))
            cj_store_f64(y->dtype, y->data, (size_t)i, real(x, &inner, base));
        else cj_store_i64(y->dtype, y->data, (size_t)i, integer(x, &inner, base));
    }
    return CJ_OK;
}

static double sum_f64(const cj_array *x, const walk *inner, int64_t base)
{
    double sum = 0;
    for (int64_t i = 0; i < inner->count; i++) sum += real_at(x, inner, base, i);
    return sum;
}

static int64_t sum_i64(const cj_array *x, const walk *inner, int64_t base)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < inner->count; i++) sum += (uint64_t)integer_at(x, inner, base, i);
    return (int64_t)sum;
}

static double mean_f64(const cj_array *x, const walk *inner, int64_t base)
{
    return sum_f64(x, inner, base) / (double)inner->count; /* 0 / 0 = NaN */
}

static double prod_f64(const cj_array *x, const walk *inner, int64_t base)
{
    double product = 1;
    for (int64_t i = 0; i < inner->count; i++) product *= real_at(x, inner, base, i);
    return product;
}

static int64_t prod_i64(const cj_array *x, const walk *inner, int64_t base)
{
    uint64_t product = 1;
    for (int64_t i = 0; i < inner->count; i++) product *= (uint64_t)integer_at(x, inner, base, i);
    return (int64_t)product;
}

static double extreme_f64(const cj_array *x, const walk *inner, int64_t base, bool largest)
{
    double best = real_at(x, inner, base, 0);
    for (int64_t i = 1; i < inner->count; i++) {
        double value = real_at(x, inner, base, i);
        if (cj__beats_f64(value, best, largest)) best = value;
    }
    return best;
}

static int64_t extreme_i64(const cj_array *x, const walk *inner, int64_t base, bool largest)
{
    int64_t best = integer_at(x, inner, base, 0);
    for (int64_t i = 1; i < inner->count; i++) {
        int64_t value = integer_at(x, inner, base, i);
        if (cj__beats_i64(value, best, largest, x->dtype == CJ_U64)) best = value;
    }
    return best;
}

static double max_f64(const cj_array *x, const walk *w, int64_t base)
{
    return extreme_f64(x, w, base, true);
}
static double min_f64(const cj_array *x, const walk *w, int64_t base)
{
    return extreme_f64(x, w, base, false);
}
static int64_t max_i64(const cj_array *x, const walk *w, int64_t base)
{
    return extreme_i64(x, w, base, true);
}
static int64_t min_i64(const cj_array *x, const walk *w, int64_t base)
{
    return extreme_i64(x, w, base, false);
}

/* m + ln(sum of e^(x - m)) with the largest m taken out, so that nothing overflows. Where m is
 * infinite, the result is m; the largest of nothing is -inf. */
static double logsumexp_f64(const cj_array *x, const walk *inner, int64_t base)
{
    double largest = inner->count ? max_f64(x, inner, base) : -INFINITY, sum = 0;
    if (isinf(largest)) return largest;
    for (int64_t i = 0; i < inner->count; i++) sum += exp(real_at(x, inner, base, i) - largest);
    return largest + log(sum);
}

static cj_status reduce_sum_ref(const cj_kernel *k)
{
    return reduce(k, sum_f64, sum_i64, false);
}
static cj_status reduce_mean_ref(const cj_kernel *k)
{
    return reduce(k, mean_f64, NULL, false);
}
static cj_status reduce_prod_ref(const cj_kernel *k)
{
    return reduce(k, prod_f64, prod_i64, false);
}
static cj_status reduce_max_ref(const cj_kernel *k)
{
    return reduce(k, max_f64, max_i64, true);
}
static cj_status reduce_min_ref(const cj_kernel *k)
{
    return reduce(k, min_f64, min_i64, true);
}
static cj_status logsumexp_ref(const cj_kernel *k)
{
    return reduce(k, logsumexp_f64, NULL, false);
}

/* ---- Gradients ------------------------------------------------------------------------------- */

/* A node of the result's shape with the reduced axes put back as size 1. */
static cj_node *with_axes(const cj_call *call, cj_node *node)
{
    const cj_type *x = &call->in[0]->type;
    const cj__reduce_attrs *attrs = call->attributes;
    cj_dim dims[CJ_RANK_MAX];
    for (int axis = 0; axis < x->rank; axis++)
        dims[axis] = listed(attrs->axes, axis) ? 1 : x->dim[axis];
    return attrs->keep ? node : cj_reshape(node, x->rank, dims);
}

/* The same, repeated to the operand's shape. */
static cj_node *spread(const cj_call *call, cj_node *node)
{
    const cj_type *x = &call->in[0]->type;
    return cj_broadcast_to(with_axes(call, node), x->rank, x->dim);
}

/* The sum over the same axes, kept as size 1, of a node of the operand's shape. */
static cj_node *sum_kept(const cj_call *call, cj_node *node)
{
    static const int64_t none[1];
    cj_ints axes = ((const cj__reduce_attrs *)call->attributes)->axes;
    return cj_reduce_sum(node, axes.n, axes.n ? axes.v : none, true);
}

static void reduce_sum_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[0] = spread(call, dy[0]);
}

/* dy / n, in f32 where dy is narrower: f16 ends at 65504. */
static void reduce_mean_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    const cj_type *x = &call->in[0]->type;
    cj_ints axes = ((const cj__reduce_attrs *)call->attributes)->axes;
    cj_dtype wide = x->dtype == CJ_F64 ? CJ_F64 : CJ_F32;
    cj_dim n = 1;
    for (int i = 0; i < axes.n; i++) n = cj_dim_mul(g, n, x->dim[axes.v[i]]);
    cj_node *share = cj_cast(dy[0], wide);
    if (n < 0) share = cj_div(share, cj_cast(cj_dim_value(g, n), wide));
    else share = n ? cj_scale(share, 1 / (double)n) : share;
    dx[0] = spread(call, cj_cast(share, x->dtype));
}

/* Equal extremes share the gradient equally. */
static void extreme_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    cj_node *x = call->in[0], *taken = cj_equal(x, spread(call, &call->out[0]));
    cj_node *ties = sum_kept(call, cj_cast(taken, x->type.dtype));
    dx[0] = cj_where(taken, cj_div(with_axes(call, dy[0]), ties), cj_zero);
}

/* The product of the other elements: with z zeros in a slice, p the product of those that are not
 * zero, z = 0: p / x_i      z = 1: p at the zero, 0 elsewhere      z > 1: 0 which is p / (x_i, or 1
 * for a zero) where x_i is itself as many zeros as its slice has. The second derivative is exact
 * for slices without zeros. */
static void reduce_prod_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    static const int64_t none[1];
    cj_node *x = call->in[0];
    cj_ints axes = ((const cj__reduce_attrs *)call->attributes)->axes;
    cj_dtype dtype = x->type.dtype;
    cj_node *is_zero = cj_equal(x, cj_scalar(g, dtype, 0));
    cj_node *others = cj_where(is_zero, cj_scalar(g, dtype, 1), x);
    cj_node *product = cj_reduce_prod(others, axes.n, axes.n ? axes.v : none, true);
    cj_node *zeros = cj_cast(is_zero, dtype);
    cj_node *all_here = cj_equal(zeros, sum_kept(call, zeros));
    cj_node *slope = cj_where(all_here, cj_div(product, others), cj_zero);
    dx[0] = cj_mul(spread(call, dy[0]), slope);
}

/* d ln(sum e^x) = e^(x - y) dx. A slice that is all -inf has y = -inf and gradient 0, not NaN. */
static void logsumexp_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    cj_node *y = &call->out[0], *nothing = cj_scalar(g, y->type.dtype, -INFINITY);
    cj_node *finite = cj_where(cj_equal(y, nothing), cj_zero, y);
    dx[0] = cj_mul(spread(call, dy[0]), cj_exp(cj_sub(call->in[0], spread(call, finite))));
}

/* ---- Samples --------------------------------------------------------------------------------- */

typedef cj_node *(*reduce_fn)(cj_node *x, int n_axes, const int64_t *axes, bool keep);
enum { SAMPLE_REAL, SAMPLE_NOT_0, SAMPLE_DISTINCT };

/* Every shared shape twice: over all axes or the last, then over the first or the outer two;
 * keeping the axes every other time; then integers. Extremes have none of an empty slice: they
 * leave axes of size 0. */
static cj_node *sample_reduce(cj_sampler *s, int i, reduce_fn make, int kind, int integers)
{
    static const cj_dtype dtypes[] = {CJ_I32, CJ_U8, CJ_I8, CJ_U64};
    int rank, shapes = 0, n = 0;
    int64_t dims[CJ_RANK_MAX], axes[CJ_RANK_MAX];
    while (cj_sample_shape(shapes, &rank, dims)) shapes++;
    if (i >= 2 * shapes) {
        i -= 2 * shapes;
        if (i >= integers) return NULL;
        bool is_signed = cj_dtype_info(dtypes[i])->kind == CJ_KIND_SIGNED;
        return make(cj_sample_int(s, dtypes[i], is_signed ? -9 : 0, 9, 3, (int64_t[]){2, 5, 3}), 1,
                    (int64_t[]){i % 3}, false);
    }
    cj_sample_shape(i % shapes, &rank, dims);
    bool few = i % 3 == 0;
    for (int axis = 0; axis < rank; axis++) {
        bool wanted = i < shapes ? few || axis == rank - 1 : axis == 0 || (few && axis == rank - 1);
        bool allowed = kind != SAMPLE_DISTINCT || dims[axis] > 0;
        if (wanted && allowed) axes[n++] = i % 2 ? axis : axis - rank;
    }
    cj_node *x = kind == SAMPLE_DISTINCT ? cj_sample_distinct(s, rank, dims)
                 : kind == SAMPLE_NOT_0  ? cj_sample_away(s, -1.7, 1.7, 1e9, 0.4, rank, dims)
                                         : cj_sample_real(s, -2, 2, rank, dims);
    return make(x, n, axes, i % 4 < 2);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

#define REDUCTION(op, text, rule, gradient, kind, integers) \
    static cj_node *op##_sample(cj_sampler *s, int i) \
    { \
        return sample_reduce(s, i, cj_##op, kind, integers); \
    } \
    const cj_op cj_op_##op = { \
        .name = #op, \
        .doc = text, \
        .inputs = 1, \
        .attributes_size = sizeof(cj__reduce_attrs), \
        .attributes = cj__reduce_options, \
        .infer = rule, \
        .grad = gradient, \
        .ref = op##_ref, \
        .sample = CJ__SAMPLE(op##_sample), \
    };

REDUCTION(reduce_sum, "the sum over axes; 0 of nothing", reduce_infer_numbers, reduce_sum_grad,
          SAMPLE_REAL, 4)
REDUCTION(reduce_mean, "the mean over axes; NaN of nothing", reduce_infer_floats, reduce_mean_grad,
          SAMPLE_REAL, 0)
REDUCTION(reduce_prod, "the product over axes; 1 of nothing", reduce_infer_numbers,
          reduce_prod_grad, SAMPLE_NOT_0, 4)
REDUCTION(reduce_max, "the largest over axes, NaN if any is; equal ones share the gradient",
          reduce_infer, extreme_grad, SAMPLE_DISTINCT, 4)
REDUCTION(reduce_min, "the smallest over axes, NaN if any is; equal ones share the gradient",
          reduce_infer, extreme_grad, SAMPLE_DISTINCT, 4)
REDUCTION(logsumexp, "ln of the sum of e^x over axes, without overflow; -inf of nothing",
          reduce_infer_floats, logsumexp_grad, SAMPLE_REAL, 0)

/* x, or bools as numbers of `dtype`: a sum of bools counts, their mean is a share. */
static cj_node *number(cj_node *x, cj_dtype dtype)
{
    return x && !cj__is_zero(x) && cj__is_bool(x->type.dtype) ? cj_cast(x, dtype) : x;
}

cj_node *cj_reduce_sum(cj_node *x, int n_axes, const int64_t *axes, bool keep)
{
    return build(&cj_op_reduce_sum, number(x, CJ_I64), n_axes, axes, keep);
}

/* The mean of integers is an f32. */
cj_node *cj_reduce_mean(cj_node *x, int n_axes, const int64_t *axes, bool keep)
{
    if (x && !cj__is_zero(x) && !cj__is_float(x->type.dtype)) x = cj_cast(x, CJ_F32);
    return build(&cj_op_reduce_mean, x, n_axes, axes, keep);
}

cj_node *cj_reduce_prod(cj_node *x, int n_axes, const int64_t *axes, bool keep)
{
    return build(&cj_op_reduce_prod, number(x, CJ_I64), n_axes, axes, keep);
}

cj_node *cj_reduce_max(cj_node *x, int n_axes, const int64_t *axes, bool keep)
{
    return build(&cj_op_reduce_max, x, n_axes, axes, keep);
}

cj_node *cj_reduce_min(cj_node *x, int n_axes, const int64_t *axes, bool keep)
{
    return build(&cj_op_reduce_min, x, n_axes, axes, keep);
}

cj_node *cj_logsumexp(cj_node *x, int n_axes, const int64_t *axes, bool keep)
{
    return build(&cj_op_logsumexp, x, n_axes, axes, keep);
}

cj_node *cj_sum(cj_node *x)
{
    return cj_reduce_sum(x, 0, NULL, false);
}
cj_node *cj_mean(cj_node *x)
{
    return cj_reduce_mean(x, 0, NULL, false);
}
