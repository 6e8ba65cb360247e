/* test_terminal.c: what the environment says of a stream that is no terminal. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/terminal.c"

static void environment(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    setenv("COLUMNS", "33", 1);
    assert_int_equal(terminal_style(file, false), CJ_PROGRESS_LINES);
    assert_int_equal(terminal_columns(file), 33);
    setenv("COLUMNS", "-5", 1);
    assert_int_equal(terminal_columns(file), 80);
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(environment)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
