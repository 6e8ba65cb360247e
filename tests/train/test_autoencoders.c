/* test_autoencoders.c: the autoencoders of the zoo learn their input (restore_input): the loss
 * falls and the result is nearer to the picture than a mean picture is, also from a saved file,
 * which draws nothing and adds no noise. */
#include "train_support.h"

#include <cajal/zoo.h>

enum { N = 96, SIDE = 12, PIXELS = SIDE * SIDE };

static cj_context *cj;
static int setup(void **state)
{
    (void)state;
    return (cj = cj_context_new(NULL)) ? 0 : -1;
}
static int teardown(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

/* Bright rectangles on black, here and there. */
static void draw(unsigned char *v)
{
    uint32_t random = 7;
    memset(v, 0, N * PIXELS);
    for (int i = 0; i < N; i++) {
        int at[4];
        for (int k = 0; k < 4; k++) at[k] = (int)((random = random * 1664525u + 1013904223u) >> 29);
        for (int y = at[0] / 2; y < at[0] / 2 + 4 + at[2] / 2; y++)
            for (int x = at[1] / 2; x < at[1] / 2 + 4 + at[3] / 2; x++)
                v[i * PIXELS + y * SIDE + x] = 230;
    }
}

static double error_of(const float *y, const unsigned char *v)
{
    double sum = 0;
    for (int i = 0; i < N * PIXELS; i++) sum += pow((double)y[i] - v[i] / 255.0, 2);
    return sum / (N * PIXELS);
}

/* Of what knows the mean of each pixel. */
static double error_of_mean(const unsigned char *v)
{
    static float mean[N * PIXELS];
    for (int p = 0; p < PIXELS; p++) {
        double sum = 0;
        for (int i = 0; i < N; i++) sum += v[i * PIXELS + p] / 255.0 / N;
        for (int i = 0; i < N; i++) mean[i * PIXELS + p] = (float)sum;
    }
    return error_of(mean, v);
}

static void learns(void **state)
{
    (void)state;
    static const char *const networks[] = {
        "input 12 12 1, autoencoder latent=12 width=0.5",
        "input 12 12 1, denoising_autoencoder noise=0.2 width=0.5",
        "input 12 12 1, vae latent=8 beta=0.05 width=0.5"};
    static unsigned char v[N * PIXELS];
    static float y[2][N * PIXELS];
    draw(v);
    cj_tensor *x = cj_tensor_from(cj, CJ_U8, 4, (int64_t[]){N, SIDE, SIDE, 1}, v);
    cj_dataset *data = cj_dataset_from_tensors(cj, x, NULL);
    assert_non_null(data);
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
        cj_model *m = cj_model_from_text(cj, networks[i], NULL, 4);
        if (!m) fail_msg("%s: %s", networks[i], cj_message(cj));
        OK(cj_fit(m, data, .epochs = 12, .batch_size = 8, .learning_rate = 5e-3,
                  .restore_input = true));
        const cj_history *h = cj_model_history(m);
        const double first = cj_score(cj_history_at(h, 0), "loss"),
                     last = cj_score(cj_history_at(h, 11), "loss");
        if (!(last < 0.6 * first)) fail_msg("%s: the loss %g became %g", networks[i], first, last);
        OK(cj_save(m, "autoencoder.onnx"));
        cj_model *loaded = cj_load(cj, "autoencoder.onnx");
        if (!loaded) fail_msg("%s: %s", networks[i], cj_message(cj));
        cj_model *const models[2] = {m, loaded};
        for (int k = 0; k < 2; k++) {
            cj_session *s = cj_model_session(models[k]);
            if (!s || cj_predict(s, v, N, y[k], PIXELS)) fail_msg("%s", cj_session_message(s));
            cj_session_free(s);
        }
        for (int k = 0; k < N * PIXELS; k++) assert_true(fabsf(y[0][k] - y[1][k]) <= 1e-5f);
        const double error = error_of(y[0], v), mean = error_of_mean(v);
        if (!(error < mean / 2)) fail_msg("%s: error %g, of means %g", networks[i], error, mean);
        cj_model_free(loaded);
        cj_model_free(m);
    }
    cj_dataset_free(data);
    cj_tensor_free(x);
}

/* The heads of GoogLeNet learn with it, and are in no file. */
static void heads_learn(void **state)
{
    (void)state;
    static float pixels[12 * 32 * 32 * 3];
    int32_t label[12];
    for (int i = 0; i < 12 * 32 * 32 * 3; i++) pixels[i] = (float)(i * 2654435761u >> 24) / 255;
    for (int i = 0; i < 12; i++) label[i] = i % 3;
    cj_tensor *x = cj_tensor_from(cj, CJ_F32, 4, (int64_t[]){12, 32, 32, 3}, pixels),
              *y = cj_tensor_from(cj, CJ_I32, 1, (int64_t[]){12}, label);
    cj_dataset *data = cj_dataset_from_tensors(cj, x, y);
    cj_model *m = cj_model_from_text(cj, "googlenet aux", data, 1);
    if (!m) fail_msg("%s", cj_message(cj));
    cj_tensor *head = cj_store_get(cj_model_store(m), "aux2.fc2/bias");
    assert_non_null(head);
    assert_true(*(const float *)cj_tensor_map_read(head) == 0);
    OK(cj_fit(m, data, .batch_size = 6, .learning_rate = 1e-3));
    head = cj_store_get(cj_model_store(m), "aux2.fc2/bias");
    assert_true(*(const float *)cj_tensor_map_read(head) != 0);
    OK(cj_save(m, "googlenet.onnx"));
    cj_graph *g = cj_onnx_load_graph(cj, "googlenet.onnx");
    assert_non_null(g);
    assert_int_equal(cj_graph_output_count(g), 1);
    for (int i = 0; i < cj_graph_parameter_count(g); i++)
        assert_null(strstr(cj_node_name(cj_graph_parameter_at(g, i)), "aux"));
    cj_graph_free(g);
    cj_model_free(m);
    cj_dataset_free(data);
    cj_tensor_free(x);
    cj_tensor_free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(learns), cmocka_unit_test(heads_learn)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
