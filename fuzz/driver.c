/* driver.c: runs a fuzz target without a fuzzer.
 *
 *     fuzz_npy [--mutations N] FILE|FOLDER...
 *
 * Every file given (and every file directly in a folder given) goes to LLVMFuzzerTestOneInput once
 * as it is, truncated to half, and then N times with a few bytes changed. The changes come from a
 * counter started anew for each file, so a crash comes back with the same command line. A folder
 * that does not exist counts as empty; the empty input is always tried. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static long mutations, inputs;

/* The target gets a block of exactly `size` bytes, so that a sanitizer sees the first byte too far.
 */
static void run(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = calloc(1, size ? size : 1);
    if (!exact) exit(2);
    if (size) memcpy(exact, bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    inputs++;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void mutate_and_run(const uint8_t *bytes, size_t size)
{
    static const uint8_t interesting[] = {0, 1, 0x7f, 0x80, 0xff, '\n', '"', '{', '('};
    uint64_t state = size;
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) exit(2);
    for (long i = 0; i < mutations && size; i++) {
        memcpy(copy, bytes, size);
        size_t length = next(&state) % 4 ? size : next(&state) % (size + 1);
        for (uint64_t n = 1 + next(&state) % 4; n; n--) {
            uint64_t r = next(&state);
            size_t at = (size_t)((r >> 16) % size);
            if (r % 3 == 0) copy[at] ^= (uint8_t)(1u << ((r >> 8) % 8));
            else if (r % 3 == 1) copy[at] = interesting[(r >> 8) % sizeof interesting];
            else copy[at] = (uint8_t)(r >> 8);
        }
        run(copy, length);
    }
    free(copy);
}

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    size_t size = 0, capacity = 0, got;
    if (!file) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    do {
        if (size == capacity) {
            capacity = capacity ? 2 * capacity : 4096;
            bytes = realloc(bytes, capacity);
            if (!bytes) exit(2);
        }
        got = fread(bytes + size, 1, capacity - size, file);
        size += got;
    } while (got);
    fclose(file);
    fprintf(stderr, "%s: %zu bytes\n", path,
            size); /* the last line before a crash names its file */
    run(bytes, size);
    run(bytes, size / 2);
    mutate_and_run(bytes, size);
    free(bytes);
}

static void run_path(const char *path)
{
    struct stat info;
    if (stat(path, &info)) return;
    if (!S_ISDIR(info.st_mode)) {
        run_file(path);
        return;
    }
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char name[4096];
        int length = snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (length > 0 && (size_t)length < sizeof name && !stat(name, &info) &&
            S_ISREG(info.st_mode))
            run_file(name);
        free(entries[i]);
    }
    if (n >= 0) free(entries);
}

int main(int argc, char **argv)
{
    run(NULL, 0);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--mutations") && i + 1 < argc)
            mutations = strtol(argv[++i], NULL, 10);
        else run_path(argv[i]);
    }
    printf("%ld inputs\n", inputs);
    return 0;
}
