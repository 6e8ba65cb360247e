/* terminal.h: what the stream of progress can show. */
#ifndef CAJAL_CLI_TERMINAL_H
#define CAJAL_CLI_TERMINAL_H

#include <cajal/train.h>

/* Lines, unless `to` is a terminal that can redraw; colour unless NO_COLOR or no_color. Honours
 * TERM=dumb. */
cj_progress_style terminal_style(FILE *to, bool no_color);
/* COLUMNS, else what the terminal says, else 80. */
int terminal_columns(FILE *to);

#endif
