/* nn.h: models, layers, losses, metrics, optimizers, schedules, initializers.
 *
 *     cj_model *m = cj_model_new(cj);
 *     cj_node *x = cj_input(m, "image", 28, 28, 1);    // a sample; the batch axis comes by itself
 *     x = cj_dense(cj_flatten(x), .units = 128, .activation = "relu");
 *     cj_output(m, "class", cj_dense(x, .units = 10, .activation = "softmax"));
 *
 * Layers take keyword arguments; zero is the documented default. The same words work in a recipe
 * (`dense: {units: 128, activation: relu}`) and in one line ("flatten, dense 128 relu, dense 10
 * softmax"). Named things are strings with options: "sgd(momentum=0.9, nesterov=true)", "l2(1e-4)".
 *
 * Everything here builds graph nodes; nothing computes. Building is sticky as graphs are: a failed
 * layer gives NULL, and cj_model_failed tells. A model belongs to its context, or to who frees it.
 */
#ifndef CAJAL_NN_H
#define CAJAL_NN_H

#include <cajal/data.h>
#include <cajal/graph.h>
#include <cajal/io.h>
#include <cajal/layers.h>
#include <cajal/picture.h>
#include <cajal/recipe.h>
#include <cajal/run.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cj_model cj_model;

/* ---- Models ---------------------------------------------------------------------------------- */

CJ_API cj_model *cj_model_new(cj_context *cj);
CJ_API void cj_model_free(cj_model *m);
CJ_API cj_status cj_model_failed(const cj_model *m);
CJ_API cj_graph *cj_model_graph(cj_model *m);
CJ_API cj_store *cj_model_store(cj_model *m);
/* Where initial weights come from: before the first layer. Default 0. */
CJ_API void cj_model_set_seed(cj_model *m, uint64_t seed);
/* The dtype of parameters and of inputs made by cj_input: CJ_F32 (default) or CJ_F64; before the
 * first input. */
CJ_API void cj_model_set_dtype(cj_model *m, cj_dtype dtype);

/* An input of samples of this shape: a placeholder [batch, dims...] of the model's dtype. What fit
 * is given (u8 pixels, rows of a table) is brought to it by a preparation that becomes part of the
 * model. */
CJ_API cj_node *cj_model_input(cj_model *m, const char *name, int rank, const int64_t *dims);
CJ_API void cj_output(cj_model *m, const char *name, cj_node *x);
/* A result that helps to learn (Szegedy et al. 2014): cj_fit adds weight (0 or more) times its
 * loss, which is the first output's unless the text of the losses says another; its target is the
 * field of this name, or else the first output's. It counts in no score, and saved models have
 * neither it nor what only it needs. */
CJ_API void cj_auxiliary_output(cj_model *m, const char *name, cj_node *x, double weight);

/* A model from text, for samples as `data` has them: "flatten, dense 128 relu, dropout 0.2, dense
 * 10 softmax". Layers are separated by commas outside brackets, and are written in one of two ways:
 *
 *     dense 128 relu no_bias          words in the order of the layer's table, or key=value
 *     dense(128, activation=relu)     the same with commas, as other named things are
 *
 * A word that names an activation is the activation, one that names a switch turns it on. A first
 * layer "input 28 28 1" says the shape of samples itself; without data it must be there. The
 * model's input has the name of the data's field (or "x"), its output is "class" when the target
 * has classes, else the target's name (or "y"). The error names the layer and the word. At most
 * 4096 layers. */
CJ_API cj_model *cj_model_from_text(cj_context *cj, const char *text, const cj_dataset *data,
                                    uint64_t seed);
/* The same from a recipe's key ("model"): text, or a list of layers, each text or a map of one key:
 *     model: [flatten, {dense: {units: 128, activation: relu}}, {dropout: 0.2}, dense 10 softmax]
 */
CJ_API cj_model *cj_model_from_recipe(cj_context *cj, cj_recipe *recipe, const char *key,
                                      const cj_dataset *data, uint64_t seed);
/* The layers of a model again, as text that makes the same model ("input 28 28 1 name=image,
 * flatten, ..."). Owned by the model. NULL with CJ_ERR_UNSUPPORTED for layers that do not simply
 * follow one another. */
CJ_API const char *cj_model_text(cj_model *m);

/* Keras's table of layers, output shapes and parameters, with the totals. */
CJ_API cj_status cj_model_summary(cj_model *m, FILE *to);

typedef struct cj_model_counts {
    int64_t parameters, trainable; /* Keras's total, with running statistics; the weights alone:
                                      PyTorch's count */
    int64_t multiply_adds; /* of one sample, forward; other open sizes are as small as can be */
    int layers;
} cj_model_counts;
CJ_API cj_status cj_model_count(cj_model *m, cj_model_counts *counts);

typedef struct cj_layer_info {
    const char *name, *type; /* "dense_1", "dense" */
    const cj_type *output;
    int64_t parameters;
    int64_t multiply_adds; /* of one sample, forward */
} cj_layer_info;
/* Layer i in the order of building, or node i of a model that was loaded and has none; false
 * past the last. Texts and type live as long as the model. */
CJ_API bool cj_model_layer_at(cj_model *m, int i, cj_layer_info *info);

/* ---- Layers ---------------------------------------------------------------------------------- */

typedef struct cj_dense_opts {
    size_t struct_size;
    int64_t units;                  /* required */
    const char *activation;         /* default none */
    bool no_bias;
    const char *kernel_initializer; /* default "glorot_uniform" */
    const char *bias_initializer;   /* default "zeros" */
    const char *kernel_regularizer; /* "l1(0.01)", "l2(0.01)", "l1_l2(l1=..., l2=...)" */
    const char *bias_regularizer;
    const char *name;               /* default "dense", "dense_1" ... */
    const char *kernel_normalization; /* "weight": W = g V / |V| for each unit (Salimans and Kingma
                                         2016); "spectral": W over its largest singular value, by
                                         a step of the power method a training step (Miyato 2018) */
    const char *kernel_constraint;  /* what W is kept to after each step of an optimizer:
                                       "max_norm(2)" (norms along axis 0: of a unit), "non_neg" */
    const char *bias_constraint;
} cj_dense_opts;
/* y = activation(x W + b) on the last axis. x [..., inputs], W "name/kernel" [inputs, units], b
 * "name/bias". */
CJ_API cj_node *cj_dense(cj_node *x, const cj_dense_opts *opts);

typedef struct cj_activation_opts {
    size_t struct_size;
    const char *function; /* "relu", "leaky_relu(negative_slope=0.3)" ... */
    const char *name;
} cj_activation_opts;
CJ_API cj_node *cj_activation_layer(cj_node *x, const cj_activation_opts *opts);
/* The function alone, no layer: cj_activation(x, "softmax"). NULL or "linear": x. */
CJ_API cj_node *cj_activation(cj_node *x, const char *function);

typedef struct cj_dropout_opts {
    size_t struct_size;
    double rate; /* 0 <= rate < 1 */
    const char *name;
} cj_dropout_opts;
CJ_API cj_node *cj_dropout(cj_node *x, const cj_dropout_opts *opts);

CJ_API cj_node *cj_flatten(cj_node *x); /* [batch, a, b] -> [batch, a*b] */
CJ_API cj_node *cj_reshape_layer(cj_node *x, int rank,
                                 const int64_t *dims); /* samples; one may be -1 */
CJ_API cj_node *cj_add_layer(cj_node *const *x, int n);
CJ_API cj_node *cj_concatenate(cj_node *const *x, int n,
                               int axis); /* axis of the batch tensor; -1: last */

/* Any layer by name with options as text: cj_layer_apply(&x, 1, "dense", "units=10,
 * activation=relu"). A program's own layer, registered with cj_layer_register, is used in this way.
 * options may be NULL. */
CJ_API cj_node *cj_layer_apply(cj_node *const *x, int n, const char *layer, const char *options);

/* ---- Shared layers --------------------------------------------------------------------------- */

/* Layers that are made from here on are of a scope, called "critic.dense" and so on; NULL: of none.
 * Made again after the scope has been entered again, in the same order or by the same .name, they
 * are the same layers: their parameters and state are shared. So what a discriminator, a Siamese
 * network or tied weights need is a function that is called twice:
 *
 *     cj_layer_scope(g, "critic");
 *     cj_node *of_real = critic(real);
 *     cj_layer_scope(g, "critic");
 *     cj_node *of_fake = critic(fake);
 *     cj_layer_scope(g, NULL);
 *
 * A layer's kernel counts once in the regularisation, and running means take the mean of what all
 * uses see. */
CJ_API void cj_layer_scope(cj_graph *g, const char *name);

/* ---- Masks ----------------------------------------------------------------------------------- */

/* As in Keras, a mask says which steps of a sequence count: bool, true where one does, [batch,
 * steps] (in general the leading axes of what it belongs to). It rides beside a layer's result:
 * masking, and embedding with mask_zero, make one, and each later layer passes it on, merges it,
 * reads it or stops it (docs/layers.md). Where a model's output has one, fit and evaluate take the
 * loss and metrics over the steps that count. An operator's result, cj_relu(x), has none: only
 * layers hand one on.
 *
 * The mask of x: a node of x's graph; NULL when it has none. */
CJ_API cj_node *cj_mask_of(const cj_node *x);
/* x, as a node of its own, with another mask: of bools, or numbers of which 0 is false; NULL: with
 * none. Its sizes are x's leading ones, or symbols. */
CJ_API cj_node *cj_with_mask(cj_node *x, cj_node *mask);

/* ---- Rows ------------------------------------------------------------------------------------ */

/* Every row begins with its name, a sentence (a formula where there is one), and other names that
 * it is found by: "silu, swish", or NULL. Whatever is written out has the name. But for layers, a
 * name may bring options, "cross_entropy(from_logits=true)", which those of the text overrule. */

/* What a layer's build function is handed. Parameters are made through it, so that names, seeds and
 * the summary are right. */
typedef struct cj_layer_build {
    cj_graph *graph;
    const char *name;    /* of this layer: "dense_1" */
    cj_node *const *x;   /* inputs */
    int n;
    const void *options; /* the row's structure */
    cj_node *mask;       /* of the result, where build gives one (cj_mask_of): before what the row
                            says */
    bool shared;         /* it was made before (cj_layer_scope): what it asks for is there */
} cj_layer_build;

/* What becomes of the mask of a layer's inputs (cj_mask_of), where build gives the result none. */
typedef enum cj_layer_masking {
    CJ_MASK_STOPS,  /* the result has no mask */
    CJ_MASK_PASSES, /* it has that of the first input: for layers that keep steps apart */
    CJ_MASK_MERGES, /* inputs of the same steps: a step counts where it counts in one of them; no
                       mask where an input has none */
    CJ_MASK_READS   /* build reads masks, and gives the result's if there is one */
} cj_layer_masking;

typedef struct cj_layer {
    const char *name; /* "dense" */
    const char *doc, *aliases;
    int inputs;       /* 1; -1: inputs_min or more */
    size_t options_size;
    const cj_option
        *options; /* NULL: none. A number whose initial value is out of its range is required; a
                     string "name" is the layer's, checked and given by default */
    cj_node *(*build)(cj_layer_build *b);
    const char *sample; /* options and input shape for the generic test: "units=3 : 4, 5" */
    int inputs_min;     /* 0 counts as 2 */
    cj_layer_masking masking; /* default CJ_MASK_STOPS */
    bool whole_numbers; /* of categories, or bytes of texts: fit does not scale u8 for it */
} cj_layer;

/* A trainable parameter "layer/name". fan_in and fan_out: for the initializer (0: from the shape,
 * the last axis is fan_out). regularizer may be NULL. */
CJ_API cj_node *cj_layer_parameter(cj_layer_build *b, const char *name, int rank,
                                   const int64_t *dims, const char *initializer, int64_t fan_in,
                                   int64_t fan_out, const char *regularizer);
/* What any optimizer keeps this parameter of the layer to after each step, a constraint such as
 * "max_norm(2)"; it is saved with the model. One that searches (lbfgs) refuses to. NULL: nothing.
 * Returns the parameter. */
CJ_API cj_node *cj_layer_constraint(cj_layer_build *b, cj_node *parameter, const char *constraint);
/* State that is not trained: running statistics. */
CJ_API cj_node *cj_layer_state(cj_layer_build *b, const char *name, int rank, const int64_t *dims,
                               double value);
/* A scalar added to the loss while training. */
CJ_API void cj_layer_loss(cj_layer_build *b, cj_node *loss);

/* In training programs a step also gives `variable`, state of the layer, this value: a running mean
 * of what x holds now. cj_updates takes such updates along with the optimizer's, so that they are
 * committed together, or not at all; in other programs the state keeps its value. */
CJ_API void cj_layer_update(cj_layer_build *b, cj_node *variable, cj_node *value);
/* Those of all layers of a graph, ended by {NULL, NULL}; for programs that write an optimizer
 * themselves. Owned by the graph. */
CJ_API const cj_update *cj_layer_updates(cj_graph *g);

typedef struct cj_activation_row {
    const char *name, *doc, *aliases;
    size_t options_size;
    const cj_option *options;
    cj_node *(*build)(cj_node *x, const void *options);
} cj_activation_row;

/* prediction and target as the model and the data give them. Gives one loss a sample: [batch]. */
typedef struct cj_loss {
    const char *name, *doc, *aliases;
    size_t options_size;
    const cj_option *options;
    cj_node *(*build)(cj_node *prediction, cj_node *target, const void *options);
    bool integer_target; /* classes as numbers: decides the default loss of a data set */
    bool class_target;   /* takes classes as numbers too */
    /* Where some of what a sample holds does not count, or counts more: what the sample counts for,
     * [batch]; a mean is sum(loss) / sum(count). NULL, or a result of NULL: 1 each. */
    cj_node *(*count)(cj_node *prediction, cj_node *target, const void *options);
    /* A sample is compared as a whole, or with others. Any other loss is given the steps of a
     * prediction with a mask (cj_mask_of) as samples [batch steps, ...], each with its weight. */
    bool whole;
} cj_loss;

/* What a metric's batches came to: one vector of sums, or with `collects` a record after the other.
 */
typedef struct cj_metric_totals {
    const double *v;
    int64_t n;       /* sums; numbers in one record */
    int64_t count;   /* records; 1 vector of sums */
    double *scratch; /* of one that collects, for sorting: 8 numbers a record, or its own number */
} cj_metric_totals;

/* A metric is a few sums over samples, added over batches in double, and a number made from them;
 * so it is the same whatever the batches were.
 *
 * A metric that needs the samples themselves (a rank, a curve) sets `collects`: build gives records
 * [any number, fixed length] that are kept one after the other, 8 bytes a number until the epoch
 * ends and 64 bytes more a record while its value is made. Running values of an epoch leave such a
 * metric out. */
typedef struct cj_metric {
    const char *name, *doc, *aliases;
    size_t options_size;
    const cj_option *options;
    /* The sums of this batch: a vector of any fixed length. weight [batch] is 1 or the sample's
     * weight. */
    cj_node *(*build)(cj_node *prediction, cj_node *target, cj_node *weight, const void *options);
    /* Number i; NaN where it is not defined. NULL: no numbers, as "confusion". */
    double (*value)(const cj_metric_totals *totals, int64_t i, const void *options);
    bool smaller_is_better;
    bool collects;
    /* How many numbers, from the length of the sums or of a record: they are shown as "recall[0]",
     * "recall[1]" ... NULL or 0: one, shown by the name alone. */
    int64_t (*numbers)(int64_t n, const void *options);
    /* How the sums of a batch join those of the batches before, which begin as zeros. NULL: they
     * are added. Sums that are merged are f64. */
    void (*merge)(double *totals, const double *batch, int64_t n);
    /* How many numbers of scratch `count` records of n numbers need: at most a few times as many as
     * these are. NULL: 8 a record. */
    int64_t (*scratch)(int64_t n, int64_t count, const void *options);
} cj_metric;

/* One parameter's step. slots: the optimizer's state for this parameter; NULL where the row's
 * `slot` says that there is none. */
typedef struct cj_optimizer_step {
    cj_graph *graph;
    cj_node *parameter, *gradient;
    cj_node *slots[8];
    cj_node *learning_rate; /* scalar of the parameter's dtype */
    cj_node *step;          /* f64 scalar: 1 for the first step */
    const void *options;
    cj_node *new_parameter, *new_slots[8]; /* filled by build */
} cj_optimizer_step;

/* A step of all parameters together, by an optimizer that looks at the loss and evaluates it
 * several times a step. Every run of the program is one evaluation: the row sees loss and gradients
 * where the parameters are, and says where they go next. */
typedef struct cj_optimizer_search {
    cj_graph *graph;
    int n;
    cj_node *const *parameters, *const *gradients;
    cj_node *loss, *learning_rate; /* f64 scalars */
    cj_node *searching;            /* bool: the run before left the search open */
    const void *options;
    cj_node **new_parameters;      /* [n], filled by search */
    cj_node *new_searching;        /* filled: the same batch is to be evaluated again */
    struct cj__updates *updates;
} cj_optimizer_search;
/* State PREFIX/NAME, zeros at first. */
CJ_API cj_node *cj_optimizer_state(cj_optimizer_search *s, const char *name, cj_dtype dtype,
                                   int rank, const cj_dim *dims);
CJ_API void cj_optimizer_keep(cj_optimizer_search *s, cj_node *state, cj_node *value);

typedef struct cj_optimizer {
    const char *name, *doc, *aliases;
    size_t options_size;
    const cj_option *options;
    double learning_rate;       /* default, as Keras has it */
    const char *const *slots;   /* names, NULL-terminated: "m", "v" */
    bool (*build)(cj_optimizer_step *s);
    /* Whether these options need slot k for a parameter of the type in *type, and, changed there,
     * the type of the slot if it is another. NULL: always, of the parameter's type. Slots begin as
     * zeros; what is to begin otherwise is told by the first step (step = 1). */
    bool (*slot)(const void *options, int k, cj_type *type);
    bool (*search)(cj_optimizer_search *s); /* instead of build; slots are NULL then */
} cj_optimizer;

/* Options of every optimizer of the library, as Keras's base class has them. A row has them too
 * when its structure begins with this one and its table ends with CJ_OPTIMIZER_COMMON, instead of
 * CJ_OPTION_END. cj_updates does what they say; weight_decay and form are the row's. */
typedef struct cj_optimizer_common {
    double weight_decay;
    int form;                                    /* 0: keras, 1: torch */
    double clipvalue, clipnorm, global_clipnorm; /* one of the three; 0: none */
    int64_t gradient_accumulation_steps;
    bool use_ema;
    double ema_momentum;
    int64_t ema_overwrite_frequency;
    int64_t swa_start, swa_frequency;
    int64_t lookahead_steps;
    double lookahead_alpha;
    const char *constraint; /* or NULL */
    double learning_rate_factor;
    const char *groups;     /* "*bias(weight_decay=0), embedding*(learning_rate_factor=0.1)" */
} cj_optimizer_common;
extern CJ_API const char *const cj_optimizer_forms[];

#define CJ_OPTIMIZER_COMMON(weight_decay_default, form_help) \
    CJ_OPTION_FLOAT(cj_optimizer_common, weight_decay, weight_decay_default, 0, 1e6, \
                    "how fast parameters shrink"), \
        CJ_OPTION_WORD(cj_optimizer_common, form, 0, cj_optimizer_forms, form_help), \
        CJ_OPTION_MORE(cj_optimizer_common_options)
extern CJ_API const cj_option cj_optimizer_common_options[];

/* The learning rate at a step (from 0) of training; steps_per_epoch and total steps are known, and
 * the monitored score of each epoch that is done. */
typedef struct cj_schedule_point {
    double initial;
    int64_t step, steps_per_epoch, total_steps;
    const double *monitored; /* [n_monitored], the score that fit's `monitor` names */
    int64_t n_monitored;
    bool smaller_is_better;
} cj_schedule_point;
typedef struct cj_schedule {
    const char *name, *doc, *aliases;
    size_t options_size;
    const cj_option *options;
    /* A function of the point alone: training that goes on from a checkpoint has the same rates. An
     * integer option "warmup" is seen to by the caller: steps of a linear rise to the first rate,
     * behind which the schedule begins. */
    double (*rate)(const cj_schedule_point *at, const void *options);
} cj_schedule;

typedef struct cj_initializer_target {
    uint64_t seed;
    uint32_t stream; /* the number of the parameter in its model */
    int64_t fan_in, fan_out;
} cj_initializer_target;
typedef struct cj_initializer {
    const char *name, *doc, *aliases;
    size_t options_size;
    const cj_option *options;
    cj_status (*fill)(cj_tensor *t, const cj_initializer_target *at, const void *options);
} cj_initializer;

/* What a parameter is kept to after each step of an optimizer: by the optimizer's option
 * `constraint`, then by a layer's (cj_layer_constraint). */
typedef struct cj_constraint {
    const char *name, *doc, *aliases;
    size_t options_size;
    const cj_option *options;
    cj_node *(*build)(cj_node *parameter, const void *options); /* the parameter as it is to be */
} cj_constraint;

/* A scalar that is added to the loss in training, of one parameter. */
typedef struct cj_regularizer {
    const char *name, *doc, *aliases;
    size_t options_size;
    const cj_option *options;
    cj_node *(*build)(cj_node *parameter, const void *options);
} cj_regularizer;

/* A whole network: those of the library are in zoo.h. In text and recipes it stands where a layer
 * does; where none of both has a name, layers come first. */
typedef struct cj_network {
    const char *name, *doc, *aliases;
    size_t options_size;
    const cj_option *options; /* an integer `classes` is that of the data, where the text of a model
                                 says none */
    /* x [batch, sample...]; makes layers behind it and gives the result. */
    cj_node *(*build)(cj_node *x, const void *options);
    int rank;                 /* of a sample, where nothing else says its shape */
    int64_t shape[4];
    const char *sample;       /* options and a small shape, for the generic test */
} cj_network;
/* The network of that name behind x: cj_network_apply(x, "resnet18(classes=10)"). NULL where that
 * fails, and the message begins with the network's name. */
CJ_API cj_node *cj_network_apply(cj_node *x, const char *network);

#define CJ_NN_ROWS(X)                                                                              \
    X(layer, cj_layer) X(activation, cj_activation_row) X(loss, cj_loss) X(metric, cj_metric)      \
    X(optimizer, cj_optimizer) X(schedule, cj_schedule) X(initializer, cj_initializer)             \
    X(regularizer, cj_regularizer) X(constraint, cj_constraint) X(network, cj_network)
/* For each kind: cj_loss_register(cj, row), cj_loss_find(cj, name) (NULL and a message that names
 * the nearest), cj_loss_at(cj, i) (NULL past the last; the context's own first). */
#define CJ_NN_DECLARE(kind, type)                                                                  \
    CJ_API cj_status cj_##kind##_register(cj_context *cj, const type *row);                        \
    CJ_API const type *cj_##kind##_find(cj_context *cj, const char *name);                         \
    CJ_API const type *cj_##kind##_at(cj_context *cj, int i);
CJ_NN_ROWS(CJ_NN_DECLARE)
#undef CJ_NN_DECLARE

/* ---- Losses, optimizers, schedules in graphs ------------------------------------------------- */

/* One loss a sample, [batch]: cj_loss_node(prediction, target, "huber(delta=2)"). */
CJ_API cj_node *cj_loss_node(cj_node *prediction, cj_node *target, const char *loss);

typedef struct cj_loss_opts {
    size_t struct_size;
    const char *reduction;  /* "mean" (default), "sum": scalars; "none": [batch], with a mask
                               [batch steps] */
    cj_node *sample_weight; /* [batch] or [batch, 1]; default 1 each */
} cj_loss_opts;
/* The loss times the weight of its sample, and the sum or the mean over the batch of that. Where
 * the prediction has a mask (cj_mask_of), the same of its steps that count, each a sample. The mean
 * is what fit minimizes: sum(weight loss) / sum(weight), so that weights of 2 for all change
 * nothing. What a loss leaves out (ignore_class) or weighs itself (class_weights) is left out of,
 * or weighs in, the divisor: PyTorch's mean. */
CJ_API cj_node *cj_loss_reduced(cj_node *prediction, cj_node *target, const char *loss,
                                const cj_loss_opts *opts);
/* The mean over everything: scalar. */
CJ_API cj_node *cj_mse(cj_node *prediction, cj_node *target);

typedef struct cj_updates_opts {
    size_t struct_size;
    double learning_rate;        /* 0: the optimizer's default */
    cj_node *learning_rate_node; /* instead: a scalar, fed or computed */
    const char *prefix;          /* of the slots' names in the store; default "optimizer" */
    cj_node *loss;               /* scalar; for optimizers that search along a line (lbfgs) */
    bool no_layer_updates;       /* leave out those of layers (cj_layer_update): of two optimizers
                                    in one program, one takes them along */
    const char *where;           /* for errors; the macro sets it */
} cj_updates_opts;
/* The updates of one training step, for cj_compile, ended by {NULL, NULL}; owned by the graph.
 * Makes the optimizer's state: "optimizer/step" (i64) and "optimizer/m/dense/kernel" ... gradients
 * may be cj_zero.
 *
 * With an optimizer that searches a run of the program is an evaluation: while the state
 * "optimizer/searching" (bool) is true the parameters are a trial, to be run again on the same
 * batch. (cj_fit sees to that.) */
CJ_API const cj_update *cj_updates(const char *optimizer, cj_node *const *parameters,
                                   cj_node *const *gradients, int n, const cj_updates_opts *opts);

/* The learning rate of a schedule given as text: "cosine(warmup=100)". */
CJ_API cj_status cj_schedule_rate(cj_context *cj, const char *schedule, const cj_schedule_point *at,
                                  double *rate);

/* ---- Files ----------------------------------------------------------------------------------- */

/* ONNX, self-contained: preparation inside the graph, names and maps as metadata. Atomic: the old
 * file or the new one. No paths, times or thread counts inside: equal models give equal bytes. */
CJ_API cj_status cj_save(cj_model *m, const char *path);
/* Which words of ONNX are used: 17 (IR 8) is read by programs since 2022; later ones have single
 * nodes for what earlier ones spell out: gelu since 20, group normalization since 21. */
enum { CJ_ONNX_OPSET = 17, CJ_ONNX_OPSET_MAX = 21 };
typedef struct cj_onnx_save_opts {
    size_t struct_size;
    int64_t opset; /* CJ_ONNX_OPSET to _MAX, else CJ_ERR_ARGUMENT; 0: CJ_ONNX_OPSET */
} cj_onnx_save_opts;
CJ_API cj_status cj_save_opts(cj_model *m, const char *path, const cj_onnx_save_opts *opts);
/* Loading finds out from the bytes what a file is: ONNX; or Keras's .h5 and .keras (not in the core
 * build), whose layers become layers of ours with the same names (docs/keras.md).
 * CJ_ERR_UNSUPPORTED names the layer and its class, or the node and its operator.
 *
 * Large weights of ONNX stay where they are, in the mapped file or in that of its external data,
 * until a training writes to them. So a file must not be changed in place while what was loaded
 * from it lives; replacing it, as cj_save does, is fine. The same holds for graphs. */
CJ_API cj_model *cj_load(cj_context *cj, const char *path);
CJ_API cj_model *cj_load_memory(cj_context *cj, const void *bytes, size_t size);
/* Another program's file is a model, too: a batch that it fixes becomes a symbol where the graph
 * takes one, and batch normalisation and dropout train in training alone, whatever the file says.
 * More is changed when it is asked for. */
typedef struct cj_onnx_input cj_onnx_input; /* below */
typedef struct cj_tune_opts {
    size_t struct_size;
    /* "conv1*, layer1": weights (initializers) whose name, or the beginning of it before a '.' or
     * '/', is matched ("*" any characters, "?" one) are not trained, and so are those of nodes. A
     * batch normalisation whose scale is matched keeps its statistics. A pattern that matches
     * nothing is CJ_ERR_NOT_FOUND. Saved, they are parameters again. */
    const char *freeze;
    /* Units of a new last dense layer, with new weights, in the place of the one the file has
     * (Gemm, MatMul and Add, a convolution of size 1); what stands behind it stays. The model
     * forgets its classes, loss and metrics. 0: the layer stays. */
    int64_t head;
    uint64_t seed;         /* of the new weights */
    int64_t height, width; /* of pictures, where the file leaves them open; 0: they stay open */
    bool inference;        /* it will not be trained: what matters in training alone is not told */
    /* Called with a sentence for each thing that was changed, assumed, or found and is worth
     * knowing. NULL: nothing is said. */
    void (*tell)(void *user, const char *sentence);
    void *user;
    /* Asked for the inputs of a file whose shapes depend on their values, and of no other, as
     * cj_onnx_opts.values is: the model is for these values then. NULL: such a file is refused. */
    cj_status (*values)(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                        const cj_tensor **values);
} cj_tune_opts;
CJ_API cj_model *cj_load_to_tune(cj_context *cj, const char *path, const cj_tune_opts *opts);

typedef enum cj_layout {
    CJ_LAYOUT_AUTO, /* channels where the model's input has 1 or 3, first of all on axis 1 */
    CJ_LAYOUT_NCHW,
    CJ_LAYOUT_NHWC
} cj_layout;
typedef struct cj_pictures_opts {
    size_t struct_size;
    /* What is taken from pixels, and what they are divided by then: of pixels in 0..1, or in 0..255
     * when one of the numbers is above 1. None: 0 and 1, of pixels in 0..1. */
    const double *mean, *deviation;
    int means, deviations; /* how many: 0, 1, or one a channel */
    cj_layout layout;      /* what the model takes */
    cj_picture_fit fit;    /* of pictures in files */
    int64_t height, width; /* where the model's input leaves them open; 0: CJ_ERR_SHAPE then */
    void (*tell)(void *user, const char *sentence); /* as cj_tune_opts.tell */
    void *user;
} cj_pictures_opts;
/* A model whose first input is a batch of pictures of floats takes decoded pictures from now on, u8
 * [height, width, channels]: for models of other programs, which do not say how. The preparation is
 * saved with the model. CJ_ERR_SHAPE when the input is none. */
CJ_API cj_status cj_model_pictures(cj_model *m, const cj_pictures_opts *opts);
typedef struct cj_weights_opts {
    size_t struct_size;
    bool partial;     /* load what has the name and the shape, and leave the rest as it is */
    const char *what; /* of errors; default the path, or "weights" */
} cj_weights_opts;
/* Weights and running statistics by name, into a model of layers: from a list, or a .safetensors
 * file. A weight "layer/kernel" is loaded from that name or from PyTorch's, "layer.weight" (gamma
 * too; beta is "bias", moving_mean and moving_variance are "running_mean" and "running_var"), whose
 * layout is changed to ours: dense kernels are transposed, and what is behind a flatten is brought
 * from channels first to channels last. Every weight must be there and every name be used
 * (num_batches_tracked are not), unless `partial`; the error names the first that does not fit. On
 * failure the model is as it was. */
CJ_API cj_status cj_set_weights(cj_model *m, const cj_tensors *list, const cj_weights_opts *opts);
CJ_API cj_status cj_load_weights(cj_model *m, const char *path, const cj_weights_opts *opts);
/* Any ONNX model as a graph, its inputs (that are no initializers) and outputs in the file's order.
 * Its float initializers that have axes are parameters, but for the running statistics of batch
 * normalisations, which are variables; all are found by their names. Batch normalisation and
 * dropout are as the file says, and switch in programs compiled for training. NULL with a message;
 * CJ_ERR_UNSUPPORTED names node and operator. The caller frees it, or the context. */
CJ_API cj_graph *cj_onnx_load_graph(cj_context *cj, const char *path);

/* An input of a file that is being read. Its name and type belong to the reader; sizes that the
 * file leaves open are symbols of the graph (cj_dim_text), and rank -1: the file tells none. */
struct cj_onnx_input {
    const char *name;
    cj_type type;
};
typedef struct cj_onnx_opts {
    size_t struct_size;
    /* Called once, before the nodes are read, for the values of the inputs: values[i] is that of
     * inputs[i], or stays NULL. They must live until the load has returned. The inputs have the
     * sizes of these values, then, and what decides a shape may depend on them: the reader runs the
     * part of the graph before it. So the graph is for these values, or others that would decide
     * the same. A batch is a symbol where it is another than the number that the file has in front
     * of all inputs. A failure ends the load. */
    cj_status (*values)(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                        const cj_tensor **values);
    void *user;
    bool all_weights; /* every float initializer of the model's graph is a variable, scalars and
                         what no node uses, too: for gradients by each of them */
} cj_onnx_opts;
CJ_API cj_graph *cj_onnx_load_graph_opts(cj_context *cj, const char *path,
                                         const cj_onnx_opts *opts);
/* The same of a file of any format that cj_load reads. opts may be NULL; what values say decides
 * nothing in files that are not ONNX. */
CJ_API cj_graph *cj_load_graph(cj_context *cj, const char *path, const cj_onnx_opts *opts);
CJ_API cj_status cj_onnx_save_graph(cj_graph *g, const char *path);
CJ_API cj_status cj_onnx_save_graph_opts(cj_graph *g, const char *path,
                                         const cj_onnx_save_opts *opts);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_input(m, name, ...) \
    cj_model_input(m, name, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
                   (const int64_t[]){__VA_ARGS__})
#define cj_dense(x, ...) \
    (cj_dense)(cj_at(x, CJ_HERE), \
               &(cj_dense_opts){.struct_size = sizeof(cj_dense_opts), __VA_ARGS__})
#define cj_activation_layer(x, ...) \
    (cj_activation_layer)(cj_at(x, CJ_HERE), \
                          &(cj_activation_opts){.struct_size = sizeof(cj_activation_opts), \
                                                __VA_ARGS__})
#define cj_dropout(x, ...) \
    (cj_dropout)(cj_at(x, CJ_HERE), \
                 &(cj_dropout_opts){.struct_size = sizeof(cj_dropout_opts), __VA_ARGS__})
#define cj_set_weights(m, list, ...) \
    (cj_set_weights)(m, list, \
                     &(cj_weights_opts){.struct_size = sizeof(cj_weights_opts), __VA_ARGS__})
#define cj_load_weights(m, path, ...) \
    (cj_load_weights)(m, path, \
                      &(cj_weights_opts){.struct_size = sizeof(cj_weights_opts), __VA_ARGS__})
#define cj_flatten(x) (cj_flatten)(cj_at(x, CJ_HERE))
#define cj_loss_node(prediction, target, loss) \
    (cj_loss_node)(cj_at(prediction, CJ_HERE), target, loss)
#define cj_loss_reduced(prediction, target, loss, ...) \
    (cj_loss_reduced)(cj_at(prediction, CJ_HERE), target, loss, \
                      &(cj_loss_opts){.struct_size = sizeof(cj_loss_opts), __VA_ARGS__})
#define cj_updates(optimizer, p, g, n, ...) \
    (cj_updates)( \
        optimizer, p, g, n, \
        &(cj_updates_opts){.struct_size = sizeof(cj_updates_opts), .where = CJ_HERE, __VA_ARGS__})
#endif

#ifdef __cplusplus
}
#endif
#endif
