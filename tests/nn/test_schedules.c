/* test_schedules.c: learning rates over whole trainings against formulas written out here again
 * (Keras's ExponentialDecay, CosineDecay, piecewise steps), and schedules as text. */
#include <math.h>

#include "nn_support.h"

#include "base/option.h"
#include "base/registry.h"

static cj_context *cj;

enum { PER_EPOCH = 7, TOTAL = 100 };
static const double initial = 0.3, pi = 3.14159265358979323846;

static double rate_at(const char *schedule, int64_t step)
{
    double rate = -1;
    cj_schedule_point at = {
        .initial = initial, .step = step, .steps_per_epoch = PER_EPOCH, .total_steps = TOTAL};
    assert_ok(cj, cj_schedule_rate(cj, schedule, &at, &rate));
    return rate;
}

/* ---- Formulas -------------------------------------------------------------------------------- */

static double constant(int64_t step) { return (void)step, initial; }
/* Keras: initial_learning_rate * decay_rate ^ (step / decay_steps) */
static double exponential(int64_t step) { return initial * pow(0.9, (double)step / 5); }
static double exponential_stairs(int64_t step) { return initial * pow(0.9, (double)(step / 5)); }
static double exponential_epochs(int64_t step)
{
    return initial * pow(0.96, (double)step / (2 * PER_EPOCH));
}
/* One factor after another. */
static double steps(int64_t step)
{
    double rate = initial;
    for (int64_t i = 12; i <= step; i += 12) rate *= 0.5;
    return rate;
}
static double step_epochs(int64_t step)
{
    double rate = initial;
    for (int64_t epoch = 1; epoch <= step / PER_EPOCH; epoch++)
        if (epoch % 3 == 0) rate *= 0.1;
    return rate;
}
/* Keras: decayed = (1 - alpha) * 0.5 * (1 + cos(pi * min(step, decay_steps) / decay_steps)) + alpha
 */
static double cosine_over(int64_t step, int64_t decay_steps, double alpha)
{
    if (step > decay_steps) step = decay_steps;
    return initial *
           ((1 - alpha) * 0.5 * (1 + cos(pi * (double)step / (double)decay_steps)) + alpha);
}
static double cosine(int64_t step) { return cosine_over(step, TOTAL, 0); }
static double cosine_short(int64_t step) { return cosine_over(step, 60, 0.1); }
/* Keras's warmup_steps: the decay is moved behind it. Before, a line that ends at the initial rate.
 */
static double cosine_warm(int64_t step)
{
    return step < 10 ? initial * (double)(step + 1) / 10 : cosine_over(step - 10, 60, 0.1);
}
static double cosine_warm_all(int64_t step)
{
    return step < 10 ? initial * (double)(step + 1) / 10 : cosine_over(step - 10, TOTAL - 10, 0);
}

typedef struct path {
    const char *text;
    double (*formula)(int64_t step);
} path;

static void as_formulas(void **state)
{
    (void)state;
    static const path paths[] = {
        {"constant", constant},
        {"exponential(gamma=0.9, steps=5)", exponential},
        {"exponential(0.9, steps=5, epochs=9)", exponential}, /* steps count */
        {"exponential(gamma=0.9, steps=5, staircase=true)", exponential_stairs},
        {"exponential(epochs=2)", exponential_epochs},
        {"step(gamma=0.5, steps=12)", steps},
        {"step(epochs=3)", step_epochs},
        {"cosine", cosine},
        {"cosine(0.1, steps=60)", cosine_short},
        {"cosine(alpha=0.1, steps=60, warmup=10)", cosine_warm},
        {"cosine(warmup=10)", cosine_warm_all},
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        for (int64_t step = 0; step < TOTAL + 20; step++) {
            double found = rate_at(paths[i].text, step), expected = paths[i].formula(step);
            if (!(fabs(found - expected) <= 1e-15 + 1e-13 * expected))
                fail_msg("%s, step %lld: %.17g, expected %.17g", paths[i].text, (long long)step,
                         found, expected);
        }
    assert_true(rate_at(NULL, 5) == initial);
}

/* Every rate is a number from 0 to the first one, at any point that training can come to. */
static void never_wild(void **state)
{
    (void)state;
    static const char *const texts[] = {"constant",          "step(gamma=0)",
                                        "step(steps=1)",     "exponential(gamma=0)",
                                        "exponential(1)",    "cosine(warmup=1000000000000000)",
                                        "cosine(alpha=1)",   "cosine(steps=1)",
                                        "cosine(warmup=100)"};
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
    static const char *const texts[] = {"constant",
                                        "step(0.25, epochs=4)",
                                        "step(gamma=0.5, steps=12)",
                                        "exponential(staircase=true)",
                                        "exponential(gamma=0.123456789012345678)",
                                        "cosine(alpha=0.01, steps=7, warmup=3)"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (int all = 0; all < 2; all++) {
            cj__arena arena;
            cj__named named, again;
            cj__arena_init(&arena, cj);
            assert_ok(cj, cj__named_parse(&arena, cj, CJ__ROW_SCHEDULE, texts[i], &named));
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
                fail_msg("%s and %s differ", texts[i], cj__text_string(&text));
            cj__text_release(&text);
            cj__arena_release(&arena);
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
        {"constant(3)", NULL},
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_formulas), cmocka_unit_test(never_wild),
                                       cmocka_unit_test(text_again), cmocka_unit_test(refused)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_context_free(cj);
    return failed;
}
