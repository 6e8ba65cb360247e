/* objective.c: a model, its target, loss and metrics in one graph.
 *
 * fit compiles it for training and for validation, evaluate for evaluation. What is reported are
 * sums over samples, added on the host in double:
 *
 *     head     {sum of loss times weight, sum of weights, penalty times sum of weights, sum of
 *              counts times weight}, in double; counts are 1 but for losses that leave something
 *              out of a sample or weigh it (cj_loss.count)
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

/* ---- Which fields, which loss ---------------------------------------------------------------- */

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

static cj_status find_fields(cj__objective *o, const cj_dataset *data)
{
    int only = -1;
    o->target_field = o->weight_field = -1;
    for (int i = cj_dataset_fields(data) - 1; i >= 0; i--) {
        cj_field_role role = cj_dataset_field(data, i)->role;
        if (role == CJ_FIELD_INPUT) only = i;
        if (role == CJ_FIELD_TARGET) o->target_field = i;
        if (role == CJ_FIELD_WEIGHT) o->weight_field = i;
    }
    if (o->target_field < 0)
        return wrong(o, CJ_ERR_ARGUMENT,
                     "%s has no target, so there is nothing to learn or to compare with",
                     o->data_name);
    o->target_info = cj_dataset_field(data, o->target_field);
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

/* The size of the prediction's last axis; 1 for [batch]. */
static int64_t prediction_width(const cj__objective *o)
{
    const cj_type *type = &o->samples.prediction->type;
    return type->rank > 1 ? type->dim[type->rank - 1] : 1;
}

static const char *default_loss(const cj__objective *o)
{
    if (o->target_info->classes == 0) return "mse";
    return o->target_info->classes == 2 && prediction_width(o) == 1
               ? "binary_crossentropy"
               : "sparse_categorical_crossentropy";
}

/* Whether the loss leaves out labels: these are counted among the data's classes, but no output
 * stands for them. */
static bool ignores_labels(const cj__named *loss)
{
    const cj_option *o = cj__option_find(((const cj_loss *)loss->row)->options, "ignore_class");
    return o && ((const cj_ints *)(const void *)((const char *)loss->options + o->offset))->n > 0;
}

/* What newcomers get wrong most, said before shapes disagree somewhere inside. */
static cj_status check_loss(const cj__objective *o, const cj__named *named)
{
    const cj_loss *loss = named->row;
    const cj_field *target = o->target_info;
    int64_t width = prediction_width(o);
    const char *output = cj_graph_output_name(o->model->graph, 0);
    bool one_label = target->rank == 0 || (target->rank == 1 && target->shape[0] == 1);
    bool is_float = cj_dtype_info(target->dtype)->kind == CJ_KIND_FLOAT;
    if (loss->integer_target && is_float)
        return wrong(o, CJ_ERR_ARGUMENT,
                     "loss %s is for classes, but the target '%s' of %s is a number (%s): mse fits",
                     loss->name, target->name, o->data_name, cj_dtype_info(target->dtype)->name);
    if (loss->integer_target && target->classes && width > 0 && width != target->classes &&
        !ignores_labels(named))
        return wrong(o, CJ_ERR_SHAPE,
                     "the model's output '%s' has %lld values a sample, but '%s' of %s has %d "
                     "classes: the last "
                     "layer needs %d units",
                     output, (long long)width, target->name, o->data_name, target->classes,
                     target->classes);
    if (!strcmp(loss->name, "binary_crossentropy") && width == 1 && target->classes > 2)
        return wrong(
            o, CJ_ERR_SHAPE,
            "loss binary_crossentropy with one output is for two classes, but '%s' of %s has %d: "
            "sparse_categorical_crossentropy with %d units fits",
            target->name, o->data_name, target->classes, target->classes);
    if (!loss->integer_target && !loss->class_target && target->classes && one_label && width > 1)
        return wrong(o, CJ_ERR_SHAPE,
                     "loss %s compares every one of the %lld values of output '%s' with a target "
                     "of its own, but "
                     "'%s' of %s is one class number: sparse_categorical_crossentropy fits",
                     loss->name, (long long)width, output, target->name, o->data_name);
    return CJ_OK;
}

/* ---- Building -------------------------------------------------------------------------------- */

static cj_status graph_status(const cj__objective *o)
{
    cj_status failed = cj_graph_failed(o->graph);
    return failed ? failed : cj_last_status(o->cj) ? cj_last_status(o->cj) : CJ_ERR_MEMORY;
}

static cj_node *placeholder(cj__objective *o, const char *name, const cj_field *field)
{
    cj_dim dims[CJ_RANK_MAX] = {o->raw[0]->type.dim[0]};
    for (int i = 0; i < field->rank; i++) dims[i + 1] = field->shape[i];
    return cj_placeholder(o->graph, name, field->dtype, field->rank + 1, dims);
}

/* What is fed of the data, and with it what is compared: samples, and the steps of all samples that
 * count in the mask of the model's output. */
static void judge(cj__objective *o, const cj_dataset *data)
{
    const cj_node *output = o->model->graph->outputs.items[0].node;
    cj_node *prediction = o->samples.prediction, *weight = NULL;
    o->target = placeholder(o, "cajal/target", o->target_info);
    if (o->weight_field >= 0) {
        o->weight = placeholder(o, "cajal/weight", cj_dataset_field(data, o->weight_field));
        weight = o->weight ? cj_reshape(o->weight, 1, (const cj_dim[]){CJ_INFER}) : NULL;
    } else if (prediction->type.rank)
        weight = cj_broadcast_to(cj_scalar(o->graph, prediction->type.dtype, 1), 1,
                                 prediction->type.dim);
    o->samples.target = o->target;
    o->samples.weight = weight;
    o->steps = cj__judged_steps(o->samples,
                                cj__model_node_in(o->model, o->graph, cj_mask_of(output)));
}

static cj_status build_loss(cj__objective *o, const cj_dataset *data)
{
    cj__named named;
    cj_graph *g = o->graph;
    CJ__TRY(cj__named_parse(&o->arena, o->cj, CJ__ROW_LOSS, o->loss_text, &named));
    const cj_loss *row = named.row;
    CJ__TRY(check_loss(o, &named));
    judge(o, data);
    const cj__judged *judged = row->whole ? &o->samples : &o->steps;
    cj_node *count = NULL, *each = NULL;
    if (judged->target)
        each = cj__loss_build(row, named.options, judged->prediction, judged->target, &count);
    if (!each)
        return cj__prefix(o->cj, graph_status(o), "loss %s of output '%s' and target '%s'",
                          row->name, cj_graph_output_name(o->model->graph, 0),
                          o->target_info->name);
    cj_node *weight = cj_cast(judged->weight, each->type.dtype);
    cj_node *weighted = cj_mul(each, weight), *counted = count ? cj_mul(count, weight) : weight;
    if (!weighted || !counted) return graph_status(o);
    o->loss = cj__loss_weighted_mean(weighted, counted);
    cj_node *penalty = cj_scalar(g, CJ_F64, 0);
    const cj__layers *layers = cj__layers_of(g);
    for (int i = 0; layers && i < layers->n_losses; i++) {
        o->loss = cj_add(o->loss, layers->losses[i]);
        penalty = cj_add(penalty, cj_cast(layers->losses[i], CJ_F64));
    }
    cj_node *weights_f64 = cj_sum(cj_cast(weight, CJ_F64));
    cj_node *head[] = {cj_sum(cj_cast(weighted, CJ_F64)), weights_f64,
                       cj_mul(penalty, weights_f64), cj_sum(cj_cast(counted, CJ_F64))};
    bool all = o->loss != NULL;
    for (int i = 0; i < CJ__HEAD; i++) all = all && head[i];
    o->sums[o->n_sums++] = all ? cj_stack(head, CJ__HEAD, 0) : NULL;
    return o->sums[0] ? CJ_OK : graph_status(o);
}

static cj_status add_metric(cj__objective *o, const cj_metric *row, const char *name,
                            const void *options)
{
    bool whole = row == &cj__metric_of_loss &&
                 ((const cj_loss *)((const cj__named *)options)->row)->whole;
    const cj__judged *judged = whole ? &o->samples : &o->steps;
    cj_node *sums = row->build(judged->prediction, judged->target, judged->weight, options);
    if (!sums)
        return cj__prefix(o->cj, graph_status(o), "metric %s of output '%s' and target '%s'", name,
                          cj_graph_output_name(o->model->graph, 0), o->target_info->name);
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

static cj_status build_metrics(cj__objective *o)
{
    const char *text = o->metrics_text, *why = NULL;
    if (!strcmp(text, "none")) return CJ_OK;
    while (*text) {
        while (*text == ' ' || *text == ',') text++;
        if (!*text) break;
        const char *end = cj__option_item_end(text, &why);
        if (!end) return wrong(o, CJ_ERR_ARGUMENT, "metrics '%.100s': %s", o->metrics_text, why);
        char *item = cj__arena_printf(&o->arena, "%.*s", (int)(end - text), text);
        const cj_metric *row;
        const void *options;
        char *name;
        if (!item) return CJ_ERR_MEMORY;
        CJ__TRY(find_metric(o, item, &name, &row, &options));
        if (!row->value)
            return wrong(o, CJ_ERR_ARGUMENT, "metric %s is no single number: evaluate gives it",
                         name);
        if (strlen(name) + sizeof "val_[12345678]" > CJ_NAME_MAX)
            return wrong(o, CJ_ERR_LIMIT, "metric %.50s: its name is too long", name);
        if (o->n_metrics == CJ__METRICS_MAX)
            return wrong(o, CJ_ERR_LIMIT, "more than %d metrics", CJ__METRICS_MAX);
        for (int i = 0; i < o->n_metrics; i++)
            if (!strcmp(o->metrics[i].name, name))
                return wrong(o, CJ_ERR_ARGUMENT, "metric %s is there twice", name);
        CJ__TRY(add_metric(o, row, name, options));
        o->n_metrics++;
        text = end;
    }
    return CJ_OK;
}

static cj_status build_confusion(cj__objective *o)
{
    static const char *const row_name = "confusion";
    cj__named named;
    if (!o->target_info->classes)
        return wrong(o, CJ_ERR_ARGUMENT,
                     "the target '%s' of %s is a number: there are no classes to confuse",
                     o->target_info->name, o->data_name);
    CJ__TRY(cj__named_parse(&o->arena, o->cj, CJ__ROW_METRIC, row_name, &named));
    CJ__TRY(add_metric(o, named.row, row_name, named.options));
    o->confusion_classes = prediction_width(o) == 1 ? 2 : prediction_width(o);
    return CJ_OK;
}

static cj_status build(cj__objective *o, const cj_dataset *data, const char *loss,
                       const char *metrics, bool confusion)
{
    cj_node *outputs[CJ__INPUTS_MAX] = {0};
    const cj_graph *model = o->model->graph;
    CJ__TRY(cj_model_failed(o->model));
    if (cj_graph_output_count(model) != 1)
        return wrong(o, CJ_ERR_ARGUMENT, "the model has %d outputs; one is needed (cj_output)",
                     cj_graph_output_count(model));
    if ((o->n_inputs = cj_graph_input_count(model)) < 1 || o->n_inputs > CJ__INPUTS_MAX)
        return wrong(o, CJ_ERR_ARGUMENT, "the model has %d inputs; 1 to %d are possible",
                     o->n_inputs, CJ__INPUTS_MAX);
    o->graph = cj__model_assemble(o->model, o->raw, outputs);
    if (!o->graph) return cj_last_status(o->cj) ? cj_last_status(o->cj) : CJ_ERR_MEMORY;
    CJ__TRY(cj_graph_failed(o->graph));
    o->samples.prediction = outputs[0];
    CJ__TRY(find_fields(o, data));
    o->loss_text = cj__arena_strdup(&o->arena, loss ? loss : default_loss(o));
    o->metrics_text = cj__arena_strdup(&o->arena, metrics                   ? metrics
                                                  : o->target_info->classes ? "accuracy"
                                                                            : "none");
    if (!o->loss_text || !o->metrics_text) return CJ_ERR_MEMORY;
    CJ__TRY(build_loss(o, data));
    o->n_totals = CJ__HEAD;
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
    feeds[n++] = (cj_feed){.node = o->target, .value = batch->tensors[o->target_field]};
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
    for (int i = 0; i < CJ__HEAD; i++) totals->sums[i] += head[i];
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

cj_status cj__objective_scores(const cj__objective *o, const cj__totals *totals, const char *prefix,
                               bool running, cj_scores *scores)
{
    const double *head = totals->sums;
    double values[CJ__METRICS_MAX], weight = head[1] > 0 ? head[1] : 1,
           count = head[3] > 0 ? head[3] : 1;
    char name[CJ_NAME_MAX];
    cj__scores_set(scores, prefix, "loss", head[0] / count + head[2] / weight);
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
    cj_feed feeds[CJ__INPUTS_MAX + 2];
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
