/* Arena and checked sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/size.h"
#include "support/faults.h"

static void test_arena(void **state)
{
    (void)state;
    faults_memory memory = {0};
    cj_context *cj = cj_context_new(&(cj_config){.allocator = faults_allocator(&memory)});
    cj__arena arena;
    cj__arena_init(&arena, cj);
    unsigned char *blocks[500];
    size_t sizes[500];
    for (size_t i = 0; i < 500; i++) {
        sizes[i] = i % 50 == 49 ? 30000 + i : i * 7 % 300;
        blocks[i] = cj__arena_alloc(&arena, sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(blocks[i][k], 0);
        memset(blocks[i], (int)(i & 255), sizes[i]);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(blocks[i][k], i & 255);
    assert_int_equal(cj__arena_bytes(&arena), cj_memory_used(cj));
    assert_true(memory.calls < 40);
    assert_string_equal(cj__arena_printf(&arena, "%s-%d", "a", 12), "a-12");
    assert_string_equal(cj__arena_strdup(&arena, ""), "");
    assert_memory_equal(cj__arena_copy(&arena, "xyz", 3), "xyz", 3);
    assert_null(cj__arena_array(&arena, SIZE_MAX / 2, 3));
    assert_int_equal(cj_last_status(cj), CJ_ERR_MEMORY);
    assert_null(cj__arena_alloc(&arena, SIZE_MAX));
    assert_null(cj__arena_alloc(&arena, SIZE_MAX - 20));
    cj__arena_release(&arena);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

static cj_status scenario(cj_context *cj, void *arg)
{
    (void)arg;
    cj__arena arena;
    cj__arena_init(&arena, cj);
    cj_status failed = CJ_OK;
    for (size_t i = 0; i < 40 && !failed; i++)
        if (!cj__arena_alloc(&arena, i * 200)) failed = cj_last_status(cj);
    cj__arena_release(&arena);
    return failed;
}

static void test_arena_faults(void **state)
{
    (void)state;
    assert_true(faults_sweep_memory(scenario, NULL, NULL, 1) > 10);
}

static void test_size(void **state)
{
    (void)state;
    size_t s = 7;
    assert_false(cj__size_add(SIZE_MAX, 1, &s));
    assert_false(cj__size_mul(SIZE_MAX / 2, 3, &s));
    assert_int_equal(s, 7);
    assert_true(cj__size_mul(6, 7, &s) && s == 42);
    assert_true(cj__size_add(SIZE_MAX - 1, 1, &s) && s == SIZE_MAX);
    int64_t n = 5;
    assert_true(cj__count(0, NULL, &n) && n == 1);
    assert_true(cj__count(3, (int64_t[]){2, 3, 4}, &n) && n == 24);
    assert_true(cj__count(3, (int64_t[]){INT64_MAX, 0, INT64_MAX}, &n) && n == 0);
    n = 5;
    assert_false(cj__count(2, (int64_t[]){0, -1}, &n));
    assert_false(cj__count(2, (int64_t[]){INT64_MAX, 2}, &n));
    assert_int_equal(n, 5);
    assert_true(cj__count(2, (int64_t[]){INT64_MAX, 1}, &n) && n == INT64_MAX);
    assert_true(cj__bytes(3, 4, &s) && s == 2);
    assert_true(cj__bytes(9, 1, &s) && s == 2);
    assert_true(cj__bytes(INT64_MAX, 8, &s) && s == INT64_MAX);
    assert_false(cj__bytes(INT64_MAX, 64, &s));
    assert_false(cj__bytes(-1, 8, &s));
    assert_int_equal(cj__round_up(0, 64), 0);
    assert_int_equal(cj__round_up(65, 64), 128);
    assert_true(cj__round_up(SIZE_MAX - 3, 64) >= SIZE_MAX - 63);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_arena),
                                       cmocka_unit_test(test_arena_faults),
                                       cmocka_unit_test(test_size)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
