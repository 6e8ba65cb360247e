/* safetensors.c: named tensors in a file that can be mapped and used as it is.
 *
 *     u64 N | N bytes of JSON: {"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
 * ...} | data
 *
 * Reading refuses everything that is not exactly this: unknown fields, holes, overlaps, bytes left
 * over. Writing puts tensors with wide elements first, so that all are aligned in a mapped file.
 *
 * Our files carry checksums in "__metadata__":
 *
 *     "cajal.checksum": "crc32"       says that the next one must be there
 *     "crc32": "HHHHHHHHTTTTTTTT..."  of the header, then of each tensor, in the order of the data
 *
 * H is the CRC-32 of N and the JSON with "00000000" in the place of H. So a flipped bit is noticed
 * wherever it is: in the data by T, in the JSON by H, and in one of the two keys by the other. */
#include "format/safetensors.h"

#include "base/file.h"
#include "base/json.h"
#include "base/size.h"
#include "base/text.h"
#include "base/sort.h"
#include "tensor/low.h"

enum { PREFIX = 8, CRC_DIGITS = 8 };
static const uint64_t header_max = 100000000; /* what the format's own reader takes */
static const char no_crc[] = "00000000";

/* ---- Reading: the header --------------------------------------------------------------------- */

typedef struct section {
    const char *name;
    size_t place; /* in the header */
    size_t begin, end; /* in the data */
    cj_dtype dtype;
    int rank;
    int64_t shape[CJ_RANK_MAX];
} section;

typedef struct reader {
    cj_context *cj;
    const char *what;
    cj__arena arena;
    const unsigned char *header; /* the JSON */
    size_t header_size, data_size;
    const cj__json *metadata; /* NULL: none */
    section *sections;        /* in the order of the header */
    const section **sorted;   /* in the order of the data */
    size_t count;
    const char *crc; /* NULL: none; CRC_DIGITS for the header and for each of `sorted` */
} reader;

/* A string without NUL, which would be cut where it becomes a C string. */
static bool is_text(const char *string, size_t length)
{
    return strlen(string) == length;
}

static cj_status read_dtype(reader *r, section *s, const cj__json *dtype)
{
    if (dtype->type != CJ__JSON_STRING)
        return cj_fail(r->cj, CJ_ERR_FORMAT, "%s: tensor '%.100s': dtype is no string", r->what,
                       s->name);
    s->dtype = cj__dtype_from_safetensors(dtype->string, dtype->length);
    if (s->dtype) return CJ_OK;
    return cj_fail(r->cj, CJ_ERR_UNSUPPORTED, "%s: tensor '%.100s': dtype '%.40s' is not supported",
                   r->what, s->name, dtype->string);
}

static cj_status read_shape(reader *r, section *s, const cj__json *shape)
{
    if (shape->type != CJ__JSON_ARRAY)
        return cj_fail(r->cj, CJ_ERR_FORMAT, "%s: tensor '%.100s': shape is no list", r->what,
                       s->name);
    if (shape->count > CJ_RANK_MAX)
        return cj_fail(r->cj, CJ_ERR_UNSUPPORTED,
                       "%s: tensor '%.100s' has %zu dimensions, expected at most %d", r->what,
                       s->name, shape->count, CJ_RANK_MAX);
    for (const cj__json *dim = shape->first; dim; dim = dim->next) {
        if (!dim->is_integer || dim->integer < 0)
            return cj_fail(r->cj, CJ_ERR_FORMAT, "%s: tensor '%.100s': dimension %d is no size",
                           r->what, s->name, s->rank);
        s->shape[s->rank++] = dim->integer;
    }
    return CJ_OK;
}

static cj_status read_offsets(reader *r, section *s, const cj__json *offsets)
{
    const cj__json *begin = offsets->first, *end = begin ? begin->next : NULL;
    if (offsets->type != CJ__JSON_ARRAY || offsets->count != 2 || !begin->is_integer ||
        !end->is_integer || begin->integer < 0 || end->integer < begin->integer)
        return cj_fail(r->cj, CJ_ERR_FORMAT,
                       "%s: tensor '%.100s': data_offsets are not [begin, end]", r->what, s->name);
    if ((uint64_t)end->integer > r->data_size)
        return cj_fail(r->cj, CJ_ERR_FORMAT,
                       "%s: tensor '%.100s' ends at byte %lld of the data, which has %zu", r->what,
                       s->name, (long long)end->integer, r->data_size);
    s->begin = (size_t)begin->integer;
    s->end = (size_t)end->integer;
    return CJ_OK;
}

static cj_status read_section(reader *r, section *s, const cj__json *entry)
{
    const cj__json *dtype = cj__json_find(entry, "dtype"), *shape = cj__json_find(entry, "shape");
    const cj__json *offsets = cj__json_find(entry, "data_offsets");
    s->name = entry->key;
    if (!is_text(entry->key, entry->key_length))
        return cj_fail(r->cj, CJ_ERR_FORMAT, "%s: a tensor's name holds a NUL", r->what);
    if (!dtype || !shape || !offsets || entry->count != 3)
        return cj_fail(r->cj, CJ_ERR_FORMAT,
                       "%s: tensor '%.100s' has not exactly dtype, shape and data_offsets", r->what,
                       s->name);
    CJ__TRY(read_dtype(r, s, dtype));
    CJ__TRY(read_shape(r, s, shape));
    CJ__TRY(read_offsets(r, s, offsets));
    int64_t count;
    size_t bytes;
    cj__shape_text text;
    const int bits = cj_dtype_info(s->dtype)->packed;
    if (!cj__count(s->rank, s->shape, &count) || !cj__bytes(count, bits, &bytes) ||
        (bits < 8 && count % (8 / bits)) || bytes != s->end - s->begin)
        return cj_fail(r->cj, CJ_ERR_FORMAT,
                       "%s: tensor '%.100s': shape %s of %s does not fill its %zu bytes", r->what,
                       s->name, cj__shape_string(&text, s->rank, s->shape),
                       cj_dtype_info(s->dtype)->name, s->end - s->begin);
    return CJ_OK;
}

static int compare_sections(const void *a, const void *b)
{
    const section *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* Sections in the order of the data must meet end to begin, from the first byte to the last. */
static cj_status check_cover(reader *r)
{
    size_t at = 0;
    for (size_t i = 0; i < r->count; i++) r->sorted[i] = &r->sections[i];
    cj__sort((const void **)r->sorted, r->count, compare_sections);
    for (size_t i = 0; i < r->count; at = r->sorted[i++]->end)
        if (r->sorted[i]->begin != at)
            return cj_fail(r->cj, CJ_ERR_FORMAT,
                           "%s: tensor '%.100s' begins at byte %zu of the data, expected %zu",
                           r->what, r->sorted[i]->name, r->sorted[i]->begin, at);
    if (at != r->data_size)
        return cj_fail(r->cj, CJ_ERR_FORMAT,
                       "%s: the tensors have %zu bytes, and the file has room for %zu", r->what, at,
                       r->data_size);
    return CJ_OK;
}

static cj_status read_metadata(reader *r, const cj__json *metadata)
{
    r->metadata = metadata;
    if (metadata->type != CJ__JSON_OBJECT)
        return cj_fail(r->cj, CJ_ERR_FORMAT, "%s: __metadata__ is no object", r->what);
    for (const cj__json *m = metadata->first; m; m = m->next) {
        if (m->type != CJ__JSON_STRING)
            return cj_fail(r->cj, CJ_ERR_FORMAT, "%s: __metadata__ '%.100s' is no string", r->what,
                           m->key);
        if (!is_text(m->key, m->key_length) || !is_text(m->string, m->length))
            return cj_fail(r->cj, CJ_ERR_UNSUPPORTED, "%s: __metadata__ '%.100s' holds a NUL",
                           r->what, m->key);
    }
    return CJ_OK;
}

static cj_status read_header(reader *r)
{
    const cj__json *root;
    /* A tensor takes 50 bytes and 14 values at most, so this refuses only what is no header. */
    cj__json_limits limits = {.values_max = r->header_size / 4 + 64};
    if (r->header_size == 0 || r->header[0] != '{')
        return cj_fail(r->cj, CJ_ERR_FORMAT, "%s: the header does not begin with '{'", r->what);
    CJ__TRY(cj__json_parse(&r->arena, r->what, r->header, r->header_size, &limits, &root));
    const cj__json *metadata = cj__json_find(root, "__metadata__");
    if (metadata) CJ__TRY(read_metadata(r, metadata));
    r->sections = cj__arena_array(&r->arena, root->count + 1, sizeof(section));
    r->sorted = cj__arena_array(&r->arena, root->count + 1, sizeof(section *));
    if (!r->sections || !r->sorted) return r->cj->status;
    for (const cj__json *entry = root->first; entry; entry = entry->next) {
        if (entry == metadata) continue;
        r->sections[r->count].place = r->count;
        CJ__TRY(read_section(r, &r->sections[r->count], entry));
        r->count++;
    }
    return check_cover(r);
}

/* ---- Reading: checksums ---------------------------------------------------------------------- */

/* Eight lower-case digits: an upper-case one would be a flipped bit that changes nothing. */
static bool read_hex(const char *text, uint32_t *value)
{
    *value = 0;
    for (int i = 0; i < CRC_DIGITS; i++) {
        char c = text[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        *value = *value << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

static uint32_t header_crc(const unsigned char *header, size_t size, size_t field)
{
    unsigned char prefix[PREFIX];
    for (int i = 0; i < PREFIX; i++) prefix[i] = (unsigned char)((uint64_t)size >> 8 * i & 255);
    uint32_t crc = cj__crc32(0, prefix, PREFIX);
    crc = cj__crc32(crc, header, field);
    crc = cj__crc32(crc, no_crc, CRC_DIGITS);
    return cj__crc32(crc, header + field + CRC_DIGITS, size - field - CRC_DIGITS);
}

static cj_status check_header_crc(reader *r)
{
    const cj__json *mark = cj__json_find(r->metadata, CJ__SAFETENSORS_MARK);
    const cj__json *crc = cj__json_find(r->metadata, CJ__SAFETENSORS_CRC);
    uint32_t expected, found;
    if (!mark) {
        if (!crc || crc->length != CRC_DIGITS * (r->count + 1))
            return CJ_OK; /* of another program */
        return cj_fail(r->cj, CJ_ERR_FORMAT, "%s: the header is damaged: checksums, but no '%s'",
                       r->what, CJ__SAFETENSORS_MARK);
    }
    bool written = crc && strcmp(mark->string, CJ__SAFETENSORS_CRC) == 0 &&
                   crc->length == CRC_DIGITS * (r->count + 1) && read_hex(crc->string, &expected) &&
                   memcmp(r->header + crc->source + 1, crc->string, crc->length) == 0;
    if (!written)
        return cj_fail(r->cj, CJ_ERR_FORMAT,
                       "%s: the header is damaged: its checksums are not whole", r->what);
    found = header_crc(r->header, r->header_size, crc->source + 1);
    if (found != expected)
        return cj_fail(r->cj, CJ_ERR_FORMAT,
                       "%s: the header is damaged: checksum %08lx, expected %08lx", r->what,
                       (unsigned long)found, (unsigned long)expected);
    r->crc = crc->string;
    return CJ_OK;
}

static cj_status check_section(reader *r, size_t i, const unsigned char *data)
{
    const section *s = r->sorted[i];
    const unsigned char *bytes = data + s->begin;
    size_t size = s->end - s->begin;
    uint32_t expected;
    if (r->crc) {
        uint32_t found = cj__crc32(0, bytes, size);
        if (!read_hex(r->crc + CRC_DIGITS * (i + 1), &expected) || found != expected)
            return cj_fail(r->cj, CJ_ERR_FORMAT,
                           "%s: tensor '%.100s' is damaged: checksum %08lx, expected %.8s", r->what,
                           s->name, (unsigned long)found, r->crc + CRC_DIGITS * (i + 1));
    }
    for (size_t at = 0; s->dtype == CJ_BOOL && at < size; at++)
        if (bytes[at] > 1)
            return cj_fail(r->cj, CJ_ERR_DATA, "%s: tensor '%.100s': element %zu is %d, no bool",
                           r->what, s->name, at, bytes[at]);
    return CJ_OK;
}

/* ---- Reading: the list ----------------------------------------------------------------------- */

static bool is_ours(const reader *r, const char *key)
{
    return r->crc &&
           (strcmp(key, CJ__SAFETENSORS_MARK) == 0 || strcmp(key, CJ__SAFETENSORS_CRC) == 0);
}

static cj_status fill(reader *r, cj__buffer *buffer, size_t data, bool refer, cj_tensors *list)
{
    for (const cj__json *m = r->metadata ? r->metadata->first : NULL; m; m = m->next)
        if (!is_ours(r, m->key)) CJ__TRY(cj__tensors_append_metadata(list, m->key, m->string));
    for (size_t i = 0; i < r->count; i++) {
        const section *s = &r->sections[i];
        const unsigned char *bytes = (unsigned char *)buffer->data + data + s->begin;
        bool aligned = (uintptr_t)bytes % cj__dtype_bytes(s->dtype) == 0;
        if (cj__is_packed(s->dtype)) {
            cj_tensor *wide = cj_tensor_new(r->cj, s->dtype, s->rank, s->shape);
            if (wide)
                cj__bits_unpack(s->dtype, cj__tensor_data(wide), bytes, (size_t)wide->count);
            CJ__TRY(cj_tensors_add(list, s->name, wide));
            continue;
        }
        cj_tensor *t = refer && aligned ? cj__tensor_view(r->cj, buffer, data + s->begin, s->dtype,
                                                          s->rank, s->shape)
                                        : cj_tensor_from(r->cj, s->dtype, s->rank, s->shape, bytes);
        CJ__TRY(cj_tensors_add(list, s->name, t));
        CJ__TRY(cj__check_cancel(r->cj));
    }
    return CJ_OK;
}

cj_status cj__safetensors_parse(cj_context *cj, const char *what, cj__buffer *buffer, bool refer,
                                cj_tensors **out)
{
    const unsigned char *bytes = buffer->data;
    cj_tensors *list = NULL;
    cj_status failed;
    uint64_t length = 0;
    reader r = {.cj = cj, .what = what};
    *out = NULL;
    if (buffer->size < PREFIX)
        return cj_fail(cj, CJ_ERR_FORMAT, "%s: %zu bytes are too few for a safetensors file", what,
                       buffer->size);
    for (int i = 0; i < PREFIX; i++) length |= (uint64_t)bytes[i] << 8 * i;
    if (length > header_max || length > buffer->size - PREFIX)
        return cj_fail(cj, CJ_ERR_FORMAT, "%s: the header claims %llu bytes, expected at most %llu",
                       what, (unsigned long long)length,
                       (unsigned long long)(buffer->size - PREFIX < header_max
                                                ? buffer->size - PREFIX
                                                : header_max));
    r.header = bytes + PREFIX;
    r.header_size = (size_t)length;
    r.data_size = buffer->size - PREFIX - r.header_size;
    cj__arena_init(&r.arena, cj);
    CJ__CHECK(failed = read_header(&r));
    CJ__CHECK(failed = check_header_crc(&r));
    for (size_t i = 0; i < r.count; i++)
        CJ__CHECK(failed = check_section(&r, i, r.header + r.header_size));
    list = cj_tensors_new(cj);
    CJ__CHECK(failed = list ? CJ_OK : cj->status);
    CJ__CHECK(failed = fill(&r, buffer, PREFIX + r.header_size, refer, list));
    *out = list;
out:
    if (failed) cj_tensors_free(list);
    cj__arena_release(&r.arena);
    return failed;
}

static void keep(void *user, void *data, size_t size)
{
    (void)user, (void)data, (void)size;
}

cj_status cj_safetensors_read(cj_context *cj, const void *bytes, size_t size, cj_tensors **out)
{
    *out = NULL;
    cj__buffer *buffer = cj__buffer_wrap(cj, (void *)bytes, size, true, keep, NULL);
    if (!buffer) return cj->status;
    cj_status failed = cj__safetensors_parse(cj, "safetensors", buffer, false, out);
    cj__buffer_unref(buffer);
    return failed;
}

cj_status cj__safetensors_load_file(cj_context *cj, const char *path, cj_tensors **out)
{
    *out = NULL;
    cj__buffer *buffer = cj__buffer_of_file(cj, path);
    if (!buffer) return cj->status;
    cj_status failed = cj__safetensors_parse(cj, path, buffer, true, out);
    cj__buffer_unref(buffer);
    return failed;
}

/* ---- Writing --------------------------------------------------------------------------------- */

typedef struct item {
    const char *name;
    const cj_tensor *tensor;
    size_t place;
    const void *data; /* as the file has it */
    size_t size;
} item;

/* Half bytes are packed; all else is written from where it lies. */
static cj_status take_data(cj__arena *arena, item *it)
{
    const cj_tensor *t = it->tensor;
    const cj_dtype_row *row = cj_dtype_info(t->dtype);
    it->data = cj__tensor_data(t);
    it->size = cj_tensor_size_bytes(t);
    if (!*row->safetensors)
        return cj_fail(arena->cj, CJ_ERR_UNSUPPORTED,
                       "safetensors: tensor '%.100s': the format has no %s", it->name, row->name);
    if (!cj__is_packed(t->dtype)) return CJ_OK;
    if (t->count % (8 / row->packed))
        return cj_fail(arena->cj, CJ_ERR_UNSUPPORTED,
                       "safetensors: tensor '%.100s': %lld elements of %s do not fill whole bytes",
                       it->name, (long long)t->count, row->name);
    unsigned char *packed = cj__arena_array(arena, it->size + 1, 1);
    if (!packed) return arena->cj->status;
    cj__bits_pack(t->dtype, packed, it->data, it->size);
    it->data = packed;
    it->size = it->size * (size_t)row->packed / 8;
    return CJ_OK;
}

/* Wide elements first, else as they were added: every offset is then a multiple of its element's
 * size. */
static int compare_items(const void *a, const void *b)
{
    const item *x = a, *y = b;
    size_t x_width = cj__dtype_bytes(x->tensor->dtype), y_width = cj__dtype_bytes(y->tensor->dtype);
    if (x_width != y_width) return x_width > y_width ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static cj_status sort_items(cj__arena *arena, const cj_tensors *list, const item ***sorted)
{
    size_t count = cj_tensors_count(list);
    item *items = cj__arena_array(arena, count + 1, sizeof(item));
    *sorted = cj__arena_array(arena, count + 1, sizeof(item *));
    if (!items || !*sorted) return arena->cj->status;
    for (size_t i = 0; i < count; i++) {
        items[i].tensor = cj_tensors_at(list, i, &items[i].name);
        items[i].place = i;
        CJ__TRY(take_data(arena, &items[i]));
        (*sorted)[i] = &items[i];
        if (!cj__utf8_valid(items[i].name, strlen(items[i].name)) ||
            strcmp(items[i].name, "__metadata__") == 0)
            return cj_fail(arena->cj, CJ_ERR_ARGUMENT,
                           "safetensors: a tensor may not be named '%.100s'", items[i].name);
    }
    cj__sort((const void **)*sorted, count, compare_items);
    return CJ_OK;
}

static cj_status write_metadata(cj__text *json, const cj_tensors *list)
{
    for (size_t i = 0; i < cj_tensors_metadata_count(list); i++) {
        const char *value, *key = cj_tensors_metadata_at(list, i, &value);
        bool ours = strcmp(key, CJ__SAFETENSORS_MARK) == 0 || strcmp(key, CJ__SAFETENSORS_CRC) == 0;
        if (ours || !cj__utf8_valid(key, strlen(key)) || !cj__utf8_valid(value, strlen(value)))
            return cj_fail(json->cj, CJ_ERR_ARGUMENT, "safetensors: metadata '%.100s' %s", key,
                           ours ? "is a key the file needs for itself" : "is no UTF-8");
        cj__text_char(json, ',');
        cj__text_json(json, key);
        cj__text_char(json, ':');
        cj__text_json(json, value);
    }
    return json->failed;
}

static void write_entry(cj__text *json, const item *it, size_t *at)
{
    const cj_tensor *t = it->tensor;
    cj__text_char(json, ',');
    cj__text_json(json, it->name);
    cj__text_format(json, ":{\"dtype\":\"%s\",\"shape\":[", cj_dtype_info(t->dtype)->safetensors);
    for (int axis = 0; axis < t->rank; axis++)
        cj__text_format(json, "%s%lld", axis ? "," : "", (long long)t->shape[axis]);
    cj__text_format(json, "],\"data_offsets\":[%zu,%zu]}", *at, *at + it->size);
    *at += it->size;
}

/* The whole header; the CRC of itself is put in last. */
static cj_status write_header(cj__text *json, const cj_tensors *list, const item **sorted)
{
    size_t count = cj_tensors_count(list), at = 0;
    cj__text_format(json, "{\"__metadata__\":{\"%s\":\"%s\",\"%s\":\"", CJ__SAFETENSORS_MARK,
                    CJ__SAFETENSORS_CRC, CJ__SAFETENSORS_CRC);
    size_t field = json->length;
    cj__text_add(json, no_crc);
    for (size_t i = 0; i < count; i++) {
        cj__text_format(json, "%08lx",
                        (unsigned long)cj__crc32(0, sorted[i]->data, sorted[i]->size));
    }
    cj__text_char(json, '"');
    CJ__TRY(write_metadata(json, list));
    cj__text_char(json, '}');
    for (size_t i = 0; i < count; i++) write_entry(json, sorted[i], &at);
    cj__text_char(json, '}');
    while (json->length % PREFIX && !json->failed) cj__text_char(json, ' ');
    if (json->failed) return json->failed;
    if (json->length > header_max)
        return cj_fail(json->cj, CJ_ERR_LIMIT,
                       "safetensors: names and metadata take %zu bytes, expected at most %llu",
                       json->length, (unsigned long long)header_max);
    char digits[CRC_DIGITS + 1];
    cj__format(digits, sizeof(digits), "%08lx",
               (unsigned long)header_crc((unsigned char *)json->bytes, json->length, field));
    memcpy(json->bytes + field, digits, CRC_DIGITS);
    return CJ_OK;
}

static cj_status write_file(cj__writer *file, const cj__text *json, const item **sorted,
                            size_t count)
{
    unsigned char prefix[PREFIX];
    for (int i = 0; i < PREFIX; i++)
        prefix[i] = (unsigned char)((uint64_t)json->length >> 8 * i & 255);
    cj__writer_write(file, prefix, PREFIX);
    cj__writer_write(file, json->bytes, json->length);
    for (size_t i = 0; i < count; i++)
        cj__writer_write(file, sorted[i]->data, sorted[i]->size);
    return file->failed;
}

cj_status cj__safetensors_begin(cj_context *cj, cj__writer *file, const char *path,
                                const cj_tensors *list)
{
    cj__arena arena;
    cj__text json;
    const item **sorted;
    cj_status failed;
    cj__arena_init(&arena, cj);
    cj__text_init(&json, cj);
    CJ__CHECK(failed = sort_items(&arena, list, &sorted));
    CJ__CHECK(failed = write_header(&json, list, sorted));
    CJ__CHECK(failed = cj__writer_begin(file, cj, path));
    if ((failed = write_file(file, &json, sorted, cj_tensors_count(list))))
        cj__writer_abandon(file);
out:
    cj__text_release(&json);
    cj__arena_release(&arena);
    return failed;
}

cj_status cj_safetensors_save(cj_context *cj, const char *path, const cj_tensors *list)
{
    cj__writer file;
    CJ__TRY(cj__safetensors_begin(cj, &file, path, list));
    return cj__writer_commit(&file);
}
