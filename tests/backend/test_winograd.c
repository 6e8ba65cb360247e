/* Winograd's convolutions against the reference: images that are no multiples of a tile, paddings
 * of all kinds, channels that fill no vector, epilogues, blocks that end inside an image, weights
 * that stay and that change, and the same bits for 1 to 4 threads.
 *
 * Tolerance: as in test_onednn.c, 2^-21 (k + 16) for sums of k products of operands in [-1, 1],
 * which is linear in k where errors grow as its root. The transforms multiply errors by 2 in the
 * mean square (isa_winograd.h) and by 10 at most. The largest error seen is printed as a share.
 *
 * ctest: timeout 240 */
#include "backend/networks.h"

#include <cajal/conv.h>
#include <math.h>

#include "runtime/runtime.h"

typedef struct shape {
    int64_t n, h, w, c, out, before[2], after[2];
} shape;

static const shape shapes[] = {
    {2, 16, 16, 32, 32, {1, 1}, {1, 1}},   {1, 28, 28, 64, 64, {1, 1}, {1, 1}},
    {3, 14, 14, 128, 64, {1, 1}, {1, 1}},  {16, 7, 7, 64, 96, {1, 1}, {1, 1}},
    {6, 13, 13, 40, 72, {0, 0}, {0, 0}},   {4, 21, 18, 33, 47, {0, 2}, {1, 0}},
    {4, 9, 30, 48, 33, {2, 2}, {2, 2}},    {1, 8, 70, 100, 36, {0, 1}, {2, 1}},
    {50, 4, 4, 96, 64, {1, 1}, {1, 1}},    {11, 8, 8, 64, 64, {1, 1}, {1, 1}},
    {2, 40, 41, 36, 37, {1, 0}, {0, 1}},   {3, 12, 12, 132, 70, {1, 1}, {1, 1}},
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
    int64_t x[4] = {s->n, s->h, s->w, s->c}, w[4] = {s->out, s->c, 3, 3};
    cj_conv_opts o = {.struct_size = sizeof o};
    for (int i = 0; i < 2; i++) {
        o.pads_before[i] = s->before[i];
        o.pads_after[i] = s->after[i];
    }
    net.x = cj_placeholder(net.g, "x", CJ_F32, 4, x);
    cj_node *weights = variable(cj, net.g, "w", 4, w), *moving = weights;
    if (epilogue) { /* and weights that are not state, so that they are transformed in each run */
        o.bias = variable(cj, net.g, "b", 1, &s->out);
        moving = cj_add(weights, cj_scale(cj_reduce_sum(net.x, 0, NULL, false), 0));
    }
    cj_node *y = (cj_conv)(net.x, moving, &o);
    if (epilogue) y = cj_relu(cj_add(y, cj_scale((cj_conv)(net.x, weights, &o), 0.5)));
    cj_node *dx[2], *loss = cj_reduce_sum(cj_scale(cj_square(y), 1. / 32), 0, NULL, false);
    assert_int_equal(cj_grad(loss, (cj_node *[]){net.x, weights}, 2, dx), CJ_OK);
    net.out[0] = y, net.out[1] = dx[0], net.out[2] = dx[1];
    net.inner[0] = 2 * 9 * (double)s->c;
    net.inner[1] = net.inner[0] * 9 * (double)s->out / 16; /* dy is y, see test_onednn.c */
    net.inner[2] = net.inner[0] * (double)(s->n * s->h * s->w) / 16;
    return net;
}

/* Returns how many calls were Winograd's. */
static int run_network(const network *net, const cj_tensor *x, const char *backend, int threads,
                       cj_tensor **out)
{
    cj_program *p = (cj_compile)(net->g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                            .output_list = net->out,
                                                            .n_outputs = 3});
    assert_non_null(p);
    cj_session *s = cj_session_new_opts(
        p, cj_graph_store(net->g),
        &(cj_session_opts){sizeof(cj_session_opts), .backend = backend, .threads = threads});
    assert_non_null(s);
    for (int i = 0; i < 2; i++) /* the second time weights are transformed already */
        assert_ok(cj_run(s, &(cj_feed){cj_program_input(p, "x"), x}, 1, out, 3),
                  cj_session_message(s));
    int found = 0;
    cj_step_info step;
    for (int i = 0; cj_session_step_at(s, i, &step); i++)
        found += !strncmp(step.kernel, "winograd/", 9);
    cj_session_free(s);
    cj_program_free(p);
    return found;
}

/* The largest difference, in tolerances. */
static double worst(const cj_tensor *a, const cj_tensor *b, double tolerance)
{
    double most = 0;
    for (int64_t i = 0; i < cj_tensor_count(a); i++)
        most = fmax(most, fabs(element(a, i) - element(b, i)) / tolerance);
    return most;
}

static void test_against_the_reference(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    double most = 0;
    int calls = 0;
    for (int i = 0; i < 2 * (int)CJ__COUNT(shapes); i++) {
        network net = convolution(cj, &shapes[i / 2], i % 2);
        cj_tensor *x = random_tensor(cj, CJ_F32, 4, net.x->type.dim), *expected[3] = {0},
                  *found[3] = {0}, *again[3] = {0};
        run_network(&net, x, "reference", 1, expected);
        const int now = run_network(&net, x, "winograd", 1, found);
        if (!now) fail_msg("convolution %d: none", i / 2);
        calls += now;
        run_network(&net, x, "winograd", 2 + i % 3, again);
        for (int k = 0; k < 3; k++) {
            char name[100];
            snprintf(name, sizeof name, "convolution %d, epilogue %d, output %d", i / 2, i % 2, k);
            const double tolerance = ldexp(net.inner[k] + 16, -21);
            assert_tensors_close(expected[k], found[k], tolerance, name);
            most = fmax(most, worst(expected[k], found[k], tolerance));
            strcat(name, ", more threads");
            assert_tensors_equal(found[k], again[k], name);
        }
        free_tensors(expected, 3);
        free_tensors(found, 3);
        free_tensors(again, 3);
        cj_tensor_free(x);
        cj_graph_free(net.g);
    }
    print_message("%d calls; the largest error is %.3f of the tolerance\n", calls, most);
    assert_true(calls >
                4 * (int)CJ__COUNT(shapes)); /* of 9: where it does not pay it is not taken */
    cj_context_free(cj);
}

/* Weights that a program does not update are transformed again when somebody sets them. */
static void test_new_weights(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    network net = convolution(cj, &shapes[0], false);
    cj_tensor *x = random_tensor(cj, CJ_F32, 4, net.x->type.dim), *y[2] = {0};
    cj_program *p = (cj_compile)(net.g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                           .outputs = {net.out[0]}});
    cj_store *store = copy_store(cj, cj_graph_store(net.g));
    cj_session *s = cj_session_new_opts(
        p, store, &(cj_session_opts){sizeof(cj_session_opts), .backend = "winograd"});
    assert_non_null(s);
    const cj_feed feed = {cj_program_input(p, "x"), x};
    assert_ok(cj_run(s, &feed, 1, &y[0], 1), cj_session_message(s));
    cj_tensor *w = random_tensor(cj, CJ_F32, 4, (int64_t[]){32, 32, 3, 3});
    assert_int_equal(cj_store_set(store, "w", w), CJ_OK);
    assert_ok(cj_run(s, &feed, 1, &y[1], 1), cj_session_message(s));
    cj_session *fresh = cj_session_new_opts(
        p, store, &(cj_session_opts){sizeof(cj_session_opts), .backend = "reference"});
    cj_tensor *expected = NULL;
    assert_ok(cj_run(fresh, &feed, 1, &expected, 1), cj_session_message(fresh));
    assert_tensors_close(expected, y[1], ldexp(9 * 32 + 16, -21), "new weights");
    assert_false(cj_tensor_equal(y[0], y[1]));
    cj_session_free(fresh);
    cj_session_free(s);
    cj_program_free(p);
    cj_store_free(store);
    free_tensors(y, 2);
    cj_tensor_free(expected);
    cj_tensor_free(w);
    cj_tensor_free(x);
    cj_graph_free(net.g);
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_the_reference),
                                       cmocka_unit_test(test_new_weights)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
