/* voc.c: pictures with boxes as Pascal VOC has them (Everingham et al. 2010).
 *
 *     JPEGImages/1.jpg
 *     Annotations/1.xml             an <object> with a <name> and a <bndbox> for each thing to see
 *     ImageSets/Main/train.txt      "1", a line each; and val.txt, test.txt, trainval.txt
 *
 * Annotations of all parts are read when the folder is opened: those of the training part say which
 * classes there are, and all of them how many boxes a picture has at most, so that every part has
 * fields of one shape. Corners are taken as they stand, from the left and upper edge of the
 * picture; VOC counts pixels from 1 and others from 0, which is less than anybody draws. */
#include <string.h>

#include "base/text.h"
#include "base/xml.h"
#include "data/folder.h"
#include "data/picture_files.h"

enum { CLASSES_MAX = 1 << 16, XML_BYTES_MAX = 1 << 26 };

typedef struct object {
    struct object *next;
    const char *name;
    int line;
    float box[4];
} object;

/* What a file says: objects in its order. */
typedef struct annotation {
    struct annotation *next;
    const char *path, *picture;
    int64_t height, width;
    object *first;
    int32_t count, flat;
} annotation;

typedef struct part {
    bool wanted;
    const char *list; /* NULL: all annotations */
    annotation *first, **last;
} part;

typedef struct voc {
    cj_context *cj;
    cj__arena *arena;
    cj__picture_files *f;
    const char *folder;
    cj__stems pictures;
    part parts[CJ__PARTS];
} voc;

/* ---- A file ---------------------------------------------------------------------------------- */

static cj_status read_number(cj_context *cj, const char *path, const cj__xml *in, const char *name,
                             double *value)
{
    const cj__xml *e = cj__xml_find(in, name);
    if (!e)
        return cj_fail(cj, CJ_ERR_FORMAT, "%s: line %d: <%s> has no <%s>", path, in->line, in->name,
                       name);
    if (!cj__parse_double(e->text, e->length, value))
        return cj_fail(cj, CJ_ERR_FORMAT, "%s: line %d: <%s>: expected a number, found '%.40s'",
                       path, e->line, name, e->text);
    return CJ_OK;
}

static cj_status need(cj_context *cj, const char *path, const cj__xml *in, const char *name,
                      const cj__xml **out)
{
    *out = cj__xml_find(in, name);
    if (*out) return CJ_OK;
    return cj_fail(cj, CJ_ERR_FORMAT, "%s: line %d: <%s> has no <%s>", path, in->line, in->name,
                   name);
}

static cj_status read_size(cj_context *cj, annotation *a, const cj__xml *root)
{
    const cj__xml *size;
    double height, width;
    CJ__TRY(need(cj, a->path, root, "size", &size));
    CJ__TRY(read_number(cj, a->path, size, "width", &width));
    CJ__TRY(read_number(cj, a->path, size, "height", &height));
    if (!(height >= 1 && width >= 1 && height <= (double)CJ_PICTURE_PIXELS_MAX / width))
        return cj_fail(cj, CJ_ERR_DATA,
                       "%s: line %d: a picture of %g x %g pixels (width x height) is not possible",
                       a->path, size->line, width, height);
    a->height = (int64_t)height;
    a->width = (int64_t)width;
    return CJ_OK;
}

/* A <name> and a <bndbox>; the rest, and whether it is truncated or difficult, does not count. */
static cj_status read_object(voc *v, annotation *a, const cj__xml *e, object *o, bool *flat)
{
    static const char *const names[4] = {"xmin", "ymin", "xmax", "ymax"};
    const cj__xml *name, *box;
    double corners[4];
    CJ__TRY(need(v->cj, a->path, e, "name", &name));
    CJ__TRY(need(v->cj, a->path, e, "bndbox", &box));
    for (int k = 0; k < 4; k++)
        CJ__TRY(read_number(v->cj, a->path, box, names[k], &corners[k]));
    if (!name->length)
        return cj_fail(v->cj, CJ_ERR_DATA, "%s: line %d: <name> is empty", a->path, name->line);
    const cj_status failed = cj__picture_box(v->cj, corners, (double)a->width,
                                             (double)a->height, 1, o->box, flat);
    if (failed) return cj__prefix(v->cj, failed, "%s: line %d", a->path, e->line);
    o->line = name->line;
    o->name = cj__arena_strdup(v->arena, name->text);
    return o->name ? CJ_OK : cj_last_status(v->cj);
}

static cj_status read_objects(voc *v, annotation *a, const cj__xml *root)
{
    object **last = &a->first;
    if (strcmp(root->name, "annotation") != 0)
        return cj_fail(v->cj, CJ_ERR_FORMAT, "%s: line %d: expected <annotation>, found <%.60s>",
                       a->path, root->line, root->name);
    CJ__TRY(read_size(v->cj, a, root));
    for (const cj__xml *e = cj__xml_find(root, "object"); e; e = cj__xml_next(e, "object")) {
        bool flat = false;
        object *o = cj__arena_alloc(v->arena, sizeof *o);
        if (!o) return cj_last_status(v->cj);
        CJ__TRY(read_object(v, a, e, o, &flat));
        if (flat) {
            a->flat++;
            continue;
        }
        *last = o;
        last = &o->next;
        a->count++;
    }
    return CJ_OK;
}

static cj_status read_file(voc *v, annotation *a)
{
    cj__arena tree;
    cj__file_bytes file;
    const cj__xml *root = NULL;
    CJ__TRY(cj__file_load(v->cj, a->path, XML_BYTES_MAX, &file));
    cj__arena_init(&tree, v->cj);
    cj_status failed = cj__xml_parse(&tree, a->path, file.data, file.size, &root);
    if (!failed) failed = read_objects(v, a, root);
    cj__arena_release(&tree);
    cj__file_unload(&file);
    return failed;
}

static cj_status read_annotation(voc *v, const char *name, annotation *a)
{
    a->path = cj__arena_printf(v->arena, "%s/Annotations/%s.xml", v->folder, name);
    if (!a->path) return cj_last_status(v->cj);
    CJ__TRY(read_file(v, a));
    CJ__TRY(cj__stems_path(v->arena, &v->pictures, name, &a->picture));
    if (a->picture) return CJ_OK;
    return cj_fail(v->cj, CJ_ERR_NOT_FOUND, "%s: its picture is missing: %s has no %s.jpg or .png",
                   a->path, v->pictures.folder, name);
}

/* ---- Parts ----------------------------------------------------------------------------------- */

static cj_status list_names(voc *v, const part *p, cj__names *names)
{
    cj__stems all;
    if (p->list && *p->list) return cj__folder_read_list(v->arena, p->list, names);
    *names = (cj__names){.arena = v->arena};
    const char *folder = cj__arena_printf(v->arena, "%s/Annotations", v->folder);
    if (!folder) return cj_last_status(v->cj);
    CJ__TRY(cj__folder_list_stems(v->arena, folder, ".xml", &all));
    for (int64_t i = 0; i < all.count; i++) CJ__TRY(cj__names_add(names, all.items[i]->stem));
    if (all.count) return CJ_OK;
    return cj_fail(v->cj, CJ_ERR_DATA, "%s: has no annotations; expected files such as 1.xml",
                   folder);
}

/* Of a part that is neither asked for nor the one that classes come from, only the number of boxes
 * matters, and what cannot be read of it has none. */
static cj_status read_part(voc *v, int i)
{
    part *p = &v->parts[i];
    const bool matters = p->wanted || i == CJ__PART_TRAIN;
    cj__names names;
    cj_status failed = list_names(v, p, &names);
    if (failed) return matters || !cj__picture_files_is_bad(failed) ? failed : CJ_OK;
    p->last = &p->first;
    for (int64_t k = 0; k < names.count; k++) {
        annotation *a = cj__arena_alloc(v->arena, sizeof *a);
        if (!a) return cj_last_status(v->cj);
        CJ__TRY(cj__check_cancel(v->cj));
        failed = read_annotation(v, names.items[k], a);
        if (failed && !matters && cj__picture_files_is_bad(failed)) continue;
        if (failed) {
            CJ__TRY(cj__picture_files_bad(v->f, failed));
            continue;
        }
        *p->last = a;
        p->last = &a->next;
        if (a->count > v->f->most) v->f->most = a->count;
    }
    return CJ_OK;
}

static cj_status find_parts(voc *v, const char *split)
{
    const char *main_folder = cj__arena_printf(v->arena, "%s/ImageSets/Main", v->folder);
    const char *at[CJ__PARTS] = {NULL};
    bool wanted[CJ__PARTS], both = false;
    if (!main_folder) return cj_last_status(v->cj);
    CJ__TRY(cj__folder_find_parts(v->arena, main_folder, ".txt", at));
    if (!at[CJ__PART_TRAIN]) {
        CJ__TRY(cj__folder_has(v->arena, main_folder, "trainval.txt", &both));
        at[CJ__PART_TRAIN] =
            both ? cj__arena_printf(v->arena, "%s/trainval.txt", main_folder) : "";
        if (!at[CJ__PART_TRAIN]) return cj_last_status(v->cj);
        if (!both) at[CJ__PART_VALIDATION] = at[CJ__PART_TEST] = NULL;
    }
    CJ__TRY(cj__folder_choose(v->cj, v->folder, at, split,
                              "lists train.txt, val.txt and test.txt in ImageSets/Main", wanted));
    for (int i = 0; i < CJ__PARTS; i++) v->parts[i] = (part){.wanted = wanted[i], .list = at[i]};
    return CJ_OK;
}

/* ---- Classes --------------------------------------------------------------------------------- */

static cj_status find_classes(voc *v, const cj_dataset_opts *opts, cj__names *classes)
{
    *classes = (cj__names){.arena = v->arena};
    for (int i = 0; opts->class_names && i < opts->classes; i++)
        CJ__TRY(cj__names_add(classes, cj__arena_strdup(v->arena, opts->class_names[i])));
    if (classes->count) return CJ_OK;
    for (const annotation *a = v->parts[CJ__PART_TRAIN].first; a; a = a->next)
        for (const object *o = a->first; o; o = o->next) {
            CJ__TRY(cj__names_insert(classes, o->name));
            if (classes->count > CLASSES_MAX)
                return cj_fail(v->cj, CJ_ERR_LIMIT, "%s: has more than %d classes", v->folder,
                               CLASSES_MAX);
        }
    if (classes->count) return CJ_OK;
    return cj_fail(v->cj, CJ_ERR_DATA, "%s: the training part has no object, so there are no "
                   "classes", v->folder);
}

static cj_status add_picture(voc *v, const annotation *a, const cj__names *classes)
{
    float *boxes = cj__arena_array(v->arena, (size_t)a->count * CJ__BOX, sizeof *boxes);
    cj__picture_record record = {.path = a->picture,
                                 .boxes = boxes,
                                 .n_boxes = a->count,
                                 .source = a->path,
                                 .height = a->height,
                                 .width = a->width};
    if (!boxes) return cj_last_status(v->cj);
    for (const object *o = a->first; o; o = o->next, boxes += CJ__BOX) {
        const int64_t label = cj__names_find(classes, o->name);
        if (label < 0)
            return cj__picture_files_bad(
                v->f, cj_fail(v->cj, CJ_ERR_DATA, "%s: line %d: '%.60s' is no class of the "
                              "training part", a->path, o->line, o->name));
        boxes[0] = (float)label;
        memcpy(boxes + 1, o->box, sizeof o->box);
    }
    v->f->flat += a->flat;
    return cj__picture_files_add(v->f, &record);
}

static cj_status collect(voc *v, const cj_dataset_opts *opts)
{
    cj__names classes;
    const char *pictures = cj__arena_printf(v->arena, "%s/JPEGImages", v->folder);
    if (!pictures) return cj_last_status(v->cj);
    v->f->target = CJ_FIELD_BOXES;
    v->f->most = 1;
    CJ__TRY(find_parts(v, opts->split));
    CJ__TRY(cj__folder_list_stems(v->arena, pictures, NULL, &v->pictures));
    for (int i = 0; i < CJ__PARTS; i++)
        if (v->parts[i].list) CJ__TRY(read_part(v, i));
    CJ__TRY(find_classes(v, opts, &classes));
    for (int i = 0; i < CJ__PARTS; i++)
        for (const annotation *a = v->parts[i].wanted ? v->parts[i].first : NULL; a; a = a->next)
            CJ__TRY(add_picture(v, a, &classes));
    v->f->classes = (int)classes.count;
    v->f->class_names = classes.items;
    return CJ_OK;
}

static cj_dataset *open_voc(cj_context *cj, const char *folder, const cj_dataset_opts *opts)
{
    if (cj__picture_files_options(cj, folder, opts, "boxes")) return NULL;
    voc v = {.cj = cj, .folder = folder, .f = cj__picture_files_new(cj, opts)};
    if (!v.f) return NULL;
    v.arena = &v.f->arena;
    if (!collect(&v, opts)) return cj__picture_files_dataset(v.f, folder, opts);
    cj__picture_files_free(v.f);
    return NULL;
}

static cj_status look(cj_context *cj, const char *folder, const cj_dataset_opts *opts, bool *found)
{
    cj__arena arena;
    bool annotations = false, pictures = false;
    cj__arena_init(&arena, cj);
    cj_status failed = cj__folder_has(&arena, folder, "Annotations", &annotations);
    if (!failed) failed = cj__folder_has(&arena, folder, "JPEGImages", &pictures);
    *found = annotations && pictures && !(opts->target && !strcmp(opts->target, "mask"));
    cj__arena_release(&arena);
    return failed;
}

const cj__folder_kind cj__folder_voc = {.name = "voc",
                                        .knows_auto = true,
                                        .has_validation = true,
                                        .look = look,
                                        .open = open_voc};
