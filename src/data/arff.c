/* arff.c: Weka's attribute-relation files.
 *
 *     % a comment
 *     @relation iris
 *     @attribute 'sepal length' numeric          kinds: numeric, real, integer -> numbers
 *     @attribute class {setosa, virginica}              {...} -> categories, in this order
 *     @data                                             string, date -> found from the cells
 *     5.1, setosa
 *     ?, virginica, {2}                          ? is missing; {2} the weight of this row
 *     {0 4.9, 1 virginica}                       sparse: index and value, others are 0
 *
 * Words are separated as Weka's reader does it: by commas or blanks; ' or " hold them together, in
 * which a backslash takes the next character as it is. What a sparse row leaves out is 0, of a
 * nominal attribute its first value. The last attribute is the target unless another is chosen. */
#include <string.h>

#include "base/text.h"
#include "data/format.h"
#include "data/table.h"

typedef struct reader {
    cj__lines lines;
    cj__sheet *sheet;
    const char *p, *end; /* of the line, what is left */
    bool after_comma;    /* the word read last was followed by one */
} reader;

typedef enum word_kind { WORD_END, WORD_TEXT, WORD_OPEN /* { */, WORD_CLOSE /* } */ } word_kind;

/* ---- Words ----------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool ends_word(char c)
{
    return is_blank(c) || c == ',' || c == '{' || c == '}' || c == '%' || c == '"' || c == '\'';
}

/* The text up to the closing quote; r->p is behind the opening one. */
static cj_status quoted_word(reader *r, char quote, cj__cell *word)
{
    const char *from = r->p;
    size_t escapes = 0;
    while (r->p < r->end && *r->p != quote) {
        const bool escape = *r->p == '\\' && r->p + 1 < r->end;
        escapes += escape;
        r->p += 1 + escape;
    }
    if (r->p == r->end)
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT, "a quote is opened and never closed");
    size_t length = (size_t)(r->p++ - from);
    *word = cj__cell_of(from, length);
    word->quoted = true;
    if (!escapes || length > CJ__SHEET_CELL_BYTES_MAX) return CJ_OK;
    static const char letters[] = "nrt", meant[] = "\n\r\t";
    char *copy = cj__arena_alloc(&r->sheet->arena, length);
    if (!copy) return cj_last_status(r->sheet->cj);
    word->text = copy;
    word->length -= (uint32_t)escapes;
    for (const char *p = from; p < from + length; p++) {
        const char *letter = *p == '\\' ? strchr(letters, p[1]) : NULL;
        if (*p == '\\') p++;
        *copy++ = letter && *letter ? meant[letter - letters] : *p;
    }
    return CJ_OK;
}

/* The next word of the line. A comma belongs to the word before it. */
static cj_status next_word(reader *r, word_kind *kind, cj__cell *word)
{
    while (r->p < r->end && is_blank(*r->p)) r->p++;
    *kind = WORD_END;
    *word = cj__cell_of(r->p, 0);
    if (r->p == r->end || *r->p == '%') {
        if (!r->after_comma) return CJ_OK;
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT, "the line ends with a comma");
    }
    const char c = *r->p;
    if (c == ',')
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT,
                              "nothing stands before a comma; a missing value is written ?");
    if (c == '{' || c == '}') {
        r->p++;
        *kind = c == '{' ? WORD_OPEN : WORD_CLOSE;
        *word = cj__cell_of(r->p - 1, 1);
    } else if (c == '"' || c == '\'') {
        r->p++;
        *kind = WORD_TEXT;
        CJ__TRY(quoted_word(r, c, word));
    } else {
        *kind = WORD_TEXT;
        while (r->p < r->end && !ends_word(*r->p)) r->p++;
        *word = cj__cell_of(word->text, (size_t)(r->p - word->text));
    }
    r->after_comma = false;
    if (*kind == WORD_OPEN) return CJ_OK;
    while (r->p < r->end && is_blank(*r->p)) r->p++;
    if (r->p < r->end && *r->p == ',') {
        r->after_comma = true;
        r->p++;
    }
    return CJ_OK;
}

/* What of a word a message shows. */
static int shown(const cj__cell *word)
{
    return word->length < 40 ? (int)word->length : 40;
}

static cj_status unexpected(const reader *r, const char *expected, word_kind kind,
                            const cj__cell *found)
{
    if (kind == WORD_END)
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT, "expected %s, found the end of the line",
                              expected);
    return cj__lines_fail(&r->lines, CJ_ERR_FORMAT, "expected %s, found '%.*s'", expected,
                          shown(found), found->text);
}

/* Is it this keyword, in small letters or capitals? */
static bool is_word(const cj__cell *word, const char *keyword)
{
    if (word->quoted || word->length != strlen(keyword)) return false;
    for (size_t i = 0; i < word->length; i++) {
        const char c = word->text[i];
        if ((c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c) != keyword[i]) return false;
    }
    return true;
}

/* ---- Attributes ------------------------------------------------------------------------------ */

/* The values of a nominal attribute, behind the brace. */
static cj_status read_values(reader *r, cj__sheet_column *column)
{
    cj__arena *arena = &r->sheet->arena;
    const char **names = NULL;
    word_kind kind;
    cj__cell word;
    int n = 0, room = 0;
    for (;; n++) {
        CJ__TRY(next_word(r, &kind, &word));
        if (kind == WORD_CLOSE) break;
        if (kind != WORD_TEXT) return unexpected(r, "a value or '}'", kind, &word);
        if (n == CJ__CATEGORIES_MAX - 1)
            return cj__lines_fail(&r->lines, CJ_ERR_LIMIT, "more than %d values of '%s'",
                                  CJ__CATEGORIES_MAX - 1, column->name);
        if (n == room) {
            room = room ? 2 * room : 16;
            const char **grown = cj__arena_array(arena, (size_t)room, sizeof *grown);
            if (!grown) return cj_last_status(arena->cj);
            if (n) memcpy(grown, names, (size_t)n * sizeof *grown);
            names = grown;
        }
        if (word.length > CJ__SHEET_NAME_BYTES_MAX)
            return cj__lines_fail(&r->lines, CJ_ERR_LIMIT, "a value is longer than %d bytes",
                                  CJ__SHEET_NAME_BYTES_MAX);
        if (!(names[n] = cj__cell_text(arena, &word))) return cj_last_status(arena->cj);
    }
    if (n == 0)
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT, "attribute '%s' has no values",
                              column->name);
    column->declared = true;
    column->kind = CJ_COLUMN_CATEGORICAL;
    column->categories = n;
    column->category_names = names;
    column->absent = cj__cell_of(names[0], strlen(names[0]));
    column->absent.literal = true;
    return CJ_OK;
}

static cj_status read_attribute(reader *r)
{
    static const char types[] = "numeric, real, integer, string, date or {A, B}";
    word_kind kind;
    cj__cell word;
    CJ__TRY(next_word(r, &kind, &word));
    if (kind != WORD_TEXT || !word.length)
        return unexpected(r, "the name of an attribute", kind, &word);
    cj__sheet_column *column =
        cj__sheet_add_column(r->sheet, word.text, word.length, r->lines.number);
    if (!column) return cj_last_status(r->sheet->cj);
    CJ__TRY(next_word(r, &kind, &word));
    if (kind == WORD_OPEN) {
        CJ__TRY(read_values(r, column));
    } else if (kind != WORD_TEXT) {
        return unexpected(r, types, kind, &word);
    } else if (is_word(&word, "numeric") || is_word(&word, "real") || is_word(&word, "integer")) {
        column->declared = true;
        column->kind = CJ_COLUMN_NUMERIC;
        column->absent = cj__cell_of("0", 1);
    } else if (is_word(&word, "date")) {
        CJ__TRY(next_word(r, &kind, &word)); /* its pattern, which may be there */
    } else if (is_word(&word, "relational")) {
        return cj__lines_fail(&r->lines, CJ_ERR_UNSUPPORTED,
                              "attribute '%s' is relational: tables within tables are not read",
                              column->name);
    } else if (!is_word(&word, "string")) {
        return unexpected(r, types, kind, &word);
    }
    if (kind != WORD_END) CJ__TRY(next_word(r, &kind, &word));
    return kind == WORD_END ? CJ_OK : unexpected(r, "the end of the line", kind, &word);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* "{2}" behind the values: the brace is read. */
static cj_status read_weight(reader *r)
{
    cj__sheet *sheet = r->sheet;
    word_kind kind;
    cj__cell word, end;
    CJ__TRY(next_word(r, &kind, &word));
    if (kind != WORD_TEXT) return unexpected(r, "the weight of the row", kind, &word);
    CJ__TRY(next_word(r, &kind, &end));
    if (kind != WORD_CLOSE) return unexpected(r, "'}' behind the weight", kind, &end);
    if (sheet->weight < 0) {
        cj__sheet_column *column = cj__sheet_add_column(sheet, "{weight}", 8, r->lines.number);
        if (!column) return cj_last_status(sheet->cj);
        column->absent = cj__cell_of("1", 1);
        sheet->weight = sheet->column_count - 1;
    }
    word.column = (uint16_t)sheet->weight;
    return cj__sheet_add(sheet, &word, r->lines.number);
}

/* Everything but ? is a value. */
static cj_status add_value(reader *r, cj__cell *word, int column)
{
    word->literal = word->quoted || word->length != 1 || *word->text != '?';
    word->column = (uint16_t)column;
    return cj__sheet_add(r->sheet, word, r->lines.number);
}

/* "0 4.9, 1 virginica}" */
static cj_status read_sparse(reader *r, int attributes)
{
    word_kind kind;
    cj__cell word;
    for (;;) {
        int64_t index;
        CJ__TRY(next_word(r, &kind, &word));
        if (kind == WORD_CLOSE) return CJ_OK;
        if (kind != WORD_TEXT) return unexpected(r, "an index or '}'", kind, &word);
        if (!cj__parse_int64(word.text, word.length, &index) || index < 0 || index >= attributes)
            return cj__lines_fail(&r->lines, CJ_ERR_FORMAT,
                                  "expected the index of an attribute, 0 to %d, found '%.*s'",
                                  attributes - 1, shown(&word), word.text);
        CJ__TRY(next_word(r, &kind, &word));
        if (kind != WORD_TEXT) return unexpected(r, "a value behind the index", kind, &word);
        CJ__TRY(add_value(r, &word, (int)index));
    }
}

static cj_status read_row(reader *r, int attributes)
{
    word_kind kind;
    cj__cell word;
    int n = 0;
    CJ__TRY(next_word(r, &kind, &word));
    const bool sparse = kind == WORD_OPEN;
    if (sparse) CJ__TRY(read_sparse(r, attributes));
    if (sparse) CJ__TRY(next_word(r, &kind, &word));
    for (; !sparse && kind == WORD_TEXT; n++) {
        if (n < attributes) CJ__TRY(add_value(r, &word, n));
        CJ__TRY(next_word(r, &kind, &word));
    }
    if (!sparse && n != attributes)
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT, "%d values, but there are %d attributes", n,
                              attributes);
    if (kind == WORD_OPEN) {
        CJ__TRY(read_weight(r));
        CJ__TRY(next_word(r, &kind, &word));
    }
    if (kind != WORD_END) return unexpected(r, "the end of the line", kind, &word);
    return cj__sheet_end_row(r->sheet, r->lines.number);
}

/* ---- The file -------------------------------------------------------------------------------- */

/* One line of the header, of which `word` is the first word; *data says whether rows follow. */
static cj_status read_header(reader *r, cj__cell *word, bool *data)
{
    if (is_word(word, "@relation")) return CJ_OK; /* its name says nothing */
    if (is_word(word, "@attribute")) return read_attribute(r);
    *data = is_word(word, "@data");
    if (!*data) return unexpected(r, "@relation, @attribute or @data", WORD_TEXT, word);
    if (r->sheet->column_count == 0)
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT, "@data, but there is no @attribute");
    return CJ_OK;
}

static cj_status read_file(reader *r)
{
    cj_status failed = CJ_OK;
    bool data = false;
    int attributes = 0;
    while (cj__lines_next(&r->lines, &failed)) {
        word_kind kind;
        cj__cell word;
        r->p = r->lines.text;
        r->end = r->p + r->lines.length;
        r->after_comma = false;
        while (r->p < r->end && is_blank(*r->p)) r->p++;
        if (r->p == r->end || *r->p == '%') continue;
        if (data) {
            CJ__TRY(read_row(r, attributes));
            continue;
        }
        CJ__TRY(next_word(r, &kind, &word));
        CJ__TRY(read_header(r, &word, &data));
        attributes = r->sheet->column_count;
    }
    if (!failed && !data)
        return cj_fail(r->sheet->cj, CJ_ERR_FORMAT, "%s: has no @data", r->sheet->name);
    return failed;
}

static cj_status parse(cj__sheet *sheet, const char *bytes, size_t size,
                       const cj_dataset_opts *opts)
{
    reader r = {.sheet = sheet};
    (void)opts;
    CJ__TRY(cj__lines_begin(&r.lines, sheet, bytes, size));
    sheet->keyed = true;
    return read_file(&r);
}

const cj__file_format cj__format_arff = {
    .row = {.name = "arff",
            .suffixes = ".arff",
            .doc = "Weka's attribute-relation files: names, kinds and categories in the file",
            .table = true},
    .open = cj__table_open,
    .parse = parse};
