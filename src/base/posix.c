/* posix.c: the operating system, seen once.
 *
 * The default allocator, I/O table and clock of a context. Everything here is stateless: a function
 * of a table calls one system call and turns errno into a negative number. Retrying, short
 * transfers and messages are the business of file.c, so that they are tested with injected faults.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* sched_getaffinity */
#elif !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#include "base/posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

#include "base/compiler.h"

enum { TRANSFER_BYTES_MAX = 1 << 30 }; /* Linux moves at most 2 GiB a call */

/* ---- Memory --------------------------------------------------------------------------------- */

void *cj__posix_allocate(void *user, void *old, size_t old_size, size_t new_size)
{
    (void)user, (void)old_size;
    if (new_size) return realloc(old, new_size);
    free(old);
    return NULL;
}

/* ---- Files ---------------------------------------------------------------------------------- */

static int io_open(void *user, const char *path, int mode)
{
    (void)user;
    int flags = O_CLOEXEC | O_NOCTTY;
    switch (mode) {
    case CJ_OPEN_READ: flags |= O_RDONLY; break;
    case CJ_OPEN_WRITE: flags |= O_WRONLY | O_CREAT | O_TRUNC; break;
    case CJ_OPEN_APPEND: flags |= O_WRONLY | O_CREAT | O_APPEND; break;
    case CJ_OPEN_DIRECTORY: flags |= O_RDONLY | O_DIRECTORY; break;
    default: return -EINVAL;
    }
    int file = open(path, flags, 0666);
    return file < 0 ? -errno : file;
}

static int64_t io_read(void *user, int file, void *bytes, size_t size)
{
    (void)user;
    ssize_t n = read(file, bytes, size < TRANSFER_BYTES_MAX ? size : TRANSFER_BYTES_MAX);
    return n < 0 ? -errno : n;
}

static int64_t io_pread(void *user, int file, void *bytes, size_t size, int64_t offset)
{
    (void)user;
    ssize_t n = pread(file, bytes, size < TRANSFER_BYTES_MAX ? size : TRANSFER_BYTES_MAX,
                      (off_t)offset);
    return n < 0 ? -errno : n;
}

static int64_t io_write(void *user, int file, const void *bytes, size_t size)
{
    (void)user;
    ssize_t n = write(file, bytes, size < TRANSFER_BYTES_MAX ? size : TRANSFER_BYTES_MAX);
    return n < 0 ? -errno : n;
}

static int io_sync(void *user, int file)
{
    (void)user;
    return fsync(file) ? -errno : 0;
}

static int io_close(void *user, int file)
{
    (void)user;
    return close(file) ? -errno : 0;
}

static int io_info(void *user, const char *path, cj_file_info *info)
{
    (void)user;
    struct stat st;
    *info = (cj_file_info){CJ_FILE_NONE, 0, false};
    if (lstat(path, &st) == 0) info->link = S_ISLNK(st.st_mode);
    if (stat(path, &st)) return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    info->kind = S_ISREG(st.st_mode)   ? CJ_FILE_REGULAR
                 : S_ISDIR(st.st_mode) ? CJ_FILE_DIRECTORY
                                       : CJ_FILE_OTHER;
    info->size_bytes = info->kind == CJ_FILE_REGULAR ? (int64_t)st.st_size : 0;
    return 0;
}

static int io_rename(void *user, const char *from, const char *to)
{
    (void)user;
    return rename(from, to) ? -errno : 0;
}

static int io_remove(void *user, const char *path)
{
    (void)user;
    return remove(path) ? -errno : 0;
}

static int io_mkdir(void *user, const char *path)
{
    (void)user;
    return mkdir(path, 0777) ? -errno : 0;
}

static int io_list(void *user, const char *path, int (*each)(void *arg, const char *name),
                   void *arg)
{
    (void)user;
    DIR *folder = opendir(path);
    if (!folder) return -errno;
    int result = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (!entry) {
            result = -errno;
            break;
        }
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if ((result = each(arg, entry->d_name))) break;
    }
    closedir(folder);
    return result;
}

static void *io_map(void *user, int file, size_t size)
{
    (void)user;
    void *pages = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

static void io_unmap(void *user, void *bytes, size_t size)
{
    (void)user;
    munmap(bytes, size);
}

const cj_io cj__posix_io = {
    .open = io_open,
    .read = io_read,
    .pread = io_pread,
    .write = io_write,
    .sync = io_sync,
    .close = io_close,
    .info = io_info,
    .rename = io_rename,
    .remove = io_remove,
    .mkdir = io_mkdir,
    .list = io_list,
    .map = io_map,
    .unmap = io_unmap,
};

/* strerror_r comes in two kinds: POSIX's returns an int and fills the buffer, GNU's returns the
 * text, which may lie elsewhere. */
static CJ__UNUSED void take_posix(int failed, char *out, size_t size)
{
    if (failed && size) out[0] = 0;
}

static CJ__UNUSED void take_gnu(const char *text, char *out, size_t size)
{
    if (text == out || !size) return;
    size_t length = strlen(text);
    if (length >= size) length = size - 1;
    memcpy(out, text, length);
    out[length] = 0;
}

void cj__posix_error(int error, char *out, size_t size)
{
    error = error < 0 && error > -65536 ? -error : error;
    if (size) out[0] = 0;
    _Generic(strerror_r(error, out, size), int: take_posix, char *: take_gnu)
        (strerror_r(error, out, size), out, size);
}

/* ---- Time and processors -------------------------------------------------------------------- */

static int64_t now(clockid_t which)
{
    struct timespec t = {0, 0};
    clock_gettime(which, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t clock_wall(void *user)
{
    (void)user;
    return now(CLOCK_REALTIME);
}

static int64_t clock_monotonic(void *user)
{
    (void)user;
    return now(CLOCK_MONOTONIC);
}

const cj_clock cj__posix_clock = {.wall_ns = clock_wall, .monotonic_ns = clock_monotonic};

int cj__posix_threads(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set) && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 4096 ? 4096 : (int)n;
}
