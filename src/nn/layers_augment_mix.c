/* layers_augment_mix.c: layers that mix the pictures of a batch in training, and with them what
 * they are to be taken for (moves.h): a sample with those behind it in its batch, which are others
 * in each epoch. Alone in a batch, a sample stays as it is. */
#include "nn/layers_augment.h"

#include <cajal/image.h>
#include <cajal/layers.h>

#include <math.h>
#include <string.h>

/* A number of each sample, to be broadcast with pictures. */
static cj_node *of_picture(cj_node *x, cj_node *v)
{
    return cj_reshape(cj_cast(v, cj_node_dtype(x)), 4, (cj_dim[]){cj_node_dim(x, 0), 1, 1, 1});
}

static cj_node *rest_of(cj_node *share)
{
    return cj_sub(cj__number_like(share, 1), share);
}

/* What a motion of this kind makes of x. */
static cj_node *mixed(cj_layer_build *b, cj_node *x, const cj__motion *motion,
                      cj_node *const *numbers, int n)
{
    const cj__move how = {.motion = motion, .x = x, .options = b->options};
    cj_node *y = motion->pictures(&how, numbers, x, false);
    return cj__in_training(b, cj__layer_moves(b, x, y, motion, b->options, numbers, n), x);
}

/* Beta(a, a) of two even numbers: Student's t with 2 a degrees of freedom is cos(2 pi v) sqrt(2 a
 * (u^(-1 / a) - 1)) (Bailey 1994), and (1 + t / sqrt(2 a + t^2)) / 2 is what is asked for (Devroye
 * 1996). With w = t^2 / 2 a that is (1 +- 1 / sqrt(1 + 1 / w)) / 2; where u is 0, w is as large as
 * floats go. */
cj_node *cj__beta_of(cj_node *u, cj_node *v, double a)
{
    cj_node *power = cj_exp(cj_minimum(cj_scale(cj_log(u), -1 / a), cj__number_like(u, 80)));
    cj_node *cosine = cj_cos(cj_scale(v, 2 * acos(-1)));
    cj_node *w = cj_mul(cj_shift(power, -1), cj_square(cosine));
    cj_node *distance = cj_rsqrt(cj_shift(cj_reciprocal(w), 1));
    return cj_scale(cj_shift(cj_mul(distance, cj_sign(cosine)), 1), 0.5);
}

/* ---- mix_up ---------------------------------------------------------------------------------- */

/* Numbers: a sample's own share. */
static cj_node *mix_up_share(const cj__move *m, cj_node *const *own, int part)
{
    (void)m;
    return part ? rest_of(own[0]) : own[0];
}
static cj_node *mix_up_pictures(const cj__move *m, cj_node *const *own, cj_node *x, bool labels)
{
    (void)m, (void)labels;
    cj_node *share = of_picture(x, own[0]);
    return cj_add(cj_mul(share, x), cj_mul(rest_of(share), cj__part_of_batch(x, 1)));
}
static cj_node *mix_up_boxes(const cj__move *m, cj_node *const *own, int part, cj_node *boxes)
{
    (void)m, (void)own, (void)part;
    return boxes;
}
static const cj__motion mix_up_motion = {.in_training = true, .pictures = mix_up_pictures,
                                         .parts = 2, .blends = true, .share = mix_up_share,
                                         .boxes = mix_up_boxes};

static const cj_option mix_up_options[] = {
    CJ_OPTION_FLOAT(cj_mix_up_opts, alpha, 0.2, 1e-3, 1e3,
                    "shares are Beta(alpha, alpha): small, and most are near 0 and 1; 1: even"),
    CJ__PICTURES_NAME(cj_mix_up_opts)};

static cj_node *mix_up_build(cj_layer_build *b)
{
    const cj_mix_up_opts *o = b->options;
    cj_node *x = cj__pictures(b);
    if (!x) return NULL;
    cj_node *u = cj__draws(b, x, 2);
    cj_node *own[] = {cj__beta_of(cj__draw(u, 0), cj__draw(u, 1), o->alpha)};
    return mixed(b, x, &mix_up_motion, own, 1);
}
CJ__LAYER_OF_KEYWORDS(mix_up, "in training, pictures and their classes are mixed with another's",
                      mix_up_build, "alpha=0.4 : 4, 3, 2")

/* ---- cut_mix --------------------------------------------------------------------------------- */

/* Numbers: top, left, height, width. */
static cj_node *cut_mix_share(const cj__move *m, cj_node *const *at, int part)
{
    const double area = (double)cj_node_dim(m->x, 1) * (double)cj_node_dim(m->x, 2);
    cj_node *other = cj_scale(cj_mul(at[2], at[3]), 1 / area);
    return part ? other : rest_of(other);
}
static cj_node *cut_mix_pictures(const cj__move *m, cj_node *const *at, cj_node *x, bool labels)
{
    (void)m, (void)labels;
    return cj_image_paste(x, cj__part_of_batch(x, 1), at[0], at[1], at[2], at[3]);
}
static const cj__motion cut_mix_motion = {.in_training = true, .pictures = cut_mix_pictures,
                                          .parts = 2, .share = cut_mix_share};

static const cj_option cut_mix_options[] = {
    CJ_OPTION_FLOAT(cj_cut_mix_opts, alpha, 1, 1e-3, 1e3,
                    "shares are Beta(alpha, alpha): small, and most are near 0 and 1; 1: even"),
    CJ__PICTURES_NAME(cj_cut_mix_opts)};

/* Whole pixels of a side, and where they begin, evenly of all places. */
static void cut(cj_node *ratio, cj_node *place, int64_t side, cj_node **from, cj_node **size)
{
    *size = cj_round(cj_scale(ratio, (double)side));
    cj_node *places = cj_sub(cj__number_like(ratio, (double)(side + 1)), *size);
    *from = cj_floor(cj_mul(place, places));
}

/* A rectangle of the other's share of the area and the picture's form (Yun et al. 2019), which, as
 * in Keras, lies inside. */
static cj_node *cut_mix_build(cj_layer_build *b)
{
    const cj_cut_mix_opts *o = b->options;
    cj_node *x = cj__pictures(b), *at[4];
    if (!x) return NULL;
    cj_node *u = cj__draws(b, x, 4);
    cj_node *ratio = cj_sqrt(rest_of(cj__beta_of(cj__draw(u, 0), cj__draw(u, 1), o->alpha)));
    cut(ratio, cj__draw(u, 2), cj_node_dim(x, 1), &at[0], &at[2]);
    cut(ratio, cj__draw(u, 3), cj_node_dim(x, 2), &at[1], &at[3]);
    return mixed(b, x, &cut_mix_motion, at, 4);
}
CJ__LAYER_OF_KEYWORDS(cut_mix,
                      "in training, a rectangle of another picture is in each, and its class has "
                      "that share",
                      cut_mix_build, " : 4, 3, 2")

/* ---- mosaic ---------------------------------------------------------------------------------- */

static const char *const interpolation_words[] = {"bilinear", "nearest", NULL};
static const cj_option mosaic_options[] = {
    CJ_OPTION_FLOAT(cj_mosaic_opts, factor, 1, 0, 1, "share of the pictures"),
    CJ_OPTION_CHOICE(cj_mosaic_opts, interpolation, "bilinear", interpolation_words,
                     "between pixels"),
    CJ__PICTURES_NAME(cj_mosaic_opts)};

/* Numbers: the share of the left and of the upper pictures of a side, and whether it is done. The
 * parts are upper left, upper right, lower left, lower right. */
static cj_node *side_of(cj_node *const *n, int part, int axis)
{
    cj_node *first = n[axis];
    return (axis ? part / 2 : part % 2) ? rest_of(first) : first;
}
static cj_node *mosaic_share(const cj__move *m, cj_node *const *n, int part)
{
    (void)m;
    cj_node *area = cj_mul(side_of(n, part, 0), side_of(n, part, 1));
    return cj_where(n[2], area, cj__number_like(area, part ? 0 : 1));
}

/* Where a pixel of the result is read in four pictures of 2 s pixels a side, as a coordinate of
 * cj_grid_sample: the first half of the side shrunk to `first` of it, the second to the rest. What
 * is near the middle stays in its own half. */
static cj_node *read_from(cj_node *x, int axis, cj_node *first)
{
    const int64_t side = cj_node_dim(x, axis);
    cj_dim dims[3] = {1, 1, 1};
    dims[axis] = side;
    cj_node *at = cj_iota(cj_node_graph(x), cj_node_dtype(x), axis, 3, dims);
    at = cj_scale(cj_shift(at, 0.5), 1 / (double)side);
    first = cj_reshape(cj_cast(first, cj_node_dtype(x)), 3, (cj_dim[]){cj_node_dim(x, 0), 1, 1});
    const double edge = 0.5 / (double)side;
    cj_node *before = cj_clip(cj_shift(cj_div(at, first), -1), -1, -edge);
    cj_node *behind = cj_clip(cj_div(cj_sub(at, first), rest_of(first)), edge, 1);
    return cj_where(cj_less(at, first), before, behind);
}

static cj_node *mosaic_pictures(const cj__move *m, cj_node *const *n, cj_node *x, bool labels)
{
    const cj_mosaic_opts *o = m->options;
    const bool nearest = labels || !strcmp(o->interpolation, "nearest");
    const cj_dim dims[] = {cj_node_dim(x, 0), cj_node_dim(x, 1), cj_node_dim(x, 2)};
    cj_node *part[4], *rows[2], *grid[2];
    for (int k = 0; k < 4; k++) part[k] = cj__part_of_batch(x, k);
    for (int k = 0; k < 2; k++) {
        rows[k] = cj_concat(part + 2 * k, 2, 2);
        grid[k] = cj_broadcast_to(read_from(x, 2 - k, n[k]), 3, dims);
    }
    const cj_grid_sample_opts how = {.struct_size = sizeof how,
                                     .mode = nearest ? "nearest" : "linear",
                                     .padding = "border"};
    cj_node *y = (cj_grid_sample)(cj_concat(rows, 2, 1), cj_stack(grid, 2, 3), &how);
    return cj_where(cj_reshape(n[2], 4, (cj_dim[]){dims[0], 1, 1, 1}), y, x);
}

static cj_node *mosaic_boxes(const cj__move *m, cj_node *const *n, int part, cj_node *boxes)
{
    (void)m;
    cj_node *row[5];
    cj_node *done = cj_reshape(n[2], 2, (cj_dim[]){cj_node_dim(boxes, 0), 1});
    for (int i = 0; i < 5; i++) {
        cj_node *v = cj_squeeze(cj_slice_axis(boxes, 2, i, 1), 2);
        if (!v) return NULL;
        if (i) {
            const int axis = (i + 1) % 2;
            const bool second = axis ? part / 2 : part % 2;
            cj_node *size = cj_expand_dims(cj_cast(side_of(n, part, axis), cj_node_dtype(v)), 1);
            row[i] = cj_mul(v, size);
            if (second) row[i] = cj_add(row[i], rest_of(size));
        } else row[i] = v;
        row[i] = cj_where(done, row[i], part ? cj__number_like(v, i ? 0 : -1) : v);
    }
    cj_node *none = cj_less(row[0], cj__number_like(row[0], 0));
    for (int i = 1; i < 5; i++) row[i] = cj_where(none, cj__number_like(row[i], 0), row[i]);
    return cj_stack(row, 5, 2);
}
static const cj__motion mosaic_motion = {.in_training = true, .pictures = mosaic_pictures,
                                         .parts = 4, .share = mosaic_share, .boxes = mosaic_boxes};

/* The middle is between 0.3 and 0.7 of each side. */
static cj_node *mosaic_build(cj_layer_build *b)
{
    const cj_mosaic_opts *o = b->options;
    const cj__range middle = {0.3, 0.7};
    cj_node *x = cj__pictures(b);
    if (!x) return NULL;
    cj_node *u = cj__draws(b, x, 3);
    cj_node *n[] = {cj__between(u, 0, middle, 1), cj__between(u, 1, middle, 1),
                    cj_less(cj__draw(u, 2), cj__number_like(u, o->factor))};
    return mixed(b, x, &mosaic_motion, n, 3);
}
CJ__LAYER_OF_KEYWORDS(mosaic, "in training, four pictures in one, each made smaller", mosaic_build,
                      "factor=0.5 : 4, 3, 2")
