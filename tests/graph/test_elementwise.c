/* What the generic checks of operators do not see: builders (promotion, broadcasting, cj_zero),
 * refusals and their messages, and gradients exactly at kinks, ties, zeros and infinities, where
 * differences mean nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <cajal/run.h>

#include "graph/graph.h"

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
    cj_graph_free(g);
    cj_context_free(cj);
    return 0;
}

static cj_node *vector(const char *name, int n, const double *values)
{
    cj_tensor *t = cj_tensor_from(cj, CJ_F64, 1, (int64_t[]){n}, values);
    cj_node *node = cj_variable(g, name, t);
    cj_tensor_free(t);
    return node;
}
#define VECTOR(name, ...) \
    vector(name, sizeof((double[]){__VA_ARGS__}) / sizeof(double), (double[]){__VA_ARGS__})

static cj_node *of_type(const char *name, cj_dtype dtype, int rank, const int64_t *dims)
{
    cj_tensor *t = cj_tensor_new(cj, dtype, rank, dims);
    cj_node *node = cj_variable(g, name, t);
    cj_tensor_free(t);
    return node;
}

/* Runs one node on the reference; the caller frees. NULL with a message when running failed. */
static cj_tensor *value(cj_node *node)
{
    if (cj_graph_failed(g)) print_error("%s\n", cj_message(cj));
    assert_non_null(node);
    cj_compile_opts opts = {.struct_size = sizeof opts, .outputs = {node}, .no_passes = true};
    cj_program *program = (cj_compile)(g, &opts);
    if (!program) print_error("%s\n", cj_message(cj));
    assert_non_null(program);
    cj_session_opts how = {.struct_size = sizeof how, .backend = "reference", .threads = 1};
    cj_session *session = cj_session_new_opts(program, cj_graph_store(g), &how);
    assert_non_null(session);
    cj_tensor *out = NULL;
    cj_status failed = cj_run(session, NULL, 0, &out, 1);
    if (failed) cj_fail(cj, failed, "%s", cj_session_message(session));
    cj_session_free(session);
    cj_program_free(program);
    return failed ? NULL : out;
}

static void expect(cj_node *node, int n, const double *expected, const char *text)
{
    cj_tensor *found = value(node);
    assert_non_null(found);
    assert_int_equal(cj_tensor_count(found), n);
    for (int i = 0; i < n; i++) {
        double x = cj_load_f64(cj_tensor_dtype(found), cj_tensor_map_read(found), (size_t)i);
        bool same = (isnan(x) && isnan(expected[i])) || x == expected[i] ||
                    fabs(x - expected[i]) < 1e-12;
        if (!same)
            print_error("%s: element %d is %.17g, expected %.17g\n", text, i, x, expected[i]);
        assert_true(same);
    }
    cj_tensor_free(found);
}
#define EXPECT(node, ...) \
    expect(node, sizeof((double[]){__VA_ARGS__}) / sizeof(double), (double[]){__VA_ARGS__}, #node)

/* The gradient of the sum of y. */
static cj_node *gradient(cj_node *y, cj_node *x)
{
    cj_node *dx = NULL;
    if (cj_grad(y, &x, 1, &dx)) print_error("%s\n", cj_message(cj));
    return dx;
}

static void expect_refusal(cj_node *node, cj_status status, const char *part)
{
    assert_null(node);
    assert_int_equal(cj_graph_failed(g), status);
    if (!strstr(cj_message(cj), part)) print_error("'%s' is not in '%s'\n", part, cj_message(cj));
    assert_non_null(strstr(cj_message(cj), part));
}

static void test_zero(void **state)
{
    (void)state;
    cj_node *x = VECTOR("x", 1, 2, -3);
    assert_ptr_equal(cj_add(cj_zero, x), x);
    assert_ptr_equal(cj_add(x, cj_zero), x);
    assert_ptr_equal(cj_sub(x, cj_zero), x);
    EXPECT(cj_sub(cj_zero, x), -1, -2, 3);
    assert_ptr_equal(cj_mul(x, cj_zero), cj_zero);
    assert_ptr_equal(cj_mul(cj_zero, x), cj_zero);
    assert_ptr_equal(cj_div(cj_zero, x), cj_zero);
    assert_ptr_equal(cj_add(cj_zero, cj_zero), cj_zero);
    assert_ptr_equal(cj_neg(cj_zero), cj_zero);
    assert_ptr_equal(cj_scale(cj_zero, 3), cj_zero);
    assert_ptr_equal(cj_cast(cj_zero, CJ_F16), cj_zero);
    assert_ptr_equal(cj_where(cj_greater(x, cj_zero), cj_zero, cj_zero), cj_zero);
    EXPECT(cj_where(cj_greater(x, cj_zero), x, cj_zero), 1, 2, 0);
    EXPECT(cj_maximum(x, cj_zero), 1, 2, 0);
    EXPECT(cj_div(x, cj_zero), INFINITY, INFINITY, -INFINITY);
    assert_int_equal(cj_graph_failed(g), CJ_OK);
}

static void test_peepholes(void **state)
{
    (void)state;
    cj_node *x = VECTOR("x", 1, -2);
    assert_ptr_equal(cj_scale(x, 1), x);
    assert_ptr_equal(cj_shift(x, 0), x);
    assert_ptr_equal(cj_cast(x, CJ_F64), x);
    EXPECT(cj_scale(x, 2.5), 2.5, -5);
    EXPECT(cj_scale(x, -1), -1, 2);
    EXPECT(cj_shift(x, 0.5), 1.5, -1.5);
    EXPECT(cj_clip(x, -1, 0.5), 0.5, -1);
    EXPECT(cj_clip(x, -INFINITY, 0), 0, -2);
    assert_ptr_equal(cj_clip(x, -INFINITY, INFINITY), x);
    assert_null(cj_add(NULL, x));
    assert_null(cj_exp(NULL));
    assert_null(cj_where(x, NULL, x));
    assert_int_equal(cj_graph_failed(g), CJ_OK);
}

static void test_promotion(void **state)
{
    (void)state;
    cj_node *i8 = of_type("i8", CJ_I8, 1, (int64_t[]){3}),
            *f16 = of_type("f16", CJ_F16, 2, (int64_t[]){2, 1});
    cj_node *b = of_type("b", CJ_BOOL, 0, NULL);
    cj_node *y = cj_add(i8, f16);
    assert_int_equal(cj_node_dtype(y), CJ_F16);
    assert_int_equal(cj_node_rank(y), 2);
    assert_int_equal(cj_node_dim(y, 0), 2);
    assert_int_equal(cj_node_dim(y, 1), 3);
    assert_int_equal(cj_node_dtype(cj_mul(b, i8)), CJ_I8);
    assert_int_equal(cj_node_dtype(cj_less(i8, f16)), CJ_BOOL);
    assert_int_equal(cj_node_dtype(cj_where(b, i8, f16)), CJ_F16);
    assert_int_equal(cj_node_rank(cj_where(f16, i8, b)), 2);
    assert_int_equal(cj_node_dtype(cj_logical_and(i8, f16)), CJ_BOOL);
    assert_int_equal(cj_node_dtype(cj_reduce_sum(b, 0, NULL, false)), CJ_I64);
    assert_int_equal(cj_node_dtype(cj_mean(b)), CJ_F32);
    assert_int_equal(cj_node_dtype(cj_argmax(i8, -1, false)), CJ_I64);
    assert_int_equal(cj_graph_failed(g), CJ_OK);
}

static void refuses_integers(void **state)
{
    (void)state;
    expect_refusal(cj_exp(of_type("n", CJ_I32, 1, (int64_t[]){3})), CJ_ERR_TYPE,
                   "exp: takes floats, not i32");
}
static void refuses_bools(void **state)
{
    (void)state;
    cj_node *b = of_type("b", CJ_BOOL, 0, NULL);
    expect_refusal(cj_add(b, b), CJ_ERR_TYPE, "add: takes numbers, not bool");
}
static void refuses_shapes(void **state)
{
    (void)state;
    cj_node *a = of_type("a", CJ_F32, 2, (int64_t[]){2, 3}),
            *b = of_type("b", CJ_F32, 1, (int64_t[]){4});
    expect_refusal(cj_add(a, b), CJ_ERR_SHAPE, "f32[2, 3]");
}
static void refuses_axis(void **state)
{
    (void)state;
    cj_node *a = of_type("a", CJ_F32, 2, (int64_t[]){2, 3});
    expect_refusal(cj_reduce_sum(a, 1, (int64_t[]){2}, false), CJ_ERR_ARGUMENT,
                   "axis 2 is out of range for rank 2");
}
static void refuses_axis_twice(void **state)
{
    (void)state;
    cj_node *a = of_type("a", CJ_F32, 2, (int64_t[]){2, 3});
    expect_refusal(cj_reduce_sum(a, 2, (int64_t[]){1, -1}, false), CJ_ERR_ARGUMENT,
                   "axis 1 is named twice");
}
static void refuses_nan_bounds(void **state)
{
    (void)state;
    expect_refusal(cj_clip(VECTOR("x", 1), NAN, 1), CJ_ERR_ARGUMENT, "NaN");
}

/* What only running can tell: the largest of nothing. */
static void test_empty_extremes(void **state)
{
    (void)state;
    cj_node *x = of_type("x", CJ_F32, 2, (int64_t[]){3, 0});
    cj_node *fails[] = {cj_reduce_max(x, 1, (int64_t[]){1}, false), cj_reduce_min(x, 0, NULL, true),
                        cj_argmax(x, 1, false)};
    for (int i = 0; i < 3; i++) {
        assert_null(value(fails[i]));
        assert_int_equal(cj_last_status(cj), CJ_ERR_SHAPE);
        assert_non_null(strstr(cj_message(cj), "no elements"));
    }
    cj_tensor *nothing = value(
        cj_reduce_max(x, 1, (int64_t[]){0}, false)); /* no maximum is asked for */
    assert_non_null(nothing);
    assert_int_equal(cj_tensor_count(nothing), 0);
    cj_tensor_free(nothing);
}

static void test_gradients_at_kinks(void **state)
{
    (void)state;
    cj_node *x = VECTOR("x", -1, 0, 2);
    EXPECT(gradient(cj_relu(x), x), 0, 0, 1);
    EXPECT(gradient(cj_abs(x), x), -1, 0, 1);
    EXPECT(gradient(cj_leaky_relu(x, 0.25), x), 0.25, 0.25, 1);
    EXPECT(gradient(cj_clip(x, 0, 2), x), 0, 1, 1);
    EXPECT(gradient(cj_maximum(x, VECTOR("y", -1, 1, 1)), x), 1, 0, 1);
    assert_ptr_equal(gradient(cj_floor(x), x), cj_zero);
    assert_ptr_equal(gradient(cj_stop_gradient(x), x), cj_zero);
    assert_ptr_equal(gradient(cj_cast(cj_cast(x, CJ_I32), CJ_F64), x), cj_zero);
    EXPECT(gradient(cj_mul(x, cj_stop_gradient(x)), x), -1, 0, 2);
}

static void test_gradient_of_cast(void **state)
{
    (void)state;
    cj_node *x = VECTOR("x", -1, 0.5, 2);
    cj_node *dx = gradient(cj_square(cj_cast(x, CJ_F32)), x);
    assert_int_equal(cj_node_dtype(dx), CJ_F64);
    EXPECT(dx, -2, 1, 4);
}

static void test_gradients_of_powers(void **state)
{
    (void)state;
    cj_node *a = VECTOR("a", 0, 0, -2, 3, 0), *b = VECTOR("b", 0, 2, 3, 2, 1);
    EXPECT(gradient(cj_pow(a, b), a), 0, 0, 12, 6, 1);
    EXPECT(gradient(cj_pow(a, b), b), 0, 0, 0, 9 * log(3), 0);
    EXPECT(gradient(cj_pow(a, cj_scalar(g, CJ_F64, 2)), a), 0, 0, -4, 6, 0);
    assert_ptr_equal(gradient(cj_pow(a, cj_scalar(g, CJ_F64, 0)), a), cj_zero);
}

static void test_gradients_of_reductions(void **state)
{
    (void)state;
    cj_node *tie = VECTOR("tie", 1, 3, 3, 0);
    EXPECT(gradient(cj_reduce_max(tie, 0, NULL, false), tie), 0, 0.5, 0.5, 0);
    cj_node *one_zero = VECTOR("one", 2, 0, 3), *two_zeros = VECTOR("two", 0, 0, 3);
    EXPECT(gradient(cj_reduce_prod(one_zero, 0, NULL, false), one_zero), 0, 6, 0);
    EXPECT(gradient(cj_reduce_prod(two_zeros, 0, NULL, true), two_zeros), 0, 0, 0);
    cj_node *nothing = VECTOR("nothing", -INFINITY, -INFINITY),
            *masked = VECTOR("masked", -INFINITY, 0, 0);
    EXPECT(gradient(cj_logsumexp(nothing, 0, NULL, false), nothing), 0, 0);
    EXPECT(gradient(cj_logsumexp(masked, 0, NULL, false), masked), 0, 0.5, 0.5);
    cj_node *x = VECTOR("x", 1, 2, 3, 4);
    EXPECT(gradient(cj_mean(x), x), 0.25, 0.25, 0.25, 0.25);
    EXPECT(gradient(cj_cumsum(x, 0, true, false), x), 3, 2, 1, 0);
    EXPECT(gradient(gradient(cj_sum(cj_mul(x, cj_square(x))), x), x), 6, 12, 18, 24);
}

/* Sizes that are known when running: the mean divides by the batch that came. */
static void test_gradient_with_symbols(void **state)
{
    (void)state;
    cj_node *x = cj_placeholder(g, "x", CJ_F64, CJ_DIMS(cj_symbol(g, "batch"), 2));
    cj_node *dx = gradient(cj_mean(cj_square(x)), x);
    assert_non_null(dx);
    assert_true(cj_node_dim(dx, 0) == cj_node_dim(x, 0));
    cj_compile_opts opts = {.struct_size = sizeof opts, .outputs = {dx}};
    cj_program *program = (cj_compile)(g, &opts);
    cj_session *session = cj_session_new(program, cj_graph_store(g));
    assert_non_null(session);
    for (int64_t batch = 1; batch < 4; batch++) {
        double data[] = {1, 2, 3, 4, 5, 6};
        cj_tensor *in = cj_tensor_from(cj, CJ_F64, 2, (int64_t[]){batch, 2}, data), *out = NULL;
        assert_int_equal(cj_run(session, &(cj_feed){.node = x, .value = in}, 1, &out, 1), CJ_OK);
        const double *found = cj_tensor_map_read(out);
        for (int64_t i = 0; i < 2 * batch; i++)
            assert_true(fabs(found[i] - 2 * data[i] / (2 * (double)batch)) < 1e-12);
        cj_tensor_free(in);
        cj_tensor_free(out);
    }
    cj_session_free(session);
    cj_program_free(program);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_zero),
        TEST(test_peepholes),
        TEST(test_promotion),
        TEST(refuses_integers),
        TEST(refuses_bools),
        TEST(refuses_shapes),
        TEST(refuses_axis),
        TEST(refuses_axis_twice),
        TEST(refuses_nan_bounds),
        TEST(test_empty_extremes),
        TEST(test_gradients_at_kinks),
        TEST(test_gradient_of_cast),
        TEST(test_gradients_of_powers),
        TEST(test_gradients_of_reductions),
        TEST(test_gradient_with_symbols),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
