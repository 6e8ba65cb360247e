/* keras.h: any bytes as a model of Keras, read by read_keras: what is accepted is a graph that
 * holds together, what is not has a message, and everything is given back. The core build has no
 * Keras.
 */
#include <stdlib.h>

#include <cajal/cajal.h>

#define CHECK(x) ((x) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
#if defined(CJ_CORE)
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    (void)bytes;
    return size == SIZE_MAX;
}
#else
#include "base/strings.h"
#include "format/keras/keras.h"

static cj_status read_keras(cj_context *cj, const uint8_t *bytes, size_t size, cj_model **out);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1, .memory_limit_bytes = 64 << 20});
    if (!cj) return 0;
    const int64_t had = cj__strings_bytes(cj), before = cj_memory_used(cj) - had;
    cj_model *m = NULL;
    cj_status failed = read_keras(cj, bytes, size, &m);
    CHECK(!failed == (m != NULL));
    CHECK(!failed || cj_message(cj)[0]);
    if (m) CHECK(!cj_graph_verify(cj_model_graph(m)));
    cj_model_free(m);
    const int64_t texts = cj__strings_bytes(cj); /* stay as long as the context */
    CHECK(cj_memory_used(cj) - texts == before);
    cj_context_free(cj);
    return 0;
}
#endif
