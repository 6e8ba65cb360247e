/* print.h: one element as text. */
#ifndef CAJAL_TENSOR_PRINT_H
#define CAJAL_TENSOR_PRINT_H

#include "tensor/tensor.h"

enum { CJ__ELEMENT_TEXT = 64 };

/* Element i, which is no text, as numpy's str() writes a scalar: 0.1, 3.0, 1e-05, nan, -inf, True,
 * -7. */
void cj__element_text(const cj_tensor *t, int64_t i, char out[CJ__ELEMENT_TEXT]);

#endif
