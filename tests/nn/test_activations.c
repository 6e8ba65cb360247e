/* test_activations.c: activation functions by name against PyTorch and Keras's formulas
 * (tools/golden/activations.py), values and gradients at ordinary numbers, at 0, and where e^x
 * overflows; other names; what they refuse. */
#include "nn_golden.h"

static cj_context *cj;
static cj_tensors *golden;

typedef struct function {
    const char *name, *text;
} function;

static const function functions[] = {
    {"linear", "linear"},
    {"sigmoid", "sigmoid"},
    {"tanh", "tanh"},
    {"exponential", "exponential"},
    {"silu", "silu"},
    {"mish", "mish"},
    {"log_sigmoid", "log_sigmoid"},
    {"softsign", "softsign"},
    {"tanh_shrink", "tanh_shrink"},
    {"softplus", "softplus"},
    {"softplus_beta", "softplus(beta=2.5)"},
    {"squareplus", "squareplus"},
    {"squareplus_narrow", "squareplus(b=0.01)"},
    {"gelu", "gelu"},
    {"gelu_tanh", "gelu(approximate=true)"},
    {"elu", "elu"},
    {"elu2", "elu(2)"},
    {"celu", "celu"},
    {"celu2", "celu(alpha=2)"},
    {"selu", "selu"},
    {"relu", "relu"},
    {"relu_options", "relu(negative_slope=0.1, max_value=4.5, threshold=0.75)"},
    {"relu_most", "relu(max_value=2.5)"},
    {"relu_slope", "relu(negative_slope=0.2)"},
    {"leaky_relu", "leaky_relu"},
    {"steep", "leaky_relu(negative_slope=0.01)"},
    {"rrelu", "rrelu(lower=0.25, upper=0.25)"},
    {"relu6", "relu6"},
    {"hard_sigmoid", "hard_sigmoid"},
    {"hard_silu", "hard_silu"},
    {"sparse_sigmoid", "sparse_sigmoid"},
    {"sparse_plus", "sparse_plus"},
    {"hard_shrink", "hard_shrink"},
    {"hard_shrink2", "hard_shrink(threshold=2)"},
    {"soft_shrink", "soft_shrink"},
    {"soft_shrink2", "soft_shrink(2)"},
    {"hard_tanh", "hard_tanh"},
    {"hard_tanh_wide", "hard_tanh(min_val=-2.5, max_val=3.5)"},
    {"threshold", "threshold"},
    {"threshold_own", "threshold(threshold=0.7, default_value=20)"},
    {"softmax", "softmax"},
    {"softmax_axis", "softmax(axis=1)"},
    {"softmin", "softmin"},
    {"log_softmax", "log_softmax"},
    {"log_softmax_axis", "log_softmax(axis=1)"},
    {"glu", "glu"},
    {"glu_axis", "glu(axis=1)"},
    {"sparsemax", "sparsemax"},
    {"sparsemax_axis", "sparsemax(axis=1)"},
};

static void check(const function *f, cj_dtype dtype, const char *backend)
{
    cj_tensor *values[2] = {golden_get(golden, f->name, "x"),
                            golden_get(golden, f->name, "cotangent")};
    cj_graph *g = cj_graph_new(cj);
    cj_node *in[2] = {batch_placeholder(g, "x", dtype, values[0]),
                      batch_placeholder(g, "c", dtype, values[1])};
    cj_node *y = cj_activation(in[0], f->text);
    if (!y) fail_msg("%s: %s", f->text, cj_message(cj));
    cj_tensor *out[2];
    run_with_gradient(cj, backend, y, in[0], in[1], in, values, 2, out);
    for (int i = 0; i < 2; i++) {
        char what[200];
        snprintf(what, sizeof what, "%s of %s on %s: %s", f->text, dtype == CJ_F64 ? "f64" : "f32",
                 backend ? backend : "best", i ? "gradient" : "value");
        assert_near(what, out[i], golden_get(golden, f->name, i ? "gradient" : "y"),
                    dtype == CJ_F64 ? 1e-10 : 1e-5);
        cj_tensor_free(out[i]);
    }
    cj_graph_free(g);
}

static void as_torch(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        for (int b = 0; b < 2; b++) {
            check(&functions[i], CJ_F64, backends[b]);
            check(&functions[i], CJ_F32, backends[b]);
        }
}

/* ---- rrelu: random slopes -------------------------------------------------------------------- */

enum { N = 100000 };

/* N values and slopes (gradients) of rrelu(lower=0.125, upper=0.375) at the same x. */
static void run_rrelu(cj_dtype dtype, bool training, double x, double *y, double *slope)
{
    cj_graph *g = cj_graph_new(cj);
    cj_node *in = cj_placeholder(g, "x", dtype, CJ_DIMS(N)), *d = NULL;
    cj_node *out = cj_activation(in, "rrelu(lower=0.125, upper=0.375)"),
            *one = cj_full_like(out, 1);
    assert_ok(cj, cj_vjp(&out, &one, 1, &in, 1, &d));
    cj_program *p = cj_compile(g, .outputs = {out, d}, .training = training);
    cj_session *s = cj_session_new(p, cj_graph_store(g));
    cj_tensor *values = cj_tensor_new(cj, dtype, 1, (int64_t[]){N}), *t[2] = {NULL, NULL};
    void *v = cj_tensor_map(values, CJ_MAP_WRITE);
    for (size_t i = 0; i < N; i++) cj_store_f64(dtype, v, i, x);
    cj_tensor_unmap(values);
    if (cj_run(s, (cj_feed[]){{in, values}}, 1, t, 2)) fail_msg("%s", cj_session_message(s));
    for (size_t i = 0; i < N; i++) {
        y[i] = cj_load_f64(dtype, cj_tensor_map_read(t[0]), i);
        slope[i] = cj_load_f64(dtype, cj_tensor_map_read(t[1]), i);
    }
    cj_tensor_free(t[0]), cj_tensor_free(t[1]), cj_tensor_free(values);
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(g);
}

/* In training slopes are spread evenly: mean and deviation within five deviations of what N of them
 * tell, and the value is x times the same slope. Outside, and above 0, nothing is random. */
static void random_slopes(void **state)
{
    (void)state;
    static double y[N], slope[N];
    for (int k = 0; k < 2; k++) {
        const cj_dtype dtype = k ? CJ_F32 : CJ_F64;
        double sum = 0, squares = 0;
        run_rrelu(dtype, true, -2, y, slope);
        for (int i = 0; i < N; i++) {
            if (!(slope[i] >= 0.125 && slope[i] <= 0.375) || y[i] != -2 * slope[i])
                fail_msg("element %d: %.17g of slope %.17g", i, y[i], slope[i]);
            sum += slope[i];
            squares += (slope[i] - 0.25) * (slope[i] - 0.25);
        }
        const double deviation = 0.25 / sqrt(12);
        assert_true(fabs(sum / N - 0.25) <= 5 * deviation / sqrt(N));
        assert_true(fabs(sqrt(squares / N) - deviation) <= 5 * deviation / sqrt(2.0 * N));
        for (int training = 0; training < 2; training++) {
            run_rrelu(dtype, training, 3, y, slope);
            for (int i = 0; i < N; i++) assert_true(y[i] == 3 && slope[i] == 1);
        }
        run_rrelu(dtype, false, -2, y, slope);
        for (int i = 0; i < N; i++) assert_true(y[i] == -0.5 && slope[i] == 0.25);
    }
}

static void every_row_is_checked(void **state)
{
    (void)state;
    const cj_activation_row *row;
    for (int i = 0; (row = cj_activation_at(cj, i)); i++) {
        bool found = false;
        for (size_t k = 0; k < sizeof functions / sizeof *functions; k++)
            found |= !strcmp(functions[k].name, row->name);
        if (!found) fail_msg("activation %s has no golden numbers", row->name);
    }
}

static void refused(void **state)
{
    (void)state;
    static const function wrong[] = {
        {"rellu", "unknown activation 'rellu' (did you mean 'relu'?)"},
        {"elu(alpha=-1)", "elu: alpha=-1 is not between 0 and 1000000"},
        {"leaky_relu(slope=0.1)", NULL},
        {"softmax(axis=8)", "softmax: axis=8 is not between -8 and 7"},
        {"glu(axis=2)", "glu: axis 2 of an array of rank 2"},
        {"glu", "glu: axis -1 has 3 elements, expected an even number"},
        {"sparsemax(axis=-3)", "sparsemax: axis -3 of an array of rank 2"},
        {"hard_tanh(min_val=1, max_val=1)", "hard_tanh: min_val=1 is not below max_val=1"},
        {"relu(max_value=-1)", "relu: max_value=-1 is less than 0"},
        {"squareplus(b=0)", "squareplus: b=0 is not between 1e-12 and 1000000"},
        {"gelu(approximate=maybe)", NULL},
        {"rrelu(lower=0.5)", "rrelu: lower=0.5 is above upper=0.333333"},
        {"rrelu(upper=2)", "rrelu: upper=2 is not between 0 and 1"},
        {"celu(alpha=0)", "celu: alpha=0 is not between 1e-06 and 1000000"},
        {"softplus(beta=nan)", NULL},
        {"softmax(axis=2)", NULL}, /* of a matrix */
        {"tanh(1)", NULL},
        {"relu(", NULL},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cj_graph *g = cj_graph_new(cj);
        cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(2, 3));
        if (cj_activation(x, wrong[i].name)) fail_msg("%s was taken", wrong[i].name);
        assert_int_not_equal(cj_graph_failed(g), CJ_OK);
        if (wrong[i].text) assert_string_equal(cj_message(cj), wrong[i].text);
        cj_graph_free(g);
    }
}

static void other_names(void **state)
{
    (void)state;
    static const function pairs[] = {{"swish", "silu"},           {"hard_swish", "hard_silu"},
                                     {"hardswish", "hard_silu"},  {"hardshrink", "hard_shrink"},
                                     {"logistic", "sigmoid"},     {"exp", "exponential"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_ptr_equal(cj_activation_find(cj, pairs[i].name),
                         cj_activation_find(cj, pairs[i].text));
    static const char *const none[] = {"hard_swish, hardswish", ", ", "hard", "swis", "swish,"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_null(cj_activation_find(cj, none[i]));
}

static void none(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(2, 3));
    assert_ptr_equal(cj_activation(x, NULL), x);
    assert_ptr_equal(cj_activation(x, ""), x);
    assert_ptr_equal(cj_activation(x, "linear"), x);
    assert_null(cj_activation(NULL, "relu"));
    cj_graph_free(g);
}

int main(void)
{
    cj = test_context();
    golden = golden_load(cj, "nn/activations.npz");
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_torch),
                                       cmocka_unit_test(random_slopes),
                                       cmocka_unit_test(every_row_is_checked),
                                       cmocka_unit_test(other_names),
                                       cmocka_unit_test(refused), cmocka_unit_test(none)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_tensors_free(golden);
    cj_context_free(cj);
    return failed;
}
