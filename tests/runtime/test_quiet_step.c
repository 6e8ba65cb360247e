/* test_quiet_step.c: a planned step on one thread makes no system call, allocates nothing through
 * the context, takes no lock of ours and enters no team of threads: each network of `cajal bench`,
 * training and inference.
 *
 * A child is traced. It marks regions with two signals; between them every stop at a system call is
 * counted. An empty region comes first: sending the signals takes some calls itself. Locks are
 * counted by a function that stands before the C library's.
 *
 * ctest: timeout 180 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/context.h"
#include "support/workload.h"

#if defined(__linux__)
#include <sys/ptrace.h>
#include <sys/wait.h>

enum { BEGIN = SIGUSR1, END = SIGUSR2, STEPS = 10, CANNOT_TRACE = 100, FAILED = 1 };
enum { ALLOCATED = 2, LOCKED = 3 };

static int64_t locks; /* taken by code of this program, not by libraries such as oneDNN */

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    extern const char __executable_start, etext;
    static int (*next)(pthread_mutex_t *);
    const char *from = __builtin_return_address(0);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "pthread_mutex_lock");
    locks += from >= &__executable_start && from < &etext;
    return next(mutex);
}

typedef struct subject {
    cj_context *cj;
    workload w;
    cj_session *s;
    cj_tensor *out;
} subject;

static bool open_subject(subject *t, const cli_workload *of, bool training)
{
    t->cj = cj_context_new(&(cj_config){.threads = 1});
    t->w = workload_open(t->cj, of, training, 2);
    t->s = t->w.program ? cj_session_new(t->w.program, cj_model_store(t->w.m)) : NULL;
    return t->s != NULL;
}

static bool steps(subject *t, int n)
{
    for (int i = 0; i < n; i++)
        if (cj_run(t->s, t->w.feeds, t->w.n_feeds, &t->out, 1)) return false;
    return true;
}

static int child(const cli_workload *of, bool training)
{
    subject t = {0};
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL)) _exit(CANNOT_TRACE);
    raise(SIGSTOP);
    if (!open_subject(&t, of, training) || !steps(&t, 3)) return FAILED;
    raise(BEGIN);
    raise(END);
    int64_t before = cj__allocation_count(t.cj), locked = locks;
    raise(BEGIN);
    bool done = steps(&t, STEPS);
    raise(END);
    cj_step_info info;
    for (int i = 0; cj_session_step_at(t.s, i, &info); i++) done = done && info.threads == 1;
    if (cj__allocation_count(t.cj) != before) return ALLOCATED;
    if (locks != locked) return LOCKED;
    return done ? 0 : FAILED;
}

/* Stops at system calls in each region; the child's exit status. */
static int trace(pid_t pid, int counts[2])
{
    int status, region = -1, regions = 0;
    if (waitpid(pid, &status, 0) != pid) return FAILED;
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    if (ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(uintptr_t)PTRACE_O_TRACESYSGOOD))
        return CANNOT_TRACE;
    for (int deliver = 0;;) {
        if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)deliver)) return CANNOT_TRACE;
        if (waitpid(pid, &status, 0) != pid) return FAILED;
        if (WIFEXITED(status)) return WEXITSTATUS(status);
        if (WIFSIGNALED(status)) return FAILED;
        int signal = WSTOPSIG(status);
        deliver = 0;
        if (signal == (SIGTRAP | 0x80)) {
            if (region >= 0 && region < 2) counts[region]++;
        } else if (signal == BEGIN) {
            region = regions++;
        } else if (signal == END) {
            region = -1;
        } else {
            deliver = signal;
        }
    }
}

static void quiet(const cli_workload *of, bool training)
{
    int counts[2] = {0, 0};
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) _exit(child(of, training));
    int status = trace(pid, counts);
    if (status == CANNOT_TRACE) {
        print_message("processes may not be traced here: skipped\n");
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        skip();
    }
    print_message("%s %s: %d stops in %d steps, %d without any%s\n", of->name,
                  training ? "train" : "infer", counts[1], STEPS, counts[0],
                  status == ALLOCATED ? "; allocates" : status == LOCKED ? "; locks" : "");
    assert_int_equal(status, 0);
    assert_true(counts[0] > 0);
    assert_int_equal(counts[1], counts[0]);
}

static void training_is_quiet(void **state)
{
    (void)state;
    for (const cli_workload *of = cli_workloads; of->name; of++) quiet(of, true);
}

static void inference_is_quiet(void **state)
{
    (void)state;
    for (const cli_workload *of = cli_workloads; of->name; of++) quiet(of, false);
}

#else
static void training_is_quiet(void **state) { (void)state, skip(); }
static void inference_is_quiet(void **state) { (void)state, skip(); }
#endif

int main(void)
{
    const char *sanitizer = getenv("CJ_SANITIZE");
    if (sanitizer && *sanitizer && strcmp(sanitizer, "OFF") != 0) {
        printf("sanitizers make system calls of their own: skipped\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(training_is_quiet),
                                       cmocka_unit_test(inference_is_quiet)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
