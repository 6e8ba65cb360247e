/* Corner cases of cj_grad and cj_vjp that no single operator shows: what is not reached, nodes used
 * twice, gradients of gradients, several outputs, lowered composites, and what is refused. */
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
    cj_context_free(cj);
    return 0;
}

static cj_node *scalar_variable(const char *name, double value)
{
    cj_tensor *t = cj_tensor_scalar(cj, CJ_F64, value);
    cj_node *node = cj_variable(g, name, t);
    cj_tensor_free(t);
    return node;
}

static cj_node *vector(const char *name, double a, double b)
{
    cj_tensor *t = cj_tensor_from(cj, CJ_F64, 1, (int64_t[]){2}, (double[]){a, b});
    cj_node *node = cj_variable(g, name, t);
    cj_tensor_free(t);
    return node;
}

/* Element i of a node, run with all passes. */
static double value(cj_node *node, int i)
{
    if (cj_graph_failed(g)) print_error("%s\n", cj_message(cj));
    assert_int_equal(cj_graph_failed(g), CJ_OK);
    assert_non_null(node);
    cj_program *p = (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                       .outputs = {node}});
    if (!p) print_error("%s\n", cj_message(cj));
    assert_non_null(p);
    cj_session *s = cj_session_new(p, cj_graph_store(g));
    cj_tensor *out = NULL;
    assert_int_equal(cj_run(s, NULL, 0, &out, 1), CJ_OK);
    double result = cj_load_f64(CJ_F64, cj_tensor_map_read(out), (size_t)i);
    cj_tensor_free(out);
    cj_session_free(s);
    cj_program_free(p);
    return result;
}

static void assert_value(cj_node *node, int i, double expected)
{
    double found = value(node, i);
    if (fabs(found - expected) > 1e-12 * (1 + fabs(expected))) {
        print_error("element %d is %.17g, expected %.17g\n", i, found, expected);
        fail();
    }
}

static cj_node *gradient(cj_node *loss, cj_node *wrt)
{
    cj_node *d = NULL;
    if (cj_grad(loss, &wrt, 1, &d)) print_error("%s\n", cj_message(cj));
    assert_non_null(d);
    return d;
}

static void not_reached(void **state)
{
    (void)state;
    cj_node *x = scalar_variable("x", 2), *y = scalar_variable("y", 3), *d[3];
    cj_node *steps = cj_floor(y); /* piecewise constant */
    assert_int_equal(cj_grad(cj_mul(x, steps), (cj_node *[]){x, y, x}, 3, d), CJ_OK);
    assert_value(d[0], 0, 3);
    assert_ptr_equal(d[1], cj_zero);
    assert_value(d[2], 0, 3);
    cj_node *full = cj_zero_as(d[1], y);
    assert_value(full, 0, 0);
    assert_ptr_equal(gradient(x, y), cj_zero);
    assert_value(gradient(x, x), 0, 1);
    assert_ptr_equal(gradient(cj_square(cj_stop_gradient(x)), x), cj_zero);
    assert_value(gradient(cj_mul(x, cj_stop_gradient(x)), x), 0, 2);
    assert_ptr_equal(gradient(cj_cast(cj_cast(x, CJ_I32), CJ_F64), x),
                     cj_zero); /* through integers */
}

static void through_intermediates(void **state)
{
    (void)state;
    cj_node *x = scalar_variable("x", 0.7), *h = cj_square(x), *y = cj_mul(h, cj_sin(h)), *d[2];
    assert_int_equal(cj_grad(y, (cj_node *[]){h, x}, 2, d), CJ_OK);
    double v = 0.49, dh = sin(v) + v * cos(v);
    assert_value(d[0], 0, dh);
    assert_value(d[1], 0, dh * 1.4);
    assert_value(gradient(y, y), 0, 1);
    /* wrt later than the loss: not reached */
    assert_ptr_equal(gradient(h, y), cj_zero);
}

static void used_many_times(void **state)
{
    (void)state;
    cj_node *x = vector("x", 2, 3);
    cj_node *y = cj_add(cj_mul(x, x), cj_mul(x, cj_mul(x, x))); /* x^2 + x^3 */
    assert_value(gradient(y, x), 0, 4 + 12);
    assert_value(gradient(y, x), 1, 6 + 27);
    /* The same operand of one call twice, of a composite as well */
    assert_value(gradient(cj_sum(cj_matmul(x, x)), x), 1, 6);
    assert_value(gradient(cj_div(x, x), x), 0, 0);
    cj_node *joined = cj_concat((cj_node *[]){x, x, x}, 3, 0);
    assert_value(gradient(cj_sum(cj_square(joined)), x), 1, 18);
}

static void higher_orders(void **state)
{
    (void)state;
    double v = 0.6;
    cj_node *x = scalar_variable("x", v), *d = cj_sin(cj_square(x));
    double expected[] = {2 * v * cos(v * v), 2 * cos(v * v) - 4 * v * v * sin(v * v),
                         -12 * v * sin(v * v) - 8 * v * v * v * cos(v * v),
                         -12 * sin(v * v) - 48 * v * v * cos(v * v) +
                             16 * v * v * v * v * sin(v * v)};
    for (int order = 0; order < 4; order++) assert_value(d = gradient(d, x), 0, expected[order]);
    cj_node *cubic = cj_mul(x, cj_mul(x, x));
    for (int order = 0; order < 3; order++) cubic = gradient(cubic, x);
    assert_value(cubic, 0, 6);
    assert_ptr_equal(gradient(cubic, x), cj_zero); /* a constant */
}

/* y = [x0^2 x1, sin x0]: d(u . J v) */
static void vector_products(void **state)
{
    (void)state;
    cj_node *x = vector("x", 2, 3), *u = vector("u", 5, 7), *d[2];
    cj_node *y = cj_mul(cj_square(x), x), *z = cj_sin(x);
    cj_node *ys[] = {y, z, cj_exp(x)}, *dys[] = {u, cj_full_like(z, 2), cj_zero};
    assert_int_equal(cj_vjp(ys, dys, 3, &x, 1, d), CJ_OK);
    assert_value(d[0], 0, 5 * 12 + 2 * cos(2));
    assert_value(d[0], 1, 7 * 27 + 2 * cos(3));
    /* Linear in its cotangent, and differentiable by it */
    assert_value(gradient(cj_sum(d[0]), u), 1, 27);
    /* Nothing flows in at all */
    assert_int_equal(cj_vjp(ys, (cj_node *[]){cj_zero, cj_zero, cj_zero}, 3, &x, 1, d), CJ_OK);
    assert_ptr_equal(d[0], cj_zero);
    /* The same output twice: cotangents add */
    assert_int_equal(cj_vjp((cj_node *[]){y, y}, (cj_node *[]){u, u}, 2, &x, 1, d), CJ_OK);
    assert_value(d[0], 0, 120);
    assert_int_equal(cj_vjp(ys, dys, 3, NULL, 0, NULL), CJ_OK); /* wrt nothing */
}

/* Two outputs of one call, of which one or both are used. */
static void two_outputs(void **state)
{
    (void)state;
    cj_tensor *t = cj_tensor_from(cj, CJ_F64, 1, (int64_t[]){5}, (double[]){1, 5, 3, 4, 2});
    cj_node *x = cj_variable(g, "x", t);
    cj_tensor_free(t);
    cj_node *a = cj_split(x, 0, 2, (int64_t[]){2, 3}), *b = cj_node_output(a, 1);
    cj_node *d = gradient(cj_add(cj_sum(cj_square(a)), cj_sum(cj_mul(b, b))), x);
    for (int i = 0; i < 5; i++) assert_value(d, i, 2 * (double[]){1, 5, 3, 4, 2}[i]);
    d = gradient(cj_sum(b), x);
    assert_value(d, 1, 0);
    assert_value(d, 2, 1);
    cj_node *top = cj_top_k(x, 2, 0, false); /* values 5, 4; the indices have no gradient */
    d = gradient(cj_sum(cj_square(top)), x);
    assert_value(d, 1, 10);
    assert_value(d, 3, 8);
    assert_value(d, 0, 0);
}

static void composites(void **state)
{
    (void)state;
    cj_node *x = vector("x", 0.3, -0.4);
    cj_node *d = gradient(cj_silu(x), x), *dd = gradient(cj_sum(d), x);
    double s = 1 / (1 + exp(-0.3));
    assert_value(d, 0, s + 0.3 * s * (1 - s));
    assert_value(dd, 0, s * (1 - s) * (2 + 0.3 * (1 - 2 * s)));
    assert_value(gradient(cj_gelu(x), x), 0,
                 0.5 * (1 + erf(0.3 / sqrt(2))) + 0.3 * exp(-0.045) / sqrt(2 * acos(-1)));
}

#define assert_refused(call, status, words) \
    do { \
        cj_graph *was = g; \
        assert_int_equal(call, status); \
        assert_int_equal(cj_graph_failed(g), status); \
        if (!strstr(cj_message(cj), words)) \
            print_error("\"%s\" has no \"%s\"\n", cj_message(cj), words); \
        assert_non_null(strstr(cj_message(cj), words)); \
        cj_graph_free(was); \
        g = cj_graph_new(cj); \
    } while (0)

static void refused(void **state)
{
    (void)state;
    cj_node *d[2], *x = scalar_variable("x", 1);
    assert_refused(cj_grad(cj_cast(x, CJ_I32), &x, 1, d), CJ_ERR_TYPE, "i32");
    x = scalar_variable("x", 1);
    assert_refused(cj_grad(x, (cj_node *[]){cj_cast(x, CJ_BOOL)}, 1, d), CJ_ERR_TYPE, "bool");
    x = scalar_variable("x", 1);
    assert_refused(cj_grad(x, (cj_node *[]){cj_zero}, 1, d), CJ_ERR_ARGUMENT, "cj_zero");
    x = scalar_variable("x", 1);
    assert_refused(cj_grad(x, (cj_node *[]){NULL}, 1, d), CJ_ERR_ARGUMENT, "wrt[0] is NULL");
    x = scalar_variable("x", 1);
    assert_refused(cj_grad(NULL, &x, 1, d), CJ_ERR_ARGUMENT, "NULL");
    x = scalar_variable("x", 1);
    assert_refused(cj_grad(cj_zero, &x, 1, d), CJ_ERR_ARGUMENT, "cj_zero");
    x = scalar_variable("x", 1);
    cj_node *y = vector("y", 1, 2);
    assert_refused(cj_vjp(&y, &x, 1, &y, 1, d), CJ_ERR_SHAPE, "cotangent");
    assert_null(d[0]);
    assert_int_equal(cj_grad(NULL, NULL, 0, NULL), CJ_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(not_reached, setup, teardown),
        cmocka_unit_test_setup_teardown(through_intermediates, setup, teardown),
        cmocka_unit_test_setup_teardown(used_many_times, setup, teardown),
        cmocka_unit_test_setup_teardown(higher_orders, setup, teardown),
        cmocka_unit_test_setup_teardown(vector_products, setup, teardown),
        cmocka_unit_test_setup_teardown(two_outputs, setup, teardown),
        cmocka_unit_test_setup_teardown(composites, setup, teardown),
        cmocka_unit_test_setup_teardown(refused, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
