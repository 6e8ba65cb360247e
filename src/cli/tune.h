/* tune.h: models of other programs: what the keys freeze, head and input change and assume. */
#ifndef CAJAL_CLI_TUNE_H
#define CAJAL_CLI_TUNE_H

#include "cli/data.h"

/* The model of a file with what the keys freeze and head say, those that the command has. What was
 * changed, found and assumed goes to c->err, what matters in training alone only then. NULL after a
 * failure that has been told. values, called with `user`: as in cj_tune_opts; or NULL. */
typedef cj_status (*cli_values_fn)(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                                   const cj_tensor **values);
cj_model *cli_model_open(cli *c, const char *path, bool training, cli_values_fn values,
                         void *user);

/* How pictures become the input of a model that does not know it, as the map input says. Called
 * before data are opened where they are pictures in files (ds NULL), or behind (only fields of u8
 * pictures are prepared). Tells a failure and gives the exit status. */
int cli_model_pictures(cli *c, cj_model *m, const cj_dataset *ds);

/* Says of a table's columns that an imported model is trained on them as they are. */
void cli_tell_columns(cli *c, const cj_model_info *info, const cj_dataset *ds);

/* The loss of the key; or the one that another program's file names; or, where the model gives
 * numbers that are not yet probabilities of the data's classes, the one that takes these; else
 * NULL, the library's default. */
const char *cli_loss(cli *c, cj_model *m, const cj_dataset *ds);

#endif
