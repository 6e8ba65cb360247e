/* signals.h: Ctrl-C ends the work in an orderly way; the library knows no signals. */
#ifndef CAJAL_CLI_SIGNALS_H
#define CAJAL_CLI_SIGNALS_H

#include <stdbool.h>

/* The first SIGINT or SIGTERM is noted, the second exits at once with status 130. SIGPIPE and
 * SIGXFSZ are ignored: a closed pipe, a file grown too large are writes that fail. */
void cli_signals_install(void);

/* Did one come? Of type cj_cancel_fn, for cj_config.cancel; `user` is unused. */
bool cli_interrupted(void *user);

#endif
