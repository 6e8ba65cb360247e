/* control.h: what the files of if, loop and scan share. */
#ifndef CAJAL_GRAPH_OPS_CONTROL_H
#define CAJAL_GRAPH_OPS_CONTROL_H

#include "graph/graph.h"

/* The places of loop and scan, so that both are read alike:
 *
 *     operands       [limit] [condition] carried... sequences... captures...
 *     body inputs    (iteration, condition) carried... elements... captures...
 *     body outputs   (condition) carried... stacked...
 *     outputs        carried... stacked...
 */
typedef struct cj__steps {
    int n_carried, n_sequences, n_captures, n_stacked;
    int first;     /* operand that is the first carried value */
    int first_in;  /* the body's input for it */
    int first_out; /* the body's output for it */
} cj__steps;

/* Counts are those of a call that has passed its shape rule. */
cj__steps cj__steps_of(const cj_call *call);

void cj__if_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx);
void cj__steps_grad(cj_graph *g, cj_call *call, cj_node *const *dy,
                    cj_node **dx); /* loop and scan */

cj_node *cj__if_sample(cj_sampler *s, int i);
cj_node *cj__loop_sample(cj_sampler *s, int i);
cj_node *cj__scan_sample(cj_sampler *s, int i);

#endif
