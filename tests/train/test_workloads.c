/* The networks of `cajal bench`, at their own sizes: in a deterministic context training and
 * inference have the same bits on 1, 2, 3 and 4 threads: each loss, all that is in the store after
 * two steps, and the results of a batch and of one sample.
 *
 * ctest: slow serial */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/workload.h"

enum { STEPS = 2, THREADS_MAX = 4 };

typedef struct result {
    cj_context *cj;
    workload w;
    cj_tensor *y[STEPS];
} result;

static result run(const cli_workload *of, bool training, int64_t batch, int threads)
{
    result r = {.cj = cj_context_new(&(cj_config){.threads = threads, .deterministic = true})};
    assert_non_null(r.cj);
    r.w = workload_open(r.cj, of, training, batch);
    cj_session *s = r.w.program ? cj_session_new(r.w.program, cj_model_store(r.w.m)) : NULL;
    if (!s) fail_msg("%s: %s", of->name, cj_message(r.cj));
    for (int i = 0; i < STEPS; i++)
        if (cj_run(s, r.w.feeds, r.w.n_feeds, &r.y[i], 1))
            fail_msg("%s: %s", of->name, cj_session_message(s));
    cj_session_free(s);
    return r;
}

static void release(result *r)
{
    for (int i = 0; i < STEPS; i++) cj_tensor_free(r->y[i]);
    workload_close(&r->w);
    cj_context_free(r->cj);
}

static int differences(const result *a, const result *b, const char *what)
{
    int n = 0;
    for (int i = 0; i < STEPS; i++)
        if (!cj_tensor_equal(a->y[i], b->y[i])) n++, print_error("%s: step %d differs\n", what, i);
    cj_store *p = cj_model_store(a->w.m), *q = cj_model_store(b->w.m);
    assert_int_equal(cj_store_count(p), cj_store_count(q));
    for (int i = 0; i < cj_store_count(p); i++) {
        const char *name = cj_store_name_at(p, i);
        if (!cj_tensor_equal(cj_store_tensor_at(p, i), cj_store_get(q, name)))
            n++, print_error("%s: '%s' differs\n", what, name);
    }
    return n;
}

static void any_thread_count_gives_the_same_bits(void **state)
{
    static const struct {
        const char *mode;
        bool training;
        int64_t batch;
    } modes[] = {{"train", true, 0}, {"infer", false, 0}, {"infer1", false, 1}};
    int n = 0;
    (void)state;
    for (const cli_workload *of = cli_workloads; of->name; of++)
        for (int m = 0; m < 3; m++) {
            result one = run(of, modes[m].training, modes[m].batch, 1);
            assert_true(isfinite(cj_load_f64(CJ_F32, cj_tensor_map_read(one.y[STEPS - 1]), 0)));
            for (int threads = 2; threads <= THREADS_MAX; threads++) {
                char what[80];
                snprintf(what, sizeof what, "%s %s, %d threads", of->name, modes[m].mode, threads);
                result many = run(of, modes[m].training, modes[m].batch, threads);
                n += differences(&one, &many, what);
                release(&many);
            }
            release(&one);
        }
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_thread_count_gives_the_same_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
