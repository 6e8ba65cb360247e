/* test_run_dir.c: run directories are claimed once each, refused with a reason, and taken away when
 * nothing came of them. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cli/run_dir.c"

static char message[1024];

static int note(cli *c, const char *format, va_list args)
{
    vsnprintf(message, sizeof message, format, args);
    return c->status = CLI_FAILED;
}

int cli_fail(cli *c, cj_status status, const char *format, ...)
{
    va_list args;
    (void)status;
    va_start(args, format);
    note(c, format, args);
    va_end(args);
    return c->status;
}

int cli_misused(cli *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note(c, format, args);
    va_end(args);
    return c->status;
}

static const cj_command command = {.name = "train"};
static char folder[] = "/tmp/cajal-run-dir-XXXXXX";

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) && !chdir(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    char remove[128];
    (void)state;
    snprintf(remove, sizeof remove, "rm -rf %s", folder);
    return system(remove);
}

enum { CHILDREN = 6, CLAIMS = 20 };

/* Processes that claim at the same time get runs/train1 to runs/train120, each once. */
static void numbered_once_each(void **state)
{
    (void)state;
    int ends[2], seen[CHILDREN * CLAIMS + 1] = {0};
    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < CHILDREN; i++) {
        if (fork()) continue;
        for (int k = 0; k < CLAIMS; k++) {
            cli c = {.command = &command};
            run_dir run;
            int number = 0;
            if (run_dir_claim(&c, &run, NULL, false)) sscanf(run.path, "runs/train%d", &number);
            if (write(ends[1], &number, sizeof number) != sizeof number) _exit(1);
        }
        _exit(0);
    }
    for (int i = 0; i < CHILDREN * CLAIMS; i++) {
        int number = 0;
        assert_int_equal(read(ends[0], &number, sizeof number), sizeof number);
        assert_in_range(number, 1, CHILDREN * CLAIMS);
        assert_int_equal(seen[number]++, 0);
    }
    for (int i = 0; i < CHILDREN; i++) wait(NULL);
    close(ends[0]);
    close(ends[1]);
}

static void refused(const char *out, bool reuse, const char *reason)
{
    cli c = {.command = &command};
    run_dir run;
    assert_false(run_dir_claim(&c, &run, out, reuse));
    assert_string_equal(message, reason);
    run_dir_drop(&run);
}

static void given(void **state)
{
    (void)state;
    cli c = {.command = &command};
    run_dir run;
    assert_true(run_dir_claim(&c, &run, "a/b//c/", false)); /* with the folders above it */
    assert_string_equal(run.path, "a/b//c");
    assert_true(run.made);
    assert_false(run_dir_has(&run, "args.yaml"));
    assert_true(run_dir_claim(&c, &run, "a/b/c", false)); /* there, but empty */
    assert_false(run.made);
    run_dir_drop(&run); /* not ours */
    FILE *file = fopen("a/b/c/args.yaml", "w");
    assert_non_null(file);
    fclose(file);
    assert_true(run_dir_has(&run, "args.yaml"));
    refused("a/b/c", false,
            "a/b/c: the run directory is not empty; take another out=DIR, or --overwrite, or go "
            "on with resume=a/b/c");
    assert_true(run_dir_claim(&c, &run, "a/b/c", true));
    refused("a/b/c/args.yaml", false, "a/b/c/args.yaml: is no run directory: Not a directory");
    refused("a/b/c/args.yaml/d", true,
            "a/b/c/args.yaml/d: the run directory cannot be made: Not a directory");
    refused("", false, "train: out: expected a folder's name, of at most 4032 bytes");
    char *path = calloc(1, 5001);
    refused(memset(path, 'a', 5000), false,
            "train: out: expected a folder's name, of at most 4032 bytes");
    free(path);
}

static void taken_away(void **state)
{
    (void)state;
    cli c = {.command = &command};
    run_dir run;
    assert_true(run_dir_claim(&c, &run, "empty", false));
    run_dir_drop(&run);
    assert_int_equal(access("empty", F_OK), -1);
    assert_true(run_dir_claim(&c, &run, "used", false));
    assert_int_equal(mkdir("used/checkpoint", 0777), 0);
    run_dir_drop(&run);
    assert_int_equal(access("used/checkpoint", F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbered_once_each),
                                       cmocka_unit_test(given), cmocka_unit_test(taken_away)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
