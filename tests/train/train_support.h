/* train_support.h: small data sets, models and runs for the tests of training. */
#ifndef CAJAL_TESTS_TRAIN_SUPPORT_H
#define CAJAL_TESTS_TRAIN_SUPPORT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <cajal/io.h>
#include <cajal/train.h>

#include "support/golden.h"

/* A clock that stands still: what is written does not depend on how long it took. */
static int64_t still_clock(void *user) { return (void)user, 1000000000; }
static const cj_clock still = {NULL, still_clock, still_clock};

static inline void check(cj_context *cj, cj_status failed, const char *file, int line)
{
    if (failed) fail_msg("%s:%d: %s: %s", file, line, cj_status_name(failed), cj_message(cj));
}
#define OK(call) check(cj, call, __FILE__, __LINE__)

/* n samples of `features` numbers in `classes` clouds; the same for the same arguments. */
static inline cj_dataset *clouds(cj_context *cj, int n, int features, int classes)
{
    cj_tensor *x = cj_tensor_new(cj, CJ_F32, 2, (int64_t[]){n, features}),
              *y = x ? cj_tensor_new(cj, CJ_I32, 1, (int64_t[]){n}) : NULL;
    float *xs = y ? cj_tensor_map(x, CJ_MAP_WRITE) : NULL;
    int32_t *ys = y ? cj_tensor_map(y, CJ_MAP_WRITE) : NULL;
    uint32_t state = 12345;
    for (int i = 0; xs && ys && i < n; i++) {
        ys[i] = i % classes;
        for (int k = 0; k < features; k++) {
            state = state * 1664525u + 1013904223u;
            xs[i * features + k] = (float)(state >> 8) / 16777216.0f +
                                   (k % classes == ys[i] ? 0.6f : 0.0f);
        }
    }
    cj_dataset *ds = xs && ys ? cj_dataset_from_tensors(cj, x, y) : NULL;
    cj_tensor_free(x);
    cj_tensor_free(y);
    return ds;
}

/* Same entries, same bits; names the first that differs. */
static inline void same_stores(cj_store *a, cj_store *b)
{
    assert_int_equal(cj_store_count(a), cj_store_count(b));
    for (int i = 0; i < cj_store_count(a); i++) {
        const char *name = cj_store_name_at(a, i);
        const cj_tensor *x = cj_store_tensor_at(a, i), *y = cj_store_get(b, name);
        if (!y) fail_msg("'%s' is in one store only", name);
        if (!cj_tensor_equal(x, y)) {
            int64_t at = 0;
            cj_tensor_close(x, y, 0, 0, &at);
            fail_msg("'%s' differs at %lld", name, (long long)at);
        }
    }
}

static inline void same_files(const char *a, const char *b)
{
    size_t n, k;
    unsigned char *x = golden_bytes(a, &n), *y = golden_bytes(b, &k);
    if (n != k || memcmp(x, y, n)) fail_msg("%s (%zu bytes) and %s (%zu bytes) differ", a, n, b, k);
    free(x);
    free(y);
}

/* A fresh folder name of this process under the build folder, without anything in it. */
static inline const char *fresh(char path[300], const char *name)
{
    char command[700];
    snprintf(path, 300, "%s/train_%s_%d", CJ_BUILD_DIR, name, (int)getpid());
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command)) fail_msg("cannot remove %s", path);
    return path;
}
static inline void remove_folder(const char *path)
{
    char command[700];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command)) fail_msg("cannot remove %s", path);
}

#endif
