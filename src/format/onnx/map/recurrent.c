/* recurrent.c: RNN, LSTM and GRU.
 *
 * ONNX has the steps first ([T, N, C] -> [T, D, N, H]), so transposes stand around the node, and
 * orders an LSTM's gates i o f c, peepholes i o f; ours are i f g o and i f o. Where nothing else
 * reads a layer's parameters they are written in ONNX's order, as W, R and B (packed.h). Else a
 * Gather of rows stands before them, which programs run once for weights that stay as they are;
 * reading and writing one behind its inverse takes the operand instead, so models do not grow on
 * the way. */
#include <string.h>

#include <cajal/recurrent.h>

#include "format/onnx/packed.h"
#include "format/onnx/recurrent.h"

enum { ROWS_MAX = 1 << 22 }; /* whose order is a constant: half a million units */

static const char *const onnx_gates[] = {"Tanh",   "Sigmoid",  "Relu",     "HardSigmoid",
                                         "Affine", "Softsign", "Softplus", "Elu"};

/* Our rows in ONNX's order or, `back`, the other way; of a bias those of both. */
static const int64_t *row_order(cj__arena *arena, int blocks, int64_t units, bool back, int64_t n)
{
    int64_t *rows = cj__arena_array(arena, (size_t)n + 1, sizeof *rows);
    for (int64_t i = 0; rows && i < n; i++)
        rows[i] = cj__onnx_gate_row(true, blocks, units, back, i);
    return rows;
}

/* Is `x` Gather(something, the rows that the other order would gather) along axis 1? Then that. */
static cj_node *ungathered(const cj_node *x, int blocks, int64_t units, bool back)
{
    if (x->call->op != &cj_op_gather || x->call->in[1]->call->op != &cj_op_constant) return NULL;
    const cj_tensor *t =
        ((const cj__constant_attrs *)x->call->in[1]->call->attributes)->value;
    const int64_t n = x->type.dim[1];
    if (((const cj__axis_attrs *)x->call->attributes)->axis != 1 || cj_tensor_rank(t) != 1 ||
        cj_tensor_count(t) != n || x->call->in[0]->type.dim[1] != n)
        return NULL;
    bool inverse = true;
    const void *v = cj_tensor_map_read(t);
    for (int64_t i = 0; v && inverse && i < n; i++)
        inverse = cj_load_i64(cj_tensor_dtype(t), v, (size_t)i) ==
                  cj__onnx_gate_row(true, blocks, units, !back, i);
    cj_tensor_unmap(t);
    return v && inverse ? x->call->in[0] : NULL;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* Can ONNX's operator say it? */
static bool is_theirs(const cj__recurrent *r)
{
    return r->projection < 0 && !r->a->save && r->a->activation != CJ__GATE_LINEAR &&
           r->a->recurrent_activation != CJ__GATE_LINEAR &&
           r->a->output_activation != CJ__GATE_LINEAR;
}

static bool is_weight(const cj__recurrent *r, int i)
{
    return i == 1 || i == 2 || i == r->bias || i == r->peepholes;
}

/* Weights that are packed are no calls, and those that were gathered are what they were. */
static const cj_node *operand(const cj__onnx_writer *w, const cj_call *call, int i)
{
    const cj__recurrent r = cj__recurrent_of(call->op, call->attributes);
    const cj_node *x = call->in[i];
    if (!is_theirs(&r) || !is_weight(&r, i)) return x;
    if (cj__onnx_is_packed(w, x)) return NULL;
    const cj_node *inner =
        r.cell == CJ__CELL_LSTM
            ? ungathered(x, i == r.peepholes ? 3 : 4, call->in[2]->type.dim[1] / r.gates, false)
            : NULL;
    return inner ? inner : x;
}

/* Operand i (-1: absent) with its rows as ONNX has them. */
static const char *weights_out(cj__onnx_writer *w, const cj__recurrent *r, int i, const char *name)
{
    if (i < 0 || w->failed) return "";
    const cj_node *x = w->call->in[i], *inner = operand(w, w->call, i);
    const bool lstm = r->cell == CJ__CELL_LSTM;
    const int blocks = i == r->peepholes ? 3 : r->gates;
    const int64_t units = w->call->in[2]->type.dim[1] / r->gates;
    if (!inner) return cj__onnx_pack(w, x, name, lstm, blocks, units);
    const char *value = cj__onnx_value_of(w, inner);
    if (!lstm || inner != x) return value;
    const int64_t n = x->type.dim[1], *rows = row_order(w->arena, blocks, units, false, n);
    if (!rows) {
        cj__onnx_refuse(w, CJ_ERR_MEMORY, "out of memory");
        return "";
    }
    value = cj__onnx_step(w, "Gather", value, cj__onnx_ints(w, (int)n, rows), NULL);
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

/* The node, and where the steps are read their way to [N, T, D H]. Outputs that nothing reads are
 * left out. */
static void write_node(cj__onnx_writer *w, const cj__recurrent *r, const char *op, int64_t units,
                       size_t n, const char *const *in)
{
    const char **names = cj__onnx_outputs(w), *out[3] = {"", "", ""};
    const bool steps = cj__onnx_is_read(w, &w->call->out[0]);
    size_t n_out = 0;
    if (!names) return;
    for (int k = 0; k < w->call->n_out; k++) {
        if (!cj__onnx_is_read(w, &w->call->out[k])) continue;
        out[k] = k ? names[k] : cj__onnx_layer_name(w, op);
        n_out = (size_t)k + 1;
    }
    if (!out[0]) return;
    cj__onnx_emit(w, op, n, in, n_out, out);
    put_attributes(w, r, units);
    if (!steps) return;
    const char *turned = cj__onnx_step(w, "Transpose", out[0], NULL); /* [N, T, D, H] */
    cj__onnx_put_ints(w, "perm", 4, (int64_t[]){2, 0, 1, 3});
    const char *merged[] = {turned, cj__onnx_ints(w, 3, (int64_t[]){0, 0, r->directions * units})};
    cj__onnx_emit(w, "Reshape", 2, merged, 1, names);
}

static void write_recurrent(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj_call *call = w->call;
    cj__recurrent r = cj__recurrent_of(call->op, call->attributes);
    const bool lstm = r.cell == CJ__CELL_LSTM;
    const int64_t units = call->in[2]->type.dim[1] / r.gates;
    if (!is_theirs(&r)) {
        cj__onnx_write_lowered(w); /* a Scan: ONNX's operators cannot say it */
        return;
    }
    const char *x = cj__onnx_step(w, "Transpose", cj__onnx_in(w, 0), NULL);
    cj__onnx_put_ints(w, "perm", 3, (int64_t[]){1, 0, 2});
    const char *in[8] = {x, weights_out(w, &r, 1, "W"), weights_out(w, &r, 2, "R"),
                         weights_out(w, &r, r.bias, "B")};
    in[4] = r.lengths < 0 ? "" : cj__onnx_cast(w, cj__onnx_in(w, r.lengths), CJ_I32);
    in[5] = r.h0 < 0 ? "" : cj__onnx_in(w, r.h0);
    in[6] = r.c0 < 0 ? "" : cj__onnx_in(w, r.c0);
    in[7] = weights_out(w, &r, r.peepholes, "P");
    size_t n = lstm ? 8 : 6;
    while (n > 3 && in[n - 1] && !*in[n - 1]) n--;
    write_node(w, &r, row->onnx, units, n, in);
}

/* ---- Reading --------------------------------------------------------------------------------- */

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
    const int64_t units = n / (blocks * times);
    cj_node *inner = cj__onnx_source_in(r, i)->packed ? x : ungathered(x, blocks, units, true);
    if (!inner) {
        const int64_t *rows = row_order(r->arena, blocks, units, true, n);
        cj_tensor *t = rows ? cj_tensor_from(r->cj, CJ_I64, 1, &n, rows) : NULL;
        if (!t) {
            cj__onnx_fail(r, CJ_ERR_MEMORY, "out of memory");
            return NULL;
        }
        inner = cj_gather(x, cj_constant(r->g, t), 1);
        cj_tensor_free(t);
    }
    if (inner && cj__onnx_get_int(r, "input_forget", 0))
        inner = coupled(inner, units, blocks, times);
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
        .types = CJ__ONNX_FLOATS, .operand = operand \
    }
const cj__onnx_row cj__onnx_rows_recurrent[] = {
    ROW("RNN", cj_op_rnn), ROW("LSTM", cj_op_lstm), ROW("GRU", cj_op_gru), {0}};
