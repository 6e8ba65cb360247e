/* layers_einsum.c: einsum_dense: a dense layer whose axes an equation says (Keras's EinsumDense).
 *
 *     "abc,cd->abd"     the input's letters, the kernel's, the result's
 *
 * A letter of the kernel has the size it has in the input, or, where it is the result's alone, in
 * output_shape. */
#include "nn/model.h"

#include <cajal/layers.h>

#include <string.h>

#include "graph/ops/einsum.h"

#define O(type, field, ...) CJ_OPTION_##type(cj_einsum_dense_opts, field, __VA_ARGS__)
static const cj_option einsum_dense_options[] = {
    O(STRING, equation, NULL, "letters of the input, the kernel, the result: \"abc,cd->abd\""),
    O(INTS, output_shape, -1, 2147483647,
      "of a sample, without the axes of '...'; 0 or -1: as in the input"),
    O(STRING, activation, NULL, "function of the result"),
    O(STRING, bias_axes, NULL, "letters of the result that have a bias; without it there is none"),
    O(STRING, kernel_initializer, "glorot_uniform", "first values of the kernel"),
    O(STRING, bias_initializer, "zeros", "first values of the bias"),
    O(STRING, kernel_regularizer, NULL, "added to the loss for the kernel: l2(0.01)"),
    O(STRING, bias_regularizer, NULL, "added to the loss for the bias"),
    CJ__CONSTRAINT_OPTION(cj_einsum_dense_opts, kernel_constraint),
    CJ__CONSTRAINT_OPTION(cj_einsum_dense_opts, bias_constraint),
    O(STRING, name, NULL, "of the layer"), CJ_OPTION_END};

/* The axis of a letter in an array of this rank; -1: it is not there. */
static int axis_of(const cj__einsum_term *term, char letter, int rank)
{
    const int at = cj__einsum_find(term, letter);
    return at < 0 || term->dots < 0 || at < term->dots ? at : rank - term->n + at;
}

static bool fail_shape(cj_layer_build *b, const char *why)
{
    cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT, "output_shape %s", why);
    return false;
}

/* The sizes of the result's letters that are known: output_shape has one for each but the first,
 * which is the batch where no "..." stands before it. */
static bool take_output(cj_layer_build *b, const cj__einsum *e, const cj_node *x,
                        cj_dim size[CJ_RANK_MAX])
{
    const cj_einsum_dense_opts *o = b->options;
    const cj__einsum_term *out = &e->out;
    const int first = out->dots != 0, n = o->output_shape.n;
    if (n && n != out->n - first) {
        cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                       "output_shape has %d number%s; '%.100s' needs %d", n, n == 1 ? "" : "s",
                       o->equation, out->n - first);
        return false;
    }
    for (int i = 0; i < out->n; i++) {
        const int axis = axis_of(&e->in[0], out->letter[i], x->type.rank);
        const int64_t given = n && i >= first ? o->output_shape.v[i - first] : 0;
        size[i] = axis >= 0 ? x->type.dim[axis] : given;
        if (axis >= 0 && given > 0 && !cj__dim_agree(b->graph, x->call, given, size[i]))
            return fail_shape(b, "has another size of a letter than the input");
    }
    return true;
}

/* The kernel of the equation's letters. Fans are Keras's: those of the last two axes times the
 * others. */
static cj_node *kernel_of(cj_layer_build *b, const cj__einsum *e, const cj_node *x,
                          const cj_dim size[CJ_RANK_MAX])
{
    const cj_einsum_dense_opts *o = b->options;
    const cj__einsum_term *k = &e->in[1];
    int64_t dims[CJ_RANK_MAX] = {0}, others = 1;
    for (int i = 0; i < k->n; i++) {
        const int axis = axis_of(&e->in[0], k->letter[i], x->type.rank),
                  at = cj__einsum_find(&e->out, k->letter[i]);
        dims[i] = axis >= 0 ? x->type.dim[axis] : at >= 0 ? size[at] : 0;
        if (axis < 0 && dims[i] <= 0)
            return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                                  "the size of '%c' is neither the input's nor in output_shape",
                                  k->letter[i]),
                   NULL;
        if (i + 2 < k->n && CJ__MUL_OVERFLOWS(others, dims[i], &others)) others = INT64_MAX;
    }
    int64_t in = k->n ? dims[k->n > 1 ? k->n - 2 : 0] : 1, out = k->n ? dims[k->n - 1] : 1;
    if (CJ__MUL_OVERFLOWS(in, others, &in)) in = INT64_MAX;
    if (CJ__MUL_OVERFLOWS(out, others, &out)) out = INT64_MAX;
    cj_node *kernel = cj_layer_parameter(b, "kernel", k->n, dims, o->kernel_initializer, in, out,
                                         o->kernel_regularizer);
    return cj_layer_constraint(b, kernel, o->kernel_constraint);
}

/* The bias of the axes of y from the first letter of bias_axes on: size 1 where it is the same. */
static cj_node *bias_of(cj_layer_build *b, const cj__einsum *e, const cj_node *y)
{
    const cj_einsum_dense_opts *o = b->options;
    int64_t dims[CJ_RANK_MAX];
    const int rank = y->type.rank;
    int first = rank;
    for (int i = 0; i < rank; i++) dims[i] = 1;
    for (const char *c = o->bias_axes; *c; c++) {
        const int axis = axis_of(&e->out, *c, rank);
        if (axis < 0)
            return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                                  "bias_axes='%.40s' has '%c', which is no letter of the result",
                                  o->bias_axes, *c),
                   NULL;
        dims[axis] = y->type.dim[axis];
        if (axis < first) first = axis;
    }
    cj_node *bias = cj_layer_parameter(b, "bias", rank - first, dims + first, o->bias_initializer,
                                       0, 0, o->bias_regularizer);
    return cj_layer_constraint(b, bias, o->bias_constraint);
}

static cj_node *einsum_dense_build(cj_layer_build *b)
{
    const cj_einsum_dense_opts *o = b->options;
    cj_dim size[CJ_RANK_MAX];
    cj__einsum e;
    cj_node *x = cj__layer_float(b, b->x[0]);
    if (!x || !cj__einsum_parse(b->graph, b->name, o->equation, &e)) return NULL;
    if (e.n != 2 || !e.has_out || e.in[1].dots >= 0)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                              "'%.100s' is not of the form \"input,kernel->result\", the kernel "
                              "without '...'",
                              o->equation),
               NULL;
    const int rank = x->type.rank, letters = e.in[0].n;
    if (rank < letters || (rank > letters && e.in[0].dots < 0))
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                              "its input is of rank %d, with the batch; '%.100s' has %d letter%s "
                              "for it",
                              rank, o->equation, letters, letters == 1 ? "" : "s"),
               NULL;
    if (!take_output(b, &e, x, size)) return NULL;
    cj_node *kernel = kernel_of(b, &e, x, size);
    cj_node *y = kernel ? cj_einsum((cj_node *[]){x, kernel}, 2, o->equation) : NULL;
    if (y && o->bias_axes) y = cj_add(y, bias_of(b, &e, y));
    return cj__layer_activate(b, y, o->activation);
}

CJ__LAYER_OF_KEYWORDS(einsum_dense,
                      "y = activation(einsum(equation, x, kernel) + bias): a dense layer along any "
                      "axes",
                      einsum_dense_build,
                      "equation=\"abc,cd->abd\", output_shape=[0, 3], bias_axes=d, "
                      "activation=tanh : 4, 5")
