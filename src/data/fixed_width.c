/* fixed_width.c: columns of fixed width, which blanks fill.
 *
 *     name    age  city              columns of which every character is blank in the first 100
 *     Ann      41  Turin       ->    lines separate the others: [name] [age] [city]
 *     Rosalba   7  Rome
 *
 * This is how pandas.read_fwf finds them, in characters (not bytes) of UTF-8; `widths` gives them
 * instead. Text that a later line has outside of every column, which read_fwf cuts off, is refused.
 */
#include <string.h>

#include "base/text.h"
#include "data/format.h"

enum { LOOKED_AT = 100, WIDTH_MAX = CJ__SHEET_CELL_BYTES_MAX };

typedef struct span {
    size_t from, to; /* characters; `to` is the first behind it */
} span;

typedef struct reader {
    cj__lines lines;
    cj__sheet *sheet;
    span *spans;
    size_t count, room;
    bool given;
} reader;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Does a character begin with this byte? The others of UTF-8 continue one. */
static bool begins(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

static cj_status add_span(reader *r, size_t from, size_t to)
{
    if (r->count == CJ__SHEET_COLUMNS_MAX)
        return cj_fail(r->sheet->cj, CJ_ERR_LIMIT, "%s: more than %d columns", r->sheet->name,
                       CJ__SHEET_COLUMNS_MAX);
    if (r->count == r->room) {
        size_t room = r->room ? 2 * r->room : 16;
        span *spans = cj__arena_array(&r->sheet->arena, room, sizeof *spans);
        if (!spans) return cj_last_status(r->sheet->cj);
        if (r->count) memcpy(spans, r->spans, r->count * sizeof *spans);
        r->spans = spans;
        r->room = room;
    }
    r->spans[r->count++] = (span){from, to};
    return CJ_OK;
}

/* ---- Where the columns are ------------------------------------------------------------------- */

/* "5,3,10" */
static cj_status take_widths(reader *r, const char *widths)
{
    const char *p = widths;
    size_t at = 0;
    do {
        size_t n = strcspn(p, ",");
        int64_t width;
        const char *from = p;
        p += n;
        while (n > 0 && is_blank(*from)) from++, n--;
        while (n > 0 && is_blank(from[n - 1])) n--;
        if (!cj__parse_int64(from, n, &width) || width < 1 || width > WIDTH_MAX ||
            (*p == ',' && !*++p))
            return cj_fail(r->sheet->cj, CJ_ERR_ARGUMENT,
                           "%s: widths='%.200s': expected the width of each column, as 5,3,10",
                           r->sheet->name, widths);
        CJ__TRY(add_span(r, at, at + (size_t)width));
        at += (size_t)width;
    } while (*p);
    r->given = true;
    return CJ_OK;
}

/* Marks the characters of a line that are not blank in `used`, when there is one; how many
 * characters it has. */
static size_t mark(const cj__lines *lines, unsigned char *used)
{
    size_t at = 0;
    for (size_t i = 0; i < lines->length; i++) {
        if (i > 0 && !begins(lines->text[i])) continue;
        if (used && !is_blank(lines->text[i])) used[at] = 1;
        at++;
    }
    return at;
}

static cj_status find_spans(reader *r, const char *bytes, size_t size)
{
    cj_status failed = CJ_OK;
    size_t longest = 0, from = 0;
    unsigned char *used = NULL;
    for (int pass = 0; pass < 2; pass++) {
        CJ__TRY(cj__lines_begin(&r->lines, r->sheet, bytes, size));
        if (pass > 0 && !(used = cj__arena_alloc(&r->sheet->arena, longest + 1)))
            return cj_last_status(r->sheet->cj);
        for (int i = 0; i < LOOKED_AT && cj__lines_next(&r->lines, &failed); i++) {
            size_t length = mark(&r->lines, used);
            if (length > longest) longest = length;
        }
        CJ__TRY(failed);
    }
    for (size_t i = 1; i <= longest; i++) {
        if (used[i] && !used[i - 1]) from = i;
        if (!used[i] && used[i - 1]) CJ__TRY(add_span(r, from, i));
    }
    return CJ_OK;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static cj_status fail_outside(const reader *r, const char *text, size_t length, size_t at)
{
    const int shown = length < 40 ? (int)length : 40;
    if (r->given)
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT,
                              "'%.*s' follows behind the last of the columns, which are %zu "
                              "characters wide",
                              shown, text, r->spans[r->count - 1].to);
    return cj__lines_fail(&r->lines, CJ_ERR_FORMAT,
                          "'%.*s' (character %zu) is in none of the %zu columns that the first %d "
                          "lines show: give their widths",
                          shown, text, at + 1, r->count, LOOKED_AT);
}

/* Passes characters up to number `to` of the line, of which *at are passed. */
static const char *pass(const char *p, const char *end, size_t *at, size_t to)
{
    while (p < end && *at < to) {
        p++;
        while (p < end && !begins(*p)) p++;
        ++*at;
    }
    return p;
}

/* Refuses what is not blank between columns. */
static cj_status check_blank(const reader *r, const char *from, const char *to, size_t at)
{
    for (; from < to; from++) {
        if (!is_blank(*from)) {
            size_t n = 0;
            while (from + n < to && !is_blank(from[n])) n++;
            return fail_outside(r, from, n, at);
        }
        at++;
    }
    return CJ_OK;
}

static cj_status read_line(reader *r)
{
    const char *p = r->lines.text, *end = p + r->lines.length;
    size_t at = 0;
    while (end > p && is_blank(end[-1])) end--;
    if (p == end) return CJ_OK;
    for (size_t i = 0; i <= r->count; i++) {
        const size_t before = at;
        const char *from = pass(p, end, &at, i < r->count ? r->spans[i].from : SIZE_MAX);
        CJ__TRY(check_blank(r, p, from, before));
        if (i == r->count) break;
        p = pass(from, end, &at, r->spans[i].to);
        const char *to = p;
        while (from < to && is_blank(*from)) from++;
        while (from < to && is_blank(to[-1])) to--;
        cj__cell cell = cj__cell_of(from, (size_t)(to - from));
        CJ__TRY(cj__sheet_add(r->sheet, &cell, r->lines.number));
    }
    return cj__sheet_end_row(r->sheet, r->lines.number);
}

static cj_status parse(cj__sheet *sheet, const char *bytes, size_t size,
                       const cj_dataset_opts *opts)
{
    reader r = {.sheet = sheet};
    CJ__TRY(opts->widths ? take_widths(&r, opts->widths) : find_spans(&r, bytes, size));
    cj_status failed = cj__lines_begin(&r.lines, sheet, bytes, size);
    while (!failed && cj__lines_next(&r.lines, &failed)) failed = read_line(&r);
    return failed;
}

const cj__file_format cj__format_fixed_width = {
    .row = {.name = "fixed_width",
            .suffixes = ".fwf",
            .doc = "columns of fixed width, which are found, or given by widths; a header if there "
                   "is",
            .table = true},
    .open = cj__table_open,
    .parse = parse};
