/* run_dir.c: a run directory is claimed by making it. mkdir fails for all but one, so no lock is
 * needed, and a number is never given twice. */
#define _POSIX_C_SOURCE 200809L
#include "cli/run_dir.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RUNS_MAX = 1000000 };

static bool refuse(cli *c, const char *path, const char *what)
{
    cli_fail(c, CJ_ERR_IO, "%s: %s: %s", path, what, strerror(errno));
    return false;
}

/* Makes the folders above the last one. */
static bool make_parents(cli *c, const char *path)
{
    char part[CLI_PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *s = part + 1; *s; s++) {
        if (*s != '/' || s[-1] == '/') continue;
        *s = 0;
        if (mkdir(part, 0777) && errno != EEXIST) return refuse(c, part, "cannot be made");
        *s = '/';
    }
    return true;
}

/* -1: it cannot be read. */
static int is_empty(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder) return -1;
    int empty = 1;
    for (struct dirent *e; (e = readdir(folder));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) empty = 0;
    closedir(folder);
    return empty;
}

static bool claim_given(cli *c, run_dir *run, bool reuse)
{
    if (!make_parents(c, run->path)) return false;
    run->made = !mkdir(run->path, 0777);
    if (run->made) return true;
    if (errno != EEXIST) return refuse(c, run->path, "the run directory cannot be made");
    int empty = is_empty(run->path);
    if (empty < 0) return refuse(c, run->path, "is no run directory");
    if (access(run->path, W_OK | X_OK))
        return refuse(c, run->path, "the run directory cannot be written");
    if (empty || reuse) return true;
    cli_fail(c, CJ_ERR_EXISTS,
             "%s: the run directory is not empty; take another out=DIR, or --overwrite, or go on "
             "with resume=%s",
             run->path, run->path);
    return false;
}

bool run_dir_claim(cli *c, run_dir *run, const char *out, bool reuse)
{
    *run = (run_dir){.made = false};
    if (out) {
        size_t n = strlen(out);
        while (n > 1 && out[n - 1] == '/') n--;
        if (n == 0 || n > CLI_PATH_MAX - 64) {
            cli_misused(c, "%s: out: expected a folder's name, of at most %d bytes",
                        c->command->name, CLI_PATH_MAX - 64);
            return false;
        }
        memcpy(run->path, out, n);
        return claim_given(c, run, reuse);
    }
    run->numbered = true;
    if (mkdir("runs", 0777) && errno != EEXIST) return refuse(c, "runs", "cannot be made");
    for (int i = 1; i < RUNS_MAX; i++) {
        snprintf(run->path, sizeof run->path, "runs/train%d", i);
        run->made = !mkdir(run->path, 0777);
        if (run->made) return true;
        if (errno != EEXIST) return refuse(c, run->path, "the run directory cannot be made");
    }
    return refuse(c, "runs", "has too many runs");
}

void run_dir_drop(const run_dir *run)
{
    if (run->made && !rmdir(run->path) && run->numbered)
        rmdir("runs"); /* unless there are others */
}

bool run_dir_file(const run_dir *run, const char *name, char out[CLI_PATH_MAX])
{
    int n = snprintf(out, CLI_PATH_MAX, "%s/%s", run->path, name);
    return n > 0 && n < CLI_PATH_MAX;
}

bool run_dir_has(const run_dir *run, const char *name)
{
    char path[CLI_PATH_MAX];
    struct stat info;
    return run_dir_file(run, name, path) && !stat(path, &info);
}
