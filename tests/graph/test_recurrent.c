/* rnn, lstm and gru against torch and numpy (tools/golden/recurrent.py): results and gradients, in
 * double on the reference and in float on the best backend, with sizes that are numbers and with
 * symbols; many sizes in float against the reference; the forward call that a gradient shares; bad
 * input.
 *
 * ctest: timeout 120 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <cajal/io.h>
#include <cajal/recurrent.h>
#include <cajal/run.h>

#include "golden.h"
#include "graph/graph.h"
#include "graph/ops/recurrent.h"

#include <math.h>

typedef cj_node *(*build_fn)(cj_node *x, cj_node *w, cj_node *r, const cj_recurrent_opts *opts);

static cj_context *cj;

static void ok(cj_status status)
{
    if (status) fail_msg("%s", cj_message(cj));
}

/* |found - expected| <= tolerance max(1, |expected|) everywhere. */
static void near(const char *what, const cj_tensor *found, const cj_tensor *expected,
                 double tolerance)
{
    assert_int_equal(cj_tensor_count(found), cj_tensor_count(expected));
    const void *a = cj_tensor_map_read(found), *b = cj_tensor_map_read(expected);
    for (int64_t i = 0; i < cj_tensor_count(found); i++) {
        double v = cj_load_f64(cj_tensor_dtype(found), a, (size_t)i),
               e = cj_load_f64(cj_tensor_dtype(expected), b, (size_t)i);
        if (!(fabs(v - e) <= tolerance * fmax(1, fabs(e))))
            fail_msg("%s: element %lld is %.17g, expected %.17g", what, (long long)i, v, e);
    }
    cj_tensor_unmap(found);
    cj_tensor_unmap(expected);
}

/* ---- Golden ---------------------------------------------------------------------------------- */

static const char *const operands[] = {"x", "w", "r", "b", "h0", "c0", "p", "m"},
                  *const results[] = {"y", "h", "c"};
enum { OPERANDS = 8, RESULTS = 3 };

static cj_tensor *part(cj_tensors *list, const char *name, const char *prefix, const char *what)
{
    char full[100];
    snprintf(full, sizeof full, "%s/%s%s", name, prefix, what);
    return cj_tensors_find(list, full);
}

static void golden(cj_tensors *list, const char *name, build_fn build, cj_recurrent_opts o,
                   cj_dtype dtype, bool symbols, double tolerance)
{
    cj_graph *g = cj_graph_new(cj);
    cj_node *in[OPERANDS] = {NULL}, *dy[RESULTS], *y[RESULTS], *wrt[OPERANDS], *dx[OPERANDS];
    cj_feed feeds[16];
    int n_feeds = 0, n_y = 0, n = 0;
    for (int i = 0; i < OPERANDS; i++) {
        cj_tensor *t = part(list, name, "", operands[i]);
        if (!t) continue;
        cj_dim dims[4];
        for (int k = 0; k < cj_tensor_rank(t); k++) dims[k] = cj_tensor_shape(t)[k];
        if (symbols && i == 0) dims[0] = cj_symbol(g, "n"), dims[1] = cj_symbol(g, "t");
        if (symbols && (i == 4 || i == 5)) dims[1] = cj_symbol(g, "n");
        in[i] = wrt[n++] = cj_placeholder(g, operands[i], dtype, cj_tensor_rank(t), dims);
        feeds[n_feeds++] = (cj_feed){in[i], cj_tensor_cast(t, dtype)};
    }
    cj_tensor *lengths = part(list, name, "", "lengths");
    if (lengths) o.lengths = cj_constant(g, lengths);
    o.bias = in[3], o.initial_h = in[4], o.initial_c = in[5], o.peepholes = in[6];
    o.projection = in[7];
    cj_node *first = build(in[0], in[1], in[2], &o);
    ok(cj_graph_failed(g));
    for (int k = 0; k < RESULTS; k++) {
        cj_tensor *t = part(list, name, "d", results[k]);
        if (!t) continue;
        y[n_y] = cj_node_output(first, k);
        dy[n_y] = cj_cast(cj_constant(g, t), dtype);
        n_y++;
    }
    ok(cj_vjp(y, dy, n_y, wrt, n, dx));
    cj_node *all[RESULTS + OPERANDS];
    cj_tensor *out[RESULTS + OPERANDS] = {NULL};
    for (int k = 0; k < n_y; k++) all[k] = y[k];
    for (int k = 0; k < n; k++) all[n_y + k] = dx[k];
    cj_program *p = cj_compile(g, .output_list = all, .n_outputs = n_y + n);
    ok(p ? CJ_OK : cj_last_status(cj));
    cj_session *s = cj_session_new_opts(
        p, NULL, &(cj_session_opts){.backend = dtype == CJ_F64 ? "reference" : NULL});
    if (cj_run(s, feeds, n_feeds, out, n_y + n)) fail_msg("%s", cj_session_message(s));
    for (int k = 0; k < n_y; k++) near(name, out[k], part(list, name, "", results[k]), tolerance);
    for (int k = 0; k < n; k++) {
        char what[100];
        snprintf(what, sizeof what, "%s: gradient of %s", name, cj_node_name(wrt[k]));
        near(what, out[n_y + k], part(list, name, "g", cj_node_name(wrt[k])), tolerance);
    }
    for (int k = 0; k < n_y + n; k++) cj_tensor_free(out[k]);
    for (int i = 0; i < n_feeds; i++) cj_tensor_free((cj_tensor *)(uintptr_t)feeds[i].value);
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(g);
}

static void test_golden(void **state)
{
    static const struct {
        const char *name;
        build_fn build;
        cj_recurrent_opts o;
    } cases[] = {
        {"rnn", (cj_rnn_node), {0}},
        {"rnn_relu_both", (cj_rnn_node), {.activation = "relu", .direction = "bidirectional"}},
        {"lstm", (cj_lstm_node), {0}},
        {"lstm_lengths_both", (cj_lstm_node), {.direction = "bidirectional"}},
        {"lstm_projection", (cj_lstm_node), {0}},
        {"lstm_peepholes", (cj_lstm_node), {0}},
        {"gru_after", (cj_gru_node), {.reset_after = true}},
        {"gru_after_lengths_both",
         (cj_gru_node),
         {.reset_after = true, .direction = "bidirectional"}},
        {"gru_before", (cj_gru_node), {0}},
    };
    (void)state;
    char path[512];
    cj_tensors *list = NULL;
    ok(cj_npz_load(cj, golden_path(path, "graph/recurrent.npz"), &list));
    for (size_t i = 0; i < CJ__COUNT(cases); i++)
        for (int symbols = 0; symbols < 2; symbols++) {
            golden(list, cases[i].name, cases[i].build, cases[i].o, CJ_F64, symbols, 1e-12);
            /* sums of some 30 products, 6 steps deep */
            golden(list, cases[i].name, cases[i].build, cases[i].o, CJ_F32, symbols, 5e-6);
        }
    cj_tensors_free(list);
}

/* ---- The vector kernels at many sizes -------------------------------------------------------- */

static cj_tensor *numbers(cj_dtype dtype, int rank, const int64_t *dims, uint32_t seed)
{
    cj_tensor *t = cj_tensor_new(cj, dtype, rank, dims);
    void *v = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) {
        seed = seed * 1664525 + 1013904223;
        cj_store_f64(dtype, v, (size_t)i, (float)(seed >> 8) * 0x1p-24f - 0.5f);
    }
    cj_tensor_unmap(t);
    return t;
}

typedef struct sizes {
    int64_t n, t, c, h;
} sizes;

/* y, h and all gradients of one cell in dtype. */
static int run_cell(cj_dtype dtype, const char *backend, int threads, int cell, const sizes *z,
                    const char *direction, bool lengths, cj_tensor **out)
{
    static const build_fn builds[] = {(cj_rnn_node), (cj_lstm_node), (cj_gru_node)};
    const int64_t gates = z->h * (cell == 0 ? 1 : cell == 1 ? 4 : 3),
                  d = strcmp(direction, "bidirectional") ? 1 : 2;
    const int64_t dims[][3] = {{z->n, z->t, z->c}, {d, gates, z->c}, {d, gates, z->h},
                               {d, 2 * gates, 0},  {d, z->n, z->h}};
    cj_graph *g = cj_graph_new(cj);
    cj_node *in[5], *all[7], *dy[2];
    for (int i = 0; i < 5; i++) {
        cj_tensor *t = numbers(dtype, i == 3 ? 2 : 3, dims[i], (uint32_t)i + 7);
        in[i] = cj_variable(g, (const char *const[]){"x", "w", "r", "b", "h"}[i], t);
        cj_tensor_free(t);
    }
    cj_recurrent_opts o = {.direction = direction,
                           .bias = in[3],
                           .initial_h = in[4],
                           .reset_after = true};
    if (lengths) {
        cj_tensor *t = cj_tensor_new(cj, CJ_I32, 1, &z->n);
        int32_t *v = cj_tensor_map(t, CJ_MAP_WRITE);
        for (int64_t i = 0; i < z->n; i++) v[i] = (int32_t)((i * 7 + 1) % (z->t + 1));
        cj_tensor_unmap(t);
        o.lengths = cj_constant(g, t);
        cj_tensor_free(t);
    }
    all[0] = builds[cell](in[0], in[1], in[2], &o);
    all[1] = cj_node_output(all[0], 1);
    for (int k = 0; k < 2; k++) {
        const cj_type *type = cj_node_type(all[k]);
        cj_tensor *t = numbers(dtype, type->rank, type->dim, (uint32_t)k + 99);
        dy[k] = cj_constant(g, t);
        cj_tensor_free(t);
    }
    ok(cj_vjp(all, dy, 2, in, 5, all + 2));
    cj_program *p = cj_compile(g, .output_list = all, .n_outputs = 7);
    cj_session *s = cj_session_new_opts(
        p, cj_graph_store(g), &(cj_session_opts){.backend = backend, .threads = threads});
    for (int again = 0; again < 2; again++) /* with weights packed by the first run */
        if (cj_run(s, NULL, 0, out, 7)) fail_msg("%s", cj_session_message(s));
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(g);
    return 7;
}

static void test_sizes(void **state)
{
    static const sizes all[] = {{1, 2, 1, 1},   {2, 3, 5, 15},  {5, 2, 3, 16},   {33, 3, 4, 17},
                                {70, 2, 7, 33}, {6, 4, 16, 64}, {13, 3, 31, 65}, {3, 2, 0, 20},
                                /* few samples of many steps: x's products come first */
                                {1, 20, 6, 17}, {2, 16, 33, 40}, {2, 17, 0, 20}};
    static const char *const directions[] = {"forward", "reverse", "bidirectional"};
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(all); i++)
        for (int cell = 0; cell < 3; cell++)
            for (int lengths = 0; lengths < 2; lengths++) {
                cj_tensor *expected[7] = {NULL}, *one[7] = {NULL}, *two[7] = {NULL};
                const char *direction = directions[(i + (size_t)cell) % 3];
                run_cell(CJ_F64, "reference", 1, cell, &all[i], direction, lengths, expected);
                run_cell(CJ_F32, "cpu", 1, cell, &all[i], direction, lengths, one);
                run_cell(CJ_F32, "cpu", 3, cell, &all[i], direction, lengths, two);
                for (int k = 0; k < 7; k++) {
                    char what[100];
                    snprintf(what, sizeof what, "cell %d, sizes %zu, %s, value %d", cell, i,
                             direction, k);
                    near(what, one[k], expected[k], 3e-5); /* sums of up to 210 products */
                    if (!cj_tensor_equal(one[k], two[k])) fail_msg("%s: on 3 threads", what);
                    cj_tensor_free(expected[k]), cj_tensor_free(one[k]), cj_tensor_free(two[k]);
                }
            }
}

/* ---- One forward call for both --------------------------------------------------------------- */

static int count_calls(const cj_graph *g, const cj_op *op)
{
    int n = 0;
    for (int i = 0; i < g->n_calls; i++) n += g->calls[i]->op == op;
    return n;
}

static void test_twin(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_node *in[3], *dw;
    const int64_t dims[][3] = {{2, 3, 4}, {1, 20, 4}, {1, 20, 5}};
    for (int i = 0; i < 3; i++) {
        cj_tensor *t = numbers(CJ_F32, 3, dims[i], 5);
        in[i] = cj_variable(g, (const char *const[]){"x", "w", "r"}[i], t);
        cj_tensor_free(t);
    }
    cj_node *y = cj_lstm_node(in[0], in[1], in[2]), *loss = cj_sum(cj_square(y));
    cj_program *infer = cj_compile(g, .outputs = {y});
    assert_int_equal(count_calls(cj_program_graph(infer), &cj_op_lstm), 1);
    const cj_graph *plain = cj_program_graph(infer);
    for (int i = 0; i < plain->n_calls; i++)
        if (plain->calls[i]->op == &cj_op_lstm) assert_int_equal(plain->calls[i]->n_out, 3);
    ok(cj_grad(loss, &in[1], 1, &dw));
    cj_program *train = cj_compile(g, .outputs = {loss, dw});
    assert_int_equal(count_calls(cj_program_graph(train), &cj_op_lstm), 1);
    assert_int_equal(count_calls(cj_program_graph(train), &cj_op_lstm_grad), 1);
    cj_program_free(infer);
    cj_program_free(train);
    cj_graph_free(g);
}

/* ---- Bad input ------------------------------------------------------------------------------- */

static cj_node *f32(cj_graph *g, int rank, const cj_dim *dims)
{
    char name[16];
    snprintf(name, sizeof name, "v%d", g->inputs.count);
    return cj_placeholder(g, name, CJ_F32, rank, dims);
}

#define WRONG(text, ...) \
    do { \
        cj_graph *g = cj_graph_new(cj); \
        cj_node *x = f32(g, CJ_DIMS(2, 3, 4)), *w = f32(g, CJ_DIMS(1, 20, 4)), \
                *r = f32(g, CJ_DIMS(1, 20, 5)), *made = __VA_ARGS__; \
        (void)x, (void)w, (void)r; \
        assert_null(made); \
        if (!strstr(cj_message(cj), text)) fail_msg("'%s' in '%s'", text, cj_message(cj)); \
        cj_graph_free(g); \
    } while (0)

static void test_wrong(void **state)
{
    (void)state;
    WRONG("x has rank 2, expected 3", cj_lstm_node(f32(g, CJ_DIMS(3, 4)), w, r));
    WRONG("w has size 20 along axis 1, expected 15",
          cj_gru_node(x, w, f32(g, CJ_DIMS(1, 15, 5))));
    WRONG("r has 20 rows, which are not 3 for each unit", cj_gru_node(x, w, r));
    WRONG("r has 6 columns, expected 5", cj_lstm_node(x, w, f32(g, CJ_DIMS(1, 20, 6))));
    WRONG("w has size 1 along axis 0, expected 2",
          cj_lstm_node(x, w, r, .direction = "bidirectional"));
    WRONG("lstm: direction='both' is none of forward, reverse, bidirectional",
          cj_lstm_node(x, w, r, .direction = "both"));
    WRONG("lstm: activation='gelu' is none of ", cj_lstm_node(x, w, r, .activation = "gelu"));
    WRONG("bias has size 20 along axis 1, expected 40",
          cj_lstm_node(x, w, r, .bias = f32(g, CJ_DIMS(1, 20))));
    WRONG("bias has rank 1, expected 2", cj_lstm_node(x, w, r, .bias = f32(g, CJ_DIMS(40))));
    WRONG("a cell state, peepholes and a projection are lstm's alone",
          cj_rnn_node(x, f32(g, CJ_DIMS(1, 5, 4)), f32(g, CJ_DIMS(1, 5, 5)),
                      .initial_c = f32(g, CJ_DIMS(1, 2, 5))));
    WRONG("lengths is not [2]",
          cj_lstm_node(x, w, r, .lengths = cj_iota(g, CJ_I64, 0, CJ_DIMS(3))));
    WRONG("w is f64, expected x's f32",
          cj_lstm_node(x, cj_placeholder(g, "d", CJ_F64, CJ_DIMS(1, 20, 4)), r));
    WRONG("with sizes that are numbers",
          cj_lstm_node(x, w, f32(g, CJ_DIMS(1, cj_symbol(g, "n"), 5))));
}

static void test_wrong_length(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        cj_graph *g = cj_graph_new(cj);
        cj_node *x = f32(g, CJ_DIMS(2, 3, 4)), *w = f32(g, CJ_DIMS(1, 20, 4)),
                *r = f32(g, CJ_DIMS(1, 20, 5)), *l = cj_placeholder(g, "l", CJ_I64, CJ_DIMS(2));
        cj_node *y = cj_lstm_node(x, w, r, .lengths = l);
        cj_program *p = cj_compile(g, .outputs = {y});
        cj_session *s =
            cj_session_new_opts(p, NULL, &(cj_session_opts){.backend = i ? "reference" : "cpu"});
        const int64_t lengths[] = {3, 4}, two = 2;
        cj_tensor *values[] = {numbers(CJ_F32, 3, (int64_t[]){2, 3, 4}, 1),
                               numbers(CJ_F32, 3, (int64_t[]){1, 20, 4}, 2),
                               numbers(CJ_F32, 3, (int64_t[]){1, 20, 5}, 3),
                               cj_tensor_from(cj, CJ_I64, 1, &two, lengths)},
                  *out = NULL;
        cj_feed feeds[] = {{x, values[0]}, {w, values[1]}, {r, values[2]}, {l, values[3]}};
        assert_int_equal(cj_run(s, feeds, 4, &out, 1), CJ_ERR_DATA);
        assert_non_null(strstr(cj_session_message(s),
                               "the length 4 of sample 1 is not between 0 and 3"));
        for (int k = 0; k < 4; k++) cj_tensor_free(values[k]);
        cj_session_free(s);
        cj_program_free(p);
        cj_graph_free(g);
    }
}

static int setup(void **state)
{
    (void)state;
    return (cj = cj_context_new(NULL)) ? 0 : -1;
}
static int teardown(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),       cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_twin),         cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_wrong_length),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
