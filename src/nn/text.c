/* text.c: models from text, and back.
 *
 *     model = layer { "," layer }                       commas outside brackets and quotes
 *     layer = name { blank word }  |  name "(" word { "," word } ")"
 *     word  = key "=" value  |  switch  |  activation  |  value of the next option of the table
 *
 * A network of the zoo stands where a layer does. Both forms of a layer become one list of words,
 * and every word one option of the layer's row, so the text can say what C can. A recipe's list is
 * the second form: {dense: {units: 10}} is "dense(units=10)". */
#include "nn/model.h"

#include "base/registry.h"

#include <string.h>

enum { LAYERS_MAX = 4096, WORDS_MAX = 64 };

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

/* ---- Words ----------------------------------------------------------------------------------- */

typedef struct words {
    int n;
    struct word {
        const char *key; /* NULL: none was given */
        const char *value;
    } item[WORDS_MAX];
} words;

static char *copy_trimmed(cj__arena *arena, const char *begin, const char *end)
{
    while (begin < end && is_blank(*begin)) begin++;
    while (end > begin && is_blank(end[-1])) end--;
    char *copy = cj__arena_alloc(arena, (size_t)(end - begin) + 1);
    if (copy) memcpy(copy, begin, (size_t)(end - begin));
    return copy;
}

static cj_status add_word(cj__arena *arena, const char *layer, words *out, const char *begin,
                          const char *end)
{
    if (out->n == WORDS_MAX)
        return cj_fail(arena->cj, CJ_ERR_LIMIT, "%s: more than %d options", layer, WORDS_MAX);
    char *text = copy_trimmed(arena, begin, end), *p = text;
    if (!text) return arena->cj->status;
    if (!*text)
        return cj_fail(arena->cj, CJ_ERR_ARGUMENT, "%s: an option is missing between two commas",
                       layer);
    while (is_word_char(*p)) p++;
    char *equals = p;
    while (is_blank(*equals)) equals++;
    struct word *word = &out->item[out->n++];
    *word = (struct word){NULL, text};
    if (p == text || *equals != '=') return CJ_OK;
    *p = 0;
    *word = (struct word){text, equals + 1};
    return CJ_OK;
}

/* Where the word at p ends: a blank (or a comma, in the form with brackets) outside brackets and
 * quotes. The text as a whole has matching brackets. */
static const char *word_end(const char *p, const char *end, bool commas)
{
    int depth = 0;
    char quote = 0;
    for (; p < end; p++) {
        if (quote) {
            if (*p == '\\' && p + 1 < end) p++;
            else if (*p == quote) quote = 0;
        } else if (*p == '"' || *p == '\'') quote = *p;
        else if (strchr("([{", *p)) depth++;
        else if (strchr(")]}", *p)) depth--;
        else if (depth == 0 && (commas ? *p == ',' : is_blank(*p))) break;
    }
    return p;
}

static cj_status split_words(cj__arena *arena, const char *layer, const char *p, const char *end,
                             bool commas, words *out)
{
    out->n = 0;
    for (;;) {
        while (p < end && is_blank(*p)) p++;
        if (p == end && (!commas || !out->n)) return CJ_OK;
        const char *stop = word_end(p, end, commas);
        CJ__TRY(add_word(arena, layer, out, p, stop));
        if (commas && stop == end) return CJ_OK;
        p = commas ? stop + 1 : stop;
    }
}

/* ---- Words to options ------------------------------------------------------------------------ */

typedef struct setter {
    cj_graph *graph;
    const char *layer;
    const cj_option *table;
    void *options;
    uint64_t seen; /* by index in the table */
} setter;

static cj_status set(setter *s, const cj_option *o, const char *value)
{
    uint64_t bit = (uint64_t)1 << ((o - s->table) % 64);
    if (s->seen & bit)
        return cj_fail(s->graph->cj, CJ_ERR_ARGUMENT, "%s: option '%s' is given twice", s->layer,
                       o->name);
    s->seen |= bit;
    return cj__option_set(&s->graph->arena, s->layer, s->table, s->options, o->name, value);
}

static bool is_seen(const setter *s, const cj_option *o)
{
    return s->seen >> ((o - s->table) % 64) & 1;
}

/* Does the word up to its bracket name an activation? */
static bool is_activation(cj_context *cj, const char *word)
{
    size_t n = 0;
    while (is_word_char(word[n])) n++;
    const cj_activation_row *row;
    for (int i = 0; (row = cj_activation_at(cj, i)); i++)
        if (strlen(row->name) == n && !memcmp(row->name, word, n)) return true;
    return false;
}

/* Is it one of the words that this option takes? */
static bool is_choice(const cj_option *o, const char *word)
{
    const char *const *choice = cj_option_words(o);
    while (choice && *choice && strcmp(*choice, word)) choice++;
    return choice && *choice;
}

static bool is_number_type(cj_option_type t)
{
    return t == CJ_OPTION_TYPE_INT || t == CJ_OPTION_TYPE_FLOAT || t == CJ_OPTION_TYPE_INTS ||
           t == CJ_OPTION_TYPE_FLOATS || t == CJ_OPTION_TYPE_SIZES;
}

static bool is_integer(const struct word *w)
{
    int64_t ignored;
    return !w->key && cj__parse_int64(w->value, strlen(w->value), &ignored);
}

/* A list that no number can follow takes all numbers in a row: "reshape 28 28 1". Returns how many.
 */
static int gather(setter *s, const cj_option *o, const words *w, int at, const char **value)
{
    int n = 0;
    if (o->type == CJ_OPTION_TYPE_INTS && !is_number_type(o[1].type))
        while (at + n < w->n && is_integer(&w->item[at + n])) n++;
    *value = w->item[at].value;
    if (n < 2) return 1;
    cj__text list;
    cj__text_init(&list, s->graph->cj);
    for (int i = 0; i < n; i++)
        cj__text_format(&list, "%s%s", i ? ", " : "", w->item[at + i].value);
    *value = list.failed ? NULL : cj__arena_strdup(&s->graph->arena, cj__text_string(&list));
    cj__text_release(&list);
    return n;
}

/* One word without a key (or several: a list). *taken: how many. */
static cj_status set_bare(setter *s, const words *w, int at, int *taken)
{
    cj_context *cj = s->graph->cj;
    const char *value = w->item[at].value;
    const cj_option *o = cj__option_find(s->table, value);
    *taken = 1;
    if (o && o->type == CJ_OPTION_TYPE_BOOL) return set(s, o, "true");
    o = cj__option_find(s->table, "activation");
    if (o && !is_seen(s, o) && is_activation(cj, value)) return set(s, o, value);
    for (o = s->table; o->type; o++)
        if (!is_seen(s, o) && is_choice(o, value)) return set(s, o, value);
    for (o = s->table; o->type && is_seen(s, o); o++) continue;
    if (!s->table->type)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: takes no options, not '%.100s'", s->layer, value);
    if (!o->type || o->type == CJ_OPTION_TYPE_BOOL || !strcmp(o->name, "name"))
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "%s: there is no option for the word '%.100s'; key=value is expected",
                       s->layer, value);
    *taken = gather(s, o, w, at, &value);
    return value ? set(s, o, value) : cj->status;
}

static cj_status set_options(cj_graph *g, const char *layer, const cj_option *table, void *options,
                             const words *w)
{
    setter s = {.graph = g, .layer = layer, .table = table, .options = options};
    cj__options_init(table, options);
    for (int i = 0, taken = 1; i < w->n; i += taken) {
        taken = 1;
        if (!w->item[i].key) {
            CJ__TRY(set_bare(&s, w, i, &taken));
            continue;
        }
        const cj_option *o = cj__option_find(table, w->item[i].key);
        if (o) CJ__TRY(set(&s, o, w->item[i].value));
        else
            CJ__TRY(cj__option_set(&g->arena, layer, table, options, w->item[i].key,
                                   w->item[i].value)); /* names the nearest */
    }
    return CJ_OK;
}

static const cj_option no_options[] = {CJ_OPTION_END};

static cj_node *apply(cj_graph *g, cj_node *const *x, int n, const char *name, const words *w)
{
    const cj_layer *row = cj_layer_find(g->cj, name);
    if (!row) return cj_graph_fail(g, cj_last_status(g->cj), "%s", cj_message(g->cj));
    void *options = cj__arena_alloc(&g->arena, row->options_size ? row->options_size : 1);
    if (!options) return cj_graph_fail(g, cj_last_status(g->cj), "%s", cj_message(g->cj));
    cj_status failed = set_options(g, row->name, row->options ? row->options : no_options, options,
                                   w);
    if (failed) return cj_graph_fail(g, failed, "%s", cj_message(g->cj));
    if (row->inputs < 0 && n < 2 && row->inputs_min != 1)
        return cj_graph_fail(g, CJ_ERR_ARGUMENT,
                             "%s: it takes two or more inputs; in text, layers follow one another",
                             row->name);
    return cj__layer_add(x, n, row, options);
}

/* The row's table with the number of the data's classes as what `classes` is by itself. */
static const cj_option *with_classes(cj_graph *g, const cj_option *table, int classes)
{
    size_t n = 0;
    while (table[n].type) n++;
    cj_option *copy = cj__arena_copy(&g->arena, table, (n + 1) * sizeof *copy);
    for (size_t i = 0; copy && i < n; i++)
        if (!strcmp(copy[i].name, "classes") && copy[i].type == CJ_OPTION_TYPE_INT && classes > 0)
            copy[i].initial = classes;
    return copy;
}

static cj_node *apply_network(cj_node *x, const cj_network *row, int classes, const words *w)
{
    cj_graph *g = x->call->graph;
    const cj_option *table = with_classes(g, row->options ? row->options : no_options, classes);
    void *options = cj__arena_alloc(&g->arena, row->options_size ? row->options_size : 1);
    if (!table || !options) return cj_graph_fail(g, cj_last_status(g->cj), "%s", cj_message(g->cj));
    cj_status failed = set_options(g, row->name, table, options, w);
    if (failed) return cj_graph_fail(g, failed, "%s", cj_message(g->cj));
    return cj__network_add(x, row, options);
}

/* The network of a name that is no layer's. NULL: it is a layer's, or *failed. */
static const cj_network *network_of(cj_context *cj, const char *name, cj_status *failed)
{
    *failed = CJ_OK;
    if (cj__named_known(cj, CJ__ROW_LAYER, name)) return NULL;
    const cj_network *row = cj_network_find(cj, name);
    /* Nearest is what either has; layers are what is most written. */
    if (!row && (cj_layer_find(cj, name), !strstr(cj_message(cj), "did you mean")) &&
        (cj_network_find(cj, name), !strstr(cj_message(cj), "did you mean")))
        cj_layer_find(cj, name);
    if (!row) *failed = cj_last_status(cj);
    return row;
}

cj_node *cj_layer_apply(cj_node *const *x, int n, const char *layer, const char *options)
{
    for (int i = 0; i < n; i++)
        if (!x[i]) return NULL;
    cj_graph *g = cj__graph_of(x, n);
    if (!g || g->failed) return NULL;
    const char *why, *text = options ? options : "";
    words w;
    if (!layer) return cj_graph_fail(g, CJ_ERR_ARGUMENT, "no name of a layer given");
    for (const char *p = text; *p; p += *p == ',') {
        p = cj__option_item_end(p, &why);
        if (!p) return cj_graph_fail(g, CJ_ERR_ARGUMENT, "%s: '%.100s': %s", layer, text, why);
    }
    if (split_words(&g->arena, layer, text, text + strlen(text), true, &w))
        return cj_graph_fail(g, cj_last_status(g->cj), "%s", cj_message(g->cj));
    return apply(g, x, n, layer, &w);
}

/* ---- A layer's text -------------------------------------------------------------------------- */

/* The layer in [p, end), number `number` of a list: its name and its words. */
static cj_status read_layer(cj_graph *g, int number, const char *p, const char *end, char **name,
                            words *w)
{
    char *text = copy_trimmed(&g->arena, p, end);
    if (!text) return g->cj->status;
    size_t n = 0, length = strlen(text);
    while (is_word_char(text[n])) n++;
    if (!length)
        return cj_fail(g->cj, CJ_ERR_ARGUMENT, "layer %d of the model is empty", number);
    if (!n)
        return cj_fail(g->cj, CJ_ERR_ARGUMENT, "'%.100s' does not begin with the name of a layer",
                       text);
    const char *rest = text + n, *stop = text + length;
    bool bracket = *rest == '(' && word_end(rest, stop, false) == stop && stop[-1] == ')';
    if (*rest && !bracket && !is_blank(*rest))
        return cj_fail(g->cj, CJ_ERR_ARGUMENT,
                       "'%.100s' is not of the form name(key=value, key=value) or name word word",
                       text);
    if (!(*name = copy_trimmed(&g->arena, text, rest))) return g->cj->status;
    return split_words(&g->arena, *name, rest + bracket, stop - bracket, bracket, w);
}

/* Layers one after another, in brackets or not, each into the one behind it. */
static cj_node *follow(cj_graph *g, cj_node *x, const char *option, const char *text)
{
    const char *why, *end, *p = text, *stop = text + strlen(text);
    char *name;
    words w;
    if (*text == '[' && word_end(text, stop, false) == stop) {
        text = copy_trimmed(&g->arena, text + 1, stop - 1);
        if (!(p = text)) return cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory");
    }
    for (int number = 1; x && !g->failed; p = end + 1, number++) {
        if (!(end = cj__option_item_end(p, &why)))
            return cj_graph_fail(g, CJ_ERR_ARGUMENT, "%s '%.100s': %s", option, text, why);
        cj_status failed = read_layer(g, number, p, end, &name, &w);
        if (failed) return cj_graph_fail(g, failed, "%s: %s", option, cj_message(g->cj));
        x = apply(g, &x, 1, name, &w);
        if (!*end) return x;
    }
    return NULL;
}

cj_node *cj__layers_follow(cj_layer_build *b, cj_node *x, const char *option, const char *text)
{
    cj__layers *layers = cj__layers_of(b->graph);
    if (!layers || !x || b->graph->failed) return NULL;
    if (layers->depth == CJ__LAYERS_DEEP)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_LIMIT,
                              "layers in layers are more than %d deep", CJ__LAYERS_DEEP),
               NULL;
    layers->depth++;
    x = follow(b->graph, x, option, text);
    layers->depth--;
    return x;
}

/* ---- Text to model --------------------------------------------------------------------------- */

/* The first layer "input 28 28 1": no row, because it has no operand. */
typedef struct input_options {
    cj_ints shape;
    cj_dtype dtype;
    const char *name;
} input_options;

static const cj_option input_table[] = {
    CJ_OPTION_INTS(input_options, shape, 1, 0x1p53, "of a sample"),
    CJ_OPTION_DTYPE(input_options, dtype, CJ_F32, "f32 or f64"),
    CJ_OPTION_STRING(input_options, name, NULL, "of the input"), CJ_OPTION_END};

typedef struct builder {
    cj_model *m;
    const cj_field *input, *target; /* of the data, or NULL */
    cj_node *x;                     /* so far; NULL before the first layer */
    int layers;
} builder;

/* The shape of samples once prepared. */
static void prepared_shape(const cj_field *field, int *rank, int64_t dims[CJ_RANK_MAX])
{
    *rank = field->rank;
    memcpy(dims, field->shape, sizeof field->shape);
    if (field->columns > 0) dims[0] = cj__columns_width(field->columns, field->column_info);
}

/* network: the first layer, or NULL. */
static cj_status begin_from_data(builder *b, const cj_network *network)
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (!b->input && network && network->rank) {
        b->x = cj_model_input(b->m, "x", network->rank, network->shape);
        return b->m->graph->failed;
    }
    if (!b->input)
        return cj_fail(b->m->cj, CJ_ERR_ARGUMENT,
                       "without data a model begins with its input, such as \"input 28 28 1, "
                       "flatten, dense 10 softmax\"");
    prepared_shape(b->input, &rank, dims);
    b->x = cj_model_input(b->m, b->input->name, rank, dims);
    return b->m->graph->failed;
}

static cj_status begin_from_words(builder *b, const words *w)
{
    cj_graph *g = b->m->graph;
    input_options o;
    if (b->x)
        return cj_fail(g->cj, CJ_ERR_ARGUMENT, "input: only the first layer can be the input");
    CJ__TRY(set_options(g, "input", input_table, &o, w));
    cj_model_set_dtype(b->m, o.dtype);
    b->x = cj_model_input(b->m,
                          o.name     ? o.name
                          : b->input ? b->input->name
                                     : "x",
                          o.shape.n, o.shape.v);
    if (g->failed || !b->input) return g->failed;
    int rank;
    int64_t dims[CJ_RANK_MAX];
    prepared_shape(b->input, &rank, dims);
    if (rank == o.shape.n && !memcmp(dims, o.shape.v, (size_t)rank * sizeof *dims)) return CJ_OK;
    return cj_fail(g->cj, CJ_ERR_SHAPE, "input: its shape is not the one of '%s' in the data",
                   b->input->name);
}

/* Adds the layer in [p, end). */
static cj_status add_layer(builder *b, const char *p, const char *end)
{
    cj_graph *g = b->m->graph;
    char *name;
    words w;
    if (++b->layers > LAYERS_MAX)
        return cj_fail(g->cj, CJ_ERR_LIMIT, "the model has more than %d layers", LAYERS_MAX);
    CJ__TRY(read_layer(g, b->layers, p, end, &name, &w));
    if (!strcmp(name, "input")) return begin_from_words(b, &w);
    cj_status unknown;
    const cj_network *network = network_of(g->cj, name, &unknown);
    CJ__TRY(unknown);
    if (!b->x) CJ__TRY(begin_from_data(b, network));
    b->x = network ? apply_network(b->x, network, b->target ? b->target->classes : 0, &w)
                   : apply(g, &b->x, 1, name, &w);
    return g->failed;
}

static cj_status add_layers(builder *b, const char *text)
{
    const char *why, *p = text;
    for (;;) {
        const char *end = cj__option_item_end(p, &why);
        if (!end) return cj_fail(b->m->cj, CJ_ERR_ARGUMENT, "model '%.100s': %s", text, why);
        CJ__TRY(add_layer(b, p, end));
        if (!*end) return CJ_OK;
        p = end + 1;
    }
}

static cj_status begin(builder *b, cj_context *cj, const cj_dataset *data, uint64_t seed)
{
    *b = (builder){0};
    for (int i = 0; data && i < cj_dataset_fields(data); i++) {
        const cj_field *field = cj_dataset_field(data, i);
        if (field->role == CJ_FIELD_TARGET && !b->target) b->target = field;
        if (field->role != CJ_FIELD_INPUT) continue;
        if (b->input)
            return cj_fail(cj, CJ_ERR_ARGUMENT,
                           "a model from text has one input, and the data has '%s' and '%s'",
                           b->input->name, field->name);
        b->input = field;
    }
    if (data && !b->input) return cj_fail(cj, CJ_ERR_ARGUMENT, "the data has no input field");
    b->m = cj_model_new(cj);
    if (!b->m) return cj_last_status(cj);
    cj_model_set_seed(b->m, seed);
    return CJ_OK;
}

/* The model, or NULL: its last failure stands in the context. */
static cj_model *finish(builder *b, cj_status failed)
{
    if (!failed) {
        cj_output(b->m,
                  !b->target               ? "y"
                  : b->target->classes > 0 && b->target->kind != CJ_FIELD_BOXES ? "class"
                                           : b->target->name,
                  b->x);
        failed = b->m->graph->failed;
    }
    if (!failed) return b->m;
    cj_model_free(b->m);
    return NULL;
}

cj_model *cj_model_from_text(cj_context *cj, const char *text, const cj_dataset *data,
                             uint64_t seed)
{
    builder b;
    cj_status failed = begin(&b, cj, data, seed);
    if (!failed)
        failed = text ? add_layers(&b, text)
                      : cj_fail(cj, CJ_ERR_ARGUMENT, "no text of a model given");
    return finish(&b, failed);
}

cj_model *cj_model_from_recipe(cj_context *cj, cj_recipe *recipe, const char *key,
                               const cj_dataset *data, uint64_t seed)
{
    const cj_item *value = cj_recipe_find(recipe, key);
    if (!value || value->kind == CJ_ITEM_NULL) {
        cj_fail(cj, CJ_ERR_ARGUMENT, "the recipe has no %s", key);
        return NULL;
    }
    builder b;
    bool list = value->kind == CJ_ITEM_LIST;
    cj_status failed = begin(&b, cj, data, seed);
    if (!failed && list && !value->first)
        failed = cj_fail(cj, CJ_ERR_ARGUMENT, "%s: the list of layers is empty", key);
    for (const cj_item *item = list ? value->first : value; item && !failed;
         item = list ? item->next : NULL) {
        const char *text = NULL;
        failed = cj_item_named(recipe, item, &text);
        if (!failed && (failed = add_layers(&b, text)) != CJ_OK && item->file)
            cj__prefix(cj, failed, "%s:%d", item->file, item->line);
    }
    return finish(&b, failed);
}

/* ---- Model to text --------------------------------------------------------------------------- */

/* " key=value" when the option is not at its initial value; bare: the value alone, where that can
 * be read back. */
static void print_option(cj__text *out, const cj_option *o, const void *options, bool bare)
{
    cj__text one;
    cj__text_init(&one, out->cj);
    cj__options_print(&one, (cj_option[]){*o, CJ_OPTION_END}, options, false);
    const char *text = cj__text_string(&one), *equals = strchr(text, '='),
               *value = equals ? equals + 1 : text;
    if (one.failed) out->failed = one.failed;
    else if (*word_end(value, value + strlen(value), false)) /* a blank would cut it */
        cj__text_format(out, " %.*s\"%s\"", (int)(value - text), text, value);
    else if (equals)
        cj__text_format(out, " %s", bare && *value != '"' && !strchr(value, '=') ? value : text);
    cj__text_release(&one);
}

static void print_layer(cj__text *out, const cj__layer_record *r, const char *automatic)
{
    cj__text_add(out, r->row->name);
    for (const cj_option *o = cj_option_row(r->row->options); o && o->type;
         o = cj_option_row(o + 1)) {
        bool name = !strcmp(o->name, "name");
        if (name && !strcmp(r->name, automatic)) continue;
        print_option(out, o, r->options,
                     !name && (o == r->row->options || !strcmp(o->name, "activation")));
    }
}

/* The name layer i would have if none had been asked for. */
static const char *automatic_name(cj_model *m, const cj__layers *layers, int i)
{
    int number = 0;
    for (int k = 0; k < i; k++) number += layers->items[k].row == layers->items[i].row;
    const char *name = layers->items[i].row->name;
    return number ? cj__arena_printf(&m->arena, "%s_%d", name, number) : name;
}

static void print_network(cj__text *out, const cj__network_record *r)
{
    cj__text_add(out, r->row->name);
    for (const cj_option *o = cj_option_row(r->row->options); o && o->type;
         o = cj_option_row(o + 1))
        print_option(out, o, r->options, false);
}

/* The network whose layers begin with layer i, or NULL. */
static const cj__network_record *network_at(const cj__layers *layers, int i)
{
    for (int k = 0; k < layers->n_networks; k++)
        if (layers->networks[k].first == i && layers->networks[k].count)
            return &layers->networks[k];
    return NULL;
}

static bool is_chain(const cj_model *m, const cj__layers *layers)
{
    const cj_graph *g = m->graph;
    const cj__network_record *network;
    if (g->inputs.count != 1 || g->outputs.count != 1) return false;
    const cj_node *x = g->inputs.items[0].node;
    for (int i = 0; i < layers->count; i += network ? network->count : 1) {
        network = network_at(layers, i);
        const cj__layer_record *r = &layers->items[i];
        if (!network && r->inner) continue;
        if (network ? network->x != x : r->n != 1 || r->x[0] != x) return false;
        x = network ? network->y : r->y;
    }
    return x == g->outputs.items[0].node;
}

const char *cj_model_text(cj_model *m)
{
    if (!m || m->graph->failed) return NULL;
    const cj__layers *layers = m->graph->layers;
    if (!layers->count && m->text) return m->text; /* of a loaded model */
    if (!is_chain(m, layers)) {
        cj_fail(m->cj, CJ_ERR_UNSUPPORTED,
                "the layers of the model do not simply follow one another, so no text says it");
        return NULL;
    }
    const cj_node *x = m->graph->inputs.items[0].node;
    cj__text out;
    cj__text_init(&out, m->cj);
    cj__text_add(&out, "input");
    for (int i = 1; i < x->type.rank; i++)
        cj__text_format(&out, " %lld", (long long)x->type.dim[i]);
    if (x->type.dtype != CJ_F32)
        cj__text_format(&out, " dtype=%s", cj_dtype_info(x->type.dtype)->name);
    const cj_option *name = cj__option_find(input_table, "name");
    if (strcmp(x->name, "x")) print_option(&out, name, &(input_options){.name = x->name}, false);
    for (int i = 0; i < layers->count && !out.failed; i++) {
        const cj__network_record *network = network_at(layers, i);
        if (network) {
            cj__text_add(&out, ", "), print_network(&out, network);
            i += network->count - 1;
            continue;
        }
        if (layers->items[i].inner) continue;
        const char *automatic = automatic_name(m, layers, i);
        if (!automatic) out.failed = m->cj->status;
        else cj__text_add(&out, ", "), print_layer(&out, &layers->items[i], automatic);
    }
    m->text = out.failed ? NULL : cj__arena_strdup(&m->arena, cj__text_string(&out));
    cj__text_release(&out);
    return m->text;
}
