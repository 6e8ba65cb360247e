/* dataset.h: what stands behind a cj_dataset. */
#ifndef CAJAL_DATA_DATASET_H
#define CAJAL_DATA_DATASET_H

#include <cajal/data.h>

#include "base/arena.h"
#include "base/context.h"

/* Streams of the random generator, so that no two uses draw the same numbers. */
enum { CJ__STREAM_LOADER = 0x4c4f4144, CJ__STREAM_SPLIT = 0x53504c54 };

/* A root has samples, in memory (tensors) or behind a callback. A view has a root and a list of its
 * samples; views of views are flattened when made. References: one of the caller's handle, one a
 * view, one a loader. */
struct cj_dataset {
    cj__owned owned; /* first: the context's list knows it by this */
    cj_context *cj;
    int references;
    int64_t count;
    cj_dataset *root;  /* NULL in a root */
    int64_t *indices;  /* [count], of the root's samples; only in a view */
    /* Only in a root: */
    cj__arena arena;   /* the fields and all their texts */
    const char *name;
    int field_count;
    cj_field *fields;
    size_t *item_bytes;          /* [field_count] of one sample */
    cj_tensor **tensors;         /* [field_count], or NULL: samples come from the callback */
    const unsigned char **memory; /* [field_count], the tensors' elements, mapped for life */
    cj_dataset_source source;
};

/* As cj_dataset_read, with messages to the context of the calling thread. */
cj_status cj__dataset_read(cj_context *cj, const cj_dataset *ds, const int64_t *indices, int64_t n,
                           int field, void *out);
/* A root over tensors [count, field's shape], which it takes, on failure too. */
cj_dataset *cj__dataset_of_tensors(cj_context *cj, const char *name, int64_t count, int field_count,
                                   const cj_field *fields, cj_tensor **tensors);
/* A view; takes the list of numbers of `ds` (cj__alloc'ed, n of them), on failure too. */
cj_dataset *cj__dataset_view(const cj_dataset *ds, int64_t *indices, int64_t n);
void cj__dataset_ref(cj_dataset *ds);
void cj__dataset_unref(cj_dataset *ds);
const cj_dataset *cj__dataset_root(const cj_dataset *ds);

/* Copies an option structure of this or an older version of the library to one of `size` bytes;
 * refuses a newer one. */
cj_status cj__data_options(cj_context *cj, const char *what, void *to, size_t size,
                           const void *from);

/* Tensors whose first axis counts samples: b's samples behind a's; the first `limit` alone (0:
 * all).
 */
cj_status cj__samples_join(cj_context *cj, const char *name, cj_tensor **a, const cj_tensor *b);
cj_status cj__samples_cut(cj_context *cj, cj_tensor **t, int64_t limit);

/* Sources. `name` stands in messages and becomes the data set's. */
cj_dataset *cj__idx_open_folder(cj_context *cj, const char *name, const char *folder,
                                const cj_dataset_opts *opts);
cj_dataset *cj__idx_open_file(cj_context *cj, const char *path, const cj_dataset_opts *opts);
/* Whether a folder has the images of the training or test part. Images packed with xz are a failure
 * that says so: another place would not be what the user meant. */
cj_status cj__idx_look(cj_context *cj, const char *folder, bool *found);
/* A .npy or .npz file. */
cj_dataset *cj__arrays_open(cj_context *cj, const char *path, const cj_dataset_opts *opts);
cj_dataset *cj__table_open(cj_context *cj, const char *path, const cj_dataset_opts *opts);
/* The same from bytes in memory (fuzzing, tests); `bytes` is not kept. */
cj_dataset *cj__table_parse(cj_context *cj, const char *name, const void *bytes, size_t size,
                            const cj_dataset_opts *opts);

#endif
