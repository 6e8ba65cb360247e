/* activations.c: activation functions by name, each a builder on an operator. */
#include "nn/model.h"

#include "base/registry.h"

#define SIMPLE(id, formula, expression)                                                            \
    static cj_node *build_##id(cj_node *x, const void *options)                                    \
    {                                                                                              \
        (void)options;                                                                             \
        return expression;                                                                         \
    }                                                                                              \
    const cj_activation_row cj_activation_##id = {.name = #id, .doc = formula, .build = build_##id};

SIMPLE(linear, "y = x", x)
SIMPLE(relu, "y = max(x, 0)", cj_relu(x))
SIMPLE(gelu, "y = x Phi(x), Phi the standard normal's distribution (Hendrycks and Gimpel 2016)",
       cj_gelu(x))
SIMPLE(sigmoid, "y = 1 / (1 + e^-x)", cj_sigmoid(x))
SIMPLE(tanh, "y = tanh(x)", cj_tanh(x))
SIMPLE(softplus, "y = log(1 + e^x)", cj_softplus(x))
SIMPLE(swish, "y = x / (1 + e^-x) (Ramachandran et al. 2017)", cj_silu(x))

typedef struct leaky_relu_options {
    double negative_slope;
} leaky_relu_options;
static const cj_option leaky_relu_table[] = {
    CJ_OPTION_FLOAT(leaky_relu_options, negative_slope, 0.3, 0, 1e6, "slope for negative values"),
    CJ_OPTION_END};
static cj_node *build_leaky_relu(cj_node *x, const void *options)
{
    return cj_leaky_relu(x, ((const leaky_relu_options *)options)->negative_slope);
}
const cj_activation_row cj_activation_leaky_relu = {.name = "leaky_relu",
                                                    .doc =
                                                        "y = x for x >= 0, negative_slope x below",
                                                    .options_size = sizeof(leaky_relu_options),
                                                    .options = leaky_relu_table,
                                                    .build = build_leaky_relu};

typedef struct elu_options {
    double alpha;
} elu_options;
static const cj_option elu_table[] = {CJ_OPTION_FLOAT(elu_options, alpha, 1, 0, 1e6,
                                                      "limit for large negative values"),
                                      CJ_OPTION_END};
static cj_node *build_elu(cj_node *x, const void *options)
{
    return cj_elu(x, ((const elu_options *)options)->alpha);
}
const cj_activation_row cj_activation_elu = {
    .name = "elu",
    .doc = "y = x for x >= 0, alpha (e^x - 1) below (Clevert et al. 2015)",
    .options_size = sizeof(elu_options),
    .options = elu_table,
    .build = build_elu};

typedef struct softmax_options {
    int64_t axis;
} softmax_options;
static const cj_option softmax_table[] = {CJ_OPTION_INT(softmax_options, axis, -1, -CJ_RANK_MAX,
                                                        CJ_RANK_MAX - 1,
                                                        "the axis that sums to one"),
                                          CJ_OPTION_END};
static cj_node *build_softmax(cj_node *x, const void *options)
{
    return cj_softmax(x, (int)((const softmax_options *)options)->axis);
}
const cj_activation_row cj_activation_softmax = {.name = "softmax",
                                                 .doc = "y = e^x / sum e^x along the axis",
                                                 .options_size = sizeof(softmax_options),
                                                 .options = softmax_table,
                                                 .build = build_softmax};

cj_node *cj_activation(cj_node *x, const char *function)
{
    if (!x || !function || !*function) return x;
    cj_graph *g = cj_node_graph(x);
    if (!g) return x;
    cj__named named;
    cj_status failed = cj__named_parse(&g->arena, g->cj, CJ__ROW_ACTIVATION, function, &named);
    if (failed) return cj_graph_fail(g, failed, "%s", cj_message(g->cj));
    return ((const cj_activation_row *)named.row)->build(x, named.options);
}
