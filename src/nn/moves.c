/* moves.c: masks, boxes and pictures that are targets go where layers moved the picture they belong
 * to.
 *
 * Which moves count is read off the model's graph: a chain that begins at the first input, each of
 * pictures that come from the last one's, and all of it before anything is learned: what a network
 * does to its feature maps moves no target.
 *
 *     input -> rescaling -> random_flip -> random_crop -> conv2d -> resizing -> conv2d -> output
 *                               1              2                     no more
 *
 * Classes are whole numbers, so a sample that is mixed of several has several targets, each with
 * its share: the loss is the sum of the losses of all, times their shares, which for a crossentropy
 * is that of the mixed distribution. */
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
    if (!xy[0] || !xy[1]) return NULL;
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

/* ---- Mixing ---------------------------------------------------------------------------------- */

cj_node *cj__part_of_batch(cj_node *v, int part)
{
    if (!part || !v) return v;
    cj_graph *g = cj_node_graph(v);
    cj_node *at = cj_iota(g, CJ_I64, 0, 1, v->type.dim);
    at = cj_mod(cj_shift(at, part), cj_dim_value(g, v->type.dim[0]));
    return cj_gather(v, at, 0);
}

/* [batch] with axes of size 1 behind it, as v's numbers. */
static cj_node *share_for(cj_node *v, cj_node *share)
{
    cj_dim dims[CJ_RANK_MAX] = {v->type.dim[0]};
    for (int i = 1; i < v->type.rank; i++) dims[i] = 1;
    return cj_reshape(cj_cast(share, v->type.dtype), v->type.rank, dims);
}

/* Rows of all parts, one behind another; outside of training those of others are no boxes. */
static cj_node *mix_boxes(const cj__move *m, cj_node *const *numbers, cj_node *boxes)
{
    cj_graph *g = cj_node_graph(boxes);
    cj_node *all[CJ__PARTS_MAX], *none[5], *class = column(boxes, 0);
    if (!m->motion->boxes)
        return cj__graph_fail(g, m->layer, CJ_ERR_ARGUMENT,
                              "where boxes are in its pictures cannot be said; mix_up and mosaic "
                              "are for boxes"),
               NULL;
    if (!class) return NULL;
    for (int i = 0; i < 5; i++)
        none[i] = cj_broadcast_to(cj__number_like(class, i ? 0 : -1), 2, class->type.dim);
    for (int k = 0; k < m->motion->parts; k++) {
        cj_node *part = cj__part_of_batch(boxes, k);
        cj_node *moved = part ? m->motion->boxes(m, numbers, k, part) : NULL;
        all[k] = cj_where(cj_training(g), moved, k ? cj_stack(none, 5, 2) : boxes);
    }
    return cj_concat(all, m->motion->parts, 1);
}

static cj_node *mix_numbers(const cj__move *m, cj_node *const *numbers, cj_node *v)
{
    cj_node *sum = NULL;
    for (int k = 0; k < m->motion->parts; k++) {
        cj_node *share = share_for(v, m->motion->share(m, numbers, k));
        cj_node *part = cj_mul(cj__part_of_batch(v, k), share);
        sum = sum ? cj_add(sum, part) : part;
    }
    return cj_where(cj_training(cj_node_graph(v)), sum, v);
}

/* Each part there was becomes as many as there are. */
static bool mix_classes(const cj__move *m, cj_node *const *numbers, cj__followed *f)
{
    const cj__followed was = *f;
    const int parts = m->motion->parts;
    cj_graph *g = cj_node_graph(f->v[0]);
    if (was.n * parts > CJ__PARTS_MAX)
        return cj__graph_fail(g, m->layer, CJ_ERR_LIMIT,
                              "with it a sample is mixed of %d others, above %d", was.n * parts,
                              CJ__PARTS_MAX),
               false;
    f->n = 0;
    for (int k = 0; k < parts; k++) {
        cj_node *share = m->motion->share(m, numbers, k);
        for (int i = 0; i < was.n; i++, f->n++) {
            f->v[f->n] = cj__part_of_batch(was.v[i], k);
            f->share[f->n] = was.n == 1 ? share
                                        : cj_mul(share, cj__part_of_batch(was.share[i], k));
        }
    }
    return !g->failed;
}

cj_node *cj__followed_most(const cj__followed *f)
{
    cj_node *most = f->share[0], *v = f->v[0];
    if (f->n == 1) return v;
    for (int i = 1; v && i < f->n; i++) {
        cj_node *more = cj_greater(f->share[i], most);
        cj_dim dims[CJ_RANK_MAX] = {v->type.dim[0], 1, 1, 1, 1, 1, 1, 1};
        v = cj_where(cj_reshape(more, v->type.rank, dims), f->v[i], v);
        most = cj_where(more, f->share[i], most);
    }
    return v ? cj_where(cj_training(cj_node_graph(v)), v, f->v[0]) : NULL;
}

/* ---- All of them ----------------------------------------------------------------------------- */

static cj_node *move_mask(const cj__move *m, cj_node *const *numbers, cj_node *mask)
{
    cj_node *x = cj_expand_dims(cj_cast(mask, CJ_F32), 3); /* exact below 2^24 */
    if (x) x = m->motion->pictures(m, numbers, x, true);
    return x ? cj_cast(cj_squeeze(x, 3), mask->type.dtype) : NULL;
}

static bool fits(const cj__move *m, cj__follower what, const cj_node *v)
{
    const cj_dim *sizes = v->type.dim, *expected = m->x->type.dim;
    if ((what != CJ__FOLLOWS_PICTURE && what != CJ__FOLLOWS_MASK) ||
        (sizes[1] == expected[1] && sizes[2] == expected[2]))
        return true;
    cj__graph_fail(v->call->graph, m->layer, CJ_ERR_SHAPE,
                   "its pictures are of %lldx%lld pixels, but their masks, which are to follow "
                   "them, of %lldx%lld",
                   (long long)expected[1], (long long)expected[2], (long long)sizes[1],
                   (long long)sizes[2]);
    return false;
}

static cj_node *move_part(const cj__move *m, cj_node *const *numbers, cj__follower what, cj_node *v)
{
    cj_node *y;
    if (what == CJ__FOLLOWS_BOXES) y = move_boxes(m, numbers, v);
    else if (what == CJ__FOLLOWS_MASK) y = move_mask(m, numbers, v);
    else y = m->motion->pictures(m, numbers, v, false);
    return m->motion->in_training ? cj_where(cj_training(cj_node_graph(v)), y, v) : y;
}

static bool move_one(cj_model *model, const cj__move *m, cj__follower what, cj__followed *f)
{
    const cj__motion *motion = m->motion;
    cj_graph *g = cj_node_graph(f->v[0]);
    cj_node *numbers[CJ__MOVE_NUMBERS];
    const bool whole = cj_dtype_info(f->v[0]->type.dtype)->kind != CJ_KIND_FLOAT;
    if (!fits(m, what, f->v[0]) || (what == CJ__FOLLOWS_CLASS && !motion->parts)) return !g->failed;
    for (int i = 0; i < CJ__MOVE_NUMBERS; i++)
        numbers[i] = cj__model_node_in(model, g, m->numbers[i]);
    if (motion->parts && whole && (what == CJ__FOLLOWS_CLASS || motion->blends))
        return mix_classes(m, numbers, f);
    if (motion->parts && f->n > 1) /* shares would be others from pixel to pixel */
        return cj__graph_fail(g, m->layer, CJ_ERR_ARGUMENT,
                              "the pictures have been blended before, which masks cannot follow: "
                              "it has to stand in front of mix_up"),
               false;
    for (int i = 0; i < f->n; i++) {
        if (motion->parts && what == CJ__FOLLOWS_CLASS) f->v[i] = mix_numbers(m, numbers, f->v[i]);
        else if (motion->parts && what == CJ__FOLLOWS_BOXES)
            f->v[i] = mix_boxes(m, numbers, f->v[i]);
        else f->v[i] = move_part(m, numbers, what, f->v[i]);
    }
    return !g->failed;
}

bool cj__moves_follow(cj_model *m, cj_graph *to, const cj_node *output, cj__follower what,
                      cj_node *v, cj__followed *out)
{
    const cj_graph *g = m->graph;
    const cj__layers *layers = g->layers;
    *out = (cj__followed){.n = 1, .v = {v}};
    if (!layers || !layers->moves || !v) return !to->failed;
    const size_t calls = (size_t)g->n_calls;
    bool *marks = cj__alloc(m->cj, 3 * calls), done = true; /* zeros */
    if (!marks) return cj__graph_fail(to, NULL, CJ_ERR_MEMORY, "out of memory"), false;
    paths p = {marks, marks + calls, marks + 2 * calls};
    find_paths(g, output, &p);
    for (const cj__move *move = layers->moves; move && done; move = move->next) {
        if (!counts(move, &p, g->inputs.items[0].node->type.dim[0])) continue;
        done = move_one(m, move, what, out);
        from_here(g, move->y, p.moved);
    }
    cj__free(m->cj, marks, 3 * calls);
    return done;
}
