/* op.c: the table of operators: the rows of ops.def, and those a program adds to its context. */
#include "graph/graph.h"

#include "base/registry.h"

static const cj_op *const builtin[] = {
#define CJ__OP(name) &cj_op_##name,
#include "graph/ops.def"
#undef CJ__OP
    NULL};

const cj_op *const *cj__ops_builtin(void) { return builtin; }

cj_status cj_op_register(cj_context *cj, const cj_op *op)
{
    if (!op || !op->name || !op->infer)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "an operator's row needs a name and a shape rule");
    if (!op->ref && !op->lower)
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "operator '%s' has neither a reference kernel nor a lowering", op->name);
    if (op->attributes_size && !op->attributes)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "operator '%s' has attributes but no table of them",
                       op->name);
    return cj__register(cj, CJ__ROW_OP, op);
}

const cj_op *cj_op_find(cj_context *cj, const char *name)
{
    return cj__find(cj, CJ__ROW_OP, (const void *const *)builtin, "operator", name);
}

const cj_op *cj_op_at(cj_context *cj, int i)
{
    return cj__row_at(cj, CJ__ROW_OP, (const void *const *)builtin, i);
}

/* A kernel without data, from the types of a call. */
cj_status cj__call_multiply_adds(const cj_call *call, const int64_t *symbols, double *count)
{
    *count = 0;
    if (!call->op->multiply_adds) return CJ_OK;
    cj_context *cj = call->graph->cj;
    cj__arena scratch;
    cj__arena_init(&scratch, cj);
    size_t n = (size_t)call->n_in + (size_t)call->n_out;
    cj_array *arrays = cj__arena_array(&scratch, n, sizeof *arrays);
    cj_array **places = cj__arena_array(&scratch, n, sizeof *places);
    bool counted = true;
    for (size_t i = 0; arrays && places && i < n; i++) {
        const cj_type *type = i < (size_t)call->n_in ? &call->in[i]->type
                                                     : &call->out[i - (size_t)call->n_in].type;
        cj_array *a = places[i] = &arrays[i];
        *a = (cj_array){.dtype = type->dtype, .rank = type->rank};
        for (int k = 0; k < type->rank; k++) {
            a->dim[k] = cj__dim_number(type->dim[k], symbols);
            if (a->dim[k] < 0) a->dim[k] = 0;
        }
        counted &= cj__count(a->rank, a->dim, &a->count);
    }
    if (arrays && places && counted)
        *count = call->op->multiply_adds(&(cj_kernel){.call = call,
                                                      .cj = cj,
                                                      .in = (const cj_array *const *)places,
                                                      .out = places + call->n_in,
                                                      .symbols = symbols});
    cj__arena_release(&scratch);
    return arrays && places ? CJ_OK : cj_fail(cj, CJ_ERR_MEMORY, "out of memory");
}

cj_status cj_infer_same(cj_infer *infer)
{
    infer->out[0] = infer->call->in[0]->type;
    return CJ_OK;
}

cj_status cj_infer_all_same(cj_infer *infer)
{
    cj_call *call = infer->call;
    const cj_type *first = &call->in[0]->type;
    for (int i = 1; i < call->n_in; i++) {
        const cj_type *type = &call->in[i]->type;
        if (type->dtype != first->dtype)
            return cj_infer_fail(infer, CJ_ERR_TYPE, "the operands' dtypes differ");
        bool same = type->rank == first->rank;
        for (int k = 0; same && k < type->rank; k++)
            same = cj_infer_equal(infer, type->dim[k], first->dim[k]);
        if (!same) return cj_infer_fail(infer, CJ_ERR_SHAPE, "the operands' shapes differ");
    }
    infer->out[0] = *first;
    return CJ_OK;
}

cj_status cj_infer_axis(cj_infer *infer, int64_t *axis, int rank)
{
    if (*axis < -rank || *axis >= rank)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "axis %lld is out of range for rank %d",
                             (long long)*axis, rank);
    if (*axis < 0) *axis += rank;
    return CJ_OK;
}

const cj_option cj__axis_options[] = {
    CJ_OPTION_INT(cj__axis_attrs, axis, -1, -CJ_RANK_MAX, CJ_RANK_MAX - 1,
                  "the axis; negative counts from the end"),
    CJ_OPTION_BOOL(cj__axis_attrs, keep, false, "keep the axis as size 1"), CJ_OPTION_END};
const cj_option cj__reduce_options[] = {
    CJ_OPTION_INTS(cj__reduce_attrs, axes, -CJ_RANK_MAX, CJ_RANK_MAX - 1, "the axes that go"),
    CJ_OPTION_BOOL(cj__reduce_attrs, keep, false, "keep them as size 1"), CJ_OPTION_END};
const cj_option cj__dims_options[] = {CJ_OPTION_DIMS(cj__dims_attrs, dims, "the new shape"),
                                      CJ_OPTION_END};
const cj_option cj__body_options[] = {
    CJ_OPTION_GRAPH(cj__body_attrs, body, "the graph that is run"),
    CJ_OPTION_GRAPH(cj__body_attrs, other, "if: the graph for false"),
    CJ_OPTION_INT(cj__body_attrs, n_carried, 0, 0, 1e6,
                  "values handed from one iteration to the next"),
    CJ_OPTION_INT(cj__body_attrs, n_sequences, 0, 0, 1e6,
                  "scan: operands taken apart along axis 0"),
    CJ_OPTION_BOOL(cj__body_attrs, reverse, false, "scan: last element first"),
    CJ_OPTION_BOOL(cj__body_attrs, has_limit, false, "loop: operand 0 is the limit of iterations"),
    CJ_OPTION_BOOL(cj__body_attrs, has_condition, false, "loop: the next operand is the condition"),
    CJ_OPTION_STRING(cj__body_attrs, symbol, NULL,
                     "name of the sizes that are found out while running"),
    CJ_OPTION_END};
