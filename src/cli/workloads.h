/* workloads.h: the networks that `cajal bench` measures. */
#ifndef CAJAL_CLI_WORKLOADS_H
#define CAJAL_CLI_WORKLOADS_H

#include <cajal/nn.h>

typedef struct cli_workload {
    const char *name, *doc;
    cj_node *(*build)(cj_model *m); /* inputs and layers; gives the logits, [batch, ..., classes] */
    int64_t batch;                    /* samples a step */
    int64_t classes;
    int64_t vocabulary;               /* of token inputs; 0: there are none */
} cli_workload;

/* Ended by a row without name. */
extern const cli_workload cli_workloads[];
const cli_workload *cli_workload_find(const char *name); /* NULL: there is none of that name */

#endif
