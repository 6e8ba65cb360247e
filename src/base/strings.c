/* strings.c: a growing list of texts, and a table of their hashes to find equal ones.
 *
 * Texts lie in blocks of their own that never move, so a text that was handed out stays where it is
 * while others are added. */
#include "base/strings.h"

#include <pthread.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"

struct cj__strings {
    pthread_mutex_t lock;
    char **texts;       /* number n is texts[n - 1] */
    size_t count, capacity;
    uint64_t *slots;    /* numbers, 0 for none: twice as many as texts have room */
};

enum { FIRST = 64 };

cj__strings *cj__strings_new(cj_context *cj)
{
    cj__strings *s = cj__alloc(cj, sizeof *s);
    if (!s) return NULL;
    if (pthread_mutex_init(&s->lock, NULL)) {
        cj_fail(cj, CJ_ERR_MEMORY, "strings: no lock can be made");
        cj__free(cj, s, sizeof *s);
        return NULL;
    }
    return s;
}

void cj__strings_free(cj_context *cj, cj__strings *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->count; i++) cj__free(cj, s->texts[i], strlen(s->texts[i]) + 1);
    cj__free(cj, s->texts, s->capacity * sizeof *s->texts);
    cj__free(cj, s->slots, 2 * s->capacity * sizeof *s->slots);
    pthread_mutex_destroy(&s->lock);
    cj__free(cj, s, sizeof *s);
}

/* The slot of a text, or the empty one where it belongs. There always is one: half are. */
static size_t slot_of(const cj__strings *s, const char *text, size_t size)
{
    const size_t mask = 2 * s->capacity - 1;
    size_t at = (size_t)cj__hash(text, size, 0) & mask;
    for (;; at = (at + 1) & mask) {
        const char *there = s->slots[at] ? s->texts[s->slots[at] - 1] : NULL;
        if (!there || (strlen(there) == size && !memcmp(there, text, size))) return at;
    }
}

static bool grow(cj_context *cj, cj__strings *s)
{
    const size_t capacity = s->capacity ? 2 * s->capacity : FIRST;
    char **texts = cj__alloc(cj, capacity * sizeof *texts);
    uint64_t *slots = texts ? cj__alloc(cj, 2 * capacity * sizeof *slots) : NULL;
    if (!slots) {
        cj__free(cj, texts, capacity * sizeof *texts);
        return false;
    }
    if (s->count) memcpy(texts, s->texts, s->count * sizeof *texts);
    cj__free(cj, s->texts, s->capacity * sizeof *s->texts);
    cj__free(cj, s->slots, 2 * s->capacity * sizeof *s->slots);
    s->texts = texts;
    s->slots = slots;
    s->capacity = capacity;
    for (size_t i = 0; i < s->count; i++) slots[slot_of(s, texts[i], strlen(texts[i]))] = i + 1;
    return true;
}

static bool find_or_add(cj_context *cj, cj__strings *s, const char *text, size_t size,
                        uint64_t *number)
{
    if (s->count == s->capacity && !grow(cj, s)) return false;
    const size_t slot = slot_of(s, text, size);
    if (!s->slots[slot]) {
        char *copy = cj__alloc(cj, size + 1);
        if (!copy) return false;
        memcpy(copy, text, size);
        s->texts[s->count++] = copy;
        s->slots[slot] = s->count;
    }
    *number = s->slots[slot];
    return true;
}

cj_status cj__string_number(cj_context *cj, const char *text, size_t size, uint64_t *number)
{
    *number = 0;
    if (!size) return CJ_OK;
    if (memchr(text, 0, size)) return cj_fail(cj, CJ_ERR_UNSUPPORTED, "a text holds a NUL");
    cj__strings *s = cj__core_strings(cj);
    if (!s) return cj->status;
    pthread_mutex_lock(&s->lock);
    const bool done = find_or_add(cj, s, text, size, number);
    pthread_mutex_unlock(&s->lock);
    return done ? CJ_OK : cj->status;
}

const char *cj__string_text(cj_context *cj, uint64_t number)
{
    const char *text = "";
    cj__strings *s = number ? cj__core_strings(cj) : NULL;
    if (!s) return text;
    pthread_mutex_lock(&s->lock);
    if (number <= s->count) text = s->texts[number - 1];
    pthread_mutex_unlock(&s->lock);
    return text;
}

int64_t cj__strings_bytes(cj_context *cj)
{
    cj__strings *s = cj__core_strings(cj);
    if (!s) return 0;
    pthread_mutex_lock(&s->lock);
    size_t bytes = sizeof *s + s->capacity * (sizeof *s->texts + 2 * sizeof *s->slots);
    for (size_t i = 0; i < s->count; i++) bytes += strlen(s->texts[i]) + 1;
    pthread_mutex_unlock(&s->lock);
    return (int64_t)bytes;
}
