/* signal.h: attributes of the rows on signals, and what their lowerings share. */
#ifndef CAJAL_GRAPH_OPS_SIGNAL_H
#define CAJAL_GRAPH_OPS_SIGNAL_H

#include <cajal/signal.h>

#include "graph/graph.h"

typedef struct cj__stft_attrs { /* stft, istft; operand 1, which may be absent: the window */
    int64_t frame_length, hop;
    bool center, twosided;
    cj_ints samples; /* istft: how many are wanted; none: what the frames cover */
} cj__stft_attrs;

typedef struct cj__mel_attrs {
    double sample_rate;
    int64_t frame_length, hop;
    bool center;
    int64_t mels;
    double low, high;
    bool htk, norm;
    double power;
    bool log;
} cj__mel_attrs;

enum { CJ__FRAME_MAX = (1 << 24) - 1 };

/* stft.c. Fails unless x is a signal [batch, samples], the window is a vector of its dtype, and one
 * frame fits; *frames: how many do. */
cj_status cj__infer_frames(cj_infer *infer, const cj__stft_attrs *a, cj_dim *frames);
/* Spectra [batch, frames, bins, 2] of a signal, in the signal's dtype; window may be NULL. */
cj_node *cj__spectra(cj_graph *g, cj_node *signal, cj_node *window, const cj__stft_attrs *a);

/* mel.c. Options of this version's size with the initial values that they name, and the same as
 * attributes. */
bool cj__mel_options(cj_graph *g, const char *op, const cj_mel_opts *opts, cj_mel_opts *own);
cj__mel_attrs cj__mel_attributes(const cj_mel_opts *complete);
/* Are low, high and rate such that there are bands? If not, what to say of the three. */
bool cj__mel_bands(const cj__mel_attrs *a);
#define CJ__MEL_BANDS \
    "bands from %g to %g Hz at sample_rate=%g; 0 <= low < high <= half the rate is expected"
/* signal.c: [frame_length/2 + 1, mels] */
cj_node *cj__mel_filters(cj_graph *g, cj_dtype dtype, const cj__mel_attrs *a);

#endif
