/* idx.c: IDX files become tensors, folders of them data sets.
 *
 * A file is believed only as far as its bytes go: 47 million pictures in a header of 16 bytes are
 * refused before memory is asked for, plain files by their size, packed ones by what deflate can
 * make of theirs. Then memory of exactly the declared size is filled, and not one byte may be
 * missing or left. */
#include "data/idx.h"

#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "base/text.h"
#include "data/folder.h"
#include "data/format.h"
#include "data/gzip.h"
#include "data/pictures.h"

#undef cj_dataset_open

enum { RANK_MAX = 4, HEADER_MAX = 4 + 4 * RANK_MAX, TYPE_U8 = 0x08 };

/* ---- One file -------------------------------------------------------------------------------- */

typedef struct header {
    int rank;
    int64_t shape[RANK_MAX];
    size_t bytes, data_bytes;
} header;

/* `size` bytes of the file's beginning; `available`: the most that can follow them. */
static cj_status parse_header(cj_context *cj, const char *name, const unsigned char *b, size_t size,
                              size_t available, header *h)
{
    if (size < 4)
        return cj_fail(cj, CJ_ERR_FORMAT, "%s: %zu bytes are too few for an IDX file", name, size);
    if (b[0] || b[1])
        return cj_fail(cj, CJ_ERR_FORMAT,
                       "%s: is no IDX file: it begins with 0x%02x%02x%02x%02x, not with two zeros",
                       name, b[0], b[1], b[2], b[3]);
    if (b[2] != TYPE_U8)
        return cj_fail(cj, CJ_ERR_UNSUPPORTED,
                       "%s: IDX type 0x%02x is not supported, only 0x08 (unsigned bytes)", name,
                       b[2]);
    h->rank = b[3];
    if (h->rank < 1 || h->rank > RANK_MAX)
        return cj_fail(cj, CJ_ERR_FORMAT, "%s: IDX rank %d is not between 1 and %d", name, h->rank,
                       RANK_MAX);
    h->bytes = 4 + 4 * (size_t)h->rank;
    if (size < h->bytes)
        return cj_fail(cj, CJ_ERR_FORMAT, "%s: truncated: it ends within the IDX header", name);
    int64_t count;
    for (int i = 0; i < h->rank; i++) {
        const unsigned char *d = b + 4 + 4 * i;
        h->shape[i] = (int64_t)d[0] << 24 | (int64_t)d[1] << 16 | (int64_t)d[2] << 8 | d[3];
    }
    if (!cj__count(h->rank, h->shape, &count) || !cj__bytes(count, 8, &h->data_bytes) ||
        h->data_bytes > available || h->bytes > available - h->data_bytes)
        return cj_fail(cj, CJ_ERR_FORMAT,
                       "%s: truncated: the IDX header says more bytes than the file can have (%zu)",
                       name, available);
    return CJ_OK;
}

static cj_status parse_gzip(cj_context *cj, const char *name, const void *bytes, size_t size,
                            cj_tensor **out)
{
    unsigned char head[HEADER_MAX], extra;
    size_t got = 0, rest = 0;
    header h;
    cj__gzip z;
    cj_status failed = cj__gzip_open(&z, cj, name, bytes, size);
    if (failed) return failed;
    CJ__CHECK(failed = cj__gzip_read(&z, head, 4, &got));
    if (got == 4 && head[3] >= 1 && head[3] <= RANK_MAX)
        CJ__CHECK(failed = cj__gzip_read(&z, head + 4, 4u * head[3], &rest));
    CJ__CHECK(failed = parse_header(cj, name, head, got + rest, cj__gzip_bound(size), &h));
    *out = cj_tensor_new(cj, CJ_U8, h.rank, h.shape);
    if (!*out) {
        failed = cj_last_status(cj);
        goto out;
    }
    failed = cj__gzip_read(&z, cj_tensor_map(*out, CJ_MAP_WRITE), h.data_bytes, &got);
    cj_tensor_unmap(*out);
    CJ__CHECK(failed);
    if (got < h.data_bytes)
        failed = cj_fail(cj, CJ_ERR_FORMAT,
                         "%s: truncated: %zu bytes of data, but its header says %zu", name, got,
                         h.data_bytes);
    else if (!(failed = cj__gzip_read(&z, &extra, 1, &rest)) && rest > 0)
        failed = cj_fail(cj, CJ_ERR_FORMAT, "%s: more data than the %zu bytes its header says",
                         name, h.data_bytes);
out:
    cj__gzip_close(&z);
    if (failed) {
        cj_tensor_free(*out);
        *out = NULL;
    }
    return failed;
}

static cj_status fail_longer(cj_context *cj, const char *name, const header *h)
{
    return cj_fail(cj, CJ_ERR_FORMAT, "%s: more data than the %zu bytes its header says", name,
                   h->data_bytes);
}

cj_status cj__idx_parse(cj_context *cj, const char *name, const void *bytes, size_t size,
                        cj_tensor **out)
{
    static const unsigned char xz[6] = {0xfd, '7', 'z', 'X', 'Z', 0};
    *out = NULL;
    if (cj__is_gzip(bytes, size)) return parse_gzip(cj, name, bytes, size, out);
    if (size >= sizeof xz && !memcmp(bytes, xz, sizeof xz))
        return cj_fail(cj, CJ_ERR_UNSUPPORTED, "%s: is packed with xz: unpack it first (xz -dk)",
                       name);
    header h;
    CJ__TRY(parse_header(cj, name, bytes, size, size, &h));
    if (size > h.bytes + h.data_bytes) return fail_longer(cj, name, &h);
    *out = cj_tensor_from(cj, CJ_U8, h.rank, h.shape, (const unsigned char *)bytes + h.bytes);
    return *out ? CJ_OK : cj_last_status(cj);
}

cj_status cj__idx_load(cj_context *cj, const char *path, cj_tensor **out)
{
    cj__file_bytes bytes;
    *out = NULL;
    CJ__TRY(cj__file_load(cj, path, 0, &bytes));
    cj_status failed = cj__idx_parse(cj, path, bytes.data, bytes.size, out);
    cj__file_unload(&bytes);
    return failed;
}

/* ---- Pictures with labels -------------------------------------------------------------------- */

/* One part (train or test) and where it lies; labels_path NULL: there are none. */
typedef struct part {
    cj__pictures p;
    const char *images_path, *labels_path;
} part;

static cj_status check_rank(cj_context *cj, const char *path, int rank)
{
    return rank >= 3
               ? CJ_OK
               : cj_fail(cj, CJ_ERR_FORMAT,
                         "%s: pictures have rank 3 or 4 (samples, height, width, channels), not %d",
                         path, rank);
}

/* The pictures stay in the file. */
static cj_status stream_pictures(cj_context *cj, part *p)
{
    unsigned char head[HEADER_MAX];
    cj__reader *file = &p->p.stream.file;
    header h;
    CJ__TRY(cj__reader_open(file, cj, p->images_path));
    const size_t size = file->size < HEADER_MAX ? (size_t)file->size : HEADER_MAX;
    CJ__TRY(cj__reader_read(file, cj, head, size, 0));
    if (cj__is_gzip(head, size)) return cj__fail_packed(cj, p->images_path);
    CJ__TRY(parse_header(cj, p->images_path, head, size, (size_t)file->size, &h));
    if ((uint64_t)file->size > h.bytes + h.data_bytes) return fail_longer(cj, p->images_path, &h);
    p->p.stream.at = (int64_t)h.bytes;
    for (int i = 0; i < 4; i++) p->p.shape[i] = i < h.rank ? h.shape[i] : 1;
    return check_rank(cj, p->images_path, h.rank);
}

static cj_status load_pictures(cj_context *cj, part *p)
{
    CJ__TRY(cj__idx_load(cj, p->images_path, &p->p.images));
    int rank = cj_tensor_rank(p->p.images);
    const int64_t *shape = cj_tensor_shape(p->p.images);
    CJ__TRY(check_rank(cj, p->images_path, rank));
    if (rank == 3) {
        int64_t with_channel[4] = {shape[0], shape[1], shape[2], 1};
        cj_tensor *view = cj_tensor_reshape(p->p.images, 4, with_channel);
        if (!view) return cj_last_status(cj);
        cj_tensor_free(p->p.images);
        p->p.images = view;
    }
    return CJ_OK;
}

static cj_status load_part(cj_context *cj, part *p, int classes, bool stream)
{
    CJ__TRY((stream ? stream_pictures : load_pictures)(cj, p));
    if (!p->labels_path) return CJ_OK;
    CJ__TRY(cj__idx_load(cj, p->labels_path, &p->p.labels));
    if (cj_tensor_rank(p->p.labels) != 1)
        return cj_fail(cj, CJ_ERR_FORMAT, "%s: labels have rank 1, not %d", p->labels_path,
                       cj_tensor_rank(p->p.labels));
    const int64_t pictures = p->p.images ? cj_tensor_shape(p->p.images)[0] : p->p.shape[0],
                  labels = cj_tensor_shape(p->p.labels)[0];
    if (pictures != labels)
        return cj_fail(cj, CJ_ERR_DATA, "%s: %lld labels, but %lld pictures in %s", p->labels_path,
                       (long long)labels, (long long)pictures, p->images_path);
    return cj__pictures_check(cj, p->labels_path, &p->p, classes);
}

/* ---- Finding the files ----------------------------------------------------------------------- */

static cj_status look(cj_context *cj, const char *path, bool *is_file)
{
    cj_file_info info;
    CJ__TRY(cj__file_info(cj, path, &info));
    *is_file = info.kind == CJ_FILE_REGULAR;
    return CJ_OK;
}

/* The path of an IDX file in a folder: "train-images-idx3-ubyte" or, as some archives have it,
 * "train-images.idx3-ubyte", plain or .gz; NULL when there is none. */
static cj_status find_file(cj__arena *arena, const char *folder, const char *stem, const char *kind,
                           const char **path)
{
    static const char *const forms[][2] = {{"-", ""}, {"-", ".gz"}, {".", ""}, {".", ".gz"}};
    for (size_t i = 0; i < CJ__COUNT(forms); i++) {
        bool found = false;
        *path = cj__arena_printf(arena, "%s/%s%s%s%s", folder, stem, forms[i][0], kind,
                                 forms[i][1]);
        if (!*path) return cj_last_status(arena->cj);
        CJ__TRY(look(arena->cj, *path, &found));
        if (found) return CJ_OK;
    }
    *path = NULL;
    return CJ_OK;
}

static cj_status need_file(cj__arena *arena, const char *folder, const char *stem, const char *kind,
                           const char **path)
{
    bool packed = false;
    CJ__TRY(find_file(arena, folder, stem, kind, path));
    if (*path) return CJ_OK;
    const char *xz = cj__arena_printf(arena, "%s/%s-%s.xz", folder, stem, kind);
    if (!xz) return cj_last_status(arena->cj);
    CJ__TRY(look(arena->cj, xz, &packed));
    if (packed)
        return cj_fail(arena->cj, CJ_ERR_UNSUPPORTED,
                       "%s: is packed with xz: unpack it first (xz -dk)", xz);
    return cj_fail(arena->cj, CJ_ERR_NOT_FOUND, "%s: has no %s-%s, plain or .gz", folder, stem,
                   kind);
}

cj_status cj__idx_look(cj_context *cj, const char *folder, bool *found)
{
    const char *path = NULL;
    cj__arena arena;
    cj__arena_init(&arena, cj);
    cj_status failed = find_file(&arena, folder, "train-images", "idx3-ubyte", &path);
    if (!failed && !path) failed = find_file(&arena, folder, "t10k-images", "idx3-ubyte", &path);
    *found = !failed && path;
    if (!failed && !path) failed = need_file(&arena, folder, "train-images", "idx3-ubyte", &path);
    if (failed == CJ_ERR_NOT_FOUND) failed = CJ_OK;
    cj__arena_release(&arena);
    return failed;
}

static cj_status open_part(cj__arena *arena, const char *folder, const char *which, int classes,
                           bool stream, part *p)
{
    const char *images = cj__arena_printf(arena, "%s-images", which);
    const char *labels = images ? cj__arena_printf(arena, "%s-labels", which) : NULL;
    if (!labels) return cj_last_status(arena->cj);
    CJ__TRY(need_file(arena, folder, images, "idx3-ubyte", &p->images_path));
    CJ__TRY(need_file(arena, folder, labels, "idx1-ubyte", &p->labels_path));
    return load_part(arena->cj, p, classes, stream);
}

cj_dataset *cj__idx_open_folder(cj_context *cj, const char *name, const char *folder,
                                const cj_dataset_opts *opts)
{
    const char *split = opts->split ? opts->split : "train";
    bool train = strcmp(split, "test") != 0, test = strcmp(split, "train") != 0;
    cj_dataset *ds = NULL;
    part p = {0}, q = {0};
    int classes;
    cj__arena arena;
    cj__arena_init(&arena, cj);
    if (cj__pictures_options(cj, name, opts, &classes)) goto out;
    if (train && open_part(&arena, folder, "train", classes, opts->stream, &p)) goto out;
    if (test && open_part(&arena, folder, "t10k", classes, opts->stream, train ? &q : &p)) goto out;
    if (train && test && opts->stream) {
        ds = cj__dataset_join(cj__pictures_dataset(cj, name, &p.p, classes, opts),
                              cj__pictures_dataset(cj, name, &q.p, classes, opts), opts->limit);
        goto out;
    }
    if (train && test && cj__pictures_append(cj, name, &p.p, &q.p)) goto out;
    ds = cj__pictures_dataset(cj, name, &p.p, classes, opts);
out:
    cj__pictures_release(&p.p);
    cj__pictures_release(&q.p);
    cj__arena_release(&arena);
    return ds;
}

/* x-images-idx3-ubyte.gz has its labels in x-labels-idx1-ubyte, with or without .gz. NULL: not
 * beside it. */
static cj_status labels_beside(cj__arena *arena, const char *images, const char **labels)
{
    static const char word[] = "-images", kind[] = "idx3-ubyte";
    const char *slash = strrchr(images, '/'), *at = strstr(slash ? slash : images, word);
    *labels = NULL;
    if (!at || !at[strlen(word)] || strncmp(at + strlen(word) + 1, kind, strlen(kind)))
        return CJ_OK;
    for (int gz = 0; gz < 2; gz++) {
        bool found = false;
        const char *path = cj__arena_printf(arena, "%.*s-labels%cidx1-ubyte%s", (int)(at - images),
                                            images, at[strlen(word)], gz ? ".gz" : "");
        if (!path) return cj_last_status(arena->cj);
        CJ__TRY(look(arena->cj, path, &found));
        if (found) *labels = path;
    }
    return CJ_OK;
}

cj_dataset *cj__idx_open_file(cj_context *cj, const char *path, const cj_dataset_opts *opts)
{
    cj_dataset *ds = NULL;
    part p = {.images_path = path};
    int classes;
    cj__arena arena;
    cj__arena_init(&arena, cj);
    if ((opts->no_target || !labels_beside(&arena, path, &p.labels_path)) &&
        !cj__pictures_options(cj, path, opts, &classes) &&
        !load_part(cj, &p, classes, opts->stream))
        ds = cj__pictures_dataset(cj, path, &p.p, classes, opts);
    cj__pictures_release(&p.p);
    cj__arena_release(&arena);
    return ds;
}

const cj__file_format cj__format_idx = {
    .row = {.name = "idx",
            .suffixes = "-ubyte",
            .doc = "pictures and labels as those of MNIST; the labels lie in a file beside"},
    .open = cj__idx_open_file};

static cj_status look_at(cj_context *cj, const char *folder, const cj_dataset_opts *opts,
                         bool *found)
{
    (void)opts;
    return cj__idx_look(cj, folder, found);
}

static cj_dataset *open_at(cj_context *cj, const char *folder, const cj_dataset_opts *opts)
{
    return cj__idx_open_folder(cj, folder, folder, opts);
}

const cj__folder_kind cj__folder_idx = {
    .row = {.name = "idx",
            .doc = "pictures with labels as those of MNIST",
            .files = "train-images-idx3-ubyte, train-labels-idx1-ubyte, "
                     "t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, each plain or .gz"},
    .look = look_at,
    .open = open_at};
