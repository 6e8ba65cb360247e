/* fuzz_keras_json.c: any bytes as the configuration of a model of Keras: the first says the
 * version. Whatever is accepted is a graph that holds together. */
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
    cj_model *m;
    cj_status failed = cj__keras_read_config(cj, size ? bytes + 1 : bytes, size ? size - 1 : 0,
                                             size ? bytes[0] % 3 + 1 : 3, &m);
    CHECK(!failed == (m != NULL));
    CHECK(!failed || cj_message(cj)[0]);
    if (m) CHECK(!cj_graph_verify(cj_model_graph(m)));
    cj_model_free(m);
    CHECK(cj_memory_used(cj) == before);
    cj_context_free(cj);
    return 0;
}
#endif
