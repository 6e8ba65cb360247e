/* terminal.c: the environment and the terminal are asked here, so that the library need not. */
#define _DEFAULT_SOURCE
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

cj_progress_style terminal_style(FILE *to, bool no_color)
{
    const char *term = getenv("TERM"), *plain = getenv("NO_COLOR");
    if (!isatty(fileno(to)) || !term || !strcmp(term, "dumb")) return CJ_PROGRESS_LINES;
    return no_color || (plain && *plain) ? CJ_PROGRESS_BAR : CJ_PROGRESS_COLOR;
}

int terminal_columns(FILE *to)
{
    const char *columns = getenv("COLUMNS");
    long n = columns ? strtol(columns, NULL, 10) : 0;
    struct winsize size;
    if (n <= 0 && !ioctl(fileno(to), TIOCGWINSZ, &size)) n = size.ws_col;
    return n >= 20 && n <= 10000 ? (int)n : 80;
}
