/* isa_recurrent.h: one step of rnn, lstm and gru over some rows, forward and backward.
 *
 * A tile is TILE_ROWS rows by four vectors of columns, summed in registers over the inputs [x, h]
 * of a row. For lstm the four vectors are the gates i, f, g, o of the same units, for gru z, r, the
 * part of n that x makes and the part that h makes, for rnn four vectors of units; so the new state
 * is computed from the sums while they are in registers. The weights were packed in that order:
 *
 *     packed   a strip for each vector of units (rnn: for each four), in it a row for each input,
 *              in it the vectors of the gates that this input is for (gru: three of the four)
 *
 * Backward, the cotangents of the gates are elementwise; then h's is their product with R, packed
 * in strips of four vectors. */
#include "backend/cpu/isa.h"
#include "backend/cpu/isa_math.h"

#if defined(CJ__ISA_AVX512) || defined(CJ__ISA_NEON)
enum { TILE_ROWS = 6 };
#elif defined(CJ__ISA_AVX2)
enum { TILE_ROWS = 3 }; /* 16 registers */
#else
enum { TILE_ROWS = 1 }; /* small code */
#endif

/* sums[i][used[v]] += a[i, p] b[p, v] for `count` inputs p. rows and used are constants here. */
SIMD const float *tile_products(int rows, int n, const int *used, vf sums[TILE_ROWS][4],
                                const float *a, size_t stride, size_t count, const float *b)
{
    const float *a3 = a + 3 * stride;
    for (size_t p = 0; p < count; p++, b += (size_t)n * VF_LANES) {
        vf column[4];
        SIMD_UNROLL
        for (int v = 0; v < n; v++) column[v] = vf_load(b + v * VF_LANES);
        SIMD_UNROLL
        for (int i = 0; i < rows; i++) {
            const vf x = vf_set((i < 3 ? a : a3)[(size_t)(i % 3) * stride + p]);
            SIMD_UNROLL
            for (int v = 0; v < n; v++)
                sums[i][used[v]] = vf_fma(x, column[v], sums[i][used[v]]);
        }
    }
    return b;
}

SIMD vf some_load(const float *p, size_t n)
{
    return n >= VF_LANES ? vf_load(p) : vf_load_n(p, n);
}
SIMD void some_store(float *p, vf x, size_t n)
{
    if (n >= VF_LANES) vf_store(p, x);
    else vf_store_n(p, x, n);
}

/* ---- Functions of the gates ------------------------------------------------------------------ */

/* A step's time beyond the products is spent here, so these are shorter than those of isa_math.h:
 * the argument is clamped to where 2^n is a normal number, and a quotient is a product with a
 * near_reciprocal. NaN stays NaN. */
SIMD vf at_most(vf x, vf limit) { return vf_select(vf_lt(limit, x), limit, x); }

/* 1 / (1 + e^-x) */
SIMD vf gate_sigmoid(vf x)
{
    vf n, y = at_most(-x, vf_set(87.0f));
    y = vf_select(vf_lt(y, vf_set(-87.0f)), vf_set(-87.0f), y);
    vf p = expm1_reduced(y, &n);
    vf scale = power_of_two(vf_int(n));
    return near_reciprocal(vf_fma(p, scale, scale) + vf_set(1.0f));
}

/* With t = e^(2|x|) - 1: tanh |x| = t / (t + 2), which is 1 in float from 10 on. */
SIMD vf gate_tanh(vf x)
{
    vf n, a = at_most(vf_abs(x), vf_set(10.0f));
    vf p = expm1_reduced(a + a, &n), scale = power_of_two(vf_int(n));
    vf t = vf_fma(p, scale, scale - vf_set(1.0f));
    return vf_sign_of(t * near_reciprocal(t + vf_set(2.0f)), x);
}

/* ---- Forward --------------------------------------------------------------------------------- */

/* What a step leaves in row i, for n units from j on; state: h before, where the row has ended. */
SIMD void leave_state(const cj__recurrent_step *s, size_t i, size_t j, size_t n, vf h)
{
    some_store(s->next + i * s->next_stride + j, h, n);
    some_store(s->y + i * s->y_stride + j, h, n);
}

SIMD void lstm_units(const cj__recurrent_step *s, size_t at, size_t j, size_t n, const vf z[4])
{
    float *c = s->c + at * s->units + j;
    const vf i = gate_sigmoid(z[0]), f = gate_sigmoid(z[1]), g = gate_tanh(z[2]),
             o = gate_sigmoid(z[3]), cell = vf_fma(f, some_load(c, n), i * g);
    some_store(c, cell, n);
    leave_state(s, at, j, n, o * gate_tanh(cell));
    if (!s->saved) return;
    float *saved = s->saved + at * s->saved_stride + j;
    const vf parts[] = {i, f, g, o, cell};
    SIMD_UNROLL
    for (size_t k = 0; k < 5; k++) some_store(saved + k * s->units, parts[k], n);
}

SIMD void gru_units(const cj__recurrent_step *s, size_t at, size_t j, size_t n, const vf z[4])
{
    const vf u = gate_sigmoid(z[0]), r = gate_sigmoid(z[1]),
             next = gate_tanh(vf_fma(r, z[3], z[2])),
             h = some_load(s->input + at * s->input_stride + s->features + j, n);
    leave_state(s, at, j, n, vf_fma(u, h - next, next));
    if (!s->saved) return;
    float *saved = s->saved + at * s->saved_stride + j;
    const vf parts[] = {u, r, next, z[3]};
    SIMD_UNROLL
    for (size_t k = 0; k < 4; k++) some_store(saved + k * s->units, parts[k], n);
}

SIMD void rnn_units(const cj__recurrent_step *s, size_t at, size_t j, const vf z[4])
{
    SIMD_UNROLL
    for (size_t v = 0; v < 4; v++) {
        const size_t unit = j + v * VF_LANES;
        if (unit >= s->units) return;
        leave_state(s, at, unit, s->units - unit,
                    s->cell == CJ__RECURRENT_RELU ? math_relu(z[v]) : gate_tanh(z[v]));
    }
}

/* The row's sequence is over: its state stays, its results are 0. */
static CJ__NOINLINE void ended_units(const cj__recurrent_step *s, size_t i)
{
    memcpy(s->next + i * s->next_stride, s->input + i * s->input_stride + s->features,
           s->units * sizeof(float));
    memset(s->y + i * s->y_stride, 0, s->units * sizeof(float));
    if (s->saved)
        memset(s->saved + i * s->saved_stride, 0,
               s->units * sizeof(float) * (s->cell == CJ__RECURRENT_LSTM ? 5 : 4));
}

/* What x adds to the sums of units j on, where that is known before the steps. */
SIMD void add_made(cj__recurrent_cell cell, int rows, const cj__recurrent_step *s, size_t row,
                   size_t j, vf sums[TILE_ROWS][4])
{
    const bool rnn = cell == CJ__RECURRENT_RNN;
    for (int i = 0; i < rows; i++) {
        const float *made = s->made + (row + (size_t)i) * s->made_stride;
        for (size_t v = 0; v < (cell == CJ__RECURRENT_GRU ? 3 : 4); v++) {
            const size_t unit = rnn ? j + v * VF_LANES : j;
            if (unit >= s->units) continue;
            sums[i][v] += some_load(made + (rnn ? 0 : v * s->units) + unit, s->units - unit);
        }
    }
}

/* cell and rows are constants where this is inlined. */
SIMD void forward_tile(cj__recurrent_cell cell, int rows, const cj__recurrent_step *s, size_t row,
                       size_t strip)
{
    static const int all[] = {0, 1, 2, 3}, of_x[] = {0, 1, 2}, of_h[] = {0, 1, 3};
    const int n = cell == CJ__RECURRENT_GRU ? 3 : 4;
    const size_t width = cell == CJ__RECURRENT_RNN ? 4 * VF_LANES : VF_LANES, j = strip * width;
    const float *b = s->packed + strip * (s->features + s->units) * (size_t)n * VF_LANES,
                *a = s->input + row * s->input_stride;
    vf sums[TILE_ROWS][4];
    SIMD_UNROLL
    for (int i = 0; i < rows; i++) {
        SIMD_UNROLL
        for (size_t v = 0; v < 4; v++) sums[i][v] = vf_load(s->bias + (strip * 4 + v) * VF_LANES);
    }
    if (rows <= CJ__RECURRENT_FEW && s->made) add_made(cell, rows, s, row, j, sums);
    if (cell == CJ__RECURRENT_GRU) {
        b = tile_products(rows, n, of_x, sums, a, s->input_stride, s->features, b);
        tile_products(rows, n, of_h, sums, a + s->features, s->input_stride, s->units, b);
    } else {
        tile_products(rows, n, all, sums, a, s->input_stride, s->features + s->units, b);
    }
    float kept[TILE_ROWS * 4 * VF_LANES]; /* frees the registers */
    SIMD_UNROLL
    for (int i = 0; i < rows; i++) {
        SIMD_UNROLL
        for (int v = 0; v < 4; v++) vf_store(kept + (i * 4 + v) * VF_LANES, sums[i][v]);
    }
    for (size_t i = 0; i < (size_t)rows; i++) {
        const size_t at = row + i;
        vf z[4];
        if (s->active && !s->active[at]) continue;
        for (size_t v = 0; v < 4; v++) z[v] = vf_load(kept + (i * 4 + v) * VF_LANES);
        if (cell == CJ__RECURRENT_RNN) rnn_units(s, at, j, z);
        else if (cell == CJ__RECURRENT_LSTM) lstm_units(s, at, j, s->units - j, z);
        else gru_units(s, at, j, s->units - j, z);
    }
}

typedef void (*forward_fn)(const cj__recurrent_step *s, size_t row, size_t strip);
#define FORWARD(name, cell, rows) \
    static CJ__NOINLINE void forward_##name##_##rows(const cj__recurrent_step *s, size_t row, \
                                                     size_t strip) \
    { \
        forward_tile(cell, rows, s, row, strip); \
    }
#if defined(CJ__ISA_AVX512) || defined(CJ__ISA_NEON)
#define TILES(X, ...) \
    X(__VA_ARGS__, 1) X(__VA_ARGS__, 2) X(__VA_ARGS__, 3) X(__VA_ARGS__, 4) X(__VA_ARGS__, 5) \
    X(__VA_ARGS__, 6)
#elif defined(CJ__ISA_AVX2)
#define TILES(X, ...) X(__VA_ARGS__, 1) X(__VA_ARGS__, 2) X(__VA_ARGS__, 3)
#else
#define TILES(X, ...) X(__VA_ARGS__, 1)
#endif
#define FORWARD_NAME(name, rows) forward_##name##_##rows,
TILES(FORWARD, rnn, CJ__RECURRENT_RNN)
TILES(FORWARD, lstm, CJ__RECURRENT_LSTM)
TILES(FORWARD, gru, CJ__RECURRENT_GRU)

/* Rows are cut evenly into tiles; the strip's weights stay in cache over all of them. */
static void recurrent_step(const cj__recurrent_step *s)
{
    static const forward_fn tiles[][TILE_ROWS] = {{TILES(FORWARD_NAME, rnn)},
                                                  {TILES(FORWARD_NAME, lstm)},
                                                  {TILES(FORWARD_NAME, gru)}};
    const int cell = s->cell == CJ__RECURRENT_RELU ? CJ__RECURRENT_RNN : (int)s->cell;
    const size_t width = cell == CJ__RECURRENT_RNN ? 4 * VF_LANES : VF_LANES;
    for (size_t strip = 0; strip * width < s->units; strip++) {
        size_t row = 0;
        for (size_t left = (s->rows + TILE_ROWS - 1) / TILE_ROWS; left; left--) {
            const size_t now = (s->rows - row + left - 1) / left;
            tiles[cell][now - 1](s, row, strip);
            row += now;
        }
    }
    for (size_t i = 0; s->active && i < s->rows; i++)
        if (!s->active[i]) ended_units(s, i);
}

/* ---- Backward -------------------------------------------------------------------------------- */

/* f' of a sigmoid and of tanh, from the result. */
SIMD vf sigmoid_slope(vf y) { return y - y * y; }
SIMD vf tanh_slope(vf y) { return vf_set(1.0f) - y * y; }

/* n cotangents of the gates from unit j on, of row i: to the result and to `local`, which the
 * product reads. */
SIMD void leave_gate(const cj__recurrent_back *s, size_t i, size_t k, size_t j, size_t n, vf outer,
                     vf inner)
{
    some_store(s->dgates + i * s->dgates_stride + k * s->units + j, outer, n);
    some_store(s->local + i * s->local_stride + k * s->units + j, inner, n);
    if (s->dinner) some_store(s->dinner + i * s->dgates_stride + k * s->units + j, inner, n);
}

/* h = o tanh(c), c = f c' + i g */
SIMD vf lstm_units_back(const cj__recurrent_back *s, size_t at, size_t j, size_t n, vf dh)
{
    const float *v = s->saved[at] + j;
    float *dc_at = s->dc + at * s->units + j;
    vf i = some_load(v, n), f = some_load(v + s->units, n), g = some_load(v + 2 * s->units, n),
       o = some_load(v + 3 * s->units, n), t = gate_tanh(some_load(v + 4 * s->units, n)),
       before = some_load(s->before_c[at] + j, n);
    vf dc = vf_fma(dh * o, tanh_slope(t), some_load(dc_at, n));
    vf d[4] = {dc * g * sigmoid_slope(i), dc * before * sigmoid_slope(f), dc * i * tanh_slope(g),
               dh * t * sigmoid_slope(o)};
    SIMD_UNROLL
    for (size_t k = 0; k < 4; k++) leave_gate(s, at, k, j, n, d[k], d[k]);
    some_store(dc_at, dc * f, n);
    return (vf){0};
}

/* h = (1 - z) n + z h', n = tanh(x + r q) */
SIMD vf gru_units_back(const cj__recurrent_back *s, size_t at, size_t j, size_t n, vf dh)
{
    const float *v = s->saved[at] + j;
    vf z = some_load(v, n), r = some_load(v + s->units, n), next = some_load(v + 2 * s->units, n),
       q = some_load(v + 3 * s->units, n), before = some_load(s->before_h[at] + j, n);
    vf dz = dh * (before - next) * sigmoid_slope(z),
       dn = (dh - dh * z) * tanh_slope(next), dr = dn * q * sigmoid_slope(r);
    leave_gate(s, at, 0, j, n, dz, dz);
    leave_gate(s, at, 1, j, n, dr, dr);
    leave_gate(s, at, 2, j, n, dn, dn * r);
    return dh * z;
}

SIMD vf rnn_units_back(const cj__recurrent_back *s, size_t at, size_t j, size_t n, vf dh)
{
    vf y = some_load(s->saved[at] + j, n);
    vf d = s->cell == CJ__RECURRENT_RELU ? math_relu_grad(dh, y) : dh * tanh_slope(y);
    leave_gate(s, at, 0, j, n, d, d);
    return (vf){0};
}

/* Fetches what the next step reads and writes of row i from unit j on: memory works while this
 * step's product is made. */
SIMD void fetch_ahead(const cj__recurrent_back *s, size_t parts, size_t gates, size_t i, size_t j)
{
    const float *saved = s->saved[i] + s->saved_ahead + j;
    const float *dgates = s->dgates + i * s->dgates_stride + s->dgates_ahead + j;
    SIMD_UNROLL
    for (size_t k = 0; k < parts; k++) __builtin_prefetch(saved + k * s->units, 0, 2);
    SIMD_UNROLL
    for (size_t k = 0; k < gates; k++) __builtin_prefetch(dgates + k * s->units, 1, 2);
    __builtin_prefetch(s->previous + i * s->previous_stride + s->previous_ahead + j, 1, 2);
}

SIMD void gates_back(cj__recurrent_cell cell, const cj__recurrent_back *s)
{
    const size_t gates = cell == CJ__RECURRENT_LSTM ? 4 : cell == CJ__RECURRENT_GRU ? 3 : 1;
    const size_t parts = cell == CJ__RECURRENT_LSTM ? 5 : cell == CJ__RECURRENT_GRU ? 4 : 1;
    for (size_t i = 0; i < s->rows; i++) {
        if (s->active && !s->active[i]) {
            const size_t bytes = gates * s->units * sizeof(float);
            memset(s->dgates + i * s->dgates_stride, 0, bytes);
            memset(s->local + i * s->local_stride, 0, bytes);
            if (s->dinner) memset(s->dinner + i * s->dgates_stride, 0, bytes);
            memset(s->previous + i * s->previous_stride, 0, s->units * sizeof(float));
            continue;
        }
        for (size_t j = 0; j < s->units; j += VF_LANES) {
            const size_t n = s->units - j;
            float *dh_at = s->dh + i * s->units + j;
            vf dh = some_load(dh_at, n);
            if (s->dy) dh = dh + some_load(s->dy + i * s->dy_stride + j, n);
            some_store(s->previous + i * s->previous_stride + j,
                       some_load(s->before_h[i] + j, n), n);
            dh = cell == CJ__RECURRENT_LSTM  ? lstm_units_back(s, i, j, n, dh)
                 : cell == CJ__RECURRENT_GRU ? gru_units_back(s, i, j, n, dh)
                                             : rnn_units_back(s, i, j, n, dh);
            some_store(dh_at, dh, n);
            fetch_ahead(s, parts, gates, i, j);
        }
    }
}

/* dh += local R for four vectors of units. */
SIMD void backward_tile(int rows, const cj__recurrent_back *s, size_t row, size_t strip)
{
    static const int all[] = {0, 1, 2, 3};
    vf sums[TILE_ROWS][4];
    SIMD_UNROLL
    for (int i = 0; i < rows; i++) {
        SIMD_UNROLL
        for (size_t v = 0; v < 4; v++) sums[i][v] = (vf){0};
    }
    tile_products(rows, 4, all, sums, s->local + row * s->local_stride, s->local_stride, s->gates,
                  s->packed + strip * s->gates * 4 * VF_LANES);
    SIMD_UNROLL
    for (int i = 0; i < rows; i++) {
        SIMD_UNROLL
        for (size_t v = 0; v < 4; v++) {
            const size_t j = (strip * 4 + v) * VF_LANES;
            float *dh = s->dh + (row + (size_t)i) * s->units + j;
            if (j < s->units)
                some_store(dh, some_load(dh, s->units - j) + sums[i][v], s->units - j);
        }
    }
}

typedef void (*backward_fn)(const cj__recurrent_back *s, size_t row, size_t strip);
#define BACKWARD(name, rows) \
    static CJ__NOINLINE void name##_##rows(const cj__recurrent_back *s, size_t row, size_t strip) \
    { \
        backward_tile(rows, s, row, strip); \
    }
#define BACKWARD_NAME(name, rows) name##_##rows,
TILES(BACKWARD, backward)

static void recurrent_step_back(const cj__recurrent_back *s)
{
    static const backward_fn tiles[] = {TILES(BACKWARD_NAME, backward)};
    if (s->cell == CJ__RECURRENT_LSTM) gates_back(CJ__RECURRENT_LSTM, s);
    else if (s->cell == CJ__RECURRENT_GRU) gates_back(CJ__RECURRENT_GRU, s);
    else gates_back(CJ__RECURRENT_RNN, s);
    for (size_t strip = 0; strip * 4 * VF_LANES < s->units; strip++) {
        size_t row = 0;
        for (size_t left = (s->rows + TILE_ROWS - 1) / TILE_ROWS; left; left--) {
            const size_t now = (s->rows - row + left - 1) / left;
            tiles[now - 1](s, row, strip);
            row += now;
        }
    }
}
