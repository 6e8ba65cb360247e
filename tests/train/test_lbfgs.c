/* test_lbfgs.c: fit with an optimizer that searches: scikit-learn's logistic regression in one
 * epoch; which batches it has, and what it refuses. */
#include "train_support.h"

/* loss + |kernel|^2 / (2 C n), C = 1, n = 32 */
static const char *const model = "dense units=1 activation=sigmoid kernel_regularizer=l2(0.015625)";

static cj_dataset *samples(cj_context *cj, cj_tensors *golden)
{
    cj_tensor *x = cj_tensor_cast(cj_tensors_find(golden, "x"), CJ_F32);
    const cj_tensor *y = cj_tensors_find(golden, "y");
    const int64_t n = cj_tensor_shape(y)[0];
    cj_tensor *labels = cj_tensor_new(cj, CJ_I32, 1, &n);
    int32_t *to = cj_tensor_map(labels, CJ_MAP_WRITE);
    const double *from = cj_tensor_map_read(y);
    for (int64_t i = 0; i < n; i++) to[i] = from[i] > 0;
    cj_dataset *ds = cj_dataset_from_tensors(cj, x, labels);
    cj_tensor_free(x);
    cj_tensor_free(labels);
    return ds;
}

/* C is 1 for a sum of losses. The optimum is flat: a loss in float is the same to 6e-8 where
 * weights differ by 3e-4. */
static void as_scikit_learn(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1});
    cj_tensors *golden = NULL;
    char path[512];
    OK(cj_npz_load(cj, golden_path(path, "nn/lbfgs.npz"), &golden));
    cj_dataset *ds = samples(cj, golden);
    cj_model *m = cj_model_from_text(cj, model, ds, 1);
    if (!m) fail_msg("%s", cj_message(cj));
    OK(cj_fit(m, ds, .epochs = 3, .optimizer = "lbfgs", .normalize = "none"));
    static const char *const names[2][2] = {{"dense/kernel", "fit/kernel"},
                                            {"dense/bias", "fit/bias"}};
    for (int i = 0; i < 2; i++) {
        const cj_tensor *found = cj_store_get(cj_model_store(m), names[i][0]);
        cj_tensor *expected = cj_tensor_cast(cj_tensors_find(golden, names[i][1]), CJ_F32);
        int64_t at = 0;
        if (!cj_tensor_close(found, expected, 1e-3, 1e-3, &at))
            fail_msg("%s differs at %lld", names[i][0], (long long)at);
        cj_tensor_free(expected);
    }
    cj_tensors_free(golden);
    cj_context_free(cj);
}

typedef struct seen {
    int64_t steps;
} seen;
static bool on_step(void *user, const cj_fit_state *state)
{
    ((seen *)user)->steps = state->steps;
    return true;
}

static void all_samples_are_a_batch(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1});
    seen s = {0};
    const cj_callback callback = {.user = &s, .on_step_end = on_step},
                      *const callbacks[] = {&callback, NULL};
    const int counts[3] = {45, 4096, 4097}, steps[3] = {1, 1, 2};
    for (int i = 0; i < 3; i++) {
        cj_dataset *ds = clouds(cj, counts[i], 3, 2);
        cj_model *m = cj_model_from_text(cj, "dense 2 softmax", ds, 1);
        OK(cj_fit(m, ds, .optimizer = "lbfgs(max_iter=2)", .callbacks = callbacks));
        assert_int_equal(s.steps, steps[i]);
        cj_model_free(m);
        cj_dataset_free(ds);
    }
    cj_context_free(cj);
}

static void half_precision_is_refused(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1});
    cj_dataset *ds = clouds(cj, 20, 3, 2);
    cj_model *m = cj_model_from_text(cj, "dense 2 softmax", ds, 1);
    assert_int_equal(cj_fit(m, ds, .optimizer = "lbfgs", .precision = CJ_PRECISION_MIXED_BFLOAT16),
                     CJ_ERR_ARGUMENT);
    assert_string_equal(cj_message(cj), "fit: lbfgs searches by differences of the loss, for which "
                                        "precision=mixed_bfloat16 is too coarse");
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_scikit_learn),
                                       cmocka_unit_test(all_samples_are_a_batch),
                                       cmocka_unit_test(half_precision_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
