/* arena.c: a list of chunks, each filled from its begin; release frees the list.
 *
 *     chunks -> [header | used ........ | free ] -> [header | used ... ] -> NULL
 *
 * Chunks double from 4 KiB to 64 KiB. A request larger than a quarter of the next chunk gets a
 * chunk of its own, put behind the current one, so that the rest of that stays usable. */
#include "base/arena.h"

#include <stdarg.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"

enum { ALIGNMENT = 16, CHUNK_MIN = 4096, CHUNK_MAX = 1 << 16 };

typedef struct cj__chunk {
    struct cj__chunk *next;
    size_t size, used; /* of the bytes behind the header */
} cj__chunk;

enum { HEADER = (sizeof(cj__chunk) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT };

void cj__arena_init(cj__arena *arena, cj_context *cj)
{
    *arena = (cj__arena){.cj = cj};
}

void cj__arena_release(cj__arena *arena)
{
    for (cj__chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        cj__free(arena->cj, chunk, HEADER + chunk->size);
    }
    arena->chunks = NULL;
    arena->bytes = 0;
}

static cj__chunk *chunk_new(cj__arena *arena, size_t size)
{
    size_t total;
    if (!cj__size_add(size, HEADER, &total)) total = SIZE_MAX; /* refused by the allocator */
    cj__chunk *chunk = cj__alloc(arena->cj, total);
    if (chunk) chunk->size = size, arena->bytes += total;
    return chunk;
}

void *cj__arena_alloc(cj__arena *arena, size_t size)
{
    size = cj__round_up(size ? size : 1, ALIGNMENT);
    cj__chunk *chunk = arena->chunks;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t next = chunk ? chunk->size * 2 : CHUNK_MIN;
        next = next < CHUNK_MIN ? CHUNK_MIN : next > CHUNK_MAX ? CHUNK_MAX : next;
        bool alone = size > next / 4;
        cj__chunk *fresh = chunk_new(arena, alone ? size : next);
        if (!fresh) return NULL;
        if (alone && chunk) {
            fresh->next = chunk->next;
            chunk->next = fresh;
        } else {
            fresh->next = chunk;
            arena->chunks = fresh;
        }
        chunk = fresh;
    }
    char *block = (char *)chunk + HEADER + chunk->used;
    chunk->used += size;
    return block;
}

void *cj__arena_array(cj__arena *arena, size_t count, size_t item_size)
{
    size_t size;
    if (!cj__size_mul(count, item_size, &size)) {
        cj_fail(arena->cj, CJ_ERR_MEMORY, "out of memory: %zu items of %zu bytes asked for", count,
                item_size);
        return NULL;
    }
    return cj__arena_alloc(arena, size);
}

void *cj__arena_copy(cj__arena *arena, const void *bytes, size_t size)
{
    void *copy = cj__arena_alloc(arena, size);
    if (copy && size) memcpy(copy, bytes, size);
    return copy;
}

char *cj__arena_strdup(cj__arena *arena, const char *text)
{
    return cj__arena_copy(arena, text, strlen(text) + 1);
}

char *cj__arena_printf(cj__arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = cj__vformat(NULL, 0, format, args);
    char *text = cj__arena_alloc(arena, length < 0 ? 1 : (size_t)length + 1);
    if (text && length >= 0) cj__vformat(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

size_t cj__arena_bytes(const cj__arena *arena)
{
    return arena->bytes;
}
