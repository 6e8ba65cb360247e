/* arena.h: memory freed at once. Graphs, plans and parsed files live in one each. */
#ifndef CAJAL_BASE_ARENA_H
#define CAJAL_BASE_ARENA_H

#include "base/context.h"

typedef struct cj__arena {
    cj_context *cj; /* who pays and who gets the message */
    struct cj__chunk *chunks;
    size_t bytes; /* of all chunks */
} cj__arena;

void cj__arena_init(cj__arena *arena, cj_context *cj);
void cj__arena_release(cj__arena *arena);
/* Zeroed, aligned to 16; NULL with a message when out of memory. */
void *cj__arena_alloc(cj__arena *arena, size_t size);
void *cj__arena_array(cj__arena *arena, size_t count, size_t item_size); /* overflow-checked */
void *cj__arena_copy(cj__arena *arena, const void *bytes, size_t size);
char *cj__arena_strdup(cj__arena *arena, const char *text);
char *cj__arena_printf(cj__arena *arena, const char *format, ...) CJ_PRINTF(2, 3);
size_t cj__arena_bytes(const cj__arena *arena);

#endif
