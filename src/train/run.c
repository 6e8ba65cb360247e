/* run.c: the run directory.
 *
 *     results.csv       a line an epoch, appended; written anew after a failed append and when
 * resuming best.onnx         the model after the epoch with the best monitored score last.onnx the
 * model after the last epoch checkpoint/       the two newest states of training
 *
 * The checkpoint comes last: whatever a kill leaves behind is overwritten by the same bytes when
 * training goes on from the checkpoint before. */
#include "train/train.h"

#include "base/file.h"

#include <string.h>

const char *cj__run_path(cj__trainer *t, const char *name)
{
    return cj__arena_printf(&t->arena, "%s/%s", t->o.run, name);
}

cj_status cj__run_warn(cj__trainer *t, cj_status failed, const char *what)
{
    if (failed != CJ_ERR_IO && failed != CJ_ERR_NOT_FOUND) return failed;
    cj__log(t->cj, CJ_LOG_WARNING, "%s could not be written, training goes on: %s", what,
            cj_message(t->cj));
    return CJ_OK;
}

/* ---- results.csv ----------------------------------------------------------------------------- */

static cj_status write_results(cj__trainer *t, const char *path, bool all)
{
    cj_history *h = t->history;
    cj__text text;
    cj__text_init(&text, t->cj);
    int from = all ? 0 : h->count - 1;
    if (from == 0 && h->count) cj__scores_csv(&text, &h->epochs[0], true);
    for (int i = from; i < h->count; i++) cj__scores_csv(&text, &h->epochs[i], false);
    cj_status failed = text.failed;
    const char *bytes = cj__text_string(&text);
    if (!failed)
        failed = all ? cj__file_save(t->cj, path, bytes, text.length)
                     : cj__file_append(t->cj, path, bytes, text.length);
    cj__text_release(&text);
    return failed;
}

static cj_status results(cj__trainer *t)
{
    cj_status failed = write_results(t, t->results_path, t->rewrite_results);
    t->rewrite_results = failed != CJ_OK;
    return failed;
}

/* ---- Claiming -------------------------------------------------------------------------------- */

static cj_status exists(cj__trainer *t, const char *name, bool *found)
{
    cj_file_info info;
    const char *path = cj__run_path(t, name);
    if (!path) return CJ_ERR_MEMORY;
    cj_status failed = cj__file_info(t->cj, path, &info);
    if (failed && failed != CJ_ERR_NOT_FOUND) return failed;
    *found = !failed && info.kind != CJ_FILE_NONE;
    return CJ_OK;
}

static cj_status clear(cj__trainer *t)
{
    static const char *const files[] = {"results.csv", "best.onnx", "last.onnx"};
    CJ__TRY(cj__checkpoint_remove_all(t));
    for (size_t i = 0; i < CJ__COUNT(files); i++) {
        bool found;
        CJ__TRY(exists(t, files[i], &found));
        if (found) CJ__TRY(cj__file_remove(t->cj, cj__run_path(t, files[i])));
    }
    return CJ_OK;
}

static cj_status refuse_used(cj__trainer *t)
{
    static const char *const traces[] = {"results.csv", "best.onnx", "last.onnx", "checkpoint"};
    for (size_t i = 0; i < CJ__COUNT(traces); i++) {
        bool found;
        CJ__TRY(exists(t, traces[i], &found));
        if (found)
            return cj_fail(
                t->cj, CJ_ERR_EXISTS,
                "run directory %s has a run in it (%s): resume it, choose another, or overwrite it",
                t->o.run, traces[i]);
    }
    return CJ_OK;
}

cj_status cj__run_begin(cj__trainer *t)
{
    t->best_path = cj__run_path(t, "best.onnx");
    t->last_path = cj__run_path(t, "last.onnx");
    t->results_path = cj__run_path(t, "results.csv");
    t->checkpoint_path = cj__run_path(t, "checkpoint");
    if (!t->best_path || !t->last_path || !t->results_path || !t->checkpoint_path)
        return CJ_ERR_MEMORY;
    t->rewrite_results = true; /* rows of epochs that the checkpoint does not know go */
    if (t->o.resume) {
        CJ__TRY(cj__checkpoint_load(t));
        return t->history->count ? results(t) : CJ_OK;
    }
    CJ__TRY(t->o.overwrite ? clear(t) : refuse_used(t));
    CJ__TRY(cj__file_mkdirs(t->cj, t->checkpoint_path));
    return cj__checkpoint_save(t);
}

/* ---- While training -------------------------------------------------------------------------- */

static cj_status save(cj__trainer *t, const char *path)
{
    const cj_onnx_save_opts opts = {.struct_size = sizeof opts, .opset = t->o.opset};
    return cj_save_opts(t->m, path, &opts);
}

cj_status cj__run_epoch(cj__trainer *t, bool improved)
{
    CJ__TRY(cj__run_warn(t, results(t), "results.csv"));
    if (improved) CJ__TRY(cj__run_warn(t, save(t, t->best_path), "best.onnx"));
    cj_status failed = save(t, t->last_path);
    t->unsaved = failed != CJ_OK;
    CJ__TRY(cj__run_warn(t, failed, "last.onnx"));
    return cj__run_warn(t, cj__checkpoint_save(t), "the checkpoint");
}

/* What failed while training went on must not be missing at the end. */
cj_status cj__run_end(cj__trainer *t)
{
    if (t->unsaved) CJ__TRY(save(t, t->last_path));
    return t->rewrite_results && t->history->count ? results(t) : CJ_OK;
}
