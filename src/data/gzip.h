/* gzip.h: unpacking with a known bound. */
#ifndef CAJAL_DATA_GZIP_H
#define CAJAL_DATA_GZIP_H

#include "base/context.h"

/* A gzip file in memory, read like a stream. `name` stands in messages. */
typedef struct cj__gzip {
    cj_context *cj;
    const char *name;
    const unsigned char *next; /* packed bytes not yet given to zlib */
    size_t left, unpacked;
    bool ended;
    void *stream; /* z_stream */
} cj__gzip;

/* Whether the bytes begin as gzip (0x1f 0x8b) does. */
bool cj__is_gzip(const unsigned char *bytes, size_t size);
/* No packed file of this size gives more bytes than this: deflate makes at most 1032 of one. */
size_t cj__gzip_bound(size_t packed);

cj_status cj__gzip_open(cj__gzip *z, cj_context *cj, const char *name, const void *bytes,
                        size_t size);
void cj__gzip_close(cj__gzip *z);
/* Up to `size` bytes; *got is less only at the end. A truncated or damaged file is CJ_ERR_FORMAT.
 */
cj_status cj__gzip_read(cj__gzip *z, void *out, size_t size, size_t *got);

#endif
