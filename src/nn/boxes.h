/* boxes.h: boxes x_min, y_min, x_max, y_max along the last axis of nodes. */
#ifndef CAJAL_NN_BOXES_H
#define CAJAL_NN_BOXES_H

#include "nn/model.h"

#include <cajal/detect.h>

typedef enum cj__overlap { CJ__IOU, CJ__GIOU, CJ__DIOU, CJ__CIOU } cj__overlap;
/* "iou", "giou", "diou", "ciou", NULL. */
extern const char *const cj__overlaps[];

/* The overlap of a and b [..., 4], box by box, as cj_box_iou has it: [...]. epsilon is added to
 * areas that divide, as torchvision's losses do. */
cj_node *cj__box_overlap(cj_node *a, cj_node *b, cj__overlap kind, double epsilon);

/* A detector's output [batch, rows, columns, 4 + classes] as boxes [batch, n, 4] and scores [batch,
 * n, classes] of n cells, and true boxes [batch, most, 5] in its dtype. */
typedef struct cj__cells {
    cj_node *box, *score, *target;
    cj_dim rows, columns, classes;
} cj__cells;
/* false: the graph has failed; `what` is named. */
bool cj__cells_of(cj_node *prediction, cj_node *target, const char *what, cj__cells *c);

/* detections.c: outside of graphs. The area that two boxes share over that of both. */
double cj__box_iou_of(const double a[4], const double b[4]);
/* cj_suppress of detections by falling score; returns how many stay. */
int64_t cj__suppress_sorted(cj_detection *d, int64_t n, double iou, int64_t most);

#endif
