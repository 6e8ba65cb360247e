/* The context: memory accounting and limits, messages, children, owned objects, cancellation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/context.h"
#include "base/parallel.h"
#include "support/faults.h"

static void test_defaults(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    assert_non_null(cj);
    assert_string_equal(cj_message(cj), "");
    assert_int_equal(cj_last_status(cj), CJ_OK);
    assert_true(cj_threads(cj) >= 1);
    assert_int_equal(cj_memory_used(cj), 0);
    assert_string_equal(cj_version(), "0.1.0");
    assert_string_equal(cj_status_name(CJ_OK), "ok");
    assert_string_equal(cj_status_name(CJ_ERR_CANCELLED), "cancelled");
    assert_string_equal(cj_status_name((cj_status)99), "unknown status");
    int64_t a = cj__monotonic_ns(cj), b = cj__monotonic_ns(cj);
    assert_true(a <= b);
    assert_true(cj__wall_ns(cj) > 1600000000 * (int64_t)1000000000);
    cj_context_free(cj);
    cj_context_free(NULL);
    assert_null(cj_context_new(&(cj_config){.size = sizeof(cj_config) + 1}));
    cj = cj_context_new(&(cj_config){.size = offsetof(cj_config, threads), .threads = 7});
    assert_true(cj_threads(cj) >= 1); /* an older program's structure ends before it */
    cj_context_free(cj);
    cj = cj_context_new(&(cj_config){.threads = 3});
    assert_int_equal(cj_threads(cj), 3);
    cj_context_free(cj);
}

static void test_accounting(void **state)
{
    (void)state;
    faults_memory memory = {0};
    cj_context *cj = cj_context_new(
        &(cj_config){.allocator = faults_allocator(&memory), .memory_limit_bytes = 10000});
    int64_t count = cj__allocation_count(cj);
    unsigned char *p = cj__alloc(cj, 1000);
    for (int i = 0; i < 1000; i++) assert_int_equal(p[i], 0);
    assert_int_equal(cj_memory_used(cj), 1000);
    p = cj__realloc(cj, p, 1000, 5000);
    assert_int_equal(cj_memory_used(cj), 5000);
    assert_null(cj__realloc(cj, p, 5000, 10001));
    assert_int_equal(cj_last_status(cj), CJ_ERR_LIMIT);
    assert_non_null(strstr(cj_message(cj), "10000"));
    assert_int_equal(cj_memory_used(cj), 5000);
    p = cj__realloc(cj, p, 5000, 10);
    assert_int_equal(cj_memory_used(cj), 10);
    assert_int_equal(cj_memory_peak(cj), 5000);
    assert_int_equal(cj__allocation_count(cj), count + 3);
    cj__free(cj, p, 10);
    void *nothing = cj__alloc(cj, 0);
    assert_non_null(nothing);
    cj__free(cj, nothing, 0);
    assert_null(cj__alloc(cj, SIZE_MAX));
    assert_null(cj__alloc_aligned(cj, SIZE_MAX));
    assert_null(cj_allocate(cj, SIZE_MAX));
    assert_null(cj_allocate(cj, SIZE_MAX - 8));
    assert_int_equal(cj_last_status(cj), CJ_ERR_MEMORY);
    assert_int_equal(cj_memory_used(cj), 0);
    for (size_t size = 0; size < 200; size += 7) {
        void *q = cj__alloc_aligned(cj, size), *r = cj_allocate(cj, size);
        assert_int_equal((uintptr_t)q % 64, 0);
        assert_int_equal((uintptr_t)r % 16, 0);
        memset(q, 1, size), memset(r, 1, size);
        cj__free_aligned(cj, q, size);
        cj_free(cj, r);
    }
    cj_free(cj, NULL);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
    assert_int_equal(memory.live_blocks, 0);
}

static void allocate_block(void *arg, int64_t begin, int64_t end)
{
    cj_context child;
    cj__context_init_child(&child, arg);
    for (int64_t i = begin; i < end; i++) {
        void *p = cj__alloc(&child, (size_t)i + 1);
        if (p) cj__free(&child, p, (size_t)i + 1);
    }
    cj__context_release_child(&child);
}

static void test_accounting_in_threads(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(&(cj_config){.memory_limit_bytes = 4000});
    cj__team *team = cj__team_new(cj, 4);
    int64_t before = cj_memory_used(cj);
    cj__parallel_for(team, 2000, 10, allocate_block, cj);
    assert_int_equal(cj_memory_used(cj), before);
    assert_true(cj_memory_peak(cj) <= 4000);
    cj__team_free(team);
    cj_context_free(cj);
}

static void test_messages(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL), child;
    assert_int_equal(cj_fail(cj, CJ_ERR_SHAPE, "%s has %d", "x", 3), CJ_ERR_SHAPE);
    assert_string_equal(cj_message(cj), "x has 3");
    cj__context_init_child(&child, cj);
    cj_fail(&child, CJ_ERR_DATA, "child");
    assert_string_equal(cj_message(cj), "x has 3");
    assert_int_equal(cj__prefix(cj, cj_last_status(cj), "op %d", 7), CJ_ERR_SHAPE);
    assert_string_equal(cj_message(cj), "op 7: x has 3");
    assert_int_equal(cj__prefix(cj, CJ_OK, "never"), CJ_OK);
    assert_string_equal(cj_message(cj), "op 7: x has 3");
    cj_fail(cj, CJ_ERR_IO, "again: %s", cj_message(cj));
    assert_string_equal(cj_message(cj), "again: op 7: x has 3");
    cj_fail(cj, CJ_ERR_FORMAT, "name \x1b[31m\nred\x7f");
    assert_string_equal(cj_message(cj), "name ?[31m?red?");
    char longest[3000];
    for (size_t i = 0; i + 2 < sizeof longest; i += 2) memcpy(longest + i, "\xc3\xa4", 3);
    for (int shift = 0; shift < 2; shift++) {
        cj_fail(cj, CJ_ERR_FORMAT, "%s%s", shift ? "x" : "", longest);
        size_t n = strlen(cj_message(cj));
        assert_true(n < CJ__MESSAGE_BYTES && n > CJ__MESSAGE_BYTES - 8);
        assert_string_equal(cj_message(cj) + n - 5, "\xc3\xa4...");
    }
    cj__context_release_child(&child);
    cj_context_free(cj);
}

typedef struct thing {
    cj__owned owned;
    int *order, number;
} thing;

static void free_thing(cj__owned *owned)
{
    thing *t = (thing *)owned;
    *t->order = *t->order * 10 + t->number;
}

static void test_owned(void **state)
{
    (void)state;
    int order = 0;
    thing things[4];
    cj_context *cj = cj_context_new(NULL), child;
    cj__context_init_child(&child, cj);
    for (int i = 0; i < 4; i++) {
        things[i] = (thing){.order = &order, .number = i + 1};
        cj__own(i == 2 ? &child : cj, &things[i].owned, free_thing);
    }
    cj__disown(&things[1].owned);
    cj__disown(&things[1].owned);
    cj__context_release_child(&child);
    cj_context_free(cj);
    assert_int_equal(order, 431);
}

static bool say_stop(void *user)
{
    return *(bool *)user;
}

static int64_t fixed_clock(void *user)
{
    return *(int64_t *)user;
}

static void keep_log(void *user, cj_log_level level, const char *text)
{
    if (level == CJ_LOG_WARNING) strcpy(user, text);
}

static void test_cancel_and_log(void **state)
{
    (void)state;
    bool stop = false;
    int64_t now = 5;
    char logged[64] = "";
    cj_clock clock = {&now, fixed_clock, fixed_clock};
    cj_context *cj = cj_context_new(&(cj_config){.cancel = say_stop,
                                                 .cancel_user = &stop,
                                                 .clock = &clock,
                                                 .deadline_ns = 10,
                                                 .log = keep_log,
                                                 .log_user = logged});
    assert_int_equal(cj__check_cancel(cj), CJ_OK);
    stop = true;
    assert_int_equal(cj__check_cancel(cj), CJ_ERR_CANCELLED);
    stop = false, now = 10;
    assert_int_equal(cj__check_cancel(cj), CJ_ERR_CANCELLED);
    assert_non_null(strstr(cj_message(cj), "deadline"));
    cj__log(cj, CJ_LOG_WARNING, "loss %.1f", 0.5);
    assert_string_equal(logged, "loss 0.5");
    cj_context_free(cj);
}

static cj_status scenario(cj_context *cj, void *arg)
{
    (void)arg;
    cj_status failed = CJ_OK;
    void *a = cj_allocate(cj, 10), *b = cj__alloc_aligned(cj, 100);
    char *c = cj__strdup(cj, "text");
    if (!a || !b || !c) failed = cj_last_status(cj);
    cj_free(cj, a);
    cj__free_aligned(cj, b, 100);
    cj__free(cj, c, 5);
    return failed;
}

static void test_faults(void **state)
{
    (void)state;
    assert_true(faults_sweep_memory(scenario, NULL, NULL, 1) >= 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_defaults),
                                       cmocka_unit_test(test_accounting),
                                       cmocka_unit_test(test_accounting_in_threads),
                                       cmocka_unit_test(test_messages),
                                       cmocka_unit_test(test_owned),
                                       cmocka_unit_test(test_cancel_and_log),
                                       cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
