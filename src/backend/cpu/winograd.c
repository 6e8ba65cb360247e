/* winograd.c: f32 convolutions of 3 x 3 places as 36 matrix products (Winograd's F(4x4, 3x3); Lavin
 * and Gray, "Fast algorithms for convolutional neural networks", 2015).
 *
 * A tile of 4 x 4 results reads 6 x 6 pixels. Both and the weights are polynomials of two variables
 * known by their values at 6 x 6 points, where convolving is multiplying: 36 products in place of
 * 144, a quarter. For each point p, with a row for each tile,
 *
 *     conv                   m[p] [tiles, out] = v[p] [tiles, in]     u[p] [in, out]
 *     conv_transpose         the same with windows from the other end: u of w turned round
 *     conv_weight_grad       s[p] [in, out]    = v[p]^T [in, tiles]   d[p] [tiles, out]
 *
 * where v are pixels, u weights, d gradients transformed, and results and gradients of weights come
 * from m and s by the transposed transforms (isa_winograd.h). Tiles go by blocks whose v and m stay
 * in the second-level cache, and filters by chunks whose u or s stay in the third: transforming
 * pixels again for each chunk is less than having four times the weights pass through memory. No
 * sum is cut by either, so the number of threads does not matter.
 *
 * A pixel that is not finite makes its whole tile so. */
#include <string.h>

#include "backend/cpu/conv.h"

enum {
    SIDE = 4,
    REACH = 6,
    POINTS = REACH * REACH,
    KERNEL = 3,
    PLACES = KERNEL * KERNEL,
    BLOCK_FLOATS = 64 << 10,  /* v and m of a block, */
    BLOCK_MIN = 48,           /* but so many tiles at least */
    GRAD_FLOATS = 1280 << 10, /* v and d of a block of the weight gradient */
    CHUNK_FLOATS = 1 << 20,   /* u of a chunk, */
    SUMS_FLOATS = 2 << 20,    /* s of one, */
    SUMS_COLUMNS = 64,        /* in pieces of that many columns */
    KEPT_FLOATS = 4 << 20     /* u of weights that are kept, at most: it is four times their size */
};

typedef struct winograd_plan {
    cj__conv_shape c;
    bool transposed;
    int64_t from, to;            /* channels of what is read and of the result */
    int64_t before[2];           /* by axis: how far a tile of results begins before its pixels */
    int64_t in[2], out[2];       /* rows and columns of the image that is read, and of the result */
    int64_t tiles[2], per_image, all, block, lanes;
    int64_t chunk;               /* columns of a chunk */
    size_t v, m, u;              /* floats of one point: v; m or d; a chunk's u or s */
    size_t product;              /* floats of a product's workspace */
    float *kept;                 /* weights that rarely change, see cj_kernel.fixed */
    uint64_t version;
} winograd_plan;

/* Floats of one point's matrix: an odd number of cache lines, for were they a multiple of a page,
 * the same element of all points would fall into one set of the cache. */
static size_t apart(int64_t floats) { return ((size_t)(floats + 15) / 16 | 1) * 16; }

/* ---- Plans ----------------------------------------------------------------------------------- */

static winograd_plan shape_of(const cj_kernel *k)
{
    const cj__conv_arrays t = cj__conv_arrays_of(k);
    winograd_plan p = {.c = cj__conv_shape_of(k->call->attributes, t.x, t.w, t.y),
                       .transposed = k->call->op == &cj_op_conv_transpose};
    p.from = p.transposed ? p.c.out : p.c.in;
    p.to = p.transposed ? p.c.in : p.c.out;
    for (int i = 0; i < 2; i++) {
        const cj__window *w = &p.c.axis[1 + i];
        p.before[i] = p.transposed ? KERNEL - 1 - w->before : w->before;
        p.in[i] = p.transposed ? w->result : w->n;
        p.out[i] = p.transposed ? w->n : w->result;
        p.tiles[i] = parts_of(p.out[i], SIDE);
    }
    p.per_image = p.tiles[0] * p.tiles[1];
    p.all = p.c.batch * p.per_image;
    return p;
}

/* Are the transformed weights kept from run to run? */
static bool keeps(const cj_kernel *k, const winograd_plan *p)
{
    return k->fixed && k->fixed[1] && p->from * p->to <= KEPT_FLOATS / POINTS;
}

/* Is it less work? Counted in products: those of a plain convolution, of this one, and what else
 * takes the time of so many, as measured. */
static bool pays(const cj_kernel *k, const winograd_plan *p)
{
    const bool gradient = k->call->op == &cj_op_conv_weight_grad;
    const double channels = (double)p->from * (double)p->to, tiles = (double)p->all;
    const double plain = PLACES * (double)p->c.batch * (double)(p->out[0] * p->out[1]) * channels;
    const double transformed = (gradient ? 32 : 25) * tiles * (double)(p->from + p->to);
    const double weights = (keeps(k, p) ? 24 : 45) * channels;
    return 1.1 * plain > POINTS * (tiles * channels + transformed + weights);
}

bool cj__winograd_supports(const cj_kernel *k)
{
    const cj__conv_attrs *a = k->call->attributes;
    const cj__conv_arrays t = cj__conv_arrays_of(k);
    if (!cj__is_f32(t.x) || t.x->rank != 4 || a->groups != 1) return false;
    if (!t.x->count || !t.w->count || !t.y->count) return false;
    const winograd_plan p = shape_of(k);
    if (!p.c.channels_last) return false;
    for (int i = 1; i < CJ__SPATIAL_MAX; i++) {
        const cj__window *w = &p.c.axis[i];
        if (w->kernel != KERNEL || w->stride != 1 || w->dilation != 1) return false;
        if (w->before < 0 || w->after < 0 || w->before >= KERNEL || w->after >= KERNEL)
            return false;
    }
    return pays(k, &p);
}

static cj_status keep_weights(winograd_plan *p, cj__arena *arena)
{
    enum { ALIGNED = 64 };
    char *kept = cj__arena_alloc(arena, 4 * POINTS * p->u + ALIGNED);
    if (!kept) return CJ_ERR_MEMORY;
    p->kept = (float *)(void *)(kept + (ALIGNED - (uintptr_t)kept % ALIGNED) % ALIGNED);
    return CJ_OK;
}

cj_status cj__winograd_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                               size_t *workspace)
{
    const int64_t width = cj__isa_best()->gemm_strip, threads = cj__team_threads(k->team);
    winograd_plan *p = cj__arena_alloc(arena, sizeof *p);
    if (!p) return CJ_ERR_MEMORY;
    *p = shape_of(k);
    const int64_t strip = POINTS * width * p->from, strips = parts_of(p->to, width);
    const bool kept = keeps(k, p);
    p->chunk = kept ? strips : min64(strips, max64(threads, CHUNK_FLOATS / strip));
    p->chunk *= width;
    const int64_t columns = min64(p->chunk, p->to);
    const int64_t most = max64(BLOCK_MIN, BLOCK_FLOATS / POINTS / (p->from + columns));
    /* As many blocks for each thread, and all of about one size. */
    p->block = parts_of(p->all, min64(up(parts_of(p->all, most), threads), p->all));
    p->lanes = min64(threads, parts_of(p->all, p->block));
    p->v = apart(p->block * p->from);
    p->m = apart(p->block * columns);
    p->u = apart(p->chunk * p->from);
    if (kept) CJ__TRY(keep_weights(p, arena));
    *prepared = p;
    *workspace = 4 * ((size_t)p->lanes * POINTS * (p->v + p->m) + (p->kept ? 0 : POINTS * p->u));
    return CJ_OK;
}

/* ---- Weights --------------------------------------------------------------------------------- */

typedef struct winograd_job {
    const winograd_plan *p;
    const float *source, *w;
    float *result, *u, *scratch;
    cj__winograd_end end;
    int64_t first, columns; /* of the chunk */
} winograd_job;

/* Strips [begin, end) of the chunk, of all points' matrices, each [from, width]. */
static void transform_weights(void *arg, int64_t begin, int64_t end)
{
    enum { WIDTH_MAX = 64 };
    const winograd_job *job = arg;
    const winograd_plan *p = job->p;
    const cj__isa *isa = cj__isa_best();
    const int64_t width = isa->gemm_strip, in = p->c.in;
    const int64_t across = p->transposed ? PLACES : in * PLACES, /* from column to column */
        down = p->transposed ? in * PLACES : PLACES;             /* from row to row */
    float g[PLACES][WIDTH_MAX] = {{0}};
    const float *from[PLACES];
    float *to[POINTS];
    CJ_ASSERT(width <= WIDTH_MAX);
    for (int i = 0; i < PLACES; i++) from[i] = g[i];
    for (int64_t s = begin; s < end; s++) {
        const int64_t n = min64(width, job->columns - s * width);
        for (int64_t row = 0; row < p->from; row++) {
            const float *w = job->w + (job->first + s * width) * across + row * down;
            for (int64_t j = 0; j < n; j++, w += across)
                for (int i = 0; i < PLACES; i++) g[p->transposed ? PLACES - 1 - i : i][j] = w[i];
            for (int64_t j = n; j < width; j++)
                for (int i = 0; i < PLACES; i++) g[i][j] = 0;
            for (size_t i = 0; i < POINTS; i++)
                to[i] = job->u + i * p->u + (size_t)((s * p->from + row) * width);
            isa->winograd_f32[CJ__WINOGRAD_WEIGHTS]((size_t)width, from, to, NULL);
        }
    }
}

/* ---- Tiles ----------------------------------------------------------------------------------- */

/* The image and the first row and column of tile number `tile`, in results. */
typedef struct place {
    int64_t image, at[2];
} place;

static place place_of_tile(const winograd_plan *p, int64_t tile)
{
    const int64_t inside = tile % p->per_image;
    return (place){tile / p->per_image,
                   {inside / p->tiles[1] * SIDE, inside % p->tiles[1] * SIDE}};
}

/* Squares of n x n pixels of images of this size: where theirs lie from the first on, in floats. */
typedef struct square {
    int n;
    int64_t size[2], channels, offset[POINTS];
} square;

static square square_of(int n, const int64_t size[2], int64_t channels)
{
    square s = {.n = n, .size = {size[0], size[1]}, .channels = channels};
    for (int i = 0; i < n * n; i++) s.offset[i] = (i / n * size[1] + i % n) * channels;
    return s;
}

/* The pixels of the square that begins at (row, column) of an image; NULL beyond it. */
static void pixels_at(const square *s, float *image, int64_t row, int64_t column, float **out)
{
    const int64_t first = (row * s->size[1] + column) * s->channels;
    if (row >= 0 && column >= 0 && row + s->n <= s->size[0] && column + s->n <= s->size[1]) {
        for (int i = 0; i < s->n * s->n; i++) out[i] = image + (first + s->offset[i]);
        return;
    }
    for (int i = 0; i < s->n * s->n; i++) out[i] = NULL;
    for (int64_t i = max64(0, -row); i < min64(s->n, s->size[0] - row); i++)
        for (int64_t j = max64(0, -column); j < min64(s->n, s->size[1] - column); j++)
            out[i * s->n + j] = image + (first + s->offset[i * s->n + j]);
}

/* Row number `row` of all points' matrices. */
static void rows_at(float *v, size_t point, int64_t row, float *out[POINTS])
{
    for (size_t i = 0; i < POINTS; i++) out[i] = v + i * point + row;
}

/* `columns` of the channels of tiles [begin, end) to rows of all points' matrices. */
static void transform_tiles(const winograd_plan *p, cj__winograd which, const float *data,
                            int64_t channels, int64_t columns, int64_t begin, int64_t end,
                            float *v, size_t point)
{
    const bool source = which == CJ__WINOGRAD_SOURCE;
    const cj__winograd_fn transform = cj__isa_best()->winograd_f32[which];
    const square s = square_of(source ? REACH : SIDE, source ? p->in : p->out, channels);
    const int64_t image = s.size[0] * s.size[1] * channels;
    float *from[POINTS], *to[POINTS], *images = (float *)(uintptr_t)data; /* only read */
    for (int64_t tile = begin; tile < end; tile++) {
        const place at = place_of_tile(p, tile);
        pixels_at(&s, images + at.image * image, at.at[0] - (source ? p->before[0] : 0),
                  at.at[1] - (source ? p->before[1] : 0), from);
        rows_at(v, point, (tile - begin) * columns, to);
        transform((size_t)columns, (const float *const *)from, to, NULL);
    }
}

/* ---- Forward and input gradient -------------------------------------------------------------- */

static void finish_tiles(const winograd_job *job, int64_t begin, int64_t end, float *m)
{
    const winograd_plan *p = job->p;
    const cj__winograd_fn transform = cj__isa_best()->winograd_f32[CJ__WINOGRAD_RESULT];
    const square s = square_of(SIDE, p->out, p->to);
    const int64_t image = s.size[0] * s.size[1] * p->to;
    float *from[POINTS], *to[SIDE * SIDE];
    for (int64_t tile = begin; tile < end; tile++) {
        const place at = place_of_tile(p, tile);
        pixels_at(&s, job->result + at.image * image + job->first, at.at[0], at.at[1], to);
        rows_at(m, p->m, (tile - begin) * job->columns, from);
        transform((size_t)job->columns, (const float *const *)from, to, &job->end);
    }
}

/* Lanes [begin, end): each a range of blocks with a scratch of its own. */
static void convolve_lanes(void *arg, int64_t begin, int64_t end)
{
    const winograd_job *job = arg;
    const winograd_plan *p = job->p;
    const cj__isa *isa = cj__isa_best();
    const int64_t blocks = parts_of(p->all, p->block);
    for (int64_t lane = begin; lane < end; lane++) {
        float *v = job->scratch + (size_t)lane * POINTS * (p->v + p->m), *m = v + POINTS * p->v;
        const int64_t last = (lane + 1) * blocks / p->lanes;
        for (int64_t b = lane * blocks / p->lanes; b < last; b++) {
            const int64_t first = b * p->block, n = min64(p->block, p->all - first);
            transform_tiles(p, CJ__WINOGRAD_SOURCE, job->source, p->from, p->from, first,
                            first + n, v, p->v);
            for (size_t i = 0; i < POINTS; i++)
                isa->gemm_packed_f32(&(cj__gemm){.m = n,
                                                 .n = job->columns,
                                                 .k = p->from,
                                                 .alpha = 1,
                                                 .a = v + i * p->v,
                                                 .lda = p->from,
                                                 .b = job->u + i * p->u,
                                                 .ldb = p->from,
                                                 .c = m + i * p->m,
                                                 .ldc = job->columns});
            finish_tiles(job, first, first + n, m);
        }
    }
}

cj_status cj__winograd_run(const cj_kernel *k)
{
    winograd_plan *p = (winograd_plan *)(uintptr_t)k->prepared;
    const cj__conv_attrs *a = k->call->attributes;
    const cj__conv_arrays t = cj__conv_arrays_of(k);
    const int64_t width = cj__isa_best()->gemm_strip;
    const size_t scratch = (size_t)p->lanes * POINTS * (p->v + p->m);
    float *workspace = k->workspace, *result = p->transposed ? t.x->data : t.y->data;
    const bool known = p->kept && k->version && p->version == *k->version;
    winograd_job job = {.p = p,
                        .source = p->transposed ? t.y->data : t.x->data,
                        .w = t.w->data,
                        .u = p->kept ? p->kept : workspace + scratch,
                        .result = result,
                        .scratch = workspace,
                        .end = {.addend = t.addend ? t.addend->data : NULL,
                                .result = result,
                                .relu = !p->transposed && a->activation == CJ__EPILOGUE_RELU}};
    for (; job.first < p->to; job.first += p->chunk) {
        job.columns = min64(p->chunk, p->to - job.first);
        job.end.bias = t.bias ? (const float *)t.bias->data + job.first : NULL;
        if (!known)
            cj__parallel_for(k->team, parts_of(job.columns, width), 1, transform_weights, &job);
        cj__parallel_for(k->team, p->lanes, 1, convolve_lanes, &job);
    }
    if (p->kept && k->version) p->version = *k->version;
    return CJ_OK;
}

/* ---- Weight gradient ------------------------------------------------------------------------- */

typedef struct grad_job {
    const winograd_plan *p;
    const float *x, *dy;
    float *v, *d, *sums, *products, *dw;
    int64_t begin, end;     /* tiles of the block */
    int64_t first, columns; /* of the chunk */
} grad_job;

static cj__gemm grad_product(const winograd_plan *p, int64_t tiles, int64_t columns)
{
    return (cj__gemm){.m = p->c.in,
                      .n = columns,
                      .k = tiles,
                      .transpose_a = true,
                      .alpha = 1,
                      .lda = p->c.in,
                      .ldb = columns,
                      .ldc = columns};
}

cj_status cj__winograd_weight_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                                      size_t *workspace)
{
    winograd_plan *p = cj__arena_alloc(arena, sizeof *p);
    if (!p) return CJ_ERR_MEMORY;
    *p = shape_of(k);
    const int64_t pieces = SUMS_FLOATS / POINTS / SUMS_COLUMNS / p->from;
    p->chunk = min64(p->to, max64(1, pieces) * SUMS_COLUMNS);
    const int64_t most = max64(BLOCK_MIN, GRAD_FLOATS / POINTS / (p->from + p->chunk));
    p->block = parts_of(p->all, parts_of(p->all, most));
    p->lanes = min64(cj__team_threads(k->team), POINTS);
    p->v = apart(p->block * p->from);
    p->m = apart(p->block * p->chunk);
    p->u = apart(p->from * p->chunk);
    const cj__gemm g = grad_product(p, p->block, p->chunk);
    p->product = (cj__isa_best()->gemm_workspace_f32(&g) + 63) / 64 * 16;
    *prepared = p;
    *workspace = 4 * (POINTS * (p->v + p->m + p->u) + (size_t)p->lanes * p->product);
    return CJ_OK;
}

static void transform_block(void *arg, int64_t begin, int64_t end)
{
    const grad_job *job = arg;
    const winograd_plan *p = job->p;
    const int64_t from = job->begin + begin, to = job->begin + end;
    transform_tiles(p, CJ__WINOGRAD_SOURCE, job->x, p->from, p->from, from, to,
                    job->v + begin * p->from, p->v);
    transform_tiles(p, CJ__WINOGRAD_SPREAD, job->dy + job->first, p->to, job->columns, from, to,
                    job->d + begin * job->columns, p->m);
}

/* Lanes [begin, end), each some of the points. */
static void add_points(void *arg, int64_t begin, int64_t end)
{
    const grad_job *job = arg;
    const winograd_plan *p = job->p;
    for (int64_t lane = begin; lane < end; lane++)
        for (int64_t i = lane * POINTS / p->lanes; i < (lane + 1) * POINTS / p->lanes; i++) {
            cj__gemm g = grad_product(p, job->end - job->begin, job->columns);
            g.a = job->v + (size_t)i * p->v;
            g.b = job->d + (size_t)i * p->m;
            g.c = job->sums + (size_t)i * p->u;
            g.beta = job->begin > 0;
            g.workspace = p->product ? job->products + (size_t)lane * p->product : NULL;
            cj__isa_best()->gemm_f32(NULL, &g);
        }
}

/* Rows [begin, end) of the sums, by channel of the image, put where weights lie. */
static void finish_sums(void *arg, int64_t begin, int64_t end)
{
    const grad_job *job = arg;
    const winograd_plan *p = job->p;
    const int64_t in = p->c.in;
    float g[PLACES][SUMS_COLUMNS], *to[PLACES];
    const float *from[POINTS];
    for (int i = 0; i < PLACES; i++) to[i] = g[i];
    for (int64_t first = 0; first < job->columns; first += SUMS_COLUMNS)
        for (int64_t row = begin; row < end; row++) {
            const int64_t n = min64(SUMS_COLUMNS, job->columns - first);
            for (size_t i = 0; i < POINTS; i++)
                from[i] = job->sums + i * p->u + (size_t)(row * job->columns + first);
            cj__isa_best()->winograd_f32[CJ__WINOGRAD_SUMS]((size_t)n, from, to, NULL);
            float *w = job->dw + ((job->first + first) * in + row) * PLACES;
            for (int64_t j = 0; j < n; j++, w += in * PLACES)
                for (int i = 0; i < PLACES; i++) w[i] = g[i][j];
        }
}

cj_status cj__winograd_weight_run(const cj_kernel *k)
{
    const winograd_plan *p = k->prepared;
    const cj__conv_arrays t = cj__conv_arrays_of(k);
    float *v = k->workspace, *d = v + POINTS * p->v, *sums = d + POINTS * p->m;
    grad_job job = {.p = p,
                    .x = t.x->data,
                    .dy = t.y->data,
                    .v = v,
                    .d = d,
                    .sums = sums,
                    .products = sums + POINTS * p->u,
                    .dw = t.w->data};
    for (; job.first < p->to; job.first += p->chunk) {
        job.columns = min64(p->chunk, p->to - job.first);
        for (job.begin = 0; job.begin < p->all; job.begin = job.end) {
            job.end = min64(job.begin + p->block, p->all);
            cj__parallel_for(k->team, job.end - job.begin, 8, transform_block, &job);
            cj__parallel_for(k->team, p->lanes, 1, add_points, &job);
        }
        cj__parallel_for(k->team, p->c.in, 8, finish_sums, &job);
    }
    return CJ_OK;
}
