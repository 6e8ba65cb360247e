/* run_dir.h: the folder of a training run: runs/train1, runs/train2 ... or out=DIR. */
#ifndef CAJAL_CLI_RUN_DIR_H
#define CAJAL_CLI_RUN_DIR_H

#include "cli/cli.h"

enum { CLI_PATH_MAX = 4096 };

typedef struct run_dir {
    char path[CLI_PATH_MAX];
    bool made; /* by us: taken away again when nothing came of it */
    bool numbered; /* runs/trainN */
} run_dir;

/* `out` (NULL: the first runs/trainN that nobody has), made with the folders above it. A folder
 * that is not empty is refused unless `reuse`. false after a failure that has been told. Two
 * commands never get the same new folder: mkdir decides. */
bool run_dir_claim(cli *c, run_dir *run, const char *out, bool reuse);
/* Removes a folder that we made and that is still empty. */
void run_dir_drop(const run_dir *run);
/* "RUN/name" into `out`; false when it is too long. */
bool run_dir_file(const run_dir *run, const char *name, char out[CLI_PATH_MAX]);
/* Is there a file or folder of that name in the run directory? */
bool run_dir_has(const run_dir *run, const char *name);

#endif
