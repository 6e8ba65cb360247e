/* recipe.h: what the parts of the recipe code share: the tree in its arena, readers, writer. */
#ifndef CAJAL_FORMAT_RECIPE_H
#define CAJAL_FORMAT_RECIPE_H

#include <cajal/recipe.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/text.h"

struct cj_recipe {
    cj_context *cj;
    cj__arena arena;
    cj_item root;
    int items;        /* values made so far, counted against CJ_RECIPE_ITEMS_MAX */
    const char *file; /* of the values being read; NULL once they are */
};

/* A new value, NULL with a message beyond the limits. The caller adds it to a list or a map. */
cj_item *cj__item_new(cj_recipe *recipe, cj_item_kind kind, int line);
void cj__item_add(cj_item *parent, cj_item *child);
/* Adds `child` under a copy of `key`; a key that is there already is refused. */
cj_status cj__item_add_key(cj_recipe *recipe, cj_item *map, const char *key, cj_item *child);
/* Raises: "train.yaml:3: " in front when the item knows its line. */
cj_status cj__item_fail(cj_context *cj, const cj_item *item, cj_status status, const char *format,
                        ...) CJ_PRINTF(4, 5);

/* Gives a scalar kind and value: a plain word by the core schema, a quoted one as a string. `text`
 * must be UTF-8 without NUL (checked) and is copied. */
cj_status cj__item_scalar(cj_recipe *recipe, cj_item *item, const char *text, size_t length,
                          bool plain);

cj_status cj__recipe_read_yaml(cj_recipe *recipe, const void *bytes, size_t size);
cj_status cj__recipe_read_json(cj_recipe *recipe, const void *bytes, size_t size);
void cj__recipe_write_yaml(cj__text *out, const cj_item *root);
void cj__recipe_write_json(cj__text *out, const cj_item *root);
/* A finite float with a point and a signed exponent: 0.001, 1.0e-08. */
void cj__recipe_write_float(cj__text *out, double value);

#endif
