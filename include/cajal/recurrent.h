/* recurrent.h: RNN, LSTM and GRU over whole sequences, as graph nodes.
 *
 *     y = cj_lstm_node(x, w, r, .bias = b);                       // x [N, T, C] -> y [N, T, H]
 *     cj_node *h = cj_node_output(y, 1), *c = cj_node_output(y, 2);   // after the last step
 *     y = cj_gru_node(x, w, r, .bias = b, .reset_after = true, .lengths = lengths);
 *     y = cj_rnn_node(x, w, r, .direction = "bidirectional", .activation = "relu");
 *
 * x is [batch N, steps T, features C]; w [D, G H, C], r [D, G H, P], where D is the number of
 * directions, H the units, and P the size of h: H, but for an LSTM with a projection. The G gates
 * lie one after the other in Keras's and PyTorch's order:
 *
 *     rnn   G = 1   h = f(W x + R h + b)
 *     lstm  G = 4   i, f, g, o    c' = s(f) c + s(i) f(g);  h = s(o) t(c')
 *                               peepholes add p_i c, p_f c, p_o c' before s
 *                               a projection makes h = M s(o) t(c')
 *     gru   G = 3   z, r, n       h' = (1 - s(z)) n + s(z) h
 *                               n = f(W_n x + b_w + R_n (s(r) h) + b_r)
 *           or, reset_after,    n = f(W_n x + b_w + s(r) (R_n h + b_r))
 *
 * (the latter is cuDNN's, PyTorch's and Keras's default)
 *
 * with f = activation, s = recurrent_activation, t = output_activation. Outputs: y [N, T, D P], the
 * last h [D, N, P], and of an LSTM the last c [D, N, H]. Layers are in layers.h. */
#ifndef CAJAL_RECURRENT_H
#define CAJAL_RECURRENT_H

#include <cajal/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cj_recurrent_opts {
    size_t struct_size;
    cj_node *bias;       /* [D, 2 G H]: that of W x, then that of R h. NULL: zero, as all below */
    cj_node *lengths; /* [N] integers 0 .. T. Steps from there on leave the state alone and give 0
                         in y; a reverse direction begins at the last step before. A length outside
                         0 .. T is an error when running. NULL: T */
    cj_node *initial_h;  /* [D, N, P] */
    cj_node *initial_c;  /* [D, N, H]; LSTM, as the next two */
    cj_node *peepholes;  /* [D, 3 H]: p_i, p_f, p_o (Gers and Schmidhuber 2000) */
    cj_node *projection; /* [D, P, H] (Sak et al. 2014) */
    const char *direction;            /* "forward" (default), "reverse", "bidirectional" */
    const char *activation; /* default "tanh"; or sigmoid, relu, hard_sigmoid (0.2 x + 0.5),
                               linear, softsign, softplus, elu */
    const char *recurrent_activation; /* default "sigmoid" */
    const char *output_activation;    /* LSTM; default: activation */
    bool reset_after;                 /* GRU */
} cj_recurrent_opts;

/* Fail for sizes that do not fit each other, for units that are a symbol, for dtypes that differ.
 * All floats; the state is kept in the dtype of x. */
CJ_API cj_node *cj_rnn_node(cj_node *x, cj_node *w, cj_node *r, const cj_recurrent_opts *opts);
CJ_API cj_node *cj_lstm_node(cj_node *x, cj_node *w, cj_node *r, const cj_recurrent_opts *opts);
CJ_API cj_node *cj_gru_node(cj_node *x, cj_node *w, cj_node *r, const cj_recurrent_opts *opts);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define CJ_RECURRENT_(name, x, w, r, ...) \
    cj_at_end((name)(cj_at(x, CJ_HERE), w, r, \
                     &(cj_recurrent_opts){.struct_size = sizeof(cj_recurrent_opts), __VA_ARGS__}))
#define cj_rnn_node(x, w, ...) CJ_RECURRENT_(cj_rnn_node, x, w, __VA_ARGS__, )
#define cj_lstm_node(x, w, ...) CJ_RECURRENT_(cj_lstm_node, x, w, __VA_ARGS__, )
#define cj_gru_node(x, w, ...) CJ_RECURRENT_(cj_gru_node, x, w, __VA_ARGS__, )
#endif

#ifdef __cplusplus
}
#endif
#endif
