/* test_schedules.c: learning rates over whole trainings against PyTorch's schedulers and Keras's
 * formulas (tools/golden/schedules.py), and schedules as text; one of a program's own. */
#include "nn_golden.h"

#include "base/option.h"
#include "base/registry.h"

static cj_context *cj;
static cj_tensors *golden;

enum { PER_EPOCH = 7, TOTAL = 100 };

static double rate_at(const char *schedule, int64_t step)
{
    double rate = -1;
    cj_schedule_point at = {
        .initial = 0.3, .step = step, .steps_per_epoch = PER_EPOCH, .total_steps = TOTAL};
    assert_ok(cj, cj_schedule_rate(cj, schedule, &at, &rate));
    return rate;
}

static void assert_rate(const char *text, int64_t step, double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-10))
        fail_msg("%s, step %lld: %.17g, expected %.17g", text, (long long)step, found, expected);
}

static double element(const cj_tensor *t, int64_t i)
{
    return ((const double *)cj_tensor_map_read(t))[i];
}

/* ---- Golden numbers -------------------------------------------------------------------------- */

typedef struct path {
    const char *name, *text;
} path;

static const path paths[] = {
    {"constant", "constant"},
    {"step", "step(epochs=3)"},
    {"step_steps", "step(gamma=0.5, steps=12)"},
    {"step_steps", "step(0.5, steps=12, epochs=9)"}, /* steps count */
    {"halving", "halving(epochs=4)"},
    {"multi_step", "multi_step(milestones=[2, 5, 11], gamma=0.3)"},
    {"multi_step_steps", "multi_step(boundaries=[20, 21, 77])"},
    {"piecewise_constant", "piecewise_constant(boundaries=[10, 40], values=[1, 0.5, 0.25])"},
    {"exponential", "exponential(gamma=0.9, staircase=true)"},
    {"exponential_steps", "exponential(gamma=0.9, steps=5)"},
    {"exponential_stairs", "exponential(gamma=0.9, steps=5, staircase=true)"},
    {"natural_exponential", "natural_exponential(gamma=0.3, steps=9)"},
    {"inverse_time", "inverse_time(gamma=0.7, steps=9)"},
    {"inverse_time_stairs", "inverse_time(gamma=0.7, steps=9, staircase=true)"},
    {"polynomial", "polynomial(power=2)"},
    {"polynomial_end", "polynomial(0.5, alpha=0.1, steps=60)"},
    {"polynomial_cycle", "polynomial(alpha=0.1, steps=25, cycle=true)"},
    {"cosine", "cosine_decay"},
    {"cosine_alpha", "cosine(0.1, steps=60)"},
    {"cosine_warmup", "cosine(warmup=10)"},
    {"step_warmup", "step(gamma=0.5, steps=12, warmup=9)"},
    {"cosine_restarts", "cosine_restarts(first_steps=10)"},
    {"cosine_restarts_even", "cosine_restarts(first_steps=13, t_mul=1)"},
    {"cosine_restarts_all", "cosine_restarts(first_steps=6, t_mul=1.5, m_mul=0.8, alpha=0.05)"},
    {"one_cycle", "one_cycle"},
    {"one_cycle_linear", "one_cycle(steps=50, pct_start=0.43, anneal_strategy=linear, "
                         "div_factor=10, final_div_factor=100)"},
    {"one_cycle_three", "one_cycle(three_phase=true)"},
    {"cyclic", "cyclic(steps_up=8)"},
    {"cyclic_2", "cyclic(triangular2, steps_up=8, steps_down=5)"},
    {"cyclic_exp", "cyclic(exp_range, alpha=0.1, steps_up=9, gamma=0.98)"},
};
static const path plateaus[] = {
    {"plateau", "plateau(patience=2, factor=0.5)"},
    {"plateau_cooldown", "plateau(0.3, patience=1, cooldown=2, min_learning_rate=0.01)"},
    {"plateau_large", "plateau(patience=2, min_delta=0.01)"},
    {"plateau_torch", "plateau(patience=1, factor=0.5, form=torch)"},
    {"plateau_torch_cooldown",
     "plateau(0.3, patience=0, cooldown=2, min_learning_rate=0.01, form=torch)"},
    {"plateau_torch_large", "plateau(patience=2, min_delta=0.01, form=torch)"},
};

static void as_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const cj_tensor *rates = cj_tensors_find(golden, paths[i].name);
        if (!rates) fail_msg("no golden run %s", paths[i].name);
        for (int64_t step = 0; step < cj_tensor_count(rates); step++)
            assert_rate(paths[i].text, step, rate_at(paths[i].text, step), element(rates, step));
    }
    assert_true(rate_at(NULL, 5) == 0.3);
}

/* After each epoch, from the scores so far. A warm-up moves a schedule, its epochs of scores not.
 */
static void watches_scores(void **state)
{
    (void)state;
    const cj_tensor *scores = cj_tensors_find(golden, "scores");
    for (size_t i = 0; i < sizeof plateaus / sizeof *plateaus; i++) {
        const cj_tensor *rates = cj_tensors_find(golden, plateaus[i].name);
        if (!rates) fail_msg("no golden run %s", plateaus[i].name);
        for (int64_t epoch = 0; epoch < cj_tensor_count(rates); epoch++) {
            double rate = -1;
            cj_schedule_point at = {.initial = 0.3,
                                    .step = (epoch + 1) * PER_EPOCH,
                                    .steps_per_epoch = PER_EPOCH,
                                    .monitored = cj_tensor_map_read(scores),
                                    .n_monitored = epoch + 1,
                                    .smaller_is_better = !strstr(plateaus[i].name, "large")};
            assert_ok(cj, cj_schedule_rate(cj, plateaus[i].text, &at, &rate));
            assert_rate(plateaus[i].text, epoch, rate, element(rates, epoch));
        }
    }
}

static void every_row_has_golden_numbers(void **state)
{
    (void)state;
    const cj_schedule *row;
    for (int i = 0; (row = cj_schedule_at(cj, i)); i++) {
        if (!cj_tensors_find(golden, row->name)) fail_msg("no golden run %s", row->name);
        if (!row->doc || !strstr(row->doc, " ")) fail_msg("%s has no doc", row->name);
    }
}

/* Where periods begin, the rate is whole again, whatever logarithms round to. */
static void restarts_exactly(void **state)
{
    (void)state;
    static const int64_t times[] = {2, 3, 5, 7, 10, 100};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char text[80];
        snprintf(text, sizeof text, "cosine_restarts(first_steps=3, t_mul=%d)", (int)times[i]);
        for (int64_t begin = 3, length = 3; begin < 1000000000000; begin += length *= times[i])
            assert_rate(text, begin, rate_at(text, begin), 0.3);
    }
}

/* ---- A program's own ------------------------------------------------------------------------- */

typedef struct own_options {
    double up;
    int64_t warmup;
} own_options;
static const cj_option own_table[] = {
    CJ_OPTION_FLOAT(own_options, up, 1, 0, 10, "added each step"),
    CJ_OPTION_INT(own_options, warmup, 0, 0, 1e15, "steps of linear rise"), CJ_OPTION_END};
static double own_rate(const cj_schedule_point *at, const void *options)
{
    return at->initial + ((const own_options *)options)->up * (double)at->step;
}
static const cj_schedule own = {.name = "own_line",
                                .doc = "a test's",
                                .aliases = "own_straight",
                                .options_size = sizeof(own_options),
                                .options = own_table,
                                .rate = own_rate};

static void own_schedule(void **state)
{
    (void)state;
    cj_context *outer = cj;
    cj = test_context();
    assert_ok(cj, cj_schedule_register(cj, &own));
    assert_rate("own_line", 4, rate_at("own_line(up=0.5)", 4), 2.3);
    assert_rate("own_straight", 4, rate_at("own_straight(up=0.5)", 4), 2.3);
    assert_rate("own_line", 3, rate_at("own_line(warmup=6)", 3), 0.2);
    assert_rate("own_line", 8, rate_at("own_line(warmup=6)", 8), 2.3);
    cj_context_free(cj);
    cj = outer;
    assert_null(cj_schedule_find(cj, "own_line"));
}

/* ---- Extremes and text ----------------------------------------------------------------------- */

/* Every rate is a number from 0 to the first one, at any point that training can come to. */
static void never_wild(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "constant", "constant(warmup=7)", "step(gamma=0)", "step(steps=1)", "halving",
        "multi_step", "multi_step(milestones=[0, 0, 1000000000000000])",
        "piecewise_constant", "piecewise_constant(boundaries=[3], values=[1])",
        "exponential(gamma=0)", "exponential(1)", "natural_exponential(1e6)",
        "inverse_time(1e6)", "polynomial", "polynomial(0)", "polynomial(cycle=true)",
        "cosine(warmup=1000000000000000)", "cosine(alpha=1)", "cosine(steps=1)",
        "cosine(warmup=100)", "cosine_restarts", "cosine_restarts(first_steps=1, t_mul=1)",
        "cosine_restarts(first_steps=1, t_mul=1000, m_mul=0)",
        "cosine_restarts(first_steps=1, t_mul=1.0000001)", "one_cycle",
        "one_cycle(pct_start=0)", "one_cycle(pct_start=1, three_phase=true)",
        "one_cycle(steps=1)", "cyclic", "cyclic(exp_range, gamma=0, steps_up=1)",
        "cyclic(triangular2, steps_up=1)", "plateau"};
    static const int64_t points[] = {0, 1, 2, 99, 100, 101, 1000000007, INT64_MAX};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (size_t k = 0; k < sizeof points / sizeof *points; k++)
            for (int known = 0; known < 2; known++) {
                double rate = -1;
                cj_schedule_point at = {.initial = 1,
                                        .step = points[k],
                                        .steps_per_epoch = known ? 3 : 0,
                                        .total_steps = known ? 100 : 0};
                assert_ok(cj, cj_schedule_rate(cj, texts[i], &at, &rate));
                if (!(rate >= 0 && rate <= 1))
                    fail_msg("%s at %lld: %g", texts[i], (long long)points[k], rate);
            }
}

/* A parsed schedule, printed with all its options, is the same schedule. */
static void text_again(void **state)
{
    (void)state;
    static const char *const texts[] = {"step(0.25, epochs=4)",
                                        "exponential(gamma=0.123456789012345678)",
                                        "cosine(alpha=0.01, steps=7, warmup=3)"};
    const size_t n = sizeof paths / sizeof *paths, m = sizeof plateaus / sizeof *plateaus,
                 k = sizeof texts / sizeof *texts;
    for (size_t i = 0; i < n + m + k; i++) {
        const char *from = i < n       ? paths[i].text
                           : i < n + m ? plateaus[i - n].text
                                       : texts[i - n - m];
        for (int all = 0; all < 2; all++) {
            cj__arena arena;
            cj__named named, again;
            cj__arena_init(&arena, cj);
            assert_ok(cj, cj__named_parse(&arena, cj, CJ__ROW_SCHEDULE, from, &named));
            const cj_schedule *row = named.row;
            cj__text text;
            cj__text_init(&text, cj);
            cj__text_format(&text, "%s(", row->name);
            if (row->options) cj__options_print(&text, row->options, named.options, all);
            cj__text_char(&text, ')');
            assert_ok(cj, cj__named_parse(&arena, cj, CJ__ROW_SCHEDULE, cj__text_string(&text),
                                          &again));
            assert_ptr_equal(again.row, row);
            if (row->options && !cj__options_equal(row->options, named.options, again.options))
                fail_msg("%s and %s differ", from, cj__text_string(&text));
            cj__text_release(&text);
            cj__arena_release(&arena);
        }
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"cosin", "unknown schedule 'cosin' (did you mean 'cosine'?)"},
        {"cosine(warm=3)", "cosine: unknown option 'warm' (did you mean 'warmup'?)"},
        {"cosine(alpha=2)", "cosine: alpha=2 is not between 0 and 1"},
        {"cosine(warmup=-1)", "cosine: warmup=-1 is not between 0 and 1e+15"},
        {"step(epochs=0)", "step: epochs=0 is not between 1 and 1000000000000"},
        {"step(gamma=1.5)", "step: gamma=1.5 is not between 0 and 1"},
        {"step(epochs=0.5)", "step: epochs='0.5' is not a whole number"},
        {"constant(rate=3)", "constant: unknown option 'rate': it takes warmup"},
        {"stp", "unknown schedule 'stp' (did you mean 'step'?)"},
        {"halving(gamma=2)", "halving: gamma=2 is not between 0 and 1"},
        {"multi_step(milestones=[1, -2])", NULL},
        {"multi_step(milestones=[1.5])", NULL},
        {"piecewise_constant(values=[-1])", NULL},
        {"natural_exponential(gamma=-1)", NULL},
        {"inverse_time(steps=-1)", "inverse_time: steps=-1 is not between 0 and 1e+15"},
        {"polynomial(power=-1)", "polynomial: power=-1 is not between 0 and 1000"},
        {"cosine_restarts(t_mul=0.5)", "cosine_restarts: t_mul=0.5 is not between 1 and 1000"},
        {"one_cycle(pct_start=1.1)", "one_cycle: pct_start=1.1 is not between 0 and 1"},
        {"one_cycle(anneal_strategy=cos)", NULL},
        {"cyclic(mode=square)",
         "cyclic: mode='square' is none of triangular, triangular2, exp_range"},
        {"plateau(factor=nan)", "plateau: factor=nan, and a number is expected"},
        {"plateau(patience=-1)", "plateau: patience=-1 is not between 0 and 1000000000"},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double rate = 7;
        cj_schedule_point at = {.initial = 1, .total_steps = 10};
        assert_int_equal(cj_schedule_rate(cj, cases[i][0], &at, &rate), CJ_ERR_ARGUMENT);
        assert_true(rate == 7);
        if (cases[i][1]) assert_string_equal(cj_message(cj), cases[i][1]);
    }
}

int main(void)
{
    cj = test_context();
    golden = golden_load(cj, "nn/schedules.npz");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_golden),       cmocka_unit_test(watches_scores),
        cmocka_unit_test(never_wild),      cmocka_unit_test(every_row_has_golden_numbers),
        cmocka_unit_test(text_again),      cmocka_unit_test(restarts_exactly),
        cmocka_unit_test(refused),         cmocka_unit_test(own_schedule)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_tensors_free(golden);
    cj_context_free(cj);
    return failed;
}
