/* Dimensions: numbers, symbols and expressions of them: one normal form, so that equal sizes are
 * equal numbers; inference through reshape; what cannot be decided is checked when the symbols are
 * bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <cajal/run.h>

#include "graph/graph.h"

typedef struct fixture {
    cj_context *cj;
    cj_graph *g;
    cj_dim batch, length;
} fixture;

static fixture start(void)
{
    fixture f = {.cj = cj_context_new(NULL)};
    assert_non_null(f.cj);
    f.g = cj_graph_new(f.cj);
    assert_non_null(f.g);
    f.batch = cj_symbol(f.g, "batch");
    f.length = cj_symbol(f.g, "length");
    return f;
}

static void stop(fixture *f)
{
    cj_context_free(f->cj);
}

static void same(fixture *f, cj_dim a, cj_dim b)
{
    if (cj_graph_failed(f->g)) fail_msg("%s", cj_message(f->cj));
    if (a != b) fail_msg("%s and %s are two", cj_dim_text(f->g, a), cj_dim_text(f->g, b));
}

static void reads(fixture *f, cj_dim d, const char *text)
{
    if (cj_graph_failed(f->g)) fail_msg("%s", cj_message(f->cj));
    assert_string_equal(cj_dim_text(f->g, d), text);
}

/* The graph failed with these words; a new one takes its place. */
static void refused(fixture *f, cj_status status, const char *words)
{
    if (!strstr(cj_message(f->cj), words))
        fail_msg("found \"%s\", expected \"%s\"", cj_message(f->cj), words);
    assert_int_equal(cj_graph_failed(f->g), status);
    cj_graph_free(f->g);
    f->g = cj_graph_new(f->cj);
    f->batch = cj_symbol(f->g, "batch");
    f->length = cj_symbol(f->g, "length");
}

#define ADD(a, b) cj_dim_add(f.g, a, b)
#define SUB(a, b) cj_dim_sub(f.g, a, b)
#define MUL(a, b) cj_dim_mul(f.g, a, b)
#define DIV(a, b) cj_dim_div(f.g, a, b)

/* ---- Normal form ----------------------------------------------------------------------------- */

static void test_numbers(void **state)
{
    (void)state;
    fixture f = start();
    assert_int_equal(ADD(2, 3), 5);
    assert_int_equal(SUB(5, 5), 0);
    assert_int_equal(MUL(6, 7), 42);
    assert_int_equal(DIV(7, 2), 3);
    assert_int_equal(cj_dim_max(f.g, 2, 9), 9);
    assert_int_equal(cj_dim_min(f.g, 2, 9), 2);
    assert_int_equal(cj_symbol(f.g, "batch"), f.batch);
    assert_true(f.batch < 0 && f.batch != f.length);
    stop(&f);
}

static void test_sums(void **state)
{
    (void)state;
    fixture f = start();
    cj_dim b = f.batch, l = f.length;
    same(&f, ADD(b, l), ADD(l, b));
    same(&f, ADD(b, 0), b);
    same(&f, SUB(ADD(b, 3), 3), b);
    same(&f, ADD(b, b), MUL(2, b));
    same(&f, SUB(MUL(3, b), MUL(2, b)), b);
    same(&f, SUB(ADD(b, l), b), l);
    same(&f, SUB(b, b), 0);
    same(&f, ADD(SUB(b, 5), 7), ADD(b, 2));
    same(&f, SUB(b, SUB(b, 2)), 2);
    same(&f, MUL(0, b), 0);
    reads(&f, ADD(MUL(4, b), 1), "4*batch+1");
    reads(&f, SUB(b, 1), "batch-1");
    stop(&f);
}

static void test_products(void **state)
{
    (void)state;
    fixture f = start();
    cj_dim b = f.batch, l = f.length;
    same(&f, MUL(b, l), MUL(l, b));
    same(&f, MUL(MUL(b, l), b), MUL(b, MUL(b, l)));
    same(&f, MUL(ADD(b, 1), l), ADD(MUL(b, l), l));
    same(&f, MUL(ADD(b, 1), SUB(b, 1)), SUB(MUL(b, b), 1));
    same(&f, MUL(ADD(b, l), ADD(b, l)), ADD(ADD(MUL(b, b), MUL(2, MUL(b, l))), MUL(l, l)));
    same(&f, MUL(b, 1), b);
    stop(&f);
}

static void test_quotients(void **state)
{
    (void)state;
    fixture f = start();
    cj_dim b = f.batch, l = f.length;
    same(&f, DIV(MUL(784, b), 784), b);
    same(&f, DIV(MUL(784, b), b), 784);
    same(&f, DIV(MUL(784, b), MUL(28, b)), 28);
    same(&f, DIV(MUL(MUL(b, l), 12), MUL(4, l)), MUL(3, b));
    same(&f, DIV(ADD(MUL(2, b), 4), 2), ADD(b, 2));
    same(&f, DIV(b, b), 1);
    same(&f, DIV(b, 1), b);
    same(&f, DIV(b, 2), DIV(b, 2));
    assert_true(DIV(b, 2) != DIV(b, 3));
    reads(&f, DIV(b, 2), "floor(batch/2)");
    stop(&f);
}

static void test_extremes(void **state)
{
    (void)state;
    fixture f = start();
    cj_dim b = f.batch, l = f.length;
    same(&f, cj_dim_max(f.g, b, l), cj_dim_max(f.g, l, b));
    same(&f, cj_dim_min(f.g, b, b), b);
    assert_true(cj_dim_max(f.g, b, 1) != cj_dim_min(f.g, b, 1));
    reads(&f, cj_dim_max(f.g, 1, b), cj_dim_text(f.g, cj_dim_max(f.g, b, 1)));
    stop(&f);
}

static void test_refusals(void **state)
{
    (void)state;
    fixture f = start();
    SUB(3, 4);
    refused(&f, CJ_ERR_SHAPE, "a size would be negative: -1");
    SUB(f.batch, ADD(f.batch, 2));
    refused(&f, CJ_ERR_SHAPE, "a size would be negative: -2");
    MUL(INT64_MAX, 2);
    refused(&f, CJ_ERR_SHAPE, "does not fit 63 bits");
    MUL(ADD(MUL(INT64_MAX, f.batch), 1), 2);
    refused(&f, CJ_ERR_SHAPE, "does not fit 63 bits");
    DIV(f.batch, 0);
    refused(&f, CJ_ERR_SHAPE, "divided by zero");
    cj_dim sum = 0;
    for (char name[] = "a"; name[0] <= 'z'; name[0]++) sum = ADD(sum, cj_symbol(f.g, name));
    refused(&f, CJ_ERR_LIMIT, "more than 8 terms");
    cj_dim product = 1;
    for (char name[] = "a"; name[0] <= 'z'; name[0]++) product = MUL(product, cj_symbol(f.g, name));
    refused(&f, CJ_ERR_LIMIT, "more than 8 terms");
    stop(&f);
}

/* ---- Binding and moving ---------------------------------------------------------------------- */

static void test_values(void **state)
{
    (void)state;
    fixture f = start();
    cj_dim d[] = {ADD(MUL(f.batch, f.length), 1), DIV(ADD(f.length, 1), 2),
                  cj_dim_max(f.g, f.batch, f.length), cj_dim_min(f.g, f.batch, 3),
                  SUB(MUL(2, f.length), f.batch)};
    const int64_t expected[] = {29, 4, 7, 3, 10};
    int64_t values[64];
    for (int i = 0; i < f.g->dims.count; i++) values[i] = -1;
    values[-1 - f.batch] = 4;
    values[-1 - f.length] = 7;
    assert_int_equal(cj__dims_evaluate(f.cj, f.g, values), CJ_OK);
    for (size_t i = 0; i < CJ__COUNT(d); i++)
        assert_int_equal(cj__dim_number(d[i], values), expected[i]);
    assert_int_equal(cj__dim_number(12, values), 12);

    values[-1 - f.length] = -1; /* not known yet: nor is what depends on it */
    assert_int_equal(cj__dims_evaluate(f.cj, f.g, values), CJ_OK);
    assert_int_equal(cj__dim_number(d[0], values), -1);
    assert_int_equal(cj__dim_number(d[3], values), 3);

    values[-1 - f.length] = 1; /* 2*length - batch = -2 */
    assert_int_equal(cj__dims_evaluate(f.cj, f.g, values), CJ_ERR_SHAPE);
    assert_non_null(strstr(cj_message(f.cj), "is negative"));
    values[-1 - f.length] = values[-1 - f.batch] = INT64_MAX / 2;
    assert_int_equal(cj__dims_evaluate(f.cj, f.g, values), CJ_ERR_SHAPE);
    stop(&f);
}

static void test_translation(void **state)
{
    (void)state;
    fixture f = start();
    cj_graph *to = cj_graph_new(f.cj);
    cj_symbol(to, "other"); /* numbers differ between graphs */
    cj_dim length = cj_symbol(to, "length"), batch = cj_symbol(to, "batch");
    cj_dim d = SUB(MUL(3, MUL(f.batch, f.length)), f.batch), q = DIV(ADD(f.batch, 1), f.length);
    cj_dim moved = cj__dim_translate(f.g, to, NULL, d);
    assert_int_equal(moved,
                     cj_dim_sub(to, cj_dim_mul(to, 3, cj_dim_mul(to, batch, length)), batch));
    assert_int_equal(cj__dim_translate(f.g, to, NULL, q),
                     cj_dim_div(to, cj_dim_add(to, batch, 1), length));
    assert_int_equal(cj__dim_translate(f.g, to, NULL, 5), 5);
    cj_dim map[64];
    for (int i = 0; i < f.g->dims.count; i++) map[i] = CJ_INFER;
    map[-1 - f.length] = 2; /* length becomes a number: 6*batch - batch */
    assert_int_equal(cj__dim_translate(f.g, to, map, d), cj_dim_mul(to, 5, batch));
    stop(&f);
}

/* ---- Through operators ----------------------------------------------------------------------- */

static cj_node *input(fixture *f, const char *name, int rank, const cj_dim *dims)
{
    return cj_placeholder(f->g, name, CJ_F32, rank, dims);
}

static void test_reshape(void **state)
{
    (void)state;
    fixture f = start();
    cj_node *x = input(&f, "x", CJ_DIMS(f.batch, 28, 28));
    cj_node *flat = cj_reshape(x, CJ_DIMS(f.batch, CJ_INFER));
    same(&f, cj_node_dim(flat, 1), 784);
    same(&f, cj_node_dim(cj_reshape(flat, CJ_DIMS(CJ_INFER, 784)), 0), f.batch);
    same(&f, cj_node_dim(cj_reshape(x, CJ_DIMS(CJ_INFER, 28)), 0), MUL(28, f.batch));
    same(&f, cj_node_dim(cj_reshape(x, CJ_DIMS(CJ_INFER)), 0), MUL(784, f.batch));
    same(&f, cj_node_dim(cj_reshape(x, CJ_DIMS(MUL(f.batch, 4), CJ_INFER)), 1), 196);
    cj_node *y = input(&f, "y", CJ_DIMS(f.batch, f.length, 6));
    same(&f, cj_node_dim(cj_reshape(y, CJ_DIMS(MUL(f.batch, f.length), CJ_INFER)), 1), 6);
    same(&f, cj_node_dim(cj_reshape(y, CJ_DIMS(f.batch, CJ_INFER, 2, 3)), 1), f.length);
    same(&f, f.g->dims.n_agreements, 0); /* all of it was proved */
    stop(&f);
}

/* Proved different numbers are refused at once, symbols when they are bound. */
static cj_status bound(const int64_t shape[2], cj_node *(*build)(fixture *f, cj_node *x),
                       char message[512])
{
    fixture f = start();
    cj_node *x = input(&f, "x", CJ_DIMS(f.batch, f.length)), *y = build(&f, x);
    if (!y) fail_msg("%s", cj_message(f.cj));
    cj_compile_opts o = {.struct_size = sizeof(o), .outputs = {y}};
    cj_program *p = (cj_compile)(f.g, &o);
    if (!p) fail_msg("%s", cj_message(f.cj));
    cj_session *s = cj_session_new(p, NULL);
    cj_tensor *value = cj_tensor_new(f.cj, CJ_F32, 2, shape), *out = NULL;
    cj_status failed = cj_run(s, &(cj_feed){x, value}, 1, &out, 1);
    snprintf(message, 512, "%s", cj_session_message(s));
    cj_tensor_free(out);
    cj_tensor_free(value);
    cj_session_free(s);
    cj_program_free(p);
    stop(&f);
    return failed;
}

static cj_node *square_matrix(fixture *f, cj_node *x)
{
    (void)f;
    return cj_matmul(x, x); /* batch = length */
}

static cj_node *pairs(fixture *f, cj_node *x)
{
    return cj_reshape(x, CJ_DIMS(f->batch, CJ_INFER, 2)); /* length is even */
}

static cj_node *behind_the_first(fixture *f, cj_node *x)
{
    return cj_slice_axis(x, 0, 2, cj_dim_sub(f->g, f->batch, 2)); /* batch >= 2 */
}

static void test_agreements(void **state)
{
    (void)state;
    char message[512];
    assert_int_equal(bound((int64_t[]){3, 3}, square_matrix, message), CJ_OK);
    assert_int_equal(bound((int64_t[]){3, 4}, square_matrix, message), CJ_ERR_SHAPE);
    if (!strstr(message, "matmul") || !strstr(message, "must be equal")) fail_msg("%s", message);
    assert_int_equal(bound((int64_t[]){3, 4}, pairs, message), CJ_OK);
    assert_int_equal(bound((int64_t[]){3, 5}, pairs, message), CJ_ERR_SHAPE);
    if (!strstr(message, "reshape")) fail_msg("%s", message);
    assert_int_equal(bound((int64_t[]){2, 4}, behind_the_first, message), CJ_OK);
    assert_int_equal(bound((int64_t[]){1, 4}, behind_the_first, message), CJ_ERR_SHAPE);
    if (!strstr(message, "batch-2")) fail_msg("%s", message);

    fixture f = start();
    assert_false(cj__dim_agree(f.g, NULL, 3, 4));
    assert_true(cj__dim_agree(f.g, NULL, f.batch, f.batch));
    assert_int_equal(f.g->dims.n_agreements, 0);
    assert_true(cj__dim_agree(f.g, NULL, f.batch, 4));
    assert_int_equal(f.g->dims.n_agreements, 1);
    stop(&f);
}

/* Sizes through concat, split, pad, slice and gather. */
static void test_shapes(void **state)
{
    (void)state;
    fixture f = start();
    cj_node *x = input(&f, "x", CJ_DIMS(f.batch, f.length)), *both[] = {x, x};
    same(&f, cj_node_dim((cj_concat)(both, 2, 0), 0), MUL(2, f.batch));
    same(&f, cj_node_dim((cj_concat)(both, 2, 1), 1), MUL(2, f.length));
    cj_node *z = (cj_concat)(both, 2, -1),
            *half = cj_split(z, 1, 2, (int64_t[]){f.length, f.length});
    same(&f, cj_node_dim(cj_node_output(half, 1), 1), f.length);
    cj_node *wide = cj_pad(x, (int64_t[]){0, 3}, (int64_t[]){0, 2}, 0);
    same(&f, cj_node_dim(wide, 1), ADD(f.length, 5));
    same(&f, cj_node_dim(cj_pad(wide, (int64_t[]){0, -5}, NULL, 0), 1), f.length);
    same(&f, cj_node_dim(cj_slice_axis(wide, 1, 3, CJ_INFER), 1), ADD(f.length, 2));
    same(&f, cj_node_dim(cj_slice_axis(wide, 1, -4, CJ_INFER), 1), 4);
    cj_node *even = cj_slice(x, (int64_t[]){0, 0}, (cj_dim[]){CJ_INFER, CJ_INFER},
                             (int64_t[]){1, 2});
    same(&f, cj_node_dim(even, 1), DIV(ADD(f.length, 1), 2));
    cj_node *i = cj_placeholder(f.g, "i", CJ_I64, CJ_DIMS(f.batch, 7));
    cj_node *rows = (cj_gather)(x, i, 1);
    assert_int_equal(cj_node_rank(rows), 3);
    same(&f, cj_node_dim(rows, 1), f.batch);
    same(&f, cj_node_dim(rows, 2), 7);
    same(&f, cj_node_dim(cj_scatter_add(rows, i, 1, f.length, 2), 1), f.length);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_sums),
        cmocka_unit_test(test_products), cmocka_unit_test(test_quotients),
        cmocka_unit_test(test_extremes), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_values),   cmocka_unit_test(test_translation),
        cmocka_unit_test(test_reshape),  cmocka_unit_test(test_agreements),
        cmocka_unit_test(test_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
