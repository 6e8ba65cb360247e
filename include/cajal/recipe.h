/* recipe.h: a recipe says what to train, as YAML, as JSON, or as key=value on the command line.
 *
 * A recipe is a tree of values in the order in which they were written. The root is a map.
 *
 *     cj_recipe *recipe = cj_recipe_load(cj, "train.yaml");
 *     if (!recipe) return cj_last_status(cj);
 *     int64_t epochs = 5;                                  // stays 5 when the recipe does not say
 *     cj_status failed = cj_recipe_set(recipe, "optimizer.momentum", "0.9");
 *     failed = failed ? failed : cj_recipe_get_int(recipe, "epochs", &epochs);
 *     failed = failed ? failed : cj_recipe_save(recipe, "args.yaml");
 *     cj_recipe_free(recipe);
 *
 * Keys are dotted: "optimizer.momentum" is momentum in the map optimizer, "model.0.units" the units
 * of the first item of the list model. Plain words of a file and of cj_recipe_set are read by the
 * core schema of YAML 1.2: 1e-3 is a float, only true and false are booleans, null or nothing is
 * null. A null counts as a key that is not there. All values live in the recipe and go with it. */
#ifndef CAJAL_RECIPE_H
#define CAJAL_RECIPE_H

#include <cajal/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a recipe may hold at most; more is CJ_ERR_LIMIT. */
enum {
    CJ_RECIPE_BYTES_MAX = 1 << 20, /* of a file */
    CJ_RECIPE_DEPTH_MAX = 32,      /* of lists and maps in one another */
    CJ_RECIPE_ITEMS_MAX = 65536,   /* values */
    CJ_RECIPE_KEYS_MAX = 4096      /* keys of one map */
};

typedef enum cj_item_kind {
    CJ_ITEM_NULL,
    CJ_ITEM_BOOL,
    CJ_ITEM_INT,
    CJ_ITEM_FLOAT,
    CJ_ITEM_STRING,
    CJ_ITEM_LIST,
    CJ_ITEM_MAP
} cj_item_kind;

/* One value, to be read only. Walk a list or a map with
 *     for (const cj_item *i = item->first; i; i = i->next) ... */
typedef struct cj_item {
    cj_item_kind kind;
    const char *key;  /* in a map; else NULL */
    const char *text; /* of a scalar, as it was written: "1e-3" */
    bool truth;       /* of a BOOL */
    int64_t integer;  /* of an INT */
    double number;    /* of an INT or a FLOAT */
    int count;        /* of a LIST or MAP */
    struct cj_item *first, *last, *next;
    const char *file; /* where it was written, and in which line; NULL and 0: by cj_recipe_set */
    int line;
} cj_item;

typedef struct cj_recipe cj_recipe;

/* ---- Life cycle ------------------------------------------------------------------------------ */

/* An empty recipe. NULL: out of memory. Free recipes before their context. */
CJ_API cj_recipe *cj_recipe_new(cj_context *cj);
/* Reads a file: JSON when its name ends in .json, else YAML (of which JSON is a part; a library
 * built without libyaml reads JSON only). NULL with a message that names file and line. Refused:
 * two values for one key, anchors and aliases, tags, a second document, and anything beyond the
 * limits above. */
CJ_API cj_recipe *cj_recipe_load(cj_context *cj, const char *path);
/* The same from memory; `name` stands for the file in messages and tells JSON by its end. */
CJ_API cj_recipe *cj_recipe_parse(cj_context *cj, const char *name, const void *bytes, size_t size);
CJ_API void cj_recipe_free(cj_recipe *recipe); /* NULL is a no-op */

/* Writes YAML that reads back as the same recipe, here and in YAML 1.1 readers such as PyYAML; JSON
 * (with null for NaN and infinity) to a name in .json, and always in a library without libyaml.
 * Atomic: the old file or the new one. */
CJ_API cj_status cj_recipe_save(cj_recipe *recipe, const char *path);
/* The same as text that lives as long as the recipe; NULL when out of memory. */
CJ_API const char *cj_recipe_text(cj_recipe *recipe);

/* ---- Change ---------------------------------------------------------------------------------- */

/* Gives a key a value, read like a plain word of a file; an earlier value is replaced in its place.
 * Setting a key inside a scalar, optimizer.momentum where optimizer is sgd, makes the map
 * {name: sgd, momentum: 0.9} of it. */
CJ_API cj_status cj_recipe_set(cj_recipe *recipe, const char *key, const char *value);
/* The same with values that need no reading. */
CJ_API cj_status cj_recipe_set_string(cj_recipe *recipe, const char *key, const char *value);
CJ_API cj_status cj_recipe_set_int(cj_recipe *recipe, const char *key, int64_t value);
CJ_API cj_status cj_recipe_set_float(cj_recipe *recipe, const char *key, double value);
CJ_API cj_status cj_recipe_set_bool(cj_recipe *recipe, const char *key, bool value);
/* true when the key was there. */
CJ_API bool cj_recipe_remove(cj_recipe *recipe, const char *key);
/* Lays `over` upon the recipe: maps are joined key by key, a map upon a list changes the items its
 * keys number, anything else replaces. `over` may be freed afterwards. */
CJ_API cj_status cj_recipe_merge(cj_recipe *recipe, const cj_recipe *over);

/* ---- Read ------------------------------------------------------------------------------------ */

CJ_API const cj_item *cj_recipe_root(const cj_recipe *recipe); /* a map */
/* NULL (no message) when there is no such key; a null is found. */
CJ_API const cj_item *cj_recipe_find(const cj_recipe *recipe, const char *key);
/* Each leaves *value as it is when the key is missing or null, and fails with CJ_ERR_ARGUMENT,
 * naming file and line, when the value is of another type. An integer is a float as well, a whole
 * float an integer, any scalar a string (as it was written). */
CJ_API cj_status cj_recipe_get_bool(const cj_recipe *recipe, const char *key, bool *value);
CJ_API cj_status cj_recipe_get_int(const cj_recipe *recipe, const char *key, int64_t *value);
CJ_API cj_status cj_recipe_get_float(const cj_recipe *recipe, const char *key, double *value);
CJ_API cj_status cj_recipe_get_string(const cj_recipe *recipe, const char *key, const char **value);
/* A list of scalars or named things as strings; a scalar "a,b" is the list a, b (commas in
 * parentheses, brackets or quotes do not count). The array belongs to the recipe. */
CJ_API cj_status cj_recipe_get_list(cj_recipe *recipe, const char *key, const char *const **items,
                                    int *n);
/* A named thing with options as one string, however it was written:
 *     sgd(momentum=0.9)        {name: sgd, momentum: 0.9}        {sgd: {momentum: 0.9}}
 * and {max_pool2d: 2} is "max_pool2d(2)". */
CJ_API cj_status cj_recipe_get_named(cj_recipe *recipe, const char *key, const char **value);
CJ_API cj_status cj_item_named(cj_recipe *recipe, const cj_item *item, const char **value);

/* ---- Tables of keys -------------------------------------------------------------------------- */

typedef enum cj_key_type {
    CJ_KEY_NONE,   /* ends a table */
    CJ_KEY_BOOL,
    CJ_KEY_INT,    /* min <= value <= max */
    CJ_KEY_FLOAT,  /* the same; NaN and infinity are refused */
    CJ_KEY_STRING,
    CJ_KEY_WORD,   /* one of `words` */
    CJ_KEY_LIST,   /* of scalars or named things */
    CJ_KEY_NAMED,  /* a named thing with options */
    CJ_KEY_TREE    /* anything */
} cj_key_type;

/* A row: what a command or recipe takes. Help, validation and defaults come from it. */
typedef struct cj_key {
    const char *name;
    cj_key_type type;
    double min, max;     /* of numbers; INFINITY as max: no upper bound */
    const char *initial; /* as it would be written; NULL: none */
    const char *words;   /* "a|b|c" of a WORD; for other types what help shows, such as FILE */
    const char *help;    /* one sentence without a full stop */
} cj_key;

/* Checks every value against its row and gives it the row's type (1 becomes 1.0 where a float
 * belongs, "a,b" a list), so that what is saved has it too. The message names file and line, the
 * key, the value and what was expected, and for an unknown key the nearest known one. */
CJ_API cj_status cj_recipe_check(cj_recipe *recipe, const cj_key *keys);
/* Adds the initial value of every row whose key is missing or null. */
CJ_API cj_status cj_recipe_default(cj_recipe *recipe, const cj_key *keys);

/* The word (of a NULL-terminated list) nearest to `word`, NULL when none is near. */
CJ_API const char *cj_nearest(const char *word, const char *const *words);

#ifdef __cplusplus
}
#endif
#endif
