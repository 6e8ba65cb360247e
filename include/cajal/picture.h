/* picture.h: pictures in files of PNG, JPEG, BMP and PPM, and pictures of one size.
 *
 *     cj_tensor *picture, *small;
 *     if (cj_picture_load(cj, "cat.jpg", CJ_PICTURE_RGB, &picture)) return fail(cj_message(cj));
 *     cj_picture_resize(picture, 32, 32, CJ_PICTURE_BILINEAR, &small);
 *     cj_picture_save(cj, "cat.png", small);
 *     cj_tensor_free(small);
 *     cj_tensor_free(picture);
 *
 * A picture is a tensor u8 [height, width, channels], the first row the topmost; channels are 1
 * (grey) or 3 (red, green, blue), as the file's own values: no gamma and no profile is applied.
 * What comes out is what Pillow gives with convert("RGB") or convert("L") after
 * ImageOps.exif_transpose, bit for bit where both use the same libjpeg:
 *   - alpha and transparent colours are dropped, the colours below them stay;
 *   - 16 bits become 8 by their upper half (Pillow cuts grey ones at 255 instead);
 *   - palettes are resolved; CMYK is taken as Adobe writes it, inverted;
 *   - the orientation in EXIF data turns the picture; XMP is not read.
 *
 * Bytes are taken as hostile. CJ_ERR_FORMAT: not a picture, damaged, or cut off (bytes after a
 * whole picture do not matter); CJ_ERR_LIMIT: more than CJ_PICTURE_PIXELS_MAX pixels, told before
 * memory is asked for; CJ_ERR_UNSUPPORTED: a kind of file that is not read, or one whose library
 * this build is without. libjpeg's own memory does not come from the context's allocator.
 *
 * Threads: functions may run in any number of threads, each with pictures of its own. */
#ifndef CAJAL_PICTURE_H
#define CAJAL_PICTURE_H

#include <cajal/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CJ_PICTURE_PIXELS_MAX (INT64_C(1) << 27)

/* ---- Files ----------------------------------------------------------------------------------- */

typedef struct cj_picture_format {
    const char *name;     /* "png" */
    const char *suffixes; /* ".jpg .jpeg": how files of this format end, in either case */
    const char *doc;      /* one line */
    const char *lacks;    /* the library without which this build cannot read it; NULL: it can */
    bool writes;          /* cj_picture_save can */
} cj_picture_format;

/* Format i of all; NULL past the last. */
CJ_API const cj_picture_format *cj_picture_format_at(int i);
/* The format a path ends as; NULL when it does not end as a picture. */
CJ_API const cj_picture_format *cj_picture_format_of(const char *path);

typedef enum cj_picture_colour {
    CJ_PICTURE_RGB,  /* 3 channels; grey is copied to each */
    CJ_PICTURE_GREY, /* 1 channel; (19595 r + 38470 g + 7471 b + 32768) / 65536 (ITU-R BT.601) */
    CJ_PICTURE_INDEX /* 1 channel, numbers of which each means something, as masks have: what a
                        palette's pixels are before they become colours (PNG, BMP), or grey, also
                        as three equal channels. CJ_ERR_DATA where there are colours;
                        CJ_ERR_UNSUPPORTED for JPEG, which does not keep numbers, and 16 bits */
} cj_picture_colour;

/* The picture in a file, or in bytes of memory; the format is told by the bytes alone. The caller
 * frees it. On failure *out is NULL. */
CJ_API cj_status cj_picture_load(cj_context *cj, const char *path, cj_picture_colour colour,
                                 cj_tensor **out);
CJ_API cj_status cj_picture_read(cj_context *cj, const void *bytes, size_t size,
                                 cj_picture_colour colour, cj_tensor **out);
/* Writes u8 [height, width, 1 or 3], or [height, width], whole or not at all, in the format the
 * path ends as: PNG, or PPM (.ppm, .pgm, .pnm) which needs no library. */
CJ_API cj_status cj_picture_save(cj_context *cj, const char *path, const cj_tensor *picture);

/* ---- Sizes ----------------------------------------------------------------------------------- */

/* Each gives the bits of Pillow's Image.resize: two passes, rows first, with weights in fixed
 * point; when a picture shrinks, the filter widens with it (antialias). */
typedef enum cj_picture_filter {
    CJ_PICTURE_BILINEAR,
    CJ_PICTURE_BICUBIC, /* a = -0.5 */
    CJ_PICTURE_AREA,    /* the mean of the pixels below (Pillow's BOX) */
    CJ_PICTURE_NEAREST
} cj_picture_filter;

/* The picture in another size; heights and widths are at least 1. The caller frees *out, which is
 * NULL on failure. */
CJ_API cj_status cj_picture_resize(const cj_tensor *picture, int64_t height, int64_t width,
                                   cj_picture_filter filter, cj_tensor **out);
/* The part of height x width whose upper left pixel is (top, left); it must lie inside. */
CJ_API cj_status cj_picture_crop(const cj_tensor *picture, int64_t top, int64_t left,
                                 int64_t height, int64_t width, cj_tensor **out);
/* The middle; an odd pixel more is left at the bottom and at the right. */
CJ_API cj_status cj_picture_centre_crop(const cj_tensor *picture, int64_t height, int64_t width,
                                        cj_tensor **out);

/* How a picture of any size becomes one of a given size. */
typedef enum cj_picture_fit {
    CJ_FIT_STRETCH, /* resized in each direction */
    CJ_FIT_CROP,    /* resized to cover, then the middle: nothing is distorted, margins are lost */
    CJ_FIT_PAD      /* resized to fit, in the middle of black: nothing is distorted, nothing lost */
} cj_picture_fit;

/* Where all of a picture comes to lie in the one that cj_picture_make_fit makes of it, in pixels:
 * with CJ_FIT_CROP it reaches beyond that one, to negative numbers. Sizes are at least 1. A point
 * at (x, y), as shares of width and height, is then at ((left + x width) / to_width, ...). */
typedef struct cj_picture_frame { int64_t top, left, height, width; } cj_picture_frame;
CJ_API cj_picture_frame cj_picture_fit_frame(int64_t height, int64_t width, int64_t to_height,
                                             int64_t to_width, cj_picture_fit fit);

CJ_API cj_status cj_picture_make_fit(const cj_tensor *picture, int64_t height, int64_t width,
                                     cj_picture_fit fit, cj_picture_filter filter,
                                     cj_tensor **out);

#ifdef __cplusplus
}
#endif
#endif
