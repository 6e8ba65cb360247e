/* picture.c: from bytes to a picture and back: which format it is, which way is up, which colours.
 *
 *     bytes -> decode (one row a format) -> turn as EXIF says -> grey or three colours
 */
#include "format/picture/picture.h"

#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "tensor/tensor.h"

static const cj__picture_format *const formats[] = {&cj__picture_png, &cj__picture_jpeg,
                                                    &cj__picture_bmp, &cj__picture_pnm};

enum { SIDE_MAX = 1 << 24 }; /* no format's sides multiply to more than an int64 below it */

const cj_picture_format *cj_picture_format_at(int i)
{
    return i >= 0 && (size_t)i < CJ__COUNT(formats) ? &formats[i]->row : NULL;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Does the path end in one of ".jpg .jpeg", in either case? */
static bool has_suffix(const char *path, const char *suffixes)
{
    const size_t length = strlen(path);
    for (const char *s = suffixes; *s;) {
        const size_t n = strcspn(s, " ");
        size_t same = 0;
        while (length > n && same < n && lower(path[length - n + same]) == s[same]) same++;
        if (same == n) return true;
        s += n + (s[n] == ' ');
    }
    return false;
}

static const cj__picture_format *format_of(const char *path)
{
    for (size_t i = 0; i < CJ__COUNT(formats); i++)
        if (has_suffix(path, formats[i]->row.suffixes)) return formats[i];
    return NULL;
}

const cj_picture_format *cj_picture_format_of(const char *path)
{
    const cj__picture_format *format = path ? format_of(path) : NULL;
    return format ? &format->row : NULL;
}

/* ---- What decoders use ----------------------------------------------------------------------- */

cj_status cj__picture_begin(cj__picture *p, const char *format, int64_t height, int64_t width,
                            int channels)
{
    if (height < 1 || width < 1)
        return cj_fail(p->cj, CJ_ERR_FORMAT, "%s: %lld x %lld pixels, expected at least 1 x 1",
                       format, (long long)width, (long long)height);
    if (height > SIDE_MAX || width > SIDE_MAX || height * width > CJ_PICTURE_PIXELS_MAX)
        return cj_fail(p->cj, CJ_ERR_LIMIT,
                       "%s: it claims %lld x %lld pixels, and at most %lld are read", format,
                       (long long)width, (long long)height, (long long)CJ_PICTURE_PIXELS_MAX);
    p->tensor = cj_tensor_new(p->cj, CJ_U8, 3, (int64_t[]){height, width, channels});
    if (!p->tensor) return cj_last_status(p->cj);
    p->pixels = cj__tensor_data(p->tensor);
    p->height = height;
    p->width = width;
    p->channels = channels;
    return CJ_OK;
}

cj_status cj__picture_cut(cj_context *cj, const char *format, size_t size)
{
    return cj_fail(cj, CJ_ERR_FORMAT, "%s: the picture is not complete: the file ends at byte %zu",
                   format, size);
}

cj_status cj__picture_no_index(cj_context *cj, const char *format, const char *why)
{
    return cj_fail(cj, CJ_ERR_UNSUPPORTED,
                   "%s: %s, so its pixels are no numbers that a mask could have; expected PNG, BMP "
                   "or PPM of at most 8 bits",
                   format, why);
}

/* ---- Turning and colours --------------------------------------------------------------------- */

/* EXIF's eight orientations: is the picture mirrored at its diagonal, and are then rows and columns
 * of the result read backwards? */
static const struct { bool diagonal, rows, columns; } turns[9] = {
    [2] = {false, false, true}, [3] = {false, true, true}, [4] = {false, true, false},
    [5] = {true, false, false}, [6] = {true, false, true}, [7] = {true, true, true},
    [8] = {true, true, false}};

static cj_status turn(cj__picture *p)
{
    const int way = p->orientation >= 1 && p->orientation <= 8 ? p->orientation : 1;
    const bool diagonal = turns[way].diagonal;
    cj__picture to = {.cj = p->cj};
    if (way == 1) return CJ_OK;
    CJ__TRY(cj__picture_begin(&to, "picture", diagonal ? p->width : p->height,
                              diagonal ? p->height : p->width, (int)p->channels));
    const size_t n = (size_t)p->channels;
    for (int64_t y = 0; y < to.height; y++)
        for (int64_t x = 0; x < to.width; x++) {
            const int64_t v = turns[way].rows ? to.height - 1 - y : y;
            const int64_t u = turns[way].columns ? to.width - 1 - x : x;
            const int64_t from = diagonal ? u * p->width + v : v * p->width + u;
            memcpy(to.pixels + (size_t)(y * to.width + x) * n, p->pixels + (size_t)from * n, n);
        }
    cj_tensor_free(p->tensor);
    *p = to;
    return CJ_OK;
}

static void make_grey(unsigned char *to, const unsigned char *from, int64_t pixels)
{
    for (int64_t i = 0; i < pixels; i++, from += 3)
        to[i] = (unsigned char)((19595u * from[0] + 38470u * from[1] + 7471u * from[2] + 32768u) >>
                                16);
}

/* The first of three channels, which must be equal. */
static cj_status take_index(cj_context *cj, unsigned char *to, const unsigned char *from,
                            int64_t pixels)
{
    for (int64_t i = 0; i < pixels; i++, from += 3) {
        if (from[0] != from[1] || from[0] != from[2])
            return cj_fail(cj, CJ_ERR_DATA,
                           "picture: it has colours, such as (%d, %d, %d) in pixel %lld; expected "
                           "grey or a palette",
                           from[0], from[1], from[2], (long long)i);
        to[i] = from[0];
    }
    return CJ_OK;
}

static cj_status recolour(cj__picture *p, cj_picture_colour colour)
{
    const int channels = colour == CJ_PICTURE_RGB ? 3 : 1;
    cj_status failed = CJ_OK;
    const int64_t pixels = p->height * p->width;
    cj__picture to = {.cj = p->cj};
    if (channels == p->channels) return CJ_OK;
    CJ__TRY(cj__picture_begin(&to, "picture", p->height, p->width, channels));
    if (colour == CJ_PICTURE_GREY) make_grey(to.pixels, p->pixels, pixels);
    else if (channels == 1) failed = take_index(p->cj, to.pixels, p->pixels, pixels);
    else
        for (int64_t i = 0; i < pixels; i++) memset(to.pixels + 3 * i, p->pixels[i], 3);
    cj_tensor_free(p->tensor);
    *p = to;
    return failed;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static cj_status fail_lacking(cj_context *cj, const cj_picture_format *row)
{
    return cj_fail(cj, CJ_ERR_UNSUPPORTED, "%s: this build of cajal is without %s", row->name,
                   row->lacks);
}

static cj_status find_format(cj_context *cj, const unsigned char *bytes, size_t size,
                             const cj__picture_format **format)
{
    if (!size) return cj_fail(cj, CJ_ERR_FORMAT, "picture: it is empty");
    for (size_t i = 0; i < CJ__COUNT(formats); i++)
        if (formats[i]->matches(bytes, size)) {
            *format = formats[i];
            return (*format)->decode ? CJ_OK : fail_lacking(cj, &(*format)->row);
        }
    char begin[16] = "";
    for (size_t i = 0; i < size && i < 4; i++)
        cj__format(begin + 3 * i, sizeof begin - 3 * i, " %02x", bytes[i]);
    return cj_fail(cj, CJ_ERR_FORMAT, "picture: neither PNG, JPEG, BMP nor PPM; it begins with%s",
                   begin);
}

cj_status cj_picture_read(cj_context *cj, const void *bytes, size_t size, cj_picture_colour colour,
                          cj_tensor **out)
{
    const cj__picture_format *format = NULL;
    cj__picture p = {.cj = cj, .orientation = 1, .indices = colour == CJ_PICTURE_INDEX};
    *out = NULL;
    CJ__TRY(find_format(cj, bytes, size, &format));
    cj_status failed = format->decode(&p, bytes, size);
    if (!failed) failed = turn(&p);
    if (!failed) failed = recolour(&p, colour);
    if (failed) cj_tensor_free(p.tensor);
    else *out = p.tensor;
    return failed;
}

cj_status cj_picture_load(cj_context *cj, const char *path, cj_picture_colour colour,
                          cj_tensor **out)
{
    cj__file_bytes file;
    *out = NULL;
    CJ__TRY(cj__file_load(cj, path, 0, &file));
    cj_status failed = cj_picture_read(cj, file.data, file.size, colour, out);
    cj__file_unload(&file);
    return failed ? cj__prefix(cj, failed, "%s", path) : CJ_OK;
}

/* ---- Writing --------------------------------------------------------------------------------- */

cj_status cj__picture_of(const cj_tensor *t, const char *what, cj__picture *p)
{
    cj__shape_text shape;
    const int64_t channels = t->rank == 3 ? t->shape[2] : 1;
    if (t->dtype != CJ_U8 || t->rank < 2 || t->rank > 3 || (channels != 1 && channels != 3) ||
        t->shape[0] < 1 || t->shape[1] < 1 || t->shape[0] > SIDE_MAX || t->shape[1] > SIDE_MAX)
        return cj_fail(t->cj, CJ_ERR_SHAPE,
                       "%s: a picture is u8 (height, width, 1 or 3), received %s %s", what,
                       cj_dtype_info(t->dtype)->name, cj__shape_string(&shape, t->rank, t->shape));
    *p = (cj__picture){.cj = t->cj,
                       .pixels = cj__tensor_data(t),
                       .height = t->shape[0],
                       .width = t->shape[1],
                       .channels = channels};
    return CJ_OK;
}

cj_status cj_picture_save(cj_context *cj, const char *path, const cj_tensor *picture)
{
    const cj__picture_format *format = format_of(path);
    cj__picture p;
    cj__text file;
    if (!format || !format->row.writes)
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "%s: pictures are written as .png, .ppm, .pgm or .pnm", path);
    if (!format->encode) return cj__prefix(cj, fail_lacking(cj, &format->row), "%s", path);
    if (cj__picture_of(picture, path, &p))
        return cj == p.cj ? cj_last_status(cj)
                          : cj_fail(cj, CJ_ERR_SHAPE, "%s", cj_message(picture->cj));
    p.cj = cj;
    cj__text_init(&file, cj);
    cj_status failed = format->encode(&p, &file);
    if (!failed) failed = file.failed;
    if (!failed) failed = cj__file_save(cj, path, file.bytes, file.length);
    cj__text_release(&file);
    return failed;
}
