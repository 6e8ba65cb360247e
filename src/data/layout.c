/* layout.c: which row is the header, what the columns are called, and what part each plays.
 *
 *     150,4,setosa,versicolor,virginica     first line as in scikit-learn's files (optional)
 *     length,width,...,species              header (optional)
 *     5.1,3.5,...,setosa                    samples, all as long as the row above
 *
 * The rules that guess stand in data.h; each guess can be overruled by an option. Where the format
 * names the columns itself (sheet.columns) there is nothing to find but the parts they play. */
#include <string.h>

#include "base/sort.h"
#include "base/text.h"
#include "data/table.h"

const cj__cell *cj__table_cell(const cj__table *t, size_t row, int column)
{
    return cj__sheet_cell(&t->sheet, row, column);
}

bool cj__cell_number(const cj__cell *cell, double *value)
{
    return cj__parse_double(cell->text, cell->length, value);
}

char *cj__cell_text(cj__arena *arena, const cj__cell *cell)
{
    char *text = cj__arena_alloc(arena, (size_t)cell->length + 1);
    if (text && cell->length) memcpy(text, cell->text, cell->length);
    return text;
}

static bool same(const cj__cell *a, const char *text, size_t length)
{
    return a->length == length && (length == 0 || !memcmp(a->text, text, length));
}

bool cj__cell_missing(const cj__cell *cell)
{
    static const char *const words[] = {"na", "n/a", "nan", "null", "?"};
    if (cell->length == 0 || cell->literal) return !cell->literal;
    if ((*cell->text | 32) != 'n' && *cell->text != '?') return false; /* most cells */
    for (size_t i = 0; i < CJ__COUNT(words); i++) {
        size_t n = strlen(words[i]), k = 0;
        if (cell->length != n) continue;
        while (k < n && (cell->text[k] == words[i][k] || (cell->text[k] | 32) == words[i][k])) k++;
        if (k == n) return true;
    }
    return false;
}

/* A whole number >= 0. */
static bool whole(const cj__cell *cell, int64_t *value)
{
    return cell->length > 0 && cj__parse_int64(cell->text, cell->length, value) && *value >= 0;
}

/* ---- First line and header ------------------------------------------------------------------- */

static cj_status find_first_line(cj__table *t)
{
    const cj__sheet_row *row = t->sheet.rows;
    int64_t samples, inputs;
    double number;
    if (t->opts->header != CJ_HEADER_AUTO || t->sheet.no_header || t->sheet.row_count < 2 ||
        row->cells < 2 || !whole(cj__table_cell(t, 0, 0), &samples) ||
        !whole(cj__table_cell(t, 0, 1), &inputs) || inputs < 1)
        return CJ_OK;
    int64_t below = (int64_t)t->sheet.row_count - 1;
    if ((samples != below && samples != below - 1) || row[1].cells != inputs + 1) return CJ_OK;
    for (int i = 2; i < row->cells; i++)
        if (cj__cell_number(cj__table_cell(t, 0, i), &number)) return CJ_OK;
    t->class_names = cj__arena_array(&t->arena, (size_t)row->cells, sizeof *t->class_names);
    if (!t->class_names) return cj_last_status(t->cj);
    for (int i = 2; i < row->cells && cj__table_cell(t, 0, i)->length > 0; i++) {
        t->class_names[t->class_count] = cj__cell_text(&t->arena, cj__table_cell(t, 0, i));
        if (!t->class_names[t->class_count++]) return cj_last_status(t->cj);
    }
    if (t->class_count == 1)
        t->class_count = 0; /* one class is none: this is a sample like others */
    else t->first = 1;
    return CJ_OK;
}

/* Whether all cells below row `t->first` in a column are numbers (missing ones aside), and there is
 * one. */
static bool numbers_below(const cj__table *t, int column)
{
    bool any = false;
    for (size_t r = t->first + 1; r < t->sheet.row_count; r++) {
        const cj__cell *cell = cj__table_cell(t, r, column);
        double value;
        if (cj__cell_missing(cell)) continue;
        if (!cj__cell_number(cell, &value)) return false;
        any = true;
    }
    return any;
}

static bool recurs_below(const cj__table *t, int column)
{
    const cj__cell *top = cj__table_cell(t, t->first, column);
    for (size_t r = t->first + 1; r < t->sheet.row_count; r++)
        if (same(cj__table_cell(t, r, column), top->text, top->length)) return true;
    return false;
}

static bool looks_like_header(const cj__table *t)
{
    int n = t->sheet.rows[t->first].cells;
    bool numbers = false, recurs = false;
    double value;
    for (int c = 0; c < n; c++)
        if (cj__cell_number(cj__table_cell(t, t->first, c), &value)) return false;
    if (t->sheet.row_count - t->first < 2) return true;
    for (int c = 0; c < n && !numbers; c++) numbers = numbers_below(t, c);
    if (numbers) return true;
    for (int c = 0; c < n && !recurs; c++) recurs = recurs_below(t, c);
    return !recurs;
}

static cj_status check_ragged(const cj__table *t, int cells, int64_t line)
{
    for (size_t r = t->first; r < t->sheet.row_count; r++) {
        const cj__sheet_row *row = &t->sheet.rows[r];
        if (row->cells != cells)
            return cj_fail(t->cj, CJ_ERR_FORMAT, "%s: line %lld has %d cells, but line %lld has %d",
                           t->name, (long long)row->line, row->cells, (long long)line, cells);
    }
    return CJ_OK;
}

cj_status cj__table_check_ragged(const cj__table *t)
{
    return check_ragged(t, t->column_count, t->top_line);
}

/* ---- Names ----------------------------------------------------------------------------------- */

static int find_column(const cj__table *t, const char *name, size_t length)
{
    for (int c = 0; c < t->column_count; c++)
        if (strlen(t->columns[c].name) == length && !memcmp(t->columns[c].name, name, length))
            return c;
    return -1;
}

/* By name, equal ones in the order of the columns. */
static int compare_names(const void *a, const void *b)
{
    const cj__table_column *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : (x > y) - (x < y);
}

static cj_status check_twice(cj__table *t)
{
    const size_t n = (size_t)t->column_count;
    const cj__table_column **sorted = cj__arena_array(&t->arena, n, sizeof *sorted), *twice = NULL;
    if (!sorted) return cj_last_status(t->cj);
    for (size_t c = 0; c < n; c++) sorted[c] = &t->columns[c];
    cj__sort((const void **)sorted, n, compare_names);
    for (size_t c = 1; c < n; c++)
        if (!strcmp(sorted[c - 1]->name, sorted[c]->name) && (!twice || sorted[c] < twice))
            twice = sorted[c];
    if (!twice) return CJ_OK;
    return cj_fail(t->cj, CJ_ERR_DATA,
                   "%s: two columns are called '%s' (column %d and one before)", t->name,
                   twice->name, (int)(twice - t->columns));
}

/* The column that is meant by its number, from 0, or from the end when it is negative; -1: none. */
static int numbered(const cj__table *t, const char *wanted)
{
    int64_t place;
    if (!wanted || !cj__parse_int64(wanted, strlen(wanted), &place)) return -1;
    if (place < 0) place += t->column_count;
    return place >= 0 && place < t->column_count ? (int)place : -1;
}

/* Of a table without header: a model's columns come in their order, whatever the places of target
 * and weight between them. */
static const char *invent_name(cj__table *t, int c, int *known)
{
    const cj_dataset_opts *o = t->opts;
    if (o->columns > 0 && c == numbered(t, o->target))
        return cj__arena_strdup(&t->arena, "target");
    if (c == numbered(t, o->weight))
        return cj__arena_strdup(&t->arena, "weight");
    if (*known < o->columns)
        return cj__arena_strdup(&t->arena, o->column_info[(*known)++].name);
    return c == t->column_count - 1 && !o->no_target ? cj__arena_strdup(&t->arena, "target")
                                                     : cj__arena_printf(&t->arena, "x%d", c);
}

static cj_status name_columns(cj__table *t)
{
    int n = t->column_count, known = 0;
    t->columns = cj__arena_array(&t->arena, (size_t)n, sizeof *t->columns);
    if (!t->columns) return cj_last_status(t->cj);
    for (int c = 0; c < n; c++) {
        const cj__cell *cell = t->header ? cj__table_cell(t, t->first, c) : NULL;
        const char *name = NULL;
        if (cell && cell->length > 0) name = cj__cell_text(&t->arena, cell);
        else if (cell) name = cj__arena_printf(&t->arena, "x%d", c);
        else name = invent_name(t, c, &known);
        if (!name) return cj_last_status(t->cj);
        t->columns[c].name = name;
    }
    if (t->header) t->first++;
    return check_twice(t);
}

/* The columns as the file itself describes them. */
static cj_status take_declared(cj__table *t)
{
    const cj__sheet *sheet = &t->sheet;
    t->column_count = sheet->column_count;
    t->columns = cj__arena_array(&t->arena, (size_t)t->column_count, sizeof *t->columns);
    if (!t->columns) return cj_last_status(t->cj);
    for (int i = 0; i < t->column_count; i++) {
        const cj__sheet_column *from = &sheet->columns[i];
        cj__table_column *to = &t->columns[i];
        *to = (cj__table_column){.name = from->name, .forced = from->declared, .kind = from->kind};
        if (!from->declared || from->kind != CJ_COLUMN_CATEGORICAL) continue;
        to->names = from->category_names;
        cj_status failed =
            cj__categories_given(t, to->names, from->categories, &to->categories);
        if (failed == CJ_ERR_ARGUMENT) /* not the caller's, but the file's */
            return cj_fail(t->cj, CJ_ERR_DATA, "%s of column '%s'", cj_message(t->cj), to->name);
        CJ__TRY(failed);
    }
    return check_twice(t);
}

static cj_status fail_unknown(cj__table *t, const char *option, const char *name, size_t length)
{
    const char **names = cj__arena_array(&t->arena, (size_t)t->column_count + 1, sizeof *names);
    char *word = cj__arena_alloc(&t->arena, length + 1);
    if (!names || !word) return cj_last_status(t->cj);
    memcpy(word, name, length);
    for (int c = 0; c < t->column_count; c++) names[c] = t->columns[c].name;
    const char *near = cj__nearest(word, names);
    if (near)
        return cj_fail(t->cj, CJ_ERR_NOT_FOUND,
                       "%s: %s: there is no column '%s' (did you mean '%s'?)", t->name, option,
                       word, near);
    return cj_fail(t->cj, CJ_ERR_NOT_FOUND,
                   "%s: %s: there is no column '%s'; the %d columns are '%s' to '%s'", t->name,
                   option, word, t->column_count, names[0], names[t->column_count - 1]);
}

/* ---- Options --------------------------------------------------------------------------------- */

/* Calls each(t, item, length) for every item of "a,b,c". */
static cj_status each_item(cj__table *t, const char *list,
                           cj_status (*each)(cj__table *t, const char *item, size_t length))
{
    while (list && *list) {
        size_t n = strcspn(list, ",");
        const char *item = list;
        list += n + (list[n] == ',');
        while (n > 0 && *item == ' ') item++, n--;
        while (n > 0 && item[n - 1] == ' ') n--;
        if (n > 0) CJ__TRY(each(t, item, n));
    }
    return CJ_OK;
}

static cj_status drop_one(cj__table *t, const char *item, size_t length)
{
    int c = find_column(t, item, length);
    if (c < 0) return fail_unknown(t, "drop", item, length);
    t->columns[c].dropped = true;
    return CJ_OK;
}

static cj_status type_one(cj__table *t, const char *item, size_t length)
{
    size_t colon = length;
    while (colon > 0 && item[colon - 1] != ':') colon--;
    cj__cell kind = {.text = item + colon, .length = (uint32_t)(length - colon)};
    bool numeric = same(&kind, "numeric", 7);
    if (colon == 0 || (!numeric && !same(&kind, "categorical", 11)))
        return cj_fail(t->cj, CJ_ERR_ARGUMENT,
                       "%s: types: '%.*s' is not NAME:numeric or NAME:categorical", t->name,
                       length < 100 ? (int)length : 100, item);
    int c = find_column(t, item, colon - 1);
    if (c < 0) return fail_unknown(t, "types", item, colon - 1);
    t->columns[c].forced = true;
    t->columns[c].kind = numeric ? CJ_COLUMN_NUMERIC : CJ_COLUMN_CATEGORICAL;
    if (numeric) t->columns[c].names = NULL;
    return CJ_OK;
}

/* Without a target the columns a model does not know may hold anything; the last of them is the
 * target. */
static int default_target(const cj__table *t)
{
    for (int c = t->column_count - 1; c >= 0; c--) {
        bool input = t->columns[c].dropped || c == t->weight || c == t->pictures;
        for (int i = 0; i < t->opts->columns && !input; i++)
            input = !strcmp(t->opts->column_info[i].name, t->columns[c].name);
        if (!input) return c;
    }
    return -1;
}

/* The column an option means, by name or by number. */
static cj_status choose_column(cj__table *t, const char *option, const char *wanted, int *column)
{
    int64_t place;
    *column = find_column(t, wanted, strlen(wanted));
    if (*column < 0) *column = numbered(t, wanted);
    if (*column < 0 && cj__parse_int64(wanted, strlen(wanted), &place))
        return cj_fail(t->cj, CJ_ERR_NOT_FOUND, "%s: %s=%s: there are %d columns, numbered from 0",
                       t->name, option, wanted, t->column_count);
    if (*column < 0) return fail_unknown(t, option, wanted, strlen(wanted));
    if (t->columns[*column].dropped)
        return cj_fail(t->cj, CJ_ERR_ARGUMENT, "%s: column '%s' is both the %s and dropped",
                       t->name, t->columns[*column].name, option);
    return CJ_OK;
}

/* The weights that a file has itself give way to those that are asked for. */
static cj_status choose_weight(cj__table *t)
{
    t->weight = t->sheet.weight;
    if (t->opts->weight) {
        if (t->weight >= 0) t->columns[t->weight].dropped = true;
        CJ__TRY(choose_column(t, "weight", t->opts->weight, &t->weight));
    }
    if (t->weight < 0) return CJ_OK;
    t->columns[t->weight].forced = true;
    t->columns[t->weight].kind = CJ_COLUMN_NUMERIC;
    t->columns[t->weight].names = NULL;
    return CJ_OK;
}

static cj_status choose_pictures(cj__table *t)
{
    t->pictures = -1;
    if (!t->opts->pictures) return CJ_OK;
    if (t->opts->columns || t->opts->weight || t->opts->types)
        return cj_fail(t->cj, CJ_ERR_ARGUMENT,
                       "%s: pictures='%s' makes it a list of pictures, which has no weight, types "
                       "and columns of numbers",
                       t->name, t->opts->pictures);
    return choose_column(t, "pictures", t->opts->pictures, &t->pictures);
}

static cj_status choose_target(cj__table *t)
{
    const char *wanted = t->opts->target;
    t->target = -1;
    if (t->opts->no_target && !wanted) return CJ_OK;
    if (t->opts->no_target)
        return cj_fail(t->cj, CJ_ERR_ARGUMENT, "%s: target='%s' and no_target exclude each other",
                       t->name, wanted);
    if (wanted) CJ__TRY(choose_column(t, "target", wanted, &t->target));
    else t->target = default_target(t);
    if (t->target >= 0 && t->target == t->weight)
        return cj_fail(t->cj, CJ_ERR_ARGUMENT, "%s: column '%s' is both the target and the weight",
                       t->name, t->columns[t->target].name);
    if (t->target >= 0 && t->target == t->pictures)
        return cj_fail(t->cj, CJ_ERR_ARGUMENT,
                       "%s: column '%s' is both the target and the pictures", t->name,
                       t->columns[t->target].name);
    if (!wanted && (t->header || t->sheet.keyed) && t->target >= 0 &&
        strcmp(t->columns[t->target].name, "target") != 0)
        cj__log(t->cj, CJ_LOG_INFO, "%s: no target was chosen, so it is the last column, '%s'",
                t->name, t->columns[t->target].name);
    return CJ_OK;
}

/* Input `i` of a model, which in most files is column i. */
static cj_status take_known(cj__table *t, int i, const cj_column *known)
{
    int c = i < t->column_count && !strcmp(t->columns[i].name, known->name)
                ? i
                : find_column(t, known->name, strlen(known->name));
    if (c < 0)
        return fail_unknown(t, "the model needs its inputs", known->name, strlen(known->name));
    if (c == t->target || c == t->weight)
        return cj_fail(t->cj, CJ_ERR_ARGUMENT,
                       "%s: column '%s' is both the %s and an input of the model", t->name,
                       known->name, c == t->target ? "target" : "weight");
    t->columns[c].forced = true;
    t->columns[c].kind = known->kind;
    t->columns[c].names = NULL;
    t->inputs[t->input_count++] = c;
    if (known->kind != CJ_COLUMN_CATEGORICAL) return CJ_OK;
    t->columns[c].names = known->category_names;
    return cj__categories_given(t, known->category_names, known->categories,
                                &t->columns[c].categories);
}

static cj_status choose_inputs(cj__table *t)
{
    const cj_dataset_opts *o = t->opts;
    if (t->pictures >= 0) return CJ_OK;
    t->inputs = cj__arena_array(
        &t->arena, (size_t)(o->columns > t->column_count ? o->columns : t->column_count),
        sizeof *t->inputs);
    if (!t->inputs) return cj_last_status(t->cj);
    for (int i = 0; i < o->columns; i++) CJ__TRY(take_known(t, i, &o->column_info[i]));
    for (int c = 0; c < t->column_count && o->columns == 0; c++)
        if (c != t->target && c != t->weight && !t->columns[c].dropped)
            t->inputs[t->input_count++] = c;
    if (t->input_count == 0)
        return cj_fail(t->cj, CJ_ERR_DATA, "%s: no column is left as an input", t->name);
    return CJ_OK;
}

/* The columns as a model describes them, which may come from a file. */
static cj_status check_known(const cj__table *t)
{
    for (int i = 0; i < t->opts->columns; i++) {
        const cj_column *c = &t->opts->column_info[i];
        bool bad = !c->name ||
                   (c->kind == CJ_COLUMN_CATEGORICAL && (c->categories < 1 || !c->category_names));
        for (int k = 0; !bad && c->kind == CJ_COLUMN_CATEGORICAL && k < c->categories; k++)
            bad = !c->category_names[k];
        if (bad)
            return cj_fail(t->cj, CJ_ERR_ARGUMENT,
                           "%s: column %d of the model lacks its name or those of its categories",
                           t->name, i);
    }
    return CJ_OK;
}

/* Header and names of rows that are all there is. */
static cj_status find_names(cj__table *t)
{
    const cj_header header = t->sheet.no_header ? CJ_HEADER_NO : t->opts->header;
    if (!t->stream) CJ__TRY(find_first_line(t)); /* it counts the rows of the whole file */
    t->top_line = t->sheet.rows[t->first].line;
    CJ__TRY(check_ragged(t, t->sheet.rows[t->first].cells, t->top_line));
    t->header = header == CJ_HEADER_YES || (header == CJ_HEADER_AUTO && looks_like_header(t));
    t->column_count = t->sheet.rows[t->first].cells;
    return name_columns(t);
}

cj_status cj__table_layout(cj__table *t)
{
    CJ__TRY(check_known(t));
    if (t->sheet.row_count == 0)
        return cj_fail(t->cj, CJ_ERR_DATA, "%s: is empty: it has no rows", t->name);
    if (t->opts->header == CJ_HEADER_YES && (t->sheet.keyed || t->sheet.no_header))
        return cj_fail(t->cj, CJ_ERR_ARGUMENT,
                       "%s: its rows have no header, so header=yes cannot be", t->name);
    CJ__TRY(t->sheet.keyed ? take_declared(t) : find_names(t));
    if (t->first == t->sheet.row_count)
        return cj_fail(t->cj, CJ_ERR_DATA, "%s: has a header but no rows", t->name);
    CJ__TRY(each_item(t, t->opts->drop, drop_one));
    CJ__TRY(each_item(t, t->opts->types, type_one));
    CJ__TRY(choose_weight(t));
    CJ__TRY(choose_pictures(t));
    CJ__TRY(choose_target(t));
    return choose_inputs(t);
}
