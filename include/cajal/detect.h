/* detect.h: boxes around what is to be seen in pictures: how much they overlap, and which of
 * them are the same.
 *
 * A box is x_min, y_min, x_max, y_max: from the left and the top of a picture, in any unit that
 * all boxes of a call share; of a model's results and of data sets (CJ_FIELD_BOXES) as shares of
 * its width and height.
 *
 * The output of a detector is [batch, rows, columns, 4 + classes]: for each cell of a grid over the
 * picture the box of what has its centre there, and a score (0 to 1) for each class.
 * cj_zoo_detector has such an output, the loss `detection` teaches it, and the metric
 * `mean_average_precision` judges it. */
#ifndef CAJAL_DETECT_H
#define CAJAL_DETECT_H

#include <cajal/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- In graphs ------------------------------------------------------------------------------- */

/* How much each of the boxes a [..., n, 4] overlaps each of the boxes b [..., m, 4]:
 * [..., n, m]; leading axes broadcast. kind is
 *
 *     "iou" (NULL)  the intersection's area over the union's; 0 where both areas are 0
 *     "giou"        iou - (1 - union / area of the smallest box around both), -1 to 1
 *                   (Rezatofighi et al. 2019)
 *     "diou"        iou - (distance of centres / diagonal of that box)^2 (Zheng et al. 2020)
 *     "ciou"        diou - v^2 / (1 - iou + v), v = (2 / pi (atan(w_a / h_a) - atan(w_b / h_b)))^2
 *
 * Differentiable; in ciou the factor v / (1 - iou + v) counts as constant, as its authors have it.
 * A box whose max is below its min has an area below 0, which is not looked at. */
CJ_API cj_node *cj_box_iou(cj_node *a, cj_node *b, const char *kind);

/* ---- Detections ------------------------------------------------------------------------------ */

typedef struct cj_detection {
    double box[4]; /* x_min, y_min, x_max, y_max */
    double score;  /* 0 to 1 */
    int label;     /* number of the class, from 0 */
} cj_detection;

/* Non-maximum suppression, class by class: of n detections those stay that overlap no better one
 * of their class by an IoU above `iou`; better is a higher score, of equal scores the one that
 * comes first. Those that stay are at the front of `d`, by falling score, *count of them, at most
 * `most` (0: all). A score that is NaN is the lowest. iou from 0 to 1; with 1 all stay. */
CJ_API cj_status cj_suppress(cj_context *cj, cj_detection *d, int64_t n, double iou, int64_t most,
                             int64_t *count);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_box_iou(a, b, kind) cj_at_end((cj_box_iou)(cj_at(a, CJ_HERE), b, kind))
#endif

#ifdef __cplusplus
}
#endif
#endif
