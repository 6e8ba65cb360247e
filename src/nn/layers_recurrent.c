/* layers_recurrent.c: simple_rnn, lstm and gru as layers: parameters, directions, layers upon
 * layers.
 *
 *     x [N, T, C] -> node of recurrent.h -> y [N, T, D P] -> merged -> dropout -> the next layer
 *
 * The three differ in their gates and a few options, so one structure and one builder serve them.
 * Steps that are masked are packed away first and the results spread over all steps again
 * (packed.c), around all layers at once: what lies between layers is never read at such a step.
 *
 * A kernel is [G units, numbers of x], with the gates one after another as Keras orders them, so
 * Keras's matrices are its transpose. */
#include "nn/model.h"

#include <cajal/layers.h>
#include <cajal/recurrent.h>

#include <string.h>

static const char *const merge_modes[] = {"concat", "sum", "mul", "ave", NULL};

#define O(type, field, ...) CJ_OPTION_##type(cj_recurrent_layer_opts, field, __VA_ARGS__)
#define COMMON(functions) \
    O(INT, units, 0, 1, 16777216, "numbers of the state"), \
        O(STRING, activation, "tanh", "of what enters the state"), functions \
        O(BOOL, return_sequences, false, "the state after every step, not the last alone"), \
        O(BOOL, go_backwards, false, "last step first"), \
        O(BOOL, bidirectional, false, "a second one, with weights of its own, last step first"), \
        O(STRING, merge_mode, "concat", "of the two directions: concat, sum, mul, ave"), \
        O(INT, layers, 1, 1, 1024, "so many upon each other"), \
        O(FLOAT, dropout, 0, 0, 1, "share that becomes zero between layers in training"), \
        O(BOOL, no_bias, false, "leave out b"), \
        O(STRING, kernel_initializer, "glorot_uniform", "first values of W"), \
        O(STRING, recurrent_initializer, "orthogonal", "first values of R"), \
        O(STRING, bias_initializer, "zeros", "first values of b"), \
        O(STRING, kernel_regularizer, NULL, "added to the loss for W: l2(0.01)"), \
        O(STRING, recurrent_regularizer, NULL, "added to the loss for R"), \
        O(STRING, bias_regularizer, NULL, "added to the loss for b"), \
        CJ__CONSTRAINT_OPTION(cj_recurrent_layer_opts, kernel_constraint), \
        CJ__CONSTRAINT_OPTION(cj_recurrent_layer_opts, recurrent_constraint), \
        CJ__CONSTRAINT_OPTION(cj_recurrent_layer_opts, bias_constraint), \
        O(STRING, name, NULL, "of the layer"), CJ_OPTION_END
#define GATES O(STRING, recurrent_activation, "sigmoid", "of the gates"),
#define LSTM_OPTIONS \
    GATES O(BOOL, no_unit_forget_bias, false, "the forget gate's first bias is not raised to 1"), \
        O(INT, projection, -1, -1, 16777216, "size the state is projected to; -1: it is not"), \
        O(BOOL, peepholes, false, "the gates see c, too (Gers and Schmidhuber 2000)"),
#define GRU_OPTIONS GATES O(BOOL, reset_before, false, "r multiplies h, not R h + b"),

static const cj_option simple_rnn_options[] = {COMMON()};
static const cj_option lstm_options[] = {COMMON(LSTM_OPTIONS)};
static const cj_option gru_options[] = {COMMON(GRU_OPTIONS)};

/* One layer of cells. */
typedef struct cells {
    cj_layer_build *b;
    const cj_recurrent_layer_opts *o;
    cj_node *(*node)(cj_node *x, cj_node *w, cj_node *r, const cj_recurrent_opts *opts);
    int64_t gates, state;
    bool lstm, two_biases;
    int layer; /* number of the layer */
} cells;

/* "kernel", "backward_kernel", "kernel_1" ... */
static const char *name_of(const cells *c, const char *what, int d)
{
    char number[24] = "";
    if (c->layer) cj__format(number, sizeof number, "_%d", c->layer);
    return cj__arena_printf(&c->b->graph->arena, "%s%s%s", d ? "backward_" : "", what, number);
}

static cj_node *parameter(const cells *c, const char *what, int d, int rank, const int64_t *dims,
                          const char *initializer, const char *regularizer,
                          const char *constraint)
{
    const char *name = name_of(c, what, d);
    if (!name) return NULL;
    cj_node *p = cj_layer_parameter(c->b, name, rank, dims, initializer, rank > 1 ? dims[1] : 0,
                                    rank > 1 ? dims[0] : 0, regularizer);
    return cj_layer_constraint(c->b, p, constraint);
}

void cj__forget_nothing(cj_node *bias, int64_t units)
{
    cj_tensor *t = bias ? cj_store_get(cj_graph_store(cj_node_graph(bias)), cj_node_name(bias))
                        : NULL;
    void *v = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    for (int64_t i = 0; v && i < units; i++)
        cj_store_f64(cj_tensor_dtype(t), v, (size_t)(units + i), 1);
    if (v) cj_tensor_unmap(t);
}

/* b [units of the gates], as recurrent.h wants it: that of W x, then that of R h. */
static cj_node *bias(const cells *c, int d)
{
    const int64_t n = c->gates * c->o->units, both = 2 * n;
    cj_graph *g = c->b->graph;
    cj_node *b = parameter(c, "bias", d, 1, c->two_biases ? &both : &n, c->o->bias_initializer,
                           c->o->bias_regularizer, c->o->bias_constraint);
    if (!b) return NULL;
    if (c->lstm && !c->o->no_unit_forget_bias) cj__forget_nothing(b, c->o->units);
    if (c->two_biases) return b;
    cj_node *parts[] = {b, cj_broadcast_to(cj_scalar(g, cj_node_dtype(b), 0), 1, &n)};
    return cj_concat(parts, 2, 0);
}

/* Three vectors [units], each with first values of its own fans, as in TensorFlow. */
static cj_node *peepholes(const cells *c, int d)
{
    const int64_t units = c->o->units, all = 3 * units;
    const char *name = name_of(c, "peepholes", d);
    return name ? cj_layer_parameter(c->b, name, 1, &all, c->o->kernel_initializer, units, units,
                                     NULL)
                : NULL;
}

/* Stacked parameters of the directions. */
static bool weights(const cells *c, int64_t inputs, cj_node **w, cj_node **r, cj_recurrent_opts *o)
{
    const int directions = c->o->bidirectional ? 2 : 1;
    const int64_t rows = c->gates * c->o->units;
    cj_node *of[5][2] = {{NULL}};
    for (int d = 0; d < directions; d++) {
        of[0][d] = parameter(c, "kernel", d, 2, (int64_t[]){rows, inputs},
                             c->o->kernel_initializer, c->o->kernel_regularizer,
                             c->o->kernel_constraint);
        of[1][d] = parameter(c, "recurrent_kernel", d, 2, (int64_t[]){rows, c->state},
                             c->o->recurrent_initializer, c->o->recurrent_regularizer,
                             c->o->recurrent_constraint);
        if (!c->o->no_bias) of[2][d] = bias(c, d);
        if (c->lstm && c->o->projection > 0)
            of[3][d] = parameter(c, "projection", d, 2, (int64_t[]){c->state, c->o->units},
                                 c->o->kernel_initializer, c->o->kernel_regularizer,
                                 c->o->kernel_constraint);
        if (c->lstm && c->o->peepholes) of[4][d] = peepholes(c, d);
    }
    if (c->b->graph->failed) return false;
    *w = cj_stack(of[0], directions, 0);
    *r = cj_stack(of[1], directions, 0);
    if (of[2][0]) o->bias = cj_stack(of[2], directions, 0);
    if (of[3][0]) o->projection = cj_stack(of[3], directions, 0);
    if (of[4][0]) o->peepholes = cj_stack(of[4], directions, 0);
    return *w && *r;
}

/* Lengths, first h, first c: what inputs after the first are. */
static bool more_inputs(const cells *c, cj_recurrent_opts *o)
{
    const cj_layer_build *b = c->b;
    for (int i = 1; i < b->n; i++) {
        bool real = cj_dtype_info(cj_node_dtype(b->x[i]))->kind == CJ_KIND_FLOAT;
        if (!real && !o->lengths) o->lengths = b->x[i];
        else if (real && c->o->layers > 1)
            return cj__graph_fail(b->graph, b->name, CJ_ERR_UNSUPPORTED,
                                  "initial states go with layers=1, found %lld",
                                  (long long)c->o->layers),
                   false;
        else if (real && !o->initial_h) o->initial_h = b->x[i];
        else if (real && c->lstm && !o->initial_c) o->initial_c = b->x[i];
        else
            return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                                  "input %d is neither lengths nor an initial state it has", i),
                   false;
    }
    return true;
}

/* The halves of the last axis, merged. */
static cj_node *merge(const cells *c, cj_node *y)
{
    if (!c->o->bidirectional || !strcmp(c->o->merge_mode, "concat")) return y;
    cj_node *a = cj_slice_axis(y, -1, 0, c->state), *b = cj_slice_axis(y, -1, c->state, c->state);
    if (!strcmp(c->o->merge_mode, "mul")) return cj_mul(a, b);
    y = cj_add(a, b);
    return !strcmp(c->o->merge_mode, "ave") ? cj_scale(y, 0.5) : y;
}

/* h [D, N, P] as [N, D P]. */
static cj_node *last_state(cj_node *y)
{
    cj_node *h = cj_transpose(cj_node_output(y, 1), (int64_t[]){1, 0, 2});
    if (!h) return NULL;
    cj_graph *g = cj_node_graph(h);
    return cj_reshape(h, 2,
                      (cj_dim[]){cj_node_dim(h, 0),
                                 cj_dim_mul(g, cj_node_dim(h, 1), cj_node_dim(h, 2))});
}

static bool check(const cells *c, cj_node *x)
{
    const cj_layer_build *b = c->b;
    const char *wanted = c->o->merge_mode ? c->o->merge_mode : "";
    int mode = 0;
    while (merge_modes[mode] && strcmp(merge_modes[mode], wanted)) mode++;
    if (cj_node_rank(x) != 3 || cj_node_dim(x, -1) < 0)
        cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                       "its input is of rank %d; [batch, steps, numbers] is expected",
                       cj_node_rank(x));
    else if (!merge_modes[mode])
        cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                       "merge_mode='%.40s' is not concat, sum, mul or ave", wanted);
    else if (c->o->dropout >= 1)
        cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                       "dropout=1 leaves nothing; less than 1 is expected");
    return !b->graph->failed;
}

/* All layers, one upon the other: the last one's node; *merged: its directions' steps, merged. */
static cj_node *upon_each_other(cells *c, cj_node *x, const cj_recurrent_opts *opts,
                                cj_node **merged)
{
    const cj_recurrent_layer_opts *o = c->o;
    cj_node *y = NULL;
    for (c->layer = 0; c->layer < o->layers; c->layer++) {
        cj_recurrent_opts how = *opts;
        cj_node *w, *r;
        if (!weights(c, cj_node_dim(x, -1), &w, &r, &how)) return NULL;
        if (c->layer && o->dropout > 0) x = cj_dropout_node(x, o->dropout);
        y = c->node(x, w, r, &how);
        x = merge(c, y);
        if (!x) return NULL;
    }
    *merged = x;
    return y;
}

/* A masked step leaves the state alone, and its result is that state, at first the initial one (as
 * Keras has it with JAX; its other backends begin with 0 even where an initial state is given); but
 * of two directions it is 0, as of Keras's Bidirectional. */
static cj_node *unpack(const cells *c, const cj__packing *packing, cj_node *y, cj_node *initial_h)
{
    if (c->o->bidirectional) return cj__unpack(packing, y, CJ__FROM_NOTHING, NULL);
    cj_node *first = initial_h ? cj_transpose(initial_h, (int64_t[]){1, 0, 2}) : NULL;
    return cj__unpack(packing, y, c->o->go_backwards ? CJ__FROM_BEHIND : CJ__FROM_BEFORE, first);
}

static cj_node *build(cells *c)
{
    const cj_recurrent_layer_opts *o = c->o = c->b->options;
    cj_node *x = cj__layer_float(c->b, c->b->x[0]), *mask = cj__mask_of_steps(c->b, 0);
    c->state = c->lstm && o->projection > 0 ? o->projection : o->units;
    c->two_biases = c->node == (cj_gru_node) && !o->reset_before;
    cj_recurrent_opts how = {.direction = o->bidirectional  ? "bidirectional"
                                          : o->go_backwards ? "reverse"
                                                            : "forward",
                             .activation = o->activation,
                             .recurrent_activation = o->recurrent_activation,
                             .reset_after = c->two_biases};
    if (!x || c->b->graph->failed || !check(c, x) || !more_inputs(c, &how)) return NULL;
    cj__packing packing = {.mask = NULL};
    if (mask) {
        if (!cj__packing_make(&packing, mask, how.lengths)) return NULL;
        how.lengths = packing.lengths;
        x = cj__pack(&packing, x);
    }
    cj_node *all, *y = x ? upon_each_other(c, x, &how, &all) : NULL;
    if (!y) return NULL;
    if (!o->return_sequences) return merge(c, last_state(y));
    if (mask) all = unpack(c, &packing, all, how.initial_h);
    c->b->mask = packing.mask;
    if (!o->go_backwards || o->bidirectional) return all;
    /* Results in the order they were made in, as Keras has it. It leaves the mask as it was, which
     * then is that of other steps: here it is turned, too. */
    if (mask) c->b->mask = cj_reverse(packing.mask, 1);
    return cj_reverse(all, 1);
}

static cj_node *simple_rnn_build(cj_layer_build *b)
{
    return build(&(cells){.b = b, .node = (cj_rnn_node), .gates = 1});
}
static cj_node *lstm_build(cj_layer_build *b)
{
    return build(&(cells){.b = b, .node = (cj_lstm_node), .gates = 4, .lstm = true});
}
static cj_node *gru_build(cj_layer_build *b)
{
    return build(&(cells){.b = b, .node = (cj_gru_node), .gates = 3});
}

static cj_node *keywords(const cj_layer *row, cj_node *x, const cj_recurrent_layer_opts *opts)
{
    cj_node *in[4] = {x};
    int n = 1;
    if (opts && opts->lengths) in[n++] = opts->lengths;
    if (opts && opts->initial_h) in[n++] = opts->initial_h;
    if (opts && opts->initial_c) in[n++] = opts->initial_c;
    return cj__layer_keywords(in, n, row, opts);
}

#define LAYER(row, text, example) \
    const cj_layer cj_layers_##row = {.name = #row, \
                                     .doc = text, \
                                     .inputs = -1, \
                                     .inputs_min = 1, \
                                     .options_size = sizeof(cj_recurrent_layer_opts), \
                                     .options = row##_options, \
                                     .build = row##_build, \
                                     .sample = example, \
                                     .masking = CJ_MASK_READS}; \
    cj_node *(cj_##row)(cj_node * x, const cj_recurrent_layer_opts *opts) \
    { \
        return keywords(&cj_layers_##row, x, opts); \
    }

LAYER(simple_rnn, "h = activation(W x + R h + b) along the steps", "units=3 : 4, 2")
LAYER(lstm, "long short-term memory along the steps (Hochreiter and Schmidhuber 1997)",
      "units=3, layers=2, bidirectional=true : 4, 2")
LAYER(gru, "gated recurrent unit along the steps (Cho et al. 2014)",
      "units=3, return_sequences=true : 4, 2")

cj_node *cj_recurrent_state(cj_node *y, int i)
{
    if (!y || cj__is_zero(y)) return NULL;
    const cj_node *at = y;
    for (int step = 0; step < 12 && at->call->n_in; step++, at = at->call->in[0]) {
        const cj_op *op = at->call->op;
        if (op != &cj_op_rnn && op != &cj_op_lstm && op != &cj_op_gru) continue;
        if (i == 0 || (i == 1 && op == &cj_op_lstm)) return &at->call->out[1 + i];
        break;
    }
    return cj__graph_fail(cj_node_graph(y), "recurrent_state", CJ_ERR_ARGUMENT,
                          "this is no result of a recurrent layer with a state %d", i),
           NULL;
}
