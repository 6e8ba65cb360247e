/* test_recipe_json.c: recipes as JSON, which every build reads and writes. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/recipe.h"

static cj_context *cj;

static int setup(void **state)
{
    (void)state;
    cj = cj_context_new(&(cj_config){.threads = 1});
    return cj ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    int64_t left = cj_memory_used(cj);
    cj_context_free(cj);
    if (left) print_error("%lld bytes not freed\n", (long long)left);
    return left ? -1 : 0;
}

static char *slurp(const char *path)
{
    char *text = calloc(1, 4096);
    FILE *f = fopen(path, "r");
    if (!f) fail_msg("no %s", path);
    assert_true(fread(text, 1, 4095, f) < 4095);
    fclose(f);
    return text;
}

static void writes_and_reads(void **state)
{
    (void)state;
    static const char expected[] = "{\n"
                                   "  \"data\": \"it's \\\"q\\\" \xc3\xa9\",\n"
                                   "  \"rate\": 1.0e-08,\n"
                                   "  \"big\": 1.0e+22,\n"
                                   "  \"one\": 1.0,\n"
                                   "  \"n\": 3,\n"
                                   "  \"nan\": null,\n"
                                   "  \"optimizer\": {\"name\": \"sgd\", \"nesterov\": true},\n"
                                   "  \"none\": null\n"
                                   "}\n";
    char folder[] = "recipe-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/args.json", folder);
    cj_recipe *r = cj_recipe_new(cj);
    cj_recipe_set(r, "data", "it's \"q\" \xc3\xa9");
    cj_recipe_set_float(r, "rate", 1e-8);
    cj_recipe_set_float(r, "big", 1e22);
    cj_recipe_set_float(r, "one", 1);
    cj_recipe_set_int(r, "n", 3);
    cj_recipe_set_float(r, "nan", NAN);
    cj_recipe_set(r, "optimizer", "sgd");
    cj_recipe_set_bool(r, "optimizer.nesterov", true);
    assert_int_equal(cj_recipe_set(r, "none", ""), CJ_OK);
    assert_int_equal(cj_recipe_save(r, path), CJ_OK);
    char *text = slurp(path);
    assert_string_equal(text, expected);
    cj_recipe *again = cj_recipe_load(cj, path);
    if (!again) fail_msg("%s", cj_message(cj));
    assert_int_equal(cj_recipe_save(again, path), CJ_OK);
    char *twice = slurp(path);
    assert_string_equal(twice, expected);
    assert_int_equal(cj_recipe_find(again, "one")->kind, CJ_ITEM_FLOAT);
    assert_int_equal(cj_recipe_find(again, "optimizer.nesterov")->line, 8);
    free(text);
    free(twice);
    remove(path);
    remove(folder);
    cj_recipe_free(r);
    cj_recipe_free(again);
}

static void refuses(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[1]", "t.json: a recipe is a map of keys and values"},
        {"3", "t.json: a recipe is a map of keys and values"},
        {"{\"a\":\n\"\\u0000\"}", "t.json:2: a value is not UTF-8 text"},
        {"{\"\": 1}", "t.json:1: a key is empty"},
        {"{\"a\\u0000\": 1}", "t.json:1: a key holds a zero byte"},
        {"{\"a\": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
         "t.json:1: lists and maps lie too deep in one another"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_null(cj_recipe_parse(cj, "t.json", cases[i][0], strlen(cases[i][0])));
        assert_string_equal(cj_message(cj), cases[i][1]);
    }
    static const char *const broken[] = {"", "{", "{a: 1}", "{\"a\": 1,}", "{\"a\": 1} x",
                                         "{\"a\": 1, \"a\": 2}", "{\"a\": 01}", "{\"a\": NaN}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        assert_null(cj_recipe_parse(cj, "t.json", broken[i], strlen(broken[i])));
        assert_int_equal(cj_last_status(cj), CJ_ERR_FORMAT);
        assert_int_equal(strncmp(cj_message(cj), "t.json: ", 8), 0);
    }
#ifndef CJ_HAVE_YAML
    assert_null(cj_recipe_parse(cj, "t.yaml", "a: 1", 4));
    assert_non_null(strstr(cj_message(cj), "without YAML in this build a recipe must be JSON"));
#endif
}

/* Every allocation failed in turn: a status each time, and nothing left behind. */
typedef struct failing {
    long left, made; /* left < 0: never fails */
} failing;

static void *allocate(void *user, void *old, size_t old_size, size_t new_size)
{
    failing *f = user;
    (void)old_size;
    if (!new_size) {
        free(old);
        f->made -= old != NULL;
        return NULL;
    }
    if (f->left == 0) return NULL;
    if (f->left > 0) f->left--;
    void *block = realloc(old, new_size);
    f->made += block && !old;
    return block;
}

static cj_status everything(cj_context *context)
{
    static const cj_key keys[] = {{"a", CJ_KEY_LIST, 0, 0, NULL, NULL, "x"},
                                  {"o", CJ_KEY_NAMED, 0, 0, "adam", NULL, "x"},
                                  {"e", CJ_KEY_INT, 0, 9, "1", NULL, "x"},
                                  {NULL, CJ_KEY_NONE, 0, 0, NULL, NULL, NULL}};
    static const char text[] = "{\"a\": \"x, y\", \"o\": {\"sgd\": {\"m\": [1, 2.5]}}}";
    const char *named = NULL, *const *items = NULL;
    int n = 0;
    cj_recipe *r = cj_recipe_parse(context, "a.json", text, strlen(text));
    cj_recipe *over = r ? cj_recipe_new(context) : NULL;
    cj_status failed = over ? CJ_OK : cj_last_status(context);
    if (!failed) failed = cj_recipe_set(over, "o.sgd.n", "3");
    if (!failed) failed = cj_recipe_set_float(over, "e", 2);
    if (!failed) failed = cj_recipe_merge(r, over);
    if (!failed) failed = cj_recipe_check(r, keys);
    if (!failed) failed = cj_recipe_default(r, keys);
    if (!failed) failed = cj_recipe_get_named(r, "o", &named);
    if (!failed) failed = cj_recipe_get_list(r, "a", &items, &n);
    if (!failed && !cj_recipe_text(r)) failed = cj_last_status(context);
    if (!failed) assert_string_equal(named, "sgd(m=[1, 2.5], n=3)");
    if (!failed) assert_int_equal(n, 2);
    cj_recipe_free(r);
    cj_recipe_free(over);
    return failed;
}

static void out_of_memory(void **state)
{
    (void)state;
    failing f = {.left = -1};
    long steps = 0;
    for (bool done = false; !done; steps++) {
        f.left = -1;
        cj_context *context = cj_context_new(
            &(cj_config){.threads = 1, .allocator = {.allocate = allocate, .user = &f}});
        assert_non_null(context);
        f.left = steps;
        cj_status failed = everything(context);
        done = !failed;
        if (failed) assert_int_equal(failed, CJ_ERR_MEMORY);
        f.left = -1;
        assert_int_equal(everything(context), CJ_OK); /* the retry works */
        cj_context_free(context);
        assert_int_equal(f.made, 0);
    }
    print_message("%ld allocations failed in turn\n", steps - 1);
    assert_true(steps > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_and_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses, setup, teardown),
        cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
