/* posix.h: what a context uses when its configuration names nothing else. posix.c is the one file
 * of the library that calls malloc, open, clock_gettime and their kin. */
#ifndef CAJAL_BASE_POSIX_H
#define CAJAL_BASE_POSIX_H

#include <cajal/base.h>

void *cj__posix_allocate(void *user, void *old, size_t old_size, size_t new_size);
extern const cj_io cj__posix_io;
extern const cj_clock cj__posix_clock;

/* CPUs this process may run on, at least 1. */
int cj__posix_threads(void);
/* The system's words for an errno value (its sign does not matter), always NUL-terminated. */
void cj__posix_error(int error, char *out, size_t size);

#endif
