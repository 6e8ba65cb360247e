/* What a file of 134 MB costs, as the system counts it: a process that loads it holds at most 1.1
 * times the file before the first plan, with the weights inside, wherever protobuf put them, or in
 * a file of external data. After a run it holds the file, and beside it no more than it tells: the
 * arena, and what was packed of the weights.
 *
 *     test_onnx_memory
 *     test_onnx_memory --load MODEL      loads, and runs, a step for each line that it is given
 *
 * ctest: slow timeout 300 */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "onnx_support.h"

#include "base/file.h"
#include "format/onnx/tensor.h"

enum { TENSORS = 4, IN = 2048, OUT = 4096 };
static const int64_t bytes_each = (int64_t)IN * OUT * 4,
                     bytes_all = TENSORS * (int64_t)IN * OUT * 4;

static char folder[] = CJ_BUILD_DIR "/memory-XXXXXX", model[sizeof folder + 16];

/* y = x w + x wn + x wnn + x wnnn: the names shift what follows by one byte each. */
static void write_model(cj_context *cj, bool external)
{
    static const char *const names[TENSORS] = {"w", "wn", "wnn", "wnnn"},
                            *const products[TENSORS] = {"p", "pn", "pnn", "pnnn"};
    cj__slice x_name = cj__slice_of("x"), y = cj__slice_of("y"), sum[TENSORS],
              in[TENSORS][2];
    cj__onnx_dim x_dims[2] = {{.which = CJ__ONNX_DIM_PARAM, .as.param = cj__slice_of("batch")},
                              {.which = CJ__ONNX_DIM_VALUE, .as.value = IN}};
    cj__onnx_shape x_shape = {.dim = {.items = x_dims, .count = 2}};
    cj__onnx_tensor_type x_type = {.elem_type = CJ__ONNX_FLOAT, .shape = &x_shape};
    cj__onnx_value_type x_value = {.which = CJ__ONNX_TYPE_TENSOR, .as.tensor = &x_type};
    cj__onnx_value x = {.name = x_name, .type = &x_value}, out = {.name = y, .type = &x_value};
    int64_t dims[2] = {IN, OUT};
    char offsets[TENSORS][24], length[24], path[sizeof folder + 16];
    cj__onnx_entry entries[TENSORS][3];
    cj__onnx_tensor t[TENSORS];
    cj__onnx_node nodes[TENSORS + 1] = {{.op_type = cj__slice_of("Sum")}};
    float *w = malloc((size_t)bytes_all);
    assert_non_null(w);
    for (int64_t i = 0; i < bytes_all / 4; i++) w[i] = (float)(i * 37 % 101) / 64 - 0.75f;
    snprintf(length, sizeof length, "%lld", (long long)bytes_each);
    nodes[TENSORS] = nodes[0];
    nodes[TENSORS].input.items = sum, nodes[TENSORS].input.count = TENSORS;
    nodes[TENSORS].output.items = &y, nodes[TENSORS].output.count = 1;
    for (int i = 0; i < TENSORS; i++) {
        snprintf(offsets[i], sizeof offsets[i], "%lld", (long long)(i * bytes_each));
        entries[i][0] = (cj__onnx_entry){cj__slice_of("location"), cj__slice_of("w.bin")};
        entries[i][1] = (cj__onnx_entry){cj__slice_of("offset"), cj__slice_of(offsets[i])};
        entries[i][2] = (cj__onnx_entry){cj__slice_of("length"), cj__slice_of(length)};
        in[i][0] = x_name, in[i][1] = cj__slice_of(names[i]), sum[i] = cj__slice_of(products[i]);
        t[i] = (cj__onnx_tensor){.name = in[i][1], .data_type = CJ__ONNX_FLOAT};
        t[i].dims.items = dims, t[i].dims.count = 2;
        if (external)
            t[i].data_location = 1, t[i].external.items = entries[i], t[i].external.count = 3;
        else t[i].raw = (cj__slice){(const char *)w + i * bytes_each, (size_t)bytes_each};
        nodes[i] = (cj__onnx_node){.op_type = cj__slice_of("MatMul")};
        nodes[i].input.items = in[i], nodes[i].input.count = 2;
        nodes[i].output.items = &sum[i], nodes[i].output.count = 1;
    }
    cj__onnx_graph graph = {.name = cj__slice_of("g")};
    graph.node.items = nodes, graph.node.count = TENSORS + 1;
    graph.initializer.items = t, graph.initializer.count = TENSORS;
    graph.input.items = &x, graph.input.count = 1;
    graph.output.items = &out, graph.output.count = 1;
    cj__onnx_opset opset = {.version = 17};
    cj__onnx_model m = {.ir_version = 8, .graph = &graph};
    m.opset_import.items = &opset, m.opset_import.count = 1;
    cj__text text;
    cj__text_init(&text, cj);
    assert_int_equal(cj__onnx_serialize(&m, &text), CJ_OK);
    assert_int_equal(cj__file_save(cj, model, text.bytes, text.length), CJ_OK);
    cj__text_release(&text);
    snprintf(path, sizeof path, "%s/w.bin", folder);
    if (external) assert_int_equal(cj__file_save(cj, path, w, (size_t)bytes_all), CJ_OK);
    free(w);
}

/* ---- The process that loads ------------------------------------------------------------------ */

/* Tells that a step is done, with a number, and waits for the word to go on. */
static void wait_after(const char *step, long long number)
{
    char line[16];
    printf("%s %lld\n", step, number);
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) exit(2);
}

static int load(const char *path)
{
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1});
    wait_after("begun", 0);
    cj_graph *g = cj_onnx_load_graph(cj, path);
    if (!g) return fprintf(stderr, "%s\n", cj_message(cj)), 1;
    wait_after("loaded", 0);
    cj_program *p = cj_compile(g);
    cj_session *s = cj_session_new(p, cj_graph_store(g));
    cj_tensor *x = cj_tensor_new(cj, CJ_F32, 2, (int64_t[]){4, IN}), *y = NULL;
    cj_session_info info;
    if (!s || cj_run(s, (cj_feed[]){{cj_graph_input_at(g, 0), x}}, 1, &y, 1)) return 1;
    cj_session_get_info(s, &info);
    wait_after("run", (long long)(info.arena_bytes + info.kept_bytes));
    cj_tensor_free(x), cj_tensor_free(y);
    cj_session_free(s);
    cj_program_free(p);
    cj_context_free(cj);
    return 0;
}

/* ---- Who looks at it ------------------------------------------------------------------------- */

/* Bytes of a line such as "VmHWM: 1234 kB" of the process. */
static int64_t counted(pid_t pid, const char *what)
{
    char path[64], line[256];
    long long kilobytes = -1;
    snprintf(path, sizeof path, "/proc/%lld/status", (long long)pid);
    FILE *f = fopen(path, "r");
    if (!f) return -1;
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, what, strlen(what))) kilobytes = atoll(line + strlen(what));
    fclose(f);
    return kilobytes * 1024;
}

typedef struct watched {
    pid_t pid;
    FILE *from, *to;
} watched;

static watched start(void)
{
    int in[2], out[2];
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    fflush(NULL);
    const pid_t pid = fork();
    if (!pid) {
        dup2(in[0], 0), dup2(out[1], 1);
        close(in[1]), close(out[0]);
        execl("/proc/self/exe", "test_onnx_memory", "--load", model, (char *)NULL);
        _exit(127);
    }
    close(in[0]), close(out[1]);
    return (watched){pid, fdopen(out[0], "r"), fdopen(in[1], "w")};
}

/* The number that comes with the step; the process waits. */
static int64_t await(const watched *w, const char *step)
{
    char line[64];
    if (!fgets(line, sizeof line, w->from) || strncmp(line, step, strlen(step)) != 0)
        fail_msg("the process did not come to '%s'", step);
    return atoll(line + strlen(step));
}

static void go_on(const watched *w)
{
    fputs("on\n", w->to);
    fflush(w->to);
}

static void costs(bool external)
{
    enum { SLACK = 24 << 20 }; /* code of this library and of others, which a run touches */
    cj_context *cj = cj_context_new(NULL);
    int status = 0;
    write_model(cj, external);
    cj_context_free(cj);
    watched w = start();
    await(&w, "begun");
    const int64_t before = counted(w.pid, "VmHWM:");
    if (before < 0) skip();
    go_on(&w);
    await(&w, "loaded");
    const int64_t peak = counted(w.pid, "VmHWM:") - before, after = counted(w.pid, "VmRSS:");
    go_on(&w);
    const int64_t told = await(&w, "run"), run = counted(w.pid, "VmRSS:") - before;
    go_on(&w);
    fclose(w.from), fclose(w.to);
    waitpid(w.pid, &status, 0);
    print_message(
        "%s: %.1f MB of weights; begun with %.1f MB; loading %.2f times at most, then %.2f "
        "times; after a run %.2f times, of which %.1f MB are told as arena and packed\n",
        external ? "external data" : "inside", (double)bytes_all * 1e-6, (double)before * 1e-6,
        (double)peak / (double)bytes_all, (double)(after - before) / (double)bytes_all,
        (double)run / (double)bytes_all, (double)told * 1e-6);
    assert_int_equal(status, 0);
    assert_in_range(peak, 0, bytes_all + bytes_all / 10);
    assert_in_range(run, 0, bytes_all + told + SLACK);
    if (external) assert_in_range(peak, 0, bytes_all / 10); /* nobody has looked at the weights */
}

static void weights_inside(void **state) { (void)state, costs(false); }
static void weights_beside(void **state) { (void)state, costs(true); }

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(model, sizeof model, "%s/m.onnx", folder);
    return 0;
}

static int remove_folder(void **state)
{
    char path[sizeof folder + 16];
    (void)state;
    snprintf(path, sizeof path, "%s/w.bin", folder);
    unlink(path);
    unlink(model);
    return rmdir(folder);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(weights_inside),
                                       cmocka_unit_test(weights_beside)};
    if (argc == 3 && !strcmp(argv[1], "--load")) return load(argv[2]);
    const char *sanitizer = getenv("CJ_SANITIZE");
    if (sanitizer && *sanitizer) return printf("a sanitizer has memory of its own\n"), 77;
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
