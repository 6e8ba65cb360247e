/* sort.h: sorting without recursion, allocation or a bad case (qsort may allocate, and may be
 * quadratic for the order that a hostile file chooses). */
#ifndef CAJAL_BASE_SORT_H
#define CAJAL_BASE_SORT_H

#include <stddef.h>

/* Heap sort of an array of pointers: not stable, so `compare` (of two of them) should order all. */
void cj__sort(const void **items, size_t count, int (*compare)(const void *a, const void *b));

#endif
