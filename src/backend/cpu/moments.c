/* moments.c: mean and variance of columns of f32, each number read from memory once; or of bf16,
 * f16, which are widened block by block.
 *
 * A block of rows stays in a near cache and is walked twice: for its means, then for the sums of
 * what the rows differ from them by, and of its squares:
 *
 *     mean = centre + S / n      S = sum (x - centre)
 *     M = Q - S^2 / n            Q = sum (x - centre)^2
 *
 * The centre is the mean as a float, so S is small and nothing cancels. Two parts of n and m rows
 * are combined in double (Chan, Golub, LeVeque 1983):
 *
 *     d = mean_m - mean_n     mean = mean_n + d m / (n + m)     M = M_n + M_m + d^2 n m / (n + m)
 *
 * block after block within a chunk, chunks by a tree. Neither depends on the threads. Few columns
 * are taken as several rows side by side (`copies`), so that vectors are full. */
#include "backend/cpu/cpu.h"

#include "graph/ops/norm.h"

enum {
    COLUMNS_MAX = CJ__MOMENTS_COLUMNS_MAX,
    LANES = 64,            /* columns summed side by side, at least */
    BLOCK_ELEMENTS = 8192, /* in floats each lane sums no more than 128 rows of these */
    BLOCK_ROWS = 32,       /* at least */
    CHUNK_BLOCKS = 16,
    WIDENED = 16384 /* elements of a block of 16 bits, at most */
};

typedef struct moments_work {
    const cj_kernel *k;
    const cj__isa *isa;
    const char *x;
    cj_dtype dtype;
    double *partial;                /* by chunk: means, then M, of all columns */
    int64_t segments, rows, columns; /* results are segments x columns, each of so many rows */
    int64_t copies, block, chunk, chunks; /* rows of a block and a chunk; chunks of a segment */
} moments_work;

static moments_work work_of(const cj_kernel *k)
{
    const cj_array *x = k->in[0];
    moments_work w = {.k = k, .isa = cj__isa_best(), .x = x->data, .dtype = x->dtype,
                      .columns = x->dim[x->rank - 1]};
    w.segments = k->out[0]->count / w.columns;
    w.rows = x->count / k->out[0]->count;
    w.copies = (LANES + w.columns - 1) / w.columns;
    w.block = BLOCK_ELEMENTS / w.columns;
    if (w.block < BLOCK_ROWS) w.block = BLOCK_ROWS;
    w.block -= w.block % w.copies;
    w.chunk = w.block * CHUNK_BLOCKS;
    w.chunks = (w.rows + w.chunk - 1) / w.chunk;
    return w;
}

bool cj__moments_supports(const cj_kernel *k)
{
    const cj_array *x = k->in[0];
    const int64_t columns = x->dim[x->rank - 1];
    if (!x->count) return false;
    if (x->dtype == CJ_F16 || x->dtype == CJ_BF16) return columns * BLOCK_ROWS <= WIDENED;
    return cj__is_f32(x) && columns <= COLUMNS_MAX;
}

cj_status cj__moments_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                              size_t *workspace_bytes)
{
    (void)arena, (void)prepared;
    moments_work w = work_of(k);
    *workspace_bytes = (size_t)(w.segments * w.chunks * 2 * w.columns) * sizeof(double);
    return CJ_OK;
}

/* Part b joins part a. */
static void join(double *mean_a, double *m_a, double n_a, const double *mean_b, const double *m_b,
                 double n_b, int64_t columns)
{
    const double share = n_b / (n_a + n_b), weight = n_a * share;
    for (int64_t j = 0; j < columns; j++) {
        double d = mean_b[j] - mean_a[j];
        mean_a[j] += d * share;
        m_a[j] += m_b[j] + d * d * weight;
    }
}

typedef struct lanes { /* of a block */
    float sum[COLUMNS_MAX + LANES], squares[COLUMNS_MAX + LANES], centre[COLUMNS_MAX + LANES];
} lanes;

static double fold(const moments_work *w, const float *lane, int64_t j)
{
    double sum = 0;
    for (int64_t c = 0; c < w->copies; c++) sum += (double)lane[c * w->columns + j];
    return sum;
}

static void run_block(const moments_work *w, lanes *l, const float *a, int64_t rows, double *mean,
                      double *m)
{
    const int64_t width = w->columns * w->copies, rest = rows % w->copies * w->columns;
    const size_t groups = (size_t)(rows / w->copies), tail = rest ? 1 : 0;
    const float *last = a + (int64_t)groups * width;
    const double n = (double)rows;
    for (int64_t j = 0; j < width; j++) l->sum[j] = 0;
    w->isa->columns_f32[CJ__REDUCE_SUM](groups, (size_t)width, a, l->sum);
    w->isa->columns_f32[CJ__REDUCE_SUM](tail, (size_t)rest, last, l->sum);
    for (int64_t j = 0; j < w->columns; j++) {
        float centre = (float)(fold(w, l->sum, j) / n);
        for (int64_t c = 0; c < w->copies; c++) l->centre[c * w->columns + j] = centre;
    }
    for (int64_t j = 0; j < width; j++) l->sum[j] = l->squares[j] = 0;
    w->isa->deviations_f32(groups, (size_t)width, a, l->centre, l->sum, l->squares);
    w->isa->deviations_f32(tail, (size_t)rest, last, l->centre, l->sum, l->squares);
    for (int64_t j = 0; j < w->columns; j++) {
        double s = fold(w, l->sum, j), q = fold(w, l->squares, j) - s * s / n;
        mean[j] = (double)l->centre[j] + s / n;
        m[j] = q < 0 ? 0 : q;
    }
}

static int64_t rows_of(const moments_work *w, int64_t chunk)
{
    int64_t left = w->rows - chunk * w->chunk;
    return left < w->chunk ? left : w->chunk;
}

/* Rows [row, row + n) in f32; `block` takes them where they have to be widened. */
static const float *rows_at(const moments_work *w, int64_t row, int64_t n, float *block)
{
    const int64_t first = row * w->columns;
    if (w->dtype == CJ_F32) return (const float *)(const void *)w->x + first;
    w->isa->cast[w->dtype == CJ_BF16 ? CJ__CAST_BF16_F32 : CJ__CAST_F16_F32](
        (size_t)(n * w->columns), w->x + 2 * first, block);
    return block;
}

static void run_chunks(void *arg, int64_t begin, int64_t end)
{
    const moments_work *w = arg;
    lanes l;
    double mean[COLUMNS_MAX], m[COLUMNS_MAX];
    float block[WIDENED];
    for (int64_t i = begin; i < end; i++) {
        const int64_t first = i / w->chunks * w->rows + i % w->chunks * w->chunk;
        double *to = w->partial + i * 2 * w->columns;
        for (int64_t at = 0, rows = rows_of(w, i % w->chunks); at < rows; at += w->block) {
            int64_t some = rows - at < w->block ? rows - at : w->block;
            const float *a = rows_at(w, first + at, some, block);
            if (at == 0) {
                run_block(w, &l, a, some, to, to + w->columns);
                continue;
            }
            run_block(w, &l, a, some, mean, m);
            join(to, to + w->columns, (double)at, mean, m, (double)some, w->columns);
        }
    }
}

cj_status cj__moments_run(const cj_kernel *k)
{
    moments_work w = work_of(k);
    float *mean = k->out[0]->data, *variance = k->out[1]->data;
    w.partial = k->workspace;
    cj__parallel_for(k->team, w.segments * w.chunks, 1, run_chunks, &w);
    const int64_t size = 2 * w.columns;
    for (int64_t s = 0; s < w.segments; s++) {
        double *first = w.partial + s * w.chunks * size;
        for (int64_t step = 1; step < w.chunks; step *= 2)
            for (int64_t c = 0; c + step < w.chunks; c += 2 * step) {
                int64_t end = c + 2 * step < w.chunks ? c + 2 * step : w.chunks;
                int64_t rows = (end - 1) * w.chunk + rows_of(&w, end - 1) - (c + step) * w.chunk;
                double *a = first + c * size, *b = a + step * size;
                join(a, a + w.columns, (double)(step * w.chunk), b, b + w.columns, (double)rows,
                     w.columns);
            }
        for (int64_t j = 0; j < w.columns; j++) {
            mean[s * w.columns + j] = (float)first[j];
            variance[s * w.columns + j] = (float)(first[w.columns + j] / (double)w.rows);
        }
    }
    return CJ_OK;
}
