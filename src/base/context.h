/* context.h: what stands behind a cj_context, and the macros with which failures travel.
 *
 * A context is a core (allocator, files, clock, limits: shared) and a message (its own). A session
 * runs in a thread of its own, so it has a child context: the same core, another message. Every
 * internal function that can fail takes the cj_context of the calling thread. */
#ifndef CAJAL_BASE_CONTEXT_H
#define CAJAL_BASE_CONTEXT_H

#include <cajal/base.h>

#include "base/compiler.h"

enum { CJ__MESSAGE_BYTES = 1024 };

/* Objects a context frees itself (models, graphs, data sets): a doubly linked list. */
typedef struct cj__owned {
    struct cj__owned *next, *previous;
    void (*free)(struct cj__owned *object);
} cj__owned;

typedef struct cj__core cj__core; /* context.c */

struct cj_context {
    cj__core *core;
    cj__owned owned;               /* list head; only in a context made by cj_context_new */
    struct cj__registry *registry; /* open tables, shared with children; base/registry.h */
    bool child;
    cj_status status;
    char message[CJ__MESSAGE_BYTES];
};

/* A child shares the core of `parent` and must be released before it. In the caller's storage. */
void cj__context_init_child(cj_context *child, cj_context *parent);
void cj__context_release_child(cj_context *child);

void cj__own(cj_context *cj, cj__owned *object, void (*free)(cj__owned *object));
void cj__disown(cj__owned *object); /* no-op for an object never owned (all zero) */

/* The allocator, counted against the memory limit. NULL comes with a message and cj->status
 * (MEMORY, or LIMIT), never for size 0. cj__alloc zeroes, cj__realloc does not (old may be NULL);
 * cj__free takes the size that was asked for and ignores NULL. */
void *cj__alloc(cj_context *cj, size_t size);
void *cj__realloc(cj_context *cj, void *old, size_t old_size, size_t new_size);
void cj__free(cj_context *cj, void *block, size_t size);
/* Not zeroed, 64-byte aligned; free with cj__free_aligned and the same size. */
void *cj__alloc_aligned(cj_context *cj, size_t size);
void cj__free_aligned(cj_context *cj, void *block, size_t size);
char *cj__strdup(cj_context *cj, const char *text); /* freed with cj__free(.., strlen + 1) */

/* How many allocations were made so far: running a plan must not change it. */
int64_t cj__allocation_count(const cj_context *cj);

const cj_io *cj__io(const cj_context *cj);
int64_t cj__wall_ns(cj_context *cj);
int64_t cj__monotonic_ns(cj_context *cj);
bool cj__deterministic(const cj_context *cj);
void cj__log(cj_context *cj, cj_log_level level, const char *format, ...) CJ_PRINTF(3, 4);
/* Is there somebody to be told what cj_config.debug calls `level`? */
bool cj__debugs(const cj_context *cj, int level);
/* Each line of a text as a message of level DEBUG. */
void cj__log_lines(cj_context *cj, const char *text);
/* CJ_OK, or CJ_ERR_CANCELLED with a message: deadline passed or the callback said stop. */
cj_status cj__check_cancel(cj_context *cj);

/* Puts "what: " before the message of a failure that is on its way up; returns `status`. */
cj_status cj__prefix(cj_context *cj, cj_status status, const char *format, ...) CJ_PRINTF(3, 4);

/* Raise and forward. A function that must clean up has a `failed` variable and one `out:` label:
 *     CJ__CHECK(failed = cj__file_read(...));          goes to out when failed
 * and one that has nothing to clean up:  CJ__TRY(cj__size_mul(...)). */
#define CJ__TRY(call) \
    do { \
        cj_status cj__status_ = (call); \
        if (CJ__UNLIKELY(cj__status_)) return cj__status_; \
    } while (0)
#define CJ__CHECK(assignment) \
    do { \
        if (CJ__UNLIKELY(assignment)) goto out; \
    } while (0)

#endif
