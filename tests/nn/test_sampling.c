/* test_sampling.c: sampling, the layer of variational autoencoders: its divergence and the
 * gradients of that against PyTorch's (tools/golden/sampling.py), what it draws, and what it
 * refuses. */
#include "nn_golden.h"

enum { CASES = 12, N = 20000 };

static cj_node *layer_loss(cj_graph *g)
{
    const cj__layers *layers = cj__layers_of(g);
    assert_int_equal(layers->n_losses, 1);
    return layers->losses[0];
}

/* As two inputs, or (halves) as one whose last axis has both. */
static void check_divergence(cj_tensors *golden, int number, cj_dtype dtype, const char *backend,
                             bool halves)
{
    cj_context *cj = test_context();
    char name[16];
    snprintf(name, sizeof name, "%d", number);
    cj_tensor *const values[2] = {golden_get(golden, name, "mean"),
                                  golden_get(golden, name, "log_var")};
    cj_graph *g = cj_graph_new(cj);
    cj_node *in[2] = {batch_placeholder(g, "mean", dtype, values[0]),
                      batch_placeholder(g, "log_var", dtype, values[1])};
    const double weight = value_of(cj, golden_get(golden, name, "weight"), 0);
    char options[64];
    snprintf(options, sizeof options, "weight=%.17g", weight);
    cj_node *both = halves ? cj_concat(in, 2, -1) : NULL;
    cj_node *z = halves ? cj_layer_apply(&both, 1, "sampling", options)
                        : cj_sampling(in[0], in[1], .weight = weight);
    assert_ok(cj, cj_graph_failed(g));
    cj_node *slopes[2], *loss = layer_loss(g);
    assert_ok(cj, cj_grad(loss, in, 2, slopes));
    cj_program *p = cj_compile(g, .outputs = {loss, slopes[0], slopes[1], z});
    assert_non_null(p);
    cj_session *s = cj_session_new_opts(p, cj_graph_store(g),
                                        &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                           .backend = backend});
    cj_tensor *fed[2], *out[4] = {NULL};
    for (int i = 0; i < 2; i++) fed[i] = cj_tensor_cast(values[i], dtype);
    if (cj_run(s, (cj_feed[]){{in[0], fed[0]}, {in[1], fed[1]}}, 2, out, 4))
        fail_msg("%s", cj_session_message(s));
    const double tolerance = dtype == CJ_F64 ? 1e-10 : 1e-5;
    assert_near("divergence", out[0], golden_get(golden, name, "kl"), tolerance);
    assert_near("its gradient by mean", out[1], golden_get(golden, name, "d_mean"), tolerance);
    assert_near("its gradient by log_var", out[2], golden_get(golden, name, "d_log_var"),
                tolerance);
    assert_true(cj_tensor_equal(out[3], fed[0])); /* outside of training, the mean */
    for (int i = 0; i < 4; i++) cj_tensor_free(out[i]);
    for (int i = 0; i < 2; i++) cj_tensor_free(fed[i]);
    cj_session_free(s);
    cj_program_free(p);
    cj_context_free(cj);
}

static void divergence(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_tensors *golden = golden_load(cj, "nn/sampling.npz");
    for (int i = 0; i < CASES; i++)
        for (int k = 0; k < 8; k++)
            check_divergence(golden, i, k & 1 ? CJ_F32 : CJ_F64, backends[k >> 1 & 1], k >> 2);
    cj_tensors_free(golden);
    cj_context_free(cj);
}

/* (z - mean) / e^(log_var / 2) are normal numbers, others in another step; and gradients of z: of
 * the mean 1, of log_var (z - mean) / 2. */
static void numbers_drawn(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_graph *g = cj_graph_new(cj);
    cj_node *in[2] = {cj_placeholder(g, "mean", CJ_F64, CJ_DIMS(N, 1)),
                      cj_placeholder(g, "log_var", CJ_F64, CJ_DIMS(N, 1))};
    cj_node *z = cj_sampling(in[0], in[1]), *slopes[2];
    assert_ok(cj, cj_grad(cj_sum(z), in, 2, slopes));
    cj_program *p = cj_compile(g, .outputs = {z, slopes[0], slopes[1]}, .training = true);
    assert_non_null(p);
    cj_session *s = cj_session_new(p, cj_graph_store(g));
    static double mean[N], log_var[N], before[N];
    for (int i = 0; i < N; i++) mean[i] = i % 7 - 3, log_var[i] = i % 5 - 2;
    cj_tensor *fed[2] = {cj_tensor_from(cj, CJ_F64, 2, (int64_t[]){N, 1}, mean),
                         cj_tensor_from(cj, CJ_F64, 2, (int64_t[]){N, 1}, log_var)};
    for (int step = 0; step < 3; step++) {
        cj_tensor *out[3] = {NULL};
        int64_t *key = cj_tensor_map(cj_store_get(cj_graph_store(g), "random/key"), CJ_MAP_WRITE);
        key[1] = step % 2; /* the third step is the first again */
        if (cj_run(s, (cj_feed[]){{in[0], fed[0]}, {in[1], fed[1]}}, 2, out, 3))
            fail_msg("%s", cj_session_message(s));
        double sum = 0, square = 0, same = 0;
        for (int i = 0; i < N; i++) {
            const double v = value_of(cj, out[0], i), off = v - mean[i];
            const double u = off / exp(log_var[i] / 2);
            sum += u, square += u * u;
            same += v == before[i];
            if (step == 0) before[i] = v;
            assert_true(value_of(cj, out[1], i) == 1);
            assert_true(fabs(value_of(cj, out[2], i) - off / 2) <= 1e-12 * fmax(1, fabs(off)));
        }
        assert_true(fabs(sum / N) < 5 / sqrt(N)); /* 5 deviations */
        assert_true(fabs(square / N - 1) < 5 * sqrt(2.0 / N));
        assert_true(step == 2 ? same == N : same < 10);
        for (int i = 0; i < 3; i++) cj_tensor_free(out[i]);
    }
    for (int i = 0; i < 2; i++) cj_tensor_free(fed[i]);
    cj_session_free(s);
    cj_program_free(p);
    cj_context_free(cj);
}

static void refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"input 5, sampling", "sampling: the last size of its input is 5; means and as many "
                              "logarithms of variances are expected"},
        {"input 6, sampling weight=-1", "sampling: weight=-1 is not between 0 and 1000000000"}};
    cj_context *cj = test_context();
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        assert_null(cj_model_from_text(cj, cases[i][0], NULL, 0));
        assert_string_equal(cj_message(cj), cases[i][1]);
    }
    for (int i = 0; i < 3; i++) {
        cj_model *m = cj_model_new(cj);
        cj_node *x = cj_input(m, "x", 3), *y = cj_input(m, "y", 4);
        if (i == 0) assert_null(cj_sampling(x, y));
        if (i == 1) assert_null(cj_layer_apply((cj_node *[]){x, x, x}, 3, "sampling", NULL));
        if (i == 2) assert_null(cj_sampling(x, NULL));
        static const char *const said[] = {
            "sampling: means and logarithms of variances are of different shapes",
            "sampling: 3 inputs; means and logarithms of variances are expected"};
        if (i < 2) assert_said(cj, said[i]);
        cj_model_free(m);
    }
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(divergence),
                                       cmocka_unit_test(numbers_drawn),
                                       cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
