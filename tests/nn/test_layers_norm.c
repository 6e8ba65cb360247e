/* test_layers_norm.c: running statistics move in training and are used outside of it, are committed
 * with the step or not at all, and survive a file; kernels that are normalised. */
#include "nn_support.h"

#include <cajal/run.h>

#include <math.h>

/* x of the given numbers for a model's input [batch, 1]. */
static cj_tensor *column(cj_context *cj, int n, const float *v)
{
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, 2, (int64_t[]){n, 1});
    memcpy(cj_tensor_map(t, CJ_MAP_WRITE), v, (size_t)n * sizeof *v);
    cj_tensor_unmap(t);
    return t;
}

static double state_of(cj_context *cj, cj_store *store, const char *name)
{
    assert_non_null(cj_store_get(store, name));
    return value_of(cj, cj_store_get(store, name), 0);
}

/* y of one run; training steps also update. */
static double run_once(cj_context *cj, cj_graph *g, cj_store *store, cj_node *x, cj_node *y,
                       bool training, bool commit, const float *v)
{
    cj_compile_opts o = {.struct_size = sizeof o, .outputs = {y}, .training = training};
    o.updates = cj_layer_updates(g);
    o.commit_if = cj_scalar(g, CJ_BOOL, commit);
    cj_program *p = (cj_compile)(g, &o);
    assert_non_null(p);
    cj_session *s = cj_session_new(p, store);
    cj_tensor *in = column(cj, 2, v), *out = NULL;
    assert_ok(cj, cj_run(s, &(cj_feed){x, in}, 1, &out, 1));
    double first = value_of(cj, out, 0);
    cj_tensor_free(in);
    cj_tensor_free(out);
    cj_session_free(s);
    cj_program_free(p);
    return first;
}

static void running_statistics(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_input(m, "x", 1);
    cj_node *y = cj_batch_normalization(x, .momentum = 0.5, .epsilon = 1e-9, .name = "n");
    cj_output(m, "y", y);
    assert_ok(cj, cj_model_failed(m));
    cj_graph *g = cj_model_graph(m);
    cj_store *store = cj_model_store(m);
    const float v[] = {2, 6}; /* mean 4, variance 4 */
    assert_float_equal(run_once(cj, g, store, x, y, true, false, v), -1, 1e-5);
    assert_float_equal(state_of(cj, store, "n/moving_mean"), 0, 0); /* not committed */
    assert_float_equal(run_once(cj, g, store, x, y, true, true, v), -1, 1e-5);
    assert_float_equal(state_of(cj, store, "n/moving_mean"), 2, 1e-6);
    assert_float_equal(state_of(cj, store, "n/moving_variance"), 2.5, 1e-6);
    assert_float_equal(run_once(cj, g, store, x, y, false, true, v), 0, 1e-5);
    assert_float_equal(state_of(cj, store, "n/moving_mean"), 2, 0); /* no training */

    char path[512];
    snprintf(path, sizeof path, "%s/test_layers_norm.onnx", CJ_BUILD_DIR);
    assert_ok(cj, cj_save(m, path));
    cj_model *again = cj_load(cj, path);
    if (!again) print_error("%s\n", cj_message(cj));
    assert_non_null(again);
    cj_graph *h = cj_model_graph(again);
    store = cj_model_store(again);
    double z = run_once(cj, h, store, cj_graph_input_at(h, 0), cj_graph_output_at(h, 0), true, true,
                        v);
    assert_float_equal(z, -1, 1e-5);
    assert_float_equal(state_of(cj, store, "n/moving_mean"), 3, 1e-6);
    remove(path);
    cj_context_free(cj);
}

/* Of a diagonal kernel the largest singular value is its largest entry; |v| of a unit stays. */
static void normalised_kernels(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_input(m, "x", 1);
    cj_node *s = cj_dense(x, .units = 2, .no_bias = true, .name = "s",
                          .kernel_normalization = "spectral");
    cj_node *w = cj_dense(x, .units = 2, .no_bias = true, .name = "w",
                          .kernel_normalization = "weight");
    cj_node *plain = cj_matmul(x, cj_find_variable(cj_model_graph(m), "w/kernel"));
    assert_ok(cj, cj_model_failed(m));
    cj_store *store = cj_model_store(m);
    cj_graph *g = cj_model_graph(m);
    const float v[] = {1, 1};
    double a = 0, norm = 0;
    for (int i = 0; i < 2; i++) {
        double k = value_of(cj, cj_store_get(store, "s/kernel"), i);
        norm += k * k;
    }
    for (int i = 0; i < 3; i++) a = run_once(cj, g, store, x, s, true, true, v);
    assert_float_equal(a, value_of(cj, cj_store_get(store, "s/kernel"), 0) / sqrt(norm), 1e-5);
    assert_float_equal(run_once(cj, g, store, x, w, true, true, v),
                       run_once(cj, g, store, x, plain, true, true, v), 1e-5);
    assert_null(cj_dense(x, .units = 2, .kernel_normalization = "spectra"));
    assert_non_null(strstr(cj_message(cj), "neither spectral nor weight"));
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(running_statistics),
                                       cmocka_unit_test(normalised_kernels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
