/* Convolutions on tile registers against the reference: odd sizes, paddings of all kinds, strides,
 * channels that are no multiples of 32, folded pixels, images side by side, epilogues, infinities
 * and NaNs, and the same bits for 1 to 4 threads. Skipped where the processor has no such
 * registers.
 *
 * Tolerance: as in test_onednn.c, 2^-21 (k + 16) for sums of k products of operands in [-1, 1].
 *
 * ctest: timeout 240 */
#include "backend/networks.h"

#include <cajal/conv.h>
#include <math.h>

#include "backend/amx/tiles.h"
#include "runtime/runtime.h"

typedef struct shape {
    int64_t n, h, w, c, out, kernel[2], stride[2], before[2], after[2];
} shape;

static const shape shapes[] = {
    {1, 9, 11, 32, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {2, 14, 14, 64, 96, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {3, 7, 7, 96, 64, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {3, 8, 8, 40, 72, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {2, 13, 13, 32, 64, {3, 3}, {1, 1}, {0, 0}, {0, 0}},
    {2, 13, 12, 48, 33, {3, 3}, {1, 1}, {0, 2}, {1, 0}},
    {1, 20, 15, 256, 260, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
    {2, 11, 10, 33, 47, {5, 5}, {1, 1}, {2, 2}, {2, 2}},
    {1, 12, 70, 32, 32, {1, 3}, {1, 1}, {0, 1}, {0, 1}},
    {1, 30, 5, 64, 32, {3, 1}, {1, 1}, {1, 0}, {1, 0}},
    {2, 16, 16, 32, 64, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
    {2, 15, 17, 64, 32, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
    {2, 14, 14, 64, 64, {1, 2}, {2, 2}, {0, 0}, {0, 0}},
    {1, 17, 16, 32, 32, {5, 3}, {2, 1}, {2, 1}, {1, 1}},
    {1, 24, 24, 32, 32, {7, 7}, {2, 2}, {3, 3}, {3, 3}},
    {2, 16, 16, 16, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {3, 9, 9, 16, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {2, 10, 7, 16, 16, {5, 5}, {1, 1}, {2, 1}, {2, 3}},
    {1, 12, 33, 16, 16, {3, 2}, {1, 1}, {0, 0}, {0, 0}},
    {5, 4, 4, 64, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {2, 6, 6, 320, 64, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {5, 7, 7, 256, 176, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {3, 8, 7, 192, 256, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
    {2, 16, 16, 16, 32, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
    {2, 12, 12, 3, 64, {7, 7}, {2, 2}, {3, 3}, {3, 3}},
    {3, 15, 9, 3, 40, {7, 7}, {2, 2}, {3, 3}, {2, 3}},
    {1, 17, 9, 6, 32, {3, 5}, {1, 1}, {1, 2}, {1, 2}},
};

typedef struct network {
    cj_graph *g;
    cj_node *x, *out[3];
    double inner[3]; /* how many products each element of out[i] sums */
} network;

/* y = conv(x, w), with everything that an epilogue can have, and its gradients for dy = y / 16. */
static network convolution(cj_context *cj, const shape *s, bool epilogue)
{
    network net = {.g = cj_graph_new(cj)};
    int64_t x[4] = {s->n, s->h, s->w, s->c}, w[4] = {s->out, s->c, s->kernel[0], s->kernel[1]};
    cj_conv_opts o = {.struct_size = sizeof o};
    for (int i = 0; i < 2; i++) {
        o.strides[i] = s->stride[i];
        o.pads_before[i] = s->before[i];
        o.pads_after[i] = s->after[i];
    }
    net.x = cj_placeholder(net.g, "x", CJ_F32, 4, x);
    cj_node *weights = variable(cj, net.g, "w", 4, w);
    if (epilogue) o.bias = variable(cj, net.g, "b", 1, &s->out);
    cj_node *moving =
        weights; /* with an epilogue: not state, so that they are packed in each run */
    if (epilogue)
        moving = cj_add(weights, cj_scale(cj_reduce_sum(net.x, 0, NULL, false), 0));
    cj_node *y = (cj_conv)(net.x, moving, &o);
    if (epilogue) y = cj_relu(cj_add(y, cj_scale((cj_conv)(net.x, weights, &o), 0.5)));
    cj_node *dx[2], *loss = cj_reduce_sum(cj_scale(cj_square(y), 1. / 32), 0, NULL, false);
    assert_int_equal(cj_grad(loss, (cj_node *[]){net.x, weights}, 2, dx), CJ_OK);
    net.out[0] = y, net.out[1] = dx[0], net.out[2] = dx[1];
    const double places = (double)(s->kernel[0] * s->kernel[1]);
    net.inner[0] = 2 * places * (double)s->c;
    net.inner[1] = net.inner[0] * places * (double)s->out / 16; /* dy is y, see test_onednn.c */
    net.inner[2] = net.inner[0] * (double)(s->n * s->h * s->w) / 16;
    return net;
}

/* Returns how many calls ran on tiles, and which outputs' did. */
static int run_network(const network *net, const cj_tensor *x, const char *backend, int threads,
                       cj_tensor **out, bool tiles[3])
{
    cj_program *p = (cj_compile)(net->g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                            .output_list = net->out,
                                                            .n_outputs = 3});
    assert_non_null(p);
    cj_session *s = cj_session_new_opts(
        p, cj_graph_store(net->g),
        &(cj_session_opts){sizeof(cj_session_opts), .backend = backend, .threads = threads});
    assert_non_null(s);
    for (int i = 0; i < 2; i++) /* the second time weights are packed already */
        assert_ok(cj_run(s, &(cj_feed){cj_program_input(p, "x"), x}, 1, out, 3),
                  cj_session_message(s));
    static const char *const ops[3] = {"conv", "conv_transpose", "conv_weight_grad"};
    int on_tiles = 0;
    cj_step_info step;
    for (int i = 0; cj_session_step_at(s, i, &step); i++)
        for (int k = 0; k < 3 && !strncmp(step.kernel, "amx/", 4); k++)
            if (!strcmp(step.op, ops[k])) on_tiles += tiles[k] = true;
    cj_session_free(s);
    cj_program_free(p);
    return on_tiles;
}

static void test_against_the_reference(void **state)
{
    (void)state;
    if (!cj__amx_available()) skip();
    cj_context *cj = cj_context_new(NULL);
    int on_tiles = 0;
    for (int i = 0; i < 2 * (int)CJ__COUNT(shapes); i++) {
        network net = convolution(cj, &shapes[i / 2], i % 2);
        cj_tensor *x = random_tensor(cj, CJ_F32, 4, net.x->type.dim), *expected[3] = {0},
                  *found[3] = {0}, *again[3] = {0};
        bool tiles[3] = {0};
        run_network(&net, x, "reference", 1, expected, tiles);
        on_tiles += run_network(&net, x, "amx", 1, found, tiles);
        run_network(&net, x, "amx", 2 + i % 3, again, tiles);
        for (int k = 0; k < 3; k++) {
            char name[100];
            snprintf(name, sizeof name, "convolution %d, epilogue %d, output %d", i / 2, i % 2, k);
            assert_tensors_close(expected[k], found[k], ldexp(net.inner[k] + 16, -21), name);
            strcat(name, ", more threads");
            assert_tensors_equal(found[k], again[k], name);
        }
        free_tensors(expected, 3);
        free_tensors(found, 3);
        free_tensors(again, 3);
        cj_tensor_free(x);
        cj_graph_free(net.g);
    }
    print_message("%d calls ran on tiles\n", on_tiles);
    assert_true(on_tiles > 4 * (int)CJ__COUNT(shapes));
    cj_context_free(cj);
}

/* Results that are finite must be so, and close; infinities and NaNs the same. Padding is no
 * operand: a zero of it does not make a NaN of an infinity. */
static void assert_same_kinds(const cj_tensor *a, const cj_tensor *b, double tolerance,
                              const char *what)
{
    const float *x = cj_tensor_map((cj_tensor *)(uintptr_t)a, CJ_MAP_READ),
                *y = cj_tensor_map((cj_tensor *)(uintptr_t)b, CJ_MAP_READ);
    for (int64_t i = 0; i < cj_tensor_count(a); i++) {
        const bool same = isnan(x[i])   ? isnan(y[i])
                          : isinf(x[i]) ? x[i] == y[i]
                                        : fabs((double)x[i] - (double)y[i]) <= tolerance;
        if (!same) fail_msg("%s: element %d is %g, expected %g", what, (int)i, y[i], x[i]);
    }
    cj_tensor_unmap((cj_tensor *)(uintptr_t)a);
    cj_tensor_unmap((cj_tensor *)(uintptr_t)b);
}

static void test_infinities_and_nans(void **state)
{
    (void)state;
    static const int some[] = {1, 9, 11, 20};
    if (!cj__amx_available()) skip();
    cj_context *cj = cj_context_new(NULL);
    for (int i = 0; i < 6 * (int)CJ__COUNT(some); i++) {
        const int at = some[i / 6];
        network net = convolution(cj, &shapes[at], false);
        cj_tensor *x = random_tensor(cj, CJ_F32, 4, net.x->type.dim), *expected[3] = {0},
                  *found[3] = {0};
        float *v = cj_tensor_map(x, CJ_MAP_WRITE);
        v[i % 6 < 3 ? cj_tensor_count(x) / 2 : 0] = i % 3 == 0   ? INFINITY
                                                    : i % 3 == 1 ? -INFINITY
                                                                 : NAN;
        cj_tensor_unmap(x);
        bool tiles[3] = {0};
        run_network(&net, x, "reference", 1, expected, tiles);
        assert_true(run_network(&net, x, "amx", 1, found, tiles) > 1);
        for (int k = 0; k < 3; k++) {
            if (!tiles[k]) continue; /* our kernels without tiles multiply padding, too */
            char name[100];
            snprintf(name, sizeof name, "convolution %d, output %d, special %d", at, k, i % 6);
            assert_same_kinds(expected[k], found[k], ldexp(net.inner[k] + 16, -21), name);
        }
        free_tensors(expected, 3);
        free_tensors(found, 3);
        cj_tensor_free(x);
        cj_graph_free(net.g);
    }
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_the_reference),
        cmocka_unit_test(test_infinities_and_nans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
