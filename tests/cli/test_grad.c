/* test_grad.c: cajal grad on tests/golden/cli/grad.onnx and calls.onnx, file by file, against
 * PyTorch's autograd in double (tools/golden/onnx_grad.py); the same with the library alone;
 * dropout; and what is refused. Needs CAJAL_COMMAND. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <cajal/io.h>
#include <cajal/nn.h>
#include <cajal/run.h>

#define GOLDEN CJ_SOURCE_DIR "/tests/golden/cli/"

static cj_context *cj;
static cj_tensors *golden;
static char folder[64];

/* Runs "cajal grad ..." in the folder; its words to `text`. */
static int command(const char *words, char *text, size_t size)
{
    char line[2048];
    snprintf(line, sizeof line, "cd '%s' && \"$CAJAL_COMMAND\" grad %s >out.txt 2>err.txt", folder,
             words);
    int status = system(line);
    snprintf(line, sizeof line, "%s/err.txt", folder);
    FILE *f = fopen(line, "r");
    assert_non_null(f);
    text[fread(text, 1, size - 1, f)] = 0;
    fclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void save(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.npy", folder, name);
    assert_int_equal(cj_npy_save(cj, path, cj_tensors_find(golden, name)), CJ_OK);
}

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/cajal-grad-XXXXXX");
    assert_non_null(mkdtemp(folder));
    cj = cj_context_new(NULL);
    assert_int_equal(cj_npz_load(cj, GOLDEN "grad.npz", &golden), CJ_OK);
    const char *const names[] = {"x", "ids", "z", "dy", "du"};
    for (int i = 0; i < 5; i++) save(names[i]);
    return 0;
}

static int teardown(void **state)
{
    char line[128];
    (void)state;
    snprintf(line, sizeof line, "rm -rf '%s'", folder);
    cj_tensors_free(golden);
    cj_context_free(cj);
    return system(line);
}

/* Sums of 6 rows of numbers around 1 in f32: the tolerance for floats, of the largest number. */
static void same(const cj_tensor *got, const cj_tensor *want, const char *name)
{
    assert_int_equal(cj_tensor_dtype(got), CJ_F32);
    assert_int_equal(cj_tensor_rank(got), cj_tensor_rank(want));
    assert_int_equal(cj_tensor_count(got), cj_tensor_count(want));
    const float *a = cj_tensor_map_read(got), *b = cj_tensor_map_read(want);
    float largest = 1;
    for (int64_t i = 0; i < cj_tensor_count(want); i++) largest = fmaxf(largest, fabsf(b[i]));
    for (int64_t i = 0; i < cj_tensor_count(want); i++)
        if (!(fabsf(a[i] - b[i]) <= 1e-5f * largest))
            fail_msg("%s[%lld]: got %.9g, expected %.9g", name, (long long)i, (double)a[i],
                     (double)b[i]);
    cj_tensor_unmap(got);
    cj_tensor_unmap(want);
}

/* Every golden array of the case is a file, and every grad* file is one of them. */
static void check_files(const char *name, const char *out, int expected)
{
    char path[512], text[1024];
    size_t length = strlen(name);
    int files = 0, arrays = 0;
    snprintf(path, sizeof path, "%s/%s", folder, out);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) files += !strncmp(e->d_name, "grad", 4);
    closedir(d);
    const char *key;
    for (size_t i = 0; cj_tensors_at(golden, i, &key); i++) {
        if (strncmp(key, name, length) || key[length] != '.') continue;
        cj_tensor *got;
        snprintf(path, sizeof path, "%s/%s/%s.npy", folder, out, key + length + 1);
        if (cj_npy_load(cj, path, &got)) fail_msg("%s", cj_message(cj));
        snprintf(text, sizeof text, "%s %s", name, key + length + 1);
        same(got, cj_tensors_find(golden, key), text);
        cj_tensor_free(got);
        arrays++;
    }
    assert_int_equal(arrays, expected);
    assert_int_equal(files, arrays);
}

static void test_files(void **state)
{
    static const struct {
        const char *name, *words;
    } cases[] = {
        {"ones", ""},
        {"given", "--cotangents dy.npy,du.npy"},
        {"given", "--cotangents dy.npy,nothing.npy,du.npy"}, /* the second output is integers */
        {"training", "--cotangents dy.npy,du.npy --training"},
        {"ones", "backend=reference"},
        {"training", "--cotangents dy.npy,du.npy --training backend=reference"},
    };
    char words[512], text[4096], out[16];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(out, sizeof out, "out%zu", i);
        snprintf(words, sizeof words,
                 "'" GOLDEN "grad.onnx' --inputs x.npy,ids.npy,z.npy --output-dir %s %s", out,
                 cases[i].words);
        if (command(words, text, sizeof text)) fail_msg("%s: %s", words, text);
        assert_string_equal(text, "");
        check_files(cases[i].name, out, 15);
    }
}

/* A weight that a function takes, or an Identity gives another name, is the file's, by its name. */
static void test_calls(void **state)
{
    char text[4096];
    (void)state;
    if (command("'" GOLDEN "calls.onnx' --inputs x.npy --output-dir calls", text, sizeof text))
        fail_msg("%s", text);
    check_files("calls", "calls", 11);
    cj_graph *g = cj_onnx_load_graph(cj, GOLDEN "calls.onnx");
    if (!g) fail_msg("%s", cj_message(cj));
    assert_int_equal(cj_graph_parameter_count(g), 6); /* the statistics are none */
    assert_non_null(cj_find_variable(g, "first.mean"));
    assert_non_null(cj_find_variable(g, "second.w"));
    cj_graph_free(g);
}

/* What a program would write: the graph, cj_vjp, and one run. */
static void test_library(void **state)
{
    static const char *const weights[] = {"layer/w", "table", "factor", "bn.scale", "unused"};
    static const char *const files[] = {"layer_w", "table", "factor", "bn.scale", "unused"};
    (void)state;
    for (int reference = 0; reference < 2; reference++) {
        const cj_onnx_opts all = {.struct_size = sizeof all, .all_weights = true};
        cj_graph *g = cj_onnx_load_graph_opts(cj, GOLDEN "grad.onnx", &all);
        if (!g) fail_msg("%s", cj_message(cj));
        cj_node *y[] = {cj_graph_output_at(g, 0), cj_graph_output_at(g, 2)}, *dw[5], *w[5];
        cj_node *dy[] = {cj_full_like(y[0], 1), cj_full_like(y[1], 1)};
        for (int i = 0; i < 5; i++) assert_non_null(w[i] = cj_find_variable(g, weights[i]));
        assert_int_equal(cj_vjp(y, dy, 2, w, 5, dw), CJ_OK);
        for (int i = 0; i < 5; i++) dw[i] = cj_zero_as(dw[i], w[i]);
        cj_program *p = cj_compile(g, .output_list = dw, .n_outputs = 5);
        cj_session_opts opts = {.struct_size = sizeof opts,
                                .backend = reference ? "reference" : NULL};
        cj_session *s = cj_session_new_opts(p, cj_graph_store(g), &opts);
        assert_non_null(s);
        cj_feed feeds[] = {{cj_graph_input_at(g, 0), cj_tensors_find(golden, "x")},
                           {cj_graph_input_at(g, 1), cj_tensors_find(golden, "ids")},
                           {cj_graph_input_at(g, 2), cj_tensors_find(golden, "z")}};
        cj_tensor *out[5] = {NULL};
        if (cj_run(s, feeds, 3, out, 5)) fail_msg("%s", cj_session_message(s));
        for (int i = 0; i < 5; i++) {
            char key[64];
            snprintf(key, sizeof key, "ones.grad_%s", files[i]);
            same(out[i], cj_tensors_find(golden, key), key);
            cj_tensor_free(out[i]);
        }
        cj_session_free(s);
        cj_program_free(p);
        cj_graph_free(g);
    }
}

/* By default running statistics are no parameters, and scalars are constants. */
static void test_state(void **state)
{
    (void)state;
    cj_graph *g = cj_onnx_load_graph(cj, GOLDEN "grad.onnx");
    if (!g) fail_msg("%s", cj_message(cj));
    assert_non_null(cj_find_variable(g, "bn.mean"));
    assert_null(cj_find_variable(g, "factor"));
    assert_null(cj_find_variable(g, "unused"));
    for (int i = 0; i < cj_graph_parameter_count(g); i++)
        assert_string_not_equal(cj_node_name(cj_graph_parameter_at(g, i)), "bn.mean");
    assert_int_equal(cj_graph_parameter_count(g), 6);
    cj_graph_free(g);
}

/* Half of 800 elements are dropped, give or take 5 deviations of a fair coin, and the others
 * doubled; without --training none is. */
static void test_dropout(void **state)
{
    char text[4096], path[128];
    (void)state;
    int64_t shape[] = {100, 8};
    cj_tensor *x = cj_tensor_new(cj, CJ_F32, 2, shape), *d;
    snprintf(path, sizeof path, "%s/ones.npy", folder);
    assert_int_equal(cj_npy_save(cj, path, x), CJ_OK);
    cj_tensor_free(x);
    for (int training = 0; training < 2; training++) {
        int zeros = 0, twos = 0, ones = 0;
        assert_int_equal(command(training ? "'" GOLDEN "dropout.onnx' --inputs ones.npy --training"
                                          : "'" GOLDEN "dropout.onnx' --inputs ones.npy",
                                 text, sizeof text),
                         0);
        snprintf(path, sizeof path, "%s/grad0.npy", folder);
        assert_int_equal(cj_npy_load(cj, path, &d), CJ_OK);
        const float *v = cj_tensor_map_read(d);
        for (int i = 0; i < 800; i++) zeros += v[i] == 0, ones += v[i] == 1, twos += v[i] == 2;
        cj_tensor_unmap(d);
        cj_tensor_free(d);
        assert_int_equal(ones, training ? 0 : 800);
        assert_int_equal(zeros + twos, 800 - ones);
        assert_true(!training || (zeros > 400 - 71 && zeros < 400 + 71));
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *words;
        int status;
        const char *text;
    } cases[] = {
        {"", 2, "grad: expected one model, found 0 words: cajal grad MODEL.onnx --inputs X.npy"},
        {"'" GOLDEN "grad.onnx' --inputs x.npy", 2,
         "grad: input 'ids' is missing; give --inputs A.npy,B.npy for x f32[batch, 4], ids "
         "i64[batch], z f32[batch, 2]"},
        {"'" GOLDEN "grad.onnx' --inputs x.npy,ids.npy,z.npy --cotangents dy.npy", 2,
         "grad: 1 cotangents: expected one for each of the 2 outputs that are floats"},
        {"'" GOLDEN "grad.onnx' --inputs x.npy,ids.npy,z.npy --cotangents z.npy,du.npy", 1,
         "input 'cotangent 0 (y)': dimension 1 is 2, expected 3"},
        {"'" GOLDEN "grad.onnx' --inputs x.npy,ids.npy,z.npy --cotangents dy.npy,no.npy", 1,
         "no.npy"},
        {"'" GOLDEN "grad.onnx' --inputs x.npy,ids.npy,z.npy backend=cpi", 2,
         "grad: there is no backend 'cpi' (did you mean 'cpu'?)"},
        {"'" GOLDEN "grad.onnx' --inputs x.npy,ids.npy,z.npy epochs=2", 2, "epochs"},
    };
    char text[4096];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = command(cases[i].words, text, sizeof text);
        if (status != cases[i].status || !strstr(text, cases[i].text))
            fail_msg("grad %s: status %d: %s", cases[i].words, status, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),   cmocka_unit_test(test_library),
        cmocka_unit_test(test_state),   cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_calls),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
