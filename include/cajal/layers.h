/* layers.h: the layers of models beyond the basic ones of nn.h, by family, with Keras's names.
 *
 *     x = cj_batch_normalization(x, .momentum = 0.9);
 *     x = cj_layer_normalization(cj_embedding(words, .input_dim = 5000, .output_dim = 64));
 *
 * As in nn.h: samples are channels-last, options are keywords, and zero is the documented default.
 * Those of pictures that are never the same twice have a header of their own, layers_augment.h. */
#ifndef CAJAL_LAYERS_H
#define CAJAL_LAYERS_H

#include <cajal/graph.h>
#include <cajal/layers_augment.h>
#include <cajal/option.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Normalisation --------------------------------------------------------------------------- */

/* gamma multiplies what is normal, beta is added; no_scale and no_center leave them out.
 * Initializers default to "ones" and "zeros". */

typedef struct cj_batch_normalization_opts {
    size_t struct_size;
    int64_t axis;      /* of the channels: the last (default), or 1 */
    double momentum;   /* default 0.99: how much of a running statistic a step keeps */
    double epsilon;    /* default 0.001 */
    bool no_center, no_scale;
    const char *gamma_initializer, *beta_initializer, *gamma_regularizer, *beta_regularizer;
    const char *name;
    const char *gamma_constraint, *beta_constraint;
} cj_batch_normalization_opts;
/* cj_batch_norm (norm.h): in training with the batch's statistics, which also move
 * "name/moving_mean" and "name/moving_variance"; else with those. Parameters "name/gamma",
 * "name/beta" [channels]. */
CJ_API cj_node *cj_batch_normalization(cj_node *x, const cj_batch_normalization_opts *opts);

typedef struct cj_layer_normalization_opts {
    size_t struct_size;
    int64_t axis;      /* the first normalised one of the batch; default the last */
    double epsilon;    /* default 0.001 */
    bool no_center, no_scale;
    const char *gamma_initializer, *beta_initializer, *gamma_regularizer, *beta_regularizer;
    const char *name;
    const char *gamma_constraint, *beta_constraint;
} cj_layer_normalization_opts;
/* cj_layer_norm. gamma and beta have the sizes of the normalised axes. */
CJ_API cj_node *cj_layer_normalization(cj_node *x, const cj_layer_normalization_opts *opts);

typedef struct cj_group_normalization_opts {
    size_t struct_size;
    int64_t groups;    /* default 32; -1: a group for each channel */
    int64_t axis;      /* of the channels: the last (default), or 1 */
    double epsilon;    /* default 0.001 */
    bool no_center, no_scale;
    const char *gamma_initializer, *beta_initializer, *gamma_regularizer, *beta_regularizer;
    const char *name;
    const char *gamma_constraint, *beta_constraint;
} cj_group_normalization_opts;
/* cj_group_norm, [batch, ..., channels]. */
CJ_API cj_node *cj_group_normalization(cj_node *x, const cj_group_normalization_opts *opts);

typedef struct cj_instance_normalization_opts {
    size_t struct_size;
    int64_t axis;
    double epsilon;    /* default 0.001 */
    bool no_center, no_scale;
    const char *gamma_initializer, *beta_initializer, *gamma_regularizer, *beta_regularizer;
    const char *name;
    const char *gamma_constraint, *beta_constraint;
} cj_instance_normalization_opts;
/* cj_instance_norm, [batch, spatial..., channels]. */
CJ_API cj_node *cj_instance_normalization(cj_node *x, const cj_instance_normalization_opts *opts);

typedef struct cj_rms_normalization_opts {
    size_t struct_size;
    int64_t axis;      /* the first normalised one of the batch; default the last */
    double epsilon;    /* default 1e-6 */
    bool no_scale;
    const char *gamma_initializer, *gamma_regularizer;
    const char *name;
    const char *gamma_constraint;
} cj_rms_normalization_opts;
/* cj_rms_norm. */
CJ_API cj_node *cj_rms_normalization(cj_node *x, const cj_rms_normalization_opts *opts);

typedef struct cj_local_response_normalization_opts {
    size_t struct_size;
    int64_t size;              /* default 5 */
    double alpha, beta, bias;  /* default 1e-4, 0.75, 1 */
    int64_t axis;
    const char *name;
} cj_local_response_normalization_opts;
/* cj_local_response_norm; no parameters. */
CJ_API cj_node *cj_local_response_normalization(cj_node *x,
                                                const cj_local_response_normalization_opts *opts);

typedef struct cj_unit_normalization_opts {
    size_t struct_size;
    int64_t axis; /* default the last */
    const char *name;
} cj_unit_normalization_opts;
/* x / max(|x|, 1e-12), the length along one axis; no parameters. */
CJ_API cj_node *cj_unit_normalization(cj_node *x, const cj_unit_normalization_opts *opts);

/* ---- Layers of layers ------------------------------------------------------------------------ */

/* Their layers are written as in a model's text (docs/layers.md), in brackets or without, and have
 * names of their own. */
typedef struct cj_residual_opts {
    size_t struct_size;
    const char *layers;     /* required: "dense 8 relu, dense 8" */
    const char *activation; /* of the sum; default none */
    const char *shortcut;   /* layers of the way around; default none: x itself */
    const char *name;
} cj_residual_opts;
/* activation(layers(x) + shortcut(x)), which are to be of one shape (He et al. 2015). */
CJ_API cj_node *cj_residual(cj_node *x, const cj_residual_opts *opts);

typedef struct cj_time_distributed_opts {
    size_t struct_size;
    const char *layer; /* required: one, "conv2d 8 3", or several one after another */
    const char *name;
} cj_time_distributed_opts;
/* x [batch, steps, ...] -> [batch, steps, ...]: each step is a sample to the layers. */
CJ_API cj_node *cj_time_distributed(cj_node *x, const cj_time_distributed_opts *opts);

/* ---- Merges ---------------------------------------------------------------------------------- */

/* Several inputs (two or more) become one, element by element, broadcast as operators do; nn.h has
 * cj_add_layer and cj_concatenate. cj_subtract_layer takes two. */
CJ_API cj_node *cj_subtract_layer(cj_node *const *x, int n);
CJ_API cj_node *cj_multiply_layer(cj_node *const *x, int n);
CJ_API cj_node *cj_average_layer(cj_node *const *x, int n);
CJ_API cj_node *cj_maximum_layer(cj_node *const *x, int n);
CJ_API cj_node *cj_minimum_layer(cj_node *const *x, int n);

typedef struct cj_dot_opts {
    size_t struct_size;
    int64_t axes[CJ_SIZES]; /* required: of x and of y, from 1 (0 is the batch); one: of both */
    bool normalize;         /* both are made vectors of length one along the axis */
    const char *name;
} cj_dot_opts;
/* Keras's Dot: x [batch, a..., k], y [batch, b..., k] (k where the axes are) -> [batch, a...,
 * b...]; [batch, 1] when there are no others. */
CJ_API cj_node *cj_dot(cj_node *x, cj_node *y, const cj_dot_opts *opts);

/* ---- Shape ----------------------------------------------------------------------------------- */

/* The sample's axes in another order: cj_permute(x, 2, (int64_t[]){2, 1}). The first axis is 1. */
CJ_API cj_node *cj_permute(cj_node *x, int n, const int64_t *dims);
/* [batch, numbers] -> [batch, n, numbers] */
CJ_API cj_node *cj_repeat_vector(cj_node *x, int64_t n);

/* ---- Noise and prices ------------------------------------------------------------------------ */

/* These do something in training only. */
typedef struct cj_gaussian_noise_opts {
    size_t struct_size;
    double stddev; /* required, 0 or more */
    const char *name;
} cj_gaussian_noise_opts;
CJ_API cj_node *cj_gaussian_noise(cj_node *x, const cj_gaussian_noise_opts *opts);

typedef struct cj_gaussian_dropout_opts {
    size_t struct_size;
    double rate; /* 0 <= rate < 1 */
    const char *name;
} cj_gaussian_dropout_opts;
typedef cj_gaussian_dropout_opts cj_alpha_dropout_opts;
/* x times normal noise of mean 1 and deviation sqrt(rate / (1 - rate)). */
CJ_API cj_node *cj_gaussian_dropout(cj_node *x, const cj_gaussian_dropout_opts *opts);
/* Dropout for networks of selu: mean 0 and deviation 1 stay (Klambauer et al. 2017). */
CJ_API cj_node *cj_alpha_dropout(cj_node *x, const cj_alpha_dropout_opts *opts);

typedef struct cj_spatial_dropout2d_opts {
    size_t struct_size;
    double rate; /* 0 <= rate < 1 */
    const char *name;
} cj_spatial_dropout2d_opts;
typedef cj_spatial_dropout2d_opts cj_spatial_dropout1d_opts, cj_spatial_dropout3d_opts;
/* Dropout of whole channels: x [batch, 1 to 3 spatial axes, channels]. */
CJ_API cj_node *cj_spatial_dropout1d(cj_node *x, const cj_spatial_dropout1d_opts *opts);
CJ_API cj_node *cj_spatial_dropout2d(cj_node *x, const cj_spatial_dropout2d_opts *opts);
CJ_API cj_node *cj_spatial_dropout3d(cj_node *x, const cj_spatial_dropout3d_opts *opts);

typedef struct cj_activity_regularization_opts {
    size_t struct_size;
    double l1, l2; /* times the sum of |x|, of x^2, of a sample; their mean is added to the loss */
    const char *name;
} cj_activity_regularization_opts;
CJ_API cj_node *cj_activity_regularization(cj_node *x, const cj_activity_regularization_opts *opts);

typedef struct cj_sampling_opts {
    size_t struct_size;
    double weight; /* of the divergence in the loss; default 1 */
    const char *name;
} cj_sampling_opts;
/* z = mean + e^(log_var / 2) noise in training, else the mean; adds weight times the mean over the
 * batch of -1/2 sum (1 + log_var - mean^2 - e^log_var) to the loss (Kingma and Welling 2013). Of
 * one input (in text) the first half of the last axis are means, the second log_var. */
CJ_API cj_node *cj_sampling(cj_node *mean, cj_node *log_var, const cj_sampling_opts *opts);

/* ---- Dense along any axes -------------------------------------------------------------------- */

typedef struct cj_einsum_dense_opts {
    size_t struct_size;
    const char *equation;   /* required, of x, kernel and y: "abc,cd->abd", "...x,xy->...y" */
    cj_ints output_shape;   /* of a sample, a number for each letter of the result but the batch's;
                               axes of "..." are left out; 0 or -1: as in the input */
    const char *activation; /* default none */
    const char *bias_axes;  /* letters of the result that have a bias of their own: "d"; default no
                               bias */
    const char *kernel_initializer; /* default "glorot_uniform" */
    const char *bias_initializer;   /* default "zeros" */
    const char *kernel_regularizer, *bias_regularizer, *kernel_constraint, *bias_constraint;
    const char *name;
} cj_einsum_dense_opts;
/* y = activation(einsum(equation, x, kernel) + bias): "name/kernel" has the axes of its letters,
 * "name/bias" those of the result from the first of bias_axes on, 1 where one is for all. */
CJ_API cj_node *cj_einsum_dense(cj_node *x, const cj_einsum_dense_opts *opts);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_einsum_dense(x, ...) CJ_LAYER_(cj_einsum_dense, x, __VA_ARGS__)
#endif

/* ---- Gates ----------------------------------------------------------------------------------- */

typedef struct cj_prelu_opts {
    size_t struct_size;
    const char *alpha_initializer; /* default "zeros" */
    const char *alpha_regularizer;
    cj_ints shared_axes;           /* of the sample, from 1: the slope is the same along them */
    const char *name;
    const char *alpha_constraint;
} cj_prelu_opts;
/* y = x for x >= 0, "name/alpha" x below; alpha has a sample's shape, 1 along shared axes. */
CJ_API cj_node *cj_prelu(cj_node *x, const cj_prelu_opts *opts);

typedef struct cj_highway_opts {
    size_t struct_size;
    const char *activation;            /* default "relu" */
    const char *kernel_initializer;    /* default "glorot_uniform" */
    const char *gate_bias_initializer; /* default "constant(-2)" */
    const char *kernel_regularizer;
    const char *name;
    const char *kernel_constraint;
} cj_highway_opts;
/* y = t activation(x W + b) + (1 - t) x with t = sigmoid(x W_t + b_t), on the last axis of n:
 * "name/kernel", "name/gate_kernel" [n, n], "name/bias", "name/gate_bias" [n]. */
CJ_API cj_node *cj_highway(cj_node *x, const cj_highway_opts *opts);

typedef struct cj_mixture_of_experts_opts {
    size_t struct_size;
    int64_t units, experts; /* required */
    int64_t top_k;          /* default 2: experts a position listens to (of equals, all) */
    const char *activation; /* of each expert; default none */
    double load_balancing;  /* default 0.01: times experts sum_e f_e p_e (Fedus et al. 2021), added
                               to the loss */
    bool no_bias;
    const char *kernel_initializer; /* default "glorot_uniform" */
    const char *kernel_regularizer;
    const char *name;
    const char *kernel_constraint;
} cj_mixture_of_experts_opts;
/* y = sum_e g_e activation(x W_e + b_e) on the last axis, g the softmax of the top_k largest of
 * x W_g: "name/gate_kernel" [inputs, experts], "name/kernel" [inputs, experts, units], "name/bias"
 * [experts, units]. All experts are computed. */
CJ_API cj_node *cj_mixture_of_experts(cj_node *x, const cj_mixture_of_experts_opts *opts);

/* ---- Preprocessing --------------------------------------------------------------------------- */

typedef struct cj_rescaling_opts {
    size_t struct_size;
    double scale, offset; /* y = scale x + offset; default 1 and 0 */
    const char *name;
} cj_rescaling_opts;
CJ_API cj_node *cj_rescaling(cj_node *x, const cj_rescaling_opts *opts);

typedef struct cj_normalization_opts {
    size_t struct_size;
    cj_floats mean, variance; /* required: one number, or one for each of the last axis */
    bool invert;              /* y = x sqrt(variance) + mean */
    const char *name;
} cj_normalization_opts;
/* y = (x - mean) / max(sqrt(variance), 1e-7) */
CJ_API cj_node *cj_normalization(cj_node *x, const cj_normalization_opts *opts);

typedef struct cj_discretization_opts {
    size_t struct_size;
    cj_floats bin_boundaries; /* required, rising: bin i holds bound[i-1] <= x < bound[i] */
    const char *name;
} cj_discretization_opts;
/* i64 numbers of bins, of x's shape. NaN is in bin 0. */
CJ_API cj_node *cj_discretization(cj_node *x, const cj_discretization_opts *opts);

typedef struct cj_integer_lookup_opts {
    size_t struct_size;
    cj_ints vocabulary; /* required, each once */
    const char *name;
    int64_t num_oov_indices; /* places for what is not in it, by x mod that; default 1; -1: none */
    cj_ints mask_token;      /* one number that means nothing; default none */
    const char *output_mode; /* "int" (default), or as category_encoding's */
    bool invert;             /* numbers of places instead */
} cj_integer_lookup_opts;
/* Keras's IntegerLookup: i64 places of x's shape. First is that of the mask, if there is one, then
 * num_oov_indices for what is not in the vocabulary, then that: from 1, with 0 for others, by
 * default. With no such place they are -1. Modes other than "int" leave the mask out. invert: the
 * number at a place, -1 for those out of the vocabulary and for what is no place. */
CJ_API cj_node *cj_integer_lookup(cj_node *x, const cj_integer_lookup_opts *opts);

typedef struct cj_string_lookup_opts {
    size_t struct_size;
    const char *vocabulary;  /* required, each once: "red, green, 'dark, blue'" */
    int64_t num_oov_indices; /* places for what is not in it, by a hash; default 1; -1: none */
    const char *mask_token;  /* a text that means nothing; default none */
    const char *output_mode; /* "int" (default), or as category_encoding's */
    const char *name;
} cj_string_lookup_opts;
/* Keras's StringLookup: the same for texts, which are rows of bytes with zeros behind them: x
 * [batch, ..., width] -> [batch, ...]. Several places out of the vocabulary are told apart by
 * cj_hashing's hash with salt 0, not by Keras's. Or texts are of the dtype string: [batch, ...] ->
 * [batch, ...], with one such place or none. */
CJ_API cj_node *cj_string_lookup(cj_node *x, const cj_string_lookup_opts *opts);

typedef struct cj_hashing_opts {
    size_t struct_size;
    int64_t num_bins;        /* required */
    int64_t salt;            /* 0 or more: another number, other bins */
    const char *mask_value;  /* a text, or a number as text, that has bin 0 for itself */
    const char *output_mode; /* "int" (default), or as category_encoding's */
    bool text;               /* x are texts; so they are when x is u8 */
    const char *name;
} cj_hashing_opts;
/* Keras's Hashing, with another hash: i64 bins 0 .. num_bins-1 of whole numbers [batch, ...], or of
 * texts [batch, ..., width] as cj_string_lookup has them. h = sum of b[i] k^(i+1) mod 2^31-1, b the
 * bytes of a text or the four 16 bit parts of a number, the lowest first, k = 2 + ((salt + 1)
 * 0x9e3779b97f4a7c15 mod 2^64 >> 33) mod (2^31-3); the bin is h mod the number of bins. */
CJ_API cj_node *cj_hashing(cj_node *x, const cj_hashing_opts *opts);

typedef struct cj_category_encoding_opts {
    size_t struct_size;
    int64_t num_tokens;      /* required */
    const char *output_mode; /* "multi_hot" (default), "count": [batch, ..., n] -> [batch, ...,
                                num_tokens]; "one_hot": [batch, ...] or [batch, ..., 1] -> [batch,
                                ..., num_tokens] */
    const char *name;
} cj_category_encoding_opts;
/* Numbers outside 0 .. num_tokens-1 count as none. */
CJ_API cj_node *cj_category_encoding(cj_node *x, const cj_category_encoding_opts *opts);

/* ---- Masking --------------------------------------------------------------------------------- */

typedef struct cj_masking_opts {
    size_t struct_size;
    double mask_value; /* default 0 */
    const char *name;
} cj_masking_opts;
/* x [batch, steps, numbers] (or of more axes) with a mask (cj_mask_of, in nn.h): a step does not
 * count where all of its numbers equal mask_value; it becomes zeros. */
CJ_API cj_node *cj_masking(cj_node *x, const cj_masking_opts *opts);

/* ---- Embeddings and positions ---------------------------------------------------------------- */

typedef struct cj_embedding_opts {
    size_t struct_size;
    int64_t input_dim, output_dim;  /* required: numbers are 0 .. input_dim-1; width of a row */
    bool mask_zero;                 /* 0 is padding: its steps are masked (cj_mask_of), it gives
                                       zeros, and its row learns nothing */
    int64_t padding_index;          /* another number that gives zeros and learns nothing, but is
                                       not masked; 0 and -1 (default): none */
    const char *embeddings_initializer; /* default "random_uniform" */
    const char *embeddings_regularizer;
    const char *name;
    const char *embeddings_constraint;
} cj_embedding_opts;
/* Rows of the table "name/embeddings" [input_dim, output_dim]: x of whole numbers [batch, ...]
 * gives [batch, ..., output_dim]. A number out of range is an error when running. */
CJ_API cj_node *cj_embedding(cj_node *x, const cj_embedding_opts *opts);

typedef struct cj_position_embedding_opts {
    size_t struct_size;
    int64_t sequence_length;        /* rows of the table; default the input's length */
    const char *initializer;        /* default "glorot_uniform" */
    const char *name;
} cj_position_embedding_opts;
/* x [batch, length, numbers] plus row t of "name/embeddings" at position t. */
CJ_API cj_node *cj_position_embedding(cj_node *x, const cj_position_embedding_opts *opts);

typedef struct cj_sine_position_encoding_opts {
    size_t struct_size;
    double max_wavelength;          /* default 10000 */
    const char *name;
} cj_sine_position_encoding_opts;
/* x [batch, length, numbers] plus cj_sinusoidal_positions; an even number of numbers. */
CJ_API cj_node *cj_sine_position_encoding(cj_node *x, const cj_sine_position_encoding_opts *opts);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_dot(x, y, ...) \
    (cj_dot)(cj_at(x, CJ_HERE), y, \
             &(cj_dot_opts){.struct_size = sizeof(cj_dot_opts), __VA_ARGS__})
#define cj_sampling(mean, log_var, ...) \
    (cj_sampling)(cj_at(mean, CJ_HERE), log_var, \
                  &(cj_sampling_opts){.struct_size = sizeof(cj_sampling_opts), __VA_ARGS__})
#define cj_prelu(x, ...) CJ_LAYER_(cj_prelu, x, __VA_ARGS__)
#define cj_masking(x, ...) CJ_LAYER_(cj_masking, x, __VA_ARGS__)
#define cj_highway(x, ...) CJ_LAYER_(cj_highway, x, __VA_ARGS__)
#define cj_mixture_of_experts(x, ...) CJ_LAYER_(cj_mixture_of_experts, x, __VA_ARGS__)
#define cj_rescaling(x, ...) CJ_LAYER_(cj_rescaling, x, __VA_ARGS__)
#define cj_normalization(x, ...) CJ_LAYER_(cj_normalization, x, __VA_ARGS__)
#define cj_discretization(x, ...) CJ_LAYER_(cj_discretization, x, __VA_ARGS__)
#define cj_integer_lookup(x, ...) CJ_LAYER_(cj_integer_lookup, x, __VA_ARGS__)
#define cj_string_lookup(x, ...) CJ_LAYER_(cj_string_lookup, x, __VA_ARGS__)
#define cj_hashing(x, ...) CJ_LAYER_(cj_hashing, x, __VA_ARGS__)
#define cj_category_encoding(x, ...) CJ_LAYER_(cj_category_encoding, x, __VA_ARGS__)
#define cj_gaussian_noise(x, ...) CJ_LAYER_(cj_gaussian_noise, x, __VA_ARGS__)
#define cj_gaussian_dropout(x, ...) CJ_LAYER_(cj_gaussian_dropout, x, __VA_ARGS__)
#define cj_alpha_dropout(x, ...) CJ_LAYER_(cj_alpha_dropout, x, __VA_ARGS__)
#define cj_activity_regularization(x, ...) CJ_LAYER_(cj_activity_regularization, x, __VA_ARGS__)
#define cj_batch_normalization(x, ...) CJ_LAYER_(cj_batch_normalization, x, __VA_ARGS__)
#define cj_layer_normalization(x, ...) CJ_LAYER_(cj_layer_normalization, x, __VA_ARGS__)
#define cj_group_normalization(x, ...) CJ_LAYER_(cj_group_normalization, x, __VA_ARGS__)
#define cj_instance_normalization(x, ...) CJ_LAYER_(cj_instance_normalization, x, __VA_ARGS__)
#define cj_rms_normalization(x, ...) CJ_LAYER_(cj_rms_normalization, x, __VA_ARGS__)
#define cj_unit_normalization(x, ...) CJ_LAYER_(cj_unit_normalization, x, __VA_ARGS__)
#define cj_residual(x, ...) CJ_LAYER_(cj_residual, x, __VA_ARGS__)
#define cj_time_distributed(x, ...) CJ_LAYER_(cj_time_distributed, x, __VA_ARGS__)
#define cj_spatial_dropout1d(x, ...) CJ_LAYER_(cj_spatial_dropout1d, x, __VA_ARGS__)
#define cj_spatial_dropout2d(x, ...) CJ_LAYER_(cj_spatial_dropout2d, x, __VA_ARGS__)
#define cj_spatial_dropout3d(x, ...) CJ_LAYER_(cj_spatial_dropout3d, x, __VA_ARGS__)
#define cj_local_response_normalization(x, ...) \
    CJ_LAYER_(cj_local_response_normalization, x, __VA_ARGS__)
#define cj_embedding(x, ...) CJ_LAYER_(cj_embedding, x, __VA_ARGS__)
#define cj_position_embedding(x, ...) CJ_LAYER_(cj_position_embedding, x, __VA_ARGS__)
#define cj_sine_position_encoding(x, ...) CJ_LAYER_(cj_sine_position_encoding, x, __VA_ARGS__)
#endif

/* ---- Convolution ----------------------------------------------------------------------------- */

/* Sizes are by spatial axis; a number left out repeats the one before it: {3} is {3, 3}. padding:
 * "valid" (default), "same" (as many results as ceil(n / stride)), for conv1d also "causal". */
typedef struct cj_conv2d_opts {
    size_t struct_size;
    int64_t filters;                /* required */
    int64_t kernel[CJ_SIZES];       /* required */
    int64_t strides[CJ_SIZES];      /* default 1 */
    const char *padding;
    const char *activation;         /* default none */
    int64_t dilation[CJ_SIZES];     /* default 1 */
    int64_t groups;                 /* default 1; divides channels and filters */
    bool no_bias;
    const char *kernel_initializer; /* default "glorot_uniform" */
    const char *bias_initializer;   /* default "zeros" */
    const char *kernel_regularizer, *bias_regularizer;
    const char *name;
    const char *kernel_constraint, *bias_constraint;
    int64_t pads[CJ_SIZES];         /* zeros at each end of each axis, for padding valid (PyTorch's
                                       padding); a number left out repeats the one before it */
    const char *kernel_normalization; /* "spectral", "weight": as in cj_dense, by filter */
} cj_conv2d_opts;
typedef cj_conv2d_opts cj_conv1d_opts, cj_conv3d_opts;
/* y = activation(conv(x, kernel) + bias). "name/kernel" is [filters, channels / groups, kernel...],
 * "name/bias" [filters]. */
CJ_API cj_node *cj_conv1d(cj_node *x, const cj_conv1d_opts *opts);
CJ_API cj_node *cj_conv2d(cj_node *x, const cj_conv2d_opts *opts);
CJ_API cj_node *cj_conv3d(cj_node *x, const cj_conv3d_opts *opts);

typedef struct cj_conv2d_transpose_opts {
    size_t struct_size;
    int64_t filters;                  /* required */
    int64_t kernel[CJ_SIZES];         /* required */
    int64_t strides[CJ_SIZES];
    const char *padding;              /* "valid": n stride + max(reach - stride, 0) elements, where
                                         reach = (kernel - 1) dilation + 1; "same": n stride */
    const char *activation;
    int64_t dilation[CJ_SIZES];
    int64_t output_padding[CJ_SIZES]; /* valid: (n - 1) stride + reach + this */
    bool no_bias;
    const char *kernel_initializer, *bias_initializer, *kernel_regularizer, *bias_regularizer;
    const char *name;
    const char *kernel_constraint, *bias_constraint;
    const char *kernel_normalization; /* "spectral", "weight": as in cj_dense, by filter */
} cj_conv2d_transpose_opts;
typedef cj_conv2d_transpose_opts cj_conv1d_transpose_opts, cj_conv3d_transpose_opts;
/* The transpose of a convolution, which makes images larger. "name/kernel" is [channels, filters,
 * kernel...]. */
CJ_API cj_node *cj_conv1d_transpose(cj_node *x, const cj_conv1d_transpose_opts *opts);
CJ_API cj_node *cj_conv2d_transpose(cj_node *x, const cj_conv2d_transpose_opts *opts);
CJ_API cj_node *cj_conv3d_transpose(cj_node *x, const cj_conv3d_transpose_opts *opts);

typedef struct cj_depthwise_conv2d_opts {
    size_t struct_size;
    int64_t kernel[CJ_SIZES]; /* required */
    int64_t strides[CJ_SIZES];
    const char *padding;
    const char *activation;
    int64_t depth_multiplier; /* results for each channel; default 1 */
    int64_t dilation[CJ_SIZES];
    bool no_bias;
    const char *kernel_initializer, *bias_initializer, *kernel_regularizer, *bias_regularizer;
    const char *name;
    const char *kernel_constraint, *bias_constraint;
    int64_t pads[CJ_SIZES];         /* zeros at each end of each axis, for padding valid (PyTorch's
                                       padding); a number left out repeats the one before it */
    const char *kernel_normalization; /* "spectral", "weight": as in cj_dense, by filter */
} cj_depthwise_conv2d_opts;
typedef cj_depthwise_conv2d_opts cj_depthwise_conv1d_opts;
/* Each channel with filters of its own. "name/kernel" is [channels depth_multiplier, 1, kernel...];
 * filters c depth_multiplier ... are channel c's. */
CJ_API cj_node *cj_depthwise_conv1d(cj_node *x, const cj_depthwise_conv1d_opts *opts);
CJ_API cj_node *cj_depthwise_conv2d(cj_node *x, const cj_depthwise_conv2d_opts *opts);

typedef struct cj_separable_conv2d_opts {
    size_t struct_size;
    int64_t filters;          /* required */
    int64_t kernel[CJ_SIZES]; /* required */
    int64_t strides[CJ_SIZES];
    const char *padding;
    const char *activation;
    int64_t depth_multiplier; /* default 1 */
    int64_t dilation[CJ_SIZES];
    bool no_bias;
    const char *depthwise_initializer, *pointwise_initializer, *bias_initializer;
    const char *depthwise_regularizer, *pointwise_regularizer, *bias_regularizer;
    const char *name;
    const char *depthwise_constraint, *pointwise_constraint, *bias_constraint;
} cj_separable_conv2d_opts;
typedef cj_separable_conv2d_opts cj_separable_conv1d_opts;
/* A depthwise convolution, then one of kernel 1 that mixes the channels (Chollet 2017):
 * "name/depthwise_kernel" [channels depth_multiplier, 1, kernel...], "name/pointwise_kernel"
 * [filters, channels depth_multiplier, 1...]. */
CJ_API cj_node *cj_separable_conv1d(cj_node *x, const cj_separable_conv1d_opts *opts);
CJ_API cj_node *cj_separable_conv2d(cj_node *x, const cj_separable_conv2d_opts *opts);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_conv1d(x, ...) CJ_LAYER_(cj_conv1d, x, __VA_ARGS__)
#define cj_conv2d(x, ...) CJ_LAYER_(cj_conv2d, x, __VA_ARGS__)
#define cj_conv3d(x, ...) CJ_LAYER_(cj_conv3d, x, __VA_ARGS__)
#define cj_conv1d_transpose(x, ...) CJ_LAYER_(cj_conv1d_transpose, x, __VA_ARGS__)
#define cj_conv2d_transpose(x, ...) CJ_LAYER_(cj_conv2d_transpose, x, __VA_ARGS__)
#define cj_conv3d_transpose(x, ...) CJ_LAYER_(cj_conv3d_transpose, x, __VA_ARGS__)
#define cj_depthwise_conv1d(x, ...) CJ_LAYER_(cj_depthwise_conv1d, x, __VA_ARGS__)
#define cj_depthwise_conv2d(x, ...) CJ_LAYER_(cj_depthwise_conv2d, x, __VA_ARGS__)
#define cj_separable_conv1d(x, ...) CJ_LAYER_(cj_separable_conv1d, x, __VA_ARGS__)
#define cj_separable_conv2d(x, ...) CJ_LAYER_(cj_separable_conv2d, x, __VA_ARGS__)
#endif

/* ---- Attention ------------------------------------------------------------------------------- */

typedef struct cj_multi_head_attention_opts {
    size_t struct_size;
    int64_t num_heads;    /* required */
    int64_t key_dim;      /* required: numbers of a head of query and key */
    int64_t value_dim;    /* of a head of value; default key_dim */
    int64_t num_kv_heads; /* heads of key and value, a divisor of num_heads (grouped queries);
                             default num_heads */
    int64_t output_dim;   /* default the last size of the query */
    bool causal;          /* position i of the query sees those of the key up to i + Tk - Tq */
    bool no_bias;
    double dropout;       /* of the probabilities, in training */
    const char *kernel_initializer, *bias_initializer; /* "glorot_uniform", "zeros" */
    const char *kernel_regularizer, *bias_regularizer;
    const char *name;
    cj_node *value;       /* [batch, Tk, numbers]; default the query: self-attention */
    cj_node *key;         /* default value */
    cj_node *mask;        /* as cj_attention's: broadcastable to [batch, num_heads, Tq, Tk] */
    const char *kernel_constraint, *bias_constraint;
} cj_multi_head_attention_opts;
/* Projections, cj_attention (sequence.h) for each head, and a projection of the result (Vaswani et
 * al. 2017): query [batch, Tq, numbers] -> [batch, Tq, output_dim]. Self-attention has one
 * projection "name/qkv_kernel" [numbers, all heads of query, then key, then value] with
 * "name/qkv_bias"; otherwise "name/query_kernel", "name/key_kernel", "name/value_kernel" and their
 * biases. The result's: "name/output_kernel" [num_heads * value_dim, output_dim],
 * "name/output_bias". As inputs of cj_layer_apply: query, value, key, mask, of which the last ones
 * may be left out. Keys that the mask beside value or key (cj_mask_of) leaves out are not seen, and
 * a query that its own leaves out sees nothing: its result is the output's bias. */
CJ_API cj_node *cj_multi_head_attention(cj_node *query, const cj_multi_head_attention_opts *opts);

typedef struct cj_score_attention_opts {
    size_t struct_size;
    const char *score; /* "dot" (default): s q k; "concat": w sum tanh(s (q + k)); "additive": sum
                          s_d tanh(q_d + k_d) */
    bool use_scale;    /* s is learned: "name/scale", a number, or [numbers] of additive; else 1 */
    bool causal;       /* position i of the query sees those of the key up to i */
    double dropout;    /* of the weights, in training */
    const char *name;
    cj_node *value;    /* [batch, Tk, n]; default the query */
    cj_node *key;      /* [batch, Tk, numbers]; default value */
} cj_score_attention_opts;
/* softmax(score(query, key)) value, without projections: query [batch, Tq, numbers] -> [batch, Tq,
 * n]. The w of concat is "name/score_weight". As inputs of cj_layer_apply: query, value, key, of
 * which the last ones may be left out. Masks as in cj_multi_head_attention, but that of the key;
 * the result of a query that its own leaves out is 0. */
CJ_API cj_node *cj_score_attention(cj_node *query, const cj_score_attention_opts *opts);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_multi_head_attention(x, ...) CJ_LAYER_(cj_multi_head_attention, x, __VA_ARGS__)
#define cj_score_attention(x, ...) CJ_LAYER_(cj_score_attention, x, __VA_ARGS__)
#endif

/* ---- Pooling, padding, up-sampling ----------------------------------------------------------- */

/* Images are [batch, 1 to 3 spatial axes, channels]; none of these layers has parameters. A number
 * left out of a list repeats the one before it. */
typedef struct cj_max_pool2d_opts {
    size_t struct_size;
    int64_t size[CJ_SIZES];    /* of the window; default 2 */
    int64_t strides[CJ_SIZES]; /* default the size */
    const char *padding;       /* "valid" (default), "same" */
    const char *name;
    int64_t pads[CJ_SIZES];    /* at each end of each axis, for padding valid; they never win */
    bool ceil_mode;            /* valid: a last window may reach over the end of the image, but must
                                  not begin behind it */
    bool count_include_pad;    /* for a mean, pads count as elements of 0 */
} cj_max_pool2d_opts;
typedef cj_max_pool2d_opts cj_max_pool1d_opts, cj_max_pool3d_opts, cj_average_pool1d_opts,
    cj_average_pool2d_opts, cj_average_pool3d_opts;
CJ_API cj_node *cj_max_pool1d(cj_node *x, const cj_max_pool1d_opts *opts);
CJ_API cj_node *cj_max_pool2d(cj_node *x, const cj_max_pool2d_opts *opts);
CJ_API cj_node *cj_max_pool3d(cj_node *x, const cj_max_pool3d_opts *opts);
CJ_API cj_node *cj_average_pool1d(cj_node *x, const cj_average_pool1d_opts *opts);
CJ_API cj_node *cj_average_pool2d(cj_node *x, const cj_average_pool2d_opts *opts);
CJ_API cj_node *cj_average_pool3d(cj_node *x, const cj_average_pool3d_opts *opts);

typedef struct cj_global_max_pool2d_opts {
    size_t struct_size;
    bool keepdims; /* spatial axes of size 1 stay; else [batch, channels] */
    const char *name;
} cj_global_max_pool2d_opts;
typedef cj_global_max_pool2d_opts cj_global_max_pool1d_opts, cj_global_max_pool3d_opts,
    cj_global_average_pool1d_opts, cj_global_average_pool2d_opts, cj_global_average_pool3d_opts;
CJ_API cj_node *cj_global_max_pool1d(cj_node *x, const cj_global_max_pool1d_opts *opts);
CJ_API cj_node *cj_global_max_pool2d(cj_node *x, const cj_global_max_pool2d_opts *opts);
CJ_API cj_node *cj_global_max_pool3d(cj_node *x, const cj_global_max_pool3d_opts *opts);
CJ_API cj_node *cj_global_average_pool1d(cj_node *x, const cj_global_average_pool1d_opts *opts);
CJ_API cj_node *cj_global_average_pool2d(cj_node *x, const cj_global_average_pool2d_opts *opts);
CJ_API cj_node *cj_global_average_pool3d(cj_node *x, const cj_global_average_pool3d_opts *opts);

typedef struct cj_adaptive_max_pool2d_opts {
    size_t struct_size;
    int64_t output[CJ_SIZES]; /* required: spatial sizes of the result */
    const char *name;
} cj_adaptive_max_pool2d_opts;
typedef cj_adaptive_max_pool2d_opts cj_adaptive_max_pool1d_opts, cj_adaptive_max_pool3d_opts,
    cj_adaptive_average_pool1d_opts, cj_adaptive_average_pool2d_opts,
    cj_adaptive_average_pool3d_opts;
/* Window i of m along an axis of n elements: floor(i n / m) .. ceil((i + 1) n / m) - 1. */
CJ_API cj_node *cj_adaptive_max_pool1d(cj_node *x, const cj_adaptive_max_pool1d_opts *opts);
CJ_API cj_node *cj_adaptive_max_pool2d(cj_node *x, const cj_adaptive_max_pool2d_opts *opts);
CJ_API cj_node *cj_adaptive_max_pool3d(cj_node *x, const cj_adaptive_max_pool3d_opts *opts);
CJ_API cj_node *cj_adaptive_average_pool1d(cj_node *x,
                                           const cj_adaptive_average_pool1d_opts *opts);
CJ_API cj_node *cj_adaptive_average_pool2d(cj_node *x,
                                           const cj_adaptive_average_pool2d_opts *opts);
CJ_API cj_node *cj_adaptive_average_pool3d(cj_node *x,
                                           const cj_adaptive_average_pool3d_opts *opts);

typedef struct cj_up_sampling2d_opts {
    size_t struct_size;
    int64_t size[CJ_SIZES];    /* how many times larger; default 2 */
    const char *interpolation; /* "nearest" (default), "bilinear" (image.h: linear, half_pixel),
                                  "bicubic" (the same with Keys's a = -0.5) */
    const char *name;
} cj_up_sampling2d_opts;
typedef cj_up_sampling2d_opts cj_up_sampling1d_opts, cj_up_sampling3d_opts;
CJ_API cj_node *cj_up_sampling1d(cj_node *x, const cj_up_sampling1d_opts *opts);
CJ_API cj_node *cj_up_sampling2d(cj_node *x, const cj_up_sampling2d_opts *opts);
CJ_API cj_node *cj_up_sampling3d(cj_node *x, const cj_up_sampling3d_opts *opts);

typedef struct cj_zero_padding2d_opts {
    size_t struct_size;
    int64_t padding;       /* elements at each end of each spatial axis, and more: */
    int64_t left, right;   /* at the ends of the last spatial axis, */
    int64_t top, bottom;   /* of the one before, */
    int64_t front, back;   /* and of the one before that */
    const char *name;
} cj_zero_padding2d_opts;
typedef cj_zero_padding2d_opts cj_zero_padding1d_opts, cj_zero_padding3d_opts, cj_cropping1d_opts,
    cj_cropping2d_opts, cj_cropping3d_opts;
/* Zeros added; elements taken away. */
CJ_API cj_node *cj_zero_padding1d(cj_node *x, const cj_zero_padding1d_opts *opts);
CJ_API cj_node *cj_zero_padding2d(cj_node *x, const cj_zero_padding2d_opts *opts);
CJ_API cj_node *cj_zero_padding3d(cj_node *x, const cj_zero_padding3d_opts *opts);
CJ_API cj_node *cj_cropping1d(cj_node *x, const cj_cropping1d_opts *opts);
CJ_API cj_node *cj_cropping2d(cj_node *x, const cj_cropping2d_opts *opts);
CJ_API cj_node *cj_cropping3d(cj_node *x, const cj_cropping3d_opts *opts);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_max_pool1d(x, ...) CJ_LAYER_(cj_max_pool1d, x, __VA_ARGS__)
#define cj_max_pool2d(x, ...) CJ_LAYER_(cj_max_pool2d, x, __VA_ARGS__)
#define cj_max_pool3d(x, ...) CJ_LAYER_(cj_max_pool3d, x, __VA_ARGS__)
#define cj_average_pool1d(x, ...) CJ_LAYER_(cj_average_pool1d, x, __VA_ARGS__)
#define cj_average_pool2d(x, ...) CJ_LAYER_(cj_average_pool2d, x, __VA_ARGS__)
#define cj_average_pool3d(x, ...) CJ_LAYER_(cj_average_pool3d, x, __VA_ARGS__)
#define cj_global_max_pool1d(x, ...) CJ_LAYER_(cj_global_max_pool1d, x, __VA_ARGS__)
#define cj_global_max_pool2d(x, ...) CJ_LAYER_(cj_global_max_pool2d, x, __VA_ARGS__)
#define cj_global_max_pool3d(x, ...) CJ_LAYER_(cj_global_max_pool3d, x, __VA_ARGS__)
#define cj_global_average_pool1d(x, ...) CJ_LAYER_(cj_global_average_pool1d, x, __VA_ARGS__)
#define cj_global_average_pool2d(x, ...) CJ_LAYER_(cj_global_average_pool2d, x, __VA_ARGS__)
#define cj_global_average_pool3d(x, ...) CJ_LAYER_(cj_global_average_pool3d, x, __VA_ARGS__)
#define cj_adaptive_max_pool1d(x, ...) CJ_LAYER_(cj_adaptive_max_pool1d, x, __VA_ARGS__)
#define cj_adaptive_max_pool2d(x, ...) CJ_LAYER_(cj_adaptive_max_pool2d, x, __VA_ARGS__)
#define cj_adaptive_max_pool3d(x, ...) CJ_LAYER_(cj_adaptive_max_pool3d, x, __VA_ARGS__)
#define cj_adaptive_average_pool1d(x, ...) CJ_LAYER_(cj_adaptive_average_pool1d, x, __VA_ARGS__)
#define cj_adaptive_average_pool2d(x, ...) CJ_LAYER_(cj_adaptive_average_pool2d, x, __VA_ARGS__)
#define cj_adaptive_average_pool3d(x, ...) CJ_LAYER_(cj_adaptive_average_pool3d, x, __VA_ARGS__)
#define cj_up_sampling1d(x, ...) CJ_LAYER_(cj_up_sampling1d, x, __VA_ARGS__)
#define cj_up_sampling2d(x, ...) CJ_LAYER_(cj_up_sampling2d, x, __VA_ARGS__)
#define cj_up_sampling3d(x, ...) CJ_LAYER_(cj_up_sampling3d, x, __VA_ARGS__)
#define cj_zero_padding1d(x, ...) CJ_LAYER_(cj_zero_padding1d, x, __VA_ARGS__)
#define cj_zero_padding2d(x, ...) CJ_LAYER_(cj_zero_padding2d, x, __VA_ARGS__)
#define cj_zero_padding3d(x, ...) CJ_LAYER_(cj_zero_padding3d, x, __VA_ARGS__)
#define cj_cropping1d(x, ...) CJ_LAYER_(cj_cropping1d, x, __VA_ARGS__)
#define cj_cropping2d(x, ...) CJ_LAYER_(cj_cropping2d, x, __VA_ARGS__)
#define cj_cropping3d(x, ...) CJ_LAYER_(cj_cropping3d, x, __VA_ARGS__)
#endif

/* ---- Recurrence ------------------------------------------------------------------------------ */

/* Of simple_rnn, lstm and gru: each takes the fields that are its own. */
typedef struct cj_recurrent_layer_opts {
    size_t struct_size;
    int64_t units;                    /* required */
    const char *activation;           /* default "tanh"; see recurrent.h */
    const char *recurrent_activation; /* lstm, gru; default "sigmoid" */
    bool return_sequences;            /* all steps' results, not the last one's */
    bool go_backwards;                /* last step first; with return_sequences in that order */
    bool bidirectional;               /* two of them, the second last step first */
    const char *merge_mode;           /* of the two: "concat" (default), "sum", "mul", "ave" */
    int64_t layers;                   /* upon each other; default 1 */
    double dropout;                   /* between layers, in training */
    bool no_bias;
    bool no_unit_forget_bias;         /* lstm: the forget gate's bias does not begin at 1 */
    bool reset_before;                /* gru: r multiplies h (Cho et al.) and not R h + b (cuDNN) */
    int64_t projection;               /* lstm: size the state is projected to; default none */
    const char *kernel_initializer;   /* default "glorot_uniform" */
    const char *recurrent_initializer; /* default "orthogonal" */
    const char *bias_initializer;     /* default "zeros" */
    const char *kernel_regularizer, *recurrent_regularizer, *bias_regularizer;
    const char *name;
    cj_node *lengths;                 /* integers [batch]: how many steps of each sample count */
    cj_node *initial_h, *initial_c;   /* [directions, batch, units]; with one layer */
    const char *kernel_constraint, *recurrent_constraint, *bias_constraint;
    bool peepholes;                   /* lstm: gates see c, too (Gers and Schmidhuber 2000) */
} cj_recurrent_layer_opts;
typedef cj_recurrent_layer_opts cj_simple_rnn_opts, cj_lstm_opts, cj_gru_opts;

/* x [batch, steps, numbers]. Parameters, with the gates of recurrent.h one after another (Keras's
 * order; Keras's matrices are transposed): "name/kernel" [gates * units, numbers],
 * "name/recurrent_kernel" [gates * units, units], "name/bias" [gates * units] (gru with the reset
 * after: twice that, of W x and of R h), "name/projection", "name/peepholes" [3 * units] of the
 * gates i, f and o (their first values are those of kernel_initializer); of the other direction
 * "name/backward_kernel" ..., of layer i "name/kernel_i" ... As inputs of cj_layer_apply: x, then
 * integers are lengths, then reals the initial h and c.
 *
 * A step that x's mask (cj_mask_of, of [batch, steps], in any order) leaves out leaves the state
 * alone; its result is the state it found, or 0 where there are two directions. Lengths then only
 * leave out more steps. */
CJ_API cj_node *cj_simple_rnn(cj_node *x, const cj_simple_rnn_opts *opts);
CJ_API cj_node *cj_lstm(cj_node *x, const cj_lstm_opts *opts);
CJ_API cj_node *cj_gru(cj_node *x, const cj_gru_opts *opts);
/* The state of the (last) layer that made y, after the last step: i = 0 h, 1 c of an lstm;
 * [directions, batch, units]. */
CJ_API cj_node *cj_recurrent_state(cj_node *y, int i);

typedef struct cj_conv_lstm2d_opts {
    size_t struct_size;
    int64_t filters;                  /* required */
    int64_t kernel[CJ_SIZES];         /* required */
    int64_t strides[CJ_SIZES];        /* of the convolution of x; default 1 */
    const char *padding;              /* of it: "valid" (default), "same" */
    const char *activation;           /* default "tanh" */
    int64_t dilation[CJ_SIZES];       /* default 1 */
    const char *recurrent_activation; /* default "sigmoid" */
    bool return_sequences, go_backwards, no_bias, no_unit_forget_bias;
    const char *kernel_initializer;    /* default "glorot_uniform" */
    const char *recurrent_initializer; /* default "orthogonal" */
    const char *bias_initializer;      /* default "zeros" */
    const char *kernel_regularizer, *recurrent_regularizer, *bias_regularizer;
    const char *kernel_constraint, *recurrent_constraint, *bias_constraint;
    const char *name;
} cj_conv_lstm2d_opts;
typedef cj_conv_lstm2d_opts cj_conv_lstm1d_opts, cj_conv_lstm3d_opts;
/* An lstm whose W x and R h are convolutions (Shi et al. 2015): x [batch, steps, 1 to 3 spatial
 * axes, channels] -> [batch, spatial..., filters], with return_sequences [batch, steps, ...].
 * Parameters with the gates i, f, c, o one after another: "name/kernel" [4 filters, channels,
 * kernel...], "name/recurrent_kernel" [4 filters, filters, kernel...] (stride 1, padding same),
 * "name/bias" [4 filters]. A masked step leaves the state alone. */
CJ_API cj_node *cj_conv_lstm1d(cj_node *x, const cj_conv_lstm1d_opts *opts);
CJ_API cj_node *cj_conv_lstm2d(cj_node *x, const cj_conv_lstm2d_opts *opts);
CJ_API cj_node *cj_conv_lstm3d(cj_node *x, const cj_conv_lstm3d_opts *opts);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_simple_rnn(x, ...) CJ_LAYER_(cj_simple_rnn, x, __VA_ARGS__)
#define cj_lstm(x, ...) CJ_LAYER_(cj_lstm, x, __VA_ARGS__)
#define cj_gru(x, ...) CJ_LAYER_(cj_gru, x, __VA_ARGS__)
#define cj_conv_lstm1d(x, ...) CJ_LAYER_(cj_conv_lstm1d, x, __VA_ARGS__)
#define cj_conv_lstm2d(x, ...) CJ_LAYER_(cj_conv_lstm2d, x, __VA_ARGS__)
#define cj_conv_lstm3d(x, ...) CJ_LAYER_(cj_conv_lstm3d, x, __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
