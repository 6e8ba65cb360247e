/* activation.c: activation functions. Those that only ONNX has are read as what their
 * specification says they are. */
#include <cajal/nn.h>
#include <math.h>
#include <string.h>

#include "format/onnx/map.h"
#include "graph/ops/norm.h"

static cj_node *x_in(cj__onnx_reader *r)
{
    return cj__onnx_node_in(r, 0);
}

static void write_plain(cj__onnx_writer *w, const cj__onnx_row *row)
{
    cj__onnx_last(w, row->onnx, cj__onnx_in(w, 0), NULL);
}

static void read_plain(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj__onnx_set(r, 0, row->unary(x_in(r)));
}

/* ONNX's Relu takes no unsigned integers, which it would not change. */
static void write_relu(cj__onnx_writer *w, const cj__onnx_row *row)
{
    bool same = cj_dtype_info(w->call->out[0].type.dtype)->kind == CJ_KIND_UNSIGNED;
    cj__onnx_last(w, same ? "Identity" : row->onnx, cj__onnx_in(w, 0), NULL);
}

static double field(const cj_call *call, const char *name)
{
    return *(const double *)cj__onnx_field(call, name);
}

static void write_leaky_relu(cj__onnx_writer *w, const cj__onnx_row *row)
{
    write_plain(w, row);
    cj__onnx_put_float(w, "alpha", field(w->call, "negative_slope"));
}

static void read_leaky_relu(cj__onnx_reader *r, const cj__onnx_row *row)
{
    (void)row;
    cj__onnx_set(r, 0, cj_leaky_relu(x_in(r), cj__onnx_get_float(r, "alpha", 0.01)));
}

static void write_elu(cj__onnx_writer *w, const cj__onnx_row *row)
{
    write_plain(w, row);
    cj__onnx_put_float(w, "alpha", field(w->call, "alpha"));
}

static void read_elu(cj__onnx_reader *r, const cj__onnx_row *row)
{
    (void)row;
    cj__onnx_set(r, 0, cj_elu(x_in(r), cj__onnx_get_float(r, "alpha", 1)));
}

/* One node since opset 20; before it x (1 + erf(x / sqrt 2)) / 2. */
static void write_gelu(cj__onnx_writer *w, const cj__onnx_row *row)
{
    cj_dtype dtype = w->call->out[0].type.dtype;
    const char *x = cj__onnx_in(w, 0);
    if (w->opset >= 20) {
        cj__onnx_last(w, row->onnx, x, NULL);
        return;
    }
    const char *erf = cj__onnx_step(
        w, "Erf",
        cj__onnx_step(w, "Mul", x, cj__onnx_scalar(w, dtype, 0.70710678118654752440), NULL), NULL);
    const char *twice = cj__onnx_step(w, "Add", erf, cj__onnx_scalar(w, dtype, 1), NULL);
    cj__onnx_last(w, "Mul", x, cj__onnx_step(w, "Mul", twice, cj__onnx_scalar(w, dtype, 0.5), NULL),
                  NULL);
}

static void read_gelu(cj__onnx_reader *r, const cj__onnx_row *row)
{
    char kind[32];
    cj_node *x = x_in(r);
    (void)row;
    if (!x || !cj__onnx_get_word(r, "approximate", "none", kind)) return;
    if (kind[0] == 'n') {
        cj__onnx_set(r, 0, cj_gelu(x));
        return;
    }
    /* x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 */
    cj_node *cube = cj_mul(cj_square(x), cj_scale(x, 0.044715));
    cj_node *t = cj_tanh(cj_scale(cj_add(x, cube), 0.79788456080286535588));
    cj__onnx_set(r, 0, cj_mul(cj_scale(x, 0.5), cj_shift(t, 1)));
}

static void write_silu(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const char *x = cj__onnx_in(w, 0);
    (void)row;
    cj__onnx_last(w, "Mul", x, cj__onnx_step(w, "Sigmoid", x, NULL), NULL);
}

/* ---- ONNX's own ------------------------------------------------------------------------------ */

static void read_selu(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const bool old = r->opset < 6;
    double alpha = cj__onnx_get_float(r, "alpha", old ? 1.6732 : 1.67326319217681884765625),
           gamma = cj__onnx_get_float(r, "gamma", old ? 1.0507 : 1.05070102214813232421875);
    (void)row;
    cj__onnx_set(r, 0, cj_scale(cj_elu(x_in(r), alpha), gamma));
}

/* max(0, x) + min(0, alpha (e^(x / alpha) - 1)) */
static void read_celu(cj__onnx_reader *r, const cj__onnx_row *row)
{
    double alpha = cj__onnx_get_float(r, "alpha", 1);
    (void)row;
    if (alpha == 0) cj__onnx_fail(r, CJ_ERR_DATA, "alpha is 0");
    else cj__onnx_set(r, 0, cj_scale(cj_elu(cj_scale(x_in(r), 1 / alpha), 1), alpha));
}

static void read_prelu(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = x_in(r), *slope = cj__onnx_node_in(r, 1);
    (void)row;
    if (x && slope && r->opset < 7 && slope->type.rank == 1 &&
        x->type.rank > 1) { /* one for each channel */
        cj_dim dims[CJ_RANK_MAX];
        for (int i = 0; i < x->type.rank - 1; i++) dims[i] = i ? 1 : slope->type.dim[0];
        slope = cj_reshape(slope, x->type.rank - 1, dims);
    }
    cj__onnx_set(r, 0, cj_where(cj_less(x, cj__number_like(x, 0)), cj_mul(x, slope), x));
}

static void read_thresholded(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = x_in(r);
    (void)row;
    if (!x) return;
    cj_node *threshold = cj_scalar(r->g, x->type.dtype, cj__onnx_get_float(r, "alpha", 1));
    cj__onnx_set(r, 0, cj_where(cj_greater(x, threshold), x, cj__number_like(x, 0)));
}

static void read_hard_sigmoid(cj__onnx_reader *r, const cj__onnx_row *row)
{
    double alpha = cj__onnx_get_float(r, "alpha", 0.2), beta = cj__onnx_get_float(r, "beta", 0.5);
    (void)row;
    cj__onnx_set(r, 0, cj_clip(cj_shift(cj_scale(x_in(r), alpha), beta), 0, 1));
}

/* x sigmoid(alpha x), and the same times an operand: SwiGLU (Shazeer 2020). */
static void read_swish(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = x_in(r);
    cj_node *y = cj_mul(x, cj_sigmoid(cj_scale(x, cj__onnx_get_float(r, "alpha", 1))));
    if (!strcmp(row->onnx, "SwiGLU")) y = cj_mul(y, cj__onnx_node_in(r, 1));
    cj__onnx_set(r, 0, y);
}

/* Experimental ones of opset 1: alpha x + beta, alpha ln(1 + e^(beta x)), alpha tanh(beta x). */
static void read_affine(cj__onnx_reader *r, const cj__onnx_row *row)
{
    double alpha = cj__onnx_get_float(r, "alpha", 1), beta = cj__onnx_get_float(r, "beta", 1);
    cj_node *x = x_in(r);
    if (row->unary) cj__onnx_set(r, 0, cj_scale(row->unary(cj_scale(x, beta)), alpha));
    else cj__onnx_set(r, 0, cj_shift(cj_scale(x, alpha), beta));
}

static cj_node *hard_swish(cj_node *x) { return cj_activation(x, "hard_silu"); }
static cj_node *softsign(cj_node *x) { return cj_activation(x, "softsign"); }
static cj_node *mish(cj_node *x) { return cj_activation(x, "mish"); }

/* ln(2 x), what asinh and acosh are to the last digit from `far` on, where x^2 could overflow. */
static cj_node *log_double(cj_node *x, cj_node *far)
{
    return cj_shift(cj_log(cj_maximum(x, far)), 0.6931471805599453094);
}

/* asinh x = ln(1 + x + x^2 / (1 + sqrt(x^2 + 1))), which keeps the digits of a small x, of |x|;
 * asinh is odd. Its derivative at 0 is 1: no sign(x), whose derivative is 0. */
static cj_node *asinh_of(cj_node *x)
{
    if (!x) return NULL;
    cj_node *far = cj__number_like(x, 1e8), *negative = cj_less(x, cj__number_like(x, 0));
    cj_node *a = cj_where(negative, cj_neg(x), x), *near = cj_minimum(a, far);
    cj_node *square = cj_square(near), *root = cj_sqrt(cj_shift(square, 1));
    cj_node *y = cj_log1p(cj_add(near, cj_div(square, cj_shift(root, 1))));
    y = cj_where(cj_greater(a, far), log_double(a, far), y);
    return cj_where(negative, cj_neg(y), y);
}

/* acosh x = ln(1 + t + sqrt(t) sqrt(t + 2)), t = x - 1; NaN below 1. */
static cj_node *acosh_of(cj_node *x)
{
    if (!x) return NULL;
    cj_node *far = cj__number_like(x, 1e8), *t = cj_shift(cj_minimum(x, far), -1);
    cj_node *y = cj_log1p(cj_add(t, cj_mul(cj_sqrt(t), cj_sqrt(cj_shift(t, 2)))));
    return cj_where(cj_greater(x, far), log_double(x, far), y);
}

/* (ln(1 + x) - ln(1 - x)) / 2 */
static cj_node *atanh_of(cj_node *x)
{
    return cj_scale(cj_sub(cj_log1p(x), cj_log1p(cj_neg(x))), 0.5);
}

/* Small floats are cast to f32 and back, in which these keep their digits. */
static void read_wide(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = x_in(r);
    if (!x) return;
    cj_node *y = row->unary(cj_cast(x, cj__wide(x->type.dtype)));
    cj__onnx_set(r, 0, y ? cj_cast(y, x->type.dtype) : NULL);
}

static void read_shrink(cj__onnx_reader *r, const cj__onnx_row *row)
{
    double bias = cj__onnx_get_float(r, "bias", 0), lambd = cj__onnx_get_float(r, "lambd", 0.5);
    cj_node *x = x_in(r);
    (void)row;
    if (!x) return;
    cj_dtype dtype = x->type.dtype;
    cj_node *low = cj_where(cj_less(x, cj_scalar(r->g, dtype, -lambd)), cj_shift(x, bias),
                            cj__number_like(x, 0));
    cj__onnx_set(r, 0,
                 cj_where(cj_greater(x, cj_scalar(r->g, dtype, lambd)), cj_shift(x, -bias), low));
}

#define PLAIN(name, onnx_) \
    { \
        .onnx = onnx_, .op = &cj_op_##name, .write = write_plain, .read = read_plain, \
        .unary = cj_##name \
    }
#define ONLY(onnx_, function) {.onnx = onnx_, .read = read_plain, .unary = function}

const cj__onnx_row cj__onnx_rows_activation[] = {
    PLAIN(sigmoid, "Sigmoid"),
    PLAIN(softplus, "Softplus"),
    {.onnx = "Relu", .op = &cj_op_relu, .write = write_relu, .read = read_plain, .unary = cj_relu},
    {.onnx = "LeakyRelu",
     .op = &cj_op_leaky_relu,
     .write = write_leaky_relu,
     .read = read_leaky_relu},
    {.onnx = "Elu", .op = &cj_op_elu, .write = write_elu, .read = read_elu},
    {.onnx = "Gelu", .op = &cj_op_gelu, .write = write_gelu, .read = read_gelu},
    {.op = &cj_op_silu, .write = write_silu},
    {.onnx = "Selu", .read = read_selu},
    {.onnx = "Celu", .read = read_celu},
    {.onnx = "PRelu", .read = read_prelu},
    {.onnx = "ThresholdedRelu", .read = read_thresholded},
    {.onnx = "HardSigmoid", .read = read_hard_sigmoid},
    ONLY("HardSwish", hard_swish),
    ONLY("Softsign", softsign),
    ONLY("Mish", mish),
    {.onnx = "Asinh", .read = read_wide, .unary = asinh_of},
    {.onnx = "Acosh", .read = read_wide, .unary = acosh_of},
    {.onnx = "Atanh", .read = read_wide, .unary = atanh_of},
    {.onnx = "Swish", .read = read_swish},
    {.onnx = "SwiGLU", .read = read_swish},
    {.onnx = "Affine", .read = read_affine},
    {.onnx = "ParametricSoftplus", .read = read_affine, .unary = cj_softplus},
    {.onnx = "ScaledTanh", .read = read_affine, .unary = cj_tanh},
    {.onnx = "Shrink", .read = read_shrink},
    {0},
};
