/* json.h: writes JSON for --json, to a stream, as it goes.
 *
 *     cli_json j = {.to = stdout};
 *     cli_json_object(&j, NULL);                       {
 *     cli_json_string(&j, "run", "runs/train1");         "run": "runs/train1",
 *     cli_json_list(&j, "loss");                         "loss": [
 *     cli_json_number(&j, NULL, 0.25);                     0.25
 *     cli_json_end(&j);                                  ]
 *     cli_json_end(&j);                                }
 *     cli_json_line(&j);                               one line in truth, ended here
 *
 * The key is NULL in lists and at the top. Numbers read back as the same double; NaN and infinity,
 * which JSON does not have, are null. Bytes that are no UTF-8 become U+FFFD. */
#ifndef CAJAL_CLI_JSON_H
#define CAJAL_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { CLI_JSON_DEPTH = 16 };

typedef struct cli_json {
    FILE *to;
    int depth;
    bool more[CLI_JSON_DEPTH];     /* this level has an item already */
    char closing[CLI_JSON_DEPTH];
} cli_json;

void cli_json_object(cli_json *j, const char *key);
void cli_json_list(cli_json *j, const char *key);
void cli_json_end(cli_json *j); /* of the innermost object or list */
void cli_json_string(cli_json *j, const char *key, const char *value); /* NULL is null */
void cli_json_number(cli_json *j, const char *key, double value);
void cli_json_int(cli_json *j, const char *key, int64_t value);
void cli_json_bool(cli_json *j, const char *key, bool value);
void cli_json_null(cli_json *j, const char *key);
void cli_json_line(cli_json *j); /* newline and flush; the object must be ended */

#endif
