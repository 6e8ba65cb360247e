/* matrix.c: operators that are a few of ours: triangles and diagonals, sequences turned round
 * or written into caches, running products, determinants.
 *
 * All of them are arithmetic on places (iota), so sizes may be symbols and k, lengths and begins
 * known only when running. */
#include <string.h>

#include "format/onnx/map.h"
#include "format/onnx/tensor.h"
#include "graph/ops/block.h"

/* ---- Trilu, EyeLike -------------------------------------------------------------------------- */

/* Column minus row of each place of the last two axes of `type`. */
static cj_node *diagonal_of(cj_graph *g, const cj_type *type)
{
    int rank = type->rank;
    const cj_dim plane[] = {type->dim[rank - 2], type->dim[rank - 1]};
    return cj_sub(cj_iota(g, CJ_I64, 1, 2, plane), cj_iota(g, CJ_I64, 0, 2, plane));
}

static void read_trilu(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    bool upper = cj__onnx_get_int(r, "upper", 1), has_k = cj__onnx_has(r, 1);
    (void)row;
    if (!x) return;
    if (x->type.rank < 2) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "an operand of rank %d, expected 2 or more", x->type.rank);
        return;
    }
    cj_node *k = has_k ? cj_reshape(cj__onnx_node_in(r, 1), 0, NULL) : cj_scalar(r->g, CJ_I64, 0),
            *diagonal = diagonal_of(r->g, &x->type);
    cj_node *stays = upper ? cj_greater_equal(diagonal, k) : cj_less_equal(diagonal, k);
    cj__onnx_set(r, 0, cj_where(stays, x, cj_full_like(x, 0)));
}

static void read_eye_like(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    double k = (double)cj__onnx_get_int(r, "k", 0);
    int64_t number = cj__onnx_get_int(r, "dtype", 0);
    (void)row;
    if (!x) return;
    cj_dtype dtype = number ? cj__onnx_type_dtype(number) : x->type.dtype;
    if (x->type.rank != 2 || dtype == CJ_DTYPE_NONE) {
        cj__onnx_fail(r, dtype != CJ_DTYPE_NONE ? CJ_ERR_SHAPE : CJ_ERR_UNSUPPORTED,
                      "an operand of rank %d, expected 2; a result of type %s", x->type.rank,
                      number ? cj__onnx_type_name(number) : cj_dtype_info(dtype)->name);
        return;
    }
    cj_node *diagonal = diagonal_of(r->g, &x->type);
    cj__onnx_set(r, 0, cj_cast(cj_equal(diagonal, cj_scalar(r->g, CJ_I64, k)), dtype));
}

/* ---- ReverseSequence, TensorScatter ---------------------------------------------------------- */

/* A vector along one axis of an array of this rank. */
static cj_node *along(cj_node *vector, int axis, int rank)
{
    cj_dim dims[CJ_RANK_MAX];
    if (!vector) return NULL;
    for (int i = 0; i < rank; i++) dims[i] = i == axis ? vector->type.dim[0] : 1;
    return cj_reshape(vector, rank, dims);
}

/* Step t of a sequence of n comes from step n - 1 - t, or from t behind its end. */
static void read_reverse_sequence(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0), *lengths = cj__onnx_node_in(r, 1);
    (void)row;
    if (!x || !lengths) return;
    int rank = x->type.rank,
        batch = cj__axis(x, "ReverseSequence", cj__onnx_get_int(r, "batch_axis", 1), rank),
        time = cj__axis(x, "ReverseSequence", cj__onnx_get_int(r, "time_axis", 0), rank);
    if (batch < 0 || time < 0) return;
    if (batch == time || lengths->type.rank != 1) {
        cj__onnx_fail(r, CJ_ERR_SHAPE,
                      "batch_axis %d, time_axis %d and lengths of rank %d; expected two axes, 1",
                      batch, time, lengths->type.rank);
        return;
    }
    cj_node *t = cj_iota(r->g, CJ_I64, time, rank, x->type.dim),
            *n = along(cj_cast(lengths, CJ_I64), batch, rank);
    cj_node *from = cj_where(cj_less(t, n), cj_shift(cj_sub(n, t), -1), t);
    cj__onnx_set(r, 0, cj_gather_along(x, from, time));
}

static void read_tensor_scatter(cj__onnx_reader *r, const cj__onnx_row *row)
{
    char mode[32];
    cj_node *x = cj__onnx_node_in(r, 0), *update = cj__onnx_node_in(r, 1);
    (void)row;
    if (!x || !update || !cj__onnx_get_word(r, "mode", "linear", mode)) return;
    int rank = x->type.rank, axis = cj__axis(x, "TensorScatter",
                                             cj__onnx_get_int(r, "axis", -2), rank);
    bool circular = !strcmp(mode, "circular");
    if (axis < 0) return;
    if ((!circular && strcmp(mode, "linear")) || axis == 0 || update->type.rank != rank) {
        cj__onnx_fail(r, CJ_ERR_DATA,
                      "mode '%s', axis %d and an update of rank %d; expected linear or circular, 1 "
                      "or more, %d", mode, axis, update->type.rank, rank);
        return;
    }
    cj_node *at = cj_iota(r->g, CJ_I64, axis, rank, update->type.dim);
    if (cj__onnx_has(r, 2)) {
        cj_node *begin = cj__onnx_node_in(r, 2);
        at = cj_add(at, along(begin ? cj_cast(begin, CJ_I64) : NULL, 0, rank));
    }
    if (circular) at = cj_mod(at, cj_dim_value(r->g, x->type.dim[axis]));
    cj__onnx_set(r, 0, cj_scatter_along(x, at, update, axis, CJ_SCATTER_REPLACE));
}

/* ---- CumProd --------------------------------------------------------------------------------- */

/* Products of 2, 4, 8 ... neighbours (Hillis and Steele 1986): after the step of s, element i is
 * the product of elements i - 2 s + 1 to i. */
static cj_node *running_product(cj_node *x, int axis)
{
    cj_dim n = x->type.dim[axis];
    for (int64_t s = 1; x && s < n; s *= 2) {
        int64_t before[CJ_RANK_MAX] = {0}, after[CJ_RANK_MAX] = {0};
        before[axis] = s;
        after[axis] = -s;
        x = cj_mul(x, cj_pad(x, before, after, 1));
    }
    return x;
}

static void read_cumprod(cj__onnx_reader *r, const cj__onnx_row *row)
{
    int64_t which, before[CJ_RANK_MAX] = {0}, after[CJ_RANK_MAX] = {0};
    cj_node *x = cj__onnx_node_in(r, 0);
    (void)row;
    if (!x || cj__onnx_numbers_in(r, 1, "axis", 1, &which) != 1) return;
    int axis = cj__axis(x, "CumProd", which, x->type.rank);
    if (axis < 0) return;
    if (x->type.dim[axis] < 0) {
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "axis %d, whose size is known only when running",
                      axis);
        return;
    }
    bool reverse = cj__onnx_get_int(r, "reverse", 0);
    if (reverse) x = cj_reverse(x, axis);
    if (cj__onnx_get_int(r, "exclusive", 0)) {
        before[axis] = 1;
        after[axis] = -1;
        x = cj_pad(x, before, after, 1);
    }
    x = x ? running_product(x, axis) : NULL;
    cj__onnx_set(r, 0, reverse ? cj_reverse(x, axis) : x);
}

/* ---- Det ------------------------------------------------------------------------------------- */

typedef struct elimination { /* of matrices [m, n, n] */
    cj_node *a, *det, *rows, *columns; /* the last two: f [m, n], 1 for those left */
} elimination;

/* -1 where an odd number of those left come before place p [m, 1], else 1. [m] */
static cj_node *sign_of(cj_node *left, cj_node *places, cj_node *p)
{
    cj_node *before = cj_where(cj_less(places, p), left, cj_full_like(left, 0));
    cj_node *odd = cj_mod(cj_reduce_sum(before, 1, (int64_t[]){1}, false),
                          cj_scalar(cj_node_graph(left), left->type.dtype, 2));
    return cj_shift(cj_scale(odd, -2), 1);
}

/* One step of Gauss's elimination. The largest of all elements left is the pivot, so that it is 0
 * only when all are: then the gradient is the adjugate matrix, for singular matrices as well. Its
 * row and column are set to 0 and marked. */
static void eliminate(elimination *e)
{
    cj_graph *g = cj_node_graph(e->a);
    const cj_type type = e->a->type;
    const cj_dim m = type.dim[0], n = type.dim[1], flat[] = {m, cj_dim_mul(g, n, n)},
                 vector[] = {m, n};
    cj_node *size = cj_dim_value(g, n), *places = cj_iota(g, CJ_I64, 1, 2, vector);
    cj_node *left = cj_mul(cj_expand_dims(e->rows, 2), cj_expand_dims(e->columns, 1));
    cj_node *none = cj_scalar(g, type.dtype, 0), *one = cj_scalar(g, type.dtype, 1);
    left = cj_greater(left, none);
    cj_node *score = cj_where(left, cj_abs(cj_stop_gradient(e->a)), cj_scalar(g, type.dtype, -1));
    cj_node *best = cj_argmax(cj_reshape(score, 2, flat), 1, true);
    cj_node *p = cj_div(best, size), *q = cj_mod(best, size);
    cj_node *in_row = cj_equal(places, p), *in_column = cj_equal(places, q);
    cj_node *row = cj_reduce_sum(cj_where(cj_expand_dims(in_row, 2), e->a, none), 1,
                                 (int64_t[]){1}, false),
            *column = cj_reduce_sum(cj_where(cj_expand_dims(in_column, 1), e->a, none), 1,
                                    (int64_t[]){2}, false);
    cj_node *pivot = cj_reduce_sum(cj_where(in_column, row, none), 1, (int64_t[]){1}, false);
    cj_node *sign = cj_mul(sign_of(e->rows, places, p), sign_of(e->columns, places, q));
    e->det = cj_mul(e->det, cj_mul(pivot, sign));
    e->rows = cj_where(in_row, none, e->rows);
    e->columns = cj_where(in_column, none, e->columns);
    cj_node *divisor = cj_expand_dims(cj_where(cj_equal(pivot, none), one, pivot), 1);
    cj_node *taken = cj_mul(cj_expand_dims(cj_div(column, divisor), 2), cj_expand_dims(row, 1));
    cj_node *stays = cj_mul(cj_expand_dims(e->rows, 2), cj_expand_dims(e->columns, 1));
    e->a = cj_where(cj_greater(stays, none), cj_sub(e->a, taken), none);
}

/* As many steps as there are rows: a scan over their numbers. */
static cj_node *determinant(cj__onnx_reader *r, cj_node *a)
{
    cj_dim m = a->type.dim[0], n = a->type.dim[1], vector[] = {m, n};
    cj_dtype dtype = a->type.dtype;
    cj_node *one = cj_scalar(r->g, dtype, 1), *all = cj_broadcast_to(one, 2, vector);
    cj_node *carried[] = {a, cj_broadcast_to(one, 1, &m), all, all};
    cj_node *steps = cj_iota(r->g, CJ_I64, 0, 1, &n);
    cj_graph *body = cj_graph_new(r->cj);
    if (!body || !all || !steps) {
        cj_graph_free(body);
        return NULL;
    }
    cj_dim inner[] = {m >= 0 ? m : cj_symbol(body, "matrices"),
                      n >= 0 ? n : cj_symbol(body, "rows"), 0};
    inner[2] = inner[1];
    elimination e = {cj_placeholder(body, "a", dtype, 3, inner),
                     cj_placeholder(body, "det", dtype, 1, inner),
                     cj_placeholder(body, "rows", dtype, 2, inner),
                     cj_placeholder(body, "columns", dtype, 2, inner)};
    cj_placeholder(body, "step", CJ_I64, 0, NULL);
    if (e.a && e.det && e.rows && e.columns) eliminate(&e);
    cj_node *next[] = {e.a, e.det, e.rows, e.columns};
    for (int i = 0; i < 4; i++) cj_graph_output(body, NULL, next[i]);
    cj_node *y = cj_scan(carried, 4, &steps, 1, false, body, NULL, 0);
    return cj__onnx_took(y, body) ? cj_node_output(y, 1) : NULL;
}

static void read_det(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    (void)row;
    if (!x) return;
    const cj_type *type = &x->type;
    int rank = type->rank;
    if (rank < 2 || !cj__is_float(type->dtype) ||
        !cj__dim_agree(r->g, NULL, type->dim[rank - 2], type->dim[rank - 1])) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "an operand of rank %d of %s, expected floats [..., n, n]",
                      rank, cj_dtype_info(type->dtype)->name);
        return;
    }
    cj_dim m = 1, n = type->dim[rank - 1];
    for (int i = 0; i < rank - 2; i++) m = cj_dim_mul(r->g, m, type->dim[i]);
    cj_dtype wide = type->dtype == CJ_F64 ? CJ_F64 : CJ_F32;
    cj_node *a = cj_reshape(cj_cast(x, wide), 3, (cj_dim[]){m, n, n});
    cj_node *y = a ? determinant(r, a) : NULL;
    cj__onnx_set(r, 0, cj_reshape(cj_cast(y, type->dtype), rank - 2, type->dim));
}

const cj__onnx_row cj__onnx_rows_matrix[] = {
    {.onnx = "Trilu", .read = read_trilu},
    {.onnx = "EyeLike", .read = read_eye_like},
    {.onnx = "ReverseSequence", .read = read_reverse_sequence},
    {.onnx = "TensorScatter", .read = read_tensor_scatter},
    {.onnx = "CumProd", .read = read_cumprod},
    {.onnx = "Det", .read = read_det},
    {0},
};
