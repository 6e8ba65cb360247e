/* opts.h: structures of options, which grow at their end from version to version.
 *
 * Their first member is size_t struct_size, what the caller's compiler took for the structure's
 * size; 0: this version's. A shorter one is of an older program: what it lacks keeps its default. A
 * longer one is of a newer program, which this library serves as long as what it does not know is
 * zero, not asked for (the rule of Linux's copy_struct_from_user). */
#ifndef CAJAL_BASE_OPTS_H
#define CAJAL_BASE_OPTS_H

#include "base/context.h"

/* Puts `given` (NULL: nothing) over *own, which has the defaults; own's struct_size becomes `size`.
 * false, and own as it was: the caller asks for more than this library knows. */
bool cj__opts_copy(void *own, size_t size, const void *given);
#define CJ__OPTS_NEWER \
    "an option that this library, version %s, does not know: the program was compiled for a " \
    "newer one"
/* The same, with a failure of the context that begins with `where`. */
cj_status cj__opts_take(cj_context *cj, const char *where, void *own, size_t size,
                        const void *given);

#endif
