/* json.h: a strict JSON reader (RFC 8259) that gives a small tree in an arena.
 *
 * Strict: UTF-8 only, no duplicate keys, no comments, no trailing commas, no lone surrogates,
 * nothing after the value. Bounded: depth, number of values, and no recursion.
 *
 *     const cj__json *root;
 *     CJ__TRY(cj__json_parse(&arena, "config", bytes, size, NULL, &root));
 *     const cj__json *rate = cj__json_find(root, "rate");
 *     if (rate && rate->type == CJ__JSON_NUMBER) use(rate->number);
 */
#ifndef CAJAL_BASE_JSON_H
#define CAJAL_BASE_JSON_H

#include "base/arena.h"

typedef enum cj__json_type {
    CJ__JSON_NULL, CJ__JSON_BOOL, CJ__JSON_NUMBER, CJ__JSON_STRING, CJ__JSON_ARRAY, CJ__JSON_OBJECT
} cj__json_type;

typedef struct cj__json {
    cj__json_type type;
    bool boolean;
    bool is_integer;      /* of a number: written without point and exponent, and fits `integer` */
    double number;
    int64_t integer;
    const char *string;   /* NUL-terminated; \u0000 may make it longer than strlen says */
    size_t length;        /* of the string */
    const char *key;      /* of a member of an object, NUL-terminated; NULL elsewhere */
    size_t key_length;
    size_t source;        /* where the value begins in the input */
    size_t count;         /* items of an array, members of an object */
    struct cj__json *first, *next;
    const struct cj__json **sorted; /* the members by key */
} cj__json;

enum { CJ__JSON_DEPTH = 64 };

typedef struct cj__json_limits {
    size_t values_max; /* 0: a value for every two bytes, which is all that fits */
} cj__json_limits;

/* `what` begins the messages: "what: byte 17: expected ':', found '}'". limits may be NULL. */
cj_status cj__json_parse(cj__arena *arena, const char *what, const void *bytes, size_t size,
                         const cj__json_limits *limits, const cj__json **out);
/* The member with this key; NULL when there is none or `object` is no object. */
const cj__json *cj__json_find(const cj__json *object, const char *key);

/* How many bytes the UTF-8 character at `at` has, 0 when it is none. */
size_t cj__utf8_length(const char *at, size_t size);
bool cj__utf8_valid(const char *text, size_t size);
/* Writes a character as 1 to 4 bytes; returns where the next one goes. */
char *cj__utf8_put(char *out, unsigned code);

#endif
