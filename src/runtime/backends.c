/* backends.c: the backends by number, for programs that list them. */
#include <cajal/run.h>

#include "backend/backend.h"

static const cj__backend *backend_at(int i)
{
    const cj__backend *const *all = cj__backends();
    for (int k = 0; all[k] && i >= 0; k++)
        if (k == i) return all[k];
    return NULL;
}

const char *cj_backend_name_at(int i)
{
    const cj__backend *b = backend_at(i);
    return b ? b->name : NULL;
}

const char *cj_backend_doc_at(int i)
{
    const cj__backend *b = backend_at(i);
    return b ? b->doc : NULL;
}

const char *cj_backend_variant_at(int i)
{
    const cj__backend *b = backend_at(i);
    return b && b->variant ? b->variant() : NULL;
}
