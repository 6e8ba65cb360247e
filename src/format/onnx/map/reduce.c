/* reduce.c: reductions, argmax and argmin, cumsum, and pooling over everything.
 *
 * Axes are an operand of ReduceSum since opset 13, of the other reductions since 18, an attribute
 * before. No axes mean all of them, unless noop_with_empty_axes; ours then is an Identity. */
#include <math.h>
#include <string.h>

#include "format/onnx/map.h"
#include "graph/ops/map.h"

enum { TYPES = CJ__ONNX_FLOATS_BF | CJ__ONNX_WIDE };

/* The name of the operand in a dtype that the operator takes. */
static const char *wide_in(cj__onnx_writer *w, unsigned types, bool *narrow)
{
    cj_dtype dtype = w->call->in[0]->type.dtype;
    const char *x = cj__onnx_in(w, 0);
    *narrow = !(types & CJ__ONNX_BIT(dtype));
    return *narrow ? cj__onnx_cast(w, x, cj__is_float(dtype) ? CJ_F32 : CJ_I64) : x;
}

/* The last node, cast back when its operand was widened. */
static void finish(cj__onnx_writer *w, const char *y)
{
    cj__onnx_last(w, "Cast", y, NULL);
    cj__onnx_put_int(w, "to", cj_dtype_info(w->call->out[0].type.dtype)->onnx);
}

static void write_reduce(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj__reduce_attrs *a = w->call->attributes;
    /* Axes are an attribute up to opset 17; those of ReduceSum have been an operand since 13. */
    bool narrow, operand = row->op == &cj_op_reduce_sum || w->opset >= 18;
    if (a->axes.n == 0) {
        cj__onnx_last(w, "Identity", cj__onnx_in(w, 0), NULL);
        return;
    }
    const char *y = NULL, *x = wide_in(w, row->types, &narrow);
    const char *axes = operand ? cj__onnx_ints(w, a->axes.n, a->axes.v) : NULL;
    if (narrow) y = cj__onnx_step(w, row->onnx, x, axes, NULL);
    else cj__onnx_last(w, row->onnx, x, axes, NULL);
    if (!operand) cj__onnx_put_ints(w, "axes", a->axes.n, a->axes.v);
    cj__onnx_put_int(w, "keepdims", a->keep);
    if (narrow) finish(w, y);
}

/* x reduced as the node says; *axes for who wants to know them. NULL when the reader failed. */
static cj_node *reduced(cj__onnx_reader *r, cj_node *x,
                        cj_node *(*reduce)(cj_node *, int, const int64_t *, bool))
{
    static const int64_t none[1];
    int64_t axes[CJ_RANK_MAX];
    int n = cj__onnx_axes(r, "axes", 1, CJ_RANK_MAX, axes);
    bool keep = cj__onnx_get_int(r, "keepdims", 1),
         noop = cj__onnx_get_int(r, "noop_with_empty_axes", 0);
    if (r->failed || !x) return NULL;
    if (n > 0) return reduce(x, n, axes, keep);
    return noop ? reduce(x, 0, none, keep) : reduce(x, 0, NULL, keep);
}

static void read_reduce(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj__onnx_set(r, 0, reduced(r, cj__onnx_node_in(r, 0), row->reduce));
}

/* One element more, of this value, along the given axes (NULL: all) that have none. */
static cj_node *filled(cj_node *x, int n, const int64_t *axes, bool least)
{
    int64_t none[CJ_RANK_MAX] = {0}, one[CJ_RANK_MAX] = {0};
    bool empty = false;
    if (!x) return NULL;
    const bool flag = cj__is_bool(x->type.dtype);
    for (int i = 0; i < (axes ? n : x->type.rank); i++) {
        const int axis = axes ? cj__axis(x, "axes", axes[i], x->type.rank) : i;
        if (axis < 0) return NULL;
        one[axis] = x->type.dim[axis] == 0;
        empty = empty || one[axis];
    }
    if (!empty || !(flag || cj__is_float(x->type.dtype))) return x;
    return cj_pad(x, none, one, flag ? least : least ? INFINITY : -INFINITY);
}

/* The largest of nothing is -inf (false), the smallest inf (true). */
static cj_node *largest(cj_node *x, int n, const int64_t *axes, bool keep)
{
    return cj_reduce_max(filled(x, n, axes, false), n, axes, keep);
}

static cj_node *smallest(cj_node *x, int n, const int64_t *axes, bool keep)
{
    return cj_reduce_min(filled(x, n, axes, true), n, axes, keep);
}

static cj_node *back(cj_node *y, const cj_node *x)
{
    return x ? cj_cast(y, x->type.dtype) : NULL;
}

/* Those that begin with a function of each element, or end with one of the result. */
static void read_norm(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0), *y = NULL;
    if (!strcmp(row->onnx, "ReduceL1")) y = reduced(r, cj_abs(x), cj_reduce_sum);
    else if (!strcmp(row->onnx, "ReduceLogSum")) y = cj_log(reduced(r, x, cj_reduce_sum));
    else y = reduced(r, cj_square(x), cj_reduce_sum);
    if (!strcmp(row->onnx, "ReduceL2"))
        y = cj_sqrt(x && !cj__is_float(x->type.dtype) ? cj_cast(y, CJ_F64) : y);
    cj__onnx_set(r, 0, back(y, x));
}

static void read_mean(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    (void)row;
    cj__onnx_set(r, 0, back(reduced(r, x, cj_reduce_mean), x));
}

/* Over every axis but batch and channels. */
static void read_global_pool(cj__onnx_reader *r, const cj__onnx_row *row)
{
    int64_t axes[CJ_RANK_MAX];
    cj_node *x = cj__onnx_node_in(r, 0);
    if (!x) return;
    for (int i = 2; i < x->type.rank; i++) axes[i - 2] = i;
    if (x->type.rank < 3)
        cj__onnx_fail(r, CJ_ERR_SHAPE, "its operand has rank %d, expected 3 or more", x->type.rank);
    else cj__onnx_set(r, 0, row->reduce(x, x->type.rank - 2, axes, true));
}

/* ---- Along one axis -------------------------------------------------------------------------- */

static void write_arg(cj__onnx_writer *w, const cj__onnx_row *row)
{
    bool narrow;
    const char *x = wide_in(w, CJ__ONNX_NUMBERS, &narrow);
    cj__onnx_last(w, row->onnx, x, NULL);
    cj__onnx_put_int(w, "axis", cj__onnx_field_int(w->call, "axis"));
    cj__onnx_put_int(w, "keepdims", cj__onnx_field_bool(w->call, "keep"));
}

static void read_arg(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    int axis = cj__onnx_get_axis(r, "axis", 0);
    bool keep = cj__onnx_get_int(r, "keepdims", 1),
         last = cj__onnx_get_int(r, "select_last_index", 0);
    cj_node *(*arg)(cj_node *, int, bool) = strcmp(row->onnx, "ArgMin") ? cj_argmax : cj_argmin;
    if (!x) return;
    if (!last) {
        cj__onnx_set(r, 0, arg(x, axis, keep));
        return;
    }
    /* The last one is the first from behind: n - 1 - index. */
    cj_node *index = arg(cj_reverse(x, axis), axis, keep);
    cj__onnx_set(r, 0, cj_sub(cj_shift(cj_dim_value(r->g, cj_node_dim(x, axis)), -1), index));
}

static void write_cumsum(cj__onnx_writer *w, const cj__onnx_row *row)
{
    bool narrow;
    const char *y = NULL, *x = wide_in(w, row->types, &narrow);
    const char *axis = cj__onnx_scalar(w, CJ_I64, (double)cj__onnx_field_int(w->call, "axis"));
    if (narrow) y = cj__onnx_step(w, "CumSum", x, axis, NULL);
    else cj__onnx_last(w, "CumSum", x, axis, NULL);
    cj__onnx_put_int(w, "exclusive", cj__onnx_field_bool(w->call, "exclusive"));
    cj__onnx_put_int(w, "reverse", cj__onnx_field_bool(w->call, "reverse"));
    if (narrow) finish(w, y);
}

static void read_cumsum(cj__onnx_reader *r, const cj__onnx_row *row)
{
    int64_t axis;
    (void)row;
    if (cj__onnx_numbers_in(r, 1, "axis", 1, &axis) != 1) return;
    if (axis < -CJ_RANK_MAX || axis >= CJ_RANK_MAX)
        cj__onnx_fail(r, CJ_ERR_SHAPE, "axis is %lld", (long long)axis);
    bool exclusive = cj__onnx_get_int(r, "exclusive", 0),
         reverse = cj__onnx_get_int(r, "reverse", 0);
    cj__onnx_set(r, 0, cj_cumsum(cj__onnx_node_in(r, 0), (int)axis, exclusive, reverse));
}

#define REDUCE(name, onnx_, types_, reduce_) \
    { \
        .onnx = onnx_, .op = &cj_op_##name, .write = write_reduce, .read = read_reduce, \
        .types = types_, .reduce = reduce_ \
    }

const cj__onnx_row cj__onnx_rows_reduce[] = {
    REDUCE(reduce_sum, "ReduceSum", TYPES, cj_reduce_sum),
    {.onnx = "ReduceMean",
     .op = &cj_op_reduce_mean,
     .write = write_reduce,
     .read = read_mean,
     .types = TYPES},
    REDUCE(reduce_max, "ReduceMax", TYPES | CJ__ONNX_BYTES, largest),
    REDUCE(reduce_min, "ReduceMin", TYPES | CJ__ONNX_BYTES, smallest),
    REDUCE(reduce_prod, "ReduceProd", TYPES, cj_reduce_prod),
    REDUCE(logsumexp, "ReduceLogSumExp", TYPES, cj_logsumexp),
    {.onnx = "ReduceL1", .read = read_norm},
    {.onnx = "ReduceL2", .read = read_norm},
    {.onnx = "ReduceSumSquare", .read = read_norm},
    {.onnx = "ReduceLogSum", .read = read_norm},
    {.onnx = "GlobalAveragePool", .read = read_global_pool, .reduce = cj_reduce_mean},
    {.onnx = "GlobalMaxPool", .read = read_global_pool, .reduce = cj_reduce_max},
    {.onnx = "ArgMax", .op = &cj_op_argmax, .write = write_arg, .read = read_arg},
    {.onnx = "ArgMin", .op = &cj_op_argmin, .write = write_arg, .read = read_arg},
    {.onnx = "CumSum",
     .op = &cj_op_cumsum,
     .write = write_cumsum,
     .read = read_cumsum,
     .types = TYPES},
    {0},
};
