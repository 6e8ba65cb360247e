/* recurrent.h: what reading RNN, LSTM and GRU as one operator and as steps share. */
#ifndef CAJAL_FORMAT_ONNX_RECURRENT_H
#define CAJAL_FORMAT_ONNX_RECURRENT_H

#include "format/onnx/map.h"
#include "graph/ops/recurrent.h"

/* A function of a gate, with its numbers. */
typedef struct cj__onnx_gate {
    int kind;
    cj__gate gate; /* ours */
    bool ours;     /* the same as ours */
    double alpha, beta;
} cj__onnx_gate;

typedef struct cj__onnx_cell {
    cj__cell cell;
    int n_functions, n_gates, directions;
    cj__onnx_gate f[2][3]; /* by direction: rnn f; gru f g; lstm f g h */
    double clip; /* of what goes into the gates' functions, not into an LSTM's h: ONNX's words leave
                    that open, and runtimes do so. 0: none */
    bool coupled;          /* lstm: the forget gate is 1 - i */
    bool linear_before_reset, batch_first;
} cj__onnx_cell;

/* The attributes of the node; false with a failure. */
bool cj__onnx_read_cell(cj__onnx_reader *r, cj__cell cell, const char *direction,
                        cj__onnx_cell *out);
/* The node as steps: for what our operators cannot say. backward: the direction is "reverse". */
void cj__onnx_read_steps(cj__onnx_reader *r, const cj__onnx_cell *cell, bool backward);

#endif
