/* conv_depth.c: depthwise f32 convolutions, channels last: every channel with a filter of its own.
 *
 * Vectors run along the channels. A row of results is one call of a vector kernel for all pixels
 * whose window lies inside the image, and a call each for those at the borders, with fewer places.
 * The input gradient is the same over dy, one grid for each residue modulo the stride (conv.h). */
#include <string.h>

#include "backend/cpu/conv.h"

enum { PLACES_MAX = 128, ROWS_A_LANE = 16, LANES_MAX = 16 };

bool cj__depth_supports(const cj_kernel *k)
{
    cj__conv_arrays t = cj__conv_arrays_of(k);
    if (!cj__is_f32(t.x) || !t.x->count || !t.w->count || !t.y->count) return false;
    cj__conv_shape c = cj__conv_shape_of(k->call->attributes, t.x, t.w, t.y);
    return c.groups == c.in && c.in == c.out && c.channels_last && c.places <= PLACES_MAX &&
           c.axis[0].stride <= 16 && c.axis[1].stride <= 16 && c.axis[2].stride <= 16;
}

/* Weights as [places, channels], and the weight gradient's sums: one such block a lane. */
static int64_t lanes_of(const cj__conv_shape *c) { return min64(c->batch, LANES_MAX); }

cj_status cj__depth_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                            size_t *workspace)
{
    cj__conv_arrays t = cj__conv_arrays_of(k);
    cj__conv_shape c = cj__conv_shape_of(k->call->attributes, t.x, t.w, t.y);
    (void)arena;
    *prepared = NULL;
    bool weights = k->call->op == &cj_op_conv_weight_grad;
    *workspace = 4 * (size_t)t.w->count * (size_t)(weights ? lanes_of(&c) : 1);
    return CJ_OK;
}

typedef struct depth_job {
    const cj__conv_shape *c;
    const float *source, *bias, *addend, *packed;
    float *result;
    bool transposed, relu;
    axis a[CJ__SPATIAL_MAX];                       /* of the grid being computed */
    const int64_t *source_axis, *result_axis;
    int64_t source_batch, result_batch;
} depth_job;

/* Pixels t2 in [begin, end) of one row; `places` of them are inside for all, j2 in [j2, j2_end). */
typedef struct row_places {
    int n;
    ptrdiff_t offset[PLACES_MAX];
    const float *w[PLACES_MAX];
} row_places;

/* The places of a row whose first two coordinates are inside; offsets from element (0, 0, 0). */
static void places_of(const depth_job *job, int64_t t0, int64_t t1, int64_t j2, int64_t j2_end,
                      row_places *r)
{
    const axis *a = job->a;
    const cj__conv_shape *c = job->c;
    r->n = 0;
    for (int64_t j0 = 0; j0 < a[0].places; j0++)
        for (int64_t j1 = 0; j1 < a[1].places; j1++) {
            int64_t p0 = a[0].from + t0 * a[0].advance + j0 * a[0].apart,
                    p1 = a[1].from + t1 * a[1].advance + j1 * a[1].apart;
            if (p0 < 0 || p0 >= a[0].source || p1 < 0 || p1 >= a[1].source) continue;
            int64_t k = ((a[0].k_first + j0 * a[0].k_step) * c->axis[1].kernel + a[1].k_first +
                         j1 * a[1].k_step) * c->axis[2].kernel;
            for (int64_t j = j2; j < j2_end; j++) {
                r->offset[r->n] = (ptrdiff_t)(p0 * job->source_axis[0] + p1 * job->source_axis[1] +
                                              (a[2].from + j * a[2].apart) * job->source_axis[2]);
                r->w[r->n++] = job->packed + (k + a[2].k_first + j * a[2].k_step) * c->in;
            }
        }
}

/* Those places of the last axis that pixel t reads inside the image. */
static void inside(const axis *a, int64_t t, int64_t *low, int64_t *high)
{
    int64_t at = a->from + t * a->advance;
    *low = at < 0 ? min64((-at + a->apart - 1) / a->apart, a->places) : 0;
    *high = a->source > at ? min64((a->source - at - 1) / a->apart + 1, a->places) : 0;
    *high = max64(*high, *low);
}

static void depth_row(const depth_job *job, int64_t image, int64_t t0, int64_t t1)
{
    const axis *a = job->a;
    const cj__isa *isa = cj__isa_best();
    const size_t channels = (size_t)job->c->in;
    const float *x = job->source + image * job->source_batch;
    const int64_t start = image * job->result_batch +
                          (a[0].first + t0 * a[0].step) * job->result_axis[0] +
                          (a[1].first + t1 * a[1].step) * job->result_axis[1] +
                          a[2].first * job->result_axis[2];
    row_places r;
    for (int64_t t = 0, end; t < a[2].count; t = end) {
        int64_t low, high, l, h;
        inside(&a[2], t, &low, &high);
        for (end = t + 1; end < a[2].count; end++) {
            inside(&a[2], end, &l, &h);
            if (l != low || h != high) break;
        }
        places_of(job, t0, t1, low, high, &r);
        float *y = job->result + start + t * a[2].step * job->result_axis[2];
        if (job->addend) /* one pixel after the other: only forwards, where steps are 1 */
            memcpy(y, job->addend + (y - job->result),
                   (size_t)(end - t) * channels * sizeof(float));
        isa->depth_f32(&(cj__depth){.channels = channels,
                                    .count = (size_t)(end - t),
                                    .places = r.n,
                                    .in_step = (ptrdiff_t)(a[2].advance * job->source_axis[2]),
                                    .out_step = (ptrdiff_t)(a[2].step * job->result_axis[2]),
                                    .offset = r.offset,
                                    .w = r.w,
                                    .bias = job->bias,
                                    .add = job->addend != NULL,
                                    .relu = job->relu},
                       x + t * a[2].advance * job->source_axis[2], y);
    }
}

static void depth_rows(void *arg, int64_t begin, int64_t end)
{
    const depth_job *job = arg;
    for (int64_t row = begin; row < end; row++)
        depth_row(job, row / job->a[1].count / job->a[0].count,
                  row / job->a[1].count % job->a[0].count, row % job->a[1].count);
}

cj_status cj__depth_run(const cj_kernel *k)
{
    const cj__conv_attrs *attrs = k->call->attributes;
    cj__conv_arrays t = cj__conv_arrays_of(k);
    cj__conv_shape c = cj__conv_shape_of(attrs, t.x, t.w, t.y);
    bool transposed = k->call->op == &cj_op_conv_transpose;
    cj__isa_best()->transpose(4, (size_t)c.in, (size_t)c.places, t.w->data, (size_t)c.places,
                              k->workspace, (size_t)c.in);
    depth_job job = {.c = &c,
                     .source = transposed ? t.y->data : t.x->data,
                     .result = transposed ? t.x->data : t.y->data,
                     .bias = t.bias ? t.bias->data : NULL,
                     .addend = t.addend ? t.addend->data : NULL,
                     .packed = k->workspace,
                     .transposed = transposed,
                     .relu = !transposed && attrs->activation == CJ__EPILOGUE_RELU,
                     .source_axis = transposed ? c.y_axis : c.x_axis,
                     .result_axis = transposed ? c.x_axis : c.y_axis,
                     .source_batch = transposed ? c.y_batch : c.x_batch,
                     .result_batch = transposed ? c.x_batch : c.y_batch};
    int64_t s[3] = {1, 1, 1};
    for (int i = 0; i < 3 && transposed; i++) s[i] = c.axis[i].stride;
    for (int64_t v = 0; v < s[0] * s[1] * s[2]; v++) {
        const int64_t residue[3] = {v / s[2] / s[1], v / s[2] % s[1], v % s[2]};
        for (int i = 0; i < CJ__SPATIAL_MAX; i++)
            job.a[i] = transposed ? cj__conv_axis_backward(&c.axis[i], residue[i])
                                  : cj__conv_axis_forward(&c.axis[i]);
        cj__parallel_for(k->team, c.batch * job.a[0].count * job.a[1].count, ROWS_A_LANE,
                         depth_rows, &job);
    }
    return CJ_OK;
}

/* ---- Weight gradient ------------------------------------------------------------------------- */

typedef struct depth_weights {
    const cj__conv_shape *c;
    const float *x, *y;
    float *sums; /* lanes of [places, channels] */
    int64_t lanes;
} depth_weights;

static void add_place(const depth_weights *job, int64_t image, const int64_t k[3], float *sums)
{
    const cj__conv_shape *c = job->c;
    int64_t low[3], high[3], x = image * c->x_batch;
    for (int i = 0; i < 3; i++) {
        cj__window_range(&c->axis[i], k[i], &low[i], &high[i]);
        x += (k[i] * c->axis[i].dilation - c->axis[i].before + low[i] * c->axis[i].stride) *
             c->x_axis[i];
    }
    if (low[2] >= high[2]) return;
    for (int64_t i = low[0]; i < high[0]; i++)
        for (int64_t j = low[1]; j < high[1]; j++)
            cj__isa_best()->depth_dot_f32(
                (size_t)c->in, (size_t)(high[2] - low[2]),
                job->x + x + (i - low[0]) * c->axis[0].stride * c->x_axis[0] +
                    (j - low[1]) * c->axis[1].stride * c->x_axis[1],
                (ptrdiff_t)(c->axis[2].stride * c->x_axis[2]),
                job->y + image * c->y_batch + i * c->y_axis[0] + j * c->y_axis[1] +
                    low[2] * c->y_axis[2],
                (ptrdiff_t)c->y_axis[2], sums);
}

static void depth_weight_lanes(void *arg, int64_t begin, int64_t end)
{
    const depth_weights *job = arg;
    const cj__conv_shape *c = job->c;
    for (int64_t lane = begin; lane < end; lane++) {
        float *sums = job->sums + lane * c->places * c->in;
        memset(sums, 0, (size_t)(c->places * c->in) * sizeof(float));
        for (int64_t n = lane * c->batch / job->lanes; n < (lane + 1) * c->batch / job->lanes; n++)
            for (int64_t p = 0; p < c->places; p++) {
                int64_t k1 = c->axis[1].kernel, k2 = c->axis[2].kernel;
                add_place(job, n, (int64_t[]){p / k2 / k1, p / k2 % k1, p % k2}, sums + p * c->in);
            }
    }
}

cj_status cj__depth_weight_run(const cj_kernel *k)
{
    cj__conv_arrays t = cj__conv_arrays_of(k);
    cj__conv_shape c = cj__conv_shape_of(k->call->attributes, t.x, t.w, t.y);
    depth_weights job = {&c, t.x->data, t.y->data, k->workspace, lanes_of(&c)};
    cj__parallel_for(k->team, job.lanes, 1, depth_weight_lanes, &job);
    cj__tree_sum_rows_f32(job.sums, job.lanes, c.places * c.in);
    cj__isa_best()->transpose(4, (size_t)c.places, (size_t)c.in, job.sums, (size_t)c.in, t.w->data,
                              (size_t)c.places);
    return CJ_OK;
}
