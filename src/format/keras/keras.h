/* keras.h: models that Keras wrote, as models of ours.
 *
 *     .h5     an HDF5 file: attribute model_config, weights in /model_weights/LAYER (Keras 1, 2)
 *     .keras  a zip archive: config.json, model.weights.h5 with /layers/KIND_2/vars/0 (Keras 3)
 *
 *     bytes -> configuration (JSON) -> layers and calls (model.c) -> layers of ours (build.c;
 * rows.c, options.c, recurrent.c, wrappers.c) -> weights by layer (weights.c)
 *
 * What a class is here stands in one row: which layer of ours, what its options are called there,
 * which weights it has in which order, and how they lie. */
#ifndef CAJAL_FORMAT_KERAS_KERAS_H
#define CAJAL_FORMAT_KERAS_KERAS_H

#include "base/json.h"
#include "format/hdf5/hdf5.h"
#include "nn/model.h"

typedef struct cj__keras_layer cj__keras_layer;
typedef struct cj__keras_model cj__keras_model;

/* One that is being read. */
typedef struct cj__keras {
    cj_context *cj;
    cj__arena *arena;
    cj_model *m;
    cj_graph *g;
    cj__hdf5 file;
    const cj__hdf5_object *weights; /* the group that has the layers'; NULL: the model has none */
    bool by_path;                   /* as Keras 3's archives have them; else by layer and order */
    bool bare;                      /* no file: the model's weights are zeros */
    const void *archive;            /* which may have assets; NULL: none */
    size_t archive_size;
    int64_t room;                   /* how many elements its weights can have */
    int version;                    /* of Keras: 1, 2, 3 */
    bool bytes;                     /* texts are their bytes, as a layer takes them apart */
    bool theano;                    /* which convolves with kernels that are turned around */
    const char *scope;              /* of the nested model that is being built, or NULL */
    const cj__keras_layer *top;     /* the layer of the whole model that is built or loaded */
    int64_t built, most;            /* layers so far, and as many as there may be: models in models
                                       multiply */
} cj__keras;

/* How a weight of ours lies in the file; a and b are channels, k places of a window. */
typedef enum cj__keras_form {
    CJ__KERAS_SAME,
    CJ__KERAS_FLAT,  /* the same numbers under another shape */
    CJ__KERAS_SWAP,  /* [a, b] is [b, a] here */
    CJ__KERAS_CONV,  /* [k..., a, b] is [b, a, k...] */
    CJ__KERAS_FIRST, /* [b, a, k...], as Keras 1 has it where channels come first */
    CJ__KERAS_DEEP,  /* [k..., a, b] is [a b, 1, k...] */
    CJ__KERAS_BACK,  /* [k..., a, b] is [a, b, k...], of Keras 1's transposed convolution, */
    CJ__KERAS_BACK_FIRST, /* and [b, a, k...] */
    CJ__KERAS_LOCAL, /* of a convolution whose kernel is another at each place (local.c) */
    /* cuDNN's, whose gates lie one beside the other: */
    CJ__KERAS_GATES, /* of each [n, units] the numbers as [units, n] */
    CJ__KERAS_TURNED, /* each [units, units] turned */
    CJ__KERAS_SUM    /* its two halves added */
} cj__keras_form;

typedef struct cj__keras_weight {
    const char *path; /* of the part of the layer that has it, in archives: "cell"; "" itself */
    const char *name; /* ours, behind the layer's: "kernel" */
    cj__keras_form form;
} cj__keras_weight;

enum { CJ__KERAS_WEIGHTS = 8 };

/* Results of one call of a layer. */
enum { CJ__KERAS_OUTPUTS = 16 };

/* A result of a call: "of layer, its call number node, result number tensor". */
typedef struct cj__keras_ref {
    cj__keras_layer *layer;
    int64_t node, tensor;
    const char *keyword; /* "value", or NULL: by position */
} cj__keras_ref;

typedef struct cj__keras_call {
    cj__keras_layer *layer;
    cj__keras_ref *refs;
    int n_refs;
    const cj__json *keywords; /* of a call: an object, or NULL */
    const cj__json *args;      /* of a call of Keras 3: a list, or NULL */
    const cj__json *number[2]; /* of an operator: its operands that are no results of
                                  layers, numbers or lists of them */
    cj_node *out[CJ__KERAS_OUTPUTS];
    int n_out;
    bool done;
} cj__keras_call;

typedef struct cj__keras_row {
    const char *names;   /* "MaxPooling2D MaxPool2D" */
    const char *layer;   /* ours, "max_pool2d" */
    const char *options; /* see options.c: "pool_size=size strides padding !use_bias=no_bias" */
    cj__keras_weight weights[CJ__KERAS_WEIGHTS];
    /* What more there is to say to our layer, appended to its options. */
    cj_status (*more)(cj__keras *k, const cj__keras_layer *layer, cj__text *options);
    /* Instead of all that: makes call->out. */
    cj_status (*build)(cj__keras *k, cj__keras_layer *layer, cj__keras_call *call,
                       cj_node *const *x, int n);
    bool halves; /* its two weights are the halves of one of ours */
    bool images; /* may have its channels first: then they are brought to the end and back */
} cj__keras_row;

struct cj__keras_layer {
    const cj__keras_row *row;
    const cj__json *config;
    const char *kind, *name;  /* its class and its name there */
    const char *full;         /* its name here, once it is built */
    const char *path;         /* in archives: "layers/dense_1" */
    cj__keras_model *model;   /* of a model that is a layer */
    cj__keras_layer *inner;   /* of a wrapper: one layer, or several one after another */
    int n_inner;
    const char *outermost;    /* of a cell: the class of what wraps it, or NULL; */
    int wrappers;             /* how many do (of an RNN: wrap its cells); */
    int residuals;            /* how many of them add what the cell takes to what it gives */
    const struct cj__keras_local *local; /* of a LocallyConnected */
    int first_weight;         /* of a part of a layer: its weights in the group behind others */
    bool frozen;              /* not trainable */
    bool again;               /* one call of it is two of ours */
    int64_t first_node;       /* how references number its calls */
    cj__keras_call *calls;
    int n_calls;
};

struct cj__keras_model {
    cj__keras_layer *layers;
    int n_layers;
    cj__keras_ref *inputs, *outputs;
    int n_inputs, n_outputs;
    const cj__json *config;
    bool sequential;
};

/* "layer 'dense_1' (Dense): ...". */
cj_status cj__keras_fail(const cj__keras *k, const cj__keras_layer *layer, cj_status status,
                         const char *format, ...) CJ_PRINTF(4, 5);

/* rows.c: the row of a class; NULL: none. */
const cj__keras_row *cj__keras_row_of(const char *kind);
/* Is `word` one of `words`, which have blanks between them? */
bool cj__keras_is_word(const char *words, const char *word);

/* options.c: what a configuration says, as the text of our layer's options. */
cj_status cj__keras_options(cj__keras *k, const cj__keras_layer *layer, cj__text *out);
/* The text of an activation, "relu" or an object; NULL: none. */
cj_status cj__keras_activation(cj__keras *k, const cj__keras_layer *layer, const cj__json *value,
                               const char **out);
const char *cj__keras_string(const cj__json *object, const char *key); /* NULL: none */
double cj__keras_number(const cj__json *object, const char *key, double otherwise);
bool cj__keras_bool(const cj__json *object, const char *key, bool otherwise);

/* recurrent.c: the gates (bits) of a recurrent layer whose hard_sigmoid has Keras 3's slope of 1/6,
 * where the operator's (recurrent.h) is 1/5: their weights are 5/6 of the file's, as
 * x / 6 = (5/6 x) / 5. */
unsigned cj__keras_slow_gates(const cj__keras *k, const cj__keras_layer *layer);

/* heads.c: attention of heads from query, value, key and a mask (or NULL) that our layer
 * multi_head_attention does not have; is it such a one, of inputs of this rank? */
bool cj__keras_is_general(const cj__keras_layer *layer, const cj__keras_call *call, int rank);
cj_status cj__keras_heads(cj__keras *k, cj__keras_layer *layer, cj__keras_call *call,
                          cj_node *const in[4]);

/* axes.c: a softmax along several axes; NULL: the graph has failed. */
cj_node *cj__keras_softmax(cj_node *x, const int64_t *axes, int n);
/* The whole numbers of a list, or the one there is, as axes 0 .. rank - 1 in their order; their
 * count, -1: they are none. */
int cj__keras_axes(const cj__json *value, int rank, int64_t out[CJ_RANK_MAX]);

/* model.c: layers, their calls, their names here and in archives. `kind` is the model's class. */
cj_status cj__keras_read_model(cj__keras *k, const char *kind, const cj__json *config,
                               const char *path, cj__keras_model **out);
/* Keras's to_snake_case, in the arena; NULL: no memory. */
char *cj__keras_snake(cj__arena *arena, const char *kind);

/* training.c: the loss and the metrics of a training configuration (or NULL), to the model, whose
 * outputs are there. */
cj_status cj__keras_read_training(cj__keras *k, const cj__json *from);

/* build.c */
/* Its inputs are x, or made (x NULL). */
cj_status cj__keras_build_model(cj__keras *k, cj__keras_model *model, cj_node *const *x, int n,
                                cj_node ***out, int *n_out);
cj_dtype cj__keras_dtype_of(const char *name); /* "float32" */
/* Of its weights. */
cj_dtype cj__keras_dtype(const cj__keras_model *model);
/* One call of a layer; that of a class that is one of ours stands alone below. */
cj_status cj__keras_build(cj__keras *k, cj__keras_layer *layer, cj__keras_call *call,
                          cj_node *const *x, int n);
/* Images with their channels first, [batch, channels, ...], as [batch, ..., channels], or back. */
cj_node *cj__keras_move_channels(cj_node *x, bool to_end);
/* Our layer of that name on x; its full name goes to layer->full. */
cj_status cj__keras_apply(cj__keras *k, cj__keras_layer *layer, const char *row,
                          const char *options, cj_node *const *x, int n, cj_node **y);

/* local.c: the kernel of a LocallyConnected, of floats in the shape it has in the file (its rank).
 */
typedef struct cj__keras_local cj__keras_local;
int cj__keras_local_shape(const cj__keras_local *w, int64_t *out);
bool cj__keras_move_local(const cj__keras_local *w, const cj_tensor *from, cj_tensor *to);

/* forms.c: how a weight is moved from a file. */
typedef struct cj__keras_move {
    cj__keras_form form;
    int gates;         /* of its layer */
    int block, blocks; /* the one of ours' equal parts that it is; 0 blocks: all of it */
    bool around;       /* places of its window are turned around */
    bool old;          /* Keras 1's */
    unsigned slow;     /* gates whose weights are 5/6 of the file's */
    int64_t units;     /* numbers of a gate, of such */
    const cj__keras_local *local;
} cj__keras_move;
/* false: the shape does not fit, or it is of no floats; both are in memory of this machine. */
bool cj__keras_move_weight(const cj__keras_move *how, const cj_tensor *from, cj_tensor *to);
/* The shape that `from` was to have; its rank. */
int cj__keras_expected(const cj__keras_move *how, const cj_tensor *from, const cj_tensor *to,
                       int64_t *out);

/* weights.c: into the store of the model's graph. */
cj_status cj__keras_set_weights(cj__keras *k, cj__keras_model *model);
/* Number i of the layer's weights, which is called `name`, as the file has it; the caller frees it.
 * NULL without a message when there is none. */
cj_status cj__keras_weight_at(cj__keras *k, const cj__keras_layer *layer, int i, const char *name,
                              cj_tensor **out);

/* The same of a weight that an archive has under its name; NULL: there is none. */
cj_status cj__keras_weight_called(cj__keras *k, const cj__keras_layer *l, const char *name,
                                  cj_tensor **out);

/* vectorize.c: are texts that were taken apart read only by what does not see how wide that is? */
cj_status cj__keras_check_widths(cj__keras *k, const cj__keras_model *m);

/* lookup.c: the words of a vocabulary. */
typedef struct cj__keras_words {
    const char **at;
    size_t n, given; /* given: with the tokens in front of them, if these were there */
} cj__keras_words;
/* Of the configuration or the archive; without the tokens `mask` (or NULL) and `places` times
 * `unknown`. None is an error. */
cj_status cj__keras_read_words(cj__keras *k, const cj__keras_layer *l, const char *mask,
                               const char *unknown, size_t places, cj__keras_words *w);
/* The options of our lookup. */
cj_status cj__keras_lookup_options(const cj__keras_layer *l, const cj__keras_words *w, bool texts,
                                   const char *mask, cj__text *out);
/* Its result y as tf_idf and pad_to_max_tokens have it; `places` are those in front of words. */
cj_status cj__keras_encoded(cj__keras *k, const cj__keras_layer *l, const cj__keras_words *w,
                            size_t places, cj_node **y);

#define CJ__KERAS_BUILDER(name) \
    cj_status cj__keras_build_##name(cj__keras *k, cj__keras_layer *layer, cj__keras_call *call, \
                                     cj_node *const *x, int n)
CJ__KERAS_BUILDER(row); /* build.c */
/* recurrent.c, wrappers.c, attention.c, axes.c, parameters.c, local.c, pictures.c, sound.c,
 * composed.c, lookup.c, vectorize.c, operators.c: classes that are no single layer of ours. */
CJ__KERAS_BUILDER(recurrent);
CJ__KERAS_BUILDER(bidirectional);
CJ__KERAS_BUILDER(cells);
CJ__KERAS_BUILDER(cell);
CJ__KERAS_BUILDER(steps);
CJ__KERAS_BUILDER(heads);
CJ__KERAS_BUILDER(attention);
CJ__KERAS_BUILDER(refused);
CJ__KERAS_BUILDER(unread);
CJ__KERAS_BUILDER(nothing);
CJ__KERAS_BUILDER(chain);
CJ__KERAS_BUILDER(normalization);
CJ__KERAS_BUILDER(softmax);
CJ__KERAS_BUILDER(layer_normalization);
CJ__KERAS_BUILDER(batch_normalization);
CJ__KERAS_BUILDER(fourier);
CJ__KERAS_BUILDER(moved);
CJ__KERAS_BUILDER(coloured);
CJ__KERAS_BUILDER(cropped);
CJ__KERAS_BUILDER(resizing);
CJ__KERAS_BUILDER(stft);
CJ__KERAS_BUILDER(mel);
CJ__KERAS_BUILDER(local);
CJ__KERAS_BUILDER(reversible);
CJ__KERAS_BUILDER(rescaling);
CJ__KERAS_BUILDER(scaled_sum);
CJ__KERAS_BUILDER(merge);
CJ__KERAS_BUILDER(maxout);
CJ__KERAS_BUILDER(softplus);
CJ__KERAS_BUILDER(bent);
CJ__KERAS_BUILDER(deconvolution);
CJ__KERAS_BUILDER(lookup);
CJ__KERAS_BUILDER(vectorize);
CJ__KERAS_BUILDER(bins);
CJ__KERAS_BUILDER(operator);

/* more.c: a row's `more`. */
#define CJ__KERAS_MORE(name) \
    cj_status cj__keras_more_##name(cj__keras *k, const cj__keras_layer *layer, cj__text *out)
CJ__KERAS_MORE(relu);
CJ__KERAS_MORE(leaky);
CJ__KERAS_MORE(elu);
CJ__KERAS_MORE(above);
CJ__KERAS_MORE(softmax);
CJ__KERAS_MORE(axis);
CJ__KERAS_MORE(edges);
CJ__KERAS_MORE(rows_and_columns);
CJ__KERAS_MORE(einsum);
CJ__KERAS_MORE(brightness);
CJ__KERAS_MORE(contrast);
CJ__KERAS_MORE(scale);

/* load.c */
/* assets/PATH/vocabulary.txt of an archive, in the arena; NULL: there is none. */
cj_status cj__keras_vocabulary(cj__keras *k, const char *path, char **out);
/* What a configuration alone describes, of at most a million weights, which are zeros. */
cj_status cj__keras_read_config(cj_context *cj, const void *json, size_t size, int version,
                                cj_model **out);
bool cj__keras_is_h5(const void *bytes, size_t size);
bool cj__keras_is_archive(const void *bytes, size_t size);
cj_status cj__keras_read_h5(cj_context *cj, const void *bytes, size_t size, cj_model **out);
cj_status cj__keras_read_archive(cj_context *cj, const void *bytes, size_t size, cj_model **out);

#endif
