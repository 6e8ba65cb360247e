/* data.h: data sets, their splits and statistics, and the loader that cuts them into batches.
 *
 * A data set is a number of samples with named fields. A field has a dtype and a shape per sample:
 * Fashion-MNIST has "image", u8 [28, 28, 1], and "label", i32 []. A split is a view: a list of
 * sample numbers over the same memory.
 *
 *     cj_dataset *all = cj_dataset_open(cj, "fashion-mnist", .split = "train");
 *     cj_dataset *train, *held_out;
 *     cj_dataset_split(all, &train, &held_out, .fraction = 0.1, .seed = 7);
 *     cj_loader *loader = cj_loader_new(train, .batch_size = 128, .shuffle = true);
 *     cj_batch batch;
 *     while (!cj_loader_next(loader, &batch) && batch.count > 0)
 *         use(batch.tensors[0], batch.tensors[1]);
 *
 * Ownership: a data set and a loader belong to the context they were made in, which frees them,
 * unless the caller does so before with cj_dataset_free and cj_loader_free. The order does not
 * matter: views and loaders keep alive what they need.
 *
 * Failure: functions that return a pointer return NULL, the others a status; the sentence is in
 * cj_message of the context. A NULL data set gives NULL or CJ_ERR_ARGUMENT and leaves the message
 * of what failed before, so that one check at the end is enough.
 *
 * Threads: opening, splitting and freeing belong to the context's thread. Reading samples is free
 * of shared state, which is how loaders read in the background while others train on the same data.
 */
#ifndef CAJAL_DATA_H
#define CAJAL_DATA_H

#include <cajal/picture.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Fields ---------------------------------------------------------------------------------- */

typedef enum cj_field_role { CJ_FIELD_INPUT, CJ_FIELD_TARGET, CJ_FIELD_WEIGHT } cj_field_role;

/* What the numbers of a field are:
 *   - CJ_FIELD_VALUES: numbers, a class, a picture;
 *   - CJ_FIELD_MASK: i32 [height, width], the class of each pixel of the picture beside it;
 *   - CJ_FIELD_BOXES: f32 [most, 5], what is to be seen in the picture beside it, a row each:
 * class, x_min, y_min, x_max, y_max, from the left and the top, as shares of width and height (0 to
 * 1). Rows behind those of a sample have class -1, and in training rows in between, too, when what
 * they show was moved out of the picture (layers.h, augmentation). */
typedef enum cj_field_kind { CJ_FIELD_VALUES, CJ_FIELD_MASK, CJ_FIELD_BOXES } cj_field_kind;
typedef enum cj_column_kind { CJ_COLUMN_NUMERIC, CJ_COLUMN_CATEGORICAL } cj_column_kind;

/* A column of a table. The value of a categorical column is the index of its text in
 * category_names. */
typedef struct cj_column {
    const char *name;
    cj_column_kind kind;
    int categories;
    const char *const *category_names;
} cj_column;

typedef struct cj_field {
    const char *name;
    cj_dtype dtype;
    int rank;                      /* per sample; at most CJ_RANK_MAX - 1 */
    int64_t shape[CJ_RANK_MAX];    /* per sample */
    cj_field_role role;
    cj_field_kind kind;
    int classes; /* of an integer target: values are 0 .. classes-1; of boxes; else 0 */
    const char *const *class_names; /* `classes` of them, or NULL */
    int columns;                   /* of a table: shape is [columns]; else 0 */
    const cj_column *column_info;
    cj_picture_fit fit; /* of pictures in files: how they came to this size */
} cj_field;

/* How many numbers one statistic of the field has: the size of its last axis (columns of a table,
 * colour channels of a picture), 1 for a scalar. */
CJ_API int64_t cj_field_channels(const cj_field *field);

/* ---- Opening --------------------------------------------------------------------------------- */

typedef struct cj_dataset cj_dataset;

typedef enum cj_header { CJ_HEADER_AUTO, CJ_HEADER_YES, CJ_HEADER_NO } cj_header;
typedef enum cj_bad_sample {
    CJ_BAD_SAMPLE_STOP,
    CJ_BAD_SAMPLE_SKIP /* read all when opened; leave out those that cannot be, and count them */
} cj_bad_sample;
typedef enum cj_missing { CJ_MISSING_ERROR, CJ_MISSING_DROP /* leave such rows out */ } cj_missing;

/* Zero is the default of each. Those from `target` on are for tables. */
typedef struct cj_dataset_opts {
    size_t struct_size; /* set by the macro; 0 counts as sizeof(cj_dataset_opts) */
    const char *source; /* a name or a path: see cj_dataset_open */
    const char *split;  /* "train" (the default), "test" or "all"; "auto": the test part where
                           there is one, else the whole; of folders of pictures "validation" too */
    const char *folder; /* where a named data set is looked for, instead of the default places */
    int64_t limit;      /* at most so many samples, the first ones */
    int classes;        /* of the label; default: 10 for IDX files, what is found for tables */
    const char *const *class_names; /* `classes` of them; a table's labels, boxes and masks get
                                       these numbers */
    const char *target; /* name or number (from 0; negative: from the end); default: last column.
                           Of a VOC folder that has both: "boxes" (the default) or "mask" */
    bool no_target;     /* there is none: every column is an input */
    cj_header header;   /* whether the first row has the names */
    char delimiter;     /* default: tab for .tsv, else the commonest of , ; tab in the first row */
    const char *types;  /* "name:categorical,other:numeric"; others are found from the cells */
    const char *drop;   /* "name,other": columns left out */
    cj_missing missing; /* what to do with empty cells, NA, N/A, NaN, null, ? */
    int columns;        /* the input columns as a trained model has them: the file must have them */
    const cj_column *column_info; /* by name or, without a header, in this order; with these maps */
    bool stream; /* samples stay in the file and are read when they are asked for: for data larger
                    than memory. Labels and weights are in memory. CSV is gone through two or three
                    times when it is opened, and looks at its first MB for a header. Also for IDX
                    files and folders of .npy files, none of them packed. A file that is changed
                    meanwhile is an error when it shows */
    const char *format; /* a name of cj_file_format_at; default: by the end of the path, else csv */
    const char *widths; /* of fixed-width columns, "5,3,10" characters; default: found */
    const char *weight; /* name or number, as target: the column with the weight of each sample */
    /* Of pictures in files: */
    int64_t height, width; /* both or none; default: that of the first one, which all must have */
    cj_picture_fit fit;    /* how they come to that size, by CJ_PICTURE_BILINEAR */
    cj_picture_colour colour;
    cj_bad_sample on_bad_sample;
    const char *pictures; /* of a table: name or number, as target: the column with their paths */
} cj_dataset_opts;

/* cj_dataset_open(cj, "mnist"), cj_dataset_open(cj, "./iris.csv", .target = "species").
 *
 * A bare word is the name of a data set (`cajal list datasets`, cj_dataset_row_at). What has a
 * slash, or ends as files of a format do (`cajal list formats`, cj_file_format_at), is a path, and
 * so is every word when `format` is given:
 *   - a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte,
 *     t10k-labels-idx1-ubyte, each plain or .gz: "image" u8 [height, width, 1], "label" i32 [];
 *   - one IDX file of images; its labels are read when they lie beside it under the usual name;
 *   - a folder with CIFAR's data_batch_1.bin ... and test_batch.bin, or train.bin and test.bin
 *     (CIFAR-100, its fine labels), or one such .bin file: "image" u8 [32, 32, 3], "label";
 *   - .npy: samples along the first axis, "x" ("image" for bytes of rank 3 or more); .npz, or a
 *     folder of .npy files: arrays x and y (X, data, images, features, inputs; Y, target, targets,
 *     labels, label), or x_train, y_train, x_test, y_test. Whole numbers in one column are "label"
 *     i32 with classes, else "target" f32 [columns];
 *   - a folder as Pascal VOC has it, with Annotations/NAME.xml and JPEGImages/NAME.jpg (or another
 *     picture): "image" u8 [height, width, 3 or 1], "boxes" f32 [most, 5] (CJ_FIELD_BOXES). Lists
 *     ImageSets/Main/train.txt (without it trainval.txt), val.txt and test.txt are its parts;
 *     without lists all annotations are one. Classes are the sorted names in the training part;
 *     `most` is the number of boxes of the fullest picture of all parts. Corners count from the
 *     picture's edge, as they stand. Boxes without area are left out and counted in a warning;
 *     those up to a pixel outside of the picture are cut, further ones refused;
 *   - the same as YOLO has it: folders images and labels with files of the same names before the
 *     dot, folders train, val and test around these two or in each; NAME.txt has lines "class
 *     x_middle y_middle width height", shares of the picture; a picture without one has no boxes.
 *     Class names are those in data.yaml (or dataset.yaml), classes.txt or labels/classes.txt, else
 *     numbers. With CJ_FIT_CROP or CJ_FIT_PAD pictures are read once when opened, for their sizes;
 *   - the same as COCO has it: annotations/instances_train*.json (val*, test*) and the pictures in
 *     train*, images/train* or images; or train/_annotations.coco.json beside its pictures (and in
 *     valid, test); or one such .json file, whose pictures lie beside it or in images there.
 *     Classes are the categories of the training part by their ids. Crowds are left out and counted
 *     in a warning. Opening takes some twenty times the file's bytes of memory;
 *   - pictures with masks, in two folders image and label (images and labels, images and masks,
 *     image and mask, imgs and masks, images and annotations, or VOC's JPEGImages and
 *     SegmentationClass) with files of the same names before the dot: "image" and "mask" i32
 *     [height, width] (CJ_FIELD_MASK). Folders train, val (valid, validation) and test around these
 *     two, or in each of them, are its parts; VOC's are the lists of ImageSets/Segmentation. Masks
 *     are read with CJ_PICTURE_INDEX. Their classes are the sorted values found in those of the
 *     training part, which are the names too ("0", "255"); class_names that are such numbers say
 *     the values, other names are of the values found, in order, or of 0, 1, 2 ... when those
 *     suffice;
 *   - a folder with a folder of pictures (cajal/picture.h) for each class, or with train/, test/
 *     and val/ (valid/, validation/) that each have those: "image" u8 [height, width, 3 or 1],
 *     "label" i32 []. Classes are the sorted names of the folders, in train/ where there is one;
 *     pictures are sorted by class and name, and read when they are asked for, so there may be more
 *     of them than memory. `limit` takes that many, evenly from all. Names that begin with a dot,
 *     files that do not end as pictures do, and folders in those of classes do not count;
 *   - anything else is a table: CSV (RFC 4180), JSON lines, ARFF, SVMlight or columns of fixed
 *     width; each .gz as well.
 *
 * Boxes and masks follow their picture to height x width: what CJ_FIT_CROP cuts off a box is gone,
 * and a box of which nothing is left; masks go by the nearest pixel, and margins of CJ_FIT_PAD are
 * of class 0. A picture of another size than its annotation or its mask says is CJ_ERR_DATA.
 *
 * A named data set is looked for in NAME of $CAJAL_DATA, ~/.cache/cajal and /usr/share/datasets,
 * and in $CAJAL_DATA itself. ($CAJAL_DATA and $HOME are the two variables the library reads, here
 * only.)
 *
 * Tables. Cells may be quoted; blanks around unquoted cells do not count; blank lines are skipped.
 * The first row is a header when none of its cells is a number and below it some column has numbers
 * only (in a table of text only: when its cells are distinct and none recurs in its column). A
 * first line "150,4,setosa,versicolor,virginica" (rows, features, class names) as in scikit-learn's
 * files is understood. Without a header the columns are x0, x1 ... and the last is "target". A
 * column is numeric when all its cells are numbers, else categorical, its categories sorted
 * (numbers by value, texts by bytes). The inputs are one field "features" f32 [columns]. The target
 * is "label" i32 [] with classes when it is categorical or has integers only, at most 20 different
 * ones and each twice on average; else "target" f32 [1]. `types` overrules both. A table has one
 * part: "test" is refused. A text column with more than 1000 different texts, or more than half as
 * many as rows, is refused unless `types` calls it categorical (then up to 9999 are taken).
 *
 * `weight` names a column that is no input: it becomes the field "weight" f32 [] with the role
 * CJ_FIELD_WEIGHT, by which losses and metrics count each sample. A negative one is refused.
 *
 * `pictures` names a column with paths of pictures, relative to the table's folder, which they must
 * not leave: a table is then a list of pictures, "image" u8 [height, width, 3 or 1] beside the
 * target, and its other columns do not count. They are read when they are asked for; limit takes
 * the first rows.
 *
 * Tables whose files name their columns have no header, and rows may leave columns out:
 *   - JSON lines: an object a line; its keys are columns, in the order they are met, members of
 *     objects and lists in it are called "a.b" and "a.0". null, an empty text, and what a line does
 *     not have, is missing; "NA" is not. A line may also be a list: a row without names.
 *   - ARFF (Weka): nominal attributes are categorical, in their order, numeric ones are numbers;
 *     others are found from the cells. Only ? is missing. Weights of instances become "weight".
 *   - SVMlight, libsvm: the label is the column "target", behind the features "x1" to the largest
 *     ("x0" too, when that occurs, or the model knows it); what a line leaves out is 0. Features
 *     become a dense matrix, which is CJ_ERR_LIMIT when the memory limit is smaller.
 * Columns of fixed width are where not all of the first 100 lines are blank; a header is found as
 * in CSV.
 *
 * Errors: CJ_ERR_NOT_FOUND with every place that was looked at and how to get the data;
 * CJ_ERR_FORMAT for bytes that are not what they claim, CJ_ERR_DATA for impossible values, both
 * with file and line. */
CJ_API cj_dataset *cj_dataset_open(cj_context *cj, const cj_dataset_opts *opts);

/* Whether what these options name is a folder of pictures with a part for validation beside the one
 * for training, which .split = "validation" opens. */
CJ_API cj_status cj_dataset_has_validation(cj_context *cj, const cj_dataset_opts *opts, bool *has);

typedef struct cj_dataset_source {
    const char *name;
    int64_t count;
    int field_count;
    const cj_field *fields; /* copied, with all texts */
    /* Writes field `field` of `n` samples to `out`, one after another. Called from any thread,
     * several at once. On failure returns cj_fail(cj, ...), with the context it was given. */
    cj_status (*read)(cj_context *cj, void *user, const int64_t *indices, int64_t n, int field,
                      void *out);
    void *user;
    void (*free)(void *user); /* may be NULL; called once, when the last view is gone */
} cj_dataset_source;

/* Samples from a callback. When it fails, `free` has not been called. */
CJ_API cj_dataset *cj_dataset_new(cj_context *cj, const cj_dataset_source *source);

/* Samples from memory: row i of `inputs` and of `targets` (may be NULL) is sample i. The buffers
 * are shared, so the caller may free the tensors, but must not write them. The input field is
 * "image" when a sample has rank 3, else "features". An integer target of rank 1 is "label" with
 * classes max + 1 (none when a value is negative), else "target". */
CJ_API cj_dataset *cj_dataset_from_tensors(cj_context *cj, cj_tensor *inputs, cj_tensor *targets);

/* NULL is a no-op. */
CJ_API void cj_dataset_free(cj_dataset *ds);

/* ---- Looking --------------------------------------------------------------------------------- */

CJ_API const char *cj_dataset_name(const cj_dataset *ds); /* of the row, or the path */
CJ_API int64_t cj_dataset_count(const cj_dataset *ds);
CJ_API int cj_dataset_fields(const cj_dataset *ds);
/* NULL when i is out of range. Lives as long as the data set or a view of it. */
CJ_API const cj_field *cj_dataset_field(const cj_dataset *ds, int i);
/* The number of the field of that name, or -1. */
CJ_API int cj_dataset_field_find(const cj_dataset *ds, const char *name);
/* Copies field `field` of samples indices[0 .. n-1] to `out`, packed. */
CJ_API cj_status cj_dataset_read(const cj_dataset *ds, const int64_t *indices, int64_t n, int field,
                                 void *out);

/* Mean, standard deviation (population), minimum, maximum of a field over the samples of this data
 * set, cj_field_channels numbers each; any may be NULL. The same bits every time. NaN and infinity
 * are CJ_ERR_NUMERIC, named by sample and column; no samples CJ_ERR_STATE. */
CJ_API cj_status cj_dataset_statistics(const cj_dataset *ds, int field, double *mean, double *std,
                                       double *min, double *max);

/* ---- Views ----------------------------------------------------------------------------------- */

/* Samples first .. first+count-1. */
CJ_API cj_dataset *cj_dataset_take(const cj_dataset *ds, int64_t first, int64_t count);
/* Samples indices[0 .. n-1], in this order; repeats are legal. Copies the list. */
CJ_API cj_dataset *cj_dataset_select(const cj_dataset *ds, const int64_t *indices, int64_t n);

/* Sample i of every `shards`, i = `shard` from 0: one of as many disjoint parts, for as many
 * workers. All of them have the same number of samples, or one more. */
CJ_API cj_dataset *cj_dataset_shard(const cj_dataset *ds, int64_t shards, int64_t shard);
/* The samples of all parts, one part after the other, without a copy; each part may be freed. Their
 * fields must be the same, with the same classes and columns. Its name is that of the first. */
CJ_API cj_dataset *cj_dataset_concatenate(cj_dataset *const *parts, int n);

/* AUTO: in proportion to the classes when there is a target with classes. */
typedef enum cj_stratify { CJ_STRATIFY_AUTO, CJ_STRATIFY_NONE, CJ_STRATIFY_CLASSES } cj_stratify;

typedef struct cj_split_opts {
    size_t struct_size;
    double fraction; /* of the samples that are held out: 0 < fraction < 1; never all, never none */
    uint64_t seed;
    cj_stratify stratify;
} cj_split_opts;

/* cj_dataset_split(ds, &train, &held_out, .fraction = 0.1): every sample is in exactly one of the
 * two, in the order of `ds`. The same seed gives the same split everywhere. */
CJ_API cj_status cj_dataset_split(const cj_dataset *ds, cj_dataset **train, cj_dataset **held_out,
                                  const cj_split_opts *opts);

/* ---- Loader ---------------------------------------------------------------------------------- */

typedef struct cj_loader cj_loader;

typedef struct cj_loader_opts {
    size_t struct_size;
    int64_t batch_size; /* 0: 32 */
    bool shuffle;       /* each epoch in another order, a function of (seed, epoch) alone */
    uint64_t seed;
    bool drop_last;     /* leave out a last batch that is not full */
    int prefetch;       /* batches read ahead by threads; 0: one more than these; at most 64 */
    bool no_prefetch;   /* no thread: each batch is read when it is asked for */
    int64_t epoch;      /* to begin with */
    bool balanced;      /* every class as often as every other, in an epoch of as many samples: of a
                           large class some are left out, those of a small one come again, but only
                           after all others of it. It needs a target with classes; classes without
                           samples do not count. */
    int workers; /* threads that read ahead, a batch each; at most 64. 0: one; where samples come
                    from a callback or from pictures in files as many as the context has threads,
                    at most 8. Batches and their order do not depend on it. */
} cj_loader_opts;

/* A batch belongs to the loader; it is valid until the next call on the loader. */
typedef struct cj_batch {
    int64_t count;             /* samples; 0: the epoch is over */
    int64_t epoch, step;       /* from 0 */
    int64_t first; /* position of the first sample within the epoch: step * batch_size */
    const int64_t *indices;    /* `count` numbers of samples of the data set */
    int fields;
    cj_tensor *const *tensors; /* one a field: [count, shape of the field ...] */
} cj_batch;

/* cj_loader_new(ds, .batch_size = 128, .shuffle = true). No thread runs before the first batch is
 * asked for. After the first batch nothing is allocated. */
CJ_API cj_loader *cj_loader_new(cj_dataset *ds, const cj_loader_opts *opts);
/* Stops and joins the threads, in the middle of an epoch too. NULL is a no-op. */
CJ_API void cj_loader_free(cj_loader *loader);
/* The next batch, or count 0 once at the end of each epoch; the call after that begins the next
 * epoch. A read that failed in the background is reported here, for the batch it belongs to, and
 * again until a seek. CJ_ERR_CANCELLED when the context says so, also while waiting. */
CJ_API cj_status cj_loader_next(cj_loader *loader, cj_batch *batch);
/* The next batch will be `step` of `epoch`: resuming reads nothing that came before. */
CJ_API cj_status cj_loader_seek(cj_loader *loader, int64_t epoch, int64_t step);
CJ_API int64_t cj_loader_steps(const cj_loader *loader); /* batches an epoch */

/* ---- File formats ---------------------------------------------------------------------------- */

typedef struct cj_file_format {
    const char *name;     /* as the option `format` takes it */
    const char *suffixes; /* ".svm .libsvm": how files of this format end; .gz may follow */
    const char *doc;      /* one line */
    bool table;           /* read as rows of cells: target, types, drop ... apply */
} cj_file_format;

/* Format i of all; NULL past the last. */
CJ_API const cj_file_format *cj_file_format_at(int i);
/* The format of that name, or the one a path ends as; NULL when there is none. */
CJ_API const cj_file_format *cj_file_format_find(const char *name);
CJ_API const cj_file_format *cj_file_format_of(const char *path);

/* ---- Folders --------------------------------------------------------------------------------- */

/* Kinds of folders that are data sets; of a folder that looks like several the first one counts. */
typedef struct cj_folder_kind {
    const char *name;
    const char *doc;   /* one line: what its samples are */
    const char *files; /* one line: what lies in it */
} cj_folder_kind;

/* Kind i of all; NULL past the last. */
CJ_API const cj_folder_kind *cj_folder_kind_at(int i);

/* ---- Named data sets ------------------------------------------------------------------------- */

/* One row a data set. `open` gets the options with struct_size checked; it makes the data set with
 * cj_dataset_new, cj_dataset_from_tensors or cj_dataset_open of a path. */
typedef struct cj_dataset_row {
    const char *name;
    const char *doc;        /* one line */
    const char *how_to_get; /* one sentence, shown when it is not there */
    cj_dataset *(*open)(cj_context *cj, const struct cj_dataset_row *row,
                        const cj_dataset_opts *opts);
} cj_dataset_row;

/* The row is kept by pointer and must live as long as the context. */
CJ_API cj_status cj_dataset_register(cj_context *cj, const cj_dataset_row *row);
/* Row i of all, the program's own first; NULL past the last. */
CJ_API const cj_dataset_row *cj_dataset_row_at(cj_context *cj, int i);

#ifdef __cplusplus
}
#endif

/* Keyword arguments: each function under its own name with named options behind its arguments. */
#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_dataset_open(cj, ...) \
    (cj_dataset_open)(cj, &(cj_dataset_opts){.struct_size = sizeof(cj_dataset_opts), \
                                             .source = __VA_ARGS__})
#define cj_dataset_split(ds, train, held_out, ...)                                                 \
    (cj_dataset_split)(ds, train, held_out,                                                        \
                       &(cj_split_opts){.struct_size = sizeof(cj_split_opts), __VA_ARGS__})
#define cj_loader_new(ds, ...)                                                                     \
    (cj_loader_new)(ds, &(cj_loader_opts){.struct_size = sizeof(cj_loader_opts), __VA_ARGS__})
#endif
#endif
