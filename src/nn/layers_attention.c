/* layers_attention.c: multi-head attention: projections around the operator of sequence.h.
 *
 *     self:   x [N, T, C] W_qkv + b -> [N, T, Hq D | Hk D | Hk Dv] -> attention -> W_output
 *     cross:  query, key, value through projections of their own
 *
 * A projection's columns are head after head, so [N, T, H D] is [N, T, H, D] without a move. */
#include "nn/model.h"

#include <cajal/layers.h>
#include <cajal/sequence.h>

#include <math.h>

static const cj_option attention_options[] = {
    CJ_OPTION_INT(cj_multi_head_attention_opts, num_heads, 0, 1, 65536, "heads of the query"),
    CJ_OPTION_INT(cj_multi_head_attention_opts, key_dim, 0, 1, 2147483647,
                  "numbers of a head of query and key"),
    CJ_OPTION_INT(cj_multi_head_attention_opts, value_dim, -1, -1, 2147483647,
                  "numbers of a head of value; -1: key_dim"),
    CJ_OPTION_INT(cj_multi_head_attention_opts, num_kv_heads, -1, -1, 65536,
                  "heads of key and value; -1: num_heads"),
    CJ_OPTION_INT(cj_multi_head_attention_opts, output_dim, -1, -1, 2147483647,
                  "last size of the result; -1: the query's"),
    CJ_OPTION_BOOL(cj_multi_head_attention_opts, causal, false,
                   "a position sees those before it and itself"),
    CJ_OPTION_BOOL(cj_multi_head_attention_opts, no_bias, false, "leave out the biases"),
    CJ_OPTION_FLOAT(cj_multi_head_attention_opts, dropout, 0, 0, 1,
                    "share of the probabilities that become zero in training, less than 1"),
    CJ_OPTION_STRING(cj_multi_head_attention_opts, kernel_initializer, "glorot_uniform",
                     "first values of the projections"),
    CJ_OPTION_STRING(cj_multi_head_attention_opts, bias_initializer, "zeros",
                     "first values of the biases"),
    CJ_OPTION_STRING(cj_multi_head_attention_opts, kernel_regularizer, NULL,
                     "added to the loss for the projections: l2(0.01)"),
    CJ_OPTION_STRING(cj_multi_head_attention_opts, bias_regularizer, NULL,
                     "added to the loss for the biases"),
    CJ__CONSTRAINT_OPTION(cj_multi_head_attention_opts, kernel_constraint),
    CJ__CONSTRAINT_OPTION(cj_multi_head_attention_opts, bias_constraint),
    CJ_OPTION_STRING(cj_multi_head_attention_opts, name, NULL, "of the layer"), CJ_OPTION_END};

/* The sizes of one layer. */
typedef struct heads {
    int64_t q, kv, d, dv, output; /* heads, numbers of a head, numbers of the result */
} heads;

static bool take_heads(cj_layer_build *b, heads *h)
{
    const cj_multi_head_attention_opts *o = b->options;
    *h = (heads){.q = o->num_heads,
                 .kv = o->num_kv_heads > 0 ? o->num_kv_heads : o->num_heads,
                 .d = o->key_dim,
                 .dv = o->value_dim > 0 ? o->value_dim : o->key_dim,
                 .output = o->output_dim > 0 ? o->output_dim : cj_node_dim(b->x[0], -1)};
    if (h->q % h->kv)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                              "num_heads=%lld is no multiple of num_kv_heads=%lld",
                              (long long)h->q, (long long)h->kv),
               false;
    if (o->dropout >= 1)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                              "dropout=1 leaves nothing; less than 1 is expected"),
               false;
    if (b->n > 4)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                              "%d inputs; query, value, key and mask are expected at most", b->n),
               false;
    static const char *const names[] = {"query", "value", "key"};
    for (int i = 0; i < b->n && i < 3; i++)
        if (cj_node_rank(b->x[i]) != 3 || cj_node_dim(b->x[i], -1) < 0 ||
            cj_dtype_info(cj_node_dtype(b->x[i]))->kind != CJ_KIND_FLOAT)
            return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                                  "%s is %s of rank %d; floats [batch, positions, numbers] are "
                                  "expected",
                                  names[i], cj_dtype_info(cj_node_dtype(b->x[i]))->name,
                                  cj_node_rank(b->x[i])),
                   false;
    return true;
}

/* x W + b with parameters "what_kernel" [inputs, outputs] and "what_bias"; fan_out is what one of
 * several projections in W gives. */
static cj_node *project(cj_layer_build *b, const char *kernel, const char *bias, cj_node *x,
                        int64_t outputs, int64_t fan_out)
{
    const cj_multi_head_attention_opts *o = b->options;
    int64_t inputs = x ? cj_node_dim(x, -1) : 0;
    cj_node *w = cj_layer_parameter(b, kernel, 2, (int64_t[]){inputs, outputs},
                                    o->kernel_initializer, inputs, fan_out, o->kernel_regularizer);
    cj_node *y = cj_matmul(x, cj_layer_constraint(b, w, o->kernel_constraint));
    if (o->no_bias) return y;
    cj_node *added = cj_layer_parameter(b, bias, 1, &outputs, o->bias_initializer, inputs, fan_out,
                                        o->bias_regularizer);
    return cj_add(y, cj_layer_constraint(b, added, o->bias_constraint));
}

static cj_node *in_heads(cj_node *x, int64_t count, int64_t size)
{
    if (!x) return NULL;
    return cj_reshape(x, 4, (cj_dim[]){cj_node_dim(x, 0), cj_node_dim(x, 1), count, size});
}

/* Which keys are seen: those that count as key and as value, and that the mask among the inputs
 * lets through. */
static cj_node *seen(const cj_layer_build *b)
{
    cj_node *given = b->n > 3 ? b->x[3] : NULL, *keys = cj__mask_of_steps(b, b->n > 1);
    if (b->n > 2) {
        cj_node *more = cj__mask_of_steps(b, 2);
        keys = keys && more && keys != more ? cj_logical_and(keys, more) : keys ? keys : more;
    }
    if (!keys) return given;
    keys = cj_expand_dims(cj_expand_dims(keys, 1), 1);
    if (!given) return keys;
    return cj_node_dtype(given) == CJ_BOOL
               ? cj_logical_and(given, keys)
               : cj_where(keys, given, cj__number_like(given, -INFINITY));
}

static cj_node *attention_build(cj_layer_build *b)
{
    const cj_multi_head_attention_opts *o = b->options;
    heads h;
    if (!take_heads(b, &h)) return NULL;
    cj_node *query = b->x[0], *value = b->n > 1 ? b->x[1] : query,
            *key = b->n > 2 ? b->x[2] : value;
    int64_t sizes[3] = {h.q * h.d, h.kv * h.d, h.kv * h.dv};
    cj_node *q, *k, *v;
    if (value == query && key == query) {
        cj_node *all = project(b, "qkv_kernel", "qkv_bias", query, sizes[0] + sizes[1] + sizes[2],
                               sizes[0]);
        q = cj_split(all, -1, 3, sizes);
        k = q ? cj_node_output(q, 1) : NULL;
        v = q ? cj_node_output(q, 2) : NULL;
    } else {
        q = project(b, "query_kernel", "query_bias", query, sizes[0], sizes[0]);
        k = project(b, "key_kernel", "key_bias", key, sizes[1], sizes[1]);
        v = project(b, "value_kernel", "value_bias", value, sizes[2], sizes[2]);
    }
    cj_node *y = cj_attention(in_heads(q, h.q, h.d), in_heads(k, h.kv, h.d),
                              in_heads(v, h.kv, h.dv),
                              &(cj_attention_opts){.causal = o->causal,
                                                   .dropout = o->dropout,
                                                   .mask = seen(b)});
    y = cj__masked(y, b->mask = cj__mask_of_steps(b, 0), 0); /* such a query sees nothing */
    if (!y) return NULL;
    y = cj_reshape(y, 3, (cj_dim[]){cj_node_dim(y, 0), cj_node_dim(y, 1), h.q * h.dv});
    return project(b, "output_kernel", "output_bias", y, h.output, h.output);
}

const cj_layer cj_layers_multi_head_attention = {
    .name = "multi_head_attention",
    .doc = "attention between positions, a part for each head (Vaswani et al. 2017)",
    .inputs = -1,
    .inputs_min = 1,
    .options_size = sizeof(cj_multi_head_attention_opts),
    .options = attention_options,
    .build = attention_build,
    .sample = "num_heads=4, key_dim=3, value_dim=2, num_kv_heads=2 : 5, 6",
    .masking = CJ_MASK_READS};

cj_node *cj_multi_head_attention(cj_node *query, const cj_multi_head_attention_opts *opts)
{
    cj_node *x[4] = {query};
    int n = 1;
    size_t known = offsetof(cj_multi_head_attention_opts, mask) + sizeof opts->mask;
    bool nodes = opts && (!opts->struct_size || opts->struct_size >= known);
    if (nodes && (opts->value || opts->key || opts->mask)) {
        x[n++] = opts->value ? opts->value : query;
        if (opts->key || opts->mask) x[n++] = opts->key ? opts->key : x[1];
        if (opts->mask) x[n++] = opts->mask;
    }
    return cj__layer_keywords(x, n, &cj_layers_multi_head_attention, opts);
}
