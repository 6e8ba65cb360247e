/* test_optimizers.c: 20 steps of every optimizer and of every option that all of them have, at a
 * learning rate that changes, against PyTorch and published formulas (tools/golden/optimizers.py);
 * the state they leave in the store; what cj_updates refuses; an optimizer of a program's own. */
#include "nn_golden.h"

#include "base/option.h"
#include "base/registry.h"

enum { STEPS = 20, NUMBERS = 27, PARAMETERS = 4 };

static cj_context *cj;
static cj_tensors *golden;

typedef struct problem {
    cj_graph *g;
    cj_node *p[PARAMETERS], *dp[PARAMETERS], *rate, *loss;
    const char *const *names;
    int n;
} problem;

static const char *const names[] = {"w", "b", "q", "idle"}, *const extreme_names[] = {"e", "k"};

static cj_node *data(cj_graph *g, cj_dtype dtype, const char *name)
{
    cj_tensor *t = cj_tensor_cast(cj_tensors_find(golden, name), dtype);
    cj_node *node = cj_constant(g, t);
    cj_tensor_free(t);
    return node;
}

/* sum curvature (x - centre)^2 / 2 */
static cj_node *bowl(problem *s, cj_dtype dtype, cj_node *x, const char *curvature,
                     const char *centre)
{
    cj_node *away = cj_square(cj_sub(x, data(s->g, dtype, centre)));
    return cj_scale(cj_sum(cj_mul(data(s->g, dtype, curvature), away)), 0.5);
}

/* plain: mean log(1 + e^(-y (x w + b))) and a bowl of q; "idle" is in no loss.
 * extreme: e with constant gradients from 1e10 to 1e-20 and 0, and a bowl of k. */
static problem any_problem(cj_dtype dtype, bool extreme)
{
    problem s = {.g = cj_graph_new(cj), .names = extreme ? extreme_names : names};
    s.n = extreme ? 2 : 4;
    for (int i = 0; i < s.n; i++) {
        cj_tensor *start = cj_tensor_cast(golden_get(golden, "start", s.names[i]), dtype);
        s.p[i] = cj_parameter(s.g, s.names[i], start);
        cj_tensor_free(start);
    }
    if (extreme) {
        s.loss = cj_add(cj_sum(cj_mul(data(s.g, dtype, "slope"), s.p[0])),
                        bowl(&s, dtype, s.p[1], "k_curvature", "k_centre"));
    } else {
        cj_node *x = data(s.g, dtype, "x"), *y = data(s.g, dtype, "y");
        cj_node *margin = cj_mul(y, cj_add(cj_matmul(x, s.p[0]), s.p[1]));
        s.loss = cj_add(cj_mean(cj_softplus(cj_neg(margin))),
                        bowl(&s, dtype, s.p[2], "curvature", "centre"));
    }
    assert_ok(cj, cj_grad(s.loss, s.p, s.n, s.dp));
    s.rate = cj_placeholder(s.g, "rate", CJ_F64, CJ_SCALAR);
    return s;
}

static problem problem_new(cj_dtype dtype)
{
    problem s = any_problem(dtype, false);
    assert_ptr_equal(s.dp[3], cj_zero);
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

typedef struct run {
    const char *name, *optimizer;
    double rate;
    const char *slot;  /* compared instead of the parameters; NULL: the parameters */
    double tolerance;  /* in float; 0: 1e-5 */
} run;

/* |found - expected| <= tolerance max(1, |expected|) for all parameters of a problem. */
static void check_step(const run *r, const problem *s, const double *expected, int at,
                       const char *backend, double tolerance)
{
    int k = 0;
    for (int i = 0; i < s->n; i++) {
        char name[80];
        if (r->slot) snprintf(name, sizeof name, "optimizer/%s/%s", r->slot, s->names[i]);
        else snprintf(name, sizeof name, "%s", s->names[i]);
        cj_tensor *w = cj_store_get(cj_graph_store(s->g), name);
        assert_non_null(w);
        for (int64_t j = 0; j < cj_tensor_count(w); j++, k++) {
            double v = value_of(cj, w, j), off = fabs(v - expected[k]);
            if (!(off <= tolerance * fmax(1, fabs(expected[k]))))
                fail_msg("%s (%s) in %s on %s, step %d: %s[%lld] is %.17g, expected %.17g", r->name,
                         r->optimizer, cj_tensor_dtype(w) == CJ_F64 ? "double" : "float",
                         backend ? backend : "best", at + 1, name, (long long)j, v, expected[k]);
        }
    }
    assert_int_equal(k, s->n == 4 ? 13 : NUMBERS - 13);
}

static void check_path(const run *r, cj_dtype dtype, const char *backend, bool extreme)
{
    const cj_tensor *path = cj_tensors_find(golden, r->name);
    if (!path) fail_msg("no golden run %s", r->name);
    const double *rows = cj_tensor_map_read(path);
    const double tolerance = dtype == CJ_F64 ? 1e-10 : r->tolerance > 0 ? r->tolerance : 1e-5;
    problem s = any_problem(dtype, extreme);
    cj_program *program;
    cj_session *session = session_of(
        &s, cj_updates(r->optimizer, s.p, s.dp, s.n, .learning_rate_node = s.rate), backend,
        &program);
    for (int i = 0; i < STEPS; i++) {
        step(session, s.rate, (float)(r->rate * (1 - 0.03 * i)));
        check_step(r, &s, rows + i * NUMBERS + (extreme ? 13 : 0), i, backend, tolerance);
    }
    cj_session_free(session);
    cj_program_free(program);
    cj_graph_free(s.g);
}

static const run runs[] = {
    {"torch/sgd", "sgd(form=torch)", 0.1, NULL, 0},
    {"torch/sgd_momentum", "sgd(0.9, form=torch)", 0.05, NULL, 0},
    {"torch/sgd_nesterov", "sgd(momentum=0.8, nesterov=true, form=torch)", 0.05, NULL, 0},
    {"torch/sgd_all", "sgd(momentum=0.8, nesterov=true, weight_decay=0.02, form=torch)", 0.05, NULL,
     0},
    {"torch/adam", "adam(epsilon=1e-8, form=torch)", 0.05, NULL, 0},
    {"torch/adam_decay", "adam(weight_decay=0.02, epsilon=1e-8, form=torch)", 0.05, NULL, 0},
    {"torch/adam_amsgrad", "adam(amsgrad=true, epsilon=1e-8, form=torch)", 0.05, NULL, 0},
    {"torch/adamw", "adamw(weight_decay=0.01, epsilon=1e-8, form=torch)", 0.05, NULL, 0},
    {"torch/adamw_amsgrad", "adamw(weight_decay=0.01, amsgrad=true, epsilon=1e-8, form=torch)",
     0.05, NULL, 0},
    {"torch/rmsprop", "rmsprop(rho=0.99, epsilon=1e-8, form=torch)", 0.02, NULL, 0},
    {"torch/rmsprop_centered", "rmsprop(rho=0.9, centered=true, epsilon=1e-8, form=torch)", 0.02,
     NULL, 0},
    {"torch/rmsprop_all",
     "rmsprop(rho=0.9, momentum=0.7, centered=true, weight_decay=0.02, epsilon=1e-4, form=torch)",
     0.01, NULL, 0},
    {"torch/adagrad", "adagrad(initial_accumulator_value=0, epsilon=1e-10, form=torch)", 0.1, NULL,
     0},
    {"torch/adagrad_all",
     "adagrad(0.3, learning_rate_decay=0.1, weight_decay=0.02, epsilon=1e-5, form=torch)", 0.1,
     NULL, 0},
    {"torch/adadelta", "adadelta(rho=0.9, epsilon=1e-6, form=torch)", 1, NULL, 0},
    {"torch/adadelta_all", "adadelta(rho=0.8, epsilon=1e-3, weight_decay=0.02, form=torch)", 2,
     NULL, 0},
    {"torch/adamax", "adamax(epsilon=1e-8, form=torch)", 0.05, NULL, 0},
    {"torch/adamax_all",
     "adamax(beta_1=0.8, beta_2=0.95, epsilon=1e-3, weight_decay=0.02, form=torch)", 0.05, NULL, 0},
    {"torch/radam", "radam(epsilon=1e-8, form=torch)", 0.05, NULL, 0},
    {"torch/radam_all",
     "radam(beta_1=0.8, beta_2=0.9, epsilon=1e-3, weight_decay=0.02, form=torch)", 0.05, NULL, 0},
    {"torch/radam_never", "radam(beta_1=0.8, beta_2=0.6, epsilon=1e-8)", 0.05, NULL, 0},
    {"torch/rprop", "rprop", 0.01, NULL, 0},
    {"torch/rprop_all", "rprop(0.4, eta_plus=1.5, step_min=1e-3, step_max=0.5)", 0.1, NULL, 0},
    {"torch/asgd", "asgd(form=torch)", 0.1, NULL, 0},
    {"torch/asgd_all", "asgd(lambd=0.05, alpha=0.6, t0=5, weight_decay=0.02, form=torch)", 0.1,
     NULL, 0},

    {"formula/sgd", "sgd", 0.1, NULL, 0},
    {"formula/sgd_momentum", "sgd(momentum=0.9)", 0.05, NULL, 0},
    {"formula/sgd_nesterov", "sgd(momentum=0.8, nesterov=true)", 0.05, NULL, 0},
    {"formula/sgd_all", "sgd(momentum=0.8, nesterov=true, weight_decay=0.02)", 0.05, NULL, 0},
    {"formula/adam", "adam", 0.05, NULL, 0},
    {"formula/adam_betas", "adam(beta_1=0.8, beta_2=0.95, epsilon=1e-3)", 0.05, NULL, 0},
    {"formula/adam_decay", "adam(weight_decay=0.02)", 0.05, NULL, 0},
    {"formula/adam_amsgrad", "adam(beta_2=0.9, amsgrad=true)", 0.05, NULL, 0},
    {"formula/adamw", "adamw", 0.05, NULL, 0},
    {"formula/rmsprop", "rmsprop", 0.02, NULL, 0},
    {"formula/rmsprop_centered", "rmsprop(centered=true)", 0.02, NULL, 0},
    {"formula/rmsprop_all",
     "rmsprop(momentum=0.7, centered=true, epsilon=1e-4, rho=0.8, weight_decay=0.02)", 0.01, NULL,
     0},
    {"formula/adagrad", "adagrad", 0.1, NULL, 0},
    {"formula/adagrad_all", "adagrad(0.3, epsilon=1e-3, weight_decay=0.02)", 0.1, NULL, 0},
    {"formula/adadelta", "adadelta", 1, NULL, 0},
    {"formula/adadelta_all", "adadelta(0.8, epsilon=1e-3, weight_decay=0.02)", 2, NULL, 0},
    {"formula/adamax", "adamax", 0.05, NULL, 0},
    {"formula/adamax_all", "adamax(0.8, beta_2=0.95, epsilon=1e-3, weight_decay=0.02)", 0.05, NULL,
     0},
    {"formula/nadam", "nadam", 0.05, NULL, 0},
    {"formula/nadam_all", "nadam(0.8, beta_2=0.95, epsilon=1e-3, weight_decay=0.02)", 0.05, NULL,
     0},
    {"formula/nadam_slow", "nadam(epsilon=1e-8, momentum_decay=0.004)", 0.05, NULL, 0},
    {"formula/lion", "lion", 0.02, NULL, 0},
    {"formula/lion_all", "lion(0.8, beta_2=0.95, weight_decay=0.02)", 0.02, NULL, 0},
    {"formula/lamb", "lamb", 0.02, NULL, 0},
    {"formula/lamb_paper", "lamb(0.8, beta_2=0.95, epsilon=1e-3, weight_decay=0.1, form=torch)",
     0.02, NULL, 0},
    {"formula/lars", "lars", 10, NULL, 0},
    {"formula/lars_decay", "lars(0.5, trust_coefficient=0.01, weight_decay=0.002)", 10, NULL, 0},
    {"formula/lars_paper", "lars(0.8, trust_coefficient=0.002, weight_decay=0.1, form=torch)", 10,
     NULL, 0},
    {"formula/adafactor", "adafactor", 0.1, NULL, 0},
    {"formula/adafactor_all",
     "adafactor(-0.6, epsilon_1=1e-10, epsilon_2=0.1, clip_threshold=0.7, weight_decay=0.02)", 0.6,
     NULL, 0},
    {"formula/adafactor_absolute", "adafactor(relative_step=false)", 0.9, NULL, 0},
    {"formula/ftrl", "ftrl", 0.1, NULL, 0},
    {"formula/ftrl_all",
     "ftrl(-0.7, initial_accumulator_value=0.3, l1_regularization_strength=0.05, "
     "l2_regularization_strength=0.02, l2_shrinkage_regularization_strength=0.03, beta=0.1)",
     0.1, NULL, 0},
    {"formula/muon", "muon", 0.02, NULL, 0},
    {"formula/muon_plain",
     "muon(0.8, nesterov=false, ns_steps=3, adam_lr_ratio=0.5, weight_decay=0.02)", 0.02, NULL, 0},
    {"formula/schedule_free_adamw", "adamw_schedule_free", 0.05, NULL, 0},
    {"formula/schedule_free_adamw_all",
     "schedule_free_adamw(0.8, beta_2=0.95, epsilon=1e-3, r=1, weight_lr_power=1, "
     "weight_decay=0.02)",
     0.05, NULL, 0},
    {"formula/schedule_free_adamw_average", "schedule_free_adamw", 0.05, "average", 0},

    {"formula/clipvalue", "sgd(0.9, clipvalue=0.1)", 0.05, NULL, 0},
    {"formula/clipnorm", "sgd(0.9, clipnorm=0.2)", 0.05, NULL, 0},
    {"formula/global_clipnorm", "adam(global_clipnorm=0.3)", 0.5, NULL, 0},
    {"formula/accumulated", "sgd(0.9, gradient_accumulation_steps=3, weight_decay=0.02)", 0.1, NULL,
     0},
    {"formula/accumulated_all",
     "adam(gradient_accumulation_steps=2, global_clipnorm=5, lookahead_steps=2)", 0.05, NULL, 0},
    {"formula/ema", "adam(use_ema=true, ema_momentum=0.8)", 0.1, "average", 0},
    {"formula/ema_overwrite", "adam(use_ema=true, ema_momentum=0.8, ema_overwrite_frequency=4)",
     0.1, NULL, 0},
    {"formula/max_norm", "sgd(constraint=max_norm(0.7))", 0.1, NULL, 0},
    {"formula/non_neg", "adam(constraint=non_neg)", 0.1, NULL, 0},
    {"formula/unit_norm", "sgd(constraint=unit_norm(axis=-1))", 0.1, NULL, 0},
    {"formula/min_max_norm",
     "sgd(constraint=min_max_norm(0.5, max_value=0.8, rate=0.3))", 0.1, NULL, 0},
    {"formula/groups",
     "adam(weight_decay=0.02, groups=\"w(beta_1=0.5, weight_decay=0), "
     "*b*(clipvalue=1e-3, learning_rate_factor=0.2), id*e(amsgrad=true, learning_rate_factor=0)\")",
     0.05, NULL, 0},
    {"torch/swa", "sgd(swa_start=5, swa_frequency=3)", 0.1, "average", 0},
    {"formula/lookahead", "adam(lookahead_steps=5)", 0.1, NULL, 0},
    {"formula/lookahead_all",
     "adam(lookahead_steps=3, lookahead_alpha=0.8, use_ema=true, ema_momentum=0.5)", 0.1, "average",
     0},
};

static void as_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        for (int way = 0; way < (strstr(runs[i].name, "groups") ? 4 : 8);
             way++) /* by plain names */
            check_path(&runs[i], way & 1 ? CJ_F64 : CJ_F32, backends[way / 2 % 2], way & 4);
}

/* All of them have the options of every optimizer, and a text that is read back as what it was. */
static void every_row(void **state)
{
    (void)state;
    const cj_optimizer *row;
    for (int i = 0; (row = cj_optimizer_at(cj, i)); i++) {
        char run_name[80];
        if (row->search) continue; /* test_lbfgs.c */
        snprintf(run_name, sizeof run_name, "formula/%s", row->name);
        const bool formula = cj_tensors_find(golden, run_name);
        snprintf(run_name, sizeof run_name, "torch/%s", row->name);
        if (!formula && !cj_tensors_find(golden, run_name))
            fail_msg("no golden run of %s", row->name);
        if (!row->doc || !strstr(row->doc, " ")) fail_msg("%s has no doc", row->name);
        if (!cj__option_find(row->options, "clipnorm"))
            fail_msg("%s lacks CJ_OPTIMIZER_COMMON", row->name);
    }
    const cj_constraint *kept;
    for (int i = 0; (kept = cj_constraint_at(cj, i)); i++) {
        char run_name[80];
        snprintf(run_name, sizeof run_name, "formula/%s", kept->name);
        if (!cj_tensors_find(golden, run_name)) fail_msg("no golden run of %s", kept->name);
    }
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        for (int all = 0; all < 2; all++) {
            cj__arena arena;
            cj__named named, again;
            cj__arena_init(&arena, cj);
            assert_ok(cj,
                      cj__named_parse(&arena, cj, CJ__ROW_OPTIMIZER, runs[i].optimizer, &named));
            row = named.row;
            cj__text text;
            cj__text_init(&text, cj);
            cj__text_format(&text, "%s(", row->name);
            cj__options_print(&text, row->options, named.options, all);
            cj__text_char(&text, ')');
            assert_ok(cj, cj__named_parse(&arena, cj, CJ__ROW_OPTIMIZER, cj__text_string(&text),
                                          &again));
            assert_ptr_equal(again.row, row);
            if (!cj__options_equal(row->options, named.options, again.options))
                fail_msg("%s and %s differ", runs[i].optimizer, cj__text_string(&text));
            cj__text_release(&text);
            cj__arena_release(&arena);
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
                LIST("optimizer/step", "optimizer/v/w", "optimizer/mean/w"));
    check_names("adam(amsgrad=true, use_ema=true)", NULL,
                LIST("optimizer/step", "optimizer/m/w", "optimizer/v/q", "optimizer/v_max/b",
                     "optimizer/average/idle"));
    check_names("nadam", NULL,
                LIST("optimizer/step", "optimizer/m/w", "optimizer/v/q", "optimizer/product/w"));
    check_names("sgd(lookahead_steps=3)", NULL, LIST("optimizer/step", "optimizer/slow/w"));
#undef LIST
}

/* A gradient that never changes has deviation 0, which rounding must not take below. */
static void constant_gradient(void **state)
{
    (void)state;
    static const char *const optimizers[] = {"rmsprop(centered=true, form=torch)",
                                             "rmsprop(centered=true)", "adam", "sgd(momentum=1)",
"ftrl", "adafactor", "radam", "nadam", "lamb", "lars", "schedule_free_adamw"};
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
    static const run defaults[] = {{"sgd", "sgd", 0.01, NULL, 0},
                                   {"adam", "adam", 1e-3, NULL, 0},
                                   {"lars", "lars", 0.1, NULL, 0},
                                   {"schedule_free_adamw", "schedule_free_adamw", 0.0025, NULL, 0},
                                   {"rmsprop", "rmsprop", 1e-3, NULL, 0}};
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
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
        {"adam(clipnorm=1, clipvalue=0.5)",
         "adam: clipvalue and clipnorm are both given; one is possible"},
        {"sgd(clipnorm=1, global_clipnorm=0.5)",
         "sgd: clipnorm and global_clipnorm are both given; one is possible"},
        {"sgd(clipnorm=-1)", "sgd: clipnorm=-1 is less than 0"},
        {"lamb(clip_norm=1)", "lamb: unknown option 'clip_norm' (did you mean 'clipnorm'?)"},
        {"sgd(use_ema=true, swa_start=3)",
         "sgd: two averages of the weights: use_ema and swa_start are both given"},
        {"schedule_free_adamw(use_ema=true)",
         "schedule_free_adamw: two averages of the weights: it makes one itself"},
        {"sgd(gradient_accumulation_steps=0)",
         "sgd: gradient_accumulation_steps=0 is not between 1 and 1000000000"},
        {"sgd(groups=x)", "sgd: groups: 'x' is not of the form pattern(option=value)"},
        {"sgd(groups=(momentum=1))",
         "sgd: groups: '(momentum=1)' is not of the form pattern(option=value)"},
        {"sgd(groups=\"w(momentum=2)\")", "sgd: momentum=2 is not between 0 and 1"},
        {"sgd(groups=\"w(momentun=1)\")",
         "sgd: unknown option 'momentun' (did you mean 'momentum'?)"},
        {"sgd(groups=\"w*(momentum=1), kernel*(momentum=1)\")",
         "sgd: groups: no parameter has a name like 'kernel*'"},
        {"sgd(groups=w(global_clipnorm=1))",
         "sgd: groups: global_clipnorm of 'w' is of all parameters"},
        {"sgd(clipnorm=1, groups=w(clipvalue=1))",
         "sgd: clipvalue and clipnorm are both given; one is possible"},
        {"sgd(constraint=max_nrm)",
         "sgd: constraint: unknown constraint 'max_nrm' (did you mean 'max_norm'?)"},
        {"sgd(constraint=max_norm(-1))", "sgd: constraint: max_norm: max_value=-1 is less than 0"},
        {"sgd(constraint=non_neg(3))", "sgd: constraint: non_neg: takes no options, not '3'"},
        {"sgd(constraint=min_max_norm(rate=2))",
         "sgd: constraint: min_max_norm: rate=2 is not between 0 and 1"},
        {"sgd(ema_momentum=1.1)", "sgd: ema_momentum=1.1 is not between 0 and 1"},
        {"asgd(alpha=-1)", "asgd: alpha=-1 is not between 0 and 10"},
        {"rprop(eta_plus=0.5)", "rprop: eta_plus=0.5 is not between 1 and 100"},
        {"lion(beta_1=2)", "lion: beta_1=2 is not between 0 and 1"},
        {"lars(trust=1)", NULL},
        {"adagrad(initial_accumulator_value=-1)", NULL},
        {"adafactor(clip_threshold=0)",
         "adafactor: clip_threshold=0 is not between 1e-06 and 1000000"},
        {"ftrl(learning_rate_power=0.5)", "ftrl: learning_rate_power=0.5 is not between -1 and 0"},
        {"muon(ns_steps=0)", "muon: ns_steps=0 is not between 1 and 100"},
        {"nadam(momentum_decay=nan)", "nadam: momentum_decay=nan, and a number is expected"},
        {"radam(beta_2=1)", "radam: beta_2=1 is not between 0 and 0.999999999"},
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
    assert_said(cj, "greedy: 9 slots, and at most 8 are possible");
    cj_context_free(cj);
    cj = outer;
    assert_null(cj_optimizer_find(cj, "own_sign"));
}

int main(void)
{
    cj = test_context();
    golden = golden_load(cj, "nn/optimizers.npz");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_golden),          cmocka_unit_test(every_row),
        cmocka_unit_test(state_in_the_store), cmocka_unit_test(constant_gradient),
        cmocka_unit_test(learning_rates),     cmocka_unit_test(wrong_texts),
        cmocka_unit_test(wrong_operands),     cmocka_unit_test(own_optimizer)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_tensors_free(golden);
    cj_context_free(cj);
    return failed;
}
