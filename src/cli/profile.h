/* profile.h: what a profiled session did, as people and programs read it. */
#ifndef CAJAL_CLI_PROFILE_H
#define CAJAL_CLI_PROFILE_H

#include <cajal/run.h>

#include "cli/json.h"

typedef struct cli_totals { /* of one step */
    double multiply_adds, bytes, bytes_reordered;
    int kernels;
} cli_totals;
cli_totals cli_profile_totals(const cj_session *s);
/* Seconds in kernels since the profile began. */
double cli_profile_seconds(const cj_session *s);

/* A table of the kernels, the slowest first, and a sentence that says where the time goes. `rows`
 * above 0: layers whose kernels have one name, operator and result are one row, and at most so many
 * are shown. `between` is the time of a step that is no kernel's. False when out of memory. */
bool cli_profile_print(FILE *to, const cj_session *s, double between, const cj_roof *roof,
                       int rows);
/* A line when the shares of the roof are doubtful, as the machine was plainly busy: the roof was
 * another `after` than before, or a product of matrices passes what is possible. s may be NULL. */
void cli_profile_doubts(FILE *to, const cj_session *s, const cj_roof *before,
                        const cj_roof *after);
/* A row for each layer's kernels of one name and operator, as a list of objects. */
bool cli_profile_json(cli_json *j, const char *key, const cj_session *s, const cj_roof *roof);

/* Trace files of chrome://tracing and Perfetto: one process a measurement, one event a kernel of
 * its last run. Begin, add any number, end. */
typedef struct cli_trace {
    cli_json json;
    int processes;
} cli_trace;
void cli_trace_begin(cli_trace *t, FILE *to);
void cli_trace_add(cli_trace *t, const char *name, const cj_session *s);
void cli_trace_end(cli_trace *t);

#endif
