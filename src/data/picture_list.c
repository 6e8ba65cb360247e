/* picture_list.c: a table with a column of paths becomes a data set of pictures.
 *
 *     file,species           image u8 [height, width, 3]      label i32
 *     a/1.jpg,cat       ->   of FOLDER/a/1.jpg                0
 *     b/2.png,dog            of FOLDER/b/2.png                1
 *
 * FOLDER is that of the table. A list may come from anywhere, so a path that leads out of it is
 * refused. */
#include <string.h>

#include "data/picture_files.h"
#include "data/table.h"

typedef struct list {
    cj__table *t;
    cj__picture_files *f;
    const char *folder;
} list;

/* The path of a cell, to a file that is there. */
static cj_status find_file(const list *l, const cj__cell *cell, const char **path)
{
    cj_context *cj = l->t->cj;
    char *name = cj__cell_text(&l->t->arena, cell), *inside;
    cj_file_info info;
    if (!name) return cj_last_status(cj);
    CJ__TRY(cj__file_inside(cj, l->folder, name, &inside));
    *path = cj__arena_strdup(&l->f->arena, inside);
    cj__free(cj, inside, strlen(inside) + 1);
    if (!*path) return cj_last_status(cj);
    CJ__TRY(cj__file_info(cj, *path, &info));
    if (info.kind == CJ_FILE_REGULAR) return CJ_OK;
    return cj_fail(cj, CJ_ERR_NOT_FOUND, "there is no picture '%s'", *path);
}

static cj_status add_row(const list *l, size_t i, const cj_field *target, const void *values)
{
    const cj__table *t = l->t;
    const size_t row = t->samples[i];
    cj__picture_record record = {.path = NULL};
    const cj_status failed = find_file(l, cj__table_cell(t, row, t->pictures), &record.path);
    if (failed)
        return cj__picture_files_bad(l->f, cj__prefix(t->cj, failed, "%s: line %lld", t->name,
                                                      (long long)t->sheet.rows[row].line));
    if (values && target->classes) record.label = (int32_t)cj_load_i64(target->dtype, values, i);
    else if (values) record.number = (float)cj_load_f64(target->dtype, values, i);
    return cj__picture_files_add(l->f, &record);
}

static cj_status add_rows(list *l, const cj_field *target, const cj_tensor *values)
{
    cj__arena *arena = &l->f->arena;
    const char *slash = strrchr(l->t->name, '/');
    const void *memory = values ? cj_tensor_map_read(values) : NULL;
    cj_status failed = CJ_OK;
    l->f->classes = target->classes;
    l->f->class_names = target->class_names; /* the table's: copied with the fields */
    l->folder = slash ? cj__arena_printf(arena, "%.*s", (int)(slash - l->t->name), l->t->name)
                      : ".";
    if (!l->folder) failed = cj_last_status(l->t->cj);
    for (size_t i = 0; i < l->t->sample_count && !failed; i++)
        failed = add_row(l, i, target, memory);
    if (values) cj_tensor_unmap(values);
    return failed;
}

cj_dataset *cj__table_pictures(cj__table *t, const cj_field *target, const cj_tensor *values)
{
    list l = {.t = t, .f = cj__picture_files_new(t->cj, t->opts)};
    cj_dataset_opts o = *t->opts;
    o.no_target = !values;
    o.limit = 0; /* the table has taken the first rows */
    if (!l.f) return NULL;
    if (!add_rows(&l, target, values)) return cj__picture_files_dataset(l.f, t->name, &o);
    cj__picture_files_free(l.f);
    return NULL;
}
