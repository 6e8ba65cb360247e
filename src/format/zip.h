/* zip.h: zip archives in memory (PKWARE's APPNOTE, the part that numpy and Keras use): members
 * stored or deflated, zip64 when reading, no encryption, one disk. */
#ifndef CAJAL_FORMAT_ZIP_H
#define CAJAL_FORMAT_ZIP_H

#include "base/file.h"
#include "base/text.h"

/* ---- Reading --------------------------------------------------------------------------------- */

typedef struct cj__zip {
    cj_context *cj;
    const unsigned char *bytes;
    size_t directory, directory_end; /* of the central directory */
    size_t at;                       /* the next entry in it */
    uint64_t left;                   /* entries not read yet */
    uint64_t member_bytes;           /* of the members met so far: they may not overlap */
} cj__zip;

typedef struct cj__zip_member {
    const char *name; /* in the archive, not NUL-terminated; holds no NUL */
    size_t name_length;
    bool deflated;
    uint32_t crc;
    const unsigned char *packed;
    size_t packed_size, size;
} cj__zip_member;

/* Finds the central directory. The bytes stay the caller's and must outlive the members. */
cj_status cj__zip_open(cj__zip *zip, cj_context *cj, const void *bytes, size_t size);
/* The next member, checked against its local header; *more is false past the last. */
cj_status cj__zip_next(cj__zip *zip, cj__zip_member *member, bool *more);
/* The member's bytes, checksum verified: *bytes points into the archive when it is stored, else to
 * a new block of member->size bytes that cj__zip_free_bytes frees. Memory grows with what is really
 * there. */
cj_status cj__zip_unpack(cj__zip *zip, const cj__zip_member *member, const unsigned char **bytes);
void cj__zip_free_bytes(cj__zip *zip, const cj__zip_member *member, const unsigned char *bytes);

/* ---- Writing --------------------------------------------------------------------------------- */

/* Writes through a cj__writer that the caller begins, and commits or abandons. */
typedef struct cj__zip_writer {
    cj_context *cj;
    cj__writer *file;
    cj__text directory;
    uint64_t at;
    size_t count;
    bool deflate;
} cj__zip_writer;

void cj__zip_begin(cj__zip_writer *zip, cj_context *cj, cj__writer *file, bool deflate);
/* One member, made of two pieces of bytes. */
cj_status cj__zip_add(cj__zip_writer *zip, const char *name, const void *first, size_t first_size,
                      const void *second, size_t second_size);
/* Writes the central directory; releases the zip writer in any case. */
cj_status cj__zip_end(cj__zip_writer *zip);
void cj__zip_release(cj__zip_writer *zip);

#endif
