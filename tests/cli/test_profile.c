/* test_profile.c: what the table of `cajal bench` says of steps whose times are known: layers whose
 * kernels make the same are one row of a short table, and a busy machine is told. */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define cj_session_step_at step_of_test
#include "base/compiler.h"
#include "cli/json.c"
#include "cli/profile.c"

static const cj_step_info *steps;
static int n_steps;

bool cj_session_step_at(const cj_session *s, int i, cj_step_info *info)
{
    (void)s;
    if (i >= n_steps) return false;
    *info = steps[i];
    info->calls = 1;
    info->total_ns = info->last_ns = info->best_ns;
    return true;
}

static const int64_t small[] = {4}, large[] = {2, 8};
#define STEP(k, o, l, d, n, ns, products) \
    {.kernel = k, .op = o, .layer = l, .dtype = CJ_F32, .rank = n, .dims = d, .best_ns = ns, \
     .multiply_adds = products, .bytes = 1e3}
#define SWEEP(l, d, n, ns) STEP("cpu/fused", "fused", l, d, n, ns, 0)

static char *text;
static size_t size;

static void told(void (*what)(FILE *to, int option), int option)
{
    free(text);
    FILE *to = open_memstream(&text, &size);
    assert_non_null(to);
    what(to, option);
    fclose(to);
}

/* ---- The table ------------------------------------------------------------------------------- */

/* Sums by hand: layer1.* forward 1 + 3 ms, backward 5 ms, two sweeps of no common name, alone: the
 * other shape, the other kernel, and places in a source file. */
static const cj_step_info network[] = {
    STEP("cpu/conv", "conv", "layer1.0.conv1", large, 2, 1000000, 1e7),
    STEP("cpu/conv", "conv", "layer1.1.conv2", large, 2, 3000000, 3e7),
    STEP("cpu/conv", "conv", "layer1.1.conv2 backward", large, 2, 5000000, 4e7),
    STEP("cpu/conv", "conv", "layer1.2.conv1", small, 1, 700000, 7e6),
    STEP("other/conv", "conv", "layer1.3.conv1", large, 2, 600000, 6e6),
    SWEEP("dense", small, 1, 200000), SWEEP("loss", small, 1, 200000),
    SWEEP("dense", small, 1, 100000),
    {.kernel = "cpu/fused", .op = "fused", .where = "src/a.c:3", .rank = 1, .dims = small,
     .best_ns = 90000},
    {.kernel = "cpu/fused", .op = "fused", .where = "src/a.c:4", .rank = 1, .dims = small,
     .best_ns = 80000}};

static void table(FILE *to, int most)
{
    assert_true(cli_profile_print(to, NULL, 0, &(cj_roof){100, 10}, most));
}

static void expect_rows(const char *const *expected, int n)
{
    char *line = strchr(text, '\n') + 1;
    for (int i = 0; i < n; i++, line = strchr(line, '\n') + 1) {
        char squeezed[300], *to = squeezed;
        for (const char *c = line; *c != '\n' && to < squeezed + sizeof squeezed - 1; c++)
            if (*c != ' ' || (to > squeezed && to[-1] != ' ')) *to++ = *c;
        *to = 0;
        if (strcmp(squeezed, expected[i]))
            fail_msg("row %d is '%s', expected '%s'\n%s", i, squeezed, expected[i],
                     text);
    }
}

static void layers_that_make_the_same_are_one_row(void **state)
{
    (void)state;
    steps = network, n_steps = (int)CJ__COUNT(network);
    static const char *const united[] = {
        "5.0000 45.6 1 16.0 0.0 16 cpu/conv conv layer1.1.conv2 backward f32[2,8]",
        "4.0000 36.5 2 20.0 0.0 20 cpu/conv conv layer1.* f32[2,8]",
        "0.7000 6.4 1 20.0 0.0 20 cpu/conv conv layer1.2.conv1 f32[4]",
        "0.6000 5.5 1 20.0 0.0 20 other/conv conv layer1.3.conv1 f32[2,8]",
        "0.5000 4.6 3 0.0 0.0 0 cpu/fused fused 2 layers f32[4]",
        "0.1700 1.5 2 rows more: --verbose shows them"};
    told(table, 5);
    expect_rows(united, (int)CJ__COUNT(united));
    static const char *const each[] = {
        "5.0000 45.6 1 16.0 0.0 16 cpu/conv conv layer1.1.conv2 backward f32[2,8]",
        "3.0000 27.3 1 20.0 0.0 20 cpu/conv conv layer1.1.conv2 f32[2,8]",
        "1.0000 9.1 1 20.0 0.0 20 cpu/conv conv layer1.0.conv1 f32[2,8]"};
    told(table, 0);
    expect_rows(each, (int)CJ__COUNT(each));
    assert_null(strstr(text, "*"));
    assert_null(strstr(text, "layers"));
}

/* ---- Doubts ---------------------------------------------------------------------------------- */

/* 2e6 multiply-adds in 20 us are 200 GFLOP/s. */
static const cj_step_info products[] = {
    STEP("cpu/gemm", "matmul", "dense", small, 1, 20000, 2e6),
    STEP("amx/gemm", "matmul", "dense", small, 1, 20000, 2e6),
    STEP("cpu/conv", "conv", "conv", small, 1, 20000, 2e6),
    STEP("cpu/gemm", "matmul", "dense", small, 1, 2000, 2e5), /* too short to be sure */
};
static cj_roof before, after;

static void doubts(FILE *to, int with_steps)
{
    static const char none;
    cli_profile_doubts(to, with_steps ? (const cj_session *)(const void *)&none : NULL, &before,
                       &after);
}

#define ASSERT_DOUBT(expected, with_steps) \
    do { \
        told(doubts, with_steps); \
        assert_string_equal(text, expected); \
    } while (0)

static void a_busy_machine_is_told(void **state)
{
    (void)state;
    steps = products, n_steps = 1;
    before = after = (cj_roof){190, 20};
    ASSERT_DOUBT("", 1);
    after = (cj_roof){160, 14}; /* as much as a quiet machine may differ */
    ASSERT_DOUBT("", 1);
    after = (cj_roof){150, 20};
    ASSERT_DOUBT("the machine was busy: its roof was 190.0 GFLOP/s, 20.0 GB/s before and 150.0, "
                 "20.0 after; the shares of it are doubtful\n", 1);
    after = (cj_roof){190, 40};
    ASSERT_DOUBT("the machine was busy: its roof was 190.0 GFLOP/s, 20.0 GB/s before and 190.0, "
                 "40.0 after; the shares of it are doubtful\n", 0);
    before = after = (cj_roof){100, 20};
    ASSERT_DOUBT("the machine was busy when its roof was measured: cpu/gemm is at 200 % of it; "
                 "the shares are doubtful\n", 1);
    ASSERT_DOUBT("", 0);
    steps = products + 1, n_steps = 3; /* these may */
    ASSERT_DOUBT("", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(layers_that_make_the_same_are_one_row),
                                       cmocka_unit_test(a_busy_machine_is_told)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(text);
    return failed;
}
