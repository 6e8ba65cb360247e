/* message.c: two passes over each message.
 *
 * The first pass steps over the fields, checks wire types and counts the items of every list; lists
 * are then allocated once, exactly; the second pass fills them and descends. So memory is a fixed
 * multiple of the bytes that ask for it, and a message of depth d is stepped over twice by its own
 * level and never again. Depth is bounded by cj__proto_enter.
 *
 * Lists of different types share one representation (pointer, count), reached with memcpy. */
#include "format/onnx/message.h"

#include <string.h>

#include "base/size.h"

typedef CJ__PROTO_LIST(void) any_list;

typedef struct parse {
    cj__arena *arena;
    const cj__proto_table *table;
    char *message;
    size_t counts[CJ__PROTO_ROWS_MAX]; /* first pass: items; second pass: items so far */
} parse;

static bool is_list(cj__proto_kind kind)
{
    return kind >= CJ__PROTO_TEXTS;
}

static size_t item_size(const cj__proto_row *row)
{
    switch (row->kind) {
    case CJ__PROTO_TEXTS: return sizeof(cj__slice);
    case CJ__PROTO_INTS: return sizeof(int64_t);
    case CJ__PROTO_FLOATS: return sizeof(float);
    default: return row->table->size;
    }
}

static int find_row(const cj__proto_table *table, uint32_t number)
{
    for (int i = 0; table->rows[i].number; i++)
        if (table->rows[i].number == number) return i;
    return -1;
}

/* A list is passed on as a copy of its pointer and count. */
static any_list load_list(const char *message, const cj__proto_row *row)
{
    any_list list;
    memcpy(&list, message + row->offset, sizeof list);
    return list;
}

static void store_list(char *message, const cj__proto_row *row, any_list list)
{
    memcpy(message + row->offset, &list, sizeof list);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* How many items one field brings to its list; only a varint's last byte is below 0x80. */
static size_t count_items(cj__proto_kind kind, const cj__proto_field *field)
{
    if (field->wire != CJ__WIRE_BYTES) return 1;
    if (kind == CJ__PROTO_FLOATS) return field->bytes.size / sizeof(float);
    if (kind != CJ__PROTO_INTS) return 1; /* whose bytes, perhaps a gigabyte, are not looked at */
    size_t n = 0;
    for (size_t i = 0; i < field->bytes.size; i++) n += !((unsigned char)field->bytes.at[i] & 0x80);
    return n;
}

static bool check_wire(cj__proto_reader *reader, const cj__proto_table *table,
                       const cj__proto_row *row, const cj__proto_field *field)
{
    static const cj__wire wires[] = {
        [CJ__PROTO_TEXT] = CJ__WIRE_BYTES,    [CJ__PROTO_TEXTS] = CJ__WIRE_BYTES,
        [CJ__PROTO_INT] = CJ__WIRE_VARINT,    [CJ__PROTO_INTS] = CJ__WIRE_VARINT,
        [CJ__PROTO_FLOAT] = CJ__WIRE_FIXED32, [CJ__PROTO_FLOATS] = CJ__WIRE_FIXED32,
        [CJ__PROTO_MESSAGE] = CJ__WIRE_BYTES, [CJ__PROTO_MESSAGES] = CJ__WIRE_BYTES,
    };
    bool packed = (row->kind == CJ__PROTO_INTS || row->kind == CJ__PROTO_FLOATS) &&
                  field->wire == CJ__WIRE_BYTES;
    char name[96];
    if (packed || field->wire == wires[row->kind]) return true;
    cj__format(name, sizeof name, "%s.%s", table->name, row->name);
    return cj__proto_expect(reader, field, wires[row->kind], name);
}

static bool count_field(cj__proto_reader *reader, parse *p, const cj__proto_field *field)
{
    int i = find_row(p->table, field->number);
    if (i < 0) return true;
    const cj__proto_row *row = &p->table->rows[i];
    if (!check_wire(reader, p->table, row, field)) return false;
    if (row->oneof) {
        uint32_t which;
        memcpy(&which, p->message + p->table->which, sizeof which);
        if (which && which != row->number) {
            int other = find_row(p->table, which);
            cj__proto_fail(reader, CJ_ERR_DATA, field->at, "%s has both %s and %s", p->table->name,
                           p->table->rows[other].name, row->name);
            return false;
        }
        memcpy(p->message + p->table->which, &row->number, sizeof which);
    }
    if (row->table && field->bytes.size < row->table->least) {
        cj__proto_fail(reader, CJ_ERR_DATA, field->at, "%s.%s of %zu bytes: a %s has at least %zu",
                       p->table->name, row->name, field->bytes.size, row->table->name,
                       row->table->least);
        return false;
    }
    if (row->kind == CJ__PROTO_MESSAGE && p->counts[i]) {
        cj__proto_fail(reader, CJ_ERR_DATA, field->at, "%s.%s is given twice", p->table->name,
                       row->name);
        return false;
    }
    p->counts[i] += count_items(row->kind, field);
    return true;
}

static void store_number(any_list list, size_t i, uint64_t value, bool floats)
{
    uint32_t bits = (uint32_t)value;
    CJ_ASSERT(i < list.count);
    if (floats) memcpy((float *)list.items + i, &bits, sizeof bits);
    else ((int64_t *)list.items)[i] = (int64_t)value;
}

static bool fill_numbers(cj__proto_reader *reader, const cj__proto_field *field, any_list list,
                         size_t *n, bool floats)
{
    if (field->wire != CJ__WIRE_BYTES) {
        store_number(list, (*n)++, field->value, floats);
        return true;
    }
    cj__proto_reader packed = cj__proto_packed(reader, field);
    uint64_t value;
    while (floats ? cj__proto_fixed(&packed, 4, &value) : cj__proto_varint(&packed, &value))
        store_number(list, (*n)++, value, floats);
    return !(reader->failed = packed.failed);
}

static bool fill_message(cj__proto_reader *reader, parse *p, const cj__proto_row *row,
                         const cj__proto_field *field, void *message)
{
    cj__proto_reader inside;
    if (!cj__proto_enter(reader, field, &inside)) return false;
    return !(reader->failed = cj__proto_parse(p->arena, &inside, row->table, message));
}

static bool fill_field(cj__proto_reader *reader, parse *p, const cj__proto_field *field)
{
    int i = find_row(p->table, field->number);
    if (i < 0) return true;
    const cj__proto_row *row = &p->table->rows[i];
    char *place = p->message + row->offset;
    any_list list = {NULL, 0};
    if (is_list(row->kind)) list = load_list(p->message, row);
    switch (row->kind) {
    case CJ__PROTO_TEXT: memcpy(place, &field->bytes, sizeof field->bytes); return true;
    case CJ__PROTO_INT: memcpy(place, &field->value, sizeof field->value); return true;
    case CJ__PROTO_FLOAT: {
        uint32_t bits = (uint32_t)field->value;
        memcpy(place, &bits, sizeof bits);
        return true;
    }
    case CJ__PROTO_MESSAGE: {
        void *message = cj__arena_alloc(p->arena, row->table->size);
        if (!message) return reader->failed = cj_last_status(reader->cj), false;
        memcpy(place, &message, sizeof message);
        return fill_message(reader, p, row, field, message);
    }
    case CJ__PROTO_TEXTS: ((cj__slice *)list.items)[p->counts[i]++] = field->bytes; return true;
    case CJ__PROTO_INTS: return fill_numbers(reader, field, list, &p->counts[i], false);
    case CJ__PROTO_FLOATS: return fill_numbers(reader, field, list, &p->counts[i], true);
    case CJ__PROTO_MESSAGES:
        return fill_message(reader, p, row, field,
                            (char *)list.items + row->table->size * p->counts[i]++);
    }
    return true;
}

static bool make_lists(cj__proto_reader *reader, parse *p)
{
    for (int i = 0; p->table->rows[i].number; i++) {
        CJ_ASSERT(i < CJ__PROTO_ROWS_MAX);
        const cj__proto_row *row = &p->table->rows[i];
        any_list list = {NULL, p->counts[i]};
        p->counts[i] = 0;
        if (!is_list(row->kind) || !list.count) continue;
        list.items = cj__arena_array(p->arena, list.count, item_size(row));
        if (!list.items) return reader->failed = cj_last_status(reader->cj), false;
        store_list(p->message, row, list);
    }
    return true;
}

cj_status cj__proto_parse(cj__arena *arena, cj__proto_reader *reader, const cj__proto_table *table,
                          void *message)
{
    parse p = {.arena = arena, .table = table, .message = message};
    cj__proto_reader first = *reader, body = *reader;
    cj__proto_field field;
    while (cj__proto_next(&first, &field) && count_field(&first, &p, &field)) continue;
    if ((reader->failed = first.failed) || !make_lists(reader, &p)) return reader->failed;
    while (cj__proto_next(reader, &field) && fill_field(reader, &p, &field)) continue;
    if (!reader->failed && table->finish) reader->failed = table->finish(&body, message);
    return reader->failed;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void write_message(cj__proto_writer *writer, const cj__proto_row *row, const void *message)
{
    cj__proto_writer counter = {NULL, 0};
    cj__proto_write(&counter, row->table, message);
    cj__proto_put_tag(writer, row->number, CJ__WIRE_BYTES);
    cj__proto_put_varint(writer, counter.size);
    if (writer->out) cj__proto_write(writer, row->table, message);
    else writer->size += counter.size;
}

static void write_item(cj__proto_writer *writer, const cj__proto_row *row, any_list list, size_t i)
{
    switch (row->kind) {
    case CJ__PROTO_TEXTS:
        cj__proto_put_bytes(writer, row->number, ((const cj__slice *)list.items)[i]);
        return;
    case CJ__PROTO_INTS:
        cj__proto_put_int(writer, row->number, ((const int64_t *)list.items)[i]);
        return;
    case CJ__PROTO_FLOATS:
        cj__proto_put_float(writer, row->number, ((const float *)list.items)[i]);
        return;
    default: write_message(writer, row, (const char *)list.items + row->table->size * i); return;
    }
}

/* `there`: a oneof row that was chosen is written whatever its value. */
static void write_one(cj__proto_writer *writer, const cj__proto_row *row, const char *place,
                      bool there)
{
    cj__slice text;
    int64_t integer;
    float real;
    const void *message;
    switch (row->kind) {
    case CJ__PROTO_TEXT:
        memcpy(&text, place, sizeof text);
        if (text.at || there) cj__proto_put_bytes(writer, row->number, text);
        return;
    case CJ__PROTO_INT:
        memcpy(&integer, place, sizeof integer);
        if (integer || there) cj__proto_put_int(writer, row->number, integer);
        return;
    case CJ__PROTO_FLOAT:
        memcpy(&real, place, sizeof real);
        if (real != 0 || there) cj__proto_put_float(writer, row->number, real);
        return;
    case CJ__PROTO_MESSAGE:
        memcpy(&message, place, sizeof message);
        if (message) write_message(writer, row, message);
        return;
    default: return;
    }
}

void cj__proto_write(cj__proto_writer *writer, const cj__proto_table *table, const void *message)
{
    for (const cj__proto_row *row = table->rows; row->number; row++) {
        uint32_t which = 0;
        if (row->oneof) memcpy(&which, (const char *)message + table->which, sizeof which);
        if (row->oneof && which != row->number) continue;
        if (row->write) {
            row->write(writer, row->number, message);
        } else if (is_list(row->kind)) {
            any_list list = load_list(message, row);
            for (size_t i = 0; i < list.count; i++) write_item(writer, row, list, i);
        } else {
            write_one(writer, row, (const char *)message + row->offset, row->oneof);
        }
    }
}
