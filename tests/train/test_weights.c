/* test_weights.c: weights of samples, and losses that leave something out or weigh it: what
 * evaluate reports is the weighted mean over all samples whatever the batches are, and what weighs
 * nothing teaches nothing. */
#include "train_support.h"

#include <cajal/nn.h>

#include "data/dataset.h"

enum { N = 23, WIDTH = 3 };

typedef struct samples {
    float x[N][WIDTH], weight[N];
    int32_t label[N];
    float number[N][WIDTH];
} samples;

static samples all;

static void fill(void)
{
    uint32_t state = 99;
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < WIDTH; k++) {
            state = state * 1664525u + 1013904223u;
            all.x[i][k] = (float)(state >> 8) / 8388608.0f - 1;
            all.number[i][k] = (float)((state >> 5) % 1000) / 500 - 1;
        }
        all.label[i] = (int32_t)((state >> 9) % WIDTH);
        all.weight[i] = i % 4 == 0 ? 0 : (float)(i % 4) / 2;
    }
}

/* What a data set reads: which target, weights or none, only samples that weigh something, every
 * fifth label 255 instead. */
typedef struct view {
    bool numbers, weighted, heavy_only, spoiled;
} view;

static cj_status read_samples(cj_context *cj, void *user, const int64_t *indices, int64_t n,
                              int field, void *out)
{
    const view *v = user;
    (void)cj;
    for (int64_t i = 0; i < n; i++) {
        int64_t at = indices[i];
        if (v->heavy_only) at += 1 + at / 3; /* every fourth weighs nothing */
        if (field == 0) memcpy((float *)out + i * WIDTH, all.x[at], sizeof all.x[at]);
        else if (field == 2) ((float *)out)[i] = all.weight[at];
        else if (v->numbers) memcpy((float *)out + i * WIDTH, all.number[at], sizeof all.x[at]);
        else ((int32_t *)out)[i] = v->spoiled && at % 5 == 0 ? 255 : all.label[at];
    }
    return CJ_OK;
}

static cj_dataset *data_of(cj_context *cj, view *v)
{
    const cj_field fields[] = {
        {.name = "x", .dtype = CJ_F32, .rank = 1, .shape = {WIDTH}, .role = CJ_FIELD_INPUT},
        {.name = v->numbers ? "target" : "label",
         .dtype = v->numbers ? CJ_F32 : CJ_I32,
         .rank = v->numbers,
         .shape = {WIDTH},
         .role = CJ_FIELD_TARGET,
         .classes = v->numbers ? 0 : v->spoiled ? 256 : WIDTH},
        {.name = "weight", .dtype = CJ_F32, .role = CJ_FIELD_WEIGHT}};
    int64_t count = v->heavy_only ? N - (N + 3) / 4 : N;
    cj_dataset *ds = cj_dataset_new(cj, &(cj_dataset_source){.name = "weighted",
                                                             .count = count,
                                                             .field_count = 2 + v->weighted,
                                                             .fields = fields,
                                                             .read = read_samples,
                                                             .user = v});
    if (!ds) fail_msg("%s", cj_message(cj));
    return ds;
}

typedef struct question {
    const char *loss, *layers;
    bool numbers;
} question;
static const question questions[] = {
    {"mse", "dense 3", true},
    {"huber(delta=0.2)", "dense 3", true},
    {"cosine_similarity", "dense 3", true},
    {"hinge", "dense 3", true},
    {"sparse_categorical_crossentropy", "dense 3 softmax", false},
    {"sparse_categorical_crossentropy(ignore_class=1)", "dense 3 softmax", false},
    {"sparse_categorical_crossentropy(ignore_class=[0, 2], class_weights=[1, 3, 0.5])",
     "dense 3 softmax", false},
    {"categorical_focal_crossentropy", "dense 3 softmax", false},
    {"multi_margin", "dense 3", false},
    {"dice(per_class=true)", "dense 3 softmax", false}};
enum { QUESTIONS = sizeof questions / sizeof *questions };

/* The same number by the graph alone, in one piece. */
static double in_one_piece(cj_context *cj, cj_model *m, const question *q)
{
    cj_graph *g = cj_model_graph(m);
    cj_tensor *x = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){N, WIDTH}, all.x), *out = NULL,
              *w = cj_tensor_from(cj, CJ_F32, 1, (int64_t[]){N}, all.weight),
              *t = q->numbers ? cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){N, WIDTH}, all.number)
                              : cj_tensor_from(cj, CJ_I32, 1, (int64_t[]){N}, all.label);
    cj_node *loss = cj_loss_reduced(cj_graph_output_at(g, 0), cj_constant(g, t), q->loss,
                                    .sample_weight = cj_constant(g, w));
    if (!loss) fail_msg("%s: %s", q->loss, cj_message(cj));
    cj_program *p = cj_compile(g, .outputs = {loss});
    cj_session *s = cj_session_new(p, cj_model_store(m));
    if (!s || cj_run(s, (cj_feed[]){{cj_graph_input_at(g, 0), x}}, 1, &out, 1))
        fail_msg("%s: %s", q->loss, s ? cj_session_message(s) : cj_message(cj));
    double value = cj_load_f64(CJ_F32, cj_tensor_map_read(out), 0);
    cj_tensor_unmap(out);
    cj_tensor_free(out), cj_tensor_free(x), cj_tensor_free(t), cj_tensor_free(w);
    cj_session_free(s);
    cj_program_free(p);
    return value;
}

static void batches_make_no_difference(void **state)
{
    (void)state;
    for (int k = 0; k < QUESTIONS; k++) {
        const question *q = &questions[k];
        cj_context *cj = cj_context_new(NULL);
        view v = {.numbers = q->numbers, .weighted = true};
        cj_dataset *data = data_of(cj, &v);
        char layers[64];
        snprintf(layers, sizeof layers, "input 3, %s", q->layers);
        cj_model *m = cj_model_from_text(cj, layers, NULL, 1);
        if (!m) fail_msg("%s", cj_message(cj));
        double found[4];
        static const int64_t sizes[] = {1, 2, 7, N};
        for (int i = 0; i < 4; i++) {
            cj_scores scores;
            OK(cj_evaluate(m, data, &scores, .batch_size = sizes[i], .loss = q->loss,
                           .metrics = "none"));
            found[i] = cj_score(&scores, "loss");
        }
        double expected = in_one_piece(cj, m, q);
        for (int i = 0; i < 4; i++)
            if (!(fabs(found[i] - expected) <= 1e-6 * fmax(1, fabs(expected))))
                fail_msg("%s in batches of %d: %.9g, expected %.9g", q->loss, (int)sizes[i],
                         found[i], expected);
        cj_dataset_free(data);
        cj_context_free(cj);
    }
}

/* The same weights, but for the order in which gradients were added in float. */
static void close_stores(cj_store *a, cj_store *b, const char *what)
{
    for (int i = 0; i < cj_store_count(a); i++) {
        const char *name = cj_store_name_at(a, i);
        cj_tensor *x = cj_store_tensor_at(a, i), *y = cj_store_get(b, name);
        if (cj_tensor_dtype(x) != CJ_F32) continue;
        for (int64_t e = 0; e < cj_tensor_count(x); e++) {
            double xe = cj_load_f64(CJ_F32, cj_tensor_map_read(x), (size_t)e),
                   ye = cj_load_f64(CJ_F32, cj_tensor_map_read(y), (size_t)e);
            if (!(fabs(xe - ye) <= 1e-5)) fail_msg("%s: %s: %g, %g", what, name, xe, ye);
        }
    }
}

/* A weight of 0 is as good as no sample. Weights enter the gradient in float. */
static void no_weight_teaches_nothing(void **state)
{
    (void)state;
    for (int k = 0; k < QUESTIONS; k++) {
        const question *q = &questions[k];
        cj_context *cj = cj_context_new(NULL);
        cj_model *models[2];
        for (int i = 0; i < 2; i++) {
            view v = {.numbers = q->numbers, .weighted = true, .heavy_only = i};
            cj_dataset *data = data_of(cj, &v);
            models[i] = cj_model_from_text(cj, q->layers, data, 1);
            OK(cj_fit(models[i], data, .epochs = 3, .batch_size = N, .loss = q->loss,
                      .metrics = "none", .optimizer = "sgd", .learning_rate = 0.1,
                      .normalize = "none"));
            cj_dataset_free(data);
        }
        close_stores(cj_model_store(models[0]), cj_model_store(models[1]), q->loss);
        cj_context_free(cj);
    }
}

/* Labels that do not count may lie beyond the outputs; samples with them are as good as none. */
static void labels_beyond_the_outputs(void **state)
{
    (void)state;
    static const char loss[] = "cross_entropy(ignore_class=255)";
    cj_context *cj = cj_context_new(NULL);
    view v = {.spoiled = true}, plain = {0};
    cj_dataset *data = data_of(cj, &v), *whole = data_of(cj, &plain), *parts[2];
    int64_t counted[N], n = 0;
    for (int64_t i = 0; i < N; i++)
        if (i % 5) counted[n++] = i;
    parts[0] = data;
    parts[1] = cj_dataset_select(whole, counted, n);
    double found[2];
    cj_model *m = cj_model_from_text(cj, "input 3, dense 3", NULL, 1);
    for (int i = 0; i < 2; i++) {
        cj_scores scores;
        OK(cj_evaluate(m, parts[i], &scores, .batch_size = 4, .loss = loss, .metrics = "none"));
        found[i] = cj_score(&scores, "loss");
    }
    if (!(fabs(found[0] - found[1]) <= 1e-6)) fail_msg("%.9g, expected %.9g", found[0], found[1]);
    OK(cj_fit(m, data, .loss = loss, .metrics = "none"));
    /* Without the option a newcomer is told what is wrong. */
    assert_int_equal(cj_fit(m, data, .loss = "cross_entropy", .metrics = "none"), CJ_ERR_SHAPE);
    assert_non_null(strstr(cj_message(cj), "256 classes"));
    cj_dataset_free(parts[1]);
    cj_dataset_free(whole);
    cj_dataset_free(data);
    cj_context_free(cj);
}

/* ---- Tables ---------------------------------------------------------------------------------- */

/* N rows "colour,size,w,y" with weights 0 to 3, or without w and each row so many times. */
static cj_dataset *rows(cj_context *cj, bool repeated, bool numbers, const cj_dataset_opts *opts)
{
    static const char *const colours[] = {"red", "green", "blue"};
    char text[8192], *p = text;
    p += sprintf(p, repeated ? "colour,size,y\n" : "colour,size,w,y\n");
    for (int i = 0; i < N; i++) {
        const int weight = (i * 7 + 1) % 4;
        for (int k = 0; k < (repeated ? weight : 1); k++) {
            p += sprintf(p, "%s,%.7g,", colours[i % 3], all.x[i][0]);
            if (!repeated) p += sprintf(p, "%d,", weight);
            p += numbers ? sprintf(p, "%.7g\n", all.number[i][1])
                         : sprintf(p, "kind %d\n", all.label[i]);
        }
    }
    cj_dataset *ds = cj__table_parse(cj, "rows.csv", text, strlen(text), opts);
    if (!ds) fail_msg("%s", cj_message(cj));
    return ds;
}

/* A row of weight 2 is that row twice: to evaluate in any batches, and to fit in one. (Means and
 * deviations of columns do not look at weights, so they are left out here.) */
static void weights_of_a_table_are_repeated_rows(void **state)
{
    (void)state;
    for (int numbers = 0; numbers < 2; numbers++) {
        cj_context *cj = cj_context_new(NULL);
        cj_dataset *data[] = {
            rows(cj, false, numbers, &(cj_dataset_opts){.weight = "w"}),
            rows(cj, true, numbers, &(cj_dataset_opts){.struct_size = 0})};
        cj_model *models[2];
        cj_model_info info;
        for (int i = 0; i < 2; i++) {
            models[i] = cj_model_from_text(cj, numbers ? "dense 4 tanh, dense 1"
                                                       : "dense 4 tanh, dense 3 softmax",
                                           data[i], 1);
            if (!models[i]) fail_msg("%s", cj_message(cj));
            OK(cj_fit(models[i], data[i], .epochs = 10, .batch_size = 4 * N, .optimizer = "sgd",
                      .learning_rate = 0.1, .normalize = "none"));
        }
        close_stores(cj_model_store(models[0]), cj_model_store(models[1]), "rows");
        for (int i = 0; i < 2; i++) {
            cj_scores a, b;
            const char *metrics = numbers ? "mae, r2_score" : "accuracy, f1_score";
            OK(cj_evaluate(models[i], data[0], &a, .batch_size = 5, .metrics = metrics));
            OK(cj_evaluate(models[i], data[1], &b, .batch_size = 7, .metrics = metrics));
            assert_true(a.n == 3 && b.n == 3);
            for (int k = 0; k < 3; k++)
                if (!(fabs(a.value[k] - b.value[k]) <= 1e-6))
                    fail_msg("%s: %.9g by weights, %.9g by rows", a.name[k], a.value[k],
                             b.value[k]);
        }
        /* The model has not seen the weights: it needs none and knows no such column. */
        cj_model_get_info(models[0], &info);
        assert_int_equal(info.columns, 2);
        assert_string_equal(info.column_info[1].name, "size");
        cj_tensor *out;
        cj_dataset *bare = rows(cj, true, numbers,
                                &(cj_dataset_opts){.columns = info.columns,
                                                   .column_info = info.column_info,
                                                   .no_target = true});
        OK(cj_predict_dataset(models[0], bare, &out));
        assert_int_equal(cj_tensor_shape(out)[0], cj_dataset_count(data[1]));
        cj_tensor_free(out);
        cj_context_free(cj);
    }
}

int main(void)
{
    fill();
    const struct CMUnitTest tests[] = {cmocka_unit_test(batches_make_no_difference),
                                       cmocka_unit_test(no_weight_teaches_nothing),
                                       cmocka_unit_test(labels_beyond_the_outputs),
                                       cmocka_unit_test(weights_of_a_table_are_repeated_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
