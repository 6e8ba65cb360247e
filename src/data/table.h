/* table.h: rows of cells on their way to a data set. */
#ifndef CAJAL_DATA_TABLE_H
#define CAJAL_DATA_TABLE_H

#include "data/dataset.h"
#include "data/sheet.h"

enum { CJ__CATEGORIES_MAX = 10000 };

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
} cj__table_column;

typedef struct cj__table {
    cj_context *cj;
    const char *name;
    const cj_dataset_opts *opts;
    cj__arena arena;
    cj__sheet sheet;
    size_t first;             /* row of the first sample */
    bool header;
    int column_count;
    cj__table_column *columns;
    int target, weight;       /* -1: none */
    int input_count, *inputs; /* columns, in the order of the features */
    size_t sample_count, *samples; /* rows */
    int class_count;          /* from a first line as scikit-learn writes it */
    const char **class_names;
} cj__table;

/* layout.c: what is what. */
/* Finds first line, header, raggedness, names, and the parts the columns play. */
cj_status cj__table_layout(cj__table *t);
const cj__cell *cj__table_cell(const cj__table *t, size_t row, int column);
/* A number, NaN and infinity included. */
bool cj__cell_number(const cj__cell *cell, double *value);
bool cj__cell_missing(const cj__cell *cell);
char *cj__cell_text(cj__arena *arena, const cj__cell *cell);

/* category.c: the different texts of a column. */
/* Where the text is, or would be; *found says which. */
int cj__categories_find(const cj__categories *c, const cj__cell *cell, bool *found);
cj_status cj__categories_insert(cj__categories *c, cj__arena *arena, const cj__cell *cell);
/* Those of the samples of a column, ranked in their order. Too many: CJ_ERR_LIMIT. */
cj_status cj__categories_collect(cj__table *t, int column, bool numbers, cj__categories *out);
/* These, ranked as they come. */
cj_status cj__categories_given(cj__table *t, const char *const *names, int n, cj__categories *out);
/* "0" .. "n-1". */
cj_status cj__categories_count(cj__table *t, int n, cj__categories *out);

#endif
