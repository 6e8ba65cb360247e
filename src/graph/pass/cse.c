/* cse.c: equal calls become one. Two calls are equal when operator, operands and attributes are;
 * random calls too, for they are functions of their key and stream. Constants are equal when they
 * are small and have the same bits: each goes to one place of a little table, and a later one in
 * the same place only costs a merge that is missed. */
#include "graph/pass/pass.h"

#include <string.h>

static bool equal(const cj_call *a, const cj_op *op, cj_node *const *in, int n_in,
                  const void *attributes)
{
    if (a->op != op || a->n_in != n_in || (n_in && memcmp(a->in, in, (size_t)n_in * sizeof *in)))
        return false;
    return !op->attributes_size || cj__options_equal(op->attributes, a->attributes, attributes);
}

static cj_node *equal_constant(cj__rewrite *r, const cj_call *call)
{
    enum { BYTES_MAX = 256 };
    const cj_tensor *value = ((const cj__constant_attrs *)call->attributes)->value;
    size_t size = cj_tensor_size_bytes(value);
    if (size > BYTES_MAX) return NULL;
    uint64_t hash = cj__hash(cj_tensor_map_read(value), size, (uint64_t)cj_tensor_dtype(value));
    cj_tensor_unmap(value);
    cj_node **place = &r->constants[hash % CJ__CONSTANTS_SEEN];
    if (*place &&
        cj_tensor_equal(((const cj__constant_attrs *)(*place)->call->attributes)->value, value))
        return *place;
    return *place = cj__call_clone(r->to, call, NULL);
}

cj_node *cj__pass_cse(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    if (call->op == &cj_op_constant) return equal_constant(r, call);
    if (call->op->flags & (CJ_OP_SOURCE | CJ_OP_OPAQUE | CJ_OP_CONTROL)) return NULL;
    /* The twin has the same last operand, so it comes after it; look back over a bounded window. */
    enum { WINDOW = 256 };
    int first = 0;
    for (int k = 0; k < call->n_in; k++)
        if (in[k]->call->id >= first) first = in[k]->call->id + 1;
    if (r->to->n_calls - first > WINDOW) first = r->to->n_calls - WINDOW;
    cj_node *copy = NULL;
    for (int id = r->to->n_calls - 1; id >= first && !copy; id--) {
        const cj_call *c = r->to->calls[id];
        if (c->op != call->op || c->n_in != call->n_in) continue;
        bool has_dims = false; /* symbols are numbered anew: compare through a copy */
        for (const cj_option *o = call->op->attributes; o && o->name; o++)
            has_dims = has_dims || o->type == CJ_OPTION_TYPE_DIMS;
        if (!has_dims && equal(c, call->op, in, call->n_in, call->attributes))
            copy = c->graph->calls[id]->out;
        if (has_dims && c->n_in && !memcmp(c->in, in, (size_t)call->n_in * sizeof *in) &&
            c->out[0].type.rank == call->out[0].type.rank &&
            c->out[0].type.dtype == call->out[0].type.dtype) {
            bool same = call->op == &cj_op_reshape || call->op == &cj_op_broadcast;
            for (int i = 0; same && i < c->out[0].type.rank; i++)
                same = c->out[0].type.dim[i] ==
                       cj__dim_translate(r->from, r->to, NULL, call->out[0].type.dim[i]);
            if (same) copy = c->graph->calls[id]->out;
        }
    }
    return copy;
}
