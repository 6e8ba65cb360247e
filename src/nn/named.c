/* named.c: things with a name and options, "adam(beta_1=0.9)": their tables and their parsing.
 *
 * Each kind has a compiled-in list (rows.def); a program's own rows are found first. Text is
 * checked where it is written: an unknown name or option, or a value out of range, is an error that
 * names the nearest. */
#include "nn/model.h"

#include "base/registry.h"

#include <string.h>

#define CJ__LOSS(name) extern const cj_loss cj_loss_##name;
#define CJ__METRIC(name) extern const cj_metric cj_metric_##name;
#define CJ__OPTIMIZER(name) extern const cj_optimizer cj_optimizer_##name;
#define CJ__SCHEDULE(name) extern const cj_schedule cj_schedule_##name;
#define CJ__INITIALIZER(name) extern const cj_initializer cj_initializer_##name;
#define CJ__REGULARIZER(name) extern const cj_regularizer cj_regularizer_##name;
#define CJ__CONSTRAINT(name) extern const cj_constraint cj_constraint_##name;
#define CJ__ACTIVATION(name) extern const cj_activation_row cj_activation_##name;
#define CJ__LAYER(name) extern const cj_layer cj_layers_##name;
#define CJ__NETWORK(name) extern const cj_network cj_network_##name;
#include "nn/rows.def"

static const void *const losses[] = {
#define CJ__LOSS(name) &cj_loss_##name,
#include "nn/rows.def"
    NULL};
static const void *const metrics[] = {
#define CJ__METRIC(name) &cj_metric_##name,
#include "nn/rows.def"
    NULL};
static const void *const optimizers[] = {
#define CJ__OPTIMIZER(name) &cj_optimizer_##name,
#include "nn/rows.def"
    NULL};
static const void *const schedules[] = {
#define CJ__SCHEDULE(name) &cj_schedule_##name,
#include "nn/rows.def"
    NULL};
static const void *const initializers[] = {
#define CJ__INITIALIZER(name) &cj_initializer_##name,
#include "nn/rows.def"
    NULL};
static const void *const constraints[] = {
#define CJ__CONSTRAINT(name) &cj_constraint_##name,
#include "nn/rows.def"
    NULL};
static const void *const regularizers[] = {
#define CJ__REGULARIZER(name) &cj_regularizer_##name,
#include "nn/rows.def"
    NULL};
static const void *const activations[] = {
#define CJ__ACTIVATION(name) &cj_activation_##name,
#include "nn/rows.def"
    NULL};

static const void *const networks[] = {
#define CJ__NETWORK(name) &cj_network_##name,
#include "nn/rows.def"
    NULL};

static const void *const layers[] = {
#define CJ__LAYER(name) &cj_layers_##name,
#include "nn/rows.def"
    NULL};

/* How rows of these kinds begin. */
typedef struct head {
    const char *name, *doc, *aliases;
} head;

/* What stands behind `name` among a row's aliases: a comma or the end, or the options that come
 * with it, "(from_logits=true), ..."; NULL: it is none of them. */
static const char *behind_alias(const head *row, const char *name)
{
    const size_t length = strlen(name);
    const char *why, *end;
    if (!length || strpbrk(name, ", (")) return NULL;
    for (const char *p = row->aliases; p && *p; p = *end ? end + 1 : end) {
        p += strspn(p, " ");
        if (!(end = cj__option_item_end(p, &why))) return NULL;
        if (!strncmp(p, name, length) && (p + length == end || p[length] == '('))
            return p + length;
    }
    return NULL;
}

static const void *find_quiet(cj_context *cj, cj__row_kind kind, const void *const *list,
                              const char *name)
{
    const head *row = cj__find_quiet(cj, kind, list, name);
    for (int i = 0; !row && name; i++) {
        const head *other = cj__row_at(cj, kind, list, i);
        if (!other) break;
        if (behind_alias(other, name)) row = other;
    }
    return row;
}

static const void *find(cj_context *cj, cj__row_kind kind, const void *const *list,
                        const char *what, const char *name)
{
    const void *row = find_quiet(cj, kind, list, name);
    return row ? row : cj__find(cj, kind, list, what, name);
}

/* A row that is not complete would be found by its name, and called. */
#define CJ__ROWS(kind, type, KIND, list, complete) \
    cj_status cj_##kind##_register(cj_context *cj, const type *row) \
    { \
        if (!row || !row->name || !row->name[0] || !(complete)) \
            return cj_fail(cj, CJ_ERR_ARGUMENT, \
                           "a " #kind " to register needs a name and its function"); \
        return cj__register(cj, CJ__ROW_##KIND, row); \
    } \
    const type *cj_##kind##_find(cj_context *cj, const char *name) \
    { \
        return find(cj, CJ__ROW_##KIND, list, #kind, name); \
    } \
    const type *cj_##kind##_at(cj_context *cj, int i) \
    { \
        return cj__row_at(cj, CJ__ROW_##KIND, list, i); \
    }

CJ__ROWS(layer, cj_layer, LAYER, layers, row->build)
CJ__ROWS(activation, cj_activation_row, ACTIVATION, activations, row->build)
CJ__ROWS(loss, cj_loss, LOSS, losses, row->build)
CJ__ROWS(metric, cj_metric, METRIC, metrics, row->build)
CJ__ROWS(optimizer, cj_optimizer, OPTIMIZER, optimizers, row->build || row->search)
CJ__ROWS(schedule, cj_schedule, SCHEDULE, schedules, row->rate)
CJ__ROWS(initializer, cj_initializer, INITIALIZER, initializers, row->fill)
CJ__ROWS(regularizer, cj_regularizer, REGULARIZER, regularizers, row->build)
CJ__ROWS(constraint, cj_constraint, CONSTRAINT, constraints, row->build)
CJ__ROWS(network, cj_network, NETWORK, networks, row->build)

typedef struct kind {
    const char *word;
    const void *const *list;
} kind;

/* Where each row type keeps its options: all begin {name, doc, ...}, so ask by kind. */
static bool options_of(int row_kind, const void *row, size_t *size, const cj_option **table,
                       kind *k)
{
#define CJ__CASE(KIND, type, what, rows)                                                           \
    case CJ__ROW_##KIND:                                                                           \
        *k = (kind){what, rows};                                                                   \
        if (row) *size = ((const type *)row)->options_size, *table = ((const type *)row)->options; \
        return true;
    switch (row_kind) {
        CJ__CASE(ACTIVATION, cj_activation_row, "activation", activations)
        CJ__CASE(LOSS, cj_loss, "loss", losses)
        CJ__CASE(METRIC, cj_metric, "metric", metrics)
        CJ__CASE(OPTIMIZER, cj_optimizer, "optimizer", optimizers)
        CJ__CASE(SCHEDULE, cj_schedule, "schedule", schedules)
        CJ__CASE(INITIALIZER, cj_initializer, "initializer", initializers)
        CJ__CASE(REGULARIZER, cj_regularizer, "regularizer", regularizers)
        CJ__CASE(CONSTRAINT, cj_constraint, "constraint", constraints)
        CJ__CASE(NETWORK, cj_network, "network", networks)
        CJ__CASE(LAYER, cj_layer, "layer", layers)
    }
    return false;
#undef CJ__CASE
}

bool cj__named_known(cj_context *cj, int row_kind, const char *name)
{
    kind k = {0};
    options_of(row_kind, NULL, NULL, NULL, &k);
    return find_quiet(cj, (cj__row_kind)row_kind, k.list, name) != NULL;
}

cj_status cj__named_parse(cj__arena *arena, cj_context *cj, int row_kind, const char *text,
                          cj__named *out)
{
    char *name;
    const char *rest;
    kind k = {0};
    size_t size = 0;
    const cj_option *table = NULL;
    options_of(row_kind, NULL, NULL, NULL, &k);
    *out = (cj__named){0};
    CJ__TRY(cj__options_parse_name(arena, text ? text : "", &name, &rest));
    const void *row = find(cj, (cj__row_kind)row_kind, k.list, k.word, name);
    if (!row) return cj_last_status(cj);
    options_of(row_kind, row, &size, &table, &k);
    out->row = row;
    static const cj_option no_options[] = {CJ_OPTION_END};
    if (!table) table = no_options;
    out->options = cj__arena_alloc(arena, size ? size : 1);
    if (!out->options) return cj_last_status(cj);
    cj__options_init(table, out->options);
    const head *h = row;
    const char *preset = strcmp(h->name, name) ? behind_alias(h, name) : NULL, *why;
    if (preset && *preset == '(') { /* its own options are written behind those of the alias */
        size_t length = (size_t)(cj__option_item_end(preset, &why) - preset);
        char *inside = cj__arena_alloc(arena, length);
        if (!inside) return cj_last_status(cj);
        memcpy(inside, preset + 1, length - 2);
        inside[length - 2] = 0;
        CJ__TRY(cj__options_parse(arena, name, table, out->options, inside));
    }
    CJ__TRY(cj__options_parse(arena, name, table, out->options, rest));
    return cj__options_check(cj, name, table, out->options);
}
