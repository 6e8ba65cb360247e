/* heads.c: attention of several heads that is more than our layer multi_head_attention has: along
 * several axes, with a gate, within a window, with a result of several axes, or whose weights are a
 * result, too. Its projections are layers einsum_dense of their own, "attention.query":
 *
 *     q, k, v = x W + b      s = softmax(q k / sqrt(size))      y = (s v * gate) W + b
 *
 *     letters: a b c ... are the axes of x but the last, m that one, h heads, d numbers of a head;
 *     axes along which keys lie are A B C ... of the key, with s = [a, (others), h, b c, B C] */
#include "format/keras/keras.h"

#include <math.h>
#include <string.h>

enum { AXES = 5, PARTS = 5 };
enum { QUERY, KEY, GATE, VALUE, OUTPUT };

typedef struct heads {
    cj__keras *k;
    cj__keras_layer *layer;
    cj__keras_call *call;
    cj_node *query, *value, *key, *mask;
    int rank;               /* of the inputs */
    int n_axes, axes[AXES]; /* along which keys lie, from 1 */
    int64_t heads, shared, size, value_size; /* shared: heads of keys and values */
    int n_out;
    int64_t out[AXES]; /* sizes of the result's last axes */
    bool biased, gated;
} heads;

static bool asks(const cj__keras_call *call, const char *keyword)
{
    return call && call->keywords && cj__keras_bool(call->keywords, keyword, false);
}

bool cj__keras_is_general(const cj__keras_layer *l, const cj__keras_call *call, int rank)
{
    const cj__json *axes = cj__json_find(l->config, "attention_axes"),
                   *shape = cj__json_find(l->config, "output_shape");
    bool general = rank != 3 || asks(call, "return_attention_scores");
    for (int i = 0; l->calls && i < l->n_calls; i++)
        general |= asks(&l->calls[i], "return_attention_scores");
    if (axes && axes->type == CJ__JSON_ARRAY)
        general |= axes->count != 1 || (axes->first->integer != 1 && axes->first->integer != -2);
    if (shape && shape->type == CJ__JSON_ARRAY) general |= shape->count != 1;
    return general || cj__keras_bool(l->config, "use_gate", false) ||
           cj__keras_number(l->config, "sliding_window", 0) > 0;
}

/* ---- Configuration --------------------------------------------------------------------------- */

static int64_t size_of(const heads *h, const char *key, const char *other, double otherwise)
{
    const cj__json *config = h->layer->config;
    const double n = cj__keras_number(config, key, cj__keras_number(config, other, otherwise));
    return n >= 1 && n <= 1 << 24 ? (int64_t)n : 0;
}

static cj_status take_axes(heads *h)
{
    const cj__json *axes = cj__json_find(h->layer->config, "attention_axes");
    const bool given = axes && axes->type == CJ__JSON_ARRAY;
    for (int i = 1; !given && i < h->rank - 1; i++) h->axes[h->n_axes++] = i;
    for (const cj__json *a = given ? axes->first : NULL; a; a = a->next) {
        const int64_t at = !a->is_integer ? 0 : a->integer < 0 ? a->integer + h->rank : a->integer;
        bool again = false;
        for (int i = 0; i < h->n_axes; i++) again |= h->axes[i] == at;
        if (at < 1 || at > h->rank - 2 || again)
            return cj__keras_fail(h->k, h->layer, CJ_ERR_DATA,
                                  "attention_axes that are not 1 to %d, each once", h->rank - 2);
        h->axes[h->n_axes++] = (int)at;
    }
    return CJ_OK;
}

static cj_status take_out(heads *h)
{
    const cj__json *shape = cj__json_find(h->layer->config, "output_shape");
    const bool list = shape && shape->type == CJ__JSON_ARRAY;
    if (!shape || shape->type == CJ__JSON_NULL) {
        h->out[h->n_out++] = cj_node_dim(h->query, -1);
        return CJ_OK;
    }
    for (const cj__json *i = list ? shape->first : shape; i; i = list ? i->next : NULL) {
        if (!i->is_integer || i->integer < 1 || h->n_out == AXES - 1)
            return cj__keras_fail(h->k, h->layer, CJ_ERR_DATA, "an output_shape that is none");
        h->out[h->n_out++] = i->integer;
    }
    return CJ_OK;
}

static cj_status take(heads *h)
{
    const cj__json *config = h->layer->config;
    h->rank = cj_node_rank(h->query);
    h->heads = size_of(h, "num_heads", "num_query_heads", 0);
    h->shared = size_of(h, "num_key_value_heads", "", (double)h->heads);
    h->size = size_of(h, "key_dim", "head_dim", 0);
    h->value_size = size_of(h, "value_dim", "", (double)h->size);
    h->biased = cj__keras_bool(config, "use_bias", true);
    h->gated = cj__keras_bool(config, "use_gate", false);
    if (h->rank < 3 || h->rank > AXES + 1 || cj_node_rank(h->key) != h->rank ||
        cj_node_rank(h->value) != h->rank)
        return cj__keras_fail(h->k, h->layer, CJ_ERR_SHAPE,
                              "inputs of ranks %d, %d and %d; the same from 3 to %d is expected",
                              h->rank, cj_node_rank(h->key), cj_node_rank(h->value), AXES + 1);
    if (!h->heads || !h->shared || !h->size || !h->value_size || h->heads % h->shared)
        return cj__keras_fail(h->k, h->layer, CJ_ERR_DATA, "sizes of its heads that are none");
    CJ__TRY(take_axes(h));
    const bool ordered = asks(h->call, "use_causal_mask") ||
                         cj__keras_number(config, "sliding_window", 0) > 0;
    if (h->rank > 3 && (ordered || cj_mask_of(h->key) || cj_mask_of(h->value)))
        return cj__keras_fail(h->k, h->layer, CJ_ERR_UNSUPPORTED,
                              "a window, or a mask that is causal or beside an input of rank %d",
                              h->rank);
    return take_out(h);
}

/* ---- Projections ----------------------------------------------------------------------------- */

static cj_status make_parts(heads *h)
{
    static const char *const names[] = {"query", "key", "gate", "value", "output"};
    cj__keras_layer *l = h->layer;
    int n = 0;
    if (l->inner) return CJ_OK;
    l->inner = cj__arena_array(h->k->arena, PARTS, sizeof *l->inner);
    if (!l->inner) return CJ_ERR_MEMORY;
    for (int i = 0; i < PARTS; i++) {
        if (i == GATE && !h->gated) continue;
        cj__keras_layer *part = &l->inner[n++];
        *part = (cj__keras_layer){.row = cj__keras_row_of("EinsumDense"), .kind = l->kind,
                                  .config = l->config, .frozen = l->frozen,
                                  .n_calls = l->n_calls};
        part->name = cj__arena_printf(h->k->arena, "%s.%s", l->name, names[i]);
        part->path = cj__arena_printf(h->k->arena, "%s/%s_dense", l->path ? l->path : "",
                                      names[i]);
        if (!part->name || !part->path) return CJ_ERR_MEMORY;
    }
    l->n_inner = n;
    l->full = l->name;
    return CJ_OK;
}

/* From [.., m] to [.., heads, numbers], or (OUTPUT) from these to [.., out]. */
static cj_status project(const heads *h, int part, cj_node *x, int64_t n_heads, int64_t numbers,
                         cj_node **y)
{
    static const char axes[] = "abcde", outs[] = "pqrst";
    const int free_axes = h->rank - 1;
    const bool back = part == OUTPUT;
    cj__keras_layer *inner = &h->layer->inner[part - (part > GATE && !h->gated)];
    cj__text text;
    cj__text_init(&text, h->k->cj);
    if (back)
        cj__text_format(&text, "equation=\"%.*shd,hd%.*s->%.*s%.*s\"", free_axes, axes, h->n_out,
                        outs, free_axes, axes, h->n_out, outs);
    else
        cj__text_format(&text, "equation=\"%.*sm,mhd->%.*shd\"", free_axes, axes, free_axes, axes);
    cj__text_add(&text, ", output_shape=[");
    for (int i = 1; i < free_axes; i++) cj__text_add(&text, "0, ");
    for (int i = 0; back && i < h->n_out; i++)
        cj__text_format(&text, "%s%lld", i ? ", " : "", (long long)h->out[i]);
    if (!back) cj__text_format(&text, "%lld, %lld", (long long)n_heads, (long long)numbers);
    cj__text_char(&text, ']');
    if (h->biased)
        cj__text_format(&text, ", bias_axes=%.*s", back ? h->n_out : 2, back ? outs : "hd");
    if (part == GATE) cj__text_add(&text, ", activation=sigmoid");
    cj_status failed = text.failed;
    if (!failed)
        failed = cj__keras_apply(h->k, inner, inner->row->layer, cj__text_string(&text), &x, 1, y);
    cj__text_release(&text);
    return failed;
}

/* Heads of keys or values [.., shared, numbers] for all of the query's. */
static cj_node *for_all(const heads *h, cj_node *x)
{
    if (h->shared == h->heads || !x) return x;
    cj_graph *g = h->k->g;
    cj_node *each = cj_scalar(g, CJ_I64, (double)(h->heads / h->shared));
    return cj_gather(x, cj_div(cj_iota(g, CJ_I64, 0, 1, &h->heads), each), h->rank - 1);
}

/* ---- Weights --------------------------------------------------------------------------------- */

static cj_node *both(cj_node *a, cj_node *b) { return a && b ? cj_logical_and(a, b) : a ? a : b; }

/* Which keys a query sees, to be broadcast with the scores; NULL: all. */
static cj_node *seen(const heads *h, const cj_node *scores)
{
    cj_node *own = cj_mask_of(h->value),
            *keys = both(own, h->key == h->value ? NULL : cj_mask_of(h->key));
    cj_node *mask = h->mask ? cj_cast(h->mask, CJ_BOOL) : NULL;
    const double window = cj__keras_number(h->layer->config, "sliding_window", 0);
    if (keys) keys = cj_expand_dims(cj_expand_dims(keys, 1), 1);
    while (mask && cj_node_rank(mask) < cj_node_rank(scores))
        mask = cj_expand_dims(mask, cj_node_rank(mask) - 2 * h->n_axes);
    mask = both(mask, keys);
    if (h->rank != 3) return mask;
    cj_graph *g = h->k->g;
    const cj_dim dims[] = {1, 1, cj_node_dim(scores, 2), cj_node_dim(scores, 3)};
    cj_node *at = cj_iota(g, CJ_I64, 2, 4, dims), *key = cj_iota(g, CJ_I64, 3, 4, dims);
    if (asks(h->call, "use_causal_mask")) mask = both(mask, cj_greater_equal(at, key));
    if (window > 0)
        mask = both(mask, cj_less(cj_abs(cj_sub(at, key)), cj_scalar(g, CJ_I64, window)));
    return mask;
}

/* The letters of q, k and the scores. */
typedef struct letters {
    char query[AXES + 3], key[AXES + 3], scores[2 * AXES + 3];
} letters;

static letters letters_of(const heads *h)
{
    letters s;
    const int n = h->rank - 1;
    int at = 0;
    memcpy(s.query, "abcde", (size_t)n);
    memcpy(s.query + n, "hd", 3);
    memcpy(s.key, s.query, (size_t)n + 3);
    for (int i = 0; i < h->n_axes; i++) s.key[h->axes[i]] += 'A' - 'a';
    for (int i = 0; i <= n; i++)
        if (s.query[i] == s.key[i]) s.scores[at++] = s.query[i];
    for (int i = 0; i < h->n_axes; i++) s.scores[at++] = s.query[h->axes[i]];
    for (int i = 0; i < h->n_axes; i++) s.scores[at++] = s.key[h->axes[i]];
    s.scores[at] = 0;
    return s;
}

static cj_node *attend(const heads *h, cj_node *q, cj_node *k, cj_node *v, cj_node **weights)
{
    const letters s = letters_of(h);
    int64_t keys[AXES];
    char equation[64];
    cj__format(equation, sizeof equation, "%s,%s->%s", s.query, s.key, s.scores);
    cj_node *w = cj_einsum((cj_node *[]){q, k}, 2, equation);
    if (!w) return NULL;
    for (int i = 0; i < h->n_axes; i++) keys[i] = cj_node_rank(w) - h->n_axes + i;
    w = cj_scale(w, 1 / sqrt((double)h->size));
    cj_node *mask = w ? seen(h, w) : NULL;
    if (mask) w = cj_where(mask, w, cj_shift(w, -1e9));
    *weights = w = cj__keras_softmax(w, keys, h->n_axes);
    const double rate = cj__keras_number(h->layer->config, "dropout", 0);
    if (rate > 0 && rate < 1 && w) w = cj_dropout_node(w, rate);
    cj__format(equation, sizeof equation, "%s,%s->%s", s.scores, s.key, s.query);
    return w ? cj_einsum((cj_node *[]){w, v}, 2, equation) : NULL;
}

cj_status cj__keras_heads(cj__keras *k, cj__keras_layer *layer, cj__keras_call *call,
                          cj_node *const in[4])
{
    heads h = {.k = k, .layer = layer, .call = call, .query = in[0], .value = in[1], .key = in[2],
               .mask = in[3]};
    cj_node *q, *key, *v, *gate = NULL, *weights = NULL;
    CJ__TRY(take(&h));
    CJ__TRY(make_parts(&h));
    CJ__TRY(project(&h, QUERY, h.query, h.heads, h.size, &q));
    CJ__TRY(project(&h, KEY, h.key, h.shared, h.size, &key));
    if (h.gated) CJ__TRY(project(&h, GATE, h.query, h.heads, h.value_size, &gate));
    CJ__TRY(project(&h, VALUE, h.value, h.shared, h.value_size, &v));
    cj_node *y = attend(&h, q, for_all(&h, key), for_all(&h, v), &weights);
    if (gate) y = cj_mul(y, gate);
    if (!y) return k->g->failed;
    CJ__TRY(project(&h, OUTPUT, y, 0, 0, &call->out[0]));
    if (cj_mask_of(h.query)) call->out[0] = cj_with_mask(call->out[0], cj_mask_of(h.query));
    call->n_out = 1;
    if (asks(call, "return_attention_scores")) call->out[call->n_out++] = weights;
    return k->g->failed;
}
