/* picture_files.h: a data set of pictures that stay in their files, each with a label, with boxes,
 * or with a mask that stays in its file too.
 *
 *     cj__picture_files *f = cj__picture_files_new(cj, opts);
 *     f->target = CJ_FIELD_BOXES; ... f->classes, f->class_names, f->most
 *     cj__picture_files_add(f, &(cj__picture_record){.path = path, .boxes = boxes, .n_boxes = 2});
 *     return cj__picture_files_dataset(f, folder, opts);
 */
#ifndef CAJAL_DATA_PICTURE_FILES_H
#define CAJAL_DATA_PICTURE_FILES_H

#include "data/dataset.h"

enum { CJ__BOX = 5, CJ__MASK_VALUES = 256 };

/* One sample. All that it points to is the arena's. */
typedef struct cj__picture_record {
    const char *path;
    int32_t label; /* where there are classes */
    float number;  /* where there are none */
    int32_t n_boxes;
    const float *boxes; /* [n_boxes, 5]: class, x_min, y_min, x_max, y_max as CJ_FIELD_BOXES */
    const char *mask;   /* the path of its file */
    /* The size that the picture must have, and the file that says so; 0: none does. */
    const char *source;
    int64_t height, width;
} cj__picture_record;

typedef struct cj__picture_files {
    cj_context *cj;
    cj__arena arena;             /* of all below */
    cj__picture_record *records; /* [count] */
    int64_t count, room;
    cj_field_kind target; /* VALUES: labels, or numbers when `classes` is 0 */
    int classes;
    const char *const *class_names;
    int64_t most;                       /* boxes of a sample */
    int16_t class_of[CJ__MASK_VALUES];  /* what the values of masks mean; -1: nothing */
    int64_t height, width;              /* 0: not known yet */
    bool sized; /* pictures of another size are brought to it, else refused */
    cj_picture_fit fit;
    cj_picture_colour colour;
    cj_bad_sample on_bad_sample;
    int64_t left_out; /* samples so far */
} cj__picture_files;

cj__picture_files *cj__picture_files_new(cj_context *cj, const cj_dataset_opts *opts);
void cj__picture_files_free(cj__picture_files *f);
cj_status cj__picture_files_add(cj__picture_files *f, const cj__picture_record *record);
/* A sample that could not be made: CJ_OK when it is left out, which is told and counted; else
 * `failed`, and so where the machine is at fault. */
cj_status cj__picture_files_bad(cj__picture_files *f, cj_status failed);
bool cj__picture_files_is_bad(cj_status failed);
/* Takes the list, on failure too. limit, no_target and on_bad_sample hold. */
cj_dataset *cj__picture_files_dataset(cj__picture_files *f, const char *name,
                                      const cj_dataset_opts *opts);
/* That no options for tables are given; `target` may be `also` (NULL: nothing). */
cj_status cj__picture_files_options(cj_context *cj, const char *folder, const cj_dataset_opts *opts,
                                    const char *also);
/* A picture or a mask in the data set's size; *t is another tensor then. What has another size and
 * may not is said to differ from the `others`. */
cj_status cj__picture_files_fit(cj_context *cj, const cj__picture_files *f, const char *path,
                                const char *others, cj_picture_filter filter, cj_tensor **t);
/* One picture in its own size, which is checked against what is said of it. */
cj_status cj__picture_files_load(cj_context *cj, const cj__picture_files *f, int64_t i,
                                 cj_tensor **out);

/* ---- Boxes and masks: picture_targets.c ------------------------------------------------------ */

/* A box from corners x_min, y_min, x_max, y_max in a picture of this size, in the same unit, as
 * shares. One that reaches outside by at most `slack` is cut at the edge; further is CJ_ERR_DATA.
 * *flat: it has no area. */
cj_status cj__picture_box(cj_context *cj, const double corners[4], double width, double height,
                          double slack, float box[4], bool *flat);
/* Writes f->most boxes of sample i, as they lie in the picture of the data set's size. */
void cj__picture_boxes_read(const cj__picture_files *f, int64_t i, float *to);
/* Which values a mask has, a bit each, and its size. */
cj_status cj__picture_mask_look(cj_context *cj, const char *path, uint64_t values[4],
                                int64_t *height, int64_t *width);
/* Writes the classes of f->height x f->width pixels of sample i; `to` may be NULL. */
cj_status cj__picture_mask_read(cj_context *cj, const cj__picture_files *f, int64_t i,
                                int32_t *to);
/* That a mask has a value without a class. */
cj_status cj__picture_mask_unknown(cj_context *cj, const cj__picture_files *f, const char *path,
                                   int value);

#endif
