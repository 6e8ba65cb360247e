/* detect.c: what a detector's output says of pictures.
 *
 * The output has a box for each cell and a score for each class; each score is a detection, until
 * those below the threshold go, and of those that overlap all but the best. */
#include "train/train.h"

#include <cajal/detect.h>

#include "base/opts.h"
#include "nn/boxes.h"
#include "runtime/runtime.h"
#include "tensor/tensor.h"

#include <string.h>

enum { CHUNK = 64 }; /* pictures whose output is in memory at once */

typedef struct grid {
    int64_t cells, width, classes;
} grid;

/* The options with defaults, and the grid of the model; cj: who is told. */
static cj_status complete(cj_context *cj, cj_model *m, const cj_detect_opts *opts,
                          cj_detect_opts *o, grid *g)
{
    *o = (cj_detect_opts){0};
    CJ__TRY(cj__opts_take(cj, "detect", o, sizeof *o, opts));
    if (o->score == 0) o->score = 0.25;
    if (o->iou == 0) o->iou = 0.5;
    if (o->most == 0) o->most = 100;
    if (!(o->score <= 1) || !(o->iou > 0 && o->iou <= 1) || o->most < 0)
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "detect: score=%g, iou=%g, most=%lld; expected a score up to 1, an iou of 0 "
                       "to 1, most not below 0",
                       o->score, o->iou, (long long)o->most);
    const cj_type *y = m && cj_graph_output_count(m->graph) == 1
                           ? &cj_graph_output_at(m->graph, 0)->type
                           : NULL;
    if (!y || m->target_kind != CJ_FIELD_BOXES || y->rank != 4 || y->dim[1] < 1 || y->dim[2] < 1 ||
        y->dim[3] < 5 || CJ__MUL_OVERFLOWS(y->dim[1], y->dim[2], &g->cells))
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "detect: the model was not trained on boxes, or its output is not [batch, "
                       "rows, columns, 4 + classes]");
    g->width = y->dim[3];
    g->classes = y->dim[3] - 4;
    return CJ_OK;
}

static double within(double x) { return x > 1 ? 1 : x > 0 ? x : 0; }

/* Detections above the threshold; with `to` NULL they are only counted. */
static int64_t collect(const grid *g, const float *output, double score, cj_detection *to)
{
    int64_t n = 0;
    for (int64_t i = 0; i < g->cells; i++) {
        const float *cell = output + i * g->width;
        for (int64_t c = 0; c < g->classes; c++) {
            if (!(cell[4 + c] >= score)) continue;
            if (to)
                to[n] = (cj_detection){
                    {within(cell[0]), within(cell[1]), within(cell[2]), within(cell[3])},
                    cell[4 + c],
                    (int)c};
            n++;
        }
    }
    return n;
}

static cj_status detections(cj_context *cj, const grid *g, const cj_detect_opts *o,
                            const float *output, cj_detection *out, int64_t *count)
{
    const int64_t n = collect(g, output, o->score, NULL);
    size_t bytes;
    *count = 0;
    if (!n) return CJ_OK;
    if (CJ__MUL_OVERFLOWS((size_t)n, sizeof *out, &bytes))
        return cj_fail(cj, CJ_ERR_LIMIT, "detect: %lld detections", (long long)n);
    cj_detection *all = cj__alloc(cj, bytes);
    if (!all) return cj_last_status(cj);
    collect(g, output, o->score, all);
    cj_status failed = cj_suppress(cj, all, n, o->iou, o->most, count);
    if (!failed) memcpy(out, all, (size_t)*count * sizeof *out);
    cj__free(cj, all, bytes);
    return failed;
}

cj_status (cj_detections)(cj_model *m, const float *output, cj_detection *out, int64_t *count,
                          const cj_detect_opts *opts)
{
    cj_detect_opts o;
    grid g;
    if (!m) return CJ_ERR_ARGUMENT;
    CJ__TRY(complete(m->cj, m, opts, &o, &g));
    return detections(m->cj, &g, &o, output, out, count);
}

/* A chunk of n pictures, through `outputs`. */
static cj_status detect_some(cj_session *s, const grid *g, const cj_detect_opts *o,
                             const void *samples, int64_t n, float *outputs, cj_detection *out,
                             int64_t *counts)
{
    const int64_t size = g->cells * g->width;
    CJ__TRY(cj_predict(s, samples, n, outputs, size));
    for (int64_t i = 0; i < n; i++)
        CJ__TRY(detections(&s->cj, g, o, outputs + i * size, out + i * o->most, &counts[i]));
    return CJ_OK;
}

/* The bytes of a raw sample of the session. */
static cj_status sample_size(cj_session *s, size_t *bytes)
{
    const cj_type *in = cj_program_input_count(s->program) == 1
                            ? cj_program_input_type(s->program, 0)
                            : NULL;
    int64_t shape[CJ_RANK_MAX] = {1}, count;
    for (int i = 1; in && i < in->rank; i++) shape[i] = in->dim[i] < 0 ? 0 : in->dim[i];
    return in ? cj__tensor_check(&s->cj, in->dtype, in->rank, shape, &count, bytes)
              : cj_fail(&s->cj, CJ_ERR_ARGUMENT,
                        "detect: the session is not one of cj_model_session");
}

cj_status (cj_detect)(cj_model *m, cj_session *s, const void *samples, int64_t n,
                      cj_detection *out, int64_t *counts, const cj_detect_opts *opts)
{
    cj_detect_opts o;
    grid g;
    size_t sample, bytes;
    int64_t size;
    if (!s) return CJ_ERR_ARGUMENT;
    CJ__TRY(complete(&s->cj, m, opts, &o, &g));
    CJ__TRY(sample_size(s, &sample));
    if (CJ__MUL_OVERFLOWS(g.cells, g.width, &size) ||
        CJ__MUL_OVERFLOWS((size_t)size, sizeof(float) * CHUNK, &bytes))
        return cj_fail(&s->cj, CJ_ERR_LIMIT, "detect: %lld cells", (long long)g.cells);
    float *outputs = cj__alloc(&s->cj, bytes);
    if (!outputs) return cj_last_status(&s->cj);
    cj_status failed = CJ_OK;
    for (int64_t at = 0; at < n && !failed; at += CHUNK)
        failed = detect_some(s, &g, &o, (const char *)samples + (size_t)at * sample,
                             n - at < CHUNK ? n - at : CHUNK, outputs, out + at * o.most,
                             counts + at);
    cj__free(&s->cj, outputs, bytes);
    return failed;
}
