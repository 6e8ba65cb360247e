/* registry.c: the open tables: a caller's rows first, then the compiled-in ones.
 *
 * Rows are registered before work begins: the tables are shared with child contexts without a lock.
 */
#include "base/registry.h"

#include <string.h>

#include "base/text.h"

/* As many are looked at for "did you mean", and as many are listed. */
enum { NAMES_MAX = 512, NAMES_SHOWN = 16 };

static const char *row_name(const void *row)
{
    return ((const cj__row *)row)->name;
}

cj_status cj__register(cj_context *cj, cj__row_kind kind, const void *row)
{
    CJ_ASSERT(kind >= 0 && kind < CJ__ROW_KIND_COUNT);
    if (!row || !row_name(row) || !*row_name(row))
        return cj_fail(cj, CJ_ERR_ARGUMENT, "a row without a name cannot be registered");
    cj__rows *rows = &cj->registry->kinds[kind];
    for (int i = 0; i < rows->count; i++)
        if (!strcmp(row_name(rows->rows[i]), row_name(row)))
            return cj_fail(cj, CJ_ERR_EXISTS, "'%s' is registered already", row_name(row));
    if (rows->count == rows->capacity) {
        int more = rows->capacity ? rows->capacity * 2 : 8;
        const void **grown = cj__realloc(cj, rows->rows, (size_t)rows->capacity * sizeof *grown,
                                         (size_t)more * sizeof *grown);
        if (!grown) return cj->status;
        rows->rows = grown;
        rows->capacity = more;
    }
    rows->rows[rows->count++] = row;
    return CJ_OK;
}

void cj__registry_release(cj_context *cj)
{
    for (int kind = 0; kind < CJ__ROW_KIND_COUNT; kind++) {
        cj__rows *rows = &cj->registry->kinds[kind];
        cj__free(cj, rows->rows, (size_t)rows->capacity * sizeof *rows->rows);
        *rows = (cj__rows){0};
    }
}

const void *cj__row_at(cj_context *cj, cj__row_kind kind, const void *const *builtin, int i)
{
    const cj__rows *rows = &cj->registry->kinds[kind];
    if (i < 0) return NULL;
    if (i < rows->count) return rows->rows[i];
    if (!builtin) return NULL;
    i -= rows->count;
    for (int k = 0; builtin[k]; k++)
        if (k == i) return builtin[k];
    return NULL;
}

const void *cj__find_quiet(cj_context *cj, cj__row_kind kind, const void *const *builtin,
                           const char *name)
{
    const cj__rows *rows = &cj->registry->kinds[kind];
    if (!name) return NULL;
    for (int i = 0; i < rows->count; i++)
        if (!strcmp(row_name(rows->rows[i]), name)) return rows->rows[i];
    for (int i = 0; builtin && builtin[i]; i++)
        if (!strcmp(row_name(builtin[i]), name)) return builtin[i];
    return NULL;
}

const void *cj__find(cj_context *cj, cj__row_kind kind, const void *const *builtin,
                     const char *what, const char *name)
{
    const void *row = cj__find_quiet(cj, kind, builtin, name);
    if (row) return row;
    if (!name || !*name) {
        cj_fail(cj, CJ_ERR_ARGUMENT, "no name of a %s given", what);
        return NULL;
    }
    const cj__rows *rows = &cj->registry->kinds[kind];
    const char *names[NAMES_MAX + 1];
    int n = 0;
    for (int i = 0; i < rows->count && n < NAMES_MAX; i++) names[n++] = row_name(rows->rows[i]);
    for (int i = 0; builtin && builtin[i] && n < NAMES_MAX; i++) names[n++] = row_name(builtin[i]);
    names[n] = NULL;
    const char *nearest = cj__nearest(name, names);
    char all[512];
    cj__list_words(all, sizeof all, names, NAMES_SHOWN);
    if (nearest)
        cj_fail(cj, CJ_ERR_ARGUMENT, "unknown %s '%.100s' (did you mean '%s'?)", what, name,
                nearest);
    else if (n)
        cj_fail(cj, CJ_ERR_ARGUMENT, "unknown %s '%.100s' (there are: %s)", what, name, all);
    else cj_fail(cj, CJ_ERR_ARGUMENT, "unknown %s '%.100s'", what, name);
    return NULL;
}
