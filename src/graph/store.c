/* store.c: names to tensors, in the order they came.
 *
 * Look-up is by a small open-addressing table of entry numbers; a store has from a few to some
 * thousands of entries. Tensors are the store's own: set copies, but for bytes of a mapped file,
 * which are shared until the entry is written to. */
#include "graph/graph.h"

#include <string.h>

#include "tensor/tensor.h"

typedef struct entry {
    char *name;
    cj_tensor *tensor;
} entry;

struct cj_store {
    cj_context *cj;
    entry *entries;
    int count, capacity;
    int *slots; /* entry number + 1, or 0; a power of two */
    int n_slots;
    uint64_t version;
};

cj_store *cj_store_new(cj_context *cj)
{
    cj_store *store = cj__alloc(cj, sizeof *store);
    if (store) store->cj = cj;
    return store;
}

void cj_store_free(cj_store *store)
{
    if (!store) return;
    for (int i = 0; i < store->count; i++) {
        cj__free(store->cj, store->entries[i].name, strlen(store->entries[i].name) + 1);
        cj_tensor_free(store->entries[i].tensor);
    }
    cj__free(store->cj, store->entries, (size_t)store->capacity * sizeof *store->entries);
    cj__free(store->cj, store->slots, (size_t)store->n_slots * sizeof *store->slots);
    cj__free(store->cj, store, sizeof *store);
}

int cj_store_count(const cj_store *store) { return store->count; }
uint64_t cj_store_version(const cj_store *store) { return store->version; }
const char *cj_store_name_at(const cj_store *store, int i)
{
    return i >= 0 && i < store->count ? store->entries[i].name : NULL;
}
cj_tensor *cj_store_tensor_at(const cj_store *store, int i)
{
    return i >= 0 && i < store->count ? store->entries[i].tensor : NULL;
}

void cj__store_touch(cj_store *store) { store->version++; }

/* The slot of `name`: its entry's, or the empty one where it belongs. */
static int *slot_of(const cj_store *store, const char *name)
{
    unsigned mask = (unsigned)store->n_slots - 1,
             at = (unsigned)cj__hash(name, strlen(name), 0) & mask;
    while (store->slots[at] && strcmp(store->entries[store->slots[at] - 1].name, name))
        at = (at + 1) & mask;
    return &store->slots[at];
}

cj_tensor *cj_store_get(const cj_store *store, const char *name)
{
    int i = cj__store_index(store, name);
    return i < 0 ? NULL : store->entries[i].tensor;
}

int cj__store_index(const cj_store *store, const char *name)
{
    return store && name && store->n_slots ? *slot_of(store, name) - 1 : -1;
}

static cj_status grow(cj_store *store)
{
    int capacity = store->capacity ? 2 * store->capacity : 16;
    int *slots = cj__alloc(store->cj, (size_t)capacity * 2 * sizeof *slots);
    if (!slots) return CJ_ERR_MEMORY;
    entry *entries = cj__realloc(store->cj, store->entries,
                                 (size_t)store->capacity * sizeof *entries,
                                 (size_t)capacity * sizeof *entries);
    if (!entries) {
        cj__free(store->cj, slots, (size_t)capacity * 2 * sizeof *slots);
        return CJ_ERR_MEMORY;
    }
    store->entries = entries;
    cj__free(store->cj, store->slots, (size_t)store->n_slots * sizeof *slots);
    store->slots = slots;
    store->n_slots = capacity * 2;
    store->capacity = capacity;
    for (int i = 0; i < store->count; i++) *slot_of(store, entries[i].name) = i + 1;
    return CJ_OK;
}

cj_status cj_store_set(cj_store *store, const char *name, const cj_tensor *value)
{
    if (!store || !name || !*name || !value)
        return store ? cj_fail(store->cj, CJ_ERR_ARGUMENT,
                               "a store's entry needs a name and a tensor")
                     : CJ_ERR_ARGUMENT;
    int i = cj__store_index(store, name);
    if (i >= 0) {
        cj_status failed = cj_tensor_assign(store->entries[i].tensor, value);
        if (failed) return cj__prefix(store->cj, failed, "variable '%s'", name);
        store->version++;
        return CJ_OK;
    }
    if (store->count == store->capacity) CJ__TRY(grow(store));
    char *copy = cj__strdup(store->cj, name);
    cj_tensor *tensor = copy ? cj__tensor_keep(store->cj, value) : NULL;
    if (!tensor) {
        if (copy) cj__free(store->cj, copy, strlen(copy) + 1);
        return cj_last_status(store->cj);
    }
    *slot_of(store, name) = store->count + 1;
    store->entries[store->count++] = (entry){copy, tensor};
    store->version++;
    return CJ_OK;
}
