/* data_support.h: what the tests of data sets share: where real data lies, files to make and to
 * remove. */
#ifndef CAJAL_TESTS_DATA_SUPPORT_H
#define CAJAL_TESTS_DATA_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <cajal/data.h>

#include "base/context.h"
#include "base/file.h"
#include "data/dataset.h"

#define GOLDEN CJ_SOURCE_DIR "/tests/golden/data/"

static inline cj_context *test_context(void)
{
    cj_context *cj = cj_context_new(NULL);
    assert_non_null(cj);
    return cj;
}

/* The path of a real file, in $CAJAL_DATA or in the shared folder beside the sources; NULL: skip.
 */
static inline const char *real_file(const char *name)
{
    static char path[1200];
    const char *data = getenv("CAJAL_DATA");
    cj_context *cj = test_context();
    cj_file_info info = {0};
    if (data) {
        snprintf(path, sizeof path, "%s/%s", data, name);
        cj__file_info(cj, path, &info);
    }
    if (info.kind == CJ_FILE_NONE) {
        snprintf(path, sizeof path, "%s/../shared/datasets/%s", CJ_SOURCE_DIR, name);
        cj__file_info(cj, path, &info);
    }
    cj_context_free(cj);
    if (info.kind != CJ_FILE_NONE) return path;
    printf("    no %s in $CAJAL_DATA or ../shared/datasets\n", name);
    return NULL;
}

static inline void assert_message(cj_context *cj, cj_status status, const char *message)
{
    assert_string_equal(cj_message(cj), message);
    assert_int_equal(cj_last_status(cj), status);
}

/* A table from text, and the message of one that is refused. */
static inline cj_dataset *parse(cj_context *cj, const char *text, const cj_dataset_opts *opts)
{
    static const cj_dataset_opts none;
    return cj__table_parse(cj, "t.csv", text, strlen(text), opts ? opts : &none);
}

static inline void assert_parsed(cj_context *cj, const cj_dataset *ds)
{
    if (!ds) print_error("%s\n", cj_message(cj));
    assert_non_null(ds);
}

#endif
