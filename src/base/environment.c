/* environment.c: the only place that reads the environment.
 *
 * A guest in another program must not change its mind because of variables nobody knows of. There
 * are two, both documented in data.h: $CAJAL_DATA, the folder of data sets, and $HOME, for
 * ~/.cache/cajal. */
#include "base/environment.h"

#include <stdlib.h>

static const char *get(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

const char *cj__environment_data(void)
{
    return get("CAJAL_DATA");
}

const char *cj__environment_home(void)
{
    return get("HOME");
}
