/* line_search.c: the strong Wolfe line search as nodes: each run of the program evaluates one
 * trial, and these nodes say whether the search ends there or where the next trial is.
 *
 *     sufficient decrease   f(t) <= f(0) + C1 t f'(0)
 *     curvature             |f'(t)| <= C2 |f'(0)|
 *
 * While no bracket is known the trials go outwards; within one, cubic interpolation narrows it.
 * (Nocedal and Wright 2006, algorithms 3.5 and 3.6, in the form of minFunc, which PyTorch's LBFGS
 * has too. Schmidt 2005.) A trial at which loss or slope is not finite counts as infinitely bad,
 * and the next one halves the way. */
#include "nn/line_search.h"

#include <math.h>

#define C1 1e-4
#define C2 0.9
enum { TRIES_MAX = 25 };

static cj_node *number(cj_node *like, double value) { return cj__number_like(like, value); }
static cj_node *either(cj_node *a, cj_node *b) { return cj_logical_or(a, b); }
static cj_node *both(cj_node *a, cj_node *b) { return cj_logical_and(a, b); }
static cj_node *none_of(cj_node *a) { return cj_logical_not(a); }

static cj_node *is_finite(cj_node *x)
{
    return none_of(either(cj_is_nan(x), cj_is_inf(x)));
}

cj__line_point cj__line_point_where(cj_node *condition, const cj__line_point *a,
                                    const cj__line_point *b)
{
    return (cj__line_point){.t = cj_where(condition, a->t, b->t),
                            .f = cj_where(condition, a->f, b->f),
                            .slope = cj_where(condition, a->slope, b->slope),
                            .gradient = cj_where(condition, a->gradient, b->gradient)};
}

/* The minimum between `from` and `to` of the cubic that has the values and slopes of a and b; the
 * middle where there is none. */
static cj_node *interpolated(const cj__line_point *a, const cj__line_point *b, cj_node *from,
                             cj_node *to)
{
    cj_node *in_order = cj_less_equal(a->t, b->t);
    const cj__line_point p = cj__line_point_where(in_order, a, b),
                         q = cj__line_point_where(in_order, b, a);
    cj_node *secant = cj_div(cj_sub(p.f, q.f), cj_sub(p.t, q.t));
    cj_node *d1 = cj_sub(cj_add(p.slope, q.slope), cj_scale(secant, 3));
    cj_node *square = cj_sub(cj_square(d1), cj_mul(p.slope, q.slope));
    cj_node *d2 = cj_sqrt(cj_maximum(square, number(square, 0)));
    cj_node *part = cj_div(cj_sub(cj_add(q.slope, d2), d1),
                           cj_add(cj_sub(q.slope, p.slope), cj_scale(d2, 2)));
    cj_node *t = cj_sub(q.t, cj_mul(cj_sub(q.t, p.t), part));
    cj_node *there = both(cj_greater_equal(square, number(square, 0)), is_finite(t));
    return cj_where(there, cj_minimum(cj_maximum(t, from), to), cj_scale(cj_add(from, to), 0.5));
}

cj__line_search cj__line_search_begin(const cj__line *line)
{
    cj_node *no = cj_not_equal(line->origin.f, line->origin.f); /* never infinite here */
    return (cj__line_search){.low = line->origin,
                             .high = line->origin,
                             .bracketed = no,
                             .insufficient = no,
                             .tries = number(line->origin.f, 0)};
}

static cj_node *decreases_too_little(const cj__line *line, const cj__line_point *p)
{
    cj_node *most = cj_add(line->origin.f, cj_mul(cj_scale(p->t, C1), line->origin.slope));
    return cj_greater(p->f, most);
}

static cj_node *is_flat_enough(const cj__line *line, const cj__line_point *p)
{
    return cj_less_equal(cj_abs(p->slope), cj_scale(line->origin.slope, -C2));
}

/* The next trial within a bracket. One that is near an end twice in a row, or at it, is moved away
 * from it by a tenth of the bracket. */
static cj_node *trial_within(const cj__line_point *low, const cj__line_point *high,
                             cj_node *insufficient, cj_node **still_insufficient)
{
    cj_node *from = cj_minimum(low->t, high->t), *to = cj_maximum(low->t, high->t);
    cj_node *t = interpolated(low, high, from, to);
    cj_node *tenth = cj_scale(cj_sub(to, from), 0.1);
    cj_node *after = cj_sub(t, from), *before = cj_sub(to, t);
    cj_node *near = cj_less(cj_minimum(before, after), tenth),
            *outside = either(cj_greater_equal(t, to), cj_less_equal(t, from));
    cj_node *moves = both(near, either(insufficient, outside));
    cj_node *moved = cj_where(cj_less(cj_abs(before), cj_abs(after)), cj_sub(to, tenth),
                              cj_add(from, tenth));
    *still_insufficient = both(near, none_of(moves));
    return cj_where(moves, moved, t);
}

/* Without a bracket: the trial closes one, ends the search, or lies on the way outwards. */
typedef struct outcome {
    cj_node *ends, *brackets; /* neither: further outwards */
    cj__line_point best, low, high;
} outcome;

static outcome look_outwards(const cj__line *line, const cj__line_search *s,
                             const cj__line_point *now)
{
    cj_node *rises = both(cj_greater(s->tries, number(s->tries, 1)),
                          cj_greater_equal(now->f, s->low.f));
    cj_node *bad = either(decreases_too_little(line, now), rises),
            *flat = is_flat_enough(line, now);
    cj_node *uphill = cj_greater_equal(now->slope, number(now->slope, 0));
    cj_node *gives_up = cj_greater_equal(s->tries, number(s->tries, TRIES_MAX));
    cj_node *better = cj_less_equal(s->low.f, now->f);
    const cj__line_point fallback = cj__line_point_where(cj_less_equal(line->origin.f, now->f),
                                                         &line->origin, now);
    return (outcome){.ends = either(gives_up, both(none_of(bad), flat)),
                     .brackets = either(bad, both(none_of(flat), uphill)),
                     .best = cj__line_point_where(gives_up, &fallback, now),
                     .low = cj__line_point_where(better, &s->low, now),
                     .high = cj__line_point_where(better, now, &s->low)};
}

/* Within a bracket: the trial becomes one of its ends, or ends the search. */
static outcome look_within(const cj__line *line, const cj__line_search *s,
                           const cj__line_point *now)
{
    cj_node *bad = either(decreases_too_little(line, now), cj_greater_equal(now->f, s->low.f));
    cj_node *flat = both(none_of(bad), is_flat_enough(line, now));
    cj_node *away = cj_greater_equal(cj_mul(now->slope, cj_sub(s->high.t, s->low.t)),
                                     number(now->slope, 0));
    cj_node *gives_up = cj_greater_equal(s->tries, number(s->tries, TRIES_MAX));
    cj_node *lower = cj_less(now->f, s->low.f);
    const cj__line_point turned = cj__line_point_where(both(away, none_of(flat)), &s->low,
                                                       &s->high);
    const cj__line_point worse = cj__line_point_where(lower, &s->low, now);
    outcome o = {.brackets = cj_equal(s->tries, s->tries),
                 .low = cj__line_point_where(lower, now, &s->low),
                 .high = cj__line_point_where(bad, &worse, &turned)};
    o.ends = either(flat, gives_up);
    o.best = o.low;
    return o;
}

void cj__line_search_step(const cj__line *line, const cj__line_search *s,
                          const cj__line_point *trial, cj__line_search *next, cj_node **found,
                          cj__line_point *best, cj_node **t)
{
    cj__line_point now = *trial;
    now.f = cj_where(both(is_finite(now.f), is_finite(now.slope)), now.f, number(now.f, INFINITY));
    const outcome out = look_outwards(line, s, &now), within = look_within(line, s, &now);
    const cj__line_point low = cj__line_point_where(s->bracketed, &within.low, &out.low),
                         high = cj__line_point_where(s->bracketed, &within.high, &out.high);
    cj_node *ends = cj_where(s->bracketed, within.ends, out.ends),
            *brackets = either(s->bracketed, out.brackets), *insufficient;
    cj_node *width = cj_abs(cj_sub(high.t, low.t));
    cj_node *small = both(brackets,
                          cj_less(cj_mul(width, line->reach), number(width, line->tolerance)));
    const cj__line_point end = cj__line_point_where(s->bracketed, &within.best, &out.best);
    *found = either(ends, small);
    *best = cj__line_point_where(ends, &end, &low);
    /* Outwards by a hundredth of the last stride at least, tenfold at most. */
    cj_node *stride = cj_sub(now.t, s->low.t);
    cj_node *outwards = interpolated(&s->low, &now, cj_add(now.t, cj_scale(stride, 0.01)),
                                     cj_scale(now.t, 10));
    cj_node *inwards = trial_within(&low, &high, both(s->bracketed, s->insufficient),
                                    &insufficient);
    *t = cj_where(brackets, inwards, outwards);
    *next = (cj__line_search){.low = cj__line_point_where(brackets, &low, &now),
                              .high = high,
                              .bracketed = brackets,
                              .insufficient = insufficient,
                              .tries = cj_shift(s->tries, 1)};
}
