/* pool.c: relu and max pooling trade places, so that what is done element by element is done to the
 * pooled image, which is smaller by the size of a window.
 *
 *     max_pool(relu(x))                        =  relu(max_pool(x))
 *     where(x > 0, pool_spread(dy, i), 0)      =  pool_spread(where(m > 0, dy, 0), i)
 *     sum of pool_spread(dy, i)                =  sum of dy          over batch and spatial axes
 *
 * with m, i = max_pool(x). The first holds because relu does not fall. In the second, what is
 * spread lands on the element that was largest, which is m itself. The third is a bias's gradient:
 * no element is lost, as the largest is no padding.
 *
 * Where no element of a window is positive, i says another place than it did for relu(x). So the
 * first rule is used only where all that reads i is masked as in the second, which is how the
 * gradient of relu is written (where in activation.c). */
#include "graph/ops/window.h"
#include "graph/pass/pass.h"

static bool is_relu_of(const cj_node *y, const cj_node *x)
{
    return y->call->op == &cj_op_relu && y->call->in[0] == x;
}

/* Is `node` the question x > 0? Asked of relu(x) it is the same. */
static bool is_positive(const cj_node *node, const cj_node *x)
{
    double zero;
    const cj_node *asked = node->call->op == &cj_op_greater ? node->call->in[0] : NULL;
    return asked && (asked == x || is_relu_of(asked, x) || is_relu_of(x, asked)) &&
           cj__is_constant(node->call->in[1], &zero) && zero == 0;
}

static bool is_zero(const cj_node *node)
{
    double zero;
    return cj__is_constant(node, &zero) && zero == 0;
}

static bool is_root(const cj__rewrite *r, const cj_node *node)
{
    for (int i = 0; i < r->n_roots; i++)
        if (*r->roots[i] == node) return true;
    return false;
}

/* Do all calls that read `node` mask it where x is not positive? */
static bool always_masked(const cj__rewrite *r, const cj_node *node, const cj_node *x)
{
    const cj_graph *g = r->from;
    if (is_root(r, node)) return false;
    for (int id = node->call->id + 1; id < g->n_calls; id++) {
        const cj_call *call = g->calls[id];
        for (int k = 0; k < call->n_in; k++) {
            if (call->in[k] != node) continue;
            if (call->op != &cj_op_where || k != 1 || !is_positive(call->in[0], x) ||
                !is_zero(call->in[2]))
                return false;
        }
    }
    return true;
}

static bool index_is_free(const cj__rewrite *r, const cj_call *pool, const cj_node *x)
{
    const cj_graph *g = r->from;
    const cj_node *index = &pool->out[1];
    if (is_root(r, index)) return false;
    for (int id = pool->id + 1; id < g->n_calls; id++) {
        const cj_call *call = g->calls[id];
        for (int k = 0; k < call->n_in; k++) {
            if (call->in[k] != index) continue;
            if (call->op != &cj_op_pool_spread || k != 1 || !always_masked(r, &call->out[0], x))
                return false;
        }
    }
    return true;
}

static cj_node *relu_later(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    const cj_call *relu = call->in[0]->call;
    if (relu->op != &cj_op_relu || in[0]->call->op != &cj_op_relu ||
        !index_is_free(r, call, relu->in[0]))
        return NULL;
    cj_node *pooled = cj_apply(r->to, &cj_op_max_pool, in[0]->call->in, 1, call->attributes);
    r->made = cj__arena_array(&r->scratch, 2, sizeof *r->made);
    if (!pooled || !r->made) return NULL;
    r->made[0] = cj_relu(pooled);
    r->made[1] = cj_node_output(pooled, 1);
    return r->made[0];
}

/* The max_pool whose index a pool_spread reads, of the same windows; NULL: another index. */
static const cj_call *pool_of(const cj_call *spread)
{
    const cj_node *index = spread->in[1];
    const cj_call *pool = index->call;
    if (pool->op != &cj_op_max_pool || index->output != 1) return NULL;
    cj__pool_attrs a = *(const cj__pool_attrs *)spread->attributes;
    a.dims = (cj_ints){0, NULL};
    bool same = cj__options_equal(pool->op->attributes, &a, pool->attributes);
    return same && cj__type_equal(&pool->in[0]->type, &spread->out[0].type) ? pool : NULL;
}

static cj_node *mask_before(cj__rewrite *r, cj_node *const *in)
{
    const cj_call *spread = in[1]->call, *pool;
    if (spread->op != &cj_op_pool_spread || !is_zero(in[2]) || !(pool = pool_of(spread)))
        return NULL;
    if (!is_positive(in[0], pool->in[0])) return NULL;
    cj_node *pooled = &((cj_call *)pool)->out[0], *dy = spread->in[0];
    cj_node *positive = cj_greater(pooled, cj_scalar(r->to, pooled->type.dtype, 0));
    cj_node *operands[] = {cj_where(positive, dy, cj_zero), spread->in[1]};
    return operands[0] ? cj_apply(r->to, &cj_op_pool_spread, operands, 2, spread->attributes)
                       : NULL;
}

static cj_node *sum_before(const cj_call *call, cj_node *const *in)
{
    const cj__reduce_attrs *sum = call->attributes;
    const cj_call *spread = in[0]->call;
    if (spread->op != &cj_op_pool_spread || !pool_of(spread)) return NULL;
    const cj__pool_attrs *a = spread->attributes;
    for (int i = 0; i < a->dilations.n; i++)
        if (a->dilations.v[i] != 1) return NULL; /* a window may step over all elements */
    if (sum->axes.n != in[0]->type.rank - 1) return NULL;
    for (int i = 0; i < sum->axes.n; i++)
        if (sum->axes.v[i] == a->channel_axis) return NULL;
    return cj_reduce_sum(spread->in[0], sum->axes.n, sum->axes.v, sum->keep);
}

cj_node *cj__pass_pool(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    if (call->op == &cj_op_max_pool) return relu_later(r, call, in);
    if (call->op == &cj_op_where) return mask_before(r, in);
    if (call->op == &cj_op_reduce_sum) return sum_before(call, in);
    return NULL;
}
