/* folder_support.h: folders of pictures that tests make, and remove when they end. */
#ifndef CAJAL_TESTS_FOLDER_SUPPORT_H
#define CAJAL_TESTS_FOLDER_SUPPORT_H

#include "data_support.h"

#include <sys/stat.h>
#include <unistd.h>

#include "faults.h"

/* The folder of this test; setup makes it: mkdtemp(root). */
static char root[] = "/tmp/cajal-folders-XXXXXX";
static char paths[256][200];
static int n_paths;

static inline const char *in_root(const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static inline void remember(const char *path)
{
    for (int i = 0; i < n_paths; i++)
        if (!strcmp(paths[i], path)) return;
    assert_true(n_paths < 256);
    snprintf(paths[n_paths++], sizeof paths[0], "%s", path);
}

static inline void folder(const char *name)
{
    assert_int_equal(mkdir(in_root(name), 0700), 0);
    remember(in_root(name));
}

/* The folders that a file lies in. */
static inline void parents(const char *name)
{
    char path[200];
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(path, sizeof path, "%s/%.*s", root, (int)(slash - name), name);
        if (!mkdir(path, 0700)) remember(path);
    }
}

static inline void file(const char *name, const char *text, size_t size)
{
    parents(name);
    FILE *f = fopen(in_root(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    remember(in_root(name));
}

/* A grey picture of one value. */
static inline void picture(const char *name, int height, int width, int value)
{
    char text[200];
    const int n = snprintf(text, sizeof text, "P5 %d %d 255 ", width, height);
    memset(text + n, value, (size_t)(height * width));
    file(name, text, (size_t)(n + height * width));
}

/* A text file, which may replace another. */
static inline void text(const char *name, const char *content)
{
    file(name, content, strlen(content));
}

static inline int unmake(void **state)
{
    (void)state;
    while (n_paths) remove(paths[--n_paths]);
    return rmdir(root);
}

/* The message without the root before its paths; "ROOT" is itself. */
static inline const char *rootless(const char *message)
{
    static char out[1200];
    const size_t n = strlen(root);
    char *to = out;
    while (*message) {
        if (strncmp(message, root, n) != 0) *to++ = *message++;
        else if (message[n] == '/') message += n + 1;
        else {
            to = (char *)memcpy(to, "ROOT", 4) + 4;
            message += n;
        }
    }
    *to = 0;
    return out;
}

/* Opening it fails with this, and leaves nothing. */
static inline void refuse(const char *name, const cj_dataset_opts *opts, cj_status status,
                          const char *message)
{
    cj_context *cj = test_context();
    cj_dataset_opts o = *opts;
    o.source = in_root(name);
    assert_null((cj_dataset_open)(cj, &o));
    assert_string_equal(rootless(cj_message(cj)), message);
    assert_int_equal(cj_last_status(cj), status);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

#define REFUSE(name, status, message, ...) \
    refuse(name, &(cj_dataset_opts){.struct_size = 0, __VA_ARGS__}, status, message)

/* Whether the folder of that name has a part for validation. */
static inline bool has_validation(const char *name)
{
    cj_context *cj = test_context();
    const cj_dataset_opts o = {.source = in_root(name)};
    bool has = true;
    assert_int_equal(cj_dataset_has_validation(cj, &o, &has), CJ_OK);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
    return has;
}

static inline cj_status read_first(cj_context *cj, void *path)
{
    cj_dataset *ds = cj_dataset_open(cj, path);
    cj_status failed = ds ? CJ_OK : cj_last_status(cj);
    unsigned char item[400];
    for (int field = 0; field < 2 && !failed; field++)
        failed = cj_dataset_read(ds, &(int64_t){0}, 1, field, item);
    cj_dataset_free(ds);
    return failed;
}

/* No allocation of `use`, which gets the path, and no operation on files while the folder's first
 * sample is read, fails unnoticed. */
static inline void sweep_faults(cj_status (*use)(cj_context *cj, void *path), const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", root, name);
    assert_true(faults_sweep_memory(use, path, NULL, 1) > 0);
    assert_true(faults_sweep_files(read_first, path, NULL) > 0);
}

/* What a context says while it works. */
typedef struct told {
    int warnings;
    char last[400], all[2000]; /* all: without the root, a line each */
} told;

static inline void listen(void *user, cj_log_level level, const char *text)
{
    told *t = user;
    t->warnings += level == CJ_LOG_WARNING;
    snprintf(t->last, sizeof t->last, "%s", text);
    if (level != CJ_LOG_WARNING) return;
    const size_t n = strlen(t->all);
    snprintf(t->all + n, sizeof t->all - n, "%s\n", rootless(text));
}

#endif
