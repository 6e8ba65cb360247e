/* test_optimizer_options.c: what fit does with options of optimizers and with schedules that look
 * at scores: averages in the end, gradients of several batches, a rate that waits for progress; and
 * that a training with all of them goes on from a checkpoint to the same bits. */
#include "train_support.h"

static cj_context *cj;
static int setup(void **state)
{
    (void)state;
    return (cj = cj_context_new(&(cj_config){.clock = &still})) ? 0 : -1;
}
static int teardown(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

static cj_model *model(cj_dataset *ds)
{
    cj_model *m = ds ? cj_model_from_text(cj, "dense 5 tanh, dense 3 softmax", ds, 3) : NULL;
    if (!m) fail_msg("%s", cj_message(cj));
    return m;
}

static const float *floats(cj_model *m, const char *name, int64_t *n)
{
    const cj_tensor *t = cj_store_get(cj_model_store(m), name);
    if (!t) fail_msg("no '%s' in the store", name);
    *n = cj_tensor_count(t);
    return cj_tensor_map_read(t);
}

/* ---- Averages -------------------------------------------------------------------------------- */

enum { KERNEL = 30 };
typedef struct average {
    double ema[KERNEL], mean[KERNEL], newest[KERNEL];
    int64_t steps, counted;
} average;

/* What the averages are to be, from the weights after each step. */
static bool add_weights(void *user, const cj_fit_state *s)
{
    average *a = user;
    int64_t n;
    const float *w = floats(s->model, "dense/kernel", &n);
    assert_int_equal(n, KERNEL);
    a->steps++;
    const bool counts = a->steps > 4 && a->steps % 2 == 0; /* swa_start=4, swa_frequency=2 */
    if (counts) a->counted++;
    for (int i = 0; i < KERNEL; i++) {
        a->newest[i] = w[i];
        a->ema[i] = a->steps == 1 ? w[i] : 0.8 * a->ema[i] + 0.2 * w[i];
        if (a->steps <= 4) a->mean[i] = w[i];
        else if (counts) a->mean[i] += (w[i] - a->mean[i]) / (double)(a->counted + 1);
    }
    return true;
}

static void assert_weights(cj_model *m, const double *expected)
{
    int64_t n;
    const float *w = floats(m, "dense/kernel", &n);
    for (int i = 0; i < KERNEL; i++)
        if (!(fabs(w[i] - expected[i]) <= 1e-6))
            fail_msg("weight %d is %.9g, expected %.9g", i, (double)w[i], expected[i]);
}

static void averages_in_the_end(void **state)
{
    (void)state;
    cj_dataset *ds = clouds(cj, 40, 6, 3);
    static const char *const optimizers[] = {"adam(use_ema=true, ema_momentum=0.8)",
                                             "sgd(swa_start=4, swa_frequency=2)", "adam",
                                             "schedule_free_adamw"};
    for (int i = 0; i < 4; i++) {
        average a = {.steps = 0};
        cj_callback row = {.name = "average", .user = &a, .on_step_end = add_weights};
        const cj_callback *list[] = {&row, NULL};
        cj_model *m = model(ds);
        char run[300], path[340];
        OK(cj_fit(m, ds, .epochs = 3, .batch_size = 8, .optimizer = optimizers[i],
                  .learning_rate = 0.1, .callbacks = list, .run = fresh(run, "averages")));
        assert_int_equal(a.steps, 15);
        if (i < 3) assert_weights(m, i == 0 ? a.ema : i == 1 ? a.mean : a.newest);
        int64_t n, k;
        if (i == 3)
            assert_memory_equal(floats(m, "dense/kernel", &n),
                                floats(m, "optimizer/average/dense/kernel", &k),
                                KERNEL * sizeof(float));
        snprintf(path, sizeof path, "%s/last.onnx", run);
        cj_model *last = cj_load(cj, path); /* what is saved is what fit leaves */
        cj_scores here, there;
        if (!last) fail_msg("%s", cj_message(cj));
        OK(cj_evaluate(m, ds, &here));
        OK(cj_evaluate(last, ds, &there));
        assert_true(fabs(cj_score(&here, "loss") - cj_score(&there, "loss")) < 1e-6);
        remove_folder(run);
    }
}

/* The best epoch's weights, when they are restored, win. */
static void best_epoch_wins(void **state)
{
    (void)state;
    cj_dataset *ds = clouds(cj, 40, 6, 3);
    cj_model *m = model(ds);
    OK(cj_fit(m, ds, .epochs = 9, .optimizer = "sgd(use_ema=true)", .learning_rate = 500,
              .patience = 2));
    const cj_history *h = cj_model_history(m);
    int best = 0;
    for (int i = 1; i < cj_history_epochs(h); i++)
        if (cj_score(cj_history_at(h, i), "loss") < cj_score(cj_history_at(h, best), "loss"))
            best = i;
    int64_t n, k;
    assert_true(best + 1 < cj_history_epochs(h));
    assert_memory_not_equal(floats(m, "dense/kernel", &n),
                                floats(m, "optimizer/average/dense/kernel", &k),
                                KERNEL * sizeof(float));
}

/* ---- Gradients of several batches ------------------------------------------------------------ */

static void batches_together(void **state)
{
    (void)state;
    cj_dataset *ds = clouds(cj, 48, 6, 3);
    cj_model *whole = model(ds), *parts = model(ds);
    OK(cj_fit(whole, ds, .epochs = 3, .batch_size = 24, .optimizer = "adam(global_clipnorm=0.1)",
              .learning_rate = 0.05, .no_shuffle = true));
    OK(cj_fit(parts, ds, .epochs = 3, .batch_size = 8,
              .optimizer = "adam(gradient_accumulation_steps=3, global_clipnorm=0.1)",
              .learning_rate = 0.05, .no_shuffle = true));
    int64_t n, k;
    const float *a = floats(whole, "dense/kernel", &n), *b = floats(parts, "dense/kernel", &k);
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(a[i] - b[i]) < 1e-5f))
            fail_msg("weight %d: %g and %g", (int)i, (double)a[i], (double)b[i]);
    const cj_tensor *step = cj_store_get(cj_model_store(parts), "optimizer/step");
    assert_int_equal(*(const int64_t *)cj_tensor_map_read(step), 6);
}

/* fit's clip_norm and the optimizer's are one thing. */
static void clip_norm(void **state)
{
    (void)state;
    cj_dataset *ds = clouds(cj, 48, 6, 3);
    cj_model *a = model(ds), *b = model(ds);
    OK(cj_fit(a, ds, .epochs = 2, .optimizer = "sgd", .clip_norm = 0.05));
    OK(cj_fit(b, ds, .epochs = 2, .optimizer = "sgd(global_clipnorm=0.05)"));
    int64_t n, k;
    assert_memory_equal(floats(a, "dense/kernel", &n), floats(b, "dense/kernel", &k),
                        KERNEL * sizeof(float));
}

/* ---- A schedule that looks at scores --------------------------------------------------------- */

static void plateau(void **state)
{
    (void)state;
    cj_dataset *ds = clouds(cj, 40, 6, 3);
    cj_model *m = model(ds);
    /* Nothing is good enough after the first epoch; accuracy is better when it is larger. */
    static const char *const monitors[] = {"loss", "accuracy"};
    for (int i = 0; i < 2; i++) {
        OK(cj_fit(m, ds, .epochs = 7, .optimizer = "sgd", .learning_rate = 0.1,
                  .monitor = monitors[i], .validation_split = 0,
                  .schedule = "plateau(0.5, patience=2, min_delta=100, min_learning_rate=0.03)"));
        static const double rates[] = {0.1, 0.1, 0.1, 0.05, 0.05, 0.03, 0.03};
        const cj_history *h = cj_model_history(m);
        assert_int_equal(cj_history_epochs(h), 7);
        for (int e = 0; e < 7; e++) {
            double rate = cj_score(cj_history_at(h, e), "learning_rate");
            if (fabs(rate - rates[e]) > 1e-12) fail_msg("epoch %d: %g", e + 1, rate);
        }
    }
}

static void goes_on(void **state)
{
    (void)state;
    char whole_run[300], run[300];
    cj_dataset *ds = clouds(cj, 45, 6, 3);
    cj_model *whole = model(ds), *first = model(ds), *second = model(ds);
#define FIT(m, n, ...)                                                                             \
    OK(cj_fit(m, ds, .epochs = n, .batch_size = 8, .learning_rate = 0.05, .validation_split = 0.2, \
              .optimizer = "nadam(gradient_accumulation_steps=4, use_ema=true, "                   \
                           "lookahead_steps=2, clipnorm=1)",                                       \
              .schedule = "plateau(0.5, patience=1, min_delta=0.05, warmup=5)", __VA_ARGS__))
    FIT(whole, 6, .run = fresh(whole_run, "whole"));
    FIT(first, 3, .run = fresh(run, "parts"));
    FIT(second, 6, .run = run, .resume = true);
#undef FIT
    same_stores(cj_model_store(whole), cj_model_store(second));
    const cj_history *h = cj_model_history(whole), *k = cj_model_history(second);
    for (int i = 0; i < 6; i++)
        assert_memory_equal(cj_history_at(h, i), cj_history_at(k, i), sizeof(cj_scores));
    assert_true(cj_score(cj_history_at(h, 5), "learning_rate") < 0.05);
    remove_folder(whole_run);
    remove_folder(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(averages_in_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(best_epoch_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(batches_together, setup, teardown),
        cmocka_unit_test_setup_teardown(clip_norm, setup, teardown),
        cmocka_unit_test_setup_teardown(plateau, setup, teardown),
        cmocka_unit_test_setup_teardown(goes_on, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
