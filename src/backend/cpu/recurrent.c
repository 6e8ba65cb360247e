/* recurrent.c: rnn, lstm and gru in f32: all steps of some samples on one thread, state in cache.
 *
 * Samples do not know of each other, so the batch is cut into blocks of ROWS, and each block walks
 * through all steps without waiting for another. The weights [W R] are packed once for all blocks
 * (and kept while nobody changes them); x and h of a step lie side by side in one row, so a step is
 * one product whose sums become the new state before they leave the registers (isa_recurrent.h).
 * Two rows of [x, h] take turns: one is read while the other gets the next h. With one or two
 * samples a step waits for its weights, which pass through the second-level cache: there the part
 * that x makes is a product before the steps, and they read R alone.
 *
 * What rare options ask for (peepholes, projections, other functions, a reset gate before the
 * product) goes to the reference kernel. */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "graph/ops/recurrent.h"

enum { ROWS = 32 };

typedef struct prepared {
    cj__recurrent r;
    cj__recurrent_cell cell;
    int64_t n, t, c, h, gates;          /* gates: units times their number */
    int64_t stride, local_stride;       /* of [x, h] and of dgates, in floats */
    int64_t packed, bias;               /* floats of one direction */
    int64_t buffers;                    /* floats of one block */
    int64_t blocks;
    int64_t inputs;                     /* of a row: those of x that a step multiplies, c or 0 */
    int64_t made;                       /* floats of x's products that are made before; 0: none */
    size_t product;                     /* bytes that making them works with */
    float *kept;                        /* packed weights that outlive a run; NULL: in workspace */
    uint64_t version;                   /* they are of; 0: none */
} prepared;

/* One run, as its blocks see it. */
typedef struct task {
    const cj_kernel *k;
    const prepared *p;
    const cj__isa *isa;
    const float *packed, *made;
    float *buffers;
} task;

bool cj__recurrent_supports(const cj_kernel *k)
{
    const cj__recurrent_attrs *a = k->call->attributes;
    cj__recurrent r = cj__recurrent_of(k->call->op, a);
    if (!cj__is_f32(k->in[0]) || r.peepholes >= 0 || r.projection >= 0 || !k->in[2]->dim[2])
        return false;
    if (r.cell == CJ__CELL_RNN)
        return a->activation == CJ__GATE_TANH || a->activation == CJ__GATE_RELU;
    return a->activation == CJ__GATE_TANH && a->recurrent_activation == CJ__GATE_SIGMOID &&
           (r.cell == CJ__CELL_LSTM ? a->output_activation == CJ__GATE_TANH : a->reset_after);
}

/* ---- Preparing ------------------------------------------------------------------------------- */

/* A row length that is a whole number of cache lines, but of an odd one, so that rows do not all
 * compete for the same places. */
static int64_t row_stride(int64_t n)
{
    return ((n + 15) / 16 | 1) * 16;
}

static int64_t strips(int64_t units, int64_t width) { return (units + width - 1) / width; }

/* x's products with W of one direction: [N T, gates]. */
static cj__gemm product_of(const prepared *p, const cj_kernel *k, int d)
{
    return (cj__gemm){.m = p->n * p->t,
                      .n = p->gates,
                      .k = p->c,
                      .transpose_b = true,
                      .alpha = 1,
                      .a = k->in[0]->data,
                      .lda = p->c,
                      .b = (const float *)k->in[1]->data + d * p->gates * p->c,
                      .ldb = p->c,
                      .ldc = p->gates};
}

/* Whether x's products are made before the steps: as many rows must pay for packing W. */
static void choose_made(prepared *p, const cj_kernel *k)
{
    enum { STEPS_MIN = 16, FLOATS_MAX = 1 << 22 };
    const int64_t made = p->n * p->t * p->gates * p->r.directions;
    p->inputs = p->c;
    if (p->r.backward || p->n > CJ__RECURRENT_FEW || p->t < STEPS_MIN || made > FLOATS_MAX) return;
    const cj__gemm g = product_of(p, k, 0);
    p->inputs = 0;
    p->made = (made + 15) / 16 * 16;
    p->product = cj__isa_best()->gemm_workspace_f32(&g);
}

static void make_products(const task *job, float *made, void *workspace)
{
    const prepared *p = job->p;
    for (int d = 0; d < p->r.directions; d++) {
        cj__gemm g = product_of(p, job->k, d);
        g.c = made + d * g.m * g.n;
        g.workspace = p->product ? workspace : NULL;
        job->isa->gemm_f32(job->k->team, &g);
    }
}

cj_status cj__recurrent_prepare(const cj_kernel *k, cj__arena *arena, const void **out,
                                size_t *workspace_bytes)
{
    static const cj__recurrent_cell cells[] = {CJ__RECURRENT_RNN, CJ__RECURRENT_LSTM,
                                               CJ__RECURRENT_GRU};
    prepared *p = cj__arena_alloc(arena, sizeof *p);
    if (!p) return CJ_ERR_MEMORY;
    p->r = cj__recurrent_of(k->call->op, k->call->attributes);
    p->cell = cells[p->r.cell];
    if (p->cell == CJ__RECURRENT_RNN && p->r.a->activation == CJ__GATE_RELU)
        p->cell = CJ__RECURRENT_RELU;
    const cj_array *x = k->in[0], *r = k->in[2];
    const int64_t lanes = cj__isa_best()->lanes;
    p->n = x->dim[0], p->t = x->dim[1], p->c = x->dim[2];
    p->h = r->dim[2], p->gates = r->dim[1];
    choose_made(p, k);
    p->stride = row_stride(p->inputs + p->h), p->local_stride = row_stride(p->gates);
    p->blocks = strips(p->n, ROWS);
    if (p->r.backward) {
        p->packed = strips(p->h, 4 * lanes) * 4 * lanes * p->gates;
        p->buffers = ROWS * (2 * p->h + p->local_stride) + p->h;
    } else {
        const int64_t count = strips(p->h, (p->r.cell == CJ__CELL_RNN ? 4 : 1) * lanes),
                      vectors = p->r.cell == CJ__CELL_GRU ? 3 : 4;
        p->packed = count * (p->inputs + p->h) * vectors * lanes;
        p->bias = count * 4 * lanes;
        p->buffers = ROWS * (2 * p->stride + p->h);
    }
    p->buffers = (p->buffers + 15) / 16 * 16;
    const int64_t all = p->r.directions * (p->packed + p->bias);
    const bool fixed = k->fixed && k->fixed[1] && k->fixed[2] &&
                       (p->r.bias < 0 || k->fixed[p->r.bias]);
    /* A plan may be made for shapes that are never run: what is kept is as large as the weights. */
    if (fixed) {
        char *raw = cj__arena_alloc(arena, (size_t)all * sizeof(float) + 64);
        if (!raw) return CJ_ERR_MEMORY;
        p->kept = (float *)(void *)(raw + (64 - (uintptr_t)raw % 64) % 64);
    }
    *workspace_bytes =
        (size_t)(p->made + p->buffers * p->blocks * p->r.directions + (fixed ? 0 : all)) *
            sizeof(float) +
        p->product;
    *out = p;
    return CJ_OK;
}

/* Transposed gates of one strip: unit j of gate g becomes a lane of vector v of every row. */
static void pack_gate(const task *job, const float *w, int64_t columns, int64_t gate, int64_t j,
                      float *to, int64_t vectors)
{
    const int64_t lanes = job->isa->lanes, h = job->p->h;
    if (j >= h || !columns) return;
    job->isa->transpose(sizeof(float), (size_t)(h - j < lanes ? h - j : lanes), (size_t)columns,
                        w + (gate * h + j) * columns, (size_t)columns, to,
                        (size_t)(vectors * lanes));
}

static void pack_forward(const task *job, int d, float *to)
{
    const prepared *p = job->p;
    const int64_t lanes = job->isa->lanes, inputs = p->inputs + p->h, h = p->h;
    const bool rnn = p->r.cell == CJ__CELL_RNN, gru = p->r.cell == CJ__CELL_GRU;
    const int64_t vectors = gru ? 3 : 4, width = (rnn ? 4 : 1) * lanes;
    const float *w = (const float *)job->k->in[1]->data + d * p->gates * p->c;
    const float *r = (const float *)job->k->in[2]->data + d * p->gates * h;
    memset(to, 0, (size_t)(p->packed + p->bias) * sizeof *to);
    for (int64_t s = 0; s * width < h; s++) {
        float *strip = to + s * inputs * vectors * lanes;
        for (int64_t v = 0; v < vectors; v++) {
            const int64_t gate = rnn ? 0 : v, j = s * width + (rnn ? v * lanes : 0);
            pack_gate(job, w, p->inputs, gate, j, strip + v * lanes, vectors);
            pack_gate(job, r, h, gate, j, strip + (p->inputs * vectors + v) * lanes, vectors);
        }
    }
    if (p->r.bias < 0) return;
    const float *bw = (const float *)job->k->in[p->r.bias]->data + d * 2 * p->gates,
                *br = bw + p->gates;
    float *bias = to + p->packed;
    for (int64_t j = 0; j < h; j++) {
        if (rnn) {
            bias[j] = bw[j] + br[j];
            continue;
        }
        float *at = bias + j / lanes * 4 * lanes + j % lanes;
        for (int64_t v = 0; v < vectors; v++)
            at[v * lanes] = bw[v * h + j] + (gru && v == 2 ? 0 : br[v * h + j]);
        if (gru) at[3 * lanes] = br[2 * h + j];
    }
}

static void pack_backward(const task *job, int d, float *to)
{
    const prepared *p = job->p;
    const int64_t width = 4 * job->isa->lanes;
    const float *r = (const float *)job->k->in[2]->data + d * p->gates * p->h;
    memset(to, 0, (size_t)p->packed * sizeof *to);
    for (int64_t j = 0; j < p->h; j += width)
        for (int64_t i = 0; i < p->gates; i++)
            memcpy(to + (j / width * p->gates + i) * width, r + i * p->h + j,
                   (size_t)(p->h - j < width ? p->h - j : width) * sizeof *r);
}

/* The packed weights of all directions: those kept, if they are of this version. */
static const float *pack(const task *job, float *workspace)
{
    prepared *p = (prepared *)(uintptr_t)job->k->prepared; /* the session's own: one thread's */
    float *to = p->kept ? p->kept : workspace;
    if (p->kept && p->version && p->version == *job->k->version) return to;
    for (int d = 0; d < p->r.directions; d++)
        (p->r.backward ? pack_backward : pack_forward)(job, d, to + d * (p->packed + p->bias));
    p->version = p->kept ? *job->k->version : 0;
    return to;
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

/* Samples [first, first + rows) of one direction. */
typedef struct block {
    const task *job;
    int d;
    int64_t first, rows;
    bool reverse;
    float *buffers;
    uint8_t active[ROWS];
} block;

static block block_of(const task *job, int64_t index)
{
    const prepared *p = job->p;
    block b = {.job = job,
               .d = (int)(index / p->blocks),
               .first = index % p->blocks * ROWS,
               .buffers = job->buffers + index * p->buffers};
    b.rows = p->n - b.first < ROWS ? p->n - b.first : ROWS;
    b.reverse = b.d == 1 || p->r.a->direction == CJ__DIRECTION_REVERSE;
    return b;
}

static int64_t length_of(const task *job, int64_t n)
{
    if (job->p->r.lengths < 0) return job->p->t;
    const cj_array *lengths = job->k->in[job->p->r.lengths];
    return cj_load_i64(lengths->dtype, lengths->data, (size_t)n);
}

/* Which rows are inside their sequence at step t; NULL: all. */
static const uint8_t *mark_active(block *b, int64_t t)
{
    if (b->job->p->r.lengths < 0) return NULL;
    for (int64_t i = 0; i < b->rows; i++) b->active[i] = t < length_of(b->job, b->first + i);
    return b->active;
}

/* Where row i of the block has its first element, in an array [D, N, size] or [D, N, T, size]. */
static float *state_at(const block *b, const cj_array *a, int64_t i, int64_t size)
{
    return (float *)a->data + ((b->d * b->job->p->n) + b->first + i) * size;
}
static float *step_at(const block *b, const cj_array *a, int64_t i, int64_t t, int64_t size)
{
    return state_at(b, a, i, size * b->job->p->t) + t * size;
}
/* Of y or dy [N, T, D H]. */
static float *result_at(const block *b, const cj_array *a, int64_t i, int64_t t)
{
    const prepared *p = b->job->p;
    return (float *)a->data + (((b->first + i) * p->t + t) * p->r.directions + b->d) * p->h;
}

static void copy_floats(float *to, const float *from, int64_t n)
{
    memcpy(to, from, (size_t)n * sizeof *to);
}

/* Row i of operand `at` [D, N, H], or zeros. */
static void load_state(const block *b, int at, int64_t i, float *to)
{
    const int64_t h = b->job->p->h;
    if (at >= 0) copy_floats(to, state_at(b, b->job->k->in[at], i, h), h);
    else memset(to, 0, (size_t)h * sizeof *to);
}

static void forward_block(const task *job, int64_t index)
{
    const prepared *p = job->p;
    const cj_kernel *k = job->k;
    block b = block_of(job, index);
    float *input = b.buffers, *other = input + ROWS * p->stride, *c = other + ROWS * p->stride;
    const cj_array *x = k->in[0], *saved = p->r.a->save && p->r.saved_parts
                                               ? k->out[k->call->n_out - 1]
                                               : NULL;
    const int64_t parts = p->r.saved_parts * p->h;
    for (int64_t i = 0; i < b.rows; i++) {
        load_state(&b, p->r.h0, i, input + i * p->stride + p->inputs);
        load_state(&b, p->r.c0, i, c + i * p->h);
    }
    cj__recurrent_step s = {.cell = p->cell,
                            .rows = (size_t)b.rows,
                            .features = (size_t)p->inputs,
                            .units = (size_t)p->h,
                            .input_stride = (size_t)p->stride,
                            .next_stride = (size_t)p->stride,
                            .c = c,
                            .packed = job->packed + b.d * (p->packed + p->bias),
                            .made_stride = (size_t)(p->t * p->gates),
                            .y_stride = (size_t)(p->t * p->r.directions * p->h),
                            .saved_stride = (size_t)(p->t * parts)};
    s.bias = s.packed + p->packed;
    for (int64_t step = 0; step < p->t; step++) {
        const int64_t t = b.reverse ? p->t - 1 - step : step;
        for (int64_t i = 0; p->inputs && i < b.rows; i++)
            copy_floats(input + i * p->stride,
                        (const float *)x->data + ((b.first + i) * p->t + t) * p->c, p->c);
        if (p->made) s.made = job->made + ((b.d * p->n + b.first) * p->t + t) * p->gates;
        s.input = input, s.next = other + p->inputs;
        s.active = mark_active(&b, t);
        s.y = result_at(&b, k->out[0], 0, t);
        s.saved = saved ? step_at(&b, saved, 0, t, parts) : NULL;
        job->isa->recurrent_step(&s);
        float *swap = input;
        input = other, other = swap;
    }
    for (int64_t i = 0; i < b.rows; i++) {
        copy_floats(state_at(&b, k->out[1], i, p->h), input + i * p->stride + p->inputs, p->h);
        if (p->r.cell == CJ__CELL_LSTM)
            copy_floats(state_at(&b, k->out[2], i, p->h), c + i * p->h, p->h);
    }
}

/* What lstm's and gru's steps left, and the state before step t, of each row. */
typedef struct behind {
    const float *saved[ROWS], *h[ROWS], *c[ROWS];
} behind;

static void look_behind(const block *b, int64_t t, const float *zero, behind *at)
{
    const prepared *p = b->job->p;
    const cj_kernel *k = b->job->k;
    const int64_t before = b->reverse ? t + 1 : t - 1, parts = p->r.saved_parts * p->h;
    for (int64_t i = 0; i < b->rows; i++) {
        const bool first = b->reverse ? before >= length_of(b->job, b->first + i) : before < 0;
        at->saved[i] = parts ? step_at(b, k->in[p->r.saved], i, t, parts)
                             : result_at(b, k->in[p->r.y], i, t);
        at->h[i] = !first            ? result_at(b, k->in[p->r.y], i, before)
                   : p->r.h0 >= 0 ? state_at(b, k->in[p->r.h0], i, p->h)
                                     : zero;
        at->c[i] = zero;
        if (p->r.cell != CJ__CELL_LSTM) continue;
        if (!first) at->c[i] = step_at(b, k->in[p->r.saved], i, before, parts) + 4 * p->h;
        else if (p->r.c0 >= 0) at->c[i] = state_at(b, k->in[p->r.c0], i, p->h);
    }
}

static void backward_block(const task *job, int64_t index)
{
    const prepared *p = job->p;
    const cj_kernel *k = job->k;
    block b = block_of(job, index);
    float *dh = b.buffers, *dc = dh + ROWS * p->h, *zero = dc + ROWS * p->h, *local = zero + p->h;
    const bool gru = p->r.cell == CJ__CELL_GRU;
    const int64_t parts = p->r.saved_parts * p->h, way = b.reverse ? 1 : -1;
    behind at;
    for (int64_t i = 0; i < b.rows; i++) {
        load_state(&b, p->r.dh, i, dh + i * p->h);
        load_state(&b, p->r.dc, i, dc + i * p->h);
    }
    memset(zero, 0, (size_t)p->h * sizeof *zero);
    cj__recurrent_back s = {.cell = p->cell,
                            .rows = (size_t)b.rows,
                            .units = (size_t)p->h,
                            .gates = (size_t)p->gates,
                            .saved = at.saved,
                            .before_c = at.c,
                            .before_h = at.h,
                            .dh = dh,
                            .dc = dc,
                            .local = local,
                            .dy_stride = (size_t)(p->t * p->r.directions * p->h),
                            .dgates_stride = (size_t)(p->t * p->gates),
                            .previous_stride = (size_t)(p->t * p->h),
                            .local_stride = (size_t)p->local_stride,
                            .saved_ahead = way * (parts ? parts : p->r.directions * p->h),
                            .dgates_ahead = way * p->gates,
                            .previous_ahead = way * p->h,
                            .packed = job->packed + b.d * p->packed};
    for (int64_t step = p->t - 1; step >= 0; step--) {
        const int64_t t = b.reverse ? p->t - 1 - step : step;
        look_behind(&b, t, zero, &at);
        s.active = mark_active(&b, t);
        s.dy = p->r.dy >= 0 ? result_at(&b, k->in[p->r.dy], 0, t) : NULL;
        s.dgates = step_at(&b, k->out[0], 0, t, p->gates);
        s.previous = step_at(&b, k->out[1], 0, t, p->h);
        s.dinner = gru ? step_at(&b, k->out[3], 0, t, p->gates) : NULL;
        job->isa->recurrent_step_back(&s);
    }
    for (int64_t i = 0; i < b.rows; i++) {
        copy_floats(state_at(&b, k->out[2], i, p->h), dh + i * p->h, p->h);
        if (p->r.cell == CJ__CELL_LSTM)
            copy_floats(state_at(&b, k->out[3], i, p->h), dc + i * p->h, p->h);
    }
}

static void work(void *arg, int64_t begin, int64_t end)
{
    const task *job = arg;
    for (int64_t i = begin; i < end; i++)
        (job->p->r.backward ? backward_block : forward_block)(job, i);
}

cj_status cj__recurrent_run(const cj_kernel *k)
{
    const prepared *p = k->prepared;
    task j = {.k = k, .p = p, .isa = cj__isa_best()};
    for (int64_t n = 0; p->r.lengths >= 0 && n < p->n; n++)
        if (length_of(&j, n) < 0 || length_of(&j, n) > p->t)
            return cj_fail(k->cj, CJ_ERR_DATA,
                           "%s: the length %lld of sample %lld is not between 0 and %lld",
                           k->call->op->name, (long long)length_of(&j, n), (long long)n,
                           (long long)p->t);
    float *made = k->workspace, *weights = made + p->made,
          *buffers = weights + (p->kept ? 0 : p->r.directions * (p->packed + p->bias));
    if (p->made) make_products(&j, made, buffers + p->buffers * p->blocks * p->r.directions);
    j.made = made, j.buffers = buffers;
    j.packed = pack(&j, weights);
    cj__parallel_for(k->team, p->blocks * p->r.directions, 1, work, &j);
    return CJ_OK;
}
