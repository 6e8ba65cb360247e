/* Every network of the zoo and the models of the examples as ONNX files: read back they give the
 * same results with batches of 1, 7 and 32, and written again the same bytes. Large networks are in
 * test_onnx_zoo.sh, which shows all files to other programs. Of decode.c it is what is told at
 * once, for ONNX has no state; custom_op.c's operator has no form in ONNX.
 *
 *     test_onnx_zoo                      the small ones
 *     test_onnx_zoo --list               "lenet5 small" ..., a line each
 *     test_onnx_zoo --dump DIR NAME...   these, and writes DIR/NAME.onnx, inputs and results
 *
 * ctest: timeout 300 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include <cajal/io.h>
#include <cajal/sequence.h>
#include <cajal/zoo.h>

#include "base/file.h"
#include "nn/zoo_support.h"
#include "onnx_support.h"

static const char *folder;
static char path[300], again[320];
static const int64_t batches[] = {1, 7, 32};

/* ---- Models ---------------------------------------------------------------------------------- */

/* Models of the examples, recipes and documentation, and layers that the zoo does not use. */
static const char *const texts[][2] = {
    {"linear_regression", "input 3, dense 1"},
    {"logistic_regression", "input 30, dense 1 sigmoid"},
    {"xor", "input 2, dense 4 tanh, dense 1 sigmoid"},
    {"iris", "input 4, dense 16 relu, dense 3 softmax"},
    {"mlp", "input 28 28 1, flatten, dense 128 relu, dropout 0.2, dense 10 softmax"},
    {"example_cnn",
     "input 28 28 1, conv2d 32 kernel=3 activation=relu, max_pool2d 2, conv2d 64 kernel=3 "
     "activation=relu, max_pool2d 2, flatten, dense 10 softmax"},
    {"example_autoencoder",
     "input 28 28 1, conv2d 32 kernel=3 strides=2 padding=same activation=relu, "
     "conv2d 64 kernel=3 strides=2 padding=same activation=relu, conv2d_transpose "
     "32 kernel=4 strides=2 padding=same activation=relu, conv2d_transpose 1 "
     "kernel=4 strides=2 padding=same activation=sigmoid"},
    {"custom_layer", "input 1, dense 16, squash power=3, dense 1"},
    {"wgan_generator", "input 16, dense 392 relu, reshape 7 7 8, conv2d_transpose 8 kernel=4 "
                       "strides=2 padding=same activation=relu, conv2d_transpose 1 kernel=4 "
                       "strides=2 padding=same activation=sigmoid"},
    {"wgan_critic", "input 28 28 1, conv2d 8 kernel=4 strides=2 padding=same "
                    "activation=leaky_relu, flatten, dense 1"},
    {"lstm", "input 12 5, lstm 8 return_sequences=true, dropout 0.1, lstm 6, dense 2"},
    {"lstm_peepholes", "input 12 5, lstm 4 peepholes bidirectional return_sequences=true, "
                       "lstm 6 peepholes no_bias, dense 2"},
    {"gru", "input 12 5, gru 8 bidirectional=true return_sequences=true, gru 6, dense 2 softmax"},
    {"rnn_in_time", "input 6 8 1, time_distributed(\"dense 3 relu\"), flatten, dense 2"},
    {"conv1d", "input 40 3, conv1d 8 kernel=5 activation=relu, batch_normalization, "
               "max_pool1d 2, global_average_pool1d, dense 4 softmax"},
    {"norms", "input 8 8 6, group_normalization groups=3, instance_normalization, "
              "layer_normalization, rms_normalization, conv2d 4 kernel=3 activation=gelu, "
              "average_pool2d 2, flatten, dense 3"},
    {"conv_lstm", "input 4 8 8 2, conv_lstm2d 3 kernel=3 padding=same, flatten, dense 2"}};

enum { GPT_LENGTH = 12, GPT_WIDTH = 16, GPT_LETTERS = 40 };

/* examples/gpt.c, smaller. */
static cj_model *gpt(cj_context *cj)
{
    cj_model *m = cj_model_new(cj);
    cj_graph *g = cj_model_graph(m);
    cj_node *x = cj_placeholder(g, "letters", CJ_I32, CJ_DIMS(cj_symbol(g, "batch"), GPT_LENGTH));
    x = cj_embedding(x, .input_dim = GPT_LETTERS, .output_dim = GPT_WIDTH);
    x = cj_position_embedding(x, .sequence_length = GPT_LENGTH);
    for (int i = 0; i < 2; i++) {
        cj_node *y = cj_layer_normalization(x);
        x = cj_add(x, cj_multi_head_attention(y, .num_heads = 4, .key_dim = 4, .causal = true));
        y = cj_dense(cj_layer_normalization(x), .units = 4 * GPT_WIDTH, .activation = "gelu");
        x = cj_add(x, cj_dense(y, .units = GPT_WIDTH));
    }
    cj_output(m, "next", cj_dense(cj_layer_normalization(x), .units = GPT_LETTERS));
    return m;
}

/* examples/resnet.c, of 4, 8 and 16 channels, with what moves pictures in training. */
static cj_node *conv_norm(cj_node *x, int64_t filters, int64_t kernel, int64_t stride)
{
    x = cj_conv2d(x, .filters = filters, .kernel = {kernel, kernel}, .strides = {stride, stride},
                  .padding = "same", .no_bias = true);
    return cj_batch_normalization(x, .momentum = 0.9);
}

static cj_model *example_resnet(cj_context *cj)
{
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_random_flip(cj_input(m, "image", 28, 28, 1), .mode = "horizontal");
    x = cj_random_crop(x, .height = 28, .width = 28, .padding = 4);
    x = cj_relu(conv_norm(x, 4, 3, 1));
    for (int stage = 0; stage < 3; stage++) {
        const int64_t filters = 4 << stage, stride = stage ? 2 : 1;
        cj_node *y = conv_norm(cj_relu(conv_norm(x, filters, 3, stride)), filters, 3, 1);
        x = cj_relu(cj_add(y, stride > 1 ? conv_norm(x, filters, 1, stride) : x));
    }
    x = cj_global_average_pool2d(x);
    cj_output(m, "class", cj_dense(x, .units = 10, .activation = "softmax"));
    return m;
}

/* examples/decode.c, of its text at once. */
static cj_model *decode(cj_context *cj)
{
    enum { CHANNELS = 16, HEADS = 4, TOKENS = 10 };
    cj_model *m = cj_model_new(cj);
    cj_graph *g = cj_model_graph(m);
    const cj_dim batch = cj_symbol(g, "batch");
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(batch, TOKENS, CHANNELS)), *heads[3];
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"query", "key", "value"};
        float v[CHANNELS * CHANNELS];
        for (uint32_t k = 0; k < CHANNELS * CHANNELS; k++)
            v[k] = (float)zoo_unit(names[i], k) - 0.5f;
        cj_tensor *t = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){CHANNELS, CHANNELS}, v);
        heads[i] = cj_reshape(cj_matmul(x, cj_parameter(g, names[i], t)), 4,
                              (cj_dim[]){batch, TOKENS, HEADS, CHANNELS / HEADS});
        cj_tensor_free(t);
    }
    cj_output(m, "y", cj_attention(heads[0], heads[1], heads[2], .causal = true));
    return m;
}

/* examples/custom_layer.c: tanh(gain x^power), a program's own layer. */
typedef struct squash_opts {
    int64_t power;
    const char *name;
} squash_opts;
static const cj_option squash_options[] = {
    CJ_OPTION_INT(squash_opts, power, 1, 1, 9, "what x is raised to"),
    CJ_OPTION_STRING(squash_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *squash_build(cj_layer_build *b)
{
    const squash_opts *o = b->options;
    const int64_t units = cj_node_dim(b->x[0], -1);
    cj_node *gain = cj_layer_parameter(b, "gain", 1, &units, "ones", 0, 0, NULL), *x = b->x[0];
    for (int64_t i = 1; i < o->power; i++) x = cj_mul(x, b->x[0]);
    return cj_tanh(cj_mul(x, gain));
}
static const cj_layer squash = {.name = "squash", .doc = "y = tanh(gain x^power)", .inputs = 1,
                                .options_size = sizeof(squash_opts), .options = squash_options,
                                .build = squash_build};

/* Models of the examples that no text makes. */
static const struct {
    const char *name;
    cj_model *(*make)(cj_context *cj);
} made[] = {{"gpt", gpt}, {"example_resnet", example_resnet}, {"decode", decode}};

/* What a trained model has: scales and variances that are not 1, biases that are not 0. */
static void shake(cj_model *m)
{
    cj_graph *g = cj_model_graph(m);
    for (int i = 0; i < g->variables.count; i++) {
        const char *name = g->variables.items[i].name;
        cj_tensor *t = cj_store_get(cj_graph_store(g), name);
        if (cj_tensor_dtype(t) != CJ_F32 || cj_tensor_rank(t) > 1) continue;
        const bool scale = zoo_ends_in(name, "variance") || zoo_ends_in(name, "gamma");
        float *v = cj_tensor_map(t, CJ_MAP_WRITE);
        for (int64_t k = 0; k < cj_tensor_count(t); k++) {
            const double u = zoo_unit(name, (uint32_t)k);
            v[k] = (float)(scale ? 0.5 + u : 0.2 * u - 0.1);
        }
        cj_tensor_unmap(t);
    }
}

static cj_model *model_of(cj_context *cj, const char *name)
{
    cj_model *m = NULL;
    int64_t dims[4];
    int rank;
    assert_ok(cj, cj_layer_register(cj, &squash));
    for (size_t i = 0; i < CJ__COUNT(texts) && !m; i++)
        if (!strcmp(texts[i][0], name)) m = cj_model_from_text(cj, texts[i][1], NULL, 1);
    for (size_t i = 0; i < CJ__COUNT(made) && !m; i++)
        if (!strcmp(made[i].name, name)) m = made[i].make(cj);
    if (!m) m = zoo_sample(cj, name, &rank, dims);
    if (cj_model_failed(m)) fail_msg("%s: %s", name, cj_message(cj));
    shake(m);
    return m;
}

/* Networks whose files are large, or that take seconds, are not for every day. */
static bool is_small(const char *name)
{
    static const char *const large[] = {"vgg", "alexnet", "resnet1", "resnet34", "resnet50",
                                        "resnet56", "densenet", "inception", "googlenet"};
    for (size_t i = 0; i < CJ__COUNT(large); i++)
        if (!strncmp(name, large[i], strlen(large[i]))) return false;
    return true;
}

/* Name i of all models, NULL past the last. */
static const char *name_at(cj_context *cj, int i)
{
    const cj_network *row = cj_network_at(cj, i);
    if (row) return row->name;
    int networks = 0;
    while (cj_network_at(cj, networks)) networks++;
    i -= networks;
    if (i < (int)CJ__COUNT(texts)) return texts[i][0];
    i -= (int)CJ__COUNT(texts);
    return i < (int)CJ__COUNT(made) ? made[i].name : NULL;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static cj_tensor *input_for(cj_context *cj, cj_graph *g, int64_t batch)
{
    cj_node *x = cj_graph_input_at(g, 0);
    int64_t dims[CJ_RANK_MAX] = {batch};
    for (int i = 1; i < cj_node_rank(x); i++) dims[i] = cj_node_dim(x, i);
    if (cj_node_dtype(x) == CJ_F32) return zoo_pictures(cj, cj_node_rank(x), dims, 0);
    cj_tensor *t = cj_tensor_new(cj, cj_node_dtype(x), cj_node_rank(x), dims);
    int32_t *v = cj_tensor_map(t, CJ_MAP_WRITE);
    assert_int_equal(cj_tensor_dtype(t), CJ_I32);
    for (int64_t i = 0; i < cj_tensor_count(t); i++)
        v[i] = (int32_t)(GPT_LETTERS * zoo_unit("letters", (uint32_t)i));
    cj_tensor_unmap(t);
    return t;
}

static void answers(cj_context *cj, const char *name, cj_model *m, const cj_tensor *x,
                    cj_tensor **out)
{
    cj_graph *g = cj_model_graph(m);
    cj_program *p = cj_compile(g);
    cj_session *s = p ? cj_session_new(p, cj_graph_store(g)) : NULL;
    if (!s) fail_msg("%s: %s", name, cj_message(cj));
    if (cj_run(s, (cj_feed[]){{cj_graph_input_at(g, 0), (cj_tensor *)(uintptr_t)x}}, 1, out,
               cj_graph_output_count(g)))
        fail_msg("%s: %s", name, cj_session_message(s));
    cj_session_free(s);
    cj_program_free(p);
}

static void write_array(cj_context *cj, const char *name, int64_t batch, const char *what, int k,
                        const cj_tensor *t)
{
    char file[400];
    snprintf(file, sizeof file, "%s/%s@%lld%s_%d.npy", folder, name, (long long)batch, what, k);
    assert_ok(cj, cj_npy_save(cj, file, t));
}

static void same_bytes(cj_context *cj, const char *name)
{
    cj__file_bytes a, b;
    assert_ok(cj, cj__file_load(cj, path, 0, &a));
    assert_ok(cj, cj__file_load(cj, again, 0, &b));
    if (a.size != b.size || memcmp(a.data, b.data, a.size) != 0)
        fail_msg("%s: written again it is another file (%zu and %zu bytes)", name, a.size, b.size);
    cj__file_unload(&a);
    cj__file_unload(&b);
}

/* As a reader of a network's file wants it: nodes are named after what they are in, and none does
 * nothing or undoes the one before. */
static void is_readable(cj_context *cj, const char *name)
{
    static const char *const undone[] = {"Transpose", "Cast", "Expand"};
    cj__file_bytes bytes;
    cj__arena arena;
    cj__onnx_model *file;
    cj__arena_init(&arena, cj);
    assert_ok(cj, cj__file_load(cj, path, 0, &bytes));
    assert_ok(cj, cj__onnx_parse(&arena, bytes.data, bytes.size, &file));
    if (!cj__slice_is(file->graph->name, name)) fail_msg("%s: the graph's name is another", name);
    const cj__onnx_node *nodes = file->graph->node.items;
    for (size_t i = 0; i < file->graph->node.count; i++) {
        char own[200];
        snprintf(own, sizeof own, "%.*s", (int)nodes[i].name.size, nodes[i].name.at);
        if (!strchr(own, '/') || cj__slice_is(nodes[i].op_type, "Identity"))
            fail_msg("%s: node '%s'", name, own);
        for (size_t k = 0; k < i; k++)
            for (size_t u = 0; u < CJ__COUNT(undone); u++)
                if (cj__slice_is(nodes[i].op_type, undone[u]) &&
                    cj__slice_is(nodes[k].op_type, undone[u]) &&
                    cj__slice_equal(nodes[i].input.items[0], nodes[k].output.items[0]))
                    fail_msg("%s: node '%s', and its operand is another %s", name, own, undone[u]);
    }
    cj__arena_release(&arena);
    cj__file_unload(&bytes);
}

static void there_and_back(const char *name)
{
    cj_context *cj = test_context();
    cj_model *m = model_of(cj, name);
    if (folder) snprintf(path, sizeof path, "%s/%s.onnx", folder, name);
    const cj_onnx_save_opts opts = {.struct_size = sizeof opts, .opset = test_opset()};
    if (cj_save_opts(m, path, &opts)) fail_msg("%s: %s", name, cj_message(cj));
    cj_model *n = cj_load(cj, path);
    if (!n) fail_msg("%s: %s", name, cj_message(cj));
    if (cj_save_opts(n, again, &opts)) fail_msg("%s: %s", name, cj_message(cj));
    same_bytes(cj, name);
    if (cj_network_find(cj, name)) is_readable(cj, name);
    assert_string_equal(cj_dim_text(cj_model_graph(n), cj_node_dim(cj_graph_input_at(
                                                           cj_model_graph(n), 0), 0)), "batch");
    for (size_t b = 0; b < CJ__COUNT(batches); b++) {
        cj_tensor *x = input_for(cj, cj_model_graph(m), batches[b]), *out[OUTPUTS_MAX] = {NULL},
                  *back[OUTPUTS_MAX] = {NULL};
        const int count = cj_graph_output_count(cj_model_graph(m));
        answers(cj, name, m, x, out);
        answers(cj, name, n, x, back);
        for (int k = 0; k < count; k++) {
            zoo_close(cj, name, back[k], out[k]);
            if (folder) write_array(cj, name, batches[b], "", k, out[k]);
        }
        if (folder) write_array(cj, name, batches[b], "_in", 0, x);
        free_all(out, count), free_all(back, count);
        cj_tensor_free(x);
    }
    unlink(again);
    if (!folder) unlink(path);
    cj_context_free(cj);
}

static void files_of_models(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    const char *name;
    for (int i = 0; (name = name_at(cj, i)); i++)
        if (is_small(name)) there_and_back(name);
    cj_context_free(cj);
}

static int list_names(void)
{
    cj_context *cj = test_context();
    const char *name;
    for (int i = 0; (name = name_at(cj, i)); i++)
        printf("%s %s\n", name, is_small(name) ? "small" : "large");
    cj_context_free(cj);
    return 0;
}

int main(int argc, char **argv)
{
    const char *temporary = getenv("TMPDIR");
    if (argc > 1 && !strcmp(argv[1], "--list")) return list_names();
    snprintf(path, sizeof path, "%s/cajal_zoo_%ld.onnx", temporary ? temporary : "/tmp",
             (long)getpid());
    snprintf(again, sizeof again, "%s.again", path);
    if (argc > 3 && !strcmp(argv[1], "--dump")) {
        folder = argv[2];
        for (int i = 3; i < argc; i++) there_and_back(argv[i]);
        return 0;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(files_of_models)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
