/* test_layers_golden.c: merges, gates, attention between sequences, preprocessing, changes of shape
 * and normalised kernels against Keras's formulas and torch's own (tools/golden/layers.py), results
 * and gradients, in double and float, on the best backend and the reference; what noise does in
 * training, and only there; what these layers refuse. */
#include "nn_golden.h"

#include "nn/model.h"

static cj_context *cj;
static cj_tensors *golden;

static const struct {
    const char *name, *layer, *options;
} cases[] = {
    {"add", "add", ""},
    {"subtract", "subtract", ""},
    {"multiply", "multiply", ""},
    {"average", "average", ""},
    {"maximum", "maximum", ""},
    {"minimum", "minimum", ""},
    {"concatenate", "concatenate", "axis=1"},
    {"dot", "dot", "axes=1"},
    {"dot_matrix", "dot", "axes=[2, 1]"},
    {"dot_cosine", "dot", "axes=[1, 2], normalize=true"},
    {"dot_uneven", "dot", "axes=[2, 1]"},
    {"permute", "permute", "dims=[3, 1, 2]"},
    {"repeat_vector", "repeat_vector", "n=3"},
    {"prelu", "prelu", ""},
    {"prelu_shared", "prelu", "shared_axes=[1]"},
    {"highway", "highway", "activation=tanh"},
    {"experts", "mixture_of_experts", "units=3, experts=4, activation=tanh"},
    {"experts_all", "mixture_of_experts", "units=3, experts=4, top_k=9, no_bias=true"},
    {"rescaling", "rescaling", "scale=0.5, offset=-3"},
    {"normalization", "normalization", "mean=[1, -2, 3], variance=[4, 0.25, 1e-20]"},
    {"normalization_inverse", "normalization",
     "mean=[1, -2, 3], variance=[4, 0.25, 1e-20], invert=true"},
    {"discretization", "discretization", "bin_boundaries=[-1, 0, 0.5]"},
    {"integer_lookup", "integer_lookup", "vocabulary=[7, 2, -1]"},
    {"multi_hot", "category_encoding", "num_tokens=5"},
    {"count", "category_encoding", "num_tokens=5, output_mode=count"},
    {"einsum_plain", "einsum_dense",
     "equation=\"ab,bc->ac\", output_shape=3, bias_axes=c, activation=tanh"},
    {"einsum_sequence", "einsum_dense",
     "equation=\"abc,cd->abd\", output_shape=[0, 5], bias_axes=d"},
    {"einsum_dots", "einsum_dense", "equation=\"...x,xy->...y\", output_shape=5, bias_axes=y"},
    {"einsum_heads", "einsum_dense",
     "equation=\"abc,cde->abde\", output_shape=[3, 2, 3], bias_axes=de"},
    {"einsum_steps", "einsum_dense",
     "equation=\"abc,bcd->abd\", output_shape=[-1, 2], bias_axes=b"},
    {"einsum_behind", "einsum_dense",
     "equation=\"ab...,bc->ac...\", output_shape=5, bias_axes=c"},
    {"einsum_no_bias", "einsum_dense", "equation=\"abc,dc->adb\", output_shape=[2, 3]"},
#define KNOWN \
    "vocabulary=\"red, green, blue, 'dark, blue', \\\"it's\\\", ä, a longer text than fits\""
    {"string", "string_lookup", KNOWN},
    {"string_one", "string_lookup", KNOWN},
    {"string_mask", "string_lookup", KNOWN ", num_oov_indices=3, mask_token=\"\""},
    {"string_none", "string_lookup", KNOWN ", num_oov_indices=0"},
    {"string_count", "string_lookup", KNOWN ", mask_token=re, output_mode=count"},
    {"string_multi_hot", "string_lookup", KNOWN ", num_oov_indices=2, output_mode=multi_hot"},
    {"string_one_hot", "string_lookup", KNOWN ", num_oov_indices=-1, output_mode=one_hot"},
#undef KNOWN
#define KNOWN "vocabulary=[7, 2, -1, 9007199254740992]"
    {"integer_oov", "integer_lookup", KNOWN ", num_oov_indices=3"},
    {"integer_mask", "integer_lookup", KNOWN ", num_oov_indices=2, mask_token=0"},
    {"integer_none", "integer_lookup", KNOWN ", num_oov_indices=0, mask_token=[9]"},
    {"integer_count", "integer_lookup",
     KNOWN ", num_oov_indices=2, mask_token=0, output_mode=count"},
    {"integer_one_hot", "integer_lookup", KNOWN ", output_mode=one_hot"},
    {"integer_invert", "integer_lookup", KNOWN ", num_oov_indices=2, mask_token=0, invert=true"},
#undef KNOWN
    {"hashing", "hashing", "num_bins=10"},
    {"hashing_salt", "hashing", "num_bins=1000003, salt=133"},
    {"hashing_one", "hashing", "num_bins=1, salt=5, mask_value=0"},
    {"hashing_mask", "hashing", "num_bins=5, salt=9007199254740992, mask_value=-1"},
    {"hashing_count", "hashing", "num_bins=4, salt=1, output_mode=count"},
    {"hashing_text", "hashing", "num_bins=10"},
    {"hashing_text_salt", "hashing", "num_bins=2147483647, salt=7, text=true"},
    {"hashing_text_mask", "hashing",
     "num_bins=3, salt=1, mask_value=\"\", output_mode=multi_hot"},
    {"one_hot", "category_encoding", "num_tokens=5, output_mode=one_hot"},
    {"unit", "unit_normalization", ""},
    {"unit_axis", "unit_normalization", "axis=1"},
    {"bicubic", "up_sampling2d", "size=[2, 3], interpolation=bicubic"},
    {"bicubic_1d", "up_sampling1d", "size=4, interpolation=bicubic"},
    {"conv_lstm1d", "conv_lstm1d", "filters=2, kernel=3"},
    {"conv_lstm1d_back", "conv_lstm1d",
     "filters=2, kernel=2, padding=same, dilation=2, go_backwards=true, return_sequences=true, "
     "activation=sigmoid, recurrent_activation=hard_sigmoid"},
    {"conv_lstm2d", "conv_lstm2d",
     "filters=2, kernel=[3, 2], strides=[2, 1], padding=same, return_sequences=true"},
    {"conv_lstm3d", "conv_lstm3d", "filters=1, kernel=2, no_bias=true"},
    {"time_distributed", "time_distributed", "layer=[dense 3 tanh, repeat_vector 2]"},
    {"residual", "residual", "layers=[dense 4 tanh], shortcut=[dense(4)], activation=relu"},
    {"residual_plain", "residual", "layers=dense(3)"},
    {"attention_cross", "multi_head_attention", "num_heads=2, key_dim=3"},
    {"attention_value_key", "multi_head_attention", "num_heads=2, key_dim=3"},
    {"attention_no_bias", "multi_head_attention", "num_heads=2, key_dim=3, no_bias=true"},
    {"lstm_peepholes", "lstm", "units=3, return_sequences=true, peepholes=true"},
    {"lstm_peepholes_both", "lstm", "units=2, bidirectional=true, peepholes=true"},
    {"dense_spectral", "dense", "units=3, kernel_normalization=spectral"},
    {"conv_spectral", "conv2d",
     "filters=6, kernel=[3, 2], groups=2, kernel_normalization=spectral"},
    {"transpose_spectral", "conv2d_transpose",
     "filters=3, kernel=2, strides=2, kernel_normalization=spectral"},
    {"depthwise_spectral", "depthwise_conv1d",
     "kernel=2, depth_multiplier=2, kernel_normalization=spectral"},
    {"dense_weight", "dense", "units=3, kernel_normalization=weight"},
    {"conv_weight", "conv1d", "filters=3, kernel=3, kernel_normalization=weight"},
    {"transpose_weight", "conv1d_transpose",
     "filters=3, kernel=2, strides=2, kernel_normalization=weight"},
};

enum { INPUTS = 3, WRT = INPUTS + 8 };

/* The model's dtype has its numbers; whole numbers stay. */
static cj_dtype dtype_of(const cj_tensor *t, cj_dtype dtype)
{
    return cj_dtype_info(cj_tensor_dtype(t))->kind == CJ_KIND_FLOAT ? dtype : cj_tensor_dtype(t);
}

static void set_parameter(cj_store *store, const char *name, const cj_tensor *value)
{
    cj_tensor *t = cj_store_get(store, name);
    void *to = cj_tensor_map(t, CJ_MAP_WRITE);
    assert_int_equal(cj_tensor_count(t), cj_tensor_count(value));
    for (int64_t i = 0; i < cj_tensor_count(t); i++)
        cj_store_f64(cj_tensor_dtype(t), to, (size_t)i,
                     cj_load_f64(CJ_F64, cj_tensor_map_read(value), (size_t)i));
    cj_tensor_unmap(t);
}

static void check(const char *name, const char *layer, const char *options, cj_dtype dtype,
                  const char *backend)
{
    const double tolerance = dtype == CJ_F64 ? 1e-10 : 1e-5;
    char part[64], what[200];
    cj_model *m = cj_model_new(cj);
    cj_model_set_dtype(m, dtype);
    cj_graph *g = cj_model_graph(m);
    cj_node *x[INPUTS], *wrt[WRT], *d[WRT] = {NULL};
    cj_feed feeds[INPUTS + 1];
    const char *keys[WRT];
    int n = 0, n_wrt = 0;
    for (const cj_tensor *t; n < INPUTS; n++) {
        static const char *const names[] = {"x0", "x1", "x2"};
        if (!(t = golden_find(golden, name, names[n]))) break;
        x[n] = batch_placeholder(g, names[n], dtype_of(t, dtype), t);
        feeds[n] = (cj_feed){x[n], cj_tensor_cast(t, cj_node_dtype(x[n]))};
        if (cj_dtype_info(cj_node_dtype(x[n]))->kind != CJ_KIND_FLOAT) continue;
        keys[n_wrt] = names[n];
        wrt[n_wrt++] = x[n];
    }
    cj_node *y = cj_layer_apply(x, n, layer, options);
    if (!y) fail_msg("%s: %s", name, cj_message(cj));
    static const char *const parameters[] = {"alpha",       "kernel",           "bias",
                                             "gate_bias",   "gate_kernel",      "recurrent_kernel",
                                             "dense/kernel", "dense/bias",      "dense_1/kernel",
                                             "dense_1/bias", "kernel_length",    "query_kernel",
                                             "key_kernel",  "value_kernel",     "output_kernel",
                                             "query_bias",  "key_bias",         "value_bias",
                                             "output_bias", "peepholes",        "backward_kernel",
                                             "backward_recurrent_kernel",       "backward_bias",
                                             "backward_peepholes"};
    static char p_keys[CJ__COUNT(parameters)][32];
    int n_parameters = 0;
    for (size_t i = 0; i < CJ__COUNT(parameters); i++) {
        snprintf(p_keys[i], sizeof p_keys[i], "p_%s", parameters[i]);
        const cj_tensor *value = golden_find(golden, name, p_keys[i]);
        if (!value) continue;
        if (strchr(parameters[i], '/')) snprintf(part, sizeof part, "%s", parameters[i]);
        else snprintf(part, sizeof part, "%s/%s", layer, parameters[i]);
        set_parameter(cj_model_store(m), part, value);
        keys[n_wrt] = p_keys[i];
        wrt[n_wrt++] = cj_find_variable(g, part);
        n_parameters++;
    }
    assert_int_equal(cj_graph_parameter_count(g), n_parameters);
    cj_tensor *c = golden_find(golden, name, "c"), *out[1 + WRT] = {NULL};
    cj_compile_opts o = {.struct_size = sizeof o, .outputs = {y}};
    int n_feeds = n, n_out = 1;
    if (c) {
        cj_node *cotangent = batch_placeholder(g, "c", dtype, c);
        feeds[n_feeds++] = (cj_feed){cotangent, cj_tensor_cast(c, dtype)};
        assert_ok(cj, cj_vjp(&y, &cotangent, 1, wrt, n_wrt, d));
        for (int i = 0; i < n_wrt; i++) o.outputs[n_out++] = cj_zero_as(d[i], wrt[i]);
    }
    cj_program *program = (cj_compile)(g, &o);
    if (!program) fail_msg("%s: %s", name, cj_message(cj));
    cj_session *s = cj_session_new_opts(program, cj_model_store(m),
                                        &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                           .backend = backend});
    if (cj_run(s, feeds, n_feeds, out, n_out)) fail_msg("%s: %s", name, cj_session_message(s));
    for (int i = 0; i < n_out; i++) {
        snprintf(part, sizeof part, i ? "d_%s" : "y", i ? keys[i - 1] : "");
        snprintf(what, sizeof what, "%s: %s in %s on %s", name, part, cj_dtype_info(dtype)->name,
                 backend ? backend : "best");
        assert_near(what, out[i], golden_get(golden, name, part), tolerance);
        cj_tensor_free(out[i]);
    }
    for (int i = 0; i < n_feeds; i++) cj_tensor_free((cj_tensor *)feeds[i].value);
    cj_session_free(s);
    cj_program_free(program);
    cj_model_free(m);
}

static void as_keras(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int b = 0; b < 2; b++) {
            check(cases[i].name, cases[i].layer, cases[i].options, CJ_F64, backends[b]);
            check(cases[i].name, cases[i].layer, cases[i].options, CJ_F32, backends[b]);
        }
}

/* ---- Noise ----------------------------------------------------------------------------------- */

enum { ROWS = 200, COLUMNS = 500, N = ROWS * COLUMNS };

/* What a layer makes of N numbers x, training or not. */
static void run_noise(const char *layer, const char *options, bool training, const float *x,
                      float *y)
{
    cj_model *m = cj_model_new(cj);
    cj_node *in = cj_input(m, "x", COLUMNS), *out = cj_layer_apply(&in, 1, layer, options);
    if (!out) fail_msg("%s: %s", layer, cj_message(cj));
    cj_program *p = cj_compile(cj_model_graph(m), .outputs = {out}, .training = training);
    cj_session *s = cj_session_new(p, cj_model_store(m));
    cj_tensor *values = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){ROWS, COLUMNS}, x), *t = NULL;
    assert_ok(cj, cj_run(s, (cj_feed[]){{in, values}}, 1, &t, 1));
    memcpy(y, cj_tensor_map_read(t), N * sizeof *y);
    cj_tensor_free(t);
    cj_tensor_free(values);
    cj_session_free(s);
    cj_program_free(p);
    cj_model_free(m);
}

static void moments(const float *x, double *mean, double *deviation)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) sum += (double)x[i];
    *mean = sum / N;
    for (int i = 0; i < N; i++) squares += ((double)x[i] - *mean) * ((double)x[i] - *mean);
    *deviation = sqrt(squares / N);
}

/* Within five deviations of what N samples tell of the mean and the deviation of a normal law. */
static void assert_moments(const char *what, const float *x, double mean, double deviation)
{
    double m, s;
    moments(x, &m, &s);
    if (!(fabs(m - mean) <= 5 * deviation / sqrt(N)) ||
        !(fabs(s - deviation) <= 5 * deviation / sqrt(2.0 * N)))
        fail_msg("%s: mean %g, deviation %g; expected %g, %g", what, m, s, mean, deviation);
}

static void noise(void **state)
{
    (void)state;
    static float x[N], y[N], normal[N];
    for (int i = 0; i < N; i++) x[i] = (float)(i % 7);
    static const char *const layers[][2] = {{"gaussian_noise", "stddev=0.5"},
                                            {"gaussian_dropout", "rate=0.2"},
                                            {"alpha_dropout", "rate=0.3"}};
    for (int k = 0; k < 3; k++) { /* nothing outside of training */
        run_noise(layers[k][0], layers[k][1], false, x, y);
        assert_memory_equal(x, y, sizeof x);
    }
    run_noise("gaussian_noise", "stddev=0.5", true, x, y);
    for (int i = 0; i < N; i++) normal[i] = y[i] - x[i];
    assert_moments("gaussian_noise", normal, 0, 0.5);
    for (int i = 0; i < N; i++) x[i] = 2;
    run_noise("gaussian_dropout", "rate=0.2", true, x, y);
    assert_moments("gaussian_dropout", y, 2, 2 * 0.5); /* sqrt(0.2 / 0.8) */
    for (int i = 0; i < N; i++) normal[i] = (normal[i] - 0) / 0.5f; /* mean 0, deviation 1 */
    run_noise("alpha_dropout", "rate=0.3", true, normal, y);
    assert_moments("alpha_dropout", y, 0, 1);
    int dropped = 0;
    const double v = -1.7580993408473766, a = 1 / sqrt(0.7 * (1 + 0.3 * v * v)),
                 low = a * v - a * 0.3 * v;
    for (int i = 0; i < N; i++) dropped += fabs((double)y[i] - low) < 1e-5;
    assert_true(fabs(dropped - 0.3 * N) <= 5 * sqrt(0.21 * N) + 5); /* and a few by chance */
}

/* l1 sum |x| + l2 sum x^2 of a sample, mean over samples. */
static void price_of_activity(void **state)
{
    (void)state;
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_input(m, "x", 2, 2);
    cj_node *y = cj_activity_regularization(x, .l1 = 0.5, .l2 = 0.25);
    cj_output(m, "y", y);
    const cj__layers *layers = cj__layers_of(cj_model_graph(m));
    assert_int_equal(layers->n_losses, 2);
    cj_program *p = cj_compile(cj_model_graph(m),
                               .outputs = {cj_add(layers->losses[0], layers->losses[1]), y});
    cj_session *s = cj_session_new(p, cj_model_store(m));
    const float values[] = {1, -2, 3, 0, 0, 0, 0, 4};
    cj_tensor *t = cj_tensor_from(cj, CJ_F32, 3, (int64_t[]){2, 2, 2}, values), *out[2] = {NULL};
    assert_ok(cj, cj_run(s, (cj_feed[]){{x, t}}, 1, out, 2));
    assert_float_equal(value_of(cj, out[0], 0), 0.5 * (6 + 4) / 2 + 0.25 * (14 + 16) / 2, 1e-6);
    assert_true(cj_tensor_equal(out[1], t));
    for (int i = 0; i < 2; i++) cj_tensor_free(out[i]);
    cj_tensor_free(t);
    cj_session_free(s);
    cj_program_free(p);
    cj_model_free(m);
}

/* The load is even: 1; all on one of four: 4, times the option. */
static void load_of_experts(void **state)
{
    (void)state;
    for (int one = 0; one < 2; one++) {
        cj_model *m = cj_model_new(cj);
        cj_node *x = cj_input(m, "x", 4);
        cj_node *y = cj_mixture_of_experts(x, .units = 2, .experts = 4, .top_k = 1,
                                           .load_balancing = 0.5, .name = "e");
        cj_output(m, "y", y);
        cj_tensor *gate = cj_store_get(cj_model_store(m), "e/gate_kernel");
        float *w = cj_tensor_map(gate, CJ_MAP_WRITE);
        for (int i = 0; i < 16; i++) w[i] = (one ? i % 4 == 2 : i / 4 == i % 4) ? 50.0f : 0.0f;
        cj_tensor_unmap(gate);
        const cj__layers *layers = cj__layers_of(cj_model_graph(m));
        assert_int_equal(layers->n_losses, 1);
        cj_program *p = cj_compile(cj_model_graph(m), .outputs = {layers->losses[0]});
        cj_session *s = cj_session_new(p, cj_model_store(m));
        float values[16];
        for (int i = 0; i < 16; i++) values[i] = i / 4 == i % 4;
        cj_tensor *t = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){4, 4}, values), *out = NULL;
        assert_ok(cj, cj_run(s, (cj_feed[]){{x, t}}, 1, &out, 1));
        assert_float_equal(value_of(cj, out, 0), 0.5 * (one ? 4 : 1), 1e-6);
        cj_tensor_free(out);
        cj_tensor_free(t);
        cj_session_free(s);
        cj_program_free(p);
        cj_model_free(m);
    }
}

/* ---- What is refused ------------------------------------------------------------------------- */

static void refused(void **state)
{
    (void)state;
    static const struct {
        int n;
        const char *layer, *options, *message;
    } wrong[] = {
        {3, "subtract", "", "subtract: two inputs are expected, found 3"},
        {3, "dot", "axes=1", "dot: two inputs are expected, found 3"},
        {2, "dot", "", NULL},
        {2, "dot", "axes=3", "dot: axis 3 of an input of rank 3"},
        {2, "dot", "axes=[1, 2]", NULL}, /* 3 and 4 numbers */
        {1, "permute", "dims=[1, 1]",
         "permute: dims are to name each of the sample's 2 axes once, from 1"},
        {1, "permute", "dims=[2]",
         "permute: dims are to name each of the sample's 2 axes once, from 1"},
        {1, "permute", "dims=[2, 1, 3]",
         "permute: dims are to name each of the sample's 2 axes once, from 1"},
        {1, "repeat_vector", "n=2",
         "repeat_vector: its input is of rank 3; [batch, numbers] is expected"},
        {1, "repeat_vector", "", NULL},
        {1, "gaussian_noise", "", NULL},
        {1, "gaussian_noise", "stddev=-1", NULL},
        {1, "gaussian_dropout", "rate=1",
         "gaussian_dropout: rate=1 leaves nothing; less than 1 is expected"},
        {1, "alpha_dropout", "rate=1",
         "alpha_dropout: rate=1 leaves nothing; less than 1 is expected"},
        {1, "alpha_dropout", "rate=1.5", NULL},
        {1, "prelu", "shared_axes=[3]", "prelu: shared axis 3 of samples of rank 2"},
        {1, "prelu", "alpha_initializer=wrong", NULL},
        {1, "highway", "activation=wrong", NULL},
        {1, "mixture_of_experts", "units=2", NULL},
        {1, "mixture_of_experts", "units=2, experts=3, top_k=0", NULL},
        {1, "normalization", "mean=[1, 2], variance=[1, 2]",
         "normalization: mean has 2 numbers, expected one, or 4 as the last axis has"},
        {1, "normalization", "mean=[1]",
         "normalization: variance has 0 numbers, expected one, or 4 as the last axis has"},
        {1, "normalization", "mean=[1], variance=[-1]", NULL},
        {1, "discretization", "", "discretization: bin_boundaries are required"},
        {1, "discretization", "bin_boundaries=[1, 1]",
         "discretization: bin_boundaries[1]=1 is not above 1 before it"},
        {1, "integer_lookup", "", "integer_lookup: a vocabulary is required"},
        {1, "integer_lookup", "vocabulary=[3, 4, 3]",
         "integer_lookup: 3 is in the vocabulary twice"},
        {1, "integer_lookup", "vocabulary=[3, 4], mask_token=[1, 2]",
         "integer_lookup: mask_token has 2 numbers, expected one"},
        {1, "integer_lookup", "vocabulary=[3, 4], mask_token=4",
         "integer_lookup: 4 is in the vocabulary twice"},
        {1, "integer_lookup", "vocabulary=[3, 4], invert=true, output_mode=count",
         "integer_lookup: invert gives numbers: output_mode=int is expected, not count"},
        {1, "string_lookup", "", "string_lookup: a vocabulary is required"},
        {1, "string_lookup", "vocabulary=\"a, b, a\"",
         "string_lookup: 'a' is in the vocabulary twice"},
        {1, "string_lookup", "vocabulary=\"a, b\", mask_token=b",
         "string_lookup: 'b' is in the vocabulary twice"},
        {1, "string_lookup", "vocabulary=\"a, (b\"",
         "string_lookup: vocabulary='(b': a closing bracket is missing"},
        {1, "string_lookup", "vocabulary=a, output_mode=two_hot", NULL},
        {1, "hashing", "", NULL},
        {1, "hashing", "num_bins=3, mask_value=a",
         "hashing: mask_value='a' is not a whole number, as the input's are"},
        {1, "einsum_dense", "",
         "einsum_dense: '' is no equation such as \"ij,jk->ik\""},
        {1, "einsum_dense", "equation=\"abc->ab\"",
         "einsum_dense: 'abc->ab' is not of the form \"input,kernel->result\", the kernel without "
         "'...'"},
        {1, "einsum_dense", "equation=\"abc,cd\"",
         "einsum_dense: 'abc,cd' is not of the form \"input,kernel->result\", the kernel without "
         "'...'"},
        {1, "einsum_dense", "equation=\"ab,bc->ac\", output_shape=3",
         "einsum_dense: its input is of rank 3, with the batch; 'ab,bc->ac' has 2 letters for it"},
        {1, "einsum_dense", "equation=\"abc,cd->abd\", output_shape=3",
         "einsum_dense: output_shape has 1 number; 'abc,cd->abd' needs 2"},
        {1, "einsum_dense", "equation=\"abc,cd->abd\"",
         "einsum_dense: the size of 'd' is neither the input's nor in output_shape"},
        {1, "einsum_dense", "equation=\"abc,cde->abd\", output_shape=[0, 2]",
         "einsum_dense: the size of 'e' is neither the input's nor in output_shape"},
        {1, "einsum_dense", "equation=\"abc,cd->abd\", output_shape=[2, 3]",
         "einsum_dense: output_shape has another size of a letter than the input"},
        {1, "einsum_dense", "equation=\"abc,cd->abd\", output_shape=[0, 3], bias_axes=c",
         "einsum_dense: bias_axes='c' has 'c', which is no letter of the result"},
        {1, "einsum_dense", "equation=\"abc,cd->abd\", output_shape=[0, 3], bias_axes=a",
         "einsum_dense: dimension 0 of 'bias' is not a known number"},
        {1, "category_encoding", "", NULL},
        {1, "category_encoding", "num_tokens=3, output_mode=some", NULL},
        {1, "unit_normalization", "axis=3", NULL},
        {1, "spatial_dropout1d", "rate=1",
         "spatial_dropout1d: rate=1 leaves nothing; less than 1 is expected"},
        {1, "spatial_dropout2d", "rate=0.5",
         "spatial_dropout2d: its input is of rank 3; batch, 2 spatial axes and channels are "
         "expected"},
        {1, "conv_lstm1d", "filters=2, kernel=2",
         "conv_lstm1d: its input is of rank 3 and has 4 as last size; [batch, steps, time, "
         "channels] is expected"},
        {1, "conv_lstm1d", "filters=2", NULL},
        {1, "residual", "", "residual: layers is required: [dense 8, dropout 0.5]"},
        {1, "residual", "layers=[dense 5]",
         "residual: its layers give [batch, 3, 5], the way around them [batch, 3, 4]; one shape is "
         "expected (shortcut=[...] changes it)"},
        {1, "residual", "layers=[dense 1]", NULL}, /* an addition would broadcast it */
        {1, "residual", "layers=[dense 4, dens 4]", NULL},
        {1, "residual", "layers=[dense 4,]", "layers: layer 2 of the model is empty"},
        {1, "residual", "layers=[input 4]", NULL},
        {1, "time_distributed", "", "time_distributed: layer is required: [dense 8, dropout 0.5]"},
        {1, "time_distributed", "layer=add",
         "add: it takes two or more inputs; in text, layers follow one another"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cj_model *m = cj_model_new(cj);
        cj_node *x[3];
        for (int k = 0; k < 3; k++) {
            char name[8];
            snprintf(name, sizeof name, "x%d", k);
            x[k] = cj_model_input(m, name, 2, (int64_t[]){3, 4});
        }
        if (cj_layer_apply(x, wrong[i].n, wrong[i].layer, wrong[i].options))
            fail_msg("%s(%s) was built", wrong[i].layer, wrong[i].options);
        assert_int_not_equal(cj_model_failed(m), CJ_OK);
        if (wrong[i].message) assert_said(cj, wrong[i].message);
        cj_model_free(m);
    }
}

int main(void)
{
    cj = test_context();
    golden = golden_load(cj, "nn/layers.npz");
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_keras), cmocka_unit_test(noise),
                                       cmocka_unit_test(price_of_activity),
                                       cmocka_unit_test(load_of_experts),
                                       cmocka_unit_test(refused)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_tensors_free(golden);
    cj_context_free(cj);
    return failed;
}
