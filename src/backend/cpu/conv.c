/* conv.c: f32 convolutions as products of gathered pixels and weights, without oneDNN.
 *
 * A block of result pixels is gathered from the image, place after place, into a panel that stays
 * in the second-level cache; then one matrix product makes the block's results:
 *
 *              run = one row of the kernel: K2 * channels floats, mostly one copy
 *     panel    [x(i + 0) .. | x(i + 1) .. | x(i + 2) ..]   a row for each pixel of the block
 *     weights  [run * runs, filters]                       packed once a call in strips
 *
 * The input gradient is the same walk over dy: element p of x meets place k of window i when
 * p = i stride - before + k dilation. The p of one residue modulo the stride meet the same places,
 * so each residue (a `grid`) is a convolution with stride 1 and a part of the weights. The weight
 * gradient multiplies the panel, read transposed, with dy; ranges of pixels have sums of their own
 * that are added in order, so bits do not depend on threads.
 *
 * Padding is zeros in the panel and takes part in the products: an infinity that meets it gives NaN
 * where the definition leaves it out.
 *
 * Lanes are a fixed number of parts of the work, each with its own panel in the workspace.
 * Channels-first images are transposed into the workspace, image by image. */
#include <string.h>

#include "backend/cpu/conv.h"

enum {
    LANES_MAX = 16,
    RUN_FLOATS = 1152,    /* a panel's row, unless one run is longer */
    PANEL_FLOATS = 49152, /* of which that many rows fit, 48 at least */
    ROWS_MIN = 48,
    ROWS_MAX = 240,
    SUMS_FLOATS = 1 << 20 /* bound of all ranges' sums of the weight gradient */
};

/* A part of the results that all meet the same places. */
typedef struct grid {
    axis a[CJ__SPATIAL_MAX];
    int64_t pixels; /* of one image */
    int64_t depth;  /* places * channels of the source: rows of the weights */
    size_t packed;  /* where its weights begin, in floats */
} grid;

typedef struct conv_plan {
    cj__conv_shape c;
    bool transposed;          /* conv_transpose */
    int64_t from, to;         /* channels of a group: of the source, of the result */
    int64_t source_channels, result_channels;
    int64_t rows, run;        /* of the panel */
    int64_t lanes;
    int n_grids;
    grid *grids;
    size_t packed, panel, tile; /* floats of the workspace: weights, a lane's panel, its results */
    size_t image, result;       /* of a lane's transposed image and results; 0: channels last */
    int64_t n_runs;             /* weight gradient: tasks are lanes * n_runs */
    size_t sums;                /* of one range */
} conv_plan;

/* ---- Plans ----------------------------------------------------------------------------------- */

static bool is_dense(const cj__conv_shape *c)
{
    return c->groups == 1 || (c->in / c->groups >= 4 && c->out / c->groups >= 4);
}

bool cj__conv_supports(const cj_kernel *k)
{
    cj__conv_arrays t = cj__conv_arrays_of(k);
    if (!cj__is_f32(t.x) || !t.x->count || !t.w->count || !t.y->count) return false;
    cj__conv_shape c = cj__conv_shape_of(k->call->attributes, t.x, t.w, t.y);
    for (int i = 0; i < CJ__SPATIAL_MAX; i++)
        if (c.axis[i].stride > 16) return false; /* as many grids */
    return is_dense(&c);
}

static bool fill_grid(conv_plan *p, grid *g, const int64_t residue[CJ__SPATIAL_MAX])
{
    g->pixels = 1;
    g->depth = p->from;
    for (int i = 0; i < CJ__SPATIAL_MAX; i++) {
        g->a[i] = p->transposed ? cj__conv_axis_backward(&p->c.axis[i], residue[i])
                                : cj__conv_axis_forward(&p->c.axis[i]);
        g->pixels *= g->a[i].count;
        g->depth *= g->a[i].places;
    }
    return g->pixels > 0;
}

/* A panel's width and height for grids of these sizes. */
static void fit_panel(conv_plan *p)
{
    int64_t pixels = 1, run = p->from * p->c.axis[2].kernel,
            runs = p->c.places / p->c.axis[2].kernel;
    for (int i = 0; i < p->n_grids; i++) pixels = max64(pixels, p->grids[i].pixels);
    p->run = run * max64(1, min64(runs, RUN_FLOATS / run));
    p->rows = min64(max64(PANEL_FLOATS / p->run / 48 * 48, ROWS_MIN), ROWS_MAX);
    int64_t all = p->c.channels_last ? p->c.batch * pixels : pixels,
            blocks = up(all, p->rows) / p->rows;
    p->rows = up((all + blocks - 1) / blocks, 12);
    p->lanes = p->c.channels_last ? min64(blocks, LANES_MAX) : min64(p->c.batch, LANES_MAX);
}

cj_status cj__conv_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                           size_t *workspace)
{
    cj__conv_arrays t = cj__conv_arrays_of(k);
    conv_plan *p = cj__arena_alloc(arena, sizeof *p);
    if (!p) return CJ_ERR_MEMORY;
    p->c = cj__conv_shape_of(k->call->attributes, t.x, t.w, t.y);
    p->transposed = k->call->op == &cj_op_conv_transpose;
    p->source_channels = p->transposed ? p->c.out : p->c.in;
    p->result_channels = p->transposed ? p->c.in : p->c.out;
    p->from = p->source_channels / p->c.groups;
    p->to = p->result_channels / p->c.groups;
    int64_t n = 1;
    for (int i = 0; i < CJ__SPATIAL_MAX && p->transposed; i++) n *= p->c.axis[i].stride;
    p->grids = cj__arena_array(arena, (size_t)n, sizeof *p->grids);
    if (!p->grids) return CJ_ERR_MEMORY;
    const int64_t strip = cj__isa_best()->gemm_strip;
    for (int64_t i = 0; i < n; i++) {
        int64_t s1 = p->c.axis[1].stride, s2 = p->c.axis[2].stride;
        grid *g = &p->grids[p->n_grids];
        g->packed = p->packed;
        if (!fill_grid(p, g, (int64_t[]){i / s2 / s1, i / s2 % s1, i % s2})) continue;
        p->packed += (size_t)(p->c.groups * g->depth * up(p->to, strip));
        p->n_grids++;
    }
    fit_panel(p);
    p->panel = (size_t)up(p->rows * p->run, 16);
    p->tile = p->transposed ? (size_t)up(p->rows * p->to, 16) : 0;
    if (!p->c.channels_last) {
        p->image = (size_t)up((p->transposed ? t.y->count : t.x->count) / p->c.batch, 16);
        p->result = (size_t)up((p->transposed ? t.x->count : t.y->count) / p->c.batch, 16);
    }
    *prepared = p;
    *workspace = 4 * (p->packed + (size_t)p->lanes * (p->panel + p->tile + p->image + p->result));
    return CJ_OK;
}

/* ---- Weights --------------------------------------------------------------------------------- */

/* The number of place (j0, j1, j2) of a grid in the kernel. */
static int64_t place_of(const cj__conv_shape *c, const grid *g, int64_t j0, int64_t j1, int64_t j2)
{
    int64_t k0 = g->a[0].k_first + j0 * g->a[0].k_step, k1 = g->a[1].k_first + j1 * g->a[1].k_step,
            k2 = g->a[2].k_first + j2 * g->a[2].k_step;
    return (k0 * c->axis[1].kernel + k1) * c->axis[2].kernel + k2;
}

typedef struct packing {
    const conv_plan *p;
    const float *w;
    float *packed;
    int64_t strips; /* of a group */
} packing;

/* Strip number i of all groups: column j is filter (forwards) or channel (backwards) number j. */
static void pack_strips(void *arg, int64_t begin, int64_t end)
{
    const packing *job = arg;
    const conv_plan *p = job->p;
    const cj__conv_shape *c = &p->c;
    const int64_t width = cj__isa_best()->gemm_strip, in = c->in / c->groups;
    const int64_t across = p->transposed ? c->places : in * c->places; /* from column to column */
    const int64_t down = p->transposed ? in * c->places : c->places;   /* from channel to channel */
    for (int64_t i = begin; i < end; i++) {
        int64_t group = i / job->strips, first = i % job->strips * width,
                n = min64(width, p->to - first);
        const float *w = job->w + group * (c->out / c->groups) * in * c->places + first * across;
        for (int v = 0; v < p->n_grids; v++) {
            const grid *g = &p->grids[v];
            float *to = job->packed + g->packed +
                        (group * job->strips * width + first) * g->depth;
            for (int64_t j0 = 0; j0 < g->a[0].places; j0++)
                for (int64_t j1 = 0; j1 < g->a[1].places; j1++)
                    for (int64_t j2 = 0; j2 < g->a[2].places; j2++) {
                        const float *from = w + place_of(c, g, j0, j1, j2);
                        for (int64_t ch = 0; ch < p->from; ch++, to += width, from += down) {
                            for (int64_t j = 0; j < n; j++) to[j] = from[j * across];
                            for (int64_t j = n; j < width; j++) to[j] = 0;
                        }
                    }
        }
    }
}

static void pack_weights(const conv_plan *p, cj__team *team, const float *w, float *packed)
{
    const int64_t width = cj__isa_best()->gemm_strip;
    packing job = {p, w, packed, up(p->to, width) / width};
    cj__parallel_for(team, p->c.groups * job.strips, 1, pack_strips, &job);
}

/* ---- Gathering ------------------------------------------------------------------------------- */

/* A source image with channels last; strides count floats. */
typedef struct source {
    const float *data;
    int64_t batch, channels, axis[CJ__SPATIAL_MAX];
} source;

/* One row of the kernel for one pixel: places j of the last axis from element `at` on. */
static void copy_run(const axis *a, const float *row, int64_t at, int64_t channels, int64_t from,
                     float *to)
{
    if (a->apart == 1 && channels == from) { /* one piece, cut at the borders */
        int64_t low = at < 0 ? min64(-at, a->places) : 0,
                high = max64(min64(a->places, a->source - at), low);
        for (int64_t i = 0; i < low * from; i++) to[i] = 0;
        if (high > low) {
            const float *x = row + (at + low) * from;
            const int64_t n = (high - low) * from;
            float *y = to + low * from;
            if (n < 16)
                for (int64_t i = 0; i < n; i++) y[i] = x[i];
            else memcpy(y, x, (size_t)n * sizeof(float));
        }
        for (int64_t i = high * from; i < a->places * from; i++) to[i] = 0;
        return;
    }
    for (int64_t j = 0; j < a->places; j++, at += a->apart, to += from) {
        const bool inside = at >= 0 && at < a->source;
        if (inside) memcpy(to, row + at * channels, (size_t)from * sizeof(float));
        else memset(to, 0, (size_t)from * sizeof(float));
    }
}

/* Runs [run, run_end) of pixels [begin, end) of the grid, counted over all images, channels of
 * `group`; a panel's row is `width` floats. */
static void gather(const grid *g, const source *x, int64_t begin, int64_t end, int64_t run,
                   int64_t run_end, int64_t from, int64_t group, float *panel, int64_t width)
{
    const axis *a = g->a;
    const int64_t length = a[2].places * from;
    int64_t t2 = begin % a[2].count, t1 = begin / a[2].count % a[1].count,
            t0 = begin / a[2].count / a[1].count % a[0].count, image = begin / g->pixels;
    for (int64_t pixel = begin; pixel < end; pixel++, panel += width) {
        const float *base = x->data + image * x->batch + group * from;
        const int64_t at = a[2].from + t2 * a[2].advance;
        for (int64_t r = run; r < run_end; r++) {
            const int64_t p0 = a[0].from + t0 * a[0].advance + r / a[1].places * a[0].apart,
                          p1 = a[1].from + t1 * a[1].advance + r % a[1].places * a[1].apart;
            float *to = panel + (r - run) * length;
            if (p0 < 0 || p0 >= a[0].source || p1 < 0 || p1 >= a[1].source)
                memset(to, 0, (size_t)length * sizeof(float));
            else
                copy_run(&a[2], base + p0 * x->axis[0] + p1 * x->axis[1], at, x->channels, from,
                         to);
        }
        if (++t2 < a[2].count) continue;
        t2 = 0;
        if (++t1 < a[1].count) continue;
        t1 = 0;
        if (++t0 < a[0].count) continue;
        t0 = 0;
        image++;
    }
}

/* Every pixel reads just its own element: the image is the panel. */
static bool is_plain(const grid *g)
{
    for (int i = 0; i < CJ__SPATIAL_MAX; i++) {
        const axis *a = &g->a[i];
        if (a->places != 1 || a->from || a->advance != 1 || a->count != a->source) return false;
    }
    return true;
}

/* ---- Forward and input gradient -------------------------------------------------------------- */

typedef struct conv_job {
    const conv_plan *p;
    const float *source, *bias, *addend;
    float *result, *packed, *scratch;
    bool relu;
} conv_job;

/* A result with channels last. */
typedef struct target {
    float *data;
    const float *addend; /* data: it is there already */
    int64_t batch, channels, axis[CJ__SPATIAL_MAX];
} target;

/* Rows of a tile to pixels that do not follow one another, and the same from them. */
static void scatter_rows(const grid *g, const target *y, int64_t begin, int64_t end, int64_t n,
                         int64_t first_channel, const float *tile)
{
    const axis *a = g->a;
    for (int64_t i = begin; i < end; i++, tile += n) {
        int64_t t2 = i % a[2].count, t1 = i / a[2].count % a[1].count,
                t0 = i / a[2].count / a[1].count % a[0].count;
        float *to = y->data + i / g->pixels * y->batch +
                    (a[0].first + t0 * a[0].step) * y->axis[0] +
                    (a[1].first + t1 * a[1].step) * y->axis[1] +
                    (a[2].first + t2 * a[2].step) * y->axis[2] + first_channel;
        memcpy(to, tile, (size_t)n * sizeof(float));
    }
}

static bool is_contiguous(const grid *g)
{
    return g->a[0].step == 1 && g->a[1].step == 1 && g->a[2].step == 1;
}

/* Pixels [begin, end) of one grid, all channels. */
static void convolve(const conv_job *job, const grid *g, const source *x, const target *y,
                     int64_t begin, int64_t end, float *panel, float *tile)
{
    const conv_plan *p = job->p;
    const int64_t runs = g->a[0].places * g->a[1].places, length = g->a[2].places * p->from;
    const int64_t some = length ? max64(1, p->run / length) : 1;
    const bool direct = is_contiguous(g), plain = is_plain(g);
    const cj__isa *isa = cj__isa_best();
    const size_t group_weights = (size_t)(g->depth * up(p->to, isa->gemm_strip));
    for (int64_t group = 0; group < p->c.groups; group++) {
        const int64_t first = group * p->to;
        float *c = direct ? y->data + begin * y->channels + first : tile;
        cj__gemm product = {.m = end - begin,
                            .n = p->to,
                            .alpha = 1,
                            .c = c,
                            .ldc = direct ? y->channels : p->to};
        if (!g->depth) memset(tile, 0, (size_t)((end - begin) * p->to) * sizeof(float));
        if (y->addend) {
            for (int64_t i = begin; y->addend != y->data && i < end; i++)
                memcpy(y->data + i * y->channels + first, y->addend + i * y->channels + first,
                       (size_t)p->to * sizeof(float));
            product.beta = 1;
        }
        for (int64_t run = 0; g->depth && run < runs; run += some, product.beta = 1) {
            const int64_t run_end = min64(run + some, runs);
            product.k = (run_end - run) * length;
            if (plain) {
                product.a = x->data + begin * x->channels + group * p->from;
                product.lda = x->channels;
            } else {
                gather(g, x, begin, end, run, run_end, p->from, group, panel, product.k);
                product.a = panel;
                product.lda = product.k;
            }
            product.bias = run_end == runs && job->bias ? job->bias + first : NULL;
            product.relu = run_end == runs && job->relu;
            product.b = job->packed + g->packed + (size_t)group * group_weights +
                        (size_t)(run * length) * (size_t)isa->gemm_strip;
            product.ldb = g->depth;
            isa->gemm_packed_f32(&product);
        }
        if (!direct) scatter_rows(g, y, begin, end, p->to, first, tile);
    }
}

/* The blocks `lane` of `lanes` has of all pixels of all images. */
static void convolve_lane(const conv_job *job, const source *x, const target *y, int64_t images,
                          int64_t lane, int64_t lanes, float *panel)
{
    const conv_plan *p = job->p;
    for (int v = 0; v < p->n_grids; v++) {
        const grid *g = &p->grids[v];
        const int64_t all = images * g->pixels, blocks = (all + p->rows - 1) / p->rows;
        const int64_t last = (lane + 1) * blocks / lanes;
        for (int64_t block = lane * blocks / lanes; block < last; block++)
            convolve(job, g, x, y, block * p->rows, min64(all, (block + 1) * p->rows), panel,
                     panel + p->panel);
    }
}

/* Strides of an image [a0, a1, a2, channels]. */
static void strides_last(const int64_t size[CJ__SPATIAL_MAX], int64_t channels,
                         int64_t stride[CJ__SPATIAL_MAX])
{
    stride[2] = channels;
    stride[1] = size[2] * stride[2];
    stride[0] = size[1] * stride[1];
}

static void conv_lanes(void *arg, int64_t begin, int64_t end)
{
    const conv_job *job = arg;
    const conv_plan *p = job->p;
    const cj__conv_shape *c = &p->c;
    const cj__isa *isa = cj__isa_best();
    int64_t from[CJ__SPATIAL_MAX], to[CJ__SPATIAL_MAX];
    for (int i = 0; i < CJ__SPATIAL_MAX; i++) {
        from[i] = p->transposed ? c->axis[i].result : c->axis[i].n;
        to[i] = p->transposed ? c->axis[i].n : c->axis[i].result;
    }
    const int64_t in = p->source_channels, out = p->result_channels,
                  pixels_in = from[0] * from[1] * from[2], pixels_out = to[0] * to[1] * to[2];
    source x = {.data = job->source, .channels = in, .batch = pixels_in * in};
    target y = {.data = job->result, .addend = job->addend, .channels = out,
                .batch = pixels_out * out};
    strides_last(from, in, x.axis);
    strides_last(to, out, y.axis);
    for (int64_t lane = begin; lane < end; lane++) {
        float *panel = job->scratch + (size_t)lane * (p->panel + p->tile + p->image + p->result);
        if (c->channels_last) {
            convolve_lane(job, &x, &y, c->batch, lane, p->lanes, panel);
            continue;
        }
        float *image = panel + p->panel + p->tile, *result = image + p->image;
        x.data = image;
        y.data = result;
        y.addend = job->addend ? result : NULL;
        for (int64_t n = lane * c->batch / p->lanes; n < (lane + 1) * c->batch / p->lanes; n++) {
            isa->transpose(4, (size_t)in, (size_t)pixels_in, job->source + n * pixels_in * in,
                           (size_t)pixels_in, image, (size_t)in);
            if (job->addend)
                isa->transpose(4, (size_t)out, (size_t)pixels_out,
                               job->addend + n * pixels_out * out, (size_t)pixels_out, result,
                               (size_t)out);
            convolve_lane(job, &x, &y, 1, 0, 1, panel);
            isa->transpose(4, (size_t)pixels_out, (size_t)out, result, (size_t)out,
                           job->result + n * pixels_out * out, (size_t)pixels_out);
        }
    }
}

cj_status cj__conv_run(const cj_kernel *k)
{
    const conv_plan *p = k->prepared;
    const cj__conv_attrs *a = k->call->attributes;
    cj__conv_arrays t = cj__conv_arrays_of(k);
    float *packed = k->workspace;
    conv_job job = {.p = p,
                    .source = p->transposed ? t.y->data : t.x->data,
                    .result = p->transposed ? t.x->data : t.y->data,
                    .bias = t.bias ? t.bias->data : NULL,
                    .addend = t.addend ? t.addend->data : NULL,
                    .packed = packed,
                    .scratch = packed + p->packed,
                    .relu = !p->transposed && a->activation == CJ__EPILOGUE_RELU};
    pack_weights(p, k->team, t.w->data, packed);
    cj__parallel_for(k->team, p->lanes, 1, conv_lanes, &job);
    return CJ_OK;
}

/* ---- Weight gradient ------------------------------------------------------------------------- */

/* Lanes are ranges of pixels; a task is one lane's sums for one chunk of runs. */
cj_status cj__conv_weight_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                                  size_t *workspace)
{
    cj__conv_arrays t = cj__conv_arrays_of(k);
    conv_plan *p = cj__arena_alloc(arena, sizeof *p);
    if (!p) return CJ_ERR_MEMORY;
    p->c = cj__conv_shape_of(k->call->attributes, t.x, t.w, t.y);
    p->source_channels = p->c.in;
    p->result_channels = p->c.out;
    p->from = p->c.in / p->c.groups;
    p->to = p->c.out / p->c.groups;
    p->grids = cj__arena_array(arena, 1, sizeof *p->grids);
    if (!p->grids) return CJ_ERR_MEMORY;
    p->n_grids = 1;
    fill_grid(p, p->grids, (int64_t[CJ__SPATIAL_MAX]){0});
    fit_panel(p);
    const int64_t runs = p->c.places / p->c.axis[2].kernel,
                  some = p->run / (p->from * p->c.axis[2].kernel);
    p->n_runs = (runs + some - 1) / some;
    p->sums = (size_t)up(t.w->count, 16);
    p->lanes = max64(1, min64(min64(p->lanes, LANES_MAX / p->n_runs),
                              SUMS_FLOATS / (int64_t)p->sums));
    p->panel = (size_t)up(p->rows * p->run, 16);
    if (!p->c.channels_last) {
        p->image = (size_t)up(t.x->count / p->c.batch, 16);
        p->result = (size_t)up(t.y->count / p->c.batch, 16);
    }
    *prepared = p;
    *workspace = 4 * ((size_t)p->lanes * p->sums +
                      (size_t)(p->lanes * p->n_runs) * (p->panel + p->image + p->result));
    return CJ_OK;
}

typedef struct weight_job {
    const conv_plan *p;
    const float *x, *y;
    float *sums, *scratch, *w;
} weight_job;

/* Adds the products of pixels [begin, end) to sums [groups, depth, to], rows of runs [run,
 * run_end). */
static void add_products(const conv_plan *p, const source *x, const float *y, int64_t begin,
                         int64_t end, int64_t run, int64_t run_end, bool first, float *sums,
                         float *panel)
{
    const grid *g = p->grids;
    const int64_t length = g->a[2].places * p->from, width = (run_end - run) * length;
    const bool plain = is_plain(g);
    for (int64_t group = 0; group < p->c.groups; group++) {
        if (!plain) gather(g, x, begin, end, run, run_end, p->from, group, panel, width);
        cj__isa_best()->gemm_f32(
            NULL, &(cj__gemm){.m = width,
                              .n = p->to,
                              .k = end - begin,
                              .transpose_a = true,
                              .alpha = 1,
                              .beta = !first,
                              .a = plain ? x->data + begin * x->channels + group * p->from : panel,
                              .lda = plain ? x->channels : width,
                              .b = y + begin * p->result_channels + group * p->to,
                              .ldb = p->result_channels,
                              .c = sums + (group * g->depth + run * length) * p->to,
                              .ldc = p->to});
    }
}

static void weight_tasks(void *arg, int64_t begin, int64_t end)
{
    const weight_job *job = arg;
    const conv_plan *p = job->p;
    const cj__conv_shape *c = &p->c;
    const grid *g = p->grids;
    const cj__isa *isa = cj__isa_best();
    const int64_t runs = g->a[0].places * g->a[1].places,
                  some = p->run / (g->a[2].places * p->from),
                  size[CJ__SPATIAL_MAX] = {c->axis[0].n, c->axis[1].n, c->axis[2].n},
                  pixels_in = size[0] * size[1] * size[2];
    source x = {.data = job->x, .channels = c->in, .batch = pixels_in * c->in};
    strides_last(size, c->in, x.axis);
    for (int64_t task = begin; task < end; task++) {
        const int64_t lane = task / p->n_runs, run = task % p->n_runs * some,
                      run_end = min64(run + some, runs);
        float *sums = job->sums + (size_t)lane * p->sums;
        float *panel = job->scratch + (size_t)task * (p->panel + p->image + p->result);
        float *image = panel + p->panel, *result = image + p->image;
        bool first = true;
        if (c->channels_last) {
            const int64_t all = c->batch * g->pixels, blocks = (all + p->rows - 1) / p->rows;
            const int64_t last = (lane + 1) * blocks / p->lanes;
            for (int64_t b = lane * blocks / p->lanes; b < last; b++, first = false)
                add_products(p, &x, job->y, b * p->rows, min64(all, (b + 1) * p->rows), run,
                             run_end, first, sums, panel);
            continue;
        }
        x.data = image;
        for (int64_t n = lane * c->batch / p->lanes; n < (lane + 1) * c->batch / p->lanes; n++) {
            isa->transpose(4, (size_t)c->in, (size_t)pixels_in, job->x + n * pixels_in * c->in,
                           (size_t)pixels_in, image, (size_t)c->in);
            isa->transpose(4, (size_t)c->out, (size_t)g->pixels, job->y + n * g->pixels * c->out,
                           (size_t)g->pixels, result, (size_t)c->out);
            for (int64_t b = 0; b < g->pixels; b += p->rows, first = false)
                add_products(p, &x, result, b, min64(g->pixels, b + p->rows), run, run_end, first,
                             sums, panel);
        }
    }
}

/* The lanes' sums added in order, for filters [begin, end), and put where weights lie. */
static void add_lanes(void *arg, int64_t begin, int64_t end)
{
    const weight_job *job = arg;
    const conv_plan *p = job->p;
    const int64_t depth = p->grids->depth, places = p->c.places;
    for (int64_t o = begin; o < end; o++) {
        const float *from = job->sums + o / p->to * depth * p->to + o % p->to;
        float *w = job->w + o * depth;
        for (int64_t k = 0; k < places; k++)
            for (int64_t ch = 0; ch < p->from; ch++) {
                const float *at = from + (k * p->from + ch) * p->to;
                float sum = at[0];
                for (int64_t lane = 1; lane < p->lanes; lane++) sum += at[(size_t)lane * p->sums];
                w[ch * places + k] = sum;
            }
    }
}

cj_status cj__conv_weight_run(const cj_kernel *k)
{
    const conv_plan *p = k->prepared;
    cj__conv_arrays t = cj__conv_arrays_of(k);
    float *sums = k->workspace;
    weight_job job = {.p = p,
                      .x = t.x->data,
                      .y = t.y->data,
                      .sums = sums,
                      .scratch = sums + (size_t)p->lanes * p->sums,
                      .w = t.w->data};
    cj__parallel_for(k->team, p->lanes * p->n_runs, 1, weight_tasks, &job);
    cj__parallel_for(k->team, p->c.out, 16, add_lanes, &job);
    return CJ_OK;
}
