/* data.h: data as the keys of a command name it.
 *
 *     cj_dataset *ds = cli_data_open(c, cli_string(c, "data"), .split = "test", .info = &info); */
#ifndef CAJAL_CLI_DATA_H
#define CAJAL_CLI_DATA_H

#include <cajal/data.h>
#include <cajal/train.h>

#include "cli/cli.h"

typedef struct cli_data_opts {
    const char *split;         /* NULL: the library's default */
    const cj_model_info *info; /* columns, categories and classes as this model has them, or NULL */
    bool no_target;            /* whatever the keys say */
    bool same_classes; /* of a folder: those of `info`, though it may have fewer */
    bool *if_validation; /* opens the part for validation if there is one, and says whether so */
} cli_data_opts;

/* Opens a data set with what the keys format, widths, target, weight, types, drop, missing, header,
 * limit, size, resize, colour and on_bad_sample say of it, those that the command has. It belongs
 * to c->cj. NULL after a failure that has been told. */
cj_dataset *cli_data_open(cli *c, const char *source, const cli_data_opts *opts);
#define cli_data_open(c, source, ...) (cli_data_open)(c, source, &(cli_data_opts){__VA_ARGS__})

/* Are samples of this type pictures of a known size, u8 [height, width, 1 or 3]? */
bool cli_is_picture(cj_dtype dtype, int rank, const int64_t *shape);
/* Are the model's raw samples? NULL: no. */
bool cli_takes_pictures(const cj_model_info *info);
/* Is it read as a table? Decided by the key format and the name. */
bool cli_data_is_table(cli *c, const char *source);
/* May its samples be pictures in files: is it a folder, a list of pictures, or COCO's? */
bool cli_data_has_files(cli *c, const char *source);
/* "64" or "64x48" of a key, height first, which stay as they are when it is not there; false after
 * a failure that has been told. */
bool cli_read_size(cli *c, const char *key, int64_t *height, int64_t *width);
/* Does the path end so? */
bool cli_ends_with(const char *path, const char *suffix);

/* The items of a list as "a, b", NULL when the key is not there. free() it. */
char *cli_joined(cli *c, const char *key);

/* Is it the name of a network, alone or with options in brackets? */
bool cli_is_network(cli *c, const char *text);
/* The model of the keys model, classes and weights, for this data (or NULL); NULL after a failure
 * that has been told. */
cj_model *cli_model_make(cli *c, const cj_dataset *data, uint64_t seed);
/* The model of this file as it is; NULL after a failure that has been told. */
cj_model *cli_model_load(cli *c, const char *path);

#endif
