/* attention.h: what the attention rows and their kernels share. */
#ifndef CAJAL_GRAPH_OPS_ATTENTION_H
#define CAJAL_GRAPH_OPS_ATTENTION_H

#include "graph/graph.h"

typedef struct cj__attention_attrs {
    double scale;   /* 0: 1 / sqrt(size of a head) */
    double softcap; /* 0: none */
    double rate;    /* of dropout; above 0 there are operands key and training */
    int64_t stream;
    bool causal, has_mask, has_lengths, has_offset;
} cj__attention_attrs;

/* The operands of both rows: fixed ones first (q k v, for the gradient also the forward's results
 * and their cotangents), then those that the attributes tell of. Absent: NULL. */
typedef struct cj__attention_places {
    int mask, lengths, offset, key, training; /* -1: absent */
    int count;
} cj__attention_places;

enum {
    CJ__ATTENTION_Q,
    CJ__ATTENTION_K,
    CJ__ATTENTION_V,
    CJ__ATTENTION_FIXED,                        /* operands of attention before the optional ones */
    CJ__ATTENTION_O = CJ__ATTENTION_FIXED,      /* of attention_grad: */
    CJ__ATTENTION_LSE,
    CJ__ATTENTION_DO,
    CJ__ATTENTION_DLSE,
    CJ__ATTENTION_GRAD_FIXED
};

cj__attention_places cj__attention_places_of(const cj_call *call);
/* The factor of q k for heads of d numbers. */
double cj__attention_scale(const cj__attention_attrs *a, int64_t d);

#endif
