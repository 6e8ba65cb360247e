/* bmp.c: Windows bitmaps without compression: 1, 4, 8 bits with a palette, 16, 24, 32 bits.
 *
 *     "BM" | size u32 | 0 u32 | pixels at u32 | header | masks or palette | ... | pixels
 *
 * The header begins with its own size: 12 bytes (OS/2: 16-bit sides, palette of 3 bytes a colour),
 * or 40 and more. Rows are padded to 4 bytes, the lowest first unless the height is negative. */
#include "format/picture/picture.h"

enum {
    FILE_HEADER = 14,
    CORE = 12,
    INFO = 40,
    WITH_MASKS = 52,
    PLAIN = 0,
    BITFIELDS = 3,
    ALPHA_BITFIELDS = 6
};

typedef struct bmp {
    cj_context *cj;
    const unsigned char *bytes;
    size_t size, at; /* of the first pixel */
    int64_t height, width;
    bool top_down;
    unsigned bits;
    uint32_t mask[3];
    const unsigned char *palette;
    unsigned colours, entry; /* of the palette, and bytes of one */
} bmp;

static bool matches(const unsigned char *bytes, size_t size)
{
    return size >= 2 && bytes[0] == 'B' && bytes[1] == 'M';
}

static unsigned read16(const unsigned char *b)
{
    return (unsigned)(b[0] | b[1] << 8);
}

static uint32_t read32(const unsigned char *b)
{
    return read16(b) | (uint32_t)read16(b + 2) << 16;
}

static cj_status read_masks(bmp *b, unsigned compression)
{
    static const uint32_t fives[3] = {0x7c00, 0x3e0, 0x1f}, bytes[3] = {0xff0000, 0xff00, 0xff};
    for (int k = 0; k < 3; k++) {
        if (compression == PLAIN) b->mask[k] = b->bits == 16 ? fives[k] : bytes[k];
        else b->mask[k] = read32(b->bytes + FILE_HEADER + INFO + 4 * k);
        const uint32_t low = b->mask[k] & (~b->mask[k] + 1);
        if (b->mask[k] & (b->mask[k] + low))
            return cj_fail(b->cj, CJ_ERR_FORMAT, "bmp: the bits of a colour, %#x, have a gap",
                           (unsigned)b->mask[k]);
    }
    return CJ_OK;
}

static cj_status read_palette(bmp *b, size_t header, uint32_t colours)
{
    const unsigned most = 1u << b->bits;
    const size_t begin = FILE_HEADER + header;
    b->colours = colours && colours < most ? colours : most;
    b->entry = header == CORE ? 3 : 4;
    b->palette = b->bytes + begin;
    if (begin > b->size || (b->size - begin) / b->entry < b->colours)
        return cj__picture_cut(b->cj, "bmp", b->size);
    return CJ_OK;
}

static cj_status read_header(bmp *b)
{
    if (b->size < FILE_HEADER + 4) return cj__picture_cut(b->cj, "bmp", b->size);
    const unsigned char *h = b->bytes + FILE_HEADER;
    const uint32_t header = read32(h);
    const bool core = header == CORE;
    if (!core && (header < INFO || header > 1024))
        return cj_fail(b->cj, CJ_ERR_FORMAT, "bmp: a header of %u bytes, expected 12, 40 or more",
                       (unsigned)header);
    const unsigned compression = b->size < FILE_HEADER + INFO || core ? PLAIN : read32(h + 16);
    const bool masks = compression == BITFIELDS || compression == ALPHA_BITFIELDS;
    if (b->size < FILE_HEADER + (masks && header < WITH_MASKS ? WITH_MASKS : header))
        return cj__picture_cut(b->cj, "bmp", b->size);
    const int32_t rows = core ? (int32_t)read16(h + 6) : (int32_t)read32(h + 8);
    b->at = read32(b->bytes + 10);
    b->width = core ? (int32_t)read16(h + 4) : (int32_t)read32(h + 4);
    b->top_down = rows < 0;
    b->height = rows < 0 ? -(int64_t)rows : rows;
    b->bits = read16(h + (core ? 10 : 14));
    if (compression != PLAIN && !(masks && (b->bits == 16 || b->bits == 32)))
        return cj_fail(b->cj, CJ_ERR_UNSUPPORTED,
                       "bmp: compression %u of %u bits a pixel; only plain pixels are read",
                       compression, b->bits);
    switch (b->bits) {
    case 1: case 4: case 8: return read_palette(b, header, core ? 0 : read32(h + 32));
    case 16: case 32: return read_masks(b, compression);
    case 24: return CJ_OK;
    default:
        return cj_fail(b->cj, CJ_ERR_FORMAT,
                       "bmp: %u bits a pixel, expected 1, 4, 8, 16, 24 or 32", b->bits);
    }
}

static unsigned char channel(uint32_t pixel, uint32_t mask)
{
    if (!mask) return 0;
    const uint32_t low = mask & (~mask + 1), most = mask / low;
    return (unsigned char)((uint64_t)((pixel & mask) / low) * 255 / most);
}

static unsigned read_index(const bmp *b, const unsigned char *row, int64_t x)
{
    const int64_t bit = x * b->bits;
    const unsigned shift = 8 - b->bits - (unsigned)(bit % 8);
    return row[bit / 8] >> shift & ((1u << b->bits) - 1);
}

/* One pixel of a row to red, green, blue. An index behind the palette's end is black. */
static void read_pixel(const bmp *b, const unsigned char *row, int64_t x, unsigned char *to)
{
    const unsigned char *bgr = NULL;
    if (b->bits <= 8) {
        const unsigned index = read_index(b, row, x);
        if (index < b->colours) bgr = b->palette + (size_t)index * b->entry;
    } else if (b->bits == 24) bgr = row + 3 * x;
    else {
        const uint32_t pixel = b->bits == 16 ? read16(row + 2 * x) : read32(row + 4 * x);
        for (int k = 0; k < 3; k++) to[k] = channel(pixel, b->mask[k]);
        return;
    }
    for (int k = 0; k < 3; k++) to[k] = bgr ? bgr[2 - k] : 0;
}

static cj_status decode(cj__picture *p, const unsigned char *bytes, size_t size)
{
    bmp b = {.cj = p->cj, .bytes = bytes, .size = size};
    CJ__TRY(read_header(&b));
    const bool index = p->indices && b.bits <= 8;
    CJ__TRY(cj__picture_begin(p, "bmp", b.height, b.width, index ? 1 : 3));
    const size_t row = (size_t)((b.width * b.bits + 31) / 32 * 4);
    if (b.at > size || (size - b.at) / row < (size_t)b.height)
        return cj__picture_cut(p->cj, "bmp", size);
    for (int64_t y = 0; y < b.height; y++) {
        const unsigned char *from = bytes + b.at + (size_t)y * row;
        unsigned char *to = p->pixels +
                            (b.top_down ? y : b.height - 1 - y) * b.width * p->channels;
        for (int64_t x = 0; x < b.width; x++)
            if (index) to[x] = (unsigned char)read_index(&b, from, x);
            else read_pixel(&b, from, x, to + 3 * x);
    }
    return CJ_OK;
}

const cj__picture_format cj__picture_bmp = {
    .row = {.name = "bmp",
            .suffixes = ".bmp .dib",
            .doc = "Windows bitmaps: 1 to 32 bits a pixel, palettes, uncompressed"},
    .matches = matches,
    .decode = decode};
