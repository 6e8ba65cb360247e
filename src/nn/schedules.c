/* schedules.c: the learning rate as a function of the step. The rate is fed at every step, so a
 * schedule never recompiles anything. Here: warm-up, which is a matter of all schedules; and those
 * that go down once.
 *
 * In formulas: step from 0, a the rate that fit is given. Periods are given in epochs or steps. */
#include "nn/schedule.h"

#include "base/option.h"
#include "base/registry.h"

#include <math.h>
#include <string.h>

/* ---- Warm-up --------------------------------------------------------------------------------- */

/* A line from 0 to the rate with which the schedule begins; the schedule begins behind it. */
double cj__schedule_now(const cj_schedule *row, const void *options, const cj_schedule_point *at)
{
    const cj_option *o = row->options ? cj__option_find(row->options, "warmup") : NULL;
    int64_t warmup = 0;
    if (o && o->type == CJ_OPTION_TYPE_INT)
        memcpy(&warmup, (const char *)options + o->offset, sizeof warmup);
    cj_schedule_point later = *at;
    later.step = at->step > warmup ? at->step - warmup : 0;
    later.total_steps = at->total_steps > warmup ? at->total_steps - warmup : 0;
    const double rate = row->rate(&later, options);
    return at->step < warmup ? rate * ((double)at->step + 1) / (double)warmup : rate;
}

cj_status cj_schedule_rate(cj_context *cj, const char *schedule, const cj_schedule_point *at,
                           double *rate)
{
    cj__arena arena;
    cj__arena_init(&arena, cj);
    cj__named named;
    cj_status failed = cj__named_parse(&arena, cj, CJ__ROW_SCHEDULE,
                                       schedule ? schedule : "constant", &named);
    if (!failed) *rate = cj__schedule_now(named.row, named.options, at);
    cj__arena_release(&arena);
    return failed;
}

/* ---- constant -------------------------------------------------------------------------------- */

typedef struct constant_options {
    int64_t warmup;
} constant_options;
static const cj_option constant_table[] = {CJ__WARMUP_OPTION(constant_options), CJ_OPTION_END};
static double rate_constant(const cj_schedule_point *at, const void *options)
{
    (void)options;
    return at->initial;
}
const cj_schedule cj_schedule_constant = {.name = "constant",
                                          .doc = "rate = a",
                                          .aliases = "constant_lr",
                                          .options_size = sizeof(constant_options),
                                          .options = constant_table,
                                          .rate = rate_constant};

/* ---- step, halving, multi_step, piecewise_constant ------------------------------------------- */

typedef struct decay_options {
    double gamma;
    int64_t epochs, steps, warmup;
    bool staircase;
} decay_options;

static double epoch_steps(const cj_schedule_point *at)
{
    return at->steps_per_epoch > 0 ? (double)at->steps_per_epoch : 1;
}

/* How many periods have passed. */
static double periods(const cj_schedule_point *at, const decay_options *o)
{
    double one = o->steps > 0 ? (double)o->steps : (double)o->epochs * epoch_steps(at);
    double n = (double)at->step / one;
    return o->staircase ? floor(n) : n;
}

#define PERIOD_OPTIONS(default_epochs)                                                             \
    CJ_OPTION_INT(decay_options, epochs, default_epochs, 1, 1e12, "epochs of a period"),           \
        CJ_OPTION_INT(decay_options, steps, 0, 0, 1e15, "the same in training steps"),             \
        CJ__WARMUP_OPTION(decay_options)
#define STAIRCASE_OPTION                                                                           \
    CJ_OPTION_BOOL(decay_options, staircase, false, "only at whole periods")

static const cj_option step_table[] = {
    CJ_OPTION_FLOAT(decay_options, gamma, 0.1, 0, 1, "factor at each step down"),
    PERIOD_OPTIONS(10), CJ_OPTION_END};
static double rate_step(const cj_schedule_point *at, const void *options)
{
    const decay_options *o = options;
    return at->initial * pow(o->gamma, floor(periods(at, o)));
}
const cj_schedule cj_schedule_step = {.name = "step",
                                      .doc = "rate = a gamma^floor(epoch / epochs)",
                                      .aliases = "step_lr",
                                      .options_size = sizeof(decay_options),
                                      .options = step_table,
                                      .rate = rate_step};

static const cj_option halving_table[] = {
    CJ_OPTION_FLOAT(decay_options, gamma, 0.5, 0, 1, "factor at each step down"),
    PERIOD_OPTIONS(10), CJ_OPTION_END};
const cj_schedule cj_schedule_halving = {.name = "halving",
                                         .doc = "rate = a / 2^floor(epoch / epochs)",
                                         .options_size = sizeof(decay_options),
                                         .options = halving_table,
                                         .rate = rate_step};

typedef struct multi_options {
    double gamma;
    cj_ints milestones, boundaries;
    cj_floats values;
    int64_t warmup;
} multi_options;
static int passed(const cj_ints *places, double at)
{
    int n = 0;
    for (int i = 0; i < places->n; i++) n += at >= (double)places->v[i];
    return n;
}
static const cj_option multi_step_table[] = {
    CJ_OPTION_INTS(multi_options, milestones, 0, 1e15, "epochs at which the rate goes down"),
    CJ_OPTION_FLOAT(multi_options, gamma, 0.1, 0, 1, "factor at each of them"),
    CJ_OPTION_INTS(multi_options, boundaries, 0, 1e15, "further ones in training steps"),
    CJ__WARMUP_OPTION(multi_options), CJ_OPTION_END};
static double rate_multi_step(const cj_schedule_point *at, const void *options)
{
    const multi_options *o = options;
    const double step = (double)at->step, epoch = floor(step / epoch_steps(at));
    return at->initial *
           pow(o->gamma, passed(&o->milestones, epoch) + passed(&o->boundaries, step));
}
const cj_schedule cj_schedule_multi_step = {
    .name = "multi_step",
    .doc = "rate = a gamma^(how many milestones have passed)",
    .aliases = "multi_step_lr",
    .options_size = sizeof(multi_options),
    .options = multi_step_table,
    .rate = rate_multi_step};

static const cj_option piecewise_table[] = {
    CJ_OPTION_INTS(multi_options, boundaries, 0, 1e15, "the last step of each rate"),
    CJ_OPTION_FLOATS(multi_options, values, 0, 1e6,
                     "the rates, one more than boundaries; too few: the last one stays"),
    CJ__WARMUP_OPTION(multi_options), CJ_OPTION_END};
static double rate_piecewise(const cj_schedule_point *at, const void *options)
{
    const multi_options *o = options;
    const int n = passed(&o->boundaries, (double)at->step - 1), last = o->values.n - 1;
    return last < 0 ? at->initial : o->values.v[n < last ? n : last];
}
const cj_schedule cj_schedule_piecewise_constant = {
    .name = "piecewise_constant",
    .doc = "rate = values[i], i the first with step <= boundaries[i]; else the last value",
    .aliases = "piecewise_constant_decay",
    .options_size = sizeof(multi_options),
    .options = piecewise_table,
    .rate = rate_piecewise};

/* ---- exponential, natural_exponential, inverse_time ------------------------------------------ */

static const cj_option exponential_table[] = {
    CJ_OPTION_FLOAT(decay_options, gamma, 0.96, 0, 1, "factor in one period"), PERIOD_OPTIONS(1),
    STAIRCASE_OPTION, CJ_OPTION_END};
static double rate_exponential(const cj_schedule_point *at, const void *options)
{
    const decay_options *o = options;
    return at->initial * pow(o->gamma, periods(at, o));
}
const cj_schedule cj_schedule_exponential = {
    .name = "exponential",
    .doc = "rate = a gamma^(step / period)",
    .aliases = "exponential_decay, exponential_lr",
    .options_size = sizeof(decay_options),
    .options = exponential_table,
    .rate = rate_exponential};

static const cj_option natural_table[] = {
    CJ_OPTION_FLOAT(decay_options, gamma, 0.04, 0, 1e6, "how fast the rate falls"),
    PERIOD_OPTIONS(1), STAIRCASE_OPTION, CJ_OPTION_END};
static double rate_natural_exponential(const cj_schedule_point *at, const void *options)
{
    const decay_options *o = options;
    return at->initial * exp(-o->gamma * periods(at, o));
}
const cj_schedule cj_schedule_natural_exponential = {
    .name = "natural_exponential",
    .doc = "rate = a e^(-gamma step / period)",
    .aliases = "natural_exp_decay",
    .options_size = sizeof(decay_options),
    .options = natural_table,
    .rate = rate_natural_exponential};

static const cj_option inverse_time_table[] = {
    CJ_OPTION_FLOAT(decay_options, gamma, 0.5, 0, 1e6, "how fast the rate falls"),
    PERIOD_OPTIONS(1), STAIRCASE_OPTION, CJ_OPTION_END};
static double rate_inverse_time(const cj_schedule_point *at, const void *options)
{
    const decay_options *o = options;
    return at->initial / (1 + o->gamma * periods(at, o));
}
const cj_schedule cj_schedule_inverse_time = {
    .name = "inverse_time",
    .doc = "rate = a / (1 + gamma step / period)",
    .aliases = "inverse_time_decay",
    .options_size = sizeof(decay_options),
    .options = inverse_time_table,
    .rate = rate_inverse_time};

/* ---- polynomial, cosine ---------------------------------------------------------------------- */

typedef struct span_options {
    double alpha, power;
    int64_t steps, warmup;
    bool cycle;
} span_options;

/* The share of the way that is done, from 0. */
static double share_done(const cj_schedule_point *at, int64_t steps)
{
    const double all = (double)(steps > 0 ? steps : at->total_steps);
    return all > 0 ? (double)at->step / all : 1;
}

#define SPAN_OPTIONS                                                                               \
    CJ_OPTION_FLOAT(span_options, alpha, 0, 0, 1, "the last rate as a share of the first"),        \
        CJ_OPTION_INT(span_options, steps, 0, 0, 1e15, "steps to go down; 0: all of training"),    \
        CJ__WARMUP_OPTION(span_options)

static const cj_option polynomial_table[] = {
    CJ_OPTION_FLOAT(span_options, power, 1, 0, 1e3, "of the share that is left; 1: a line"),
    SPAN_OPTIONS,
    CJ_OPTION_BOOL(span_options, cycle, false,
                   "at the end go up again, and down in twice, three times ... the steps"),
    CJ_OPTION_END};
static double rate_polynomial(const cj_schedule_point *at, const void *options)
{
    const span_options *o = options;
    double p = share_done(at, o->steps);
    if (o->cycle && p > 1) p /= ceil(p);
    if (p > 1) p = 1;
    return at->initial * ((1 - o->alpha) * pow(1 - p, o->power) + o->alpha);
}
const cj_schedule cj_schedule_polynomial = {
    .name = "polynomial",
    .doc = "rate = a ((1 - alpha) (1 - step / steps)^power + alpha)",
    .aliases = "polynomial_decay, polynomial_lr",
    .options_size = sizeof(span_options),
    .options = polynomial_table,
    .rate = rate_polynomial};

static const cj_option cosine_table[] = {SPAN_OPTIONS, CJ_OPTION_END};
static double rate_cosine(const cj_schedule_point *at, const void *options)
{
    const span_options *o = options;
    return cj__cosine(at->initial, o->alpha * at->initial, share_done(at, o->steps));
}
const cj_schedule cj_schedule_cosine = {
    .name = "cosine",
    .doc = "rate = a ((1 - alpha) (1 + cos(pi step / steps)) / 2 + alpha) (Loshchilov and Hutter "
           "2017)",
    .aliases = "cosine_decay, cosine_annealing_lr",
    .options_size = sizeof(span_options),
    .options = cosine_table,
    .rate = rate_cosine};
