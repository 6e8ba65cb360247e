/* Mixed precision: the pass's graph, its results against torch.autocast
 * (tests/golden/graph/mixed.npz, made by tools/golden/mixed.py), what is kept for the backward
 * part, and what float32 must not change.
 *
 * Tolerance against torch: both round operands and results of products to bf16, but add up in
 * other orders, so a result may fall on the other side of a tie: one place of 2^-8, which what
 * follows inherits. Allowed is a place of the largest element for each product on the way to the
 * first gradient, six; and as many of 2^-11 for f16. */
#include "run_support.h"

#include <cajal/conv.h>
#include <cajal/io.h>

#include "golden.h"
#include "graph/graph.h"

enum { N = 3, RESULTS = 2 + N };

static cj_context *cj;

static int setup(void **state)
{
    (void)state;
    random_state = 5;
    cj = cj_context_new(NULL);
    return !cj;
}

static int teardown(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

/* ---- torch ----------------------------------------------------------------------------------- */

typedef struct network {
    cj_graph *g;
    cj_node *x, *w[N], *out[RESULTS]; /* y, loss, gradients */
} network;

static network build(const cj_tensors *list)
{
    network net = {.g = cj_graph_new(cj)};
    const cj_tensor *x = cj_tensors_find(list, "x");
    net.x = cj_placeholder(net.g, "x", CJ_F32, 4, cj_tensor_shape(x));
    for (int i = 0; i < N; i++) {
        char name[8];
        snprintf(name, sizeof name, "w%d", i);
        net.w[i] = cj_parameter(net.g, name, cj_tensors_find(list, name));
    }
    cj_node *h = cj_relu(cj_conv(net.x, net.w[0], .channel_axis = 1));
    h = cj_relu(cj_matmul(cj_reshape(h, CJ_DIMS(4, 128)), net.w[1]));
    net.out[0] = cj_matmul(h, net.w[2]);
    net.out[1] = cj_mean(cj_square(net.out[0]));
    assert_int_equal(cj_grad(net.out[1], net.w, N, net.out + 2), CJ_OK);
    return net;
}

static cj_program *compile(const network *net, cj_precision precision, bool no_passes)
{
    cj_program *p = cj_compile(net->g, .output_list = net->out, .n_outputs = RESULTS,
                               .training = true, .precision = precision, .no_passes = no_passes);
    if (!p) print_error("%s\n", cj_message(cj));
    assert_non_null(p);
    return p;
}

static void run(const network *net, cj_program *p, const cj_tensor *x, const char *backend,
                cj_tensor **out)
{
    cj_session *s = cj_session_new_opts(
        p, cj_graph_store(net->g),
        &(cj_session_opts){sizeof(cj_session_opts), .backend = backend, .threads = 1});
    assert_non_null(s);
    assert_ok(cj_run(s, &(cj_feed){cj_program_input(p, "x"), x}, 1, out, RESULTS),
              cj_session_message(s));
    cj_session_free(s);
}

static double largest_of(const cj_tensor *t)
{
    double largest = 0;
    for (int64_t i = 0; i < cj_tensor_count(t); i++) largest = fmax(largest, fabs(element(t, i)));
    return largest;
}

static double distance(const cj_tensor *a, const cj_tensor *b)
{
    double largest = 0;
    assert_int_equal(cj_tensor_count(a), cj_tensor_count(b));
    for (int64_t i = 0; i < cj_tensor_count(a); i++)
        largest = fmax(largest, fabs(element(a, i) - element(b, i)));
    return largest;
}

static void like_torch(void **state)
{
    (void)state;
    static const char *const names[] = {"y", "loss", "dw0", "dw1", "dw2"};
    static const struct {
        cj_precision precision;
        bool no_passes;
        const char *backend;
    } ways[] = {{CJ_PRECISION_MIXED_BFLOAT16, false, NULL},
                {CJ_PRECISION_MIXED_BFLOAT16, true, "reference"},
                {CJ_PRECISION_MIXED_BFLOAT16, false, "cpu"},
                {CJ_PRECISION_FLOAT32, false, NULL},
                {CJ_PRECISION_MIXED_FLOAT16, false, NULL},
                {CJ_PRECISION_MIXED_FLOAT16, false, "cpu"}};
    cj_tensors *list = NULL;
    char path[512], key[16];
    assert_ok(cj_npz_load(cj, golden_path(path, "graph/mixed.npz"), &list), cj_message(cj));
    network net = build(list);
    for (size_t i = 0; i < CJ__COUNT(ways); i++) {
        cj_tensor *out[RESULTS] = {NULL};
        cj_program *p = compile(&net, ways[i].precision, ways[i].no_passes);
        run(&net, p, cj_tensors_find(list, "x"), ways[i].backend, out);
        for (int k = 0; k < RESULTS; k++) {
            snprintf(key, sizeof key, "%s_f32", names[k]);
            const cj_tensor *mixed = cj_tensors_find(list, names[k]),
                            *exact = cj_tensors_find(list, key);
            double scale = largest_of(exact), from_mixed = distance(out[k], mixed) / scale,
                   from_exact = distance(out[k], exact) / scale;
            double places = k < 2 ? N : 2 * N; /* f32: sums of some hundred numbers */
            double allowed = ways[i].precision == CJ_PRECISION_FLOAT32         ? 1e-5
                             : ways[i].precision == CJ_PRECISION_MIXED_FLOAT16 ? places * 0x1p-11
                                                                               : places * 0x1p-8;
            double found = ways[i].precision == CJ_PRECISION_MIXED_BFLOAT16 ? from_mixed
                                                                             : from_exact;
            if (found > allowed)
                print_error("way %d, %s: %g of the largest\n", (int)i, names[k], found);
            assert_true(found <= allowed);
            /* It is another precision, and no accident. */
            assert_true((ways[i].precision == CJ_PRECISION_FLOAT32) == (from_exact < 1e-6));
            cj_tensor_free(out[k]);
        }
        cj_program_free(p);
    }
    cj_tensors_free(list);
    cj_graph_free(net.g);
}

/* ---- The graph ------------------------------------------------------------------------------- */

static int count(const cj_graph *g, const cj_op *op, cj_dtype dtype)
{
    int n = 0;
    for (int i = 0; i < g->n_calls; i++)
        n += g->calls[i]->op == op && g->calls[i]->out[0].type.dtype == dtype;
    return n;
}

/* Every product is narrow, each value has one narrow copy, and all that leaves is f32. */
static void the_graph(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(32, 16)), *w[2], *dw[2];
    for (int i = 0; i < 2; i++) {
        cj_tensor *t = random_tensor(cj, CJ_F32, SHAPE(16, 16));
        w[i] = cj_parameter(g, i ? "w1" : "w0", t);
        cj_tensor_free(t);
    }
    cj_node *h = cj_tanh(cj_matmul(x, w[0])), *y = cj_matmul(h, w[1]);
    cj_node *loss = cj_mean(cj_square(y));
    assert_int_equal(cj_grad(loss, w, 2, dw), CJ_OK);
    for (int mixed = 0; mixed < 2; mixed++) {
        cj_program *p = cj_compile(g, .outputs = {loss, dw[0], dw[1]}, .no_passes = true,
                                   .precision = mixed ? CJ_PRECISION_MIXED_BFLOAT16
                                                      : CJ_PRECISION_FLOAT32);
        const cj_graph *made = cj_program_graph(p);
        assert_int_equal(count(made, &cj_op_matmul, CJ_F32), mixed ? 0 : 5);
        assert_int_equal(count(made, &cj_op_matmul, CJ_BF16), mixed ? 5 : 0);
        /* x, w0, h, w1 and the gradients of y and of the first product */
        assert_int_equal(count(made, &cj_op_cast, CJ_BF16), mixed ? 6 : 0);
        /* five results, and that of y again where its square's gradient reads it */
        assert_int_equal(count(made, &cj_op_cast, CJ_F32), mixed ? 6 : 0);
        assert_int_equal(count(made, &cj_op_variable, CJ_F32), 2);
        cj_program_free(p);
    }
    cj_graph_free(g);
}

/* cast(cast(x)) goes where nothing was lost between, and stays where something was. */
static void pairs_of_casts(void **state)
{
    (void)state;
    static const struct {
        cj_dtype x, between;
        int left;
    } cases[] = {{CJ_BF16, CJ_F32, 0}, {CJ_F16, CJ_F64, 0}, {CJ_F32, CJ_F64, 0},
                 {CJ_F32, CJ_BF16, 2}, {CJ_F16, CJ_BF16, 2}, {CJ_I32, CJ_F32, 2}};
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        cj_graph *g = cj_graph_new(cj);
        cj_node *x = cj_placeholder(g, "x", cases[i].x, CJ_DIMS(4));
        cj_node *y = cj_cast(cj_cast(x, cases[i].between), cases[i].x);
        cj_program *p = cj_compile(g, .outputs = {y});
        const cj_graph *made = cj_program_graph(p);
        int casts = 0;
        for (int k = 0; k < made->n_calls; k++)
            casts += made->calls[k]->op == &cj_op_cast || made->calls[k]->op == &cj_op_fused;
        assert_true((casts > 0) == (cases[i].left > 0));
        cj_program_free(p);
        cj_graph_free(g);
    }
}

/* ---- Memory ---------------------------------------------------------------------------------- */

enum { WIDTH = 128, ROWS = 512, LAYERS = 8 };

static size_t arena_of(cj_precision precision)
{
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(ROWS, WIDTH)), *h = x;
    cj_node *w[LAYERS], *dw[LAYERS];
    for (int i = 0; i < LAYERS; i++) {
        char name[8];
        cj_tensor *t = random_tensor(cj, CJ_F32, SHAPE(WIDTH, WIDTH));
        snprintf(name, sizeof name, "w%d", i);
        w[i] = cj_parameter(g, name, t);
        cj_tensor_free(t);
        h = cj_relu(cj_matmul(h, w[i]));
    }
    cj_node *loss = cj_mean(cj_square(h)), *outputs[LAYERS + 1] = {loss};
    assert_int_equal(cj_grad(loss, w, LAYERS, dw), CJ_OK);
    for (int i = 0; i < LAYERS; i++) outputs[i + 1] = cj_reduce_sum(dw[i], 0, NULL, false);
    cj_program *p = cj_compile(g, .output_list = outputs, .n_outputs = LAYERS + 1,
                               .training = true, .precision = precision);
    cj_session *s = cj_session_new(p, cj_graph_store(g));
    cj_tensor *value = random_tensor(cj, CJ_F32, SHAPE(ROWS, WIDTH)), *out[LAYERS + 1] = {NULL};
    assert_ok(cj_run(s, &(cj_feed){cj_program_input(p, "x"), value}, 1, out, LAYERS + 1),
              cj_session_message(s));
    cj_session_info info;
    cj_session_get_info(s, &info);
    for (int i = 0; i <= LAYERS; i++) cj_tensor_free(out[i]);
    cj_tensor_free(value);
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(g);
    return info.arena_bytes;
}

/* Of each layer its narrow result is kept; weights have narrow copies, which float32 has not. */
static void smaller(void **state)
{
    (void)state;
    size_t whole = arena_of(CJ_PRECISION_FLOAT32), bf16 = arena_of(CJ_PRECISION_MIXED_BFLOAT16);
    print_message("arena: %zu bytes in float32, %zu in mixed_bfloat16\n", whole, bf16);
    assert_true((double)bf16 < 0.8 * (double)whole);
}

/* ---- Wrong ----------------------------------------------------------------------------------- */

static void no_such_precision(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(4));
    assert_null(cj_compile(g, .outputs = {cj_relu(x)}, .precision = (cj_precision)7));
    assert_contains(cj_message(cj), "compile: precision=7 is none there is");
    assert_string_equal(cj_precision_name(CJ_PRECISION_MIXED_FLOAT16), "mixed_float16");
    assert_null(cj_precision_name((cj_precision)3));
    assert_null(cj_precision_name((cj_precision)-1));
    cj_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(like_torch, setup, teardown),
        cmocka_unit_test_setup_teardown(the_graph, setup, teardown),
        cmocka_unit_test_setup_teardown(pairs_of_casts, setup, teardown),
        cmocka_unit_test_setup_teardown(smaller, setup, teardown),
        cmocka_unit_test_setup_teardown(no_such_precision, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
