/* zip.c: zip archives.
 *
 *     local header, name, extra, packed bytes | ... | central directory: one entry a member | end
 * record
 *
 * The central directory is what counts; each local header must agree with it. Against hostile
 * files: all ranges lie before the central directory and their sizes add up to no more than what is
 * there (so none can overlap), a size that deflate cannot reach (1032 to 1) is refused, and memory
 * for unpacked bytes grows only with bytes that were unpacked. */
#include "format/zip.h"

#include <string.h>

#if defined(CJ_HAVE_ZLIB)
#include <zlib.h>
#endif

enum {
    LOCAL = 0x04034b50,
    CENTRAL = 0x02014b50,
    END = 0x06054b50,
    END64 = 0x06064b50,
    LOCATOR64 = 0x07064b50,
    DESCRIPTOR = 0x08074b50,
    LOCAL_SIZE = 30,
    CENTRAL_SIZE = 46,
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR64_SIZE = 20,
    STORED = 0,
    DEFLATED = 8,
    ENCRYPTED = 1,
    STREAMED = 8,
    UTF8 = 0x800, /* flags */
    DEFLATE_RATIO_MAX = 1032
};

static uint32_t get16(const unsigned char *b)
{
    return (uint32_t)(b[0] | b[1] << 8);
}

static uint32_t get32(const unsigned char *b)
{
    return get16(b) | get16(b + 2) << 16;
}

static uint64_t get64(const unsigned char *b)
{
    return get32(b) | (uint64_t)get32(b + 4) << 32;
}

static unsigned char *put16(unsigned char *b, uint32_t value)
{
    *b++ = (unsigned char)(value & 255);
    *b++ = (unsigned char)(value >> 8 & 255);
    return b;
}

static unsigned char *put32(unsigned char *b, uint32_t value)
{
    return put16(put16(b, value & 0xffff), value >> 16);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static cj_status bad(cj__zip *zip, const char *what)
{
    return cj_fail(zip->cj, CJ_ERR_FORMAT, "zip: %s", what);
}

/* The end record is the last thing in the file but for a comment, whose length it states. */
static bool find_end(const unsigned char *bytes, size_t size, size_t *end)
{
    for (size_t back = END_SIZE; back <= size && back <= END_SIZE + 0xffff; back++) {
        const unsigned char *b = bytes + size - back;
        if (get32(b) != END || get16(b + 20) != back - END_SIZE) continue;
        *end = size - back;
        return true;
    }
    return false;
}

cj_status cj__zip_open(cj__zip *zip, cj_context *cj, const void *bytes, size_t size)
{
    const unsigned char *b = bytes;
    size_t end;
    *zip = (cj__zip){.cj = cj, .bytes = b};
    if (!find_end(b, size, &end))
        return bad(zip, "no end record: the file is cut short, or no archive");
    uint64_t count = get16(b + end + 10), length = get32(b + end + 12), start = get32(b + end + 16);
    bool one_disk = get16(b + end + 4) == 0 && get16(b + end + 6) == 0 &&
                    get16(b + end + 8) == count;
    if (end >= LOCATOR64_SIZE && get32(b + end - LOCATOR64_SIZE) == LOCATOR64) {
        uint64_t at = get64(b + end - LOCATOR64_SIZE + 8);
        end -= LOCATOR64_SIZE;
        if (end < END64_SIZE || at > end - END64_SIZE || get32(b + at) != END64)
            return bad(zip, "the zip64 end record is not where its locator points");
        end = (size_t)at;
        count = get64(b + end + 32);
        length = get64(b + end + 40);
        start = get64(b + end + 48);
        one_disk = get32(b + end + 16) == 0 && get32(b + end + 20) == 0 &&
                   get64(b + end + 24) == count;
    }
    if (!one_disk) return bad(zip, "an archive over several disks");
    if (start > end || length != end - start || count > length / CENTRAL_SIZE)
        return bad(zip, "the central directory does not lie where the end record says");
    zip->directory = zip->at = (size_t)start;
    zip->directory_end = end;
    zip->left = count;
    return CJ_OK;
}

/* Replaces sizes and offset that did not fit 32 bits by those of the zip64 field. */
static bool widen(const unsigned char *extra, size_t length, uint64_t *size, uint64_t *packed,
                  uint64_t *offset)
{
    while (length >= 4) {
        uint32_t id = get16(extra), field = get16(extra + 2);
        extra += 4;
        length -= 4;
        if (field > length) return false;
        if (id == 1) {
            uint64_t *values[] = {size, packed, offset};
            for (int i = 0; i < 3; i++) {
                if (*values[i] != 0xffffffff) continue;
                if (field < 8) return false;
                *values[i] = get64(extra);
                extra += 8;
                field -= 8;
            }
            return true;
        }
        extra += field;
        length -= field;
    }
    return *size != 0xffffffff && *packed != 0xffffffff && *offset != 0xffffffff;
}

/* Finds the packed bytes behind the local header at `offset`. */
static cj_status locate(cj__zip *zip, cj__zip_member *m, uint64_t offset, uint64_t packed,
                        uint32_t method)
{
    if (zip->directory < LOCAL_SIZE || offset > zip->directory - LOCAL_SIZE)
        return bad(zip, "a member lies outside of the archive");
    const unsigned char *local = zip->bytes + offset;
    uint64_t header = LOCAL_SIZE + get16(local + 26) + get16(local + 28),
             room = zip->directory - offset;
    if (get32(local) != LOCAL || header > room || packed > room - header)
        return bad(zip, "a member lies outside of the archive");
    if (get16(local + 8) != method || get16(local + 26) != m->name_length ||
        memcmp(local + LOCAL_SIZE, m->name, m->name_length) != 0)
        return bad(zip, "a member's own header disagrees with the central directory");
    zip->member_bytes += header + packed;
    if (zip->member_bytes > zip->directory) return bad(zip, "members overlap");
    m->packed = local + header;
    m->packed_size = (size_t)packed;
    return CJ_OK;
}

cj_status cj__zip_next(cj__zip *zip, cj__zip_member *member, bool *more)
{
    const unsigned char *b = zip->bytes + zip->at;
    size_t room = zip->directory_end - zip->at;
    *more = zip->left > 0;
    if (!*more)
        return room ? bad(zip, "bytes after the last entry of the central directory") : CJ_OK;
    if (room < CENTRAL_SIZE || get32(b) != CENTRAL)
        return bad(zip, "an entry of the central directory is damaged");
    uint32_t flags = get16(b + 8), method = get16(b + 10);
    uint64_t packed = get32(b + 20), size = get32(b + 24), offset = get32(b + 42);
    size_t name = get16(b + 28), extra = get16(b + 30),
           total = CENTRAL_SIZE + name + extra + get16(b + 32);
    if (total > room || !widen(b + CENTRAL_SIZE + name, extra, &size, &packed, &offset))
        return bad(zip, "an entry of the central directory is damaged");
    *member = (cj__zip_member){.name = (const char *)b + CENTRAL_SIZE,
                               .name_length = name,
                               .deflated = method == DEFLATED,
                               .crc = get32(b + 16),
                               .size = (size_t)size};
    if (memchr(member->name, '\0', name)) return bad(zip, "a member's name holds a NUL");
    if (flags & ENCRYPTED || (method != STORED && method != DEFLATED))
        return cj_fail(zip->cj, CJ_ERR_UNSUPPORTED,
                       "zip: '%.*s' is %s, expected stored or deflated",
                       name > 100 ? 100 : (int)name, member->name,
                       flags & ENCRYPTED ? "encrypted" : "packed by another method");
    CJ__TRY(locate(zip, member, offset, packed, method));
    if (method == STORED ? size != packed : size / DEFLATE_RATIO_MAX > packed)
        return cj_fail(zip->cj, CJ_ERR_FORMAT,
                       "zip: '%.*s' claims %llu bytes, which its %llu cannot give",
                       name > 100 ? 100 : (int)name, member->name, (unsigned long long)size,
                       (unsigned long long)packed);
    zip->at += total;
    zip->left--;
    return CJ_OK;
}

static cj_status check_crc(cj__zip *zip, const cj__zip_member *m, const unsigned char *bytes)
{
    uint32_t found = cj__crc32(0, bytes, m->size);
    if (found == m->crc) return CJ_OK;
    return cj_fail(zip->cj, CJ_ERR_FORMAT, "zip: '%.*s' is damaged: checksum %08lx, expected %08lx",
                   m->name_length > 100 ? 100 : (int)m->name_length, m->name, (unsigned long)found,
                   (unsigned long)m->crc);
}

#if defined(CJ_HAVE_ZLIB)
static void *zlib_allocate(void *cj, unsigned count, unsigned size)
{
    return cj_allocate(cj, (size_t)count * size);
}

static void zlib_free(void *cj, void *block)
{
    cj_free(cj, block);
}

static unsigned chunk(size_t size)
{
    return size < (1u << 30) ? (unsigned)size : 1u << 30;
}

/* Inflates into a block that doubles; *capacity is its size, 0 when there is none. */
static cj_status inflate_into(cj__zip *zip, const cj__zip_member *m, z_stream *z,
                              unsigned char **block, size_t *capacity)
{
    size_t used = 0, read = 0;
    for (int result = Z_OK; result != Z_STREAM_END;) {
        if (used == *capacity && used < m->size) {
            size_t wanted = used == 0 ? 1 << 16 : 2 * used < used ? m->size : 2 * used;
            if (wanted > m->size) wanted = m->size;
            unsigned char *grown = cj__realloc(zip->cj, *block, *capacity, wanted);
            if (!grown) return zip->cj->status;
            *block = grown;
            *capacity = wanted;
        }
        unsigned char none;
        unsigned in = chunk(m->packed_size - read), out = chunk(*capacity - used);
        z->next_in = (unsigned char *)m->packed + read;
        z->avail_in = in;
        z->next_out = out ? *block + used : &none; /* full: only the end may follow */
        z->avail_out = out;
        result = inflate(z, Z_NO_FLUSH);
        if (result == Z_MEM_ERROR) return zip->cj->status;
        size_t before = used + read;
        used += out - z->avail_out;
        read += in - z->avail_in;
        if (result != Z_STREAM_END && (result != Z_OK || used + read == before))
            return bad(zip, "deflated bytes are damaged");
    }
    return used == m->size && read == m->packed_size
               ? CJ_OK
               : bad(zip, "a deflated member has not the size it claims");
}

static cj_status unpack_deflated(cj__zip *zip, const cj__zip_member *m, const unsigned char **bytes)
{
    z_stream z = {.zalloc = zlib_allocate, .zfree = zlib_free, .opaque = zip->cj};
    unsigned char *block = NULL;
    size_t capacity = 0;
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return cj_fail(zip->cj, CJ_ERR_MEMORY, "zip: no memory to inflate");
    cj_status failed = inflate_into(zip, m, &z, &block, &capacity);
    inflateEnd(&z);
    if (!failed) failed = check_crc(zip, m, block);
    if (failed) cj__free(zip->cj, block, capacity);
    else *bytes = block;
    return failed;
}
#else
static cj_status unpack_deflated(cj__zip *zip, const cj__zip_member *m, const unsigned char **bytes)
{
    *bytes = NULL;
    return cj_fail(zip->cj, CJ_ERR_UNSUPPORTED,
                   "zip: '%.*s' is deflated, and this library was built without zlib",
                   m->name_length > 100 ? 100 : (int)m->name_length, m->name);
}
#endif

cj_status cj__zip_unpack(cj__zip *zip, const cj__zip_member *member, const unsigned char **bytes)
{
    *bytes = NULL;
    if (member->deflated) return unpack_deflated(zip, member, bytes);
    CJ__TRY(check_crc(zip, member, member->packed));
    *bytes = member->packed;
    return CJ_OK;
}

void cj__zip_free_bytes(cj__zip *zip, const cj__zip_member *member, const unsigned char *bytes)
{
    if (member->deflated) cj__free(zip->cj, (void *)bytes, member->size);
}

/* ---- Writing --------------------------------------------------------------------------------- */

void cj__zip_begin(cj__zip_writer *zip, cj_context *cj, cj__writer *file, bool deflate)
{
    *zip = (cj__zip_writer){.cj = cj, .file = file, .deflate = deflate};
    cj__text_init(&zip->directory, cj);
}

void cj__zip_release(cj__zip_writer *zip)
{
    cj__text_release(&zip->directory);
}

static cj_status emit(cj__zip_writer *zip, const void *bytes, size_t size)
{
    zip->at += size;
    return cj__writer_write(zip->file, bytes, size);
}

/* The fields that local header and central entry have in common, from the version on. */
static unsigned char *put_common(unsigned char *b, const cj__zip_writer *zip, uint32_t crc,
                                 uint64_t packed, uint64_t size, size_t name_length)
{
    enum { VERSION = 20, MIDNIGHT_1980 = 1 << 5 | 1 }; /* saved files hold no times */
    b = put16(b, VERSION);
    b = put16(b, UTF8 | (zip->deflate ? STREAMED : 0));
    b = put16(b, zip->deflate ? DEFLATED : STORED);
    b = put32(b, (uint32_t)MIDNIGHT_1980 << 16);
    b = put32(b, crc);
    b = put32(b, (uint32_t)packed);
    b = put32(b, (uint32_t)size);
    b = put16(b, (uint32_t)name_length);
    return put16(b, 0);
}

#if defined(CJ_HAVE_ZLIB)
static cj_status deflate_piece(cj__zip_writer *zip, z_stream *z, const unsigned char *bytes,
                               size_t size, bool last)
{
    unsigned char out[1 << 14];
    int result = Z_OK;
    do {
        unsigned in = chunk(size);
        z->next_in = (unsigned char *)bytes;
        z->avail_in = in;
        do {
            z->next_out = out;
            z->avail_out = sizeof(out);
            result = deflate(z, last && in == size ? Z_FINISH : Z_NO_FLUSH);
            if (result == Z_STREAM_ERROR)
                return cj_fail(zip->cj, CJ_ERR_STATE, "zip: zlib refused to deflate");
            CJ__TRY(emit(zip, out, sizeof(out) - z->avail_out));
        } while (z->avail_out == 0);
        bytes += in;
        size -= in;
    } while (size);
    return CJ_OK;
}

static cj_status write_deflated(cj__zip_writer *zip, const void *first, size_t first_size,
                                const void *second, size_t second_size)
{
    z_stream z = {.zalloc = zlib_allocate, .zfree = zlib_free, .opaque = zip->cj};
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return cj_fail(zip->cj, CJ_ERR_MEMORY, "zip: no memory to deflate");
    cj_status failed = deflate_piece(zip, &z, first, first_size, false);
    if (!failed) failed = deflate_piece(zip, &z, second, second_size, true);
    deflateEnd(&z);
    return failed;
}
#else
static cj_status write_deflated(cj__zip_writer *zip, const void *first, size_t first_size,
                                const void *second, size_t second_size)
{
    (void)first, (void)first_size, (void)second, (void)second_size;
    return cj_fail(zip->cj, CJ_ERR_UNSUPPORTED,
                   "zip: this library was built without zlib and cannot compress");
}
#endif

static cj_status too_large(cj__zip_writer *zip, const char *name)
{
    return cj_fail(zip->cj, CJ_ERR_LIMIT,
                   "zip: with '%s' the archive has 4 GiB or 65535 members, which is too much; "
                   "use safetensors",
                   name);
}

cj_status cj__zip_add(cj__zip_writer *zip, const char *name, const void *first, size_t first_size,
                      const void *second, size_t second_size)
{
    unsigned char header[CENTRAL_SIZE];
    size_t name_length = strlen(name);
    uint64_t offset = zip->at, size = (uint64_t)first_size + second_size;
    if (name_length > 0xffff)
        return cj_fail(zip->cj, CJ_ERR_ARGUMENT,
                       "zip: a name of %zu characters, expected at most 65535", name_length);
    if (size >= 0xffffffff || zip->at + size >= 0xffffffff || zip->count == 0xfffe)
        return too_large(zip, name);
    uint32_t crc = cj__crc32(cj__crc32(0, first, first_size), second, second_size);
    bool streamed = zip->deflate; /* checksum and sizes stand behind the bytes then */
    put_common(put32(header, LOCAL), zip, streamed ? 0 : crc, streamed ? 0 : size,
               streamed ? 0 : size, name_length);
    CJ__TRY(emit(zip, header, LOCAL_SIZE));
    CJ__TRY(emit(zip, name, name_length));
    uint64_t begin = zip->at;
    if (zip->deflate) {
        CJ__TRY(write_deflated(zip, first, first_size, second, second_size));
    } else {
        CJ__TRY(emit(zip, first, first_size));
        CJ__TRY(emit(zip, second, second_size));
    }
    uint64_t packed = zip->at - begin;
    if (zip->at >= 0xffffffff) return too_large(zip, name);
    if (streamed) {
        put32(put32(put32(put32(header, DESCRIPTOR), crc), (uint32_t)packed), (uint32_t)size);
        CJ__TRY(emit(zip, header, 16));
    }
    memset(header, 0, sizeof(header));
    put_common(put16(put32(header, CENTRAL), 20), zip, crc, packed, size, name_length);
    put32(header + 42, (uint32_t)offset);
    cj__text_append(&zip->directory, header, CENTRAL_SIZE);
    cj__text_append(&zip->directory, name, name_length);
    zip->count++;
    return zip->directory.failed;
}

cj_status cj__zip_end(cj__zip_writer *zip)
{
    unsigned char end[END_SIZE] = {0};
    uint64_t start = zip->at;
    cj_status failed = zip->directory.failed;
    if (!failed) failed = emit(zip, cj__text_string(&zip->directory), zip->directory.length);
    if (!failed && zip->at >= 0xffffffff) failed = too_large(zip, "its directory");
    put16(put16(put32(end, END) + 4, (uint32_t)zip->count), (uint32_t)zip->count);
    put32(put32(end + 12, (uint32_t)(zip->at - start)), (uint32_t)start);
    if (!failed) failed = emit(zip, end, END_SIZE);
    cj__zip_release(zip);
    return failed;
}
