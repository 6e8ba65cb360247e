/* Large graphs compile in time that grows with their size: a chain of 5,000 elementwise calls, and
 * 2,000 dense layers with gradient and updates. The limits are far above what an optimised build
 * needs (printed). */
#include "run_support.h"

#include <time.h>

static double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static double since(double start, const char *what)
{
    double now = seconds();
    print_message("%-24s %.3f s\n", what, now - start);
    assert_true(now - start < 20);
    return now;
}

static void chain(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_graph *g = cj_graph_new(cj);
    double at = seconds();
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(cj_symbol(g, "batch"), 8)), *y = x;
    for (int i = 0; i < 5000; i++)
        y = i % 2 ? cj_scale(cj_tanh(y), 1.5) : cj_sub(y, cj_scale(x, 0.01));
    at = since(at, "chain: build");
    cj_program *p = cj_compile(g, .outputs = {y});
    if (!p) print_error("%s\n", cj_message(cj));
    at = since(at, "chain: compile");
    print_message("%d calls become %d\n", cj_graph_call_count(g),
                  cj_graph_call_count(cj_program_graph(p)));
    assert_true(cj_graph_call_count(cj_program_graph(p)) < 900);
    cj_session *s = cj_session_new(p, NULL);
    cj_tensor *t = random_tensor(cj, CJ_F32, SHAPE(4, 8)), *out = NULL;
    assert_ok(cj_run(s, (cj_feed[]){{x, t}}, 1, &out, 1), cj_session_message(s));
    since(at, "chain: first run");
    assert_true(fabs(element(out, 0)) <= 2);
    cj_tensor_free(t), cj_tensor_free(out);
    cj_session_free(s);
    cj_program_free(p);
    cj_context_free(cj);
}

static void layers(void **state)
{
    (void)state;
    enum { LAYERS = 2000, UNITS = 4 };
    cj_context *cj = cj_context_new(NULL);
    cj_graph *g = cj_graph_new(cj);
    double at = seconds();
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(cj_symbol(g, "batch"), UNITS)), *y = x;
    static cj_node *parameters[2 * LAYERS], *gradients[2 * LAYERS];
    static cj_update updates[4 * LAYERS + 1];
    int n = 0;
    for (int i = 0; i < 2 * LAYERS; i++) {
        char name[32];
        snprintf(name, sizeof name, "dense_%d/%s", i / 2, i % 2 ? "bias" : "kernel");
        cj_tensor *t = random_tensor(cj, CJ_F32, i % 2 ? 1 : 2, (int64_t[]){UNITS, UNITS});
        parameters[i] = cj_parameter(g, name, t);
        cj_tensor_free(t);
    }
    for (int i = 0; i < LAYERS; i++)
        y = cj_relu(cj_add(cj_matmul(y, parameters[2 * i]), parameters[2 * i + 1]));
    cj_node *loss = cj_mean(cj_square(y));
    at = since(at, "layers: build");
    assert_ok(cj_grad(loss, parameters, 2 * LAYERS, gradients), cj_message(cj));
    at = since(at, "layers: gradient");
    for (int i = 0; i < 2 * LAYERS; i++) { /* momentum */
        char name[32];
        snprintf(name, sizeof name, "momentum_%d", i);
        cj_tensor *t = cj_tensor_new(cj, CJ_F32, i % 2 ? 1 : 2, (int64_t[]){UNITS, UNITS});
        cj_node *m = cj_variable(g, name, t), *next = cj_add(cj_scale(m, 0.9), gradients[i]);
        cj_tensor_free(t);
        updates[n++] = (cj_update){m, next};
        updates[n++] = (cj_update){parameters[i], cj_sub(parameters[i], cj_scale(next, 0.01))};
    }
    at = since(at, "layers: optimizer");
    cj_program *p = cj_compile(g, .outputs = {loss}, .updates = updates, .training = true);
    if (!p) print_error("%s\n", cj_message(cj));
    assert_non_null(p);
    at = since(at, "layers: compile");
    print_message("%d calls become %d\n", cj_graph_call_count(g),
                  cj_graph_call_count(cj_program_graph(p)));
    cj_session *s = cj_session_new(p, cj_graph_store(g));
    cj_tensor *t = random_tensor(cj, CJ_F32, SHAPE(4, UNITS)), *out = NULL;
    assert_ok(cj_run(s, (cj_feed[]){{x, t}}, 1, &out, 1), cj_session_message(s));
    at = since(at, "layers: first run");
    for (int i = 0; i < 3; i++)
        assert_ok(cj_run(s, (cj_feed[]){{x, t}}, 1, &out, 1), cj_session_message(s));
    at = since(at, "layers: three runs");
    cj_tensor_free(t), cj_tensor_free(out);
    cj_session_free(s);
    cj_program_free(p);
    cj_context_free(cj);
    since(at, "layers: free");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(chain), cmocka_unit_test(layers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
