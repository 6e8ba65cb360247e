/* layers_conv_lstm.c: an lstm over pictures, whose products are convolutions (Shi et al. 2015):
 *
 *     i, f, g, o = W * x_t + b + R * h       gates, one after another along the channels
 *     c' = s(f) c + s(i) a(g),   h' = s(o) a(c')
 *
 * W * x is one convolution of all steps at once, so the loop over the steps (scan) has R * h and
 * the gates alone. As in Keras there are no peepholes. */
#include "nn/layers_conv.h"

#include <cajal/layers.h>

#include <string.h>

enum { GATES = 4, FAR = 2147483647 };

static const char *const padding_words[] = {"valid", "same", NULL};

#define O(type, field, ...) CJ_OPTION_##type(cj_conv_lstm2d_opts, field, __VA_ARGS__)
static const cj_option conv_lstm_options[] = {
    O(INT, filters, 0, 1, FAR, "channels of the state"),
    O(SIZES, kernel, 0, 1, FAR, "sizes of the windows"),
    O(SIZES, strides, 1, 1, FAR, "steps of the kernel of x"),
    O(CHOICE, padding, "valid", padding_words, "zeros around x"),
    O(STRING, activation, "tanh", "of what enters the state"),
    O(SIZES, dilation, 1, 1, FAR, "distance of the places of the kernel of x"),
    O(STRING, recurrent_activation, "sigmoid", "of the gates"),
    O(BOOL, return_sequences, false, "the state after every step, not the last alone"),
    O(BOOL, go_backwards, false, "last step first"),
    O(BOOL, no_bias, false, "leave out b"),
    O(BOOL, no_unit_forget_bias, false, "the forget gate's first bias is not raised to 1"),
    O(STRING, kernel_initializer, "glorot_uniform", "first values of W"),
    O(STRING, recurrent_initializer, "orthogonal", "first values of R"),
    O(STRING, bias_initializer, "zeros", "first values of b"),
    O(STRING, kernel_regularizer, NULL, "added to the loss for W: l2(0.01)"),
    O(STRING, recurrent_regularizer, NULL, "added to the loss for R"),
    O(STRING, bias_regularizer, NULL, "added to the loss for b"),
    CJ__CONSTRAINT_OPTION(cj_conv_lstm2d_opts, kernel_constraint),
    CJ__CONSTRAINT_OPTION(cj_conv_lstm2d_opts, recurrent_constraint),
    CJ__CONSTRAINT_OPTION(cj_conv_lstm2d_opts, bias_constraint),
    O(STRING, name, NULL, "of the layer"),
    CJ_OPTION_END};

typedef struct cells {
    cj_layer_build *b;
    const cj_conv_lstm2d_opts *o;
    int spatial;
} cells;

/* x [N, T, spatial..., C] as floats. */
static cj_node *pictures(const cells *c)
{
    static const char *const expected[] = {"[batch, steps, time, channels]",
                                           "[batch, steps, height, width, channels]",
                                           "[batch, steps, depth, height, width, channels]"};
    cj_node *x = cj__layer_float(c->b, c->b->x[0]);
    if (!x || (cj_node_rank(x) == c->spatial + 3 && cj_node_dim(x, -1) >= 0)) return x;
    return cj__graph_fail(c->b->graph, c->b->name, CJ_ERR_SHAPE,
                          "its input is of rank %d and has %s as last size; %s is expected",
                          cj_node_rank(x), cj_dim_text(c->b->graph, cj_node_dim(x, -1)),
                          expected[c->spatial - 1]),
           NULL;
}

/* W * x + b for every step, steps first: [T, N, spatial..., 4 filters]. */
static cj_node *all_inputs(const cells *c, cj_node *x)
{
    const cj_conv_lstm2d_opts *o = c->o;
    const int64_t channels = cj_node_dim(x, -1), rows = GATES * o->filters;
    cj_graph *g = c->b->graph;
    cj_node *w = cj__conv_weights(c->b, "kernel", c->spatial, o->kernel, rows, channels,
                                  CJ__RULES(o, kernel), channels, rows);
    cj_conv_opts conv = {.padding = o->padding};
    memcpy(conv.strides, o->strides, sizeof conv.strides);
    memcpy(conv.dilations, o->dilation, sizeof conv.dilations);
    if (!o->no_bias) {
        conv.bias = cj_layer_parameter(c->b, "bias", 1, &rows, o->bias_initializer, 0, 0,
                                       o->bias_regularizer);
        if (!o->no_unit_forget_bias) cj__forget_nothing(conv.bias, o->filters);
        conv.bias = cj_layer_constraint(c->b, conv.bias, o->bias_constraint);
    }
    cj_dim dims[CJ_RANK_MAX];
    const cj_dim batch = cj_node_dim(x, 0), steps = cj_node_dim(x, 1);
    dims[0] = cj_dim_mul(g, batch, steps);
    memcpy(dims + 1, x->type.dim + 2, (size_t)(c->spatial + 1) * sizeof *dims);
    cj_node *z = cj_reshape(x, c->spatial + 2, dims);
    if (!(z = g->failed ? NULL : (cj_conv)(z, w, &conv))) return NULL;
    dims[0] = batch, dims[1] = steps;
    memcpy(dims + 2, z->type.dim + 1, (size_t)(c->spatial + 1) * sizeof *dims);
    int64_t order[CJ_RANK_MAX] = {1, 0, 2, 3, 4, 5};
    return cj_transpose(cj_reshape(z, c->spatial + 3, dims), order);
}

/* A symbol of the body for each size that is one outside. */
static cj_dim size_in(cj_graph *body, cj_dim outside, int i)
{
    char name[24];
    cj__format(name, sizeof name, i ? "size%d" : "batch", i);
    return outside >= 0 ? outside : cj_symbol(body, name);
}

static cj_node *gate(const cells *c, cj_node *z, int i, const char *function)
{
    return cj_activation(cj_slice_axis(z, -1, i * c->o->filters, c->o->filters), function);
}

/* One step: (h, c, z, [mask], r) -> (h', c', h'). */
static cj_graph *step(const cells *c, const cj_node *z, const cj_node *mask, const cj_node *r)
{
    cj_graph *body = cj_graph_new(c->b->graph->cj);
    if (!body) return NULL;
    const int rank = c->spatial + 2;
    const cj_dtype dtype = cj_node_dtype(z);
    cj_dim dims[CJ_RANK_MAX];
    for (int i = 0; i < rank; i++) dims[i] = size_in(body, cj_node_dim(z, i + 1), i);
    dims[rank - 1] = c->o->filters;
    cj_node *h = cj_placeholder(body, "h", dtype, rank, dims),
            *state = cj_placeholder(body, "c", dtype, rank, dims);
    dims[rank - 1] = GATES * c->o->filters;
    cj_node *now = cj_placeholder(body, "z", dtype, rank, dims),
            *counts = mask ? cj_placeholder(body, "mask", CJ_BOOL, 1, dims) : NULL,
            *kernel = cj_placeholder(body, "r", dtype, rank, r->type.dim);
    now = cj_add(now, (cj_conv)(h, kernel, &(cj_conv_opts){.padding = "same"}));
    const char *gates = c->o->recurrent_activation, *function = c->o->activation;
    cj_node *input = cj_mul(gate(c, now, 0, gates), gate(c, now, 2, function));
    cj_node *next = cj_add(cj_mul(gate(c, now, 1, gates), state), input);
    cj_node *y = cj_mul(gate(c, now, 3, gates), cj_activation(next, function));
    if (counts) { /* a masked step leaves everything as it was */
        counts = cj__mask_like(counts, h);
        next = cj_where(counts, next, state);
        y = cj_where(counts, y, h);
    }
    cj_graph_output(body, NULL, y);
    cj_graph_output(body, NULL, next);
    cj_graph_output(body, NULL, y);
    return body;
}

/* [T, N, ...] -> [N, T, ...], and the mask turned as results of go_backwards are. */
static cj_node *sequences(const cells *c, cj_node *all, cj_node *mask)
{
    int64_t order[CJ_RANK_MAX] = {1, 0, 2, 3, 4, 5};
    const bool back = c->o->go_backwards;
    cj_node *y = cj_transpose(all, order);
    c->b->mask = mask && back ? cj_reverse(mask, 1) : mask;
    return back ? cj_reverse(y, 1) : y;
}

static cj_node *build(cj_layer_build *b, int spatial)
{
    const cells c = {b, b->options, spatial};
    const int64_t filters = c.o->filters;
    cj_node *x = pictures(&c), *mask = x ? cj__mask_of_steps(b, 0) : NULL;
    if (!x || b->graph->failed) return NULL;
    if (filters > FAR / GATES)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_LIMIT, "filters=%lld, four times",
                              (long long)filters),
               NULL;
    cj_node *z = all_inputs(&c, x);
    cj_node *r = cj__conv_weights(b, "recurrent_kernel", spatial, c.o->kernel, GATES * filters,
                                  filters, CJ__RULES(c.o, recurrent), filters, GATES * filters);
    if (!z || !r) return NULL;
    cj_dim dims[CJ_RANK_MAX];
    memcpy(dims, z->type.dim + 1, sizeof dims - sizeof *dims);
    dims[spatial + 1] = filters;
    cj_node *zeros = cj_broadcast_to(cj__number_like(z, 0), spatial + 2, dims);
    cj_node *first[] = {zeros, zeros}, *steps[] = {z, NULL};
    if (mask) steps[1] = cj_transpose(mask, (int64_t[]){1, 0});
    cj_graph *body = step(&c, z, mask, r);
    if (!body) return cj__graph_fail(b->graph, b->name, CJ_ERR_MEMORY, "out of memory"), NULL;
    cj_node *y = cj_scan(first, 2, steps, mask ? 2 : 1, c.o->go_backwards, body, &r, 1);
    if (!y || !c.o->return_sequences) return y;
    return sequences(&c, cj_node_output(y, 2), mask);
}

#define ROW(n, example) \
    static cj_node *conv_lstm##n##d_build(cj_layer_build *b) \
    { \
        return build(b, n); \
    } \
    const cj_layer cj_layers_conv_lstm##n##d = { \
        .name = "conv_lstm" #n "d", \
        .doc = "an lstm whose products are convolutions (Shi et al. 2015)", \
        .inputs = 1, \
        .options_size = sizeof(cj_conv_lstm2d_opts), \
        .options = conv_lstm_options, \
        .build = conv_lstm##n##d_build, \
        .sample = example, \
        .masking = CJ_MASK_READS}; \
    cj_node *(cj_conv_lstm##n##d)(cj_node * x, const cj_conv_lstm2d_opts *opts) \
    { \
        return cj__layer_keywords(&x, 1, &cj_layers_conv_lstm##n##d, opts); \
    }
ROW(1, "filters=3, kernel=2, go_backwards=true : 3, 5, 2")
ROW(2, "filters=3, kernel=[3, 2], padding=same, strides=2, return_sequences=true : 3, 4, 5, 2")
ROW(3, "filters=2, kernel=2, no_bias=true : 2, 3, 2, 3, 2")
