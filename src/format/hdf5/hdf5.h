/* hdf5.h: HDF5 files in memory (The HDF Group's File Format Specification, version 3.0), the part
 * that h5py and Keras write.
 *
 *     cj__hdf5 file;
 *     CJ__TRY(cj__hdf5_open(&file, &arena, bytes, size, NULL));
 *     const cj__hdf5_object *kernel = cj__hdf5_find(file.root,
 * "model_weights/dense/dense/kernel:0"); if (kernel) CJ__TRY(cj__hdf5_tensor(&file, &kernel->value,
 * &tensor));
 *
 * Read: superblocks 0 to 3, groups as symbol tables and as links (in the header or in a heap),
 * attributes (the same), data that is compact, contiguous or in chunks, with the filters deflate,
 * shuffle and fletcher32; integers, floats, booleans (an enumeration, as h5py has them), and texts
 * of fixed and variable length. Soft and external links are passed over. Everything else is
 * CJ_ERR_UNSUPPORTED when it is asked for, not before: a file may hold what nobody reads.
 *
 * Opening reads the whole tree of groups. Nothing is read recursively, every address is checked,
 * and all structures together may be no more bytes than three times the file: so a circle ends. */
#ifndef CAJAL_FORMAT_HDF5_HDF5_H
#define CAJAL_FORMAT_HDF5_HDF5_H

#include "base/arena.h"
#include "base/size.h"
#include "base/text.h"
#include "tensor/tensor.h"

typedef struct cj__hdf5_limits {
    size_t memory_max; /* of all tensors and texts; 0: 1032 times the file, which deflate reaches */
    bool unsealed;     /* checksums of structures are not looked at: for fuzzing */
} cj__hdf5_limits;

typedef struct cj__hdf5 {
    cj_context *cj;
    cj__arena *arena;
    const unsigned char *bytes;
    size_t size;
    int address_size, length_size; /* bytes of an address, and of a length, in the file */
    bool unsealed;
    size_t left;                   /* bytes of structures that may still be read */
    size_t memory_left;
    int64_t elements;              /* of all data sets, as far as the file can hold them */
    struct cj__hdf5_object *root;
} cj__hdf5;

typedef enum cj__hdf5_kind {
    CJ__HDF5_OTHER,     /* `other` names it */
    CJ__HDF5_NUMBER,
    CJ__HDF5_TEXT,      /* of `size` bytes, zeros or blanks behind it */
    CJ__HDF5_LONG_TEXT  /* of any length, in a heap of the file */
} cj__hdf5_kind;

typedef struct cj__hdf5_type {
    cj__hdf5_kind kind;
    cj_dtype dtype;
    bool big_endian;
    size_t size;       /* bytes of an element in the file */
    const char *other;
} cj__hdf5_type;

enum { CJ__HDF5_FILTERS = 8 };
typedef struct cj__hdf5_filter {
    int id;
    size_t element; /* of shuffle: bytes */
} cj__hdf5_filter;

typedef enum cj__hdf5_layout {
    CJ__HDF5_WHOLE,      /* at `data` */
    CJ__HDF5_CHUNKS,     /* a B-tree of chunks at `address` */
    CJ__HDF5_ONE_CHUNK, CJ__HDF5_IMPLICIT, CJ__HDF5_FIXED_ARRAY, CJ__HDF5_ARRAY, CJ__HDF5_TREE,
    CJ__HDF5_NO_LAYOUT   /* of a kind that is not read */
} cj__hdf5_layout;

/* What a data set or an attribute holds. */
typedef struct cj__hdf5_value {
    cj__hdf5_type type;
    int rank;
    int64_t shape[CJ_RANK_MAX];
    uint64_t most[CJ_RANK_MAX]; /* sizes it can grow to; UINT64_MAX: any */
    int64_t count;
    const char *wrong;         /* why it cannot be read, or NULL */
    cj__hdf5_layout layout;
    const unsigned char *data; /* NULL: nothing was written, so all is 0 */
    size_t data_size;
    uint64_t address;          /* of what finds the chunks */
    int64_t chunk[CJ_RANK_MAX];
    size_t chunk_bytes;
    uint64_t packed_size;      /* of one chunk */
    uint32_t mask;
    int filters;
    cj__hdf5_filter filter[CJ__HDF5_FILTERS];
} cj__hdf5_value;

typedef struct cj__hdf5_attribute {
    const char *name;
    cj__hdf5_value value;
    struct cj__hdf5_attribute *next;
} cj__hdf5_attribute;

typedef struct cj__hdf5_object {
    const char *name; /* in its group; "" of the root */
    bool is_data;     /* else a group */
    cj__hdf5_value value;
    cj__hdf5_attribute *attributes;
    struct cj__hdf5_object *first, *next; /* of a group, in the order of the file */
    uint64_t address;
    struct cj__hdf5_object *waiting;      /* while the tree is read */
} cj__hdf5_object;

/* Is it one? */
bool cj__hdf5_is(const void *bytes, size_t size);
/* The tree is in the arena, names and all; the bytes stay the caller's and must outlive it. */
cj_status cj__hdf5_open(cj__hdf5 *f, cj__arena *arena, const void *bytes, size_t size,
                        const cj__hdf5_limits *limits);
/* By a path, "a/b/c"; NULL without a message when there is none. */
const cj__hdf5_object *cj__hdf5_find(const cj__hdf5_object *from, const char *path);
const cj__hdf5_object *cj__hdf5_find_n(const cj__hdf5_object *from, const char *path,
                                       size_t length);
const cj__hdf5_value *cj__hdf5_attribute_of(const cj__hdf5_object *of, const char *name);

/* Numbers, as a tensor that the caller frees. */
cj_status cj__hdf5_tensor(cj__hdf5 *f, const cj__hdf5_value *value, cj_tensor **out);
/* Text i of an attribute: in the arena, with a NUL behind it. */
cj_status cj__hdf5_text(cj__hdf5 *f, const cj__hdf5_value *value, int64_t i, const char **out,
                        size_t *length);

#endif
