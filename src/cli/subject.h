/* subject.h: a model with a program and something to feed it: what is measured. */
#ifndef CAJAL_CLI_SUBJECT_H
#define CAJAL_CLI_SUBJECT_H

#include <cajal/run.h>

#include "cli/cli.h"
#include "cli/workloads.h"

enum { CLI_INPUTS_MAX = 64 };

typedef struct cli_subject {
    cli *c;                /* set by the caller: */
    cj_context *cj;
    const char *name;
    const cli_workload *w; /* NULL: the model is not one of bench's own */
    bool training;
    int64_t batch;
    cj_recompute recompute;
    cj_precision precision;
    cj_model *m;           /* or NULL: it is opened by name */
    bool optional;         /* a failure is not told */
    bool borrowed;         /* m is the caller's */
    int n_known;           /* of `in`: the file was read with them */
    cj_dim open[CLI_INPUTS_MAX]; /* sizes that were told to be open */
    int n_open;
    cj_program *program;
    cj_tensor *in[CLI_INPUTS_MAX];
    cj_feed feeds[CLI_INPUTS_MAX];
    int n_in;
} cli_subject;

/* The model of the file b->name; one whose shapes depend on values is read with the arrays of the
 * key inputs, or with random numbers, and that is told. NULL after a failure that has been told. */
cj_model *cli_subject_load(cli_subject *b);
/* Opens the model, compiles it and makes random feeds; `batch` becomes what the model says where
 * that is fixed. Tells a failure and gives the exit status. */
int cli_subject_open(cli_subject *b);
void cli_subject_close(cli_subject *b);

#endif
