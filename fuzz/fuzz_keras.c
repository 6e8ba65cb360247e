/* fuzz_keras.c: any bytes as a file of a model of Keras, .h5 or .keras. */
#include <stdlib.h>

#include <cajal/cajal.h>

#define CHECK(x) ((x) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
#if defined(CJ_CORE) /* which has no Keras */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    (void)bytes;
    return size == SIZE_MAX;
}
#else
#include "format/keras/keras.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1, .memory_limit_bytes = 64 << 20});
    if (!cj) return 0;
    int64_t before = cj_memory_used(cj);
    cj_model *m = NULL;
    cj_status failed = cj__keras_is_h5(bytes, size) ? cj__keras_read_h5(cj, bytes, size, &m)
                                                    : cj__keras_read_archive(cj, bytes, size, &m);
    CHECK(!failed == (m != NULL));
    CHECK(!failed || cj_message(cj)[0]);
    if (m) CHECK(!cj_graph_verify(cj_model_graph(m)));
    cj_model_free(m);
    CHECK(cj_memory_used(cj) == before);
    cj_context_free(cj);
    return 0;
}
#endif
