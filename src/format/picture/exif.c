/* exif.c: which way up a camera was held.
 *
 * EXIF data is a TIFF file: "II" (little endian) or "MM" (big), 42, and where the first directory
 * lies, which is a count and so many entries
 *
 *     tag u16 | type u16 | count u32 | value, or where it lies, u32
 *
 * Tag 0x0112 is the orientation, 1 to 8. Data that says nothing sensible says 1. */
#include "format/picture/picture.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY = 12 };

typedef struct tiff {
    const unsigned char *bytes;
    size_t size;
    bool big;
} tiff;

static unsigned read16(const tiff *t, size_t at)
{
    const unsigned char *b = t->bytes + at;
    return t->big ? (unsigned)(b[0] << 8 | b[1]) : (unsigned)(b[1] << 8 | b[0]);
}

static uint32_t read32(const tiff *t, size_t at)
{
    const uint32_t first = read16(t, at), second = read16(t, at + 2);
    return t->big ? first << 16 | second : second << 16 | first;
}

int cj__exif_orientation(const unsigned char *bytes, size_t size)
{
    const tiff t = {bytes, size, size > 0 && bytes[0] == 'M'};
    if (size < 8 || (bytes[0] != 'I' && bytes[0] != 'M') || bytes[1] != bytes[0] ||
        read16(&t, 2) != 42)
        return 1;
    size_t at = read32(&t, 4);
    if (at > size - 2) return 1;
    const unsigned entries = read16(&t, at);
    at += 2;
    for (unsigned i = 0; i < entries; i++, at += ENTRY) {
        if (at > size || size - at < ENTRY) return 1;
        if (read16(&t, at) != TAG_ORIENTATION) continue;
        const unsigned type = read16(&t, at + 2);
        const uint32_t value = type == TYPE_SHORT  ? read16(&t, at + 8)
                               : type == TYPE_LONG ? read32(&t, at + 8)
                                                   : 1;
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}
