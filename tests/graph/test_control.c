/* test_control.c: if, loop and scan against plain C, and their gradients against differences: sizes
 * found out while running, bodies in bodies, no iterations at all. The rows' own samples are in
 * test_ops. */
#include "control_support.h"

#include "base/context.h"

/* ---- Sizes found out while running ----------------------------------------------------------- */

/* c *= x for `limit` times, stacking c: the powers of x. Returns [limit, 3]. */
static cj_node *powers(cj_graph *g, cj_node *limit, cj_node *x)
{
    cj_graph *body = cj_graph_new(cj);
    loop_inputs(body);
    cj_node *c = cj_placeholder(body, "c", CJ_F64, CJ_DIMS(cj_symbol(body, "n")));
    cj_node *factor = cj_placeholder(body, "x", CJ_F64, CJ_DIMS(cj_symbol(body, "n")));
    c = cj_mul(c, factor);
    cj_graph_output(body, NULL, cj_scalar(body, CJ_BOOL, 1));
    cj_graph_output(body, NULL, c);
    cj_graph_output(body, NULL, c);
    cj_node *one = cj_full_like(x, 1);
    (void)g;
    return cj_node_output(cj_loop(limit, NULL, &one, 1, body, &x, 1), 1);
}

static void a_loop_tells_later_sizes(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_node *limit = cj_placeholder(g, "limit", CJ_I64, CJ_SCALAR),
            *x = variable(g, "x", 1, 1, (int64_t[]){3});
    cj_node *w = variable(g, "w", 2, 2, (int64_t[]){3, 2}), *p = powers(g, limit, x);
    cj_node *y = cj_matmul(p, w),
            *twice = cj_concat(((cj_node *[]){y, cj_reshape(y, CJ_DIMS(CJ_INFER, 2))}), 2, 0);
    runner r;
    open_runner(&r, g,
                (cj_node *[]){p, y, twice, cj_sum(cj_square(p)),
                              cj_dim_value(g, cj_node_dim(twice, 0))},
                5);
    const double *xs = doubles(cj_store_get(cj_graph_store(g), "x")),
                 *ws = doubles(cj_store_get(cj_graph_store(g), "w"));
    static const int64_t counts[] = {4, 0, 1, 4, 3000, 7, 4};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        cj_tensor *n = cj_tensor_scalar(cj, CJ_I64, (double)counts[k]);
        run(&r, &(cj_feed){.node = limit, .value = n}, 1);
        cj_tensor_free(n);
        assert_int_equal(cj_tensor_shape(r.out[0])[0], counts[k]);
        assert_int_equal(cj_tensor_shape(r.out[1])[0], counts[k]);
        assert_int_equal(cj_tensor_shape(r.out[2])[0], 2 * counts[k]);
        assert_int_equal(*(const int64_t *)cj_tensor_map_read(r.out[4]), 2 * counts[k]);
        double power[3] = {1, 1, 1}, sum = 0;
        for (int64_t t = 0; t < counts[k]; t++) {
            double row[2] = {0};
            for (int i = 0; i < 3; i++) {
                power[i] *= xs[i];
                sum += power[i] * power[i];
                row[0] += power[i] * ws[2 * i];
                row[1] += power[i] * ws[2 * i + 1];
                assert_near(doubles(r.out[0])[3 * t + i], power[i], 1e-14, "power", t);
            }
            for (int i = 0; i < 2; i++) {
                assert_near(doubles(r.out[1])[2 * t + i], row[i], 1e-13, "product", t);
                assert_near(doubles(r.out[2])[2 * (t + counts[k]) + i], row[i], 1e-13, "concat", t);
            }
        }
        assert_near(scalar(&r, 3), sum, 1e-13, "sum", 0);
    }
    close_runner(&r);
}

static void gradients_flow_through_found_sizes(void **state)
{
    (void)state;
    for (int64_t count = 0; count < 5; count += 2) {
        cj_graph *g = cj_graph_new(cj);
        cj_node *limit = cj_placeholder(g, "limit", CJ_I64, CJ_SCALAR),
                *x = variable(g, "x", 1, 1, (int64_t[]){3});
        cj_node *w = variable(g, "w", 2, 2, (int64_t[]){3, 2}),
                *loss = cj_sum(cj_sin(cj_matmul(powers(g, limit, x), w)));
        cj_tensor *n = cj_tensor_scalar(cj, CJ_I64, (double)count);
        check_gradients(g, loss, (cj_node *[]){x, w}, 2, &(cj_feed){.node = limit, .value = n}, 1);
        cj_tensor_free(n);
        cj_graph_free(g);
    }
}

/* then: powers of x, as many as `limit`; else: two rows of x. Neither length is known before. */
static void branches_may_find_sizes(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj), *then = cj_graph_new(cj), *other = cj_graph_new(cj);
    cj_node *limit = cj_placeholder(g, "limit", CJ_I64, CJ_SCALAR),
            *which = cj_placeholder(g, "which", CJ_BOOL, CJ_SCALAR);
    cj_node *x = variable(g, "x", 1, 1, (int64_t[]){3});
    for (int i = 0; i < 2; i++) {
        cj_graph *body = i ? other : then;
        cj_node *n = cj_placeholder(body, "limit", CJ_I64, CJ_SCALAR),
                *v = cj_placeholder(body, "x", CJ_F64, CJ_DIMS(3));
        cj_node *p = i ? v : powers(body, n, v);
        cj_graph_output(body, NULL,
                        i ? cj_stack((cj_node *[]){v, cj_exp(v)}, 2, 0)
                          : cj_concat(((cj_node *[]){p, p}), 2, 0));
    }
    cj_node *rows = cj_if(which, then, other, (cj_node *[]){limit, x}, 2),
            *loss = cj_sum(cj_square(rows));
    runner r;
    open_runner(&r, g, (cj_node *[]){rows, loss}, 2);
    cj_tensor *n = cj_tensor_scalar(cj, CJ_I64, 3);
    for (int take = 1; take >= 0; take--) {
        cj_tensor *b = cj_tensor_scalar(cj, CJ_BOOL, take);
        const cj_feed feeds[] = {{.node = limit, .value = n}, {.node = which, .value = b}};
        run(&r, feeds, 2);
        assert_int_equal(cj_tensor_shape(r.out[0])[0], take ? 6 : 2);
        const double *xs = doubles(cj_store_get(cj_graph_store(g), "x"));
        for (int i = 0; i < 3; i++)
            assert_near(doubles(r.out[0])[3 + i], take ? xs[i] * xs[i] : exp(xs[i]), 1e-14, "row 1",
                        i);
        check_gradients(g, loss, &x, 1, feeds, 2);
        cj_tensor_free(b);
    }
    cj_tensor_free(n);
    close_runner(&r);
}

/* A scan whose elements' sizes are found out by a loop inside: as many powers as `limit` of each
 * row. */
static void elements_may_find_sizes(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj), *body = cj_graph_new(cj);
    cj_node *x = variable(g, "x", 1, 2, (int64_t[]){2, 3}),
            *limits = cj_placeholder(g, "limits", CJ_I64, CJ_DIMS(2));
    cj_node *row = cj_placeholder(body, "row", CJ_F64, CJ_DIMS(cj_symbol(body, "m"))),
            *n = cj_placeholder(body, "n", CJ_I64, CJ_SCALAR);
    cj_graph_output(body, NULL, powers(body, n, row));
    cj_node *all = cj_scan(NULL, 0, (cj_node *[]){x, limits}, 2, true, body, NULL, 0),
            *loss = cj_sum(cj_square(all));
    runner r;
    open_runner(&r, g, (cj_node *[]){all, loss}, 2);
    cj_tensor *equal = cj_tensor_from(cj, CJ_I64, 1, (int64_t[]){2}, (int64_t[]){3, 3});
    cj_tensor *ragged = cj_tensor_from(cj, CJ_I64, 1, (int64_t[]){2}, (int64_t[]){3, 4});
    const cj_feed feed = {.node = limits, .value = equal};
    run(&r, &feed, 1);
    assert_int_equal(cj_tensor_rank(r.out[0]), 3);
    const double *xs = doubles(cj_store_get(cj_graph_store(g), "x"));
    for (int t = 0; t < 2; t++)
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < 3; i++)
                assert_near(doubles(r.out[0])[9 * t + 3 * k + i], pow(xs[3 * t + i], k + 1), 1e-13,
                            "power", 9 * t + 3 * k + i);
    drop_outputs(&r);
    assert_int_equal(cj_run(r.session, &(cj_feed){.node = limits, .value = ragged}, 1, r.out, 2),
                     CJ_ERR_SHAPE);
    assert_string_equal(
        cj_session_message(r.session),
        "scan: element 0: output 0 has shape (3, 3), but (4, 3) in the iterations before");
    check_gradients(g, loss, &x, 1, &feed, 1);
    cj_tensor_free(equal), cj_tensor_free(ragged);
    close_runner(&r);
}

/* ---- Scans ----------------------------------------------------------------------------------- */

/* h = tanh(h u + x), stacking h; lengths and batches by symbol. */
static cj_node *cell(cj_node *h0, cj_node *xs, cj_node *u, bool reverse)
{
    cj_graph *body = cj_graph_new(cj);
    cj_dim rows = cj_symbol(body, "rows");
    cj_node *h = cj_placeholder(body, "h", CJ_F64, CJ_DIMS(rows, 2)),
            *x = cj_placeholder(body, "x", CJ_F64, CJ_DIMS(rows, 2));
    h = cj_tanh(cj_add(cj_matmul(h, cj_placeholder(body, "u", CJ_F64, CJ_DIMS(2, 2))), x));
    cj_graph_output(body, NULL, h);
    cj_graph_output(body, NULL, h);
    return cj_scan(&h0, 1, &xs, 1, reverse, body, &u, 1);
}

static void scans_bind_symbols_anew(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_dim batch = cj_symbol(g, "batch"), length = cj_symbol(g, "length");
    cj_node *h0 = cj_placeholder(g, "h0", CJ_F64, CJ_DIMS(batch, 2)),
            *xs = cj_placeholder(g, "xs", CJ_F64, CJ_DIMS(length, batch, 2));
    cj_node *u = variable(g, "u", 3, 2, (int64_t[]){2, 2});
    cj_node *last[] = {cell(h0, xs, u, false), cell(h0, xs, u, true)};
    runner r;
    open_runner(
        &r, g,
        (cj_node *[]){last[0], cj_node_output(last[0], 1), last[1], cj_node_output(last[1], 1)}, 4);
    assert_true(cj_node_dim(last[0], 0) == batch &&
                cj_node_dim(cj_node_output(last[1], 1), 0) == length);
    const double *w = doubles(cj_store_get(cj_graph_store(g), "u"));
    static const int64_t sizes[][2] = {{1, 3}, {2, 4}, {3, 0}, {0, 2}, {1, 1}, {2, 4}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const int64_t b = sizes[s][0], n = sizes[s][1];
        cj_tensor *h = wave(4, 2, (int64_t[]){b, 2}), *x = wave(5, 3, (int64_t[]){n, b, 2});
        run(&r, (cj_feed[]){{.node = h0, .value = h}, {.node = xs, .value = x}}, 2);
        for (int64_t i = 0; i < 2 * b; i += 2) {
            for (int way = 0; way < 2; way++) {
                double v[2] = {doubles(h)[i], doubles(h)[i + 1]};
                for (int64_t k = 0; k < n; k++) {
                    int64_t t = way ? n - 1 - k : k;
                    double p = v[0] * w[0] + v[1] * w[2], q = v[0] * w[1] + v[1] * w[3];
                    v[0] = tanh(p + doubles(x)[2 * b * t + i]);
                    v[1] = tanh(q + doubles(x)[2 * b * t + i + 1]);
                    assert_near(doubles(r.out[2 * way + 1])[2 * b * t + i + 1], v[1], 1e-13,
                                "state", t);
                }
                assert_near(doubles(r.out[2 * way])[i], v[0], 1e-13, "last state", i);
            }
        }
        cj_tensor_free(h), cj_tensor_free(x);
    }
    close_runner(&r);
    cj_tensor *h = wave(4, 2, (int64_t[]){2, 2}), *x = wave(5, 3, (int64_t[]){3, 2, 2});
    cj_node *loss = cj_add(cj_sum(cj_square(last[0])), cj_sum(cj_exp(cj_node_output(last[1], 1))));
    check_gradients(g, loss, &u, 1, (cj_feed[]){{.node = h0, .value = h}, {.node = xs, .value = x}},
                    2);
    cj_tensor_free(h), cj_tensor_free(x);
}

/* ---- Bodies in bodies ------------------------------------------------------------------------ */

/* f(s, x) = x > 0 ? s after three times s = sin(s + x) : s x, for each x of a sequence; a loop in
 * an if in a scan. */
static cj_node *nested(cj_node *s0, cj_node *xs)
{
    cj_graph *scan = cj_graph_new(cj), *branch[] = {cj_graph_new(cj), cj_graph_new(cj)},
             *loop = cj_graph_new(cj);
    loop_inputs(loop);
    cj_node *s = cj_placeholder(loop, "s", CJ_F64, CJ_SCALAR),
            *x = cj_placeholder(loop, "x", CJ_F64, CJ_SCALAR);
    cj_graph_output(loop, NULL, cj_scalar(loop, CJ_BOOL, 1));
    cj_graph_output(loop, NULL, cj_sin(cj_add(s, x)));
    for (int i = 0; i < 2; i++) {
        s = cj_placeholder(branch[i], "s", CJ_F64, CJ_SCALAR),
        x = cj_placeholder(branch[i], "x", CJ_F64, CJ_SCALAR);
        cj_graph_output(branch[i], NULL,
                        i ? cj_mul(s, x)
                          : cj_loop(cj_scalar(branch[i], CJ_I64, 3), NULL, &s, 1, loop, &x, 1));
    }
    s = cj_placeholder(scan, "s", CJ_F64, CJ_SCALAR),
    x = cj_placeholder(scan, "x", CJ_F64, CJ_SCALAR);
    s = cj_if(cj_greater(x, cj_scalar(scan, CJ_F64, 0)), branch[0], branch[1], (cj_node *[]){s, x},
              2);
    cj_graph_output(scan, NULL, s);
    cj_graph_output(scan, NULL, s);
    return cj_scan(&s0, 1, &xs, 1, false, scan, NULL, 0);
}

static void bodies_nest(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_node *s0 = variable(g, "s", 7, 0, NULL), *xs = variable(g, "x", 8, 1, (int64_t[]){6}),
            *last = nested(s0, xs);
    runner r;
    open_runner(&r, g, (cj_node *[]){last, cj_node_output(last, 1)}, 2);
    run(&r, NULL, 0);
    double s = *doubles(cj_store_get(cj_graph_store(g), "s"));
    const double *x = doubles(cj_store_get(cj_graph_store(g), "x"));
    for (int t = 0; t < 6; t++) {
        for (int k = 0; k < 3 && x[t] > 0; k++) s = sin(s + x[t]);
        if (x[t] <= 0) s *= x[t];
        assert_near(doubles(r.out[1])[t], s, 1e-14, "state", t);
    }
    assert_near(scalar(&r, 0), s, 1e-14, "last", 0);
    close_runner(&r);
    check_gradients(g, cj_add(last, cj_sum(cj_square(cj_node_output(last, 1)))),
                    (cj_node *[]){s0, xs}, 2, NULL, 0);
}

/* ---- Loops that end by themselves ------------------------------------------------------------ */

/* Collatz: n -> n/2 or 3n+1 until it is 1; the length of the way is known at its end. */
static void a_condition_ends_a_loop(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj), *body = cj_graph_new(cj);
    cj_node *start = cj_placeholder(g, "n", CJ_I64, CJ_SCALAR), *one = cj_scalar(g, CJ_I64, 1);
    loop_inputs(body);
    cj_node *n = cj_placeholder(body, "n", CJ_I64, CJ_SCALAR), *two = cj_scalar(body, CJ_I64, 2),
            *unit = cj_scalar(body, CJ_I64, 1);
    cj_node *odd = cj_equal(cj_mod(n, two), unit);
    n = cj_where(odd, cj_add(cj_mul(n, cj_scalar(body, CJ_I64, 3)), unit), cj_div(n, two));
    cj_graph_output(body, NULL, cj_not_equal(n, unit));
    cj_graph_output(body, NULL, n);
    cj_graph_output(body, NULL, n);
    cj_node *end = cj_loop(NULL, cj_not_equal(start, one), &start, 1, body, NULL, 0);
    runner r;
    cj_node *way = cj_node_output(end, 1), *all[] = {cj_reshape(start, CJ_DIMS(1)), way};
    open_runner(&r, g, (cj_node *[]){end, way, cj_reduce_max(cj_concat(all, 2, 0), 0, NULL, false)},
                3);
    static const struct {
        int64_t start, steps, most;
    } ways[] = {{27, 111, 9232}, {1, 0, 1}, {6, 8, 16}, {27, 111, 9232}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        cj_tensor *t = cj_tensor_scalar(cj, CJ_I64, (double)ways[i].start);
        run(&r, &(cj_feed){.node = start, .value = t}, 1);
        cj_tensor_free(t);
        assert_int_equal(*(const int64_t *)cj_tensor_map_read(r.out[0]), 1);
        assert_int_equal(cj_tensor_count(r.out[1]), ways[i].steps);
        assert_int_equal(*(const int64_t *)cj_tensor_map_read(r.out[2]), ways[i].most);
    }
    close_runner(&r);
}

static void negative_limits_run_nothing(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = variable(g, "x", 1, 1, (int64_t[]){3});
    cj_node *known = powers(g, cj_scalar(g, CJ_I64, -4), x),
            *limit = cj_placeholder(g, "limit", CJ_I64, CJ_SCALAR);
    assert_true(cj_node_dim(known, 0) == 0);
    assert_true(cj_node_dim(powers(g, cj_scalar(g, CJ_I64, 5), x), 0) == 5);
    runner r;
    open_runner(&r, g, (cj_node *[]){powers(g, limit, x)}, 1);
    cj_tensor *t = cj_tensor_scalar(cj, CJ_I64, -1);
    run(&r, &(cj_feed){.node = limit, .value = t}, 1);
    assert_int_equal(cj_tensor_shape(r.out[0])[0], 0);
    cj_tensor_free(t);
    close_runner(&r);
}

/* With sizes that are known, steps are laid over the arrays that are there. */
static void steady_runs_allocate_nothing(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_node *s0 = variable(g, "s", 7, 0, NULL), *xs = variable(g, "x", 8, 1, (int64_t[]){50}),
            *last = nested(s0, xs), *ds;
    cj_grad(last, &s0, 1, &ds);
    runner r;
    open_runner(&r, g, (cj_node *[]){last, cj_node_output(last, 1), ds}, 3);
    run(&r, NULL, 0);
    int64_t before = cj__allocation_count(cj);
    for (int i = 0; i < 3; i++) assert_int_equal(cj_run(r.session, NULL, 0, r.out, 3), CJ_OK);
    assert_int_equal(cj__allocation_count(cj), before);
    close_runner(&r);
}

/* One program in two sessions, and one after the other with other threads and backends. */
static void sessions_agree(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_node *limit = cj_scalar(g, CJ_I64, 9), *x = variable(g, "x", 1, 1, (int64_t[]){3}),
            *p = powers(g, limit, x), *dx;
    cj_grad(p, &x, 1, &dx);
    assert_built(g);
    cj_program *program = cj_compile(g, .outputs = {p, dx});
    cj_tensor *first[2] = {NULL};
    for (int i = 0; i < 4; i++) {
        cj_tensor *out[2] = {NULL};
        cj_session *s =
            cj_session_new_opts(program, cj_graph_store(g),
                                &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                   .threads = 1 + i % 3,
                                                   .backend = i == 3 ? "reference" : NULL});
        assert_non_null(s);
        assert_int_equal(cj_run(s, NULL, 0, out, 2), CJ_OK);
        for (int k = 0; k < 2; k++) {
            if (i == 3) assert_true(cj_tensor_close(out[k], first[k], 1e-13, 1e-13, NULL));
            else if (i) assert_true(cj_tensor_equal(out[k], first[k]));
            if (i) cj_tensor_free(out[k]);
            else first[k] = out[k];
        }
        cj_session_free(s);
    }
    cj_tensor_free(first[0]), cj_tensor_free(first[1]);
    cj_program_free(program);
}

/* What is true in training is true in bodies too. */
static void bodies_know_the_training_mode(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj), *body = cj_graph_new(cj);
    cj_node *x = variable(g, "x", 1, 1, (int64_t[]){3}),
            *e = cj_placeholder(body, "e", CJ_F64, CJ_SCALAR);
    cj_graph_output(body, NULL, cj_where(cj_training(body), e, cj_neg(e)));
    cj_node *y = cj_scan(NULL, 0, &x, 1, false, body, NULL, 0);
    assert_built(g);
    for (int training = 0; training < 2; training++) {
        cj_program *p = cj_compile(g, .outputs = {y}, .training = training);
        cj_session *s = cj_session_new(p, cj_graph_store(g));
        cj_tensor *out = NULL;
        assert_int_equal(cj_run(s, NULL, 0, &out, 1), CJ_OK);
        for (int i = 0; i < 3; i++)
            assert_true(doubles(out)[i] ==
                        (training ? 1 : -1) * doubles(cj_store_get(cj_graph_store(g), "x"))[i]);
        cj_tensor_free(out);
        cj_session_free(s);
        cj_program_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_loop_tells_later_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(gradients_flow_through_found_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(branches_may_find_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(elements_may_find_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(scans_bind_symbols_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(bodies_nest, setup, teardown),
        cmocka_unit_test_setup_teardown(a_condition_ends_a_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(negative_limits_run_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(steady_runs_allocate_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(sessions_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(bodies_know_the_training_mode, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
