/* args.h: the grammar of the command line.
 *
 *     epochs=5   --epochs 5   --epochs=5     a key and its value; the value may begin with a minus
 *     --json                                 one of the flags that take no value: json=true
 *     fashion-mnist   ./a.csv   -            words: names, paths, standard input
 *     --                                     everything behind it is a word
 *
 * A word with "=" is a key and a value when a name stands before the "=": "./a=b.csv" and
 * "dense(units=3)" are words. Dashes inside the first name of a key are underscores: --output-dir
 * is output_dir. Order is kept; that the later of two values wins is the recipe's business. */
#ifndef CAJAL_CLI_ARGS_H
#define CAJAL_CLI_ARGS_H

#include <stdbool.h>

typedef struct cli_pair {
    const char *key, *value;
} cli_pair;

typedef struct cli_args {
    cli_pair *pairs;
    const char **words;
    int n_pairs, n_words;
    char *names; /* where the keys live */
    char error[256];
} cli_args;

/* false with a sentence in args->error. `argv` must outlive args. argv[0] is skipped. */
bool cli_args_parse(cli_args *args, int argc, char *const *argv);
void cli_args_release(cli_args *args);

/* The flags that take no value, NULL-terminated. */
extern const char *const cli_flags[];

#endif
