/* mixed.c: mixed precision (Micikevicius et al. 2018): products take their operands in 16 bits.
 *
 *     product(x, w)    ->    cast to f32 of product(cast of x, cast of w)
 *
 * for all rows with CJ_OP_NARROW, forward and backward: half the memory for what they read and
 * write, and the processor's instructions for bf16. Kernels add up in f32 and round once.
 * Everything between products stays f32: sums over a batch, losses, the optimizer, the state.
 *
 * A value has one 16-bit copy, made where the value is, so what is kept for the backward part is
 * that copy:
 *
 *     forward     y -> relu -> cast ----> product
 *     backward                  `-------> product with dz: the gradient of the weights
 *
 * Whatever else the backward part reads of a product's result (or of reshapes and transposes of it)
 * it widens again, so that the f32 form need not be kept.
 *
 * Where a product follows another (or there are only reshapes and transposes between), its result
 * is taken as it is. Statistics (moments) read results of products as they are, too: they widen by
 * themselves. Run after epilogue.c: a bias and an activation are done before the result is rounded.
 */
#include "graph/pass/pass.h"

#include "graph/ops/window.h"

const char *cj_precision_name(cj_precision precision)
{
    static const char *const names[] = {"float32", "mixed_bfloat16", "mixed_float16"};
    return (unsigned)precision < CJ__COUNT(names) ? names[precision] : NULL;
}

typedef struct mixed {
    cj_dtype half;
    int *first;            /* by call: number of its first output */
    unsigned char *widened; /* by call: will be a product's result widened, with nothing lost */
    unsigned char *wanted; /* by output: the 16-bit copy will be read */
    cj_node **copies;      /* by output: the 16-bit copy in the new graph */
    cj_node **again;       /* by output: that copy widened for the backward part */
} mixed;

static bool only_moves(const cj_call *call)
{
    return call->op == &cj_op_reshape || call->op == &cj_op_transpose || call->op == &cj_op_split;
}

/* Images of one channel, and filters of their own for each: too few products for instructions that
 * add up pairs of 16 bits, or tiles of them. Measured: the first convolution of `cnn` is 1.3 times
 * as fast in f32, its weight's gradient 1.8 times. */
static bool is_worth_it(const cj_call *call)
{
    if (call->op == &cj_op_matmul) return true;
    const cj_type *w = call->op == &cj_op_conv_weight_grad ? &call->out[0].type
                                                           : &call->in[1]->type;
    return w->dim[1] != 1;
}

static bool is_eligible(const cj_call *call)
{
    return call->op->flags & CJ_OP_NARROW && call->out[0].type.dtype == CJ_F32 &&
           is_worth_it(call);
}

static bool has_addend(const cj_call *call)
{
    if (call->op == &cj_op_conv) return ((const cj__conv_attrs *)call->attributes)->has_addend;
    if (call->op == &cj_op_matmul) return ((const cj__matmul_attrs *)call->attributes)->has_addend;
    return false;
}

/* Does a backward call read what becomes a forward product's widened result? */
static bool can_widen_again(const mixed *m, const cj_call *call, const cj_node *operand)
{
    return call->stage && !operand->call->stage && m->widened[operand->call->id];
}

static int number_of(const mixed *m, const cj_node *node)
{
    return m->first[node->call->id] + node->output;
}

static bool is_wanted(const mixed *m, const cj_call *call)
{
    for (int k = 0; k < call->n_out; k++)
        if (m->wanted[m->first[call->id] + k]) return true;
    return false;
}

static bool look(mixed *m, const cj_graph *g, cj__arena *arena)
{
    size_t n = 0;
    m->first = cj__arena_array(arena, (size_t)g->n_calls + 1, sizeof *m->first);
    m->widened = cj__arena_alloc(arena, (size_t)g->n_calls + 1);
    if (!m->first || !m->widened) return false;
    for (int id = 0; id < g->n_calls; id++) {
        const cj_call *call = g->calls[id];
        m->first[id] = (int)n;
        n += (size_t)call->n_out;
        m->widened[id] = only_moves(call) ? m->widened[call->in[0]->call->id]
                                          : is_eligible(call) && !has_addend(call);
    }
    m->wanted = cj__arena_alloc(arena, n + 1);
    m->copies = cj__arena_array(arena, 2 * n + 1, sizeof *m->copies);
    if (!m->wanted || !m->copies) return false;
    m->again = m->copies + n;
    for (int id = g->n_calls - 1; id >= 0; id--) {
        const cj_call *call = g->calls[id];
        int n_read = is_eligible(call) ? 2 : only_moves(call) && is_wanted(m, call) ? 1 : 0;
        for (int k = 0; k < call->n_in; k++)
            if (k < n_read || can_widen_again(m, call, call->in[k]))
                m->wanted[number_of(m, call->in[k])] = 1;
    }
    return true;
}

/* What was made 16 bits wide to begin with, or NULL. */
static cj_node *before_widening(const mixed *m, const cj_node *x)
{
    const cj_call *call = x->call;
    return call->op == &cj_op_cast && call->in[0]->type.dtype == m->half ? call->in[0] : NULL;
}

/* The 16-bit copy of a value, which is x in the new graph. */
static cj_node *copy_of(mixed *m, const cj_node *node, cj_node *x)
{
    cj_node **copy = &m->copies[number_of(m, node)];
    if (*copy || !x) return *copy;
    if (!(*copy = before_widening(m, x))) *copy = cj_cast(x, m->half);
    return *copy;
}

/* Reshapes and the like of a value that has a 16-bit copy move that; where it is all there is, what
 * they make of f32 is that widened. */
static cj_node *move_copy(cj__rewrite *r, mixed *m, const cj_call *call, cj_node *const *in)
{
    cj_node *copy = copy_of(m, call->in[0], in[0]);
    cj_node **made = cj__arena_array(&r->scratch, (size_t)call->n_out, sizeof *made);
    cj_node *narrow = copy && made ? cj__call_clone(r->to, call, &copy) : NULL;
    cj_node *wide = !narrow || m->widened[call->id] ? narrow : cj__call_clone(r->to, call, in);
    for (int k = 0; wide && k < call->n_out; k++) {
        m->copies[m->first[call->id] + k] = cj_node_output(narrow, k);
        made[k] = cj_cast(cj_node_output(wide, k), CJ_F32);
    }
    r->made = made;
    return wide ? made[0] : NULL;
}

/* The product in 16 bits. Its bias stays in it; what else its epilogue does is done in f32. */
static cj_node *narrow_product(cj__rewrite *r, mixed *m, const cj_call *call, cj_node *const *in)
{
    cj_node *operands[3];
    for (int k = 0; k < 2; k++)
        if (!(operands[k] = copy_of(m, call->in[k], in[k]))) return NULL;
    cj_call plain = *call; /* without an addend */
    cj__conv_attrs conv;
    cj__matmul_attrs matmul;
    int relu = 0;
    if (call->n_in > 2) operands[2] = in[2];
    if (call->op == &cj_op_matmul) {
        matmul = *(const cj__matmul_attrs *)call->attributes;
        plain.attributes = &matmul;
        plain.n_in = 2 + matmul.has_bias;
        if (matmul.has_addend) relu = matmul.activation, matmul.activation = 0;
        matmul.has_addend = false;
    } else if (call->op == &cj_op_conv) {
        conv = *(const cj__conv_attrs *)call->attributes;
        plain.attributes = &conv;
        plain.n_in = 2 + conv.has_bias;
        if (conv.has_addend) relu = conv.activation, conv.activation = 0;
        conv.has_addend = false;
    }
    cj_node *y = cj__call_clone(r->to, &plain, operands), *wide = y ? cj_cast(y, CJ_F32) : NULL;
    if (plain.n_in == call->n_in) {
        m->copies[number_of(m, &call->out[0])] = y;
        return wide;
    }
    wide = wide ? cj_add(wide, in[plain.n_in]) : NULL;
    return relu && wide ? cj_relu(wide) : wide;
}

/* Operand k of a call that is no narrow product; x in the new graph. */
static cj_node *operand_of(mixed *m, const cj_call *call, int k, cj_node *x)
{
    const int number = number_of(m, call->in[k]);
    if (!m->copies[number] || !can_widen_again(m, call, call->in[k])) return x;
    if (!m->again[number]) m->again[number] = cj_cast(m->copies[number], CJ_F32);
    return m->again[number];
}

static cj_node *pass(cj__rewrite *r, const cj_call *call, cj_node *const *in)
{
    mixed *m = r->state;
    if (!m->first && !look(m, r->from, &r->scratch))
        return cj_graph_fail(r->to, CJ_ERR_MEMORY, "out of memory");
    if (is_eligible(call)) return narrow_product(r, m, call, in);
    if (only_moves(call) && is_wanted(m, call)) return move_copy(r, m, call, in);
    cj_node **operands = cj__arena_array(&r->scratch, (size_t)call->n_in + 1, sizeof *operands);
    if (!operands) return cj_graph_fail(r->to, CJ_ERR_MEMORY, "out of memory");
    for (int k = 0; k < call->n_in; k++) {
        cj_node *narrow = call->op == &cj_op_moments ? before_widening(m, in[k]) : NULL;
        operands[k] = narrow ? narrow : operand_of(m, call, k, in[k]);
    }
    cj_node *node = cj__call_clone(r->to, call, operands);
    for (int k = 0; node && k < call->n_out; k++)
        if (m->wanted[m->first[call->id] + k])
            copy_of(m, &call->out[k], call->n_out == 1 ? node : cj_node_output(node, k));
    return node;
}

cj_graph *cj__pass_mixed(const cj_graph *g, cj_precision precision, bool training, cj_node ***roots,
                         int n_roots)
{
    mixed m = {.half = precision == CJ_PRECISION_MIXED_FLOAT16 ? CJ_F16 : CJ_BF16};
    return cj__pass_run(g, pass, training, &m, roots, n_roots);
}
