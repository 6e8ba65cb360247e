/* test_metrics.c: metrics as fit and evaluate show them: whatever the batches are, with weights of
 * samples, under their names; what is refused. The numbers themselves: tests/nn/test_metrics.c. */
#include "train_support.h"

static cj_context *cj;
static int setup(void **state)
{
    (void)state;
    return (cj = cj_context_new(&(cj_config){.clock = &still})) ? 0 : -1;
}
static int teardown(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

static cj_model *model(cj_dataset *ds, const char *text)
{
    cj_model *m = ds ? cj_model_from_text(cj, text, ds, 3) : NULL;
    if (!m) fail_msg("%s", cj_message(cj));
    return m;
}

static const char all_of_classes[] =
    "accuracy, top_k_accuracy(k=2), precision, recall(average=none), f1(average=weighted), "
    "fbeta(beta=2), specificity(average=micro), iou, balanced_accuracy, matthews, cohen_kappa, "
    "log_loss, perplexity, brier, calibration_error, roc_auc, average_precision(average=none)";

static void same_scores(const cj_scores *a, const cj_scores *b, double tolerance)
{
    assert_int_equal(a->n, b->n);
    for (int i = 0; i < a->n; i++) {
        assert_string_equal(a->name[i], b->name[i]);
        if (!(fabs(a->value[i] - b->value[i]) <= tolerance))
            fail_msg("%s: %.17g and %.17g", a->name[i], a->value[i], b->value[i]);
    }
}

/* Evaluate in batches of any size, and the validation of fit, give the same numbers; predictions
 * are f32 whose last bit depends on the batch, hence the tolerance. */
static void any_batches(void **state)
{
    (void)state;
    cj_dataset *ds = clouds(cj, 61, 6, 3), *held = clouds(cj, 47, 6, 3);
    cj_model *m = model(ds, "dense 5 tanh, dense 3 softmax");
    cj_scores first, other;
    OK(cj_fit(m, ds, .epochs = 2, .validation = held, .batch_size = 16, .learning_rate = 0.02,
              .metrics = all_of_classes));
    OK(cj_evaluate(m, held, &first, .batch_size = 1));
    static const int64_t sizes[] = {7, 46, 47, 500};
    for (int i = 0; i < 4; i++) {
        OK(cj_evaluate(m, held, &other, .batch_size = sizes[i]));
        same_scores(&first, &other, 1e-6);
    }
    assert_true(cj_score(&first, "roc_auc") > 0.5);
    assert_true(cj_score(&first, "recall[2]") >= 0 && isnan(cj_score(&first, "recall[3]")));
    assert_true(isnan(cj_score(&first, "recall")));
    const cj_scores *last = cj_history_at(cj_model_history(m), 1);
    for (int i = 0; i < first.n; i++) {
        char name[CJ_NAME_MAX + 4];
        snprintf(name, sizeof name, "val_%s", first.name[i]);
        if (!(fabs(cj_score(last, name) - first.value[i]) <= 1e-6))
            fail_msg("%s: %.9g, evaluated %.9g", name, cj_score(last, name), first.value[i]);
    }
    cj_dataset_free(ds), cj_dataset_free(held);
}

/* ---- Weights --------------------------------------------------------------------------------- */

/* Sample i is sample i % 30 of a small set, its weight weights[i]. */
typedef struct weighted {
    int n;
    const double *weights;
} weighted;
static cj_status read_weighted(cj_context *c, void *user, const int64_t *indices, int64_t n,
                               int field, void *out)
{
    (void)c;
    const weighted *w = user;
    for (int64_t i = 0; i < n; i++) {
        int64_t at = indices[i], sample = at % 30;
        if (field == 0)
            for (int k = 0; k < 3; k++)
                ((float *)out)[i * 3 + k] = (float)((sample * (7 + 4 * k) % 13) / 13.0);
        if (field == 1) ((int32_t *)out)[i] = (int32_t)((sample / 3 + sample) % 3);
        if (field == 2) ((double *)out)[i] = w->weights[at];
    }
    return CJ_OK;
}
static cj_dataset *weighted_data(weighted *w)
{
    cj_field fields[] = {
        {.name = "x", .dtype = CJ_F32, .rank = 1, .shape = {3}, .role = CJ_FIELD_INPUT},
        {.name = "y", .dtype = CJ_I32, .role = CJ_FIELD_TARGET, .classes = 3},
        {.name = "w", .dtype = CJ_F64, .role = CJ_FIELD_WEIGHT}};
    cj_dataset *ds = cj_dataset_new(cj, &(cj_dataset_source){.name = "weighted",
                                                             .count = w->n,
                                                             .field_count = 3,
                                                             .fields = fields,
                                                             .read = read_weighted,
                                                             .user = w});
    if (!ds) fail_msg("%s", cj_message(cj));
    return ds;
}

/* A weight of 2 is the sample twice, of 0 never. */
static void weights(void **state)
{
    (void)state;
    double once[30], twice[60];
    for (int i = 0; i < 30; i++) {
        once[i] = i % 3;
        twice[i] = i % 3 > 0;
        twice[30 + i] = i % 3 > 1;
    }
    weighted a = {30, once}, b = {60, twice};
    cj_dataset *one = weighted_data(&a), *two = weighted_data(&b);
    cj_model *m = model(one, "dense 5 tanh, dense 3 softmax");
    cj_scores x, y;
    OK(cj_fit(m, one, .epochs = 3, .learning_rate = 0.02, .metrics = all_of_classes));
    OK(cj_evaluate(m, one, &x, .batch_size = 8));
    OK(cj_evaluate(m, two, &y, .batch_size = 11));
    same_scores(&x, &y, 1e-6);
    cj_dataset_free(one), cj_dataset_free(two);
}

/* ---- Names ----------------------------------------------------------------------------------- */

static bool running(void *user, const cj_fit_state *s)
{
    bool *seen = user;
    *seen = true;
    /* A metric that keeps the samples waits for the end of the epoch. */
    assert_true(isnan(cj_score(s->scores, "auc")));
    assert_true(isfinite(cj_score(s->scores, "acc")) && isfinite(cj_score(s->scores, "iou[1]")));
    return true;
}
static bool ended(void *user, const cj_fit_state *s)
{
    (void)user;
    assert_true(isfinite(cj_score(s->scores, "auc")) &&
                isfinite(cj_score(s->scores, "val_auc")));
    return true;
}

/* Scores have the names that were asked for; each can be the monitor. */
static void names(void **state)
{
    (void)state;
    static const char *const monitors[] = {"val_auc", "auc", "val_iou[1]", "acc"};
    cj_dataset *ds = clouds(cj, 60, 6, 3);
    for (int i = 0; i < 4; i++) {
        bool seen = false;
        cj_callback row = {
            .name = "look", .user = &seen, .on_step_end = running, .on_epoch_end = ended};
        cj_model *m = model(ds, "dense 3 softmax");
        cj_scores scores;
        OK(cj_fit(m, ds, .epochs = 2, .validation_split = 0.2, .patience = 1,
                  .monitor = monitors[i],
                  .metrics = "acc, auc, iou(average=none), roc_auc(average=weighted)",
                  .callbacks = (const cj_callback *const[]){&row, NULL}));
        assert_true(seen);
        OK(cj_evaluate(m, ds, &scores));
        static const char *const expected[] = {"loss",   "acc",    "auc",    "iou[0]",
                                               "iou[1]", "iou[2]", "roc_auc"};
        assert_int_equal(scores.n, 7);
        for (int k = 0; k < 7; k++) assert_string_equal(scores.name[k], expected[k]);
    }
    cj_dataset_free(ds);
}

/* A loss that is no metric is its mean, with its options. */
static void of_losses(void **state)
{
    (void)state;
    cj_dataset *ds = clouds(cj, 50, 6, 3);
    cj_model *m = model(ds, "dense 3 softmax");
    cj_scores scores;
    OK(cj_fit(m, ds, .epochs = 1, .learning_rate = 0.02,
              .monitor = "sparse_categorical_crossentropy",
              .metrics = "sparse_categorical_crossentropy, log_loss"));
    OK(cj_evaluate(m, ds, &scores, .batch_size = 7));
    double loss = cj_score(&scores, "loss"), log_loss = cj_score(&scores, "log_loss");
    assert_true(fabs(cj_score(&scores, "sparse_categorical_crossentropy") - loss) < 1e-12);
    assert_true(fabs(log_loss - loss) < 1e-6);
    assert_int_equal(cj_last_status(cj), CJ_OK);
    /* What does not count in the loss does not in the metric. */
    OK(cj_evaluate(m, ds, &scores, .loss = "sparse_categorical_crossentropy(ignore_class=1)",
                   .metrics = "sparse_categorical_crossentropy(ignore_class=1)"));
    assert_true(fabs(cj_score(&scores, "loss") - loss) > 1e-6);
    assert_true(fabs(cj_score(&scores, "sparse_categorical_crossentropy") -
                     cj_score(&scores, "loss")) < 1e-12);
    assert_int_equal(cj_evaluate(m, ds, &scores,
                                 .metrics = "sparse_categorical_crossentropy(smooth=1)"),
                     CJ_ERR_ARGUMENT);
    assert_int_equal(cj_evaluate(m, ds, &scores, .metrics = "crossentropies"), CJ_ERR_ARGUMENT);
    assert_non_null(strstr(cj_message(cj), "unknown metric 'crossentropies'"));
    cj_dataset_free(ds);
}

/* One class only: the area is not defined, which stops nothing. */
static void one_class(void **state)
{
    (void)state;
    cj_dataset *ds = clouds(cj, 40, 6, 2), *zeros = cj_dataset_select(ds, (int64_t[]){0, 2, 4}, 3);
    cj_model *m = model(ds, "dense 1 sigmoid");
    cj_scores scores;
    OK(cj_fit(m, ds, .epochs = 2, .validation = zeros, .monitor = "val_roc_auc", .patience = 1,
              .metrics = "roc_auc, average_precision"));
    OK(cj_evaluate(m, zeros, &scores));
    assert_true(isnan(cj_score(&scores, "roc_auc")) && !signbit(cj_score(&scores, "roc_auc")));
    assert_true(cj_score(&scores, "average_precision") == 0);
    cj_dataset_free(zeros), cj_dataset_free(ds);
}

static cj_status many_numbers_status(cj_dataset *ds, const char *metrics, const char *monitor)
{
    return cj_fit(model(ds, "dense 70 softmax"), ds, .metrics = metrics, .monitor = monitor);
}
static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *metrics, *monitor, *message;
    } wrong[] = {
        {"accuracy, recall(average=none)", NULL,
         "metric recall: with its 70 numbers there are 71, above 61"},
        {"auc, auc(average=none)", NULL, "metric auc is there twice"},
        {"confusion_matrix", NULL,
         "metric confusion_matrix is no single number: evaluate gives it"},
        {"auc", "roc_auc",
         "fit: monitor 'roc_auc' is none of the scores: loss and the metrics (auc); there is no "
         "validation set"}};
    cj_dataset *ds = clouds(cj, 70, 6, 70);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_true(many_numbers_status(ds, wrong[i].metrics, wrong[i].monitor) != CJ_OK);
        assert_string_equal(cj_message(cj), wrong[i].message);
    }
    cj_dataset_free(ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_batches), cmocka_unit_test(weights),
                                       cmocka_unit_test(names), cmocka_unit_test(one_class),
                                       cmocka_unit_test(of_losses),
                                       cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
