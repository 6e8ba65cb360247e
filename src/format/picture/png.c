/* png.c: PNG by libpng (W3C: Portable Network Graphics, third edition).
 *
 * libpng leaves a function that fails by longjmp. It comes to `guarded`, whose caller owns all that
 * must be given back; libpng's own memory comes from the context. libpng goes on without an
 * ancillary chunk for which there was no memory, so a failed allocation is remembered. */
#include "format/picture/picture.h"

static bool matches(const unsigned char *bytes, size_t size)
{
    static const unsigned char magic[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    for (size_t i = 0; i < 8; i++)
        if (i >= size || bytes[i] != magic[i]) return false;
    return true;
}

#ifdef CJ_HAVE_PNG
#include <png.h>
#include <setjmp.h>
#include <string.h>

typedef struct coder {
    cj_context *cj;
    jmp_buf jump;
    cj_status failed; /* the first failure; its message is the context's */
    png_structp png;
    png_infop info;
    /* Of a reader: */
    cj__picture *p;
    const unsigned char *bytes;
    size_t size, at;
    /* Of a writer: */
    const cj__picture *picture;
    cj__text *to;
} coder;

static void stop(coder *c, cj_status failed)
{
    if (!c->failed) c->failed = failed;
    longjmp(c->jump, 1);
}

static void on_error(png_structp png, png_const_charp text)
{
    coder *c = png_get_error_ptr(png);
    stop(c, c->failed ? c->failed : cj_fail(c->cj, CJ_ERR_FORMAT, "png: %.200s", text));
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static png_voidp allocate(png_structp png, png_alloc_size_t size)
{
    coder *c = png_get_mem_ptr(png);
    void *block = cj_allocate(c->cj, size);
    if (!block && !c->failed) c->failed = cj_last_status(c->cj);
    return block;
}

static void release(png_structp png, png_voidp block)
{
    coder *c = png_get_mem_ptr(png);
    cj_free(c->cj, block);
}

/* Rows take time; a cancelled context stops between them. */
static void look_up(coder *c, int64_t row)
{
    const cj_status failed = row % 64 == 0 ? cj__check_cancel(c->cj) : CJ_OK;
    if (failed) stop(c, failed);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void read_bytes(png_structp png, png_bytep to, size_t n)
{
    coder *c = png_get_io_ptr(png);
    if (n > c->size - c->at) stop(c, cj__picture_cut(c->cj, "png", c->size));
    memcpy(to, c->bytes + c->at, n);
    c->at += n;
}

/* Eight bits of grey or three colours, whatever the file has. */
static void choose_transforms(coder *c)
{
    const int type = png_get_color_type(c->png, c->info);
    png_set_strip_16(c->png);
    if (type == PNG_COLOR_TYPE_PALETTE && c->p->indices) png_set_packing(c->png);
    else if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(c->png);
    if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(c->png);
    png_set_strip_alpha(c->png);
}

static void read_picture(coder *c)
{
    cj__picture *p = c->p;
    const int64_t height = png_get_image_height(c->png, c->info);
    const int64_t width = png_get_image_width(c->png, c->info);
    const int type = png_get_color_type(c->png, c->info);
    const bool index = p->indices && type == PNG_COLOR_TYPE_PALETTE;
    const int channels = type & PNG_COLOR_MASK_COLOR && !index ? 3 : 1;
    cj_status failed = CJ_OK;
    if (p->indices && png_get_bit_depth(c->png, c->info) == 16)
        failed = cj__picture_no_index(c->cj, "png", "has 16 bits");
    if (!failed) failed = cj__picture_begin(p, "png", height, width, channels);
    if (failed) stop(c, failed);
    choose_transforms(c);
    const int passes = png_set_interlace_handling(c->png);
    png_read_update_info(c->png, c->info);
    const size_t row = (size_t)(width * channels);
    if (png_get_rowbytes(c->png, c->info) != row)
        png_error(c->png, "rows of another length than the header says");
    for (int pass = 0; pass < passes; pass++)
        for (int64_t y = 0; y < height; y++) {
            look_up(c, y);
            png_read_row(c->png, p->pixels + (size_t)y * row, NULL);
        }
}

static void read_orientation(coder *c)
{
    png_bytep exif = NULL;
    png_uint_32 size = 0;
    png_read_end(c->png, c->info);
    if (png_get_eXIf_1(c->png, c->info, &size, &exif))
        c->p->orientation = cj__exif_orientation(exif, size);
}

static void read_guarded(coder *c)
{
    if (setjmp(c->jump)) return;
    c->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, c, on_error, on_warning, c, allocate,
                                      release);
    c->info = c->png ? png_create_info_struct(c->png) : NULL;
    if (!c->info) return;
    png_set_read_fn(c->png, c, read_bytes);
    png_set_user_limits(c->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours comes before memory */
    png_set_keep_unknown_chunks(c->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(c->png, PNG_HANDLE_CHUNK_AS_DEFAULT, (png_const_bytep) "eXIf", 1);
    png_read_info(c->png, c->info);
    read_picture(c);
    read_orientation(c);
}

static cj_status fail_creating(const coder *c)
{
    if (c->failed || c->info) return c->failed;
    return cj_fail(c->cj, CJ_ERR_UNSUPPORTED, "png: libpng is another version than at build time");
}

static cj_status decode(cj__picture *p, const unsigned char *bytes, size_t size)
{
    coder c = {.cj = p->cj, .p = p, .bytes = bytes, .size = size};
    read_guarded(&c);
    cj_status failed = fail_creating(&c);
    png_destroy_read_struct(&c.png, &c.info, NULL);
    return failed;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void write_bytes(png_structp png, png_bytep bytes, size_t n)
{
    coder *c = png_get_io_ptr(png);
    cj__text_append(c->to, bytes, n);
    if (c->to->failed) stop(c, c->to->failed);
}

static void flush(png_structp png)
{
    (void)png;
}

static void write_guarded(coder *c)
{
    const cj__picture *p = c->picture;
    if (setjmp(c->jump)) return;
    c->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, c, on_error, on_warning, c, allocate,
                                       release);
    c->info = c->png ? png_create_info_struct(c->png) : NULL;
    if (!c->info) return;
    png_set_write_fn(c->png, c, write_bytes, flush);
    png_set_user_limits(c->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(c->png, c->info, (png_uint_32)p->width, (png_uint_32)p->height, 8,
                 p->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(c->png, c->info);
    for (int64_t y = 0; y < p->height; y++) {
        look_up(c, y);
        png_write_row(c->png, p->pixels + y * p->width * p->channels);
    }
    png_write_end(c->png, c->info);
}

static cj_status encode(const cj__picture *p, cj__text *to)
{
    coder c = {.cj = p->cj, .picture = p, .to = to};
    write_guarded(&c);
    cj_status failed = fail_creating(&c);
    png_destroy_write_struct(&c.png, &c.info);
    return failed;
}
#endif

const cj__picture_format cj__picture_png = {
    .row = {.name = "png",
            .suffixes = ".png",
            .doc = "Portable Network Graphics: every depth, palettes, alpha dropped, interlaced",
#ifndef CJ_HAVE_PNG
            .lacks = "libpng",
#endif
            .writes = true},
    .matches = matches,
#ifdef CJ_HAVE_PNG
    .decode = decode,
    .encode = encode,
#endif
};
