/* messages.c: what the messages of an object's header say of its data: type, sizes, where it lies,
 * filters. */
#include "format/hdf5/inside.h"

#include <string.h>

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
    const uint64_t version = cj__hdf5_take(c, 1), rank = cj__hdf5_take(c, 1),
                   flags = cj__hdf5_take(c, 1);
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
        value->most[i] = size;
    }
    for (int i = 0; i < value->rank && flags & 1; i++) {
        value->most[i] = cj__hdf5_length(c);
        if (value->most[i] < (uint64_t)value->shape[i])
            return cj__hdf5_bad(c->f, begin, "a dimension that is larger than it can be");
    }
    return c->short_of ? cj__hdf5_bad(c->f, begin, "sizes that end too early") : CJ_OK;
}

/* ---- Layouts and filters --------------------------------------------------------------------- */

/* version 3: rank + 1, address, sizes (4 bytes each, the last of an element). Version 4: flags,
 * rank + 1, width, sizes, index, what the index needs, address. */
static cj_status read_chunks(cj__hdf5_cursor *c, uint64_t version, cj__hdf5_value *value)
{
    static const cj__hdf5_layout layouts[] = {CJ__HDF5_NO_LAYOUT, CJ__HDF5_ONE_CHUNK,
                                              CJ__HDF5_IMPLICIT, CJ__HDF5_FIXED_ARRAY,
                                              CJ__HDF5_ARRAY, CJ__HDF5_TREE};
    static const int needed[] = {0, 0, 0, 1, 5, 6}; /* bytes of how the index was made */
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
    value->layout = layouts[index];
    if (index == 1 && flags & 2) {
        value->packed_size = cj__hdf5_length(c);
        value->mask = (uint32_t)cj__hdf5_take(c, 4);
    }
    if (flags & 1) value->wrong = "chunks at the edge that are not filtered";
    cj__hdf5_skip(c, (uint64_t)needed[index]);
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
        if (id < CJ__HDF5_DEFLATE || id > CJ__HDF5_FLETCHER)
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
