/* norm.h: graph builders of normalisation, embeddings and positions.
 *
 *     cj_node *y = cj_batch_norm(x, .scale = gamma, .shift = beta, .epsilon = 1e-3);
 *     cj_node *mean = cj_node_output(y, 1), *variance = cj_node_output(y, 2);
 *     cj_node *rows = cj_layer_norm(x, .scale = gamma, .shift = beta);
 *     cj_node *vectors = cj_embedding_lookup(table, words, .has_padding = true);
 *
 * Layers of the same things, with parameters of their own, are in layers.h. All builders are sticky
 * as those of graph.h are. */
#ifndef CAJAL_NORM_H
#define CAJAL_NORM_H

#include <cajal/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Normalisation --------------------------------------------------------------------------- */

/* Every one of these is y = (x - mean) / sqrt(variance + epsilon) * scale + shift; they differ in
 * what the mean and the variance are taken over. The variance is that of the numbers themselves
 * (divided by n, not n - 1); both are 0 of nothing. Statistics, scale and shift are f32 for x of
 * f16 and bf16, else of x's dtype; builders cast. Fields that a function does not name must stay 0.
 */
typedef struct cj_norm_opts {
    size_t struct_size;
    cj_node *scale, *shift;   /* NULL: 1 and 0 */
    cj_node *mean, *variance; /* batch_norm: [channels]; given, not taken over the batch */
    cj_node *training; /* batch_norm, bool scalar: true: take them over the batch after all */
    int64_t channel_axis;     /* 1, or rank-1 (also -1 and 0, the default) */
    int64_t axis;             /* layer_norm, rms_norm: the first normalised one; 0: the last (-1);
                                 -rank for all */
    int64_t groups;           /* group_norm: required, divides the channels */
    double epsilon;           /* 0: 1e-5 */
    double momentum;          /* batch_norm with `mean`: only written into files, for who trains on;
                                 0: 0.9 */
} cj_norm_opts;

/* Over all axes but the channels (Ioffe and Szegedy 2015). x [n, ..., channels] or [n, channels,
 * ...]; scale, shift, mean, variance [channels]. Output 0: y; output 1: mean, output 2: variance,
 * [channels], those that were used. With `mean` and `variance` the statistics are given
 * (inference); with `training` as well, that scalar chooses. */
CJ_API cj_node *cj_batch_norm(cj_node *x, const cj_norm_opts *opts);
/* For each sample and each group of channels that follow one another (Wu and He 2018). scale, shift
 * [channels]. Outputs 1 and 2: mean and variance [n, groups]. */
CJ_API cj_node *cj_group_norm(cj_node *x, const cj_norm_opts *opts);
/* For each sample and channel (Ulyanov et al. 2016): a group for each. Outputs 1 and 2: mean and
 * variance [n, channels]. */
CJ_API cj_node *cj_instance_norm(cj_node *x, const cj_norm_opts *opts);
/* Over the axes from `axis` to the last (Ba et al. 2016); scale and shift have their sizes. Output
 * 1: mean, output 2: 1 / sqrt(variance + epsilon), of x's shape with 1 for the normalised axes. */
CJ_API cj_node *cj_layer_norm(cj_node *x, const cj_norm_opts *opts);
/* y = x / sqrt(mean of x^2 + epsilon) * scale over the same axes (Zhang and Sennrich 2019); no
 * shift. Output 1: 1 / sqrt(...). */
CJ_API cj_node *cj_rms_norm(cj_node *x, const cj_norm_opts *opts);

typedef struct cj_local_response_norm_opts {
    size_t struct_size;
    int64_t size;               /* required: channels summed, (size-1)/2 before, size/2 after */
    double alpha, beta, bias;   /* 0: 1e-4, 0.75, 1 */
    int64_t channel_axis;       /* as above */
} cj_local_response_norm_opts;
/* y = x / (bias + alpha / size * sum of x^2 over the nearest channels)^beta (Krizhevsky et al.
 * 2012), ONNX's LRN. */
CJ_API cj_node *cj_local_response_norm(cj_node *x, const cj_local_response_norm_opts *opts);

/* ---- Embeddings and positions ---------------------------------------------------------------- */

typedef struct cj_embedding_lookup_opts {
    size_t struct_size;
    bool has_padding;
    int64_t padding_index; /* with has_padding: this index gives zeros and no gradient */
} cj_embedding_lookup_opts;
/* Rows of a table: [rows, numbers] and integers [...] give [..., numbers]. An index out of range is
 * an error when running. The table's gradient is one cj_scatter_add; a step of plain gradient
 * descent along it touches only the rows that were looked up, where nothing else reads the gradient
 * (cj_fit does: its norm says whether the step is finite). */
CJ_API cj_node *cj_embedding_lookup(cj_node *table, cj_node *indices,
                                    const cj_embedding_lookup_opts *opts);

/* p[t, 2i] = sin(t / base^(2i / width)), p[t, 2i + 1] = cos of the same (Vaswani et al. 2017):
 * [length, width], width even. base 0: 10000. */
CJ_API cj_node *cj_sinusoidal_positions(cj_graph *g, cj_dtype dtype, cj_dim length, int64_t width,
                                        double base);

typedef struct cj_rotary_embedding_opts {
    size_t struct_size;
    cj_node *positions; /* integers [positions] or [batch, positions]; NULL: 0, 1, 2 ... */
    int64_t axis;       /* of x along which positions count; 0: 1 */
    int64_t dim;        /* numbers of a row that turn, even; 0: all */
    double base;        /* 0: 10000 */
    bool interleaved;   /* pairs (2i, 2i + 1); else (i, i + dim/2) */
} cj_rotary_embedding_opts;
/* Turns the pairs of each row by position / base^(2i / dim) (Su et al. 2021). x [batch, positions,
 * ..., numbers]; [batch, heads, positions, numbers] with axis = 2. */
CJ_API cj_node *cj_rotary_embedding(cj_node *x, const cj_rotary_embedding_opts *opts);
/* The same with tables: cosine and sine of x's rank, sizes of x or 1, and dim/2 last. dim 0: all.
 */
CJ_API cj_node *cj_rotary_apply(cj_node *x, cj_node *cosine, cj_node *sine, int64_t dim,
                                bool interleaved);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_embedding_lookup(table, indices, ...) \
    cj_at_end((cj_embedding_lookup)(cj_at(table, CJ_HERE), indices, \
                                    &(cj_embedding_lookup_opts){ \
                                        .struct_size = sizeof(cj_embedding_lookup_opts), \
                                        __VA_ARGS__}))
#define cj_rotary_embedding(x, ...) \
    CJ_NORM_(cj_rotary_embedding, cj_rotary_embedding_opts, x, __VA_ARGS__)
#define CJ_NORM_(function, type, x, ...) \
    cj_at_end((function)(cj_at(x, CJ_HERE), &(type){.struct_size = sizeof(type), __VA_ARGS__}))
#define cj_batch_norm(x, ...) CJ_NORM_(cj_batch_norm, cj_norm_opts, x, __VA_ARGS__)
#define cj_group_norm(x, ...) CJ_NORM_(cj_group_norm, cj_norm_opts, x, __VA_ARGS__)
#define cj_instance_norm(x, ...) CJ_NORM_(cj_instance_norm, cj_norm_opts, x, __VA_ARGS__)
#define cj_layer_norm(x, ...) CJ_NORM_(cj_layer_norm, cj_norm_opts, x, __VA_ARGS__)
#define cj_rms_norm(x, ...) CJ_NORM_(cj_rms_norm, cj_norm_opts, x, __VA_ARGS__)
#define cj_local_response_norm(x, ...) \
    CJ_NORM_(cj_local_response_norm, cj_local_response_norm_opts, x, __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
