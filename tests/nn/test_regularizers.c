/* test_regularizers.c: regularizers against Keras's formulas (tools/golden/regularizers.py), values
 * and gradients, in double and float, on the best backend and the reference; what they refuse. */
#include "nn_golden.h"

#include "nn/model.h"

static cj_context *cj;
static cj_tensors *golden;

static const struct {
    const char *name, *text;
} rules[] = {{"l1", "l1"},
             {"l2", "l2"},
             {"l1_l2", "l1_l2(l1=0.25, l2=0.125)"},
             {"rows", "orthogonal_regularizer"},
             {"columns", "orthogonal(factor=2, mode=columns)"}};

static void check(int matrix, int rule, cj_dtype dtype, const char *backend)
{
    char name[16], part[64], what[200];
    snprintf(name, sizeof name, "%d", matrix);
    cj_tensor *one = cj_tensor_scalar(cj, CJ_F64, 1),
              *values[2] = {golden_get(golden, name, "w"), one};
    cj_graph *g = cj_graph_new(cj);
    cj_node *in[2] = {
        cj_placeholder(g, "w", dtype, CJ_DIMS(cj_tensor_shape(values[0])[0],
                                              cj_tensor_shape(values[0])[1])),
        cj_placeholder(g, "c", dtype, CJ_SCALAR)};
    cj_node *y = cj__regularizer(in[0], rules[rule].text);
    if (!y) fail_msg("%s: %s", rules[rule].text, cj_message(cj));
    cj_tensor *out[2];
    run_with_gradient(cj, backend, y, in[0], in[1], in, values, 2, out);
    for (int i = 0; i < 2; i++) {
        snprintf(part, sizeof part, "%s%s", rules[rule].name, i ? "_gradient" : "");
        snprintf(what, sizeof what, "%s of matrix %d in %s on %s", part, matrix,
                 cj_dtype_info(dtype)->name, backend ? backend : "best");
        assert_near(what, out[i], golden_get(golden, name, part), dtype == CJ_F64 ? 1e-10 : 1e-5);
        cj_tensor_free(out[i]);
    }
    cj_tensor_free(one);
    cj_graph_free(g);
}

static void as_keras(void **state)
{
    (void)state;
    int matrices = 0;
    for (char name[16] = "0"; golden_find(golden, name, "w");) {
        for (size_t rule = 0; rule < sizeof rules / sizeof *rules; rule++)
            for (int b = 0; b < 2; b++) {
                check(matrices, (int)rule, CJ_F64, backends[b]);
                check(matrices, (int)rule, CJ_F32, backends[b]);
            }
        snprintf(name, sizeof name, "%d", ++matrices);
    }
    assert_true(matrices >= 10);
    const cj_regularizer *row;
    for (int i = 0; (row = cj_regularizer_at(cj, i)); i++) {
        bool found = false;
        for (size_t k = 0; k < sizeof rules / sizeof *rules; k++)
            found |= cj_regularizer_find(cj, rules[k].name) == row ||
                     !strncmp(rules[k].text, row->name, strlen(row->name));
        if (!found) fail_msg("regularizer %s has no golden numbers", row->name);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"l3", "w: unknown regularizer 'l3' (did you mean 'l1'?)"},
        {"l2(alpha=1)", "w: l2: unknown option 'alpha': it takes l2"},
        {"l1(-1)", "w: l1: l1=-1 is not between 0 and 1000000000"},
        {"orthogonal(mode=diagonal)", NULL},
        {"orthogonal", "orthogonal_regularizer: a matrix is expected, not rank 1"},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cj_graph *g = cj_graph_new(cj);
        cj_node *w = cj_placeholder(g, "w", CJ_F32, CJ_DIMS(3));
        assert_null(cj__regularizer(w, cases[i][0]));
        assert_int_not_equal(cj_graph_failed(g), CJ_OK);
        if (cases[i][1]) assert_string_equal(cj_message(cj), cases[i][1]);
        cj_graph_free(g);
    }
    assert_null(cj__regularizer(NULL, "l2"));
}

int main(void)
{
    cj = test_context();
    golden = golden_load(cj, "nn/regularizers.npz");
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_keras), cmocka_unit_test(refused)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_tensors_free(golden);
    cj_context_free(cj);
    return failed;
}
