/* inside.h: what the files of the HDF5 reader share: reading bytes within bounds, and the heaps. */
#ifndef CAJAL_FORMAT_HDF5_INSIDE_H
#define CAJAL_FORMAT_HDF5_INSIDE_H

#include "format/hdf5/hdf5.h"

/* A stretch of the file that is read from front to back. What is read past its end is 0, and
 * `short_of` says so: looked at once, when all is read. */
typedef struct cj__hdf5_cursor {
    const cj__hdf5 *f;
    size_t at, end;
    bool short_of;
} cj__hdf5_cursor;

#define CJ__HDF5_NOWHERE UINT64_MAX /* the address of nothing */

uint64_t cj__hdf5_take(cj__hdf5_cursor *c, int bytes); /* at most 8, the lowest first */
uint64_t cj__hdf5_address(cj__hdf5_cursor *c);
uint64_t cj__hdf5_length(cj__hdf5_cursor *c);
void cj__hdf5_skip(cj__hdf5_cursor *c, uint64_t bytes);

/* Sets the cursor to `size` bytes at an address, which are charged (hdf5.c's `left`), and passes
 * over a signature of four letters (NULL: none). */
cj_status cj__hdf5_go(cj__hdf5 *f, uint64_t address, uint64_t size, const char *signature,
                      cj__hdf5_cursor *c);
/* The same up to the end of the file; what was read is charged by cj__hdf5_charge. */
cj_status cj__hdf5_go_open(cj__hdf5 *f, uint64_t address, const char *signature,
                           cj__hdf5_cursor *c);
cj_status cj__hdf5_charge(cj__hdf5 *f, uint64_t size);
/* A checksum stands at the cursor, of everything from `begin` up to it. */
cj_status cj__hdf5_seal(cj__hdf5_cursor *c, size_t begin);
/* Fails with FORMAT: "hdf5: byte 123: what". */
cj_status cj__hdf5_bad(const cj__hdf5 *f, uint64_t at, const char *what);
cj_status cj__hdf5_unsupported(const cj__hdf5 *f, const char *what);

/* messages.c: the value's type, sizes and data of the messages of an object: 0x01, 0x03, 0x08,
 * 0x0b. */
cj_status cj__hdf5_read_space(cj__hdf5_cursor *c, cj__hdf5_value *value);
cj_status cj__hdf5_read_type(cj__hdf5_cursor *c, cj__hdf5_type *type);
cj_status cj__hdf5_read_layout(cj__hdf5_cursor *c, cj__hdf5_value *value);
cj_status cj__hdf5_read_filters(cj__hdf5_cursor *c, cj__hdf5_value *value);
/* All messages are read: does the data fit the sizes? */
cj_status cj__hdf5_settle(cj__hdf5 *f, cj__hdf5_value *value);
/* Calls each(arg, key, child) for every child of the leaves of a B-tree of version 1, whose keys
 * have `key` bytes; type: 0 of a group, 1 of chunks. */
typedef cj_status (*cj__hdf5_entry)(void *arg, cj__hdf5_cursor *key, uint64_t child);
cj_status cj__hdf5_tree_walk(cj__hdf5 *f, uint64_t address, int type, int key,
                             cj__hdf5_entry each, void *arg);

/* filters.c: a chunk's bytes as they were, in the file or in one of two blocks of chunk_bytes + 4.
 */
enum { CJ__HDF5_DEFLATE = 1, CJ__HDF5_SHUFFLE = 2, CJ__HDF5_FLETCHER = 3 };
cj_status cj__hdf5_unpack(cj__hdf5 *f, const cj__hdf5_value *v, const unsigned char *from,
                          size_t size, uint32_t mask, unsigned char *const work[2],
                          const unsigned char **out);
/* chunks.c: the elements of a data set, of which there are some, to a block of zeros. */
cj_status cj__hdf5_fill(cj__hdf5 *f, const cj__hdf5_value *v, unsigned char *to);

/* heap.c: calls each(arg, c) for every object of a fractal heap that the B-tree at `tree` lists;
 * the cursor is over the object's bytes. `skip`: bytes of a record before its heap ID. */
typedef cj_status (*cj__hdf5_each)(void *arg, cj__hdf5_cursor *c);
cj_status cj__hdf5_heap_walk(cj__hdf5 *f, uint64_t heap, uint64_t tree, int skip,
                             cj__hdf5_each each, void *arg);
/* Calls each(arg, c) for every record of a B-tree of version 2; the cursor is over the record. */
cj_status cj__hdf5_new_tree_walk(cj__hdf5 *f, uint64_t address, cj__hdf5_each each, void *arg);
/* Object `index` of the global heap at an address. */
cj_status cj__hdf5_heap_text(cj__hdf5 *f, uint64_t address, uint32_t index, size_t length,
                             const unsigned char **out);

#endif
