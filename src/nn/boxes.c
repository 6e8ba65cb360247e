/* boxes.c: how much boxes overlap, and a detector's grid of them, as graph nodes. */
#include "nn/boxes.h"

#include <cajal/detect.h>

#include <string.h>

const char *const cj__overlaps[] = {"iou", "giou", "diou", "ciou", NULL};

/* What torchvision adds to squared diagonals. */
#define EPSILON 1e-7
/* No area that matters is below this; 0 / 0 becomes 0. */
#define LEAST 1e-30

#define PI 3.14159265358979323846

typedef struct corners {
    cj_node *x[2], *y[2]; /* min, max: the box's axes with the last as 1 */
} corners;

static corners corners_of(cj_node *box)
{
    return (corners){{cj_slice_axis(box, -1, 0, 1), cj_slice_axis(box, -1, 2, 1)},
                     {cj_slice_axis(box, -1, 1, 1), cj_slice_axis(box, -1, 3, 1)}};
}

static cj_node *area(const corners *c)
{
    return cj_mul(cj_sub(c->x[1], c->x[0]), cj_sub(c->y[1], c->y[0]));
}

static cj_node *ratio(cj_node *a, cj_node *b, double epsilon)
{
    b = cj_shift(b, epsilon);
    return b ? cj_div(a, cj_maximum(b, cj__number_like(b, LEAST))) : NULL;
}

/* The angle of a box's diagonal, from the vertical; a box without height has a right one. */
static cj_node *angle(const corners *c)
{
    cj_node *height = cj_sub(c->y[1], c->y[0]);
    if (!height) return NULL;
    height = cj_maximum(height, cj__number_like(height, EPSILON));
    return cj_atan(cj_div(cj_sub(c->x[1], c->x[0]), height));
}

/* v^2 / (1 - iou + v): what differing shapes cost (Zheng et al. 2020, equations 8 to 11). */
static cj_node *shape_cost(const corners *a, const corners *b, cj_node *iou)
{
    cj_node *v = cj_scale(cj_square(cj_sub(angle(a), angle(b))), 4 / (PI * PI));
    cj_node *weight = cj_div(v, cj_shift(cj_add(cj_shift(cj_neg(iou), 1), v), EPSILON));
    return cj_mul(cj_stop_gradient(weight), v);
}

static cj_node *square_distance(cj_node *x, cj_node *y)
{
    return cj_add(cj_square(x), cj_square(y));
}

/* Middle of a minus middle of b along one axis. */
static cj_node *apart(cj_node *const a[2], cj_node *const b[2])
{
    return cj_scale(cj_sub(cj_add(a[0], a[1]), cj_add(b[0], b[1])), 0.5);
}

cj_node *cj__box_overlap(cj_node *a, cj_node *b, cj__overlap kind, double epsilon)
{
    const corners p = corners_of(a), t = corners_of(b);
    const corners outer = {{cj_minimum(p.x[0], t.x[0]), cj_maximum(p.x[1], t.x[1])},
                           {cj_minimum(p.y[0], t.y[0]), cj_maximum(p.y[1], t.y[1])}};
    cj_node *width = cj_sub(cj_minimum(p.x[1], t.x[1]), cj_maximum(p.x[0], t.x[0])),
            *height = cj_sub(cj_minimum(p.y[1], t.y[1]), cj_maximum(p.y[0], t.y[0]));
    cj_node *common = cj_mul(cj_relu(width), cj_relu(height));
    cj_node *all = cj_sub(cj_add(area(&p), area(&t)), common);
    cj_node *iou = ratio(common, all, epsilon), *result = iou;
    if (kind == CJ__GIOU) {
        cj_node *around = area(&outer);
        result = cj_sub(iou, ratio(cj_sub(around, all), around, epsilon));
    }
    if (kind == CJ__DIOU || kind == CJ__CIOU) {
        cj_node *between = square_distance(apart(p.x, t.x), apart(p.y, t.y));
        cj_node *diagonal = square_distance(cj_sub(outer.x[1], outer.x[0]),
                                            cj_sub(outer.y[1], outer.y[0]));
        result = cj_sub(iou, cj_div(between, cj_shift(diagonal, EPSILON)));
    }
    if (kind == CJ__CIOU) result = cj_sub(result, shape_cost(&p, &t, iou));
    return result ? cj_squeeze(result, -1) : NULL;
}

static bool are_boxes(cj_graph *g, cj_node *x)
{
    if (x->type.rank >= 2 && x->type.dim[x->type.rank - 1] == 4 &&
        cj_dtype_info(x->type.dtype)->kind == CJ_KIND_FLOAT)
        return true;
    cj_graph_fail(g, CJ_ERR_SHAPE,
                  "box_iou: boxes of rank %d, %s with %s along the last axis, expected floats "
                  "[..., n, 4]",
                  x->type.rank, cj_dtype_info(x->type.dtype)->name,
                  x->type.rank ? cj_dim_text(g, x->type.dim[x->type.rank - 1]) : "nothing");
    return false;
}

cj_node *(cj_box_iou)(cj_node *a, cj_node *b, const char *kind)
{
    cj_graph *g = cj_node_graph(a);
    int k = 0;
    if (!g || !b || cj_graph_failed(g) || cj__is_zero(b)) return NULL;
    while (kind && cj__overlaps[k] && strcmp(kind, cj__overlaps[k]) != 0) k++;
    if (!cj__overlaps[k])
        return cj_graph_fail(g, CJ_ERR_ARGUMENT,
                             "box_iou: kind='%.60s' is none of iou, giou, diou, ciou", kind);
    if (!are_boxes(g, a) || !are_boxes(g, b)) return NULL;
    return cj__box_overlap(cj_expand_dims(a, -2), cj_expand_dims(b, -3), (cj__overlap)k, 0);
}

/* ---- Cells ----------------------------------------------------------------------------------- */

/* The part of a prediction from `begin` on along the last axis; a concatenation's own operand where
 * it is just that, so that the activation behind it can be seen. */
static cj_node *part(cj_node *prediction, int64_t begin, int64_t size)
{
    const cj_call *call = prediction->call;
    int64_t at = 0;
    const int last = prediction->type.rank - 1;
    const bool joined = call->op == &cj_op_concat &&
                        ((const cj__axis_attrs *)call->attributes)->axis == last;
    for (int i = 0; joined && i < call->n_in; i++) {
        const cj_dim n = call->in[i]->type.dim[last];
        if (at == begin && n == size) return call->in[i];
        at += n;
    }
    return cj_slice_axis(prediction, last, begin, size);
}

bool cj__cells_of(cj_node *prediction, cj_node *target, const char *what, cj__cells *c)
{
    cj_graph *g = cj_node_graph(prediction);
    if (!g || !target || cj_graph_failed(g)) return false;
    const cj_type *p = &prediction->type, *t = &target->type;
    if (p->rank != 4 || p->dim[3] < 5 || cj_dtype_info(p->dtype)->kind != CJ_KIND_FLOAT) {
        cj_graph_fail(g, CJ_ERR_SHAPE,
                      "%s: the prediction is %s of rank %d with %s along its last axis, expected "
                      "floats [batch, rows, columns, 4 + classes]",
                      what, cj_dtype_info(p->dtype)->name, p->rank,
                      p->rank ? cj_dim_text(g, p->dim[p->rank - 1]) : "nothing");
        return false;
    }
    if (cj__is_zero(target) || t->rank != 3 || t->dim[2] != 5 || t->dim[1] < 1) {
        cj_graph_fail(g, CJ_ERR_SHAPE,
                      "%s: the target has rank %d and %s along its last axis, expected boxes "
                      "[batch, most, 5]",
                      what, t->rank, t->rank ? cj_dim_text(g, t->dim[t->rank - 1]) : "nothing");
        return false;
    }
    *c = (cj__cells){.rows = p->dim[1], .columns = p->dim[2], .classes = p->dim[3] - 4};
    const cj_dim n = cj_dim_mul(g, p->dim[1], p->dim[2]);
    c->box = cj_reshape(part(prediction, 0, 4), 3, (const cj_dim[]){p->dim[0], n, 4});
    c->score = cj_reshape(part(prediction, 4, c->classes), 3,
                          (const cj_dim[]){p->dim[0], n, c->classes});
    c->target = cj_cast(target, p->dtype);
    return c->box && c->score && c->target;
}
