/* test_quiet_step.c: a planned step on one thread makes no system call, allocates nothing through
 * the context and enters no team of threads.
 *
 * A child is traced. It marks regions with two signals; between them every stop at a system call is
 * counted. An empty region comes first: sending the signals takes some calls itself. */
#define _GNU_SOURCE
#include "runtime/run_support.h"

#include <cajal/nn.h>

#include <signal.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/ptrace.h>
#include <sys/wait.h>

enum { BEGIN = SIGUSR1, END = SIGUSR2, STEPS = 20, CANNOT_TRACE = 100, FAILED = 1 };

typedef struct subject {
    cj_context *cj;
    cj_program *program;
    cj_session *s;
    cj_feed feeds[2];
    int n_feeds;
    cj_tensor *out;
} subject;

static cj_tensor *filled(cj_context *cj, cj_dtype dtype, int rank, const int64_t *dims)
{
    cj_tensor *t = cj_tensor_new(cj, dtype, rank, dims);
    char *data = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    if (data) memset(data, 0, cj_tensor_size_bytes(t));
    if (data) cj_tensor_unmap(t);
    return t;
}

/* A perceptron, with its loss and Adam when training. */
static bool open_subject(subject *t, bool training)
{
    t->cj = cj_context_new(&(cj_config){.threads = 1});
    cj_model *m = cj_model_new(t->cj);
    cj_graph *g = cj_model_graph(m);
    cj_node *y = cj_dense(cj_input(m, "x", 64), .units = 32, .activation = "tanh");
    y = cj_dense(y, .units = 10);
    if (training) {
        cj_node *label = cj_placeholder(g, "label", CJ_I32, CJ_DIMS(cj_symbol(g, "batch")));
        cj_node *loss = cj_mean(
            cj_loss_node(y, label, "sparse_categorical_crossentropy(from_logits=true)"));
        cj_node *parameters[4], *gradients[4];
        for (int i = 0; i < 4; i++) parameters[i] = cj_graph_parameter_at(g, i);
        if (cj_grad(loss, parameters, 4, gradients)) return false;
        t->program = cj_compile(g, .outputs = {loss}, .training = true,
                                .updates = cj_updates("adam", parameters, gradients, 4,
                                                   .learning_rate = 1e-3));
    } else {
        t->program = cj_compile(g, .outputs = {y});
    }
    t->s = t->program ? cj_session_new(t->program, cj_model_store(m)) : NULL;
    t->feeds[0] = (cj_feed){cj_program_input(t->program, "x"),
                            filled(t->cj, CJ_F32, 2, (const int64_t[]){16, 64})};
    t->feeds[1] = (cj_feed){cj_program_input(t->program, "label"),
                            filled(t->cj, CJ_I32, 1, (const int64_t[]){16})};
    t->n_feeds = training ? 2 : 1;
    return t->s != NULL;
}

static bool steps(subject *t, int n)
{
    for (int i = 0; i < n; i++)
        if (cj_run(t->s, t->feeds, t->n_feeds, &t->out, 1)) return false;
    return true;
}

static int child(bool training)
{
    subject t = {0};
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL)) _exit(CANNOT_TRACE);
    raise(SIGSTOP);
    if (!open_subject(&t, training) || !steps(&t, 3)) return FAILED;
    raise(BEGIN);
    raise(END);
    int64_t before = cj__allocation_count(t.cj);
    raise(BEGIN);
    bool done = steps(&t, STEPS);
    raise(END);
    cj_step_info info;
    for (int i = 0; cj_session_step_at(t.s, i, &info); i++) done = done && info.threads == 1;
    return done && cj__allocation_count(t.cj) == before ? 0 : FAILED;
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

static void quiet(bool training)
{
    int counts[2] = {0, 0};
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) _exit(child(training));
    int status = trace(pid, counts);
    if (status == CANNOT_TRACE) {
        print_message("processes may not be traced here: skipped\n");
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        skip();
    }
    assert_int_equal(status, 0);
    print_message("%d stops in %d steps, %d without any\n", counts[1], STEPS, counts[0]);
    assert_true(counts[0] > 0);
    assert_int_equal(counts[1], counts[0]);
}

static void training_is_quiet(void **state) { (void)state, quiet(true); }
static void inference_is_quiet(void **state) { (void)state, quiet(false); }

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
