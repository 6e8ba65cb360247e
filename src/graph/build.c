/* build.c: what builders share: the dtype and the shape in which operands meet, and its reverse.
 *
 * Builders promote and broadcast; operators are strict. Because the broadcast is a call of its own,
 * no gradient rule ever has to undo one: the gradient of `broadcast` does, in one place. */
#include "graph/graph.h"

#include "tensor/low.h"

cj_dtype cj__promote(cj_dtype a, cj_dtype b)
{
    if (a == b) return a;
    const cj_dtype_row *x = cj_dtype_info(a), *y = cj_dtype_info(b);
    if (cj__is_low(a)) return b;
    if (cj__is_low(b)) return a;
    if (x->kind == CJ_KIND_BOOL) return b;
    if (y->kind == CJ_KIND_BOOL) return a;
    if (x->kind == CJ_KIND_FLOAT || y->kind == CJ_KIND_FLOAT) {
        if (x->kind != y->kind) return x->kind == CJ_KIND_FLOAT ? a : b;
        if (x->bits == y->bits) return CJ_F32; /* f16 with bf16 */
        return x->bits > y->bits ? a : b;
    }
    if (x->kind == y->kind) return x->bits > y->bits ? a : b;
    int is_signed = x->kind == CJ_KIND_SIGNED ? x->bits : y->bits;
    int is_unsigned = x->kind == CJ_KIND_SIGNED ? y->bits : x->bits;
    if (is_signed > is_unsigned) return x->kind == CJ_KIND_SIGNED ? a : b;
    return is_unsigned == 8 ? CJ_I16 : is_unsigned == 16 ? CJ_I32 : CJ_I64;
}

/* The dimension two meet in; false when they cannot. A symbol meets a number other than 1 only if
 * it turns out to be that number. */
static bool meet_dim(cj_graph *g, cj_dim a, cj_dim b, cj_dim *out)
{
    *out = a == 1 ? b : a;
    if (a == 1 || b == 1 || a == b) return true;
    *out = a >= 0 ? a : b >= 0 ? b : a;
    return cj__dim_agree(g, NULL, a, b);
}

static bool meet_shapes(cj_graph *g, const char *op, cj_node *const *nodes, int n, cj_type *shape)
{
    *shape = (cj_type){0};
    for (int i = 0; i < n; i++) {
        const cj_type *type = &nodes[i]->type;
        int rank = type->rank > shape->rank ? type->rank : shape->rank;
        cj_dim met[CJ_RANK_MAX];
        for (int k = 1; k <= rank; k++) {
            cj_dim a = k <= shape->rank ? shape->dim[shape->rank - k] : 1;
            cj_dim b = k <= type->rank ? type->dim[type->rank - k] : 1;
            if (meet_dim(g, a, b, &met[rank - k])) continue;
            cj__text text;
            cj__text_init(&text, g->cj);
            for (int j = 0; j < n; j++) {
                if (j) cj__text_add(&text, " and ");
                cj__type_text(&text, g, &nodes[j]->type);
            }
            cj__graph_fail(g, op, CJ_ERR_SHAPE, "the shapes of %s do not broadcast",
                           cj__text_string(&text));
            cj__text_release(&text);
            return false;
        }
        shape->rank = rank;
        for (int k = 0; k < rank; k++) shape->dim[k] = met[k];
    }
    return true;
}

bool cj__meet(cj_graph *g, const char *op, cj_node **nodes, int n, bool same_dtype)
{
    if (!g || g->failed) return false;
    for (int i = 0; i < n; i++) {
        if (!nodes[i]) return false;
        if (cj__is_zero(nodes[i]))
            return cj__graph_fail(g, op, CJ_ERR_ARGUMENT,
                                  "operand %d is cj_zero, which has no shape", i),
                   false;
        if (nodes[i]->call->graph != g)
            return cj__graph_fail(g, op, CJ_ERR_ARGUMENT, "operand %d belongs to another graph", i),
                   false;
    }
    cj_type shape;
    if (!meet_shapes(g, op, nodes, n, &shape)) return false;
    cj_dtype dtype = nodes[0]->type.dtype;
    for (int i = 1; same_dtype && i < n; i++) dtype = cj__promote(dtype, nodes[i]->type.dtype);
    for (int i = 0; i < n; i++) {
        if (same_dtype) nodes[i] = cj_cast(nodes[i], dtype);
        nodes[i] = cj_broadcast_to(nodes[i], shape.rank, shape.dim);
        if (!nodes[i]) return false;
    }
    return true;
}

int cj__axis(cj_node *x, const char *op, int64_t axis, int rank)
{
    if (axis >= -rank && axis < rank) return (int)(axis < 0 ? axis + rank : axis);
    cj__graph_fail(x->call->graph, op, CJ_ERR_ARGUMENT, "axis %lld is out of range for rank %d",
                   (long long)axis, rank);
    return -1;
}

cj_node *cj__sum_to(cj_node *dy, const cj_type *type)
{
    if (!dy || cj__is_zero(dy)) return dy;
    int64_t axes[CJ_RANK_MAX];
    int n = 0, extra = dy->type.rank - type->rank;
    for (int i = 0; i < dy->type.rank; i++)
        if (i < extra || (type->dim[i - extra] == 1 && dy->type.dim[i] != 1)) axes[n++] = i;
    if (n) dy = cj_reduce_sum(dy, n, axes, true);
    return dy ? cj_reshape(dy, type->rank, type->dim) : NULL;
}

cj_node *cj_zero_as(cj_node *node, cj_node *like)
{
    return node && cj__is_zero(node) && like && !cj__is_zero(like) ? cj_full_like(like, 0) : node;
}

cj_node *cj_full_like(cj_node *like, double value)
{
    if (!like || cj__is_zero(like)) return NULL;
    return cj_broadcast_to(cj_scalar(like->call->graph, like->type.dtype, value), like->type.rank,
                           like->type.dim);
}
