/* cli.h: what every command gets, and how it ends.
 *
 * To add a command: cmd_NAME.c with its row, and one line in commands.def.
 *
 *     static int run(cli *c)
 *     {
 *         if (c->args.n_words != 1) return cli_misused(c, "evaluate: expected one model");
 *         cj_recipe *recipe = cli_recipe(c, NULL);        // the command line with its defaults
 *         cj_context *cj = recipe ? cli_context(c, recipe) : NULL;
 *         if (!cj) return c->status;
 *         ...
 *         if (failed) return cli_failed(c, cj);
 *         return CLI_DONE;
 *     }
 *     static const char *const keys[] = {"data", "batch_size", "threads", NULL};
 *     const cj_command cj_command_evaluate = {
 *         .name = "evaluate", .summary = "measure a model on data",
 *         .usage = "MODEL data=NAME|PATH [KEY=VALUE...]", .keys = keys, .run = run};
 *
 * Results go to c->out, everything else to c->err. The command uses the library's public headers
 * only. */
#ifndef CAJAL_CLI_CLI_H
#define CAJAL_CLI_CLI_H

#include <cajal/base.h>
#include <cajal/graph.h>
#include <cajal/recipe.h>

#include "cli/args.h"

/* Exit statuses. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_MISUSED = 2, CLI_UNSUPPORTED = 3, CLI_INTERRUPTED = 130 };

struct cj_command;

typedef struct cli {
    FILE *out, *err;
    const char *program;              /* what was typed to start it, to be typed again */
    cli_args args;                    /* words: what stands behind the command's name */
    const struct cj_command *command; /* NULL: none was named */
    cj_key *keys;                     /* the rows of the command and the flags */
    cj_context *base;                 /* one thread, for recipes */
    cj_recipe *given;                 /* the keys of the command line, checked */
    cj_recipe *recipe;                /* of cli_recipe */
    cj_context *cj;                   /* of cli_context */
    int debug;                        /* $CAJAL_DEBUG */
    bool json, json_lines, json_steps, quiet, verbose, overwrite, no_color;
    int status;                       /* of the last failure */
} cli;

typedef struct cj_command {
    const char *name, *summary;
    const char *usage;         /* behind "cajal NAME " */
    const char *text;          /* further lines of help, or NULL */
    const char *const *keys;   /* names of rows in keys.c beyond the flags, or NULL */
    int (*run)(cli *c);        /* gives the exit status */
} cj_command;

/* NULL-terminated, and by name (NULL: there is none). */
extern const cj_command *const cli_commands[];
const cj_command *cli_command(const char *name);

/* Everything: parse, dispatch, clean up. Gives the exit status. */
int cli_main(int argc, char *const *argv, FILE *out, FILE *err);

/* `path` (NULL: none, "-": standard input), the command line over it, defaults under it, all
 * checked. NULL after a failure that has been told, with c->status set. Belongs to c. */
cj_recipe *cli_recipe(cli *c, const char *path);
/* A value of c->recipe, which cli_recipe has checked: NULL, 0 or false when it is not there. Texts
 * live as long as the recipe. */
const char *cli_string(cli *c, const char *key);
const char *cli_named(cli *c, const char *key); /* with its options: "sgd(momentum=0.9)" */
int64_t cli_int(cli *c, const char *key);
double cli_float(cli *c, const char *key);
bool cli_bool(cli *c, const char *key);
cj_recompute cli_recompute(cli *c); /* of the key of that name */
cj_precision cli_precision(cli *c);
/* The context to work in: threads and deterministic of the recipe, Ctrl-C, warnings to c->err.
 * Belongs to c. NULL as above. */
cj_context *cli_context(cli *c, const cj_recipe *recipe);
/* Writes args.yaml: the recipe without what belongs to this call alone (out, resume, flags). The
 * message of a failure is c->base's. */
cj_status cli_save_args(cli *c, const cj_recipe *recipe, const char *path);

/* Each tells a failure, as "cajal: error: ..." on c->err and as {"error": ...} with --json, sets
 * c->status and returns it. */
int cli_failed(cli *c, const cj_context *cj); /* the context's status and message */
int cli_fail(cli *c, cj_status status, const char *format, ...) CJ_PRINTF(3, 4);
int cli_misused(cli *c, const char *format, ...) CJ_PRINTF(2, 3); /* status 2 */
void cli_warn(cli *c, const char *format, ...) CJ_PRINTF(2, 3);
/* A word as a shell reads it: in quotes where it needs them. */
void cli_quote(FILE *to, const char *word);

/* The exit status a library status means. */
int cli_exit_status(cj_status status);

/* help.c */
void help_overview(FILE *to);
void help_command(FILE *to, const cj_command *command);
bool help_topic(FILE *to, const char *topic); /* false: there is none of that name */
void help_man(FILE *to);                      /* the manual page, docs/man/cajal.1 */

#endif
