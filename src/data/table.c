/* table.c: from cells to numbers.
 *
 * Every sample is a row whose needed cells are all there. Each column then is numeric or
 * categorical; the inputs become one matrix, the target a class or a number:
 *
 *     length,colour,species            features f32 [2]      label i32
 *     5.1,red,setosa             ->    5.1, 1                0
 *     4.9,blue,virginica         ->    4.9, 0                1
 *                                      blue 0, red 1         setosa 0, virginica 1
 *
 * What the columns are a file may say itself (sheet.h); else it is found from the cells. The format
 * of the file is no matter here.
 *
 * A table has all its rows in the sheet, or is a stream, of which the sheet has one part at a time;
 * what is found in cells is therefore summed up, part by part (each_part), before it is judged.
 *
 * A cell that does not fit is named by row (of the samples, from 1), line (of the file) and column.
 */
#include "data/table.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"

enum {
    CLASSES_GUESSED_MAX = 20, /* integers with more different values are a regression */
    CATEGORIES_GUESSED_MAX = 1000
};

static int shown(const cj__cell *cell)
{
    return cell->length < CJ__SHOWN ? (int)cell->length : CJ__SHOWN;
}

/* From 1, of all rows of the file that may be samples. */
static size_t row_number(const cj__table *t, size_t row)
{
    return t->rows_before + row - t->first + 1;
}

/* "FILE: what 'cell' in the data (row 3, line 4, column 'age')hint" */
static cj_status fail_at(const cj__table *t, int64_t row, int64_t line, int column,
                         const char *what, int length, const char *cell, const char *hint)
{
    return cj_fail(t->cj, CJ_ERR_DATA,
                   "%s: %s '%.*s' in the data (row %lld, line %lld, column '%s')%s", t->name, what,
                   length, cell, (long long)row, (long long)line, t->columns[column].name, hint);
}

static cj_status fail_cell(const cj__table *t, size_t row, int column, const char *what,
                           const char *hint)
{
    const cj__cell *cell = cj__table_cell(t, row, column);
    return fail_at(t, (int64_t)row_number(t, row), t->sheet.rows[row].line, column, what,
                   shown(cell), cell->text, hint);
}

/* ---- Samples --------------------------------------------------------------------------------- */

static int missing_column(const cj__table *t, size_t row)
{
    for (int i = 0; i < t->input_count; i++)
        if (cj__cell_missing(cj__table_cell(t, row, t->inputs[i]))) return t->inputs[i];
    const int others[] = {t->target, t->weight, t->pictures};
    for (size_t i = 0; i < CJ__COUNT(others); i++)
        if (others[i] >= 0 && cj__cell_missing(cj__table_cell(t, row, others[i]))) return others[i];
    return -1;
}

static cj_status fail_missing(const cj__table *t, size_t row, int column)
{
    static const char hint[] = "; fill it in, or leave such rows out with missing=drop";
    const cj__cell *cell = cj__table_cell(t, row, column);
    bool nan = cell->length == 3 && cell->text[1] != '/';
    return fail_cell(t, row, column, nan ? "NaN" : "missing value", hint);
}

cj_status cj__table_choose(cj__table *t)
{
    const size_t rows = t->sheet.row_count - t->first;
    t->sample_count = 0;
    t->samples = cj__arena_array(&t->sheet.arena, rows + 1, sizeof *t->samples);
    if (!t->samples) return cj_last_status(t->cj);
    for (size_t r = t->first; r < t->sheet.row_count; r++) {
        const size_t before = t->samples_before + t->sample_count;
        if (t->opts->limit > 0 && before == (uint64_t)t->opts->limit) break;
        int missing = missing_column(t, r);
        if (missing < 0) t->samples[t->sample_count++] = r;
        else if (t->opts->missing != CJ_MISSING_DROP) return fail_missing(t, r, missing);
    }
    return CJ_OK;
}

/* After all of them. */
static cj_status check_samples(const cj__table *t)
{
    if (t->total == 0)
        return cj_fail(t->cj, CJ_ERR_DATA, "%s: every one of %zu rows has a missing value", t->name,
                       t->rows);
    if (t->opts->missing == CJ_MISSING_DROP && t->total < t->rows && !t->opts->limit)
        cj__log(t->cj, CJ_LOG_INFO, "%s: %zu of %zu rows have missing values and are left out",
                t->name, t->rows - t->total, t->rows);
    return CJ_OK;
}

/* visit(t) with all samples, or with those of part after part. */
static cj_status each_part(cj__table *t, cj_status (*visit)(cj__table *t))
{
    return t->stream ? cj__table_stream_each(t, visit) : visit(t);
}

/* ---- Kinds of columns ------------------------------------------------------------------------ */

/* Whether the kind of an input is to be found, and its categories. */
static bool is_open(const cj__table_column *c)
{
    return !c->names && !(c->forced && c->kind == CJ_COLUMN_NUMERIC);
}

static void tally_column(cj__table *t, int column)
{
    cj__table_column *c = &t->columns[column];
    for (size_t i = 0; i < t->sample_count; i++) {
        const size_t row = t->samples[i];
        const cj__cell *cell = cj__table_cell(t, row, column);
        double value;
        if (cj__cell_number(cell, &value)) {
            c->numbers++;
            c->fractions = c->fractions || value != floor(value) || !(fabs(value) < 1e15);
        } else if (!c->text_row) {
            c->text_row = (int64_t)row_number(t, row);
            c->text_line = t->sheet.rows[row].line;
            cj__format(c->text, sizeof c->text, "%.*s", shown(cell), cell->text);
        }
    }
}

static cj_status tally(cj__table *t)
{
    for (int i = 0; i < t->input_count; i++)
        if (is_open(&t->columns[t->inputs[i]])) tally_column(t, t->inputs[i]);
    if (t->target >= 0) tally_column(t, t->target);
    t->total += t->sample_count;
    t->rows += t->sheet.row_count - t->first;
    return CJ_OK;
}

/* A categorical column's texts are collected, as numbers when all of them are. */
static void decide(const cj__table *t, cj__table_column *c, cj_column_kind guess)
{
    if (!c->forced) c->kind = guess;
    c->collects = c->kind == CJ_COLUMN_CATEGORICAL;
    c->categories.numbers = c->numbers == t->total;
}

/* From the options, or a first line. */
static bool knows_classes(const cj__table *t)
{
    return t->opts->classes > 0 || (t->class_count > 0 && t->target == t->column_count - 1);
}

static void decide_kinds(cj__table *t)
{
    for (int i = 0; i < t->input_count; i++) {
        cj__table_column *c = &t->columns[t->inputs[i]];
        const bool numbers = c->numbers == t->total;
        if (is_open(c)) decide(t, c, numbers ? CJ_COLUMN_NUMERIC : CJ_COLUMN_CATEGORICAL);
    }
    if (t->target < 0) return;
    cj__table_column *c = &t->columns[t->target];
    const bool numeric = c->numbers == t->total && c->fractions;
    if (knows_classes(t)) c->kind = CJ_COLUMN_CATEGORICAL;
    else if (!c->names) decide(t, c, numeric ? CJ_COLUMN_NUMERIC : CJ_COLUMN_CATEGORICAL);
}

static cj_status collect(cj__table *t)
{
    for (int c = 0; c < t->column_count; c++)
        if (t->columns[c].collects) CJ__TRY(cj__categories_collect(t, c));
    return CJ_OK;
}

/* The names of the categories, by rank. */
static cj_status name_categories(cj__table *t, cj__table_column *column)
{
    const cj__categories *c = &column->categories;
    const char **names = cj__arena_array(&t->arena, (size_t)c->count, sizeof *names);
    if (!names) return cj_last_status(t->cj);
    for (int i = 0; i < c->count; i++) {
        cj__cell cell = {.text = c->items[i].text, .length = c->items[i].length};
        if (!(names[c->items[i].rank] = cj__cell_text(&t->arena, &cell)))
            return cj_last_status(t->cj);
    }
    column->names = names;
    return CJ_OK;
}

/* A guess that is probably wrong is worse than a question. */
static cj_status doubt(const cj__table *t, int column)
{
    const cj__table_column *c = &t->columns[column];
    const int different = c->categories.count;
    if (c->numbers > 0 && c->numbers >= t->total - t->total / 10 && different > CLASSES_GUESSED_MAX)
        return fail_at(t, c->text_row, c->text_line, column,
                       "nearly all cells are numbers, but not", CJ__SHOWN, c->text,
                       "; or say types=NAME:categorical");
    if (different > CATEGORIES_GUESSED_MAX ||
        (t->total >= 20 && (size_t)different > t->total / 2))
        return cj_fail(t->cj, CJ_ERR_DATA,
                       "%s: column '%s' has %d different texts in %zu rows, so it is hardly a "
                       "category; leave it out with "
                       "drop=NAME, or say types=NAME:categorical",
                       t->name, c->name, different, t->total);
    return CJ_OK;
}

/* The categories of a column, all collected, become known. */
static cj_status finish(cj__table *t, int column)
{
    cj__table_column *c = &t->columns[column];
    if (!c->collects) return CJ_OK;
    if (c->too_many)
        return cj_fail(t->cj, CJ_ERR_LIMIT,
                       "%s: column '%s' has more than %d different texts: too many for categories",
                       t->name, c->name, CJ__CATEGORIES_MAX - 1);
    for (int i = 0; i < c->categories.count; i++) c->categories.items[i].rank = i;
    if (!c->forced) CJ__TRY(doubt(t, column));
    return name_categories(t, c);
}

/* The classes are known before the cells are seen. From a first line: cells hold the numbers of its
 * names, which the options may number otherwise. From the options alone: cells hold names, or
 * numbers of them. */
static cj_status known_classes(cj__table *t, cj__table_column *c, bool numbers)
{
    const cj_dataset_opts *o = t->opts;
    bool first_line = t->class_count > 0 && t->target == t->column_count - 1;
    c->names = o->class_names;
    if (!first_line) {
        if (o->class_names)
            CJ__TRY(cj__categories_given(t, o->class_names, o->classes, &c->categories));
        if (o->class_names && (!numbers || c->categories.numbers)) return CJ_OK;
        return cj__categories_count(t, o->classes, &c->categories);
    }
    if (!o->class_names) {
        if (!o->classes || o->classes == t->class_count) c->names = t->class_names;
        return cj__categories_count(t, o->classes ? o->classes : t->class_count, &c->categories);
    }
    CJ__TRY(cj__categories_count(t, t->class_count, &c->categories));
    for (int i = 0; i < t->class_count; i++) {
        int rank = 0;
        while (rank < o->classes && strcmp(o->class_names[rank], t->class_names[i])) rank++;
        if (rank == o->classes)
            return cj_fail(
                t->cj, CJ_ERR_DATA,
                "%s: class '%s' of the first line is none of the %d classes, '%s' to '%s'", t->name,
                t->class_names[i], o->classes, o->class_names[0], o->class_names[o->classes - 1]);
        c->categories.items[i].rank = rank;
    }
    return CJ_OK;
}

/* Of the target; c->names has as many. */
static int class_total(const cj__table *t)
{
    return t->opts->classes > 0 ? t->opts->classes : t->columns[t->target].categories.count;
}

/* Are the classes those that the file declares, and the options have but their number? */
static bool declared_classes(const cj__table *t, const cj__table_column *c)
{
    return c->names && !t->opts->class_names && t->opts->classes == c->categories.count;
}

static cj_status finish_target(cj__table *t)
{
    cj__table_column *c = &t->columns[t->target];
    const bool numbers = c->numbers == t->total;
    const int different = c->categories.count;
    if (knows_classes(t)) {
        if (declared_classes(t, c)) return CJ_OK;
        CJ__TRY(known_classes(t, c, numbers));
        return c->names ? CJ_OK : name_categories(t, c);
    }
    if (c->collects && !c->forced && numbers &&
        (c->too_many || different > CLASSES_GUESSED_MAX || (size_t)different > t->total / 2)) {
        c->kind = CJ_COLUMN_NUMERIC; /* integers, but too many of them to be classes */
        return CJ_OK;
    }
    return finish(t, t->target);
}

/* ---- Numbers --------------------------------------------------------------------------------- */

static cj_status encode(const cj__table *t, size_t row, int column, double *value)
{
    const cj__table_column *c = &t->columns[column];
    const cj__cell *cell = cj__table_cell(t, row, column);
    if (c->kind == CJ_COLUMN_NUMERIC) {
        if (!cj__cell_number(cell, value))
            return fail_cell(t, row, column, "a number is needed, not", "");
        if (isnan(*value)) return fail_cell(t, row, column, "NaN", "");
        if (!isfinite((float)*value))
            return fail_cell(t, row, column,
                             isinf(*value) ? "infinity" : "a number too large for f32,", "");
        return CJ_OK;
    }
    bool found;
    int at = cj__categories_find(&c->categories, cell, &found);
    if (!found && column == t->target)
        return cj_fail(t->cj, CJ_ERR_DATA,
                       "%s: label out of range: '%.*s' is none of the %d classes, '%s' to '%s' "
                       "(row %zu, line %lld, column '%s')",
                       t->name, shown(cell), cell->text, class_total(t), c->names[0],
                       c->names[class_total(t) - 1], row_number(t, row),
                       (long long)t->sheet.rows[row].line, c->name);
    if (!found)
        return fail_cell(t, row, column,
                         t->opts->columns ? "a category the model does not know,"
                                          : "none of the declared categories,", "");
    *value = c->categories.items[at].rank;
    return CJ_OK;
}

cj_status cj__table_features(const cj__table *t, size_t from, size_t n, float *to)
{
    for (size_t i = from; i < from + n; i++)
        for (int k = 0; k < t->input_count; k++) {
            double value = 0;
            CJ__TRY(encode(t, t->samples[i], t->inputs[k], &value));
            if (to) *to++ = (float)value;
        }
    return CJ_OK;
}

static cj_status fill_column(const cj__table *t, int column, const cj__samples *s)
{
    if (!s->tensor) return CJ_OK;
    void *to = cj_tensor_map(s->tensor, CJ_MAP_WRITE);
    const cj_dtype dtype = cj_tensor_dtype(s->tensor);
    for (size_t i = 0; i < t->sample_count; i++) {
        double value = 0;
        CJ__TRY(encode(t, t->samples[i], column, &value));
        if (column == t->weight && value < 0)
            return fail_cell(t, t->samples[i], column, "a negative weight", "");
        cj_store_f64(dtype, to, t->samples_before + i, value);
    }
    return CJ_OK;
}

/* Features, target, weight. */
static cj_status fill(cj__table *t)
{
    float *x = t->values[0].tensor ? cj_tensor_map(t->values[0].tensor, CJ_MAP_WRITE) : NULL;
    if (x) x += t->samples_before * (size_t)t->input_count;
    CJ__TRY(cj__table_features(t, 0, t->sample_count, x));
    CJ__TRY(fill_column(t, t->target, &t->values[1]));
    return fill_column(t, t->weight, &t->values[2]);
}

/* ---- The data set ---------------------------------------------------------------------------- */

static cj_field target_field(const cj__table *t)
{
    const cj__table_column *c = &t->columns[t->target];
    if (c->kind == CJ_COLUMN_NUMERIC)
        return (cj_field){
            .name = "target", .dtype = CJ_F32, .rank = 1, .shape = {1}, .role = CJ_FIELD_TARGET};
    return (cj_field){.name = "label",
                      .dtype = CJ_I32,
                      .role = CJ_FIELD_TARGET,
                      .classes = class_total(t),
                      .class_names = c->names};
}

/* Memory for the values of a field of all samples. */
static cj_status make(cj__table *t, const cj_field *field, int which)
{
    int64_t shape[CJ_RANK_MAX] = {(int64_t)t->total};
    for (int i = 0; i < field->rank; i++) shape[i + 1] = field->shape[i];
    t->values[which].tensor = cj_tensor_new(t->cj, field->dtype, field->rank + 1, shape);
    return t->values[which].tensor ? CJ_OK : cj_last_status(t->cj);
}

static cj_field features_field(const cj__table *t, const cj_column *info)
{
    return (cj_field){.name = "features",
                      .dtype = CJ_F32,
                      .rank = 1,
                      .shape = {t->input_count},
                      .role = CJ_FIELD_INPUT,
                      .columns = t->input_count,
                      .column_info = info};
}

static const cj_column *describe_inputs(cj__table *t)
{
    cj_column *info = cj__arena_array(&t->arena, (size_t)t->input_count, sizeof *info);
    for (int k = 0; info && k < t->input_count; k++) {
        const cj__table_column *c = &t->columns[t->inputs[k]];
        info[k] = (cj_column){.name = c->name,
                              .kind = c->kind,
                              .categories = c->names ? c->categories.count : 0,
                              .category_names = c->names};
    }
    return info;
}

/* A list of pictures, whose other columns do not count. */
static cj_dataset *build_pictures(cj__table *t)
{
    cj_field target = {.name = NULL};
    cj_dataset *ds = NULL;
    if (t->target >= 0) target = target_field(t);
    if (t->target < 0 || (!make(t, &target, 1) && !fill_column(t, t->target, &t->values[1])))
        ds = cj__table_pictures(t, &target, t->values[1].tensor);
    cj_tensor_free(t->values[1].tensor);
    return ds;
}

cj_dataset *cj__table_build(cj__table *t)
{
    if (t->pictures >= 0) return build_pictures(t);
    const cj_column *info = describe_inputs(t);
    if (!info) return NULL;
    cj_field fields[3] = {features_field(t, info)};
    const cj_field weight = {.name = "weight", .dtype = CJ_F32, .role = CJ_FIELD_WEIGHT};
    cj__samples samples[3];
    int n = 1;
    if (t->target >= 0) fields[1] = target_field(t);
    cj_status failed = t->stream ? CJ_OK : make(t, &fields[0], 0);
    if (!failed && t->target >= 0) failed = make(t, &fields[1], 1);
    if (!failed && t->weight >= 0) failed = make(t, &weight, 2);
    if (!failed) failed = each_part(t, fill);
    samples[0] = t->values[0];
    if (t->target >= 0) samples[n++] = t->values[1];
    if (t->weight >= 0) fields[n] = weight, samples[n++] = t->values[2];
    if (!failed)
        return cj__dataset_of_samples(t->cj, t->name, (int64_t)t->total, n, fields, samples);
    for (int i = 0; i < n; i++) cj_tensor_free(samples[i].tensor);
    return NULL;
}

/* A sparse file may become a matrix that is far larger than itself. Whether there is memory for it
 * is asked before each of its cells is looked at, which would take as long as to fill it. */
static cj_status check_size(const cj__table *t)
{
    size_t rows = t->sheet.row_count, bytes = 0;
    if (!t->sheet.keyed) return CJ_OK;
    if (t->opts->limit > 0 && (uint64_t)t->opts->limit < rows) rows = (size_t)t->opts->limit;
    void *trial = cj__size_mul(rows, (size_t)t->input_count * sizeof(float), &bytes)
                      ? cj__realloc(t->cj, NULL, 0, bytes)
                      : NULL;
    if (!trial)
        return cj_fail(t->cj, CJ_ERR_LIMIT,
                       "%s: %zu rows of %d features are too large as a matrix, %.3g MB; 'limit' "
                       "takes fewer rows",
                       t->name, rows, t->input_count, (double)rows * t->input_count * 4e-6);
    cj__free(t->cj, trial, bytes);
    return CJ_OK;
}

cj_status cj__table_settle(cj__table *t)
{
    CJ__TRY(cj__table_layout(t));
    CJ__TRY(check_size(t));
    if (!t->stream) CJ__TRY(cj__table_choose(t));
    CJ__TRY(each_part(t, tally));
    CJ__TRY(check_samples(t));
    decide_kinds(t);
    bool collects = false;
    for (int c = 0; c < t->column_count; c++) collects = collects || t->columns[c].collects;
    if (collects) CJ__TRY(each_part(t, collect));
    for (int i = 0; i < t->input_count; i++) CJ__TRY(finish(t, t->inputs[i]));
    return t->target >= 0 ? finish_target(t) : CJ_OK;
}
