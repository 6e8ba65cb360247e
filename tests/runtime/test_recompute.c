/* Gradients that compute forward values again: the same bits, less memory. A stack of dense layers
 * with gelu activations, and one with residual sums. */
#include "run_support.h"

enum { WIDTH = 64, ROWS = 256, LAYERS = 12 };

static cj_context *cj;

static int setup(void **state)
{
    (void)state;
    random_state = 11;
    cj = cj_context_new(NULL);
    return !cj;
}

static int teardown(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

typedef struct network {
    cj_graph *g;
    cj_node *x, *loss, *w[LAYERS], *dw[LAYERS];
} network;

/* checkpoint_every 0: no marks. */
static network build(bool residual, int checkpoint_every)
{
    network net = {.g = cj_graph_new(cj)};
    random_state = 11;
    net.x = cj_placeholder(net.g, "x", CJ_F32, CJ_DIMS(cj_symbol(net.g, "batch"), WIDTH));
    cj_node *h = net.x;
    for (int i = 0; i < LAYERS; i++) {
        char name[16];
        cj_tensor *t = random_tensor(cj, CJ_F32, SHAPE(WIDTH, WIDTH));
        snprintf(name, sizeof name, "w%d", i);
        net.w[i] = cj_parameter(net.g, name, t);
        cj_tensor_free(t);
        cj_node *y = cj_gelu(cj_scale(cj_matmul(h, net.w[i]), 0.2));
        h = residual ? cj_add(h, y) : y;
        if (checkpoint_every && i % checkpoint_every == checkpoint_every - 1) h = cj_checkpoint(h);
    }
    net.loss = cj_mean(cj_square(h));
    assert_int_equal(cj_grad(net.loss, net.w, LAYERS, net.dw), CJ_OK);
    return net;
}

/* The loss and all gradients; returns the arena's size. */
static size_t run(bool residual, int checkpoint_every, cj_recompute what, cj_tensor **out)
{
    network net = build(residual, checkpoint_every);
    cj_node *outputs[LAYERS + 1] = {net.loss};
    for (int i = 0; i < LAYERS; i++) outputs[i + 1] = net.dw[i];
    cj_program *p = cj_compile(net.g, .output_list = outputs, .n_outputs = LAYERS + 1,
                               .training = true, .recompute = what);
    if (!p) print_error("%s\n", cj_message(cj));
    cj_session *s = cj_session_new(p, cj_graph_store(net.g));
    assert_non_null(s);
    cj_tensor *x = random_tensor(cj, CJ_F32, SHAPE(ROWS, WIDTH));
    cj_status failed = cj_run(s, (cj_feed[]){{net.x, x}}, 1, out, LAYERS + 1);
    if (failed) print_error("%s\n", cj_session_message(s));
    assert_int_equal(failed, CJ_OK);
    cj_session_info info;
    cj_session_get_info(s, &info);
    cj_tensor_free(x);
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(net.g);
    return info.arena_bytes;
}

static void check(bool residual, int checkpoint_every, cj_recompute what, double largest_share)
{
    cj_tensor *kept[LAYERS + 1] = {NULL}, *again[LAYERS + 1] = {NULL};
    size_t before = run(residual, 0, CJ_RECOMPUTE_NONE, kept),
           after = run(residual, checkpoint_every, what, again);
    for (int i = 0; i <= LAYERS; i++) {
        assert_true(cj_tensor_equal(kept[i], again[i]));
        cj_tensor_free(kept[i]);
        cj_tensor_free(again[i]);
    }
    if ((double)after > largest_share * (double)before)
        print_error("%zu bytes, without recomputing %zu\n", after, before);
    assert_true((double)after <= largest_share * (double)before);
}

/* Of each layer the product is kept, and not the activation as well. */
static void cheap(void **state)
{
    (void)state;
    check(false, 0, CJ_RECOMPUTE_CHEAP, 0.75);
}

/* A sum of two large values is kept: its copies would need all of the values before it. */
static void cheap_with_residuals(void **state)
{
    (void)state;
    check(true, 0, CJ_RECOMPUTE_CHEAP, 1.01);
}

/* Four pieces of three layers: their ends and one piece's inside are alive at a time. */
static void all_but_checkpoints(void **state)
{
    (void)state;
    check(false, 3, CJ_RECOMPUTE_ALL, 0.55);
    check(true, 3, CJ_RECOMPUTE_ALL, 0.75);
}

/* Marks alone change nothing, in training programs or others. */
static void marks_without_recomputing(void **state)
{
    (void)state;
    check(false, 3, CJ_RECOMPUTE_NONE, 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cheap, setup, teardown),
        cmocka_unit_test_setup_teardown(cheap_with_residuals, setup, teardown),
        cmocka_unit_test_setup_teardown(all_but_checkpoints, setup, teardown),
        cmocka_unit_test_setup_teardown(marks_without_recomputing, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
