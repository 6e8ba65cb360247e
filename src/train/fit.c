/* fit.c: training as it runs: steps, epochs, early stopping.
 *
 * Where training is stands in the trainer (epochs, steps, totals, best score) and in the store;
 * both change only at the end of a step and at the end of an epoch, so a checkpoint can be taken
 * between any two of them, and a training that goes on from one does exactly what the uninterrupted
 * one did. */
#include "train/train.h"

#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

/* ---- A step ---------------------------------------------------------------------------------- */

static double rate_now(const cj__trainer *t)
{
    cj_schedule_point at = {.initial = t->o.learning_rate,
                            .step = t->total_step,
                            .steps_per_epoch = t->steps,
                            .total_steps = INT64_MAX,
                            .monitored = t->history->monitored,
                            .n_monitored = t->history->count,
                            .smaller_is_better = t->smaller_is_better};
    int64_t all;
    if (!CJ__MUL_OVERFLOWS(t->o.epochs, t->steps, &all)) at.total_steps = all;
    return cj__schedule_now(t->schedule, t->schedule_options, &at);
}

static cj_status not_finite(cj__trainer *t)
{
    const double *check = cj__tensor_data(t->outputs[0]);
    bool loss = !isfinite(check[0]);
    double value = loss ? check[0] : check[1];
    return cj_fail(t->cj, CJ_ERR_NUMERIC,
                   "epoch %lld, step %lld: the %s is %s, so training cannot go on; the model is as "
                   "it was before this step "
                   "(is there NaN in the data, or is the learning rate %g too large?)",
                   (long long)t->epoch + 1, (long long)t->step + 1,
                   loss ? "loss" : "norm of the gradient", isnan(value) ? "NaN" : "infinite",
                   t->learning_rate);
}

/* A gradient that is not finite because of the scale, which is smaller by now: the step is left
 * out.
 */
static bool is_scaled_too_far(cj__trainer *t)
{
    const double *check = cj__tensor_data(t->outputs[0]);
    return t->loss_scale > 1 && isfinite(check[0]);
}

/* One run of the training program: all of a step, or an evaluation of an optimizer that searches.
 */
static cj_status evaluate(cj__trainer *t, const cj_feed *feeds, int n, cj_tensor **outputs)
{
    cj_session_info info;
    cj_status failed = cj_run(t->step_session, feeds, n, outputs, t->objective.n_sums + 1);
    if (failed)
        return cj_fail(t->cj, failed, "epoch %lld, step %lld: %s", (long long)t->epoch + 1,
                       (long long)t->step + 1, cj_session_message(t->step_session));
    cj_session_get_info(t->step_session, &info);
    return info.committed || is_scaled_too_far(t) ? CJ_OK : not_finite(t);
}

static cj_status copy_store(cj_store *to, const cj_store *from)
{
    for (int i = 0; i < cj_store_count(from); i++)
        CJ__TRY(cj_store_set(to, cj_store_name_at(from, i), cj_store_tensor_at(from, i)));
    return CJ_OK;
}

/* The trials of an optimizer that searches, on the batch of its first evaluation, whose scores are
 * those of the step. When one of them fails, or is cancelled, everything is as it was before. */
static cj_status search(cj__trainer *t, const cj_feed *feeds, int n)
{
    cj_status failed = CJ_OK;
    while (!failed && cj__trainer_searching(t)) {
        cj_tensor *outputs[CJ__COUNT(t->outputs)] = {t->outputs[0]};
        failed = evaluate(t, feeds, n, outputs);
        for (int i = 1; i <= t->objective.n_sums; i++) cj_tensor_free(outputs[i]);
    }
    if (!failed) return CJ_OK;
    CJ__TRY(copy_store(cj_model_store(t->m), t->before));
    return failed;
}

static cj_status run_step(cj__trainer *t, const cj_batch *batch)
{
    const cj__objective *ob = &t->objective;
    cj_feed feeds[CJ__FEEDS_MAX];
    int n = cj__objective_feed(ob, batch, feeds);
    t->learning_rate = rate_now(t);
    *(double *)cj__tensor_data(t->rate) = t->learning_rate;
    feeds[n++] = (cj_feed){.node = t->rate_node, .value = t->rate};
    if (t->key) {
        int64_t *key = cj_tensor_map(t->key, CJ_MAP_WRITE);
        key[0] = (int64_t)t->o.seed;
        key[1] = t->history->epochs_before + t->epoch;
        key[2] = batch->first; /* so that a sample's numbers do not depend on the batches */
        cj_tensor_unmap(t->key);
    }
    t->loss_scale = cj__loss_scale_now(cj_model_store(t->m));
    if (t->before) CJ__TRY(copy_store(t->before, cj_model_store(t->m)));
    CJ__TRY(evaluate(t, feeds, n, t->outputs));
    t->loss = *(const double *)cj__tensor_data(t->outputs[0]);
    CJ__TRY(search(t, feeds, n));
    CJ__TRY(cj__objective_add(ob, t->outputs + 1, &t->totals));
    t->step++;
    t->total_step++;
    return CJ_OK;
}

/* ---- Callbacks and progress ------------------------------------------------------------------ */

double cj__trainer_seconds(const cj__trainer *t)
{
    return t->seconds + (double)(cj__monotonic_ns(t->cj) - t->start_ns) / 1e9;
}

enum { EPOCH_BEGIN, STEP_END, EPOCH_END };

static void call_back(cj__trainer *t, int when, const cj_scores *scores)
{
    const cj_callback *const *list = t->o.callbacks;
    if (!list || !*list) return;
    cj_fit_state state = {.model = t->m,
                          .epoch = t->epoch + (when != EPOCH_END),
                          .epochs = t->o.epochs,
                          .step = when == EPOCH_END ? t->steps : t->step,
                          .steps = t->steps,
                          .total_step = t->total_step,
                          .learning_rate = t->learning_rate,
                          .seconds = cj__trainer_seconds(t),
                          .scores = scores,
                          .loss = t->loss};
    for (; *list; list++) {
        const cj_callback *c = *list;
        bool (*call)(void *, const cj_fit_state *) = when == EPOCH_BEGIN ? c->on_epoch_begin
                                                     : when == STEP_END  ? c->on_step_end
                                                                         : c->on_epoch_end;
        if (call && !call(c->user, &state)) t->stop = true;
    }
}

/* Loss and metrics of both parts, without epoch, seconds and learning rate. */
static int shown(const cj_scores *scores, const char **names, double *values)
{
    int n = 0;
    for (int i = 0; i < scores->n; i++) {
        const char *name = scores->name[i];
        if (!strcmp(name, "epoch") || !strcmp(name, "seconds") || !strcmp(name, "learning_rate") ||
            !strcmp(name, "loss_scale"))
            continue;
        names[n] = name;
        values[n++] = scores->value[i];
    }
    return n;
}

static cj_status step_done(cj__trainer *t)
{
    if (!t->progress.to && !t->o.callbacks) return CJ_OK;
    cj_scores running = {.samples = (int64_t)t->totals.sums[CJ__SUM_WEIGHT]};
    const char *names[CJ_SCORES_MAX];
    double values[CJ_SCORES_MAX];
    CJ__TRY(cj__objective_scores(&t->objective, &t->totals, "", true, &running));
    cj__progress_step(&t->progress, t->step, shown(&running, names, values), names, values);
    call_back(t, STEP_END, &running);
    return CJ_OK;
}

/* ---- An epoch -------------------------------------------------------------------------------- */

static cj_status run_steps(cj__trainer *t)
{
    for (;;) {
        cj_batch batch;
        CJ__TRY(cj_loader_next(t->loader, &batch));
        if (!batch.count) return CJ_OK;
        CJ__TRY(run_step(t, &batch));
        CJ__TRY(step_done(t));
        if (t->stop) return CJ_OK;
        int64_t every = t->o.checkpoint_steps;
        if (t->o.run && every && t->total_step % every == 0 && t->step < t->steps)
            CJ__TRY(cj__run_warn(t, cj__checkpoint_save(t), "the checkpoint"));
    }
}

/* The first epoch is the best so far whatever its score. */
static bool is_better(const cj__trainer *t, double score)
{
    if (!t->best_epoch || isnan(t->best)) return !t->best_epoch || !isnan(score);
    return t->smaller_is_better ? score < t->best : score > t->best;
}

/* Keras's EarlyStopping: stops after `patience` epochs in a row without a new best. */
static cj_status judge(cj__trainer *t, const cj_scores *scores, bool *improved)
{
    double score = cj_score(scores, t->monitor);
    *improved = is_better(t, score);
    if (*improved && t->best_weights)
        CJ__TRY(cj__trainer_weights(t, t->best_weights, cj_model_store(t->m)));
    if (t->o.run && t->progress.to) {
        if (*improved)
            cj__progress_improved(&t->progress, t->epoch + 1, t->monitor, t->best, score,
                                  t->best_path);
        else cj__progress_not_improved(&t->progress, t->epoch + 1, t->monitor, t->best);
    }
    t->wait = *improved ? 0 : t->wait + 1;
    if (!*improved) return CJ_OK;
    t->best = score;
    t->best_epoch = t->epoch + 1;
    return CJ_OK;
}

static bool out_of_patience(const cj__trainer *t)
{
    return t->o.patience > 0 && t->wait >= t->o.patience && t->epoch > 1;
}

static cj_status end_epoch(cj__trainer *t)
{
    const char *names[CJ_SCORES_MAX];
    double values[CJ_SCORES_MAX];
    bool improved;
    cj_scores scores = {.samples = (int64_t)t->totals.sums[CJ__SUM_WEIGHT]};
    if (t->validation)
        CJ__TRY(cj__objective_run(&t->objective, t->eval_session, t->validation_loader,
                                  t->outputs + 1, &t->validation_totals));
    cj__scores_set(&scores, "", "epoch", (double)(t->epoch + 1));
    cj__scores_set(&scores, "", "seconds", cj__trainer_seconds(t));
    CJ__TRY(cj__objective_scores(&t->objective, &t->totals, "", false, &scores));
    if (t->validation)
        CJ__TRY(cj__objective_scores(&t->objective, &t->validation_totals, "val_", false, &scores));
    cj__scores_set(&scores, "", "learning_rate", t->learning_rate);
    if (t->o.precision == CJ_PRECISION_MIXED_FLOAT16)
        cj__scores_set(&scores, "", "loss_scale", cj__loss_scale_now(cj_model_store(t->m)));
    cj__progress_end(&t->progress, shown(&scores, names, values), names, values);
    CJ__TRY(cj__history_add(t->history, &scores, t->monitor));
    CJ__TRY(judge(t, &scores, &improved));
    t->epoch++;
    t->step = 0;
    if (t->o.run) CJ__TRY(cj__run_epoch(t, improved));
    call_back(t, EPOCH_END, &scores);
    return CJ_OK;
}

static cj_status train(cj__trainer *t)
{
    CJ__TRY(cj_loader_seek(t->loader, t->history->epochs_before + t->epoch, t->step));
    while (t->epoch < t->o.epochs && !t->stop && !out_of_patience(t)) {
        cj__progress_begin(&t->progress, t->epoch + 1, t->o.epochs, t->steps);
        if (!t->step) {
            cj__totals_zero(&t->objective, &t->totals);
            call_back(t, EPOCH_BEGIN, NULL);
        }
        CJ__TRY(run_steps(t));
        CJ__TRY(end_epoch(t));
    }
    return CJ_OK;
}

/* The weights of the best epoch, if they are to be restored, win over the average of all. */
static cj_status end(cj__trainer *t)
{
    const bool restored = t->best_weights && t->best_epoch && t->best_epoch < t->epoch;
    if (!restored) CJ__TRY(cj__trainer_average(t));
    if (t->o.run) CJ__TRY(cj__run_end(t));
    if (out_of_patience(t)) cj__progress_early_stopping(&t->progress, t->epoch);
    if (restored) {
        CJ__TRY(cj__trainer_weights(t, cj_model_store(t->m), t->best_weights));
        cj__progress_restored(&t->progress, t->best_epoch);
    }
    return CJ_OK;
}

/* A cancelled training keeps what it has; the reason stays the message. */
static cj_status save_cancelled(cj__trainer *t)
{
    char why[CJ__MESSAGE_BYTES];
    cj__format(why, sizeof why, "%s", cj_message(t->cj));
    cj_status failed = cj__checkpoint_save(t);
    if (failed) return cj__prefix(t->cj, failed, "%s, and the checkpoint could not be saved", why);
    return cj_fail(t->cj, CJ_ERR_CANCELLED, "%s (epoch %lld, step %lld; resume goes on from there)",
                   why, (long long)t->epoch + 1, (long long)t->step);
}

cj_status (cj_fit)(cj_model *m, const cj_dataset *data, const cj_fit_opts *opts)
{
    cj__trainer t;
    if (!m) return CJ_ERR_ARGUMENT;
    cj_status failed = cj__trainer_init(&t, m, data, opts);
    bool begun = false;
    t.start_ns = cj__monotonic_ns(m->cj);
    if (!failed && t.o.run) failed = cj__run_begin(&t);
    if (!failed) {
        begun = true;
        failed = train(&t);
    }
    if (begun && failed) cj__progress_abort(&t.progress);
    if (begun && failed == CJ_ERR_CANCELLED && t.o.run) failed = save_cancelled(&t);
    if (!failed) failed = end(&t);
    if (begun) t.history->epochs_before += t.epoch + (t.step > 0);
    cj__trainer_release(&t);
    return failed;
}
