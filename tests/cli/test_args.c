/* test_args.c: the grammar of the command line, hostile words included. The command is no library,
 * so its test compiles the file under test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/args.c"

enum { ARGS = 12 };

typedef struct grammar {
    const char *argv[ARGS];
    const char *read; /* "key=value;" for each pair, then the words in angles; or "error: ..." */
} grammar;

static const grammar cases[] = {
    {{"train", "epochs=5"}, "epochs=5;<train>"},
    {{"--epochs", "5", "train"}, "epochs=5;<train>"},
    {{"--epochs=5"}, "epochs=5;"},
    {{"epochs=1", "--epochs=2", "--epochs", "3"}, "epochs=1;epochs=2;epochs=3;"},
    {{"--learning-rate", "-0.5"}, "learning_rate=-0.5;"},
    {{"learning_rate=-1"}, "learning_rate=-1;"},
    {{"--data", "--json"}, "data=--json;"},
    {{"--data", "--"}, "data=--;"},
    {{"--json", "train"}, "json=true;<train>"},
    {{"--no-color", "--quiet", "--verbose", "--overwrite"},
     "no_color=true;quiet=true;verbose=true;overwrite=true;"},
    {{"--json=lines"}, "json=lines;"},
    {{"json=true", "--json=false"}, "json=true;json=false;"},
    {{"--output-dir", "out", "output-dir=b"}, "output_dir=out;output_dir=b;"},
    {{"optimizer.beta-1=0.8"}, "optimizer.beta-1=0.8;"},
    {{"types.sepal length (cm)=number"}, "types.sepal length (cm)=number;"},
    {{"--types.a b", "number"}, "types.a b=number;"},
    {{"data="}, "data=;"},
    {{"--data", ""}, "data=;"},
    {{"--data="}, "data=;"},
    {{"model=dense 16 relu, dense 3 softmax"}, "model=dense 16 relu, dense 3 softmax;"},
    {{"a=b=c", "--a=b=c"}, "a=b=c;a=b=c;"},
    {{"-", "best.onnx"}, "<-><best.onnx>"},
    {{"--data", "-"}, "data=-;"},
    {{"--", "epochs=5", "--json", "-x", "--"}, "<epochs=5><--json><-x><-->"},
    {{"./a=b.csv", "../x=1", "/y=2", "dir/a=b"}, "<./a=b.csv><../x=1></y=2><dir/a=b>"},
    {{"dense(units=3)"}, "<dense(units=3)>"},
    {{"a b=c"}, "<a b=c>"},
    {{"1=2"}, "<1=2>"},
    {{""}, "<>"},
    {{"."}, "<.>"},
    {{"a.b"}, "<a.b>"},
    {{"a.=b"}, "a.=b;"},
    {{"\xff=\xff"}, "<\xff=\xff>"},
    {{"epochs=\xff"}, "epochs=\xff;"},
    {{"-x"}, "error: '-x' is no option: options have two dashes, and cajal help tells them"},
    {{"-5"}, "error: '-5' is no option: options have two dashes, and cajal help tells them"},
    {{"=5"}, "error: '=5': expected a key before the '='"},
    {{"--=5"}, "error: '--=5' is no option: expected --key value or --key=value"},
    {{"---"}, "error: '---' is no option: expected --key value or --key=value"},
    {{"--a b"}, "error: '--a b' is no option: expected --key value or --key=value"},
    {{"--epochs"}, "error: --epochs: expected a value behind it"},
};

static void read_back(const grammar *g, char *out, size_t size)
{
    char *argv[ARGS + 2] = {(char *)"cajal"};
    int argc = 1;
    /* An empty argument is one; the list ends at NULL. */
    for (int i = 0; i < ARGS && g->argv[i]; i++) argv[argc++] = (char *)g->argv[i];
    cli_args args;
    size_t n = 0;
    out[0] = 0;
    if (!cli_args_parse(&args, argc, argv)) {
        snprintf(out, size, "error: %s", args.error);
    } else {
        for (int i = 0; i < args.n_pairs; i++)
            n += (size_t)snprintf(out + n, size - n, "%s=%s;", args.pairs[i].key,
                                  args.pairs[i].value);
        for (int i = 0; i < args.n_words; i++)
            n += (size_t)snprintf(out + n, size - n, "<%s>", args.words[i]);
    }
    cli_args_release(&args);
}

static void grammar_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[1024];
        read_back(&cases[i], out, sizeof out);
        if (strcmp(out, cases[i].read) != 0)
            fail_msg("case %zu: expected %s, found %s", i, cases[i].read, out);
    }
}

/* Any bytes, any number of arguments: an answer or a sentence, and nothing lost or invented. */
static void random_arguments(void **state)
{
    (void)state;
    static const char letters[] = "-=._ab1 /\xff";
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        char text[6][8], *argv[7] = {(char *)"cajal"};
        int argc = 1 + round % 7;
        for (int i = 1; i < argc; i++) {
            size_t n = 0;
            for (; n < 7; n++) {
                seed = seed * 1103515245u + 12345u;
                if ((seed >> 16) % 4 == 0 && n) break;
                text[i - 1][n] = letters[(seed >> 20) % (sizeof letters - 1)];
            }
            text[i - 1][n] = 0;
            argv[i] = text[i - 1];
        }
        cli_args args;
        bool fine = cli_args_parse(&args, argc, argv);
        assert_int_equal(fine, args.error[0] == 0);
        assert_in_range(args.n_pairs + args.n_words, 0, argc - 1);
        for (int i = 0; i < args.n_pairs; i++) assert_true(args.pairs[i].key[0] != 0);
        cli_args_release(&args);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(grammar_cases),
                                       cmocka_unit_test(random_arguments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
