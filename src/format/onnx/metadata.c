/* metadata.c: what ONNX's graph cannot say, as metadata_props of the model; docs/onnx.md lists the
 * keys.
 *
 * Values are text, or JSON where they are lists. Keys of others are kept in the model and written
 * again. */
#include <string.h>

#include "base/json.h"
#include "base/registry.h"
#include "format/onnx/file.h"
#include "format/onnx/packed.h"

static const char regularizers_key[] = "cajal.regularizers",
                  constraints_key[] = "cajal.constraints",
                  target_kind_key[] = "cajal.target_kind";

/* What is meant when nothing is said has no word. */
static const char *const kinds[] = {[CJ_FIELD_VALUES] = NULL,
                                    [CJ_FIELD_MASK] = "mask",
                                    [CJ_FIELD_BOXES] = "boxes"};

void cj__onnx_property(cj__onnx_properties *p, const char *key, const char *value)
{
    if (p->failed || !value) return;
    if (p->count == CJ__COUNT(p->items)) {
        p->failed = cj_fail(p->arena->cj, CJ_ERR_LIMIT, "more than %zu metadata keys",
                            CJ__COUNT(p->items));
        return;
    }
    char *k = cj__arena_strdup(p->arena, key), *v = cj__arena_strdup(p->arena, value);
    if (!k || !v) p->failed = CJ_ERR_MEMORY;
    else p->items[p->count++] = (cj__onnx_entry){cj__slice_of(k), cj__slice_of(v)};
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void put_list(cj__text *text, const char *const *names, int n)
{
    cj__text_char(text, '[');
    for (int i = 0; i < n; i++) {
        if (i) cj__text_char(text, ',');
        cj__text_json(text, names[i]);
    }
    cj__text_char(text, ']');
}

/* [{"name": "age"}, {"name": "sex", "categories": ["f", "m"]}] */
static void put_columns(cj__text *text, const cj_column *columns, int n)
{
    cj__text_char(text, '[');
    for (int i = 0; i < n; i++) {
        cj__text_add(text, i ? ",{\"name\":" : "{\"name\":");
        cj__text_json(text, columns[i].name);
        if (columns[i].kind == CJ_COLUMN_CATEGORICAL) {
            cj__text_add(text, ",\"categories\":");
            put_list(text, columns[i].category_names, columns[i].categories);
        }
        cj__text_char(text, '}');
    }
    cj__text_char(text, ']');
}

/* {"dense/kernel": "l2(0.01)"}: the rules of this kind; nothing when there is none. */
static void put_rules(cj__text *text, const cj__layers *layers, int kind)
{
    for (const cj__rule *rule = layers ? layers->rules : NULL; rule; rule = rule->next) {
        if (rule->kind != kind) continue;
        cj__text_add(text, *cj__text_string(text) ? "," : "{");
        cj__text_json(text, rule->parameter->name);
        cj__text_char(text, ':');
        cj__text_json(text, rule->text);
    }
    if (*cj__text_string(text)) cj__text_char(text, '}');
}

static void put_text(cj__onnx_properties *p, const char *key, cj__text *text)
{
    if (text->failed && !p->failed) p->failed = text->failed;
    if (*cj__text_string(text)) cj__onnx_property(p, key, cj__text_string(text));
    cj__text_clear(text);
}

/* The first is what is meant when nothing is said. */
static const char *const fits[] = {[CJ_FIT_STRETCH] = "stretch",
                                   [CJ_FIT_CROP] = "crop",
                                   [CJ_FIT_PAD] = "pad"};

/* What the graph does to raw samples, for who reads the file: it is in the graph already. How a
 * picture becomes a raw sample is not. */
static void put_preparation(cj__text *text, const cj__preparation *p)
{
    cj__text_format(text, "{\"dtype\":\"%s\",\"shape\":[", cj_dtype_info(p->dtype)->name);
    for (int i = 0; i < p->rank; i++)
        cj__text_format(text, "%s%lld", i ? "," : "", (long long)p->shape[i]);
    cj__text_add(text, "],\"steps\":[\"cast\"");
    if (p->columns) cj__text_add(text, ",\"one-hot\"");
    if (p->offset) cj__text_add(text, ",\"subtract\"");
    if (p->scale) cj__text_add(text, ",\"multiply\"");
    cj__text_char(text, ']');
    if (p->fit) cj__text_format(text, ",\"resize\":\"%s\"", fits[p->fit]);
    cj__text_char(text, '}');
}

void cj__onnx_describe_model(cj__onnx_properties *p, cj_model *m)
{
    cj__text text;
    cj__text_init(&text, m->cj);
    cj__onnx_property(p, "cajal.text",
                      m->text            ? m->text
                      : m->graph->layers ? cj_model_text(m)
                                         : NULL);
    cj__onnx_property(p, "cajal.loss", m->loss);
    cj__onnx_property(p, "cajal.metrics", m->metrics);
    cj__onnx_property(p, "cajal.target", m->target);
    cj__onnx_property(p, target_kind_key, kinds[m->target_kind]);
    put_rules(&text, m->graph->layers, CJ__ROW_REGULARIZER);
    put_text(p, regularizers_key, &text);
    put_rules(&text, m->graph->layers, CJ__ROW_CONSTRAINT);
    put_text(p, constraints_key, &text);
    if (m->class_names) {
        put_list(&text, m->class_names, m->classes);
        put_text(p, "cajal.classes", &text);
    } else if (m->classes) {
        cj__text_format(&text, "%d", m->classes);
        put_text(p, "cajal.class_count", &text);
    }
    const cj__preparation *first = m->n_preparations ? &m->preparation[0] : NULL;
    if (first && first->columns) {
        put_columns(&text, first->column_info, first->columns);
        put_text(p, "cajal.columns", &text);
    }
    if (first && first->known && !first->in_graph) { /* a loaded model has kept the key */
        put_preparation(&text, first);
        put_text(p, "cajal.input", &text);
    }
    for (int i = 0; i < m->metadata.count; i++) {
        bool there = false;
        for (size_t k = 0; k < p->count; k++)
            there = there || cj__slice_is(p->items[k].key, m->metadata.items[i].name);
        if (!there)
            cj__onnx_property(p, m->metadata.items[i].name,
                              (const char *)(void *)m->metadata.items[i].node);
    }
    cj__text_release(&text);
}

/* "class_mask", or with more "_" until nothing else is called that. */
static const char *name_of_mask(cj__arena *arena, const cj_graph *g, const char *output)
{
    char *name = cj__arena_printf(arena, "%s_mask", output);
    while (name && (cj__nodes_find(&g->outputs, name) || cj__nodes_find(&g->inputs, name)))
        name = cj__arena_printf(arena, "%s_", name);
    return name;
}

/* A name for each of the model's own outputs; "": it has no mask. */
void cj__onnx_put_masks(cj__onnx_properties *p, cj_model *m, cj_graph *g)
{
    const cj__nodes *outputs = &m->graph->outputs;
    const char **names = cj__arena_array(p->arena, (size_t)outputs->count + 1, sizeof *names);
    int found = 0;
    if (!names && !p->failed) p->failed = CJ_ERR_MEMORY;
    for (int i = 0; names && i < outputs->count; i++) {
        cj_node *mask = cj__model_node_in(m, g, cj_mask_of(outputs->items[i].node));
        names[i] = mask ? name_of_mask(p->arena, g, outputs->items[i].name) : "";
        if (!names[i]) {
            p->failed = CJ_ERR_MEMORY;
            return;
        }
        if (mask) cj_graph_output(g, names[i], cj_identity(mask));
        found += mask != NULL;
    }
    cj__text text;
    cj__text_init(&text, m->cj);
    if (found) {
        put_list(&text, names, outputs->count);
        put_text(p, "cajal.masks", &text);
    }
    cj__text_release(&text);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static const cj__onnx_entry *find(const cj__onnx_model *from, const char *key)
{
    for (size_t i = 0; i < from->metadata_props.count; i++)
        if (cj__slice_is(from->metadata_props.items[i].key, key))
            return &from->metadata_props.items[i];
    return NULL;
}

static cj_status bad(cj_context *cj, const char *key)
{
    return cj_fail(cj, CJ_ERR_DATA, "metadata '%s' is not what Cajal writes there", key);
}

cj_status cj__onnx_metadata_json(cj__arena *arena, const cj__onnx_model *from, const char *key,
                                 const cj__json **out)
{
    const cj__onnx_entry *entry = find(from, key);
    *out = NULL;
    return entry ? cj__json_parse(arena, key, entry->value.at ? entry->value.at : "",
                                  entry->value.size, NULL, out)
                 : CJ_OK;
}

/* *list stays NULL when the key is absent. */
static cj_status read_list(cj__arena *arena, const cj__onnx_model *from, const char *key,
                           const cj__json **list)
{
    CJ__TRY(cj__onnx_metadata_json(arena, from, key, list));
    return !*list || (*list)->type == CJ__JSON_ARRAY ? CJ_OK : bad(arena->cj, key);
}

cj_status cj__onnx_listed_names(cj_context *cj, cj__arena *arena, const cj__onnx_model *from,
                                const char *key, cj__names *out, bool *found)
{
    const cj__json *list;
    cj__names_init(out, arena);
    CJ__TRY(read_list(arena, from, key, &list));
    *found = list != NULL;
    uintptr_t number = 0;
    for (const cj__json *item = list ? list->first : NULL; item; item = item->next) {
        if (item->type != CJ__JSON_STRING) return bad(cj, key);
        if (!cj__names_put(out, item->string, (void *)++number)) return CJ_ERR_MEMORY;
    }
    return CJ_OK;
}

/* The strings of a JSON list, in the model's arena. */
static cj_status strings_of(cj_model *m, const char *key, const cj__json *list, const char ***out)
{
    const char **names = cj__arena_array(&m->arena, list->count + 1, sizeof(*names));
    size_t i = 0;
    if (!names) return CJ_ERR_MEMORY;
    for (const cj__json *item = list->first; item; item = item->next) {
        if (item->type != CJ__JSON_STRING) return bad(m->cj, key);
        if (!(names[i++] = cj__arena_strdup(&m->arena, item->string))) return CJ_ERR_MEMORY;
    }
    *out = names;
    return CJ_OK;
}

static cj_status recall_columns(cj__arena *arena, const cj__onnx_model *from, cj_model *m)
{
    const char *key = "cajal.columns";
    const cj__json *list;
    CJ__TRY(read_list(arena, from, key, &list));
    if (!list || !m->n_preparations) return CJ_OK;
    cj__preparation *p = &m->preparation[0];
    const cj_type *x = &m->graph->inputs.items[0].node->type;
    cj_column *columns = cj__arena_array(&m->arena, list->count + 1, sizeof(*columns));
    if (!columns) return CJ_ERR_MEMORY;
    int n = 0;
    for (const cj__json *item = list->first; item; item = item->next, n++) {
        const cj__json *name = cj__json_find(item, "name"),
                       *categories = cj__json_find(item, "categories");
        if (!name || name->type != CJ__JSON_STRING ||
            (categories && categories->type != CJ__JSON_ARRAY))
            return bad(m->cj, key);
        columns[n].name = cj__arena_strdup(&m->arena, name->string);
        if (!columns[n].name) return CJ_ERR_MEMORY;
        if (!categories) continue;
        const char **names = NULL;
        CJ__TRY(strings_of(m, key, categories, &names));
        columns[n].kind = CJ_COLUMN_CATEGORICAL;
        columns[n].category_names = names;
        columns[n].categories = (int)categories->count;
    }
    if (x->rank != 2 || (x->dim[1] >= 0 && x->dim[1] != n)) return bad(m->cj, key);
    p->columns = n;
    p->column_info = columns;
    return CJ_OK;
}

/* How pictures come to the size of raw samples. */
static cj_status recall_fit(cj__arena *arena, const cj__onnx_model *from, cj_model *m)
{
    const char *key = "cajal.input";
    const cj__json *input;
    if (!m->n_preparations) return CJ_OK;
    CJ__TRY(cj__onnx_metadata_json(arena, from, key, &input));
    if (!input) return CJ_OK;
    const cj__json *resize = input->type == CJ__JSON_OBJECT ? cj__json_find(input, "resize") : NULL;
    if (!resize) return CJ_OK;
    for (size_t i = 0; resize->type == CJ__JSON_STRING && i < CJ__COUNT(fits); i++)
        if (!strcmp(resize->string, fits[i])) {
            m->preparation[0].fit = (cj_picture_fit)i;
            return CJ_OK;
        }
    return bad(m->cj, key);
}

/* Keys that stand for a field of the model are not kept twice. */
static bool is_ours(cj__slice key)
{
    static const char *const keys[] = {"cajal.text",    "cajal.loss",       "cajal.metrics",
                                       "cajal.target",  "cajal.classes",    "cajal.class_count",
                                       "cajal.columns", "cajal.parameters", "cajal.variables",
                                       "cajal.masks",   "cajal.packed",     regularizers_key,
                                       constraints_key, target_kind_key};
    for (size_t i = 0; i < CJ__COUNT(keys); i++)
        if (cj__slice_is(key, keys[i])) return true;
    return false;
}

static cj_status recall_text(const cj__onnx_model *from, const char *key, cj_model *m,
                             const char **field)
{
    const cj__onnx_entry *entry = find(from, key);
    char *text;
    if (!entry || !entry->value.size) return CJ_OK;
    CJ__TRY(cj__slice_string(&m->arena, entry->value, key, &text));
    *field = text;
    return CJ_OK;
}

/* What the numbers of the output are. */
static cj_status recall_kind(const cj__onnx_model *from, cj_model *m)
{
    const cj__onnx_entry *entry = find(from, target_kind_key);
    if (!entry) return CJ_OK;
    for (size_t i = 0; i < CJ__COUNT(kinds); i++)
        if (kinds[i] && cj__slice_is(entry->value, kinds[i])) {
            m->target_kind = (cj_field_kind)i;
            return CJ_OK;
        }
    return bad(m->cj, target_kind_key);
}

static cj_status keep_others(const cj__onnx_model *from, cj_model *m)
{
    for (size_t i = 0; i < from->metadata_props.count && m->metadata.count < 16; i++) {
        const cj__onnx_entry *e = &from->metadata_props.items[i];
        char *key, *value;
        if (is_ours(e->key) || !e->key.size) continue;
        CJ__TRY(cj__slice_string(&m->arena, e->key, "a metadata key", &key));
        CJ__TRY(cj__slice_string(&m->arena, e->value.at ? e->value : cj__slice_of(""),
                                 "a metadata value", &value));
        CJ__TRY(cj__nodes_add(m->graph, &m->metadata, key, (cj_node *)(void *)value));
    }
    return CJ_OK;
}

/* Outputs that are masks of those before them are so again, and no outputs. */
static cj_status recall_masks(cj__arena *arena, const cj__onnx_model *from, cj_model *m)
{
    const char *key = "cajal.masks";
    const cj__json *list;
    cj__nodes *outputs = &m->graph->outputs;
    CJ__TRY(read_list(arena, from, key, &list));
    if (!list) return CJ_OK;
    if (list->count > (size_t)outputs->count) return bad(m->cj, key);
    const int own = (int)list->count;
    int i = 0, at = own;
    for (const cj__json *item = list->first; item; item = item->next, i++) {
        if (item->type != CJ__JSON_STRING) return bad(m->cj, key);
        if (!*item->string) continue;
        if (at == outputs->count || strcmp(outputs->items[at].name, item->string) ||
            outputs->items[at].node->type.dtype != CJ_BOOL)
            return bad(m->cj, key);
        if (!cj__mask_attach(outputs->items[i].node, outputs->items[at++].node))
            return m->graph->failed;
    }
    if (at != outputs->count) return bad(m->cj, key);
    outputs->count = own;
    cj__nodes_index(outputs);
    return CJ_OK;
}

/* What the layers' options said of parameters, for training to go on with. */
static cj_status recall_rules(cj__arena *arena, const cj__onnx_model *from, cj_model *m,
                              const char *key, int kind)
{
    const cj__json *rules;
    CJ__TRY(cj__onnx_metadata_json(arena, from, key, &rules));
    if (!rules) return CJ_OK;
    if (rules->type != CJ__JSON_OBJECT) return bad(m->cj, key);
    for (const cj__json *rule = rules->first; rule; rule = rule->next) {
        cj_node *parameter = cj__nodes_find(&m->graph->parameters, rule->key);
        if (!parameter || rule->type != CJ__JSON_STRING || !*rule->string) return bad(m->cj, key);
        cj_status failed = cj__rule_read(m->graph, parameter, kind, rule->string);
        if (failed) return cj__prefix(m->cj, failed, "metadata '%s': %s", key, rule->key);
    }
    return CJ_OK;
}

cj_status cj__onnx_recall_model(cj__arena *arena, const cj__onnx_model *from, cj_model *m)
{
    const cj__json *classes;
    const char *count = NULL;
    int64_t n;
    CJ__TRY(recall_text(from, "cajal.text", m, &m->text));
    CJ__TRY(recall_text(from, "cajal.loss", m, &m->loss));
    CJ__TRY(recall_text(from, "cajal.metrics", m, &m->metrics));
    CJ__TRY(recall_text(from, "cajal.target", m, &m->target));
    CJ__TRY(recall_kind(from, m));
    CJ__TRY(recall_text(from, "cajal.class_count", m, &count));
    CJ__TRY(read_list(arena, from, "cajal.classes", &classes));
    if (classes) {
        CJ__TRY(strings_of(m, "cajal.classes", classes, &m->class_names));
        m->classes = (int)classes->count;
    } else if (count) {
        if (!cj__parse_int64(count, strlen(count), &n) || n < 1 || n > 1 << 24)
            return bad(m->cj, "cajal.class_count");
        m->classes = (int)n;
    }
    /* Raw samples are what the graph takes. */
    for (int i = 0; i < m->n_preparations; i++) {
        const cj_type *x = &m->graph->inputs.items[i].node->type;
        cj__preparation *p = &m->preparation[i];
        p->known = p->in_graph = find(from, "cajal.input") != NULL;
        p->field = m->graph->inputs.items[i].name;
        p->dtype = x->dtype;
        p->rank = x->rank ? x->rank - 1 : 0;
        for (int k = 0; k < p->rank; k++) p->shape[k] = x->dim[k + 1];
    }
    CJ__TRY(recall_columns(arena, from, m));
    CJ__TRY(recall_fit(arena, from, m));
    CJ__TRY(recall_masks(arena, from, m));
    CJ__TRY(recall_rules(arena, from, m, regularizers_key, CJ__ROW_REGULARIZER));
    CJ__TRY(recall_rules(arena, from, m, constraints_key, CJ__ROW_CONSTRAINT));
    return keep_others(from, m);
}
