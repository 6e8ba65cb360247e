/* proto.c: one loop over tags.
 *
 *     field = tag, value               tag = varint (number << 3 | wire)
 *     wire 0   varint                  7 bits a byte, low first, at most 10 bytes
 *     wire 1   8 bytes                 little-endian
 *     wire 2   varint n, n bytes       text, a message, or packed numbers
 *     wire 5   4 bytes                 little-endian
 *
 * Every read is checked by comparing lengths, never by forming a pointer beyond the end. */
#include "format/onnx/proto.h"

#include <string.h>

/* ---- Slices ---------------------------------------------------------------------------------- */

cj__slice cj__slice_of(const char *text)
{
    return (cj__slice){text, text ? strlen(text) : 0};
}

bool cj__slice_equal(cj__slice a, cj__slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

bool cj__slice_is(cj__slice slice, const char *text)
{
    return cj__slice_equal(slice, cj__slice_of(text));
}

const char *cj__slice_show(cj__slice slice, char out[CJ__SLICE_SHOWN])
{
    size_t n = slice.size < 60 ? slice.size : 60;
    for (size_t i = 0; i < n; i++)
        out[i] = slice.at[i] >= ' ' && slice.at[i] <= '~' ? slice.at[i] : '?';
    memcpy(out + n, slice.size > n ? "..." : "", slice.size > n ? 4 : 1);
    return out;
}

/* Length of the UTF-8 sequence at s, 0 when it is none: overlong forms, surrogates and code points
 * beyond U+10FFFF are none (Unicode 15, table 3-7). */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    if (s[0] < 0x80) return 1;
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || length > n) return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool outside = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
    return overlong || outside ? 0 : length;
}

cj_status cj__slice_string(cj__arena *arena, cj__slice slice, const char *what, char **out)
{
    const unsigned char *s = (const unsigned char *)slice.at;
    for (size_t i = 0, step; i < slice.size; i += step) {
        if (!s[i])
            return cj_fail(arena->cj, CJ_ERR_FORMAT, "%s holds a NUL at its byte %zu", what, i);
        step = utf8_length(s + i, slice.size - i);
        if (!step)
            return cj_fail(arena->cj, CJ_ERR_FORMAT, "%s is not UTF-8 at its byte %zu (0x%02x)",
                           what, i, s[i]);
    }
    char *copy = cj__arena_alloc(arena, slice.size + 1);
    if (!copy) return cj_last_status(arena->cj);
    if (slice.size) memcpy(copy, slice.at, slice.size);
    *out = copy;
    return CJ_OK;
}

/* ---- Reading --------------------------------------------------------------------------------- */

cj_status cj__proto_fail(cj__proto_reader *reader, cj_status status, const unsigned char *at,
                         const char *format, ...)
{
    char text[512];
    va_list args;
    if (reader->failed) return reader->failed;
    va_start(args, format);
    cj__vformat(text, sizeof text, format, args);
    va_end(args);
    size_t byte = (size_t)((at ? at : reader->at) - reader->start);
    return reader->failed = cj_fail(reader->cj, status, "byte %zu: %s", byte, text);
}

cj__proto_reader cj__proto_open(cj_context *cj, const void *bytes, size_t size)
{
    static const unsigned char nothing[1];
    const unsigned char *start = size ? bytes : nothing;
    return (cj__proto_reader){.cj = cj, .start = start, .at = start, .end = start + size};
}

bool cj__proto_varint(cj__proto_reader *reader, uint64_t *value)
{
    const unsigned char *p = reader->at;
    uint64_t sum = 0;
    if (reader->failed || p == reader->end) return false;
    if (*p < 0x80) return reader->at++, *value = *p, true; /* nearly all of them */
    for (int shift = 0;; shift += 7, p++) {
        if (p == reader->end) {
            cj__proto_fail(reader, CJ_ERR_FORMAT, NULL, "the bytes end inside a varint");
            return false;
        }
        /* The tenth byte has room for one bit. */
        if (shift == 63 && *p > 1) {
            cj__proto_fail(reader, CJ_ERR_FORMAT, NULL, "a varint of more than 64 bits");
            return false;
        }
        sum |= (uint64_t)(*p & 0x7f) << shift;
        if (*p < 0x80) break;
    }
    reader->at = p + 1;
    *value = sum;
    return true;
}

bool cj__proto_fixed(cj__proto_reader *reader, size_t width, uint64_t *value)
{
    if (reader->failed || reader->at == reader->end) return false;
    if ((size_t)(reader->end - reader->at) < width) {
        cj__proto_fail(reader, CJ_ERR_FORMAT, NULL, "a number of %zu bytes, but %zu are left",
                       width, (size_t)(reader->end - reader->at));
        return false;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < width; i++) sum |= (uint64_t)reader->at[i] << (8 * i);
    reader->at += width;
    *value = sum;
    return true;
}

/* A value must be there: what the two functions above take for the end of an array is an error. */
static bool need_value(cj__proto_reader *reader, bool got)
{
    if (!got) cj__proto_fail(reader, CJ_ERR_FORMAT, NULL, "the bytes end after a field's tag");
    return got;
}

bool cj__proto_next(cj__proto_reader *reader, cj__proto_field *field)
{
    uint64_t tag;
    const unsigned char *at = reader->at;
    if (!cj__proto_varint(reader, &tag)) return false;
    *field =
        (cj__proto_field){.number = (uint32_t)(tag >> 3), .wire = (cj__wire)(tag & 7), .at = at};
    if (tag > UINT32_MAX || field->number == 0) {
        cj__proto_fail(reader, CJ_ERR_FORMAT, at, "no field has the tag %llu",
                       (unsigned long long)tag);
        return false;
    }
    switch (field->wire) {
    case CJ__WIRE_VARINT: return need_value(reader, cj__proto_varint(reader, &field->value));
    case CJ__WIRE_FIXED64: return need_value(reader, cj__proto_fixed(reader, 8, &field->value));
    case CJ__WIRE_FIXED32: return need_value(reader, cj__proto_fixed(reader, 4, &field->value));
    case CJ__WIRE_BYTES: break;
    default:
        cj__proto_fail(reader, CJ_ERR_FORMAT, at, "field %u has wire type %d, which is not read",
                       field->number, (int)field->wire);
        return false;
    }
    uint64_t size;
    if (!need_value(reader, cj__proto_varint(reader, &size))) return false;
    size_t left = (size_t)(reader->end - reader->at);
    if (size > left) {
        cj__proto_fail(reader, CJ_ERR_FORMAT, at, "field %u says %llu bytes, but %zu are left",
                       field->number, (unsigned long long)size, left);
        return false;
    }
    field->bytes = (cj__slice){(const char *)reader->at, (size_t)size};
    reader->at += size;
    return true;
}

bool cj__proto_expect(cj__proto_reader *reader, const cj__proto_field *field, cj__wire wire,
                      const char *name)
{
    if (field->wire == wire) return true;
    cj__proto_fail(reader, CJ_ERR_FORMAT, field->at, "%s (field %u) has wire type %d, not %d", name,
                   field->number, (int)field->wire, (int)wire);
    return false;
}

cj__proto_reader cj__proto_packed(const cj__proto_reader *reader, const cj__proto_field *field)
{
    cj__proto_reader packed = *reader;
    packed.at = (const unsigned char *)field->bytes.at;
    packed.end = packed.at + field->bytes.size;
    return packed;
}

bool cj__proto_enter(cj__proto_reader *reader, const cj__proto_field *field,
                     cj__proto_reader *inside)
{
    *inside = cj__proto_packed(reader, field);
    if (++inside->depth <= CJ__PROTO_DEPTH_MAX) return true;
    cj__proto_fail(reader, CJ_ERR_LIMIT, field->at, "messages are nested more than %d deep",
                   CJ__PROTO_DEPTH_MAX);
    return false;
}

/* ---- Writing --------------------------------------------------------------------------------- */

void cj__proto_put(cj__proto_writer *writer, const void *bytes, size_t size)
{
    writer->size += size;
    if (writer->out && size) cj__text_append(writer->out, bytes, size);
}

void cj__proto_put_varint(cj__proto_writer *writer, uint64_t value)
{
    unsigned char bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7) bytes[n++] = (unsigned char)(value | 0x80);
    bytes[n++] = (unsigned char)value;
    cj__proto_put(writer, bytes, n);
}

void cj__proto_put_tag(cj__proto_writer *writer, uint32_t number, cj__wire wire)
{
    cj__proto_put_varint(writer, (uint64_t)number << 3 | (uint64_t)wire);
}

void cj__proto_put_int(cj__proto_writer *writer, uint32_t number, int64_t value)
{
    cj__proto_put_tag(writer, number, CJ__WIRE_VARINT);
    cj__proto_put_varint(writer, (uint64_t)value);
}

void cj__proto_put_float(cj__proto_writer *writer, uint32_t number, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    unsigned char bytes[4] = {(unsigned char)bits, (unsigned char)(bits >> 8),
                              (unsigned char)(bits >> 16), (unsigned char)(bits >> 24)};
    cj__proto_put_tag(writer, number, CJ__WIRE_FIXED32);
    cj__proto_put(writer, bytes, sizeof bytes);
}

void cj__proto_put_bytes(cj__proto_writer *writer, uint32_t number, cj__slice bytes)
{
    cj__proto_put_tag(writer, number, CJ__WIRE_BYTES);
    cj__proto_put_varint(writer, bytes.size);
    cj__proto_put(writer, bytes.at, bytes.size);
}
