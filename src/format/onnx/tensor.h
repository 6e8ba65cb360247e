/* tensor.h: the numbers of a TensorProto.
 *
 * ONNX can spell the same tensor in three ways: raw_data (little-endian bytes), one of five lists
 * of numbers (int32_data also carries f16, bf16, bool and the small integers), or a range of
 * another file. All come out as a cj_tensor; we write raw_data. */
#ifndef CAJAL_FORMAT_ONNX_TENSOR_H
#define CAJAL_FORMAT_ONNX_TENSOR_H

#include <cajal/tensor.h>

#include "base/file.h"
#include "format/onnx/model.h"
#include "format/onnx/names.h"

/* "FLOAT16"; "?" for a number this table does not know. */
const char *cj__onnx_type_name(int64_t data_type);
/* CJ_DTYPE_NONE for the types Cajal does not have. */
cj_dtype cj__onnx_type_dtype(int64_t data_type);

/* A new tensor, which the caller frees. `folder` is where external data lie; NULL refuses them.
 * What the dims need is compared with what the bytes or the file hold before anything is allocated.
 * CJ_ERR_UNSUPPORTED for types and ranks Cajal does not have; messages begin "tensor 'name': ". */
cj_status cj__onnx_tensor_decode(cj_context *cj, const cj__onnx_tensor *from, const char *folder,
                                 cj_tensor **out);
/* Do the bytes stand in a file as they stand in a tensor here? */
bool cj__onnx_tensor_is_plain(const cj__onnx_tensor *t);
/* Where external data lie: the path, which is in the arena, and the bytes from an offset on. They
 * are there. Failures as above. */
cj_status cj__onnx_tensor_find(cj__arena *arena, const cj__onnx_tensor *t, const char *folder,
                               char **path, size_t *offset, size_t *bytes);

/* mapped.c: the files that a model's tensors lie in. */
typedef struct cj__onnx_files {
    cj__arena *arena;
    const char *folder;        /* of external data; NULL: none */
    const char *path;          /* of the model; NULL: it lies in memory */
    struct cj__buffer *model;  /* its bytes, or NULL: nothing is shared with them */
    cj__reader reader;
    cj__names external;        /* path -> buffer */
    struct cj__buffer **maps;
    size_t n_maps, capacity;
} cj__onnx_files;
/* A file's bytes as a buffer that tensors may share; the caller unrefs. */
cj_status cj__onnx_map(cj_context *cj, const char *path, struct cj__buffer **out);
void cj__onnx_files_init(cj__onnx_files *files, cj__arena *arena, const char *folder,
                         const char *path, struct cj__buffer *model);
void cj__onnx_files_release(cj__onnx_files *files);
/* As cj__onnx_tensor_decode, but a large tensor is a window on its file where that can be. It is
 * not to be written to. */
cj_status cj__onnx_files_tensor(cj__onnx_files *files, const cj__onnx_tensor *from,
                                cj_tensor **out);

/* Describes `from` under a name, without a copy: maps it for reading, and the caller unmaps it once
 * the model is serialized. Both must live until then; `name` is referred to, not copied. */
cj_status cj__onnx_tensor_encode(cj__arena *arena, const char *name, const cj_tensor *from,
                                 cj__onnx_tensor *out);

/* For model.c: finds the lists of numbers, holds the data against the dims; writes raw_data. */
cj_status cj__onnx_tensor_finish(cj__proto_reader *body, void *message);
void cj__onnx_tensor_write_raw(cj__proto_writer *writer, uint32_t number, const void *message);

#endif
