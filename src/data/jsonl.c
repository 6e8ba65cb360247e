/* jsonl.c: JSON lines, an object or a list a line.
 *
 *     {"size": 5.1, "box": {"w": 2, "h": 3}, "at": [7, 8]}        size  box.w  box.h  at.0  at.1
 *     {"at": [9, 1], "size": 4.9, "kind": "new"}            ->    5.1   2      3      7     8
 *                                                                 4.9   -      -      9     1 ...
 *
 * Columns are the keys in the order they are met, those of all lines (as pandas.read_json has it);
 * objects and lists within become columns of their own, named by the path to each value (as
 * pandas.json_normalize does with objects). What a line does not have is missing, and null is, and
 * an empty text. Numbers keep their digits and become numbers where others do; true and false are
 * texts. A line that is a list is a row without names. */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "data/format.h"

/* Values of one line, which bounds what its tree takes: each column may hang in objects of its own,
 * but not in many. */
enum { LINE_VALUES_MAX = 4 * CJ__SHEET_COLUMNS_MAX };

typedef struct reader {
    cj__lines lines;
    cj__sheet *sheet;
    cj__arena tree; /* of one line */
    cj__text path;  /* to the value that is read, which is the name of its column */
    int next;       /* the column that is expected: keys keep their order in most files */
    bool lists;
    int *slots;     /* columns by the hash of their names, at least half empty; -1: empty */
    size_t slot_count; /* a power of two, or 0 */
} reader;

/* ---- Columns --------------------------------------------------------------------------------- */

/* The slot of the column of that name, or the empty one where it would be. */
static int *find_slot(const reader *r, const char *name, size_t length)
{
    size_t at = (size_t)cj__hash(name, length, 0);
    for (;; at++) {
        int *slot = &r->slots[at & (r->slot_count - 1)];
        if (*slot < 0 || !strcmp(r->sheet->columns[*slot].name, name)) return slot;
    }
}

static cj_status grow_slots(reader *r)
{
    const size_t count = r->slot_count ? 2 * r->slot_count : 64;
    int *slots = cj__arena_array(&r->sheet->arena, count, sizeof *slots);
    if (!slots) return cj_last_status(r->sheet->cj);
    for (size_t i = 0; i < count; i++) slots[i] = -1;
    r->slots = slots;
    r->slot_count = count;
    for (int c = 0; c < r->sheet->column_count; c++) {
        const char *name = r->sheet->columns[c].name;
        *find_slot(r, name, strlen(name)) = c;
    }
    return CJ_OK;
}

/* The column that the path names; there may not have been one before. */
static cj_status find_column(reader *r, int *column)
{
    cj__sheet *sheet = r->sheet;
    const char *name = cj__text_string(&r->path);
    *column = r->next;
    if (r->next >= sheet->column_count || strcmp(sheet->columns[r->next].name, name) != 0) {
        if (2 * (size_t)sheet->column_count >= r->slot_count) CJ__TRY(grow_slots(r));
        int *slot = find_slot(r, name, r->path.length);
        if (*slot < 0) {
            if (!cj__sheet_add_column(sheet, name, r->path.length, r->lines.number))
                return cj_last_status(sheet->cj);
            *slot = sheet->column_count - 1;
        }
        *column = *slot;
    }
    r->next = *column + 1;
    return CJ_OK;
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* The text between quotes, which lies in the tree of this line. */
static cj_status string_cell(reader *r, const cj__json *value, cj__cell *cell)
{
    if (memchr(value->string, 0, value->length))
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT, "a text has a zero byte (\\u0000)");
    *cell = cj__cell_of("", value->length);
    cell->quoted = true;
    cell->literal = value->length > 0;
    if (value->length == 0 || value->length > CJ__SHEET_CELL_BYTES_MAX) return CJ_OK;
    cell->text = cj__arena_copy(&r->sheet->arena, value->string, value->length);
    return cell->text ? CJ_OK : cj_last_status(r->sheet->cj);
}

static cj_status scalar(reader *r, const cj__json *value)
{
    cj__cell cell = cj__cell_of("", 0);
    const char *from = r->lines.text + value->source;
    int column = 0;
    switch (value->type) {
    case CJ__JSON_NULL: break;
    case CJ__JSON_BOOL: cell = cj__cell_of(from, value->boolean ? 4 : 5); break;
    case CJ__JSON_NUMBER: {
        const char *to = from, *end = r->lines.text + r->lines.length;
        while (to < end && ((*to >= '0' && *to <= '9') || memchr("+-.eE", *to, 5))) to++;
        cell = cj__cell_of(from, (size_t)(to - from));
        break;
    }
    default: CJ__TRY(string_cell(r, value, &cell)); break;
    }
    if (!r->lists) CJ__TRY(find_column(r, &column));
    cell.column = (uint16_t)column;
    return cj__sheet_add(r->sheet, &cell, r->lines.number);
}

/* ---- Paths ----------------------------------------------------------------------------------- */

/* Makes the path that of an item of what it led to. */
static cj_status extend(reader *r, size_t length, const cj__json *item, size_t i)
{
    cj__text *path = &r->path;
    if (item->key && (item->key_length == 0 || memchr(item->key, 0, item->key_length)))
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT, "a key is empty or has a zero byte");
    if (length) cj__text_char(path, '.');
    if (item->key) cj__text_append(path, item->key, item->key_length);
    else cj__text_format(path, "%zu", i);
    if (path->length > CJ__SHEET_NAME_BYTES_MAX)
        return cj__lines_fail(&r->lines, CJ_ERR_LIMIT,
                              "keys are together longer than %d bytes, too long for a name",
                              CJ__SHEET_NAME_BYTES_MAX);
    return path->failed;
}

/* The values of an object or a list, each under its path. (The reader of JSON bounds the depth of
 * the tree, so of this recursion, to 64.) */
static cj_status flatten(reader *r, const cj__json *value)
{
    const size_t length = r->path.length;
    size_t i = 0;
    if (value->type < CJ__JSON_ARRAY) return scalar(r, value);
    if (r->lists && value->type == CJ__JSON_OBJECT)
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT,
                              "an object within a list: an object a line is expected");
    for (const cj__json *item = value->first; item; item = item->next, i++) {
        if (!r->lists) CJ__TRY(extend(r, length, item, i));
        CJ__TRY(flatten(r, item));
        if (r->lists) continue;
        r->path.length = length;
        r->path.bytes[length] = 0;
    }
    return CJ_OK;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static cj_status read_line(reader *r)
{
    const cj__json *root;
    const cj__json_limits limits = {.values_max = LINE_VALUES_MAX};
    const char *what = cj__arena_printf(&r->tree, "%s: line %lld", r->sheet->name,
                                        (long long)r->lines.number);
    if (!what) return cj_last_status(r->sheet->cj);
    CJ__TRY(cj__json_parse(&r->tree, what, r->lines.text, r->lines.length, &limits, &root));
    const bool list = root->type == CJ__JSON_ARRAY, first = r->sheet->row_count == 0;
    if (!list && root->type != CJ__JSON_OBJECT)
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT, "a value alone: expected {...} or [...]");
    if (!first && list != r->lists)
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT, "%s, but line %lld has %s",
                              list ? "a list" : "an object", (long long)r->sheet->rows[0].line,
                              list ? "an object" : "a list");
    r->lists = r->sheet->no_header = list;
    r->sheet->keyed = !list;
    r->next = 0;
    CJ__TRY(flatten(r, root));
    if (list && r->sheet->cell_count == r->sheet->open)
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT, "an empty list");
    return cj__sheet_end_row(r->sheet, r->lines.number);
}

static bool is_blank(const char *text, size_t length)
{
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t')) length--;
    return length == 0;
}

static cj_status parse(cj__sheet *sheet, const char *bytes, size_t size,
                       const cj_dataset_opts *opts)
{
    reader r = {.sheet = sheet};
    (void)opts;
    CJ__TRY(cj__lines_begin(&r.lines, sheet, bytes, size));
    cj__text_init(&r.path, sheet->cj);
    cj__arena_init(&r.tree, sheet->cj);
    cj_status failed = CJ_OK;
    while (cj__lines_next(&r.lines, &failed)) {
        if (is_blank(r.lines.text, r.lines.length)) continue;
        failed = read_line(&r);
        cj__arena_release(&r.tree);
    }
    cj__text_release(&r.path);
    if (!failed && sheet->keyed && sheet->column_count == 0)
        failed = cj_fail(sheet->cj, CJ_ERR_DATA, "%s: no object has a key", sheet->name);
    return failed;
}

const cj__file_format cj__format_jsonl = {
    .row = {.name = "jsonl",
            .suffixes = ".jsonl .ndjson",
            .doc = "JSON lines: an object a line, its keys the columns; or a list a line",
            .table = true},
    .open = cj__table_open,
    .parse = parse};
