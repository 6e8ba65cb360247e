/* fuzz_npz.c: any bytes as a .npz file. Whatever is accepted has
 * elements that can all be read, and everything is given back. */
#include <stdlib.h>

#include <cajal/io.h>

#include "base/strings.h"

#define CHECK(x) ((x) ? (void)0 : abort())

/* A bool is 0 or 1 whatever the file says. */
static void touch(const cj_tensor *t)
{
    const void *elements = cj_tensor_map_read(t);
    CHECK(cj_tensor_count(t) >= 0);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) {
        double value = cj_load_f64(cj_tensor_dtype(t), elements, (size_t)i);
        if (cj_tensor_dtype(t) == CJ_BOOL) CHECK(value == 0 || value == 1);
    }
    cj_tensor_unmap(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1, .memory_limit_bytes = 64 << 20});
    if (!cj) return 0;
    int64_t before = cj_memory_used(cj);
    cj_tensors *list;
    const char *name;
    cj_status failed = cj_npz_read(cj, bytes, size, &list);
    CHECK(!failed == (list != NULL));
    CHECK(!failed || cj_message(cj)[0]);
    for (size_t i = 0; list && i < cj_tensors_count(list); i++) {
        touch(cj_tensors_at(list, i, &name));
        CHECK(cj_tensors_find(list, name) == cj_tensors_at(list, i, NULL));
    }
    cj_tensors_free(list);
    const int64_t texts = cj__strings_bytes(cj); /* stay as long as the context */
    CHECK(cj_memory_used(cj) - texts == before);
    cj_context_free(cj);
    return 0;
}
