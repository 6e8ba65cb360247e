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

/* Whether tests/golden/NAME holds this text; if not, the first line that differs is shown.
 * CAJAL_UPDATE=1 writes it anew. */
static inline int golden_text_same(const char *name, const char *text, size_t length)
{
    char path[512];
    golden_path(path, name);
    if (getenv("CAJAL_UPDATE")) golden_write(path, text, length);
    size_t size, same = 0, line = 1;
    unsigned char *golden = golden_bytes(path, &size);
    while (same < size && same < length && (char)golden[same] == text[same])
        line += text[same++] == '\n';
    int equal = same == size && same == length;
    if (!equal) {
        while (same && text[same - 1] != '\n') same--;
        size_t end = same; /* the file's bytes end without a 0 */
        while (end < size && golden[end] != '\n') end++;
        fprintf(stderr, "%s, line %zu:\nexpected %.*s\nfound    %.*s\n", name, line,
                (int)(end - same), (char *)golden + same, (int)strcspn(text + same, "\n"),
                text + same);
    }
    free(golden);
    return equal;
}

#endif
