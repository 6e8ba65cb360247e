/* test_recipe.c: recipes in memory, from YAML and JSON, to YAML, against tables of keys, and
 * hostile. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
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

static cj_recipe *parse_as(const char *name, const char *text)
{
    return cj_recipe_parse(cj, name, text, strlen(text));
}

static cj_recipe *parse(const char *text)
{
    cj_recipe *recipe = parse_as("t.yaml", text);
    if (!recipe) fail_msg("%s", cj_message(cj));
    return recipe;
}

/* The text must be refused with exactly this status and message. */
static void refused(const char *name, const char *text, cj_status status, const char *message)
{
    cj_recipe *recipe = parse_as(name, text);
    if (recipe) fail_msg("accepted: %s", text);
    assert_string_equal(cj_message(cj), message);
    assert_int_equal(cj_last_status(cj), status);
}

static const cj_item *item(const cj_recipe *recipe, const char *key)
{
    const cj_item *found = cj_recipe_find(recipe, key);
    if (!found) fail_msg("no key '%s'", key);
    return found;
}

static void same_items(const cj_item *a, const cj_item *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->count, b->count);
    if (a->key || b->key) assert_string_equal(a->key, b->key);
    if (a->kind == CJ_ITEM_STRING) assert_string_equal(a->text, b->text);
    if (a->kind == CJ_ITEM_BOOL) assert_int_equal(a->truth, b->truth);
    if (a->kind == CJ_ITEM_INT) assert_int_equal(a->integer, b->integer);
    if (a->kind == CJ_ITEM_FLOAT) assert_memory_equal(&a->number, &b->number, sizeof a->number);
    const cj_item *j = b->first;
    for (const cj_item *i = a->first; i; i = i->next, j = j->next) same_items(i, j);
    assert_null(j);
}

/* What is written reads back as the same tree. */
static void round_trip(cj_recipe *recipe)
{
    const char *text = cj_recipe_text(recipe);
    assert_non_null(text);
    cj_recipe *again = parse_as("again.yaml", text);
    if (!again) fail_msg("%s in\n%s", cj_message(cj), text);
    same_items(cj_recipe_root(recipe), cj_recipe_root(again));
    assert_string_equal(text, cj_recipe_text(again));
    cj_recipe_free(again);
}

static void core_schema(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        cj_item_kind kind;
        double number;
    } cases[] = {
        {"1e-3", CJ_ITEM_FLOAT, 1e-3},
        {"1.5", CJ_ITEM_FLOAT, 1.5},
        {".5", CJ_ITEM_FLOAT, 0.5},
        {"-.5e1", CJ_ITEM_FLOAT, -5},
        {"5.", CJ_ITEM_FLOAT, 5},
        {"+1.e2", CJ_ITEM_FLOAT, 100},
        {"0", CJ_ITEM_INT, 0},
        {"-0", CJ_ITEM_INT, 0},
        {"+12", CJ_ITEM_INT, 12},
        {"010", CJ_ITEM_INT, 10},
        {"0o10", CJ_ITEM_INT, 8},
        {"0xfF", CJ_ITEM_INT, 255},
        {".inf", CJ_ITEM_FLOAT, INFINITY},
        {"-.INF", CJ_ITEM_FLOAT, -INFINITY},
        {"true", CJ_ITEM_BOOL, 1},
        {"FALSE", CJ_ITEM_BOOL, 0},
        {"null", CJ_ITEM_NULL, 0},
        {"~", CJ_ITEM_NULL, 0},
        {"", CJ_ITEM_NULL, 0},
        {"yes", CJ_ITEM_STRING, 0},
        {"off", CJ_ITEM_STRING, 0},
        {"tRUE", CJ_ITEM_STRING, 0},
        {"1_000", CJ_ITEM_STRING, 0},
        {"1:30", CJ_ITEM_STRING, 0},
        {"0b1", CJ_ITEM_STRING, 0},
        {"1e", CJ_ITEM_STRING, 0},
        {"e5", CJ_ITEM_STRING, 0},
        {".", CJ_ITEM_STRING, 0},
        {"-", CJ_ITEM_STRING, 0},
        {"+", CJ_ITEM_STRING, 0},
        {"--1", CJ_ITEM_STRING, 0},
        {"inf", CJ_ITEM_STRING, 0},
        {"nan", CJ_ITEM_STRING, 0},
        {"0x", CJ_ITEM_STRING, 0},
        {"0o8", CJ_ITEM_STRING, 0},
        {"1e400", CJ_ITEM_STRING, 0},
        {"99999999999999999999", CJ_ITEM_STRING, 0},
        {"9223372036854775807", CJ_ITEM_INT, 9223372036854775807.0},
        {"2020-01-01", CJ_ITEM_STRING, 0},
        {"1 2", CJ_ITEM_STRING, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cj_recipe *recipe = cj_recipe_new(cj);
        assert_int_equal(cj_recipe_set(recipe, "k", cases[i].text), CJ_OK);
        const cj_item *k = item(recipe, "k");
        if (k->kind != cases[i].kind)
            fail_msg("'%s' is of kind %d, expected %d", cases[i].text, k->kind, cases[i].kind);
        assert_string_equal(k->text, cases[i].text);
        if (k->kind == CJ_ITEM_BOOL) assert_int_equal(k->truth, (int)cases[i].number);
        if (k->kind == CJ_ITEM_INT || k->kind == CJ_ITEM_FLOAT)
            assert_true(k->number == cases[i].number);
        round_trip(recipe);
        cj_recipe_free(recipe);
    }
    cj_recipe *recipe = parse("a: .nan\nb: '5'\nc: \"true\"\nd:\n");
    assert_true(isnan(item(recipe, "a")->number));
    assert_int_equal(item(recipe, "b")->kind, CJ_ITEM_STRING);
    assert_int_equal(item(recipe, "c")->kind, CJ_ITEM_STRING);
    assert_int_equal(item(recipe, "d")->kind, CJ_ITEM_NULL);
    round_trip(recipe);
    cj_recipe_free(recipe);
}

static const char design[] =
    "data: fashion-mnist            # or a path\n"
    "validation_split: 0.1\n"
    "model:                         # a list\n"
    "  - conv2d: {filters: 32, kernel: 3, activation: relu}\n"
    "  - max_pool2d: 2\n"
    "  - flatten\n"
    "  - dense: {units: 10, activation: softmax, init: \"he, normal\"}\n"
    "optimizer: adam\n"
    "learning_rate: 1e-3\n"
    "epochs: 5\n"
    "types: {sepal.length: number, species: category}\n";

static void find_and_get(void **state)
{
    (void)state;
    cj_recipe *r = parse(design);
    int64_t epochs = 0, missing = 7;
    double rate = 0, as_float = 0;
    const char *data = NULL, *layer = NULL, *type = NULL;
    bool truth = false;
    assert_int_equal(cj_recipe_get_int(r, "epochs", &epochs), CJ_OK);
    assert_int_equal(epochs, 5);
    assert_int_equal(cj_recipe_get_float(r, "epochs", &as_float), CJ_OK);
    assert_true(as_float == 5);
    assert_int_equal(cj_recipe_get_float(r, "learning_rate", &rate), CJ_OK);
    assert_true(rate == 1e-3);
    assert_int_equal(cj_recipe_get_string(r, "data", &data), CJ_OK);
    assert_string_equal(data, "fashion-mnist");
    assert_int_equal(cj_recipe_get_int(r, "batch_size", &missing), CJ_OK);
    assert_int_equal(missing, 7);
    assert_int_equal(cj_recipe_get_string(r, "types.sepal.length", &type), CJ_OK);
    assert_string_equal(type, "number");
    assert_int_equal(item(r, "model.0.conv2d.filters")->integer, 32);
    assert_int_equal(item(r, "model.0.conv2d.filters")->line, 4);
    assert_null(cj_recipe_find(r, "model.4"));
    assert_null(cj_recipe_find(r, "model.-1"));
    assert_null(cj_recipe_find(r, "data.x"));
    assert_null(cj_recipe_find(r, ""));
    assert_int_equal(cj_recipe_get_bool(r, "data", &truth), CJ_ERR_ARGUMENT);
    assert_string_equal(cj_message(cj), "t.yaml:1: data=fashion-mnist: expected true or false");
    assert_int_equal(cj_recipe_get_int(r, "model", &missing), CJ_ERR_ARGUMENT);
    assert_string_equal(cj_message(cj), "t.yaml:3: model: expected an integer, found a list");

    static const char *const layers[] = {
        "conv2d(filters=32, kernel=3, activation=relu)", "max_pool2d(2)", "flatten",
        "dense(units=10, activation=softmax, init=\"he, normal\")"};
    const char *const *list = NULL;
    int n = 0;
    assert_int_equal(cj_recipe_get_list(r, "model", &list, &n), CJ_OK);
    assert_int_equal(n, 4);
    for (int i = 0; i < n; i++) assert_string_equal(list[i], layers[i]);
    assert_int_equal(cj_item_named(r, item(r, "model.1"), &layer), CJ_OK);
    assert_string_equal(layer, "max_pool2d(2)");
    round_trip(r);
    cj_recipe_free(r);
}

static void named_things(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"o: adam", "adam"},
        {"o: sgd(momentum=0.9)", "sgd(momentum=0.9)"},
        {"o: {name: sgd, momentum: 0.9, nesterov: true}", "sgd(momentum=0.9, nesterov=true)"},
        {"o: {sgd: {momentum: 0.9}}", "sgd(momentum=0.9)"},
        {"o: {name: sgd}", "sgd"},
        {"o: {sgd: {}}", "sgd"},
        {"o: {sgd: }", "sgd"},
        {"o: {name: sgd(momentum=0.9), nesterov: true}", "sgd(momentum=0.9, nesterov=true)"},
        {"o: {name: sgd(), nesterov: true}", "sgd(nesterov=true)"},
        {"o: {reshape: [28, 28, 1]}", "reshape([28, 28, 1])"},
        {"o: {d: {schedule: {cosine: {steps: 10}}}}", "d(schedule=cosine(steps=10))"},
        {"o: {d: {text: 'it''s, so'}}", "d(text=\"it's, so\")"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cj_recipe *r = parse(cases[i][0]);
        const char *text = NULL;
        assert_int_equal(cj_recipe_get_named(r, "o", &text), CJ_OK);
        assert_string_equal(text, cases[i][1]);
        cj_recipe_free(r);
    }
    cj_recipe *r = parse("o: {a: 1, b: 2}\np: [a]\n");
    const char *text = NULL;
    assert_int_equal(cj_recipe_get_named(r, "o", &text), CJ_ERR_ARGUMENT);
    assert_string_equal(cj_message(cj),
                        "t.yaml:1: expected a name with options, found a map of 2 keys");
    assert_int_equal(cj_recipe_get_named(r, "p", &text), CJ_ERR_ARGUMENT);
    cj_recipe_free(r);
}

static void set_and_merge(void **state)
{
    (void)state;
    cj_recipe *file = parse(design), *line = cj_recipe_new(cj);
    assert_int_equal(cj_recipe_set(line, "epochs", "3"), CJ_OK);
    assert_int_equal(cj_recipe_set(line, "epochs", "9"), CJ_OK); /* later wins */
    assert_int_equal(cj_recipe_set(line, "optimizer.beta_1", "0.8"), CJ_OK);
    assert_int_equal(cj_recipe_set(line, "model.0.conv2d.filters", "64"), CJ_OK);
    assert_int_equal(cj_recipe_set(line, "types.sepal.length", "category"), CJ_OK);
    assert_int_equal(cj_recipe_set_float(line, "alpha", 1e-8), CJ_OK);
    assert_int_equal(cj_recipe_merge(file, line), CJ_OK);
    assert_int_equal(item(file, "epochs")->integer, 9);
    assert_int_equal(item(file, "model.0.conv2d.filters")->integer, 64);
    const char *optimizer = NULL;
    assert_int_equal(cj_recipe_get_named(file, "optimizer", &optimizer), CJ_OK);
    assert_string_equal(optimizer, "adam(beta_1=0.8)");
    assert_true(item(file, "alpha")->number == 1e-8);
    round_trip(file);

    /* A scalar on the line replaces a map; a map with a name replaces a scalar. */
    assert_int_equal(cj_recipe_set(file, "optimizer", "sgd"), CJ_OK);
    assert_int_equal(item(file, "optimizer")->kind, CJ_ITEM_STRING);
    assert_int_equal(cj_recipe_set(file, "optimizer.momentum", "0.9"), CJ_OK);
    assert_int_equal(cj_recipe_get_named(file, "optimizer", &optimizer), CJ_OK);
    assert_string_equal(optimizer, "sgd(momentum=0.9)");

    assert_int_equal(cj_recipe_set(line, "model.9.units", "64"), CJ_OK);
    assert_int_equal(cj_recipe_merge(file, line), CJ_ERR_ARGUMENT);
    assert_string_equal(cj_message(cj), "model.'9': expected the number of an item, from 0 to 3");
    assert_int_equal(cj_recipe_set(file, "model.9", "x"), CJ_ERR_ARGUMENT);
    assert_int_equal(cj_recipe_set(file, "a..b", "x"), CJ_ERR_ARGUMENT);
    assert_int_equal(cj_recipe_set(file, "", "x"), CJ_ERR_ARGUMENT);
    assert_int_equal(cj_recipe_set(file, "b\xff", "x"), CJ_ERR_FORMAT);
    assert_int_equal(cj_recipe_set(file, "b", "\xff"), CJ_ERR_ARGUMENT);

    int count = cj_recipe_root(file)->count;
    assert_true(cj_recipe_remove(file, "types.sepal.length"));
    assert_true(cj_recipe_remove(file, "data"));
    assert_false(cj_recipe_remove(file, "data"));
    assert_int_equal(cj_recipe_root(file)->count, count - 1);
    round_trip(file);
    cj_recipe_free(file);
    cj_recipe_free(line);
}

static void depth_and_size(void **state)
{
    (void)state;
    char key[512] = "", text[4 * 512];
    cj_recipe *r = cj_recipe_new(cj);
    for (int i = 0; i < 40; i++) strcat(key, i ? ".a" : "a");
    assert_int_equal(cj_recipe_set(r, key, "1"), CJ_ERR_LIMIT);
    key[2 * CJ_RECIPE_DEPTH_MAX - 1] = 0;
    assert_int_equal(cj_recipe_set(r, key, "1"), CJ_OK);
    round_trip(r);
    cj_recipe_free(r);
    memset(text, '[', sizeof text);
    memcpy(text, "a: ", 3);
    assert_null(cj_recipe_parse(cj, "t.yaml", text, sizeof text));
    assert_int_equal(cj_last_status(cj), CJ_ERR_LIMIT);
    assert_null(cj_recipe_parse(cj, "t.json", "{}", CJ_RECIPE_BYTES_MAX + 1));
    assert_string_equal(cj_message(cj),
                        "t.json: a recipe has at most 1048576 bytes, found 1048577");
    memset(key, 'k', 300);
    key[300] = 0;
    r = cj_recipe_new(cj);
    assert_int_equal(cj_recipe_set(r, key, "1"), CJ_ERR_LIMIT);
    cj_recipe_free(r);
}

static void refusals(void **state)
{
    (void)state;
    refused("t.yaml", "a: 1\nb: 2\na: 3\n", CJ_ERR_FORMAT,
            "t.yaml:3: key 'a' has a value already, in line 1");
    refused("t.yaml", "a: {x: 1,\n    x: 2}\n", CJ_ERR_FORMAT,
            "t.yaml:2: key 'x' has a value already, in line 1");
    refused("t.yaml", "a: &x 1\nb: *x\n", CJ_ERR_FORMAT,
            "t.yaml:1: a recipe has no anchors (&) and aliases (*); quote the word");
    refused("t.yaml", "\nb: *x\n", CJ_ERR_FORMAT,
            "t.yaml:2: a recipe has no anchors (&) and aliases (*); quote the word");
    refused("t.yaml", "a: !!str 1\n", CJ_ERR_FORMAT,
            "t.yaml:1: a recipe has no tags (!); quote the word");
    refused("t.yaml", "a: 1\n---\nb: 1\n", CJ_ERR_FORMAT,
            "t.yaml:2: a recipe is one document, found a second");
    refused("t.yaml", "- a\n- b\n", CJ_ERR_FORMAT,
            "t.yaml:1: a recipe is a map of keys and values, found a list");
    refused("t.yaml", "hello\n", CJ_ERR_FORMAT,
            "t.yaml:1: a recipe is a map of keys and values, found a single value");
    refused("t.yaml", "? [a]\n: 1\n", CJ_ERR_FORMAT,
            "t.yaml:1: a key must be a word, found a list or a map");
    refused("t.yaml", "'': 1\n", CJ_ERR_FORMAT, "t.yaml:1: a key is empty");
    refused("t.yaml", "a: \"\\0\"\n", CJ_ERR_FORMAT, "t.yaml:1: a value is not UTF-8 text");
    refused("t.yaml", "a: 1\nb: [1,\nc: 2\n", CJ_ERR_FORMAT,
            "t.yaml:4: not YAML: did not find expected ',' or ']'");
    refused("t.yaml", "a: 1\nb: \xff\n", CJ_ERR_FORMAT,
            "t.yaml:2: not YAML: invalid leading UTF-8 octet");
    refused("t.json", "[1]", CJ_ERR_FORMAT, "t.json: a recipe is a map of keys and values");
    refused("t.json", "{\"a\": \"\\u0000\"}", CJ_ERR_FORMAT, "t.json:1: a value is not UTF-8 text");
    assert_null(parse_as("t.json", "{\"a\": 1, \"a\": 2}"));
    assert_null(parse_as("t.json", "{a: 1}"));
    cj_recipe *empty = parse("# nothing\n"), *dashes = parse("---\n"), *none = parse("");
    assert_int_equal(cj_recipe_root(empty)->count + cj_recipe_root(dashes)->count +
                         cj_recipe_root(none)->count,
                     0);
    round_trip(empty);
    cj_recipe_free(empty);
    cj_recipe_free(dashes);
    cj_recipe_free(none);
}

static void json_is_yaml(void **state)
{
    (void)state;
    static const char text[] = "{\"data\": \"mnist\", \"n\": [1, 2.5, 1e-3, true, null, {\"a\": "
                               "\"b\\n\\u00e9\"}],\n \"x\": {}, \"y\": []}";
    cj_recipe *yaml = parse_as("t.yaml", text), *json = parse_as("t.json", text);
    if (!yaml || !json) fail_msg("%s", cj_message(cj));
    same_items(cj_recipe_root(yaml), cj_recipe_root(json));
    assert_int_equal(item(json, "n.1")->line, 1);
    assert_int_equal(item(json, "y")->line, 2);
    round_trip(json);
    cj_recipe_free(yaml);
    cj_recipe_free(json);
}

static const char *const modes[] = {"fast", "slow", NULL};

static const cj_key keys[] = {
    {"data", CJ_KEY_STRING, 0, 0, NULL, "NAME|PATH", "what to learn from"},
    {"epochs", CJ_KEY_INT, 1, 1e6, "10", NULL, "passes"},
    {"learning_rate", CJ_KEY_FLOAT, 0, INFINITY, "0.001", NULL, "step"},
    {"validation_split", CJ_KEY_FLOAT, 0, 0.99, NULL, NULL, "part"},
    {"shuffle", CJ_KEY_BOOL, 0, 0, "true", NULL, "mix"},
    {"metrics", CJ_KEY_LIST, 0, 0, NULL, NULL, "what to count"},
    {"mode", CJ_KEY_WORD, 0, 0, "fast", "fast|slow", "how"},
    {"optimizer", CJ_KEY_NAMED, 0, 0, "adam", NULL, "rule"},
    {"model", CJ_KEY_TREE, 0, 0, NULL, NULL, "layers"},
    {"early.patience", CJ_KEY_INT, 0, 100, NULL, NULL, "epochs to wait"},
    {NULL, CJ_KEY_NONE, 0, 0, NULL, NULL, NULL}};

static void check_refuses(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a: 1", "t.yaml:1: unknown key 'a'"},
        {"data: x\nlerning_rate: 1",
         "t.yaml:2: unknown key 'lerning_rate' (did you mean 'learning_rate'?)"},
        {"epochs: 0.5", "t.yaml:1: epochs=0.5: expected an integer from 1 to 1000000"},
        {"epochs: 0", "t.yaml:1: epochs=0: expected an integer from 1 to 1000000"},
        {"epochs: many", "t.yaml:1: epochs=many: expected an integer from 1 to 1000000"},
        {"epochs: 99999999999999999999",
         "t.yaml:1: epochs=99999999999999999999: expected an integer from 1 to 1000000"},
        {"learning_rate: -1", "t.yaml:1: learning_rate=-1: expected a number of at least 0"},
        {"learning_rate: .nan", "t.yaml:1: learning_rate=.nan: expected a number of at least 0"},
        {"learning_rate: .inf", "t.yaml:1: learning_rate=.inf: expected a number of at least 0"},
        {"validation_split: 1", "t.yaml:1: validation_split=1: expected a number from 0 to 0.99"},
        {"shuffle: yes", "t.yaml:1: shuffle=yes: expected true or false"},
        {"mode: quick", "t.yaml:1: mode=quick: expected one of fast|slow"},
        {"metrics: a,,b", "t.yaml:1: metrics=a,,b: expected a list without empty items"},
        {"data: [a]", "t.yaml:1: data: expected text, found a list"},
        {"optimizer: [a]", "t.yaml:1: optimizer: expected a name with options, found a list"},
        {"early:\n  patience: -1",
         "t.yaml:2: early.patience=-1: expected an integer from 0 to 100"},
        {"early:\n  patient: 1",
         "t.yaml:2: unknown key 'early.patient' (did you mean 'early.patience'?)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cj_recipe *r = parse(cases[i][0]);
        assert_int_equal(cj_recipe_check(r, keys), CJ_ERR_ARGUMENT);
        assert_string_equal(cj_message(cj), cases[i][1]);
        cj_recipe_free(r);
    }
    cj_recipe *r = cj_recipe_new(cj); /* from the command line: no file, no line */
    assert_int_equal(cj_recipe_set(r, "learning_rate", "-1"), CJ_OK);
    assert_int_equal(cj_recipe_check(r, keys), CJ_ERR_ARGUMENT);
    assert_string_equal(cj_message(cj), "learning_rate=-1: expected a number of at least 0");
    cj_recipe_free(r);
    assert_string_equal(cj_nearest("fsat", modes), "fast");
}

static void check_gives_types(void **state)
{
    (void)state;
    cj_recipe *r = parse("data: 007\nepochs: 1e1\nlearning_rate: 1\nmetrics: 'accuracy, "
                         "f1(average=\"a,b\"), 3'\nmodel: [1, {a: b}]\n");
    assert_int_equal(cj_recipe_check(r, keys), CJ_OK);
    assert_int_equal(cj_recipe_default(r, keys), CJ_OK);
    assert_string_equal(cj_recipe_text(r), "data: '007'\n"
                                           "epochs: 10\n"
                                           "learning_rate: 1.0\n"
                                           "metrics:\n"
                                           "  - accuracy\n"
                                           "  - 'f1(average=\"a,b\")'\n"
                                           "  - 3\n"
                                           "model:\n"
                                           "  - 1\n"
                                           "  - a: b\n"
                                           "shuffle: true\n"
                                           "mode: fast\n"
                                           "optimizer: adam\n");
    round_trip(r);
    cj_recipe_free(r);
}

/* ---- PyYAML is the oracle -------------------------------------------------------------------- */

/* A recipe with every awkward text there is. */
static cj_recipe *awkward(void)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "a",
                                        "yes",
                                        "No",
                                        "ON",
                                        "y",
                                        "true",
                                        "null",
                                        "~",
                                        "1",
                                        "-1",
                                        "0777",
                                        "0o17",
                                        "1e-3",
                                        "1.5",
                                        ".5",
                                        ".inf",
                                        "1:30",
                                        "1_000",
                                        "2020-01-01",
                                        "0x1f",
                                        "a: b",
                                        "a #b",
                                        "#a",
                                        "a:",
                                        "- a",
                                        "-",
                                        "?",
                                        "? a",
                                        "[a",
                                        "{a",
                                        "a]",
                                        "a, b",
                                        "&a",
                                        "*a",
                                        "!a",
                                        "%a",
                                        "@a",
                                        "`a",
                                        "|",
                                        ">",
                                        "'",
                                        "''",
                                        "\"",
                                        "it's",
                                        "say \"so\"",
                                        "a\nb",
                                        "a\n",
                                        "\na",
                                        "\t",
                                        "a\tb",
                                        "a\\b",
                                        "\x01",
                                        "\x7f",
                                        "\xc2\x80",
                                        "\xc2\x85",
                                        "\xe2\x80\xa8",
                                        "\xef\xbb\xbf",
                                        "\xc3\xa9",
                                        "\xf0\x9f\x98\x80",
                                        "\xef\xbf\xbe",
                                        "./iris.csv",
                                        "../a b/c.csv",
                                        "/data/x=y.csv",
                                        "dense 16 relu, dense 3 softmax",
                                        "adam(beta_1=0.9)",
                                        "<<",
                                        "=",
                                        "a=b",
                                        "---",
                                        "...",
                                        "--- a",
                                        "C:\\data",
                                        "http://x/y:z",
                                        "a ",
                                        " a",
                                        "\r",
                                        "a\r\nb"};
    static const double floats[] = {0.1,  1e-8,          1e20, 1.5e300, 5e-324, 5,
                                    -0.0, 123456789.125, 1e16, 0.001,   1e22,   -2.5e-7};
    cj_recipe *r = cj_recipe_new(cj);
    char key[64];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        snprintf(key, sizeof key, "text.t%zu", i);
        assert_int_equal(cj_recipe_set_string(r, key, texts[i]), CJ_OK);
        if (!*texts[i] || strchr(texts[i], '.')) continue;
        snprintf(key, sizeof key, "as_key.%s", texts[i]);
        assert_int_equal(cj_recipe_set_int(r, key, (int64_t)i), CJ_OK);
    }
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        snprintf(key, sizeof key, "float.f%zu", i);
        assert_int_equal(cj_recipe_set_float(r, key, floats[i]), CJ_OK);
    }
    cj_recipe_set_int(r, "int.a", INT64_MIN);
    cj_recipe_set_int(r, "int.b", INT64_MAX);
    cj_recipe_set_float(r, "special.inf", INFINITY);
    cj_recipe_set_float(r, "special.minus", -INFINITY);
    cj_recipe_set_bool(r, "bool.t", true);
    cj_recipe_set_bool(r, "bool.f", false);
    cj_recipe_set(r, "nothing", "");
    return r;
}

/* The tree as Python would print it, to be compared with what PyYAML reads. */
static void as_python(FILE *to, const cj_item *i)
{
    switch (i->kind) {
    case CJ_ITEM_NULL: fputs("None", to); break;
    case CJ_ITEM_BOOL: fputs(i->truth ? "True" : "False", to); break;
    case CJ_ITEM_INT: fprintf(to, "%lld", (long long)i->integer); break;
    case CJ_ITEM_FLOAT: fprintf(to, "float('%a')", i->number); break;
    case CJ_ITEM_STRING:
        fputs("b'", to);
        for (const char *s = i->text; *s; s++) fprintf(to, "\\x%02x", (unsigned char)*s);
        fputs("'.decode()", to);
        break;
    case CJ_ITEM_LIST:
    case CJ_ITEM_MAP:
        fputc(i->kind == CJ_ITEM_MAP ? '{' : '[', to);
        for (const cj_item *c = i->first; c; c = c->next) {
            if (c->key) {
                as_python(to, &(cj_item){.kind = CJ_ITEM_STRING, .text = c->key});
                fputc(':', to);
            }
            as_python(to, c);
            fputc(',', to);
        }
        fputc(i->kind == CJ_ITEM_MAP ? '}' : ']', to);
    }
}

static void pyyaml_reads_it(void **state)
{
    (void)state;
    char folder[] = "recipe-XXXXXX", path[64], script[64], command[256];
    if (system("/usr/bin/python3 -c 'import yaml' 2>/dev/null")) {
        print_message("no PyYAML: skipped\n");
        skip();
    }
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/args.yaml", folder);
    snprintf(script, sizeof script, "%s/check.py", folder);
    cj_recipe *r = awkward(), *again = NULL;
    round_trip(r);
    assert_int_equal(cj_recipe_save(r, path), CJ_OK);
    again = cj_recipe_load(cj, path);
    if (!again) fail_msg("%s", cj_message(cj));
    same_items(cj_recipe_root(r), cj_recipe_root(again));
    FILE *f = fopen(script, "w");
    assert_non_null(f);
    fputs("import sys, yaml\nfloat = lambda s: __builtins__.float.fromhex(s)\nwant = ", f);
    as_python(f, cj_recipe_root(r));
    fputs("\ngot = yaml.safe_load(open(sys.argv[1], encoding='utf-8'))\n"
          "def same(a, b, at):\n"
          "    if type(a) is not type(b): sys.exit(f'{at}: {a!r} became {b!r}')\n"
          "    if isinstance(a, dict):\n"
          "        if list(a) != list(b): sys.exit(f'{at}: keys {set(map(repr, a)) ^ set(map(repr, "
          "b))}')\n"
          "        for k in a: same(a[k], b[k], f'{at}.{k}')\n"
          "    elif repr(a) != repr(b): sys.exit(f'{at}: {a!r} became {b!r}')\n"
          "same(want, got, '')\n",
          f);
    assert_int_equal(fclose(f), 0);
    snprintf(command, sizeof command, "/usr/bin/python3 %s %s", script, path);
    int status = system(command);
    remove(path);
    remove(script);
    remove(folder);
    assert_int_equal(status, 0);
    cj_recipe_free(r);
    cj_recipe_free(again);
}

/* ---- Hostile --------------------------------------------------------------------------------- */

static void mutations_never_crash(void **state)
{
    (void)state;
    cj_recipe *awful = awkward();
    const char *seeds[] = {design, cj_recipe_text(awful),
                           "{\"a\": [1, 2.5, {\"b\": \"\\u00e9\"}], \"c\": null}"};
    int accepted = 0;
    for (uint32_t round = 0; round < 1000; round++) {
        cj__random_key key = {.seed = 7, .sample = round};
        const char *seed = seeds[round % 3];
        size_t size = strlen(seed);
        char *bytes = malloc(size);
        memcpy(bytes, seed, size);
        uint32_t flips = 1 + cj__random_u32(key, 0) % 3;
        static const char special[] = "[]{}:,-?&*!|>'\"%@`#\n\t \\0~";
        for (uint32_t i = 0; i < flips; i++) {
            uint32_t at = cj__random_u32(key, 3 * i + 1) % (uint32_t)size,
                     word = cj__random_u32(key, 3 * i + 2);
            bytes[at] = cj__random_u32(key, 3 * i + 3) & 1 ? special[word % (sizeof special - 1)]
                                                           : (char)word;
        }
        if (round % 5 == 0) size = cj__random_u32(key, 99) % (uint32_t)size;
        cj_recipe *r = cj_recipe_parse(cj, round % 3 == 2 && round & 1 ? "m.json" : "m.yaml", bytes,
                                       size);
        if (r) {
            accepted++;
            round_trip(r);
            cj_recipe_check(r, keys);
            round_trip(r);
        } else {
            assert_true(cj_message(cj)[0] != 0);
            assert_null(strchr(cj_message(cj), '\n'));
        }
        cj_recipe_free(r);
        free(bytes);
    }
    cj_recipe_free(awful);
    print_message("%d of 1000 mutations were recipes still\n", accepted);
    assert_in_range(accepted, 100, 900);
}

static void files(void **state)
{
    (void)state;
    assert_null(cj_recipe_load(cj, "no/such/file.yaml"));
    assert_int_equal(cj_last_status(cj), CJ_ERR_NOT_FOUND);
    assert_null(cj_recipe_load(cj, "/"));
    assert_true(cj_message(cj)[0] != 0);
    assert_null(cj_recipe_load(cj, "/dev/zero"));
}

int main(void)
{
#ifndef CJ_HAVE_YAML
    printf("no YAML in this build: skipped (recipe_json is for it)\n");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(core_schema, setup, teardown),
        cmocka_unit_test_setup_teardown(find_and_get, setup, teardown),
        cmocka_unit_test_setup_teardown(named_things, setup, teardown),
        cmocka_unit_test_setup_teardown(set_and_merge, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_and_size, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(json_is_yaml, setup, teardown),
        cmocka_unit_test_setup_teardown(check_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(check_gives_types, setup, teardown),
        cmocka_unit_test_setup_teardown(pyyaml_reads_it, setup, teardown),
        cmocka_unit_test_setup_teardown(mutations_never_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(files, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
