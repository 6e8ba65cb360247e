/* packed.c: sequences with steps that do not count, as shorter sequences.
 *
 * A masked step leaves the state of a recurrent layer alone. So the steps that count are moved to
 * the front, where they are a sequence with a length, which recurrent kernels know; afterwards each
 * step gets the result that stood when it was its turn:
 *
 *     mask            1 0 1 1 0
 *     step            0 1 2 3 4     packed: steps 0 2 3, length 3; behind them 1 4, which are not
 * read counted         1 1 2 3 3     steps that count up to here from before     0 0 1 2 2     the
 * packed step each step gets its result from; forward from behind     0 1 1 2 -     the same,
 * backward; -: none yet
 *
 * Both ways are a gather of rows, so gradients, files and every backend have them already. */
#include "nn/model.h"

static cj_node *whole(cj_graph *g, int64_t value) { return cj_scalar(g, CJ_I64, (double)value); }

/* Number of each step, and of each sample, both to be broadcast. */
static cj_node *steps_of(cj_graph *g, const cj_type *type)
{
    return cj_iota(g, CJ_I64, 1, 2, (cj_dim[]){1, type->dim[1]});
}
static cj_node *samples_of(cj_graph *g, const cj_type *type)
{
    return cj_iota(g, CJ_I64, 0, 2, (cj_dim[]){type->dim[0], 1});
}
static cj_node *size_of(cj_graph *g, cj_dim d)
{
    return d < 0 ? cj_dim_value(g, d) : whole(g, d);
}

bool cj__packing_make(cj__packing *p, cj_node *mask, cj_node *lengths)
{
    const int64_t steps = 1;
    cj_graph *g = cj_node_graph(mask);
    if (lengths) {
        lengths = cj_expand_dims(cj_cast(lengths, CJ_I64), 1);
        mask = cj_logical_and(mask, cj_less(steps_of(g, &mask->type), lengths));
    }
    if (!mask) return false;
    const cj_type *type = &mask->type;
    *p = (cj__packing){.mask = mask, .counts = cj_cast(mask, CJ_I64)};
    p->counted = cj_cumsum(p->counts, 1, false, false);
    p->lengths = cj_reduce_sum(p->counts, 1, &steps, false);
    cj_node *t = steps_of(g, type), *length = cj_expand_dims(p->lengths, 1);
    cj_node *place = cj_where(mask, cj_sub(p->counted, whole(g, 1)),
                              cj_sub(cj_add(length, t), p->counted));
    /* Every place is taken once, so what is written over does not matter. */
    t = cj_broadcast_to(t, 2, type->dim);
    cj_node *from = cj_scatter_along(place, place, t, 1, CJ_SCATTER_REPLACE);
    p->rows = cj_add(cj_mul(samples_of(g, type), size_of(g, type->dim[1])), from);
    return p->rows && !g->failed;
}

/* Rows of [N * T, n] for indices [N, T]. */
static cj_node *gather_rows(cj_node *x, cj_node *rows)
{
    if (!x) return NULL;
    cj_dim flat = cj_dim_mul(cj_node_graph(x), cj_node_dim(x, 0), cj_node_dim(x, 1));
    return cj_gather(cj_reshape(x, 2, (cj_dim[]){flat, cj_node_dim(x, 2)}), rows, 0);
}

cj_node *cj__pack(const cj__packing *p, cj_node *x) { return gather_rows(x, p->rows); }

cj_node *cj__unpack(const cj__packing *p, cj_node *y, cj__unpacking how, cj_node *none)
{
    if (!y) return NULL;
    cj_graph *g = cj_node_graph(y);
    const cj_type *type = &p->mask->type;
    cj_node *t = size_of(g, type->dim[1]), *from = cj_sub(p->counted, whole(g, 1));
    /* What comes from nowhere comes from a step T, which holds `none`. */
    if (how == CJ__FROM_NOTHING) from = cj_where(p->mask, from, t);
    if (how == CJ__FROM_BEFORE) from = cj_where(cj_less(from, whole(g, 0)), t, from);
    if (how == CJ__FROM_BEHIND) {
        from = cj_sub(p->counted, p->counts);
        from = cj_where(cj_less(from, cj_expand_dims(p->lengths, 1)), from, t);
    }
    if (!none)
        none = cj_broadcast_to(cj_scalar(g, cj_node_dtype(y), 0), 3,
                               (cj_dim[]){cj_node_dim(y, 0), 1, cj_node_dim(y, 2)});
    cj_node *rows = cj_add(cj_mul(samples_of(g, type), cj_add(t, whole(g, 1))), from);
    return gather_rows(cj_concat((cj_node *[]){y, none}, 2, 1), rows);
}
