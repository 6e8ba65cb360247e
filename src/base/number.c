/* number.c: numbers as text, the same in every locale.
 *
 * The program's locale may write 0,5. printf and strtod are therefore called with this thread
 * switched to the "C" locale, and switched back: no global is touched, other threads see nothing.
 * What is read is checked by hand first, because strtod also takes blanks, hexadecimal and a rest.
 */
#if !defined(_GNU_SOURCE) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__APPLE__)
#include <xlocale.h>
#endif

#include "base/text.h"

enum { NUMERAL_MAX = 1100 }; /* the exact decimal of any double has fewer characters */

typedef struct c_locale {
    locale_t c, before;
} c_locale;

static c_locale enter_c_locale(void)
{
    c_locale l = {newlocale(LC_ALL_MASK, "C", (locale_t)0), (locale_t)0};
    if (l.c) l.before = uselocale(l.c);
    return l;
}

static void leave_c_locale(c_locale l)
{
    if (!l.c) return;
    uselocale(l.before);
    freelocale(l.c);
}

int cj__vformat(char *out, size_t size, const char *format, va_list args)
{
    c_locale l = enter_c_locale();
    int n = vsnprintf(out, size, format, args);
    leave_c_locale(l);
    return n;
}

int cj__format(char *out, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = cj__vformat(out, size, format, args);
    va_end(args);
    return n;
}

/* 15 digits always give back what was written with 15 or fewer; 17 always give back the double.
 * Below DBL_MIN there are fewer digits, so the search begins at one. */
const char *cj__number(char out[32], double value)
{
    char text[48] = "nan"; /* at most 24 are used; compilers count 38 */
    if (isinf(value)) memcpy(text, value < 0 ? "-inf" : "inf\0", 5);
    if (isfinite(value)) {
        c_locale l = enter_c_locale();
        for (int digits = fabs(value) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, value);
            if (strtod(text, NULL) == value) break;
        }
        leave_c_locale(l);
    }
    text[31] = 0;
    memcpy(out, text, 32);
    return out;
}

void cj__text_number(cj__text *text, double value)
{
    char out[32];
    cj__text_add(text, cj__number(out, value));
}

/* ---- Reading -------------------------------------------------------------------------------- */

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9') p++;
    return p;
}

static bool is_word(const char *p, const char *end, const char *word)
{
    for (; p < end && *word; p++, word++)
        if ((*p >= 'A' && *p <= 'Z' ? *p + 32 : *p) != *word) return false;
    return p == end && !*word;
}

/* digits [. digits] [e [sign] digits] with a digit before or behind the point. */
static bool is_decimal(const char *p, const char *end)
{
    const char *q = skip_digits(p, end);
    bool digits = q > p;
    if (q < end && *q == '.') {
        p = q + 1;
        q = skip_digits(p, end);
        digits |= q > p;
    }
    if (!digits) return false;
    if (q < end && (*q == 'e' || *q == 'E')) {
        p = q + 1;
        if (p < end && (*p == '+' || *p == '-')) p++;
        q = skip_digits(p, end);
        if (q == p) return false;
    }
    return q == end;
}

bool cj__parse_double(const char *text, size_t length, double *value)
{
    char numeral[NUMERAL_MAX + 1];
    if (!text || !length || length > NUMERAL_MAX) return false;
    const char *p = text, *end = text + length;
    bool negative = *p == '-';
    if (*p == '-' || *p == '+') p++;
    if (is_word(p, end, "nan")) {
        *value = (double)NAN;
        return true;
    }
    if (is_word(p, end, "inf") || is_word(p, end, "infinity")) {
        *value = negative ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    if (!is_decimal(p, end)) return false;
    memcpy(numeral, text, length);
    numeral[length] = 0;
    c_locale l = enter_c_locale();
    double v = strtod(numeral, NULL);
    leave_c_locale(l);
    if (isinf(v)) return false;
    *value = v;
    return true;
}

bool cj__parse_int64(const char *text, size_t length, int64_t *value)
{
    if (!text || !length) return false;
    const char *p = text, *end = text + length;
    bool negative = *p == '-';
    if (*p == '-' || *p == '+') p++;
    if (p == end) return false;
    int64_t v = 0; /* counted downwards: INT64_MIN has no positive twin */
    for (; p < end; p++) {
        if (*p < '0' || *p > '9') return false;
        if (CJ__MUL_OVERFLOWS(v, 10, &v) || CJ__ADD_OVERFLOWS(v, -(*p - '0'), &v)) return false;
    }
    if (!negative && v == INT64_MIN) return false;
    *value = negative ? v : -v;
    return true;
}
