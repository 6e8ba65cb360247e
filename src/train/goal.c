/* goal.c: what is to be learned: which results of a model are judged, by which fields, by which
 * loss.
 *
 * Each output of the model is a goal, and so is each auxiliary result (cj_auxiliary_output), which
 * counts in training alone. The text of the losses says which loss each of them has:
 *
 *     mse                                          of all outputs
 *     class: crossentropy, box: 0.5 * huber        of each; their sum is what is made small
 *
 * Keras's loss_weights are the factors in front. */
#include "train/train.h"

#include "base/option.h"

#include <math.h>
#include <string.h>

/* ---- Texts of several outputs ---------------------------------------------------------------- */

/* "class: accuracy": how long the name in front is; 0: there is none. */
static size_t name_length(const char *item, const char *end)
{
    const char *p = item;
    while (p < end && *p != ':' && !strchr("(,=\"' ", *p)) p++;
    return p > item && p < end && *p == ':' ? (size_t)(p - item) : 0;
}

static bool is_called(const cj__goal *goal, const char *name, size_t length)
{
    return strlen(goal->name) == length && !memcmp(goal->name, name, length);
}

static cj_status no_such_goal(const cj__objective *o, const char *what, const char *name,
                              size_t length)
{
    cj__text known;
    cj__text_init(&known, o->cj);
    for (int i = 0; i < o->n_goals; i++)
        cj__text_format(&known, "%s%s", i ? ", " : "", o->goals[i].name);
    cj_status failed = cj_fail(o->cj, CJ_ERR_ARGUMENT,
                               "%s '%.*s': the model has no such output; its outputs are %s", what,
                               (int)(length < 48 ? length : 48), name, cj__text_string(&known));
    cj__text_release(&known);
    return failed;
}

cj_status cj__goal_item(cj__objective *o, const char *what, const char **text, char **item,
                        cj__goal **goal)
{
    const char *at = *text, *why = NULL;
    *item = NULL;
    *goal = NULL;
    while (*at == ' ' || *at == ',') at++;
    if (!*at) return CJ_OK;
    const char *end = cj__option_item_end(at, &why);
    if (!end) return cj_fail(o->cj, CJ_ERR_ARGUMENT, "%s '%.100s': %s", what, *text, why);
    *text = end;
    const size_t length = name_length(at, end);
    for (int i = 0; length && i < o->n_goals; i++)
        if (is_called(&o->goals[i], at, length)) *goal = &o->goals[i];
    if (length && !*goal) return no_such_goal(o, what, at, length);
    if (length) at += length + 1;
    while (at < end && *at == ' ') at++;
    *item = cj__arena_printf(&o->arena, "%.*s", (int)(end - at), at);
    return *item ? CJ_OK : CJ_ERR_MEMORY;
}

/* ---- Goals and their fields ------------------------------------------------------------------ */

static cj_status add_goal(cj__objective *o, const char *name, const cj_node *output, double weight,
                          bool auxiliary)
{
    if (o->n_goals == CJ__GOALS_MAX)
        return cj_fail(o->cj, CJ_ERR_LIMIT, "the model has more than %d outputs", CJ__GOALS_MAX);
    o->goals[o->n_goals++] = (cj__goal){
        .name = name, .output = output, .field = -1, .weight = weight, .auxiliary = auxiliary};
    return CJ_OK;
}

/* The model's input, as it is behind its preparation, is what is to come out again. */
static void aim_at_input(cj__objective *o, cj__goal *goal)
{
    const cj_node *input = cj__model_prepared(o->model);
    goal->restored = (cj_field){
        .name = o->raw[0]->name, .dtype = input->type.dtype, .rank = input->type.rank - 1};
    for (int i = 1; i < input->type.rank; i++) goal->restored.shape[i - 1] = input->type.dim[i];
    goal->info = &goal->restored;
}

/* The field of that name among the targets; else the only one, or, for a model with one output,
 * the first. An auxiliary result has the target of the first output. */
static cj_status aim_at_field(cj__objective *o, cj__goal *goal, const cj_dataset *data)
{
    int first = -1, targets = 0;
    for (int i = cj_dataset_fields(data) - 1; i >= 0; i--) {
        const cj_field *field = cj_dataset_field(data, i);
        if (field->role != CJ_FIELD_TARGET) continue;
        first = i;
        targets++;
        if (!strcmp(field->name, goal->name)) goal->field = i;
    }
    if (!targets)
        return cj_fail(o->cj, CJ_ERR_ARGUMENT,
                       "%s has no target, so there is nothing to learn or to compare with",
                       o->data_name);
    if (goal->field < 0 && (targets == 1 || o->n_goals == 1)) goal->field = first;
    if (goal->field < 0 && goal->auxiliary) goal->field = o->goals[0].field;
    if (goal->field < 0)
        return cj_fail(o->cj, CJ_ERR_NOT_FOUND,
                       "%s has %d targets, and none has the name of the model's output '%s'",
                       o->data_name, targets, goal->name);
    goal->info = cj_dataset_field(data, goal->field);
    return CJ_OK;
}

cj_status cj__goals_find(cj__objective *o, const cj_dataset *data)
{
    const cj_graph *model = o->model->graph;
    const cj__layers *layers = model->layers;
    for (int i = 0; i < cj_graph_output_count(model); i++)
        CJ__TRY(
            add_goal(o, cj_graph_output_name(model, i), model->outputs.items[i].node, 1, false));
    o->n_outputs = o->n_goals;
    for (const cj__auxiliary *a = layers ? layers->auxiliaries : NULL; a; a = a->next)
        CJ__TRY(add_goal(o, a->name, a->x, a->weight, true));
    for (int i = 0; i < o->n_goals; i++) {
        cj__goal *goal = &o->goals[i];
        for (int k = 0; k < i; k++)
            if (!strcmp(o->goals[k].name, goal->name))
                return cj_fail(o->cj, CJ_ERR_ARGUMENT, "two outputs of the model are called '%s'",
                               goal->name);
        goal->samples.prediction = cj__model_node_in(o->model, o->graph, goal->output);
        if (!goal->samples.prediction) return CJ_ERR_MEMORY;
        if (o->restores) aim_at_input(o, goal);
        else CJ__TRY(aim_at_field(o, goal, data));
    }
    return CJ_OK;
}

/* ---- Losses ---------------------------------------------------------------------------------- */

/* The size of the prediction's last axis; 1 for [batch]. */
int64_t cj__goal_width(const cj__goal *goal)
{
    const cj_type *type = &goal->samples.prediction->type;
    return type->rank > 1 ? type->dim[type->rank - 1] : 1;
}

static const char *default_loss(const cj__goal *goal)
{
    if (goal->info->kind == CJ_FIELD_BOXES) return "detection";
    if (goal->info->classes == 0) return "mse";
    return goal->info->classes == 2 && cj__goal_width(goal) == 1
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
static cj_status check_loss(const cj__objective *o, const cj__goal *goal, const cj__named *named)
{
    const cj_loss *loss = named->row;
    const cj_field *target = goal->info;
    int64_t width = cj__goal_width(goal);
    const char *output = goal->name;
    bool one_label = target->rank == 0 || (target->rank == 1 && target->shape[0] == 1);
    bool is_float = cj_dtype_info(target->dtype)->kind == CJ_KIND_FLOAT;
    if (loss->integer_target && is_float)
        return cj_fail(o->cj, CJ_ERR_ARGUMENT,
                     "loss %s is for classes, but the target '%s' of %s is a number (%s): mse fits",
                     loss->name, target->name, o->data_name, cj_dtype_info(target->dtype)->name);
    if (loss->integer_target && target->classes && width > 0 && width != target->classes &&
        !ignores_labels(named))
        return cj_fail(o->cj, CJ_ERR_SHAPE,
                     "the model's output '%s' has %lld values a sample, but '%s' of %s has %d "
                     "classes: the last "
                     "layer needs %d units",
                     output, (long long)width, target->name, o->data_name, target->classes,
                     target->classes);
    if (target->kind == CJ_FIELD_BOXES && !strcmp(loss->name, "detection") && width > 0 &&
        width != 4 + target->classes)
        return cj_fail(
            o->cj, CJ_ERR_SHAPE,
            "the model's output '%s' has %lld values a cell, but '%s' of %s are boxes of "
            "%d classes: 4 + %d values are expected, as the network detector has them",
            output, (long long)width, target->name, o->data_name, target->classes, target->classes);
    if (!strcmp(loss->name, "binary_crossentropy") && width == 1 && target->classes > 2)
        return cj_fail(
            o->cj, CJ_ERR_SHAPE,
            "loss binary_crossentropy with one output is for two classes, but '%s' of %s has %d: "
            "sparse_categorical_crossentropy with %d units fits",
            target->name, o->data_name, target->classes, target->classes);
    if (!loss->integer_target && !loss->class_target && target->classes && one_label && width > 1)
        return cj_fail(o->cj, CJ_ERR_SHAPE,
                     "loss %s compares every one of the %lld values of output '%s' with a target "
                     "of its own, but "
                     "'%s' of %s is one class number: sparse_categorical_crossentropy fits",
                     loss->name, (long long)width, output, target->name, o->data_name);
    return CJ_OK;
}

/* "0.5 * mse": the factor is taken off. */
static cj_status take_factor(const cj__objective *o, cj__goal *goal, const char *text)
{
    const char *star = strchr(text, '*');
    goal->loss_text = text;
    if (!star || memchr(text, '(', (size_t)(star - text))) return CJ_OK;
    const char *end = star;
    while (end > text && end[-1] == ' ') end--;
    if (!cj__parse_double(text, (size_t)(end - text), &goal->weight) || !(goal->weight >= 0) ||
        isinf(goal->weight))
        return cj_fail(o->cj, CJ_ERR_ARGUMENT,
                       "loss '%.100s' of output '%s': in front of * stands no number of 0 or more",
                       text, goal->name);
    while (*++star == ' ') {}
    goal->loss_text = star;
    return CJ_OK;
}

/* The losses of all goals as one text, and for the model, which keeps no auxiliary results, that of
 * its outputs. */
static cj_status write_down(cj__objective *o)
{
    cj__text text;
    const char **to[2] = {&o->output_losses, &o->loss_text};
    const int outputs = cj_graph_output_count(o->model->graph);
    for (int all = 0; all < 2; all++) {
        cj__text_init(&text, o->cj);
        int shown = 0;
        for (int i = 0; i < o->n_goals; i++) {
            const cj__goal *goal = &o->goals[i];
            if (goal->auxiliary && !all) continue;
            if (shown++) cj__text_format(&text, ", ");
            if (o->n_goals > 1 && (all || outputs > 1)) cj__text_format(&text, "%s: ", goal->name);
            if (goal->weight != 1) {
                cj__text_number(&text, goal->weight);
                cj__text_format(&text, " * ");
            }
            cj__text_format(&text, "%s", goal->loss_text);
        }
        *to[all] = text.failed ? NULL : cj__arena_strdup(&o->arena, cj__text_string(&text));
        cj__text_release(&text);
        if (!*to[all]) return CJ_ERR_MEMORY;
    }
    return CJ_OK;
}

cj_status cj__goals_choose_losses(cj__objective *o, const char *losses)
{
    const char *text = losses ? losses : "", *all = NULL;
    for (;;) {
        cj__goal *goal;
        char *item;
        CJ__TRY(cj__goal_item(o, "loss", &text, &item, &goal));
        if (!item) break;
        if (goal ? goal->loss_text != NULL : all != NULL)
            return cj_fail(o->cj, CJ_ERR_ARGUMENT,
                           "loss '%.100s': %s has two; expected is one for all outputs, or "
                           "NAME: LOSS for each",
                           losses, goal ? goal->name : "an output");
        if (!goal) all = item;
        else CJ__TRY(take_factor(o, goal, item));
    }
    for (int i = 0; i < o->n_goals; i++) {
        cj__goal *goal = &o->goals[i];
        if (goal->loss_text) continue;
        /* An auxiliary result has the loss of the first, and keeps a weight of its own. */
        if (!all && goal->auxiliary) goal->loss_text = o->goals[0].loss_text;
        else CJ__TRY(take_factor(o, goal, all ? all : default_loss(goal)));
    }
    return write_down(o);
}

/* ---- Building -------------------------------------------------------------------------------- */

cj_node *cj__goal_placeholder(cj__objective *o, const char *name, const cj_field *field)
{
    cj_dim dims[CJ_RANK_MAX] = {o->raw[0]->type.dim[0]};
    for (int i = 0; i < field->rank; i++) dims[i + 1] = field->shape[i];
    return cj_placeholder(o->graph, name, field->dtype, field->rank + 1, dims);
}

/* What belongs to the picture goes where layers move it. */
static bool follow(const cj__objective *o, cj__goal *goal, cj_node *target)
{
    static const cj__follower kinds[] = {[CJ_FIELD_VALUES] = CJ__FOLLOWS_CLASS,
                                         [CJ_FIELD_MASK] = CJ__FOLLOWS_MASK,
                                         [CJ_FIELD_BOXES] = CJ__FOLLOWS_BOXES};
    const cj__follower what = goal->field < 0 ? CJ__FOLLOWS_PICTURE : kinds[goal->info->kind];
    if (!target || !cj__moves_follow(o->model, o->graph, goal->output, what, target,
                                     &goal->targets))
        return false;
    goal->samples.target = cj__followed_most(&goal->targets);
    return goal->samples.target != NULL;
}

/* What a result is compared with: a field that is fed, once for all goals that have it, or the
 * model's input. */
static cj_status make_target(cj__objective *o, cj__goal *goal)
{
    cj_node *target = NULL;
    if (goal->field < 0)
        target = cj__model_node_in(o->model, o->graph, cj__model_prepared(o->model));
    for (int i = 0; goal->field >= 0 && &o->goals[i] < goal; i++) {
        if (o->goals[i].field != goal->field) continue;
        goal->samples.target = o->goals[i].samples.target;
        goal->targets = o->goals[i].targets;
        return CJ_OK;
    }
    if (!target) {
        const char *name = o->n_goals == 1 ? "cajal/target"
                                           : cj__arena_printf(&o->arena, "cajal/target/%s",
                                                              goal->name);
        if (!name) return CJ_ERR_MEMORY;
        goal->target = target = cj__goal_placeholder(o, name, goal->info);
    }
    return follow(o, goal, target) ? CJ_OK : cj__objective_status(o);
}

/* samples, and the steps of all samples that count in the mask of the model's output. */
static cj_status judge(cj__objective *o, cj__goal *goal)
{
    const cj_node *prediction = goal->samples.prediction;
    CJ__TRY(make_target(o, goal));
    if (o->weight)
        goal->samples.weight = cj_reshape(o->weight, 1, (const cj_dim[]){CJ_INFER});
    else if (prediction->type.rank)
        goal->samples.weight = cj_broadcast_to(cj_scalar(o->graph, prediction->type.dtype, 1), 1,
                                               prediction->type.dim);
    const cj_node *mask = cj_mask_of(goal->output);
    if (mask && goal->targets.n > 1)
        return cj_fail(o->cj, CJ_ERR_ARGUMENT,
                       "the samples of output '%s' are mixed, but it has a mask of steps",
                       goal->name);
    goal->steps = cj__judged_steps(goal->samples, cj__model_node_in(o->model, o->graph, mask));
    return CJ_OK;
}

/* The loss of each sample, and what it counts for (NULL: 1); of samples that are mixed, the sums of
 * those of their parts. */
static cj_node *each_loss(const cj__goal *goal, const cj__named *named, cj_node **count)
{
    const cj_loss *row = named->row;
    const cj__judged *judged = row->whole ? &goal->samples : &goal->steps;
    const cj__followed *f = &goal->targets;
    *count = NULL;
    if (f->n == 1)
        return cj__loss_build(row, named->options, judged->prediction, judged->target, count);
    cj_node *sum = NULL, *first = NULL, *counted = NULL, *first_count = NULL;
    for (int i = 0; i < f->n; i++) {
        cj_node *counts = NULL, *each = cj__loss_build(row, named->options,
                                                       goal->samples.prediction, f->v[i], &counts);
        if (!each) return NULL;
        cj_node *share = cj_cast(f->share[i], each->type.dtype), *part = cj_mul(each, share);
        sum = sum ? cj_add(sum, part) : part;
        if (!i) first = each, first_count = counts;
        if (!counts) continue;
        counts = cj_mul(counts, share);
        counted = counted ? cj_add(counted, counts) : counts;
    }
    cj_node *training = cj_training(cj_node_graph(goal->samples.prediction));
    if (counted) *count = cj_where(training, counted, first_count);
    return cj_where(training, sum, first);
}

cj_status cj__goal_build(cj__objective *o, cj__goal *goal)
{
    cj__named named;
    CJ__TRY(cj__named_parse(&o->arena, o->cj, CJ__ROW_LOSS, goal->loss_text, &named));
    const cj_loss *row = named.row;
    CJ__TRY(check_loss(o, goal, &named));
    CJ__TRY(judge(o, goal));
    const cj__judged *judged = row->whole ? &goal->samples : &goal->steps;
    cj_node *count, *each = each_loss(goal, &named, &count);
    if (!each)
        return cj__prefix(o->cj, cj__objective_status(o), "loss %s of output '%s' and target '%s'",
                          row->name, goal->name, goal->info->name);
    cj_node *weight = cj_cast(judged->weight, each->type.dtype);
    cj_node *weighted = cj_mul(each, weight), *counted = count ? cj_mul(count, weight) : weight;
    if (!weighted || !counted) return cj__objective_status(o);
    goal->loss = cj_scale(cj__loss_weighted_mean(weighted, counted), goal->weight);
    goal->sums[CJ__SUM_LOSS] = cj_sum(cj_cast(weighted, CJ_F64));
    goal->sums[CJ__SUM_WEIGHT] = cj_sum(cj_cast(weight, CJ_F64));
    goal->sums[CJ__SUM_COUNT] = cj_sum(cj_cast(counted, CJ_F64));
    return goal->loss && goal->sums[0] && goal->sums[1] && goal->sums[2] ? CJ_OK
                                                                         : cj__objective_status(o);
}
