/* schedules.c: the learning rate as a function of the step. The rate is fed at every step, so a
 * schedule never recompiles anything. p: the share of training that is done. */
#include "nn/model.h"

#include "base/registry.h"

#include <math.h>

typedef struct schedule_options {
    double gamma, alpha;
    int64_t steps, epochs, warmup;
    bool staircase;
} schedule_options;

static double rate_constant(const cj_schedule_point *at, const void *options)
{
    (void)options;
    return at->initial;
}
const cj_schedule cj_schedule_constant = {.name = "constant",
                                          .doc = "the same rate always",
                                          .rate = rate_constant};

/* Steps of one period: given as steps, or as epochs. */
static double period(const cj_schedule_point *at, const schedule_options *o, double otherwise)
{
    if (o->steps > 0) return (double)o->steps;
    if (o->epochs > 0)
        return (double)o->epochs * (double)(at->steps_per_epoch > 0 ? at->steps_per_epoch : 1);
    return otherwise > 0 ? otherwise : 1;
}

static const cj_option step_table[] = {
    CJ_OPTION_FLOAT(schedule_options, gamma, 0.1, 0, 1, "factor at each step down"),
    CJ_OPTION_INT(schedule_options, epochs, 10, 1, 1e12, "epochs between two steps down"),
    CJ_OPTION_INT(schedule_options, steps, 0, 0, 1e15, "the same in training steps"),
    CJ_OPTION_END};
static double rate_step(const cj_schedule_point *at, const void *options)
{
    const schedule_options *o = options;
    return at->initial * pow(o->gamma, floor((double)at->step / period(at, o, 1)));
}
const cj_schedule cj_schedule_step = {.name = "step",
                                      .doc = "rate = initial gamma^floor(epoch / epochs)",
                                      .options_size = sizeof(schedule_options),
                                      .options = step_table,
                                      .rate = rate_step};

static const cj_option exponential_table[] = {
    CJ_OPTION_FLOAT(schedule_options, gamma, 0.96, 0, 1, "factor in one period"),
    CJ_OPTION_INT(schedule_options, epochs, 1, 1, 1e12, "epochs of a period"),
    CJ_OPTION_INT(schedule_options, steps, 0, 0, 1e15, "the same in training steps"),
    CJ_OPTION_BOOL(schedule_options, staircase, false, "only at whole periods"), CJ_OPTION_END};
static double rate_exponential(const cj_schedule_point *at, const void *options)
{
    const schedule_options *o = options;
    double periods = (double)at->step / period(at, o, 1);
    return at->initial * pow(o->gamma, o->staircase ? floor(periods) : periods);
}
const cj_schedule cj_schedule_exponential = {.name = "exponential",
                                             .doc = "rate = initial gamma^(step / period)",
                                             .options_size = sizeof(schedule_options),
                                             .options = exponential_table,
                                             .rate = rate_exponential};

static const cj_option cosine_table[] = {
    CJ_OPTION_FLOAT(schedule_options, alpha, 0, 0, 1, "the last rate as a share of the first"),
    CJ_OPTION_INT(schedule_options, steps, 0, 0, 1e15, "steps to go down; 0: all of training"),
    CJ_OPTION_INT(schedule_options, warmup, 0, 0, 1e15, "steps of linear rise before"),
    CJ_OPTION_END};
static double rate_cosine(const cj_schedule_point *at, const void *options)
{
    const schedule_options *o = options;
    if (at->step < o->warmup) return at->initial * ((double)at->step + 1) / (double)o->warmup;
    double all = o->steps > 0 ? (double)o->steps : (double)(at->total_steps - o->warmup);
    double p = all > 0 ? (double)(at->step - o->warmup) / all : 1;
    if (p > 1) p = 1;
    return at->initial * ((1 - o->alpha) * 0.5 * (1 + cos(3.14159265358979323846 * p)) + o->alpha);
}
const cj_schedule cj_schedule_cosine = {
    .name = "cosine",
    .doc = "half a cosine from the first rate to alpha of it (Loshchilov and Hutter 2017)",
    .options_size = sizeof(schedule_options),
    .options = cosine_table,
    .rate = rate_cosine};

cj_status cj_schedule_rate(cj_context *cj, const char *schedule, const cj_schedule_point *at,
                           double *rate)
{
    cj__arena arena;
    cj__arena_init(&arena, cj);
    cj__named named;
    cj_status failed = cj__named_parse(&arena, cj, CJ__ROW_SCHEDULE,
                                       schedule ? schedule : "constant", &named);
    if (!failed) *rate = ((const cj_schedule *)named.row)->rate(at, named.options);
    cj__arena_release(&arena);
    return failed;
}
