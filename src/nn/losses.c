/* losses.c: what losses share, and how their numbers are put together.
 *
 * A loss gives [batch]; who trains takes the weighted mean. A prediction that comes out of softmax
 * or sigmoid is looked through to its logits, so that log(softmax(x)) is computed as one stable
 * thing; other predictions are probabilities and are kept away from 0 and 1 by Keras's epsilon,
 * 1e-7.
 *
 * Where some of what a sample holds does not count (ignored classes, weights of classes, pairs that
 * are none), a row says what the sample counts for, [batch] too, so that
 *
 *     mean = sum(weight loss) / sum(weight count)
 *
 * is PyTorch's mean over what counts, however samples are cut into batches. */
#include "nn/losses.h"

#include "base/registry.h"

#include <string.h>

/* ---- Helpers --------------------------------------------------------------------------------- */

cj_node *cj__loss_mean(cj_node *x)
{
    int64_t axes[CJ_RANK_MAX];
    int n = 0;
    if (!x) return NULL;
    for (int i = 1; i < cj_node_rank(x); i++) axes[n++] = i;
    return n ? cj_reduce_mean(x, n, axes, false) : x;
}

cj_node *cj__loss_last_sum(cj_node *x, bool keep)
{
    return cj_reduce_sum(x, 1, (const int64_t[]){-1}, keep);
}

cj_node *cj__loss_clipped(cj_node *x) { return cj_clip(x, CJ__LOSS_EPSILON, 1 - CJ__LOSS_EPSILON); }

cj_node *cj__loss_unit(cj_node *x)
{
    cj_node *square = cj__loss_last_sum(cj_square(x), true),
            *least = cj__number_like(x, CJ__LOSS_EPSILON * CJ__LOSS_EPSILON);
    return cj_mul(x, cj_rsqrt(cj_maximum(square, least)));
}

cj_node *cj__loss_sign(cj_node *t)
{
    cj_node *positive = cj_greater(t, cj__number_like(t, 0));
    return positive ? cj_shift(cj_scale(cj_cast(positive, t->type.dtype), 2), -1) : NULL;
}

cj_node *cj__loss_logits(cj_node *prediction, const cj_op *activation)
{
    if (!prediction || prediction == cj_zero) return NULL;
    const cj_call *call = prediction->call;
    if (call->op == &cj_op_reshape && prediction->type.rank && call->in[0]->type.rank &&
        cj_node_dim(prediction, -1) == cj_node_dim(call->in[0], -1)) {
        cj_node *z = cj__loss_logits(call->in[0], activation);
        return z ? cj_reshape(z, prediction->type.rank, prediction->type.dim) : NULL;
    }
    if (call->op != activation) return NULL;
    if (activation == &cj_op_softmax &&
        ((const cj__axis_attrs *)prediction->call->attributes)->axis != prediction->type.rank - 1)
        return NULL;
    return prediction->call->in[0];
}

cj_node *cj__loss_log_probabilities(cj_node *prediction, bool from_logits)
{
    cj_node *z = from_logits ? prediction : cj__loss_logits(prediction, &cj_op_softmax);
    if (z) return cj_log_softmax(z, -1);
    return cj_log(cj__loss_clipped(cj_div(prediction, cj__loss_last_sum(prediction, true))));
}

bool cj__loss_classes(cj_node *prediction, const char *loss)
{
    cj_graph *g = cj_node_graph(prediction);
    if (g && prediction->type.rank < 2)
        cj_graph_fail(g, CJ_ERR_SHAPE,
                      "%s: the prediction has rank %d, expected [batch, classes] or more axes",
                      loss, prediction->type.rank);
    return g && prediction->type.rank >= 2;
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

cj_node *cj__loss_one_hot(cj_node *prediction, cj_node *target, const char *loss)
{
    if (!cj__loss_classes(prediction, loss) || !target) return NULL;
    cj_dim classes = cj_node_dim(prediction, -1);
    if (target == cj_zero || classes == 1) return cj__target_like(prediction, target, loss);
    if (target->type.rank == prediction->type.rank && cj_node_dim(target, -1) == 1)
        target = cj_squeeze(target, -1);
    if (!target || target->type.rank + 1 != prediction->type.rank)
        return cj__target_like(prediction, target, loss);
    if (classes < 0)
        return cj_graph_fail(prediction->call->graph, CJ_ERR_SHAPE,
                             "%s: class numbers need a fixed number of classes, found %s", loss,
                             cj_dim_text(prediction->call->graph, classes));
    if (cj_dtype_info(target->type.dtype)->kind == CJ_KIND_FLOAT) target = cj_cast(target, CJ_I32);
    return cj__target_like(prediction, cj_one_hot(target, classes, prediction->type.dtype), loss);
}

cj_node *cj__loss_list(cj_node *prediction, const cj_floats *list, bool one, const char *loss,
                       const char *option)
{
    cj_graph *g = cj_node_graph(prediction);
    if (!g) return NULL;
    if (one && list->n == 1) return cj_scalar(g, prediction->type.dtype, list->v[0]);
    cj_dim last = prediction->type.rank > 1 ? cj_node_dim(prediction, -1) : 1;
    if (list->n != last)
        return cj_graph_fail(g, CJ_ERR_SHAPE, "%s: %s has %d number%s, expected %s", loss, option,
                             list->n, list->n == 1 ? "" : "s", cj_dim_text(g, last));
    cj_tensor *t = cj_tensor_from(g->cj, CJ_F64, 1, (const int64_t[]){list->n}, list->v);
    cj_node *node = t ? cj_constant(g, t) : cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory");
    cj_tensor_free(t);
    return cj_cast(node, prediction->type.dtype);
}

cj_node *cj__loss_smoothed(cj_node *prediction, cj_node *target, double share, const char *loss)
{
    if (!target || share <= 0) return target;
    cj_dim classes = cj_node_dim(prediction, -1);
    if (classes < 0)
        return cj_graph_fail(prediction->call->graph, CJ_ERR_SHAPE,
                             "%s: label_smoothing needs a fixed number of classes, found %s", loss,
                             cj_dim_text(prediction->call->graph, classes));
    return cj_shift(cj_scale(target, 1 - share), share / (classes > 0 ? (double)classes : 1));
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* x with its first axes as one. */
static cj_node *folded(cj_node *x, int axes)
{
    cj_dim dims[CJ_RANK_MAX] = {1};
    if (!x) return NULL;
    for (int i = 0; i < axes; i++)
        dims[0] = cj_dim_mul(x->call->graph, dims[0], x->type.dim[i]);
    for (int i = axes; i < x->type.rank; i++) dims[i - axes + 1] = x->type.dim[i];
    return cj_reshape(x, x->type.rank - axes + 1, dims);
}

cj__judged cj__judged_steps(cj__judged samples, cj_node *mask)
{
    const cj_node *p = samples.prediction, *t = samples.target;
    cj_node *w = samples.weight;
    if (!mask || !p || !t || cj__is_zero(t) || (w && w->type.rank != 1)) return samples;
    const int axes = mask->type.rank;
    bool has = t->type.rank >= axes && p->type.rank >= axes;
    for (int i = 0; has && i < axes; i++) {
        cj_dim a = p->type.dim[i], b = t->type.dim[i];
        has = a == b || a < 0 || b < 0;
    }
    if (!has) return samples;
    if (w && cj_dtype_info(w->type.dtype)->kind != CJ_KIND_FLOAT) w = cj_cast(w, p->type.dtype);
    cj_node *weight = cj_broadcast_to(cj_cast(mask, w ? w->type.dtype : p->type.dtype), axes,
                                      p->type.dim);
    if (w) weight = cj_mul(weight, cj__mask_like(w, mask));
    return (cj__judged){folded(samples.prediction, axes), folded(samples.target, axes),
                        folded(weight, axes)};
}

/* ---- In graphs ------------------------------------------------------------------------------- */

cj_node *cj__loss_build(const cj_loss *row, const void *options, cj_node *prediction,
                        cj_node *target, cj_node **count)
{
    cj_graph *g = cj_node_graph(prediction);
    *count = NULL;
    if (!g || !target || cj_graph_failed(g)) return NULL;
    const char *outer = g->layer;
    cj__graph_layer(g, "loss");
    cj_node *each = row->build(prediction, target, options);
    if (each && row->count) *count = row->count(prediction, target, options);
    g->layer = outer;
    if (each && each->type.rank != 1)
        return cj_graph_fail(g, CJ_ERR_SHAPE, "loss %s gave rank %d, not one number a sample",
                             row->name, each->type.rank);
    return cj_graph_failed(g) ? NULL : each;
}

/* The row and options that a text names; the graph fails when there are none. */
static bool parse(cj_node *prediction, const char *loss, cj__named *named)
{
    cj_graph *g = cj_node_graph(prediction);
    if (!g || cj_graph_failed(g)) return false;
    cj_status failed = cj__named_parse(&g->arena, g->cj, CJ__ROW_LOSS, loss, named);
    if (failed) cj_graph_fail(g, failed, "%s", cj_message(g->cj));
    return !failed;
}

cj_node *(cj_loss_node)(cj_node *prediction, cj_node *target, const char *loss)
{
    cj__named named;
    cj_node *count;
    if (!target || !parse(prediction, loss, &named)) return NULL;
    return cj__loss_build(named.row, named.options, prediction, target, &count);
}

/* A weight [batch] in the prediction's dtype; NULL when it has another shape. */
static cj_node *sample_weight(cj_node *prediction, cj_node *weight)
{
    cj_graph *g = cj_node_graph(prediction);
    const cj_dim batch = prediction->type.rank ? prediction->type.dim[0] : 1;
    if (weight->type.rank == 2 && weight->type.dim[1] == 1) weight = cj_squeeze(weight, 1);
    if (!weight) return NULL;
    if (weight->type.rank != 1 ||
        !cj__dim_agree(g, prediction->call, weight->type.dim[0], batch))
        return cj_graph_fail(g, CJ_ERR_SHAPE,
                             "loss: sample_weight has rank %d and %s along axis 0, expected [%s]",
                             weight->type.rank,
                             weight->type.rank ? cj_dim_text(g, weight->type.dim[0]) : "nothing",
                             cj_dim_text(g, batch));
    return cj_cast(weight, prediction->type.dtype);
}

cj_node *(cj_loss_reduced)(cj_node *prediction, cj_node *target, const char *loss,
                           const cj_loss_opts *opts)
{
    static const char *const words[] = {"mean", "sum", "none", NULL};
    cj__named named;
    cj_node *count;
    if (!target || !parse(prediction, loss, &named)) return NULL;
    cj_loss_opts o = {0};
    if (!cj__graph_opts(cj_node_graph(prediction), loss, &o, sizeof o, opts)) return NULL;
    int reduction = 0;
    while (o.reduction && words[reduction] && strcmp(words[reduction], o.reduction)) reduction++;
    if (!words[reduction])
        return cj_graph_fail(cj_node_graph(prediction), CJ_ERR_ARGUMENT,
                             "loss: reduction='%.100s' is none of mean, sum, none", o.reduction);
    cj__judged judged = {prediction, target, NULL};
    if (o.sample_weight && !(judged.weight = sample_weight(prediction, o.sample_weight)))
        return NULL;
    if (!((const cj_loss *)named.row)->whole)
        judged = cj__judged_steps(judged, cj_mask_of(prediction));
    cj_node *each = cj__loss_build(named.row, named.options, judged.prediction, judged.target,
                                   &count);
    if (!each) return NULL;
    cj_node *weight = cj_cast(judged.weight, each->type.dtype);
    if (weight) each = cj_mul(each, weight);
    if (reduction) return reduction == 1 ? cj_sum(each) : each;
    if (!weight && !count) return cj_mean(each);
    return cj__loss_weighted_mean(each, count && weight ? cj_mul(weight, count)
                                        : count         ? count
                                                        : weight);
}

cj_node *cj__loss_weighted_mean(cj_node *weighted, cj_node *weight)
{
    /* A batch of zero weights teaches nothing. */
    return cj_div(cj_sum(weighted), cj_maximum(cj_sum(weight), cj__number_like(weight, 1e-30)));
}
