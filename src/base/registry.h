/* registry.h: the open tables. Each kind of row (op, layer, loss ...) has a compiled-in,
 * NULL-terminated list; a program adds rows of its own to its context, which are found first. */
#ifndef CAJAL_BASE_REGISTRY_H
#define CAJAL_BASE_REGISTRY_H

#include "base/context.h"

typedef enum cj__row_kind {
    CJ__ROW_OP,
    CJ__ROW_LAYER,
    CJ__ROW_ACTIVATION,
    CJ__ROW_LOSS,
    CJ__ROW_METRIC,
    CJ__ROW_OPTIMIZER,
    CJ__ROW_SCHEDULE,
    CJ__ROW_INITIALIZER,
    CJ__ROW_REGULARIZER,
    CJ__ROW_CONSTRAINT,
    CJ__ROW_NETWORK,
    CJ__ROW_CALLBACK,
    CJ__ROW_DATASET,
    CJ__ROW_BACKEND,
    CJ__ROW_KIND_COUNT
} cj__row_kind;

/* Every row structure begins with its name. */
typedef struct cj__row {
    const char *name;
} cj__row;

/* The rows a program added, one list a kind; part of the context's block. */
typedef struct cj__rows {
    const void **rows;
    int count, capacity;
} cj__rows;
typedef struct cj__registry {
    cj__rows kinds[CJ__ROW_KIND_COUNT];
} cj__registry;
void cj__registry_release(cj_context *cj); /* by cj_context_free */

/* Adds a caller's row, kept by pointer: it must live as long as the context. CJ_ERR_EXISTS for a
 * name this context registered already. */
cj_status cj__register(cj_context *cj, cj__row_kind kind, const void *row);
/* The row of that name: the context's own first, then `builtin` (NULL-terminated). NULL when there
 * is none, with the message "unknown layer 'dens' (did you mean 'dense'?)"; `what` is the word
 * "layer". */
const void *cj__find(cj_context *cj, cj__row_kind kind, const void *const *builtin,
                     const char *what, const char *name);
/* The same without a message. */
const void *cj__find_quiet(cj_context *cj, cj__row_kind kind, const void *const *builtin,
                           const char *name);
/* Row i of all (the context's own first), NULL past the last. */
const void *cj__row_at(cj_context *cj, cj__row_kind kind, const void *const *builtin, int i);

#endif
