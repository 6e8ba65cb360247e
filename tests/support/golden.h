/* golden.h: files of the tests: committed golden files, files a test writes, bytes in memory. */
#ifndef CAJAL_TESTS_SUPPORT_GOLDEN_H
#define CAJAL_TESTS_SUPPORT_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef CJ_SOURCE_DIR
#define CJ_SOURCE_DIR "."
#endif
#ifndef CJ_BUILD_DIR
#define CJ_BUILD_DIR "."
#endif

/* The bytes of a whole file in a block of exactly that size (a sanitizer sees the first byte too
 * far); ends the test program when there is none. The caller frees. */
static inline unsigned char *golden_bytes(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) {
        fprintf(stderr, "cannot open %s\n", path);
        exit(2);
    }
    *size = (size_t)ftell(f);
    rewind(f);
    unsigned char *bytes = malloc(*size ? *size : 1);
    if (!bytes || fread(bytes, 1, *size, f) != *size) exit(2);
    fclose(f);
    return bytes;
}

/* "SOURCE/tests/golden/NAME" in `path`. */
static inline const char *golden_path(char path[512], const char *name)
{
    snprintf(path, 512, "%s/tests/golden/%s", CJ_SOURCE_DIR, name);
    return path;
}

/* A copy of exactly `size` bytes, for parsers that must not read behind them. */
static inline unsigned char *golden_copy(const void *bytes, size_t size)
{
    unsigned char *copy = malloc(size ? size : 1);
    if (!copy) exit(2);
    if (size) memcpy(copy, bytes, size);
    return copy;
}

static inline void golden_write(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f) != 0) {
        fprintf(stderr, "cannot write %s\n", path);
        exit(2);
    }
}

#endif
