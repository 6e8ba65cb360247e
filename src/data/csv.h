/* csv.h: rows of cells from text (RFC 4180). What the cells mean is table.c's business. */
#ifndef CAJAL_DATA_CSV_H
#define CAJAL_DATA_CSV_H

#include "base/arena.h"
#include "base/context.h"

/* Not NUL-terminated. Blanks around an unquoted cell are not part of it. */
typedef struct cj__cell {
    const char *text;
    uint32_t length;
    bool quoted;
} cj__cell;

typedef struct cj__csv_row {
    size_t first; /* index of its first cell */
    int cells;
    int64_t line; /* of its first character, from 1 */
} cj__csv_row;

typedef struct cj__csv {
    cj_context *cj;
    cj__cell *cells;
    cj__csv_row *rows;
    size_t cell_count, cell_room, row_count, row_room;
    cj__arena arena; /* texts of cells with doubled quotes */
} cj__csv;

enum { CJ__CSV_COLUMNS_MAX = 1 << 16, CJ__CSV_CELL_BYTES_MAX = 1 << 20 };

/* Blank lines are left out; rows may differ in length. Unquoted texts point into `bytes`, which
 * must stay. delimiter 0: the most frequent of , ; and tab in the first row. */
cj_status cj__csv_parse(cj__csv *csv, cj_context *cj, const char *name, const char *bytes,
                        size_t size, char delimiter);
void cj__csv_release(cj__csv *csv);

#endif
