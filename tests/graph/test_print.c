/* Graphs as text and as pictures (golden files; CAJAL_UPDATE=1 writes them anew), and a verifier
 * that notices what is broken by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/graph.h"

#include "golden.h"

static cj_context *cj;
static cj_graph *g;

static int setup(void **state)
{
    (void)state;
    cj = cj_context_new(NULL);
    g = cj_graph_new(cj);
    return !g;
}

static int teardown(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

static cj_node *parameter(const char *name, int rank, const int64_t *shape)
{
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, rank, shape);
    cj_node *node = cj_parameter(g, name, t);
    cj_tensor_free(t);
    return node;
}

static void perceptron(void)
{
    cj_dim batch = cj_symbol(g, "batch");
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(batch, 4)),
            *label = cj_placeholder(g, "label", CJ_I64, CJ_DIMS(batch));
    cj_node *w[] = {parameter("hidden/kernel", 2, (int64_t[]){4, 5}),
                    parameter("hidden/bias", 1, (int64_t[]){5}),
                    parameter("out \"quoted\"", 2, (int64_t[]){5, 3})},
            *d[3];
    cj_node *h = cj_relu(cj_add(cj_matmul(x, w[0]), w[1]));
    cj_node *loss = cj_mean(cj_sparse_softmax_crossentropy(cj_matmul(h, w[2]), label));
    assert_int_equal(cj_grad(loss, w, 3, d), CJ_OK);
    cj_graph_output(g, "loss", loss);
    for (int i = 0; i < 3; i++) cj_graph_output(g, NULL, d[i]);
}

static void running_sum(void)
{
    cj_graph *body = cj_graph_new(cj);
    cj_node *sum = cj_placeholder(body, "sum", CJ_F32, CJ_DIMS(3)),
            *item = cj_placeholder(body, "item", CJ_F32, CJ_DIMS(3));
    cj_node *next = cj_add(cj_scale(sum, 0.5), item);
    cj_graph_output(body, "next", next);
    cj_graph_output(body, "seen", next);
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(cj_symbol(g, "length"), 3)),
            *start = cj_placeholder(g, "start", CJ_F32, CJ_DIMS(3));
    cj_node *last = cj_scan(&start, 1, &x, 1, false, body, NULL, 0);
    cj_graph_output(g, "last", last);
    cj_graph_output(g, "all", cj_node_output(last, 1));
}

static void compare(cj_status (*print)(cj_graph *, FILE *), const char *name)
{
    char *found = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&found, &length);
    assert_int_equal(print(g, f), CJ_OK);
    fclose(f);
    assert_true(golden_text_same(name, found, length));
    free(found);
}

static void texts_and_pictures(void **state)
{
    (void)state;
    perceptron();
    if (cj_graph_failed(g)) print_error("%s\n", cj_message(cj));
    compare(cj_graph_print, "graph/mlp.txt");
    compare(cj_graph_dot, "graph/mlp.dot");
    cj_graph_free(g);
    g = cj_graph_new(cj);
    running_sum();
    if (cj_graph_failed(g)) print_error("%s\n", cj_message(cj));
    compare(cj_graph_print, "graph/scan.txt");
    compare(cj_graph_dot, "graph/scan.dot");
}

/* Breaks one thing, expects words about it, and mends it. */
#define BROKEN(place, value, words) \
    do { \
        __typeof__(place) was = (place); \
        (place) = (value); \
        assert_int_equal(cj_graph_verify(g), CJ_ERR_STATE); \
        if (!strstr(cj_message(cj), words)) \
            print_error("\"%s\" has no \"%s\"\n", cj_message(cj), words); \
        assert_non_null(strstr(cj_message(cj), words)); \
        (place) = was; \
        assert_int_equal(cj_graph_verify(g), CJ_OK); \
    } while (0)

static void corrupted(void **state)
{
    (void)state;
    perceptron();
    cj_call *add = NULL;
    for (int i = 0; i < g->n_calls && !add; i++)
        if (g->calls[i]->op == &cj_op_add) add = g->calls[i];
    assert_non_null(add);
    assert_int_equal(cj_graph_verify(g), CJ_OK);
    cj_node stray = *add->in[0];
    BROKEN(add->id, 0, "id");
    BROKEN(add->op, NULL, "id");
    BROKEN(add->n_in, 3, "operands");
    BROKEN(add->n_out, 0, "outputs");
    BROKEN(add->in[0], NULL, "operand");
    BROKEN(add->in[0], cj_zero, "operand");
    BROKEN(add->in[0], &add->out[0], "after");
    BROKEN(add->in[0], &stray, "no output");
    BROKEN(add->out[0].output, 1, "does not know");
    BROKEN(add->out[0].type.dtype, CJ_DTYPE_NONE, "dtype");
    BROKEN(add->out[0].type.rank, 9, "rank");
    BROKEN(add->out[0].type.rank, 1, "rank");
    BROKEN(add->out[0].type.dim[0], -1000, "symbol");
    BROKEN(g->outputs.items[0].node, NULL, "output");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(texts_and_pictures, setup,
                                                                       teardown),
                                       cmocka_unit_test_setup_teardown(corrupted, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
