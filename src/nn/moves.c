/* moves.c: masks, boxes and pictures that are targets go where layers moved the picture they belong
 * to.
 *
 * Which moves count is read off the model's graph: a chain that begins at the first input, each of
 * pictures that come from the last one's, and all of it before anything is learned: what a network
 * does to its feature maps moves no target.
 *
 *     input -> rescaling -> random_flip -> random_crop -> conv2d -> resizing -> conv2d -> output
 *                               1              2                     no more
 */
#include "nn/moves.h"

#include <string.h>

static const double LEFT = 0.1; /* share of a box that has to be left */

cj_node *cj__layer_moves(cj_layer_build *b, const cj_node *x, cj_node *y, const cj__motion *motion,
                         const void *options, cj_node *const *numbers, int n)
{
    cj_graph *g = b->graph;
    CJ_ASSERT(n <= CJ__MOVE_NUMBERS);
    cj__layers *layers = x && y ? cj__layers_of(g) : NULL;
    if (!layers || g->failed) return NULL;
    cj__move *m = cj__arena_alloc(&g->arena, sizeof *m), **last = &layers->moves;
    const char *name = cj__arena_strdup(&g->arena, b->name);
    if (!m || !name) return cj__graph_fail(g, b->name, CJ_ERR_MEMORY, "out of memory"), NULL;
    *m = (cj__move){.motion = motion, .layer = name, .x = x, .y = y, .options = options};
    for (int i = 0; i < n; i++) m->numbers[i] = numbers[i];
    while (*last) last = &(*last)->next;
    *last = m;
    return y;
}

/* ---- Which moves count ----------------------------------------------------------------------- */

/* By call of a model's graph. */
typedef struct paths {
    bool *moved;   /* it depends on the pictures the last move made */
    bool *learned; /* on a parameter */
    bool *used;    /* the output depends on it */
} paths;

static void spread(const cj_graph *g, bool *marks)
{
    for (int i = 0; i < g->n_calls; i++)
        for (int k = 0; k < g->calls[i]->n_in && !marks[i]; k++)
            marks[i] = marks[g->calls[i]->in[k]->call->id];
}

static void from_here(const cj_graph *g, const cj_node *x, bool *marks)
{
    memset(marks, 0, (size_t)g->n_calls * sizeof *marks);
    marks[x->call->id] = true;
    spread(g, marks);
}

static void find_paths(const cj_graph *g, const cj_node *output, paths *p)
{
    from_here(g, g->inputs.items[0].node, p->moved);
    for (int i = 0; i < g->parameters.count; i++)
        p->learned[g->parameters.items[i].node->call->id] = true;
    spread(g, p->learned);
    p->used[output->call->id] = true;
    for (int i = g->n_calls - 1; i >= 0; i--)
        for (int k = 0; p->used[i] && k < g->calls[i]->n_in; k++)
            p->used[g->calls[i]->in[k]->call->id] = true;
}

/* Samples that a layer made of steps (time_distributed) are not those of a target. */
static bool counts(const cj__move *m, const paths *p, cj_dim batch)
{
    return p->moved[m->x->call->id] && !p->learned[m->x->call->id] && p->used[m->y->call->id] &&
           m->x->type.dim[0] == batch;
}

/* ---- Boxes ----------------------------------------------------------------------------------- */

static cj_node *column(cj_node *boxes, int64_t i)
{
    return cj_squeeze(cj_slice_axis(boxes, 2, i, 1), 2);
}

/* [batch, 4 n] -> [batch, n]: of the four corners of each. */
static cj_node *extreme(cj_node *corners, cj_dim batch, int64_t n, bool most)
{
    const int64_t axis = 1;
    cj_node *four = cj_reshape(corners, 3, (cj_dim[]){batch, 4, n});
    return most ? cj_reduce_max(four, 1, &axis, false) : cj_reduce_min(four, 1, &axis, false);
}

/* The corners are moved; the smallest box around them, and what of it is inside. */
static cj_node *move_boxes(const cj__move *m, cj_node *const *numbers, cj_node *boxes)
{
    const cj_dim batch = boxes->type.dim[0];
    const int64_t n = boxes->type.dim[1];
    cj_node *class = column(boxes, 0), *low[2], *high[2], *inside[4], *area[2], *xy[2];
    for (int axis = 0; axis < 2; axis++) { /* x, then y: axes 2 and 1 of pictures */
        cj_node *from = column(boxes, 1 + axis), *to = column(boxes, 3 + axis);
        cj_node *const round[2][4] = {{from, to, to, from}, {from, from, to, to}};
        xy[axis] = cj_scale(cj_concat(round[axis], 4, 1), (double)m->x->type.dim[2 - axis]);
    }
    m->motion->points(m, numbers, xy);
    for (int axis = 0; axis < 2; axis++) {
        cj_node *at = cj_scale(xy[axis], 1 / (double)m->y->type.dim[2 - axis]);
        low[axis] = extreme(at, batch, n, false);
        high[axis] = extreme(at, batch, n, true);
        inside[axis] = cj_clip(low[axis], 0, 1);
        inside[axis + 2] = cj_clip(high[axis], 0, 1);
    }
    area[0] = cj_mul(cj_sub(high[0], low[0]), cj_sub(high[1], low[1]));
    area[1] = cj_mul(cj_sub(inside[2], inside[0]), cj_sub(inside[3], inside[1]));
    cj_node *zero = cj__number_like(class, 0);
    cj_node *there = cj_logical_and(cj_greater_equal(area[1], cj_scale(area[0], LEFT)),
                                    cj_greater(area[1], zero));
    there = cj_logical_and(there, cj_greater_equal(class, zero));
    cj_node *row[5] = {cj_where(there, class, cj__number_like(class, -1))};
    for (int i = 0; i < 4; i++) row[i + 1] = cj_where(there, inside[i], zero);
    return cj_stack(row, 5, 2);
}

/* ---- All of them ----------------------------------------------------------------------------- */

static cj_node *move_mask(const cj__move *m, cj_node *const *numbers, cj_node *mask)
{
    cj_node *x = cj_expand_dims(cj_cast(mask, CJ_F32), 3); /* exact below 2^24 */
    x = m->motion->pictures(m, numbers, x, true);
    return x ? cj_cast(cj_squeeze(x, 3), mask->type.dtype) : NULL;
}

static cj_node *move_one(cj_model *model, const cj__move *m, cj__follower what, cj_node *v)
{
    cj_graph *g = cj_node_graph(v);
    const cj_dim *sizes = v->type.dim, *expected = m->x->type.dim;
    cj_node *numbers[CJ__MOVE_NUMBERS], *y;
    if (what != CJ__FOLLOWS_BOXES && (sizes[1] != expected[1] || sizes[2] != expected[2]))
        return cj__graph_fail(g, m->layer, CJ_ERR_SHAPE,
                              "its pictures are of %lldx%lld pixels, but their masks, which are to "
                              "follow them, of %lldx%lld",
                              (long long)expected[1], (long long)expected[2], (long long)sizes[1],
                              (long long)sizes[2]),
               NULL;
    for (int i = 0; i < CJ__MOVE_NUMBERS; i++)
        numbers[i] = cj__model_node_in(model, g, m->numbers[i]);
    if (what == CJ__FOLLOWS_BOXES) y = move_boxes(m, numbers, v);
    else if (what == CJ__FOLLOWS_MASK) y = move_mask(m, numbers, v);
    else y = m->motion->pictures(m, numbers, v, false);
    return m->motion->in_training ? cj_where(cj_training(g), y, v) : y;
}

cj_node *cj__moves_follow(cj_model *m, cj_graph *to, const cj_node *output, cj__follower what,
                          cj_node *v)
{
    const cj_graph *g = m->graph;
    const cj__layers *layers = g->layers;
    if (!layers || !layers->moves || !v) return v;
    const size_t calls = (size_t)g->n_calls;
    bool *marks = cj__alloc(m->cj, 3 * calls); /* zeros */
    if (!marks) return cj__graph_fail(to, NULL, CJ_ERR_MEMORY, "out of memory"), NULL;
    paths p = {marks, marks + calls, marks + 2 * calls};
    find_paths(g, output, &p);
    for (const cj__move *move = layers->moves; move && v; move = move->next) {
        if (!counts(move, &p, g->inputs.items[0].node->type.dim[0])) continue;
        v = move_one(m, move, what, v);
        from_here(g, move->y, p.moved);
    }
    cj__free(m->cj, marks, 3 * calls);
    return v;
}
