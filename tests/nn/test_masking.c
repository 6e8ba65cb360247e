/* Masks beside the results of layers: recurrent layers, attention, pooling, merges and batch
 * normalisation whose inputs have steps that do not count, against Keras 3's formulas
 * (tools/golden/masking.py), results, masks and gradients, in double and float, on the best backend
 * and the reference; which layer passes a mask on; what is refused. */
#include "nn_golden.h"

#include <cajal/layers.h>
#include <cajal/recurrent.h>

static cj_context *cj;
static cj_tensors *golden;

#define BOTH "units=3, bidirectional=true"
#define HEADS "num_heads=2, key_dim=3, no_bias=true"

static const struct {
    const char *name, *layers[3][2]; /* one upon the other */
} cases[] = {
    {"simple_rnn_steps", {{"simple_rnn", "units=3, return_sequences=true"}}},
    {"simple_rnn_last", {{"simple_rnn", "units=3"}}},
    {"lstm_steps", {{"lstm", "units=3, return_sequences=true"}}},
    {"lstm_last", {{"lstm", "units=3"}}},
    {"gru_steps", {{"gru", "units=3, return_sequences=true"}}},
    {"gru_last", {{"gru", "units=3"}}},
    {"lstm_backwards", {{"lstm", "units=3, go_backwards=true, return_sequences=true"}}},
    {"gru_backwards_last", {{"gru", "units=3, go_backwards=true"}}},
    {"lstm_both", {{"lstm", BOTH ", return_sequences=true"}}},
    {"gru_both_last", {{"gru", BOTH ", merge_mode=sum"}}},
    {"rnn_both_mul", {{"simple_rnn", BOTH ", merge_mode=mul, return_sequences=true"}}},
    {"lstm_stacked", {{"lstm", "units=3, layers=2"}}},
    {"gru_stacked_both", {{"gru", BOTH ", layers=2, return_sequences=true"}}},
    {"gru_lengths", {{"gru", "units=3, return_sequences=true"}}},
    {"gru_first", {{"gru", "units=3, return_sequences=true"}}},
    {"gru_first_backwards", {{"gru", "units=3, go_backwards=true, return_sequences=true"}}},
    {"masking", {{"masking", "mask_value=-1"}}},
    {"chain",
     {{"masking", "mask_value=-1"}, {"dense", "units=3, activation=tanh"}, {"gru", "units=3"}}},
    {"embedding",
     {{"embedding", "input_dim=7, output_dim=4, mask_zero=true"}, {"lstm", "units=3"}}},
    {"attention_self", {{"multi_head_attention", HEADS}}},
    {"attention_causal", {{"multi_head_attention", HEADS ", causal=true"}}},
    {"attention_cross", {{"multi_head_attention", HEADS}}},
    {"attention_key", {{"multi_head_attention", HEADS}}},
    {"pool", {{"global_average_pool1d", ""}}},
    {"pool_keep", {{"global_average_pool1d", "keepdims=true"}}},
    {"add", {{"add", ""}}},
    {"add_one", {{"add", ""}}},
    {"multiply", {{"multiply", ""}}},
    {"multiply_one", {{"multiply", ""}}},
    {"maximum", {{"maximum", ""}}},
    {"minimum", {{"minimum", ""}}},
    {"maximum_one", {{"maximum", ""}}},
    {"concatenate_steps", {{"concatenate", "axis=1"}}},
    {"concatenate_one", {{"concatenate", "axis=1"}}},
    {"concatenate_numbers", {{"concatenate", "axis=-1"}}},
    {"batch_norm", {{"batch_normalization", ""}}},
};

enum { INPUTS = 3, PARAMETERS = 12, WRT = INPUTS + PARAMETERS };

/* One case: its graph, what is fed, and the names of the gradients. */
typedef struct built {
    cj_graph *g;
    cj_node *y, *wrt[WRT];
    cj_feed feeds[2 * INPUTS + 1];
    int n_feeds, n_wrt;
    char keys[WRT][64];
} built;

static void feed(built *b, cj_node *x, const cj_tensor *t)
{
    b->feeds[b->n_feeds++] = (cj_feed){x, cj_tensor_cast(t, cj_node_dtype(x))};
}

/* A placeholder whose batch, of `axis`, is free. */
static cj_node *input_of(built *b, const char *name, cj_dtype dtype, const cj_tensor *t, int axis)
{
    cj_dim dims[CJ_RANK_MAX];
    for (int i = 0; i < cj_tensor_rank(t); i++)
        dims[i] = i == axis ? cj_symbol(b->g, "batch") : cj_tensor_shape(t)[i];
    return cj_placeholder(b->g, name, dtype, cj_tensor_rank(t), dims);
}

static cj_dtype dtype_of(const cj_tensor *t, cj_dtype dtype)
{
    return cj_dtype_info(cj_tensor_dtype(t))->kind == CJ_KIND_FLOAT ? dtype : cj_tensor_dtype(t);
}

static int inputs_of(built *b, const char *name, cj_dtype dtype, cj_node *x[INPUTS])
{
    static const char *const names[] = {"x0", "x1", "x2"}, *const masks[] = {"m0", "m1", "m2"};
    int n = 0;
    for (const cj_tensor *t; n < INPUTS && (t = golden_find(golden, name, names[n])); n++) {
        /* An initial state is [1, batch, units]. */
        int axis = cj_tensor_rank(t) == 3 && cj_tensor_shape(t)[0] == 1;
        x[n] = input_of(b, names[n], dtype_of(t, dtype), t, axis);
        feed(b, x[n], t);
        if (dtype_of(t, dtype) == dtype) {
            snprintf(b->keys[b->n_wrt], sizeof *b->keys, "d_%s", names[n]);
            b->wrt[b->n_wrt++] = x[n];
        }
        const cj_tensor *mask = golden_find(golden, name, masks[n]);
        if (!mask) continue;
        cj_node *m = input_of(b, masks[n], n ? CJ_I32 : CJ_BOOL, mask, 0);
        feed(b, m, mask);
        x[n] = cj_with_mask(x[n], m);
    }
    return n;
}

static void take_parameters(built *b, const char *name)
{
    char part[80];
    for (int i = 0; i < cj_graph_parameter_count(b->g); i++) {
        cj_node *p = cj_graph_parameter_at(b->g, i);
        snprintf(part, sizeof part, "p/%s", cj_node_name(p));
        const cj_tensor *value = golden_get(golden, name, part);
        cj_tensor *t = cj_store_get(cj_graph_store(b->g), cj_node_name(p));
        assert_int_equal(cj_tensor_count(t), cj_tensor_count(value));
        void *to = cj_tensor_map(t, CJ_MAP_WRITE);
        for (int64_t k = 0; k < cj_tensor_count(t); k++)
            cj_store_f64(cj_tensor_dtype(t), to, (size_t)k,
                         cj_load_f64(cj_tensor_dtype(value), cj_tensor_map_read(value), (size_t)k));
        cj_tensor_unmap(t);
        assert_true(b->n_wrt < WRT);
        snprintf(b->keys[b->n_wrt], sizeof *b->keys, "d/%s", cj_node_name(p));
        b->wrt[b->n_wrt++] = p;
    }
}

static void check(int which, cj_dtype dtype, const char *backend)
{
    const char *name = cases[which].name;
    const double tolerance = dtype == CJ_F64 ? 1e-10 : 1e-5;
    char what[200];
    cj_model *m = cj_model_new(cj);
    cj_model_set_dtype(m, dtype);
    built b = {.g = cj_model_graph(m)};
    cj_node *x[INPUTS], *d[WRT] = {NULL};
    int n = inputs_of(&b, name, dtype, x);
    for (int i = 0; i < 3 && cases[which].layers[i][0]; i++, n = 1) {
        x[0] = cj_layer_apply(x, n, cases[which].layers[i][0], cases[which].layers[i][1]);
        if (!x[0]) fail_msg("%s: %s", name, cj_message(cj));
    }
    take_parameters(&b, name);
    cj_node *y = x[0], *mask = cj_mask_of(y);
    const cj_tensor *c = golden_get(golden, name, "c"), *m_golden = golden_find(golden, name, "m");
    if (!mask != !m_golden) fail_msg("%s: its result has %s mask", name, mask ? "a" : "no");
    cj_node *cotangent = input_of(&b, "c", dtype, c, 0);
    feed(&b, cotangent, c);
    assert_ok(cj, cj_vjp(&y, &cotangent, 1, b.wrt, b.n_wrt, d));
    cj_compile_opts o = {.struct_size = sizeof o, .outputs = {y}, .training = true};
    int n_out = 1;
    for (int i = 0; i < b.n_wrt; i++) o.outputs[n_out++] = cj_zero_as(d[i], b.wrt[i]);
    if (mask) o.outputs[n_out++] = mask;
    cj_program *program = (cj_compile)(b.g, &o);
    if (!program) fail_msg("%s: %s", name, cj_message(cj));
    cj_session *s = cj_session_new_opts(program, cj_model_store(m),
                                        &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                           .backend = backend});
    cj_tensor *out[WRT + 2] = {NULL};
    if (cj_run(s, b.feeds, b.n_feeds, out, n_out)) fail_msg("%s: %s", name, cj_session_message(s));
    for (int i = 0; i < n_out; i++) {
        const char *part = !i ? "y" : i <= b.n_wrt ? b.keys[i - 1] : "m";
        snprintf(what, sizeof what, "%s: %s in %s on %s", name, part, cj_dtype_info(dtype)->name,
                 backend ? backend : "best");
        assert_near(what, out[i], golden_get(golden, name, part), tolerance);
        cj_tensor_free(out[i]);
    }
    for (int i = 0; i < b.n_feeds; i++) cj_tensor_free((cj_tensor *)b.feeds[i].value);
    cj_session_free(s);
    cj_program_free(program);
    cj_model_free(m);
}

static void as_keras(void **state)
{
    (void)state;
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++)
        for (int k = 0; k < 2; k++) {
            check(i, CJ_F64, backends[k]);
            check(i, CJ_F32, backends[k]);
        }
}

/* Values of y for inputs of small whole numbers. */
static void run_small(cj_model *m, cj_node *y, bool training, double *values, int n)
{
    cj_graph *g = cj_model_graph(m);
    cj_program *p = cj_compile(g, .outputs = {y}, .training = training);
    if (!p) fail_msg("%s", cj_message(cj));
    cj_session *s = cj_session_new(p, cj_model_store(m));
    cj_feed feeds[4];
    int n_feeds = cj_graph_input_count(g);
    for (int i = 0; i < n_feeds; i++) {
        cj_node *x = cj_graph_input_at(g, i);
        int64_t shape[CJ_RANK_MAX] = {1};
        for (int k = 1; k < cj_node_rank(x); k++) shape[k] = cj_node_dim(x, k);
        cj_tensor *t = cj_tensor_new(cj, cj_node_dtype(x), cj_node_rank(x), shape);
        void *v = cj_tensor_map(t, CJ_MAP_WRITE);
        for (int64_t k = 0; k < cj_tensor_count(t); k++)
            cj_store_f64(cj_tensor_dtype(t), v, (size_t)k, k % 5 == 3 ? 0 : (double)(k % 3) + 1);
        cj_tensor_unmap(t);
        feeds[i] = (cj_feed){x, t};
    }
    cj_tensor *out = NULL;
    if (cj_run(s, feeds, n_feeds, &out, 1)) fail_msg("%s", cj_session_message(s));
    assert_int_equal(cj_tensor_count(out), n);
    for (int i = 0; i < n; i++) values[i] = value_of(cj, out, i);
    for (int i = 0; i < n_feeds; i++) cj_tensor_free((cj_tensor *)feeds[i].value);
    cj_tensor_free(out);
    cj_session_free(s);
    cj_program_free(p);
}

/* ---- Losses ---------------------------------------------------------------------------------- */

static const struct {
    const char *name, *activation, *loss, *reduction;
} judged[] = {
    {"loss_classes", "", "sparse_categorical_crossentropy(from_logits=true)", NULL},
    {"loss_softmax", "softmax", "sparse_categorical_crossentropy", "mean"},
    {"loss_ignored", "softmax", "sparse_categorical_crossentropy(ignore_class=3)", NULL},
    {"loss_numbers", "", "mse", NULL},
    {"loss_sum", "", "mae", "sum"},
    {"loss_none", "", "mse", "none"},
};

static void check_loss(int which, cj_dtype dtype, const char *backend)
{
    const char *name = judged[which].name;
    cj_model *m = cj_model_new(cj);
    cj_model_set_dtype(m, dtype);
    built b = {.g = cj_model_graph(m)};
    cj_node *x[INPUTS], *inputs[8], *weight = NULL, *target, *cotangent;
    assert_int_equal(inputs_of(&b, name, dtype, x), 1);
    const cj_tensor *t = golden_get(golden, name, "t"), *w = golden_find(golden, name, "w"),
                    *c = golden_get(golden, name, "c");
    feed(&b, target = input_of(&b, "t", dtype_of(t, dtype), t, 0), t);
    if (w) feed(&b, weight = input_of(&b, "w", dtype, w, 0), w);
    cotangent = cj_placeholder(b.g, "c", dtype, cj_tensor_rank(c), cj_tensor_shape(c));
    feed(&b, cotangent, c);
    if (*judged[which].activation)
        x[0] = cj_activation_layer(x[0], .function = judged[which].activation);
    cj_node *loss = cj_loss_reduced(x[0], target, judged[which].loss, .sample_weight = weight,
                                    .reduction = judged[which].reduction);
    if (!loss) fail_msg("%s: %s", name, cj_message(cj));
    cj_tensor *out[2], *values[8];
    for (int i = 0; i < b.n_feeds; i++) {
        inputs[i] = (cj_node *)b.feeds[i].node;
        values[i] = (cj_tensor *)b.feeds[i].value;
    }
    run_with_gradient(cj, backend, loss, b.wrt[0], cotangent, inputs, values, b.n_feeds, out);
    assert_near(name, out[0], golden_get(golden, name, "y"), dtype == CJ_F64 ? 1e-10 : 1e-5);
    assert_near(name, out[1], golden_get(golden, name, "d_x0"), dtype == CJ_F64 ? 1e-10 : 1e-5);
    for (int i = 0; i < 2; i++) cj_tensor_free(out[i]);
    for (int i = 0; i < b.n_feeds; i++) cj_tensor_free(values[i]);
    cj_model_free(m);
}

static void losses_of_steps(void **state)
{
    (void)state;
    for (int i = 0; i < (int)(sizeof judged / sizeof *judged); i++)
        for (int k = 0; k < 2; k++) {
            check_loss(i, CJ_F64, backends[k]);
            check_loss(i, CJ_F32, backends[k]);
        }
}

/* Losses that look at a sample as a whole, and targets that have no steps, know no masks. */
static void losses_of_samples(void **state)
{
    (void)state;
    double found[2];
    for (int masked = 0; masked < 2; masked++) {
        cj_model *m = cj_model_new(cj);
        cj_node *x = cj_input(m, "x", 5, 3), *keep = cj_input(m, "keep", 5);
        cj_node *labels = cj_broadcast_to(cj_scalar(cj_model_graph(m), CJ_I32, 1), 2,
                                          (cj_dim[]){cj_node_dim(x, 0), 2});
        x = cj_activation_layer(cj_with_mask(x, masked ? keep : NULL), .function = "softmax");
        run_small(m, cj_loss_reduced(x, labels, "ctc"), false, &found[masked], 1);
        assert_null(cj_loss_reduced(x, cj_slice_axis(labels, 1, 0, 1), "mse"));
        cj_model_free(m);
    }
    assert_true(found[0] > 0 && found[0] == found[1]);
}

/* ---- Which layers pass it on ----------------------------------------------------------------- */

/* A step's numbers stay with their step in layers that pass it on. */
static void passed_on(void **state)
{
    static const struct {
        const char *layer, *options;
        bool passes;
    } rows[] = {
        {"dense", "units=2", true},
        {"activation", "function=relu", true},
        {"activation", "function=softmax", true},
        {"dropout", "rate=0.5", true},
        {"dropout", "rate=0", true}, /* x itself */
        {"gaussian_noise", "stddev=1", true},
        {"gaussian_dropout", "rate=0.5", true},
        {"alpha_dropout", "rate=0.5", true},
        {"activity_regularization", "", true},
        {"prelu", "", true},
        {"highway", "", true},
        {"mixture_of_experts", "units=2, experts=2", true},
        {"rescaling", "scale=2", true},
        {"normalization", "mean=[0, 0, 0, 0], variance=[1, 1, 1, 1]", true},
        {"layer_normalization", "", true},
        {"group_normalization", "groups=2", true},
        {"instance_normalization", "", true},
        {"rms_normalization", "", true},
        {"position_embedding", "", true},
        {"sine_position_encoding", "", true},
        {"flatten", "", false},
        {"reshape", "shape=[6, 4]", false}, /* the same shape */
        {"permute", "dims=[2, 1]", false},
        {"conv1d", "filters=2, kernel=1", false},
        {"max_pool1d", "", false},
        {"global_max_pool1d", "", false},
        {"up_sampling1d", "", false},
        {"discretization", "bin_boundaries=[0]", false},
        {"lstm", "units=2", false},
        {"global_average_pool1d", "", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cj_model *m = cj_model_new(cj);
        cj_node *x = cj_masking(cj_input(m, "x", 6, 4)), *mask = cj_mask_of(x);
        assert_non_null(mask);
        cj_node *y = cj_layer_apply(&x, 1, rows[i].layer, rows[i].options);
        if (!y) fail_msg("%s: %s", rows[i].layer, cj_message(cj));
        if (cj_mask_of(y) != (rows[i].passes ? mask : NULL))
            fail_msg("%s %s: its result's mask is %s", rows[i].layer, rows[i].options,
                     cj_mask_of(y) ? "there" : "not there");
        assert_ptr_equal(cj_mask_of(x), mask);
        cj_model_free(m);
    }
}

static void beside_nodes(void **state)
{
    (void)state;
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_input(m, "x", 6, 4), *ids = cj_input(m, "ids", 6);
    assert_null(cj_mask_of(x));
    assert_null(cj_mask_of(NULL));
    cj_node *y = cj_with_mask(x, ids); /* floats: 0 is false */
    assert_ptr_not_equal(y, x);
    assert_int_equal(cj_node_dtype(cj_mask_of(y)), CJ_BOOL);
    assert_null(cj_mask_of(x));
    assert_null(cj_mask_of(cj_relu(y)));
    assert_null(cj_mask_of(cj_with_mask(y, NULL)));
    assert_non_null(cj_mask_of(y));
    /* A mask of whole samples goes as far as it can. */
    cj_node *z = cj_dense(cj_with_mask(x, cj_reshape(cj_slice_axis(ids, 1, 0, 1), 1,
                                                     (cj_dim[]){CJ_INFER})),
                          .units = 2);
    assert_int_equal(cj_node_rank(cj_mask_of(z)), 1);
    assert_null(cj_mask_of(cj_embedding(ids, .input_dim = 9, .output_dim = 2)));
    assert_null(cj_mask_of(cj_embedding(ids, .input_dim = 9, .output_dim = 2, .padding_index = 3)));
    assert_non_null(cj_mask_of(cj_embedding(ids, .input_dim = 9, .output_dim = 2,
                                            .mask_zero = true)));
    assert_ok(cj, cj_model_failed(m));
    cj_model_free(m);
}

/* ---- What attention and batch normalisation do beside it ------------------------------------- */

/* A mask that is an input of attention joins the one beside the keys: of bools, or of terms, where
 * -inf is what false is. */
static void attention_masks(void **state)
{
    double found[3][6];
    (void)state;
    for (int way = 0; way < 3; way++) {
        cj_model *m = cj_model_new(cj);
        cj_graph *g = cj_model_graph(m);
        cj_node *x = cj_input(m, "x", 3, 2), *keys = cj_input(m, "keys", 3);
        cj_node *given = cj_input(m, "given", 1, 3, 3);
        given = cj_not_equal(given, cj_scalar(g, CJ_F32, 0));
        keys = cj_not_equal(keys, cj_scalar(g, CJ_F32, 1));
        cj_node *value = cj_with_mask(x, way ? keys : NULL), *mask = given;
        if (way == 0)
            mask = cj_logical_and(given, cj_reshape(keys, 4, (cj_dim[]){CJ_INFER, 1, 1, 3}));
        if (way == 2)
            mask = cj_where(given, cj_scalar(g, CJ_F32, 0), cj_scalar(g, CJ_F32, -INFINITY));
        cj_node *y = cj_multi_head_attention(x, .num_heads = 1, .key_dim = 2, .value = value,
                                             .mask = mask);
        if (!y) fail_msg("%s", cj_message(cj));
        assert_null(cj_mask_of(y)); /* the query has none */
        run_small(m, y, false, found[way], 6);
        cj_model_free(m);
    }
    for (int way = 1; way < 3; way++)
        for (int i = 0; i < 6; i++) assert_float_equal(found[way][i], found[0][i], 1e-6);
}

/* Steps 1 2 3 0 2 of one channel, of which 0 does not count: mean 2, variance 1/2; not in training:
 * the running statistics, 0 and 1. */
static void batch_statistics(void **state)
{
    double y[5];
    (void)state;
    for (int training = 0; training < 2; training++) {
        cj_model *m = cj_model_new(cj);
        cj_node *x = cj_masking(cj_input(m, "x", 5, 1));
        cj_node *out = cj_batch_normalization(x, .epsilon = 0.5, .momentum = 0.75, .name = "b");
        run_small(m, out, training, y, 5);
        const double mean = training ? 2 : 0, scale = training ? 1 : 1 / sqrt(1.5);
        const double values[] = {1, 2, 3, 0, 2};
        for (int i = 0; i < 5; i++) assert_float_equal(y[i], (values[i] - mean) * scale, 1e-5);
        const cj_update *u = cj_layer_updates(cj_model_graph(m));
        const char *const names[] = {"b/moving_mean", "b/moving_variance"};
        for (int i = 0; i < 2; i++) {
            assert_string_equal(cj_node_name(u[i].variable), names[i]);
            run_small(m, u[i].value, training, y, 1);
            assert_float_equal(y[0], training ? 0.75 * i + 0.25 * (i ? 0.5 : 2) : i, 1e-5);
        }
        cj_model_free(m);
    }
}

/* ---- Any number of steps --------------------------------------------------------------------- */

static void free_steps(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_dim dims[] = {cj_symbol(g, "batch"), cj_symbol(g, "steps"), 2};
    cj_node *x = cj_placeholder(g, "x", CJ_F32, 3, dims), *y = cj_masking(x);
    y = cj_lstm(y, .units = 3, .bidirectional = true, .return_sequences = true);
    y = cj_gru(cj_dense(y, .units = 4), .units = 3);
    cj_node *mean = cj_global_average_pool1d(cj_masking(x));
    assert_ok(cj, cj_graph_failed(g));
    cj_program *p = cj_compile(g, .outputs = {y, mean});
    if (!p) fail_msg("%s", cj_message(cj));
    cj_session *s = cj_session_new(p, cj_graph_store(g));
    double last[3] = {0};
    for (int padding = 0; padding < 3; padding++) { /* in front, then behind, a step more each */
        int64_t shape[] = {1, 2 + padding, 2};
        float values[8] = {0};
        for (int i = 0; i < 4; i++) values[2 * (padding == 2) + i] = (float)i - 0.5f;
        cj_tensor *t = cj_tensor_from(cj, CJ_F32, 3, shape, values), *out[2] = {NULL};
        if (cj_run(s, (cj_feed[]){{x, t}}, 1, out, 2)) fail_msg("%s", cj_session_message(s));
        for (int i = 0; i < 3; i++) {
            double v = value_of(cj, out[0], i);
            if (padding) assert_float_equal(v, last[i], 1e-6);
            last[i] = v;
        }
        for (int i = 0; i < 2; i++)
            assert_float_equal(value_of(cj, out[1], i), 0.5 + i, 1e-6);
        cj_tensor_free(out[0]);
        cj_tensor_free(out[1]);
        cj_tensor_free(t);
    }
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(g);
}

/* ---- States ---------------------------------------------------------------------------------- */

static void states_behind_masks(void **state)
{
    (void)state;
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_masking(cj_input(m, "x", 6, 4));
    for (int way = 0; way < 4; way++) {
        cj_node *y = cj_lstm(x, .units = 3, .return_sequences = way & 1, .go_backwards = way & 2);
        assert_string_equal(shape_of(cj_recurrent_state(y, 1)), "[1, batch, 3]");
        y = cj_lstm(x, .units = 3, .bidirectional = true, .merge_mode = "ave",
                    .return_sequences = way & 1);
        assert_string_equal(shape_of(cj_recurrent_state(y, 0)), "[2, batch, 3]");
    }
    assert_ok(cj, cj_model_failed(m));
    cj_model_free(m);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static const char *const files[] = {
    "input 6 2, masking, lstm 3, dense 2 softmax",
    "input 6 2, masking, gru 3 return_sequences layers=2, dense 2",
    "input 6 2, masking, simple_rnn 3 return_sequences go_backwards, global_average_pool1d",
    "input 6 2, masking, lstm 3 return_sequences bidirectional, gru 2",
    "input 6 2, masking, dense 6 tanh, multi_head_attention 2 3, layer_normalization, "
    "global_average_pool1d",
    "input 6, embedding 5 3 mask_zero, gru 4, dense 1",
    "input 6 2, masking, batch_normalization, lstm 2",
    "input 6 2, masking, dense 3, lstm 2 return_sequences go_backwards", /* its output has one */
};

/* Four samples of small whole numbers, many of them 0. */
static cj_tensor *samples_of(const cj_graph *g)
{
    const cj_node *x = cj_graph_input_at(g, 0);
    int64_t shape[CJ_RANK_MAX] = {4}, width = 1;
    for (int i = 1; i < x->type.rank; i++) shape[i] = x->type.dim[i];
    if (x->type.rank == 3) width = shape[2];
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, x->type.rank, shape);
    float *v = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) {
        int64_t step = i / width, sample = step / 6;
        bool counts = sample == 0 ? step % 6 != 2 : sample == 1 ? step % 6 < 4 : sample == 2;
        v[i] = counts ? (float)(i * 7 % 5) : 0;
    }
    cj_tensor_unmap(t);
    return t;
}

static cj_tensor *value_at(cj_model *m, cj_node *y, const cj_tensor *samples)
{
    cj_graph *g = cj_model_graph(m);
    cj_program *p = cj_compile(g, .outputs = {y});
    cj_session *s = p ? cj_session_new(p, cj_model_store(m)) : NULL;
    cj_tensor *out = NULL;
    if (!s) fail_msg("%s", cj_message(cj));
    if (cj_run(s, (cj_feed[]){{cj_graph_input_at(g, 0), samples}}, 1, &out, 1))
        fail_msg("%s", cj_session_message(s));
    cj_session_free(s);
    cj_program_free(p);
    return out;
}

/* Saved to folder/masked_I.onnx, with the numbers it takes and gives beside it (test_onnx_ort.sh);
 * loaded again it gives the same. */
static void save_and_load(const char *folder, int i, bool keep)
{
    char path[600], arrays[3][620];
    snprintf(path, sizeof path, "%s/masked_%d.onnx", folder, i);
    snprintf(arrays[0], sizeof arrays[0], "%s/masked_%d_in_0.npy", folder, i);
    snprintf(arrays[1], sizeof arrays[1], "%s/masked_%d_0.npy", folder, i);
    snprintf(arrays[2], sizeof arrays[2], "%s/masked_%d_1.npy", folder, i);
    cj_model *m = cj_model_from_text(cj, files[i], NULL, 3);
    if (!m) fail_msg("%s: %s", files[i], cj_message(cj));
    if (cj_save(m, path)) fail_msg("%s: %s", files[i], cj_message(cj));
    cj_model *again = cj_load(cj, path);
    if (!again) fail_msg("%s: %s", files[i], cj_message(cj));
    cj_tensor *samples = samples_of(cj_model_graph(m)), *a, *b;
    a = value_at(m, cj_graph_output_at(cj_model_graph(m), 0), samples);
    b = value_at(again, cj_graph_output_at(cj_model_graph(again), 0), samples);
    int64_t first = -1;
    assert_int_equal(cj_graph_output_count(cj_model_graph(again)), 1);
    cj_node *masks[] = {cj_mask_of(cj_graph_output_at(cj_model_graph(m), 0)),
                        cj_mask_of(cj_graph_output_at(cj_model_graph(again), 0))};
    assert_true(!masks[0] == !masks[1]);
    if (!cj_tensor_close(a, b, 1e-5, 1e-5, &first))
        fail_msg("%s: read again, output %lld is %g, it was %g", files[i], (long long)first,
                 value_of(cj, b, first), value_of(cj, a, first));
    if (keep) {
        assert_ok(cj, cj_npy_save(cj, arrays[0], samples));
        assert_ok(cj, cj_npy_save(cj, arrays[1], a));
    } else remove(path);
    if (masks[0]) {
        cj_tensor *c = value_at(m, masks[0], samples), *d = value_at(again, masks[1], samples);
        assert_true(cj_tensor_equal(c, d));
        if (keep) assert_ok(cj, cj_npy_save(cj, arrays[2], c));
        cj_tensor_free(c);
        cj_tensor_free(d);
    }
    cj_tensor_free(a);
    cj_tensor_free(b);
    cj_tensor_free(samples);
    cj_model_free(again);
    cj_model_free(m);
}

static void in_files(void **state)
{
    (void)state;
    for (int i = 0; i < (int)(sizeof files / sizeof *files); i++)
        save_and_load(CJ_BUILD_DIR, i, false);
}

/* A file whose list of masks is not that of its outputs. */
static void damaged_files(void **state)
{
    (void)state;
    static const char list[] = "[\"y_mask\"]";
    static const char *const others[] = {"[\"x_mask\"]", "[\"y_mask\" ", "[\"\"      ]",
                                         "[\"\",\"\",17]", "{\"y\":1   }"};
    char path[600];
    unsigned char bytes[1 << 16];
    snprintf(path, sizeof path, "%s/test_masking.onnx", CJ_BUILD_DIR);
    cj_model *m = cj_model_from_text(cj, "input 6 2, masking, dense 3", NULL, 3);
    assert_ok(cj, cj_save(m, path));
    FILE *f = fopen(path, "rb");
    size_t size = fread(bytes, 1, sizeof bytes, f), at = 0, length = sizeof list - 1;
    fclose(f);
    remove(path);
    while (at + length < size && memcmp(bytes + at, list, length)) at++;
    assert_true(at + length < size);
    cj_model *again = cj_load_memory(cj, bytes, size);
    assert_non_null(again);
    cj_model_free(again);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(strlen(others[i]), length);
        memcpy(bytes + at, others[i], length);
        assert_null(cj_load_memory(cj, bytes, size));
        if (!strstr(cj_message(cj), "cajal.masks")) fail_msg("%s", cj_message(cj));
    }
    cj_model_free(m);
}

/* ---- What is refused ------------------------------------------------------------------------- */

#define WRONG(message, ...) \
    do { \
        cj_model *m = cj_model_new(cj); \
        cj_node *x = cj_input(m, "x", 6, 4), *v = cj_input(m, "v", 5), *made = __VA_ARGS__; \
        (void)x, (void)v; \
        assert_null(made); \
        assert_said(cj, message); \
        cj_model_free(m); \
    } while (0)

static void refused(void **state)
{
    (void)state;
    WRONG("mask: it has size 5 along axis 1, expected 6, as what it masks has",
          cj_with_mask(x, v));
    WRONG("mask: it is of rank 3; 1 to 2, the rank of what it masks, is expected",
          cj_with_mask(v, x));
    WRONG("masking: its input is of rank 1; [batch, ..., numbers] is expected",
          cj_masking(cj_reduce_sum(v, 1, (int64_t[]){1}, false)));
    WRONG("gru: the mask of its input is of rank 3; [batch, steps] is expected",
          cj_gru(cj_with_mask(x, x), .units = 2));
    WRONG("multi_head_attention: the mask of its input is of rank 3; [batch, steps] is expected",
          cj_multi_head_attention(cj_with_mask(x, x), .num_heads = 1, .key_dim = 2));
    WRONG("global_average_pool1d: the mask of its input is of rank 3; [batch, steps] is expected",
          cj_global_average_pool1d(cj_with_mask(x, x)));
    WRONG("mask: it is cj_zero, which has no shape", cj_with_mask(x, cj_zero));
    WRONG("mask: it belongs to another graph",
          cj_with_mask(x, cj_iota(cj_graph_new(cj), CJ_I32, 0, CJ_DIMS(6))));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_of_steps),   cmocka_unit_test(losses_of_samples),
        cmocka_unit_test(as_keras),          cmocka_unit_test(passed_on),
        cmocka_unit_test(beside_nodes),      cmocka_unit_test(attention_masks),
        cmocka_unit_test(batch_statistics),  cmocka_unit_test(free_steps),
        cmocka_unit_test(states_behind_masks), cmocka_unit_test(in_files),
        cmocka_unit_test(refused),           cmocka_unit_test(damaged_files),
    };
    cj = test_context();
    if (argc == 3 && !strcmp(argv[1], "--dump")) {
        for (int i = 0; i < (int)(sizeof files / sizeof *files); i++)
            save_and_load(argv[2], i, true);
        cj_context_free(cj);
        return 0;
    }
    golden = golden_load(cj, "nn/masking.npz");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_tensors_free(golden);
    cj_context_free(cj);
    return failed;
}
