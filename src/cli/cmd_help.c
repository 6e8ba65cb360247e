/* cmd_help.c: cajal help [COMMAND|recipe|man]. */
#include "cli/cli.h"

static int run(cli *c)
{
    const char *names[64] = {NULL};
    if (c->args.n_words > 1)
        return cli_misused(c, "help: expected one command, found %d words", c->args.n_words);
    const char *word = c->args.n_words ? c->args.words[0] : NULL;
    const cj_command *command = word ? cli_command(word) : NULL;
    if (!word) return help_overview(c->out), CLI_DONE;
    if (command) return help_command(c->out, command), CLI_DONE;
    if (help_topic(c->out, word)) return CLI_DONE;
    for (int i = 0; cli_commands[i] && i < 63; i++) names[i] = cli_commands[i]->name;
    const char *near = cj_nearest(word, names);
    if (near)
        return cli_misused(c, "help: unknown command '%.80s' (did you mean '%s'?)", word, near);
    return cli_misused(c, "help: unknown command '%.80s': 'cajal help' lists them", word);
}

const cj_command cj_command_help = {
    .name = "help",
    .summary = "tell how Cajal or a command is used",
    .usage = "[COMMAND|recipe|man]",
    .text = "recipe tells of recipe files and all their keys, man prints the manual page.\n",
    .run = run,
};
