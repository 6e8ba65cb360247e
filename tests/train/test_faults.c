/* test_faults.c: every allocation and every file operation of a whole life fails once, and from
 * then on: build, fit with checkpoints, save, load, evaluate, resume. A failure is a status with a
 * sentence; nothing leaks; the model's file is the old one or the new one; what a failure leaves
 * behind does not stop the next training. */
/* ctest: slow timeout 900 */
#define _POSIX_C_SOURCE 200809L
#include "support/faults.h"
#include "train_support.h"

#include "base/posix.h"

static char run[300], saved[340];

static cj_status life(cj_context *cj, void *arg)
{
    (void)arg;
    cj_status failed = CJ_ERR_MEMORY;
    cj_model *loaded = NULL, *m = NULL;
    cj_scores scores;
    cj_dataset *ds = clouds(cj, 12, 3, 2);
    if (ds) m = cj_model_from_text(cj, "dense 3 tanh, dropout 0.2, dense 2 softmax", ds, 3);
    if (m)
        failed = cj_fit(m, ds, .epochs = 1, .batch_size = 6, .validation_split = 0.25,
                        .patience = 2, .run = run, .overwrite = true, .checkpoint_steps = 1,
                        .metrics = "accuracy, roc_auc");
    else failed = cj_last_status(cj);
    if (!failed) failed = cj_save(m, saved);
    if (!failed && !(loaded = cj_load(cj, saved))) failed = cj_last_status(cj);
    if (!failed) failed = cj_evaluate(loaded, ds, &scores);
    if (!failed)
        failed = cj_fit(m, ds, .epochs = 2, .batch_size = 6, .validation_split = 0.25,
                        .patience = 2, .run = run, .resume = true,
                        .metrics = "accuracy, roc_auc");
    cj_model_free(loaded);
    cj_model_free(m);
    cj_dataset_free(ds);
    return failed;
}

/* Nobody pulls the plug here, and syncing would be most of the time. */
static int no_sync(void *user, int file) { return (void)user, (void)file, 0; }

/* Each allocation; with CJ_FAULTS=some each 11th. */
static void memory(void **state)
{
    (void)state;
    cj_io io = cj__posix_io;
    io.sync = no_sync;
    cj_config config = {.threads = 1, .clock = &still, .io = &io};
    const char *how = getenv("CJ_FAULTS");
    assert_true(faults_sweep_memory(life, NULL, &config, how && !strcmp(how, "some") ? 11 : 1) >
                100);
}

/* The file that a good run wrote before is there after each bad one, whole. */
static void after(void *arg, cj_status status)
{
    (void)arg;
    (void)status;
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1});
    cj_model *m = cj_load(cj, saved);
    if (!m) fail_msg("%s", cj_message(cj));
    cj_context_free(cj);
}

static void files(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1});
    OK(life(cj, NULL));
    cj_context_free(cj);
    assert_true(faults_sweep_files(life, NULL, after) > 500);
}

/* A disk that is full while an epoch ends is a warning; at the end of training it is an error. */
typedef struct full_disk {
    faults_files files;
    int warnings;
} full_disk;
static void count_warnings(void *user, cj_log_level level, const char *text)
{
    (void)text;
    ((full_disk *)user)->warnings += level == CJ_LOG_WARNING;
}
static bool fill_disk(void *user, const cj_fit_state *s)
{
    full_disk *d = user;
    d->files.fail_at = s->epoch == 2 || s->epoch == 5 ? d->files.calls + 1
                                                      : 0; /* during the epochs 2 and 5 */
    return true;
}

static void disk_full(void **state)
{
    (void)state;
    for (int epochs = 4; epochs <= 5; epochs++) {
        full_disk d = {0};
        faults_files_init(&d.files);
        d.files.how = FAULT_ERROR, d.files.error = 28 /* ENOSPC */, d.files.from_then_on = true;
        cj_context *cj = cj_context_new(&(cj_config){.threads = 1,
                                                     .clock = &still,
                                                     .io = &d.files.io,
                                                     .log = count_warnings,
                                                     .log_user = &d});
        cj_dataset *ds = clouds(cj, 12, 3, 2);
        cj_model *m = cj_model_from_text(cj, "dense 2 softmax", ds, 3);
        cj_callback row = {.name = "disk", .user = &d, .on_epoch_begin = fill_disk};
        cj_status failed = cj_fit(m, ds, .epochs = epochs, .run = run, .overwrite = true,
                                  .callbacks = (const cj_callback *const[]){&row, NULL});
        if (epochs == 4 && failed) fail_msg("%s", cj_message(cj));
        if (epochs == 5) assert_int_equal(failed, CJ_ERR_IO);
        if (d.warnings < 3) fail_msg("%d warnings", d.warnings);
        assert_int_equal(cj_history_epochs(cj_model_history(m)), epochs);
        char path[400];
        snprintf(path, sizeof path, "%s/results.csv", run);
        size_t size;
        unsigned char *csv = golden_bytes(path, &size);
        int lines = 0;
        for (size_t i = 0; i < size; i++) lines += csv[i] == '\n';
        assert_int_equal(lines, 5); /* names and four epochs: the lost row was made up for */
        free(csv);
        cj_context_free(cj);
    }
}

static int setup(void **state)
{
    (void)state;
    if (access("/dev/shm", W_OK)) fresh(run, "faults");
    else
        snprintf(run, sizeof run, "/dev/shm/cajal_train_faults_%d",
                 (int)getpid()); /* syncing costs nothing there */
    snprintf(saved, sizeof saved, "%s.onnx", run);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    remove_folder(run);
    remove(saved);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(disk_full), cmocka_unit_test(memory),
                                       cmocka_unit_test(files)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
