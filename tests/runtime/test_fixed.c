/* What depends on state alone, and on no state that the program updates, is computed once for each
 * version of that state. An operator that counts its runs tells. */
#include "run_support.h"

#include <cajal/op.h>

static cj_context *cj;
static cj_graph *g;
static int runs; /* of the kernel below */

static cj_status twice_ref(const cj_kernel *k)
{
    runs++;
    for (int64_t i = 0; i < k->out[0]->count; i++)
        ((float *)k->out[0]->data)[i] = 2 * ((const float *)k->in[0]->data)[i];
    return CJ_OK;
}

static const cj_op twice_op = {.name = "twice",
                               .doc = "y = 2x",
                               .inputs = 1,
                               .infer = cj_infer_same,
                               .no_gradient = "of no use here",
                               .ref = twice_ref};

static cj_node *twice(cj_node *x) { return cj_apply(g, &twice_op, &x, 1, NULL); }

static int setup(void **state)
{
    (void)state;
    cj = cj_context_new(NULL);
    g = cj_graph_new(cj);
    runs = 0;
    return !g || cj_op_register(cj, &twice_op);
}

static int teardown(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

static cj_node *variable(const char *name, float a, float b)
{
    cj_tensor *t = F32S(cj, a, b);
    cj_node *node = cj_variable(g, name, t);
    cj_tensor_free(t);
    return node;
}

/* Runs with x = {1, 10}; the result's element 0 and the kernel's runs so far. */
static void check(cj_session *s, cj_node *x, double expected, int expected_runs)
{
    cj_tensor *in = F32S(cj, 1, 10), *out = NULL;
    cj_status failed = cj_run(s, (cj_feed[]){{x, in}}, 1, &out, 1);
    if (failed) print_error("%s\n", cj_session_message(s));
    assert_int_equal(failed, CJ_OK);
    assert_true(fabs(element(out, 0) - expected) < 1e-5 * expected); /* exp(log(w)) rounds */
    assert_int_equal(runs, expected_runs);
    cj_tensor_free(in);
    cj_tensor_free(out);
}

/* However the state is written, the next run sees it; runs in between compute nothing again. */
static void computed_once_a_version(void **state)
{
    (void)state;
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(2)), *w = variable("w", 3, 4);
    cj_node *y = cj_mul(x, twice(cj_exp(cj_log(w))));
    cj_program *p = cj_compile(g, .outputs = {y});
    cj_program *writer = cj_compile(g, .updates = (cj_update[]){{w, cj_scale(w, 2)}, {0}});
    cj_session *s = cj_session_new(p, cj_graph_store(g)),
               *t = cj_session_new(writer, cj_graph_store(g));
    assert_non_null(s);
    assert_non_null(t);
    check(s, x, 6, 1);
    check(s, x, 6, 1);
    cj_tensor *value = F32S(cj, 5, 4);
    assert_int_equal(cj_store_set(cj_graph_store(g), "w", value), CJ_OK);
    check(s, x, 10, 2);
    float *direct = cj_tensor_map(cj_store_get(cj_graph_store(g), "w"), CJ_MAP_WRITE);
    direct[0] = 7;
    cj_tensor_unmap(cj_store_get(cj_graph_store(g), "w"));
    check(s, x, 14, 3);
    check(s, x, 14, 3);
    assert_int_equal(cj_run(t, NULL, 0, NULL, 0), CJ_OK); /* another program commits */
    check(s, x, 28, 4);
    cj_tensor_free(value);
    cj_session_free(s);
    cj_session_free(t);
    cj_program_free(p);
    cj_program_free(writer);
}

/* State that the program itself updates is no such state. */
static void updated_state_is_not_fixed(void **state)
{
    (void)state;
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(2)), *w = variable("w", 3, 4);
    cj_node *y = cj_mul(x, twice(w));
    cj_program *p = cj_compile(g, .outputs = {y},
                               .updates = (cj_update[]){{w, cj_shift(w, 1)}, {0}});
    cj_session *s = cj_session_new(p, cj_graph_store(g));
    check(s, x, 6, 1);
    check(s, x, 8, 2);
    check(s, x, 10, 3);
    cj_session_free(s);
    cj_program_free(p);
}

/* The value itself may be wanted as an output, or viewed, and must survive the runs between. */
static void fixed_values_last(void **state)
{
    (void)state;
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(2)), *w = variable("w", 3, 4);
    cj_node *t = twice(w), *view = cj_reshape(t, CJ_DIMS(2, 1));
    cj_node *big = cj_matmul(view, cj_reshape(cj_exp(x), CJ_DIMS(1, 2)));
    cj_program *p = cj_compile(g, .outputs = {view, cj_sum(big), t});
    cj_session *s = cj_session_new(p, cj_graph_store(g));
    for (int i = 0; i < 3; i++) {
        cj_tensor *in = F32S(cj, (float)i, 1), *out[3] = {NULL};
        assert_int_equal(cj_run(s, (cj_feed[]){{x, in}}, 1, out, 3), CJ_OK);
        assert_true(element(out[0], 1) == 8 && element(out[2], 0) == 6);
        assert_int_equal(runs, 1);
        cj_tensor_free(in);
        for (int k = 0; k < 3; k++) cj_tensor_free(out[k]);
    }
    cj_session_free(s);
    cj_program_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(computed_once_a_version, setup, teardown),
        cmocka_unit_test_setup_teardown(updated_state_is_not_fixed, setup, teardown),
        cmocka_unit_test_setup_teardown(fixed_values_last, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
