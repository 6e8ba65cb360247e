/* class_folders.c: a folder of pictures for each class.
 *
 *     pets/cat/1.jpg        or       pets/train/cat/1.jpg
 *     pets/dog/7.png                 pets/train/dog/7.png
 *                                    pets/test/cat/3.jpg      (and val, valid or validation)
 *
 * Class 0 is the first folder by name. Names come from the listing of a folder, so none of them
 * leads out of it. */
#include <stdlib.h>
#include <string.h>

#include "data/picture_files.h"

enum { CLASSES_MAX = 1 << 16 };

typedef struct names {
    cj__arena *arena;
    const char **items;
    int count, room;
} names;

static int add_name(void *arg, const char *name)
{
    names *n = arg;
    if (name[0] == '.') return 0;
    if (n->count == n->room) {
        const int room = n->room ? 2 * n->room : 64;
        const char **items = cj__arena_array(n->arena, (size_t)room, sizeof *items);
        if (!items) return (int)cj_last_status(n->arena->cj);
        if (n->count) memcpy(items, n->items, (size_t)n->count * sizeof *items);
        n->items = items;
        n->room = room;
    }
    if (!(n->items[n->count++] = cj__arena_strdup(n->arena, name)))
        return (int)cj_last_status(n->arena->cj);
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The entries of a folder, sorted. */
static cj_status list(cj__arena *arena, const char *folder, names *out)
{
    *out = (names){.arena = arena};
    if (!folder) return cj_last_status(arena->cj);
    CJ__TRY(cj__file_list(arena->cj, folder, add_name, out));
    if (out->count) qsort(out->items, (size_t)out->count, sizeof *out->items, compare);
    return CJ_OK;
}

static cj_status is_folder(cj__arena *arena, const char *path, bool *is)
{
    cj_file_info info;
    if (!path) return cj_last_status(arena->cj);
    CJ__TRY(cj__file_info(arena->cj, path, &info));
    *is = info.kind == CJ_FILE_DIRECTORY;
    return CJ_OK;
}

/* The folders in a folder, sorted. */
static cj_status list_folders(cj__arena *arena, const char *folder, names *out)
{
    int kept = 0;
    CJ__TRY(list(arena, folder, out));
    for (int i = 0; i < out->count; i++) {
        bool is = false;
        CJ__TRY(is_folder(arena, cj__arena_printf(arena, "%s/%s", folder, out->items[i]), &is));
        if (is) out->items[kept++] = out->items[i];
    }
    out->count = kept;
    return CJ_OK;
}

static int find(const names *n, const char *name)
{
    for (int i = 0; i < n->count; i++)
        if (!strcmp(n->items[i], name)) return i;
    return -1;
}

cj_status cj__class_folders_look(cj_context *cj, const char *folder, bool *found)
{
    cj__arena arena;
    names n;
    cj__arena_init(&arena, cj);
    cj_status failed = list_folders(&arena, folder, &n);
    *found = !failed && n.count > 0;
    cj__arena_release(&arena);
    return failed;
}

/* ---- Pictures -------------------------------------------------------------------------------- */

static cj_status add_class(cj__picture_files *f, const char *folder, int label)
{
    names n;
    const int64_t before = f->count;
    if (!folder) return cj_last_status(f->cj);
    CJ__TRY(list(&f->arena, folder, &n));
    for (int i = 0; i < n.count; i++) {
        if (!cj_picture_format_of(n.items[i])) continue;
        const char *path = cj__arena_printf(&f->arena, "%s/%s", folder, n.items[i]);
        if (!path) return cj_last_status(f->cj);
        CJ__TRY(cj__picture_files_add(f, path, label));
    }
    if (f->count > before) return CJ_OK;
    return cj_fail(f->cj, CJ_ERR_DATA,
                   "%s: the folder of a class has no pictures; expected files such as .png or .jpg",
                   folder);
}

/* The pictures of one part, whose classes are among `classes`. */
static cj_status add_part(cj__picture_files *f, const char *folder, const names *classes)
{
    names n;
    if (!folder) return cj_last_status(f->cj);
    CJ__TRY(list_folders(&f->arena, folder, &n));
    if (!n.count)
        return cj_fail(f->cj, CJ_ERR_DATA, "%s: has no folders of classes", folder);
    for (int i = 0; i < n.count; i++) {
        const int label = find(classes, n.items[i]);
        if (label < 0)
            return cj_fail(f->cj, CJ_ERR_DATA,
                           "%s/%s: is the folder of a class that the training part does not have",
                           folder, n.items[i]);
        CJ__TRY(add_class(f, cj__arena_printf(&f->arena, "%s/%s", folder, n.items[i]), label));
    }
    return CJ_OK;
}

/* The names that each part may have; the first of each is what the option calls it. */
static const char *const parts[3][4] = {
    {"train", NULL}, {"validation", "val", "valid", NULL}, {"test", NULL}};

static const char *part_among(const names *folders, int part)
{
    for (int i = 0; parts[part][i]; i++)
        if (find(folders, parts[part][i]) >= 0) return parts[part][i];
    return NULL;
}

/* A folder in parts: the classes are those of train/. */
static cj_status add_parts(cj__picture_files *f, const char *folder, const names *folders,
                           const char *split, names *classes)
{
    if (!strcmp(split, "auto")) split = part_among(folders, 2) ? "test" : "all";
    CJ__TRY(list_folders(&f->arena, cj__arena_printf(&f->arena, "%s/train", folder), classes));
    const bool all = !strcmp(split, "all");
    for (int i = 0; i < 3; i++) {
        if (!all && strcmp(split, parts[i][0]) != 0) continue;
        const char *part = part_among(folders, i);
        if (!part && all) continue;
        if (!part)
            return cj_fail(f->cj, CJ_ERR_NOT_FOUND, "%s: has no folder %s%s", folder, parts[i][0],
                           i == 1 ? ", val or valid" : "");
        CJ__TRY(add_part(f, cj__arena_printf(&f->arena, "%s/%s", folder, part), classes));
    }
    return CJ_OK;
}

static cj_status collect(cj__picture_files *f, const char *folder, const char *split)
{
    names folders, classes;
    CJ__TRY(list_folders(&f->arena, folder, &folders));
    if (find(&folders, "train") >= 0) CJ__TRY(add_parts(f, folder, &folders, split, &classes));
    else {
        if (!strcmp(split, "test") || !strcmp(split, "validation"))
            return cj_fail(f->cj, CJ_ERR_NOT_FOUND,
                           "%s: has one part, split=%s is none; parts are folders train and %s",
                           folder, split, split);
        classes = folders;
        CJ__TRY(add_part(f, folder, &classes));
    }
    if (classes.count > CLASSES_MAX)
        return cj_fail(f->cj, CJ_ERR_LIMIT, "%s: has %d classes; at most %d are possible", folder,
                       classes.count, CLASSES_MAX);
    f->classes = classes.count;
    f->class_names = classes.items;
    return CJ_OK;
}

static cj_status check_options(cj_context *cj, const char *folder, const cj_dataset_opts *o)
{
    if (o->target || o->types || o->drop || o->columns || o->header || o->delimiter || o->widths ||
        o->weight)
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "%s: target, types, drop, header, delimiter, weight, widths are for tables; "
                       "this has pictures",
                       folder);
    return CJ_OK;
}

cj_dataset *cj__class_folders_open(cj_context *cj, const char *folder, const cj_dataset_opts *opts)
{
    if (check_options(cj, folder, opts)) return NULL;
    cj__picture_files *f = cj__picture_files_new(cj, opts);
    if (!f) return NULL;
    if (!collect(f, folder, opts->split ? opts->split : "train"))
        return cj__picture_files_dataset(f, folder, opts);
    cj__picture_files_free(f);
    return NULL;
}
