/* faults.h: an allocator and an I/O table that fail when a test wants it, and the two sweeps in
 * which every allocation or file operation of a scenario fails in turn.
 *
 *     static cj_status scenario(cj_context *cj, void *arg) { ...; return failed; }
 *     faults_sweep_memory(scenario, NULL, NULL, 0);      // prints how many faults were injected
 *
 * The allocator also judges its callers: sizes that do not match, double frees, and bytes written
 * behind a block end the test; fresh bytes are 0xa5 and freed ones 0xdd, so that nobody leans on
 * them. */
#ifndef CAJAL_TESTS_SUPPORT_FAULTS_H
#define CAJAL_TESTS_SUPPORT_FAULTS_H

#include <stdatomic.h>

#include <cajal/base.h>

typedef struct faults_memory {
    int64_t fail_at;   /* the how-manieth allocation fails, from 1; 0: none */
    bool from_then_on; /* and all after it */
    _Atomic int64_t calls, injected, live_blocks, live_bytes;
} faults_memory;

cj_allocator faults_allocator(faults_memory *memory);

typedef enum faults_how {
    FAULT_ERROR, /* returns -error and does nothing */
    FAULT_SHORT, /* a read or write moves half of the bytes (at least one); other calls work */
    FAULT_LIE,   /* a read or write claims more than was asked for; other calls work */
    FAULT_END    /* a read or write moves nothing and returns 0 */
} faults_how;

typedef struct faults_files {
    cj_io io;        /* give this to the context */
    int64_t fail_at; /* counts every call but unmap */
    bool from_then_on;
    faults_how how;
    int error; /* errno of FAULT_ERROR */
    int64_t calls, injected, open_files;
} faults_files;

/* POSIX files behind it. One thread. */
void faults_files_init(faults_files *files);

typedef cj_status (*faults_scenario)(cj_context *cj, void *arg);
typedef void (*faults_after)(void *arg, cj_status status);

/* Runs the scenario with allocation 1, 2, 3 ... failing, once and from then on, until it ends
 * without a fault; each time in a new context and then again without a fault in the same one.
 * Asserts: no leaks, a failure has a status and a message, the run without faults works. `config`
 * may be NULL. Returns the number of faults. `every` > 1 tries each every-th allocation only. */
int64_t faults_sweep_memory(faults_scenario scenario, void *arg, const cj_config *config,
                            int every);
/* The same for file operations with {EIO, ENOSPC, EINTR, short, lie, end of file}; `after` (may be
 * NULL) is called after each run, to look at what lies on the disk. */
int64_t faults_sweep_files(faults_scenario scenario, void *arg, faults_after after);

#endif
