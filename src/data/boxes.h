/* boxes.h: what the formats of boxes share: what was read of each part becomes samples.
 *
 *     cj__boxes b;
 *     if (cj__boxes_begin(&b, cj, folder, opts)) return NULL;
 *     for each annotation: cj__boxes_object(&b, &a), fill it; then cj__boxes_add(&b, part, &a)
 *     b.classes
 *     return cj__boxes_end(&b, opts, failed);
 */
#ifndef CAJAL_DATA_BOXES_H
#define CAJAL_DATA_BOXES_H

#include "data/folder.h"
#include "data/picture_files.h"

enum { CJ__BOX_CLASSES_MAX = 1 << 15 };

typedef struct cj__object {
    struct cj__object *next;
    const char *name; /* of its class; NULL: `label` says it */
    int64_t label;    /* -1: the name says it */
    int64_t line; /* of the file, or another number that says where it stands */
    float box[4];
} cj__object;

/* What a file says of a picture: objects in its order. */
typedef struct cj__annotation {
    struct cj__annotation *next;
    const char *path, *picture; /* what says it, and of which picture */
    int64_t height, width;      /* 0: it does not say */
    cj__object *first, **last;
    int32_t count;
    int64_t flat, crowds; /* boxes left out */
} cj__annotation;

typedef struct cj__boxes {
    cj_context *cj;
    cj__arena *arena; /* of f */
    cj__picture_files *f;
    const char *folder;
    const char *unit; /* what `line` of an object counts: "line" */
    bool wanted[CJ__PARTS];
    cj__annotation *first[CJ__PARTS], **last[CJ__PARTS];
    cj__names classes; /* those of the options when they name some */
    bool sorted;       /* the names of the classes are */
    int64_t flat, crowds;
} cj__boxes;

cj_status cj__boxes_begin(cj__boxes *b, cj_context *cj, const char *folder,
                          const cj_dataset_opts *opts);
/* Is what is read of a part more than the number of its boxes? Else what cannot be read does not
 * matter. */
bool cj__boxes_matter(const cj__boxes *b, int part);
/* Puts an annotation into a part, or a failure to read one. */
cj_status cj__boxes_add(cj__boxes *b, int part, cj__annotation *a, cj_status failed);
cj__annotation *cj__boxes_annotation(cj__boxes *b); /* an empty one; NULL: out of memory */
/* An object with this box (cj__picture_box), the last of the annotation; one without area is
 * counted instead, and *object NULL. The caller fills name or label, and line. */
cj_status cj__boxes_object(cj__boxes *b, cj__annotation *a, const double corners[4], double width,
                           double height, double slack, cj__object **object);
/* Classes are the sorted names in the training part, unless there are some. */
cj_status cj__boxes_find_classes(cj__boxes *b);
/* The data set, when not `failed`; gives all back on failure. */
cj_dataset *cj__boxes_end(cj__boxes *b, const cj_dataset_opts *opts, cj_status failed);

#endif
