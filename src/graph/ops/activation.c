/* activation.c: the activations that are more than one mathematical function.
 *
 * relu is max(x, 0); the others are smooth or sloped versions of it. Gradients at a kink are those
 * of the left side (relu 0, leaky_relu its slope). gelu and silu carry a lowering, which is what
 * they are saved as where a format has no operator of that name. */
#include <math.h>

#include "graph/ops/map.h"

#define SQRT_HALF 0.70710678118654752440
#define ONE_OVER_SQRT_2PI 0.39894228040143267794

static cj_node *positive(cj_node *x)
{
    return cj_greater(x, cj__number_like(x, 0));
}

/* ---- relu ------------------------------------------------------------------------------------ */

static double relu_f64(double x)
{
    return x < 0 ? 0 : x;
} /* NaN stays */
static int64_t relu_i64(int64_t x, bool is_u64)
{
    return x < 0 && !is_u64 ? 0 : x;
}
static cj_status relu_ref(const cj_kernel *k)
{
    return cj__is_float(k->out[0]->dtype) ? cj__map_f64(k, relu_f64) : cj__map_i64(k, relu_i64);
}

static void relu_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[0] = cj_where(positive(call->in[0]), dy[0], cj_zero);
}

static cj_node *relu_sample(cj_sampler *s, int i)
{
    return cj__sample_unary(s, i, cj_relu, -3, 3, 1e9, 0.1, true);
}

const cj_op cj_op_relu = {
    .name = "relu",
    .doc = "y = max(x, 0)",
    .inputs = 1,
    .flags = CJ_OP_ELEMENTWISE,
    .infer = cj__infer_numbers,
    .grad = relu_grad,
    .ref = relu_ref,
    .sample = CJ__SAMPLE(relu_sample),
    .onnx = "Relu",
};
cj_node *cj_relu(cj_node *x)
{
    return cj__apply_unary(&cj_op_relu, x);
}

/* ---- leaky_relu and elu: one number each ----------------------------------------------------- */

struct leaky_attrs {
    double negative_slope;
};
struct elu_attrs {
    double alpha;
};

static const cj_option leaky_options[] = {CJ_OPTION_FLOAT(struct leaky_attrs, negative_slope, 0.01,
                                                          -INFINITY, INFINITY, "slope below 0"),
                                          CJ_OPTION_END};
static const cj_option elu_options[] = {CJ_OPTION_FLOAT(struct elu_attrs, alpha, 1, -INFINITY,
                                                        INFINITY, "minus the limit at -infinity"),
                                        CJ_OPTION_END};

/* y[i] = f(x[i], parameter). */
static cj_status map_with(const cj_kernel *k, double (*f)(double x, double parameter),
                          double parameter)
{
    const cj_array *x = k->in[0], *y = k->out[0];
    for (size_t i = 0; i < (size_t)y->count; i++)
        cj_store_f64(y->dtype, y->data, i, f(cj_load_f64(x->dtype, x->data, i), parameter));
    return CJ_OK;
}

static double leaky_f64(double x, double slope)
{
    return x < 0 ? slope * x : x;
}
static cj_status leaky_relu_ref(const cj_kernel *k)
{
    return map_with(k, leaky_f64,
                    ((const struct leaky_attrs *)k->call->attributes)->negative_slope);
}

static void leaky_relu_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    double slope = ((const struct leaky_attrs *)call->attributes)->negative_slope;
    dx[0] = cj_where(positive(call->in[0]), dy[0], cj_scale(dy[0], slope));
}

static cj_node *leaky_relu_default(cj_node *x)
{
    return cj_leaky_relu(x, 0.01);
}
static cj_node *leaky_relu_steep(cj_node *x)
{
    return cj_leaky_relu(x, 0.3);
}
static cj_node *leaky_relu_sample(cj_sampler *s, int i)
{
    return cj__sample_unary(s, i, i % 2 ? leaky_relu_steep : leaky_relu_default, -3, 3, 1e9, 0.1,
                            false);
}

const cj_op cj_op_leaky_relu = {
    .name = "leaky_relu",
    .doc = "y = x where x >= 0, else negative_slope x",
    .inputs = 1,
    .flags = CJ_OP_ELEMENTWISE,
    .attributes_size = sizeof(struct leaky_attrs),
    .attributes = leaky_options,
    .infer = cj__infer_floats,
    .grad = leaky_relu_grad,
    .ref = leaky_relu_ref,
    .sample = CJ__SAMPLE(leaky_relu_sample),
};

cj_node *cj_leaky_relu(cj_node *x, double negative_slope)
{
    if (!x || cj__is_zero(x)) return x;
    return cj_apply(cj_node_graph(x), &cj_op_leaky_relu, &x, 1,
                    &(struct leaky_attrs){negative_slope});
}

static double elu_f64(double x, double alpha)
{
    return x < 0 ? alpha * expm1(x) : x;
}
static cj_status elu_ref(const cj_kernel *k)
{
    return map_with(k, elu_f64, ((const struct elu_attrs *)k->call->attributes)->alpha);
}

/* Below 0: y = a (e^x - 1), so dy/dx = a e^x = y + a. */
static void elu_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    cj_node *slope = cj_shift(&call->out[0], ((const struct elu_attrs *)call->attributes)->alpha);
    dx[0] = cj_where(positive(call->in[0]), dy[0], cj_mul(dy[0], slope));
}

static cj_node *elu_default(cj_node *x)
{
    return cj_elu(x, 1);
}
static cj_node *elu_small(cj_node *x)
{
    return cj_elu(x, 0.3);
}
static cj_node *elu_sample(cj_sampler *s, int i)
{
    return cj__sample_unary(s, i, i % 2 ? elu_small : elu_default, -3, 3, 1e9, 0.1, false);
}

const cj_op cj_op_elu = {
    .name = "elu",
    .doc = "y = x where x >= 0, else alpha (e^x - 1)",
    .inputs = 1,
    .flags = CJ_OP_ELEMENTWISE,
    .attributes_size = sizeof(struct elu_attrs),
    .attributes = elu_options,
    .infer = cj__infer_floats,
    .grad = elu_grad,
    .ref = elu_ref,
    .sample = CJ__SAMPLE(elu_sample),
};

cj_node *cj_elu(cj_node *x, double alpha)
{
    if (!x || cj__is_zero(x)) return x;
    return cj_apply(cj_node_graph(x), &cj_op_elu, &x, 1, &(struct elu_attrs){alpha});
}

/* ---- gelu ------------------------------------------------------------------------------------ */

/* P(x) = (1 + erf(x / sqrt 2)) / 2, the normal distribution; erfc keeps its small values exact. */
static double gelu_f64(double x)
{
    return x * (0.5 * erfc(-x * SQRT_HALF));
}
static cj_status gelu_ref(const cj_kernel *k)
{
    return cj__map_f64(k, gelu_f64);
}

static cj_node *normal_distribution(cj_node *x)
{
    return cj_scale(cj_shift(cj_erf(cj_scale(x, SQRT_HALF)), 1), 0.5);
}

/* d x P(x) = P(x) + x p(x), p(x) = e^(-x^2 / 2) / sqrt(2 pi). */
static void gelu_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    cj_node *x = call->in[0];
    cj_node *density = cj_scale(cj_exp(cj_scale(cj_square(x), -0.5)), ONE_OVER_SQRT_2PI);
    dx[0] = cj_mul(dy[0], cj_add(normal_distribution(x), cj_mul(x, density)));
}

static bool gelu_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    (void)g;
    out[0] = cj_mul(call->in[0], normal_distribution(call->in[0]));
    return out[0] != NULL;
}

static cj_node *gelu_sample(cj_sampler *s, int i)
{
    return cj__sample_unary(s, i, cj_gelu, -3, 3, 0, 0, false);
}

const cj_op cj_op_gelu = {
    .name = "gelu",
    .doc = "y = x (1 + erf(x / sqrt(2))) / 2; NaN at -inf",
    .inputs = 1,
    .flags = CJ_OP_ELEMENTWISE,
    .infer = cj__infer_floats,
    .grad = gelu_grad,
    .lower = gelu_lower,
    .ref = gelu_ref,
    .sample = CJ__SAMPLE(gelu_sample),
};
cj_node *cj_gelu(cj_node *x)
{
    return cj__apply_unary(&cj_op_gelu, x);
}

/* ---- silu ------------------------------------------------------------------------------------ */

static double silu_f64(double x)
{
    double e = exp(-fabs(x));
    return x * ((x < 0 ? e : 1) / (1 + e));
}
static cj_status silu_ref(const cj_kernel *k)
{
    return cj__map_f64(k, silu_f64);
}

/* y = x s(x), s' = s (1 - s): dy/dx = s + x s (1 - s) = s + y (1 - s). */
static void silu_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    cj_node *sigmoid = cj_sigmoid(call->in[0]);
    cj_node *rest = cj_shift(cj_neg(sigmoid), 1);
    dx[0] = cj_mul(dy[0], cj_add(sigmoid, cj_mul(&call->out[0], rest)));
}

static bool silu_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    (void)g;
    out[0] = cj_mul(call->in[0], cj_sigmoid(call->in[0]));
    return out[0] != NULL;
}

static cj_node *silu_sample(cj_sampler *s, int i)
{
    return cj__sample_unary(s, i, cj_silu, -4, 4, 0, 0, false);
}

const cj_op cj_op_silu = {
    .name = "silu",
    .doc = "y = x / (1 + e^-x), also called swish; NaN at -inf",
    .inputs = 1,
    .flags = CJ_OP_ELEMENTWISE,
    .infer = cj__infer_floats,
    .grad = silu_grad,
    .lower = silu_lower,
    .ref = silu_ref,
    .sample = CJ__SAMPLE(silu_sample),
};
cj_node *cj_silu(cj_node *x)
{
    return cj__apply_unary(&cj_op_silu, x);
}
