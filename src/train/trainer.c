/* trainer.c: everything fit needs, made once: data, objective, the two programs, loaders, buffers.
 *
 * The training step is one program:
 *
 *     batch -> model -> loss -> gradients -> (clipped) -> optimizer -> new parameters and slots
 *                         \-> {loss, squared norm of gradients}: both finite? then commit
 *
 * With mixed_float16 the loss is scaled, and a step that is not finite left out: loss_scale.c. The
 * learning rate is fed, so schedules never recompile. After the first batch of each size a step
 * allocates nothing. */
#include "train/train.h"

#include "base/opts.h"
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

/* ---- Options --------------------------------------------------------------------------------- */

static cj_status negative(cj_context *cj, const char *name, double value, const char *expected)
{
    char text[32];
    return cj_fail(cj, CJ_ERR_ARGUMENT, "fit: %s=%s is not %s", name, cj__number(text, value),
                   expected);
}

static cj_status take_options(cj__trainer *t, const cj_fit_opts *opts)
{
    cj_fit_opts *o = &t->o;
    CJ__TRY(cj__opts_take(t->cj, "fit", o, sizeof *o, opts));
    if (o->epochs < 0) return negative(t->cj, "epochs", (double)o->epochs, "above 0");
    if (o->epochs > UINT32_MAX / 2)
        return negative(t->cj, "epochs", (double)o->epochs, "below 2^31");
    if (o->batch_size < 0) return negative(t->cj, "batch_size", (double)o->batch_size, "above 0");
    if (!(o->learning_rate >= 0) || isinf(o->learning_rate))
        return negative(t->cj, "learning_rate", o->learning_rate, "a number above 0");
    if (!(o->validation_split >= 0 && o->validation_split < 1))
        return negative(t->cj, "validation_split", o->validation_split, "between 0 and 1");
    if (!(o->clip_norm >= 0)) return negative(t->cj, "clip_norm", o->clip_norm, "above 0");
    if (o->patience < 0) return negative(t->cj, "patience", (double)o->patience, "0 or more");
    if (!cj_precision_name(o->precision))
        return negative(t->cj, "precision", (double)o->precision, "a cj_precision");
    if (o->checkpoint_steps < 0)
        return negative(t->cj, "checkpoint_steps", (double)o->checkpoint_steps, "0 or more");
    if (o->opset && (o->opset < CJ_ONNX_OPSET || o->opset > CJ_ONNX_OPSET_MAX))
        return cj_fail(t->cj, CJ_ERR_ARGUMENT, "fit: opset=%lld: expected %d to %d",
                       (long long)o->opset, CJ_ONNX_OPSET, CJ_ONNX_OPSET_MAX);
    if (o->validation && o->validation_split > 0)
        return cj_fail(t->cj, CJ_ERR_ARGUMENT,
                       "fit: validation and validation_split are both given; one is possible");
    if ((o->resume || o->checkpoint_steps) && !o->run)
        return cj_fail(t->cj, CJ_ERR_ARGUMENT, "fit: %s needs a run directory",
                       o->resume ? "resume" : "checkpoint_steps");
    if (!o->epochs) o->epochs = 1;
    if (!o->optimizer) o->optimizer = "adam";
    if (!o->schedule) o->schedule = "constant";
    return CJ_OK;
}

/* ---- Data ------------------------------------------------------------------------------------ */

static cj_status take_data(cj__trainer *t, const cj_dataset *train)
{
    if (!train) return cj__no_dataset(t->cj, "fit");
    if (!cj_dataset_count(train))
        return cj_fail(t->cj, CJ_ERR_ARGUMENT, "fit: %s has no samples", cj_dataset_name(train));
    t->data = train;
    t->validation = t->o.validation;
    if (t->o.validation_split > 0) {
        cj_split_opts split = {.struct_size = sizeof split,
                               .fraction = t->o.validation_split,
                               .seed = t->o.seed};
        CJ__TRY((cj_dataset_split)(train, &t->train_part, &t->held_out, &split));
        t->data = t->train_part;
        t->validation = t->held_out;
    }
    if (t->validation && !cj_dataset_count(t->validation))
        return cj_fail(t->cj, CJ_ERR_ARGUMENT, "fit: the validation set %s has no samples",
                       cj_dataset_name(t->validation));
    return CJ_OK;
}

static cj_loader *new_loader(cj__trainer *t, const cj_dataset *data, bool shuffle, bool balanced)
{
    cj_loader_opts o = {.struct_size = sizeof o,
                        .batch_size = t->o.batch_size,
                        .shuffle = shuffle,
                        .balanced = balanced,
                        .seed = t->o.seed,
                        .workers = t->o.workers,
                        .no_prefetch = cj_threads(t->cj) == 1 && t->o.workers == 0};
    return (cj_loader_new)((cj_dataset *)(uintptr_t)data, &o);
}

/* ---- The training step ----------------------------------------------------------------------- */

static cj_node *all_finite(cj_node *x)
{
    return cj_logical_not(cj_logical_or(cj_is_nan(x), cj_is_inf(x)));
}

static cj_node *squared_norm(cj_graph *g, cj_node *const *gradients, int n)
{
    cj_node *sum = cj_scalar(g, CJ_F64, 0);
    for (int i = 0; i < n; i++)
        if (!cj__is_zero(gradients[i]))
            sum = cj_add(sum, cj_cast(cj_sum(cj_square(gradients[i])), CJ_F64));
    return sum;
}

static const char *const searching_name = "optimizer/searching";

bool cj__trainer_searching(const cj__trainer *t)
{
    const cj_tensor *searching = t->before ? cj_store_get(cj_model_store(t->m), searching_name)
                                           : NULL;
    return searching && *(const bool *)cj__tensor_data(searching);
}

static cj_status compile_step(cj__trainer *t)
{
    cj__objective *ob = &t->objective;
    cj_graph *g = ob->graph;
    int n = cj_graph_parameter_count(g);
    if (!n) return cj_fail(t->cj, CJ_ERR_STATE, "fit: the model has no parameters to train");
    cj_node **parameters = cj__arena_array(&t->arena, 2 * (size_t)n, sizeof *parameters),
            **gradients = parameters + n;
    if (!parameters) return CJ_ERR_MEMORY;
    for (int i = 0; i < n; i++) parameters[i] = cj_graph_parameter_at(g, i);
    const bool scaled = t->o.precision == CJ_PRECISION_MIXED_FLOAT16;
    if (scaled) CJ__TRY(cj__loss_scale_grad(ob->loss, parameters, n, gradients));
    else CJ__TRY(cj_grad(ob->loss, parameters, n, gradients));
    cj_node *norm2 = squared_norm(g, gradients, n), *loss = cj_cast(ob->loss, CJ_F64);
    if (t->o.clip_norm > 0) cj__clip_to(gradients, n, cj_sqrt(norm2), t->o.clip_norm);
    t->rate_node = cj_placeholder(g, "cajal/learning_rate", CJ_F64, CJ_SCALAR);
    cj_updates_opts uo = {
        .struct_size = sizeof uo, .learning_rate_node = t->rate_node, .loss = ob->loss};
    const cj_update *updates = (cj_updates)(t->o.optimizer, parameters, gradients, n, &uo);
    cj_node *outputs[2 + 1 + CJ__METRICS_MAX] = {
        loss && norm2 ? cj_stack((cj_node *[]){loss, norm2}, 2, 0) : NULL};
    for (int i = 0; i < ob->n_sums; i++) outputs[i + 1] = ob->sums[i];
    cj_node *good = loss && norm2 ? cj_logical_and(all_finite(loss), all_finite(norm2)) : NULL;
    if (t->before) good = cj_logical_or(good, cj_find_variable(g, searching_name)); /* a trial */
    cj_update always[3] = {{NULL, NULL}};
    if (cj_graph_failed(g) || !updates || !good || !outputs[0] ||
        (scaled && !cj__loss_scale_updates(g, good, always)))
        return cj_last_status(t->cj) ? cj_last_status(t->cj) : CJ_ERR_MEMORY;
    cj_compile_opts co = {.struct_size = sizeof co,
                          .output_list = outputs,
                          .n_outputs = ob->n_sums + 1,
                          .updates = updates,
                          .commit_if = good,
                          .training = true,
                          .recompute = t->o.recompute,
                          .precision = t->o.precision,
                          .always = always};
    t->step_program = (cj_compile)(g, &co);
    return t->step_program ? CJ_OK : cj_last_status(t->cj);
}

static cj_status compile_evaluation(cj__trainer *t)
{
    if (!t->validation) return CJ_OK;
    cj_compile_opts co = {.struct_size = sizeof co,
                          .output_list = t->objective.sums,
                          .n_outputs = t->objective.n_sums,
                          .precision = t->o.precision};
    t->eval_program = (cj_compile)(t->objective.graph, &co);
    return t->eval_program ? CJ_OK : cj_last_status(t->cj);
}

/* Slots of another optimizer mean something else. */
static void reset_slots(cj__trainer *t)
{
    cj_store *store = cj_model_store(t->m);
    if (!strcmp(t->history->optimizer, t->o.optimizer)) return;
    for (int i = 0; i < cj_store_count(store); i++) {
        cj_tensor *value = cj_store_tensor_at(store, i);
        if (!strncmp(cj_store_name_at(store, i), "optimizer/", 10))
            memset(cj__tensor_data(value), 0, cj_tensor_size_bytes(value));
    }
    cj__format(t->history->optimizer, sizeof t->history->optimizer, "%s", t->o.optimizer);
}

static cj_status make_sessions(cj__trainer *t)
{
    cj_store *store = cj_model_store(t->m);
    if (!(t->step_session = cj_session_new(t->step_program, store))) return cj_last_status(t->cj);
    if (t->eval_program && !(t->eval_session = cj_session_new(t->eval_program, store)))
        return cj_last_status(t->cj);
    if (!(t->loader = new_loader(t, t->data, !t->o.no_shuffle, t->o.balanced)))
        return cj_last_status(t->cj);
    if (t->validation && !(t->validation_loader = new_loader(t, t->validation, false, false)))
        return cj_last_status(t->cj);
    t->steps = cj_loader_steps(t->loader);
    if (!(t->outputs[0] = cj_tensor_new(t->cj, CJ_F64, 1, (int64_t[]){2})))
        return cj_last_status(t->cj);
    CJ__TRY(cj__objective_outputs(&t->objective, t->outputs + 1));
    if (!(t->rate = cj_tensor_new(t->cj, CJ_F64, 0, NULL))) return cj_last_status(t->cj);
    CJ__TRY(cj__totals_init(&t->objective, &t->arena, &t->totals));
    CJ__TRY(cj__totals_init(&t->objective, &t->arena, &t->validation_totals));
    t->key = cj_store_get(store, "random/key");
    return CJ_OK;
}

/* ---- What is watched ------------------------------------------------------------------------- */

static cj_status take_monitor(cj__trainer *t)
{
    const char *name = t->o.monitor    ? t->o.monitor
                       : t->validation ? "val_loss"
                                       : "loss",
               *base = name;
    t->monitor = name;
    t->best = 0;
    bool known = false;
    if (t->validation && !strncmp(base, "val_", 4)) base += 4;
    if (!strcmp(base, "loss")) known = t->smaller_is_better = true;
    const cj_metric *metric = cj__objective_metric(&t->objective, base);
    if (metric) known = true, t->smaller_is_better = metric->smaller_is_better;
    if (!known)
        return cj_fail(t->cj, CJ_ERR_ARGUMENT,
                       "fit: monitor '%.48s' is none of the scores: loss and the metrics (%s)%s",
                       name, t->objective.metrics_text,
                       t->validation ? ", and each with val_ before"
                                     : "; there is no validation set");
    t->best = t->smaller_is_better ? INFINITY : -INFINITY;
    if (t->o.patience > 0 && !t->o.no_restore) {
        if (!(t->best_weights = cj_store_new(t->cj))) return cj_last_status(t->cj);
        CJ__TRY(cj__trainer_weights(t, t->best_weights, cj_model_store(t->m)));
    }
    return CJ_OK;
}

cj_status cj__trainer_weights(cj__trainer *t, cj_store *to, const cj_store *from)
{
    const cj__nodes *variables = &t->m->graph->variables;
    for (int i = 0; i < variables->count; i++) {
        const char *name = variables->items[i].name;
        CJ__TRY(cj_store_set(to, name, cj_store_get(from, name)));
    }
    return CJ_OK;
}

cj_status cj__trainer_average(cj__trainer *t)
{
    const cj_graph *g = t->m->graph;
    cj_store *store = cj_model_store(t->m);
    for (int i = 0; t->averages && t->total_step && i < cj_graph_parameter_count(g); i++) {
        const char *name = cj_graph_parameter_at(g, i)->name,
                   *slot = cj__arena_printf(&t->arena, "optimizer/average/%s", name);
        if (!slot) return CJ_ERR_MEMORY;
        CJ__TRY(cj_store_set(store, name, cj_store_get(store, slot)));
        t->unsaved = t->o.run != NULL;
    }
    return CJ_OK;
}

/* The optimizer and the schedule. */
static cj_status take_rows(cj__trainer *t)
{
    cj__named named;
    CJ__TRY(cj__named_parse(&t->arena, t->cj, CJ__ROW_OPTIMIZER, t->o.optimizer, &named));
    const cj_optimizer *optimizer = named.row;
    t->averages = cj__optimizer_averages(optimizer, named.options);
    if (t->o.learning_rate == 0) t->o.learning_rate = optimizer->learning_rate;
    if (optimizer->search) {
        if (t->o.precision != CJ_PRECISION_FLOAT32)
            return cj_fail(t->cj, CJ_ERR_ARGUMENT,
                           "fit: %s searches by differences of the loss, for which precision=%s is "
                           "too coarse",
                           optimizer->name, cj_precision_name(t->o.precision));
        if (!(t->before = cj_store_new(t->cj))) return cj_last_status(t->cj);
    }
    const int64_t all = cj_dataset_count(t->data), most = 4096;
    if (!t->o.batch_size) t->o.batch_size = !t->before ? 32 : all < most ? all : most;
    CJ__TRY(cj__named_parse(&t->arena, t->cj, CJ__ROW_SCHEDULE, t->o.schedule, &named));
    t->schedule = named.row;
    t->schedule_options = named.options;
    return CJ_OK;
}

/* What must be the same when a run is resumed. */
static cj_status write_arguments(cj__trainer *t)
{
    const cj_fit_opts *o = &t->o;
    cj__text a;
    cj__text_init(&a, t->cj);
    cj__text_format(
        &a,
        "samples=%lld\nvalidation_samples=%lld\nbatch_size=%lld\nseed=%llu\nshuffle=%s\n"
        "balanced=%s\n",
        (long long)cj_dataset_count(t->data),
        (long long)(t->validation ? cj_dataset_count(t->validation) : 0), (long long)o->batch_size,
        (unsigned long long)o->seed, o->no_shuffle ? "false" : "true",
        o->balanced ? "true" : "false");
    cj__text_format(&a, "optimizer=%s\nlearning_rate=", o->optimizer);
    cj__text_number(&a, o->learning_rate);
    cj__text_format(&a, "\nschedule=%s\nclip_norm=", o->schedule);
    cj__text_number(&a, o->clip_norm);
    cj__text_format(&a, "\nprecision=%s", cj_precision_name(o->precision));
    cj__text_format(&a, "\nloss=%s\nmetrics=%s\nmonitor=%s\n", t->objective.loss_text,
                    t->objective.metrics_text, t->monitor);
    t->arguments = a.failed ? NULL : cj__arena_strdup(&t->arena, cj__text_string(&a));
    cj__text_release(&a);
    return t->arguments ? CJ_OK : CJ_ERR_MEMORY;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int64_t now_ns(void *user) { return cj__monotonic_ns(user); }

static cj_status keep_text(cj_model *m, const char **slot, const char *text)
{
    if (*slot && !strcmp(*slot, text)) return CJ_OK;
    *slot = cj__arena_strdup(&m->arena, text);
    return *slot ? CJ_OK : CJ_ERR_MEMORY;
}

/* What the model learns is known by its target's name, before preparation would find another. */
static cj_status aim_at_input(cj__trainer *t)
{
    int inputs = 0;
    if (!t->o.restore_input) return CJ_OK;
    for (int i = 0; i < cj_dataset_fields(t->data); i++) {
        const cj_field *field = cj_dataset_field(t->data, i);
        if (field->role != CJ_FIELD_INPUT || inputs++) continue;
        if (t->m->target && strcmp(t->m->target, field->name) != 0)
            return cj_fail(t->cj, CJ_ERR_STATE,
                           "fit: the model has learned '%s' before, and cannot restore its input",
                           t->m->target);
        CJ__TRY(keep_text(t->m, &t->m->target, field->name));
    }
    return CJ_OK;
}

static cj_status build(cj__trainer *t, const cj_dataset *train, const cj_fit_opts *opts)
{
    CJ__TRY(take_options(t, opts));
    CJ__TRY(take_data(t, train));
    CJ__TRY(take_rows(t));
    CJ__TRY(aim_at_input(t));
    CJ__TRY(cj__model_prepare(t->m, t->data, t->o.normalize));
    CJ__TRY(cj__objective_init(&t->objective, t->m, t->data, t->o.loss, t->o.metrics, false));
    if (t->validation) CJ__TRY(cj__objective_check(&t->objective, t->validation, t->data));
    CJ__TRY(compile_step(t));
    CJ__TRY(compile_evaluation(t));
    CJ__TRY(make_sessions(t));
    CJ__TRY(take_monitor(t));
    CJ__TRY(write_arguments(t));
    CJ__TRY(keep_text(t->m, &t->m->loss, t->objective.output_losses));
    CJ__TRY(keep_text(t->m, &t->m->metrics, t->objective.metrics_text));
    reset_slots(t);
    t->history->count = 0;
    t->history->fitted = t->history->stale = true;
    t->progress = (cj__progress){.to = t->o.progress,
                                 .terminal = t->o.progress_style != CJ_PROGRESS_LINES,
                                 .color = t->o.progress_style == CJ_PROGRESS_COLOR,
                                 .columns = t->o.progress_columns > 0 ? t->o.progress_columns : 80,
                                 .now_ns = now_ns,
                                 .user = t->cj};
    return CJ_OK;
}

cj_status cj__trainer_init(cj__trainer *t, cj_model *m, const cj_dataset *train,
                           const cj_fit_opts *opts)
{
    *t = (cj__trainer){.cj = m->cj, .m = m};
    cj__arena_init(&t->arena, m->cj);
    CJ__TRY(cj_model_failed(m));
    t->history = cj__history_of(m);
    if (!t->history) return cj_last_status(m->cj);
    cj_status failed = build(t, train, opts);
    return failed == CJ_ERR_MEMORY && !*cj_message(m->cj)
               ? cj_fail(m->cj, failed, "fit: out of memory")
               : failed;
}

void cj__trainer_release(cj__trainer *t)
{
    cj_loader_free(t->loader);
    cj_loader_free(t->validation_loader);
    cj_session_free(t->step_session);
    cj_session_free(t->eval_session);
    cj_program_free(t->step_program);
    cj_program_free(t->eval_program);
    for (size_t i = 0; i < CJ__COUNT(t->outputs); i++) cj_tensor_free(t->outputs[i]);
    cj_tensor_free(t->rate);
    cj_store_free(t->best_weights);
    cj_store_free(t->before);
    cj__totals_release(t->cj, &t->totals);
    cj__totals_release(t->cj, &t->validation_totals);
    cj__objective_release(&t->objective);
    cj_dataset_free(t->train_part);
    cj_dataset_free(t->held_out);
    cj__arena_release(&t->arena);
}
