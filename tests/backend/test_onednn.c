/* The oneDNN backend against the reference, over more and larger shapes than the operators'
 * samples.
 *
 *     conv[i]     each in three directions, both channel axes, with and without an epilogue
 *     products    every size class of matmul.c's rule, every transposition
 *
 * In `deterministic` contexts the bits are the same for 1 to 4 threads; weights that are state are
 * packed anew when the store changes; a second run allocates nothing through our table. The passes'
 * epilogues give what the calls one by one give, on every backend. In a build without oneDNN the
 * convolutions run on the other backends, and everything else must hold as well.
 *
 * Tolerance: the operands are uniform in [-1, 1], so sums of k products wander to about sqrt(k) /
 * 3, and each addition rounds by half a unit in the last place of the sum so far: k terms of 2^-25
 * sqrt(k) / 3 in random directions make 2^-25 k / 3. Allowed is 2^-21 (k + 16), several dozen times
 * that: the largest of many thousand results, and other orders of summing. In 16 bits a result of
 * sqrt(k) / 3 is rounded by 2^-9 of it (bf16), those that follow from it by as much, so other sums
 * may differ in the last place: allowed is 2^-6 (sqrt(k) + 1), some places of the largest of many.
 *
 * ctest: timeout 240 */
#include "backend/networks.h"

#include <cajal/conv.h>

#include "runtime/runtime.h"

#if defined(__x86_64__)
enum { MIXED_EACH = 1 };
#else
enum { MIXED_EACH = 11 }; /* other processors are emulated in our tests: a few will do */
#endif

typedef struct shape {
    int spatial;
    int64_t n, c, size[3], out, kernel[3], stride[3], dilation[3], before[3], after[3], groups;
} shape;

static const shape shapes[] = {
    {2, 2, 1, {12, 11}, 32, {3, 3}, {1, 1}, {1, 1}, {0}, {0}, 1},
    {2, 3, 3, {16, 16}, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
    {2, 2, 3, {23, 20}, 8, {7, 7}, {2, 2}, {1, 1}, {3, 3}, {3, 3}, 1},
    {2, 2, 16, {9, 10}, 24, {3, 3}, {2, 2}, {1, 1}, {0, 1}, {1, 2}, 1},
    {2, 1, 32, {8, 8}, 32, {1, 1}, {1, 1}, {1, 1}, {0}, {0}, 1},
    {2, 2, 16, {8, 8}, 32, {1, 1}, {2, 2}, {1, 1}, {0}, {0}, 1},
    {2, 2, 16, {12, 12}, 16, {3, 3}, {1, 1}, {2, 3}, {2, 3}, {2, 3}, 1},
    {2, 2, 16, {7, 9}, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 4},
    {2, 2, 16, {7, 9}, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 16},
    {2, 2, 5, {7, 9}, 7, {2, 3}, {1, 2}, {1, 1}, {0, 2}, {1, 0}, 1},
    {1, 3, 8, {40}, 16, {5}, {1}, {1}, {2}, {2}, 1},
    {1, 2, 16, {33}, 16, {3}, {1}, {4}, {8}, {0}, 1},
    {3, 1, 8, {5, 6, 7}, 16, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, 1},
    {3, 1, 4, {6, 6, 6}, 4, {2, 3, 1}, {2, 1, 1}, {1, 1, 1}, {0, 1, 0}, {0, 1, 0}, 2},
    /* windows that reach over an image, or have nothing of it in them */
    {2, 2, 16, {7, 9}, 32, {2, 2}, {2, 2}, {1, 1}, {2, 0}, {0, 3}, 1},
    {2, 2, 64, {1, 1}, 64, {3, 3}, {1, 1}, {2, 2}, {2, 2}, {2, 2}, 64},
    {2, 2, 24, {4, 3}, 33, {3, 3}, {1, 1}, {2, 2}, {2, 2}, {2, 2}, 1},
    {2, 2, 32, {9, 7}, 64, {5, 5}, {1, 1}, {2, 2}, {4, 4}, {4, 4}, 1},
    {2, 1, 16, {11, 1}, 16, {4, 4}, {1, 1}, {1, 1}, {1, 1}, {2, 2}, 16},
};

typedef struct network {
    cj_graph *g;
    cj_node *x, *out[4];
    int n_out;
    double inner[4]; /* how many products each element of out[i] sums */
    cj_precision precision;
} network;

/* y = conv(x, w), and its gradients for a dy that is a function of y. */
static network convolution(cj_context *cj, const shape *s, int channel_axis, bool epilogue)
{
    network net = {.g = cj_graph_new(cj), .n_out = 3};
    int64_t x[5] = {s->n}, w[5] = {s->out, s->c / s->groups};
    int rank = s->spatial + 2, first = channel_axis == 1 ? 2 : 1;
    x[channel_axis == 1 ? 1 : rank - 1] = s->c;
    double places = 1, windows = (double)s->n;
    for (int i = 0; i < s->spatial; i++) {
        x[first + i] = s->size[i];
        w[2 + i] = s->kernel[i];
        places *= (double)s->kernel[i];
        windows *= (double)s->size[i];
    }
    cj_conv_opts o = {.struct_size = sizeof o, .groups = s->groups, .channel_axis = channel_axis};
    memcpy(o.strides, s->stride, sizeof o.strides);
    memcpy(o.dilations, s->dilation, sizeof o.dilations);
    memcpy(o.pads_before, s->before, sizeof o.pads_before);
    memcpy(o.pads_after, s->after, sizeof o.pads_after);
    net.x = cj_placeholder(net.g, "x", CJ_F32, rank, x);
    cj_node *weights = variable(cj, net.g, "w", rank, w);
    if (epilogue) o.bias = variable(cj, net.g, "b", 1, &s->out);
    cj_node *y = (cj_conv)(net.x, weights, &o);
    if (epilogue) y = cj_relu(cj_add(y, variable(cj, net.g, "q", rank, cj_node_type(y)->dim)));
    cj_node *dx[2], *loss = cj_reduce_sum(cj_scale(cj_square(y), 0.5), 0, NULL, false);
    assert_int_equal(cj_grad(loss, (cj_node *[]){net.x, weights}, 2, dx), CJ_OK);
    net.out[0] = y, net.out[1] = dx[0], net.out[2] = dx[1];
    net.inner[0] = places * (double)s->c;
    /* dy is y, whose size is the square root of its sum's terms */
    net.inner[1] = net.inner[0] * places * (double)s->out;
    net.inner[2] = net.inner[0] * windows;
    return net;
}

static int run_network(const network *net, const cj_tensor *x, const char *backend,
                       int threads, bool no_passes, cj_tensor **out)
{
    cj_program *p = (cj_compile)(net->g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                            .output_list = net->out,
                                                            .n_outputs = net->n_out,
                                                            .no_passes = no_passes,
                                                            .precision = net->precision});
    assert_non_null(p);
    cj_session *s = cj_session_new_opts(
        p, cj_graph_store(net->g),
        &(cj_session_opts){sizeof(cj_session_opts), .backend = backend, .threads = threads});
    assert_non_null(s);
    assert_ok(cj_run(s, &(cj_feed){cj_program_input(p, "x"), x}, 1, out, net->n_out),
              cj_session_message(s));
    int64_t count = cj__allocation_count(&s->cj);
    assert_ok(cj_run(s, &(cj_feed){cj_program_input(p, "x"), x}, 1, out, net->n_out),
              cj_session_message(s));
    assert_int_equal(count, cj__allocation_count(&s->cj));
    int on_onednn = 0;
    cj_step_info step;
    for (int i = 0; cj_session_step_at(s, i, &step); i++)
        on_onednn += !strncmp(step.kernel, "onednn/", 7);
    cj_session_free(s);
    cj_program_free(p);
    return on_onednn;
}

static cj_tensor *input_of(cj_context *cj, const network *net)
{
    return random_tensor(cj, CJ_F32, net->x->type.rank, net->x->type.dim);
}

static void compare(cj_context *cj, const network *net, const char *what, int *on_onednn)
{
    cj_tensor *x = input_of(cj, net), *expected[4] = {0}, *found[4] = {0};
    run_network(net, x, "reference", 1, true, expected);
    for (int way = 0; way < 3; way++) { /* best backends; no passes; the passes on the reference */
        int n = run_network(net, x, way == 2 ? "reference" : NULL, 1 + way % 2, way == 1, found);
        if (!way) *on_onednn += n;
        for (int i = 0; i < net->n_out; i++) {
            char name[100];
            snprintf(name, sizeof name, "%s, way %d, output %d", what, way, i);
            assert_tensors_close(expected[i], found[i],
                                 net->precision ? ldexp(sqrt(net->inner[i]) + 1, -6)
                                                : ldexp(net->inner[i] + 16, -21),
                                 name);
        }
        free_tensors(found, 4);
    }
    free_tensors(expected, 4);
    cj_tensor_free(x);
}

static void test_convolutions(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    int on_onednn = 0, networks = 0;
    for (size_t i = 0; i < CJ__COUNT(shapes); i++)
        for (int variant = 0; variant < 4; variant++, networks++) {
            network net = convolution(cj, &shapes[i], variant & 1 ? 1 : -1, variant & 2);
            char what[40];
            snprintf(what, sizeof what, "convolution %d, variant %d", (int)i, variant);
            compare(cj, &net, what, &on_onednn);
            cj_graph_free(net.g);
        }
    print_message("%d convolutions and gradients of %d networks ran on oneDNN\n", on_onednn,
                  networks);
#ifdef CJ_HAVE_DNNL
    assert_true(on_onednn > 2 * networks);
#endif
    cj_context_free(cj);
}

/* x w with w state (packed) and with w computed (not), all transpositions, an epilogue. */
static network product_network(cj_context *cj, int64_t n, int64_t k, int64_t m, int flags)
{
    network net = {.g = cj_graph_new(cj), .n_out = 3, .inner = {0, 0, 0}};
    bool ta = flags & 1, tb = flags & 2;
    net.x = cj_placeholder(net.g, "x", CJ_F32, 2, (cj_dim[]){ta ? k : n, ta ? n : k});
    cj_node *w = variable(cj, net.g, "w", 2, (int64_t[]){tb ? m : k, tb ? k : m});
    cj_node *b = variable(cj, net.g, "b", 1, &m);
    cj_node *moving = cj_add(w, cj_reduce_sum(cj_scale(net.x, 0), 0, NULL, false));
    net.out[0] = cj_matmul_transposed(net.x, w, ta, tb);
    net.out[1] = cj_matmul_transposed(net.x, moving, ta, tb);
    net.out[2] = cj_relu(
        cj_add(cj_add(cj_matmul_transposed(net.x, moving, ta, tb), b), net.out[0]));
    for (int i = 0; i < 3; i++) net.inner[i] = 2 * (double)k;
    return net;
}

static void test_products(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{1, 300, 400}, {4, 512, 100},  {32, 784, 128},
                                       {70, 33, 517}, {300, 200, 40}, {8, 700, 1300}};
    cj_context *cj = cj_context_new(NULL);
    int on_onednn = 0, networks = 0;
    for (size_t i = 0; i < CJ__COUNT(sizes); i++)
        for (int flags = 0; flags < 4; flags++, networks++) {
            network net = product_network(cj, sizes[i][0], sizes[i][1], sizes[i][2], flags);
            char what[40];
            snprintf(what, sizeof what, "product %d, flags %d", (int)i, flags);
            compare(cj, &net, what, &on_onednn);
            cj_graph_free(net.g);
        }
    print_message("%d products of %d networks ran on oneDNN\n", on_onednn, networks);
#ifdef CJ_HAVE_DNNL
    assert_true(on_onednn > networks);
#endif
    cj_context_free(cj);
}

/* The same in mixed precision. Not every processor has bf16; then f32 kernels do the work. */
static void test_mixed_precision(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{4, 512, 100}, {70, 33, 517}, {300, 200, 40}, {3, 4, 5}};
    cj_context *cj = cj_context_new(NULL);
    int on_onednn = 0, all = 2 * CJ__COUNT(shapes) + CJ__COUNT(sizes);
    for (int i = 0; i < 2 * all; i += MIXED_EACH) {
        int which = i / 2, at = which - 2 * (int)CJ__COUNT(shapes);
        network net = at < 0 ? convolution(cj, &shapes[which / 2], which % 2 ? 1 : -1, which & 2)
                             : product_network(cj, sizes[at][0], sizes[at][1], sizes[at][2], at);
        net.precision = i % 2 ? CJ_PRECISION_MIXED_FLOAT16 : CJ_PRECISION_MIXED_BFLOAT16;
        char what[40];
        snprintf(what, sizeof what, "network %d in %s", which, i % 2 ? "f16" : "bf16");
        compare(cj, &net, what, &on_onednn);
        cj_graph_free(net.g);
    }
    print_message("%d kernels of %d networks ran on oneDNN\n", on_onednn, 2 * all);
#if defined(CJ_HAVE_DNNL) && defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bf16")) assert_true(on_onednn > all);
#endif
    cj_context_free(cj);
}

static void test_threads_change_no_bit(void **state)
{
    (void)state;
    static const shape large[] = {
        {2, 16, 1, {28, 28}, 32, {3, 3}, {1, 1}, {1, 1}, {0}, {0}, 1},
        {2, 16, 32, {13, 13}, 64, {3, 3}, {1, 1}, {1, 1}, {0}, {0}, 1},
        {2, 8, 16, {32, 32}, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
        {2, 8, 64, {8, 8}, 64, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
        {2, 8, 16, {32, 32}, 32, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, 1},
        {2, 2, 3, {64, 64}, 64, {7, 7}, {2, 2}, {1, 1}, {3, 3}, {3, 3}, 1},
        {2, 2, 128, {14, 14}, 128, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
        {2, 1, 256, {7, 7}, 512, {1, 1}, {1, 1}, {1, 1}, {0}, {0}, 1},
        {2, 2, 32, {20, 20}, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 32}};
    cj_context *cj = cj_context_new(&(cj_config){.deterministic = true});
    const size_t all = 2 * CJ__COUNT(large) + 4;
    for (size_t number = 0; number < 2 * all; number += number < all ? 1 : MIXED_EACH) {
        size_t i = number % all;
        network net = i < 2 * CJ__COUNT(large)
                          ? convolution(cj, &large[i / 2], i % 2 ? 1 : -1, false)
                          : product_network(cj, 300, 700, 260, (int)(i - 2 * CJ__COUNT(large)));
        cj_tensor *x = input_of(cj, &net), *expected[4] = {0}, *found[4] = {0};
        net.precision = number < all ? CJ_PRECISION_FLOAT32 : CJ_PRECISION_MIXED_BFLOAT16;
        run_network(&net, x, NULL, 1, false, expected);
        for (int threads = 2; threads <= 4; threads++) {
            run_network(&net, x, NULL, threads, false, found);
            for (int k = 0; k < net.n_out; k++) {
                char what[60];
                snprintf(what, sizeof what, "network %d, output %d, %d threads", (int)i, k,
                         threads);
                assert_tensors_equal(expected[k], found[k], what);
            }
            free_tensors(found, 4);
        }
        free_tensors(expected, 4);
        cj_tensor_free(x);
        cj_graph_free(net.g);
    }
    cj_context_free(cj);
}

/* A session whose weights another program, or cj_store_set, has changed. */
static void test_packed_weights_follow_the_store(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    network net = convolution(cj, &shapes[1], -1, false);
    cj_store *store = cj_graph_store(net.g);
    cj_program *p = cj_compile(net.g, .outputs = {net.out[0]});
    cj_session *s = cj_session_new(p, store);
    cj_tensor *x = input_of(cj, &net), *found = NULL, *expected[4] = {0};
    for (int round = 0; round < 4; round++) {
        cj_feed feed = {cj_program_input(p, "x"), x};
        assert_ok(cj_run(s, &feed, 1, &found, 1), cj_session_message(s));
        run_network(&net, x, "reference", 1, true, expected);
        assert_tensors_close(expected[0], found, ldexp(net.inner[0] + 16, -21), "after a change");
        free_tensors(expected, 4);
        cj_tensor *w = cj_store_get(store, "w");
        if (round == 1) { /* in place */
            float *values = cj_tensor_map(w, CJ_MAP_WRITE);
            for (int64_t i = 0; i < cj_tensor_count(w); i++) values[i] *= -2;
            cj_tensor_unmap(w);
        } else if (round != 2) { /* round 3 repeats what round 2 has packed */
            cj_tensor *other = random_tensor(cj, CJ_F32, cj_tensor_rank(w), cj_tensor_shape(w));
            assert_int_equal(cj_store_set(store, "w", other), CJ_OK);
            cj_tensor_free(other);
        }
    }
    cj_tensor_free(found);
    cj_tensor_free(x);
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(net.g);
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolutions),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_mixed_precision),
        cmocka_unit_test(test_threads_change_no_bit),
        cmocka_unit_test(test_packed_weights_follow_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
