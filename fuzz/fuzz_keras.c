/* fuzz_keras.c: any bytes as a file of a model of Keras, .h5 or .keras. */
#include "keras.h"

#if !defined(CJ_CORE)
static cj_status read_keras(cj_context *cj, const uint8_t *bytes, size_t size, cj_model **out)
{
    return cj__keras_is_h5(bytes, size) ? cj__keras_read_h5(cj, bytes, size, out)
                                        : cj__keras_read_archive(cj, bytes, size, out);
}
#endif
