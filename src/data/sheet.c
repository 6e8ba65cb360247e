/* sheet.c: the growing rows of cells that table formats fill, and what their texts share.
 *
 *     cells   | a | b | c | a | c | a | b |          rows  {first 0, 3 cells, line 1},
 *             '- row 0 ---'- row 1 '- open                 {first 3, 2 cells, line 2}
 *
 * Cells point into the text of the file; only those that stand there in another form (escapes) are
 * copied. In a sheet with columns the cells of a row are ordered by column, so a cell is found by
 * halving, at once where none before it is left out. */
#include "data/sheet.h"

#include <string.h>

#include "base/size.h"
#include "base/sort.h"
#include "base/text.h"

void cj__sheet_init(cj__sheet *sheet, cj_context *cj, const char *name)
{
    *sheet = (cj__sheet){.cj = cj, .name = name, .weight = -1, .line = 1};
    cj__arena_init(&sheet->arena, cj);
}

void cj__sheet_release(cj__sheet *sheet)
{
    if (sheet->cells) cj__free(sheet->cj, sheet->cells, sheet->cell_room * sizeof *sheet->cells);
    if (sheet->rows) cj__free(sheet->cj, sheet->rows, sheet->row_room * sizeof *sheet->rows);
    if (sheet->cj) cj__arena_release(&sheet->arena);
    *sheet = (cj__sheet){0};
}

const cj__cell *cj__sheet_cell(const cj__sheet *sheet, size_t row, int column)
{
    const cj__sheet_row *r = &sheet->rows[row];
    const cj__cell *cells = sheet->cells + r->first;
    if (!sheet->keyed) return &cells[column];
    if (column < r->cells && cells[column].column == column) return &cells[column];
    int low = 0, high = r->cells;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (cells[middle].column == column) return &cells[middle];
        if (cells[middle].column < column) low = middle + 1;
        else high = middle;
    }
    return &sheet->columns[column].absent;
}

/* ---- Filling --------------------------------------------------------------------------------- */

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

static cj_status fail_many(const cj__sheet *sheet, int64_t line)
{
    return cj_fail(sheet->cj, CJ_ERR_LIMIT, "%s: line %lld: more than %d columns", sheet->name,
                   (long long)line, CJ__SHEET_COLUMNS_MAX);
}

cj_status cj__sheet_add(cj__sheet *sheet, const cj__cell *cell, int64_t line)
{
    if (cell->length > CJ__SHEET_CELL_BYTES_MAX)
        return cj_fail(sheet->cj, CJ_ERR_LIMIT, "%s: line %lld: a cell is longer than %d bytes",
                       sheet->name, (long long)line, CJ__SHEET_CELL_BYTES_MAX);
    if (sheet->cell_count - sheet->open == CJ__SHEET_COLUMNS_MAX) return fail_many(sheet, line);
    cj__cell *cells = grow(sheet->cj, sheet->cells, sheet->cell_count, &sheet->cell_room,
                           sizeof *cells);
    if (!cells) return cj_last_status(sheet->cj);
    sheet->cells = cells;
    cells[sheet->cell_count++] = *cell;
    return CJ_OK;
}

static int compare_columns(const void *a, const void *b)
{
    const cj__cell *x = a, *y = b;
    return (x->column > y->column) - (x->column < y->column);
}

/* Puts the cells of the open row in the order of their columns. */
static cj_status order_cells(cj__sheet *sheet)
{
    size_t n = sheet->cell_count - sheet->open, bytes = n * (sizeof(cj__cell *) + sizeof(cj__cell));
    cj__cell *cells = sheet->cells + sheet->open;
    void *block = cj__alloc(sheet->cj, bytes);
    if (!block) return cj_last_status(sheet->cj);
    const cj__cell **order = block;
    cj__cell *copy = (cj__cell *)(order + n);
    memcpy(copy, cells, n * sizeof *copy);
    for (size_t i = 0; i < n; i++) order[i] = &copy[i];
    cj__sort((const void **)order, n, compare_columns);
    for (size_t i = 0; i < n; i++) cells[i] = *order[i];
    cj__free(sheet->cj, block, bytes);
    return CJ_OK;
}

static cj_status check_keys(cj__sheet *sheet, int64_t line)
{
    size_t n = sheet->cell_count - sheet->open, i = 1;
    const cj__cell *cells = sheet->cells + sheet->open;
    while (i < n && cells[i - 1].column < cells[i].column) i++;
    if (i >= n) return CJ_OK;
    CJ__TRY(order_cells(sheet));
    for (i = 1; i < n; i++)
        if (cells[i - 1].column == cells[i].column)
            return cj_fail(sheet->cj, CJ_ERR_FORMAT, "%s: line %lld: two values of column '%s'",
                           sheet->name, (long long)line, sheet->columns[cells[i].column].name);
    return CJ_OK;
}

cj_status cj__sheet_end_row(cj__sheet *sheet, int64_t line)
{
    cj__sheet_row row = {.first = sheet->open,
                         .cells = (int)(sheet->cell_count - sheet->open),
                         .line = line};
    if (sheet->keyed) CJ__TRY(check_keys(sheet, line));
    cj__sheet_row *rows = grow(sheet->cj, sheet->rows, sheet->row_count, &sheet->row_room,
                               sizeof *rows);
    if (!rows) return cj_last_status(sheet->cj);
    sheet->rows = rows;
    rows[sheet->row_count++] = row;
    sheet->open = sheet->cell_count;
    return sheet->row_count % 4096 ? CJ_OK : cj__check_cancel(sheet->cj);
}

cj__sheet_column *cj__sheet_add_column(cj__sheet *sheet, const char *name, size_t length,
                                       int64_t line)
{
    if (length > CJ__SHEET_NAME_BYTES_MAX) {
        cj_fail(sheet->cj, CJ_ERR_LIMIT,
                "%s: line %lld: the name of a column is longer than %d bytes", sheet->name,
                (long long)line, CJ__SHEET_NAME_BYTES_MAX);
        return NULL;
    }
    if (sheet->column_count == CJ__SHEET_COLUMNS_MAX) {
        fail_many(sheet, line);
        return NULL;
    }
    if (sheet->column_count == sheet->column_room) {
        int room = sheet->column_room ? 2 * sheet->column_room : 16;
        cj__sheet_column *columns = cj__arena_array(&sheet->arena, (size_t)room, sizeof *columns);
        if (!columns) return NULL;
        if (sheet->column_count)
            memcpy(columns, sheet->columns, (size_t)sheet->column_count * sizeof *columns);
        sheet->columns = columns;
        sheet->column_room = room;
    }
    char *copy = cj__arena_alloc(&sheet->arena, length + 1);
    if (!copy) return NULL;
    if (length) memcpy(copy, name, length);
    cj__sheet_column *column = &sheet->columns[sheet->column_count++];
    *column = (cj__sheet_column){.name = copy, .absent = {.text = ""}};
    return column;
}

/* ---- Text ------------------------------------------------------------------------------------ */

cj_status cj__text_beginning(cj_context *cj, const char *name, const char **bytes, size_t *size)
{
    const char *b = *bytes;
    const size_t n = *size;
    if (n >= 2 && (!memcmp(b, "\xff\xfe", 2) || !memcmp(b, "\xfe\xff", 2)))
        return cj_fail(cj, CJ_ERR_FORMAT, "%s: is UTF-16 text; save it as UTF-8", name);
    if (n >= 6 && !memcmp(b, "\xfd" "7zXZ\0", 6))
        return cj_fail(cj, CJ_ERR_UNSUPPORTED, "%s: is packed with xz: unpack it first (xz -dk)",
                       name);
    if (n >= 4 && (!memcmp(b, "PK\3\4", 4) || !memcmp(b, "BZh", 3)))
        return cj_fail(cj, CJ_ERR_UNSUPPORTED, "%s: is packed with zip or bzip2: unpack it first",
                       name);
    if (n >= 3 && !memcmp(b, "\xef\xbb\xbf", 3)) {
        *bytes += 3;
        *size -= 3;
    }
    return CJ_OK;
}

cj_status cj__lines_begin(cj__lines *lines, cj__sheet *sheet, const char *bytes, size_t size)
{
    CJ__TRY(cj__text_beginning(sheet->cj, sheet->name, &bytes, &size));
    *lines = (cj__lines){.sheet = sheet, .p = bytes, .end = bytes + size};
    return CJ_OK;
}

cj_status cj__lines_fail(const cj__lines *lines, cj_status status, const char *format, ...)
{
    char text[CJ__MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    cj__vformat(text, sizeof text, format, args);
    va_end(args);
    return cj_fail(lines->sheet->cj, status, "%s: line %lld: %s", lines->sheet->name,
                   (long long)lines->number, text);
}

bool cj__lines_next(cj__lines *lines, cj_status *failed)
{
    const char *p = lines->p;
    if (p == lines->end || *failed) return false;
    lines->number++;
    lines->text = p;
    while (p < lines->end && *p != '\n' && *p != '\r') {
        if (*p++ != 0) continue;
        *failed = cj__lines_fail(lines, CJ_ERR_FORMAT, "a zero byte: this is no text file");
        return false;
    }
    lines->length = (size_t)(p - lines->text);
    if (p < lines->end && *p == '\r') p++;
    if (p < lines->end && *p == '\n' && (p == lines->text + lines->length || p[-1] == '\r')) p++;
    lines->p = p;
    return true;
}
