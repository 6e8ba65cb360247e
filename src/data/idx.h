/* idx.h: one IDX file, the format of MNIST (Y. LeCun, "The MNIST database of handwritten digits").
 *
 *     0 0 | type | rank | size of axis 0 (u32, big-endian) | ... | elements, row-major
 */
#ifndef CAJAL_DATA_IDX_H
#define CAJAL_DATA_IDX_H

#include <cajal/tensor.h>

#include "base/context.h"

/* Reads the bytes of an IDX file, plain or gzip, of unsigned bytes and rank 1 to 4. All sizes are
 * checked against the bytes that are there before anything is allocated. */
cj_status cj__idx_parse(cj_context *cj, const char *name, const void *bytes, size_t size,
                        cj_tensor **out);
cj_status cj__idx_load(cj_context *cj, const char *path, cj_tensor **out);

#endif
