/* map_linear.c: matrix products, softmax and cross-entropy, and ONNX's normalisations, which are
 * read as the arithmetic they are. */
#include <string.h>

#include "format/onnx/map.h"
#include "graph/ops/map.h"

/* ---- MatMul and Gemm ------------------------------------------------------------------------- */

static const char *swapped(cj__onnx_writer *w, const char *x, int rank)
{
    int64_t p[CJ_RANK_MAX];
    for (int i = 0; i < rank; i++) p[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    const char *y = cj__onnx_step(w, "Transpose", x, NULL);
    cj__onnx_put_ints(w, "perm", rank, p);
    return y;
}

/* MatMul as it stands, Gemm where a matrix is read transposed, and Transpose before batched
 * products. */
static void write_matmul(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj__matmul_attrs *t = w->call->attributes;
    const cj_type *a = &w->call->in[0]->type, *b = &w->call->in[1]->type;
    bool narrow = !(row->types & CJ__ONNX_BIT(a->dtype)),
         transposed = t->transpose_a || t->transpose_b;
    bool gemm = transposed && a->rank == 2 && cj__is_float(a->dtype);
    const char *x = cj__onnx_in(w, 0), *y = cj__onnx_in(w, 1);
    if (narrow) x = cj__onnx_cast(w, x, CJ_I32), y = cj__onnx_cast(w, y, CJ_I32);
    if (!gemm && t->transpose_a) x = swapped(w, x, a->rank);
    if (!gemm && t->transpose_b) y = swapped(w, y, b->rank);
    const char *product = NULL;
    if (narrow) product = cj__onnx_step(w, gemm ? "Gemm" : "MatMul", x, y, NULL);
    else cj__onnx_last(w, gemm ? "Gemm" : "MatMul", x, y, NULL);
    if (gemm && t->transpose_a) cj__onnx_put_int(w, "transA", 1);
    if (gemm && t->transpose_b) cj__onnx_put_int(w, "transB", 1);
    if (!narrow) return;
    cj__onnx_last(w, "Cast", product, NULL);
    cj__onnx_put_int(w, "to", cj_dtype_info(a->dtype)->onnx);
}

static void read_matmul(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *a = cj__onnx_node_in(r, 0), *b = cj__onnx_node_in(r, 1);
    (void)row;
    cj__onnx_set(r, 0, cj_matmul(a, b));
}

static void read_gemm(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *a = cj__onnx_node_in(r, 0), *b = cj__onnx_node_in(r, 1);
    (void)row;
    if (!a || !b) return;
    if (a->type.rank != 2 || b->type.rank != 2) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "operands of rank %d and %d, expected 2", a->type.rank,
                      b->type.rank);
        return;
    }
    bool ta = cj__onnx_get_int(r, "transA", 0), tb = cj__onnx_get_int(r, "transB", 0);
    double alpha = cj__onnx_get_float(r, "alpha", 1), beta = cj__onnx_get_float(r, "beta", 1);
    cj_node *y = cj_scale(cj_matmul_transposed(a, b, ta, tb), alpha);
    if (cj__onnx_has(r, 2) && beta != 0) y = cj_add(y, cj_scale(cj__onnx_node_in(r, 2), beta));
    cj__onnx_set(r, 0, y);
}

/* ---- Softmax --------------------------------------------------------------------------------- */

static void write_softmax(cj__onnx_writer *w, const cj__onnx_row *row)
{
    cj__onnx_last(w, row->onnx, cj__onnx_in(w, 0), NULL);
    cj__onnx_put_int(w, "axis", cj__onnx_field_int(w->call, "axis"));
}

/* Before opset 13 the axes from `axis` on are one. */
static void read_softmax(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    bool logarithm = !strcmp(row->onnx, "LogSoftmax"), old = r->opset < 13;
    int64_t axis = cj__onnx_get_int(r, "axis", old ? 1 : -1);
    if (!x) return;
    if (!old) {
        cj__onnx_set(r, 0, logarithm ? cj_log_softmax(x, (int)axis) : cj_softmax(x, (int)axis));
        return;
    }
    if (axis < 0) axis += x->type.rank;
    if (axis < 0 || axis > x->type.rank) {
        cj__onnx_fail(r, CJ_ERR_ARGUMENT, "axis %lld is out of range for rank %d", (long long)axis,
                      x->type.rank);
        return;
    }
    cj_dim dims[2] = {1, 1};
    for (int i = 0; i < x->type.rank; i++)
        dims[i >= axis] = cj_dim_mul(r->g, dims[i >= axis], x->type.dim[i]);
    cj_node *flat = cj_reshape(x, 2, dims),
            *y = logarithm ? cj_log_softmax(flat, 1) : cj_softmax(flat, 1);
    cj__onnx_set(r, 0, cj_reshape(y, x->type.rank, x->type.dim));
}

static void read_hardmax(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    int axis = (int)cj__onnx_get_int(r, "axis", r->opset < 13 ? 1 : -1);
    (void)row;
    if (!x || (axis = cj__axis(x, "Hardmax", axis, x->type.rank)) < 0) return;
    if (r->opset < 13 && axis != x->type.rank - 1) {
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "axis %d of opset %lld", axis, (long long)r->opset);
        return;
    }
    cj_node *best = cj_argmax(x, axis, true),
            *places = cj_iota(r->g, CJ_I64, axis, x->type.rank, x->type.dim);
    cj__onnx_set(r, 0, cj_cast(cj_equal(places, best), x->type.dtype));
}

/* ---- Cross-entropy --------------------------------------------------------------------------- */

static void write_crossentropy(cj__onnx_writer *w, const cj__onnx_row *row)
{
    int64_t last = -1;
    const char *axis = cj__onnx_ints(w, 1, &last), *logits = cj__onnx_in(w, 0),
               *labels = cj__onnx_in(w, 1);
    (void)row;
    const char *logarithms = cj__onnx_step(w, "LogSoftmax", logits, NULL);
    cj__onnx_put_int(w, "axis", -1);
    labels = cj__onnx_step(w, "Unsqueeze", labels, axis, NULL);
    const char *picked = cj__onnx_step(w, "GatherElements", logarithms, labels, NULL);
    cj__onnx_put_int(w, "axis", -1);
    cj__onnx_last(w, "Squeeze", cj__onnx_step(w, "Neg", picked, NULL), axis, NULL);
}

/* [n, classes, ...] -> [n, ..., classes], and back. */
static cj_node *classes_last(cj_node *x, bool back)
{
    int64_t p[CJ_RANK_MAX];
    if (!x) return NULL;
    int rank = x->type.rank;
    for (int i = 0; i < rank; i++)
        p[i] = back            ? (i == 0   ? 0
                                  : i == 1 ? rank - 1
                                           : i - 1)
               : i == 0        ? 0
               : i == rank - 1 ? 1
                               : i + 1;
    return cj_transpose(x, p);
}

/* The negative log-likelihood of labels, each weighted by its class, ignored ones left out. */
static void read_loss(cj__onnx_reader *r, const cj__onnx_row *row)
{
    char reduction[32];
    bool softmax = !strcmp(row->onnx, "SoftmaxCrossEntropyLoss");
    cj_node *x = cj__onnx_node_in(r, 0), *labels = cj__onnx_node_in(r, 1);
    if (!x || !labels || !cj__onnx_get_word(r, "reduction", "mean", reduction)) return;
    if (x->type.rank < 2) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "scores of rank %d, expected 2 or more", x->type.rank);
        return;
    }
    cj_node *scores = classes_last(x, false),
            *logarithms = softmax ? cj_log_softmax(scores, -1) : scores;
    if (!logarithms) return;
    cj_dtype dtype = x->type.dtype;
    cj_node *ignored = NULL, *zero = cj_scalar(r->g, dtype, 0);
    if (cj__onnx_has_attribute(r, "ignore_index")) {
        cj_dtype index = labels->type.dtype;
        ignored = cj_equal(labels,
                           cj_scalar(r->g, index, (double)cj__onnx_get_int(r, "ignore_index", 0)));
        labels = cj_where(ignored, cj_scalar(r->g, index, 0), labels);
    }
    cj_node *loss = cj_neg(
                cj_squeeze(cj_gather_along(logarithms, cj_expand_dims(labels, -1), -1), -1)),
            *weight = NULL;
    if (cj__onnx_has(r, 2)) weight = cj_gather(cj__onnx_node_in(r, 2), labels, 0);
    else if (ignored && loss)
        weight = cj_broadcast_to(cj_scalar(r->g, dtype, 1), loss->type.rank, loss->type.dim);
    if (ignored) weight = cj_where(ignored, zero, weight);
    if (weight) loss = cj_mul(loss, weight);
    if (!strcmp(reduction, "sum")) loss = cj_sum(loss);
    else if (!strcmp(reduction, "mean"))
        loss = weight ? cj_div(cj_sum(loss), cj_sum(weight)) : cj_mean(loss);
    else if (strcmp(reduction, "none"))
        cj__onnx_fail(r, CJ_ERR_DATA, "reduction '%s' is none of none, mean, sum", reduction);
    cj__onnx_set(r, 0, loss);
    if (softmax && cj__onnx_wants(r, 1)) cj__onnx_set(r, 1, classes_last(logarithms, true));
}

/* ---- Normalisation --------------------------------------------------------------------------- */

/* [c] as [c, 1, 1 ...] beside x [n, c, ...]. */
static cj_node *channel(cj_node *v, const cj_node *x)
{
    cj_dim dims[CJ_RANK_MAX];
    if (!v || !x || v->type.rank != 1) return NULL;
    for (int i = 0; i < x->type.rank - 1; i++) dims[i] = i ? 1 : v->type.dim[0];
    return cj_reshape(v, x->type.rank - 1, dims);
}

static cj_node *inverse_deviation(cj_node *variance, double epsilon)
{
    return cj_rsqrt(cj_shift(variance, epsilon));
}

static void read_batch_norm(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0), *in[4];
    double epsilon = cj__onnx_get_float(r, "epsilon", 1e-5);
    (void)row;
    if (cj__onnx_get_int(r, "training_mode", 0) || cj__onnx_wants(r, 1)) {
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "it is in training mode");
        return;
    }
    if (x && x->type.rank < 2)
        cj__onnx_fail(r, CJ_ERR_SHAPE, "an operand of rank %d", x->type.rank);
    for (size_t i = 0; i < 4; i++)
        in[i] = r->failed ? NULL : channel(cj__onnx_node_in(r, i + 1), x);
    cj_node *scale = cj_mul(in[0], inverse_deviation(in[3], epsilon));
    cj__onnx_set(r, 0, cj_add(cj_mul(cj_sub(x, in[2]), scale), in[1]));
}

/* (x - mean) / deviation over the given axes; mean and 1 / deviation for who wants them. */
static cj_node *normalised(cj_node *x, int n, const int64_t *axes, double epsilon, cj_node **mean,
                           cj_node **inverse)
{
    *mean = cj_reduce_mean(x, n, axes, true);
    cj_node *centred = cj_sub(x, *mean);
    *inverse = inverse_deviation(cj_reduce_mean(cj_square(centred), n, axes, true), epsilon);
    return cj_mul(centred, *inverse);
}

static void read_instance_norm(cj__onnx_reader *r, const cj__onnx_row *row)
{
    static const int64_t axes[] = {2, 3, 4, 5, 6, 7};
    cj_node *x = cj__onnx_node_in(r, 0), *mean, *inverse;
    (void)row;
    if (!x) return;
    if (x->type.rank < 3) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "an operand of rank %d, expected 3 or more", x->type.rank);
        return;
    }
    cj_node *y = normalised(x, x->type.rank - 2, axes, cj__onnx_get_float(r, "epsilon", 1e-5),
                            &mean, &inverse);
    cj_node *scale = channel(cj__onnx_node_in(r, 1), x), *bias = channel(cj__onnx_node_in(r, 2), x);
    cj__onnx_set(r, 0, cj_add(cj_mul(y, scale), bias));
}

static void read_layer_norm(cj__onnx_reader *r, const cj__onnx_row *row)
{
    int64_t axes[CJ_RANK_MAX];
    int n = 0;
    cj_node *x = cj__onnx_node_in(r, 0), *mean, *inverse;
    (void)row;
    if (!x) return;
    int axis = cj__axis(x, "LayerNormalization", cj__onnx_get_int(r, "axis", -1), x->type.rank);
    if (axis < 0) return;
    for (int i = axis; i < x->type.rank; i++) axes[n++] = i;
    cj_node *y = normalised(x, n, axes, cj__onnx_get_float(r, "epsilon", 1e-5), &mean, &inverse);
    y = cj_mul(y, cj__onnx_node_in(r, 1));
    if (cj__onnx_has(r, 2)) y = cj_add(y, cj__onnx_node_in(r, 2));
    cj__onnx_set(r, 0, y);
    if (cj__onnx_wants(r, 1)) cj__onnx_set(r, 1, mean);
    if (cj__onnx_wants(r, 2)) cj__onnx_set(r, 2, inverse);
}

const cj__onnx_row cj__onnx_rows_linear[] = {
    {.onnx = "MatMul", .op = &cj_op_matmul, .write = write_matmul, .read = read_matmul,
     .types = CJ__ONNX_FLOATS_BF | CJ__ONNX_WIDE},
    {.onnx = "Gemm", .read = read_gemm},
    {.onnx = "Softmax", .op = &cj_op_softmax, .write = write_softmax, .read = read_softmax},
    {.onnx = "LogSoftmax", .op = &cj_op_log_softmax, .write = write_softmax, .read = read_softmax},
    {.onnx = "Hardmax", .read = read_hardmax},
    {.op = &cj_op_sparse_softmax_crossentropy, .write = write_crossentropy},
    {.onnx = "SoftmaxCrossEntropyLoss", .read = read_loss},
    {.onnx = "NegativeLogLikelihoodLoss", .read = read_loss},
    {.onnx = "BatchNormalization", .read = read_batch_norm},
    {.onnx = "InstanceNormalization", .read = read_instance_norm},
    {.onnx = "LayerNormalization", .read = read_layer_norm},
    {0},
};
