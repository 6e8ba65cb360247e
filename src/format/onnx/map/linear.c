/* linear.c: matrix products, softmax and cross-entropy. */
#include <string.h>

#include "format/onnx/map.h"
#include "graph/ops/einsum.h"
#include "graph/ops/map.h"
#include "graph/ops/window.h"

/* ---- MatMul and Gemm ------------------------------------------------------------------------- */

static const char *swapped(cj__onnx_writer *w, const char *x, int rank)
{
    int64_t p[CJ_RANK_MAX];
    for (int i = 0; i < rank; i++) p[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    const char *y = cj__onnx_step(w, "Transpose", x, NULL);
    cj__onnx_put_ints(w, "perm", rank, p);
    return y;
}

/* Operand i, or where MatMul repeats matrices itself and `repeats`, what it is made of. */
static const cj_node *matrix(const cj_call *call, int i, bool repeats)
{
    const cj_node *x = call->in[i], *from = x->call->op == &cj_op_broadcast ? x->call->in[0] : x;
    const int a = x->type.rank - 2, b = from->type.rank - 2;
    return repeats && a >= 0 && b >= 0 && x->type.dim[a] == from->type.dim[b] &&
                   x->type.dim[a + 1] == from->type.dim[b + 1]
               ? from
               : x;
}

/* MatMul as it stands with what is added to it, Gemm where a matrix is read transposed, and
 * Transpose before batched products. */
static void write_matmul(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj__matmul_attrs *t = w->call->attributes;
    const cj_node *first = matrix(w->call, 0, true),
                  *second = matrix(w->call, 1, first == w->call->in[0]);
    const cj_type *a = &first->type, *b = &second->type;
    bool narrow = !(row->types & CJ__ONNX_BIT(a->dtype)),
         transposed = t->transpose_a || t->transpose_b;
    bool gemm = transposed && a->rank == 2 && b->rank == 2 && cj__is_float(a->dtype);
    const char *x = cj__onnx_value_of(w, first), *y = cj__onnx_value_of(w, second);
    if (narrow) x = cj__onnx_cast(w, x, CJ_I32), y = cj__onnx_cast(w, y, CJ_I32);
    if (!gemm && t->transpose_a) x = swapped(w, x, a->rank);
    if (!gemm && t->transpose_b) y = swapped(w, y, b->rank);
    bool relu = t->activation == CJ__EPILOGUE_RELU;
    int left = t->has_bias + t->has_addend + relu + narrow;
    const char *value = cj__onnx_step_or_last(w, left, gemm ? "Gemm" : "MatMul", x, y, NULL);
    if (gemm && t->transpose_a) cj__onnx_put_int(w, "transA", 1);
    if (gemm && t->transpose_b) cj__onnx_put_int(w, "transB", 1);
    for (int i = 2; i < w->call->n_in; i++) { /* bias and addend */
        const char *term = cj__onnx_in(w, i);
        if (narrow) term = cj__onnx_cast(w, term, CJ_I32);
        value = cj__onnx_step_or_last(w, --left, "Add", value, term, NULL);
    }
    if (relu) value = cj__onnx_step_or_last(w, --left, "Relu", value, NULL, NULL);
    if (!narrow) return;
    cj__onnx_last(w, "Cast", value, NULL);
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

/* Products of matrices and sums, as which it is written again. */
static void read_einsum(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x[CJ__EINSUM_OPERANDS];
    const int n = (int)r->node->input.count;
    const char *equation = cj__onnx_get_text(r, "equation");
    (void)row;
    if (!equation) return;
    if (n > CJ__EINSUM_OPERANDS) {
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "%d operands, at most %d are read", n,
                      CJ__EINSUM_OPERANDS);
        return;
    }
    for (int i = 0; i < n; i++)
        if (!(x[i] = cj__onnx_node_in(r, (size_t)i))) return;
    cj__onnx_set(r, 0, cj_einsum(x, n, equation));
}

/* ---- Softmax --------------------------------------------------------------------------------- */

static void write_softmax(cj__onnx_writer *w, const cj__onnx_row *row)
{
    cj__onnx_last(w, row->onnx, cj__onnx_in(w, 0), NULL);
    cj__onnx_put_int(w, "axis", cj__onnx_field_int(w->call, "axis"));
}

/* 1 at the first of the largest, else 0. */
static cj_node *hardmax(cj_node *x, int axis)
{
    if (!x || (axis = cj__axis(x, "Hardmax", axis, x->type.rank)) < 0) return NULL;
    cj_node *best = cj_argmax(x, axis, true),
            *places = cj_iota(cj_node_graph(x), CJ_I64, axis, x->type.rank, x->type.dim);
    return cj_cast(cj_equal(places, best), x->type.dtype);
}

/* Before opset 13 the axes from `axis` on are one. */
static void read_softmax(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    cj_node *(*of)(cj_node *, int) = *row->onnx == 'S'   ? cj_softmax
                                     : *row->onnx == 'L' ? cj_log_softmax
                                                         : hardmax;
    bool old = r->opset < 13;
    int axis = cj__onnx_get_axis(r, "axis", old ? 1 : -1);
    if (!x) return;
    if (!old) {
        cj__onnx_set(r, 0, of(x, axis));
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
    cj_node *y = of(cj_reshape(x, 2, dims), 1);
    cj__onnx_set(r, 0, cj_reshape(y, x->type.rank, x->type.dim));
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

const cj__onnx_row cj__onnx_rows_linear[] = {
    {.onnx = "MatMul", .op = &cj_op_matmul, .write = write_matmul, .read = read_matmul,
     .types = CJ__ONNX_FLOATS_BF | CJ__ONNX_WIDE},
    {.onnx = "Gemm", .read = read_gemm},
    {.onnx = "Einsum", .read = read_einsum},
    {.onnx = "Softmax", .op = &cj_op_softmax, .write = write_softmax, .read = read_softmax},
    {.onnx = "LogSoftmax", .op = &cj_op_log_softmax, .write = write_softmax, .read = read_softmax},
    {.onnx = "Hardmax", .read = read_softmax},
    {.op = &cj_op_sparse_softmax_crossentropy, .write = write_crossentropy},
    {.onnx = "SoftmaxCrossEntropyLoss", .read = read_loss},
    {.onnx = "NegativeLogLikelihoodLoss", .read = read_loss},
    {0},
};
