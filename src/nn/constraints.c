/* constraints.c: what weights are kept to after each step: Keras's constraints. Norms are of the
 * weights along `axis`: of a dense layer's kernel [inputs, outputs] those of one output along axis
 * 0, of a convolution's [filters, channels, height, width] those of a filter along [1, 2, 3] (in
 * Keras, where filters come last, [0, 1, 2]). A scalar is its own. */
#include "nn/optimizer.h"

#include "base/registry.h"

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
static const cj_option non_neg_table[] = {CJ_OPTION_END};

/* |w| along the axes, which stay as size 1. */
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

static cj_node *build_max_norm(cj_node *w, const void *options)
{
    const constraint_options *o = options;
    cj_node *n = norm(w, o);
    return scaled(w, n, cj_clip(n, 0, o->max_value));
}
static cj_node *build_non_neg(cj_node *w, const void *options)
{
    (void)options;
    return cj_relu(w);
}
static cj_node *build_unit_norm(cj_node *w, const void *options)
{
    cj_node *n = norm(w, options);
    return scaled(w, n, cj_full_like(n, 1));
}
static cj_node *build_min_max_norm(cj_node *w, const void *options)
{
    const constraint_options *o = options;
    cj_node *n = norm(w, o);
    return scaled(w, n, cj__average(cj_clip(n, o->min_value, o->max_value), n, o->rate));
}

#define CONSTRAINT(id, formula)                                                                    \
    const cj_constraint cj_constraint_##id = {.name = #id,                                         \
                                              .doc = formula,                                      \
                                              .options_size = sizeof(constraint_options),          \
                                              .options = id##_table,                               \
                                              .build = build_##id}
CONSTRAINT(max_norm, "w min(1, max_value / |w|)");
CONSTRAINT(non_neg, "w = max(w, 0)");
CONSTRAINT(unit_norm, "w / |w|");
CONSTRAINT(min_max_norm, "w (rate clip(|w|, min_value, max_value) + (1 - rate) |w|) / |w|");

/* ---- As text --------------------------------------------------------------------------------- */

cj_status cj__constraint_check(cj__arena *arena, const char *text)
{
    cj__named named;
    return cj__named_parse(arena, arena->cj, CJ__ROW_CONSTRAINT, text, &named);
}

cj_node *cj__constrained(cj_node *w, const char *text)
{
    cj__named named;
    cj_graph *g = cj_node_graph(w);
    if (!g || g->failed) return NULL;
    if (cj__named_parse(&g->arena, g->cj, CJ__ROW_CONSTRAINT, text, &named))
        return cj_graph_fail(g, cj_last_status(g->cj), "%s", cj_message(g->cj));
    return ((const cj_constraint *)named.row)->build(w, named.options);
}
