/* backends.c: the backends by number, for programs that list them, and the roof of their device. */
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

cj_status cj_measure_roof(cj_context *cj, int threads, cj_roof *roof)
{
    *roof = (cj_roof){0};
    const cj__backend *const *b = cj__backends();
    while (*b && !(*b)->measure) b++;
    if (!*b) return cj_fail(cj, CJ_ERR_UNSUPPORTED, "no backend can measure its roof");
    cj__team *team = cj__team_new(cj, threads > 0 ? threads : cj_threads(cj));
    if (!team) return CJ_ERR_MEMORY;
    cj_status failed = (*b)->measure(cj, team, &roof->gflops, &roof->gb_per_s);
    cj__team_free(team);
    return failed;
}
