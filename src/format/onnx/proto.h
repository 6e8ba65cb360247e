/* proto.h: the protobuf wire format, read and written without copies.
 *
 *     cj__proto_reader r = cj__proto_open(cj, bytes, size);
 *     cj__proto_field f;
 *     while (cj__proto_next(&r, &f)) {
 *         if (f.number != 8) continue;
 *         if (cj__proto_expect(&r, &f, CJ__WIRE_BYTES, "TensorProto.name")) name = f.bytes;
 *     }
 *     return r.failed;
 *
 * A message is a sequence of fields: a tag (number and wire type), then a value of that type. The
 * reader steps over fields and never allocates. Failures are sticky and say "byte 1234: ...",
 * counted from the start of the whole input; the caller puts the file's name before that
 * (cj__prefix). Groups, which proto3 dropped, are refused.
 * Source: https://protobuf.dev/programming-guides/encoding */
#ifndef CAJAL_FORMAT_ONNX_PROTO_H
#define CAJAL_FORMAT_ONNX_PROTO_H

#include "base/arena.h"
#include "base/text.h"

/* Messages inside messages; protobuf's own readers stop at 100. */
enum { CJ__PROTO_DEPTH_MAX = 64 };

/* Bytes of somebody else. `at` is NULL when there is none, which differs from an empty one. */
typedef struct cj__slice {
    const char *at;
    size_t size;
} cj__slice;

cj__slice cj__slice_of(const char *text); /* refers to `text` */
bool cj__slice_is(cj__slice slice, const char *text);
bool cj__slice_equal(cj__slice a, cj__slice b);
/* For messages: at most 60 bytes, what is not printable ASCII as '?'. Returns `out`. */
enum { CJ__SLICE_SHOWN = 64 };
const char *cj__slice_show(cj__slice slice, char out[CJ__SLICE_SHOWN]);
/* A C string in the arena; CJ_ERR_FORMAT naming `what` for bytes with a NUL or that are no UTF-8.
 */
cj_status cj__slice_string(cj__arena *arena, cj__slice slice, const char *what, char **out);

/* ---- Reading --------------------------------------------------------------------------------- */

typedef enum cj__wire {
    CJ__WIRE_VARINT = 0,
    CJ__WIRE_FIXED64 = 1,
    CJ__WIRE_BYTES = 2,
    CJ__WIRE_FIXED32 = 5
} cj__wire;

typedef struct cj__proto_reader {
    cj_context *cj;
    const unsigned char *start; /* of the whole input: messages count from here */
    const unsigned char *at, *end;
    int depth;        /* 0 in the outermost message */
    cj_status failed; /* sticky */
} cj__proto_reader;

typedef struct cj__proto_field {
    uint32_t number;
    cj__wire wire;
    const unsigned char *at; /* its tag */
    uint64_t value;          /* of a varint, fixed32, fixed64 */
    cj__slice bytes;         /* of CJ__WIRE_BYTES, never NULL */
} cj__proto_field;

cj__proto_reader cj__proto_open(cj_context *cj, const void *bytes, size_t size);
/* The next field; false at the end or after a failure (see reader->failed). */
bool cj__proto_next(cj__proto_reader *reader, cj__proto_field *field);
/* true when the field has that wire type, else fails naming `name`. */
bool cj__proto_expect(cj__proto_reader *reader, const cj__proto_field *field, cj__wire wire,
                      const char *name);
/* A reader of a field's bytes: a message one level deeper (fails beyond CJ__PROTO_DEPTH_MAX), or
 * packed numbers of the same level. */
bool cj__proto_enter(cj__proto_reader *reader, const cj__proto_field *field,
                     cj__proto_reader *inside);
cj__proto_reader cj__proto_packed(const cj__proto_reader *reader, const cj__proto_field *field);
/* The next number of a packed array; false at the end or after a failure. */
bool cj__proto_varint(cj__proto_reader *reader, uint64_t *value);
bool cj__proto_fixed(cj__proto_reader *reader, size_t width, uint64_t *value); /* width 4 or 8 */
/* Fails at `at` (NULL: where the reader stands) unless it has failed already. Returns ->failed. */
cj_status cj__proto_fail(cj__proto_reader *reader, cj_status status, const unsigned char *at,
                         const char *format, ...) CJ_PRINTF(4, 5);

/* ---- Writing --------------------------------------------------------------------------------- */

/* Appends to `out`, or only counts when `out` is NULL: a message's length stands before it, so each
 * message is written twice, first to count. */
typedef struct cj__proto_writer {
    cj__text *out;
    size_t size; /* bytes so far */
} cj__proto_writer;

void cj__proto_put(cj__proto_writer *writer, const void *bytes, size_t size); /* raw */
void cj__proto_put_varint(cj__proto_writer *writer, uint64_t value);
void cj__proto_put_tag(cj__proto_writer *writer, uint32_t number, cj__wire wire);
void cj__proto_put_int(cj__proto_writer *writer, uint32_t number, int64_t value);
void cj__proto_put_float(cj__proto_writer *writer, uint32_t number, float value);
void cj__proto_put_bytes(cj__proto_writer *writer, uint32_t number, cj__slice bytes);

#endif
