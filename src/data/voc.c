/* voc.c: pictures with boxes as Pascal VOC has them (Everingham et al. 2010).
 *
 *     JPEGImages/1.jpg
 *     Annotations/1.xml             an <object> with a <name> and a <bndbox> for each thing to see
 *     ImageSets/Main/train.txt      "1", a line each; and val.txt, test.txt, trainval.txt
 *
 * Corners are taken as they stand, from the left and upper edge of the picture; VOC counts pixels
 * from 1 and others from 0, which is less than anybody draws. */
#include <string.h>

#include "base/text.h"
#include "base/xml.h"
#include "data/boxes.h"

enum { XML_BYTES_MAX = 1 << 26 };

typedef struct voc {
    cj__boxes b;
    cj__stems pictures;
    const char *lists[CJ__PARTS]; /* NULL: there is no such part; "": all annotations */
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

static cj_status read_size(cj_context *cj, cj__annotation *a, const cj__xml *root)
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
static cj_status read_object(cj__boxes *b, cj__annotation *a, const cj__xml *e)
{
    static const char *const names[4] = {"xmin", "ymin", "xmax", "ymax"};
    const cj__xml *name, *box;
    cj__object *o;
    double corners[4];
    CJ__TRY(need(b->cj, a->path, e, "name", &name));
    CJ__TRY(need(b->cj, a->path, e, "bndbox", &box));
    for (int k = 0; k < 4; k++)
        CJ__TRY(read_number(b->cj, a->path, box, names[k], &corners[k]));
    if (!name->length)
        return cj_fail(b->cj, CJ_ERR_DATA, "%s: line %d: <name> is empty", a->path, name->line);
    const cj_status failed = cj__boxes_object(b, a, corners, (double)a->width, (double)a->height, 1,
                                              &o);
    if (failed) return cj__prefix(b->cj, failed, "%s: line %d", a->path, e->line);
    if (!o) return CJ_OK;
    o->line = name->line;
    o->name = cj__arena_strdup(b->arena, name->text);
    return o->name ? CJ_OK : cj_last_status(b->cj);
}

static cj_status read_objects(cj__boxes *b, cj__annotation *a, const cj__xml *root)
{
    if (strcmp(root->name, "annotation") != 0)
        return cj_fail(b->cj, CJ_ERR_FORMAT, "%s: line %d: expected <annotation>, found <%.60s>",
                       a->path, root->line, root->name);
    CJ__TRY(read_size(b->cj, a, root));
    for (const cj__xml *e = cj__xml_find(root, "object"); e; e = cj__xml_next(e, "object"))
        CJ__TRY(read_object(b, a, e));
    return CJ_OK;
}

static cj_status read_file(cj__boxes *b, cj__annotation *a)
{
    cj__arena tree;
    cj__file_bytes file;
    const cj__xml *root = NULL;
    CJ__TRY(cj__file_load(b->cj, a->path, XML_BYTES_MAX, &file));
    cj__arena_init(&tree, b->cj);
    cj_status failed = cj__xml_parse(&tree, a->path, file.data, file.size, &root);
    if (!failed) failed = read_objects(b, a, root);
    cj__arena_release(&tree);
    cj__file_unload(&file);
    return failed;
}

static cj_status read_annotation(voc *v, const char *name, cj__annotation *a)
{
    cj__boxes *b = &v->b;
    a->path = cj__arena_printf(b->arena, "%s/Annotations/%s.xml", b->folder, name);
    if (!a->path) return cj_last_status(b->cj);
    CJ__TRY(read_file(b, a));
    CJ__TRY(cj__stems_path(b->arena, &v->pictures, name, &a->picture));
    if (a->picture) return CJ_OK;
    return cj_fail(b->cj, CJ_ERR_NOT_FOUND, "%s: its picture is missing: %s has no %s.jpg or .png",
                   a->path, v->pictures.folder, name);
}

/* ---- Parts ----------------------------------------------------------------------------------- */

static cj_status list_names(const cj__boxes *b, const char *list, cj__names *names)
{
    cj__stems all;
    if (*list) return cj__folder_read_list(b->arena, list, names);
    *names = (cj__names){.arena = b->arena};
    const char *folder = cj__arena_printf(b->arena, "%s/Annotations", b->folder);
    if (!folder) return cj_last_status(b->cj);
    CJ__TRY(cj__folder_list_stems(b->arena, folder, ".xml", &all));
    for (int64_t i = 0; i < all.count; i++) CJ__TRY(cj__names_add(names, all.items[i]->stem));
    if (all.count) return CJ_OK;
    return cj_fail(b->cj, CJ_ERR_DATA, "%s: has no annotations; expected files such as 1.xml",
                   folder);
}

static cj_status read_part(voc *v, int part)
{
    cj__boxes *b = &v->b;
    cj__names names;
    cj_status failed = list_names(b, v->lists[part], &names);
    if (failed && !cj__boxes_matter(b, part) && cj__picture_files_is_bad(failed)) return CJ_OK;
    CJ__TRY(failed);
    for (int64_t i = 0; i < names.count; i++) {
        cj__annotation *a = cj__boxes_annotation(b);
        if (!a) return cj_last_status(b->cj);
        CJ__TRY(cj__check_cancel(b->cj));
        failed = read_annotation(v, names.items[i], a);
        CJ__TRY(cj__boxes_add(b, part, a, failed));
    }
    return CJ_OK;
}

static cj_status find_parts(cj__arena *arena, const char *folder, const char *at[])
{
    const char *lists = cj__arena_printf(arena, "%s/ImageSets/Main", folder);
    bool both = false;
    if (!lists) return cj_last_status(arena->cj);
    CJ__TRY(cj__folder_find_parts(arena, lists, ".txt", at));
    if (!at[CJ__PART_TRAIN]) {
        CJ__TRY(cj__folder_has(arena, lists, "trainval.txt", &both));
        at[CJ__PART_TRAIN] = both ? cj__arena_printf(arena, "%s/trainval.txt", lists) : "";
        if (!at[CJ__PART_TRAIN]) return cj_last_status(arena->cj);
        at[CJ__PART_VALIDATION] = NULL; /* it is a part of trainval.txt */
        if (!both) at[CJ__PART_TEST] = NULL;
    }
    return CJ_OK;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static cj_status collect(voc *v, const cj_dataset_opts *opts)
{
    const char *pictures = cj__arena_printf(v->b.arena, "%s/JPEGImages", v->b.folder);
    if (!pictures) return cj_last_status(v->b.cj);
    CJ__TRY(find_parts(v->b.arena, v->b.folder, v->lists));
    CJ__TRY(cj__folder_choose(v->b.cj, v->b.folder, v->lists, opts->split,
                              "lists train.txt, val.txt and test.txt in ImageSets/Main",
                              v->b.wanted));
    CJ__TRY(cj__folder_list_stems(v->b.arena, pictures, NULL, &v->pictures));
    for (int i = 0; i < CJ__PARTS; i++)
        if (v->lists[i]) CJ__TRY(read_part(v, i));
    return cj__boxes_find_classes(&v->b);
}

static cj_dataset *open_voc(cj_context *cj, const char *folder, const cj_dataset_opts *opts)
{
    voc v = {.lists = {NULL}};
    return cj__boxes_begin(&v.b, cj, folder, opts)
               ? NULL
               : cj__boxes_end(&v.b, opts, collect(&v, opts));
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

const cj__folder_kind cj__folder_voc = {
    .row = {.name = "voc",
            .doc = "pictures with boxes, as Pascal VOC has them",
            .files = "Annotations/NAME.xml, JPEGImages/NAME.jpg; ImageSets/Main/train.txt, "
                     "val.txt, test.txt"},
    .knows_auto = true,
    .find_parts = find_parts,
    .look = look,
    .open = open_voc};
