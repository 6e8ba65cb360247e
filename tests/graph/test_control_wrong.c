/* test_control_wrong.c: bodies that do not fit their operands, and bodies that fail while they run.
 */
#include <string.h>

#include "control_support.h"
#include "support/faults.h"

/* ---- Bodies that do not fit ------------------------------------------------------------------ */

typedef struct input {
    const char *name;
    cj_dtype dtype;
    int rank;
    cj_dim dim[3];
} input;

/* A body with these inputs (up to the first without a name), whose outputs are the inputs with
 * these numbers (up to -1); symbol -1 is called "n". */
static cj_graph *wires(const input *inputs, const int *outputs)
{
    cj_graph *body = cj_graph_new(cj);
    cj_symbol(body, "n");
    for (; inputs->name; inputs++)
        cj_placeholder(body, inputs->name, inputs->dtype, inputs->rank, inputs->dim);
    for (; *outputs >= 0; outputs++) cj_graph_output(body, NULL, cj_graph_input_at(body, *outputs));
    return body;
}

#define INPUTS(...) \
    (const input[]) \
    { \
        __VA_ARGS__, \
        { \
            0 \
        } \
    }
#define OUTPUTS(...) \
    (const int[]) \
    { \
        __VA_ARGS__, -1 \
    }

static void assert_refused(cj_graph *g, cj_node *node, cj_status status, const char *message)
{
    assert_null(node);
    assert_string_equal(cj_message(cj), message);
    assert_int_equal(cj_graph_failed(g), status);
    cj_graph_free(g);
}

/* A graph with x f64[2, 3], y f64[3], b bool[], k i64[]. */
typedef struct values {
    cj_graph *g;
    cj_node *x, *y, *b, *k;
} values;

static values start(void)
{
    values v = {.g = cj_graph_new(cj)};
    v.x = cj_placeholder(v.g, "x", CJ_F64, CJ_DIMS(2, 3));
    v.y = cj_placeholder(v.g, "y", CJ_F64, CJ_DIMS(3));
    v.b = cj_placeholder(v.g, "b", CJ_BOOL, CJ_SCALAR);
    v.k = cj_placeholder(v.g, "k", CJ_I64, CJ_SCALAR);
    return v;
}

static void wrong_ifs_are_named(void **state)
{
    (void)state;
    const input vector = {"v", CJ_F64, 1, {3}}, narrow = {"v", CJ_F32, 1, {3}},
                flat = {"v", CJ_F64, 1, {-1}};
    values v = start();
    assert_refused(
        v.g,
        cj_if(v.k, wires(INPUTS(vector), OUTPUTS(0)), wires(INPUTS(vector), OUTPUTS(0)), &v.y, 1),
        CJ_ERR_TYPE, "if: the condition is i64[], expected bool[] (operands i64[], f64[3])");
    v = start();
    assert_refused(v.g, cj_if(v.b, wires(INPUTS(vector), OUTPUTS(0)), NULL, &v.y, 1),
                   CJ_ERR_ARGUMENT, "if: it has no else (operands bool[], f64[3])");
    v = start();
    assert_refused(
        v.g,
        cj_if(v.b, wires(INPUTS(vector), OUTPUTS(0)), wires(INPUTS(narrow), OUTPUTS(0)), &v.y, 1),
        CJ_ERR_TYPE,
        "if: else input 0 ('v') is f32[3], but capture 0 is f64[3] (operands bool[], f64[3])");
    v = start();
    assert_refused(v.g,
                   cj_if(v.b, wires(INPUTS(flat), OUTPUTS(0)), wires(INPUTS(vector), OUTPUTS(0)),
                         &v.x, 1),
                   CJ_ERR_SHAPE,
                   "if: then input 0 ('v') is f64[n], but capture 0 is f64[2, 3] (operands bool[], "
                   "f64[2, 3])");
    v = start();
    assert_refused(v.g,
                   cj_if(v.b, wires(INPUTS(vector), OUTPUTS(0)),
                         wires(INPUTS(vector), OUTPUTS(0, 0)), &v.y, 1),
                   CJ_ERR_ARGUMENT, "if: then has 1 outputs, else has 2 (operands bool[], f64[3])");
    v = start();
    const input both[] = {vector, {"m", CJ_F64, 2, {2, 3}}, {0}};
    assert_refused(
        v.g,
        cj_if(v.b, wires(both, OUTPUTS(0)), wires(both, OUTPUTS(1)), (cj_node *[]){v.y, v.x}, 2),
        CJ_ERR_SHAPE,
        "if: output 0 is f64[3] in then, f64[2, 3] in else (operands bool[], f64[3], f64[2, 3])");
    v = start();
    cj_graph *twice = wires(INPUTS(vector), OUTPUTS(0));
    assert_refused(v.g, cj_if(v.b, twice, twice, &v.y, 1), CJ_ERR_ARGUMENT,
                   "body: the body graph belongs to another call");
}

static void wrong_loops_are_named(void **state)
{
    (void)state;
    const input i = {"i", CJ_I64, 0, {0}}, c = {"c", CJ_BOOL, 0, {0}}, v3 = {"v", CJ_F64, 1, {3}},
                m = {"m", CJ_F64, 2, {2, 3}};
    values v = start();
    assert_refused(v.g,
                   cj_loop(v.y, NULL, &v.y, 1, wires(INPUTS(i, c, v3), OUTPUTS(1, 2)), NULL, 0),
                   CJ_ERR_TYPE,
                   "loop: the limit is f64[3], expected i64[] (operands f64[3], f64[3])");
    v = start();
    assert_refused(
        v.g, cj_loop(v.k, v.y, &v.y, 1, wires(INPUTS(i, c, v3), OUTPUTS(1, 2)), NULL, 0),
        CJ_ERR_TYPE,
        "loop: the condition is f64[3], expected bool[] (operands i64[], f64[3], f64[3])");
    v = start();
    assert_refused(v.g, cj_loop(v.k, NULL, &v.y, 1, wires(INPUTS(i, c), OUTPUTS(1, 1)), NULL, 0),
                   CJ_ERR_ARGUMENT, "loop: body has 2 inputs, expected 3 (operands i64[], f64[3])");
    v = start();
    assert_refused(
        v.g, cj_loop(v.k, NULL, &v.y, 1, wires(INPUTS(c, i, v3), OUTPUTS(0, 2)), NULL, 0),
        CJ_ERR_TYPE,
        "loop: body input 0 ('c') is bool[], but the iteration is i64[] (operands i64[], f64[3])");
    v = start();
    assert_refused(
        v.g, cj_loop(v.k, NULL, &v.y, 1, wires(INPUTS(i, c, v3), OUTPUTS(0, 2)), NULL, 0),
        CJ_ERR_TYPE,
        "loop: body output 0 is i64[], but the condition is bool[] (operands i64[], f64[3])");
    v = start();
    assert_refused(v.g,
                   cj_loop(v.k, NULL, &v.y, 1, wires(INPUTS(i, c, v3, m), OUTPUTS(1, 3)), &v.x, 1),
                   CJ_ERR_SHAPE,
                   "loop: body output 1 is f64[2, 3], but carried value 0 is f64[3] (operands "
                   "i64[], f64[3], f64[2, 3])");
    v = start();
    assert_refused(v.g, cj_loop(v.k, NULL, &v.y, 1, wires(INPUTS(i, c, v3), OUTPUTS(1)), NULL, 0),
                   CJ_ERR_ARGUMENT,
                   "loop: body has 1 outputs, expected at least 2 (operands i64[], f64[3])");
    v = start();
    assert_refused(v.g, cj_loop(v.k, NULL, NULL, 0, wires(INPUTS(i, c), OUTPUTS(1)), NULL, 0),
                   CJ_ERR_ARGUMENT, "loop: it has no results (operand i64[])");
    v = start();
    assert_refused(v.g, cj_loop(v.k, NULL, &v.y, 1, NULL, NULL, 0), CJ_ERR_ARGUMENT,
                   "loop: it has no body (operands i64[], f64[3])");
}

static void wrong_scans_are_named(void **state)
{
    (void)state;
    const input h = {"h", CJ_F64, 1, {-1}}, e = {"e", CJ_F64, 1, {-1}}, w = {"w", CJ_F64, 1, {2}},
                s = {"s", CJ_F64, 0, {0}};
    values v = start();
    assert_refused(v.g, cj_scan(&v.y, 1, NULL, 0, false, wires(INPUTS(h), OUTPUTS(0)), NULL, 0),
                   CJ_ERR_ARGUMENT, "scan: it has no sequence to walk along (operand f64[3])");
    v = start();
    assert_refused(v.g, cj_scan(&v.y, 1, &v.b, 1, false, wires(INPUTS(h, e), OUTPUTS(0)), NULL, 0),
                   CJ_ERR_SHAPE, "scan: sequence 0 is a scalar (operands f64[3], bool[])");
    v = start();
    assert_refused(
        v.g,
        cj_scan(NULL, 0, (cj_node *[]){v.x, v.y}, 2, false, wires(INPUTS(e, s), OUTPUTS(0)), NULL,
                0),
        CJ_ERR_SHAPE,
        "scan: sequence 1 has 3 elements, the ones before have 2 (operands f64[2, 3], f64[3])");
    v = start();
    assert_refused(v.g, cj_scan(&v.y, 1, &v.x, 1, false, wires(INPUTS(h, w), OUTPUTS(0)), NULL, 0),
                   CJ_ERR_SHAPE,
                   "scan: body input 1 ('w') is f64[2], but an element of sequence 0 is f64[3] "
                   "(operands f64[3], f64[2, 3])");
    v = start();
    cj_node *two = cj_placeholder(v.g, "two", CJ_F64, CJ_DIMS(2));
    assert_refused(v.g, cj_scan(&two, 1, &v.x, 1, false, wires(INPUTS(h, e), OUTPUTS(0)), NULL, 0),
                   CJ_ERR_SHAPE,
                   "scan: body input 1 ('e') is f64[n], but an element of sequence 0 is f64[3] "
                   "(operands f64[2], f64[2, 3])");
    v = start();
    cj_graph *loose = wires(INPUTS(h, e), OUTPUTS(0));
    cj_graph_output(loose, NULL, cj_iota(loose, CJ_I64, 0, CJ_DIMS(cj_symbol(loose, "m"))));
    assert_refused(v.g, cj_scan(&v.y, 1, &v.x, 1, false, loose, NULL, 0), CJ_ERR_SHAPE,
                   "scan: body uses the size 'm', which is in the shape of none of its inputs "
                   "(operands f64[3], f64[2, 3])");
    v = start();
    cj_graph *broken = wires(INPUTS(h, e), OUTPUTS(0));
    cj_reshape(cj_graph_input_at(broken, 0), CJ_DIMS(-7));
    cj_node *none = cj_scan(&v.y, 1, &v.x, 1, false, broken, NULL, 0);
    assert_null(none);
    assert_non_null(strstr(cj_message(cj), "body: the body failed: "));
    assert_non_null(strstr(cj_message(cj), "reshape: "));
    cj_graph_free(v.g);
}

static void bodies_nest_so_deep(void **state)
{
    (void)state;
    cj_graph *g = NULL;
    for (int depth = 0; depth <= 34; depth++) {
        cj_graph *next = cj_graph_new(cj);
        cj_node *b = cj_placeholder(next, "b", CJ_BOOL, CJ_SCALAR),
                *x = cj_placeholder(next, "x", CJ_F64, CJ_SCALAR);
        cj_graph *other = wires(INPUTS({"b", CJ_BOOL, 0, {0}}, {"x", CJ_F64, 0, {0}}), OUTPUTS(1));
        cj_node *y = g ? cj_if(b, g, other, (cj_node *[]){b, x}, 2) : cj_exp(x);
        if (depth == 32) { /* the deepest that is allowed also runs */
            runner r;
            open_runner(&r, next, &y, 1);
            cj_tensor *t = cj_tensor_scalar(cj, CJ_BOOL, 1), *v = cj_tensor_scalar(cj, CJ_F64, 1);
            run(&r, (cj_feed[]){{.node = b, .value = t}, {.node = x, .value = v}}, 2);
            assert_true(scalar(&r, 0) == exp(1));
            cj_tensor_free(t), cj_tensor_free(v);
            close_runner(&r);
        }
        if (depth == 33) {
            assert_refused(next, y, CJ_ERR_LIMIT, "body: bodies are nested more than 32 deep");
            return;
        }
        cj_graph_output(next, NULL, y);
        g = next;
    }
}

/* A graph whose gradient does not exist says so for its body. */
static void missing_gradients_are_named(void **state)
{
    (void)state;
    static const cj_op *op;
    static cj_op row;
    values v = start();
    cj_graph *body = cj_graph_new(cj);
    row = *cj_op_find(cj, "exp");
    row.name = "odd";
    row.grad = NULL;
    op = &row;
    assert_int_equal(cj_op_register(cj, op), CJ_OK);
    cj_node *e = cj_placeholder(body, "e", CJ_F64, CJ_DIMS(3));
    cj_graph_output(body, NULL, cj_apply(body, op, &e, 1, NULL));
    cj_node *y = cj_scan(NULL, 0, &v.x, 1, false, body, NULL, 0), *dx;
    assert_int_equal(cj_grad(cj_sum(y), &v.x, 1, &dx), CJ_ERR_UNSUPPORTED);
    assert_string_equal(cj_message(cj), "scan: the gradient of its body: odd: it has no gradient");
    cj_graph_free(v.g);
}

/* ---- Bodies that fail while they run --------------------------------------------------------- */

/* c <- table[iteration] while the table lasts: iteration 3 is out of its range. */
static cj_node *lookups(cj_node *limit, cj_node *table, cj_node *first)
{
    cj_graph *body = cj_graph_new(cj);
    cj_node *iteration = loop_inputs(body);
    cj_node *c = cj_placeholder(body, "c", CJ_F64, CJ_SCALAR),
            *t = cj_placeholder(body, "t", CJ_F64, CJ_DIMS(3));
    cj_graph_output(body, NULL, cj_scalar(body, CJ_BOOL, 1));
    cj_graph_output(body, NULL, cj_add(c, cj_gather(t, iteration, 0)));
    return cj_loop(limit, NULL, &first, 1, body, &table, 1);
}

/* Updates of a failed run are not made, not even those of other variables. */
static void a_failed_body_commits_nothing(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_node *limit = cj_placeholder(g, "limit", CJ_I64, CJ_SCALAR),
            *table = variable(g, "table", 1, 1, (int64_t[]){3});
    cj_node *sum = variable(g, "sum", 2, 0, NULL), *count = variable(g, "count", 3, 0, NULL);
    cj_node *next = lookups(limit, table, sum);
    assert_built(g);
    const cj_update updates[] = {
        {count, cj_shift(count, 1)}, {sum, next}, {table, cj_neg(table)}, {NULL, NULL}};
    cj_program *p = cj_compile(g, .updates = updates);
    cj_session *s = cj_session_new(p, cj_graph_store(g));
    assert_non_null(s);
    double *sums = doubles(cj_store_get(cj_graph_store(g), "sum")),
           *counts = doubles(cj_store_get(cj_graph_store(g), "count"));
    double *tables = doubles(cj_store_get(cj_graph_store(g), "table")), before = *sums,
           counted = *counts, t[3];
    memcpy(t, tables, sizeof t);
    cj_tensor *n = cj_tensor_scalar(cj, CJ_I64, 5);
    assert_int_equal(cj_run(s, &(cj_feed){.node = limit, .value = n}, 1, NULL, 0), CJ_ERR_DATA);
    if (strncmp(cj_session_message(s), "loop: iteration 3: ", 19))
        fail_msg("%s", cj_session_message(s));
    assert_true(*sums == before && *counts == counted && !memcmp(t, tables, sizeof t));
    cj_tensor_free(n);
    n = cj_tensor_scalar(cj, CJ_I64, 3);
    assert_int_equal(cj_run(s, &(cj_feed){.node = limit, .value = n}, 1, NULL, 0), CJ_OK);
    assert_near(*sums, before + t[0] + t[1] + t[2], 1e-14, "sum", 0);
    assert_true(*counts == counted + 1 && tables[1] == -t[1]);
    cj_tensor_free(n);
    cj_session_free(s);
    cj_program_free(p);
}

static bool stop_soon(void *user)
{
    int *left = user;
    return (*left)-- <= 0;
}

/* Runs for ever; stacks what it carries when asked to. */
static cj_status run_forever(cj_context *own, bool stacks)
{
    cj_graph *g = cj_graph_new(own), *body = cj_graph_new(own);
    cj_node *x = cj_placeholder(g, "x", CJ_F64, CJ_DIMS(1000));
    loop_inputs(body);
    cj_node *c = cj_placeholder(body, "c", CJ_F64, CJ_DIMS(1000));
    cj_graph_output(body, NULL, cj_scalar(body, CJ_BOOL, 1));
    cj_graph_output(body, NULL, c);
    if (stacks) cj_graph_output(body, NULL, c);
    cj_program *p = cj_compile(g, .outputs = {cj_loop(NULL, NULL, &x, 1, body, NULL, 0)});
    cj_session *s = cj_session_new(p, cj_graph_store(g));
    cj_tensor *t = cj_tensor_new(own, CJ_F64, 1, (int64_t[]){1000}), *out = NULL;
    assert_non_null(s);
    cj_status failed = cj_run(s, &(cj_feed){.node = x, .value = t}, 1, &out, 1);
    cj_tensor_free(t);
    cj_session_free(s);
    cj_program_free(p);
    return failed;
}

static void endless_loops_can_be_stopped(void **state)
{
    (void)state;
    int left = 5000;
    cj_context *own = cj_context_new(&(cj_config){.cancel = stop_soon, .cancel_user = &left});
    assert_int_equal(run_forever(own, false), CJ_ERR_CANCELLED);
    cj_context_free(own);
    own = cj_context_new(&(cj_config){.memory_limit_bytes = 4 << 20});
    assert_int_equal(run_forever(own, true), CJ_ERR_LIMIT);
    assert_true(cj_memory_peak(own) <= 4 << 20);
    cj_context_free(own);
}

/* ---- Every allocation fails ------------------------------------------------------------------ */

/* A loop whose stacked values are summed, and the gradient of that. */
static cj_status scenario(cj_context *own, void *arg)
{
    (void)arg;
    cj_status failed = CJ_OK;
    cj_tensor *one = cj_tensor_scalar(own, CJ_F64, 1.5), *n = cj_tensor_scalar(own, CJ_I64, 3),
              *out[2] = {NULL};
    cj_graph *g = cj_graph_new(own), *body = cj_graph_new(own);
    cj_program *p = NULL;
    cj_session *s = NULL;
    if (one && n && g && body) {
        cj_node *limit = cj_placeholder(g, "n", CJ_I64, CJ_SCALAR), *x = cj_variable(g, "x", one),
                *dx = NULL;
        loop_inputs(body);
        cj_node *c = cj_placeholder(body, "c", CJ_F64, CJ_SCALAR);
        cj_graph_output(body, NULL, cj_scalar(body, CJ_BOOL, 1));
        cj_graph_output(body, NULL, cj_square(c));
        cj_graph_output(body, NULL, c);
        cj_node *sum = cj_sum(cj_node_output(cj_loop(limit, NULL, &x, 1, body, NULL, 0), 1));
        if (sum && x) cj_grad(sum, &x, 1, &dx);
        p = cj_graph_failed(g) ? NULL : cj_compile(g, .outputs = {sum, dx});
        s = p ? cj_session_new(p, cj_graph_store(g)) : NULL;
        failed = s ? cj_run(s, &(cj_feed){.node = limit, .value = n}, 1, out, 2)
                   : cj_last_status(own);
        if (s && failed) cj_fail(own, failed, "%s", cj_session_message(s));
        if (!failed) /* x + x^2 + x^4 */
            assert_near(doubles(out[1])[0], 1 + 2 * 1.5 + 4 * 1.5 * 1.5 * 1.5, 1e-13, "gradient",
                        0);
    } else {
        failed = cj_last_status(own);
    }
    cj_tensor_free(out[0]), cj_tensor_free(out[1]), cj_tensor_free(one), cj_tensor_free(n);
    cj_session_free(s);
    cj_program_free(p);
    return failed;
}

static void allocation_failures(void **state)
{
    (void)state;
    assert_true(faults_sweep_memory(scenario, NULL, &(cj_config){.threads = 1}, 3) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(wrong_ifs_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_loops_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_scans_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(bodies_nest_so_deep, setup, teardown),
        cmocka_unit_test_setup_teardown(missing_gradients_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_body_commits_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(endless_loops_can_be_stopped, setup, teardown),
        cmocka_unit_test(allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
