/* each.h: samples one at a time, for models whose results are not of one size: those that are read
 * anew with each, where shapes depend on the values of the input, as those of a detector do that
 * ends in NonMaxSuppression; and those of pictures of any size, as many of segmentation are.
 *
 *     cli_each e = {.c = c, .path = path, .sources = words, .n_sources = n, .pictures = true};
 *     cj_model *m = cli_model_open(c, path, false, cli_each_value, &e);
 *     if (m && cli_each_wants(&e, m)) status = cli_each_predict(&e, m);
 *     cli_each_release(&e); */
#ifndef CAJAL_CLI_EACH_H
#define CAJAL_CLI_EACH_H

#include <cajal/train.h>

#include "cli/data.h"

typedef struct cli_each {
    cli *c;                     /* set by the caller: */
    const char *path;           /* of the model */
    const char *const *sources; /* pictures, or one array */
    int n_sources;
    bool pictures, array;       /* what they are; neither: `data` */
    const char *data_source;    /* opened when the model asks */
    cli_data_opts data_opts;
    cj_dataset *data;           /* NULL: none; field: its input */
    int field;
    bool asked;                 /* the file is one that needs values: m has those of the first */
    int64_t at, n;              /* the sample, and how many there are */
    cj_tensor *all, *value;     /* the array; what the sample is for the model */
    cj_program *program;        /* of the model, or NULL */
    cj_session *session;
    int64_t size[2], saw[2];    /* height and width of the picture, and as the model sees it */
} cli_each;

/* As cj_tune_opts.values; user: the cli_each. */
cj_status cli_each_value(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                         const cj_tensor **values);
/* Whether samples of this model are to be taken one by one. */
bool cli_each_wants(const cli_each *e, const cj_model *m);
/* Prints what the model says of each sample, and frees it. Returns the exit status. */
int cli_each_predict(cli_each *e, cj_model *m);
/* What the model says of each sample of e->data, as a model that gives what it gets, and the data
 * to evaluate it on, in which its answers stand for the inputs. Frees m. The exit status. */
int cli_each_judge(cli_each *e, cj_model *m, cj_model **judged, cj_dataset **answers);
void cli_each_release(cli_each *e);

/* A picture in the size and colours of the model's samples goes to `to`, its own height and width
 * to `own`. */
cj_status cli_picture_read(cj_context *cj, const char *path, const cj_model_info *info,
                           unsigned char *to, int64_t own[2]);

#endif
