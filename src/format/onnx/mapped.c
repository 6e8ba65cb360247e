/* mapped.c: weights where they lie in the file.
 *
 * A large tensor whose bytes are as our memory has them becomes a window on the mapped file, or on
 * the mapped file of its external data: nothing is copied, and only what is read comes into memory.
 * The store keeps the window too, until somebody writes to that variable. protobuf aligns nothing,
 * so bytes inside the model's file often lie where no element may; these are read from the file
 * into memory of their own, not through the map, whose pages would stay. */
#include "format/onnx/tensor.h"
#include "tensor/tensor.h"

/* Below, a copy costs nothing and lies better. */
enum { SHARED_MIN = 1 << 16 };

cj_status cj__onnx_map(cj_context *cj, const char *path, cj__buffer **out)
{
    *out = cj__buffer_of_file(cj, path);
    if (!*out) return cj_last_status(cj);
    (*out)->lasting = true;
    return CJ_OK;
}

void cj__onnx_files_init(cj__onnx_files *files, cj__arena *arena, const char *folder,
                         const char *path, cj__buffer *model)
{
    *files = (cj__onnx_files){.arena = arena, .folder = folder, .path = path, .model = model};
    cj__names_init(&files->external, arena);
}

void cj__onnx_files_release(cj__onnx_files *files)
{
    for (size_t i = 0; i < files->n_maps; i++) cj__buffer_unref(files->maps[i]);
    if (files->reader.cj) cj__reader_close(&files->reader);
}

static cj_status keep_map(cj__onnx_files *files, const char *path, cj__buffer *map)
{
    if (files->n_maps == files->capacity) {
        size_t capacity = files->capacity ? 2 * files->capacity : 8;
        cj__buffer **grown = cj__arena_array(files->arena, capacity, sizeof(cj__buffer *));
        if (!grown) return cj_last_status(files->arena->cj);
        for (size_t i = 0; i < files->n_maps; i++) grown[i] = files->maps[i];
        files->maps = grown;
        files->capacity = capacity;
    }
    if (!cj__names_put(&files->external, path, map)) return cj_last_status(files->arena->cj);
    files->maps[files->n_maps++] = map;
    return CJ_OK;
}

/* The map of an external file, made once. */
static cj_status external_map(cj__onnx_files *files, const char *path, cj__buffer **map)
{
    *map = cj__names_get(&files->external, path);
    if (*map) return CJ_OK;
    CJ__TRY(cj__onnx_map(files->arena->cj, path, map));
    cj_status failed = keep_map(files, path, *map);
    if (failed) cj__buffer_unref(*map);
    return failed;
}

/* Bytes of the model's file into a tensor of its own. */
static cj_status read_own(cj__onnx_files *files, const cj__onnx_tensor *from, cj_dtype dtype,
                          size_t offset, cj_tensor **out)
{
    cj_context *cj = files->arena->cj;
    if (!files->path) return CJ_OK;
    if (!files->reader.cj) CJ__TRY(cj__reader_open(&files->reader, cj, files->path));
    cj_tensor *t = cj__tensor_new_raw(cj, dtype, (int)from->dims.count, from->dims.items);
    if (!t) return cj_last_status(cj);
    cj_status failed = cj__reader_read(&files->reader, cj, cj__tensor_data(t), from->raw.size,
                                       (int64_t)offset);
    if (failed) cj_tensor_free(t);
    else *out = t;
    return failed;
}

static bool aligned(const cj__buffer *map, size_t offset, cj_dtype dtype)
{
    return ((uintptr_t)map->data + offset) % cj__dtype_bytes(dtype) == 0;
}

static cj_status share(cj__onnx_files *files, const cj__onnx_tensor *from, cj_tensor **out)
{
    const cj_dtype dtype = cj__onnx_type_dtype(from->data_type);
    const bool external = from->data_location == 1;
    size_t bytes = from->raw.size, offset = 0;
    cj__buffer *map = files->model;
    char *path;
    if (!cj__onnx_tensor_is_plain(from)) return CJ_OK;
    if (external) {
        CJ__TRY(cj__onnx_tensor_find(files->arena, from, files->folder, &path, &offset, &bytes));
        if (bytes < SHARED_MIN) return CJ_OK;
        CJ__TRY(external_map(files, path, &map));
        if (map->size < bytes || map->size - bytes < offset)
            return CJ_OK; /* it shrank: told later */
    } else {
        const unsigned char *at = (const unsigned char *)from->raw.at;
        const unsigned char *start = map ? map->data : NULL;
        if (!map || bytes < SHARED_MIN || at < start || at >= start + map->size) return CJ_OK;
        offset = (size_t)(at - start);
    }
    if (!aligned(map, offset, dtype))
        return external ? CJ_OK : read_own(files, from, dtype, offset, out);
    *out = cj__tensor_view(files->arena->cj, map, offset, dtype, (int)from->dims.count,
                           from->dims.items);
    return *out ? CJ_OK : cj_last_status(files->arena->cj);
}

cj_status cj__onnx_files_tensor(cj__onnx_files *files, const cj__onnx_tensor *from,
                                cj_tensor **out)
{
    *out = NULL;
    if (from->dims.count <= CJ_RANK_MAX) CJ__TRY(share(files, from, out));
    if (!*out) CJ__TRY(cj__onnx_tensor_decode(files->arena->cj, from, files->folder, out));
    (*out)->buffer->read_only = (*out)->buffer->lasting = true; /* nobody writes to it here */
    return CJ_OK;
}
