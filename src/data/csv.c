/* csv.c: splits text into rows and cells, in one pass, by RFC 4180 and the habits around it.
 *
 *     plain cell     up to the delimiter or the end of the line; a quote inside is an ordinary
 * character "quoted cell"  may hold delimiters, line ends, and quotes written twice line ends LF,
 * CRLF or CR; the last one may be missing first bytes    a UTF-8 byte order mark is skipped; UTF-16
 * and binary files are refused by name
 *
 * Cells point into the text; only those with doubled quotes are copied. Every cell costs 16 bytes,
 * so the memory is bounded by the size of the file. */
#include "data/csv.h"

#include <string.h>

#include "base/size.h"

typedef struct reader {
    cj__csv *csv;
    cj_context *cj;
    const char *name, *p, *end;
    int64_t line;
    char delimiter;
} reader;

void cj__csv_release(cj__csv *csv)
{
    if (csv->cells) cj__free(csv->cj, csv->cells, csv->cell_room * sizeof *csv->cells);
    if (csv->rows) cj__free(csv->cj, csv->rows, csv->row_room * sizeof *csv->rows);
    if (csv->cj) cj__arena_release(&csv->arena);
    *csv = (cj__csv){0};
}

/* Room for one more item of `size` bytes behind `count`; NULL with a message when there is none. */
static void *grow(cj_context *cj, void *items, size_t count, size_t *room, size_t size)
{
    size_t wanted = *room ? *room : 32, old_bytes, bytes;
    if (count < *room) return items;
    if (!cj__size_mul(wanted, 2, &wanted) || !cj__size_mul(wanted, size, &bytes) ||
        !cj__size_mul(*room, size, &old_bytes)) {
        cj_fail(cj, CJ_ERR_LIMIT, "table: too many cells");
        return NULL;
    }
    void *grown = cj__realloc(cj, items, old_bytes, bytes);
    if (grown) *room = wanted;
    return grown;
}

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
                   (long long)line, CJ__CSV_CELL_BYTES_MAX);
}

/* The text between quotes, `doubled` pairs of which stand for one. */
static cj_status unquote(reader *r, const char *from, size_t length, size_t doubled, cj__cell *cell)
{
    cell->text = from;
    cell->length = (uint32_t)(length - doubled);
    if (!doubled) return CJ_OK;
    char *copy = cj__arena_alloc(&r->csv->arena, length);
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
        if (r->p - from > CJ__CSV_CELL_BYTES_MAX) return fail_long(r, opened);
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
    if (to - from > CJ__CSV_CELL_BYTES_MAX) return fail_long(r, r->line);
    cell->text = from;
    cell->length = (uint32_t)(to - from);
    return CJ_OK;
}

static cj_status next_row(reader *r)
{
    cj__csv *csv = r->csv;
    cj__csv_row row = {.first = csv->cell_count, .line = r->line};
    for (;;) {
        cj__cell *cells = grow(r->cj, csv->cells, csv->cell_count, &csv->cell_room, sizeof *cells);
        if (!cells) return cj_last_status(r->cj);
        csv->cells = cells;
        CJ__TRY(next_cell(r, &csv->cells[csv->cell_count]));
        csv->cell_count++;
        if (++row.cells > CJ__CSV_COLUMNS_MAX)
            return cj_fail(r->cj, CJ_ERR_LIMIT, "%s: line %lld: more than %d columns", r->name,
                           (long long)row.line, CJ__CSV_COLUMNS_MAX);
        if (r->p == r->end || *r->p != r->delimiter) break;
        r->p++;
    }
    skip_end(r);
    const cj__cell *only = &csv->cells[row.first];
    if (row.cells == 1 && only->length == 0 && !only->quoted) {
        csv->cell_count--; /* a blank line */
        return CJ_OK;
    }
    cj__csv_row *rows = grow(r->cj, csv->rows, csv->row_count, &csv->row_room, sizeof *rows);
    if (!rows) return cj_last_status(r->cj);
    csv->rows = rows;
    csv->rows[csv->row_count++] = row;
    return csv->row_count % 4096 ? CJ_OK : cj__check_cancel(r->cj);
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

static cj_status check_beginning(reader *r, size_t size)
{
    const char *b = r->p;
    if (size >= 3 && !memcmp(b, "\xef\xbb\xbf", 3)) r->p += 3;
    if (size >= 2 && (!memcmp(b, "\xff\xfe", 2) || !memcmp(b, "\xfe\xff", 2)))
        return cj_fail(r->cj, CJ_ERR_FORMAT, "%s: is UTF-16 text; save it as UTF-8", r->name);
    if (size >= 6 && !memcmp(b, "\xfd" "7zXZ\0", 6))
        return cj_fail(r->cj, CJ_ERR_UNSUPPORTED, "%s: is packed with xz: unpack it first (xz -dk)",
                       r->name);
    if (size >= 4 && (!memcmp(b, "PK\3\4", 4) || !memcmp(b, "BZh", 3)))
        return cj_fail(r->cj, CJ_ERR_UNSUPPORTED,
                       "%s: is packed with zip or bzip2: unpack it first", r->name);
    return CJ_OK;
}

cj_status cj__csv_parse(cj__csv *csv, cj_context *cj, const char *name, const char *bytes,
                        size_t size, char delimiter)
{
    *csv = (cj__csv){.cj = cj};
    cj__arena_init(&csv->arena, cj);
    reader r = {csv, cj, name, bytes, bytes + size, 1, delimiter};
    cj_status failed = check_beginning(&r, size);
    if (!failed && !delimiter) r.delimiter = guess_delimiter(r.p, r.end);
    if (!failed && (r.delimiter == '"' || is_end(r.delimiter)))
        failed = cj_fail(cj, CJ_ERR_ARGUMENT, "%s: a quote or line end cannot be the delimiter",
                         name);
    while (!failed && r.p < r.end) failed = next_row(&r);
    if (failed) cj__csv_release(csv);
    return failed;
}
