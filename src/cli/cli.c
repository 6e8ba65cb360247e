/* cli.c: from argv to a command and back to an exit status.
 *
 * The first word is the command; the keys are checked against its rows before it runs, so a command
 * sees only what it takes. Failures have one way out (`tell`): a line on the error stream and, with
 * --json, an object on the output. */
#include "cli/cli.h"

#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/keys.h"
#include "cli/signals.h"

#define COMMAND(name) extern const cj_command cj_command_##name;
#include "cli/commands.def"
#undef COMMAND

const cj_command *const cli_commands[] = {
#define COMMAND(name) &cj_command_##name,
#include "cli/commands.def"
#undef COMMAND
    NULL};

const cj_command *cli_command(const char *name)
{
    for (int i = 0; cli_commands[i]; i++)
        if (!strcmp(cli_commands[i]->name, name)) return cli_commands[i];
    return NULL;
}

/* ---- Failures -------------------------------------------------------------------------------- */

int cli_exit_status(cj_status status)
{
    switch (status) {
    case CJ_OK: return CLI_DONE;
    case CJ_ERR_ARGUMENT: return CLI_MISUSED;
    case CJ_ERR_UNSUPPORTED: return CLI_UNSUPPORTED;
    case CJ_ERR_CANCELLED: return CLI_INTERRUPTED;
    default: return CLI_FAILED;
    }
}

/* One line, whatever was in the file names and bytes that the message quotes. */
static void one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = '?';
}

static int tell(cli *c, cj_status status, const char *format, va_list args)
{
    char message[2048];
    vsnprintf(message, sizeof message, format, args);
    one_line(message);
    fflush(c->out);
    fprintf(c->err, "cajal: error: %s\n", message);
    if (c->json) {
        cli_json j = {.to = c->out};
        cli_json_object(&j, NULL);
        cli_json_object(&j, "error");
        cli_json_string(&j, "status", cj_status_name(status));
        cli_json_string(&j, "message", message);
        cli_json_end(&j);
        cli_json_end(&j);
        cli_json_line(&j);
    }
    return c->status = cli_exit_status(status);
}

int cli_fail(cli *c, cj_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(c, status, format, args);
    va_end(args);
    return c->status;
}

int cli_misused(cli *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(c, CJ_ERR_ARGUMENT, format, args);
    va_end(args);
    return c->status;
}

int cli_failed(cli *c, const cj_context *cj)
{
    cj_status status = cj ? cj_last_status(cj) : CJ_ERR_MEMORY;
    return cli_fail(c, status ? status : CJ_ERR_STATE, "%s", cj ? cj_message(cj) : "out of memory");
}

void cli_warn(cli *c, const char *format, ...)
{
    char message[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    one_line(message);
    fprintf(c->err, "cajal: warning: %s\n", message);
}

void cli_quote(FILE *to, const char *word)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:@%+";
    if (*word && word[strspn(word, plain)] == 0) {
        fputs(word, to);
        return;
    }
    fputc('\'', to);
    for (; *word; word++)
        if (*word == '\'') fputs("'\\''", to);
        else fputc(*word, to);
    fputc('\'', to);
}

/* ---- Recipes and contexts -------------------------------------------------------------------- */

/* A recipe from standard input, no larger than one from a file may be. */
static cj_recipe *read_recipe(cj_context *cj)
{
    size_t room = CJ_RECIPE_BYTES_MAX + 1, n = 0;
    char *text = malloc(room);
    cj_recipe *recipe = NULL;
    if (text) n = fread(text, 1, room, stdin);
    if (!text) cj_fail(cj, CJ_ERR_MEMORY, "out of memory");
    else recipe = cj_recipe_parse(cj, "standard input", text, n);
    free(text);
    return recipe;
}

static cj_recipe *load_recipe(cj_context *cj, const char *path)
{
    if (!path) return cj_recipe_new(cj);
    return strcmp(path, "-") ? cj_recipe_load(cj, path) : read_recipe(cj);
}

cj_recipe *cli_recipe(cli *c, const char *path)
{
    cj_recipe_free(c->recipe);
    c->recipe = load_recipe(c->base, path);
    cj_status failed = c->recipe ? CJ_OK : cj_last_status(c->base);
    if (!failed) failed = cj_recipe_merge(c->recipe, c->given);
    if (!failed) failed = cj_recipe_check(c->recipe, c->keys);
    if (!failed) failed = cj_recipe_default(c->recipe, c->keys);
    if (!failed) return c->recipe;
    cli_failed(c, c->base);
    return NULL;
}

const char *cli_string(cli *c, const char *key)
{
    const char *value = NULL;
    return cj_recipe_get_string(c->recipe, key, &value) ? NULL : value;
}

const char *cli_named(cli *c, const char *key)
{
    const char *value = NULL;
    return cj_recipe_get_named(c->recipe, key, &value) ? NULL : value;
}

int64_t cli_int(cli *c, const char *key)
{
    int64_t value = 0;
    return cj_recipe_get_int(c->recipe, key, &value) ? 0 : value;
}

double cli_float(cli *c, const char *key)
{
    double value = 0;
    return cj_recipe_get_float(c->recipe, key, &value) ? 0 : value;
}

bool cli_bool(cli *c, const char *key)
{
    bool value = false;
    return !cj_recipe_get_bool(c->recipe, key, &value) && value;
}

cj_recompute cli_recompute(cli *c)
{
    const char *word = cli_string(c, "recompute");
    if (word && !strcmp(word, "none")) return CJ_RECOMPUTE_NONE;
    return word && !strcmp(word, "all") ? CJ_RECOMPUTE_ALL : CJ_RECOMPUTE_CHEAP;
}

cj_precision cli_precision(cli *c)
{
    const char *word = cli_string(c, "precision"), *name;
    for (int i = 0; word && (name = cj_precision_name((cj_precision)i)); i++)
        if (!strcmp(word, name)) return (cj_precision)i;
    return CJ_PRECISION_FLOAT32;
}

static void log_line(void *user, cj_log_level level, const char *text)
{
    cli *c = user;
    if (level == CJ_LOG_WARNING) cli_warn(c, "%s", text);
    else if (c->verbose || (c->debug && level == CJ_LOG_DEBUG))
        fprintf(c->err, "cajal: %s\n", text);
}

cj_context *cli_context(cli *c, const cj_recipe *recipe)
{
    int64_t threads = 0;
    bool deterministic = false;
    cj_status failed = cj_recipe_get_int(recipe, "threads", &threads);
    if (!failed) failed = cj_recipe_get_bool(recipe, "deterministic", &deterministic);
    if (failed) {
        cli_failed(c, c->base);
        return NULL;
    }
    c->cj = cj_context_new(&(cj_config){.threads = (int)threads,
                                        .debug = c->debug,
                                        .deterministic = deterministic,
                                        .log = log_line,
                                        .log_user = c,
                                        .cancel = cli_interrupted});
    if (!c->cj) cli_failed(c, NULL);
    return c->cj;
}

cj_status cli_save_args(cli *c, const cj_recipe *recipe, const char *path)
{
    cj_recipe *copy = cj_recipe_new(c->base);
    cj_status failed = copy ? cj_recipe_merge(copy, recipe) : CJ_ERR_MEMORY;
    for (int i = 0; !failed && cli_keys_unsaved[i]; i++)
        cj_recipe_remove(copy, cli_keys_unsaved[i]);
    if (!failed) failed = cj_recipe_save(copy, path);
    cj_recipe_free(copy);
    return failed;
}

/* ---- Dispatch -------------------------------------------------------------------------------- */

/* Takes the first word off as the command. */
static int find_command(cli *c)
{
    const char *names[64] = {NULL};
    if (!c->args.n_words) return CLI_DONE;
    const char *name = c->args.words[0];
    c->command = cli_command(name);
    c->args.n_words--;
    for (int i = 0; i < c->args.n_words; i++) c->args.words[i] = c->args.words[i + 1];
    if (c->command) return CLI_DONE;
    for (int i = 0; cli_commands[i] && i < 63; i++) names[i] = cli_commands[i]->name;
    const char *near = cj_nearest(name, names);
    if (near) return cli_misused(c, "unknown command '%.80s' (did you mean '%s'?)", name, near);
    return cli_misused(c, "unknown command '%.80s': 'cajal help' lists them", name);
}

static cj_status get_flag(cli *c, const char *name, bool *flag)
{
    return cj_recipe_get_bool(c->given, name, flag);
}

/* The keys of the command line as a recipe, checked against the rows of the command. */
static int read_keys(cli *c, bool *help, bool *version)
{
    const char *json = "false";
    cj_status failed = CJ_OK;
    c->base = cj_context_new(&(cj_config){.threads = 1});
    c->given = c->base ? cj_recipe_new(c->base) : NULL;
    c->keys = cli_keys_of(c->command ? c->command->keys : NULL);
    if (!c->given || !c->keys) return cli_fail(c, CJ_ERR_MEMORY, "out of memory");
    for (int i = 0; !failed && i < c->args.n_pairs; i++)
        failed = cj_recipe_set(c->given, c->args.pairs[i].key, c->args.pairs[i].value);
    if (!failed) failed = cj_recipe_check(c->given, c->keys);
    if (!failed) failed = cj_recipe_get_string(c->given, "json", &json);
    if (!failed) failed = get_flag(c, "quiet", &c->quiet);
    if (!failed) failed = get_flag(c, "verbose", &c->verbose);
    if (!failed) failed = get_flag(c, "overwrite", &c->overwrite);
    if (!failed) failed = get_flag(c, "no_color", &c->no_color);
    if (!failed) failed = get_flag(c, "help", help);
    if (!failed) failed = get_flag(c, "version", version);
    if (failed && c->command)
        return cli_fail(c, failed, "%s: %s", c->command->name, cj_message(c->base));
    if (failed) return cli_failed(c, c->base);
    c->json = strcmp(json, "false") != 0;
    c->json_steps = !strcmp(json, "steps");
    c->json_lines = c->json_steps || !strcmp(json, "lines");
    return CLI_DONE;
}

static int dispatch(cli *c, int argc, char *const *argv)
{
    bool help = false, version = false;
    if (!cli_args_parse(&c->args, argc, argv)) return cli_misused(c, "%s", c->args.error);
    if (find_command(c) || read_keys(c, &help, &version)) return c->status;
    if (version) c->command = cli_command("version");
    if (help)
        return c->command ? help_command(c->out, c->command) : help_overview(c->out), CLI_DONE;
    if (c->command) return c->command->run(c);
    help_overview(c->err);
    return CLI_MISUSED;
}

/* Is JSON wanted? Asked before anything is parsed, because parsing may be what fails. */
static bool wants_json(int argc, char *const *argv)
{
    bool wanted = false;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *text = !strncmp(argv[i], "--", 2) ? argv[i] + 2 : argv[i];
        if (!strcmp(argv[i], "--json")) wanted = true;
        else if (!strncmp(text, "json=", 5)) wanted = strcmp(text + 5, "false") != 0;
    }
    return wanted;
}

int cli_main(int argc, char *const *argv, FILE *out, FILE *err)
{
    cli c = {.out = out, .err = err, .program = "cajal", .json = wants_json(argc, argv)};
    const char *debug = getenv("CAJAL_DEBUG");
    if (debug && *debug >= '0' && *debug <= '9') c.debug = atoi(debug);
    if (argc > 0 && argv[0] && strchr(argv[0], '/')) c.program = argv[0]; /* not on the PATH */
    int status = dispatch(&c, argc, argv);
    cj_recipe_free(c.recipe);
    cj_recipe_free(c.given);
    cj_context_free(c.cj);
    cj_context_free(c.base);
    free(c.keys);
    cli_args_release(&c.args);
    if ((fflush(out) || ferror(out)) && !status) {
        /* Whoever read the output had enough of it (`| head`): nobody wants to be told. */
        struct pollfd reader = {.fd = fileno(out), .events = POLLOUT};
        bool gone = poll(&reader, 1, 0) > 0 && (reader.revents & POLLERR);
        if (!gone) fprintf(err, "cajal: error: standard output could not be written\n");
        status = CLI_FAILED;
    }
    return status;
}
