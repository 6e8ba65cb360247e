/* Training in mixed precision: it learns as float32 does; and the loss scale of mixed_float16:
 * halved where a gradient overflows, by a step that changes nothing else, doubled after 2000 good
 * ones, saved and resumed with all other state. */
#include "train_support.h"

#include <cajal/layers.h>

static cj_context *cj;
static bool cancelled;
static bool cancel(void *user) { return (void)user, cancelled; }
static int setup(void **state)
{
    (void)state;
    cancelled = false;
    return (cj = cj_context_new(&(cj_config){.clock = &still, .cancel = cancel})) ? 0 : -1;
}
static int teardown(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

/* 8 x 8 images of one of four bars, in noise. */
static cj_dataset *bars(int n)
{
    cj_tensor *x = cj_tensor_new(cj, CJ_F32, 4, (int64_t[]){n, 8, 8, 1}),
              *y = cj_tensor_new(cj, CJ_I32, 1, (int64_t[]){n});
    float *xs = cj_tensor_map(x, CJ_MAP_WRITE);
    int32_t *ys = cj_tensor_map(y, CJ_MAP_WRITE);
    uint32_t state = 99;
    for (int i = 0; i < n; i++) {
        ys[i] = i % 4;
        for (int k = 0; k < 64; k++) {
            state = state * 1664525u + 1013904223u;
            int row = k / 8, column = k % 8, at = 3 + (i / 4) % 2;
            bool on = ys[i] == 0   ? row == at
                      : ys[i] == 1 ? column == at
                      : ys[i] == 2 ? row == column
                                   : row == 7 - column;
            xs[i * 64 + k] = (float)(state >> 8) / 16777216.0f + (on ? 0.5f : 0.0f);
        }
    }
    cj_dataset *ds = cj_dataset_from_tensors(cj, x, y);
    cj_tensor_free(x);
    cj_tensor_free(y);
    return ds;
}

static const char conv_net[] = "conv2d 16 3 relu, max_pool2d 2, flatten, dense 32 relu, "
                               "dense 4 softmax";

static cj_model *model(cj_dataset *ds, const char *text)
{
    cj_model *m = ds ? cj_model_from_text(cj, text, ds, 3) : NULL;
    if (!m) fail_msg("%s", cj_message(cj));
    return m;
}

/* Validation runs in the precision of training; afterwards the model is one of float32. */
static void learns(void **state)
{
    (void)state;
    cj_dataset *ds = bars(512);
    double accuracy[3], loss[3];
    for (int i = 0; i < 3; i++) {
        cj_model *m = model(ds, conv_net);
        cj_scores scores;
        OK(cj_fit(m, ds, .epochs = 12, .learning_rate = 0.003, .validation_split = 0.25,
                  .precision = (cj_precision)i));
        const cj_history *h = cj_model_history(m);
        const cj_scores *last = cj_history_at(h, cj_history_epochs(h) - 1);
        accuracy[i] = cj_score(last, "val_accuracy");
        loss[i] = cj_score(last, "loss");
        assert_true(isnan(cj_score(last, "loss_scale")) == (i != CJ_PRECISION_MIXED_FLOAT16));
        OK(cj_evaluate(m, ds, &scores));
        assert_true(cj_score(&scores, "accuracy") > 0.97);
    }
    print_message("accuracy %g %g %g, loss %g %g %g\n", accuracy[0], accuracy[1], accuracy[2],
                  loss[0], loss[1], loss[2]);
    assert_true(accuracy[0] > 0.97);
    for (int i = 1; i < 3; i++) {
        assert_true(accuracy[i] >= accuracy[0] - 0.01);
        assert_true(loss[i] != loss[0] && fabs(loss[i] - loss[0]) < 0.1 * loss[0] + 0.01);
    }
}

/* ---- The loss scale -------------------------------------------------------------------------- */

static double scale_of(cj_model *m)
{
    const cj_tensor *t = cj_store_get(cj_model_store(m), "loss_scale/scale");
    return t ? cj_load_f64(CJ_F32, cj_tensor_map_read(t), 0) : 0;
}

static int64_t steps_of(cj_model *m)
{
    const cj_tensor *t = cj_store_get(cj_model_store(m), "loss_scale/steps");
    return t ? cj_load_i64(CJ_I64, cj_tensor_map_read(t), 0) : -1;
}

static void set_scale(cj_model *m, double scale, int64_t steps)
{
    cj_tensor *t = cj_store_get(cj_model_store(m), "loss_scale/scale");
    cj_store_f64(CJ_F32, cj_tensor_map(t, CJ_MAP_WRITE), 0, scale);
    cj_tensor_unmap(t);
    t = cj_store_get(cj_model_store(m), "loss_scale/steps");
    cj_store_i64(CJ_I64, cj_tensor_map(t, CJ_MAP_WRITE), 0, steps);
    cj_tensor_unmap(t);
}

static void same_but_scale(cj_store *a, cj_store *b)
{
    for (int i = 0; i < cj_store_count(a); i++) {
        const char *name = cj_store_name_at(a, i);
        if (strncmp(name, "loss_scale/", 11) && strcmp(name, "random/key") &&
            !cj_tensor_equal(cj_store_tensor_at(a, i), cj_store_get(b, name)))
            fail_msg("'%s' has changed", name);
    }
}

static void one_step(cj_model *m, cj_dataset *ds)
{
    OK(cj_fit(m, ds, .epochs = 1, .batch_size = 64, .precision = CJ_PRECISION_MIXED_FLOAT16));
}

/* One batch is the data set, so one epoch is one step. */
static void overflow_and_growth(void **state)
{
    (void)state;
    cj_dataset *ds = clouds(cj, 64, 6, 3);
    cj_model *m = model(ds, "dense 16 relu, dense 3 softmax");
    one_step(m, ds);
    assert_true(scale_of(m) == 32768 && steps_of(m) == 1);
    cj_store *before = cj_store_new(cj);

    /* A scale under which gradients are far beyond 65504: the step is left out, bit for bit. */
    set_scale(m, 0x1p40, 7);
    for (int i = 0; i < cj_store_count(cj_model_store(m)); i++)
        OK(cj_store_set(before, cj_store_name_at(cj_model_store(m), i),
                        cj_store_tensor_at(cj_model_store(m), i)));
    one_step(m, ds);
    assert_true(scale_of(m) == 0x1p39 && steps_of(m) == 0);
    same_but_scale(before, cj_model_store(m));
    const cj_history *h = cj_model_history(m);
    assert_true(cj_score(cj_history_at(h, cj_history_epochs(h) - 1), "loss_scale") == 0x1p39);

    /* It falls until it fits, and steps count again. */
    for (int i = 0; i < 40 && steps_of(m) == 0; i++) one_step(m, ds);
    assert_true(steps_of(m) == 1 && scale_of(m) >= 1);

    /* The 2000th good step in a row doubles it, the 1999th does not. */
    set_scale(m, 64, 1998);
    one_step(m, ds);
    assert_true(scale_of(m) == 64 && steps_of(m) == 1999);
    one_step(m, ds);
    assert_true(scale_of(m) == 128 && steps_of(m) == 0);
    cj_store_free(before);
}

/* What no scale can help ends training, as in float32. */
static void not_finite(void **state)
{
    (void)state;
    static const int32_t ys[] = {0, 1};
    static const float xs[] = {1, 2, INFINITY, 4};
    cj_tensor *x = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){2, 2}, xs),
              *y = cj_tensor_from(cj, CJ_I32, 1, (int64_t[]){2}, ys);
    cj_dataset *ds = cj_dataset_from_tensors(cj, x, y);
    cj_model *m = model(ds, "dense 4, dense 2 softmax");
    assert_int_equal(cj_fit(m, ds, .precision = CJ_PRECISION_MIXED_FLOAT16, .normalize = "none"),
                     CJ_ERR_NUMERIC);
    if (!strstr(cj_message(cj), "training cannot go on")) fail_msg("%s", cj_message(cj));
    assert_int_equal(cj_fit(m, ds, .precision = (cj_precision)9), CJ_ERR_ARGUMENT);
    assert_string_equal(cj_message(cj), "fit: precision=9 is not a cj_precision");
    cj_tensor_free(x);
    cj_tensor_free(y);
}

/* A run that was cancelled and resumed ends with the bits of one that was not. */
static bool cancel_at(void *user, const cj_fit_state *s)
{
    (void)user;
    cancelled = s->epoch == 2 && s->step == 3;
    return true;
}

static void resumes(void **state)
{
    (void)state;
    char path[300];
    const cj_callback callback = {.on_step_end = cancel_at};
    const cj_callback *list[] = {&callback, NULL};
    cj_dataset *ds = clouds(cj, 60, 6, 3);
    static const char text[] = "dense 16 relu, dense 3 softmax";
    cj_model *whole = model(ds, text), *first = model(ds, text), *second = model(ds, text);
    const cj_precision f16 = CJ_PRECISION_MIXED_FLOAT16;
    OK(cj_fit(whole, ds, .epochs = 4, .batch_size = 8, .precision = f16));
    fresh(path, "mixed");
    assert_int_equal(cj_fit(first, ds, .epochs = 4, .batch_size = 8, .run = path,
                            .callbacks = list, .precision = f16),
                     CJ_ERR_CANCELLED);
    cancelled = false;
    assert_int_not_equal(cj_fit(second, ds, .epochs = 4, .batch_size = 8, .run = path,
                                .resume = true),
                         CJ_OK);
    if (!strstr(cj_message(cj), "was trained with precision=mixed_float16, not with "
                                "precision=float32"))
        fail_msg("%s", cj_message(cj));
    OK(cj_fit(second, ds, .epochs = 4, .batch_size = 8, .run = path, .resume = true,
              .precision = f16));
    same_stores(cj_model_store(whole), cj_model_store(second));
    assert_true(steps_of(second) == 4 * 8);
    remove_folder(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(learns, setup, teardown),
        cmocka_unit_test_setup_teardown(overflow_and_growth, setup, teardown),
        cmocka_unit_test_setup_teardown(not_finite, setup, teardown),
        cmocka_unit_test_setup_teardown(resumes, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
