/* initializers.c: first values of parameters, drawn from counter-based random numbers keyed by the
 * model's seed and the parameter's number: the same on every machine and for any number of threads.
 *
 * Most scale their variance by the fans. Glorot (Glorot and Bengio 2010): 2 / (fan_in + fan_out);
 * He (He et al. 2015): 2 / fan_in; LeCun (LeCun et al. 1998): 1 / fan_in. The normal forms are cut
 * off at two deviations and widened to keep the variance, as in Keras. */
#include "nn/model.h"

#include "base/random.h"
#include "tensor/tensor.h"

#include <math.h>

/* The streams of initial values lie apart from those of dropout. */
enum { STREAM_INITIAL = 0x10000000 };

static uint32_t word(const cj_initializer_target *at, int64_t i, uint32_t step)
{
    cj__random_key key = {.seed = at->seed,
                          .stream = STREAM_INITIAL + at->stream,
                          .step = step,
                          .sample = (uint32_t)(i >> 32)};
    return cj__random_u32(key, (uint32_t)i);
}

static cj_status fill(cj_tensor *t,
                      double (*draw)(const cj_initializer_target *at, int64_t i, double a,
                                     double b),
                      const cj_initializer_target *at, double a, double b)
{
    void *data = cj_tensor_map(t, CJ_MAP_WRITE);
    if (!data) return CJ_ERR_MEMORY;
    for (int64_t i = 0; i < cj_tensor_count(t); i++)
        cj_store_f64(cj_tensor_dtype(t), data, (size_t)i, draw(at, i, a, b));
    cj_tensor_unmap(t);
    return CJ_OK;
}

static double draw_same(const cj_initializer_target *at, int64_t i, double a, double b)
{
    (void)at, (void)i, (void)b;
    return a;
}
/* 53 bits, so that tensors of doubles are not floats in disguise. The first 24 are those of a
 * float. */
static double draw_uniform_f64(const cj_initializer_target *at, int64_t i, double low, double high)
{
    uint64_t bits = (uint64_t)word(at, i, 0) << 21 | word(at, i, 1) >> 11;
    return low + (high - low) * ((double)bits * 0x1p-53);
}
static double draw_uniform(const cj_initializer_target *at, int64_t i, double low, double high)
{
    return low + (high - low) * (double)cj__random_unit(word(at, i, 0));
}
static double draw_normal(const cj_initializer_target *at, int64_t i, double mean, double deviation)
{
    return mean + deviation * cj__random_normal(word(at, 2 * i, 0), word(at, 2 * i + 1, 0));
}
/* Draws outside two deviations are drawn again, with the next step of the counter. */
static double draw_truncated(const cj_initializer_target *at, int64_t i, double mean,
                             double deviation)
{
    double x = 0;
    for (uint32_t step = 0; step < 64; step++) {
        x = cj__random_normal(word(at, 2 * i, step), word(at, 2 * i + 1, step));
        if (fabs(x) <= 2) break;
    }
    return mean + deviation * (fabs(x) <= 2 ? x : 0);
}

static cj_status fill_between(cj_tensor *t, const cj_initializer_target *at, double low,
                              double high)
{
    return fill(t, cj_tensor_dtype(t) == CJ_F64 ? draw_uniform_f64 : draw_uniform, at, low, high);
}

/* The deviation of a standard normal cut off at two deviations. */
static const double truncated_deviation = 0.87962566103423978;

static cj_status fill_zeros(cj_tensor *t, const cj_initializer_target *at, const void *o)
{
    (void)o;
    return fill(t, draw_same, at, 0, 0);
}
static cj_status fill_ones(cj_tensor *t, const cj_initializer_target *at, const void *o)
{
    (void)o;
    return fill(t, draw_same, at, 1, 0);
}
const cj_initializer cj_initializer_zeros = {
    .name = "zeros", .doc = "all 0", .aliases = "zero", .fill = fill_zeros};
const cj_initializer cj_initializer_ones = {
    .name = "ones", .doc = "all 1", .aliases = "one", .fill = fill_ones};

typedef struct fill_options {
    double value, minval, maxval, mean, stddev;
} fill_options;
static const cj_option constant_table[] = {
    CJ_OPTION_FLOAT(fill_options, value, 0, -1e300, 1e300, "the value"), CJ_OPTION_END};
static cj_status fill_constant(cj_tensor *t, const cj_initializer_target *at, const void *o)
{
    return fill(t, draw_same, at, ((const fill_options *)o)->value, 0);
}
const cj_initializer cj_initializer_constant = {.name = "constant",
                                                .doc = "all the same value",
                                                .options_size = sizeof(fill_options),
                                                .options = constant_table,
                                                .fill = fill_constant};

static const cj_option uniform_table[] = {
    CJ_OPTION_FLOAT(fill_options, minval, -0.05, -1e300, 1e300, "smallest value"),
    CJ_OPTION_FLOAT(fill_options, maxval, 0.05, -1e300, 1e300,
                    "largest value (not reached, but for rounding)"),
    CJ_OPTION_END};
static cj_status fill_uniform(cj_tensor *t, const cj_initializer_target *at, const void *o)
{
    const fill_options *options = o;
    if (options->minval > options->maxval)
        return cj_fail(t->cj, CJ_ERR_ARGUMENT, "random_uniform: minval=%g is more than maxval=%g",
                       options->minval, options->maxval);
    return fill_between(t, at, options->minval, options->maxval);
}
const cj_initializer cj_initializer_random_uniform = {.name = "random_uniform",
                                                      .doc = "uniform in [minval, maxval)",
                                                      .aliases = "uniform",
                                                      .options_size = sizeof(fill_options),
                                                      .options = uniform_table,
                                                      .fill = fill_uniform};

static const cj_option normal_table[] = {
    CJ_OPTION_FLOAT(fill_options, mean, 0, -1e300, 1e300, "mean of the values"),
    CJ_OPTION_FLOAT(fill_options, stddev, 0.05, 0, 1e300, "standard deviation"), CJ_OPTION_END};
static cj_status fill_normal(cj_tensor *t, const cj_initializer_target *at, const void *o)
{
    return fill(t, draw_normal, at, ((const fill_options *)o)->mean,
                ((const fill_options *)o)->stddev);
}
const cj_initializer cj_initializer_random_normal = {.name = "random_normal",
                                                     .doc = "normal",
                                                     .aliases = "normal",
                                                     .options_size = sizeof(fill_options),
                                                     .options = normal_table,
                                                     .fill = fill_normal};

static cj_status fill_truncated(cj_tensor *t, const cj_initializer_target *at, const void *o)
{
    return fill(t, draw_truncated, at, ((const fill_options *)o)->mean,
                ((const fill_options *)o)->stddev);
}
const cj_initializer cj_initializer_truncated_normal = {
    .name = "truncated_normal",
    .doc = "normal; what is more than two deviations from the mean is drawn again",
    .aliases = "trunc_normal",
    .options_size = sizeof(fill_options),
    .options = normal_table,
    .fill = fill_truncated};

/* ---- Scaled by the fans ---------------------------------------------------------------------- */

static const char *const modes[] = {"fan_in", "fan_out", "fan_avg", NULL};
enum { FAN_IN, FAN_OUT, FAN_AVG };
static const char *const distributions[] = {"truncated_normal", "untruncated_normal", "uniform",
                                            NULL};
enum { TRUNCATED, NORMAL, UNIFORM };

typedef struct scaling {
    double scale;
    int mode, distribution;
} scaling;
static const cj_option scaling_table[] = {
    CJ_OPTION_FLOAT(scaling, scale, 1, 0, 1e300, "the variance is scale / fan"),
    CJ_OPTION_WORD(scaling, mode, FAN_IN, modes, "which fan; avg is the mean of both"),
    CJ_OPTION_WORD(scaling, distribution, TRUNCATED, distributions, "of the values"),
    CJ_OPTION_END};

static cj_status fill_variance_scaling(cj_tensor *t, const cj_initializer_target *at,
                                       const void *options)
{
    const scaling *o = options;
    const double in = (double)at->fan_in, out = (double)at->fan_out,
                 fan = o->mode == FAN_IN ? in : o->mode == FAN_OUT ? out : (in + out) / 2,
                 variance = o->scale / (fan > 0 ? fan : 1), limit = sqrt(3 * variance);
    if (o->distribution == UNIFORM) return fill_between(t, at, -limit, limit);
    if (o->distribution == NORMAL) return fill(t, draw_normal, at, 0, sqrt(variance));
    return fill(t, draw_truncated, at, 0, sqrt(variance) / truncated_deviation);
}
const cj_initializer cj_initializer_variance_scaling = {.name = "variance_scaling",
                                                        .doc = "variance scale / fan",
                                                        .options_size = sizeof(scaling),
                                                        .options = scaling_table,
                                                        .fill = fill_variance_scaling};

#define SCALED(id, others, text, ...)                                                              \
    static cj_status fill_##id(cj_tensor *t, const cj_initializer_target *at, const void *options) \
    {                                                                                              \
        (void)options;                                                                             \
        return fill_variance_scaling(t, at, &(scaling){__VA_ARGS__});                              \
    }                                                                                              \
    const cj_initializer cj_initializer_##id = {                                                   \
        .name = #id, .doc = text, .aliases = others, .fill = fill_##id}

SCALED(glorot_uniform, "xavier_uniform", "uniform, limit sqrt(6 / (fan_in + fan_out))", 1, FAN_AVG,
       UNIFORM);
SCALED(glorot_normal, "xavier_normal", "truncated normal, variance 2 / (fan_in + fan_out)", 1,
       FAN_AVG, TRUNCATED);
SCALED(he_uniform, "kaiming_uniform", "uniform, limit sqrt(6 / fan_in)", 2, FAN_IN, UNIFORM);
SCALED(he_normal, "kaiming_normal", "truncated normal, variance 2 / fan_in", 2, FAN_IN, TRUNCATED);
SCALED(lecun_uniform, NULL, "uniform, limit sqrt(3 / fan_in)", 1, FAN_IN, UNIFORM);
SCALED(lecun_normal, NULL, "truncated normal, variance 1 / fan_in", 1, FAN_IN, TRUNCATED);

/* ---- identity -------------------------------------------------------------------------------- */

typedef struct gain_options {
    double gain;
} gain_options;
static const cj_option gain_table[] = {
    CJ_OPTION_FLOAT(gain_options, gain, 1, -1e300, 1e300, "factor of the matrix"), CJ_OPTION_END};

/* The matrix is the last two axes, in the middle of a window whose sizes are the axes before. */
static cj_status fill_identity(cj_tensor *t, const cj_initializer_target *at, const void *o)
{
    const int rank = cj_tensor_rank(t);
    const int64_t *dims = cj_tensor_shape(t);
    if (rank < 2)
        return cj_fail(t->cj, CJ_ERR_SHAPE, "identity: a matrix is expected, not rank %d", rank);
    CJ__TRY(fill(t, draw_same, at, 0, 0));
    const int64_t rows = dims[rank - 2], columns = dims[rank - 1];
    int64_t middle = 0;
    for (int i = 0; i < rank - 2; i++) middle = middle * dims[i] + dims[i] / 2;
    void *data = cj_tensor_map(t, CJ_MAP_WRITE);
    if (!data) return CJ_ERR_MEMORY;
    for (int64_t i = 0; i < rows && i < columns && cj_tensor_count(t); i++)
        cj_store_f64(cj_tensor_dtype(t), data,
                     (size_t)(middle * rows * columns + i * columns + i),
                     ((const gain_options *)o)->gain);
    cj_tensor_unmap(t);
    return CJ_OK;
}
const cj_initializer cj_initializer_identity = {
    .name = "identity",
    .doc = "gain on the diagonal, else 0; of a convolution, in the middle of the window",
    .aliases = "eye, dirac",
    .options_size = sizeof(gain_options),
    .options = gain_table,
    .fill = fill_identity};

/* ---- orthogonal ------------------------------------------------------------------------------ */

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Rows of q become orthonormal (Gram and Schmidt, twice, which is as good as Householder). A row
 * that is all but in the span of those before is drawn again. */
static void make_orthonormal(double *q, int64_t rows, int64_t n,
                             const cj_initializer_target *at)
{
    for (int64_t i = 0; i < rows; i++) {
        double *row = q + i * n, length = 0;
        for (uint32_t step = 0; step < 16; step++) {
            for (int64_t j = 0; j < n; j++)
                row[j] = cj__random_normal(word(at, 2 * (i * n + j), step),
                                           word(at, 2 * (i * n + j) + 1, step));
            for (int twice = 0; twice < 2; twice++)
                for (int64_t k = 0; k < i; k++) {
                    const double along = dot(row, q + k * n, n);
                    for (int64_t j = 0; j < n; j++) row[j] -= along * q[k * n + j];
                }
            length = sqrt(dot(row, row, n));
            if (length > 1e-6) break;
        }
        for (int64_t j = 0; j < n; j++) row[j] /= length;
    }
}

/* All axes but the last are rows. Of rows and columns, the fewer become orthonormal. */
static cj_status fill_orthogonal(cj_tensor *t, const cj_initializer_target *at, const void *o)
{
    const double gain = ((const gain_options *)o)->gain;
    const int rank = cj_tensor_rank(t);
    if (rank < 2)
        return cj_fail(t->cj, CJ_ERR_SHAPE, "orthogonal: a matrix is expected, not rank %d", rank);
    const int64_t columns = cj_tensor_shape(t)[rank - 1],
                  rows = columns ? cj_tensor_count(t) / columns : 0;
    const bool tall = rows > columns;
    const int64_t few = tall ? columns : rows, many = tall ? rows : columns;
    const size_t bytes = (size_t)(rows * columns) * sizeof(double);
    double *q = cj__alloc(t->cj, bytes);
    void *data = q || !bytes ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    if (data) make_orthonormal(q, few, many, at);
    if (data)
        for (int64_t i = 0; i < rows * columns; i++) {
            const int64_t row = i / columns, column = i % columns;
            cj_store_f64(cj_tensor_dtype(t), data, (size_t)i,
                         gain * q[tall ? column * many + row : i]);
        }
    if (data) cj_tensor_unmap(t);
    cj__free(t->cj, q, bytes);
    return data ? CJ_OK : CJ_ERR_MEMORY;
}
const cj_initializer cj_initializer_orthogonal = {
    .name = "orthogonal",
    .doc = "rows, or columns if those are fewer, orthonormal (Saxe et al. 2013)",
    .options_size = sizeof(gain_options),
    .options = gain_table,
    .fill = fill_orthogonal};
