/* test_golden.c: whole trainings against PyTorch and Keras's formulas (tools/golden/training.py),
 * and classification reports against scikit-learn (tools/golden/metrics.py). */
#define _POSIX_C_SOURCE 200809L
#include "train_support.h"

static cj_context *cj;
static cj_tensors *golden;

static const char *const parameters[] = {"dense/kernel", "dense/bias", "dense_1/kernel",
                                         "dense_1/bias"};

/* Norm-wise: the largest difference over the largest weight. */
static double distance(const cj_tensor *a, const cj_tensor *b)
{
    double most = 0, largest = 0;
    assert_int_equal(cj_tensor_count(a), cj_tensor_count(b));
    for (int64_t i = 0; i < cj_tensor_count(a); i++) {
        double x = cj_load_f64(cj_tensor_dtype(a), cj_tensor_map_read(a), (size_t)i);
        double y = cj_load_f64(cj_tensor_dtype(b), cj_tensor_map_read(b), (size_t)i);
        assert_true(isfinite(x));
        most = fmax(most, fabs(x - y));
        largest = fmax(largest, fabs(y));
    }
    return most / largest;
}

static cj_model *network(cj_dtype dtype)
{
    cj_model *m = cj_model_new(cj);
    cj_model_set_dtype(m, dtype);
    cj_node *x = cj_input(m, "x", 5);
    x = cj_dense(x, .units = 7, .activation = "tanh");
    cj_output(m, "class", cj_dense(x, .units = 3, .activation = "softmax"));
    OK(cj_model_failed(m));
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "initial/%s", parameters[i]);
        cj_tensor *w = cj_tensor_cast(cj_tensors_find(golden, name), dtype);
        OK(cj_store_set(cj_model_store(m), parameters[i], w));
        cj_tensor_free(w);
    }
    return m;
}

/* 20 steps: 6 epochs of 3 batches, and 2 steps of the seventh. */
static bool enough(void *user, const cj_fit_state *state)
{
    return (void)user, state->total_step < 20;
}

static void train(const char *run, cj_dtype dtype, const char *optimizer, double rate,
                  double tolerance)
{
    static const cj_callback stop = {.name = "stop", .on_step_end = enough};
    cj_tensor *x = cj_tensor_cast(cj_tensors_find(golden, "x"), dtype);
    cj_dataset *ds = cj_dataset_from_tensors(cj, x, cj_tensors_find(golden, "y"));
    cj_model *m = network(dtype);
    OK(cj_fit(m, ds, .epochs = 7, .batch_size = 8, .no_shuffle = true, .optimizer = optimizer,
              .learning_rate = rate, .callbacks = (const cj_callback *const[]){&stop, NULL}));
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%s", run, parameters[i]);
        const cj_tensor *expected = cj_tensors_find(golden, name);
        assert_non_null(expected);
        double d = distance(cj_store_get(cj_model_store(m), parameters[i]), expected);
        if (!(d <= tolerance))
            fail_msg("%s: differs by %g of the largest weight, more than %g", name, d, tolerance);
    }
    cj_model_free(m);
    cj_dataset_free(ds);
    cj_tensor_free(x);
}

typedef struct run {
    const char *name, *optimizer;
    double rate;
} run;

static void as_torch(void **state)
{
    (void)state;
    static const run runs[] = {
        {"sgd", "sgd(form=torch)", 0.1},
        {"sgd_momentum", "sgd(momentum=0.9, form=torch)", 0.1},
        {"sgd_nesterov", "sgd(momentum=0.9, nesterov=true, form=torch)", 0.1},
        {"sgd_decay", "sgd(momentum=0.9, weight_decay=0.01, form=torch)", 0.1},
        {"adam", "adam(epsilon=1e-8, form=torch)", 0.01},
        {"adam_decay", "adam(epsilon=1e-8, weight_decay=0.01, form=torch)", 0.01},
        {"adamw", "adamw(epsilon=1e-8, weight_decay=0.01, form=torch)", 0.01},
        {"rmsprop", "rmsprop(rho=0.99, epsilon=1e-8, form=torch)", 0.005},
        {"rmsprop_all", "rmsprop(rho=0.99, epsilon=1e-8, momentum=0.5, centered=true, form=torch)",
         0.005},
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        char name[64];
        snprintf(name, sizeof name, "torch_f64/%s", runs[i].name);
        train(name, CJ_F64, runs[i].optimizer, runs[i].rate, 1e-10);
        snprintf(name, sizeof name, "torch_f32/%s", runs[i].name);
        train(name, CJ_F32, runs[i].optimizer, runs[i].rate, 1e-4);
    }
}

static void as_keras(void **state)
{
    (void)state;
    static const run runs[] = {
        {"keras/sgd", "sgd", 0.1},
        {"keras/sgd_momentum", "sgd(momentum=0.9)", 0.1},
        {"keras/sgd_nesterov", "sgd(momentum=0.9, nesterov=true)", 0.1},
        {"keras/adam", "adam", 0.01},
        {"keras/adamw", "adamw", 0.01},
        {"keras/rmsprop", "rmsprop", 0.005},
        {"keras/rmsprop_all", "rmsprop(momentum=0.5, centered=true)", 0.005},
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        train(runs[i].name, CJ_F64, runs[i].optimizer, runs[i].rate, 1e-10);
}

static void report(const char *name, int classes, const char *const *names,
                   const int64_t *confusion)
{
    char file[64], path[512], *text = NULL;
    size_t size, length = 0;
    snprintf(file, sizeof file, "train/report_%s.txt", name);
    unsigned char *expected = golden_bytes(golden_path(path, file), &size);
    cj_model *m = cj_model_new(cj);
    FILE *to = open_memstream(&text, &length);
    if (names) { /* names come to a model with its data */
        char table[300] = "";
        for (int i = 0; i < classes; i++)
            snprintf(table + strlen(table), sizeof table - strlen(table), "%d,%s\n%d,%s\n", i,
                     names[i], i, names[i]);
        char csv[300];
        snprintf(csv, sizeof csv, "%s/train_report_%d.csv", CJ_BUILD_DIR, (int)getpid());
        golden_write(csv, table, strlen(table));
        cj_dataset *ds = cj_dataset_open(cj, csv, .header = CJ_HEADER_NO, .class_names = names,
                                         .classes = classes, .types = "target:categorical");
        if (!ds) fail_msg("%s", cj_message(cj));
        cj_output(m, "class",
                  cj_dense(cj_input(m, "features", 1), .units = classes, .activation = "softmax"));
        OK(cj_fit(m, ds, .epochs = 1));
        cj_dataset_free(ds);
        remove(csv);
    }
    OK(cj_classification_report(m, confusion, classes, to));
    fclose(to);
    if (length != size || memcmp(text, expected, size))
        fail_msg("expected:\n%.*s\nfound:\n%s", (int)size, expected, text);
    cj_model_free(m);
    free(text);
    free(expected);
}

static void as_scikit_learn(void **state)
{
    (void)state;
    static const char *const iris[] = {"setosa", "versicolor", "virginica"};
    static const char *const names[] = {"a category with a long name", "gr\xc3\xb6\xc3\x9f" "e"};
    report("iris", 3, iris, (const int64_t[]){50, 0, 0, 0, 47, 3, 0, 2, 48});
    report("long", 2, names, (const int64_t[]){12345, 67, 89, 0});
    report("numbers", 4, NULL, (const int64_t[]){3, 0, 0, 1, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 3, 5});
}

static int setup(void **state)
{
    (void)state;
    char path[512];
    cj = cj_context_new(&(cj_config){.threads = 1});
    OK(cj_npz_load(cj, golden_path(path, "train/training.npz"), &golden));
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    cj_tensors_free(golden);
    cj_context_free(cj);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_torch), cmocka_unit_test(as_keras),
                                       cmocka_unit_test(as_scikit_learn)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
