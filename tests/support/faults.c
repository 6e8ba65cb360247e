/* faults.c: see faults.h. Each block has its size before it and a mark behind it:
 *
 *     | size, magic | bytes ........ | 8 bytes of 0xa7 | */
#include "support/faults.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/posix.h"

/* ---- Memory --------------------------------------------------------------------------------- */

enum { TAIL = 8, TAIL_BYTE = 0xa7, FRESH = 0xa5, FREED = 0xdd };
#define MAGIC 0x626c6f636b6c6976u

typedef union header {
    struct {
        size_t size;
        uint64_t magic;
    } is;
    max_align_t align;
} header;

static header *check_block(void *block, size_t size)
{
    header *h = (header *)block - 1;
    if (h->is.magic != MAGIC) fail_msg("a block was freed twice or never allocated");
    if (h->is.size != size)
        fail_msg("a block of %zu bytes was given back as %zu", h->is.size, size);
    const unsigned char *tail = (unsigned char *)block + size;
    for (int i = 0; i < TAIL; i++)
        if (tail[i] != TAIL_BYTE)
            fail_msg("byte %d behind a block of %zu was overwritten", i, size);
    return h;
}

static bool fault_due(int64_t call, int64_t at, bool from_then_on)
{
    return at && (call == at || (from_then_on && call > at));
}

static void free_block(faults_memory *m, void *block, size_t size)
{
    header *h = check_block(block, size);
    memset(block, FREED, size);
    h->is.magic = 0;
    free(h);
    m->live_blocks--;
    m->live_bytes -= (int64_t)size;
}

static void *allocate(void *user, void *old, size_t old_size, size_t new_size)
{
    faults_memory *m = user;
    if (!new_size) {
        if (old) free_block(m, old, old_size);
        return NULL;
    }
    if (old) check_block(old, old_size);
    int64_t call = ++m->calls;
    if (fault_due(call, m->fail_at, m->from_then_on)) {
        m->injected++;
        return NULL;
    }
    if (new_size > SIZE_MAX / 2) return NULL;
    header *h = malloc(sizeof *h + new_size +
                       TAIL); /* always elsewhere: growing in place hides bugs */
    if (!h) return NULL;
    h->is.size = new_size;
    h->is.magic = MAGIC;
    unsigned char *block = (unsigned char *)(h + 1);
    memset(block, FRESH, new_size);
    memset(block + new_size, TAIL_BYTE, TAIL);
    m->live_blocks++;
    m->live_bytes += (int64_t)new_size;
    if (old) {
        memcpy(block, old, old_size < new_size ? old_size : new_size);
        free_block(m, old, old_size);
    }
    return block;
}

cj_allocator faults_allocator(faults_memory *memory)
{
    return (cj_allocator){allocate, memory};
}

/* ---- Files ---------------------------------------------------------------------------------- */

static bool due(faults_files *f)
{
    bool yes = fault_due(++f->calls, f->fail_at, f->from_then_on);
    f->injected += yes;
    return yes;
}

/* Operations that move no bytes: only an error can be injected. */
static bool refuse(faults_files *f)
{
    return due(f) && f->how == FAULT_ERROR;
}

static int io_open(void *user, const char *path, int mode)
{
    faults_files *f = user;
    if (refuse(f)) return -f->error;
    int file = cj__posix_io.open(NULL, path, mode);
    f->open_files += file >= 0;
    return file;
}

/* The number of bytes that are really moved; *result is what is said when that differs. */
static bool transfer(faults_files *f, size_t *size, int64_t *result)
{
    *result = INT64_MIN;
    if (!due(f)) return true;
    switch (f->how) {
    case FAULT_ERROR: *result = -f->error; return false;
    case FAULT_END: *result = 0; return false;
    case FAULT_SHORT: *size = *size > 1 ? *size / 2 : *size; return true;
    case FAULT_LIE: *result = (int64_t)*size + 1; return true;
    }
    return true;
}

static int64_t io_read(void *user, int file, void *bytes, size_t size)
{
    int64_t said, n;
    if (!transfer(user, &size, &said)) return said;
    n = cj__posix_io.read(NULL, file, bytes, size);
    return said == INT64_MIN ? n : said;
}

static int64_t io_pread(void *user, int file, void *bytes, size_t size, int64_t offset)
{
    int64_t said, n;
    if (!transfer(user, &size, &said)) return said;
    n = cj__posix_io.pread(NULL, file, bytes, size, offset);
    return said == INT64_MIN ? n : said;
}

static int64_t io_write(void *user, int file, const void *bytes, size_t size)
{
    int64_t said, n;
    if (!transfer(user, &size, &said)) return said;
    n = cj__posix_io.write(NULL, file, bytes, size);
    return said == INT64_MIN ? n : said;
}

static int io_sync(void *user, int file)
{
    faults_files *f = user;
    return refuse(f) ? -f->error : cj__posix_io.sync(NULL, file);
}

/* A close that fails closes all the same, as on Linux. */
static int io_close(void *user, int file)
{
    faults_files *f = user;
    f->open_files--;
    bool fails = refuse(f);
    int result = cj__posix_io.close(NULL, file);
    return fails ? -f->error : result;
}

static int io_info(void *user, const char *path, cj_file_info *info)
{
    faults_files *f = user;
    return refuse(f) ? -f->error : cj__posix_io.info(NULL, path, info);
}

static int io_rename(void *user, const char *from, const char *to)
{
    faults_files *f = user;
    return refuse(f) ? -f->error : cj__posix_io.rename(NULL, from, to);
}

static int io_remove(void *user, const char *path)
{
    faults_files *f = user;
    return refuse(f) ? -f->error : cj__posix_io.remove(NULL, path);
}

static int io_mkdir(void *user, const char *path)
{
    faults_files *f = user;
    return refuse(f) ? -f->error : cj__posix_io.mkdir(NULL, path);
}

static int io_list(void *user, const char *path, int (*each)(void *arg, const char *name),
                   void *arg)
{
    faults_files *f = user;
    return refuse(f) ? -f->error : cj__posix_io.list(NULL, path, each, arg);
}

static void *io_map(void *user, int file, size_t size)
{
    return due(user) ? NULL : cj__posix_io.map(NULL, file, size);
}

static void io_unmap(void *user, void *bytes, size_t size)
{
    (void)user;
    cj__posix_io.unmap(NULL, bytes, size);
}

void faults_files_init(faults_files *files)
{
    *files = (faults_files){.error = EIO};
    files->io = (cj_io){files,   io_open,   io_read,   io_pread, io_write, io_sync, io_close,
                        io_info, io_rename, io_remove, io_mkdir, io_list,  io_map,  io_unmap};
}

/* ---- Sweeps --------------------------------------------------------------------------------- */

static void check_outcome(cj_context *cj, cj_status status, const char *fault, int64_t at)
{
    if (status < 0 || status >= CJ_STATUS_COUNT)
        fail_msg("%s %lld: status %d is none", fault, (long long)at, status);
    if (status && !*cj_message(cj))
        fail_msg("%s %lld: a failure without a message", fault, (long long)at);
}

/* False when the scenario ended before call `at`. */
static bool run_memory(faults_scenario scenario, void *arg, cj_config config, int64_t at, bool on,
                       int64_t *injected)
{
    faults_memory memory = {.fail_at = at, .from_then_on = on};
    config.allocator = faults_allocator(&memory);
    cj_context *cj = cj_context_new(&config);
    if (cj) {
        cj_status status = scenario(cj, arg);
        check_outcome(cj, status, "allocation", at);
        if (!memory.injected && status) fail_msg("without a fault: %s", cj_message(cj));
        memory.fail_at = 0;
        status = scenario(cj, arg);
        if (status)
            fail_msg("after the fault at allocation %lld: %s", (long long)at, cj_message(cj));
        cj_context_free(cj);
    }
    if (memory.live_blocks)
        fail_msg("allocation %lld failing %s leaks %lld blocks, %lld bytes", (long long)at,
                 on ? "on" : "once", (long long)memory.live_blocks, (long long)memory.live_bytes);
    *injected += memory.injected;
    return memory.injected > 0;
}

int64_t faults_sweep_memory(faults_scenario scenario, void *arg, const cj_config *config, int every)
{
    cj_config base = config ? *config : (cj_config){0};
    int64_t injected = 0;
    for (int on = 0; on < 2; on++)
        for (int64_t at = 1; run_memory(scenario, arg, base, at, on, &injected);
             at += every > 1 ? every : 1) {
        }
    print_message("%lld allocation faults\n", (long long)injected);
    return injected;
}

static bool run_files(faults_scenario scenario, void *arg, faults_after after, faults_files *f)
{
    faults_memory memory = {0};
    cj_config config = {.allocator = faults_allocator(&memory), .io = &f->io};
    cj_context *cj = cj_context_new(&config);
    assert_non_null(cj);
    cj_status status = scenario(cj, arg);
    check_outcome(cj, status, "file operation", f->fail_at);
    if (!f->injected && status) fail_msg("without a fault: %s", cj_message(cj));
    if (f->open_files)
        fail_msg("file operation %lld failing leaves %lld files open", (long long)f->fail_at,
                 (long long)f->open_files);
    cj_context_free(cj);
    if (memory.live_blocks)
        fail_msg("file operation %lld failing leaks memory", (long long)f->fail_at);
    if (after) after(arg, status);
    return f->injected > 0;
}

int64_t faults_sweep_files(faults_scenario scenario, void *arg, faults_after after)
{
    static const struct {
        faults_how how;
        int error;
    } kinds[] = {{FAULT_ERROR, EIO}, {FAULT_ERROR, ENOSPC}, {FAULT_ERROR, EINTR},
                 {FAULT_SHORT, 0},   {FAULT_LIE, 0},        {FAULT_END, 0}};
    int64_t injected = 0;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        for (int on = 0; on < 2; on++)
            for (int64_t at = 1;; at++) {
                faults_files files;
                faults_files_init(&files);
                files.fail_at = at, files.from_then_on = on;
                files.how = kinds[k].how, files.error = kinds[k].error;
                bool more = run_files(scenario, arg, after, &files);
                injected += files.injected;
                if (!more) break;
            }
    print_message("%lld file faults\n", (long long)injected);
    return injected;
}
