/* losses_detection.c: how far boxes are from the true ones, and what a detector is taught.
 *
 * iou, giou, diou, ciou   1 - the overlap of one box with one box (cj_box_iou)
 * detection               of a grid of cells, each with a box and scores of classes
 *
 * A detector's cell is to find the box that its centre lies in, when that box's own centre is near;
 * of several boxes the smallest (Tian et al. 2019, FCOS). A box that has no cell's centre in it
 * goes to the cell that has the box's centre. What a cell's scores should be is 0 for all classes,
 * but for that of its box how well it has found the box so far, its IoU (Li et al. 2020, quality
 * focal loss): so the score ends as an estimate of the overlap, which suppression and precision
 * need. */
#include "nn/boxes.h"
#include "nn/losses.h"

#include <math.h>

/* ---- Pairs of boxes -------------------------------------------------------------------------- */

static cj_node *pairs(cj_node *prediction, cj_node *target, cj__overlap kind)
{
    cj_graph *g = cj_node_graph(prediction);
    const char *name = cj__overlaps[kind];
    target = cj__target_like(prediction, target, name);
    if (!g || !target) return NULL;
    const int rank = prediction->type.rank;
    if (rank < 2 || prediction->type.dim[rank - 1] != 4)
        return cj_graph_fail(
            g, CJ_ERR_SHAPE,
            "%s: the prediction has rank %d and %s along its last axis, expected boxes [batch, "
            "..., 4]",
            name, rank, rank ? cj_dim_text(g, prediction->type.dim[rank - 1]) : "nothing");
    return cj__loss_mean(
        cj_shift(cj_neg(cj__box_overlap(prediction, target, kind, CJ__LOSS_EPSILON)), 1));
}

#define PAIRS(id, kind, formula, other_names) \
    static cj_node *build_##id(cj_node *prediction, cj_node *target, const void *options) \
    { \
        (void)options; \
        return pairs(prediction, target, kind); \
    } \
    const cj_loss cj_loss_##id = {.name = #id, \
                                  .doc = formula, \
                                  .options_size = sizeof(cj__no_options), \
                                  .build = build_##id, \
                                  .aliases = other_names};
PAIRS(iou, CJ__IOU,
      "mean of 1 - intersection / union of boxes x_min, y_min, x_max, y_max along the last axis",
      "iou_loss")
PAIRS(
    giou, CJ__GIOU,
    "mean of 1 - iou + (around - union) / around, around the area of the smallest box around both "
    "(Rezatofighi et al. 2019)",
    "generalized_box_iou_loss")
PAIRS(diou, CJ__DIOU,
      "mean of 1 - iou + (distance of centres / diagonal of the smallest box around both)^2 (Zheng "
      "et al. 2020)",
      "distance_box_iou_loss")
PAIRS(
    ciou, CJ__CIOU,
    "diou and v^2 / (1 - iou + v), v = (2 / pi (atan(w / h) - atan(w' / h')))^2, its first factor "
    "v / (1 - iou + v) constant (Zheng et al. 2020)",
    "complete_box_iou_loss")

/* ---- Detection ------------------------------------------------------------------------------- */

typedef struct detection_options {
    int iou;
    double gamma, alpha, box_weight, radius;
    bool no_quality;
} detection_options;

static const char name[] = "detection";
static const cj_option detection_table[] = {
    CJ_OPTION_WORD(detection_options, iou, CJ__GIOU, cj__overlaps, "overlap of boxes that counts"),
    CJ_OPTION_FLOAT(detection_options, gamma, 2, 0, 100,
                    "how fast scores that are nearly right count less; 0: not at all"),
    CJ_OPTION_FLOAT(detection_options, alpha, 0, 0, 1,
                    "what scores of true classes weigh, 1 - alpha all others; 0: all 1"),
    CJ_OPTION_FLOAT(detection_options, box_weight, 2, 0, 1e6, "what boxes weigh beside scores"),
    CJ_OPTION_FLOAT(detection_options, radius, 1.5, 0.5, 1e6,
                    "how many cells a box's centre may be away, along rows and columns"),
    CJ_OPTION_BOOL(detection_options, no_quality, false,
                   "scores of true classes should be 1 instead of the IoU"),
    CJ_OPTION_END};

/* The middles of the cells along one axis, as shares of the picture: [n, 1]. */
static cj_node *middles(const cj__cells *c, int axis)
{
    cj_graph *g = cj_node_graph(c->box);
    const cj_dtype dtype = c->box->type.dtype;
    const cj_dim grid[] = {c->rows, c->columns};
    cj_node *number = cj_shift(cj_iota(g, dtype, axis, 2, grid), 0.5),
            *size = cj_cast(cj_dim_value(g, grid[axis]), dtype);
    return cj_reshape(cj_div(number, size), 2, (const cj_dim[]){CJ_INFER, 1});
}

/* Number k of each box: [batch, 1, most]. */
static cj_node *of_boxes(const cj__cells *c, int k)
{
    return cj_expand_dims(cj_squeeze(cj_slice_axis(c->target, 2, k, 1), 2), 1);
}

static cj_node *both(cj_node *a, cj_node *b) { return cj_logical_and(a, b); }

/* Along one axis: whether a cell's middle is inside the box, near the box's middle, and whether the
 * box's middle is in the cell; each [batch, cells, most]. */
typedef struct place {
    cj_node *inside, *near, *within, *length;
} place;

static place place_along(const cj__cells *c, int axis, double radius)
{
    cj_graph *g = cj_node_graph(c->box);
    const cj_dim size = axis ? c->columns : c->rows;
    cj_node *low = of_boxes(c, 2 - axis), *high = of_boxes(c, 4 - axis), *at = middles(c, axis);
    if (!low || !high || !at) return (place){0};
    cj_node *away = cj_abs(cj_sub(at, cj_scale(cj_add(low, high), 0.5)));
    away = cj_mul(away, cj_cast(cj_dim_value(g, size), at->type.dtype));
    return (place){.inside = both(cj_greater(at, low), cj_less(at, high)),
                   .near = cj_less(away, cj__number_like(at, radius)),
                   .within = cj_less_equal(away, cj__number_like(at, 0.5)),
                   .length = cj_sub(high, low)};
}

/* What each cell should find: the number of its box [batch, n, 1], and 1 where there is one, else
 * 0: [batch, n]. */
typedef struct assigned {
    cj_node *number, *is;
} assigned;

static assigned assign(const cj__cells *c, double radius)
{
    const place y = place_along(c, 0, radius), x = place_along(c, 1, radius);
    if (!x.length || !y.length) return (assigned){0};
    cj_node *inside = both(both(x.inside, y.inside), both(x.near, y.near));
    cj_node *ours = cj_logical_or(inside, both(x.within, y.within));
    cj_node *class_of = of_boxes(c, 0), *zero = cj__number_like(c->box, 0);
    cj_node *valid = both(cj_greater_equal(class_of, zero),
                          both(cj_greater(x.length, zero), cj_greater(y.length, zero)));
    cj_node *area = cj_where(both(ours, valid), cj_mul(x.length, y.length),
                             cj__number_like(c->box, INFINITY));
    cj_node *least = area ? cj_reduce_min(area, 1, (const int64_t[]){-1}, false) : NULL;
    if (!least) return (assigned){0};
    return (assigned){cj_argmin(area, -1, true),
                      cj_cast(cj_less(least, cj__number_like(least, INFINITY)), least->type.dtype)};
}

/* Row `number` of the targets for each cell: [batch, n, 5]. */
static cj_node *rows_of(const cj__cells *c, cj_node *number)
{
    cj_dim dims[3] = {c->box->type.dim[0], c->box->type.dim[1], 5};
    return number ? cj_gather_along(c->target, cj_broadcast_to(number, 3, dims), 1) : NULL;
}

/* What classes should be told: [batch, n, classes]. */
static cj_node *wanted(const cj__cells *c, const assigned *a, cj_node *row, cj_node *iou,
                       const detection_options *o)
{
    cj_node *label = cj_cast(cj_squeeze(cj_slice_axis(row, 2, 0, 1), 2), CJ_I32);
    cj_node *share = o->no_quality ? a->is : cj_mul(a->is, cj_clip(cj_stop_gradient(iou), 0, 1));
    return cj_mul(cj_one_hot(label, c->classes, c->box->type.dtype), cj_expand_dims(share, -1));
}

/* |t - p|^gamma times the cross-entropy of p and t. */
static cj_node *score_loss(const cj__cells *c, cj_node *t,
                           const detection_options *o)
{
    cj_node *p = c->score, *z = cj__loss_logits(p, &cj_op_sigmoid);
    cj_node *each = cj_mul(cj__loss_focus(cj_abs(cj_sub(t, p)), o->gamma),
                           cj__loss_binary(p, z, t, NULL));
    if (o->alpha > 0) {
        cj_node *is = t ? cj_greater(t, cj__number_like(t, 0)) : NULL;
        each = cj_mul(each, cj_where(is, cj__number_like(p, o->alpha),
                                     cj__number_like(p, 1 - o->alpha)));
    }
    return cj_reduce_sum(each, 2, (const int64_t[]){1, 2}, false);
}

/* The sum over cells; count_detection has what it is divided by. */
static cj_node *build_detection(cj_node *prediction, cj_node *target, const void *options)
{
    const detection_options *o = options;
    cj__cells c;
    if (!cj__cells_of(prediction, target, name, &c)) return NULL;
    const assigned a = assign(&c, o->radius);
    cj_node *row = rows_of(&c, a.number), *box = cj_slice_axis(row, 2, 1, 4);
    if (!box) return NULL;
    cj_node *overlap = cj__box_overlap(c.box, box, (cj__overlap)o->iou, CJ__LOSS_EPSILON),
            *iou = o->iou == CJ__IOU ? overlap
                                     : cj__box_overlap(c.box, box, CJ__IOU, CJ__LOSS_EPSILON);
    cj_node *boxes = cj_mul(a.is, cj_shift(cj_neg(overlap), 1));
    boxes = boxes ? cj_reduce_sum(boxes, 1, (const int64_t[]){1}, false) : NULL;
    return cj_add(score_loss(&c, wanted(&c, &a, row, iou, o), o),
                  cj_scale(boxes, o->box_weight));
}

/* Cells with a box; a picture without any counts as one, so that there is something to divide by.
 */
static cj_node *count_detection(cj_node *prediction, cj_node *target, const void *options)
{
    const detection_options *o = options;
    cj__cells c;
    if (!cj__cells_of(prediction, target, name, &c)) return NULL;
    const assigned a = assign(&c, o->radius);
    cj_node *n = a.is ? cj_reduce_sum(a.is, 1, (const int64_t[]){1}, false) : NULL;
    return n ? cj_maximum(n, cj__number_like(n, 1)) : NULL;
}
const cj_loss cj_loss_detection = {
    .name = name,
    .doc =
        "sum over cells of |q - s|^gamma crossentropy(s, q) for each class, and box_weight (1 - "
        "giou) where a cell has a box, over the number of those: a detector's boxes and scores s "
        "[batch, rows, columns, 4 + classes] and true boxes [batch, most, 5]; q the IoU for the "
        "class of the cell's box, else 0 (Tian et al. 2019, Li et al. 2020)",
    .options_size = sizeof(detection_options),
    .options = detection_table,
    .build = build_detection,
    .count = count_detection,
    .class_target = true,
    .whole = true};
