/* ONNX files that mean harm: every one is refused with at most 1 MiB of memory beyond its
 * own size, or read as it is. tools/golden/onnx_hostile.py makes the small ones; those that are
 * large are made here. What each file is told stands in tests/golden/format/hostile.txt: without
 * values of its inputs, with zeros, and (when it was read) what running it says, where 16 MiB and
 * 10 ms are allowed. CAJAL_UPDATE=1 writes the text anew.
 *
 * Time is not tested, since a machine may be busy: what takes it (nodes, computing) has budgets,
 * which the text shows. CJ_TEST_VERBOSE=1 prints the milliseconds that each file took. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "onnx_support.h"

#include "golden.h"

enum { PEAK_MAX = 1 << 20, RUN_MEMORY = 16 << 20, RUN_NS = 10000000, INPUTS_MAX = 64 };

/* ---- Values: zeros, and 2 where the file leaves a size open ---------------------------------- */

typedef struct zeros {
    cj_context *cj;
    int n;
    cj_tensor *values[INPUTS_MAX];
    bool none; /* one would be too large: then there is none of all */
} zeros;

static cj_status give(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                      const cj_tensor **values)
{
    zeros *z = user;
    (void)g;
    for (int i = 0; i < n && i < INPUTS_MAX; i++) {
        int64_t dims[CJ_RANK_MAX], count = 1;
        int rank = inputs[i].type.rank < 0 ? 0 : inputs[i].type.rank;
        for (int k = 0; k < rank; k++) {
            dims[k] = inputs[i].type.dim[k] < 0 ? 2 : inputs[i].type.dim[k];
            count = dims[k] > 4096 || count > 4096 ? 4097 : count * dims[k];
        }
        if (count > 4096) continue;
        z->values[i] = cj_tensor_new(z->cj, inputs[i].type.dtype, rank, dims);
        assert_non_null(z->values[i]);
        values[i] = z->values[i];
        z->n = i + 1;
    }
    return CJ_OK;
}

/* ---- One file -------------------------------------------------------------------------------- */

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* The message without the folder; "read" when there is none. */
static void tell(cj__text *out, cj_context *cj, bool failed)
{
    const char *message = cj_message(cj), *slash = strstr(message, ".onnx: ");
    if (!failed) {
        cj__text_add(out, "read");
        return;
    }
    cj__text_format(out, "%s: ", cj_status_name(cj_last_status(cj)));
    for (const char *at = slash ? slash + 7 : message; *at;) {
        size_t folder = strlen(CJ_SOURCE_DIR), cwd = strlen(CJ_BUILD_DIR);
        if (!strncmp(at, CJ_SOURCE_DIR, folder)) at += folder;
        else if (!strncmp(at, CJ_BUILD_DIR, cwd)) at += cwd;
        else cj__text_char(out, (unsigned char)*at < 32 ? '?' : *at), at++;
    }
}

/* Running what could be read: it fits the limits, or it says which one it does not. */
static void run_it(cj__text *out, const char *path)
{
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1, .memory_limit_bytes = RUN_MEMORY});
    zeros z = {.cj = cj};
    cj_tensor *made[OUTPUTS_MAX] = {NULL};
    cj_feed feeds[INPUTS_MAX];
    cj_graph *g = cj_onnx_load_graph(cj, path);
    int n_in = g ? cj_graph_input_count(g) : 0, n_out = g ? cj_graph_output_count(g) : 0;
    cj_onnx_input inputs[INPUTS_MAX];
    const cj_tensor *values[INPUTS_MAX] = {NULL};
    cj_program *p = NULL;
    cj_session *s = NULL;
    if (g && n_in <= INPUTS_MAX && n_out <= OUTPUTS_MAX) {
        for (int i = 0; i < n_in; i++)
            inputs[i] = (cj_onnx_input){"", cj_graph_input_at(g, i)->type};
        give(&z, g, n_in, inputs, values);
        p = cj_compile(g);
        cj_session_opts opts = {.struct_size = sizeof opts, .work_max = RUN_NS};
        s = p ? cj_session_new_opts(p, cj_graph_store(g), &opts) : NULL;
        for (int i = 0; i < n_in; i++) feeds[i] = (cj_feed){cj_graph_input_at(g, i), values[i]};
        cj_status failed = s ? z.n < n_in ? CJ_ERR_ARGUMENT : cj_run(s, feeds, n_in, made, n_out)
                             : cj_last_status(cj);
        if (s && failed && z.n == n_in) cj_fail(cj, failed, "%s", cj_session_message(s));
        if (s && z.n < n_in) cj_fail(cj, failed, "its inputs are too large to be made");
        cj__text_add(out, "; run: ");
        tell(out, cj, failed != CJ_OK);
    }
    free_all(made, OUTPUTS_MAX);
    free_all(z.values, INPUTS_MAX);
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(g);
    cj_context_free(cj);
}

typedef struct worst {
    double ms;
    int64_t peak;
    int failed; /* files that cost too much */
    char message[256]; /* the last one */
} worst;

/* Loads it once; true when it was read. */
static bool load(cj__text *out, const char *path, const char *name, bool values, worst *w)
{
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1});
    struct stat info;
    zeros z = {.cj = cj};
    cj_onnx_opts opts = {.struct_size = sizeof opts, .values = give, .user = &z};
    assert_int_equal(stat(path, &info), 0);
    double begin = now_ms();
    cj_graph *g = values ? cj_onnx_load_graph_opts(cj, path, &opts) : cj_onnx_load_graph(cj, path);
    double ms = now_ms() - begin;
    int64_t peak = cj_memory_peak(cj);
    tell(out, cj, !g);
    if (ms > w->ms) w->ms = ms;
    if (peak > w->peak) w->peak = peak;
    if (getenv("CJ_TEST_VERBOSE"))
        print_message("%8.2f ms %9lld bytes %s %s\n", ms, (long long)peak, name,
                      values ? "with zeros" : "");
    /* What is read may be larger than what is refused, but not by much. */
    if (peak > (g ? 4 : 1) * (int64_t)PEAK_MAX + info.st_size)
        w->failed++, print_error("%s: %lld bytes for a file of %lld: %s\n", name, (long long)peak,
                                 (long long)info.st_size, cj_message(cj));
    cj_graph_free(g);
    free_all(z.values, INPUTS_MAX);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
    return g != NULL;
}

static void report(cj__text *out, const char *path, const char *name, worst *w)
{
    cj__text_format(out, "%s: ", name);
    bool read = load(out, path, name, false, w);
    if (read) run_it(out, path);
    cj__text_add(out, "\n    with zeros: ");
    load(out, path, name, true, w);
    cj__text_char(out, '\n');
}

/* ---- The committed files --------------------------------------------------------------------- */

static void every_file_is_told_its_fault(void **state)
{
    cj_context *cj = cj_context_new(NULL);
    char folder[512], path[1024];
    struct dirent **entries;
    worst w = {0};
    cj__text text;
    (void)state;
    cj__text_init(&text, cj);
    int n = scandir(golden_path(folder, "format/hostile"), &entries, NULL, alphasort);
    assert_true(n > 150);
    for (int i = 0; i < n; i++) {
        char *name = entries[i]->d_name, *end = strstr(name, ".onnx");
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (end && strncmp(name, "external_link", 13)) {
            *end = 0;
            report(&text, path, name, &w);
        }
        free(entries[i]);
    }
    free(entries);
    print_message("at most %.1f ms and %lld bytes\n", w.ms, (long long)w.peak);
    bool same = golden_text_same("format/hostile.txt", cj__text_string(&text), text.length);
    cj__text_release(&text);
    cj_context_free(cj);
    assert_int_equal(w.failed, 0);
    assert_true(same);
}

/* Files whose weights are behind symbolic links: of the file itself, and of the folder above it. */
static void links_are_not_followed(void **state)
{
    static const struct {
        const char *name, *message;
    } refused[] = {
        {"external_link",
         "the file name 'link.bin' is refused: '%s/link.bin' is a symbolic link; a "
         "name within '%s' is expected"},
        {"external_link_folder",
         "the file name 'link/data.bin' is refused: '%s/link' is a symbolic "
         "link; a name within '%s' is expected"},
    };
    const char *folder = CJ_BUILD_DIR "/hostile_links";
    char from[512], to[512], target[512], expected[1200];
    (void)state;
    mkdir(folder, 0777);
    golden_path(target, "format/hostile/data.bin");
    snprintf(to, sizeof to, "%s/link.bin", folder);
    unlink(to);
    assert_int_equal(symlink(target, to), 0);
    snprintf(to, sizeof to, "%s/link", folder);
    unlink(to);
    assert_int_equal(symlink(golden_path(target, "format/hostile"), to), 0);
    for (size_t i = 0; i < CJ__COUNT(refused); i++) {
        cj_context *cj = cj_context_new(NULL);
        size_t size;
        snprintf(to, sizeof to, "format/hostile/%s.onnx", refused[i].name);
        unsigned char *bytes = golden_bytes(golden_path(from, to), &size);
        snprintf(to, sizeof to, "%s/%s.onnx", folder, refused[i].name);
        golden_write(to, bytes, size);
        free(bytes);
        assert_null(cj_onnx_load_graph(cj, to));
        assert_int_equal(cj_last_status(cj), CJ_ERR_ARGUMENT);
        cj__format(expected, sizeof expected, refused[i].message, folder, folder);
        if (!strstr(cj_message(cj), expected)) fail_msg("%s", cj_message(cj));
        assert_int_equal(cj_memory_used(cj), 0);
        cj_context_free(cj);
    }
}

/* ---- Cut, changed and large files ------------------------------------------------------------ */

/* Refused or read; the file in memory has exactly `size` bytes. */
static cj_status read_bytes(const void *bytes, size_t size, worst *w)
{
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1});
    unsigned char *exact = golden_copy(bytes, size);
    double begin = now_ms();
    cj_graph *g = graph_from(cj, exact, size);
    double ms = now_ms() - begin;
    cj_status failed = g ? CJ_OK : cj_last_status(cj);
    int64_t peak = cj_memory_peak(cj);
    if (ms > w->ms) w->ms = ms;
    if (peak > w->peak) w->peak = peak;
    assert_true(g || cj_message(cj)[0]);
    cj__format(w->message, sizeof w->message, "%s", g ? "read" : cj_message(cj));
    cj_graph_free(g);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
    free(exact);
    return failed;
}

static void cut_and_changed_files(void **state)
{
    char path[512];
    size_t size, read = 0;
    worst w = {0};
    (void)state;
    unsigned char *bytes = golden_bytes(golden_path(path, "format/hostile/whole.onnx"), &size);
    assert_int_equal(read_bytes(bytes, size, &w), CJ_OK);
    for (size_t n = 0; n < size; n++) read += read_bytes(bytes, n, &w) == CJ_OK;
    /* What follows the graph is the import of opsets: behind the first one the file may end. */
    assert_true(read <= 2);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        read_bytes(bytes, size, &w);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    free(bytes);
    assert_true(w.peak < PEAK_MAX);
}

/* A field of bytes: tag, length, bytes. */
static void put_field(cj__text *out, uint32_t number, const char *bytes, size_t size)
{
    cj__proto_writer w = {out, 0};
    cj__proto_put_bytes(&w, number, (cj__slice){bytes, size});
}

static void put_text(cj__text *out, uint32_t number, const cj__text *inside)
{
    put_field(out, number, inside->bytes, inside->length);
}

static void put_node(cj__text *graph, const char *op, const char *domain, const char *in,
                     const char *out)
{
    cj__text node;
    cj__text_init(&node, graph->cj);
    put_field(&node, 1, in, strlen(in));
    put_field(&node, 2, out, strlen(out));
    put_field(&node, 4, op, strlen(op));
    if (*domain) put_field(&node, 7, domain, strlen(domain));
    put_text(graph, 1, &node);
    cj__text_release(&node);
}

enum { MANY = 20000 };

static void many_functions(cj__text *model, cj__text *graph)
{
    for (int i = 0; i < MANY; i++) {
        cj__text f;
        char name[16], out[16];
        cj__text_init(&f, model->cj);
        cj__format(name, sizeof name, "f%05d", i);
        cj__format(out, sizeof out, "y%05d", i);
        put_field(&f, 1, name, strlen(name));
        put_field(&f, 10, "f", 1);
        put_text(model, 25, &f);
        cj__text_release(&f);
        put_node(graph, "f99999", "f", "x", out);
    }
}

static void many_names(cj__text *model, cj__text *graph)
{
    cj__text body, node, attribute;
    cj__text_init(&body, model->cj);
    cj__text_init(&node, model->cj);
    cj__text_init(&attribute, model->cj);
    for (int i = 0; i < MANY; i++) {
        char in[16], out[16];
        cj__format(in, sizeof in, "a%05d", i);
        cj__format(out, sizeof out, "b%05d", i);
        put_node(&body, "Relu", "", in, out);
    }
    put_field(&attribute, 1, "then_branch", 11);
    put_text(&attribute, 6, &body);
    put_field(&node, 1, "c", 1);
    put_field(&node, 2, "y", 1);
    put_field(&node, 4, "If", 2);
    put_text(&node, 5, &attribute);
    attribute.length = 0;
    put_field(&attribute, 1, "else_branch", 11);
    put_text(&attribute, 6, &body);
    put_text(&node, 5, &attribute);
    put_text(graph, 1, &node);
    cj__text_release(&body);
    cj__text_release(&node);
    cj__text_release(&attribute);
}

/* Every input has a dimension with a name of its own. */
static void many_symbols(cj__text *model, cj__text *graph)
{
    (void)model;
    for (int i = 0; i < MANY; i++) {
        char value[64];
        int n = cj__format(value, sizeof value, "%c%c" "i%05d" "%c%c%c%c" "%c%c%c%c%c%c" "%c%c"
                                                "s%05d", 10, 6, i, 18, 16, 10, 14, 8, 1, 18, 10, 10,
                                                8, 18, 6, i);
        assert_true(n > 0);
        put_field(graph, 11, value, (size_t)n);
    }
}

static void many_nothings(cj__text *model, cj__text *graph)
{
    (void)model;
    for (int i = 0; i < MANY; i++) put_field(graph, 1, "\"\1a", 3);
}

/* ---- Files that are large and wrong ---------------------------------------------------------- */

/* Each Relu reads what the one before it gives; `from` is what the first one reads. */
static void put_chain(cj__text *graph, int n, const char *from)
{
    char in[16], out[16];
    for (int i = 0; i < n; i++) {
        cj__format(in, sizeof in, "v%05d", i - 1);
        cj__format(out, sizeof out, "v%05d", i);
        put_node(graph, "Relu", "", i ? in : from, out);
    }
}

static void long_chain(cj__text *model, cj__text *graph)
{
    (void)model;
    put_chain(graph, 50000, "x"); /* and nothing gives y */
}

static void long_cycle(cj__text *model, cj__text *graph)
{
    (void)model;
    put_chain(graph, 50000, "v49999");
}

/* The last node first. */
static void backwards(cj__text *model, cj__text *graph)
{
    char in[16], out[16];
    (void)model;
    for (int i = 50000; i > 0; i--) {
        cj__format(in, sizeof in, "v%05d", i - 1);
        cj__format(out, sizeof out, "v%05d", i);
        put_node(graph, "Relu", "", in, out);
    }
}

static void one_name(cj__text *model, cj__text *graph)
{
    (void)model;
    for (int i = 0; i < 100000; i++) put_node(graph, "Relu", "", "x", "y");
}

static void operators_unknown(cj__text *model, cj__text *graph)
{
    (void)model;
    put_chain(graph, 20000, "x");
    put_node(graph, "Nothing", "", "v00001", "y");
}

static void initializers_of_one_name(cj__text *model, cj__text *graph)
{
    (void)model;
    for (int i = 0; i < 50000; i++) put_field(graph, 5, "\20\1B\1wJ\4\0\0\0", 11);
}

static void inputs_of_one_name(cj__text *model, cj__text *graph)
{
    (void)model;
    for (int i = 0; i < 50000; i++) put_field(graph, 11, "\n\1z\22\6\n\4\10\1\22\0", 11);
}

/* One node whose attribute, of the given name, is of the given bytes. */
static void put_attribute(cj__text *graph, const char *op, const char *name, uint32_t number,
                          const cj__text *bytes)
{
    cj__text node, attribute;
    cj__text_init(&node, graph->cj);
    cj__text_init(&attribute, graph->cj);
    put_field(&attribute, 1, name, strlen(name));
    if (number) put_text(&attribute, number, bytes);
    else cj__text_append(&attribute, bytes->bytes, bytes->length);
    put_field(&node, 1, "x", 1);
    put_field(&node, 2, "y", 1);
    put_field(&node, 4, op, strlen(op));
    put_text(&node, 5, &attribute);
    put_text(graph, 1, &node);
    cj__text_release(&attribute);
    cj__text_release(&node);
}

/* A million integers as one field, and half a million as a field each. */
static void packed_integers(cj__text *model, cj__text *graph)
{
    cj__text ints;
    cj__text_init(&ints, model->cj);
    for (int i = 0; i < 1000000; i++) cj__text_char(&ints, 1);
    put_attribute(graph, "Transpose", "perm", 8, &ints);
    cj__text_release(&ints);
}

static void integers(cj__text *model, cj__text *graph)
{
    cj__text ints;
    cj__text_init(&ints, model->cj);
    for (int i = 0; i < 500000; i++) cj__text_append(&ints, "@\1", 2);
    put_attribute(graph, "Transpose", "perm", 0, &ints);
    cj__text_release(&ints);
}

static void empty_strings(cj__text *model, cj__text *graph)
{
    cj__text strings;
    cj__text_init(&strings, model->cj);
    for (int i = 0; i < 500000; i++) cj__text_append(&strings, "J\0", 2);
    put_attribute(graph, "StringNormalizer", "stopwords", 0, &strings);
    cj__text_release(&strings);
}

static void operands(cj__text *model, cj__text *graph)
{
    cj__text node;
    cj__text_init(&node, model->cj);
    for (int i = 0; i < 200000; i++) put_field(&node, 1, "x", 1);
    put_field(&node, 2, "y", 1);
    put_field(&node, 4, "Relu", 4);
    put_text(graph, 1, &node);
    cj__text_release(&node);
}

static void results(cj__text *model, cj__text *graph)
{
    cj__text node;
    cj__text_init(&node, model->cj);
    put_field(&node, 1, "x", 1);
    for (int i = 0; i < 100000; i++) {
        char out[16];
        cj__format(out, sizeof out, "r%d", i);
        put_field(&node, 2, out, strlen(out));
    }
    put_field(&node, 4, "Split", 5);
    put_text(graph, 1, &node);
    cj__text_release(&node);
}

static void attributes(cj__text *model, cj__text *graph)
{
    cj__text node;
    cj__text_init(&node, model->cj);
    put_field(&node, 1, "x", 1);
    put_field(&node, 2, "y", 1);
    put_field(&node, 4, "Softmax", 7);
    for (int i = 0; i < 50000; i++) {
        char a[32];
        int n = cj__format(a, sizeof a, "\n\6a%05d\30\1\240\1\2", i);
        put_field(&node, 5, a, (size_t)n);
    }
    put_text(graph, 1, &node);
    cj__text_release(&node);
}

static void long_text(cj__text *model, cj__text *graph)
{
    cj__text text;
    cj__text_init(&text, model->cj);
    for (int i = 0; i < 1000000; i++) cj__text_char(&text, 'a');
    put_node(graph, cj__text_string(&text), "", "x", "y");
    cj__text_release(&text);
}

static void long_names(cj__text *model, cj__text *graph)
{
    cj__text text;
    cj__text_init(&text, model->cj);
    for (int i = 0; i < 250000; i++) cj__text_char(&text, 'a');
    put_node(graph, "Relu", "", "x", cj__text_string(&text));
    put_node(graph, "Relu", "", cj__text_string(&text), cj__text_string(&text));
    cj__text_release(&text);
}

static void equation(cj__text *model, cj__text *graph)
{
    cj__text text;
    cj__text_init(&text, model->cj);
    for (int i = 0; i < 1000000; i++) cj__text_char(&text, "abc,"[i % 4]);
    cj__text_add(&text, "->a");
    put_attribute(graph, "Einsum", "equation", 4, &text);
    cj__text_release(&text);
}

/* A tensor of a million dimensions, each 1. */
static void dimensions(cj__text *model, cj__text *graph)
{
    cj__text tensor, dims;
    cj__text_init(&tensor, model->cj);
    cj__text_init(&dims, model->cj);
    for (int i = 0; i < 1000000; i++) cj__text_char(&dims, 1);
    put_text(&tensor, 1, &dims);
    put_field(&tensor, 8, "w", 1);
    cj__text_append(&tensor, "\20\1J\4\0\0\0", 8);
    put_text(graph, 5, &tensor);
    put_node(graph, "Identity", "", "w", "y");
    cj__text_release(&dims);
    cj__text_release(&tensor);
}

/* Constants that make arrays as large as the file's bytes allow, and sizes out of them. */
static void fills(cj__text *model, cj__text *graph)
{
    char in[16], out[16], shape[16];
    (void)model;
    /* int64 of one element, 100,000 */
    put_field(graph, 5, "\10\1\20\7B\1sJ\10\240\206\1\0\0\0\0\0", 17);
    for (int i = 0; i < 5000; i++) {
        cj__format(in, sizeof in, "f%05d", i);
        cj__format(out, sizeof out, "n%05d", i);
        cj__format(shape, sizeof shape, "g%05d", i);
        put_node(graph, "ConstantOfShape", "", "s", in);
        put_node(graph, "NonZero", "", in, out);
        put_node(graph, "ConstantOfShape", "", out, shape);
    }
}

/* Messages in messages, side by side: an If in each branch of an If, 30 deep, many times. */
static void nested(cj__text *model, cj__text *graph)
{
    cj__text inside;
    cj__text_init(&inside, model->cj);
    put_chain(&inside, 5000, "x");
    for (int i = 0; i < 20; i++) {
        cj__text body, attribute, node;
        cj__text_init(&body, model->cj);
        cj__text_init(&attribute, model->cj);
        cj__text_init(&node, model->cj);
        put_field(&attribute, 1, "then_branch", 11);
        put_text(&attribute, 6, &inside);
        put_field(&node, 1, "c", 1);
        put_field(&node, 2, "y", 1);
        put_field(&node, 4, "If", 2);
        put_text(&node, 5, &attribute);
        put_text(&body, 1, &node);
        cj__text_release(&attribute);
        cj__text_release(&node);
        cj__text_release(&inside);
        inside = body;
    }
    cj__text_append(graph, inside.bytes, inside.length);
    cj__text_release(&inside);
}

/* Files of 100 KB to 1.4 MB, most of which are wrong near their end. Before that is found they have
 * been parsed (at most 32 bytes of memory for each byte) and what comes before the fault has become
 * a graph. So memory is at most a megabyte and 40 times the file; and time grows as the file, not
 * as its square, which the milliseconds that are printed show. */
static void large_files(void **state)
{
    static const struct {
        const char *name;
        void (*make)(cj__text *model, cj__text *graph);
        const char *says; /* NULL: it is read */
    } cases[] = {
        {"functions", many_functions, "Cajal has no operator f.f99999"},
        {"names in bodies", many_names, "it uses 'a00000', which is no input"},
        {"symbols", many_symbols, "nothing gives the output 'y'"},
        {"nothings", many_nothings, "Cajal has no operator a"},
        {"chain", long_chain, "nothing gives the output 'y'"},
        {"cycle", long_cycle, "it uses 'v49999', which is no input"},
        {"backwards", backwards, "it uses 'v49999', which is no input"},
        {"one name", one_name, "the name 'y' is given twice"},
        {"operator unknown", operators_unknown, "Cajal has no operator Nothing"},
        {"initializers", initializers_of_one_name, "the name 'w' is given twice"},
        {"inputs", inputs_of_one_name, "the name 'z' is given twice"},
        {"packed integers", packed_integers, "'perm' has 1000000 elements, more than 8"},
        {"integers", integers, "'perm' has 500000 elements, more than 8"},
        {"empty strings", empty_strings, "texts are computed with only where they are known"},
        {"operands", operands, "operand 1 ('x') is not one Cajal takes"},
        {"results", results, "100000 parts"},
        {"attributes", attributes, NULL},
        {"long text", long_text, "Cajal has no operator aaaaa"},
        {"long names", long_names, "(Relu): the name 'aaaa"},
        {"equation", equation, "einsum: 'abc,abc"},
        {"dimensions", dimensions, "more than 64 dimensions"},
        {"fills", fills, "is not known before running"},
        {"nested", nested, "it has no graph 'else_branch'"},
    };
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        cj_context *cj = cj_context_new(NULL);
        cj__text model, graph;
        worst w = {0};
        cj__text_init(&model, cj);
        cj__text_init(&graph, cj);
        put_field(&graph, 2, "g", 1); /* of x: float[2, 3] and c: bool */
        put_field(&graph, 11, "\n\1x\22\16\n\14\10\1\22\10\n\2\10\2\n\2\10\3", 19);
        put_field(&graph, 11, "\n\1c\22\6\n\4\10\11\22\0", 11);
        put_field(&graph, 12, "\n\1y", 3);
        cases[i].make(&model, &graph);
        put_text(&model, 7, &graph);
        put_field(&model, 8, "\20\21", 2);
        cj_status failed = read_bytes(model.bytes, model.length, &w);
        print_message("%-16s %7zu bytes: %6.2f ms, %8lld bytes, %4.1f a byte: %s\n", cases[i].name,
                      model.length, w.ms, (long long)w.peak,
                      (double)w.peak / (double)model.length, w.message);
        assert_int_equal(failed != CJ_OK, cases[i].says != NULL);
        if (failed && !strstr(w.message, cases[i].says)) fail_msg("%s", cases[i].name);
        assert_true((size_t)w.peak < PEAK_MAX + 40 * model.length);
        cj__text_release(&model);
        cj__text_release(&graph);
        cj_context_free(cj);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_is_told_its_fault),
        cmocka_unit_test(links_are_not_followed),
        cmocka_unit_test(cut_and_changed_files),
        cmocka_unit_test(large_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
