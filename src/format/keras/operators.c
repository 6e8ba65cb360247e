/* operators.c: operators that are written between layers, x * 2 + y: a TFOpLambda with the name of
 * a function of TensorFlow, or, of Keras 3, an operation.
 *
 *     .h5      ["conv", 0, 0, {"y": 2.0}]    or    ["_CONSTANT_VALUE", -1, 2.0, {"y": ["conv", 0,
 * 0]}] .keras   "args": [{"class_name": "__keras_tensor__", ...}, 2.0]
 *
 * One of the two may be a number. */
#include "format/keras/keras.h"

#include <string.h>

/* b is NULL for those of one operand. */
static const struct {
    const char *names;
    cj_node *(*two)(cj_node *a, cj_node *b);
    cj_node *(*one)(cj_node *a);
} operators[] = {
    {"Add add math.add __operators__.add", (cj_add), NULL},
    {"Subtract math.subtract __operators__.sub", (cj_sub), NULL},
    {"Multiply math.multiply __operators__.mul", (cj_mul), NULL},
    {"TrueDivide Divide math.truediv math.divide realdiv __operators__.truediv", (cj_div), NULL},
    {"Maximum math.maximum", (cj_maximum), NULL},
    {"Minimum math.minimum", (cj_minimum), NULL},
    {"Negative math.negative __operators__.neg", NULL, (cj_neg)},
    {"Absolute Abs math.abs", NULL, (cj_abs)},
    {"Exp math.exp", NULL, (cj_exp)},
    {"Log math.log", NULL, (cj_log)},
    {"Sqrt math.sqrt", NULL, (cj_sqrt)},
    {"Square math.square", NULL, (cj_square)},
    {"Relu nn.relu", NULL, (cj_relu)},
    {"Sigmoid math.sigmoid nn.sigmoid", NULL, (cj_sigmoid)},
    {"Tanh math.tanh nn.tanh", NULL, (cj_tanh)},
};

CJ__KERAS_BUILDER(operator)
{
    const char *function = cj__keras_string(layer->config, "function");
    const char *name = strcmp(layer->kind, "TFOpLambda") ? layer->kind : function ? function : "";
    cj_node *of[2] = {NULL};
    size_t at = 0;
    int used = 0;
    while (at < CJ__COUNT(operators) && !cj__keras_is_word(operators[at].names, name)) at++;
    if (at == CJ__COUNT(operators))
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED, "the operator '%.60s' is not read",
                              name);
    const int operands = operators[at].two ? 2 : 1;
    for (int i = 0; i < operands; i++) {
        if (call->number[i])
            of[i] = cj_scalar(k->g, cj_node_dtype(x[0]), call->number[i]->number);
        else if (used < n) of[i] = x[used++];
    }
    if (used != n || !of[operands - 1])
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                              "the operator '%.60s' of other operands than results of layers and a "
                              "number",
                              name);
    call->out[0] = operands == 2 ? operators[at].two(of[0], of[1]) : operators[at].one(of[0]);
    call->n_out = 1;
    return k->g->failed;
}
