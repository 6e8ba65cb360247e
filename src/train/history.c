/* history.c: scores by name, and what train/ keeps with a model between calls. */
#include "train/train.h"

#include "runtime/runtime.h"

#include <math.h>
#include <string.h>

double cj_score(const cj_scores *scores, const char *name)
{
    for (int i = 0; scores && name && i < scores->n; i++)
        if (!strcmp(scores->name[i], name)) return scores->value[i];
    return NAN;
}

void cj__scores_set(cj_scores *scores, const char *prefix, const char *name, double value)
{
    CJ_ASSERT(scores->n < CJ_SCORES_MAX);
    cj__format(scores->name[scores->n], CJ_NAME_MAX, "%s%s", prefix, name);
    scores->value[scores->n++] = value;
}

void cj__scores_csv(cj__text *out, const cj_scores *scores, bool names)
{
    for (int i = 0; i < scores->n; i++) {
        if (i) cj__text_char(out, ',');
        if (names) cj__text_add(out, scores->name[i]);
        else cj__text_format(out, "%.6g", scores->value[i]);
    }
    cj__text_char(out, '\n');
}

/* ---- History --------------------------------------------------------------------------------- */

static void free_history(cj_context *cj, cj_history *h)
{
    while (h->predictors) {
        cj__predictor *next = h->predictors->next;
        cj_program_free(h->predictors->program);
        cj__free(cj, h->predictors, sizeof *h->predictors);
        h->predictors = next;
    }
    cj__free(cj, h->epochs, (size_t)h->capacity * sizeof *h->epochs);
    cj__free(cj, h->monitored, (size_t)h->monitored_capacity * sizeof *h->monitored);
    cj__free(cj, h, sizeof *h);
}

cj_history *cj__history_of(cj_model *m)
{
    if (m->history) return m->history;
    cj_history *h = cj__alloc(m->cj, sizeof *h);
    if (!h) return NULL;
    h->cj = m->cj;
    m->history = h;
    m->free_history = free_history;
    return h;
}

/* Makes room for one more in a list of `count` items. */
static cj_status make_room(cj_history *h, void **list, int *capacity, size_t size)
{
    if (h->count < *capacity) return CJ_OK;
    const int more = *capacity ? 2 * *capacity : 8;
    if (more > 1 << 24)
        return cj_fail(h->cj, CJ_ERR_LIMIT, "more than %d epochs in one fit", *capacity);
    void *grown = cj__realloc(h->cj, *list, (size_t)*capacity * size, (size_t)more * size);
    if (!grown) return cj_last_status(h->cj);
    *list = grown;
    *capacity = more;
    return CJ_OK;
}

cj_status cj__history_add(cj_history *h, const cj_scores *scores, const char *monitor)
{
    void *epochs = h->epochs, *monitored = h->monitored;
    cj_status failed = make_room(h, &epochs, &h->capacity, sizeof *h->epochs);
    h->epochs = epochs;
    if (!failed) failed = make_room(h, &monitored, &h->monitored_capacity, sizeof(double));
    h->monitored = monitored;
    if (failed) return failed;
    h->monitored[h->count] = cj_score(scores, monitor);
    h->epochs[h->count++] = *scores;
    return CJ_OK;
}

int cj_history_epochs(const cj_history *h) { return h ? h->count : 0; }
const cj_scores *cj_history_at(const cj_history *h, int i)
{
    return h && i >= 0 && i < h->count ? &h->epochs[i] : NULL;
}
const cj_history *cj_model_history(const cj_model *m)
{
    return m && m->history && m->history->fitted ? m->history : NULL;
}

void cj__keep_program(cj_program *program) { cj__disown(&program->owned); }
