/* optimizers_search.c: optimizers that look for the length of their step: L-BFGS.
 *
 * A run of the training program is one evaluation, at the parameters where they are. So the
 * algorithm is written down as a state and what one evaluation makes of it:
 *
 *     fresh      x is where the last step ended; the batch may be another
 *     searching  x = x0 + t d is a trial of the line search
 *
 *     evaluation -> (fresh, or the search ended: a point x, f, g) -> the last difference of
 *     gradients joins the history -> direction d -> first trial x + t d -> ...
 *
 * until max_iter directions have been gone, or nothing moves any more: then the step is over. All
 * arithmetic is in double and over all parameters as one vector: 2 history_size + 5 of them are
 * state. It takes PyTorch's steps (torch.optim.LBFGS), evaluation by evaluation. */
#include "nn/line_search.h"
#include "nn/optimizer.h"

enum { HISTORY_MAX = 1000 };

typedef struct lbfgs_options {
    int64_t max_iter, max_eval, history_size;
    double tolerance_grad, tolerance_change;
    int line_search;
} lbfgs_options;
enum { STRONG_WOLFE, NO_LINE_SEARCH };
static const char *const line_searches[] = {"strong_wolfe", "none", NULL};
static const cj_option lbfgs_table[] = {
    CJ_OPTION_INT(lbfgs_options, max_iter, 20, 1, 1e6, "directions a step"),
    CJ_OPTION_INT(lbfgs_options, max_eval, 0, 0, 1e6,
                  "evaluations after which a step ends; 0: 5/4 of max_iter"),
    CJ_OPTION_INT(lbfgs_options, history_size, 10, 1, HISTORY_MAX,
                  "differences that are kept, 16 bytes a parameter each"),
    CJ_OPTION_FLOAT(lbfgs_options, tolerance_grad, 1e-7, 0, 1e30,
                    "largest element of a gradient that counts as none"),
    CJ_OPTION_FLOAT(lbfgs_options, tolerance_change, 1e-9, 0, 1e30,
                    "change of loss or parameters that counts as none"),
    CJ_OPTION_WORD(lbfgs_options, line_search, STRONG_WOLFE, line_searches,
                   "how the length of a step is found; none: it is the learning rate"),
    CJ_OPTION_END};

/* ---- All parameters as one vector ------------------------------------------------------------ */

static int64_t size_of(const cj_node *x)
{
    int64_t size = 1;
    for (int i = 0; i < x->type.rank; i++) size *= x->type.dim[i];
    return size;
}

static cj_node *joined(cj_optimizer_search *s, cj_node *const *parts)
{
    const cj_dim flat = CJ_INFER;
    cj_node **list = cj__arena_array(&s->graph->arena, (size_t)s->n, sizeof *list);
    if (!list) return cj_graph_fail(s->graph, CJ_ERR_MEMORY, "out of memory");
    for (int i = 0; i < s->n; i++) list[i] = cj_reshape(cj_cast(parts[i], CJ_F64), 1, &flat);
    return cj_concat(list, s->n, 0);
}

static void parted(cj_optimizer_search *s, cj_node *all)
{
    int64_t at = 0;
    for (int i = 0; i < s->n; i++) {
        const cj_type *type = &s->parameters[i]->type;
        const int64_t size = size_of(s->parameters[i]);
        cj_node *part = cj_reshape(cj_slice_axis(all, 0, at, size), type->rank, type->dim);
        s->new_parameters[i] = cj_cast(part, type->dtype);
        at += size;
    }
}

static cj_node *inner(cj_node *a, cj_node *b) { return cj_sum(cj_mul(a, b)); }

static cj_node *largest(cj_node *x)
{
    return cj_reduce_max(cj_abs(x), 1, (const int64_t[]){0}, false);
}

static cj_node *number(cj_node *like, double value) { return cj__number_like(like, value); }

/* ---- State ----------------------------------------------------------------------------------- */

typedef struct lbfgs_state {
    cj_node *x0, *d;                                 /* the line; d is kept from step to step */
    cj_node *t;                                      /* of the trial, or of the last point */
    cj__line_point origin;
    cj_node *directions, *tried;                     /* ever, and in this step */
    cj_node *evaluations;                            /* in this step */
    cj_node *scale;                                  /* s . y / y . y of the newest pair */
    cj__line_search search;
} lbfgs_state;

static cj_node *scalar(cj_optimizer_search *s, const char *name)
{
    return cj_optimizer_state(s, name, CJ_F64, CJ_SCALAR);
}

static cj_node *vector(cj_optimizer_search *s, const char *name, int64_t size)
{
    return cj_optimizer_state(s, name, CJ_F64, 1, &size);
}

static lbfgs_state state_of(cj_optimizer_search *s, int64_t size)
{
    lbfgs_state z = {.x0 = vector(s, "x0", size), .d = vector(s, "direction", size)};
    z.t = scalar(s, "t");
    z.origin = (cj__line_point){.t = number(z.t, 0),
                                .f = scalar(s, "origin/loss"),
                                .slope = scalar(s, "origin/slope"),
                                .gradient = vector(s, "origin/gradient", size)};
    z.directions = scalar(s, "directions");
    z.tried = scalar(s, "iterations");
    z.evaluations = scalar(s, "evaluations");
    z.scale = scalar(s, "scale");
    cj__line_point *ends[2] = {&z.search.low, &z.search.high};
    static const char *const names[2][4] = {
        {"low/t", "low/loss", "low/slope", "low/gradient"},
        {"high/t", "high/loss", "high/slope", "high/gradient"}};
    for (int i = 0; i < 2; i++)
        *ends[i] = (cj__line_point){.t = scalar(s, names[i][0]),
                                    .f = scalar(s, names[i][1]),
                                    .slope = scalar(s, names[i][2]),
                                    .gradient = vector(s, names[i][3], size)};
    z.search.bracketed = cj_optimizer_state(s, "bracketed", CJ_BOOL, CJ_SCALAR);
    z.search.insufficient = cj_optimizer_state(s, "insufficient", CJ_BOOL, CJ_SCALAR);
    z.search.tries = scalar(s, "tries");
    return z;
}

static void keep_point(cj_optimizer_search *s, const cj__line_point *state,
                       const cj__line_point *p)
{
    cj_optimizer_keep(s, state->t, p->t);
    cj_optimizer_keep(s, state->f, p->f);
    cj_optimizer_keep(s, state->slope, p->slope);
    cj_optimizer_keep(s, state->gradient, p->gradient);
}

/* Where `begins`, the search of a new line, else what the last evaluation made of it. */
static void keep_search(cj_optimizer_search *s, const cj__line_search *state, cj_node *begins,
                        const cj__line_search *first, const cj__line_search *next)
{
    const cj__line_point low = cj__line_point_where(begins, &first->low, &next->low),
                         high = cj__line_point_where(begins, &first->high, &next->high);
    keep_point(s, &state->low, &low);
    keep_point(s, &state->high, &high);
    cj_optimizer_keep(s, state->bracketed, cj_where(begins, first->bracketed, next->bracketed));
    cj_optimizer_keep(s, state->insufficient,
                      cj_where(begins, first->insufficient, next->insufficient));
    cj_optimizer_keep(s, state->tries, cj_where(begins, first->tries, next->tries));
}

/* ---- The direction --------------------------------------------------------------------------- */

/* One difference: s = x' - x, y = g' - g, rho = 1 / (s . y); zeros where there is none yet, which
 * change nothing below. */
typedef struct pair {
    cj_node *s, *y, *rho;
} pair;

/* One of the history, which moves up by one where a newest pair joins. */
static pair keep_pair(cj_optimizer_search *s, const pair *state, const pair *after, cj_node *joins)
{
    const pair p = {cj_where(joins, after->s, state->s), cj_where(joins, after->y, state->y),
                    cj_where(joins, after->rho, state->rho)};
    cj_optimizer_keep(s, state->s, p.s);
    cj_optimizer_keep(s, state->y, p.y);
    cj_optimizer_keep(s, state->rho, p.rho);
    return p;
}

/* -H g, H the inverse Hessian that the history tells, from `scale` times the identity: the two
 * loops of Nocedal 1980. */
static cj_node *direction(cj_node *g, const pair *history, int64_t n, cj_node *scale,
                          cj_node **alpha)
{
    cj_node *q = cj_neg(g);
    for (int64_t i = n - 1; i >= 0; i--) {
        alpha[i] = cj_mul(history[i].rho, inner(history[i].s, q));
        q = cj_sub(q, cj_mul(alpha[i], history[i].y));
    }
    cj_node *r = cj_mul(scale, q);
    for (int64_t i = 0; i < n; i++) {
        cj_node *beta = cj_mul(history[i].rho, inner(history[i].y, r));
        r = cj_add(r, cj_mul(history[i].s, cj_sub(alpha[i], beta)));
    }
    return r;
}

/* The direction from a point with gradient g, `begins` saying whether there is such a point now:
 * then the way there from the point before joins the history, if the loss curves upwards along it.
 */
static cj_node *next_direction(cj_optimizer_search *s, const lbfgs_state *z, cj_node *g, cj_node *t,
                               cj_node *begins)
{
    const int64_t n = ((const lbfgs_options *)s->options)->history_size, size = size_of(g);
    cj__arena *arena = &s->graph->arena;
    pair *now = cj__arena_array(arena, (size_t)n + 1, sizeof *now),
         *history = cj__arena_array(arena, (size_t)n, sizeof *history);
    cj_node **alpha = cj__arena_array(arena, (size_t)n, sizeof *alpha);
    if (!now || !history || !alpha)
        return cj_graph_fail(s->graph, CJ_ERR_MEMORY, "out of memory");
    for (int64_t i = 0; i < n; i++) {
        char names[3][32];
        static const char *const stems[3] = {"s", "y", "rho"};
        for (int k = 0; k < 3; k++)
            cj__format(names[k], sizeof names[k], "%s/%d", stems[k], (int)i);
        now[i] = (pair){vector(s, names[0], size), vector(s, names[1], size), scalar(s, names[2])};
    }
    cj_node *y = cj_sub(g, z->origin.gradient), *way = cj_mul(z->d, t), *along = inner(y, way);
    cj_node *first = cj_equal(z->directions, number(z->directions, 0));
    cj_node *joins = cj_logical_and(cj_logical_and(begins, cj_logical_not(first)),
                                    cj_greater(along, number(along, 1e-10)));
    now[n] = (pair){way, y, cj_reciprocal(along)};
    for (int64_t i = 0; i < n; i++) history[i] = keep_pair(s, &now[i], &now[i + 1], joins);
    cj_node *scale = cj_where(joins, cj_div(along, inner(y, y)), z->scale);
    cj_optimizer_keep(s, z->scale, scale);
    scale = cj_where(cj_equal(scale, number(scale, 0)), number(scale, 1), scale);
    return cj_where(first, cj_neg(g), direction(g, history, n, scale, alpha));
}

/* ---- A step ---------------------------------------------------------------------------------- */

/* Whether the step is over at a point that the search has found. */
static cj_node *step_is_over(const lbfgs_options *o, const lbfgs_state *z,
                             const cj__line_point *point, cj_node *evaluations, cj_node *reach)
{
    const double most = o->max_eval ? (double)o->max_eval : (double)(o->max_iter * 5 / 4);
    cj_node *moved = cj_mul(reach, point->t);
    cj_node *gain = cj_abs(cj_sub(point->f, z->origin.f));
    cj_node *over = cj_logical_or(
        cj_greater_equal(z->tried, number(z->tried, (double)o->max_iter)),
        cj_greater_equal(evaluations, number(evaluations, most)));
    over = cj_logical_or(over, cj_less_equal(moved, number(moved, o->tolerance_change)));
    return cj_logical_or(over, cj_less(gain, number(gain, o->tolerance_change)));
}

/* The first trial's length: at first one that moves no parameter by more than the rate. */
static cj_node *first_length(cj_optimizer_search *s, const lbfgs_state *z, cj_node *g)
{
    cj_node *first = cj_equal(z->directions, number(z->directions, 0));
    cj_node *careful = cj_minimum(cj_reciprocal(cj_sum(cj_abs(g))), number(z->t, 1));
    return cj_where(first, cj_mul(careful, s->learning_rate), s->learning_rate);
}

static bool search_lbfgs(cj_optimizer_search *s)
{
    const lbfgs_options *o = s->options;
    cj_node *x = joined(s, s->parameters), *g = joined(s, s->gradients);
    if (!x || !g) return false;
    const lbfgs_state z = state_of(s, size_of(x));
    cj_node *reach = largest(z.d), *fresh = cj_logical_not(s->searching), *found, *t;
    const cj__line line = {z.origin, reach, o->tolerance_change};
    const cj__line_point now = {z.t, s->loss, inner(g, z.d), g};
    cj__line_point best = now;
    cj__line_search next = z.search;
    if (o->line_search == STRONG_WOLFE)
        cj__line_search_step(&line, &z.search, &now, &next, &found, &best, &t);
    else found = s->searching, t = z.t;

    /* A point: where the step begins, or where a search ended. */
    found = cj_logical_and(s->searching, found);
    const cj__line_point point = cj__line_point_where(fresh, &now, &best);
    cj_node *trial = cj_add(z.x0, cj_mul(z.d, cj_where(found, best.t, t)));
    cj_node *at = cj_where(fresh, x, trial);
    cj_node *evaluations = cj_where(fresh, number(z.t, 1), cj_shift(z.evaluations, 1));
    cj_node *steep = cj_greater(largest(point.gradient), number(z.t, o->tolerance_grad));
    cj_node *over = cj_logical_and(found, step_is_over(o, &z, &point, evaluations, reach));
    cj_node *begins = cj_logical_and(cj_logical_or(fresh, found),
                                     cj_logical_and(steep, cj_logical_not(over)));

    /* From there, a new line. */
    cj_node *d = next_direction(s, &z, point.gradient, point.t, begins);
    cj_node *slope = inner(point.gradient, d), *length = first_length(s, &z, point.gradient);
    cj_node *goes = cj_logical_and(begins,
                                   cj_less_equal(slope, number(slope, -o->tolerance_change)));
    const cj__line_point origin = {number(z.t, 0), point.f, slope, point.gradient};
    const cj__line new_line = {origin, reach, o->tolerance_change};
    const cj__line_search first = cj__line_search_begin(&new_line);
    cj_node *tried = cj_where(fresh, number(z.t, 0), z.tried),
            *one_more = cj_cast(begins, CJ_F64);
    tried = cj_add(tried, one_more);

    cj_node *goes_on = cj_logical_or(goes, cj_logical_and(s->searching, cj_logical_not(found)));
    if (o->line_search == NO_LINE_SEARCH) /* the last point of a step is not evaluated */
        goes_on = cj_logical_and(goes_on, cj_less(tried, number(tried, (double)o->max_iter)));
    keep_search(s, &z.search, begins, &first, &next);
    cj_optimizer_keep(s, z.x0, cj_where(begins, at, z.x0));
    cj_optimizer_keep(s, z.d, cj_where(begins, d, z.d));
    cj_node *last = cj_where(found, best.t, cj_where(fresh, z.t, t));
    cj_optimizer_keep(s, z.t, cj_where(begins, length, last));
    cj_optimizer_keep(s, z.origin.f, cj_where(begins, point.f, z.origin.f));
    cj_optimizer_keep(s, z.origin.slope, cj_where(begins, slope, z.origin.slope));
    cj_optimizer_keep(s, z.origin.gradient,
                      cj_where(begins, point.gradient, z.origin.gradient));
    cj_optimizer_keep(s, z.directions, cj_add(z.directions, one_more));
    cj_optimizer_keep(s, z.tried, tried);
    cj_optimizer_keep(s, z.evaluations, evaluations);
    s->new_searching = goes_on;
    parted(s, cj_where(goes, cj_add(at, cj_mul(d, length)), at));
    return !s->graph->failed;
}

const cj_optimizer cj_optimizer_lbfgs = {
    .name = "lbfgs",
    .aliases = "l_bfgs",
    .doc = "w += t d, d = -H g, H from the last differences of w and g, t by a line search; a "
           "step evaluates the same batch several times, which is best all data (Nocedal 1980, "
           "Wright and Nocedal 2006)",
    .options_size = sizeof(lbfgs_options),
    .options = lbfgs_table,
    .learning_rate = 1,
    .search = search_lbfgs};
