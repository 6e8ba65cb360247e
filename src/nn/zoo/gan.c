/* gan.c: generators of pictures and what they learn from (Goodfellow et al. 2014).
 *
 *     dcgan_generator       numbers - up (256, 4x4) - bn - relu - up 128 - bn - relu - up 64 - bn -
 *                           relu - up - tanh
 *     dcgan_discriminator   conv 64 4x4/2 - leaky relu - conv 128 - bn - leaky relu - conv 256 - bn
 *                           - leaky relu - conv (1, 4x4) - sigmoid
 *     wgan_gp_critic        the same with layer norm for batch norm, and a plain number: the
 *                           gradient penalty is of each picture by itself (Gulrajani et al. 2017)
 *
 * That is DCGAN (Radford et al. 2015) for pictures of 32x32. A side of another size is halved while
 * it is above 7, 28 to 7 and 64 to 4, with a layer for each time; each layer has half of the
 * channels of the one in front, and the largest picture 64. Layers are called as in PyTorch's
 * examples/dcgan, whose pictures are of 64x64; kernels begin as normal numbers of deviation 0.02.
 *
 * The conditional networks (Mirza and Osindero 2014) are told a class besides: the generator as an
 * embedding beside its numbers, the discriminator by a projection of its features on an embedding
 * of the class (Miyato and Koyama 2018). They have two inputs, so they are functions and no rows.
 */
#include "nn/zoo/zoo.h"

#include <string.h>

#define INITIALIZER "random_normal(stddev=0.02)"

/* How a side is halved: down to `first`, in `steps`; false: it cannot be. */
static bool halved(int64_t side, int64_t *first, int *steps)
{
    for (*steps = 0, *first = side; *first > 7 && *first % 2 == 0; *first /= 2) ++*steps;
    return *steps > 0 && *first >= 4 && *first <= 7;
}

static cj_node *bad_size(const cj_node *x, int64_t height, int64_t width)
{
    return cj_graph_fail(cj_node_graph(x), CJ_ERR_SHAPE,
                         "pictures of %lldx%lld; both sides are to be 4, 5, 6 or 7 doubled the "
                         "same number of times: 28, 32, 64",
                         (long long)height, (long long)width),
           NULL;
}

/* A layer's name is its place in PyTorch's list of modules. */
typedef struct place {
    char text[16];
} place;
static place place_of(int number)
{
    place p;
    cj__format(p.text, sizeof p.text, "%d", number);
    return p;
}

static cj_node *rise(const cj__zoo *main, int number, cj_node *x, int64_t filters, int64_t first)
{
    const place name = place_of(number);
    return CJ__ZOO_RISE(main, name.text, x, .filters = filters, .kernel = {first ? first : 4},
                        .strides = {first ? 1 : 2}, .padding = first ? "valid" : "same",
                        .no_bias = true, .kernel_initializer = INITIALIZER);
}

static cj_node *generator(cj_node *x, const cj_zoo_opts *o)
{
    const cj__zoo at = cj__zoo_at(o->name), main = cj__zoo_in(&at, "main");
    int64_t first;
    int steps, n = 0;
    if (!x) return NULL;
    if (!halved(o->size, &first, &steps)) return bad_size(x, o->size, o->size);
    if (cj_node_rank(x) != 2)
        return cj_graph_fail(cj_node_graph(x), CJ_ERR_SHAPE,
                             "its input is of rank %d; [batch, numbers] is expected",
                             cj_node_rank(x)),
               NULL;
    x = cj__zoo_here(&main, NULL, x,
                     cj_reshape(x, 4, (cj_dim[]){CJ_INFER, 1, 1, cj_node_dim(x, 1)}));
    for (int i = steps - 1; i >= 0; i--, n += 3) {
        x = rise(&main, n, x, cj__zoo_widened((int64_t)64 << i, o), n ? 0 : first);
        const place norm = place_of(n + 1);
        x = cj__zoo_norm(&main, norm.text, x, 1e-5);
        x = cj__zoo_here(&main, NULL, x, cj_relu(x));
    }
    x = rise(&main, n, x, o->channels, 0);
    return cj__zoo_here(&main, NULL, x, cj_activation(x, o->activation));
}

typedef cj_node *(*norm_fn)(const cj__zoo *at, const char *name, cj_node *x, double epsilon);

static cj_node *judge(cj_node *x, const cj_zoo_opts *o, norm_fn norm)
{
    const cj__zoo at = cj__zoo_at(o->name), main = cj__zoo_in(&at, "main");
    const bool picture = x && cj_node_rank(x) == 4;
    const int64_t height = picture ? cj_node_dim(x, 1) : 0, width = picture ? cj_node_dim(x, 2) : 0;
    int64_t first[2];
    int steps, other, n = 0;
    if (!x) return NULL;
    if (!halved(height, &first[0], &steps) || !halved(width, &first[1], &other) || other != steps)
        return bad_size(x, height, width);
    for (int i = 0; i < steps; i++) {
        const place conv = place_of(n), behind = place_of(n + 1);
        x = CJ__ZOO_CONV(&main, conv.text, x, .filters = cj__zoo_widened((int64_t)64 << i, o),
                         .kernel = {4}, .strides = {2}, .pads = {1}, .no_bias = true,
                         .kernel_initializer = INITIALIZER);
        if (i) x = norm(&main, behind.text, x, 1e-5);
        x = cj__zoo_here(&main, NULL, x, cj_activation(x, "leaky_relu(0.2)"));
        n += i ? 3 : 2;
    }
    if (o->no_top) return cj_flatten(x);
    const cj_node *from = x;
    const place last = place_of(n);
    x = CJ__ZOO_CONV(&main, last.text, x, .filters = 1, .kernel = {first[0], first[1]},
                     .no_bias = true, .kernel_initializer = INITIALIZER);
    if (!x) return NULL;
    x = cj_activation(cj_reshape(x, 2, (cj_dim[]){CJ_INFER, 1}), o->activation);
    return cj__zoo_here(&main, NULL, from, x);
}

static const cj_option generator_options[] = {
    CJ_OPTION_INT(cj_zoo_opts, size, 28, 8, 4096, "of the pictures, which are square"),
    CJ_OPTION_INT(cj_zoo_opts, channels, 1, 1, 65536, "of the pictures"),
    CJ__ZOO_WIDTH,
    CJ_OPTION_STRING(cj_zoo_opts, activation, "tanh", "of the result"),
    CJ__ZOO_END};
static const cj_option discriminator_options[] = {
    CJ__ZOO_WIDTH,
    CJ_OPTION_STRING(cj_zoo_opts, activation, "sigmoid", "of the result; linear: logits"),
    CJ__ZOO_NO_TOP, CJ__ZOO_END};
static const cj_option critic_options[] = {
    CJ__ZOO_WIDTH, CJ_OPTION_STRING(cj_zoo_opts, activation, "linear", "of the result"),
    CJ__ZOO_NO_TOP, CJ__ZOO_END};

CJ__ZOO_ROW(dcgan_generator,
            "pictures of random numbers, for square pictures (Radford et al. 2015)",
            generator_options, generator(x, o), .rank = 1, .shape = {100},
            .sample = "size=14, width=0.125 : 6")
CJ__ZOO_ROW(dcgan_discriminator, "is it a real picture? (Radford et al. 2015)",
            discriminator_options, judge(x, o, cj__zoo_norm), .rank = 3, .shape = {28, 28, 1},
            .sample = "width=0.125 : 28, 28, 1")
CJ__ZOO_ROW(wgan_gp_critic, "a score of pictures, high for real ones (Gulrajani et al. 2017)",
            critic_options, judge(x, o, cj__zoo_layer_norm), .rank = 3, .shape = {28, 28, 1},
            .sample = "width=0.125 : 28, 28, 1")

/* ---- With a class ---------------------------------------------------------------------------- */

enum { LABEL_WIDTH = 50 };

static bool take_opts(const char *name, cj_node *x, const cj_zoo_opts *opts, cj_zoo_opts *o)
{
    *o = (cj_zoo_opts){0};
    if (!x || !cj__graph_opts(cj_node_graph(x), name, o, sizeof *o, opts)) return false;
    if (!o->classes) o->classes = 10;
    return true;
}

/* [batch, numbers] for classes [batch] or [batch, 1]. */
static cj_node *of_class(const cj_zoo_opts *o, cj_node *label, int64_t numbers)
{
    const cj__zoo at = cj__zoo_at(o->name);
    if (label && cj_node_rank(label) == 2)
        label = cj_reshape(label, 1, (cj_dim[]){cj_node_dim(label, 0)});
    return cj__zoo_embedding(&at, "label", label, o->classes, numbers);
}

cj_node *(cj_zoo_conditional_generator)(cj_node *x, cj_node *label, const cj_zoo_opts *opts)
{
    cj_zoo_opts o;
    if (!take_opts("conditional_generator", x, opts, &o)) return NULL;
    cj_node *e = of_class(&o, label, LABEL_WIDTH);
    if (!e) return NULL;
    return (cj_zoo_dcgan_generator)(cj_concat((cj_node *[]){x, e}, 2, -1), &o);
}

cj_node *(cj_zoo_conditional_discriminator)(cj_node *x, cj_node *label, const cj_zoo_opts *opts)
{
    cj_zoo_opts o;
    if (!take_opts("conditional_discriminator", x, opts, &o)) return NULL;
    const cj__zoo at = cj__zoo_at(o.name);
    o.no_top = true;
    x = (cj_zoo_dcgan_discriminator)(x, &o);
    cj_node *e = x ? of_class(&o, label, cj__zoo_channels(x)) : NULL;
    cj_node *score = cj__zoo_dense(&at, "fc", x, 1, NULL);
    if (!e || !score) return NULL;
    const int64_t last = -1;
    score = cj_add(score, cj_reduce_sum(cj_mul(x, e), 1, &last, true));
    return cj_activation(score, o.activation ? o.activation : "sigmoid");
}
