/* context.c: the owner of everything a program may replace, and of the last message.
 *
 *     cj_context (message, status) ---> core (allocator, files, clock, limits, counters)
 *     child      (message, status) --/
 *
 * The core never changes after cj_context_new but for its counters, which are atomic; so children
 * work in other threads without a lock. The context, its core and its registry are one block, which
 * the memory counters leave out: a context that holds nothing has 0 bytes in use. */
#include "base/context.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "base/posix.h"
#include "base/registry.h"
#include "base/strings.h"
#include "base/text.h"

enum { THREADS_MAX = 4096, ALIGNMENT = 64 };

struct cj__core {
    cj_context *root;
    cj_allocator allocator;
    cj_io io;
    cj_clock clock;
    cj_log_fn log;
    void *log_user;
    cj_cancel_fn cancel;
    void *cancel_user;
    int64_t memory_limit, deadline_ns;
    int threads;
    bool deterministic;
    int debug;
    _Atomic int64_t used, peak, allocations;
    _Atomic(cj__strings *) strings; /* made when first asked for */
};

typedef struct root_block {
    cj_context context;
    cj__core core;
    cj__registry registry;
} root_block;

/* ---- Life cycle ----------------------------------------------------------------------------- */

cj_context *cj_context_new(const cj_config *config)
{
    cj_config c = {0};
    if (config) {
        size_t size = config->size ? config->size : sizeof c;
        if (size > sizeof c) return NULL;
        memcpy(&c, config, size);
    }
    if (!c.allocator.allocate) c.allocator.allocate = cj__posix_allocate;
    root_block *block = c.allocator.allocate(c.allocator.user, NULL, 0, sizeof *block);
    if (!block) return NULL;
    memset(block, 0, sizeof *block);

    cj_context *cj = &block->context;
    cj__core *core = cj->core = &block->core;
    cj->registry = &block->registry;
    cj->owned.next = cj->owned.previous = &cj->owned;
    core->root = cj;
    core->allocator = c.allocator;
    core->io = c.io ? *c.io : cj__posix_io;
    core->clock = c.clock ? *c.clock : cj__posix_clock;
    core->log = c.log, core->log_user = c.log_user;
    core->cancel = c.cancel, core->cancel_user = c.cancel_user;
    core->memory_limit = c.memory_limit_bytes;
    core->deadline_ns = c.deadline_ns;
    core->threads = c.threads > 0 ? c.threads : cj__posix_threads();
    if (core->threads > THREADS_MAX) core->threads = THREADS_MAX;
    core->deterministic = c.deterministic;
    core->debug = c.debug;
    return cj;
}

void cj_context_free(cj_context *cj)
{
    if (!cj) return;
    CJ_ASSERT(!cj->child);
    while (cj->owned.next != &cj->owned) { /* the newest first: it may lean on the older ones */
        cj__owned *object = cj->owned.next;
        void (*free_object)(cj__owned *) = object->free;
        cj__disown(object);
        free_object(object);
    }
    cj__registry_release(cj);
    cj__strings_free(cj, cj->core->strings);
    cj_allocator allocator = cj->core->allocator;
    allocator.allocate(allocator.user, cj, sizeof(root_block), 0);
}

void cj__context_init_child(cj_context *child, cj_context *parent)
{
    *child = (cj_context){.core = parent->core, .registry = parent->registry, .child = true};
}

void cj__context_release_child(cj_context *child)
{
    CJ_ASSERT(child->child);
    memset(child, 0, sizeof *child);
}

/* Of two threads that make it, one is first. */
cj__strings *cj__core_strings(cj_context *cj)
{
    cj__strings *have = atomic_load(&cj->core->strings);
    if (have) return have;
    cj__strings *made = cj__strings_new(cj);
    if (made && !atomic_compare_exchange_strong(&cj->core->strings, &have, made)) {
        cj__strings_free(cj, made);
        return have;
    }
    return made;
}

/* Objects belong to the root, whichever child made them; that child must not do so in another
 * thread while the root is in use. */
void cj__own(cj_context *cj, cj__owned *object, void (*free)(cj__owned *object))
{
    cj__owned *head = &cj->core->root->owned;
    object->free = free;
    object->previous = head;
    object->next = head->next;
    head->next->previous = object;
    head->next = object;
}

void cj__disown(cj__owned *object)
{
    if (!object->next) return;
    object->previous->next = object->next;
    object->next->previous = object->previous;
    *object = (cj__owned){0};
}

/* ---- Messages ------------------------------------------------------------------------------- */

const char *cj_message(const cj_context *cj)
{
    return cj ? cj->message : "";
}

cj_status cj_last_status(const cj_context *cj)
{
    return cj ? cj->status : CJ_OK;
}

/* Names that come from files may hold anything: a message stays one line, shows no control
 * characters to a terminal, and is not cut within a UTF-8 sequence. */
static void tidy(char *message, bool cut)
{
    for (char *p = message; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
    if (!cut) return;
    size_t n = strlen(message), keep = n > 3 ? n - 3 : 0;
    while (keep && ((unsigned char)message[keep] & 0xc0) == 0x80) keep--;
    memcpy(message + keep, "...", n - keep < 3 ? n - keep : 3);
    message[keep + (n - keep < 3 ? n - keep : 3)] = 0;
}

cj_status cj_fail(cj_context *cj, cj_status status, const char *format, ...)
{
    if (!cj) return status;
    char message[CJ__MESSAGE_BYTES]; /* an argument may be the old message */
    va_list args;
    va_start(args, format);
    int n = cj__vformat(message, sizeof message, format, args);
    va_end(args);
    if (n < 0) message[0] = 0;
    tidy(message, n >= (int)sizeof message);
    memcpy(cj->message, message, sizeof message);
    return cj->status = status;
}

cj_status cj__prefix(cj_context *cj, cj_status status, const char *format, ...)
{
    if (!status) return status;
    char prefix[CJ__MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    if (cj__vformat(prefix, sizeof prefix, format, args) < 0) prefix[0] = 0;
    va_end(args);
    return cj_fail(cj, status, "%s: %s", prefix, cj->message);
}

void cj__log(cj_context *cj, cj_log_level level, const char *format, ...)
{
    if (!cj->core->log) return;
    char text[CJ__MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    int n = cj__vformat(text, sizeof text, format, args);
    va_end(args);
    if (n < 0) return;
    tidy(text, n >= (int)sizeof text);
    cj->core->log(cj->core->log_user, level, text);
}

bool cj__debugs(const cj_context *cj, int level)
{
    return cj->core->log && cj->core->debug >= level;
}

void cj__log_lines(cj_context *cj, const char *text)
{
    while (*text) {
        int length = (int)strcspn(text, "\n");
        cj__log(cj, CJ_LOG_DEBUG, "%.*s", length, text);
        text += length + (text[length] == '\n');
    }
}

cj_status cj__check_cancel(cj_context *cj)
{
    cj__core *core = cj->core;
    if (core->cancel && core->cancel(core->cancel_user))
        return cj_fail(cj, CJ_ERR_CANCELLED, "cancelled by the program");
    if (core->deadline_ns && cj__monotonic_ns(cj) >= core->deadline_ns)
        return cj_fail(cj, CJ_ERR_CANCELLED, "cancelled: the deadline has passed");
    return CJ_OK;
}

/* ---- What the core holds -------------------------------------------------------------------- */

const cj_io *cj__io(const cj_context *cj)
{
    return &cj->core->io;
}

int64_t cj__wall_ns(cj_context *cj)
{
    return cj->core->clock.wall_ns(cj->core->clock.user);
}

int64_t cj__monotonic_ns(cj_context *cj)
{
    return cj->core->clock.monotonic_ns(cj->core->clock.user);
}

bool cj__deterministic(const cj_context *cj)
{
    return cj->core->deterministic;
}

int cj_threads(const cj_context *cj)
{
    return cj->core->threads;
}

int64_t cj_memory_used(const cj_context *cj)
{
    return atomic_load(&cj->core->used);
}

int64_t cj_memory_peak(const cj_context *cj)
{
    return atomic_load(&cj->core->peak);
}

int64_t cj__allocation_count(const cj_context *cj)
{
    return atomic_load(&cj->core->allocations);
}

/* ---- Memory --------------------------------------------------------------------------------- */

/* Books `more` bytes before they are asked for, so that threads cannot pass the limit together. */
static bool charge(cj_context *cj, size_t more)
{
    cj__core *core = cj->core;
    if (more > PTRDIFF_MAX / 2) {
        cj_fail(cj, CJ_ERR_MEMORY, "out of memory: %zu bytes asked for", more);
        return false;
    }
    int64_t used = atomic_fetch_add(&core->used, (int64_t)more) + (int64_t)more;
    if (core->memory_limit > 0 && used > core->memory_limit) {
        atomic_fetch_sub(&core->used, (int64_t)more);
        cj_fail(cj, CJ_ERR_LIMIT,
                "memory limit exceeded: %zu bytes more than the %lld in use pass the limit of %lld",
                more, (long long)(used - (int64_t)more), (long long)core->memory_limit);
        return false;
    }
    int64_t peak = atomic_load(&core->peak);
    while (used > peak && !atomic_compare_exchange_weak(&core->peak, &peak, used)) {
    }
    return true;
}

static void uncharge(cj_context *cj, size_t less)
{
    atomic_fetch_sub(&cj->core->used, (int64_t)less);
}

/* A size of 0 takes a byte, because the allocator's 0 means free. */
void *cj__realloc(cj_context *cj, void *old, size_t old_size, size_t new_size)
{
    cj__core *core = cj->core;
    size_t from = !old ? 0 : old_size ? old_size : 1, to = new_size ? new_size : 1;
    if (to > from && !charge(cj, to - from)) return NULL;
    void *block = core->allocator.allocate(core->allocator.user, old, from, to);
    if (!block) {
        if (to > from) uncharge(cj, to - from);
        cj_fail(cj, CJ_ERR_MEMORY, "out of memory: %zu bytes asked for, %lld in use", to,
                (long long)atomic_load(&core->used));
        return NULL;
    }
    if (to < from) uncharge(cj, from - to);
    atomic_fetch_add(&core->allocations, 1);
    return block;
}

void *cj__alloc(cj_context *cj, size_t size)
{
    void *block = cj__realloc(cj, NULL, 0, size);
    if (block) memset(block, 0, size ? size : 1);
    return block;
}

void cj__free(cj_context *cj, void *block, size_t size)
{
    if (!block) return;
    if (!size) size = 1;
    cj->core->allocator.allocate(cj->core->allocator.user, block, size, 0);
    uncharge(cj, size);
}

/* raw                       block (a multiple of 64)
 *  |  1 to 64 bytes, the last holds their number  |  size bytes  |  rest of the 64  | */
void *cj__alloc_aligned(cj_context *cj, size_t size)
{
    if (size > SIZE_MAX - ALIGNMENT) size = SIZE_MAX - ALIGNMENT; /* refused below */
    unsigned char *raw = cj__realloc(cj, NULL, 0, size + ALIGNMENT);
    if (!raw) return NULL;
    size_t shift = ALIGNMENT - (uintptr_t)raw % ALIGNMENT;
    raw[shift - 1] = (unsigned char)shift;
    return raw + shift;
}

void cj__free_aligned(cj_context *cj, void *block, size_t size)
{
    if (!block) return;
    unsigned char *bytes = block;
    cj__free(cj, bytes - bytes[-1], size + ALIGNMENT);
}

char *cj__strdup(cj_context *cj, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = cj__realloc(cj, NULL, 0, size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

/* The size stands before the block, because cj_free is not told it. */
typedef union size_header {
    size_t total;
    max_align_t align;
} size_header;

void *cj_allocate(cj_context *cj, size_t size_bytes)
{
    if (size_bytes > SIZE_MAX - sizeof(size_header)) size_bytes = SIZE_MAX - sizeof(size_header);
    size_header *header = cj__alloc(cj, sizeof *header + size_bytes);
    if (!header) return NULL;
    header->total = sizeof *header + size_bytes;
    return header + 1;
}

void cj_free(cj_context *cj, void *block)
{
    if (!block) return;
    size_header *header = (size_header *)block - 1;
    cj__free(cj, header, header->total);
}
