/* test_initializers.c: initial values against what theory says of their distribution: limits,
 * moments within five deviations of the estimate, the whole distribution (Kolmogorov-Smirnov); the
 * same bits for the same seed and parameter, others for others. */
#include <math.h>

#include "nn_support.h"

#include "base/registry.h"

enum { N = 100000 };

static cj_context *cj;

static cj_status draw_into(cj_tensor *t, const char *initializer, uint64_t seed, uint32_t stream,
                           int64_t fan_in, int64_t fan_out)
{
    cj__arena arena;
    cj__named named;
    cj__arena_init(&arena, cj);
    cj_status failed = cj__named_parse(&arena, cj, CJ__ROW_INITIALIZER, initializer, &named);
    cj_initializer_target at = {
        .seed = seed, .stream = stream, .fan_in = fan_in, .fan_out = fan_out};
    if (!failed) failed = ((const cj_initializer *)named.row)->fill(t, &at, named.options);
    cj__arena_release(&arena);
    return failed;
}

static cj_tensor *draw(const char *initializer, cj_dtype dtype, uint64_t seed, uint32_t stream)
{
    cj_tensor *t = cj_tensor_new(cj, dtype, 2, (int64_t[]){N / 100, 100});
    assert_ok(cj, draw_into(t, initializer, seed, stream, 300, 100));
    return t;
}

/* ---- Distributions --------------------------------------------------------------------------- */

static double uniform_cdf(double x, double low, double high)
{
    return fmin(1, fmax(0, (x - low) / (high - low)));
}
static double normal_cdf(double x, double mean, double deviation)
{
    return 0.5 * erfc((mean - x) / deviation * 0.70710678118654752440);
}
/* A normal of this deviation (before cutting) cut at two deviations. */
static double cut_cdf(double x, double limit, double deviation)
{
    double below = normal_cdf(-2, 0, 1);
    return x <= -limit  ? 0
           : x >= limit ? 1
                        : (normal_cdf(x, 0, deviation) - below) / (1 - 2 * below);
}

typedef struct law {
    const char *text;
    double (*cdf)(double x, double a, double b);
    double a, b;                 /* of cdf */
    double low, high;            /* never outside */
    double mean, variance, fourth; /* central moments */
} law;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The largest distance between the law and the sample is above 2.2 / sqrt(N) once in 8000 trials.
 */
static double distance(const law *l, double *x)
{
    double most = 0;
    qsort(x, N, sizeof *x, by_value);
    for (int i = 0; i < N; i++) {
        double p = l->cdf(x[i], l->a, l->b);
        most = fmax(most, fmax(fabs(p - (double)i / N), fabs(p - (i + 1.0) / N)));
    }
    return most;
}

static void check_law(const law *l, cj_dtype dtype, uint32_t stream)
{
    cj_tensor *t = draw(l->text, dtype, 1234, stream);
    static double x[N];
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        x[i] = value_of(cj, t, i);
        double slack = dtype == CJ_F32 ? 1e-7 * fabs(l->high) : 0; /* limits are rounded too */
        if (!(x[i] >= l->low - slack && x[i] <= l->high + slack))
            fail_msg("%s: %.17g is outside [%.17g, %.17g]", l->text, x[i], l->low, l->high);
        sum += x[i] - l->mean;
    }
    double mean = sum / N;
    for (int i = 0; i < N; i++) squares += (x[i] - l->mean) * (x[i] - l->mean);
    double variance = squares / N;
    double mean_error = 5 * sqrt(l->variance / N),
           variance_error = 5 * sqrt((l->fourth - l->variance * l->variance) / N);
    if (!(fabs(mean) <= mean_error))
        fail_msg("%s: mean is off by %g, more than %g", l->text, mean, mean_error);
    if (!(fabs(variance - l->variance) <= variance_error))
        fail_msg("%s: variance %g, expected %g within %g", l->text, variance, l->variance,
                 variance_error);
    double d = distance(l, x);
    if (!(d <= 2.2 / sqrt(N))) fail_msg("%s: distribution differs by %g", l->text, d);
    cj_tensor_free(t);
}

static law uniform_law(const char *text, double low, double high)
{
    double w = high - low;
    return (law){text,       uniform_cdf,       low, high, low, high, (low + high) / 2,
                 w * w / 12, w * w * w * w / 80};
}
static law normal_law(const char *text, double mean, double s)
{
    return (law){text,  normal_cdf,       mean, s, mean - 7 * s, mean + 7 * s, mean,
                 s * s, 3 * s * s * s * s};
}
/* Moments of a standard normal cut at 2 by their formulas. */
static double cut_density(void)
{
    return exp(-2) * 0.39894228040143267794 / (1 - 2 * normal_cdf(-2, 0, 1));
}
static double cut_variance(void) { return 1 - 2 * 2 * cut_density(); }
/* Variance v after cutting. */
static law cut_law(const char *text, double v)
{
    double second = cut_variance(), fourth = 3 * second - 2 * 8 * cut_density();
    double s = sqrt(v / second);
    return (law){text, cut_cdf, 2 * s, s, -2 * s, 2 * s, 0, v, fourth * s * s * s * s};
}

static void distributions(void **state)
{
    (void)state;
    double glorot = 2.0 / 400, he = 2.0 / 300, lecun = 1.0 / 300; /* fans 300 and 100 */
    law laws[] = {
        uniform_law("random_uniform", -0.05, 0.05),
        uniform_law("random_uniform(minval=3, maxval=4.5)", 3, 4.5),
        uniform_law("glorot_uniform", -sqrt(3 * glorot), sqrt(3 * glorot)),
        uniform_law("he_uniform", -sqrt(3 * he), sqrt(3 * he)),
        normal_law("random_normal", 0, 0.05),
        normal_law("random_normal(mean=-2, stddev=3)", -2, 3),
        cut_law("glorot_normal", glorot),
        cut_law("he_normal", he),
        uniform_law("lecun_uniform", -sqrt(3 * lecun), sqrt(3 * lecun)),
        cut_law("lecun_normal", lecun),
        cut_law("truncated_normal(stddev=2)", 4 * cut_variance()),
        cut_law("variance_scaling(scale=3)", 3.0 / 300),
        normal_law("variance_scaling(mode=fan_out, distribution=untruncated_normal)", 0, 0.1),
        uniform_law("variance_scaling(2, mode=fan_avg, distribution=uniform)", -sqrt(6.0 / 200),
                    sqrt(6.0 / 200)),
    };
    for (size_t i = 0; i < sizeof laws / sizeof *laws; i++) {
        check_law(&laws[i], CJ_F32, (uint32_t)i);
        check_law(&laws[i], CJ_F64, 100 + (uint32_t)i);
    }
}

static void fixed_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"zeros", 0},
                 {"ones", 1},
                 {"constant", 0},
                 {"constant(0.1)", 0.1},
                 {"random_normal(mean=3, stddev=0)", 3},
                 {"random_uniform(minval=2, maxval=2)", 2}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        cj_tensor *t = draw(cases[k].text, CJ_F64, 5, 6);
        for (int i = 0; i < N; i++)
            if (value_of(cj, t, i) != cases[k].value)
                fail_msg("%s: element %d is %g", cases[k].text, i, value_of(cj, t, i));
        cj_tensor_free(t);
    }
}

static void identities(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rank;
        int64_t dims[4];
        double gain;
    } cases[] = {{"identity", 2, {4, 4}, 1},
                 {"eye(gain=-2)", 2, {3, 5}, -2},
                 {"identity", 2, {5, 2}, 1},
                 {"dirac", 4, {3, 5, 2, 4}, 1},
                 {"identity(0.5)", 3, {4, 3, 3}, 0.5}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const int rank = cases[k].rank;
        const int64_t *dims = cases[k].dims, rows = dims[rank - 2], columns = dims[rank - 1];
        cj_tensor *t = cj_tensor_new(cj, CJ_F32, rank, dims);
        assert_ok(cj, draw_into(t, cases[k].text, 0, 0, 1, 1));
        for (int64_t i = 0; i < cj_tensor_count(t); i++) {
            int64_t place = i / (rows * columns), middle = 0;
            for (int a = 0; a < rank - 2; a++) middle = middle * dims[a] + dims[a] / 2;
            const bool on = place == middle && i / columns % rows == i % columns;
            if (value_of(cj, t, i) != (on ? cases[k].gain : 0))
                fail_msg("%s: element %d is %g", cases[k].text, (int)i, value_of(cj, t, i));
        }
        cj_tensor_free(t);
    }
}

/* ---- Bits ------------------------------------------------------------------------------------ */

static const char *const random_ones[] = {
    "random_uniform", "random_normal", "glorot_uniform", "glorot_normal",    "he_uniform",
    "he_normal",      "lecun_uniform", "lecun_normal",   "truncated_normal", "variance_scaling"};

static int64_t equal_elements(const cj_tensor *a, const cj_tensor *b)
{
    int64_t n = 0;
    for (int64_t i = 0; i < N; i++)
        n += cj_load_f64(cj_tensor_dtype(a), cj_tensor_map_read(a), (size_t)i) ==
             cj_load_f64(cj_tensor_dtype(b), cj_tensor_map_read(b), (size_t)i);
    return n;
}

static double correlation(const cj_tensor *a, const cj_tensor *b)
{
    double xy = 0, xx = 0, yy = 0;
    for (int64_t i = 0; i < N; i++) {
        double x = cj_load_f64(cj_tensor_dtype(a), cj_tensor_map_read(a), (size_t)i),
               y = cj_load_f64(cj_tensor_dtype(b), cj_tensor_map_read(b), (size_t)i);
        xy += x * y, xx += x * x, yy += y * y;
    }
    return xy / sqrt(xx * yy);
}

static void seeds_and_parameters(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed;
        uint32_t stream;
    } others[] = {{8, 2}, {7, 3}, {7, 0x80000002u}, {7 + (UINT64_C(1) << 32), 2}, {2, 7}};
    for (size_t k = 0; k < sizeof random_ones / sizeof *random_ones; k++) {
        cj_tensor *a = draw(random_ones[k], CJ_F32, 7, 2),
                  *same = draw(random_ones[k], CJ_F32, 7, 2);
        assert_true(cj_tensor_equal(a, same));
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            cj_tensor *b = draw(random_ones[k], CJ_F32, others[i].seed, others[i].stream);
            int64_t n = equal_elements(a, b);
            if (n > 50)
                fail_msg("%s, seed %zu: %lld elements are equal", random_ones[k], i, (long long)n);
            double c = correlation(a, b);
            if (!(fabs(c) < 5 / sqrt(N)))
                fail_msg("%s, seed %zu: correlation %g", random_ones[k], i, c);
            cj_tensor_free(b);
        }
        cj_tensor_free(a);
        cj_tensor_free(same);
    }
}

/* The first elements do not depend on how many there are. */
static void independent_of_size(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof random_ones / sizeof *random_ones; k++) {
        cj_tensor *a = draw(random_ones[k], CJ_F32, 7, 2),
                  *few = cj_tensor_new(cj, CJ_F32, 1, (int64_t[]){33});
        assert_ok(cj, draw_into(few, random_ones[k], 7, 2, 300, 100));
        assert_memory_equal(cj_tensor_map_read(a), cj_tensor_map_read(few), 33 * sizeof(float));
        cj_tensor_free(a);
        cj_tensor_free(few);
    }
}

/* Doubles are the floats of the same seed with more digits: their 29 lower bits are not empty. */
static void doubles_have_more_bits(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof random_ones / sizeof *random_ones; k++) {
        cj_tensor *f = draw(random_ones[k], CJ_F32, 7, 2), *d = draw(random_ones[k], CJ_F64, 7, 2);
        int64_t floats = 0, collisions = 0;
        static double x[N];
        for (int64_t i = 0; i < N; i++) {
            x[i] = value_of(cj, d, i);
            floats += (double)(float)x[i] == x[i];
            if (!(fabs(x[i] - value_of(cj, f, i)) <= 1e-6))
                fail_msg("%s: %.17g as a float is %.17g", random_ones[k], x[i], value_of(cj, f, i));
        }
        qsort(x, N, sizeof *x, by_value);
        for (int i = 1; i < N; i++) collisions += x[i] == x[i - 1];
        if (floats > 5 || collisions > 2)
            fail_msg("%s: %lld of %d doubles are floats, %lld are there twice", random_ones[k],
                     (long long)floats, N, (long long)collisions);
        cj_tensor_free(f);
        cj_tensor_free(d);
    }
}

/* ---- Through a model, and what is refused ---------------------------------------------------- */

static void of_models(void **state)
{
    (void)state;
    cj_tensor *kernels[4];
    for (int i = 0; i < 4; i++) {
        cj_model *m = cj_model_new(cj);
        cj_model_set_seed(m, i == 3 ? 1 : 0);
        cj_node *x = cj_dense(cj_input(m, "x", 50), .units = 50);
        cj_output(m, "y", cj_dense(x, .units = 50));
        assert_ok(cj, cj_model_failed(m));
        kernels[i] = cj_tensor_copy(
            cj_store_get(cj_model_store(m), i == 1 ? "dense_1/kernel" : "dense/kernel"));
        cj_model_free(m);
    }
    assert_false(cj_tensor_equal(kernels[0], kernels[1])); /* another parameter */
    assert_true(cj_tensor_equal(kernels[0], kernels[2]));  /* another model */
    assert_false(cj_tensor_equal(kernels[0], kernels[3])); /* another seed */
    double limit = sqrt(6.0 / 100);
    for (int i = 0; i < 4; i++) {
        double most = 0;
        for (int64_t k = 0; k < 2500; k++) most = fmax(most, fabs(value_of(cj, kernels[i], k)));
        assert_true(most <= limit * (1 + 1e-7) && most > 0.99 * limit);
        cj_tensor_free(kernels[i]);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"glorot", NULL},
        {"he_norma", "unknown initializer 'he_norma' (did you mean 'he_normal'?)"},
        {"random_normal(stddev=-1)", NULL},
        {"random_uniform(minval=1, maxval=0)", "random_uniform: minval=1 is more than maxval=0"},
        {"constant(inf)", NULL},
        {"zeros(1)", NULL},
        {"variance_scaling(mode=fan)", NULL},
        {"variance_scaling(scale=-1)", NULL},
        {"truncated_normal(stddev=-1)", NULL},
    };
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, 1, (int64_t[]){3});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(draw_into(t, cases[i][0], 0, 0, 1, 1), CJ_ERR_ARGUMENT);
        if (cases[i][1]) assert_string_equal(cj_message(cj), cases[i][1]);
    }
    assert_int_equal(draw_into(t, "identity", 0, 0, 1, 1), CJ_ERR_SHAPE);
    assert_string_equal(cj_message(cj), "identity: a matrix is expected, not rank 1");
    cj_tensor_free(t);
    /* Fans of nothing, and nothing to fill. */
    cj_tensor *none = cj_tensor_new(cj, CJ_F64, 2, (int64_t[]){0, 3});
    for (size_t k = 0; k < sizeof random_ones / sizeof *random_ones; k++) {
        assert_ok(cj, draw_into(none, random_ones[k], 0, 0, 0, 0));
        cj_tensor *one = cj_tensor_new(cj, CJ_F64, 0, NULL);
        assert_ok(cj, draw_into(one, random_ones[k], 0, 0, 0, 0));
        assert_true(isfinite(value_of(cj, one, 0)));
        cj_tensor_free(one);
    }
    cj_tensor_free(none);
}

int main(void)
{
    cj = test_context();
    const struct CMUnitTest tests[] = {cmocka_unit_test(distributions),
                                       cmocka_unit_test(fixed_values),
                                       cmocka_unit_test(identities),
                                       cmocka_unit_test(seeds_and_parameters),
                                       cmocka_unit_test(independent_of_size),
                                       cmocka_unit_test(doubles_have_more_bits),
                                       cmocka_unit_test(of_models),
                                       cmocka_unit_test(refused)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_context_free(cj);
    return failed;
}
