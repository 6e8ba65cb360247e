/* layers_augment.c: layers that change pictures in training, and only there: what they learn from
 * one epoch to the next is never the same twice.
 *
 * Each draws a few numbers a sample, from (seed, epoch, sample) as all random numbers of a graph
 * (random.c): they depend neither on threads nor on how samples are cut into batches. A saved model
 * does not have them, because they do nothing outside of training; resizing and the middle of a
 * crop, which do, it has.
 *
 * Those that move pixels write down how (moves.h), so that masks and boxes follow. */
#include "nn/layers_augment.h"

#include <cajal/augment.h>
#include <cajal/image.h>
#include <cajal/layers.h>

#include <math.h>
#include <string.h>

enum { FAR = 1 << 20 };

#define NAME(type) CJ__PICTURES_NAME(type)
#define FILL(type) \
    CJ_OPTION_CHOICE(type, interpolation, "bilinear", interpolation_words, "between pixels"), \
        CJ_OPTION_CHOICE(type, fill_mode, "reflect", fill_words, "what lies outside"), \
        CJ_OPTION_FLOAT(type, fill_value, 0, -1e30, 1e30, "of constant")

static const char *const interpolation_words[] = {"bilinear", "nearest", NULL};
static const char *const fill_words[] = {"reflect", "constant", "nearest", NULL};

/* ---- What they share ------------------------------------------------------------------------- */

cj_node *cj__pictures(cj_layer_build *b)
{
    cj_node *x = cj__layer_float(b, b->x[0]);
    if (!x || (cj_node_rank(x) == 4 && cj_node_dim(x, 1) > 0 && cj_node_dim(x, 2) > 0)) return x;
    return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                          "its input is of rank %d; [batch, height, width, channels] of known "
                          "height and width is expected",
                          cj_node_rank(x)),
           NULL;
}

cj_node *cj__draws(cj_layer_build *b, cj_node *x, int64_t n)
{
    cj_node *u = cj_random_uniform(cj_random_key(b->graph), CJ_F32, -1, 2,
                                   (cj_dim[]){cj_node_dim(x, 0), n});
    return cj_cast(u, cj_node_dtype(x));
}

cj_node *cj__draw(cj_node *u, int64_t i)
{
    return cj_squeeze(cj_slice_axis(u, 1, i, 1), 1);
}

bool cj__range_of(cj_layer_build *b, const char *option, const cj_floats *list, cj__range *r)
{
    *r = (cj__range){0};
    if (list->n == 1) *r = (cj__range){-fabs(list->v[0]), fabs(list->v[0])};
    else if (list->n == 2) *r = (cj__range){list->v[0], list->v[1]};
    if ((list->n == 1 || list->n == 2) && r->low <= r->high) return true;
    cj__graph_fail(
        b->graph, b->name, CJ_ERR_ARGUMENT,
        "%s has %d number%s; one, f for -f .. f, or two, the smaller first, are expected", option,
        list->n, list->n == 1 ? "" : "s");
    return false;
}

cj_node *cj__between(cj_node *u, int64_t i, cj__range r, double factor)
{
    return cj_shift(cj_scale(cj__draw(u, i), (r.high - r.low) * factor), r.low * factor);
}

cj_node *cj__in_training(cj_layer_build *b, cj_node *y, cj_node *otherwise)
{
    return cj_where(cj_training(b->graph), y, otherwise);
}

/* What a motion that happens in training alone makes of x, written down. */
static cj_node *moved(cj_layer_build *b, cj_node *x, const cj__motion *motion, const void *options,
                      cj_node *const *numbers, int n)
{
    const cj__move how = {.motion = motion, .x = x, .options = options};
    cj_node *y = motion->pictures(&how, numbers, x, false);
    return cj__in_training(b, cj__layer_moves(b, x, y, motion, options, numbers, n), x);
}

/* ---- random_flip ----------------------------------------------------------------------------- */

static const char *const flip_words[] = {"horizontal_and_vertical", "horizontal", "vertical", NULL};
static const cj_option random_flip_options[] = {
    CJ_OPTION_CHOICE(cj_random_flip_opts, mode, "horizontal_and_vertical", flip_words, "which way"),
    NAME(cj_random_flip_opts)};

/* Numbers: which samples are turned left and right, and upside down. */
static cj_node *flip_pictures(const cj__move *m, cj_node *const *turned, cj_node *x, bool labels)
{
    (void)m, (void)labels;
    for (int i = 0; i < 2; i++)
        if (turned[i]) x = cj_image_flip(x, turned[i], 2 - i);
    return x;
}
static void flip_points(const cj__move *m, cj_node *const *turned, cj_node *xy[2])
{
    for (int i = 0; i < 2; i++) {
        if (!turned[i]) continue;
        cj_node *size = cj__number_like(xy[i], (double)cj_node_dim(m->x, 2 - i));
        xy[i] = cj_where(cj_expand_dims(turned[i], 1), cj_sub(size, xy[i]), xy[i]);
    }
}
static const cj__motion flip_motion = {.in_training = true,
                                       .pictures = flip_pictures,
                                       .points = flip_points};

static cj_node *random_flip_build(cj_layer_build *b)
{
    const cj_random_flip_opts *o = b->options;
    cj_node *x = cj__pictures(b), *turned[2] = {0};
    if (!x) return NULL;
    cj_node *heads = cj_less(cj__draws(b, x, 2), cj__number_like(x, 0.5));
    if (strcmp(o->mode, "vertical") != 0) turned[0] = cj__draw(heads, 0);
    if (strcmp(o->mode, "horizontal") != 0) turned[1] = cj__draw(heads, 1);
    return moved(b, x, &flip_motion, o, turned, 2);
}
CJ__LAYER_OF_KEYWORDS(random_flip, "in training, half of the pictures are turned around",
                      random_flip_build, "mode=horizontal : 3, 4, 2")

/* ---- random_rotation, random_translation, random_zoom, random_shear, random_perspective ------ */

static const cj_option random_rotation_options[] = {
    CJ_OPTION_FLOATS(cj_random_rotation_opts, factor, -1, 1,
                     "share of a full turn, counter-clockwise: f for -f .. f, or two numbers"),
    FILL(cj_random_rotation_opts), NAME(cj_random_rotation_opts)};
static const cj_option random_translation_options[] = {
    CJ_OPTION_FLOATS(cj_random_translation_opts, height_factor, -1, 1,
                     "share of the height, down: f for -f .. f, or two numbers"),
    CJ_OPTION_FLOATS(cj_random_translation_opts, width_factor, -1, 1,
                     "share of the width, to the right; none: as the height's"),
    FILL(cj_random_translation_opts), NAME(cj_random_translation_opts)};
static const cj_option random_zoom_options[] = {
    CJ_OPTION_FLOATS(cj_random_zoom_opts, height_factor, -0.99, 1e3,
                     "what is seen is larger by this share: above 0 the picture is smaller"),
    CJ_OPTION_FLOATS(cj_random_zoom_opts, width_factor, -0.99, 1e3,
                     "of the width; none: the height's, number by number"),
    FILL(cj_random_zoom_opts), NAME(cj_random_zoom_opts)};
static const cj_option random_shear_options[] = {
    CJ_OPTION_FLOATS(cj_random_shear_opts, x_factor, -10, 10,
                     "columns a row is moved further than the one above it"),
    CJ_OPTION_FLOATS(cj_random_shear_opts, y_factor, -10, 10,
                     "rows a column is moved further than the one before it; none: 0"),
    FILL(cj_random_shear_opts), NAME(cj_random_shear_opts)};
static const cj_option random_perspective_options[] = {
    CJ_OPTION_FLOAT(cj_random_perspective_opts, factor, 1, 0, 1, "share of the pictures"),
    CJ_OPTION_FLOAT(cj_random_perspective_opts, scale, 0.5, 0, 0.99,
                    "share of half a side that corners come inside by at most"),
    FILL(cj_random_perspective_opts), NAME(cj_random_perspective_opts)};

static cj_image_affine_opts affine(const char *interpolation, const char *fill_mode, double value)
{
    return (cj_image_affine_opts){.struct_size = sizeof(cj_image_affine_opts),
                                  .interpolation = interpolation,
                                  .fill_mode = fill_mode,
                                  .fill_value = value};
}

/* The options are those of cj_image_affine; the numbers its nodes, in their order. */
static cj_image_affine_opts affine_with(const cj__move *m, cj_node *const *numbers)
{
    cj_image_affine_opts how = *(const cj_image_affine_opts *)m->options;
    how.angle = numbers[0];
    how.translate_x = numbers[1], how.translate_y = numbers[2];
    how.scale_x = numbers[3], how.scale_y = numbers[4];
    how.shear_x = numbers[5], how.shear_y = numbers[6];
    return how;
}
static cj_node *affine_pictures(const cj__move *m, cj_node *const *numbers, cj_node *x, bool labels)
{
    cj_image_affine_opts how = affine_with(m, numbers);
    if (labels) how.interpolation = "nearest", how.fill_value = 0;
    return (cj_image_affine)(x, &how);
}
static void affine_points(const cj__move *m, cj_node *const *numbers, cj_node *xy[2])
{
    const cj_image_affine_opts how = affine_with(m, numbers);
    cj__image_affine_points(&how, cj_node_dim(m->x, 1), cj_node_dim(m->x, 2), xy);
}
static const cj__motion affine_motion = {.in_training = true,
                                         .pictures = affine_pictures,
                                         .points = affine_points};

cj_node *cj__layer_affine(cj_layer_build *b, cj_node *x, const cj_image_affine_opts *how)
{
    cj_node *const numbers[] = {how->angle,   how->translate_x, how->translate_y, how->scale_x,
                                how->scale_y, how->shear_x,     how->shear_y};
    const void *options = cj__arena_copy(&b->graph->arena, how, sizeof *how);
    if (!options) return cj__graph_fail(b->graph, b->name, CJ_ERR_MEMORY, "out of memory"), NULL;
    return moved(b, x, &affine_motion, options, numbers, CJ__COUNT(numbers));
}

/* Numbers: the corners. */
static cj_image_perspective_opts perspective_with(const cj__move *m, bool labels)
{
    const cj_random_perspective_opts *o = m->options;
    return (cj_image_perspective_opts){.struct_size = sizeof(cj_image_perspective_opts),
                                       .interpolation = labels ? "nearest" : o->interpolation,
                                       .fill_mode = o->fill_mode,
                                       .fill_value = labels ? 0 : o->fill_value};
}
static cj_node *perspective_pictures(const cj__move *m, cj_node *const *corners, cj_node *x,
                                     bool labels)
{
    const cj_image_perspective_opts how = perspective_with(m, labels);
    return (cj_image_perspective)(x, corners[0], &how);
}
static void perspective_points(const cj__move *m, cj_node *const *corners, cj_node *xy[2])
{
    cj__image_perspective_points(corners[0], cj_node_dim(m->x, 1), cj_node_dim(m->x, 2), xy);
}
static const cj__motion perspective_motion = {.in_training = true,
                                              .pictures = perspective_pictures,
                                              .points = perspective_points};

/* Each corner comes inside by up to half of `scale` of the sides (torchvision's
 * RandomPerspective); of pictures that are not chosen by 0. */
static cj_node *random_perspective_build(cj_layer_build *b)
{
    const cj_random_perspective_opts *o = b->options;
    cj_node *x = cj__pictures(b), *corners[8];
    if (!x) return NULL;
    cj_node *u = cj__draws(b, x, 9);
    cj_node *chosen = cj_less(cj__draw(u, 8), cj__number_like(u, o->factor));
    for (int i = 0; i < 8; i++) {
        const double side = (double)cj_node_dim(x, 2 - i % 2);
        const bool far = i % 2 ? i >= 4 : i == 2 || i == 4;
        cj_node *in = cj_scale(cj__draw(u, i), 0.5 * o->scale * (far ? -side : side));
        in = cj_where(chosen, in, cj__number_like(in, 0));
        corners[i] = far ? cj_shift(in, side) : in;
    }
    cj_node *numbers[] = {cj_stack(corners, 8, 1)};
    return moved(b, x, &perspective_motion, o, numbers, 1);
}

static cj_node *random_rotation_build(cj_layer_build *b)
{
    const cj_random_rotation_opts *o = b->options;
    const double turn = -2 * 3.14159265358979323846; /* angles of augment.h are clockwise */
    cj_node *x = cj__pictures(b);
    cj__range r;
    if (!x || !cj__range_of(b, "factor", &o->factor, &r)) return NULL;
    cj_image_affine_opts how = affine(o->interpolation, o->fill_mode, o->fill_value);
    how.angle = cj__between(cj__draws(b, x, 1), 0, r, turn);
    return cj__layer_affine(b, x, &how);
}

static cj_node *random_translation_build(cj_layer_build *b)
{
    const cj_random_translation_opts *o = b->options;
    const cj_floats *wide = o->width_factor.n ? &o->width_factor : &o->height_factor;
    cj_node *x = cj__pictures(b);
    cj__range down, right;
    if (!x || !cj__range_of(b, "height_factor", &o->height_factor, &down) ||
        !cj__range_of(b, "width_factor", wide, &right))
        return NULL;
    cj_node *u = cj__draws(b, x, 2);
    cj_image_affine_opts how = affine(o->interpolation, o->fill_mode, o->fill_value);
    how.translate_y = cj__between(u, 0, down, (double)cj_node_dim(x, 1));
    how.translate_x = cj__between(u, 1, right, (double)cj_node_dim(x, 2));
    return cj__layer_affine(b, x, &how);
}

static cj_node *random_zoom_build(cj_layer_build *b)
{
    const cj_random_zoom_opts *o = b->options;
    cj_node *x = cj__pictures(b);
    cj__range high, wide = {0};
    if (!x || !cj__range_of(b, "height_factor", &o->height_factor, &high) ||
        (o->width_factor.n && !cj__range_of(b, "width_factor", &o->width_factor, &wide)))
        return NULL;
    cj_node *u = cj__draws(b, x, 2);
    cj_image_affine_opts how = affine(o->interpolation, o->fill_mode, o->fill_value);
    how.scale_y = cj_reciprocal(cj_shift(cj__between(u, 0, high, 1), 1));
    how.scale_x = o->width_factor.n ? cj_reciprocal(cj_shift(cj__between(u, 1, wide, 1), 1))
                                    : how.scale_y;
    return cj__layer_affine(b, x, &how);
}

static cj_node *random_shear_build(cj_layer_build *b)
{
    const cj_random_shear_opts *o = b->options;
    cj_node *x = cj__pictures(b);
    cj__range along, down = {0};
    if (!x || !cj__range_of(b, "x_factor", &o->x_factor, &along) ||
        (o->y_factor.n && !cj__range_of(b, "y_factor", &o->y_factor, &down)))
        return NULL;
    cj_node *u = cj__draws(b, x, 2);
    cj_image_affine_opts how = affine(o->interpolation, o->fill_mode, o->fill_value);
    how.shear_x = cj__between(u, 0, along, 1);
    if (o->y_factor.n) how.shear_y = cj__between(u, 1, down, 1);
    return cj__layer_affine(b, x, &how);
}

CJ__LAYER_OF_KEYWORDS(random_rotation, "in training, pictures are turned about their centre",
                      random_rotation_build, "factor=0.1 : 4, 3, 2")
CJ__LAYER_OF_KEYWORDS(random_translation, "in training, pictures are shifted",
                      random_translation_build,
                      "height_factor=0.2, width_factor=[0, 0.5], fill_mode=constant, "
                      "fill_value=0.5 : 4, 3, 2")
CJ__LAYER_OF_KEYWORDS(random_zoom, "in training, pictures are made larger or smaller",
                      random_zoom_build, "height_factor=[-0.2, 0.1], fill_mode=nearest : 4, 3, 2")
CJ__LAYER_OF_KEYWORDS(random_shear, "in training, rows and columns of pictures are sheared",
                      random_shear_build, "x_factor=0.2, interpolation=nearest : 4, 3, 2")
CJ__LAYER_OF_KEYWORDS(random_perspective, "in training, pictures are seen from elsewhere",
                      random_perspective_build, "scale=0.3, fill_mode=constant : 4, 3, 2")

/* ---- random_crop, center_crop ---------------------------------------------------------------- */

static const cj_option random_crop_options[] = {
    CJ_OPTION_INT(cj_random_crop_opts, height, 0, 1, FAR, "rows that are left"),
    CJ_OPTION_INT(cj_random_crop_opts, width, 0, 1, FAR, "columns that are left"),
    CJ_OPTION_INT(cj_random_crop_opts, padding, 0, 0, FAR, "zeros around the picture before"),
    NAME(cj_random_crop_opts)};
static const cj_option center_crop_options[] = {
    CJ_OPTION_INT(cj_center_crop_opts, height, 0, 1, FAR, "rows that are left"),
    CJ_OPTION_INT(cj_center_crop_opts, width, 0, 1, FAR, "columns that are left"),
    NAME(cj_center_crop_opts)};

static bool smaller(cj_layer_build *b, const cj_node *x, int64_t height, int64_t width)
{
    const int64_t h = cj_node_dim(x, 1), w = cj_node_dim(x, 2);
    if (height <= h && width <= w) return true;
    cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE, "%lldx%lld pixels of pictures of %lldx%lld",
                   (long long)height, (long long)width, (long long)h, (long long)w);
    return false;
}

/* The middle; of an odd rest the larger half is left out below and to the right, as in Keras. */
static cj_node *middle(cj_node *x, int64_t height, int64_t width)
{
    const int64_t h = cj_node_dim(x, 1), w = cj_node_dim(x, 2);
    x = cj_slice_axis(x, 1, (h - height) / 2, height);
    return cj_slice_axis(x, 2, (w - width) / 2, width);
}

static cj_node *offset(cj_layer_build *b, cj_node *u, int64_t i, int64_t places)
{
    cj_node *at = cj_cast(cj_scale(cj__draw(u, i), (double)places), CJ_I64);
    return cj_minimum(at, cj_scalar(b->graph, CJ_I64, (double)(places - 1)));
}

static cj_node *with_zeros(cj_node *x, int64_t padding)
{
    const int64_t edge[] = {0, padding, padding, 0};
    return padding ? cj_pad(x, edge, edge, 0) : x;
}

/* Numbers: the first row and the first column, in training. */
static cj_node *crop_pictures(const cj__move *m, cj_node *const *at, cj_node *x, bool labels)
{
    (void)labels;
    const cj_random_crop_opts *o = m->options;
    if (!(x = with_zeros(x, o->padding))) return NULL;
    return cj_where(cj_training(cj_node_graph(x)),
                    cj_image_crop(x, at[0], at[1], o->height, o->width),
                    middle(x, o->height, o->width));
}
static void crop_points(const cj__move *m, cj_node *const *at, cj_node *xy[2])
{
    const cj_random_crop_opts *o = m->options;
    cj_graph *g = cj_node_graph(xy[0]);
    const int64_t sizes[] = {o->width, o->height};
    for (int i = 0; i < 2; i++) {
        const int64_t all = cj_node_dim(m->x, 2 - i) + 2 * o->padding;
        cj_node *first = cj_expand_dims(cj_cast(at[1 - i], cj_node_dtype(xy[i])), 1);
        cj_node *centre = cj__number_like(xy[i], (double)((all - sizes[i]) / 2));
        xy[i] = cj_shift(cj_sub(xy[i], cj_where(cj_training(g), first, centre)),
                         (double)o->padding);
    }
}
static const cj__motion crop_motion = {.pictures = crop_pictures, .points = crop_points};

static cj_node *random_crop_build(cj_layer_build *b)
{
    const cj_random_crop_opts *o = b->options;
    cj_node *x = cj__pictures(b), *large = x ? with_zeros(x, o->padding) : NULL;
    if (!large || !smaller(b, large, o->height, o->width)) return NULL;
    cj_node *u = cj__draws(b, x, 2);
    cj_node *at[] = {offset(b, u, 0, cj_node_dim(large, 1) - o->height + 1),
                     offset(b, u, 1, cj_node_dim(large, 2) - o->width + 1)};
    const cj__move how = {.x = x, .options = o};
    return cj__layer_moves(b, x, crop_pictures(&how, at, x, false), &crop_motion, o, at, 2);
}

static cj_node *middle_pictures(const cj__move *m, cj_node *const *none, cj_node *x, bool labels)
{
    (void)none, (void)labels;
    const cj_center_crop_opts *o = m->options;
    return middle(x, o->height, o->width);
}
static void middle_points(const cj__move *m, cj_node *const *none, cj_node *xy[2])
{
    (void)none;
    const cj_center_crop_opts *o = m->options;
    xy[0] = cj_shift(xy[0], -(double)((cj_node_dim(m->x, 2) - o->width) / 2));
    xy[1] = cj_shift(xy[1], -(double)((cj_node_dim(m->x, 1) - o->height) / 2));
}
static const cj__motion middle_motion = {.pictures = middle_pictures, .points = middle_points};

static cj_node *center_crop_build(cj_layer_build *b)
{
    const cj_center_crop_opts *o = b->options;
    cj_node *x = cj__pictures(b);
    if (!x || !smaller(b, x, o->height, o->width)) return NULL;
    cj_node *y = cj_identity(middle(x, o->height, o->width));
    return cj__layer_moves(b, x, y, &middle_motion, o, NULL, 0);
}

CJ__LAYER_OF_KEYWORDS(random_crop,
                      "in training, a part of each picture, from anywhere; else its middle",
                      random_crop_build, "height=3, width=4, padding=1 : 4, 3, 2")
CJ__LAYER_OF_KEYWORDS(center_crop, "the middle of each picture", center_crop_build,
                      "height=2, width=3 : 5, 4, 2")

/* ---- resizing -------------------------------------------------------------------------------- */

static const char *const resizing_words[] = {"bilinear", "nearest", "bicubic", NULL};
static const cj_option resizing_options[] = {
    CJ_OPTION_INT(cj_resizing_opts, height, 0, 1, FAR, "of the result"),
    CJ_OPTION_INT(cj_resizing_opts, width, 0, 1, FAR, "of the result"),
    CJ_OPTION_CHOICE(cj_resizing_opts, interpolation, "bilinear", resizing_words,
                     "between pixels"),
    CJ_OPTION_BOOL(cj_resizing_opts, antialias, false, "all pixels count where it shrinks"),
    NAME(cj_resizing_opts)};

static cj_node *resize_pictures(const cj__move *m, cj_node *const *none, cj_node *x, bool labels)
{
    (void)none;
    const cj_resizing_opts *o = m->options;
    const bool cubic = !labels && !strcmp(o->interpolation, "bicubic"),
               nearest = labels || !strcmp(o->interpolation, "nearest");
    const cj_resize_opts how = {.struct_size = sizeof how,
                                .sizes = {o->height, o->width},
                                .mode = cubic     ? "cubic"
                                        : nearest ? "nearest"
                                                  : "linear",
                                .nearest = "round_prefer_ceil",
                                .cubic_a = cubic ? -0.5 : 0,
                                .antialias = o->antialias && !nearest,
                                .exclude_outside = cubic || (o->antialias && !nearest)};
    return (cj_resize)(x, &how);
}
static void resize_points(const cj__move *m, cj_node *const *none, cj_node *xy[2])
{
    (void)none;
    const cj_resizing_opts *o = m->options;
    xy[0] = cj_scale(xy[0], (double)o->width / (double)cj_node_dim(m->x, 2));
    xy[1] = cj_scale(xy[1], (double)o->height / (double)cj_node_dim(m->x, 1));
}
static const cj__motion resize_motion = {.pictures = resize_pictures, .points = resize_points};

static cj_node *resizing_build(cj_layer_build *b)
{
    cj_node *x = cj__pictures(b);
    if (!x) return NULL;
    const cj__move how = {.x = x, .options = b->options};
    return cj__layer_moves(b, x, resize_pictures(&how, NULL, x, false), &resize_motion, b->options,
                           NULL, 0);
}
CJ__LAYER_OF_KEYWORDS(resizing, "pictures of another size", resizing_build,
                      "height=5, width=2 : 3, 4, 2")
