/* fuzz_xml.c: any bytes as XML. Whatever is accepted is a tree of elements with names, UTF-8 texts
 * without zero bytes, and lines that do not go back. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/xml.h"

#define CHECK(x) ((x) ? (void)0 : abort())

/* Depth is bounded by the parser, so recursion is. */
static void check(const cj__xml *e, int depth, int line)
{
    CHECK(depth <= CJ__XML_DEPTH + 1 && e->name[0] && e->line >= line);
    CHECK(strlen(e->text) == e->length && cj__utf8_valid(e->text, e->length));
    for (const cj__xml *c = e->first; c; c = c->next) {
        check(c, depth + 1, e->line);
        CHECK(!c->next || c->next->line >= c->line);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1, .memory_limit_bytes = 64 << 20});
    if (!cj) return 0;
    cj__arena arena;
    const cj__xml *root;
    cj__arena_init(&arena, cj);
    if (!cj__xml_parse(&arena, "fuzz", bytes, size, &root)) check(root, 1, 1);
    else CHECK(cj_message(cj)[0]);
    cj__arena_release(&arena);
    CHECK(cj_memory_used(cj) == 0);
    cj_context_free(cj);
    return 0;
}
