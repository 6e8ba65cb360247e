/* concatenate.c: several data sets as one, whose samples are those of the first, of the second, and
 * so on; nothing is copied. */
#include "data/dataset.h"

#include <string.h>

typedef struct joined {
    cj_context *cj;
    int n;
    cj_dataset **parts;
    int64_t *starts; /* [n + 1] number of the first sample of each part */
} joined;

/* ---- Do they fit together? ------------------------------------------------------------------- */

static bool same_texts(const char *const *a, const char *const *b, int n)
{
    if (!a || !b) return a == b;
    for (int i = 0; i < n; i++)
        if (strcmp(a[i], b[i]) != 0) return false;
    return true;
}

static bool same_columns(const cj_field *a, const cj_field *b)
{
    if (a->columns != b->columns) return false;
    for (int i = 0; i < a->columns; i++) {
        const cj_column *x = &a->column_info[i], *y = &b->column_info[i];
        if (strcmp(x->name, y->name) != 0 || x->kind != y->kind || x->categories != y->categories ||
            !same_texts(x->category_names, y->category_names, x->categories))
            return false;
    }
    return true;
}

/* What is different, in a word; NULL: nothing. */
static const char *difference(const cj_field *a, const cj_field *b)
{
    if (strcmp(a->name, b->name) != 0) return "names";
    if (a->role != b->role) return "roles";
    if (a->kind != b->kind) return "kinds";
    if (a->dtype != b->dtype) return "types";
    if (a->rank != b->rank || memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) != 0)
        return "shapes";
    if (a->classes != b->classes || !same_texts(a->class_names, b->class_names, a->classes))
        return "classes";
    return same_columns(a, b) ? NULL : "columns";
}

static cj_status check(cj_context *cj, cj_dataset *const *parts, int n)
{
    for (int i = 1; i < n; i++) {
        const int fields = cj_dataset_fields(parts[0]);
        if (parts[i]->cj != cj)
            return cj_fail(cj, CJ_ERR_ARGUMENT, "concatenate: part %d is of another context", i);
        if (cj_dataset_fields(parts[i]) != fields)
            return cj_fail(cj, CJ_ERR_SHAPE, "concatenate: %s has %d fields, and %s %d",
                           cj_dataset_name(parts[i]), cj_dataset_fields(parts[i]),
                           cj_dataset_name(parts[0]), fields);
        for (int k = 0; k < fields; k++) {
            const cj_field *a = cj_dataset_field(parts[0], k), *b = cj_dataset_field(parts[i], k);
            const char *what = difference(a, b);
            if (what)
                return cj_fail(cj, CJ_ERR_SHAPE,
                               "concatenate: field '%s' of %s and field '%s' of %s have different "
                               "%s",
                               a->name, cj_dataset_name(parts[0]), b->name,
                               cj_dataset_name(parts[i]), what);
        }
    }
    return CJ_OK;
}

/* ---- The data set ---------------------------------------------------------------------------- */

static int part_of(const joined *j, int64_t sample)
{
    int low = 0, high = j->n; /* starts[low] <= sample < starts[high] */
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        if (j->starts[middle] <= sample) low = middle;
        else high = middle;
    }
    return low;
}

static cj_status read_samples(cj_context *cj, void *user, const int64_t *indices, int64_t n,
                              int field, void *out)
{
    enum { CHUNK = 256 };
    const joined *j = user;
    const size_t size = cj__dataset_root(j->parts[0])->item_bytes[field];
    int64_t own[CHUNK];
    for (int64_t i = 0; i < n;) {
        const int part = part_of(j, indices[i]);
        const int64_t first = j->starts[part], end = j->starts[part + 1], from = i;
        int64_t run = 0;
        for (; i < n && run < CHUNK && indices[i] >= first && indices[i] < end; i++)
            own[run++] = indices[i] - first;
        CJ__TRY(cj__dataset_read(cj, j->parts[part], own, run, field,
                                 (char *)out + (size_t)from * size));
    }
    return CJ_OK;
}

static void release(void *user)
{
    joined *j = user;
    for (int i = 0; i < j->n; i++) cj__dataset_unref(j->parts[i]);
    cj__free(j->cj, j->parts, (size_t)j->n * sizeof *j->parts);
    cj__free(j->cj, j->starts, ((size_t)j->n + 1) * sizeof *j->starts);
    cj__free(j->cj, j, sizeof *j);
}

static joined *make(cj_context *cj, cj_dataset *const *parts, int n)
{
    joined *j = cj__alloc(cj, sizeof *j);
    cj_dataset **list = j ? cj__alloc(cj, (size_t)n * sizeof *list) : NULL;
    int64_t *starts = list ? cj__alloc(cj, ((size_t)n + 1) * sizeof *starts) : NULL;
    if (!starts) {
        if (list) cj__free(cj, list, (size_t)n * sizeof *list);
        if (j) cj__free(cj, j, sizeof *j);
        return NULL;
    }
    *j = (joined){.cj = cj, .n = n, .parts = list, .starts = starts};
    starts[0] = 0;
    for (int i = 0; i < n; i++) {
        list[i] = parts[i];
        cj__dataset_ref(parts[i]);
        starts[i + 1] = starts[i] + parts[i]->count;
    }
    return j;
}

cj_dataset *cj_dataset_concatenate(cj_dataset *const *parts, int n)
{
    enum { PARTS_MAX = 1 << 20 };
    for (int i = 0; i < n; i++)
        if (!parts[i]) return NULL;
    if (n < 1) return NULL;
    cj_context *cj = parts[0]->cj;
    if (n > PARTS_MAX) {
        cj_fail(cj, CJ_ERR_LIMIT, "concatenate: %d data sets; at most %d are possible", n,
                PARTS_MAX);
        return NULL;
    }
    joined *j = check(cj, parts, n) ? NULL : make(cj, parts, n);
    if (!j) return NULL;
    const cj_dataset *first = cj__dataset_root(parts[0]);
    const cj_dataset_source source = {.name = first->name,
                                      .count = j->starts[n],
                                      .field_count = first->field_count,
                                      .fields = first->fields,
                                      .read = read_samples,
                                      .user = j,
                                      .free = release};
    cj_dataset *ds = cj_dataset_new(cj, &source);
    if (!ds) release(j);
    return ds;
}

cj_dataset *cj__dataset_join(cj_dataset *a, cj_dataset *b, int64_t limit)
{
    cj_dataset *both = cj_dataset_concatenate((cj_dataset *[]){a, b}, 2), *ds = both;
    if (!both && a && b && cj_last_status(a->cj) == CJ_ERR_SHAPE)
        cj_fail(a->cj, CJ_ERR_SHAPE, "%s: training and test samples are of different kinds",
                cj_dataset_name(a));
    if (both && limit > 0 && limit < both->count) {
        ds = cj_dataset_take(both, 0, limit);
        cj_dataset_free(both);
    }
    cj_dataset_free(a);
    cj_dataset_free(b);
    return ds;
}
