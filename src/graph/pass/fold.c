/* fold.c: calls whose operands are all known are computed now, by the reference kernels. Results
 * stay small (a broadcast of one number is better left a broadcast). */
#include "graph/pass/pass.h"

enum { FOLD_ELEMENTS_MAX = 4096 };

static cj_tensor *value_of(const cj_node *node)
{
    return node->call->op == &cj_op_constant
               ? ((const cj__constant_attrs *)node->call->attributes)->value
               : NULL;
}

static cj_array array_of(cj_tensor *t)
{
    cj_array a = {.dtype = cj_tensor_dtype(t),
                  .rank = cj_tensor_rank(t),
                  .count = cj_tensor_count(t)};
    for (int i = 0; i < a.rank; i++) a.dim[i] = cj_tensor_shape(t)[i];
    a.data = cj_tensor_map(t, CJ_MAP_READ_WRITE);
    return a;
}

cj_node *cj__pass_fold(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    enum { OPERANDS_MAX = 8 };
    if (!call->op->ref || !call->n_in || call->n_in > OPERANDS_MAX || call->n_out != 1 ||
        call->op->flags & (CJ_OP_CONTROL | CJ_OP_OPAQUE) || call->op == &cj_op_broadcast)
        return NULL;
    const cj_type *type = &call->out[0].type;
    int64_t count;
    for (int i = 0; i < type->rank; i++)
        if (type->dim[i] < 0) return NULL;
    if (!cj__count(type->rank, type->dim, &count) || count > FOLD_ELEMENTS_MAX) return NULL;
    cj_array arrays[OPERANDS_MAX + 1], *out = &arrays[OPERANDS_MAX];
    const cj_array *ins[OPERANDS_MAX];
    for (int k = 0; k < call->n_in; k++)
        if (!value_of(in[k])) return NULL;
    cj_tensor *t = cj_tensor_new(r->to->cj, type->dtype, type->rank, type->dim);
    if (!t) return cj_graph_fail(r->to, CJ_ERR_MEMORY, "out of memory");
    for (int k = 0; k < call->n_in; k++) {
        arrays[k] = array_of(value_of(in[k]));
        ins[k] = &arrays[k];
    }
    *out = array_of(t);
    cj_kernel kernel = {.call = call, .cj = r->to->cj, .in = ins, .out = (cj_array *const[]){out}};
    cj_status failed = call->op->ref(&kernel);
    for (int k = 0; k < call->n_in; k++) cj_tensor_unmap(value_of(in[k]));
    cj_tensor_unmap(t);
    cj_node *node = failed ? NULL
                           : cj_constant(r->to, t); /* a bad index is reported when running */
    cj_tensor_free(t);
    return node;
}
