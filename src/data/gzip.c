/* gzip.c: gzip files unpacked piece by piece, with the context's allocator and cancellation.
 *
 * The caller says how much it wants, so a bomb costs no more than what the caller had already found
 * plausible. A file may have several members one after another (RFC 1952); whatever else follows
 * the last one is an error, and so is an end in the middle of one. */
#include "data/gzip.h"

#include <string.h>

#include "base/size.h"

bool cj__is_gzip(const unsigned char *bytes, size_t size)
{
    return size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

size_t cj__gzip_bound(size_t packed)
{
    size_t bound;
    return cj__size_mul(packed, 1032, &bound) ? bound : SIZE_MAX;
}

#ifdef CJ_HAVE_ZLIB
#include <zlib.h>

enum { PIECE = 1 << 20 };

/* zlib does not say how large a block is when it frees it, so the size stands before it. */
enum { HEAD = 16 };

static voidpf allocate(voidpf user, uInt items, uInt size)
{
    size_t bytes;
    if (!cj__size_mul(items, size, &bytes) || !cj__size_add(bytes, HEAD, &bytes)) return NULL;
    unsigned char *block = cj__alloc(user, bytes);
    if (!block) return NULL;
    memcpy(block, &bytes, sizeof bytes);
    return block + HEAD;
}

static void release(voidpf user, voidpf block)
{
    size_t bytes;
    memcpy(&bytes, (unsigned char *)block - HEAD, sizeof bytes);
    cj__free(user, (unsigned char *)block - HEAD, bytes);
}

cj_status cj__gzip_open(cj__gzip *z, cj_context *cj, const char *name, const void *bytes,
                        size_t size)
{
    *z = (cj__gzip){.cj = cj, .name = name, .next = bytes, .left = size};
    z_stream *stream = cj__alloc(cj, sizeof *stream);
    if (!stream) return cj_last_status(cj);
    stream->zalloc = allocate;
    stream->zfree = release;
    stream->opaque = cj;
    if (inflateInit2(stream, 16 + MAX_WBITS) != Z_OK) {
        cj__free(cj, stream, sizeof *stream);
        return cj_fail(cj, CJ_ERR_MEMORY, "%s: out of memory while unpacking", name);
    }
    z->stream = stream;
    return CJ_OK;
}

void cj__gzip_close(cj__gzip *z)
{
    if (!z->stream) return;
    inflateEnd(z->stream);
    cj__free(z->cj, z->stream, sizeof(z_stream));
    z->stream = NULL;
}

/* After a member: another one, the end, or garbage. */
static cj_status end_member(cj__gzip *z)
{
    if (z->left == 0) {
        z->ended = true;
        return CJ_OK;
    }
    if (!cj__is_gzip(z->next, z->left))
        return cj_fail(z->cj, CJ_ERR_FORMAT,
                       "%s: %zu bytes of garbage follow the end of the gzip data", z->name,
                       z->left);
    return inflateReset(z->stream) == Z_OK
               ? CJ_OK
               : cj_fail(z->cj, CJ_ERR_FORMAT, "%s: damaged gzip data", z->name);
}

static cj_status inflate_piece(cj__gzip *z, unsigned char *out, size_t size, size_t *got)
{
    z_stream *stream = z->stream;
    uInt in = z->left < PIECE ? (uInt)z->left : PIECE, room = size < PIECE ? (uInt)size : PIECE;
    stream->next_in = (Bytef *)z->next; /* zlib does not write there */
    stream->avail_in = in;
    stream->next_out = out;
    stream->avail_out = room;
    int result = inflate(stream, Z_NO_FLUSH);
    z->next += in - stream->avail_in;
    z->left -= in - stream->avail_in;
    *got = room - stream->avail_out;
    z->unpacked += *got;
    if (result == Z_STREAM_END) return end_member(z);
    if (result == Z_MEM_ERROR)
        return cj_fail(z->cj, CJ_ERR_MEMORY, "%s: out of memory while unpacking", z->name);
    if (z->left == 0 && *got == 0 && (result == Z_OK || result == Z_BUF_ERROR))
        return cj_fail(z->cj, CJ_ERR_FORMAT,
                       "%s: truncated gzip: it ends in the middle, after %zu unpacked bytes",
                       z->name, z->unpacked);
    if (result != Z_OK && result != Z_BUF_ERROR)
        return cj_fail(z->cj, CJ_ERR_FORMAT, "%s: damaged gzip data after %zu unpacked bytes (%s)",
                       z->name, z->unpacked, stream->msg ? stream->msg : "it needs a dictionary");
    return CJ_OK;
}

cj_status cj__gzip_read(cj__gzip *z, void *out, size_t size, size_t *got)
{
    unsigned char *to = out;
    *got = 0;
    while (*got < size && !z->ended) {
        size_t piece = 0;
        CJ__TRY(cj__check_cancel(z->cj));
        CJ__TRY(inflate_piece(z, to + *got, size - *got, &piece));
        *got += piece;
    }
    return CJ_OK;
}

#else

cj_status cj__gzip_open(cj__gzip *z, cj_context *cj, const char *name, const void *bytes,
                        size_t size)
{
    *z = (cj__gzip){.cj = cj, .name = name, .next = bytes, .left = size};
    return cj_fail(cj, CJ_ERR_UNSUPPORTED,
                   "%s: this build has no zlib: unpack the file first (gzip -dk)", name);
}

void cj__gzip_close(cj__gzip *z)
{
    (void)z;
}

cj_status cj__gzip_read(cj__gzip *z, void *out, size_t size, size_t *got)
{
    (void)out, (void)size;
    *got = 0;
    return cj_fail(z->cj, CJ_ERR_UNSUPPORTED, "%s: this build has no zlib", z->name);
}
#endif
