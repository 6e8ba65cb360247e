/* test_fit.c: learning, repeating, stopping, failing. */
#define _POSIX_C_SOURCE 200809L
#include "train_support.h"

#include <pthread.h>

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

static cj_model *model(cj_dataset *ds, const char *text)
{
    cj_model *m = ds ? cj_model_from_text(cj, text, ds, 3) : NULL;
    if (!m) fail_msg("%s", cj_message(cj));
    return m;
}

/* ---- Learning -------------------------------------------------------------------------------- */

static void learns_xor(void **state)
{
    (void)state;
    static const float x[] = {0, 0, 0, 1, 1, 0, 1, 1};
    static const int32_t y[] = {0, 1, 1, 0};
    cj_tensor *xs = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){4, 2}, x),
              *ys = cj_tensor_from(cj, CJ_I32, 1, (int64_t[]){4}, y);
    cj_dataset *ds = cj_dataset_from_tensors(cj, xs, ys);
    static const char *const models[] = {"dense 8 tanh, dense 1 sigmoid",
                                         "dense 8 tanh, dense 2 softmax"};
    for (int i = 0; i < 2; i++) {
        cj_model *m = model(ds, models[i]);
        cj_scores scores;
        int64_t counts[4];
        OK(cj_fit(m, ds, .epochs = 300, .learning_rate = 0.05));
        OK(cj_evaluate(m, ds, &scores, .confusion = counts));
        assert_true(cj_score(&scores, "accuracy") == 1);
        assert_true(cj_score(&scores, "loss") < 0.05);
        assert_memory_equal(counts, ((int64_t[]){2, 0, 0, 2}), sizeof counts);
        cj_model_info info;
        cj_model_get_info(m, &info);
        assert_string_equal(info.loss,
                            i ? "sparse_categorical_crossentropy" : "binary_crossentropy");
        assert_string_equal(info.metrics, "accuracy");
        assert_int_equal(info.output_size, i + 1);
        assert_int_equal(info.classes, 2);
    }
    cj_tensor_free(xs), cj_tensor_free(ys);
}

static void learns_numbers(void **state)
{
    (void)state;
    float x[64], y[64];
    for (int i = 0; i < 64; i++) x[i] = (float)i / 32 - 1, y[i] = 3 * x[i] - 0.5f;
    cj_tensor *xs = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){64, 1}, x),
              *ys = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){64, 1}, y);
    cj_dataset *ds = cj_dataset_from_tensors(cj, xs, ys);
    cj_model *m = model(ds, "dense 1");
    cj_scores scores;
    OK(cj_fit(m, ds, .epochs = 60, .batch_size = 16, .optimizer = "sgd(momentum=0.9)",
              .learning_rate = 0.05, .metrics = "mae, mse"));
    OK(cj_evaluate(m, ds, &scores));
    if (!(cj_score(&scores, "mse") < 1e-6)) fail_msg("mse %g", cj_score(&scores, "mse"));
    assert_true(fabs(cj_score(&scores, "mse") - cj_score(&scores, "loss")) < 1e-9);
    assert_true(isnan(cj_score(&scores, "accuracy")));
    cj_tensor_free(xs), cj_tensor_free(ys);
}

static void learns_iris(void **state)
{
    (void)state;
    char path[500];
    const char *data = getenv("CAJAL_DATA");
    snprintf(path, sizeof path, "%s/tabular/iris.csv",
             data ? data : CJ_SOURCE_DIR "/../shared/datasets");
    if (access(path, R_OK))
        snprintf(path, sizeof path, "%s/iris.csv",
                 data ? data : CJ_SOURCE_DIR "/../shared/datasets");
    if (access(path, R_OK)) {
        print_message("skipped: there is no iris.csv\n");
        skip();
    }
    cj_dataset *ds = cj_dataset_open(cj, path);
    cj_model *m = model(ds, "dense 16 relu, dense 3 softmax");
    OK(cj_fit(m, ds, .epochs = 100, .batch_size = 16, .validation_split = 0.2,
              .learning_rate = 0.01));
    const cj_history *h = cj_model_history(m);
    assert_int_equal(cj_history_epochs(h), 100);
    const cj_scores *last = cj_history_at(h, 99);
    assert_true(cj_score(last, "epoch") == 100);
    if (!(cj_score(last, "val_accuracy") >= 0.9))
        fail_msg("val_accuracy %g", cj_score(last, "val_accuracy"));
    static const char *const names[] = {"epoch",    "seconds",      "loss",         "accuracy",
                                        "val_loss", "val_accuracy", "learning_rate"};
    assert_int_equal(last->n, 7);
    for (int i = 0; i < 7; i++) assert_string_equal(last->name[i], names[i]);
}

/* ---- The same bits --------------------------------------------------------------------------- */

typedef struct trained {
    cj_context *cj;
    cj_model *m;
} trained;

static trained train(int threads, uint64_t seed, int fits, int epochs)
{
    trained t = {.cj = cj_context_new(
                     &(cj_config){.threads = threads, .deterministic = true, .clock = &still})};
    cj_dataset *ds = clouds(t.cj, 33, 6, 3); /* batches of 32 and of 1 */
    t.m = cj_model_from_text(t.cj, "dense 16 relu, dropout 0.3, dense 3 softmax", ds, 3);
    if (!t.m) fail_msg("%s", cj_message(t.cj));
    for (int i = 0; i < fits; i++) {
        cj_status failed = cj_fit(t.m, ds, .epochs = epochs, .seed = seed);
        if (failed) fail_msg("%s", cj_message(t.cj));
    }
    return t;
}

static void same_bits(void **state)
{
    (void)state;
    trained a = train(1, 7, 1, 4);
    for (int threads = 1; threads <= 3; threads++) {
        trained b = train(threads, 7, 1, 4);
        same_stores(cj_model_store(a.m), cj_model_store(b.m));
        cj_context_free(b.cj);
    }
    trained twice = train(1, 7, 2, 2); /* training goes on as if it had not been cut */
    same_stores(cj_model_store(a.m), cj_model_store(twice.m));
    cj_context_free(twice.cj);
    trained other = train(1, 8, 1, 4);
    assert_false(cj_tensor_equal(cj_store_get(cj_model_store(a.m), "dense/kernel"),
                                 cj_store_get(cj_model_store(other.m), "dense/kernel")));
    cj_context_free(other.cj);
    cj_context_free(a.cj);
}

static void *train_in_thread(void *result)
{
    *(trained *)result = train(1, 7, 1, 4);
    return NULL;
}

static void two_contexts_at_once(void **state)
{
    (void)state;
    pthread_t threads[2];
    trained t[2], alone = train(1, 7, 1, 4);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, train_in_thread, &t[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        same_stores(cj_model_store(alone.m), cj_model_store(t[i].m));
        cj_context_free(t[i].cj);
    }
    cj_context_free(alone.cj);
}

/* The loss of an epoch is that of its samples, whatever the batches: with a rate so small that
 * nothing moves. */
static void partial_batches(void **state)
{
    (void)state;
    cj_dataset *ds = clouds(cj, 33, 6, 3);
    double loss[3], accuracy[3];
    static const int64_t sizes[] = {32, 33, 7};
    for (int i = 0; i < 3; i++) {
        cj_model *m = model(ds, "dense 3 softmax");
        cj_scores scores;
        OK(cj_fit(m, ds, .epochs = 1, .batch_size = sizes[i], .optimizer = "sgd",
                  .learning_rate = 1e-30));
        const cj_scores *s = cj_history_at(cj_model_history(m), 0);
        loss[i] = cj_score(s, "loss"), accuracy[i] = cj_score(s, "accuracy");
        OK(cj_evaluate(m, ds, &scores, .batch_size = sizes[2 - i]));
        assert_true(fabs(cj_score(&scores, "loss") - loss[i]) < 1e-7);
        assert_true(cj_score(&scores, "accuracy") == accuracy[i]);
        assert_int_equal(s->samples, 33);
    }
    for (int i = 1; i < 3; i++)
        if (fabs(loss[i] - loss[0]) > 1e-7 || accuracy[i] != accuracy[0])
            fail_msg("%.9g and %.9g", loss[0], loss[i]);
}

/* The penalty of a regularizer is part of loss, in fit as in evaluate. */
static void penalties(void **state)
{
    (void)state;
    cj_dataset *ds = clouds(cj, 40, 6, 3);
    cj_model *plain = model(ds, "dense 3 softmax"),
             *heavy = model(ds, "dense 3 softmax kernel_regularizer=l2(0.5)");
    cj_scores a, b;
    OK(cj_evaluate(plain, ds, &a, .loss = "sparse_categorical_crossentropy"));
    OK(cj_evaluate(heavy, ds, &b, .loss = "sparse_categorical_crossentropy"));
    const cj_tensor *w = cj_store_get(cj_model_store(heavy), "dense/kernel");
    const float *v = cj_tensor_map_read(w);
    double penalty = 0;
    for (int64_t i = 0; i < cj_tensor_count(w); i++) penalty += 0.5 * v[i] * v[i];
    double difference = cj_score(&b, "loss") - cj_score(&a, "loss");
    if (fabs(difference - penalty) > 1e-6) fail_msg("%g, expected %g", difference, penalty);
}

/* ---- Stopping -------------------------------------------------------------------------------- */

typedef struct calls {
    int begun, steps, ended, stop_at_step, stop_at_epoch;
    int64_t last_total;
    double losses; /* of the epoch's batches, which have one size */
} calls;
static bool on_begin(void *user, const cj_fit_state *s)
{
    return ((calls *)user)->begun++, s->epoch >= 1;
}
static bool on_step(void *user, const cj_fit_state *s)
{
    calls *c = user;
    assert_true(isfinite(cj_score(s->scores, "loss")));
    c->last_total = s->total_step;
    c->losses = (s->step > 1 ? c->losses : 0) + s->loss;
    /* The loss that is made small is a float; the mean that is shown a sum of doubles. */
    assert_true(fabs(c->losses / (double)s->step - cj_score(s->scores, "loss")) < 1e-6);
    return ++c->steps != c->stop_at_step;
}
static bool on_end(void *user, const cj_fit_state *s)
{
    calls *c = user;
    assert_true(cj_score(s->scores, "epoch") == (double)s->epoch);
    return ++c->ended != c->stop_at_epoch;
}

static void callbacks(void **state)
{
    (void)state;
    cj_dataset *ds = clouds(cj, 40, 6, 3);
    for (int kind = 0; kind < 3; kind++) {
        calls c = {.stop_at_step = kind == 1 ? 6 : 0, .stop_at_epoch = kind == 2 ? 2 : 0};
        cj_callback row = {.name = "count",
                           .user = &c,
                           .on_epoch_begin = on_begin,
                           .on_step_end = on_step,
                           .on_epoch_end = on_end};
        cj_model *m = model(ds, "dense 3 softmax");
        OK(cj_fit(m, ds, .epochs = 3, .batch_size = 10,
                  .callbacks = (const cj_callback *const[]){&row, NULL}));
        static const int expected[3][3] = {{3, 12, 3}, {2, 6, 2}, {2, 8, 2}};
        assert_int_equal(c.begun, expected[kind][0]);
        assert_int_equal(c.steps, expected[kind][1]);
        assert_int_equal(c.ended, expected[kind][2]);
        assert_int_equal(c.last_total, c.steps);
        assert_int_equal(cj_history_epochs(cj_model_history(m)), expected[kind][2]);
    }
}

/* Training that makes the score worse: the best epoch is the first, and its weights come back. */
typedef struct keeper {
    cj_tensor *first;
} keeper;
static bool keep_first(void *user, const cj_fit_state *s)
{
    keeper *k = user;
    if (s->epoch == 1)
        k->first = cj_tensor_copy(cj_store_get(cj_model_store(s->model), "dense/kernel"));
    return true;
}

static void early_stopping(void **state)
{
    (void)state;
    cj_dataset *ds = clouds(cj, 60, 6, 3), *held = clouds(cj, 30, 6, 3);
    for (int no_restore = 0; no_restore < 2; no_restore++) {
        keeper k = {0};
        cj_callback row = {.name = "keep", .user = &k, .on_epoch_end = keep_first};
        cj_model *m = model(ds, "dense 3 softmax");
        char *text = NULL;
        size_t size = 0;
        FILE *to = open_memstream(&text, &size);
        /* A monitor that never gets better after the first epoch: the rate is 0 but for rounding.
         */
        OK(cj_fit(m, ds, .epochs = 50, .batch_size = 20, .optimizer = "sgd", .learning_rate = 500,
                  .validation = held, .patience = 3, .no_restore = no_restore, .progress = to,
                  .monitor = "val_loss", .schedule = "exponential(gamma=1)",
                  .callbacks = (const cj_callback *const[]){&row, NULL}));
        fclose(to);
        const cj_history *h = cj_model_history(m);
        int epochs = cj_history_epochs(h), best = 0;
        for (int i = 1; i < epochs; i++)
            if (cj_score(cj_history_at(h, i), "val_loss") <
                cj_score(cj_history_at(h, best), "val_loss"))
                best = i;
        assert_int_equal(epochs, best + 1 + 3);
        char expected[100];
        snprintf(expected, sizeof expected, "Epoch %d: early stopping\n", epochs);
        if (!strstr(text, expected)) fail_msg("no '%s' in:\n%s", expected, text);
        snprintf(expected, sizeof expected,
                 "Restoring model weights from the end of the best epoch: %d.\n", best + 1);
        if (!strstr(text, expected) == !no_restore) fail_msg("'%s' in:\n%s", expected, text);
        cj_scores scores;
        OK(cj_evaluate(m, held, &scores));
        double found = cj_score(&scores, "loss"),
               kept = cj_score(cj_history_at(h, no_restore ? epochs - 1 : best), "val_loss");
        if (fabs(found - kept) > 1e-6 * fabs(kept)) fail_msg("loss %g, expected %g", found, kept);
        cj_tensor_free(k.first);
        free(text);
    }
}

/* ---- Failing --------------------------------------------------------------------------------- */

static cj_store *copy_of(cj_store *from)
{
    cj_store *to = cj_store_new(cj);
    for (int i = 0; i < cj_store_count(from); i++)
        OK(cj_store_set(to, cj_store_name_at(from, i), cj_store_tensor_at(from, i)));
    return to;
}

typedef struct watch {
    cj_store *before;
} watch;
static bool remember(void *user, const cj_fit_state *s)
{
    watch *w = user;
    cj_store_free(w->before);
    w->before = copy_of(cj_model_store(s->model));
    return true;
}

static void not_a_number(void **state)
{
    (void)state;
    float x[40];
    int32_t y[20];
    for (int i = 0; i < 40; i++) x[i] = (float)i / 40;
    for (int i = 0; i < 20; i++) y[i] = i % 2;
    x[25] = NAN; /* sample 12: the third batch of 5 */
    cj_tensor *xs = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){20, 2}, x),
              *ys = cj_tensor_from(cj, CJ_I32, 1, (int64_t[]){20}, y);
    cj_dataset *ds = cj_dataset_from_tensors(cj, xs, ys);
    cj_model *m = model(ds, "dense 2 softmax");
    watch w = {0};
    cj_callback row = {.name = "watch", .user = &w, .on_step_end = remember};
    assert_int_equal(cj_fit(m, ds, .epochs = 2, .batch_size = 5, .no_shuffle = true,
                            .normalize = "none",
                            .callbacks = (const cj_callback *const[]){&row, NULL}),
                     CJ_ERR_NUMERIC);
    if (!strstr(cj_message(cj), "epoch 1, step 3: the loss is NaN")) fail_msg("%s", cj_message(cj));
    same_stores(w.before, cj_model_store(m));
    cj_store_free(w.before);
    cj_tensor_free(xs), cj_tensor_free(ys);

    ds = clouds(cj, 40, 6, 3);
    float big[6] = {1e20f, 2e20f, 3e20f, 0, 0, 0}, target[3] = {-1e20f, 1e20f, 0};
    xs = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){3, 2}, big),
    ys = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){3, 1}, target);
    m = model(cj_dataset_from_tensors(cj, xs, ys), "dense 1");
    assert_int_equal(cj_fit(m, cj_dataset_from_tensors(cj, xs, ys), .epochs = 5,
                            .normalize = "none"),
                     CJ_ERR_NUMERIC);
    if (!strstr(cj_message(cj), "epoch 1, step 1: the loss is infinite"))
        fail_msg("%s", cj_message(cj));
    cj_tensor_free(xs), cj_tensor_free(ys);
}

static void refuses(cj_model *m, cj_status failed, cj_status expected, const char *words)
{
    (void)m;
    if (failed != expected || !strstr(cj_message(cj), words))
        fail_msg("'%s' (%s), expected '%s' (%s)", cj_message(cj), cj_status_name(failed), words,
                 cj_status_name(expected));
}

static void newcomers(void **state)
{
    (void)state;
    cj_dataset *three = clouds(cj, 12, 4, 3), *two = clouds(cj, 12, 4, 2);
    cj_model *ten = cj_model_new(cj), *one = cj_model_new(cj),
             *ok = model(three, "dense 3 softmax"), *none = cj_model_new(cj);
    cj_output(ten, "digit",
              cj_dense(cj_input(ten, "features", 4), .units = 10, .activation = "softmax"));
    cj_output(one, "y", cj_dense(cj_input(one, "features", 4), .units = 1));
    cj_input(none, "features", 4);
    float y[12] = {0};
    cj_tensor *xs = cj_tensor_new(cj, CJ_F32, 2, (int64_t[]){12, 4}),
              *ys = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){12, 1}, y);
    cj_dataset *numbers = cj_dataset_from_tensors(cj, xs, ys),
               *unlabelled = cj_dataset_from_tensors(cj, xs, NULL);
    cj_dataset *empty = cj_dataset_take(three, 0, 0);

    refuses(ten, cj_fit(ten, three, .epochs = 1), CJ_ERR_SHAPE,
            "the model's output 'digit' has 10 values a sample, but 'label'");
    refuses(ten, cj_fit(ten, three, .epochs = 1), CJ_ERR_SHAPE,
            "has 3 classes: the last layer needs 3 units");
    refuses(one, cj_fit(one, three, .loss = "binary_crossentropy"), CJ_ERR_SHAPE,
            "is for two classes");
    refuses(ok, cj_fit(ok, three, .loss = "categorical_crossentropy"), CJ_ERR_SHAPE,
            "sparse_categorical_crossentropy fits");
    refuses(ok, cj_fit(ok, three, .loss = "mse"), CJ_ERR_SHAPE, "is one class number");
    refuses(one, cj_fit(one, numbers, .loss = "sparse_categorical_crossentropy"), CJ_ERR_ARGUMENT,
            "is a number (f32): mse fits");
    refuses(ok, cj_fit(ok, three, .loss = "sparse_categorical_crossentropi"), CJ_ERR_ARGUMENT,
            "did you mean 'sparse_categorical_crossentropy'");
    refuses(ok, cj_fit(ok, three, .metrics = "acuracy"), CJ_ERR_ARGUMENT,
            "did you mean 'accuracy'");
    refuses(ok, cj_fit(ok, three, .metrics = "accuracy, accuracy"), CJ_ERR_ARGUMENT, "twice");
    refuses(ok, cj_fit(ok, three, .metrics = "confusion"), CJ_ERR_ARGUMENT, "no single number");
    refuses(ok, cj_fit(ok, three, .optimizer = "adm"), CJ_ERR_ARGUMENT, "did you mean 'adam'");
    refuses(ok, cj_fit(ok, three, .optimizer = "adam(beta_3=1)"), CJ_ERR_ARGUMENT, "beta_3");
    refuses(ok, cj_fit(ok, three, .schedule = "cosin"), CJ_ERR_ARGUMENT, "did you mean 'cosine'");
    refuses(ok, cj_fit(ok, three, .monitor = "val_loss"), CJ_ERR_ARGUMENT,
            "there is no validation set");
    refuses(ok, cj_fit(ok, three, .epochs = -1), CJ_ERR_ARGUMENT, "epochs=-1");
    refuses(ok, cj_fit(ok, three, .batch_size = -4), CJ_ERR_ARGUMENT, "batch_size=-4");
    refuses(ok, cj_fit(ok, three, .learning_rate = -0.1), CJ_ERR_ARGUMENT, "learning_rate=-0.1");
    refuses(ok, cj_fit(ok, three, .learning_rate = NAN), CJ_ERR_ARGUMENT, "learning_rate=nan");
    refuses(ok, cj_fit(ok, three, .validation_split = 1), CJ_ERR_ARGUMENT, "validation_split=1");
    refuses(ok, cj_fit(ok, three, .validation_split = 0.5, .validation = two), CJ_ERR_ARGUMENT,
            "one is possible");
    refuses(ok, cj_fit(ok, three, .resume = true), CJ_ERR_ARGUMENT, "resume needs a run directory");
    refuses(ok, cj_fit(ok, three, .normalize = "yes"), CJ_ERR_ARGUMENT, "normalize");
    refuses(one, cj_fit(one, unlabelled, .epochs = 1), CJ_ERR_ARGUMENT, "has no target");
    refuses(none, cj_fit(none, three, .epochs = 1), CJ_ERR_STATE, "has no output");
    if (empty) refuses(ok, cj_fit(ok, empty, .epochs = 1), CJ_ERR_ARGUMENT, "has no samples");
    refuses(ok, cj_fit(ok, NULL, .epochs = 1), CJ_ERR_ARGUMENT, "no data set");
    refuses(ok,
            cj_evaluate(ok, numbers, NULL, .loss = "mse", .metrics = "none",
                        .confusion = (int64_t[9]){0}),
            CJ_ERR_SHAPE, "");
    OK(cj_fit(ok, three, .epochs = 1)); /* none of this did harm */
    cj_tensor_free(xs), cj_tensor_free(ys);
}

/* A large norm is cut: one step of plain descent moves by rate times limit. */
static void clipping(void **state)
{
    (void)state;
    cj_dataset *ds = clouds(cj, 30, 6, 3);
    cj_model *m = model(ds, "dense 3 softmax");
    cj_store *before = copy_of(cj_model_store(m));
    OK(cj_fit(m, ds, .epochs = 1, .batch_size = 30, .optimizer = "sgd", .learning_rate = 1,
              .clip_norm = 1e-3));
    double moved = 0;
    static const char *const names[] = {"dense/kernel", "dense/bias"};
    for (int k = 0; k < 2; k++) {
        const cj_tensor *a = cj_store_get(before, names[k]),
                        *b = cj_store_get(cj_model_store(m), names[k]);
        const float *x = cj_tensor_map_read(a), *y = cj_tensor_map_read(b);
        for (int64_t i = 0; i < cj_tensor_count(a); i++)
            moved += (double)(x[i] - y[i]) * (x[i] - y[i]);
    }
    if (fabs(sqrt(moved) - 1e-3) > 1e-6) fail_msg("moved by %g, expected 0.001", sqrt(moved));
    cj_store_free(before);
}

/* ---- Predicting ------------------------------------------------------------------------------ */

static void predicts(void **state)
{
    (void)state;
    cj_dataset *ds = clouds(cj, 600, 6, 3);
    cj_model *m = model(ds, "dense 3 softmax");
    OK(cj_fit(m, ds, .epochs = 2));
    cj_tensor *all = NULL;
    OK(cj_predict_dataset(m, ds, &all));
    assert_int_equal(cj_tensor_shape(all)[0], 600);
    assert_int_equal(cj_tensor_shape(all)[1], 3);
    float *x = malloc(600 * 6 * sizeof *x), *y = malloc(600 * 3 * sizeof *y);
    int64_t *numbers = malloc(600 * sizeof *numbers);
    for (int i = 0; i < 600; i++) numbers[i] = i;
    OK(cj_dataset_read(ds, numbers, 600, 0, x));
    cj_session *s = cj_model_session(m), *t = cj_model_session(m);
    assert_int_equal(cj_predict(s, x, 600, y, 3), CJ_OK);
    assert_memory_equal(y, cj_tensor_map_read(all), 600 * 3 * sizeof *y);
    assert_int_equal(cj_predict(t, x, 1, y, 3), CJ_OK);
    for (int i = 0; i < 3; i++)
        assert_true(fabsf(y[i] - ((const float *)cj_tensor_map_read(all))[i]) < 1e-6f);
    assert_int_equal(cj_predict(s, x, 1, y, 4), CJ_ERR_SHAPE);
    assert_non_null(strstr(cj_session_message(s), "3 numbers a sample, not 4"));
    assert_int_equal(cj_predict(s, x, -1, y, 3), CJ_ERR_ARGUMENT);
    assert_int_equal(cj_predict(s, NULL, 0, NULL, 3), CJ_OK);
    cj_session_free(s), cj_session_free(t);
    cj_tensor_free(all);
    free(x), free(y), free(numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(learns_xor),
                                       cmocka_unit_test(learns_numbers),
                                       cmocka_unit_test(learns_iris),
                                       cmocka_unit_test(same_bits),
                                       cmocka_unit_test(two_contexts_at_once),
                                       cmocka_unit_test(partial_batches),
                                       cmocka_unit_test(penalties),
                                       cmocka_unit_test(callbacks),
                                       cmocka_unit_test(early_stopping),
                                       cmocka_unit_test(not_a_number),
                                       cmocka_unit_test(newcomers),
                                       cmocka_unit_test(clipping),
                                       cmocka_unit_test(predicts)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
