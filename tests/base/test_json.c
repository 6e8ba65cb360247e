/* test_json.c: what RFC 8259 allows is read, everything else refused with its place. */
#include "base/json.h"
#include "format/format_support.h"

static cj_context *cj;
static cj__arena arena;

static int setup(void **state)
{
    (void)state;
    cj = cj_context_new(NULL);
    if (cj) cj__arena_init(&arena, cj);
    return cj ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    cj__arena_release(&arena);
    int leaked = cj_memory_used(cj) != 0;
    cj_context_free(cj);
    return leaked;
}

static const cj__json *parse(const char *text, size_t size)
{
    const cj__json *root = NULL;
    unsigned char *exact = golden_copy(text, size);
    cj_status failed = cj__json_parse(&arena, "test", exact, size, NULL, &root);
    free(exact);
    return failed ? NULL : root;
}

static cj_status read_json(cj_context *c, const void *bytes, size_t size)
{
    cj__arena own;
    const cj__json *root;
    cj__arena_init(&own, c);
    cj_status failed = cj__json_parse(&own, "test", bytes, size, NULL, &root);
    cj__arena_release(&own);
    return failed;
}

static void values(void **state)
{
    static const char text[] =
        " {\"b\" : [1, -2.5e3, true, false, null, "
        "\"\"],\n\"a\":{\"x\":\"\\u00e9\\ud83d\\ude00\\n\\/\"},"
        "\"big\":12345678901234567890,\"min\":-9223372036854775808,\"zero\":-0,\"\":{}}\t\r\n";
    (void)state;
    const cj__json *root = parse(text, sizeof(text) - 1);
    if (!root) fail_msg("%s", cj_message(cj));
    assert_int_equal(root->type, CJ__JSON_OBJECT);
    assert_int_equal(root->count, 6);
    const cj__json *b = cj__json_find(root, "b"), *item = b->first;
    assert_int_equal(b->count, 6);
    assert_true(item->is_integer && item->integer == 1 && item->number == 1);
    item = item->next;
    assert_true(!item->is_integer && item->number == -2500);
    assert_true(item->next->boolean && item->next->type == CJ__JSON_BOOL);
    assert_int_equal(item->next->next->next->type, CJ__JSON_NULL);
    assert_int_equal(item->next->next->next->next->length, 0);
    assert_string_equal(cj__json_find(cj__json_find(root, "a"), "x")->string,
                        "\xc3\xa9\xf0\x9f\x98\x80\n/");
    assert_false(cj__json_find(root, "big")->is_integer);
    assert_true(cj__json_find(root, "big")->number == 12345678901234567890.0);
    assert_true(cj__json_find(root, "min")->integer == INT64_MIN);
    assert_true(cj__json_find(root, "zero")->is_integer);
    assert_int_equal(cj__json_find(root, "")->count, 0);
    assert_null(cj__json_find(root, "c"));
    assert_null(cj__json_find(b, "c"));
    assert_null(cj__json_find(NULL, "c"));
    assert_int_equal(text[b->source], '[');
    const char *scalars[] = {"0", "\"x\"", "null", "[]", "{}", "[[[]]]", "1e5", "0.5E-3"};
    for (size_t i = 0; i < CJ__COUNT(scalars); i++)
        assert_non_null(parse(scalars[i], strlen(scalars[i])));
    assert_int_equal(parse("\"a\\u0000b\"", 10)->length, 3);
}

static void everything_else_is_refused(void **state)
{
    const struct { const char *text, *message;
    } cases[] = {
        {"", "test: byte 0: expected a value, found the end"},
        {"[1,]", "test: byte 3: expected a value, found ']'"},
        {"[1 2]", "test: byte 3: expected ',' or ']', found '2'"},
        {"[1", "test: byte 2: expected ',' or ']', found the end"},
        {"{\"a\":1,}", "test: byte 7: expected a string, found '}'"},
        {"{\"a\" 1}", "test: byte 5: expected ':', found '1'"},
        {"{a:1}", "test: byte 1: expected a string, found 'a'"},
        {"{\"a\":1]", "test: byte 6: expected ',' or '}', found ']'"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "test: the key \"a\" appears twice in one object"},
        {"1 1", "test: byte 2: expected the end, found '1'"},
        {"01", "test: byte 1: expected the end, found '1'"},
        {"-", "test: byte 1: expected a value, found the end"},
        {"+1", "found '+'"},
        {".5", "found '.'"},
        {"1.", "expected a digit"},
        {"1e", "expected a digit"},
        {"1e+", "expected a digit"},
        {"1e999", "test: byte 0: the number is out of range"},
        {"NaN", "found 'N'"},
        {"tru", "found 't'"},
        {"nul", "found 'n'"},
        {"'a'", "found '''"},
        {"[1]//", "found '/'"},
        {"\"a", "expected '\"', found the end"},
        {"\"\\x\"", "an escaped character"},
        {"\"\\", "an escaped character"},
        {"\"\\u12g4\"", "a hexadecimal digit"},
        {"\"\\ud800\"", "a surrogate pair"},
        {"\"\\udc00\"", "a surrogate pair"},
        {"\"\\ud800\\u0041\"", "a low surrogate"},
        {"\"\n\"", "no control character, found byte 0x0a"},
        {"\"\xff\"", "expected UTF-8, found byte 0xff"},
        {"\"\xc0\x80\"", "UTF-8"},
        {"\"\xed\xa0\x80\"", "UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "UTF-8"},
        {"\"\xe2\x82\"", "UTF-8"},
        {"\xef\xbb\xbf{}", "found byte 0xef"},
    };
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(cases); i++)
        if (parse(cases[i].text, strlen(cases[i].text)) ||
            !strstr(cj_message(cj), cases[i].message))
            fail_msg("%s: message '%s', expected '%s'", cases[i].text, cj_message(cj),
                     cases[i].message);
}

static void depth_and_size_are_bounded(void **state)
{
    char deep[2 * CJ__JSON_DEPTH + 2];
    (void)state;
    memset(deep, '[', CJ__JSON_DEPTH + 1);
    memset(deep + CJ__JSON_DEPTH + 1, ']', CJ__JSON_DEPTH + 1);
    assert_null(parse(deep, 2 * CJ__JSON_DEPTH + 2));
    assert_int_equal(cj_last_status(cj), CJ_ERR_LIMIT);
    assert_non_null(parse(deep + 1, 2 * CJ__JSON_DEPTH));
    cj__json_limits limits = {.values_max = 3};
    const cj__json *root;
    assert_int_equal(cj__json_parse(&arena, "test", "[1,2]", 5, &limits, &root), CJ_OK);
    assert_int_equal(cj__json_parse(&arena, "test", "[1,2,3]", 7, &limits, &root), CJ_ERR_LIMIT);
}

/* 20,000 keys: sorting and finding, not comparing each with each. */
static void many_keys(void **state)
{
    enum { N = 20000 };
    char *text = malloc(N * 20 + 2), *out = text, key[16];
    (void)state;
    for (int i = 0; i < N; i++)
        out += sprintf(out, "%c\"k%d\":%d", i ? ',' : '{', (i * 7919) % N, i);
    *out++ = '}';
    const cj__json *root = parse(text, (size_t)(out - text));
    assert_non_null(root);
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof(key), "k%d", (i * 7919) % N);
        assert_int_equal(cj__json_find(root, key)->integer, i);
    }
    free(text);
}

static void damage_never_crashes(void **state)
{
    unsigned char text[] =
        "{\"a\":[1,-2.5e3,true,null,\"x\\u00e9\\ud83d\\ude00\xc3\xa9\"],\"b\":{\"c\":\"\"}}";
    (void)state;
    refuse_truncations(cj, read_json, text, sizeof(text) - 1);
    assert_true(flip_every_bit(cj, read_json, text, sizeof(text) - 1) > 0);
}

static cj_status scenario(cj_context *c, void *arg)
{
    return read_json(c, arg, strlen(arg));
}

static void allocation_failures(void **state)
{
    char text[] = "{\"a\":[1,2,{\"b\":\"c\"}],\"d\":{}}";
    (void)state;
    assert_true(faults_sweep_memory(scenario, text, NULL, 1) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values, setup, teardown),
        cmocka_unit_test_setup_teardown(everything_else_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_and_size_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(many_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_never_crashes, setup, teardown),
        cmocka_unit_test(allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
