/* recurrent.c: the rows of rnn, lstm and gru and of their gradients: shapes, builders, rules.
 *
 * What a cell computes stands in recurrent_lower.c (as a scan) and, plainly, in recurrent_ref.c. A
 * gradient is one call of the *_grad row, which walks the steps backwards, and a few products over
 * all steps at once:
 *
 *     dW = sum of dgates^T x     dR = sum of dgates^T h     db = sum of dgates     dx = dgates W
 *
 * Backward reads what forward left in `saved`. So the rule applies the forward row a second time,
 * with `save`; passes then let that call stand for the first one (see meet_twin in simplify.c), and
 * a program without gradients never pays for it. */
#include "graph/ops/recurrent.h"

#include <cajal/recurrent.h>

#include <string.h>

const char *const cj__direction_words[] = {"forward", "reverse", "bidirectional", NULL};
const char *const cj__gate_words[] = {"tanh",   "sigmoid",  "relu",     "hard_sigmoid",
                                      "linear", "softsign", "softplus", "elu",          NULL};

const cj_option cj__recurrent_options[] = {
    CJ_OPTION_WORD(cj__recurrent_attrs, direction, CJ__DIRECTION_FORWARD, cj__direction_words,
                   "the order of the steps"),
    CJ_OPTION_WORD(cj__recurrent_attrs, activation, CJ__GATE_TANH, cj__gate_words,
                   "of what enters the state"),
    CJ_OPTION_WORD(cj__recurrent_attrs, recurrent_activation, CJ__GATE_SIGMOID, cj__gate_words,
                   "of the gates"),
    CJ_OPTION_WORD(cj__recurrent_attrs, output_activation, CJ__GATE_TANH, cj__gate_words,
                   "lstm: of c on its way to h"),
    CJ_OPTION_BOOL(cj__recurrent_attrs, reset_after, false, "gru: r multiplies R_n h + b, not h"),
    CJ_OPTION_BOOL(cj__recurrent_attrs, save, false, "one more output, for the gradient"),
    CJ_OPTION_BOOL(cj__recurrent_attrs, has_bias, false, "an operand"),
    CJ_OPTION_BOOL(cj__recurrent_attrs, has_lengths, false, "an operand"),
    CJ_OPTION_BOOL(cj__recurrent_attrs, has_h0, false, "an operand"),
    CJ_OPTION_BOOL(cj__recurrent_attrs, has_c0, false, "an operand of lstm"),
    CJ_OPTION_BOOL(cj__recurrent_attrs, has_peepholes, false, "an operand of lstm"),
    CJ_OPTION_BOOL(cj__recurrent_attrs, has_projection, false, "an operand of lstm"),
    CJ_OPTION_BOOL(cj__recurrent_attrs, has_dy, false, "gradient: an operand"),
    CJ_OPTION_BOOL(cj__recurrent_attrs, has_dh, false, "gradient: an operand"),
    CJ_OPTION_BOOL(cj__recurrent_attrs, has_dc, false, "gradient of lstm: an operand"),
    CJ_OPTION_END};

cj__recurrent cj__recurrent_of(const cj_op *op, const cj__recurrent_attrs *a)
{
    static const int gates[] = {1, 4, 3}, saved_parts[] = {0, 5, 4};
    cj__recurrent r = {.a = a,
                       .backward = op == &cj_op_rnn_grad || op == &cj_op_lstm_grad ||
                                   op == &cj_op_gru_grad};
    r.cell = op == &cj_op_lstm || op == &cj_op_lstm_grad  ? CJ__CELL_LSTM
             : op == &cj_op_gru || op == &cj_op_gru_grad ? CJ__CELL_GRU
                                                          : CJ__CELL_RNN;
    bool lstm = r.cell == CJ__CELL_LSTM;
    r.gates = gates[r.cell];
    r.saved_parts = saved_parts[r.cell];
    r.directions = a->direction == CJ__DIRECTION_BOTH ? 2 : 1;
    int n = 3;
    r.bias = a->has_bias ? n++ : -1;
    r.lengths = a->has_lengths ? n++ : -1;
    r.h0 = a->has_h0 ? n++ : -1;
    r.c0 = lstm && a->has_c0 ? n++ : -1;
    r.peepholes = lstm && a->has_peepholes ? n++ : -1;
    r.projection = lstm && a->has_projection ? n++ : -1;
    r.n_forward = n;
    r.y = r.backward ? n++ : -1;
    r.saved = r.backward && r.saved_parts ? n++ : -1;
    r.dy = r.backward && a->has_dy ? n++ : -1;
    r.dh = r.backward && a->has_dh ? n++ : -1;
    r.dc = r.backward && lstm && a->has_dc ? n++ : -1;
    r.n_in = n;
    return r;
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

/* Operand `at` (none: -1) has this type, and the dtype of x. */
static cj_status expect(cj_infer *infer, int at, const char *what, int rank, const cj_dim *dims)
{
    if (at < 0) return CJ_OK;
    const cj_type *type = &infer->call->in[at]->type;
    cj_dtype dtype = infer->call->in[0]->type.dtype;
    cj_graph *g = infer->graph;
    if (type->dtype != dtype)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "%s is %s, expected x's %s", what,
                             cj_dtype_info(type->dtype)->name, cj_dtype_info(dtype)->name);
    if (type->rank != rank)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "%s has rank %d, expected %d", what, type->rank,
                             rank);
    for (int i = 0; i < rank; i++)
        if (!cj_infer_equal(infer, type->dim[i], dims[i]))
            return cj_infer_fail(infer, CJ_ERR_SHAPE, "%s has size %s along axis %d, expected %s",
                                 what, cj_dim_text(g, type->dim[i]), i, cj_dim_text(g, dims[i]));
    return CJ_OK;
}

#define EXPECT(at, what, ...) \
    CJ__TRY(expect(infer, at, what, (int)(sizeof((cj_dim[]){__VA_ARGS__}) / sizeof(cj_dim)), \
                   (cj_dim[]){__VA_ARGS__}))
#define OUT(k, ...) \
    infer->out[k] = (cj_type) \
    { \
        .dtype = x->dtype, .rank = (int)(sizeof((cj_dim[]){__VA_ARGS__}) / sizeof(cj_dim)), .dim = \
        { \
            __VA_ARGS__ \
        } \
    }

static cj_status check_lengths(cj_infer *infer, const cj__recurrent *r, cj_dim batch)
{
    if (r->lengths < 0) return CJ_OK;
    CJ__TRY(cj__infer_indices(infer, r->lengths));
    const cj_type *type = &infer->call->in[r->lengths]->type;
    if (type->rank == 1 && cj_infer_equal(infer, type->dim[0], batch)) return CJ_OK;
    return cj_infer_fail(infer, CJ_ERR_SHAPE, "lengths is not [%s]",
                         cj_dim_text(infer->graph, batch));
}

static cj_status check_sizes(cj_infer *infer, const cj__recurrent *r)
{
    const cj_call *call = infer->call;
    const cj_type *x = &call->in[0]->type, *w = &call->in[2]->type;
    if (!cj__is_float(x->dtype))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "takes floats, not %s",
                             cj_dtype_info(x->dtype)->name);
    if (x->rank != 3)
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "x has rank %d, expected 3: batch, steps, features", x->rank);
    if (w->rank != 3 || w->dim[1] < 0 || w->dim[2] < 0)
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "r is not [directions, %d units, units] with sizes that are numbers",
                             r->gates);
    if (w->dim[1] % r->gates || w->dim[1] > INT32_MAX || w->dim[2] > INT32_MAX)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "r has %s rows, which are not %d for each unit",
                             cj_dim_text(infer->graph, w->dim[1]), r->gates);
    return CJ_OK;
}

static cj_status recurrent_infer(cj_infer *infer)
{
    cj_call *call = infer->call;
    const cj__recurrent_attrs *a = call->attributes;
    cj__recurrent r = cj__recurrent_of(call->op, a);
    if (r.cell != CJ__CELL_LSTM &&
        (a->has_c0 || a->has_peepholes || a->has_projection || a->has_dc))
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT,
                             "a cell state, peepholes and a projection are lstm's alone");
    if (call->n_in != r.n_in)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%d operands, but the attributes tell of %d",
                             call->n_in, r.n_in);
    CJ__TRY(check_sizes(infer, &r));
    const cj_type *x = &call->in[0]->type;
    const cj_dim batch = x->dim[0], steps = x->dim[1], d = r.directions,
                 gates = call->in[2]->type.dim[1], units = gates / r.gates,
                 state = call->in[2]->type.dim[2];
    if (r.projection < 0 && state != units)
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "r has %lld columns, expected %lld, as many as there are units",
                             (long long)state, (long long)units);
    EXPECT(1, "w", d, gates, x->dim[2]);
    EXPECT(2, "r", d, gates, state);
    EXPECT(r.bias, "bias", d, 2 * gates);
    CJ__TRY(check_lengths(infer, &r, batch));
    EXPECT(r.h0, "the first h", d, batch, state);
    EXPECT(r.c0, "the first c", d, batch, units);
    EXPECT(r.peepholes, "peepholes", d, 3 * units);
    EXPECT(r.projection, "projection", d, state, units);
    const cj_dim saved = r.saved_parts * units;
    EXPECT(r.y, "y", batch, steps, d * state);
    EXPECT(r.saved, "saved", d, batch, steps, saved);
    EXPECT(r.dy, "dy", batch, steps, d * state);
    EXPECT(r.dh, "dh", d, batch, state);
    EXPECT(r.dc, "dc", d, batch, units);
    int n = 0;
    if (!r.backward) {
        OUT(n++, batch, steps, d * state);
        OUT(n++, d, batch, state);
        if (r.cell == CJ__CELL_LSTM) OUT(n++, d, batch, units);
        if (a->save && r.saved_parts) OUT(n++, d, batch, steps, saved);
    } else {
        OUT(n++, d, batch, steps, gates);
        OUT(n++, d, batch, steps, state);
        OUT(n++, d, batch, state);
        if (r.cell == CJ__CELL_LSTM) OUT(n++, d, batch, units);
        if (r.peepholes >= 0) OUT(n++, d, 3 * units);
        if (r.projection >= 0) OUT(n++, d, state, units);
        if (r.cell == CJ__CELL_GRU) OUT(n++, d, batch, steps, a->reset_after ? gates : units);
    }
    call->n_out = n;
    return CJ_OK;
}

/* ---- Gradients ------------------------------------------------------------------------------- */

/* Block d along axis 0 of [D, ...], as rows of the last size. */
static cj_node *rows_of(cj_graph *g, cj_node *x, int d, int directions)
{
    if (!x) return NULL;
    if (directions > 1) x = cj_slice_axis(x, 0, d, 1);
    if (!x) return NULL;
    cj_dim rows = 1;
    for (int i = 0; i < x->type.rank - 1; i++) rows = cj_dim_mul(g, rows, x->type.dim[i]);
    return cj_reshape(x, 2, (cj_dim[]){rows, x->type.dim[x->type.rank - 1]});
}

/* Sum over all rows of x [rows, n]: [1, n]. */
static cj_node *sum_rows(cj_node *x)
{
    return cj_reduce_sum(x, 1, (int64_t[]){0}, true);
}

static cj_node *matrix_block(cj_node *x, int d)
{
    x = cj_slice_axis(x, 0, d, 1);
    return x ? cj_reshape(x, 2, x->type.dim + 1) : NULL;
}

/* The gradient of R, whose rows for n multiply r h where the reset gate comes before. */
static cj_node *recurrent_kernel_grad(cj_graph *g, const cj__recurrent *r, cj_node *const *made,
                                      cj_node *inner, int d)
{
    cj_node *dr = cj_matmul_transposed(inner, rows_of(g, made[1], d, r->directions), true, false);
    if (r->cell != CJ__CELL_GRU || r->a->reset_after || !dr) return dr;
    const cj_dim units = dr->type.dim[0] / 3;
    cj_node *dn = cj_slice_axis(inner, 1, 2 * units, units);
    cj_node *parts[] = {
        cj_slice_axis(dr, 0, 0, 2 * units),
        cj_matmul_transposed(dn, rows_of(g, made[3], d, r->directions), true, false)};
    return cj_concat(parts, 2, 0);
}

/* The products that give dx, dW, dR, db of one direction from what the *_grad row made. */
static void direction_grad(cj_graph *g, const cj_call *call, const cj__recurrent *r,
                           cj_node *const *made, int d, cj_node *products[4])
{
    cj_node *x = rows_of(g, call->in[0], 0, 1), *outer = rows_of(g, made[0], d, r->directions);
    cj_node *inner = r->cell == CJ__CELL_GRU && r->a->reset_after
                         ? rows_of(g, made[3], d, r->directions)
                         : outer;
    products[0] = cj_matmul(outer, matrix_block(call->in[1], d));
    products[1] = cj_expand_dims(cj_matmul_transposed(outer, x, true, false), 0);
    products[2] = cj_expand_dims(recurrent_kernel_grad(g, r, made, inner, d), 0);
    if (r->bias < 0) return;
    cj_node *sums[] = {sum_rows(outer), inner == outer ? NULL : sum_rows(inner)};
    if (!sums[1]) sums[1] = sums[0];
    products[3] = cj_concat(sums, 2, 1);
}

/* One call of the *_grad row: `made` are its outputs. dy: cotangents of y, h, c. */
static bool apply_grad_row(cj_graph *g, const cj_call *call, const cj__recurrent *r,
                           cj_node *const *dy, cj_node **made)
{
    static const cj_op *const rows[] = {&cj_op_rnn_grad, &cj_op_lstm_grad, &cj_op_gru_grad};
    cj__recurrent_attrs a = *r->a;
    cj_node *in[20], *saving = &call->out[0];
    int n = r->n_forward;
    for (int i = 0; i < n; i++) in[i] = call->in[i];
    if (r->saved_parts && !a.save) {
        a.save = true;
        saving = cj_apply(g, call->op, in, n, &a);
        if (!saving) return false;
    }
    a.save = false;
    in[n++] = cj_node_output(saving, 0);
    if (r->saved_parts) in[n++] = cj_node_output(saving, r->cell == CJ__CELL_LSTM ? 3 : 2);
    a.has_dy = !cj__is_zero(dy[0]);
    if (a.has_dy) in[n++] = dy[0];
    a.has_dh = !cj__is_zero(dy[1]);
    if (a.has_dh) in[n++] = dy[1];
    a.has_dc = r->cell == CJ__CELL_LSTM && !cj__is_zero(dy[2]);
    if (a.has_dc) in[n++] = dy[2];
    cj_node *first = cj_apply(g, rows[r->cell], in, n, &a);
    for (int i = 0; first && i < first->call->n_out; i++) made[i] = cj_node_output(first, i);
    return first != NULL;
}

static void recurrent_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    cj__recurrent r = cj__recurrent_of(call->op, call->attributes);
    cj_node *made[8] = {NULL}, *products[2][4] = {{NULL}};
    if (r.a->save && r.saved_parts && !cj__is_zero(dy[call->n_out - 1])) {
        cj__recurrent_vjp(g, call, dy, dx);
        return;
    }
    if (!apply_grad_row(g, call, &r, dy, made)) return;
    for (int d = 0; d < r.directions; d++) direction_grad(g, call, &r, made, d, products[d]);
    for (int i = 0; i < 4; i++) {
        int at = i < 3 ? i : r.bias;
        if (at < 0) continue;
        cj_node *parts[] = {products[0][i], products[1][i]};
        if (i == 0) parts[0] = r.directions == 2 ? cj_add(parts[0], parts[1]) : parts[0];
        dx[at] = i && r.directions == 2 ? cj_concat(parts, 2, 0) : parts[0];
    }
    dx[0] = cj_reshape(dx[0], 3, call->in[0]->type.dim);
    if (r.h0 >= 0) dx[r.h0] = made[2];
    if (r.c0 >= 0) dx[r.c0] = made[3];
    if (r.peepholes >= 0) dx[r.peepholes] = made[4];
    if (r.projection >= 0) dx[r.projection] = made[r.peepholes >= 0 ? 5 : 4];
}

/* Products with W and R for each step. */
static double recurrent_multiply_adds(const cj_kernel *k)
{
    const cj_array *x = k->in[0], *w = k->in[1], *r = k->in[2];
    cj__recurrent call = cj__recurrent_of(k->call->op, k->call->attributes);
    double rows = (double)x->dim[0] * (double)x->dim[1];
    double count = rows * (double)(call.backward ? r->count : w->count + r->count);
    return call.projection < 0 ? count : count + rows * (double)k->in[call.projection]->count;
}

/* The state before each step takes the place of the one after it, which the step behind has read. A
 * plain RNN's own step reads it, too. */
static int grad_inplace(const cj_call *call, int output)
{
    const cj__recurrent r = cj__recurrent_of(call->op, call->attributes);
    return output == 1 && r.cell != CJ__CELL_RNN && r.directions == 1 ? r.y : -1;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

#define ROW(op, text, extra) \
    static cj_node *op##_sample(cj_sampler *s, int i) \
    { \
        return cj__recurrent_sample(s, i, &cj_op_##op); \
    } \
    static cj_node *op##_grad_sample(cj_sampler *s, int i) \
    { \
        return cj__recurrent_sample(s, i, &cj_op_##op##_grad); \
    } \
    const cj_op cj_op_##op = {.name = #op, \
                              .doc = text, \
                              .inputs = -1, \
                              .inputs_min = 3, \
                              .outputs = -1, \
                              .attributes_size = sizeof(cj__recurrent_attrs), \
                              .attributes = cj__recurrent_options, \
                              .infer = recurrent_infer, \
                              .grad = recurrent_grad, \
                              .lower = cj__recurrent_lower, \
                              .ref = cj__recurrent_ref, \
                              .multiply_adds = recurrent_multiply_adds, \
                              .sample = CJ__SAMPLE(op##_sample)}; \
    const cj_op cj_op_##op##_grad = {.name = #op "_grad", \
                                     .doc = "the steps of " #op " walked back: " extra, \
                                     .inputs = -1, \
                                     .inputs_min = 4, \
                                     .outputs = -1, \
                                     .attributes_size = sizeof(cj__recurrent_attrs), \
                                     .attributes = cj__recurrent_options, \
                                     .infer = recurrent_infer, \
                                     .lower = cj__recurrent_grad_lower, \
                                     .ref = cj__recurrent_ref, \
                                     .inplace = grad_inplace, \
                                     .multiply_adds = recurrent_multiply_adds, \
                                     .sample = CJ__SAMPLE(op##_grad_sample)};

ROW(rnn, "h = f(W x + R h + b) for every step (Elman 1990)", "dgates, h before each step, dh0")
ROW(lstm,
    "i, f, g, o = W x + R h + b; c = f c + i g; h = o tanh(c) for every step (Hochreiter and "
    "Schmidhuber 1997, Gers et al. 2000)",
    "dgates, h before each step, dh0, dc0")
ROW(gru, "z, r, n = W x + R h + b; h = (1 - z) n + z h for every step (Cho et al. 2014)",
    "dgates, h before each step, dh0")

/* ---- Builders -------------------------------------------------------------------------------- */

static bool find_word(cj_graph *g, const char *op, const char *what, const char *const *words,
                      const char *word, int initial, int *at)
{
    const cj_option o = {.name = what, .type = CJ_OPTION_TYPE_WORD, .words = words};
    *at = initial;
    if (!word || !cj__option_word(g->cj, op, &o, word, at)) return true;
    cj_graph_fail(g, CJ_ERR_ARGUMENT, "%s", cj_message(g->cj));
    return false;
}

static cj_node *build(const cj_op *op, cj_node *x, cj_node *w, cj_node *r,
                      const cj_recurrent_opts *given)
{
    cj_recurrent_opts o = {0};
    if (!x || !w || !r || cj__is_zero(x)) return NULL;
    cj_graph *g = cj_node_graph(x);
    if (!cj__graph_opts(g, op->name, &o, sizeof o, given)) return NULL;
    cj__recurrent_attrs a = {.reset_after = o.reset_after};
    cj_node *in[9] = {x, w, r}, *more[] = {o.bias, o.lengths,   o.initial_h,
                                           o.initial_c, o.peepholes, o.projection};
    bool *has[] = {&a.has_bias, &a.has_lengths,   &a.has_h0,
                   &a.has_c0,   &a.has_peepholes, &a.has_projection};
    int n = 3;
    for (int i = 0; i < 6; i++) {
        if (!more[i] || (cj__is_zero(more[i]) && i != 1)) continue;
        *has[i] = true;
        in[n++] = i == 1 ? cj__as_indices(more[i]) : more[i];
    }
    if (!find_word(g, op->name, "direction", cj__direction_words, o.direction, 0, &a.direction) ||
        !find_word(g, op->name, "activation", cj__gate_words, o.activation, CJ__GATE_TANH,
                   &a.activation) ||
        !find_word(g, op->name, "recurrent_activation", cj__gate_words, o.recurrent_activation,
                   CJ__GATE_SIGMOID, &a.recurrent_activation) ||
        !find_word(g, op->name, "output_activation", cj__gate_words, o.output_activation,
                   a.activation, &a.output_activation))
        return NULL;
    return cj_apply(g, op, in, n, &a);
}

cj_node *(cj_rnn_node)(cj_node * x, cj_node *w, cj_node *r, const cj_recurrent_opts *opts)
{
    return build(&cj_op_rnn, x, w, r, opts);
}
cj_node *(cj_lstm_node)(cj_node * x, cj_node *w, cj_node *r, const cj_recurrent_opts *opts)
{
    return build(&cj_op_lstm, x, w, r, opts);
}
cj_node *(cj_gru_node)(cj_node * x, cj_node *w, cj_node *r, const cj_recurrent_opts *opts)
{
    return build(&cj_op_gru, x, w, r, opts);
}
