/* Weights of a large file stay where they lie: loading costs at most a tenth more than the file,
 * external data cost nothing; results are those of copies; what is trained leaves the file alone.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <unistd.h>

#include "onnx_support.h"

#include "base/file.h"
#include "format/onnx/tensor.h"
#include "golden.h"

enum { IN = 256, OUT = 512, BYTES = IN * OUT * 4, SHIFT = 4096 };

static char folder[] = CJ_BUILD_DIR "/mapped-XXXXXX", model[sizeof folder + 16];

static float weight(int i)
{
    return (float)(i * 37 % 101) / 64 - 0.75f;
}

/* y = x w, whose weights are in the file behind a name of `name_size` letters, so that they begin
 * anywhere, or (0) in w.bin. */
static void write_model(cj_context *cj, size_t name_size)
{
    static char name[64];
    static float w[IN * OUT];
    char path[sizeof folder + 16];
    cj__text text;
    cj__slice inputs[] = {cj__slice_of("x"), cj__slice_of("w")}, y = cj__slice_of("y");
    cj__onnx_dim x_dims[2] = {{.which = CJ__ONNX_DIM_PARAM, .as.param = cj__slice_of("batch")},
                              {.which = CJ__ONNX_DIM_VALUE, .as.value = IN}};
    cj__onnx_shape x_shape = {.dim = {.items = x_dims, .count = 2}};
    cj__onnx_tensor_type x_type = {.elem_type = CJ__ONNX_FLOAT, .shape = &x_shape};
    cj__onnx_value_type x_value = {.which = CJ__ONNX_TYPE_TENSOR, .as.tensor = &x_type};
    cj__onnx_value x = {.name = inputs[0], .type = &x_value}, out = {.name = y, .type = &x_value};
    int64_t dims[2] = {IN, OUT};
    cj__onnx_entry entries[] = {{cj__slice_of("location"), cj__slice_of("w.bin")},
                                {cj__slice_of("offset"), cj__slice_of("4096")}};
    for (int i = 0; i < IN * OUT; i++) w[i] = weight(i);
    memset(name, 'n', name_size);
    name[name_size] = 0;
    cj__onnx_tensor t = {.name = inputs[1], .data_type = CJ__ONNX_FLOAT};
    t.dims.items = dims, t.dims.count = 2;
    if (name_size) t.raw = (cj__slice){(const char *)w, BYTES};
    else t.data_location = 1, t.external.items = entries, t.external.count = 2;
    cj__onnx_node node = {.op_type = cj__slice_of("MatMul")};
    node.input.items = inputs, node.input.count = 2;
    node.output.items = &y, node.output.count = 1;
    cj__onnx_graph graph = {.name = cj__slice_of(name_size ? name : "g")};
    graph.node.items = &node, graph.node.count = 1;
    graph.initializer.items = &t, graph.initializer.count = 1;
    graph.input.items = &x, graph.input.count = 1;
    graph.output.items = &out, graph.output.count = 1;
    cj__onnx_opset opset = {.version = 17};
    cj__onnx_model m = {.ir_version = 8, .graph = &graph};
    m.opset_import.items = &opset, m.opset_import.count = 1;
    cj__text_init(&text, cj);
    assert_int_equal(cj__onnx_serialize(&m, &text), CJ_OK);
    assert_int_equal(cj__file_save(cj, model, text.bytes, text.length), CJ_OK);
    cj__text_release(&text);
    snprintf(path, sizeof path, "%s/w.bin", folder);
    char *bytes = calloc(1, SHIFT + BYTES);
    assert_non_null(bytes);
    memcpy(bytes + SHIFT, w, BYTES);
    assert_int_equal(cj__file_save(cj, path, bytes, SHIFT + BYTES), CJ_OK);
    free(bytes);
}

/* y for an x of ones: the sums of the columns, whole multiples of 1/64. */
static void check_result(cj_context *cj, cj_graph *g)
{
    float ones[IN];
    for (int i = 0; i < IN; i++) ones[i] = 1;
    cj_tensor *x = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){1, IN}, ones), *y = NULL;
    cj_program *p = cj_compile(g);
    cj_session *s = cj_session_new(p, cj_graph_store(g));
    if (cj_run(s, (cj_feed[]){{cj_graph_input_at(g, 0), x}}, 1, &y, 1))
        fail_msg("%s", cj_session_message(s));
    for (int k = 0; k < OUT; k++) {
        double sum = 0;
        for (int i = 0; i < IN; i++) sum += (double)weight(i * OUT + k);
        assert_float_equal(((float *)cj__tensor_data(y))[k], sum, 1e-4); /* 256 * 2^-24 * 1 */
    }
    cj_tensor_free(x);
    cj_tensor_free(y);
    cj_session_free(s);
    cj_program_free(p);
}

/* w := w + 1 in the store; the file has what it had. */
static void check_training(cj_context *cj, cj_graph *g)
{
    size_t before, after;
    unsigned char *old = golden_bytes(model, &before);
    cj_node *w = cj_graph_parameter_at(g, 0);
    cj_update add[] = {{w, cj_add(w, cj_scalar(g, CJ_F32, 1))}, {NULL, NULL}};
    cj_program *p = cj_compile(g, .updates = add);
    cj_session *s = cj_session_new(p, cj_graph_store(g));
    (void)cj;
    for (int i = 0; i < 2; i++)
        if (cj_run(s, NULL, 0, NULL, 0)) fail_msg("%s", cj_session_message(s));
    const float *now = cj__tensor_data(cj_store_get(cj_graph_store(g), "w"));
    for (int i = 0; i < IN * OUT; i++) assert_float_equal(now[i], weight(i) + 2, 0);
    cj_session_free(s);
    cj_program_free(p);
    unsigned char *again = golden_bytes(model, &after);
    assert_int_equal(before, after);
    assert_memory_equal(old, again, before);
    free(old);
    free(again);
}

static void loading_costs_the_file_once(void **state)
{
    (void)state;
    for (size_t name_size = 0; name_size < 5; name_size++) {
        cj_context *cj = cj_context_new(NULL);
        write_model(cj, name_size);
        int64_t had = cj_memory_used(cj);
        cj_context_free(cj);
        cj = cj_context_new(NULL);
        cj_graph *g = cj_onnx_load_graph(cj, model);
        if (!g) fail_msg("%s", cj_message(cj));
        /* Windows where the weights are aligned: one name in four; else one copy. */
        int64_t peak = cj_memory_peak(cj) - had, most = name_size ? BYTES + BYTES / 10 : BYTES / 10;
        if (peak > most) fail_msg("%lld bytes at peak, at most %lld", (long long)peak,
                                  (long long)most);
        check_result(cj, g);
        check_training(cj, g);
        cj_graph_free(g);
        assert_int_equal(cj_memory_used(cj), 0);
        cj_context_free(cj);
    }
}

/* The graph lives on when the file is replaced: the map is of the old one. */
static void a_replaced_file_is_no_matter(void **state)
{
    cj_context *cj = cj_context_new(NULL);
    char path[sizeof folder + 16];
    (void)state;
    write_model(cj, 0);
    cj_graph *g = cj_onnx_load_graph(cj, model);
    assert_non_null(g);
    snprintf(path, sizeof path, "%s/w.bin", folder);
    assert_int_equal(cj__file_save(cj, path, "new", 3), CJ_OK);
    check_result(cj, g);
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loading_costs_the_file_once),
        cmocka_unit_test(a_replaced_file_is_no_matter),
    };
    if (!mkdtemp(folder)) return 2;
    snprintf(model, sizeof model, "%s/m.onnx", folder);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char path[sizeof folder + 16];
    snprintf(path, sizeof path, "%s/w.bin", folder);
    unlink(path);
    unlink(model);
    rmdir(folder);
    return failed;
}
