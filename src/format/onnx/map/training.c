/* training.c: the operators of ai.onnx.preview.training: one step of an optimizer as a node,
 * and gradients as nodes.
 *
 * An optimizer's operands are the rate R, the count of steps so far T, then for n tensors: all X,
 * all gradients G, all states. Results are all new X, then all new states. Every G has the
 * gradient of norm_coefficient |x|^2 / 2 added first. */
#include <string.h>

#include "format/onnx/import.h"

enum { STATES_MAX = 2 };

/* What the attributes and the scalars say. */
typedef struct optimizer {
    cj_node *rate, *steps;
    double alpha, beta, epsilon, decay, norm, norm_post;
    bool nesterov;
} optimizer;

/* The tensor x, its gradient and states, which the rule replaces by the new ones. */
typedef cj_node *rule(const optimizer *o, cj_node *x, cj_node *g, cj_node **state);

static cj_node *as(cj_node *scalar, const cj_node *x)
{
    return cj_cast(cj_reshape(scalar, 0, NULL), x->type.dtype);
}

/* s = b s + (1 - b) v */
static cj_node *mixed(cj_node *s, double b, cj_node *v)
{
    return cj_add(cj_scale(s, b), cj_scale(v, 1 - b));
}

/* h += g^2; x -= R / (1 + T decay) g / (sqrt(h) + epsilon) (Duchi et al. 2011) */
static cj_node *adagrad(const optimizer *o, cj_node *x, cj_node *g, cj_node **state)
{
    cj_node *rate = cj_div(as(o->rate, x), cj_shift(cj_scale(as(o->steps, x), o->decay), 1));
    state[0] = cj_add(state[0], cj_square(g));
    return cj_sub(x, cj_div(cj_mul(rate, g), cj_shift(cj_sqrt(state[0]), o->epsilon)));
}

/* Adam (Kingma and Ba 2015); its correction of the first steps begins with T = 1. */
static cj_node *adam(const optimizer *o, cj_node *x, cj_node *g, cj_node **state)
{
    cj_node *rate = as(o->rate, x), *t = as(o->steps, x);
    cj_node *left_a = cj_shift(cj_neg(cj_pow(cj__number_like(x, o->alpha), t)), 1),
            *left_b = cj_shift(cj_neg(cj_pow(cj__number_like(x, o->beta), t)), 1);
    cj_node *later = cj_greater(t, cj__number_like(x, 0));
    rate = cj_where(later, cj_div(cj_mul(rate, cj_sqrt(left_b)), left_a), rate);
    state[0] = mixed(state[0], o->alpha, g);
    state[1] = mixed(state[1], o->beta, cj_square(g));
    cj_node *step = cj_div(state[0], cj_shift(cj_sqrt(state[1]), o->epsilon));
    return cj_scale(cj_sub(x, cj_mul(rate, step)), 1 - o->norm_post);
}

/* v = alpha v + beta g, in the first step alpha v + g; x -= R v, Nesterov's R (g + alpha v) */
static cj_node *momentum(const optimizer *o, cj_node *x, cj_node *g, cj_node **state)
{
    cj_node *t = as(o->steps, x);
    cj_node *beta = cj_where(cj_greater(t, cj__number_like(x, 0)), cj__number_like(x, o->beta),
                             cj__number_like(x, 1));
    state[0] = cj_add(cj_scale(state[0], o->alpha), cj_mul(beta, g));
    cj_node *step = o->nesterov ? cj_add(g, cj_scale(state[0], o->alpha)) : state[0];
    return cj_sub(x, cj_mul(as(o->rate, x), step));
}

static void read_optimizer(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const bool is_adam = !strcmp(row->onnx, "Adam");
    rule *const apply = is_adam                       ? adam
                        : !strcmp(row->onnx, "Adagrad") ? adagrad
                                                        : momentum;
    const size_t n_states = is_adam ? 2 : 1, each = 2 + n_states, n_in = r->node->input.count,
                 n = n_in > 2 ? (n_in - 2) / each : 0;
    char mode[32];
    if (n < 1 || n * each + 2 != n_in) {
        cj__onnx_fail(r, CJ_ERR_DATA, "%zu operands, expected 2 and %zu for each tensor", n_in,
                      each);
        return;
    }
    if (!cj__onnx_get_word(r, "mode", "standard", mode)) return;
    if (strcmp(mode, "standard") && strcmp(mode, "nesterov"))
        cj__onnx_fail(r, CJ_ERR_DATA, "mode '%s', expected standard or nesterov", mode);
    const optimizer o = {.rate = cj__onnx_node_in(r, 0),
                         .steps = cj__onnx_node_in(r, 1),
                         .alpha = cj__onnx_get_float(r, "alpha", 0.9),
                         .beta = cj__onnx_get_float(r, "beta", 0.999),
                         .epsilon = cj__onnx_get_float(r, "epsilon", 0),
                         .decay = cj__onnx_get_float(r, "decay_factor", 0),
                         .norm = cj__onnx_get_float(r, "norm_coefficient", 0),
                         .norm_post = cj__onnx_get_float(r, "norm_coefficient_post", 0),
                         .nesterov = *mode == 'n'};
    for (size_t i = 0; i < n && !r->failed; i++) {
        cj_node *x = cj__onnx_node_in(r, 2 + i), *g = cj__onnx_node_in(r, 2 + n + i),
                *state[STATES_MAX];
        for (size_t k = 0; k < n_states; k++) state[k] = cj__onnx_node_in(r, 2 + (2 + k) * n + i);
        if (r->failed) return;
        cj_node *y = apply(&o, x, cj_add(cj_scale(x, o.norm), g), state);
        cj__onnx_set(r, i, y);
        for (size_t k = 0; k < n_states; k++) cj__onnx_set(r, (1 + k) * n + i, state[k]);
    }
}

/* ---- Gradient -------------------------------------------------------------------------------- */

/* What the name stands for so far; NULL with a failure. */
static cj_node *named(cj__onnx_reader *r, cj__slice slice)
{
    char *name;
    if (cj__slice_string(r->arena, slice, "a name", &name)) {
        cj__onnx_fail(r, CJ_ERR_DATA, "a name is no text");
        return NULL;
    }
    cj__onnx_source *source = cj__onnx_find(r, slice);
    if (!source) cj__onnx_fail(r, CJ_ERR_DATA, "there is no '%s' before it", name);
    return cj__onnx_node_of(r, source);
}

typedef struct swap { /* to[i] for from[i]; made: by call id, the calls that are made again */
    size_t n;
    cj_node **from, **to, **made;
} swap;

static cj_node *swapped(const swap *s, cj_node *x)
{
    for (size_t i = 0; i < s->n; i++)
        if (x == s->from[i]) return s->to[i];
    cj_node *made = s->made[x->call->id];
    return made ? cj_node_output(made, (int)(x - x->call->out)) : x;
}

/* y with to[i] in the place of from[i]. */
static cj_node *substituted(cj__onnx_reader *r, cj_node *y, swap *s)
{
    const int n_calls = y->call->id + 1;
    s->made = cj__arena_array(r->arena, (size_t)n_calls, sizeof(*s->made));
    for (int id = 0; s->made && id < n_calls; id++) {
        const cj_call *call = r->g->calls[id];
        cj_node **in = cj__arena_array(r->arena, (size_t)call->n_in + 1, sizeof(*in));
        bool changed = false;
        if (!in) {
            s->made = NULL;
            break;
        }
        for (int k = 0; k < call->n_in; k++) {
            in[k] = swapped(s, call->in[k]);
            changed |= in[k] != call->in[k];
        }
        if (changed && !(s->made[id] = cj__call_clone(r->g, call, in))) return NULL;
    }
    if (!s->made) cj__onnx_fail(r, CJ_ERR_MEMORY, "out of memory");
    return s->made ? swapped(s, y) : NULL;
}

/* dy/dx of the names xs, at the operands: the values of xs, then those of zs. */
static void read_gradient(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const cj__onnx_attribute *xs = cj__onnx_find_attribute(r->node, "xs"),
                             *zs = cj__onnx_find_attribute(r->node, "zs"),
                             *target = cj__onnx_find_attribute(r->node, "y");
    (void)row;
    if (!xs || xs->type != CJ__ONNX_ATTR_STRINGS || !target ||
        target->type != CJ__ONNX_ATTR_STRING || (zs && zs->type != CJ__ONNX_ATTR_STRINGS)) {
        cj__onnx_fail(r, CJ_ERR_DATA, "it has no names xs and y");
        return;
    }
    const size_t n_x = xs->as.strings.count, n = n_x + (zs ? zs->as.strings.count : 0);
    if (n != r->node->input.count || n > 1 << 20) {
        cj__onnx_fail(r, CJ_ERR_DATA, "%zu names for %zu operands", n, r->node->input.count);
        return;
    }
    cj_node **dx = cj__arena_array(r->arena, n + 1, sizeof(*dx));
    swap s = {n, cj__arena_array(r->arena, n + 1, sizeof(*dx)),
              cj__arena_array(r->arena, n + 1, sizeof(*dx)), NULL};
    if (!dx || !s.from || !s.to) {
        cj__onnx_fail(r, CJ_ERR_MEMORY, "out of memory");
        return;
    }
    bool same = true;
    cj_node *y = named(r, target->as.s);
    for (size_t i = 0; i < n && !r->failed; i++) {
        s.from[i] = named(r, i < n_x ? xs->as.strings.items[i] : zs->as.strings.items[i - n_x]);
        s.to[i] = cj__onnx_node_in(r, i);
        same &= s.from[i] == s.to[i];
    }
    if (r->failed || !y) return;
    if (!same) y = substituted(r, y, &s);
    if (!y || cj_grad(y, s.to, (int)n_x, dx)) return;
    for (size_t i = 0; i < n_x; i++) cj__onnx_set(r, i, cj_zero_as(dx[i], s.to[i]));
}

#define ROW(name, read_) {.onnx = name, .domain = "ai.onnx.preview.training", .read = read_}
const cj__onnx_row cj__onnx_rows_training[] = {ROW("Adagrad", read_optimizer),
                                               ROW("Adam", read_optimizer),
                                               ROW("Momentum", read_optimizer),
                                               ROW("Gradient", read_gradient),
                                               {0}};
