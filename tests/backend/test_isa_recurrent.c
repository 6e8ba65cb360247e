/* The recurrent steps of every table this processor runs against loops in double: odd numbers of
 * rows, units and features, x's products made before, rows that have ended, forward and backward.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/isa.h"

enum { ROWS = 13, UNITS = 70, FEATURES = 5, WIDTH = FEATURES + UNITS, PARTS = 5 };

static uint32_t seed = 1;
static float number(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / (1 << 24) - 0.5f;
}
static float *numbers(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = number();
    return x;
}
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* Weights as they are: of gate g, unit j and input p; bias; and what a step leaves. */
static float weight[4][UNITS][WIDTH], bias[4][UNITS], input[ROWS][WIDTH], c[ROWS][UNITS],
    packed[8 * 4 * UNITS * (WIDTH + 64)], packed_bias[8 * UNITS + 512], next[ROWS][UNITS],
    new_c[ROWS][UNITS], y[ROWS][UNITS], saved[ROWS][PARTS * UNITS];
static float made[CJ__RECURRENT_FEW][4 * UNITS]; /* of x, by a product before the steps */
static bool is_made;
static const uint8_t active[ROWS] = {1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1};

static void near(const char *what, double found, double expected)
{
    if (!(fabs(found - expected) <= 2e-6 * fmax(1, fabs(expected))))
        fail_msg("%s: %.9g, expected %.9g", what, found, expected);
}

/* As isa_recurrent.h draws it: strips of units, inputs, vectors. */
static void pack(cj__recurrent_cell cell, size_t lanes, size_t units, size_t features)
{
    const bool rnn = cell == CJ__RECURRENT_RNN || cell == CJ__RECURRENT_RELU,
               gru = cell == CJ__RECURRENT_GRU;
    const size_t vectors = gru ? 3 : 4, width = rnn ? 4 * lanes : lanes;
    float *to = packed, *b = packed_bias;
    for (size_t j = 0; j < units; j += width)
        for (size_t p = 0; p <= features + units; p++)
            for (size_t v = 0; v < (p == features + units ? 4 : vectors); v++)
                for (size_t l = 0; l < lanes; l++) {
                    const size_t unit = j + (rnn ? v * lanes : 0) + l;
                    const size_t gate = rnn ? 0 : gru && v == 2 && p >= features ? 3 : v;
                    const size_t of = p == features + units && !rnn ? v : gate;
                    const float x = unit >= units             ? 0
                                    : p == features + units ? bias[of][unit]
                                                              : weight[of][unit][p];
                    *(p == features + units ? b++ : to++) = x;
                }
}

/* Gates before their functions. A gru's n has a part of x and a part of h. */
static double sum_of(cj__recurrent_cell cell, size_t gate, size_t i, size_t j, size_t features,
                     size_t units)
{
    double sum = bias[gate][j];
    const bool gru = cell == CJ__RECURRENT_GRU;
    if (is_made && !(gru && gate == 3)) sum += made[i][gate * units + j];
    for (size_t p = gru && gate == 3 ? features : 0;
         p < (gru && gate == 2 ? features : features + units); p++)
        sum += (double)weight[gate][j][p] * input[i][p];
    return sum;
}

static void check_unit(cj__recurrent_cell cell, size_t i, size_t j, size_t features, size_t units)
{
    const bool rnn = cell == CJ__RECURRENT_RNN || cell == CJ__RECURRENT_RELU;
    double z[4] = {0}, h = input[i][features + j];
    for (size_t g = 0; g < (rnn ? 1 : 4); g++) z[g] = sum_of(cell, g, i, j, features, units);
    double parts[PARTS] = {0}, expected;
    if (cell == CJ__RECURRENT_LSTM) {
        const double cell_now = sigmoid(z[1]) * c[i][j] + sigmoid(z[0]) * tanh(z[2]);
        const double all[] = {sigmoid(z[0]), sigmoid(z[1]), tanh(z[2]), sigmoid(z[3]), cell_now};
        memcpy(parts, all, sizeof all);
        expected = all[3] * tanh(cell_now);
        near("c", new_c[i][j], active[i] ? cell_now : c[i][j]);
    } else if (cell == CJ__RECURRENT_GRU) {
        const double n = tanh(z[2] + sigmoid(z[1]) * z[3]);
        const double all[] = {sigmoid(z[0]), sigmoid(z[1]), n, z[3], 0};
        memcpy(parts, all, sizeof all);
        expected = (1 - all[0]) * n + all[0] * h;
    } else {
        expected = cell == CJ__RECURRENT_RELU ? fmax(z[0], 0) : tanh(z[0]);
    }
    near("h", next[i][j], active[i] ? expected : h);
    near("y", y[i][j], active[i] ? expected : 0);
    const size_t n = cell == CJ__RECURRENT_LSTM ? 5 : cell == CJ__RECURRENT_GRU ? 4 : 0;
    for (size_t k = 0; k < n; k++) near("saved", saved[i][k * units + j], active[i] ? parts[k] : 0);
}

static void check_forward(const cj__isa *isa, cj__recurrent_cell cell, size_t rows, size_t units,
                          size_t features)
{
    const bool gru = cell == CJ__RECURRENT_GRU;
    numbers(&weight[0][0][0], sizeof weight / sizeof(float));
    numbers(&bias[0][0], sizeof bias / sizeof(float));
    numbers(&input[0][0], sizeof input / sizeof(float));
    numbers(&c[0][0], sizeof c / sizeof(float));
    numbers(&made[0][0], sizeof made / sizeof(float));
    is_made = rows <= CJ__RECURRENT_FEW && !features;
    memcpy(new_c, c, sizeof c);
    pack(cell, (size_t)isa->lanes, units, features);
    float *cells = malloc(rows * units * sizeof *cells); /* rows without a gap */
    for (size_t i = 0; i < rows; i++) memcpy(cells + i * units, c[i], units * sizeof *cells);
    isa->recurrent_step(&(cj__recurrent_step){
        .cell = cell,
        .rows = rows,
        .features = features,
        .units = units,
        .input = &input[0][0],
        .input_stride = WIDTH,
        .next = &next[0][0],
        .next_stride = UNITS,
        .c = cells,
        .packed = packed,
        .bias = packed_bias,
        .made = is_made ? &made[0][0] : NULL,
        .made_stride = 4 * UNITS,
        .active = active,
        .y = &y[0][0],
        .y_stride = UNITS,
        .saved = cell == CJ__RECURRENT_LSTM || gru ? &saved[0][0] : NULL,
        .saved_stride = PARTS * UNITS});
    for (size_t i = 0; i < rows; i++) memcpy(new_c[i], cells + i * units, units * sizeof *cells);
    free(cells);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < units; j++) check_unit(cell, i, j, features, units);
}

/* ---- Backward -------------------------------------------------------------------------------- */

static float r_matrix[4 * UNITS][UNITS], dh[ROWS][UNITS], dc[ROWS][UNITS], dy[ROWS][UNITS],
    before_h[ROWS][UNITS], before_c[ROWS][UNITS], dgates[ROWS][4 * UNITS], dinner[ROWS][4 * UNITS],
    previous[ROWS][UNITS], local[ROWS][4 * UNITS];

/* Cotangents of the gates of one unit, before R (inner) and of x (outer); what is left of dh and
 * dc. */
static size_t gates_back(cj__recurrent_cell cell, size_t i, size_t j, size_t units, double outer[4],
                         double inner[4], double *left, double *left_c)
{
    const float *s = saved[i] + j;
    const double d = (double)dh[i][j] + dy[i][j];
    *left = 0, *left_c = 0;
    if (cell == CJ__RECURRENT_LSTM) {
        const double in = s[0], f = s[units], g = s[2 * units], o = s[3 * units],
                     t = tanh(s[4 * units]), all = dc[i][j] + d * o * (1 - t * t);
        const double v[] = {all * g * in * (1 - in), all * before_c[i][j] * f * (1 - f),
                            all * in * (1 - g * g), d * t * o * (1 - o)};
        memcpy(outer, v, sizeof v), memcpy(inner, v, sizeof v);
        *left_c = all * f;
        return 4;
    }
    if (cell == CJ__RECURRENT_GRU) {
        const double z = s[0], r = s[units], n = s[2 * units], q = s[3 * units];
        const double dn = d * (1 - z) * (1 - n * n),
                     v[] = {d * (before_h[i][j] - n) * z * (1 - z), dn * q * r * (1 - r), dn, 0};
        memcpy(outer, v, sizeof v), memcpy(inner, v, sizeof v);
        inner[2] = dn * r;
        *left = d * z;
        return 3;
    }
    outer[0] = inner[0] = cell == CJ__RECURRENT_RELU ? (s[0] > 0) * d : d * (1 - s[0] * s[0]);
    return 1;
}

static void check_backward(const cj__isa *isa, cj__recurrent_cell cell, size_t rows, size_t units)
{
    const size_t n = cell == CJ__RECURRENT_LSTM ? 4 : cell == CJ__RECURRENT_GRU ? 3 : 1,
                 gates = n * units, width = 4 * (size_t)isa->lanes;
    float *tables[] = {&r_matrix[0][0], &dh[0][0], &dc[0][0], &dy[0][0], &before_h[0][0],
                       &before_c[0][0], &saved[0][0]};
    const size_t sizes[] = {sizeof r_matrix, sizeof dh,       sizeof dc,   sizeof dy,
                            sizeof before_h, sizeof before_c, sizeof saved};
    for (size_t k = 0; k < 7; k++) numbers(tables[k], sizes[k] / sizeof(float));
    memset(packed, 0, sizeof packed);
    for (size_t j = 0; j < units; j++)
        for (size_t p = 0; p < gates; p++)
            packed[(j / width * gates + p) * width + j % width] = r_matrix[p][j];
    float *h = malloc(2 * rows * units * sizeof *h), *cells = h + rows * units;
    const float *saved_at[ROWS], *h_at[ROWS], *c_at[ROWS];
    for (size_t i = 0; i < rows; i++) {
        memcpy(h + i * units, dh[i], units * sizeof *h);
        memcpy(cells + i * units, dc[i], units * sizeof *h);
        saved_at[i] = saved[i], h_at[i] = before_h[i], c_at[i] = before_c[i];
    }
    isa->recurrent_step_back(&(cj__recurrent_back){
        .cell = cell,
        .rows = rows,
        .units = units,
        .gates = gates,
        .saved = saved_at,
        .before_c = c_at,
        .before_h = h_at,
        .dy = &dy[0][0],
        .active = active,
        .dh = h,
        .dc = cells,
        .dgates = &dgates[0][0],
        .dinner = &dinner[0][0],
        .previous = &previous[0][0],
        .local = &local[0][0],
        .dy_stride = UNITS,
        .dgates_stride = 4 * UNITS,
        .previous_stride = UNITS,
        .local_stride = 4 * UNITS,
        .packed = packed});
    for (size_t i = 0; i < rows; i++) {
        static double inner[4 * UNITS];
        double left[UNITS];
        for (size_t j = 0; j < units; j++) {
            double o[4] = {0}, in[4] = {0}, left_c;
            gates_back(cell, i, j, units, o, in, &left[j], &left_c);
            for (size_t k = 0; k < n; k++) {
                near("dgates", dgates[i][k * units + j], active[i] ? o[k] : 0);
                near("dinner", dinner[i][k * units + j], active[i] ? in[k] : 0);
                inner[k * units + j] = active[i] ? in[k] : 0;
            }
            if (!active[i]) left[j] = dh[i][j], left_c = dc[i][j];
            if (cell == CJ__RECURRENT_LSTM) near("dc", cells[i * units + j], left_c);
            near("previous", previous[i][j], active[i] ? before_h[i][j] : 0);
        }
        for (size_t j = 0; j < units; j++) {
            double sum = left[j];
            for (size_t p = 0; p < gates; p++) sum += inner[p] * r_matrix[p][j];
            near("dh", h[i * units + j], sum);
        }
    }
    free(h);
}

static void test_steps(void **state)
{
    static const size_t units[] = {1, 3, 4, 8, 15, 16, 17, 33, 64, 70};
    (void)state;
    const cj__isa *isa;
    for (int i = 0; (isa = cj__isa_at(i)); i++) {
        if (!isa->supported()) continue;
        for (int cell = CJ__RECURRENT_RNN; cell <= CJ__RECURRENT_RELU; cell++)
            for (size_t rows = 1; rows <= ROWS; rows++)
                for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
                    check_forward(isa, (cj__recurrent_cell)cell, rows, units[u], rows % 6);
                    check_forward(isa, (cj__recurrent_cell)cell, rows, units[u], 0);
                    check_backward(isa, (cj__recurrent_cell)cell, rows, units[u]);
                }
    }
}

/* Saturated gates and what is not a number. */
static void test_extremes(void **state)
{
    static const float x[] = {-INFINITY, -1e30f,   -100, -88, 88,   100,
                              1e30f,     INFINITY, NAN,  0,   -0.0f};
    (void)state;
    const cj__isa *isa;
    for (int i = 0; (isa = cj__isa_at(i)); i++) {
        if (!isa->supported()) continue;
        for (size_t k = 0; k < sizeof x / sizeof *x; k++) {
            memset(packed, 0, sizeof packed);
            memset(packed_bias, 0, sizeof packed_bias);
            for (int v = 0; v < 4; v++) packed_bias[v * isa->lanes] = x[k];
            float in = 0, h, cell = 0.5f, out, left[5];
            isa->recurrent_step(&(cj__recurrent_step){.cell = CJ__RECURRENT_LSTM,
                                                      .rows = 1,
                                                      .units = 1,
                                                      .input = &in,
                                                      .next = &h,
                                                      .c = &cell,
                                                      .packed = packed,
                                                      .bias = packed_bias,
                                                      .y = &out,
                                                      .saved = left});
            const double s = sigmoid(x[k]), g = tanh(x[k]), now = s * 0.5 + s * g;
            if (isnan(x[k])) {
                assert_true(isnan(out) && isnan(cell));
                continue;
            }
            near("gate", left[0], s);
            near("candidate", left[2], g);
            near("c", cell, now);
            near("h", out, s * tanh(now));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
