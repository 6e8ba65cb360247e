/* recipe.c: the tree of a recipe in its arena: making it, finding by dotted key, setting, merging.
 *
 *     root (map) --first--> data --next--> model (list) --next--> optimizer (map)
 *                                            |first                  |first
 *                                          conv2d --next--> dense    name --next--> momentum
 *
 * Children are linked lists in the order of writing. A key may hold dots itself ("sepal.length" as
 * the name of a column), so a dotted key is matched from the left against the longest key that
 * fits. Depth is bounded where values are made, so recursion is, here and in the writer. */
#include <string.h>

#include "base/file.h"
#include "format/recipe.h"

enum { KEY_BYTES_MAX = 200 }; /* so that YAML can write it as a simple key, escapes and all */

/* ---- Life cycle ------------------------------------------------------------------------------ */

cj_recipe *cj_recipe_new(cj_context *cj)
{
    cj_recipe *recipe = cj__alloc(cj, sizeof *recipe);
    if (!recipe) return NULL;
    recipe->cj = cj;
    recipe->root.kind = CJ_ITEM_MAP;
    cj__arena_init(&recipe->arena, cj);
    return recipe;
}

void cj_recipe_free(cj_recipe *recipe)
{
    if (!recipe) return;
    cj__arena_release(&recipe->arena);
    cj__free(recipe->cj, recipe, sizeof *recipe);
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n >= m && !strcmp(name + n - m, suffix);
}

/* Without libyaml everything is JSON, which is YAML too. */
static bool is_json(const char *name)
{
#ifdef CJ_HAVE_YAML
    return ends_in(name, ".json");
#else
    return name != NULL;
#endif
}

cj_recipe *cj_recipe_parse(cj_context *cj, const char *name, const void *bytes, size_t size)
{
    cj_status failed = CJ_OK;
    cj_recipe *recipe = cj_recipe_new(cj);
    if (!recipe) return NULL;
    if (size > CJ_RECIPE_BYTES_MAX) {
        failed = cj_fail(cj, CJ_ERR_LIMIT, "%s: a recipe has at most %d bytes, found %zu", name,
                         CJ_RECIPE_BYTES_MAX, size);
        goto out;
    }
    recipe->file = cj__arena_strdup(&recipe->arena, name);
    CJ__CHECK(failed = recipe->file ? CJ_OK : CJ_ERR_MEMORY);
    if (is_json(name)) failed = cj__recipe_read_json(recipe, bytes, size);
#ifdef CJ_HAVE_YAML
    else failed = cj__recipe_read_yaml(recipe, bytes, size);
#else
    if (failed == CJ_ERR_FORMAT && !ends_in(name, ".json"))
        cj__prefix(cj, failed, "without YAML in this build a recipe must be JSON");
#endif
    recipe->file = NULL;
out:
    if (failed) {
        cj_recipe_free(recipe);
        return NULL;
    }
    return recipe;
}

cj_recipe *cj_recipe_load(cj_context *cj, const char *path)
{
    cj__file_bytes bytes;
    if (cj__file_load(cj, path, CJ_RECIPE_BYTES_MAX, &bytes)) return NULL;
    cj_recipe *recipe = cj_recipe_parse(cj, path, bytes.data ? (const void *)bytes.data : "",
                                        bytes.size);
    cj__file_unload(&bytes);
    return recipe;
}

static cj_status print(cj_recipe *recipe, const char *name, cj__text *out)
{
    cj__text_init(out, recipe->cj);
    if (is_json(name)) cj__recipe_write_json(out, &recipe->root);
    else cj__recipe_write_yaml(out, &recipe->root);
    return out->failed;
}

cj_status cj_recipe_save(cj_recipe *recipe, const char *path)
{
    cj__text out;
    cj_status failed = print(recipe, path, &out);
    if (!failed) failed = cj__file_save(recipe->cj, path, out.bytes, out.length);
    cj__text_release(&out);
    return failed;
}

const char *cj_recipe_text(cj_recipe *recipe)
{
    cj__text out;
    cj_status failed = print(recipe, "", &out);
    char *copy = failed ? NULL : cj__arena_strdup(&recipe->arena, cj__text_string(&out));
    cj__text_release(&out);
    return copy;
}

/* ---- Items ----------------------------------------------------------------------------------- */

cj_status cj__item_fail(cj_context *cj, const cj_item *item, cj_status status, const char *format,
                        ...)
{
    char what[CJ__MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    cj__vformat(what, sizeof what, format, args);
    va_end(args);
    if (item->file) return cj_fail(cj, status, "%s:%d: %s", item->file, item->line, what);
    return cj_fail(cj, status, "%s", what);
}

cj_item *cj__item_new(cj_recipe *recipe, cj_item_kind kind, int line)
{
    cj_item at = {.kind = kind, .file = recipe->file, .line = line};
    if (recipe->items >= CJ_RECIPE_ITEMS_MAX) {
        cj__item_fail(recipe->cj, &at, CJ_ERR_LIMIT, "a recipe has at most %d values",
                      CJ_RECIPE_ITEMS_MAX);
        return NULL;
    }
    cj_item *item = cj__arena_copy(&recipe->arena, &at, sizeof at);
    if (item) recipe->items++;
    return item;
}

void cj__item_add(cj_item *parent, cj_item *child)
{
    if (parent->last) parent->last->next = child;
    else parent->first = child;
    parent->last = child;
    parent->count++;
}

/* The child under exactly the first `length` bytes of `key`. */
static cj_item *child_of(const cj_item *map, const char *key, size_t length)
{
    for (cj_item *i = map->first; i; i = i->next)
        if (!strncmp(i->key, key, length) && !i->key[length]) return i;
    return NULL;
}

cj_status cj__item_add_key(cj_recipe *recipe, cj_item *map, const char *key, cj_item *child)
{
    size_t length = strlen(key);
    cj_item *before = child_of(map, key, length);
    if (before && before->file)
        return cj__item_fail(recipe->cj, child, CJ_ERR_FORMAT,
                             "key '%.60s' has a value already, in line %d", key, before->line);
    if (before)
        return cj__item_fail(recipe->cj, child, CJ_ERR_FORMAT, "key '%.60s' has a value already",
                             key);
    if (!length) return cj__item_fail(recipe->cj, child, CJ_ERR_FORMAT, "a key is empty");
    if (length > KEY_BYTES_MAX || map->count >= CJ_RECIPE_KEYS_MAX)
        return cj__item_fail(recipe->cj, child, CJ_ERR_LIMIT,
                             "%s '%.60s': at most %d keys of %d bytes", "key", key,
                             CJ_RECIPE_KEYS_MAX, KEY_BYTES_MAX);
    if (!cj__utf8_valid(key, length))
        return cj__item_fail(recipe->cj, child, CJ_ERR_FORMAT, "a key is not UTF-8 text");
    child->key = cj__arena_strdup(&recipe->arena, key);
    if (!child->key) return CJ_ERR_MEMORY;
    cj__item_add(map, child);
    return CJ_OK;
}

/* `to` takes the value of `from` and keeps its own place and key. */
static void become(cj_item *to, const cj_item *from)
{
    cj_item old = *to;
    *to = *from;
    to->key = old.key;
    to->next = old.next;
}

/* ---- Find ------------------------------------------------------------------------------------ */

/* One step along a dotted key: the child that the longest part of *key names, or NULL. *key moves
 * behind the part and its dot, and is NULL when nothing is left. */
static cj_item *step(const cj_item *item, const char **key)
{
    cj_item *best = NULL;
    size_t length = 0;
    if (item->kind == CJ_ITEM_LIST) {
        int64_t index = -1;
        length = strcspn(*key, ".");
        if (!cj__parse_int64(*key, length, &index) || index < 0 || index >= item->count)
            return NULL;
        for (best = item->first; index; index--) best = best->next;
    } else if (item->kind == CJ_ITEM_MAP) {
        for (cj_item *i = item->first; i; i = i->next) {
            size_t n = strlen(i->key);
            if (n < length || strncmp(i->key, *key, n) || ((*key)[n] && (*key)[n] != '.')) continue;
            best = i;
            length = n;
        }
    }
    if (best) *key = (*key)[length] ? *key + length + 1 : NULL;
    return best;
}

const cj_item *cj_recipe_root(const cj_recipe *recipe) { return &recipe->root; }

const cj_item *cj_recipe_find(const cj_recipe *recipe, const char *key)
{
    const cj_item *item = &recipe->root;
    while (item && key) item = step(item, &key);
    return item;
}

/* ---- Set ------------------------------------------------------------------------------------- */

/* Makes a scalar a map that can take options: nothing of null, {name: it} of anything else. */
static cj_status open_map(cj_recipe *recipe, cj_item *item)
{
    cj_item map = {.kind = CJ_ITEM_MAP, .file = item->file, .line = item->line}, *name = NULL;
    if (item->kind != CJ_ITEM_NULL) {
        name = cj__item_new(recipe, item->kind, item->line);
        if (!name) return cj_last_status(recipe->cj);
        become(name, item);
        CJ__TRY(cj__item_add_key(recipe, &map, "name", name));
    }
    become(item, &map);
    return CJ_OK;
}

/* The place of a dotted key, made when it is not there. */
static cj_status place(cj_recipe *recipe, const char *key, cj_item **out)
{
    const char *rest = key;
    cj_item *item = &recipe->root;
    for (int depth = 0; rest; depth++) {
        if (depth == CJ_RECIPE_DEPTH_MAX)
            return cj_fail(recipe->cj, CJ_ERR_LIMIT, "key '%.60s': at most %d levels", key,
                           CJ_RECIPE_DEPTH_MAX);
        size_t length = strcspn(rest, ".");
        if (!length)
            return cj_fail(recipe->cj, CJ_ERR_ARGUMENT, "key '%.60s': a name is empty", key);
        if (item->kind != CJ_ITEM_LIST && item->kind != CJ_ITEM_MAP)
            CJ__TRY(open_map(recipe, item));
        cj_item *next = step(item, &rest);
        if (!next && item->kind == CJ_ITEM_LIST)
            return cj_fail(recipe->cj, CJ_ERR_ARGUMENT,
                           "key '%.60s': the list has items 0 to %d, found '%.*s'", key,
                           item->count - 1, (int)(length < 60 ? length : 60), rest);
        if (!next) {
            char *name = cj__arena_alloc(&recipe->arena, length + 1);
            next = name ? cj__item_new(recipe, CJ_ITEM_NULL, 0) : NULL;
            if (!next) return cj_last_status(recipe->cj);
            memcpy(name, rest, length);
            CJ__TRY(cj__item_add_key(recipe, item, name, next));
            rest = rest[length] ? rest + length + 1 : NULL;
        }
        item = next;
    }
    *out = item;
    return CJ_OK;
}

static cj_status put(cj_recipe *recipe, const char *key, const cj_item *value)
{
    cj_item *item = NULL;
    CJ__TRY(place(recipe, key, &item));
    become(item, value);
    return CJ_OK;
}

static cj_status set(cj_recipe *recipe, const char *key, const char *value, bool plain)
{
    cj_item item = {0};
    if (!cj__utf8_valid(value, strlen(value)))
        return cj_fail(recipe->cj, CJ_ERR_ARGUMENT, "%.60s: the value is not UTF-8 text", key);
    CJ__TRY(cj__item_scalar(recipe, &item, value, strlen(value), plain));
    return put(recipe, key, &item);
}

cj_status cj_recipe_set(cj_recipe *recipe, const char *key, const char *value)
{
    return set(recipe, key, value, true);
}

cj_status cj_recipe_set_string(cj_recipe *recipe, const char *key, const char *value)
{
    return set(recipe, key, value, false);
}

cj_status cj_recipe_set_int(cj_recipe *recipe, const char *key, int64_t value)
{
    cj_item item = {.kind = CJ_ITEM_INT, .integer = value, .number = (double)value};
    item.text = cj__arena_printf(&recipe->arena, "%lld", (long long)value);
    return item.text ? put(recipe, key, &item) : CJ_ERR_MEMORY;
}

cj_status cj_recipe_set_float(cj_recipe *recipe, const char *key, double value)
{
    cj_item item = {.kind = CJ_ITEM_FLOAT, .number = value};
    cj__text text;
    cj__text_init(&text, recipe->cj);
    cj__text_number(&text, value);
    item.text = text.failed ? NULL : cj__arena_strdup(&recipe->arena, cj__text_string(&text));
    cj__text_release(&text);
    return item.text ? put(recipe, key, &item) : CJ_ERR_MEMORY;
}

cj_status cj_recipe_set_bool(cj_recipe *recipe, const char *key, bool value)
{
    return set(recipe, key, value ? "true" : "false", true);
}

bool cj_recipe_remove(cj_recipe *recipe, const char *key)
{
    cj_item *parent = &recipe->root, *item = parent;
    while (item && key) {
        parent = item;
        item = step(parent, &key);
    }
    if (!item || item == parent) return false;
    cj_item *before = NULL;
    for (cj_item *i = parent->first; i != item; i = i->next) before = i;
    if (before) before->next = item->next;
    else parent->first = item->next;
    if (parent->last == item) parent->last = before;
    parent->count--;
    recipe->items--;
    return true;
}

/* ---- Merge ----------------------------------------------------------------------------------- */

static cj_status copy_value(cj_recipe *recipe, cj_item *to, const cj_item *from)
{
    cj_item value = *from;
    value.first = value.last = NULL;
    value.count = 0;
    if (from->text && !(value.text = cj__arena_strdup(&recipe->arena, from->text)))
        return CJ_ERR_MEMORY;
    if (from->file && !(value.file = cj__arena_strdup(&recipe->arena, from->file)))
        return CJ_ERR_MEMORY;
    become(to, &value);
    for (const cj_item *i = from->first; i; i = i->next) {
        cj_item *child = cj__item_new(recipe, CJ_ITEM_NULL, i->line);
        if (!child) return cj_last_status(recipe->cj);
        if (i->key) CJ__TRY(cj__item_add_key(recipe, to, i->key, child));
        else cj__item_add(to, child);
        CJ__TRY(copy_value(recipe, child, i));
    }
    return CJ_OK;
}

static cj_status merge(cj_recipe *recipe, cj_item *to, const cj_item *over)
{
    if (over->kind != CJ_ITEM_MAP) return copy_value(recipe, to, over);
    bool scalar = to->kind != CJ_ITEM_MAP && to->kind != CJ_ITEM_LIST;
    if (scalar && child_of(over, "name", 4)) return copy_value(recipe, to, over);
    if (scalar) CJ__TRY(open_map(recipe, to));
    for (const cj_item *i = over->first; i; i = i->next) {
        const char *index = i->key;
        cj_item *at = to->kind == CJ_ITEM_MAP ? child_of(to, i->key, strlen(i->key))
                      : strchr(index, '.')    ? NULL
                                              : step(to, &index);
        if (!at && to->kind == CJ_ITEM_LIST)
            return cj__item_fail(recipe->cj, i, CJ_ERR_ARGUMENT,
                                 "%s%s'%.60s': expected the number of an item, from 0 to %d",
                                 to->key ? to->key : "", to->key ? "." : "", i->key, to->count - 1);
        if (!at) {
            at = cj__item_new(recipe, CJ_ITEM_NULL, i->line);
            if (!at) return cj_last_status(recipe->cj);
            CJ__TRY(cj__item_add_key(recipe, to, i->key, at));
        }
        CJ__TRY(merge(recipe, at, i));
    }
    return CJ_OK;
}

cj_status cj_recipe_merge(cj_recipe *recipe, const cj_recipe *over)
{
    return merge(recipe, &recipe->root, &over->root);
}
