/* Every row of the operator table through cj_op_check: shape rule, kernel, lowering, backends,
 * gradients.
 *
 * A row without samples fails, and so does one that has no gradient and does not say why. Three
 * rows that are wrong on purpose (gradient, shape rule, kernel) show that the check can fail.
 *
 *     test_ops            all rows
 *     test_ops softmax    one row
 *
 * ctest: timeout 300 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "graph/graph.h"

static const char *only; /* the row named on the command line */

static void test_every_row(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    assert_non_null(cj);
    int rows = 0, samples = 0, gradients = 0, second = 0, failures = 0, without = 0;
    for (const cj_op *op; (op = cj_op_at(cj, rows)); rows++) {
        if (only && strcmp(only, op->name)) continue;
        cj_op_report report = {0};
        cj_status failed = cj_op_check(cj, op, &report);
        if (failed) print_error("%s\n", cj_message(cj));
        if (op->no_gradient && ++without)
            print_message("no gradient: %s (%s)\n", op->name, op->no_gradient);
        if (only)
            print_message("%d samples, %d gradients, %d second ones\n", report.samples,
                          report.gradients, report.second_gradients);
        failures += failed != CJ_OK;
        samples += report.samples;
        gradients += report.gradients;
        second += report.second_gradients;
    }
    print_message("%d rows: %d samples, %d gradients, %d second ones; %d without gradient\n", rows,
                  samples, gradients, second, without);
    cj_context_free(cj);
    assert_int_equal(failures, 0);
    assert_true(rows > 80);
}

/* ---- Rows that are wrong --------------------------------------------------------------------- */

static cj_status cube_ref(const cj_kernel *k)
{
    const double *x = k->in[0]->data;
    double *y = k->out[0]->data;
    for (int64_t i = 0; i < k->in[0]->count; i++) y[i] = x[i] * x[i] * x[i];
    return CJ_OK;
}

static void cube_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[0] = cj_mul(dy[0], cj_scale(cj_square(call->in[0]), 3));
}

static cj_status f64_infer(cj_infer *infer)
{
    if (infer->call->in[0]->type.dtype != CJ_F64)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "takes f64");
    return cj_infer_same(infer);
}

static cj_node *sample_row(cj_sampler *s, int i, const cj_op *op)
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (!cj_sample_shape(i, &rank, dims)) return NULL;
    cj_node *x = cj_sample_real(s, -2, 2, rank, dims);
    return x ? cj_apply(cj_sampler_graph(s), op, &x, 1, NULL) : NULL;
}

/* y = x^3 with one part replaced. */
#define ROW(...) ROW_FLAGS(0, __VA_ARGS__)
#define ROW_FLAGS(flags_, row, infer_, grad_, lower_, ref_, samples) \
    static const cj_op row; \
    static cj_node *row##_sample(cj_sampler *s, int i) \
    { \
        return i < samples ? sample_row(s, i, &row) : NULL; \
    } \
    static const cj_op row = {.name = #row, \
                              .doc = "y = x^3", \
                              .inputs = 1, \
                              .flags = flags_, \
                              .infer = infer_, \
                              .grad = grad_, \
                              .lower = lower_, \
                              .ref = ref_, \
                              .sample = row##_sample}

ROW(right, f64_infer, cube_grad, NULL, cube_ref, 24);
ROW(few_samples, f64_infer, cube_grad, NULL, cube_ref, 19);
ROW(no_gradient, f64_infer, NULL, NULL, cube_ref, 24);

/* The gradient of the square; and one that is right, but whose own gradient is wrong. */
static void square_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[0] = cj_mul(dy[0], cj_scale(call->in[0], 2));
}

static void stopped_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[0] = cj_mul(dy[0], cj_scale(cj_square(cj_stop_gradient(call->in[0])), 3));
}
ROW(wrong_gradient, f64_infer, square_grad, NULL, cube_ref, 24);
ROW(wrong_second, f64_infer, stopped_grad, NULL, cube_ref, 24);

/* Shape rules that promise one element too few along the last axis, and one too many. */
static cj_status resize(cj_infer *infer, int by)
{
    cj_status failed = f64_infer(infer);
    cj_type *y = &infer->out[0];
    if (!failed && y->rank && y->dim[y->rank - 1] + by >= 0) y->dim[y->rank - 1] += by;
    return failed;
}
static cj_status small_infer(cj_infer *infer)
{
    return resize(infer, -1);
}
static cj_status large_infer(cj_infer *infer)
{
    return resize(infer, 1);
}
ROW(wrong_small, small_infer, cube_grad, NULL, cube_ref, 24);
ROW(wrong_large, large_infer, cube_grad, NULL, cube_ref, 24);

/* A kernel whose last element is off a little. */
static cj_status off_ref(const cj_kernel *k)
{
    cj_status failed = cube_ref(k);
    double *y = k->out[0]->data;
    if (!failed && k->out[0]->count) y[k->out[0]->count - 1] *= 1.0001;
    return failed;
}
ROW(wrong_kernel, f64_infer, cube_grad, NULL, off_ref, 24);

/* A kernel that cannot run in place, in a row that says it can. */
static cj_status clearing_ref(const cj_kernel *k)
{
    if (k->out[0]->count) memset(k->out[0]->data, 0, (size_t)k->out[0]->count * sizeof(double));
    return cube_ref(k);
}
ROW_FLAGS(CJ_OP_ELEMENTWISE, wrong_in_place, f64_infer, cube_grad, NULL, clearing_ref, 24);

/* Lowerings: the right one, and the square. */
static bool cube_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    (void)g;
    out[0] = cj_mul(call->in[0], cj_square(call->in[0]));
    return out[0] != NULL;
}

static bool square_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    (void)g;
    out[0] = cj_square(call->in[0]);
    return out[0] != NULL;
}
ROW(lowered, f64_infer, NULL, cube_lower, cube_ref, 24);
ROW(wrong_lowering, f64_infer, cube_grad, square_lower, cube_ref, 24);
ROW(wrong_lowered_kernel, f64_infer, cube_grad, cube_lower, off_ref, 24);

static void expect_failure(cj_context *cj, const cj_op *op, const char *part)
{
    cj_op_report report;
    assert_int_not_equal(cj_op_check(cj, op, &report), CJ_OK);
    if (!strstr(cj_message(cj), part)) print_error("expected '%s' in '%s'\n", part, cj_message(cj));
    assert_non_null(strstr(cj_message(cj), part));
    assert_non_null(strstr(cj_message(cj), op->name));
}

static void test_right_rows_pass(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    const cj_op *rows[] = {&right, &lowered};
    for (int i = 0; i < 2; i++) {
        cj_op_report report;
        cj_status failed = cj_op_check(cj, rows[i], &report);
        if (failed) print_error("%s\n", cj_message(cj));
        assert_int_equal(failed, CJ_OK);
        assert_int_equal(report.samples, 24);
        assert_int_equal(report.gradients, 24);
        assert_int_equal(report.second_gradients, 24);
    }
    cj_context_free(cj);
}

static void test_wrong_rows_fail(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    expect_failure(cj, &wrong_gradient, "the gradient of s0");
    expect_failure(cj, &wrong_second, "the second derivative of s0");
    expect_failure(cj, &wrong_small, "writes behind output 0");
    expect_failure(cj, &wrong_large, "unwritten");
    expect_failure(cj, &wrong_kernel, "the gradient of s0");
    expect_failure(cj, &wrong_in_place, "over operand 0");
    expect_failure(cj, &wrong_lowering, "the lowering gives element");
    expect_failure(cj, &wrong_lowered_kernel, "the lowering gives element");
    expect_failure(cj, &few_samples, "19 samples");
    expect_failure(cj, &no_gradient, "does not say why");
    cj_op row = right;
    row.name = "no_samples";
    row.sample = NULL;
    expect_failure(cj, &row, "has no samples");
    row = right;
    row.name = "another";
    expect_failure(cj, &row, "it is a call of right");
    cj_context_free(cj);
}

int main(int argc, char **argv)
{
    only = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_right_rows_pass),
        cmocka_unit_test(test_wrong_rows_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
