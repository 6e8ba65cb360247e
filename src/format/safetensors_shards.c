/* safetensors_shards.c: a list of tensors in several files, as Hugging Face's tools cut large
 * models, with an index that says which file has which tensor:
 *
 *     model.safetensors.index.json
 *         {"metadata": {"total_size": 16000}, "weight_map": {"w":
 * "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
 *
 * Reading holds both to it: every name of the map is in its file, and every tensor of a file is in
 * the map, under that file. Writing fills all files under temporary names first, and the index is
 * the last to come; an old one goes before the first file is replaced, so that what lies in the
 * folder is always the old list, the new one, or files without an index: never a mixture of two. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/opts.h"
#include "base/text.h"
#include "format/safetensors.h"

static const char index_name[] = "model.safetensors.index.json", index_end[] = ".index.json",
                  file_end[] = ".safetensors";

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && !strcmp(text + n - k, end);
}

/* ---- Reading --------------------------------------------------------------------------------- */

typedef struct shard {
    const char *name;
    size_t named; /* tensors that the map says are in it */
    cj_tensors *list;
    struct shard *next;
} shard;

typedef struct reader {
    cj_context *cj;
    const char *path;   /* of the index */
    const char *folder;
    cj__arena arena;
    const cj__json *map;
    shard *shards;      /* in reverse order */
    shard **of;         /* by member of the map */
} reader;

static shard *shard_of(reader *r, const cj__json *name)
{
    for (shard *s = r->shards; s; s = s->next)
        if (!strcmp(s->name, name->string)) return s;
    shard *s = cj__arena_alloc(&r->arena, sizeof(*s));
    if (!s) return NULL;
    *s = (shard){.name = name->string, .next = r->shards};
    return r->shards = s;
}

static cj_status read_map(reader *r, const cj__json *root)
{
    size_t i = 0;
    const cj__json *metadata = cj__json_find(root, "metadata");
    r->map = cj__json_find(root, "weight_map");
    if (!r->map || r->map->type != CJ__JSON_OBJECT || !r->map->count)
        return cj_fail(r->cj, CJ_ERR_FORMAT, "%s: it has no weight_map", r->path);
    if (metadata && metadata->type != CJ__JSON_OBJECT)
        return cj_fail(r->cj, CJ_ERR_FORMAT, "%s: metadata is no object", r->path);
    r->of = cj__arena_array(&r->arena, r->map->count, sizeof(shard *));
    if (!r->of) return cj_last_status(r->cj);
    for (const cj__json *m = r->map->first; m; m = m->next) {
        if (strlen(m->key) != m->key_length || m->type != CJ__JSON_STRING ||
            strlen(m->string) != m->length)
            return cj_fail(r->cj, CJ_ERR_FORMAT, "%s: tensor '%.100s' has no file's name", r->path,
                           m->key);
        if (!(r->of[i] = shard_of(r, m))) return cj_last_status(r->cj);
        r->of[i++]->named++;
    }
    return CJ_OK;
}

/* A tensor of the shard that the map does not name, or names in another one. */
static cj_status name_stranger(reader *r, const shard *s)
{
    const char *name = "";
    for (size_t i = 0; i < cj_tensors_count(s->list); i++) {
        cj_tensors_at(s->list, i, &name);
        const cj__json *m = cj__json_find(r->map, name);
        if (m && !strcmp(m->string, s->name)) continue;
        return cj_fail(r->cj, CJ_ERR_DATA, "%s: '%s' has the tensor '%.100s', which is %s%.100s",
                       r->path, s->name, name, m ? "to be in " : "not in the map",
                       m ? m->string : "");
    }
    return CJ_OK;
}

static cj_status open_shard(reader *r, shard *s)
{
    char *path;
    CJ__TRY(cj__prefix(r->cj, cj__file_inside(r->cj, r->folder, s->name, &path), "%s", r->path));
    cj_status failed = cj__safetensors_load_file(r->cj, path, &s->list);
    cj__free(r->cj, path, strlen(path) + 1);
    if (failed) return cj__prefix(r->cj, failed, "%s", r->path);
    return cj__check_cancel(r->cj);
}

/* Tensors in the order of the map, each a view of its file's; metadata of all files. */
static cj_status gather(reader *r, cj_tensors *list)
{
    size_t i = 0;
    for (const cj__json *m = r->map->first; m; m = m->next) {
        const shard *s = r->of[i++];
        cj_tensor *t = cj_tensors_find(s->list, m->key);
        if (!t)
            return cj_fail(r->cj, CJ_ERR_DATA, "%s: '%s' has no tensor '%.100s'", r->path, s->name,
                           m->key);
        CJ__TRY(cj_tensors_add(list, m->key, cj_tensor_reshape(t, t->rank, t->shape)));
    }
    for (const shard *s = r->shards; s; s = s->next) {
        if (s->named != cj_tensors_count(s->list)) CJ__TRY(name_stranger(r, s));
        for (size_t k = 0; k < cj_tensors_metadata_count(s->list); k++) {
            const char *value, *key = cj_tensors_metadata_at(s->list, k, &value);
            CJ__TRY(cj_tensors_set_metadata(list, key, value));
        }
    }
    return CJ_OK;
}

static cj_status load_shards(cj_context *cj, const char *path, cj_tensors **out)
{
    reader r = {.cj = cj, .path = path};
    const char *slash = strrchr(path, '/');
    const cj__json *root;
    cj_tensors *list = NULL;
    cj__file_bytes file;
    CJ__TRY(cj__file_load(cj, path, 0, &file));
    cj__arena_init(&r.arena, cj);
    r.folder = !slash ? "."
                      : cj__arena_printf(&r.arena, "%.*s", slash == path ? 1 : (int)(slash - path),
                                         path);
    cj_status failed = r.folder ? CJ_OK : cj_last_status(cj);
    CJ__CHECK(failed);
    CJ__CHECK(failed = cj__json_parse(&r.arena, path, file.data, file.size, NULL, &root));
    CJ__CHECK(failed = read_map(&r, root));
    for (shard *s = r.shards; s; s = s->next) CJ__CHECK(failed = open_shard(&r, s));
    list = cj_tensors_new(cj);
    CJ__CHECK(failed = list ? CJ_OK : cj_last_status(cj));
    CJ__CHECK(failed = gather(&r, list));
    *out = list;
out:
    if (failed) cj_tensors_free(list);
    for (shard *s = r.shards; s; s = s->next) cj_tensors_free(s->list);
    cj__arena_release(&r.arena);
    cj__file_unload(&file);
    return failed;
}

cj_status cj_safetensors_load(cj_context *cj, const char *path, cj_tensors **out)
{
    cj_file_info info;
    *out = NULL;
    if (ends_with(path, ".json")) return load_shards(cj, path, out);
    CJ__TRY(cj__file_info(cj, path, &info));
    if (info.kind != CJ_FILE_DIRECTORY) return cj__safetensors_load_file(cj, path, out);
    size_t size = strlen(path) + sizeof index_name + 1;
    char *index = cj__alloc(cj, size);
    if (!index) return cj_last_status(cj);
    cj__format(index, size, "%s/%s", path, index_name);
    cj_status failed = load_shards(cj, index, out);
    cj__free(cj, index, size);
    return failed;
}

/* ---- Writing --------------------------------------------------------------------------------- */

typedef struct sharding {
    cj_context *cj;
    cj__arena arena;
    const cj_tensors *list;
    int64_t max;
    size_t n_shards;
    size_t *shard;     /* by tensor */
    const char **name; /* by shard, without the folder */
    const char **path;
    cj__writer *files; /* begun, and to be committed or abandoned: n_begun of them */
    size_t n_begun;
} sharding;

/* Tensors fill a file after the other, in the order of the list; a large one has its own. */
static cj_status distribute(sharding *s)
{
    size_t n = cj_tensors_count(s->list);
    int64_t filled = 0;
    s->shard = cj__arena_array(&s->arena, n + 1, sizeof(*s->shard));
    if (!s->shard) return cj_last_status(s->cj);
    for (size_t i = 0; i < n; i++) {
        int64_t bytes = (int64_t)cj_tensor_size_bytes(cj_tensors_at(s->list, i, NULL));
        if (i && bytes > s->max - filled) s->n_shards++, filled = 0;
        s->shard[i] = s->n_shards;
        filled = bytes > s->max ? s->max : filled + bytes;
    }
    s->n_shards++;
    return CJ_OK;
}

static cj_status name_shards(sharding *s, const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    int stem = (int)(strlen(base) - strlen(file_end));
    s->name = cj__arena_array(&s->arena, s->n_shards, sizeof(*s->name));
    s->path = cj__arena_array(&s->arena, s->n_shards, sizeof(*s->path));
    s->files = cj__arena_array(&s->arena, s->n_shards, sizeof(*s->files));
    if (!s->name || !s->path || !s->files) return cj_last_status(s->cj);
    for (size_t i = 0; i < s->n_shards; i++) {
        s->name[i] = cj__arena_printf(&s->arena, "%.*s-%05zu-of-%05zu%s", stem, base, i + 1,
                                      s->n_shards, file_end);
        s->path[i] = s->name[i] ? cj__arena_printf(&s->arena, "%.*s%s", (int)(base - path), path,
                                                   s->name[i])
                                : NULL;
        if (!s->path[i]) return cj_last_status(s->cj);
    }
    return CJ_OK;
}

/* Writes file i under its temporary name. */
static cj_status write_shard(sharding *s, size_t i)
{
    cj_tensors *part = cj_tensors_new(s->cj);
    cj_status failed = part ? CJ_OK : cj_last_status(s->cj);
    for (size_t k = 0; k < cj_tensors_count(s->list) && !failed; k++) {
        const char *name;
        cj_tensor *t = cj_tensors_at(s->list, k, &name);
        if (s->shard[k] == i)
            failed = cj_tensors_add(part, name, cj_tensor_reshape(t, t->rank, t->shape));
    }
    for (size_t k = 0; k < cj_tensors_metadata_count(s->list) && !failed; k++) {
        const char *value, *key = cj_tensors_metadata_at(s->list, k, &value);
        failed = cj_tensors_set_metadata(part, key, value);
    }
    if (!failed) failed = cj__safetensors_begin(s->cj, &s->files[i], s->path[i], part);
    if (!failed) s->n_begun++;
    cj_tensors_free(part);
    return failed;
}

static cj_status write_index(sharding *s, const char *path)
{
    cj__text json;
    int64_t total = 0;
    cj__text_init(&json, s->cj);
    for (size_t i = 0; i < cj_tensors_count(s->list); i++)
        total += (int64_t)cj_tensor_size_bytes(cj_tensors_at(s->list, i, NULL));
    cj__text_format(&json, "{\n  \"metadata\": {\n    \"total_size\": %lld\n  },\n"
                           "  \"weight_map\": {", (long long)total);
    for (size_t i = 0; i < cj_tensors_count(s->list); i++) {
        const char *name;
        cj_tensors_at(s->list, i, &name);
        cj__text_add(&json, i ? ",\n    " : "\n    ");
        cj__text_json(&json, name);
        cj__text_add(&json, ": ");
        cj__text_json(&json, s->name[s->shard[i]]);
    }
    cj__text_add(&json, "\n  }\n}\n");
    cj_status failed = json.failed ? json.failed
                                   : cj__file_save(s->cj, path, json.bytes, json.length);
    cj__text_release(&json);
    return failed;
}

/* An index that would go with other files. */
static cj_status remove_index(cj_context *cj, const char *path)
{
    cj_file_info info;
    CJ__TRY(cj__file_info(cj, path, &info));
    return info.kind == CJ_FILE_NONE ? CJ_OK : cj__file_remove(cj, path);
}

static cj_status save_shards(sharding *s, const char *path, const char *index)
{
    cj_status failed = name_shards(s, path);
    for (size_t i = 0; i < s->n_shards && !failed; i++) failed = write_shard(s, i);
    if (!failed) failed = remove_index(s->cj, index);
    for (size_t i = 0; i < s->n_begun; i++) {
        if (failed) cj__writer_abandon(&s->files[i]);
        else failed = cj__writer_commit(&s->files[i]);
    }
    return failed ? failed : write_index(s, index);
}

cj_status cj_safetensors_save_opts(cj_context *cj, const char *path, const cj_tensors *list,
                                   const cj_safetensors_opts *opts)
{
    cj_safetensors_opts o = {0};
    CJ__TRY(cj__opts_take(cj, path, &o, sizeof o, opts));
    if (!o.max_shard_bytes) return cj_safetensors_save(cj, path, list);
    if (o.max_shard_bytes < 0)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: max_shard_bytes=%lld, expected 1 or more", path,
                       (long long)o.max_shard_bytes);
    if (!ends_with(path, file_end))
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: a name ending in %s is expected for shards", path,
                       file_end);
    sharding s = {.cj = cj, .list = list, .max = o.max_shard_bytes};
    cj__arena_init(&s.arena, cj);
    const char *index = cj__arena_printf(&s.arena, "%s%s", path, index_end);
    cj_status failed = index ? distribute(&s) : cj_last_status(cj);
    if (!failed && s.n_shards == 1) {
        failed = cj_safetensors_save(cj, path, list);
        if (!failed) failed = remove_index(cj, index);
    } else if (!failed)
        failed = save_shards(&s, path, index);
    cj__arena_release(&s.arena);
    return failed;
}
