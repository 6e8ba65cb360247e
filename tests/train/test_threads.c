/* In a deterministic context the number of threads changes no bit: small networks of every kind the
 * benchmarks have are trained for some steps on 1 to 4 threads, and all that is in the store
 * afterwards (weights, running statistics, moments) is compared, and the loss of each step.
 *
 * Sizes are such that kernels do share their work. ctest: timeout 120 */
#include "train_support.h"

enum { STEPS = 2, THREADS_MAX = 4, FEEDS = 2 };

/* ---- Networks -------------------------------------------------------------------------------- */

static cj_node *norm_block(cj_node *x, int64_t filters, int64_t stride)
{
    cj_node *y = cj_conv2d(x, .filters = filters, .kernel = {3}, .strides = {stride},
                           .padding = "same", .no_bias = true);
    return cj_relu(cj_batch_normalization(y));
}

static cj_node *image_net(cj_model *m)
{
    cj_node *x = norm_block(cj_input(m, "x", 16, 16, 3), 16, 1);
    x = cj_add(x, norm_block(x, 16, 1));
    x = cj_max_pool2d(norm_block(x, 24, 2), .size = {2});
    x = cj_depthwise_conv2d(x, .kernel = {3}, .padding = "same", .activation = "relu");
    x = cj_average_pool2d(x, .size = {2});
    return cj_dense(cj_global_average_pool2d(x, .keepdims = false), .units = 10);
}

/* Convolution with a bias, which pooling follows; upwards again; dropout. */
static cj_node *hourglass(cj_model *m)
{
    cj_node *x = cj_conv2d(cj_input(m, "x", 14, 14, 2), .filters = 17, .kernel = {3},
                           .activation = "relu");
    x = cj_max_pool2d(x, .size = {3}, .strides = {2}, .padding = "same");
    x = cj_conv2d_transpose(x, .filters = 9, .kernel = {3}, .strides = {2}, .activation = "tanh");
    x = cj_group_normalization(x, .groups = 3);
    return cj_dense(cj_dropout(cj_flatten(x), .rate = 0.25), .units = 10);
}

static cj_node *dense_net(cj_model *m)
{
    cj_node *x = cj_flatten(cj_input(m, "x", 28, 28, 1));
    x = cj_dense(x, .units = 128, .activation = "relu");
    return cj_dense(cj_batch_normalization(x), .units = 10);
}

static cj_node *lstm_net(cj_model *m)
{
    cj_node *x = cj_lstm(cj_input(m, "x", 20, 24), .units = 48, .return_sequences = true);
    return cj_dense(cj_lstm(x, .units = 33), .units = 10);
}

static cj_node *gru_net(cj_model *m)
{
    cj_node *x = cj_gru(cj_input(m, "x", 20, 24), .units = 40, .return_sequences = true);
    return cj_dense(cj_simple_rnn(x, .units = 20), .units = 10);
}

static cj_node *sequence_conv(cj_model *m)
{
    cj_node *x = cj_conv1d(cj_input(m, "x", 64, 12), .filters = 32, .kernel = {5},
                           .padding = "causal", .activation = "gelu");
    return cj_dense(cj_global_max_pool1d(cj_layer_normalization(x), .keepdims = false),
                    .units = 10);
}

static cj_node *attention_net(cj_model *m)
{
    cj_node *x = cj_dense(cj_input(m, "x", 48, 16), .units = 64);
    x = cj_position_embedding(x, .sequence_length = 48);
    cj_node *y = cj_layer_normalization(x);
    x = cj_add(x, cj_multi_head_attention(y, .num_heads = 4, .key_dim = 16, .causal = true));
    y = cj_dense(cj_rms_normalization(x), .units = 256, .activation = "gelu");
    x = cj_add(x, cj_dense(y, .units = 64));
    return cj_dense(cj_reduce_mean(x, 1, (int64_t[]){1}, false), .units = 10);
}

static const struct {
    const char *name;
    cj_node *(*build)(cj_model *m);
    int64_t batch;
} nets[] = {{"image_net", image_net, 9},         {"hourglass", hourglass, 8},
            {"dense_net", dense_net, 33},        {"lstm_net", lstm_net, 17},
            {"gru_net", gru_net, 17},            {"sequence_conv", sequence_conv, 12},
            {"attention_net", attention_net, 6}};

/* ---- Training -------------------------------------------------------------------------------- */

typedef struct trained {
    cj_context *cj;
    cj_model *m;
    double loss[STEPS];
} trained;

static cj_tensor *numbers(cj_context *cj, const cj_type *type, int64_t batch, int64_t limit)
{
    int64_t dims[CJ_RANK_MAX];
    for (int i = 0; i < type->rank; i++) dims[i] = type->dim[i] < 0 ? batch : type->dim[i];
    cj_tensor *t = cj_tensor_new(cj, type->dtype, type->rank, dims);
    assert_non_null(t);
    void *data = cj_tensor_map(t, CJ_MAP_WRITE);
    uint32_t state = 7;
    for (int64_t i = 0; i < cj_tensor_count(t); i++) {
        state = state * 1664525u + 1013904223u;
        double unit = (double)(state >> 8) / 16777216.0;
        cj_store_f64(type->dtype, data, (size_t)i, limit ? floor(unit * (double)limit)
                                                         : 2 * unit - 1);
    }
    cj_tensor_unmap(t);
    return t;
}

static cj_program *training_program(cj_model *m, cj_node *y)
{
    enum { PARAMETERS_MAX = 64 };
    cj_graph *g = cj_model_graph(m);
    cj_node *p[PARAMETERS_MAX], *dp[PARAMETERS_MAX];
    cj_node *label = cj_placeholder(g, "label", CJ_I32, 1,
                                    (cj_dim[]){y ? cj_node_dim(y, 0) : 1});
    cj_node *loss = cj_mean(
        cj_loss_node(y, label, "sparse_categorical_crossentropy(from_logits=true)"));
    int n = cj_graph_parameter_count(g);
    if (n > PARAMETERS_MAX || cj_graph_failed(g)) return NULL;
    for (int i = 0; i < n; i++) p[i] = cj_graph_parameter_at(g, i);
    if (cj_grad(loss, p, n, dp)) return NULL;
    return cj_compile(g, .outputs = {loss}, .training = true,
                      .updates = cj_updates("adam", p, dp, n, .learning_rate = 1e-2));
}

static void train(trained *t, int net, int threads)
{
    t->cj = cj_context_new(&(cj_config){.threads = threads, .deterministic = true});
    assert_non_null(t->cj);
    t->m = cj_model_new(t->cj);
    cj_program *program = training_program(t->m, nets[net].build(t->m));
    if (!program) fail_msg("%s: %s", nets[net].name, cj_message(t->cj));
    cj_session *s = cj_session_new(program, cj_model_store(t->m));
    cj_feed feeds[FEEDS];
    assert_non_null(s);
    assert_int_equal(cj_program_input_count(program), FEEDS);
    for (int i = 0; i < FEEDS; i++) {
        const char *name = cj_program_input_name(program, i);
        const cj_type *type = cj_program_input_type(program, i);
        feeds[i] = (cj_feed){cj_program_input(program, name),
                             numbers(t->cj, type, nets[net].batch, strcmp(name, "x") ? 10 : 0)};
    }
    for (int step = 0; step < STEPS; step++) {
        cj_tensor *loss = NULL;
        cj_status failed = cj_run(s, feeds, FEEDS, &loss, 1);
        if (failed) fail_msg("%s: %s", nets[net].name, cj_session_message(s));
        t->loss[step] = cj_load_f64(cj_tensor_dtype(loss), cj_tensor_map_read(loss), 0);
        cj_tensor_free(loss);
    }
    for (int i = 0; i < FEEDS; i++) cj_tensor_free((cj_tensor *)feeds[i].value);
    cj_session_free(s);
    cj_program_free(program);
}

static void release(trained *t)
{
    cj_model_free(t->m);
    cj_context_free(t->cj);
}

static void test_any_thread_count_gives_the_same_bits(void **state)
{
    (void)state;
    int differences = 0;
    for (size_t net = 0; net < sizeof nets / sizeof nets[0]; net++) {
        trained one, many;
        train(&one, (int)net, 1);
        assert_true(isfinite(one.loss[STEPS - 1]));
        for (int threads = 2; threads <= THREADS_MAX; threads++) {
            train(&many, (int)net, threads);
            cj_store *a = cj_model_store(one.m), *b = cj_model_store(many.m);
            assert_int_equal(cj_store_count(a), cj_store_count(b));
            for (int step = 0; step < STEPS; step++)
                if (one.loss[step] != many.loss[step])
                    differences++, print_error("%s, %d threads: the loss of step %d differs\n",
                                               nets[net].name, threads, step);
            for (int i = 0; i < cj_store_count(a); i++) {
                const char *name = cj_store_name_at(a, i);
                if (!cj_tensor_equal(cj_store_tensor_at(a, i), cj_store_get(b, name)))
                    differences++, print_error("%s, %d threads: '%s' differs\n", nets[net].name,
                                               threads, name);
            }
            release(&many);
        }
        release(&one);
    }
    assert_int_equal(differences, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_thread_count_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
