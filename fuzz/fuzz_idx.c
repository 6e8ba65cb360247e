/* fuzz_idx.c: any bytes as an IDX file, plain or gzip. At most 1 MiB may be allocated for what is
 * refused by its size, and what is accepted has exactly the elements its header says. */
#include <stdint.h>
#include <stdlib.h>

#include "data/gzip.h"
#include "data/idx.h"

static void require(bool condition)
{
    if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cj_config config = {.memory_limit_bytes = 256 << 20};
    cj_context *cj = cj_context_new(&config);
    cj_tensor *t = NULL;
    cj_status status = cj__idx_parse(cj, "fuzz", bytes, size, &t);
    require((status == CJ_OK) == (t != NULL));
    if (t) {
        require(cj_tensor_dtype(t) == CJ_U8 && cj_tensor_rank(t) >= 1);
        if (!cj__is_gzip(bytes, size))
            require(cj_tensor_size_bytes(t) + 4 + 4 * (size_t)cj_tensor_rank(t) == size);
    } else {
        require(cj_message(cj)[0]);
        size_t bound = cj__is_gzip(bytes, size) ? cj__gzip_bound(size) : size;
        require((size_t)cj_memory_peak(cj) <= bound + (1 << 20));
    }
    cj_tensor_free(t);
    require(cj_memory_used(cj) == 0);
    cj_context_free(cj);
    return 0;
}
