/* layers_gate.c: layers that choose how much of something passes: a slope that is learned, a
 * highway around a dense layer, experts between whom a gate decides. */
#include "nn/model.h"

#include <cajal/layers.h>

#include <math.h>

/* x [batch, ..., inputs] as floats and the number of inputs; NULL with a failed graph. */
static cj_node *vectors_of(cj_layer_build *b, int64_t *inputs)
{
    cj_node *x = cj__layer_float(b, b->x[0]);
    if (!x) return NULL;
    *inputs = cj_node_rank(x) < 2 ? -1 : cj_node_dim(x, -1);
    if (*inputs < 0)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                              "its input is of rank %d; [batch, ..., number] with a known number "
                              "is expected",
                              cj_node_rank(x)),
               NULL;
    return x;
}

/* ---- prelu ----------------------------------------------------------------------------------- */

static const cj_option prelu_options[] = {
    CJ_OPTION_STRING(cj_prelu_opts, alpha_initializer, "zeros", "first slopes"),
    CJ_OPTION_STRING(cj_prelu_opts, alpha_regularizer, NULL, "added to the loss for the slopes"),
    CJ__CONSTRAINT_OPTION(cj_prelu_opts, alpha_constraint),
    CJ_OPTION_INTS(cj_prelu_opts, shared_axes, 1, CJ_RANK_MAX - 1,
                   "axes of the sample along which the slope is the same; the first is 1"),
    CJ_OPTION_STRING(cj_prelu_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *prelu_build(cj_layer_build *b)
{
    const cj_prelu_opts *o = b->options;
    cj_node *x = cj__layer_float(b, b->x[0]);
    if (!x) return NULL;
    const int rank = cj_node_rank(x) - 1;
    int64_t dims[CJ_RANK_MAX];
    for (int i = 0; i < rank; i++) dims[i] = cj_node_dim(x, i + 1);
    for (int i = 0; i < o->shared_axes.n; i++) {
        if (o->shared_axes.v[i] > rank)
            return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                                  "shared axis %lld of samples of rank %d",
                                  (long long)o->shared_axes.v[i], rank),
                   NULL;
        dims[o->shared_axes.v[i] - 1] = 1;
    }
    cj_node *alpha = cj_layer_parameter(b, "alpha", rank, dims, o->alpha_initializer, 0, 0,
                                        o->alpha_regularizer);
    alpha = cj_layer_constraint(b, alpha, o->alpha_constraint);
    cj_node *negative = cj_minimum(x, cj__number_like(x, 0));
    return cj_add(cj_relu(x), cj_mul(alpha, negative));
}

CJ__LAYER_WITH_MASKS(prelu, "y = x for x >= 0, alpha x below; alpha is learned (He et al. 2015)",
                     prelu_build, "alpha_initializer=constant(0.25), shared_axes=[1] : 3, 4",
                     CJ_MASK_PASSES)

/* ---- highway --------------------------------------------------------------------------------- */

static const cj_option highway_options[] = {
    CJ_OPTION_STRING(cj_highway_opts, activation, "relu", "function of the dense layer"),
    CJ_OPTION_STRING(cj_highway_opts, kernel_initializer, "glorot_uniform", "first values of W"),
    CJ_OPTION_STRING(cj_highway_opts, gate_bias_initializer, "constant(-2)",
                     "first values of the gate's bias: below 0 x passes"),
    CJ_OPTION_STRING(cj_highway_opts, kernel_regularizer, NULL, "added to the loss for W"),
    CJ__CONSTRAINT_OPTION(cj_highway_opts, kernel_constraint),
    CJ_OPTION_STRING(cj_highway_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *affine(cj_layer_build *b, cj_node *x, int64_t n, const char *kernel,
                       const char *bias, const char *bias_initializer)
{
    const cj_highway_opts *o = b->options;
    cj_node *w = cj_layer_parameter(b, kernel, 2, (int64_t[]){n, n}, o->kernel_initializer, 0, 0,
                                    o->kernel_regularizer);
    w = cj_layer_constraint(b, w, o->kernel_constraint);
    return cj_add(cj_matmul(x, w),
                  cj_layer_parameter(b, bias, 1, &n, bias_initializer, 0, 0, NULL));
}

static cj_node *highway_build(cj_layer_build *b)
{
    const cj_highway_opts *o = b->options;
    int64_t n;
    cj_node *x = vectors_of(b, &n);
    if (!x) return NULL;
    cj_node *y = affine(b, x, n, "kernel", "bias", "zeros");
    cj_node *gate = affine(b, x, n, "gate_kernel", "gate_bias", o->gate_bias_initializer);
    y = cj__layer_activate(b, y, o->activation);
    return cj_add(x, cj_mul(cj_sigmoid(gate), cj_sub(y, x)));
}

CJ__LAYER_WITH_MASKS(
    highway,
    "y = t activation(x W + b) + (1 - t) x, t = sigmoid(x W_t + b_t) (Srivastava et al. "
    "2015)",
    highway_build, "activation=tanh : 5", CJ_MASK_PASSES)

/* ---- mixture_of_experts ---------------------------------------------------------------------- */

static const cj_option mixture_of_experts_options[] = {
    CJ_OPTION_INT(cj_mixture_of_experts_opts, units, 0, 1, 2147483647, "numbers a sample becomes"),
    CJ_OPTION_INT(cj_mixture_of_experts_opts, experts, 0, 1, 65536, "how many there are"),
    CJ_OPTION_INT(cj_mixture_of_experts_opts, top_k, 2, 1, 65536,
                  "how many of them a position listens to; more than there are: all"),
    CJ_OPTION_STRING(cj_mixture_of_experts_opts, activation, NULL, "function of each expert"),
    CJ_OPTION_FLOAT(cj_mixture_of_experts_opts, load_balancing, 0.01, 0, 1e9,
                    "price of an uneven use"),
    CJ_OPTION_BOOL(cj_mixture_of_experts_opts, no_bias, false, "leave out the experts' biases"),
    CJ_OPTION_STRING(cj_mixture_of_experts_opts, kernel_initializer, "glorot_uniform",
                     "first values of W and of the gate"),
    CJ_OPTION_STRING(cj_mixture_of_experts_opts, kernel_regularizer, NULL,
                     "added to the loss for W"),
    CJ__CONSTRAINT_OPTION(cj_mixture_of_experts_opts, kernel_constraint),
    CJ_OPTION_STRING(cj_mixture_of_experts_opts, name, NULL, "of the layer"), CJ_OPTION_END};

/* The logits of the k largest (of equals, all), minus infinity for the others. */
static cj_node *only_largest(cj_node *logits, int64_t k)
{
    if (!logits) return NULL;
    cj_node *largest = cj_top_k(logits, k, -1, false);
    cj_node *least = cj_slice_axis(largest, cj_node_rank(logits) - 1, k - 1, 1);
    return cj_where(cj_greater_equal(logits, least), logits,
                    cj__number_like(logits, -INFINITY));
}

/* experts sum_e f_e p_e over the mean share of listeners f and the mean probability p of each
 * (Fedus et al. 2021, equation 4): 1 when both are even. */
static void balance(cj_layer_build *b, cj_node *logits, cj_node *gates, double factor, int64_t n)
{
    int64_t axes[CJ_RANK_MAX];
    if (!logits || !gates || factor == 0) return;
    const int count = cj_node_rank(logits) - 1;
    for (int i = 0; i < count; i++) axes[i] = i;
    cj_node *zero = cj__number_like(gates, 0);
    cj_node *used = cj_cast(cj_greater(gates, zero), gates->type.dtype);
    used = cj_div(used, cj_reduce_sum(used, 1, (int64_t[]){-1}, true));
    cj_node *share = cj_reduce_mean(used, count, axes, false),
            *probability = cj_reduce_mean(cj_softmax(logits, -1), count, axes, false);
    cj_layer_loss(b, cj_scale(cj_sum(cj_mul(share, probability)), factor * (double)n));
}

static cj_node *mixture_of_experts_build(cj_layer_build *b)
{
    const cj_mixture_of_experts_opts *o = b->options;
    const int64_t n = o->experts, units = o->units, k = o->top_k < n ? o->top_k : n;
    int64_t inputs;
    cj_node *x = vectors_of(b, &inputs);
    if (!x) return NULL;
    const int rank = cj_node_rank(x);
    if (rank == CJ_RANK_MAX)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE, "its input is of rank %d, at most "
                              "%d is possible", rank, CJ_RANK_MAX - 1),
               NULL;
    cj_node *gate = cj_layer_parameter(b, "gate_kernel", 2, (int64_t[]){inputs, n},
                                       o->kernel_initializer, 0, 0, NULL);
    cj_node *kernel = cj_layer_parameter(b, "kernel", 3, (int64_t[]){inputs, n, units},
                                         o->kernel_initializer, inputs, units,
                                         o->kernel_regularizer);
    kernel = cj_layer_constraint(b, kernel, o->kernel_constraint);
    cj_node *logits = cj_matmul(x, gate), *gates = cj_softmax(only_largest(logits, k), -1);
    balance(b, logits, gates, o->load_balancing, n);
    cj_dim dims[CJ_RANK_MAX];
    for (int i = 0; i < rank - 1; i++) dims[i] = cj_node_dim(x, i);
    dims[rank - 1] = n, dims[rank] = units;
    cj_node *wide = cj_reshape(kernel, 2, (cj_dim[]){inputs, n * units});
    cj_node *each = cj_reshape(cj_matmul(x, wide), rank + 1, dims);
    if (!o->no_bias)
        each = cj_add(each, cj_layer_parameter(b, "bias", 2, (int64_t[]){n, units}, "zeros", 0, 0,
                                               NULL));
    each = cj__layer_activate(b, each, o->activation);
    return cj_squeeze(cj_matmul(cj_expand_dims(gates, -2), each), -2);
}

CJ__LAYER_WITH_MASKS(
    mixture_of_experts,
    "y = sum_e g_e activation(x W_e + b_e), g the softmax of the top_k largest of x W_g "
    "(Shazeer et al. 2017); all experts are computed",
    mixture_of_experts_build, "units=3, experts=4, top_k=2, activation=tanh : 5, 6", CJ_MASK_PASSES)
