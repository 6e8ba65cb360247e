/* isa.c: which tables are compiled in, best first, and the choice among them.
 *
 * The question what the processor can do is asked each time; it costs a few loads, and an answer
 * kept would be a mutable global. Callers keep the table they were given. */
#include "backend/cpu/isa.h"

#include <string.h>

extern const cj__isa cj__isa_avx512, cj__isa_avx2, cj__isa_neon, cj__isa_generic;

static const cj__isa *const tables[] = {
#if defined(__x86_64__)
#if !defined(CJ_CORE)
    &cj__isa_avx512,
#endif
    &cj__isa_avx2,
#elif defined(__aarch64__)
    &cj__isa_neon,
#endif
    &cj__isa_generic, NULL,
};

const cj__isa *cj__isa_at(int i)
{
    return i >= 0 && (size_t)i < CJ__COUNT(tables) ? tables[i] : NULL;
}

const cj__isa *cj__isa_best(void)
{
    int i = 0;
    while (!tables[i]->supported()) i++; /* generic runs everywhere */
    return tables[i];
}

const cj__isa *cj__isa_find(const char *name)
{
    for (int i = 0; tables[i]; i++) {
        if (!strcmp(tables[i]->name, name)) return tables[i]->supported() ? tables[i] : NULL;
    }
    return NULL;
}
