/* test_keys.c: the table of keys is sound, and a training recipe is held against it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/args.c"
#include "cli/keys.c"

static cj_context *cj;
static cj_key *train;

static int setup(void **state)
{
    (void)state;
    cj = cj_context_new(&(cj_config){.threads = 1});
    train = cli_keys_of(cli_keys_train);
    return cj && train ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    free(train);
    cj_context_free(cj);
    return 0;
}

static void every_name_has_a_row(void **state)
{
    (void)state;
    const char *const *lists[] = {cli_keys_common, cli_keys_train, cli_keys_unsaved, cli_flags};
    for (int l = 0; l < 4; l++)
        for (const char *const *name = lists[l]; *name; name++)
            if (!cli_key(*name)) fail_msg("no row for key '%s'", *name);
    for (const cj_key *a = cli_keys; a->name; a++) {
        for (const cj_key *b = cli_keys; b != a; b++) assert_string_not_equal(a->name, b->name);
        if (a->type == CJ_KEY_WORD) assert_non_null(strchr(a->words, '|'));
        if (a->help[strlen(a->help) - 1] == '.') fail_msg("'%s': a full stop", a->name);
    }
}

/* The defaults are legal, and what they make is a recipe again. */
static void defaults_are_legal(void **state)
{
    (void)state;
    cj_recipe *recipe = cj_recipe_new(cj);
    if (cj_recipe_default(recipe, train)) fail_msg("%s", cj_message(cj));
    if (cj_recipe_check(recipe, train)) fail_msg("%s", cj_message(cj));
    const char *text = cj_recipe_text(recipe);
    assert_non_null(strstr(text, "epochs: 5\n"));
    cj_recipe_free(recipe);
}

static void wrong_values(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"learning_rate", "-1", "learning_rate=-1: expected a number of at least 0"},
        {"learning_rate", "fast", "learning_rate=fast: expected a number of at least 0"},
        {"learning_rate", "nan", "learning_rate=nan: expected a number of at least 0"},
        {"learning_rate", ".inf", "learning_rate=.inf: expected a number of at least 0"},
        {"epochs", "0.5", "epochs=0.5: expected an integer from 1 to 1000000"},
        {"epochs", "0", "epochs=0: expected an integer from 1 to 1000000"},
        {"epochs", "-1", "epochs=-1: expected an integer from 1 to 1000000"},
        {"epochs", "1e9", "epochs=1e9: expected an integer from 1 to 1000000"},
        {"epochs", "true", "epochs=true: expected an integer from 1 to 1000000"},
        {"batch_size", "0", "batch_size=0: expected an integer from 1 to 16777216"},
        {"validation_split", "1", "validation_split=1: expected a number from 0 to 0.99"},
        {"seed", "-1", "seed=-1: expected an integer of at least 0"},
        {"seed", "1.5", "seed=1.5: expected an integer of at least 0"},
        {"threads", "lots", "threads=lots: expected an integer from 0 to 4096"},
        {"deterministic", "yes", "deterministic=yes: expected true or false"},
        {"missing", "ignore", "missing=ignore: expected one of error|drop"},
        {"normalize", "", NULL}, /* nothing is null: the default */
        {"lerning_rate", "1", "unknown key 'lerning_rate' (did you mean 'learning_rate'?)"},
        {"epoch", "1", "unknown key 'epoch' (did you mean 'epochs'?)"},
        {"zzzzzzzzzz", "1", "unknown key 'zzzzzzzzzz'"},
        {"epochs.more", "1", "epochs: expected an integer from 1 to 1000000, found a map"},
        {"optimizer.momentum", "0.9", NULL},
        {"types.sepal.length", "number", NULL},
        {"epochs", "1e3", NULL},
        {"data", "007", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cj_recipe *recipe = cj_recipe_new(cj);
        assert_int_equal(cj_recipe_set(recipe, cases[i][0], cases[i][1]), CJ_OK);
        cj_status failed = cj_recipe_check(recipe, train);
        assert_int_equal(failed, cases[i][2] ? CJ_ERR_ARGUMENT : CJ_OK);
        if (failed) assert_string_equal(cj_message(cj), cases[i][2]);
        cj_recipe_free(recipe);
    }
}

static void key_texts(void **state)
{
    (void)state;
    char text[256];
    cli_key_help(cli_key("epochs"), text, sizeof text);
    assert_string_equal(text, "passes over the training samples; 1 to 1000000; default 5");
    assert_string_equal(cli_key_value(cli_key("shuffle")), "true|false");
    assert_string_equal(cli_key_value(cli_key("learning_rate")), "NUMBER");
    assert_string_equal(cli_key_value(cli_key("epochs")), "N");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_has_a_row), cmocka_unit_test(defaults_are_legal),
        cmocka_unit_test(wrong_values), cmocka_unit_test(key_texts)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
