/* safetensors.h: what the loader of checkpoints needs beyond <cajal/io.h>. */
#ifndef CAJAL_FORMAT_SAFETENSORS_H
#define CAJAL_FORMAT_SAFETENSORS_H

#include "base/file.h"
#include "tensor/tensor.h"

/* The keys of a file's own checksums; they are never part of a list's metadata. */
#define CJ__SAFETENSORS_MARK "cajal.checksum"
#define CJ__SAFETENSORS_CRC "crc32"

/* Reads from a buffer the tensors then refer to, but for those that are not aligned, which are
 * copied. `what` begins the messages. */
cj_status cj__safetensors_parse(cj_context *cj, const char *what, cj__buffer *buffer, bool refer,
                                cj_tensors **out);

/* One file, as cj_safetensors_load. */
cj_status cj__safetensors_load_file(cj_context *cj, const char *path, cj_tensors **out);
/* Writes one file under its temporary name: the caller commits or abandons it, but after a failure
 * there is nothing left to do. */
cj_status cj__safetensors_begin(cj_context *cj, cj__writer *file, const char *path,
                                const cj_tensors *list);

#endif
