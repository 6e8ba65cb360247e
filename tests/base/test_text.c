/* Growing text, JSON strings, numbers in any locale, nearest words, checksums. */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "support/faults.h"

static cj_context *cj;

static void test_growing(void **state)
{
    (void)state;
    cj__text t;
    cj__text_init(&t, cj);
    assert_string_equal(cj__text_string(&t), "");
    for (int i = 0; i < 1000; i++) cj__text_format(&t, "%d,", i % 10);
    assert_int_equal(t.length, 2000);
    assert_int_equal(strlen(cj__text_string(&t)), 2000);
    cj__text_clear(&t);
    cj__text_add(&t, "ab"), cj__text_char(&t, 'c'), cj__text_append(&t, "de", 1);
    assert_string_equal(cj__text_string(&t), "abcd");
    t.length = SIZE_MAX - 2;
    cj__text_add(&t, "xxxx");
    assert_int_equal(t.failed, CJ_ERR_MEMORY);
    t.length = 4;
    cj__text_add(&t, "x"); /* sticky */
    assert_string_equal(cj__text_string(&t), "abcd");
    cj__text_release(&t);
    assert_int_equal(cj_memory_used(cj), 0);
}

static cj_status scenario(cj_context *context, void *arg)
{
    (void)arg;
    cj__text t;
    cj__text_init(&t, context);
    for (int i = 0; i < 500; i++) cj__text_number(&t, i * 0.1);
    cj__text_json(&t, "x");
    cj_status failed = t.failed;
    cj__text_release(&t);
    return failed;
}

static void test_faults(void **state)
{
    (void)state;
    assert_true(faults_sweep_memory(scenario, NULL, NULL, 1) >= 8);
}

static void check_json(const char *string, const char *expected)
{
    cj__text t;
    cj__text_init(&t, cj);
    cj__text_json(&t, string);
    assert_string_equal(cj__text_string(&t), expected);
    cj__text_release(&t);
}

static void test_json(void **state)
{
    (void)state;
    check_json("a\"b\\c\n\t\x01", "\"a\\\"b\\\\c\\n\\t\\u0001\"");
    check_json("Cajal\xc3\xb3n \xf0\x9f\xa7\xa0", "\"Cajal\xc3\xb3n \xf0\x9f\xa7\xa0\"");
    check_json("\xc3", "\"\xef\xbf\xbd\"");
    check_json("\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"");                   /* overlong */
    check_json("\xed\xa0\x80!", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!\""); /* surrogate */
    check_json("\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void check_number(double value, const char *expected)
{
    char out[32];
    assert_string_equal(cj__number(out, value), expected);
}

static void test_numbers(void **state)
{
    (void)state;
    check_number(0.001, "0.001");
    check_number(1e-8, "1e-08");
    check_number(0.1, "0.1");
    check_number(0.1 + 0.2, "0.30000000000000004");
    check_number(-0.0, "-0");
    check_number(1234567, "1234567");
    check_number(5e-324, "5e-324");
    check_number(DBL_MAX, "1.7976931348623157e+308");
    check_number(NAN, "nan");
    check_number(-NAN, "nan");
    check_number(INFINITY, "inf");
    check_number(-INFINITY, "-inf");
    uint64_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        char out[32];
        double value, back;
        bits = cj__hash(&bits, 8, 3);
        memcpy(&value, &bits, 8);
        if (!isfinite(value)) continue;
        cj__number(out, value);
        assert_true(cj__parse_double(out, strlen(out), &back));
        if (memcmp(&value, &back, 8))
            fail_msg("%a printed as %s read back as %a", value, out, back);
    }
}

static void refuse_double(const char *text)
{
    double v = 42;
    if (cj__parse_double(text, strlen(text), &v)) fail_msg("'%s' was read as %g", text, v);
    assert_true(v == 42);
}

static void test_parsing(void **state)
{
    (void)state;
    double d;
    int64_t i;
    assert_true(cj__parse_double("1.5x", 3, &d) && d == 1.5);
    assert_true(cj__parse_double("-.5e1", 5, &d) && d == -5);
    assert_true(cj__parse_double("+2.", 3, &d) && d == 2);
    assert_true(cj__parse_double("-inf", 4, &d) && d == -INFINITY);
    assert_true(cj__parse_double("NaN", 3, &d) && isnan(d));
    assert_true(cj__parse_double("1e-400", 6, &d) && d == 0);
    static const char *const bad[] = {"",      " 1",  "1 ",  "0x10", "1e",   "1e+",
                                      ".",     "-",   "1,5", "1.5.", "infi", "nanx",
                                      "1e999", "--1", "1_0", "e5",   "+-1"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) refuse_double(bad[k]);
    assert_false(cj__parse_double("1\0002", 3, &d));
    assert_false(cj__parse_double(NULL, 0, &d));
    assert_true(cj__parse_int64("-9223372036854775808", 20, &i) && i == INT64_MIN);
    assert_true(cj__parse_int64("9223372036854775807", 19, &i) && i == INT64_MAX);
    assert_false(cj__parse_int64("9223372036854775808", 19, &i));
    assert_false(cj__parse_int64("-9223372036854775809", 20, &i));
    assert_false(cj__parse_int64("99999999999999999999", 20, &i));
    assert_true(cj__parse_int64("+7", 2, &i) && i == 7);
    assert_false(cj__parse_int64("+", 1, &i));
    assert_false(cj__parse_int64("1.0", 3, &i));
    assert_false(cj__parse_int64("", 0, &i));
}

static void test_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "es_ES.UTF-8"};
    const char *found = NULL;
    for (size_t k = 0; k < 4 && !found; k++) found = setlocale(LC_ALL, names[k]);
    if (!found) {
        print_message("no locale with a decimal comma is installed\n");
        skip();
    }
    char out[32];
    double d;
    cj__format(out, sizeof out, "%.2f", 0.5);
    assert_string_equal(out, "0.50");
    check_number(0.25, "0.25");
    assert_true(cj__parse_double("0.25", 4, &d) && d == 0.25);
    snprintf(out, sizeof out, "%.2f", 0.5);
    assert_string_equal(out, "0,50"); /* the program's own locale is as it was */
    setlocale(LC_ALL, "C");
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const words[] = {
        "dense", "dropout", "conv2d", "flatten", "max_pool2d", "relu", "batch_normalization", NULL};
    assert_string_equal(cj__nearest("batchnorm", words), "batch_normalization");
    assert_string_equal(cj__nearest("Normal_ization", words), "batch_normalization");
    assert_null(cj__nearest("norm", words));
    assert_null(cj__nearest("_____", words));
    assert_string_equal(cj__nearest("dens", words), "dense");
    assert_string_equal(cj__nearest("Dense", words), "dense");
    assert_string_equal(cj__nearest("con2vd", words), "conv2d");
    assert_string_equal(cj__nearest("max-pool2d", words), "max_pool2d");
    assert_string_equal(cj__nearest("rleu", words), "relu");
    assert_null(cj__nearest("attention", words));
    assert_null(cj__nearest("", words));
    assert_null(cj__nearest("x", words));
    char longest[300];
    memset(longest, 'd', sizeof longest);
    longest[299] = 0;
    assert_null(cj__nearest(longest, words));
}

static void test_checksums(void **state)
{
    (void)state;
    assert_int_equal(cj__crc32(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(cj__crc32(0, "", 0), 0);
    enum { N = 100003 };
    unsigned char *bytes = malloc(N);
    for (int i = 0; i < N; i++) bytes[i] = (unsigned char)(i * 7 + i / 256);
    uint32_t whole = cj__crc32(0, bytes, N), parts = 0; /* the fast way and the small one */
    for (int i = 0; i < N; i += 1000)
        parts = cj__crc32(parts, bytes + i, (size_t)(N - i < 1000 ? N - i : 1000));
    assert_int_equal(whole, parts);
    uint64_t h = cj__hash(bytes, 33, 0);
    for (int bit = 0; bit < 33 * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_true(cj__hash(bytes, 33, 0) != h);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    assert_true(cj__hash(bytes, 33, 1) != h);
    assert_true(cj__hash("\0", 1, 0) != cj__hash("\0\0", 2, 0));
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growing), cmocka_unit_test(test_faults),
        cmocka_unit_test(test_json),    cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_parsing), cmocka_unit_test(test_locale),
        cmocka_unit_test(test_nearest), cmocka_unit_test(test_checksums)};
    cj = cj_context_new(NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_context_free(cj);
    return failed;
}
