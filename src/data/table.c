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
 * A cell that does not fit is named by row (of the samples, from 1), line (of the file) and column.
 */
#include "data/table.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "data/format.h"
#include "data/gzip.h"

enum {
    CLASSES_GUESSED_MAX = 20,    /* integers with more different values are a regression */
    CATEGORIES_GUESSED_MAX = 1000,
    SHOWN = 40                   /* bytes of a cell in a message */
};

static int shown(const cj__cell *cell)
{
    return cell->length < SHOWN ? (int)cell->length : SHOWN;
}

/* "FILE: what 'cell' in the data (row 3, line 4, column 'age')hint" */
static cj_status fail_cell(const cj__table *t, size_t row, int column, const char *what,
                           const char *hint)
{
    const cj__cell *cell = cj__table_cell(t, row, column);
    return cj_fail(t->cj, CJ_ERR_DATA,
                   "%s: %s '%.*s' in the data (row %zu, line %lld, column '%s')%s", t->name, what,
                   shown(cell), cell->text, row - t->first + 1, (long long)t->sheet.rows[row].line,
                   t->columns[column].name, hint);
}

/* ---- Samples --------------------------------------------------------------------------------- */

static int missing_column(const cj__table *t, size_t row)
{
    for (int i = 0; i < t->input_count; i++)
        if (cj__cell_missing(cj__table_cell(t, row, t->inputs[i]))) return t->inputs[i];
    const int others[] = {t->target, t->weight};
    for (int i = 0; i < 2; i++)
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

static cj_status choose_samples(cj__table *t)
{
    size_t rows = t->sheet.row_count - t->first;
    t->samples = cj__arena_array(&t->arena, rows, sizeof *t->samples);
    if (!t->samples) return cj_last_status(t->cj);
    for (size_t r = t->first; r < t->sheet.row_count; r++) {
        if (t->opts->limit > 0 && t->sample_count == (uint64_t)t->opts->limit) break;
        int missing = missing_column(t, r);
        if (missing < 0) t->samples[t->sample_count++] = r;
        else if (t->opts->missing != CJ_MISSING_DROP) return fail_missing(t, r, missing);
    }
    if (t->sample_count == 0)
        return cj_fail(t->cj, CJ_ERR_DATA, "%s: every one of %zu rows has a missing value", t->name,
                       rows);
    if (t->opts->missing == CJ_MISSING_DROP && t->sample_count < rows && !t->opts->limit)
        cj__log(t->cj, CJ_LOG_INFO, "%s: %zu of %zu rows have missing values and are left out",
                t->name, rows - t->sample_count, rows);
    return CJ_OK;
}

/* ---- Kinds of columns ------------------------------------------------------------------------ */

typedef struct tally {
    size_t numbers;
    bool integers; /* all numbers are integers */
    size_t first_text; /* row of the first cell that is none */
} tally;

static tally count_numbers(const cj__table *t, int column)
{
    tally count = {.integers = true};
    for (size_t i = 0; i < t->sample_count; i++) {
        double value;
        if (cj__cell_number(cj__table_cell(t, t->samples[i], column), &value)) {
            count.numbers++;
            count.integers = count.integers && value == floor(value) && fabs(value) < 1e15;
        } else if (count.numbers == i) {
            count.first_text = t->samples[i];
        }
    }
    return count;
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
static cj_status doubt(cj__table *t, int column, tally count)
{
    int different = t->columns[column].categories.count;
    if (count.numbers > 0 && count.numbers >= t->sample_count - t->sample_count / 10 &&
        different > CLASSES_GUESSED_MAX)
        return fail_cell(t, count.first_text, column, "nearly all cells are numbers, but not",
                         "; or say types=NAME:categorical");
    if (different > CATEGORIES_GUESSED_MAX ||
        (t->sample_count >= 20 && (size_t)different > t->sample_count / 2))
        return cj_fail(t->cj, CJ_ERR_DATA,
                       "%s: column '%s' has %d different texts in %zu rows, so it is hardly a "
                       "category; leave it out with "
                       "drop=NAME, or say types=NAME:categorical",
                       t->name, t->columns[column].name, different, t->sample_count);
    return CJ_OK;
}

static cj_status settle_input(cj__table *t, int column)
{
    cj__table_column *c = &t->columns[column];
    if (c->names || (c->forced && c->kind == CJ_COLUMN_NUMERIC)) return CJ_OK;
    tally count = count_numbers(t, column);
    if (!c->forced)
        c->kind = count.numbers == t->sample_count ? CJ_COLUMN_NUMERIC : CJ_COLUMN_CATEGORICAL;
    if (c->kind == CJ_COLUMN_NUMERIC) return CJ_OK;
    CJ__TRY(cj__categories_collect(t, column, count.numbers == t->sample_count, &c->categories));
    if (!c->forced) CJ__TRY(doubt(t, column, count));
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

static cj_status settle_target(cj__table *t)
{
    const cj_dataset_opts *o = t->opts;
    cj__table_column *c = &t->columns[t->target];
    tally count = count_numbers(t, t->target);
    bool numbers = count.numbers == t->sample_count;
    if (o->classes > 0 || (t->class_count > 0 && t->target == t->column_count - 1)) {
        c->kind = CJ_COLUMN_CATEGORICAL;
        if (declared_classes(t, c)) return CJ_OK;
        CJ__TRY(known_classes(t, c, numbers));
        return c->names ? CJ_OK : name_categories(t, c);
    }
    if (c->names) return CJ_OK; /* the file declares them */
    if (!c->forced)
        c->kind = numbers && !count.integers ? CJ_COLUMN_NUMERIC : CJ_COLUMN_CATEGORICAL;
    if (c->kind == CJ_COLUMN_NUMERIC) return CJ_OK;
    cj_status failed = cj__categories_collect(t, t->target, numbers, &c->categories);
    int different = c->categories.count;
    if (!c->forced && numbers &&
        (failed == CJ_ERR_LIMIT || different > CLASSES_GUESSED_MAX ||
         (size_t)different > t->sample_count / 2)) {
        c->kind = CJ_COLUMN_NUMERIC; /* integers, but too many of them to be classes */
        return CJ_OK;
    }
    if (failed) return failed;
    if (!c->forced) CJ__TRY(doubt(t, t->target, count));
    return name_categories(t, c);
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
                       c->names[class_total(t) - 1], row - t->first + 1,
                       (long long)t->sheet.rows[row].line, c->name);
    if (!found)
        return fail_cell(t, row, column,
                         t->opts->columns ? "a category the model does not know,"
                                          : "none of the declared categories,", "");
    *value = c->categories.items[at].rank;
    return CJ_OK;
}

static cj_status fill_features(const cj__table *t, float *to)
{
    for (size_t i = 0; i < t->sample_count; i++) {
        for (int k = 0; k < t->input_count; k++) {
            double value = 0;
            CJ__TRY(encode(t, t->samples[i], t->inputs[k], &value));
            *to++ = (float)value;
        }
    }
    return CJ_OK;
}

static cj_status fill_column(const cj__table *t, int column, cj_dtype dtype, void *to)
{
    for (size_t i = 0; i < t->sample_count; i++) {
        double value = 0;
        CJ__TRY(encode(t, t->samples[i], column, &value));
        if (column == t->weight && value < 0)
            return fail_cell(t, t->samples[i], column, "a negative weight", "");
        cj_store_f64(dtype, to, i, value);
    }
    return CJ_OK;
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

/* A field for one column, behind those there are. */
static cj_status add_field(const cj__table *t, int column, cj_field field, int *n,
                           cj_field *fields, cj__samples *samples)
{
    const int64_t shape[2] = {(int64_t)t->sample_count, 1};
    cj_tensor *values = cj_tensor_new(t->cj, field.dtype, field.rank + 1, shape);
    if (!values) return cj_last_status(t->cj);
    fields[*n] = field;
    samples[(*n)++] = (cj__samples){.tensor = values};
    return fill_column(t, column, field.dtype, cj_tensor_map(values, CJ_MAP_WRITE));
}

static cj_dataset *build(cj__table *t)
{
    cj_column *info = cj__arena_array(&t->arena, (size_t)t->input_count, sizeof *info);
    if (!info) return NULL;
    for (int k = 0; k < t->input_count; k++) {
        const cj__table_column *c = &t->columns[t->inputs[k]];
        info[k] = (cj_column){.name = c->name,
                              .kind = c->kind,
                              .categories = c->names ? c->categories.count : 0,
                              .category_names = c->names};
    }
    cj_field fields[3] = {{.name = "features",
                           .dtype = CJ_F32,
                           .rank = 1,
                           .shape = {t->input_count},
                           .role = CJ_FIELD_INPUT,
                           .columns = t->input_count,
                           .column_info = info}};
    cj_field weight = {.name = "weight", .dtype = CJ_F32, .role = CJ_FIELD_WEIGHT};
    const int64_t shape[2] = {(int64_t)t->sample_count, t->input_count};
    cj__samples samples[3] = {{.tensor = cj_tensor_new(t->cj, CJ_F32, 2, shape)}};
    cj_tensor *x = samples[0].tensor;
    int n = 1;
    bool failed = !x || fill_features(t, cj_tensor_map(x, CJ_MAP_WRITE)) ||
                  (t->target >= 0 &&
                   add_field(t, t->target, target_field(t), &n, fields, samples)) ||
                  (t->weight >= 0 && add_field(t, t->weight, weight, &n, fields, samples));
    if (!failed)
        return cj__dataset_of_samples(t->cj, t->name, (int64_t)t->sample_count, n, fields, samples);
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

static cj_status settle(cj__table *t)
{
    CJ__TRY(cj__table_layout(t));
    CJ__TRY(check_size(t));
    CJ__TRY(choose_samples(t));
    for (int i = 0; i < t->input_count; i++) CJ__TRY(settle_input(t, t->inputs[i]));
    return t->target >= 0 ? settle_target(t) : CJ_OK;
}

static cj_status check_options(cj_context *cj, const char *name, const cj__file_format *format,
                               const cj_dataset_opts *o)
{
    if (!format->parse)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: %s is no format of tables", name,
                       format->row.name);
    if (o->split && !strcmp(o->split, "test"))
        return cj_fail(cj, CJ_ERR_NOT_FOUND,
                       "%s: a table has one part and no 'test'; cut it in two by cj_dataset_split",
                       name);
    if (o->stream)
        return cj_fail(cj, CJ_ERR_UNSUPPORTED, "%s: a table is read whole; leave stream out", name);
    if ((unsigned)o->header > CJ_HEADER_NO || (unsigned)o->missing > CJ_MISSING_DROP)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: header=%d or missing=%d is none of the choices",
                       name, (int)o->header, (int)o->missing);
    if (o->widths && format != &cj__format_fixed_width)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: widths are for format=fixed_width, not for %s",
                       name, format->row.name);
    if (o->delimiter && format != &cj__format_csv)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: a delimiter is for format=csv, not for %s", name,
                       format->row.name);
    return CJ_OK;
}

cj_dataset *cj__table_parse(cj_context *cj, const char *name, const void *bytes, size_t size,
                            const cj_dataset_opts *opts)
{
    cj__table t = {.cj = cj, .name = name, .opts = opts};
    cj_dataset *ds = NULL;
    const cj__file_format *format = cj__format_for(cj, name, opts);
    if (!format || check_options(cj, name, format, opts)) return NULL;
    cj__arena_init(&t.arena, cj);
    cj__sheet_init(&t.sheet, cj, name);
    if (!format->parse(&t.sheet, bytes, size, opts) && !settle(&t)) ds = build(&t);
    cj__sheet_release(&t.sheet);
    cj__arena_release(&t.arena);
    return ds;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* Unpacks all of a gzip file into a block that grows by doubling. */
static cj_status unpack(cj_context *cj, const char *name, const cj__file_bytes *packed, char **text,
                        size_t *size, size_t *room)
{
    cj__gzip z;
    cj_status failed = cj__gzip_open(&z, cj, name, packed->data, packed->size);
    while (!failed && !z.ended) {
        size_t wanted = *room ? *room : (size_t)1 << 16, got = 0;
        if (*room && !cj__size_mul(*room, 2, &wanted)) {
            failed = cj_fail(cj, CJ_ERR_LIMIT, "%s: too large", name);
            break;
        }
        char *grown = cj__realloc(cj, *text, *room, wanted);
        if (!grown) {
            failed = cj_last_status(cj);
            break;
        }
        *text = grown;
        *room = wanted;
        failed = cj__gzip_read(&z, *text + *size, *room - *size, &got);
        *size += got;
    }
    cj__gzip_close(&z);
    return failed;
}

cj_dataset *cj__table_open(cj_context *cj, const char *path, const cj_dataset_opts *opts)
{
    cj__file_bytes bytes;
    if (cj__file_load(cj, path, 0, &bytes)) return NULL;
    size_t size = 0, room = 0;
    cj_dataset *ds = NULL;
    char *text = NULL;
    if (!cj__is_gzip(bytes.data, bytes.size))
        ds = cj__table_parse(cj, path, bytes.data, bytes.size, opts);
    else if (!unpack(cj, path, &bytes, &text, &size, &room))
        ds = cj__table_parse(cj, path, text, size, opts);
    if (room) cj__free(cj, text, room);
    cj__file_unload(&bytes);
    return ds;
}
