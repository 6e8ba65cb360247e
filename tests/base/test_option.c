/* Options: parsing, printing back, ranges, and text that means harm. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/option.h"
#include "support/faults.h"

typedef struct all_types {
    double momentum;
    bool nesterov;
    int64_t units;
    int padding;
    const char *base;
    cj_dtype dtype;
    cj_ints shape;
    cj_floats scales;
    cj_ints dims;
    double fill, unset;
    void *tensor;
} all_types;

static const char *const paddings[] = {"valid", "same", "causal", NULL};

static const cj_option table[] = {CJ_OPTION_FLOAT(all_types, momentum, 0.5, 0, 1, "m"),
                                  CJ_OPTION_BOOL(all_types, nesterov, false, "n"),
                                  CJ_OPTION_INT(all_types, units, 3, 1, (double)INT64_MAX, "u"),
                                  CJ_OPTION_WORD(all_types, padding, 1, paddings, "p"),
                                  CJ_OPTION_STRING(all_types, base, "none", "b"),
                                  CJ_OPTION_DTYPE(all_types, dtype, CJ_F32, "d"),
                                  CJ_OPTION_INTS(all_types, shape, 0, 100, "s"),
                                  CJ_OPTION_FLOATS(all_types, scales, 0, INFINITY, "s"),
                                  CJ_OPTION_DIMS(all_types, dims, "d"),
                                  CJ_OPTION_FLOAT(all_types, fill, 0, -INFINITY, INFINITY, "f"),
                                  CJ_OPTION_FLOAT(all_types, unset, NAN, 0, 1, "not given is NaN"),
                                  CJ_OPTION_TENSOR(all_types, tensor, "t"),
                                  CJ_OPTION_END};

static const cj_option none[] = {CJ_OPTION_END};

static cj_context *cj;
static cj__arena arena;

static cj_status parse(const char *text, all_types *o)
{
    char *name;
    const char *rest;
    cj__options_init(table, o);
    CJ__TRY(cj__options_parse_name(&arena, text, &name, &rest));
    return cj__options_parse(&arena, name, table, o, rest);
}

static all_types good(const char *text)
{
    all_types o = {0};
    if (parse(text, &o)) fail_msg("'%s': %s", text, cj_message(cj));
    return o;
}

static void bad(const char *text, const char *message)
{
    all_types o = {0};
    cj_status failed = parse(text, &o);
    if (!failed) fail_msg("'%s' was accepted; expected: %s", text, message);
    if (!strstr(cj_message(cj), message))
        fail_msg("'%s' says '%s', not '%s'", text, cj_message(cj), message);
}

static void test_good(void **state)
{
    (void)state;
    all_types o = good("sgd");
    assert_true(o.momentum == 0.5 && !o.nesterov && o.units == 3 && o.padding == 1 &&
                o.dtype == CJ_F32);
    assert_string_equal(o.base, "none");
    assert_true(isnan(o.unset));
    o = good(" sgd ( momentum = 0.9 , nesterov=true ) ");
    assert_true(o.momentum == 0.9 && o.nesterov);
    assert_true(good("sgd(0.25)").momentum == 0.25);
    assert_true(good("sgd(0.25, units=7)").units == 7);
    assert_true(good("sgd()").momentum == 0.5);
    o = good("x(shape=[1, 2,3], scales=(0.5, 1e-3), dims=\"4,-5\", padding=causal, dtype=f16)");
    assert_true(o.shape.n == 3 && o.shape.v[2] == 3);
    assert_true(o.scales.n == 2 && o.scales.v[1] == 1e-3);
    assert_int_equal(o.padding, 2);
    assert_int_equal(o.dtype, CJ_F16);
    assert_string_equal(good("warmup(base=cosine(steps=10, ends=[1,2]), units=2)").base,
                        "cosine(steps=10, ends=[1,2])");
    assert_string_equal(good("x(base=\"a, \\\"b\\\" (c\")").base, "a, \"b\" (c");
    assert_string_equal(good("x(base='')").base, "");
    assert_null(good("x(base=)").base);
    assert_true(good("x(shape=[])").shape.n == 0);
    assert_true(good("x(fill=-inf)").fill == -INFINITY);
    assert_true(isnan(good("x(unset=nan)").unset));
    assert_true(good("x(units=9223372036854775807)").units == INT64_MAX);
}

static void test_bad(void **state)
{
    (void)state;
    bad("sgd(momentun=0.9)", "sgd: unknown option 'momentun' (did you mean 'momentum'?)");
    bad("sgd(zzz=1)", "it takes momentum, nesterov");
    bad("sgd(momentum=1.5)", "sgd: momentum=1.5 is not between 0 and 1");
    bad("sgd(units=0)", "sgd: units=0 is less than 1");
    bad("sgd(momentum=nan)", "a number is expected");
    bad("sgd(scales=[1, inf])", "a finite number is expected");
    bad("sgd(shape=[1,101])", "shape=101 is not between 0 and 100");
    bad("sgd(padding=sam)", "padding='sam' is none of valid, same, causal (did you mean 'same'?)");
    bad("sgd(dtype=f33)", "f32");
    bad("sgd(nesterov=maybe)", "not true or false");
    bad("sgd(units=3.5)", "not a whole number");
    bad("sgd(units=9223372036854775808)", "not a whole number");
    bad("sgd(momentum=)", "not a number");
    bad("sgd(momentum=0.1, momentum=0.2)", "given twice");
    bad("sgd(0.1, 0.2)", "not of the form key=value");
    bad("sgd(momentum=0.9", "a closing bracket is missing");
    bad("sgd(momentum=0.9))", "does not match");
    bad("sgd(shape=[1,2)", "does not match");
    bad("sgd(base=\"x)", "quote");
    bad("sgd(momentum=0.9) x", "not of the form");
    bad("sgd momentum=0.9", "not of the form");
    bad("sgd, adam", "not of the form");
    bad("sgd[1]", "not of the form");
    bad("sgd()()", "not of the form");
    bad("", "does not begin with a name");
    bad("(x)", "does not begin with a name");
    bad("sgd(,)", "missing");
    bad("sgd(momentum=0.1,)", "missing");
    bad("sgd(=1)", "not a number");
    bad("sgd(tensor=1)", "cannot be given as text");
    bad("sgd(shape=[1,,2])", "list of whole numbers");
    bad("sgd(shape=[1,])", "list of whole numbers");
    bad("sgd(shape=[[1]])", "list of whole numbers");
    bad("sgd(shape=[1 2])", "list of whole numbers");
    bad("sgd(shape=])", "does not match");
    bad("sgd(shape=[)", "does not match");
    all_types o;
    cj__options_init(table, &o);
    assert_int_equal(cj__options_parse(&arena, "relu", none, &o, "x=1"), CJ_ERR_ARGUMENT);
    assert_int_equal(cj__options_parse(&arena, "relu", none, &o, "1"), CJ_ERR_ARGUMENT);
    assert_int_equal(cj__options_parse(&arena, "relu", none, &o, "  "), CJ_OK);
}

static void test_hostile(void **state)
{
    (void)state;
    enum { N = 200000 };
    char *text = cj__arena_alloc(&arena, N + 10);
    memset(text, '(', N);
    text[0] = 'x';
    bad(text, "deeper than 64");
    memset(text, '[', N);
    memcpy(text, "x(shape=", 8);
    bad(text, "deeper than 64");
    memset(text, 'y', N);
    bad(text, "characters, more than 100");
    memset(text, ',', N);
    memcpy(text, "x(", 2), memcpy(text + N - 1, ")", 2);
    bad(text, "missing");
    memcpy(text, "x(shape=[", 9), memcpy(text + N - 2, "])", 3);
    bad(text, "list of whole numbers");
    memset(text, '"', N);
    text[0] = 'x';
    bad(text, "quote");
    /* Every text of four of these characters either parses or is refused with a message. */
    static const char alphabet[] = "x=,()[]\"\\ 1'";
    enum { A = sizeof alphabet - 1 };
    for (int i = 0; i < A * A * A * A; i++) {
        char tail[16] = "m(", *p = tail + 2;
        for (int k = i, d = 0; d < 4; d++, k /= A) *p++ = alphabet[k % A];
        *p++ = ')', *p = 0;
        all_types o = {0};
        cj_status failed = parse(tail, &o);
        if (failed && !*cj_message(cj)) fail_msg("'%s' was refused without a word", tail);
    }
}

static void round_trip(const char *text, const char *printed)
{
    all_types a = good(text), b;
    cj__text out;
    cj__text_init(&out, cj);
    cj__options_print(&out, table, &a, false);
    assert_string_equal(cj__text_string(&out), printed);
    for (int all = 0; all < 2; all++) {
        cj__text_clear(&out);
        cj__options_print(&out, table, &a, all);
        cj__options_init(table, &b);
        if (cj__options_parse(&arena, "again", table, &b, cj__text_string(&out)))
            fail_msg("'%s': %s", cj__text_string(&out), cj_message(cj));
        if (!cj__options_equal(table, &a, &b))
            fail_msg("'%s' reads back differently", cj__text_string(&out));
    }
    cj__text_release(&out);
}

static void test_printing(void **state)
{
    (void)state;
    round_trip("x", "");
    round_trip("x(momentum=0.5)", "");
    round_trip("x(units=5, momentum=1e-8, nesterov=1)", "momentum=1e-08, nesterov=true, units=5");
    round_trip("x(shape=(1,2), scales=[0.1], padding=valid, dtype=default)",
               "padding=valid, dtype=default, shape=[1, 2], scales=[0.1]");
    round_trip("x(base=cosine(a=1, b=2))", "base=cosine(a=1, b=2)");
    round_trip("x(base='a, b')", "base=\"a, b\"");
    round_trip("x(base='say \\\\ \\'x\\'')", "base=\"say \\\\ 'x'\"");
    round_trip("x(base=' ')", "base=\" \"");
    round_trip("x(base='')", "base=\"\"");
    round_trip("x(base=)", "base=");
    round_trip("x(base='((')", "base=\"((\"");
    round_trip("x(base=\"'\")", "base=\"'\"");
    round_trip("x(fill=-0)", "fill=-0");
    round_trip("x(fill=inf)", "fill=inf");
    round_trip("x(dims=[-1, 3])", "dims=[-1, 3]");
}

static void test_defaults_and_copies(void **state)
{
    (void)state;
    all_types a = {.units = 8}, b;
    cj__options_default(table, &a);
    assert_true(a.units == 8 && a.momentum == 0.5 && a.padding == 1 && a.dtype == CJ_F32);
    assert_int_equal(cj__options_check(cj, "x", table, &a), CJ_OK);
    int64_t numbers[] = {1, 2};
    double scales[] = {0.5};
    char base[] = "text";
    a.shape = (cj_ints){2, numbers}, a.scales = (cj_floats){1, scales}, a.base = base;
    memset(&b, 0, sizeof b);
    assert_int_equal(cj__options_copy(&arena, table, &b, &a), CJ_OK);
    assert_true(cj__options_equal(table, &a, &b));
    numbers[1] = 3;
    assert_false(cj__options_equal(table, &a, &b));
    numbers[1] = 2, base[0] = 'T';
    assert_string_equal(b.base, "text");
    b.padding = 3;
    assert_int_equal(cj__options_check(cj, "x", table, &b), CJ_ERR_ARGUMENT);
    b.padding = 0, b.shape.n = -1;
    assert_int_equal(cj__options_check(cj, "x", table, &b), CJ_ERR_ARGUMENT);
    b.shape = (cj_ints){1, NULL};
    assert_int_equal(cj__options_check(cj, "x", table, &b), CJ_ERR_ARGUMENT);
    b.shape.n = 0, b.dtype = CJ_DTYPE_COUNT;
    assert_int_equal(cj__options_check(cj, "x", table, &b), CJ_ERR_ARGUMENT);
    /* A refused value leaves the old one. */
    assert_int_equal(cj__option_set(&arena, "x", table, &a, "momentum", "7"), CJ_ERR_ARGUMENT);
    assert_true(a.momentum == 0.5);
    assert_int_equal(cj__option_set(&arena, "x", table, &a, "shape", " 4,5 "), CJ_OK);
    assert_true(a.shape.n == 2 && a.shape.v[1] == 5);
}

static cj_status scenario(cj_context *c, void *arg)
{
    (void)arg;
    cj__arena own;
    cj__arena_init(&own, c);
    all_types o, copy;
    char *name;
    const char *rest;
    cj__text out;
    cj__text_init(&out, c);
    cj__options_init(table, &o);
    cj__options_init(table, &copy);
    cj_status failed = cj__options_parse_name(&own, "x(shape=[1, 2, 3], base='abc', units=4)",
                                              &name, &rest);
    if (!failed) failed = cj__options_parse(&own, name, table, &o, rest);
    if (!failed) failed = cj__options_copy(&own, table, &copy, &o);
    if (!failed) cj__options_print(&out, table, &copy, true);
    if (!failed) failed = out.failed;
    cj__text_release(&out);
    cj__arena_release(&own);
    return failed;
}

static void test_faults(void **state)
{
    (void)state;
    assert_true(faults_sweep_memory(scenario, NULL, NULL, 1) >= 4);
}

static int set_up(void **state)
{
    (void)state;
    cj = cj_context_new(NULL);
    cj__arena_init(&arena, cj);
    return !cj;
}

static int tear_down(void **state)
{
    (void)state;
    cj__arena_release(&arena);
    int64_t left = cj_memory_used(cj);
    cj_context_free(cj);
    return left != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good),
                                       cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_hostile),
                                       cmocka_unit_test(test_printing),
                                       cmocka_unit_test(test_defaults_and_copies),
                                       cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
