/* Operators on indices, shapes and regions against torch, torchvision and numpy, gradients
 * included: f64 to 1e-10, f32 to 1e-5, everything else exactly, on two backends.
 * tools/golden/onnx_regions.py makes the models: one of many nodes for each group.
 *
 *     test_onnx_regions           all groups
 *     test_onnx_regions places    one
 *
 * ctest: timeout 120 */
#include "onnx_support.h"

#include <cajal/io.h>

#include "golden.h"

enum { MANY = 512 };

static const char *only;
static const char *const groups[] = {"regions", "places", "selections", "elements",
                                     "symbols"};

static cj_status give(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                      const cj_tensor **values)
{
    (void)g;
    for (int i = 0; i < n; i++) values[i] = cj_tensors_find(user, inputs[i].name);
    return CJ_OK;
}

static bool same(const cj_tensor *y, const cj_tensor *expected, const char *what)
{
    const bool wide = cj_tensor_dtype(expected) == CJ_F64,
               floats = cj_dtype_info(cj_tensor_dtype(expected))->kind == CJ_KIND_FLOAT;
    const double tolerance = !floats ? 0 : wide ? 1e-10 : 1e-5;
    int64_t first = -1;
    if (cj_tensor_close(y, expected, tolerance, tolerance, &first)) return true;
    cj__shape_text a, b;
    print_error("%s: %s %s, expected %s %s", what, cj_dtype_info(y->dtype)->name,
                cj__shape_string(&a, y->rank, y->shape), cj_dtype_info(expected->dtype)->name,
                cj__shape_string(&b, expected->rank, expected->shape));
    if (first >= 0)
        print_error("; element %lld is %.17g, expected %.17g", (long long)first,
                    cj_load_f64(y->dtype, cj__tensor_data(y), (size_t)first),
                    cj_load_f64(expected->dtype, cj__tensor_data(expected), (size_t)first));
    print_error("\n");
    return false;
}

typedef struct asked { /* what is run, and what is expected */
    cj_node *nodes[MANY];
    const cj_tensor *expected[MANY];
    char names[MANY][48];
    int n;
} asked;

static void ask(asked *a, cj_node *node, const cj_tensor *expected, const char *name)
{
    assert_non_null(node);
    assert_true(a->n < MANY);
    a->nodes[a->n] = node;
    a->expected[a->n] = expected;
    cj__format(a->names[a->n++], sizeof a->names[0], "%s", name);
}

/* All outputs, and the gradients of the sum of outputs times their weights. */
static void ask_all(asked *a, cj_graph *g, const cj_tensors *arrays)
{
    static cj_node *wrt[MANY], *dx[MANY];
    const cj_tensor *expected[MANY];
    char name[64];
    int n = 0;
    a->n = 0;
    cj_node *loss = NULL;
    for (int i = 0; i < cj_graph_output_count(g); i++) {
        cj_node *y = cj_graph_output_at(g, i);
        ask(a, y, cj_tensors_find(arrays, cj_graph_output_name(g, i)), cj_graph_output_name(g, i));
        cj__format(name, sizeof name, "%s_w", cj_graph_output_name(g, i));
        const cj_tensor *w = cj_tensors_find(arrays, name);
        if (!w) continue;
        cj_node *part = cj_cast(cj_sum(cj_mul(y, cj_constant(g, w))), CJ_F64);
        loss = loss ? cj_add(loss, part) : part;
    }
    for (int i = 0; i < cj_graph_input_count(g); i++) {
        cj__format(name, sizeof name, "d_%s", cj_node_name(cj_graph_input_at(g, i)));
        if (!(expected[n] = cj_tensors_find(arrays, name))) continue;
        wrt[n++] = cj_graph_input_at(g, i);
    }
    if (!n) return;
    if (cj_grad(loss, wrt, n, dx)) fail_msg("%s", cj_message(cj_graph_context(g)));
    for (int i = 0; i < n; i++) {
        cj__format(name, sizeof name, "d_%s", cj_node_name(wrt[i]));
        ask(a, cj_zero_as(dx[i], wrt[i]), expected[i], name);
    }
}

static int run_on(cj_context *cj, cj_graph *g, const cj_tensors *arrays, asked *a,
                  const char *backend)
{
    static cj_feed feeds[MANY];
    static cj_tensor *out[MANY];
    int wrong = 0, n_in = cj_graph_input_count(g);
    assert_true(n_in <= MANY);
    for (int i = 0; i < n_in; i++) {
        cj_node *in = cj_graph_input_at(g, i);
        feeds[i] = (cj_feed){.node = in, .value = cj_tensors_find(arrays, cj_node_name(in))};
    }
    cj_program *p = (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                       .output_list = a->nodes,
                                                       .n_outputs = a->n});
    if (!p) fail_msg("%s", cj_message(cj));
    cj_session_opts opts = {.struct_size = sizeof(opts), .backend = backend};
    cj_session *s = cj_session_new_opts(p, cj_graph_store(g), &opts);
    assert_non_null(s);
    if (cj_run(s, feeds, n_in, out, a->n)) fail_msg("%s", cj_session_message(s));
    for (int i = 0; i < a->n; i++) {
        assert_non_null(a->expected[i]);
        wrong += !same(out[i], a->expected[i], a->names[i]);
        cj_tensor_free(out[i]);
        out[i] = NULL;
    }
    cj_session_free(s);
    cj_program_free(p);
    return wrong;
}

static void results_and_gradients(void **state)
{
    static asked a;
    int wrong = 0;
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(groups); i++) {
        char path[512], file[64];
        cj_tensors *arrays;
        if (only && strcmp(only, groups[i])) continue;
        cj_context *cj = cj_context_new(NULL);
        cj__format(file, sizeof file, "format/onnx/%s.npz", groups[i]);
        if (cj_npz_load(cj, golden_path(path, file), &arrays)) fail_msg("%s", cj_message(cj));
        cj__format(file, sizeof file, "format/onnx/%s.onnx", groups[i]);
        cj_onnx_opts opts = {.struct_size = sizeof opts, .values = give, .user = arrays};
        if (!strcmp(groups[i], "symbols")) opts.values = NULL; /* nothing is known, sizes neither */
        cj_graph *g = cj_onnx_load_graph_opts(cj, golden_path(path, file), &opts);
        if (!g) fail_msg("%s", cj_message(cj));
        ask_all(&a, g, arrays);
        wrong += run_on(cj, g, arrays, &a, NULL);
        wrong += run_on(cj, g, arrays, &a, "reference");
        cj_tensors_free(arrays);
        cj_graph_free(g);
        assert_int_equal(cj_memory_used(cj), 0);
        cj_context_free(cj);
    }
    assert_int_equal(wrong, 0);
}

/* What is wrong in a node is said with its name; tests/golden/format/onnx/regions_refused.txt. */
static void refusals(void **state)
{
    char path[512];
    cj_tensors *models;
    cj__text said;
    (void)state;
    if (only) return;
    cj_context *cj = cj_context_new(NULL);
    if (cj_npz_load(cj, golden_path(path, "format/onnx/regions_refused.npz"), &models))
        fail_msg("%s", cj_message(cj));
    cj__text_init(&said, cj);
    for (size_t i = 0; i < cj_tensors_count(models); i++) {
        const cj_tensor *bytes = cj_tensors_at(models, i, NULL);
        cj_graph *g = graph_from(cj, cj__tensor_data(bytes), (size_t)bytes->count);
        cj__text_format(&said, "%s\n", g ? "read" : cj_message(cj));
        cj_graph_free(g);
    }
    assert_true(golden_text_same("format/onnx/regions_refused.txt", said.bytes, said.length));
    cj__text_release(&said);
    cj_tensors_free(models);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

int main(int argc, char **argv)
{
    only = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {cmocka_unit_test(results_and_gradients),
                                       cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
