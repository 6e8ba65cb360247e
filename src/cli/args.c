/* args.c: one pass over argv, left to right; each argument says itself what it is. */
#include "cli/args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const cli_flags[] = {"json",    "quiet",     "verbose",  "help",
                                 "version", "overwrite", "no_color", "training", NULL};

static bool is_flag(const char *key)
{
    for (int i = 0; cli_flags[i]; i++)
        if (!strcmp(cli_flags[i], key)) return true;
    return false;
}

static bool name_char(char c, bool first)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    return letter || (!first && ((c >= '0' && c <= '9') || c == '-'));
}

/* The length of the key that `text` begins with: a name, and after a dot anything but "/" and "="
 * (columns have names such as "sepal length (cm)"). 0: it begins with none. */
static size_t key_length(const char *text)
{
    size_t n = 0;
    while (name_char(text[n], n == 0)) n++;
    if (n && text[n] == '.') n += strcspn(text + n, "/=");
    return n;
}

/* Copies the key, with underscores for the dashes of its first name. */
static const char *keep_key(char **names, const char *text, size_t length)
{
    char *key = *names;
    memcpy(key, text, length);
    key[length] = 0;
    for (char *c = key; *c && *c != '.'; c++)
        if (*c == '-') *c = '_';
    *names += length + 1;
    return key;
}

static bool refuse(cli_args *args, const char *format, const char *what)
{
    snprintf(args->error, sizeof args->error, format, what);
    return false;
}

static void add(cli_args *args, const char *key, const char *value)
{
    args->pairs[args->n_pairs++] = (cli_pair){key, value};
}

/* argv[i] begins with "--" and more. Takes the next argument when that is the value. */
static bool read_option(cli_args *args, int *i, int argc, char *const *argv, char **names)
{
    const char *text = argv[*i] + 2;
    size_t length = key_length(text);
    if (!length || (text[length] && text[length] != '='))
        return refuse(args, "'%.80s' is no option: expected --key value or --key=value", argv[*i]);
    const char *key = keep_key(names, text, length);
    if (text[length]) add(args, key, text + length + 1);
    else if (is_flag(key)) add(args, key, "true");
    else if (*i + 1 < argc) add(args, key, argv[++*i]);
    else return refuse(args, "%.80s: expected a value behind it", argv[*i]);
    return true;
}

bool cli_args_parse(cli_args *args, int argc, char *const *argv)
{
    size_t bytes = 1;
    *args = (cli_args){0};
    for (int i = 1; i < argc; i++) bytes += strlen(argv[i]) + 1;
    args->pairs = calloc((size_t)argc + 1, sizeof *args->pairs);
    args->words = calloc((size_t)argc + 1, sizeof *args->words);
    args->names = malloc(bytes);
    if (!args->pairs || !args->words || !args->names) return refuse(args, "%s", "out of memory");
    char *names = args->names;
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i];
        size_t length = key_length(text);
        if (only_words || !strcmp(text, "-")) {
            args->words[args->n_words++] = text;
        } else if (!strcmp(text, "--")) {
            only_words = true;
        } else if (!strncmp(text, "--", 2)) {
            if (!read_option(args, &i, argc, argv, &names)) return false;
        } else if (text[0] == '-') {
            return refuse(
                args, "'%.80s' is no option: options have two dashes, and cajal help tells them",
                text);
        } else if (text[0] == '=') {
            return refuse(args, "'%.80s': expected a key before the '='", text);
        } else if (length && text[length] == '=') {
            add(args, keep_key(&names, text, length), text + length + 1);
        } else {
            args->words[args->n_words++] = text;
        }
    }
    return true;
}

void cli_args_release(cli_args *args)
{
    free(args->pairs);
    free(args->words);
    free(args->names);
    *args = (cli_args){0};
}
