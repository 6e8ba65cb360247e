/* dataset.c: samples with named fields, and views of them.
 *
 * A root has each field as one array [count, shape...], so reading is one memcpy a sample, or one
 * read of the file that the array lies in:
 *
 *     samples[0]  image | 784 bytes | 784 bytes | 784 bytes | ...     out <- sample 7, sample 2 ...
 *     samples[1]  label |  4 bytes  |  4 bytes  |  4 bytes  | ...
 *
 * or it has a callback that writes samples. A view is a list of numbers of its root's samples.
 * Nothing of either changes once it is made, so any number of threads read at once; the reference
 * counts belong to the context's thread. */
#include "data/dataset.h"

#include <string.h>

#include "base/size.h"
#include "base/text.h"

enum { READ_CHUNK = 256 };

const cj_dataset *cj__dataset_root(const cj_dataset *ds)
{
    return ds->root ? ds->root : ds;
}

void cj__dataset_ref(cj_dataset *ds)
{
    ds->references++;
}

void cj__samples_release(cj__samples *s)
{
    if (s->memory) cj_tensor_unmap(s->tensor);
    cj_tensor_free(s->tensor);
    cj__reader_close(&s->file);
    *s = (cj__samples){0};
}

static void release_root(cj_dataset *ds)
{
    for (int i = 0; ds->samples && i < ds->field_count; i++) cj__samples_release(&ds->samples[i]);
    if (ds->source.free) ds->source.free(ds->source.user);
    cj__arena_release(&ds->arena);
}

void cj__dataset_unref(cj_dataset *ds)
{
    while (ds && --ds->references == 0) {
        cj_dataset *root = ds->root;
        if (root) cj__free(ds->cj, ds->indices, (size_t)ds->count * sizeof *ds->indices);
        else release_root(ds);
        cj__free(ds->cj, ds, sizeof *ds);
        ds = root;
    }
}

static void free_owned(cj__owned *object)
{
    cj__dataset_unref((cj_dataset *)object);
}

void cj_dataset_free(cj_dataset *ds)
{
    if (!ds) return;
    cj__disown(&ds->owned);
    cj__dataset_unref(ds);
}

/* ---- Making ---------------------------------------------------------------------------------- */

static cj_dataset *new_root(cj_context *cj, const char *name, int64_t count, int field_count,
                            const cj_field *fields)
{
    if (count < 0) {
        cj_fail(cj, CJ_ERR_ARGUMENT, "data set: count=%lld is negative", (long long)count);
        return NULL;
    }
    cj_dataset *ds = cj__alloc(cj, sizeof *ds);
    if (!ds) return NULL;
    ds->cj = cj;
    ds->references = 1;
    ds->count = count;
    cj__arena_init(&ds->arena, cj);
    ds->name = cj__arena_strdup(&ds->arena, name ? name : "");
    if (!ds->name || cj__fields_copy(ds, field_count, fields)) {
        cj__dataset_unref(ds);
        return NULL;
    }
    return ds;
}

cj_dataset *cj_dataset_new(cj_context *cj, const cj_dataset_source *source)
{
    if (!source || !source->read) {
        cj_fail(cj, CJ_ERR_ARGUMENT, "data set: there is no function that reads samples");
        return NULL;
    }
    cj_dataset *ds = new_root(cj, source->name, source->count, source->field_count, source->fields);
    if (!ds) return NULL;
    ds->source = *source;
    ds->source.name = NULL;
    ds->source.fields = NULL; /* the caller's memory: ours is the copy */
    cj__own(cj, &ds->owned, free_owned);
    return ds;
}

cj_dataset *cj__dataset_of_samples(cj_context *cj, const char *name, int64_t count, int field_count,
                                   const cj_field *fields, cj__samples *samples)
{
    cj_dataset *ds = new_root(cj, name, count, field_count, fields);
    cj__samples *kept = ds ? cj__arena_array(&ds->arena, (size_t)field_count, sizeof *kept) : NULL;
    if (!kept) {
        for (int i = 0; i < field_count; i++) cj__samples_release(&samples[i]);
        cj__dataset_unref(ds);
        return NULL;
    }
    memcpy(kept, samples, (size_t)field_count * sizeof *kept);
    for (int i = 0; i < field_count; i++)
        if (kept[i].tensor) kept[i].memory = cj_tensor_map_read(kept[i].tensor);
    ds->samples = kept;
    cj__own(cj, &ds->owned, free_owned);
    return ds;
}

/* The smallest number of classes that holds every label, 0 when one is negative or there are too
 * many. */
static int classes_of(const cj_tensor *t)
{
    const void *labels = cj_tensor_map_read(t);
    int64_t n = cj_tensor_count(t), largest = -1;
    bool possible = true;
    for (int64_t i = 0; i < n && possible; i++) {
        int64_t label = cj_load_i64(cj_tensor_dtype(t), labels, (size_t)i);
        possible = label >= 0 && label < CJ__CLASSES_MAX;
        if (label > largest) largest = label;
    }
    cj_tensor_unmap(t);
    return possible ? (int)(largest + 1) : 0;
}

static cj_field field_of(const cj_tensor *t, cj_field_role role)
{
    cj_field field = {.dtype = cj_tensor_dtype(t), .rank = cj_tensor_rank(t) - 1, .role = role};
    for (int d = 0; d < field.rank; d++) field.shape[d] = cj_tensor_shape(t)[d + 1];
    if (role == CJ_FIELD_INPUT) {
        field.name = field.rank == 3 ? "image" : "features";
    } else {
        bool label = field.rank == 0 && cj__is_integer(field.dtype);
        field.name = label ? "label" : "target";
        if (label) field.classes = classes_of(t);
    }
    return field;
}

cj_dataset *cj_dataset_from_tensors(cj_context *cj, cj_tensor *inputs, cj_tensor *targets)
{
    if (!inputs || cj_tensor_rank(inputs) < 1 || (targets && cj_tensor_rank(targets) < 1)) {
        cj_fail(cj, CJ_ERR_SHAPE, "data set: inputs and targets need a first axis, the samples");
        return NULL;
    }
    int64_t count = cj_tensor_shape(inputs)[0];
    if (targets && cj_tensor_shape(targets)[0] != count) {
        cj_fail(cj, CJ_ERR_SHAPE, "data set: %lld inputs but %lld targets", (long long)count,
                (long long)cj_tensor_shape(targets)[0]);
        return NULL;
    }
    int n = targets ? 2 : 1;
    cj__samples views[2] = {{.tensor = cj_tensor_rows(inputs, 0, count)},
                            {.tensor = targets ? cj_tensor_rows(targets, 0, count) : NULL}};
    if (!views[0].tensor || (targets && !views[1].tensor)) {
        cj_tensor_free(views[0].tensor);
        cj_tensor_free(views[1].tensor);
        return NULL;
    }
    cj_field fields[2] = {field_of(inputs, CJ_FIELD_INPUT)};
    if (targets) fields[1] = field_of(targets, CJ_FIELD_TARGET);
    return cj__dataset_of_samples(cj, "memory", count, n, fields, views);
}

/* ---- Looking --------------------------------------------------------------------------------- */

const char *cj_dataset_name(const cj_dataset *ds)
{
    if (!ds) return "";
    return cj__dataset_root(ds)->name;
}

int64_t cj_dataset_count(const cj_dataset *ds)
{
    if (!ds) return 0;
    return ds->count;
}

int cj_dataset_fields(const cj_dataset *ds)
{
    if (!ds) return 0;
    return cj__dataset_root(ds)->field_count;
}

const cj_field *cj_dataset_field(const cj_dataset *ds, int i)
{
    if (!ds) return NULL;
    const cj_dataset *root = cj__dataset_root(ds);
    return i >= 0 && i < root->field_count ? &root->fields[i] : NULL;
}

int cj_dataset_field_find(const cj_dataset *ds, const char *name)
{
    const cj_dataset *root = ds ? cj__dataset_root(ds) : NULL;
    for (int i = 0; root && i < root->field_count; i++)
        if (!strcmp(root->fields[i].name, name)) return i;
    return -1;
}

int64_t cj_field_channels(const cj_field *field)
{
    return field->rank == 0 ? 1 : field->shape[field->rank - 1];
}

/* Neighbours are read at once. */
static cj_status read_file(cj_context *cj, const cj__samples *s, size_t size,
                           const int64_t *indices, int64_t n, unsigned char *to)
{
    for (int64_t i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && indices[i + run] == indices[i] + run;) run++;
        CJ__TRY(cj__reader_read(&s->file, cj, to + (size_t)i * size, (size_t)run * size,
                                s->at + indices[i] * (int64_t)size));
    }
    return CJ_OK;
}

/* Reads samples of the root, whose numbers are known to be in range. */
static cj_status read_root(cj_context *cj, const cj_dataset *root, const int64_t *indices,
                           int64_t n, int field, void *out)
{
    const cj__samples *s = root->samples ? &root->samples[field] : NULL;
    if (!s || (!s->tensor && !s->file.cj))
        return root->source.read(cj, root->source.user, indices, n, field, out);
    const size_t size = root->item_bytes[field];
    unsigned char *to = out;
    if (size == 0) return CJ_OK;
    if (!s->tensor) return read_file(cj, s, size, indices, n, to);
    for (int64_t i = 0; i < n; i++)
        memcpy(to + (size_t)i * size, s->memory + (size_t)indices[i] * size, size);
    return CJ_OK;
}

cj_status cj__dataset_read(cj_context *cj, const cj_dataset *ds, const int64_t *indices, int64_t n,
                           int field, void *out)
{
    const cj_dataset *root = cj__dataset_root(ds);
    if (field < 0 || field >= root->field_count)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: there is no field %d; it has %d", root->name,
                       field, root->field_count);
    for (int64_t i = 0; i < n; i++)
        if (indices[i] < 0 || indices[i] >= ds->count)
            return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: there is no sample %lld; it has %lld",
                           root->name, (long long)indices[i], (long long)ds->count);
    if (!ds->root) return read_root(cj, root, indices, n, field, out);
    int64_t of_root[READ_CHUNK];
    unsigned char *to = out;
    for (int64_t done = 0; done < n;) {
        int64_t chunk = n - done < READ_CHUNK ? n - done : READ_CHUNK;
        for (int64_t i = 0; i < chunk; i++) of_root[i] = ds->indices[indices[done + i]];
        CJ__TRY(read_root(cj, root, of_root, chunk, field,
                          to + (size_t)done * root->item_bytes[field]));
        done += chunk;
    }
    return CJ_OK;
}

cj_status cj_dataset_read(const cj_dataset *ds, const int64_t *indices, int64_t n, int field,
                          void *out)
{
    if (!ds) return CJ_ERR_ARGUMENT;
    return cj__dataset_read(ds->cj, ds, indices, n, field, out);
}

/* ---- Views ----------------------------------------------------------------------------------- */

cj_dataset *cj__dataset_view(const cj_dataset *ds, int64_t *indices, int64_t n)
{
    cj_dataset *view = cj__alloc(ds->cj, sizeof *view);
    if (!view) {
        cj__free(ds->cj, indices, (size_t)n * sizeof *indices);
        return NULL;
    }
    for (int64_t i = 0; ds->root && i < n; i++) indices[i] = ds->indices[indices[i]];
    view->cj = ds->cj;
    view->references = 1;
    view->count = n;
    view->indices = indices;
    view->root = (cj_dataset *)cj__dataset_root(ds); /* only its reference count changes */
    cj__dataset_ref(view->root);
    cj__own(ds->cj, &view->owned, free_owned);
    return view;
}

static int64_t *new_list(const cj_dataset *ds, int64_t n)
{
    size_t bytes;
    if (n < 0 || !cj__size_mul((size_t)n, sizeof(int64_t), &bytes)) {
        cj_fail(ds->cj, CJ_ERR_ARGUMENT, "%s: a view of %lld samples is not possible",
                cj_dataset_name(ds), (long long)n);
        return NULL;
    }
    return cj__alloc(ds->cj, bytes);
}

cj_dataset *cj_dataset_take(const cj_dataset *ds, int64_t first, int64_t count)
{
    if (!ds) return NULL;
    if (first < 0 || count < 0 || first > ds->count || count > ds->count - first) {
        cj_fail(ds->cj, CJ_ERR_ARGUMENT,
                "%s: cannot take %lld samples from number %lld on; it has %lld",
                cj_dataset_name(ds), (long long)count, (long long)first, (long long)ds->count);
        return NULL;
    }
    int64_t *list = new_list(ds, count);
    if (!list) return NULL;
    for (int64_t i = 0; i < count; i++) list[i] = first + i;
    return cj__dataset_view(ds, list, count);
}

cj_dataset *cj_dataset_select(const cj_dataset *ds, const int64_t *indices, int64_t n)
{
    if (!ds) return NULL;
    for (int64_t i = 0; i < n; i++) {
        if (indices[i] >= 0 && indices[i] < ds->count) continue;
        cj_fail(ds->cj, CJ_ERR_ARGUMENT, "%s: there is no sample %lld; it has %lld",
                cj_dataset_name(ds), (long long)indices[i], (long long)ds->count);
        return NULL;
    }
    int64_t *list = new_list(ds, n);
    if (!list) return NULL;
    if (n > 0) memcpy(list, indices, (size_t)n * sizeof *list);
    return cj__dataset_view(ds, list, n);
}

/* Dealt out like cards, so that every part has something of a sorted file's beginning and end. */
cj_dataset *cj_dataset_shard(const cj_dataset *ds, int64_t shards, int64_t shard)
{
    if (!ds) return NULL;
    if (shards < 1 || shard < 0 || shard >= shards) {
        cj_fail(ds->cj, CJ_ERR_ARGUMENT, "%s: shard %lld of %lld; there are 0 to count - 1",
                cj_dataset_name(ds), (long long)shard, (long long)shards);
        return NULL;
    }
    const int64_t n = ds->count / shards + (shard < ds->count % shards);
    int64_t *list = new_list(ds, n);
    if (!list) return NULL;
    for (int64_t i = 0; i < n; i++) list[i] = shard + i * shards;
    return cj__dataset_view(ds, list, n);
}

/* ---- Options --------------------------------------------------------------------------------- */

cj_status cj__fail_packed(cj_context *cj, const char *path)
{
    return cj_fail(cj, CJ_ERR_UNSUPPORTED,
                   "%s: is packed, so it cannot be streamed: unpack it first (gunzip -k), or leave "
                   "stream out",
                   path);
}

cj_status cj__data_options(cj_context *cj, const char *what, void *to, size_t size,
                           const void *from)
{
    memset(to, 0, size);
    if (!from) return CJ_OK;
    size_t given;
    memcpy(&given, from, sizeof given);
    if (given == 0) given = size;
    if (given > size || given < sizeof given)
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "%s: options of %zu bytes come from another version; this one knows %zu",
                       what, given, size);
    memcpy(to, from, given);
    return CJ_OK;
}
