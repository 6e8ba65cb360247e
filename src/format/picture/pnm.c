/* pnm.c: Netpbm's formats: PBM, PGM and PPM as text (P1, P2, P3) and as bytes (P4, P5, P6).
 *
 *     P6 640 480 255 <one blank> bytes         # and a comment to the end of a line anywhere before
 *
 * A sample v of at most `maximum` becomes 255 v / maximum, rounded half to even as Pillow does. In
 * PBM 1 is black. */
#include "format/picture/picture.h"

#include <string.h>

typedef struct pnm {
    cj_context *cj;
    const unsigned char *bytes;
    size_t size, at;
    int kind; /* 1 to 6 */
    int64_t maximum;
} pnm;

static bool is_blank(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool matches(const unsigned char *bytes, size_t size)
{
    return size >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
           (is_blank(bytes[2]) || bytes[2] == '#');
}

static void skip_blanks(pnm *b)
{
    bool comment = false;
    for (; b->at < b->size; b->at++) {
        const unsigned char c = b->bytes[b->at];
        if (c == '\n' || c == '\r') comment = false;
        else if (c == '#') comment = true;
        if (!comment && !is_blank(c)) return;
    }
}

/* A number in decimal digits of at most `digits` of them. */
static cj_status read_number(pnm *b, const char *what, int digits, int64_t *value)
{
    int n = 0;
    skip_blanks(b);
    if (b->at == b->size) return cj__picture_cut(b->cj, "ppm", b->size);
    for (*value = 0; b->at < b->size && n < digits; n++, b->at++) {
        const unsigned char c = b->bytes[b->at];
        if (c < '0' || c > '9') break;
        *value = 10 * *value + (c - '0');
    }
    if (n) return CJ_OK;
    return cj_fail(b->cj, CJ_ERR_FORMAT, "ppm: %s: expected a number at byte %zu, found '%c' (%d)",
                   what, b->at,
                   b->bytes[b->at] > 31 && b->bytes[b->at] < 127 ? b->bytes[b->at] : '?',
                   b->bytes[b->at]);
}

static cj_status read_header(pnm *b, int64_t *height, int64_t *width)
{
    b->kind = b->bytes[1] - '0';
    b->at = 2;
    b->maximum = 1;
    CJ__TRY(read_number(b, "width", 18, width));
    CJ__TRY(read_number(b, "height", 18, height));
    if (b->kind != 1 && b->kind != 4) CJ__TRY(read_number(b, "maximum", 18, &b->maximum));
    if (b->maximum < 1 || b->maximum > 65535)
        return cj_fail(b->cj, CJ_ERR_FORMAT, "ppm: the maximum is %lld, expected 1 to 65535",
                       (long long)b->maximum);
    if (b->kind < 4) return CJ_OK;
    if (b->at == b->size) return cj__picture_cut(b->cj, "ppm", b->size);
    if (!is_blank(b->bytes[b->at++]))
        return cj_fail(b->cj, CJ_ERR_FORMAT, "ppm: no blank between header and pixels");
    return CJ_OK;
}

static cj_status scale(const pnm *b, int64_t value, unsigned char *to)
{
    if (value > b->maximum)
        return cj_fail(b->cj, CJ_ERR_DATA, "ppm: a sample of %lld, and the maximum is %lld",
                       (long long)value, (long long)b->maximum);
    const int64_t twice = 2 * 255 * value, part = 2 * b->maximum;
    int64_t whole = (twice + b->maximum) / part;
    if ((twice + b->maximum) % part == 0 && whole % 2) whole--; /* half way: to the even one */
    *to = (unsigned char)whole;
    return CJ_OK;
}

static cj_status read_text(pnm *b, unsigned char *to, int64_t samples)
{
    const bool bits = b->kind == 1;
    for (int64_t i = 0; i < samples; i++) {
        int64_t value;
        if (i % 65536 == 0) CJ__TRY(cj__check_cancel(b->cj));
        CJ__TRY(read_number(b, "sample", bits ? 1 : 9, &value));
        CJ__TRY(scale(b, value, to + i));
        if (bits) to[i] = (unsigned char)(255 - to[i]);
    }
    return CJ_OK;
}

static void read_bits(const pnm *b, cj__picture *p)
{
    const int64_t row = (p->width + 7) / 8;
    for (int64_t y = 0; y < p->height; y++)
        for (int64_t x = 0; x < p->width; x++) {
            const unsigned byte = b->bytes[b->at + (size_t)(y * row + x / 8)];
            p->pixels[y * p->width + x] = byte >> (7 - x % 8) & 1 ? 0 : 255;
        }
}

static cj_status read_bytes(const pnm *b, unsigned char *to, int64_t samples)
{
    const unsigned char *from = b->bytes + b->at;
    if (b->maximum == 255) {
        memcpy(to, from, (size_t)samples);
        return CJ_OK;
    }
    for (int64_t i = 0; i < samples; i++)
        CJ__TRY(scale(b, b->maximum < 256 ? from[i] : from[2 * i] << 8 | from[2 * i + 1], to + i));
    return CJ_OK;
}

static cj_status decode(cj__picture *p, const unsigned char *bytes, size_t size)
{
    pnm b = {.cj = p->cj, .bytes = bytes, .size = size};
    int64_t height, width;
    CJ__TRY(read_header(&b, &height, &width));
    if (p->indices && b.maximum > 255)
        return cj__picture_no_index(p->cj, "ppm", "has a maximum above 255");
    CJ__TRY(cj__picture_begin(p, "ppm", height, width, b.kind % 3 ? 1 : 3));
    const int64_t samples = height * width * p->channels;
    const int64_t needed = b.kind < 4    ? samples
                           : b.kind == 4 ? height * ((width + 7) / 8)
                                         : samples * (b.maximum < 256 ? 1 : 2);
    if ((uint64_t)needed > size - b.at) return cj__picture_cut(p->cj, "ppm", size);
    if (b.kind < 4) return read_text(&b, p->pixels, samples);
    if (b.kind > 4) return read_bytes(&b, p->pixels, samples);
    read_bits(&b, p);
    return CJ_OK;
}

static cj_status encode(const cj__picture *p, cj__text *to)
{
    cj__text_format(to, "P%d\n%lld %lld\n255\n", p->channels == 1 ? 5 : 6, (long long)p->width,
                    (long long)p->height);
    cj__text_append(to, p->pixels, (size_t)(p->height * p->width * p->channels));
    return to->failed;
}

const cj__picture_format cj__picture_pnm = {
    .row = {.name = "ppm",
            .suffixes = ".ppm .pgm .pbm .pnm",
            .doc = "Netpbm's PBM, PGM and PPM, as text and as bytes",
            .writes = true},
    .matches = matches,
    .decode = decode,
    .encode = encode};
