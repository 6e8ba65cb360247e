/* layers.c: the rows of the basic layers: dense, activation, dropout, and those that change a
 * sample's shape.
 *
 * A row's option table describes the public keyword structure itself, so the C builder, the recipe
 * and the one-line form fill the same fields. */
#include "nn/model.h"

/* ---- dense ----------------------------------------------------------------------------------- */

static const cj_option dense_options[] = {
    CJ_OPTION_INT(cj_dense_opts, units, 0, 1, 2147483647, "numbers a sample becomes"),
    CJ_OPTION_STRING(cj_dense_opts, activation, NULL, "function of the result"),
    CJ_OPTION_BOOL(cj_dense_opts, no_bias, false, "leave out b"),
    CJ_OPTION_STRING(cj_dense_opts, kernel_initializer, "glorot_uniform", "first values of W"),
    CJ_OPTION_STRING(cj_dense_opts, bias_initializer, "zeros", "first values of b"),
    CJ_OPTION_STRING(cj_dense_opts, kernel_regularizer, NULL, "added to the loss for W: l2(0.01)"),
    CJ_OPTION_STRING(cj_dense_opts, bias_regularizer, NULL, "added to the loss for b"),
    CJ_OPTION_STRING(cj_dense_opts, kernel_normalization, NULL, "of W: spectral or weight"),
    CJ__CONSTRAINT_OPTION(cj_dense_opts, kernel_constraint),
    CJ__CONSTRAINT_OPTION(cj_dense_opts, bias_constraint),
    CJ_OPTION_STRING(cj_dense_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *dense_build(cj_layer_build *b)
{
    const cj_dense_opts *o = b->options;
    cj_node *x = cj__layer_float(b, b->x[0]);
    if (!x) return NULL;
    int64_t inputs = cj_node_dim(x, -1);
    if (cj_node_rank(x) < 2 || inputs < 0)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                              "its input is of rank %d and has %s as last size; "
                              "[batch, ..., number] is expected",
                              cj_node_rank(x),
                              cj_node_rank(x) ? cj_dim_text(b->graph, inputs) : "nothing"),
               NULL;
    cj_node *w = cj_layer_parameter(b, "kernel", 2, (int64_t[]){inputs, o->units},
                                    o->kernel_initializer, 0, 0, o->kernel_regularizer);
    w = cj_layer_constraint(b, w, o->kernel_constraint);
    w = cj__layer_normalized(b, w, 1, o->kernel_normalization);
    cj_node *y = cj_matmul(x, w);
    if (!o->no_bias) {
        cj_node *bias = cj_layer_parameter(b, "bias", 1, &o->units, o->bias_initializer, 0, 0,
                                           o->bias_regularizer);
        y = cj_add(y, cj_layer_constraint(b, bias, o->bias_constraint));
    }
    return cj__layer_activate(b, y, o->activation);
}

CJ__LAYER_ROW(dense, dense_options, "y = activation(x W + b) on the last axis", dense_build,
              "units=3, activation=tanh, kernel_regularizer=l2(0.001) : 4, 5", CJ_MASK_PASSES)

/* ---- activation ------------------------------------------------------------------------------ */

static const cj_option activation_options[] = {
    CJ_OPTION_STRING(cj_activation_opts, function, NULL,
                     "the function: relu, softmax, leaky_relu(0.1)"),
    CJ_OPTION_STRING(cj_activation_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *activation_build(cj_layer_build *b)
{
    const cj_activation_opts *o = b->options;
    if (!o->function)
        return cj__graph_fail(b->graph, "activation", CJ_ERR_ARGUMENT, "function is required"),
               NULL;
    return cj__layer_activate(b, cj__layer_float(b, b->x[0]), o->function);
}

const cj_layer cj_layers_activation = {.name = "activation",
                                    .doc = "y = function(x)",
                                    .inputs = 1,
                                    .options_size = sizeof(cj_activation_opts),
                                    .options = activation_options,
                                    .build = activation_build,
                                    .sample = "function=relu : 6",
                                    .masking = CJ_MASK_PASSES};

cj_node *cj_activation_layer(cj_node *x, const cj_activation_opts *opts)
{
    return cj__layer_keywords(&x, 1, &cj_layers_activation, opts);
}

/* ---- dropout --------------------------------------------------------------------------------- */

static const cj_option dropout_options[] = {
    CJ_OPTION_FLOAT(cj_dropout_opts, rate, 0, 0, 1,
                    "share of the elements that become zero, less than 1"),
    CJ_OPTION_STRING(cj_dropout_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *dropout_build(cj_layer_build *b)
{
    double rate = ((const cj_dropout_opts *)b->options)->rate;
    if (rate >= 1)
        return cj__graph_fail(b->graph, "dropout", CJ_ERR_ARGUMENT,
                              "rate=1 leaves nothing; less than 1 is expected"),
               NULL;
    cj_node *x = cj__layer_float(b, b->x[0]);
    return rate > 0 ? cj_dropout_node(x, rate) : x;
}

CJ__LAYER_ROW(dropout, dropout_options,
              "in training, zeros at random; the others grow by 1 / (1 - rate) "
              "(Srivastava et al. 2014)",
              dropout_build, "rate=0.25 : 8", CJ_MASK_PASSES)

/* ---- flatten, reshape ------------------------------------------------------------------------ */

typedef struct flatten_opts {
    const char *name;
} flatten_opts;

static const cj_option flatten_options[] = {
    CJ_OPTION_STRING(flatten_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *flatten_build(cj_layer_build *b)
{
    cj_node *x = b->x[0];
    if (cj_node_rank(x) < 1)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE, "its input is a scalar"), NULL;
    cj_dim size = 1;
    for (int i = 1; i < cj_node_rank(x); i++) size = cj_dim_mul(b->graph, size, cj_node_dim(x, i));
    return cj_reshape(x, 2, (cj_dim[]){cj_node_dim(x, 0), size});
}

const cj_layer cj_layers_flatten = {.name = "flatten",
                                 .doc = "all axes of a sample become one",
                                 .inputs = 1,
                                 .options_size = sizeof(flatten_opts),
                                 .options = flatten_options,
                                 .build = flatten_build,
                                 .sample = " : 3, 4, 2"};

cj_node *cj_flatten(cj_node *x)
{
    return cj__layer_add(&x, 1, &cj_layers_flatten, &(flatten_opts){NULL});
}

typedef struct reshape_opts {
    cj_ints shape;
    const char *name;
} reshape_opts;

static const cj_option reshape_options[] = {
    CJ_OPTION_INTS(reshape_opts, shape, -1, 0x1p53,
                   "of a sample; one size may be -1, what is left"),
    CJ_OPTION_STRING(reshape_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *reshape_build(cj_layer_build *b)
{
    const cj_ints *shape = &((const reshape_opts *)b->options)->shape;
    cj_node *x = b->x[0];
    if (shape->n >= CJ_RANK_MAX || cj_node_rank(x) < 1)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                              "samples of rank %d; at most %d is possible", shape->n,
                              CJ_RANK_MAX - 1),
               NULL;
    cj_dim dims[CJ_RANK_MAX] = {cj_node_dim(x, 0)};
    int open = 0;
    for (int i = 0; i < shape->n; i++) {
        dims[i + 1] = shape->v[i] == -1 ? CJ_INFER : shape->v[i];
        open += shape->v[i] == -1;
    }
    if (open > 1)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                              "only one size may be -1, found %d", open),
               NULL;
    return cj_reshape(x, shape->n + 1, dims);
}

const cj_layer cj_layers_reshape = {.name = "reshape",
                                 .doc = "the same elements of a sample under another shape",
                                 .inputs = 1,
                                 .options_size = sizeof(reshape_opts),
                                 .options = reshape_options,
                                 .build = reshape_build,
                                 .sample = "shape=[2, -1] : 6, 2"};

cj_node *cj_reshape_layer(cj_node *x, int rank, const int64_t *dims)
{
    return cj__layer_add(&x, 1, &cj_layers_reshape, &(reshape_opts){{rank, dims}, NULL});
}

/* ---- permute, repeat_vector ------------------------------------------------------------------ */

typedef struct permute_opts {
    cj_ints dims;
    const char *name;
} permute_opts;

static const cj_option permute_options[] = {
    CJ_OPTION_INTS(permute_opts, dims, 1, CJ_RANK_MAX - 1,
                   "the sample's axes in their new order; the first is 1"),
    CJ_OPTION_STRING(permute_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *permute_build(cj_layer_build *b)
{
    const cj_ints *dims = &((const permute_opts *)b->options)->dims;
    cj_node *x = b->x[0];
    int64_t order[CJ_RANK_MAX] = {0};
    unsigned seen = 0;
    for (int i = 0; i < dims->n && dims->n < cj_node_rank(x); i++)
        order[i + 1] = dims->v[i], seen |= 1u << dims->v[i];
    if (dims->n + 1 != cj_node_rank(x) || seen != (1u << (dims->n + 1)) - 2)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                              "dims are to name each of the sample's %d axes once, from 1",
                              cj_node_rank(x) - 1),
               NULL;
    return cj_transpose(x, order);
}

const cj_layer cj_layers_permute = {.name = "permute",
                                   .doc = "a sample's axes in another order",
                                   .inputs = 1,
                                   .options_size = sizeof(permute_opts),
                                   .options = permute_options,
                                   .build = permute_build,
                                   .sample = "dims=[2, 1] : 3, 4"};

cj_node *cj_permute(cj_node *x, int n, const int64_t *dims)
{
    return cj__layer_add(&x, 1, &cj_layers_permute, &(permute_opts){{n, dims}, NULL});
}

typedef struct repeat_vector_opts {
    int64_t n;
    const char *name;
} repeat_vector_opts;

static const cj_option repeat_vector_options[] = {
    CJ_OPTION_INT(repeat_vector_opts, n, 0, 1, 0x1p31, "how often"),
    CJ_OPTION_STRING(repeat_vector_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *repeat_vector_build(cj_layer_build *b)
{
    cj_node *x = b->x[0];
    if (cj_node_rank(x) != 2)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                              "its input is of rank %d; [batch, numbers] is expected",
                              cj_node_rank(x)),
               NULL;
    const cj_dim dims[] = {cj_node_dim(x, 0), ((const repeat_vector_opts *)b->options)->n,
                           cj_node_dim(x, 1)};
    return cj_broadcast_to(cj_expand_dims(x, 1), 3, dims);
}

const cj_layer cj_layers_repeat_vector = {.name = "repeat_vector",
                                         .doc = "[numbers] becomes [n, numbers]",
                                         .inputs = 1,
                                         .options_size = sizeof(repeat_vector_opts),
                                         .options = repeat_vector_options,
                                         .build = repeat_vector_build,
                                         .sample = "n=3 : 4"};

cj_node *cj_repeat_vector(cj_node *x, int64_t n)
{
    return cj__layer_add(&x, 1, &cj_layers_repeat_vector, &(repeat_vector_opts){n, NULL});
}
