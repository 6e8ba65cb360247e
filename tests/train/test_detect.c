/* test_detect.c: a detector learns where squares of two colours are, is judged, saved, loaded, and
 * tells what it sees; and what is refused on the way. */
#define _POSIX_C_SOURCE 200809L
#include <cajal/detect.h>
#include <cajal/zoo.h>

#include "faults.h"
#include "train_support.h"

static cj_context *cj;

enum { HEIGHT = 32, WIDTH = 48, SAMPLES = 32, MOST = 3, PIXELS = HEIGHT * WIDTH * 3 };

/* Squares of sample i: class, x, y and side in pixels, by a small generator; the second may be
 * missing. */
static int squares(int64_t i, int out[2][4])
{
    uint32_t state = (uint32_t)i * 2654435761u + 1;
    const int n = i % 4 ? 2 : 1;
    for (int k = 0; k < n; k++)
        for (int part = 0; part < 4; part++) {
            state = state * 1664525u + 1013904223u;
            const int r = (int)(state >> 16 & 0x7fff);
            out[k][part] = part == 0   ? r % 2
                           : part == 1 ? (k ? 26 : 2) + r % 8
                           : part == 2 ? 2 + r % 12
                                       : 10 + r % 5;
        }
    return n;
}

static void paint(int64_t i, uint8_t *to)
{
    int s[MOST][4];
    const int n = squares(i, s);
    memset(to, 40, PIXELS);
    for (int k = 0; k < n; k++)
        for (int y = s[k][2]; y < s[k][2] + s[k][3]; y++)
            for (int x = s[k][1]; x < s[k][1] + s[k][3]; x++)
                to[(y * WIDTH + x) * 3 + s[k][0]] = 220;
}

static cj_status read_field(cj_context *c, void *user, const int64_t *indices, int64_t n, int field,
                            void *out)
{
    (void)c, (void)user;
    for (int64_t i = 0; i < n; i++) {
        if (field == 0) {
            paint(indices[i], (uint8_t *)out + i * PIXELS);
            continue;
        }
        float *box = (float *)out + i * MOST * 5;
        int s[MOST][4] = {{0}};
        const int there = squares(indices[i], s);
        for (int k = 0; k < MOST; k++, box += 5) {
            box[0] = k < there ? (float)s[k][0] : -1;
            for (int c4 = 0; c4 < 4; c4++)
                box[1 + c4] = k >= there ? 0
                                         : (float)(s[k][1 + c4 % 2] + (c4 < 2 ? 0 : s[k][3])) /
                                               (c4 % 2 ? HEIGHT : WIDTH);
        }
    }
    return CJ_OK;
}

static cj_dataset *data(int classes)
{
    static const char *const names[] = {"red", "green", "blue"};
    const cj_field fields[] = {{.name = "image",
                                .dtype = CJ_U8,
                                .rank = 3,
                                .shape = {HEIGHT, WIDTH, 3},
                                .role = CJ_FIELD_INPUT},
                               {.name = "boxes",
                                .dtype = CJ_F32,
                                .rank = 2,
                                .shape = {MOST, 5},
                                .role = CJ_FIELD_TARGET,
                                .kind = CJ_FIELD_BOXES,
                                .classes = classes,
                                .class_names = names}};
    return cj_dataset_new(cj, &(cj_dataset_source){.name = "squares",
                                                   .count = SAMPLES,
                                                   .field_count = 2,
                                                   .fields = fields,
                                                   .read = read_field});
}

/* What is found of the squares, by class and by where it is. */
static void sees(cj_model *m)
{
    static uint8_t pictures[4 * PIXELS];
    cj_detection found[4 * 10];
    int64_t counts[4];
    cj_session *s = cj_model_session(m);
    assert_non_null(s);
    for (int i = 0; i < 4; i++) paint(i, pictures + i * PIXELS);
    if (cj_detect(m, s, pictures, 4, found, counts, .score = 0.5, .most = 10))
        fail_msg("%s", cj_session_message(s));
    for (int i = 0; i < 4; i++) {
        int sq[2][4];
        const int n = squares(i, sq);
        assert_int_equal(counts[i], n);
        for (int k = 0; k < n; k++) {
            int hits = 0;
            for (int j = 0; j < n; j++) {
                const cj_detection *d = &found[i * 10 + j];
                double off = 0;
                for (int c = 0; c < 4; c++) {
                    const double truth = sq[k][1 + c % 2] + (c < 2 ? 0 : sq[k][3]);
                    off = fmax(off, fabs(d->box[c] * (c % 2 ? HEIGHT : WIDTH) - truth));
                }
                hits += d->label == sq[k][0] && off < 3;
                if (j) assert_true(d[-1].score >= d->score);
            }
            assert_int_equal(hits, 1);
        }
    }
    cj_session_free(s);
}

/* The command, of a picture twice as large: class, score, and corners in its pixels. */
static void command_sees(const char *model)
{
    static uint8_t pixels[PIXELS];
    const char *command = getenv("CAJAL_COMMAND");
    char path[300], line[1200], all[4000] = "";
    int s[MOST][4], lines = 0, found = 0;
    if (!command || !*command) return;
    const int n = squares(1, s);
    paint(1, pixels);
    cj_tensor *small = cj_tensor_from(cj, CJ_U8, 3, (int64_t[]){HEIGHT, WIDTH, 3}, pixels), *large;
    OK(cj_picture_resize(small, 2 * HEIGHT, 2 * WIDTH, CJ_PICTURE_NEAREST, &large));
    snprintf(path, sizeof path, "%s/test_detect_%ld.ppm", CJ_BUILD_DIR, (long)getpid());
    OK(cj_picture_save(cj, path, large));
    snprintf(line, sizeof line, "'%s' predict '%s' '%s' score=0.5", command, model, path);
    FILE *from = popen(line, "r");
    assert_non_null(from);
    while (fgets(line, sizeof line, from)) {
        double score, box[4];
        char label[32];
        strncat(all, line, sizeof all - strlen(all) - 1);
        assert_memory_equal(line, path, strlen(path));
        assert_int_equal(sscanf(line + strlen(path), "%31s %lf %lf %lf %lf %lf", label, &score,
                                &box[0], &box[1], &box[2], &box[3]),
                         6);
        for (int k = 0; k < n; k++)
            found += !strcmp(label, s[k][0] ? "green" : "red") && fabs(box[0] - 2 * s[k][1]) < 6 &&
                     fabs(box[3] - 2 * (s[k][2] + s[k][3])) < 6;
        lines++;
    }
    assert_int_equal(pclose(from), 0);
    if (lines != n || found != n) fail_msg("%d squares, found:\n%s", n, all);
    snprintf(line, sizeof line, "'%s' predict '%s' '%s' score=0.5 --json", command, model, path);
    from = popen(line, "r");
    assert_non_null(from);
    assert_non_null(fgets(all, sizeof all, from));
    assert_int_equal(pclose(from), 0);
    assert_non_null(strstr(all, "\"detections\": [{\"label\": \""));
    assert_non_null(strstr(all, "\"box\": ["));
    remove(path);
    cj_tensor_free(small), cj_tensor_free(large);
}

/* Loss and metrics are those of boxes without being asked for; the file says what the output is. */
static void squares_are_found(void **state)
{
    (void)state;
    cj_dataset *ds = data(2);
    cj_model *m = cj_model_from_text(cj, "detector(width=0.5)", ds, 3);
    assert_non_null(m);
    assert_string_equal(cj_graph_output_name(cj_model_graph(m), 0), "boxes");
    OK(cj_fit(m, ds, .epochs = 60, .batch_size = 8, .learning_rate = 4e-3, .schedule = "cosine"));
    cj_scores scores;
    OK(cj_evaluate(m, ds, &scores));
    if (!(cj_score(&scores, "map50") > 0.99) ||
        !(cj_score(&scores, "mean_average_precision") > 0.7))
        fail_msg("map50 %g, map %g", cj_score(&scores, "map50"),
                 cj_score(&scores, "mean_average_precision"));
    sees(m);
    char path[300];
    snprintf(path, sizeof path, "%s/test_detect_%ld.onnx", CJ_BUILD_DIR, (long)getpid());
    OK(cj_save(m, path));
    cj_model *again = cj_load(cj, path);
    if (!again) fail_msg("%s", cj_message(cj));
    cj_model_info info;
    cj_model_get_info(again, &info);
    assert_int_equal(info.target_kind, CJ_FIELD_BOXES);
    assert_string_equal(info.class_names[1], "green");
    sees(again);
    command_sees(path);
    remove(path);
    cj_dataset_free(ds);
}

static void says(cj_status failed, const char *message)
{
    assert_true(failed != CJ_OK);
    assert_string_equal(cj_message(cj), message);
}

static void refused(void **state)
{
    (void)state;
    cj_dataset *three = data(3);
    cj_model *m = cj_model_from_text(cj, "detector(width=0.1, classes=2)", three, 0);
    says(cj_fit(m, three),
         "the model's output 'boxes' has 6 values a cell, but 'boxes' of squares are boxes of 3 "
         "classes: 4 + 3 values are expected, as the network detector has them");
    cj_model_free(m);
    m = cj_model_from_text(cj, "flatten, dense 7", three, 0);
    says(cj_fit(m, three),
         "loss detection of output 'boxes' and target 'boxes': detection: the prediction is f32 of "
         "rank 2 with 7 along its last axis, expected floats [batch, rows, columns, 4 + classes]");
    cj_detection d[1];
    int64_t n;
    float output[7];
    says(
        cj_detections(m, output, d, &n, .score = 0.5),
        "detect: the model was not trained on boxes, or its output is not [batch, rows, columns, 4 "
        "+ classes]");
    cj_model_free(m);
    m = cj_model_from_text(cj, "detector(width=0.1)", three, 0);
    OK(cj_prepare(m, three, NULL));
    says(cj_detections(m, output, d, &n, .score = 2),
         "detect: score=2, iou=0.5, most=100; expected a score up to 1, an iou of 0 to 1, most not "
         "below 0");
    says(cj_evaluate(m, three, NULL, .confusion = (int64_t[9]){0}),
         "the target 'boxes' of squares are boxes: they are matched, not confused");
    cj_model_free(m);
    cj_dataset_free(three);
}

/* A grid of one cell, which says what it is given; every allocation fails in turn. */
static cj_status one_cell(cj_context *own, void *arg)
{
    (void)arg;
    const cj_field fields[] = {
        {.name = "cell", .dtype = CJ_F32, .rank = 3, .shape = {1, 1, 6}, .role = CJ_FIELD_INPUT},
        {.name = "boxes",
         .dtype = CJ_F32,
         .rank = 2,
         .shape = {1, 5},
         .role = CJ_FIELD_TARGET,
         .kind = CJ_FIELD_BOXES,
         .classes = 2}};
    cj_dataset *ds = cj_dataset_new(own, &(cj_dataset_source){.name = "cells",
                                                              .count = 1,
                                                              .field_count = 2,
                                                              .fields = fields,
                                                              .read = read_field});
    cj_model *m = ds ? cj_model_new(own) : NULL;
    if (m) cj_output(m, "boxes", cj_identity(cj_input(m, "cell", 1, 1, 6)));
    cj_status failed = m ? cj_prepare(m, ds, "none") : cj_last_status(own);
    cj_session *s = failed ? NULL : cj_model_session(m);
    const float cells[] = {0.1f, -0.2f, 0.6f, 1.5f, 0.75f, 0.5f, 0, 0, 1, 1, 0.1f, 0.125f};
    cj_detection d[6];
    int64_t counts[2] = {0};
    if (!failed)
        failed = s ? cj_detect(m, s, cells, 2, d, counts, .score = 0.125, .most = 3)
                   : cj_last_status(own);
    if (failed && s) failed = cj_fail(own, failed, "%s", cj_session_message(s));
    if (!failed) {
        assert_true(counts[0] == 2 && counts[1] == 1);
        assert_true(d[0].label == 0 && d[0].score == 0.75 && d[1].label == 1 && d[3].label == 1);
        assert_true(d[0].box[1] == 0 && d[0].box[3] == 1 && d[0].box[2] == (double)0.6f);
    }
    cj_session_free(s);
    cj_model_free(m);
    cj_dataset_free(ds);
    return failed;
}

static void without_memory(void **state)
{
    (void)state;
    assert_true(faults_sweep_memory(one_cell, NULL, NULL, 0) > 20);
}

static int setup(void **state)
{
    (void)state;
    cj = cj_context_new(NULL);
    return cj ? 0 : -1;
}
static int teardown(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(squares_are_found),
                                       cmocka_unit_test(refused),
                                       cmocka_unit_test(without_memory)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
