/* open.c: from a word to a data set.
 *
 * What has a slash or a known suffix is a path, whose kind follows from what lies there; any other
 * word is a name, looked up in the program's own rows and then in ours. Each of our rows is a
 * folder of IDX or CIFAR files that may lie in several places; when it lies in none, the message
 * names them all. */
#include <string.h>

#include "base/environment.h"
#include "base/file.h"
#include "base/registry.h"
#include "base/text.h"
#include "data/cifar.h"
#include "data/dataset.h"
#include "data/folder.h"
#include "data/format.h"

#undef cj_dataset_open

/* ---- Our rows -------------------------------------------------------------------------------- */

static const char *const digit_names[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
static const char *const fashion_names[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                            "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"};

enum { PLACES_MAX = 4 };

/* The folders in which the files of `name` may lie, in the order of looking. */
static int list_places(cj__arena *arena, const char *name, const char *folder,
                       char *places[PLACES_MAX])
{
    const char *data = cj__environment_data(), *home = cj__environment_home();
    int n = 0;
    if (folder) {
        places[n++] = cj__arena_printf(arena, "%s/%s", folder, name);
        places[n++] = cj__arena_strdup(arena, folder);
        return n;
    }
    if (data) places[n++] = cj__arena_printf(arena, "%s/%s", data, name);
    if (home) places[n++] = cj__arena_printf(arena, "%s/.cache/cajal/%s", home, name);
    places[n++] = cj__arena_printf(arena, "/usr/share/datasets/%s", name);
    if (data) places[n++] = cj__arena_strdup(arena, data);
    return n;
}

static void fail_nowhere(cj_context *cj, const cj_dataset_row *row, char **places, int n,
                         bool folder)
{
    cj__text text;
    cj__text_init(&text, cj);
    for (int i = 0; i < n; i++) cj__text_format(&text, "%s%s", i ? ", " : "", places[i]);
    if (!folder && !cj__environment_data()) cj__text_add(&text, " (and CAJAL_DATA is not set)");
    if (!text.failed)
        cj_fail(cj, CJ_ERR_NOT_FOUND, "data set '%s' was not found; looked in %s. To get it: %s",
                row->name, cj__text_string(&text), row->how_to_get);
    cj__text_release(&text);
}

/* How the files of a row are recognised in a folder, and read. */
typedef cj_status (*look_fn)(cj_context *cj, const char *folder, bool *found);
typedef cj_dataset *(*open_fn)(cj_context *cj, const char *name, const char *folder,
                               const cj_dataset_opts *opts);

static cj_dataset *open_folder(cj_context *cj, const cj_dataset_row *row,
                               const cj_dataset_opts *opts, look_fn look, open_fn open)
{
    cj_dataset *ds = NULL;
    char *places[PLACES_MAX];
    bool found = false;
    cj__arena arena;
    cj__arena_init(&arena, cj);
    int n = list_places(&arena, row->name, opts->folder, places);
    if (opts->split && !strcmp(opts->split, "validation")) {
        cj_fail(cj, CJ_ERR_NOT_FOUND, "data set '%s' has the parts train and test", row->name);
        goto out;
    }
    for (int i = 0; i < n && !found; i++) {
        if (!places[i] || look(cj, places[i], &found)) goto out;
        if (!found) continue;
        cj__log(cj, CJ_LOG_DEBUG, "data set '%s' is read from %s", row->name, places[i]);
        ds = open(cj, row->name, places[i], opts);
    }
    if (!found) fail_nowhere(cj, row, places, n, opts->folder != NULL);
out:
    cj__arena_release(&arena);
    return ds;
}

static cj_dataset *open_idx(cj_context *cj, const cj_dataset_row *row, const cj_dataset_opts *opts,
                            const char *const *names)
{
    cj_dataset_opts with_names = *opts;
    if (!with_names.classes) with_names.classes = 10;
    if (!with_names.class_names && with_names.classes == 10) with_names.class_names = names;
    return open_folder(cj, row, &with_names, cj__idx_look, cj__idx_open_folder);
}

static cj_dataset *open_cifar(cj_context *cj, const cj_dataset_row *row,
                              const cj_dataset_opts *opts)
{
    return open_folder(cj, row, opts, cj__cifar_look, cj__cifar_open_folder);
}

static cj_dataset *open_mnist(cj_context *cj, const cj_dataset_row *row,
                              const cj_dataset_opts *opts)
{
    return open_idx(cj, row, opts, digit_names);
}

static cj_dataset *open_fashion(cj_context *cj, const cj_dataset_row *row,
                                const cj_dataset_opts *opts)
{
    return open_idx(cj, row, opts, fashion_names);
}

static const cj_dataset_row mnist = {
    .name = "mnist",
    .doc = "60,000 + 10,000 handwritten digits, 28 x 28 grey, 10 classes (LeCun 1998)",
    .how_to_get = "put the four files train-images-idx3-ubyte, train-labels-idx1-ubyte, "
                  "t10k-images-idx3-ubyte and "
                  "t10k-labels-idx1-ubyte (plain or .gz) into one of these folders, or name the "
                  "folder as data=./FOLDER",
    .open = open_mnist};
static const cj_dataset_row fashion_mnist = {
    .name = "fashion-mnist",
    .doc = "60,000 + 10,000 articles of clothing, 28 x 28 grey, 10 classes (Xiao 2017)",
    .how_to_get = "apt-get install dataset-fashion-mnist (Debian), or put its four IDX files "
                  "(plain or .gz) into one of "
                  "these folders",
    .open = open_fashion};

static const cj_dataset_row cifar10 = {
    .name = "cifar10",
    .doc = "50,000 + 10,000 coloured pictures of animals and vehicles, 32 x 32, 10 classes "
           "(Krizhevsky 2009)",
    .how_to_get = "unpack cifar-10-binary.tar.gz and put data_batch_1.bin to data_batch_5.bin and "
                  "test_batch.bin into one of these folders, or name the folder as data=./FOLDER",
    .open = open_cifar};
static const cj_dataset_row cifar100 = {
    .name = "cifar100",
    .doc = "50,000 + 10,000 coloured pictures, 32 x 32, 100 classes (Krizhevsky 2009)",
    .how_to_get = "unpack cifar-100-binary.tar.gz and put train.bin and test.bin into one of these "
                  "folders, or name the folder as data=./FOLDER",
    .open = open_cifar};

static const void *const builtin[] = {&fashion_mnist, &mnist, &cifar10, &cifar100, NULL};

cj_status cj_dataset_register(cj_context *cj, const cj_dataset_row *row)
{
    if (!row || !row->name || !row->name[0] || !row->open)
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "a data set to register needs a name and a function that opens it");
    return cj__register(cj, CJ__ROW_DATASET, row);
}

const cj_dataset_row *cj_dataset_row_at(cj_context *cj, int i)
{
    return cj__row_at(cj, CJ__ROW_DATASET, builtin, i);
}

/* ---- Words and paths ------------------------------------------------------------------------- */

/* Is the source a path, rather than the name of a data set? */
static bool is_path(const cj_dataset_opts *o)
{
    const size_t n = strlen(o->source);
    return strchr(o->source, '/') || !strcmp(o->source, ".") || !strcmp(o->source, "..") ||
           o->format || cj_file_format_of(o->source) ||
           (n > 3 && (!strcmp(o->source + n - 3, ".gz") || !strcmp(o->source + n - 3, ".xz")));
}

static cj_dataset *open_path(cj_context *cj, const char *path, const cj_dataset_opts *opts)
{
    cj_file_info info;
    cj_dataset_opts o = *opts;
    const cj__file_format *format = cj__format_for(cj, path, opts);
    if (!format || cj__file_info(cj, path, &info)) return NULL;
    const bool folder = info.kind == CJ_FILE_DIRECTORY;
    const cj__folder_kind *kind = NULL;
    if (folder && o.format) {
        cj_fail(cj, CJ_ERR_ARGUMENT, "%s: is a folder; format=%s is for a file", path, o.format);
        return NULL;
    }
    if (folder && cj__folder_kind_of(cj, path, &o, &kind)) return NULL;
    if (o.split && !strcmp(o.split, "auto") &&
        !(folder ? kind->knows_auto : format->knows_auto))
        o.split = folder ? "test" : NULL;
    if (o.split && !strcmp(o.split, "validation") && !(folder && kind->find_parts)) {
        cj_fail(cj, CJ_ERR_NOT_FOUND, "%s: split=validation is for folders of pictures", path);
        return NULL;
    }
    opts = &o;
    if (info.kind == CJ_FILE_NONE) {
        cj_fail(cj, CJ_ERR_NOT_FOUND, "%s: no such file or folder", path);
        return NULL;
    }
    return folder ? kind->open(cj, path, opts) : format->open(cj, path, opts);
}

cj_status cj_dataset_has_validation(cj_context *cj, const cj_dataset_opts *opts, bool *has)
{
    cj_file_info info;
    cj_dataset_opts o;
    const cj__folder_kind *kind;
    const char *at[CJ__PARTS] = {NULL};
    cj__arena arena;
    *has = false;
    CJ__TRY(cj__data_options(cj, "data set", &o, sizeof o, opts));
    if (!o.source || !is_path(&o)) return CJ_OK; /* opening it says what is wrong */
    CJ__TRY(cj__file_info(cj, o.source, &info));
    if (info.kind != CJ_FILE_DIRECTORY) return CJ_OK;
    CJ__TRY(cj__folder_kind_of(cj, o.source, &o, &kind));
    if (!kind->find_parts) return CJ_OK;
    cj__arena_init(&arena, cj);
    const cj_status failed = kind->find_parts(&arena, o.source, at);
    *has = !failed && at[CJ__PART_TRAIN] && at[CJ__PART_VALIDATION];
    cj__arena_release(&arena);
    return failed;
}

static cj_status check_options(cj_context *cj, const cj_dataset_opts *o)
{
    if (!o->source || !o->source[0])
        return cj_fail(cj, CJ_ERR_ARGUMENT, "data set: no name and no path given");
    if (o->split && strcmp(o->split, "train") && strcmp(o->split, "test") &&
        strcmp(o->split, "all") && strcmp(o->split, "auto") && strcmp(o->split, "validation"))
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "data set %s: split='%s' is none of train, test, all, auto, validation",
                       o->source, o->split);
    if (o->limit < 0)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "data set %s: limit=%lld is negative", o->source,
                       (long long)o->limit);
    if (o->height < 0 || o->width < 0 || !o->height != !o->width ||
        (o->height && o->height > CJ_PICTURE_PIXELS_MAX / o->width))
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "data set %s: pictures of height %lld and width %lld are not possible",
                       o->source, (long long)o->height, (long long)o->width);
    if ((unsigned)o->fit > CJ_FIT_PAD || (unsigned)o->colour > CJ_PICTURE_GREY ||
        (unsigned)o->on_bad_sample > CJ_BAD_SAMPLE_SKIP)
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "data set %s: fit=%d, colour=%d or on_bad_sample=%d is none of the choices",
                       o->source, (int)o->fit, (int)o->colour, (int)o->on_bad_sample);
    if (o->classes < 0 || (o->class_names && o->classes == 0) || o->columns < 0 ||
        (o->columns > 0 && !o->column_info))
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "data set %s: names of classes or columns and their number do not fit",
                       o->source);
    return CJ_OK;
}

/* "unknown data set 'iris' ...; a path has a slash (./iris) or ends in .csv, ..." */
static void fail_word(cj_context *cj, const char *word)
{
    cj__text ends;
    cj__text_init(&ends, cj);
    for (int i = 0; cj_file_format_at(i); i++)
        for (const char *s = cj_file_format_at(i)->suffixes; *s; s += *s == ' ' ? 1 : 0) {
            const size_t n = strcspn(s, " ");
            cj__text_format(&ends, "%.*s, ", (int)n, s);
            s += n;
        }
    if (!ends.failed)
        cj_fail(cj, cj_last_status(cj), "%s; a path has a slash (./%s) or ends in %s.gz",
                cj_message(cj), word, cj__text_string(&ends));
    cj__text_release(&ends);
}

/* Samples have the weights that were asked for; only tables know what that is. */
static cj_dataset *check_weight(cj_context *cj, cj_dataset *ds, const cj_dataset_opts *o)
{
    if (!ds || !o->weight) return ds;
    for (int i = 0; i < cj_dataset_fields(ds); i++)
        if (cj_dataset_field(ds, i)->role == CJ_FIELD_WEIGHT) return ds;
    cj_fail(cj, CJ_ERR_ARGUMENT, "%s: is no table, so weight='%s' names none of its columns",
            cj_dataset_name(ds), o->weight);
    cj_dataset_free(ds);
    return NULL;
}

/* Samples have the size that was asked for; only pictures in files are brought to it. */
static cj_dataset *check_size(cj_context *cj, cj_dataset *ds, const cj_dataset_opts *o)
{
    const cj_field *field = ds ? cj_dataset_field(ds, 0) : NULL;
    if (!ds || !o->height ||
        (field->rank == 3 && field->shape[0] == o->height && field->shape[1] == o->width))
        return ds;
    cj_fail(cj, CJ_ERR_ARGUMENT,
            "%s: only pictures in files are brought to a size; these samples have another than "
            "%lld x %lld",
            cj_dataset_name(ds), (long long)o->height, (long long)o->width);
    cj_dataset_free(ds);
    return NULL;
}

cj_dataset *cj_dataset_open(cj_context *cj, const cj_dataset_opts *opts)
{
    cj_dataset_opts o;
    if (cj__data_options(cj, "data set", &o, sizeof o, opts) || check_options(cj, &o)) return NULL;
    const cj_dataset_row *row = strchr(o.source, '/') || o.format
                                    ? NULL
                                    : cj__find_quiet(cj, CJ__ROW_DATASET, builtin, o.source);
    if (!row && is_path(&o))
        return check_size(cj, check_weight(cj, open_path(cj, o.source, &o), &o), &o);
    if (!row) row = cj__find(cj, CJ__ROW_DATASET, builtin, "data set", o.source);
    if (row && o.split && !strcmp(o.split, "auto")) o.split = "test";
    if (row) return check_size(cj, check_weight(cj, row->open(cj, row, &o), &o), &o);
    fail_word(cj, o.source);
    return NULL;
}
