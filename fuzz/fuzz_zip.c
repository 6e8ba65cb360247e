/* fuzz_zip.c: any bytes as a zip archive. Every member lies before the central directory, none
 * shares a byte with another, what unpacks has the size and the checksum that were claimed, memory
 * is bounded by the packed bytes, and everything is given back. */
#include <stdlib.h>
#include <string.h>

#include "format/zip.h"

#define CHECK(x) ((x) ? (void)0 : abort())

/* Unpacking doubles its block: at most twice what deflate can give; zlib itself takes 48 KiB. */
enum { PEAK = 64 << 10, PEAK_A_BYTE = 2 * 1032 + 64 };

/* A member's packed bytes lie in the archive before `end`, its name in the central directory. */
static void check_place(const cj__zip *zip, const cj__zip_member *m)
{
    const unsigned char *name = (const unsigned char *)m->name;
    CHECK(m->packed >= zip->bytes && m->packed <= zip->bytes + zip->directory);
    CHECK(m->packed_size <= (size_t)(zip->bytes + zip->directory - m->packed));
    CHECK(name >= zip->bytes + zip->directory && name <= zip->bytes + zip->directory_end);
    CHECK(m->name_length <= (size_t)(zip->bytes + zip->directory_end - name));
    CHECK(!memchr(m->name, 0, m->name_length));
    CHECK(m->deflated || m->packed_size == m->size);
}

static cj_status try_archive(cj_context *cj, const uint8_t *bytes, size_t size)
{
    cj__zip zip;
    cj__zip_member member;
    bool more = true;
    size_t packed = 0;
    CJ__TRY(cj__zip_open(&zip, cj, bytes, size));
    for (;;) {
        const unsigned char *unpacked;
        CJ__TRY(cj__zip_next(&zip, &member, &more));
        if (!more) return CJ_OK;
        check_place(&zip, &member);
        packed += member.packed_size;
        CHECK(packed <= size);
        /* A member that is damaged does not hide those behind it. */
        if (cj__zip_unpack(&zip, &member, &unpacked)) {
            CHECK(cj_message(cj)[0]);
            continue;
        }
        CHECK(cj__crc32(0, unpacked, member.size) == member.crc);
        cj__zip_free_bytes(&zip, &member, unpacked);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1});
    if (!cj) return 0;
    const int64_t before = cj_memory_used(cj);
    cj_status failed = try_archive(cj, bytes, size);
    CHECK(!failed || cj_message(cj)[0]);
    CHECK(cj_memory_used(cj) == before);
    CHECK(cj_memory_peak(cj) - before <= PEAK + PEAK_A_BYTE * (int64_t)size);
    cj_context_free(cj);
    return 0;
}
