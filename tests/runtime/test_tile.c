/* Fused elementwise groups against the same calls one by one on the reference kernels: every way a
 * smaller operand is broadcast, sizes around the tile, mixed dtypes, results written over operands
 * that are still read, groups at their limits, and no bit that depends on the number of threads. */
#include "run_support.h"

static cj_context *cj;
static cj_graph *g;
static int64_t symbol_sizes[4]; /* what the graph's symbols are fed as, in their order */

static int setup(void **state)
{
    (void)state;
    random_state = 11;
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

static cj_node *fed(const char *name, cj_dtype dtype, int rank, const int64_t *shape)
{
    return cj_placeholder(g, name, dtype, rank, shape);
}

static cj_node *variable(const char *name, cj_dtype dtype, int rank, const int64_t *shape)
{
    cj_tensor *t = random_tensor(cj, dtype, rank, shape);
    cj_node *node = cj_variable(g, name, t);
    cj_tensor_free(t);
    return node;
}

/* Runs the outputs fused on the vector kernels and plainly on the reference, on the same inputs,
 * and compares. */
static void check(cj_node *const *outputs, int n, double tolerance, const char *what)
{
    if (cj_graph_failed(g)) print_error("%s: %s\n", what, cj_message(cj));
    assert_int_equal(cj_graph_failed(g), CJ_OK);
    cj_program *p[2];
    cj_session *s[2];
    cj_tensor *out[2][CJ_OUTPUTS_MAX] = {{NULL}}, *in[16];
    cj_feed feeds[16];
    int n_in = cj_graph_input_count(g);
    assert_in_range(n_in, 0, 16);
    for (int i = 0; i < n_in; i++) {
        const cj_type *type = cj_node_type(cj_graph_input_at(g, i));
        int64_t dims[CJ_RANK_MAX];
        for (int k = 0; k < type->rank; k++)
            dims[k] = type->dim[k] < 0 ? symbol_sizes[-1 - type->dim[k]] : type->dim[k];
        in[i] = random_tensor(cj, type->dtype, type->rank, dims);
        feeds[i] = (cj_feed){cj_graph_input_at(g, i), in[i]};
    }
    for (int way = 0; way < 2; way++) {
        p[way] = cj_compile(g, .output_list = outputs, .n_outputs = n, .no_passes = !way);
        if (!p[way]) print_error("%s: %s\n", what, cj_message(cj));
        assert_non_null(p[way]);
        s[way] = cj_session_new_opts(p[way], cj_graph_store(g),
                                     &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                        .backend = way ? "cpu" : "reference",
                                                        .threads = 1});
        assert_non_null(s[way]);
        assert_ok(cj_run(s[way], feeds, n_in, out[way], n), cj_session_message(s[way]));
    }
    for (int i = 0; i < n; i++) {
        char text[256];
        snprintf(text, sizeof text, "%s: output %d", what, i);
        assert_tensors_close(out[0][i], out[1][i], tolerance, text);
    }
    for (int way = 0; way < 2; way++) {
        for (int i = 0; i < n; i++) cj_tensor_free(out[way][i]);
        cj_session_free(s[way]);
        cj_program_free(p[way]);
    }
    for (int i = 0; i < n_in; i++) cj_tensor_free(in[i]);
}

/* ---- Patterns -------------------------------------------------------------------------------- */

static void patterns(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {{1, 1, 1},    {1, 7, 1},    {1, 1, 1023}, {2, 1, 512},
                                        {1, 25, 41},  {5, 100, 10}, {8, 3, 128},  {3, 3, 1000},
                                        {2, 2, 3000}, {1, 1, 5000}, {3000, 1, 2}, {1024, 1, 1},
                                        {7, 11, 13},  {2, 1024, 1}, {3, 1025, 1}, {0, 4, 5},
                                        {17, 31, 33}};
    static const cj_dtype dtypes[] = {CJ_F32, CJ_F64, CJ_F16};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (size_t d = 0; d < 3; d++) {
            const int64_t *s = shapes[i];
            cj_graph_free(g);
            g = cj_graph_new(cj);
            cj_node *x = fed("x", dtypes[d], 3, s);
            cj_node *small[8] = {fed("scalar", dtypes[d], 0, NULL),
                                 fed("one", dtypes[d], SHAPE(1, 1)),
                                 fed("row", dtypes[d], 1, s + 2),
                                 fed("rows", dtypes[d], 2, s + 1),
                                 fed("column", dtypes[d], SHAPE(s[0], s[1], 1)),
                                 fed("outer", dtypes[d], SHAPE(s[0], 1, 1)),
                                 fed("middle", dtypes[d], SHAPE(s[1], 1)),
                                 fed("general", dtypes[d], SHAPE(s[0], 1, s[2]))};
            cj_node *outputs[12], *all = x;
            for (int k = 0; k < 8; k++) {
                outputs[k] = k % 2 ? cj_sub(cj_tanh(x), cj_mul(small[k], x))
                                   : cj_maximum(small[k], cj_scale(cj_add(small[k], x), 0.5));
                all = cj_add(cj_scale(all, 0.5), cj_mul(small[7 - k], k % 2 ? all : x));
            }
            outputs[8] = all; /* many patterns in one group */
            outputs[9] = cj_where(cj_less(small[2], x), small[4], small[0]);
            outputs[10] = cj_where(cj_greater(small[0], small[1]), x, small[7]);
            char text[128];
            snprintf(text, sizeof text, "%s of %d x %d x %d", cj_dtype_info(dtypes[d])->name,
                     (int)s[0], (int)s[1], (int)s[2]);
            check(outputs, 11, d == 0 ? 1e-5 : d == 1 ? 1e-13 : 1e-2, text);
        }
    }
}

/* Forms that have a kernel of their own, and near ones that have not: the same bits, but
 * for the quotient in Adam's step. */
static void idioms(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 7, 1023, 1024, 1025, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cj_graph_free(g);
        g = cj_graph_new(cj);
        int64_t n = sizes[i];
        cj_node *a = fed("a", CJ_F32, SHAPE(3, n)), *b = fed("b", CJ_F32, SHAPE(3, n)),
                *c = fed("c", CJ_F32, SHAPE(3, n)), *s = fed("s", CJ_F32, 0, NULL),
                *t = fed("t", CJ_F32, SHAPE(1, 1)), *row = fed("row", CJ_F32, SHAPE(n)),
                *column = fed("column", CJ_F32, SHAPE(3, 1));
        cj_node *as = cj_mul(a, s), *read_twice = cj_mul(b, s);
        cj_node *root = cj_shift(cj_sqrt(cj_abs(c)), 0.25);
        cj_node *outputs[] = {
            cj_add(cj_mul(a, s), cj_mul(b, t)),
            cj_add(cj_mul(t, b), as),
            cj_add(cj_mul(s, cj_square(b)), cj_mul(a, t)),
            cj_sub(a, cj_div(cj_mul(s, b), root)),
            cj_sub(a, cj_div(cj_mul(b, t), cj_add(t, cj_sqrt(cj_abs(row))))),
            cj_add(b, cj_mul(s, c)),
            cj_add(cj_mul(s, row), b),
            cj_add(cj_mul(s, column), cj_mul(b, t)),
            cj_add(cj_mul(row, s), cj_mul(column, t)),
            cj_sub(a, cj_mul(s, b)),
            cj_sub(cj_mul(b, s), a),
            cj_sub(read_twice, cj_add(read_twice, c)),
            cj_add(cj_mul(s, t), a),
            cj_where(cj_greater(b, cj_scalar(g, CJ_F32, 0)), a, cj_scalar(g, CJ_F32, 0)),
            as,
        };
        const int count = (int)(sizeof outputs / sizeof *outputs);
        char text[64];
        for (int k = 0; k < count; k++) {
            snprintf(text, sizeof text, "idiom %d, 3 x %d", k, (int)n);
            check(outputs + k, 1, k == 3 ? 1e-7 : 0, text);
        }
        snprintf(text, sizeof text, "idioms that share, 3 x %d", (int)n);
        check(outputs, count, 1e-7, text);
    }
}

/* GELU and its gradient, whose erf and exp have errors of their own. */
static void idioms_of_gelu(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 7, 1024, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cj_graph_free(g);
        g = cj_graph_new(cj);
        int64_t n = sizes[i];
        cj_node *a = fed("a", CJ_F32, SHAPE(3, n)), *b = fed("b", CJ_F32, SHAPE(3, n)),
                *c = fed("c", CJ_F32, SHAPE(3, n)), *s = fed("s", CJ_F32, 0, NULL),
                *t = fed("t", CJ_F32, SHAPE(1, 1));
        cj_node *bump = cj_mul(t, cj_exp(cj_mul(cj_square(a), s))), *gelu = cj_gelu(a), *slope;
        assert_ok(cj_vjp(&gelu, &c, 1, &a, 1, &slope), cj_message(cj));
        cj_node *outputs[] = {
            cj_mul(cj_shift(cj_erf(cj_mul(a, s)), 1), t),
            cj_mul(c, cj_add(b, cj_mul(bump, a))),
            cj_mul(cj_add(cj_mul(a, bump), b), c),
            cj_mul(c, cj_add(b, cj_mul(bump, c))), /* not it: another is squared */
            gelu,
            slope,
        };
        const int count = (int)(sizeof outputs / sizeof *outputs);
        char text[64];
        for (int k = 0; k < count; k++) {
            snprintf(text, sizeof text, "gelu %d, 3 x %d", k, (int)n);
            check(outputs + k, 1, 1e-6, text);
        }
        snprintf(text, sizeof text, "gelu, 3 x %d", (int)n);
        check(outputs, count, 1e-6, text);
    }
}

/* The same with operands that repeat along rows, spread out or read in place. */
static void idioms_along_rows(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 7, 16, 127, 128, 1025};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cj_graph_free(g);
        g = cj_graph_new(cj);
        int64_t n = sizes[i], rows = 9000 / n;
        cj_node *a = fed("a", CJ_F32, SHAPE(rows, n)), *b = fed("b", CJ_F32, SHAPE(rows, n)),
                *c = fed("c", CJ_F32, SHAPE(rows, n)), *s = fed("s", CJ_F32, 0, NULL),
                *row = fed("row", CJ_F32, SHAPE(n)), *other = fed("other", CJ_F32, SHAPE(1, n)),
                *column = fed("column", CJ_F32, SHAPE(rows, 1)), *zero = cj_scalar(g, CJ_F32, 0);
        cj_node *outputs[] = {
            cj_add(cj_mul(a, row), other),
            cj_add(c, cj_mul(row, b)),
            cj_relu(cj_add(cj_mul(a, row), other)),
            cj_relu(cj_add(cj_add(cj_mul(row, a), other), c)),
            cj_where(cj_greater(cj_add(cj_mul(b, row), other), zero), a, zero),
            cj_mul(cj_sub(b, row), a),
            cj_mul(cj_sub(row, b), a), /* not it: the row comes first */
            cj_add(cj_add(cj_mul(a, row), cj_mul(b, other)), row),
            cj_add(cj_mul(a, column), row),
            cj_add(cj_mul(a, s), row),
            cj_add(cj_mul(a, cj_reduce_sum(b, 1, &(int64_t){1}, true)), row),
            cj_relu(cj_add(cj_mul(row, other), a)),
        };
        const int count = (int)(sizeof outputs / sizeof *outputs);
        char text[64];
        for (int k = 0; k < count; k++) {
            const bool sum = k == 10; /* in another order */
            snprintf(text, sizeof text, "idiom %d, rows of %d", k, (int)n);
            check(outputs + k, 1, sum ? 1e-4 : 0, text);
        }
        snprintf(text, sizeof text, "idioms that share, rows of %d", (int)n);
        check(outputs, count, 1e-4, text);
    }
}

static void dtypes_mixed(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 7, 1023, 1024, 1025, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cj_graph_free(g);
        g = cj_graph_new(cj);
        int64_t n = sizes[i];
        cj_node *f = fed("f", CJ_F32, SHAPE(n)), *d = fed("d", CJ_F64, SHAPE(n)),
                *k = fed("k", CJ_I32, SHAPE(n)), *u = fed("u", CJ_U8, SHAPE(n));
        cj_node *b = fed("b", CJ_BOOL, SHAPE(n)), *l = fed("l", CJ_I64, SHAPE(1)),
                *h = fed("h", CJ_BF16, SHAPE(n));
        cj_node *wide = cj_scale(f, 300);
        cj_node *outputs[] = {
            cj_cast(cj_mul(cj_cast(f, CJ_F64), d), CJ_F32),
            cj_cast(wide, CJ_U8),
            cj_cast(wide, CJ_I8),
            cj_cast(wide, CJ_I32),
            cj_cast(cj_cast(wide, CJ_I64), CJ_F32),
            cj_logical_and(b, cj_logical_not(cj_less(f, cj_scalar(g, CJ_F32, 0)))),
            cj_where(b, k, cj_cast(l, CJ_I32)),
            cj_where(cj_logical_xor(b, cj_equal(k, cj_cast(l, CJ_I32))), cj_cast(u, CJ_F32), f),
            cj_add(cj_mul(k, k), cj_cast(u, CJ_I32)),
            cj_mul(cj_cast(b, CJ_F32), f),
            cj_add(cj_cast(h, CJ_F32), f),
            cj_cast(f, CJ_BF16),
            cj_cast(f, CJ_BOOL),
            cj_sub(u, cj_scalar(g, CJ_U8, 7)), /* wraps */
            cj_div(k, cj_cast(u, CJ_I32))};
        check(outputs, (int)(sizeof outputs / sizeof *outputs), 1e-6, "mixed dtypes");
    }
}

static void special_numbers(void **state)
{
    (void)state;
    static const double values[] = {0,    -0.0,   1,     -1,  INFINITY, -INFINITY,  NAN,
                                    1e38, -1e38,  255.5, 256, -0.5,     2147483647, -2147483649.0,
                                    1e10, -1e300, 0.5,   1.5, 2.5};
    enum { N = sizeof values / sizeof *values };
    for (int d = 0; d < 2; d++) {
        cj_graph_free(g);
        g = cj_graph_new(cj);
        cj_tensor *t = cj_tensor_new(cj, d ? CJ_F64 : CJ_F32, SHAPE(N * N)),
                  *u = cj_tensor_new(cj, d ? CJ_F64 : CJ_F32, SHAPE(N * N));
        void *p = cj_tensor_map(t, CJ_MAP_WRITE), *q = cj_tensor_map(u, CJ_MAP_WRITE);
        for (int i = 0; i < N * N; i++) {
            cj_store_f64(d ? CJ_F64 : CJ_F32, p, (size_t)i, values[i / N]);
            cj_store_f64(d ? CJ_F64 : CJ_F32, q, (size_t)i, values[i % N]);
        }
        cj_node *x = cj_variable(g, "x", t), *y = cj_variable(g, "y", u);
        cj_tensor_free(t), cj_tensor_free(u);
        cj_node *outputs[] = {cj_maximum(x, y),
                              cj_minimum(x, y),
                              cj_less(x, y),
                              cj_equal(x, y),
                              cj_cast(x, CJ_I32),
                              cj_cast(x, CJ_U8),
                              cj_cast(x, CJ_I64),
                              cj_cast(x, CJ_BOOL),
                              cj_round(x),
                              cj_floor(x),
                              cj_sign(x),
                              cj_relu(x),
                              cj_is_nan(cj_sub(x, y)),
                              cj_tanh(x),
                              cj_mod(x, y)};
        check(outputs, (int)(sizeof outputs / sizeof *outputs), 1e-6,
              d ? "special f64" : "special f32");
    }
}

/* ---- In place -------------------------------------------------------------------------------- */

/* Results that take over the place of an operand which a later operation of the group still reads.
 */
static void results_over_operands(void **state)
{
    (void)state;
    for (int64_t n = 1000; n <= 1050; n += 25) {
        cj_graph_free(g);
        g = cj_graph_new(cj);
        cj_node *x = fed("x", CJ_F32, SHAPE(n, 3)), *w = variable("w", CJ_F32, SHAPE(3, 3));
        cj_node *a = cj_matmul(x, w), *b = cj_matmul(a, w); /* in the arena, dead after the group */
        cj_node *first = cj_add(a, b), *second = cj_mul(cj_tanh(a), first),
                *third = cj_sub(b, cj_scale(a, 3));
        cj_node *outputs[] = {cj_matmul(first, w), cj_matmul(second, w), cj_matmul(third, w),
                              cj_reduce_sum(cj_reshape(third, CJ_DIMS(n * 3)), 0, NULL, false)};
        check(outputs, 4, 1e-4, "in place");
    }
}

/* Updates in place in one group with several results: adam, whose new moments are read by the new
 * weight. */
static void updates_over_state(void **state)
{
    (void)state;
    int64_t n = 2500;
    cj_node *w = variable("w", CJ_F32, SHAPE(n)), *m = variable("m", CJ_F32, SHAPE(n)),
            *v = variable("v", CJ_F32, SHAPE(n)), *d = fed("d", CJ_F32, SHAPE(n));
    cj_node *m1 = cj_add(cj_scale(m, 0.9), cj_scale(d, 0.1)),
            *v1 = cj_add(cj_scale(cj_square(v), 0.99), cj_scale(cj_square(d), 0.01));
    cj_node *w1 = cj_sub(w, cj_div(cj_scale(m1, 0.01), cj_shift(cj_sqrt(v1), 1e-3)));
    cj_update updates[] = {{w, w1}, {m, cj_sub(m1, cj_scale(w, 0.1))}, {v, v1}, {NULL, NULL}};
    cj_store *stores[2] = {copy_store(cj, cj_graph_store(g)), copy_store(cj, cj_graph_store(g))};
    cj_tensor *t = random_tensor(cj, CJ_F32, SHAPE(n));
    for (int way = 0; way < 2; way++) {
        cj_program *p = cj_compile(g, .updates = updates, .no_passes = !way);
        cj_session *s =
            cj_session_new_opts(p, stores[way],
                                &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                   .backend = way ? "cpu" : "reference",
                                                   .threads = 1});
        for (int i = 0; i < 3; i++)
            assert_ok(cj_run(s, (cj_feed[]){{d, t}}, 1, NULL, 0), cj_session_message(s));
        if (way) {
            cj_session_info info;
            cj_session_get_info(s, &info);
            assert_int_equal(info.steps, 1); /* one kernel for the whole optimizer */
        }
        cj_session_free(s);
        cj_program_free(p);
    }
    for (int i = 0; i < 3; i++)
        assert_tensors_close(cj_store_tensor_at(stores[0], i), cj_store_tensor_at(stores[1], i),
                             1e-5, cj_store_name_at(stores[0], i));
    cj_tensor_free(t);
    cj_store_free(stores[0]), cj_store_free(stores[1]);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static void groups_at_their_limits(void **state)
{
    (void)state;
    cj_node *x = fed("x", CJ_F32, SHAPE(1500)), *y = x, *outputs[CJ_OUTPUTS_MAX], *terms[200];
    for (int i = 0; i < 300; i++)
        y = cj_scale(cj_add(y, i % 3 ? x : cj_sin(y)), 0.5); /* longer than a group */
    outputs[0] = y;
    cj_node *sum = x;
    for (int i = 0; i < 200; i++) { /* more operands than a group */
        char name[16];
        snprintf(name, sizeof name, "v%d", i);
        terms[i] = variable(name, CJ_F32, SHAPE(i % 2 ? 1500 : 1));
        sum = cj_scale(cj_add(sum, terms[i]), 0.9);
    }
    outputs[1] = sum;
    for (int i = 0; i < 14; i++) outputs[2 + i] = cj_add(cj_sin(x), terms[i]); /* many results */
    check(outputs, 16, 1e-5, "limits");
    cj_program *p = cj_compile(g, .output_list = outputs, .n_outputs = 16);
    print_message("%d calls after fusion\n", cj_graph_call_count(cj_program_graph(p)));
    cj_program_free(p);
}

/* ---- Threads --------------------------------------------------------------------------------- */

/* Groups are made before sizes are known: an axis that is 1 in a run is read as what it is. */
static void symbols_that_are_one(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 5};
    cj_dim n = cj_symbol(g, "n"), c = cj_symbol(g, "c");
    cj_node *x = cj_placeholder(g, "x", CJ_F64, CJ_DIMS(n, c)),
            *scale = cj_placeholder(g, "scale", CJ_F64, CJ_DIMS(c)),
            *column = cj_placeholder(g, "column", CJ_F64, CJ_DIMS(n, 1));
    const int64_t last = 1, first = 0;
    cj_node *centred = cj_sub(x, cj_reduce_mean(x, 1, &last, true));
    cj_node *deviation = cj_rsqrt(cj_shift(cj_reduce_mean(cj_square(centred), 1, &last, true), 1));
    cj_node *wide = cj_mul(cj_mul(centred, deviation), scale);
    cj_node *factor = cj_mul(cj_tanh(column), deviation); /* by rows, of rank 2 */
    cj_node *flat = cj_reshape(factor, 1, (cj_dim[]){n});
    cj_node *again = cj_add(cj_mul(wide, factor),
                            cj_mul(x, cj_expand_dims(cj_add(flat, cj_reduce_sum(wide, 1, &last,
                                                                                false)), 1)));
    cj_node *y[8] = {wide, again, factor, flat, cj_reduce_sum(again, 1, &first, false),
                     cj_sum(again), cj_reduce_max(again, 1, &last, false)};
    cj_node *wrt[] = {x, scale, column}, *dx[3];
    assert_int_equal(cj_grad(cj_sum(cj_tanh(again)), wrt, 3, dx), CJ_OK);
    cj_node *all[] = {y[0], y[1], y[2], y[3], y[4], y[5], y[6], dx[0], dx[1], dx[2]};
    for (int i = 0; i < 9; i++) {
        char what[64];
        symbol_sizes[0] = sizes[i / 3];
        symbol_sizes[1] = sizes[i % 3];
        snprintf(what, sizeof what, "n %d, c %d", (int)symbol_sizes[0], (int)symbol_sizes[1]);
        check(all, 10, 1e-12, what);
        check(all, 1 + i, 1e-12, what);
        check(all + i, 10 - i, 1e-12, what);
    }
}

/* The largest of no numbers is an error in a group too, and with other dtypes. */
static void largest_of_nothing(void **state)
{
    (void)state;
    static const cj_dtype dtypes[] = {CJ_F32, CJ_F64, CJ_F16};
    for (int i = 0; i < 6; i++) {
        cj_dtype dtype = dtypes[i / 2];
        const int64_t axis = i % 2;
        cj_graph *own = cj_graph_new(cj);
        cj_dim n = cj_symbol(own, "n"), m = cj_symbol(own, "m");
        cj_node *x = cj_placeholder(own, "x", dtype, CJ_DIMS(n, m));
        cj_node *y = cj_reduce_max(cj_square(x), 1, &axis, false);
        cj_program *p = cj_compile(own, .outputs = {y, cj_neg(y)});
        cj_session *s = cj_session_new(p, NULL);
        assert_non_null(s);
        for (int k = 0; k < 3; k++) { /* the axis empty, both, the other */
            int64_t size[] = {k == 2 ? 3 : 0, k == 0 ? 3 : 0};
            cj_tensor *t = cj_tensor_new(cj, dtype, 2,
                                         (int64_t[]){size[axis], size[!axis]});
            cj_tensor *out[2] = {NULL};
            cj_status failed = cj_run(s, (cj_feed[]){{x, t}}, 1, out, 2);
            assert_int_equal(failed, k ? CJ_OK : CJ_ERR_SHAPE);
            if (failed) assert_contains(cj_session_message(s), "have no elements");
            for (int o = 0; o < 2; o++) cj_tensor_free(out[o]);
            cj_tensor_free(t);
        }
        cj_session_free(s);
        cj_program_free(p);
        cj_graph_free(own);
    }
}

static void same_bits_for_any_threads(void **state)
{
    (void)state;
    int64_t n = 300, m = 700;
    cj_node *x = fed("x", CJ_F32, SHAPE(n, m)), *w = variable("w", CJ_F32, SHAPE(m, 100)),
            *b = variable("b", CJ_F32, SHAPE(100));
    cj_node *y = cj_add(cj_matmul(x, w), b), *z = cj_softmax(y, -1),
            *loss = cj_mean(cj_square(cj_tanh(z))), *d[2];
    assert_ok(cj_grad(loss, (cj_node *[]){w, b}, 2, d), cj_message(cj));
    cj_node *outputs[] = {z,
                          loss,
                          d[0],
                          d[1],
                          cj_tanh(cj_mul(x, cj_exp(x))),
                          cj_reduce_sum(x, 0, NULL, false),
                          cj_reduce_sum(x, 1, (int64_t[]){0}, false)};
    cj_program *p = cj_compile(g, .output_list = outputs, .n_outputs = 7);
    cj_tensor *t = random_tensor(cj, CJ_F32, SHAPE(n, m)), *first[7] = {NULL};
    for (int threads = 1; threads <= 3; threads++) {
        cj_session *s =
            cj_session_new_opts(p, cj_graph_store(g),
                                &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                   .backend = "cpu",
                                                   .threads = threads});
        cj_tensor *out[7] = {NULL};
        assert_ok(cj_run(s, (cj_feed[]){{x, t}}, 1, out, 7), cj_session_message(s));
        for (int i = 0; i < 7; i++) {
            if (threads == 1) first[i] = out[i];
            else assert_tensors_equal(first[i], out[i], "an output"), cj_tensor_free(out[i]);
        }
        cj_session_free(s);
    }
    for (int i = 0; i < 7; i++) cj_tensor_free(first[i]);
    cj_tensor_free(t);
    cj_program_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(patterns, setup, teardown),
        cmocka_unit_test_setup_teardown(idioms, setup, teardown),
        cmocka_unit_test_setup_teardown(idioms_of_gelu, setup, teardown),
        cmocka_unit_test_setup_teardown(idioms_along_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(dtypes_mixed, setup, teardown),
        cmocka_unit_test_setup_teardown(special_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(results_over_operands, setup, teardown),
        cmocka_unit_test_setup_teardown(updates_over_state, setup, teardown),
        cmocka_unit_test_setup_teardown(groups_at_their_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(symbols_that_are_one, setup, teardown),
        cmocka_unit_test_setup_teardown(largest_of_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(same_bits_for_any_threads, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
