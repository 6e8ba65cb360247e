/* recipe_scalar.c: what a plain word means.
 *
 * The core schema of YAML 1.2 (section 10.3.2), and nothing more: null and ~ and nothing at all are
 * null; true and false are the only booleans; integers are decimal, 0o7 or 0xf; floats need no
 * point before an exponent. A number that does not fit its type stays the string it was, so that it
 * reaches the message of whoever wanted a number, unharmed. */
#include <math.h>
#include <string.h>

#include "format/recipe.h"

enum { NUMBER_BYTES_MAX = 320 }; /* a double in full has at most 309 digits before its point */

static bool one_of(const char *text, size_t length, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (strlen(words[i]) == length && !memcmp(words[i], text, length)) return true;
    return false;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* 0o17 and 0xff, without a sign. */
static bool read_radix(const char *text, size_t length, int64_t *value)
{
    if (length < 3 || text[0] != '0' || (text[1] != 'o' && text[1] != 'x')) return false;
    int64_t radix = text[1] == 'o' ? 8 : 16, v = 0;
    for (size_t i = 2; i < length; i++) {
        char c = text[i];
        int digit = is_digit(c)            ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : 99;
        if (digit >= radix || v > (INT64_MAX - digit) / radix) return false;
        v = v * radix + digit;
    }
    *value = v;
    return true;
}

/* [-+]? ( [.][0-9]+ | [0-9]+ ([.][0-9]*)? ) ([eE][-+]?[0-9]+)?   Copies it to `out` with a digit on
 * both sides of the point and no plus in front; *whole tells whether it is an integer. */
static bool match_number(const char *text, size_t length, char out[NUMBER_BYTES_MAX], size_t *size,
                         bool *whole)
{
    size_t i = 0, n = 0, digits = 0;
    if (!length || length > NUMBER_BYTES_MAX - 4) return false;
    *whole = true;
    if (text[i] == '-') out[n++] = '-';
    if (text[i] == '-' || text[i] == '+') i++;
    for (; i < length && is_digit(text[i]); digits++) out[n++] = text[i++];
    if (i < length && text[i] == '.') {
        bool bare = !digits;
        *whole = false;
        if (bare) out[n++] = '0';
        out[n++] = text[i++];
        if (i == length || !is_digit(text[i])) {
            if (bare) return false;
            out[n++] = '0';
        }
        for (; i < length && is_digit(text[i]); digits++) out[n++] = text[i++];
    }
    if (!digits) return false;
    if (i < length && (text[i] == 'e' || text[i] == 'E')) {
        *whole = false;
        out[n++] = text[i++];
        if (i < length && (text[i] == '-' || text[i] == '+')) out[n++] = text[i++];
        if (i == length || !is_digit(text[i])) return false;
        while (i < length && is_digit(text[i])) out[n++] = text[i++];
    }
    out[n] = 0;
    *size = n;
    return i == length;
}

static bool read_special_float(const char *text, size_t length, double *value)
{
    static const char *const nan_words[] = {".nan", ".NaN", ".NAN", NULL};
    static const char *const inf_words[] = {".inf", ".Inf", ".INF", NULL};
    if (one_of(text, length, nan_words)) return *value = NAN, true;
    bool negative = length && text[0] == '-';
    bool sign = length && (text[0] == '-' || text[0] == '+');
    if (!one_of(text + sign, length - sign, inf_words)) return false;
    *value = negative ? -INFINITY : INFINITY;
    return true;
}

static void read_plain(cj_item *item, const char *text, size_t length)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    char number[NUMBER_BYTES_MAX];
    size_t size = 0;
    bool whole = false;
    item->kind = CJ_ITEM_STRING;
    if (one_of(text, length, nulls)) {
        item->kind = CJ_ITEM_NULL;
    } else if (one_of(text, length, trues) || one_of(text, length, falses)) {
        item->kind = CJ_ITEM_BOOL;
        item->truth = one_of(text, length, trues);
    } else if (read_radix(text, length, &item->integer)) {
        item->kind = CJ_ITEM_INT;
    } else if (read_special_float(text, length, &item->number)) {
        item->kind = CJ_ITEM_FLOAT;
    } else if (match_number(text, length, number, &size, &whole)) {
        if (whole && cj__parse_int64(number, size, &item->integer)) item->kind = CJ_ITEM_INT;
        if (!whole && cj__parse_double(number, size, &item->number)) item->kind = CJ_ITEM_FLOAT;
    }
    if (item->kind == CJ_ITEM_INT) item->number = (double)item->integer;
}

cj_status cj__item_scalar(cj_recipe *recipe, cj_item *item, const char *text, size_t length,
                          bool plain)
{
    if (memchr(text, 0, length) || !cj__utf8_valid(text, length))
        return cj__item_fail(recipe->cj, item, CJ_ERR_FORMAT, "a value is not UTF-8 text");
    char *copy = cj__arena_alloc(&recipe->arena, length + 1);
    if (!copy) return CJ_ERR_MEMORY;
    memcpy(copy, text, length);
    item->text = copy;
    item->kind = CJ_ITEM_STRING;
    if (plain) read_plain(item, copy, length);
    return CJ_OK;
}
