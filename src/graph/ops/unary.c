/* unary.c: functions of one number.
 *
 * Each line of FUNCTION is a whole operator on floats: y = f(x) in double, its gradient in builders
 * of dy, x and y, and the interval its samples are drawn from. Where the derivative is simple in
 * terms of y (exp, tanh, sqrt ...), y is used again instead of computing anything of x twice. */
#include <math.h>
#include <string.h>

#include "graph/ops/map.h"
#include "tensor/dtype.h"

/* d f(x) = f'(x) dx: the gradient is dy f'(x). */
#define FUNCTION(op, onnx_name, text, formula, gradient, low, high) \
    static double op##_f64(double x) \
    { \
        return formula; \
    } \
    static cj_status op##_ref(const cj_kernel *k) \
    { \
        return cj__map_f64(k, op##_f64); \
    } \
    static void op##_grad(cj_graph *g, cj_call *call, cj_node *const *dys, cj_node **dx) \
    { \
        cj_node *dy = dys[0], *x = call->in[0], *y = &call->out[0]; \
        (void)g, (void)x, (void)y; \
        dx[0] = gradient; \
    } \
    static cj_node *op##_sample(cj_sampler *s, int i) \
    { \
        return cj__sample_unary(s, i, cj_##op, low, high, 0, 0, false); \
    } \
    const cj_op cj_op_##op = { \
        .name = #op, \
        .doc = text, \
        .inputs = 1, \
        .flags = CJ_OP_ELEMENTWISE, \
        .infer = cj__infer_floats, \
        .grad = op##_grad, \
        .ref = op##_ref, \
        .sample = CJ__SAMPLE(op##_sample), \
        .onnx = onnx_name, \
    }; \
    cj_node *cj_##op(cj_node *x) \
    { \
        return cj__apply_unary(&cj_op_##op, x); \
    }

/* 1 + x and 1 - x for nodes. */
static cj_node *plus_1(cj_node *x)
{
    return cj_shift(x, 1);
}
static cj_node *from_1(cj_node *x)
{
    return cj_shift(cj_neg(x), 1);
}

static double sigmoid_of(double x)
{
    double e = exp(-fabs(x)); /* never overflows */
    return (x < 0 ? e : 1) / (1 + e);
}

#define TWO_OVER_SQRT_PI 1.1283791670955125739

FUNCTION(sqrt, "Sqrt", "y = sqrt(x); NaN below 0", sqrt(x), cj_div(cj_scale(dy, 0.5), y), 0.2, 3)
FUNCTION(rsqrt, NULL, "y = 1 / sqrt(x)", 1 / sqrt(x),
         cj_mul(cj_scale(dy, -0.5), cj_mul(y, cj_square(y))), 0.3, 3)
FUNCTION(reciprocal, "Reciprocal", "y = 1 / x", 1 / x, cj_neg(cj_mul(dy, cj_square(y))), 0.3, 3)
FUNCTION(exp, "Exp", "y = e^x", exp(x), cj_mul(dy, y), -2, 2)
FUNCTION(expm1, NULL, "y = e^x - 1, exact near 0", expm1(x), cj_mul(dy, plus_1(y)), -2, 2)
FUNCTION(log, "Log", "y = ln x; -inf at 0, NaN below", log(x), cj_div(dy, x), 0.3, 3)
FUNCTION(log1p, NULL, "y = ln(1 + x), exact near 0", log1p(x), cj_div(dy, plus_1(x)), -0.6, 3)
FUNCTION(sin, "Sin", "y = sin x", sin(x), cj_mul(dy, cj_cos(x)), -4, 4)
FUNCTION(cos, "Cos", "y = cos x", cos(x), cj_neg(cj_mul(dy, cj_sin(x))), -4, 4)
FUNCTION(tan, "Tan", "y = tan x", tan(x), cj_mul(dy, plus_1(cj_square(y))), -1.1, 1.1)
FUNCTION(asin, "Asin", "y = arcsin x; NaN outside -1 .. 1", asin(x),
         cj_mul(dy, cj_rsqrt(from_1(cj_square(x)))), -0.8, 0.8)
FUNCTION(acos, "Acos", "y = arccos x; NaN outside -1 .. 1", acos(x),
         cj_neg(cj_mul(dy, cj_rsqrt(from_1(cj_square(x))))), -0.8, 0.8)
FUNCTION(atan, "Atan", "y = arctan x", atan(x), cj_div(dy, plus_1(cj_square(x))), -3, 3)
FUNCTION(sinh, "Sinh", "y = (e^x - e^-x) / 2", sinh(x), cj_mul(dy, cj_cosh(x)), -2, 2)
FUNCTION(cosh, "Cosh", "y = (e^x + e^-x) / 2", cosh(x), cj_mul(dy, cj_sinh(x)), -2, 2)
FUNCTION(tanh, "Tanh", "y = (e^x - e^-x) / (e^x + e^-x)", tanh(x), cj_mul(dy, from_1(cj_square(y))),
         -2, 2)
FUNCTION(sigmoid, "Sigmoid", "y = 1 / (1 + e^-x)", sigmoid_of(x), cj_mul(dy, cj_mul(y, from_1(y))),
         -4, 4)
/* ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|), which neither overflows nor loses small values. */
FUNCTION(softplus, "Softplus", "y = ln(1 + e^x)", (x > 0 ? x : 0) + log1p(exp(-fabs(x))),
         cj_mul(dy, cj_sigmoid(x)), -4, 4)
FUNCTION(erf, "Erf", "y = 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x", erf(x),
         cj_mul(cj_scale(dy, TWO_OVER_SQRT_PI), cj_exp(cj_neg(cj_square(x)))), -2, 2)

/* ---- Steps: constant between jumps ----------------------------------------------------------- */

/* The gradient is zero wherever there is one, which is what a row with no_gradient says. */
#define STEP(op, onnx_name, text, formula, unit) \
    static double op##_f64(double x) \
    { \
        return formula; \
    } \
    static cj_status op##_ref(const cj_kernel *k) \
    { \
        return cj__map_f64(k, op##_f64); \
    } \
    static cj_node *op##_sample(cj_sampler *s, int i) \
    { \
        return cj__sample_unary(s, i, cj_##op, -4, 4, unit, 0.1, false); \
    } \
    const cj_op cj_op_##op = { \
        .name = #op, \
        .doc = text, \
        .inputs = 1, \
        .flags = CJ_OP_ELEMENTWISE, \
        .infer = cj__infer_floats, \
        .no_gradient = "piecewise constant", \
        .ref = op##_ref, \
        .sample = CJ__SAMPLE(op##_sample), \
        .onnx = onnx_name, \
    }; \
    cj_node *cj_##op(cj_node *x) \
    { \
        return cj__apply_unary(&cj_op_##op, x); \
    }

STEP(floor, "Floor", "the largest whole number <= x", floor(x), 1)
STEP(ceil, "Ceil", "the smallest whole number >= x", ceil(x), 1)
STEP(round, "Round", "the nearest whole number, the even one of two", nearbyint(x), 0.5)

/* ---- Numbers of every kind ------------------------------------------------------------------- */

/* NUMBER: as FUNCTION, with a second formula for integers, on x as a 64-bit pattern u. Integers
 * wrap: the negative and the absolute value of the smallest i8 are -128. */
#define NUMBER(op, onnx_name, text, formula, integer_formula) \
    static double op##_f64(double x) \
    { \
        return formula; \
    } \
    static int64_t op##_i64(int64_t x, bool is_u64) \
    { \
        uint64_t u = (uint64_t)x; \
        bool negative = x < 0 && !is_u64; \
        (void)u, (void)negative; \
        return (int64_t)(integer_formula); \
    } \
    static cj_status op##_ref(const cj_kernel *k) \
    { \
        return cj__is_float(k->out[0]->dtype) ? cj__map_f64(k, op##_f64) \
                                              : cj__map_i64(k, op##_i64); \
    } \
    static cj_node *op##_sample(cj_sampler *s, int i) \
    { \
        return cj__sample_unary(s, i, cj_##op, -3, 3, 1e9, 0.1, true); \
    } \
    const cj_op cj_op_##op = { \
        .name = #op, \
        .doc = text, \
        .inputs = 1, \
        .flags = CJ_OP_ELEMENTWISE, \
        .infer = cj__infer_numbers, \
        .grad = op##_grad, \
        .no_gradient = op##_no_gradient, \
        .ref = op##_ref, \
        .sample = CJ__SAMPLE(op##_sample), \
        .onnx = onnx_name, \
    };

static void neg_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g, (void)call;
    dx[0] = cj_neg(dy[0]);
}

/* d |x| = sign(x) dx, taken as 0 at 0. */
static void abs_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[0] = cj_mul(dy[0], cj_sign(call->in[0]));
}

static void square_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[0] = cj_mul(dy[0], cj_scale(call->in[0], 2));
}

#define sign_grad NULL
#define neg_no_gradient NULL
#define abs_no_gradient NULL
#define square_no_gradient NULL
#define sign_no_gradient "piecewise constant"

NUMBER(neg, "Neg", "y = -x", -x, 0 - u)
NUMBER(abs, "Abs", "y = |x|", fabs(x), negative ? 0 - u : u)
NUMBER(sign, "Sign", "y = -1, 0 or 1; NaN stays NaN",
       x > 0    ? 1
       : x < 0  ? -1
       : x == 0 ? 0
                : x,
       negative ? UINT64_MAX : u != 0)
NUMBER(square, NULL, "y = x^2", x *x, u *u)

cj_node *cj_neg(cj_node *x)
{
    return cj__apply_linear(&cj_op_neg, x);
}
cj_node *cj_abs(cj_node *x)
{
    return cj__apply_unary(&cj_op_abs, x);
}
cj_node *cj_sign(cj_node *x)
{
    return cj__apply_unary(&cj_op_sign, x);
}
cj_node *cj_square(cj_node *x)
{
    return cj__apply_linear(&cj_op_square, x);
}

/* ---- Copies ---------------------------------------------------------------------------------- */

static cj_status copy_ref(const cj_kernel *k)
{
    const cj_array *x = k->in[0], *y = k->out[0];
    if (y->data != x->data) cj__convert(y->dtype, y->data, x->dtype, x->data, (size_t)y->count);
    return CJ_OK;
}

static void identity_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g, (void)call;
    dx[0] = dy[0];
}

static cj_node *identity_sample(cj_sampler *s, int i)
{
    return cj__sample_unary(s, i, cj_identity, -2, 2, 0, 0, true);
}

const cj_op cj_op_identity = {
    .name = "identity",
    .doc = "y = x",
    .inputs = 1,
    .flags = CJ_OP_ELEMENTWISE | CJ_OP_VIEW | CJ_OP_ANY_DTYPE,
    .infer = cj_infer_same,
    .grad = identity_grad,
    .ref = copy_ref,
    .sample = CJ__SAMPLE(identity_sample),
    .onnx = "Identity",
};
cj_node *cj_identity(cj_node *x)
{
    return cj__apply_linear(&cj_op_identity, x);
}

/* Its gradient is no limit of differences, so a check by differences must leave it out. */
static cj_node *stop_gradient_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (!cj_sample_shape(i, &rank, dims)) return NULL;
    return cj_stop_gradient(cj_sample_int(s, i % 2 ? CJ_I32 : CJ_U8, 0, 9, rank, dims));
}

const cj_op cj_op_stop_gradient = {
    .name = "stop_gradient",
    .doc = "y = x, taken as constant by gradients",
    .inputs = 1,
    .flags = CJ_OP_ELEMENTWISE | CJ_OP_VIEW | CJ_OP_ANY_DTYPE,
    .infer = cj_infer_same,
    .no_gradient = "stopped on purpose",
    .ref = copy_ref,
    .sample = CJ__SAMPLE(stop_gradient_sample),
};
cj_node *cj_stop_gradient(cj_node *x)
{
    return cj__apply_linear(&cj_op_stop_gradient, x);
}

static cj_node *checkpoint_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (!cj_sample_shape(i, &rank, dims)) return NULL;
    return cj_checkpoint(cj_sample_real(s, -1, 1, rank, dims));
}

const cj_op cj_op_checkpoint = {
    .name = "checkpoint",
    .doc = "y = x, kept for the gradient where other values are computed again",
    .inputs = 1,
    .flags = CJ_OP_ELEMENTWISE | CJ_OP_VIEW | CJ_OP_ANY_DTYPE,
    .infer = cj_infer_same,
    .grad = identity_grad,
    .ref = copy_ref,
    .sample = CJ__SAMPLE(checkpoint_sample),
};
cj_node *cj_checkpoint(cj_node *x)
{
    return cj__apply_linear(&cj_op_checkpoint, x);
}

/* ---- Cast ------------------------------------------------------------------------------------ */

struct cast_attrs {
    cj_dtype to;
    bool overflow;
    int round;
};

static const char *const roundings[] = {"up", "down", "nearest", NULL};


static const cj_option cast_options[] = {
    CJ_OPTION_DTYPE(struct cast_attrs, to, CJ_F32, "dtype of the result"),
    CJ_OPTION_BOOL(struct cast_attrs, overflow, false,
                   "8-bit floats: what is too large becomes infinity or NaN, else the largest"),
    CJ_OPTION_WORD(struct cast_attrs, round, 0, roundings,
                   "f8e8m0: which power of two, of the two a number lies between"),
    CJ_OPTION_END};

static cj_status cast_infer(cj_infer *infer)
{
    const struct cast_attrs *attrs = infer->call->attributes;
    if (attrs->to <= CJ_DTYPE_NONE || attrs->to >= CJ_DTYPE_COUNT)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "to=%d is no dtype", (int)attrs->to);
    infer->out[0] = infer->call->in[0]->type;
    if (attrs->to != infer->out[0].dtype &&
        (attrs->to == CJ_STRING || infer->out[0].dtype == CJ_STRING))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "%s cannot become %s in a graph",
                             cj_dtype_info(infer->out[0].dtype)->name,
                             cj_dtype_info(attrs->to)->name);
    infer->out[0].dtype = attrs->to;
    return CJ_OK;
}

/* In place, element by element: the converter wants arrays that do not overlap. */
static cj_status cast_ref(const cj_kernel *k)
{
    const cj_array *x = k->in[0], *y = k->out[0];
    size_t from = cj__dtype_bytes(x->dtype), to = cj__dtype_bytes(y->dtype);
    unsigned char element[8], *bytes = y->data;
    const struct cast_attrs *a = k->call->attributes;
    const cj_cast_mode mode = (cj_cast_mode)(a->round | (a->overflow ? CJ_CAST_OVERFLOW : 0));
    if (y->data != x->data) {
        cj__convert_as(y->dtype, y->data, x->dtype, x->data, (size_t)y->count, mode);
        return CJ_OK;
    }
    CJ_ASSERT(to <= from);
    for (size_t i = 0; i < (size_t)y->count; i++) {
        memcpy(element, bytes + i * from, from);
        cj__convert_as(y->dtype, bytes + i * to, x->dtype, element, 1, mode);
    }
    return CJ_OK;
}

/* Between floats the gradient is cast back. What went through an integer or a bool is a step: zero.
 */
static void cast_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    cj_dtype from = call->in[0]->type.dtype;
    if (cj__is_float(from) && cj__is_float(call->out[0].type.dtype)) dx[0] = cj_cast(dy[0], from);
}

/* Reals to f64 and f32 and back, then every dtype to some other one. */
static cj_node *cast_sample(cj_sampler *s, int i)
{
    enum { FLOATS = 24, DTYPES = CJ_STRING - 1 };
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (cj_sample_shape(i, &rank, dims)) {
        cj_node *x = cj_sample_real(s, -3, 3, rank, dims);
        return cj_cast(x, x && x->type.dtype == CJ_F64 ? CJ_F32 : CJ_F64);
    }
    if (i >= FLOATS + DTYPES) return NULL;
    cj_dtype from = (cj_dtype)(i - FLOATS + 1), to = (cj_dtype)((i - FLOATS + 5) % DTYPES + 1);
    return cj_cast(cj_sample_int(s, from, 0, 1, 2, (int64_t[]){3, 4}), to);
}

const cj_op cj_op_cast = {
    .name = "cast",
    .doc = "x in another dtype: floats are rounded to nearest even, and drop their fraction and "
           "saturate "
           "when they become integers (NaN: 0); integers wrap; bool asks for not zero",
    .inputs = 1,
    .flags = CJ_OP_ELEMENTWISE | CJ_OP_ANY_DTYPE,
    .attributes_size = sizeof(struct cast_attrs),
    .attributes = cast_options,
    .infer = cast_infer,
    .grad = cast_grad,
    .ref = cast_ref,
    .sample = CJ__SAMPLE(cast_sample),
};

cj_node *cj_cast(cj_node *x, cj_dtype dtype)
{
    return cj_cast_as(x, dtype, CJ_CAST_UP);
}

cj_node *cj_cast_as(cj_node *x, cj_dtype dtype, cj_cast_mode mode)
{
    if (!x || cj__is_zero(x) || x->type.dtype == dtype) return x;
    struct cast_attrs attrs = {dtype, (mode & CJ_CAST_OVERFLOW) != 0, mode & ~CJ_CAST_OVERFLOW};
    return cj_apply(cj_node_graph(x), &cj_op_cast, &x, 1, &attrs);
}

/* ---- Questions ------------------------------------------------------------------------------- */

static cj_status question_infer(cj_infer *infer)
{
    cj_status failed = cj__infer_floats(infer);
    if (!failed) infer->out[0].dtype = CJ_BOOL;
    return failed;
}

#define QUESTION(op, onnx_name, text, formula) \
    static bool op##_f64(double x) \
    { \
        return formula; \
    } \
    static cj_status op##_ref(const cj_kernel *k) \
    { \
        return cj__test_f64(k, op##_f64); \
    } \
    static cj_node *op##_sample(cj_sampler *s, int i) \
    { \
        return cj__sample_unary(s, i, op##_of_log, -2, 2, 0, 0, false); \
    } \
    const cj_op cj_op_##op = { \
        .name = #op, \
        .doc = text, \
        .inputs = 1, \
        .flags = CJ_OP_ELEMENTWISE, \
        .infer = question_infer, \
        .no_gradient = "boolean result", \
        .ref = op##_ref, \
        .sample = CJ__SAMPLE(op##_sample), \
        .onnx = onnx_name, \
    }; \
    cj_node *cj_##op(cj_node *x) \
    { \
        return cj__apply_unary(&cj_op_##op, x); \
    }

/* Half of the logarithms of samples around 0 are NaN, and that of relu(x) is infinite as often. */
static cj_node *is_nan_of_log(cj_node *x)
{
    return cj_is_nan(cj_log(x));
}
static cj_node *is_inf_of_log(cj_node *x)
{
    return cj_is_inf(cj_log(cj_relu(x)));
}
QUESTION(is_nan, "IsNaN", "is x not a number?", isnan(x))
QUESTION(is_inf, "IsInf", "is x plus or minus infinity?", isinf(x))

static cj_status logical_not_infer(cj_infer *infer)
{
    cj_dtype dtype = infer->call->in[0]->type.dtype;
    if (!cj__is_bool(dtype))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "takes bool, not %s", cj_dtype_info(dtype)->name);
    return cj_infer_same(infer);
}

static int64_t logical_not_i64(int64_t x, bool is_u64)
{
    (void)is_u64;
    return !x;
}

static cj_status logical_not_ref(const cj_kernel *k)
{
    return cj__map_i64(k, logical_not_i64);
}

static cj_node *logical_not_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    return cj_sample_shape(i, &rank, dims) ? cj_logical_not(cj_sample_bool(s, rank, dims)) : NULL;
}

const cj_op cj_op_logical_not = {
    .name = "logical_not",
    .doc = "true where x is false",
    .inputs = 1,
    .flags = CJ_OP_ELEMENTWISE,
    .infer = logical_not_infer,
    .no_gradient = "boolean result",
    .ref = logical_not_ref,
    .sample = CJ__SAMPLE(logical_not_sample),
    .onnx = "Not",
};
cj_node *cj_logical_not(cj_node *x)
{
    return cj__apply_unary(&cj_op_logical_not, cj_cast(x, CJ_BOOL));
}

/* ---- With a number --------------------------------------------------------------------------- */

cj_node *cj__number_like(cj_node *x, double value)
{
    return x ? cj_scalar(cj_node_graph(x), x->type.dtype, value) : NULL;
}

cj_node *cj_scale(cj_node *x, double factor)
{
    if (!x || cj__is_zero(x) || factor == 1) return x;
    return factor == -1 && !cj__is_bool(x->type.dtype) ? cj_neg(x)
                                                       : cj_mul(x, cj__number_like(x, factor));
}

cj_node *cj_shift(cj_node *x, double term)
{
    if (!x || term == 0) return x;
    return cj__is_zero(x) ? NULL : cj_add(x, cj__number_like(x, term));
}

/* As numpy: `max` wins where min > max, NaN elements stay. An infinite bound is none. */
cj_node *cj_clip(cj_node *x, double min, double max)
{
    if (!x || cj__is_zero(x)) return NULL;
    if (isnan(min) || isnan(max))
        return cj_graph_fail(cj_node_graph(x), CJ_ERR_ARGUMENT, "clip: min or max is NaN");
    if (min > -INFINITY) x = cj_maximum(x, cj__number_like(x, min));
    if (x && max < INFINITY) x = cj_minimum(x, cj__number_like(x, max));
    return x;
}
