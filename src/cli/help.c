/* help.c: help and the manual page, from the rows of the commands and of the keys.
 *
 * Nothing is said twice: the same walk over a command prints plain text or roff, so the manual
 * cannot say anything else than `cajal help`. `cajal help man` prints the page; docs/man/cajal.1 is
 * its copy, and a test compares them. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/keys.h"

/* ---- Texts that belong to no row ------------------------------------------------------------- */

static const char grammar[] =
    "key=value, --key value and --key=value mean the same; a value may begin with a minus. The "
    "flags take no value. -- ends options, - is standard input, the later of two values wins. A "
    "list is a,b. A key inside a key has a dot: optimizer.momentum=0.9. A bare word names a "
    "data set or a model; with a slash or a known suffix it is a path.";

static const char recipes[] =
    "A recipe is a YAML or JSON file of the keys below; the command line wins over it. The "
    "args.yaml of a run is a recipe. Named things take options as sgd(momentum=0.9), as "
    "{name: sgd, momentum: 0.9} or as {sgd: {momentum: 0.9}}.";

static const char recipe_example[] =
    "data: fashion-mnist\n"
    "model:\n"
    "  - flatten\n"
    "  - dense: {units: 128, activation: relu}\n"
    "  - dense: {units: 10, activation: softmax}\n"
    "optimizer: adam\n"
    "learning_rate: 0.001\n"
    "epochs: 5\n"
    "batch_size: 32\n";

static const char *const statuses[][2] = {
    {"0", "done"},
    {"1", "failed: file, data, model, training or disk"},
    {"2", "used wrongly"},
    {"3", "the model needs an operator or a type that Cajal does not have"},
    {"130", "interrupted, after saving"},
};

static const char *const environment[][2] = {
    {"CAJAL_DATA", "folder where data sets are looked for first"},
    {"CAJAL_DEBUG",
     "what happens inside, on standard error: 1 plans and backends, and why; 2 passes too, with "
     "their counts of calls; 3 the graph after each pass and the kernels of each plan too"},
    {"NO_COLOR", "not empty: no colours"},
    {"TERM", "dumb: no line that is redrawn"},
    {"COLUMNS", "width of the terminal"},
};

/* ---- Plain text ------------------------------------------------------------------------------ */

/* Words from column `indent` on, where the line stands already, broken before column `end`. */
static void wrap(FILE *to, int indent, int end, const char *text)
{
    int column = indent;
    for (const char *s = text; *s; s += strspn(s, " ")) {
        int length = (int)strcspn(s, " ");
        if (column > indent && column + 1 + length >= end) {
            fprintf(to, "\n%*s", indent, "");
            column = indent;
        }
        column += fprintf(to, "%s%.*s", column > indent ? " " : "", length, s);
        s += length;
    }
    fputc('\n', to);
}

/* "  name=VALUE          help", the help in its own lines when the name is long. */
static void entry(FILE *to, const char *name, const char *help)
{
    enum { COLUMN = 30, END = 100 };
    int width = fprintf(to, "  %s", name);
    if (width + 2 > COLUMN) {
        fputc('\n', to);
        width = 0;
    }
    fprintf(to, "%*s", COLUMN - width, "");
    wrap(to, COLUMN, END, help);
}

static void print_keys(FILE *to, const char *const *names)
{
    char name[128], help[512];
    for (; *names; names++) {
        const cj_key *key = cli_key(*names);
        if (!key) continue;
        snprintf(name, sizeof name, "%s=%s", key->name, cli_key_value(key));
        cli_key_help(key, help, sizeof help);
        entry(to, name, help);
    }
}

/* The flag as it is typed: --no-color. */
static const char *flag_name(const char *key, char *out, size_t size)
{
    snprintf(out, size, "--%s", key);
    for (char *c = out; *c; c++)
        if (*c == '_') *c = '-';
    return out;
}

static void print_flags(FILE *to)
{
    char name[64], help[512];
    for (const char *const *flag = cli_keys_common; *flag; flag++) {
        cli_key_help(cli_key(*flag), help, sizeof help);
        entry(to, flag_name(*flag, name, sizeof name), help);
    }
}

void help_overview(FILE *to)
{
    fprintf(to, "cajal %s: deep learning, from data to a trained, saved, judged model\n\n",
            cj_version());
    fputs("usage: cajal COMMAND [WORD...] [KEY=VALUE...]\n\ncommands:\n", to);
    for (int i = 0; cli_commands[i]; i++)
        entry(to, cli_commands[i]->name, cli_commands[i]->summary);
    fputs("\nflags:\n", to);
    print_flags(to);
    fputs("\n", to);
    wrap(to, 0, 80, grammar);
    fputs("\n'cajal help COMMAND' tells more of a command, 'cajal help recipe' of recipes.\n", to);
}

void help_command(FILE *to, const cj_command *c)
{
    fprintf(to, "usage: cajal %s%s%s\n\n%s\n", c->name, *c->usage ? " " : "", c->usage, c->summary);
    if (c->text) fprintf(to, "\n%s", c->text);
    if (c->keys) {
        fputs("\nkeys:\n", to);
        print_keys(to, c->keys);
    }
    fputs("\nflags:\n", to);
    print_flags(to);
}

/* ---- The manual page ------------------------------------------------------------------------- */

/* Text as roff: dashes that can be copied, no requests by accident. */
static void roff(FILE *to, const char *text)
{
    bool begins = true;
    for (; *text; text++) {
        if (begins && (*text == '.' || *text == '\'')) fputs("\\&", to);
        if (*text == '\\') fputs("\\e", to);
        else if (*text == '-') fputs("\\-", to);
        else fputc(*text, to);
        begins = *text == '\n';
    }
}

static void roff_entry(FILE *to, const char *name, const char *help)
{
    fputs(".TP\n.B ", to);
    roff(to, name);
    fputs("\n", to);
    roff(to, help);
    fputs("\n", to);
}

static void roff_keys(FILE *to, const char *const *names)
{
    char name[128], help[512];
    for (; names && *names; names++) {
        const cj_key *key = cli_key(*names);
        if (!key) continue;
        snprintf(name, sizeof name, "%s=%s", key->name, cli_key_value(key));
        cli_key_help(key, help, sizeof help);
        roff_entry(to, name, help);
    }
}

static void roff_command(FILE *to, const cj_command *c)
{
    fprintf(to, ".SS %s\n.B cajal %s\n", c->name, c->name);
    roff(to, c->usage);
    fputs(*c->usage ? "\n.PP\n" : ".PP\n", to);
    roff(to, c->summary);
    fputs(".\n", to);
    if (c->text) {
        fputs(".PP\n.nf\n", to);
        roff(to, c->text);
        fputs(".fi\n", to);
    }
    roff_keys(to, c->keys);
}

void help_man(FILE *to)
{
    char name[64], help[512];
    fprintf(to, ".TH CAJAL 1 \"\" \"cajal %s\" \"User Commands\"\n", cj_version());
    fputs(".SH NAME\ncajal \\- deep learning, from data to a trained, saved, judged model\n", to);
    fputs(".SH SYNOPSIS\n.B cajal\nCOMMAND [WORD...] [KEY=VALUE...]\n.SH DESCRIPTION\n", to);
    roff(to, grammar);
    fputs("\n.SH COMMANDS\n", to);
    for (int i = 0; cli_commands[i]; i++) roff_command(to, cli_commands[i]);
    fputs(".SH FLAGS\n", to);
    for (const char *const *flag = cli_keys_common; *flag; flag++) {
        cli_key_help(cli_key(*flag), help, sizeof help);
        roff_entry(to, flag_name(*flag, name, sizeof name), help);
    }
    fputs(".SH RECIPES\n", to);
    roff(to, recipes);
    fputs("\n.PP\n.nf\n", to);
    roff(to, recipe_example);
    fputs(".fi\n", to);
    roff_keys(to, cli_keys_train);
    fputs(".SH EXIT STATUS\n", to);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        roff_entry(to, statuses[i][0], statuses[i][1]);
    fputs(".SH ENVIRONMENT\n", to);
    for (size_t i = 0; i < sizeof environment / sizeof *environment; i++)
        roff_entry(to, environment[i][0], environment[i][1]);
}

/* ---- Topics ---------------------------------------------------------------------------------- */

static void help_recipe(FILE *to)
{
    wrap(to, 0, 80, recipes);
    fprintf(to, "\n%s\nkeys:\n", recipe_example);
    print_keys(to, cli_keys_train);
}

bool help_topic(FILE *to, const char *topic)
{
    bool man = !strcmp(topic, "man"), recipe = !strcmp(topic, "recipe");
    if (man) help_man(to);
    if (recipe) help_recipe(to);
    return man || recipe;
}
