/* gemm_impl.h: the matrix product, included once for float and once for double (no include guard).
 *
 * C is cut into tiles of TILE_M rows by TILE_N columns, one task each, so that tasks share nothing.
 * A task walks k in blocks of BLOCK_K and its columns in strips of NR = NV vectors:
 *
 *                strip (NR)
 *     B  k-block +-----+        packed into `panel`: rows of NR, padded beyond the matrix,
 *                |     |        L1-resident, transposed on the way when B is stored [n, k]
 *                +-----+
 *     A  +------+ +-----+  C
 *     mr |      | |acc  |       mr x NV vectors of accumulators live in registers,
 *        +------+ +-----+       A is broadcast straight from where it lies (both layouts)
 *
 * With few rows packing does not pay and B is read in place. No accumulation is ever split, and
 * every path adds the products of one element in the same order: in order of k, a block at a time.
 *
 * The includer defines T (element), V (vector), LANES, FN(name) (suffixes a name), MR, NV, BLOCK_K
 * and the vector operations V_SET, V_LOAD, V_STORE, V_LOAD_N, V_STORE_N, V_FMA, V_RELU; where it
 * has V_LOAD_COLUMNS (transposing loads), stored transposes go through vectors too. */

enum { FN(nr) = NV * LANES, FN(sums) = MR * NV > 12 ? MR * NV : 12 };

/* What a kernel does with its sums. */
typedef struct FN(tile) {
    T *c;
    size_t ldc;
    size_t columns; /* valid ones, at most nv * LANES */
    T alpha, beta;  /* of this block of k */
    const T *bias;  /* of this strip; NULL unless it is the last block */
    bool relu;
    bool whole; /* alpha is 1, beta 0 or 1, and columns are whole vectors: all stays in registers */
} FN(tile);

static CJ__NOINLINE void FN(finish)(const FN(tile) *tile, const T *sums, size_t rows, size_t stride)
{
    for (size_t i = 0; i < rows; i++) {
        T *c = tile->c + i * tile->ldc;
        for (size_t j = 0; j < tile->columns; j += LANES) {
            size_t n = tile->columns - j;
            V x = V_LOAD(sums + i * stride + j) * V_SET(tile->alpha);
            if (tile->beta != 0)
                x += V_SET(tile->beta) * (n < LANES ? V_LOAD_N(c + j, n) : V_LOAD(c + j));
            if (tile->bias) x += n < LANES ? V_LOAD_N(tile->bias + j, n) : V_LOAD(tile->bias + j);
            if (tile->relu) x = V_RELU(x);
            if (n < LANES) V_STORE_N(c + j, x, n);
            else V_STORE(c + j, x);
        }
    }
}

/* mr and nv are constants where this is inlined. Element (i, p) of A is a[i * row + p * step].
 * Addresses are formed from every third row so that they fit the registers. */
SIMD void FN(kernel)(int mr, int nv, size_t k, const T *a, size_t row, size_t step, const T *b,
                     size_t ldb, const FN(tile) *tile)
{
    V acc[MR][8];
    SIMD_UNROLL
    for (int i = 0; i < mr; i++) {
        SIMD_UNROLL
        for (int v = 0; v < nv; v++) acc[i][v] = (V){0};
    }
    const T *a0 = a, *a3 = a + 3 * row, *a6 = a + 6 * row, *a9 = a + 9 * row;
    SIMD_UNROLL_4
    for (size_t p = 0; p < k; p++) {
        V bv[8];
        SIMD_UNROLL
        for (int v = 0; v < nv; v++) bv[v] = V_LOAD(b + v * LANES);
        SIMD_UNROLL
        for (int i = 0; i < mr; i++) {
            const T *at = i < 3 ? a0 : i < 6 ? a3 : i < 9 ? a6 : a9;
            V x = V_SET(at[(size_t)(i % 3) * row]);
            SIMD_UNROLL
            for (int v = 0; v < nv; v++) acc[i][v] = V_FMA(x, bv[v], acc[i][v]);
        }
        a0 += step, a3 += step, a6 += step, a9 += step;
        b += ldb;
    }
    if (tile->whole) {
        if (tile->beta != 0) {
            SIMD_UNROLL
            for (int i = 0; i < mr; i++) {
                SIMD_UNROLL
                for (int v = 0; v < nv; v++)
                    acc[i][v] += V_LOAD(tile->c + (size_t)i * tile->ldc + v * LANES);
            }
        }
        if (tile->bias) {
            SIMD_UNROLL
            for (int i = 0; i < mr; i++) {
                SIMD_UNROLL
                for (int v = 0; v < nv; v++) acc[i][v] += V_LOAD(tile->bias + v * LANES);
            }
        }
        if (tile->relu) {
            SIMD_UNROLL
            for (int i = 0; i < mr; i++) {
                SIMD_UNROLL
                for (int v = 0; v < nv; v++) acc[i][v] = V_RELU(acc[i][v]);
            }
        }
        SIMD_UNROLL
        for (int i = 0; i < mr; i++) {
            SIMD_UNROLL
            for (int v = 0; v < nv; v++)
                V_STORE(tile->c + (size_t)i * tile->ldc + v * LANES, acc[i][v]);
        }
    } else {
        T sums[FN(sums) * LANES];
        SIMD_UNROLL
        for (int i = 0; i < mr; i++) {
            SIMD_UNROLL
            for (int v = 0; v < nv; v++) V_STORE(sums + (i * nv + v) * LANES, acc[i][v]);
        }
        FN(finish)(tile, sums, (size_t)mr, (size_t)nv * LANES);
    }
}

/* One function for each shape of tile: FN(kernel_mr_nv). */
typedef void (*FN(kernel_fn))(size_t k, const T *a, size_t row, size_t step, const T *b, size_t ldb,
                              const FN(tile) *tile);
#define KERNEL(mr, nv)                                                                             \
    static CJ__NOINLINE void FN(kernel_##mr##_##nv)(size_t k, const T *a, size_t row, size_t step, \
                                                    const T *b, size_t ldb, const FN(tile) *tile)  \
    {                                                                                              \
        FN(kernel)(mr, nv, k, a, row, step, b, ldb, tile);                                         \
    }
#define ROWS_6(X, nv) X(1, nv) X(2, nv) X(3, nv) X(4, nv) X(5, nv) X(6, nv)
#define ROWS_8(X, nv) ROWS_6(X, nv) X(7, nv) X(8, nv)
#define ROWS_12(X, nv) ROWS_8(X, nv) X(9, nv) X(10, nv) X(11, nv) X(12, nv)
#define KERNEL_NAME(mr, nv) FN(kernel_##mr##_##nv),
#if MR == 12
#define ROWS ROWS_12
#else
#define ROWS ROWS_6
#endif
ROWS(KERNEL, 1)
ROWS(KERNEL, 2)
#if NV == 4
ROWS(KERNEL, 4)
#else
KERNEL(2, 4)
KERNEL(3, 4)
#endif
KERNEL(1, 8)
static const FN(kernel_fn) FN(kernels)[][MR] = {
    {ROWS(KERNEL_NAME, 1)},
    {ROWS(KERNEL_NAME, 2)},
#if NV == 4
    {ROWS(KERNEL_NAME, 4)},
#endif
};

/* Row p of the panel is op(B)[p0 + p][j .. j + n); what follows, up to NR, is any value and ends
 * in sums that are not stored. */
static void FN(pack)(const cj__gemm *g, int64_t p0, size_t k, int64_t j, size_t n, T *panel)
{
    const size_t ldb = (size_t)g->ldb;
    if (!g->transpose_b) {
        const T *b = (const T *)g->b + (size_t)p0 * ldb + (size_t)j;
        for (size_t p = 0; p < k; p++, b += ldb, panel += FN(nr)) {
            for (size_t v = 0; v < FN(nr); v += LANES) {
                V x = v + LANES <= n ? V_LOAD(b + v) : v < n ? V_LOAD_N(b + v, n - v) : (V){0};
                V_STORE(panel + v, x);
            }
        }
        return;
    }
    for (size_t v = 0; v < FN(nr) && v < n; v += LANES) {
        const T *b = (const T *)g->b + ((size_t)j + v) * ldb + (size_t)p0;
        const size_t rows = n - v < LANES ? n - v : LANES;
        size_t p = 0;
#ifdef V_LOAD_COLUMNS
        T few[LANES * 4] = {0};
        for (; p + 4 <= k; p += 4) {
            V x[4];
            if (rows == LANES) {
                V_LOAD_COLUMNS(b + p, ldb, x);
            } else {
                for (size_t i = 0; i < rows; i++)
                    memcpy(few + 4 * i, b + i * ldb + p, 4 * sizeof(T));
                V_LOAD_COLUMNS(few, 4, x);
            }
            SIMD_UNROLL
            for (size_t i = 0; i < 4; i++) V_STORE(panel + (p + i) * FN(nr) + v, x[i]);
        }
#endif
        for (; p < k; p++) {
            for (size_t i = 0; i < LANES; i++)
                panel[p * FN(nr) + v + i] = i < rows ? b[i * ldb + p] : 0;
        }
    }
}

#ifdef V_LOAD_COLUMNS
/* One row of C and B stored [n, k]: the columns are transposed in registers and used there. Covers
 * THIN * LANES columns; the sums are in order of k as everywhere. */
static void FN(thin)(size_t k, const T *a, size_t step, const T *b, size_t ldb,
                     const FN(tile) * tile)
{
    V acc[THIN];
    SIMD_UNROLL
    for (int v = 0; v < THIN; v++) acc[v] = (V){0};
    size_t p = 0;
    for (; p + 16 <= k; p += 16) { /* whole cache lines of B */
        SIMD_UNROLL
        for (size_t v = 0; v < THIN; v++) {
            SIMD_UNROLL
            for (size_t q = p; q < p + 16; q += 4) {
                V x[4];
                V_LOAD_COLUMNS(b + v * LANES * ldb + q, ldb, x);
                SIMD_UNROLL
                for (size_t i = 0; i < 4; i++)
                    acc[v] = V_FMA(V_SET(a[(q + i) * step]), x[i], acc[v]);
            }
        }
    }
    T sums[THIN * LANES];
    for (int v = 0; v < THIN; v++) {
        for (size_t q = p; q < k; q++) {
            T x[LANES];
            for (size_t i = 0; i < LANES; i++) x[i] = b[((size_t)v * LANES + i) * ldb + q];
            acc[v] = V_FMA(V_SET(a[q * step]), V_LOAD(x), acc[v]);
        }
        V_STORE(sums + v * LANES, acc[v]);
    }
    FN(finish)(tile, sums, 1, THIN * LANES);
}
#endif

/* The rows of one strip, cut evenly into tiles of at most `rows_max`. */
static void FN(strip)(int64_t rows, size_t k, const T *a, size_t row, size_t step, const T *b,
                      size_t ldb, const FN(kernel_fn) * kernels, int64_t rows_max, FN(tile) tile)
{
    for (int64_t tiles = (rows + rows_max - 1) / rows_max; tiles > 0; tiles--) {
        const int64_t now = (rows + tiles - 1) / tiles;
        kernels[now - 1](k, a, row, step, b, ldb, &tile);
        a += (size_t)now * row;
        tile.c += (size_t)now * tile.ldc;
        rows -= now;
    }
}

/* Block p .. p + k of the sums for rows i .. i_end of the columns from j on, at most `left`.
 * Returns how many columns it did, as many as suit the way it took. */
static size_t FN(columns)(const cj__gemm *g, int64_t i, int64_t i_end, int64_t j, size_t left,
                          int64_t p, size_t k, T *panel)
{
    static const FN(kernel_fn) few[] = {FN(kernel_1_8), FN(kernel_2_4), FN(kernel_3_4)};
    const int64_t rows = i_end - i;
    const size_t row = g->transpose_a ? 1 : (size_t)g->lda,
                 step = g->transpose_a ? (size_t)g->lda : 1;
    const T *a = (const T *)g->a + (size_t)i * row + (size_t)p * step;
    const T *b = (const T *)g->b + (g->transpose_b ? (size_t)j * (size_t)g->ldb + (size_t)p
                                                   : (size_t)p * (size_t)g->ldb + (size_t)j);
    const bool last = p + (int64_t)k == g->k;
    FN(tile)
    tile = {.c = (T *)g->c + (size_t)i * (size_t)g->ldc + (size_t)j,
            .ldc = (size_t)g->ldc,
            .alpha = (T)g->alpha,
            .beta = p ? 1 : (T)g->beta,
            .bias = last && g->bias ? (const T *)g->bias + j : NULL,
            .relu = last && g->relu};
    const bool whole = tile.alpha == 1 && (tile.beta == 0 || tile.beta == 1);

    const size_t wide = (rows == 1 ? 8 : 4) * LANES;
    if (rows <= 3 && !g->transpose_b && left >= wide && wide > FN(nr)) {
        tile.columns = wide, tile.whole = whole;
        FN(strip)(rows, k, a, row, step, b, (size_t)g->ldb, few, 3, tile);
        return wide;
    }
#ifdef V_LOAD_COLUMNS
    if (rows == 1 && g->transpose_b && left >= THIN * LANES) {
        tile.columns = THIN * LANES;
        FN(thin)(k, a, step, b, (size_t)g->ldb, &tile);
        return THIN * LANES;
    }
#endif
    const size_t n = left < FN(nr) ? left : FN(nr);
    const size_t vectors = n <= LANES ? 1 : n <= 2 * LANES ? 2 : NV;
    const FN(kernel_fn) *kernels = FN(kernels)[vectors == 1 ? 0 : vectors == 2 ? 1 : 2];
    tile.columns = n, tile.whole = whole && n == vectors * LANES;
    if (rows <= IN_PLACE_ROWS && !g->transpose_b && n == vectors * LANES) {
        FN(strip)(rows, k, a, row, step, b, (size_t)g->ldb, kernels, MR, tile);
    } else {
        FN(pack)(g, p, k, j, n, panel);
        FN(strip)(rows, k, a, row, step, panel, FN(nr), kernels, MR, tile);
    }
    return n;
}

/* The tile of C with corner (i, j), with all of k. */
static void FN(task)(const cj__gemm *g, int64_t i, int64_t i_end, int64_t j_begin, int64_t j_end)
{
    T panel[BLOCK_K * NV * LANES];
    int64_t p = 0;
    do { /* once even when k is 0 */
        const size_t k = (size_t)(g->k - p < BLOCK_K ? g->k - p : BLOCK_K);
        for (int64_t j = j_begin; j < j_end;)
            j += (int64_t)FN(columns)(g, i, i_end, j, (size_t)(j_end - j), p, k, panel);
        p += (int64_t)k;
    } while (p < g->k);
}

#ifdef V_LOAD_COLUMNS
/* One thread's product with a B that is packed already: strips of NR columns, each [ldb, NR] with
 * zeros beyond n, of which k rows are used. Blocks of k are of one size, at most BLOCK_K. */
static void FN(gemm_packed)(const cj__gemm *g)
{
    const size_t row = g->transpose_a ? 1 : (size_t)g->lda,
                 step = g->transpose_a ? (size_t)g->lda : 1, k_all = (size_t)g->k;
    const size_t blocks = (k_all + BLOCK_K - 1) / BLOCK_K,
                 block = blocks ? (k_all + blocks - 1) / blocks : 1;
    for (size_t p = 0; p < k_all; p += block) {
        const size_t k = k_all - p < block ? k_all - p : block;
        const bool last = p + k == k_all;
        for (size_t j = 0; j < (size_t)g->n; j += FN(nr)) {
            const size_t left = (size_t)g->n - j, n = left < FN(nr) ? left : FN(nr);
            const size_t vectors = n <= LANES ? 1 : n <= 2 * LANES ? 2 : NV;
            FN(tile)
            tile = {.c = (T *)g->c + j,
                    .ldc = (size_t)g->ldc,
                    .columns = n,
                    .alpha = 1,
                    .beta = p ? 1 : (T)g->beta,
                    .bias = last && g->bias ? (const T *)g->bias + j : NULL,
                    .relu = last && g->relu};
            tile.whole = (tile.beta == 0 || tile.beta == 1) && n == vectors * LANES;
            FN(strip)
            (g->m, k, (const T *)g->a + p * step, row, step,
             (const T *)g->b + j * (size_t)g->ldb + p * FN(nr), FN(nr),
             FN(kernels)[vectors == 1 ? 0 : vectors == 2 ? 1 : 2], MR, tile);
        }
    }
}
#endif

#ifdef V_LOAD_COLUMNS
#include "backend/cpu/gemm_blocked.h"
#endif

/* How C is cut: a function of the sizes alone. Columns are cut finer while there are few tasks and
 * each has half a million products or more. */
typedef struct FN(job) {
    const cj__gemm *g;
    int64_t rows, columns, across;
} FN(job);

static void FN(work)(void *arg, int64_t begin, int64_t end)
{
    const FN(job) *job = arg;
    const int64_t m = job->g->m, n = job->g->n;
    for (int64_t tile = begin; tile < end; tile++) {
        const int64_t i = tile / job->across * job->rows, j = tile % job->across * job->columns;
        FN(task)
        (job->g, i, i + job->rows < m ? i + job->rows : m, j,
         j + job->columns < n ? j + job->columns : n);
    }
}

static void FN(gemm)(cj__team *team, const cj__gemm *g)
{
    if (g->m <= 0 || g->n <= 0) return;
#ifdef V_LOAD_COLUMNS
    if (g->workspace && FN(gemm_workspace)(g)) {
        FN(gemm_blocked)(team, g);
        return;
    }
#endif
    int64_t down = (g->m + TILE_M - 1) / TILE_M;
    FN(job)
    job = {.g = g, .rows = ((g->m + down - 1) / down + MR - 1) / MR * MR, .columns = TILE_N};
    down = (g->m + job.rows - 1) / job.rows;
    double products = (double)g->m * (double)g->n * (double)(g->k ? g->k : 1);
    for (;;) {
        job.across = (g->n + job.columns - 1) / job.columns;
        const int64_t tiles = down * job.across;
        if (job.columns <= 2 * FN(nr) || tiles >= 16 || products / (double)tiles < 1 << 20) break;
        job.columns /= 2;
    }
    cj__parallel_for(team, down * job.across, 1, FN(work), &job);
}

#undef KERNEL
#undef KERNEL_NAME
#undef ROWS
#undef ROWS_6
#undef ROWS_8
#undef ROWS_12
