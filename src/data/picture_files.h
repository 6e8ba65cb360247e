/* picture_files.h: a data set of pictures that stay in their files. */
#ifndef CAJAL_DATA_PICTURE_FILES_H
#define CAJAL_DATA_PICTURE_FILES_H

#include "data/dataset.h"

typedef struct cj__picture_files {
    cj_context *cj;
    cj__arena arena;    /* of all below */
    const char **paths; /* [count] */
    int32_t *labels;    /* [count] */
    int64_t count, room;
    int classes;
    const char *const *class_names;
    int64_t height, width; /* 0: not known yet */
    bool sized;            /* pictures of another size are brought to it, else refused */
    cj_picture_fit fit;
    cj_picture_colour colour;
} cj__picture_files;

cj__picture_files *cj__picture_files_new(cj_context *cj, const cj_dataset_opts *opts);
void cj__picture_files_free(cj__picture_files *f);
/* The path is the arena's already. */
cj_status cj__picture_files_add(cj__picture_files *f, const char *path, int32_t label);
/* Takes the list, on failure too. limit, no_target and on_bad_sample hold. */
cj_dataset *cj__picture_files_dataset(cj__picture_files *f, const char *name,
                                      const cj_dataset_opts *opts);

/* class_folders.c: a folder with a folder of pictures for each class: is it one? */
cj_status cj__class_folders_look(cj_context *cj, const char *folder, bool *found);
cj_dataset *cj__class_folders_open(cj_context *cj, const char *folder, const cj_dataset_opts *opts);

#endif
