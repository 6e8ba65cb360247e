/* regularizers.c: penalties on a layer's weights: scalars that are added to the loss in training.
 */
#include "nn/model.h"

#include "base/registry.h"

/* ---- Sums over all weights ------------------------------------------------------------------- */

typedef struct penalty {
    double l1, l2;
} penalty;

#define L1_OPTION(initial)                                                                         \
    CJ_OPTION_FLOAT(penalty, l1, initial, 0, 1e9, "times the sum of |w|")
#define L2_OPTION(initial)                                                                         \
    CJ_OPTION_FLOAT(penalty, l2, initial, 0, 1e9, "times the sum of w^2")
static const cj_option l1_table[] = {L1_OPTION(0.01), CJ_OPTION_END};
static const cj_option l2_table[] = {L2_OPTION(0.01), CJ_OPTION_END};
static const cj_option l1_l2_table[] = {L1_OPTION(0), L2_OPTION(0), CJ_OPTION_END};

static cj_node *build_penalty(cj_node *w, const void *options)
{
    const penalty *p = options;
    cj_node *l1 = p->l1 != 0 ? cj_scale(cj_sum(cj_abs(w)), p->l1) : NULL;
    cj_node *l2 = p->l2 != 0 ? cj_scale(cj_sum(cj_square(w)), p->l2) : NULL;
    return l1 && l2 ? cj_add(l1, l2)
           : l1     ? l1
           : l2     ? l2
                    : cj__number_like(w, 0);
}

#define PENALTY(id, formula)                                                                       \
    const cj_regularizer cj_regularizer_##id = {.name = #id,                                       \
                                                .doc = formula,                                    \
                                                .options_size = sizeof(penalty),                   \
                                                .options = id##_table,                             \
                                                .build = build_penalty}
PENALTY(l1, "l1 sum |w|");
PENALTY(l2, "l2 sum w^2");
PENALTY(l1_l2, "l1 sum |w| + l2 sum w^2");

/* ---- orthogonal ------------------------------------------------------------------------------ */

static const char *const sides[] = {"rows", "columns", NULL};
typedef struct orthogonal_options {
    double factor;
    int mode; /* of sides */
} orthogonal_options;
static const cj_option orthogonal_table[] = {
    CJ_OPTION_FLOAT(orthogonal_options, factor, 0.01, 0, 1e9, "of the penalty"),
    CJ_OPTION_WORD(orthogonal_options, mode, 0, sides, "what is to be orthogonal"),
    CJ_OPTION_END};

/* With rows (or columns) of length one, the mean over their pairs of |cosine|. A row of zeros has
 * cosine 0 to all. */
static cj_node *build_orthogonal(cj_node *w, const void *options)
{
    const orthogonal_options *o = options;
    cj_graph *g = cj_node_graph(w);
    if (!g) return NULL;
    if (w->type.rank != 2)
        return cj_graph_fail(g, CJ_ERR_SHAPE,
                             "orthogonal_regularizer: a matrix is expected, not rank %d",
                             w->type.rank);
    const bool columns = o->mode == 1;
    const int64_t along = columns ? 0 : 1, n = cj_node_dim(w, columns ? 1 : 0);
    const double pairs = (double)n * (double)(n - 1) / 2;
    cj_node *squares = cj_reduce_sum(cj_square(w), 1, &along, true);
    cj_node *tiny = cj__number_like(w, 1e-12); /* as Keras: of the square */
    cj_node *unit = cj_mul(w, cj_rsqrt(cj_maximum(squares, tiny)));
    cj_node *cosines = cj_matmul_transposed(unit, unit, columns, !columns);
    /* The diagonal is left out by a mask, so that its rounding does not count. */
    cj_node *numbers = cj_cumsum(cj_broadcast_to(cj_scalar(g, CJ_I64, 1), 1, (cj_dim[]){n}), 0,
                                 true, false);
    cj_node *apart = cj_sub(cj__number_like(w, 1), cj_one_hot(numbers, n, w->type.dtype));
    return cj_scale(cj_sum(cj_mul(cj_abs(cosines), apart)),
                    pairs > 0 ? 0.5 * o->factor / pairs : 0);
}
const cj_regularizer cj_regularizer_orthogonal_regularizer = {
    .name = "orthogonal_regularizer",
    .doc = "factor times the mean |cosine| of two rows, or columns, of a matrix",
    .aliases = "orthogonal",
    .options_size = sizeof(orthogonal_options),
    .options = orthogonal_table,
    .build = build_orthogonal};

cj_node *cj__regularizer(cj_node *parameter, const char *text)
{
    cj_graph *g = cj_node_graph(parameter);
    if (!g || g->failed) return NULL;
    cj__named named;
    cj_status failed = cj__named_parse(&g->arena, g->cj, CJ__ROW_REGULARIZER, text, &named);
    if (failed)
        return cj__graph_fail(g, cj_node_name(parameter), failed, "%s", cj_message(g->cj)), NULL;
    return ((const cj_regularizer *)named.row)->build(parameter, named.options);
}
