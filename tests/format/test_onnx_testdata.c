/* ONNX's own node tests (Debian: libonnx-testdata), for every model all of whose operators Cajal
 * reads: inputs are fed, outputs compared (rtol 1e-3, atol 1e-5). What is not supported is counted
 * by the reason.
 *
 *     test_onnx_testdata            all; skips when they are not installed
 *     test_onnx_testdata test_abs   one, with its message
 *
 * CJ_ONNX_TESTDATA names another folder of such cases, CJ_TEST_VERBOSE asks for all messages.
 *
 * ctest: timeout 300 */
#include <stdlib.h>

#include "onnx_support.h"

#include "base/file.h"
#include "format/onnx/tensor.h"

#define ROOT "/usr/share/libonnx-testdata/data"

static const char *only;

typedef struct counts {
    int passed, unsupported, failed, wrong;
} counts;

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef struct folders {
    char *names[4096];
    int n;
} folders;

static int collect(void *arg, const char *name)
{
    folders *f = arg;
    if (name[0] == '.' || f->n == 4096) return 0;
    f->names[f->n] = malloc(strlen(name) + 1);
    assert_non_null(f->names[f->n]);
    strcpy(f->names[f->n++], name);
    return 0;
}

/* A tensor of a .pb file; NULL when there is none, or it is of another kind (a sequence). */
static cj_tensor *read_pb(cj_context *cj, const char *path)
{
    cj__file_bytes file;
    cj__arena arena;
    cj__onnx_tensor *from;
    cj_tensor *t = NULL;
    if (cj__file_load(cj, path, 0, &file)) return NULL;
    cj__arena_init(&arena, cj);
    if (!cj__onnx_parse_tensor(&arena, file.data, file.size, &from))
        cj__onnx_tensor_decode(cj, from, NULL, &t);
    cj__arena_release(&arena);
    cj__file_unload(&file);
    return t;
}

static void data_path(char path[512], const char *folder, const char *name, const char *kind, int i)
{
    cj__format(path, 512, "%s/%s/test_data_set_0/%s_%d.pb", folder, name, kind, i);
}

/* numbers[i]: which file is fed to input i of the graph. */
static void run_set(cj_context *cj, cj_graph *g, const char *folder, const char *name,
                    const int *numbers, counts *c)
{
    char path[512];
    cj_tensor *inputs[64] = {NULL}, *out[OUTPUTS_MAX] = {NULL};
    cj_feed feeds[64] = {{0}};
    int n = cj_graph_input_count(g), n_out = cj_graph_output_count(g);
    assert_true(n <= 64 && n_out <= OUTPUTS_MAX);
    for (int i = 0; i < n; i++) {
        data_path(path, folder, name, "input", numbers[i]);
        inputs[i] = read_pb(cj, path);
        feeds[i] = (cj_feed){.node = cj_graph_input_at(g, i), .value = inputs[i]};
        /* Their bf16 lies in files as u16. */
        if (inputs[i] &&
            (cj_node_dtype(feeds[i].node) == CJ_BF16) == (cj_tensor_dtype(inputs[i]) == CJ_BF16))
            continue;
        c->unsupported++;
        goto out;
    }
    for (int k = 0; k < n_out; k++)
        if (cj_node_dtype(cj_graph_output_at(g, k)) ==
            CJ_BF16) { /* and is cut off there, not rounded */
            c->unsupported++;
            goto out;
        }
    cj_status failed = run_graph(cj, g, feeds, n, out);
    const bool random = !strncmp(name, "test_bernoulli", 14) ||
                        !strncmp(name, "test_training_dropout", 21);
    if (failed) print_error("%s: %s\n", name, cj_message(cj));
    for (int k = 0; !failed && k < n_out; k++) {
        data_path(path, folder, name, "output", k);
        cj_tensor *expected = read_pb(cj, path);
        int64_t first = -1;
        bool shaped = expected && random && cj_tensor_dtype(expected) == cj_tensor_dtype(out[k]) &&
                      cj_tensor_count(expected) == cj_tensor_count(out[k]);
        if (!shaped && (!expected || !cj_tensor_close(out[k], expected, 1e-3, 1e-5, &first))) {
            cj__shape_text s, t;
            print_error("%s: output %d is %s %s, expected %s %s", name, k,
                        cj_dtype_info(out[k]->dtype)->name,
                        cj__shape_string(&s, out[k]->rank, out[k]->shape),
                        expected ? cj_dtype_info(expected->dtype)->name : "?",
                        expected ? cj__shape_string(&t, expected->rank, expected->shape) : "?");
            if (first >= 0)
                print_error("; element %lld is %g, expected %g", (long long)first,
                            cj_load_f64(out[k]->dtype, cj__tensor_data(out[k]), (size_t)first),
                            cj_load_f64(expected->dtype, cj__tensor_data(expected), (size_t)first));
            print_error("\n");
            failed = CJ_ERR_DATA;
        }
        cj_tensor_free(expected);
    }
    c->passed += !failed;
    c->wrong += failed != CJ_OK;
out:
    free_all(inputs, 64);
    free_all(out, OUTPUTS_MAX);
}

enum { FILES_MAX = 16 };

/* Shapes, axes and the like come as inputs in these tests, as initializers in models: all inputs
 * but the first, or all, are made initializers. files: hold the bytes. */
static cj_graph *load_fixed(cj_context *cj, cj__arena *arena, const char *folder, const char *name,
                            size_t first, cj__file_bytes *files, int *n_files)
{
    char path[512];
    cj__onnx_model *model;
    cj_graph *g = NULL;
    cj__format(path, sizeof(path), "%s/%s/model.onnx", folder, name);
    if (cj__file_load(cj, path, 0, &files[0])) return NULL;
    *n_files = 1;
    if (cj__onnx_parse(arena, files[0].data, files[0].size, &model)) return NULL;
    cj__onnx_graph *graph = model->graph;
    size_t n = graph->input.count, had = graph->initializer.count;
    cj__onnx_tensor *all = cj__arena_array(arena, had + n + 1, sizeof(*all));
    if (!all || n >= FILES_MAX) return NULL;
    if (had) memcpy(all, graph->initializer.items, had * sizeof(*all));
    for (size_t i = first; i < n; i++) {
        cj__onnx_tensor *t;
        data_path(path, folder, name, "input", (int)i);
        if (cj__file_load(cj, path, 0, &files[*n_files])) return NULL;
        ++*n_files;
        if (cj__onnx_parse_tensor(arena, files[*n_files - 1].data, files[*n_files - 1].size, &t))
            return NULL;
        t->name = graph->input.items[i].name;
        all[had++] = *t;
    }
    graph->initializer.items = all;
    graph->initializer.count = had;
    cj__onnx_import(cj, arena, model, &(cj__onnx_import_opts){0}, &g);
    return g;
}

static void run_model(cj_context *cj, const char *folder, const char *name, counts *c)
{
    /* Its expected numbers have epsilon=0.01, which the node does not say; later copies do. */
    if (!strcmp(name, "test_adam_multiple") && !only) return;
    static const int all[64] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    char path[512], message[512];
    cj_file_info info;
    cj__format(path, sizeof(path), "%s/%s/model.onnx", folder, name);
    if (cj__file_info(cj, path, &info)) return;
    cj_graph *g = cj_onnx_load_graph(cj, path);
    cj_status status = g ? CJ_OK : cj_last_status(cj);
    cj__format(message, sizeof(message), "%s", g ? "" : cj_message(cj));
    for (size_t first = 1; status == CJ_ERR_UNSUPPORTED && !g && first < 2; first--) {
        cj__file_bytes files[FILES_MAX + 1];
        int n_files = 0;
        cj__arena arena;
        cj__arena_init(&arena, cj);
        g = load_fixed(cj, &arena, folder, name, first, files, &n_files);
        cj__arena_release(&arena);
        for (int i = 0; i < n_files; i++) cj__file_unload(&files[i]);
    }
    if (!g) {
        bool expected = status == CJ_ERR_UNSUPPORTED;
        if (only || !expected || getenv("CJ_TEST_VERBOSE")) print_error("%s: %s\n", name, message);
        c->unsupported += expected;
        c->failed += !expected;
        return;
    }
    run_set(cj, g, folder, name, all, c);
    cj_graph_free(g);
}

static void run_folder(const char *folder, counts *c)
{
    cj_context *cj = cj_context_new(NULL);
    static folders f;
    f.n = 0;
    if (cj__file_list(cj, folder, collect, &f)) {
        cj_context_free(cj);
        return;
    }
    qsort(f.names, (size_t)f.n, sizeof(f.names[0]), by_name);
    for (int i = 0; i < f.n; i++) {
        if (!only || !strcmp(only, f.names[i])) run_model(cj, folder, f.names[i], c);
        free(f.names[i]);
    }
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

static void the_tests_of_onnx(void **state)
{
    static const char *const parts[] = {"node", "simple", "pytorch-converted", "pytorch-operator"};
    const char *root = getenv("CJ_ONNX_TESTDATA");
    counts all = {0};
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(parts); i++) {
        char folder[256];
        counts c = {0};
        cj__format(folder, sizeof(folder), "%s/%s", root ? root : ROOT, parts[i]);
        run_folder(folder, &c);
        print_message("%s: %d passed, %d not supported, %d wrong, %d refused\n", parts[i], c.passed,
                      c.unsupported, c.wrong, c.failed);
        all.passed += c.passed;
        all.failed += c.failed + c.wrong;
        all.unsupported += c.unsupported;
    }
    if (!all.passed && !all.failed && !all.unsupported) {
        print_message("no %s\n", ROOT);
        skip();
    }
    assert_int_equal(all.failed, 0);
    assert_true(only || all.passed > 300);
}

int main(int argc, char **argv)
{
    only = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_tests_of_onnx)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
