/* names.c: a hash table of chained entries; the table doubles when it is as full as it is wide. */
#include "format/onnx/names.h"

#include <string.h>

#include "base/text.h"

struct cj__name {
    struct cj__name *next;
    const char *name;
    size_t size;
    uint64_t hash;
    void *value;
    int64_t suffix; /* the last number tried behind it */
};

void cj__names_init(cj__names *names, cj__arena *arena)
{
    *names = (cj__names){.arena = arena};
}

static struct cj__name *find(const cj__names *names, const char *name, size_t size, uint64_t hash)
{
    if (!names->n_buckets) return NULL;
    struct cj__name *at = names->buckets[hash % names->n_buckets];
    while (at && (at->hash != hash || at->size != size || memcmp(at->name, name, size) != 0))
        at = at->next;
    return at;
}

static struct cj__name *find_text(const cj__names *names, const char *name)
{
    const size_t size = strlen(name);
    return find(names, name, size, cj__hash(name, size, 0));
}

void *cj__names_get_bytes(const cj__names *names, const char *name, size_t size)
{
    const struct cj__name *at = find(names, name, size, cj__hash(name, size, 0));
    return at ? at->value : NULL;
}

void *cj__names_get(const cj__names *names, const char *name)
{
    return cj__names_get_bytes(names, name, strlen(name));
}

static bool grow(cj__names *names)
{
    size_t n = names->n_buckets ? 2 * names->n_buckets : 64;
    struct cj__name **buckets = cj__arena_array(names->arena, n, sizeof(*buckets));
    if (!buckets) return false;
    for (size_t i = 0; i < names->n_buckets; i++)
        for (struct cj__name *at = names->buckets[i], *next; at; at = next) {
            next = at->next;
            at->next = buckets[at->hash % n];
            buckets[at->hash % n] = at;
        }
    names->buckets = buckets;
    names->n_buckets = n;
    return true;
}

bool cj__names_put(cj__names *names, const char *name, void *value)
{
    const size_t size = strlen(name);
    uint64_t hash = cj__hash(name, size, 0);
    struct cj__name *at = find(names, name, size, hash);
    if (at) {
        at->value = value;
        return true;
    }
    if (names->count >= names->n_buckets && !grow(names)) return false;
    at = cj__arena_alloc(names->arena, sizeof(*at));
    if (!at) return false;
    struct cj__name **bucket = &names->buckets[hash % names->n_buckets];
    *at = (struct cj__name){*bucket, name, size, hash, value, 0};
    *bucket = at;
    names->count++;
    return true;
}

void cj__names_each(const cj__names *names,
                    void (*visit)(void *user, const char *name, void *value), void *user)
{
    for (size_t i = 0; i < names->n_buckets; i++)
        for (const struct cj__name *at = names->buckets[i]; at; at = at->next)
            visit(user, at->name, at->value);
}

const char *cj__names_unique(cj__names *names, const char *base)
{
    struct cj__name *taken = find_text(names, base);
    const char *name = cj__arena_strdup(names->arena, base);
    while (name && taken && find_text(names, name))
        name = cj__arena_printf(names->arena, "%s_%lld", base, (long long)++taken->suffix);
    return name && cj__names_put(names, name, names) ? name : NULL;
}
