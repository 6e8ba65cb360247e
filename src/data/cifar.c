/* cifar.c: planes of colours become pictures whose channels lie side by side. */
#include "data/cifar.h"

#include <string.h>

#include "base/file.h"
#include "data/folder.h"
#include "data/format.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, COLOURS = 3, PIXELS = COLOURS * PLANE, BATCHES = 5 };

static const char *const ten[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                  "dog",      "frog",       "horse", "ship", "truck"};
static const char *const hundred[] = {
    "apple",       "aquarium_fish", "baby",       "bear",       "beaver",       "bed",
    "bee",         "beetle",        "bicycle",    "bottle",     "bowl",         "boy",
    "bridge",      "bus",           "butterfly",  "camel",      "can",          "castle",
    "caterpillar", "cattle",        "chair",      "chimpanzee", "clock",        "cloud",
    "cockroach",   "couch",         "crab",       "crocodile",  "cup",          "dinosaur",
    "dolphin",     "elephant",      "flatfish",   "forest",     "fox",          "girl",
    "hamster",     "house",         "kangaroo",   "keyboard",   "lamp",         "lawn_mower",
    "leopard",     "lion",          "lizard",     "lobster",    "man",          "maple_tree",
    "motorcycle",  "mountain",      "mouse",      "mushroom",   "oak_tree",     "orange",
    "orchid",      "otter",         "palm_tree",  "pear",       "pickup_truck", "pine_tree",
    "plain",       "plate",         "poppy",      "porcupine",  "possum",       "rabbit",
    "raccoon",     "ray",           "road",       "rocket",     "rose",         "sea",
    "seal",        "shark",         "shrew",      "skunk",      "skyscraper",   "snail",
    "snake",       "spider",        "squirrel",   "streetcar",  "sunflower",    "sweet_pepper",
    "table",       "tank",          "telephone",  "television", "tiger",        "tractor",
    "train",       "trout",         "tulip",      "turtle",     "wardrobe",     "whale",
    "willow_tree", "wolf",          "woman",      "worm"};

/* ---- Bytes ----------------------------------------------------------------------------------- */

static void unpack(const unsigned char *record, int64_t n, int label_bytes, unsigned char *images,
                   unsigned char *labels)
{
    for (int64_t i = 0; i < n; i++, record += label_bytes + PIXELS, images += PIXELS) {
        const unsigned char *planes = record + label_bytes;
        labels[i] = record[label_bytes - 1];
        for (int p = 0; p < PLANE; p++)
            for (int c = 0; c < COLOURS; c++) images[p * COLOURS + c] = planes[c * PLANE + p];
    }
}

static cj_status count_records(cj_context *cj, const char *name, uint64_t size, int label_bytes,
                               int64_t *n)
{
    static const unsigned record[] = {0, 1 + PIXELS, 2 + PIXELS};
    *n = (int64_t)(size / record[label_bytes]);
    if (size % record[label_bytes] == 0 && *n > 0) return CJ_OK;
    return cj_fail(cj, CJ_ERR_FORMAT, "%s: %llu bytes are no number of CIFAR records of %u bytes",
                   name, (unsigned long long)size, record[label_bytes]);
}

static cj_status new_pictures(cj_context *cj, int64_t n, cj__pictures *out)
{
    out->images = cj_tensor_new(cj, CJ_U8, 4, (int64_t[]){n, SIDE, SIDE, COLOURS});
    out->labels = out->images ? cj_tensor_new(cj, CJ_U8, 1, &n) : NULL;
    if (out->labels) return CJ_OK;
    cj__pictures_release(out);
    return cj_last_status(cj);
}

/* Records into the pictures from number `at` on. */
static void fill(const unsigned char *bytes, int64_t n, int label_bytes, int64_t at,
                 cj__pictures *out)
{
    unsigned char *images = cj_tensor_map(out->images, CJ_MAP_WRITE),
                  *labels = cj_tensor_map(out->labels, CJ_MAP_WRITE);
    unpack(bytes, n, label_bytes, images + at * PIXELS, labels + at);
    cj_tensor_unmap(out->images);
    cj_tensor_unmap(out->labels);
}

cj_status cj__cifar_parse(cj_context *cj, const char *name, const void *bytes, size_t size,
                          int label_bytes, cj__pictures *out)
{
    int64_t n;
    *out = (cj__pictures){0};
    CJ__TRY(count_records(cj, name, size, label_bytes, &n));
    CJ__TRY(new_pictures(cj, n, out));
    fill(bytes, n, label_bytes, 0, out);
    return CJ_OK;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* Files that follow each other, in one piece of memory of the right size. */
static cj_status load(cj_context *cj, const char *const *paths, int n_paths, int label_bytes,
                      cj__pictures *out)
{
    int64_t n, all = 0, at = 0;
    for (int i = 0; i < n_paths; i++, all += n) {
        cj_file_info info;
        CJ__TRY(cj__file_info(cj, paths[i], &info));
        CJ__TRY(count_records(cj, paths[i], (uint64_t)info.size_bytes, label_bytes, &n));
    }
    CJ__TRY(new_pictures(cj, all, out));
    for (int i = 0; i < n_paths; i++, at += n) {
        cj__file_bytes bytes;
        cj_status failed = cj__file_load(cj, paths[i], 0, &bytes);
        if (failed) return failed;
        failed = count_records(cj, paths[i], bytes.size, label_bytes, &n);
        if (!failed && n > all - at)
            failed = cj_fail(cj, CJ_ERR_IO, "%s: has grown while it was read", paths[i]);
        if (!failed) fill(bytes.data, n, label_bytes, at, out);
        cj__file_unload(&bytes);
        if (failed) return failed;
    }
    return CJ_OK;
}

/* FOLDER/STEM.bin, or NULL when it is not there. */
static cj_status find(cj__arena *arena, const char *folder, const char *stem, const char **path)
{
    cj_file_info info;
    *path = cj__arena_printf(arena, "%s/%s.bin", folder, stem);
    const char *packed = cj__arena_printf(arena, "%s/%s.bin.xz", folder, stem);
    if (!*path || !packed) return cj_last_status(arena->cj);
    CJ__TRY(cj__file_info(arena->cj, *path, &info));
    if (info.kind == CJ_FILE_REGULAR) return CJ_OK;
    *path = NULL;
    CJ__TRY(cj__file_info(arena->cj, packed, &info));
    if (info.kind != CJ_FILE_REGULAR) return CJ_OK;
    return cj_fail(arena->cj, CJ_ERR_UNSUPPORTED,
                   "%s: is packed with xz: unpack it first (xz -dk)", packed);
}

typedef struct files {
    const char *train[BATCHES], *test;
    int n_train, label_bytes;
} files;

static cj_status find_files(cj__arena *arena, const char *folder, files *f)
{
    static const char *const batches[BATCHES] = {"data_batch_1", "data_batch_2", "data_batch_3",
                                                 "data_batch_4", "data_batch_5"};
    *f = (files){.label_bytes = 1};
    for (; f->n_train < BATCHES; f->n_train++) {
        CJ__TRY(find(arena, folder, batches[f->n_train], &f->train[f->n_train]));
        if (!f->train[f->n_train]) break;
    }
    CJ__TRY(find(arena, folder, "test_batch", &f->test));
    if (f->n_train || f->test) return CJ_OK;
    CJ__TRY(find(arena, folder, "train", &f->train[0]));
    CJ__TRY(find(arena, folder, "test", &f->test));
    f->n_train = f->train[0] != NULL;
    f->label_bytes = 2;
    return CJ_OK;
}

cj_status cj__cifar_look(cj_context *cj, const char *folder, bool *found)
{
    files f;
    cj__arena arena;
    cj__arena_init(&arena, cj);
    cj_status failed = find_files(&arena, folder, &f);
    *found = !failed && (f.n_train || f.test);
    cj__arena_release(&arena);
    return failed;
}

static cj_dataset *dataset_of(cj_context *cj, const char *name, cj__pictures *p, int label_bytes,
                              const cj_dataset_opts *opts)
{
    cj_dataset_opts o = *opts;
    int classes;
    if (!o.classes) o.classes = label_bytes == 1 ? 10 : 100;
    if (!o.class_names && o.classes == (label_bytes == 1 ? 10 : 100))
        o.class_names = label_bytes == 1 ? ten : hundred;
    if (o.stream)
        cj_fail(cj, CJ_ERR_UNSUPPORTED,
                "%s: pictures whose channels lie apart cannot be streamed; leave stream out", name);
    else if (!cj__pictures_options(cj, name, &o, &classes) &&
        !cj__pictures_check(cj, name, p, classes)) {
        if (o.no_target) cj_tensor_free(p->labels), p->labels = NULL;
        return cj__pictures_dataset(cj, name, p, classes, &o);
    }
    cj__pictures_release(p);
    return NULL;
}

cj_dataset *cj__cifar_open_folder(cj_context *cj, const char *name, const char *folder,
                                  const cj_dataset_opts *opts)
{
    const char *split = opts->split ? opts->split : "train", *paths[BATCHES + 1];
    const bool train = strcmp(split, "test") != 0, test = strcmp(split, "train") != 0;
    cj_dataset *ds = NULL;
    cj__pictures p = {0};
    files f;
    int n = 0;
    cj__arena arena;
    cj__arena_init(&arena, cj);
    if (find_files(&arena, folder, &f)) goto out;
    for (int i = 0; train && i < f.n_train; i++) paths[n++] = f.train[i];
    if (test && f.test) paths[n++] = f.test;
    if ((train && !f.n_train) || (test && !f.test))
        cj_fail(cj, CJ_ERR_NOT_FOUND, "%s: has no %s", folder,
                train && !f.n_train ? "data_batch_1.bin or train.bin"
                                    : "test_batch.bin or test.bin");
    else if (!load(cj, paths, n, f.label_bytes, &p))
        ds = dataset_of(cj, name, &p, f.label_bytes, opts);
out:
    cj__pictures_release(&p);
    cj__arena_release(&arena);
    return ds;
}

cj_dataset *cj__cifar_open_file(cj_context *cj, const char *path, const cj_dataset_opts *opts)
{
    cj_file_info info;
    cj__pictures p = {0};
    if (cj__file_info(cj, path, &info)) return NULL;
    const int label_bytes = info.size_bytes % (1 + PIXELS) && info.size_bytes % (2 + PIXELS) == 0
                                ? 2
                                : 1;
    if (!load(cj, &path, 1, label_bytes, &p)) return dataset_of(cj, path, &p, label_bytes, opts);
    cj__pictures_release(&p);
    return NULL;
}

const cj__file_format cj__format_cifar = {
    .row = {.name = "cifar",
            .suffixes = ".bin",
            .doc = "pictures of 32 x 32 with their labels, as in CIFAR's binary files"},
    .open = cj__cifar_open_file};

static cj_status look_at(cj_context *cj, const char *folder, const cj_dataset_opts *opts,
                         bool *found)
{
    (void)opts;
    return cj__cifar_look(cj, folder, found);
}

static cj_dataset *open_at(cj_context *cj, const char *folder, const cj_dataset_opts *opts)
{
    return cj__cifar_open_folder(cj, folder, folder, opts);
}

const cj__folder_kind cj__folder_cifar = {
    .row = {.name = "cifar",
            .doc = "pictures of 32 x 32 with their labels",
            .files = "data_batch_1.bin ..., test_batch.bin; or train.bin, test.bin"},
    .look = look_at,
    .open = open_at};
