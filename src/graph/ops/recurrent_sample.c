/* recurrent_sample.c: cells of every kind for the generic tests: each option on and off, sizes 0
 * and 1, few steps. A gradient's samples are built on a forward call, whose y and saved they read.
 */
#include "graph/ops/recurrent.h"

typedef struct sizes {
    int64_t batch, steps, features, units;
} sizes;

static cj_node *real(cj_sampler *s, int rank, const int64_t *dims)
{
    return cj_sample_real(s, -0.8, 0.8, rank, dims);
}

/* The operands that the attributes tell of, in order; returns their number. */
static int draw(cj_sampler *s, const cj__recurrent *r, const sizes *z, int64_t state, cj_node **in)
{
    const int64_t d = r->directions, rows = r->gates * z->units;
    in[0] = real(s, 3, (int64_t[]){z->batch, z->steps, z->features});
    in[1] = real(s, 3, (int64_t[]){d, rows, z->features});
    in[2] = real(s, 3, (int64_t[]){d, rows, state});
    if (r->bias >= 0) in[r->bias] = real(s, 2, (int64_t[]){d, 2 * rows});
    if (r->lengths >= 0)
        in[r->lengths] = cj_sample_int(s, z->batch % 2 ? CJ_I32 : CJ_I64, 0, z->steps, 1,
                                       &z->batch);
    if (r->h0 >= 0) in[r->h0] = real(s, 3, (int64_t[]){d, z->batch, state});
    if (r->c0 >= 0) in[r->c0] = real(s, 3, (int64_t[]){d, z->batch, z->units});
    if (r->peepholes >= 0) in[r->peepholes] = real(s, 2, (int64_t[]){d, 3 * z->units});
    if (r->projection >= 0) in[r->projection] = real(s, 3, (int64_t[]){d, state, z->units});
    return r->n_forward;
}

/* The gradient of a call of `forward` on `in`, with every cotangent it can have, or only some. */
static cj_node *sample_grad(cj_sampler *s, int i, const cj_op *op, const cj_op *forward,
                            cj__recurrent_attrs a, cj_node **in, int n)
{
    cj_graph *g = cj_sampler_graph(s);
    const bool lstm = forward == &cj_op_lstm;
    a.save = forward != &cj_op_rnn;
    cj_node *y = cj_apply(g, forward, in, n, &a);
    if (!y) return NULL;
    in[n++] = y;
    if (a.save) in[n++] = cj_node_output(y, lstm ? 3 : 2);
    a.save = false;
    a.has_dy = i % 4 != 1, a.has_dh = i % 4 != 2, a.has_dc = lstm && i % 4 != 3;
    const bool has[] = {a.has_dy, a.has_dh, a.has_dc};
    for (int k = 0; k < 3; k++) {
        const cj_type *type = &y->call->out[k].type;
        if (has[k]) in[n++] = real(s, type->rank, type->dim);
    }
    return cj_apply(g, op, in, n, &a);
}

cj_node *cj__recurrent_sample(cj_sampler *s, int i, const cj_op *op)
{
    static const sizes all[] = {{2, 3, 2, 2}, {1, 1, 1, 1}, {3, 2, 1, 3}, {1, 3, 3, 2},
                                {2, 2, 2, 1}, {0, 2, 2, 2}, {2, 0, 2, 2}, {2, 2, 0, 2},
                                {1, 4, 1, 1}, {2, 1, 2, 3}};
    static const cj_op *const forward[] = {&cj_op_rnn, &cj_op_lstm, &cj_op_gru};
    static const int smooth[] = {CJ__GATE_TANH, CJ__GATE_SOFTPLUS, CJ__GATE_LINEAR,
                                 CJ__GATE_SIGMOID};
    enum { SIZES = CJ__COUNT(all) };
    if (i >= 24) return NULL;
    const sizes *z = &all[i % SIZES];
    cj__recurrent_attrs a = {.direction = i % 3,
                             .recurrent_activation = CJ__GATE_SIGMOID,
                             .reset_after = i % 2,
                             .has_bias = i % 4 != 3,
                             .has_lengths = i % 5 == 2 || i % 5 == 4,
                             .has_h0 = i % 3 != 1};
    const cj__cell cell = cj__recurrent_of(op, &a).cell;
    a.has_c0 = cell == CJ__CELL_LSTM && i % 4 < 2;
    a.has_peepholes = cell == CJ__CELL_LSTM && i % 6 > 3;
    a.has_projection = cell == CJ__CELL_LSTM && i % 7 > 4;
    a.save = i % 4 == 2;
    if (i >= 12) { /* other functions */
        a.activation = smooth[i % 4];
        a.recurrent_activation = i % 4 == 3 ? CJ__GATE_TANH : CJ__GATE_SIGMOID;
        a.output_activation = i % 4 == 1 ? CJ__GATE_SIGMOID : CJ__GATE_TANH;
    }
    cj__recurrent r = cj__recurrent_of(forward[cell], &a);
    cj_node *in[20];
    int n = draw(s, &r, z, a.has_projection ? z->units + 1 : z->units, in);
    if (op != forward[cell]) return sample_grad(s, i, op, forward[cell], a, in, n);
    return cj_apply(cj_sampler_graph(s), op, in, n, &a);
}
