/* opts.c: structures of options that are longer or shorter than ours. */
#include "base/opts.h"

#include <string.h>

bool cj__opts_copy(void *own, size_t size, const void *given)
{
    size_t theirs = 0;
    if (given) memcpy(&theirs, given, sizeof theirs);
    if (theirs > size) return false;
    if (given) memcpy(own, given, theirs ? theirs : size);
    memcpy(own, &size, sizeof size);
    return true;
}

cj_status cj__opts_take(cj_context *cj, const char *where, void *own, size_t size,
                        const void *given)
{
    if (cj__opts_copy(own, size, given)) return CJ_OK;
    return cj_fail(cj, CJ_ERR_UNSUPPORTED, "%s: " CJ__OPTS_NEWER, where, cj_version());
}
