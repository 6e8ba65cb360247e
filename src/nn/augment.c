/* augment.c: what the layers of augmentation do, by numbers that are given for each sample.
 *
 * An affine picture is read backwards: the result's pixel p, from the centre, is x at
 *
 *     q = M^-1 (p - t),   M = rotation * shear * scale
 *
 * With r the angle, u and v the tangents of the shears (torchvision's _get_inverse_affine_matrix):
 *
 *     rotation * shear = [a b; c d]    a = cos r + v sin r    b = -u a - sin r
 *                                      c = sin r - v cos r    d = -u c + cos r
 *
 * whose determinant is 1, so that M^-1 = diag(1 / sx, 1 / sy) [d -b; -c a]. Points go the other
 * way: q is seen at M q + t. */
#include "nn/layers_augment.h"

#include <cajal/augment.h>
#include <cajal/image.h>

#include <string.h>

/* A picture's height and width; false: the graph has failed. */
static bool picture(cj_node *x, const char *what, int64_t *height, int64_t *width)
{
    if (!x || cj__is_zero(x)) return false;
    cj_graph *g = cj_node_graph(x);
    if (g->failed) return false;
    const bool fits = cj_node_rank(x) == 4 &&
                      cj_dtype_info(cj_node_dtype(x))->kind == CJ_KIND_FLOAT;
    *height = fits ? cj_node_dim(x, 1) : 0;
    *width = fits ? cj_node_dim(x, 2) : 0;
    if (*height > 0 && *width > 0) return true;
    cj__graph_fail(g, what, CJ_ERR_SHAPE,
                   "its input is of rank %d; pictures [batch, height, width, channels] of floats, "
                   "of known sizes, are expected",
                   cj_node_rank(x));
    return false;
}

/* A number of each sample in x's dtype, to be broadcast with `rank` axes: [batch, 1 ...]. */
static cj_node *of_sample(cj_node *x, int rank, cj_node *v, double neutral)
{
    if (!v) return cj__number_like(x, neutral);
    v = cj_cast(v, cj_node_dtype(x));
    return cj_reshape(v, rank, (cj_dim[]){cj_node_dim(x, 0), 1, 1});
}

/* Distances of pixels from the centre along axis 1 or 2. */
static cj_node *from_centre(cj_node *x, int axis)
{
    cj_dim dims[3] = {1, 1, 1};
    dims[axis] = cj_node_dim(x, axis);
    cj_node *at = cj_iota(cj_node_graph(x), cj_node_dtype(x), axis, 3, dims);
    return cj_shift(at, -0.5 * (double)(dims[axis] - 1));
}

static cj_node *twice(cj_node *a, cj_node *x, cj_node *b, cj_node *y)
{
    return cj_add(cj_mul(a, x), cj_mul(b, y));
}

typedef struct affine { /* the header's letters */
    cj_node *a, *b, *c, *d, *scale_x, *scale_y, *x, *y;
} affine;

static affine affine_of(cj_node *x, int rank, const cj_image_affine_opts *o)
{
    cj_node *angle = of_sample(x, rank, o->angle, 0), *u = of_sample(x, rank, o->shear_x, 0),
            *v = of_sample(x, rank, o->shear_y, 0), *sine = cj_sin(angle), *cosine = cj_cos(angle);
    affine m = {.a = cj_add(cosine, cj_mul(v, sine)), .c = cj_sub(sine, cj_mul(v, cosine))};
    m.b = cj_neg(cj_add(cj_mul(u, m.a), sine));
    m.d = cj_sub(cosine, cj_mul(u, m.c));
    m.scale_x = of_sample(x, rank, o->scale_x, 1);
    m.scale_y = of_sample(x, rank, o->scale_y, 1);
    m.x = of_sample(x, rank, o->translate_x, 0);
    m.y = of_sample(x, rank, o->translate_y, 0);
    return m;
}

void cj__image_affine_points(const cj_image_affine_opts *o, int64_t height, int64_t width,
                             cj_node *xy[2])
{
    const double middle_x = 0.5 * (double)width, middle_y = 0.5 * (double)height;
    const affine m = affine_of(xy[0], 2, o);
    cj_node *x = cj_mul(cj_shift(xy[0], -middle_x), m.scale_x),
            *y = cj_mul(cj_shift(xy[1], -middle_y), m.scale_y);
    xy[0] = cj_shift(cj_add(twice(m.a, x, m.b, y), m.x), middle_x);
    xy[1] = cj_shift(cj_add(twice(m.c, x, m.d, y), m.y), middle_y);
}

/* How pixels are read, checked. */
typedef struct reading {
    const char *interpolation, *fill_mode;
    double fill_value;
} reading;

static bool readable(cj_node *x, const char *what, reading *r)
{
    if (!r->fill_mode) r->fill_mode = "constant";
    if (!r->interpolation) r->interpolation = "bilinear";
    if (strcmp(r->fill_mode, "constant") != 0 && strcmp(r->fill_mode, "reflect") != 0 &&
        strcmp(r->fill_mode, "nearest") != 0)
        cj__graph_fail(cj_node_graph(x), what, CJ_ERR_ARGUMENT,
                       "fill_mode='%.40s' is not constant, reflect or nearest", r->fill_mode);
    else if (strcmp(r->interpolation, "bilinear") != 0 && strcmp(r->interpolation, "nearest") != 0)
        cj__graph_fail(cj_node_graph(x), what, CJ_ERR_ARGUMENT,
                       "interpolation='%.40s' is not bilinear or nearest", r->interpolation);
    else return true;
    return false;
}

/* x read at q, pixels from the centre: [batch, height, width] or what broadcasts to that. */
static cj_node *read_at(cj_node *x, cj_node *qx, cj_node *qy, const reading *r)
{
    const int64_t height = cj_node_dim(x, 1), width = cj_node_dim(x, 2);
    const cj_dim dims[] = {cj_node_dim(x, 0), height, width};
    cj_node *grid[] = {cj_broadcast_to(cj_scale(qx, 2.0 / (double)width), 3, dims),
                       cj_broadcast_to(cj_scale(qy, 2.0 / (double)height), 3, dims)};
    const bool constant = !strcmp(r->fill_mode, "constant"),
               shifted = constant && r->fill_value != 0; /* what lies outside is read as 0 */
    const cj_grid_sample_opts how = {
        .struct_size = sizeof how,
        .mode = !strcmp(r->interpolation, "bilinear") ? "linear" : "nearest",
        .padding = constant                             ? "zeros"
                   : !strcmp(r->fill_mode, "reflect") ? "reflection"
                                                        : "border"};
    cj_node *from = shifted ? cj_shift(x, -r->fill_value) : x;
    cj_node *y = (cj_grid_sample)(from, cj_stack(grid, 2, 3), &how);
    return shifted ? cj_shift(y, r->fill_value) : y;
}

cj_node *(cj_image_affine)(cj_node *x, const cj_image_affine_opts *o)
{
    int64_t height, width;
    reading how = {o->interpolation, o->fill_mode, o->fill_value};
    if (!picture(x, "image_affine", &height, &width) || !readable(x, "image_affine", &how))
        return NULL;
    const affine m = affine_of(x, 3, o);
    cj_node *px = cj_sub(from_centre(x, 2), m.x), *py = cj_sub(from_centre(x, 1), m.y);
    cj_node *qx = cj_div(twice(m.d, px, cj_neg(m.b), py), m.scale_x),
            *qy = cj_div(twice(cj_neg(m.c), px, m.a, py), m.scale_y);
    return read_at(x, qx, qy, &how);
}

/* ---- Perspective ----------------------------------------------------------------------------- */

/* The unit square's (u, v) is seen at (a u + b v + c, d u + e v + f) / (g u + h v + 1), and its
 * corners at p0 ... p3, in order (Heckbert 1989). With the differences 1 = p1 - p2, 2 = p3 - p2,
 * s = p0 - p1 + p2 - p3:
 *
 *     g = (s x 2) / (1 x 2)    h = (1 x s) / (1 x 2)    (a, d) = p1 - p0 + g p1
 *     (b, e) = p3 - p0 + h p3  (c, f) = p0
 *
 * The way back is the adjugate matrix. */
typedef struct perspective {
    cj_node *a, *b, *c, *d, *e, *f, *g, *h;
} perspective;

/* x y' - y x' */
static cj_node *cross(cj_node *const p[2], cj_node *const q[2])
{
    return cj_sub(cj_mul(p[0], q[1]), cj_mul(p[1], q[0]));
}

static perspective perspective_of(cj_node *x, int rank, cj_node *corners)
{
    cj_node *p[4][2], *first[2], *second[2], *s[2];
    perspective m;
    for (int i = 0; i < 8; i++)
        p[i / 2][i % 2] = of_sample(x, rank, cj_squeeze(cj_slice_axis(corners, 1, i, 1), 1), 0);
    for (int i = 0; i < 2; i++) {
        first[i] = cj_sub(p[1][i], p[2][i]);
        second[i] = cj_sub(p[3][i], p[2][i]);
        s[i] = cj_add(cj_sub(p[0][i], p[1][i]), cj_sub(p[2][i], p[3][i]));
    }
    cj_node *area = cross(first, second), *along[2], *down[2];
    m.g = cj_div(cross(s, second), area);
    m.h = cj_div(cross(first, s), area);
    for (int i = 0; i < 2; i++) {
        along[i] = cj_add(cj_sub(p[1][i], p[0][i]), cj_mul(m.g, p[1][i]));
        down[i] = cj_add(cj_sub(p[3][i], p[0][i]), cj_mul(m.h, p[3][i]));
    }
    m.a = along[0], m.b = down[0], m.c = p[0][0];
    m.d = along[1], m.e = down[1], m.f = p[0][1];
    return m;
}

static cj_node *thrice(cj_node *a, cj_node *x, cj_node *b, cj_node *y, cj_node *c)
{
    return cj_add(twice(a, x, b, y), c);
}

void cj__image_perspective_points(cj_node *corners, int64_t height, int64_t width, cj_node *xy[2])
{
    const perspective m = perspective_of(xy[0], 2, corners);
    cj_node *u = cj_scale(xy[0], 1 / (double)width), *v = cj_scale(xy[1], 1 / (double)height);
    cj_node *below = cj_shift(twice(m.g, u, m.h, v), 1);
    xy[0] = cj_div(thrice(m.a, u, m.b, v, m.c), below);
    xy[1] = cj_div(thrice(m.d, u, m.e, v, m.f), below);
}

cj_node *(cj_image_perspective)(cj_node *x, cj_node *corners, const cj_image_perspective_opts *o)
{
    int64_t height, width;
    reading how = {o->interpolation, o->fill_mode, o->fill_value};
    if (!corners || !picture(x, "image_perspective", &height, &width) ||
        !readable(x, "image_perspective", &how))
        return NULL;
    if (cj_node_rank(corners) != 2 || cj_node_dim(corners, 1) != 8)
        return cj__graph_fail(cj_node_graph(x), "image_perspective", CJ_ERR_SHAPE,
                              "corners are of rank %d; [batch, 8] is expected",
                              cj_node_rank(corners)),
               NULL;
    const perspective m = perspective_of(x, 3, corners);
    cj_node *px = cj_shift(from_centre(x, 2), 0.5 * (double)width),
            *py = cj_shift(from_centre(x, 1), 0.5 * (double)height);
    cj_node *u = thrice(cj_sub(m.e, cj_mul(m.f, m.h)), px, cj_sub(cj_mul(m.c, m.h), m.b), py,
                        cj_sub(cj_mul(m.b, m.f), cj_mul(m.c, m.e)));
    cj_node *v = thrice(cj_sub(cj_mul(m.f, m.g), m.d), px, cj_sub(m.a, cj_mul(m.c, m.g)), py,
                        cj_sub(cj_mul(m.c, m.d), cj_mul(m.a, m.f)));
    cj_node *below = thrice(cj_sub(cj_mul(m.d, m.h), cj_mul(m.e, m.g)), px,
                            cj_sub(cj_mul(m.b, m.g), cj_mul(m.a, m.h)), py,
                            cj_sub(cj_mul(m.a, m.e), cj_mul(m.b, m.d)));
    return read_at(x, cj_scale(cj_shift(cj_div(u, below), -0.5), (double)width),
                   cj_scale(cj_shift(cj_div(v, below), -0.5), (double)height), &how);
}

/* ---- Pixels as they are ---------------------------------------------------------------------- */

cj_node *cj_image_flip(cj_node *x, cj_node *flip, int axis)
{
    int64_t height, width;
    if (!flip || !picture(x, "image_flip", &height, &width)) return NULL;
    if (axis != 1 && axis != 2)
        return cj__graph_fail(cj_node_graph(x), "image_flip", CJ_ERR_ARGUMENT,
                              "axis %d is not 1 (rows) or 2 (columns)", axis),
               NULL;
    flip = cj_reshape(flip, 4, (cj_dim[]){cj_node_dim(x, 0), 1, 1, 1});
    return cj_where(flip, cj_reverse(x, axis), x);
}

/* Row n H W + (top + y) W + left + x of the pictures' pixels. */
cj_node *cj_image_crop(cj_node *x, cj_node *top, cj_node *left, int64_t height, int64_t width)
{
    int64_t h, w;
    if (!top || !left || !picture(x, "image_crop", &h, &w)) return NULL;
    cj_graph *g = cj_node_graph(x);
    if (height < 1 || width < 1 || height > h || width > w)
        return cj__graph_fail(g, "image_crop", CJ_ERR_SHAPE,
                              "%lldx%lld of pictures of %lldx%lld", (long long)height,
                              (long long)width, (long long)h, (long long)w),
               NULL;
    const cj_dim batch = cj_node_dim(x, 0), each[] = {batch, 1, 1};
    cj_node *row = cj_add(cj_reshape(cj_cast(top, CJ_I64), 3, each),
                          cj_iota(g, CJ_I64, 1, 3, (cj_dim[]){1, height, 1}));
    cj_node *column = cj_add(cj_reshape(cj_cast(left, CJ_I64), 3, each),
                             cj_iota(g, CJ_I64, 2, 3, (cj_dim[]){1, 1, width}));
    cj_node *first = cj_mul(cj_iota(g, CJ_I64, 0, 3, each), cj_scalar(g, CJ_I64, (double)(h * w)));
    cj_node *at = cj_add(first, cj_add(cj_mul(row, cj_scalar(g, CJ_I64, (double)w)), column));
    cj_dim pixels = cj_dim_mul(g, batch, h * w);
    return cj_gather(cj_reshape(x, 2, (cj_dim[]){pixels, cj_node_dim(x, 3)}), at, 0);
}
