/* strings.h: texts as numbers, so that tensors of texts are tensors of numbers.
 *
 * A context keeps each text that was ever an element of one of its tensors, once, until it is
 * freed; the number of a text is its place. Equal texts have equal numbers, "" is 0. Any thread may
 * add and ask. */
#ifndef CAJAL_BASE_STRINGS_H
#define CAJAL_BASE_STRINGS_H

#include "base/context.h"

typedef struct cj__strings cj__strings;

/* The number of a text of `size` bytes, none of which is NUL. */
cj_status cj__string_number(cj_context *cj, const char *text, size_t size, uint64_t *number);
/* The text; "" for a number that is none. Valid as long as the context. */
const char *cj__string_text(cj_context *cj, uint64_t number);

/* What the texts of the context take of its memory. */
int64_t cj__strings_bytes(cj_context *cj);

/* For context.c: of the core that all children share. */
cj__strings *cj__strings_new(cj_context *cj);
void cj__strings_free(cj_context *cj, cj__strings *strings);
cj__strings *cj__core_strings(cj_context *cj); /* NULL with a message when there is no memory */

#endif
