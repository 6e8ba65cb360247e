/* Files whose shapes depend on values: read with the values of their inputs they give what numpy
 * gives, and gradients go through what was decided; without them they are refused by name.
 * tools/golden/onnx_values.py makes them. */
#include "onnx_support.h"

#include <cajal/io.h>

#include "golden.h"

enum { INPUTS_MAX = 4 };

typedef struct given {
    cj_tensors *list;
    int n;
    cj_feed feeds[INPUTS_MAX];
} given;

static const cj_tensor *numbered(const given *from, const char *kind, int i)
{
    char name[16];
    snprintf(name, sizeof name, "%s%d", kind, i);
    return cj_tensors_find(from->list, name);
}

static cj_status give(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                      const cj_tensor **values)
{
    given *from = user;
    (void)g;
    assert_true(n <= INPUTS_MAX);
    from->n = n;
    for (int i = 0; i < n; i++) {
        assert_true(inputs[i].name[0] != 0);
        values[i] = numbered(from, "in", i);
    }
    return CJ_OK;
}

static cj_graph *load(cj_context *cj, const char *name, given *from)
{
    char file[64], path[512];
    snprintf(file, sizeof file, "format/onnx/%s.npz", name);
    if (cj_npz_load(cj, golden_path(path, file), &from->list)) fail_msg("%s", cj_message(cj));
    snprintf(file, sizeof file, "format/onnx/%s.onnx", name);
    cj_onnx_opts opts = {.struct_size = sizeof opts, .values = give, .user = from};
    cj_graph *g = cj_onnx_load_graph_opts(cj, golden_path(path, file), &opts);
    if (!g) fail_msg("%s", cj_message(cj));
    for (int i = 0; i < from->n; i++)
        from->feeds[i] = (cj_feed){cj_graph_input_at(g, i), numbered(from, "in", i)};
    return g;
}

static const char *const cases[] = {"shape_input", "shape_computed", "branch_then", "branch_else",
                                    "loop_grows",  "loop_none",      "sequence",    "functions",
                                    "loop_while",  "loop_size", "steps", "detector",
                                    "chosen"};

static void results_are_numpys(void **state)
{
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        cj_context *cj = cj_context_new(NULL);
        given from = {0};
        cj_tensor *out[OUTPUTS_MAX] = {NULL};
        cj_graph *g = load(cj, cases[i], &from);
        if (run_graph(cj, g, from.feeds, from.n, out))
            fail_msg("%s: %s", cases[i], cj_message(cj));
        for (int k = 0; k < cj_graph_output_count(g); k++) {
            int64_t first = -1;
            /* Sums of up to 18 floats. */
            if (!cj_tensor_close(out[k], numbered(&from, "out", k), 1e-6, 1e-6, &first))
                fail_msg("%s: output %d differs at %lld", cases[i], k, (long long)first);
        }
        free_all(out, OUTPUTS_MAX);
        cj_tensors_free(from.list);
        cj_graph_free(g);
        assert_int_equal(cj_memory_used(cj), 0);
        cj_context_free(cj);
    }
}

/* v is x, three times: each element has the gradient 3 and, of the sums after 1, 2 and 3 steps, 6
 * more. */
static void gradients_go_through_steps(void **state)
{
    cj_context *cj = cj_context_new(NULL);
    given from = {0};
    cj_tensor *out = NULL;
    (void)state;
    cj_graph *g = load(cj, "loop_grows", &from);
    cj_node *x = cj_graph_input_at(g, 0), *dx,
            *sum = cj_add(cj_sum(cj_graph_output_at(g, 0)), cj_sum(cj_graph_output_at(g, 1)));
    cj_grad(sum, &x, 1, &dx);
    cj_program *p = cj_compile(g, .outputs = {dx});
    cj_session *s = cj_session_new(p, NULL);
    if (cj_run(s, from.feeds, 1, &out, 1)) fail_msg("%s", cj_session_message(s));
    for (int64_t i = 0; i < out->count; i++)
        assert_float_equal(((float *)cj__tensor_data(out))[i], 9, 0);
    cj_tensor_free(out);
    cj_session_free(s);
    cj_program_free(p);
    cj_tensors_free(from.list);
    cj_context_free(cj);
}

static void count_calls(void *user, cj_log_level level, const char *text)
{
    static const char word[] = "values: ";
    int *n = user;
    if (level == CJ_LOG_DEBUG && !strncmp(text, word, sizeof word - 1))
        *n += atoi(text + sizeof word - 1), n[1]++;
}

/* Six sizes in a row are computed; each run begins where the one before ended, although every step
 * needs what the first one made. */
static void a_call_is_run_once(void **state)
{
    int heard[2] = {0}, calls = 0;
    cj_config config = {.threads = 1, .log = count_calls, .log_user = heard, .debug = 2};
    cj_context *cj = cj_context_new(&config);
    given from = {0};
    (void)state;
    cj_graph *g = load(cj, "steps", &from);
    for (int i = 0; i < g->n_calls; i++) calls += !(g->calls[i]->op->flags & CJ_OP_SOURCE);
    assert_int_equal(heard[1], 6);
    assert_in_range(heard[0], 6, calls);
    cj_tensors_free(from.list);
    cj_graph_free(g);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

static void without_values_they_are_refused(void **state)
{
    static const struct {
        const char *name, *message;
    } refused[] = {
        {"shape_input", "node 'y' (Reshape): the shape is not known before running, or of more "
                        "than 8 sizes"},
        {"shape_computed", "node 'v' (TopK): k (operand 1) is not known before running, or has "
                           "more than 1 elements"},
        {"functions", "node 'r' (Reshape): the shape is not known before running, or of more than "
                      "8 sizes"},
    };
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(refused); i++) {
        cj_context *cj = cj_context_new(NULL);
        char file[64], path[512], expected[700];
        snprintf(file, sizeof file, "format/onnx/%s.onnx", refused[i].name);
        assert_null(cj_onnx_load_graph(cj, golden_path(path, file)));
        assert_int_equal(cj_last_status(cj), CJ_ERR_UNSUPPORTED);
        snprintf(expected, sizeof expected, "%s: %s", path, refused[i].message);
        assert_string_equal(cj_message(cj), expected);
        cj_context_free(cj);
    }
}

/* Values that the file's inputs do not take. */
static void wrong_values_are_named(void **state)
{
    cj_context *cj = cj_context_new(NULL);
    char path[512];
    given from = {0};
    cj_onnx_opts opts = {.struct_size = sizeof opts, .values = give, .user = &from};
    static const struct {
        cj_dtype dtype;
        int rank;
        int64_t shape[4];
        const char *message;
    } wrong[] = {
        {CJ_F64, 3, {2, 3, 4}, "input 'x' is f64 of rank 3, expected f32 of rank 3"},
        {CJ_F32, 2, {2, 3}, "input 'x' is f32 of rank 2, expected f32 of rank 3"},
        {CJ_F32, 3, {2, 3, 5}, "input 'x': dimension 2 is 5, expected 4"},
    };
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(wrong); i++) {
        from.list = cj_tensors_new(cj);
        cj_tensor *t = cj_tensor_new(cj, wrong[i].dtype, wrong[i].rank, wrong[i].shape);
        assert_int_equal(cj_tensors_add(from.list, "in0", t), CJ_OK);
        assert_null(cj_onnx_load_graph_opts(cj, golden_path(path, "format/onnx/shape_input.onnx"),
                                            &opts));
        if (!strstr(cj_message(cj), wrong[i].message)) fail_msg("%s", cj_message(cj));
        cj_tensors_free(from.list);
    }
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_numpys),
        cmocka_unit_test(gradients_go_through_steps),
        cmocka_unit_test(a_call_is_run_once),
        cmocka_unit_test(without_values_they_are_refused),
        cmocka_unit_test(wrong_values_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
