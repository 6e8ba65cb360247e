/* test_json.c: the JSON of --json, read back by the library's strict parser. */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/json.c"
#include "base/json.h"

static char *text;
static size_t size;

static void writes_what_it_should(void **state)
{
    (void)state;
    cli_json j = {.to = open_memstream(&text, &size)};
    assert_non_null(j.to);
    cli_json_object(&j, NULL);
    cli_json_string(&j, "run", "runs/train1");
    cli_json_string(&j, "bad",
                    "q\"b\\n\n\t\x01\x7f\xc3\xa9\xff\xed\xa0\x80\xf0\x9f\x98\x80\xc0\x80");
    cli_json_string(&j, "none", NULL);
    cli_json_list(&j, "n");
    cli_json_number(&j, NULL, 0.1);
    cli_json_number(&j, NULL, 1e-8);
    cli_json_number(&j, NULL, NAN);
    cli_json_number(&j, NULL, -INFINITY);
    cli_json_number(&j, NULL, 0.1 + 0.2);
    cli_json_int(&j, NULL, INT64_MIN);
    cli_json_list(&j, NULL);
    cli_json_end(&j);
    cli_json_object(&j, NULL);
    cli_json_bool(&j, "a", true);
    cli_json_null(&j, "b");
    cli_json_end(&j);
    cli_json_end(&j);
    cli_json_bool(&j, "last", false);
    cli_json_end(&j);
    cli_json_line(&j);
    fclose(j.to);
    assert_string_equal(
        text,
        "{\"run\": \"runs/train1\", "
        "\"bad\": "
        "\"q\\\"b\\\\n\\n\\t\\u0001\\u007f\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
        "\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd\", "
        "\"none\": null, "
        "\"n\": [0.1, 1e-08, null, null, 0.30000000000000004, -9223372036854775808, [], {\"a\": "
        "true, \"b\": null}], "
        "\"last\": false}\n");
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1});
    cj__arena arena;
    const cj__json *root = NULL;
    cj__arena_init(&arena, cj);
    if (cj__json_parse(&arena, "ours", text, size, NULL, &root)) fail_msg("%s", cj_message(cj));
    cj__arena_release(&arena);
    cj_context_free(cj);
    free(text);
}

/* Every double reads back the same. */
static void numbers_round_trip(void **state)
{
    (void)state;
    unsigned long long bits = 1;
    for (int i = 0; i < 2000; i++) {
        double value;
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        cli_json j = {.to = open_memstream(&text, &size)};
        cli_json_number(&j, NULL, value);
        fclose(j.to);
        if (strtod(text, NULL) != value) fail_msg("%.17g became %s", value, text);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(writes_what_it_should),
                                       cmocka_unit_test(numbers_round_trip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
