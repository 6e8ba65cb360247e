/* message.h: structures read from and written to protobuf by tables.
 *
 *     typedef struct opset { cj__slice domain; int64_t version; } opset;
 *     static const cj__proto_row opset_rows[] = {
 *         {.number = 1, .kind = CJ__PROTO_TEXT, .offset = offsetof(opset, domain), .name = "..."},
 *         {.number = 2, .kind = CJ__PROTO_INT, .offset = offsetof(opset, version), .name = "..."},
 *         {0},
 *     };
 *     static const cj__proto_table opset_table = {
 *         .name = "OperatorSetIdProto", .size = sizeof(opset), .rows = opset_rows};
 *
 * Rows stand in ascending field number, which is the order they are written in, so a structure has
 * one spelling in bytes. Fields without a row are skipped. */
#ifndef CAJAL_FORMAT_ONNX_MESSAGE_H
#define CAJAL_FORMAT_ONNX_MESSAGE_H

#include "format/onnx/proto.h"

/* A repeated field. */
#define CJ__PROTO_LIST(type)                                                                       \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count;                                                                              \
    }

typedef enum cj__proto_kind {
    CJ__PROTO_TEXT,     /* cj__slice: text, bytes, or a message as it came; written unless NULL */
    CJ__PROTO_INT,      /* int64_t; written unless 0 */
    CJ__PROTO_FLOAT,    /* float; written unless 0 */
    CJ__PROTO_MESSAGE,  /* pointer to a structure of row->table, NULL when absent */
    CJ__PROTO_TEXTS,    /* CJ__PROTO_LIST of cj__slice */
    CJ__PROTO_INTS,     /* of int64_t, read packed or not, written not packed (proto2's default) */
    CJ__PROTO_FLOATS,   /* of float, likewise */
    CJ__PROTO_MESSAGES  /* of structures of row->table */
} cj__proto_kind;

enum { CJ__PROTO_ROWS_MAX = 18 };

typedef struct cj__proto_table cj__proto_table;
typedef struct cj__proto_row {
    uint32_t number; /* 0 ends the table */
    cj__proto_kind kind;
    size_t offset;
    const char *name;
    const cj__proto_table *table;
    /* Shares its place with other rows; table->which tells whose it is. Written even when 0. */
    bool oneof;
    /* Writes the field in place of the kind's own way. */
    void (*write)(cj__proto_writer *writer, uint32_t number, const void *message);
} cj__proto_row;

struct cj__proto_table {
    const char *name;
    size_t size;  /* of the structure */
    /* Bytes of the shortest message that `finish` accepts, so that a list of nothings is refused
     * before it allocates, and what was accepted is accepted again when written. */
    size_t least;
    const cj__proto_row *rows;
    size_t which; /* offset of a uint32_t: number of the oneof row that is there, 0 for none */
    /* Checks the whole and reads what the rows do not; `body` stands at the first byte. */
    cj_status (*finish)(cj__proto_reader *body, void *message);
};

/* Reads the rest of `reader` into `message` (zeroed, of table->size). Lists and structures live in
 * the arena, text stays where it is: the bytes must outlive the message. */
cj_status cj__proto_parse(cj__arena *arena, cj__proto_reader *reader, const cj__proto_table *table,
                          void *message);
void cj__proto_write(cj__proto_writer *writer, const cj__proto_table *table, const void *message);

#endif
