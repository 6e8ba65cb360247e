/* test_zoo.c: the small networks of the zoo: counts and results of torchvision's and PyTorch's with
 * their weights by name, steps that lower the loss, as text; and weights that do not fit. The large
 * ones are in test_zoo_large.c. */
#include "zoo_support.h"

static const char *const small[] = {"lenet5", "cnn", "resnet20", "resnet20(shortcut=B)",
                                    "squeezenet1_1", "mobilenet_v2", "detector", NULL};

static void results_are_those_of_pytorch(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_tensors *golden = golden_load(cj, "nn/zoo.npz");
    for (int i = 0; small[i]; i++) zoo_check(golden, small[i], i < 4);
    cj_tensors_free(golden);
    cj_context_free(cj);
}

/* Of classes; the detector's own are in train/test_detect.c. */
static void steps_lower_the_loss(void **state)
{
    (void)state;
    for (int i = 0; small[i]; i++)
        if (!strchr(small[i], '(') && strcmp(small[i], "detector")) zoo_learns(small[i]);
}

/* Of each row: its sample builds, the text of the model makes it again, and options are told. */
static void text_of_a_network(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    static const char *const cases[][2] = {
        {"input 32 32 3, resnet20", "input 32 32 3, resnet20"},
        {"resnet20 5 shortcut=B", "input 32 32 3, resnet20 classes=5 shortcut=B"},
        {"lenet(classes=3, name=a), dense 2 relu", "input 28 28 1, lenet5 classes=3 name=a, dense "
                                                   "2 relu"},
        {"input 16 16 3, conv2d 3 3, resnet20(no_top=true), dense 4",
         "input 16 16 3, conv2d 3 kernel=[3], resnet20 no_top=true, dense 4"},
        {"cnn linear", "input 28 28 1, cnn activation=linear"},
        {"input 16 16 1, cnn name=a no_top, dropout 0.5, dense 9",
         "input 16 16 1, cnn no_top=true name=a, dropout 0.5, dense 9"}};
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        cj_model *m = cj_model_from_text(cj, cases[i][0], NULL, 0), *again;
        if (!m) fail_msg("%s: %s", cases[i][0], cj_message(cj));
        const char *text = cj_model_text(m);
        if (!text) fail_msg("%s: %s", cases[i][0], cj_message(cj));
        assert_string_equal(text, cases[i][1]);
        again = cj_model_from_text(cj, text, NULL, 0);
        if (!again) fail_msg("%s: %s", text, cj_message(cj));
        assert_string_equal(cj_model_text(again), text);
    }
    cj_context_free(cj);
}

static void refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"resnet19", "unknown network 'resnet19' (did you mean 'resnet18'?)"},
        {"resnet20 shortcut=C", "resnet20: shortcut='C' is none of A, B"},
        {"resnet20 classes=0", "resnet20: classes=0 is not between 1 and 2147483647"},
        {"resnet20 activation=sofmax",
         "resnet20: linear: unknown activation 'sofmax' (did you mean 'softmax'?)"},
        {"resnet20(kernel=3)",
         "resnet20: unknown option 'kernel': it takes classes, shortcut, activation, no_top, name"},
        {"input 48 48 3, googlenet(aux=true, no_top=true)",
         "googlenet: aux=true gives heads that tell classes, and no_top=true asks for none"},
        {"vgg11 dropout=1", "vgg11: dropout: rate=1 leaves nothing; less than 1 is expected"},
        {"input 8 8 3, alexnet",
         "alexnet: max_pool: spatial axis 0 has 1 elements (1 with padding), and a window reaches "
         "over 3 (operand f32[batch, 1, 1, 64])"},
        {"input 8 3, resnet20",
         "resnet20: conv1: its input is of rank 3 and has 3 as last size; [batch, height, width, "
         "channels] is expected"},
        {"input 8 8 3, resnet20 no_top, reshape 8 8 1, resnet20",
         "resnet20: conv2d: there is a layer 'conv1' already"},
        {"resnet20 name=a/b", "resnet20: conv2d: the name 'a/b.conv1' is not made of up to 100 "
                              "letters, digits, '_', '-' and '.'"}};
    cj_context *cj = test_context();
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        assert_null(cj_model_from_text(cj, cases[i][0], NULL, 0));
        assert_string_equal(cj_message(cj), cases[i][1]);
    }
    cj_context_free(cj);
}

/* The keyword function, the row by text and the text of a model are the same network, and the place
 * in the program stands in front of what fails. */
static void in_c(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_model *m = cj_model_new(cj);
    cj_output(m, "y", cj_zoo_resnet20(cj_input(m, "x", 32, 32, 3), .classes = 5, .shortcut = "B"));
    assert_ok(cj, cj_model_failed(m));
    assert_string_equal(cj_model_text(m), "input 32 32 3, resnet20 classes=5 shortcut=B");
    m = cj_model_new(cj);
    cj_output(m, "y", cj_network_apply(cj_input(m, "x", 32, 32, 3), "resnet20(classes=5)"));
    assert_ok(cj, cj_model_failed(m));
    assert_string_equal(cj_model_text(m), "input 32 32 3, resnet20 classes=5");
    m = cj_model_new(cj);
    assert_null(cj_zoo_alexnet(cj_input(m, "x", 8, 8, 3)));
    assert_said(cj, "alexnet: max_pool: spatial axis 0 has 1 elements (1 with padding), and a "
                    "window reaches over 3 (operand f32[batch, 1, 1, 64])");
    assert_non_null(strstr(cj_message(cj), "test_zoo.c:"));
    assert_null(cj_network_apply(NULL, "cnn"));
    cj_context_free(cj);
}

/* Data gives the classes, where the text says none. */
static void classes_of_the_data(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    static float x[3 * 28 * 28];
    cj_dataset *data = memory_data(cj, CJ_F32, 4, (int64_t[]){3, 28, 28, 1}, x,
                                   (int32_t[]){0, 6, 1});
    cj_model *m = cj_model_from_text(cj, "lenet5", data, 0);
    if (!m) fail_msg("%s", cj_message(cj));
    assert_int_equal(cj_node_dim(cj_graph_output_at(cj_model_graph(m), 0), 1), 7);
    m = cj_model_from_text(cj, "lenet5 classes=9", data, 0);
    assert_int_equal(cj_node_dim(cj_graph_output_at(cj_model_graph(m), 0), 1), 9);
    cj_context_free(cj);
}

static void set(cj_context *cj, cj_tensors *list, const char *name, int rank, const int64_t *dims)
{
    assert_ok(cj, cj_tensors_add(list, name, zoo_tensor(cj, name, rank, dims)));
}

static void weights_that_do_not_fit(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_model *m = cj_model_from_text(cj, "input 2 2 3, flatten, dense 4 name=fc", NULL, 0);
    assert_non_null(m);
    cj_tensor *before = cj_store_get(cj_model_store(m), "fc/kernel");
    const double was = value_of(cj, before, 5);
    cj_tensors *list = cj_tensors_new(cj);
    assert_int_equal(cj_set_weights(m, list), CJ_ERR_NOT_FOUND);
    assert_message(cj, CJ_ERR_NOT_FOUND,
                   "weights: there is no 'fc/kernel', nor 'fc.weight'");
    set(cj, list, "fc.weight", 2, (int64_t[]){12, 4}); /* not transposed */
    set(cj, list, "fc.bias", 1, (int64_t[]){4});
    cj_set_weights(m, list, .what = "a.safetensors");
    assert_message(cj, CJ_ERR_SHAPE, "a.safetensors: 'fc.weight' is f32 (12, 4); for 'fc/kernel' "
                                     "floats (4, 12) are expected");
    assert_ok(cj, cj_set_weights(m, list, .partial = true)); /* the bias fits */
    assert_true(value_of(cj, cj_store_get(cj_model_store(m), "fc/kernel"), 5) == was);
    assert_true(value_of(cj, cj_store_get(cj_model_store(m), "fc/bias"), 3) ==
                (double)(float)(0.1 * (2 * zoo_unit("fc.bias", 3) - 1)));
    cj_tensors_free(list);
    list = cj_tensors_new(cj);
    set(cj, list, "fc.weight", 2, (int64_t[]){4, 12});
    set(cj, list, "fc.bias", 1, (int64_t[]){4});
    set(cj, list, "other.num_batches_tracked", 1, (int64_t[]){1});
    assert_ok(cj, cj_set_weights(m, list));
    /* Our input (h, w, c) = (1, 0, 2) is PyTorch's number c 4 + h 2 + w = 10. */
    assert_true(value_of(cj, cj_store_get(cj_model_store(m), "fc/kernel"), (1 * 6 + 2) * 4 + 3) ==
                value_of(cj, cj_tensors_find(list, "fc.weight"), 3 * 12 + 10));
    set(cj, list, "head.bias", 1, (int64_t[]){4});
    assert_int_equal(cj_set_weights(m, list), CJ_ERR_ARGUMENT);
    assert_message(cj, CJ_ERR_ARGUMENT, "weights: the model has no place for 'head.bias'");
    cj_tensors_free(list);
    list = cj_tensors_new(cj);
    set(cj, list, "head.bias", 1, (int64_t[]){4});
    cj_set_weights(m, list, .partial = true);
    assert_message(cj, CJ_ERR_NOT_FOUND,
                   "weights: none of its names and shapes is the model's");
    cj_tensors_free(list);
    assert_int_equal(cj_load_weights(m, "no such file.safetensors"), CJ_ERR_NOT_FOUND);
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(results_are_those_of_pytorch),
                                       cmocka_unit_test(steps_lower_the_loss),
                                       cmocka_unit_test(text_of_a_network),
                                       cmocka_unit_test(refused),
                                       cmocka_unit_test(in_c),
                                       cmocka_unit_test(classes_of_the_data),
                                       cmocka_unit_test(weights_that_do_not_fit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
