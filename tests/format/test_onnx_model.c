/* Models in files: what was trained predicts the same after a round trip, is saved to the same
 * bytes again, and trains on.
 *
 *     test_onnx_model                all
 *     test_onnx_model --dump DIR     also writes DIR/classifier.onnx with an input and what it
 * answers
 *
 * ctest: timeout 120 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "onnx_support.h"

#include <cajal/io.h>


#include "base/file.h"

enum { SAMPLES = 60, FEATURES = 5, CLASSES = 3 };

static const char *folder;
static char path[300], again[320];

/* Pixels whose sum modulo 3 is no secret: class k has feature k larger. */
static cj_dataset *points(cj_context *cj, float *raw)
{
    cj_tensor *x = cj_tensor_new(cj, CJ_F32, 2, (int64_t[]){SAMPLES, FEATURES}),
              *y = cj_tensor_new(cj, CJ_I32, 1, (int64_t[]){SAMPLES});
    assert_non_null(x);
    assert_non_null(y);
    for (int i = 0; i < SAMPLES; i++) {
        ((int32_t *)cj__tensor_data(y))[i] = i % CLASSES;
        for (int k = 0; k < FEATURES; k++) {
            raw[i * FEATURES + k] = (float)((i * 7 + k * 13) % 11) +
                                    (k == i % CLASSES ? 20.0f : 0.0f);
            ((float *)cj__tensor_data(x))[i * FEATURES + k] = raw[i * FEATURES + k];
        }
    }
    cj_dataset *data = cj_dataset_from_tensors(cj, x, y);
    cj_tensor_free(x);
    cj_tensor_free(y);
    assert_non_null(data);
    return data;
}

static void predict(cj_context *cj, cj_model *m, const float *raw, float *out)
{
    cj_session *s = cj_model_session(m);
    if (!s) fail_msg("%s", cj_message(cj));
    if (cj_predict(s, raw, SAMPLES, out, CLASSES)) fail_msg("%s", cj_session_message(s));
    cj_session_free(s);
}

static void dump(cj_context *cj, cj_model *m, const float *raw, const float *out)
{
    char file[300];
    cj__format(file, sizeof(file), "%s/classifier.onnx", folder);
    assert_int_equal(cj_save(m, file), CJ_OK);
    cj_tensor *x = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){SAMPLES, FEATURES}, raw);
    cj_tensor *y = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){SAMPLES, CLASSES}, out);
    cj__format(file, sizeof(file), "%s/classifier_in_0.npy", folder);
    assert_int_equal(cj_npy_save(cj, file, x), CJ_OK);
    cj__format(file, sizeof(file), "%s/classifier_0.npy", folder);
    assert_int_equal(cj_npy_save(cj, file, y), CJ_OK);
    cj_tensor_free(x);
    cj_tensor_free(y);
}

static void a_trained_model_comes_back(void **state)
{
    static float raw[SAMPLES * FEATURES], a[SAMPLES * CLASSES], b[SAMPLES * CLASSES];
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_dataset *data = points(cj, raw);
    cj_model *m = cj_model_from_text(cj, "dense 8 relu, dropout 0.1, dense 3 softmax", data, 1);
    if (!m) fail_msg("%s", cj_message(cj));
    cj_fit_opts opts = {.struct_size = sizeof(opts), .epochs = 5, .batch_size = 10};
    if ((cj_fit)(m, data, &opts)) fail_msg("%s", cj_message(cj));
    predict(cj, m, raw, a);
    if (folder) dump(cj, m, raw, a);
    if (cj_save(m, path)) fail_msg("%s", cj_message(cj));
    cj_model *n = cj_load(cj, path);
    if (!n) fail_msg("%s", cj_message(cj));
    predict(cj, n, raw, b);
    for (int i = 0; i < SAMPLES * CLASSES; i++)
        if (fabsf(a[i] - b[i]) > 1e-6f)
            fail_msg("element %d is %g, after the file %g", i, (double)a[i], (double)b[i]);
    /* What the model knows comes back. */
    cj_model_info info, old;
    cj_model_get_info(n, &info);
    cj_model_get_info(m, &old);
    assert_int_equal(info.classes, CLASSES);
    assert_int_equal(info.output_size, CLASSES);
    assert_string_equal(info.loss, old.loss);
    assert_string_equal(cj_model_text(n), cj_model_text(m));
    assert_int_equal(cj_graph_parameter_count(cj_model_graph(n)), 4);
    assert_non_null(cj_find_variable(cj_model_graph(n), "dense/kernel"));
    /* Saved again, it is the same file. */
    if (cj_save(n, again)) fail_msg("%s", cj_message(cj));
    cj__file_bytes f, g;
    assert_int_equal(cj__file_load(cj, path, 0, &f), CJ_OK);
    assert_int_equal(cj__file_load(cj, again, 0, &g), CJ_OK);
    bool same = f.size == g.size && !memcmp(f.data, g.data, f.size);
    size_t sizes[] = {f.size, g.size};
    cj_model *p = cj_load_memory(cj, f.data, f.size);
    assert_non_null(p);
    predict(cj, p, raw, b);
    assert_memory_equal(a, b, sizeof(a));
    cj__file_unload(&f);
    cj__file_unload(&g);
    if (!same) fail_msg("saved again, the file differs (%zu and %zu bytes)", sizes[0], sizes[1]);
    /* It trains on, and its parameters change. */
    if ((cj_fit)(n, data, &opts)) fail_msg("%s", cj_message(cj));
    predict(cj, n, raw, b);
    assert_memory_not_equal(a, b, sizeof(a));
    cj_model_free(m);
    cj_model_free(n);
    cj_model_free(p);
    cj_dataset_free(data);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

/* An initializer of the file. */
static const cj__onnx_tensor *initializer(const cj__onnx_model *m, const char *name)
{
    for (size_t i = 0; i < m->graph->initializer.count; i++)
        if (cj__slice_is(m->graph->initializer.items[i].name, name))
            return &m->graph->initializer.items[i];
    fail_msg("the file has no '%s'", name);
    return NULL;
}

static int count_nodes(const cj__onnx_model *m, const char *op)
{
    int n = 0;
    for (size_t i = 0; i < m->graph->node.count; i++)
        n += cj__slice_is(m->graph->node.items[i].op_type, op);
    return n;
}

/* A recurrent layer is its node between two Transposes; W, R and B are its initializers, with gates
 * as ONNX orders them, as are peepholes in P. Read back they are the layer's parameters, number for
 * number. */
static void recurrent_layers_are_one_node(void **state)
{
    enum { UNITS = 2, INPUTS = 3 };
    static const char *const ops[] = {"Gather", "Concat", "Expand", "LSTM"};
    static const int counts[] = {0, 0, 0, 1}, iofc[] = {0, 3, 1, 2}, /* of ours: i f g o */
        iof[] = {0, 2, 1};                                           /* i f o */
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_model *m = cj_model_new(cj);
    cj_node *y = cj_lstm(cj_input(m, "x", 4, INPUTS), .units = UNITS, .bidirectional = true,
                         .peepholes = true);
    cj_output(m, "y", cj_dense(y, .units = 1));
    cj_graph *g = cj_model_graph(m);
    if (cj_save(m, path)) fail_msg("%s", cj_message(cj));
    cj__arena arena;
    cj__file_bytes f, again_bytes;
    cj__onnx_model *file;
    cj__arena_init(&arena, cj);
    assert_int_equal(cj__file_load(cj, path, 0, &f), CJ_OK);
    assert_int_equal(cj__onnx_parse(&arena, f.data, f.size, &file), CJ_OK);
    for (size_t i = 0; i < CJ__COUNT(ops); i++)
        assert_int_equal(count_nodes(file, ops[i]), counts[i]);
    const char *w = (const char *)initializer(file, "lstm/W")->raw.at,
               *b = (const char *)initializer(file, "lstm/B")->raw.at,
               *p = (const char *)initializer(file, "lstm/P")->raw.at;
    const char *const kernels[] = {"lstm/kernel", "lstm/backward_kernel"},
                     *const peepholes[] = {"lstm/peepholes", "lstm/backward_peepholes"};
    for (int d = 0; d < 2; d++) {
        const float *k = cj__tensor_data(cj_store_get(cj_graph_store(g), kernels[d]));
        for (int i = 0; i < 4 * UNITS * INPUTS; i++) {
            const int from = iofc[i / (UNITS * INPUTS)];
            assert_memory_equal(w + 4 * (size_t)(d * 4 * UNITS * INPUTS + i),
                                &k[from * UNITS * INPUTS + i % (UNITS * INPUTS)], 4);
        }
        const float *see = cj__tensor_data(cj_store_get(cj_graph_store(g), peepholes[d]));
        for (int i = 0; i < 3 * UNITS; i++)
            assert_memory_equal(p + 4 * (size_t)(d * 3 * UNITS + i),
                                &see[iof[i / UNITS] * UNITS + i % UNITS], 4);
    }
    for (int i = 0; i < 2 * 8 * UNITS; i++) { /* the forget gates' 1, and that of R h: 0 */
        float value;
        memcpy(&value, b + 4 * (size_t)i, 4);
        assert_true(value == (i / UNITS % 8 == 2 ? 1.0f : 0.0f));
    }
    cj_model *n = cj_load(cj, path);
    if (!n) fail_msg("%s", cj_message(cj));
    cj_graph *h = cj_model_graph(n);
    assert_int_equal(cj_graph_parameter_count(h), 10);
    for (int i = 0; i < cj_graph_parameter_count(g); i++) {
        const char *name = cj_node_name(cj_graph_parameter_at(g, i));
        const cj_tensor *was = cj_store_get(cj_graph_store(g), name),
                        *is = cj_store_get(cj_graph_store(h), name);
        assert_string_equal(name, cj_node_name(cj_graph_parameter_at(h, i)));
        assert_non_null(is);
        assert_int_equal(cj_tensor_rank(is), cj_tensor_rank(was));
        assert_memory_equal(cj_tensor_shape(is), cj_tensor_shape(was),
                            (size_t)cj_tensor_rank(was) * sizeof(int64_t));
        assert_memory_equal(cj__tensor_data(is), cj__tensor_data(was), cj_tensor_size_bytes(was));
    }
    if (cj_save(n, again)) fail_msg("%s", cj_message(cj));
    assert_int_equal(cj__file_load(cj, again, 0, &again_bytes), CJ_OK);
    assert_int_equal(again_bytes.size, f.size);
    assert_memory_equal(again_bytes.data, f.data, f.size);
    cj__file_unload(&f);
    cj__file_unload(&again_bytes);
    cj__arena_release(&arena);
    cj_model_free(m);
    cj_model_free(n);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

/* What "cajal.packed" says must fit the file: words of the same length in its place. */
static void damaged_packing_is_refused(void **state)
{
    static const char *const damage[][2] = {
        {"{\"lstm/W\":[\"lstm/kernel\"]", "{\"lstm/W\":[             ]"},
        {"{\"lstm/W\":[\"lstm/kernel\"]", "{\"lstm/W\":[\"l\",\"l\",\"lll\"]"},
        {"{\"lstm/W\":[\"lstm/kernel\"]", "{\"lstm/X\":[\"lstm/kernel\"]"},
        {"{\"lstm/W\":[\"lstm/kernel\"]", "{\"lstm/W\": \"lstm/kernel\" "},
        {"[\"lstm/bias\",\"\"]", "[\"\",\"lstm/bias\"]"},
        {"\"lstm/R\":[", "\"ones/0\":["}};
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_model *m = cj_model_new(cj);
    cj_output(m, "y", cj_lstm(cj_input(m, "x", 4, 3), .units = 2));
    if (cj_save(m, path)) fail_msg("%s", cj_message(cj));
    for (size_t i = 0; i < CJ__COUNT(damage); i++) {
        cj__file_bytes f;
        const size_t n = strlen(damage[i][0]);
        assert_int_equal(cj__file_load(cj, path, 0, &f), CJ_OK);
        char *bytes = malloc(f.size), *at = NULL;
        assert_non_null(bytes);
        memcpy(bytes, f.data, f.size);
        for (size_t k = 0; k + n <= f.size && !at; k++)
            if (!memcmp(bytes + k, damage[i][0], n)) at = bytes + k;
        if (!at) fail_msg("the file has no %s", damage[i][0]);
        assert_int_equal(strlen(damage[i][1]), n);
        memcpy(at, damage[i][1], n);
        cj_model *bad = cj_load_memory(cj, bytes, f.size);
        if (bad) fail_msg("%s is read", damage[i][1]);
        assert_int_equal(cj_last_status(cj), CJ_ERR_DATA);
        free(bytes);
        cj__file_unload(&f);
    }
    cj_model_free(m);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

static void dump_graph(cj_context *cj, cj_graph *g, const char *name, const cj_tensor *x,
                       const cj_tensor *y)
{
    char file[300];
    cj__format(file, sizeof(file), "%s/%s.onnx", folder, name);
    assert_int_equal(cj_onnx_save_graph(g, file), CJ_OK);
    cj__format(file, sizeof(file), "%s/%s_in_0.npy", folder, name);
    assert_int_equal(cj_npy_save(cj, file, x), CJ_OK);
    cj__format(file, sizeof(file), "%s/%s_0.npy", folder, name);
    assert_int_equal(cj_npy_save(cj, file, y), CJ_OK);
}

/* Two files are the same bytes. */
static void same_files(cj_context *cj)
{
    cj__file_bytes f, g;
    assert_int_equal(cj__file_load(cj, path, 0, &f), CJ_OK);
    assert_int_equal(cj__file_load(cj, again, 0, &g), CJ_OK);
    assert_int_equal(f.size, g.size);
    assert_memory_equal(f.data, g.data, f.size);
    cj__file_unload(&f);
    cj__file_unload(&g);
}

static int count_in_file(cj_context *cj, const char *op)
{
    cj__arena arena;
    cj__file_bytes f;
    cj__onnx_model *file;
    cj__arena_init(&arena, cj);
    assert_int_equal(cj__file_load(cj, path, 0, &f), CJ_OK);
    assert_int_equal(cj__onnx_parse(&arena, f.data, f.size, &file), CJ_OK);
    const int n = count_nodes(file, op);
    cj__arena_release(&arena);
    cj__file_unload(&f);
    return n;
}

/* Of those that the first output needs. */
static int count_calls(const cj_graph *g, const cj_op *op)
{
    int n = 0;
    unsigned char *marks = calloc((size_t)g->n_calls + 1, 1);
    assert_non_null(marks);
    cj__graph_mark(g, &g->outputs.items[0].node, 1, marks);
    for (int i = 0; i < g->n_calls; i++) n += marks[i] && g->calls[i]->op == op;
    free(marks);
    return n;
}

/* Images are made channels-first once and channels-last once, whatever lies between, and the bias
 * of a transposed convolution is its operand. Read back, all are channels-last. */
static void images_are_turned_once(void **state)
{
    static const struct {
        const char *text;
        int transposes;
    } models[] = {
        {"input 8 8 3, conv2d 4 kernel=3 padding=same activation=relu, batch_normalization, "
         "max_pool2d 2, conv2d 4 kernel=1 activation=relu6, dropout 0.1, conv2d_transpose 2 "
         "kernel=2 strides=2 activation=sigmoid", 2},
        {"input 8 8 3, conv2d 4 kernel=3, global_average_pool2d, dense 2", 1},
        {"input 9 3, conv1d 4 kernel=3 activation=tanh, max_pool1d 2, conv1d 2 kernel=2", 2},
        {"input 6 6 6 1, conv3d 2 kernel=2 activation=gelu, conv3d 1 kernel=2", 2}};
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(models); i++) {
        cj_context *cj = cj_context_new(NULL);
        cj_model *m = cj_model_from_text(cj, models[i].text, NULL, 1);
        if (!m || cj_save(m, path)) fail_msg("%s", cj_message(cj));
        assert_int_equal(count_in_file(cj, "Transpose"), models[i].transposes);
        assert_int_equal(count_in_file(cj, "Identity"), 0);
        cj_model *n = cj_load(cj, path);
        if (!n || cj_save(n, again)) fail_msg("%s", cj_message(cj));
        assert_int_equal(count_calls(cj_model_graph(n), &cj_op_transpose), 0);
        same_files(cj);
        cj_model_free(m);
        cj_model_free(n);
        assert_int_equal(cj_memory_used(cj), 0);
        cj_context_free(cj);
    }
}

/* The graph is called as it was told, as in its file, or as the network that it is. */
static void graphs_are_called_something(void **state)
{
    static const struct {
        const char *text, *given, *name;
    } models[] = {{"input 3, dense 2", NULL, "model"},
                  {"input 3, dense 2", "two numbers", "two numbers"},
                  {"input 12 12 1, cnn classes=3", NULL, "cnn"},
                  {"input 12 12 1, cnn classes=3", "digits", "digits"},
                  {NULL, NULL, "branches"}};
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(models); i++) {
        cj_context *cj = cj_context_new(NULL);
        cj_model *m = models[i].text
                          ? cj_model_from_text(cj, models[i].text, NULL, 1)
                          : cj_load(cj, CJ_SOURCE_DIR "/tests/golden/keras/branches.h5");
        cj__arena arena;
        cj__file_bytes f;
        cj__onnx_model *file;
        if (!m) fail_msg("%s", cj_message(cj));
        if (models[i].given) cj_graph_set_name(cj_model_graph(m), models[i].given);
        if (cj_save(m, path)) fail_msg("%s", cj_message(cj));
        cj__arena_init(&arena, cj);
        assert_int_equal(cj__file_load(cj, path, 0, &f), CJ_OK);
        assert_int_equal(cj__onnx_parse(&arena, f.data, f.size, &file), CJ_OK);
        assert_true(cj__slice_is(file->graph->name, models[i].name));
        assert_true(cj__slice_is(file->producer_name, "cajal"));
        assert_true(cj__slice_is(file->producer_version, cj_version()));
        cj__arena_release(&arena);
        cj__file_unload(&f);
        cj_model *n = cj_load(cj, path);
        if (!n || cj_save(n, again)) fail_msg("%s", cj_message(cj));
        same_files(cj);
        cj_model_free(m);
        cj_model_free(n);
        assert_int_equal(cj_memory_used(cj), 0);
        cj_context_free(cj);
    }
}

/* Transposes that somebody reads stay: of an input, of an output, of both layouts at once. */
static void transposes_that_are_read_stay(void **state)
{
    static const int64_t to_last[] = {0, 2, 3, 1}, to_first[] = {0, 3, 1, 2};
    (void)state;
    for (int which = 0; which < 4; which++) {
        cj_context *cj = cj_context_new(NULL);
        cj_graph *g = cj_graph_new(cj), *h;
        cj_node *x = cj_placeholder(g, "x", CJ_F32, 4, (cj_dim[]){2, 3, 4, 5}), *y, *last;
        cj_tensor *a[2] = {NULL}, *b[2] = {NULL},
                  *values = cj_tensor_new(cj, CJ_F32, 4, (int64_t[]){2, 3, 4, 5});
        for (int i = 0; i < 120; i++)
            ((float *)cj__tensor_data(values))[i] = (float)(i * 37 % 100) - 50;
        last = cj_node_set_name(cj_transpose(x, to_last), "last");
        y = cj_node_set_name(cj_relu(last), "rectified");
        if (which == 0) y = cj_transpose(cj_add(y, last), to_first);
        if (which == 1) y = cj_relu(cj_transpose(cj_tanh(y), to_first));
        if (which == 2) y = cj_concat(((cj_node *[]){y, last}), 2, 3);
        if (which == 3) y = cj_reduce_mean(y, 2, ((int64_t[]){1, 2}), true);
        cj_graph_output(g, "y", y);
        cj_graph_output(g, "z", which % 2 ? cj_reduce_sum(last, 1, ((int64_t[]){3}), false) : last);
        if (cj_onnx_save_graph(g, path)) fail_msg("%s", cj_message(cj));
        h = cj_onnx_load_graph(cj, path);
        if (!h || cj_onnx_save_graph(h, again)) fail_msg("%s", cj_message(cj));
        same_files(cj);
        cj_feed feed = {x, values};
        if (run_graph(cj, g, &feed, 1, a)) fail_msg("%s", cj_message(cj));
        feed.node = cj_graph_input_at(h, 0);
        if (run_graph(cj, h, &feed, 1, b)) fail_msg("%s", cj_message(cj));
        for (int k = 0; k < 2; k++)
            if (!cj_tensor_equal(a[k], b[k])) fail_msg("case %d: output %d differs", which, k);
        char name[40], file[360];
        cj__format(name, sizeof name, "turned_%d", which);
        if (folder) {
            dump_graph(cj, g, name, values, a[0]);
            cj__format(file, sizeof file, "%s/%s_1.npy", folder, name);
            assert_int_equal(cj_npy_save(cj, file, a[1]), CJ_OK);
        }
        free_all(a, 2), free_all(b, 2);
        cj_tensor_free(values);
        cj_graph_free(g), cj_graph_free(h);
        assert_int_equal(cj_memory_used(cj), 0);
        cj_context_free(cj);
    }
}

/* Vocabularies, hashes and equations: what ONNX has no strings for goes as arithmetic on whole
 * numbers, and other programs can run it. */
static void categories_in_files(void **state)
{
    static const char *const cases[][3] = {
        {"string_lookup", "vocabulary=\"red, green\"", "text"},
        {"string_lookup",
         "vocabulary=\"red, green\", num_oov_indices=3, mask_token=\"\", output_mode=count",
         "text"},
        {"hashing", "num_bins=7, salt=3, mask_value=\"\"", "text"},
        {"hashing", "num_bins=1000003, output_mode=int", "number"},
        {"integer_lookup", "vocabulary=[4, -7], num_oov_indices=2, mask_token=0", "number"},
        {"integer_lookup", "vocabulary=[4, -7], output_mode=multi_hot", "number"},
        {"integer_lookup", "vocabulary=[4, -7], invert=true", "number"},
        {"einsum_dense", "equation=\"ab,cb->ac\", output_shape=3, bias_axes=c", "real"}};
    static const char texts[4][2][5] = {
        {"red", "green"}, {"", "blue"}, {"gree", "redd"}, {"a", "r"}};
    static const int64_t numbers[] = {4, -7, 0, 1, 2, 3, INT64_MAX, INT64_MIN};
    static const float reals[] = {1, 2, 3, 4, 5, -6, 7, 0.5f};
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        const bool text = *cases[i][2] == 't', number = *cases[i][2] == 'n';
        const int64_t shape[] = {4, 2, 5};
        cj_tensor *x = cj_tensor_from(cj, text ? CJ_U8 : number ? CJ_I64 : CJ_F32, text ? 3 : 2,
                                      shape, text     ? (const void *)texts
                                             : number ? (const void *)numbers
                                                      : (const void *)reals),
                  *a[OUTPUTS_MAX] = {NULL}, *b[OUTPUTS_MAX] = {NULL};
        cj_graph *g = cj_graph_new(cj);
        cj_node *in = cj_placeholder(g, "x", cj_tensor_dtype(x), cj_tensor_rank(x), shape);
        cj_graph_output(g, "y", cj_layer_apply(&in, 1, cases[i][0], cases[i][1]));
        cj_status failed = cj_graph_failed(g);
        if (!failed) failed = run_graph(cj, g, &(cj_feed){in, x}, 1, a);
        if (!failed) failed = cj_onnx_save_graph(g, path);
        cj_graph *h = failed ? NULL : cj_onnx_load_graph(cj, path);
        if (!h || run_graph(cj, h, &(cj_feed){cj_graph_input_at(h, 0), x}, 1, b))
            fail_msg("%s(%s): %s", cases[i][0], cases[i][1], cj_message(cj));
        if (!cj_tensor_equal(a[0], b[0]))
            fail_msg("%s(%s): the file gives other places", cases[i][0], cases[i][1]);
        char name[40];
        cj__format(name, sizeof name, "layer_%s_%zu", cases[i][0], i);
        if (folder) dump_graph(cj, g, name, x, a[0]);
        free_all(a, 1), free_all(b, 1);
        cj_tensor_free(x);
        cj_graph_free(g), cj_graph_free(h);
    }
    cj_context_free(cj);
}

/* Every truncation and some flipped bytes of a file: an error or a model, never a crash. */
static void damaged_files_are_survived(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj__file_bytes f;
    if (cj__file_load(cj, path, 0, &f)) fail_msg("%s", cj_message(cj));
    unsigned char *copy = malloc(f.size);
    assert_non_null(copy);
    for (size_t n = 0; n < f.size; n += 7) {
        cj_model_free(cj_load_memory(cj, f.data, n));
        memcpy(copy, f.data, f.size);
        copy[n] ^= (unsigned char)(1u << n % 8);
        cj_model_free(cj_load_memory(cj, copy, f.size));
    }
    free(copy);
    cj__file_unload(&f);
    cj_context_free(cj);
}

int main(int argc, char **argv)
{
    const char *temporary = getenv("TMPDIR");
    if (argc > 2 && !strcmp(argv[1], "--dump")) folder = argv[2];
    snprintf(path, sizeof(path), "%s/cajal_onnx_%ld.onnx", temporary ? temporary : "/tmp",
             (long)getpid());
    snprintf(again, sizeof(again), "%s.again", path);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trained_model_comes_back),
        cmocka_unit_test(damaged_files_are_survived),
        cmocka_unit_test(categories_in_files),
        cmocka_unit_test(recurrent_layers_are_one_node),
        cmocka_unit_test(damaged_packing_is_refused),
        cmocka_unit_test(images_are_turned_once),
        cmocka_unit_test(graphs_are_called_something),
        cmocka_unit_test(transposes_that_are_read_stay),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    unlink(again);
    return failed;
}
