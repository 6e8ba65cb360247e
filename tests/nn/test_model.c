/* test_model.c: models in C: life, inputs, names, seeds, counts, the summary, and layers in plain
 * graphs. */
#define _GNU_SOURCE
#include "nn_support.h"

#include "golden.h"

static cj_model *mlp(cj_context *cj, uint64_t seed)
{
    cj_model *m = cj_model_new(cj);
    cj_model_set_seed(m, seed);
    cj_node *x = cj_input(m, "image", 28, 28, 1);
    x = cj_dense(cj_flatten(x), .units = 128, .activation = "relu");
    x = cj_dropout(x, .rate = 0.2);
    cj_output(m, "class", cj_dense(x, .units = 10, .activation = "softmax"));
    assert_ok(cj, cj_model_failed(m));
    return m;
}

static void a_model_in_c(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_model *m = mlp(cj, 0);
    cj_graph *g = cj_model_graph(m);
    assert_ok(cj, cj_graph_verify(g));
    assert_string_equal(shape_of(cj_graph_output_at(g, 0)), "[batch, 10]");
    assert_int_equal(cj_graph_parameter_count(g), 4);
    assert_int_equal(cj_tensor_count(cj_store_get(cj_model_store(m), "dense_1/kernel")), 1280);
    cj_model_counts counts;
    assert_ok(cj, cj_model_count(m, &counts));
    assert_int_equal(counts.parameters, 101770);
    assert_int_equal(counts.trainable, 101770);
    assert_int_equal(counts.multiply_adds, 784 * 128 + 1280);
    assert_int_equal(counts.layers, 4);
    assert_string_equal(
        cj_model_text(m),
        "input 28 28 1 name=image, flatten, dense 128 relu, dropout 0.2, dense 10 softmax");
    cj_context_free(cj); /* frees the model */
}

static void seeds_decide_weights(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_model *a = mlp(cj, 7), *b = mlp(cj, 7), *c = mlp(cj, 8);
    static const char *const names[] = {"dense/kernel", "dense_1/kernel"};
    for (int i = 0; i < 2; i++) {
        const cj_tensor *t = cj_store_get(cj_model_store(a), names[i]);
        assert_true(cj_tensor_equal(t, cj_store_get(cj_model_store(b), names[i])));
        assert_false(cj_tensor_equal(t, cj_store_get(cj_model_store(c), names[i])));
    }
    cj_tensor *w = cj_store_get(cj_model_store(a), "dense/kernel");
    double limit = 0.0811107106, largest = 0; /* sqrt(6 / (784 + 128)) */
    for (int64_t i = 0; i < cj_tensor_count(w); i++) {
        double v = value_of(cj, w, i);
        largest = v > largest ? v : -v > largest ? -v : largest;
    }
    assert_true(largest <= limit && largest > 0.99 * limit);
    cj_model_free(b);
    cj_model_free(a);
    cj_model_free(c);
    cj_model_free(NULL);
    cj_context_free(cj);
}

static void failures_stay(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_input(m, "x", 4);
    assert_null(cj_dense(x, .activation = "relu"));
    assert_non_null(strstr(cj_message(cj), "test_model.c:"));
    assert_non_null(strstr(cj_message(cj), ": dense: units is required"));
    assert_null(cj_dense(x, .units = 4));
    cj_output(m, "y", NULL);
    assert_int_equal(cj_model_failed(m), CJ_ERR_ARGUMENT);
    cj_model_counts counts;
    assert_int_equal(cj_model_count(m, &counts), CJ_ERR_ARGUMENT);
    assert_null(cj__model_assemble(m, NULL, NULL));

    m = cj_model_new(cj);
    cj_output(m, "y", NULL);
    assert_message(cj, CJ_ERR_ARGUMENT, "output: 'y' is given no node");
    m = cj_model_new(cj);
    cj_dense(cj_input(m, "x", 4), .units = 2);
    cj_model_set_seed(m, 3);
    assert_message(cj, CJ_ERR_STATE, "the seed of a model is set before its first layer");
    m = cj_model_new(cj);
    cj_input(m, "x", 4);
    cj_model_set_dtype(m, CJ_F64);
    assert_message(cj, CJ_ERR_STATE, "the dtype of a model is set before its first input");
    m = cj_model_new(cj);
    assert_null((cj_dense)(cj_input(m, "x", 4), &(cj_dense_opts){.struct_size = 4096, .units = 3}));
    assert_int_equal(cj_model_failed(m), CJ_ERR_UNSUPPORTED);
    assert_null(cj_model_input(NULL, "x", 0, NULL));
    assert_int_equal(cj_model_failed(NULL), CJ_ERR_MEMORY);
    cj_context_free(cj);
}

static void layers_in_a_plain_graph(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = cj_placeholder(g, "x", CJ_F64, CJ_DIMS(cj_symbol(g, "batch"), 3));
    cj_node *y = cj_dense(cj_dense(x, .units = 2, .activation = "tanh"), .units = 1,
                          .no_bias = true, .name = "last");
    assert_ok(cj, cj_graph_failed(g));
    assert_string_equal(shape_of(y), "[batch, 1]");
    assert_int_equal(cj_graph_parameter_count(g), 3);
    assert_int_equal(cj_node_dtype(cj_graph_parameter_at(g, 0)), CJ_F64);
    assert_string_equal(cj_node_name(cj_graph_parameter_at(g, 2)), "last/kernel");
    cj_graph_free(g);
    cj_context_free(cj);
}

static void regularizers_are_losses(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_input(m, "x", 2);
    x = cj_dense(x, .units = 2, .kernel_initializer = "constant(value=-0.5)",
                 .kernel_regularizer = "l1_l2(l1=0.1, l2=0.2)", .bias_initializer = "ones",
                 .bias_regularizer = "l2");
    cj_output(m, "y", x);
    assert_ok(cj, cj_model_failed(m));
    cj__layers *layers = cj__layers_of(cj_model_graph(m));
    assert_int_equal(layers->n_losses, 2);
    cj_program *p = cj_compile(cj_model_graph(m),
                               .outputs = {layers->losses[0], layers->losses[1]});
    cj_session *s = p ? cj_session_new(p, cj_model_store(m)) : NULL;
    if (!s) print_error("%s\n", cj_message(cj));
    assert_non_null(s);
    cj_tensor *out[2] = {NULL, NULL};
    assert_ok(cj, cj_run(s, NULL, 0, out, 2));
    assert_float_equal(value_of(cj, out[0], 0), 0.1 * 2 + 0.2 * 1, 1e-6);
    assert_float_equal(value_of(cj, out[1], 0), 0.01 * 2, 1e-7);
    cj_tensor_free(out[0]);
    cj_tensor_free(out[1]);
    cj_session_free(s);
    cj_program_free(p);
    cj_context_free(cj);
}

static void check_summary(cj_context *cj, cj_model *m, const char *name)
{
    char path[512], *text = NULL;
    size_t size, expected_size;
    FILE *f = open_memstream(&text, &size);
    assert_ok(cj, cj_model_summary(m, f));
    fclose(f);
    unsigned char *expected = golden_bytes(golden_path(path, name), &expected_size);
    if (size != expected_size || memcmp(text, expected, size))
        print_error("%s\nis not %s:\n%.*s\n", text, name, (int)expected_size, (char *)expected);
    assert_int_equal(size, expected_size);
    assert_memory_equal(text, expected, size);
    free(expected);
    free(text);
}

/* The tables are what Keras 3 prints for the same models into 80 columns. */
static void summaries(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    check_summary(cj, mlp(cj, 0), "nn/summary_mlp.txt");
    cj_model *m = cj_model_new(cj);
    cj_node *left = cj_input(m, "left", 8), *right = cj_input(m, "right", 4);
    cj_node *sum = cj_add_layer((cj_node *[]){cj_dense(left, .units = 4), right}, 2);
    cj_output(m, "y", cj_concatenate((cj_node *[]){sum, left}, 2, -1));
    assert_ok(cj, cj_model_failed(m));
    check_summary(cj, m, "nn/summary_branches.txt");
    FILE *full = fopen("/dev/full", "w");
    if (full) {
        setvbuf(full, NULL, _IONBF, 0);
        assert_int_equal(cj_model_summary(m, full), CJ_ERR_IO);
        fclose(full);
    }
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_in_c),
        cmocka_unit_test(seeds_decide_weights),
        cmocka_unit_test(failures_stay),
        cmocka_unit_test(layers_in_a_plain_graph),
        cmocka_unit_test(regularizers_are_losses),
        cmocka_unit_test(summaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
