/* layers_scores.c: attention of one head, without projections: the values of a sequence, weighed by
 * what a score says of each query and key.
 *
 *     q [N, Tq, D], v [N, Tk, Dv], k [N, Tk, D]: y = softmax(score(q, k)) v [N, Tq, Dv]
 *
 *     dot        s q k                         (Luong et al. 2015)
 *     concat     w sum_d tanh(s (q_d + k_d))
 *     additive   sum_d s_d tanh(q_d + k_d)     (Bahdanau et al. 2014)
 *
 * These are Keras's Attention and AdditiveAttention. The last two need all pairs of q and k, which
 * are N Tq Tk D numbers. */
#include "nn/model.h"

#include <cajal/layers.h>
#include <cajal/sequence.h>

#include <string.h>

static const char *const scores[] = {"dot", "concat", "additive", NULL};
static const cj_option score_attention_options[] = {
    CJ_OPTION_CHOICE(cj_score_attention_opts, score, "dot", scores, "of a query and a key"),
    CJ_OPTION_BOOL(cj_score_attention_opts, use_scale, false, "learn s; else it is 1"),
    CJ_OPTION_BOOL(cj_score_attention_opts, causal, false,
                   "a position sees those before it and itself"),
    CJ_OPTION_FLOAT(cj_score_attention_opts, dropout, 0, 0, 1,
                    "share of the weights that become zero in training, less than 1"),
    CJ_OPTION_STRING(cj_score_attention_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static bool check(const cj_layer_build *b)
{
    const cj_score_attention_opts *o = b->options;
    if (o->dropout >= 1)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                              "dropout=1 leaves nothing; less than 1 is expected"),
               false;
    if (b->n > 3)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                              "%d inputs; query, value and key are expected at most", b->n),
               false;
    for (int i = 0; i < b->n; i++)
        if (cj_node_rank(b->x[i]) != 3 || cj_node_dim(b->x[i], -1) < 0 ||
            cj_dtype_info(cj_node_dtype(b->x[i]))->kind != CJ_KIND_FLOAT)
            return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                                  "input %d is %s of rank %d; floats [batch, positions, numbers] "
                                  "are expected",
                                  i, cj_dtype_info(cj_node_dtype(b->x[i]))->name,
                                  cj_node_rank(b->x[i])),
                   false;
    return true;
}

/* True where a query sees a key, [1 or N, 1 or Tq, Tk]; NULL: everywhere. */
static cj_node *seen(const cj_layer_build *b, cj_node *q, cj_node *k)
{
    const cj_score_attention_opts *o = b->options;
    cj_node *values = cj__mask_of_steps(b, b->n > 1);
    if (values) values = cj_expand_dims(values, 1);
    if (!o->causal) return values;
    const cj_dim dims[] = {1, cj_node_dim(q, 1), cj_node_dim(k, 1)};
    cj_node *past = cj_greater_equal(cj_iota(b->graph, CJ_I64, 1, 3, dims),
                                     cj_iota(b->graph, CJ_I64, 2, 3, dims));
    return values ? cj_logical_and(values, past) : past;
}

/* The scores of all pairs, then their softmax. A query that sees nothing weighs all alike, as
 * Keras has it. */
static cj_node *pairs(cj_layer_build *b, cj_node *q, cj_node *k, cj_node *v, cj_node *scale)
{
    const cj_score_attention_opts *o = b->options;
    const bool concat = !strcmp(o->score, "concat");
    const int64_t last = -1;
    cj_node *both = cj_add(cj_expand_dims(q, 2), cj_expand_dims(k, 1)), *mask = seen(b, q, k);
    if (concat && scale) both = cj_mul(both, scale);
    both = cj_tanh(both);
    if (!concat && scale) both = cj_mul(both, scale);
    cj_node *s = cj_reduce_sum(both, 1, &last, false);
    if (concat)
        s = cj_mul(s, cj_layer_parameter(b, "score_weight", 0, NULL, "ones", 0, 0, NULL));
    if (s && mask) s = cj_where(mask, s, cj_shift(s, -1e9));
    s = cj_softmax(s, -1);
    if (o->dropout > 0) s = cj_dropout_node(s, o->dropout);
    return cj_matmul(s, v);
}

/* The operator of sequence.h, with one head. */
static cj_node *dot(cj_layer_build *b, cj_node *q, cj_node *k, cj_node *v, cj_node *scale)
{
    const cj_score_attention_opts *o = b->options;
    cj_node *mask = cj__mask_of_steps(b, b->n > 1);
    if (mask) mask = cj_expand_dims(cj_expand_dims(mask, 1), 1);
    if (scale) q = cj_mul(q, scale);
    return cj_squeeze(
        (cj_attention)(cj_expand_dims(q, 2), cj_expand_dims(k, 2), cj_expand_dims(v, 2),
                       &(cj_attention_opts){.scale = 1,
                                            .mask = mask,
                                            .causal = o->causal,
                                            .offset = o->causal ? cj_scalar(b->graph, CJ_I64, 0)
                                                                : NULL,
                                            .dropout = o->dropout}),
        2);
}

static cj_node *score_attention_build(cj_layer_build *b)
{
    const cj_score_attention_opts *o = b->options;
    cj_node *q = b->x[0], *v = b->n > 1 ? b->x[1] : q, *k = b->n > 2 ? b->x[2] : v, *scale = NULL;
    if (!check(b)) return NULL;
    const int64_t size = cj_node_dim(q, -1);
    if (size != cj_node_dim(k, -1))
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                              "a query has %lld numbers and a key %lld; they are to be as many",
                              (long long)size, (long long)cj_node_dim(k, -1)),
               NULL;
    const bool additive = !strcmp(o->score, "additive");
    if (o->use_scale)
        scale = additive ? cj_layer_parameter(b, "scale", 1, &size, "glorot_uniform", size, size,
                                              NULL)
                         : cj_layer_parameter(b, "scale", 0, NULL, "ones", 0, 0, NULL);
    cj_node *y = !strcmp(o->score, "dot") ? dot(b, q, k, v, scale) : pairs(b, q, k, v, scale);
    return cj__masked(y, b->mask = cj__mask_of_steps(b, 0), 0);
}

const cj_layer cj_layers_score_attention = {
    .name = "score_attention",
    .doc = "attention of one head without projections, by a dot product or a sum of tanh (Luong et "
           "al. 2015, Bahdanau et al. 2014)",
    .inputs = -1,
    .inputs_min = 1,
    .options_size = sizeof(cj_score_attention_opts),
    .options = score_attention_options,
    .build = score_attention_build,
    .sample = "score=additive, use_scale=true : 5, 6",
    .masking = CJ_MASK_READS};

cj_node *cj_score_attention(cj_node *query, const cj_score_attention_opts *opts)
{
    cj_node *x[3] = {query};
    int n = 1;
    const size_t known = offsetof(cj_score_attention_opts, key) + sizeof opts->key;
    const bool nodes = opts && (!opts->struct_size || opts->struct_size >= known);
    if (nodes && (opts->value || opts->key)) x[n++] = opts->value ? opts->value : query;
    if (nodes && opts->key) x[n++] = opts->key;
    return cj__layer_keywords(x, n, &cj_layers_score_attention, opts);
}
