/* keys.h: every key of every command, in one table: one name means the same everywhere. */
#ifndef CAJAL_CLI_KEYS_H
#define CAJAL_CLI_KEYS_H

#include <cajal/recipe.h>

/* All rows; ends with a row without name. */
extern const cj_key cli_keys[];

/* The row of that name, NULL when there is none. */
const cj_key *cli_key(const char *name);

/* The keys that every command takes, NULL-terminated: the flags. */
extern const char *const cli_keys_common[];

/* The keys of a training recipe, NULL-terminated. */
extern const char *const cli_keys_train[];

/* The keys that belong to one call and not to the args.yaml of its run, NULL-terminated. */
extern const char *const cli_keys_unsaved[];

/* The rows of `names` and of the common keys, ended; free() it. NULL: out of memory. */
cj_key *cli_keys_of(const char *const *names);

/* "NUMBER", "true|false", "fast|slow": what help shows as the value. */
const char *cli_key_value(const cj_key *key);
/* "step of the optimizer; at least 0; default 0.001" into `out`. */
void cli_key_help(const cj_key *key, char *out, size_t size);

#endif
