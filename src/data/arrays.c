/* arrays.c: numpy's .npy and .npz become data sets.
 *
 * An array of samples alone is a .npy; an archive names its arrays as people do: x and y, X and y,
 * data and target, or x_train, y_train, x_test, y_test as Keras's files have it. Whole numbers in
 * one column are classes, other targets are numbers. */
#include <string.h>

#include <cajal/io.h>

#include "base/text.h"
#include "data/dataset.h"

enum { CLASSES_MAX = 65536 };

typedef struct pair {
    cj_tensor *x, *y; /* y NULL: no targets */
} pair;

static void release(pair *p)
{
    cj_tensor_free(p->x);
    cj_tensor_free(p->y);
    *p = (pair){NULL, NULL};
}

/* ---- Which arrays ---------------------------------------------------------------------------- */

static const char *const samples[] = {"x", "X", "data", "images", "features", "inputs", NULL};
static const char *const targets[] = {"y", "Y", "target", "targets", "labels", "label", NULL};

/* The first that is there, with `suffix` behind the name. */
static cj_tensor *find(const cj_tensors *list, const char *const *names, const char *suffix)
{
    char name[64];
    cj_tensor *t = NULL;
    for (int i = 0; names[i] && !t; i++) {
        cj__format(name, sizeof name, "%s%s", names[i], suffix);
        t = cj_tensors_find(list, name);
    }
    return t;
}

static cj_status fail_names(cj_context *cj, const char *path, const cj_tensors *list,
                            const char *wanted)
{
    char found[256] = "";
    const char *name;
    for (size_t i = 0; cj_tensors_at(list, i, &name); i++) {
        size_t n = strlen(found);
        cj__format(found + n, sizeof found - n, "%s%.60s", i ? ", " : "", name);
    }
    return cj_fail(cj, CJ_ERR_DATA, "%s: has no array %s; it has %s", path, wanted,
                   *found ? found : "none");
}

static cj_status check(cj_context *cj, const char *path, const pair *p)
{
    const int rank = cj_tensor_rank(p->x);
    if (rank < 1 || rank > CJ_RANK_MAX - 1)
        return cj_fail(cj, CJ_ERR_DATA, "%s: the samples are of rank %d, expected 1 to %d", path,
                       rank, CJ_RANK_MAX - 1);
    if (!p->y) return CJ_OK;
    const int64_t n = cj_tensor_shape(p->x)[0];
    if (cj_tensor_rank(p->y) < 1 || cj_tensor_rank(p->y) > 2 || cj_tensor_shape(p->y)[0] != n)
        return cj_fail(
            cj, CJ_ERR_DATA,
            "%s: %lld samples, and targets of rank %d%s; one target a sample is expected", path,
            (long long)n, cj_tensor_rank(p->y), cj_tensor_rank(p->y) ? " and another length" : "");
    return CJ_OK;
}

/* The same elements, which outlive the list. */
static cj_tensor *share(cj_tensor *t)
{
    return cj_tensor_reshape(t, cj_tensor_rank(t), cj_tensor_shape(t));
}

/* One part of an archive; `suffix` is "", "_train" or "_test". */
static cj_status take(cj_context *cj, const char *path, const cj_tensors *list, const char *suffix,
                      bool no_target, pair *p)
{
    char wanted[64];
    cj_tensor *x = find(list, samples, suffix);
    cj_tensor *y = no_target ? NULL : find(list, targets, suffix);
    cj__format(wanted, sizeof wanted, "x%s", suffix);
    if (!x) return fail_names(cj, path, list, wanted);
    p->x = share(x);
    p->y = y ? share(y) : NULL;
    if (!p->x || (y && !p->y)) return cj_last_status(cj);
    return check(cj, path, p);
}

/* ---- Fields ---------------------------------------------------------------------------------- */

/* The number of classes of whole numbers in one column, *classes; 0: the targets are numbers. */
static cj_status count_classes(cj_context *cj, const char *path, const cj_tensor *y, int wanted,
                               int *classes)
{
    const cj_dtype_kind kind = cj_dtype_info(cj_tensor_dtype(y))->kind;
    const void *values = cj_tensor_map_read(y);
    const int64_t n = cj_tensor_shape(y)[0];
    *classes = 0;
    if (kind == CJ_KIND_FLOAT || cj_tensor_count(y) != n) return CJ_OK;
    int64_t most = 1;
    for (int64_t i = 0; i < n; i++) {
        const int64_t label = cj_load_i64(cj_tensor_dtype(y), values, (size_t)i);
        if (label < 0 || label >= (wanted ? wanted : CLASSES_MAX))
            return cj_fail(cj, CJ_ERR_DATA,
                           "%s: label out of range: label %lld is %lld; with %d classes it must be "
                           "0 to %d",
                           path, (long long)i, (long long)label, wanted ? wanted : CLASSES_MAX,
                           (wanted ? wanted : CLASSES_MAX) - 1);
        if (label > most) most = label;
    }
    *classes = wanted ? wanted : (int)most + 1;
    return CJ_OK;
}

/* Takes the pair, on failure too. */
static cj_dataset *dataset_of(cj_context *cj, const char *path, pair *p,
                              const cj_dataset_opts *opts)
{
    cj_field fields[2] = {{.name = "x", .role = CJ_FIELD_INPUT},
                          {.name = "target", .dtype = CJ_F32, .role = CJ_FIELD_TARGET}};
    cj_tensor *tensors[2] = {NULL, NULL};
    int classes = 0;
    if (cj__samples_cut(cj, &p->x, opts->limit) || cj__samples_cut(cj, &p->y, opts->limit) ||
        (p->y && count_classes(cj, path, p->y, opts->classes, &classes)))
        goto out;
    const int rank = cj_tensor_rank(p->x);
    const int64_t *shape = cj_tensor_shape(p->x), n = shape[0];
    /* Grey pictures get their channel, vectors of numbers stay, a list becomes vectors of one. */
    const bool widen = rank == 1 || (rank == 3 && cj_tensor_dtype(p->x) == CJ_U8);
    fields[0].dtype = cj_tensor_dtype(p->x);
    for (int i = 1; i < rank; i++) fields[0].shape[fields[0].rank++] = shape[i];
    if (widen) fields[0].shape[fields[0].rank++] = 1;
    if (rank >= 3 && cj_tensor_dtype(p->x) == CJ_U8) fields[0].name = "image";
    if (classes) {
        fields[1] = (cj_field){.name = "label",
                               .dtype = CJ_I32,
                               .role = CJ_FIELD_TARGET,
                               .classes = classes,
                               .class_names = opts->class_names};
    } else if (p->y) {
        fields[1].rank = 1;
        fields[1].shape[0] = cj_tensor_rank(p->y) == 2 ? cj_tensor_shape(p->y)[1] : 1;
    }
    int64_t full[CJ_RANK_MAX] = {n}, target[2] = {n, fields[1].shape[0]};
    for (int i = 0; i < fields[0].rank; i++) full[i + 1] = fields[0].shape[i];
    tensors[0] = cj_tensor_reshape(p->x, fields[0].rank + 1, full);
    if (p->y) {
        cj_tensor *typed = cj_tensor_cast(p->y, fields[1].dtype);
        tensors[1] = typed ? cj_tensor_reshape(typed, classes ? 1 : 2, target) : NULL;
        cj_tensor_free(typed);
    }
out:
    if (!tensors[0] || (p->y && !tensors[1])) {
        cj_tensor_free(tensors[0]);
        cj_tensor_free(tensors[1]);
        release(p);
        return NULL;
    }
    const int n_fields = tensors[1] ? 2 : 1;
    const int64_t count = cj_tensor_shape(tensors[0])[0];
    release(p);
    return cj__dataset_of_tensors(cj, path, count, n_fields, fields, tensors);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static cj_status load_npz(cj_context *cj, const char *path, const cj_dataset_opts *opts, pair *p)
{
    const char *split = opts->split ? opts->split : "train";
    cj_tensors *list;
    pair q = {NULL, NULL};
    CJ__TRY(cj_npz_load(cj, path, &list));
    if (!strcmp(split, "auto")) split = find(list, samples, "_test") ? "test" : "train";
    const bool train = strcmp(split, "test") != 0, test = strcmp(split, "train") != 0;
    cj_status failed = CJ_OK;
    if (find(list, samples, "_train") || find(list, samples, "_test")) {
        failed = take(cj, path, list, train ? "_train" : "_test", opts->no_target, p);
        if (!failed && train && test) failed = take(cj, path, list, "_test", opts->no_target, &q);
        if (!failed && q.x) failed = cj__samples_join(cj, path, &p->x, q.x);
        if (!failed && q.y && p->y) failed = cj__samples_join(cj, path, &p->y, q.y);
    } else if (!train) {
        failed = fail_names(cj, path, list, "x_test");
    } else {
        failed = take(cj, path, list, "", opts->no_target, p);
    }
    release(&q);
    cj_tensors_free(list);
    return failed;
}

cj_dataset *cj__arrays_open(cj_context *cj, const char *path, const cj_dataset_opts *opts)
{
    const size_t length = strlen(path);
    pair p = {NULL, NULL};
    cj_status failed = CJ_OK;
    if (opts->target || opts->types || opts->drop || opts->columns || opts->header ||
        opts->delimiter)
        failed = cj_fail(cj, CJ_ERR_ARGUMENT,
                         "%s: target, types, drop, header, delimiter are for tables; this has "
                         "arrays",
                         path);
    else if (length > 4 && !strcmp(path + length - 4, ".npz"))
        failed = load_npz(cj, path, opts, &p);
    else if (opts->split && !strcmp(opts->split, "test"))
        failed = cj_fail(cj, CJ_ERR_NOT_FOUND, "%s: has one part, split=test is none", path);
    else if (!(failed = cj_npy_load(cj, path, &p.x)))
        failed = check(cj, path, &p);
    if (!failed) return dataset_of(cj, path, &p, opts);
    release(&p);
    return NULL;
}
