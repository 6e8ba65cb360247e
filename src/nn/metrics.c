/* metrics.c: how metrics add up over batches, and how they read predictions and targets.
 *
 * The sums of a batch are nodes; the host adds them in double, and a number is made from the
 * totals, so it does not depend on how samples were cut into batches. Metrics that judge ranks keep
 * a record a sample instead. The families are in files of their own:
 *
 *     metrics_class.c        what was said against what was true: tables of counts
 *     metrics_probability.c  how sure it was said: log loss, Brier score, calibration
 *     metrics_number.c       numbers against numbers: errors, and moments for R2 and correlation
 *     metrics_ranking.c      ROC, precision-recall and ranks, from the samples themselves
 *     metrics_detection.c    boxes found against true ones
 *
 * The compiler's common-subexpression pass makes one of what several metrics ask for. */
#include "nn/metrics.h"

#include <math.h>

#include "tensor/tensor.h"

/* ---- Totals ---------------------------------------------------------------------------------- */

static cj_status append(cj_context *cj, cj__tally *t, const cj_tensor *records)
{
    int64_t rows = cj_tensor_shape(records)[0], n = cj_tensor_shape(records)[1], wanted;
    size_t size = sizeof *t->v;
    if (CJ__ADD_OVERFLOWS(t->count, rows, &wanted) || CJ__MUL_OVERFLOWS(wanted, n, &wanted) ||
        wanted > INT64_MAX / 32)
        return cj_fail(cj, CJ_ERR_LIMIT, "a metric has more than %lld records",
                       (long long)t->count);
    if (wanted > t->capacity) {
        int64_t capacity = 2 * wanted;
        double *grown = cj__realloc(cj, t->v, (size_t)t->capacity * size, (size_t)capacity * size);
        if (!grown) return cj_last_status(cj);
        t->v = grown;
        t->capacity = capacity;
    }
    double *to = t->v + t->count * n;
    for (int64_t i = 0; i < rows * n; i++)
        to[i] = cj_load_f64(cj_tensor_dtype(records), cj__tensor_data(records), (size_t)i);
    t->n = n;
    t->count += rows;
    return CJ_OK;
}

cj_status cj__tally_add(cj_context *cj, const cj_metric *row, cj__tally *t, const cj_tensor *batch)
{
    if (row->collects) return append(cj, t, batch);
    if (row->merge) {
        row->merge(t->v, cj__tensor_data(batch), t->n);
        return CJ_OK;
    }
    for (int64_t i = 0; i < t->n; i++)
        t->v[i] += cj_load_f64(cj_tensor_dtype(batch), cj__tensor_data(batch), (size_t)i);
    return CJ_OK;
}

int64_t cj__metric_numbers(const cj_metric *row, const void *options, int64_t n, bool *list)
{
    int64_t numbers = row->numbers ? row->numbers(n, options) : 0;
    *list = numbers > 0;
    return numbers > 0 ? numbers : 1;
}

cj_status cj__tally_values(cj_context *cj, const cj_metric *row, const void *options,
                           const cj__tally *t, double *out)
{
    cj_metric_totals totals = {.v = t->v, .n = t->n, .count = row->collects ? t->count : 1};
    int64_t scratch = !row->collects ? 0
                      : row->scratch ? row->scratch(t->n, t->count, options)
                                     : 8 * t->count;
    size_t bytes = (size_t)scratch * sizeof *totals.scratch;
    bool list;
    int64_t numbers = cj__metric_numbers(row, options, t->n, &list);
    if (bytes && !(totals.scratch = cj__alloc(cj, bytes))) return cj_last_status(cj);
    for (int64_t i = 0; i < numbers; i++) {
        double value = row->value(&totals, i, options);
        out[i] = isnan(value) ? (double)NAN : value; /* a NaN without a sign: "nan" when printed */
    }
    cj__free(cj, totals.scratch, bytes);
    return CJ_OK;
}

void cj__tally_release(cj_context *cj, cj__tally *t)
{
    cj__free(cj, t->capacity ? t->v : NULL, (size_t)t->capacity * sizeof *t->v);
    *t = (cj__tally){0};
}

/* ---- Sums ------------------------------------------------------------------------------------ */

double cj__ratio(double a, double b, double otherwise) { return b != 0 ? a / b : otherwise; }

double cj__mean_value(const cj_metric_totals *t, int64_t i, const void *options)
{
    (void)i, (void)options;
    return cj__ratio(t->v[0], t->v[1], 0);
}

/* count: what each counts for besides its weight; NULL: 1. */
static cj_node *counted_sums(cj_node *each, cj_node *count, cj_node *weight)
{
    if (!each || !weight) return NULL;
    weight = cj_cast(weight, CJ_F64);
    cj_node *counted = count ? cj_mul(cj_cast(count, CJ_F64), weight) : weight;
    cj_node *sums[] = {cj_sum(cj_mul(cj_cast(each, CJ_F64), weight)), cj_sum(counted)};
    return sums[0] && sums[1] ? cj_stack(sums, 2, 0) : NULL;
}

cj_node *cj__mean_sums(cj_node *each, cj_node *weight)
{
    return counted_sums(each, NULL, weight);
}

cj_node *cj__sum_axis(cj_node *x, int axis, bool keep)
{
    int64_t a = axis;
    return x ? cj_reduce_sum(x, 1, &a, keep) : NULL;
}

static cj_node *build_loss(cj_node *prediction, cj_node *target, cj_node *weight,
                           const void *options)
{
    const cj__named *loss = options;
    cj_node *count, *each = cj__loss_build(loss->row, loss->options, prediction, target, &count);
    return counted_sums(each, count, weight);
}
const cj_metric cj__metric_of_loss = {.name = "loss",
                                      .doc = "mean of a loss",
                                      .build = build_loss,
                                      .value = cj__mean_value,
                                      .smaller_is_better = true};

/* ---- Reading predictions and targets --------------------------------------------------------- */

cj_node *cj__flat(cj_node *x) { return x ? cj_reshape(x, 1, (const cj_dim[]){CJ_INFER}) : NULL; }

static cj_node *as_rows(cj_node *x, cj_dim width)
{
    return x ? cj_reshape(x, 2, (const cj_dim[]){CJ_INFER, width}) : NULL;
}

/* [batch] -> the shape of `like` [batch, ...] -> f64 [n] */
static cj_node *weight_like(cj_node *weight, cj_node *like)
{
    weight = cj_cast(weight, CJ_F64);
    for (int i = 1; weight && like && i < like->type.rank; i++) weight = cj_expand_dims(weight, -1);
    return weight && like ? cj__flat(cj_broadcast_to(weight, like->type.rank, like->type.dim))
                          : NULL;
}

static cj_dim last_axis(cj_node *prediction, const char *metric)
{
    int rank = prediction->type.rank;
    cj_dim last = rank > 1 ? prediction->type.dim[rank - 1] : -1;
    if (last < 1)
        cj_graph_fail(prediction->call->graph, CJ_ERR_SHAPE,
                      "%s: the prediction needs a last axis of classes of a known size", metric);
    return last;
}

bool cj__take_labels(cj_node *prediction, cj_node *target, cj_node *weight, double threshold,
                     const char *metric, cj__labels *out)
{
    if (!prediction || !target || !weight) return false;
    cj_graph *g = prediction->call->graph;
    int rank = prediction->type.rank;
    cj_dim last = last_axis(prediction, metric);
    if (last < 1) return false;
    bool same_rank = target->type.rank == rank;
    *out = (cj__labels){.one_output = last == 1, .classes = last == 1 ? 2 : last};
    if (!same_rank && target->type.rank != rank - 1)
        return cj_graph_fail(g, CJ_ERR_SHAPE, "%s: the prediction has rank %d, the target rank %d",
                             metric, rank, target->type.rank),
               false;
    cj_node *said = prediction, *truth = target;
    if (out->one_output) {
        said = cj_cast(cj_greater(prediction, cj_scalar(g, prediction->type.dtype, threshold)),
                       CJ_I64);
        if (said) said = cj_squeeze(said, -1);
        if (same_rank) truth = cj_squeeze(truth, -1);
        out->scores = cj__flat(prediction);
    } else {
        said = cj_argmax(prediction, -1, false);
        if (same_rank)
            truth = cj_node_dim(truth, -1) == 1 ? cj_squeeze(truth, -1)
                                                : cj_argmax(truth, -1, false);
        out->scores = as_rows(prediction, last);
    }
    out->weight = weight_like(weight, said);
    out->truth = cj__flat(truth ? cj_cast(truth, CJ_I64) : NULL);
    out->said = cj__flat(said);
    if (!out->truth || !out->said || !out->weight) return false;
    cj_node *known = cj__sum_axis(cj_one_hot(out->truth, out->classes, CJ_F64), 1, false);
    out->masked = known ? cj_mul(out->weight, known) : NULL;
    return out->masked && out->scores;
}

bool cj__take_rows(cj_node *prediction, cj_node *target, cj_node *weight, const char *metric,
                   cj_node *out[3])
{
    target = cj__target_like(prediction, target, metric);
    if (!target || !weight) return false;
    bool flat = prediction->type.rank < 2;
    cj_dim width = flat ? 1 : last_axis(prediction, metric);
    if (width < 1) return false;
    /* One number of each row says what the weights must be like. */
    cj_node *first = flat ? prediction : cj_squeeze(cj_slice_axis(prediction, -1, 0, 1), -1);
    out[0] = cj_cast(as_rows(prediction, width), CJ_F64);
    out[1] = cj_cast(as_rows(target, width), CJ_F64);
    out[2] = weight_like(weight, first);
    return out[0] && out[1] && out[2];
}
