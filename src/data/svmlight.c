/* svmlight.c: the sparse text of SVMlight and libsvm.
 *
 *     # a comment
 *     -1 3:0.5 7:2 # another                x1  ...  x3  ...  x7   target
 *     +1 qid:4 1:1                    ->    0        0.5      2    -1
 *                                           1        0        0    1
 *
 * Indices begin at 1; they begin at 0 when an index 0 is found (as zero_based="auto" of
 * scikit-learn's load_svmlight_file has it), or when the model has a column x0: then a file that
 * happens to have no 0 is not read shifted. They ascend within a line. What stands behind qid: are
 * the queries of ranking, which are left out. */
#include <string.h>

#include "base/text.h"
#include "data/format.h"

/* Features 0 to this and the label are as many columns as there may be. */
enum { INDEX_MAX = CJ__SHEET_COLUMNS_MAX - 2 };

typedef struct reader {
    cj__lines lines;
    cj__sheet *sheet;
    const char *p, *end;  /* of the line, what is left */
    int64_t largest;      /* index; -1: none yet */
    bool from_zero;
    int64_t query_line;   /* the first with a qid; 0: none */
} reader;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next word of the line; of length 0: there is none. */
static cj__cell next_word(reader *r)
{
    while (r->p < r->end && is_blank(*r->p)) r->p++;
    const char *from = r->p;
    while (r->p < r->end && !is_blank(*r->p)) r->p++;
    return cj__cell_of(from, (size_t)(r->p - from));
}

/* What of a word a message shows. */
static int shown(const cj__cell *word)
{
    return word->length < 40 ? (int)word->length : 40;
}

/* "+1" is "1", also as the name of a class. */
static void drop_plus(cj__cell *cell)
{
    if (cell->length < 2 || *cell->text != '+') return;
    cell->text++;
    cell->length--;
}

static cj_status read_label(reader *r, cj__cell *label)
{
    double value;
    *label = next_word(r);
    if (memchr(label->text, ',', label->length))
        return cj__lines_fail(&r->lines, CJ_ERR_UNSUPPORTED,
                              "'%.*s' are several labels; files with one label a line are read",
                              shown(label), label->text);
    drop_plus(label);
    if (!cj__parse_double(label->text, label->length, &value))
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT,
                              "expected a label and INDEX:VALUE behind it, found '%.*s'",
                              shown(label), label->text);
    return CJ_OK;
}

/* One INDEX:VALUE; `last` is the index before. */
static cj_status read_feature(reader *r, const cj__cell *word, int64_t *last)
{
    const char *colon = memchr(word->text, ':', word->length);
    int64_t index;
    if (colon == word->text + 3 && !memcmp(word->text, "qid", 3)) {
        if (!r->query_line) r->query_line = r->lines.number;
        return CJ_OK;
    }
    if (!colon || colon + 1 == word->text + word->length ||
        !cj__parse_int64(word->text, (size_t)(colon - word->text), &index) || index < 0)
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT, "expected INDEX:VALUE, found '%.*s'",
                              shown(word), word->text);
    if (index > INDEX_MAX)
        return cj__lines_fail(&r->lines, CJ_ERR_LIMIT,
                              "feature %lld: the largest that is read is %d, for features become "
                              "a dense matrix",
                              (long long)index, INDEX_MAX);
    if (index <= *last)
        return cj__lines_fail(&r->lines, CJ_ERR_FORMAT,
                              "feature %lld follows feature %lld: indices must ascend, each once",
                              (long long)index, (long long)*last);
    *last = index;
    if (index > r->largest) r->largest = index;
    if (index == 0) r->from_zero = true;
    cj__cell value = cj__cell_of(colon + 1, (size_t)(word->text + word->length - colon - 1));
    drop_plus(&value);
    value.column = (uint16_t)index;
    return cj__sheet_add(r->sheet, &value, r->lines.number);
}

static cj_status read_line(reader *r)
{
    const char *comment = memchr(r->lines.text, '#', r->lines.length);
    cj__cell label, word;
    int64_t last = -1;
    r->p = r->lines.text;
    r->end = comment ? comment : r->lines.text + r->lines.length;
    while (r->p < r->end && is_blank(*r->p)) r->p++;
    if (r->p == r->end) return CJ_OK;
    CJ__TRY(read_label(r, &label));
    while ((word = next_word(r)).length > 0) CJ__TRY(read_feature(r, &word, &last));
    CJ__TRY(cj__sheet_add(r->sheet, &label, r->lines.number));
    return cj__sheet_end_row(r->sheet, r->lines.number);
}

/* The features a model knows, which a file may not reach. What the one counts from 0 and the other
 * from 1 would be read shifted, so signs of it are looked for. */
static cj_status look_at_model(reader *r, const cj_dataset_opts *opts)
{
    const cj__sheet *sheet = r->sheet;
    int64_t index, largest = -1;
    bool zero = false;
    for (int i = 0; i < opts->columns; i++) {
        const char *name = opts->column_info[i].name;
        if (!name || *name != 'x' || !cj__parse_int64(name + 1, strlen(name + 1), &index)) continue;
        if (index < 0 || index > INDEX_MAX) continue;
        zero = zero || index == 0;
        if (index > largest) largest = index;
    }
    if (zero && !r->from_zero && r->largest > largest)
        return cj_fail(sheet->cj, CJ_ERR_DATA,
                       "%s: its indices begin at 1 and end at %lld, but the features of the model "
                       "are x0 to x%lld: is it counted from 0?",
                       sheet->name, (long long)r->largest, (long long)largest);
    if (largest >= 0 && !zero && r->from_zero)
        cj__log(sheet->cj, CJ_LOG_WARNING,
                "%s: has a feature 0, which the model does not know; if it was trained on indices "
                "from 1, all others are shifted",
                sheet->name);
    r->from_zero = r->from_zero || zero;
    if (largest > r->largest) r->largest = largest;
    return CJ_OK;
}

/* Columns for all features and the label, and their numbers for all cells. */
static cj_status add_columns(reader *r)
{
    cj__sheet *sheet = r->sheet;
    const int first = r->from_zero ? 0 : 1, n = (int)(r->largest - first) + 1;
    if (n == 0 || r->largest < 0)
        return cj_fail(sheet->cj, CJ_ERR_DATA, "%s: no line has a feature", sheet->name);
    char name[32];
    for (int i = 0; i <= n; i++) {
        cj__format(name, sizeof name, i < n ? "x%d" : "target", first + i);
        cj__sheet_column *column = cj__sheet_add_column(sheet, name, strlen(name), 1);
        if (!column) return cj_last_status(sheet->cj);
        if (i == n) break;
        column->declared = true;
        column->kind = CJ_COLUMN_NUMERIC;
        column->absent = cj__cell_of("0", 1);
    }
    for (size_t i = 0; i < sheet->row_count; i++) {
        cj__cell *cells = sheet->cells + sheet->rows[i].first;
        const int features = sheet->rows[i].cells - 1;
        for (int k = 0; k < features; k++) cells[k].column = (uint16_t)(cells[k].column - first);
        cells[features].column = (uint16_t)n;
    }
    sheet->keyed = true;
    return CJ_OK;
}

static cj_status parse(cj__sheet *sheet, const char *bytes, size_t size,
                       const cj_dataset_opts *opts)
{
    reader r = {.sheet = sheet, .largest = -1};
    cj_status failed = cj__lines_begin(&r.lines, sheet, bytes, size);
    while (!failed && cj__lines_next(&r.lines, &failed)) failed = read_line(&r);
    if (failed || sheet->row_count == 0) return failed;
    if (r.query_line)
        cj__log(sheet->cj, CJ_LOG_INFO,
                "%s: line %lld: qid, the query of a line, is left out here and below", sheet->name,
                (long long)r.query_line);
    CJ__TRY(look_at_model(&r, opts));
    return add_columns(&r);
}

const cj__file_format cj__format_svmlight = {
    .row = {.name = "svmlight",
            .suffixes = ".svm .svmlight .libsvm",
            .doc = "SVMlight and libsvm: a label and the features that are not 0, a sample a line",
            .table = true},
    .open = cj__table_open,
    .parse = parse};
