/* pool.c: pooling of f32 images, forwards and backwards, at the speed of memory.
 *
 * Both directions are one loop over the elements of the result, each written once, in any order, by
 * any thread. What differs is where an element reads: a window of y at its places in x, an element
 * of x at the windows of y that hold it. Along an axis those positions move evenly:
 *
 *     kernel 3, stride 2, before 1     y: window t reads x at 2t-1, 2t, 2t+1
 *                                      x: even elements 2t: place 1 of window t
 *                                         odd elements 2t+1: place 2 of window t, place 0 of t+1
 *
 * so the results along a row are a few progressions (one forwards, `stride` of them backwards), and
 * in the interior of each, where nothing is cut off by the borders, one call of a vector kernel
 * does all of them. Windows that overlap are summed in the order of their places. */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "graph/ops/pool.h"

enum { PLACES_MAX = 1024, BLOCK_ELEMENTS = 16384 };

/* Results first, first + out_step ... along an axis: number t reads position in[i] + t in_step as
 * place k[i], if that lies in 0 .. limit-1. */
typedef struct progression {
    int64_t first, count, out_step, in_step, limit;
    int n;
    int64_t k[PLACES_MAX], in[PLACES_MAX];
} progression;

/* Which places an axis reads for one result. */
typedef struct hits {
    int n;
    int64_t k[PLACES_MAX], in[PLACES_MAX];
} hits;

static int phases_of(const cj__window *w, bool backwards)
{
    return backwards ? (int)(w->stride < w->n ? w->stride : w->n) : 1;
}

static void progress(const cj__window *w, bool backwards, int64_t phase, progression *p)
{
    p->n = 0;
    p->first = phase;
    p->out_step = backwards ? w->stride : 1;
    p->in_step = backwards ? 1 : w->stride;
    p->limit = backwards ? w->result : w->n;
    p->count = backwards ? (w->n - phase + w->stride - 1) / w->stride : w->result;
    for (int64_t k = 0; k < w->kernel; k++) {
        int64_t in = backwards ? phase + w->before - k * w->dilation : k * w->dilation - w->before;
        if (backwards && in % w->stride) continue;
        p->k[p->n] = k;
        p->in[p->n++] = backwards ? in / w->stride : in;
    }
}

static void hits_of(const progression *p, int64_t t, hits *h)
{
    h->n = 0;
    for (int i = 0; i < p->n; i++) {
        int64_t in = p->in[i] + t * p->in_step;
        if (in < 0 || in >= p->limit) continue;
        h->k[h->n] = p->k[i];
        h->in[h->n++] = in;
    }
}

static void hits_at(const cj__window *w, bool backwards, int64_t at, hits *h)
{
    progression p;
    int64_t phase = backwards ? at % w->stride : 0;
    progress(w, backwards, phase, &p);
    hits_of(&p, backwards ? at / w->stride : at, h);
}

/* The results low .. high-1 of a progression that read at low_in .. high_in-1 only. */
static void interior(const progression *p, int64_t low_in, int64_t high_in, int64_t *low,
                     int64_t *high)
{
    *low = 0;
    *high = p->count;
    for (int i = 0; i < p->n; i++) {
        int64_t before = low_in - p->in[i], room = high_in - 1 - p->in[i];
        int64_t first = before > 0 ? (before + p->in_step - 1) / p->in_step : 0;
        int64_t end = room < 0 ? 0 : room / p->in_step + 1;
        if (first > *low) *low = first;
        if (end < *high) *high = end;
    }
    if (*low >= *high) *low = *high = 0;
}

/* The windows of an axis that hold no padding. */
static void full_windows(const cj__window *w, int64_t *low, int64_t *high)
{
    int64_t room = w->n - 1 - (w->kernel - 1) * w->dilation + w->before;
    *low = (w->before + w->stride - 1) / w->stride;
    *high = room < 0 ? 0 : room / w->stride + 1;
    if (*high > w->result) *high = w->result;
    if (*low > *high) *low = *high;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

typedef struct work {
    const cj__isa *isa;
    const cj_kernel *kernel;
    const cj__pool_attrs *attrs;
    cj__pool p;
    bool backwards, average;
    const float *in;
    const uint8_t *index_in;
    float *out;
    uint8_t *index_out;
    int64_t in_image, in_channel, out_image, out_channel; /* steps in elements */
    const int64_t *in_axis, *out_axis;
    bool stream; /* the result is larger than a cache */
} work;

/* One row of results: where it begins, and what the outer axes read. */
typedef struct row {
    const work *w;
    int64_t in, out, outer[2]; /* outer: the place of the row along the first two axes */
    hits h[2];
    int64_t offset[PLACES_MAX];
    float weight[PLACES_MAX];
    uint8_t place[PLACES_MAX];
} row;

/* Offsets and places for what the last axis reads, in the order of the places. */
static int combine(row *r, const hits *last)
{
    const work *w = r->w;
    int n = 0;
    for (int a = 0; a < r->h[0].n; a++)
        for (int b = 0; b < r->h[1].n; b++)
            for (int c = 0; c < last->n; c++) {
                int64_t window[] = {r->h[0].in[a], r->h[1].in[b], last->in[c]};
                r->offset[n] = window[0] * w->in_axis[0] + window[1] * w->in_axis[1] +
                               window[2] * w->in_axis[2];
                r->place[n] = (uint8_t)((r->h[0].k[a] * w->p.axis[1].kernel + r->h[1].k[b]) *
                                            w->p.axis[2].kernel +
                                        last->k[c]);
                if (w->average && w->backwards)
                    r->weight[n] = (float)(1 / cj__pool_divisor(w->attrs, &w->p, window));
                n++;
            }
    return n;
}

/* `count` results of progression p from number t on, which all read alike. */
static void run_span(row *r, const progression *p, int64_t t, int64_t count)
{
    const work *w = r->w;
    hits last;
    hits_of(p, t, &last);
    bool channels = w->p.channels_last;
    int64_t in_step = p->in_step * w->in_axis[2], out_step = p->out_step * w->out_axis[2];
    cj__pool_span s = {.places = combine(r, &last),
                       .offset = r->offset,
                       .place = r->place,
                       .weight = w->average && w->backwards ? r->weight : NULL,
                       .divisor = 1,
                       .phases = 1,
                       .count = channels ? count : 1,
                       .lanes = channels ? w->p.channels : count,
                       .in_step = in_step,
                       .out_step = out_step,
                       .in_lane = channels ? 1 : in_step,
                       .out_lane = channels ? 1 : out_step};
    int64_t at = p->first + t * p->out_step, out = r->out + at * w->out_axis[2];
    int64_t window[] = {r->outer[0], r->outer[1], at};
    if (w->average) {
        if (!w->backwards) s.divisor = (float)cj__pool_divisor(w->attrs, &w->p, window);
        w->isa->pool_sum_f32(&s, w->in + r->in, w->out + out);
    } else if (w->backwards) {
        w->isa->pool_spread_f32(&s, w->in + r->in, w->index_in + r->in, w->out + out);
    } else {
        w->isa->pool_max_f32(&s, w->in + r->in, w->out + out,
                             w->index_out ? w->index_out + out : NULL);
    }
}

/* Do the windows of an axis lie side by side, with no gap and no padding? */
static bool is_tiled(const cj__window *w)
{
    return w->stride == w->kernel && w->dilation == 1 && w->before == 0 && w->kernel <= 16 &&
           w->result * w->kernel <= w->n;
}

/* A row of pool_spread whose windows are tiles; what is behind them gets zeros. */
static void run_tiles(row *r)
{
    const work *w = r->w;
    const cj__window *axis = &w->p.axis[2];
    int64_t step = w->out_axis[2], covered = axis->result * axis->kernel;
    hits last = {.n = (int)axis->kernel};
    for (int i = 0; i < last.n; i++) last.k[i] = i, last.in[i] = 0;
    float *out = w->out + r->out;
    if (combine(r, &last) != last.n) { /* no window holds this row */
        memset(out, 0, (size_t)(axis->n * step) * sizeof *out);
        return;
    }
    cj__pool_span s = {.places = 1,
                       .offset = r->offset,
                       .place = r->place,
                       .phases = last.n,
                       .out_phase = step,
                       .stream = w->stream,
                       .count = axis->result,
                       .lanes = w->p.channels,
                       .in_step = w->in_axis[2],
                       .out_step = axis->kernel * step,
                       .in_lane = 1,
                       .out_lane = 1};
    w->isa->pool_spread_f32(&s, w->in + r->in, w->index_in + r->in, out);
    memset(out + covered * step, 0, (size_t)((axis->n - covered) * step) * sizeof *out);
}

static void run_row(row *r)
{
    const cj__window *axis = &r->w->p.axis[2];
    progression p;
    bool one = r->h[0].n <= 1 && r->h[1].n <= 1; /* of a window along the other axes */
    if (one && r->w->index_in && r->w->p.channels_last && is_tiled(axis) && axis->kernel > 1) {
        run_tiles(r);
        return;
    }
    for (int phase = 0; phase < phases_of(axis, r->w->backwards); phase++) {
        int64_t low_in = 0, high_in, low, high;
        progress(axis, r->w->backwards, phase, &p);
        high_in = p.limit;
        if (r->w->average && r->w->backwards) full_windows(axis, &low_in, &high_in);
        interior(&p, low_in, high_in, &low, &high);
        for (int64_t t = 0; t < low; t++) run_span(r, &p, t, 1);
        if (low < high) run_span(r, &p, low, high - low);
        for (int64_t t = high; t < p.count; t++) run_span(r, &p, t, 1);
    }
}

/* Rows are numbered image, channel (when those come first), first axis, second axis. */
static void rows_block(void *arg, int64_t begin, int64_t end)
{
    const work *w = arg;
    row r;
    r.w = w;
    for (int64_t i = begin; i < end; i++) {
        int64_t left = i, channel = 0;
        for (int a = 1; a >= 0; a--) {
            int64_t n = w->backwards ? w->p.axis[a].n : w->p.axis[a].result;
            r.outer[a] = left % n;
            left /= n;
            hits_at(&w->p.axis[a], w->backwards, r.outer[a], &r.h[a]);
        }
        if (!w->p.channels_last) {
            channel = left % w->p.channels;
            left /= w->p.channels;
        }
        r.in = left * w->in_image + channel * w->in_channel;
        r.out = left * w->out_image + channel * w->out_channel + r.outer[0] * w->out_axis[0] +
                r.outer[1] * w->out_axis[1];
        run_row(&r);
    }
    if (w->stream) w->isa->stream_end();
}

/* ---- Kernels --------------------------------------------------------------------------------- */

bool cj__pool_supports(const cj_kernel *k)
{
    const cj__pool_attrs *a = k->call->attributes;
    int64_t places = 1;
    for (int i = 0; i < a->kernel.n; i++) places *= a->kernel.v[i];
    if (!cj__is_f32(k->in[0]) || places > PLACES_MAX) return false;
    if (k->call->op == &cj_op_max_pool) return k->out[1]->dtype == CJ_U8;
    return k->call->op != &cj_op_pool_spread || (k->in[1]->dtype == CJ_U8 && places <= 256);
}

cj_status cj__pool_run(const cj_kernel *k)
{
    const cj_op *op = k->call->op;
    bool backwards = op == &cj_op_pool_spread || op == &cj_op_avg_pool_grad;
    const cj_array *x = backwards ? k->out[0] : k->in[0], *y = backwards ? k->in[0] : k->out[0];
    if (!k->out[0]->count) return CJ_OK;
    work w = {.isa = cj__isa_best(),
              .kernel = k,
              .attrs = k->call->attributes,
              .p = cj__pool_of(k->call->attributes, x, y),
              .backwards = backwards,
              .average = op == &cj_op_avg_pool || op == &cj_op_avg_pool_grad,
              .in = k->in[0]->data,
              .index_in = op == &cj_op_pool_spread ? k->in[1]->data : NULL,
              .out = k->out[0]->data,
              .index_out = op == &cj_op_max_pool ? k->out[1]->data : NULL};
    w.in_image = backwards ? w.p.y_image : w.p.x_image;
    w.in_channel = backwards ? w.p.y_channel : w.p.x_channel;
    w.out_image = backwards ? w.p.x_image : w.p.y_image;
    w.out_channel = backwards ? w.p.x_channel : w.p.y_channel;
    w.in_axis = backwards ? w.p.y_axis : w.p.x_axis;
    w.out_axis = backwards ? w.p.x_axis : w.p.y_axis;
    int64_t length = (backwards ? w.p.axis[2].n : w.p.axis[2].result) *
                     (w.p.channels_last ? w.p.channels : 1);
    w.stream = backwards && (uintptr_t)w.out % 64 == 0 && w.p.channels % 16 == 0 &&
               (size_t)k->out[0]->count * sizeof(float) >= CJ__STREAM_BYTES;
    int64_t rows = k->out[0]->count / length, block = BLOCK_ELEMENTS / length;
    cj__parallel_for(k->team, rows, block ? block : 1, rows_block, &w);
    return CJ_OK;
}
