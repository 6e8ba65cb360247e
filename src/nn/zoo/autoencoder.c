/* autoencoder.c: networks whose result is to be their input, through a code of few numbers.
 *
 *     pictures   conv 32 3x3/2 - conv 64 3x3/2 - [ dense latent - dense ] - up 32 4x4 - up 4x4
 *     vectors    dense 128 - dense latent - dense 128 - dense
 *
 * autoencoder            the code is `latent` numbers (Hinton and Salakhutdinov 2006)
 * denoising_autoencoder  noise is added in training, so that it learns to take noise away (Vincent
 *                        et al. 2008); the code is a picture, of a quarter of the size and 64
 *                        channels, and keeps more detail
 * vae                    the code is drawn from a distribution that the encoder gives, so that
 *                        codes of no picture mean something, too (Kingma and Welling 2013)
 *
 * Pictures of any size: what is left over where a size cannot be divided by 4 is cut off. */
#include "nn/zoo/zoo.h"

static bool is_picture(const cj_node *x) { return x && cj_node_rank(x) == 4; }

static cj_node *encode(const cj__zoo *outer, cj_node *x, const cj_zoo_opts *o)
{
    const cj__zoo at = cj__zoo_in(outer, "encoder");
    if (!is_picture(x)) return cj__zoo_dense(&at, "fc1", x, cj__zoo_widened(128, o), "relu");
    for (int i = 0; i < 2; i++)
        x = CJ__ZOO_CONV(&at, i ? "conv2" : "conv1", x, .filters = cj__zoo_widened(32 << i, o),
                         .kernel = {3}, .strides = {2}, .pads = {1}, .activation = "relu");
    return x;
}

/* A code of numbers; it was `from` before. */
static cj_node *unfold(const cj__zoo *at, cj_node *code, const cj_node *from)
{
    if (!is_picture(from)) return cj__zoo_dense(at, "fc1", code, cj__zoo_channels(from), "relu");
    const int64_t height = cj__zoo_size(from, 1), width = cj__zoo_size(from, 2),
                  channels = cj__zoo_channels(from);
    code = cj__zoo_dense(at, "fc", code, height * width * channels, "relu");
    return cj__zoo_here(at, "unflatten", code,
                        cj_reshape(code, 4, (cj_dim[]){CJ_INFER, height, width, channels}));
}

/* A picture or numbers as `like`, an input of the network. */
static cj_node *decode(const cj__zoo *at, cj_node *x, const cj_node *like, const cj_zoo_opts *o)
{
    const int64_t numbers = cj__zoo_channels(like);
    if (!is_picture(like)) return cj__zoo_dense(at, "fc2", x, numbers, o->activation);
    x = CJ__ZOO_RISE(at, "conv1", x, .filters = cj__zoo_widened(32, o), .kernel = {4},
                     .strides = {2}, .padding = "same", .activation = "relu");
    x = CJ__ZOO_RISE(at, "conv2", x, .filters = numbers, .kernel = {4}, .strides = {2},
                     .padding = "same", .kernel_initializer = "glorot_uniform");
    const int64_t more[] = {0, cj__zoo_size(like, 1) - cj__zoo_size(x, 1),
                            cj__zoo_size(like, 2) - cj__zoo_size(x, 2), 0};
    const cj_node *from = x;
    if (x && (more[1] || more[2])) x = (cj_pad)(x, (int64_t[]){0, 0, 0, 0}, more, 0);
    return cj__zoo_here(at, NULL, from, cj_activation(x, o->activation));
}

/* Numbers, or pictures of known size. */
static bool fits(cj_node *x)
{
    const int rank = x ? cj_node_rank(x) : 0;
    bool known = rank == 2 || rank == 4;
    for (int i = 1; known && i < rank; i++) known = cj_node_dim(x, i) >= 1;
    if (known || !x) return known;
    cj_graph_fail(
        cj_node_graph(x), CJ_ERR_SHAPE,
        "its input is of rank %d; [batch, numbers] or [batch, height, width, channels] of "
        "known sizes is expected",
        rank);
    return false;
}

static cj_node *autoencoder(cj_node *x, const cj_zoo_opts *o)
{
    const cj__zoo at = cj__zoo_at(o->name), encoder = cj__zoo_in(&at, "encoder"),
                  decoder = cj__zoo_in(&at, "decoder");
    const cj_node *like = x;
    if (!fits(x)) return NULL;
    if (o->latent < 0 && !is_picture(x))
        return cj_graph_fail(cj_node_graph(x), CJ_ERR_ARGUMENT,
                             "latent=-1 is for pictures; of numbers the code is 1 or more"),
               NULL;
    if (o->noise > 0)
        x = (cj_gaussian_noise)(x, &(cj_gaussian_noise_opts){
                                       .struct_size = sizeof(cj_gaussian_noise_opts),
                                       .stddev = o->noise});
    x = encode(&at, x, o);
    if (o->latent > 0) {
        const cj_node *from = x;
        if (is_picture(x)) x = cj_flatten(x);
        x = unfold(&decoder, cj__zoo_dense(&encoder, "fc", x, o->latent, NULL), from);
    }
    return decode(&decoder, x, like, o);
}

static cj_node *vae(cj_node *x, const cj_zoo_opts *o)
{
    const cj__zoo at = cj__zoo_at(o->name), encoder = cj__zoo_in(&at, "encoder"),
                  decoder = cj__zoo_in(&at, "decoder");
    const cj_node *like = x;
    double numbers = 1;
    if (!fits(x)) return NULL;
    for (int i = 1; i < cj_node_rank(x); i++) numbers *= (double)cj_node_dim(x, i);
    const cj_node *from = x = encode(&at, x, o);
    if (is_picture(x)) x = cj_flatten(x);
    cj_node *mean = cj__zoo_dense(&encoder, "mean", x, o->latent, NULL),
            *log_var = cj__zoo_dense(&encoder, "log_var", x, o->latent, NULL);
    x = cj__zoo_sampling(&at, "sampling", mean, log_var, o->beta / numbers);
    return decode(&decoder, unfold(&decoder, x, from), like, o);
}

#define LATENT(initial, min, help) \
    CJ_OPTION_INT(cj_zoo_opts, latent, initial, min, 1 << 24, help)
#define NOISE(initial) \
    CJ_OPTION_FLOAT(cj_zoo_opts, noise, initial, 0, 1e9, \
                    "deviation of what is added to the input in training")
#define ACTIVATION \
    CJ_OPTION_STRING(cj_zoo_opts, activation, "sigmoid", "of the result; linear: any numbers")

static const cj_option plain_options[] = {
    LATENT(32, -1, "numbers of the code; -1: it is a picture"), NOISE(0), CJ__ZOO_WIDTH,
    ACTIVATION, CJ__ZOO_END};
static const cj_option denoising_options[] = {
    LATENT(-1, -1, "numbers of the code; -1: it is a picture"), NOISE(0.3),
    CJ__ZOO_WIDTH, ACTIVATION, CJ__ZOO_END};
static const cj_option vae_options[] = {
    LATENT(16, 1, "numbers of the code"),
    CJ_OPTION_FLOAT(cj_zoo_opts, beta, 1, 1e-9, 1e9,
                    "times the divergence of codes from normal numbers, in the loss, which is a "
                    "mean over the numbers of a sample"),
    CJ__ZOO_WIDTH, ACTIVATION, CJ__ZOO_END};

CJ__ZOO_ROW(autoencoder, "its result is to be its input, through a code of few numbers (Hinton and "
                         "Salakhutdinov 2006)",
            plain_options, autoencoder(x, o), .rank = 3, .shape = {28, 28, 1},
            .sample = "latent=4 : 10, 12, 2")
CJ__ZOO_ROW(denoising_autoencoder,
            "takes away noise like the one that training adds (Vincent et al. 2008)",
            denoising_options, autoencoder(x, o), .rank = 3, .shape = {28, 28, 1},
            .sample = "noise=0 : 10, 12, 2")
CJ__ZOO_ROW(vae, "variational autoencoder: codes are drawn, near normal numbers (Kingma and "
                 "Welling 2013)",
            vae_options, vae(x, o), .rank = 3, .shape = {28, 28, 1},
            .sample = "latent=3 : 10, 12, 2")
