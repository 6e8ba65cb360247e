/* test_command.c: transcripts of the command itself, held against tests/golden/cli, and the manual
 * page against `cajal help man`. CAJAL_UPDATE=1 writes both anew. Needs CAJAL_COMMAND. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGS = 8, TEXT_BYTES = 1 << 18 };

/* Runs the command with stdout and stderr in files; gives the exit status, -1 for a signal. */
static int run(const char *const *args, FILE *out, FILE *err)
{
    char *argv[ARGS + 2] = {(char *)"cajal"};
    for (int i = 0; i < ARGS && args[i]; i++) argv[i + 1] = (char *)args[i];
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        setenv("TERM", "dumb", 1);
        dup2(fileno(out), 1);
        dup2(fileno(err), 2);
        execv(getenv("CAJAL_COMMAND"), argv);
        _exit(127);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Appends all of a stream to the text. */
static void take(FILE *from, char *text)
{
    size_t n = strlen(text);
    fseek(from, 0, SEEK_SET);
    n += fread(text + n, 1, TEXT_BYTES - 1 - n, from);
    text[n] = 0;
    fclose(from);
}

static void transcript(const char *const *args, char *text)
{
    FILE *out = tmpfile(), *err = tmpfile();
    size_t begin = strlen(text), n = begin;
    n += (size_t)snprintf(text + n, TEXT_BYTES - n, "$ cajal");
    for (int i = 0; i < ARGS && args[i]; i++)
        n += (size_t)snprintf(text + n, TEXT_BYTES - n, strpbrk(args[i], " *'") ? " '%s'" : " %s",
                              args[i]);
    for (char *c = text + begin; *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e) *c = '?';
    strcat(text, "\n");
    int status = run(args, out, err);
    take(out, text);
    take(err, text);
    snprintf(text + strlen(text), 64, "[exit status %d]\n\n", status);
}

static void same_as_file(const char *name, const char *text)
{
    char path[1024], *golden = calloc(1, TEXT_BYTES);
    snprintf(path, sizeof path, "%s/%s", CJ_SOURCE_DIR, name);
    if (getenv("CAJAL_UPDATE")) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
    }
    FILE *f = fopen(path, "r");
    if (!f) fail_msg("%s is missing: run this test with CAJAL_UPDATE=1", path);
    take(f, golden);
    if (strcmp(text, golden) != 0)
        print_error("%s differs; if that is meant, CAJAL_UPDATE=1\n", name);
    assert_string_equal(text, golden);
    free(golden);
}

static void need_command(void)
{
    if (getenv("CAJAL_COMMAND")) return;
    print_message("no CAJAL_COMMAND: skipped\n");
    skip();
}

/* The overview, each command's help and the manual: they grow with every command, so they are made
 * from what the overview lists. */
static void help_and_manual(void **state)
{
    (void)state;
    need_command();
    char *text = calloc(1, TEXT_BYTES), *names = calloc(1, TEXT_BYTES);
    transcript((const char *const[ARGS]){"help"}, text);
    transcript((const char *const[ARGS]){"help", "recipe"}, text);
    strcpy(names, strstr(text, "\ncommands:\n") + 11);
    *strstr(names, "\n\n") = 0;
    for (char *line = strtok(names, "\n"); line; line = strtok(NULL, "\n")) {
        char name[64] = "";
        if (strspn(line, " ") == 2 && sscanf(line, "%63s", name) == 1)
            transcript((const char *const[ARGS]){"help", name}, text);
    }
    same_as_file("tests/golden/cli/help.txt", text);
    FILE *out = tmpfile(), *err = tmpfile();
    assert_int_equal(run((const char *const[ARGS]){"help", "man"}, out, err), 0);
    text[0] = 0;
    take(out, text);
    fclose(err);
    same_as_file("docs/man/cajal.1", text);
    free(text);
    free(names);
}

static void errors(void **state)
{
    (void)state;
    need_command();
    static const char *const cases[][ARGS] = {
        {"helpp"},
        {"frobnicate"},
        {"help", "versoin"},
        {"help", "help", "help"},
        {"convert", "model.onnx"},
        {"convert", "model.onnx", "model.h5"},
        {"convert", "model.onnx", "other.onnx", "opset=22"},
        {"convert", "no-such-model.onnx", "other.onnx"},
        {"version", "now"},
        {"version", "epochs=3"},
        {"version", "jsn=true"},
        {"version", "quiet=perhaps"},
        {"version", "json=perhaps"},
        {"-h"},
        {"--epochs"},
        {"=3", "version"},
        {"--", "--json"},
        {"new\nline\x1b[31m"},
        {""},
        {"--json", "helpp"},
        {"version", "quiet=perhaps", "--json"},
        {"--json=false", "helpp"},
        {"version", "quiet.loud=1"},
        {"version", "quiet=\xff"},
    };
    char *text = calloc(1, TEXT_BYTES);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) transcript(cases[i], text);
    same_as_file("tests/golden/cli/errors.txt", text);
    free(text);
}

static void version_says_itself(void **state)
{
    (void)state;
    need_command();
    static const char *const ways[][ARGS] = {{"version"}, {"--version"}, {"help", "--version"}};
    for (int i = 0; i < 3; i++) {
        char *text = calloc(1, TEXT_BYTES);
        transcript(ways[i], text);
        char *first = strchr(text, '\n') + 1;
        assert_int_equal(strncmp(first, "cajal 0.", 8), 0);
        assert_non_null(strstr(text, "\ninstructions: "));
        assert_non_null(strstr(text, "\n[exit status 0]\n"));
        free(text);
    }
}

static double children_ms(void)
{
    struct rusage used;
    assert_int_equal(getrusage(RUSAGE_CHILDREN, &used), 0);
    const struct timeval t[] = {used.ru_utime, used.ru_stime};
    double ms = 0;
    for (int i = 0; i < 2; i++) ms += (double)t[i].tv_sec * 1e3 + (double)t[i].tv_usec / 1e3;
    return ms;
}

/* Starts and ends within 10 ms of a processor's time; the best of 20. */
static void starts_quickly(void **state)
{
    (void)state;
    need_command();
    if (getenv("CJ_SANITIZE") && *getenv("CJ_SANITIZE")) skip();
    double best = 1e9;
    for (int i = 0; i < 20; i++) {
        FILE *out = tmpfile(), *err = tmpfile();
        const double before = children_ms();
        assert_int_equal(run((const char *const[ARGS]){"version"}, out, err), 0);
        const double ms = children_ms() - before;
        best = ms < best ? ms : best;
        fclose(out);
        fclose(err);
    }
    print_message("cajal version: %.2f ms\n", best);
    assert_true(best < 10);
}

/* A disk that is full, or a reader that went away, is a failure and not a signal. */
static void output_that_fails(void **state)
{
    (void)state;
    need_command();
    FILE *full = fopen("/dev/full", "w"), *err = tmpfile();
    char *text = calloc(1, TEXT_BYTES);
    if (!full) skip();
    assert_int_equal(run((const char *const[ARGS]){"help"}, full, err), 1);
    take(err, text);
    assert_string_equal(text, "cajal: error: standard output could not be written\n");
    fclose(full);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    FILE *closed = fdopen(ends[1], "w");
    err = tmpfile();
    assert_int_equal(run((const char *const[ARGS]){"help"}, closed, err), 1);
    fclose(closed);
    fclose(err);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_manual),     cmocka_unit_test(errors),
        cmocka_unit_test(version_says_itself), cmocka_unit_test(starts_quickly),
        cmocka_unit_test(output_that_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
