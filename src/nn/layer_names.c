/* layer_names.c: what layers are called, and which of them are one.
 *
 * Outside scopes every layer has a name of its own: "dense", "dense_1" ... In a scope it is called
 * "critic.dense", "critic.dense_1" ..., counted from where the scope was entered; so one that is
 * entered again gives the same names again, which then are the same layers. */
#include "nn/model.h"

#include <string.h>

static const cj__layer_record *find(const cj__layers *layers, const char *name)
{
    for (int i = layers->count - 1; i >= 0; i--) /* the latest of a shared one */
        if (!strcmp(layers->items[i].name, name)) return &layers->items[i];
    return NULL;
}

/* Parameters are called "layer/kernel", and text has layers apart by blanks and commas. */
static bool is_name(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '_' && c != '-' && c != '.') return false;
    }
    return length > 0 && length <= 100;
}

static bool check_name(cj_graph *g, const char *of, const char *name)
{
    if (is_name(name)) return true;
    cj__graph_fail(g, of, CJ_ERR_ARGUMENT,
                   "the name '%.100s' is not made of up to 100 letters, digits, '_', '-' and '.'",
                   name);
    return false;
}

static const char *in_scope(cj_graph *g, const cj__layers *layers, const char *name)
{
    const char *full = layers->scope ? cj__arena_printf(&g->arena, "%s.%s", layers->scope, name)
                                     : cj__arena_strdup(&g->arena, name);
    if (!full) cj__graph_fail(g, name, CJ_ERR_MEMORY, "out of memory");
    return full;
}

/* A layer that was made when the scope was entered before. */
static bool is_from_before(const cj__layers *layers, const cj__layer_record *there)
{
    return layers->scope && there->entry != layers->scope_entry;
}

/* The name that was asked for. */
static const char *asked_name(cj_graph *g, const cj__layers *layers, const cj_layer *row,
                              const char *asked, bool *shared)
{
    const char *name = check_name(g, row->name, asked) ? in_scope(g, layers, asked) : NULL;
    const cj__layer_record *there = name ? find(layers, name) : NULL;
    if (!there) return name;
    if (!is_from_before(layers, there))
        return cj__graph_fail(g, row->name, CJ_ERR_EXISTS, "there is a layer '%s' already", name),
               NULL;
    if (there->row != row)
        return cj__graph_fail(g, row->name, CJ_ERR_ARGUMENT,
                              "'%s' is shared, and was a %s layer before", name, there->row->name),
               NULL;
    *shared = true;
    return name;
}

const char *cj__layer_name(cj_graph *g, const cj__layers *layers, const cj_layer *row,
                           const void *options, bool *shared)
{
    const cj_option *o = row->options ? cj__option_find(row->options, "name") : NULL;
    const char *asked = o && o->type == CJ_OPTION_TYPE_STRING
                            ? *(const char *const *)((const char *)options + o->offset)
                            : NULL;
    *shared = false;
    if (asked) return asked_name(g, layers, row, asked, shared);
    int number = 0;
    for (int i = 0; i < layers->count; i++) {
        const cj__layer_record *r = &layers->items[i];
        number += r->row == row &&
                  (layers->scope ? r->entry == layers->scope_entry : !r->scoped);
    }
    for (;; number++) {
        const char *plain = number ? cj__arena_printf(&g->arena, "%s_%d", row->name, number)
                                   : row->name;
        const char *name = plain ? in_scope(g, layers, plain) : NULL;
        if (!plain) cj__graph_fail(g, row->name, CJ_ERR_MEMORY, "out of memory");
        const cj__layer_record *there = name ? find(layers, name) : NULL;
        if (!there) return name;
        *shared = is_from_before(layers, there) && there->row == row;
        if (*shared) return name;
    }
}

void cj_layer_scope(cj_graph *g, const char *name)
{
    cj__layers *layers = g && !g->failed ? cj__layers_of(g) : NULL;
    if (!layers || (name && !check_name(g, "layer_scope", name))) return;
    layers->scope_entry++;
    layers->scope = name ? cj__arena_strdup(&g->arena, name) : NULL;
    if (name && !layers->scope) cj__graph_fail(g, name, CJ_ERR_MEMORY, "out of memory");
}
