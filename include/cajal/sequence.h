/* sequence.h: graph builders for sequences.
 *
 *     cj_node *y = cj_attention(q, k, v, .causal = true, .dropout = 0.1);
 *
 * Layers of the same things, with parameters of their own, are in layers.h. All builders are sticky
 * as those of graph.h are. */
#ifndef CAJAL_SEQUENCE_H
#define CAJAL_SEQUENCE_H

#include <cajal/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Attention ------------------------------------------------------------------------------- */

typedef struct cj_attention_opts {
    size_t struct_size;
    cj_node *mask; /* broadcastable to [N, Hq, Tq, Tk]: floats are added to the scores; bool: true
                      where a query sees a key */
    cj_node *lengths; /* integers [N] or a scalar: keys from there on are not seen */
    cj_node *offset;  /* with causal, integers [N] or a scalar: place of the first query among the
                         keys; default Tk - Tq, the last query sees all */
    bool causal;      /* query i sees keys up to i + offset */
    double scale;     /* of the scores; 0: 1 / sqrt(D) */
    double softcap;   /* c > 0: scores become c tanh(score / c) before the mask (Gemma 2) */
    double dropout;   /* in training: share of the probabilities that become zero, below 1 */
} cj_attention_opts;
/* Scaled dot-product attention (Vaswani et al. 2017): o = softmax(scale q k^T) v for each head.
 * q [N, Tq, Hq, D], k [N, Tk, Hk, D], v [N, Tk, Hk, Dv] -> [N, Tq, Hq, Dv]; a projection's result
 * [N, T, H * D] is reshaped to that, not transposed. Hq is a multiple of Hk: query heads in groups
 * share a head of k and v. A query that sees no key gives zeros. Output 1 (cj_node_output): the
 * logarithm of the sum of e^scores, [N, Hq, Tq], -inf where nothing is seen; f32 for 16-bit q.
 * Nothing of size Tq * Tk is stored, forward or backward, unless a float mask has a gradient. */
CJ_API cj_node *cj_attention(cj_node *q, cj_node *k, cj_node *v, const cj_attention_opts *opts);

typedef struct cj_attention_cached_opts {
    size_t struct_size;
    int64_t capacity;  /* required: positions there is room for */
    double scale, softcap;
    cj_node *position; /* instead of a state of its own: an integer scalar, such as one variable for
                          all blocks, which rotary embeddings of q and k have read before */
} cj_attention_cached_opts;
/* What has been seen so far, as state: "name/keys" [N, capacity, Hk, D], "name/values" [N,
 * capacity, Hk, Dv] and "name/position", an i64 scalar, how many positions are in there (write 0 to
 * begin anew). */
typedef struct cj_attention_cache {
    cj_node *keys, *values, *position;
    cj_node *new_keys, *new_values, *new_position; /* with this step's positions */
} cj_attention_cache;
/* Causal attention of new positions to those in a cache and to each other: writing token by token,
 * or a prompt at once and then token by token (T of q, k and v may be a symbol; N is a number).
 * Results are those of cj_attention over the whole sequence but for rounding. The program that runs
 * a step has three updates (two where `position` is given),
 *
 *     cj_attention_cache c;
 *     cj_node *y = cj_attention_cached(q, k, v, "block_1", &c, .capacity = 4096);
 *     ... .updates = (cj_update[]){{c.keys, c.new_keys}, {c.values, c.new_values},
 *                                  {c.position, c.new_position}, {NULL, NULL}}
 *
 * which write into the cache where it lies: a step moves the bytes of its own tokens. The caller
 * keeps position + T within the capacity; past it the last places are written again. */
CJ_API cj_node *cj_attention_cached(cj_node *q, cj_node *k, cj_node *v, const char *name,
                                    cj_attention_cache *cache,
                                    const cj_attention_cached_opts *opts);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_attention_cached(q, k, v, name, cache, ...) \
    cj_at_end((cj_attention_cached)( \
        cj_at(q, CJ_HERE), k, v, name, cache, \
        &(cj_attention_cached_opts){.struct_size = sizeof(cj_attention_cached_opts), __VA_ARGS__}))
#define cj_attention(q, k, v, ...) \
    cj_at_end((cj_attention)(cj_at(q, CJ_HERE), k, v, \
                             &(cj_attention_opts){.struct_size = sizeof(cj_attention_opts), \
                                                  __VA_ARGS__}))
#endif

#ifdef __cplusplus
}
#endif
#endif
