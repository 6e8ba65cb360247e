/* Convolutions against torch (results and all gradients, both layouts, both float widths, every
 * backend), vector kernels on larger images against the reference, the same bits for any number of
 * threads, sizes that are symbols, and what wrong calls are told. tools/golden/conv.py made
 * tests/golden/graph/conv.npz.
 *
 * ctest: timeout 120 */
#include <cajal/conv.h>
#include <cajal/layers.h>

#include "nn/nn_golden.h"

enum { THREADS_MAX = 4 };

/* ---- Against torch --------------------------------------------------------------------------- */

/* The array with its channel axis moved to the end, or (back) from there, in `dtype`. */
static cj_tensor *arranged(cj_context *cj, const cj_tensor *t, cj_dtype dtype, bool last)
{
    int rank = cj_tensor_rank(t);
    int64_t dims[CJ_RANK_MAX], stride[CJ_RANK_MAX], product = 1;
    const int64_t *shape = cj_tensor_shape(t);
    for (int i = rank - 1; i >= 0; i--) {
        stride[i] = product;
        product *= shape[i];
    }
    int order[CJ_RANK_MAX];
    for (int i = 0; i < rank; i++) order[i] = !last || i == 0 ? i : i == rank - 1 ? 1 : i + 1;
    for (int i = 0; i < rank; i++) dims[i] = shape[order[i]];
    cj_tensor *out = cj_tensor_new(cj, dtype, rank, dims);
    assert_non_null(out);
    void *to = cj_tensor_map(out, CJ_MAP_WRITE);
    for (int64_t e = 0; e < product; e++) {
        int64_t from = 0, rest = e;
        for (int i = rank - 1; i >= 0; i--) {
            from += rest % dims[i] * stride[order[i]];
            rest /= dims[i];
        }
        cj_store_f64(dtype, to, (size_t)e,
                     cj_load_f64(cj_tensor_dtype(t), cj_tensor_map_read(t), (size_t)from));
    }
    cj_tensor_unmap(out);
    return out;
}

static cj_node *variable(cj_graph *g, cj_tensors *list, const char *name, const char *part,
                         cj_dtype dtype, bool last)
{
    bool image = strcmp(part, "w") != 0 && strcmp(part, "b") != 0;
    cj_tensor *t = arranged(cj_graph_context(g), golden_get(list, name, part), dtype,
                            image && last);
    cj_node *node = cj_variable(g, part, t);
    cj_tensor_free(t);
    return node;
}

static cj_session *session(cj_context *cj, cj_graph *g, cj_node *const *out, int n,
                           const char *backend, int threads, cj_program **program)
{
    assert_ok(cj, cj_graph_failed(g));
    *program = cj_compile(g, .output_list = out, .n_outputs = n);
    if (!*program) fail_msg("%s", cj_message(cj));
    cj_session *s = cj_session_new_opts(*program, cj_graph_store(g),
                                        &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                           .backend = backend,
                                                           .threads = threads});
    if (!s) fail_msg("%s", cj_message(cj));
    return s;
}

static void run_all(cj_context *cj, cj_graph *g, cj_node *const *out, int n, const char *backend,
                    int threads, cj_tensor **found)
{
    cj_program *program;
    cj_session *s = session(cj, g, out, n, backend, threads, &program);
    for (int i = 0; i < n; i++) found[i] = NULL;
    if (cj_run(s, NULL, 0, found, n)) fail_msg("%s", cj_session_message(s));
    cj_session_free(s);
    cj_program_free(program);
}

static void check_case(cj_context *cj, cj_tensors *list, int number, cj_dtype dtype, bool last,
                       const char *backend, double tolerance)
{
    static const char *const parts[] = {"y", "dx", "dw", "db"};
    char name[16];
    snprintf(name, sizeof name, "%d", number);
    const int64_t *how = cj_tensor_map_read(golden_get(list, name, "how"));
    cj_graph *g = cj_graph_new(cj);
    cj_node *wrt[3], *out[4];
    wrt[0] = variable(g, list, name, "x", dtype, last);
    wrt[1] = variable(g, list, name, "w", dtype, last);
    wrt[2] = variable(g, list, name, "b", dtype, last);
    cj_node *dy = variable(g, list, name, "dy", dtype, last);
    cj_conv_opts o = {.bias = wrt[2], .groups = how[1], .channel_axis = last ? -1 : 1};
    for (int i = 0; i < 3; i++) {
        o.strides[i] = how[2 + i];
        o.dilations[i] = how[5 + i];
        o.pads_before[i] = how[8 + i];
        o.pads_after[i] = how[11 + i];
        o.output_padding[i] = how[14 + i];
    }
    out[0] = how[0] ? (cj_conv_transpose)(wrt[0], wrt[1], &o) : (cj_conv)(wrt[0], wrt[1], &o);
    assert_ok(cj, cj_vjp(out, &dy, 1, wrt, 3, out + 1));
    cj_tensor *found[4];
    run_all(cj, g, out, 4, backend, 1, found);
    for (int i = 0; i < 4; i++) {
        char what[96];
        snprintf(what, sizeof what, "case %d, %s, channels %s, in %s on %s", number, parts[i],
                 last ? "last" : "first", cj_dtype_info(dtype)->name,
                 backend ? backend : "the best");
        cj_tensor *expected = arranged(cj, golden_get(list, name, parts[i]), CJ_F64,
                                       last && i < 2);
        assert_near(what, found[i], expected, tolerance);
        cj_tensor_free(expected);
        cj_tensor_free(found[i]);
    }
    cj_graph_free(g);
}

/* Sums of a few hundred products of numbers below 4, added in double or in float. */
static void test_golden(void **state)
{
    (void)state;
    static const char *const all[] = {NULL, "cpu", "reference"};
    cj_context *cj = test_context();
    cj_tensors *list = golden_load(cj, "graph/conv.npz");
    char name[16] = "0";
    for (int i = 0; golden_find(list, name, "x"); snprintf(name, sizeof name, "%d", ++i))
        for (int last = 0; last < 2; last++)
            for (size_t b = 0; b < CJ__COUNT(all); b++) {
                check_case(cj, list, i, CJ_F64, last, all[b], 1e-12);
                check_case(cj, list, i, CJ_F32, last, all[b], 3e-5);
            }
    assert_string_equal(name, "17");
    cj_tensors_free(list);
    cj_context_free(cj);
}

/* ---- Vector kernels -------------------------------------------------------------------------- */

typedef struct shape {
    int64_t batch, in, out, groups, n[2], kernel[2], stride[2], dilation[2], before[2], after[2];
    bool first;
} shape;

/* Several blocks of pixels, chunks of the kernel, strips of filters, residues of the stride. */
static const shape shapes[] = {
    {5, 1, 32, 1, {28, 28}, {3, 3}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, false},
    {4, 32, 64, 1, {13, 13}, {3, 3}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, false},
    {3, 19, 37, 1, {17, 15}, {3, 5}, {2, 3}, {1, 1}, {1, 2}, {2, 0}, false},
    {2, 20, 33, 1, {19, 18}, {3, 3}, {3, 2}, {2, 3}, {2, 1}, {2, 3}, false},
    {2, 150, 40, 1, {9, 9}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false},
    {2, 500, 40, 1, {6, 6}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false},
    {3, 24, 36, 3, {12, 11}, {3, 3}, {2, 1}, {1, 1}, {1, 1}, {1, 1}, false},
    {3, 33, 70, 1, {12, 11}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, false},
    {3, 33, 20, 1, {12, 11}, {1, 1}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, false},
    {4, 16, 24, 1, {15, 14}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, true},
    {2, 8, 24, 2, {15, 14}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, true},
    {2, 40, 40, 40, {15, 14}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false},
    {2, 21, 42, 21, {15, 14}, {3, 3}, {2, 2}, {1, 2}, {1, 2}, {1, 2}, false},
};

static cj_node *noise(cj_graph *g, const char *name, int rank, const int64_t *dims)
{
    static uint32_t seed = 1;
    cj_tensor *t = cj_tensor_new(cj_graph_context(g), CJ_F32, rank, dims);
    assert_non_null(t);
    float *v = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) {
        seed = seed * 1664525u + 1013904223u;
        v[i] = (float)((int32_t)seed >> 16) / 32768;
    }
    cj_tensor_unmap(t);
    cj_node *node = cj_variable(g, name, t);
    cj_tensor_free(t);
    return node;
}

/* The result, and its gradients with respect to x, w and the bias. */
static void build(cj_graph *g, const shape *s, cj_node *out[4])
{
    int channel = s->first ? 1 : 3;
    int64_t x[4] = {s->batch}, w[4] = {s->out, s->in / s->groups, s->kernel[0], s->kernel[1]}, y[4];
    x[channel] = s->in;
    for (int i = 0; i < 2; i++) x[(s->first ? 2 : 1) + i] = s->n[i];
    cj_node *wrt[3] = {noise(g, "x", 4, x), noise(g, "w", 4, w), noise(g, "b", 1, &s->out)};
    cj_conv_opts o = {.bias = wrt[2], .groups = s->groups, .channel_axis = s->first ? 1 : -1};
    for (int i = 0; i < 2; i++) {
        o.strides[i] = s->stride[i];
        o.dilations[i] = s->dilation[i];
        o.pads_before[i] = s->before[i];
        o.pads_after[i] = s->after[i];
    }
    out[0] = (cj_conv)(wrt[0], wrt[1], &o);
    assert_non_null(out[0]);
    for (int i = 0; i < 4; i++) y[i] = cj_node_dim(out[0], i);
    cj_node *dy = noise(g, "dy", 4, y);
    assert_ok(cj_graph_context(g), cj_vjp(out, &dy, 1, wrt, 3, out + 1));
}

/* Differences count against the largest number of a result: sums of up to 1e5 products, in float.
 */
static void test_kernels(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    for (size_t i = 0; i < CJ__COUNT(shapes); i++) {
        cj_graph *g = cj_graph_new(cj);
        cj_node *out[4];
        cj_tensor *expected[4], *found[4], *again[4];
        build(g, &shapes[i], out);
        run_all(cj, g, out, 4, "reference", 1, expected);
        run_all(cj, g, out, 4, "cpu", 1, found);
        for (int k = 0; k < 4; k++) {
            const float *e = cj_tensor_map_read(expected[k]), *f = cj_tensor_map_read(found[k]);
            float largest = 1;
            int64_t n = cj_tensor_count(expected[k]);
            for (int64_t j = 0; j < n; j++) largest = fmaxf(largest, fabsf(e[j]));
            for (int64_t j = 0; j < n; j++)
                if (!(fabsf(e[j] - f[j]) <= 4e-6f * largest))
                    fail_msg("shape %zu, output %d, element %lld: %g, expected %g", i, k,
                             (long long)j, (double)f[j], (double)e[j]);
        }
        for (int threads = 2; threads <= THREADS_MAX; threads++) {
            run_all(cj, g, out, 4, "cpu", threads, again);
            for (int k = 0; k < 4; k++) {
                assert_memory_equal(cj_tensor_map_read(again[k]), cj_tensor_map_read(found[k]),
                                    cj_tensor_size_bytes(found[k]));
                cj_tensor_free(again[k]);
            }
        }
        for (int k = 0; k < 4; k++) {
            cj_tensor_free(expected[k]);
            cj_tensor_free(found[k]);
        }
        cj_graph_free(g);
    }
    cj_context_free(cj);
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

static void expect_dims(cj_node *x, int64_t a, int64_t b, int64_t c, int64_t d)
{
    assert_non_null(x);
    assert_int_equal(cj_node_dim(x, 0), a);
    assert_int_equal(cj_node_dim(x, 1), b);
    assert_int_equal(cj_node_dim(x, 2), c);
    assert_int_equal(cj_node_dim(x, 3), d);
}

static void test_shapes(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_graph *g = cj_graph_new(cj);
    cj_dim n = cj_symbol(g, "n"), h = cj_symbol(g, "h");
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(n, h, 9, 3));
    cj_node *w = cj_placeholder(g, "w", CJ_F32, CJ_DIMS(8, 3, 3, 3));
    cj_node *y = cj_conv(x, w);
    expect_dims(y, n, cj_dim_sub(g, h, 2), 7, 8);
    expect_dims(cj_conv(x, w, .padding = "same"), n, h, 9, 8);
    cj_node *half = cj_conv(x, w, .padding = "same", .strides = {2});
    expect_dims(half, n, cj_dim_div(g, cj_dim_add(g, h, 1), 2), 5, 8);
    expect_dims(cj_conv_transpose(y, w), n, h, 9, 3);
    expect_dims(cj_conv_transpose(half, w, .padding = "same", .strides = {2}), n,
                cj_dim_mul(g, 2, cj_node_dim(half, 1)), 10, 3);
    cj_node *dx = NULL; /* of a size that the strides would not tell */
    assert_ok(cj, cj_grad(cj_sum(half), &x, 1, &dx));
    expect_dims(dx, n, h, 9, 3);
    cj_node *s = cj_placeholder(g, "s", CJ_F32, CJ_DIMS(2, 10, 3));
    cj_node *k = cj_placeholder(g, "k", CJ_F32, CJ_DIMS(4, 3, 3));
    assert_int_equal(cj_node_dim(cj_conv(s, k, .padding = "causal", .dilations = {2}), 1), 10);
    expect_dims(cj_conv(cj_placeholder(g, "f", CJ_F32, CJ_DIMS(2, 3, 5, 6)), w, .channel_axis = 1),
                2, 8, 3, 4);
    assert_ok(cj, cj_graph_failed(g));
    cj_graph_free(g);
    cj_context_free(cj);
}

/* ---- What wrong calls are told --------------------------------------------------------------- */

static void test_errors(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_graph *g = NULL;
    cj_node *x, *w, *s;
#define WRONG(call, text) \
    do { \
        cj_graph_free(g); \
        g = cj_graph_new(cj); \
        x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(2, 5, 6, 4)); \
        w = cj_placeholder(g, "w", CJ_F32, CJ_DIMS(8, 4, 3, 3)); \
        s = cj_placeholder(g, "s", CJ_F32, CJ_DIMS(2, 7, 3)); \
        (void)x, (void)w, (void)s; \
        assert_null(call); \
        assert_said(cj, text); \
    } while (0)
    WRONG(cj_conv(x, w, .groups = 2), "conv: the image has 4 channels, and the weights want 8 (2 "
                                      "groups of 4) (operands f32[2, 5, 6, "
                                      "4], f32[8, 4, 3, 3])");
    WRONG(
        cj_conv(x, cj_placeholder(g, "v", CJ_F32, CJ_DIMS(8, 1, 3, 3)), .groups = 3),
        "conv: 8 filters do not divide into 3 groups (operands f32[2, 5, 6, 4], f32[8, 1, 3, 3])");
    WRONG(cj_conv(x, w, .dilations = {3}), "conv: spatial axis 0 has 5 elements (5 with padding), "
                                           "and a window reaches over 7 (operands "
                                           "f32[2, 5, 6, 4], f32[8, 4, 3, 3])");
    WRONG(cj_conv(x, w, .strides = {-1}), "conv: strides=-1 is not between 1 and 2147483647");
    WRONG(cj_conv(x, w, .pads_before = {-1}),
          "conv: pads_before=-1 is not between 0 and 2147483647");
    WRONG(cj_conv(s, w),
          "conv: the weights have rank 4, expected 3: [out, in / groups, kernel...]");
    WRONG(cj_conv(cj_placeholder(g, "v", CJ_F32, CJ_DIMS(2, 3)),
                  cj_placeholder(g, "u", CJ_F32, CJ_DIMS(2, 3))),
          "conv: an image of rank 2; [batch, spatial..., channels] with 1 to 3 spatial axes is "
          "expected "
          "(operands f32[2, 3], f32[2, 3])");
    WRONG(cj_conv(x, w, .padding = "sam"),
          "conv: padding 'sam' is none of explicit, valid, same, same_lower, causal");
    WRONG(cj_conv(x, w, .padding = "causal"),
          "conv: padding 'causal' is for one spatial axis; there are 2");
    WRONG(cj_conv(x, w, .padding = "same", .pads_after = {1}),
          "conv: pads are given, and padding is 'same'; \"explicit\" takes them");
    WRONG(cj_conv(x, w, .channel_axis = 2), "conv: channel_axis is 2; for rank 4 it is 1 or 3 (-1) "
                                            "(operands f32[2, 5, 6, 4], f32[8, 4, "
                                            "3, 3])");
    WRONG(
        cj_conv(x, w, .bias = cj_placeholder(g, "v", CJ_F32, CJ_DIMS(4))),
        "conv: the bias is not a vector of 8, one a filter (operands f32[2, 5, 6, 4], f32[8, 4, 3, "
        "3], f32[4])");
    WRONG(
        cj_conv(x, cj_placeholder(g, "v", CJ_F32, CJ_DIMS(8, 4, 0, 3))),
        "conv: the kernel has size 0 along spatial axis 0 (operands f32[2, 5, 6, 4], f32[8, 4, 0, "
        "3])");
    WRONG(cj_conv_transpose(x, w), "conv_transpose: the image has 4 channels, and the weights want "
                                   "8 (operands f32[2, 5, 6, 4], "
                                   "f32[8, 4, 3, 3])");
    WRONG(cj_conv_weight_grad(x, x, ((int64_t[]){2, 2})),
          "conv_weight_grad: spatial axis 0: 5 elements have 4 windows, and there are 5 results "
          "(operands f32[2, 5, 6, 4], f32[2, 5, 6, 4])");
    WRONG(cj_conv2d(x, .filters = 3), "conv2d: kernel is required");
    WRONG(cj_conv2d(x, .filters = 6, .kernel = {3}, .groups = 4),
          "conv2d: 6 filters do not divide into 4 groups");
    WRONG(cj_conv2d(s, .filters = 6, .kernel = {3}),
          "conv2d: its input is of rank 3 and has 3 as last size; [batch, height, width, channels] "
          "is "
          "expected");
    WRONG(cj_conv1d(s, .filters = 6, .kernel = {3, 3}), "conv1d: kernel has more than 1 number");
    WRONG(cj_conv2d(x, .filters = 6, .kernel = {3}, .padding = "causal"),
          "conv2d: padding='causal' is none of valid, same");
#undef WRONG
    cj_graph_free(g);
    cj_context_free(cj);
}

/* torch's unfold of an image of numbers, and how often each is in it. */
static void test_columns(void **state)
{
    (void)state;
    static const float image[] = {1, 2, 3, 4, 5, 6};
    static const float columns[] = {1, 2, 4, 5, 2, 3, 5, 6}, times[] = {1, 4, 3, 4, 10, 6};
    static const int64_t kernel[] = {2, 2};
    cj_context *cj = test_context();
    cj_graph *g = cj_graph_new(cj);
    cj_tensor *t = cj_tensor_from(cj, CJ_F32, 4, (int64_t[]){1, 2, 3, 1}, image), *found[2];
    cj_node *x = cj_constant(g, t), *out[2];
    out[0] = cj_im2col(x, kernel);
    out[1] = cj_col2im(out[0], kernel, .output_size = {2, 3});
    run_all(cj, g, out, 2, NULL, 1, found);
    assert_memory_equal(cj_tensor_map_read(found[0]), columns, sizeof columns);
    assert_memory_equal(cj_tensor_map_read(found[1]), times, sizeof times);
    cj_tensor_free(t);
    cj_tensor_free(found[0]);
    cj_tensor_free(found[1]);
    assert_null(cj_im2col(x, ((int64_t[]){0, 2})));
    assert_said(cj, "im2col: kernel[0] is 0 (operand f32[1, 2, 3, 1])");
    cj_graph_free(g);
    cj_context_free(cj);
}

/* ---- Layers in text -------------------------------------------------------------------------- */

static void test_text(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_model *m = cj_model_from_text(
        cj, "input 28 28 1, conv2d 32 3 relu, conv2d 64 3 same strides=2 relu, depthwise_conv2d 3",
        NULL, 1);
    if (!m) fail_msg("%s", cj_message(cj));
    cj_layer_info info;
    assert_true(cj_model_layer_at(m, 1, &info));
    assert_int_equal(info.output->dim[1], 13);
    assert_int_equal(info.parameters, 64 * 32 * 9 + 64);
    assert_true(cj_model_layer_at(m, 2, &info));
    assert_int_equal(info.output->dim[2], 11);
    assert_int_equal(info.parameters, 64 * 9 + 64);
    cj_model_counts counts;
    assert_ok(cj, cj_model_count(m, &counts));
    assert_int_equal(counts.multiply_adds,
                     26 * 26 * 32 * 9 + 13 * 13 * 64 * 32 * 9 + 11 * 11 * 64 * 9);
    cj_model *again = cj_model_from_text(cj, cj_model_text(m), NULL, 1);
    assert_non_null(again);
    assert_string_equal(cj_model_text(again), cj_model_text(m));
    cj_model_free(again);
    cj_model_free(m);
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),  cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_shapes),  cmocka_unit_test(test_errors),
        cmocka_unit_test(test_columns), cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
