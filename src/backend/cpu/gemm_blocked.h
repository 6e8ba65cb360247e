/* gemm_blocked.h: a large matrix product with packed operands (included after gemm_impl.h).
 *
 *     for each NC columns of B
 *       for each BLOCK_K of k         B: strips of NR columns  [k][NR]  read from the third level
 *         for each MC rows of A       A: tiles of MR rows      [k][MR]  stays in the second;
 *           for each strip, each tile    a strip stays in the first level while tiles pass by
 *
 * Packed, nothing is read with the stride of a matrix, whose rows may all fall into one set of a
 * cache. An A that is stored [m, k] is read where it lies: transposing it would cost more. So is a
 * narrow B, and then tasks are rows of A with all of k, which wait for nobody. The packed copies
 * are in the caller's workspace. Every sum is in the order of gemm_impl.h, so the bits are the
 * same. */

#if MR == 12 /* 8 x 3 needs fewer loads than 12 x 2, but suits only wide matrices */
#define WIDE_MR 8
#define WIDE_NV 3
ROWS_8(KERNEL, 3)
static const FN(kernel_fn) FN(wide)[] = {ROWS_8(KERNEL_NAME, 3)};
#else
#define WIDE_MR MR
#define WIDE_NV NV
static const FN(kernel_fn) *const FN(wide) = FN(kernels)[NV == 4 ? 2 : 1];
#endif

enum {
    FN(strip_n) = WIDE_NV * LANES,
    FN(group) = 10 * WIDE_MR, /* rows of a task */
    FN(mc) = 480,
    FN(own) = 128, /* rows of a task beside a narrow B */
    FN(nc) = 4096 / FN(strip_n) * FN(strip_n)
};

static int64_t FN(even)(int64_t n, int64_t most, int64_t unit)
{
    int64_t parts = (n + most - 1) / most, units = (n + unit - 1) / unit;
    return (units + parts - 1) / parts * unit;
}

/* B is whole vectors in short rows: a block of it is near whichever way it is read. Packed copies
 * of all rows of A are to be had. */
static bool FN(narrow)(const cj__gemm *g)
{
    return !g->transpose_b && g->ldb <= 4 * FN(strip_n) && g->n % LANES == 0 &&
           g->m >= 2 * FN(own) && g->m <= 8 * FN(own);
}

/* Bytes of workspace that make this product faster; 0: none do. */
static size_t FN(gemm_workspace)(const cj__gemm *g)
{
    const double products = (double)g->m * (double)g->n * (double)g->k;
    if (g->m < 3 * WIDE_MR || g->n < FN(strip_n) || g->k < 16 || products < 1 << 19) return 0;
    const bool narrow = FN(narrow)(g);
    const int64_t m = FN(even)(g->m, narrow ? g->m : FN(mc), WIDE_MR),
                  n = narrow ? 0 : FN(even)(g->n, FN(nc), FN(strip_n)),
                  k = g->k < BLOCK_K ? g->k : BLOCK_K;
    return (size_t)(((g->transpose_a ? m : 0) + n) * k) * sizeof(T) + 64;
}

/* out[p][i] = x[i * ld + p] for i < width and p < k, 0 where i is not below `lines`. */
static void FN(pack_lines)(const T *x, size_t ld, size_t lines, size_t k, size_t width, T *out)
{
    enum { CHUNK = 16 };
    T block[LANES * CHUNK];
    for (size_t v = 0; v < width; v += LANES) {
        const size_t store = width - v < LANES ? width - v : LANES;
        for (size_t q = 0; q < k; q += CHUNK) {
            const size_t now = k - q < CHUNK ? k - q : CHUNK;
            for (size_t i = 0; i < LANES; i++) {
                T *to = block + i * CHUNK;
                const T *from = x + (v + i) * ld + q;
                if (v + i >= lines || i >= store) memset(to, 0, sizeof(T) * CHUNK);
                else if (now == CHUNK) memcpy(to, from, sizeof(T) * CHUNK);
                else memcpy(to, from, sizeof(T) * now);
            }
            for (size_t p = 0; p < now; p += 4) {
                V r[4];
                V_LOAD_COLUMNS(block + p, CHUNK, r);
                for (size_t i = 0; i < 4 && p + i < now; i++) {
                    T *to = out + (q + p + i) * width + v;
                    if (store == LANES) V_STORE(to, r[i]);
                    else V_STORE_N(to, r[i], store);
                }
            }
        }
    }
}

/* The same for x[p * ld + i], over several panels side by side: `lines` may exceed the width. Of
 * some rows at a time: panels lie whole pages apart, where a cache does not keep a line that is
 * half written until the next row comes. */
SIMD void FN(pack_across)(const T *x, size_t ld, size_t lines, size_t k, size_t width, T *out)
{
    enum { ROWS_AT_ONCE = 8 };
    for (size_t p = 0; p < k; p += ROWS_AT_ONCE) {
        const size_t past = p + ROWS_AT_ONCE < k ? p + ROWS_AT_ONCE : k;
        for (size_t i = 0; i < lines; i += width) {
            for (size_t q = p; q < past; q++) {
                const T *from = x + q * ld + i;
                T *to = out + i * k + q * width;
                SIMD_UNROLL
                for (size_t v = 0; v < width; v += LANES) {
                    const size_t left = i + v < lines ? lines - i - v : 0,
                                 store = width - v < LANES ? width - v : LANES;
                    if (left >= store) {
                        memcpy(to + v, from + v, store * sizeof(T));
                    } else {
                        V r = left ? V_LOAD_N(from + v, left) : (V){0};
                        if (store == LANES) V_STORE(to + v, r);
                        else V_STORE_N(to + v, r, store);
                    }
                }
            }
        }
    }
}

typedef struct FN(blocked) {
    const cj__gemm *g;
    int64_t i, rows, j, columns, p, k; /* the block at hand */
    T *a, *b;                          /* packed; b is NULL where B is read in place */
    int64_t groups;                    /* of tiles */
    const T *next;                     /* what is packed after this block: `next_k` rows of A */
    int64_t next_rows, next_k;
} FN(blocked);

static void FN(pack_a)(void *arg, int64_t begin, int64_t end)
{
    const FN(blocked) *w = arg;
    const cj__gemm *g = w->g;
    const int64_t rows = (end < w->rows ? end : w->rows) - begin;
    const T *a = (const T *)g->a + w->p * g->lda + w->i + begin;
    FN(pack_across)(a, (size_t)g->lda, (size_t)rows, (size_t)w->k, WIDE_MR, w->a + begin * w->k);
}

static void FN(pack_b)(void *arg, int64_t begin, int64_t end)
{
    const FN(blocked) *w = arg;
    const cj__gemm *g = w->g;
    const size_t k = (size_t)w->k, ldb = (size_t)g->ldb;
    const int64_t columns = (end < w->columns ? end : w->columns) - begin;
    T *out = w->b + begin * w->k;
    if (!g->transpose_b) {
        const T *b = (const T *)g->b + w->p * g->ldb + w->j + begin;
        FN(pack_across)(b, ldb, (size_t)columns, k, FN(strip_n), out);
        return;
    }
    const T *b = (const T *)g->b + (w->j + begin) * g->ldb + w->p;
    for (int64_t j = 0; j < columns; j += FN(strip_n))
        FN(pack_lines)
    (b + j * g->ldb, ldb, (size_t)(columns - j < FN(strip_n) ? columns - j : FN(strip_n)), k,
     FN(strip_n), out + j * w->k);
}

SIMD void FN(prefetch)(const FN(tile) *tile)
{
    SIMD_UNROLL
    for (size_t i = 0; i < WIDE_MR; i++) {
        SIMD_UNROLL
        for (size_t v = 0; v < WIDE_NV; v++)
            __builtin_prefetch(tile->c + i * tile->ldc + v * LANES, 1);
    }
}

/* Fetches part `at` of `of` of the block that is packed next, into the second level. */
SIMD void FN(fetch_next)(const FN(blocked) *w, int64_t at, int64_t of)
{
    enum { LINE = 64 / sizeof(T) };
    const int64_t begin = at * w->next_k / of, end = (at + 1) * w->next_k / of;
    for (int64_t p = begin; p < end; p++)
        for (int64_t i = 0; i < w->next_rows; i += LINE)
            __builtin_prefetch(w->next + p * w->g->lda + i, 0, 2);
}

/* Tasks: groups of tiles of the first strip, then of the next. */
static void FN(multiply_block)(void *arg, int64_t begin, int64_t end)
{
    const FN(blocked) *w = arg;
    const cj__gemm *g = w->g;
    const bool last = w->p + w->k == g->k;
    const size_t k = (size_t)w->k, row = g->transpose_a ? 1 : (size_t)g->lda,
                 step = g->transpose_a ? WIDE_MR : 1, ldb = w->b ? FN(strip_n) : (size_t)g->ldb;
    const int64_t tiles = (w->rows + WIDE_MR - 1) / WIDE_MR,
                  strips = (w->columns + FN(strip_n) - 1) / FN(strip_n);
    for (int64_t task = begin; task < end; task++) {
        const int64_t j = task / w->groups * FN(strip_n), first = task % w->groups * FN(group),
                      past = first + FN(group) < w->rows ? first + FN(group) : w->rows,
                      n = w->columns - j < FN(strip_n) ? w->columns - j : FN(strip_n);
        const size_t vectors = n <= LANES ? 1 : n <= 2 * LANES ? 2 : WIDE_NV;
        const FN(kernel_fn) *kernels = vectors == 1   ? FN(kernels)[0]
                                       : vectors == 2 ? FN(kernels)[1]
                                                      : FN(wide);
        FN(tile)
        tile = {.ldc = (size_t)g->ldc,
                .columns = (size_t)n,
                .alpha = (T)g->alpha,
                .beta = w->p ? 1 : (T)g->beta,
                .bias = last && g->bias ? (const T *)g->bias + w->j + j : NULL,
                .relu = last && g->relu};
        tile.whole = tile.alpha == 1 && (tile.beta == 0 || tile.beta == 1) &&
                     (size_t)n == vectors * LANES;
        const T *b = w->b ? w->b + j * w->k : (const T *)g->b + w->p * g->ldb + w->j + j;
        for (int64_t i = first; i < past; i += WIDE_MR) {
            const int64_t rows = past - i < WIDE_MR ? past - i : WIDE_MR;
            const T *a = g->transpose_a ? w->a + i * w->k
                                        : (const T *)g->a + (w->i + i) * g->lda + w->p;
            tile.c = (T *)g->c + (w->i + i) * g->ldc + w->j + j;
            if (rows == WIDE_MR && vectors == WIDE_NV) FN(prefetch)(&tile);
            if (w->next) FN(fetch_next)(w, task / w->groups * tiles + i / WIDE_MR, strips * tiles);
            kernels[rows - 1](k, a, row, step, b, ldb, &tile);
        }
    }
}

/* What is packed after the block at hand: rows i .. of A, at most `rows`, from p on. */
static void FN(set_next)(FN(blocked) *w, int64_t i, int64_t rows, int64_t p)
{
    const cj__gemm *g = w->g;
    w->next = p < g->k ? (const T *)g->a + p * g->lda + i : NULL;
    w->next_rows = g->m - i < rows ? g->m - i : rows;
    w->next_k = g->k - p < BLOCK_K ? g->k - p : BLOCK_K;
}

/* Rows begin .. end of C, beside a narrow B. */
static void FN(own_rows)(void *arg, int64_t begin, int64_t end)
{
    FN(blocked) w = *(const FN(blocked) *)arg;
    const cj__gemm *g = w.g;
    w.a += begin * (g->k < BLOCK_K ? g->k : BLOCK_K);
    w.i = begin, w.rows = end - begin, w.columns = g->n;
    w.groups = (w.rows + FN(group) - 1) / FN(group);
    const int64_t strips = (w.columns + FN(strip_n) - 1) / FN(strip_n);
    for (; w.p < g->k; w.p += w.k) {
        w.k = g->k - w.p < BLOCK_K ? g->k - w.p : BLOCK_K;
        if (g->transpose_a) {
            FN(set_next)(&w, w.i, w.rows, w.p + w.k);
            FN(pack_a)(&w, 0, w.rows);
        }
        FN(multiply_block)(&w, 0, strips * w.groups);
    }
}

static void FN(gemm_blocked)(cj__team *team, const cj__gemm *g)
{
    FN(blocked) w = {.g = g};
    w.a = (T *)(((uintptr_t)g->workspace + 63) / 64 * 64);
    if (FN(narrow)(g)) {
        cj__parallel_for(team, g->m, FN(even)(g->m, FN(own), WIDE_MR), FN(own_rows), &w);
        return;
    }
    const int64_t mc = FN(even)(g->m, FN(mc), WIDE_MR), nc = FN(even)(g->n, FN(nc), FN(strip_n)),
                  kc = g->k < BLOCK_K ? g->k : BLOCK_K;
    w.b = w.a + (g->transpose_a ? mc * kc : 0);
    for (w.j = 0; w.j < g->n; w.j += nc) {
        w.columns = g->n - w.j < nc ? g->n - w.j : nc;
        for (w.p = 0; w.p < g->k; w.p += BLOCK_K) {
            w.k = g->k - w.p < BLOCK_K ? g->k - w.p : BLOCK_K;
            cj__parallel_for(team, w.columns, 4 * FN(strip_n), FN(pack_b), &w);
            for (w.i = 0; w.i < g->m; w.i += mc) {
                w.rows = g->m - w.i < mc ? g->m - w.i : mc;
                w.groups = (w.rows + FN(group) - 1) / FN(group);
                if (g->transpose_a) {
                    /* The next rows beside the same B, or the first beside the next. */
                    if (w.i + mc < g->m) FN(set_next)(&w, w.i + mc, mc, w.p);
                    else FN(set_next)(&w, 0, mc, w.p + w.k);
                    cj__parallel_for(team, w.rows, FN(group), FN(pack_a), &w);
                }
                const int64_t strips = (w.columns + FN(strip_n) - 1) / FN(strip_n);
                cj__parallel_for(team, strips * w.groups, 1, FN(multiply_block), &w);
            }
        }
    }
}
#undef WIDE_MR
#undef WIDE_NV
