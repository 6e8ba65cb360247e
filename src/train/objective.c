/* objective.c: a model, its targets, losses and metrics in one graph.
 *
 * fit compiles it for training and for validation, evaluate for evaluation. What is reported are
 * sums over samples, added on the host in double:
 *
 *     head     of each output {sum of loss times weight, sum of weights, sum of counts times
 *              weight}, then penalty times the first sum of weights, in double; counts are 1 but
 *              for losses that leave something out of a sample or weigh it (cj_loss.count)
 *     metrics  a vector each, as their rows say, or records that are kept
 *
 * so the numbers of an epoch are those of all its samples, whatever the batches were. Where the
 * model's output has a mask (cj_mask_of), its steps are the samples: those that do not count weigh
 * nothing. */
#include "train/train.h"

#include "base/option.h"
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

static cj_status wrong(const cj__objective *o, cj_status status, const char *format, ...)
    CJ_PRINTF(3, 4);
static cj_status wrong(const cj__objective *o, cj_status status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    cj__vformat(text, sizeof text, format, args);
    va_end(args);
    return cj_fail(o->cj, status, "%s", text);
}

/* ---- Which fields ---------------------------------------------------------------------------- */

static cj_status find_fields(cj__objective *o, const cj_dataset *data)
{
    int only = -1;
    o->weight_field = -1;
    for (int i = cj_dataset_fields(data) - 1; i >= 0; i--) {
        cj_field_role role = cj_dataset_field(data, i)->role;
        if (role == CJ_FIELD_INPUT) only = i;
        if (role == CJ_FIELD_WEIGHT) o->weight_field = i;
    }
    for (int i = 0; i < o->n_inputs; i++) {
        int found = cj_dataset_field_find(data, o->raw[i]->name);
        if (found < 0 || cj_dataset_field(data, found)->role != CJ_FIELD_INPUT)
            found = o->n_inputs == 1 ? only : -1;
        if (found < 0)
            return wrong(o, CJ_ERR_NOT_FOUND, "%s has no field for the model's input '%s'",
                         o->data_name, o->raw[i]->name);
        o->input_field[i] = found;
        const cj_field *f = cj_dataset_field(data, found);
        const cj_type *type = &o->raw[i]->type;
        bool same = f->dtype == type->dtype && f->rank + 1 == type->rank;
        for (int k = 0; same && k < f->rank; k++)
            same = type->dim[k + 1] < 0 || type->dim[k + 1] == f->shape[k];
        cj__text text;
        cj__text_init(&text, o->cj);
        cj__type_text(&text, o->graph, type);
        cj__shape_text shape;
        cj_status failed = text.failed;
        if (!failed && !same)
            failed = wrong(o, CJ_ERR_SHAPE,
                           "the model's input takes %s, but a sample of '%s' of %s is %s %s",
                           cj__text_string(&text), f->name, o->data_name,
                           cj_dtype_info(f->dtype)->name,
                           cj__shape_string(&shape, f->rank, f->shape));
        cj__text_release(&text);
        CJ__TRY(failed);
    }
    return CJ_OK;
}

/* ---- Building -------------------------------------------------------------------------------- */

cj_status cj__objective_status(const cj__objective *o)
{
    cj_status failed = cj_graph_failed(o->graph);
    return failed ? failed : cj_last_status(o->cj) ? cj_last_status(o->cj) : CJ_ERR_MEMORY;
}

/* The losses of all goals, and of layers, become one; what is reported is without auxiliaries. */
static cj_status build_loss(cj__objective *o, const cj_dataset *data)
{
    cj_node *head[CJ__SUMS * CJ__GOALS_MAX + 1], *penalty = cj_scalar(o->graph, CJ_F64, 0);
    const cj__layers *layers = cj__layers_of(o->graph);
    int n = 0;
    if (o->weight_field >= 0) {
        o->weight = cj__goal_placeholder(o, "cajal/weight",
                                         cj_dataset_field(data, o->weight_field));
        if (!o->weight) return cj__objective_status(o);
    }
    for (int i = 0; i < o->n_goals; i++) {
        cj__goal *goal = &o->goals[i];
        CJ__TRY(cj__goal_build(o, goal));
        o->loss = o->loss ? cj_add(o->loss, cj_cast(goal->loss, o->loss->type.dtype)) : goal->loss;
        for (int k = 0; !goal->auxiliary && k < CJ__SUMS; k++) head[n++] = goal->sums[k];
    }
    for (int i = 0; layers && i < layers->n_losses; i++) {
        o->loss = cj_add(o->loss, layers->losses[i]);
        penalty = cj_add(penalty, cj_cast(layers->losses[i], CJ_F64));
    }
    head[n++] = cj_mul(penalty, head[CJ__SUM_WEIGHT]);
    o->sums[o->n_sums++] = o->loss && head[n - 1] ? cj_stack(head, n, 0) : NULL;
    o->n_head = o->n_totals = n;
    return o->sums[0] ? CJ_OK : cj__objective_status(o);
}

static cj_status add_metric(cj__objective *o, const cj__goal *goal, const cj_metric *row,
                            const char *name, const void *options)
{
    bool whole = row == &cj__metric_of_loss &&
                 ((const cj_loss *)((const cj__named *)options)->row)->whole;
    const cj__judged *judged = whole ? &goal->samples : &goal->steps;
    cj_node *sums = row->build(judged->prediction, judged->target, judged->weight, options);
    if (!sums)
        return cj__prefix(o->cj, cj__objective_status(o),
                          "metric %s of output '%s' and target '%s'", name, goal->name,
                          goal->info->name);
    int rank = row->collects ? 2 : 1;
    if (sums->type.rank != rank || sums->type.dim[rank - 1] < 0 ||
        sums->type.dim[rank - 1] > 1 << 24 || (row->merge && sums->type.dtype != CJ_F64))
        return wrong(o, CJ_ERR_SHAPE, "metric %s did not give a vector of a fixed length%s",
                     name, row->merge ? " in f64" : "");
    cj__metric_use *use = &o->metrics[o->n_sums - 1];
    *use = (cj__metric_use){.row = row,
                            .name = name,
                            .options = options,
                            .first = o->n_totals,
                            .n = (int)sums->type.dim[rank - 1]};
    use->numbers = cj__metric_numbers(row, options, use->n, &use->list);
    if (row->value) o->n_numbers += use->numbers;
    if (o->n_numbers > CJ__METRICS_MAX)
        return wrong(o, CJ_ERR_LIMIT, "metric %s: with its %lld numbers there are %lld, above %d",
                     name, (long long)use->numbers, (long long)o->n_numbers, CJ__METRICS_MAX);
    if (!row->collects) o->n_totals += use->n;
    o->sums[o->n_sums++] = sums;
    return CJ_OK;
}

/* "f1(average=micro)"; what is no metric but a loss is its mean. */
static cj_status find_metric(cj__objective *o, const char *text, char **name, const cj_metric **row,
                             const void **options)
{
    cj__named named;
    const char *rest;
    CJ__TRY(cj__options_parse_name(&o->arena, text, name, &rest));
    if (!cj__named_known(o->cj, CJ__ROW_METRIC, *name) &&
        cj__named_known(o->cj, CJ__ROW_LOSS, *name)) {
        cj__named *loss = cj__arena_alloc(&o->arena, sizeof *loss);
        if (!loss) return CJ_ERR_MEMORY;
        *row = &cj__metric_of_loss;
        *options = loss;
        return cj__named_parse(&o->arena, o->cj, CJ__ROW_LOSS, text, loss);
    }
    CJ__TRY(cj__named_parse(&o->arena, o->cj, CJ__ROW_METRIC, text, &named));
    *row = named.row;
    *options = named.options;
    return CJ_OK;
}

/* One of the list. Of the first output a score has the metric's name, of another "output_name" as
 * in Keras. */
static cj_status build_metric(cj__objective *o, const cj__goal *goal, const char *item)
{
    const cj_metric *row;
    const void *options;
    char *name;
    CJ__TRY(find_metric(o, item, &name, &row, &options));
    if (!row->value)
        return wrong(o, CJ_ERR_ARGUMENT, "metric %s is no single number: evaluate gives it", name);
    if (goal->auxiliary)
        return wrong(o, CJ_ERR_ARGUMENT,
                     "metric %s of '%s': an auxiliary result counts in training alone", name,
                     goal->name);
    if (goal != o->goals && !(name = cj__arena_printf(&o->arena, "%s_%s", goal->name, name)))
        return CJ_ERR_MEMORY;
    if (strlen(name) + sizeof "val_[12345678]" > CJ_NAME_MAX)
        return wrong(o, CJ_ERR_LIMIT, "metric %.50s: its name is too long", name);
    if (o->n_metrics == CJ__METRICS_MAX)
        return wrong(o, CJ_ERR_LIMIT, "more than %d metrics", CJ__METRICS_MAX);
    for (int i = 0; i < o->n_metrics; i++)
        if (!strcmp(o->metrics[i].name, name))
            return wrong(o, CJ_ERR_ARGUMENT, "metric %s is there twice", name);
    CJ__TRY(add_metric(o, goal, row, name, options));
    o->n_metrics++;
    return CJ_OK;
}

static cj_status build_metrics(cj__objective *o)
{
    const char *text = o->metrics_text;
    if (!strcmp(text, "none")) return CJ_OK;
    for (;;) {
        cj__goal *goal;
        char *item;
        CJ__TRY(cj__goal_item(o, "metrics", &text, &item, &goal));
        if (!item) return CJ_OK;
        CJ__TRY(build_metric(o, goal ? goal : o->goals, item));
    }
}

static cj_status build_confusion(cj__objective *o)
{
    static const char *const row_name = "confusion";
    cj__named named;
    const cj__goal *goal = &o->goals[0];
    if (goal->info->kind == CJ_FIELD_BOXES)
        return wrong(o, CJ_ERR_ARGUMENT,
                     "the target '%s' of %s are boxes: they are matched, not confused",
                     goal->info->name, o->data_name);
    if (!goal->info->classes)
        return wrong(o, CJ_ERR_ARGUMENT,
                     "the target '%s' of %s is a number: there are no classes to confuse",
                     goal->info->name, o->data_name);
    CJ__TRY(cj__named_parse(&o->arena, o->cj, CJ__ROW_METRIC, row_name, &named));
    CJ__TRY(add_metric(o, goal, named.row, row_name, named.options));
    o->confusion_classes = cj__goal_width(goal) == 1 ? 2 : cj__goal_width(goal);
    return CJ_OK;
}

/* Whether the model's input is what it is to give: said in its first fit, and known by the name of
 * its target. */
static cj_status restores(cj__objective *o, const cj_dataset *data)
{
    const char *target = o->model->target;
    const int field = target ? cj_dataset_field_find(data, target) : -1;
    o->restores = field >= 0 && cj_dataset_field(data, field)->role == CJ_FIELD_INPUT;
    if (o->restores && o->n_inputs != 1)
        return wrong(o, CJ_ERR_ARGUMENT,
                     "the model has %d inputs; one is possible where the target is the input",
                     o->n_inputs);
    return CJ_OK;
}

static const char *default_metrics(const cj__goal *goal)
{
    if (goal->info->kind == CJ_FIELD_BOXES) return "mean_average_precision, map50";
    return goal->info->classes ? "accuracy" : "none";
}

static cj_status build(cj__objective *o, const cj_dataset *data, const char *loss,
                       const char *metrics, bool confusion)
{
    const cj_graph *model = o->model->graph;
    CJ__TRY(cj_model_failed(o->model));
    if ((o->n_inputs = cj_graph_input_count(model)) < 1 || o->n_inputs > CJ__INPUTS_MAX)
        return wrong(o, CJ_ERR_ARGUMENT, "the model has %d inputs; 1 to %d are possible",
                     o->n_inputs, CJ__INPUTS_MAX);
    o->graph = cj__model_assemble(o->model, o->raw, NULL);
    if (!o->graph) return cj_last_status(o->cj) ? cj_last_status(o->cj) : CJ_ERR_MEMORY;
    CJ__TRY(cj_graph_failed(o->graph));
    CJ__TRY(find_fields(o, data));
    CJ__TRY(restores(o, data));
    CJ__TRY(cj__goals_find(o, data));
    CJ__TRY(cj__goals_choose_losses(o, loss));
    o->metrics_text = cj__arena_strdup(&o->arena,
                                       metrics ? metrics : default_metrics(&o->goals[0]));
    if (!o->metrics_text) return CJ_ERR_MEMORY;
    CJ__TRY(build_loss(o, data));
    if (o->n_outputs > 1) o->n_numbers = o->n_outputs; /* NAME_loss of each */
    CJ__TRY(build_metrics(o));
    return confusion ? build_confusion(o) : CJ_OK;
}

cj_status cj__objective_init(cj__objective *o, cj_model *m, const cj_dataset *data,
                             const char *loss, const char *metrics, bool confusion)
{
    *o = (cj__objective){.cj = m->cj, .model = m, .data_name = cj_dataset_name(data)};
    cj__arena_init(&o->arena, m->cj);
    cj_status failed = build(o, data, loss, metrics, confusion);
    if (!failed) return CJ_OK;
    cj__objective_release(o);
    return failed;
}

void cj__objective_release(cj__objective *o)
{
    if (!o->cj) return;
    cj_graph_free(o->graph);
    cj__arena_release(&o->arena);
    *o = (cj__objective){0};
}

/* ---- Running --------------------------------------------------------------------------------- */

cj_status cj__objective_check(const cj__objective *o, const cj_dataset *other,
                              const cj_dataset *data)
{
    const char *name = cj_dataset_name(other);
    if (cj_dataset_fields(other) != cj_dataset_fields(data))
        return wrong(o, CJ_ERR_ARGUMENT, "%s has %d fields, but %s has %d", name,
                     cj_dataset_fields(other), o->data_name, cj_dataset_fields(data));
    for (int i = 0; i < cj_dataset_fields(data); i++) {
        const cj_field *a = cj_dataset_field(data, i), *b = cj_dataset_field(other, i);
        bool same = a->dtype == b->dtype && cj__same_shape(a->rank, a->shape, b->rank, b->shape) &&
                    a->role == b->role;
        if (!same)
            return wrong(o, CJ_ERR_ARGUMENT,
                         "field '%s' of %s has another type or shape than '%s' of %s", b->name,
                         name, a->name, o->data_name);
        if (b->classes > a->classes)
            return wrong(o, CJ_ERR_ARGUMENT, "'%s' of %s has %d classes, that of %s %d", b->name,
                         name, b->classes, o->data_name, a->classes);
    }
    return CJ_OK;
}

int cj__objective_feed(const cj__objective *o, const cj_batch *batch, cj_feed *feeds)
{
    int n = 0;
    for (int i = 0; i < o->n_inputs; i++)
        feeds[n++] = (cj_feed){.node = o->raw[i], .value = batch->tensors[o->input_field[i]]};
    for (int i = 0; i < o->n_goals; i++) {
        const cj__goal *goal = &o->goals[i];
        if (goal->target)
            feeds[n++] = (cj_feed){.node = goal->target, .value = batch->tensors[goal->field]};
    }
    if (o->weight_field >= 0)
        feeds[n++] = (cj_feed){.node = o->weight, .value = batch->tensors[o->weight_field]};
    return n;
}

cj_status cj__objective_outputs(const cj__objective *o, cj_tensor **outputs)
{
    for (int i = 0; i < o->n_sums; i++) {
        if (i > 0 && o->metrics[i - 1].row->collects) continue;
        outputs[i] = cj_tensor_new(o->cj, o->sums[i]->type.dtype, 1, o->sums[i]->type.dim);
        if (!outputs[i]) return cj_last_status(o->cj);
    }
    return CJ_OK;
}

cj_status cj__totals_init(const cj__objective *o, cj__arena *arena, cj__totals *t)
{
    *t = (cj__totals){.sums = cj__arena_array(arena, (size_t)o->n_totals, sizeof *t->sums)};
    if (!t->sums) return CJ_ERR_MEMORY;
    for (int i = 0; i + 1 < o->n_sums; i++) {
        const cj__metric_use *use = &o->metrics[i];
        t->metrics[i] = (cj__tally){.v = use->row->collects ? NULL : t->sums + use->first,
                                    .n = use->n};
    }
    cj__totals_zero(o, t);
    return CJ_OK;
}

void cj__totals_zero(const cj__objective *o, cj__totals *t)
{
    for (int i = 0; i < o->n_totals; i++) t->sums[i] = 0;
    for (int i = 0; i + 1 < o->n_sums; i++) t->metrics[i].count = 0;
}

void cj__totals_release(cj_context *cj, cj__totals *t)
{
    for (size_t i = 0; i < CJ__COUNT(t->metrics); i++) cj__tally_release(cj, &t->metrics[i]);
    *t = (cj__totals){0};
}

cj_status cj__objective_add(const cj__objective *o, cj_tensor **outputs, cj__totals *totals)
{
    const double *head = cj__tensor_data(outputs[0]);
    for (int i = 0; i < o->n_head; i++) totals->sums[i] += head[i];
    for (int i = 0; i + 1 < o->n_sums; i++) {
        const cj_metric *row = o->metrics[i].row;
        CJ__TRY(cj__tally_add(o->cj, row, &totals->metrics[i], outputs[i + 1]));
        if (!row->collects) continue;
        cj_tensor_free(outputs[i + 1]);
        outputs[i + 1] = NULL;
    }
    return CJ_OK;
}

static void score_name(const cj__metric_use *use, int64_t i, char name[CJ_NAME_MAX])
{
    if (use->list) cj__format(name, CJ_NAME_MAX, "%s[%lld]", use->name, (long long)i);
    else cj__format(name, CJ_NAME_MAX, "%s", use->name);
}

static double goal_loss(const cj__totals *totals, int i)
{
    const double *sums = totals->sums + i * CJ__SUMS, count = sums[CJ__SUM_COUNT];
    return sums[CJ__SUM_LOSS] / (count > 0 ? count : 1);
}

cj_status cj__objective_scores(const cj__objective *o, const cj__totals *totals, const char *prefix,
                               bool running, cj_scores *scores)
{
    double values[CJ__METRICS_MAX], weight = totals->sums[CJ__SUM_WEIGHT],
                                    loss = totals->sums[o->n_head - 1] / (weight > 0 ? weight : 1);
    char name[CJ_NAME_MAX];
    for (int i = 0; i < o->n_outputs; i++) loss += o->goals[i].weight * goal_loss(totals, i);
    cj__scores_set(scores, prefix, "loss", loss);
    for (int i = 0; o->n_outputs > 1 && i < o->n_outputs; i++) {
        cj__format(name, sizeof name, "%.*s_loss", CJ_NAME_MAX - 12, o->goals[i].name);
        cj__scores_set(scores, prefix, name, goal_loss(totals, i));
    }
    for (int i = 0; i < o->n_metrics; i++) {
        const cj__metric_use *use = &o->metrics[i];
        if (running && use->row->collects) continue;
        CJ__TRY(cj__tally_values(o->cj, use->row, use->options, &totals->metrics[i], values));
        for (int64_t k = 0; k < use->numbers; k++) {
            score_name(use, k, name);
            cj__scores_set(scores, prefix, name, values[k]);
        }
    }
    return CJ_OK;
}

const cj_metric *cj__objective_metric(const cj__objective *o, const char *name)
{
    char own[CJ_NAME_MAX];
    for (int i = 0; i < o->n_metrics; i++) {
        for (int64_t k = 0; k < o->metrics[i].numbers; k++) {
            score_name(&o->metrics[i], k, own);
            if (!strcmp(own, name)) return o->metrics[i].row;
        }
    }
    return NULL;
}

cj_status cj__objective_run(const cj__objective *o, cj_session *s, cj_loader *loader,
                            cj_tensor **outputs, cj__totals *totals)
{
    cj_batch batch;
    cj_feed feeds[CJ__FEEDS_MAX];
    cj__totals_zero(o, totals);
    CJ__TRY(cj_loader_seek(loader, 0, 0));
    for (;;) {
        CJ__TRY(cj_loader_next(loader, &batch));
        if (!batch.count) return CJ_OK;
        cj_status failed = cj_run(s, feeds, cj__objective_feed(o, &batch, feeds), outputs,
                                  o->n_sums);
        if (failed) return cj_fail(o->cj, failed, "%s", cj_session_message(s));
        CJ__TRY(cj__objective_add(o, outputs, totals));
    }
}
