/* matmul.c: matrix products on tile registers.
 *
 *     for each set                right panels of some columns and k are made, by all threads
 *       for each task             some rows, and some columns where rows are few
 *         for each NC columns
 *           for each KC of k      whose right panels stay in the second-level cache
 *             for each 32 rows    left panels on the stack
 *               for each 32 columns   cj__amx_multiply
 *
 * One thread makes a set of what the cache holds, several a large one, so that they seldom wait for
 * each other. Panels of a matrix whose k lie across its rows need a transposition, the left ones
 * for each NC columns again. So a weight gradient, a^T b, is computed as (b^T a)^T when that has
 * fewer rows. A right operand that is state keeps its panels until it changes.
 *
 * Blocks are cut by the shape alone and summed in order, so bits do not depend on threads.
 *
 * On one core, GFLOP/s ours / the next backend, in a quiet minute: 1024x256x1024 210 / 112; its
 * weight gradient 190 / 105. */
#ifdef CJ_HAVE_AMX
#include "backend/amx/amx.h"
#include "backend/amx/tiles.h"

#include <string.h>

enum {
    BLOCK = 32,                /* rows and columns of cj__amx_multiply */
    KC = 512,                  /* at most; multiples of 32 */
    RIGHT_BYTES = 800 * 1024,  /* of right panels in a cache */
    SET_BYTES = 4096 * 1024,   /* of those that several threads share, about */
    TASKS = 8,                 /* a thread's, at least: cores may be shared or of two kinds */
    ROWS_MIN = 96,             /* fewer do not pay for making the right panels, */
    ROWS_ACROSS_MIN = 64,      /* which need no transposition here, */
    ROWS_KEPT_MIN = 32,        /* nor, where those are kept, fill the tiles; */
    ROWS_KEPT_MAX = 512,       /* many do, and save their memory */
    COLUMNS_MIN = 48,
    K_MIN = 96,
    SWAPPED_MAX = 1 << 20,     /* floats of a transposed result */
    BYTES = 6                  /* of a number's parts */
};

/* Number (i, k) of a matrix is at i ld + k, or when k is across at k ld + i. */
typedef struct side {
    int64_t step, ld; /* floats, from product to product; 0: the same for all */
    bool across;
} side;

/* d[rows, columns] = left[rows, k] right[columns, k]^T, `batch` times. */
typedef struct product {
    int64_t batch, rows, columns, k;
    side left, right;
    bool swapped;   /* left is b, right is a, and d the transpose of the result */
    int64_t kc, nc; /* of a block in a cache */
    int64_t set_columns, set_k; /* of a set; multiples of nc and kc, or all */
    int64_t task_rows, task_columns; /* multiples of 32 */
    size_t panels;  /* bytes of a set in the workspace; 0: none is there, */
    char *kept;     /* all panels are here, made of `version` */
    bool is_kept;
    uint64_t version;
} product;

static int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t bounded(int64_t x, int64_t least, int64_t most)
{
    return x < least ? least : smaller(x, most);
}

/* Parts of n as even as multiples of `unit` allow, none above `most`. */
static int64_t part(int64_t n, int64_t most, int64_t unit)
{
    const int64_t parts = (n + most - 1) / most;
    return up((n + parts - 1) / parts, unit);
}

static bool has_epilogue(const cj_kernel *k)
{
    const cj__matmul_attrs *attrs = k->call->attributes;
    return attrs->has_bias || attrs->has_addend || attrs->activation != CJ__EPILOGUE_NONE;
}

static void swap_sides(product *p)
{
    const side left = p->left;
    const int64_t rows = p->rows;
    p->left = p->right;
    p->right = left;
    p->rows = p->columns;
    p->columns = rows;
    p->swapped = true;
}

static product product_of(const cj_kernel *kernel)
{
    const cj__matmul_attrs *attrs = kernel->call->attributes;
    const cj_array *a = kernel->in[0], *b = kernel->in[1], *c = kernel->out[0];
    product p = {.rows = c->dim[c->rank - 2],
                 .columns = c->dim[c->rank - 1],
                 .k = a->dim[a->rank - (attrs->transpose_a ? 2 : 1)]};
    p.batch = c->count / (p.rows * p.columns);
    p.right = (side){.step = b->rank == 2 ? 0 : p.k * p.columns,
                     .ld = attrs->transpose_b ? p.k : p.columns,
                     .across = !attrs->transpose_b};
    if (!p.right.step && !attrs->transpose_a) {
        p.rows *= p.batch;
        p.batch = 1;
    }
    p.left = (side){.step = p.rows * p.k,
                    .ld = attrs->transpose_a ? p.rows : p.k,
                    .across = attrs->transpose_a};
    if (p.left.across && p.right.across && p.rows > p.columns && !has_epilogue(kernel) &&
        p.rows * p.columns <= SWAPPED_MAX)
        swap_sides(&p);
    p.kc = part(p.k, KC, CJ__AMX_K);
    p.nc = part(p.columns, RIGHT_BYTES / (p.kc * BYTES) / BLOCK * BLOCK, BLOCK);
    return p;
}

static bool is_kept(const cj_kernel *k, const product *p)
{
    return k->fixed && k->fixed[1] && !p->swapped && p->batch == 1 && p->rows <= ROWS_KEPT_MAX;
}

bool cj__amx_matmul_supports(const cj_kernel *k)
{
    const cj__matmul_attrs *attrs = k->call->attributes;
    for (int i = 0; i < k->call->n_in; i++)
        if (k->in[i]->dtype != CJ_F32 || !k->in[i]->count) return false;
    if (k->out[0]->dtype != CJ_F32 || !k->out[0]->count) return false;
    if (attrs->activation != CJ__EPILOGUE_NONE && attrs->activation != CJ__EPILOGUE_RELU)
        return false;
    const product p = product_of(k);
    const int64_t rows_min = is_kept(k, &p)   ? ROWS_KEPT_MIN
                             : p.right.across ? ROWS_ACROSS_MIN
                                              : ROWS_MIN;
    return p.rows >= rows_min && p.columns >= COLUMNS_MIN && p.k >= K_MIN && cj__amx_available();
}

/* The panels of several threads are of all k if they are not too many, and of as many columns. */
static void cut(product *p, int64_t threads, bool keeps)
{
    const int64_t all_k = up(p->k, p->kc), all_columns = up(p->columns, p->nc);
    const int64_t room = (threads > 1 ? SET_BYTES : RIGHT_BYTES) / BYTES;
    p->set_k = keeps ? all_k : p->kc * bounded(room / (p->nc * p->kc), 1, all_k / p->kc);
    p->set_columns = keeps ? all_columns
                           : p->nc * bounded(room / (p->set_k * p->nc), 1, all_columns / p->nc);
    const int64_t tasks = threads > 1 ? TASKS * threads : 1;
    p->task_rows = up((p->rows + tasks - 1) / tasks, BLOCK);
    const int64_t down = (p->rows + p->task_rows - 1) / p->task_rows,
                  across = (tasks + down - 1) / down;
    p->task_columns = up((p->set_columns + across - 1) / across, BLOCK);
}

cj_status cj__amx_matmul_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                                 size_t *workspace_bytes)
{
    enum { ALIGNED = 64 };
    product *p = cj__arena_alloc(arena, sizeof *p);
    if (!p) return CJ_ERR_MEMORY;
    *p = product_of(k);
    *prepared = p;
    const bool keeps = is_kept(k, p);
    cut(p, cj__team_threads(k->team), keeps);
    const size_t set = (size_t)(smaller(p->set_columns, up(p->columns, BLOCK)) *
                                smaller(p->set_k, up(p->k, CJ__AMX_K)) * BYTES);
    if (!keeps) {
        p->panels = set;
        *workspace_bytes = set + ALIGNED;
        if (p->swapped) *workspace_bytes += (size_t)(p->rows * p->columns) * sizeof(float);
        return CJ_OK;
    }
    char *kept = cj__arena_alloc(arena, set + ALIGNED);
    if (!kept) return CJ_ERR_MEMORY;
    p->kept = kept + (ALIGNED - (uintptr_t)kept % ALIGNED) % ALIGNED;
    *workspace_bytes = 0;
    return CJ_OK;
}

/* ---- Running --------------------------------------------------------------------------------- */

/* Columns [j, j + columns), k in [q, q + k), and the panels of the right side there: those of the
 * first kc for all columns, then of the next. */
typedef struct block {
    int64_t j, columns, q, k;
    char *panels;
} block;

typedef struct job {
    const product *p;
    const float *left, *right, *bias, *addend; /* of this product */
    float *d, *c; /* c: what d is the transpose of, when swapped */
    block set;
    bool relu;
} job;

/* Columns [j, j + columns) of the set and the kc from q on. Both are as split_right lays them. */
static block block_of(const job *w, int64_t j, int64_t columns, int64_t q)
{
    const block *set = &w->set;
    const int64_t k = smaller(w->p->kc, set->q + set->k - q);
    return (block){.j = j,
                   .columns = columns,
                   .q = q,
                   .k = k,
                   .panels = set->panels + BYTES * (up(set->columns, BLOCK) * (q - set->q) +
                                                    (j - set->j) * up(k, CJ__AMX_K))};
}

/* Strips of 16 columns, those of the first kc, then of the next. What is across is read row after
 * row. */
static void split_right(void *arg, int64_t begin, int64_t end)
{
    const job *w = arg;
    const side *s = &w->p->right;
    const int64_t strips = up(w->set.columns, BLOCK) / CJ__AMX_ROWS;
    while (begin < end) {
        const int64_t part = begin / strips, last = smaller(end, (part + 1) * strips);
        const block b = block_of(w, w->set.j, w->set.columns, w->set.q + part * w->p->kc);
        const int64_t steps = (b.k + CJ__AMX_K - 1) / CJ__AMX_K;
        for (int64_t step = 0; step < steps; step++) {
            const int64_t at = b.q + step * CJ__AMX_K;
            const size_t depth = (size_t)smaller(b.q + b.k - at, CJ__AMX_K), ld = (size_t)s->ld;
            for (int64_t strip = begin - part * strips; strip < last - part * strips; strip++) {
                const int64_t j = strip * CJ__AMX_ROWS, left = b.columns - j, row = b.j + j;
                const size_t columns = left > 0 ? (size_t)smaller(left, CJ__AMX_ROWS) : 0;
                char *panel = b.panels + (strip * steps + step) * CJ__AMX_PANEL;
                if (s->across)
                    cj__amx_right(w->right + at * s->ld + row, ld, depth, columns, panel);
                else
                    cj__amx_right_transposed(w->right + row * s->ld + at, ld, depth, columns,
                                             panel);
            }
        }
        begin = last;
    }
}

static void split_left(const job *w, const block *b, int64_t i, char *panels)
{
    const side *s = &w->p->left;
    const int64_t steps = (b->k + CJ__AMX_K - 1) / CJ__AMX_K;
    for (int64_t step = 0; step < steps; step++) {
        const int64_t at = b->q + step * CJ__AMX_K;
        const size_t depth = (size_t)smaller(b->q + b->k - at, CJ__AMX_K), ld = (size_t)s->ld;
        for (int64_t half = 0; half < 2; half++) {
            const int64_t row = i + half * CJ__AMX_ROWS, left = w->p->rows - row;
            const size_t rows = left > 0 ? (size_t)smaller(left, CJ__AMX_ROWS) : 0;
            char *panel = panels + (half * steps + step) * CJ__AMX_PANEL;
            if (s->across)
                cj__amx_left_transposed(w->left + at * s->ld + row, ld, rows, depth, panel);
            else cj__amx_left(w->left + row * s->ld + at, ld, rows, depth, panel);
        }
    }
}

/* Rows [begin, end), begin a multiple of 32. */
static void multiply_rows(const job *w, const block *b, int64_t begin, int64_t end)
{
    const product *p = w->p;
    _Alignas(64) char left[2 * KC / CJ__AMX_K * CJ__AMX_PANEL];
    ptrdiff_t at[KC / CJ__AMX_K];
    const int64_t steps = (b->k + CJ__AMX_K - 1) / CJ__AMX_K, ld = p->columns;
    const bool last = b->q + b->k == p->k;
    for (int64_t s = 0; s < steps; s++) at[s] = s * CJ__AMX_PANEL;
    cj__amx_pipe pipe;
    cj__amx_pipe_init(&pipe);
    cj__amx_product m = {.steps = (size_t)steps,
                         .rows = CJ__AMX_ROWS,
                         .a = left,
                         .at = at,
                         .a_row = 64,
                         .a_part = CJ__AMX_PART,
                         .a_block = (size_t)steps * CJ__AMX_PANEL,
                         .b_part = CJ__AMX_PART,
                         .b_step = CJ__AMX_PANEL,
                         .b_block = (size_t)steps * CJ__AMX_PANEL,
                         .ld_from = (size_t)ld,
                         .relu = last && w->relu};
    cj__amx_begin();
    for (int64_t i = begin; i < end; i += BLOCK) {
        const int64_t rows = smaller(end - i, BLOCK);
        for (int64_t r = 0; r < BLOCK; r++) m.row[r] = r < rows ? r * ld : -1;
        split_left(w, b, i, left);
        for (int64_t j = 0; j < b->columns; j += BLOCK) {
            const int64_t column = b->j + j, corner = i * ld + column;
            m.columns = (size_t)smaller(b->columns - j, BLOCK);
            m.b = b->panels + j / CJ__AMX_ROWS * steps * CJ__AMX_PANEL;
            m.y = w->d + corner;
            m.from = b->q ? m.y : NULL;
            m.bias = last && w->bias ? w->bias + column : NULL;
            m.addend = last && w->addend ? w->addend + corner : NULL;
            cj__amx_multiply(&pipe, &m);
        }
        cj__amx_finish(&pipe); /* the left panels are made anew */
    }
    cj__amx_end();
}

/* 64 columns of d at a time become 64 rows of c. */
static void transpose_columns(void *arg, int64_t begin, int64_t end)
{
    const job *w = arg;
    const int64_t rows = w->p->rows, columns = w->p->columns;
    for (int64_t j = begin; j < end; j += CJ__AMX_ROWS)
        for (int64_t i = 0; i < rows; i += CJ__AMX_ROWS)
            cj__amx_transpose(w->d + i * columns + j, (size_t)columns,
                              (size_t)smaller(rows - i, CJ__AMX_ROWS),
                              (size_t)smaller(end - j, CJ__AMX_ROWS), w->c + j * rows + i,
                              (size_t)rows);
}

/* Tasks of the set, row after row of them. */
static void multiply_tasks(void *arg, int64_t begin, int64_t end)
{
    const job *w = arg;
    const product *p = w->p;
    const block *set = &w->set;
    const int64_t across = (set->columns + p->task_columns - 1) / p->task_columns;
    for (int64_t task = begin; task < end; task++) {
        const int64_t row = task / across * p->task_rows, first = task % across * p->task_columns,
                      last = smaller(set->columns, first + p->task_columns);
        for (int64_t j = first; j < last; j += p->nc)
            for (int64_t q = set->q; q < set->q + set->k; q += p->kc) {
                const block b = block_of(w, set->j + j, smaller(p->nc, last - j), q);
                multiply_rows(w, &b, row, smaller(p->rows, row + p->task_rows));
            }
    }
}

static void multiply_set(job *w, cj__team *team, bool split)
{
    enum { STRIPS = 8 }; /* a task's: 128 columns */
    const product *p = w->p;
    const int64_t parts = (w->set.k + p->kc - 1) / p->kc,
                  down = (p->rows + p->task_rows - 1) / p->task_rows,
                  across = (w->set.columns + p->task_columns - 1) / p->task_columns;
    if (split)
        cj__parallel_for(team, parts * up(w->set.columns, BLOCK) / CJ__AMX_ROWS, STRIPS,
                         split_right, w);
    cj__parallel_for(team, down * across, 1, multiply_tasks, w);
}

cj_status cj__amx_matmul_run(const cj_kernel *k)
{
    const cj__matmul_attrs *attrs = k->call->attributes;
    product *p = (product *)(uintptr_t)k->prepared;
    char *panels = p->kept ? p->kept : (char *)(((uintptr_t)k->workspace + 63) / 64 * 64);
    const int64_t size = p->rows * p->columns;
    const bool split = !p->is_kept || p->version != *k->version;
    job w = {.p = p,
             .left = k->in[p->swapped]->data,
             .right = k->in[!p->swapped]->data,
             .bias = attrs->has_bias ? k->in[2]->data : NULL,
             .addend = attrs->has_addend ? k->in[2 + attrs->has_bias]->data : NULL,
             .c = k->out[0]->data,
             .d = p->swapped ? (float *)(void *)(panels + p->panels) : k->out[0]->data,
             .set = {.panels = panels},
             .relu = attrs->activation == CJ__EPILOGUE_RELU};
    for (int64_t i = 0; i < p->batch; i++) {
        for (w.set.j = 0; w.set.j < p->columns; w.set.j += p->set_columns)
            for (w.set.q = 0; w.set.q < p->k; w.set.q += p->set_k) {
                w.set.columns = smaller(p->set_columns, p->columns - w.set.j);
                w.set.k = smaller(p->set_k, p->k - w.set.q);
                multiply_set(&w, k->team, split);
            }
        if (p->swapped) cj__parallel_for(k->team, p->columns, 64, transpose_columns, &w);
        else w.d += size;
        w.c += size;
        w.left += p->left.step;
        w.right += p->right.step;
        if (w.addend) w.addend += size;
    }
    p->is_kept = p->kept && k->version;
    if (p->is_kept) p->version = *k->version;
    return CJ_OK;
}
#else
typedef int cj__amx_matmul_is_not_built; /* a file of C is never empty */
#endif
