/* softmax.c: softmax, its logarithm, and the loss made of it.
 *
 * All three subtract the largest element first, so that e^x does not overflow; sums are double. The
 * gradients are written with the outputs, which are there already. */
#include <math.h>

#include "graph/ops/block.h"

/* ---- softmax, log_softmax -------------------------------------------------------------------- */

static cj_status softmax_infer(cj_infer *infer)
{
    CJ__TRY(cj__infer_floats(infer));
    return cj_infer_axis(infer, &((cj__axis_attrs *)infer->call->attributes)->axis,
                         infer->call->in[0]->type.rank);
}

static double element(const cj_array *x, int64_t i)
{
    return x->dtype == CJ_F32   ? (double)((const float *)x->data)[i]
           : x->dtype == CJ_F64 ? ((const double *)x->data)[i]
                                : cj_load_f64(x->dtype, x->data, (size_t)i);
}

/* The largest of n elements `stride` apart, -inf of none, NaN if there is one; *sum of e^(x -
 * largest). */
static double line_sum(const cj_array *x, int64_t start, int64_t n, int64_t stride, double *sum)
{
    double largest = -INFINITY;
    *sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = element(x, start + i * stride);
        if (!(v <= largest)) largest = v;
        if (v != v) return v;
    }
    for (int64_t i = 0; i < n; i++) *sum += exp(element(x, start + i * stride) - largest);
    return largest;
}

static cj_status softmax_lines(const cj_kernel *k, bool logarithm)
{
    const cj_array *x = k->in[0], *y = k->out[0];
    cj__lines l = cj__lines_of(x, ((const cj__axis_attrs *)k->call->attributes)->axis);
    for (int64_t i = 0; i < l.count; i++) {
        int64_t start = cj__line_start(&l, i);
        double sum, largest = line_sum(x, start, l.length, l.stride, &sum), log_sum = log(sum);
        for (int64_t j = 0; j < l.length; j++) {
            int64_t at = start + j * l.stride;
            double v = element(x, at) - largest;
            cj_store_f64(y->dtype, y->data, (size_t)at, logarithm ? v - log_sum : exp(v) / sum);
        }
    }
    return CJ_OK;
}

static cj_status softmax_ref(const cj_kernel *k)
{
    return softmax_lines(k, false);
}
static cj_status log_softmax_ref(const cj_kernel *k)
{
    return softmax_lines(k, true);
}

/* d y_i / d x_j = y_i ([i = j] - y_j):  dx = y (dy - sum(dy y)) */
static void softmax_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    int64_t axis = ((const cj__axis_attrs *)call->attributes)->axis;
    cj_node *y = &call->out[0];
    dx[0] = cj_mul(y, cj_sub(dy[0], cj_reduce_sum(cj_mul(dy[0], y), 1, &axis, true)));
}

/* d y_i / d x_j = [i = j] - e^(y_j):  dx = dy - e^y sum(dy) */
static void log_softmax_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    int64_t axis = ((const cj__axis_attrs *)call->attributes)->axis;
    dx[0] = cj_sub(dy[0], cj_mul(cj_exp(&call->out[0]), cj_reduce_sum(dy[0], 1, &axis, true)));
}

static cj_node *sample_softmax(cj_sampler *s, int i, cj_node *(*build)(cj_node *x, int axis))
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (i >= 46 || !cj_sample_shape(i % 23 + 1, &rank, dims)) return NULL;
    cj_node *x = cj_sample_real(s, -3, 3, rank, dims);
    return build(x, i < 23 ? -1 : i % rank);
}

#define SOFTMAX(op, text, onnx_name) \
    static cj_node *op##_sample(cj_sampler *s, int i) \
    { \
        return sample_softmax(s, i, (cj_##op)); \
    } \
    const cj_op cj_op_##op = { \
        .name = #op, \
        .doc = text, \
        .inputs = 1, \
        .attributes_size = sizeof(cj__axis_attrs), \
        .attributes = cj__last_axis_options, \
        .infer = softmax_infer, \
        .grad = op##_grad, \
        .ref = op##_ref, \
        .sample = CJ__SAMPLE(op##_sample), \
        .onnx = onnx_name, \
    }; \
    cj_node *(cj_##op)(cj_node * x, int axis) \
    { \
        if (!x || cj__is_zero(x)) return NULL; \
        return cj_apply(cj_node_graph(x), &cj_op_##op, &x, 1, &(cj__axis_attrs){.axis = axis}); \
    }

SOFTMAX(softmax, "y_i = e^(x_i) / sum of e^(x_j) over an axis", "Softmax")
SOFTMAX(log_softmax, "y_i = x_i - ln(sum of e^(x_j)) over an axis", "LogSoftmax")

/* ---- sparse_softmax_crossentropy ------------------------------------------------------------- */

static cj_status crossentropy_infer(cj_infer *infer)
{
    const cj_type *logits = &infer->call->in[0]->type, *labels = &infer->call->in[1]->type;
    cj_graph *g = infer->graph;
    if (!cj__is_float(logits->dtype))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "the logits are floats, not %s",
                             cj_dtype_info(logits->dtype)->name);
    CJ__TRY(cj__infer_indices(infer, 1));
    if (logits->rank < 1 || labels->rank != logits->rank - 1)
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "labels of rank %d for logits of rank %d, expected %d", labels->rank,
                             logits->rank, logits->rank - 1);
    for (int i = 0; i < labels->rank; i++)
        if (!cj_infer_equal(infer, labels->dim[i], logits->dim[i]))
            return cj_infer_fail(infer, CJ_ERR_SHAPE,
                                 "axis %d has size %s in the labels, %s in the logits", i,
                                 cj_dim_text(g, labels->dim[i]), cj_dim_text(g, logits->dim[i]));
    infer->out[0] = *labels;
    infer->out[0].dtype = logits->dtype;
    return CJ_OK;
}

/* y = (largest - x[label]) + ln(sum of e^(x - largest)): the difference first, so that a common
 * offset costs no digits. An infinite largest logit is the logarithm of the sum itself. */
static cj_status crossentropy_ref(const cj_kernel *k)
{
    const cj_array *x = k->in[0], *labels = k->in[1], *y = k->out[0];
    int64_t classes = x->dim[x->rank - 1];
    for (int64_t i = 0; i < y->count; i++) {
        int64_t label = cj_load_i64(labels->dtype, labels->data, (size_t)i);
        char position[128];
        if (label < 0 || label >= classes)
            return cj_fail(k->cj, CJ_ERR_DATA,
                           "label %lld at position %s is not between 0 and %lld (%lld classes)",
                           (long long)label, cj__position(position, labels, i),
                           (long long)classes - 1, (long long)classes);
        double sum, largest = line_sum(x, i * classes, classes, 1, &sum);
        double loss = largest - element(x, i * classes + label);
        cj_store_f64(y->dtype, y->data, (size_t)i, isinf(largest) ? loss : loss + log(sum));
    }
    return CJ_OK;
}

static bool crossentropy_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    cj_node *logits = call->in[0], *labels = call->in[1];
    (void)g;
    cj_node *picked = cj_gather_along(logits, cj_expand_dims(labels, -1), -1);
    out[0] = cj_sub(cj_logsumexp(logits, 1, (int64_t[]){-1}, false), cj_squeeze(picked, -1));
    return out[0] != NULL;
}

/* d logits = dy (softmax(logits) - one_hot(labels)). With a symbol of classes dy is subtracted at
 * the labels' places instead. */
static void crossentropy_grad(cj_graph *g, cj_call *call, cj_node *const *dys, cj_node **dx)
{
    (void)g;
    cj_node *logits = call->in[0], *labels = call->in[1], *dy = cj_expand_dims(dys[0], -1);
    cj_node *p = (cj_softmax)(logits, -1);
    cj_dim classes = logits->type.dim[logits->type.rank - 1];
    if (classes >= 0)
        dx[0] = cj_mul(cj_sub(p, cj_one_hot(labels, classes, logits->type.dtype)), dy);
    else
        dx[0] = cj_scatter_along(cj_mul(p, dy), cj_expand_dims(labels, -1), cj_neg(dy), -1,
                                 CJ_SCATTER_ADD);
}

static cj_node *crossentropy_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (!cj_sample_shape(i, &rank, dims)) return NULL;
    dims[rank] = 1 + i % 7;
    cj_node *logits = cj_sample_real(s, -3, 3, rank + 1, dims);
    cj_node *labels = cj_sample_int(s, i % 2 ? CJ_I32 : CJ_I64, 0, dims[rank] - 1, rank, dims);
    return cj_sparse_softmax_crossentropy(logits, labels);
}

const cj_op cj_op_sparse_softmax_crossentropy = {
    .name = "sparse_softmax_crossentropy",
    .doc = "y = ln(sum of e^(logits)) - logits[label] over the last axis",
    .inputs = 2,
    .infer = crossentropy_infer,
    .grad = crossentropy_grad,
    .lower = crossentropy_lower,
    .ref = crossentropy_ref,
    .sample = CJ__SAMPLE(crossentropy_sample),
};

cj_node *cj_sparse_softmax_crossentropy(cj_node *logits, cj_node *labels)
{
    if (!logits || !labels || cj__is_zero(logits)) return NULL;
    cj_node *in[] = {logits, cj__as_indices(labels)};
    return cj_apply(cj_node_graph(logits), &cj_op_sparse_softmax_crossentropy, in, 2, NULL);
}
