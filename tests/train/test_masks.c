/* test_masks.c: models whose output has a mask: fit and evaluate are of the steps that count, in
 * batches of any size, with weights of samples or without, and after saving and loading; what the
 * labels of the other steps are teaches nothing. */
#include "train_support.h"

#include <cajal/layers.h>
#include <cajal/nn.h>

enum { N = 26, STEPS = 5, WIDTH = 2, CLASSES = 3 };

typedef struct sequences {
    float x[N][STEPS][WIDTH], weight[N];
    bool counts[N][STEPS];
    int32_t label[N][STEPS];
} sequences;

static sequences all;

static void fill(void)
{
    uint32_t state = 7;
    for (int i = 0; i < N; i++) {
        all.weight[i] = (float)(i % 4) / 2;
        for (int t = 0; t < STEPS; t++) {
            state = state * 1664525u + 1013904223u;
            all.counts[i][t] = i % 3 == 0 ? t < i % 7 : (state >> 20) % 3 > 0; /* padded; holes */
            all.label[i][t] = (int32_t)((state >> 9) % CLASSES);
            for (int k = 0; k < WIDTH; k++) {
                state = state * 1664525u + 1013904223u;
                all.x[i][t][k] = all.counts[i][t] ? (float)(state >> 8) / 8388608.0f - 1 : 0;
            }
        }
    }
}

/* Whether samples have weights; what the labels of steps that do not count are. */
typedef struct view {
    bool weighted, spoiled;
} view;

static cj_status read_sequences(cj_context *cj, void *user, const int64_t *indices, int64_t n,
                                int field, void *out)
{
    const view *v = user;
    (void)cj;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = indices[i];
        if (field == 0) memcpy((float *)out + i * STEPS * WIDTH, all.x[at], sizeof all.x[at]);
        if (field == 2) ((float *)out)[i] = all.weight[at];
        for (int t = 0; t < STEPS && field == 1; t++)
            ((int32_t *)out)[i * STEPS + t] =
                v->spoiled && !all.counts[at][t] ? (all.label[at][t] + 1) % CLASSES
                                                 : all.label[at][t];
    }
    return CJ_OK;
}

static cj_dataset *data_of(cj_context *cj, view *v)
{
    const cj_field fields[] = {
        {.name = "x", .dtype = CJ_F32, .rank = 2, .shape = {STEPS, WIDTH}, .role = CJ_FIELD_INPUT},
        {.name = "label", .dtype = CJ_I32, .rank = 1, .shape = {STEPS}, .role = CJ_FIELD_TARGET},
        {.name = "weight", .dtype = CJ_F32, .role = CJ_FIELD_WEIGHT}};
    cj_dataset *ds = cj_dataset_new(cj, &(cj_dataset_source){.name = "sequences",
                                                             .count = N,
                                                             .field_count = 2 + v->weighted,
                                                             .fields = fields,
                                                             .read = read_sequences,
                                                             .user = v});
    if (!ds) fail_msg("%s", cj_message(cj));
    return ds;
}

static const char layers[] = "input 5 2, masking, gru 4 return_sequences, dense 3 softmax";

/* The mean of -log p[label] and the share of right ones, over steps that count. */
static void by_hand(cj_context *cj, cj_model *m, bool weighted, double out[2])
{
    cj_graph *g = cj_model_graph(m);
    cj_tensor *x = cj_tensor_from(cj, CJ_F32, 3, (int64_t[]){N, STEPS, WIDTH}, all.x), *y = NULL;
    cj_program *p = cj_compile(g, .outputs = {cj_graph_output_at(g, 0)});
    cj_session *s = cj_session_new(p, cj_model_store(m));
    if (!s || cj_run(s, (cj_feed[]){{cj_graph_input_at(g, 0), x}}, 1, &y, 1))
        fail_msg("%s", s ? cj_session_message(s) : cj_message(cj));
    const float *v = cj_tensor_map_read(y);
    double sum = 0, right = 0, count = 0;
    for (int i = 0; i < N; i++)
        for (int t = 0; t < STEPS; t++, v += CLASSES) {
            double w = all.counts[i][t] * (weighted ? (double)all.weight[i] : 1);
            int best = 0, label = all.label[i][t];
            for (int k = 1; k < CLASSES; k++)
                if (v[k] > v[best]) best = k;
            sum -= w * log(v[label]);
            right += w * (best == label);
            count += w;
        }
    out[0] = sum / count;
    out[1] = right / count;
    cj_tensor_unmap(y);
    cj_tensor_free(x), cj_tensor_free(y);
    cj_session_free(s);
    cj_program_free(p);
}

static void expect(const char *what, double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-6))
        fail_msg("%s: %.9g, expected %.9g", what, found, expected);
}

static void check_evaluation(cj_context *cj, cj_model *m, const cj_dataset *data,
                             const double expected[2])
{
    static const int64_t sizes[] = {1, 7, N};
    for (int i = 0; i < 3; i++) {
        cj_scores scores;
        OK(cj_evaluate(m, data, &scores, .batch_size = sizes[i],
                       .loss = "sparse_categorical_crossentropy",
                       .metrics = "accuracy, categorical_focal_crossentropy(gamma=0, alpha=1)"));
        expect("loss", cj_score(&scores, "loss"), expected[0]);
        expect("accuracy", cj_score(&scores, "accuracy"), expected[1]);
        expect("a loss as a metric", cj_score(&scores, "categorical_focal_crossentropy"),
               expected[0]);
    }
}

static void evaluation(void **state)
{
    (void)state;
    for (int weighted = 0; weighted < 2; weighted++) {
        cj_context *cj = cj_context_new(NULL);
        view v = {.weighted = weighted};
        cj_dataset *data = data_of(cj, &v);
        cj_model *m = cj_model_from_text(cj, layers, NULL, 5);
        if (!m) fail_msg("%s", cj_message(cj));
        double expected[2];
        by_hand(cj, m, weighted, expected);
        check_evaluation(cj, m, data, expected);
        char path[512];
        snprintf(path, sizeof path, "%s/test_masks.onnx", CJ_BUILD_DIR);
        for (int times = 0; times < 2; times++) { /* saved, and loaded and saved again */
            OK(cj_save(m, path));
            m = cj_load(cj, path);
            if (!m) fail_msg("%s", cj_message(cj));
            check_evaluation(cj, m, data, expected);
        }
        remove(path);
        OK(cj_fit(m, data, .epochs = 3, .learning_rate = 0.05, /* loaded, it learns on */
                  .loss = "sparse_categorical_crossentropy", .metrics = "none"));
        double after[2];
        by_hand(cj, m, weighted, after);
        if (!(after[0] < expected[0])) fail_msg("loss %g, then %g", expected[0], after[0]);
        cj_dataset_free(data);
        cj_context_free(cj);
    }
}

static void what_does_not_count_teaches_nothing(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_model *models[3];
    for (int i = 0; i < 3; i++) {
        view v = {.spoiled = i == 1};
        cj_dataset *data = data_of(cj, &v);
        models[i] = cj_model_from_text(cj, layers, NULL, 5);
        if (i < 2)
            OK(cj_fit(models[i], data, .epochs = 4, .batch_size = 4, .learning_rate = 0.05,
                      .loss = "sparse_categorical_crossentropy", .metrics = "accuracy"));
        cj_dataset_free(data);
    }
    same_stores(cj_model_store(models[0]), cj_model_store(models[1]));
    double before[2], after[2];
    by_hand(cj, models[2], false, before);
    by_hand(cj, models[0], false, after);
    if (!(after[0] < before[0])) fail_msg("loss %g, then %g", before[0], after[0]);
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluation),
        cmocka_unit_test(what_does_not_count_teaches_nothing),
    };
    fill();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
