/* What only updates need runs after commit_if was asked, each update as soon as its gradient is
 * there (plan.c): gradients do not wait for the end, and a run that fails has changed nothing. */
#include "runtime/run_support.h"

#include <cajal/cajal.h>

enum { LAYERS = 6, WIDTH = 256, ROWS = 50, BATCH = 4, VARIABLES = LAYERS + 1 };

typedef struct network {
    cj_context *cj;
    cj_graph *g;
    cj_node *rows, *loss, *variables[VARIABLES], *gradients[VARIABLES];
    cj_update updates[VARIABLES + 1];
} network;

static cj_node *weights(network *n, const char *name, int64_t rows)
{
    cj_tensor *t = random_tensor(n->cj, CJ_F32, 2, (int64_t[]){rows, WIDTH});
    cj_node *v = cj_variable(n->g, name, t);
    cj_tensor_free(t);
    return v;
}

/* The rows of a table through some layers; a step of gradient descent. */
static network network_of(void)
{
    network n = {.cj = cj_context_new(NULL)};
    n.g = cj_graph_new(n.cj);
    random_state = 3;
    n.rows = cj_placeholder(n.g, "rows", CJ_I32, 1, (int64_t[]){BATCH});
    n.variables[LAYERS] = weights(&n, "table", ROWS);
    cj_node *h = cj_gather(n.variables[LAYERS], n.rows, 0);
    for (int i = 0; i < LAYERS; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%d", i);
        n.variables[i] = weights(&n, name, WIDTH);
        h = cj_tanh(cj_scale(cj_matmul(h, n.variables[i]), 1. / 16));
    }
    n.loss = cj_reduce_mean(cj_square(h), 0, NULL, false);
    assert_int_equal(cj_grad(n.loss, n.variables, VARIABLES, n.gradients), CJ_OK);
    for (int i = 0; i < VARIABLES; i++)
        n.updates[i] = (cj_update){
            n.variables[i], cj_sub(n.variables[i], cj_scale(n.gradients[i], 0.5))};
    return n;
}

static void close_network(network *n)
{
    cj_graph_free(n->g);
    cj_context_free(n->cj);
}

/* Runs `steps` steps on the store; returns the bytes of the arena. */
static size_t train(const network *n, cj_node *commit_if, bool with_loss, const int32_t *at,
                    int steps, cj_store *store, cj_status expected)
{
    cj_program *p = cj_compile(n->g, .outputs = {with_loss ? n->loss : NULL},
                               .updates = n->updates, .commit_if = commit_if, .training = true);
    assert_non_null(p);
    cj_session *s = cj_session_new(p, store);
    assert_non_null(s);
    cj_tensor *rows = cj_tensor_from(n->cj, CJ_I32, 1, (int64_t[]){BATCH}, at), *loss = NULL;
    const cj_feed feed = {cj_program_input(p, "rows"), rows};
    for (int i = 0; i < steps; i++)
        assert_int_equal(cj_run(s, &feed, 1, &loss, with_loss), expected);
    cj_session_info info;
    cj_session_get_info(s, &info);
    cj_tensor_free(loss);
    cj_tensor_free(rows);
    cj_session_free(s);
    cj_program_free(p);
    return info.arena_bytes;
}

static void assert_stores_equal(const cj_store *a, const cj_store *b)
{
    for (int i = 0; i < cj_store_count(a); i++)
        assert_tensors_equal(cj_store_tensor_at((cj_store *)(uintptr_t)a, i),
                             cj_store_tensor_at((cj_store *)(uintptr_t)b, i),
                             cj_store_name_at((cj_store *)(uintptr_t)a, i));
}

static const int32_t good[BATCH] = {7, 0, 49, -3}, bad[BATCH] = {7, 0, 50, 7};

static void test_gradients_do_not_wait(void **state)
{
    (void)state;
    network n = network_of();
    const size_t gradient = WIDTH * WIDTH * sizeof(float);
    cj_node *sum = n.loss, *yes;
    for (int i = 0; i < VARIABLES; i++)
        sum = cj_add(sum, cj_reduce_sum(cj_square(n.gradients[i]), 0, NULL, false));
    yes = (cj_greater_equal)(sum, cj_scale(sum, 0));
    cj_store *soon = copy_store(n.cj, cj_graph_store(n.g)),
             *last = copy_store(n.cj, cj_graph_store(n.g));
    const size_t little = train(&n, NULL, true, good, 3, soon, CJ_OK),
                 much = train(&n, yes, true, good, 3, last, CJ_OK);
    print_message("arena: %zu bytes, %zu when commit_if reads all gradients\n", little, much);
    assert_true(little < 3 * gradient);
    assert_true(much > LAYERS * gradient);
    assert_stores_equal(soon, last);
    cj_store_free(soon);
    cj_store_free(last);
    close_network(&n);
}

/* With the loss the look-up finds the bad index. Without it nobody looks up, and the sum into the
 * table's gradient has to. */
static void test_a_bad_index_changes_nothing(void **state)
{
    (void)state;
    network n = network_of();
    cj_node *ones = cj_broadcast_to(cj_scalar(n.g, CJ_F32, 1), 2, (cj_dim[]){BATCH, WIDTH});
    n.updates[LAYERS].value = cj_add(
        n.variables[LAYERS],
        cj_scatter_add(ones, n.rows, 0, ROWS, 1));
    for (int i = 0; i < LAYERS; i++)
        n.updates[i].value = cj_scale(n.variables[i], 2);
    for (int with_loss = 0; with_loss < 2; with_loss++) {
        cj_store *store = copy_store(n.cj, cj_graph_store(n.g));
        (void)train(&n, NULL, with_loss, bad, 2, store, CJ_ERR_DATA);
        assert_stores_equal(store, cj_graph_store(n.g));
        cj_store_free(store);
    }
    close_network(&n);
}

static cj_status refuse(const cj_kernel *k) { return cj_fail(k->cj, CJ_ERR_DATA, "refused"); }

/* A row that does not say NOFAIL runs before anything is written. */
static void test_what_may_fail_is_early(void **state)
{
    (void)state;
    static const cj_op row = {
        .name = "refuse", .doc = "fails", .inputs = 1, .infer = cj_infer_same, .ref = refuse};
    network n = network_of();
    cj_node *gradient = cj_apply(n.g, &row, &n.gradients[0], 1, NULL);
    assert_non_null(gradient);
    n.updates[0].value = cj_sub(n.variables[0], gradient);
    cj_store *store = copy_store(n.cj, cj_graph_store(n.g));
    (void)train(&n, NULL, true, good, 2, store, CJ_ERR_DATA);
    assert_stores_equal(store, cj_graph_store(n.g));
    cj_store_free(store);
    close_network(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_do_not_wait),
        cmocka_unit_test(test_a_bad_index_changes_nothing),
        cmocka_unit_test(test_what_may_fail_is_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
