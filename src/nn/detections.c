/* detections.c: boxes that were found, outside of graphs: of those that overlap the best one stays.
 */
#include "nn/boxes.h"
#include "nn/metrics.h"

#include <math.h>
#include <string.h>

double cj__box_iou_of(const double a[4], const double b[4])
{
    const double width = fmin(a[2], b[2]) - fmax(a[0], b[0]),
                 height = fmin(a[3], b[3]) - fmax(a[1], b[1]);
    if (!(width > 0 && height > 0)) return 0;
    const double common = width * height;
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common);
}

int64_t cj__suppress_sorted(cj_detection *d, int64_t n, double iou, int64_t most)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n && kept < most; i++) {
        bool stays = true;
        for (int64_t k = 0; k < kept && stays && iou < 1; k++)
            stays = d[k].label != d[i].label || !(cj__box_iou_of(d[k].box, d[i].box) > iou);
        if (stays) d[kept++] = d[i];
    }
    return kept;
}

cj_status cj_suppress(cj_context *cj, cj_detection *d, int64_t n, double iou, int64_t most,
                      int64_t *count)
{
    size_t bytes;
    *count = 0;
    if (n < 0 || most < 0 || !(iou >= 0 && iou <= 1))
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "suppress: %lld detections, iou=%g, most=%lld; expected none below 0, iou 0 "
                       "to 1",
                       (long long)n, iou, (long long)most);
    if (!n) return CJ_OK;
    if (CJ__MUL_OVERFLOWS((size_t)n, sizeof *d + 2 * sizeof(cj__triple), &bytes))
        return cj_fail(cj, CJ_ERR_LIMIT, "suppress: %lld detections", (long long)n);
    cj_detection *copy = cj__alloc(cj, bytes);
    if (!copy) return cj_last_status(cj);
    cj__triple *order = (cj__triple *)(void *)(copy + n);
    for (int64_t i = 0; i < n; i++)
        order[i] = (cj__triple){isnan(d[i].score) ? -INFINITY : d[i].score, (double)i, 0};
    const cj__triple *sorted = cj__sort_triples(order, order + n, n);
    for (int64_t i = 0; i < n; i++) copy[i] = d[(int64_t)sorted[i].a];
    memcpy(d, copy, (size_t)n * sizeof *d);
    cj__free(cj, copy, bytes);
    *count = cj__suppress_sorted(d, n, iou, most ? most : n);
    return CJ_OK;
}
