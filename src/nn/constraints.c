/* constraints.c: what weights are kept to after each step: Keras's constraints. Norms are of the
 * weights along `axis`: of a dense layer's kernel [inputs, outputs] those of one output along axis
 * 0, of a convolution's along [0, 1, 2]. A scalar is its own. */
#include "nn/optimizer.h"

#include "base/option.h"

#include <string.h>

#define EPSILON 1e-7 /* Keras's: a norm of 0 divides too */

typedef struct constraint_options {
    double min_value, max_value, rate;
    cj_ints axis;
} constraint_options;
#define AXIS_OPTION                                                                                \
    CJ_OPTION_INTS(constraint_options, axis, -CJ_RANK_MAX, CJ_RANK_MAX - 1,                        \
                   "axes along which norms are taken; without it 0")
static const cj_option max_norm_table[] = {
    CJ_OPTION_FLOAT(constraint_options, max_value, 2, 0, 1e30, "largest norm"), AXIS_OPTION,
    CJ_OPTION_END};
static const cj_option unit_norm_table[] = {AXIS_OPTION, CJ_OPTION_END};
static const cj_option min_max_norm_table[] = {
    CJ_OPTION_FLOAT(constraint_options, min_value, 0, 0, 1e30, "smallest norm"),
    CJ_OPTION_FLOAT(constraint_options, max_value, 1, 0, 1e30, "largest norm"),
    CJ_OPTION_FLOAT(constraint_options, rate, 1, 0, 1, "how far norms go there in a step"),
    AXIS_OPTION, CJ_OPTION_END};
static const cj_option no_table[] = {CJ_OPTION_END};

static cj_node *norm(cj_node *w, const constraint_options *o)
{
    static const int64_t first = 0;
    const bool given = o->axis.n > 0;
    if (w && w->type.rank == 0) return cj_abs(w);
    return cj_sqrt(
        cj_reduce_sum(cj_square(w), given ? o->axis.n : 1, given ? o->axis.v : &first, true));
}
static cj_node *scaled(cj_node *w, cj_node *from, cj_node *to)
{
    return cj_mul(w, cj_div(to, cj_shift(from, EPSILON)));
}
static cj_node *max_norm(cj_node *w, const constraint_options *o)
{
    cj_node *n = norm(w, o);
    return scaled(w, n, cj_clip(n, 0, o->max_value));
}
static cj_node *non_neg(cj_node *w, const constraint_options *o)
{
    (void)o;
    return cj_relu(w);
}
static cj_node *unit_norm(cj_node *w, const constraint_options *o)
{
    cj_node *n = norm(w, o);
    return scaled(w, n, cj_full_like(n, 1));
}
static cj_node *min_max_norm(cj_node *w, const constraint_options *o)
{
    cj_node *n = norm(w, o);
    return scaled(w, n, cj__average(cj_clip(n, o->min_value, o->max_value), n, o->rate));
}

static const struct constraint {
    const char *name;
    const cj_option *options;
    cj_node *(*build)(cj_node *w, const constraint_options *o);
} constraints[] = {{"max_norm", max_norm_table, max_norm},
                   {"non_neg", no_table, non_neg},
                   {"unit_norm", unit_norm_table, unit_norm},
                   {"min_max_norm", min_max_norm_table, min_max_norm}};
enum { CONSTRAINTS = sizeof constraints / sizeof *constraints };

static cj_status parse(cj__arena *arena, const char *text, const struct constraint **row,
                       constraint_options *o)
{
    const char *names[CONSTRAINTS + 1] = {NULL}, *rest;
    char *name;
    CJ__TRY(cj__options_parse_name(arena, text, &name, &rest));
    *row = NULL;
    for (int i = 0; i < CONSTRAINTS; i++) {
        names[i] = constraints[i].name;
        if (!strcmp(names[i], name)) *row = &constraints[i];
    }
    if (!*row) {
        const char *near = cj__nearest(name, names);
        return cj_fail(arena->cj, CJ_ERR_ARGUMENT, "unknown constraint '%.100s' (%s%s%s)", name,
                       near ? "did you mean '" : "there are ",
                       near ? near : "max_norm, non_neg, unit_norm, min_max_norm",
                       near ? "'?" : "");
    }
    *o = (constraint_options){0};
    cj__options_init((*row)->options, o);
    CJ__TRY(cj__options_parse(arena, name, (*row)->options, o, rest));
    return cj__options_check(arena->cj, name, (*row)->options, o);
}

cj_status cj__constraint_check(cj__arena *arena, const char *text)
{
    const struct constraint *row;
    constraint_options o;
    return parse(arena, text, &row, &o);
}

cj_node *cj__constrained(cj_node *w, const char *text)
{
    const struct constraint *row;
    constraint_options o;
    cj_graph *g = cj_node_graph(w);
    if (!g || g->failed) return NULL;
    if (parse(&g->arena, text, &row, &o))
        return cj_graph_fail(g, cj_last_status(g->cj), "%s", cj_message(g->cj));
    return row->build(w, &o);
}
