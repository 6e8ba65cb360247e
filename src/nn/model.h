/* model.h: the inside of a model.
 *
 * The graph of a model takes prepared samples (floats). What the data gives (pixels, rows of a
 * table) is brought there by a preparation, one for each input, described here and turned into
 * nodes in front of a copy of the graph whenever a program is compiled or a file is written
 * (cj__model_assemble). A loaded model has its preparation in its graph already.
 *
 *     raw input -> cast -> one-hot of categorical columns -> (x - offset) * scale -> the model's
 * input */
#ifndef CAJAL_NN_MODEL_H
#define CAJAL_NN_MODEL_H

#include "graph/graph.h"

#include <cajal/nn.h>
#include <cajal/picture.h>

typedef struct cj__preparation {
    bool known;           /* false: raw samples are what the graph takes */
    bool in_graph; /* a loaded model: the graph prepares; what follows describes raw samples */
    const char *field;    /* of the data set; raw samples go by this name */
    cj_dtype dtype;       /* of raw samples */
    int rank;             /* per sample */
    int64_t shape[CJ_RANK_MAX];
    int64_t channels;     /* length of offset and scale: the model's last axis, or 1 */
    double *offset, *scale; /* in the model's arena; NULL: none */
    int columns;          /* of a table */
    const cj_column *column_info; /* categorical columns become one-hot, in place */
    bool channels_first;  /* the graph takes pictures so; raw ones have the channels last */
    cj_picture_fit fit;   /* of pictures in files: how they came to `shape` */
} cj__preparation;

typedef struct cj__layer_record { /* for summary, text and configuration */
    const cj_layer *row;
    const char *name;
    const void *options;
    cj_node *const *x;
    int n;
    cj_node *y;
    int first_parameter, n_parameters; /* of the graph's parameters */
    int64_t state_elements;            /* not trained */
    bool scoped;                       /* it was made in a scope, */
    int entry;                         /* when cj__layers.scope_entry was that */
    bool inner; /* of another layer, whose record comes behind and has its parameters, too */
} cj__layer_record;

typedef struct cj__network_record { /* for text: layers that are one network */
    const cj_network *row;
    const void *options;
    const cj_node *x, *y;
    int first, count; /* of the layers */
} cj__network_record;

typedef struct cj__mask { /* a node and the mask beside it */
    const cj_node *x;
    cj_node *mask;
} cj__mask;

typedef struct cj__auxiliary { /* a result that is judged in training alone */
    struct cj__auxiliary *next;
    const char *name;
    cj_node *x;
    double weight; /* of its loss */
} cj__auxiliary;

/* What a layer's option says of one of its parameters: layer_rules.c. */
typedef struct cj__rule {
    struct cj__rule *next;
    cj_node *parameter;
    int kind;         /* CJ__ROW_REGULARIZER or CJ__ROW_CONSTRAINT */
    const char *text; /* "l2(0.01)" */
    bool no_loss;     /* a regularizer from a file: its term is made in copies of the graph */
} cj__rule;

/* What layers leave in a graph: found by cj__layers_of, made when first needed, freed with the
 * graph. */
typedef struct cj__layers {
    cj__layer_record *items;
    int count, capacity;
    cj_node **losses; /* scalars added when training */
    int n_losses, losses_capacity;
    cj__auxiliary *auxiliaries; /* in the order they were made, in the graph's arena */
    struct cj__move *moves; /* the same: moves.h */
    cj_update *updates; /* of layers' state, in training programs */
    int n_updates, updates_capacity;
    cj__mask *masks;
    int n_masks, masks_capacity;
    cj__rule *rules; /* in the order they were made, in the graph's arena */
    const char *scope; /* where layers are made now, or NULL */
    int scope_entry;   /* how often that has changed */
    int depth;         /* layers in layers, while they are built */
    cj__network_record *networks; /* none inside another */
    int n_networks, networks_capacity;
    uint64_t seed;
    cj_dtype dtype;
    struct cj_model *model; /* or NULL */
    int64_t state_elements; /* of all layers so far */
    bool bounded;  /* values come from a file: weights begin as zeros, */
    int64_t room;  /* and so many elements may still be made */
    cj_node **copies; /* of an assembled graph: output 0 of the copy of each call of the model's */
    int n_copies;
} cj__layers;
cj__layers *cj__layers_of(cj_graph *g); /* NULL: out of memory, and the graph has failed */

/* Builds one layer; options: the row's structure, complete and copied. Fails the graph as builders
 * do. */
cj_node *cj__layer_add(cj_node *const *x, int n, const cj_layer *row, const void *options);
/* The same with a keyword structure that begins with its size; zero is the default of each field.
 */
cj_node *cj__layer_keywords(cj_node *const *x, int n, const cj_layer *row, const void *options);
/* layer_names.c: what a layer to be built is called; *shared: it was made before. NULL: the graph
 * has failed. */
const char *cj__layer_name(cj_graph *g, const cj__layers *layers, const cj_layer *row,
                           const void *options, bool *shared);
/* mask.c: the mask of a built layer's result y, as build or the row has it, is written down; y, or
 * a copy of it where y is an input whose mask stops here. */
cj_node *cj__mask_result(const cj_layer *row, const cj_layer_build *b, cj_node *y);
/* Writes down that this, of bools and of x's leading sizes, is x's mask; false: the graph has
 * failed. */
bool cj__mask_attach(const cj_node *x, cj_node *mask);
/* Where a step counts in one of the inputs; NULL where an input has no mask. */
cj_node *cj__mask_merged(const cj_layer_build *b);
/* The mask [batch, steps] of input i, or NULL; one of another rank fails. */
cj_node *cj__mask_of_steps(const cj_layer_build *b, int i);
/* mask with axes of size 1 behind its own: of the rank of x, to be broadcast with it. */
cj_node *cj__mask_like(cj_node *mask, const cj_node *x);
/* x where the mask (or NULL) is true, elsewhere a number. */
cj_node *cj__masked(cj_node *x, cj_node *mask, double elsewhere);

/* packed.c: sequences whose steps that count stand in front. */
typedef struct cj__packing {
    cj_node *mask, *lengths;   /* [N, T]; i64 [N]: how many steps count */
    cj_node *counts, *counted; /* i64 [N, T]: the mask; how many count up to each step, with it */
    cj_node *rows;             /* i64 [N, T]: which row of [N * T, ...] is moved there */
} cj__packing;
typedef enum cj__unpacking {
    CJ__FROM_BEFORE, /* a step that does not count gets what the one before it got */
    CJ__FROM_BEHIND, /* what the one behind it got */
    CJ__FROM_NOTHING
} cj__unpacking;
/* false: the graph has failed. lengths: NULL, or [N], from where on no step counts either. */
bool cj__packing_make(cj__packing *p, cj_node *mask, cj_node *lengths);
/* x [N, T, n]; the steps that do not count stand behind the others. */
cj_node *cj__pack(const cj__packing *p, cj_node *x);
/* Back again; where there is nothing to get, a step gets `none` [N, 1, n], or 0 (NULL). */
cj_node *cj__unpack(const cj__packing *p, cj_node *y, cj__unpacking how, cj_node *none);

/* x, or, when it is of no floats, x in the model's dtype: layers compute in floats. */
cj_node *cj__layer_float(cj_layer_build *b, cj_node *x);
/* The row of a layer of one input, whose options, in `table`, are those of its keyword structure,
 * and the builder that takes them; masks: a cj_layer_masking. */
#define CJ__LAYER_ROW(type, table, text, builder, example, masks) \
    CJ__LAYER_ROW_OF(type, table, text, builder, example, masks, false)
/* The same of a layer that takes whole numbers, with the table type_options. */
#define CJ__LAYER_OF_NUMBERS(type, text, builder, example, masks) \
    CJ__LAYER_ROW_OF(type, type##_options, text, builder, example, masks, true)
#define CJ__LAYER_ROW_OF(type, table, text, builder, example, masks, whole) \
    const cj_layer cj_layers_##type = {.name = #type, \
                                       .doc = text, \
                                       .inputs = 1, \
                                       .options_size = sizeof(cj_##type##_opts), \
                                       .options = table, \
                                       .build = builder, \
                                       .sample = example, \
                                       .masking = masks, \
                                       .whole_numbers = whole}; \
    cj_node *(cj_##type)(cj_node * x, const cj_##type##_opts *opts) \
    { \
        return cj__layer_keywords(&x, 1, &cj_layers_##type, opts); \
    }
/* The same with the table type_options. */
#define CJ__LAYER_WITH_MASKS(type, text, builder, example, masks) \
    CJ__LAYER_ROW(type, type##_options, text, builder, example, masks)
#define CJ__LAYER_OF_KEYWORDS(type, text, builder, example) \
    CJ__LAYER_WITH_MASKS(type, text, builder, example, CJ_MASK_STOPS)
/* layers_recurrent.c: an LSTM begins by remembering: the forget gate's bias, the second of `units`
 * numbers, is 1 (Jozefowicz et al. 2015). */
void cj__forget_nothing(cj_node *bias, int64_t units);
/* layer_kernel.c: what a layer uses instead of its parameter `kernel`, whose outputs lie along
 * `axis`: how is NULL (the kernel itself), "spectral" or "weight". Every layer with the option
 * kernel_normalization calls it behind cj_layer_parameter. */
cj_node *cj__layer_normalized(cj_layer_build *b, cj_node *kernel, int axis, const char *how);
/* cj_layer_update without its checks and its guard. */
void cj__layer_add_update(cj_layer_build *b, cj_node *variable, cj_node *value);
/* x through the layers of a text, one after another as a model's: the layers of option `option` of
 * the layer that is being built. They may have such layers themselves. */
enum { CJ__LAYERS_DEEP = 16 };
cj_node *cj__layers_follow(cj_layer_build *b, cj_node *x, const char *option, const char *text);
/* What layers(arg, x) make of each step of x [batch, steps, ...]: [batch, steps, ...]. */
cj_node *cj__each_step(const char *name, cj_node *x, cj_node *(*layers)(void *arg, cj_node *x),
                       void *arg);
/* As cj_activation; an error names the layer. */
cj_node *cj__layer_activate(cj_layer_build *b, cj_node *y, const char *function);
/* A regularizer's term of the loss: a scalar. */
cj_node *cj__regularizer(cj_node *parameter, const char *text);
/* Writes a rule down; a later one of the same kind takes its place. NULL: none, or the graph has
 * failed. */
cj__rule *cj__rule_add(cj_graph *g, cj_node *parameter, int kind, const char *text);
/* The text of a parameter's rule of this kind; NULL: none. */
const char *cj__rule_of(const cj_graph *g, const cj_node *parameter, int kind);
/* A rule from a file, for a graph that has no term of it yet. */
cj_status cj__rule_read(cj_graph *g, cj_node *parameter, int kind, const char *text);
/* The same rule for the parameter's copy in another graph, where a term that is missing is made. */
void cj__rule_copy(cj_layer_build *to, const cj__rule *rule, cj_node *parameter);
/* The option of a layer that has `field` for cj_layer_constraint. */
#define CJ__CONSTRAINT_OPTION(type, field) \
    CJ_OPTION_STRING(type, field, NULL, "what an optimizer keeps it to, such as max_norm(2)")
/* Builds a network behind x and writes it down; options: the row's structure, complete and of the
 * graph's arena. */
cj_node *cj__network_add(cj_node *x, const cj_network *row, const void *options);
/* How many numbers a sample has once categorical columns are one-hot. */
int64_t cj__columns_width(int columns, const cj_column *info);

struct cj_model {
    cj__owned owned;
    cj_context *cj;
    cj__arena arena;
    cj_graph *graph;
    cj__preparation *preparation; /* by input of the graph */
    int n_preparations;
    int classes;
    const char **class_names;
    const char *target;
    cj_field_kind target_kind;
    const char *loss, *metrics, *text;
    struct cj_history *history;   /* train/ */
    void (*free_history)(cj_context *cj, struct cj_history *history);
    bool
        imported; /* from a file of another program, whose weights are for numbers as it had them */
    cj__nodes frozen; /* variables that are trained no more, and are parameters when saved */
    cj__nodes metadata;           /* loaded key -> value pairs that are kept when saving again */
};

/* As cj_model_input, of any dtype and with the whole shape: dims[0] is the batch. */
cj_node *cj__model_input_of(cj_model *m, const char *name, cj_dtype dtype, int rank,
                            const cj_dim *dims);
/* Frees the model but for its graph, which is the context's then, or who frees it. */
cj_graph *cj__model_give_graph(cj_model *m);
/* Decides the preparation of the model's input from a data set's field and the statistics of
 * `train` (mode "auto" or "none"); sets class names and columns. Called by fit; later calls check
 * that they agree. */
cj_status cj__model_prepare(cj_model *m, const cj_dataset *train, const char *mode);
/* A new graph: raw placeholders, preparation, the model. Its variables are the model's by name
 * (shared_store). outputs[i]: output i of the model; raw[i]: placeholder i. */
cj_graph *cj__model_assemble(cj_model *m, cj_node **raw, cj_node **outputs);
/* The model's first input behind its preparation: a node of the model's graph. */
const cj_node *cj__model_prepared(cj_model *m);
/* Copies of nodes of the model's graph (parameters, losses) in an assembled graph. */
cj_node *cj__model_node_in(cj_model *m, cj_graph *assembled, const cj_node *node);

/* As cj_auxiliary_output, for networks of the zoo, which know their graph alone. */
void cj__auxiliary_add(cj_graph *g, const char *name, cj_node *x, double weight);

/* Target in the prediction's dtype and shape: [batch] fits [batch, 1]. `what` is named in a
 * failure. */
cj_node *cj__target_like(cj_node *prediction, cj_node *target, const char *what);

/* One loss a sample, and in *count what it counts for in a mean, both [batch]; NULL: 1. */
cj_node *cj__loss_build(const cj_loss *row, const void *options, cj_node *prediction,
                        cj_node *target, cj_node **count);
/* What losses and metrics compare, and what each sample weighs: [batch], or NULL: 1. */
typedef struct cj__judged {
    cj_node *prediction, *target, *weight;
} cj__judged;
/* The steps of all samples, as if each were a sample of its own: the axes of the prediction's mask
 * become one, and a step weighs what its sample does, or, where it does not count, 0. As it was
 * where the mask is NULL or the target has not those axes. */
cj__judged cj__judged_steps(cj__judged samples, cj_node *mask);
/* sum(weighted) / sum(weight), 0 where nothing weighs. */
cj_node *cj__loss_weighted_mean(cj_node *weighted, cj_node *weight);

/* metrics.c: what a metric's batches came to so far: n sums, or `count` records of n numbers. */
typedef struct cj__tally {
    double *v;
    int64_t n, count;
    int64_t capacity; /* of v, when it is the tally's own: of a metric that collects */
} cj__tally;
/* batch: what the row's build gave. */
cj_status cj__tally_add(cj_context *cj, const cj_metric *row, cj__tally *t, const cj_tensor *batch);
/* cj__metric_numbers numbers. */
cj_status cj__tally_values(cj_context *cj, const cj_metric *row, const void *options,
                           const cj__tally *t, double *out);
void cj__tally_release(cj_context *cj, cj__tally *t);
/* metrics.c: the mean of a loss, whose cj__named is the options. */
extern const cj_metric cj__metric_of_loss;
/* How many numbers a metric with n sums gives; list: they are shown with their index. */
int64_t cj__metric_numbers(const cj_metric *row, const void *options, int64_t n, bool *list);

/* Of one sample forward: of a layer by name, or of one call. 0 where that cannot be said. */
int64_t cj__model_multiply_adds(cj_model *m, const char *layer, const cj_call *only);

/* The parsed row and options of a named thing: "adam(beta_1=0.9)". */
typedef struct cj__named {
    const void *row;
    void *options; /* in the arena; NULL when the row has none */
} cj__named;
cj_status cj__named_parse(cj__arena *arena, cj_context *cj, int kind, const char *text,
                          cj__named *out);
/* Whether there is a row of that name, or another it is found by. */
bool cj__named_known(cj_context *cj, int kind, const char *name);

/* The rate of a schedule at a point, its warm-up included. */
double cj__schedule_now(const cj_schedule *row, const void *options, const cj_schedule_point *at);
/* All gradients times limit / norm, where their common norm is above limit. */
void cj__clip_to(cj_node **gradients, int n, cj_node *norm, double limit);
/* Whether cj_updates keeps an average of each parameter, PREFIX/average/NAME, that is to take its
 * place in the end. */
bool cj__optimizer_averages(const cj_optimizer *row, const void *options);

#endif
