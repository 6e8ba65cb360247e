/* sample.h: the inside of the sampler that a row's `sample` draws operands from. */
#ifndef CAJAL_GRAPH_SAMPLE_H
#define CAJAL_GRAPH_SAMPLE_H

#include "graph/graph.h"

enum { CJ__SAMPLES_MADE_MAX = 32 };

/* One operand: a variable "s0", "s1" ... whose value is in the graph's store under that name. */
typedef struct cj__sample_made {
    cj_node *node;
    bool differentiable; /* made by cj_sample_real, _away or _distinct */
} cj__sample_made;

struct cj_sampler {
    cj_graph *graph;
    uint64_t seed;
    cj_dtype dtype;     /* of the reals that are made; f64 unless a check compares another */
    cj_dtype precision; /* reals are rounded to this one first, so that the same sample can be made
                           in f64 and in a narrower dtype with equal values */
    int count;
    cj__sample_made made[CJ__SAMPLES_MADE_MAX];
};

/* Reals are f64. Equal seeds give equal samples. */
void cj__sampler_init(cj_sampler *s, cj_graph *graph, uint64_t seed);

#endif
