/* test_onnx_quant.c: quantised operators and bits against numpy's integers
 * (tools/golden/onnx_quant.py), and what is refused. Every result but dequantised floats must be
 * equal to the bit. */
#include <dirent.h>

#include "onnx_support.h"

#include <cajal/io.h>

#include "golden.h"

/* An array of the .npz as the dtype of an input or output: raw bits become what they stand for. */
static cj_tensor *numbered(const cj_tensors *list, const char *kind, int i, cj_dtype dtype)
{
    char name[16];
    snprintf(name, sizeof name, "%s%d", kind, i);
    cj_tensor *t = (cj_tensor *)cj_tensors_find(list, name);
    assert_non_null(t);
    return t->dtype == dtype ? cj_tensor_copy(t) : cj_tensor_bits(t, dtype);
}

static void check(const char *name)
{
    char file[300], path[800];
    cj_context *cj = cj_context_new(NULL);
    cj_tensors *list;
    cj_tensor *in[9] = {NULL}, *out[OUTPUTS_MAX] = {NULL};
    cj_feed feeds[9] = {{0}};
    snprintf(file, sizeof file, "format/onnx/%s.npz", name);
    if (cj_npz_load(cj, golden_path(path, file), &list)) fail_msg("%s", cj_message(cj));
    snprintf(file, sizeof file, "format/onnx/%s.onnx", name);
    cj_graph *g = cj_onnx_load_graph(cj, golden_path(path, file));
    if (!g) fail_msg("%s", cj_message(cj));
    int n = cj_graph_input_count(g);
    for (int i = 0; i < n; i++) {
        cj_node *node = cj_graph_input_at(g, i);
        in[i] = numbered(list, "in", i, cj_node_dtype(node));
        feeds[i] = (cj_feed){.node = node, .value = in[i]};
    }
    if (run_graph(cj, g, feeds, n, out)) fail_msg("%s: %s", name, cj_message(cj));
    for (int k = 0; k < cj_graph_output_count(g); k++) {
        cj_tensor *expected = numbered(list, "out", k, out[k]->dtype);
        int64_t first = -1;
        if (!cj_tensor_close(out[k], expected, 0, 0, &first))
            fail_msg("%s: output %d, element %lld: %g, expected %g", name, k, (long long)first,
                     first < 0 ? 0.
                               : cj_load_f64(out[k]->dtype, cj__tensor_data(out[k]), (size_t)first),
                     first < 0
                         ? 0.
                         : cj_load_f64(expected->dtype, cj__tensor_data(expected), (size_t)first));
        cj_tensor_free(expected);
    }
    free_all(in, 9);
    free_all(out, OUTPUTS_MAX);
    cj_tensors_free(list);
    cj_graph_free(g);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

static void results_are_numpys(void **state)
{
    char path[800], name[256];
    int n = 0;
    (void)state;
    DIR *folder = opendir(golden_path(path, "format/onnx"));
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        const char *dot = strstr(entry->d_name, ".onnx");
        if (strncmp(entry->d_name, "quant_", 6) || !dot || dot[5] || strstr(entry->d_name, "_bad_"))
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(dot - entry->d_name), entry->d_name);
        check(name);
        n++;
    }
    closedir(folder);
    assert_int_equal(n, 40);
}

static void what_makes_no_sense_is_named(void **state)
{
    static const struct { const char *name, *message; } cases[] = {
        {"types", "node 'out0' (QuantizeLinear): output_dtype is u8, and the zero point is i8"},
        {"dtype", "(QuantizeLinear): output_dtype is COMPLEX64, which Cajal does not have"},
        {"axis", "a scale or zero point of rank 1 along axis 2 of a tensor of rank 2"},
        {"rank", "a scale or zero point of rank 3 along axis 1 of a tensor of rank 2"},
        {"blocks", "2 scales of blocks of 2 for an axis of size 6"},
        {"round", "(Cast): round_mode 'sideways' is none of up, down, nearest"},
        {"direction", "(BitShift): direction 'UP' is neither LEFT nor RIGHT"},
        {"bits", "(BitCast): f32 has 32 bits, and i64 has 64"},
        {"packed", "(BitCast): u8 has 8 bits, and u4 has 4"},
    };
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        char file[300], path[800];
        cj_context *cj = cj_context_new(NULL);
        snprintf(file, sizeof file, "format/onnx/quant_bad_%s.onnx", cases[i].name);
        assert_null(cj_onnx_load_graph(cj, golden_path(path, file)));
        if (!strstr(cj_message(cj), cases[i].message))
            fail_msg("found '%s', expected '%s'", cj_message(cj), cases[i].message);
        assert_int_equal(cj_memory_used(cj), 0);
        cj_context_free(cj);
    }
}

/* The file says opset 17, which has none of them. */
static void what_is_newer_is_not_written(void **state)
{
    static const char *const messages[] = {
        "f8e5m2 is of opset 19, newer than 17, which is written",
        "BitwiseAnd is of opset 18, newer than 17, which is written", "BitShift does not take i32"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        cj_context *cj = cj_context_new(NULL);
        cj__text bytes;
        cj_graph *g = cj_graph_new(cj);
        cj_node *x = cj_placeholder(g, "x", i ? CJ_I32 : CJ_F32, 0, NULL);
        cj_graph_output(g, "y", i == 0   ? cj_cast(x, CJ_F8E5M2)
                                : i == 1 ? cj_bitwise_and(x, x)
                                         : cj_shift_left(x, x));
        assert_int_equal(graph_bytes(cj, g, &bytes), CJ_ERR_UNSUPPORTED);
        if (!strstr(cj_message(cj), messages[i]))
            fail_msg("found '%s', expected '%s'", cj_message(cj), messages[i]);
        cj__text_release(&bytes);
        cj_graph_free(g);
        cj_context_free(cj);
    }
}

/* Each opset has what the one before lacked: small floats, integers of 4 bits, bits, comparing
 * texts. Read back they give the same, and are written again as the same bytes. */
static void newer_opsets_have_more(void **state)
{
    static const char *const words[] = {"a", "", "b", "a"}, *const others[] = {"a", "b", "b", "c"};
    const int32_t bits[] = {12, -7, 255, 0}, more[] = {10, 3, -1, 5};
    (void)state;
    for (int opset = 17; opset <= 21; opset++) {
        cj_context *cj = cj_context_new(NULL);
        cj_graph *g = cj_graph_new(cj);
        const int64_t n = 4;
        cj_tensor *t[] = {cj_tensor_from(cj, CJ_I32, 1, &n, bits),
                          cj_tensor_from(cj, CJ_I32, 1, &n, more),
                          cj_tensor_from_strings(cj, 1, &n, words),
                          cj_tensor_from_strings(cj, 1, &n, others)};
        cj_node *x[5], *y[8];
        int count = 0;
        for (int i = 0; i < 4; i++) x[i + 1] = cj_constant(g, t[i]), cj_tensor_free(t[i]);
        x[0] = cj_scale(cj_cast(x[1], CJ_F32), 300.3); /* the third becomes infinity */
        y[count++] = cj_reshape(x[3], 2, (cj_dim[]){2, 2});
        if (opset >= 18) y[count++] = cj_bitwise_xor(cj_bitwise_and(x[1], x[2]), x[1]);
        if (opset >= 18) y[count++] = cj_bitwise_not(cj_bitwise_or(x[1], x[2]));
        if (opset >= 19) y[count++] = cj_cast_as(x[0], CJ_F8E5M2, CJ_CAST_OVERFLOW);
        if (opset >= 19) y[count++] = cj_cast(cj_cast(x[0], CJ_F8E4M3FN), CJ_F32);
        if (opset >= 19) y[count++] = cj_equal(x[3], x[4]);
        if (opset >= 21)
            y[count++] = cj_transpose(cj_reshape(cj_cast(x[1], CJ_I4), 2, (cj_dim[]){2, 2}), NULL);
        for (int i = 0; i < count; i++) cj_graph_output(g, NULL, y[i]);
        cj_tensor *out[8] = {NULL}, *back[8] = {NULL};
        cj__text bytes, again;
        char number[16];
        snprintf(number, sizeof number, "%d", opset);
        setenv("CJ_TEST_OPSET", number, 1);
        if (run_graph(cj, g, NULL, 0, out) || graph_bytes(cj, g, &bytes))
            fail_msg("opset %d: %s", opset, cj_message(cj));
        cj_graph *h = graph_from(cj, bytes.bytes, bytes.length);
        if (!h || run_graph(cj, h, NULL, 0, back) || graph_bytes(cj, h, &again))
            fail_msg("opset %d: %s", opset, cj_message(cj));
        unsetenv("CJ_TEST_OPSET");
        for (int i = 0; i < count; i++)
            if (!cj_tensor_close(out[i], back[i], 0, 0, NULL))
                fail_msg("opset %d: output %d differs", opset, i);
        assert_int_equal(again.length, bytes.length);
        assert_memory_equal(again.bytes, bytes.bytes, bytes.length);
        cj__text_release(&bytes), cj__text_release(&again);
        free_all(out, 8), free_all(back, 8);
        cj_graph_free(g), cj_graph_free(h);
        cj_context_free(cj);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(results_are_numpys),
                                       cmocka_unit_test(what_makes_no_sense_is_named),
                                       cmocka_unit_test(what_is_newer_is_not_written),
                                       cmocka_unit_test(newer_opsets_have_more)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
