/* test_optimizers.c: 20 steps of every optimizer, at a learning rate that changes, against PyTorch
 * and Keras's formulas (tools/golden/optimizers.py); the state they leave in the store; what
 * cj_updates refuses; an optimizer of a program's own. */
#include "nn_golden.h"

enum { STEPS = 20, NUMBERS = 13 };

static cj_context *cj;
static cj_tensors *golden;

typedef struct problem {
    cj_graph *g;
    cj_node *p[4], *dp[4], *rate, *loss;
} problem;

static const char *const names[] = {"w", "b", "q", "idle"};

static cj_node *data(cj_graph *g, cj_dtype dtype, const char *name)
{
    cj_tensor *t = cj_tensor_cast(cj_tensors_find(golden, name), dtype);
    cj_node *node = cj_constant(g, t);
    cj_tensor_free(t);
    return node;
}

/* mean log(1 + e^(-y (x w + b))) + sum curvature (q - centre)^2 / 2; "idle" is in no loss. */
static problem problem_new(cj_dtype dtype)
{
    problem s = {.g = cj_graph_new(cj)};
    for (int i = 0; i < 4; i++) {
        cj_tensor *start = cj_tensor_cast(golden_get(golden, "start", names[i]), dtype);
        s.p[i] = cj_parameter(s.g, names[i], start);
        cj_tensor_free(start);
    }
    cj_node *x = data(s.g, dtype, "x"), *y = data(s.g, dtype, "y");
    cj_node *margin = cj_mul(y, cj_add(cj_matmul(x, s.p[0]), s.p[1]));
    cj_node *away = cj_square(cj_sub(s.p[2], data(s.g, dtype, "centre")));
    s.loss = cj_add(cj_mean(cj_softplus(cj_neg(margin))),
                    cj_scale(cj_sum(cj_mul(data(s.g, dtype, "curvature"), away)), 0.5));
    assert_ok(cj, cj_grad(s.loss, s.p, 4, s.dp));
    assert_ptr_equal(s.dp[3], cj_zero);
    s.rate = cj_placeholder(s.g, "rate", CJ_F64, CJ_SCALAR);
    return s;
}

static cj_session *session_of(problem *s, const cj_update *updates, const char *backend,
                              cj_program **program)
{
    if (!updates) fail_msg("%s", cj_message(cj));
    *program = cj_compile(s->g, .outputs = {s->loss}, .updates = updates, .training = true);
    if (!*program) fail_msg("%s", cj_message(cj));
    cj_session *session = cj_session_new_opts(
        *program, cj_graph_store(s->g),
        &(cj_session_opts){.struct_size = sizeof(cj_session_opts), .backend = backend});
    assert_non_null(session);
    return session;
}

static void step(cj_session *s, const cj_node *rate, double value)
{
    cj_tensor *a = cj_tensor_scalar(cj, CJ_F64, value), *loss = NULL;
    if (cj_run(s, (cj_feed[]){{rate, a}}, 1, &loss, 1)) fail_msg("%s", cj_session_message(s));
    cj_tensor_free(a);
    cj_tensor_free(loss);
}

/* The largest difference over the largest weight, of the parameters now and a row of the golden
 * path. */
static double distance(problem *s, const double *expected)
{
    double most = 0, largest = 0;
    int k = 0;
    for (int i = 0; i < 4; i++) {
        cj_tensor *w = cj_store_get(cj_graph_store(s->g), names[i]);
        for (int64_t j = 0; j < cj_tensor_count(w); j++, k++) {
            double v = value_of(cj, w, j);
            if (!isfinite(v)) return INFINITY;
            most = fmax(most, fabs(v - expected[k]));
            largest = fmax(largest, fabs(expected[k]));
        }
    }
    assert_int_equal(k, NUMBERS);
    return most / largest;
}

static double row_of(const cj_tensor *path, int row, double out[NUMBERS])
{
    for (int i = 0; i < NUMBERS; i++)
        out[i] = cj_load_f64(cj_tensor_dtype(path), cj_tensor_map_read(path),
                             (size_t)(row * NUMBERS + i));
    return out[0];
}

static void check_path(const char *run, const char *optimizer, double rate, cj_dtype dtype,
                       const char *backend, double tolerance)
{
    const cj_tensor *path = cj_tensors_find(golden, run);
    if (!path) fail_msg("no golden run %s", run);
    problem s = problem_new(dtype);
    cj_program *program;
    cj_session *session = session_of(
        &s, cj_updates(optimizer, s.p, s.dp, 4, .learning_rate_node = s.rate), backend, &program);
    for (int i = 0; i < STEPS; i++) {
        double expected[NUMBERS];
        row_of(path, i, expected);
        step(session, s.rate, (float)(rate * (1 - 0.03 * i)));
        double d = distance(&s, expected);
        if (!(d <= tolerance))
            fail_msg("%s (%s) on %s, step %d: differs by %g of the largest weight, more than %g",
                     run, optimizer, backend ? backend : "best", i + 1, d, tolerance);
    }
    assert_int_equal(value_of(cj, cj_store_get(cj_graph_store(s.g), "optimizer/step"), 0), STEPS);
    cj_session_free(session);
    cj_program_free(program);
    cj_graph_free(s.g);
}

typedef struct run {
    const char *name, *optimizer;
    double rate;
} run;

static void as_torch(void **state)
{
    (void)state;
    static const run runs[] = {
        {"sgd", "sgd(form=torch)", 0.1},
        {"sgd_decay", "sgd(weight_decay=0.02, form=torch)", 0.1},
        {"sgd_momentum", "sgd(0.9, form=torch)", 0.05},
        {"sgd_nesterov", "sgd(momentum=0.8, nesterov=true, form=torch)", 0.05},
        {"sgd_all", "sgd(momentum=0.8, nesterov=true, weight_decay=0.02, form=torch)", 0.05},
        {"adam", "adam(epsilon=1e-8, form=torch)", 0.05},
        {"adam_betas", "adam(beta_1=0.8, beta_2=0.95, epsilon=1e-3, form=torch)", 0.05},
        {"adam_decay", "adam(weight_decay=0.02, epsilon=1e-8, form=torch)", 0.05},
        {"adamw", "adamw(weight_decay=0.01, epsilon=1e-8, form=torch)", 0.05},
        {"adamw_decay", "adamw(weight_decay=0.1, epsilon=1e-8, form=torch)", 0.05},
        {"rmsprop", "rmsprop(rho=0.99, epsilon=1e-8, form=torch)", 0.02},
        {"rmsprop_momentum", "rmsprop(rho=0.9, momentum=0.7, epsilon=1e-8, form=torch)", 0.01},
        {"rmsprop_centered", "rmsprop(rho=0.9, centered=true, epsilon=1e-8, form=torch)", 0.02},
        {"rmsprop_all",
         "rmsprop(rho=0.9, momentum=0.7, centered=true, weight_decay=0.02, epsilon=1e-4, "
         "form=torch)",
         0.01},
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        for (int b = 0; b < 2; b++) {
            char name[100];
            snprintf(name, sizeof name, "torch_f64/%s", runs[i].name);
            check_path(name, runs[i].optimizer, runs[i].rate, CJ_F64, backends[b], 1e-10);
            snprintf(name, sizeof name, "torch_f32/%s", runs[i].name);
            check_path(name, runs[i].optimizer, runs[i].rate, CJ_F32, backends[b], 1e-4);
        }
}

static void as_keras(void **state)
{
    (void)state;
    static const run runs[] = {
        {"keras/sgd", "sgd", 0.1},
        {"keras/sgd_decay", "sgd(weight_decay=0.02)", 0.1},
        {"keras/sgd_momentum", "sgd(momentum=0.9)", 0.05},
        {"keras/sgd_nesterov", "sgd(momentum=0.8, nesterov=true)", 0.05},
        {"keras/sgd_all", "sgd(momentum=0.8, nesterov=true, weight_decay=0.02)", 0.05},
        {"keras/adam", "adam", 0.05},
        {"keras/adam_betas", "adam(beta_1=0.8, beta_2=0.95, epsilon=1e-3)", 0.05},
        {"keras/adam_decay", "adam(weight_decay=0.02)", 0.05},
        {"keras/adamw", "adamw", 0.05},
        {"keras/adamw_decay", "adamw(weight_decay=0.1)", 0.05},
        {"keras/rmsprop", "rmsprop", 0.02},
        {"keras/rmsprop_momentum", "rmsprop(momentum=0.7)", 0.01},
        {"keras/rmsprop_centered", "rmsprop(centered=true)", 0.02},
        {"keras/rmsprop_all",
         "rmsprop(momentum=0.7, centered=true, epsilon=1e-4, rho=0.8, weight_decay=0.02)", 0.01},
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        for (int b = 0; b < 2; b++) {
            check_path(runs[i].name, runs[i].optimizer, runs[i].rate, CJ_F64, backends[b], 1e-10);
            check_path(runs[i].name, runs[i].optimizer, runs[i].rate, CJ_F32, backends[b], 1e-4);
        }
}

/* ---- State ----------------------------------------------------------------------------------- */

/* Names in the store, after the four parameters. */
static void check_names(const char *optimizer, const char *prefix, const char *const *expected)
{
    problem s = problem_new(CJ_F32);
    assert_non_null(cj_updates(optimizer, s.p, s.dp, 4, .prefix = prefix));
    cj_store *store = cj_graph_store(s.g);
    int n = 0;
    for (; expected[n]; n++) {
        const cj_tensor *t = cj_store_get(store, expected[n]);
        if (!t) fail_msg("%s: no '%s' in the store", optimizer, expected[n]);
        for (int64_t i = 0; i < cj_tensor_count(t); i++)
            assert_true(cj_load_f64(cj_tensor_dtype(t), cj_tensor_map_read(t), (size_t)i) == 0);
    }
    int per_parameter = n - 1;
    if (cj_store_count(store) != 4 + 1 + 4 * per_parameter)
        fail_msg("%s: %d entries in the store, expected %d", optimizer, cj_store_count(store),
                 4 + 1 + 4 * per_parameter);
    assert_int_equal(cj_tensor_dtype(cj_store_get(store, expected[0])), CJ_I64);
    cj_graph_free(s.g);
}

static void state_in_the_store(void **state)
{
    (void)state;
#define LIST(...) (const char *const[]){__VA_ARGS__, NULL}
    check_names("sgd", NULL, LIST("optimizer/step"));
    check_names("sgd(momentum=0.5)", NULL, LIST("optimizer/step", "optimizer/velocity/q"));
    check_names("adam", NULL, LIST("optimizer/step", "optimizer/m/w", "optimizer/v/idle"));
    check_names("adamw", "generator", LIST("generator/step", "generator/m/w", "generator/v/b"));
    check_names("rmsprop", NULL, LIST("optimizer/step", "optimizer/v/w"));
    check_names("rmsprop(momentum=0.5)", NULL,
                LIST("optimizer/step", "optimizer/v/w", "optimizer/momentum/w"));
    check_names("rmsprop(centered=true)", NULL,
                LIST("optimizer/step", "optimizer/v/w", "optimizer/momentum/w",
                     "optimizer/mean/w"));
#undef LIST
}

/* A gradient that never changes has deviation 0, which rounding must not take below. */
static void constant_gradient(void **state)
{
    (void)state;
    static const char *const optimizers[] = {"rmsprop(centered=true, form=torch)",
                                             "rmsprop(centered=true)", "adam", "sgd(momentum=1)"};
    for (size_t k = 0; k < sizeof optimizers / sizeof *optimizers; k++) {
        cj_graph *g = cj_graph_new(cj);
        float start[8] = {1, 2, 3, 4, 5, 6, 7, 8},
              slope[8] = {13, -77.7f, 1e3f, 0.1f, 3e-4f, 7, 1234.5f, -9};
        cj_tensor *w0 = cj_tensor_from(cj, CJ_F32, 1, (int64_t[]){8}, start),
                  *s0 = cj_tensor_from(cj, CJ_F32, 1, (int64_t[]){8}, slope);
        cj_node *w = cj_parameter(g, "w", w0), *rate = cj_placeholder(g, "rate", CJ_F64, CJ_SCALAR),
                *dw;
        cj_node *loss = cj_sum(cj_mul(w, cj_constant(g, s0)));
        assert_ok(cj, cj_grad(loss, &w, 1, &dw));
        problem s = {.g = g, .loss = loss};
        cj_program *program;
        cj_session *session = session_of(
            &s, cj_updates(optimizers[k], &w, &dw, 1, .learning_rate_node = rate), NULL, &program);
        for (int i = 0; i < 400; i++) step(session, rate, 1e-6);
        for (int i = 0; i < 8; i++)
            if (!isfinite(value_of(cj, cj_store_get(cj_graph_store(g), "w"), i)))
                fail_msg("%s: weight %d is not finite", optimizers[k], i);
        cj_tensor_free(w0);
        cj_tensor_free(s0);
        cj_session_free(session);
        cj_program_free(program);
        cj_graph_free(g);
    }
}

/* ---- What cj_updates takes and refuses ------------------------------------------------------- */

static double w_after_one_step(const char *optimizer, double rate)
{
    problem s = problem_new(CJ_F64);
    cj_program *program;
    cj_session *session = session_of(&s, cj_updates(optimizer, s.p, s.dp, 3, .learning_rate = rate),
                                     NULL, &program);
    cj_tensor *loss = NULL;
    assert_ok(cj, cj_run(session, NULL, 0, &loss, 1));
    double w = value_of(cj, cj_store_get(cj_graph_store(s.g), "w"), 0);
    cj_tensor_free(loss);
    cj_session_free(session);
    cj_program_free(program);
    cj_graph_free(s.g);
    return w;
}

static void learning_rates(void **state)
{
    (void)state;
    static const run defaults[] = {{"sgd", "sgd", 0.01},
                                   {"adam", "adam", 1e-3},
                                   {"adamw", "adamw", 1e-3},
                                   {"rmsprop", "rmsprop", 1e-3}};
    for (int i = 0; i < 4; i++) {
        double a = w_after_one_step(defaults[i].optimizer, 0),
               b = w_after_one_step(defaults[i].optimizer, defaults[i].rate);
        if (a != b)
            fail_msg("%s: %.17g, with the documented default %.17g", defaults[i].name, a, b);
        assert_true(w_after_one_step(defaults[i].optimizer, 0.5) != a);
    }
}

typedef struct wrong {
    const char *optimizer, *message;
} wrong;

static void wrong_texts(void **state)
{
    (void)state;
    static const wrong cases[] = {
        {"adm", "unknown optimizer 'adm' (did you mean 'adam'?)"},
        {"sgd(momentun=0.9)", "sgd: unknown option 'momentun' (did you mean 'momentum'?)"},
        {"sgd(momentum=1.5)", "sgd: momentum=1.5 is not between 0 and 1"},
        {"sgd(momentum=nan)", "sgd: momentum=nan, and a number is expected"},
        {"sgd(nesterov=maybe)", "sgd: nesterov='maybe' is not true or false"},
        {"sgd(form=jax)", "sgd: form='jax' is none of keras, torch"},
        {"adam(beta_1=1)", "adam: beta_1=1 is not between 0 and 0.999999999"},
        {"adam(epsilon=-1e-7)", NULL},
        {"adamw(weight_decay=-1)", NULL},
        {"rmsprop(rho=2)", NULL},
        {"rmsprop(0.9, 0.5)", NULL},
        {"adam(", NULL},
        {"", NULL},
        {NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        problem s = problem_new(CJ_F32);
        if (cj_updates(cases[i].optimizer, s.p, s.dp, 4, .learning_rate = 0.1))
            fail_msg("%s was taken", cases[i].optimizer);
        assert_int_equal(cj_graph_failed(s.g), CJ_ERR_ARGUMENT);
        if (cases[i].message) assert_said(cj, cases[i].message);
        cj_graph_free(s.g);
    }
}

#define REFUSED(status, message, ...)                                                              \
    do {                                                                                           \
        problem s = problem_new(CJ_F32);                                                           \
        assert_null(__VA_ARGS__);                                                                  \
        assert_said(cj, message);                                              \
        assert_int_equal(cj_graph_failed(s.g), status);                                            \
        cj_graph_free(s.g);                                                                        \
    } while (0)

static cj_node *in_place(cj_node **list, int i, cj_node *other)
{
    list[i] = other;
    return NULL;
}

static void wrong_operands(void **state)
{
    (void)state;
    REFUSED(CJ_ERR_ARGUMENT, "learning_rate=-1 is not above 0",
            cj_updates("sgd", s.p, s.dp, 4, .learning_rate = -1));
    REFUSED(CJ_ERR_ARGUMENT, "learning_rate=nan is not above 0",
            cj_updates("sgd", s.p, s.dp, 4, .learning_rate = (double)NAN));
    REFUSED(CJ_ERR_ARGUMENT, "learning_rate=inf is not above 0",
            cj_updates("sgd", s.p, s.dp, 4, .learning_rate = (double)INFINITY));
    REFUSED(CJ_ERR_SHAPE, "updates: the learning rate is not a scalar of floats",
            cj_updates("sgd", s.p, s.dp, 4, .learning_rate_node = s.p[0]));
    REFUSED(CJ_ERR_SHAPE, "updates: the gradient of 'w' is f32[], the parameter f32[4]",
            (in_place(s.dp, 0, s.dp[1]), cj_updates("sgd", s.p, s.dp, 4, .learning_rate = 1)));
    REFUSED(CJ_ERR_SHAPE, "updates: the gradient of 'b' is f64[], the parameter f32[]",
            (in_place(s.dp, 1, s.rate), cj_updates("sgd", s.p, s.dp, 4, .learning_rate = 1)));
    REFUSED(CJ_ERR_ARGUMENT, "updates: gradient 2 is NULL",
            (in_place(s.dp, 2, NULL), cj_updates("sgd", s.p, s.dp, 4, .learning_rate = 1)));
    REFUSED(CJ_ERR_ARGUMENT, "updates: parameter 1 is NULL",
            (in_place(s.p, 1, NULL), cj_updates("sgd", s.p, s.dp, 4, .learning_rate = 1)));
    REFUSED(CJ_ERR_ARGUMENT, "updates: parameter 1 is not a variable of the graph",
            (in_place(s.p, 1, s.loss), cj_updates("sgd", s.p, s.dp, 4, .learning_rate = 1)));
    REFUSED(CJ_ERR_ARGUMENT, "updates: parameter 3 is not a variable of the graph",
            (in_place(s.p, 3, cj_zero), cj_updates("sgd", s.p, s.dp, 4, .learning_rate = 1)));
    assert_null(cj_updates("sgd", NULL, NULL, 0, .learning_rate = 1));

    problem here = problem_new(CJ_F32); /* an error names the caller's line */
    assert_null(cj_updates("sdg", here.p, here.dp, 4, .learning_rate = 1));
    char place[64];
    snprintf(place, sizeof place, "test_optimizers.c:%d: unknown optimizer", __LINE__ - 2);
    if (!strstr(cj_message(cj), place))
        fail_msg("\"%s\" does not have \"%s\"", cj_message(cj), place);
    cj_graph_free(here.g);

    problem s = problem_new(CJ_F32);
    cj_tensor *other = cj_tensor_new(cj, CJ_F32, 1, (int64_t[]){7});
    cj_variable(s.g, "optimizer/m/w", other);
    assert_null(cj_updates("adam", s.p, s.dp, 4, .learning_rate = 1));
    assert_said(cj, "variable 'optimizer/m/w' is there already, and of another type or shape");
    cj_tensor_free(other);
    cj_graph_free(s.g);
}

/* ---- A program's own ------------------------------------------------------------------------- */

/* Sign descent with a count of the steps, to see options, step and slots: w -= rate * step_share *
 * sign(g). */
typedef struct own_options {
    double share;
} own_options;
static const cj_option own_table[] = {CJ_OPTION_FLOAT(own_options, share, 1, 0, 10, "of the rate"),
                                      CJ_OPTION_END};
static const char *const own_slots[] = {"count", NULL};
static bool own_build(cj_optimizer_step *s)
{
    cj_node *change = cj_scale(cj_mul(s->learning_rate, cj_sign(s->gradient)),
                               ((const own_options *)s->options)->share);
    s->new_slots[0] = cj_add(s->slots[0], cj_cast(s->step, cj_node_dtype(s->parameter)));
    s->new_parameter = cj_sub(s->parameter, change);
    return s->new_parameter != NULL;
}
static const cj_optimizer own = {.name = "own_sign",
                                 .doc = "a test's",
                                 .options_size = sizeof(own_options),
                                 .options = own_table,
                                 .learning_rate = 0.125,
                                 .slots = own_slots,
                                 .build = own_build};
static const char *const many_slots[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9", NULL};
static const cj_optimizer greedy = {.name = "greedy",
                                    .doc = "a test's",
                                    .learning_rate = 1,
                                    .slots = many_slots,
                                    .build = own_build};

static void own_optimizer(void **state)
{
    (void)state;
    cj_context *outer = cj;
    cj = test_context();
    assert_ok(cj, cj_optimizer_register(cj, &own));
    assert_int_equal(cj_optimizer_register(cj, &own), CJ_ERR_EXISTS);
    assert_ok(cj, cj_optimizer_register(cj, &greedy));
    problem s = problem_new(CJ_F64);
    cj_program *program;
    cj_session *session = session_of(
        &s, cj_updates("own_sign(share=2)", s.p, s.dp, 4, .learning_rate = 0), NULL, &program);
    for (int i = 0; i < 3; i++) {
        cj_tensor *loss = NULL;
        assert_ok(cj, cj_run(session, NULL, 0, &loss, 1));
        cj_tensor_free(loss);
    }
    cj_store *store = cj_graph_store(s.g);
    assert_true(value_of(cj, cj_store_get(store, "optimizer/count/q"), 5) == 1 + 2 + 3);
    assert_true(value_of(cj, cj_store_get(store, "idle"), 0) == 0.5);
    double moved = fabs(value_of(cj, cj_store_get(store, "b"), 0) - 0.25);
    if (fabs(moved - 0.25) > 1e-15 && fabs(moved - 0.75) > 1e-15)
        fail_msg("b moved by %.17g", moved);
    cj_session_free(session);
    cj_program_free(program);
    cj_graph_free(s.g);
    s = problem_new(CJ_F64);
    assert_null(cj_updates("greedy", s.p, s.dp, 4, .learning_rate = 1));
    assert_said(cj, "greedy: 9 slots, of 9 names, and at most 8");
    cj_context_free(cj);
    cj = outer;
    assert_null(cj_optimizer_find(cj, "own_sign"));
}

int main(void)
{
    cj = test_context();
    golden = golden_load(cj, "nn/optimizers.npz");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_torch),           cmocka_unit_test(as_keras),
        cmocka_unit_test(state_in_the_store), cmocka_unit_test(constant_gradient),
        cmocka_unit_test(learning_rates),     cmocka_unit_test(wrong_texts),
        cmocka_unit_test(wrong_operands),     cmocka_unit_test(own_optimizer)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_tensors_free(golden);
    cj_context_free(cj);
    return failed;
}
