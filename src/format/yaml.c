/* yaml.c: recipes from YAML, by libyaml's event parser.
 *
 * Events come one by one and go straight into the tree, with a stack of our own, so limits hold
 * before memory is spent. What makes YAML dangerous or surprising is refused by name and line:
 * aliases (a few of them make a billion values), tags, several documents, two values for one key.
 * What a plain word means is decided in recipe_scalar.c, not by libyaml, which only splits. */
#ifdef CJ_HAVE_YAML
#include <string.h>
#include <yaml.h>

#include "format/recipe.h"

typedef struct frame {
    cj_item *item;
    char *key; /* of a map: read, its value is awaited */
    int key_line;
} frame;

typedef struct reader {
    cj_recipe *recipe;
    frame stack[CJ_RECIPE_DEPTH_MAX + 1];
    int depth; /* frames in use */
    bool done; /* a document was read */
} reader;

static cj_status refuse(reader *r, const yaml_event_t *event, cj_status status, const char *what)
{
    int line = (int)event->start_mark.line + 1;
    return cj_fail(r->recipe->cj, status, "%s:%d: %s", r->recipe->file, line, what);
}

/* Hangs a finished or opened value into the innermost list or map. */
static cj_status attach(reader *r, cj_item *item)
{
    frame *top = &r->stack[r->depth - 1];
    if (top->item->kind == CJ_ITEM_LIST) {
        cj__item_add(top->item, item);
        return CJ_OK;
    }
    char *key = top->key;
    top->key = NULL;
    int line = item->line;
    item->line = top->key_line;
    cj_status failed = cj__item_add_key(r->recipe, top->item, key, item);
    if (item->kind == CJ_ITEM_LIST || item->kind == CJ_ITEM_MAP) item->line = top->key_line;
    else item->line = line;
    return failed;
}

static cj_status read_key(reader *r, const yaml_event_t *event)
{
    frame *top = &r->stack[r->depth - 1];
    const char *text = (const char *)event->data.scalar.value;
    if (memchr(text, 0, event->data.scalar.length))
        return refuse(r, event, CJ_ERR_FORMAT, "a key holds a zero byte");
    top->key = cj__arena_strdup(&r->recipe->arena, text);
    top->key_line = (int)event->start_mark.line + 1;
    return top->key ? CJ_OK : CJ_ERR_MEMORY;
}

static bool key_awaited(const reader *r)
{
    return r->depth && r->stack[r->depth - 1].item->kind == CJ_ITEM_MAP &&
           !r->stack[r->depth - 1].key;
}

static cj_status read_scalar(reader *r, const yaml_event_t *event)
{
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (key_awaited(r)) return read_key(r, event);
    if (!r->depth && plain && !event->data.scalar.length)
        return CJ_OK; /* an empty document is an empty recipe */
    if (!r->depth)
        return refuse(r, event, CJ_ERR_FORMAT,
                      "a recipe is a map of keys and values, found a single value");
    cj_item *item = cj__item_new(r->recipe, CJ_ITEM_NULL, (int)event->start_mark.line + 1);
    if (!item) return cj_last_status(r->recipe->cj);
    CJ__TRY(cj__item_scalar(r->recipe, item, (const char *)event->data.scalar.value,
                            event->data.scalar.length, plain));
    return attach(r, item);
}

static cj_status open_item(reader *r, const yaml_event_t *event, cj_item_kind kind)
{
    cj_item *item = &r->recipe->root;
    if (key_awaited(r))
        return refuse(r, event, CJ_ERR_FORMAT, "a key must be a word, found a list or a map");
    if (!r->depth && kind == CJ_ITEM_LIST)
        return refuse(r, event, CJ_ERR_FORMAT,
                      "a recipe is a map of keys and values, found a list");
    if (r->depth == CJ_RECIPE_DEPTH_MAX)
        return refuse(r, event, CJ_ERR_LIMIT, "lists and maps lie too deep in one another");
    if (r->depth) {
        item = cj__item_new(r->recipe, kind, (int)event->start_mark.line + 1);
        if (!item) return cj_last_status(r->recipe->cj);
        CJ__TRY(attach(r, item));
    }
    r->stack[r->depth++] = (frame){.item = item};
    return CJ_OK;
}

static const char *event_tag(const yaml_event_t *event)
{
    const yaml_char_t *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) tag = event->data.scalar.tag;
    if (event->type == YAML_SEQUENCE_START_EVENT) tag = event->data.sequence_start.tag;
    if (event->type == YAML_MAPPING_START_EVENT) tag = event->data.mapping_start.tag;
    return (const char *)tag;
}

static bool event_anchor(const yaml_event_t *event)
{
    return event->type == YAML_ALIAS_EVENT ||
           (event->type == YAML_SCALAR_EVENT && event->data.scalar.anchor) ||
           (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.anchor) ||
           (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.anchor);
}

static cj_status take(reader *r, const yaml_event_t *event)
{
    if (event_anchor(event))
        return refuse(r, event, CJ_ERR_FORMAT,
                      "a recipe has no anchors (&) and aliases (*); quote the word");
    if (event_tag(event))
        return refuse(r, event, CJ_ERR_FORMAT, "a recipe has no tags (!); quote the word");
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->done)
            return refuse(r, event, CJ_ERR_FORMAT, "a recipe is one document, found a second");
        r->done = true;
        return CJ_OK;
    case YAML_SCALAR_EVENT: return read_scalar(r, event);
    case YAML_SEQUENCE_START_EVENT: return open_item(r, event, CJ_ITEM_LIST);
    case YAML_MAPPING_START_EVENT: return open_item(r, event, CJ_ITEM_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: r->depth--; return CJ_OK;
    default: return CJ_OK;
    }
}

/* libyaml knows the line of what it could parse, and the offset of bytes that are no text. */
static cj_status syntax_error(reader *r, const yaml_parser_t *parser, const unsigned char *bytes,
                              size_t size)
{
    size_t line = parser->problem_mark.line + 1;
    if (parser->error == YAML_MEMORY_ERROR)
        return cj_fail(r->recipe->cj, CJ_ERR_MEMORY, "%s: out of memory", r->recipe->file);
    if (parser->error == YAML_READER_ERROR) {
        line = 1;
        for (size_t i = 0; i < size && i < parser->problem_offset; i++) line += bytes[i] == '\n';
    }
    return cj_fail(r->recipe->cj, CJ_ERR_FORMAT, "%s:%zu: not YAML: %s", r->recipe->file, line,
                   parser->problem ? parser->problem : "it could not be read");
}

cj_status cj__recipe_read_yaml(cj_recipe *recipe, const void *bytes, size_t size)
{
    yaml_parser_t parser;
    reader r = {.recipe = recipe};
    cj_status failed = CJ_OK;
    if (!yaml_parser_initialize(&parser))
        return cj_fail(recipe->cj, CJ_ERR_MEMORY, "%s: out of memory", recipe->file);
    yaml_parser_set_input_string(&parser, bytes, size);
    for (bool end = false; !failed && !end;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            failed = syntax_error(&r, &parser, bytes, size);
            break;
        }
        end = event.type == YAML_STREAM_END_EVENT;
        failed = take(&r, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return failed;
}
#else
typedef int cj__no_yaml; /* a translation unit is not empty */
#endif
