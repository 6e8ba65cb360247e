/* option.h: what the library does with option tables; the tables themselves are public. */
#ifndef CAJAL_BASE_OPTION_H
#define CAJAL_BASE_OPTION_H

#include <cajal/option.h>

#include "base/arena.h"
#include "base/text.h"

/* Sets every field to its initial value. */
void cj__options_init(const cj_option *table, void *options);
/* Replaces fields that are all zero by their initial values: C's keyword structures. */
void cj__options_default(const cj_option *table, void *options);
/* Range, finiteness and word checks: "sgd: momentum=1.5 is not between 0 and 1". A table row with
 * min = max = 0 has no range. NaN is refused unless it is the initial value; infinity too, unless
 * the row has no range or an infinite one on both sides. */
cj_status cj__options_check(cj_context *cj, const char *what, const cj_option *table,
                            const void *options);
/* One option by name from text: "what: unknown option 'momentun' (did you mean 'momentum'?)". Lists
 * are "a,b" or "[a, b]"; arrays and strings are copied into the arena. */
cj_status cj__option_set(cj__arena *arena, const char *what, const cj_option *table, void *options,
                         const char *name, const char *value);
/* `text` is "name" or "name(key=value, key=value)"; values may hold brackets, quotes and nested
 * parentheses; the first option of the table may be given without its key ("dropout(0.5)").
 * Strings may stand in quotes; "key=" is the string that is NULL. The first function splits off the
 * name, the second sets the options from what stands between the parentheses. */
cj_status cj__options_parse_name(cj__arena *arena, const char *text, char **name,
                                 const char **rest);
cj_status cj__options_parse(cj__arena *arena, const char *what, const cj_option *table,
                            void *options, const char *rest);
/* Appends "key=value, key=value" of the options that differ from their initial values (all: of
 * all). */
void cj__options_print(cj__text *out, const cj_option *table, const void *options, bool all);
/* The option of that name, NULL when the table has none. */
const cj_option *cj__option_find(const cj_option *table, const char *name);
/* The names of a WORD or DTYPE by value, NULL-terminated. */
const char *const *cj__option_words(const cj_option *option);
/* Which of an option's words `word` is; an error lists them. */
cj_status cj__option_word(cj_context *cj, const char *what, const cj_option *option,
                          const char *word, int *index);
/* One option against its range, as cj__options_check does for all. */
cj_status cj__option_check(cj_context *cj, const char *what, const cj_option *option,
                           const void *options);
/* Where the item that begins at text ends: at a comma outside all brackets and quotes, or at the
 * end of the text. NULL when brackets or quotes do not match or are nested deeper than 64; *why
 * then says so. */
const char *cj__option_item_end(const char *text, const char **why);

/* Deep copy into the arena (arrays and strings too; tensors and graphs are copied as pointers). */
cj_status cj__options_copy(cj__arena *arena, const cj_option *table, void *to, const void *from);
bool cj__options_equal(const cj_option *table, const void *a, const void *b);
/* The size of the value of one option in its structure, such as sizeof(double). */
size_t cj__option_size(cj_option_type type);

#endif
