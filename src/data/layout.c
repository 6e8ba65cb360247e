/* layout.c: which row is the header, what the columns are called, and what part each plays.
 *
 *     150,4,setosa,versicolor,virginica     first line as in scikit-learn's files (optional)
 *     length,width,...,species              header (optional)
 *     5.1,3.5,...,setosa                    samples, all as long as the row above
 *
 * The rules that guess stand in data.h; each guess can be overruled by an option. */
#include <string.h>

#include "base/text.h"
#include "data/table.h"

const cj__cell *cj__table_cell(const cj__table *t, size_t row, int column)
{
    return &t->csv.cells[t->csv.rows[row].first + (size_t)column];
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
    static const char *const words[] = {"", "na", "n/a", "nan", "null", "?"};
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
    const cj__csv_row *row = t->csv.rows;
    int64_t samples, inputs;
    double number;
    if (t->opts->header != CJ_HEADER_AUTO || t->csv.row_count < 2 || row->cells < 2 ||
        !whole(cj__table_cell(t, 0, 0), &samples) || !whole(cj__table_cell(t, 0, 1), &inputs) ||
        inputs < 1)
        return CJ_OK;
    int64_t below = (int64_t)t->csv.row_count - 1;
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
    for (size_t r = t->first + 1; r < t->csv.row_count; r++) {
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
    for (size_t r = t->first + 1; r < t->csv.row_count; r++)
        if (same(cj__table_cell(t, r, column), top->text, top->length)) return true;
    return false;
}

static bool looks_like_header(const cj__table *t)
{
    int n = t->csv.rows[t->first].cells;
    bool numbers = false, recurs = false;
    double value;
    for (int c = 0; c < n; c++)
        if (cj__cell_number(cj__table_cell(t, t->first, c), &value)) return false;
    if (t->csv.row_count - t->first < 2) return true;
    for (int c = 0; c < n && !numbers; c++) numbers = numbers_below(t, c);
    if (numbers) return true;
    for (int c = 0; c < n && !recurs; c++) recurs = recurs_below(t, c);
    return !recurs;
}

static cj_status check_ragged(const cj__table *t)
{
    const cj__csv_row *top = &t->csv.rows[t->first];
    for (size_t r = t->first + 1; r < t->csv.row_count; r++) {
        const cj__csv_row *row = &t->csv.rows[r];
        if (row->cells != top->cells)
            return cj_fail(t->cj, CJ_ERR_FORMAT, "%s: line %lld has %d cells, but line %lld has %d",
                           t->name, (long long)row->line, row->cells, (long long)top->line,
                           top->cells);
    }
    return CJ_OK;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static int find_column(const cj__table *t, const char *name, size_t length)
{
    for (int c = 0; c < t->column_count; c++)
        if (strlen(t->columns[c].name) == length && !memcmp(t->columns[c].name, name, length))
            return c;
    return -1;
}

/* Two equal names, found through the sorted array of categories rather than by comparing all pairs.
 */
static cj_status check_twice(cj__table *t)
{
    cj__categories seen = {0};
    for (int c = 0; c < t->column_count; c++) {
        const char *name = t->columns[c].name;
        cj__cell cell = {.text = name, .length = (uint32_t)strlen(name)};
        int before = seen.count;
        CJ__TRY(cj__categories_insert(&seen, &t->arena, &cell));
        if (seen.count == before)
            return cj_fail(t->cj, CJ_ERR_DATA,
                           "%s: two columns are called '%s' (column %d and one before)", t->name,
                           name, c);
    }
    return CJ_OK;
}

static cj_status name_columns(cj__table *t)
{
    const cj_dataset_opts *o = t->opts;
    int n = t->column_count;
    t->columns = cj__arena_array(&t->arena, (size_t)n, sizeof *t->columns);
    if (!t->columns) return cj_last_status(t->cj);
    for (int c = 0; c < n; c++) {
        const cj__cell *cell = t->header ? cj__table_cell(t, t->first, c) : NULL;
        const char *name = NULL;
        if (cell && cell->length > 0) name = cj__cell_text(&t->arena, cell);
        else if (!t->header && c < o->columns)
            name = cj__arena_strdup(&t->arena, o->column_info[c].name);
        else if (!t->header && c == n - 1 && !o->no_target)
            name = cj__arena_strdup(&t->arena, "target");
        else name = cj__arena_printf(&t->arena, "x%d", c);
        if (!name) return cj_last_status(t->cj);
        t->columns[c].name = name;
    }
    if (t->header) t->first++;
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
    return CJ_OK;
}

/* Without a target the columns a model does not know may hold anything; the last of them is the
 * target. */
static int default_target(const cj__table *t)
{
    for (int c = t->column_count - 1; c >= 0; c--) {
        bool input = t->columns[c].dropped;
        for (int i = 0; i < t->opts->columns && !input; i++)
            input = !strcmp(t->opts->column_info[i].name, t->columns[c].name);
        if (!input) return c;
    }
    return -1;
}

static cj_status choose_target(cj__table *t)
{
    const char *wanted = t->opts->target;
    int64_t place;
    t->target = -1;
    if (t->opts->no_target && !wanted) return CJ_OK;
    if (t->opts->no_target)
        return cj_fail(t->cj, CJ_ERR_ARGUMENT, "%s: target='%s' and no_target exclude each other",
                       t->name, wanted);
    if (!wanted) {
        t->target = default_target(t);
        if (t->header && t->target >= 0)
            cj__log(t->cj, CJ_LOG_INFO, "%s: no target was chosen, so it is the last column, '%s'",
                    t->name, t->columns[t->target].name);
        return CJ_OK;
    }
    t->target = find_column(t, wanted, strlen(wanted));
    if (t->target < 0 && cj__parse_int64(wanted, strlen(wanted), &place)) {
        if (place < 0) place += t->column_count;
        if (place < 0 || place >= t->column_count)
            return cj_fail(t->cj, CJ_ERR_NOT_FOUND,
                           "%s: target=%s: there are %d columns, numbered from 0", t->name, wanted,
                           t->column_count);
        t->target = (int)place;
    }
    if (t->target < 0) return fail_unknown(t, "target", wanted, strlen(wanted));
    if (t->columns[t->target].dropped)
        return cj_fail(t->cj, CJ_ERR_ARGUMENT, "%s: column '%s' is both the target and dropped",
                       t->name, t->columns[t->target].name);
    return CJ_OK;
}

static cj_status take_known(cj__table *t, const cj_column *known)
{
    int c = find_column(t, known->name, strlen(known->name));
    if (c < 0)
        return fail_unknown(t, "the model needs its inputs", known->name, strlen(known->name));
    if (c == t->target)
        return cj_fail(t->cj, CJ_ERR_ARGUMENT,
                       "%s: column '%s' is both the target and an input of the model", t->name,
                       known->name);
    t->columns[c].forced = true;
    t->columns[c].kind = known->kind;
    t->inputs[t->input_count++] = c;
    if (known->kind != CJ_COLUMN_CATEGORICAL) return CJ_OK;
    t->columns[c].names = known->category_names;
    return cj__categories_given(t, known->category_names, known->categories,
                                &t->columns[c].categories);
}

static cj_status choose_inputs(cj__table *t)
{
    const cj_dataset_opts *o = t->opts;
    t->inputs = cj__arena_array(
        &t->arena, (size_t)(o->columns > t->column_count ? o->columns : t->column_count),
        sizeof *t->inputs);
    if (!t->inputs) return cj_last_status(t->cj);
    for (int i = 0; i < o->columns; i++) CJ__TRY(take_known(t, &o->column_info[i]));
    for (int c = 0; c < t->column_count && o->columns == 0; c++)
        if (c != t->target && !t->columns[c].dropped) t->inputs[t->input_count++] = c;
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

cj_status cj__table_layout(cj__table *t)
{
    CJ__TRY(check_known(t));
    if (t->csv.row_count == 0)
        return cj_fail(t->cj, CJ_ERR_DATA, "%s: is empty: it has no rows", t->name);
    CJ__TRY(find_first_line(t));
    CJ__TRY(check_ragged(t));
    t->header = t->opts->header == CJ_HEADER_YES ||
                (t->opts->header == CJ_HEADER_AUTO && looks_like_header(t));
    t->column_count = t->csv.rows[t->first].cells;
    CJ__TRY(name_columns(t));
    if (t->first == t->csv.row_count)
        return cj_fail(t->cj, CJ_ERR_DATA, "%s: has a header but no rows", t->name);
    CJ__TRY(each_item(t, t->opts->drop, drop_one));
    CJ__TRY(each_item(t, t->opts->types, type_one));
    CJ__TRY(choose_target(t));
    return choose_inputs(t);
}
