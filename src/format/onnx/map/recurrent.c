/* recurrent.c: RNN, LSTM and GRU.
 *
 * ONNX has the steps first ([T, N, C] -> [T, D, N, H]) and orders an LSTM's gates i o f c,
 * peepholes i o f; ours are i f g o and i f o. So transposes stand around the node, and a Gather of
 * rows before W, R, B and P, which programs run once for weights that stay as they are. Reading a
 * Gather that was written so takes its operand instead, so models do not grow on the way. */
#include <string.h>

#include <cajal/recurrent.h>

#include "format/onnx/recurrent.h"

enum { ROWS_MAX = 1 << 22 }; /* whose order is a constant: half a million units */

/* Block k of ours is block order[k] of ONNX's, and the other way. */
static const int64_t ours_of_onnx[] = {0, 2, 3, 1}, onnx_of_ours[] = {0, 3, 1, 2};
static const int64_t peepholes_ours[] = {0, 2, 1}; /* its own inverse */

static const char *const onnx_gates[] = {"Tanh",   "Sigmoid",  "Relu",     "HardSigmoid",
                                         "Affine", "Softsign", "Softplus", "Elu"};

/* Rows of `blocks` blocks in another order, twice for a bias: W's, then R's. */
static const int64_t *row_order(cj__arena *arena, const int64_t *order, int blocks, int64_t units,
                                int times)
{
    int64_t *rows = cj__arena_array(arena, (size_t)(blocks * units * times) + 1, sizeof *rows);
    for (int64_t i = 0; rows && i < blocks * units * times; i++)
        rows[i] = i / (blocks * units) * blocks * units +
                  order[i / units % blocks] * units + i % units;
    return rows;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* Operand `at` (-1: absent) with its rows as ONNX has them. */
static const char *weights_out(cj__onnx_writer *w, const cj__recurrent *r, int at, int blocks,
                               int times)
{
    if (at < 0) return "";
    const char *value = cj__onnx_in(w, at);
    if (r->cell != CJ__CELL_LSTM || w->failed) return value;
    const int64_t units = w->call->in[2]->type.dim[1] / r->gates;
    const int64_t *rows = row_order(w->arena, blocks == 3 ? peepholes_ours : onnx_of_ours, blocks,
                                    units, times);
    if (!rows) {
        cj__onnx_refuse(w, CJ_ERR_MEMORY, "out of memory");
        return "";
    }
    value = cj__onnx_step(w, "Gather", value,
                          cj__onnx_ints(w, (int)(blocks * units * times), rows), NULL);
    cj__onnx_put_int(w, "axis", 1);
    return value;
}

static void put_attributes(cj__onnx_writer *w, const cj__recurrent *r, int64_t units)
{
    const cj__recurrent_attrs *a = r->a;
    const char *f[6];
    int n = 0;
    for (int d = 0; d < r->directions; d++) {
        if (r->cell != CJ__CELL_RNN) f[n++] = onnx_gates[a->recurrent_activation];
        f[n++] = onnx_gates[a->activation];
        if (r->cell == CJ__CELL_LSTM) f[n++] = onnx_gates[a->output_activation];
    }
    cj__onnx_put_int(w, "hidden_size", units);
    cj__onnx_put_string(w, "direction", cj__direction_words[a->direction]);
    cj__onnx_put_strings(w, "activations", n, f);
    if (r->cell == CJ__CELL_GRU) cj__onnx_put_int(w, "linear_before_reset", a->reset_after);
}

static void write_recurrent(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj_call *call = w->call;
    cj__recurrent r = cj__recurrent_of(call->op, call->attributes);
    const bool lstm = r.cell == CJ__CELL_LSTM;
    const int64_t units = call->in[2]->type.dim[1] / r.gates;
    if (r.projection >= 0 || r.a->save || r.a->activation == CJ__GATE_LINEAR ||
        r.a->recurrent_activation == CJ__GATE_LINEAR || r.a->output_activation == CJ__GATE_LINEAR) {
        cj__onnx_write_lowered(w); /* a Scan: ONNX's operators cannot say it */
        return;
    }
    const char *x = cj__onnx_step(w, "Transpose", cj__onnx_in(w, 0), NULL);
    cj__onnx_put_ints(w, "perm", 3, (int64_t[]){1, 0, 2});
    const char *in[8] = {x, weights_out(w, &r, 1, r.gates, 1), weights_out(w, &r, 2, r.gates, 1),
                         weights_out(w, &r, r.bias, r.gates, 2)};
    in[4] = r.lengths < 0 ? "" : cj__onnx_cast(w, cj__onnx_in(w, r.lengths), CJ_I32);
    in[5] = r.h0 < 0 ? "" : cj__onnx_in(w, r.h0);
    in[6] = r.c0 < 0 ? "" : cj__onnx_in(w, r.c0);
    in[7] = weights_out(w, &r, r.peepholes, 3, 1);
    size_t n = lstm ? 8 : 6;
    while (n > 3 && in[n - 1] && !*in[n - 1]) n--;
    const char **out = cj__onnx_outputs(w);
    const char *raw = out ? cj__names_unique(&w->values, row->onnx) : NULL;
    if (!raw) return;
    cj__onnx_emit(w, row->onnx, n, in, lstm ? 3 : 2,
                  (const char *const[]){raw, out[1], lstm ? out[2] : NULL});
    put_attributes(w, &r, units);
    const char *turned = cj__onnx_step(w, "Transpose", raw, NULL); /* [N, T, D, H] */
    cj__onnx_put_ints(w, "perm", 4, (int64_t[]){2, 0, 1, 3});
    const char *merged[] = {turned, cj__onnx_ints(w, 3, (int64_t[]){0, 0, r.directions * units})};
    cj__onnx_emit(w, "Reshape", 2, merged, 1, out);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Is `x` Gather(something, these rows) along axis 1? Then that. */
static cj_node *ungathered(cj_node *x, const int64_t *rows, int64_t n)
{
    if (x->call->op != &cj_op_gather || x->call->in[1]->call->op != &cj_op_constant) return NULL;
    const cj_tensor *t =
        ((const cj__constant_attrs *)x->call->in[1]->call->attributes)->value;
    if (((const cj__axis_attrs *)x->call->attributes)->axis != 1 || cj_tensor_rank(t) != 1 ||
        cj_tensor_count(t) != n)
        return NULL;
    bool inverse = true;
    const void *v = cj_tensor_map_read(t);
    for (int64_t i = 0; v && inverse && i < n; i++) {
        const int64_t at = cj_load_i64(cj_tensor_dtype(t), v, (size_t)i);
        inverse = at >= 0 && at < n && rows[at] == i;
    }
    cj_tensor_unmap(t);
    return v && inverse && x->call->in[0]->type.dim[1] == n ? x->call->in[0] : NULL;
}

/* The forget gate as 1 - i: sigmoid(-x) = 1 - sigmoid(x). Blocks are i f (g o). */
static cj_node *coupled(cj_node *x, int64_t units, int blocks, int times)
{
    cj_node *parts[8] = {NULL};
    for (int i = 0; i < blocks * times; i++) {
        bool forget = i % blocks == 1;
        parts[i] = cj_slice_axis(x, 1, (forget ? i - 1 : i) * units, units);
        if (forget) parts[i] = cj_neg(parts[i]);
    }
    return cj_concat(parts, blocks * times, 1);
}

/* Input i with its rows as ours; NULL when absent. */
static cj_node *weights_in(cj__onnx_reader *r, size_t i, bool lstm, int blocks, int times)
{
    cj_node *x = cj__onnx_has(r, i) ? cj__onnx_node_in(r, i) : NULL;
    if (!x || !lstm) return x;
    const int64_t n = x->type.rank > 1 ? x->type.dim[1] : -1;
    if (n < 0 || n % (blocks * times) || n > ROWS_MAX) {
        cj__onnx_fail(r, n > ROWS_MAX ? CJ_ERR_LIMIT : CJ_ERR_SHAPE,
                      n > ROWS_MAX ? "input %zu has more rows than are read"
                                   : "input %zu has rows that are not %d for each unit",
                      i, blocks * times);
        return NULL;
    }
    const int64_t *rows = row_order(r->arena, blocks == 3 ? peepholes_ours : ours_of_onnx, blocks,
                                    n / (blocks * times), times);
    cj_tensor *t = rows ? cj_tensor_from(r->cj, CJ_I64, 1, &n, rows) : NULL;
    if (!t) {
        cj__onnx_fail(r, CJ_ERR_MEMORY, "out of memory");
        return NULL;
    }
    cj_node *inner = ungathered(x, rows, n);
    if (!inner) inner = cj_gather(x, cj_constant(r->g, t), 1);
    cj_tensor_free(t);
    if (inner && cj__onnx_get_int(r, "input_forget", 0))
        inner = coupled(inner, n / (blocks * times), blocks, times);
    return inner;
}

/* [T, N, ...] or, by layout, [N, T, ...] the other way round. */
static cj_node *steps_in(cj__onnx_reader *r, cj_node *x, bool batch_first)
{
    return batch_first ? x : cj__onnx_permuted(r, x, 3, (int64_t[]){1, 0, 2});
}

/* Can ours say what the node does? Then its options. */
static bool is_ours(const cj__onnx_cell *c, cj_recurrent_opts *o)
{
    const cj__onnx_gate *f = c->f[0];
    bool ours = !(c->clip > 0);
    for (int i = 0; i < c->n_functions * c->directions; i++) {
        const cj__onnx_gate *own = &c->f[i / c->n_functions][i % c->n_functions];
        ours = ours && own->ours && own->gate == f[i % c->n_functions].gate;
    }
    if (c->coupled && f[0].gate != CJ__GATE_SIGMOID) ours = false;
    const int gate = c->cell != CJ__CELL_RNN;
    if (!ours) return false;
    o->activation = cj__gate_words[f[gate].gate];
    if (gate) o->recurrent_activation = cj__gate_words[f[0].gate];
    if (c->cell == CJ__CELL_LSTM) o->output_activation = cj__gate_words[f[2].gate];
    o->reset_after = c->linear_before_reset;
    return true;
}

/* y [N, T, D H] as [T, D, N, H], by layout [N, T, D, H]. */
static void set_steps(cj__onnx_reader *r, cj_node *y, int directions, bool batch_first)
{
    if (!y || !cj__onnx_wants(r, 0)) return;
    const cj_type *type = &y->type;
    y = cj_reshape(y, 4,
                   (cj_dim[]){type->dim[0], type->dim[1], directions, type->dim[2] / directions});
    cj__onnx_set(r, 0, batch_first ? y : cj_transpose(y, (int64_t[]){1, 2, 0, 3}));
}

static void read_recurrent(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const cj__cell cell = row->op == &cj_op_lstm  ? CJ__CELL_LSTM
                          : row->op == &cj_op_gru ? CJ__CELL_GRU
                                                  : CJ__CELL_RNN;
    const bool lstm = cell == CJ__CELL_LSTM, batch_first = cj__onnx_get_int(r, "layout", 0);
    const int gates = lstm ? 4 : cell == CJ__CELL_GRU ? 3 : 1;
    cj_recurrent_opts o = {.struct_size = sizeof o};
    cj__onnx_cell c;
    char direction[32];
    int d = 0;
    if (!cj__onnx_get_word(r, "direction", "forward", direction)) return;
    while (cj__direction_words[d] && strcmp(cj__direction_words[d], direction)) d++;
    if (!cj__direction_words[d]) {
        cj__onnx_fail(r, CJ_ERR_DATA, "there is no direction '%s'", direction);
        return;
    }
    o.direction = cj__direction_words[d];
    if (!cj__onnx_read_cell(r, cell, direction, &c)) return;
    if (!is_ours(&c, &o)) {
        cj__onnx_read_steps(r, &c, d == CJ__DIRECTION_REVERSE);
        return;
    }
    const int directions = c.directions;
    cj_node *x = cj__onnx_node_in(r, 0);
    if (!x || x->type.rank != 3) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "X is not of rank 3");
        return;
    }
    cj_node *w = weights_in(r, 1, lstm, gates, 1), *u = weights_in(r, 2, lstm, gates, 1);
    o.bias = weights_in(r, 3, lstm, gates, 2);
    o.lengths = cj__onnx_has(r, 4) ? cj__onnx_node_in(r, 4) : NULL;
    if (cj__onnx_has(r, 5)) o.initial_h = steps_in(r, cj__onnx_node_in(r, 5), !batch_first);
    if (lstm && cj__onnx_has(r, 6)) o.initial_c = steps_in(r, cj__onnx_node_in(r, 6), !batch_first);
    if (lstm) o.peepholes = weights_in(r, 7, true, 3, 1);
    if (r->failed) return;
    cj_node *y = lstm                    ? (cj_lstm_node)(steps_in(r, x, batch_first), w, u, &o)
                 : cell == CJ__CELL_GRU ? (cj_gru_node)(steps_in(r, x, batch_first), w, u, &o)
                                         : (cj_rnn_node)(steps_in(r, x, batch_first), w, u, &o);
    set_steps(r, y, directions, batch_first);
    for (int k = 1; y && k < (lstm ? 3 : 2); k++)
        if (cj__onnx_wants(r, (size_t)k))
            cj__onnx_set(r, (size_t)k, steps_in(r, cj_node_output(y, k), !batch_first));
}

#define ROW(name, operator) \
    { \
        .onnx = name, .op = &operator, .write = write_recurrent, .read = read_recurrent, \
        .types = CJ__ONNX_FLOATS \
    }
const cj__onnx_row cj__onnx_rows_recurrent[] = {
    ROW("RNN", cj_op_rnn), ROW("LSTM", cj_op_lstm), ROW("GRU", cj_op_gru), {0}};
