/* file.h: files over the context's I/O table. Every short read, EINTR and error is met here once.
 */
#ifndef CAJAL_BASE_FILE_H
#define CAJAL_BASE_FILE_H

#include "base/context.h"

/* The bytes of a whole file: mapped when the I/O table can, else read. */
typedef struct cj__file_bytes {
    const unsigned char *data;
    size_t size;
    bool mapped;
    cj_context *cj;
} cj__file_bytes;

/* limit: the largest size accepted (0: none but the memory limit). A directory, a missing file and
 * a device are each named as such in the message. */
cj_status cj__file_load(cj_context *cj, const char *path, size_t limit, cj__file_bytes *out);
void cj__file_unload(cj__file_bytes *bytes);

/* A file that stays open, to be read here and there: from any thread, with messages to the context
 * that is given with each call. */
typedef struct cj__reader {
    cj_context *cj; /* whose file it is; NULL: not open */
    char *path;
    int file;
    int64_t size;
} cj__reader;
cj_status cj__reader_open(cj__reader *reader, cj_context *cj, const char *path);
/* Exactly these bytes; a file that has become shorter is a failure. */
cj_status cj__reader_read(const cj__reader *reader, cj_context *cj, void *to, size_t size,
                          int64_t at);
void cj__reader_close(cj__reader *reader);

/* Writes path + ".tmp", syncs, renames over path, syncs the folder: the old file or the new one,
 * never a torn one. On failure the temporary file is removed and the old one intact. */
cj_status cj__file_save(cj_context *cj, const char *path, const void *bytes, size_t size);
/* The same in pieces: begin, write as often as wanted, then commit or abandon (exactly one of
 * them). */
typedef struct cj__writer {
    cj_context *cj;
    char *path, *temporary;
    int file;         /* -1: none open */
    bool replaces;    /* an old file is there, which a failure leaves as it was */
    cj_status failed; /* sticky; commit reports it */
} cj__writer;
cj_status cj__writer_begin(cj__writer *writer, cj_context *cj, const char *path);
cj_status cj__writer_write(cj__writer *writer, const void *bytes, size_t size);
cj_status cj__writer_commit(cj__writer *writer);
void cj__writer_abandon(cj__writer *writer);
/* Appends and syncs; creates the file. A failure may leave a part of the bytes at its end. */
cj_status cj__file_append(cj_context *cj, const char *path, const void *bytes, size_t size);

cj_status cj__file_info(cj_context *cj, const char *path, cj_file_info *info);
cj_status cj__file_remove(cj_context *cj, const char *path);
cj_status cj__file_rename(cj_context *cj, const char *from, const char *to);
/* Makes one directory; CJ_ERR_EXISTS when something is there already. */
cj_status cj__file_mkdir(cj_context *cj, const char *path);
cj_status cj__file_mkdirs(cj_context *cj, const char *path); /* with parents; existing is fine */
/* Calls each(arg, name) for every entry, in no order. A result that is not 0 stops: a positive one
 * is returned as the status (the callback has set the message), a negative one is CJ_OK. */
cj_status cj__file_list(cj_context *cj, const char *path, int (*each)(void *arg, const char *name),
                        void *arg);

/* folder + "/" + name, for side files a model or list names: refuses absolute names, "..",
 * backslashes, and empty or NUL-holding names, so that nothing outside the folder is opened.
 * Allocated; free with cj__free(cj, path, strlen(path) + 1). */
cj_status cj__file_inside(cj_context *cj, const char *folder, const char *name, char **path);
/* The same for a file that a stranger names: no part of the name behind the folder may be a
 * symbolic link. */
cj_status cj__file_really_inside(cj_context *cj, const char *folder, const char *name,
                                 char **path);

#endif
