/* test_scope.c: layers that are made twice in a scope are the same layers. */
#include "nn_support.h"

#include "nn/model.h"

#include <math.h>

static cj_context *cj;

/* Two dense layers, the first with a regularizer and a constraint. */
static cj_node *twins(cj_node *x)
{
    x = cj_dense(x, .units = 4, .activation = "tanh", .kernel_regularizer = "l2(0.5)",
                 .kernel_constraint = "max_norm(3)");
    x = cj_dense(x, .units = 4, .name = "second");
    return cj_dense(x, .units = 2);
}

static cj_node *input(cj_graph *g, const char *name, int64_t n)
{
    return cj_placeholder(g, name, CJ_F32, CJ_DIMS(3, n));
}

static void assert_said(const char *message)
{
    const char *said = cj_message(cj), *place = strstr(said, ".c:");
    const char *end = place ? strchr(place + 3, ' ') : NULL;
    assert_string_equal(end ? end + 1 : said, message);
}

static cj_tensor *run(cj_graph *g, cj_node *y, cj_node *a, cj_node *b, const float *va,
                      const float *vb)
{
    cj_program *program = cj_compile(g, .outputs = {y});
    cj_session *s = program ? cj_session_new(program, cj_graph_store(g)) : NULL;
    cj_tensor *x = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){3, 5}, va),
              *z = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){3, 5}, vb), *out = NULL;
    if (!s) fail_msg("%s", cj_message(cj));
    if (cj_run(s, (cj_feed[]){{a, x}, {b, z}}, 2, &out, 1)) fail_msg("%s", cj_session_message(s));
    cj_tensor_free(x), cj_tensor_free(z);
    cj_session_free(s), cj_program_free(program);
    return out;
}

/* The same parameters, and a gradient that is the sum of both uses. */
static void shared(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_node *a = input(g, "a", 5), *b = input(g, "b", 5);
    cj_layer_scope(g, "critic");
    cj_node *of_a = twins(a);
    const int n = cj_graph_parameter_count(g), losses = cj__layers_of(g)->n_losses;
    assert_int_equal(n, 6);
    cj_layer_scope(g, "critic");
    cj_node *of_b = twins(b);
    cj_layer_scope(g, NULL);
    cj_node *outside = cj_dense(of_b, .units = 1);
    if (!outside) fail_msg("%s", cj_message(cj));
    assert_int_equal(cj_graph_parameter_count(g), n + 2);
    assert_int_equal(cj__layers_of(g)->n_losses, losses);
    static const char *const names[] = {"critic.dense/kernel",   "critic.dense/bias",
                                        "critic.second/kernel",  "critic.second/bias",
                                        "critic.dense_2/kernel", "critic.dense_2/bias",
                                        "dense/kernel"};
    for (int i = 0; i < 7; i++)
        assert_string_equal(cj_node_name(cj_graph_parameter_at(g, i)), names[i]);
    float va[15], vb[15];
    for (int i = 0; i < 15; i++) va[i] = sinf((float)i), vb[i] = cosf((float)i);
    cj_tensor *once = run(g, cj_add(of_a, cj_scale(of_b, 0)), a, b, va, vb),
              *again = run(g, cj_add(of_b, cj_scale(of_a, 0)), a, b, vb, va);
    assert_true(cj_tensor_equal(once, again));
    cj_tensor_free(once), cj_tensor_free(again);

    cj_node *w = cj_graph_parameter_at(g, 0), *d[3];
    assert_int_equal(cj_grad(cj_sum(cj_square(of_a)), &w, 1, &d[0]), CJ_OK);
    assert_int_equal(cj_grad(cj_sum(cj_square(of_b)), &w, 1, &d[1]), CJ_OK);
    assert_int_equal(
        cj_grad(cj_add(cj_sum(cj_square(of_a)), cj_sum(cj_square(of_b))), &w, 1, &d[2]), CJ_OK);
    cj_tensor *both = run(g, d[2], a, b, va, vb),
              *sum = run(g, cj_add(d[0], d[1]), a, b, va, vb);
    assert_true(cj_tensor_close(both, sum, 1e-5, 1e-6, NULL));
    cj_tensor_free(both), cj_tensor_free(sum);
    cj_graph_free(g);
}

/* Two uses of a batch normalisation move its statistics by the mean of both. */
static void running_means(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_node *x[2] = {input(g, "a", 5), input(g, "b", 5)}, *y[2];
    for (int i = 0; i < 2; i++) {
        cj_layer_scope(g, "net");
        y[i] = cj_batch_normalization(x[i], .momentum = 0.5);
    }
    const cj_update *updates = cj_layer_updates(g);
    assert_non_null(updates);
    cj_program *program = cj_compile(g, .outputs = {y[0], y[1]}, .updates = updates,
                                     .training = true);
    cj_session *s = cj_session_new(program, cj_graph_store(g));
    float v[2][15];
    for (int i = 0; i < 15; i++) v[0][i] = 2, v[1][i] = 6;
    cj_tensor *a = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){3, 5}, v[0]),
              *b = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){3, 5}, v[1]), *out[2] = {NULL, NULL};
    if (cj_run(s, (cj_feed[]){{x[0], a}, {x[1], b}}, 2, out, 2))
        fail_msg("%s", cj_session_message(s));
    const cj_tensor *mean = cj_store_get(cj_graph_store(g), "net.batch_normalization/moving_mean");
    assert_non_null(mean);
    for (int i = 0; i < 5; i++)
        assert_true(fabs(((const float *)cj_tensor_map_read(mean))[i] - 2) <
                    1e-6); /* (1 + 3) / 2 */
    cj_tensor_free(a), cj_tensor_free(b), cj_tensor_free(out[0]), cj_tensor_free(out[1]);
    cj_session_free(s), cj_program_free(program);
    cj_graph_free(g);
}

static void what_is_not_the_same(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_layer_scope(g, "net");
    assert_non_null(twins(input(g, "a", 5)));
    cj_layer_scope(g, "net");
    assert_null(twins(input(g, "b", 6)));
    assert_said("net.dense: it is shared with what was made before, but its 'kernel' is (6, 4) "
                "here and (5, 4) there");
    cj_graph_free(g);

    g = cj_graph_new(cj);
    cj_layer_scope(g, "net");
    assert_non_null(cj_dense(input(g, "a", 5), .units = 2, .name = "x"));
    assert_null(cj_dense(input(g, "b", 5), .units = 2, .name = "x"));
    assert_said("dense: there is a layer 'net.x' already");
    cj_graph_free(g);

    g = cj_graph_new(cj);
    cj_layer_scope(g, "net");
    assert_non_null(cj_dense(input(g, "a", 5), .units = 2, .name = "x"));
    cj_layer_scope(g, "net");
    assert_null(cj_prelu(input(g, "b", 5), .name = "x"));
    assert_said("prelu: 'net.x' is shared, and was a dense layer before");
    cj_graph_free(g);

    g = cj_graph_new(cj);
    cj_layer_scope(g, "no name");
    assert_null(cj_dense(input(g, "a", 5), .units = 2));
    assert_said("layer_scope: the name 'no name' is not made of up to 100 letters, digits, '_', "
                "'-' and '.'");
    cj_graph_free(g);
    cj_layer_scope(NULL, "net");
}

/* A model whose two inputs go through the same layers is saved and loaded as it is. */
static void saved(void **state)
{
    (void)state;
    const char *path = CJ_BUILD_DIR "/test_scope.onnx";
    cj_model *m = cj_model_new(cj);
    cj_node *x[2] = {cj_input(m, "left", 5), cj_input(m, "right", 5)}, *y[2];
    for (int i = 0; i < 2; i++) {
        cj_layer_scope(cj_model_graph(m), "twin");
        y[i] = twins(x[i]);
    }
    cj_output(m, "distance", cj_abs(cj_sub(y[0], y[1])));
    assert_int_equal(cj_model_failed(m), CJ_OK);
    assert_int_equal(cj_save(m, path), CJ_OK);
    cj_model *again = cj_load(cj, path);
    if (!again) fail_msg("%s", cj_message(cj));
    assert_int_equal(cj_graph_parameter_count(cj_model_graph(again)), 6);
    cj_model_free(m);
    cj_model_free(again);
    remove(path);
}

int main(void)
{
    cj = test_context();
    const struct CMUnitTest tests[] = {cmocka_unit_test(shared), cmocka_unit_test(running_means),
                                       cmocka_unit_test(what_is_not_the_same),
                                       cmocka_unit_test(saved)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_context_free(cj);
    return failed;
}
