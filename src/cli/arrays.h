/* arrays.h: a graph of a file, run on arrays: what cajal run and cajal grad share.
 *
 *     if (cli_arrays_begin(c)) return c->status;
 *     cli_arrays a = {.c = c, .path = c->args.words[0]};
 *     cli_results r = {.list = "outputs"};
 *     int status = cli_arrays_open(&a, 0);                     // reads graph and arrays
 *     if (!status) status = cli_results_new(c, &r, n);         // then names, nodes and files
 *     if (!status) status = cli_arrays_run(&a, &r, false);
 *     if (!status) status = cli_results_write(&a, &r);
 *     cli_results_free(&r);
 *     cli_arrays_close(&a); */
#ifndef CAJAL_CLI_ARRAYS_H
#define CAJAL_CLI_ARRAYS_H

#include <cajal/nn.h>
#include <cajal/run.h>

#include "cli/cli.h"

typedef struct cli_arrays {
    cli *c;              /* set by the caller: */
    const char *path;    /* of the model */
    bool all_weights;    /* as cj_onnx_opts has it */
    cj_graph *graph;     /* belongs to c->cj, and is read for the values of the feeds */
    const cj_onnx_input *inputs; /* while the file is read */
    int n_in, n_feeds;   /* inputs of the graph; feeds: these, and what the caller adds */
    cj_feed *feeds;      /* their values are freed by close */
    const char *backend; /* NULL: the best there is */
    int64_t batch;       /* in front of the first input, as the file has it; negative: a symbol */
    double ms;           /* that running took */
} cli_arrays;

/* One word, the recipe and the context, as both commands need them; CLI_DONE, or a failure that has
 * been told. */
int cli_arrays_begin(cli *c);
/* Texts as rows of bytes with zeros behind them, as numpy's 'S5' is loaded; NULL after a failure
 * that has been told. */
cj_tensor *cli_text_bytes(cli *c, const cj_tensor *texts);
/* Reads the model and the arrays of the keys inputs and input, input after input. There is room for
 * `more` feeds. Tells a failure and gives the exit status, as all of these do. */
int cli_arrays_open(cli_arrays *a, int more);
/* As cj_tune_opts.values, for who reads the file otherwise; user: the cli_arrays. */
cj_status cli_arrays_values(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                            const cj_tensor **values);
void cli_arrays_close(cli_arrays *a);

typedef struct cli_result {
    const char *name; /* for people; NULL: none */
    cj_node *node;
    cj_tensor *value;
    char *file; /* its name in the folder; free() is called for it */
} cli_result;

typedef struct cli_results {
    const char *list; /* what they are called in JSON */
    int n;
    cli_result *at;
} cli_results;

int cli_results_new(cli *c, cli_results *r, int n);
void cli_results_free(cli_results *r);
/* Formats the file name of a result; CLI_DONE, or a failure that has been told. */
int cli_result_file(cli *c, cli_result *r, const char *format, ...) CJ_PRINTF(3, 4);
/* Compiles and runs once for the results' nodes. */
int cli_arrays_run(cli_arrays *a, cli_results *r, bool training);
/* Writes each to its file in the folder of the key output_dir, and tells name, type, shape, file.
 */
int cli_results_write(cli_arrays *a, const cli_results *r);

#endif
