/* dataset.h: what stands behind a cj_dataset. */
#ifndef CAJAL_DATA_DATASET_H
#define CAJAL_DATA_DATASET_H

#include <cajal/data.h>

#include "base/arena.h"
#include "base/context.h"
#include "base/file.h"

/* Streams of the random generator, so that no two uses draw the same numbers. */
enum {
    CJ__STREAM_LOADER = 0x4c4f4144,
    CJ__STREAM_SPLIT = 0x53504c54,
    CJ__STREAM_BALANCE = 0x42414c41 /* and the classes after it */
};

/* Where the samples of a field lie, one after the other: in a tensor, or in a file from byte `at`
 * on; with neither they come from the callback. */
typedef struct cj__samples {
    cj_tensor *tensor;           /* NULL: in the file */
    const unsigned char *memory; /* its elements, mapped for life */
    cj__reader file;
    int64_t at;
} cj__samples;

/* A root has samples, in memory or files, or behind a callback. A view has a root and a list of its
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
    cj__samples *samples;        /* [field_count], or NULL: all come from the callback */
    cj_dataset_source source;
};

/* As cj_dataset_read, with messages to the context of the calling thread. */
cj_status cj__dataset_read(cj_context *cj, const cj_dataset *ds, const int64_t *indices, int64_t n,
                           int field, void *out);
/* A root over samples [count, field's shape]; it takes tensors and files, on failure too. */
cj_dataset *cj__dataset_of_samples(cj_context *cj, const char *name, int64_t count, int field_count,
                                   const cj_field *fields, cj__samples *samples);
void cj__samples_release(cj__samples *samples);
/* fields.c: the fields of a new root become its own. */
enum { CJ__CLASSES_MAX = 1 << 24 };
bool cj__is_integer(cj_dtype dtype);
cj_status cj__fields_copy(cj_dataset *ds, int n, const cj_field *fields);
/* A view; takes the list of numbers of `ds` (cj__alloc'ed, n of them), on failure too. */
cj_dataset *cj__dataset_view(const cj_dataset *ds, int64_t *indices, int64_t n);
void cj__dataset_ref(cj_dataset *ds);
void cj__dataset_unref(cj_dataset *ds);
const cj_dataset *cj__dataset_root(const cj_dataset *ds);

/* Copies an option structure of this or an older version of the library to one of `size` bytes;
 * refuses a newer one. */
cj_status cj__data_options(cj_context *cj, const char *what, void *to, size_t size,
                           const void *from);

/* One behind the other, cut to `limit` (0: not), with the name of the first; takes both, on failure
 * too, and one may be NULL, a failure of before. */
cj_dataset *cj__dataset_join(cj_dataset *a, cj_dataset *b, int64_t limit);
/* That a file to be streamed is packed. */
cj_status cj__fail_packed(cj_context *cj, const char *path);

/* classes.c: the field that has the one class of each sample, -1: none, and what it says of each
 * sample. */
int cj__dataset_class_field(const cj_dataset *ds);
cj_status cj__dataset_classes(cj_context *cj, const cj_dataset *ds, int field, int32_t *labels);

/* balance.c: the samples of a data set by their class, to be drawn in equal parts. */
typedef struct cj__balance {
    int classes;        /* that have samples */
    int64_t *starts;    /* [classes + 1] */
    int64_t *members;   /* [count] samples of the first class, of the second ... */
    int64_t *scratch;   /* [count] */
    int64_t count;
} cj__balance;
cj_status cj__balance_init(cj__balance *b, cj__arena *arena, const cj_dataset *ds);
/* The samples of an epoch, [count], a function of seed and epoch alone: class after class. */
void cj__balance_draw(const cj__balance *b, uint64_t seed, int64_t epoch, int64_t *out);

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
