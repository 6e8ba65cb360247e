/* text.c: growing text, nearest words, checksums.
 *
 * A text keeps one byte more than its length, so that it is always terminated. Its first failure is
 * sticky, so code that prints a page checks once. */
#include "base/text.h"

#include <string.h>

#include "base/size.h"

/* ---- Growing -------------------------------------------------------------------------------- */

void cj__text_init(cj__text *text, cj_context *cj)
{
    *text = (cj__text){.cj = cj};
}

void cj__text_release(cj__text *text)
{
    if (text->bytes) cj__free(text->cj, text->bytes, text->capacity);
    *text = (cj__text){.cj = text->cj};
}

/* Makes room for `more` bytes and the NUL. */
static bool reserve(cj__text *text, size_t more)
{
    if (text->failed) return false;
    size_t need;
    if (!cj__size_add(text->length, more, &need) || !cj__size_add(need, 1, &need)) {
        text->failed = cj_fail(text->cj, CJ_ERR_MEMORY,
                               "out of memory: a text of %zu and %zu bytes more", text->length,
                               more);
        return false;
    }
    if (need <= text->capacity) return true;
    size_t grown = text->capacity < 64 ? 64 : text->capacity;
    while (grown < need) grown = grown > SIZE_MAX / 2 ? need : grown * 2;
    char *bytes = cj__realloc(text->cj, text->bytes, text->capacity, grown);
    if (!bytes) {
        text->failed = text->cj->status;
        return false;
    }
    text->bytes = bytes;
    text->capacity = grown;
    return true;
}

void cj__text_append(cj__text *text, const void *bytes, size_t length)
{
    if (!reserve(text, length)) return;
    if (length) memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = 0;
}

void cj__text_add(cj__text *text, const char *string)
{
    cj__text_append(text, string, strlen(string));
}

void cj__text_char(cj__text *text, char c)
{
    cj__text_append(text, &c, 1);
}

void cj__text_format(cj__text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = cj__vformat(NULL, 0, format, args);
    if (length >= 0 && reserve(text, (size_t)length)) {
        cj__vformat(text->bytes + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

void cj__text_clear(cj__text *text)
{
    text->length = 0;
    if (text->bytes) text->bytes[0] = 0;
}

const char *cj__text_string(const cj__text *text)
{
    return text->bytes ? text->bytes : "";
}

/* ---- JSON ----------------------------------------------------------------------------------- */

/* Bytes of the UTF-8 sequence at p (NUL-terminated), 0 when it is none: too long forms, surrogates
 * and numbers past U+10FFFF are refused by the range of the second byte (Unicode 15, table 3-7). */
static int utf8_length(const unsigned char *p)
{
    if (p[0] < 0x80) return 1;
    int n = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
            : (p[0] & 0xf0) == 0xe0        ? 3
            : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                           : 0;
    if (!n) return 0;
    unsigned low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high) return 0;
    for (int i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0; /* a NUL ends here, so nothing behind it is read */
    return n;
}

void cj__text_json(cj__text *text, const char *string)
{
    cj__text_char(text, '"');
    for (const unsigned char *p = (const unsigned char *)string; *p;) {
        int n = utf8_length(p);
        if (n > 1) cj__text_append(text, p, (size_t)n);
        else if (n == 0) cj__text_add(text, "\xef\xbf\xbd");
        else if (*p == '"' || *p == '\\') cj__text_char(text, '\\'), cj__text_char(text, (char)*p);
        else if (*p == '\n') cj__text_add(text, "\\n");
        else if (*p == '\r') cj__text_add(text, "\\r");
        else if (*p == '\t') cj__text_add(text, "\\t");
        else if (*p < 0x20 || *p == 0x7f) cj__text_format(text, "\\u%04x", *p);
        else cj__text_char(text, (char)*p);
        p += n ? n : 1;
    }
    cj__text_char(text, '"');
}

/* ---- Nearest word --------------------------------------------------------------------------- */

enum { WORD_MAX = 63 };

static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c == '-' ? '_' : c;
}

static int min3(int a, int b, int c)
{
    return a < b ? (a < c ? a : c) : (b < c ? b : c);
}

/* Edit distance with swaps of neighbours (optimal string alignment), three rows at a time; case and
 * the choice of - or _ count nothing. */
static int distance(const char *a, int n, const char *b, int m)
{
    int rows[3][WORD_MAX + 1];
    for (int j = 0; j <= m; j++) rows[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            int x = lower((unsigned char)a[i - 1]), y = lower((unsigned char)b[j - 1]);
            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == lower((unsigned char)b[j - 2]) &&
                y == lower((unsigned char)a[i - 2]) && before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
    }
    return rows[n % 3][m];
}

/* Is `word` a part of `whole`, the _ of both left out? */
static bool is_part(const char *word, const char *whole)
{
    for (; *whole; whole++) {
        const char *a = word, *b = whole;
        while (*a && (*a == '_' || *b == '_' || lower((unsigned char)*a) == *b)) {
            bool skip_a = *a == '_', skip_b = *b == '_';
            a += skip_a || !skip_b;
            b += skip_b || !skip_a;
        }
        if (!*a && a[-1] != '_') return true;
    }
    return false;
}

void cj__list_words(char *out, size_t size, const char *const *words, int shown)
{
    static const char rest[] = ", ...";
    size_t length = 0;
    out[0] = 0;
    for (int i = 0; words[i]; i++) {
        const bool fits = length + strlen(words[i]) + 2 + sizeof rest <= size;
        const int n = cj__format(out + length, size - length, "%s%s", i ? ", " : "",
                                 i < shown && fits ? words[i] : "...");
        if (n < 0 || i >= shown || !fits) return;
        length += (size_t)n;
    }
}


const char *cj__nearest(const char *word, const char *const *words)
{
    enum { PART_MIN = 5 };
    const char *nearest = NULL;
    const char *const *first = words;
    size_t n = strlen(word);
    if (n == 0 || n > WORD_MAX) return NULL;
    int best = 1 + (int)n / 4;             /* a typing error for each four letters */
    if (best >= (int)n) best = (int)n - 1; /* nothing in common is not near */
    for (; *words; words++) {
        size_t m = strlen(*words);
        if (m > WORD_MAX) continue;
        int d = distance(word, (int)n, *words, (int)m);
        if (d < best || (d == best && !nearest)) {
            best = d;
            nearest = *words;
        }
    }
    for (words = first; !nearest && n >= PART_MIN && *words; words++)
        if (is_part(word, *words)) nearest = *words;
    return nearest;
}

/* ---- Checksums ------------------------------------------------------------------------------ */

enum { CRC_LARGE = 16384 }; /* from here on building tables pays */

/* CRC-32 (polynomial 0xedb88320, reflected) by half bytes; the table is the CRC of 0 .. 15. */
static uint32_t crc_small(uint32_t crc, const unsigned char *p, size_t size)
{
    static const uint32_t half[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                      0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                      0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                      0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    for (; size; size--, p++) {
        crc ^= *p;
        crc = crc >> 4 ^ half[crc & 15];
        crc = crc >> 4 ^ half[crc & 15];
    }
    return crc;
}

/* Eight bytes a step: table[k][b] is the CRC of byte b followed by k zero bytes. The tables are
 * made anew (2 microseconds a call) because the library has no mutable globals. */
static uint32_t crc_large(uint32_t crc, const unsigned char *p, size_t size)
{
    uint32_t table[8][256];
    for (uint32_t b = 0; b < 256; b++) {
        unsigned char byte = (unsigned char)b;
        table[0][b] = crc_small(0, &byte, 1);
    }
    for (int k = 1; k < 8; k++)
        for (int b = 0; b < 256; b++)
            table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 255];
    for (; size >= 8; size -= 8, p += 8) {
        crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        crc = table[7][crc & 255] ^ table[6][crc >> 8 & 255] ^ table[5][crc >> 16 & 255] ^
              table[4][crc >> 24] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^
              table[0][p[7]];
    }
    return crc_small(crc, p, size);
}

uint32_t cj__crc32(uint32_t crc, const void *bytes, size_t size)
{
    crc = ~crc;
    return ~(size < CRC_LARGE ? crc_small(crc, bytes, size) : crc_large(crc, bytes, size));
}

/* The finalizer of a 64-bit mixer: every input bit reaches every output bit. */
static uint64_t mix(uint64_t h)
{
    h = (h ^ h >> 33) * 0xff51afd7ed558ccd;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53;
    return h ^ h >> 33;
}

/* Eight bytes a step in little-endian order, so that the value is the same on every machine. */
uint64_t cj__hash(const void *bytes, size_t size, uint64_t seed)
{
    const unsigned char *p = bytes;
    uint64_t h = mix(seed ^ 0x9e3779b97f4a7c15) ^ size;
    while (size) {
        uint64_t word = 0;
        size_t n = size < 8 ? size : 8;
        for (size_t i = 0; i < n; i++) word |= (uint64_t)p[i] << 8 * i;
        h = mix(h ^ word) + 0x9e3779b97f4a7c15;
        p += n, size -= n;
    }
    return mix(h);
}
