/* fuzz_json.c: any bytes as JSON. Whatever is accepted is a tree whose counts are right and whose
 * members are found by their keys; its strings are UTF-8. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define CHECK(x) ((x) ? (void)0 : abort())

/* Depth is bounded by the parser, so recursion is. */
static void check(const cj__json *value, size_t size)
{
    size_t count = 0;
    CHECK(value->source < size);
    if (value->type == CJ__JSON_STRING) CHECK(cj__utf8_valid(value->string, value->length));
    for (const cj__json *item = value->first; item; item = item->next, count++) {
        if (value->type == CJ__JSON_OBJECT && strlen(item->key) == item->key_length)
            CHECK(cj__json_find(value, item->key) == item);
        check(item, size);
    }
    CHECK(count == value->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1, .memory_limit_bytes = 64 << 20});
    if (!cj) return 0;
    cj__arena arena;
    const cj__json *root;
    cj__arena_init(&arena, cj);
    cj_status failed = cj__json_parse(&arena, "fuzz", bytes, size, NULL, &root);
    if (!failed) check(root, size);
    else CHECK(cj_message(cj)[0]);
    cj__arena_release(&arena);
    cj_context_free(cj);
    return 0;
}
