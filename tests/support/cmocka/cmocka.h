/* cmocka.h: a stand-in for the part of cmocka that the tests use, for cross builds, where the real
 * library is rarely at hand. One source file a program includes it, as each of our tests does.
 *
 * A failed assertion jumps back to the runner, which counts it and goes on with the next test. */
#ifndef CAJAL_TEST_CMOCKA_H
#define CAJAL_TEST_CMOCKA_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uintmax_t LargestIntegralType;
typedef void (*CMUnitTestFunction)(void **state);
typedef int (*CMFixtureFunction)(void **state);

struct CMUnitTest {
    const char *name;
    CMUnitTestFunction test_func;
    CMFixtureFunction setup_func, teardown_func;
    void *initial_state;
};

#define cmocka_unit_test(f) \
    { \
#f, f, NULL, NULL, NULL \
    }
#define cmocka_unit_test_setup(f, setup) \
    { \
#f, f, setup, NULL, NULL \
    }
#define cmocka_unit_test_teardown(f, teardown) \
    { \
#f, f, NULL, teardown, NULL \
    }
#define cmocka_unit_test_setup_teardown(f, setup, teardown) \
    { \
#f, f, setup, teardown, NULL \
    }
#define cmocka_unit_test_prestate(f, state) \
    { \
#f, f, NULL, NULL, state \
    }
#define cmocka_unit_test_prestate_setup_teardown(f, setup, teardown, state) \
    { \
#f, f, setup, teardown, state \
    }

/* ---- Failing --------------------------------------------------------------------------------- */

/* Weak, so that several source files of one program share it. */
__attribute__((weak)) jmp_buf cm_stand_in_return;
__attribute__((weak)) int cm_stand_in_why; /* of the last jump */
enum { CM_STAND_IN_FAILED = 1, CM_STAND_IN_SKIPPED = 2 };

static inline void print_message(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
}

static inline void print_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
}

__attribute__((noreturn, format(printf, 3, 4))) static inline void cm_stand_in_fail(
    const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n%s:%d: error: Failure!\n", file, line);
    cm_stand_in_why = CM_STAND_IN_FAILED;
    longjmp(cm_stand_in_return, 1);
}

static inline void cm_stand_in_int(uintmax_t a, uintmax_t b, bool equal, const char *file, int line)
{
    if ((a == b) != equal)
        cm_stand_in_fail(file, line, "%#" PRIxMAX " %s %#" PRIxMAX, a, equal ? "!=" : "==", b);
}

static inline void cm_stand_in_string(const char *a, const char *b, bool equal, const char *file,
                                      int line)
{
    if (!a || !b || (strcmp(a, b) == 0) != equal)
        cm_stand_in_fail(file, line, "\"%s\" %s \"%s\"", a ? a : "(null)",
                         equal ? "!=" : "==", b ? b : "(null)");
}

static inline void cm_stand_in_memory(const void *a, const void *b, size_t size, bool equal,
                                      const char *file, int line)
{
    const unsigned char *x = a, *y = b;
    size_t i = 0;
    while (i < size && x[i] == y[i]) i++;
    if (equal && i < size)
        cm_stand_in_fail(file, line, "byte %zu of %zu: 0x%02x != 0x%02x", i, size, x[i], y[i]);
    if (!equal && i == size) cm_stand_in_fail(file, line, "%zu bytes are the same", size);
}

static inline void cm_stand_in_near(double a, double b, double tolerance, bool equal,
                                    const char *file, int line)
{
    double difference = a < b ? b - a : a - b;
    if ((a == b || difference <= tolerance) != equal)
        cm_stand_in_fail(file, line, "%.17g %s %.17g within %g", a, equal ? "!=" : "==", b,
                         tolerance);
}

static inline void cm_stand_in_range(uintmax_t v, uintmax_t min, uintmax_t max, const char *file,
                                     int line)
{
    if (v < min || v > max) cm_stand_in_fail(file, line, "%ju is not within %ju-%ju", v, min, max);
}

#define fail() cm_stand_in_fail(__FILE__, __LINE__, "fail()")
#define fail_msg(...) cm_stand_in_fail(__FILE__, __LINE__, __VA_ARGS__)
#define skip() (cm_stand_in_why = CM_STAND_IN_SKIPPED, longjmp(cm_stand_in_return, 1))

/* ---- Assertions ------------------------------------------------------------------------------ */

#define assert_true(x) ((x) ? (void)0 : cm_stand_in_fail(__FILE__, __LINE__, "%s", #x))
#define assert_false(x) ((x) ? cm_stand_in_fail(__FILE__, __LINE__, "not: %s", #x) : (void)0)
#define assert_null(x) ((x) ? cm_stand_in_fail(__FILE__, __LINE__, "%s is not NULL", #x) : (void)0)
#define assert_non_null(x) ((x) ? (void)0 : cm_stand_in_fail(__FILE__, __LINE__, "%s is NULL", #x))
#define assert_int_equal(a, b) \
    cm_stand_in_int((uintmax_t)(a), (uintmax_t)(b), true, __FILE__, __LINE__)
#define assert_int_not_equal(a, b) \
    cm_stand_in_int((uintmax_t)(a), (uintmax_t)(b), false, __FILE__, __LINE__)
#define assert_ptr_equal(a, b) \
    cm_stand_in_int((uintptr_t)(a), (uintptr_t)(b), true, __FILE__, __LINE__)
#define assert_ptr_not_equal(a, b) \
    cm_stand_in_int((uintptr_t)(a), (uintptr_t)(b), false, __FILE__, __LINE__)
#define assert_string_equal(a, b) cm_stand_in_string(a, b, true, __FILE__, __LINE__)
#define assert_string_not_equal(a, b) cm_stand_in_string(a, b, false, __FILE__, __LINE__)
#define assert_memory_equal(a, b, n) cm_stand_in_memory(a, b, n, true, __FILE__, __LINE__)
#define assert_memory_not_equal(a, b, n) cm_stand_in_memory(a, b, n, false, __FILE__, __LINE__)
#define assert_float_equal(a, b, e) \
    cm_stand_in_near((float)(a), (float)(b), (float)(e), true, __FILE__, __LINE__)
#define assert_float_not_equal(a, b, e) \
    cm_stand_in_near((float)(a), (float)(b), (float)(e), false, __FILE__, __LINE__)
#define assert_double_equal(a, b, e) cm_stand_in_near(a, b, e, true, __FILE__, __LINE__)
#define assert_in_range(v, min, max) \
    cm_stand_in_range((uintmax_t)(v), (uintmax_t)(min), (uintmax_t)(max), __FILE__, __LINE__)
#define assert_return_code(rc, error) \
    ((rc) >= 0 ? (void)0 \
               : cm_stand_in_fail(__FILE__, __LINE__, "%s < 0, error %d", #rc, (int)(error)))

/* ---- The runner ------------------------------------------------------------------------------ */

/* One test with its fixtures: 0, CM_STAND_IN_FAILED or CM_STAND_IN_SKIPPED. What lives across a
 * jump is volatile. */
static inline int cm_stand_in_one(const struct CMUnitTest *test, void *group_state)
{
    void *state[1] = {test->initial_state ? test->initial_state : group_state};
    volatile int result = 0;
    if (setjmp(cm_stand_in_return)) {
        result = cm_stand_in_why;
    } else {
        if (test->setup_func && test->setup_func(state)) return CM_STAND_IN_FAILED;
        test->test_func(state);
    }
    if (!test->teardown_func) return result;
    if (setjmp(cm_stand_in_return)) return CM_STAND_IN_FAILED;
    return test->teardown_func(state) ? CM_STAND_IN_FAILED : result;
}

static inline int cm_stand_in_group(const char *name, const struct CMUnitTest *tests, size_t n,
                                    CMFixtureFunction setup, CMFixtureFunction teardown)
{
    static const char *const words[] = {"      OK", "  FAILED", " SKIPPED"};
    void *state = NULL;
    int counts[3] = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (setup && setup(&state)) return 1;
    for (size_t i = 0; i < n; i++) {
        int result = cm_stand_in_one(&tests[i], state);
        counts[result]++;
        printf("[ %s ] %s\n", words[result], tests[i].name);
    }
    if (teardown && teardown(&state)) counts[CM_STAND_IN_FAILED]++;
    printf("%s: %d ok, %d failed, %d skipped\n", name, counts[0], counts[1], counts[2]);
    return counts[CM_STAND_IN_FAILED];
}

#define cmocka_run_group_tests(tests, setup, teardown) \
    cm_stand_in_group(#tests, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown) \
    cm_stand_in_group(name, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

#endif
