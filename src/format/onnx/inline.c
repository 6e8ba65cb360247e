/* inline.c: bodies and functions that are read in place, into the graph around them.
 *
 * A branch that is known to be taken, a loop whose steps differ in shape, a call of a function that
 * the file defines: their nodes are read as if they stood where they are used. A level holds the
 * names they make; a body's level is open, it sees the names around it; a function's is not. */
#include <string.h>

#include "format/onnx/import.h"
#include "graph/graph.h"

cj__onnx_source *cj__onnx_new_source(cj__onnx_reader *r, cj_node *node)
{
    cj__onnx_source *source = cj__arena_alloc(r->arena, sizeof(*source));
    if (!source) return cj__onnx_no_memory(r), NULL;
    *source = (cj__onnx_source){.name = "", .node = node};
    return source;
}

/* `source` becomes another name for `from`: an initializer stays one weight, by its own name. */
static void stand_for(cj__onnx_source *source, cj__onnx_source *from)
{
    const char *own = source->name;
    *source = *from;
    source->name = own;
    if (!source->origin && from->initializer) source->origin = from;
}

void cj__onnx_set_source(cj__onnx_reader *r, size_t k, cj__onnx_source *from)
{
    cj__onnx_source *source = from && !r->g->failed ? cj__onnx_result(r, k) : NULL;
    if (source) stand_for(source, from);
}

/* The name stands for `from`, in the level. */
static bool bind(cj__onnx_reader *r, cj__slice name, cj__onnx_source *from, const char *what)
{
    cj__onnx_source *source = r->failed ? NULL : cj__onnx_declare(r, name, what);
    if (source) stand_for(source, from);
    return source != NULL;
}

/* What an output of a body or a function is; NULL after a failure. */
static cj__onnx_source *output_of(cj__onnx_reader *r, cj__slice slice, const char *of)
{
    char *name = cj__onnx_string_of(r, slice, "an output's name");
    cj__onnx_source *source = name ? cj__onnx_find(r, slice) : NULL;
    if (name && !source)
        cj__onnx_fail(r, CJ_ERR_DATA, "nothing gives the output '%s' of %s", name, of);
    return source;
}

static bool too_deep(cj__onnx_reader *r)
{
    int depth = 0;
    for (const cj__onnx_level *l = r->level; l; l = l->outer) depth++;
    if (depth < CJ__DEPTH_MAX) return false;
    cj__onnx_fail(r, CJ_ERR_LIMIT, "bodies and functions are nested more than %d deep",
                  CJ__DEPTH_MAX);
    return true;
}

bool cj__onnx_read_in_place(cj__onnx_reader *r, const cj__onnx_graph *graph,
                            cj__onnx_source *const *inputs, size_t n, cj__onnx_source **outputs)
{
    cj__onnx_level level = {.outer = r->level, .g = r->g, .open = true};
    if (!cj__onnx_spend(r, 1) || too_deep(r)) return false;
    if (n != graph->input.count)
        cj__onnx_fail(r, CJ_ERR_DATA, "its body has %zu inputs, expected %zu", graph->input.count,
                      n);
    cj__names_init(&level.values, r->arena);
    r->level = &level;
    for (size_t i = 0; i < n && !r->failed; i++)
        bind(r, graph->input.items[i].name, inputs[i], "an input of the body");
    bool done = !r->failed && cj__onnx_read_initializers(r, graph) &&
                cj__onnx_read_nodes(r, graph->node.count, graph->node.items);
    for (size_t i = 0; i < graph->output.count && done; i++) {
        outputs[i] = output_of(r, graph->output.items[i].name, "its body");
        done = outputs[i] != NULL;
    }
    r->level = level.outer;
    return done;
}

/* ---- Functions ------------------------------------------------------------------------------- */

static bool same(cj__slice a, cj__slice b)
{
    return a.size == b.size && (!a.size || memcmp(a.at, b.at, a.size) == 0);
}

const cj__onnx_function *cj__onnx_find_function(const cj__onnx_reader *r,
                                                const cj__onnx_node *node)
{
    for (size_t i = 0; i < r->model->functions.count; i++) {
        const cj__onnx_function *f = &r->model->functions.items[i];
        if (same(f->name, node->op_type) && same(f->domain, node->domain) &&
            same(f->overload, node->overload))
            return f;
    }
    return NULL;
}

static int64_t opset_of(const cj__onnx_function *f, int64_t around)
{
    for (size_t i = 0; i < f->opset_import.count; i++) {
        const cj__onnx_opset *o = &f->opset_import.items[i];
        if (cj__onnx_is_standard(o->domain)) return o->version;
    }
    return around;
}

static void read_call(cj__onnx_reader *r, const cj__onnx_function *f)
{
    const cj__onnx_node *node = r->node;
    cj__onnx_level level = {.outer = r->level, .g = r->g, .function = f, .caller = node};
    cj__onnx_source **outputs = cj__arena_array(r->arena, f->output.count + 1, sizeof(*outputs));
    int64_t opset = r->opset;
    if (!outputs) cj__onnx_no_memory(r);
    if (node->input.count > f->input.count || node->output.count > f->output.count)
        cj__onnx_fail(r, CJ_ERR_DATA, "%zu inputs and %zu outputs, expected at most %zu and %zu",
                      node->input.count, node->output.count, f->input.count, f->output.count);
    if (r->failed || too_deep(r)) return;
    cj__names_init(&level.values, r->arena);
    for (size_t i = 0; i < node->input.count && !r->failed; i++) {
        cj__onnx_source *from = cj__onnx_has(r, i) ? cj__onnx_source_in(r, i) : NULL;
        if (!from) continue; /* an absent one: uses of its name are refused below */
        r->level = &level;
        bind(r, f->input.items[i], from, "an input of the function");
        r->level = level.outer;
    }
    r->level = &level;
    r->opset = opset_of(f, opset);
    bool done = !r->failed && cj__onnx_read_nodes(r, f->node.count, f->node.items);
    for (size_t k = 0; k < node->output.count && done; k++) {
        outputs[k] = output_of(r, f->output.items[k], "the function");
        done = outputs[k] != NULL;
    }
    r->level = level.outer;
    r->opset = opset;
    for (size_t k = 0; k < node->output.count && done; k++)
        cj__onnx_set_source(r, k, outputs[k]);
}

bool cj__onnx_call(cj__onnx_reader *r)
{
    if (!cj__onnx_spend_looks(r, 1, r->model->functions.count)) return true;
    const cj__onnx_function *f = cj__onnx_find_function(r, r->node);
    if (f) cj__onnx_grant_steps(r, 1, f->node.count, f->node.items);
    if (f) read_call(r, f);
    return f != NULL;
}

/* ---- Attributes that refer to the caller's --------------------------------------------------- */

static const cj__onnx_attribute *referred(const cj__onnx_level *level, cj__slice name)
{
    for (size_t i = 0; i < level->caller->attribute.count; i++)
        if (same(level->caller->attribute.items[i].name, name))
            return &level->caller->attribute.items[i];
    for (size_t i = 0; i < level->function->attribute_proto.count; i++)
        if (same(level->function->attribute_proto.items[i].name, name))
            return &level->function->attribute_proto.items[i];
    return NULL;
}

/* An input of the function that the caller left out. */
static bool left_out(const cj__onnx_level *level, cj__slice name)
{
    for (size_t i = 0; i < level->function->input.count; i++)
        if (same(level->function->input.items[i], name))
            return i >= level->caller->input.count || !level->caller->input.items[i].size;
    return false;
}

const cj__onnx_node *cj__onnx_resolve(cj__onnx_reader *r, const cj__onnx_node *node)
{
    const cj__onnx_level *level = r->level;
    while (level && !level->function) level = level->outer;
    if (!level) return node;
    cj__onnx_spend_looks(r, node->attribute.count,
                         level->caller->attribute.count + level->function->attribute_proto.count);
    if (!cj__onnx_spend_looks(r, node->input.count, level->function->input.count)) return node;
    cj__onnx_node *copy = cj__arena_alloc(r->arena, sizeof(*copy));
    cj__onnx_attribute *to = cj__arena_array(r->arena, node->attribute.count + 1, sizeof(*to));
    cj__slice *inputs = cj__arena_array(r->arena, node->input.count + 1, sizeof(*inputs));
    if (!copy || !to || !inputs) return cj__onnx_no_memory(r), node;
    *copy = *node;
    copy->attribute.items = to;
    copy->attribute.count = 0;
    for (size_t i = 0; i < node->attribute.count; i++) {
        const cj__onnx_attribute *a = &node->attribute.items[i], *from = a;
        if (a->ref_attr_name.size) from = referred(level, a->ref_attr_name);
        if (!from) continue; /* the caller leaves it out, and so does the node */
        to[copy->attribute.count] = *from;
        to[copy->attribute.count++].name = a->name;
    }
    copy->input.items = inputs;
    for (size_t i = 0; i < node->input.count; i++)
        inputs[i] = left_out(level, node->input.items[i]) ? (cj__slice){0} : node->input.items[i];
    return copy;
}
