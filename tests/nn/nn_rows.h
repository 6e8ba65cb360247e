/* nn_rows.h: every row of every table of named things, seen as one kind of thing. */
#ifndef CAJAL_TESTS_NN_ROWS_H
#define CAJAL_TESTS_NN_ROWS_H

#include "base/option.h"
#include "base/registry.h"
#include "nn_support.h"

/* What all kinds of rows have, behind the accessors of each. */
typedef struct row {
    const void *row;
    const char *name, *doc, *aliases;
    size_t size;
    const cj_option *options;
    bool complete; /* the functions are there */
} row;

typedef struct kind {
    const char *word;
    int number; /* cj__row_kind */
    bool (*at)(cj_context *cj, int i, row *out);
    const void *(*find)(cj_context *cj, const char *name);
    cj_status (*add)(cj_context *cj, const void *row);
} kind;

#define KIND(kind_name, type, complete) \
    static bool kind_name##_row(cj_context *c, int i, row *out) \
    { \
        const type *r = cj_##kind_name##_at(c, i); \
        if (r) \
            *out = (row){r,          r->name,         r->doc,    r->aliases, \
                         r->options_size, r->options, complete}; \
        return r != NULL; \
    } \
    static const void *kind_name##_find(cj_context *c, const char *name) \
    { \
        return cj_##kind_name##_find(c, name); \
    } \
    static cj_status kind_name##_add(cj_context *c, const void *r) \
    { \
        return cj_##kind_name##_register(c, r); \
    }
KIND(layer, cj_layer, r->build != NULL)
KIND(activation, cj_activation_row, r->build != NULL)
KIND(loss, cj_loss, r->build != NULL)
KIND(metric, cj_metric, r->build != NULL)
KIND(optimizer, cj_optimizer, r->build || r->search)
KIND(schedule, cj_schedule, r->rate != NULL)
KIND(initializer, cj_initializer, r->fill != NULL)
KIND(regularizer, cj_regularizer, r->build != NULL)
KIND(constraint, cj_constraint, r->build != NULL)

static const kind kinds[] = {
#define ENTRY(name, NAME) {#name, CJ__ROW_##NAME, name##_row, name##_find, name##_add}
    ENTRY(layer, LAYER), ENTRY(activation, ACTIVATION), ENTRY(loss, LOSS), ENTRY(metric, METRIC),
    ENTRY(optimizer, OPTIMIZER), ENTRY(schedule, SCHEDULE), ENTRY(initializer, INITIALIZER),
    ENTRY(regularizer, REGULARIZER), ENTRY(constraint, CONSTRAINT)};
enum { KINDS = sizeof kinds / sizeof *kinds };

static inline void each_row(cj_context *cj, void (*check)(const kind *k, const row *r))
{
    for (int k = 0; k < KINDS; k++) {
        row r;
        int n = 0;
        for (; kinds[k].at(cj, n, &r); n++) check(&kinds[k], &r);
        assert_true(n >= 4);
        assert_false(kinds[k].at(cj, -1, &r));
        assert_false(kinds[k].at(cj, n + 1, &r));
    }
}

#endif
