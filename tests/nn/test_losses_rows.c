/* test_losses_rows.c: every row of the table of losses against PyTorch and the formulas of Keras
 * (tools/golden/losses_rows.py, detection.py): values, gradients and weighted means, in double and
 * float, on the best backend and the reference. A case's name says all:
 * "huber(delta=0.3)|plain|vector" is the loss, what the prediction goes through first, and a word.
 */
#include "nn_golden.h"

static cj_context *cj;

static cj_node *apply(cj_node *x, const char *through)
{
    if (!strncmp(through, "softmax|", 8)) return (cj_softmax)(x, -1);
    if (!strncmp(through, "sigmoid|", 8)) return cj_sigmoid(x);
    assert_memory_equal(through, "plain|", 6);
    return x;
}

static double tolerance_of(cj_tensors *golden, const char *name, cj_dtype dtype)
{
    cj_tensor *t = golden_find(golden, name, "float_tolerance");
    return dtype == CJ_F64 ? 1e-10 : t ? value_of(cj, t, 0) : 1e-5;
}

static void check(cj_tensors *golden, const char *name, cj_dtype dtype, cj_dtype target_dtype,
                  const char *backend)
{
    const char *bar = strchr(name, '|');
    assert_non_null(bar);
    char loss[160], what[300];
    snprintf(loss, sizeof loss, "%.*s", (int)(bar - name), name);
    cj_tensor *values[4];
    cj_node *in[4];
    static const char *const parts[] = {"prediction", "target", "cotangent", "weight"};
    const cj_dtype dtypes[] = {dtype, target_dtype, dtype, dtype};
    cj_graph *g = cj_graph_new(cj);
    for (int i = 0; i < 4; i++) {
        values[i] = golden_get(golden, name, parts[i]);
        in[i] = batch_placeholder(g, parts[i], dtypes[i], values[i]);
    }
    cj_node *x = apply(in[0], bar + 1), *y = cj_loss_node(x, in[1], loss);
    if (!y) fail_msg("%s: %s", name, cj_message(cj));
    if (cj_node_rank(y) != 1) fail_msg("%s: rank %d", name, cj_node_rank(y));
    cj_node *mean = cj_loss_reduced(x, in[1], loss, .sample_weight = in[3]);
    if (!mean) fail_msg("%s: %s", name, cj_message(cj));
    assert_int_equal(cj_node_rank(mean), 0);
    cj_tensor *out[2];
    const char *const suffix = dtype == CJ_F64 ? "f64" : "f32";
    double tolerance = tolerance_of(golden, name, dtype);
    run_with_gradient(cj, backend, y, in[0], in[2], in, values, 3, out);
    for (int i = 0; i < 3; i++) {
        char part[32];
        snprintf(part, sizeof part, "%s_%s", (const char *const[]){"loss", "gradient", "mean"}[i],
                 suffix);
        if (i == 2) {
            cj_tensor_free(out[0]), cj_tensor_free(out[1]);
            cj_node *one = cj_scalar(g, dtype, 1);
            run_with_gradient(cj, backend, mean, in[0], one, in, values, 4, out);
        }
        snprintf(what, sizeof what, "%s on %s: %s", name, backend ? backend : "best", part);
        assert_near(what, out[i % 2], golden_get(golden, name, part), tolerance);
    }
    cj_tensor_free(out[0]), cj_tensor_free(out[1]);
    cj_graph_free(g);
}

static int checked;

static void check_file(const char *file)
{
    char path[64];
    snprintf(path, sizeof path, "nn/losses_%s.npz", file);
    cj_tensors *golden = golden_load(cj, path);
    const char *full;
    for (size_t i = 0; i < cj_tensors_count(golden); i++) {
        assert_non_null(cj_tensors_at(golden, i, &full));
        const char *end = strstr(full, "/prediction");
        if (!end) continue;
        char name[160];
        snprintf(name, sizeof name, "%.*s", (int)(end - full), full);
        bool numbers =
            cj_dtype_info(cj_tensor_dtype(golden_get(golden, name, "target")))->kind !=
            CJ_KIND_FLOAT;
        for (int b = 0; b < 2; b++) {
            check(golden, name, CJ_F64, numbers ? CJ_I64 : CJ_F64, backends[b]);
            check(golden, name, CJ_F32, numbers ? CJ_I32 : CJ_F32, backends[b]);
        }
        checked++;
    }
    cj_tensors_free(golden);
}

static const char *const files[] = {"numbers", "binary",    "classes",   "regions",
                                    "pairs",   "sequences", "embeddings", "boxes"};
enum { FILES = sizeof files / sizeof *files };
#define FILE_TEST(name) \
    static void name(void **state) \
    { \
        (void)state; \
        check_file(#name); \
    }
FILE_TEST(numbers)
FILE_TEST(binary)
FILE_TEST(classes)
FILE_TEST(regions)
FILE_TEST(pairs)
FILE_TEST(sequences)
FILE_TEST(embeddings)
FILE_TEST(boxes)

/* A row without golden numbers fails. */
static void every_row_has_golden_numbers(void **state)
{
    (void)state;
    cj_tensors *golden[FILES];
    for (int f = 0; f < FILES; f++) {
        char path[64];
        snprintf(path, sizeof path, "nn/losses_%s.npz", files[f]);
        golden[f] = golden_load(cj, path);
    }
    const cj_loss *row;
    for (int k = 0; (row = cj_loss_at(cj, k)); k++) {
        size_t length = strlen(row->name);
        bool found = false;
        for (int f = 0; f < FILES; f++)
            for (size_t i = 0; i < cj_tensors_count(golden[f]) && !found; i++) {
                const char *full;
                cj_tensors_at(golden[f], i, &full);
                found = !strncmp(full, row->name, length) && strchr("(|", full[length]);
            }
        if (!found) fail_msg("loss %s has no golden numbers", row->name);
    }
    for (int f = 0; f < FILES; f++) cj_tensors_free(golden[f]);
}

/* ---- Reductions ------------------------------------------------------------------------------ */

/* The value of a loss of these numbers [n, width], reduced. */
static double reduced(const char *loss, const char *reduction, int64_t n, int64_t width,
                      const double *x, const double *t, const double *weights)
{
    cj_tensor *xs = cj_tensor_from(cj, CJ_F64, 2, (int64_t[]){n, width}, x),
              *ts = cj_tensor_from(cj, CJ_F64, 2, (int64_t[]){n, width}, t),
              *ws = weights ? cj_tensor_from(cj, CJ_F64, 1, &n, weights) : NULL, *out = NULL;
    cj_graph *g = cj_graph_new(cj);
    cj_node *y = cj_loss_reduced(cj_constant(g, xs), cj_constant(g, ts), loss,
                                 .reduction = reduction,
                                 .sample_weight = ws ? cj_constant(g, ws) : NULL);
    if (!y) fail_msg("%s: %s", loss, cj_message(cj));
    cj_program *p = cj_compile(g, .outputs = {y});
    cj_session *s = cj_session_new(p, cj_graph_store(g));
    if (cj_run(s, NULL, 0, &out, 1)) fail_msg("%s", cj_session_message(s));
    double value = value_of(cj, out, cj_tensor_count(out) - 1);
    cj_tensor_free(out), cj_tensor_free(xs), cj_tensor_free(ts), cj_tensor_free(ws);
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(g);
    return value;
}

static void reductions(void **state)
{
    (void)state;
    const double x[] = {1, 2, 3}, t[] = {0, 0, 0}, w[] = {1, 0, 3}, none[] = {0, 0, 0};
    assert_true(fabs(reduced("mse", NULL, 3, 1, x, t, NULL) - 14.0 / 3) < 1e-14);
    assert_true(fabs(reduced("mse", "mean", 3, 1, x, t, NULL) - 14.0 / 3) < 1e-14);
    assert_true(reduced("mse", "sum", 3, 1, x, t, NULL) == 14);
    assert_true(reduced("mse", "none", 3, 1, x, t, NULL) == 9); /* the last one */
    assert_true(reduced("mse", "mean", 3, 1, x, t, w) == 7);
    assert_true(reduced("mse", "sum", 3, 1, x, t, w) == 28);
    assert_true(reduced("mse", "none", 3, 1, x, t, w) == 27);
    assert_true(reduced("mse", "mean", 3, 1, x, t, none) == 0); /* nothing weighs: no NaN */
}

/* Labels that the steps are too few for: infinity, as PyTorch says, or 0, and no slope but no NaN.
 */
static void ctc_of_too_few_steps(void **state)
{
    (void)state;
    for (int zero = 0; zero < 2; zero++)
        for (int b = 0; b < 2; b++) {
            cj_graph *g = cj_graph_new(cj);
            cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(1, 2, 3)),
                    *c = cj_placeholder(g, "c", CJ_F32, CJ_DIMS(1));
            cj_tensor *labels = cj_tensor_from(cj, CJ_I32, 2, (int64_t[]){1, 2}, (int32_t[]){1, 1});
            cj_tensor *values[] = {
                cj_tensor_from(cj, CJ_F32, 3, (int64_t[]){1, 2, 3}, (float[]){1, 2, 3, 4, 5, 6}),
                cj_tensor_from(cj, CJ_F32, 1, (int64_t[]){1}, (float[]){1})};
            cj_node *y = cj_loss_node(x, cj_constant(g, labels),
                                      zero ? "ctc(from_logits=true, zero_infinity=true)"
                                           : "ctc(from_logits=true)");
            cj_tensor *out[2];
            run_with_gradient(cj, backends[b], y, x, c, (cj_node *[]){x, c}, values, 2, out);
            assert_true(value_of(cj, out[0], 0) == (zero ? 0 : INFINITY));
            for (int i = 0; i < 6; i++) assert_true(value_of(cj, out[1], i) == 0);
            cj_tensor_free(out[0]), cj_tensor_free(out[1]), cj_tensor_free(labels);
            cj_tensor_free(values[0]), cj_tensor_free(values[1]);
            cj_graph_free(g);
        }
}

/* The partner's slope: NT-Xent is the same with both exchanged, so what is a gradient of the target
 * is one of the prediction then. */
static void partners_learn_too(void **state)
{
    (void)state;
    cj_tensors *golden = golden_load(cj, "nn/losses_pairs.npz");
    static const char name[] = "nt_xent|plain|vector";
    cj_tensor *values[] = {golden_get(golden, name, "prediction"),
                           golden_get(golden, name, "target"),
                           golden_get(golden, name, "cotangent")},
              *out[2][2];
    for (int exchanged = 0; exchanged < 2; exchanged++) {
        cj_graph *g = cj_graph_new(cj);
        cj_node *in[] = {batch_placeholder(g, "a", CJ_F64, values[0]),
                         batch_placeholder(g, "b", CJ_F64, values[1]),
                         batch_placeholder(g, "c", CJ_F64, values[2])};
        cj_node *y = cj_loss_node(in[exchanged], in[!exchanged], "nt_xent");
        run_with_gradient(cj, NULL, y, in[1], in[2], in, values, 3, out[exchanged]);
        cj_graph_free(g);
    }
    for (int i = 0; i < 2; i++) {
        assert_near("exchanged", out[0][i], out[1][i], 1e-12);
        cj_tensor_free(out[0][i]), cj_tensor_free(out[1][i]);
    }
    cj_tensors_free(golden);
}

/* ---- What is refused ------------------------------------------------------------------------- */

typedef struct wrong {
    const char *loss;
    int rank, target_rank;
    cj_dim dims[4], target_dims[4];
    const char *message;
} wrong;

static void refused(void **state)
{
    (void)state;
    static const wrong cases[] = {
        {"gaussian_nll",
         2,
         2,
         {4, 3},
         {4, 3},
         "gaussian_nll: the prediction's last axis has 3 values, expected means, then as many "
         "variances"},
        {"gaussian_nll",
         2,
         2,
         {4, 6},
         {4, 6},
         "gaussian_nll: the prediction has 3 along axis 1, the target 6"},
        {"kl_divergence",
         1,
         1,
         {4},
         {4},
         "kl_divergence: the prediction has rank 1, expected [batch, classes] or more axes"},
        {"binary_crossentropy(pos_weight=[1, 2])",
         2,
         2,
         {4, 3},
         {4, 3},
         "binary_crossentropy: pos_weight has 2 numbers, expected 3"},
        {"categorical_crossentropy(class_weights=2)",
         2,
         2,
         {4, 3},
         {4, 3},
         "categorical_crossentropy: class_weights has 1 number, expected 3"},
        {"sparse_categorical_crossentropy(class_weights=[1, 2])",
         2,
         1,
         {4, 3},
         {4},
         "sparse_categorical_crossentropy: class_weights has 2 numbers, expected 3"},
        {"categorical_focal_crossentropy(alpha=[1, 2])",
         2,
         1,
         {4, 3},
         {4},
         "categorical_focal_crossentropy: alpha has 2 numbers, expected 3"},
        {"multi_margin(class_weights=[1, 2])",
         2,
         1,
         {4, 3},
         {4},
         "multi_margin: class_weights has 2 numbers, expected 3"},
        {"categorical_hinge",
         3,
         1,
         {4, 3, 2},
         {4},
         "categorical_hinge: the prediction has rank 3, the target rank 1"},
        {"cosine_embedding",
         2,
         1,
         {4, 3},
         {4},
         "cosine_embedding: the prediction has rank 2 and 3 along axis 1, expected [batch, 2, "
         "width]"},
        {"triplet_margin",
         3,
         1,
         {4, 2, 5},
         {4},
         "triplet_margin: the prediction has rank 3 and 2 along axis 1, expected [batch, 3, "
         "width]"},
        {"triplet",
         3,
         1,
         {4, 2, 5},
         {4},
         "triplet: the prediction has rank 3, expected [batch, width]"},
        {"triplet",
         2,
         2,
         {4, 5},
         {4, 5},
         "triplet: the prediction has 1 along axis 1, the target 5"},
        {"margin_ranking",
         2,
         1,
         {4, 3},
         {4},
         "margin_ranking: the prediction has rank 2 and 3 along axis 1, expected [batch, 2]"},
        {"margin_ranking",
         2,
         2,
         {4, 2},
         {4, 2},
         "margin_ranking: the prediction has 1 along axis 1, the target 2"},
        {"circle", 1, 1, {4}, {4}, "circle: the prediction has rank 1, expected [batch, width]"},
        {"circle(gamma=0)",
         2,
         1,
         {4, 3},
         {4},
         "circle: gamma=0 is not between 1e-06 and 1000000"},
        {"info_nce",
         1,
         1,
         {4},
         {4},
         "info_nce: the prediction has rank 1, expected [batch, width]"},
        {"nt_xent",
         2,
         2,
         {4, 3},
         {4, 2},
         "nt_xent: the prediction has 3 along axis 1, the target 2"},
        {"ctc",
         2,
         2,
         {4, 3},
         {4, 3},
         "ctc: the prediction has rank 2, expected [batch, steps, classes]"},
        {"ctc",
         3,
         1,
         {4, 3, 2},
         {4},
         "ctc: the target has rank 1, expected [batch, labels], padded with blanks or -1, their "
         "number fixed and at least 1"},
        {"ctc", 3, 2, {4, 3, 2}, {5, 2}, "ctc: the prediction has 4 along axis 0, the target 5"},
        {"ctc(blank=2)", 3, 2, {4, 3, 2}, {4, 2}, "ctc: blank=2 is none of 2 classes"},
        /* Options out of range, a table's each. */
        {"huber(delta=-1)", 1, 1, {4}, {4}, "huber: delta=-1 is not between 0 and 1000000"},
        {"smooth_l1(beta=-1)", 1, 1, {4}, {4}, "smooth_l1: beta=-1 is not between 0 and 1000000"},
        {"quantile(quantile=1.5)", 1, 1, {4}, {4}, "quantile: quantile=1.5 is not between 0 and 1"},
        {"poisson(full=maybe)", 1, 1, {4}, {4}, "poisson: full='maybe' is not true or false"},
        {"gaussian_nll(epsilon=0)",
         2,
         1,
         {4, 2},
         {4},
         "gaussian_nll: epsilon=0 is not between 1e-12 and 1"},
        {"binary_crossentropy(pos_weight=-1)",
         1,
         1,
         {4},
         {4},
         "binary_crossentropy: pos_weight=-1 is not between 0 and 1000000000"},
        {"binary_focal_crossentropy(gamma=-1)",
         1,
         1,
         {4},
         {4},
         "binary_focal_crossentropy: gamma=-1 is not between 0 and 100"},
        {"binary_focal_crossentropy(alpha=2)",
         1,
         1,
         {4},
         {4},
         "binary_focal_crossentropy: alpha=2 is not between 0 and 1"},
        {"multi_margin(p=3)", 2, 1, {4, 3}, {4}, "multi_margin: p=3 is not between 1 and 2"},
        {"tversky(alpha=-1)", 1, 1, {4}, {4}, "tversky: alpha=-1 is not between 0 and 1000000"},
        {"dice(smooth=-1)", 1, 1, {4}, {4}, "dice: smooth=-1 is not between 0 and 1000000"},
        {"contrastive(margin=-1)",
         1,
         1,
         {4},
         {4},
         "contrastive: margin=-1 is not between 0 and 1000000"},
        {"cosine_embedding(margin=2)",
         3,
         1,
         {4, 2, 3},
         {4},
         "cosine_embedding: margin=2 is not between -1 and 1"},
        {"triplet(mining=easy)",
         2,
         1,
         {4, 3},
         {4},
         "triplet: mining='easy' is none of semi_hard, hard"},
        {"triplet(distance=manhattan)",
         2,
         1,
         {4, 3},
         {4},
         "triplet: distance='manhattan' is none of euclidean, squared_euclidean, cosine"},
        {"info_nce(temperature=0)",
         2,
         2,
         {4, 3},
         {4, 3},
         "info_nce: temperature=0 is not between 0.0001 and 10000"},
        {"ctc(blank=-1)", 3, 2, {4, 3, 2}, {4, 2}, "ctc: blank=-1 is not between 0 and 1000000000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const wrong *w = &cases[i];
        cj_graph *g = cj_graph_new(cj);
        cj_node *x = cj_placeholder(g, "x", CJ_F32, w->rank, w->dims),
                *t = cj_placeholder(g, "t", CJ_F32, w->target_rank, w->target_dims);
        if (cj_loss_node(x, t, w->loss) || !cj_graph_failed(g)) fail_msg("%s was taken", w->loss);
        assert_said(cj, w->message);
        cj_graph_free(g);
    }
}

/* Every row, handed what fits nothing, fails or gives [batch], and never falls; a failed graph
 * stays failed in silence. */
static void odd_shapes(void **state)
{
    (void)state;
    const cj_loss *row;
    for (int k = 0; (row = cj_loss_at(cj, k)); k++)
        for (int rank = 0; rank < 5; rank++)
            for (int target_rank = 0; target_rank < 5; target_rank++) {
                cj_graph *g = cj_graph_new(cj);
                const cj_dim dims[] = {cj_symbol(g, "batch"), 2, 3, 4};
                cj_node *x = cj_placeholder(g, "x", rank % 2 ? CJ_F32 : CJ_F64, rank, dims),
                        *t = cj_placeholder(g, "t", CJ_I64, target_rank, dims);
                cj_node *y = cj_loss_reduced(x, t, row->name, .reduction = "none");
                if (!y != (cj_graph_failed(g) != CJ_OK) || (y && cj_node_rank(y) != 1))
                    fail_msg("%s of rank %d and %d: status %d", row->name, rank, target_rank,
                             cj_graph_failed(g));
                assert_true(y || !cj_loss_node(x, t, row->name));
                cj_graph_free(g);
                g = cj_graph_new(cj);
                x = cj_placeholder(g, "x", CJ_F64, rank, dims);
                cj_loss_reduced(x, cj_zero, row->name, .reduction = "mean");
                assert_null(cj_loss_reduced(NULL, x, row->name, .reduction = "mean"));
                assert_null(cj_loss_reduced(x, NULL, row->name, .reduction = "mean"));
                cj_graph_free(g);
            }
}

static void reduction_refused(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(4, 3));
    assert_null(cj_loss_reduced(x, x, "mse", .reduction = "average"));
    assert_said(cj, "loss: reduction='average' is none of mean, sum, none");
    cj_graph_free(g);
    g = cj_graph_new(cj);
    x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(4, 3));
    assert_null(cj_loss_reduced(x, x, "mse", .sample_weight = x));
    assert_said(cj, "loss: sample_weight has rank 2 and 4 along axis 0, expected [4]");
    cj_graph_free(g);
}

int main(void)
{
    cj = test_context();
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers),
                                       cmocka_unit_test(binary),
                                       cmocka_unit_test(classes),
                                       cmocka_unit_test(regions),
                                       cmocka_unit_test(pairs),
                                       cmocka_unit_test(sequences),
                                       cmocka_unit_test(embeddings), cmocka_unit_test(boxes),
                                       cmocka_unit_test(every_row_has_golden_numbers),
                                       cmocka_unit_test(reductions),
                                       cmocka_unit_test(partners_learn_too),
                                       cmocka_unit_test(ctc_of_too_few_steps),
                                       cmocka_unit_test(refused),
                                       cmocka_unit_test(odd_shapes),
                                       cmocka_unit_test(reduction_refused)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_context_free(cj);
    return failed;
}
