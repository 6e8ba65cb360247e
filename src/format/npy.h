/* npy.h: numpy's .npy for the formats that hold such members. The file functions are in
 * <cajal/io.h>. */
#ifndef CAJAL_FORMAT_NPY_H
#define CAJAL_FORMAT_NPY_H

#include "tensor/tensor.h"

enum { CJ__NPY_HEADER_MAX = 512 }; /* of what we write */

/* Writes the header of `t` (version 1, little or big endian as this machine is); returns its
 * length. */
size_t cj__npy_header(const cj_tensor *t, char header[CJ__NPY_HEADER_MAX]);

#endif
