/* tensor.h: what stands behind a cj_tensor: a window on a reference-counted buffer. */
#ifndef CAJAL_TENSOR_TENSOR_H
#define CAJAL_TENSOR_TENSOR_H

#include <stdatomic.h>

#include <cajal/io.h>

#include "base/context.h"
#include "tensor/dtype.h"

/* Bytes with several users. They belong to the allocator, or to somebody else (a memory-mapped
 * file) who is told by `release` when the last user is gone. */
typedef struct cj__buffer {
    cj_context *cj;
    atomic_int references;
    void *data;
    size_t size;
    bool read_only; /* pages that may not be written: a tensor takes a copy of its own first */
    bool lasting;   /* and they stay as long as somebody refers to them: a store may share them */
    uint64_t writes; /* grows when the values may have changed: it was opened for writing */
    void (*release)(void *user, void *data, size_t size); /* NULL: cj__free_aligned */
    void *user;
} cj__buffer;

struct cj_tensor {
    cj_context *cj;
    cj_dtype dtype;
    int rank;
    int64_t shape[CJ_RANK_MAX];
    int64_t count; /* of elements: the product of shape */
    cj__buffer *buffer;
    size_t offset; /* in bytes, a multiple of the element's size */
};

/* `size` bytes, 64-byte aligned, zeroed when `zero`; one reference. NULL with a message. */
cj__buffer *cj__buffer_new(cj_context *cj, size_t size, bool zero);
/* A buffer over bytes of the caller, who keeps them (and `release` is not called) when this fails.
 */
cj__buffer *cj__buffer_wrap(cj_context *cj, void *data, size_t size, bool read_only,
                            void (*release)(void *user, void *data, size_t size), void *user);
/* The bytes of a file, mapped where they can be: a read-only buffer. NULL with a message. */
cj__buffer *cj__buffer_of_file(cj_context *cj, const char *path);
cj__buffer *cj__buffer_ref(cj__buffer *buffer);
void cj__buffer_unref(cj__buffer *buffer); /* NULL is a no-op */

/* A tensor on `buffer` from byte `offset` on; takes a reference of its own. Checks dtype, shape,
 * that the elements lie inside and that they are aligned. */
cj_tensor *cj__tensor_view(cj_context *cj, cj__buffer *buffer, size_t offset, cj_dtype dtype,
                           int rank, const int64_t *shape);
/* Does it hold texts of another context, whose numbers mean others, or none, in `cj`? */
bool cj__tensor_foreign(const cj_context *cj, const cj_tensor *t);
/* A tensor of these values for good: a copy, or another window where the bytes last. */
cj_tensor *cj__tensor_keep(cj_context *cj, const cj_tensor *t);
/* As cj_tensor_new, with whatever the memory holds: for callers that write every element. */
cj_tensor *cj__tensor_new_raw(cj_context *cj, cj_dtype dtype, int rank, const int64_t *shape);

/* The elements, for reading; for writing only where the caller made the tensor itself or called
 * cj__tensor_writable, because the buffer may be read-only pages. */
static inline void *cj__tensor_data(const cj_tensor *t)
{
    return (unsigned char *)t->buffer->data + t->offset;
}

/* Gives the tensor a buffer it may write, which is a copy when the present one is read-only. */
cj_status cj__tensor_writable(cj_tensor *t);

/* CJ_OK, or a message that names dtype, rank or dimension; *count and *bytes may be NULL. */
cj_status cj__tensor_check(cj_context *cj, cj_dtype dtype, int rank, const int64_t *shape,
                           int64_t *count, size_t *bytes);

bool cj__same_shape(int rank_a, const int64_t *a, int rank_b, const int64_t *b);
/* "(3, 4)", "(3,)", "()" as numpy writes it. Returns `text`. */
typedef struct cj__shape_text {
    char text[CJ_RANK_MAX * 22 + 4];
} cj__shape_text;
const char *cj__shape_string(cj__shape_text *text, int rank, const int64_t *shape);

/* As cj_tensors_set_metadata for a key known to be new: readers check their keys all at once. */
cj_status cj__tensors_append_metadata(cj_tensors *list, const char *key, const char *value);

#endif
