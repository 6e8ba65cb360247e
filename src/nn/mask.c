/* mask.c: the masks that ride beside nodes, and the layer that makes one.
 *
 *     nodes of the graph      x ------ dense ------ dropout ------ lstm
 *     a table beside them     mask     the same     the same       reads it
 *
 * A mask is an ordinary node, so programs and files compute it as they do everything else; the
 * table (cj__layers.masks) only says which node's mask it is while layers are put together. Which
 * layer does what follows Keras 3 (supports_masking and compute_mask of its layers). */
#include "nn/model.h"

#include <cajal/layers.h>

/* ---- The table ------------------------------------------------------------------------------- */

cj_node *cj_mask_of(const cj_node *x)
{
    if (!x || cj__is_zero(x) || !x->call->graph->layers) return NULL;
    const cj__layers *layers = x->call->graph->layers;
    for (int i = layers->n_masks - 1; i >= 0; i--) /* the latest are asked for most */
        if (layers->masks[i].x == x) return layers->masks[i].mask;
    return NULL;
}

static void add(cj_graph *g, const cj_node *x, cj_node *mask)
{
    cj__layers *layers = cj__layers_of(g);
    if (!layers) return;
    if (layers->n_masks == layers->masks_capacity) {
        int more = layers->masks_capacity ? 2 * layers->masks_capacity : 8;
        cj__mask *masks = cj__realloc(g->cj, layers->masks,
                                      (size_t)layers->masks_capacity * sizeof *masks,
                                      (size_t)more * sizeof *masks);
        if (!masks) {
            cj__graph_fail(g, "mask", CJ_ERR_MEMORY, "out of memory");
            return;
        }
        layers->masks = masks;
        layers->masks_capacity = more;
    }
    layers->masks[layers->n_masks++] = (cj__mask){x, mask};
}

/* Whether the mask is of x's leading sizes; else the graph has failed. */
static bool fits(cj_graph *g, const cj_node *x, const cj_node *mask)
{
    const int rank = mask->type.rank;
    if (mask->call->graph != g)
        return cj__graph_fail(g, "mask", CJ_ERR_ARGUMENT, "it belongs to another graph"), false;
    if (rank < 1 || rank > x->type.rank)
        return cj__graph_fail(g, "mask", CJ_ERR_SHAPE,
                              "it is of rank %d; 1 to %d, the rank of what it masks, is expected",
                              rank, x->type.rank),
               false;
    for (int i = 0; i < rank; i++)
        if (!cj__dim_agree(g, x->call, mask->type.dim[i], x->type.dim[i]))
            return cj__graph_fail(g, "mask", CJ_ERR_SHAPE,
                                  "it has size %s along axis %d, expected %s, as what it masks has",
                                  cj_dim_text(g, mask->type.dim[i]), i,
                                  cj_dim_text(g, x->type.dim[i])),
                   false;
    return true;
}

bool cj__mask_attach(const cj_node *x, cj_node *mask)
{
    cj_graph *g = x->call->graph;
    if (mask && !g->failed && fits(g, x, mask)) add(g, x, mask);
    return mask && !g->failed;
}

cj_node *cj_with_mask(cj_node *x, cj_node *mask)
{
    if (!x || cj__is_zero(x)) return x;
    cj_graph *g = x->call->graph;
    cj_node *y = g->failed ? NULL : cj_identity(x);
    if (!y || !mask) return y;
    if (cj__is_zero(mask))
        return cj__graph_fail(g, "mask", CJ_ERR_ARGUMENT, "it is cj_zero, which has no shape"),
               NULL;
    if (mask->type.dtype != CJ_BOOL) mask = cj_not_equal(mask, cj__number_like(mask, 0));
    return cj__mask_attach(y, mask) ? y : NULL;
}

/* ---- What layers make of it ------------------------------------------------------------------ */

cj_node *cj__mask_like(cj_node *mask, const cj_node *x)
{
    while (mask && mask->type.rank < x->type.rank) mask = cj_expand_dims(mask, mask->type.rank);
    return mask;
}

cj_node *cj__masked(cj_node *x, cj_node *mask, double elsewhere)
{
    if (!x || !mask) return x;
    return cj_where(cj__mask_like(mask, x), x, cj__number_like(x, elsewhere));
}

cj_node *cj__mask_of_steps(const cj_layer_build *b, int i)
{
    cj_node *mask = cj_mask_of(b->x[i]);
    if (!mask || mask->type.rank == 2) return mask;
    return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                          "the mask of its input is of rank %d; [batch, steps] is expected",
                          mask->type.rank),
           NULL;
}

cj_node *cj__mask_merged(const cj_layer_build *b)
{
    cj_node *mask = cj_mask_of(b->x[0]);
    for (int i = 1; mask && i < b->n; i++) {
        cj_node *next = cj_mask_of(b->x[i]);
        if (!next) return NULL;
        mask = next == mask ? mask
                            : cj_logical_or(cj__mask_like(mask, next), cj__mask_like(next, mask));
    }
    return mask;
}

cj_node *cj__mask_result(const cj_layer *row, const cj_layer_build *b, cj_node *y)
{
    cj_node *mask = b->mask;
    if (!mask && row->masking == CJ_MASK_PASSES) mask = cj_mask_of(b->x[0]);
    if (!mask && row->masking == CJ_MASK_MERGES) mask = cj__mask_merged(b);
    cj_node *found = cj_mask_of(y);
    if (found == mask) return y;
    if (found) y = cj_identity(y); /* an input as it was, or an inner layer's result */
    if (y && mask) cj__mask_attach(y, mask);
    return y;
}

/* ---- masking --------------------------------------------------------------------------------- */

static const cj_option masking_options[] = {
    CJ_OPTION_FLOAT(cj_masking_opts, mask_value, 0, -1e300, 1e300,
                    "what all numbers of a step are that does not count"),
    CJ_OPTION_STRING(cj_masking_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *masking_build(cj_layer_build *b)
{
    const double value = ((const cj_masking_opts *)b->options)->mask_value;
    cj_node *x = cj__layer_float(b, b->x[0]);
    if (!x) return NULL;
    if (cj_node_rank(x) < 2)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                              "its input is of rank %d; [batch, ..., numbers] is expected",
                              cj_node_rank(x)),
               NULL;
    /* Counted in floats, for which reductions have fast kernels. */
    cj_node *differs = cj_cast(cj_not_equal(x, cj__number_like(x, value)), cj_node_dtype(x));
    cj_node *count = cj_reduce_sum(differs, 1, (int64_t[]){-1}, false);
    b->mask = cj_greater(count, cj__number_like(count, 0));
    return cj__masked(x, b->mask, 0);
}

CJ__LAYER_WITH_MASKS(masking,
                     "a step whose numbers all equal mask_value becomes zeros, and later layers "
                     "leave it out",
                     masking_build, "mask_value=-1 : 4, 3", CJ_MASK_READS)
