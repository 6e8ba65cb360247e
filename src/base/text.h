/* text.h: growing text, and numbers read and written the same in every locale. */
#ifndef CAJAL_BASE_TEXT_H
#define CAJAL_BASE_TEXT_H

#include <stdarg.h>

#include "base/context.h"

/* A growing string (always NUL-terminated) or byte buffer. After a failed append `failed` is set,
 * later appends do nothing, and the message stands; so a writer checks `failed` once, at the end.
 */
typedef struct cj__text {
    cj_context *cj;
    char *bytes; /* NULL while empty */
    size_t length, capacity;
    cj_status failed;
} cj__text;

void cj__text_init(cj__text *text, cj_context *cj);
void cj__text_release(cj__text *text);
void cj__text_append(cj__text *text, const void *bytes, size_t length);
void cj__text_add(cj__text *text, const char *string);
void cj__text_format(cj__text *text, const char *format, ...) CJ_PRINTF(2, 3);
void cj__text_char(cj__text *text, char c);
void cj__text_clear(cj__text *text); /* length 0, memory kept */
/* Appends a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void cj__text_json(cj__text *text, const char *string);
/* The shortest decimal that reads back as the same double: "0.001", "1e-08", "nan", "inf". */
void cj__text_number(cj__text *text, double value);
const char *cj__text_string(const cj__text *text); /* "" when empty */

/* snprintf with '.' as decimal point whatever the locale. */
int cj__format(char *out, size_t size, const char *format, ...) CJ_PRINTF(3, 4);
int cj__vformat(char *out, size_t size, const char *format, va_list args);

/* What cj__text_number appends, into a buffer of its own. Returns the buffer. */
const char *cj__number(char out[32], double value);

/* Whole-string conversions ('.' only, no leading blanks, no hex, "nan" and "inf" are read): false
 * when the text is anything else or out of range. */
bool cj__parse_double(const char *text, size_t length, double *value);
bool cj__parse_int64(const char *text, size_t length, int64_t *value);

/* "a, b, c" of the first `shown` words (NULL-terminated), as many as fit; the rest is "...". */
void cj__list_words(char *out, size_t size, const char *const *words, int shown);
/* The word of `words` (NULL-terminated) that is nearest to `word` by edit distance, else the first
 * one that it is a part of (batchnorm, batch_normalization); NULL when there is none: for "unknown
 * layer 'dens': did you mean 'dense'?". */
const char *cj__nearest(const char *word, const char *const *words);

uint32_t cj__crc32(uint32_t crc, const void *bytes,
                   size_t size); /* zlib's polynomial; start with 0 */
uint64_t cj__hash(const void *bytes, size_t size, uint64_t seed);

#endif
