/* checkpoint.c: the state of training as a safetensors file, and back.
 *
 *     store/NAME         every entry of the model's store: parameters, state, optimizer slots,
 * random key best/NAME          the weights of the best epoch, when early stopping keeps them
 *     training/totals    sums over the samples of the epoch so far
 *     training/records/NAME  in an epoch: what a metric that collects has so far
 *     training/history   a row an epoch; columns are named in the metadata
 *     metadata           where training is, and the arguments it must be resumed with
 *
 * A batch is a function of (seed, epoch, step) and a dropout mask of (seed, step, sample), so
 * nothing else is state. Every tensor has a checksum; a damaged file is passed over for the one
 * before. Files are named by step and written whole or not at all. */
#include "train/train.h"

#include "base/file.h"
#include "tensor/tensor.h"

#include <string.h>

enum { KEPT = 2 };
static const char prefix[] = "step-", suffix[] = ".safetensors";

/* ---- The folder ------------------------------------------------------------------------------ */

typedef struct folder {
    cj__arena arena;
    const char *path;
    char **names; /* newest first */
    int count, capacity;
} folder;

static int take_name(void *arg, const char *name)
{
    folder *f = arg;
    size_t length = strlen(name);
    int64_t number;
    if (length <= sizeof prefix + sizeof suffix - 2 || strncmp(name, prefix, sizeof prefix - 1) ||
        strcmp(name + length - (sizeof suffix - 1), suffix) ||
        !cj__parse_int64(name + sizeof prefix - 1,
                         length - (sizeof prefix - 1) - (sizeof suffix - 1), &number))
        return 0;
    if (f->count == f->capacity) {
        int capacity = f->capacity ? 2 * f->capacity : 8;
        char **grown = cj__arena_array(&f->arena, (size_t)capacity, sizeof *grown);
        if (!grown) return CJ_ERR_MEMORY;
        if (f->count) memcpy(grown, f->names, (size_t)f->count * sizeof *grown);
        f->names = grown;
        f->capacity = capacity;
    }
    char *copy = cj__arena_strdup(&f->arena, name);
    if (!copy) return CJ_ERR_MEMORY;
    int at = f->count++; /* numbers have a fixed width, so names sort as they do */
    for (; at > 0 && strcmp(f->names[at - 1], name) < 0; at--) f->names[at] = f->names[at - 1];
    f->names[at] = copy;
    return 0;
}

/* The caller releases f->arena, whatever is returned. */
static cj_status open_folder(cj__trainer *t, folder *f)
{
    *f = (folder){.path = t->checkpoint_path};
    cj__arena_init(&f->arena, t->cj);
    cj_file_info info;
    cj_status failed = cj__file_info(t->cj, f->path, &info);
    if (failed == CJ_ERR_NOT_FOUND || (!failed && info.kind == CJ_FILE_NONE)) return CJ_OK;
    return failed ? failed : cj__file_list(t->cj, f->path, take_name, f);
}

static cj_status remove_from(cj__trainer *t, int keep)
{
    folder f;
    cj_status failed = open_folder(t, &f);
    for (int i = keep; !failed && i < f.count; i++) {
        char *path = cj__arena_printf(&f.arena, "%s/%s", f.path, f.names[i]);
        failed = path ? cj__file_remove(t->cj, path) : CJ_ERR_MEMORY;
    }
    cj__arena_release(&f.arena);
    return failed;
}

cj_status cj__checkpoint_remove_all(cj__trainer *t) { return remove_from(t, 0); }

/* ---- Saving ---------------------------------------------------------------------------------- */

/* Shares the buffers: nothing is copied. */
static cj_status add_store(cj_tensors *list, const char *folder_name, const cj_store *store)
{
    for (int i = 0; store && i < cj_store_count(store); i++) {
        cj_tensor *t = cj_store_tensor_at(store, i);
        char name[600];
        const char *entry = cj_store_name_at(store, i);
        if (strlen(entry) > 500)
            return cj_fail(t->cj, CJ_ERR_LIMIT, "checkpoint: the name '%.50s...' is too long",
                           entry);
        cj__format(name, sizeof name, "%s/%s", folder_name, entry);
        CJ__TRY(cj_tensors_add(list, name,
                               cj_tensor_reshape(t, cj_tensor_rank(t), cj_tensor_shape(t))));
    }
    return CJ_OK;
}

static cj_status set_int(cj_tensors *list, const char *key, int64_t value)
{
    char text[32];
    cj__format(text, sizeof text, "%lld", (long long)value);
    return cj_tensors_set_metadata(list, key, text);
}

static cj_status set_number(cj_tensors *list, const char *key, double value)
{
    char text[32];
    return cj_tensors_set_metadata(list, key, cj__number(text, value));
}

static cj_status add_history(cj__trainer *t, cj_tensors *list)
{
    const cj_history *h = t->history;
    int n = h->count ? h->epochs[0].n : 0;
    cj_tensor *table = cj_tensor_new(t->cj, CJ_F64, 2, (int64_t[]){h->count, n + 1});
    for (int i = 0; table && i < h->count; i++) {
        double *row = (double *)cj__tensor_data(table) + (size_t)i * ((size_t)n + 1);
        memcpy(row, h->epochs[i].value, (size_t)n * sizeof *row);
        row[n] = (double)h->epochs[i].samples;
    }
    CJ__TRY(cj_tensors_add(list, "training/history", table));
    cj__text names;
    cj__text_init(&names, t->cj);
    if (h->count) cj__scores_csv(&names, &h->epochs[0], true);
    cj_status failed = names.failed
                           ? names.failed
                           : cj_tensors_set_metadata(list, "history", cj__text_string(&names));
    cj__text_release(&names);
    return failed;
}

static void records_name(const cj__metric_use *use, char name[CJ_NAME_MAX + 32])
{
    cj__format(name, CJ_NAME_MAX + 32, "training/records/%s", use->name);
}

static cj_status add_records(cj__trainer *t, cj_tensors *list)
{
    for (int i = 0; t->step > 0 && i < t->objective.n_metrics; i++) {
        const cj_metric *row = t->objective.metrics[i].row;
        const cj__tally *tally = &t->totals.metrics[i];
        char name[CJ_NAME_MAX + 32];
        if (!row->collects) continue;
        records_name(&t->objective.metrics[i], name);
        CJ__TRY(cj_tensors_add(list, name,
                               cj_tensor_from(t->cj, CJ_F64, 2,
                                              (int64_t[]){tally->count, tally->n}, tally->v)));
    }
    return CJ_OK;
}

static cj_status fill(cj__trainer *t, cj_tensors *list)
{
    CJ__TRY(add_store(list, "store", cj_model_store(t->m)));
    CJ__TRY(add_store(list, "best", t->best_weights));
    CJ__TRY(cj_tensors_add(list, "training/totals",
                           cj_tensor_from(t->cj, CJ_F64, 1, (int64_t[]){t->objective.n_totals},
                                          t->totals.sums)));
    CJ__TRY(add_records(t, list));
    CJ__TRY(add_history(t, list));
    CJ__TRY(set_int(list, "checkpoint", 1));
    CJ__TRY(set_int(list, "epoch", t->epoch));
    CJ__TRY(set_int(list, "step", t->step));
    CJ__TRY(set_int(list, "total_step", t->total_step));
    CJ__TRY(set_int(list, "epochs_before", t->history->epochs_before));
    CJ__TRY(set_int(list, "best_epoch", t->best_epoch));
    CJ__TRY(set_int(list, "wait", t->wait));
    CJ__TRY(set_number(list, "best", t->best));
    CJ__TRY(set_number(list, "seconds", cj__trainer_seconds(t)));
    CJ__TRY(set_number(list, "learning_rate", t->learning_rate));
    return cj_tensors_set_metadata(list, "arguments", t->arguments);
}

cj_status cj__checkpoint_save(cj__trainer *t)
{
    cj_tensors *list = cj_tensors_new(t->cj);
    if (!list) return cj_last_status(t->cj);
    char name[64];
    cj__format(name, sizeof name, "%s%012lld%s", prefix, (long long)t->total_step, suffix);
    cj__arena arena;
    cj__arena_init(&arena, t->cj);
    char *path = cj__arena_printf(&arena, "%s/%s", t->checkpoint_path, name);
    cj_status failed = path ? fill(t, list) : CJ_ERR_MEMORY;
    if (!failed) failed = cj_safetensors_save(t->cj, path, list);
    cj_tensors_free(list);
    cj__arena_release(&arena);
    return failed ? failed : remove_from(t, KEPT);
}

/* ---- Loading --------------------------------------------------------------------------------- */

static cj_status malformed(cj__trainer *t, const char *what)
{
    return cj_fail(t->cj, CJ_ERR_FORMAT, "the checkpoint's %s is not what was written", what);
}

static cj_status get_int(cj__trainer *t, const cj_tensors *list, const char *key, int64_t max,
                         int64_t *value)
{
    const char *text = cj_tensors_metadata(list, key);
    if (!text || !cj__parse_int64(text, strlen(text), value) || *value < 0 || *value > max)
        return malformed(t, key);
    return CJ_OK;
}

static cj_status get_number(cj__trainer *t, const cj_tensors *list, const char *key, double *value)
{
    const char *text = cj_tensors_metadata(list, key);
    return text && cj__parse_double(text, strlen(text), value) ? CJ_OK : malformed(t, key);
}

/* The first line in which the arguments differ. */
static cj_status check_arguments(cj__trainer *t, const char *saved)
{
    const char *a = saved, *b = t->arguments;
    while (*a && *b) {
        size_t n = strcspn(a, "\n"), k = strcspn(b, "\n");
        if (n != k || memcmp(a, b, n))
            return cj_fail(t->cj, CJ_ERR_ARGUMENT,
                           "resume: the run in %s was trained with %.*s, not with %.*s", t->o.run,
                           (int)(n < 200 ? n : 200), a, (int)(k < 200 ? k : 200), b);
        a += n + (a[n] == '\n');
        b += k + (b[k] == '\n');
    }
    return *a || *b ? malformed(t, "arguments") : CJ_OK;
}

static bool is_like(const cj_tensor *a, const cj_tensor *b)
{
    return a && b && a->dtype == b->dtype && cj__same_shape(a->rank, a->shape, b->rank, b->shape);
}

/* A store's entries from the list; `write` false only looks whether they are all there. */
static cj_status take_store(cj__trainer *t, const cj_tensors *list, const char *folder_name,
                            cj_store *store, bool write)
{
    for (int i = 0; store && i < cj_store_count(store); i++) {
        char name[600];
        cj__format(name, sizeof name, "%s/%.500s", folder_name, cj_store_name_at(store, i));
        const cj_tensor *value = cj_tensors_find(list, name);
        if (!is_like(value, cj_store_tensor_at(store, i)))
            return cj_fail(t->cj, CJ_ERR_FORMAT, "the checkpoint's '%.200s' %s", name,
                           value ? "has another dtype or shape than the model's" : "is missing");
        if (write) CJ__TRY(cj_tensor_assign(cj_store_tensor_at(store, i), value));
    }
    if (write && store) cj__store_touch(store);
    return CJ_OK;
}

/* The names of results.csv's columns, apart, in `scores`. */
static bool split_names(const char *text, cj_scores *scores)
{
    *scores = (cj_scores){0};
    while (*text && *text != '\n') {
        size_t n = strcspn(text, ",\n");
        if (!n || n >= CJ_NAME_MAX || scores->n == CJ_SCORES_MAX) return false;
        memcpy(scores->name[scores->n++], text, n);
        text += n + (text[n] == ',');
    }
    return true;
}

static cj_status take_history(cj__trainer *t, const cj_tensors *list)
{
    const char *names = cj_tensors_metadata(list, "history");
    const cj_tensor *table = cj_tensors_find(list, "training/history");
    cj_scores row;
    if (!names || !split_names(names, &row) || !table || table->dtype != CJ_F64 ||
        table->rank != 2 || table->shape[0] != t->epoch || table->shape[1] != row.n + 1)
        return malformed(t, "history");
    t->history->count = 0;
    const double *values = cj__tensor_data(table);
    for (int64_t i = 0; i < table->shape[0]; i++, values += row.n + 1) {
        memcpy(row.value, values, (size_t)row.n * sizeof *values);
        row.samples = values[row.n] >= 0 && values[row.n] < 9e15 ? (int64_t)values[row.n] : 0;
        CJ__TRY(cj__history_add(t->history, &row, t->monitor));
    }
    return CJ_OK;
}

/* `write` false only looks whether they are all there. */
static cj_status take_records(cj__trainer *t, const cj_tensors *list, bool write)
{
    for (int i = 0; i < t->objective.n_metrics; i++) {
        const cj_metric *row = t->objective.metrics[i].row;
        cj__tally *tally = &t->totals.metrics[i];
        char name[CJ_NAME_MAX + 32];
        if (!row->collects) continue;
        records_name(&t->objective.metrics[i], name);
        const cj_tensor *records = cj_tensors_find(list, name);
        if (!records || records->dtype != CJ_F64 || records->rank != 2 ||
            records->shape[1] != tally->n)
            return malformed(t, name);
        if (!write) continue;
        tally->count = 0;
        CJ__TRY(cj__tally_add(t->cj, row, tally, records));
    }
    return CJ_OK;
}

/* Looks at everything before anything is changed. */
static cj_status take(cj__trainer *t, const cj_tensors *list)
{
    int64_t version;
    cj__trainer at = *t;
    const char *arguments = cj_tensors_metadata(list, "arguments");
    const cj_tensor *totals = cj_tensors_find(list, "training/totals");
    CJ__TRY(get_int(t, list, "checkpoint", 1, &version));
    if (!arguments) return malformed(t, "arguments");
    CJ__TRY(check_arguments(t, arguments));
    CJ__TRY(get_int(t, list, "epoch", UINT32_MAX / 2, &at.epoch));
    CJ__TRY(get_int(t, list, "step", t->steps, &at.step));
    CJ__TRY(get_int(t, list, "total_step", INT64_MAX / 2, &at.total_step));
    CJ__TRY(get_int(t, list, "best_epoch", at.epoch, &at.best_epoch));
    CJ__TRY(get_int(t, list, "wait", at.epoch, &at.wait));
    CJ__TRY(get_number(t, list, "best", &at.best));
    CJ__TRY(get_number(t, list, "seconds", &at.seconds));
    CJ__TRY(get_number(t, list, "learning_rate", &at.learning_rate));
    if (!totals || totals->dtype != CJ_F64 || totals->count != t->objective.n_totals)
        return malformed(t, "totals");
    int64_t epochs_before;
    CJ__TRY(get_int(t, list, "epochs_before", UINT32_MAX / 2, &epochs_before));
    CJ__TRY(take_store(t, list, "store", cj_model_store(t->m), false));
    CJ__TRY(take_store(t, list, "best", t->best_weights, false));
    if (at.step > 0) CJ__TRY(take_records(t, list, false));
    *t = at;
    CJ__TRY(take_history(t, list));
    t->history->epochs_before = epochs_before;
    memcpy(t->totals.sums, cj__tensor_data(totals),
           (size_t)totals->count * sizeof *t->totals.sums);
    if (t->step > 0) CJ__TRY(take_records(t, list, true));
    CJ__TRY(take_store(t, list, "store", cj_model_store(t->m), true));
    return take_store(t, list, "best", t->best_weights, true);
}

/* Damage is passed over; wrong arguments, lack of memory and cancellation are not. */
static bool is_damage(cj_status failed)
{
    return failed == CJ_ERR_FORMAT || failed == CJ_ERR_DATA || failed == CJ_ERR_IO ||
           failed == CJ_ERR_UNSUPPORTED || failed == CJ_ERR_NOT_FOUND;
}

cj_status cj__checkpoint_load(cj__trainer *t)
{
    folder f;
    cj_status failed = open_folder(t, &f);
    if (!failed && !f.count)
        failed = cj_fail(t->cj, CJ_ERR_NOT_FOUND, "resume: there is no checkpoint in %s",
                         t->checkpoint_path);
    for (int i = 0; !failed && i < f.count; i++) {
        cj_tensors *list = NULL;
        char *path = cj__arena_printf(&f.arena, "%s/%s", f.path, f.names[i]);
        failed = path ? cj_safetensors_load(t->cj, path, &list) : CJ_ERR_MEMORY;
        if (!failed) failed = take(t, list);
        cj_tensors_free(list);
        if (!failed) break;
        if (!is_damage(failed) || i + 1 == f.count) break;
        cj__log(t->cj, CJ_LOG_WARNING, "%s is damaged, resuming from %s: %s", f.names[i],
                f.names[i + 1], cj_message(t->cj));
        failed = CJ_OK;
    }
    cj__arena_release(&f.arena);
    return failed;
}
