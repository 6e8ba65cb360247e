/* recurrent_steps.c: RNN, LSTM and GRU as scans over their steps.
 *
 * For what our operators cannot say: gates that are clipped, functions with numbers of their own,
 * or others in the second direction. Blocks of rows are in ONNX's order, i o f c and z r h; X W^T
 * is taken of all steps at once. Behind its length a sample keeps its state and gives 0. */
#include <ctype.h>
#include <math.h>

#include "format/onnx/recurrent.h"

/* ---- Functions ------------------------------------------------------------------------------- */

enum { SOFTSIGN = 3, HARD_SIGMOID = 5, ELU, AFFINE, LEAKY_RELU, THRESHOLDED_RELU, SCALED_TANH };

static const struct {
    const char *name;
    int gate;            /* cj__gate, -1: none of ours */
    double alpha, beta;  /* NAN: it has none */
} kinds[] = {
    {"Tanh", CJ__GATE_TANH, NAN, NAN},
    {"Sigmoid", CJ__GATE_SIGMOID, NAN, NAN},
    {"Relu", CJ__GATE_RELU, NAN, NAN},
    {"Softsign", CJ__GATE_SOFTSIGN, NAN, NAN},
    {"Softplus", CJ__GATE_SOFTPLUS, NAN, NAN},
    {"HardSigmoid", CJ__GATE_HARD_SIGMOID, 0.2, 0.5},
    {"Elu", CJ__GATE_ELU, 1, NAN},
    {"Affine", CJ__GATE_LINEAR, 1, 0},
    {"LeakyRelu", -1, 0.01, NAN},
    {"ThresholdedRelu", -1, 1, NAN},
    {"ScaledTanh", -1, 1, 1},
};

static cj_node *apply(const cj__onnx_gate *f, cj_node *x, double clip)
{
    static cj_node *(*const plain[])(cj_node *) = {cj_tanh, cj_sigmoid, cj_relu, NULL, cj_softplus};
    if (!x) return NULL;
    if (clip > 0) x = cj_clip(x, -clip, clip);
    switch (f->kind) {
    case SOFTSIGN: return cj_activation(x, "softsign");
    case HARD_SIGMOID: return cj_clip(cj_shift(cj_scale(x, f->alpha), f->beta), 0, 1);
    case ELU: return cj_elu(x, f->alpha);
    case AFFINE: return cj_shift(cj_scale(x, f->alpha), f->beta);
    case LEAKY_RELU: return cj_leaky_relu(x, f->alpha);
    case THRESHOLDED_RELU:
        return cj_where(cj_greater_equal(x, cj__number_like(x, f->alpha)), x,
                        cj__number_like(x, 0));
    case SCALED_TANH: return cj_scale(cj_tanh(cj_scale(x, f->beta)), f->alpha);
    default: return plain[f->kind](x);
    }
}

/* Names in any case, as runtimes take them. */
static int kind_of(cj__onnx_reader *r, cj__slice word)
{
    for (size_t i = 0; i < CJ__COUNT(kinds); i++) {
        size_t k = 0;
        while (k < word.size && kinds[i].name[k] &&
               tolower((unsigned char)word.at[k]) == tolower((unsigned char)kinds[i].name[k]))
            k++;
        if (k == word.size && !kinds[i].name[k]) return (int)i;
    }
    char shown[CJ__SLICE_SHOWN];
    cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "activation '%s'", cj__slice_show(word, shown));
    return 0;
}

/* The next number of a list, which functions that have one take in turn. */
static double next_of(cj__onnx_reader *r, const char *list, size_t *at, double initial)
{
    const cj__onnx_attribute *a = cj__onnx_find_attribute(r->node, list);
    if (isnan(initial) || !a || a->type != CJ__ONNX_ATTR_FLOATS || *at >= a->as.floats.count)
        return initial;
    return cj__onnx_decimal(a->as.floats.items[(*at)++]);
}

bool cj__onnx_read_cell(cj__onnx_reader *r, cj__cell cell, const char *direction,
                        cj__onnx_cell *out)
{
    static const int functions[] = {1, 3, 2}, gates[] = {1, 4, 3};
    const cj__onnx_attribute *a = cj__onnx_find_attribute(r->node, "activations");
    const int n = functions[cell], directions = *direction == 'b' ? 2 : 1;
    size_t alphas = 0, betas = 0;
    *out = (cj__onnx_cell){.cell = cell,
                           .n_functions = n,
                           .n_gates = gates[cell],
                           .directions = directions,
                           .clip = cj__onnx_get_float(r, "clip", 0),
                           .coupled = cj__onnx_get_int(r, "input_forget", 0),
                           .linear_before_reset = cj__onnx_get_int(r, "linear_before_reset", 0),
                           .batch_first = cj__onnx_get_int(r, "layout", 0)};
    if (a && (a->type != CJ__ONNX_ATTR_STRINGS ||
              a->as.strings.count != (size_t)(n * directions))) {
        cj__onnx_fail(r, CJ_ERR_DATA, "activations are not %d words", n * directions);
        return false;
    }
    for (int i = 0; i < n * directions && !r->failed; i++) {
        cj__onnx_gate *f = &out->f[i / n][i % n];
        f->kind = a ? kind_of(r, a->as.strings.items[i]) : cell != CJ__CELL_RNN && i % n == 0;
        f->alpha = next_of(r, "activation_alpha", &alphas, kinds[f->kind].alpha);
        f->beta = next_of(r, "activation_beta", &betas, kinds[f->kind].beta);
        const bool usual = (isnan(f->alpha) || f->alpha == kinds[f->kind].alpha) &&
                           (isnan(f->beta) || f->beta == kinds[f->kind].beta);
        f->ours = usual && kinds[f->kind].gate >= 0;
        if (f->ours) f->gate = (cj__gate)kinds[f->kind].gate;
    }
    return !r->failed;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* What a step reads: the state, X W^T + b, whether it is inside the sample's length; R, the biases
 * of R's last block, peepholes. */
enum { HIDDEN, CELL, INPUT, INSIDE, RECURRENT, BIAS, PEEPHOLES, PARTS };

typedef struct walk {
    const cj__onnx_cell *cell;
    const cj__onnx_gate *f;
    int64_t units;
    cj_node *x[PARTS]; /* inside the body */
} walk;

static cj_node *block(const walk *w, cj_node *x, int k, int n)
{
    return x ? cj_slice_axis(x, -1, k * w->units, n * w->units) : NULL;
}

/* Blocks k .. k + n of h R^T, and of what comes from x. */
static cj_node *product(const walk *w, cj_node *h, int k, int n)
{
    cj_node *rows = cj_slice_axis(w->x[RECURRENT], 0, k * w->units, n * w->units);
    return cj_matmul_transposed(h, rows, false, true);
}

static cj_node *plus(cj_node *a, cj_node *b) { return b ? cj_add(a, b) : a; }

static cj_node *peep(const walk *w, int k, cj_node *c)
{
    return w->x[PEEPHOLES] ? cj_mul(block(w, w->x[PEEPHOLES], k, 1), c) : NULL;
}

static cj_node *lstm_step(const walk *w, cj_node **c)
{
    const cj__onnx_gate *f = w->f;
    const double clip = w->cell->clip;
    cj_node *z = cj_add(w->x[INPUT], product(w, w->x[HIDDEN], 0, 4)), *old = w->x[CELL];
    cj_node *i = apply(&f[0], plus(block(w, z, 0, 1), peep(w, 0, old)), clip);
    cj_node *forget = w->cell->coupled
                          ? cj_shift(cj_neg(i), 1)
                          : apply(&f[0], plus(block(w, z, 2, 1), peep(w, 2, old)), clip);
    cj_node *g = apply(&f[1], block(w, z, 3, 1), clip);
    *c = cj_add(cj_mul(forget, old), cj_mul(i, g));
    cj_node *o = apply(&f[0], plus(block(w, z, 1, 1), peep(w, 1, *c)), clip);
    return cj_mul(o, apply(&f[2], *c, 0));
}

static cj_node *gru_step(const walk *w)
{
    const double clip = w->cell->clip;
    cj_node *h = w->x[HIDDEN], *last = block(w, w->x[INPUT], 2, 1);
    cj_node *zr = apply(&w->f[0],
                        cj_add(block(w, w->x[INPUT], 0, 2), product(w, h, 0, 2)), clip);
    cj_node *z = block(w, zr, 0, 1), *reset = block(w, zr, 1, 1);
    cj_node *inner = w->cell->linear_before_reset
                         ? cj_mul(reset, plus(product(w, h, 2, 1), w->x[BIAS]))
                         : plus(product(w, cj_mul(reset, h), 2, 1), w->x[BIAS]);
    cj_node *next = apply(&w->f[1], cj_add(last, inner), clip);
    return cj_add(next, cj_mul(z, cj_sub(h, next)));
}

static void step(cj_graph *g, walk *w)
{
    cj_node *c = NULL, *h, *y;
    if (w->cell->cell == CJ__CELL_LSTM) h = lstm_step(w, &c);
    else if (w->cell->cell == CJ__CELL_GRU) h = gru_step(w);
    else
        h = apply(&w->f[0], cj_add(w->x[INPUT], product(w, w->x[HIDDEN], 0, 1)), w->cell->clip);
    y = h;
    if (w->x[INSIDE]) {
        y = cj_where(w->x[INSIDE], h, cj__number_like(h, 0));
        h = cj_where(w->x[INSIDE], h, w->x[HIDDEN]);
        c = c ? cj_where(w->x[INSIDE], c, w->x[CELL]) : NULL;
    }
    cj_graph_output(g, NULL, h);
    if (c) cj_graph_output(g, NULL, c);
    cj_graph_output(g, NULL, y);
}

/* ---- A node ---------------------------------------------------------------------------------- */

/* Direction d of operand i, [D, ...]; by layout states are [N, D, ...]. NULL: absent. */
static cj_node *part_in(cj__onnx_reader *r, size_t i, int d, int axis)
{
    cj_node *x = cj__onnx_has(r, i) ? cj__onnx_node_in(r, i) : NULL;
    return x ? cj_squeeze(cj_slice_axis(x, axis, d, 1), axis) : NULL;
}

/* Everything but the steps: x is [T, N, C]. */
static bool prepare(cj__onnx_reader *r, const cj__onnx_cell *cell, cj_node *x, int d,
                    int64_t *units, cj_node *in[PARTS])
{
    const int states = cell->batch_first;
    cj_node *w = part_in(r, 1, d, 0), *bias = part_in(r, 3, d, 0);
    in[RECURRENT] = part_in(r, 2, d, 0);
    if (!w || !in[RECURRENT]) return false;
    const cj_dim *dims = in[RECURRENT]->type.dim;
    *units = dims[1];
    if (*units < 1 || dims[0] != cell->n_gates * *units) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "R has rows that are not %d for each unit", cell->n_gates);
        return false;
    }
    const walk own = {.cell = cell, .units = *units};
    const bool gru = cell->cell == CJ__CELL_GRU;
    in[INPUT] = plus(cj_matmul_transposed(x, w, false, true), block(&own, bias, 0, cell->n_gates));
    cj_node *recurrent = block(&own, bias, cell->n_gates, cell->n_gates);
    if (recurrent && gru) { /* that of h R_h^T is inside the reset gate */
        in[BIAS] = block(&own, recurrent, 2, 1);
        recurrent = cj_concat((cj_node *[]){block(&own, recurrent, 0, 2),
                                            cj_full_like(in[BIAS], 0)}, 2, 0);
    }
    in[INPUT] = plus(in[INPUT], recurrent);
    const cj_dim state[2] = {x->type.dim[1], *units};
    cj_node *zeros = cj_broadcast_to(cj_scalar(r->g, x->type.dtype, 0), 2, state);
    in[HIDDEN] = cj__onnx_has(r, 5) ? part_in(r, 5, d, states) : zeros;
    if (cell->cell == CJ__CELL_LSTM) {
        in[CELL] = cj__onnx_has(r, 6) ? part_in(r, 6, d, states) : zeros;
        in[PEEPHOLES] = part_in(r, 7, d, 0);
    }
    if (!cj__onnx_has(r, 4)) return !r->failed && !r->g->failed;
    cj_node *at = cj_iota(r->g, CJ_I64, 0, 3, (cj_dim[]){x->type.dim[0], 1, 1});
    cj_node *length = cj_cast(cj__onnx_node_in(r, 4), CJ_I64);
    in[INSIDE] = cj_less(at, cj_reshape(length, 3, (cj_dim[]){1, x->type.dim[1], 1}));
    return !r->failed && !r->g->failed;
}

/* One direction; the scan's outputs are h, (c,) y. */
static cj_node *walked(cj__onnx_reader *r, const cj__onnx_cell *cell, cj_node *x, int d,
                       bool backward)
{
    cj_node *parts[PARTS] = {NULL}, *in[PARTS];
    walk w = {.cell = cell, .f = cell->f[d]};
    int n = 0, ends[2] = {0};
    if (!prepare(r, cell, x, d, &w.units, parts)) return NULL;
    cj_graph *body = cj_graph_new(r->cj);
    if (!body) {
        cj__onnx_fail(r, CJ_ERR_MEMORY, "out of memory");
        return NULL;
    }
    for (int i = 0; i < PARTS; i++) {
        if (i == INPUT) ends[0] = n;
        if (i == RECURRENT) ends[1] = n;
        if (!parts[i]) continue;
        w.x[i] = cj__onnx_body_input(r, body, parts[i], i == INPUT || i == INSIDE);
        in[n++] = parts[i];
    }
    step(body, &w);
    cj_node *y = cj_scan(in, ends[0], in + ends[0], ends[1] - ends[0], backward, body,
                         in + ends[1], n - ends[1]);
    return cj__onnx_took(y, body);
}

void cj__onnx_read_steps(cj__onnx_reader *r, const cj__onnx_cell *cell, bool backward)
{
    const bool lstm = cell->cell == CJ__CELL_LSTM;
    cj_node *x = cj__onnx_node_in(r, 0), *part[3][2];
    if (!x || x->type.rank != 3) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "X is not of rank 3");
        return;
    }
    if (cell->batch_first) x = cj_transpose(x, (int64_t[]){1, 0, 2});
    for (int d = 0; d < cell->directions; d++) {
        cj_node *y = walked(r, cell, x, d, backward || d);
        if (!y) return;
        part[0][d] = cj_node_output(y, lstm ? 2 : 1);
        for (int k = 0; k <= lstm; k++) part[1 + k][d] = cj_node_output(y, k);
    }
    for (size_t k = 0; k < 2 + (size_t)lstm; k++) { /* [T, D, N, H], then [D, N, H] */
        cj_node *all = cj_stack(part[k], cell->directions, k == 0);
        if (cell->batch_first)
            all = cj_transpose(all, k ? (int64_t[]){1, 0, 2} : (int64_t[]){2, 0, 1, 3});
        if (cj__onnx_wants(r, k)) cj__onnx_set(r, k, all);
    }
}
