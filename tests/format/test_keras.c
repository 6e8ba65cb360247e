/* test_keras.c: models as Keras 2 and Keras 3 write them (tools/golden/keras_files.py) give what
 * Keras's formulas give, run on any backend, are saved as ONNX, and are trained on; and what is
 * wrong with a file is said. */
#include "format_support.h"

#include <math.h>

#include <cajal/cajal.h>

#if defined(CJ_CORE)
int main(void) { return 77; } /* the core build has no Keras */
#else
#include "base/registry.h"
#include "base/strings.h"
#include "format/keras/keras.h"

static const char *const backends[] = {NULL, "reference"};
static const char *const kinds[] = {"h5", "keras"};

/* ---- What models give ------------------------------------------------------------------------ */

enum { MOST = 64 };

/* Largest difference of output i over the largest number expected, and 1. */
static double difference(const cj_tensor *y, const cj_tensor *expected)
{
    const void *a = cj_tensor_map_read(y), *b = cj_tensor_map_read(expected);
    double worst = 0, largest = 1;
    assert_int_equal(cj_tensor_rank(y), cj_tensor_rank(expected));
    for (int i = 0; i < cj_tensor_rank(y); i++)
        assert_int_equal(cj_tensor_shape(y)[i], cj_tensor_shape(expected)[i]);
    for (size_t i = 0; i < (size_t)cj_tensor_count(y); i++) {
        const double e = cj_load_f64(cj_tensor_dtype(expected), b, i);
        largest = fmax(largest, fabs(e));
        worst = fmax(worst, fabs(cj_load_f64(cj_tensor_dtype(y), a, i) - e));
    }
    cj_tensor_unmap(y);
    cj_tensor_unmap(expected);
    return worst / largest;
}

/* How many texts are others. */
static double texts_differ(const cj_tensor *y, const cj_tensor *expected)
{
    int n = 0;
    assert_int_equal(cj_tensor_count(y), cj_tensor_count(expected));
    for (int64_t i = 0; i < cj_tensor_count(y); i++)
        n += strcmp(cj_tensor_string(y, i), cj_tensor_string(expected, i)) != 0;
    return n;
}

static void run_graph(cj_context *cj, cj_graph *g, const char *name, const char *backend,
                      double tolerance)
{
    char path[512], what[64];
    cj_tensors *list;
    cj_feed feeds[MOST];
    cj_tensor *out[MOST] = {NULL};
    const int n = cj_graph_input_count(g), n_out = cj_graph_output_count(g);
    snprintf(what, sizeof what, "keras/%s.npz", name);
    assert_int_equal(cj_npz_load(cj, golden_path(path, what), &list), CJ_OK);
    assert_int_equal(cj_tensors_count(list), n + n_out);
    for (int i = 0; i < n; i++) {
        snprintf(what, sizeof what, "in%d", i);
        feeds[i] = (cj_feed){cj_graph_input_at(g, i), cj_tensors_find(list, what)};
    }
    cj_program *program = cj_compile(g, .training = false);
    cj_session_opts opts = {.struct_size = sizeof opts, .backend = backend};
    cj_session *s = program ? cj_session_new_opts(program, cj_graph_store(g), &opts) : NULL;
    if (!s) fail_msg("%s: %s", name, cj_message(cj));
    if (cj_run(s, feeds, n, out, n_out)) fail_msg("%s: %s", name, cj_session_message(s));
    for (int i = 0; i < n_out; i++) {
        snprintf(what, sizeof what, "out%d", i);
        const cj_tensor *expected = cj_tensors_find(list, what);
        const double d = cj_tensor_dtype(out[i]) == CJ_STRING ? texts_differ(out[i], expected)
                                                              : difference(out[i], expected);
        if (!(d <= tolerance))
            fail_msg("%s, output %d '%s': relative difference %g, tolerance %g", name, i,
                     cj_graph_output_name(g, i), d, tolerance);
        cj_tensor_free(out[i]);
    }
    cj_session_free(s);
    cj_program_free(program);
    cj_tensors_free(list);
}

/* Doubles but for two, as most files are: there floats. */
static const char *const names[] = {
    "images",     "lines",    "recurrent", "attention", "activations", "branches",  "sequential",
    "cells",      "others",   "nested",    "rare",      "texts",       "operators", "scores",
    "many_heads", "variants", "zeroed",    "indices",   "local",       "wrapped",   "documents"};
static const char *const old_names[] = {"cudnn", "old", "older", "oldest"}; /* only as .h5 */
static const char *const new_names[] = {"adapted", "gates", "learned"}; /* only as .keras */
static double tolerance_of(size_t i) { return i == 6 ? 1e-5 : 1e-10; }

static void check_file(const char *name, const char *kind, double tolerance)
{
    for (int backend = 0; backend < 2; backend++) {
        char path[512], file[64];
        cj_context *cj = cj_context_new(NULL);
        snprintf(file, sizeof file, "keras/%s.%s", name, kind);
        cj_graph *g = cj_load_graph(cj, golden_path(path, file), NULL);
        if (!g) fail_msg("%s", cj_message(cj));
        run_graph(cj, g, name, backends[backend], tolerance);
        cj_graph_free(g);
        const int64_t texts = cj__strings_bytes(cj); /* stay as long as the context */
        assert_int_equal(cj_memory_used(cj), texts);
        cj_context_free(cj);
    }
}

static void models_give_what_keras_gives(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int kind = 0; kind < 2; kind++) check_file(names[i], kinds[kind], tolerance_of(i));
    for (size_t i = 0; i < sizeof old_names / sizeof *old_names; i++)
        check_file(old_names[i], "h5", 1e-10);
    for (size_t i = 0; i < sizeof new_names / sizeof *new_names; i++)
        check_file(new_names[i], "keras", 1e-10);
}

/* Saved as ONNX and loaded again, they give the same. */
static void models_are_saved(void **state)
{
    static const size_t which[] = {0, 4, 5, 6, 9, 10, 12, 13, 14, 15, 18, 20};
    (void)state;
    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        char path[512], file[64];
        cj_context *cj = cj_context_new(NULL);
        snprintf(file, sizeof file, "keras/%s.keras", names[which[i]]);
        cj_model *m = cj_load(cj, golden_path(path, file));
        if (!m) fail_msg("%s", cj_message(cj));
        snprintf(path, sizeof path, "%s/keras-%s.onnx", CJ_BUILD_DIR, names[which[i]]);
        if (cj_save(m, path)) fail_msg("%s: %s", names[which[i]], cj_message(cj));
        cj_graph *g = cj_load_graph(cj, path, NULL);
        if (!g) fail_msg("%s", cj_message(cj));
        /* Attributes of ONNX's operators, such as Selu's, are floats. */
        run_graph(cj, g, names[which[i]], NULL, fmax(tolerance_of(which[i]), 1e-7));
        remove(path);
        cj_context_free(cj);
    }
}

/* Layers keep their names; two calls of one layer, or of a model, have the weights of one. */
static void layers_keep_their_names(void **state)
{
    char path[512];
    cj_model_counts counts;
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_model *m = cj_load(cj, golden_path(path, "keras/branches.h5"));
    assert_non_null(m);
    cj_store *store = cj_model_store(m);
    assert_non_null(cj_store_get(store, "shared.shared/kernel"));
    assert_non_null(cj_store_get(store, "encoder.shared/kernel"));
    assert_non_null(cj_store_get(store, "encoder.norm/moving_mean"));
    assert_non_null(cj_store_get(store, "tower.two/bias"));
    assert_int_equal(cj_model_count(m, &counts), CJ_OK);
    /* shared 25; encoder 15 + 12 + 8; tower 60 + 10 */
    assert_int_equal(counts.parameters, 25 + 35 + 70);
    cj_context_free(cj);
}

#define INPUT "{\"class_name\":\"InputLayer\",\"config\":{\"name\":\"x\",\"batch_shape\":[null,4]}}"
#define TWO \
    "{\"class_name\":\"Functional\",\"config\":{\"name\":\"m\",\"layers\":[" INPUT "," \
    "{\"class_name\":\"Dense\",\"config\":{\"name\":\"a\",\"units\":2},\"inbound_nodes\":[[[" \
    "\"x\",0,0,{}]]]}," \
    "{\"class_name\":\"Dense\",\"config\":{\"name\":\"b\",\"units\":1},\"inbound_nodes\":[[[" \
    "\"x\",0,0,{}]]]}]," \
    "\"input_layers\":[[\"x\",0,0]],\"output_layers\":[[\"a\",0,0],[\"b\",0,0]]}"
#define ONE \
    "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"m\",\"layers\":[" INPUT "]}"
#define LOSS(kind, config) "{\"class_name\":\"" kind "\",\"config\":" config "}"

static const struct {
    const char *json, *loss, *metrics; /* NULL: none */
} compiled[] = {
    {ONE "}", NULL, NULL},
    {ONE ",\"compile_config\":null}", NULL, NULL},
    {ONE ",\"compile_config\":{\"loss\":\"mse\",\"metrics\":[\"mae\",\"mse\"]}}", "mse",
     "mae, mse"},
    {ONE ",\"compile_config\":{\"loss\":\"mine\",\"metrics\":[\"mine\",\"acc\"]}}", NULL,
     "accuracy"},
    {ONE ",\"compile_config\":{\"loss\":" LOSS("Huber", "{\"delta\":2.5}") "}}", "huber(delta=2.5)",
     NULL},
    {ONE ",\"compile_config\":{\"loss\":" LOSS(
         "CategoricalCrossentropy", "{\"from_logits\":true,\"label_smoothing\":0.1}") "}}",
     "sparse_categorical_crossentropy(from_logits=true, label_smoothing=0.1)", NULL},
    {ONE ",\"compile_config\":{\"loss\":" LOSS("MeanSquaredError", "{\"reduction\":\"sum\"}") "}}",
     NULL, NULL},
    {ONE ",\"compile_config\":{\"loss\":" LOSS(
         "function",
         "\"mean_squared_error\"") ",\"metrics\":{\"y\":[" LOSS("AUC", "{\"name\":\"auc\"}") "]}}}",
     "mse", "roc_auc"},
    {TWO ",\"compile_config\":{\"loss\":\"mae\",\"metrics\":[\"mse\"]}}", "mae", NULL},
    {TWO ",\"compile_config\":{\"loss\":[\"mae\",\"mse\"],\"loss_weights\":[1,0.5]}}",
     "a: mae, b: 0.5 * mse", NULL},
    {TWO ",\"compile_config\":{\"loss\":{\"b\":\"mae\",\"a\":\"mse\"},\"loss_weights\":{\"a\":2}}}",
     "a: 2 * mse, b: mae", NULL},
    {TWO ",\"compile_config\":{\"loss\":{\"b\":\"mae\"}}}", NULL, NULL},
    {TWO ",\"compile_config\":{\"loss\":[\"mae\"]}}", NULL, NULL},
};

static void assert_text(const char *found, const char *expected)
{
    assert_string_equal(found ? found : "(none)", expected ? expected : "(none)");
}

static void losses_and_metrics_are_the_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof compiled / sizeof *compiled; i++) {
        cj_model *m;
        const char *json = compiled[i].json;
        cj_context *cj = cj_context_new(NULL);
        if (cj__keras_read_config(cj, json, strlen(json), 3, &m)) fail_msg("%s", cj_message(cj));
        assert_text(m->loss, compiled[i].loss);
        assert_text(m->metrics, compiled[i].metrics);
        cj_context_free(cj);
    }
    for (int kind = 0; kind < 2; kind++) {
        char path[512], file[64];
        cj_context *cj = cj_context_new(NULL);
        snprintf(file, sizeof file, "keras/sequential.%s", kinds[kind]);
        cj_model *m = cj_load(cj, golden_path(path, file));
        assert_non_null(m);
        assert_text(m->loss, "sparse_categorical_crossentropy");
        assert_text(m->metrics, kind ? "accuracy, mae" : "accuracy");
        cj_context_free(cj);
    }
}

/* What a parameter's configuration says of training. */
static void rules_are_the_files(void **state)
{
#define RULE(kind, config) "{\"class_name\":\"" kind "\",\"config\":" config "}"
    static const struct {
        const char *rules, *regularizer, *constraint; /* of the kernel */
    } cases[] = {
        {"", NULL, NULL},
        {",\"kernel_regularizer\":null", NULL, NULL},
        {",\"kernel_regularizer\":" RULE("L2", "{\"l2\":0.25}"), "l2(l2=0.25)", NULL},
        {",\"kernel_regularizer\":" RULE("L1L2", "{\"l1\":0.5,\"l2\":2}"), "l1_l2(l1=0.5, l2=2)",
         NULL},
        {",\"kernel_regularizer\":" RULE("Mine", "{}"), NULL, NULL},
        {",\"kernel_constraint\":" RULE("NonNeg", "{}"), NULL, "non_neg()"},
        {",\"kernel_constraint\":" RULE("MaxNorm", "{\"max_value\":3,\"axis\":0}"), NULL,
         "max_norm(max_value=3)"},
        {",\"kernel_constraint\":" RULE("MaxNorm", "{\"max_value\":3,\"axis\":1}"), NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cj_model *m;
        char json[1000];
        cj_context *cj = cj_context_new(NULL);
        snprintf(json, sizeof json,
                 "%s,{\"class_name\":\"Dense\",\"config\":{\"name\":\"d\",\"units\":2%s}}]}}",
                 "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"m\",\"layers\":[" INPUT,
                 cases[i].rules);
        if (cj__keras_read_config(cj, json, strlen(json), 3, &m)) fail_msg("%s", cj_message(cj));
        const cj_node *kernel = cj_find_variable(cj_model_graph(m), "d/kernel");
        const cj_graph *g = cj_model_graph(m);
        assert_text(cj__rule_of(g, kernel, CJ__ROW_REGULARIZER), cases[i].regularizer);
        assert_text(cj__rule_of(g, kernel, CJ__ROW_CONSTRAINT), cases[i].constraint);
        cj_context_free(cj);
    }
}

/* ---- What is wrong ----------------------------------------------------------------------------*/

static void wrong_files_are_told(void **state)
{
    static const struct {
        const char *name;
        cj_status status;
        const char *message;
    } files[] = {
        {"shape", CJ_ERR_SHAPE,
         "layer 'dense' (Dense): its kernel is f32 (2, 3) in the file; floats (3, 2) are expected"},
        {"type", CJ_ERR_SHAPE,
         "layer 'dense' (Dense): its kernel is i32 (3, 2) in the file; floats (3, 2) are expected"},
        {"missing", CJ_ERR_NOT_FOUND, "layer 'dense' (Dense): its bias is not in the file"},
        {"more", CJ_ERR_DATA,
         "layer 'dense' (Dense): it has more weights in the file than the 2 expected"},
        {"weights-only", CJ_ERR_DATA,
         "an HDF5 file without the attribute model_config: it holds weights alone (save_weights), "
         "not the model they are of"},
        {"nothing", CJ_ERR_DATA,
         "an HDF5 file without the attribute model_config: Keras did not write a model into it"},
        {"bomb", CJ_ERR_LIMIT,
         "layer 'dense' (Dense): dense: 'kernel': the model has more weights than its file"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[512], name[64], expected[1024];
        cj_context *cj = cj_context_new(NULL);
        snprintf(name, sizeof name, "keras/wrong-%s.h5", files[i].name);
        golden_path(path, name);
        assert_null(cj_load(cj, path));
        snprintf(expected, sizeof expected, "%s: %s", path, files[i].message);
        assert_string_equal(cj_message(cj), expected);
        assert_int_equal(cj_last_status(cj), files[i].status);
        assert_true(cj_memory_peak(cj) < 1 << 20);
        cj_context_free(cj);
    }
}

#define CHAIN(layers) \
    "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"m\",\"layers\":[" INPUT "," layers "]}}"
#define LAYER(kind, config) \
    "{\"class_name\":\"" kind "\",\"config\":{\"name\":\"l\"" config "}}"
#define FUNCTIONAL(layers, in, out) \
    "{\"class_name\":\"Functional\",\"config\":{\"name\":\"m\",\"layers\":[" layers \
    "],\"input_layers\":" in ",\"output_layers\":" out "}}"
#define NODE(config, nodes) \
    "{\"class_name\":\"Dense\",\"config\":{" config "\"units\":2},\"inbound_nodes\":" nodes "}"

#define WRAPPED(kind, config) \
    CHAIN(LAYER("RNN", ",\"cell\":{\"class_name\":\"" kind "\",\"config\":{" config "}}"))
#define CELL "\"cell\":" LAYER("GRUCell", ",\"units\":2")
#define TEXTS(config) \
    "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"m\",\"layers\":[{\"class_name\":" \
    "\"InputLayer\",\"config\":{\"name\":\"x\",\"dtype\":\"string\",\"batch_shape\":[null,1]}}" \
    "," LAYER("TextVectorization", config) "]}}"
#define PICTURE(layers) \
    "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"m\",\"layers\":[{\"class_name\":" \
    "\"InputLayer\",\"config\":{\"name\":\"x\",\"batch_shape\":[null,3,4,2]}}," layers "]}}"
#define HEADS(config) \
    "{\"class_name\":\"Functional\",\"config\":{\"name\":\"m\",\"layers\":[{\"class_name\":" \
    "\"InputLayer\",\"config\":{\"name\":\"x\",\"batch_shape\":[null,3,4,2]}},{\"class_name\":" \
    "\"MultiHeadAttention\",\"config\":{\"name\":\"l\"" config "},\"inbound_nodes\":[[[\"x\",0,0," \
    "{}],[\"x\",0,0,{}]]]}],\"input_layers\":[[\"x\",0,0]],\"output_layers\":[[\"l\",0,0]]}}"

static const struct {
    const char *json;
    cj_status status;
    const char *message;
} wrong[] = {
    {"{\"class_name\": 1}", CJ_ERR_DATA, "the model's configuration: no class_name or config"},
    {"{\"class_name\": \"MyModel\", \"config\": {}}", CJ_ERR_UNSUPPORTED,
     "a MyModel has no list of layers: only Sequential and functional models can be read, as "
     "others "
     "are Python code"},
    {CHAIN(LAYER("Lambda", "")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (Lambda): its function is Python code, which is not run; write the model without "
     "it, or with layers in its place"},
    {CHAIN(LAYER("MyLayer", "")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (MyLayer): this class of layer is not known"},
    {CHAIN(LAYER("TFOpLambda", ",\"function\":\"math.segment_sum\"")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (TFOpLambda): the operator 'math.segment_sum' is not read"},
    {CHAIN(LAYER("TFOpLambda", ",\"function\":\"math.add\"")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (TFOpLambda): the operator 'math.add' of other operands than results of layers and "
     "a number"},
    {CHAIN(LAYER("GetItem", "")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (GetItem): a slice of a form that is not read"},
    {CHAIN(LAYER("GetItem", ",\"key\":[0,0,0]")), CJ_ERR_DATA,
     "layer 'l' (GetItem): a slice of more axes than there are"},
    {CHAIN(LAYER("GetItem", ",\"key\":[{\"step\":0}]")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (GetItem): a slice with such a step of a form that is not read"},
    {CHAIN(LAYER("Mean", ",\"axis\":\"x\"")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (Mean): an axis of a form that is not read"},
    {CHAIN(LAYER("Mean", ",\"axis\":5")), CJ_ERR_ARGUMENT,
     "layer 'l' (Mean): reduce_mean: axis 5 is out of range for rank 2 (operand f32[batch, 4])"},
    {CHAIN(LAYER("Transpose", ",\"axes\":[0,0]")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (Transpose): an order of axes of a form that is not read"},
    {CHAIN(LAYER("Cast", ",\"dtype\":\"qint8\"")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (Cast): a type of a form that is not read"},
    {CHAIN("3"), CJ_ERR_DATA, "the model's configuration: a layer without class_name or config"},
    {CHAIN(LAYER("Dense", "")), CJ_ERR_ARGUMENT, "layer 'l' (Dense): dense: units is required"},
    {CHAIN(LAYER("Dense", ",\"units\":-1")), CJ_ERR_ARGUMENT,
     "layer 'l' (Dense): dense: units=-1 is not between 1 and 2147483647"},
    {CHAIN(LAYER("Dense", ",\"units\":2,\"activation\":\"mine\"")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (Dense): the activation 'mine' is not known"},
    {CHAIN(LAYER("LSTM", ",\"units\":2,\"activation\":\"gelu\"")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (LSTM): the activation 'gelu' is not known in a recurrent layer"},
    {CHAIN(LAYER("Dense", ",\"units\":2,\"activation\":{\"class_name\":\"Mine\",\"config\":{}}")),
     CJ_ERR_UNSUPPORTED, "layer 'l' (Dense): an activation that is no function of Keras's own"},
    {CHAIN(LAYER("Dense", ",\"units\":[[2]]")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (Dense): units of a form that is not read"},
    {CHAIN(LAYER("Conv2D", ",\"filters\":2,\"kernel_size\":3")), CJ_ERR_SHAPE,
     "layer 'l' (Conv2D): l: its input is of rank 2 and has 4 as last size; [batch, height, width, "
     "channels] is expected"},
    {CHAIN(LAYER("RNN", ",\"cell\":" LAYER("MyCell", ""))), CJ_ERR_UNSUPPORTED,
     "layer 'l' (MyCell): this class of layer is not known"},
    {CHAIN(LAYER("RNN", ",\"cell\":" LAYER("Dense", ",\"units\":2"))), CJ_ERR_UNSUPPORTED,
     "layer 'l' (RNN): a cell of the class Dense; SimpleRNNCell, LSTMCell and GRUCell are "
     "possible"},
    {WRAPPED("DropoutWrapper", "\"input_keep_prob\":0.5," CELL), CJ_ERR_UNSUPPORTED,
     "layer 'l' (RNN): a DropoutWrapper that drops, which it does outside of training, too"},
    {WRAPPED("ResidualWrapper", "\"residual_fn\":\"f\"," CELL), CJ_ERR_UNSUPPORTED,
     "layer 'l' (RNN): a ResidualWrapper with a function of its own, which is Python code"},
    {WRAPPED("DeviceWrapper", "\"device\":1"), CJ_ERR_DATA,
     "layer 'l' (RNN): a DeviceWrapper without a cell"},
    {CHAIN(LAYER("RNN", "")), CJ_ERR_DATA, "layer 'l' (RNN): there is no layer in it"},
    {CHAIN(LAYER("LSTMCell", ",\"units\":2")), CJ_ERR_DATA,
     "layer 'l' (LSTMCell): a cell that is not in an RNN"},
    {TEXTS(""), CJ_ERR_UNSUPPORTED,
     "layer 'l' (TextVectorization): no output_sequence_length: its result is as wide as the "
     "longest text of a batch has words, which only an Embedding with mask_zero does not see"},
    {TEXTS(",\"output_sequence_length\":2,\"standardize\":{\"class_name\":\"function\",\"config\":"
           "\"f\"}"),
     CJ_ERR_UNSUPPORTED,
     "layer 'l' (TextVectorization): a function of its own in standardize or split, which is "
     "Python "
     "code"},
    {TEXTS(",\"output_sequence_length\":2,\"ngrams\":9"), CJ_ERR_UNSUPPORTED,
     "layer 'l' (TextVectorization): ngrams that are not of 1 to 8 words between blanks"},
    {TEXTS(",\"output_sequence_length\":2,\"ngrams\":2,\"split\":null"), CJ_ERR_UNSUPPORTED,
     "layer 'l' (TextVectorization): ngrams that are not of 1 to 8 words between blanks"},
    {TEXTS(",\"output_sequence_length\":2,\"ragged\":true"), CJ_ERR_UNSUPPORTED,
     "layer 'l' (TextVectorization): ragged or sparse results, an encoding that is not utf-8, or "
     "the output_mode int"},
    {TEXTS(",\"output_sequence_length\":1e9"), CJ_ERR_DATA,
     "layer 'l' (TextVectorization): output_sequence_length of 1e+09"},
    {TEXTS(",\"output_sequence_length\":2,\"vocabulary\":[]"), CJ_ERR_UNSUPPORTED,
     "layer 'l' (TextVectorization): a vocabulary that is not in the file: Keras keeps the one "
     "that "
     "adapt() made in a .keras file alone"},
    {TEXTS(",\"output_sequence_length\":2,\"vocabulary\":[\"a\",\"b\",\"a\"]"), CJ_ERR_DATA,
     "layer 'l' (TextVectorization): 'a' is in the vocabulary twice"},
    {TEXTS(",\"output_mode\":\"tf_idf\",\"vocabulary\":[\"a\"],\"idf_weights\":[1,2]"), CJ_ERR_DATA,
     "layer 'l' (TextVectorization): no idf_weights for a vocabulary of 1, neither said nor among "
     "its weights"},
    {CHAIN(LAYER("TextVectorization", ",\"output_mode\":\"count\"")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (TextVectorization): an input that is not of one text a sample, or no input of the "
     "model"},
    {CHAIN(LAYER("TernaryDense", "")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (TernaryDense): this class of Keras's is not read"},
    {CHAIN(LAYER("Softmax", ",\"axis\":[0,2]")), CJ_ERR_DATA,
     "layer 'l' (Softmax): axes that the input of rank 2 has not"},
    {CHAIN(LAYER("Normalization", ",\"axis\":[1,1]")), CJ_ERR_DATA,
     "layer 'l' (Normalization): axes that the input of rank 2 has not"},
    {CHAIN(LAYER("Normalization", ",\"axis\":[0,1],\"mean\":[],\"variance\":[]")), CJ_ERR_DATA,
     "layer 'l' (Normalization): no mean, neither said nor among its weights"},
    {CHAIN(LAYER("LayerNormalization", ",\"axis\":[3],\"rms_scaling\":true")), CJ_ERR_DATA,
     "layer 'l' (LayerNormalization): axes that the input of rank 2 has not"},
    {CHAIN(LAYER("LSTM", ",\"units\":2,\"activation\":\"hard_sigmoid\"")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (LSTM): hard_sigmoid of Keras 3 as the activation of an LSTM's state"},
    {CHAIN(LAYER("Resizing", ",\"height\":2,\"width\":2,\"crop_to_aspect_ratio\":true")),
     CJ_ERR_UNSUPPORTED,
     "layer 'l' (Resizing): pictures that keep their ratio, but whose sizes are not known"},
    {PICTURE(LAYER("Resizing", ",\"height\":0,\"width\":2,\"pad_to_aspect_ratio\":true")),
     CJ_ERR_DATA, "layer 'l' (Resizing): a height or width that is none"},
    {PICTURE(LAYER("Resizing", ",\"height\":16777216,\"width\":1,\"pad_to_aspect_ratio\":true")),
     CJ_ERR_LIMIT, "layer 'l' (Resizing): edges of more than 2^24 places"},
    {HEADS(",\"use_gate\":true"), CJ_ERR_DATA,
     "layer 'l' (MultiHeadAttention): sizes of its heads that are none"},
    {HEADS(",\"num_heads\":2,\"key_dim\":2,\"attention_axes\":[2,2]"), CJ_ERR_DATA,
     "layer 'l' (MultiHeadAttention): attention_axes that are not 1 to 2, each once"},
    {HEADS(",\"num_heads\":2,\"key_dim\":2,\"output_shape\":[0,1]"), CJ_ERR_DATA,
     "layer 'l' (MultiHeadAttention): an output_shape that is none"},
    {HEADS(",\"num_heads\":2,\"key_dim\":2,\"sliding_window\":2"), CJ_ERR_UNSUPPORTED,
     "layer 'l' (MultiHeadAttention): a window, or a mask that is causal or beside an input of "
     "rank "
     "4"},
    {CHAIN(LAYER("StringLookup", ",\"output_mode\":\"tf_idf\",\"vocabulary\":[\"a\"]")),
     CJ_ERR_DATA,
     "layer 'l' (StringLookup): no idf_weights for a vocabulary of 1, neither said nor among its "
     "weights"},
    {CHAIN(LAYER("BatchNormalization", ",\"mode\":1,\"axis\":0")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (BatchNormalization): mode 1 along such an axis"},
    {CHAIN(LAYER("RandomFourierFeatures", "")), CJ_ERR_DATA,
     "layer 'l' (RandomFourierFeatures): an input of rank 2, or no output_dim"},
    {CHAIN(LAYER("Discretization", ",\"bin_boundaries\":[0],\"output_mode\":\"odd\"")),
     CJ_ERR_UNSUPPORTED, "layer 'l' (Discretization): the output_mode odd"},
    {CHAIN(LAYER("Merge", ",\"mode\":\"f\"")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (Merge): a function as its mode, which is Python code, or branches before a "
     "Sequential"},
    {"{\"class_name\":\"Sequential\",\"config\":{\"layers\":[{\"class_name\":\"InputLayer\","
     "\"config\":{\"name\":\"x\",\"batch_shape\":[null,null,4]}}," LAYER("SReLU", "") "]}}",
     CJ_ERR_SHAPE, "layer 'l' (SReLU): an input whose sizes are not known"},
    {PICTURE(LAYER("Deconvolution2D", ",\"nb_filter\":2,\"nb_row\":2,\"nb_col\":2,"
                                      "\"border_mode\":\"full\",\"output_shape\":[1,2,3,4]")),
     CJ_ERR_DATA,
     "layer 'l' (Deconvolution2D): no output_shape of 4 sizes, or a border_mode that is not valid "
     "or same"},
    {PICTURE(LAYER("Deconvolution2D", ",\"nb_filter\":2,\"nb_row\":2,\"nb_col\":2,"
                                      "\"output_shape\":[null,5,5,2]")),
     CJ_ERR_UNSUPPORTED,
     "layer 'l' (Deconvolution2D): an output_shape that is not the one its strides make"},
    {CHAIN(LAYER("JaxLayer", "")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (JaxLayer): what it wraps is a program of another library, which is not run"},
    {CHAIN(LAYER("StringLookup", ",\"num_oov_indices\":2,\"vocabulary\":[\"a\"]")),
     CJ_ERR_UNSUPPORTED,
     "layer 'l' (StringLookup): more than one place for what is not in the vocabulary, which "
     "Keras's hash of texts decides"},
    {CHAIN(LAYER("StringLookup", ",\"vocabulary\":null")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (StringLookup): a vocabulary that is not in the file: Keras keeps the one that "
     "adapt() made in a .keras file alone"},
    {CHAIN(LAYER("IntegerLookup", ",\"vocabulary\":[1.5]")), CJ_ERR_DATA,
     "layer 'l' (IntegerLookup): a vocabulary with what is neither a text nor a whole number"},
    {CHAIN(LAYER("MelSpectrogram", ",\"fft_length\":0")), CJ_ERR_DATA,
     "layer 'l' (MelSpectrogram): an input that is not [batch, samples], or sizes that are none"},
    {CHAIN(LAYER("STFTSpectrogram", ",\"mode\":\"phase\"")), CJ_ERR_DATA,
     "layer 'l' (STFTSpectrogram): the mode phase; log, magnitude, psd, real, imag, angle and stft "
     "are possible"},
    {CHAIN(LAYER("LocallyConnected1D", ",\"implementation\":4")), CJ_ERR_DATA,
     "layer 'l' (LocallyConnected1D): the implementation 4; 1, 2 and 3 are possible"},
    {CHAIN(LAYER("LocallyConnected1D", ",\"padding\":\"same\"")), CJ_ERR_DATA,
     "layer 'l' (LocallyConnected1D): the padding same of implementation 1"},
    {CHAIN(LAYER("LocallyConnected1D", ",\"filters\":2,\"implementation\":3")), CJ_ERR_SHAPE,
     "layer 'l' (LocallyConnected1D): an input of rank 2; 3 is expected"},
    {PICTURE(LAYER("LocallyConnected2D", ",\"filters\":2,\"kernel_size\":[4,4]")), CJ_ERR_SHAPE,
     "layer 'l' (LocallyConnected2D): windows of 4 at steps of 0 along an axis of 3"},
    {PICTURE(LAYER("LocallyConnected2D",
                   ",\"filters\":1000000,\"kernel_size\":[2,2],\"implementation\":3")),
     CJ_ERR_LIMIT, "layer 'l' (LocallyConnected2D): its kernel has more numbers than the file"},
    {PICTURE(LAYER("LocallyConnected2D", ",\"filters\":0,\"kernel_size\":[2,2]")), CJ_ERR_DATA,
     "layer 'l' (LocallyConnected2D): 0 filters"},
    {CHAIN(LAYER("RandomCrop", ",\"height\":2,\"width\":2")), CJ_ERR_UNSUPPORTED,
     "layer 'l' (RandomCrop): pictures of another size than its result"},
    {CHAIN(LAYER("EinsumDense", ",\"equation\":\"ab,bc->ac\\\"\"")), CJ_ERR_DATA,
     "layer 'l' (EinsumDense): no equation, or one of other characters"},
    {CHAIN(LAYER("Bidirectional", ",\"layer\":" LAYER("Dense", ""))), CJ_ERR_UNSUPPORTED,
     "layer 'l' (Bidirectional): it wraps a Dense; SimpleRNN, LSTM, GRU, RNN and ConvLSTM are "
     "possible"},
    {"{\"class_name\":\"Sequential\",\"config\":{\"layers\":[" LAYER("Dense", ",\"units\":2") "]}}",
     CJ_ERR_UNSUPPORTED, "layer 'l' (Dense): the file does not say the sizes of the model's input"},
    {FUNCTIONAL(INPUT "," NODE("\"name\":\"a\",", "[[[\"b\",0,0,{}]]]") "," NODE(
                    "\"name\":\"b\",", "[[[\"a\",0,0,{}]]]"),
                "[[\"x\",0,0]]", "[[\"b\",0,0]]"),
     CJ_ERR_DATA,
     "layer 'b' (Dense): it is an output, but what it takes is never made: its inputs go round in "
     "a "
     "circle, or begin nowhere"},
    {FUNCTIONAL(INPUT "," NODE("\"name\":\"a\",", "[[[\"c\",0,0,{}]]]"), "[[\"x\",0,0]]",
                "[[\"a\",0,0]]"),
     CJ_ERR_DATA, "the model's configuration: there is no layer 'c' that a call refers to"},
    {FUNCTIONAL(INPUT "," NODE("\"name\":\"a\",", "[[[\"x\",0,1,{}]]]"), "[[\"x\",0,0]]",
                "[[\"a\",0,0]]"),
     CJ_ERR_DATA, "layer 'x' (InputLayer): it has no result 1, to which another refers"},
    {FUNCTIONAL(INPUT "," NODE("\"name\":\"a\",", "[[[\"x\",3,0,{}]]]"), "[[\"x\",0,0]]",
                "[[\"a\",0,0]]"),
     CJ_ERR_DATA, "layer 'x' (InputLayer): it has no call 3, to which another refers"},
    {FUNCTIONAL(INPUT ",{\"class_name\":\"TFOpLambda\",\"config\":{\"name\":\"o\",\"function\":"
                      "\"math.add\"},\"inbound_nodes\":[[\"x\",0,0,{\"y\":[[1,2],[3]]}]]}",
                "[[\"x\",0,0]]", "[[\"o\",0,0]]"),
     CJ_ERR_UNSUPPORTED, "layer 'o' (TFOpLambda): an operand of a form that is not read"},
    {FUNCTIONAL(INPUT "," NODE("\"name\":\"x\",", "[[[\"x\",0,0,{}]]]"), "[[\"x\",0,0]]",
                "[[\"x\",0,0]]"),
     CJ_ERR_DATA, "layer 'x' (Dense): there are two layers of this name"},
};

static void wrong_configurations_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cj_model *m;
        cj_context *cj = cj_context_new(NULL);
        cj_status failed = cj__keras_read_config(cj, wrong[i].json, strlen(wrong[i].json), 3, &m);
        assert_null(m);
        if (strncmp(cj_message(cj), wrong[i].message, strlen(wrong[i].message)))
            assert_string_equal(cj_message(cj), wrong[i].message);
        assert_int_equal(failed, wrong[i].status);
        assert_int_equal(cj_memory_used(cj), 0);
        cj_context_free(cj);
    }
}

/* Models in models, each called ten times by the one around it, are 10^9 layers. */
static void layers_do_not_multiply(void **state)
{
    (void)state;
    cj__text text, next;
    cj_model *m;
    cj_context *cj = cj_context_new(NULL);
    cj__text_init(&text, cj);
    cj__text_add(&text, LAYER("Activation", ",\"activation\":\"relu\""));
    for (int depth = 0; depth < 9; depth++) {
        cj__text_init(&next, cj);
        cj__text_format(&next, "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"m%d\","
                               "\"layers\":[" INPUT, depth);
        for (int i = 0; i < 10 && depth < 4; i++)
            cj__text_format(&next, ",%s", cj__text_string(&text));
        if (depth >= 4) cj__text_format(&next, ",%s", cj__text_string(&text));
        cj__text_add(&next, "]}}");
        cj__text_release(&text);
        text = next;
    }
    cj_status failed = cj__keras_read_config(cj, text.bytes, text.length, 3, &m);
    cj__text_release(&text);
    assert_int_not_equal(failed, CJ_OK);
    assert_null(m);
    cj_context_free(cj);
}

/* ---- Damage ---------------------------------------------------------------------------------- */

static cj_status read_any(cj_context *cj, const void *bytes, size_t size)
{
    cj_model *m = cj_load_memory(cj, bytes, size);
    cj_status failed = m ? CJ_OK : cj_last_status(cj);
    cj_model_free(m);
    return failed;
}

static cj_status scenario(cj_context *cj, void *arg)
{
    char path[512];
    cj_model *m = cj_load(cj, golden_path(path, arg));
    cj_status failed = m ? CJ_OK : cj_last_status(cj);
    cj_model_free(m);
    return failed;
}

static void damage_never_crashes(void **state)
{
    char path[512];
    size_t size;
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    unsigned char *bytes = golden_bytes(golden_path(path, "keras/sequential.keras"), &size);
    for (size_t length = 0; length < size; length += 97)
        assert_int_not_equal(read_clean(cj, read_any, bytes, length), CJ_OK);
    free(bytes);
    cj_context_free(cj);
    assert_true(faults_sweep_memory(scenario, "keras/sequential.keras", NULL, 7) > 0);
    assert_true(faults_sweep_memory(scenario, "keras/branches.h5", NULL, 23) > 0);
    static char *const more[] = {
        "keras/rare.keras",    "keras/texts.h5",    "keras/adapted.keras",    "keras/operators.h5",
        "keras/scores.h5",     "keras/nested.h5",   "keras/many_heads.keras", "keras/variants.h5",
        "keras/indices.h5",    "keras/local.keras", "keras/wrapped.keras",    "keras/documents.h5",
        "keras/learned.keras", "keras/oldest.h5"};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        assert_true(faults_sweep_memory(scenario, more[i], NULL, 61) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_give_what_keras_gives),
        cmocka_unit_test(models_are_saved),
        cmocka_unit_test(layers_keep_their_names),
        cmocka_unit_test(losses_and_metrics_are_the_files),
        cmocka_unit_test(rules_are_the_files),
        cmocka_unit_test(wrong_files_are_told),
        cmocka_unit_test(wrong_configurations_are_told),
        cmocka_unit_test(layers_do_not_multiply),
        cmocka_unit_test(damage_never_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
