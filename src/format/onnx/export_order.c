/* export_order.c: initializers in the order in which nodes first use them.
 *
 * They are made when an operand is first asked for, and an operator that is written as several
 * nodes asks for all its operands at once. In a file that is read and written again each of these
 * nodes asks for its own; the order of use is the same in both. What no node uses is left out. */
#include "format/onnx/map.h"

typedef struct order {
    cj__names at; /* name -> initializer not yet placed */
    cj__onnx_tensor *items;
    size_t count;
} order;

/* Bodies, too; they are nested as deep as the graph's. */
static void place(order *o, const cj__onnx_graph *graph)
{
    for (size_t i = 0; i < graph->node.count; i++) {
        const cj__onnx_node *node = &graph->node.items[i];
        for (size_t k = 0; k < node->input.count; k++) {
            const cj__slice name = node->input.items[k]; /* the writer's ends with a 0 */
            cj__onnx_tensor *t = name.size ? cj__names_get(&o->at, name.at) : NULL;
            if (!t || !t->name.size) continue;
            o->items[o->count++] = *t;
            t->name.size = 0;
        }
        for (size_t k = 0; k < node->attribute.count; k++)
            if (node->attribute.items[k].type == CJ__ONNX_ATTR_GRAPH)
                place(o, node->attribute.items[k].as.g);
    }
}

void cj__onnx_order_initializers(cj__onnx_writer *w, cj__onnx_graph *graph)
{
    const size_t n = graph->initializer.count;
    order o = {.items = cj__arena_array(w->arena, n + 1, sizeof *o.items)};
    cj__names_init(&o.at, w->arena);
    bool failed = !o.items;
    for (size_t i = 0; i < n && !failed; i++) {
        cj__onnx_tensor *t = &graph->initializer.items[i];
        failed = !cj__names_put(&o.at, t->name.at, t);
    }
    if (failed) {
        cj__onnx_refuse(w, CJ_ERR_MEMORY, "out of memory");
        return;
    }
    place(&o, graph);
    graph->initializer.items = o.items;
    graph->initializer.count = o.count;
}
