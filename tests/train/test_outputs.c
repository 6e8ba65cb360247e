/* test_outputs.c: models with several results, each with its loss and weight, against PyTorch
 * (tools/golden/outputs.py); auxiliary results; models that restore their input; targets that
 * follow the picture they belong to. */
#define _POSIX_C_SOURCE 200809L
#include "train_support.h"

static cj_context *cj;
static cj_tensors *golden;

enum { SAMPLES = 20 };

static const char *const parameters[] = {
    "hidden/kernel", "hidden/bias", "class/kernel", "class/bias",
    "box/kernel",    "box/bias",    "early/kernel", "early/bias"};

/* Fields as they lie in the golden file. */
static const char *const field_names[] = {"x", "class", "box"};

static cj_status read_field(cj_context *c, void *user, const int64_t *indices, int64_t n, int field,
                            void *out)
{
    (void)c, (void)user;
    cj_tensor *t = cj_tensors_find(golden, field_names[field]);
    const size_t bytes = cj_tensor_size_bytes(t) / SAMPLES;
    const char *from = cj_tensor_map_read(t);
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)out + (size_t)i * bytes, from + (size_t)indices[i] * bytes, bytes);
    cj_tensor_unmap(t);
    return CJ_OK;
}

static cj_dataset *data(const char *box_name)
{
    const cj_field fields[] = {
        {.name = "x", .dtype = CJ_F64, .rank = 1, .shape = {5}, .role = CJ_FIELD_INPUT},
        {.name = "class", .dtype = CJ_I32, .role = CJ_FIELD_TARGET, .classes = 3},
        {.name = box_name, .dtype = CJ_F64, .rank = 1, .shape = {2}, .role = CJ_FIELD_TARGET}};
    return cj_dataset_new(cj, &(cj_dataset_source){.name = "golden",
                                                   .count = SAMPLES,
                                                   .field_count = 3,
                                                   .fields = fields,
                                                   .read = read_field});
}

static cj_model *network(bool early)
{
    cj_model *m = cj_model_new(cj);
    cj_model_set_dtype(m, CJ_F64);
    cj_node *h = cj_dense(cj_input(m, "x", 5), .units = 6, .activation = "tanh", .name = "hidden");
    cj_output(m, "class", cj_dense(h, .units = 3, .activation = "softmax", .name = "class"));
    cj_output(m, "box", cj_dense(h, .units = 2, .name = "box"));
    if (early)
        cj_auxiliary_output(
            m, "early", cj_dense(h, .units = 3, .activation = "softmax", .name = "early"), 0.3);
    OK(cj_model_failed(m));
    for (int i = 0; i < (early ? 8 : 6); i++) {
        char name[32];
        snprintf(name, sizeof name, "initial/%d", i);
        OK(cj_store_set(cj_model_store(m), parameters[i], cj_tensors_find(golden, name)));
    }
    return m;
}

static void same(const char *what, double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-10 * fmax(1, fabs(expected))))
        fail_msg("%s is %.17g, expected %.17g", what, found, expected);
}

static void has_scores(const cj_scores *scores)
{
    static const char *const names[] = {"loss", "class_loss", "box_loss", "box_mae"};
    const cj_tensor *expected = cj_tensors_find(golden, "scores");
    for (int i = 0; i < 4; i++)
        same(names[i], cj_score(scores, names[i]),
             cj_load_f64(CJ_F64, cj_tensor_map_read(expected), (size_t)i));
    assert_true(cj_score(scores, "accuracy") >= 0);
    assert_true(isnan(cj_score(scores, "early_loss")));
}

static void as_torch(void **state)
{
    (void)state;
    cj_dataset *ds = data("box");
    cj_model *m = network(true);
    OK(cj_fit(m, ds, .epochs = 3, .batch_size = 8, .no_shuffle = true, .optimizer = "sgd",
              .learning_rate = 0.1, .normalize = "none",
              .loss = "class: sparse_categorical_crossentropy, box: 0.5 * mse",
              .metrics = "accuracy, box: mae"));
    for (int i = 0; i < 8; i++) {
        char name[32];
        int64_t at;
        snprintf(name, sizeof name, "trained/%d", i);
        if (!cj_tensor_close(cj_store_get(cj_model_store(m), parameters[i]),
                             cj_tensors_find(golden, name), 1e-10, 1e-12, &at))
            fail_msg("%s differs at %lld", parameters[i], (long long)at);
    }
    /* The model remembers losses, weights and metrics; a file does, but for what is auxiliary. */
    cj_scores scores;
    OK(cj_evaluate(m, ds, &scores));
    has_scores(&scores);
    const cj_scores *last = cj_history_at(cj_model_history(m), 2);
    assert_false(isnan(cj_score(last, "box_loss")));
    char path[300];
    OK(cj_save(m, fresh(path, "outputs.onnx")));
    cj_model *loaded = cj_load(cj, path);
    if (!loaded) fail_msg("%s", cj_message(cj));
    OK(cj_evaluate(loaded, ds, &scores));
    has_scores(&scores);
    assert_null(cj_store_get(cj_model_store(loaded), "early/kernel"));
    cj_model_info info;
    cj_model_get_info(loaded, &info);
    assert_string_equal(info.loss,
                        "class: sparse_categorical_crossentropy, box: 0.5 * mse");
}

/* What an auxiliary result has for a loss changes the gradient and no score. */
static void auxiliary_results(void **state)
{
    (void)state;
    cj_dataset *ds = data("box");
    const char *const losses[] = {
        "box: mse", "box: mse, early: 0.3 * sparse_categorical_crossentropy", "early: 0 * mse",
        "box: mse, early: 0 * sparse_categorical_crossentropy"};
    double first[4], kernel[4];
    for (int i = 0; i < 4; i++) {
        cj_model *m = network(true);
        cj_status failed = cj_fit(m, ds, .batch_size = SAMPLES, .loss = losses[i],
                                  .optimizer = "sgd", .normalize = "none");
        if (i == 2) { /* its target is a class, as the first output's */
            if (!failed) fail_msg("no failure");
            continue;
        }
        OK(failed);
        first[i] = cj_score(cj_history_at(cj_model_history(m), 0), "loss");
        kernel[i] = *(const double *)cj_tensor_map_read(
            cj_store_get(cj_model_store(m), "hidden/kernel"));
    }
    cj_model *plain = network(false);
    OK(cj_fit(plain, ds, .batch_size = SAMPLES, .optimizer = "sgd", .normalize = "none"));
    const double without = *(const double *)cj_tensor_map_read(
        cj_store_get(cj_model_store(plain), "hidden/kernel"));
    assert_true(first[0] == first[1] && first[0] == first[3]);
    assert_true(kernel[0] == kernel[1] && kernel[0] != kernel[3]);
    same("the weight without the auxiliary loss", kernel[3], without);
}

static void restores_its_input(void **state)
{
    (void)state;
    unsigned char pixels[12 * 6];
    float given[12 * 6];
    for (int i = 0; i < 12 * 6; i++) pixels[i] = (unsigned char)(i * 37 % 256);
    cj_tensor *x = cj_tensor_from(cj, CJ_U8, 4, (int64_t[]){12, 2, 3, 1}, pixels);
    int32_t labels[12] = {0, 1, 2, 3};
    cj_tensor *y = cj_tensor_from(cj, CJ_I32, 1, (int64_t[]){12}, labels);
    for (int with_labels = 0; with_labels < 2; with_labels++) {
        cj_dataset *ds = cj_dataset_from_tensors(cj, x, with_labels ? y : NULL);
        cj_model *m = cj_model_new(cj);
        cj_node *h = cj_flatten(cj_input(m, "image", 2, 3, 1));
        h = cj_dense(cj_gaussian_noise(h, .stddev = 0.1), .units = 3, .activation = "tanh");
        cj_output(m, "restored",
                  cj_reshape_layer(cj_dense(h, .units = 6), 3, (const int64_t[]){2, 3, 1}));
        OK(cj_fit(m, ds, .epochs = 3, .restore_input = true));
        cj_model_info info;
        cj_scores scores;
        cj_model_get_info(m, &info);
        assert_string_equal(info.target, "image");
        assert_string_equal(info.loss, "mse");
        assert_int_equal(info.classes, 0);
        /* The mean square of what comes out against pixels as the model sees them. */
        double sum = 0;
        cj_session *s = cj_model_session(m);
        assert_non_null(s);
        OK(cj_predict(s, pixels, 12, given, 6));
        for (int i = 0; i < 12 * 6; i++) sum += pow(given[i] - pixels[i] / 255.0, 2) / (12 * 6);
        cj_session_free(s);
        OK(cj_evaluate(m, ds, &scores));
        if (fabs(cj_score(&scores, "loss") - sum) > 1e-6)
            fail_msg("loss %g, expected %g", cj_score(&scores, "loss"), sum);
        char path[300];
        OK(cj_save(m, fresh(path, "restores.onnx")));
        cj_model *loaded = cj_load(cj, path);
        assert_non_null(loaded);
        OK(cj_evaluate(loaded, ds, &scores));
        if (fabs(cj_score(&scores, "loss") - sum) > 1e-6)
            fail_msg("loaded: loss %g, expected %g", cj_score(&scores, "loss"), sum);
        assert_int_equal(cj_fit(m, ds, .restore_input = true, .loss = "hinge(x"), CJ_ERR_ARGUMENT);
    }
    cj_tensor_free(x);
    cj_tensor_free(y);
}

/* ---- Targets that follow the picture --------------------------------------------------------- */

enum { PICTURES = 32, SIDE = 8 };

static float pictures[PICTURES][SIDE][SIDE];
static int32_t labels[PICTURES][SIDE][SIDE];
static float boxes[PICTURES][2][5];

/* Labels 0 .. 2 as pixels, as a mask, and one box, the same in all. */
static cj_status read_labels(cj_context *c, void *user, const int64_t *indices, int64_t n,
                             int field, void *out)
{
    (void)c, (void)user;
    const void *const all[] = {pictures, labels, boxes};
    const size_t bytes[] = {sizeof *pictures, sizeof *labels, sizeof *boxes};
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)out + (size_t)i * bytes[field],
               (const char *)all[field] + (size_t)indices[i] * bytes[field], bytes[field]);
    return CJ_OK;
}

static cj_dataset *segments(void)
{
    static const float box[2][5] = {{0, 0.25f, 0.5f, 0.5f, 0.75f}, {-1, 0, 0, 0, 0}};
    const cj_field fields[] = {
        {.name = "image", .dtype = CJ_F32, .rank = 3, .shape = {SIDE, SIDE, 1}},
        {.name = "mask", .dtype = CJ_I32, .rank = 2, .shape = {SIDE, SIDE},
         .role = CJ_FIELD_TARGET, .kind = CJ_FIELD_MASK, .classes = 3},
        {.name = "boxes", .dtype = CJ_F32, .rank = 2, .shape = {2, 5}, .role = CJ_FIELD_TARGET,
         .kind = CJ_FIELD_BOXES, .classes = 1}};
    int32_t *label = &labels[0][0][0];
    for (int i = 0; i < PICTURES * SIDE * SIDE; i++) {
        label[i] = i * 7 % 11 % 3;
        (&pictures[0][0][0])[i] = (float)label[i];
    }
    for (int i = 0; i < PICTURES; i++) memcpy(boxes[i], box, sizeof box);
    return cj_dataset_new(cj, &(cj_dataset_source){.name = "segments",
                                                   .count = PICTURES,
                                                   .field_count = 3,
                                                   .fields = fields,
                                                   .read = read_labels});
}

static void set(cj_model *m, const char *name, const float *values)
{
    const cj_tensor *was = cj_store_get(cj_model_store(m), name);
    cj_tensor *t = cj_tensor_from(cj, CJ_F32, cj_tensor_rank(was), cj_tensor_shape(was), values);
    OK(cj_store_set(cj_model_store(m), name, t));
    cj_tensor_free(t);
}

/* A network that tells a pixel's label, 50 (2 k x - k^2) for class k, and where the moved box is:
 * right after each move, or the loss would not be 0. */
static void targets_follow(void **state)
{
    (void)state;
    static const float kernel[] = {0, 100, 200}, bias[] = {0, -50, -200};
    static const float moved_box[] = {0, 0.5f, 0.5f, 0.75f, 0.75f, -1, 0, 0, 0, 0};
    static float none[10 * SIDE * SIDE];
    cj_dataset *ds = segments();
    for (int mirrored = 0; mirrored < 2; mirrored++) {
        cj_model *m = cj_model_new(cj);
        cj_node *x = cj_input(m, "image", SIDE, SIDE, 1);
        x = mirrored ? cj_random_crop(cj_random_flip(x), .height = SIDE, .width = SIDE,
                                      .padding = 2)
                     : cj_random_translation(x, .height_factor = {1, (const double[]){0}},
                                             .width_factor = {2, (const double[]){0.25, 0.25}},
                                             .fill_mode = "constant");
        cj_output(m, "mask", cj_conv2d(x, .filters = 3, .kernel = {1, 1}, .name = "label"));
        cj_node *flat = cj_dense(cj_flatten(x), .units = 10, .name = "place");
        cj_output(m, "boxes", cj_reshape_layer(flat, 2, (const int64_t[]){2, 5}));
        OK(cj_model_failed(m));
        set(m, "label/kernel", kernel);
        set(m, "label/bias", bias);
        set(m, "place/kernel", none);
        set(m, "place/bias", moved_box);
        OK(cj_fit(m, ds, .epochs = 2, .batch_size = 10, .optimizer = "sgd", .learning_rate = 1e-30,
                  .normalize = "none", .metrics = "accuracy",
                  .loss = "mask: sparse_categorical_crossentropy(from_logits=true), boxes: mse"));
        const cj_scores *scores = cj_history_at(cj_model_history(m), 1);
        assert_float_equal(cj_score(scores, "mask_loss"), 0, 1e-6);
        assert_float_equal(cj_score(scores, "accuracy"), 1, 0);
        if (!mirrored) assert_float_equal(cj_score(scores, "boxes_loss"), 0, 1e-12);
        /* Outside of training nothing moves. */
        cj_scores plain;
        OK(cj_evaluate(m, ds, &plain));
        assert_float_equal(cj_score(&plain, "accuracy"), 1, 0);
        if (!mirrored)
            assert_float_equal(cj_score(&plain, "boxes_loss"), 2 * 0.25 * 0.25 / 10, 1e-7);
    }
}

/* What comes out is what the flipped and turned picture was. */
static void the_input_follows(void **state)
{
    (void)state;
    static const float one = 1, zero = 0;
    cj_dataset *ds = segments();
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_random_rotation(cj_random_flip(cj_input(m, "image", SIDE, SIDE, 1)),
                                    .factor = {1, (const double[]){0.2}});
    x = cj_random_crop(x, .height = 5, .width = 6);
    cj_output(m, "image", cj_conv2d(x, .filters = 1, .kernel = {1, 1}, .name = "same"));
    OK(cj_model_failed(m));
    set(m, "same/kernel", &one);
    set(m, "same/bias", &zero);
    OK(cj_fit(m, ds, .epochs = 2, .batch_size = 10, .optimizer = "sgd", .learning_rate = 1e-30,
              .normalize = "none", .restore_input = true));
    assert_float_equal(cj_score(cj_history_at(cj_model_history(m), 1), "loss"), 0, 1e-12);
    cj_scores scores;
    OK(cj_evaluate(m, ds, &scores));
    assert_float_equal(cj_score(&scores, "loss"), 0, 1e-12);
}

static void refuses(cj_status failed, cj_status expected, const char *words)
{
    if (failed != expected || !strstr(cj_message(cj), words))
        fail_msg("'%s' (%s), expected '%s' (%s)", cj_message(cj), cj_status_name(failed), words,
                 cj_status_name(expected));
}

static void mistakes(void **state)
{
    (void)state;
    cj_dataset *ds = data("box"), *other = data("rectangle");
    cj_model *m = network(true);
    refuses(cj_fit(m, other, .epochs = 1), CJ_ERR_NOT_FOUND,
            "golden has 2 targets, and none has the name of the model's output 'box'");
    refuses(cj_fit(m, ds, .loss = "boxes: mse"), CJ_ERR_ARGUMENT,
            "loss 'boxes': the model has no such output; its outputs are class, box, early");
    refuses(cj_fit(m, ds, .loss = "mse, mae"), CJ_ERR_ARGUMENT,
            "loss 'mse, mae': an output has two; expected is one for all outputs, or NAME: LOSS "
            "for each");
    refuses(cj_fit(m, ds, .loss = "box: mse, box: mae"), CJ_ERR_ARGUMENT, "box has two");
    refuses(cj_fit(m, ds, .loss = "box: -1 * mse"), CJ_ERR_ARGUMENT,
            "loss '-1 * mse' of output 'box': in front of * stands no number of 0 or more");
    refuses(cj_fit(m, ds, .loss = "box: x * mse"), CJ_ERR_ARGUMENT, "stands no number");
    refuses(cj_fit(m, ds, .loss = "box: huber(delta=0"), CJ_ERR_ARGUMENT, "bracket");
    refuses(cj_fit(m, ds, .metrics = "early: accuracy"), CJ_ERR_ARGUMENT,
            "metric accuracy of 'early': an auxiliary result counts in training alone");
    refuses(cj_fit(m, ds, .metrics = "box: mae, box: mae"), CJ_ERR_ARGUMENT,
            "metric box_mae is there twice");
    refuses(cj_fit(m, ds, .loss = "sparse_categorical_crossentropy"), CJ_ERR_ARGUMENT,
            "'box' of golden is a number");
    cj_model *learned = network(false);
    OK(cj_fit(learned, ds, .epochs = 1));
    refuses(cj_fit(learned, ds, .restore_input = true), CJ_ERR_STATE,
            "the model has learned 'class' before");
    cj_model *bad = cj_model_new(cj);
    cj_node *x = cj_input(bad, "x", 5);
    cj_output(bad, "y", cj_dense(x, .units = 2));
    cj_auxiliary_output(bad, "early", x, -1);
    refuses(cj_model_failed(bad), CJ_ERR_ARGUMENT, "'early' has the weight -1");
    cj_model *none = cj_model_new(cj);
    cj_auxiliary_output(none, "early", NULL, 1);
    refuses(cj_model_failed(none), CJ_ERR_ARGUMENT, "'early' is given no node of its model");
    cj_auxiliary_output(NULL, "early", NULL, 1);
}

static int setup(void **state)
{
    (void)state;
    char path[512];
    cj = cj_context_new(NULL);
    return cj_npz_load(cj, golden_path(path, "train/outputs.npz"), &golden) != CJ_OK;
}

static int teardown(void **state)
{
    (void)state;
    cj_tensors_free(golden);
    cj_context_free(cj);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(as_torch, setup, teardown),
        cmocka_unit_test_setup_teardown(auxiliary_results, setup, teardown),
        cmocka_unit_test_setup_teardown(restores_its_input, setup, teardown),
        cmocka_unit_test_setup_teardown(targets_follow, setup, teardown),
        cmocka_unit_test_setup_teardown(the_input_follows, setup, teardown),
        cmocka_unit_test_setup_teardown(mistakes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
