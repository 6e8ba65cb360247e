/* zoo.h: the classic networks, each a row that is found by name and a function.
 *
 *     cj_node *x = cj_input(m, "image", 32, 32, 3);
 *     cj_output(m, "class", cj_zoo_resnet20(x, .classes = 10));
 *
 *     cj_model *m = cj_model_from_text(cj, "resnet18(classes=100)", NULL, 0);  // 224x224x3
 *     cj_load_weights(m, "resnet18.safetensors");                              // torchvision's
 *
 * In text and recipes a network stands where a layer does: "resnet20", "vgg16(dropout=0.3)",
 * "resnet18(no_top=true), dense 10 softmax". There `classes` are those of the data when the text
 * says none; without data and an input, samples have the network's own shape.
 *
 * x is [batch, height, width, channels], of any size the network leaves something of, and any
 * number of channels, where nothing else is said. Layers have the names of PyTorch's modules in
 * torchvision ("layer1.0.conv1"), and parameters are as many. Convolutions begin from he_normal. A
 * network that cannot be built gives NULL, and the message begins with its name. A program's own
 * networks are registered with cj_network_register (nn.h). */
#ifndef CAJAL_ZOO_H
#define CAJAL_ZOO_H

#include <cajal/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Each network takes those that its row has (`cajal list networks`). */
typedef struct cj_zoo_opts {
    size_t struct_size;
    int64_t classes;        /* default 1000; of networks for small pictures 10 */
    const char *activation; /* of the result; default "softmax" where classes are told; "linear":
                               logits, scores */
    bool no_top;            /* without the last layer: features [batch, numbers] */
    double dropout;         /* in front of dense layers; default that of torchvision */
    double width;           /* of channels: times the usual one; default 1 */
    const char *shortcut;   /* resnet20, 32, 56: "A" (default), "B" */
    const char *name;       /* begins the names of all layers: "name.conv1"; needed where a model
                               has a network twice */
    bool aux;         /* googlenet, inception_v3: heads on the way that tell classes too. They are
                         no outputs (cj_auxiliary_output); their losses count 0.3 and 0.4 */
    int64_t depth;    /* unet: how often the picture is halved; default 4 */
    bool no_norm;     /* unet: biases instead of batch norms */
    int64_t latent;   /* autoencoders: numbers of the code, default 32, of vae 16; -1: the code is a
                         picture, which is the default of denoising_autoencoder */
    double noise;     /* autoencoders: deviation of what is added to the input in training; default
                         0, of denoising_autoencoder 0.3 */
    double beta;      /* vae: weight of the divergence of codes from normal numbers; default 1 */
    int64_t size;     /* dcgan_generator: of the pictures, which are square: 28 (default), 32, 64 */
    int64_t channels; /* dcgan_generator: of the pictures; default 1 */
} cj_zoo_opts;

/* Classes of pictures. Small ones: 28x28x1 by default, and 32x32x3 for residual networks. */
CJ_API cj_node *cj_zoo_lenet5(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_cnn(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_resnet20(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_resnet32(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_resnet56(cj_node *x, const cj_zoo_opts *opts);

/* ImageNet: 224x224x3 by default. */
CJ_API cj_node *cj_zoo_alexnet(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_vgg11(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_vgg13(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_vgg16(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_vgg19(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_vgg11_bn(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_vgg13_bn(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_vgg16_bn(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_vgg19_bn(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_resnet18(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_resnet34(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_resnet50(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_resnet101(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_resnet152(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_googlenet(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_inception_v3(cj_node *x, const cj_zoo_opts *opts); /* 299x299x3 */
CJ_API cj_node *cj_zoo_squeezenet1_0(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_squeezenet1_1(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_mobilenet_v2(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_densenet121(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_densenet169(cj_node *x, const cj_zoo_opts *opts);

/* A class for each pixel: [batch, height, width, classes], of one class its probability. */
CJ_API cj_node *cj_zoo_unet(cj_node *x, const cj_zoo_opts *opts);
/* Results of their input's shape, [batch, height, width, channels] or [batch, numbers]. */
CJ_API cj_node *cj_zoo_autoencoder(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_denoising_autoencoder(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_vae(cj_node *x, const cj_zoo_opts *opts);
/* [batch, numbers] -> pictures [batch, size, size, channels]; pictures -> [batch, 1], the
 * probability that they are real, and of a critic a score. A side is 4, 5, 6 or 7 doubled. */
CJ_API cj_node *cj_zoo_dcgan_generator(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_dcgan_discriminator(cj_node *x, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_wgan_gp_critic(cj_node *x, const cj_zoo_opts *opts);
/* The same told a class: label [batch] or [batch, 1] of whole numbers below `classes` (default 10).
 * The generator has an embedding of it beside its numbers (Mirza and Osindero 2014), the
 * discriminator adds the product of its features and an embedding (Miyato and Koyama 2018). */
CJ_API cj_node *cj_zoo_conditional_generator(cj_node *x, cj_node *label, const cj_zoo_opts *opts);
CJ_API cj_node *cj_zoo_conditional_discriminator(cj_node *x, cj_node *label,
                                                 const cj_zoo_opts *opts);
/* A picture -> that picture in a style. */
CJ_API cj_node *cj_zoo_fast_style(cj_node *x, const cj_zoo_opts *opts);
/* Detection: 240x320x3 by default. [batch, rows, columns, 4 + classes]: see detect.h. */
CJ_API cj_node *cj_zoo_detector(cj_node *x, const cj_zoo_opts *opts);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define CJ_ZOO_(function, x, ...) \
    cj_at_end((function)(cj_at(x, CJ_HERE), \
                         &(cj_zoo_opts){.struct_size = sizeof(cj_zoo_opts), __VA_ARGS__}))
#define cj_zoo_lenet5(x, ...) CJ_ZOO_(cj_zoo_lenet5, x, __VA_ARGS__)
#define cj_zoo_cnn(x, ...) CJ_ZOO_(cj_zoo_cnn, x, __VA_ARGS__)
#define cj_zoo_resnet20(x, ...) CJ_ZOO_(cj_zoo_resnet20, x, __VA_ARGS__)
#define cj_zoo_resnet32(x, ...) CJ_ZOO_(cj_zoo_resnet32, x, __VA_ARGS__)
#define cj_zoo_resnet56(x, ...) CJ_ZOO_(cj_zoo_resnet56, x, __VA_ARGS__)
#define cj_zoo_alexnet(x, ...) CJ_ZOO_(cj_zoo_alexnet, x, __VA_ARGS__)
#define cj_zoo_vgg11(x, ...) CJ_ZOO_(cj_zoo_vgg11, x, __VA_ARGS__)
#define cj_zoo_vgg13(x, ...) CJ_ZOO_(cj_zoo_vgg13, x, __VA_ARGS__)
#define cj_zoo_vgg16(x, ...) CJ_ZOO_(cj_zoo_vgg16, x, __VA_ARGS__)
#define cj_zoo_vgg19(x, ...) CJ_ZOO_(cj_zoo_vgg19, x, __VA_ARGS__)
#define cj_zoo_vgg11_bn(x, ...) CJ_ZOO_(cj_zoo_vgg11_bn, x, __VA_ARGS__)
#define cj_zoo_vgg13_bn(x, ...) CJ_ZOO_(cj_zoo_vgg13_bn, x, __VA_ARGS__)
#define cj_zoo_vgg16_bn(x, ...) CJ_ZOO_(cj_zoo_vgg16_bn, x, __VA_ARGS__)
#define cj_zoo_vgg19_bn(x, ...) CJ_ZOO_(cj_zoo_vgg19_bn, x, __VA_ARGS__)
#define cj_zoo_resnet18(x, ...) CJ_ZOO_(cj_zoo_resnet18, x, __VA_ARGS__)
#define cj_zoo_resnet34(x, ...) CJ_ZOO_(cj_zoo_resnet34, x, __VA_ARGS__)
#define cj_zoo_resnet50(x, ...) CJ_ZOO_(cj_zoo_resnet50, x, __VA_ARGS__)
#define cj_zoo_resnet101(x, ...) CJ_ZOO_(cj_zoo_resnet101, x, __VA_ARGS__)
#define cj_zoo_resnet152(x, ...) CJ_ZOO_(cj_zoo_resnet152, x, __VA_ARGS__)
#define cj_zoo_googlenet(x, ...) CJ_ZOO_(cj_zoo_googlenet, x, __VA_ARGS__)
#define cj_zoo_inception_v3(x, ...) CJ_ZOO_(cj_zoo_inception_v3, x, __VA_ARGS__)
#define cj_zoo_squeezenet1_0(x, ...) CJ_ZOO_(cj_zoo_squeezenet1_0, x, __VA_ARGS__)
#define cj_zoo_squeezenet1_1(x, ...) CJ_ZOO_(cj_zoo_squeezenet1_1, x, __VA_ARGS__)
#define cj_zoo_mobilenet_v2(x, ...) CJ_ZOO_(cj_zoo_mobilenet_v2, x, __VA_ARGS__)
#define cj_zoo_densenet121(x, ...) CJ_ZOO_(cj_zoo_densenet121, x, __VA_ARGS__)
#define cj_zoo_densenet169(x, ...) CJ_ZOO_(cj_zoo_densenet169, x, __VA_ARGS__)
#define cj_zoo_unet(x, ...) CJ_ZOO_(cj_zoo_unet, x, __VA_ARGS__)
#define cj_zoo_autoencoder(x, ...) CJ_ZOO_(cj_zoo_autoencoder, x, __VA_ARGS__)
#define cj_zoo_denoising_autoencoder(x, ...) CJ_ZOO_(cj_zoo_denoising_autoencoder, x, __VA_ARGS__)
#define cj_zoo_vae(x, ...) CJ_ZOO_(cj_zoo_vae, x, __VA_ARGS__)
#define cj_zoo_dcgan_generator(x, ...) CJ_ZOO_(cj_zoo_dcgan_generator, x, __VA_ARGS__)
#define cj_zoo_dcgan_discriminator(x, ...) CJ_ZOO_(cj_zoo_dcgan_discriminator, x, __VA_ARGS__)
#define cj_zoo_wgan_gp_critic(x, ...) CJ_ZOO_(cj_zoo_wgan_gp_critic, x, __VA_ARGS__)
#define cj_zoo_fast_style(x, ...) CJ_ZOO_(cj_zoo_fast_style, x, __VA_ARGS__)
#define CJ_ZOO_PAIR_(function, x, label, ...) \
    cj_at_end((function)(cj_at(x, CJ_HERE), label, \
                         &(cj_zoo_opts){.struct_size = sizeof(cj_zoo_opts), __VA_ARGS__}))
#define cj_zoo_conditional_generator(x, label, ...) \
    CJ_ZOO_PAIR_(cj_zoo_conditional_generator, x, label, __VA_ARGS__)
#define cj_zoo_conditional_discriminator(x, label, ...) \
    CJ_ZOO_PAIR_(cj_zoo_conditional_discriminator, x, label, __VA_ARGS__)
#define cj_zoo_detector(x, ...) CJ_ZOO_(cj_zoo_detector, x, __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
