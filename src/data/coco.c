/* coco.c: pictures with boxes as COCO has them (Lin et al. 2014): one JSON file for a part.
 *
 *     annotations/instances_train2017.json      and instances_val2017.json, instances_test...json
 *     train2017/000000000009.jpg                or images/train2017/, or images/
 *
 * or train/_annotations.coco.json with its pictures beside it (and valid/, test/), or one such file
 * alone, whose pictures lie beside it or in the folder images there:
 *
 *     {"images":      [{"id": 9, "file_name": "9.jpg", "height": 480, "width": 640}, ...],
 *      "annotations": [{"id": 1, "image_id": 9, "category_id": 3, "iscrowd": 0,
 *                       "bbox": [x, y, width, height]}, ...],
 *      "categories":  [{"id": 3, "name": "car"}, ...]}
 *
 * Class 0 is the category with the smallest id in the training part. A file is read as a whole, and
 * its tree is large: some twenty times its bytes while the data set is opened. */
#include <string.h>

#include "base/json.h"
#include "base/sort.h"
#include "data/boxes.h"
#include "data/format.h"

/* Where a part is. */
typedef struct part {
    const char *json, *pictures; /* NULL: there is none */
} part;

/* An item by its id: a picture, or a category. */
typedef struct item {
    int64_t id;
    cj__annotation *picture;
    bool bad; /* the picture is left out: it, or a box of it, is wrong */
    const char *name;
    int64_t label; /* of the category's class; -1: it is none */
} item;

typedef struct items {
    item *all;     /* in the file's order */
    item **sorted; /* by id */
    size_t count;
} items;

typedef struct coco {
    cj__boxes b;
    part parts[CJ__PARTS];
} coco;

/* What is read of one file. */
typedef struct reader {
    cj__boxes *b;
    int which; /* of CJ__PARTS */
    const part *part;
    const char *json; /* its path, as long as the data set */
    cj__arena tree;
    items pictures, categories;
    cj__names there; /* files in the folder of pictures */
} reader;

/* ---- Values ---------------------------------------------------------------------------------- */

static cj_status fail_at(const reader *r, const char *list, size_t i, const char *expected)
{
    return cj_fail(r->b->cj, CJ_ERR_FORMAT, "%s: %s[%zu]: expected %s", r->part->json, list, i,
                   expected);
}

static bool get_int(const cj__json *object, const char *key, int64_t *value)
{
    const cj__json *v = cj__json_find(object, key);
    if (!v || v->type != CJ__JSON_NUMBER || !v->is_integer) return false;
    *value = v->integer;
    return true;
}

static const char *get_text(const cj__json *object, const char *key)
{
    const cj__json *v = cj__json_find(object, key);
    return v && v->type == CJ__JSON_STRING && v->length && strlen(v->string) == v->length
               ? v->string
               : NULL;
}

static cj_status get_list(const reader *r, const cj__json *root, const char *key,
                          const cj__json **list)
{
    *list = cj__json_find(root, key);
    if (*list && (*list)->type == CJ__JSON_ARRAY) return CJ_OK;
    return cj_fail(r->b->cj, CJ_ERR_FORMAT,
                   "%s: has no list '%s'; expected images, annotations and categories",
                   r->part->json, key);
}

/* ---- Items ----------------------------------------------------------------------------------- */

static int compare_items(const void *a, const void *b)
{
    const item *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static cj_status sort_items(const reader *r, items *all, const char *list)
{
    for (size_t i = 0; i < all->count; i++) all->sorted[i] = &all->all[i];
    cj__sort((const void **)all->sorted, all->count, compare_items);
    for (size_t i = 1; i < all->count; i++)
        if (all->sorted[i - 1]->id == all->sorted[i]->id)
            return cj_fail(r->b->cj, CJ_ERR_DATA, "%s: %s: the id %lld comes twice", r->part->json,
                           list, (long long)all->sorted[i]->id);
    return CJ_OK;
}

static item *find_item(const items *all, int64_t id)
{
    size_t from = 0, to = all->count;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        item *at = all->sorted[middle];
        if (at->id == id) return at;
        if (id < at->id) to = middle;
        else from = middle + 1;
    }
    return NULL;
}

static cj_status new_items(reader *r, size_t count, items *all)
{
    all->count = 0;
    all->all = cj__arena_array(&r->tree, count + 1, sizeof *all->all);
    all->sorted = cj__arena_array(&r->tree, count + 1, sizeof *all->sorted);
    return all->all && all->sorted ? CJ_OK : cj_last_status(r->b->cj);
}

/* ---- Pictures -------------------------------------------------------------------------------- */

/* The file of a picture, which must be there; names with folders in them are looked up alone. */
static cj_status find_file(reader *r, const char *name, const char **path)
{
    cj_context *cj = r->b->cj;
    char *inside;
    cj_file_info info = {.kind = CJ_FILE_REGULAR};
    int64_t place;
    const cj_status refused = cj__file_inside(cj, r->part->pictures, name, &inside);
    if (refused) return cj__prefix(cj, refused, "%s", r->part->json);
    *path = cj__arena_strdup(r->b->arena, inside);
    cj__free(cj, inside, strlen(inside) + 1);
    if (!*path) return cj_last_status(cj);
    if (strchr(name, '/')) CJ__TRY(cj__file_info(cj, *path, &info));
    else if (!cj__names_search(&r->there, name, &place)) info.kind = CJ_FILE_NONE;
    if (info.kind == CJ_FILE_REGULAR) return CJ_OK;
    return cj_fail(cj, CJ_ERR_NOT_FOUND, "%s: the picture '%.100s' is missing in %s", r->part->json,
                   name, r->part->pictures);
}

/* A picture, or a box of it, is wrong, which is told once. */
static cj_status leave_out(reader *r, item *it, cj_status failed)
{
    if (!failed || it->bad) return CJ_OK;
    it->bad = true;
    return cj__boxes_add(r->b, r->which, it->picture, failed);
}

static cj_status read_picture(reader *r, const cj__json *object, size_t i, item *it)
{
    cj__annotation *a = it->picture = cj__boxes_annotation(r->b);
    const char *name = get_text(object, "file_name");
    if (!a) return cj_last_status(r->b->cj);
    if (!get_int(object, "id", &it->id) || !name || !get_int(object, "height", &a->height) ||
        !get_int(object, "width", &a->width) || a->height < 1 || a->width < 1 ||
        a->height > CJ_PICTURE_PIXELS_MAX / a->width)
        return fail_at(r, "images", i, "an id, a file_name, and height and width from 1");
    a->path = r->json;
    return leave_out(r, it, find_file(r, name, &a->picture));
}

static cj_status read_pictures(reader *r, const cj__json *list)
{
    size_t i = 0;
    CJ__TRY(cj__folder_list(&r->tree, r->part->pictures, &r->there));
    CJ__TRY(new_items(r, list->count, &r->pictures));
    for (const cj__json *object = list->first; object; object = object->next, i++)
        CJ__TRY(read_picture(r, object, i, &r->pictures.all[r->pictures.count++]));
    return sort_items(r, &r->pictures, "images");
}

/* ---- Categories and boxes -------------------------------------------------------------------- */

static cj_status read_categories(reader *r, const cj__json *list)
{
    size_t i = 0;
    CJ__TRY(new_items(r, list->count, &r->categories));
    for (const cj__json *object = list->first; object; object = object->next, i++) {
        item *it = &r->categories.all[r->categories.count++];
        const char *name = get_text(object, "name");
        if (!get_int(object, "id", &it->id) || !name)
            return fail_at(r, "categories", i, "an id and a name");
        if (!(it->name = cj__arena_strdup(r->b->arena, name))) return cj_last_status(r->b->cj);
    }
    return sort_items(r, &r->categories, "categories");
}

/* Those of the first file, in the order of their ids. */
static cj_status take_classes(reader *r)
{
    cj__names *classes = &r->b->classes;
    if (classes->count) return CJ_OK;
    if (!r->categories.count || r->categories.count > CJ__BOX_CLASSES_MAX)
        return cj_fail(r->b->cj, CJ_ERR_DATA, "%s: has %zu categories, expected 1 to %d",
                       r->part->json, r->categories.count, CJ__BOX_CLASSES_MAX);
    for (size_t i = 0; i < r->categories.count; i++) {
        const char *name = r->categories.sorted[i]->name;
        if (cj__names_find(classes, name) >= 0)
            return cj_fail(r->b->cj, CJ_ERR_DATA, "%s: categories: the name '%.60s' comes twice",
                           r->part->json, name);
        CJ__TRY(cj__names_add(classes, name));
    }
    return CJ_OK;
}

static bool get_box(const cj__json *object, double corners[4])
{
    const cj__json *box = cj__json_find(object, "bbox"), *v = box ? box->first : NULL;
    if (!box || box->type != CJ__JSON_ARRAY || box->count != 4) return false;
    for (int k = 0; k < 4; k++, v = v->next) {
        if (v->type != CJ__JSON_NUMBER) return false;
        corners[k] = v->number + (k < 2 ? 0 : corners[k - 2]);
    }
    return true;
}

static cj_status read_box(reader *r, const cj__json *object, size_t i)
{
    cj__boxes *b = r->b;
    int64_t picture, category, crowd = 0;
    double corners[4];
    cj__object *o;
    if (!get_int(object, "image_id", &picture) || !get_int(object, "category_id", &category) ||
        !get_box(object, corners))
        return fail_at(r, "annotations", i, "an image_id, a category_id and a bbox of 4 numbers");
    item *of = find_item(&r->pictures, picture), *is = find_item(&r->categories, category);
    if (!of || !is)
        return cj_fail(b->cj, CJ_ERR_DATA, "%s: annotations[%zu]: there is no %s %lld",
                       r->part->json, i, of ? "category" : "picture",
                       (long long)(of ? category : picture));
    cj__annotation *a = of->picture;
    get_int(object, "iscrowd", &crowd);
    a->crowds += crowd != 0;
    if (crowd) return CJ_OK;
    const cj_status failed = cj__boxes_object(b, a, corners, (double)a->width, (double)a->height, 1,
                                              &o);
    if (failed)
        return leave_out(r, of, cj__prefix(b->cj, failed, "%s: annotations[%zu]", r->part->json,
                                           i));
    if (!o) return CJ_OK;
    o->line = (int64_t)i;
    o->name = is->name;
    o->label = is->label;
    return CJ_OK;
}

/* ---- Parts ----------------------------------------------------------------------------------- */

static cj_status read_lists(reader *r, const cj__json *root)
{
    const cj__json *pictures, *boxes, *categories;
    size_t i = 0;
    CJ__TRY(get_list(r, root, "images", &pictures));
    CJ__TRY(get_list(r, root, "annotations", &boxes));
    CJ__TRY(get_list(r, root, "categories", &categories));
    CJ__TRY(read_categories(r, categories));
    CJ__TRY(take_classes(r));
    for (i = 0; i < r->categories.count; i++) {
        item *it = &r->categories.all[i];
        it->label = cj__names_find(&r->b->classes, it->name);
    }
    CJ__TRY(read_pictures(r, pictures));
    i = 0;
    for (const cj__json *object = boxes->first; object; object = object->next, i++)
        CJ__TRY(read_box(r, object, i));
    for (i = 0; i < r->pictures.count; i++)
        if (!r->pictures.all[i].bad)
            CJ__TRY(cj__boxes_add(r->b, r->which, r->pictures.all[i].picture, CJ_OK));
    return CJ_OK;
}

static cj_status read_part(coco *c, int which)
{
    reader r = {.b = &c->b, .which = which, .part = &c->parts[which]};
    cj__file_bytes file;
    const cj__json *root = NULL;
    r.json = r.part->json;
    CJ__TRY(cj__check_cancel(r.b->cj));
    CJ__TRY(cj__file_load(r.b->cj, r.json, 0, &file));
    cj__arena_init(&r.tree, r.b->cj);
    cj_status failed = cj__json_parse(&r.tree, r.json, file.data, file.size, NULL, &root);
    if (!failed) failed = read_lists(&r, root);
    cj__arena_release(&r.tree);
    cj__file_unload(&file);
    return failed && !cj__boxes_matter(r.b, which) && cj__picture_files_is_bad(failed) ? CJ_OK
                                                                                      : failed;
}

static const char instances[] = "instances_";

/* annotations/instances_NAME*.json, of which there must be one at most. */
static cj_status find_json(cj__arena *arena, const char *folder, const cj__names *files,
                           const char *const *names, const char **json)
{
    *json = NULL;
    for (int k = 0; names[k]; k++)
        for (int64_t i = 0; i < files->count; i++) {
            const char *file = files->items[i];
            const size_t length = strlen(file), n = strlen(instances);
            if (strncmp(file, instances, n) != 0 || strncmp(file + n, names[k], strlen(names[k])) ||
                length < 5 || strcmp(file + length - 5, ".json") != 0)
                continue;
            if (*json && !strcmp(*json, file)) continue;
            if (*json)
                return cj_fail(arena->cj, CJ_ERR_DATA,
                               "%s/annotations: %s and %s are both for one part; name one of them "
                               "as the data", folder, *json, file);
            *json = file;
        }
    return CJ_OK;
}

/* Where the pictures of instances_train2017.json are. */
static cj_status find_pictures(cj__arena *arena, const char *folder, const char *json,
                               const char **pictures)
{
    const size_t begin = strncmp(json, instances, strlen(instances)) ? 0 : strlen(instances);
    const char *name = json + begin;
    const int n = (int)(strlen(name) - 5);
    const char *places[3] = {cj__arena_printf(arena, "%s/%.*s", folder, n, name),
                             cj__arena_printf(arena, "%s/images/%.*s", folder, n, name),
                             cj__arena_printf(arena, "%s/images", folder)};
    for (int i = 0; i < 3; i++) {
        bool is = false;
        CJ__TRY(cj__folder_is(arena, places[i], &is));
        if (!is) continue;
        *pictures = places[i];
        return CJ_OK;
    }
    return cj_fail(arena->cj, CJ_ERR_NOT_FOUND, "%s: has no folder with the pictures of %s; looked "
                   "for %s, %s and %s", folder, json, places[0], places[1], places[2]);
}

static cj_status find_annotations(cj__arena *arena, const char *folder, part parts[CJ__PARTS])
{
    bool there = false;
    cj__names files;
    const char *json, *annotations = cj__arena_printf(arena, "%s/annotations", folder);
    CJ__TRY(cj__folder_is(arena, annotations, &there));
    if (!there) return CJ_OK;
    CJ__TRY(cj__folder_list(arena, annotations, &files));
    for (int i = 0; i < CJ__PARTS; i++) {
        CJ__TRY(find_json(arena, folder, &files, cj__part_names[i], &json));
        if (!json) continue;
        CJ__TRY(find_pictures(arena, folder, json, &parts[i].pictures));
        if (!(parts[i].json = cj__arena_printf(arena, "%s/%s", annotations, json)))
            return cj_last_status(arena->cj);
    }
    return CJ_OK;
}

/* The files of a folder, which has none when parts stay empty. */
static cj_status find_files(cj__arena *arena, const char *folder, part parts[CJ__PARTS])
{
    static const char name[] = "_annotations.coco.json";
    const char *at[CJ__PARTS];
    memset(parts, 0, CJ__PARTS * sizeof *parts);
    CJ__TRY(find_annotations(arena, folder, parts));
    if (parts[0].json || parts[1].json || parts[2].json) return CJ_OK;
    CJ__TRY(cj__folder_find_parts(arena, folder, "", at));
    for (int i = 0; i < CJ__PARTS; i++) {
        bool there = false;
        if (at[i]) CJ__TRY(cj__folder_has(arena, at[i], name, &there));
        if (!there) continue;
        parts[i].pictures = at[i];
        if (!(parts[i].json = cj__arena_printf(arena, "%s/%s", at[i], name)))
            return cj_last_status(arena->cj);
    }
    return CJ_OK;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static cj_status collect(coco *c, const cj_dataset_opts *opts)
{
    cj__boxes *b = &c->b;
    const char *at[CJ__PARTS];
    for (int i = 0; i < CJ__PARTS; i++) at[i] = c->parts[i].json;
    CJ__TRY(cj__folder_choose(b->cj, b->folder, at, opts->split,
                              "instances_train*.json, val* and test* in annotations, or folders "
                              "train, val and test with _annotations.coco.json", b->wanted));
    for (int i = 0; i < CJ__PARTS; i++)
        if (at[i]) CJ__TRY(read_part(c, i));
    return CJ_OK;
}

static cj_dataset *open_folder(cj_context *cj, const char *folder, const cj_dataset_opts *opts)
{
    coco c = {.parts = {{NULL, NULL}}};
    if (cj__boxes_begin(&c.b, cj, folder, opts)) return NULL;
    c.b.unit = "annotation";
    cj_status failed = find_files(c.b.arena, folder, c.parts);
    if (!failed) failed = collect(&c, opts);
    return cj__boxes_end(&c.b, opts, failed);
}

/* One file is one part. In a folder `annotations` it has its pictures where they are when that
 * folder's own is opened, else in images/ or beside it. */
static cj_status find_alone(coco *c, const char *path)
{
    static const char annotations[] = "annotations";
    cj__arena *arena = c->b.arena;
    part *p = &c->parts[CJ__PART_TRAIN];
    const char *slash = strrchr(path, '/');
    char *folder = slash ? cj__arena_printf(arena, "%.*s", (int)(slash - path), path)
                         : cj__arena_strdup(arena, ".");
    const char *images = folder ? cj__arena_printf(arena, "%s/images", folder) : NULL;
    bool is = false;
    CJ__TRY(cj__folder_is(arena, images, &is));
    char *last = strrchr(folder, '/');
    if (last && !strcmp(last + 1, annotations) && strlen(slash + 1) > 5) {
        *last = 0;
        CJ__TRY(find_pictures(arena, folder, slash + 1, &images));
        is = true;
    }
    p->pictures = is ? images : folder;
    p->json = cj__arena_strdup(arena, path);
    return p->json ? CJ_OK : cj_last_status(arena->cj);
}

static cj_dataset *open_file(cj_context *cj, const char *path, const cj_dataset_opts *opts)
{
    coco c = {.parts = {{NULL, NULL}}};
    if (cj__boxes_begin(&c.b, cj, path, opts)) return NULL;
    c.b.unit = "annotation";
    cj_status failed = find_alone(&c, path);
    if (!failed) failed = collect(&c, opts);
    return cj__boxes_end(&c.b, opts, failed);
}

static cj_status find_parts(cj__arena *arena, const char *folder, const char *at[])
{
    part parts[CJ__PARTS];
    CJ__TRY(find_files(arena, folder, parts));
    for (int i = 0; i < CJ__PARTS; i++) at[i] = parts[i].json;
    return CJ_OK;
}

static cj_status look(cj_context *cj, const char *folder, const cj_dataset_opts *opts, bool *found)
{
    part parts[CJ__PARTS];
    cj__arena arena;
    (void)opts;
    cj__arena_init(&arena, cj);
    const cj_status failed = find_files(&arena, folder, parts);
    *found = !failed && (parts[0].json || parts[1].json || parts[2].json);
    cj__arena_release(&arena);
    return failed;
}

const cj__folder_kind cj__folder_coco = {
    .row = {.name = "coco",
            .doc = "pictures with boxes, as COCO has them",
            .files = "annotations/instances_train*.json, val*, test* and the pictures in "
                     "train* or images; or train/_annotations.coco.json"},
    .knows_auto = true,
    .find_parts = find_parts,
    .look = look,
    .open = open_folder};

const cj__file_format cj__format_coco = {
    .row = {.name = "coco",
            .suffixes = ".json",
            .doc = "pictures with boxes in one file of COCO's; the pictures lie beside it or in "
                   "images/"},
    .knows_auto = true,
    .open = open_file};
