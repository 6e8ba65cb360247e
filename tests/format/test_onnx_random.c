/* Random operators of ONNX (tests/golden/format/onnx/random.onnx): ranges, means and deviations,
 * equal numbers for equal seeds, and the same numbers in a second session. Bounds of means are five
 * standard errors.
 *
 * ctest: timeout 60 */
#include "onnx_support.h"

#include <math.h>

enum { MANY = 5000 };

static cj_tensor *outputs[2][OUTPUTS_MAX];
static cj_graph *graph;

static const cj_tensor *named(int run, const char *name)
{
    for (int i = 0; i < cj_graph_output_count(graph); i++)
        if (!strcmp(cj_graph_output_name(graph, i), name)) return outputs[run][i];
    fail_msg("no output %s", name);
    return NULL;
}

static double at(const cj_tensor *t, int64_t i)
{
    return cj_load_f64(t->dtype, cj__tensor_data(t), (size_t)i);
}

static void mean_is(const char *name, double mean, double deviation)
{
    const cj_tensor *t = named(0, name);
    double sum = 0, squares = 0, n = (double)t->count;
    for (int64_t i = 0; i < t->count; i++) sum += at(t, i);
    for (int64_t i = 0; i < t->count; i++) squares += (at(t, i) - sum / n) * (at(t, i) - sum / n);
    if (fabs(sum / n - mean) > 5 * deviation / sqrt(n) ||
        fabs(sqrt(squares / n) / deviation - 1) > 0.05)
        fail_msg("%s: mean %g and deviation %g, expected %g and %g", name, sum / n,
                 sqrt(squares / n), mean, deviation);
}

static int64_t equal_elements(const char *a, const char *b)
{
    const cj_tensor *x = named(0, a), *y = named(0, b);
    int64_t same = 0;
    for (int64_t i = 0; i < x->count; i++) same += at(x, i) == at(y, i);
    return same;
}

static void distributions(void **state)
{
    (void)state;
    const cj_tensor *u = named(0, "uniform");
    for (int64_t i = 0; i < u->count; i++) assert_true(at(u, i) >= 2 && at(u, i) < 4);
    mean_is("uniform", 3, 2 / sqrt(12));
    mean_is("normal", 3, 0.5);
    mean_is("seeded", 0, 1);
    mean_is("bernoulli", 0.25, sqrt(0.25 * 0.75));
    mean_is("bernoulli_i32", 0.25, sqrt(0.25 * 0.75));
    assert_int_equal(named(0, "bernoulli_i32")->dtype, CJ_I32);
    assert_int_equal(named(0, "seeded")->dtype, CJ_F16);
    assert_int_equal(named(0, "seeded_otherwise")->dtype, CJ_F32);
    assert_int_equal(equal_elements("seeded", "seeded_again"), MANY);
    assert_true(equal_elements("uniform", "other") < 10);
    assert_true(equal_elements("seeded", "seeded_otherwise") < 10);
}

/* The first row's classes have 1/8, 1/4 and 5/8; the second's 1/2, 1/2 and almost 0. */
static void classes_are_drawn_by_their_probabilities(void **state)
{
    static const double expected[2][3] = {{0.125, 0.25, 0.625}, {0.5, 0.5, 0}};
    const cj_tensor *t = named(0, "classes");
    (void)state;
    assert_int_equal(t->count, 2 * MANY);
    for (int row = 0; row < 2; row++) {
        double found[3] = {0};
        for (int i = 0; i < MANY; i++) found[(int)at(t, row * MANY + i)] += 1.0 / MANY;
        for (int k = 0; k < 3; k++)
            assert_true(fabs(found[k] - expected[row][k]) <
                        5 * sqrt(expected[row][k] * (1 - expected[row][k]) / MANY) + 1e-6);
    }
}

static void dropout_drops(void **state)
{
    const cj_tensor *y = named(0, "dropped"), *mask = named(0, "mask");
    double kept = 0;
    (void)state;
    for (int64_t i = 0; i < MANY; i++) {
        const bool keep = at(mask, i) != 0;
        assert_true(keep ? fabs(at(y, i) - 4.0 / 3) < 1e-12 : at(y, i) == 0);
        kept += keep;
    }
    assert_true(fabs(kept / MANY - 0.75) < 5 * sqrt(0.25 * 0.75 / MANY));
}

static void a_second_session_gives_the_same(void **state)
{
    (void)state;
    for (int i = 0; i < cj_graph_output_count(graph); i++) {
        int64_t first;
        assert_true(cj_tensor_close(outputs[0][i], outputs[1][i], 0, 0, &first));
    }
}

int main(void)
{
    cj_context *cj = cj_context_new(NULL);
    int64_t shape[] = {100, 50};
    cj_tensor *like = cj_tensor_new(cj, CJ_F16, 2, shape);
    graph = cj_onnx_load_graph(cj, CJ_SOURCE_DIR "/tests/golden/format/onnx/random.onnx");
    if (!graph || !like) {
        print_error("%s\n", cj_message(cj));
        return 1;
    }
    cj_feed feed = {.node = cj_graph_input_at(graph, 0), .value = like};
    for (int run = 0; run < 2; run++)
        if (run_graph(cj, graph, &feed, 1, outputs[run])) {
            print_error("%s\n", cj_message(cj));
            return 1;
        }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distributions),
        cmocka_unit_test(classes_are_drawn_by_their_probabilities),
        cmocka_unit_test(dropout_drops),
        cmocka_unit_test(a_second_session_gives_the_same),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int run = 0; run < 2; run++) free_all(outputs[run], OUTPUTS_MAX);
    cj_tensor_free(like);
    cj_graph_free(graph);
    cj_context_free(cj);
    return failed;
}
