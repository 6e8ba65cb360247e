/* csv.c: splits text into rows and cells, in one pass, by RFC 4180 and the habits around it.
 *
 *     plain cell     up to the delimiter or the end of the line; a quote inside is an ordinary
 *                    character
 *     "quoted cell"  may hold delimiters, line ends, and quotes written twice
 *     line ends      LF, CRLF or CR; the last one may be missing
 *
 * Cells point into the text; only those with doubled quotes are copied. Every cell costs 16 bytes,
 * so the memory is bounded by the size of the file. */
#include <string.h>

#include "data/format.h"

typedef struct reader {
    cj__sheet *sheet;
    cj_context *cj;
    const char *name, *p, *end;
    int64_t line;
    char delimiter;
} reader;

static bool is_end(char c)
{
    return c == '\n' || c == '\r';
}

static void skip_end(reader *r)
{
    if (r->p < r->end && *r->p == '\r') r->p++;
    else if (r->p < r->end && *r->p == '\n') {
        r->p++;
        r->line++;
        return;
    } else return;
    if (r->p < r->end && *r->p == '\n') r->p++;
    r->line++;
}

static bool is_blank(const reader *r, char c)
{
    return (c == ' ' || c == '\t') && c != r->delimiter;
}

static cj_status fail_long(const reader *r, int64_t line)
{
    return cj_fail(r->cj, CJ_ERR_LIMIT, "%s: line %lld: a cell is longer than %d bytes", r->name,
                   (long long)line, CJ__SHEET_CELL_BYTES_MAX);
}

/* The text between quotes, `doubled` pairs of which stand for one. */
static cj_status unquote(reader *r, const char *from, size_t length, size_t doubled, cj__cell *cell)
{
    cell->text = from;
    cell->length = (uint32_t)(length - doubled);
    if (!doubled) return CJ_OK;
    char *copy = cj__arena_alloc(&r->sheet->arena, length);
    if (!copy) return cj_last_status(r->cj);
    cell->text = copy;
    for (size_t i = 0; i < length; i++) {
        *copy++ = from[i];
        if (from[i] == '"') i++;
    }
    return CJ_OK;
}

static cj_status quoted_cell(reader *r, cj__cell *cell)
{
    int64_t opened = r->line;
    const char *from = ++r->p;
    size_t doubled = 0;
    for (;; r->p++) {
        if (r->p == r->end)
            return cj_fail(r->cj, CJ_ERR_FORMAT,
                           "%s: line %lld: a quote is opened and never closed", r->name,
                           (long long)opened);
        if (*r->p == '"') {
            if (r->p + 1 == r->end || r->p[1] != '"') break;
            r->p++;
            doubled++;
        } else if (*r->p == '\n' || (*r->p == '\r' && (r->p + 1 == r->end || r->p[1] != '\n'))) {
            r->line++;
        } else if (*r->p == 0) {
            return cj_fail(r->cj, CJ_ERR_FORMAT, "%s: line %lld: a zero byte: this is no text file",
                           r->name, (long long)r->line);
        }
        if (r->p - from > CJ__SHEET_CELL_BYTES_MAX) return fail_long(r, opened);
    }
    cell->quoted = true;
    CJ__TRY(unquote(r, from, (size_t)(r->p - from), doubled, cell));
    for (r->p++; r->p < r->end && is_blank(r, *r->p);) r->p++;
    if (r->p < r->end && *r->p != r->delimiter && !is_end(*r->p))
        return cj_fail(
            r->cj, CJ_ERR_FORMAT,
            "%s: line %lld: text follows a closing quote; a quote within quotes is written twice",
            r->name, (long long)r->line);
    return CJ_OK;
}

static cj_status next_cell(reader *r, cj__cell *cell)
{
    *cell = (cj__cell){0};
    while (r->p < r->end && is_blank(r, *r->p)) r->p++;
    if (r->p < r->end && *r->p == '"') return quoted_cell(r, cell);
    const char *from = r->p;
    for (; r->p < r->end && *r->p != r->delimiter && !is_end(*r->p); r->p++)
        if (*r->p == 0)
            return cj_fail(r->cj, CJ_ERR_FORMAT, "%s: line %lld: a zero byte: this is no text file",
                           r->name, (long long)r->line);
    const char *to = r->p;
    while (to > from && is_blank(r, to[-1])) to--;
    if (to - from > CJ__SHEET_CELL_BYTES_MAX) return fail_long(r, r->line);
    cell->text = from;
    cell->length = (uint32_t)(to - from);
    return CJ_OK;
}

static cj_status next_row(reader *r)
{
    int64_t line = r->line;
    cj__cell cell;
    for (;;) {
        CJ__TRY(next_cell(r, &cell));
        CJ__TRY(cj__sheet_add(r->sheet, &cell, line));
        if (r->p == r->end || *r->p != r->delimiter) break;
        r->p++;
    }
    skip_end(r);
    if (r->sheet->cell_count - r->sheet->open == 1 && cell.length == 0 && !cell.quoted) {
        r->sheet->cell_count--; /* a blank line */
        return CJ_OK;
    }
    return cj__sheet_end_row(r->sheet, line);
}

static char guess_delimiter(const char *p, const char *end)
{
    static const char choices[] = ",;\t";
    int counts[3] = {0}, best = 0;
    bool quoted = false;
    while (p < end && is_end(*p)) p++;
    for (; p < end && (quoted || !is_end(*p)); p++) {
        if (*p == '"') quoted = !quoted;
        for (int i = 0; i < 3; i++) counts[i] += !quoted && *p == choices[i];
    }
    for (int i = 1; i < 3; i++)
        if (counts[i] > counts[best]) best = i;
    return choices[best];
}

static bool is_tsv(const char *name)
{
    size_t n = strlen(name);
    if (n > 3 && !memcmp(name + n - 3, ".gz", 3)) n -= 3;
    return n > 4 && !memcmp(name + n - 4, ".tsv", 4);
}

/* A row whose end is not in the part yet may be one that ends there, or within a quoted cell. */
static cj_status parse_part(cj__sheet *sheet, const char *bytes, size_t size, bool is_last,
                            size_t *used)
{
    if (!sheet->delimiter)
        sheet->delimiter = is_tsv(sheet->name) ? '\t' : guess_delimiter(bytes, bytes + size);
    if (sheet->delimiter == '"' || is_end(sheet->delimiter))
        return cj_fail(sheet->cj, CJ_ERR_ARGUMENT,
                       "%s: a quote or line end cannot be the delimiter", sheet->name);
    reader r = {sheet, sheet->cj, sheet->name, bytes, bytes + size, sheet->line, sheet->delimiter};
    while (r.p < r.end) {
        const char *from = r.p;
        const size_t rows = sheet->row_count, cells = sheet->cell_count;
        cj_status failed = next_row(&r);
        if (r.p == r.end && !is_last) { /* read again with what follows */
            sheet->row_count = rows;
            sheet->cell_count = sheet->open = cells;
            r.p = from;
            break;
        }
        CJ__TRY(failed);
        if (sheet->row_count > rows) sheet->rows[rows].at = (size_t)(from - bytes);
        sheet->line = r.line;
    }
    *used = (size_t)(r.p - bytes);
    return CJ_OK;
}

static cj_status parse(cj__sheet *sheet, const char *bytes, size_t size,
                       const cj_dataset_opts *opts)
{
    size_t used;
    CJ__TRY(cj__text_beginning(sheet->cj, sheet->name, &bytes, &size));
    sheet->delimiter = opts->delimiter;
    return parse_part(sheet, bytes, size, true, &used);
}

const cj__file_format cj__format_csv = {
    .row = {.name = "csv",
            .suffixes = ".csv .tsv .txt",
            .doc = "rows of cells with a delimiter between them (RFC 4180); a header if there is",
            .table = true},
    .open = cj__table_open,
    .parse = parse,
    .parse_part = parse_part};
