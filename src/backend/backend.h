/* backend.h: how a backend offers kernels to plans.
 *
 * A backend is a best-first list of rows {op, supports, prepare, run}. When a plan is made, each
 * call goes to the first row of the session's backends that supports it with its concrete shapes,
 * and to the reference kernel (the op's own) when there is none: everything always runs. */
#ifndef CAJAL_BACKEND_BACKEND_H
#define CAJAL_BACKEND_BACKEND_H

#include "graph/graph.h"

#include "base/parallel.h"

typedef struct cj__kernel_row {
    const char *name; /* "cpu/gemm" */
    const cj_op *op;  /* NULL: any call; supports decides */
    /* Shapes and dtypes are concrete in kernel->in and ->out, data pointers are NULL. */
    bool (*supports)(const cj_kernel *kernel);
    /* May be NULL. Makes what run needs, in the plan's arena, and says how many bytes of workspace
     * it wants. kernel->team is set; data pointers are NULL. */
    cj_status (*prepare)(const cj_kernel *kernel, cj__arena *arena, const void **prepared,
                         size_t *workspace_bytes);
    cj_kernel_fn run;
    /* May be NULL. Frees what prepare made outside the arena, also after a prepare that failed but
     * set *prepared. */
    void (*release)(const void *prepared);
    /* May be NULL. Bytes that one run only moves from one layout to another. */
    size_t (*reordered)(const cj_kernel *kernel);
} cj__kernel_row;

typedef struct cj__backend {
    const char *name; /* "cpu" */
    const char *doc;
    const cj__kernel_row *kernels; /* ended by a row without run */
    const char *(*variant)(void);  /* the form that runs here, "avx512"; NULL: there is one only */
    /* What its device can do at most, see cj_roof; NULL: unknown. */
    cj_status (*measure)(cj_context *cj, cj__team *team, double *gflops, double *gb_per_s);
    bool keeps_subnormals;         /* sessions of this backend alone do not flush them to zero */
} cj__backend;

/* registry.c: the backends compiled in, best first; the last is "reference". */
const cj__backend *const *cj__backends(void);

#endif
