/* picture_files.c: pictures that stay in their files, with labels in memory.
 *
 * A picture is decoded when its sample is read, by whatever thread reads: nothing is kept, so a
 * data set may be larger than memory, and reads share no state. All samples have one size, the one
 * that was asked for, or else that of the first picture. */
#include "data/picture_files.h"

#include <string.h>

#include "base/size.h"

cj__picture_files *cj__picture_files_new(cj_context *cj, const cj_dataset_opts *opts)
{
    cj__picture_files *f = cj__alloc(cj, sizeof *f);
    if (!f) return NULL;
    *f = (cj__picture_files){.cj = cj,
                             .height = opts->height,
                             .width = opts->width,
                             .sized = opts->height > 0,
                             .fit = opts->fit,
                             .colour = opts->colour};
    cj__arena_init(&f->arena, cj);
    return f;
}

void cj__picture_files_free(cj__picture_files *f)
{
    if (!f) return;
    cj_context *cj = f->cj;
    cj__arena_release(&f->arena);
    cj__free(cj, f, sizeof *f);
}

/* Lists that grow leave their old selves in the arena, which costs as much again. */
static cj_status grow(cj__picture_files *f)
{
    const int64_t room = f->room ? 2 * f->room : 64;
    const char **paths = cj__arena_array(&f->arena, (size_t)room, sizeof *paths);
    int32_t *labels = paths ? cj__arena_array(&f->arena, (size_t)room, sizeof *labels) : NULL;
    if (!labels) return cj_last_status(f->cj);
    if (f->count) {
        memcpy(paths, f->paths, (size_t)f->count * sizeof *paths);
        memcpy(labels, f->labels, (size_t)f->count * sizeof *labels);
    }
    f->paths = paths;
    f->labels = labels;
    f->room = room;
    return CJ_OK;
}

cj_status cj__picture_files_add(cj__picture_files *f, const char *path, int32_t label)
{
    if (f->count == f->room) CJ__TRY(grow(f));
    f->paths[f->count] = path;
    f->labels[f->count++] = label;
    return CJ_OK;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* One picture in its own size. */
static cj_status load(cj_context *cj, const cj__picture_files *f, int64_t i, cj_tensor **out)
{
    return cj_picture_load(cj, f->paths[i], f->colour, out);
}

static cj_status fail_size(cj_context *cj, const cj__picture_files *f, int64_t i,
                           const int64_t *shape)
{
    return cj_fail(cj, CJ_ERR_SHAPE,
                   "%s: is %lld x %lld pixels (height x width), and others are %lld x %lld; 'size' "
                   "brings all to one",
                   f->paths[i], (long long)shape[0], (long long)shape[1], (long long)f->height,
                   (long long)f->width);
}

static cj_status read_picture(cj_context *cj, const cj__picture_files *f, int64_t i,
                              unsigned char *to)
{
    cj_tensor *t, *fitted = NULL;
    CJ__TRY(load(cj, f, i, &t));
    const int64_t *shape = cj_tensor_shape(t);
    cj_status failed = CJ_OK;
    if (shape[0] != f->height || shape[1] != f->width)
        failed = f->sized ? cj_picture_make_fit(t, f->height, f->width, f->fit,
                                                CJ_PICTURE_BILINEAR, &fitted)
                          : fail_size(cj, f, i, shape);
    const cj_tensor *picture = fitted ? fitted : t;
    if (!failed && to) memcpy(to, cj_tensor_map_read(picture), cj_tensor_size_bytes(picture));
    cj_tensor_free(fitted);
    cj_tensor_free(t);
    return failed;
}

static cj_status read_pictures(cj_context *cj, void *user, const int64_t *indices, int64_t n,
                               int field, void *out)
{
    const cj__picture_files *f = user;
    const int64_t size = f->height * f->width * (f->colour == CJ_PICTURE_GREY ? 1 : 3);
    (void)field; /* labels are in memory */
    for (int64_t i = 0; i < n; i++) {
        CJ__TRY(cj__check_cancel(cj));
        CJ__TRY(read_picture(cj, f, indices[i], (unsigned char *)out + i * size));
    }
    return CJ_OK;
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* Is it the file's fault? Else it is the machine's, and no sample is left out for that. */
static bool is_bad_sample(cj_status status)
{
    return status == CJ_ERR_FORMAT || status == CJ_ERR_DATA || status == CJ_ERR_UNSUPPORTED ||
           status == CJ_ERR_LIMIT || status == CJ_ERR_SHAPE || status == CJ_ERR_NOT_FOUND;
}

static cj_status find_size(cj__picture_files *f, int64_t i)
{
    cj_tensor *t;
    CJ__TRY(load(f->cj, f, i, &t));
    f->height = cj_tensor_shape(t)[0];
    f->width = cj_tensor_shape(t)[1];
    cj_tensor_free(t);
    return CJ_OK;
}

/* Reads all pictures once and keeps those that can be read. */
static cj_status leave_out_bad(cj__picture_files *f, const char *name)
{
    int64_t kept = 0;
    const int64_t all = f->count;
    for (int64_t i = 0; i < all; i++) {
        CJ__TRY(cj__check_cancel(f->cj));
        cj_status failed = f->height ? CJ_OK : find_size(f, i);
        if (!failed) failed = read_picture(f->cj, f, i, NULL);
        if (failed && !is_bad_sample(failed)) return failed;
        if (failed) cj__log(f->cj, CJ_LOG_WARNING, "left out: %s", cj_message(f->cj));
        f->paths[kept] = f->paths[i];
        f->labels[kept] = f->labels[i];
        kept += !failed;
    }
    if (!kept)
        return cj_fail(f->cj, CJ_ERR_DATA,
                       "%s: none of the %lld pictures can be read; the last: %s", name,
                       (long long)all, cj_message(f->cj));
    if (kept < all)
        cj__log(f->cj, CJ_LOG_WARNING, "%s: %lld of %lld pictures cannot be read and are left out",
                name, (long long)(all - kept), (long long)all);
    f->count = kept;
    return CJ_OK;
}

/* So many of them, evenly: of sorted classes the first ones would be of one class. */
static void take_evenly(cj__picture_files *f, int64_t limit)
{
    if (limit <= 0 || limit >= f->count) return;
    for (int64_t i = 0; i < limit; i++) {
        const int64_t from = (int64_t)((double)i * (double)f->count / (double)limit);
        f->paths[i] = f->paths[from];
        f->labels[i] = f->labels[from];
    }
    f->count = limit;
}

static cj_status prepare(cj__picture_files *f, const char *name, const cj_dataset_opts *opts)
{
    if (!f->count) return cj_fail(f->cj, CJ_ERR_DATA, "%s: has no pictures", name);
    take_evenly(f, opts->limit);
    if (opts->on_bad_sample == CJ_BAD_SAMPLE_SKIP) return leave_out_bad(f, name);
    return f->height ? CJ_OK : find_size(f, 0);
}

static void release(void *user)
{
    cj__picture_files_free(user);
}

cj_dataset *cj__picture_files_dataset(cj__picture_files *f, const char *name,
                                      const cj_dataset_opts *opts)
{
    cj__samples samples[2] = {{.tensor = NULL}, {.tensor = NULL}};
    cj_dataset *ds = NULL;
    const int n = opts->no_target ? 1 : 2;
    if (!prepare(f, name, opts) &&
        (n == 1 || (samples[1].tensor = cj_tensor_from(f->cj, CJ_I32, 1, &f->count, f->labels)))) {
        const cj_field fields[2] = {
            {.name = "image",
             .dtype = CJ_U8,
             .rank = 3,
             .shape = {f->height, f->width, f->colour == CJ_PICTURE_GREY ? 1 : 3},
             .role = CJ_FIELD_INPUT,
             .fit = f->fit},
            {.name = "label",
             .dtype = CJ_I32,
             .role = CJ_FIELD_TARGET,
             .classes = f->classes,
             .class_names = f->class_names}};
        ds = cj__dataset_of_samples(f->cj, name, f->count, n, fields, samples);
    }
    if (ds) ds->source = (cj_dataset_source){.read = read_pictures, .user = f, .free = release};
    else cj__picture_files_free(f);
    return ds;
}
