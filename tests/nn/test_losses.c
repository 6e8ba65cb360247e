/* test_losses.c: losses against PyTorch and Keras's formulas (tools/golden/losses.py), values and
 * gradients, in double and float, on the best backend and the reference; what they mean to each
 * other; what they refuse. */
#include "nn_golden.h"

static cj_context *cj;
static cj_tensors *golden;

/* How a prediction comes to the loss. */
typedef enum through { PLAIN, SOFTMAX, SIGMOID } through;

static cj_node *apply(cj_node *x, through t)
{
    return t == SOFTMAX ? (cj_softmax)(x, -1) : t == SIGMOID ? cj_sigmoid(x) : x;
}

static void check(const char *name, const char *loss, through t, cj_dtype dtype,
                  cj_dtype target_dtype, const char *backend)
{
    cj_tensor *values[3] = {golden_get(golden, name, "prediction"),
                            golden_get(golden, name, "target"),
                            golden_get(golden, name, "cotangent")};
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = batch_placeholder(g, "x", dtype, values[0]),
            *target = batch_placeholder(g, "t", target_dtype, values[1]);
    cj_node *cotangent = batch_placeholder(g, "c", dtype, values[2]);
    cj_node *y = cj_loss_node(apply(x, t), target, loss);
    if (!y) fail_msg("%s: %s", loss, cj_message(cj));
    assert_int_equal(cj_node_rank(y), 1);
    cj_tensor *out[2];
    run_with_gradient(cj, backend, y, x, cotangent, (cj_node *[]){x, target, cotangent}, values, 3,
                      out);
    char what[300];
    double tolerance = dtype == CJ_F64 ? 1e-10 : 1e-5;
    const char *const parts[2][2] = {{"loss_f32", "gradient_f32"}, {"loss_f64", "gradient_f64"}};
    for (int i = 0; i < 2; i++) {
        const char *part = parts[dtype == CJ_F64][i];
        snprintf(what, sizeof what, "%s as %s through %d on %s: %s", name, loss, t,
                 backend ? backend : "best", part);
        assert_near(what, out[i], golden_get(golden, name, part), tolerance);
        cj_tensor_free(out[i]);
    }
    cj_graph_free(g);
}

static const char *const shapes[] = {"vector", "steps", "one"};

/* Every backend, dtype and shape; targets also as data has them. */
static void check_all(const char *stem, const char *loss, through t, bool numbers)
{
    char name[100];
    for (int i = 0; i < 3; i++)
        for (int b = 0; b < 2; b++) {
            snprintf(name, sizeof name, "%s_%s", stem, shapes[i]);
            check(name, loss, t, CJ_F64, numbers ? CJ_I64 : CJ_F64, backends[b]);
            check(name, loss, t, CJ_F32, numbers ? CJ_I32 : CJ_F32, backends[b]);
            if (!numbers) continue;
            check(name, loss, t, CJ_F64, CJ_U8, backends[b]);
            check(name, loss, t, CJ_F32, CJ_F32, backends[b]);
        }
}

static void mse(void **state)
{
    (void)state;
    check_all("mse", "mse", PLAIN, false);
}

static void binary(void **state)
{
    (void)state;
    check_all("binary_logits", "binary_crossentropy(from_logits=true)", PLAIN, false);
    check_all("binary_logits_smooth", "binary_crossentropy(from_logits=true, label_smoothing=0.1)",
              PLAIN, false);
    check_all("binary_logits", "binary_crossentropy", SIGMOID, false);
    check_all("binary_logits_smooth", "binary_crossentropy(label_smoothing=0.1)", SIGMOID, false);
    check_all("binary_plain", "binary_crossentropy", PLAIN, false);
    check_all("binary_plain_smooth", "binary_crossentropy(label_smoothing=0.1)", PLAIN, false);
}

static void categorical(void **state)
{
    (void)state;
    check_all("categorical_logits", "categorical_crossentropy(from_logits=true)", PLAIN, false);
    check_all("categorical_logits_smooth",
              "categorical_crossentropy(from_logits=true, label_smoothing=0.2)", PLAIN, false);
    check_all("categorical_logits", "categorical_crossentropy", SOFTMAX, false);
    check_all("categorical_logits_smooth", "categorical_crossentropy(label_smoothing=0.2)", SOFTMAX,
              false);
    check_all("categorical_plain", "categorical_crossentropy", PLAIN, false);
    check_all("categorical_plain_smooth", "categorical_crossentropy(label_smoothing=0.2)", PLAIN,
              false);
}

static void sparse(void **state)
{
    (void)state;
    check_all("sparse_logits", "sparse_categorical_crossentropy(from_logits=true)", PLAIN, true);
    check_all("sparse_logits", "sparse_categorical_crossentropy", SOFTMAX, true);
    check_all("sparse_plain", "sparse_categorical_crossentropy", PLAIN, true);
}

/* ---- Small numbers by hand ------------------------------------------------------------------- */

/* Loss and gradient of one sample of these numbers. */
static void one(const char *loss, through t, int n, const double *x, int n_target,
                const double *target, double *value, double *gradient)
{
    cj_tensor *values[3] = {cj_tensor_from(cj, CJ_F64, 2, (int64_t[]){1, n}, x), NULL, NULL};
    values[1] = n_target > 0 ? cj_tensor_from(cj, CJ_F64, 2, (int64_t[]){1, n_target}, target)
                             : cj_tensor_from(cj, CJ_F64, 1, (int64_t[]){1}, target);
    values[2] = cj_tensor_from(cj, CJ_F64, 1, (int64_t[]){1}, (double[]){1});
    cj_graph *g = cj_graph_new(cj);
    cj_node *in[3];
    for (int i = 0; i < 3; i++)
        in[i] = batch_placeholder(g, (const char *const[]){"x", "t", "c"}[i], CJ_F64, values[i]);
    cj_tensor *out[2];
    run_with_gradient(cj, NULL, cj_loss_node(apply(in[0], t), in[1], loss), in[0], in[2], in,
                      values, 3, out);
    *value = value_of(cj, out[0], 0);
    for (int i = 0; i < n; i++) gradient[i] = value_of(cj, out[1], i);
    for (int i = 0; i < 2; i++) cj_tensor_free(out[i]);
    for (int i = 0; i < 3; i++) cj_tensor_free(values[i]);
    cj_graph_free(g);
}

static void close_to(double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-13 * fabs(expected)))
        fail_msg("%.17g, expected %.17g", found, expected);
}

/* A layer of zeros gives logits of exactly 0, where |z| and max(z, 0) have no slope. */
static void logit_of_zero_has_a_gradient(void **state)
{
    (void)state;
    for (int t = 0; t < 2; t++) {
        double target = t, value, gradient;
        one("binary_crossentropy", SIGMOID, 1, (double[]){0}, 1, &target, &value, &gradient);
        close_to(value, log(2));
        close_to(gradient, 0.5 - t);
    }
}

/* Losses of sure and right predictions keep their digits; wrong ones grow linearly. */
static void sure_predictions(void **state)
{
    (void)state;
    double value, gradient[3];
    one("binary_crossentropy", SIGMOID, 1, (double[]){40}, 1, (double[]){1}, &value, gradient);
    close_to(value, exp(-40));
    close_to(gradient[0], -exp(-40));
    one("binary_crossentropy", SIGMOID, 1, (double[]){-40}, 0, (double[]){1}, &value, gradient);
    close_to(value, 40);
    close_to(gradient[0], -1);
    one("categorical_crossentropy", SOFTMAX, 3, (double[]){1e4, 0, -1e4}, 3, (double[]){0, 0, 1},
        &value, gradient);
    close_to(value, 2e4);
    close_to(gradient[0], 1);
    close_to(gradient[2], -1);
    one("sparse_categorical_crossentropy", SOFTMAX, 3, (double[]){1e4, 0, -1e4}, 0, (double[]){1},
        &value, gradient);
    close_to(value, 1e4);
}

/* From clipped probabilities too: -log(1 - 1e-7), not that and what clipping added to the sum. */
static void numbers_and_one_hot_agree(void **state)
{
    (void)state;
    double a, b, da[4], db[4];
    static const double p[][4] = {{1, 0, 0, 0}, {0.2, 0.3, 0.4, 0.1}, {2, 0, 0, 6}};
    for (int i = 0; i < 3; i++)
        for (int label = 0; label < 4; label++) {
            double number = label, hot[4] = {0};
            hot[label] = 1;
            one("sparse_categorical_crossentropy", PLAIN, 4, p[i], 0, &number, &a, da);
            one("categorical_crossentropy", PLAIN, 4, p[i], 4, hot, &b, db);
            double expected = -log(
                fmin(fmax(p[i][label] / (p[i][0] + p[i][1] + p[i][2] + p[i][3]), 1e-7), 1 - 1e-7));
            assert_true(fabs(a - expected) <= 1e-14 * (1 + expected) &&
                        fabs(b - expected) <= 1e-14 * (1 + expected));
            for (int k = 0; k < 4; k++)
                if (!(fabs(da[k] - db[k]) <= 1e-12 * (1 + fabs(db[k]))))
                    fail_msg("%d %d: %.17g, %.17g", i, k, da[k], db[k]);
        }
}

/* [batch] fits [batch, 1] both for numbers and for probabilities; cj_mse is the mean of everything.
 */
static void shapes_that_fit(void **state)
{
    (void)state;
    double value, gradient[3];
    one("mse", PLAIN, 1, (double[]){3}, 0, (double[]){1}, &value, gradient);
    close_to(value, 4);
    close_to(gradient[0], 4);
    one("sparse_categorical_crossentropy", SOFTMAX, 3, (double[]){0, 0, 0}, 1, (double[]){2},
        &value, gradient);
    close_to(value, log(3));
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = cj_placeholder(g, "x", CJ_F64, CJ_DIMS(cj_symbol(g, "batch"), 2));
    assert_int_equal(
        cj_node_rank(cj_mse(x, cj_placeholder(g, "t", CJ_I32, CJ_DIMS(cj_symbol(g, "batch"), 2)))),
        0);
    assert_non_null(cj_loss_node(x, cj_zero, "mse"));
    cj_graph_free(g);
}

/* ---- What is refused ------------------------------------------------------------------------- */

typedef struct wrong {
    const char *loss;
    cj_dtype dtype;
    int rank, target_rank;
    cj_dim dims[3], target_dims[3];
    cj_status status;
    const char *message;
} wrong;

static void refused(void **state)
{
    (void)state;
    static const wrong cases[] = {
        {"mse",
         CJ_F32,
         2,
         1,
         {4, 3},
         {4},
         CJ_ERR_SHAPE,
         "mse: the prediction has rank 2, the target rank 1"},
        {"mse",
         CJ_F32,
         2,
         2,
         {4, 3},
         {4, 2},
         CJ_ERR_SHAPE,
         "mse: the prediction has 3 along axis 1, the target 2"},
        {"mse",
         CJ_F32,
         2,
         2,
         {4, 3},
         {5, 3},
         CJ_ERR_SHAPE,
         "mse: the prediction has 4 along axis 0, the target 5"},
        {"mse",
         CJ_F32,
         0,
         0,
         {0},
         {0},
         CJ_ERR_SHAPE,
         "mse: the prediction is a scalar, with no axis of samples"},
        {"mse", CJ_I32, 1, 1, {4}, {4}, CJ_ERR_TYPE, "mse: the prediction is i32, expected floats"},
        {"binary_crossentropy",
         CJ_F32,
         2,
         2,
         {4, 3},
         {4, 1},
         CJ_ERR_SHAPE,
         "binary_crossentropy: the prediction has 3 along axis 1, the target 1"},
        {"binary_crossentropy",
         CJ_I32,
         1,
         1,
         {4},
         {4},
         CJ_ERR_TYPE,
         "binary_crossentropy: the prediction is i32, expected floats"},
        {"categorical_crossentropy",
         CJ_F32,
         1,
         1,
         {4},
         {4},
         CJ_ERR_SHAPE,
         "categorical_crossentropy: the prediction has rank 1, expected [batch, classes] or more "
         "axes"},
        {"categorical_crossentropy",
         CJ_F32,
         2,
         1,
         {4, 3},
         {4},
         CJ_ERR_SHAPE,
         "categorical_crossentropy: the prediction has rank 2, the target rank 1"},
        {"sparse_categorical_crossentropy",
         CJ_F32,
         1,
         1,
         {4},
         {4},
         CJ_ERR_SHAPE,
         "sparse_categorical_crossentropy: the prediction has rank 1, expected [batch, classes] or "
         "more axes"},
        {"sparse_categorical_crossentropy",
         CJ_F32,
         3,
         1,
         {4, 3, 2},
         {4},
         CJ_ERR_SHAPE,
         "sparse_categorical_crossentropy: the prediction has rank 3, the target rank 1, expected "
         "2 (flatten before the first dense?)"},
        {"sparse_categorical_crossentropy",
         CJ_F32,
         2,
         2,
         {4, 3},
         {4, 3},
         CJ_ERR_SHAPE,
         "sparse_categorical_crossentropy: the prediction has rank 2, the target rank 2, expected "
         "1"},
        {"sparse_categorical_crossentropy", CJ_F32, 2, 1, {4, 3}, {5}, CJ_ERR_SHAPE, NULL},
        {"sparse_categorical_crossentropy", CJ_I32, 2, 1, {4, 3}, {4}, CJ_ERR_TYPE, NULL},
        {"crossentropy", CJ_F32, 1, 1, {4}, {4}, CJ_ERR_ARGUMENT, NULL},
        {"msee",
         CJ_F32,
         1,
         1,
         {4},
         {4},
         CJ_ERR_ARGUMENT,
         "unknown loss 'msee' (did you mean 'mse'?)"},
        {"mse(delta=1)", CJ_F32, 1, 1, {4}, {4}, CJ_ERR_ARGUMENT, NULL},
        {"binary_crossentropy(label_smoothing=1.5)",
         CJ_F32,
         1,
         1,
         {4},
         {4},
         CJ_ERR_ARGUMENT,
         "binary_crossentropy: label_smoothing=1.5 is not between 0 and 1"},
        {"sparse_categorical_crossentropy(pos_weight=0.1)",
         CJ_F32,
         1,
         1,
         {4},
         {4},
         CJ_ERR_ARGUMENT,
         NULL},
        {"", CJ_F32, 1, 1, {4}, {4}, CJ_ERR_ARGUMENT, NULL},
        {NULL, CJ_F32, 1, 1, {4}, {4}, CJ_ERR_ARGUMENT, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const wrong *w = &cases[i];
        cj_graph *g = cj_graph_new(cj);
        cj_node *x = cj_placeholder(g, "x", w->dtype, w->rank, w->dims),
                *t = cj_placeholder(g, "t", CJ_F32, w->target_rank, w->target_dims);
        cj_node *y = cj_loss_node(x, t, w->loss);
        if (y || cj_graph_failed(g) != w->status || !*cj_message(cj))
            fail_msg("%s (%zu): status %d, expected %d: %s", w->loss, i, cj_graph_failed(g),
                     w->status, cj_message(cj));
        if (w->message) assert_said(cj, w->message);
        cj_graph_free(g);
    }
}

/* Builders that are handed what failed before, or nothing, say nothing new and do not fall. */
static void nothing_given(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(2, 3));
    assert_null(cj_loss_node(NULL, x, "mse"));
    assert_null(cj_loss_node(x, NULL, "mse"));
    assert_null(cj_loss_node(cj_zero, x, "mse"));
    assert_null(cj_mse(cj_zero, x));
    assert_null(cj_mse(NULL, NULL));
    assert_int_equal(cj_graph_failed(g), CJ_OK);
    assert_null(cj_loss_node(x, cj_zero, "sparse_categorical_crossentropy"));
    assert_int_equal(cj_graph_failed(g), CJ_ERR_TYPE);
    cj_graph_free(g);
}

/* A label outside the classes is found when running, and named. */
static void label_out_of_range(void **state)
{
    (void)state;
    for (int looked_through = 0; looked_through < 2; looked_through++)
        for (int b = 0; b < 2; b++) {
            cj_graph *g = cj_graph_new(cj);
            cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(2, 3)),
                    *t = cj_placeholder(g, "t", CJ_I32, CJ_DIMS(2));
            cj_node *y = cj_loss_node(looked_through ? (cj_softmax)(x, -1) : x, t,
                                      "sparse_categorical_crossentropy");
            cj_program *p = cj_compile(g, .outputs = {y});
            cj_session *s = cj_session_new_opts(
                p, cj_graph_store(g),
                &(cj_session_opts){.struct_size = sizeof(cj_session_opts), .backend = backends[b]});
            cj_tensor *xs = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){2, 3},
                                           (float[]){1, 2, 3, 4, 5, 6});
            for (int bad = -1; bad <= 3; bad += 4) {
                cj_tensor *ts = cj_tensor_from(cj, CJ_I32, 1, (int64_t[]){2}, (int32_t[]){0, bad}),
                          *out = NULL;
                assert_int_not_equal(
                    cj_run(s, (cj_feed[]){{x, xs}, {t, ts}}, 2, &out, 1), CJ_OK);
                assert_non_null(strstr(cj_session_message(s), bad < 0 ? "-1" : "3"));
                cj_tensor_free(ts);
            }
            cj_tensor_free(xs);
            cj_session_free(s);
            cj_program_free(p);
            cj_graph_free(g);
        }
}

int main(void)
{
    cj = test_context();
    golden = golden_load(cj, "nn/losses.npz");
    const struct CMUnitTest tests[] = {cmocka_unit_test(mse),
                                       cmocka_unit_test(binary),
                                       cmocka_unit_test(categorical),
                                       cmocka_unit_test(sparse),
                                       cmocka_unit_test(logit_of_zero_has_a_gradient),
                                       cmocka_unit_test(sure_predictions),
                                       cmocka_unit_test(numbers_and_one_hot_agree),
                                       cmocka_unit_test(shapes_that_fit),
                                       cmocka_unit_test(refused),
                                       cmocka_unit_test(nothing_given),
                                       cmocka_unit_test(label_out_of_range)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_tensors_free(golden);
    cj_context_free(cj);
    return failed;
}
