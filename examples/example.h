/* example.h: where the tables of the examples lie: at the first argument, in $CAJAL_DATA, or beside
 * the source tree. Exit status 77 tells the tests that an example had no data to run on. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <stdio.h>
#include <stdlib.h>

enum { EXAMPLE_SKIPPED = 77 };

/* Returns path, or NULL when the table is nowhere. */
static inline const char *find_table(int argc, char **argv, const char *name, char path[1024])
{
    const char *data = getenv("CAJAL_DATA"), *source = getenv("CJ_SOURCE_DIR");
    const char *roots[] = {data, data, source ? source : ".."};
    const char *folders[] = {"", "tabular/", "../shared/datasets/tabular/"};
    if (argc > 1) return snprintf(path, 1024, "%s", argv[1]), path;
    for (int i = 0; i < 3; i++) {
        if (!roots[i]) continue;
        snprintf(path, 1024, "%s/%s%s", roots[i], folders[i], name);
        FILE *f = fopen(path, "rb");
        if (f) return fclose(f), path;
    }
    printf("%s is not here: give its path as the argument, or put it into $CAJAL_DATA\n", name);
    return NULL;
}

#endif
