/* tensor.h: the numbers of a TensorProto.
 *
 * ONNX can spell the same tensor in three ways: raw_data (little-endian bytes), one of five lists
 * of numbers (int32_data also carries f16, bf16, bool and the small integers), or a range of
 * another file. All come out as a cj_tensor; we write raw_data. */
#ifndef CAJAL_FORMAT_ONNX_TENSOR_H
#define CAJAL_FORMAT_ONNX_TENSOR_H

#include <cajal/tensor.h>

#include "format/onnx/model.h"

/* "FLOAT16"; "?" for a number this table does not know. */
const char *cj__onnx_type_name(int64_t data_type);
/* CJ_DTYPE_NONE for the types Cajal does not have. */
cj_dtype cj__onnx_type_dtype(int64_t data_type);

/* A new tensor, which the caller frees. `folder` is where external data lie; NULL refuses them.
 * What the dims need is compared with what the bytes or the file hold before anything is allocated.
 * CJ_ERR_UNSUPPORTED for types and ranks Cajal does not have; messages begin "tensor 'name': ". */
cj_status cj__onnx_tensor_decode(cj_context *cj, const cj__onnx_tensor *from, const char *folder,
                                 cj_tensor **out);
/* Describes `from` under a name, without a copy: maps it for reading, and the caller unmaps it once
 * the model is serialized. Both must live until then; `name` is referred to, not copied. */
cj_status cj__onnx_tensor_encode(cj__arena *arena, const char *name, const cj_tensor *from,
                                 cj__onnx_tensor *out);

/* For model.c: finds the lists of numbers, holds the data against the dims; writes raw_data. */
cj_status cj__onnx_tensor_finish(cj__proto_reader *body, void *message);
void cj__onnx_tensor_write_raw(cj__proto_writer *writer, uint32_t number, const void *message);

#endif
