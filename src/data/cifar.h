/* cifar.h: the binary versions of CIFAR-10 and CIFAR-100 (Krizhevsky 2009): records without a
 * header,
 *
 *     CIFAR-10    label | 1024 red | 1024 green | 1024 blue        3073 bytes
 *     CIFAR-100   coarse label | fine label | the same             3074 bytes, the fine one is used
 *
 * each plane 32 rows of 32 pixels. */
#ifndef CAJAL_DATA_CIFAR_H
#define CAJAL_DATA_CIFAR_H

#include "data/pictures.h"

/* The pictures in the bytes of one file, [n, 32, 32, 3]; label_bytes is 1 or 2. Nothing is
 * allocated before the size is known to be a number of whole records. */
cj_status cj__cifar_parse(cj_context *cj, const char *name, const void *bytes, size_t size,
                          int label_bytes, cj__pictures *out);

/* Has a folder one of data_batch_1.bin, test_batch.bin (CIFAR-10), train.bin, test.bin (CIFAR-100)?
 * Files packed with xz are a failure that says so. */
cj_status cj__cifar_look(cj_context *cj, const char *folder, bool *found);
/* The part opts->split; of CIFAR-10 as many of data_batch_1.bin ... as follow each other. */
cj_dataset *cj__cifar_open_folder(cj_context *cj, const char *name, const char *folder,
                                  const cj_dataset_opts *opts);
/* One .bin file; whose records have which size, its own size tells. */
cj_dataset *cj__cifar_open_file(cj_context *cj, const char *path, const cj_dataset_opts *opts);

#endif
