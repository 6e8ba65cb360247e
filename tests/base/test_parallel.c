/* The team: every block once, the same bits for any number of threads, fork after load. */
#define _POSIX_C_SOURCE 200809L /* fork, alarm */
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/parallel.h"
#include "support/faults.h"

enum { N = 10007 };

typedef struct sums {
    const float *x;
    double partial[N];
    _Atomic int visits[N];
    int64_t block;
} sums;

static void visit(void *arg, int64_t begin, int64_t end)
{
    sums *s = arg;
    double sum = 0;
    for (int64_t i = begin; i < end; i++) {
        s->visits[i]++;
        sum += (double)s->x[i];
    }
    s->partial[begin / s->block] = sum;
}

static float values[N];

static double run_team(cj_context *cj, int threads, int64_t block)
{
    static sums s;
    memset(&s, 0, sizeof s);
    s.x = values;
    s.block = block;
    cj__team *team = threads ? cj__team_new(cj, threads) : NULL;
    assert_int_equal(cj__team_threads(team), threads ? threads : 1);
    cj__parallel_for(team, N, block, visit, &s);
    cj__team_free(team);
    for (int i = 0; i < N; i++)
        if (s.visits[i] != 1)
            fail_msg("item %d visited %d times with %d threads", i, s.visits[i], threads);
    return cj__tree_sum_f64(s.partial, (N + block - 1) / block);
}

static void test_same_bits(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    for (int i = 0; i < N; i++) values[i] = (float)(i * 2654435761u % 1000) * 1e-3f - 0.3f;
    static const int64_t blocks[] = {1, 7, 100, N - 1, N, N + 5};
    for (size_t b = 0; b < 5; b++) {
        double alone = run_team(cj, 0, blocks[b]);
        for (int threads = 1; threads <= 8; threads++) {
            double sum = run_team(cj, threads, blocks[b]);
            if (memcmp(&sum, &alone, sizeof sum))
                fail_msg("%a with %d threads, %a alone", sum, threads, alone);
        }
    }
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

static void count_calls(void *arg, int64_t begin, int64_t end)
{
    (void)begin, (void)end;
    ++*(_Atomic int *)arg;
}

static void test_many_jobs(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj__team *team = cj__team_new(cj, 4);
    _Atomic int calls = 0;
    for (int i = 0; i < 3000; i++) cj__parallel_for(team, i % 9, 1, count_calls, &calls);
    int expected = 0;
    for (int i = 0; i < 3000; i++) expected += i % 9;
    assert_int_equal(calls, expected);
    cj__parallel_for(team, 0, 1, count_calls, &calls);
    cj__parallel_for(team, -3, 1, count_calls, &calls);
    assert_int_equal(calls, expected);
    cj__parallel_for(team, 5, 0, count_calls, &calls); /* no block size: one block */
    assert_int_equal(calls, expected + 1);
    cj__team_free(team);
    cj__team_free(cj__team_new(cj, 3)); /* never used */
    cj_context_free(cj);
}

/* A team of one enters no thread library, so a child process works. Our pool works even after it
 * ran. */
static void test_fork(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
#if defined(CJ_POOL_PTHREAD)
    cj__team *team = cj__team_new(cj, 3);
#else
    cj__team *team = cj__team_new(cj, 1);
#endif
    _Atomic int calls = 0;
    cj__parallel_for(team, 10, 1, count_calls, &calls);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        cj__parallel_for(team, 10, 1, count_calls, &calls);
        cj__team_free(team);
        _exit(calls == 20 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    cj__team_free(team);
    cj_context_free(cj);
}

static void test_trees(void **state)
{
    (void)state;
    assert_true(cj__tree_sum_f64(NULL, 0) == 0);
    double five[] = {1e16, 1, -1e16, 1, 0.5};
    double expected = ((1e16 + 1) + (-1e16 + 1)) + 0.5;
    assert_true(cj__tree_sum_f64(five, 5) == expected);
    float rows[33 * 3];
    for (int64_t n = 1; n <= 33; n++) {
        for (int64_t i = 0; i < n * 3; i++) rows[i] = (float)i;
        cj__tree_sum_rows_f32(rows, n, 3);
        for (int64_t k = 0; k < 3; k++)
            assert_true(rows[k] == (float)(3 * n * (n - 1) / 2 + k * n));
    }
}

static cj_status scenario(cj_context *cj, void *arg)
{
    (void)arg;
    _Atomic int calls = 0;
    cj__team *team = cj__team_new(cj, 2);
    if (!team) return cj_last_status(cj);
    cj__parallel_for(team, 3, 1, count_calls, &calls);
    cj__team_free(team);
    return calls == 3 ? CJ_OK : cj_fail(cj, CJ_ERR_STATE, "%d calls", calls);
}

static void test_faults(void **state)
{
    (void)state;
    assert_true(faults_sweep_memory(scenario, NULL, NULL, 1) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fork),
                                       cmocka_unit_test(test_same_bits),
                                       cmocka_unit_test(test_many_jobs),
                                       cmocka_unit_test(test_trees), cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
