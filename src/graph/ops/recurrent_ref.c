/* recurrent_ref.c: rnn, lstm and gru, and their steps walked back, plainly, in double.
 *
 * One sample of one direction at a time: a few vectors are all the state there is. Backward goes
 * from the last step to the first with the cotangents of h and c in hand; what it needs of a step
 * was saved, but for tanh(c), which it computes again. A function's derivative is written with its
 * result. */
#include <math.h>
#include <string.h>

#include "graph/ops/recurrent.h"

static double apply(int function, double x)
{
    switch ((cj__gate)function) {
    case CJ__GATE_TANH: return tanh(x);
    case CJ__GATE_SIGMOID: {
        double z = exp(-fabs(x));
        return (x < 0 ? z : 1) / (1 + z);
    }
    case CJ__GATE_RELU: return x < 0 ? 0 : x;
    case CJ__GATE_HARD_SIGMOID: x = 0.2 * x + 0.5; return x < 0 ? 0 : x > 1 ? 1 : x;
    case CJ__GATE_LINEAR: return x;
    case CJ__GATE_SOFTSIGN: return x / (1 + fabs(x));
    case CJ__GATE_SOFTPLUS: return (x < 0 ? 0 : x) + log1p(exp(-fabs(x)));
    case CJ__GATE_ELU: return x > 0 ? x : expm1(x);
    }
    return x;
}

/* f'(x) from y = f(x). */
static double slope(int function, double y)
{
    switch ((cj__gate)function) {
    case CJ__GATE_TANH: return 1 - y * y;
    case CJ__GATE_SIGMOID: return y * (1 - y);
    case CJ__GATE_RELU: return y > 0;
    case CJ__GATE_HARD_SIGMOID: return y > 0 && y < 1 ? 0.2 : 0;
    case CJ__GATE_LINEAR: return 1;
    case CJ__GATE_SOFTSIGN: return (1 - fabs(y)) * (1 - fabs(y)); /* 1 - |y| = 1 / (1 + |x|) */
    case CJ__GATE_SOFTPLUS: return -expm1(-y);                    /* 1 - e^-y = 1 / (1 + e^-x) */
    case CJ__GATE_ELU: return y > 0 ? 1 : y + 1;
    }
    return 1;
}

/* Weights of one direction and the vectors of one sample. */
typedef struct walk {
    const cj_kernel *k;
    cj__recurrent r;
    int64_t n, t, c, h, p, g; /* batch, steps, features, units, state, gates * units */
    bool reverse;
    const double *w, *rk, *bias, *peepholes, *projection; /* NULL: none */
    double *x, *state, *cell, *gates, *inner, *hidden;    /* forward */
    double *dstate, *dcell, *dhidden, *dgates, *dinner;   /* backward */
    double *saved, *before, *cell_before, *dpeepholes, *dprojection;
} walk;

static double load(const cj_array *a, int64_t i)
{
    return cj_load_f64(a->dtype, a->data, (size_t)i);
}
static void store(const cj_array *a, int64_t i, double v)
{
    cj_store_f64(a->dtype, a->data, (size_t)i, v);
}
static void load_row(const cj_array *a, int64_t at, int64_t n, double *to)
{
    for (int64_t i = 0; i < n; i++) to[i] = load(a, at + i);
}
static void store_row(const cj_array *a, int64_t at, int64_t n, const double *from)
{
    for (int64_t i = 0; i < n; i++) store(a, at + i, from ? from[i] : 0);
}

/* to[i] += sum over j of m[i, j] x[j] */
static void multiply(const double *m, int64_t rows, int64_t columns, const double *x, double *to)
{
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0;
        for (int64_t j = 0; j < columns; j++) sum += m[i * columns + j] * x[j];
        to[i] += sum;
    }
}

/* to[j] += sum over i of m[i, j] x[i] */
static void multiply_back(const double *m, int64_t rows, int64_t columns, const double *x,
                          double *to)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) to[j] += m[i * columns + j] * x[i];
}

/* ---- Preparing ------------------------------------------------------------------------------- */

/* Direction d of operand `at` in double; NULL for no operand. */
static cj_status weights(walk *s, cj__arena *arena, int at, int d, const double **to)
{
    *to = NULL;
    if (at < 0) return CJ_OK;
    const cj_array *a = s->k->in[at];
    const int64_t count = a->count / s->r.directions;
    double *copy = cj__arena_array(arena, (size_t)count + 1, sizeof *copy);
    if (!copy) return CJ_ERR_MEMORY;
    load_row(a, d * count, count, copy);
    *to = copy;
    return CJ_OK;
}

static cj_status start(walk *s, cj__arena *arena, const cj_kernel *k, int d)
{
    *s = (walk){.k = k, .r = cj__recurrent_of(k->call->op, k->call->attributes)};
    const cj_array *x = k->in[0], *r = k->in[2];
    s->n = x->dim[0], s->t = x->dim[1], s->c = x->dim[2];
    s->g = r->dim[1], s->h = s->g / s->r.gates, s->p = r->dim[2];
    s->reverse = d == 1 || s->r.a->direction == CJ__DIRECTION_REVERSE;
    CJ__TRY(weights(s, arena, 1, d, &s->w));
    CJ__TRY(weights(s, arena, 2, d, &s->rk));
    CJ__TRY(weights(s, arena, s->r.bias, d, &s->bias));
    CJ__TRY(weights(s, arena, s->r.peepholes, d, &s->peepholes));
    CJ__TRY(weights(s, arena, s->r.projection, d, &s->projection));
    const struct {
        double **to;
        int64_t n;
    } vectors[] = {{&s->x, s->c},           {&s->state, s->p},     {&s->cell, s->h},
                   {&s->gates, s->g},       {&s->inner, s->g},     {&s->hidden, s->h},
                   {&s->dstate, s->p},      {&s->dcell, s->h},     {&s->dhidden, s->h},
                   {&s->dgates, s->g},      {&s->dinner, s->g},    {&s->saved, 5 * s->h},
                   {&s->before, s->p},      {&s->cell_before, s->h}, {&s->dpeepholes, 3 * s->h},
                   {&s->dprojection, s->r.projection >= 0 ? s->p * s->h : 0}};
    for (size_t i = 0; i < CJ__COUNT(vectors); i++)
        if (!(*vectors[i].to = cj__arena_array(arena, (size_t)vectors[i].n + 1, sizeof(double))))
            return CJ_ERR_MEMORY;
    return CJ_OK;
}

static cj_status length_of(const walk *s, int64_t n, int64_t *length)
{
    *length = s->t;
    if (s->r.lengths < 0) return CJ_OK;
    const cj_array *lengths = s->k->in[s->r.lengths];
    *length = cj_load_i64(lengths->dtype, lengths->data, (size_t)n);
    if (*length >= 0 && *length <= s->t) return CJ_OK;
    return cj_fail(s->k->cj, CJ_ERR_DATA,
                   "%s: the length %lld of sample %lld is not between 0 and %lld",
                   s->k->call->op->name, (long long)*length, (long long)n, (long long)s->t);
}

/* Sample n's rows of operand `at` [D, N, size], 0 where there is none. */
static void load_state(const walk *s, int at, int d, int64_t n, int64_t size, double *to)
{
    if (at >= 0) load_row(s->k->in[at], (d * s->n + n) * size, size, to);
    else memset(to, 0, (size_t)size * sizeof *to);
}

/* Where step t of sample n begins in an array [D, N, T, size]. */
static int64_t place(const walk *s, int d, int64_t n, int64_t t, int64_t size)
{
    return ((d * s->n + n) * s->t + t) * size;
}

/* ---- Forward --------------------------------------------------------------------------------- */

static void rnn_step(walk *s)
{
    multiply(s->rk, s->h, s->p, s->state, s->gates);
    for (int64_t j = 0; j < s->h; j++)
        s->state[j] = apply(s->r.a->activation, s->gates[j] + s->inner[j]);
}

static void lstm_step(walk *s)
{
    const cj__recurrent_attrs *a = s->r.a;
    const int64_t h = s->h;
    const double *p = s->peepholes;
    multiply(s->rk, s->g, s->p, s->state, s->gates);
    for (int64_t j = 0; j < h; j++) {
        double z[4], c = s->cell[j];
        for (int k = 0; k < 4; k++) z[k] = s->gates[k * h + j] + s->inner[k * h + j];
        double i = apply(a->recurrent_activation, z[0] + (p ? p[j] * c : 0));
        double f = apply(a->recurrent_activation, z[1] + (p ? p[h + j] * c : 0));
        double g = apply(a->activation, z[2]);
        c = f * c + i * g;
        double o = apply(a->recurrent_activation, z[3] + (p ? p[2 * h + j] * c : 0));
        const double saved[] = {i, f, g, o, c};
        for (int k = 0; k < 5; k++) s->saved[k * h + j] = saved[k];
        s->cell[j] = c;
        s->hidden[j] = o * apply(a->output_activation, c);
    }
    if (!s->projection) {
        memcpy(s->state, s->hidden, (size_t)h * sizeof *s->state);
        return;
    }
    memset(s->state, 0, (size_t)s->p * sizeof *s->state);
    multiply(s->projection, s->p, h, s->hidden, s->state);
}

static void gru_step(walk *s)
{
    const cj__recurrent_attrs *a = s->r.a;
    const int64_t h = s->h;
    const double *rn = s->rk + 2 * h * h;
    double *z = s->saved, *r = z + h, *next = r + h, *q = next + h;
    multiply(s->rk, 2 * h, h, s->state, s->inner);
    for (int64_t j = 0; j < 2 * h; j++)
        z[j] = apply(a->recurrent_activation, s->gates[j] + s->inner[j]);
    if (a->reset_after) {
        multiply(rn, h, h, s->state, s->inner + 2 * h);
        memcpy(q, s->inner + 2 * h, (size_t)h * sizeof *q);
        for (int64_t j = 0; j < h; j++) s->gates[2 * h + j] += r[j] * q[j];
    } else {
        for (int64_t j = 0; j < h; j++) q[j] = r[j] * s->state[j];
        multiply(rn, h, h, q, s->inner + 2 * h);
        for (int64_t j = 0; j < h; j++) s->gates[2 * h + j] += s->inner[2 * h + j];
    }
    for (int64_t j = 0; j < h; j++) {
        next[j] = apply(a->activation, s->gates[2 * h + j]);
        s->state[j] = (1 - z[j]) * next[j] + z[j] * s->state[j];
    }
}

static void forward_sample(walk *s, int d, int64_t n, int64_t length)
{
    static void (*const steps[])(walk *) = {rnn_step, lstm_step, gru_step};
    const cj_kernel *k = s->k;
    const bool lstm = s->r.cell == CJ__CELL_LSTM;
    const cj_array *y = k->out[0], *saved = k->out[k->call->n_out - 1];
    const int64_t parts = s->r.a->save ? s->r.saved_parts * s->h : 0;
    load_state(s, s->r.h0, d, n, s->p, s->state);
    load_state(s, s->r.c0, d, n, s->h, s->cell);
    for (int64_t i = 0; i < s->t; i++) {
        const int64_t t = s->reverse ? s->t - 1 - i : i;
        const int64_t row = ((n * s->t + t) * s->r.directions + d) * s->p;
        if (t < length) {
            for (int64_t j = 0; j < s->g; j++) {
                s->gates[j] = s->bias ? s->bias[j] : 0;
                s->inner[j] = s->bias ? s->bias[s->g + j] : 0;
            }
            load_row(k->in[0], (n * s->t + t) * s->c, s->c, s->x);
            multiply(s->w, s->g, s->c, s->x, s->gates);
            steps[s->r.cell](s);
        }
        store_row(y, row, s->p, t < length ? s->state : NULL);
        store_row(saved, place(s, d, n, t, parts), parts, t < length ? s->saved : NULL);
    }
    store_row(k->out[1], (d * s->n + n) * s->p, s->p, s->state);
    if (lstm) store_row(k->out[2], (d * s->n + n) * s->h, s->h, s->cell);
}

/* ---- Backward -------------------------------------------------------------------------------- */

static void rnn_step_back(walk *s)
{
    for (int64_t j = 0; j < s->h; j++)
        s->dgates[j] = s->dstate[j] * slope(s->r.a->activation, s->state[j]);
    memset(s->dstate, 0, (size_t)s->p * sizeof *s->dstate);
    multiply_back(s->rk, s->h, s->p, s->dgates, s->dstate);
}

/* h = o t(c), c = f c' + i g: dc += dh o t'(c) and what a peephole adds; dc' = dc f. */
static void lstm_step_back(walk *s)
{
    const cj__recurrent_attrs *a = s->r.a;
    const int64_t h = s->h;
    const double *p = s->peepholes, *v = s->saved;
    double *dh = s->dstate, *dg = s->dgates;
    if (s->projection) {
        for (int64_t j = 0; j < h; j++)
            s->hidden[j] = v[3 * h + j] * apply(a->output_activation, v[4 * h + j]);
        for (int64_t q = 0; q < s->p; q++)
            for (int64_t j = 0; j < h; j++)
                s->dprojection[q * h + j] += s->dstate[q] * s->hidden[j];
        memset(s->dhidden, 0, (size_t)h * sizeof *s->dhidden);
        multiply_back(s->projection, s->p, h, s->dstate, s->dhidden);
        dh = s->dhidden;
    }
    for (int64_t j = 0; j < h; j++) {
        double i = v[j], f = v[h + j], g = v[2 * h + j], o = v[3 * h + j], c = v[4 * h + j];
        double before = s->cell_before[j], t = apply(a->output_activation, c), dc = s->dcell[j];
        double dout = dh[j] * t * slope(a->recurrent_activation, o);
        dc += dh[j] * o * slope(a->output_activation, t) + (p ? dout * p[2 * h + j] : 0);
        double di = dc * g * slope(a->recurrent_activation, i);
        double df = dc * before * slope(a->recurrent_activation, f);
        dg[j] = di;
        dg[h + j] = df;
        dg[2 * h + j] = dc * i * slope(a->activation, g);
        dg[3 * h + j] = dout;
        s->dcell[j] = dc * f + (p ? di * p[j] + df * p[h + j] : 0);
        s->dpeepholes[j] += di * before;
        s->dpeepholes[h + j] += df * before;
        s->dpeepholes[2 * h + j] += dout * c;
    }
    memset(s->dstate, 0, (size_t)s->p * sizeof *s->dstate);
    multiply_back(s->rk, s->g, s->p, s->dgates, s->dstate);
}

/* h = (1 - z) n + z h'. In `hidden`: the cotangent of r h' where the reset gate comes before. */
static void gru_step_back(walk *s)
{
    const cj__recurrent_attrs *a = s->r.a;
    const int64_t h = s->h;
    const double *z = s->saved, *r = z + h, *next = r + h, *q = next + h, *rn = s->rk + 2 * h * h;
    double *dg = s->dgates, *dn = dg + 2 * h, *dh = s->dstate;
    for (int64_t j = 0; j < h; j++) {
        dn[j] = dh[j] * (1 - z[j]) * slope(a->activation, next[j]);
        dg[j] = dh[j] * (s->before[j] - next[j]) * slope(a->recurrent_activation, z[j]);
        dh[j] *= z[j];
    }
    memset(s->hidden, 0, (size_t)h * sizeof *s->hidden);
    if (!a->reset_after) multiply_back(rn, h, h, dn, s->hidden);
    for (int64_t j = 0; j < h; j++) {
        double dr = a->reset_after ? dn[j] * q[j] : s->hidden[j] * s->before[j];
        dg[h + j] = dr * slope(a->recurrent_activation, r[j]);
        if (!a->reset_after) dh[j] += s->hidden[j] * r[j];
    }
    memcpy(s->dinner, dg, (size_t)s->g * sizeof *dg);
    for (int64_t j = 0; j < h && a->reset_after; j++) s->dinner[2 * h + j] *= r[j];
    multiply_back(s->rk, a->reset_after ? 3 * h : 2 * h, h, s->dinner, dh);
}

/* State before step t, the i-th from the beginning. */
static void load_before(walk *s, int d, int64_t n, int64_t t, bool first)
{
    const int64_t before = s->reverse ? t + 1 : t - 1;
    const cj_array *y = s->k->in[s->r.y];
    if (first) {
        load_state(s, s->r.h0, d, n, s->p, s->before);
        load_state(s, s->r.c0, d, n, s->h, s->cell_before);
        return;
    }
    load_row(y, ((n * s->t + before) * s->r.directions + d) * s->p, s->p, s->before);
    if (s->r.cell == CJ__CELL_LSTM)
        load_row(s->k->in[s->r.saved], place(s, d, n, before, 5 * s->h) + 4 * s->h, s->h,
                 s->cell_before);
}

static void backward_sample(walk *s, int d, int64_t n, int64_t length)
{
    static void (*const steps[])(walk *) = {rnn_step_back, lstm_step_back, gru_step_back};
    const cj_kernel *k = s->k;
    const cj_array *per_step = k->out[k->call->n_out - 1]; /* gru's last output */
    const int64_t parts = s->r.saved_parts * s->h,
                  more = s->r.cell != CJ__CELL_GRU ? 0 : s->r.a->reset_after ? s->g : s->h;
    load_state(s, s->r.dh, d, n, s->p, s->dstate);
    load_state(s, s->r.dc, d, n, s->h, s->dcell);
    for (int64_t i = s->t - 1; i >= 0; i--) {
        const int64_t t = s->reverse ? s->t - 1 - i : i;
        const int64_t row = ((n * s->t + t) * s->r.directions + d) * s->p;
        const bool inside = t < length;
        if (inside) {
            load_before(s, d, n, t, s->reverse ? t == length - 1 : t == 0);
            load_row(k->in[s->r.y], row, s->p, s->state);
            if (parts) load_row(k->in[s->r.saved], place(s, d, n, t, parts), parts, s->saved);
            for (int64_t j = 0; s->r.dy >= 0 && j < s->p; j++)
                s->dstate[j] += load(k->in[s->r.dy], row + j);
            steps[s->r.cell](s);
        }
        store_row(k->out[0], place(s, d, n, t, s->g), s->g, inside ? s->dgates : NULL);
        store_row(k->out[1], place(s, d, n, t, s->p), s->p, inside ? s->before : NULL);
        store_row(per_step, place(s, d, n, t, more), more,
                  !inside                ? NULL
                  : s->r.a->reset_after ? s->dinner
                                        : s->saved + 3 * s->h);
    }
    store_row(k->out[2], (d * s->n + n) * s->p, s->p, s->dstate);
    if (s->r.cell == CJ__CELL_LSTM) store_row(k->out[3], (d * s->n + n) * s->h, s->h, s->dcell);
}

/* ---- Kernels --------------------------------------------------------------------------------- */

static cj_status direction(const cj_kernel *k, cj__arena *arena, int d)
{
    walk s;
    if (start(&s, arena, k, d)) return cj_fail(k->cj, CJ_ERR_MEMORY, "out of memory");
    for (int64_t n = 0; n < s.n; n++) {
        int64_t length;
        CJ__TRY(length_of(&s, n, &length));
        (s.r.backward ? backward_sample : forward_sample)(&s, d, n, length);
    }
    if (!s.r.backward) return CJ_OK;
    if (s.r.peepholes >= 0) store_row(k->out[4], d * 3 * s.h, 3 * s.h, s.dpeepholes);
    if (s.r.projection >= 0)
        store_row(k->out[s.r.peepholes >= 0 ? 5 : 4], d * s.p * s.h, s.p * s.h, s.dprojection);
    return CJ_OK;
}

cj_status cj__recurrent_ref(const cj_kernel *k)
{
    cj_status failed = CJ_OK;
    const int directions = cj__recurrent_of(k->call->op, k->call->attributes).directions;
    for (int d = 0; d < directions && !failed; d++) {
        cj__arena arena;
        cj__arena_init(&arena, k->cj);
        failed = direction(k, &arena, d);
        cj__arena_release(&arena);
    }
    return failed;
}

