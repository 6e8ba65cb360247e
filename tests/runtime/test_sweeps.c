/* Groups with reductions: over columns, rows, all, the middle, of each shape around the tiles and
 * blocks they are cut in, against the same calls one by one on the reference kernels; NaN; no bit
 * that depends on the number of threads; and how many sweeps over its large arrays a training graph
 * takes.
 *
 * A sum of n floats in lanes and blocks of 128 is off by some 1e-6 of the sum of their magnitudes;
 * operands are in [-1, 1), so tolerances grow with the square root of n. ctest: timeout 120 */
#include "run_support.h"

#include <cajal/norm.h>

#include "graph/graph.h"

static cj_context *cj;
static cj_graph *g;

static int setup(void **state)
{
    (void)state;
    random_state = 13;
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

static void begin(void)
{
    cj_graph_free(g);
    g = cj_graph_new(cj);
}

static cj_node *fed(const char *name, cj_dtype dtype, int rank, const int64_t *shape)
{
    return cj_placeholder(g, name, dtype, rank, shape);
}

/* Feeds random numbers, `special` of them NaN or infinite. */
static int feed(cj_feed *feeds, int special)
{
    int n = cj_graph_input_count(g);
    for (int i = 0; i < n; i++) {
        const cj_type *type = cj_node_type(cj_graph_input_at(g, i));
        cj_tensor *t = random_tensor(cj, type->dtype, type->rank, type->dim);
        float *data = cj_tensor_map(t, CJ_MAP_WRITE);
        for (int k = 0; k < special && cj_tensor_count(t) && type->dtype == CJ_F32; k++)
            data[random_below((int)cj_tensor_count(t))] = k % 3 == 0   ? NAN
                                                          : k % 3 == 1 ? INFINITY
                                                                       : -INFINITY;
        cj_tensor_unmap(t);
        feeds[i] = (cj_feed){cj_graph_input_at(g, i), t};
    }
    return n;
}

/* The outputs fused on the vector kernels with 1 and with 3 threads, and plainly on the reference.
 */
static void check(cj_node *const *outputs, int n, double tolerance, int special, const char *what)
{
    if (cj_graph_failed(g)) print_error("%s: %s\n", what, cj_message(cj));
    assert_int_equal(cj_graph_failed(g), CJ_OK);
    cj_feed feeds[8];
    cj_tensor *out[3][CJ_OUTPUTS_MAX] = {{NULL}};
    int n_in = feed(feeds, special);
    for (int way = 0; way < 3; way++) {
        cj_program *p = cj_compile(g, .output_list = outputs, .n_outputs = n, .no_passes = !way);
        if (!p) print_error("%s: %s\n", what, cj_message(cj));
        assert_non_null(p);
        cj_session_opts how = {.struct_size = sizeof how,
                               .backend = way ? "cpu" : "reference",
                               .threads = way == 2 ? 3 : 1};
        cj_session *s = cj_session_new_opts(p, cj_graph_store(g), &how);
        assert_non_null(s);
        assert_ok(cj_run(s, feeds, n_in, out[way], n), cj_session_message(s));
        cj_session_free(s);
        cj_program_free(p);
    }
    for (int i = 0; i < n; i++) {
        char text[256];
        snprintf(text, sizeof text, "%s: output %d", what, i);
        assert_tensors_close(out[0][i], out[1][i], tolerance, text);
        assert_tensors_equal(out[1][i], out[2][i], text);
        for (int way = 0; way < 3; way++) cj_tensor_free(out[way][i]);
    }
    for (int i = 0; i < n_in; i++) cj_tensor_free((cj_tensor *)(uintptr_t)feeds[i].value);
}

static const int64_t shapes[][3] = {{1, 1, 1},   {7, 5, 3},      {2, 3, 1000}, {3, 2, 5000},
                                    {40, 30, 64}, {700, 3, 10},  {1, 1, 9000}, {9000, 1, 1},
                                    {5, 1, 33},   {1, 600, 100}, {90, 49, 16}, {2, 20000, 3},
                                    {0, 3, 4},    {3, 0, 4},     {3, 4, 0},    {300, 2, 513}};

/* ---- Kinds of reductions --------------------------------------------------------------------- */

static void every_kind(void **state)
{
    (void)state;
    static const cj_dtype dtypes[] = {CJ_F32, CJ_F64, CJ_F16};
    for (size_t i = 0; i < 3 * (sizeof shapes / sizeof *shapes); i++) {
        const int64_t *s = shapes[i / 3], both[] = {0, 1}, last = 2, first = 0, middle = 1;
        cj_dtype dtype = dtypes[i % 3];
        bool some = s[0] && s[1] && s[2];
        begin();
        cj_node *x = fed("x", dtype, 3, s), *b = fed("b", dtype, 1, s + 2);
        cj_node *y = cj_mul(cj_sub(x, cj_scale(b, 0.5)), x), *z = cj_relu(y);
        cj_node *outputs[12] = {cj_reduce_sum(y, 2, both, false),
                                cj_reduce_mean(z, 2, both, true),
                                cj_reduce_sum(x, 2, both, false),
                                cj_reduce_sum(y, 0, NULL, false),
                                z,
                                cj_reduce_mean(y, 1, &last, true),
                                cj_reduce_sum(z, 1, &middle, false),
                                cj_reduce_mean(z, 1, &first, false)};
        int n = 8;
        if (some) {
            outputs[n++] = cj_reduce_max(y, 2, both, false);
            outputs[n++] = cj_reduce_min(y, 1, &last, false);
            outputs[n++] = cj_reduce_max(x, 0, NULL, false);
            outputs[n++] = cj_reduce_min(z, 1, &middle, true);
        }
        char text[128];
        snprintf(text, sizeof text, "%s %d x %d x %d", cj_dtype_info(dtype)->name, (int)s[0],
                 (int)s[1], (int)s[2]);
        double n_all = (double)(s[0] * s[1] * s[2]);
        check(outputs, n,
              (i % 3 == 0   ? 1e-6
               : i % 3 == 1 ? 1e-14
                            : 5e-3) *
                  (1 + sqrt(n_all)),
              0, text);
    }
}

/* Rows that are reduced and read again, twice over; and views of one element a row. */
static void rows_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * (sizeof shapes / sizeof *shapes); i++) {
        const int64_t *s = shapes[i / 2], last = 2;
        begin();
        cj_node *x = fed("x", i % 2 ? CJ_F64 : CJ_F32, 3, s),
                *mask = fed("m", i % 2 ? CJ_F64 : CJ_F32, 2, s);
        cj_node *mean = cj_reduce_mean(x, 1, &last, true), *centred = cj_sub(x, mean);
        cj_node *variance = cj_reduce_mean(cj_square(centred), 1, &last, false);
        cj_node *r = cj_expand_dims(cj_mul(cj_rsqrt(cj_shift(variance, 0.1)), mask), -1);
        cj_node *y = cj_mul(centred, r);
        cj_node *p = cj_softmax(cj_scale(y, 3), -1);
        cj_node *outputs[] = {y,
                              p,
                              cj_log_softmax(x, -1),
                              cj_logsumexp(y, 1, &last, false),
                              variance,
                              cj_sub(y, cj_logsumexp(y, 1, &last, true)),
                              cj_reduce_sum(p, 2, (int64_t[]){0, 1}, false),
                              cj_mul(p, cj_sub(x, cj_reduce_sum(cj_mul(x, p), 1, &last, true)))};
        char text[128];
        snprintf(text, sizeof text, "rows of %d x %d x %d", (int)s[0], (int)s[1], (int)s[2]);
        check(outputs, 8, i % 2 ? 1e-11 : 1e-5 * (1 + sqrt((double)s[0])), 0, text);
    }
}

/* A square, where a vector of one element a row looks like one a column. */
static void square(void **state)
{
    (void)state;
    int64_t last = 1, first = 0;
    cj_node *x = fed("x", CJ_F32, SHAPE(40, 40));
    cj_node *rows = cj_reduce_sum(x, 1, &last, false),
            *columns = cj_reduce_sum(x, 1, &first, false);
    cj_node *outputs[] = {cj_mul(x, rows), cj_mul(x, columns), cj_mul(x, cj_expand_dims(rows, 1)),
                          cj_add(cj_mul(x, cj_expand_dims(columns, 1)), rows),
                          cj_mul(rows, columns)};
    check(outputs, 5, 1e-5, 0, "a square");
}

static void special_numbers(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        const int64_t both[] = {0, 1}, last = 2;
        begin();
        cj_node *x = fed("x", CJ_F32, SHAPE(6, 50, i % 2 ? 7 : 130)), *y = cj_neg(x);
        cj_node *outputs[] = {cj_reduce_max(y, 2, both, false), cj_reduce_min(y, 2, both, false),
                              cj_reduce_sum(y, 2, both, false), cj_reduce_max(y, 0, NULL, false),
                              cj_reduce_max(y, 1, &last, false), cj_reduce_min(y, 1, &last, true),
                              cj_sub(y, cj_reduce_max(y, 1, &last, true))};
        check(outputs, 7, 1e-4, i, "special numbers");
    }
}

/* ---- How many sweeps ------------------------------------------------------------------------- */

/* Operands and results of at least `large` elements (with batch = 1) of all calls of a program. */
static void count_sweeps(const cj_program *p, int64_t large, int *read, int *written, int *calls)
{
    const cj_graph *graph = cj_program_graph(p);
    *read = *written = *calls = 0;
    for (int i = 0; i < graph->n_calls; i++) {
        const cj_call *call = graph->calls[i];
        int r = 0, w = 0;
        for (int k = 0; k < call->n_in + call->n_out; k++) {
            const cj_type *type = k < call->n_in ? &call->in[k]->type
                                                 : &call->out[k - call->n_in].type;
            int64_t n = 1;
            for (int axis = 0; axis < type->rank; axis++)
                n *= type->dim[axis] > 0 ? type->dim[axis] : 1;
            *(k < call->n_in ? &r : &w) += n >= large;
        }
        if (!call->n_in) continue;
        *read += r;
        *written += w;
        *calls += r || w;
    }
}

/* x -> batch_norm -> + residual -> relu, and back. Forward x is read for the mean, the variance and
 * the result; backward dy, y and x are read for the sums and again for the two gradients. */
static void batch_norm_training(void **state)
{
    (void)state;
    int read, written, calls;
    cj_dim batch = cj_symbol(g, "batch"), dims[] = {batch, 8, 8, 64};
    cj_node *x = cj_placeholder(g, "x", CJ_F32, 4, dims), *d[5];
    cj_node *r = cj_placeholder(g, "r", CJ_F32, 4, dims),
            *dy = cj_placeholder(g, "dy", CJ_F32, 4, dims);
    cj_node *scale = fed("scale", CJ_F32, SHAPE(64)), *shift = fed("shift", CJ_F32, SHAPE(64));
    cj_node *y = cj_relu(cj_add(cj_batch_norm(x, .scale = scale, .shift = shift), r));
    assert_ok(cj_vjp(&y, &dy, 1, (cj_node *[]){x, r, scale, shift}, 4, d), cj_message(cj));
    d[4] = y;
    cj_program *p = cj_compile(g, .output_list = d, .n_outputs = 5, .training = true);
    assert_non_null(p);
    count_sweeps(p, 64 * 64, &read, &written, &calls);
    print_message("batch norm: %d reads, %d writes, %d calls\n", read, written, calls);
    assert_in_range(calls, 0, 5);
    assert_in_range(read, 0, 10);
    assert_in_range(written, 0, 3);
    cj_program_free(p);
}

/* Forward x is read once; backward dy and x once, for the gradient and the sums of columns. */
static void layer_norm_training(void **state)
{
    (void)state;
    int read, written, calls;
    cj_dim dims[] = {cj_symbol(g, "batch"), 768};
    cj_node *x = cj_placeholder(g, "x", CJ_F32, 2, dims),
            *dy = cj_placeholder(g, "dy", CJ_F32, 2, dims);
    cj_node *scale = fed("scale", CJ_F32, SHAPE(768)), *shift = fed("shift", CJ_F32, SHAPE(768)),
            *d[4];
    cj_node *y = cj_layer_norm(x, .scale = scale, .shift = shift);
    assert_ok(cj_vjp(&y, &dy, 1, (cj_node *[]){x, scale, shift}, 3, d), cj_message(cj));
    d[3] = y;
    cj_program *p = cj_compile(g, .output_list = d, .n_outputs = 4, .training = true);
    assert_non_null(p);
    count_sweeps(p, 769, &read, &written, &calls);
    cj_program_free(p);
}

/* All sums over x are one sweep, though one wants a view that was asked for after another reader of
 * the group: what it views was there before. */
static void view_asked_for_late(void **state)
{
    (void)state;
    int read, written, calls;
    const int64_t first = 0;
    cj_node *x = fed("x", CJ_F32, SHAPE(500, 32)), *e = cj_exp(x);
    cj_node *mean = cj_matmul(fed("a", CJ_F32, SHAPE(1, 4)), fed("b", CJ_F32, SHAPE(4, 32)));
    cj_node *outputs[] = {cj_reduce_sum(e, 1, &first, false),
                          cj_matmul(e, fed("w", CJ_F32, SHAPE(32, 2))),
                          cj_reduce_sum(cj_square(cj_sub(x, cj_reshape(mean, SHAPE(32)))), 1,
                                        &first, false)};
    cj_program *p = cj_compile(g, .output_list = outputs, .n_outputs = 3);
    assert_non_null(p);
    count_sweeps(p, 500 * 32, &read, &written, &calls);
    assert_int_equal(calls, 2); /* and the product */
    assert_int_equal(read, 2);
    cj_program_free(p);
    check(outputs, 3, 1e-4, 0, "late view");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_again, setup, teardown),
        cmocka_unit_test_setup_teardown(square, setup, teardown),
        cmocka_unit_test_setup_teardown(special_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(batch_norm_training, setup, teardown),
        cmocka_unit_test_setup_teardown(layer_norm_training, setup, teardown),
        cmocka_unit_test_setup_teardown(view_asked_for_late, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
