/* along.c: what is done along one axis: argmax, argmin and cumsum.
 *
 * An array is taken apart into lines along the axis: those of x[2, 3, 4] along axis 1 are 8 lines
 * of 3 elements that lie 4 apart. */
#include "graph/ops/map.h"

/* The lines of an array along one axis: line i begins at line_start(i), its elements are `stride`
 * apart. */
typedef struct lines {
    int64_t count, length, stride;
} lines;

static lines lines_of(const cj_array *x, int64_t axis)
{
    lines l = {.count = 1, .length = x->dim[axis], .stride = 1};
    for (int i = 0; i < x->rank; i++) {
        if (i != axis) l.count *= x->dim[i];
        if (i > axis) l.stride *= x->dim[i];
    }
    return l;
}

static int64_t line_start(const lines *l, int64_t i)
{
    return i / l->stride * l->length * l->stride + i % l->stride;
}

/* Operand and axis of sample i: the shared shapes from the first vector on, each axis in
 * turn. Extremes (distinct) have none along an axis of size 0. */
static cj_node *sample_along(cj_sampler *s, int i, bool distinct, int *axis)
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (!cj_sample_shape(i + 1, &rank, dims)) return NULL;
    *axis = i % rank;
    if (distinct)
        for (int k = 0; k < rank && dims[*axis] == 0; k++) *axis = k;
    if (distinct && dims[*axis] == 0) {
        *axis = 0;
        return cj_sample_distinct(s, 2, (int64_t[]){1, 0});
    }
    return distinct ? cj_sample_distinct(s, rank, dims) : cj_sample_real(s, -2, 2, rank, dims);
}

/* ---- argmax, argmin -------------------------------------------------------------------------- */

static cj_status arg_infer(cj_infer *infer)
{
    const cj_type *x = &infer->call->in[0]->type;
    cj__axis_attrs *attrs = infer->call->attributes;
    CJ__TRY(cj_infer_axis(infer, &attrs->axis, x->rank));
    infer->out[0] = (cj_type){.dtype = CJ_I64};
    for (int axis = 0; axis < x->rank; axis++)
        if (axis != attrs->axis) infer->out[0].dim[infer->out[0].rank++] = x->dim[axis];
        else if (attrs->keep) infer->out[0].dim[infer->out[0].rank++] = 1;
    return CJ_OK;
}

static cj_status arg_extreme(const cj_kernel *k, bool largest)
{
    const cj_array *x = k->in[0];
    lines l = lines_of(x, ((const cj__axis_attrs *)k->call->attributes)->axis);
    int64_t *y = k->out[0]->data;
    if (l.length == 0 && l.count > 0)
        return cj_fail(k->cj, CJ_ERR_SHAPE, "%s: the axis has no elements", k->call->op->name);
    for (int64_t i = 0; i < l.count; i++) {
        size_t at = (size_t)line_start(&l, i), best = at;
        y[i] = 0;
        for (int64_t j = 1; j < l.length; j++) {
            at += (size_t)l.stride;
            bool better = cj__is_float(x->dtype)
                              ? cj__beats_f64(cj_load_f64(x->dtype, x->data, at),
                                              cj_load_f64(x->dtype, x->data, best), largest)
                              : cj__beats_i64(cj_load_i64(x->dtype, x->data, at),
                                              cj_load_i64(x->dtype, x->data, best), largest,
                                              x->dtype == CJ_U64);
            if (better) best = at, y[i] = j;
        }
    }
    return CJ_OK;
}

static cj_status argmax_ref(const cj_kernel *k)
{
    return arg_extreme(k, true);
}
static cj_status argmin_ref(const cj_kernel *k)
{
    return arg_extreme(k, false);
}

static cj_node *sample_arg(cj_sampler *s, int i, cj_node *(*make)(cj_node *x, int axis, bool keep))
{
    int axis = 0;
    cj_node *x = sample_along(s, i, true, &axis);
    if (x) return make(x, axis, i % 2);
    if (i > 26) return NULL;
    return make(cj_sample_int(s, CJ_I16, -2, 2, 2, (int64_t[]){4, 6}), i % 2,
                false); /* ties: the first */
}

#define ARG(op, text) \
    static cj_node *op##_sample(cj_sampler *s, int i) \
    { \
        return sample_arg(s, i, cj_##op); \
    } \
    const cj_op cj_op_##op = { \
        .name = #op, \
        .doc = text, \
        .inputs = 1, \
        .attributes_size = sizeof(cj__axis_attrs), \
        .attributes = cj__axis_options, \
        .infer = arg_infer, \
        .no_gradient = "integer result", \
        .ref = op##_ref, \
        .sample = CJ__SAMPLE(op##_sample), \
    }; \
    cj_node *cj_##op(cj_node *x, int axis, bool keep) \
    { \
        if (!x || cj__is_zero(x)) return NULL; \
        return cj_apply(cj_node_graph(x), &cj_op_##op, &x, 1, &(cj__axis_attrs){axis, keep}); \
    }

ARG(argmax, "index of the first largest element along an axis; NaN counts as largest")
ARG(argmin, "index of the first smallest element along an axis; NaN counts as smallest")

/* ---- cumsum ---------------------------------------------------------------------------------- */

struct cumsum_attrs {
    int64_t axis;
    bool exclusive, reverse;
};

static const cj_option cumsum_options[] = {
    CJ_OPTION_INT(struct cumsum_attrs, axis, 0, -CJ_RANK_MAX, CJ_RANK_MAX - 1,
                  "the axis that is summed along"),
    CJ_OPTION_BOOL(struct cumsum_attrs, exclusive, false, "each sum ends before its own element"),
    CJ_OPTION_BOOL(struct cumsum_attrs, reverse, false, "sums begin at the end of the axis"),
    CJ_OPTION_END};

static cj_status cumsum_infer(cj_infer *infer)
{
    CJ__TRY(cj__infer_numbers(infer));
    struct cumsum_attrs *attrs = infer->call->attributes;
    return cj_infer_axis(infer, &attrs->axis, infer->call->in[0]->type.rank);
}

static cj_status cumsum_ref(const cj_kernel *k)
{
    const struct cumsum_attrs *attrs = k->call->attributes;
    const cj_array *x = k->in[0], *y = k->out[0];
    lines l = lines_of(x, attrs->axis);
    for (int64_t i = 0; i < l.count; i++) {
        double real = 0;
        uint64_t integer = 0;
        for (int64_t j = 0; j < l.length; j++) {
            int64_t place = attrs->reverse ? l.length - 1 - j : j;
            size_t at = (size_t)(line_start(&l, i) + place * l.stride);
            if (cj__is_float(x->dtype)) {
                double before = real;
                real += cj_load_f64(x->dtype, x->data, at);
                cj_store_f64(y->dtype, y->data, at, attrs->exclusive ? before : real);
            } else {
                uint64_t before = integer;
                integer += (uint64_t)cj_load_i64(x->dtype, x->data, at);
                cj_store_i64(y->dtype, y->data, at, (int64_t)(attrs->exclusive ? before : integer));
            }
        }
    }
    return CJ_OK;
}

/* Element i reaches every sum from i on: the transpose sums from the other end. */
static void cumsum_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    const struct cumsum_attrs *attrs = call->attributes;
    dx[0] = cj_cumsum(dy[0], (int)attrs->axis, attrs->exclusive, !attrs->reverse);
}

static cj_node *cumsum_sample(cj_sampler *s, int i)
{
    int axis = 0;
    cj_node *x = sample_along(s, i, false, &axis);
    if (x) return cj_cumsum(x, axis, i % 2, i / 2 % 2);
    if (i > 26) return NULL;
    return cj_cumsum(cj_sample_int(s, CJ_I8, -100, 100, 2, (int64_t[]){4, 6}), -1, i % 2, false);
}

const cj_op cj_op_cumsum = {
    .name = "cumsum",
    .doc = "y_i = x_0 + ... + x_i along an axis; exclusive: without x_i; reverse: from the end",
    .inputs = 1,
    .attributes_size = sizeof(struct cumsum_attrs),
    .attributes = cumsum_options,
    .infer = cumsum_infer,
    .grad = cumsum_grad,
    .ref = cumsum_ref,
    .sample = CJ__SAMPLE(cumsum_sample),
};

cj_node *cj_cumsum(cj_node *x, int axis, bool exclusive, bool reverse)
{
    if (!x || cj__is_zero(x)) return NULL;
    return cj_apply(cj_node_graph(x), &cj_op_cumsum, &x, 1,
                    &(struct cumsum_attrs){axis, exclusive, reverse});
}
