/* recurrent_lower.c: what rnn, lstm and gru mean: a scan over the steps.
 *
 *     outside   xw [T, N, G H] = W x + b for all steps        (gru: inner [T, N, G H] = b of R h)
 *     a step    (h, [c]), xw_t, [inner_t], [inside_t] -> (h', [c']), y_t, h, [saved_t], [r h]
 *
 * inside_t tells which samples are that long. The gradients' lowering is the vector-Jacobian
 * product of the same scan: the cotangent of xw is dgates. */
#include "graph/ops/recurrent.h"

/* One direction. Operands have lost their first axis. */
typedef struct lowering {
    cj_graph *g;
    cj__recurrent r;
    cj_dim batch, steps;
    int64_t units, state;
    bool reverse;
    cj_node *xw, *inner, *inside;              /* sequences */
    cj_node *h0, *c0, *w, *peepholes, *projection; /* w: of R */
    cj_node *y, *h, *c, *previous, *saved, *used;  /* y and those after it are stacked */
} lowering;

static cj_node *zeros(cj_graph *g, cj_dtype dtype, int rank, const cj_dim *dims)
{
    return cj_broadcast_to(cj_scalar(g, dtype, 0), rank, dims);
}

static cj_node *gate(int function, cj_node *x)
{
    if (!x) return NULL;
    switch ((cj__gate)function) {
    case CJ__GATE_TANH: return cj_tanh(x);
    case CJ__GATE_SIGMOID: return cj_sigmoid(x);
    case CJ__GATE_RELU: return cj_relu(x);
    case CJ__GATE_HARD_SIGMOID: return cj_clip(cj_shift(cj_scale(x, 0.2), 0.5), 0, 1);
    case CJ__GATE_LINEAR: return x;
    case CJ__GATE_SOFTSIGN: return cj_div(x, cj_shift(cj_abs(x), 1));
    case CJ__GATE_SOFTPLUS: return cj_softplus(x);
    case CJ__GATE_ELU: return cj_elu(x, 1);
    }
    return NULL;
}

/* ---- A step ---------------------------------------------------------------------------------- */

typedef struct step {
    const lowering *l;
    cj_node *h, *c, *xw, *inner, *inside, *w, *peepholes, *projection; /* of the body */
    cj_node *next_h, *next_c, *saved, *used;
} step;

static cj_node *part(cj_node *x, int k, int64_t units)
{
    return cj_slice_axis(x, -1, k * units, units);
}

/* The recurrent matrix's rows for gates k .. k + n times x. */
static cj_node *product(const step *s, cj_node *x, int k, int n)
{
    const int64_t units = s->l->units;
    return cj_matmul_transposed(x, cj_slice_axis(s->w, 0, k * units, n * units), false, true);
}

static void rnn_step(step *s)
{
    s->next_h = gate(s->l->r.a->activation, cj_add(s->xw, product(s, s->h, 0, 1)));
}

static void lstm_step(step *s)
{
    const cj__recurrent_attrs *a = s->l->r.a;
    const int64_t n = s->l->units;
    cj_node *z = cj_add(s->xw, product(s, s->h, 0, 4)), *p[3] = {NULL}, *x[4];
    for (int k = 0; k < 4; k++) x[k] = part(z, k, n);
    for (int k = 0; s->peepholes && k < 3; k++) p[k] = cj_slice_axis(s->peepholes, 0, k * n, n);
    for (int k = 0; s->peepholes && k < 2; k++) x[k] = cj_add(x[k], cj_mul(s->c, p[k]));
    cj_node *i = gate(a->recurrent_activation, x[0]), *f = gate(a->recurrent_activation, x[1]),
            *g = gate(a->activation, x[2]);
    s->next_c = cj_add(cj_mul(f, s->c), cj_mul(i, g));
    if (s->peepholes) x[3] = cj_add(x[3], cj_mul(s->next_c, p[2]));
    cj_node *o = gate(a->recurrent_activation, x[3]);
    s->next_h = cj_mul(o, gate(a->output_activation, s->next_c));
    if (s->projection) s->next_h = cj_matmul_transposed(s->next_h, s->projection, false, true);
    s->saved = cj_concat((cj_node *[]){i, f, g, o, s->next_c}, 5, 1);
}

static void gru_step(step *s)
{
    const cj__recurrent_attrs *a = s->l->r.a;
    const int64_t n = s->l->units;
    cj_node *zr = cj_add(cj_add(cj_slice_axis(s->xw, 1, 0, 2 * n), product(s, s->h, 0, 2)),
                         cj_slice_axis(s->inner, 1, 0, 2 * n));
    zr = gate(a->recurrent_activation, zr);
    cj_node *z = part(zr, 0, n), *r = part(zr, 1, n), *b = part(s->inner, 2, n), *q, *in;
    if (a->reset_after) {
        q = cj_add(product(s, s->h, 2, 1), b);
        in = cj_mul(r, q);
    } else {
        q = s->used = cj_mul(r, s->h);
        in = cj_add(product(s, q, 2, 1), b);
    }
    cj_node *next = gate(a->activation, cj_add(part(s->xw, 2, n), in));
    s->next_h = cj_add(next, cj_mul(z, cj_sub(s->h, next)));
    s->saved = cj_concat((cj_node *[]){z, r, next, q}, 4, 1);
}

/* A sample that has ended keeps its state and gives 0. */
static cj_node *ended(const step *s, cj_node *next, cj_node *before)
{
    if (!s->inside || !next) return next;
    return cj_where(s->inside, next,
                    before ? before : cj_scalar(next->call->graph, next->type.dtype, 0));
}

static cj_node *input(cj_graph *body, const char *name, const cj_node *like, int skip)
{
    cj_dim dims[CJ_RANK_MAX];
    if (!like) return NULL;
    for (int i = skip; i < like->type.rank; i++)
        dims[i - skip] = like->type.dim[i] < 0 ? cj_symbol(body, "batch") : like->type.dim[i];
    return cj_placeholder(body, name, like->type.dtype, like->type.rank - skip, dims);
}

static cj_graph *step_body(const lowering *l)
{
    static void (*const steps[])(step *) = {rnn_step, lstm_step, gru_step};
    cj_graph *body = cj_graph_new(l->g->cj);
    if (!body) return NULL;
    step s = {.l = l};
    s.h = input(body, "h", l->h0, 0);
    s.c = input(body, "c", l->c0, 0);
    s.xw = input(body, "xw", l->xw, 1);
    s.inner = input(body, "inner", l->inner, 1);
    s.inside = input(body, "inside", l->inside, 1);
    s.w = input(body, "r", l->w, 0);
    s.peepholes = input(body, "peepholes", l->peepholes, 0);
    s.projection = input(body, "projection", l->projection, 0);
    steps[l->r.cell](&s);
    cj_graph_output(body, "h", ended(&s, s.next_h, s.h));
    if (s.c) cj_graph_output(body, "c", ended(&s, s.next_c, s.c));
    cj_graph_output(body, NULL, ended(&s, s.next_h, NULL));
    cj_graph_output(body, NULL, ended(&s, s.h, NULL));
    if (s.saved) cj_graph_output(body, NULL, ended(&s, s.saved, NULL));
    if (s.used) cj_graph_output(body, NULL, ended(&s, s.used, NULL));
    return body;
}

/* ---- All steps ------------------------------------------------------------------------------- */

static bool run_steps(lowering *l)
{
    cj_node *carried[2] = {l->h0, l->c0}, *sequences[3] = {l->xw}, *captures[3] = {l->w};
    int n_sequences = 1, n_captures = 1;
    if (l->inner) sequences[n_sequences++] = l->inner;
    if (l->inside) sequences[n_sequences++] = l->inside;
    if (l->peepholes) captures[n_captures++] = l->peepholes;
    if (l->projection) captures[n_captures++] = l->projection;
    cj_graph *body = l->xw && l->h0 && l->w ? step_body(l) : NULL;
    cj_node *out = body ? cj_scan(carried, l->c0 ? 2 : 1, sequences, n_sequences, l->reverse, body,
                                  captures, n_captures)
                        : NULL;
    if (!out) return false;
    int at = 0;
    l->h = cj_node_output(out, at++);
    if (l->c0) l->c = cj_node_output(out, at++);
    l->y = cj_node_output(out, at++);
    l->previous = cj_node_output(out, at++);
    if (l->r.saved_parts) l->saved = cj_node_output(out, at++);
    if (l->r.cell == CJ__CELL_GRU && !l->r.a->reset_after) l->used = cj_node_output(out, at++);
    return l->g->failed == CJ_OK;
}

/* Operand `at` (-1: NULL) without its first axis, at d. */
static cj_node *take(const cj_call *call, int at, int d)
{
    if (at < 0) return NULL;
    cj_node *x = cj_slice_axis(call->in[at], 0, d, 1);
    return x ? cj_reshape(x, x->type.rank - 1, x->type.dim + 1) : NULL;
}

/* Leaves of the scan: everything but the steps themselves. */
static bool prepare(lowering *l, cj_graph *g, cj_call *call, int d)
{
    *l = (lowering){.g = g, .r = cj__recurrent_of(call->op, call->attributes)};
    const cj_type *x = &call->in[0]->type, *r = &call->in[2]->type;
    const int64_t gates = r->dim[1];
    l->batch = x->dim[0], l->steps = x->dim[1];
    l->units = gates / l->r.gates, l->state = r->dim[2];
    l->reverse = d == 1 || l->r.a->direction == CJ__DIRECTION_REVERSE;
    cj_node *b = take(call, l->r.bias, d);
    cj_node *bw = b ? cj_slice_axis(b, 0, 0, gates) : NULL,
            *br = b ? cj_slice_axis(b, 0, gates, gates) : NULL;
    cj_dim sequence[] = {l->steps, l->batch, gates};
    l->xw = cj_matmul_transposed(cj_transpose(call->in[0], (int64_t[]){1, 0, 2}), take(call, 1, d),
                                 false, true);
    if (b) l->xw = cj_add(l->xw, l->r.cell == CJ__CELL_GRU ? bw : cj_add(bw, br));
    if (l->r.cell == CJ__CELL_GRU)
        l->inner = b ? cj_broadcast_to(br, 3, sequence) : zeros(g, x->dtype, 3, sequence);
    if (l->r.lengths >= 0) {
        cj_node *t = cj_iota(g, CJ_I64, 0, 3, (cj_dim[]){l->steps, 1, 1});
        l->inside = cj_less(t, cj_reshape(cj_cast(call->in[l->r.lengths], CJ_I64), 3,
                                          (cj_dim[]){1, l->batch, 1}));
    }
    l->w = take(call, 2, d);
    l->peepholes = take(call, l->r.peepholes, d);
    l->projection = take(call, l->r.projection, d);
    l->h0 = l->r.h0 >= 0 ? take(call, l->r.h0, d)
                         : zeros(g, x->dtype, 2, (cj_dim[]){l->batch, l->state});
    if (l->r.cell == CJ__CELL_LSTM)
        l->c0 = l->r.c0 >= 0 ? take(call, l->r.c0, d)
                             : zeros(g, x->dtype, 2, (cj_dim[]){l->batch, l->units});
    return l->xw && l->h0;
}

/* [T, N, n] of each direction as [D, N, T, n]. */
static cj_node *stack(cj_node *const *parts, int n)
{
    cj_node *turned[2] = {NULL};
    for (int d = 0; d < n; d++) turned[d] = cj_transpose(parts[d], (int64_t[]){1, 0, 2});
    return cj_stack(turned, n, 0);
}

bool cj__recurrent_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    lowering l[2];
    const int n = cj__recurrent_of(call->op, call->attributes).directions;
    for (int d = 0; d < n; d++)
        if (!prepare(&l[d], g, call, d) || !run_steps(&l[d])) return false;
    cj_node *y[2] = {NULL}, *h[] = {l[0].h, l[n - 1].h}, *c[] = {l[0].c, l[n - 1].c},
            *saved[] = {l[0].saved, l[n - 1].saved};
    for (int d = 0; d < n; d++) y[d] = cj_transpose(l[d].y, (int64_t[]){1, 0, 2});
    int at = 0;
    out[at++] = cj_concat(y, n, 2);
    out[at++] = cj_stack(h, n, 0);
    if (c[0]) out[at++] = cj_stack(c, n, 0);
    if (l->r.a->save && saved[0]) out[at++] = stack(saved, n);
    return g->failed == CJ_OK;
}

/* ---- Gradients ------------------------------------------------------------------------------- */

/* Operand `at` of a gradient as cotangent of one direction, cj_zero where there is none. */
static cj_node *cotangent(const cj_call *call, int at, int d)
{
    return at < 0 ? cj_zero : take(call, at, d);
}

/* dy [N, T, D P] as the cotangent of one direction's stacked y. */
static cj_node *cotangent_of_y(const lowering *l, const cj_call *call, int d)
{
    if (l->r.dy < 0) return cj_zero;
    return cj_transpose(cj_slice_axis(call->in[l->r.dy], 2, d * l->state, l->state),
                        (int64_t[]){1, 0, 2});
}

enum { LEAVES = 6 }; /* xw, h0, c0, peepholes, projection, inner */

static bool differentiate(lowering *l, cj_call *call, int d, cj_node **dx)
{
    cj_node *leaves[LEAVES] = {l->xw, l->h0, l->c0, l->peepholes, l->projection, l->inner};
    cj_node *wrt[LEAVES], *found[LEAVES];
    cj_node **places[] = {&l->xw, &l->h0, &l->c0, &l->peepholes, &l->projection, &l->inner};
    int n = 0;
    for (int i = 0; i < LEAVES; i++) /* leaves of their own: no path leads from one to another */
        if (leaves[i]) wrt[n++] = *places[i] = cj_identity(leaves[i]);
    if (!run_steps(l)) return false;
    cj_node *y[] = {l->y, l->h, l->c}, *dy[3] = {cotangent_of_y(l, call, d),
                                                 cotangent(call, l->r.dh, d),
                                                 cotangent(call, l->r.dc, d)};
    if (cj_vjp(y, dy, l->c ? 3 : 2, wrt, n, found)) return false;
    for (int i = 0, k = 0; i < LEAVES; i++) {
        dx[i] = NULL;
        if (!leaves[i]) continue;
        dx[i] = found[k++];
        if (cj__is_zero(dx[i])) dx[i] = zeros(l->g, l->xw->type.dtype, leaves[i]->type.rank,
                                              leaves[i]->type.dim);
    }
    return true;
}

bool cj__recurrent_grad_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    lowering l[2];
    cj_node *dx[2][LEAVES];
    const int n = cj__recurrent_of(call->op, call->attributes).directions;
    for (int d = 0; d < n; d++)
        if (!prepare(&l[d], g, call, d) || !differentiate(&l[d], call, d, dx[d])) return false;
    int at = 0;
    out[at++] = stack((cj_node *[]){dx[0][0], dx[n - 1][0]}, n);
    out[at++] = stack((cj_node *[]){l[0].previous, l[n - 1].previous}, n);
    for (int i = 1; i < LEAVES - 1; i++)
        if (dx[0][i]) out[at++] = cj_stack((cj_node *[]){dx[0][i], dx[n - 1][i]}, n, 0);
    if (l->used) out[at++] = stack((cj_node *[]){l[0].used, l[n - 1].used}, n);
    else if (l->inner) out[at++] = stack((cj_node *[]){dx[0][5], dx[n - 1][5]}, n);
    return g->failed == CJ_OK;
}

void cj__recurrent_vjp(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    enum { OPERANDS = 9, OUTPUTS = 4 };
    cj_node *in[OPERANDS], **real = call->in, *out[OUTPUTS], *wrt[OPERANDS], *found[OPERANDS];
    int n = 0;
    for (int i = 0; i < call->n_in; i++) in[i] = cj_identity(real[i]);
    call->in = in;
    bool lowered = cj__recurrent_lower(g, call, out);
    call->in = real;
    for (int i = 0; i < call->n_in; i++)
        if (cj__is_float(real[i]->type.dtype)) wrt[n++] = in[i];
    if (!lowered || cj_vjp(out, dy, call->n_out, wrt, n, found)) return;
    for (int i = 0, k = 0; i < call->n_in; i++)
        if (cj__is_float(real[i]->type.dtype)) dx[i] = found[k++];
}
