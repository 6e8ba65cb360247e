/* sort.h: sorting without recursion, allocation or a bad case, for tables whose order a hostile
 * file chooses (qsort may allocate, and may be quadratic). */
#ifndef CAJAL_FORMAT_SORT_H
#define CAJAL_FORMAT_SORT_H

#include <stddef.h>

/* Heap sort of an array of pointers: not stable, so `compare` (of two of them) should order all. */
void cj__sort(const void **items, size_t count, int (*compare)(const void *a, const void *b));

#endif
