/* attention.c: Keras's layers of attention. */
#include "format/keras/keras.h"

#include <math.h>
#include <string.h>

static bool is(const cj__keras_layer *layer, const char *kind)
{
    return !strcmp(layer->kind, kind);
}

/* What a keyword of a call says, where it is no result of a layer. */
static bool asks(const cj__keras_call *call, const char *keyword)
{
    return call && call->keywords && cj__keras_bool(call->keywords, keyword, false);
}

/* The inputs in the order of `names`, by keyword or else by position; NULL where there is none. */
static cj_status by_keyword(cj__keras *k, const cj__keras_layer *l, const cj__keras_call *call,
                            cj_node *const *x, int n, const char *const *names, cj_node **out)
{
    int next = 0;
    for (int i = 0; i < n; i++) {
        const char *word = i < call->n_refs ? call->refs[i].keyword : NULL;
        int at = 0;
        while (word && names[at] && strcmp(names[at], word)) at++;
        if (!word) at = next++;
        if (!names[at] || out[at])
            return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED, "a call with an input %.40s",
                                  word ? word : "too many");
        out[at] = x[i];
    }
    return CJ_OK;
}

/* ---- Scores ---------------------------------------------------------------------------------- */

static bool asks_scores(const cj__keras_call *call)
{
    return asks(call, "return_attention_scores");
}

/* x W + b of one projection that is there already, in heads: [batch, positions, heads, size]. */
static cj_node *projected(cj__keras *k, const cj__keras_layer *l, const char *part, cj_node *x,
                          int64_t heads, int64_t size)
{
    cj_node *of[2];
    for (int i = 0; i < 2; i++) {
        const char *name = cj__arena_printf(k->arena, "%s/%s_%s", l->full, part,
                                            i ? "bias" : "kernel");
        of[i] = name ? cj_find_variable(k->g, name) : NULL;
    }
    cj_node *y = of[0] ? cj_matmul(x, of[0]) : NULL;
    if (of[1]) y = cj_add(y, of[1]);
    return y ? cj_reshape(y, 4, (cj_dim[]){cj_node_dim(x, 0), cj_node_dim(x, 1), heads, size})
             : NULL;
}

static cj_node *both(cj_node *a, cj_node *b) { return a && b ? cj_logical_and(a, b) : a ? a : b; }

/* Which keys a query sees, as multi_head_attention has it: [1 or batch, 1 or heads, 1 or queries,
 * keys]; NULL: all. */
static cj_node *seen(cj__keras *k, cj_node *const *in, bool causal)
{
    cj_node *keys = both(cj_mask_of(in[1]), in[2] == in[1] ? NULL : cj_mask_of(in[2]));
    if (keys) keys = cj_expand_dims(cj_expand_dims(keys, 1), 1);
    cj_node *mask = both(in[3] ? cj_cast(in[3], CJ_BOOL) : NULL, keys);
    if (!causal) return mask;
    const cj_dim dims[] = {1, 1, cj_node_dim(in[0], 1), cj_node_dim(in[1], 1)};
    return both(mask, cj_greater_equal(cj_iota(k->g, CJ_I64, 2, 4, dims),
                                       cj_iota(k->g, CJ_I64, 3, 4, dims)));
}

/* The second result: [batch, heads, queries, keys], from the projections that the layer made. */
static cj_status head_scores(cj__keras *k, const cj__keras_layer *l, cj__keras_call *call,
                             cj_node *const *in)
{
    const double heads = cj__keras_number(l->config, "num_heads", 0),
                 size = cj__keras_number(l->config, "key_dim", 0);
    if (!(heads >= 1) || !(size >= 1))
        return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED, "return_attention_scores");
    cj_node *of[] = {projected(k, l, "query", in[0], (int64_t)heads, (int64_t)size),
                     projected(k, l, "key", in[2], (int64_t)heads, (int64_t)size)};
    cj_node *s = of[0] && of[1] ? cj_einsum(of, 2, "bqhd,bkhd->bhqk") : NULL,
            *mask = s ? seen(k, in, asks(call, "use_causal_mask")) : NULL;
    s = s ? cj_scale(s, 1 / sqrt(size)) : NULL;
    if (mask) s = cj_where(mask, s, cj_shift(s, -1e9));
    call->out[call->n_out++] = s ? cj_softmax(s, -1) : NULL;
    return k->g->failed;
}

/* The same of one head: what weighs values gives the weights when these are rows of an identity. */
static cj_status row_scores(cj__keras *k, cj__keras_layer *l, cj__keras_call *call,
                            const char *options, cj_node *const *x, int n)
{
    cj_node *in[3] = {x[0], NULL, n > 2 ? x[2] : x[1]}, *mask = cj_mask_of(x[1]);
    const cj_dim keys = cj_node_dim(x[1], 1), dims[] = {cj_node_dim(x[1], 0), keys, keys};
    cj_node *same = cj_equal(cj_iota(k->g, CJ_I64, 1, 3, dims), cj_iota(k->g, CJ_I64, 2, 3, dims));
    in[1] = cj_cast(same, cj_node_dtype(x[0]));
    if (mask) in[1] = cj_with_mask(in[1], mask);
    if (keys < 0)
        return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED,
                              "return_attention_scores of keys of an unknown number");
    CJ__TRY(cj__keras_apply(k, l, l->row->layer, options, in, 3, &call->out[1]));
    call->n_out = 2;
    return k->g->failed;
}

/* ---- The layers ------------------------------------------------------------------------------ */

/* Keras has three projections also where query, value and key are one: a copy of the query tells
 * ours to have them, too. */
CJ__KERAS_BUILDER(heads)
{
    static const char *const names[] = {"query", "value", "key", "attention_mask", NULL};
    cj_node *in[4] = {NULL}, *y = NULL;
    cj__text text;
    CJ__TRY(by_keyword(k, layer, call, x, n, names, in));
    const cj__json *axes = cj__json_find(layer->config, "attention_axes");
    const cj__json *shape = cj__json_find(layer->config, "output_shape");
    if (shape && shape->type == CJ__JSON_ARRAY && shape->count == 1) shape = shape->first;
    if ((axes && axes->type == CJ__JSON_ARRAY &&
         (axes->count != 1 || axes->first->integer != 1)) ||
        (shape && shape->type != CJ__JSON_NULL && !shape->is_integer) ||
        cj__keras_bool(layer->config, "use_gate", false) ||
        cj__keras_number(layer->config, "sliding_window", 0) > 0)
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                              "attention along several axes, a result of several axes, a gate or a "
                              "window");
    if (!in[0] || !in[1]) return cj__keras_fail(k, layer, CJ_ERR_DATA, "no query or no value");
    if (!in[2]) in[2] = in[1];
    if (in[0] == in[1] && in[1] == in[2]) in[0] = cj_with_mask(in[0], cj_mask_of(in[0]));
    if (in[3] && cj_node_rank(in[3]) == 3) in[3] = cj_expand_dims(in[3], 1);
    cj__text_init(&text, k->cj);
    cj_status failed = cj__keras_options(k, layer, &text);
    if (shape && shape->is_integer)
        cj__text_format(&text, ", output_dim=%lld", (long long)shape->integer);
    if (asks(call, "use_causal_mask")) cj__text_add(&text, ", causal=true");
    if (!failed)
        failed = cj__keras_apply(k, layer, layer->row->layer, cj__text_string(&text), in,
                                 in[3] ? 4 : 3, &y);
    cj__text_release(&text);
    call->out[0] = y;
    call->n_out = 1;
    return failed || !asks_scores(call) ? failed : head_scores(k, layer, call, in);
}

/* Attention and AdditiveAttention: query, value and, if it is another, key. */
CJ__KERAS_BUILDER(attention)
{
    const char *mode = cj__keras_string(layer->config, "score_mode");
    const bool additive = is(layer, "AdditiveAttention");
    const bool scale = cj__keras_bool(layer->config, "use_scale", additive),
               causal = asks(call, "use_causal_mask") ||
                        cj__keras_bool(layer->config, "causal", false);
    cj__text text;
    if (n < 2 || n > 3)
        return cj__keras_fail(k, layer, CJ_ERR_DATA, "%d inputs; 2 or 3 are expected", n);
    for (int i = 0; i < call->n_refs; i++)
        if (call->refs[i].keyword)
            return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED, "a call with %.40s",
                                  call->refs[i].keyword);
    cj__text_init(&text, k->cj);
    cj_status failed = cj__keras_options(k, layer, &text);
    cj__text_format(&text, "%sscore=%.20s, use_scale=%s, causal=%s", text.length ? ", " : "",
                    additive ? "additive" : mode ? mode : "dot", scale ? "true" : "false",
                    causal ? "true" : "false");
    layer->again = asks_scores(call);
    if (!failed)
        failed = cj__keras_apply(k, layer, layer->row->layer, cj__text_string(&text), x, n,
                                 &call->out[0]);
    call->n_out = 1;
    if (!failed && asks_scores(call))
        failed = row_scores(k, layer, call, cj__text_string(&text), x, n);
    cj__text_release(&text);
    return failed;
}
