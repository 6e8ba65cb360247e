/* format_support.h: what the tests of the array formats share: sample tensors, truncations, bit
 * flips. */
#ifndef CAJAL_TESTS_FORMAT_SUPPORT_H
#define CAJAL_TESTS_FORMAT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "faults.h"
#include "golden.h"
#include "tensor/tensor.h"

#define SHAPE(...) (const int64_t[]){__VA_ARGS__}

/* The values of tools/golden/npy.py: i - 3 for signed types, a half more for floats, 0, 1, 0, 1 ...
 */
static inline double sample_value(cj_dtype dtype, int64_t i)
{
    switch (cj_dtype_info(dtype)->kind) {
    case CJ_KIND_FLOAT: return (double)i - 2.5;
    case CJ_KIND_LOW_FLOAT: return (double)i - (dtype == CJ_F8E8M0 ? 0 : 2.5);
    case CJ_KIND_SIGNED: return (double)(i - 3);
    case CJ_KIND_BOOL: return (double)(i % 2);
    default: return (double)i;
    }
}

static inline cj_tensor *sample_tensor(cj_context *cj, cj_dtype dtype, int rank,
                                       const int64_t *shape)
{
    cj_tensor *t = cj_tensor_new(cj, dtype, rank, shape);
    for (int64_t i = 0; t && i < cj_tensor_count(t); i++)
        cj_store_f64(dtype, cj__tensor_data(t), (size_t)i, sample_value(dtype, i));
    return t;
}

static inline void assert_sample(cj_context *cj, const cj_tensor *t, cj_dtype dtype, int rank,
                                 const int64_t *shape)
{
    int64_t first;
    cj_tensor *expected = sample_tensor(cj, dtype, rank, shape);
    assert_int_equal(t->dtype, dtype);
    if (!cj_tensor_close(t, expected, 0, 0, &first)) {
        cj__shape_text a, b;
        fail_msg("%s of shape %s, expected %s; first difference at %lld",
                 cj_dtype_info(dtype)->name, cj__shape_string(&a, t->rank, t->shape),
                 cj__shape_string(&b, rank, shape), (long long)first);
    }
    cj_tensor_free(expected);
}

/* Every dtype that safetensors have, a scalar and an empty one; names that numpy takes, too. */
static inline cj_tensors *sample_list(cj_context *cj)
{
    cj_tensors *list = cj_tensors_new(cj);
    cj_status failed = list ? CJ_OK : cj_last_status(cj);
    for (int d = CJ_F64; d < CJ_DTYPE_COUNT && !failed; d++)
        if (*cj_dtype_info((cj_dtype)d)->safetensors)
            failed = cj_tensors_add(list, cj_dtype_info((cj_dtype)d)->name,
                                    sample_tensor(cj, (cj_dtype)d, 2, SHAPE(2, 3)));
    if (!failed) failed = cj_tensors_add(list, "scalar", cj_tensor_scalar(cj, CJ_F32, 2.5));
    if (!failed) failed = cj_tensors_add(list, "empty", cj_tensor_new(cj, CJ_F32, 2, SHAPE(0, 4)));
    if (!failed) return list;
    cj_tensors_free(list);
    return NULL;
}

/* Reads and frees what it got; the memory in use is as before. */
typedef cj_status (*read_fn)(cj_context *cj, const void *bytes, size_t size);

static inline cj_status read_clean(cj_context *cj, read_fn read, const void *bytes, size_t size)
{
    unsigned char *exact = golden_copy(bytes, size);
    int64_t before = cj_memory_used(cj);
    cj_status failed = read(cj, exact, size);
    assert_int_equal(cj_memory_used(cj), before);
    if (failed) assert_true(strlen(cj_message(cj)) > 10);
    free(exact);
    return failed;
}

/* Every shorter file is refused. */
static inline void refuse_truncations(cj_context *cj, read_fn read, const unsigned char *bytes,
                                      size_t size)
{
    for (size_t length = 0; length < size; length++)
        if (read_clean(cj, read, bytes, length) == CJ_OK)
            fail_msg("%zu of %zu bytes were accepted", length, size);
}

/* Every file with one bit flipped is read or refused, without a crash or leak; returns how many
 * were read. */
static inline size_t flip_every_bit(cj_context *cj, read_fn read, unsigned char *bytes, size_t size)
{
    size_t accepted = 0;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        accepted += read_clean(cj, read, bytes, size) == CJ_OK;
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    return accepted;
}

/* Refused, with at most 1 MiB allocated at any time. */
static inline void refuse_bomb(read_fn read, const void *bytes, size_t size)
{
    cj_context *cj = cj_context_new(NULL);
    int64_t before = cj_memory_used(cj);
    assert_int_not_equal(read_clean(cj, read, bytes, size), CJ_OK);
    assert_true(cj_memory_peak(cj) - before < 1 << 20);
    cj_context_free(cj);
}

static inline cj_status read_npy(cj_context *cj, const void *bytes, size_t size)
{
    cj_tensor *t;
    cj_status failed = cj_npy_read(cj, bytes, size, &t);
    cj_tensor_free(t);
    return failed;
}

static inline cj_status read_npz(cj_context *cj, const void *bytes, size_t size)
{
    cj_tensors *list;
    cj_status failed = cj_npz_read(cj, bytes, size, &list);
    cj_tensors_free(list);
    return failed;
}

static inline cj_status read_safetensors(cj_context *cj, const void *bytes, size_t size)
{
    cj_tensors *list;
    cj_status failed = cj_safetensors_read(cj, bytes, size, &list);
    cj_tensors_free(list);
    return failed;
}

#endif
