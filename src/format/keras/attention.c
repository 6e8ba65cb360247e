/* attention.c: Keras's layers of attention. */
#include "format/keras/keras.h"

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

/* The second result: what weighs values gives the weights when these are rows of an identity. */
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
    const cj__json *shape = cj__json_find(layer->config, "output_shape");
    if (shape && shape->type == CJ__JSON_ARRAY && shape->count == 1) shape = shape->first;
    if (!in[0] || !in[1]) return cj__keras_fail(k, layer, CJ_ERR_DATA, "no query or no value");
    if (!in[2]) in[2] = in[1];
    if (cj__keras_is_general(layer, call, cj_node_rank(in[0])))
        return cj__keras_heads(k, layer, call, in);
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
    return failed;
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
