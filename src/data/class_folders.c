/* class_folders.c: a folder of pictures for each class.
 *
 *     pets/cat/1.jpg        or       pets/train/cat/1.jpg
 *     pets/dog/7.png                 pets/train/dog/7.png
 *                                    pets/test/cat/3.jpg      (and val, valid or validation)
 *
 * Class 0 is the first folder by name. Names come from the listing of a folder, so none of them
 * leads out of it. */
#include "data/folder.h"
#include "data/picture_files.h"

enum { CLASSES_MAX = 1 << 16 };

static cj_status look(cj_context *cj, const char *folder, const cj_dataset_opts *opts, bool *found)
{
    cj__arena arena;
    cj__names n;
    (void)opts;
    cj__arena_init(&arena, cj);
    const cj_status failed = cj__folder_list_folders(&arena, folder, &n);
    *found = !failed && n.count > 0;
    cj__arena_release(&arena);
    return failed;
}

/* ---- Pictures -------------------------------------------------------------------------------- */

static cj_status add_class(cj__picture_files *f, const char *folder, int label)
{
    cj__names n;
    const int64_t before = f->count;
    if (!folder) return cj_last_status(f->cj);
    CJ__TRY(cj__folder_list(&f->arena, folder, &n));
    for (int64_t i = 0; i < n.count; i++) {
        cj__picture_record record = {.label = label};
        if (!cj_picture_format_of(n.items[i])) continue;
        if (!(record.path = cj__arena_printf(&f->arena, "%s/%s", folder, n.items[i])))
            return cj_last_status(f->cj);
        CJ__TRY(cj__picture_files_add(f, &record));
    }
    if (f->count > before) return CJ_OK;
    return cj_fail(f->cj, CJ_ERR_DATA,
                   "%s: the folder of a class has no pictures; expected files such as .png or .jpg",
                   folder);
}

/* The pictures of one part, whose classes are among `classes`. */
static cj_status add_part(cj__picture_files *f, const char *folder, const cj__names *classes)
{
    cj__names n;
    CJ__TRY(cj__folder_list_folders(&f->arena, folder, &n));
    if (!n.count)
        return cj_fail(f->cj, CJ_ERR_DATA, "%s: has no folders of classes", folder);
    for (int64_t i = 0; i < n.count; i++) {
        const int64_t label = cj__names_find(classes, n.items[i]);
        if (label < 0)
            return cj_fail(f->cj, CJ_ERR_DATA,
                           "%s/%s: is the folder of a class that the training part does not have",
                           folder, n.items[i]);
        CJ__TRY(add_class(f, cj__arena_printf(&f->arena, "%s/%s", folder, n.items[i]),
                          (int)label));
    }
    return CJ_OK;
}

/* Where there is no folder train/, the folder is the training part, whatever its folders are
 * called. */
static cj_status find_parts(cj__arena *arena, const char *folder, const char *at[])
{
    CJ__TRY(cj__folder_find_parts(arena, folder, "", at));
    if (at[CJ__PART_TRAIN]) return CJ_OK;
    at[CJ__PART_TRAIN] = folder;
    at[CJ__PART_VALIDATION] = at[CJ__PART_TEST] = NULL;
    return CJ_OK;
}

/* Those of the options, or the names of the folders of the training part, sorted. */
static cj_status find_classes(cj__picture_files *f, const char *folder,
                              const cj_dataset_opts *opts, cj__names *classes)
{
    if (!opts->class_names) return cj__folder_list_folders(&f->arena, folder, classes);
    *classes = (cj__names){.arena = &f->arena};
    for (int i = 0; i < opts->classes; i++)
        CJ__TRY(cj__names_add(classes, cj__arena_strdup(&f->arena, opts->class_names[i])));
    return CJ_OK;
}

static cj_status collect(cj__picture_files *f, const char *folder, const cj_dataset_opts *opts)
{
    const char *at[CJ__PARTS];
    bool wanted[CJ__PARTS];
    cj__names classes;
    CJ__TRY(find_parts(&f->arena, folder, at));
    CJ__TRY(
        cj__folder_choose(f->cj, folder, at, opts->split, "folders train, val and test", wanted));
    CJ__TRY(find_classes(f, at[CJ__PART_TRAIN], opts, &classes));
    if (classes.count > CLASSES_MAX)
        return cj_fail(f->cj, CJ_ERR_LIMIT, "%s: has %lld classes; at most %d are possible", folder,
                       (long long)classes.count, CLASSES_MAX);
    for (int i = 0; i < CJ__PARTS; i++)
        if (wanted[i]) CJ__TRY(add_part(f, at[i], &classes));
    f->classes = (int)classes.count;
    f->class_names = classes.items;
    return CJ_OK;
}

static cj_dataset *open_classes(cj_context *cj, const char *folder, const cj_dataset_opts *opts)
{
    if (cj__picture_files_options(cj, folder, opts, NULL)) return NULL;
    cj__picture_files *f = cj__picture_files_new(cj, opts);
    if (!f) return NULL;
    if (!collect(f, folder, opts)) return cj__picture_files_dataset(f, folder, opts);
    cj__picture_files_free(f);
    return NULL;
}

const cj__folder_kind cj__folder_classes = {
    .row = {.name = "classes",
            .doc = "pictures with labels, a folder for each class",
            .files = "CLASS/NAME.jpg; or train/CLASS/NAME.jpg and the same in val and test"},
    .knows_auto = true,
    .find_parts = find_parts,
    .look = look,
    .open = open_classes};
