/* test_text.c: models from text, from recipes, and back to text. */
#include "nn_support.h"

static cj_model *parsed(cj_context *cj, const char *text)
{
    cj_model *m = cj_model_from_text(cj, text, NULL, 0);
    if (!m) print_error("'%s': %s\n", text, cj_message(cj));
    assert_non_null(m);
    return m;
}

/* What text becomes when it is printed; printed again it stays. */
static void check_text(cj_context *cj, const char *text, const char *expected)
{
    cj_model *m = parsed(cj, text);
    assert_string_equal(cj_model_text(m), expected);
    cj_model *again = parsed(cj, expected);
    assert_string_equal(cj_model_text(again), expected);
    cj_model_free(m);
    cj_model_free(again);
}

static void layers_in_words(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    check_text(cj, "input 4, dense 16 relu, dense 3 softmax",
               "input 4, dense 16 relu, dense 3 softmax");
    check_text(cj, "input 28 28 1, flatten, dense 10", "input 28 28 1, flatten, dense 10");
    check_text(cj, " input  4 dtype=f64 name=row ,dense units=2 no_bias",
               "input 4 dtype=f64 name=row, dense 2 no_bias=true");
    check_text(cj, "input(4), dense(16, relu), dense(units=3, activation=softmax)",
               "input 4, dense 16 relu, dense 3 softmax");
    check_text(cj, "input 4, dense relu 8, dropout 0.5, activation leaky_relu(0.1)",
               "input 4, dense 8 relu, dropout 0.5, activation leaky_relu(0.1)");
    check_text(cj,
               "input 4, dense 8 activation=leaky_relu(negative_slope=0.1) "
               "kernel_regularizer=l1_l2(l1=0.1, l2=0.2)",
               "input 4, dense 8 activation=leaky_relu(negative_slope=0.1) "
               "kernel_regularizer=l1_l2(l1=0.1, l2=0.2)");
    check_text(cj, "input 12, reshape 3 2 -1, reshape [4, 3], flatten name=flat, flatten",
               "input 12, reshape [3, 2, -1], reshape [4, 3], flatten name=flat, flatten");
    check_text(cj, "input 4, dense 3 kernel_initializer=\" zeros \"",
               "input 4, dense 3 kernel_initializer=\" zeros \"");
    cj_context_free(cj);
}

static void names_and_shapes(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_model *m = parsed(cj, "input 28 28 1, dense 5, flatten, dense 3 name=last, dense 2");
    cj_graph *g = cj_model_graph(m);
    assert_string_equal(shape_of(cj_graph_input_at(g, 0)), "[batch, 28, 28, 1]");
    assert_string_equal(shape_of(cj_graph_output_at(g, 0)), "[batch, 2]");
    assert_string_equal(cj_graph_output_name(g, 0), "y");
    static const char *const names[] = {"dense/kernel", "dense/bias",     "last/kernel",
                                        "last/bias",    "dense_2/kernel", "dense_2/bias"};
    assert_int_equal(cj_graph_parameter_count(g), 6);
    for (int i = 0; i < 6; i++)
        assert_string_equal(cj_node_name(cj_graph_parameter_at(g, i)), names[i]);
    cj_context_free(cj);
}

static void text_that_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "layer 1 of the model is empty"},
        {"input 4, , dense 3", "layer 2 of the model is empty"},
        {"input 4, dense 3,", "layer 3 of the model is empty"},
        {"input 4, dens 3", "unknown layer 'dens' (did you mean 'dense'?)"},
        {"input 4, dense", "dense: units is required"},
        {"input 4, dense relu", "dense: units is required"},
        {"input 4, dense 0", "dense: units=0 is not between 1 and 2147483647"},
        {"input 4, dense ten", "dense: units='ten' is not a whole number"},
        {"input 4, dense 3 rleu", "dense: unknown activation 'rleu' (did you mean 'relu'?)"},
        {"input 4, dense 3 unit=4", "dense: unknown option 'unit' (did you mean 'units'?)"},
        {"input 4, dense 3 units=4", "dense: option 'units' is given twice"},
        {"input 4, flatten 3",
         "flatten: there is no option for the word '3'; key=value is expected"},
        {"input 4, dropout 1.5", "dropout: rate=1.5 is not between 0 and 1"},
        {"input 4, dropout 1", "dropout: rate=1 leaves nothing; less than 1 is expected"},
        {"input 4, activation", "activation: function is required"},
        {"input 4, add", "add: it takes two or more inputs; in text, layers follow one another"},
        {"input 4, dense(3", "model 'input 4, dense(3': a closing bracket is missing"},
        {"input 4, dense 3)", "model 'input 4, dense 3)': a closing bracket does not match"},
        {"input 4, dense(3) relu",
         "'dense(3) relu' is not of the form name(key=value, key=value) or name word word"},
        {"input 4, dense(3,)", "dense: an option is missing between two commas"},
        {"input 4, (3)", "'(3)' does not begin with the name of a layer"},
        {"input 4, dense 3 name=a/b",
         "dense: the name 'a/b' is not made of up to 100 letters, digits, '_', '-' and '.'"},
        {"input 4, dense 3 name=a, dense 3 name=a", "dense: there is a layer 'a' already"},
        {"input 4, dense 3 kernel_regularizer=l3",
         "dense/kernel: unknown regularizer 'l3' (did you mean 'l1'?)"},
        {"input 4, dense 3 kernel_initializer=he_unifrom",
         "dense/kernel: unknown initializer 'he_unifrom' (did you mean 'he_uniform'?)"},
        {"input 4, dense 3, input 4", "input: only the first layer can be the input"},
        {"input 4 dtype=i32, dense 3", "the dtype of a model is f32 or f64, not i32"},
        {"dense 3", "without data a model begins with its input, such as \"input 28 28 1, flatten, "
                    "dense 10 softmax\""},
        {"input 0, dense 3", "input: shape=0 is less than 1"},
        {"input, dense 3", "dense: its input is of rank 1 and has batch as last size; [batch, ..., "
                           "number] is expected"},
        {"input 1 1 1 1 1 1 1 1, dense 3", "input: 'x': samples of rank 8; at most 7 is possible"},
        {"input 4 4 1, conv2d 2 3 same pads=1",
         "conv2d: pads are for padding=valid, and padding is same"},
        {"input 4 4 1, max_pool2d 3 padding=same pads=1", "max_pool2d: pads are for padding=valid"},
        {"input 4 4 1, average_pool2d 3 padding=same ceil_mode",
         "average_pool2d: ceil_mode is for padding=valid"},
        {"input 4 4 1, max_pool2d 3 pads=-1",
         "max_pool2d: pads=-1 is not between 0 and 2147483647"},
        {"input 6, reshape -1 -1", "reshape: only one size may be -1, found 2"},
    };
    cj_context *cj = test_context();
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        cj_model *m = cj_model_from_text(cj, cases[i].text, NULL, 0);
        if (m) print_error("'%s' was taken\n", cases[i].text);
        assert_null(m);
        assert_string_equal(cj_message(cj), cases[i].message);
    }
    assert_null(cj_model_from_text(cj, NULL, NULL, 0));
    cj_context_free(cj);
}

static void hostile_text(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    enum { SIZE = 100000 };
    static const char *const pieces[] = {"(",        "\"",       ",", "dense 3,", "dense ",
                                         "flatten,", "input 4 ", "=", "[",        "dense a=b=c,"};
    char *text = malloc(SIZE + 1);
    for (size_t i = 0; i < CJ__COUNT(pieces); i++) {
        size_t length = strlen(pieces[i]);
        int n = snprintf(text, SIZE, "input 4, ");
        while ((size_t)n + length < SIZE) memcpy(text + n, pieces[i], length + 1), n += (int)length;
        assert_null(cj_model_from_text(cj, text, NULL, 0));
        assert_true(strlen(cj_message(cj)) > 10);
    }
    /* Random bytes of the grammar: a model or a sentence. */
    static const char alphabet[] = "dense 3,()[]=\"'\\input flatten relu 0.5-1";
    uint64_t seed = 1;
    for (int i = 0; i < 3000; i++) {
        int n = snprintf(text, 64, "input 4, ");
        for (int k = 0; k < 24; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[n++] = alphabet[(seed >> 33) % (sizeof alphabet - 1)];
        }
        text[n] = 0;
        cj_model_free(cj_model_from_text(cj, text, NULL, 0));
    }
    free(text);
    cj_context_free(cj);
}

static cj_model *from_yaml(cj_context *cj, const char *yaml)
{
    cj_recipe *recipe = cj_recipe_parse(cj, "t.json", yaml, strlen(yaml));
    if (!recipe) print_error("%s\n", cj_message(cj));
    assert_non_null(recipe);
    cj_model *m = cj_model_from_recipe(cj, recipe, "model", NULL, 0);
    cj_recipe_free(recipe);
    return m;
}

static void recipes(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_model *m = from_yaml(cj, "{\"model\": [{\"input\": [28, 28, 1]}, \"flatten\", {\"dense\": "
                                "{\"units\": 8, \"activation\": "
                                "\"relu\", \"kernel_regularizer\": {\"l2\": 0.01}}}, {\"dropout\": "
                                "0.2}, \"dense 10 softmax\"]}");
    if (!m) print_error("%s\n", cj_message(cj));
    assert_non_null(m);
    assert_string_equal(cj_model_text(m),
                        "input 28 28 1, flatten, dense 8 relu kernel_regularizer=l2(0.01), dropout "
                        "0.2, dense 10 softmax");
    m = from_yaml(cj, "{\"model\": \"input 4, dense 3\"}");
    assert_non_null(m);
    assert_string_equal(cj_model_text(m), "input 4, dense 3");
    assert_null(from_yaml(cj, "{\"model\": [\"input 4\",\n{\"dense\": {\"unit\": 8}}]}"));
    assert_message(cj, CJ_ERR_ARGUMENT,
                   "t.json:2: dense: unknown option 'unit' (did you mean 'units'?)");
    assert_null(from_yaml(cj, "{\"model\": []}"));
    assert_message(cj, CJ_ERR_ARGUMENT, "model: the list of layers is empty");
    assert_null(from_yaml(cj, "{\"epochs\": 3}"));
    assert_message(cj, CJ_ERR_ARGUMENT, "the recipe has no model");
    cj_context_free(cj);
}

static void models_no_text_says(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_model_input(m, "x", 1, (int64_t[]){4}),
            *y = cj_layer_apply(&x, 1, "dense", "4, relu");
    cj_output(m, "y", cj_add_layer((cj_node *[]){x, y}, 2));
    assert_ok(cj, cj_model_failed(m));
    assert_null(cj_model_text(m));
    assert_message(cj, CJ_ERR_UNSUPPORTED,
                   "the layers of the model do not simply follow one another, so no text says it");
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_in_words),
        cmocka_unit_test(names_and_shapes),
        cmocka_unit_test(text_that_is_refused),
        cmocka_unit_test(hostile_text),
        cmocka_unit_test(recipes),
        cmocka_unit_test(models_no_text_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
