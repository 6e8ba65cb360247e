/* index.c: gathering and scattering, one-hot and top-k.
 *
 * ONNX's GatherND and ScatterND take index vectors: they are read as gather and scatter along one
 * axis of the operand with its leading axes folded into one, (i, j) -> i * columns + j. */
#include <string.h>

#include "format/onnx/map.h"
#include "graph/ops/block.h"

static int64_t axis_of(const cj__onnx_writer *w)
{
    return cj__onnx_field_int(w->call, "axis");
}

static void write_indexed(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const char *x = cj__onnx_in(w, 0);
    cj__onnx_last(w, row->onnx, x, cj__onnx_in(w, 1), NULL);
    cj__onnx_put_int(w, "axis", axis_of(w));
}

static void read_gather(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0), *indices = cj__onnx_node_in(r, 1);
    int axis = cj__onnx_get_axis(r, "axis", 0);
    bool along = strcmp(row->onnx, "Gather") != 0;
    if (x && indices)
        cj__onnx_set(r, 0, along ? cj_gather_along(x, indices, axis) : cj_gather(x, indices, axis));
}

/* ---- Scatter --------------------------------------------------------------------------------- */

/* The index axes are folded into one, and indices repeated beside every element of their row. Added
 * to zeros, or to operand 0. */
static void write_scatter_add(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const int to_x = w->call->op == &cj_op_index_add;
    const cj_type *updates = &w->call->in[to_x]->type, *indices = &w->call->in[to_x + 1]->type,
                  *y = &w->call->out[0].type;
    cj_graph *g = w->scope->g;
    int axis = (int)axis_of(w);
    cj_dim flat[CJ_RANK_MAX], line[CJ_RANK_MAX];
    (void)row;
    for (int i = 0; i < y->rank; i++) {
        flat[i] = i < axis    ? updates->dim[i]
                  : i == axis ? cj__type_count(g, indices)
                              : updates->dim[i + indices->rank - 1];
        line[i] = i == axis ? flat[i] : 1;
    }
    const char *x = cj__onnx_in(w, to_x), *at = cj__onnx_in(w, to_x + 1);
    if (indices->rank != 1) {
        x = cj__onnx_step(w, "Reshape", x, cj__onnx_dims(w, y->rank, flat), NULL);
        cj__onnx_put_int(w, "allowzero", 1);
    }
    at = cj__onnx_step(w, "Reshape", at, cj__onnx_dims(w, y->rank, line), NULL);
    cj__onnx_put_int(w, "allowzero", 1);
    at = cj__onnx_step(w, "Expand", at, cj__onnx_dims(w, y->rank, flat), NULL);
    const char *base = to_x ? cj__onnx_in(w, 0)
                            : cj__onnx_step(w, "Expand", cj__onnx_scalar(w, y->dtype, 0),
                                            cj__onnx_dims(w, y->rank, y->dim), NULL);
    cj__onnx_last(w, "ScatterElements", base, at, x, NULL);
    cj__onnx_put_int(w, "axis", axis);
    cj__onnx_put_string(w, "reduction", "add");
}

static const char *const reductions[] = {"none", "add", "mul", "max", "min", NULL}; /* by rule */

static void write_scatter_along(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const char *x = cj__onnx_in(w, 0), *indices = cj__onnx_in(w, 1);
    int rule = ((const cj__scatter_along_attrs *)w->call->attributes)->rule;
    cj__onnx_last(w, row->onnx, x, indices, cj__onnx_in(w, 2), NULL);
    cj__onnx_put_int(w, "axis", axis_of(w));
    if (rule == CJ_SCATTER_REPLACE) return;
    if (rule > CJ_SCATTER_MUL)
        cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED, "the reduction %s before opset 18",
                        reductions[rule]);
    cj__onnx_put_string(w, "reduction", reductions[rule]);
}

static bool reads_rule(cj__onnx_reader *r, cj_scatter_rule *rule)
{
    char reduction[32];
    int i = 0;
    if (!cj__onnx_get_word(r, "reduction", "none", reduction)) return false;
    while (reductions[i] && strcmp(reductions[i], reduction)) i++;
    *rule = (cj_scatter_rule)i;
    if (!reductions[i])
        cj__onnx_fail(r, CJ_ERR_DATA, "reduction '%s', expected none, add, mul, max or min",
                      reduction);
    return !r->failed;
}

static void read_scatter_along(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_scatter_rule rule;
    cj_node *x = cj__onnx_node_in(r, 0), *indices = cj__onnx_node_in(r, 1),
            *updates = cj__onnx_node_in(r, 2);
    (void)row;
    if (!reads_rule(r, &rule)) return;
    cj__onnx_set(r, 0,
                 cj_scatter_along(x, indices, updates, cj__onnx_get_axis(r, "axis", 0), rule));
}

/* ---- Index vectors --------------------------------------------------------------------------- */

/* Sizes as an i64 vector, for arithmetic with indices. */
static cj_node *vector_of(cj_graph *g, int n, const cj_dim *dims)
{
    cj_node *parts[CJ_RANK_MAX];
    for (int i = 0; i < n; i++)
        parts[i] = dims[i] < 0 ? cj_dim_value(g, dims[i]) : cj_scalar(g, CJ_I64, (double)dims[i]);
    return cj_stack(parts, n, 0);
}

typedef struct folded {
    cj_node *x;    /* [rows, columns] */
    cj_node *at;   /* [indices] */
    cj_type rest;  /* what one index vector names */
    cj_dim indices, columns;
} folded;

/* Index vectors that begin with their own place along the first axes. */
static cj_node *with_places(cj_node *indices, int batch)
{
    cj_node *parts[CJ_RANK_MAX + 1];
    cj_type one = indices->type;
    one.dim[one.rank - 1] = 1;
    for (int i = 0; i < batch; i++)
        parts[i] = cj_iota(cj_node_graph(indices), CJ_I64, i, one.rank, one.dim);
    parts[batch] = cj_cast(indices, CJ_I64);
    return cj_concat(parts, batch + 1, -1);
}

/* Negative indices count from the end of their axis. The first `batch` axes of x and of the indices
 * go together. */
static bool fold(cj__onnx_reader *r, int64_t batch, folded *f)
{
    cj_node *x = cj__onnx_node_in(r, 0), *indices = cj__onnx_node_in(r, 1);
    cj_graph *g = r->g;
    if (!x || !indices) return false;
    if (batch < 0 || batch >= indices->type.rank || batch >= x->type.rank) {
        cj__onnx_fail(r, CJ_ERR_DATA, "batch_dims is %lld for indices of rank %d and data of rank "
                      "%d", (long long)batch, indices->type.rank, x->type.rank);
        return false;
    }
    if (batch) indices = with_places(indices, (int)batch);
    if (!indices) return false;
    int rank = indices->type.rank;
    int64_t n = rank ? indices->type.dim[rank - 1] : -1;
    if (n < 1 || n > x->type.rank) {
        cj__onnx_fail(r, n < 1 ? CJ_ERR_UNSUPPORTED : CJ_ERR_SHAPE,
                      "index vectors of %lld numbers for an operand of rank %d", (long long)n,
                      x->type.rank);
        return false;
    }
    cj_dim stride[CJ_RANK_MAX] = {0}, rows = 1;
    f->rest = (cj_type){.dtype = x->type.dtype, .rank = x->type.rank - (int)n};
    for (int i = 0; i < f->rest.rank; i++) f->rest.dim[i] = x->type.dim[n + i];
    for (int i = (int)n - 1; i >= 0; i--) {
        stride[i] = rows;
        rows = cj_dim_mul(g, rows, x->type.dim[i]);
    }
    f->columns = cj__type_count(g, &f->rest);
    f->indices = 1;
    for (int i = 0; i < rank - 1; i++) f->indices = cj_dim_mul(g, f->indices, indices->type.dim[i]);
    cj_node *at = cj_cast(indices, CJ_I64), *sizes = vector_of(g, (int)n, x->type.dim);
    at = cj_where(cj_less(at, cj_scalar(g, CJ_I64, 0)), cj_add(at, sizes), at);
    cj_node *outside = cj_logical_or(cj_less(at, cj_scalar(g, CJ_I64, 0)),
                                     cj_greater_equal(at, sizes));
    at = cj_reduce_sum(cj_mul(at, vector_of(g, (int)n, stride)), 1, (int64_t[]){-1}, false);
    /* A number out of range is not one of another row's. */
    at = cj_where(cj_reduce_max(outside, 1, (int64_t[]){-1}, false), cj_dim_value(g, rows), at);
    f->at = cj_reshape(at, 1, &f->indices);
    f->x = cj_reshape(x, 2, (cj_dim[]){rows, f->columns});
    return f->at && f->x;
}

static void read_gather_nd(cj__onnx_reader *r, const cj__onnx_row *row)
{
    folded f;
    (void)row;
    int64_t batch = cj__onnx_get_int(r, "batch_dims", 0);
    if (r->failed || !fold(r, batch, &f)) return;
    const cj_type *indices = &cj__onnx_node_in(r, 1)->type;
    cj_dim dims[2 * CJ_RANK_MAX];
    int rank = 0;
    for (int i = 0; i < indices->rank - 1; i++) dims[rank++] = indices->dim[i];
    for (int i = 0; i < f.rest.rank; i++) dims[rank++] = f.rest.dim[i];
    cj__onnx_set(r, 0, cj_reshape(cj_gather(f.x, f.at, 0), rank, dims));
}

static void read_scatter_nd(cj__onnx_reader *r, const cj__onnx_row *row)
{
    folded f;
    cj_scatter_rule rule;
    (void)row;
    if (!reads_rule(r, &rule) || !fold(r, 0, &f)) return;
    cj_dim block[] = {f.indices, f.columns};
    const cj_type *x = &cj__onnx_node_in(r, 0)->type;
    cj_node *updates = cj_reshape(cj__onnx_node_in(r, 2), 2, block);
    cj_node *at = cj_broadcast_to(cj_reshape(f.at, 2, (cj_dim[]){f.indices, 1}), 2, block);
    cj__onnx_set(r, 0, cj_reshape(cj_scatter_along(f.x, at, updates, 0, rule), x->rank, x->dim));
}

/* ---- One-hot, top-k -------------------------------------------------------------------------- */

/* ONNX's OneHot wraps negative indices, which ours leaves out: a comparison with 0 .. depth-1 is
 * ours. */
static void write_one_hot(cj__onnx_writer *w, const cj__onnx_row *row)
{
    int64_t depth = cj__onnx_field_int(w->call, "depth"), last = -1;
    const char *indices = cj__onnx_in(w, 0);
    (void)row;
    if (w->call->in[0]->type.dtype != CJ_I64) indices = cj__onnx_cast(w, indices, CJ_I64);
    indices = cj__onnx_step(w, "Unsqueeze", indices, cj__onnx_ints(w, 1, &last), NULL);
    const char *classes = cj__onnx_step(w, "Range", cj__onnx_scalar(w, CJ_I64, 0),
                                        cj__onnx_scalar(w, CJ_I64, (double)depth),
                                        cj__onnx_scalar(w, CJ_I64, 1), NULL);
    cj__onnx_last(w, "Cast", cj__onnx_step(w, "Equal", indices, classes, NULL), NULL);
    cj__onnx_put_int(w, "to", cj_dtype_info(w->call->out[0].type.dtype)->onnx);
}

static void read_one_hot(cj__onnx_reader *r, const cj__onnx_row *row)
{
    double depth;
    cj_node *indices = cj__onnx_node_in(r, 0), *values = cj__onnx_node_in(r, 2);
    (void)row;
    if (!indices || !values || !cj__onnx_number_in(r, 1, "depth", &depth)) return;
    int axis = cj__onnx_get_axis(r, "axis", -1), rank = indices->type.rank + 1;
    if (!(depth >= 0 && depth < 1e9) || values->type.rank != 1 || values->type.dim[0] != 2) {
        cj__onnx_fail(r, CJ_ERR_DATA, "depth %g, and values that are no pair", depth);
        return;
    }
    if ((axis = cj__axis(indices, "OneHot", axis, rank)) < 0) return;
    cj_node *at = cj_cast(indices, CJ_I64), *n = cj_scalar(r->g, CJ_I64, depth);
    at = cj_where(cj_less(at, cj_scalar(r->g, CJ_I64, 0)), cj_add(at, n), at);
    cj_node *off = cj_reshape(cj_slice_axis(values, 0, 0, 1), 0, NULL),
            *on = cj_reshape(cj_slice_axis(values, 0, 1, 1), 0, NULL);
    cj_node *y = cj_where(cj_one_hot(at, (int64_t)depth, CJ_BOOL), on, off);
    int64_t p[CJ_RANK_MAX];
    for (int i = 0; i < rank; i++) p[i] = i < axis ? i : i == axis ? rank - 1 : i - 1;
    cj__onnx_set(r, 0, cj_transpose(y, p));
}

static void write_top_k(cj__onnx_writer *w, const cj__onnx_row *row)
{
    int64_t k = cj__onnx_field_int(w->call, "k");
    const char *x = cj__onnx_in(w, 0);
    cj__onnx_last(w, row->onnx, x, cj__onnx_ints(w, 1, &k), NULL);
    cj__onnx_put_int(w, "axis", axis_of(w));
    cj__onnx_put_int(w, "largest", !cj__onnx_field_bool(w->call, "smallest"));
}

static void read_top_k(cj__onnx_reader *r, const cj__onnx_row *row)
{
    int64_t k = cj__onnx_get_int(r, "k", 0);
    (void)row;
    if (r->opset >= 10 && cj__onnx_numbers_in(r, 1, "k", 1, &k) != 1) return;
    cj_node *y = cj_top_k(cj__onnx_node_in(r, 0), k, cj__onnx_get_axis(r, "axis", -1),
                          !cj__onnx_get_int(r, "largest", 1));
    if (!y) return;
    cj__onnx_set(r, 0, y);
    if (cj__onnx_wants(r, 1)) cj__onnx_set(r, 1, cj_node_output(y, 1));
}

const cj__onnx_row cj__onnx_rows_index[] = {
    {.onnx = "Gather", .op = &cj_op_gather, .write = write_indexed, .read = read_gather},
    {.onnx = "GatherElements",
     .op = &cj_op_gather_along,
     .write = write_indexed,
     .read = read_gather},
    {.op = &cj_op_scatter_add, .write = write_scatter_add},
    {.op = &cj_op_index_add, .write = write_scatter_add},
    {.onnx = "ScatterElements",
     .op = &cj_op_scatter_along,
     .write = write_scatter_along,
     .read = read_scatter_along},
    {.onnx = "Scatter", .read = read_scatter_along},
    {.onnx = "GatherND", .read = read_gather_nd},
    {.onnx = "ScatterND", .read = read_scatter_nd},
    {.onnx = "OneHot", .op = &cj_op_one_hot, .write = write_one_hot, .read = read_one_hot},
    {.onnx = "TopK", .op = &cj_op_top_k, .write = write_top_k, .read = read_top_k},
    {0},
};
