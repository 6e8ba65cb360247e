/* recipe_keys.c: values as types, and recipes against tables of keys.
 *
 * One function says of which type a value must be (`coerce`), for the getters and for
 * cj_recipe_check alike, so both take and refuse the same, in the same words:
 *     train.yaml:7: epochs=0.5: expected an integer of at least 1
 * Checking also rewrites the value in its row's type, so that what is saved says what was meant. */
#include <math.h>
#include <string.h>

#include "format/recipe.h"

const char *cj_nearest(const char *word, const char *const *words)
{
    return cj__nearest(word, words);
}

/* ---- One value ------------------------------------------------------------------------------- */

static const char *kind_name(const cj_item *item)
{
    return item->kind == CJ_ITEM_LIST ? "a list" : item->kind == CJ_ITEM_MAP ? "a map" : "nothing";
}

static cj_status mismatch(cj_context *cj, const cj_item *item, const char *key,
                          const char *expected)
{
    if (item->text)
        return cj__item_fail(cj, item, CJ_ERR_ARGUMENT, "%.80s=%.80s: expected %s", key, item->text,
                             expected);
    return cj__item_fail(cj, item, CJ_ERR_ARGUMENT, "%.80s: expected %s, found %s", key, expected,
                         kind_name(item));
}

/* "an integer of at least 1", "a number from 0 to 1". */
static cj_status number_mismatch(cj_context *cj, const cj_item *item, const char *key,
                                 const cj_key *row)
{
    char text[128];
    const char *noun = row->type == CJ_KEY_INT ? "an integer" : "a number";
    if (isinf(row->min)) cj__format(text, sizeof text, "%s", noun);
    else if (isinf(row->max)) cj__format(text, sizeof text, "%s of at least %.15g", noun, row->min);
    else cj__format(text, sizeof text, "%s from %.15g to %.15g", noun, row->min, row->max);
    return mismatch(cj, item, key, text);
}

/* 5, 5.0 and 1e3 are integers; 2^53 is where doubles stop telling integers apart. */
static bool whole(const cj_item *item, int64_t *value)
{
    bool exact = item->kind == CJ_ITEM_FLOAT && fabs(item->number) <= 9007199254740992.0 &&
                 floor(item->number) == item->number;
    if (item->kind == CJ_ITEM_INT) *value = item->integer;
    else if (exact) *value = (int64_t)item->number;
    return item->kind == CJ_ITEM_INT || exact;
}

static cj_status coerce_number(cj_context *cj, cj_item *item, const char *key, const cj_key *row)
{
    bool integer = row->type == CJ_KEY_INT,
         number = item->kind == CJ_ITEM_INT || item->kind == CJ_ITEM_FLOAT;
    if (!number || (integer && !whole(item, &item->integer)))
        return number_mismatch(cj, item, key, row);
    if (integer) item->number = (double)item->integer;
    if (!isfinite(item->number) || item->number < row->min || item->number > row->max)
        return number_mismatch(cj, item, key, row);
    item->kind = integer ? CJ_ITEM_INT : CJ_ITEM_FLOAT;
    return CJ_OK;
}

/* Is `text` one of "a|b|c"? */
static bool has_word(const char *words, const char *text)
{
    size_t length = strlen(text);
    for (const char *w = words; length && *w; w += strcspn(w, "|"), w += *w == '|')
        if (strcspn(w, "|") == length && !strncmp(w, text, length)) return true;
    return false;
}

/* Splits "a, b(c, d)" at the commas outside brackets and quotes. Calls it for each, trimmed. */
typedef cj_status (*each_fn)(void *arg, const char *text, size_t length);
static cj_status split(const char *text, each_fn each, void *arg)
{
    size_t length = strlen(text);
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') text++, length -= 2;
    if (strspn(text, " ") >= length) return CJ_OK;
    for (size_t begin = 0, end = 0; begin <= length; begin = end + 1) {
        char quote = 0;
        int depth = 0;
        for (end = begin; end < length && (depth || quote || text[end] != ','); end++) {
            char c = text[end];
            if (quote) quote = c == quote ? 0 : quote;
            else if (c == '"' || c == '\'') quote = c;
            else if (strchr("([{", c)) depth++;
            else if (strchr(")]}", c) && depth) depth--;
        }
        size_t a = begin, b = end;
        while (a < b && text[a] == ' ') a++;
        while (b > a && text[b - 1] == ' ') b--;
        CJ__TRY(each(arg, text + a, b - a));
    }
    return CJ_OK;
}

typedef struct list_args {
    cj_recipe *recipe;
    cj_item *list;
    const char *key;
} list_args;

static cj_status add_to_list(void *arg, const char *text, size_t length)
{
    list_args *to = arg;
    if (!length) return mismatch(to->recipe->cj, to->list, to->key, "a list without empty items");
    cj_item *item = cj__item_new(to->recipe, CJ_ITEM_NULL, to->list->line);
    if (!item) return cj_last_status(to->recipe->cj);
    item->file = to->list->file;
    CJ__TRY(cj__item_scalar(to->recipe, item, text, length, true));
    cj__item_add(to->list, item);
    return CJ_OK;
}

/* Gives the value its row's type in place. */
static cj_status coerce(cj_recipe *recipe, cj_item *item, const char *key, const cj_key *row)
{
    cj_context *cj = recipe->cj;
    char text[256];
    switch (row->type) {
    case CJ_KEY_BOOL:
        return item->kind == CJ_ITEM_BOOL ? CJ_OK : mismatch(cj, item, key, "true or false");
    case CJ_KEY_INT:
    case CJ_KEY_FLOAT:
        return coerce_number(cj, item, key, row);
    case CJ_KEY_STRING:
    case CJ_KEY_WORD:
        if (!item->text) return mismatch(cj, item, key, "text");
        cj__format(text, sizeof text, "one of %s", row->words ? row->words : "");
        if (row->type == CJ_KEY_WORD && !has_word(row->words, item->text))
            return mismatch(cj, item, key, text);
        item->kind = CJ_ITEM_STRING;
        return CJ_OK;
    case CJ_KEY_LIST:
        if (item->kind == CJ_ITEM_MAP) return mismatch(cj, item, key, "a list");
        if (item->kind != CJ_ITEM_LIST) {
            cj_item list = *item;
            list.kind = CJ_ITEM_LIST;
            CJ__TRY(split(item->text, add_to_list, &(list_args){recipe, &list, key}));
            list.text = NULL;
            *item = list;
        }
        return CJ_OK;
    case CJ_KEY_NAMED:
        if (item->kind == CJ_ITEM_LIST) return mismatch(cj, item, key, "a name with options");
        if (item->text) item->kind = CJ_ITEM_STRING;
        return CJ_OK;
    case CJ_KEY_TREE:
    case CJ_KEY_NONE:
        break;
    }
    return CJ_OK;
}

/* ---- Getters: coerce a copy ------------------------------------------------------------------ */

/* *item is unset (text, list and kind all zero) when the key is missing or null. */
static cj_status get(const cj_recipe *recipe, const char *key, cj_key_type type, cj_item *item)
{
    const cj_key row = {.name = key, .type = type, .min = -INFINITY, .max = INFINITY};
    const cj_item *found = cj_recipe_find(recipe, key);
    *item = (cj_item){.kind = CJ_ITEM_NULL};
    if (!found || found->kind == CJ_ITEM_NULL) return CJ_OK;
    *item = *found;
    return coerce((cj_recipe *)recipe, item, key, &row);
}

cj_status cj_recipe_get_bool(const cj_recipe *recipe, const char *key, bool *value)
{
    cj_item item;
    CJ__TRY(get(recipe, key, CJ_KEY_BOOL, &item));
    if (item.kind) *value = item.truth;
    return CJ_OK;
}

cj_status cj_recipe_get_int(const cj_recipe *recipe, const char *key, int64_t *value)
{
    cj_item item;
    CJ__TRY(get(recipe, key, CJ_KEY_INT, &item));
    if (item.kind) *value = item.integer;
    return CJ_OK;
}

cj_status cj_recipe_get_float(const cj_recipe *recipe, const char *key, double *value)
{
    cj_item item;
    CJ__TRY(get(recipe, key, CJ_KEY_FLOAT, &item));
    if (item.kind) *value = item.number;
    return CJ_OK;
}

cj_status cj_recipe_get_string(const cj_recipe *recipe, const char *key, const char **value)
{
    cj_item item;
    CJ__TRY(get(recipe, key, CJ_KEY_STRING, &item));
    if (item.kind) *value = item.text;
    return CJ_OK;
}

cj_status cj_recipe_get_list(cj_recipe *recipe, const char *key, const char *const **items, int *n)
{
    cj_item list;
    CJ__TRY(get(recipe, key, CJ_KEY_LIST, &list));
    if (!list.kind) return CJ_OK;
    const char **array = cj__arena_array(&recipe->arena, (size_t)list.count + 1, sizeof *array);
    if (!array) return CJ_ERR_MEMORY;
    int i = 0;
    for (const cj_item *item = list.first; item; item = item->next)
        CJ__TRY(cj_item_named(recipe, item, &array[i++]));
    *items = array;
    *n = list.count;
    return CJ_OK;
}

cj_status cj_recipe_get_named(cj_recipe *recipe, const char *key, const char **value)
{
    cj_item item;
    CJ__TRY(get(recipe, key, CJ_KEY_NAMED, &item));
    return item.kind ? cj_item_named(recipe, cj_recipe_find(recipe, key), value) : CJ_OK;
}

/* ---- Named things ---------------------------------------------------------------------------- */

/* May `text` be an option's value without quotes? Balanced brackets, no comma outside them. */
static bool bare(const char *text)
{
    int depth = 0;
    if (!*text || text[strspn(text, " ")] == 0 || strpbrk(text, "\"'")) return false;
    for (const char *c = text; *c; c++) {
        if (strchr("([{", *c)) depth++;
        else if (strchr(")]}", *c) && --depth < 0) return false;
        else if (*c == ',' && !depth) return false;
    }
    return depth == 0;
}

static cj_status add_named(cj_context *cj, cj__text *out, const cj_item *item);

static cj_status add_value(cj_context *cj, cj__text *out, const cj_item *item)
{
    if (item->kind == CJ_ITEM_MAP) return add_named(cj, out, item);
    if (item->kind == CJ_ITEM_LIST) {
        cj__text_char(out, '[');
        for (const cj_item *i = item->first; i; i = i->next) {
            CJ__TRY(add_value(cj, out, i));
            if (i->next) cj__text_add(out, ", ");
        }
        cj__text_char(out, ']');
    } else if (item->kind != CJ_ITEM_STRING || bare(item->text)) {
        cj__text_add(out, *item->text ? item->text : "null");
    } else {
        const char *quote = strchr(item->text, '"') ? "'" : "\"";
        if (strchr(item->text, *quote))
            return cj__item_fail(cj, item, CJ_ERR_ARGUMENT,
                                 "'%.60s': both kinds of quotes in one value", item->text);
        cj__text_format(out, "%s%s%s", quote, item->text, quote);
    }
    return CJ_OK;
}

/* Appends "name(options)"; a name that has options already takes the others before its ")". */
static cj_status add_call(cj_context *cj, cj__text *out, const char *name, const cj_item *options,
                          const cj_item *skip)
{
    size_t length = strlen(name);
    bool open = length && name[length - 1] == ')',
         empty = open && length > 1 && name[length - 2] == '(';
    const char *comma = open && !empty ? ", " : "";
    cj__text_append(out, name, length - open);
    size_t before = out->length;
    for (const cj_item *i = options->first; i; i = i->next) {
        if (i == skip) continue;
        cj__text_add(out, out->length == before ? (open ? comma : "(") : ", ");
        if (i->key) cj__text_format(out, "%s=", i->key);
        CJ__TRY(add_value(cj, out, i));
    }
    if (open || out->length != before) cj__text_char(out, ')');
    return CJ_OK;
}

static cj_status add_named(cj_context *cj, cj__text *out, const cj_item *item)
{
    if (item->text && item->kind) return cj__text_add(out, item->text), CJ_OK;
    if (item->kind != CJ_ITEM_MAP)
        return cj__item_fail(cj, item, CJ_ERR_ARGUMENT, "expected a name with options, found %s",
                             kind_name(item));
    for (const cj_item *i = item->first; i; i = i->next)
        if (!strcmp(i->key, "name") && i->kind && i->text)
            return add_call(cj, out, i->text, item, i);
    if (item->count != 1)
        return cj__item_fail(cj, item, CJ_ERR_ARGUMENT,
                             "expected a name with options, found a map of %d keys", item->count);
    const cj_item *only = item->first;
    if (only->kind == CJ_ITEM_MAP) return add_call(cj, out, only->key, only, NULL);
    cj_item positional = *only, options = {.kind = CJ_ITEM_LIST, .first = &positional};
    positional.key = NULL;
    positional.next = NULL;
    if (only->kind == CJ_ITEM_NULL) options.first = NULL;
    return add_call(cj, out, only->key, &options, NULL);
}

cj_status cj_item_named(cj_recipe *recipe, const cj_item *item, const char **value)
{
    cj__text out;
    cj__text_init(&out, recipe->cj);
    cj_status failed = add_named(recipe->cj, &out, item);
    if (!failed) failed = out.failed;
    if (!failed) *value = cj__arena_strdup(&recipe->arena, cj__text_string(&out));
    if (!failed && !*value) failed = CJ_ERR_MEMORY;
    cj__text_release(&out);
    return failed;
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static cj_status unknown_key(cj_recipe *recipe, const cj_item *item, const char *key,
                             const cj_key *keys)
{
    size_t n = 0;
    while (keys[n].name) n++;
    const char **names = cj__arena_array(&recipe->arena, n + 1, sizeof *names);
    if (!names) return CJ_ERR_MEMORY;
    for (size_t i = 0; i < n; i++) names[i] = keys[i].name;
    const char *near = cj__nearest(key, names);
    if (near)
        return cj__item_fail(recipe->cj, item, CJ_ERR_ARGUMENT,
                             "unknown key '%.80s' (did you mean '%s'?)", key, near);
    return cj__item_fail(recipe->cj, item, CJ_ERR_ARGUMENT, "unknown key '%.80s'", key);
}

static bool begins_row(const cj_key *keys, const char *key)
{
    size_t n = strlen(key);
    for (; keys->name; keys++)
        if (!strncmp(keys->name, key, n) && keys->name[n] == '.') return true;
    return false;
}

/* `prefix` is the dotted key of `map` with a dot behind it, or "". */
static cj_status check_map(cj_recipe *recipe, cj_item *map, const char *prefix, const cj_key *keys)
{
    for (cj_item *i = map->first; i; i = i->next) {
        const cj_key *row = keys;
        const char *key = cj__arena_printf(&recipe->arena, "%s%s", prefix, i->key);
        if (!key) return CJ_ERR_MEMORY;
        while (row->name && strcmp(row->name, key)) row++;
        if (!row->name && i->kind == CJ_ITEM_MAP && begins_row(keys, key)) {
            const char *inner = cj__arena_printf(&recipe->arena, "%s.", key);
            if (!inner) return CJ_ERR_MEMORY;
            CJ__TRY(check_map(recipe, i, inner, keys));
        } else if (!row->name) {
            return unknown_key(recipe, i, key, keys);
        } else if (i->kind != CJ_ITEM_NULL) {
            CJ__TRY(coerce(recipe, i, key, row));
        }
    }
    return CJ_OK;
}

cj_status cj_recipe_check(cj_recipe *recipe, const cj_key *keys)
{
    return check_map(recipe, &recipe->root, "", keys);
}

cj_status cj_recipe_default(cj_recipe *recipe, const cj_key *keys)
{
    for (const cj_key *row = keys; row->name; row++) {
        const cj_item *item = cj_recipe_find(recipe, row->name);
        if (!row->initial || (item && item->kind != CJ_ITEM_NULL)) continue;
        CJ__TRY(cj_recipe_set(recipe, row->name, row->initial));
        CJ__TRY(coerce(recipe, (cj_item *)cj_recipe_find(recipe, row->name), row->name, row));
    }
    return CJ_OK;
}
