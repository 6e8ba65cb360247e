/* picture_files.c: pictures that stay in their files, with labels and boxes in memory.
 *
 * A picture, and its mask, is decoded when its sample is read, by whatever thread reads: nothing is
 * kept, so a data set may be larger than memory, and reads share no state. All samples have one
 * size, the one that was asked for, or else that of the first picture. */
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
                             .colour = opts->colour,
                             .on_bad_sample = opts->on_bad_sample};
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
    cj__picture_record *records = cj__arena_array(&f->arena, (size_t)room, sizeof *records);
    if (!records) return cj_last_status(f->cj);
    if (f->count) memcpy(records, f->records, (size_t)f->count * sizeof *records);
    f->records = records;
    f->room = room;
    return CJ_OK;
}

cj_status cj__picture_files_add(cj__picture_files *f, const cj__picture_record *record)
{
    if (f->count == f->room) CJ__TRY(grow(f));
    f->records[f->count++] = *record;
    return CJ_OK;
}

cj_status cj__picture_files_options(cj_context *cj, const char *folder, const cj_dataset_opts *o,
                                    const char *also)
{
    if ((o->target && (!also || strcmp(o->target, also) != 0)) || o->types || o->drop ||
        o->columns || o->header || o->delimiter || o->widths || o->weight || o->pictures)
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "%s: target, types, drop, header, delimiter, weight, widths, pictures are "
                       "for tables; this has pictures",
                       folder);
    return CJ_OK;
}

/* ---- Reading --------------------------------------------------------------------------------- */

cj_status cj__picture_files_load(cj_context *cj, const cj__picture_files *f, int64_t i,
                                 cj_tensor **out)
{
    const cj__picture_record *r = &f->records[i];
    CJ__TRY(cj_picture_load(cj, r->path, f->colour, out));
    const int64_t height = cj_tensor_shape(*out)[0], width = cj_tensor_shape(*out)[1];
    if (!r->height || (height == r->height && width == r->width)) return CJ_OK;
    cj_tensor_free(*out);
    *out = NULL;
    return cj_fail(cj, CJ_ERR_DATA,
                   "%s: is %lld x %lld pixels (height x width), but %lld x %lld in %s", r->path,
                   (long long)height, (long long)width, (long long)r->height, (long long)r->width,
                   r->source);
}

cj_status cj__picture_files_fit(cj_context *cj, const cj__picture_files *f, const char *path,
                                const char *others, cj_picture_filter filter, cj_tensor **t)
{
    const int64_t *shape = cj_tensor_shape(*t);
    cj_tensor *fitted;
    if (shape[0] == f->height && shape[1] == f->width) return CJ_OK;
    if (!f->sized)
        return cj_fail(cj, CJ_ERR_SHAPE,
                       "%s: is %lld x %lld pixels (height x width), and %s are %lld x %lld; 'size' "
                       "brings all to one",
                       path, (long long)shape[0], (long long)shape[1], others,
                       (long long)f->height, (long long)f->width);
    CJ__TRY(cj_picture_make_fit(*t, f->height, f->width, f->fit, filter, &fitted));
    cj_tensor_free(*t);
    *t = fitted;
    return CJ_OK;
}

static cj_status read_picture(cj_context *cj, const cj__picture_files *f, int64_t i,
                              unsigned char *to)
{
    cj_tensor *t;
    CJ__TRY(cj__picture_files_load(cj, f, i, &t));
    cj_status failed = cj__picture_files_fit(cj, f, f->records[i].path, "others",
                                             CJ_PICTURE_BILINEAR, &t);
    if (!failed && to) memcpy(to, cj_tensor_map_read(t), cj_tensor_size_bytes(t));
    cj_tensor_free(t);
    return failed;
}

/* Field 0 is the picture, 1 its boxes or its mask; labels are in memory. */
static cj_status read_samples(cj_context *cj, void *user, const int64_t *indices, int64_t n,
                              int field, void *out)
{
    const cj__picture_files *f = user;
    const int64_t pixels = f->height * f->width;
    for (int64_t i = 0; i < n; i++) {
        CJ__TRY(cj__check_cancel(cj));
        if (field == 0)
            CJ__TRY(read_picture(cj, f, indices[i],
                                 (unsigned char *)out +
                                     i * pixels * (f->colour == CJ_PICTURE_GREY ? 1 : 3)));
        else if (f->target == CJ_FIELD_MASK)
            CJ__TRY(cj__picture_mask_read(cj, f, indices[i], (int32_t *)out + i * pixels));
        else cj__picture_boxes_read(f, indices[i], (float *)out + i * f->most * CJ__BOX);
    }
    return CJ_OK;
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* Is it the file's fault? Else it is the machine's, and no sample is left out for that. */
bool cj__picture_files_is_bad(cj_status status)
{
    return status == CJ_ERR_FORMAT || status == CJ_ERR_DATA || status == CJ_ERR_UNSUPPORTED ||
           status == CJ_ERR_LIMIT || status == CJ_ERR_SHAPE || status == CJ_ERR_NOT_FOUND;
}

cj_status cj__picture_files_bad(cj__picture_files *f, cj_status failed)
{
    if (!failed || f->on_bad_sample != CJ_BAD_SAMPLE_SKIP || !cj__picture_files_is_bad(failed))
        return failed;
    cj__log(f->cj, CJ_LOG_WARNING, "left out: %s", cj_message(f->cj));
    f->left_out++;
    return CJ_OK;
}

static cj_status find_size(cj__picture_files *f, int64_t i)
{
    cj_tensor *t;
    CJ__TRY(cj__picture_files_load(f->cj, f, i, &t));
    f->height = cj_tensor_shape(t)[0];
    f->width = cj_tensor_shape(t)[1];
    cj_tensor_free(t);
    return CJ_OK;
}

/* Reads all pictures and masks once and keeps those that can be read. */
static cj_status leave_out_bad(cj__picture_files *f, const char *name)
{
    int64_t kept = 0;
    const int64_t all = f->count + f->left_out;
    for (int64_t i = 0; i < f->count; i++) {
        CJ__TRY(cj__check_cancel(f->cj));
        cj_status failed = f->height ? CJ_OK : find_size(f, i);
        if (!failed) failed = read_picture(f->cj, f, i, NULL);
        if (!failed && f->target == CJ_FIELD_MASK)
            failed = cj__picture_mask_read(f->cj, f, i, NULL);
        CJ__TRY(cj__picture_files_bad(f, failed));
        f->records[kept] = f->records[i];
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

/* A box that is a share of its picture follows it into a crop or a frame only by its size. Where
 * no file says that, the pictures are read, once. */
static cj_status find_sizes(cj__picture_files *f)
{
    int64_t kept = 0;
    if (f->target != CJ_FIELD_BOXES || !f->sized || f->fit == CJ_FIT_STRETCH) return CJ_OK;
    for (int64_t i = 0; i < f->count; i++) {
        cj__picture_record *r = &f->records[i];
        cj_tensor *t = NULL;
        CJ__TRY(cj__check_cancel(f->cj));
        const cj_status failed = r->height ? CJ_OK : cj__picture_files_load(f->cj, f, i, &t);
        CJ__TRY(cj__picture_files_bad(f, failed));
        if (t) {
            r->source = r->path;
            r->height = cj_tensor_shape(t)[0];
            r->width = cj_tensor_shape(t)[1];
        }
        cj_tensor_free(t);
        f->records[kept] = *r;
        kept += !failed;
    }
    f->count = kept;
    return CJ_OK;
}

/* So many of them, evenly: of sorted classes the first ones would be of one class. */
static void take_evenly(cj__picture_files *f, int64_t limit)
{
    if (limit <= 0 || limit >= f->count) return;
    for (int64_t i = 0; i < limit; i++) {
        const int64_t from = (int64_t)((double)i * (double)f->count / (double)limit);
        f->records[i] = f->records[from];
    }
    f->count = limit;
}

static cj_status prepare(cj__picture_files *f, const char *name, const cj_dataset_opts *opts)
{
    if (!f->count && !f->left_out)
        return cj_fail(f->cj, CJ_ERR_DATA, "%s: has no pictures", name);
    take_evenly(f, opts->limit);
    CJ__TRY(find_sizes(f));
    if (opts->on_bad_sample == CJ_BAD_SAMPLE_SKIP) return leave_out_bad(f, name);
    return f->height ? CJ_OK : find_size(f, 0);
}

static void release(void *user)
{
    cj__picture_files_free(user);
}

static cj_tensor *values_of(const cj__picture_files *f)
{
    const cj_dtype dtype = f->classes ? CJ_I32 : CJ_F32;
    cj_tensor *t = cj_tensor_new(f->cj, dtype, 1, &f->count);
    void *values = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    for (int64_t i = 0; values && i < f->count; i++) {
        const cj__picture_record *r = &f->records[i];
        cj_store_f64(dtype, values, (size_t)i, f->classes ? r->label : (double)r->number);
    }
    if (t) cj_tensor_unmap(t);
    return t;
}

static cj_field target_field(const cj__picture_files *f)
{
    cj_field field = {.name = "label",
                      .dtype = CJ_I32,
                      .role = CJ_FIELD_TARGET,
                      .kind = f->target,
                      .classes = f->classes,
                      .class_names = f->class_names};
    if (f->target == CJ_FIELD_VALUES && !f->classes) {
        field.name = "target";
        field.dtype = CJ_F32;
        field.rank = 1;
        field.shape[0] = 1;
    }
    if (f->target == CJ_FIELD_VALUES) return field;
    const bool mask = f->target == CJ_FIELD_MASK;
    field.name = mask ? "mask" : "boxes";
    field.dtype = mask ? CJ_I32 : CJ_F32;
    field.rank = 2;
    field.shape[0] = mask ? f->height : f->most;
    field.shape[1] = mask ? f->width : CJ__BOX;
    return field;
}

cj_dataset *cj__picture_files_dataset(cj__picture_files *f, const char *name,
                                      const cj_dataset_opts *opts)
{
    cj__samples samples[2] = {{.tensor = NULL}, {.tensor = NULL}};
    cj_dataset *ds = NULL;
    const int n = opts->no_target ? 1 : 2;
    const bool values = n == 2 && f->target == CJ_FIELD_VALUES;
    if (!prepare(f, name, opts) && (!values || (samples[1].tensor = values_of(f)))) {
        const cj_field fields[2] = {
            {.name = "image",
             .dtype = CJ_U8,
             .rank = 3,
             .shape = {f->height, f->width, f->colour == CJ_PICTURE_GREY ? 1 : 3},
             .role = CJ_FIELD_INPUT,
             .fit = f->fit},
            target_field(f)};
        ds = cj__dataset_of_samples(f->cj, name, f->count, n, fields, samples);
    }
    if (ds) ds->source = (cj_dataset_source){.read = read_samples, .user = f, .free = release};
    else cj__picture_files_free(f);
    return ds;
}
