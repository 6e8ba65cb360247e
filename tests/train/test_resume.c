/* test_resume.c: a training that was stopped, cancelled or killed ends with the same bits as one
 * that never was. */
/* ctest: timeout 240 */
#define _POSIX_C_SOURCE 200809L
#include "train_support.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { EPOCHS = 4, SAMPLES = 45, BATCH = 8 };

/* Cancels at the n-th question; 0: never. */
typedef struct canceller {
    int64_t asked, at;
} canceller;
static bool cancel(void *user)
{
    canceller *c = user;
    return c->at && ++c->asked >= c->at;
}

static const char *optimizer;

typedef struct attempt {
    cj_context *cj;
    cj_model *m;
    cj_status status;
    canceller stop;
    int warnings;
} attempt;

static void count_warnings(void *user, cj_log_level level, const char *text)
{
    (void)text;
    ((attempt *)user)->warnings += level == CJ_LOG_WARNING;
}

/* One call of fit in a context of its own. A run with everything that has state: shuffling,
 * dropout, a metric that keeps the samples, momentum, a schedule, early stopping's best weights,
 * checkpoints within epochs. */
static void attempt_fit(attempt *a, const char *run, bool resume, int64_t cancel_at, int64_t epochs)
{
    *a = (attempt){.stop = {.at = cancel_at}};
    a->cj = cj_context_new(&(cj_config){.threads = 1,
                                        .clock = &still,
                                        .cancel = cancel,
                                        .cancel_user = &a->stop,
                                        .log = count_warnings,
                                        .log_user = a});
    cj_dataset *ds = clouds(a->cj, SAMPLES, 5, 3);
    a->m = cj_model_from_text(a->cj, "dense 9 tanh, dropout 0.25, dense 3 softmax", ds, 3);
    if (!a->m) fail_msg("%s", cj_message(a->cj));
    a->status = cj_fit(a->m, ds, .epochs = epochs, .batch_size = BATCH, .optimizer = optimizer,
                       .learning_rate = 0.02, .schedule = "step(epochs=2)",
                       .metrics = "accuracy, f1(average=none), roc_auc",
                       .validation_split = 0.2, .seed = 5, .patience = 3,
                       .run = run, .resume = resume, .overwrite = !resume, .checkpoint_steps = 2);
}

static attempt whole;
static char whole_run[300];

static void same_run(const attempt *a, const char *run)
{
    static const char *const files[] = {"results.csv", "best.onnx", "last.onnx"};
    same_stores(cj_model_store(whole.m), cj_model_store(a->m));
    for (int i = 0; i < 3; i++) {
        char x[400], y[400];
        snprintf(x, sizeof x, "%s/%s", whole_run, files[i]);
        snprintf(y, sizeof y, "%s/%s", run, files[i]);
        same_files(x, y);
    }
    const cj_history *h = cj_model_history(whole.m), *k = cj_model_history(a->m);
    assert_int_equal(cj_history_epochs(h), cj_history_epochs(k));
    for (int i = 0; i < cj_history_epochs(h); i++)
        assert_memory_equal(cj_history_at(h, i), cj_history_at(k, i), sizeof(cj_scores));
}

static int setup(void **state)
{
    (void)state;
    attempt_fit(&whole, fresh(whole_run, "whole"), false, 0, EPOCHS);
    if (whole.status) fail_msg("%s", cj_message(whole.cj));
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    cj_context_free(whole.cj);
    remove_folder(whole_run);
    return 0;
}

/* Cancelled at every stage, then again and again until it is through. */
static void cancelled(void **state)
{
    (void)state;
    char run[300];
    int attempts = 0, cancels = 0;
    for (int64_t at = 1; at < 40; at += 3) {
        attempt a;
        attempt_fit(&a, fresh(run, "cancelled"), false, at * 7, EPOCHS);
        for (int64_t more = at * 11; a.status; more += 61) {
            if (a.status != CJ_ERR_CANCELLED) fail_msg("%s", cj_message(a.cj));
            cancels++;
            bool begun = access(run, F_OK) == 0;
            cj_context_free(a.cj);
            attempt_fit(&a, run, begun, more, EPOCHS);
            attempts++;
        }
        same_run(&a, run);
        cj_context_free(a.cj);
    }
    assert_true(cancels > 20);
    print_message("%d cancellations\n", cancels);
    remove_folder(run);
}

/* More epochs than were asked for first; without a schedule that looks at the end. */
static void longer(void **state)
{
    (void)state;
    char run[300];
    attempt a;
    attempt_fit(&a, fresh(run, "longer"), false, 0, 2);
    assert_int_equal(a.status, CJ_OK);
    cj_context_free(a.cj);
    attempt_fit(&a, run, true, 0, EPOCHS);
    if (a.status) fail_msg("%s", cj_message(a.cj));
    same_run(&a, run);
    cj_context_free(a.cj);
    attempt_fit(&a, run, true, 0, EPOCHS); /* nothing is left to do */
    assert_int_equal(a.status, CJ_OK);
    same_run(&a, run);
    cj_context_free(a.cj);
    remove_folder(run);
}

/* A child killed at a random moment, 50 times. */
static void killed(void **state)
{
    (void)state;
    char run[300];
    int kills = 0, finished = 0;
    unsigned random = 1;
    fresh(run, "killed");
    bool resume = false;
    while (kills < 50) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (!child) {
            attempt a;
            attempt_fit(&a, run, resume, 0, EPOCHS);
            _exit(a.status ? 9 : 0);
        }
        random = random * 1664525u + 1013904223u;
        nanosleep(&(struct timespec){0, (long)(random >> 8) % 60000000}, NULL);
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status))
            fail_msg("after %d kills a resumed training failed", kills);
        kills += WIFSIGNALED(status);
        char checkpoints[400];
        snprintf(checkpoints, sizeof checkpoints,
                 "ls '%s'/checkpoint/step-*.safetensors >/dev/null 2>&1", run);
        resume = system(checkpoints) == 0;
        if (WIFEXITED(status)) {
            attempt a;
            attempt_fit(&a, run, true, 0, EPOCHS);
            assert_int_equal(a.status, CJ_OK);
            same_run(&a, run);
            cj_context_free(a.cj);
            finished++;
            fresh(run, "killed");
            resume = false;
        }
    }
    attempt a;
    attempt_fit(&a, run, resume, 0, EPOCHS);
    if (a.status) fail_msg("%s", cj_message(a.cj));
    same_run(&a, run);
    cj_context_free(a.cj);
    print_message("%d kills, %d runs ended between them\n", kills, finished);
    remove_folder(run);
}

static void newest_checkpoint(const char *run, char path[500])
{
    char command[500];
    snprintf(command, sizeof command, "ls '%s'/checkpoint/step-*.safetensors | tail -1", run);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    if (!fgets(path, 500, f)) fail_msg("no checkpoint");
    path[strcspn(path, "\n")] = 0;
    pclose(f);
}

/* A flipped bit anywhere in the newest checkpoint: the one before is taken, with a warning. */
static void damaged(void **state)
{
    (void)state;
    char run[300], path[500];
    for (int i = 0; i < 12; i++) {
        attempt a;
        attempt_fit(&a, fresh(run, "damaged"), false, 150, EPOCHS);
        assert_int_equal(a.status, CJ_ERR_CANCELLED);
        cj_context_free(a.cj);
        newest_checkpoint(run, path);
        size_t size;
        unsigned char *bytes = golden_bytes(path, &size);
        if (i < 10) bytes[(size - 1) * (size_t)i / 9] ^= 4;
        golden_write(path, bytes, i < 10 ? size : i == 10 ? size / 2 : 0);
        free(bytes);
        attempt_fit(&a, run, true, 0, EPOCHS);
        if (a.status) fail_msg("damage %d: %s", i, cj_message(a.cj));
        if (a.warnings != 1) fail_msg("damage %d: %d warnings", i, a.warnings);
        same_run(&a, run);
        cj_context_free(a.cj);
    }
    remove_folder(run);
}

static void refuses(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1});
    cj_dataset *ds = clouds(cj, 20, 4, 2);
    char run[300];
    fresh(run, "refuses");
    cj_model *m = cj_model_from_text(cj, "dense 2 softmax", ds, 1);
    assert_int_equal(cj_fit(m, ds, .run = run, .resume = true), CJ_ERR_NOT_FOUND);
    assert_non_null(strstr(cj_message(cj), "there is no checkpoint"));
    OK(cj_fit(m, ds, .run = run));
    assert_int_equal(cj_fit(m, ds, .run = run), CJ_ERR_EXISTS);
    assert_non_null(strstr(cj_message(cj), "has a run in it"));
    assert_int_equal(cj_fit(m, ds, .run = run, .resume = true, .batch_size = 5), CJ_ERR_ARGUMENT);
    if (!strstr(cj_message(cj), "was trained with batch_size=32, not with batch_size=5"))
        fail_msg("%s", cj_message(cj));
    cj_model *other = cj_model_from_text(cj, "dense 3 relu, dense 2 softmax", ds, 1);
    cj_status failed = cj_fit(other, ds, .run = run, .resume = true);
    if (failed != CJ_ERR_FORMAT || !strstr(cj_message(cj), "dense/kernel"))
        fail_msg("%s", cj_message(cj));
    OK(cj_fit(m, ds, .run = run, .overwrite = true));
    cj_context_free(cj);
    remove_folder(run);
}

/* The disk is full from some write on: training ends with an error only when its result is lost. */
static void two_are_kept(void **state)
{
    (void)state;
    char command[500];
    snprintf(command, sizeof command, "test $(ls '%s/checkpoint' | wc -l) = 2", whole_run);
    assert_int_equal(system(command), 0);
    char path[500];
    snprintf(path, sizeof path, "%s/results.csv", whole_run);
    size_t size;
    unsigned char *csv = golden_bytes(path, &size);
    static const char header[] =
        "epoch,seconds,loss,accuracy,f1[0],f1[1],f1[2],roc_auc,val_loss,val_accuracy,val_f1[0],"
        "val_f1[1],val_f1[2],val_roc_auc,learning_rate\n1,0,";
    if (size < sizeof header || memcmp(csv, header, sizeof header - 1))
        fail_msg("%.*s", (int)size, csv);
    int lines = 0;
    for (size_t i = 0; i < size; i++) lines += csv[i] == '\n';
    assert_int_equal(lines, EPOCHS + 1);
    free(csv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(two_are_kept), cmocka_unit_test(cancelled),
                                       cmocka_unit_test(longer),       cmocka_unit_test(killed),
                                       cmocka_unit_test(damaged),      cmocka_unit_test(refuses)};
    /* A step of the second is several evaluations of its batch. */
    static const char *const optimizers[] = {"adam", "lbfgs(max_iter=3, history_size=2)"};
    int failed = 0;
    for (int i = 0; i < 2; i++) {
        optimizer = optimizers[i];
        failed += cmocka_run_group_tests(tests, setup, teardown);
    }
    return failed;
}
