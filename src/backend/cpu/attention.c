/* attention.c: attention in f32 without storing its scores (Dao 2023, "FlashAttention-2").
 *
 * Queries are taken QUERIES at a time, keys KEYS at a time; a block of scores lives on the stack:
 *
 *                 keys j .. j + cols
 *     queries  +-------------------+      s = q k^T by gemm; heads are strided views
 *     i ..     | s, then p         |      row by row: mask, largest so far, e^(s - largest)
 *              +-------------------+      o = o * e^(old - new largest) + p v by gemm
 *
 * A row's sum and largest score are carried from block to block, and blocks that causality or
 * lengths hide are never computed. Backward, p comes again from the rows' ln(sum of e^s), and
 *
 *     dp = do v^T    ds = p (dp - rowsum(do o) + dl)    dv += p^T do   dk += ds^T q   dq += ds k
 *
 * A task is a block of queries of one head forward, all of one head of k and v backward: tasks
 * share nothing they write, so the bits do not depend on the number of threads. */
#include <math.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "base/random.h"
#include "graph/ops/attention.h"

enum { QUERIES = 64, KEYS = 128 };

typedef struct attention {
    const cj__isa *isa;
    const float *q, *k, *v;
    float *o, *lse;                         /* forward: written */
    const float *d_o, *dlse;                /* backward */
    float *dq, *dk, *dv;
    int64_t n, tq, tk, hq, hk, d, dv_size;  /* tq rows for each of hq heads */
    int64_t q_row, q_head, o_row, o_head, lse_row, lse_head; /* floats apart */
    bool one_query;                         /* rows are heads of one group: all see the same */
    float scale, softcap, rate;
    bool causal;
    const cj_array *mask;                   /* or NULL */
    int64_t mask_stride[4];
    const int64_t *lengths, *offset, *key;  /* or NULL */
    uint32_t stream;
} attention;

bool cj__attention_supports(const cj_kernel *k) { return k->in[0]->dtype == CJ_F32; }

static attention open_attention(const cj_kernel *kernel)
{
    const cj__attention_attrs *attrs = kernel->call->attributes;
    const cj__attention_places at = cj__attention_places_of(kernel->call);
    const cj_array *q = kernel->in[0], *k = kernel->in[1], *v = kernel->in[2];
    attention a = {.isa = cj__isa_best(),
                   .q = q->data,
                   .k = k->data,
                   .v = v->data,
                   .n = q->dim[0],
                   .tq = q->dim[1],
                   .hq = q->dim[2],
                   .d = q->dim[3],
                   .tk = k->dim[1],
                   .hk = k->dim[2],
                   .dv_size = v->dim[3],
                   .scale = (float)cj__attention_scale(attrs, q->dim[3]),
                   .softcap = (float)attrs->softcap,
                   .rate = (float)attrs->rate,
                   .causal = attrs->causal,
                   .stream = (uint32_t)attrs->stream};
    a.q_row = a.hq * a.d, a.q_head = a.d;
    a.o_row = a.hq * a.dv_size, a.o_head = a.dv_size;
    a.lse_row = 1, a.lse_head = a.tq;
    if (at.lengths >= 0) a.lengths = kernel->in[at.lengths]->data;
    if (at.offset >= 0) a.offset = kernel->in[at.offset]->data;
    if (at.training >= 0 && *(const unsigned char *)kernel->in[at.training]->data)
        a.key = kernel->in[at.key]->data;
    if (at.mask >= 0) {
        int64_t step = 1;
        a.mask = kernel->in[at.mask];
        for (int i = 3; i >= 0; i--) {
            a.mask_stride[i] = a.mask->dim[i] == 1 ? 0 : step;
            step *= a.mask->dim[i];
        }
    }
    return a;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* How many keys query i of sample n sees, at most: those from there on are hidden. */
static int64_t seen_by(const attention *a, int64_t n, int64_t i)
{
    int64_t seen = a->lengths ? clamp(a->lengths[n], 0, a->tk) : a->tk;
    if (!a->causal) return seen;
    const int64_t queries = a->one_query ? 1 : a->tq, place = a->one_query ? 0 : i;
    int64_t offset = a->offset ? clamp(a->offset[n], -queries, a->tk) : a->tk - queries;
    return clamp(place + offset + 1, 0, seen);
}

/* ---- One row of scores ----------------------------------------------------------------------- */

/* Scores j .. j + cols of query i: softcap and mask. tanh: where softcap leaves its tanh, or NULL.
 * Returns the factor that is still to be applied. */
static float finish_scores(const attention *a, int64_t n, int64_t h, int64_t i, int64_t j,
                           int64_t cols, float *s, float *tanh)
{
    const size_t count = (size_t)cols;
    if (a->softcap == 0 && !a->mask) return a->scale;
    float factor = a->softcap > 0 ? a->scale / a->softcap : a->scale;
    a->isa->binary_f32[CJ__BINARY_MUL](count, s, &factor, s, CJ__SPAN_B_SCALAR);
    if (a->softcap > 0) {
        a->isa->unary_f32[CJ__UNARY_TANH](count, s, s);
        if (tanh) memcpy(tanh, s, count * sizeof *s);
        a->isa->binary_f32[CJ__BINARY_MUL](count, s, &a->softcap, s, CJ__SPAN_B_SCALAR);
    }
    if (!a->mask) return 1;
    const int64_t *step = a->mask_stride,
                  at = n * step[0] + h * step[1] + i * step[2] + j * step[3];
    const float hidden = -INFINITY;
    const unsigned one = step[3] ? 0 : CJ__SPAN_B_SCALAR;
    if (a->mask->dtype != CJ_BOOL) {
        a->isa->binary_f32[CJ__BINARY_ADD](count, s, (const float *)a->mask->data + at, s, one);
        return 1;
    }
    a->isa->where(sizeof *s, count, (const uint8_t *)a->mask->data + at, s, &hidden, s,
                  CJ__SPAN_B_SCALAR | (step[3] ? 0 : CJ__SPAN_C_SCALAR));
    return 1;
}

/* Dropout's factors of keys j .. j + cols of query i: 0 or 1 / (1 - rate). */
static void drop_factors(const attention *a, int64_t n, int64_t h, int64_t i, int64_t j,
                         int64_t cols, float *factors)
{
    uint32_t words[KEYS];
    const cj__random_key key = {.seed = (uint64_t)a->key[0],
                                .stream = a->stream,
                                .step = (uint32_t)a->key[1],
                                .sample = (uint32_t)((uint64_t)a->key[2] + (uint64_t)n)};
    const float grown = 1 / (1 - a->rate);
    cj__random_fill_u32(key, (uint32_t)((h * a->tq + i) * a->tk + j), words, (size_t)cols);
    for (int64_t c = 0; c < cols; c++)
        factors[c] = cj__random_unit(words[c]) >= a->rate ? grown : 0;
}

static void times(const attention *a, int64_t n, float *x, const float *by, unsigned flags)
{
    a->isa->binary_f32[CJ__BINARY_MUL]((size_t)n, x, by, x, flags);
}

/* ---- Forward --------------------------------------------------------------------------------- */

/* A row between blocks: its largest score and the sum of e^(score - largest). */
typedef struct row_state {
    float largest;
    double sum;
} row_state;

/* Scores s of a row become probabilities but for the sum; o is brought to the new largest. */
static void forward_row(const attention *a, int64_t n, int64_t h, int64_t i, int64_t j,
                        int64_t seen, int64_t cols, float *s, float *o, row_state *row)
{
    const float factor = finish_scores(a, n, h, i, j, seen, s, NULL);
    float largest = seen ? factor * a->isa->reduce_f32[CJ__REDUCE_MAX]((size_t)seen, s) : -INFINITY;
    if (!(largest > row->largest) && largest == largest) largest = row->largest;
    if (row->largest != row->largest) largest = row->largest;
    if (largest != row->largest && j > 0) {
        const float shrink = row->sum > 0 || row->sum != row->sum ? expf(row->largest - largest)
                                                                  : 0;
        row->sum *= shrink;
        times(a, a->dv_size, o, &shrink, CJ__SPAN_B_SCALAR);
    }
    row->largest = largest;
    row->sum += a->isa->exp_sum_f32((size_t)seen, s, factor, largest == -INFINITY ? 0 : largest, s);
    memset(s + seen, 0, (size_t)(cols - seen) * sizeof *s);
    if (!a->key) return;
    float factors[KEYS];
    drop_factors(a, n, h, i, j, seen, factors);
    times(a, seen, s, factors, 0);
}

static void forward_block(const attention *a, int64_t n, int64_t h, int64_t i, int64_t rows)
{
    float s[QUERIES * KEYS];
    row_state state[QUERIES];
    const int64_t kv = h / (a->hq / a->hk), k_row = a->hk * a->d, v_row = a->hk * a->dv_size;
    const float *q = a->q + n * a->tq * a->hq * a->d + h * a->q_head + i * a->q_row;
    float *o = a->o + n * a->tq * a->hq * a->dv_size + h * a->o_head + i * a->o_row;
    const int64_t last = seen_by(a, n, i + rows - 1);
    for (int64_t r = 0; r < rows; r++) state[r] = (row_state){-INFINITY, 0};
    for (int64_t j = 0; j < last; j += KEYS) {
        const int64_t cols = smaller(KEYS, last - j);
        a->isa->gemm_f32(NULL, &(cj__gemm){.m = rows,
                                           .n = cols,
                                           .k = a->d,
                                           .transpose_b = true,
                                           .alpha = 1,
                                           .a = q,
                                           .lda = a->q_row,
                                           .b = a->k + (n * a->tk + j) * k_row + kv * a->d,
                                           .ldb = k_row,
                                           .c = s,
                                           .ldc = KEYS});
        for (int64_t r = 0; r < rows; r++)
            forward_row(a, n, h, i + r, j, clamp(seen_by(a, n, i + r) - j, 0, cols), cols,
                        s + r * KEYS, o + r * a->o_row, &state[r]);
        a->isa->gemm_f32(NULL, &(cj__gemm){.m = rows,
                                           .n = a->dv_size,
                                           .k = cols,
                                           .alpha = 1,
                                           .beta = j > 0,
                                           .a = s,
                                           .lda = KEYS,
                                           .b = a->v + (n * a->tk + j) * v_row + kv * a->dv_size,
                                           .ldb = v_row,
                                           .c = o,
                                           .ldc = a->o_row});
    }
    for (int64_t r = 0; r < rows; r++) {
        const float inverse = state[r].sum == 0 ? 0 : (float)(1 / state[r].sum);
        float *row = o + r * a->o_row;
        if (last == 0) memset(row, 0, (size_t)a->dv_size * sizeof *row);
        else times(a, a->dv_size, row, &inverse, CJ__SPAN_B_SCALAR);
        a->lse[n * a->hq * a->tq + h * a->lse_head + (i + r) * a->lse_row] =
            state[r].sum == 0 ? -INFINITY : state[r].largest + (float)log(state[r].sum);
    }
}

static void forward_work(void *arg, int64_t begin, int64_t end)
{
    const attention *a = arg;
    const int64_t blocks = (a->tq + QUERIES - 1) / QUERIES;
    for (int64_t task = begin; task < end; task++) {
        const int64_t i = task % blocks * QUERIES, head = task / blocks;
        forward_block(a, head / a->hq, head % a->hq, i, smaller(QUERIES, a->tq - i));
    }
}

/* With one query a sample (decoding), the heads of a group are rows that share k and v. */
static void group_heads(attention *a)
{
    const int64_t group = a->hq / a->hk;
    if (a->tq != 1 || group == 1 || a->mask || a->key) return;
    a->one_query = true;
    a->q_row = a->d, a->q_head = group * a->d;
    a->o_row = a->dv_size, a->o_head = group * a->dv_size;
    a->lse_row = 1, a->lse_head = group;
    a->tq = group, a->hq = a->hk;
}

cj_status cj__attention_run(const cj_kernel *k)
{
    attention a = open_attention(k);
    a.o = k->out[0]->data;
    a.lse = k->out[1]->data;
    group_heads(&a);
    cj__parallel_for(k->team, a.n * a.hq * ((a.tq + QUERIES - 1) / QUERIES), 1, forward_work, &a);
    return CJ_OK;
}

/* ---- Backward -------------------------------------------------------------------------------- */

static double dot(int64_t n, const float *x, const float *y)
{
    enum { LANES = 16 };
    float sum[LANES] = {0};
    double total = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++) sum[lane] += x[i + lane] * y[i + lane];
    for (; i < n; i++) total += (double)x[i] * y[i];
    for (int lane = 0; lane < LANES; lane++) total += sum[lane];
    return total;
}

/* Scores s of a row become probabilities (with dropout), dp becomes ds. */
static void backward_row(const attention *a, int64_t n, int64_t h, int64_t i, int64_t j,
                         int64_t seen, int64_t cols, float *s, float *dp, float delta, float lse)
{
    float tanh[KEYS], factors[KEYS];
    const float factor = finish_scores(a, n, h, i, j, seen, s, tanh);
    a->isa->exp_sum_f32((size_t)seen, s, factor, lse == -INFINITY ? 0 : lse, s);
    if (a->key) {
        drop_factors(a, n, h, i, j, seen, factors);
        times(a, seen, dp, factors, 0);
    }
    a->isa->binary_f32[CJ__BINARY_SUB]((size_t)seen, dp, &delta, dp, CJ__SPAN_B_SCALAR);
    times(a, seen, dp, s, 0);
    if (a->softcap > 0)
        for (int64_t c = 0; c < seen; c++) dp[c] *= 1 - tanh[c] * tanh[c];
    if (a->key) times(a, seen, s, factors, 0);
    memset(s + seen, 0, (size_t)(cols - seen) * sizeof *s);
    memset(dp + seen, 0, (size_t)(cols - seen) * sizeof *dp);
}

/* What one block of queries gives to keys j .. j + cols, and they to it. */
static void backward_tile(const attention *a, int64_t n, int64_t h, int64_t i, int64_t rows,
                          int64_t j, int64_t cols, const float *delta)
{
    float s[QUERIES * KEYS], dp[QUERIES * KEYS];
    const int64_t kv = h / (a->hq / a->hk), k_row = a->hk * a->d, v_row = a->hk * a->dv_size;
    const int64_t q_at = (n * a->tq + i) * a->q_row + h * a->d,
                  o_at = (n * a->tq + i) * a->o_row + h * a->dv_size,
                  k_at = (n * a->tk + j) * k_row + kv * a->d,
                  v_at = (n * a->tk + j) * v_row + kv * a->dv_size;
    const float *lse = a->lse + (n * a->hq + h) * a->tq + i;
    cj__gemm g = {.m = rows, .n = cols, .k = a->d, .transpose_b = true, .alpha = 1, .ldc = KEYS};
    g.a = a->q + q_at, g.lda = a->q_row, g.b = a->k + k_at, g.ldb = k_row, g.c = s;
    a->isa->gemm_f32(NULL, &g);
    g.k = a->dv_size;
    g.a = a->d_o + o_at, g.lda = a->o_row, g.b = a->v + v_at, g.ldb = v_row, g.c = dp;
    a->isa->gemm_f32(NULL, &g);
    for (int64_t r = 0; r < rows; r++)
        backward_row(a, n, h, i + r, j, clamp(seen_by(a, n, i + r) - j, 0, cols), cols,
                     s + r * KEYS, dp + r * KEYS, delta[r], lse[r]);
    g = (cj__gemm){.m = cols, .k = rows, .transpose_a = true, .alpha = 1, .beta = 1, .lda = KEYS};
    g.n = a->dv_size, g.a = s, g.b = a->d_o + o_at, g.ldb = a->o_row;
    g.c = a->dv + v_at, g.ldc = v_row;
    a->isa->gemm_f32(NULL, &g);
    g.n = a->d, g.alpha = a->scale, g.a = dp, g.b = a->q + q_at, g.ldb = a->q_row;
    g.c = a->dk + k_at, g.ldc = k_row;
    a->isa->gemm_f32(NULL, &g);
    g.m = rows, g.k = cols, g.transpose_a = false, g.b = a->k + k_at, g.ldb = k_row;
    g.c = a->dq + q_at, g.ldc = a->q_row;
    a->isa->gemm_f32(NULL, &g);
}

static void backward_block(const attention *a, int64_t n, int64_t h, int64_t i, int64_t rows)
{
    float delta[QUERIES];
    const int64_t last = seen_by(a, n, i + rows - 1);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t at = (n * a->tq + i + r) * a->o_row + h * a->dv_size;
        memset(a->dq + (n * a->tq + i + r) * a->q_row + h * a->d, 0, (size_t)a->d * sizeof(float));
        delta[r] = (float)(dot(a->dv_size, a->d_o + at, a->o + at) -
                           a->dlse[(n * a->hq + h) * a->tq + i + r]);
    }
    for (int64_t j = 0; j < last; j += KEYS)
        backward_tile(a, n, h, i, rows, j, smaller(KEYS, last - j), delta);
}

static void backward_work(void *arg, int64_t begin, int64_t end)
{
    const attention *a = arg;
    const int64_t group = a->hq / a->hk;
    for (int64_t task = begin; task < end; task++) {
        const int64_t n = task / a->hk, kv = task % a->hk;
        for (int64_t j = 0; j < a->tk; j++) {
            const int64_t at = (n * a->tk + j) * a->hk + kv;
            memset(a->dk + at * a->d, 0, (size_t)a->d * sizeof(float));
            memset(a->dv + at * a->dv_size, 0, (size_t)a->dv_size * sizeof(float));
        }
        for (int64_t h = kv * group; h < (kv + 1) * group; h++)
            for (int64_t i = 0; i < a->tq; i += QUERIES)
                backward_block(a, n, h, i, smaller(QUERIES, a->tq - i));
    }
}

cj_status cj__attention_grad_run(const cj_kernel *k)
{
    attention a = open_attention(k);
    a.o = k->in[CJ__ATTENTION_O]->data;
    a.lse = k->in[CJ__ATTENTION_LSE]->data;
    a.d_o = k->in[CJ__ATTENTION_DO]->data;
    a.dlse = k->in[CJ__ATTENTION_DLSE]->data;
    a.dq = k->out[0]->data;
    a.dk = k->out[1]->data;
    a.dv = k->out[2]->data;
    cj__parallel_for(k->team, a.n * a.hk, 1, backward_work, &a);
    return CJ_OK;
}
