/* recurrent.h: what the files of rnn, lstm and gru share.
 *
 *     N batch   T steps   C features   H units   P what h has: H, or the projection's size
 *     D directions   G gates: 1 (rnn), 4 (lstm: i f g o), 3 (gru: z r n), as Keras orders them
 *
 *     operands     x [N, T, C]   w [D, G H, C]   r [D, G H, P]   then, where attributes say so,
 *                  bias [D, 2 G H] (of w, of r)   lengths [N]   h0 [D, N, P]   c0 [D, N, H]
 *                  peepholes [D, 3 H] (i f o)   projection [D, P, H]
 *     outputs      y [N, T, D P]   h [D, N, P]   (lstm) c [D, N, H]
 *                  with `save`: saved [D, N, T, S H], what backward reads:
 *                      lstm  S = 5   i f g o c            after their functions
 *                      gru   S = 4   z r n q              q = R_n h + b (reset after) or r h
 *
 * The *_grad rows take the same operands, then y, [saved,] [dy,] [dh,] [dc], and give
 *
 *     dgates [D, N, T, G H]    cotangent of what goes into the gates' functions, that is of W x
 *     previous [D, N, T, P]    h before each step
 *     dh0 [D, N, P]
 *     lstm: dc0 [D, N, H]   [dpeepholes [D, 3 H]]   [dprojection [D, P, H]]
 *     gru:  reset after: dinner [D, N, T, G H], cotangent of R h + b;
 *           reset before: used [D, N, T, H], r h, which R_n multiplies
 *
 * All other gradients are products of those, which the rules leave to matmul: what nobody asks for
 * is not computed. Steps at or after a sequence's length leave the state alone; y, saved, dgates
 * are 0 there. */
#ifndef CAJAL_GRAPH_OPS_RECURRENT_H
#define CAJAL_GRAPH_OPS_RECURRENT_H

#include "graph/ops/block.h"

typedef enum cj__direction { /* words: forward, reverse, bidirectional */
    CJ__DIRECTION_FORWARD,
    CJ__DIRECTION_REVERSE,
    CJ__DIRECTION_BOTH
} cj__direction;

/* Functions of a gate. Each derivative is a function of the result. */
typedef enum cj__gate {
    CJ__GATE_TANH,
    CJ__GATE_SIGMOID,
    CJ__GATE_RELU,
    CJ__GATE_HARD_SIGMOID, /* 0.2 x + 0.5 within 0 .. 1 */
    CJ__GATE_LINEAR,
    CJ__GATE_SOFTSIGN, /* x / (1 + |x|) */
    CJ__GATE_SOFTPLUS,
    CJ__GATE_ELU
} cj__gate;
extern const char *const cj__direction_words[], *const cj__gate_words[];

typedef struct cj__recurrent_attrs {
    int direction;            /* cj__direction */
    int activation;           /* of rnn's state, of g, of n: cj__gate */
    int recurrent_activation; /* of the other gates */
    int output_activation;    /* lstm: h = o f(c) */
    bool reset_after;         /* gru */
    bool save;
    bool has_bias, has_lengths, has_h0, has_c0, has_peepholes, has_projection;
    bool has_dy, has_dh, has_dc; /* of the gradients */
} cj__recurrent_attrs;

typedef enum cj__cell { CJ__CELL_RNN, CJ__CELL_LSTM, CJ__CELL_GRU } cj__cell;

/* A call read: operand numbers, -1 where there is none. */
typedef struct cj__recurrent {
    cj__cell cell;
    bool backward; /* a *_grad row */
    const cj__recurrent_attrs *a;
    int gates, saved_parts, directions;
    int n_forward; /* operands of the forward row */
    int bias, lengths, h0, c0, peepholes, projection, y, saved, dy, dh, dc;
    int n_in;
} cj__recurrent;

cj__recurrent cj__recurrent_of(const cj_op *op, const cj__recurrent_attrs *a);

extern const cj_option cj__recurrent_options[];

bool cj__recurrent_lower(cj_graph *g, cj_call *call, cj_node **out);
/* Gradients through the lowering. */
void cj__recurrent_vjp(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx);
bool cj__recurrent_grad_lower(cj_graph *g, cj_call *call, cj_node **out);
cj_status cj__recurrent_ref(const cj_kernel *k);
cj_node *cj__recurrent_sample(cj_sampler *s, int i, const cj_op *op);

#endif
