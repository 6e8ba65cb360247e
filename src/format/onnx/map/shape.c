/* shape.c: sources, and operators that change the shape and keep the elements.
 *
 * ONNX computes shapes as values; import_sizes.c has computed them already where they are known,
 * symbols included, so a target shape is read as a list of dimensions. */
#include <string.h>

#include "format/onnx/map.h"
#include "graph/ops/block.h"
#include "tensor/tensor.h"

/* ---- Sources --------------------------------------------------------------------------------- */

static void write_dim_value(cj__onnx_writer *w, const cj__onnx_row *row)
{
    (void)row;
    cj__onnx_last(w, "Identity", cj__onnx_dim_value(w, cj__onnx_field_ints(w->call, "dims").v[0]),
                  NULL);
}

/* Range along the axis, put in place by a reshape and repeated, as far as it need be. */
static void write_iota(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj_type *y = &w->call->out[0].type;
    int axis = (int)cj__onnx_field_int(w->call, "axis");
    int64_t shape[CJ_RANK_MAX];
    (void)row;
    bool repeated = false;
    for (int i = 0; i < y->rank; i++) {
        shape[i] = i != axis ? 1 : y->dim[i] > 0 ? y->dim[i] : -1;
        repeated = repeated || (i != axis && y->dim[i] != 1);
    }
    if (y->rank == 1 && y->dtype == CJ_I64) {
        cj__onnx_last(w, "Range", cj__onnx_scalar(w, CJ_I64, 0), cj__onnx_dim_value(w, y->dim[0]),
                      cj__onnx_scalar(w, CJ_I64, 1), NULL);
        return;
    }
    const char *x = cj__onnx_step(w, "Range", cj__onnx_scalar(w, CJ_I64, 0),
                                  cj__onnx_dim_value(w, y->dim[axis]),
                                  cj__onnx_scalar(w, CJ_I64, 1), NULL);
    if (y->dtype != CJ_I64) x = cj__onnx_cast(w, x, y->dtype);
    x = cj__onnx_step_or_last(w, repeated, "Reshape", x, cj__onnx_ints(w, y->rank, shape), NULL);
    if (repeated) cj__onnx_last(w, "Expand", x, cj__onnx_dims(w, y->rank, y->dim), NULL);
}

/* Range of integers whose length is known when importing, symbols included. */
static void read_range(cj__onnx_reader *r, const cj__onnx_row *row)
{
    double start, limit, delta;
    cj_node *first = cj__onnx_node_in(r, 0);
    (void)row;
    if (!first) return;
    const cj__onnx_sizes *a = cj__onnx_sizes_in(r, 0), *b = cj__onnx_sizes_in(r, 1),
                         *c = cj__onnx_sizes_in(r, 2);
    if (a && b && c && !a->at[0].symbolic && !c->at[0].symbolic && a->at[0].v == 0 &&
        c->at[0].v == 1 && (b->at[0].symbolic || b->at[0].v >= 0)) {
        cj__onnx_set(r, 0, cj_iota(r->g, first->type.dtype, 0, 1, &b->at[0].v));
        return;
    }
    if (!cj__onnx_number_in(r, 0, "start", &start) || !cj__onnx_number_in(r, 1, "limit", &limit) ||
        !cj__onnx_number_in(r, 2, "delta", &delta))
        return;
    double count = delta != 0 ? (limit - start) / delta : -1;
    int64_t n = count > 0 ? (int64_t)count + (count > (double)(int64_t)count) : 0;
    if (!(count < 1e9) || delta == 0) {
        cj__onnx_fail(r, CJ_ERR_DATA, "a range from %g to %g by %g has no end", start, limit,
                      delta);
        return;
    }
    cj_dtype dtype = first->type.dtype, wide = dtype == CJ_I64 ? CJ_I64 : CJ_F64;
    cj_node *y = cj_iota(r->g, wide, 0, 1, &n);
    y = cj_add(cj_mul(y, cj_scalar(r->g, wide, delta)), cj_scalar(r->g, wide, start));
    cj__onnx_set(r, 0, cj_cast(y, dtype));
}

static void read_constant_of_shape(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_dim dims[CJ_RANK_MAX];
    int n = cj__onnx_dims_in(r, 0, "shape", CJ_RANK_MAX, dims);
    const cj__onnx_attribute *value = cj__onnx_find_attribute(r->node, "value");
    (void)row;
    if (n < 0) return;
    cj_node *x = NULL;
    if (value && value->type == CJ__ONNX_ATTR_TENSOR) {
        cj_tensor *t;
        if ((t = cj__onnx_decode(r, value->as.t))) x = cj_constant(r->g, t);
        if (x && cj__type_count(r->g, &x->type) != 1) {
            cj__onnx_fail(r, CJ_ERR_DATA, "its value has more than one element");
            return;
        }
        x = cj_reshape(x, 0, NULL);
    } else {
        x = cj_scalar(r->g, CJ_F32, 0);
    }
    cj__onnx_set(r, 0, cj_broadcast_to(x, n, dims));
}

/* ---- Reshape --------------------------------------------------------------------------------- */

/* The one symbol is -1, unless a size of 0 stands beside it. */
static void write_reshape(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj_type *y = &w->call->out[0].type;
    int symbols = 0, zeros = 0;
    int64_t dims[CJ_RANK_MAX];
    (void)row;
    for (int i = 0; i < y->rank; i++) {
        symbols += y->dim[i] < 0;
        zeros += y->dim[i] == 0;
        dims[i] = y->dim[i] < 0 ? -1 : y->dim[i];
    }
    bool plain = symbols <= 1 && (!symbols || !zeros);
    const char *x = cj__onnx_in(w, 0);
    const char *shape = plain ? cj__onnx_ints(w, y->rank, dims) : cj__onnx_dims(w, y->rank, y->dim);
    cj__onnx_last(w, "Reshape", x, shape, NULL);
    if (zeros) cj__onnx_put_int(w, "allowzero", 1);
}

/* The attribute of opset 1. */
static const cj__onnx_sizes *listed_shape(cj__onnx_reader *r)
{
    int64_t dims[CJ_RANK_MAX];
    int n = cj__onnx_get_ints(r, "shape", CJ_RANK_MAX, dims);
    cj__onnx_sizes *sizes = n < 0 ? NULL : cj__onnx_new_sizes(r, 1, n, CJ_I64);
    for (int i = 0; sizes && i < n; i++) sizes->at[i].v = dims[i];
    return sizes;
}

/* A file's own batch at the front of a shape, where it has become a symbol: what is inferred, or,
 * when another size is, the symbol. */
static void open_batch(cj__onnx_reader *r, const cj_node *x, const cj__onnx_sizes *shape,
                       cj_dim *dims)
{
    bool open = false, inferred = false;
    for (int i = 0; i < x->type.rank; i++) open = open || x->type.dim[i] < 0;
    for (int i = 0; i < shape->n; i++) {
        if (shape->at[i].symbolic) return;
        inferred = inferred || dims[i] == CJ_INFER;
    }
    if (!open || !shape->n || shape->at[0].v < 1) return;
    if (!inferred) dims[0] = CJ_INFER;
    else if (shape->at[0].v == r->batch) dims[0] = cj_symbol(r->g, "batch");
}

static void read_reshape(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    const cj__onnx_sizes *shape = r->opset < 5 ? listed_shape(r) : cj__onnx_want_sizes(r, 1);
    bool zeros = cj__onnx_get_int(r, "allowzero", 0);
    cj_dim dims[CJ_RANK_MAX];
    (void)row;
    if (!x) return;
    if (!shape || shape->rank != 1 || shape->n > CJ_RANK_MAX) {
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED,
                      "the shape is not known before running, or of more than %d sizes",
                      CJ_RANK_MAX);
        return;
    }
    for (int i = 0; i < shape->n; i++) {
        int64_t v = shape->at[i].v;
        dims[i] = v;
        if (shape->at[i].symbolic) continue;
        if (v == 0 && !zeros) {
            if (i >= x->type.rank) {
                cj__onnx_fail(r, CJ_ERR_SHAPE, "size %d is to be copied from an operand of rank %d",
                              i, x->type.rank);
                return;
            }
            dims[i] = x->type.dim[i];
        } else if (v < 0) {
            dims[i] = CJ_INFER;
            if (v != -1) cj__onnx_fail(r, CJ_ERR_SHAPE, "size %d is %lld", i, (long long)v);
        }
    }
    if (r->batch && !r->failed) open_batch(r, x, shape, dims);
    cj_node *y = r->failed ? NULL : cj_reshape(x, shape->n, dims);
    if (y && cj__onnx_read_groups(r, x, &y->type)) return;
    /* A reshape back takes what was reshaped. */
    if (y && x->call->op == &cj_op_reshape && cj__type_equal(&x->call->in[0]->type, &y->type))
        y = x->call->in[0];
    cj__onnx_set(r, 0, y);
}

static void read_flatten(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    int64_t axis = cj__onnx_get_int(r, "axis", 1);
    (void)row;
    if (!x) return;
    if (axis < 0) axis += x->type.rank;
    if (axis < 0 || axis > x->type.rank) {
        cj__onnx_fail(r, CJ_ERR_ARGUMENT, "axis %lld is out of range for rank %d", (long long)axis,
                      x->type.rank);
        return;
    }
    cj_dim dims[2] = {1, 1};
    for (int i = 0; i < x->type.rank; i++)
        dims[i >= axis] = cj_dim_mul(r->g, dims[i >= axis], x->type.dim[i]);
    cj__onnx_set(r, 0, cj_reshape(x, 2, dims));
}

static void read_squeeze(cj__onnx_reader *r, const cj__onnx_row *row)
{
    int64_t axes[CJ_RANK_MAX];
    cj_node *x = cj__onnx_node_in(r, 0);
    int n = cj__onnx_axes(r, "axes", 1, CJ_RANK_MAX, axes), rank = 0;
    bool gone[CJ_RANK_MAX] = {false};
    cj_dim dims[CJ_RANK_MAX];
    (void)row;
    if (!x || r->failed) return;
    for (int i = 0; i < n; i++) {
        int axis = cj__axis(x, "Squeeze", axes[i], x->type.rank);
        if (axis < 0) return;
        if (!cj__dim_agree(r->g, NULL, x->type.dim[axis], 1))
            cj__onnx_fail(r, CJ_ERR_SHAPE, "axis %d has size %s, expected 1", axis,
                          cj_dim_text(r->g, x->type.dim[axis]));
        gone[axis] = true;
    }
    for (int i = 0; i < x->type.rank; i++)
        if (n < 0 ? x->type.dim[i] != 1 : !gone[i]) dims[rank++] = x->type.dim[i];
    cj__onnx_set(r, 0, r->failed ? NULL : cj_reshape(x, rank, dims));
}

static void read_unsqueeze(cj__onnx_reader *r, const cj__onnx_row *row)
{
    int64_t axes[CJ_RANK_MAX];
    cj_node *x = cj__onnx_node_in(r, 0);
    int n = cj__onnx_axes(r, "axes", 1, CJ_RANK_MAX, axes);
    cj_dim dims[CJ_RANK_MAX];
    bool added[CJ_RANK_MAX] = {false};
    (void)row;
    if (!x || r->failed) return;
    int rank = x->type.rank + n;
    if (n < 0 || rank > CJ_RANK_MAX) {
        cj__onnx_fail(r, n < 0 ? CJ_ERR_DATA : CJ_ERR_UNSUPPORTED,
                      n < 0 ? "it has no axes" : "the result has more axes than Cajal has");
        return;
    }
    for (int i = 0; i < n; i++) {
        int axis = cj__axis(x, "Unsqueeze", axes[i], rank);
        if (axis < 0) return;
        if (added[axis]) cj__onnx_fail(r, CJ_ERR_DATA, "axis %d is named twice", axis);
        added[axis] = true;
    }
    for (int i = 0, k = 0; i < rank && !r->failed; i++) dims[i] = added[i] ? 1 : x->type.dim[k++];
    cj__onnx_set(r, 0, r->failed ? NULL : cj_reshape(x, rank, dims));
}

/* ---- Transpose, Expand, Tile ----------------------------------------------------------------- */

static void write_transpose(cj__onnx_writer *w, const cj__onnx_row *row)
{
    cj_ints p = ((const cj__permutation_attrs *)w->call->attributes)->permutation;
    cj__onnx_last(w, p.n ? row->onnx : "Identity", cj__onnx_in(w, 0), NULL);
    if (p.n) cj__onnx_put_ints(w, "perm", p.n, p.v);
}

cj_node *cj__onnx_turned(cj_node *x, const int64_t *p)
{
    if (!p || x->call->op != &cj_op_transpose) return cj_transpose(x, p);
    const cj_ints *inner = &((const cj__permutation_attrs *)x->call->attributes)->permutation;
    for (int i = 0; i < x->type.rank; i++)
        if (p[i] < 0 || p[i] >= inner->n || inner->v[p[i]] != i) return cj_transpose(x, p);
    return x->call->in[0];
}

cj_node *cj__onnx_permuted(cj__onnx_reader *r, cj_node *x, int n, const int64_t *p)
{
    if (!x || x->type.rank == n) return x ? cj__onnx_turned(x, p) : NULL;
    cj__onnx_fail(r, CJ_ERR_SHAPE, "an operand of rank %d, expected %d", x->type.rank, n);
    return NULL;
}

static void read_transpose(cj__onnx_reader *r, const cj__onnx_row *row)
{
    int64_t p[CJ_RANK_MAX];
    cj_node *x = cj__onnx_node_in(r, 0);
    int n = cj__onnx_get_ints(r, "perm", CJ_RANK_MAX, p);
    (void)row;
    if (!x || r->failed) return;
    if (n >= 0 && n != x->type.rank)
        cj__onnx_fail(r, CJ_ERR_DATA, "perm has %d axes, its operand has %d", n, x->type.rank);
    else cj__onnx_set(r, 0, cj__onnx_turned(x, n < 0 ? NULL : p));
}

/* An axis that keeps its size is 1 in the target, so that no symbol need be computed. */
static void write_broadcast(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj_type *x = &w->call->in[0]->type, *y = &w->call->out[0].type;
    cj_dim dims[CJ_RANK_MAX];
    (void)row;
    for (int i = 0; i < y->rank; i++) {
        int from = i - (y->rank - x->rank);
        dims[i] = from >= 0 && y->dim[i] == x->dim[from] ? 1 : y->dim[i];
    }
    const char *value = cj__onnx_in(w, 0);
    cj__onnx_last(w, "Expand", value, cj__onnx_dims(w, y->rank, dims), NULL);
}

static void read_expand(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_dim dims[CJ_RANK_MAX], to[CJ_RANK_MAX];
    cj_node *x = cj__onnx_node_in(r, 0);
    int n = cj__onnx_dims_in(r, 1, "shape", CJ_RANK_MAX, dims);
    (void)row;
    if (!x || n < 0) return;
    int rank = n > x->type.rank ? n : x->type.rank;
    for (int i = 1; i <= rank; i++) {
        cj_dim wanted = i <= n ? dims[n - i] : 1,
               own = i <= x->type.rank ? x->type.dim[x->type.rank - i] : 1;
        to[rank - i] = wanted == 1 ? own : wanted;
    }
    cj__onnx_set(r, 0, cj_broadcast_to(x, rank, to));
}

/* Axis n of the operand becomes [repeats, n], which are then one. */
static void read_tile(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_dim repeats[CJ_RANK_MAX], dims[CJ_RANK_MAX];
    cj_node *x = cj__onnx_node_in(r, 0);
    int n;
    (void)row;
    if (!x) return;
    if (r->opset < 6) { /* operands `tiles` and `axis` */
        double tiles, axis; /* of x's dtype */
        if (!cj__onnx_number_in(r, 1, "tiles", &tiles) || !cj__onnx_number_in(r, 2, "axis", &axis))
            return;
        n = x->type.rank;
        if (!(tiles >= 0 && tiles < 1e9 && axis >= 0 && axis < n)) {
            cj__onnx_fail(r, CJ_ERR_DATA, "%g tiles along axis %g of %d", tiles, axis, n);
            return;
        }
        for (int i = 0; i < n; i++) repeats[i] = i == (int)axis ? (cj_dim)tiles : 1;
    } else {
        n = cj__onnx_dims_in(r, 1, "repeats", CJ_RANK_MAX, repeats);
    }
    if (n < 0) return;
    if (n != x->type.rank) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "%d repeats for rank %d", n, x->type.rank);
        return;
    }
    int rank = x->type.rank;
    for (int i = 0; x && i < rank; i++) {
        if (repeats[i] == 1) continue;
        cj_dim before = 1, after = 1, own = x->type.dim[i];
        for (int k = 0; k < i; k++) before = cj_dim_mul(r->g, before, x->type.dim[k]);
        for (int k = i + 1; k < rank; k++) after = cj_dim_mul(r->g, after, x->type.dim[k]);
        memcpy(dims, x->type.dim, sizeof(dims));
        dims[i] = cj_dim_mul(r->g, own, repeats[i]);
        cj_dim inner = cj_dim_mul(r->g, own, after);
        cj_node *y = cj_reshape(x, 3, (cj_dim[]){before, 1, inner});
        x = cj_reshape(cj_broadcast_to(y, 3, (cj_dim[]){before, repeats[i], inner}), rank, dims);
    }
    cj__onnx_set(r, 0, x);
}

const cj__onnx_row cj__onnx_rows_shape[] = {
    {.op = &cj_op_dim_value, .write = write_dim_value},
    {.onnx = "Range", .op = &cj_op_iota, .write = write_iota, .read = read_range},
    {.onnx = "ConstantOfShape", .read = read_constant_of_shape},
    {.onnx = "Reshape", .op = &cj_op_reshape, .write = write_reshape, .read = read_reshape},
    {.onnx = "Flatten", .read = read_flatten},
    {.onnx = "Squeeze", .read = read_squeeze},
    {.onnx = "Unsqueeze", .read = read_unsqueeze},
    {.onnx = "Transpose", .op = &cj_op_transpose, .write = write_transpose, .read = read_transpose},
    {.onnx = "Expand", .op = &cj_op_broadcast, .write = write_broadcast, .read = read_expand},
    {.onnx = "Tile", .read = read_tile},
    {0},
};
