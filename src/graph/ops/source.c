/* source.c: calls without operands: what is fed, what is stored, what is known.
 *
 * input and variable have no kernel: the runtime points them at the fed tensor or the store's.
 * constant points at its attribute. training and dim_value are constants known when compiling or
 * binding. */
#include "graph/ops/block.h"

#include <string.h>

static const cj_option source_options[] = {
    CJ_OPTION_STRING(cj__source_attrs, name, NULL, "its name, unique in the graph"),
    CJ_OPTION_DTYPE(cj__source_attrs, dtype, CJ_F32, "its dtype"),
    CJ_OPTION_DIMS(cj__source_attrs, dims, "its shape"), CJ_OPTION_END};

static cj_status infer_source(cj_infer *infer)
{
    const cj__source_attrs *a = infer->call->attributes;
    if (a->dims.n > CJ_RANK_MAX)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "rank %d is more than %d", a->dims.n,
                             CJ_RANK_MAX);
    if (a->dtype <= CJ_DTYPE_NONE || a->dtype >= CJ_DTYPE_COUNT)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "unknown dtype");
    infer->out[0].dtype = a->dtype;
    infer->out[0].rank = a->dims.n;
    for (int i = 0; i < a->dims.n; i++) {
        if (a->dims.v[i] < 0 && -1 - a->dims.v[i] >= infer->graph->dims.count)
            return cj_infer_fail(
                infer, CJ_ERR_SHAPE,
                "dimension %d is %lld, which is no size and no symbol of this graph", i,
                (long long)a->dims.v[i]);
        infer->out[0].dim[i] = a->dims.v[i];
    }
    return CJ_OK;
}

static cj_node *named_source(cj_graph *g, const cj_op *op, cj__nodes *list, const char *name,
                             cj_dtype dtype, int rank, const cj_dim *dims)
{
    if (!g || g->failed) return NULL;
    if (!name || !*name)
        return cj__graph_fail(g, op->name, CJ_ERR_ARGUMENT, "it needs a name"), NULL;
    if (cj__nodes_find(list, name))
        return cj__graph_fail(g, op->name, CJ_ERR_EXISTS, "there is a '%s' already", name), NULL;
    if (rank < 0 || rank > CJ_RANK_MAX)
        return cj__graph_fail(g, op->name, CJ_ERR_SHAPE, "'%s': rank %d is not between 0 and %d",
                              name, rank, CJ_RANK_MAX),
               NULL;
    cj__source_attrs a = {name, dtype, {rank, dims}};
    cj_node *node = cj_apply(g, op, NULL, 0, &a);
    if (!node) return NULL;
    node->name = ((const cj__source_attrs *)node->call->attributes)->name;
    return cj__nodes_add(g, list, node->name, node) ? NULL : node;
}

/* Clones arrive here through cj_apply, so the lists are kept by whoever clones: see cj__call_clone.
 */
cj_node *cj_placeholder(cj_graph *g, const char *name, cj_dtype dtype, int rank, const cj_dim *dims)
{
    return g ? named_source(g, &cj_op_input, &g->inputs, name, dtype, rank, dims) : NULL;
}

static cj_node *make_variable(cj_graph *g, const char *name, const cj_tensor *initial)
{
    if (!g || g->failed) return NULL;
    if (!initial)
        return cj__graph_fail(g, "variable", CJ_ERR_ARGUMENT, "'%s' has no initial value",
                              name ? name : ""),
               NULL;
    cj_store *store = cj_graph_store(g);
    if (!store) return cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory");
    cj_node *node = named_source(g, &cj_op_variable, &g->variables, name, cj_tensor_dtype(initial),
                                 cj_tensor_rank(initial), cj_tensor_shape(initial));
    if (!node) return NULL;
    /* State that is there already stays: a second graph on the same store goes on with it. */
    const cj_tensor *there = cj_store_get(store, name);
    if (!there && cj_store_set(store, name, initial))
        return cj__graph_fail(g, "variable", cj_last_status(g->cj), "'%s': %s", name,
                              cj_message(g->cj)),
               NULL;
    bool same = !there || (cj_tensor_dtype(there) == node->type.dtype &&
                           cj_tensor_rank(there) == node->type.rank);
    for (int i = 0; there && same && i < node->type.rank; i++)
        same = cj_tensor_shape(there)[i] == node->type.dim[i];
    if (!same)
        return cj__graph_fail(g, "variable", CJ_ERR_SHAPE,
                              "the store has a '%s' of another dtype or shape", name),
               NULL;
    return node;
}

cj_node *cj_variable(cj_graph *g, const char *name, const cj_tensor *initial)
{
    return make_variable(g, name, initial);
}

cj_node *cj_parameter(cj_graph *g, const char *name, const cj_tensor *initial)
{
    cj_node *node = make_variable(g, name, initial);
    return node && !cj__nodes_add(g, &g->parameters, node->name, node) ? node : NULL;
}

cj_store *cj_graph_store(cj_graph *g)
{
    if (!g->store && !g->shared_store) g->store = cj_store_new(g->cj);
    return g->store ? g->store : g->shared_store;
}

const cj_op cj_op_input = {.name = "input",
                           .doc = "a value fed at every run",
                           .flags = CJ_OP_SOURCE | CJ_OP_ANY_DTYPE,
                           .attributes_size = sizeof(cj__source_attrs),
                           .attributes = source_options,
                           .infer = infer_source,
                           .no_gradient = "no operands"};
const cj_op cj_op_variable = {.name = "variable",
                              .doc = "a value kept in the store",
                              .flags = CJ_OP_SOURCE | CJ_OP_ANY_DTYPE,
                              .attributes_size = sizeof(cj__source_attrs),
                              .attributes = source_options,
                              .infer = infer_source,
                              .no_gradient = "no operands"};

/* ---- constant -------------------------------------------------------------------------------- */

static const cj_option constant_options[] = {
    CJ_OPTION_TENSOR(cj__constant_attrs, value, "the value"), CJ_OPTION_END};

static cj_status infer_constant(cj_infer *infer)
{
    const cj_tensor *value = ((const cj__constant_attrs *)infer->call->attributes)->value;
    if (!value) return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "it has no value");
    infer->out[0].dtype = cj_tensor_dtype(value);
    infer->out[0].rank = cj_tensor_rank(value);
    memcpy(infer->out[0].dim, cj_tensor_shape(value),
           (size_t)cj_tensor_rank(value) * sizeof(cj_dim));
    return CJ_OK;
}

cj_node *cj_constant(cj_graph *g, const cj_tensor *value)
{
    return cj_apply(g, &cj_op_constant, NULL, 0,
                    &(cj__constant_attrs){(cj_tensor *)(uintptr_t)value});
}

cj_node *cj_scalar(cj_graph *g, cj_dtype dtype, double value)
{
    if (!g || g->failed) return NULL;
    cj_tensor *t = cj_tensor_scalar(g->cj, dtype, value);
    if (!t)
        return cj__graph_fail(g, "constant", cj_last_status(g->cj), "%s", cj_message(g->cj)), NULL;
    cj_node *node = cj_constant(g, t);
    cj_tensor_free(t);
    return node;
}

bool cj__is_constant(const cj_node *node, double *value)
{
    while (node && !cj__is_zero(node) && node->call->n_in == 1 &&
           (node->call->op == &cj_op_broadcast || node->call->op == &cj_op_reshape ||
            node->call->op == &cj_op_cast))
        node = node->call->in[0];
    if (!node || cj__is_zero(node) || node->call->op != &cj_op_constant) return false;
    const cj_tensor *t = ((const cj__constant_attrs *)node->call->attributes)->value;
    if (cj_tensor_count(t) != 1) return false;
    *value = cj_load_f64(cj_tensor_dtype(t), cj_tensor_map_read(t), 0);
    cj_tensor_unmap(t);
    return true;
}

const cj_op cj_op_constant = {.name = "constant",
                              .doc = "a value known when the graph is built",
                              .flags = CJ_OP_SOURCE | CJ_OP_ANY_DTYPE,
                              .attributes_size = sizeof(cj__constant_attrs),
                              .attributes = constant_options,
                              .infer = infer_constant,
                              .no_gradient = "no operands"};

/* ---- training, dim_value, iota --------------------------------------------------------------- */

static cj_status infer_training(cj_infer *infer)
{
    infer->out[0].dtype = CJ_BOOL;
    return CJ_OK;
}

/* cj_compile replaces it by a constant; run as it stands, it is false. */
static cj_status training_ref(const cj_kernel *k)
{
    *(unsigned char *)k->out[0]->data = 0;
    return CJ_OK;
}

static cj_node *training_sample(cj_sampler *s, int i)
{
    return i ? NULL : cj_training(cj_sampler_graph(s));
}

cj_node *cj_training(cj_graph *g)
{
    if (!g || g->failed) return NULL;
    if (!g->training) g->training = cj_apply(g, &cj_op_training, NULL, 0, NULL);
    return g->training;
}

const cj_op cj_op_training = {.name = "training",
                              .doc = "true in programs compiled for training",
                              .infer = infer_training,
                              .ref = training_ref,
                              .no_gradient = "bool",
                              .sample = CJ__SAMPLE(training_sample)};

static cj_status infer_dim_value(cj_infer *infer)
{
    const cj__dims_attrs *a = infer->call->attributes;
    if (a->dims.n != 1)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "it takes one dimension, got %d", a->dims.n);
    CJ__TRY(cj__infer_dims(infer, a->dims, 0));
    infer->out[0].dtype = CJ_I64;
    return CJ_OK;
}

static cj_status dim_value_ref(const cj_kernel *k)
{
    *(int64_t *)k->out[0]->data =
        cj_kernel_dim(k, ((const cj__dims_attrs *)k->call->attributes)->dims.v[0]);
    return CJ_OK;
}

static cj_node *dim_value_sample(cj_sampler *s, int i)
{
    return i < 3 ? cj_dim_value(cj_sampler_graph(s), 7 * i) : NULL;
}

cj_node *cj_dim_value(cj_graph *g, cj_dim d)
{
    return cj_apply(g, &cj_op_dim_value, NULL, 0, &(cj__dims_attrs){{1, &d}});
}

const cj_op cj_op_dim_value = {.name = "dim_value",
                               .doc = "a dimension as an i64 scalar",
                               .attributes_size = sizeof(cj__dims_attrs),
                               .attributes = cj__dims_options,
                               .infer = infer_dim_value,
                               .ref = dim_value_ref,
                               .no_gradient = "integer result",
                               .sample = CJ__SAMPLE(dim_value_sample)};

typedef struct iota_attrs {
    cj_dtype dtype;
    int64_t axis;
    cj_ints dims;
} iota_attrs;

static const cj_option iota_options[] = {
    CJ_OPTION_DTYPE(iota_attrs, dtype, CJ_I64, "dtype of the result"),
    CJ_OPTION_INT(iota_attrs, axis, 0, -CJ_RANK_MAX, CJ_RANK_MAX - 1, "the axis counted along"),
    CJ_OPTION_DIMS(iota_attrs, dims, "shape of the result"), CJ_OPTION_END};

static cj_status infer_iota(cj_infer *infer)
{
    iota_attrs *a = infer->call->attributes;
    if (a->dims.n < 1 || a->dims.n > CJ_RANK_MAX)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "rank %d", a->dims.n);
    if (a->dtype <= CJ_DTYPE_NONE || a->dtype >= CJ_DTYPE_COUNT)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "unknown dtype");
    CJ__TRY(cj__infer_dims(infer, a->dims, 0));
    CJ__TRY(cj_infer_axis(infer, &a->axis, a->dims.n));
    infer->out[0].dtype = a->dtype;
    infer->out[0].rank = a->dims.n;
    memcpy(infer->out[0].dim, a->dims.v, (size_t)a->dims.n * sizeof(cj_dim));
    return CJ_OK;
}

static cj_status iota_ref(const cj_kernel *k)
{
    const iota_attrs *a = k->call->attributes;
    const cj_array *y = k->out[0];
    int64_t inner = 1;
    for (int i = (int)a->axis + 1; i < y->rank; i++) inner *= y->dim[i];
    for (int64_t i = 0; i < y->count; i++)
        cj_store_i64(y->dtype, y->data, (size_t)i, i / inner % y->dim[a->axis]);
    return CJ_OK;
}

static cj_node *iota_sample(cj_sampler *s, int i)
{
    static const cj_dtype dtypes[] = {CJ_I64, CJ_F32, CJ_I32, CJ_F64, CJ_U8};
    if (i >= (int)CJ__COUNT(dtypes)) return NULL;
    return cj_iota(cj_sampler_graph(s), dtypes[i], i % 3 - 1, CJ_DIMS(3, i, 5));
}

cj_node *cj_iota(cj_graph *g, cj_dtype dtype, int axis, int rank, const cj_dim *dims)
{
    return cj_apply(g, &cj_op_iota, NULL, 0, &(iota_attrs){dtype, axis, {rank, dims}});
}

const cj_op cj_op_iota = {.name = "iota",
                          .doc = "0, 1, 2 ... along an axis",
                          .attributes_size = sizeof(iota_attrs),
                          .attributes = iota_options,
                          .infer = infer_iota,
                          .ref = iota_ref,
                          .no_gradient = "no operands",
                          .sample = CJ__SAMPLE(iota_sample)};
