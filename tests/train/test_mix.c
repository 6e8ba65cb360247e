/* test_mix.c: training with mix_up, cut_mix and mosaic. Pictures say of which class they are: all
 * pixels are its one-hot vector, so that the mean of a mixed picture is the distribution its target
 * should be, and a network that gives this mean must have
 *
 *     - a mean squared error of 0 against one-hot targets, which are numbers and are mixed as such;
 *     - the same crossentropy for class numbers as for those one-hot targets. */
#define _POSIX_C_SOURCE 200809L
#include "train_support.h"

static cj_context *cj;

enum { SAMPLES = 70, SIDE = 16, CLASSES = 3 };

static float pictures[SAMPLES][SIDE][SIDE][CLASSES];
static int32_t labels[SAMPLES], masks[SAMPLES][SIDE][SIDE];
static float soft[SAMPLES][CLASSES];

static cj_status read_field(cj_context *c, void *user, const int64_t *indices, int64_t n, int field,
                            void *out)
{
    (void)c;
    const void *const of_samples[] = {pictures, labels, soft},
               *const of_pixels[] = {pictures, masks, pictures};
    const size_t sample_bytes[] = {sizeof *pictures, sizeof *labels, sizeof *soft},
                 pixel_bytes[] = {sizeof *pictures, sizeof *masks, sizeof *pictures};
    const bool by_pixel = user != NULL;
    const char *from = by_pixel ? of_pixels[field] : of_samples[field];
    const size_t bytes = by_pixel ? pixel_bytes[field] : sample_bytes[field];
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)out + (size_t)i * bytes, from + (size_t)indices[i] * bytes, bytes);
    return CJ_OK;
}

/* Classes of pictures, or of each pixel. */
static cj_dataset *data(bool by_pixel)
{
    static char yes;
    cj_field fields[] = {
        {.name = "image", .dtype = CJ_F32, .rank = 3, .shape = {SIDE, SIDE, CLASSES}},
        {.name = "class", .dtype = CJ_I32, .role = CJ_FIELD_TARGET, .classes = CLASSES},
        {.name = "soft", .dtype = CJ_F32, .rank = 1, .shape = {CLASSES}, .role = CJ_FIELD_TARGET}};
    if (by_pixel) {
        fields[1].kind = CJ_FIELD_MASK;
        fields[1].rank = 2;
        fields[1].shape[0] = fields[1].shape[1] = SIDE;
        fields[2].rank = 3;
        memcpy(fields[2].shape, fields[0].shape, sizeof fields[2].shape);
    }
    memset(pictures, 0, sizeof pictures);
    memset(soft, 0, sizeof soft);
    for (int i = 0; i < SAMPLES; i++) {
        labels[i] = i * 7 % 10 % CLASSES;
        soft[i][labels[i]] = 1;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                masks[i][y][x] = by_pixel ? (x / 3 + y / 2 + i) % CLASSES : labels[i];
                pictures[i][y][x][masks[i][y][x]] = 1;
            }
    }
    return cj_dataset_new(cj, &(cj_dataset_source){.name = "mixed",
                                                   .count = SAMPLES,
                                                   .field_count = 3,
                                                   .fields = fields,
                                                   .user = by_pixel ? &yes : NULL,
                                                   .read = read_field});
}

/* The layers ("NAME OPTIONS; NAME OPTIONS"), then the mean of all pixels, or each pixel, as two
 * outputs; one weight that is not used, so that there is something to learn. */
static cj_scores train_by(const char *layers, bool by_pixel, int64_t batch, bool knows,
                          const char *loss, cj_scores *evaluated)
{
    char text[300];
    snprintf(text, sizeof text, "%s", layers);
    cj_dataset *ds = data(by_pixel);
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_input(m, "image", SIDE, SIDE, CLASSES);
    for (char *at = text, *next; at; at = next) {
        if ((next = strchr(at, ';'))) *next++ = 0;
        while (*at == ' ') at++;
        char *options = strchr(at, ' ');
        if (options) *options++ = 0;
        x = cj_layer_apply(&x, 1, at, options ? options : "");
    }
    const float identity[2][CLASSES][CLASSES] = {{{0}}, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    x = cj_conv2d(x, .filters = CLASSES, .kernel = {1, 1}, .no_bias = true, .name = "same");
    if (!by_pixel) x = cj_global_average_pool2d(x);
    if (!knows) x = cj_softmax(x, -1); /* all classes alike */
    cj_output(m, "class", cj_identity(x));
    cj_output(m, "soft", cj_identity(x));
    OK(cj_model_failed(m));
    cj_tensor *kernel = cj_tensor_from(cj, CJ_F32, 4, (int64_t[]){CLASSES, CLASSES, 1, 1},
                                       identity[knows]);
    OK(cj_store_set(cj_model_store(m), "same/kernel", kernel));
    cj_tensor_free(kernel);
    OK(cj_fit(m, ds, .epochs = 2, .batch_size = batch, .optimizer = "sgd", .learning_rate = 1e-30,
              .normalize = "none", .metrics = "class: accuracy, soft: mse",
              .loss = loss));
    OK(cj_evaluate(m, ds, evaluated));
    return *cj_history_at(cj_model_history(m), 1);
}

static cj_scores train(const char *layers, bool by_pixel, int64_t batch, cj_scores *evaluated)
{
    return train_by(layers, by_pixel, batch, true,
                    "class: sparse_categorical_crossentropy, soft: categorical_crossentropy",
                    evaluated);
}

static void near(const char *layers, const char *what, double found, double expected,
                 double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%s: %s is %g, expected %g", layers, what, found, expected);
}

static void classes(void **state)
{
    (void)state;
    /* A mosaic's shares are whole pixels in the picture alone, up to 16 in a row. */
    static const struct {
        const char *layers;
        double tolerance;
    } cases[] = {{"mix_up alpha=1", 1e-6},
                 {"mix_up alpha=0.2", 1e-6},
                 {"cut_mix", 1e-6},
                 {"cut_mix alpha=0.3", 1e-6},
                 {"mosaic", 0.05},
                 {"mosaic factor=0.5, interpolation=nearest", 0.05},
                 {"random_flip; mix_up alpha=1; random_crop height=12, width=12; cut_mix alpha=0.5",
                  1e-6}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const char *layers = cases[k].layers;
        const double tolerance = cases[k].tolerance;
        cj_scores evaluated, scores = train(layers, false, 16, &evaluated);
        const double entropy = cj_score(&scores, "class_loss");
        if (!(entropy > 0.05)) fail_msg("%s: nothing was mixed: loss %g", layers, entropy);
        near(layers, "the crossentropy", entropy, cj_score(&scores, "soft_loss"), 1e-5);
        near(layers, "the squared error", cj_score(&scores, "soft_mse"), 0, tolerance * tolerance);
        /* The largest part is the largest class but where two others are of one class. */
        const double accuracy = cj_score(&scores, "accuracy");
        if (!strchr(layers, ';') && strncmp(layers, "mosaic", 6))
            near(layers, "accuracy", accuracy, 1, 0);
        else if (!(accuracy > 0.7)) fail_msg("%s: accuracy %g", layers, accuracy);
        near(layers, "the crossentropy of evaluation", cj_score(&evaluated, "class_loss"), 0, 1e-6);
        near(layers, "the accuracy of evaluation", cj_score(&evaluated, "accuracy"), 1, 0);
    }
}

/* Masks: of blended pictures they are mixed, pixel by pixel; else they move with the pixels. */
static void pixels(void **state)
{
    (void)state;
    cj_scores evaluated, scores = train("mix_up alpha=1; random_flip", true, 16, &evaluated);
    near("mix_up", "the crossentropy", cj_score(&scores, "class_loss"), 0.3, 0.1);
    near("mix_up", "accuracy", cj_score(&scores, "accuracy"), 1, 0);
    near("mix_up", "evaluation", cj_score(&evaluated, "class_loss"), 0, 1e-6);
    static const char *const moving[] = {"cut_mix", "mosaic interpolation=nearest"};
    for (int k = 0; k < 2; k++) {
        scores = train(moving[k], true, 16, &evaluated);
        near(moving[k], "the crossentropy", cj_score(&scores, "class_loss"), 0, 1e-6);
        near(moving[k], "accuracy", cj_score(&scores, "accuracy"), 1, 0);
    }
}

/* Parts that do not count weigh nothing: where all classes are equally likely, the mean of all
 * others is log 3. */
static void what_counts(void **state)
{
    (void)state;
    static const char *const layers[] = {"mix_up alpha=1", "cut_mix; mix_up alpha=1"};
    for (int k = 0; k < 4; k++) {
        cj_scores evaluated,
            scores = train_by(layers[k / 2], k % 2, 16, false,
                              "class: sparse_categorical_crossentropy(ignore_class=2), soft: mse",
                              &evaluated);
        near(layers[k / 2], "the crossentropy", cj_score(&scores, "class_loss"), log(3), 1e-6);
        near(layers[k / 2], "evaluation", cj_score(&evaluated, "class_loss"), log(3), 1e-6);
    }
}

/* One sample has nobody to be mixed with. */
static void alone(void **state)
{
    (void)state;
    static const char *const layers[] = {"mix_up", "cut_mix", "mosaic"};
    for (int k = 0; k < 3; k++) {
        cj_scores evaluated, scores = train(layers[k], false, 1, &evaluated);
        near(layers[k], "the crossentropy", cj_score(&scores, "class_loss"), 0, 1e-6);
    }
}

static int setup(void **state)
{
    (void)state;
    cj = cj_context_new(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(classes, setup, teardown),
        cmocka_unit_test_setup_teardown(pixels, setup, teardown),
        cmocka_unit_test_setup_teardown(what_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
