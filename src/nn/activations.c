/* activations.c: activation functions by name, each a builder on operators.
 *
 * Where a formula has a kink its gradient is that of one side, as the operators have it (relu 0 at
 * 0; clip passes it on at its bounds). All are finite for finite x but `exponential`. */
#include "nn/model.h"

#include "base/registry.h"

#include <math.h>

/* ---- How rows are written -------------------------------------------------------------------- */

#define ROW(id, others, formula, ...)                                                              \
    const cj_activation_row cj_activation_##id = {                                                 \
        .name = #id, .doc = formula, .aliases = others, .build = build_##id, __VA_ARGS__}
#define OPTIONS(id) .options_size = sizeof(id##_options), .options = id##_table

/* x alone */
#define SIMPLE(id, others, formula, expression)                                                    \
    static cj_node *build_##id(cj_node *x, const void *options)                                    \
    {                                                                                              \
        (void)options;                                                                             \
        return expression;                                                                         \
    }                                                                                              \
    ROW(id, others, formula, .options = NULL)

/* x and a number, which the expression calls by its name */
#define WITH_NUMBER(id, others, formula, number, initial, min, max, help, expression)              \
    typedef struct id##_options {                                                                  \
        double number;                                                                             \
    } id##_options;                                                                                \
    static const cj_option id##_table[] = {                                                        \
        CJ_OPTION_FLOAT(id##_options, number, initial, min, max, help), CJ_OPTION_END};            \
    static cj_node *build_##id(cj_node *x, const void *options)                                    \
    {                                                                                              \
        const double number = ((const id##_options *)options)->number;                             \
        return expression;                                                                         \
    }                                                                                              \
    ROW(id, others, formula, OPTIONS(id))

/* x and an axis, which the expression calls `axis` */
typedef struct axis_options {
    int64_t axis;
} axis_options;
#define WITH_AXIS(id, others, formula, help, expression)                                           \
    static const cj_option id##_table[] = {                                                        \
        CJ_OPTION_INT(axis_options, axis, -1, -CJ_RANK_MAX, CJ_RANK_MAX - 1, help),                \
        CJ_OPTION_END};                                                                            \
    static cj_node *build_##id(cj_node *x, const void *options)                                    \
    {                                                                                              \
        const int axis = (int)((const axis_options *)options)->axis;                               \
        return expression;                                                                         \
    }                                                                                              \
    ROW(id, others, formula, .options_size = sizeof(axis_options), .options = id##_table)

static cj_node *above(cj_node *x, double limit)
{
    return x ? cj_greater(x, cj__number_like(x, limit)) : NULL;
}

/* ---- Smooth ---------------------------------------------------------------------------------- */

SIMPLE(linear, "identity", "y = x", x);
SIMPLE(sigmoid, "logistic", "y = 1 / (1 + e^-x)", cj_sigmoid(x));
SIMPLE(tanh, NULL, "y = tanh(x)", cj_tanh(x));
SIMPLE(exponential, "exp", "y = e^x", cj_exp(x));
SIMPLE(silu, "swish", "y = x / (1 + e^-x) (Hendrycks and Gimpel 2016; Ramachandran et al. 2017)",
       cj_silu(x));
SIMPLE(mish, NULL, "y = x tanh(log(1 + e^x)) (Misra 2019)",
       cj_mul(x, cj_tanh(cj_softplus(x))));
SIMPLE(log_sigmoid, "logsigmoid", "y = -log(1 + e^-x)", cj_neg(cj_softplus(cj_neg(x))));
SIMPLE(softsign, NULL, "y = x / (1 + |x|) (Bergstra et al. 2009)",
       cj_div(x, cj_shift(cj_abs(x), 1)));
SIMPLE(tanh_shrink, "tanhshrink", "y = x - tanh(x)", cj_sub(x, cj_tanh(x)));
WITH_NUMBER(softplus, NULL, "y = log(1 + e^(beta x)) / beta (Dugas et al. 2001)", beta, 1, 1e-6,
            1e6, "how sharp the bend is", cj_scale(cj_softplus(cj_scale(x, beta)), 1 / beta));

/* sqrt(x^2 + b) - |x| loses all digits where x is large, so of the two roots the sum is taken: for
 * x > 0 y = s, else y = b / (4 s) with s = (|x| + sqrt(x^2 + b)) / 2. |x| is x times a sign that is
 * never 0, which gives the slope 1/2 at 0. */
static cj_node *squareplus(cj_node *x, double b)
{
    cj_node *positive = above(x, 0);
    cj_node *sign = cj_where(positive, cj__number_like(x, 1), cj__number_like(x, -1));
    cj_node *s = cj_scale(cj_add(cj_mul(x, sign), cj_sqrt(cj_shift(cj_square(x), b))), 0.5);
    return cj_where(positive, s, cj_div(cj__number_like(x, b / 4), s));
}
WITH_NUMBER(squareplus, NULL, "y = (x + sqrt(x^2 + b)) / 2 (Barron 2021)", b, 4, 1e-12, 1e6,
            "how wide the bend is", squareplus(x, b));

typedef struct gelu_options {
    bool approximate;
} gelu_options;
static const cj_option gelu_table[] = {
    CJ_OPTION_BOOL(gelu_options, approximate, false,
                   "y = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 instead"),
    CJ_OPTION_END};
static cj_node *build_gelu(cj_node *x, const void *options)
{
    const double root = 0.79788456080286535588; /* of 2 / pi */
    if (!((const gelu_options *)options)->approximate) return cj_gelu(x);
    cj_node *inner = cj_mul(x, cj_shift(cj_scale(cj_square(x), 0.044715 * root), root));
    return cj_mul(cj_scale(x, 0.5), cj_shift(cj_tanh(inner), 1));
}
ROW(gelu, NULL, "y = x Phi(x), Phi the standard normal's distribution (Hendrycks and Gimpel 2016)",
    OPTIONS(gelu));

/* ---- Exponential below, linear above --------------------------------------------------------- */

WITH_NUMBER(elu, NULL, "y = x for x >= 0, alpha (e^x - 1) below (Clevert et al. 2015)", alpha, 1, 0,
            1e6, "limit for large negative values", cj_elu(x, alpha));
WITH_NUMBER(celu, NULL, "y = x for x >= 0, alpha (e^(x / alpha) - 1) below (Barron 2017)", alpha, 1,
            1e-6, 1e6, "limit for large negative values",
            cj_scale(cj_elu(cj_scale(x, 1 / alpha), 1), alpha));
SIMPLE(selu, NULL,
       "y = 1.0507 x for x >= 0, 1.7581 (e^x - 1) below: layers keep mean 0 and variance 1 "
       "(Klambauer et al. 2017)",
       cj_scale(cj_elu(x, 1.6732632423543772848), 1.0507009873554804934));

/* ---- Pieces of lines ------------------------------------------------------------------------- */

typedef struct relu_options {
    double negative_slope, max_value, threshold;
} relu_options;
static const cj_option relu_table[] = {
    CJ_OPTION_FLOAT(relu_options, negative_slope, 0, 0, 1e6, "slope below the threshold"),
    CJ_OPTION_FLOAT(relu_options, max_value, INFINITY, 0, INFINITY, "the largest result"),
    CJ_OPTION_FLOAT(relu_options, threshold, 0, 0, 1e6, "values below it count as negative"),
    CJ_OPTION_END};
static cj_node *build_relu(cj_node *x, const void *options)
{
    const relu_options *o = options;
    cj_node *y = o->negative_slope > 0 && o->threshold == 0 ? cj_leaky_relu(x, o->negative_slope)
                 : o->threshold == 0                        ? cj_relu(x)
                                     : cj_where(cj_less(x, cj__number_like(x, o->threshold)),
                                                cj_scale(cj_shift(x, -o->threshold),
                                                         o->negative_slope),
                                                x);
    return o->max_value < INFINITY ? cj_minimum(y, cj__number_like(x, o->max_value)) : y;
}
ROW(relu, NULL, "y = max(x, 0); with its options slope (x - threshold) below the threshold",
    OPTIONS(relu));

WITH_NUMBER(leaky_relu, NULL, "y = x for x >= 0, negative_slope x below (Maas et al. 2013)",
            negative_slope, 0.3, 0, 1e6, "slope for negative values",
            cj_leaky_relu(x, negative_slope));
typedef struct rrelu_options {
    double lower, upper;
} rrelu_options;
static const cj_option rrelu_table[] = {
    CJ_OPTION_FLOAT(rrelu_options, lower, 1.0 / 8, 0, 1, "smallest slope for negative values"),
    CJ_OPTION_FLOAT(rrelu_options, upper, 1.0 / 3, 0, 1, "largest slope for negative values"),
    CJ_OPTION_END};
/* In training each element has a slope of its own, outside of it all have the mean of these. */
static cj_node *build_rrelu(cj_node *x, const void *options)
{
    const rrelu_options *o = options;
    cj_graph *g = cj_node_graph(x);
    if (!g) return NULL;
    if (o->lower > o->upper)
        return cj_graph_fail(g, CJ_ERR_ARGUMENT, "rrelu: lower=%g is above upper=%g", o->lower,
                             o->upper);
    cj_node *steady = cj_leaky_relu(x, (o->lower + o->upper) / 2);
    if (o->lower == o->upper || !steady) return steady;
    cj_node *share = cj_random_uniform(cj_random_key(g), CJ_F32, -1, x->type.rank, x->type.dim);
    cj_node *slope = cj_cast(cj_shift(cj_scale(share, o->upper - o->lower), o->lower),
                             x->type.dtype);
    return cj_where(cj_training(g), cj_where(above(x, 0), x, cj_mul(x, slope)), steady);
}
ROW(rrelu, NULL,
    "y = x for x > 0, a x below: in training a is random for each element, evenly from lower to "
    "upper, else their mean (Xu et al. 2015)",
    OPTIONS(rrelu));
SIMPLE(relu6, NULL, "y = min(max(x, 0), 6)", cj_minimum(cj_relu(x), cj__number_like(x, 6)));
static cj_node *hard_sigmoid(cj_node *x, double slope)
{
    return cj_clip(cj_shift(cj_scale(x, slope), 0.5), 0, 1);
}
WITH_NUMBER(hard_sigmoid, "hardsigmoid", "y = min(max(slope x + 1/2, 0), 1)", slope, 1.0 / 6, 0,
            1e6, "at 0; Keras 2 has 0.2", hard_sigmoid(x, slope));
SIMPLE(hard_silu, "hard_swish, hardswish", "y = x min(max(x / 6 + 1/2, 0), 1) (Howard et al. 2019)",
       cj_mul(x, hard_sigmoid(x, 1.0 / 6)));
SIMPLE(sparse_sigmoid, NULL, "y = min(max((x + 1) / 2, 0), 1)",
       cj_clip(cj_scale(cj_shift(x, 1), 0.5), 0, 1));
SIMPLE(sparse_plus, NULL, "y = 0 for x <= -1, x for x >= 1, (x + 1)^2 / 4 between",
       cj_add(cj_scale(cj_square(cj_clip(cj_shift(x, 1), 0, 2)), 0.25), cj_relu(cj_shift(x, -1))));
WITH_NUMBER(hard_shrink, "hardshrink", "y = x for |x| > threshold, else 0", threshold, 0.5, 0, 1e6,
            "what counts as small",
            cj_where(above(cj_abs(x), threshold), x, cj__number_like(x, 0)));
WITH_NUMBER(soft_shrink, "softshrink", "y = x - min(max(x, -threshold), threshold)", threshold, 0.5,
            0, 1e6, "what is taken off", cj_sub(x, cj_clip(x, -threshold, threshold)));

typedef struct hard_tanh_options {
    double min_val, max_val;
} hard_tanh_options;
static const cj_option hard_tanh_table[] = {
    CJ_OPTION_FLOAT(hard_tanh_options, min_val, -1, -1e6, 1e6, "the smallest result"),
    CJ_OPTION_FLOAT(hard_tanh_options, max_val, 1, -1e6, 1e6, "the largest result"),
    CJ_OPTION_END};
static cj_node *build_hard_tanh(cj_node *x, const void *options)
{
    const hard_tanh_options *o = options;
    if (x && !(o->min_val < o->max_val))
        return cj_graph_fail(cj_node_graph(x), CJ_ERR_ARGUMENT,
                             "hard_tanh: min_val=%g is not below max_val=%g", o->min_val,
                             o->max_val);
    return cj_clip(x, o->min_val, o->max_val);
}
ROW(hard_tanh, "hardtanh", "y = min(max(x, min_val), max_val)", OPTIONS(hard_tanh));

typedef struct threshold_options {
    double threshold, default_value;
} threshold_options;
static const cj_option threshold_table[] = {
    CJ_OPTION_FLOAT(threshold_options, threshold, 0, -1e6, 1e6, "what x must be above"),
    CJ_OPTION_FLOAT(threshold_options, default_value, 0, -1e6, 1e6, "the result otherwise"),
    CJ_OPTION_END};
static cj_node *build_threshold(cj_node *x, const void *options)
{
    const threshold_options *o = options;
    return cj_where(above(x, o->threshold), x, cj__number_like(x, o->default_value));
}
ROW(threshold, NULL, "y = x for x > threshold, else default_value", OPTIONS(threshold));

/* ---- Along an axis --------------------------------------------------------------------------- */

WITH_AXIS(softmax, NULL, "y = e^x / sum e^x along the axis", "the axis that sums to one",
          cj_softmax(x, axis));
WITH_AXIS(softmin, NULL, "y = e^-x / sum e^-x along the axis", "the axis that sums to one",
          cj_softmax(cj_neg(x), axis));
WITH_AXIS(log_softmax, "logsoftmax", "y = x - log sum e^x along the axis",
          "the axis whose exponentials sum to one", cj_log_softmax(x, axis));

/* The axis of x as a number from 0, its size known; -1 with the graph failed. */
static int known_axis(cj_node *x, int axis, const char *function)
{
    cj_graph *g = cj_node_graph(x);
    if (!g) return -1;
    const int rank = x->type.rank, at = axis < 0 ? axis + rank : axis;
    if (at < 0 || at >= rank)
        cj_graph_fail(g, CJ_ERR_SHAPE, "%s: axis %d of an array of rank %d", function, axis, rank);
    else if (x->type.dim[at] < 1)
        cj_graph_fail(g, CJ_ERR_SHAPE, "%s: the size of axis %d is not known", function, axis);
    else return at;
    return -1;
}

static cj_node *glu(cj_node *x, int axis)
{
    const int at = known_axis(x, axis, "glu");
    if (at < 0) return NULL;
    const int64_t half = x->type.dim[at] / 2, sizes[] = {half, half};
    if (2 * half != x->type.dim[at])
        return cj_graph_fail(cj_node_graph(x), CJ_ERR_SHAPE,
                             "glu: axis %d has %lld elements, expected an even number", axis,
                             (long long)x->type.dim[at]);
    cj_node *halves = cj_split(x, at, 2, sizes);
    return cj_mul(halves, cj_sigmoid(cj_node_output(halves, 1)));
}
WITH_AXIS(glu, NULL, "y = a / (1 + e^-b), a and b the halves of x (Dauphin et al. 2016)",
          "the axis that is halved", glu(x, axis));

/* The point of the simplex nearest to x: y = max(x - t, 0) with t so that y sums to one. With x in
 * falling order, the k largest are in the support when 1 + k x_k > x_1 + ... + x_k, and t is their
 * mean less 1/k. The largest is taken off first, so that sums keep their digits. */
static cj_node *sparsemax(cj_node *x, int axis)
{
    const int at = known_axis(x, axis, "sparsemax");
    if (at < 0) return NULL;
    const int64_t n = x->type.dim[at], along = at;
    cj_dim count_dims[CJ_RANK_MAX];
    for (int i = 0; i < x->type.rank; i++) count_dims[i] = i == at ? n : 1;
    x = cj_sub(x, cj_stop_gradient(cj_reduce_max(x, 1, &along, true)));
    cj_node *falling = cj_top_k(x, n, at, false);
    cj_node *ones = cj_broadcast_to(cj__number_like(x, 1), x ? x->type.rank : 0, count_dims);
    cj_node *k = cj_cumsum(ones, at, false, false);
    cj_node *in = cj_greater(cj_shift(cj_mul(k, falling), 1), cj_cumsum(falling, at, false, false));
    cj_node *support = in ? cj_cast(in, x->type.dtype) : NULL;
    cj_node *size = cj_reduce_sum(support, 1, &along, true),
            *sum = cj_reduce_sum(cj_where(in, falling, cj__number_like(x, 0)), 1, &along, true);
    return cj_relu(cj_sub(x, cj_div(cj_shift(sum, -1), size)));
}
WITH_AXIS(sparsemax, NULL,
          "y = the point nearest to x that sums to one (Martins and Astudillo 2016)",
          "the axis that sums to one", sparsemax(x, axis));

/* ---- By name --------------------------------------------------------------------------------- */

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
