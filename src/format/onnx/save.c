/* save.c: models and graphs in ONNX files.
 *
 * A model is saved as it is run: raw inputs, their preparation, the graph, in one. Loaded again,
 * all of it is the graph, so predict takes the same raw samples, and fit goes on with the same
 * parameters. The masks of outputs are outputs behind them, for other programs, and for a loaded
 * model masks again. Files are replaced whole or not at all. */
#include <string.h>

#include "base/file.h"
#include "base/opts.h"
#include "format/onnx/file.h"
#include "format/onnx/packed.h"
#include "format/onnx/tensor.h"
#include "tensor/tensor.h"

/* ---- Graphs ---------------------------------------------------------------------------------- */

/* ["dense/kernel", ...] of the model's variables in the file that are, or are not, parameters: of
 * the model, or of the graph that is written. */
static void list_variables(const cj__onnx_writer *w, cj_graph *g, const cj_graph *model,
                           cj__onnx_properties *p, const char *key, bool parameters)
{
    cj__text text;
    int n = 0;
    cj__text_init(&text, g->cj);
    cj__text_char(&text, '[');
    for (int i = 0; i < model->variables.count; i++) {
        const char *name = model->variables.items[i].name;
        const bool is_parameter = cj__nodes_find(&model->parameters, name) ||
                                  cj__nodes_find(&g->parameters, name);
        if (is_parameter != parameters) continue;
        if (!cj__onnx_has_variable(w, name)) continue;
        if (n++) cj__text_char(&text, ',');
        cj__text_json(&text, name);
    }
    cj__text_char(&text, ']');
    if (text.failed && !p->failed) p->failed = text.failed;
    if (n || parameters) cj__onnx_property(p, key, cj__text_string(&text));
    cj__text_release(&text);
}

cj_status cj__onnx_write_graph(cj_graph *g, cj_graph *model, int64_t opset,
                               cj__onnx_properties *properties, cj__text *out)
{
    cj__onnx_writer w;
    cj__onnx_model file;
    const cj__layers *layers = model->layers;
    cj_status failed = CJ_OK;
    cj__onnx_writer_init(&w, g->cj, properties->arena);
    if (opset) w.opset = opset;
    w.name = model->name                               ? model->name
             : layers && layers->n_networks == 1 ? layers->networks[0].row->name
                                                 : "model";
    if (w.opset < CJ_ONNX_OPSET || w.opset > CJ_ONNX_OPSET_MAX)
        failed = cj_fail(g->cj, CJ_ERR_ARGUMENT, "opset=%lld: expected %d to %d", (long long)opset,
                         CJ_ONNX_OPSET, CJ_ONNX_OPSET_MAX);
    for (int i = 0; layers && i < layers->count && !failed; i++)
        if (!cj__names_put(&w.layers, layers->items[i].name, &w)) failed = CJ_ERR_MEMORY;
    if (!failed) failed = cj__onnx_export(&w, g, &file);
    if (!failed && g->variables.count) {
        list_variables(&w, g, model, properties, "cajal.parameters", true);
        list_variables(&w, g, model, properties, "cajal.variables", false);
        failed = properties->failed;
    }
    if (!failed && w.packed) {
        cj__text text;
        cj__text_init(&text, g->cj);
        cj__onnx_packed_text(&w, &text);
        failed = text.failed;
        cj__onnx_property(properties, "cajal.packed", cj__text_string(&text));
        cj__text_release(&text);
        failed = failed ? failed : properties->failed;
    }
    if (!failed) {
        file.metadata_props.items = properties->items;
        file.metadata_props.count = properties->count;
        failed = cj__onnx_serialize(&file, out);
    }
    cj__onnx_writer_release(&w);
    return failed ? failed : out->failed;
}

/* The folder of a path in the arena: "." when it has none. */
static char *folder_of(cj__arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return cj__arena_strdup(arena, ".");
    return cj__arena_printf(arena, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* The number of a listed name, from 0; -1: it is in neither list. */
static int64_t place_of(const char *name, const cj__names *parameters, const cj__names *variables)
{
    int64_t place = (int64_t)(uintptr_t)cj__names_get(parameters, name);
    if (place) return place - 1;
    place = (int64_t)(uintptr_t)cj__names_get(variables, name);
    return place ? (int64_t)parameters->count + place - 1 : -1;
}

/* Variables in the order of the file's lists, not in that in which they are first used; what is in
 * neither comes behind. Lists that name one twice change nothing. */
static cj_status order_variables(cj__arena *arena, cj__nodes *nodes, const cj__names *parameters,
                                 const cj__names *variables)
{
    const size_t listed = parameters->count + variables->count,
                 room = listed + (size_t)nodes->count;
    cj__named_node *at = cj__arena_array(arena, room + 1, sizeof *at);
    int n = 0;
    if (!at) return CJ_ERR_MEMORY;
    memset(at, 0, room * sizeof *at);
    for (int i = 0; i < nodes->count; i++) {
        const int64_t place = place_of(nodes->items[i].name, parameters, variables);
        const size_t to = place < 0 ? listed + (size_t)i : (size_t)place;
        if (to >= room || at[to].node) return CJ_OK;
        at[to] = nodes->items[i];
    }
    for (size_t i = 0; i < room; i++)
        if (at[i].node) nodes->items[n++] = at[i];
    cj__nodes_index(nodes);
    return CJ_OK;
}

cj_status cj__onnx_read_graph(cj_context *cj, cj__arena *arena, const cj__onnx_origin *from,
                              const cj_onnx_opts *asked, cj_graph **out, cj__onnx_model **model)
{
    cj__names parameters, variables, packed;
    bool trained, state;
    const bool whole = asked && asked->all_weights; /* as the file has them */
    *out = NULL;
    CJ__TRY(cj__onnx_parse(arena, from->bytes, from->size, model));
    CJ__TRY(cj__onnx_listed_names(cj, arena, *model, "cajal.parameters", &parameters, &trained));
    CJ__TRY(cj__onnx_listed_names(cj, arena, *model, "cajal.variables", &variables, &state));
    if (!whole) CJ__TRY(cj__onnx_unpack(arena, *model, "cajal.packed", &packed));
    cj__onnx_import_opts opts = {.asked = asked,
                                 .packed = whole ? NULL : &packed,
                                 .path = from->path,
                                 .file = from->file,
                                 .bytes = from->size,
                                 .folder = from->path ? folder_of(arena, from->path) : NULL,
                                 .parameters = trained ? &parameters : NULL,
                                 .variables = trained ? &variables : NULL};
    if (from->path && !opts.folder) return cj_last_status(cj);
    if (from->tuning) {
        from->tuning->listed = opts.parameters;
        from->tuning->ours = trained;
        CJ__TRY(cj__onnx_tune(from->tuning, arena, *model));
        opts.frozen = &from->tuning->frozen;
        opts.batch = from->tuning->batch;
        opts.waits = &from->tuning->waits;
    }
    CJ__TRY(cj__onnx_import(cj, arena, *model, &opts, out));
    cj_status failed = CJ_OK;
    if (trained) failed = order_variables(arena, &(*out)->variables, &parameters, &variables);
    if (trained && !failed)
        failed = order_variables(arena, &(*out)->parameters, &parameters, &variables);
    if (failed) cj_graph_free(*out), *out = NULL;
    return failed;
}

cj_status cj_onnx_save_graph(cj_graph *g, const char *path)
{
    return cj_onnx_save_graph_opts(g, path, NULL);
}

cj_status cj_onnx_save_graph_opts(cj_graph *g, const char *path, const cj_onnx_save_opts *opts)
{
    cj_onnx_save_opts o = {0};
    cj__arena arena;
    cj__text text;
    CJ__TRY(cj__opts_take(g->cj, path, &o, sizeof o, opts));
    cj__arena_init(&arena, g->cj);
    cj__text_init(&text, g->cj);
    cj_status failed = cj__onnx_write_graph(g, g, o.opset,
                                            &(cj__onnx_properties){.arena = &arena}, &text);
    if (!failed) failed = cj__file_save(g->cj, path, text.bytes, text.length);
    cj__text_release(&text);
    cj__arena_release(&arena);
    return failed;
}

cj_graph *cj_onnx_load_graph(cj_context *cj, const char *path)
{
    return cj_onnx_load_graph_opts(cj, path, NULL);
}

cj_graph *cj__onnx_load_graph(cj_context *cj, const cj__onnx_origin *from,
                              const cj_onnx_opts *opts)
{
    cj_onnx_opts o = {0};
    cj__arena arena;
    cj__onnx_model *model;
    cj_graph *g = NULL;
    if (cj__opts_take(cj, from->path, &o, sizeof o, opts)) return NULL;
    cj__arena_init(&arena, cj);
    cj_status failed = cj__onnx_read_graph(cj, &arena, from, &o, &g, &model);
    if (failed) cj__prefix(cj, failed, "%s", from->path);
    cj__arena_release(&arena);
    return g;
}

cj_graph *cj_onnx_load_graph_opts(cj_context *cj, const char *path, const cj_onnx_opts *opts)
{
    cj__buffer *file;
    if (!cj || cj__onnx_map(cj, path, &file)) return NULL;
    cj_graph *g = cj__onnx_load_graph(
        cj, &(cj__onnx_origin){file->data, file->size, path, file, NULL, NULL}, opts);
    cj__buffer_unref(file);
    return g;
}

/* ---- Models ---------------------------------------------------------------------------------- */

static void list_parameters(cj_graph *g, const cj__nodes *list)
{
    for (int i = 0; i < list->count && !g->failed; i++) {
        const char *name = list->items[i].name;
        cj_node *node = cj__nodes_find(&g->variables, name);
        if (node && !cj__nodes_find(&g->parameters, name))
            cj__nodes_add(g, &g->parameters, name, node);
    }
}

static cj_status write_model(cj_model *m, int64_t opset, cj__arena *arena, cj__text *text)
{
    int n_in = m->graph->inputs.count, n_out = m->graph->outputs.count;
    cj_node **raw = cj__arena_array(arena, (size_t)n_in + 1, sizeof(cj_node *));
    cj_node **outputs = cj__arena_array(arena, (size_t)n_out + 1, sizeof(cj_node *));
    if (!raw || !outputs) return CJ_ERR_MEMORY;
    if (!n_out)
        return cj_fail(m->cj, CJ_ERR_STATE, "the model has no output, so there is nothing to save");
    cj_graph *g = cj__model_assemble(m, raw, outputs);
    if (!g) return cj_last_status(m->cj);
    bool named = g->outputs.count > 0;
    for (int i = 0; i < n_out && !named; i++)
        cj_graph_output(g, m->graph->outputs.items[i].name, outputs[i]);
    /* What is a parameter of the model is one of the copy. */
    list_parameters(g, &m->graph->parameters);
    list_parameters(g, &m->frozen);
    cj__onnx_properties properties = {.arena = arena};
    cj__onnx_describe_model(&properties, m);
    cj__onnx_put_masks(&properties, m, g);
    cj_status failed = g->failed ? g->failed
                                 : cj__onnx_write_graph(g, m->graph, opset, &properties, text);
    cj_graph_free(g);
    return failed;
}

cj_status cj_save(cj_model *m, const char *path)
{
    return cj_save_opts(m, path, NULL);
}

cj_status cj_save_opts(cj_model *m, const char *path, const cj_onnx_save_opts *opts)
{
    cj__arena arena;
    cj__text text;
    if (!m) return CJ_ERR_MEMORY;
    cj_onnx_save_opts o = {0};
    CJ__TRY(cj__opts_take(m->cj, path, &o, sizeof o, opts));
    if (m->graph->failed)
        return cj_fail(m->cj, m->graph->failed, "%s",
                       m->graph->message ? m->graph->message : "the model has failed");
    cj__arena_init(&arena, m->cj);
    cj__text_init(&text, m->cj);
    cj_status failed = write_model(m, o.opset, &arena, &text);
    if (!failed) failed = cj__file_save(m->cj, path, text.bytes, text.length);
    else cj__prefix(m->cj, failed, "%s", path);
    cj__text_release(&text);
    cj__arena_release(&arena);
    return failed;
}

/* The graph takes the place of the empty one a new model has. */
static cj_status adopt_graph(cj_model *m, cj_graph *g)
{
    cj__layers *layers = cj__layers_of(g);
    m->preparation = cj__arena_array(&m->arena, (size_t)g->inputs.count + 1,
                                     sizeof(*m->preparation));
    if (!layers || !m->preparation) {
        cj_graph_free(g);
        return CJ_ERR_MEMORY;
    }
    m->n_preparations = g->inputs.count;
    cj_graph_free(m->graph);
    m->graph = g;
    cj__disown(&g->owned);
    layers->model = m;
    return CJ_OK;
}

static cj_status read_once(cj_context *cj, const cj__onnx_origin *from, cj_model **out)
{
    cj__arena arena;
    cj__onnx_model *parsed;
    cj_graph *g = NULL;
    const cj_tune_opts *o = &from->tuning->opts;
    cj_onnx_opts asked = {.values = from->tuning->with_values ? o->values : NULL, .user = o->user};
    cj__arena_init(&arena, cj);
    cj_model *m = cj_model_new(cj);
    cj_status failed = m ? cj__onnx_read_graph(cj, &arena, from, &asked, &g, &parsed)
                         : CJ_ERR_MEMORY;
    if (!failed) failed = adopt_graph(m, g);
    if (!failed) failed = cj__onnx_recall_model(&arena, parsed, m);
    if (!failed) failed = cj__onnx_tuned(from->tuning, m, parsed);
    if (!failed) m->imported = !from->tuning->ours;
    if (failed) cj_model_free(m);
    else *out = m;
    cj__arena_release(&arena);
    return failed;
}

/* A line at a time. */
static void tell_all(const cj__onnx_tuning *t)
{
    char line[1024];
    for (const char *at = t->opts.tell ? cj__text_string(t->told) : ""; *at;) {
        size_t length = strcspn(at, "\n");
        cj__format(line, sizeof line, "%.*s", (int)length, at);
        t->opts.tell(t->opts.user, line);
        at += length + (at[length] == '\n');
    }
}

/* The failure there is, and what can be done with such a file. */
static cj_status refuse_values(cj_context *cj, cj_status failed)
{
    char why[CJ__MESSAGE_BYTES];
    cj__format(why, sizeof why, "%s", cj_message(cj));
    return cj_fail(
        cj, failed,
        "%s; what a shape depends on is the value of an input here, so the file is read "
        "together with its inputs: cajal run, grad, predict, evaluate, summary and bench do that",
        why);
}

/* A batch that the graph does not take as a symbol is read as the file has it; and where shapes
 * depend on values, with those that the caller gives. */
cj_status cj__onnx_read_model(cj_context *cj, const cj__onnx_origin *from, cj_model **out)
{
    cj__text told;
    cj__onnx_tuning t = {.told = &told};
    cj__onnx_origin tuned = *from;
    CJ__TRY(cj__opts_take(cj, "tune", &t.opts, sizeof t.opts, from->tune));
    cj__text_init(&told, cj);
    tuned.tuning = &t;
    cj_status failed = read_once(cj, &tuned, out);
    if (failed && t.batch && failed != CJ_ERR_MEMORY && failed != CJ_ERR_CANCELLED) {
        cj__format(t.why, sizeof t.why, "%s", cj_message(cj));
        t.refused = t.batch;
        t.keep_batch = true;
        failed = read_once(cj, &tuned, out);
    }
    if (failed && t.waits && t.opts.values) {
        cj__format(t.why, sizeof t.why, "%s", cj_message(cj));
        t.with_values = t.keep_batch = true;
        failed = read_once(cj, &tuned, out);
    } else if (failed && t.waits) failed = refuse_values(cj, failed);
    if (!failed) tell_all(&t);
    cj__text_release(&told);
    return failed;
}
