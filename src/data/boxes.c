/* boxes.c: annotations of parts become samples with boxes.
 *
 * All parts are read when a folder is opened: the training part says which classes there are, and
 * all of them how many boxes a picture has at most, so that every part has fields of one shape. */
#include "data/boxes.h"

#include <string.h>

cj_status cj__boxes_begin(cj__boxes *b, cj_context *cj, const char *folder,
                          const cj_dataset_opts *opts)
{
    *b = (cj__boxes){.cj = cj, .folder = folder, .unit = "line"};
    CJ__TRY(cj__picture_files_options(cj, folder, opts, "boxes"));
    if (!(b->f = cj__picture_files_new(cj, opts))) return cj_last_status(cj);
    b->arena = &b->f->arena;
    b->f->target = CJ_FIELD_BOXES;
    b->f->most = 1;
    b->classes = (cj__names){.arena = b->arena};
    for (int i = 0; i < CJ__PARTS; i++) b->last[i] = &b->first[i];
    cj_status failed = CJ_OK;
    for (int i = 0; opts->class_names && i < opts->classes && !failed; i++)
        failed = cj__names_add(&b->classes, cj__arena_strdup(b->arena, opts->class_names[i]));
    if (failed) cj__picture_files_free(b->f);
    return failed;
}

bool cj__boxes_matter(const cj__boxes *b, int part)
{
    return b->wanted[part] || part == CJ__PART_TRAIN;
}

cj__annotation *cj__boxes_annotation(cj__boxes *b)
{
    cj__annotation *a = cj__arena_alloc(b->arena, sizeof *a);
    if (a) a->last = &a->first;
    return a;
}

cj_status cj__boxes_add(cj__boxes *b, int part, cj__annotation *a, cj_status failed)
{
    if (failed && !cj__boxes_matter(b, part) && cj__picture_files_is_bad(failed)) return CJ_OK;
    if (failed) return cj__picture_files_bad(b->f, failed);
    *b->last[part] = a;
    b->last[part] = &a->next;
    if (a->count > b->f->most) b->f->most = a->count;
    return CJ_OK;
}

cj_status cj__boxes_object(cj__boxes *b, cj__annotation *a, const double corners[4], double width,
                           double height, double slack, cj__object **object)
{
    bool flat;
    float box[4];
    *object = NULL;
    CJ__TRY(cj__picture_box(b->cj, corners, width, height, slack, box, &flat));
    a->flat += flat;
    if (flat) return CJ_OK;
    cj__object *o = cj__arena_alloc(b->arena, sizeof *o);
    if (!o) return cj_last_status(b->cj);
    memcpy(o->box, box, sizeof box);
    o->label = -1;
    *a->last = o;
    a->last = &o->next;
    a->count++;
    *object = o;
    return CJ_OK;
}

cj_status cj__boxes_find_classes(cj__boxes *b)
{
    if (b->classes.count) return CJ_OK;
    b->sorted = true;
    for (const cj__annotation *a = b->first[CJ__PART_TRAIN]; a; a = a->next)
        for (const cj__object *o = a->first; o; o = o->next) {
            CJ__TRY(cj__names_insert(&b->classes, o->name));
            if (b->classes.count > CJ__BOX_CLASSES_MAX)
                return cj_fail(b->cj, CJ_ERR_LIMIT, "%s: has more than %d classes", b->folder,
                               CJ__BOX_CLASSES_MAX);
        }
    if (b->classes.count) return CJ_OK;
    return cj_fail(b->cj, CJ_ERR_DATA,
                   "%s: the training part has no object, so there are no classes", b->folder);
}

static cj_status label_of(cj__boxes *b, const cj__annotation *a, const cj__object *o,
                          int64_t *label)
{
    bool known = o->label >= 0 && o->label < b->classes.count;
    *label = o->label;
    if (o->label < 0 && b->sorted) known = cj__names_search(&b->classes, o->name, label);
    else if (o->label < 0) known = (*label = cj__names_find(&b->classes, o->name)) >= 0;
    if (known) return CJ_OK;
    if (o->name)
        return cj_fail(b->cj, CJ_ERR_DATA, "%s: %s %lld: '%.60s' is no class of the training part",
                       a->path, b->unit, (long long)o->line, o->name);
    return cj_fail(b->cj, CJ_ERR_DATA, "%s: %s %lld: class %lld; with %lld classes it must be 0 to "
                   "%lld", a->path, b->unit, (long long)o->line, (long long)o->label,
                   (long long)b->classes.count, (long long)b->classes.count - 1);
}

static cj_status add_picture(cj__boxes *b, const cj__annotation *a)
{
    float *boxes = cj__arena_array(b->arena, (size_t)a->count * CJ__BOX, sizeof *boxes);
    const cj__picture_record record = {.path = a->picture,
                                       .boxes = boxes,
                                       .n_boxes = a->count,
                                       .source = a->path,
                                       .height = a->height,
                                       .width = a->width};
    if (!boxes) return cj_last_status(b->cj);
    for (const cj__object *o = a->first; o; o = o->next, boxes += CJ__BOX) {
        int64_t label;
        const cj_status failed = label_of(b, a, o, &label);
        if (failed) return cj__picture_files_bad(b->f, failed);
        boxes[0] = (float)label;
        memcpy(boxes + 1, o->box, sizeof o->box);
    }
    b->flat += a->flat;
    b->crowds += a->crowds;
    return cj__picture_files_add(b->f, &record);
}

static cj_status add_pictures(cj__boxes *b)
{
    for (int i = 0; i < CJ__PARTS; i++)
        for (const cj__annotation *a = b->wanted[i] ? b->first[i] : NULL; a; a = a->next)
            CJ__TRY(add_picture(b, a));
    b->f->classes = (int)b->classes.count;
    b->f->class_names = b->classes.items;
    if (b->flat)
        cj__log(b->cj, CJ_LOG_WARNING, "%s: %lld boxes have no area and are left out", b->folder,
                (long long)b->flat);
    if (b->crowds)
        cj__log(b->cj, CJ_LOG_WARNING, "%s: %lld boxes are of crowds and are left out", b->folder,
                (long long)b->crowds);
    return CJ_OK;
}

cj_dataset *cj__boxes_end(cj__boxes *b, const cj_dataset_opts *opts, cj_status failed)
{
    if (!failed) failed = add_pictures(b);
    if (!failed) return cj__picture_files_dataset(b->f, b->folder, opts);
    cj__picture_files_free(b->f);
    return NULL;
}
