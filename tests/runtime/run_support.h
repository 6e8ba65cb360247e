/* run_support.h: what the tests of programs and sessions share: tensors from literals, and
 * comparing them. */
#ifndef CAJAL_TESTS_RUN_SUPPORT_H
#define CAJAL_TESTS_RUN_SUPPORT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cajal/run.h>

#include "base/context.h"

#define SHAPE(...) \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) \
    { \
        __VA_ARGS__ \
    }

/* A fixed little generator: results must not depend on the C library. */
static uint64_t random_state = 1;
static inline uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 2685821657736338717u >> 11;
}
static inline int random_below(int n)
{
    return (int)(random_bits() % (uint64_t)n);
}
static inline double random_real(void)
{
    return (double)(random_bits() % 2000001) / 1e6 - 1;
}

/* Random reals in [-1, 1), integers in 0 .. 9, bools. */
static inline cj_tensor *random_tensor(cj_context *cj, cj_dtype dtype, int rank,
                                       const int64_t *shape)
{
    cj_tensor *t = cj_tensor_new(cj, dtype, rank, shape);
    assert_non_null(t);
    void *data = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) {
        if (cj_dtype_info(dtype)->kind == CJ_KIND_FLOAT)
            cj_store_f64(dtype, data, (size_t)i, random_real());
        else cj_store_i64(dtype, data, (size_t)i, random_below(dtype == CJ_BOOL ? 2 : 10));
    }
    cj_tensor_unmap(t);
    return t;
}

static inline cj_tensor *f32s(cj_context *cj, int n, const float *values)
{
    cj_tensor *t = cj_tensor_from(cj, CJ_F32, 1, (int64_t[]){n}, values);
    assert_non_null(t);
    return t;
}
#define F32S(cj, ...) \
    f32s(cj, (int)(sizeof((float[]){__VA_ARGS__}) / sizeof(float)), (const float[]){__VA_ARGS__})

static inline double element(const cj_tensor *t, int64_t i)
{
    assert_in_range(i, 0, cj_tensor_count(t) - 1);
    return cj_load_f64(cj_tensor_dtype(t), cj_tensor_map_read(t), (size_t)i);
}

/* Fails the test with both tensors when they differ. */
static inline void assert_tensors_close(const cj_tensor *a, const cj_tensor *b, double tolerance,
                                        const char *what)
{
    int64_t first = -2;
    if (cj_tensor_close(a, b, tolerance, tolerance, &first)) return;
    print_error("%s differs first at element %lld\n", what, (long long)first);
    if (first >= 0) print_error("  %.17g and %.17g\n", element(a, first), element(b, first));
    if (cj_tensor_count(a) <= 64 && cj_tensor_count(b) <= 64) {
        cj_tensor_print(a, stderr);
        cj_tensor_print(b, stderr);
    }
    fail();
}

static inline void assert_tensors_equal(const cj_tensor *a, const cj_tensor *b, const char *what)
{
    if (cj_tensor_equal(a, b)) return;
    assert_tensors_close(a, b, 0, what);
    print_error("%s differs in bits\n", what);
    fail();
}

/* A store with the values of another. */
static inline cj_store *copy_store(cj_context *cj, const cj_store *from)
{
    cj_store *to = cj_store_new(cj);
    assert_non_null(to);
    for (int i = 0; i < cj_store_count(from); i++)
        assert_int_equal(cj_store_set(to, cj_store_name_at(from, i), cj_store_tensor_at(from, i)),
                         CJ_OK);
    return to;
}

static inline void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part)) return;
    print_error("\"%s\" does not contain \"%s\"\n", text, part);
    fail();
}

#define assert_ok(call, message) \
    do { \
        cj_status assert_ok_status_ = (call); \
        if (assert_ok_status_) \
            print_error("%s: %s\n", cj_status_name(assert_ok_status_), message); \
        assert_int_equal(assert_ok_status_, CJ_OK); \
    } while (0)

#endif
