/* simplify.c: what the call says more simply. Each rule is one function; they never change a result
 * by a bit, but for the sign of zero (x + 0) as compilers with strict floats would not: so x + 0 is
 * left alone unless the zero comes from a gradient's sentinel, which builders drop already. */
#include "graph/ops/recurrent.h"
#include "graph/pass/pass.h"

#include <string.h>

static cj_node *constant_bool(cj_graph *g, bool value) { return cj_scalar(g, CJ_BOOL, value); }

static bool same_shape(const cj_node *a, const cj_type *type)
{
    if (a->type.rank != type->rank) return false;
    for (int i = 0; i < type->rank; i++)
        if (a->type.dim[i] != type->dim[i]) return false;
    return true;
}

static bool is_single(const cj_node *x)
{
    for (int i = 0; i < x->type.rank; i++)
        if (x->type.dim[i] != 1) return false;
    return true;
}

/* Views of views; and what changes nothing. */
static cj_node *simplify_view(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    cj_node *x = in[0];
    if (call->op == &cj_op_identity || call->op == &cj_op_stop_gradient) return x;
    cj_type wanted = call->out[0].type;
    for (int i = 0; i < wanted.rank; i++)
        wanted.dim[i] = cj__dim_translate(r->from, r->to, NULL, wanted.dim[i]);
    if (call->op == &cj_op_reshape) {
        while (x->call->op == &cj_op_reshape) x = x->call->in[0];
        if (same_shape(x, &wanted)) return x;
        if (x->call->op == &cj_op_broadcast && is_single(x->call->in[0]))
            return cj_broadcast_to(cj_reshape(x->call->in[0], 0, NULL), wanted.rank, wanted.dim);
        return x == in[0] ? NULL : cj_reshape(x, wanted.rank, wanted.dim);
    }
    if (call->op == &cj_op_broadcast && same_shape(x, &wanted)) return x;
    return NULL;
}

/* transpose(transpose(x)), and transposes that move nothing. */
static cj_node *simplify_transpose(const cj_call *call, cj_node *const *in)
{
    const cj__permutation_attrs *a = call->attributes;
    cj_node *x = in[0];
    int64_t p[CJ_RANK_MAX];
    bool composed = x->call->op == &cj_op_transpose, still = true;
    for (int i = 0; i < a->permutation.n; i++) {
        p[i] = a->permutation.v[i];
        if (composed)
            p[i] = ((const cj__permutation_attrs *)x->call->attributes)->permutation.v[p[i]];
        still = still && p[i] == i;
    }
    if (composed) x = x->call->in[0];
    return still ? x : composed ? cj_transpose(x, p) : NULL;
}

/* Does the transpose swap the last two axes and nothing else? */
static bool swaps_last(const cj_node *node)
{
    if (node->call->op != &cj_op_transpose) return false;
    const cj_ints *p = &((const cj__permutation_attrs *)node->call->attributes)->permutation;
    for (int i = 0; i < p->n - 2; i++)
        if (p->v[i] != i) return false;
    return p->n >= 2 && p->v[p->n - 2] == p->n - 1;
}

static cj_node *simplify_matmul(const cj_call *call, cj_node *const *in)
{
    const cj__matmul_attrs *a = call->attributes;
    bool swap_a = swaps_last(in[0]), swap_b = swaps_last(in[1]);
    if (!swap_a && !swap_b) return NULL;
    if (a->has_bias || a->has_addend || a->activation) return NULL;
    return cj_matmul_transposed(swap_a ? in[0]->call->in[0] : in[0],
                                swap_b ? in[1]->call->in[0] : in[1], a->transpose_a != swap_a,
                                a->transpose_b != swap_b);
}

/* Where a gradient is taken of a recurrent call, its rule applied the same call again with `save`
 * (see ops/recurrent.c): one call serves both, made where the first of them stands. */
static cj_node *meet_twin(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    cj__recurrent_attrs a = *(const cj__recurrent_attrs *)call->attributes;
    const bool saves = a.save;
    a.save = !saves;
    for (int id = 0; id < r->from->n_calls; id++) {
        const cj_call *twin = r->from->calls[id];
        if (twin->op != call->op || twin->n_in != call->n_in ||
            memcmp(twin->in, call->in, (size_t)call->n_in * sizeof *call->in) ||
            !cj__options_equal(call->op->attributes, &a, twin->attributes))
            continue;
        a.save = true;
        if (!saves && id > call->id) return cj_apply(r->to, call->op, in, call->n_in, &a);
        if (!saves || id > call->id || !r->map[id]) continue;
        cj_node *made = r->map[id][0];
        if (made->call->op == call->op && made->call->n_out == call->n_out) return made;
    }
    return NULL;
}

cj_node *cj__pass_mode(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    double v;
    if (call->op == &cj_op_training) return constant_bool(r->to, r->training);
    /* Dropout outside training is nothing. */
    if (call->op == &cj_op_dropout && cj__is_constant(in[2], &v) && v == 0) return in[0];
    bool whole = call->op->flags & CJ_OP_KERNEL && call->out[0].type.dtype == CJ_F32;
    if (!call->op->lower || call->op->ref || whole || call->op == &cj_op_fused) return NULL;
    /* Types and symbols must be those of the new graph: the copy is lowered, and is dead
     * afterwards. */
    cj_node *copy = cj__call_clone(r->to, call, in);
    r->made = cj__arena_array(&r->scratch, (size_t)call->n_out, sizeof *r->made);
    return copy && r->made && call->op->lower(r->to, copy->call, r->made) ? r->made[0] : NULL;
}

/* gelu and its like have a kernel of their own that computes in double; what they are made of has
 * vector kernels for f32, which a group runs in cache. Elsewhere that would only round more often.
 */
static cj_node *lower_elementwise(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    cj_node *copy = cj__call_clone(r->to, call, in), *out[1] = {NULL};
    return copy && call->op->lower(r->to, copy->call, out) ? out[0] : NULL;
}

/* cast(cast(x)) is x where the dtype between holds all there is in x's. */
static cj_node *simplify_cast(const cj_call *call, cj_node *const *in)
{
    const cj_call *inner = in[0]->call;
    if (inner->op != &cj_op_cast) return NULL;
    cj_dtype between = in[0]->type.dtype, x = inner->in[0]->type.dtype;
    bool is_half = x == CJ_F16 || x == CJ_BF16;
    bool holds = between == CJ_F64 ? is_half || x == CJ_F32 : between == CJ_F32 && is_half;
    return holds && x == call->out[0].type.dtype ? inner->in[0] : NULL;
}

cj_node *cj__pass_simplify(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    double v;
    cj_node *pooled = cj__pass_pool(r, call, in);
    if (pooled) return pooled;
    if (call->op->flags & CJ_OP_VIEW || call->op == &cj_op_broadcast)
        return simplify_view(r, call, in);
    if (call->op == &cj_op_cast) return simplify_cast(call, in);
    if (call->op == &cj_op_transpose) return simplify_transpose(call, in);
    if (call->op == &cj_op_matmul) return simplify_matmul(call, in);
    if (call->op == &cj_op_lstm || call->op == &cj_op_gru) return meet_twin(r, call, in);
    if (call->op == &cj_op_where && cj__is_constant(in[0], &v)) return v != 0 ? in[1] : in[2];
    if (call->op == &cj_op_mul && cj__is_constant(in[0], &v) && v == 1) return in[1];
    if ((call->op == &cj_op_mul || call->op == &cj_op_div) && cj__is_constant(in[1], &v) && v == 1)
        return in[0];
    if (call->op->flags & CJ_OP_ELEMENTWISE && call->op->lower && call->n_out == 1 &&
        call->out[0].type.dtype == CJ_F32)
        return lower_elementwise(r, call, in);
    return cj__pass_mode(r, call, in);
}
