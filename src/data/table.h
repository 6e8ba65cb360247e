/* table.h: rows of cells on their way to a data set. */
#ifndef CAJAL_DATA_TABLE_H
#define CAJAL_DATA_TABLE_H

#include "data/dataset.h"
#include "data/format.h"
#include "data/sheet.h"

enum {
    CJ__CATEGORIES_MAX = 10000,
    CJ__SHOWN = 40 /* bytes of a cell in a message */
};

/* The different texts of a column, sorted, each with the number that stands for it. When all are
 * numbers they are compared as such: 1 and 1.0 are the same. */
typedef struct cj__category {
    const char *text;
    uint32_t length;
    double value;
    int rank;
} cj__category;

typedef struct cj__categories {
    cj__category *items; /* sorted; from the arena */
    int count, room;
    bool numbers;
} cj__categories;

typedef struct cj__table_column {
    const char *name;
    bool dropped;
    bool forced; /* by types=, the model or the file itself: `kind` is decided */
    cj_column_kind kind;
    cj__categories categories;
    const char *const *names; /* of the categories, by rank */
    /* What was found in its cells: */
    size_t numbers;           /* how many of them are numbers */
    bool fractions;           /* is one of these none that is whole? */
    bool collects, too_many;  /* its texts are wanted; are more than a category has */
    int64_t text_row, text_line; /* of the first cell that is no number, from 1; 0: none */
    char text[CJ__SHOWN + 1];    /* its beginning */
} cj__table_column;

typedef struct cj__table_stream cj__table_stream;

typedef struct cj__table {
    cj_context *cj;
    const char *name;
    const cj_dataset_opts *opts;
    cj__arena arena;
    cj__sheet sheet;
    size_t first;             /* row of the first sample in the sheet */
    int64_t top_line;         /* of the first row, which says how many cells there are */
    bool header;
    int column_count;
    cj__table_column *columns;
    int target, weight;       /* -1: none */
    int pictures;             /* the column of paths, without which there are features; -1: none */
    int input_count, *inputs; /* columns, in the order of the features */
    size_t sample_count, *samples; /* rows of the sheet */
    size_t total, rows;       /* samples, and rows that might be, of all parts */
    cj__table_stream *stream; /* NULL: the sheet has all rows; else those of one part, and: */
    size_t rows_before, samples_before; /* it */
    cj__samples values[3];    /* of features, target and weight, while they are filled */
    int class_count;          /* from a first line as scikit-learn writes it */
    const char **class_names;
} cj__table;

/* table.c */
/* From rows to columns that are known; `total` is counted. */
cj_status cj__table_settle(cj__table *t);
/* The rows of the sheet that are samples, behind samples_before of them. */
cj_status cj__table_choose(cj__table *t);
/* The features of samples `from` to `from + n - 1` of the sheet; to NULL: they are checked only. */
cj_status cj__table_features(const cj__table *t, size_t from, size_t n, float *to);
/* The data set of a table that is settled; without the features of a stream. */
cj_dataset *cj__table_build(cj__table *t);
cj_status cj__table_check(cj_context *cj, const char *name, const cj__file_format *format,
                          const cj_dataset_opts *opts);

/* picture_list.c: the data set of a table whose samples are pictures, with these targets, one a
 * sample (f32 or, with classes, i32; NULL: none). */
cj_dataset *cj__table_pictures(cj__table *t, const cj_field *target, const cj_tensor *values);

/* table_stream.c: a table that stays in its file. */
enum { CJ__TABLE_PART_BYTES = 1 << 20 };
cj_dataset *cj__table_stream_open(cj_context *cj, const char *path, const cj_dataset_opts *opts,
                                  size_t part_bytes);
/* Calls visit(t) for part after part, with its rows in the sheet and its samples chosen. */
cj_status cj__table_stream_each(cj__table *t, cj_status (*visit)(cj__table *t));

/* layout.c: what is what. */
/* Finds first line, header, raggedness, names, and the parts the columns play; of a stream from the
 * first part of it. */
cj_status cj__table_layout(cj__table *t);
/* Whether all rows of the sheet from `first` on have as many cells as there are columns. */
cj_status cj__table_check_ragged(const cj__table *t);
const cj__cell *cj__table_cell(const cj__table *t, size_t row, int column);
/* A number, NaN and infinity included. */
bool cj__cell_number(const cj__cell *cell, double *value);
bool cj__cell_missing(const cj__cell *cell);
char *cj__cell_text(cj__arena *arena, const cj__cell *cell);

/* category.c: the different texts of a column. */
/* Where the text is, or would be; *found says which. */
int cj__categories_find(const cj__categories *c, const cj__cell *cell, bool *found);
cj_status cj__categories_insert(cj__categories *c, cj__arena *arena, const cj__cell *cell);
/* Adds those of the samples to a column's; column->too_many when there are too many. */
cj_status cj__categories_collect(cj__table *t, int column);
/* These, ranked as they come. */
cj_status cj__categories_given(cj__table *t, const char *const *names, int n, cj__categories *out);
/* "0" .. "n-1". */
cj_status cj__categories_count(cj__table *t, int n, cj__categories *out);

#endif
