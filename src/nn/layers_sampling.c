/* layers_sampling.c: sampling, the layer in the middle of a variational autoencoder (Kingma and
 * Welling 2013).
 *
 * The encoder says of each sample where its code lies: a normal distribution of independent numbers
 * with `mean` and `log_var` = ln(variance). In training the code is drawn from it,
 *
 *     z = mean + e^(log_var / 2) noise,
 *
 * which has gradients for both; otherwise it is the mean. That codes of all samples together are
 * normal numbers of mean 0 and variance 1, so that new ones can be drawn, is what is added to the
 * loss: the Kullback-Leibler divergence of each distribution from that one,
 *
 *     -1/2 sum (1 + log_var - mean^2 - e^log_var). */
#include "nn/model.h"

#include <cajal/layers.h>

static const cj_option options[] = {
    CJ_OPTION_FLOAT(cj_sampling_opts, weight, 1, 0, 1e9,
                    "of the divergence from normal numbers, in the loss"),
    CJ_OPTION_STRING(cj_sampling_opts, name, NULL, "of the layer"), CJ_OPTION_END};

/* Two inputs, or one whose last axis has both, one behind the other. */
static bool read_inputs(cj_layer_build *b, cj_node **mean, cj_node **log_var)
{
    cj_node *x = cj__layer_float(b, b->x[0]);
    const cj_dim last = x && cj_node_rank(x) > 1 ? cj_node_dim(x, -1) : 0;
    if (!x) return false;
    if (b->n > 2)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                              "%d inputs; means and logarithms of variances are expected", b->n),
               false;
    if (b->n == 2) {
        *mean = x;
        *log_var = cj__layer_float(b, b->x[1]);
        if (!*log_var || cj__type_equal(&x->type, &(*log_var)->type)) return *log_var != NULL;
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                              "means and logarithms of variances are of different shapes"),
               false;
    }
    if (last < 2 || last % 2)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                              "the last size of its input is %s; means and as many logarithms of "
                              "variances are expected",
                              last ? cj_dim_text(b->graph, last) : "none"),
               false;
    *mean = cj_slice_axis(x, -1, 0, last / 2);
    *log_var = cj_slice_axis(x, -1, last / 2, last / 2);
    return *mean && *log_var;
}

static cj_node *sampling_build(cj_layer_build *b)
{
    const cj_sampling_opts *o = b->options;
    cj_node *mean, *log_var;
    if (!read_inputs(b, &mean, &log_var)) return NULL;
    const cj_dtype dtype = cj_node_dtype(mean);
    cj_node *each = cj_sub(cj_add(cj_square(mean), cj_exp(log_var)), cj_shift(log_var, 1));
    int64_t axes[CJ_RANK_MAX];
    int n = 0;
    for (int i = 1; i < cj_node_rank(mean); i++) axes[n++] = i;
    if (n) each = cj_reduce_sum(each, n, axes, false);
    if (o->weight > 0) cj_layer_loss(b, cj_scale(cj_mean(each), o->weight / 2));
    cj_node *noise = cj_random_normal(cj_random_key(b->graph), CJ_F32, -1, mean->type.rank,
                                      mean->type.dim);
    cj_node *drawn = cj_add(mean, cj_mul(cj_exp(cj_scale(log_var, 0.5)), cj_cast(noise, dtype)));
    return cj_where(cj_training(b->graph), drawn, mean);
}

const cj_layer cj_layers_sampling = {
    .name = "sampling",
    .doc = "in training, normal numbers of given means and logarithms of variances (both inputs, "
           "or the halves of one), else the means; their divergence from mean 0 and variance 1 is "
           "added to the loss (Kingma and Welling 2013)",
    .inputs = -1,
    .inputs_min = 1,
    .options_size = sizeof(cj_sampling_opts),
    .options = options,
    .build = sampling_build,
    .sample = "weight=0.1 : 6"};

cj_node *(cj_sampling)(cj_node *mean, cj_node *log_var, const cj_sampling_opts *opts)
{
    return cj__layer_keywords((cj_node *[]){mean, log_var}, 2, &cj_layers_sampling, opts);
}
