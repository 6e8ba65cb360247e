/* recipe_json.c: recipes from and to JSON, for builds without libyaml and for files named .json.
 *
 * The strict parser of json.h checks and gives a tree; this walks it once in the order of the text,
 * so that line numbers come from counting newlines as it goes. */
#include <math.h>
#include <string.h>

#include "format/recipe.h"

typedef struct walk {
    cj_recipe *recipe;
    const char *bytes;
    size_t size, at; /* newlines before `at` are counted */
    int line;
} walk;

static int line_of(walk *w, size_t offset)
{
    for (; w->at < offset && w->at < w->size; w->at++) w->line += w->bytes[w->at] == '\n';
    return w->line;
}

static cj_status fill(walk *w, cj_item *item, const cj__json *json, int depth)
{
    cj_recipe *recipe = w->recipe;
    if (json->type == CJ__JSON_STRING)
        return cj__item_scalar(recipe, item, json->string, json->length, false);
    if (json->type == CJ__JSON_NUMBER) {
        size_t length = 0;
        while (json->source + length < w->size &&
               memchr("+-.eE0123456789", w->bytes[json->source + length], 15))
            length++;
        return cj__item_scalar(recipe, item, w->bytes + json->source, length, true);
    }
    if (json->type == CJ__JSON_BOOL)
        return cj__item_scalar(recipe, item, json->boolean ? "true" : "false",
                               json->boolean ? 4 : 5, true);
    if (json->type == CJ__JSON_NULL) return CJ_OK;
    if (depth >= CJ_RECIPE_DEPTH_MAX)
        return cj__item_fail(recipe->cj, item, CJ_ERR_LIMIT,
                             "lists and maps lie too deep in one another");
    item->kind = json->type == CJ__JSON_ARRAY ? CJ_ITEM_LIST : CJ_ITEM_MAP;
    for (const cj__json *i = json->first; i; i = i->next) {
        cj_item *child = cj__item_new(recipe, CJ_ITEM_NULL, line_of(w, i->source));
        if (!child) return cj_last_status(recipe->cj);
        if (i->key && strlen(i->key) != i->key_length)
            return cj__item_fail(recipe->cj, child, CJ_ERR_FORMAT, "a key holds a zero byte");
        if (i->key) CJ__TRY(cj__item_add_key(recipe, item, i->key, child));
        else cj__item_add(item, child);
        CJ__TRY(fill(w, child, i, depth + 1));
    }
    return CJ_OK;
}

cj_status cj__recipe_read_json(cj_recipe *recipe, const void *bytes, size_t size)
{
    walk w = {.recipe = recipe, .bytes = bytes, .size = size, .line = 1};
    cj__json_limits limits = {.values_max = CJ_RECIPE_ITEMS_MAX};
    cj__arena scratch;
    const cj__json *root = NULL;
    cj__arena_init(&scratch, recipe->cj);
    cj_status failed = cj__json_parse(&scratch, recipe->file, bytes, size, &limits, &root);
    if (!failed && root->type != CJ__JSON_OBJECT)
        failed = cj_fail(recipe->cj, CJ_ERR_FORMAT, "%s: a recipe is a map of keys and values",
                         recipe->file);
    if (!failed) failed = fill(&w, &recipe->root, root, 0);
    cj__arena_release(&scratch);
    return failed;
}

/* `depth` 0 puts each key into a line of its own. JSON has no NaN and no infinity: null. */
static void write_value(cj__text *out, const cj_item *item, int depth)
{
    bool map = item->kind == CJ_ITEM_MAP;
    switch (item->kind) {
    case CJ_ITEM_NULL: cj__text_add(out, "null"); return;
    case CJ_ITEM_BOOL: cj__text_add(out, item->truth ? "true" : "false"); return;
    case CJ_ITEM_INT: cj__text_format(out, "%lld", (long long)item->integer); return;
    case CJ_ITEM_STRING: cj__text_json(out, item->text); return;
    case CJ_ITEM_FLOAT:
        if (isfinite(item->number)) cj__recipe_write_float(out, item->number);
        else cj__text_add(out, "null");
        return;
    case CJ_ITEM_LIST:
    case CJ_ITEM_MAP: break;
    }
    cj__text_char(out, map ? '{' : '[');
    for (const cj_item *i = item->first; i; i = i->next) {
        if (!depth) cj__text_add(out, "\n  ");
        if (map) {
            cj__text_json(out, i->key);
            cj__text_add(out, ": ");
        }
        write_value(out, i, depth + 1);
        if (i->next) cj__text_add(out, depth ? ", " : ",");
    }
    if (!depth && item->first) cj__text_char(out, '\n');
    cj__text_char(out, map ? '}' : ']');
}

void cj__recipe_write_json(cj__text *out, const cj_item *root)
{
    write_value(out, root, 0);
    cj__text_char(out, '\n');
}
