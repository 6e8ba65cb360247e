/* networks.h: what the tests of backends share. */
#ifndef CAJAL_TESTS_NETWORKS_H
#define CAJAL_TESTS_NETWORKS_H

#include "runtime/run_support.h"

/* State of random reals. */
static inline cj_node *variable(cj_context *cj, cj_graph *g, const char *name, int rank,
                                const int64_t *dims)
{
    cj_tensor *t = random_tensor(cj, CJ_F32, rank, dims);
    cj_node *v = (cj_variable)(g, name, t);
    cj_tensor_free(t);
    return v;
}

static inline void free_tensors(cj_tensor **t, int n)
{
    for (int i = 0; i < n; i++) cj_tensor_free(t[i]), t[i] = NULL;
}

#endif
