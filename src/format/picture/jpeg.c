/* jpeg.c: JPEG by libjpeg-turbo (or another libjpeg), baseline and progressive.
 *
 * libjpeg leaves a function that fails by longjmp. It comes to `guarded`, whose caller owns all
 * that must be given back. libjpeg invents grey pixels where a file ends too early, and only warns;
 * here that is a failure. A progressive file may have any number of scans over the whole picture,
 * each a few bytes long, so scans are counted. */
#include "format/picture/picture.h"

static bool matches(const unsigned char *bytes, size_t size)
{
    return size >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
}

#ifdef CJ_HAVE_JPEG
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum { SCANS_MAX = 500, EXIF_MARKER = JPEG_APP0 + 1, EXIF_PREFIX = 6 };
static const long memory_max = 1L << 30; /* of coefficients of a progressive file */

typedef struct reader {
    struct jpeg_error_mgr errors;        /* first: libjpeg knows the reader by it */
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct jpeg;
    cj_context *cj;
    cj__picture *p;
    jmp_buf jump;
    cj_status failed;
    const unsigned char *bytes;
    size_t size;
    unsigned char *line; /* [width, 4] of CMYK */
} reader;

static void leave(reader *r, cj_status failed)
{
    r->failed = failed;
    longjmp(r->jump, 1);
}

static void on_error(j_common_ptr jpeg)
{
    reader *r = (reader *)jpeg->err;
    char text[JMSG_LENGTH_MAX];
    r->errors.format_message(jpeg, text);
    const int code = r->errors.msg_code;
    if (code == JERR_INPUT_EOF || code == JERR_INPUT_EMPTY)
        leave(r, cj__picture_cut(r->cj, "jpeg", r->size));
    const cj_status status = code == JERR_OUT_OF_MEMORY   ? CJ_ERR_MEMORY
                             : code == JERR_NO_BACKING_STORE ? CJ_ERR_LIMIT
                                                             : CJ_ERR_FORMAT;
    leave(r, cj_fail(r->cj, status, "jpeg: %s", text));
}

static void on_message(j_common_ptr jpeg, int level)
{
    reader *r = (reader *)jpeg->err;
    if (level < 0 && r->errors.msg_code == JWRN_JPEG_EOF)
        leave(r, cj__picture_cut(r->cj, "jpeg", r->size));
}

static void print_nothing(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void on_progress(j_common_ptr jpeg)
{
    reader *r = (reader *)jpeg->err;
    const cj_status failed = cj__check_cancel(r->cj);
    if (failed) leave(r, failed);
    if (r->jpeg.input_scan_number > SCANS_MAX)
        leave(r, cj_fail(r->cj, CJ_ERR_LIMIT, "jpeg: more than %d scans", SCANS_MAX));
}

static void read_orientation(reader *r)
{
    for (jpeg_saved_marker_ptr m = r->jpeg.marker_list; m; m = m->next)
        if (m->marker == EXIF_MARKER && m->data_length > EXIF_PREFIX &&
            !memcmp(m->data, "Exif\0", EXIF_PREFIX)) {
            r->p->orientation = cj__exif_orientation(m->data + EXIF_PREFIX,
                                                     m->data_length - EXIF_PREFIX);
            return;
        }
}

/* a b / 255, rounded, for bytes; Pillow's way. */
static int multiply(int a, int b)
{
    const int product = a * b + 128;
    return ((product >> 8) + product) >> 8;
}

/* Adobe writes inks inverted: 255 is no ink. So c, m, y, k here are the light that is left. */
static void colours_of_inks(unsigned char *to, const unsigned char *from, int64_t pixels)
{
    for (int64_t i = 0; i < pixels; i++, from += 4)
        for (int k = 0; k < 3; k++)
            *to++ = (unsigned char)(from[3] - multiply(255 - from[k], from[3]));
}

static void choose_colours(reader *r)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    switch (jpeg->jpeg_color_space) {
    case JCS_GRAYSCALE: jpeg->out_color_space = JCS_GRAYSCALE; break;
    case JCS_RGB:
    case JCS_YCbCr: jpeg->out_color_space = JCS_RGB; break;
    case JCS_CMYK:
    case JCS_YCCK: jpeg->out_color_space = JCS_CMYK; break;
    default:
        leave(r, cj_fail(r->cj, CJ_ERR_UNSUPPORTED,
                         "jpeg: %d components of no known meaning; 1, 3 and 4 are read",
                         jpeg->num_components));
    }
}

static void read_rows(reader *r)
{
    cj__picture *p = r->p;
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    const bool inks = jpeg->out_color_space == JCS_CMYK;
    if (inks)
        r->line = jpeg->mem->alloc_large((j_common_ptr)jpeg, JPOOL_IMAGE, (size_t)p->width * 4);
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        unsigned char *to = p->pixels + (size_t)jpeg->output_scanline *
                                            (size_t)(p->width * p->channels);
        JSAMPROW row = inks ? r->line : to;
        jpeg_read_scanlines(jpeg, &row, 1);
        if (inks) colours_of_inks(to, r->line, p->width);
    }
}

static void read_guarded(reader *r)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    if (setjmp(r->jump)) return;
    jpeg_create_decompress(jpeg);
    jpeg->mem->max_memory_to_use = memory_max;
    jpeg->progress = &r->progress;
    r->progress.progress_monitor = on_progress;
    jpeg_mem_src(jpeg, r->bytes, (unsigned long)r->size);
    jpeg_save_markers(jpeg, EXIF_MARKER, 0xffff);
    jpeg_read_header(jpeg, TRUE);
    read_orientation(r);
    choose_colours(r);
    const cj_status failed =
        cj__picture_begin(r->p, "jpeg", jpeg->image_height, jpeg->image_width,
                          jpeg->out_color_space == JCS_GRAYSCALE ? 1 : 3);
    if (failed) leave(r, failed);
    read_rows(r);
}

static cj_status decode(cj__picture *p, const unsigned char *bytes, size_t size)
{
    reader r = {.cj = p->cj, .p = p, .bytes = bytes, .size = size};
    if (p->indices) return cj__picture_no_index(p->cj, "jpeg", "is only nearly what was drawn");
    r.jpeg.err = jpeg_std_error(&r.errors);
    r.errors.error_exit = on_error;
    r.errors.emit_message = on_message;
    r.errors.output_message = print_nothing;
    read_guarded(&r);
    jpeg_destroy_decompress(&r.jpeg);
    return r.failed;
}
#endif

const cj__picture_format cj__picture_jpeg = {
    .row = {.name = "jpeg",
            .suffixes = ".jpg .jpeg .jpe .jfif",
            .doc = "JPEG: baseline and progressive, grey, YCbCr, RGB, CMYK and YCCK",
#ifndef CJ_HAVE_JPEG
            .lacks = "libjpeg",
#endif
    },
    .matches = matches,
#ifdef CJ_HAVE_JPEG
    .decode = decode,
#endif
};
