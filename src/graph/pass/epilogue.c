/* epilogue.c: what follows a convolution or a matrix product becomes part of it.
 *
 *     relu(conv(x, w) + bias + addend)    ->    one call, if nobody else reads what lies between
 *
 * Walking in order, each elementwise call looks at the product that one of its operands has become,
 * and if it can be said as a further epilogue the product is made anew with it; the one made before
 * is dead. So a chain grows call by call:
 *
 *     a product + a vector along its channels                   gets a bias
 *     a product (without addend) + a value of its type          gets an addend
 *     relu(a product)                                           gets the activation
 *
 * In a program that updates nothing, normalisation with known statistics goes into the weights:
 *
 *     (conv(x, w) + bias) s   ->   conv(x, w s) + bias s        s: a vector along the channels
 *
 * where w and s depend on state and constants alone: w s is computed once a version of the state.
 * Relu joins in such programs only: in training its gradient reads what is before it, and oneDNN's
 * makes a NaN 0, which must not be hidden from whoever watches the loss.
 *
 * The result is rounded once where it was rounded at each step before. */
#include "graph/pass/pass.h"

#include "graph/ops/window.h"

typedef struct epilogue {
    int *readers;             /* by call: how many places read its results; roots count */
    unsigned char *fixed;     /* by call: depends on state and constants alone */
    unsigned char *scalable;  /* by call: what stands for it is a product with fixed weights */
    int *chained;             /* by call: how many of its readers fuse.c can join it with */
    const cj_call **reader;   /* by call: the last of them */
    bool updates;             /* the program changes state */
} epilogue;

/* A product in the new graph, its attributes taken apart. */
typedef struct product {
    cj_call *call;
    cj__conv_attrs conv;
    cj__matmul_attrs matmul;
    bool is_conv, has_bias, has_addend;
    int activation, channel_axis; /* of the result */
} product;

static bool read_product(cj_node *node, product *p)
{
    cj_call *call = node->call;
    *p = (product){.call = call, .is_conv = call->op == &cj_op_conv};
    if (!p->is_conv && call->op != &cj_op_matmul) return false;
    if (node->type.dtype != CJ_F32 && node->type.dtype != CJ_F64) return false;
    if (p->is_conv) {
        p->conv = *(const cj__conv_attrs *)call->attributes;
        p->has_bias = p->conv.has_bias;
        p->has_addend = p->conv.has_addend;
        p->activation = p->conv.activation;
        p->channel_axis = (int)p->conv.channel_axis;
    } else {
        p->matmul = *(const cj__matmul_attrs *)call->attributes;
        p->has_bias = p->matmul.has_bias;
        p->has_addend = p->matmul.has_addend;
        p->activation = p->matmul.activation;
        p->channel_axis = node->type.rank - 1;
    }
    return true;
}

/* The product with other operands (NULL: none) and another activation. */
static cj_node *write_product(cj__rewrite *r, product *p, cj_node *w, cj_node *bias,
                              cj_node *addend, int activation)
{
    cj_node *in[4] = {p->call->in[0], w};
    int n = 2;
    if (bias) in[n++] = bias;
    if (addend) in[n++] = addend;
    p->conv.has_bias = p->matmul.has_bias = bias != NULL;
    p->conv.has_addend = p->matmul.has_addend = addend != NULL;
    p->conv.activation = p->matmul.activation = activation;
    const void *attributes = p->is_conv ? (const void *)&p->conv : (const void *)&p->matmul;
    cj__graph_origin(r->to, p->call); /* not that of what was folded in */
    return cj_apply(r->to, p->call->op, in, n, attributes);
}

static cj_node *bias_of(const product *p) { return p->has_bias ? p->call->in[2] : NULL; }
static cj_node *addend_of(const product *p)
{
    return p->has_addend ? p->call->in[2 + p->has_bias] : NULL;
}

/* Operand k of `call` as a product whose only reader is `call`. */
static bool sole_product(cj__rewrite *r, const cj_call *call, cj_node *const *in, int k, product *p)
{
    const epilogue *e = r->state;
    const cj_call *from = call->in[k]->call;
    return from->n_out == 1 && e->readers[from->id] == 1 && read_product(in[k], p);
}

/* The vector [channels] that was broadcast along the channel axis to become `node`; NULL: it is
 * something else. */
static cj_node *channel_vector(const product *p, cj_node *node)
{
    if (node->call->op != &cj_op_broadcast) return NULL;
    cj_node *small = node->call->in[0];
    int shift = node->type.rank - small->type.rank, axis = p->channel_axis - shift;
    cj_dim channels = node->type.dim[p->channel_axis];
    if (axis < 0 || small->type.dim[axis] != channels) return NULL;
    for (int i = 0; i < small->type.rank; i++)
        if (i != axis && small->type.dim[i] != 1) return NULL;
    if (small->call->op == &cj_op_reshape && small->call->in[0]->type.rank == 1)
        return small->call->in[0];
    return cj_reshape(small, 1, &channels);
}

/* An addition that fuse.c makes part of the sweep that reads it costs nothing there, and a matrix
 * product without epilogue is the faster one (not so a convolution). Worth it is what ends a chain,
 * or may go on growing. */
static bool is_worth_it(const epilogue *e, const cj_call *call, const product *p)
{
    if (p->is_conv || e->chained[call->id] < e->readers[call->id]) return true;
    const cj_op *next = e->reader[call->id] ? e->reader[call->id]->op : NULL;
    return e->readers[call->id] == 1 &&
           ((next == &cj_op_relu && !e->updates) || next == &cj_op_add);
}

static cj_node *join_add(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    /* The later product: the other operand is there when it runs. */
    int first = in[0]->call->id > in[1]->call->id ? 0 : 1;
    for (int i = 0; i < 2; i++) {
        int k = i ? 1 - first : first;
        product p;
        if (!sole_product(r, call, in, k, &p) || p.activation != CJ__EPILOGUE_NONE ||
            !is_worth_it(r->state, call, &p))
            continue;
        cj_node *other = in[1 - k], *w = p.call->in[1];
        cj_node *vector = channel_vector(&p, other);
        if (vector) {
            cj_node *bias = bias_of(&p) ? cj_add(bias_of(&p), vector) : vector;
            return bias ? write_product(r, &p, w, bias, addend_of(&p), p.activation) : NULL;
        }
        if (p.has_addend || other->call->op == &cj_op_broadcast ||
            other->call->op == &cj_op_constant || !cj__type_equal(&other->type, &in[k]->type))
            continue;
        return write_product(r, &p, w, bias_of(&p), other, p.activation);
    }
    return NULL;
}

static cj_node *join_relu(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    const epilogue *e = r->state;
    product p;
    if (e->updates || !sole_product(r, call, in, 0, &p) || p.activation != CJ__EPILOGUE_NONE)
        return NULL;
    return write_product(r, &p, p.call->in[1], bias_of(&p), addend_of(&p), CJ__EPILOGUE_RELU);
}

/* (x w + bias) s = x (w s) + bias s, s along the axis of w that counts the channels. */
static cj_node *join_scale(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    const epilogue *e = r->state;
    for (int k = 0; k < 2 && !e->updates; k++) {
        product p;
        if (!e->scalable[call->in[k]->call->id] || !e->fixed[call->in[1 - k]->call->id] ||
            !sole_product(r, call, in, k, &p) || p.has_addend ||
            p.activation != CJ__EPILOGUE_NONE)
            continue;
        cj_node *s = channel_vector(&p, in[1 - k]), *w = p.call->in[1], *bias = bias_of(&p);
        if (!s) continue;
        int axis = p.is_conv ? 0 : w->type.rank - (p.matmul.transpose_b ? 2 : 1);
        cj_dim dims[CJ_RANK_MAX];
        for (int i = 0; i < w->type.rank; i++) dims[i] = i == axis ? w->type.dim[i] : 1;
        w = cj_mul(w, cj_reshape(s, w->type.rank, dims));
        if (bias) bias = cj_mul(bias, s);
        return w ? write_product(r, &p, w, bias, NULL, CJ__EPILOGUE_NONE) : NULL;
    }
    return NULL;
}

static cj_node *pass(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    epilogue *e = r->state;
    cj_node *made = NULL;
    if (call->op == &cj_op_conv || call->op == &cj_op_matmul)
        e->scalable[call->id] = e->fixed[call->in[1]->call->id];
    if (call->op == &cj_op_add) made = join_add(r, call, in);
    if (call->op == &cj_op_relu) made = join_relu(r, call, in);
    if (call->op == &cj_op_mul) made = join_scale(r, call, in);
    for (int k = 0; made && k < call->n_in;
         k++) /* weights were scaled by what is fixed, or stayed */
        if (e->scalable[call->in[k]->call->id]) e->scalable[call->id] = 1;
    return made;
}

/* What the walk asks of each call of the old graph. */
static bool look(const cj_graph *g, cj_node ***roots, int n_roots, epilogue *e, cj__arena *scratch)
{
    size_t n = (size_t)g->n_calls + 1;
    unsigned char *live = cj__arena_alloc(scratch, n);
    cj_node **nodes = cj__arena_array(scratch, (size_t)n_roots + 1, sizeof *nodes);
    e->readers = cj__arena_array(scratch, n, sizeof *e->readers);
    e->fixed = cj__arena_alloc(scratch, n);
    e->scalable = cj__arena_alloc(scratch, n);
    e->chained = cj__arena_array(scratch, n, sizeof *e->chained);
    e->reader = cj__arena_array(scratch, n, sizeof *e->reader);
    if (!live || !nodes || !e->readers || !e->fixed || !e->scalable || !e->chained || !e->reader)
        return false;
    for (int i = 0; i < n_roots; i++) nodes[i] = *roots[i];
    cj__graph_mark(g, nodes, n_roots, live);
    for (int i = 0; i < n_roots; i++)
        if (nodes[i]) e->readers[nodes[i]->call->id] += 2;
    for (int id = 0; id < g->n_calls; id++) {
        const cj_call *call = g->calls[id];
        bool fixed = call->n_in ? !(call->op->flags & (CJ_OP_CONTROL | CJ_OP_OPAQUE))
                                : call->op == &cj_op_constant || call->op == &cj_op_variable;
        for (int k = 0; k < call->n_in; k++) {
            int from = call->in[k]->call->id;
            fixed = fixed && e->fixed[from];
            if (!live[id]) continue;
            e->readers[from]++;
            e->chained[from] += (call->op->flags & CJ_OP_ELEMENTWISE) != 0;
            e->reader[from] = call;
        }
        e->fixed[id] = fixed;
    }
    return true;
}

cj_graph *cj__pass_epilogue(const cj_graph *g, bool updates, bool training, cj_node ***roots,
                            int n_roots)
{
    epilogue e = {.updates = updates};
    cj__arena scratch;
    cj__arena_init(&scratch, g->cj);
    cj_graph *to = NULL;
    if (look(g, roots, n_roots, &e, &scratch))
        to = cj__pass_run(g, pass, training, &e, roots, n_roots);
    cj__arena_release(&scratch);
    return to;
}
