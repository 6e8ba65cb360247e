/* filters.c: a chunk of an HDF5 file as its bytes: fletcher32, deflate and shuffle, the last filter
 * of the list first. */
#include "format/hdf5/inside.h"

#include <string.h>

#if defined(CJ_HAVE_ZLIB)
#include <zlib.h>
#endif

/* Bytes of elements stand apart, all first bytes first. */
static void unshuffle(const unsigned char *from, unsigned char *to, size_t size, size_t element)
{
    const size_t n = size / element;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < element; k++) to[i * element + k] = from[k * n + i];
    memcpy(to + n * element, from + n * element, size - n * element);
}

/* Fletcher's sums of 16-bit numbers, the high byte first. */
static uint32_t fletcher(const unsigned char *data, size_t size)
{
    uint32_t a = 0, b = 0;
    for (size_t i = 0; i < size; i += 2) {
        a += (uint32_t)data[i] << 8 | (i + 1 < size ? data[i + 1] : 0u);
        a = (a & 0xffff) + (a >> 16);
        b += a;
        b = (b & 0xffff) + (b >> 16);
    }
    a = (a & 0xffff) + (a >> 16);
    b = (b & 0xffff) + (b >> 16);
    return b << 16 | a;
}

#if defined(CJ_HAVE_ZLIB)
static void *zlib_allocate(void *cj, unsigned count, unsigned size)
{
    return cj_allocate(cj, (size_t)count * size);
}

static void zlib_free(void *cj, void *block) { cj_free(cj, block); }

/* At most `room` bytes come out. */
static cj_status inflate_chunk(cj__hdf5 *f, const unsigned char *from, size_t size,
                               unsigned char *to, size_t room, size_t *out)
{
    z_stream z = {.zalloc = zlib_allocate, .zfree = zlib_free, .opaque = f->cj};
    if (size > UINT32_MAX || room > UINT32_MAX)
        return cj__hdf5_unsupported(f, "a chunk of 4 GiB");
    if (inflateInit(&z) != Z_OK)
        return cj_fail(f->cj, CJ_ERR_MEMORY, "hdf5: no memory to inflate");
    z.next_in = (unsigned char *)from;
    z.avail_in = (unsigned)size;
    z.next_out = to;
    z.avail_out = (unsigned)room;
    const int result = inflate(&z, Z_FINISH);
    *out = room - z.avail_out;
    inflateEnd(&z);
    if (result == Z_MEM_ERROR) return cj_last_status(f->cj);
    return result == Z_STREAM_END
               ? CJ_OK
               : cj__hdf5_bad(f, (uint64_t)(from - f->bytes), "a damaged deflated chunk");
}
#else
static cj_status inflate_chunk(cj__hdf5 *f, const unsigned char *from, size_t size,
                               unsigned char *to, size_t room, size_t *out)
{
    (void)from, (void)size, (void)to, (void)room;
    *out = 0;
    return cj__hdf5_unsupported(f, "deflated data, and this library was built without zlib");
}
#endif

cj_status cj__hdf5_unpack(cj__hdf5 *f, const cj__hdf5_value *v, const unsigned char *from,
                          size_t size, uint32_t mask, unsigned char *const work[2],
                          const unsigned char **out)
{
    int turn = 0;
    for (int i = v->filters - 1; i >= 0; i--) {
        unsigned char *to = work[turn];
        if (i < 32 && mask >> i & 1) continue;
        if (v->filter[i].id == CJ__HDF5_FLETCHER) {
            const unsigned char *sum = from + size - 4;
            if (size < 4) return cj__hdf5_bad(f, 0, "a chunk without its checksum");
            size -= 4;
            const uint32_t stored = (uint32_t)sum[0] | (uint32_t)sum[1] << 8 |
                                    (uint32_t)sum[2] << 16 | (uint32_t)sum[3] << 24;
            if (!f->unsealed && stored != fletcher(from, size))
                return cj__hdf5_bad(f, v->address, "a damaged chunk: its checksum is another");
            continue;
        }
        if (v->filter[i].id == CJ__HDF5_DEFLATE)
            CJ__TRY(inflate_chunk(f, from, size, to, v->chunk_bytes + 4, &size));
        else if (v->filter[i].element > 1) {
            if (size > v->chunk_bytes + 4)
                return cj__hdf5_bad(f, v->address, "a chunk of more bytes than it has");
            unshuffle(from, to, size, v->filter[i].element);
        } else continue;
        from = to;
        turn = !turn;
    }
    if (size != v->chunk_bytes)
        return cj_fail(f->cj, CJ_ERR_FORMAT, "hdf5: a chunk of %zu bytes; %zu are expected",
                       size, v->chunk_bytes);
    *out = from;
    return CJ_OK;
}
