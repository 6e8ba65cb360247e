/* detect.h: boxes around what is to be seen in pictures: how much they overlap, and what a detector
 * says of a picture.
 *
 *     cj_session *s = cj_model_session(m);           // train.h; of a model trained on boxes
 *     cj_detection found[100];
 *     int64_t n;
 *     if (cj_detect(m, s, picture, 1, found, &n, .score = 0.5)) puts(cj_session_message(s));
 *     for (int64_t i = 0; i < n; i++)
 *         printf("class %d at %g, %g: %g\n", found[i].label, found[i].box[0], found[i].box[1],
 *                found[i].score);
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
 * A box whose max is below its min has an area below 0; that is not checked. */
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

typedef struct cj_detect_opts {
    size_t struct_size;
    double score;  /* detections with less do not count; default 0.25; below 0: all count */
    double iou;    /* two of a class that overlap by more are one; default 0.5 */
    int64_t most;  /* of a picture, those with the highest scores; default 100 */
} cj_detect_opts;

/* What an output of the model, one picture's (as cj_predict gives it), says: at most opts->most
 * detections into `out`, by falling score, and their number into *count. Boxes are cut to the
 * picture. CJ_ERR_ARGUMENT when the model's output are no boxes. The message is the context's. */
CJ_API cj_status cj_detections(cj_model *m, const float *output, cj_detection *out, int64_t *count,
                               const cj_detect_opts *opts);

/* cj_predict and cj_detections in one: n raw pictures in, for picture i up to opts->most detections
 * from out[i * most] on, counts[i] of them. s is a session of m (cj_model_session); the message of
 * a failure is the session's. */
CJ_API cj_status cj_detect(cj_model *m, cj_session *s, const void *samples, int64_t n,
                           cj_detection *out, int64_t *counts, const cj_detect_opts *opts);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_box_iou(a, b, kind) cj_at_end((cj_box_iou)(cj_at(a, CJ_HERE), b, kind))
#define cj_detections(m, output, out, count, ...) \
    (cj_detections)(m, output, out, count, \
                    &(cj_detect_opts){.struct_size = sizeof(cj_detect_opts), __VA_ARGS__})
#define cj_detect(m, s, samples, n, out, counts, ...) \
    (cj_detect)(m, s, samples, n, out, counts, \
                &(cj_detect_opts){.struct_size = sizeof(cj_detect_opts), __VA_ARGS__})
#endif

#ifdef __cplusplus
}
#endif
#endif
