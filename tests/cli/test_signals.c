/* test_signals.c: the first Ctrl-C is noted, the second ends the process with status 130. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cli/signals.c"

static int child_status(int first, int second)
{
    pid_t child = fork();
    if (!child) {
        cli_signals_install();
        if (cli_interrupted(NULL)) _exit(1);
        raise(SIGPIPE);
        if (cli_interrupted(NULL)) _exit(2);
        raise(first);
        if (!cli_interrupted(NULL)) _exit(3);
        if (second) raise(second);
        _exit(42);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void first_and_second(void **state)
{
    (void)state;
    assert_int_equal(child_status(SIGINT, 0), 42);
    assert_int_equal(child_status(SIGTERM, 0), 42);
    assert_int_equal(child_status(SIGINT, SIGINT), 130);
    assert_int_equal(child_status(SIGTERM, SIGINT), 130);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(first_and_second)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
