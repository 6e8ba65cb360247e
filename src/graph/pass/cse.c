/* cse.c: equal calls become one. Two calls are equal when operator, operands and attributes are;
 * random calls too, for they are functions of their key and stream. Constants are equal when they
 * are small and have the same bits: each goes to one place of a little table, and a later one in
 * the same place only costs a merge that is missed. */
#include "graph/pass/pass.h"

#include <string.h>

/* Symbols are numbered anew in the new graph, so sizes are compared as what they become there. */
static bool equal_attributes(cj__rewrite *r, const cj_call *call, const cj_call *twin)
{
    for (const cj_option *o = cj_option_row(call->op->attributes); o && o->type;
         o = cj_option_row(o + 1)) {
        const cj_option one[2] = {*o, CJ_OPTION_END};
        if (o->type == CJ_OPTION_TYPE_GRAPH) return false;
        if (o->type != CJ_OPTION_TYPE_DIMS) {
            if (!cj__options_equal(one, call->attributes, twin->attributes)) return false;
            continue;
        }
        const cj_ints *a = (const void *)((const char *)call->attributes + o->offset);
        const cj_ints *b = (const void *)((const char *)twin->attributes + o->offset);
        if (a->n != b->n) return false;
        for (int i = 0; i < a->n; i++) {
            bool open = a->v[i] == CJ_INFER;
            if ((open ? a->v[i] : cj__dim_translate(r->from, r->to, NULL, a->v[i])) != b->v[i])
                return false;
        }
    }
    return true;
}

/* A view's sizes may be written in several ways. */
static bool same_result(cj__rewrite *r, const cj_call *call, const cj_call *twin)
{
    const cj_type *a = &call->out[0].type, *b = &twin->out[0].type;
    if (a->rank != b->rank || a->dtype != b->dtype) return false;
    for (int i = 0; i < a->rank; i++)
        if (cj__dim_translate(r->from, r->to, NULL, a->dim[i]) != b->dim[i]) return false;
    return true;
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

/* A call of the new graph that `call` with operands `in` would be the twin of; NULL: none is. Calls
 * with the same operator and operands are a chain. */
static cj_node *equal_call(cj__rewrite *r, const cj_call *call, cj_node *const *in, int id)
{
    for (; id; id = r->twins[CJ__TWINS + id - 1]) {
        const cj_call *c = r->to->calls[id - 1];
        if (c->op != call->op || c->n_in != call->n_in || c->n_out != call->n_out) continue;
        if (call->n_in && memcmp(c->in, in, (size_t)call->n_in * sizeof *in)) continue;
        const bool moves_nothing = call->op == &cj_op_reshape || call->op == &cj_op_broadcast;
        if (moves_nothing ? same_result(r, call, c) : equal_attributes(r, call, c))
            return r->to->calls[id - 1]->out;
    }
    return NULL;
}

cj_node *cj__pass_cse(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    if (call->op == &cj_op_constant) return equal_constant(r, call);
    if (call->op->flags & (CJ_OP_SOURCE | CJ_OP_OPAQUE | CJ_OP_CONTROL)) return NULL;
    const size_t places = CJ__TWINS + (size_t)r->from->n_calls;
    if (!r->twins) r->twins = cj__arena_array(&r->scratch, places, sizeof *r->twins);
    if (!r->twins) return r->to->failed = CJ_ERR_MEMORY, NULL;
    uint64_t hash = cj__hash(call->op->name, strlen(call->op->name), 0);
    for (int k = 0; k < call->n_in; k++) {
        const int operand[] = {in[k]->call->id, in[k]->output};
        hash = cj__hash(operand, sizeof operand, hash);
    }
    int *chain = &r->twins[hash % CJ__TWINS];
    cj_node *made = equal_call(r, call, in, *chain);
    if (made || !(made = cj__call_clone(r->to, call, in))) return made;
    r->twins[CJ__TWINS + made->call->id] = *chain;
    *chain = made->call->id + 1;
    return made;
}
