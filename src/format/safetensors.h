/* safetensors.h: what the loader of checkpoints needs beyond <cajal/io.h>. */
#ifndef CAJAL_FORMAT_SAFETENSORS_H
#define CAJAL_FORMAT_SAFETENSORS_H

#include "tensor/tensor.h"

/* The keys of a file's own checksums; they are never part of a list's metadata. */
#define CJ__SAFETENSORS_MARK "cajal.checksum"
#define CJ__SAFETENSORS_CRC "crc32"

/* Reads from a buffer the tensors then refer to, but for those that are not aligned, which are
 * copied. `what` begins the messages. */
cj_status cj__safetensors_parse(cj_context *cj, const char *what, cj__buffer *buffer, bool refer,
                                cj_tensors **out);

#endif
