/* test_rules.c: regularizers and constraints of layers in fit, and in a fit that goes on with a
 * model from a file: the same weights as without the file. */
#include "train_support.h"

#include "nn/model.h"

static const char network[] =
    "dense 9 tanh kernel_constraint=max_norm(0.7) kernel_regularizer=l2(0.01), "
    "dense 3 softmax kernel_constraint=non_neg kernel_regularizer=l1(0.01) "
    "bias_constraint=\"min_max_norm(0.1, max_value=0.2)\"";

static void fit(cj_model *m, const cj_dataset *ds)
{
    if (cj_fit(m, ds, .epochs = 3, .batch_size = 8, .optimizer = "sgd", .learning_rate = 0.5,
               .loss = "sparse_categorical_crossentropy", .normalize = "none", .no_shuffle = true))
        fail_msg("%s", cj_message(cj_graph_context(cj_model_graph(m))));
}

static double at(cj_model *m, const char *name, int64_t i)
{
    const cj_tensor *t = cj_store_get(cj_model_store(m), name);
    assert_non_null(t);
    return cj_load_f64(cj_tensor_dtype(t), cj_tensor_map_read((cj_tensor *)t), (size_t)i);
}

static void assert_kept(cj_model *m)
{
    for (int unit = 0; unit < 9; unit++) {
        double squares = 0;
        for (int i = 0; i < 5; i++) squares += pow(at(m, "dense/kernel", i * 9 + unit), 2);
        assert_true(sqrt(squares) <= 0.7 + 1e-5);
    }
    for (int i = 0; i < 27; i++) assert_true(at(m, "dense_1/kernel", i) >= 0);
    const double bias = sqrt(pow(at(m, "dense_1/bias", 0), 2) + pow(at(m, "dense_1/bias", 1), 2) +
                             pow(at(m, "dense_1/bias", 2), 2));
    assert_true(bias >= 0.1 - 1e-5 && bias <= 0.2 + 1e-5);
}

/* The largest difference of a weight. */
static double difference(cj_model *a, cj_model *b)
{
    static const char *const names[] = {"dense/kernel", "dense/bias", "dense_1/kernel",
                                        "dense_1/bias"};
    double largest = 0;
    for (int k = 0; k < 4; k++) {
        const int64_t n = cj_tensor_count(cj_store_get(cj_model_store(a), names[k]));
        for (int64_t i = 0; i < n; i++)
            largest = fmax(largest, fabs(at(a, names[k], i) - at(b, names[k], i)));
    }
    return largest;
}

static void from_a_file(void **state)
{
    (void)state;
    char path[300];
    cj_context *cj = cj_context_new(NULL);
    cj_dataset *ds = clouds(cj, 60, 5, 3);
    cj_model *m = cj_model_from_text(cj, network, ds, 3);
    if (!m) fail_msg("%s", cj_message(cj));
    fit(m, ds);
    assert_kept(m);
    fresh(path, "rules.onnx");
    OK(cj_save(m, path));
    cj_model *again = cj_load(cj, path), *free_one = cj_load(cj, path);
    if (!again) fail_msg("%s", cj_message(cj));
    assert_true(difference(m, again) == 0);
    cj__layers_of(cj_model_graph(free_one))->rules = NULL;
    fit(m, ds);
    fit(again, ds);
    fit(free_one, ds);
    assert_kept(again);
    assert_true(difference(m, again) < 1e-6); /* sums may be in another order */
    assert_true(difference(m, free_one) > 0.1);
    /* Of a file's file, too. */
    OK(cj_save(again, path));
    cj_model *third = cj_load(cj, path);
    const cj__rule *a = cj__layers_of(cj_model_graph(m))->rules,
                   *b = cj__layers_of(cj_model_graph(third))->rules;
    int counts[2][2] = {{0}};
    for (; a; a = a->next) counts[0][a->no_loss]++;
    for (; b; b = b->next) counts[1][b->no_loss]++;
    assert_int_equal(counts[0][0], 5);
    assert_int_equal(counts[1][0] + counts[1][1], 5);
    assert_int_equal(counts[1][1], 2); /* the regularizers' terms are made when training */
    cj_context_free(cj);
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(from_a_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
