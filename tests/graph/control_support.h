/* control_support.h: small programs with bodies, run and differentiated numerically. */
#ifndef CAJAL_TESTS_GRAPH_CONTROL_SUPPORT_H
#define CAJAL_TESTS_GRAPH_CONTROL_SUPPORT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <cajal/op.h>
#include <cajal/run.h>

static cj_context *cj;

static int setup(void **state)
{
    (void)state;
    cj = cj_context_new(NULL);
    return cj ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

/* A tensor of doubles 0.3, -0.2, 0.5 ... that depend on the index and `salt` alone. */
static cj_tensor *wave(int salt, int rank, const int64_t *shape)
{
    cj_tensor *t = cj_tensor_new(cj, CJ_F64, rank, shape);
    assert_non_null(t);
    double *v = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++)
        v[i] = 0.8 * sin(1.7 * (double)i + 0.9 * salt + 0.4);
    cj_tensor_unmap(t);
    return t;
}

static cj_node *variable(cj_graph *g, const char *name, int salt, int rank, const int64_t *shape)
{
    cj_tensor *t = wave(salt, rank, shape);
    cj_node *node = cj_variable(g, name, t);
    cj_tensor_free(t);
    assert_non_null(node);
    return node;
}

static double *doubles(cj_tensor *t)
{
    double *v = cj_tensor_map(t, CJ_MAP_READ_WRITE);
    cj_tensor_unmap(t);
    return v;
}

static void assert_near(double found, double expected, double tolerance, const char *what,
                        int64_t i)
{
    if (fabs(found - expected) <= tolerance * (1 + fabs(expected))) return;
    fail_msg("%s [%lld]: found %.17g, expected %.17g", what, (long long)i, found, expected);
}

static void assert_built(cj_graph *g)
{
    if (cj_graph_failed(g)) fail_msg("%s", cj_message(cj));
    if (cj_graph_verify(g)) fail_msg("%s", cj_message(cj));
}

typedef struct runner {
    cj_program *program;
    cj_session *session;
    cj_tensor *out[CJ_OUTPUTS_MAX];
} runner;

static void open_runner(runner *r, cj_graph *g, cj_node *const *outputs, int n)
{
    *r = (runner){0};
    assert_built(g);
    r->program = (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                    .output_list = outputs,
                                                    .n_outputs = n});
    if (!r->program) fail_msg("%s", cj_message(cj));
    r->session = cj_session_new(r->program, cj_graph_store(g));
    if (!r->session) fail_msg("%s", cj_message(cj));
}

static void drop_outputs(runner *r)
{
    for (int i = 0; i < CJ_OUTPUTS_MAX; i++) {
        cj_tensor_free(r->out[i]);
        r->out[i] = NULL;
    }
}

static void run(runner *r, const cj_feed *feeds, int n)
{
    drop_outputs(r);
    if (cj_run(r->session, feeds, n, r->out, cj_program_output_count(r->program)))
        fail_msg("%s", cj_session_message(r->session));
}

static void close_runner(runner *r)
{
    drop_outputs(r);
    cj_session_free(r->session);
    cj_program_free(r->program);
}

/* Output k of `r` as the scalar it is. */
static double scalar(const runner *r, int k)
{
    assert_int_equal(cj_tensor_count(r->out[k]), 1);
    return doubles(r->out[k])[0];
}

/* d (output 0) / d (each element of the variables), against outputs first .. first+n-1. */
static inline void check_differences(runner *r, cj_node *const *wrt, int n, int first,
                                     const cj_feed *feeds, int n_feeds, const char *what)
{
    const double h = 1e-4;
    for (int i = 0; i < n; i++) {
        cj_tensor *v = cj_store_get(cj_graph_store(cj_node_graph(wrt[i])), cj_node_name(wrt[i]));
        run(r, feeds, n_feeds);
        cj_tensor *gradient = cj_tensor_copy(r->out[first + i]);
        for (int64_t e = 0; e < cj_tensor_count(v); e++) {
            double *x = &doubles(v)[e], middle = *x, at[4];
            for (int k = 0; k < 4; k++) {
                static const double steps[] = {-2, -1, 1, 2};
                *x = middle + steps[k] * h;
                run(r, feeds, n_feeds);
                at[k] = scalar(r, 0);
            }
            *x = middle;
            double difference = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h);
            char text[96];
            snprintf(text, sizeof text, "%s by %s", what, cj_node_name(wrt[i]));
            assert_near(doubles(gradient)[e], difference, 2e-8, text, e);
        }
        cj_tensor_free(gradient);
    }
}

/* First and second derivative of a scalar. */
static inline void check_gradients(cj_graph *g, cj_node *loss, cj_node *const *wrt, int n,
                                   const cj_feed *feeds, int n_feeds)
{
    cj_node *first[8] = {loss}, *second[8] = {NULL};
    runner r;
    cj_grad(loss, wrt, n, first + 1);
    for (int i = 0; i < n; i++) first[1 + i] = cj_zero_as(first[1 + i], wrt[i]);
    open_runner(&r, g, first, 1 + n);
    check_differences(&r, wrt, n, 1, feeds, n_feeds, "gradient");
    close_runner(&r);
    for (int i = 0; i < n; i++) {
        cj_tensor *t = wave(20 + i, cj_node_rank(wrt[i]), cj_node_type(wrt[i])->dim);
        cj_node *part = cj_sum(cj_mul(first[1 + i], cj_constant(g, t)));
        cj_tensor_free(t);
        second[0] = i ? cj_add(second[0], part) : part;
    }
    cj_grad(second[0], wrt, n, second + 1);
    for (int i = 0; i < n; i++) second[1 + i] = cj_zero_as(second[1 + i], wrt[i]);
    open_runner(&r, g, second, 1 + n);
    check_differences(&r, wrt, n, 1, feeds, n_feeds, "second derivative");
    close_runner(&r);
}

/* The two inputs every loop body begins with; returns the iteration. */
static cj_node *loop_inputs(cj_graph *body)
{
    cj_node *iteration = cj_placeholder(body, "iteration", CJ_I64, CJ_SCALAR);
    cj_placeholder(body, "condition", CJ_BOOL, CJ_SCALAR);
    return iteration;
}

#endif
