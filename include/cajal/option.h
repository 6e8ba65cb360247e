/* option.h: named options, the one way in which operators, layers, losses, optimizers, metrics,
 * schedules and commands take arguments.
 *
 * A table describes the fields of a structure. From it come parsing ("sgd(momentum=0.9)"),
 * printing, range checks, help, documentation, and the attributes of saved models.
 *
 *     struct sgd { double momentum; bool nesterov; };
 *     static const cj_option sgd_options[] = {
 *         CJ_OPTION_FLOAT(struct sgd, momentum, 0, 0, 1, "share of the last step that is kept"),
 *         CJ_OPTION_BOOL(struct sgd, nesterov, false, "look ahead (Nesterov 1983)"),
 *         CJ_OPTION_END};
 */
#ifndef CAJAL_OPTION_H
#define CAJAL_OPTION_H

#include <cajal/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cj_option_type {
    CJ_OPTION_NONE,        /* ends a table */
    CJ_OPTION_TYPE_BOOL,   /* bool */
    CJ_OPTION_TYPE_INT,    /* int64_t */
    CJ_OPTION_TYPE_FLOAT,  /* double */
    CJ_OPTION_TYPE_WORD,   /* int: index into words */
    CJ_OPTION_TYPE_STRING, /* const char *, NULL is legal */
    CJ_OPTION_TYPE_DTYPE,  /* cj_dtype */
    CJ_OPTION_TYPE_INTS,   /* cj_ints */
    CJ_OPTION_TYPE_FLOATS, /* cj_floats */
    CJ_OPTION_TYPE_DIMS,   /* cj_ints of cj_dim: sizes that may be symbols of a graph */
    CJ_OPTION_TYPE_TENSOR, /* cj_tensor *; graphs only */
    CJ_OPTION_TYPE_GRAPH,  /* cj_graph *: a subgraph; graphs only */
    CJ_OPTION_TYPE_SIZES,  /* int64_t[CJ_SIZES]: a number for each spatial axis; the first 0 ends
                              them */
    CJ_OPTION_TYPE_MORE    /* no option: the table goes on in another one */
} cj_option_type;

enum { CJ_SIZES = 3 };

typedef struct cj_ints {
    int n;
    const int64_t *v;
} cj_ints;

typedef struct cj_floats {
    int n;
    const double *v;
} cj_floats;

/* There are more than a thousand of these, so what only some types have shares its place. */
typedef struct cj_option {
    const char *name;
    cj_option_type type;
    uint32_t offset;
    union {
        double initial;               /* of numbers; of a WORD an index */
        const char *text;             /* of a STRING */
    };
    union {
        double min;                   /* numbers: min <= value <= max for each element */
        const char *const *words;     /* WORD, STRING: see cj_option_words */
        const struct cj_option *more; /* MORE */
    };
    double max;
    const char *help;
} cj_option;

/* The option of this row, which may stand in the table that a MORE names; NULL of NULL. A walk:
 *     for (o = cj_option_row(table); o->type; o = cj_option_row(o + 1)) */
static inline const cj_option *cj_option_row(const cj_option *row)
{
    while (row && row->type == CJ_OPTION_TYPE_MORE) row = row->more;
    return row;
}

/* The words of a WORD, and those that a STRING may be, NULL-terminated. NULL: there are none. */
static inline const char *const *cj_option_words(const cj_option *o)
{
    return o->type == CJ_OPTION_TYPE_WORD || o->type == CJ_OPTION_TYPE_STRING ? o->words : NULL;
}

#define CJ_OPTION_BOOL(s, f, initial, help) \
    { \
#f, CJ_OPTION_TYPE_BOOL, offsetof(s, f), {initial}, {0}, 1, help \
    }
#define CJ_OPTION_INT(s, f, initial, min, max, help) \
    { \
#f, CJ_OPTION_TYPE_INT, offsetof(s, f), {initial}, {min}, max, help \
    }
#define CJ_OPTION_FLOAT(s, f, initial, min, max, help) \
    { \
#f, CJ_OPTION_TYPE_FLOAT, offsetof(s, f), {initial}, {min}, max, help \
    }
#define CJ_OPTION_WORD(s, f, initial, among, help) \
    { \
#f, CJ_OPTION_TYPE_WORD, offsetof(s, f), {initial}, {.words = among}, 0, help \
    }
#define CJ_OPTION_STRING(s, f, initially, help) \
    { \
#f, CJ_OPTION_TYPE_STRING, offsetof(s, f), {.text = initially}, {0}, 0, help \
    }
/* A string that is one of some words. */
#define CJ_OPTION_CHOICE(s, f, initially, among, help) \
    { \
#f, CJ_OPTION_TYPE_STRING, offsetof(s, f), {.text = initially}, {.words = among}, 0, help \
    }
#define CJ_OPTION_DTYPE(s, f, initial, help) \
    { \
#f, CJ_OPTION_TYPE_DTYPE, offsetof(s, f), {initial}, {0}, 0, help \
    }
#define CJ_OPTION_INTS(s, f, min, max, help) \
    { \
#f, CJ_OPTION_TYPE_INTS, offsetof(s, f), {0}, {min}, max, help \
    }
#define CJ_OPTION_FLOATS(s, f, min, max, help) \
    { \
#f, CJ_OPTION_TYPE_FLOATS, offsetof(s, f), {0}, {min}, max, help \
    }
#define CJ_OPTION_DIMS(s, f, help) \
    { \
#f, CJ_OPTION_TYPE_DIMS, offsetof(s, f), {0}, {0}, 0, help \
    }
#define CJ_OPTION_TENSOR(s, f, help) \
    { \
#f, CJ_OPTION_TYPE_TENSOR, offsetof(s, f), {0}, {0}, 0, help \
    }
#define CJ_OPTION_GRAPH(s, f, help) \
    { \
#f, CJ_OPTION_TYPE_GRAPH, offsetof(s, f), {0}, {0}, 0, help \
    }
/* initial: of the first number; 0 with a min above it: required. */
#define CJ_OPTION_SIZES(s, f, initial, min, max, help) \
    { \
#f, CJ_OPTION_TYPE_SIZES, offsetof(s, f), {initial}, {min}, max, help \
    }
#define CJ_OPTION_END {NULL, CJ_OPTION_NONE, 0, {0}, {0}, 0, NULL}
/* In the place of END: the options of another table follow. Their offsets count from the same
 * address, so what they describe is the structure's first member. */
#define CJ_OPTION_MORE(table) \
    { \
        NULL, CJ_OPTION_TYPE_MORE, 0, {0}, {.more = table}, 0, NULL \
    }

#ifdef __cplusplus
}
#endif
#endif
