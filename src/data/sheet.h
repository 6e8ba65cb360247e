/* sheet.h: rows of cells, which is what every table format makes of a file. What the cells mean is
 * table.c's business.
 *
 * A plain sheet (CSV) is its rows; names may stand in the first of them. A sheet with columns comes
 * from a format whose files name them (JSON lines, ARFF, SVMlight): rows hold the cells that are
 * there, each with the number of its column, and `absent` of the column stands for the others. So
 * a sheet is never larger than a small multiple of its file, however sparse that is. */
#ifndef CAJAL_DATA_SHEET_H
#define CAJAL_DATA_SHEET_H

#include <cajal/data.h>

#include "base/arena.h"
#include "base/context.h"

enum {
    CJ__SHEET_COLUMNS_MAX = 1 << 16, /* so that a number of a column fits 16 bits */
    CJ__SHEET_CELL_BYTES_MAX = 1 << 20,
    CJ__SHEET_NAME_BYTES_MAX = 4096
};

/* Not NUL-terminated. Blanks around an unquoted cell are not part of it. */
typedef struct cj__cell {
    const char *text;
    uint32_t length;
    uint16_t column; /* of a sheet with columns */
    bool quoted;
    bool literal;    /* the format says that it is there: "NA" and "?" are texts like others */
} cj__cell;

/* An unquoted cell; a length that is no cell's stays too long. */
static inline cj__cell cj__cell_of(const char *text, size_t length)
{
    return (cj__cell){.text = text, .length = length < UINT32_MAX ? (uint32_t)length : UINT32_MAX};
}

typedef struct cj__sheet_row {
    size_t first; /* index of its first cell */
    int cells;
    int64_t line; /* of its first character, from 1 */
    size_t at;    /* its place in the text, of formats that are read in parts */
} cj__sheet_row;

typedef struct cj__sheet_column {
    const char *name;
    bool declared; /* `kind` is what the file says, not to be found from the cells */
    cj_column_kind kind;
    int categories; /* of a declared categorical column, in the file's order */
    const char *const *category_names;
    cj__cell absent; /* the cell of a row that has none; by default empty, which is missing */
} cj__sheet_column;

typedef struct cj__sheet {
    cj_context *cj;
    const char *name; /* in messages */
    cj__cell *cells;
    cj__sheet_row *rows;
    size_t cell_count, cell_room, row_count, row_room;
    cj__arena arena; /* texts of cells that do not stand in the file as they are, and columns */
    size_t open;     /* index of the first cell of the row that has not ended */
    bool no_header;  /* of a plain sheet: its first row is a sample whatever it looks like */
    bool keyed;      /* the sheet has columns, and every cell says of which it is */
    int column_count, column_room;
    cj__sheet_column *columns; /* [column_count], from the arena; of a plain sheet NULL */
    int weight;                /* the column with each row's weight, as the file says; -1: none */
    int64_t line;              /* the text begins there, 1; after a part: the next one does */
    char delimiter;            /* of CSV: that was given or found */
} cj__sheet;

void cj__sheet_init(cj__sheet *sheet, cj_context *cj, const char *name);
void cj__sheet_release(cj__sheet *sheet);

/* The cell at a place; in a plain sheet the row must be long enough. */
const cj__cell *cj__sheet_cell(const cj__sheet *sheet, size_t row, int column);

/* ---- Filling ---- */

/* One more cell of the row that has not ended. `line` stands in messages: a cell may be too long,
 * and a row have too many. */
cj_status cj__sheet_add(cj__sheet *sheet, const cj__cell *cell, int64_t line);
/* Ends the row that began at `line`. In a sheet with columns its cells are put in order; two of one
 * column are refused. */
cj_status cj__sheet_end_row(cj__sheet *sheet, int64_t line);
/* One more column, numbered column_count - 1, its name copied; the rest of it is the caller's to
 * set. `line` as above. NULL on failure. */
cj__sheet_column *cj__sheet_add_column(cj__sheet *sheet, const char *name, size_t length,
                                       int64_t line);

/* ---- Text ---- */

/* A file line by line: LF, CRLF or CR; the last one may be missing. */
typedef struct cj__lines {
    cj__sheet *sheet;
    const char *p, *end; /* what is left */
    const char *text;    /* the line, without its end */
    size_t length;
    int64_t number;      /* of the line, from 1 */
} cj__lines;

/* What every text format begins with: skips a UTF-8 byte order mark, refuses UTF-16 and packed
 * files by name. */
cj_status cj__text_beginning(cj_context *cj, const char *name, const char **bytes, size_t *size);

cj_status cj__lines_begin(cj__lines *lines, cj__sheet *sheet, const char *bytes, size_t size);
/* The next line; false at the end, and after a failure, which *failed tells. A zero byte is one. */
bool cj__lines_next(cj__lines *lines, cj_status *failed);
/* "FILE: line 7: ..." */
cj_status cj__lines_fail(const cj__lines *lines, cj_status status, const char *format, ...)
    CJ_PRINTF(3, 4);

#endif
