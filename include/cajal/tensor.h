/* tensor.h: values. A tensor is a dtype, a shape and a buffer in row-major order.
 *
 *     cj_tensor *x = cj_tensor_new(cj, CJ_F32, 2, (int64_t[]){2, 3});
 *     float *v = cj_tensor_map(x, CJ_MAP_WRITE);
 *     v[0] = 1;
 *     cj_tensor_unmap(x);
 *     cj_tensor_print(x, stdout);
 *     cj_tensor_free(x);
 *
 * Tensors have no strides: element (i, j) of shape (n, m) is at i*m + j. Buffers are
 * reference-counted, so views are cheap. A tensor is used by one thread at a time unless nobody
 * writes. */
#ifndef CAJAL_TENSOR_H
#define CAJAL_TENSOR_H

#include <cajal/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CJ_RANK_MAX 8

/* ---- dtype ----------------------------------------------------------------------------------- */

/* name, C name, bits in memory and in files, kind, numpy's code, ONNX's number, safetensors' name.
 *
 * The second group is *low*: such elements are stored, moved (reshape, slice, gather, concat ...)
 * and cast, but nothing computes with them; cast them first. In memory each takes a byte: of i4 and
 * i2 the number itself (an int8_t), of u4 and u2 too, of floats the code in the low bits. Files of
 * ONNX and safetensors pack them. f8e4m3fn and f8e5m2 are OCP's 8-bit floats, ...fnuz those without
 * -0 and infinity, f8e8m0 a power of two without sign, f4e2m1 a sign and 0, 0.5, 1, 1.5, 2, 3, 4 or
 * 6. What numpy lacks travels as raw bits in .npy files.
 *
 * string is low, too, and is not even cast: its elements are numbers of texts that the context
 * keeps (cj_tensor_string tells them). Equal texts have equal numbers, so `equal` works. 0: "". */
#define CJ_DTYPE_LIST(X)                                                                           \
    X(F64, f64, 64, 64, FLOAT, "f8", 11, "F64")                                                    \
    X(F32, f32, 32, 32, FLOAT, "f4", 1, "F32")                                                     \
    X(F16, f16, 16, 16, FLOAT, "f2", 10, "F16")                                                    \
    X(BF16, bf16, 16, 16, FLOAT, "u2", 16, "BF16")                                                 \
    X(I8, i8, 8, 8, SIGNED, "i1", 3, "I8")                                                         \
    X(I16, i16, 16, 16, SIGNED, "i2", 5, "I16")                                                    \
    X(I32, i32, 32, 32, SIGNED, "i4", 6, "I32")                                                    \
    X(I64, i64, 64, 64, SIGNED, "i8", 7, "I64")                                                    \
    X(U8, u8, 8, 8, UNSIGNED, "u1", 2, "U8")                                                       \
    X(U16, u16, 16, 16, UNSIGNED, "u2", 4, "U16")                                                  \
    X(U32, u32, 32, 32, UNSIGNED, "u4", 12, "U32")                                                 \
    X(U64, u64, 64, 64, UNSIGNED, "u8", 13, "U64")                                                 \
    X(BOOL, bool, 8, 8, BOOL, "b1", 9, "BOOL")                                                     \
    X(F8E4M3FN, f8e4m3fn, 8, 8, LOW_FLOAT, "u1", 17, "F8_E4M3")                                    \
    X(F8E4M3FNUZ, f8e4m3fnuz, 8, 8, LOW_FLOAT, "u1", 18, "F8_E4M3FNUZ")                            \
    X(F8E5M2, f8e5m2, 8, 8, LOW_FLOAT, "u1", 19, "F8_E5M2")                                        \
    X(F8E5M2FNUZ, f8e5m2fnuz, 8, 8, LOW_FLOAT, "u1", 20, "F8_E5M2FNUZ")                            \
    X(F8E8M0, f8e8m0, 8, 8, LOW_FLOAT, "u1", 24, "F8_E8M0")                                        \
    X(F4E2M1, f4e2m1, 8, 4, LOW_FLOAT, "u1", 23, "F4")                                             \
    X(I4, i4, 8, 4, LOW_SIGNED, "i1", 22, "")                                                      \
    X(U4, u4, 8, 4, LOW_UNSIGNED, "u1", 21, "")                                                    \
    X(I2, i2, 8, 2, LOW_SIGNED, "i1", 26, "")                                                      \
    X(U2, u2, 8, 2, LOW_UNSIGNED, "u1", 25, "")                                                    \
    X(STRING, string, 64, 64, STRING, "U", 8, "")

typedef enum cj_dtype {
    CJ_DTYPE_NONE, /* "default" in option structures; never the type of a tensor */
#define CJ_DTYPE_ENUM(name, ...) CJ_##name,
    CJ_DTYPE_LIST(CJ_DTYPE_ENUM)
#undef CJ_DTYPE_ENUM
    CJ_DTYPE_COUNT
} cj_dtype;

typedef enum cj_dtype_kind {
    CJ_KIND_FLOAT,
    CJ_KIND_SIGNED,
    CJ_KIND_UNSIGNED,
    CJ_KIND_BOOL,
    CJ_KIND_LOW_FLOAT, /* from here on: stored, moved and cast only */
    CJ_KIND_LOW_SIGNED,
    CJ_KIND_LOW_UNSIGNED,
    CJ_KIND_STRING
} cj_dtype_kind;

typedef struct cj_dtype_row {
    const char *name; /* "f32" */
    int bits;         /* of one element in memory */
    int packed;       /* and in files that pack: 4 for i4 */
    cj_dtype_kind kind;
    const char *numpy; /* without byte order: "f4" */
    int onnx;
    const char *safetensors; /* "" for none */
} cj_dtype_row;

/* How numbers become f8 and f4 where they do not fit or, for f8e8m0, lie between powers of two. */
typedef enum cj_cast_mode {
    CJ_CAST_UP,          /* f8e8m0: the larger power; all: too large becomes the largest number */
    CJ_CAST_DOWN,        /* f8e8m0: the smaller power */
    CJ_CAST_NEAREST,     /* f8e8m0: the nearer power, the larger one of two */
    CJ_CAST_OVERFLOW = 4 /* may be added: too large becomes infinity, or NaN where there is none,
                            and so does for f8e8m0 what is too small. f4e2m1 has neither */
} cj_cast_mode;

/* The row of a dtype; never NULL. */
CJ_API const cj_dtype_row *cj_dtype_info(cj_dtype dtype);
/* By our name ("f32"); CJ_DTYPE_NONE for a name that is none. */
CJ_API cj_dtype cj_dtype_find(const char *name);

/* One element at index i of an array of this dtype. Reading a bool gives 0 or 1, writing one asks
 * for "not zero". Floats are rounded once, to nearest even. Floats become integers by dropping
 * their fraction, as in C, and saturate when out of range (NaN gives 0); integers from int64 wrap.
 * i4, u4, i2 and u2 keep the low bits of the whole number, as ONNX's own tests want it. What is too
 * large for an 8-bit or 4-bit float becomes its largest number, infinity too; f8e8m0 takes the next
 * power of two that is no smaller, whatever the sign. f4e2m1 has no NaN: it is -0. */
CJ_API double cj_load_f64(cj_dtype dtype, const void *array, size_t i);
CJ_API int64_t cj_load_i64(cj_dtype dtype, const void *array, size_t i);
CJ_API void cj_store_f64(cj_dtype dtype, void *array, size_t i, double value);
CJ_API void cj_store_i64(cj_dtype dtype, void *array, size_t i, int64_t value);

/* ---- tensor ---------------------------------------------------------------------------------- */

typedef struct cj_tensor cj_tensor;

typedef enum cj_map_mode { CJ_MAP_READ, CJ_MAP_WRITE, CJ_MAP_READ_WRITE } cj_map_mode;

/* A new tensor of zeros. rank 0 to CJ_RANK_MAX, dimensions >= 0; size 0 is legal. The caller frees.
 */
CJ_API cj_tensor *cj_tensor_new(cj_context *cj, cj_dtype dtype, int rank, const int64_t *shape);
/* A new tensor with a copy of `data`, which has the elements in row-major order. */
CJ_API cj_tensor *cj_tensor_from(cj_context *cj, cj_dtype dtype, int rank, const int64_t *shape,
                                 const void *data);
/* A rank-0 tensor. */
CJ_API cj_tensor *cj_tensor_scalar(cj_context *cj, cj_dtype dtype, double value);
/* The elements of `t` under another shape of the same number of elements; shares the buffer. */
CJ_API cj_tensor *cj_tensor_reshape(cj_tensor *t, int rank, const int64_t *shape);
/* Rows [begin, end) along axis 0; shares the buffer. */
CJ_API cj_tensor *cj_tensor_rows(cj_tensor *t, int64_t begin, int64_t end);
CJ_API cj_tensor *cj_tensor_copy(const cj_tensor *t);
/* A copy with every element converted as cj_store_f64/cj_store_i64 say. */
CJ_API cj_tensor *cj_tensor_cast(const cj_tensor *t, cj_dtype dtype);
CJ_API void cj_tensor_free(cj_tensor *t);

CJ_API cj_dtype cj_tensor_dtype(const cj_tensor *t);
CJ_API int cj_tensor_rank(const cj_tensor *t);
CJ_API const int64_t *cj_tensor_shape(const cj_tensor *t);
CJ_API int64_t cj_tensor_count(const cj_tensor *t);     /* of elements */
CJ_API size_t cj_tensor_size_bytes(const cj_tensor *t); /* of the elements, packed */

/* The elements, in row-major order, 64-byte aligned when the tensor is no view. Valid until unmap.
 * On a CPU this costs nothing; on a device it copies. A tensor that lies in a memory-mapped file is
 * copied by the first map for writing, which returns NULL with a message when there is no memory.
 */
CJ_API void *cj_tensor_map(cj_tensor *t, cj_map_mode mode);
CJ_API const void *cj_tensor_map_read(const cj_tensor *t);
CJ_API void cj_tensor_unmap(const cj_tensor *t);

/* A tensor of texts in UTF-8, in row-major order; its context keeps each different text until it is
 * freed, so the text of an element is valid as long. Texts of two contexts are compared, and copied
 * by cj_tensor_assign and cj_store_set; a session is fed texts of its own context. */
CJ_API cj_tensor *cj_tensor_from_strings(cj_context *cj, int rank, const int64_t *shape,
                                         const char *const *texts);
/* The text of element i; "" when the tensor is of another dtype. */
CJ_API const char *cj_tensor_string(const cj_tensor *t, int64_t i);

/* The bits of the elements as another dtype of the same size; shares the buffer. Into a dtype of 2
 * or 4 bits the low bits are taken, into a copy. */
CJ_API cj_tensor *cj_tensor_bits(cj_tensor *t, cj_dtype dtype);

/* Copies `from` into `to`; shapes and dtypes must agree. */
CJ_API cj_status cj_tensor_assign(cj_tensor *to, const cj_tensor *from);
/* Same dtype, shape and bits. */
CJ_API bool cj_tensor_equal(const cj_tensor *a, const cj_tensor *b);
/* numpy's rule |a - b| <= atol + rtol * |b| for all elements, NaN equal to NaN. On a difference
 * *first (may be NULL) is the index of the first one; shapes that differ give *first = -1. */
CJ_API bool cj_tensor_close(const cj_tensor *a, const cj_tensor *b, double rtol, double atol,
                            int64_t *first);

/* Prints as numpy's str() does (threshold 1000, three edge items, precision 8), and a newline. */
CJ_API void cj_tensor_print(const cj_tensor *t, FILE *to);

#ifdef __cplusplus
}
#endif
#endif
