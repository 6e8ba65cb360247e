/* arrays.c: numpy's .npy and .npz become data sets.
 *
 * An array of samples alone is a .npy; an archive, or a folder of such files, names its arrays as
 * people do: x and y, X and y, data and target, or x_train, y_train, x_test, y_test as Keras's
 * files have it. Whole numbers in
 * one column are classes, other targets are numbers. */
#include <string.h>

#include <cajal/io.h>

#include "base/file.h"
#include "base/text.h"
#include "data/folder.h"
#include "data/format.h"

enum { CLASSES_MAX = 65536 };

/* The samples of a part, in memory or, streamed, in a file; and their targets. */
typedef struct pair {
    cj_tensor *x;     /* NULL: in the file */
    cj__samples file;
    cj_npy_info info; /* of the samples, wherever they are */
    cj_tensor *y;     /* NULL: no targets */
} pair;

static void release(pair *p)
{
    cj_tensor_free(p->x);
    cj_tensor_free(p->y);
    cj__samples_release(&p->file);
    *p = (pair){.x = NULL};
}

/* ---- Which arrays ---------------------------------------------------------------------------- */

/* Where arrays have names: an archive, or a folder of .npy files. */
typedef struct source {
    cj_context *cj;
    const char *path;
    cj_tensors *list; /* NULL: a folder */
    bool stream;
} source;

static const char *const samples[] = {"x", "X", "data", "images", "features", "inputs", NULL};
static const char *const targets[] = {"y", "Y", "target", "targets", "labels", "label", NULL};
enum { PATH_MAX_BYTES = 4096 };

static cj_status is_there(const source *s, const char *name, bool *found)
{
    char path[PATH_MAX_BYTES];
    cj_file_info info;
    *found = s->list && cj_tensors_find(s->list, name);
    if (s->list) return CJ_OK;
    cj__format(path, sizeof path, "%s/%s.npy", s->path, name);
    CJ__TRY(cj__file_info(s->cj, path, &info));
    *found = info.kind == CJ_FILE_REGULAR;
    return CJ_OK;
}

/* The first of the names that is there, with `suffix` behind it; "" when there is none. */
static cj_status find(const source *s, const char *const *names, const char *suffix, char name[64])
{
    bool found = false;
    for (int i = 0; names[i] && !found; i++) {
        cj__format(name, 64, "%s%s", names[i], suffix);
        CJ__TRY(is_there(s, name, &found));
    }
    if (!found) *name = 0;
    return CJ_OK;
}

static cj_status fail_names(const source *s, const char *wanted)
{
    char found[256] = "";
    const char *name;
    if (!s->list)
        return cj_fail(s->cj, CJ_ERR_NOT_FOUND, "%s: has no %s.npy", s->path, wanted);
    for (size_t i = 0; cj_tensors_at(s->list, i, &name); i++) {
        size_t n = strlen(found);
        cj__format(found + n, sizeof found - n, "%s%.60s", i ? ", " : "", name);
    }
    return cj_fail(s->cj, CJ_ERR_DATA, "%s: has no array %s; it has %s", s->path, wanted,
                   *found ? found : "none");
}

static cj_status check(cj_context *cj, const char *path, const pair *p)
{
    const int rank = p->info.rank;
    if (p->info.dtype == CJ_STRING || (p->y && cj_tensor_dtype(p->y) == CJ_STRING))
        return cj_fail(cj, CJ_ERR_UNSUPPORTED,
                       "%s: the %s are texts of 4 bytes a character, expected bytes as "
                       "x.astype('S') makes of them in numpy",
                       path, p->info.dtype == CJ_STRING ? "samples" : "targets");
    if (rank < 1 || rank > CJ_RANK_MAX - 1)
        return cj_fail(cj, CJ_ERR_DATA, "%s: the samples are of rank %d, expected 1 to %d", path,
                       rank, CJ_RANK_MAX - 1);
    if (!p->y) return CJ_OK;
    const int64_t n = p->info.shape[0];
    if (cj_tensor_rank(p->y) < 1 || cj_tensor_rank(p->y) > 2 || cj_tensor_shape(p->y)[0] != n)
        return cj_fail(
            cj, CJ_ERR_DATA,
            "%s: %lld samples, and targets of rank %d%s; one target a sample is expected", path,
            (long long)n, cj_tensor_rank(p->y), cj_tensor_rank(p->y) ? " and another length" : "");
    return CJ_OK;
}

/* The samples of a .npy file stay in it. */
static cj_status stream_file(cj_context *cj, const char *path, pair *p)
{
    CJ__TRY(cj_npy_look(cj, path, &p->info));
    if (!p->info.plain)
        return cj_fail(cj, CJ_ERR_UNSUPPORTED,
                       "%s: has its columns one after the other, or its bytes the other way round; "
                       "streaming needs rows as numpy.ascontiguousarray saves them",
                       path);
    p->file.at = p->info.offset;
    return cj__reader_open(&p->file.file, cj, path);
}

/* The array is p's samples, and p owns it. */
static cj_status hold(cj_context *cj, cj_tensor *x, pair *p)
{
    if (!x) return cj_last_status(cj);
    p->x = x;
    p->info = (cj_npy_info){.dtype = cj_tensor_dtype(x), .rank = cj_tensor_rank(x)};
    for (int i = 0; i < p->info.rank; i++) p->info.shape[i] = cj_tensor_shape(x)[i];
    return CJ_OK;
}

static cj_status load_file(cj_context *cj, const char *path, bool stream, pair *p)
{
    cj_tensor *x;
    if (stream) return stream_file(cj, path, p);
    CJ__TRY(cj_npy_load(cj, path, &x));
    return hold(cj, x, p);
}

/* The same elements, which outlive the list. */
static cj_tensor *share(const cj_tensors *list, const char *name)
{
    cj_tensor *t = cj_tensors_find(list, name);
    return cj_tensor_reshape(t, cj_tensor_rank(t), cj_tensor_shape(t));
}

/* One part; `suffix` is "", "_train" or "_test". */
static cj_status take(const source *s, const char *suffix, bool no_target, pair *p)
{
    char x[64], y[64] = "", path[PATH_MAX_BYTES];
    CJ__TRY(find(s, samples, suffix, x));
    if (!no_target) CJ__TRY(find(s, targets, suffix, y));
    if (!*x) {
        cj__format(x, sizeof x, "x%s", suffix);
        return fail_names(s, x);
    }
    if (s->list) {
        CJ__TRY(hold(s->cj, share(s->list, x), p));
        if (*y && !(p->y = share(s->list, y))) return cj_last_status(s->cj);
    } else {
        cj__format(path, sizeof path, "%s/%s.npy", s->path, x);
        CJ__TRY(load_file(s->cj, path, s->stream, p));
        cj__format(path, sizeof path, "%s/%s.npy", s->path, y);
        if (*y) CJ__TRY(cj_npy_load(s->cj, path, &p->y));
    }
    return check(s->cj, s->path, p);
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
/* What the samples are called and how they are shaped: grey pictures get their channel, vectors of
 * numbers stay, a list becomes vectors of one. */
static cj_field field_of(const cj_npy_info *x)
{
    cj_field field = {.name = "x", .dtype = x->dtype, .role = CJ_FIELD_INPUT};
    const bool bytes = x->dtype == CJ_U8, widen = x->rank == 1 || (x->rank == 3 && bytes);
    for (int i = 1; i < x->rank; i++) field.shape[field.rank++] = x->shape[i];
    if (widen) field.shape[field.rank++] = 1;
    if (x->rank >= 3 && bytes) field.name = "image";
    return field;
}

/* p->y as the field says. */
static cj_tensor *target_of(const pair *p, const cj_field *field)
{
    const int64_t shape[2] = {cj_tensor_shape(p->y)[0], field->shape[0]};
    cj_tensor *typed = cj_tensor_cast(p->y, field->dtype),
              *y = typed ? cj_tensor_reshape(typed, 1 + field->rank, shape) : NULL;
    cj_tensor_free(typed);
    return y;
}

/* Takes the pair, on failure too. */
static cj_dataset *dataset_of(cj_context *cj, const char *path, pair *p,
                              const cj_dataset_opts *opts)
{
    cj_field fields[2] = {field_of(&p->info),
                          {.name = "target", .dtype = CJ_F32, .rank = 1, .role = CJ_FIELD_TARGET}};
    cj__samples parts[2] = {{.tensor = NULL}, {.tensor = NULL}};
    const int n_fields = p->y ? 2 : 1;
    int64_t count = p->info.shape[0];
    int classes = 0;
    if (opts->limit > 0 && opts->limit < count) count = opts->limit;
    if ((p->x && cj__samples_cut(cj, &p->x, count)) || cj__samples_cut(cj, &p->y, count) ||
        (p->y && count_classes(cj, path, p->y, opts->classes, &classes)))
        goto out;
    if (classes)
        fields[1] = (cj_field){.name = "label",
                               .dtype = CJ_I32,
                               .role = CJ_FIELD_TARGET,
                               .classes = classes,
                               .class_names = opts->class_names};
    else if (p->y) fields[1].shape[0] = cj_tensor_rank(p->y) == 2 ? cj_tensor_shape(p->y)[1] : 1;
    if (p->y && !(parts[1].tensor = target_of(p, &fields[1]))) goto out;
    int64_t full[CJ_RANK_MAX] = {count};
    for (int i = 0; i < fields[0].rank; i++) full[i + 1] = fields[0].shape[i];
    if (p->x && !(parts[0].tensor = cj_tensor_reshape(p->x, fields[0].rank + 1, full))) goto out;
    if (!p->x) {
        parts[0] = p->file;
        p->file = (cj__samples){.tensor = NULL};
    }
    release(p);
    return cj__dataset_of_samples(cj, path, count, n_fields, fields, parts);
out:
    cj__samples_release(&parts[1]);
    release(p);
    return NULL;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* The classes of a part count those of the other, which may have more; 0: they are not known. */
static cj_status count_all(const source *s, const pair *part, const char *other, int *classes)
{
    char name[64], path[PATH_MAX_BYTES];
    cj_tensor *y = NULL;
    int more = 0;
    CJ__TRY(count_classes(s->cj, s->path, part->y, 0, classes));
    CJ__TRY(find(s, targets, other, name));
    if (!*classes || !*name) return CJ_OK;
    cj__format(path, sizeof path, "%s/%s.npy", s->path, name);
    if (s->list && !(y = share(s->list, name))) return cj_last_status(s->cj);
    if (!s->list) CJ__TRY(cj_npy_load(s->cj, path, &y));
    cj_status failed = cj_tensor_rank(y) < 1 ? CJ_OK
                                             : count_classes(s->cj, s->path, y, 0, &more);
    cj_tensor_free(y);
    if (more > *classes) *classes = more;
    return failed;
}

static cj_dataset *open_parts(const source *s, const cj_dataset_opts *opts)
{
    const char *split = opts->split ? opts->split : "train";
    char test_name[64], train_name[64];
    pair p = {.x = NULL}, q = {.x = NULL};
    cj_dataset *ds = NULL;
    if (find(s, samples, "_train", train_name) || find(s, samples, "_test", test_name)) return NULL;
    if (!strcmp(split, "auto")) split = *test_name ? "test" : "train";
    const bool train = strcmp(split, "test") != 0, test = strcmp(split, "train") != 0,
               parts = *train_name || *test_name;
    cj_status failed = CJ_OK;
    if (!parts && !train) failed = fail_names(s, "x_test");
    else failed = take(s, !parts ? "" : train ? "_train" : "_test", opts->no_target, &p);
    if (!failed && parts && train && test) failed = take(s, "_test", opts->no_target, &q);
    cj_dataset_opts o = *opts;
    if (!failed && parts && p.y && !o.classes)
        failed = count_all(s, &p, train ? "_test" : "_train", &o.classes);
    if (!failed) ds = dataset_of(s->cj, s->path, &p, &o);
    if (!failed && parts && train && test)
        ds = cj__dataset_join(ds, dataset_of(s->cj, s->path, &q, &o), opts->limit);
    release(&p);
    release(&q);
    return ds;
}

static cj_status check_options(cj_context *cj, const char *path, const cj_dataset_opts *opts)
{
    if (!opts->target && !opts->types && !opts->drop && !opts->columns && !opts->header &&
        !opts->delimiter && !opts->weight && !opts->widths && !opts->pictures)
        return CJ_OK;
    return cj_fail(cj, CJ_ERR_ARGUMENT,
                   "%s: target, types, drop, header, delimiter, weight, widths, pictures are for "
                   "tables; this has arrays",
                   path);
}

/* A folder of .npy files whose names are known. */
static cj_status look(cj_context *cj, const char *folder, const cj_dataset_opts *opts, bool *found)
{
    (void)opts;
    static const char *const suffixes[3] = {"", "_train", "_test"};
    const source s = {.cj = cj, .path = folder};
    char name[64] = "";
    for (int i = 0; i < 3 && !*name; i++) CJ__TRY(find(&s, samples, suffixes[i], name));
    *found = *name;
    return CJ_OK;
}

static cj_dataset *open_arrays(cj_context *cj, const char *folder, const cj_dataset_opts *opts)
{
    const source s = {.cj = cj, .path = folder, .stream = opts->stream};
    return check_options(cj, folder, opts) ? NULL : open_parts(&s, opts);
}

static cj_dataset *open_archive(cj_context *cj, const char *path, const cj_dataset_opts *opts)
{
    source s = {.cj = cj, .path = path};
    if (opts->stream) {
        cj_fail(cj, CJ_ERR_UNSUPPORTED,
                "%s: an archive cannot be streamed; a folder of .npy files can (unzip it)", path);
        return NULL;
    }
    if (cj_npz_load(cj, path, &s.list)) return NULL;
    cj_dataset *ds = open_parts(&s, opts);
    cj_tensors_free(s.list);
    return ds;
}

cj_dataset *cj__arrays_open(cj_context *cj, const char *path, const cj_dataset_opts *opts)
{
    pair p = {.x = NULL};
    if (check_options(cj, path, opts)) return NULL;
    if (cj__format_for(cj, path, opts) == &cj__format_npz) return open_archive(cj, path, opts);
    if (opts->split && !strcmp(opts->split, "test")) {
        cj_fail(cj, CJ_ERR_NOT_FOUND, "%s: has one part, split=test is none", path);
        return NULL;
    }
    if (!load_file(cj, path, opts->stream, &p) && !check(cj, path, &p))
        return dataset_of(cj, path, &p, opts);
    release(&p);
    return NULL;
}

const cj__file_format cj__format_npy = {
    .row = {.name = "npy", .suffixes = ".npy", .doc = "an array of numpy: samples without targets"},
    .open = cj__arrays_open};
const cj__file_format cj__format_npz = {
    .row = {.name = "npz",
            .suffixes = ".npz",
            .doc = "arrays of numpy: x and y, or x_train, y_train, x_test, y_test"},
    .knows_auto = true,
    .open = cj__arrays_open};

const cj__folder_kind cj__folder_arrays = {
    .row = {.name = "arrays",
            .doc = "arrays of numpy: samples, and targets beside them",
            .files = "x.npy, y.npy; or x_train.npy, y_train.npy, x_test.npy, y_test.npy"},
    .knows_auto = true,
    .look = look,
    .open = open_arrays};
