/* layers_merge.c: several inputs become one. Elementwise ones broadcast as operators do, and do
 * with masks what Keras 3 does. */
#include "nn/model.h"

#include <cajal/layers.h>

typedef struct merge_opts {
    const char *name;
} merge_opts;
static const cj_option merge_options[] = {CJ_OPTION_STRING(merge_opts, name, NULL, "of the layer"),
                                          CJ_OPTION_END};

static cj_node *fold(const cj_layer_build *b, cj_node *(*join)(cj_node *, cj_node *))
{
    cj_node *y = b->x[0];
    for (int i = 1; i < b->n; i++) y = join(y, b->x[i]);
    return y;
}

static bool is_pair(const cj_layer_build *b)
{
    if (b->n != 2)
        cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT, "two inputs are expected, found %d",
                       b->n);
    return b->n == 2;
}

static cj_node *add_build(cj_layer_build *b) { return fold(b, cj_add); }
static cj_node *subtract_build(cj_layer_build *b)
{
    return is_pair(b) ? cj_sub(b->x[0], b->x[1]) : NULL;
}

/* What does not count is a factor of 1; where nothing counts, 0. */
static cj_node *multiply_build(cj_layer_build *b)
{
    cj_node *y = NULL;
    for (int i = 0; i < b->n; i++) {
        cj_node *x = cj__masked(b->x[i], cj_mask_of(b->x[i]), 1);
        y = i ? cj_mul(y, x) : x;
    }
    return cj__masked(y, b->mask = cj__mask_merged(b), 0);
}

static cj_node *average_build(cj_layer_build *b)
{
    return cj_scale(cj__layer_float(b, fold(b, cj_add)), 1.0 / b->n);
}

/* Of two that are compared, one that does not count gives way to the other, until an input without
 * a mask has joined: then all of them count, as Keras has it. */
static cj_node *extreme(const cj_layer_build *b, cj_node *(*join)(cj_node *, cj_node *))
{
    cj_node *y = b->x[0], *mask = cj_mask_of(y);
    for (int i = 1; i < b->n; i++) {
        cj_node *x = b->x[i], *next = cj_mask_of(x);
        if (next) x = cj_where(cj__mask_like(next, x), x, y);
        if (mask) y = cj_where(cj__mask_like(mask, y), y, x);
        mask = mask && next ? cj_logical_or(mask, next) : NULL;
        y = join(y, x);
    }
    return y;
}

static cj_node *maximum_build(cj_layer_build *b) { return extreme(b, cj_maximum); }
static cj_node *minimum_build(cj_layer_build *b) { return extreme(b, cj_minimum); }

#define MERGE(id, text) \
    const cj_layer cj_layers_##id = {.name = #id, \
                                     .doc = text, \
                                     .inputs = -1, \
                                     .options_size = sizeof(merge_opts), \
                                     .options = merge_options, \
                                     .build = id##_build, \
                                     .sample = " : 4, 3", \
                                     .masking = CJ_MASK_MERGES}; \
    cj_node *cj_##id##_layer(cj_node *const *x, int n) \
    { \
        return cj__layer_add(x, n, &cj_layers_##id, &(merge_opts){NULL}); \
    }
MERGE(add, "the sum of the inputs")
MERGE(subtract, "the first of two inputs less the second")
MERGE(multiply, "the product of the inputs")
MERGE(average, "the mean of the inputs")
MERGE(maximum, "the largest of the inputs, element by element")
MERGE(minimum, "the smallest of the inputs, element by element")

/* ---- concatenate ----------------------------------------------------------------------------- */

typedef struct concatenate_opts {
    int64_t axis;
    const char *name;
} concatenate_opts;

static const cj_option concatenate_options[] = {
    CJ_OPTION_INT(concatenate_opts, axis, -1, -CJ_RANK_MAX, CJ_RANK_MAX - 1,
                  "axis of the batch along which inputs follow one another"),
    CJ_OPTION_STRING(concatenate_opts, name, NULL, "of the layer"), CJ_OPTION_END};

/* Masks follow one another as what they mask does: an input without one counts everywhere. Along
 * an axis that they do not have, such as the numbers of a step, they merge instead. */
static cj_node *concatenated_mask(cj_layer_build *b, int axis)
{
    cj_node *mask = NULL, **parts = cj__arena_array(&b->graph->arena, (size_t)b->n, sizeof *parts);
    if (!parts) return cj__graph_fail(b->graph, b->name, CJ_ERR_MEMORY, "out of memory"), NULL;
    for (int i = 0; i < b->n && !mask; i++) mask = cj_mask_of(b->x[i]);
    if (!mask || axis >= mask->type.rank) return mask ? cj__mask_merged(b) : NULL;
    for (int i = 0; i < b->n; i++) {
        parts[i] = cj_mask_of(b->x[i]);
        if (!parts[i])
            parts[i] = cj_broadcast_to(cj_scalar(b->graph, CJ_BOOL, 1), mask->type.rank,
                                       b->x[i]->type.dim);
    }
    return cj_concat(parts, b->n, axis);
}

static cj_node *concatenate_build(cj_layer_build *b)
{
    int axis = (int)((const concatenate_opts *)b->options)->axis;
    cj_node *y = cj_concat(b->x, b->n, axis);
    if (y) b->mask = concatenated_mask(b, axis < 0 ? axis + y->type.rank : axis);
    return y;
}

const cj_layer cj_layers_concatenate = {.name = "concatenate",
                                       .doc = "the inputs one after another along an axis",
                                       .inputs = -1,
                                       .options_size = sizeof(concatenate_opts),
                                       .options = concatenate_options,
                                       .build = concatenate_build,
                                       .sample = " : 4, 3",
                                       .masking = CJ_MASK_READS};

cj_node *cj_concatenate(cj_node *const *x, int n, int axis)
{
    return cj__layer_add(x, n, &cj_layers_concatenate, &(concatenate_opts){axis, NULL});
}

/* ---- dot ------------------------------------------------------------------------------------- */

static const cj_option dot_options[] = {
    CJ_OPTION_SIZES(cj_dot_opts, axes, 0, 1, CJ_RANK_MAX - 1,
                    "of the batch of each input that are multiplied and summed"),
    CJ_OPTION_BOOL(cj_dot_opts, normalize, false, "vectors of length one: the cosine"),
    CJ_OPTION_STRING(cj_dot_opts, name, NULL, "of the layer"), CJ_OPTION_END};

/* x [batch, others..., k, others...] -> [batch, product of the others, k]; the others are added to
 * `dims`. NULL: the graph has failed. */
static cj_node *as_vectors(cj_layer_build *b, cj_node *x, int64_t axis, bool normalize,
                           cj_dim dims[2 * CJ_RANK_MAX], int *rank)
{
    int64_t order[CJ_RANK_MAX] = {0};
    cj_dim others = 1;
    const int n = cj_node_rank(x);
    if (axis >= n)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                              "axis %lld of an input of rank %d", (long long)axis, n),
               NULL;
    if (normalize) {
        cj_node *tiny = cj__number_like(x, 1e-12); /* as Keras: of the square */
        x = cj_mul(x, cj_rsqrt(cj_maximum(cj_reduce_sum(cj_square(x), 1, &axis, true), tiny)));
    }
    for (int i = 1, at = 1; i < n; i++) {
        if (i == axis) continue;
        order[at++] = i;
        dims[(*rank)++] = cj_node_dim(x, i);
        others = cj_dim_mul(b->graph, others, cj_node_dim(x, i));
    }
    order[n - 1] = axis;
    x = cj_transpose(x, order);
    return x ? cj_reshape(x, 3, (cj_dim[]){cj_node_dim(x, 0), others, cj_node_dim(x, -1)}) : NULL;
}

static cj_node *dot_build(cj_layer_build *b)
{
    const cj_dot_opts *o = b->options;
    cj_dim dims[2 * CJ_RANK_MAX];
    int rank = 1;
    if (!is_pair(b)) return NULL;
    cj_node *x = cj__layer_float(b, b->x[0]), *y = cj__layer_float(b, b->x[1]);
    if (!x || !y) return NULL;
    dims[0] = cj_node_dim(x, 0);
    x = as_vectors(b, x, o->axes[0], o->normalize, dims, &rank);
    y = as_vectors(b, y, o->axes[1] ? o->axes[1] : o->axes[0], o->normalize, dims, &rank);
    if (rank == 1) dims[rank++] = 1;
    if (rank > CJ_RANK_MAX)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE, "its result is of rank %d", rank),
               NULL;
    return cj_reshape(cj_matmul_transposed(x, y, false, true), rank, dims);
}

const cj_layer cj_layers_dot = {.name = "dot",
                               .doc = "the sum of products of two inputs along an axis of each",
                               .inputs = -1,
                               .options_size = sizeof(cj_dot_opts),
                               .options = dot_options,
                               .build = dot_build,
                               .sample = "axes=2 : 4, 3"};

cj_node *(cj_dot)(cj_node *x, cj_node *y, const cj_dot_opts *opts)
{
    return cj__layer_keywords((cj_node *[]){x, y}, 2, &cj_layers_dot, opts);
}
