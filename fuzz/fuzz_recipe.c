/* fuzz_recipe.c: any bytes as a recipe, YAML or (first byte odd) JSON. What is accepted must be
 * written and read back to the same text, take a change, and be checked against a table without
 * harm. */
#include <cajal/recipe.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(x) ((x) ? (void)0 : abort())

static const cj_key keys[] = {{"a", CJ_KEY_INT, 1, 100, "3", NULL, "a number"},
                              {"b", CJ_KEY_LIST, 0, 0, NULL, NULL, "a list"},
                              {"c", CJ_KEY_NAMED, 0, 0, "adam", NULL, "a named thing"},
                              {"d.e", CJ_KEY_FLOAT, 0, INFINITY, NULL, NULL, "a number in a map"},
                              {"f", CJ_KEY_TREE, 0, 0, NULL, NULL, "anything"},
                              {NULL, CJ_KEY_NONE, 0, 0, NULL, NULL, NULL}};

/* The text of the recipe reads back as the same text. */
static void round_trip(cj_context *cj, cj_recipe *recipe)
{
    const char *text = cj_recipe_text(recipe);
    CHECK(text);
    if (strlen(text) > CJ_RECIPE_BYTES_MAX) return; /* escapes may make it too long to be read */
    cj_recipe *again = cj_recipe_parse(cj, "again.yaml", text, strlen(text));
    CHECK(again);
    CHECK(!strcmp(text, cj_recipe_text(again)));
    cj_recipe_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    bool json = size && (bytes[0] & 1);
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1, .memory_limit_bytes = 256 << 20});
    if (!cj) return 0;
    cj_recipe *recipe = cj_recipe_parse(cj, json ? "a.json" : "a.yaml", bytes, size);
    if (recipe) {
        const char *text = NULL, *const *items = NULL;
        int n = 0;
        round_trip(cj, recipe);
        cj_recipe_set(recipe, "f.0.x", "1e-3");
        cj_recipe_get_named(recipe, "c", &text);
        cj_recipe_get_list(recipe, "b", &items, &n);
        if (!cj_recipe_check(recipe, keys)) CHECK(!cj_recipe_default(recipe, keys));
        round_trip(cj, recipe);
    } else {
        CHECK(cj_last_status(cj) != CJ_OK && *cj_message(cj));
    }
    cj_recipe_free(recipe);
    CHECK(cj_memory_used(cj) == 0);
    cj_context_free(cj);
    return 0;
}
