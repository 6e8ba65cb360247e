/* names.h: a growing map from names to pointers, in an arena. */
#ifndef CAJAL_FORMAT_ONNX_NAMES_H
#define CAJAL_FORMAT_ONNX_NAMES_H

#include "base/arena.h"

typedef struct cj__names {
    cj__arena *arena;
    struct cj__name **buckets;
    size_t n_buckets, count;
} cj__names;

void cj__names_init(cj__names *names, cj__arena *arena);
/* What was put under the name; NULL when nothing was. */
void *cj__names_get(const cj__names *names, const char *name);
void *cj__names_get_bytes(const cj__names *names, const char *name, size_t size);
/* Adds or replaces; the name is referred to, not copied. false with a message when out of memory.
 */
bool cj__names_put(cj__names *names, const char *name, void *value);
/* All of them, in no order. */
void cj__names_each(const cj__names *names,
                    void (*visit)(void *user, const char *name, void *value), void *user);
/* `base`, or base_1, base_2 ...: the first that is free, which is then taken. Lives in the arena;
 * NULL with a message when out of memory. */
const char *cj__names_unique(cj__names *names, const char *base);

#endif
