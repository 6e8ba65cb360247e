/* Files that leave the size of a picture open: read once with symbols they give PyTorch's numbers
 * of pictures of two sizes, in one session, and so do the files that we write of them.
 * tools/golden/onnx_open.py makes them. */
#include "onnx_support.h"

#include <cajal/image.h>
#include <cajal/io.h>

#include "golden.h"

static const char *const cases[][4] = {
    {"open_sizes", "11", "17"},          {"open_pad", "11", "17"},
    {"open_cut", "11", "17"},            {"open_crop", "11", "17"},
    {"open_pyramid", "11", "13", "17"}, {"open_classes", "11", "17"},
};

/* Sums of up to 81 products of floats of size 1. */
static const double tolerance = 2e-6;

static void gives(cj_context *cj, cj_graph *g, const char *what, const cj_tensors *list)
{
    cj_node *y = cj_graph_output_at(g, 0), *x = cj_graph_input_at(g, 0);
    for (int i = 2; i < 4; i++) assert_true(cj_node_dim(x, i) < 0);
    cj_program *p = (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                       .outputs = {y}});
    cj_session *s = p ? cj_session_new(p, cj_graph_store(g)) : NULL;
    if (!s) fail_msg("%s: %s", what, cj_message(cj));
    for (int i = 0; i < 4; i++) { /* and the first again */
        char in[8], out[8];
        int64_t first = -1;
        snprintf(in, sizeof in, "in%d", i % 2);
        snprintf(out, sizeof out, "out%d", i % 2);
        const cj_feed feed = {x, cj_tensors_find(list, in)};
        cj_tensor *found = NULL;
        if (cj_run(s, &feed, 1, &found, 1)) fail_msg("%s: %s", what, cj_session_message(s));
        if (!cj_tensor_close(found, cj_tensors_find(list, out), tolerance, tolerance, &first))
            fail_msg("%s: %s differs at %lld", what, out, (long long)first);
        cj_tensor_free(found);
    }
    cj_session_free(s);
    cj_program_free(p);
}

static void any_size_goes(void **state)
{
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        for (int k = 1; k < 4 && cases[i][k]; k++) {
            cj_context *cj = cj_context_new(NULL);
            char file[64], path[512];
            cj_tensors *list;
            snprintf(file, sizeof file, "format/onnx/%s.npz", cases[i][0]);
            if (cj_npz_load(cj, golden_path(path, file), &list)) fail_msg("%s", cj_message(cj));
            snprintf(file, sizeof file, "format/onnx/%s_%s.onnx", cases[i][0], cases[i][k]);
            cj_graph *g = cj_onnx_load_graph(cj, golden_path(path, file)), *again;
            if (!g) fail_msg("%s", cj_message(cj));
            gives(cj, g, file, list);
            cj__text bytes;
            cj__text_init(&bytes, cj);
            if (graph_bytes(cj, g, &bytes)) fail_msg("%s: %s", file, cj_message(cj));
            again = graph_from(cj, bytes.bytes, bytes.length);
            if (!again) fail_msg("%s, written and read: %s", file, cj_message(cj));
            strcat(file, ", written and read");
            gives(cj, again, file, list);
            cj_graph_free(again);
            cj_graph_free(g);
            cj__text_release(&bytes);
            cj_tensors_free(list);
            assert_int_equal(cj_memory_used(cj), 0);
            cj_context_free(cj);
        }
    }
}

static cj_node *resized(cj_node *x, int64_t size, double scale, bool antialias)
{
    return (cj_resize)(x, &(cj_resize_opts){.struct_size = sizeof(cj_resize_opts),
                                            .sizes = {size},
                                            .scales = {scale},
                                            .mode = "linear",
                                            .antialias = antialias});
}

/* How large a result is, -1 for a refusal: of elements there may be any number, of none only none.
 */
static int64_t size_of(cj_session *s, cj_node *x, int64_t size)
{
    cj_context *cj = cj_graph_context(cj_node_graph(x));
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, 3, (int64_t[]){1, size, 1}), *found = NULL;
    const cj_feed feed = {x, t};
    const cj_status failed = cj_run(s, &feed, 1, &found, 1);
    const int64_t n = failed ? -1 : cj_tensor_shape(found)[1];
    cj_tensor_free(found);
    cj_tensor_free(t);
    return n;
}

static void sizes_are_rounded_down(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = cj_placeholder(g, "x", CJ_F32, 3, (cj_dim[]){1, cj_symbol(g, "n"), 1});
    cj_node *y[2] = {resized(x, 0, 1.5, false), resized(x, 4, 0, false)};
    assert_string_equal(cj_dim_text(g, cj_node_dim(y[0], 1)), "floor((3*n)/2)");
    for (int i = 0; i < 2; i++) {
        cj_program *p = (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                           .outputs = {y[i]}});
        cj_session *s = cj_session_new(p, cj_graph_store(g));
        assert_non_null(s);
        assert_int_equal(size_of(s, x, 3), 4);
        assert_int_equal(size_of(s, x, 0), i ? -1 : 0);
        assert_int_equal(size_of(s, x, 5), i ? 4 : 7);
        cj_session_free(s);
        cj_program_free(p);
    }
    assert_null(resized(x, 4, 0, true));
    assert_non_null(strstr(cj_message(cj), "symbols go with neither antialias nor a crop"));
    cj_graph_free(g);
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_size_goes),
                                       cmocka_unit_test(sizes_are_rounded_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
