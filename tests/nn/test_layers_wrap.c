/* test_layers_wrap.c: layers in layers: said in text and back, from recipes, their names, how deep
 * they go, and random numbers of steps; spatial dropout; conv_lstm with masks. */
#include "nn_random.h"

#include <cajal/layers.h>

static cj_context *cj;

static void text_and_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "input 8, residual [dense 8 relu, dense 8] relu",
        "input 4 6, time_distributed [dense 3, activation(tanh)], flatten, dense 2",
        "input 8, residual [residual [dense 8, dropout 0.5], dense 4] shortcut=[dense 4], dense 1",
        "input 8, dense 8, residual(dense(8), name=block), dense 2",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cj_model *m = cj_model_from_text(cj, texts[i], NULL, 0);
        if (!m) fail_msg("%s: %s", texts[i], cj_message(cj));
        char *said = strdup(cj_model_text(m));
        cj_model *again = cj_model_from_text(cj, said, NULL, 0);
        if (!again) fail_msg("%s: %s", said, cj_message(cj));
        assert_string_equal(cj_model_text(again), said);
        cj_graph *g = cj_model_graph(m), *h = cj_model_graph(again);
        assert_int_equal(cj_graph_parameter_count(g), cj_graph_parameter_count(h));
        for (int k = 0; k < cj_graph_parameter_count(g); k++)
            assert_string_equal(cj_node_name(cj_graph_parameter_at(g, k)),
                                cj_node_name(cj_graph_parameter_at(h, k)));
        free(said);
        cj_model_free(m);
        cj_model_free(again);
    }
}

static void counted_once(void **state)
{
    (void)state;
    cj_model *m = cj_model_from_text(cj, "input 4, dense 4, residual [dense 4, dense 4], dense 1",
                                     NULL, 0);
    cj_layer_info info;
    int n = 0;
    while (cj_model_layer_at(m, n, &info)) {
        if (n == 1) assert_string_equal(info.name, "residual");
        if (n == 1) assert_int_equal(info.parameters, 40);
        n++;
    }
    assert_int_equal(n, 3);
    assert_non_null(cj_find_variable(cj_model_graph(m), "dense_2/kernel"));
    assert_non_null(cj_find_variable(cj_model_graph(m), "dense_3/kernel"));
    cj_model_free(m);
}

static void too_deep(void **state)
{
    (void)state;
    char text[600] = "input 4, ";
    for (int i = 0; i < 17; i++) strcat(text, "residual [");
    strcat(text, "dense 4");
    for (int i = 0; i < 17; i++) strcat(text, "]");
    assert_null(cj_model_from_text(cj, text, NULL, 0));
    assert_non_null(strstr(cj_message(cj), "layers in layers are more than 16 deep"));
}

static cj_tensor *ones(int rank, const int64_t *shape)
{
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, rank, shape);
    float *v = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) v[i] = 1;
    cj_tensor_unmap(t);
    return t;
}

/* Steps draw numbers of their own, the same ones however the samples are cut into batches. */
static void random_steps(void **state)
{
    (void)state;
    const char *text = "input 5 16, time_distributed [dropout 0.5], reshape 80";
    cj_tensor *x = ones(3, (int64_t[]){12, 5, 16});
    for (int b = 0; b < 2; b++) {
        int64_t n, m;
        float *all = run_in_cuts(cj, text, x, 12, 3, true, backends[b], &n);
        float *parts = run_in_cuts(cj, text, x, 5, 3, true, backends[b], &m);
        assert_int_equal(n, 12 * 5 * 16);
        assert_int_equal(m, n);
        assert_memory_equal(all, parts, (size_t)n * sizeof *all);
        for (int64_t i = 16; i < n; i += 16) /* 2^-16 that two steps are equal */
            assert_memory_not_equal(all + i, all + i - 16, 16 * sizeof *all);
        free(all), free(parts);
    }
    cj_tensor_free(x);
}

/* Whole channels are 0 or 1 / (1 - rate), as many as the rate says. */
static void spatial_dropout(void **state)
{
    (void)state;
    enum { N = 500, PLACES = 6, C = 8 };
    static const char *const texts[] = {"input 6 8, spatial_dropout1d 0.25",
                                        "input 3 2 8, spatial_dropout2d 0.25",
                                        "input 3 1 2 8, spatial_dropout3d 0.25"};
    for (int d = 0; d < 3; d++) {
        int64_t n, sizes[3][5] = {{N, 6, 8}, {N, 3, 2, 8}, {N, 3, 1, 2, 8}};
        cj_tensor *x = ones(d + 3, sizes[d]);
        float *y = run_in_cuts(cj, texts[d], x, 100, 1, true, NULL, &n);
        int zeros = 0;
        for (int64_t i = 0; i < n; i++) {
            const int64_t sample = i / (PLACES * C), channel = i % C;
            assert_float_equal(y[i], y[sample * PLACES * C + channel], 0);
            assert_true(y[i] == 0 || fabs((double)y[i] - 1 / 0.75) < 1e-6);
            zeros += y[i] == 0 && i / C % PLACES == 0;
        }
        assert_true(fabs(zeros - 0.25 * N * C) < 5 * sqrt(0.25 * 0.75 * N * C));
        free(y);
        y = run_in_cuts(cj, texts[d], x, 100, 1, false, NULL, &n);
        assert_memory_equal(y, cj_tensor_map_read(x), (size_t)n * sizeof *y);
        free(y);
        cj_tensor_free(x);
    }
}

/* A masked step is as if it were not there, wherever it is, and has the result of the one before
 * it; with go_backwards that of the one behind it. */
static void masked_pictures(void **state)
{
    (void)state;
    enum { T = 4, P = 6 };
    float with[T * P], without[2 * P];
    for (int i = 0; i < 2 * P; i++) without[i] = (float)(i * 5 % 7) / 4 - 0.6f;
    memset(with, 0, sizeof with); /* steps 1 and 3 do not count */
    memcpy(with, without, P * sizeof *with);
    memcpy(with + 2 * P, without + P, P * sizeof *with);
    for (int back = 0; back < 2; back++) {
        char text[2][200];
        int64_t n, m;
        for (int i = 0; i < 2; i++)
            snprintf(text[i], sizeof text[i],
                     "input %d 6, masking, time_distributed [reshape 3 2], conv_lstm1d 2 2 %s "
                     "return_sequences",
                     i ? 2 : 4,
                     back ? "go_backwards" : "");
        cj_tensor *a = cj_tensor_from(cj, CJ_F32, 3, (int64_t[]){1, 4, 6}, with),
                  *b = cj_tensor_from(cj, CJ_F32, 3, (int64_t[]){1, 2, 6}, without);
        float *y = run_in_cuts(cj, text[0], a, 1, 0, false, NULL, &n);
        float *z = run_in_cuts(cj, text[1], b, 1, 0, false, NULL, &m);
        const int64_t of = n / T;
        assert_int_equal(m, 2 * of);
        static const int same[2][T] = {{0, 0, 1, 1}, {-1, 0, 0, 1}}; /* in the order of results */
        for (int t = 0; t < T; t++)
            for (int64_t i = 0; i < of; i++)
                assert_float_equal(y[t * of + i],
                                   same[back][t] < 0 ? 0 : z[same[back][t] * of + i], 1e-6);
        free(y), free(z);
        cj_tensor_free(a), cj_tensor_free(b);
    }
}

static int setup(void **state)
{
    (void)state;
    cj = test_context();
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
        cmocka_unit_test(text_and_back),   cmocka_unit_test(counted_once),
        cmocka_unit_test(too_deep),        cmocka_unit_test(random_steps),
        cmocka_unit_test(spatial_dropout), cmocka_unit_test(masked_pictures)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
