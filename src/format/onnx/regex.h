/* regex.h: does a text match a regular expression as a whole? In RE2's syntax, on characters.
 *
 * Taken are literals, . ^ $ | ( ) (?: ) (?P<name> ), classes with ranges, ^, \d \w \s and
 * [:names:], the repetitions * + ? {m} {m,} {m,n} also lazy, \b \B \A \z, \t \n \r \f \v \a and \x.
 * Refused by name are flags, \p{...}, \Q, \C and octal numbers. No pattern takes longer than its
 * length times the text's. */
#ifndef CAJAL_FORMAT_ONNX_REGEX_H
#define CAJAL_FORMAT_ONNX_REGEX_H

#include "base/arena.h"

typedef struct cj__regex cj__regex;

/* Lives in the arena. DATA for what is no pattern, UNSUPPORTED for what is refused. */
cj_status cj__regex_compile(cj__arena *arena, const char *pattern, const cj__regex **out);
cj_status cj__regex_matches(cj_context *cj, const cj__regex *regex, const char *text, bool *out);

#endif
