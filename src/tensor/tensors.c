/* tensors.c: a list of named tensors: an array in the order of adding, and a hash table of places
 * in that array (open addressing, at most half full). The hash is seeded with the list's address,
 * so a hostile file cannot choose names that collide. */
#include <string.h>

#include <cajal/io.h>

#include "base/size.h"
#include "base/text.h"
#include "tensor/tensor.h"

typedef struct entry {
    char *name;
    cj_tensor *tensor;
} entry;

typedef struct note {
    char *key, *value;
} note;

struct cj_tensors {
    cj_context *cj;
    entry *entries;
    size_t count, capacity;
    size_t *table; /* 1 + place in entries, 0: free; 2 * capacity slots, a power of two */
    note *notes;
    size_t note_count, note_capacity;
};

cj_tensors *cj_tensors_new(cj_context *cj)
{
    cj_tensors *list = cj__alloc(cj, sizeof(*list));
    if (list) list->cj = cj;
    return list;
}

static void free_string(cj_context *cj, char *text)
{
    if (text) cj__free(cj, text, strlen(text) + 1);
}

void cj_tensors_free(cj_tensors *list)
{
    if (!list) return;
    for (size_t i = 0; i < list->count; i++) {
        free_string(list->cj, list->entries[i].name);
        cj_tensor_free(list->entries[i].tensor);
    }
    for (size_t i = 0; i < list->note_count; i++) {
        free_string(list->cj, list->notes[i].key);
        free_string(list->cj, list->notes[i].value);
    }
    cj__free(list->cj, list->entries, list->capacity * sizeof(entry));
    cj__free(list->cj, list->table, 2 * list->capacity * sizeof(size_t));
    cj__free(list->cj, list->notes, list->note_capacity * sizeof(note));
    cj__free(list->cj, list, sizeof(*list));
}

/* The slot where `name` is, or the free one where it belongs. The table has free slots. */
static size_t *slot_of(const cj_tensors *list, const char *name)
{
    size_t mask = 2 * list->capacity - 1;
    size_t at = (size_t)cj__hash(name, strlen(name), (uint64_t)(uintptr_t)list) & mask;
    while (list->table[at] && strcmp(list->entries[list->table[at] - 1].name, name) != 0)
        at = (at + 1) & mask;
    return &list->table[at];
}

/* Doubles the array and builds the table anew. */
static cj_status grow(cj_tensors *list)
{
    size_t capacity = list->capacity ? 2 * list->capacity : 8, entry_bytes, table_bytes;
    if (!cj__size_mul(capacity, sizeof(entry), &entry_bytes) ||
        !cj__size_mul(2 * capacity, sizeof(size_t), &table_bytes))
        return cj_fail(list->cj, CJ_ERR_LIMIT, "tensors: %zu names are too many", list->count);
    size_t *table = cj__alloc(list->cj, table_bytes);
    if (!table) return list->cj->status;
    entry *entries = cj__realloc(list->cj, list->entries, list->capacity * sizeof(entry),
                                 entry_bytes);
    if (!entries) {
        cj__free(list->cj, table, table_bytes);
        return list->cj->status;
    }
    cj__free(list->cj, list->table, 2 * list->capacity * sizeof(size_t));
    list->entries = entries;
    list->table = table;
    list->capacity = capacity;
    for (size_t i = 0; i < list->count; i++) *slot_of(list, entries[i].name) = i + 1;
    return CJ_OK;
}

static cj_status add(cj_tensors *list, const char *name, cj_tensor *tensor)
{
    if (list->count == list->capacity) CJ__TRY(grow(list));
    size_t *slot = slot_of(list, name);
    if (*slot)
        return cj_fail(list->cj, CJ_ERR_EXISTS, "tensors: '%s' is in the list already", name);
    char *copy = cj__strdup(list->cj, name);
    if (!copy) return list->cj->status;
    list->entries[list->count++] = (entry){copy, tensor};
    *slot = list->count;
    return CJ_OK;
}

cj_status cj_tensors_add(cj_tensors *list, const char *name, cj_tensor *tensor)
{
    if (!tensor) {
        cj_status failed = cj_last_status(list->cj);
        return failed ? failed
                      : cj_fail(list->cj, CJ_ERR_ARGUMENT, "tensors: '%s' has no tensor", name);
    }
    cj_status failed = name ? add(list, name, tensor)
                            : cj_fail(list->cj, CJ_ERR_ARGUMENT, "tensors: no name");
    if (failed) cj_tensor_free(tensor);
    return failed;
}

cj_tensor *cj_tensors_find(const cj_tensors *list, const char *name)
{
    size_t place = list->count ? *slot_of(list, name) : 0;
    return place ? list->entries[place - 1].tensor : NULL;
}

size_t cj_tensors_count(const cj_tensors *list)
{
    return list->count;
}

cj_tensor *cj_tensors_at(const cj_tensors *list, size_t i, const char **name)
{
    if (name) *name = i < list->count ? list->entries[i].name : NULL;
    return i < list->count ? list->entries[i].tensor : NULL;
}

/* ---- Metadata -------------------------------------------------------------------------------- */

static note *note_of(const cj_tensors *list, const char *key)
{
    for (size_t i = 0; i < list->note_count; i++)
        if (strcmp(list->notes[i].key, key) == 0) return &list->notes[i];
    return NULL;
}

cj_status cj__tensors_append_metadata(cj_tensors *list, const char *key, const char *value)
{
    if (list->note_count == list->note_capacity) {
        size_t capacity = list->note_capacity ? 2 * list->note_capacity : 4;
        note *notes = cj__realloc(list->cj, list->notes, list->note_capacity * sizeof(note),
                                  capacity * sizeof(note));
        if (!notes) return list->cj->status;
        list->notes = notes;
        list->note_capacity = capacity;
    }
    note added = {cj__strdup(list->cj, key), cj__strdup(list->cj, value)};
    if (!added.key || !added.value) {
        free_string(list->cj, added.key);
        free_string(list->cj, added.value);
        return list->cj->status;
    }
    list->notes[list->note_count++] = added;
    return CJ_OK;
}

cj_status cj_tensors_set_metadata(cj_tensors *list, const char *key, const char *value)
{
    if (!key || !value)
        return cj_fail(list->cj, CJ_ERR_ARGUMENT, "tensors: metadata without a key or a string");
    note *old = note_of(list, key);
    if (!old) return cj__tensors_append_metadata(list, key, value);
    char *copy = cj__strdup(list->cj, value);
    if (!copy) return list->cj->status;
    free_string(list->cj, old->value);
    old->value = copy;
    return CJ_OK;
}

const char *cj_tensors_metadata(const cj_tensors *list, const char *key)
{
    const note *found = note_of(list, key);
    return found ? found->value : NULL;
}

size_t cj_tensors_metadata_count(const cj_tensors *list)
{
    return list->note_count;
}

const char *cj_tensors_metadata_at(const cj_tensors *list, size_t i, const char **value)
{
    if (value) *value = i < list->note_count ? list->notes[i].value : NULL;
    return i < list->note_count ? list->notes[i].key : NULL;
}
