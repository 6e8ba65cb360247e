/* Models of many nodes, each operator in the forms of its opsets, against numbers that numpy gave
 * (tools/golden/onnx_cases.py): f64 to 1e-10, others to 1e-5, on two backends; and again as what is
 * written of what was read.
 *
 *     test_onnx_cases           all groups
 *     test_onnx_cases opset1    one
 *
 * ctest: timeout 120 */
#include "onnx_support.h"

#include <cajal/io.h>

#include "golden.h"

#define FOLDER CJ_SOURCE_DIR "/tests/golden/format/onnx/"

static const char *only;
static const char *const groups[] = {"opset1", "opset8", "training", "recurrent",
                                     "types",  "signal", "dft17", "attention", "group18", "states",
                                     "exported"};

/* Everything but floats as it is. */
static bool same(const cj_tensor *y, const cj_tensor *expected, int64_t *first)
{
    const bool wide = cj_tensor_dtype(expected) == CJ_F64,
               floats = cj_dtype_info(cj_tensor_dtype(expected))->kind == CJ_KIND_FLOAT;
    const double tolerance = !floats ? 0 : wide ? 1e-10 : 1e-5;
    *first = -1;
    return cj_tensor_close(y, expected, tolerance, tolerance, first);
}

static int run_on(cj_context *cj, cj_graph *g, const cj_tensors *arrays, const char *group,
                  const char *backend)
{
    enum { MANY = 1024 };
    static cj_feed feeds[MANY];
    static cj_node *nodes[MANY];
    static cj_tensor *out[MANY];
    const int n = cj_graph_output_count(g), n_in = cj_graph_input_count(g);
    int wrong = 0;
    assert_true(n > 0 && n <= MANY && n_in <= MANY);
    for (int i = 0; i < n; i++) nodes[i] = cj_graph_output_at(g, i);
    for (int i = 0; i < n_in; i++) {
        cj_node *in = cj_graph_input_at(g, i);
        feeds[i] = (cj_feed){.node = in, .value = cj_tensors_find(arrays, cj_node_name(in))};
        assert_non_null(feeds[i].value);
    }
    cj_program *p = (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                       .output_list = nodes,
                                                       .n_outputs = n});
    if (!p) fail_msg("%s: %s", group, cj_message(cj));
    cj_session_opts opts = {.struct_size = sizeof(opts), .backend = backend};
    cj_session *s = cj_session_new_opts(p, cj_graph_store(g), &opts);
    assert_non_null(s);
    if (cj_run(s, feeds, n_in, out, n)) fail_msg("%s: %s", group, cj_session_message(s));
    for (int i = 0; i < n; i++) {
        const char *name = cj_graph_output_name(g, i);
        const cj_tensor *expected = cj_tensors_find(arrays, name);
        int64_t first;
        assert_non_null(expected);
        if (!same(out[i], expected, &first)) {
            cj__shape_text a, b;
            print_error("%s %s: %s %s, expected %s %s", group, name,
                        cj_dtype_info(out[i]->dtype)->name,
                        cj__shape_string(&a, out[i]->rank, out[i]->shape),
                        cj_dtype_info(expected->dtype)->name,
                        cj__shape_string(&b, expected->rank, expected->shape));
            if (first >= 0)
                print_error("; element %lld is %.17g, expected %.17g", (long long)first,
                            cj_load_f64(out[i]->dtype, cj__tensor_data(out[i]), (size_t)first),
                            cj_load_f64(expected->dtype, cj__tensor_data(expected),
                                        (size_t)first));
            print_error("\n");
            wrong++;
        }
        cj_tensor_free(out[i]);
        out[i] = NULL;
    }
    cj_session_free(s);
    cj_program_free(p);
    return wrong;
}

static void groups_give_what_numpy_gives(void **state)
{
    int wrong = 0;
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(groups); i++) {
        char path[512];
        cj_tensors *arrays;
        cj__text bytes;
        if (only && strcmp(only, groups[i])) continue;
        cj_context *cj = cj_context_new(NULL);
        cj__format(path, sizeof(path), FOLDER "%s.onnx", groups[i]);
        cj_graph *g = cj_onnx_load_graph(cj, path);
        if (!g) fail_msg("%s", cj_message(cj));
        cj__format(path, sizeof(path), FOLDER "%s.npz", groups[i]);
        if (cj_npz_load(cj, path, &arrays)) fail_msg("%s", cj_message(cj));
        wrong += run_on(cj, g, arrays, groups[i], NULL);
        wrong += run_on(cj, g, arrays, groups[i], "reference");
        if (graph_bytes(cj, g, &bytes)) fail_msg("%s: %s", groups[i], cj_message(cj));
        cj_graph_free(g);
        if (!(g = graph_from(cj, bytes.bytes, bytes.length)))
            fail_msg("%s, written: %s", groups[i], cj_message(cj));
        wrong += run_on(cj, g, arrays, groups[i], NULL);
        cj__text_release(&bytes);
        cj_tensors_free(arrays);
        cj_graph_free(g);
        assert_int_equal(cj_memory_used(cj), 0);
        cj_context_free(cj);
    }
    assert_int_equal(wrong, 0);
}

/* What PyTorch spells out is one operator, in as many calls, and is written so again: in opset 17
 * in PyTorch's nodes, each of which is counted here; and the same whichever way it came. */
static void what_is_spelled_out_is_read(void **state)
{
    static const cj_op *const ops[] = {&cj_op_extend, &cj_op_group_norm, &cj_op_gelu};
    static const struct {
        int64_t opset;
        size_t nodes;
    } rows[] = {{21, 10}, {17, 16}}; /* in 21 scale and shift are flattened */
    cj_context *cj = cj_context_new(NULL);
    cj_graph *g = cj_onnx_load_graph(cj, FOLDER "exported.onnx");
    cj__text bytes[CJ__COUNT(rows)], again;
    (void)state;
    assert_non_null(g);
    for (size_t i = 0; i < CJ__COUNT(rows); i++) {
        cj__arena arena;
        cj__onnx_model *model;
        cj__arena_init(&arena, cj);
        cj__text_init(&bytes[i], cj);
        if (i) assert_non_null(g = graph_from(cj, bytes[0].bytes, bytes[0].length));
        cj__onnx_properties properties = {.arena = &arena};
        assert_int_equal(cj__onnx_write_graph(g, g, rows[i].opset, &properties, &bytes[i]), CJ_OK);
        assert_int_equal(cj__onnx_parse(&arena, bytes[i].bytes, bytes[i].length, &model), CJ_OK);
        assert_int_equal(model->graph->node.count, rows[i].nodes);
        cj_graph_free(g);
        cj__arena_release(&arena);
    }
    cj__arena arena;
    cj__arena_init(&arena, cj);
    cj__text_init(&again, cj);
    assert_non_null(g = graph_from(cj, bytes[1].bytes, bytes[1].length));
    for (size_t i = 0; i < CJ__COUNT(ops); i++) {
        int found = 0;
        for (int k = 0; k < g->n_calls; k++)
            for (int n = 0; n < g->calls[k]->n_in; n++)
                found += g->calls[k]->in[n]->call->op == ops[i];
        if (!found) fail_msg("%s is not found again", ops[i]->name);
    }
    cj__onnx_properties properties = {.arena = &arena};
    assert_int_equal(cj__onnx_write_graph(g, g, 21, &properties, &again), CJ_OK);
    assert_int_equal(again.length, bytes[0].length);
    assert_memory_equal(again.bytes, bytes[0].bytes, again.length);
    cj_graph_free(g);
    cj__arena_release(&arena);
    cj__text_release(&again);
    for (size_t i = 0; i < CJ__COUNT(rows); i++) cj__text_release(&bytes[i]);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

/* Every model of refused.npz fails with the message of its line, and leaves nothing behind. */
static void wrong_nodes_are_named(void **state)
{
    cj_context *cj = cj_context_new(NULL);
    cj_tensors *models;
    cj__text text;
    (void)state;
    cj__text_init(&text, cj);
    assert_int_equal(cj_npz_load(cj, FOLDER "refused.npz", &models), CJ_OK);
    for (size_t i = 0; i < cj_tensors_count(models); i++) {
        const char *name;
        const cj_tensor *bytes = cj_tensors_at(models, i, &name);
        cj_graph *g = graph_from(cj, cj__tensor_data(bytes), (size_t)cj_tensor_count(bytes));
        cj__text_format(&text, "%s: %s\n", name, g ? "is read" : cj_message(cj));
        cj_graph_free(g);
    }
    assert_true(golden_text_same("format/onnx/refused.txt", text.bytes, text.length));
    cj__text_release(&text);
    cj_tensors_free(models);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

int main(int argc, char **argv)
{
    only = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {cmocka_unit_test(groups_give_what_numpy_gives),
                                       cmocka_unit_test(what_is_spelled_out_is_read),
                                       cmocka_unit_test(wrong_nodes_are_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
