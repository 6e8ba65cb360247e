/* matmul.c: matrix products, batched or with one matrix for all.
 *
 *     [..., n, k] x [..., k, m]  ->  [..., n, m]     equal leading axes: a product for each
 *     [..., n, k] x [k, m]       ->  [..., n, m]     one matrix for all rows: a single product
 *
 * The flags read an operand transposed in its last two axes, without a copy, so the gradients are
 * products again. The second form keeps a dense layer on [N, T, C] one product, and its weight
 * gradient too: all leading axes of a and dy are folded into the rows.
 *
 * Passes put what follows into the product: y = activation(a b + bias + addend). */
#include "graph/ops/block.h"
#include "graph/ops/window.h"

static const cj_option matmul_options[] = {
    CJ_OPTION_BOOL(cj__matmul_attrs, transpose_a, false, "a is [..., k, n]"),
    CJ_OPTION_BOOL(cj__matmul_attrs, transpose_b, false, "b is [..., m, k]"),
    CJ_OPTION_BOOL(cj__matmul_attrs, has_bias, false, "operand 2 is a bias [m]"),
    CJ_OPTION_BOOL(cj__matmul_attrs, has_addend, false, "the last operand is added to the result"),
    CJ_OPTION_WORD(cj__matmul_attrs, activation, 0, cj__epilogue_words, "function of the result"),
    CJ_OPTION_END};

/* The operands after a and b, which have the result's dtype. */
static cj_status check_epilogue(cj_infer *infer)
{
    const cj__matmul_attrs *t = infer->call->attributes;
    const cj_type *y = &infer->out[0];
    cj_node *const *in = infer->call->in;
    int expected = 2 + t->has_bias + t->has_addend;
    if (infer->call->n_in != expected)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%d operands, expected %d", infer->call->n_in,
                             expected);
    if (!cj__is_float(y->dtype) && (expected > 2 || t->activation))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "only products of floats have an epilogue");
    for (int i = 2; i < expected; i++)
        if (!cj__epilogue_takes(y->dtype, in[i]->type.dtype, i == 2 && t->has_bias))
            return cj_infer_fail(infer, CJ_ERR_TYPE, "the operands' dtypes differ");
    if (t->has_bias && (in[2]->type.rank != 1 ||
                        !cj_infer_equal(infer, in[2]->type.dim[0], y->dim[y->rank - 1])))
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "the bias is not a vector of %s, one a column",
                             cj_dim_text(infer->graph, y->dim[y->rank - 1]));
    if (!t->has_addend) return CJ_OK;
    const cj_type *addend = &in[expected - 1]->type;
    bool same = addend->rank == y->rank;
    for (int i = 0; same && i < y->rank; i++)
        same = cj_infer_equal(infer, addend->dim[i], y->dim[i]);
    return same ? CJ_OK
                : cj_infer_fail(infer, CJ_ERR_SHAPE, "the addend has not the result's shape");
}

static cj_status matmul_infer(cj_infer *infer)
{
    const cj__matmul_attrs *t = infer->call->attributes;
    const cj_type *a = &infer->call->in[0]->type, *b = &infer->call->in[1]->type;
    cj_graph *g = infer->graph;
    if (cj__is_bool(a->dtype)) return cj_infer_fail(infer, CJ_ERR_TYPE, "takes numbers, not bool");
    if (a->dtype != b->dtype)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "the operands' dtypes differ");
    if (a->rank < 2 || b->rank < 2)
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "operands of rank %d and %d; each needs 2 at least", a->rank, b->rank);
    if (b->rank != 2 && b->rank != a->rank)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "b has rank %d, expected 2 or %d", b->rank,
                             a->rank);
    for (int i = 0; i < b->rank - 2; i++)
        if (!cj_infer_equal(infer, a->dim[i], b->dim[i]))
            return cj_infer_fail(infer, CJ_ERR_SHAPE, "the sizes along axis %d differ: %s and %s",
                                 i, cj_dim_text(g, a->dim[i]), cj_dim_text(g, b->dim[i]));
    cj_dim a_inner = a->dim[a->rank - (t->transpose_a ? 2 : 1)];
    cj_dim b_inner = b->dim[b->rank - (t->transpose_b ? 1 : 2)];
    if (!cj_infer_equal(infer, a_inner, b_inner))
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "the inner sizes differ: %s and %s",
                             cj_dim_text(g, a_inner), cj_dim_text(g, b_inner));
    infer->out[0] = *a;
    infer->out[0].dim[a->rank - 2] = a->dim[a->rank - (t->transpose_a ? 1 : 2)];
    infer->out[0].dim[a->rank - 1] = b->dim[b->rank - (t->transpose_b ? 2 : 1)];
    return check_epilogue(infer);
}

/* One row times one column, elements a_step and b_step apart. */
static double dot_f64(const double *a, int64_t a_step, const double *b, int64_t b_step, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i * a_step] * b[i * b_step];
    return sum;
}

static double dot_f32(const float *a, int64_t a_step, const float *b, int64_t b_step, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i * a_step] * b[i * b_step];
    return sum;
}

double cj__dot(const cj_array *a, int64_t ai, int64_t a_step, const cj_array *b, int64_t bi,
               int64_t b_step, int64_t n)
{
    if (a->dtype == CJ_F64)
        return dot_f64((const double *)a->data + ai, a_step, (const double *)b->data + bi, b_step,
                       n);
    if (a->dtype == CJ_F32)
        return dot_f32((const float *)a->data + ai, a_step, (const float *)b->data + bi, b_step, n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += cj_load_f64(a->dtype, a->data, (size_t)(ai + i * a_step)) *
               cj_load_f64(b->dtype, b->data, (size_t)(bi + i * b_step));
    return sum;
}

static int64_t dot_integer(const cj_array *a, int64_t ai, int64_t a_step, const cj_array *b,
                           int64_t bi, int64_t b_step, int64_t n)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (uint64_t)cj_load_i64(a->dtype, a->data, (size_t)(ai + i * a_step)) *
               (uint64_t)cj_load_i64(b->dtype, b->data, (size_t)(bi + i * b_step));
    return (int64_t)sum;
}

static cj_status matmul_ref(const cj_kernel *k)
{
    const cj__matmul_attrs *t = k->call->attributes;
    const cj_array *a = k->in[0], *b = k->in[1], *y = k->out[0];
    int64_t n = y->dim[y->rank - 2], m = y->dim[y->rank - 1];
    int64_t inner = a->dim[a->rank - (t->transpose_a ? 2 : 1)];
    int64_t a_row = t->transpose_a ? 1 : inner, a_step = t->transpose_a ? n : 1;
    int64_t b_column = t->transpose_b ? inner : 1, b_step = t->transpose_b ? 1 : m;
    bool is_float = cj__is_float(y->dtype);
    for (int64_t e = 0; e < y->count; e++) {
        int64_t j = e % m, i = e / m % n, batch = e / m / n;
        int64_t ai = batch * n * inner + i * a_row;
        int64_t bi = (b->rank == 2 ? 0 : batch * inner * m) + j * b_column;
        if (is_float) {
            double sum = inner ? cj__dot(a, ai, a_step, b, bi, b_step, inner) : 0;
            if (t->has_bias) sum += cj_load_f64(k->in[2]->dtype, k->in[2]->data, (size_t)j);
            if (t->has_addend)
                sum += cj_load_f64(y->dtype, k->in[2 + t->has_bias]->data, (size_t)e);
            cj_store_f64(y->dtype, y->data, (size_t)e, cj__epilogue_apply(t->activation, sum));
        } else {
            cj_store_i64(y->dtype, y->data, (size_t)e,
                         inner ? dot_integer(a, ai, a_step, b, bi, b_step, inner) : 0);
        }
    }
    return CJ_OK;
}

/* Each element of y sums k products. */
static double matmul_multiply_adds(const cj_kernel *k)
{
    const cj__matmul_attrs *t = k->call->attributes;
    const cj_array *a = k->in[0];
    return (double)k->out[0]->count * (double)a->dim[a->rank - (t->transpose_a ? 2 : 1)];
}

static cj_node *swap_last(cj_node *x)
{
    int64_t p[CJ_RANK_MAX];
    if (!x || cj__is_zero(x)) return x;
    for (int i = 0; i < x->type.rank; i++) p[i] = i;
    p[x->type.rank - 2] = x->type.rank - 1;
    p[x->type.rank - 1] = x->type.rank - 2;
    return cj_transpose(x, p);
}

/* [..., n, m] as [... n, m] */
static cj_node *fold_rows(cj_graph *g, cj_node *x)
{
    if (!x || cj__is_zero(x)) return x;
    cj_dim rows = 1;
    for (int i = 0; i < x->type.rank - 1; i++) rows = cj_dim_mul(g, rows, x->type.dim[i]);
    return cj_reshape(x, 2, (cj_dim[]){rows, x->type.dim[x->type.rank - 1]});
}

/* With A and B as they are multiplied: y = A B, dA = dy B^T, dB = A^T dy. An operand that was read
 * transposed has the transposed gradient: (dy B^T)^T = B dy^T, (A^T dy)^T = dy^T A. */
static void matmul_grad(cj_graph *g, cj_call *call, cj_node *const *dys, cj_node **dx)
{
    const cj__matmul_attrs *t = call->attributes;
    bool ta = t->transpose_a, tb = t->transpose_b;
    cj_node *a = call->in[0], *b = call->in[1];
    cj_node *dy = cj__epilogue_grad(t->activation, &call->out[0], dys[0]);
    if (!dy) return;
    if (t->has_bias)
        dx[2] = cj_cast(cj__sum_to(dy, &call->in[2]->type), call->in[2]->type.dtype);
    if (t->has_addend) dx[2 + t->has_bias] = dy;
    if (b->type.rank == a->type.rank) {
        dx[0] = ta ? cj_matmul_transposed(b, dy, tb, true)
                   : cj_matmul_transposed(dy, b, false, !tb);
        dx[1] = tb ? cj_matmul_transposed(dy, a, true, ta)
                   : cj_matmul_transposed(a, dy, !ta, false);
        return;
    }
    dx[0] = cj_matmul_transposed(dy, b, false, !tb);
    if (ta) dx[0] = swap_last(dx[0]);
    cj_node *rows = fold_rows(g, ta ? swap_last(a) : a), *d = fold_rows(g, dy);
    dx[1] = tb ? cj_matmul_transposed(d, rows, true, false)
               : cj_matmul_transposed(rows, d, true, false);
}

/* With an epilogue: a relu of sums that are never near 0, without and with bias and addend. */
static cj_node *epilogue_sample(cj_sampler *s, int i)
{
    bool has_bias = i & 1, has_addend = i & 2, relu = i & 4;
    int rank = i < 8 ? 2 : 3;
    const int64_t a[] = {2, 3, 4}, b[] = {4, 5}, bias[] = {5}, addend[] = {2, 3, 5};
    cj_node *in[4] = {cj_sample_real(s, 0.1, 1, rank, a + 3 - rank),
                      cj_sample_real(s, 0.1, 1, 2, b)};
    int n = 2;
    if (has_bias) in[n++] = cj_sample_real(s, 0.1, 1, 1, bias);
    if (has_addend) in[n++] = cj_sample_away(s, -9, 9, 18, 6, rank, addend + 3 - rank);
    return cj_apply(cj_sampler_graph(s), &cj_op_matmul, in, n,
                    &(cj__matmul_attrs){.has_bias = has_bias,
                                        .has_addend = has_addend,
                                        .activation = relu ? CJ__EPILOGUE_RELU : 0});
}

/* n, k, m of all small sizes, every flag, no, one and two leading axes, shared or not. */
static cj_node *matmul_sample(cj_sampler *s, int i)
{
    static const int64_t sizes[][3] = {{1, 1, 1}, {2, 3, 4}, {3, 1, 2}, {1, 5, 1}, {4, 2, 3},
                                       {0, 2, 3}, {2, 0, 3}, {2, 3, 0}, {5, 4, 7}};
    enum { SIZES = CJ__COUNT(sizes) };
    if (i >= 4 * SIZES) return i < 4 * SIZES + 16 ? epilogue_sample(s, i - 4 * SIZES) : NULL;
    int64_t n = sizes[i % SIZES][0], k = sizes[i % SIZES][1], m = sizes[i % SIZES][2];
    bool ta = i & 1, tb = i & 2;
    int leading = i / SIZES; /* 0; 1; 2; 1 shared */
    int a_rank = leading == 3 ? 3 : 2 + leading, b_rank = leading == 3 ? 2 : a_rank;
    int64_t a[4] = {2, 3, 0, 0}, b[4] = {2, 3, 0, 0};
    a[a_rank - 2] = ta ? k : n;
    a[a_rank - 1] = ta ? n : k;
    b[b_rank - 2] = tb ? m : k;
    b[b_rank - 1] = tb ? k : m;
    if (i == 3 || i == 13)
        return cj_matmul_transposed(cj_sample_int(s, CJ_I8, -99, 99, a_rank, a),
                                    cj_sample_int(s, CJ_I8, -99, 99, b_rank, b), ta, tb);
    return cj_matmul_transposed(cj_sample_real(s, -1, 1, a_rank, a),
                                cj_sample_real(s, -1, 1, b_rank, b), ta, tb);
}

const cj_op cj_op_matmul = {
    .name = "matmul",
    .doc = "y[..., i, j] = sum over p of a[..., i, p] b[..., p, j]; a matrix b serves all leading "
           "axes",
    .inputs = -1,
    .inputs_min = 2,
    .flags = CJ_OP_NOFAIL | CJ_OP_NARROW,
    .attributes_size = sizeof(cj__matmul_attrs),
    .attributes = matmul_options,
    .infer = matmul_infer,
    .grad = matmul_grad,
    .ref = matmul_ref,
    .multiply_adds = matmul_multiply_adds,
    .sample = CJ__SAMPLE(matmul_sample),
};

/* Gives a and b the same leading axes, unless b is one matrix for all. */
static bool meet_leading(cj_graph *g, cj_node **a, cj_node **b)
{
    cj_node *x = *a, *y = *b;
    int rank = x->type.rank > y->type.rank ? x->type.rank : y->type.rank;
    if (y->type.rank == 2) return true;
    cj_dim dims[2][CJ_RANK_MAX];
    for (int i = 0; i < rank; i++) {
        int p = i - (rank - x->type.rank), q = i - (rank - y->type.rank);
        cj_dim m = p < 0 ? 1 : x->type.dim[p], n = q < 0 ? 1 : y->type.dim[q];
        dims[0][i] = m;
        dims[1][i] = n;
        if (i >= rank - 2 || m == n) continue;
        cj_dim met = m == 1 ? n : n == 1 || m >= 0 ? m : n;
        if (m != 1 && n != 1 && !cj__dim_agree(g, NULL, m, n)) {
            cj__graph_fail(g, "matmul", CJ_ERR_SHAPE,
                           "the leading sizes %s and %s do not broadcast", cj_dim_text(g, m),
                           cj_dim_text(g, n));
            return false;
        }
        dims[0][i] = dims[1][i] = met;
    }
    *a = cj_broadcast_to(x, rank, dims[0]);
    *b = cj_broadcast_to(y, rank, dims[1]);
    return *a && *b;
}

cj_node *cj_matmul_transposed(cj_node *a, cj_node *b, bool transpose_a, bool transpose_b)
{
    if (!a || !b) return NULL;
    if (cj__is_zero(a) || cj__is_zero(b)) return cj_zero;
    cj_graph *g = cj_node_graph(a);
    if (cj_node_graph(b) != g)
        return cj__graph_fail(g, "matmul", CJ_ERR_ARGUMENT, "operand 1 belongs to another graph"),
               NULL;
    bool a_vector = a->type.rank == 1, b_vector = b->type.rank == 1;
    if (a->type.rank == 0 || b->type.rank == 0)
        return cj__graph_fail(g, "matmul", CJ_ERR_SHAPE,
                              "operands of rank %d and %d; a scalar is no matrix", a->type.rank,
                              b->type.rank),
               NULL;
    cj_dtype dtype = cj__promote(a->type.dtype, b->type.dtype);
    a = cj_cast(a_vector ? cj_expand_dims(a, 0) : a, dtype);
    b = cj_cast(b_vector ? cj_expand_dims(b, 1) : b, dtype);
    if (!a || !b || !meet_leading(g, &a, &b)) return NULL;
    cj__matmul_attrs t = {.transpose_a = transpose_a && !a_vector,
                          .transpose_b = transpose_b && !b_vector};
    cj_node *y = cj_apply(g, &cj_op_matmul, (cj_node *[]){a, b}, 2, &t);
    if (b_vector) y = cj_squeeze(y, -1);
    return a_vector ? cj_squeeze(y, b_vector ? -1 : -2) : y;
}

cj_node *(cj_matmul)(cj_node *a, cj_node *b)
{
    return cj_matmul_transposed(a, b, false, false);
}
