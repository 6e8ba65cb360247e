/* npy.c: numpy's array format.
 *
 *     \x93NUMPY | major minor | header length | {'descr': '<f4', 'fortran_order': False, 'shape':
 * (3, 4), } |  1 byte each| u16, from version 2 on u32, little endian      spaces, newline |
 * elements
 *
 * The header is a Python literal. Ours is a parser of exactly that dictionary: the three keys, each
 * once, in any order. The elements must fill the rest of the file to the byte, so a header that
 * asks for more than there is costs nothing. */
#include "format/npy.h"

#include "base/file.h"
#include "base/json.h"
#include "base/size.h"
#include "base/strings.h"
#include "base/text.h"

enum { HEADER_LENGTH_MAX = 1 << 16, PREFIX = 8, ALIGNMENT = 64 };
enum { HEAD_MAX = HEADER_LENGTH_MAX + PREFIX + 4 }; /* the header is within so many bytes */

typedef struct npy {
    cj_context *cj;
    const char *begin, *at, *end; /* of the header's text */
    cj_dtype dtype;
    bool swap, fortran;
    bool is_text;   /* rows of `width` bytes, padded with zeros: u8 with one axis more, or, */
    bool is_utf32;  /* of four bytes a character, strings */
    int64_t width;
    int rank;
    int64_t shape[CJ_RANK_MAX];
} npy;

static bool machine_is_big_endian(void)
{
    uint16_t one = 1;
    return *(unsigned char *)&one == 0;
}

/* ---- The dictionary -------------------------------------------------------------------------- */

static cj_status unexpected(npy *p, const char *expected)
{
    int column = (int)(p->at - p->begin);
    if (p->at == p->end)
        return cj_fail(p->cj, CJ_ERR_FORMAT, "npy: the header ends at character %d, expected %s",
                       column, expected);
    unsigned char c = (unsigned char)*p->at;
    return cj_fail(p->cj, CJ_ERR_FORMAT, "npy: header character %d is '%c' (%d), expected %s",
                   column, c > 31 && c < 127 ? c : '?', c, expected);
}

/* Skips blanks, then takes `word` if it is what follows. */
static bool accept(npy *p, const char *word)
{
    size_t length = strlen(word);
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
    if ((size_t)(p->end - p->at) < length || memcmp(p->at, word, length) != 0) return false;
    p->at += length;
    return true;
}

/* A string in either quotes; no string in such a header needs an escape. */
static cj_status read_string(npy *p, const char **text, size_t *length)
{
    char quote = accept(p, "'") ? '\'' : '"';
    if (quote == '"' && !accept(p, "\"")) return unexpected(p, "a string");
    *text = p->at;
    while (p->at < p->end && *p->at != quote && *p->at != '\\' && *p->at != '\n') p->at++;
    *length = (size_t)(p->at - *text);
    return p->at < p->end && *p->at++ == quote ? CJ_OK : unexpected(p, "the end of a string");
}

/* '|S5' are texts of five bytes at most, '<U5' of five characters in UTF-32. */
static cj_status read_text_type(npy *p, const char *text, size_t length)
{
    const bool number = cj__parse_int64(text + 2, length - 2, &p->width);
    if (!number || p->width < 0 || p->width > INT32_MAX / 8)
        return cj_fail(p->cj, CJ_ERR_FORMAT, "npy: element type '%.*s' has no length",
                       length > 40 ? 40 : (int)length, text);
    p->is_utf32 = text[1] == 'U';
    p->is_text = !p->is_utf32;
    p->dtype = p->is_utf32 ? CJ_STRING : CJ_U8;
    if (p->is_utf32) p->width *= 4;
    p->swap = p->is_utf32 && (text[0] == '>') != machine_is_big_endian();
    return CJ_OK;
}

/* '<f4': byte order, kind and size. */
static cj_status read_descr(npy *p)
{
    const char *text;
    size_t length;
    if (accept(p, "["))
        return cj_fail(p->cj, CJ_ERR_UNSUPPORTED,
                       "npy: records of several fields are not supported");
    CJ__TRY(read_string(p, &text, &length));
    char order = length ? text[0] : '\0';
    if (length > 2 && (text[1] == 'S' || text[1] == 'U') && order && strchr("<>|", order))
        return read_text_type(p, text, length);
    p->dtype = length > 1 ? cj__dtype_from_numpy(text + 1, length - 1) : CJ_DTYPE_NONE;
    bool ordered = order == '<' || order == '>';
    if (!p->dtype || (!ordered && (order != '|' || cj__dtype_bytes(p->dtype) > 1)))
        return cj_fail(
            p->cj, CJ_ERR_UNSUPPORTED,
            "npy: element type '%.*s' is not supported, expected one such as '<f4', '>i8' or '|b1'",
            length > 40 ? 40 : (int)length, text);
    p->swap = ordered && (order == '>') != machine_is_big_endian();
    return CJ_OK;
}

/* () or (3,) or (3, 4) or (3, 4, ); Python 2 wrote 3L. */
static cj_status read_shape(npy *p)
{
    bool comma = true;
    if (!accept(p, "(")) return unexpected(p, "'('");
    while (!accept(p, ")")) {
        if (!comma) return unexpected(p, "',' or ')'");
        const char *first = p->at;
        while (p->at < p->end && *p->at >= '0' && *p->at <= '9') p->at++;
        if (p->at == first) return unexpected(p, "a dimension");
        if (p->rank == CJ_RANK_MAX)
            return cj_fail(p->cj, CJ_ERR_UNSUPPORTED,
                           "npy: more than %d dimensions are not supported", CJ_RANK_MAX);
        if (!cj__parse_int64(first, (size_t)(p->at - first), &p->shape[p->rank]))
            return cj_fail(p->cj, CJ_ERR_FORMAT, "npy: dimension %d is larger than any array",
                           p->rank);
        p->rank++;
        accept(p, "L");
        comma = accept(p, ",");
    }
    return p->rank == 1 && !comma ? unexpected(p, "a ',' in a shape of one dimension") : CJ_OK;
}

static cj_status read_bool(npy *p, bool *value)
{
    *value = accept(p, "True");
    return *value || accept(p, "False") ? CJ_OK : unexpected(p, "True or False");
}

static cj_status read_dictionary(npy *p)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4 };
    int seen = 0;
    bool comma = true;
    if (!accept(p, "{")) return unexpected(p, "'{'");
    while (!accept(p, "}")) {
        const char *key;
        size_t length;
        if (!comma) return unexpected(p, "',' or '}'");
        CJ__TRY(read_string(p, &key, &length));
        int which = length == 5 && memcmp(key, "descr", 5) == 0           ? DESCR
                    : length == 13 && memcmp(key, "fortran_order", 13) == 0 ? ORDER
                    : length == 5 && memcmp(key, "shape", 5) == 0           ? SHAPE
                                                                            : 0;
        if (!which || (seen & which))
            return cj_fail(p->cj, CJ_ERR_FORMAT, "npy: header key '%.*s' is %s",
                           length > 40 ? 40 : (int)length, key,
                           which ? "there twice" : "none of descr, fortran_order, shape");
        seen |= which;
        if (!accept(p, ":")) return unexpected(p, "':'");
        CJ__TRY(which == DESCR   ? read_descr(p)
                : which == SHAPE ? read_shape(p)
                                 : read_bool(p, &p->fortran));
        comma = accept(p, ",");
    }
    if (seen != (DESCR | ORDER | SHAPE))
        return cj_fail(p->cj, CJ_ERR_FORMAT, "npy: the header has no %s",
                       !(seen & DESCR) ? "descr" : !(seen & ORDER) ? "fortran_order" : "shape");
    accept(p, "");
    return p->at == p->end ? CJ_OK : unexpected(p, "blanks up to its end");
}

/* ---- The elements ---------------------------------------------------------------------------- */

static void reverse_bytes(unsigned char *elements, size_t count, size_t width)
{
    for (size_t i = 0; i < count; i++, elements += width)
        for (size_t a = 0, b = width - 1; a < b; a++, b--) {
            unsigned char byte = elements[a];
            elements[a] = elements[b];
            elements[b] = byte;
        }
}

/* Writes row-major what is column-major: the last index runs fastest in `to`, the first in `from`.
 */
static void from_fortran(const npy *p, int64_t count, size_t width, unsigned char *to,
                         const unsigned char *from)
{
    int64_t index[CJ_RANK_MAX] = {0}, stride[CJ_RANK_MAX], at = 0, step = 1;
    for (int i = 0; i < p->rank; step *= p->shape[i++]) stride[i] = step;
    for (int64_t n = 0; n < count; n++, to += width) {
        memcpy(to, from + (size_t)at * width, width);
        for (int axis = p->rank - 1; axis >= 0; axis--) {
            at += stride[axis];
            if (++index[axis] < p->shape[axis]) break;
            at -= stride[axis] * p->shape[axis];
            index[axis] = 0;
        }
    }
}

/* Of one that the header's shape counts: of a text all of its bytes. */
static size_t element_bytes(const npy *p)
{
    return p->is_text || p->is_utf32 ? (size_t)p->width : (size_t)cj__dtype_bytes(p->dtype);
}

/* The tensor's shape; returns its rank. */
static int full_shape(const npy *p, int64_t shape[CJ_RANK_MAX])
{
    memcpy(shape, p->shape, sizeof p->shape);
    if (p->is_text) shape[p->rank] = p->width;
    return p->rank + p->is_text;
}

/* Whether they fill the `size` bytes behind the header. */
static cj_status count_elements(const npy *p, size_t size, int64_t *count)
{
    size_t expected, width = element_bytes(p);
    cj__shape_text text;
    if (p->is_text && p->rank == CJ_RANK_MAX)
        return cj_fail(p->cj, CJ_ERR_UNSUPPORTED,
                       "npy: texts of more than %d dimensions are not supported", CJ_RANK_MAX - 1);
    if (cj__count(p->rank, p->shape, count) && cj__bytes(*count, (int)width * 8, &expected) &&
        expected == size)
        return CJ_OK;
    return cj_fail(p->cj, CJ_ERR_FORMAT,
                   "npy: shape %s of %s does not fill the %zu bytes that follow the header",
                   cj__shape_string(&text, p->rank, p->shape), cj_dtype_info(p->dtype)->name, size);
}

/* Zeros behind a text are no part of it; what is no character is refused. */
static cj_status take_utf32(const npy *p, const unsigned char *cell, int64_t i, uint64_t *number,
                            cj__text *text)
{
    text->length = 0;
    size_t n = (size_t)p->width / 4;
    uint32_t c = 0;
    for (; n; n--) {
        memcpy(&c, cell + 4 * (n - 1), 4);
        if (c) break;
    }
    for (size_t k = 0; k < n; k++) {
        memcpy(&c, cell + 4 * k, 4);
        if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
            return cj_fail(p->cj, CJ_ERR_DATA, "npy: text %lld has the character %lu", (long long)i,
                           (unsigned long)c);
        char character[4], *end = cj__utf8_put(character, c);
        for (const char *b = character; b < end; b++) cj__text_char(text, *b);
    }
    if (text->failed) return text->failed;
    return cj__string_number(p->cj, text->bytes ? text->bytes : "", text->length, number);
}

/* Texts of no characters take none of the file's bytes, but eight each of memory. */
enum { EMPTY_TEXTS_MAX = 65536 };

static cj_status read_utf32(npy *p, const unsigned char *bytes, size_t size, cj_tensor **out)
{
    int64_t count;
    cj__text text;
    CJ__TRY(count_elements(p, size, &count));
    if (!p->width && count > EMPTY_TEXTS_MAX)
        return cj_fail(p->cj, CJ_ERR_LIMIT,
                       "npy: %lld texts of no characters, more than %d, which no bytes stand for",
                       (long long)count, EMPTY_TEXTS_MAX);
    unsigned char *cells = cj__alloc(p->cj, size + 1);
    cj_tensor *t = cells ? cj_tensor_new(p->cj, CJ_STRING, p->rank, p->shape) : NULL;
    cj_status failed = t ? CJ_OK : p->cj->status;
    if (t && p->fortran) from_fortran(p, count, (size_t)p->width, cells, bytes);
    else if (t && size) memcpy(cells, bytes, size);
    if (t && p->swap) reverse_bytes(cells, size / 4, 4);
    cj__text_init(&text, p->cj);
    for (int64_t i = 0; i < count && !failed; i++)
        failed = take_utf32(p, cells + i * p->width, i, (uint64_t *)cj__tensor_data(t) + i, &text);
    cj__text_release(&text);
    cj__free(p->cj, cells, size + 1);
    if (failed) cj_tensor_free(t);
    else *out = t;
    return failed;
}

static cj_status read_elements(npy *p, const unsigned char *bytes, size_t size, cj_tensor **out)
{
    int64_t count;
    int64_t shape[CJ_RANK_MAX];
    if (p->is_utf32) return read_utf32(p, bytes, size, out);
    CJ__TRY(count_elements(p, size, &count));
    const int rank = full_shape(p, shape);
    const size_t width = element_bytes(p);
    cj_tensor *t = cj__tensor_new_raw(p->cj, p->dtype, rank, shape);
    if (!t) return p->cj->status;
    unsigned char *to = cj__tensor_data(t);
    if (p->fortran && count) from_fortran(p, count, width, to, bytes);
    else if (size) memcpy(to, bytes, size);
    if (p->swap) reverse_bytes(to, (size_t)count, width);
    for (size_t i = 0; p->dtype == CJ_BOOL && i < size; i++) to[i] = to[i] != 0;
    *out = t;
    return CJ_OK;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* *at: where the elements begin. */
static cj_status read_header(npy *p, cj_context *cj, const unsigned char *b, size_t size,
                             size_t *at)
{
    if (size < PREFIX + 2 || memcmp(b, "\x93NUMPY", 6) != 0)
        return cj_fail(cj, CJ_ERR_FORMAT, "npy: the file does not begin as a .npy file does");
    int major = b[6];
    if (major < 1 || major > 3 || b[7] != 0)
        return cj_fail(cj, CJ_ERR_UNSUPPORTED,
                       "npy: format version %d.%d is not supported, expected 1.0 to 3.0", major,
                       b[7]);
    size_t prefix = major == 1 ? PREFIX + 2 : PREFIX + 4, length = b[8] | (size_t)b[9] << 8;
    if (size < prefix) return cj_fail(cj, CJ_ERR_FORMAT, "npy: the file ends inside its header");
    if (major > 1) length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > HEADER_LENGTH_MAX || length > size - prefix)
        return cj_fail(cj, CJ_ERR_FORMAT,
                       "npy: the header claims %zu characters, expected at most %zu", length,
                       size - prefix < HEADER_LENGTH_MAX ? size - prefix : HEADER_LENGTH_MAX);
    *p = (npy){.cj = cj, .begin = (const char *)b + prefix};
    p->at = p->begin;
    p->end = p->begin + length;
    *at = prefix + length;
    return read_dictionary(p);
}

cj_status cj_npy_read(cj_context *cj, const void *bytes, size_t size, cj_tensor **out)
{
    npy p;
    size_t at;
    *out = NULL;
    CJ__TRY(read_header(&p, cj, bytes, size, &at));
    return read_elements(&p, (const unsigned char *)bytes + at, size - at, out);
}

cj_status cj_npy_load(cj_context *cj, const char *path, cj_tensor **out)
{
    cj__file_bytes file;
    *out = NULL;
    CJ__TRY(cj__file_load(cj, path, 0, &file));
    cj_status failed = cj_npy_read(cj, file.data, file.size, out);
    cj__file_unload(&file);
    return failed ? cj__prefix(cj, failed, "%s", path) : CJ_OK;
}

static cj_status look(cj_context *cj, const cj__reader *file, unsigned char *head, cj_npy_info *out)
{
    const size_t size = file->size < HEAD_MAX ? (size_t)file->size : HEAD_MAX;
    npy p;
    size_t at;
    int64_t count;
    CJ__TRY(cj__reader_read(file, cj, head, size, 0));
    CJ__TRY(read_header(&p, cj, head, size, &at));
    CJ__TRY(count_elements(&p, (size_t)file->size - at, &count));
    *out = (cj_npy_info){.dtype = p.dtype,
                         .offset = (int64_t)at,
                         .plain = !p.swap && !p.is_utf32 && (!p.fortran || p.rank < 2)};
    out->rank = full_shape(&p, out->shape);
    return CJ_OK;
}

cj_status cj_npy_look(cj_context *cj, const char *path, cj_npy_info *out)
{
    cj__reader file;
    CJ__TRY(cj__reader_open(&file, cj, path));
    unsigned char *head = cj__alloc(cj, HEAD_MAX);
    cj_status failed = head ? look(cj, &file, head, out) : cj_last_status(cj);
    if (head) cj__free(cj, head, HEAD_MAX);
    cj__reader_close(&file);
    return failed ? cj__prefix(cj, failed, "%s", path) : CJ_OK;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* characters: of texts, in each element; 0: the elements are numbers. */
static size_t write_head(const cj_tensor *t, int characters, char header[CJ__NPY_HEADER_MAX])
{
    cj__shape_text shape;
    char code[16];
    char order = cj__dtype_bytes(t->dtype) == 1 ? '|' : machine_is_big_endian() ? '>' : '<';
    size_t prefix = PREFIX + 2;
    cj__format(code, sizeof code, characters ? "%s%d" : "%s", cj_dtype_info(t->dtype)->numpy,
               characters);
    size_t text = (size_t)cj__format(header + prefix, CJ__NPY_HEADER_MAX - prefix,
                                     "{'descr': '%c%s', 'fortran_order': False, 'shape': %s, }",
                                     order, code, cj__shape_string(&shape, t->rank, t->shape));
    size_t total = cj__round_up(prefix + text + 1, ALIGNMENT);
    memset(header + prefix + text, ' ', total - prefix - text);
    header[total - 1] = '\n';
    memcpy(header, "\x93NUMPY\1\0", PREFIX);
    header[8] = (char)((total - prefix) & 255);
    header[9] = (char)((total - prefix) >> 8);
    return total;
}

size_t cj__npy_header(const cj_tensor *t, char header[CJ__NPY_HEADER_MAX])
{
    return write_head(t, 0, header);
}

/* Characters of the longest text of all, or a failure for what is no UTF-8. */
static cj_status longest(cj_context *cj, const cj_tensor *t, size_t *out)
{
    *out = 1;
    for (int64_t i = 0; i < t->count; i++) {
        const char *text = cj_tensor_string(t, i);
        size_t n = 0, left = strlen(text);
        for (size_t step; left; n++, text += step, left -= step)
            if (!(step = cj__utf8_length(text, left)))
                return cj_fail(cj, CJ_ERR_DATA, "npy: text %lld is no UTF-8", (long long)i);
        if (n > *out) *out = n;
    }
    return CJ_OK;
}

static uint32_t character(const char *text, size_t length)
{
    const unsigned char *c = (const unsigned char *)text;
    uint32_t value = length == 1 ? c[0] : c[0] & (0x7f >> length);
    for (size_t i = 1; i < length; i++) value = value << 6 | (c[i] & 0x3f);
    return value;
}

/* The texts as '<U5': u32 with one axis more, which has no limit here as no tensor is made. */
static cj_status save_strings(cj_context *cj, const char *path, const cj_tensor *t)
{
    char header[CJ__NPY_HEADER_MAX];
    size_t n, bytes;
    int64_t cells;
    cj__writer writer;
    CJ__TRY(longest(cj, t, &n));
    if (!cj__count(2, (int64_t[]){t->count, (int64_t)n}, &cells) || !cj__bytes(cells, 32, &bytes))
        return cj_fail(cj, CJ_ERR_LIMIT, "npy: %lld texts of %zu characters", (long long)t->count,
                       n);
    uint32_t *all = cj__alloc(cj, bytes + 4), *to = all;
    if (!all) return cj->status;
    for (int64_t i = 0; i < t->count; i++, to += n) {
        const char *text = cj_tensor_string(t, i);
        size_t left = strlen(text);
        for (size_t k = 0, step; left; k++, text += step, left -= step)
            to[k] = character(text, step = cj__utf8_length(text, left));
    }
    cj_status failed = cj__writer_begin(&writer, cj, path);
    if (!failed) {
        cj__writer_write(&writer, header, write_head(t, (int)n, header));
        cj__writer_write(&writer, all, bytes);
        failed = cj__writer_commit(&writer);
    }
    cj__free(cj, all, bytes + 4);
    return failed;
}

cj_status cj_npy_save(cj_context *cj, const char *path, const cj_tensor *tensor)
{
    if (tensor->dtype == CJ_STRING) return save_strings(cj, path, tensor);
    char header[CJ__NPY_HEADER_MAX];
    cj__writer writer;
    CJ__TRY(cj__writer_begin(&writer, cj, path));
    cj__writer_write(&writer, header, cj__npy_header(tensor, header));
    cj__writer_write(&writer, cj__tensor_data(tensor), cj_tensor_size_bytes(tensor));
    return cj__writer_commit(&writer);
}
