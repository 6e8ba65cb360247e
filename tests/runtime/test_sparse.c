/* Gradient descent on a table of which a batch reads a few rows: the step touches these alone
 * (pass/sparse.c), and does what the step on the whole table does.
 *
 * Tolerance: rows that occur twice are added in another order, three additions of numbers below 4:
 * 2^-21. Rows that occur once, and all others, have the same bits. */
#include "runtime/run_support.h"

#include <cajal/cajal.h>

typedef struct fixture {
    cj_context *cj;
    cj_graph *g;
    cj_node *table, *rows, *loss, *new_table;
} fixture;

enum { ROWS = 40, WIDTH = 6 };

/* loss = mean over the batch of |table[row]|^2 / 2; the second use of the gradient keeps it whole.
 */
static fixture descent(bool whole)
{
    fixture f = {.cj = cj_context_new(NULL)};
    f.g = cj_graph_new(f.cj);
    random_state = 7;
    cj_tensor *t = random_tensor(f.cj, CJ_F32, 2, (int64_t[]){ROWS, WIDTH});
    f.table = cj_variable(f.g, "table", t);
    cj_tensor_free(t);
    f.rows = cj_placeholder(f.g, "rows", CJ_I32, 1, (cj_dim[]){cj_symbol(f.g, "batch")});
    f.loss = cj_reduce_mean(cj_scale(cj_square(cj_gather(f.table, f.rows, 0)), 0.5), 0, NULL,
                            false);
    cj_node *grad;
    assert_int_equal(cj_grad(f.loss, &f.table, 1, &grad), CJ_OK);
    cj_node *rate = cj_placeholder(f.g, "rate", CJ_F32, 0, NULL);
    f.new_table = cj_sub(f.table, cj_mul(rate, grad));
    if (whole) f.loss = cj_add(f.loss, cj_reduce_sum(cj_scale(grad, 0), 0, NULL, false));
    return f;
}

/* Two steps; returns how many kernels add to rows. */
static int step(const fixture *f, bool no_passes, int threads, cj_store *store, int n,
                const int32_t *rows, cj_status expected)
{
    cj_program *p = cj_compile(f->g, .outputs = {f->loss}, .no_passes = no_passes,
                               .updates = (cj_update[]){{f->table, f->new_table}, {0}});
    assert_non_null(p);
    cj_session *s = cj_session_new_opts(
        p, store, &(cj_session_opts){sizeof(cj_session_opts), .threads = threads});
    assert_non_null(s);
    cj_tensor *at = cj_tensor_from(f->cj, CJ_I32, 1, (int64_t[]){n}, rows),
              *rate = cj_tensor_from(f->cj, CJ_F32, 0, NULL, (float[]){0.5f}), *loss = NULL;
    const cj_feed feeds[] = {{cj_program_input(p, "rows"), at},
                             {cj_program_input(p, "rate"), rate}};
    for (int i = 0; i < 2; i++) assert_int_equal(cj_run(s, feeds, 2, &loss, 1), expected);
    int sparse = 0;
    cj_step_info info;
    for (int i = 0; cj_session_step_at(s, i, &info); i++)
        sparse += !strcmp(info.op, "index_add");
    cj_tensor_free(at);
    cj_tensor_free(rate);
    cj_tensor_free(loss);
    cj_session_free(s);
    cj_program_free(p);
    return sparse;
}

static void close_fixture(fixture *f)
{
    cj_graph_free(f->g);
    cj_context_free(f->cj);
}

static void test_touches_the_rows_alone(void **state)
{
    (void)state;
    fixture f = descent(false);
    static const int32_t once[] = {3, 0, 39, -2}, twice[] = {5, 7, 5, 5, -40, 0};
    for (int k = 0; k < 2; k++) {
        cj_store *whole = copy_store(f.cj, cj_graph_store(f.g)),
                 *sparse = copy_store(f.cj, cj_graph_store(f.g)),
                 *threads = copy_store(f.cj, cj_graph_store(f.g));
        const int n = k ? 6 : 4;
        assert_int_equal(step(&f, true, 1, whole, n, k ? twice : once, CJ_OK), 0);
        assert_int_equal(step(&f, false, 1, sparse, n, k ? twice : once, CJ_OK), 1);
        assert_int_equal(step(&f, false, 3, threads, n, k ? twice : once, CJ_OK), 1);
        cj_tensor *a = cj_store_get(whole, "table"), *b = cj_store_get(sparse, "table");
        if (k) assert_tensors_close(a, b, ldexp(1, -21), "rows that occur twice");
        else assert_tensors_equal(a, b, "rows that occur once");
        assert_tensors_equal(b, cj_store_get(threads, "table"), "three threads");
        cj_store_free(whole);
        cj_store_free(sparse);
        cj_store_free(threads);
    }
    close_fixture(&f);
}

/* Other readers of the gradient need all of it. */
static void test_a_gradient_that_is_read_stays_whole(void **state)
{
    (void)state;
    fixture f = descent(true);
    assert_int_equal(
        step(&f, false, 1, cj_graph_store(f.g), 2, (int32_t[]){1, 2}, CJ_OK), 0);
    close_fixture(&f);
}

static void test_a_bad_row_changes_nothing(void **state)
{
    (void)state;
    fixture f = descent(false);
    cj_store *before = copy_store(f.cj, cj_graph_store(f.g));
    step(&f, false, 1, cj_graph_store(f.g), 3, (int32_t[]){1, ROWS, 2}, CJ_ERR_DATA);
    assert_tensors_equal(cj_store_get(before, "table"), cj_store_get(cj_graph_store(f.g), "table"),
                         "the table");
    cj_store_free(before);
    close_fixture(&f);
}

/* What a user writes: the layer, cj_grad, and an optimizer by name. */
static void test_embedding_with_sgd(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_model *m = cj_model_new(cj);
    cj_graph *g = cj_model_graph(m);
    cj_node *words = cj_placeholder(g, "words", CJ_I32, 2, (cj_dim[]){cj_symbol(g, "batch"), 4});
    cj_node *x = cj_embedding(words, .input_dim = 500, .output_dim = 8, .mask_zero = true);
    cj_node *loss = cj_mean(cj_square(cj_dense(x, .units = 3))), *parameters[3], *slopes[3];
    const int n = cj_graph_parameter_count(g);
    assert_int_equal(n, 3);
    for (int i = 0; i < n; i++) parameters[i] = cj_graph_parameter_at(g, i);
    assert_int_equal(cj_grad(loss, parameters, n, slopes), CJ_OK);
    for (int adam = 0; adam < 2; adam++) {
        cj_program *p = cj_compile(g, .outputs = {loss}, .training = true,
                                   .updates = cj_updates(adam ? "adam" : "sgd", parameters, slopes,
                                                         n));
        assert_non_null(p);
        cj_session *s = cj_session_new(p, cj_graph_store(g));
        cj_tensor *at = cj_tensor_from(cj, CJ_I32, 2, (int64_t[]){2, 4},
                                       (int32_t[]){1, 2, 0, 499, 1, 1, 7, 0}),
                  *value = NULL;
        assert_ok(cj_run(s, (cj_feed[]){{words, at}}, 1, &value, 1), cj_session_message(s));
        int sparse = 0;
        cj_step_info info;
        for (int i = 0; cj_session_step_at(s, i, &info); i++)
            sparse += !strcmp(info.op, "index_add");
        assert_int_equal(sparse, !adam);
        cj_tensor_free(at);
        cj_tensor_free(value);
        cj_session_free(s);
        cj_program_free(p);
    }
    cj_model_free(m);
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_touches_the_rows_alone),
        cmocka_unit_test(test_a_gradient_that_is_read_stays_whole),
        cmocka_unit_test(test_a_bad_row_changes_nothing),
        cmocka_unit_test(test_embedding_with_sgd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
