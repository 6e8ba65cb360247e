/* rotary.c: positions: sines that are added, rotations that are applied, rows that are looked up.
 *
 * rotary_embedding turns pairs (a, b) of the numbers of a row by an angle that grows with the row's
 * position, each pair at a speed of its own (Su et al. 2021):
 *
 *     a' = a cos - b sin      half:        pairs (x[i], x[i + r/2]), as LLaMA and GPT-NeoX have it
 *     b' = a sin + b cos      interleaved: pairs (x[2i], x[2i + 1]), as the paper has it
 *
 * Only the first r numbers turn, the others pass. cos and sin have x's rank, sizes of x or 1, and
 * r/2 last. A rotation's transpose is the rotation back, which is the gradient. */
#include "graph/ops/norm.h"

#include "graph/ops/block.h"

#include <cajal/norm.h>

#include <math.h>
#include <string.h>

/* ---- The operator ---------------------------------------------------------------------------- */

typedef struct rotary_attrs {
    int64_t dim;
    bool interleaved;
} rotary_attrs;

static cj_status rotary_infer(cj_infer *infer)
{
    rotary_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    cj_dtype wide = cj__wide(x->dtype);
    if (!cj__is_float(x->dtype))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "x is %s, a float is expected",
                             cj_dtype_info(x->dtype)->name);
    if (x->rank < 1) return cj_infer_fail(infer, CJ_ERR_SHAPE, "x is a scalar");
    cj_dim last = x->dim[x->rank - 1];
    if (a->dim == 0 && last > 0) a->dim = last;
    if (last < 0 || a->dim % 2 || a->dim > last)
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "dim=%lld of rows of %s numbers; an even number of them can turn",
                             (long long)a->dim, cj_dim_text(infer->graph, last));
    for (int k = 1; k < 3; k++) {
        const cj_type *c = &infer->call->in[k]->type;
        bool fits = c->dtype == wide && c->rank == x->rank && c->dim[x->rank - 1] == a->dim / 2;
        for (int i = 0; fits && i < x->rank - 1; i++)
            fits = c->dim[i] == 1 || cj_infer_equal(infer, c->dim[i], x->dim[i]);
        if (!fits)
            return cj_infer_fail(infer, CJ_ERR_SHAPE,
                                 "%s is not %s of x's rank, with x's sizes or 1, and %lld last",
                                 k == 1 ? "cos" : "sin", cj_dtype_info(wide)->name,
                                 (long long)(a->dim / 2));
    }
    infer->out[0] = *x;
    return CJ_OK;
}

/* The a and the b of each pair: [..., r/2]. */
static void take_pairs(const rotary_attrs *r, cj_node *x, cj_node **a, cj_node **b)
{
    int rank = x->type.rank;
    int64_t half = r->dim / 2;
    if (!r->interleaved) {
        *a = cj_slice_axis(x, rank - 1, 0, half);
        *b = cj_slice_axis(x, rank - 1, half, half);
        return;
    }
    int64_t begin[CJ_RANK_MAX] = {0}, step[CJ_RANK_MAX];
    cj_dim size[CJ_RANK_MAX];
    for (int i = 0; i < rank; i++) size[i] = x->type.dim[i], step[i] = 1;
    size[rank - 1] = half;
    step[rank - 1] = 2;
    *a = cj_slice(x, begin, size, step);
    begin[rank - 1] = 1;
    *b = cj_slice(x, begin, size, step);
}

/* The reverse; what does not turn follows. */
static cj_node *put_pairs(const rotary_attrs *r, cj_node *x, cj_node *a, cj_node *b)
{
    int rank = x->type.rank, n = 2;
    cj_dim last = x->type.dim[rank - 1], dims[CJ_RANK_MAX];
    cj_node *parts[3] = {a, b, NULL};
    if (!a || !b) return NULL;
    if (r->interleaved) {
        for (int i = 0; i < rank; i++) dims[i] = x->type.dim[i];
        dims[rank - 1] = r->dim;
        if (rank == CJ_RANK_MAX) /* a pair has no axis of its own: one axis less before it */
            return cj__graph_fail(x->call->graph, "rotary_embedding", CJ_ERR_SHAPE,
                                  "interleaved pairs of rank %d; at most %d", rank, rank - 1),
                   NULL;
        parts[0] = cj_reshape(cj_stack(parts, 2, rank), rank, dims);
        n = 1;
    }
    if (last > r->dim) parts[n++] = cj_slice_axis(x, rank - 1, r->dim, last - r->dim);
    return n == 1 ? parts[0] : cj_concat(parts, n, rank - 1);
}

static bool rotary_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    const rotary_attrs *r = call->attributes;
    cj_node *x = cj_cast(call->in[0], cj__wide(call->in[0]->type.dtype)), *a, *b;
    cj_node *cosine = call->in[1], *sine = call->in[2];
    (void)g;
    if (!x) return false;
    take_pairs(r, x, &a, &b);
    cj_node *turned_a = cj_sub(cj_mul(a, cosine), cj_mul(b, sine));
    cj_node *turned_b = cj_add(cj_mul(a, sine), cj_mul(b, cosine));
    out[0] = cj_cast(put_pairs(r, x, turned_a, turned_b), call->in[0]->type.dtype);
    return out[0] != NULL;
}

/* Back by the same angle; d cos = da a + db b, d sin = db a - da b. */
static void rotary_grad(cj_graph *g, cj_call *call, cj_node *const *dys, cj_node **dx)
{
    const rotary_attrs *r = call->attributes;
    cj_dtype wide = cj__wide(call->in[0]->type.dtype);
    cj_node *x = cj_cast(call->in[0], wide), *dy = cj_cast(dys[0], wide), *a, *b, *da, *db;
    if (!x || !dy) return;
    dx[0] = cj_apply(g, &cj_op_rotary_embedding,
                     (cj_node *[]){dys[0], call->in[1], cj_neg(call->in[2])}, 3, r);
    take_pairs(r, x, &a, &b);
    take_pairs(r, dy, &da, &db);
    dx[1] = cj__sum_to(cj_add(cj_mul(da, a), cj_mul(db, b)), &call->in[1]->type);
    dx[2] = cj__sum_to(cj_sub(cj_mul(db, a), cj_mul(da, b)), &call->in[2]->type);
}

static cj_node *rotary_sample(cj_sampler *s, int i)
{
    static const int64_t shapes[6][4] = {{2, 3, 2, 8}, {1, 5, 1, 4}, {2, 1, 3, 2},
                                         {1, 1, 1, 6}, {3, 0, 2, 4}, {2, 4, 1, 33}};
    if (i >= 24) return NULL;
    const int64_t *dims = shapes[i % 6];
    rotary_attrs a = {.dim = i % 4 == 3 || dims[3] % 2 ? 2 : dims[3], .interleaved = i >= 12};
    int64_t table[4] = {i % 2 ? dims[0] : 1, dims[1], 1, a.dim / 2};
    cj_node *in[3] = {cj_sample_real(s, -2, 2, 4, dims), NULL, NULL};
    cj_dtype wide = in[0] ? cj__wide(in[0]->type.dtype) : CJ_F32;
    in[1] = cj_cast(cj_sample_real(s, -1, 1, 4, table), wide);
    in[2] = cj_cast(cj_sample_real(s, -1, 1, 4, table), wide);
    return cj_apply(cj_sampler_graph(s), &cj_op_rotary_embedding, in, 3, &a);
}

static const cj_option rotary_options[] = {
    CJ_OPTION_INT(rotary_attrs, dim, 0, 0, 0x1p31, "numbers of a row that turn; 0: all"),
    CJ_OPTION_BOOL(rotary_attrs, interleaved, false,
                   "pairs are neighbours, not half of those numbers apart"),
    CJ_OPTION_END};

const cj_op cj_op_rotary_embedding = {
    .name = "rotary_embedding",
    .doc = "pairs of a row turned: a' = a cos - b sin, b' = a sin + b cos",
    .inputs = 3,
    .attributes_size = sizeof(rotary_attrs),
    .attributes = rotary_options,
    .infer = rotary_infer,
    .grad = rotary_grad,
    .lower = rotary_lower,
    .sample = CJ__SAMPLE(rotary_sample),
};

cj_node *cj_rotary_apply(cj_node *x, cj_node *cosine, cj_node *sine, int64_t dim, bool interleaved)
{
    if (!x || !cosine || !sine || cj__is_zero(x) || cj__is_zero(cosine) || cj__is_zero(sine))
        return NULL;
    cj_dtype wide = cj__wide(x->type.dtype);
    cj_node *in[] = {x, cj_cast(cosine, wide), cj_cast(sine, wide)};
    return cj_apply(cj_node_graph(x), &cj_op_rotary_embedding, in, 3,
                    &(rotary_attrs){dim, interleaved});
}

/* ---- Angles ---------------------------------------------------------------------------------- */

/* positions [...] -> [..., n]: position base^(-i / n), in double: a position of some thousands
 * leaves f32 few digits of an angle. */
static cj_node *angles(cj_node *positions, int64_t n, double base)
{
    if (!positions) return NULL;
    cj_graph *g = cj_node_graph(positions);
    cj_node *place = cj_iota(g, CJ_F64, 0, 1, &n);
    cj_node *speed = cj_exp(cj_scale(place, -log(base) / (double)(n ? n : 1)));
    return cj_mul(cj_expand_dims(cj_cast(positions, CJ_F64), -1), speed);
}

static bool check_base(cj_graph *g, const char *what, double base)
{
    if (base > 1 && base < 1e300) return true;
    return cj__graph_fail(g, what, CJ_ERR_ARGUMENT, "base=%g is not above 1", base), false;
}

cj_node *cj_rotary_embedding(cj_node *x, const cj_rotary_embedding_opts *opts)
{
    cj_rotary_embedding_opts o = {0};
    if (!x || cj__is_zero(x)) return NULL;
    cj_graph *g = cj_node_graph(x);
    if (!cj__graph_opts(g, "rotary_embedding", &o, sizeof o, opts)) return NULL;
    int rank = x->type.rank, axis = cj__axis(x, "rotary_embedding", o.axis ? o.axis : 1, rank);
    double base = o.base != 0 ? o.base : 10000;
    if (axis < 0 || !check_base(g, "rotary_embedding", base)) return NULL;
    cj_dim width = x->type.dim[rank - 1], n = o.dim ? o.dim : width;
    if (axis == rank - 1 || n < 0)
        return cj__graph_fail(g, "rotary_embedding", CJ_ERR_SHAPE,
                              "x of rank %d with positions along axis %d and %s numbers a row; "
                              "[..., positions, ..., number] is expected",
                              rank, axis, cj_dim_text(g, n)),
               NULL;
    cj_node *positions = o.positions ? o.positions
                                     : cj_iota(g, CJ_I64, 0, 1, &x->type.dim[axis]);
    if (!positions || cj__is_zero(positions)) return NULL;
    bool each = positions->type.rank == 2;
    if (positions->type.rank != 1 && (!each || axis == 0))
        return cj__graph_fail(g, "rotary_embedding", CJ_ERR_SHAPE,
                              "positions of rank %d; [positions] or [batch, positions] is expected",
                              positions->type.rank),
               NULL;
    cj_dim dims[CJ_RANK_MAX];
    for (int i = 0; i < rank; i++) dims[i] = 1;
    if (each) dims[0] = positions->type.dim[0];
    dims[axis] = positions->type.dim[each];
    dims[rank - 1] = n / 2;
    cj_node *angle = cj_reshape(angles(positions, n / 2, base), rank, dims);
    return cj_rotary_apply(x, cj_cos(angle), cj_sin(angle), n, o.interleaved);
}

cj_node *cj_sinusoidal_positions(cj_graph *g, cj_dtype dtype, cj_dim length, int64_t width,
                                 double base)
{
    if (!g || g->failed || !check_base(g, "sinusoidal_positions", base != 0 ? base : 10000))
        return NULL;
    if (width < 2 || width % 2)
        return cj__graph_fail(g, "sinusoidal_positions", CJ_ERR_ARGUMENT,
                              "width=%lld is not even: it holds a sine and a cosine each",
                              (long long)width),
               NULL;
    cj_node *angle = angles(cj_iota(g, CJ_I64, 0, 1, &length), width / 2, base != 0 ? base : 10000);
    cj_node *parts[] = {cj_sin(angle), cj_cos(angle)};
    if (!parts[0] || !parts[1]) return NULL;
    cj_node *y = cj_reshape(cj_stack(parts, 2, 2), 2, (cj_dim[]){length, width});
    return cj_cast(y, dtype);
}

/* ---- Lookup ---------------------------------------------------------------------------------- */

/* The rows of padding are zero in the result and, because `where` passes nothing there, get no
 * gradient. */
cj_node *cj_embedding_lookup(cj_node *table, cj_node *indices,
                             const cj_embedding_lookup_opts *opts)
{
    if (!table || !indices || cj__is_zero(table) || cj__is_zero(indices)) return NULL;
    cj_graph *g = cj_node_graph(table);
    if (table->type.rank != 2)
        return cj__graph_fail(g, "embedding_lookup", CJ_ERR_SHAPE,
                              "the table has rank %d, expected [rows, numbers]", table->type.rank),
               NULL;
    indices = cj__as_indices(indices);
    cj_node *rows = (cj_gather)(table, indices, 0);
    if (!rows || !opts || !opts->has_padding) return rows;
    cj_node *padding = cj_scalar(g, indices->type.dtype, (double)opts->padding_index);
    return cj_where(cj_expand_dims(cj_equal(indices, padding), -1), cj_zero, rows);
}
