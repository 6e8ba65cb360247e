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
#include "graph/ops/control.h"
#include "tensor/tensor.h"

/* What a run takes: calls, and the bytes of their results, with those of bodies. */
typedef struct cost {
    int64_t calls;
    double bytes;
} cost;

static void add_call(cost *c, const cj_call *call);

static void add_body(cost *c, const cj_graph *body)
{
    for (int i = 0; body && i < body->n_calls; i++) add_call(c, body->calls[i]);
}

static void add_call(cost *c, const cj_call *call)
{
    c->calls++;
    for (int k = 0; k < call->n_out && !(call->op->flags & CJ_OP_SOURCE); k++) {
        const cj_type *type = &call->out[k].type;
        double bytes = cj_dtype_info(type->dtype)->bits / 8.0;
        for (int i = 0; i < type->rank; i++)
            if (type->dim[i] >= 0) bytes *= (double)type->dim[i];
        c->bytes += bytes;
    }
    if (!(call->op->flags & CJ_OP_CONTROL)) return;
    add_body(c, ((const cj__body_attrs *)call->attributes)->body);
    add_body(c, ((const cj__body_attrs *)call->attributes)->other);
}

/* Does the node depend only on constants, state and inputs that have values? And what it takes. */
static bool can_run(cj__onnx_reader *r, const cj_node *node, cost *c)
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
        add_call(c, call);
        if (call->op != &cj_op_input) continue;
        fed = false;
        for (int i = 0; i < r->n_feeds && !fed; i++) fed = r->feeds[i].node->call == call;
    }
    cj__free(r->cj, needed, (size_t)g->n_calls + 1);
    return fed && cj__onnx_may_run(r, c->calls, c->bytes);
}

static cj_tensor *run(cj__onnx_reader *r, cj_node *node, const cost *c)
{
    cj_tensor *value = NULL;
    cj_session *s = NULL;
    cj_session_info info = {0};
    cj_compile_opts opts = {.struct_size = sizeof opts, .outputs = {node}};
    cj_session_opts how = {.struct_size = sizeof how,
                           .work_max = r->budget.any ? 0 : r->budget.work_ns};
    cj_program *p = (cj_compile)(r->g, &opts);
    if (p) s = cj_session_new_opts(p, cj_graph_store(r->g), &how);
    cj_status failed = s ? cj_run(s, r->feeds, r->n_feeds, &value, 1) : cj_last_status(r->cj);
    if (failed)
        cj__onnx_fail(r, failed, "a value that it needs cannot be computed: %s",
                      s ? cj_session_message(s) : cj_message(r->cj));
    if (s) cj_session_get_info(s, &info);
    cj__onnx_spend_run(r, c->calls, info.work);
    cj_session_free(s);
    cj_program_free(p);
    return value;
}

const cj_tensor *cj__onnx_compute(cj__onnx_reader *r, cj__onnx_source *source)
{
    cj_node *node = source ? cj__onnx_node_of(r, source) : NULL;
    if (!node || r->failed || r->g->failed) return NULL;
    if (source->tensor) return source->tensor;
    cost c = {0};
    if (node->call->graph != r->g || !can_run(r, node, &c)) return NULL;
    cj_tensor *value = run(r, node, &c);
    if (value && cj__onnx_keep(r, value)) source->tensor = value;
    return source->tensor;
}
