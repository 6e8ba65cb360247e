/* tensor.c: from the spellings of a TensorProto to packed little-endian bytes; the rest is a copy.
 *
 * The lists of numbers (float_data, int32_data ...) stay in the input. They are walked as a stream
 * of 64-bit values of which the low `width` bytes count, which is right for all of them: float_data
 * and double_data carry bit patterns, int32_data carries integers or the 16 bits of a half, complex
 * numbers are two values.
 *
 * Declared sizes are compared with the bytes at hand before memory of that size is asked for. */
#include "format/onnx/tensor.h"

#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "base/strings.h"
#include "tensor/dtype.h"
#include "tensor/low.h"

enum { FLOAT_DATA = 4, INT32_DATA = 5, INT64_DATA = 7, DOUBLE_DATA = 10, UINT64_DATA = 11 };

/* bits of an element, and the list its values may stand in */
static const struct {
    const char *name;
    int bits;
    uint32_t field;
} types[] = {
    [CJ__ONNX_FLOAT] = {"FLOAT", 32, FLOAT_DATA},
    [CJ__ONNX_UINT8] = {"UINT8", 8, INT32_DATA},
    [CJ__ONNX_INT8] = {"INT8", 8, INT32_DATA},
    [CJ__ONNX_UINT16] = {"UINT16", 16, INT32_DATA},
    [CJ__ONNX_INT16] = {"INT16", 16, INT32_DATA},
    [CJ__ONNX_INT32] = {"INT32", 32, INT32_DATA},
    [CJ__ONNX_INT64] = {"INT64", 64, INT64_DATA},
    [CJ__ONNX_STRING] = {"STRING", 0, 0},
    [CJ__ONNX_BOOL] = {"BOOL", 8, INT32_DATA},
    [CJ__ONNX_FLOAT16] = {"FLOAT16", 16, INT32_DATA},
    [CJ__ONNX_DOUBLE] = {"DOUBLE", 64, DOUBLE_DATA},
    [CJ__ONNX_UINT32] = {"UINT32", 32, UINT64_DATA},
    [CJ__ONNX_UINT64] = {"UINT64", 64, UINT64_DATA},
    [CJ__ONNX_COMPLEX64] = {"COMPLEX64", 64, FLOAT_DATA},
    [CJ__ONNX_COMPLEX128] = {"COMPLEX128", 128, DOUBLE_DATA},
    [CJ__ONNX_BFLOAT16] = {"BFLOAT16", 16, INT32_DATA},
    [CJ__ONNX_FLOAT8E4M3FN] = {"FLOAT8E4M3FN", 8, INT32_DATA},
    [CJ__ONNX_FLOAT8E4M3FNUZ] = {"FLOAT8E4M3FNUZ", 8, INT32_DATA},
    [CJ__ONNX_FLOAT8E5M2] = {"FLOAT8E5M2", 8, INT32_DATA},
    [CJ__ONNX_FLOAT8E5M2FNUZ] = {"FLOAT8E5M2FNUZ", 8, INT32_DATA},
    [CJ__ONNX_UINT4] = {"UINT4", 4, INT32_DATA},
    [CJ__ONNX_INT4] = {"INT4", 4, INT32_DATA},
    [CJ__ONNX_FLOAT4E2M1] = {"FLOAT4E2M1", 4, INT32_DATA},
    [CJ__ONNX_FLOAT8E8M0] = {"FLOAT8E8M0", 8, INT32_DATA},
    [CJ__ONNX_UINT2] = {"UINT2", 2, INT32_DATA},
    [CJ__ONNX_INT2] = {"INT2", 2, INT32_DATA},
};

static bool known(int64_t data_type)
{
    return data_type > 0 && data_type < (int64_t)CJ__COUNT(types);
}

const char *cj__onnx_type_name(int64_t data_type)
{
    return known(data_type) ? types[data_type].name : "?";
}

cj_dtype cj__onnx_type_dtype(int64_t data_type)
{
    for (int d = CJ_DTYPE_NONE + 1; d < CJ_DTYPE_COUNT; d++)
        if (cj_dtype_info((cj_dtype)d)->onnx == data_type) return (cj_dtype)d;
    return CJ_DTYPE_NONE;
}

/* Bytes that one value of the tensor's list stands for; two or four small integers share a byte. */
static size_t value_width(const cj__onnx_tensor *t)
{
    if (t->typed.field == FLOAT_DATA) return 4;
    if (t->typed.field == DOUBLE_DATA) return 8;
    int bits = types[t->data_type].bits;
    return bits < 8 ? 1 : (size_t)bits / 8;
}

/* ---- Checking -------------------------------------------------------------------------------- */

static const char *show_dims(const cj__onnx_tensor *t, char out[128])
{
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < t->dims.count && n < 100; i++)
        n += (size_t)cj__format(out + n, 128 - n, "%s%lld", i ? "," : "",
                                (long long)t->dims.items[i]);
    return out;
}

static cj_status bad(cj_context *cj, const cj__onnx_tensor *t, cj_status status, const char *what)
{
    char name[CJ__SLICE_SHOWN], dims[128];
    return cj_fail(cj, status, "tensor '%s' of type %s (%lld) and shape [%s] %s",
                   cj__slice_show(t->name, name), cj__onnx_type_name(t->data_type),
                   (long long)t->data_type, show_dims(t, dims), what);
}

/* Elements and packed bytes that type and dims ask for. */
static cj_status measure(cj_context *cj, const cj__onnx_tensor *t, int64_t *count, size_t *bytes)
{
    if (t->data_type <= 0) return bad(cj, t, CJ_ERR_DATA, "has no data type");
    if (t->dims.count > 64) return bad(cj, t, CJ_ERR_LIMIT, "has more than 64 dimensions");
    int bits = known(t->data_type) ? types[t->data_type].bits : 0;
    if (!cj__count((int)t->dims.count, t->dims.items, count) || !cj__bytes(*count, bits, bytes))
        return bad(cj, t, CJ_ERR_DATA, "has a negative dimension or too many elements");
    return CJ_OK;
}

static cj_status check(cj_context *cj, const cj__onnx_tensor *t)
{
    int64_t count;
    size_t bytes, here;
    char what[128];
    CJ__TRY(measure(cj, t, &count, &bytes));
    int spellings = (t->raw.size > 0) + (t->typed.count > 0) + (t->strings.count > 0) +
                    (t->data_location == 1);
    if (spellings > 1) return bad(cj, t, CJ_ERR_DATA, "holds its data twice");
    if (t->data_location < 0 || t->data_location > 1)
        return bad(cj, t, CJ_ERR_DATA, "has an unknown data_location");
    if (t->data_location == 1) return CJ_OK;
    bool wrong_list = known(t->data_type) && t->typed.count &&
                      t->typed.field != types[t->data_type].field;
    bool is_text = t->data_type == CJ__ONNX_STRING;
    if (wrong_list || (is_text ? t->raw.size > 0 : t->strings.count > 0))
        return bad(cj, t, CJ_ERR_DATA, "holds data of another type");
    if (!known(t->data_type)) {
        if (t->typed.count) return bad(cj, t, CJ_ERR_UNSUPPORTED, "is newer than this library");
        if (!t->raw.size && !t->dims.count) return bad(cj, t, CJ_ERR_DATA, "has no data");
        return CJ_OK;
    }
    if (is_text) {
        if (t->strings.count == (uint64_t)count) return CJ_OK;
        cj__format(what, sizeof what, "needs %lld strings, but %zu are there", (long long)count,
                   t->strings.count);
        return bad(cj, t, CJ_ERR_DATA, what);
    }
    if (!cj__size_mul(t->typed.count, value_width(t), &here) ||
        !cj__size_add(here, t->raw.size, &here))
        here = SIZE_MAX;
    if (here == bytes) return CJ_OK;
    cj__format(what, sizeof what, "needs %zu bytes, but %zu are there", bytes, here);
    return bad(cj, t, CJ_ERR_DATA, what);
}

/* Steps over one field of a list and adds its values to the count. */
static void count_values(cj__proto_reader *body, cj__onnx_tensor *t, const cj__proto_field *field)
{
    const char *name;
    cj__wire wire = CJ__WIRE_VARINT;
    switch (field->number) {
    case FLOAT_DATA: name = "TensorProto.float_data", wire = CJ__WIRE_FIXED32; break;
    case DOUBLE_DATA: name = "TensorProto.double_data", wire = CJ__WIRE_FIXED64; break;
    case INT32_DATA: name = "TensorProto.int32_data"; break;
    case INT64_DATA: name = "TensorProto.int64_data"; break;
    case UINT64_DATA: name = "TensorProto.uint64_data"; break;
    case 3: cj__proto_fail(body, CJ_ERR_UNSUPPORTED, field->at, "a tensor in segments"); return;
    default: return;
    }
    if (t->typed.count && t->typed.field != field->number) {
        cj__proto_fail(body, CJ_ERR_DATA, field->at, "%s beside field %u", name, t->typed.field);
        return;
    }
    size_t count = 1;
    if (field->wire == CJ__WIRE_BYTES) {
        cj__proto_reader packed = cj__proto_packed(body, field);
        uint64_t value;
        size_t width = wire == CJ__WIRE_FIXED32 ? 4 : 8;
        bool varint = wire == CJ__WIRE_VARINT;
        count = 0;
        while (varint ? cj__proto_varint(&packed, &value) : cj__proto_fixed(&packed, width, &value))
            count++;
        body->failed = packed.failed;
    } else {
        cj__proto_expect(body, field, wire, name);
    }
    if (count) t->typed.field = field->number;
    t->typed.count += count;
}

cj_status cj__onnx_tensor_finish(cj__proto_reader *body, void *message)
{
    cj__onnx_tensor *t = message;
    cj__proto_reader walk = *body;
    cj__proto_field field;
    t->typed.body = (cj__slice){(const char *)body->at, (size_t)(body->end - body->at)};
    while (cj__proto_next(&walk, &field)) count_values(&walk, t, &field);
    if ((body->failed = walk.failed)) return body->failed;
    body->failed = check(body->cj, t);
    return cj__prefix(body->cj, body->failed, "byte %zu", (size_t)(body->at - body->start));
}

/* ---- The values of a list -------------------------------------------------------------------- */

typedef struct values {
    const cj__onnx_tensor *t;
    cj__proto_reader body, packed;
    bool in_packed;
} values;

static values values_of(cj_context *cj, const cj__onnx_tensor *t)
{
    return (values){.t = t, .body = cj__proto_open(cj, t->typed.body.at, t->typed.body.size)};
}

static bool next_value(values *v, uint64_t *value)
{
    cj__proto_field field;
    for (;;) {
        if (v->in_packed) {
            uint32_t list = v->t->typed.field;
            bool fixed = list == FLOAT_DATA || list == DOUBLE_DATA;
            if (fixed ? cj__proto_fixed(&v->packed, value_width(v->t), value)
                      : cj__proto_varint(&v->packed, value))
                return true;
            v->in_packed = false;
        }
        if (!cj__proto_next(&v->body, &field)) return false;
        if (field.number != v->t->typed.field) continue;
        v->in_packed = field.wire == CJ__WIRE_BYTES;
        if (v->in_packed) v->packed = cj__proto_packed(&v->body, &field);
        else return *value = field.value, true;
    }
}

/* The next `size` bytes (a multiple of the width), little-endian. */
static void fill(values *v, unsigned char *out, size_t size)
{
    size_t width = value_width(v->t);
    for (size_t at = 0; at < size; at += width) {
        uint64_t value = 0;
        next_value(v, &value); /* the list was counted, so there is one */
        if (v->t->data_type == CJ__ONNX_BOOL) value = value != 0;
        for (size_t i = 0; i < width; i++) out[at + i] = (unsigned char)(value >> (8 * i));
    }
}

void cj__onnx_tensor_write_raw(cj__proto_writer *writer, uint32_t number, const void *message)
{
    const cj__onnx_tensor *t = message;
    if (!t->typed.count) {
        if (t->raw.at) cj__proto_put_bytes(writer, number, t->raw);
        return;
    }
    size_t size = t->typed.count * value_width(t);
    cj__proto_put_tag(writer, number, CJ__WIRE_BYTES);
    cj__proto_put_varint(writer, size);
    if (!writer->out) {
        writer->size += size;
        return;
    }
    values v = values_of(writer->out->cj, t);
    unsigned char part[4096];
    for (size_t done = 0, n; done < size; done += n) {
        n = size - done < sizeof part ? size - done : sizeof part;
        fill(&v, part, n);
        cj__proto_put(writer, part, n);
    }
}

/* ---- To and from tensors --------------------------------------------------------------------- */

/* Turns little-endian elements into the processor's, or back. */
static void swap_if_big_endian(unsigned char *bytes, size_t size, size_t width)
{
    const uint16_t one = 1;
    if (*(const unsigned char *)&one || width < 2) return;
    for (unsigned char *p = bytes; p < bytes + size; p += width)
        for (size_t i = 0; i < width / 2; i++) {
            unsigned char low = p[i];
            p[i] = p[width - 1 - i];
            p[width - 1 - i] = low;
        }
}

typedef struct place { /* of external data */
    cj__slice location;
    int64_t offset, length; /* length -1: not told */
} place;

static cj_status find_place(cj_context *cj, const cj__onnx_tensor *t, place *out)
{
    *out = (place){.length = -1};
    for (size_t i = 0; i < t->external.count; i++) {
        cj__slice key = t->external.items[i].key, value = t->external.items[i].value;
        bool is_offset = cj__slice_is(key, "offset");
        int64_t *number = is_offset ? &out->offset : &out->length;
        if (cj__slice_is(key, "location")) out->location = value;
        if (!is_offset && !cj__slice_is(key, "length")) continue;
        if (!cj__parse_int64(value.at ? value.at : "", value.size, number) || *number < 0)
            return bad(cj, t, CJ_ERR_DATA,
                       is_offset ? "has an external offset that is no number of bytes"
                                 : "has an external length that is no number of bytes");
    }
    return out->location.size ? CJ_OK
                              : bad(cj, t, CJ_ERR_DATA, "has external data without a location");
}

bool cj__onnx_tensor_is_plain(const cj__onnx_tensor *t)
{
    const cj_dtype dtype = cj__onnx_type_dtype(t->data_type);
    const uint16_t one = 1;
    return dtype && dtype != CJ_BOOL && !t->typed.count && *(const unsigned char *)&one &&
           types[t->data_type].bits == 8 * (int)cj__dtype_bytes(dtype);
}

/* The file is measured before it is loaded, so a missing or short one costs nothing. */
static cj_status find_external(cj__arena *arena, const cj__onnx_tensor *t, const char *folder,
                               size_t bytes, char **path, size_t *offset)
{
    cj_context *cj = arena->cj;
    place at;
    char *name, *joined, what[160];
    cj_file_info info = {.kind = CJ_FILE_NONE};
    if (!folder)
        return bad(cj, t, CJ_ERR_ARGUMENT,
                   "has its data in another file, but the model has no folder");
    CJ__TRY(find_place(cj, t, &at));
    CJ__TRY(cj__slice_string(arena, at.location, "an external location", &name));
    CJ__TRY(cj__file_really_inside(cj, folder, name, &joined));
    *path = cj__arena_strdup(arena, joined);
    cj__free(cj, joined, strlen(joined) + 1);
    if (!*path) return cj_last_status(cj);
    CJ__TRY(cj__file_info(cj, *path, &info));
    bool whole = at.length < 0 || (uint64_t)at.length == bytes;
    *offset = (size_t)at.offset;
    if (info.kind != CJ_FILE_REGULAR ||
        (whole && at.offset <= info.size_bytes && (uint64_t)(info.size_bytes - at.offset) >= bytes))
        return CJ_OK;
    int64_t there = at.offset < info.size_bytes ? info.size_bytes - at.offset : 0;
    cj__format(what, sizeof what,
               "needs %zu bytes; external are %lld from byte %lld on in a file of %lld", bytes,
               (long long)(at.length < 0 ? there : at.length),
               (long long)at.offset, (long long)info.size_bytes);
    return bad(cj, t, CJ_ERR_DATA, what);
}

cj_status cj__onnx_tensor_find(cj__arena *arena, const cj__onnx_tensor *t, const char *folder,
                               char **path, size_t *offset, size_t *bytes)
{
    int64_t count;
    CJ__TRY(measure(arena->cj, t, &count, bytes));
    return find_external(arena, t, folder, *bytes, path, offset);
}

static cj_status load_external(cj_context *cj, const cj__onnx_tensor *t, const char *folder,
                               size_t bytes, cj__file_bytes *file, size_t *offset)
{
    cj__arena arena;
    char *path;
    cj__arena_init(&arena, cj);
    cj_status failed = find_external(&arena, t, folder, bytes, &path, offset);
    if (!failed) failed = cj__file_load(cj, path, 0, file);
    cj__arena_release(&arena);
    if (failed || (file->size >= bytes && file->size - bytes >= *offset)) return failed;
    cj__file_unload(file);
    return bad(cj, t, CJ_ERR_DATA, "has external data in a file that shrank");
}

static cj_status decode_strings(cj_context *cj, const cj__onnx_tensor *from, cj_tensor **out)
{
    if (from->data_location == 1)
        return bad(cj, from, CJ_ERR_DATA, "has its texts in another file");
    cj_tensor *t = cj_tensor_new(cj, CJ_STRING, (int)from->dims.count, from->dims.items);
    uint64_t *to = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    cj_status failed = to ? CJ_OK : cj_last_status(cj);
    for (size_t i = 0; i < from->strings.count && !failed; i++)
        failed = cj__string_number(cj, from->strings.items[i].at, from->strings.items[i].size,
                                   &to[i]);
    if (failed) cj_tensor_free(t);
    else *out = t;
    return failed;
}

cj_status cj__onnx_tensor_decode(cj_context *cj, const cj__onnx_tensor *from, const char *folder,
                                 cj_tensor **out)
{
    int64_t count;
    size_t bytes, offset = 0;
    cj__file_bytes file = {.data = NULL};
    cj_dtype dtype = cj__onnx_type_dtype(from->data_type);
    *out = NULL;
    CJ__TRY(check(cj, from));
    CJ__TRY(measure(cj, from, &count, &bytes));
    if (!dtype) return bad(cj, from, CJ_ERR_UNSUPPORTED, "is of a type Cajal does not have");
    if (from->dims.count > CJ_RANK_MAX)
        return bad(cj, from, CJ_ERR_UNSUPPORTED, "has more than 8 dimensions");
    if (dtype == CJ_STRING) return decode_strings(cj, from, out);
    if (from->data_location == 1) CJ__TRY(load_external(cj, from, folder, bytes, &file, &offset));
    cj_tensor *t = cj_tensor_new(cj, dtype, (int)from->dims.count, from->dims.items);
    unsigned char *data = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    if (data && bytes) {
        const size_t packed = (size_t)count - bytes; /* such ones end where the elements end */
        unsigned char *to = data + (cj__is_packed(dtype) ? packed : 0);
        if (from->typed.count) {
            values v = values_of(cj, from);
            fill(&v, to, bytes);
        } else {
            memcpy(to, file.data ? file.data + offset : (const unsigned char *)from->raw.at, bytes);
        }
        if (cj__is_packed(dtype)) cj__bits_unpack(dtype, data, to, (size_t)count);
        for (size_t i = 0; dtype == CJ_BOOL && i < bytes; i++) data[i] = data[i] != 0;
        swap_if_big_endian(data, bytes, (size_t)cj_dtype_info(dtype)->bits / 8);
    }
    if (file.data) cj__file_unload(&file);
    if (!data) {
        cj_tensor_free(t);
        return cj_last_status(cj);
    }
    cj_tensor_unmap(t);
    *out = t;
    return CJ_OK;
}

cj_status cj__onnx_tensor_encode(cj__arena *arena, const char *name, const cj_tensor *from,
                                 cj__onnx_tensor *out)
{
    int rank = cj_tensor_rank(from);
    const cj_dtype_row *row = cj_dtype_info(cj_tensor_dtype(from));
    size_t bytes = cj_tensor_size_bytes(from);
    const uint16_t one = 1;
    *out = (cj__onnx_tensor){.name = cj__slice_of(name), .data_type = row->onnx};
    if (rank) {
        out->dims.items = cj__arena_array(arena, (size_t)rank, sizeof(int64_t));
        if (!out->dims.items) return cj_last_status(arena->cj);
        memcpy(out->dims.items, cj_tensor_shape(from), (size_t)rank * sizeof(int64_t));
        out->dims.count = (size_t)rank;
    }
    const void *data = cj_tensor_map_read(from);
    if (!data) return cj_last_status(arena->cj);
    if (row->kind == CJ_KIND_STRING) {
        const size_t n = (size_t)cj_tensor_count(from);
        out->strings.items = cj__arena_array(arena, n + 1, sizeof *out->strings.items);
        if (!out->strings.items) return cj_last_status(arena->cj);
        out->strings.count = n;
        for (size_t i = 0; i < n; i++)
            out->strings.items[i] = cj__slice_of(cj_tensor_string(from, (int64_t)i));
        return CJ_OK;
    }
    if (cj__is_packed(cj_tensor_dtype(from))) {
        const size_t count = bytes;
        if (!cj__bytes((int64_t)count, row->packed, &bytes)) bytes = count;
        unsigned char *packed = cj__arena_array(arena, bytes + 1, 1);
        if (!packed) return cj_last_status(arena->cj);
        cj__bits_pack(cj_tensor_dtype(from), packed, data, count);
        data = packed;
    } else if (!*(const unsigned char *)&one) { /* big-endian: a turned copy */
        void *copy = cj__arena_copy(arena, data, bytes);
        if (!copy) return cj_last_status(arena->cj);
        swap_if_big_endian(copy, bytes, (size_t)row->bits / 8);
        data = copy;
    }
    out->raw = (cj__slice){data, bytes};
    return CJ_OK;
}
