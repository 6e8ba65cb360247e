/* opts.h: structures of options, which grow at their end from version to version.
 *
 * Their first member is size_t struct_size, what the caller's compiler took for the structure's
 * size; 0: this version's. A shorter one is of an older program: what it lacks keeps its default. A
 * longer one is of a newer program and is refused, for what it asks for might be left out without a
 * word. */
#ifndef CAJAL_BASE_OPTS_H
#define CAJAL_BASE_OPTS_H

#include "base/context.h"

/* Puts `given` (NULL: nothing) over *own, which has the defaults; own's struct_size becomes `size`.
 * false, and own as it was: it is longer. */
bool cj__opts_copy(void *own, size_t size, const void *given);
#define CJ__OPTS_NEWER \
    "options of a newer version of the library than this, %s: compile the program for this one"
/* The same, with a failure of the context that begins with `where`. */
cj_status cj__opts_take(cj_context *cj, const char *where, void *own, size_t size,
                        const void *given);

#endif
