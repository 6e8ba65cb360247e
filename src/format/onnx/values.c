/* values.c: what must be known while a file is read, and is not written in it.
 *
 * A graph of ours has shapes that are numbers or symbols. Files compute shapes as values, from
 * sizes (import_sizes.c keeps those known) but also from inputs and from what other nodes give: how
 * many boxes are left, how often a loop goes round. When somebody reads a file together with values
 * for its inputs, the reader runs the graph that it has so far for such a value, and goes on with
 * a number. The graph that comes out holds for these values; its gradients are those of the whole.
 *
 * Without values for the inputs, what depends on constants alone is known all the same. */
#include <string.h>

#include "format/onnx/import.h"
#include "tensor/tensor.h"

/* Does the node depend only on constants, state and inputs that have values? */
static bool can_run(cj__onnx_reader *r, const cj_node *node)
{
    const cj_graph *g = r->g;
    bool fed = true;
    unsigned char *needed = cj__alloc(r->cj, (size_t)g->n_calls + 1);
    if (!needed) return cj__onnx_no_memory(r), false;
    memset(needed, 0, (size_t)g->n_calls + 1);
    needed[node->call->id] = 1;
    for (int id = node->call->id; id >= 0 && fed; id--) {
        const cj_call *call = g->calls[id];
        if (!needed[id]) continue;
        for (int i = 0; i < call->n_in; i++) needed[call->in[i]->call->id] = 1;
        if (call->op != &cj_op_input) continue;
        fed = false;
        for (int i = 0; i < r->n_feeds && !fed; i++) fed = r->feeds[i].node->call == call;
    }
    cj__free(r->cj, needed, (size_t)g->n_calls + 1);
    return fed;
}

static cj_tensor *run(cj__onnx_reader *r, cj_node *node)
{
    cj_tensor *value = NULL;
    cj_session *s = NULL;
    cj_compile_opts opts = {.struct_size = sizeof opts, .outputs = {node}};
    cj_program *p = (cj_compile)(r->g, &opts);
    if (p) s = cj_session_new(p, cj_graph_store(r->g));
    cj_status failed = s ? cj_run(s, r->feeds, r->n_feeds, &value, 1) : cj_last_status(r->cj);
    if (failed)
        cj__onnx_fail(r, failed, "a value that it needs cannot be computed: %s",
                      s ? cj_session_message(s) : cj_message(r->cj));
    cj_session_free(s);
    cj_program_free(p);
    return value;
}

const cj_tensor *cj__onnx_compute(cj__onnx_reader *r, cj__onnx_source *source)
{
    cj_node *node = source ? cj__onnx_node_of(r, source) : NULL;
    if (!node || r->failed || r->g->failed) return NULL;
    if (source->tensor) return source->tensor;
    if (node->call->graph != r->g || !can_run(r, node)) return NULL;
    cj_tensor *value = run(r, node);
    if (value && cj__onnx_keep(r, value)) source->tensor = value;
    return source->tensor;
}
