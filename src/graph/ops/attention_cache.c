/* attention_cache.c: attention to keys and values that are kept from run to run.
 *
 * The result needs the new keys, the cache wants them too. Were they written into the cache first
 * and read from there, the write would have to be undone when the step fails or is not committed.
 * So the step attends to the cache as it was and to its own positions, each with the logarithm l of
 * its sum, and weighs the two results by their shares of the whole sum:
 *
 *     o = (e^l_old o_old + e^l_new o_new) / (e^l_old + e^l_new)
 *       = o_new + sigmoid(l_old - l_new) (o_old - o_new)
 *
 * The write is then needed by the update alone, runs when the step commits, and is in place
 * (runtime/plan.c). Empty caches have l_old = -inf, a share of 0. */
#include "graph/ops/block.h"

#include <cajal/sequence.h>

static cj_node *state(cj_graph *g, const char *name, const char *part, cj_dtype dtype, int rank,
                      const int64_t *dims)
{
    const char *full = cj__arena_printf(&g->arena, "%s/%s", name, part);
    if (!full) return cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory");
    cj_tensor *zeros = cj_tensor_new(g->cj, dtype, rank, dims);
    if (!zeros) return cj_graph_fail(g, cj_last_status(g->cj), "%s", cj_message(g->cj));
    cj_node *x = cj_variable(g, full, zeros);
    cj_tensor_free(zeros);
    return x;
}

/* A cache for what x [N, T, heads, numbers] is one step of. */
static cj_node *room_for(cj_node *x, const char *name, const char *part, int64_t capacity)
{
    const cj_type *t = &x->type;
    return state(cj_node_graph(x), name, part, t->dtype, 4,
                 (int64_t[]){t->dim[0], capacity, t->dim[2], t->dim[3]});
}

static bool check(cj_graph *g, cj_node *k, cj_node *v, const char *name, int64_t capacity)
{
    if (!name || !*name)
        return cj__graph_fail(g, "attention_cached", CJ_ERR_ARGUMENT, "the cache needs a name"),
               false;
    if (capacity < 1)
        return cj__graph_fail(g, "attention_cached", CJ_ERR_ARGUMENT,
                              "capacity=%lld is less than 1", (long long)capacity),
               false;
    for (int i = 0; i < 2; i++) {
        const cj_type *t = i ? &v->type : &k->type;
        if (t->rank == 4 && t->dim[0] >= 0 && t->dim[2] >= 0 && t->dim[3] >= 0) continue;
        cj__text text;
        cj__text_init(&text, g->cj);
        cj__type_text(&text, g, t);
        cj__graph_fail(g, "attention_cached", CJ_ERR_SHAPE,
                       "%s is %s; [samples, positions, heads, numbers] is expected, all but the "
                       "positions known numbers",
                       i ? "v" : "k", cj__text_string(&text));
        cj__text_release(&text);
        return false;
    }
    return true;
}

cj_node *cj_attention_cached(cj_node *q, cj_node *k, cj_node *v, const char *name,
                             cj_attention_cache *cache, const cj_attention_cached_opts *opts)
{
    *cache = (cj_attention_cache){0};
    if (!q || !k || !v || cj__is_zero(q) || cj__is_zero(k) || cj__is_zero(v)) return NULL;
    cj_graph *g = cj_node_graph(q);
    int64_t capacity = opts ? opts->capacity : 0;
    if (!check(g, k, v, name, capacity)) return NULL;
    cj_attention_cache c = {.keys = room_for(k, name, "keys", capacity),
                            .values = room_for(v, name, "values", capacity),
                            .position = opts->position};
    if (!c.position) c.position = state(g, name, "position", CJ_I64, 0, NULL);
    if (!c.keys || !c.values || !c.position) return NULL;
    cj_attention_opts how = {.scale = opts->scale, .softcap = opts->softcap};
    how.lengths = c.position;
    cj_node *old = cj_attention(q, c.keys, c.values, &how);
    how.lengths = NULL, how.causal = true;
    cj_node *now = cj_attention(q, k, v, &how);
    if (!old || !now) return NULL;
    cj_node *share = cj_sigmoid(cj_sub(cj_node_output(old, 1), cj_node_output(now, 1)));
    share = cj_expand_dims(cj_transpose(share, (int64_t[]){0, 2, 1}), -1);
    cj_node *y = cj_add(now, cj_mul(cj_cast(share, now->type.dtype), cj_sub(old, now)));

    cj_node *zero = cj_scalar(g, CJ_I64, 0);
    cj_node *at = cj_cast(c.position, CJ_I64);
    cj_node *begin = cj_stack((cj_node *[]){zero, at, zero, zero}, 4, 0);
    c.new_keys = cj_update_slice(c.keys, k, begin);
    c.new_values = cj_update_slice(c.values, v, begin);
    c.new_position = cj_add(c.position, cj_dim_value(g, k->type.dim[1]));
    if (g->failed) return NULL;
    *cache = c;
    return y;
}
