/* data.c: what data sets and attributes of an HDF5 file hold: types, sizes, layouts, chunks,
 * filters.
 *
 *     chunk in the file -> filters backwards (fletcher32, deflate, shuffle) -> its place in the
 *     tensor, cut at the tensor's edges -> byte order of this machine
 *
 * Memory is charged before it is asked for: the tensor, and each chunk that is unpacked. */
#include "format/hdf5/inside.h"

#include <string.h>

#if defined(CJ_HAVE_ZLIB)
#include <zlib.h>
#endif

/* ---- Types and sizes ------------------------------------------------------------------------- */

/* Integers by their size, and the floats: bits of exponent and mantissa, and the bias. */
static cj_dtype integer(uint64_t size, bool is_signed)
{
    switch (size) {
    case 1: return is_signed ? CJ_I8 : CJ_U8;
    case 2: return is_signed ? CJ_I16 : CJ_U16;
    case 4: return is_signed ? CJ_I32 : CJ_U32;
    case 8: return is_signed ? CJ_I64 : CJ_U64;
    default: return CJ_DTYPE_NONE;
    }
}

static const struct {
    unsigned size, sign, exponent_at, exponent, mantissa, bias;
    cj_dtype dtype;
} floats[] = {
    {2, 15, 10, 5, 10, 15, CJ_F16},
    {2, 15, 7, 8, 7, 127, CJ_BF16},
    {4, 31, 23, 8, 23, 127, CJ_F32},
    {8, 63, 52, 11, 52, 1023, CJ_F64},
};

static void set_number(cj__hdf5_type *type, cj_dtype dtype, const char *other)
{
    type->kind = dtype ? CJ__HDF5_NUMBER : CJ__HDF5_OTHER;
    type->dtype = dtype;
    type->other = other;
}

static void read_float(cj__hdf5_cursor *c, uint64_t bits, cj__hdf5_type *type)
{
    const uint64_t offset = cj__hdf5_take(c, 2), precision = cj__hdf5_take(c, 2);
    const uint64_t exponent_at = cj__hdf5_take(c, 1), exponent = cj__hdf5_take(c, 1),
                   mantissa_at = cj__hdf5_take(c, 1), mantissa = cj__hdf5_take(c, 1),
                   bias = cj__hdf5_take(c, 4);
    set_number(type, CJ_DTYPE_NONE, "floats of an unknown form");
    for (size_t i = 0; i < CJ__COUNT(floats); i++)
        if (floats[i].size == type->size && floats[i].sign == (bits >> 8 & 255) &&
            precision == 8 * type->size && !offset && !mantissa_at && !(bits & 64) &&
            floats[i].exponent_at == exponent_at && floats[i].exponent == exponent &&
            floats[i].mantissa == mantissa && floats[i].bias == bias)
            set_number(type, floats[i].dtype, NULL);
}

/* h5py's booleans: an enumeration over bytes, FALSE = 0 and TRUE = 1. */
static bool is_bool(cj__hdf5_cursor *c, uint64_t members, uint64_t version)
{
    static const char names[] = "FALSE\0\0\0TRUE\0\0\0\0", tight[] = "FALSE\0TRUE";
    const size_t size = version < 3 ? 16 : 11;
    const char *expected = version < 3 ? names : tight;
    const size_t at = c->at;
    cj__hdf5_skip(c, size);
    if (c->short_of || members != 2 || memcmp(c->f->bytes + at, expected, size)) return false;
    return cj__hdf5_take(c, 1) == 0 && cj__hdf5_take(c, 1) == 1 && !c->short_of;
}

cj_status cj__hdf5_read_type(cj__hdf5_cursor *c, cj__hdf5_type *type)
{
    static const char *const others[] = {
        NULL, NULL, "times", NULL, "fields of bits", "opaque bytes", "records", "references", NULL,
        "lists of any length", "arrays as elements"};
    const size_t begin = c->at;
    const uint64_t first = cj__hdf5_take(c, 1), bits = cj__hdf5_take(c, 3);
    const uint64_t class = first & 15, version = first >> 4;
    *type = (cj__hdf5_type){.size = (size_t)cj__hdf5_take(c, 4), .big_endian = bits & 1};
    if (c->short_of || version < 1 || version > 5 || class > 10 || !type->size)
        return cj__hdf5_bad(c->f, begin, "a damaged type");
    type->kind = CJ__HDF5_OTHER;
    type->other = others[class];
    if (class == 0) {
        const uint64_t offset = cj__hdf5_take(c, 2), precision = cj__hdf5_take(c, 2);
        const cj_dtype dtype = integer(type->size, bits & 8);
        set_number(type, offset || precision != 8 * type->size ? CJ_DTYPE_NONE : dtype,
                   "integers of an unknown form");
    } else if (class == 1) read_float(c, bits, type);
    else if (class == 3) type->kind = CJ__HDF5_TEXT;
    else if (class == 9 && (bits & 15) == 1) {
        type->kind = CJ__HDF5_LONG_TEXT;
        if (type->size != 8 + (size_t)c->f->address_size)
            return cj__hdf5_bad(c->f, begin, "a text of variable length of an unknown size");
    } else if (class == 8) {
        const uint64_t base = cj__hdf5_take(c, 1);
        cj__hdf5_skip(c, 11); /* flags, size, offset, precision of the base */
        const bool is = (base & 15) == 0 && type->size == 1 && is_bool(c, bits & 0xffff, version);
        set_number(type, is ? CJ_BOOL : CJ_DTYPE_NONE, "an enumeration");
        return CJ_OK;
    }
    return c->short_of ? cj__hdf5_bad(c->f, begin, "a type that ends too early") : CJ_OK;
}

/*  version, rank, flags, type (version 2) or 0 (5), sizes, largest sizes */
cj_status cj__hdf5_read_space(cj__hdf5_cursor *c, cj__hdf5_value *value)
{
    const size_t begin = c->at;
    const uint64_t version = cj__hdf5_take(c, 1), rank = cj__hdf5_take(c, 1);
    cj__hdf5_skip(c, 1);
    const uint64_t kind = version == 2 ? cj__hdf5_take(c, 1) : 1;
    if (version == 1) cj__hdf5_skip(c, 5);
    if (c->short_of || version < 1 || version > 2 || kind > 2)
        return cj__hdf5_bad(c->f, begin, "sizes of an unknown version");
    if (kind == 2) value->wrong = "a value that is nothing";
    if (rank > CJ_RANK_MAX) value->wrong = "more dimensions than a tensor can have";
    value->rank = rank > CJ_RANK_MAX ? 0 : (int)rank;
    for (int i = 0; i < value->rank; i++) {
        const uint64_t size = cj__hdf5_length(c);
        if (size > INT64_MAX) return cj__hdf5_bad(c->f, begin, "a dimension of more than 2^63");
        value->shape[i] = (int64_t)size;
    }
    return c->short_of ? cj__hdf5_bad(c->f, begin, "sizes that end too early") : CJ_OK;
}

/* ---- Layouts and filters --------------------------------------------------------------------- */

/* version 3: rank + 1, address, sizes (4 bytes each, the last of an element). Version 4: flags,
 * rank + 1, width, sizes, index, what the index needs, address. */
static cj_status read_chunks(cj__hdf5_cursor *c, uint64_t version, cj__hdf5_value *value)
{
    static const char *const indexes[] = {
        NULL,
        NULL,
        NULL,
        NULL,
        "chunks of a data set that can grow",
        "chunks of a data set that can grow in several directions"};
    static const cj__hdf5_layout layouts[] = {CJ__HDF5_NO_LAYOUT, CJ__HDF5_ONE_CHUNK,
                                              CJ__HDF5_IMPLICIT, CJ__HDF5_FIXED_ARRAY};
    const uint64_t flags = version == 4 ? cj__hdf5_take(c, 1) : 0, rank = cj__hdf5_take(c, 1);
    value->layout = CJ__HDF5_CHUNKS;
    if (version == 3) value->address = cj__hdf5_address(c);
    const uint64_t width = version == 3 ? 4 : cj__hdf5_take(c, 1);
    if (rank < 2 || rank > CJ_RANK_MAX + 1 || width < 1 || width > 8)
        return cj__hdf5_bad(c->f, c->at, "chunks of an unknown number of dimensions");
    value->data_size = (size_t)rank - 1; /* checked by cj__hdf5_settle */
    for (uint64_t i = 0; i < rank; i++) {
        const uint64_t size = cj__hdf5_take(c, (int)width);
        if (!size || size > INT32_MAX) return cj__hdf5_bad(c->f, c->at, "an empty chunk");
        if (i + 1 < rank) value->chunk[i] = (int64_t)size;
    }
    if (version == 3) return CJ_OK;
    const uint64_t index = cj__hdf5_take(c, 1);
    if (index < 1 || index > 5) return cj__hdf5_bad(c->f, c->at, "an unknown index of chunks");
    if (indexes[index]) {
        value->wrong = indexes[index];
        value->layout = CJ__HDF5_NO_LAYOUT;
        return CJ_OK;
    }
    value->layout = layouts[index];
    if (index == 1 && flags & 2) {
        value->packed_size = cj__hdf5_length(c);
        value->mask = (uint32_t)cj__hdf5_take(c, 4);
    }
    if (index == 3) cj__hdf5_skip(c, 1);
    value->address = cj__hdf5_address(c);
    return CJ_OK;
}

cj_status cj__hdf5_read_layout(cj__hdf5_cursor *c, cj__hdf5_value *value)
{
    const size_t begin = c->at;
    const uint64_t version = cj__hdf5_take(c, 1), class = cj__hdf5_take(c, 1);
    uint64_t address;
    if (version < 3 || version > 4 || class > 2) {
        value->layout = CJ__HDF5_NO_LAYOUT;
        value->wrong = "a layout of data of another version than 3 and 4, or of another file";
        return CJ_OK;
    }
    value->layout = CJ__HDF5_WHOLE;
    if (class == 0) {
        value->data_size = (size_t)cj__hdf5_take(c, 2);
        address = c->at;
        cj__hdf5_skip(c, value->data_size);
    } else if (class == 1) {
        address = cj__hdf5_address(c);
        const uint64_t size = cj__hdf5_length(c);
        if (address != CJ__HDF5_NOWHERE &&
            (address > c->f->size || size > c->f->size - (size_t)address))
            return cj__hdf5_bad(c->f, begin, "data beyond the end of the file");
        value->data_size = (size_t)size;
    } else {
        address = CJ__HDF5_NOWHERE;
        CJ__TRY(read_chunks(c, version, value));
    }
    value->data = address == CJ__HDF5_NOWHERE || c->short_of ? NULL : c->f->bytes + address;
    return c->short_of ? cj__hdf5_bad(c->f, begin, "a layout that ends too early") : CJ_OK;
}

enum { DEFLATE = 1, SHUFFLE = 2, FLETCHER = 3 };

/*  version, filters, 0 (6 of version 1) | ID, [name's length], flags, numbers, [name], numbers */
cj_status cj__hdf5_read_filters(cj__hdf5_cursor *c, cj__hdf5_value *value)
{
    const size_t begin = c->at;
    const uint64_t version = cj__hdf5_take(c, 1), n = cj__hdf5_take(c, 1);
    if (version < 1 || version > 2 || n > CJ__HDF5_FILTERS)
        return cj__hdf5_bad(c->f, begin, "filters of an unknown version, or too many");
    if (version == 1) cj__hdf5_skip(c, 6);
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t id = cj__hdf5_take(c, 2);
        const uint64_t name = version == 1 || id >= 256 ? cj__hdf5_take(c, 2) : 0;
        cj__hdf5_skip(c, 2);
        const uint64_t numbers = cj__hdf5_take(c, 2);
        cj__hdf5_skip(c, name);
        const uint64_t number = numbers ? cj__hdf5_take(c, 4) : 0;
        if (numbers > 1) cj__hdf5_skip(c, 4 * (numbers - 1));
        if (version == 1 && numbers % 2) cj__hdf5_skip(c, 4);
        value->filter[i] = (cj__hdf5_filter){(int)id, (size_t)number};
        if (id < DEFLATE || id > FLETCHER)
            value->wrong = id == 32000 ? "data compressed by lzf"
                           : id == 4   ? "data compressed by szip"
                                       : "data compressed by an unknown filter";
    }
    value->filters = (int)n;
    return c->short_of ? cj__hdf5_bad(c->f, begin, "filters that end too early") : CJ_OK;
}

cj_status cj__hdf5_settle(cj__hdf5 *f, cj__hdf5_value *value)
{
    size_t bytes;
    if (!value->wrong && value->type.kind == CJ__HDF5_OTHER) value->wrong = value->type.other;
    if (value->wrong) return CJ_OK;
    if (!cj__count(value->rank, value->shape, &value->count) ||
        !cj__size_mul((size_t)value->count, value->type.size, &bytes))
        return cj__hdf5_bad(f, 0, "a data set of more elements than there can be");
    if (value->layout == CJ__HDF5_WHOLE) {
        if (value->data && bytes > value->data_size)
            return cj__hdf5_bad(f, (uint64_t)(value->data - f->bytes),
                                "data shorter than its sizes say");
        value->data_size = bytes;
        return value->data ? cj__hdf5_charge(f, bytes) : CJ_OK;
    }
    if (value->layout == CJ__HDF5_NO_LAYOUT) return CJ_OK;
    if (value->data_size != (size_t)value->rank)
        return cj__hdf5_bad(f, 0, "chunks of another number of dimensions than their data set");
    if (!cj__count(value->rank, value->chunk, &value->count) ||
        !cj__size_mul((size_t)value->count, value->type.size, &value->chunk_bytes) ||
        value->chunk_bytes > UINT32_MAX)
        return cj__hdf5_bad(f, 0, "chunks of 4 GiB or more");
    return cj__count(value->rank, value->shape, &value->count) ? CJ_OK : CJ_ERR_FORMAT;
}

/* ---- Filters --------------------------------------------------------------------------------- */

/* Chunks on their way into a tensor. */
typedef struct filling {
    cj__hdf5 *f;
    const cj__hdf5_value *value;
    unsigned char *to;          /* the tensor's bytes */
    unsigned char *work[2];     /* of a chunk, and a checksum */
    uint64_t chunks, left;      /* that there are at most, and may still come */
    uint64_t entry;             /* of a fixed array */
} filling;

/* Bytes of elements stand apart, all first bytes first. */
static void unshuffle(const unsigned char *from, unsigned char *to, size_t size, size_t element)
{
    const size_t n = size / element;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < element; k++) to[i * element + k] = from[k * n + i];
    memcpy(to + n * element, from + n * element, size - n * element);
}

/* Fletcher's sums of 16-bit numbers, the high byte first. */
static uint32_t fletcher(const unsigned char *data, size_t size)
{
    uint32_t a = 0, b = 0;
    for (size_t i = 0; i < size; i += 2) {
        a += (uint32_t)data[i] << 8 | (i + 1 < size ? data[i + 1] : 0u);
        a = (a & 0xffff) + (a >> 16);
        b += a;
        b = (b & 0xffff) + (b >> 16);
    }
    a = (a & 0xffff) + (a >> 16);
    b = (b & 0xffff) + (b >> 16);
    return b << 16 | a;
}

#if defined(CJ_HAVE_ZLIB)
static void *zlib_allocate(void *cj, unsigned count, unsigned size)
{
    return cj_allocate(cj, (size_t)count * size);
}

static void zlib_free(void *cj, void *block) { cj_free(cj, block); }

/* At most `room` bytes come out. */
static cj_status inflate_chunk(filling *t, const unsigned char *from, size_t size,
                               unsigned char *to, size_t room, size_t *out)
{
    z_stream z = {.zalloc = zlib_allocate, .zfree = zlib_free, .opaque = t->f->cj};
    if (size > UINT32_MAX || room > UINT32_MAX)
        return cj__hdf5_unsupported(t->f, "a chunk of 4 GiB");
    if (inflateInit(&z) != Z_OK)
        return cj_fail(t->f->cj, CJ_ERR_MEMORY, "hdf5: no memory to inflate");
    z.next_in = (unsigned char *)from;
    z.avail_in = (unsigned)size;
    z.next_out = to;
    z.avail_out = (unsigned)room;
    const int result = inflate(&z, Z_FINISH);
    *out = room - z.avail_out;
    inflateEnd(&z);
    if (result == Z_MEM_ERROR) return cj_last_status(t->f->cj);
    return result == Z_STREAM_END
               ? CJ_OK
               : cj__hdf5_bad(t->f, (uint64_t)(from - t->f->bytes), "a damaged deflated chunk");
}
#else
static cj_status inflate_chunk(filling *t, const unsigned char *from, size_t size,
                               unsigned char *to, size_t room, size_t *out)
{
    (void)from, (void)size, (void)to, (void)room;
    *out = 0;
    return cj__hdf5_unsupported(t->f, "deflated data, and this library was built without zlib");
}
#endif

/* The chunk's bytes, unpacked: in the file, or in one of the blocks of `work`. */
static cj_status unpack(filling *t, const unsigned char *from, size_t size, uint32_t mask,
                        const unsigned char **out)
{
    const cj__hdf5_value *v = t->value;
    int turn = 0;
    for (int i = v->filters - 1; i >= 0; i--) {
        unsigned char *to = t->work[turn];
        if (i < 32 && mask >> i & 1) continue;
        if (v->filter[i].id == FLETCHER) {
            const unsigned char *sum = from + size - 4;
            if (size < 4) return cj__hdf5_bad(t->f, 0, "a chunk without its checksum");
            size -= 4;
            const uint32_t stored = (uint32_t)sum[0] | (uint32_t)sum[1] << 8 |
                                    (uint32_t)sum[2] << 16 | (uint32_t)sum[3] << 24;
            if (!t->f->unsealed && stored != fletcher(from, size))
                return cj__hdf5_bad(t->f, v->address, "a damaged chunk: its checksum is another");
            continue;
        }
        if (v->filter[i].id == DEFLATE)
            CJ__TRY(inflate_chunk(t, from, size, to, v->chunk_bytes + 4, &size));
        else if (v->filter[i].element > 1) {
            if (size > v->chunk_bytes + 4)
                return cj__hdf5_bad(t->f, v->address, "a chunk of more bytes than it has");
            unshuffle(from, to, size, v->filter[i].element);
        } else continue;
        from = to;
        turn = !turn;
    }
    if (size != v->chunk_bytes)
        return cj_fail(t->f->cj, CJ_ERR_FORMAT, "hdf5: a chunk of %zu bytes; %zu are expected",
                       size, v->chunk_bytes);
    *out = from;
    return CJ_OK;
}

/* ---- Chunks ---------------------------------------------------------------------------------- */

/* Rows of a chunk, whose first element is at `at`, to their places. */
static void place(const filling *t, const unsigned char *from, const int64_t *at)
{
    const cj__hdf5_value *v = t->value;
    const size_t element = v->type.size;
    const int last = v->rank - 1;
    int64_t i[CJ_RANK_MAX] = {0};
    int64_t length = v->shape[last] - at[last];
    if (length > v->chunk[last]) length = v->chunk[last];
    for (int k = 0; k >= 0;) {
        int64_t source = 0, target = 0;
        for (int j = 0; j <= last; j++) {
            source = source * v->chunk[j] + i[j];
            target = target * v->shape[j] + at[j] + i[j];
        }
        memcpy(t->to + (size_t)target * element, from + (size_t)source * element,
               (size_t)length * element);
        for (k = last - 1; k >= 0; k--) {
            if (++i[k] < v->chunk[k] && at[k] + i[k] < v->shape[k]) break;
            i[k] = 0;
        }
    }
}

static cj_status put(filling *t, uint64_t address, uint64_t size, uint32_t mask, const int64_t *at)
{
    cj__hdf5 *f = t->f;
    const unsigned char *bytes = NULL;
    if (!t->left--) return cj__hdf5_bad(f, address, "more chunks than the data set can have");
    if (address > f->size || size > f->size - (size_t)address)
        return cj__hdf5_bad(f, address, "a chunk beyond the end of the file");
    CJ__TRY(unpack(t, f->bytes + address, (size_t)size, mask, &bytes));
    place(t, bytes, at);
    return CJ_OK;
}

/* Chunk i of all, row by row; false: there is none. */
static bool chunk_at(const cj__hdf5_value *v, uint64_t i, int64_t *at)
{
    for (int k = v->rank - 1; k >= 0; k--) {
        const uint64_t n = (uint64_t)((v->shape[k] + v->chunk[k] - 1) / v->chunk[k]);
        at[k] = (int64_t)(i % n) * v->chunk[k];
        i /= n;
    }
    return !i;
}

/* A chunk of the B-tree: size (4), mask (4), where in the data set (8 each), 0 */
static cj_status put_entry(void *arg, cj__hdf5_cursor *key, uint64_t child)
{
    filling *t = arg;
    const cj__hdf5_value *v = t->value;
    const uint64_t size = cj__hdf5_take(key, 4), mask = cj__hdf5_take(key, 4);
    int64_t at[CJ_RANK_MAX];
    for (int k = 0; k < v->rank; k++) {
        const uint64_t where = cj__hdf5_take(key, 8);
        if (where >= (uint64_t)v->shape[k] || where % (uint64_t)v->chunk[k])
            return cj__hdf5_bad(t->f, key->at, "a chunk outside its data set");
        at[k] = (int64_t)where;
    }
    return put(t, child, size, (uint32_t)mask, at);
}

/*  address, with filters its size and mask */
static cj_status put_elements(filling *t, cj__hdf5_cursor *c, uint64_t n, uint64_t *i,
                              uint64_t element)
{
    const cj__hdf5_value *v = t->value;
    const int width = (int)element - t->f->address_size - 4;
    for (; n && *i < t->chunks; n--, ++*i) {
        int64_t at[CJ_RANK_MAX];
        const uint64_t address = cj__hdf5_address(c);
        const uint64_t size = v->filters ? cj__hdf5_take(c, width) : v->chunk_bytes;
        const uint64_t mask = v->filters ? cj__hdf5_take(c, 4) : 0;
        if (c->short_of) return cj__hdf5_bad(t->f, c->at, "an array of chunks that is too short");
        if (address != CJ__HDF5_NOWHERE && chunk_at(v, *i, at))
            CJ__TRY(put(t, address, size, (uint32_t)mask, at));
    }
    return CJ_OK;
}

/*  FAHD, 0, client, element size, page bits, elements, address of: FADB, 0, client, address,
 *  [bits of pages], elements or, where they are many, pages of them with a checksum each */
static cj_status put_array(filling *t)
{
    cj__hdf5 *f = t->f;
    const cj__hdf5_value *v = t->value;
    cj__hdf5_cursor c;
    CJ__TRY(cj__hdf5_go_open(f, v->address, "FAHD", &c));
    cj__hdf5_skip(&c, 2);
    const uint64_t element = cj__hdf5_take(&c, 1), bits = cj__hdf5_take(&c, 1);
    const uint64_t n = cj__hdf5_length(&c), block = cj__hdf5_address(&c);
    CJ__TRY(cj__hdf5_seal(&c, (size_t)v->address));
    const uint64_t least = (uint64_t)f->address_size + (v->filters ? 5 : 0);
    if (bits > 32 || n > f->size || element < least || element > least + (v->filters ? 7 : 0))
        return cj__hdf5_bad(f, v->address, "an array of chunks of sizes that cannot be");
    if (block == CJ__HDF5_NOWHERE) return CJ_OK;
    const uint64_t page = UINT64_C(1) << bits, pages = n > page ? (n + page - 1) / page : 0;
    uint64_t i = 0;
    CJ__TRY(cj__hdf5_go_open(f, block, "FADB", &c));
    cj__hdf5_skip(&c, 2 + (uint64_t)f->address_size);
    const size_t written = c.at; /* a bit for each page, the highest first */
    cj__hdf5_skip(&c, (pages + 7) / 8);
    if (!pages) {
        cj__hdf5_cursor seal = c;
        cj__hdf5_skip(&seal, n * element);
        CJ__TRY(cj__hdf5_seal(&seal, (size_t)block));
        return put_elements(t, &c, n, &i, element);
    }
    CJ__TRY(cj__hdf5_seal(&c, (size_t)block));
    for (uint64_t k = 0; k < pages; k++) {
        const uint64_t count = n - k * page < page ? n - k * page : page;
        const size_t begin = c.at;
        cj__hdf5_cursor seal = c;
        cj__hdf5_skip(&c, count * element + 4);
        if (!(f->bytes[written + k / 8] >> (7 - k % 8) & 1)) {
            i += count;
            continue;
        }
        cj__hdf5_cursor elements = seal;
        cj__hdf5_skip(&seal, count * element);
        CJ__TRY(cj__hdf5_seal(&seal, begin));
        CJ__TRY(put_elements(t, &elements, count, &i, element));
    }
    return CJ_OK;
}

static cj_status put_all(filling *t)
{
    const cj__hdf5_value *v = t->value;
    int64_t at[CJ_RANK_MAX] = {0};
    const size_t left = t->f->left;
    cj_status failed = CJ_OK;
    if (v->address == CJ__HDF5_NOWHERE) return CJ_OK; /* nothing was written */
    switch (v->layout) {
    case CJ__HDF5_CHUNKS:
        t->f->left = 3 * t->f->size;
        failed = cj__hdf5_tree_walk(t->f, v->address, 1, 8 + 8 * (v->rank + 1), put_entry, t);
        t->f->left = left;
        return failed;
    case CJ__HDF5_ONE_CHUNK:
        return put(t, v->address, v->packed_size ? v->packed_size : v->chunk_bytes, v->mask, at);
    case CJ__HDF5_IMPLICIT:
        for (uint64_t i = 0; !failed && i < t->chunks && chunk_at(v, i, at); i++)
            failed = v->address > UINT64_MAX / 2
                         ? cj__hdf5_bad(t->f, v->address, "a chunk beyond the end of the file")
                         : put(t, v->address + i * v->chunk_bytes, v->chunk_bytes, 0, at);
        return failed;
    default: return put_array(t);
    }
}

/* Charges and makes what unpacking needs. */
static cj_status fill(cj__hdf5 *f, const cj__hdf5_value *v, unsigned char *to)
{
    filling t = {.f = f, .value = v, .to = to, .chunks = 1};
    size_t all = v->chunk_bytes, work = v->filters ? v->chunk_bytes + 4 : 0;
    if (v->layout == CJ__HDF5_WHOLE) {
        if (v->data) memcpy(to, v->data, v->data_size);
        return CJ_OK;
    }
    for (int k = 0; k < v->rank; k++) {
        const size_t n = (size_t)((v->shape[k] - 1) / v->chunk[k] + 1);
        if (!cj__size_mul(all, n, &all)) all = SIZE_MAX;
        else t.chunks *= n;
    }
    if (all > f->memory_left)
        return cj_fail(f->cj, CJ_ERR_LIMIT,
                       "hdf5: a data set of %zu bytes in chunks, more than %zu bytes of file can "
                       "hold",
                       all, f->size);
    f->memory_left -= all;
    t.left = t.chunks;
    for (int i = 0; i < 2 && work; i++)
        if (!(t.work[i] = cj__alloc(f->cj, work))) {
            cj__free(f->cj, t.work[0], i ? work : 0);
            return cj_last_status(f->cj);
        }
    cj_status failed = put_all(&t);
    cj__free(f->cj, t.work[0], work);
    cj__free(f->cj, t.work[1], work);
    return failed;
}

/* ---- Tensors and texts ----------------------------------------------------------------------- */

static void swap(unsigned char *bytes, int64_t count, size_t size)
{
    for (int64_t i = 0; i < count; i++, bytes += size)
        for (size_t a = 0, b = size - 1; a < b; a++, b--) {
            const unsigned char kept = bytes[a];
            bytes[a] = bytes[b];
            bytes[b] = kept;
        }
}

static bool little_endian(void)
{
    const uint16_t one = 1;
    return *(const unsigned char *)&one == 1;
}

cj_status cj__hdf5_tensor(cj__hdf5 *f, const cj__hdf5_value *v, cj_tensor **out)
{
    *out = NULL;
    if (v->wrong) return cj__hdf5_unsupported(f, v->wrong);
    if (v->type.kind != CJ__HDF5_NUMBER)
        return cj_fail(f->cj, CJ_ERR_DATA, "hdf5: texts, where numbers are expected");
    const size_t bytes = (size_t)v->count * v->type.size; /* which fits: cj__hdf5_settle */
    if (bytes > f->memory_left)
        return cj_fail(f->cj, CJ_ERR_LIMIT,
                       "hdf5: a data set of %zu bytes, more than %zu bytes of file can hold", bytes,
                       f->size);
    f->memory_left -= bytes;
    cj_tensor *t = cj_tensor_new(f->cj, v->type.dtype, v->rank, v->shape);
    if (!t) return cj_last_status(f->cj);
    unsigned char *to = cj__tensor_data(t);
    if (bytes) memset(to, 0, bytes);
    cj_status failed = bytes ? fill(f, v, to) : CJ_OK;
    if (v->type.big_endian == little_endian()) swap(to, v->count, v->type.size);
    if (v->type.dtype == CJ_BOOL)
        for (size_t i = 0; i < bytes; i++) to[i] = to[i] != 0;
    if (failed) cj_tensor_free(t);
    else *out = t;
    return failed;
}

cj_status cj__hdf5_text(cj__hdf5 *f, const cj__hdf5_value *v, int64_t i, const char **out,
                        size_t *length)
{
    if (v->wrong) return cj__hdf5_unsupported(f, v->wrong);
    if (v->type.kind == CJ__HDF5_NUMBER || v->layout != CJ__HDF5_WHOLE || !v->data || i < 0 ||
        i >= v->count)
        return cj_fail(f->cj, CJ_ERR_DATA, "hdf5: %s, where a text is expected",
                       v->type.kind == CJ__HDF5_NUMBER ? "numbers" : "nothing");
    const unsigned char *bytes = v->data + (size_t)i * v->type.size;
    size_t size = v->type.size;
    if (v->type.kind == CJ__HDF5_LONG_TEXT) {
        cj__hdf5_cursor c = {f, (size_t)(bytes - f->bytes), f->size, false};
        size = (size_t)cj__hdf5_take(&c, 4);
        const uint64_t address = cj__hdf5_address(&c);
        const uint32_t index = (uint32_t)cj__hdf5_take(&c, 4);
        if (size) CJ__TRY(cj__hdf5_heap_text(f, address, index, size, &bytes));
    }
    const unsigned char *end = memchr(bytes, 0, size);
    if (end) size = (size_t)(end - bytes);
    if (size >= f->memory_left) return cj_fail(f->cj, CJ_ERR_LIMIT, "hdf5: too many texts");
    f->memory_left -= size + 1;
    char *copy = cj__arena_alloc(f->arena, size + 1);
    if (!copy) return CJ_ERR_MEMORY;
    memcpy(copy, bytes, size);
    *out = copy;
    *length = size;
    return CJ_OK;
}
