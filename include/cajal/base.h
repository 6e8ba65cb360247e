/* base.h: the context, statuses and messages, and what a program may replace.
 *
 * A context owns nothing global: allocator, files, clock, limits, log and cancellation come through
 * it, so every failure can be injected and two contexts never meet.
 *
 *     cj_context *cj = cj_context_new(NULL);
 *     if (!cj) return 1;                                  // out of memory
 *     ...
 *     if (failed) fprintf(stderr, "%s\n", cj_message(cj));
 *     cj_context_free(cj);
 *
 * Threads: one context is used by one thread at a time. Objects whose header says "shared" may be
 * used by several threads; each thread then reads messages from its own session. */
#ifndef CAJAL_BASE_H
#define CAJAL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CJ_VERSION_MAJOR 0
#define CJ_VERSION_MINOR 1
#define CJ_VERSION_PATCH 0

#if defined(CJ_STATIC) || !defined(__GNUC__)
#define CJ_API
#else
#define CJ_API __attribute__((__visibility__("default")))
#endif
#if defined(__GNUC__)
#define CJ_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define CJ_PRINTF(text, first)
#endif

/* ---- Status ---------------------------------------------------------------------------------- */

/* Every call that can fail returns one of these (or NULL); the sentence is in cj_message. */
#define CJ_STATUS_LIST(X)                                                                          \
    X(OK, "ok")                                                                                    \
    X(ARGUMENT, "wrong argument")           /* a value out of its range, an unknown name */        \
    X(SHAPE, "shapes disagree")             /* rank or dimensions do not fit the operation */      \
    X(TYPE, "types disagree")               /* a dtype the operation does not take */              \
    X(MEMORY, "out of memory")              /* the allocator said no */                            \
    X(LIMIT, "limit exceeded")              /* memory limit, byte budget, depth */                 \
    X(IO, "input/output failed")            /* the operating system said no */                     \
    X(NOT_FOUND, "not found")               /* file, data set, column, name */                     \
    X(EXISTS, "already exists")             /* would overwrite */                                  \
    X(FORMAT, "malformed file")             /* bytes that are not what they claim to be */         \
    X(DATA, "bad data")                     /* a well-formed file with impossible values */        \
    X(UNSUPPORTED, "not supported")         /* an operator or type Cajal does not have */          \
    X(NUMERIC, "not a number")              /* NaN or infinity where training cannot go on */      \
    X(STATE, "wrong state")                 /* a call out of order */                              \
    X(CANCELLED, "cancelled")               /* the cancel callback or the deadline said stop */

typedef enum cj_status {
#define CJ_STATUS_ENUM(name, text) CJ_ERR_##name,
    CJ_STATUS_LIST(CJ_STATUS_ENUM)
#undef CJ_STATUS_ENUM
    CJ_STATUS_COUNT,
    CJ_OK = 0
} cj_status;

/* The status's short name, such as "out of memory"; "unknown status" for a number that is none. */
CJ_API const char *cj_status_name(cj_status status);

/* ---- What a program may replace -------------------------------------------------------------- */

/* One function allocates, grows, shrinks and frees, as in Lua: `old` is NULL or a block of old_size
 * bytes this function gave; new_size 0 frees and returns NULL. Returns NULL when it cannot, leaving
 * the old block as it was. Blocks are aligned for any C type. Called from several threads at once.
 */
typedef void *(*cj_allocate_fn)(void *user, void *old, size_t old_size, size_t new_size);

typedef struct cj_allocator {
    cj_allocate_fn allocate;
    void *user;
} cj_allocator;

/* What a path is. */
typedef enum cj_file_kind {
    CJ_FILE_NONE,
    CJ_FILE_REGULAR,
    CJ_FILE_DIRECTORY,
    CJ_FILE_OTHER
} cj_file_kind;

typedef struct cj_file_info {
    cj_file_kind kind; /* CJ_FILE_NONE: nothing there */
    int64_t size_bytes;
    bool link; /* the name is a symbolic link; the rest is of what it leads to */
} cj_file_info;

enum { CJ_OPEN_READ, CJ_OPEN_WRITE /* create or truncate */, CJ_OPEN_APPEND, CJ_OPEN_DIRECTORY };

/* Every file operation of the library. Each returns a number >= 0, or -errno. Any may be short or
 * interrupted; the library retries as POSIX asks. `map` may be NULL: files are then read. */
typedef struct cj_io {
    void *user;
    int (*open)(void *user, const char *path, int mode);
    int64_t (*read)(void *user, int file, void *bytes, size_t size);
    int64_t (*pread)(void *user, int file, void *bytes, size_t size, int64_t offset);
    int64_t (*write)(void *user, int file, const void *bytes, size_t size);
    int (*sync)(void *user, int file);
    int (*close)(void *user, int file);
    int (*info)(void *user, const char *path, cj_file_info *info);
    int (*rename)(void *user, const char *from, const char *to);
    int (*remove)(void *user, const char *path); /* a file or an empty directory */
    int (*mkdir)(void *user, const char *path);
    /* Calls `each` for every entry but "." and ".."; stops when it returns non-zero, and returns
     * that. */
    int (*list)(void *user, const char *path, int (*each)(void *arg, const char *name), void *arg);
    void *(*map)(void *user, int file, size_t size); /* read-only pages, NULL when it cannot */
    void (*unmap)(void *user, void *bytes, size_t size);
} cj_io;

/* Nanoseconds. wall: since 1970-01-01 UTC; monotonic: since any fixed moment. */
typedef struct cj_clock {
    void *user;
    int64_t (*wall_ns)(void *user);
    int64_t (*monotonic_ns)(void *user);
} cj_clock;

typedef enum cj_log_level { CJ_LOG_DEBUG, CJ_LOG_INFO, CJ_LOG_WARNING } cj_log_level;
typedef void (*cj_log_fn)(void *user, cj_log_level level, const char *text);

/* Asked between kernels and between file blocks; true stops the work with CJ_ERR_CANCELLED. It may
 * be called from any thread that works for the context. */
typedef bool (*cj_cancel_fn)(void *user);

/* All zero is the default: malloc, POSIX files, the system's clocks, no limit, one thread a core.
 */
typedef struct cj_config {
    size_t size;               /* sizeof(cj_config); 0 counts as that */
    cj_allocator allocator;
    const cj_io *io;           /* copied */
    const cj_clock *clock;     /* copied */
    cj_log_fn log;
    void *log_user;
    cj_cancel_fn cancel;
    void *cancel_user;
    int64_t memory_limit_bytes; /* 0: none */
    int64_t deadline_ns;        /* on the monotonic clock; 0: none */
    int threads;                /* 0: one a core; 1 enters no thread team */
    bool deterministic;         /* same bits for any number of threads */
    int debug; /* what `log` is told as CJ_LOG_DEBUG about programs: 1 backends and plans and why;
                  2 passes with their counts of calls; 3 graphs and plans, line by line; 0 nothing
                */
} cj_config;

/* ---- Context --------------------------------------------------------------------------------- */

typedef struct cj_context cj_context;

/* Returns NULL when out of memory or when config.size is larger than this library knows. */
CJ_API cj_context *cj_context_new(const cj_config *config);
/* Frees the context. Everything made from it must be freed before, but for models, graphs and data
 * sets still open, which it frees itself. NULL is a no-op. */
CJ_API void cj_context_free(cj_context *cj);

/* The last failure of a call on this context in one sentence, "" when there was none. It stays
 * until the next failure. Owned by the context. */
CJ_API const char *cj_message(const cj_context *cj);
CJ_API cj_status cj_last_status(const cj_context *cj);
/* For callbacks and operators a program registers: sets message and status, returns the status. */
CJ_API cj_status cj_fail(cj_context *cj, cj_status status, const char *format, ...) CJ_PRINTF(3, 4);

CJ_API int cj_threads(const cj_context *cj);
/* Bytes allocated now and at most so far through the context's allocator. */
CJ_API int64_t cj_memory_used(const cj_context *cj);
CJ_API int64_t cj_memory_peak(const cj_context *cj);
/* Zeroed memory counted against the context's limit; NULL (with a message) when there is none. */
CJ_API void *cj_allocate(cj_context *cj, size_t size_bytes);
/* Frees what cj_allocate gave; NULL is a no-op. */
CJ_API void cj_free(cj_context *cj, void *block);

/* "0.1.0". */
CJ_API const char *cj_version(void);

#ifdef __cplusplus
}
#endif
#endif
