/* pictures.h: pictures with labels of one byte, in memory however they came there (idx.c, cifar.c),
 * or with `stream` the pictures still in their file. */
#ifndef CAJAL_DATA_PICTURES_H
#define CAJAL_DATA_PICTURES_H

#include "data/dataset.h"

typedef struct cj__pictures {
    cj_tensor *images, *labels; /* u8 [n, height, width, channels], u8 [n]; labels NULL: none */
    cj__samples stream;         /* instead of images, which are NULL then */
    int64_t shape[4];           /* of what is in the stream */
} cj__pictures;

void cj__pictures_release(cj__pictures *p);
/* Refuses options that are for tables; how many classes there are, 10 when it is not said. */
cj_status cj__pictures_options(cj_context *cj, const char *name, const cj_dataset_opts *opts,
                               int *classes);
/* `path` is where the labels come from. */
cj_status cj__pictures_check(cj_context *cj, const char *path, const cj__pictures *p, int classes);
/* Puts b behind a, and releases b. */
cj_status cj__pictures_append(cj_context *cj, const char *name, cj__pictures *a, cj__pictures *b);
/* Takes the pictures, on failure too; opts->limit and class_names hold. */
cj_dataset *cj__pictures_dataset(cj_context *cj, const char *name, cj__pictures *p, int classes,
                                 const cj_dataset_opts *opts);

#endif
