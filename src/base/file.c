/* file.c: files over the context's I/O table, the one place that knows about EINTR, short transfers
 * and what is safe when the power goes.
 *
 * A save writes path.tmp, syncs it, closes it, renames it over path, and syncs the folder:
 *
 *     path     old old old old old old | new new
 *     path.tmp .   ne. new new+sync    | .            the bar is the rename, which is atomic
 *
 * After a failed sync the descriptor is given up, not tried again: Linux reports lost pages once.
 * A table that lies (more bytes than asked for, nothing for ever) gives an error, never a loop. */
#include "base/file.h"

#include <errno.h>
#include <string.h>

#include "base/posix.h"
#include "base/size.h"
#include "base/text.h"

enum {
    RETRIES_MAX = 1000, /* interruptions in a row before a call counts as failed */
    MAP_BYTES_MIN =
        1 << 18, /* smaller files are read: cheaper, and nobody can change them under us */
    ERROR_BYTES = 128
};

/* Calls again while interrupted. Not for close: on Linux the descriptor is gone either way. */
#define RETRY(result, call) \
    do { \
        int tries_ = 0; \
        do result = (call); \
        while (result == -EINTR && ++tries_ < RETRIES_MAX); \
    } while (0)

static cj_status status_of(int64_t error)
{
    return error == -ENOENT || error == -ENOTDIR ? CJ_ERR_NOT_FOUND
           : error == -EEXIST                    ? CJ_ERR_EXISTS
           : error == -ENOMEM                    ? CJ_ERR_MEMORY
                                                 : CJ_ERR_IO;
}

/* "cannot read 'x': Permission denied" and a note. */
static cj_status fail_io(cj_context *cj, const char *verb, const char *path, int64_t error,
                         const char *note)
{
    char text[ERROR_BYTES];
    cj__posix_error((int)error, text, sizeof text);
    return cj_fail(cj, status_of(error), "cannot %s '%s': %s%s", verb, path, text, note);
}

static int open_file(cj_context *cj, const char *path, int mode)
{
    const cj_io *io = cj__io(cj);
    int file;
    RETRY(file, io->open(io->user, path, mode));
    return file;
}

static int close_file(cj_context *cj, int file)
{
    const cj_io *io = cj__io(cj);
    int result = io->close(io->user, file);
    return result == -EINTR ? 0 : result;
}

static int sync_file(cj_context *cj, int file)
{
    const cj_io *io = cj__io(cj);
    int result;
    RETRY(result, io->sync(io->user, file));
    return result;
}

/* Up to `size` bytes, less only at the end of the file; the number of them, or -errno. */
static int64_t read_all(cj_context *cj, int file, unsigned char *bytes, size_t size)
{
    const cj_io *io = cj__io(cj);
    size_t done = 0;
    while (done < size) {
        int64_t n;
        RETRY(n, io->read(io->user, file, bytes + done, size - done));
        if (n < 0) return n;
        if ((uint64_t)n > size - done) return -EIO;
        if (n == 0) break;
        done += (size_t)n;
    }
    return (int64_t)done;
}

static int64_t write_all(cj_context *cj, int file, const unsigned char *bytes, size_t size)
{
    const cj_io *io = cj__io(cj);
    size_t done = 0;
    while (done < size) {
        int64_t n;
        RETRY(n, io->write(io->user, file, bytes + done, size - done));
        if (n < 0) return n;
        if (n == 0 || (uint64_t)n > size - done) return -EIO;
        done += (size_t)n;
    }
    return 0;
}

/* ---- Paths ---------------------------------------------------------------------------------- */

static char *join(cj_context *cj, const char *a, size_t a_length, const char *b)
{
    size_t b_size = strlen(b) + 1, size;
    char *joined = cj__realloc(cj, NULL, 0,
                               cj__size_add(a_length, b_size, &size) ? size : SIZE_MAX);
    if (!joined) return NULL;
    memcpy(joined, a, a_length);
    memcpy(joined + a_length, b, b_size);
    return joined;
}

static void free_string(cj_context *cj, char *string)
{
    if (string) cj__free(cj, string, strlen(string) + 1);
}

/* ---- Reading -------------------------------------------------------------------------------- */

static cj_status check_regular(cj_context *cj, const char *path, const cj_file_info *info)
{
    switch (info->kind) {
    case CJ_FILE_REGULAR: return CJ_OK;
    case CJ_FILE_NONE: return fail_io(cj, "read", path, -ENOENT, "");
    case CJ_FILE_DIRECTORY:
        return cj_fail(cj, CJ_ERR_IO, "cannot read '%s': it is a directory, and a file is expected",
                       path);
    default:
        return cj_fail(cj, CJ_ERR_IO,
                       "cannot read '%s': it is a device or pipe, and a file is expected", path);
    }
}

static cj_status read_into(cj_context *cj, const char *path, int file, size_t size,
                           cj__file_bytes *out)
{
    unsigned char *bytes = cj__realloc(cj, NULL, 0, size);
    if (!bytes) return cj__prefix(cj, cj->status, "cannot read '%s'", path);
    out->data = bytes;
    out->size = size;
    int64_t n = read_all(cj, file, bytes, size);
    if (n < 0) return fail_io(cj, "read", path, n, "");
    if ((size_t)n < size)
        return cj_fail(cj, CJ_ERR_IO, "cannot read '%s': it ended after %lld of %zu bytes", path,
                       (long long)n, size);
    return CJ_OK;
}

cj_status cj__file_load(cj_context *cj, const char *path, size_t limit, cj__file_bytes *out)
{
    const cj_io *io = cj__io(cj);
    *out = (cj__file_bytes){.data = (const unsigned char *)"", .cj = cj};
    cj_file_info info;
    CJ__TRY(cj__file_info(cj, path, &info));
    CJ__TRY(check_regular(cj, path, &info));
    if (info.size_bytes < 0 || (uint64_t)info.size_bytes > SIZE_MAX / 2)
        return cj_fail(cj, CJ_ERR_IO, "cannot read '%s': its size is said to be %lld bytes", path,
                       (long long)info.size_bytes);
    if (limit && (uint64_t)info.size_bytes > limit)
        return cj_fail(cj, CJ_ERR_LIMIT,
                       "cannot read '%s': it has %lld bytes, more than the %zu allowed", path,
                       (long long)info.size_bytes, limit);

    int file = open_file(cj, path, CJ_OPEN_READ);
    if (file < 0) return fail_io(cj, "read", path, file, "");
    cj_status failed = CJ_OK;
    size_t size = (size_t)info.size_bytes;
    if (size >= MAP_BYTES_MIN && io->map) {
        void *pages = io->map(io->user, file, size);
        if (pages) out->data = pages, out->size = size, out->mapped = true;
    }
    if (size && !out->mapped) failed = read_into(cj, path, file, size, out);
    close_file(cj, file); /* read already: an error here takes nothing away */
    if (failed) cj__file_unload(out);
    return failed;
}

void cj__file_unload(cj__file_bytes *bytes)
{
    if (!bytes->cj) return;
    const cj_io *io = cj__io(bytes->cj);
    void *data = (void *)(uintptr_t)bytes->data; /* const for those who read it, ours to free */
    if (bytes->mapped) io->unmap(io->user, data, bytes->size);
    else if (bytes->size) cj__free(bytes->cj, data, bytes->size);
    *bytes = (cj__file_bytes){0};
}

/* ---- Reading here and there ----------------------------------------------------------------- */

cj_status cj__reader_open(cj__reader *reader, cj_context *cj, const char *path)
{
    cj_file_info info;
    *reader = (cj__reader){.file = -1};
    CJ__TRY(cj__file_info(cj, path, &info));
    CJ__TRY(check_regular(cj, path, &info));
    char *copy = join(cj, path, strlen(path), "");
    if (!copy) return cj__prefix(cj, cj->status, "cannot read '%s'", path);
    const int file = open_file(cj, path, CJ_OPEN_READ);
    if (file < 0) {
        free_string(cj, copy);
        return fail_io(cj, "read", path, file, "");
    }
    *reader = (cj__reader){.cj = cj, .path = copy, .file = file, .size = info.size_bytes};
    return CJ_OK;
}

cj_status cj__reader_read(const cj__reader *reader, cj_context *cj, void *to, size_t size,
                          int64_t at)
{
    const cj_io *io = cj__io(reader->cj);
    for (size_t done = 0; done < size;) {
        int64_t n;
        RETRY(n, io->pread(io->user, reader->file, (char *)to + done, size - done,
                           at + (int64_t)done));
        if (n >= 0 && (uint64_t)n > size - done) n = -EIO;
        if (n < 0) return fail_io(cj, "read", reader->path, n, "");
        if (n == 0)
            return cj_fail(cj, CJ_ERR_IO,
                           "cannot read '%s': it ends at byte %lld, before byte %lld", reader->path,
                           (long long)(at + (int64_t)done), (long long)(at + (int64_t)size));
        done += (size_t)n;
    }
    return CJ_OK;
}

void cj__reader_close(cj__reader *reader)
{
    if (!reader->cj) return;
    close_file(reader->cj, reader->file); /* read only: an error here takes nothing away */
    free_string(reader->cj, reader->path);
    *reader = (cj__reader){.file = -1};
}

/* ---- Writing -------------------------------------------------------------------------------- */

static const char *old_file_note(const cj__writer *writer)
{
    return writer->replaces ? " (old file kept)" : "";
}

static void release_writer(cj__writer *writer)
{
    free_string(writer->cj, writer->path);
    free_string(writer->cj, writer->temporary);
    writer->path = writer->temporary = NULL;
}

cj_status cj__writer_begin(cj__writer *writer, cj_context *cj, const char *path)
{
    *writer = (cj__writer){.cj = cj, .file = -1};
    cj_file_info info;
    CJ__CHECK(writer->failed = cj__file_info(cj, path, &info));
    writer->replaces = info.kind != CJ_FILE_NONE;
    if (info.kind == CJ_FILE_DIRECTORY) {
        writer->failed = cj_fail(cj, CJ_ERR_IO, "cannot write '%s': it is a directory", path);
        goto out;
    }
    writer->path = join(cj, path, strlen(path), "");
    writer->temporary = writer->path ? join(cj, path, strlen(path), ".tmp") : NULL;
    if (!writer->temporary) {
        writer->failed = cj__prefix(cj, cj->status, "cannot write '%s'", path);
        goto out;
    }
    writer->file = open_file(cj, writer->temporary, CJ_OPEN_WRITE);
    if (writer->file < 0) {
        writer->failed = fail_io(cj, "write", path, writer->file, old_file_note(writer));
        writer->file = -1;
    }
out:
    if (writer->failed) release_writer(writer);
    return writer->failed;
}

cj_status cj__writer_write(cj__writer *writer, const void *bytes, size_t size)
{
    if (writer->failed) return writer->failed;
    int64_t result = write_all(writer->cj, writer->file, bytes, size);
    if (result < 0)
        writer->failed = fail_io(writer->cj, "write", writer->path, result, old_file_note(writer));
    return writer->failed;
}

void cj__writer_abandon(cj__writer *writer)
{
    const cj_io *io = cj__io(writer->cj);
    if (writer->file >= 0) close_file(writer->cj, writer->file);
    if (writer->temporary) io->remove(io->user, writer->temporary);
    writer->file = -1;
    release_writer(writer);
}

/* Makes the rename itself last. Some file systems cannot sync a folder, or we may not open it:
 * those promise nothing more, so that is no failure. */
static int sync_folder_of(cj_context *cj, char *path)
{
    char *slash = strrchr(path, '/'), kept = 0;
    if (slash) {
        char *end = slash == path ? slash + 1 : slash;
        kept = *end;
        *end = 0;
        slash = end;
    }
    int file = open_file(cj, slash ? path : ".", CJ_OPEN_DIRECTORY);
    if (slash) *slash = kept;
    if (file < 0) return file == -EACCES || file == -EPERM ? 0 : file;
    int result = sync_file(cj, file);
    close_file(cj, file);
    return result == -EINVAL || result == -ENOTSUP ? 0 : result;
}

cj_status cj__writer_commit(cj__writer *writer)
{
    cj_context *cj = writer->cj;
    const cj_io *io = cj__io(cj);
    int result = 0;
    if (writer->failed || writer->file < 0) {
        cj__writer_abandon(writer);
        return writer->failed ? writer->failed
                              : cj_fail(cj, CJ_ERR_STATE, "a file was committed twice");
    }
    result = sync_file(cj, writer->file);
    int closed = close_file(cj, writer->file);
    writer->file = -1;
    if (!result) result = closed;
    if (!result) RETRY(result, io->rename(io->user, writer->temporary, writer->path));
    if (result < 0) {
        writer->failed = fail_io(cj, "write", writer->path, result, old_file_note(writer));
        cj__writer_abandon(writer);
        return writer->failed;
    }
    result = sync_folder_of(cj, writer->path);
    if (result < 0)
        writer->failed = fail_io(cj, "sync the folder of", writer->path, result,
                                 " (the new file is there, but may not outlast a power cut)");
    release_writer(writer);
    return writer->failed;
}

cj_status cj__file_save(cj_context *cj, const char *path, const void *bytes, size_t size)
{
    cj__writer writer;
    CJ__TRY(cj__writer_begin(&writer, cj, path));
    cj__writer_write(&writer, bytes, size);
    return cj__writer_commit(&writer);
}

cj_status cj__file_append(cj_context *cj, const char *path, const void *bytes, size_t size)
{
    int file = open_file(cj, path, CJ_OPEN_APPEND);
    if (file < 0) return fail_io(cj, "append to", path, file, "");
    int64_t result = write_all(cj, file, bytes, size);
    if (!result) result = sync_file(cj, file);
    int closed = close_file(cj, file);
    if (!result) result = closed;
    return result < 0 ? fail_io(cj, "append to", path, result, "") : CJ_OK;
}

/* ---- Names and folders ---------------------------------------------------------------------- */

cj_status cj__file_info(cj_context *cj, const char *path, cj_file_info *info)
{
    const cj_io *io = cj__io(cj);
    *info = (cj_file_info){.kind = CJ_FILE_NONE};
    if (!path || !*path) return cj_fail(cj, CJ_ERR_ARGUMENT, "a file name is empty");
    int result;
    RETRY(result, io->info(io->user, path, info));
    return result < 0 ? fail_io(cj, "look at", path, result, "") : CJ_OK;
}

cj_status cj__file_remove(cj_context *cj, const char *path)
{
    const cj_io *io = cj__io(cj);
    int result;
    RETRY(result, io->remove(io->user, path));
    return result < 0 ? fail_io(cj, "remove", path, result, "") : CJ_OK;
}

cj_status cj__file_rename(cj_context *cj, const char *from, const char *to)
{
    const cj_io *io = cj__io(cj);
    int result;
    RETRY(result, io->rename(io->user, from, to));
    if (result >= 0) return CJ_OK;
    char text[ERROR_BYTES];
    cj__posix_error(result, text, sizeof text);
    return cj_fail(cj, status_of(result), "cannot rename '%s' to '%s': %s", from, to, text);
}

cj_status cj__file_mkdir(cj_context *cj, const char *path)
{
    const cj_io *io = cj__io(cj);
    int result;
    RETRY(result, io->mkdir(io->user, path));
    return result < 0 ? fail_io(cj, "make the folder", path, result, "") : CJ_OK;
}

/* One folder of a path, which may be there already, or be made by somebody else at this moment. */
static cj_status ensure_folder(cj_context *cj, const char *path)
{
    cj_file_info info;
    CJ__TRY(cj__file_info(cj, path, &info));
    if (info.kind == CJ_FILE_DIRECTORY) return CJ_OK;
    cj_status failed = cj__file_mkdir(cj, path);
    if (failed != CJ_ERR_EXISTS) return failed;
    CJ__TRY(cj__file_info(cj, path, &info));
    if (info.kind == CJ_FILE_DIRECTORY) return CJ_OK;
    return cj_fail(cj, CJ_ERR_EXISTS, "cannot make the folder '%s': something else has that name",
                   path);
}

cj_status cj__file_mkdirs(cj_context *cj, const char *path)
{
    if (!path || !*path) return cj_fail(cj, CJ_ERR_ARGUMENT, "a folder name is empty");
    char *part = cj__strdup(cj, path);
    if (!part) return cj->status;
    size_t length = strlen(path);
    cj_status failed = CJ_OK;
    for (size_t i = 1; i <= length && !failed; i++) {
        if (part[i] != '/' && part[i] != 0) continue;
        char kept = part[i];
        part[i] = 0;
        if (part[i - 1] != '/') failed = ensure_folder(cj, part);
        part[i] = kept;
    }
    cj__free(cj, part, length + 1);
    return failed;
}

typedef struct list_call {
    int (*each)(void *arg, const char *name);
    void *arg;
    int stopped; /* what `each` said, to tell it from the table's errors */
} list_call;

static int list_one(void *arg, const char *name)
{
    list_call *call = arg;
    return call->stopped = call->each(call->arg, name);
}

cj_status cj__file_list(cj_context *cj, const char *path, int (*each)(void *arg, const char *name),
                        void *arg)
{
    const cj_io *io = cj__io(cj);
    list_call call = {each, arg, 0};
    int result = io->list(io->user, path, list_one, &call);
    if (call.stopped) return call.stopped > 0 ? (cj_status)call.stopped : CJ_OK;
    return result < 0 ? fail_io(cj, "list", path, result, "") : CJ_OK;
}

/* Judged by the name alone, before anything is opened. */
static const char *why_outside(const char *name)
{
    if (!*name) return "it is empty";
    if (*name == '/') return "it is absolute";
    for (const char *p = name; *p; p++) {
        if (*p == '\\') return "it holds a backslash";
        if ((unsigned char)*p < 0x20 || *p == 0x7f) return "it holds a control character";
        bool begins = p == name || p[-1] == '/';
        if (begins && p[0] == '.' && p[1] == '.' && (p[2] == '/' || !p[2])) return "it holds '..'";
    }
    return NULL;
}

cj_status cj__file_inside(cj_context *cj, const char *folder, const char *name, char **path)
{
    *path = NULL;
    const char *why = name ? why_outside(name) : "there is none";
    if (why)
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "the file name '%.200s' is refused: %s; a name within '%s' is expected",
                       name ? name : "", why, folder);
    size_t length = strlen(folder);
    char *head = join(cj, folder, length, length && folder[length - 1] != '/' ? "/" : "");
    if (!head) return cj->status;
    *path = join(cj, head, strlen(head), name);
    free_string(cj, head);
    return *path ? CJ_OK : cj->status;
}

cj_status cj__file_really_inside(cj_context *cj, const char *folder, const char *name, char **path)
{
    CJ__TRY(cj__file_inside(cj, folder, name, path));
    cj_status failed = CJ_OK;
    /* The path is cut behind each part of the name and looked at. */
    for (char *at = *path + (strlen(*path) - strlen(name)); at && !failed;) {
        cj_file_info info = {CJ_FILE_NONE, 0, false};
        char *slash = strchr(at, '/');
        if (slash) *slash = 0;
        failed = cj__file_info(cj, *path, &info);
        if (!failed && info.link)
            failed = cj_fail(cj, CJ_ERR_ARGUMENT,
                             "the file name '%.200s' is refused: '%.200s' is a symbolic link; a "
                             "name within '%s' is expected",
                             name, *path, folder);
        if (slash) *slash = '/';
        at = slash ? slash + 1 : NULL;
    }
    if (!failed) return CJ_OK;
    free_string(cj, *path);
    *path = NULL;
    return failed;
}
