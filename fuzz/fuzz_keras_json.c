/* fuzz_keras_json.c: any bytes as the configuration of a model of Keras: the first says the
 * version. */
#include "keras.h"

#if !defined(CJ_CORE)
static cj_status read_keras(cj_context *cj, const uint8_t *bytes, size_t size, cj_model **out)
{
    return cj__keras_read_config(cj, size ? bytes + 1 : bytes, size ? size - 1 : 0,
                                 size ? bytes[0] % 3 + 1 : 3, out);
}
#endif
