/* Philox against the known answers of its authors, and what is made of its words. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

static void check(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1,
                  const uint32_t *expected)
{
    uint32_t out[4];
    cj__philox4x32((uint32_t[]){c0, c1, c2, c3}, (uint32_t[]){k0, k1}, out);
    for (int i = 0; i < 4; i++)
        if (out[i] != expected[i]) fail_msg("word %d is %08x, not %08x", i, out[i], expected[i]);
}

/* Salmon et al. 2011, Random123's kat_vectors, "philox4x32 10". */
static void test_known_answers(void **state)
{
    (void)state;
    check(0, 0, 0, 0, 0, 0, (uint32_t[]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    check(~0u, ~0u, ~0u, ~0u, ~0u, ~0u,
          (uint32_t[]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    check(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0,
          (uint32_t[]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

static void test_fill(void **state)
{
    (void)state;
    cj__random_key key = {0x123456789abcdef0, 3, 5, 7};
    uint32_t words[64], counter[4] = {2, 7, 5, 3}, out[4];
    cj__philox4x32(counter, (uint32_t[]){0x9abcdef0, 0x12345678}, out);
    for (uint32_t i = 0; i < 4; i++) assert_int_equal(cj__random_u32(key, 8 + i), out[i]);
    for (uint32_t first = 0; first < 9; first++)
        for (size_t n = 0; n < 20; n++) {
            memset(words, 0, sizeof words);
            cj__random_fill_u32(key, first, words, n);
            for (uint32_t i = 0; i < n; i++)
                assert_int_equal(words[i], cj__random_u32(key, first + i));
            assert_int_equal(words[n], 0);
        }
    cj__random_fill_u32(key, UINT32_MAX - 1, words, 4); /* wraps, as the counter does */
    assert_int_equal(words[2], cj__random_u32(key, 0));
}

static void test_distributions(void **state)
{
    (void)state;
    assert_true(cj__random_unit(0) == 0);
    assert_true(cj__random_unit(UINT32_MAX) == 1 - 0x1p-24f);
    assert_true(isfinite(cj__random_normal(0, 0)) &&
                isfinite(cj__random_normal(UINT32_MAX, UINT32_MAX)));
    double sum = 0, squares = 0, unit = 0;
    enum { N = 200000 };
    cj__random_key key = {1, 0, 0, 0};
    for (uint32_t i = 0; i < N; i++) {
        double x = cj__random_normal(cj__random_u32(key, 2 * i), cj__random_u32(key, 2 * i + 1));
        sum += x, squares += x * x;
        unit += cj__random_unit(cj__random_u32(key, i));
    }
    /* Five standard errors: 5/sqrt(N), 5 sqrt(2/N), 5/sqrt(12 N). */
    if (fabs(sum / N) > 0.0112) fail_msg("the mean of normal numbers is %g", sum / N);
    if (fabs(squares / N - 1) > 0.0159)
        fail_msg("the variance of normal numbers is %g", squares / N);
    if (fabs(unit / N - 0.5) > 0.0033) fail_msg("the mean of numbers from [0, 1) is %g", unit / N);
}

static void test_shuffle(void **state)
{
    (void)state;
    int64_t a[100], b[100];
    bool seen[100] = {false};
    for (int i = 0; i < 100; i++) a[i] = b[i] = i;
    cj__random_shuffle(9, 1, 2, a, 100);
    cj__random_shuffle(9, 1, 2, b, 100);
    assert_memory_equal(a, b, sizeof a);
    for (int i = 0; i < 100; i++) seen[a[i]] = true;
    for (int i = 0; i < 100; i++) assert_true(seen[i]);
    cj__random_shuffle(9, 1, 3, b, 100);
    assert_memory_not_equal(a, b, sizeof a);
    cj__random_shuffle(9, 1, 3, NULL, 0);
    int counts[6] = {0}; /* all orders of three are equally likely */
    for (uint32_t step = 0; step < 60000; step++) {
        int64_t t[3] = {0, 1, 2};
        cj__random_shuffle(4, 0, step, t, 3);
        counts[t[0] * 2 + (t[1] > t[2])]++;
    }
    for (int i = 0; i < 6; i++) /* 10000 expected, standard deviation 91 */
        if (counts[i] < 9500 || counts[i] > 10500)
            fail_msg("order %d came %d times of 60000", i, counts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_answers),
                                       cmocka_unit_test(test_fill),
                                       cmocka_unit_test(test_distributions),
                                       cmocka_unit_test(test_shuffle)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
