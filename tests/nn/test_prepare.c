/* test_prepare.c: what is decided from a data set, what the assembled graph computes, and what
 * later data must agree with. */
#include "nn_support.h"

#include "data/dataset.h"

/* Runs an assembled graph on raw samples [n, ...] of its one input. */
static cj_tensor *run_raw(cj_context *cj, cj_model *m, cj_tensor *samples)
{
    cj_node *raw, *y;
    cj_graph *g = cj__model_assemble(m, &raw, &y);
    if (!g) print_error("%s\n", cj_message(cj));
    assert_non_null(g);
    assert_ok(cj, cj_graph_verify(g));
    cj_program *p = cj_compile(g, .outputs = {y});
    cj_session *s = p ? cj_session_new(p, cj_graph_store(g)) : NULL;
    if (!s) print_error("%s\n", cj_message(cj));
    assert_non_null(s);
    cj_tensor *out = NULL;
    cj_status failed = cj_run(s, (cj_feed[]){{raw, samples}}, 1, &out, 1);
    if (failed) print_error("%s\n", cj_session_message(s));
    assert_int_equal(failed, CJ_OK);
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(g);
    return out;
}

/* A model that gives back its prepared input. */
static cj_model *mirror(cj_context *cj, const char *name, int rank, const int64_t *dims)
{
    cj_model *m = cj_model_new(cj);
    cj_output(m, "y", cj_identity(cj_model_input(m, name, rank, dims)));
    assert_ok(cj, cj_model_failed(m));
    return m;
}

static void check_values(cj_context *cj, cj_tensor *t, int n, const double *expected,
                         double tolerance)
{
    assert_int_equal(cj_tensor_count(t), n);
    for (int i = 0; i < n; i++) {
        double v = value_of(cj, t, i);
        if (!(v - expected[i] <= tolerance && expected[i] - v <= tolerance))
            print_error("[%d] %.9g, expected %.9g\n", i, v, expected[i]);
        assert_true(v - expected[i] <= tolerance && expected[i] - v <= tolerance);
    }
}

/* Bytes of texts and numbers of categories in u8 are what they are. */
static void texts_as_they_are(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    const char texts[3][6] = {"red", "green", "grey"};
    cj_dataset *data = memory_data(cj, CJ_U8, 2, (int64_t[]){3, 6}, texts, (int32_t[]){0, 1, 0});
    static const char *const layers[][2] = {{"string_lookup", "vocabulary=\"green, red\""},
                                            {"embedding", "input_dim=256, output_dim=1, "
                                                          "embeddings_initializer=identity"},
                                            {"string_lookup", "vocabulary=\"green, red\""}};
    for (int i = 0; i < 3; i++) {
        cj_model *m = cj_model_new(cj);
        cj_node *x = cj_input(m, "text", 6);
        if (i == 2) x = cj_reshape_layer(x, 2, (int64_t[]){1, 6});
        cj_output(m, "y", cj_layer_apply(&x, 1, layers[i][0], layers[i][1]));
        assert_ok(cj, cj__model_prepare(m, data, "auto"));
        cj_tensor *t = cj_tensor_from(cj, CJ_U8, 2, (int64_t[]){3, 6}, texts),
                  *y = run_raw(cj, m, t);
        if (i != 1) check_values(cj, y, 3, (double[]){2, 1, 0}, 0);
        else /* the identity's first column: 1 at number 0 */
            for (int k = 0; k < 18; k++)
                assert_true(value_of(cj, y, k) == (((const char *)texts)[k] ? 0 : 1));
        cj_tensor_free(t);
        cj_tensor_free(y);
        cj_model_free(m);
    }
    cj_dataset_free(data);
    cj_context_free(cj);
}

static void pictures_by_255(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    const unsigned char pixels[8] = {0, 255, 51, 102, 1, 2, 3, 204};
    cj_dataset *data = memory_data(cj, CJ_U8, 4, (int64_t[]){2, 2, 2, 1}, pixels,
                                   (int32_t[]){0, 1});
    cj_model *m = mirror(cj, "image", 3, (int64_t[]){2, 2, 1});
    assert_ok(cj, cj__model_prepare(m, data, "auto"));
    assert_int_equal(m->classes, 2);
    assert_string_equal(m->target, "label");
    cj_tensor *samples = cj_tensor_from(cj, CJ_U8, 4, (int64_t[]){2, 2, 2, 1}, pixels);
    cj_tensor *y = run_raw(cj, m, samples);
    assert_int_equal(cj_tensor_dtype(y), CJ_F32);
    check_values(cj, y, 8, (double[]){0, 1, 0.2, 0.4, 1 / 255.0, 2 / 255.0, 3 / 255.0, 0.8}, 1e-7);
    cj_tensor_free(y);
    m = mirror(cj, "image", 3, (int64_t[]){2, 2, 1});
    assert_ok(cj, cj__model_prepare(m, data, "none"));
    y = run_raw(cj, m, samples);
    check_values(cj, y, 8, (double[]){0, 255, 51, 102, 1, 2, 3, 204}, 0);
    cj_tensor_free(y);
    cj_tensor_free(samples);
    cj_context_free(cj);
}

static void arrays_stay_as_they_are(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    const double v[4] = {1.5, -2, 300, 4};
    cj_dataset *data = memory_data(cj, CJ_F64, 2, (int64_t[]){2, 2}, v, NULL);
    cj_model *m = mirror(cj, "x", 1, (int64_t[]){2});
    assert_ok(cj, cj__model_prepare(m, data, NULL));
    cj_tensor *samples = cj_tensor_from(cj, CJ_F64, 2, (int64_t[]){2, 2}, v),
              *y = run_raw(cj, m, samples);
    check_values(cj, y, 4, v, 0);
    assert_int_equal(cj_tensor_dtype(y), CJ_F32);
    cj_tensor_free(y);
    cj_tensor_free(samples);
    cj_context_free(cj);
}

static const char table[] = "size,colour,weight,same,kind\n"
                            "1,red,10,5,a\n"
                            "2,blue,20,5,b\n"
                            "3,red,60,5,a\n"
                            "6,green,30,5,b\n";

/* Columns size, colour (blue, green, red), weight, same: mean and population deviation by hand. */
static void tables_are_standardised_and_expanded(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_dataset *data = cj__table_parse(cj, "t.csv", table, strlen(table),
                                       &(cj_dataset_opts){.types = "colour:categorical"});
    if (!data) print_error("%s\n", cj_message(cj));
    assert_non_null(data);
    cj_model *m = mirror(cj, "features", 1, (int64_t[]){6});
    assert_ok(cj, cj__model_prepare(m, data, "auto"));
    const float raw[12] = {1, 2, 10, 5, 6, 0, 30, 5, 3, -1, 60, 6};
    cj_tensor *samples = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){3, 4}, raw),
              *y = run_raw(cj, m, samples);
    double d = 1.8708286933869707, w = 18.708286933869708; /* sqrt(3.5), sqrt(350) */
    check_values(
        cj, y, 18,
        (double[]){-2 / d, 0, 0, 1, -20 / w, 0, 3 / d, 1, 0, 0, 0, 0, 0, 0, 0, 0, 30 / w, 1}, 1e-6);
    cj_tensor_free(y);
    m = mirror(cj, "features", 1, (int64_t[]){6});
    assert_ok(cj, cj__model_prepare(m, data, "none"));
    y = run_raw(cj, m, samples);
    check_values(cj, y, 18, (double[]){1, 0, 0, 1, 10, 5, 6, 1, 0, 0, 30, 5, 3, 0, 0, 0, 60, 6}, 0);
    cj_tensor_free(y);
    cj_tensor_free(samples);

    m = mirror(cj, "features", 1, (int64_t[]){4});
    assert_int_equal(cj__model_prepare(m, data, "auto"), CJ_ERR_SHAPE);
    assert_string_equal(
        cj_message(cj),
        "input 'features' of the model takes samples [4], and the 4 columns of 't.csv' are [6] "
        "(1 categorical, one number a category)");
    m = cj_model_from_text(cj, "dense 3 relu, dense 2 softmax", data, 0);
    assert_non_null(m);
    assert_string_equal(cj_model_text(m), "input 6 name=features, dense 3 relu, dense 2 softmax");
    assert_string_equal(cj_graph_output_name(cj_model_graph(m), 0), "class");
    assert_null(cj_model_from_text(cj, "input 5, dense 3", data, 0));
    assert_message(cj, CJ_ERR_SHAPE, "input: its shape is not the one of 'features' in the data");
    cj_context_free(cj);
}

static void later_data_must_agree(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    const unsigned char pixels[12] = {0};
    cj_dataset *data = memory_data(cj, CJ_U8, 4, (int64_t[]){3, 2, 2, 1}, pixels,
                                   (int32_t[]){0, 1, 1});
    cj_model *m = mirror(cj, "image", 3, (int64_t[]){2, 2, 1});
    assert_int_equal(cj__model_prepare(m, data, "zscore"), CJ_ERR_ARGUMENT);
    assert_string_equal(cj_message(cj), "normalize='zscore' is neither auto nor none");
    assert_ok(cj, cj__model_prepare(m, data, "auto"));
    assert_ok(cj, cj__model_prepare(m, data, "auto"));
    cj_dataset *wide = memory_data(cj, CJ_U8, 4, (int64_t[]){3, 1, 4, 1}, pixels,
                                   (int32_t[]){0, 1, 1});
    assert_int_equal(cj__model_prepare(m, wide, "auto"), CJ_ERR_SHAPE);
    assert_non_null(strstr(cj_message(cj), "takes samples [2, 2, 1]"));
    assert_non_null(strstr(cj_message(cj), "has 'image' of [1, 4, 1]"));
    cj_dataset *more = memory_data(cj, CJ_U8, 4, (int64_t[]){3, 2, 2, 1}, pixels,
                                   (int32_t[]){0, 1, 5});
    assert_int_equal(cj__model_prepare(m, more, "auto"), CJ_ERR_DATA);
    assert_string_equal(cj_message(cj), "the model knows 2 classes, and the data has 6");
    const float v[12] = {0};
    cj_dataset *floats = memory_data(cj, CJ_F32, 4, (int64_t[]){3, 2, 2, 1}, v,
                                     (int32_t[]){0, 1, 1});
    assert_int_equal(cj__model_prepare(m, floats, "auto"), CJ_ERR_TYPE);

    cj_dataset *t = cj__table_parse(cj, "t.csv", table, strlen(table),
                                    &(cj_dataset_opts){.types = "colour:categorical"});
    cj_model *n = cj_model_from_text(cj, "dense 2", t, 0);
    assert_non_null(n);
    assert_ok(cj, cj__model_prepare(n, t, NULL));
    char other[sizeof table];
    memcpy(other, table, sizeof table);
    memcpy(strstr(other, "weight"), "height", 6);
    cj_dataset *u = cj__table_parse(cj, "u.csv", other, strlen(other),
                                    &(cj_dataset_opts){.types = "colour:categorical"});
    assert_int_equal(cj__model_prepare(n, u, NULL), CJ_ERR_DATA);
    assert_string_equal(
        cj_message(cj),
        "column 2 is 'weight' (numeric, 0 categories) in the model and 'height' (numeric, 0 "
        "categories) in the data");
    memcpy(other, table, sizeof table);
    memcpy(strstr(other, "blue"), "pink", 4);
    u = cj__table_parse(cj, "u.csv", other, strlen(other),
                        &(cj_dataset_opts){.types = "colour:categorical"});
    assert_int_equal(cj__model_prepare(n, u, NULL), CJ_ERR_DATA);
    assert_string_equal(
        cj_message(cj),
        "category of column 'colour' 0 is 'blue' in the model and 'green' in the data");
    cj_context_free(cj);
}

static void assembling_shares_the_store(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    const unsigned char pixels[8] = {0};
    cj_dataset *data = memory_data(cj, CJ_U8, 4, (int64_t[]){2, 2, 2, 1}, pixels,
                                   (int32_t[]){0, 1});
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_input(m, "image", 2, 2, 1);
    x = cj_dropout(cj_dense(cj_flatten(x), .units = 3, .kernel_regularizer = "l2"), .rate = 0.5);
    cj_output(m, "class", cj_dense(x, .units = 2, .activation = "softmax"));
    assert_ok(cj, cj_model_failed(m));
    assert_ok(cj, cj__model_prepare(m, data, NULL));
    cj_node *raw, *y;
    cj_graph *g = cj__model_assemble(m, &raw, &y);
    assert_non_null(g);
    assert_ptr_equal(cj_graph_store(g), cj_model_store(m));
    assert_string_equal(cj_node_name(raw), "image");
    assert_int_equal(cj_node_dtype(raw), CJ_U8);
    assert_string_equal(shape_of(raw), "[batch, 2, 2, 1]");
    assert_int_equal(cj_graph_input_count(g), 1);
    assert_string_equal(cj_graph_output_name(g, 0), "class");
    assert_ptr_equal(cj_graph_output_at(g, 0), y);
    assert_int_equal(cj_graph_parameter_count(g), 4);
    for (int i = 0; i < 4; i++) {
        cj_node *p = cj__model_node_in(m, g, cj_graph_parameter_at(cj_model_graph(m), i));
        assert_ptr_equal(p, cj_graph_parameter_at(g, i));
        assert_string_equal(cj_node_name(p),
                            cj_node_name(cj_graph_parameter_at(cj_model_graph(m), i)));
        assert_ptr_equal(p, cj_find_variable(g, cj_node_name(p)));
    }
    cj__layers *layers = cj__layers_of(g);
    assert_int_equal(layers->n_losses, 1);
    assert_ptr_equal(layers->losses[0],
                     cj__model_node_in(m, g, cj__layers_of(cj_model_graph(m))->losses[0]));
    assert_ptr_equal(cj_random_key(g), cj_find_variable(g, "random/key"));
    cj_graph_free(g);
    cj_context_free(cj);
}

static void iris(void **state)
{
    (void)state;
    const char *path = real_file("tabular/iris.csv");
    if (!path) skip();
    cj_context *cj = test_context();
    cj_dataset *data = cj_dataset_open(cj, path);
    if (!data) print_error("%s\n", cj_message(cj));
    assert_non_null(data);
    cj_model *m = cj_model_from_text(cj, "dense 16 relu, dense 3 softmax", data, 0);
    if (!m) print_error("%s\n", cj_message(cj));
    assert_non_null(m);
    assert_ok(cj, cj__model_prepare(m, data, NULL));
    assert_int_equal(m->classes, 3);
    assert_string_equal(m->class_names[0], "setosa");
    const cj__preparation *p = &m->preparation[0];
    /* sklearn.preprocessing.StandardScaler().fit(load_iris().data): mean_ and scale_ */
    static const double mean[] = {5.843333, 3.057333, 3.758, 1.199333},
                        scale[] = {0.8253013, 0.4344110, 1.7594041, 0.7596926};
    for (int i = 0; i < 4; i++) {
        assert_float_equal(p->offset[i], mean[i], 1e-5);
        assert_float_equal(1 / p->scale[i], scale[i], 1e-5);
    }
    cj_context_free(cj);
}

static void fashion_mnist(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_dataset *data = cj_dataset_open(cj, "fashion-mnist", .limit = 100);
    if (!data) {
        printf("    %s\n", cj_message(cj));
        cj_context_free(cj);
        skip();
    }
    cj_model *m = cj_model_from_text(cj, "flatten, dense 10 softmax", data, 0);
    assert_non_null(m);
    assert_string_equal(cj_model_text(m), "input 28 28 1 name=image, flatten, dense 10 softmax");
    assert_ok(cj, cj__model_prepare(m, data, NULL));
    assert_int_equal(m->classes, 10);
    cj_tensor *samples = cj_tensor_new(cj, CJ_U8, 4, (int64_t[]){3, 28, 28, 1});
    assert_ok(cj, cj_dataset_read(data, (int64_t[]){0, 1, 2}, 3, 0,
                                  cj_tensor_map(samples, CJ_MAP_WRITE)));
    cj_tensor_unmap(samples);
    cj_tensor *y = run_raw(cj, m, samples);
    for (int i = 0; i < 3; i++) {
        double sum = 0;
        for (int k = 0; k < 10; k++) sum += value_of(cj, y, 10 * i + k);
        assert_float_equal(sum, 1, 1e-5);
    }
    cj_tensor_free(y);
    cj_tensor_free(samples);
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_by_255),
        cmocka_unit_test(texts_as_they_are),
        cmocka_unit_test(arrays_stay_as_they_are),
        cmocka_unit_test(tables_are_standardised_and_expanded),
        cmocka_unit_test(later_data_must_agree),
        cmocka_unit_test(assembling_shares_the_store),
        cmocka_unit_test(iris),
        cmocka_unit_test(fashion_mnist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
