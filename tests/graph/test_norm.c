/* Normalisations and rotary embeddings against torch, forward and backward, on the reference in f64
 * and on the best backend in f32 (tests/golden/graph/norm.txt; tools/golden/norm.py made it); rows
 * of padding; positions as sines and as rotations; and what wrong operands are told. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden.h"
#include "graph/graph.h"

#include <cajal/norm.h>
#include <cajal/run.h>

enum { VALUES_MAX = 8, NUMBERS_MAX = 1024 };

typedef struct value {
    bool none;
    int rank, n;
    int64_t dims[CJ_RANK_MAX];
    double v[NUMBERS_MAX];
} value;

typedef struct golden_case {
    char op[40], attributes[200];
    int n_in, n_out, n_dx;
    value in[VALUES_MAX], out[VALUES_MAX], dx[VALUES_MAX], dy;
} golden_case;

static void read_value(char *text, value *v)
{
    *v = (value){.none = !strncmp(text, "none", 4)};
    if (v->none) return;
    char *end = text + strcspn(text, " ");
    for (char *at = text; at < end && strncmp(text, "scalar", 6) != 0; at = end > at ? at + 1 : at)
        v->dims[v->rank++] = strtoll(at, &at, 10);
    for (char *next; (next = end, strtod(end, &next)), next != end; end = next) {
        assert_true(v->n < NUMBERS_MAX);
        v->v[v->n++] = strtod(end, NULL);
    }
}

/* The next case of the file; false past the last. Lines end in NUL. */
static bool read_case(char **text, golden_case *c)
{
    c->n_in = c->n_out = c->n_dx = 0;
    if (strncmp(*text, "op ", 3) != 0) return false;
    assert_true(sscanf(*text, "op %39s %199[^\n]", c->op, c->attributes) == 2);
    *text += strlen(*text) + 1;
    for (; **text && strncmp(*text, "op ", 3) != 0; *text += strlen(*text) + 1) {
        if (!strncmp(*text, "in ", 3)) read_value(*text + 3, &c->in[c->n_in++]);
        if (!strncmp(*text, "out ", 4)) read_value(*text + 4, &c->out[c->n_out++]);
        if (!strncmp(*text, "dx ", 3)) read_value(*text + 3, &c->dx[c->n_dx++]);
        if (!strncmp(*text, "dy ", 3)) read_value(*text + 3, &c->dy);
    }
    assert_int_equal(c->n_in, c->n_dx);
    return true;
}

static cj_node *variable(cj_graph *g, const char *name, cj_dtype dtype, const value *v)
{
    cj_tensor *t = cj_tensor_new(cj_graph_context(g), dtype, v->rank, v->dims);
    assert_non_null(t);
    void *data = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int i = 0; i < v->n; i++) cj_store_f64(dtype, data, (size_t)i, v->v[i]);
    cj_tensor_unmap(t);
    cj_node *node = cj_variable(g, name, t);
    cj_tensor_free(t);
    return node;
}

static cj_node *apply(cj_graph *g, const golden_case *c, cj_node **in)
{
    cj_context *cj = cj_graph_context(g);
    const cj_op *op = cj_op_find(cj, c->op);
    assert_non_null(op);
    cj__arena arena;
    cj__arena_init(&arena, cj);
    void *values = cj__arena_alloc(&arena, op->attributes_size);
    cj__options_init(op->attributes, values);
    char text[200], *at = text;
    memcpy(text, c->attributes, sizeof text);
    for (char *key; *(key = at);) {
        at += strcspn(at, " ");
        if (*at) *at++ = 0;
        char *equals = strchr(key, '=');
        assert_non_null(equals);
        *equals = 0;
        assert_int_equal(cj__option_set(&arena, c->op, op->attributes, values, key, equals + 1),
                         CJ_OK);
    }
    cj_node *y = cj_apply(g, op, in, c->n_in, values);
    cj__arena_release(&arena);
    return y;
}

static void compare(const golden_case *c, int number, const char *what, int k,
                    const cj_tensor *found, const value *expected, double tolerance)
{
    assert_int_equal(cj_tensor_count(found), expected->n);
    double largest = 1;
    for (int i = 0; i < expected->n; i++) largest = fmax(largest, fabs(expected->v[i]));
    const void *data = cj_tensor_map_read(found);
    for (int i = 0; i < expected->n; i++) {
        double v = cj_load_f64(cj_tensor_dtype(found), data, (size_t)i);
        if (fabs(v - expected->v[i]) <= tolerance * largest) continue;
        print_error("case %d: %s %s: %s %d element %d is %.12g, torch has %.12g\n", number, c->op,
                    c->attributes, what, k, i, v, expected->v[i]);
        fail();
    }
    cj_tensor_unmap(found);
}

/* The file has ten digits. In f32 the sums of a row that is 30 deviations from 0 lose two of seven
 * digits, and gradients there are differences of such. */
static void check_case(cj_context *cj, golden_case *c, int number, cj_dtype dtype,
                       const char *backend, double tolerance)
{
    cj_graph *g = cj_graph_new(cj);
    cj_node *in[VALUES_MAX], *outputs[2 * VALUES_MAX], *dx[VALUES_MAX];
    const value *expected[2 * VALUES_MAX];
    int n = 0;
    for (int i = 0; i < c->n_in; i++)
        in[i] = variable(g, (char[]){'s', (char)('0' + i), 0}, dtype, &c->in[i]);
    cj_node *y = apply(g, c, in), *dy = variable(g, "dy", dtype, &c->dy);
    if (!y) print_error("case %d: %s\n", number, cj_message(cj));
    assert_non_null(y);
    assert_int_equal(cj_vjp(&y, &dy, 1, in, c->n_in, dx), CJ_OK);
    for (int k = 0; k < c->n_out; k++)
        if (!c->out[k].none) expected[n] = &c->out[k], outputs[n++] = cj_node_output(y, k);
    int n_out = n;
    for (int i = 0; i < c->n_in; i++)
        if (!c->dx[i].none) expected[n] = &c->dx[i], outputs[n++] = cj_zero_as(dx[i], in[i]);
    cj_compile_opts opts = {.struct_size = sizeof opts, .output_list = outputs, .n_outputs = n};
    cj_program *program = (cj_compile)(g, &opts);
    assert_non_null(program);
    cj_session_opts how = {.struct_size = sizeof how, .backend = backend};
    cj_session *session = cj_session_new_opts(program, cj_graph_store(g), &how);
    cj_tensor *results[2 * VALUES_MAX] = {NULL};
    if (!session) print_error("case %d: %s\n", number, cj_message(cj));
    assert_non_null(session);
    cj_status failed = cj_run(session, NULL, 0, results, n);
    if (failed) print_error("case %d: %s\n", number, cj_session_message(session));
    assert_int_equal(failed, CJ_OK);
    for (int k = 0; k < n; k++) {
        compare(c, number, k < n_out ? "output" : "gradient", k < n_out ? k : k - n_out, results[k],
                expected[k], tolerance);
        cj_tensor_free(results[k]);
    }
    cj_session_free(session);
    cj_program_free(program);
    cj_graph_free(g);
}

static void test_torch(void **state)
{
    (void)state;
    char path[512];
    size_t size;
    unsigned char *bytes = golden_bytes(golden_path(path, "graph/norm.txt"), &size);
    char *text = calloc(size + 2, 1), *at = text;
    golden_case *c = calloc(1, sizeof *c);
    cj_context *cj = cj_context_new(NULL);
    memcpy(text, bytes, size);
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\n') text[i] = 0;
    int cases = 0;
    for (; read_case(&at, c); cases++) {
        check_case(cj, c, cases, CJ_F64, "reference", 1e-8);
        check_case(cj, c, cases, CJ_F64, NULL, 1e-8);
        check_case(cj, c, cases, CJ_F32, NULL, 2e-4);
    }
    assert_true(cases > 50);
    cj_context_free(cj);
    free(c);
    free(text);
    free(bytes);
}

/* ---- Embeddings ------------------------------------------------------------------------------ */

static void test_padding(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_graph *g = cj_graph_new(cj);
    value table = {.rank = 2, .dims = {3, 2}, .n = 6, .v = {1, 2, 3, 4, 5, 6}};
    value words = {.rank = 2, .dims = {2, 2}, .n = 4, .v = {1, 0, 2, 1}};
    cj_node *t = variable(g, "table", CJ_F32, &table), *w = variable(g, "words", CJ_I64, &words);
    cj_embedding_lookup_opts how = {.struct_size = sizeof how, .has_padding = true};
    cj_node *y = (cj_embedding_lookup)(t, w, &how), *dt;
    assert_int_equal(cj_grad(y, &t, 1, &dt), CJ_OK);
    cj_tensor *out[2] = {NULL};
    cj_compile_opts opts = {.struct_size = sizeof opts, .outputs = {y, dt}};
    cj_program *program = (cj_compile)(g, &opts);
    cj_session *session = cj_session_new(program, cj_graph_store(g));
    assert_int_equal(cj_run(session, NULL, 0, out, 2), CJ_OK);
    static const float rows[] = {3, 4, 0, 0, 5, 6, 3, 4}, gradient[] = {0, 0, 2, 2, 1, 1};
    assert_memory_equal(cj_tensor_map_read(out[0]), rows, sizeof rows);
    assert_memory_equal(cj_tensor_map_read(out[1]), gradient, sizeof gradient);
    for (int i = 0; i < 2; i++) cj_tensor_unmap(out[i]), cj_tensor_free(out[i]);
    cj_session_free(session);
    cj_program_free(program);
    cj_context_free(cj);
}

/* ---- Positions ------------------------------------------------------------------------------- */

enum { LENGTH = 7, WIDTH = 6 };

/* What y is; graph and variables alone decide it. */
static cj_tensor *computed(cj_node *y)
{
    cj_graph *g = cj_node_graph(y);
    const cj_compile_opts opts = {.struct_size = sizeof opts, .outputs = {y}};
    cj_program *program = (cj_compile)(g, &opts);
    cj_session *s = cj_session_new(program, cj_graph_store(g));
    cj_tensor *out = NULL;
    assert_non_null(s);
    assert_int_equal(cj_run(s, NULL, 0, &out, 1), CJ_OK);
    cj_session_free(s);
    cj_program_free(program);
    return out;
}

/* x [2, LENGTH, 3, WIDTH], or [2, 3, LENGTH, WIDTH]; a pair is a complex number times e^(i angle).
 */
static void check_rotation(cj_context *cj, bool heads_first, bool interleaved, int64_t dim,
                           const int64_t *at, double base)
{
    cj_graph *g = cj_graph_new(cj);
    value image = {.rank = 4, .n = 2 * LENGTH * 3 * WIDTH};
    const int64_t a[] = {2, LENGTH, 3, WIDTH}, b[] = {2, 3, LENGTH, WIDTH};
    memcpy(image.dims, heads_first ? b : a, sizeof a);
    for (int i = 0; i < image.n; i++) image.v[i] = sin(i);
    cj_rotary_embedding_opts o = {.struct_size = sizeof o, .axis = heads_first ? 2 : 0,
                                  .dim = dim == WIDTH ? 0 : dim, .base = base,
                                  .interleaved = interleaved};
    if (at) {
        value positions = {.rank = 2, .dims = {2, LENGTH}, .n = 2 * LENGTH};
        for (int i = 0; i < positions.n; i++) positions.v[i] = (double)at[i];
        o.positions = variable(g, "positions", CJ_I64, &positions);
    }
    cj_tensor *out = computed((cj_rotary_embedding)(variable(g, "x", CJ_F64, &image), &o));
    const double *found = cj_tensor_map_read(out);
    for (int row = 0; row < image.n / WIDTH; row++) {
        int n = row / (3 * LENGTH), t = heads_first ? row % LENGTH : row / 3 % LENGTH;
        double place = at ? (double)at[n * LENGTH + t] : t;
        const double *x = image.v + row * WIDTH, *z = found + row * WIDTH;
        for (int i = 0; i < dim / 2; i++) {
            double angle = place / pow(base != 0 ? base : 10000, 2.0 * i / (double)dim);
            int p = interleaved ? 2 * i : i, q = interleaved ? p + 1 : i + (int)dim / 2;
            assert_true(fabs(z[p] - (x[p] * cos(angle) - x[q] * sin(angle))) < 1e-12);
            assert_true(fabs(z[q] - (x[p] * sin(angle) + x[q] * cos(angle))) < 1e-12);
        }
        for (int64_t i = dim; i < WIDTH; i++) assert_true(z[i] == x[i]);
    }
    cj_tensor_unmap(out);
    cj_tensor_free(out);
    cj_graph_free(g);
}

static void test_positions(void **state)
{
    (void)state;
    static const int64_t at[2 * LENGTH] = {3, 4, 5, 6, 7, 8, 9, 0, 0, 100, 2, 5, 1, 70};
    cj_context *cj = cj_context_new(NULL);
    for (int how = 0; how < 16; how++)
        check_rotation(cj, how & 1, how & 2, how & 4 ? 4 : WIDTH, how & 8 ? at : NULL,
                       how % 3 ? 0 : 500);
    for (int how = 0; how < 2; how++) {
        const double base = how ? 300 : 10000;
        cj_graph *g = cj_graph_new(cj);
        cj_node *y = cj_sinusoidal_positions(g, CJ_F64, LENGTH, WIDTH, how ? base : 0);
        cj_tensor *out = computed(y);
        const double *p = cj_tensor_map_read(out);
        for (int i = 0; i < LENGTH * WIDTH; i++) {
            double angle = i / WIDTH / pow(base, (double)(i % WIDTH / 2 * 2) / WIDTH);
            assert_true(fabs(p[i] - (i % 2 ? cos(angle) : sin(angle))) < 1e-12);
        }
        cj_tensor_unmap(out);
        cj_tensor_free(out);
        cj_graph_free(g);
    }
    cj_context_free(cj);
}

/* ---- Wrong operands -------------------------------------------------------------------------- */

static void test_wrong(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_graph *g = NULL;
    cj_node *x, *v;
#define WRONG(text, ...) \
    do { \
        cj_graph_free(g); \
        g = cj_graph_new(cj); \
        x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(2, 3, 4)); \
        v = cj_placeholder(g, "v", CJ_F32, CJ_DIMS(5)); \
        assert_null(__VA_ARGS__); \
        if (!strstr(cj_message(cj), text)) print_error("%s\n", cj_message(cj)); \
        assert_non_null(strstr(cj_message(cj), text)); \
    } while (0)
#define OPTS(...) &(cj_norm_opts) { .struct_size = sizeof(cj_norm_opts), __VA_ARGS__ }
    WRONG("the scale is not of the shape", cj_batch_norm(x, OPTS(.scale = v)));
    WRONG("channel_axis is 4", cj_batch_norm(x, OPTS(.channel_axis = 4)));
    WRONG("given together", cj_batch_norm(x, OPTS(.mean = v)));
    WRONG("no option 'groups'", cj_batch_norm(x, OPTS(.groups = 2)));
    WRONG("4 channels are not 3 groups", cj_group_norm(x, OPTS(.groups = 3)));
    WRONG("no option 'shift'", cj_rms_norm(x, OPTS(.shift = v)));
    WRONG("axis 3 is out of range", cj_layer_norm(x, OPTS(.axis = 3)));
    WRONG("x has rank 1, expected 2", cj_batch_norm(v, OPTS(.epsilon = 1)));
    WRONG("size=0", cj_local_response_norm(x, NULL));
    WRONG("dim=5", cj_rotary_apply(x, v, v, 5, false));
    WRONG("width=3 is not even", cj_sinusoidal_positions(g, CJ_F32, 4, 3, 0));
    WRONG("the table has rank 3", cj_embedding_lookup(x, v, NULL));
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_torch), cmocka_unit_test(test_padding),
                                       cmocka_unit_test(test_positions),
                                       cmocka_unit_test(test_wrong)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
