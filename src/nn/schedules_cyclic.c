/* schedules_cyclic.c: schedules that go up and down, and one that watches a score. */
#include "nn/schedule.h"

#include <math.h>

double cj__cosine(double from, double to, double p)
{
    if (p > 1) p = 1;
    return to + (from - to) * 0.5 * (1 + cos(3.14159265358979323846 * p));
}

static double line(double from, double to, double p) { return from + (to - from) * p; }

/* ---- cosine_restarts ------------------------------------------------------------------------- */

typedef struct restarts_options {
    int64_t first_steps, first_epochs, warmup;
    double t_mul, m_mul, alpha;
} restarts_options;
static const cj_option restarts_table[] = {
    CJ_OPTION_INT(restarts_options, first_epochs, 10, 1, 1e12, "epochs of the first period"),
    CJ_OPTION_INT(restarts_options, first_steps, 0, 0, 1e15, "the same in training steps"),
    CJ_OPTION_FLOAT(restarts_options, t_mul, 2, 1, 1e3, "each period is so many times longer"),
    CJ_OPTION_FLOAT(restarts_options, m_mul, 1, 0, 1, "each begins with so much of the rate"),
    CJ_OPTION_FLOAT(restarts_options, alpha, 0, 0, 1, "the last rate as a share of the first"),
    CJ__WARMUP_OPTION(restarts_options), CJ_OPTION_END};

/* Period i begins at (t_mul^i - 1) / (t_mul - 1) first periods. The logarithm finds i but for
 * rounding, so its neighbour is looked at too. */
static double rate_restarts(const cj_schedule_point *at, const void *options)
{
    const restarts_options *o = options;
    const double epoch = at->steps_per_epoch > 0 ? (double)at->steps_per_epoch : 1, t = o->t_mul;
    const double first = o->first_steps > 0 ? (double)o->first_steps
                                            : (double)o->first_epochs * epoch;
    double x = (double)at->step / first, i = floor(x), begin = i, length = 1;
    if (t > 1) {
        i = floor(log1p(x * (t - 1)) / log(t));
        for (double k = i + 1; k >= 0 && k >= i - 1; k--) {
            length = pow(t, k);
            begin = (length - 1) / (t - 1);
            if (begin <= x * (1 + 1e-15)) {
                i = k;
                break;
            }
        }
    }
    const double p = (x - begin) / length, from = at->initial * pow(o->m_mul, i);
    return cj__cosine(from, 0, p > 0 ? p : 0) * (1 - o->alpha) + at->initial * o->alpha;
}
const cj_schedule cj_schedule_cosine_restarts = {
    .name = "cosine_restarts",
    .doc = "cosine again and again, period i of t_mul^i first periods, from a m_mul^i (Loshchilov "
           "and Hutter 2017)",
    .aliases = "cosine_decay_restarts, cosine_annealing_warm_restarts",
    .options_size = sizeof(restarts_options),
    .options = restarts_table,
    .rate = rate_restarts};

/* ---- one_cycle ------------------------------------------------------------------------------- */

enum { SHAPE_COSINE, SHAPE_LINE };
static const char *const shapes[] = {"cosine", "linear", NULL};
typedef struct one_cycle_options {
    double pct_start, div_factor, final_div_factor;
    int anneal_strategy;
    bool three_phase;
    int64_t steps, warmup;
} one_cycle_options;
static const cj_option one_cycle_table[] = {
    CJ_OPTION_FLOAT(one_cycle_options, pct_start, 0.3, 0, 1, "share of training that goes up"),
    CJ_OPTION_FLOAT(one_cycle_options, div_factor, 25, 1, 1e12, "it begins with a / div_factor"),
    CJ_OPTION_FLOAT(one_cycle_options, final_div_factor, 1e4, 1, 1e12,
                    "it ends with the first rate / final_div_factor"),
    CJ_OPTION_WORD(one_cycle_options, anneal_strategy, SHAPE_COSINE, shapes, "shape of each part"),
    CJ_OPTION_BOOL(one_cycle_options, three_phase, false,
                   "down to the first rate as fast as up, then to the last"),
    CJ_OPTION_INT(one_cycle_options, steps, 0, 0, 1e15, "steps of it; 0: all of training"),
    CJ__WARMUP_OPTION(one_cycle_options), CJ_OPTION_END};

/* Rates at the ends of the parts, as PyTorch's OneCycleLR places them: at step 0, at the places
 * below, and at the last step. */
static double rate_one_cycle(const cj_schedule_point *at, const void *options)
{
    const one_cycle_options *o = options;
    const double n = (double)(o->steps > 0 ? o->steps : at->total_steps), step = (double)at->step;
    const double low = at->initial / o->div_factor;
    const double up = o->pct_start * n - 1, down = o->three_phase ? 2 * o->pct_start * n - 2 : up;
    const double ends[] = {0, up, down, n - 1},
                 rates[] = {low, at->initial, o->three_phase ? low : at->initial,
                            low / o->final_div_factor};
    for (int i = 0; i < 3; i++) {
        if (step > ends[i + 1] || (i == 1 && !o->three_phase)) continue;
        const double p = ends[i + 1] > ends[i] ? (step - ends[i]) / (ends[i + 1] - ends[i]) : 1;
        return (o->anneal_strategy == SHAPE_LINE ? line : cj__cosine)(rates[i], rates[i + 1],
                                                                    p > 0 ? p : 0);
    }
    return rates[3];
}
const cj_schedule cj_schedule_one_cycle = {
    .name = "one_cycle",
    .doc = "up from a / div_factor to a, then down to a / div_factor / final_div_factor (Smith and "
           "Topin 2018)",
    .aliases = "one_cycle_lr",
    .options_size = sizeof(one_cycle_options),
    .options = one_cycle_table,
    .rate = rate_one_cycle};

/* ---- cyclic ---------------------------------------------------------------------------------- */

enum { TRIANGULAR, TRIANGULAR2, EXP_RANGE };
static const char *const modes[] = {"triangular", "triangular2", "exp_range", NULL};
typedef struct cyclic_options {
    double alpha, gamma;
    int64_t steps_up, steps_down, warmup;
    int mode;
} cyclic_options;
static const cj_option cyclic_table[] = {
    CJ_OPTION_WORD(cyclic_options, mode, TRIANGULAR, modes,
                   "all cycles alike; each half as high as the one before; by gamma^step"),
    CJ_OPTION_FLOAT(cyclic_options, alpha, 0.25, 0, 1, "the lowest rate as a share of a"),
    CJ_OPTION_INT(cyclic_options, steps_up, 2000, 1, 1e15, "steps from the lowest to a"),
    CJ_OPTION_INT(cyclic_options, steps_down, 0, 0, 1e15, "steps back; 0: as many"),
    CJ_OPTION_FLOAT(cyclic_options, gamma, 0.9999, 0, 1, "of exp_range"),
    CJ__WARMUP_OPTION(cyclic_options), CJ_OPTION_END};
static double rate_cyclic(const cj_schedule_point *at, const void *options)
{
    const cyclic_options *o = options;
    const double up = (double)o->steps_up, low = o->alpha * at->initial;
    const double down = o->steps_down > 0 ? (double)o->steps_down : up, step = (double)at->step;
    const double cycle = floor(step / (up + down)), in = step - cycle * (up + down);
    double height = in <= up ? in / up : (up + down - in) / down;
    if (o->mode == TRIANGULAR2) height /= pow(2, cycle);
    if (o->mode == EXP_RANGE) height *= pow(o->gamma, step);
    return line(low, at->initial, height);
}
const cj_schedule cj_schedule_cyclic = {
    .name = "cyclic",
    .doc = "up from alpha a to a and down again, in lines, again and again (Smith 2017)",
    .aliases = "cyclic_lr",
    .options_size = sizeof(cyclic_options),
    .options = cyclic_table,
    .rate = rate_cyclic};

/* ---- plateau --------------------------------------------------------------------------------- */

enum { FORM_KERAS, FORM_TORCH };
static const char *const forms[] = {"keras", "torch", NULL};
typedef struct plateau_options {
    double factor, min_delta, min_learning_rate;
    int64_t patience, cooldown, warmup;
    int form;
} plateau_options;
static const cj_option plateau_table[] = {
    CJ_OPTION_FLOAT(plateau_options, factor, 0.1, 0, 1, "factor at each step down"),
    CJ_OPTION_INT(plateau_options, patience, 10, 0, 1e9, "epochs without improvement before it"),
    CJ_OPTION_FLOAT(plateau_options, min_delta, 1e-4, 0, 1e6,
                    "by how much the monitored score has to improve"),
    CJ_OPTION_INT(plateau_options, cooldown, 0, 0, 1e9, "epochs after it that do not count"),
    CJ_OPTION_FLOAT(plateau_options, min_learning_rate, 0, 0, 1e6, "the rate goes no lower"),
    CJ_OPTION_WORD(plateau_options, form, FORM_KERAS, forms,
                   "keras: min_delta is absolute, and `patience` epochs are enough; torch: it is "
                   "relative, and they are one too few"),
    CJ__WARMUP_OPTION(plateau_options), CJ_OPTION_END};

static bool improves(const cj_schedule_point *at, const plateau_options *o, double best, double now)
{
    const double least = o->form == FORM_TORCH ? best * o->min_delta : o->min_delta;
    if (isinf(best)) return at->smaller_is_better ? now < best : now > best;
    return at->smaller_is_better ? now < best - least : now > best + least;
}

/* Goes through the scores of the epochs so far, so that there is no state to keep or to restore. */
static double rate_plateau(const cj_schedule_point *at, const void *options)
{
    const plateau_options *o = options;
    const bool torch = o->form == FORM_TORCH;
    double rate = at->initial, best = at->smaller_is_better ? INFINITY : -INFINITY;
    int64_t bad = 0, cool = 0;
    for (int64_t i = 0; i < at->n_monitored; i++) {
        const bool cooled = cool > 0 && (torch || --cool > 0);
        if (improves(at, o, best, at->monitored[i])) best = at->monitored[i], bad = 0;
        else bad++;
        if (cooled) bad = 0;
        if (cooled && torch) cool--;
        if (bad < o->patience + torch || bad == 0) continue;
        bad = 0;
        if (rate <= o->min_learning_rate) continue;
        rate = fmax(rate * o->factor, o->min_learning_rate);
        cool = o->cooldown;
    }
    return rate;
}
const cj_schedule cj_schedule_plateau = {
    .name = "plateau",
    .doc = "rate times factor whenever the monitored score has not improved for `patience` epochs",
    .aliases = "reduce_lr_on_plateau",
    .options_size = sizeof(plateau_options),
    .options = plateau_table,
    .rate = rate_plateau};
