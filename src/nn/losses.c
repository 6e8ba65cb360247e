/* losses.c: losses, each one number a sample.
 *
 * A loss gives [batch]; who trains takes the weighted mean. A prediction that comes out of softmax
 * or sigmoid is looked through to its logits, so that log(softmax(x)) is computed as one stable
 * thing; other predictions are probabilities and are kept away from 0 and 1 by Keras's epsilon,
 * 1e-7. */
#include "nn/model.h"

#include "base/registry.h"

/* ---- Helpers --------------------------------------------------------------------------------- */

/* [batch, ...] -> [batch]: the mean over everything but the samples. */
static cj_node *mean_per_sample(cj_node *x)
{
    int64_t axes[CJ_RANK_MAX];
    int n = 0;
    if (!x) return NULL;
    for (int i = 1; i < cj_node_rank(x); i++) axes[n++] = i;
    return n ? cj_reduce_mean(x, n, axes, false) : x;
}

/* The operand of the activation a prediction came from; NULL when it came from something else. */
static cj_node *logits_of(cj_node *prediction, const cj_op *activation)
{
    if (!prediction || prediction == cj_zero || prediction->call->op != activation) return NULL;
    if (activation == &cj_op_softmax &&
        ((const cj__axis_attrs *)prediction->call->attributes)->axis != prediction->type.rank - 1)
        return NULL;
    return prediction->call->in[0];
}

/* Target in the prediction's dtype and shape: [batch] fits [batch, 1]. */
cj_node *cj__target_like(cj_node *prediction, cj_node *target, const char *loss)
{
    cj_graph *g = cj_node_graph(prediction);
    if (!g || !target) return NULL;
    if (prediction->type.rank < 1)
        return cj_graph_fail(g, CJ_ERR_SHAPE,
                             "%s: the prediction is a scalar, with no axis of samples", loss);
    if (cj_dtype_info(prediction->type.dtype)->kind != CJ_KIND_FLOAT)
        return cj_graph_fail(g, CJ_ERR_TYPE, "%s: the prediction is %s, expected floats", loss,
                             cj_dtype_info(prediction->type.dtype)->name);
    target = cj_cast(cj_zero_as(target, prediction), prediction->type.dtype);
    if (target && target->type.rank + 1 == prediction->type.rank &&
        prediction->type.dim[prediction->type.rank - 1] == 1)
        target = cj_expand_dims(target, -1);
    if (target && target->type.rank != prediction->type.rank)
        return cj_graph_fail(g, CJ_ERR_SHAPE, "%s: the prediction has rank %d, the target rank %d",
                             loss, prediction->type.rank, target->type.rank);
    for (int i = 0; target && i < target->type.rank; i++)
        if (!cj__dim_agree(g, prediction->call, target->type.dim[i], prediction->type.dim[i]))
            return cj_graph_fail(g, CJ_ERR_SHAPE,
                                 "%s: the prediction has %s along axis %d, the target %s", loss,
                                 cj_dim_text(g, prediction->type.dim[i]), i,
                                 cj_dim_text(g, target->type.dim[i]));
    return target;
}

static cj_node *clipped(cj_node *p) { return cj_clip(p, 1e-7, 1 - 1e-7); }

/* ---- mse ------------------------------------------------------------------------------------- */

static cj_node *build_mse(cj_node *prediction, cj_node *target, const void *options)
{
    (void)options;
    target = cj__target_like(prediction, target, "mse");
    return target ? mean_per_sample(cj_square(cj_sub(prediction, target))) : NULL;
}
const cj_loss cj_loss_mse = {.name = "mse",
                             .doc = "mean of (prediction - target)^2",
                             .aliases = "mean_squared_error",
                             .build = build_mse};

cj_node *cj_mse(cj_node *prediction, cj_node *target)
{
    cj_node *each = build_mse(prediction, target, NULL);
    return each ? cj_mean(each) : NULL;
}

/* ---- Cross-entropies ------------------------------------------------------------------------- */

typedef struct crossentropy_options {
    bool from_logits;
    double label_smoothing;
} crossentropy_options;

static const cj_option crossentropy_table[] = {
    CJ_OPTION_BOOL(crossentropy_options, from_logits, false,
                   "the prediction is not yet through softmax or sigmoid"),
    CJ_OPTION_FLOAT(crossentropy_options, label_smoothing, 0, 0, 1,
                    "share of the target spread evenly (Szegedy et al. 2016)"),
    CJ_OPTION_END};
static const cj_option sparse_table[] = {
    CJ_OPTION_BOOL(crossentropy_options, from_logits, false,
                   "the prediction is not yet through softmax"),
    CJ_OPTION_END};

/* With logits z and target t: -log sigmoid(z) = log(1 + e^-z), so t log(1 + e^-z) + (1 - t) log(1 +
 * e^z). It overflows nowhere, small losses keep their digits, and it is smooth at z = 0, where the
 * usual form max(z, 0) - z t + log(1 + e^-|z|) has two kinks whose gradients do not cancel. */
static cj_node *build_binary(cj_node *prediction, cj_node *target, const void *options)
{
    const crossentropy_options *o = options;
    target = cj__target_like(prediction, target, "binary_crossentropy");
    if (!target) return NULL;
    if (o->label_smoothing > 0)
        target = cj_shift(cj_scale(target, 1 - o->label_smoothing), o->label_smoothing / 2);
    cj_node *z = o->from_logits ? prediction : logits_of(prediction, &cj_op_sigmoid);
    cj_node *one_minus = cj_shift(cj_neg(target), 1);
    if (z)
        return mean_per_sample(
            cj_add(cj_mul(target, cj_softplus(cj_neg(z))), cj_mul(one_minus, cj_softplus(z))));
    cj_node *p = clipped(prediction);
    cj_node *likelihood = cj_add(cj_mul(target, cj_log(p)),
                                 cj_mul(one_minus, cj_log(cj_shift(cj_neg(p), 1))));
    return mean_per_sample(cj_neg(likelihood));
}
const cj_loss cj_loss_binary_crossentropy = {.name = "binary_crossentropy",
                                             .doc = "-(t log p + (1 - t) log(1 - p))",
                                             .options_size = sizeof(crossentropy_options),
                                             .options = crossentropy_table,
                                             .build = build_binary};

static cj_node *log_probabilities(cj_node *prediction, bool from_logits)
{
    cj_node *z = from_logits ? prediction : logits_of(prediction, &cj_op_softmax);
    if (z) return cj_log_softmax(z, -1);
    int64_t last = prediction->type.rank -
                   1; /* as Keras: probabilities are scaled to sum to one, then clipped */
    return cj_log(clipped(cj_div(prediction, cj_reduce_sum(prediction, 1, &last, true))));
}

/* Predictions of classes are [batch, ..., classes]. */
static bool with_classes(cj_node *prediction, const char *loss)
{
    cj_graph *g = cj_node_graph(prediction);
    if (g && prediction->type.rank < 2)
        cj_graph_fail(g, CJ_ERR_SHAPE,
                      "%s: the prediction has rank %d, expected [batch, classes] or more axes",
                      loss, prediction->type.rank);
    return g && prediction->type.rank >= 2;
}

static cj_node *build_categorical(cj_node *prediction, cj_node *target, const void *options)
{
    const crossentropy_options *o = options;
    if (!with_classes(prediction, "categorical_crossentropy")) return NULL;
    target = cj__target_like(prediction, target, "categorical_crossentropy");
    if (!target) return NULL;
    cj_dim classes = cj_node_dim(prediction, -1);
    if (o->label_smoothing > 0 && classes < 0)
        return cj_graph_fail(
            prediction->call->graph, CJ_ERR_SHAPE,
            "categorical_crossentropy: label_smoothing needs a fixed number of classes, found %s",
            cj_dim_text(prediction->call->graph, classes));
    if (o->label_smoothing > 0)
        target = cj_shift(cj_scale(target, 1 - o->label_smoothing),
                          o->label_smoothing / (classes > 0 ? (double)classes : 1));
    int64_t last = prediction->type.rank - 1;
    return mean_per_sample(cj_neg(cj_reduce_sum(
        cj_mul(target, log_probabilities(prediction, o->from_logits)), 1, &last, false)));
}
const cj_loss cj_loss_categorical_crossentropy = {.name = "categorical_crossentropy",
                                                  .doc =
                                                      "-sum t log p over one-hot or soft targets",
                                                  .options_size = sizeof(crossentropy_options),
                                                  .options = crossentropy_table,
                                                  .build = build_categorical};

static cj_node *build_sparse(cj_node *prediction, cj_node *target, const void *options)
{
    const crossentropy_options *o = options;
    if (!with_classes(prediction, "sparse_categorical_crossentropy") || !target) return NULL;
    cj_graph *g = prediction->call->graph;
    if (target == cj_zero)
        return cj_graph_fail(
            g, CJ_ERR_TYPE,
            "sparse_categorical_crossentropy: the target is cj_zero, expected classes as numbers");
    if (target->type.rank == prediction->type.rank && cj_node_dim(target, -1) == 1)
        target = cj_squeeze(target, -1);
    if (target && cj_dtype_info(target->type.dtype)->kind == CJ_KIND_FLOAT)
        target = cj_cast(target, CJ_I32);
    if (!target) return NULL;
    if (target->type.rank + 1 != prediction->type.rank)
        return cj_graph_fail(g, CJ_ERR_SHAPE,
                             "sparse_categorical_crossentropy: the prediction has rank %d, the "
                             "target rank %d, expected %d%s",
                             prediction->type.rank, target->type.rank, prediction->type.rank - 1,
                             prediction->type.rank > 2 ? " (flatten before the first dense?)" : "");
    cj_node *z = o->from_logits ? prediction : logits_of(prediction, &cj_op_softmax);
    if (z) return mean_per_sample(cj_sparse_softmax_crossentropy(z, target));
    /* log(sum p) - log p[label]; clipped probabilities do not quite sum to one, so the first term
     * goes. */
    z = log_probabilities(prediction, false);
    int64_t last = prediction->type.rank - 1;
    return mean_per_sample(
        cj_sub(cj_sparse_softmax_crossentropy(z, target), cj_logsumexp(z, 1, &last, false)));
}
const cj_loss cj_loss_sparse_categorical_crossentropy = {
    .name = "sparse_categorical_crossentropy",
    .doc = "-log p[label] for labels as numbers",
    .options_size = sizeof(crossentropy_options),
    .options = sparse_table,
    .build = build_sparse,
    .integer_target = true};

cj_node *(cj_loss_node)(cj_node *prediction, cj_node *target, const char *loss)
{
    cj_graph *g = cj_node_graph(prediction);
    if (!g || !target || cj_graph_failed(g)) return NULL;
    cj__named named;
    cj_status failed = cj__named_parse(&g->arena, g->cj, CJ__ROW_LOSS, loss, &named);
    if (failed) return cj_graph_fail(g, failed, "%s", cj_message(g->cj));
    const char *outer = g->layer;
    cj__graph_layer(g, "loss");
    cj_node *y = ((const cj_loss *)named.row)->build(prediction, target, named.options);
    g->layer = outer;
    return y;
}
