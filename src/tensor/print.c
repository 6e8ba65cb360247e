/* print.c: a tensor as numpy's str() writes it.
 *
 * Two walks over the elements that are shown (all, or three at either end of each long axis): the
 * first finds one notation and width for them all, the second prints. A number is its shortest
 * decimal that reads back as the same value of its dtype, cut to eight digits after the point;
 * scientific when the largest is >= 1e8, the smallest < 1e-4 or their ratio > 1000. Numbers align
 * at the point, and a row longer than 75 columns wraps under its bracket:
 *
 *     [[ 1.    2.5  -3.  ]
 *      [ 0.125  nan  inf ]]
 *
 * Texts stand in quotes, not aligned, and what a terminal would not show is escaped, so that no
 * file talks to it.
 */
#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "tensor/print.h"

enum {
    EDGE = 3,
    THRESHOLD = 1000,
    PRECISION = 8,
    LINE = 75,
    WORD = CJ__ELEMENT_TEXT,
    SIGNIFICANT_MAX = 17
};

/* ---- One number ------------------------------------------------------------------------------ */

/* digits[0].digits[1]digits[2]... * 10^exponent */
typedef struct decimal {
    bool negative;
    int count, exponent;
    char digits[SIGNIFICANT_MAX + 1];
} decimal;

static decimal decimal_of(double value, int significant)
{
    char text[WORD];
    decimal d = {.negative = signbit(value) != 0};
    cj__format(text, sizeof(text), "%.*e", significant - 1, fabs(value));
    const char *c = text;
    for (; *c && *c != 'e'; c++)
        if (*c != '.' && d.count < SIGNIFICANT_MAX) d.digits[d.count++] = *c;
    bool negative = c[0] && c[1] == '-';
    for (c += c[0] && c[1] ? 2 : 0; *c; c++) d.exponent = d.exponent * 10 + (*c - '0');
    if (negative) d.exponent = -d.exponent;
    return d;
}

static double round_to(cj_dtype dtype, double value)
{
    double one[1]; /* room and alignment for any dtype */
    cj_store_f64(dtype, one, 0, value);
    return cj_load_f64(dtype, one, 0);
}

static bool reads_back(cj_dtype dtype, const decimal *d, double value)
{
    char text[WORD];
    double back;
    int length = cj__format(text, sizeof(text), "%c.%.*se%d", d->digits[0], d->count - 1,
                            d->digits + 1, d->exponent);
    return cj__parse_double(text, (size_t)length, &back) && round_to(dtype, back) == fabs(value);
}

/* The next decimal of as many digits; false when that takes one digit more. */
static bool step_up(decimal *d)
{
    int i = d->count - 1;
    while (i >= 0 && d->digits[i] == '9') d->digits[i--] = '0';
    if (i < 0) return false;
    d->digits[i]++;
    return true;
}

/* The fewest digits that read back as `value` in its dtype. Above a power of two the values lie
 * twice as far apart as below it, so there the decimal above may do where the nearest one does not.
 */
static decimal shortest(cj_dtype dtype, double value)
{
    for (int significant = 1; significant < SIGNIFICANT_MAX; significant++) {
        decimal d = decimal_of(value, significant);
        if (reads_back(dtype, &d, value) || (step_up(&d) && reads_back(dtype, &d, value))) return d;
    }
    return decimal_of(value, SIGNIFICANT_MAX);
}

/* "12.5", "3.", "-0.00012": at most `precision` digits after the point, no zeros at the end. All
 * digits before the point are the value's own when `exact`, else zeros stand behind the shortest
 * ones. */
static void positional(cj_dtype dtype, double value, int precision, bool exact, char out[WORD])
{
    decimal d = shortest(dtype, value);
    if (exact && d.exponent >= d.count) d = decimal_of(value, d.exponent + 1);
    if (d.count - 1 - d.exponent > precision) {
        int length = cj__format(out, WORD, "%.*f", precision, value);
        while (length && out[length - 1] == '0') out[--length] = '\0';
        return;
    }
    if (d.negative) *out++ = '-';
    int last = d.exponent - (d.count - 1); /* the power of ten of the last digit */
    for (int power = d.exponent > 0 ? d.exponent : 0; power >= 0 || power >= last; power--) {
        if (power == -1) *out++ = '.';
        *out++ = power > d.exponent || power < last ? '0' : d.digits[d.exponent - power];
    }
    if (last >= 0) *out++ = '.';
    *out = '\0';
}

/* "1.25e-03", "1.e+08": the digits of `d` and an exponent of at least so many digits. */
static void scientific(decimal d, int exponent_digits, char out[WORD])
{
    cj__format(out, WORD, "%s%c.%.*se%c%0*d", d.negative ? "-" : "", d.digits[0], d.count - 1,
               d.digits + 1, d.exponent < 0 ? '-' : '+', exponent_digits, abs(d.exponent));
}

/* The shortest digits, or nine of them without zeros at the end when the shortest are more. */
static decimal cut_shortest(cj_dtype dtype, double value)
{
    decimal d = shortest(dtype, value);
    if (d.count <= PRECISION + 1) return d;
    d = decimal_of(value, PRECISION + 1);
    while (d.count > 1 && d.digits[d.count - 1] == '0') d.count--;
    return d;
}

/* What a column of scientific numbers with so many digits after the point shows: the shortest
 * decimal where it has just as many, else the value's own digits. */
static decimal widened(cj_dtype dtype, double value, int digits)
{
    decimal d = shortest(dtype, value);
    return d.count == digits + 1 ? d : decimal_of(value, digits + 1);
}

static const char *special(double value)
{
    return isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
}

/* ---- First walk: one notation and width for all ---------------------------------------------- */

typedef struct printer {
    const cj_tensor *t;
    FILE *to;
    bool cut;           /* only the edges are shown */
    int column, spaces; /* of a row: its length so far, and how many blanks at its end are not
                           written yet */
    double min, max;    /* of the magnitudes that are finite and not zero; 0 when there are none */
    bool scientific, any_special, any_negative_infinity;
    int left, right;    /* characters before and after the point; of other types: left only */
    int digits;         /* scientific: after the point */
    int exponent;       /* scientific: digits of the longest exponent, at least two */
} printer;

static double real(const printer *p, int64_t i)
{
    return cj_load_f64(p->t->dtype, cj__tensor_data(p->t), (size_t)i);
}

static void whole(const printer *p, int64_t i, char out[WORD])
{
    int64_t value = cj_load_i64(p->t->dtype, cj__tensor_data(p->t), (size_t)i);
    if (p->t->dtype == CJ_BOOL) cj__format(out, WORD, "%s", value ? "True" : "False");
    else if (p->t->dtype == CJ_U64) cj__format(out, WORD, "%llu", (unsigned long long)value);
    else cj__format(out, WORD, "%lld", (long long)value);
}

static bool is_float(const printer *p)
{
    cj_dtype_kind kind = cj_dtype_info(p->t->dtype)->kind;
    return kind == CJ_KIND_FLOAT || kind == CJ_KIND_LOW_FLOAT;
}

static void grow(int *width, size_t length)
{
    if ((int)length > *width) *width = (int)length;
}

static void see_range(printer *p, int64_t i)
{
    double value = real(p, i), size = fabs(value);
    if (!isfinite(value)) {
        p->any_special = true;
        if (isinf(value) && value < 0) p->any_negative_infinity = true;
    } else if (size > 0) {
        if (size > p->max) p->max = size;
        if (p->min == 0 || size < p->min) p->min = size;
    }
}

static void see_width(printer *p, int64_t i)
{
    char text[WORD];
    double value = is_float(p) ? real(p, i) : 0;
    if (p->t->dtype == CJ_STRING) return;
    if (!is_float(p)) {
        whole(p, i, text);
        grow(&p->left, p->t->dtype == CJ_BOOL ? 5 : strlen(text));
    } else if (isfinite(value) && p->scientific) {
        decimal d = cut_shortest(p->t->dtype, value);
        grow(&p->left, d.negative ? 2 : 1);
        grow(&p->digits, (size_t)d.count - 1);
        if (abs(d.exponent) >= 100) p->exponent = 3;
    } else if (isfinite(value)) {
        positional(p->t->dtype, value, PRECISION, true, text);
        size_t left = strcspn(text, ".");
        grow(&p->left, left);
        grow(&p->right, strlen(text) - left - 1);
    }
}

/* Calls `see` for every element that will be shown, in order. */
static void walk(printer *p, int axis, int64_t index, void (*see)(printer *p, int64_t i))
{
    if (axis == p->t->rank) {
        see(p, index);
        return;
    }
    int64_t n = p->t->shape[axis];
    for (int64_t i = 0; i < n; i++) {
        if (p->cut && i == EDGE && n > 2 * EDGE) i = n - EDGE;
        walk(p, axis + 1, index * n + i, see);
    }
}

static void choose(printer *p)
{
    if (is_float(p)) {
        walk(p, 0, 0, see_range);
        double ratio = p->max > 0 ? round_to(p->t->dtype, p->max / p->min) : 0;
        p->scientific = p->max > 0 && (p->max >= 1e8 || p->min < 1e-4 || ratio > 1000);
        p->exponent = 2;
    }
    walk(p, 0, 0, see_width);
    if (p->scientific) p->right = p->digits + p->exponent + 2;
    if (p->any_special) {
        int word = p->any_negative_infinity ? 4 : 3, left = word - (p->right + 1);
        if (left > p->left) p->left = left;
    }
}

/* ---- Second walk: print ---------------------------------------------------------------------- */

/* Appends to the row. Blanks wait until something follows them, so a line that wraps ends in none.
 * A character of several bytes is one column. */
static void put(printer *p, const char *word, int length)
{
    for (int i = 0; i < length; i++) {
        p->column += ((unsigned char)word[i] & 0xc0) != 0x80;
        if (word[i] == ' ') {
            p->spaces++;
            continue;
        }
        fprintf(p->to, "%*s%c", p->spaces, "", word[i]);
        p->spaces = 0;
    }
}

static void make_room(printer *p, int columns)
{
    const int rank = p->t->rank;
    if (p->column <= rank || p->column + columns <= LINE - rank) return;
    fputc('\n', p->to);
    p->column = p->spaces = rank;
}

/* One byte as Python's repr() has it within these quotes, 0: none. Returns its length. */
static int escaped(char byte, char quote, char out[8])
{
    static const char from[] = "\n\t\r\\", to[] = "ntr\\";
    const char *short_one = byte ? strchr(from, byte) : NULL;
    if (short_one && (quote || byte != '\\'))
        return cj__format(out, 8, "\\%c", to[short_one - from]);
    if (quote && byte == quote) return cj__format(out, 8, "\\%c", byte);
    if ((unsigned char)byte < 32 || byte == 127)
        return cj__format(out, 8, "\\x%02x", (unsigned)(unsigned char)byte);
    out[0] = byte;
    return 1;
}

static void put_text(printer *p, const char *text)
{
    const char quote = strchr(text, '\'') && !strchr(text, '"') ? '"' : '\'';
    char piece[8];
    int columns = 2;
    for (const char *c = text; *c; c++)
        columns += ((unsigned char)*c & 0xc0) == 0x80 ? 0 : escaped(*c, quote, piece);
    make_room(p, columns);
    put(p, &quote, 1);
    for (const char *c = text; *c; c++) {
        const int length = escaped(*c, quote, piece);
        put(p, piece, length);
    }
    put(p, &quote, 1);
}

/* A word with blanks before and after it; wraps first when the line would become too long. */
static void put_word(printer *p, const char *word, int before, int after)
{
    int length = (int)strlen(word);
    if (before < 0) before = 0;
    if (after < 0) after = 0;
    make_room(p, before + length + after);
    p->column += before;
    p->spaces += before;
    put(p, word, length);
    p->column += after;
    p->spaces += after;
}

static void put_element(printer *p, int64_t i)
{
    char text[WORD];
    if (p->t->dtype == CJ_STRING) {
        put_text(p, cj_tensor_string(p->t, i));
        return;
    }
    if (!is_float(p)) {
        whole(p, i, text);
        put_word(p, text, p->left - (int)strlen(text), 0);
        return;
    }
    double value = real(p, i);
    if (!isfinite(value)) {
        const char *word = special(value);
        put_word(p, word, p->left + 1 + p->right - (int)strlen(word), 0);
        return;
    }
    if (p->scientific) scientific(widened(p->t->dtype, value, p->digits), p->exponent, text);
    else positional(p->t->dtype, value, PRECISION, true, text);
    int left = (int)strcspn(text, "."), right = (int)strlen(text) - left - 1;
    put_word(p, text, p->left - left, p->scientific ? 0 : p->right - right);
}

static void print_axis(printer *p, int axis, int64_t index)
{
    int rank = p->t->rank;
    int64_t n = p->t->shape[axis];
    bool row = axis == rank - 1;
    fputc('[', p->to);
    p->column = rank;
    p->spaces = 0;
    for (int64_t i = 0; i < n; i++) {
        bool gap = p->cut && i == EDGE && n > 2 * EDGE;
        if (row) {
            if (i) put(p, " ", 1);
            if (gap) {
                put_word(p, "...", 0, 0);
                put(p, " ", 1);
            }
        } else {
            for (int line = 0; i && line < rank - axis - 1; line++) fputc('\n', p->to);
            if (i) fprintf(p->to, "%*s", axis + 1, "");
            if (gap) {
                fputs("...", p->to);
                for (int line = 0; line < rank - axis - 1; line++) fputc('\n', p->to);
                fprintf(p->to, "%*s", axis + 1, "");
            }
        }
        if (gap) i = n - EDGE;
        if (row) put_element(p, index * n + i);
        else print_axis(p, axis + 1, index * n + i);
    }
    if (row) fprintf(p->to, "%*s", p->spaces, "");
    fputc(']', p->to);
}

/* A single value is not cut to eight digits. */
void cj__element_text(const cj_tensor *t, int64_t i, char out[CJ__ELEMENT_TEXT])
{
    const printer p = {.t = t};
    if (!is_float(&p)) {
        whole(&p, i, out);
        return;
    }
    double value = real(&p, i), size = fabs(value);
    if (!isfinite(value)) {
        cj__format(out, WORD, "%s", special(value));
    } else if (size == 0 || (size >= 1e-4 && size < 1e16)) {
        positional(t->dtype, value, SIGNIFICANT_MAX + 4, false, out);
        const size_t length = strlen(out);
        if (out[length - 1] == '.') memcpy(out + length, "0", 2);
    } else {
        decimal d = shortest(t->dtype, value);
        scientific(d, 2, out);
        char *point = strchr(out, '.');
        if (d.count == 1) memmove(point, point + 1, strlen(point)); /* 1e-05, not 1.e-05 */
    }
}

void cj_tensor_print(const cj_tensor *t, FILE *to)
{
    printer p = {.t = t, .to = to, .cut = t->count > THRESHOLD};
    if (t->count == 0) {
        fputs("[]", to);
    } else if (t->rank == 0 && t->dtype == CJ_STRING) {
        char piece[8];
        for (const char *c = cj_tensor_string(t, 0); *c; c++)
            fwrite(piece, 1, (size_t)escaped(*c, 0, piece), to);
    } else if (t->rank == 0) {
        char text[WORD];
        cj__element_text(t, 0, text);
        fputs(text, to);
    } else {
        choose(&p);
        print_axis(&p, 0, 0);
    }
    fputc('\n', to);
}
