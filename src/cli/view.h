/* view.h: what a model says of pictures, as pictures. */
#ifndef CAJAL_CLI_VIEW_H
#define CAJAL_CLI_VIEW_H

#include <cajal/train.h>

#include "cli/cli.h"

/* What was asked, and what the model said. Pictures are in files, or samples of a data set, or of
 * an array: one of the three. */
typedef struct cli_views {
    cj_model *model;
    const cj_model_info *info;
    const cj_tensor *outputs;      /* f32 [count, ...] */
    const char *const *paths;
    const cj_dataset *data;        /* may know the truth */
    const cj_tensor *samples;
} cli_views;

/* A sheet of the first samples, each with what is said of it, and, where it is known, what is true:
 * classes below a picture; classes of pixels, or the picture that comes out of a model which
 * restores its input, beside it. CLI_DONE, or a status after a failure that has been told. */
int cli_view_sheet(cli *c, const cli_views *v, const char *path);
/* Each sample's as FOLDER/NAME.png; the folder is made. Of classes alone nothing is drawn. A file
 * that is there, the picture itself or that of another of its name, is replaced with --overwrite
 * only. */
int cli_view_draw(cli *c, const cli_views *v, const char *folder);

#endif
