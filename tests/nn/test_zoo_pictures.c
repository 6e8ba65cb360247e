/* test_zoo_pictures.c: networks of the zoo that give pictures or judge them, against PyTorch's
 * (tools/golden/zoo_pictures.py) with their weights by name: U-Net, autoencoders, GANs, styles. */
#include <inttypes.h>

#include "zoo_support.h"

static const char *const cases[] = {"unet",
                                    "unet odd",
                                    "unet logits",
                                    "autoencoder",
                                    "autoencoder of numbers",
                                    "denoising_autoencoder",
                                    "vae",
                                    "dcgan_generator",
                                    "dcgan_generator of 64",
                                    "dcgan_generator of 10",
                                    "dcgan_discriminator",
                                    "dcgan_discriminator of 64",
                                    "wgan_gp_critic",
                                    "fast_style"};

/* Weights by name, then results of both backends. labels: fed to `label`, or NULL. */
static void compare(cj_context *cj, cj_tensors *golden, const char *name, cj_model *m,
                    cj_node *label, cj_tensor *labels)
{
    cj_graph *g = cj_model_graph(m);
    cj_tensors *weights = zoo_weights(cj, golden_get(golden, name, "keys"));
    const cj_tensor *shape = golden_get(golden, name, "shape"), *y = golden_get(golden, name, "y");
    const int rank = (int)cj_tensor_count(shape);
    int64_t dims[4];
    assert_ok(cj, cj_set_weights(m, weights));
    cj_tensors_free(weights);
    for (int i = 0; i < rank; i++) dims[i] = (int64_t)value_of(cj, (cj_tensor *)shape, i);
    cj_program *p = cj_compile(g, .outputs = {cj_graph_output_at(g, 0)});
    if (!p) fail_msg("%s: %s", name, cj_message(cj));
    cj_tensor *x = zoo_pictures(cj, rank, dims, -1);
    for (int b = 0; b < 2; b++) {
        cj_session *s = zoo_session(p, m, backends[b]);
        cj_tensor *out = NULL;
        if (cj_run(s, (cj_feed[]){{cj_graph_input_at(g, 0), x}, {label, labels}}, label ? 2 : 1,
                   &out, 1))
            fail_msg("%s: %s", name, cj_session_message(s));
        assert_int_equal(cj_tensor_rank(out), cj_tensor_rank(y));
        for (int i = 0; i < cj_tensor_rank(y); i++)
            assert_int_equal(cj_tensor_shape(out)[i], cj_tensor_shape(y)[i]);
        zoo_close(cj, name, out, y);
        cj_tensor_free(out);
        cj_session_free(s);
    }
    cj_tensor_free(x);
    cj_program_free(p);
}

static void results_are_those_of_pytorch(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_tensors *golden = golden_load(cj, "nn/zoo_pictures.npz");
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        if (strcmp(cases[i], "unet") != 0) zoo_count(golden, cases[i]); /* test_zoo_large.c */
        char text[300];
        cj_tensor *words = golden_get(golden, cases[i], "text");
        snprintf(text, sizeof text, "%.*s", (int)cj_tensor_count(words),
                 (const char *)cj_tensor_map_read(words));
        cj_model *m = cj_model_from_text(cj, text, NULL, 0);
        if (!m) fail_msg("%s: %s", text, cj_message(cj));
        compare(cj, golden, cases[i], m, NULL, NULL);
        /* The text of the model makes it again. */
        cj_model *again = cj_model_from_text(cj, cj_model_text(m), NULL, 0);
        if (!again) fail_msg("%s: %s", text, cj_message(cj));
        assert_string_equal(cj_model_text(again), cj_model_text(m));
        cj_model_free(again);
        cj_model_free(m);
    }
    cj_tensors_free(golden);
    cj_context_free(cj);
}

static void conditional_networks(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_tensors *golden = golden_load(cj, "nn/zoo_pictures.npz");
    cj_tensor *labels = cj_tensor_from(cj, CJ_I32, 1, (int64_t[]){2}, (int32_t[]){1, 4});
    for (int i = 0; i < 2; i++) {
        cj_model *m = cj_model_new(cj);
        cj_node *x = i ? cj_input(m, "x", 28, 28, 1) : cj_input(m, "x", 6);
        cj_node *label = cj_placeholder(cj_model_graph(m), "label", CJ_I32,
                                        CJ_DIMS(cj_node_dim(x, 0)));
        cj_output(m, "y", i ? cj_zoo_conditional_discriminator(x, label, .classes = 5,
                                                               .width = 0.125)
                            : cj_zoo_conditional_generator(x, label, .classes = 5, .width = 0.125));
        assert_ok(cj, cj_model_failed(m));
        compare(cj, golden, i ? "conditional discriminator" : "conditional generator", m, label,
                labels);
        cj_model_free(m);
    }
    cj_tensor_free(labels);
    cj_tensors_free(golden);
    cj_context_free(cj);
}

/* The keyword function and the row by text are the same network. */
static void in_c(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    static const char *const texts[] = {
        "input 16 16 1, unet classes=2 width=0.1 depth=1",
        "input 8 8 1, autoencoder latent=-1 width=0.1",
        "input 8 8 1, denoising_autoencoder noise=0.5 width=0.1",
        "input 5, vae latent=2 beta=2 width=0.1",
        "input 3, dcgan_generator size=8 channels=3 width=0.1",
        "input 8 8 1, dcgan_discriminator width=0.1 activation=linear",
        "input 8 8 1, wgan_gp_critic width=0.1 no_top=true",
        "input 12 12 3, fast_style width=0.1 activation=sigmoid"};
    for (size_t i = 0; i < CJ__COUNT(texts); i++) {
        int64_t side = 0, channels = 1;
        cj_model *m = cj_model_new(cj);
        const int read = sscanf(texts[i], "input %" SCNd64 " %*d %" SCNd64, &side, &channels);
        assert_true(read > 0);
        cj_node *x = read == 2 ? cj_input(m, "x", side, side, channels) : cj_input(m, "x", side);
        cj_node *y = i == 0   ? cj_zoo_unet(x, .classes = 2, .width = 0.1, .depth = 1)
                     : i == 1 ? cj_zoo_autoencoder(x, .latent = -1, .width = 0.1)
                     : i == 2 ? cj_zoo_denoising_autoencoder(x, .noise = 0.5, .width = 0.1)
                     : i == 3 ? cj_zoo_vae(x, .latent = 2, .beta = 2, .width = 0.1)
                     : i == 4 ? cj_zoo_dcgan_generator(x, .size = 8, .channels = 3, .width = 0.1)
                     : i == 5 ? cj_zoo_dcgan_discriminator(x, .width = 0.1, .activation = "linear")
                     : i == 6 ? cj_zoo_wgan_gp_critic(x, .width = 0.1, .no_top = true)
                              : cj_zoo_fast_style(x, .width = 0.1, .activation = "sigmoid");
        cj_output(m, "y", y);
        if (cj_model_failed(m)) fail_msg("%s: %s", texts[i], cj_message(cj));
        assert_string_equal(cj_model_text(m), texts[i]);
        cj_model_free(m);
    }
    cj_context_free(cj);
}

/* A step lowers the mean squared error to other pictures. */
static void steps_lower_the_loss(void **state)
{
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        cj_context *cj = test_context();
        if (strchr(cases[i], ' ')) {
            cj_context_free(cj);
            continue;
        }
        int64_t dims[4], sizes[4] = {4};
        int rank;
        cj_model *m = zoo_sample(cj, cases[i], &rank, dims);
        cj_graph *g = cj_model_graph(m);
        cj_node *y = cj_graph_output_at(g, 0);
        for (int k = 1; k < cj_node_rank(y); k++) sizes[k] = cj_node_dim(y, k);
        cj_node *aim = cj_placeholder(g, "aim", CJ_F32, cj_node_rank(y), cj_node_type(y)->dim);
        cj_tensor *x = zoo_pictures(cj, rank, dims, 0),
                  *other = zoo_pictures(cj, cj_node_rank(y), sizes, -1);
        zoo_falls(cj, cases[i], m, cj_mse(y, aim),
                  (cj_feed[]){{cj_graph_input_at(g, 0), x}, {aim, other}});
        cj_tensor_free(x);
        cj_tensor_free(other);
        cj_context_free(cj);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"input 8 8 3, unet", "unet: max_pool: spatial axis 0 has 1 elements (1 with padding), and "
                              "a window reaches over 2 "
                              "(operand f32[batch, 1, 1, 512])"},
        {"unet depth=9", "unet: depth=9 is not between 1 and 8"},
        {"input 8 3, unet",
         "unet: inc.double_conv.0: its input is of rank 3 and has 3 as last size; [batch, height, "
         "width, channels] is expected"},
        {"input 7, autoencoder latent=-1",
         "autoencoder: latent=-1 is for pictures; of numbers the code is 1 or more"},
        {"input 7 3, vae", "vae: its input is of rank 3; [batch, numbers] or [batch, height, "
                           "width, channels] of known sizes is expected"},
        {"vae latent=0", "vae: latent=0 is not between 1 and 16777216"},
        {"dcgan_generator size=30",
         "dcgan_generator: pictures of 30x30; both sides are to be 4, 5, 6 or 7 doubled the same "
         "number of times: 28, 32, 64"},
        {"input 3 3, dcgan_generator",
         "dcgan_generator: its input is of rank 3; [batch, numbers] is expected"},
        {"input 28 32 1, dcgan_discriminator",
         "dcgan_discriminator: pictures of 28x32; both sides are to be 4, 5, 6 or 7 doubled the "
         "same number of times: 28, 32, 64"},
        {"input 5, wgan_gp_critic",
         "wgan_gp_critic: pictures of 0x0; both sides are to be 4, 5, 6 or 7 doubled the same "
         "number of times: 28, 32, 64"},
        {"input 5, fast_style",
         "fast_style: [batch, height, width, channels] of known sizes is expected"},
        {"input 4 16 3, fast_style",
         "fast_style: 4 elements are mirrored at the edge of a picture that has 4; more are "
         "expected"}};
    cj_context *cj = test_context();
    for (size_t i = 0; i < CJ__COUNT(wrong); i++) {
        assert_null(cj_model_from_text(cj, wrong[i][0], NULL, 0));
        assert_string_equal(cj_message(cj), wrong[i][1]);
    }
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(results_are_those_of_pytorch),
                                       cmocka_unit_test(conditional_networks),
                                       cmocka_unit_test(steps_lower_the_loss),
                                       cmocka_unit_test(in_c),
                                       cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
