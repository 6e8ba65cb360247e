/* fuzz_hdf5.c: any bytes as an HDF5 file, checksums not looked at. Whatever is accepted has names,
 * texts and numbers that can all be asked for, read or refused with a message. */
#include <stdlib.h>
#include <string.h>

#include "format/hdf5/hdf5.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
#if defined(CJ_CORE) /* which has no HDF5 */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    (void)bytes;
    return size == SIZE_MAX;
}
#else

#define CHECK(x) ((x) ? (void)0 : abort())

static void read_value(cj__hdf5 *f, const cj__hdf5_value *value)
{
    cj_tensor *t;
    const char *text;
    size_t length;
    cj_status failed = cj__hdf5_tensor(f, value, &t);
    CHECK(!failed == (t != NULL));
    CHECK(!failed || cj_message(f->cj)[0]);
    if (t) {
        const void *v = cj_tensor_map_read(t);
        for (int64_t i = 0; i < cj_tensor_count(t); i++)
            cj_load_f64(cj_tensor_dtype(t), v, (size_t)i);
        cj_tensor_unmap(t);
    }
    cj_tensor_free(t);
    for (int64_t i = 0; i < value->count && i < 16; i++)
        if (!cj__hdf5_text(f, value, i, &text, &length)) CHECK(strlen(text) == length);
}

static void read_all(cj__hdf5 *f, const cj__hdf5_object *from, int depth)
{
    for (const cj__hdf5_attribute *a = from->attributes; a; a = a->next)
        read_value(f, &a->value);
    if (from->is_data) read_value(f, &from->value);
    for (const cj__hdf5_object *o = from->first; o && depth < 50; o = o->next)
        read_all(f, o, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1, .memory_limit_bytes = 64 << 20});
    if (!cj) return 0;
    int64_t before = cj_memory_used(cj);
    cj__arena arena;
    cj__hdf5 f;
    cj__arena_init(&arena, cj);
    cj_status failed = cj__hdf5_open(&f, &arena, bytes, size,
                                     &(cj__hdf5_limits){.unsealed = true, .memory_max = 4 << 20});
    if (!failed) read_all(&f, f.root, 0);
    else CHECK(cj_message(cj)[0]);
    cj__arena_release(&arena);
    CHECK(cj_memory_used(cj) == before);
    cj_context_free(cj);
    return 0;
}
#endif
