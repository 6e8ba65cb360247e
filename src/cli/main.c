/* main.c: the command's process: signals, streams, exit status. All else is in cli.c. */
#include "cli/cli.h"
#include "cli/signals.h"

int main(int argc, char **argv)
{
    cli_signals_install();
    return cli_main(argc, argv, stdout, stderr);
}
