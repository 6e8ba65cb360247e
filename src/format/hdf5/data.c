/* data.c: what data sets and attributes of an HDF5 file hold, as tensors and texts.
 *
 *     chunk in the file -> filters backwards (filters.c) -> its place in the tensor, cut at the
 *     tensor's edges (chunks.c) -> byte order of this machine
 *
 * Memory is charged before it is asked for: the tensor, and each chunk that is unpacked. */
#include "format/hdf5/inside.h"

#include <string.h>

static void swap(unsigned char *bytes, int64_t count, size_t size)
{
    for (int64_t i = 0; i < count; i++, bytes += size)
        for (size_t a = 0, b = size - 1; a < b; a++, b--) {
            const unsigned char kept = bytes[a];
            bytes[a] = bytes[b];
            bytes[b] = kept;
        }
}

static bool little_endian(void)
{
    const uint16_t one = 1;
    return *(const unsigned char *)&one == 1;
}

cj_status cj__hdf5_tensor(cj__hdf5 *f, const cj__hdf5_value *v, cj_tensor **out)
{
    *out = NULL;
    if (v->wrong) return cj__hdf5_unsupported(f, v->wrong);
    if (v->type.kind != CJ__HDF5_NUMBER)
        return cj_fail(f->cj, CJ_ERR_DATA, "hdf5: texts, where numbers are expected");
    const size_t bytes = (size_t)v->count * v->type.size; /* which fits: cj__hdf5_settle */
    if (bytes > f->memory_left)
        return cj_fail(f->cj, CJ_ERR_LIMIT,
                       "hdf5: a data set of %zu bytes, more than %zu bytes of file can hold", bytes,
                       f->size);
    f->memory_left -= bytes;
    cj_tensor *t = cj_tensor_new(f->cj, v->type.dtype, v->rank, v->shape);
    if (!t) return cj_last_status(f->cj);
    unsigned char *to = cj__tensor_data(t);
    if (bytes) memset(to, 0, bytes);
    cj_status failed = bytes ? cj__hdf5_fill(f, v, to) : CJ_OK;
    if (v->type.big_endian == little_endian()) swap(to, v->count, v->type.size);
    if (v->type.dtype == CJ_BOOL)
        for (size_t i = 0; i < bytes; i++) to[i] = to[i] != 0;
    if (failed) cj_tensor_free(t);
    else *out = t;
    return failed;
}

cj_status cj__hdf5_text(cj__hdf5 *f, const cj__hdf5_value *v, int64_t i, const char **out,
                        size_t *length)
{
    if (v->wrong) return cj__hdf5_unsupported(f, v->wrong);
    if (v->type.kind == CJ__HDF5_NUMBER || v->layout != CJ__HDF5_WHOLE || !v->data || i < 0 ||
        i >= v->count)
        return cj_fail(f->cj, CJ_ERR_DATA, "hdf5: %s, where a text is expected",
                       v->type.kind == CJ__HDF5_NUMBER ? "numbers" : "nothing");
    const unsigned char *bytes = v->data + (size_t)i * v->type.size;
    size_t size = v->type.size;
    if (v->type.kind == CJ__HDF5_LONG_TEXT) {
        cj__hdf5_cursor c = {f, (size_t)(bytes - f->bytes), f->size, false};
        size = (size_t)cj__hdf5_take(&c, 4);
        const uint64_t address = cj__hdf5_address(&c);
        const uint32_t index = (uint32_t)cj__hdf5_take(&c, 4);
        if (size) CJ__TRY(cj__hdf5_heap_text(f, address, index, size, &bytes));
    }
    const unsigned char *end = memchr(bytes, 0, size);
    if (end) size = (size_t)(end - bytes);
    if (size >= f->memory_left) return cj_fail(f->cj, CJ_ERR_LIMIT, "hdf5: too many texts");
    f->memory_left -= size + 1;
    char *copy = cj__arena_alloc(f->arena, size + 1);
    if (!copy) return CJ_ERR_MEMORY;
    memcpy(copy, bytes, size);
    *out = copy;
    *length = size;
    return CJ_OK;
}
