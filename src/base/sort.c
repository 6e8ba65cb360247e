/* sort.c: heap sort (Williams 1964). The front of the array is a heap with the greatest item on
 * top; the top is swapped behind the heap again and again, and the new top sifted down. */
#include "base/sort.h"

static void sift(const void **items, size_t root, size_t count,
                 int (*compare)(const void *a, const void *b))
{
    const void *item = items[root];
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare(items[child], items[child + 1]) < 0) child++;
        if (compare(item, items[child]) >= 0) break;
        items[root] = items[child];
    }
    items[root] = item;
}

void cj__sort(const void **items, size_t count, int (*compare)(const void *a, const void *b))
{
    for (size_t i = count / 2; i-- > 0;) sift(items, i, count, compare);
    for (size_t end = count; end-- > 1;) {
        const void *greatest = items[0];
        items[0] = items[end];
        items[end] = greatest;
        sift(items, 0, end, compare);
    }
}
