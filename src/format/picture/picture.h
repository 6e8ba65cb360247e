/* picture.h: what the formats of pictures share. One row a format, beside its code; the list of
 * them is picture.c. */
#ifndef CAJAL_FORMAT_PICTURE_PICTURE_H
#define CAJAL_FORMAT_PICTURE_PICTURE_H

#include <cajal/picture.h>

#include "base/context.h"
#include "base/text.h"

/* What a decoder gives: u8 [height, width, channels] as the file has it, not yet turned. */
typedef struct cj__picture {
    cj_context *cj;
    cj_tensor *tensor; /* made by cj__picture_begin; the caller's, on failure too */
    unsigned char *pixels;
    int64_t height, width, channels;
    bool indices; /* wanted: of a palette the numbers, one channel, not its colours */
    int orientation; /* EXIF's: 1 to 8 */
} cj__picture;

typedef struct cj__picture_format {
    cj_picture_format row;
    bool (*matches)(const unsigned char *bytes, size_t size);
    /* NULL where the library is not there. */
    cj_status (*decode)(cj__picture *p, const unsigned char *bytes, size_t size);
    /* Appends the file; NULL: this format is not written. */
    cj_status (*encode)(const cj__picture *p, cj__text *to);
} cj__picture_format;

extern const cj__picture_format cj__picture_png, cj__picture_jpeg, cj__picture_bmp,
    cj__picture_pnm;

/* Checks the size that a file claims, and makes the tensor. channels: 1 or 3. */
cj_status cj__picture_begin(cj__picture *p, const char *format, int64_t height, int64_t width,
                            int channels);
/* "png: ends in the middle, after 120 bytes" */
cj_status cj__picture_cut(cj_context *cj, const char *format, size_t size);
/* "png: has 16 bits, so its pixels are no numbers ...": for `indices`. */
cj_status cj__picture_no_index(cj_context *cj, const char *format, const char *why);

/* exif.c: the orientation that EXIF data (a TIFF file) has, 1 when it has none. */
int cj__exif_orientation(const unsigned char *bytes, size_t size);

/* Is it u8 [h, w, 1 or 3] (or [h, w]) with pixels? Fills *p, which does not own the tensor. */
cj_status cj__picture_of(const cj_tensor *t, const char *what, cj__picture *p);

#endif
