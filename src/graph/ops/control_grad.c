/* control_grad.c: gradients of if, loop and scan, as calls of if and scan.
 *
 * if    The same choice between the two branches' vector-Jacobian products.
 *
 * steps (loop and scan) The forward pass runs again and also stacks the carried values that entered
 * each step. A scan then walks the steps backwards; its body is the vector-Jacobian product of one
 * step:
 *
 *           carried    d carried (float), d capture (float; a sum over the steps)
 *           sequences  the stacked carried values, the iteration (loop), elements, d stacked
 *           captures   the step's own
 *           stacked    d element
 *
 *       A loop's length may be found out while running; the scan's sequences are then as long. The
 * second run of the same loop is as long as the first, so both share one symbol.
 *
 * All of it is ordinary calls, so gradients of any order exist. */
#include "graph/ops/control.h"

#include <string.h>

static bool is_float(const cj_node *node)
{
    return cj_dtype_info(node->type.dtype)->kind == CJ_KIND_FLOAT;
}

/* A placeholder of `to` for a value of `from`; symbols keep their names. CJ_INFER: a size of its
 * own. */
static cj_node *input_like(cj_graph *to, const cj_graph *from, const cj_type *type)
{
    char name[16];
    cj_dim dims[CJ_RANK_MAX];
    for (int n = to->inputs.count; n == to->inputs.count || cj__nodes_find(&to->inputs, name); n++)
        cj__format(name, sizeof name, "g%d", n);
    for (int i = 0; i < type->rank; i++) {
        /* An expression of sizes found inside tells nothing before they are: it gets a name. */
        cj_dim d = type->dim[i];
        bool unknown = d == CJ_INFER || (d < 0 && from->dims.items[-1 - d].kind != CJ__EXPR_NAME &&
                                         cj__dim_is_dynamic(from, d));
        char symbol[32];
        cj__format(symbol, sizeof symbol, "%s.%d", name, i);
        dims[i] = unknown ? cj_symbol(to, symbol) : cj__dim_translate(from, to, NULL, d);
    }
    return cj_placeholder(to, name, type->dtype, type->rank, dims);
}

/* A body that could not be differentiated says why through the graph around it. */
static bool body_failed(cj_graph *g, const cj_call *call, cj_graph *body)
{
    if (body && !body->failed && !g->failed) return false;
    if (!body) cj__graph_fail(g, call->op->name, CJ_ERR_MEMORY, "out of memory");
    else
        cj__graph_fail(g, call->op->name, body->failed, "the gradient of its body: %s",
                       body->message ? body->message : "");
    return true;
}

static void *array(cj_graph *g, int n)
{
    void *nodes = cj__arena_array(&g->arena, (size_t)n + 1, sizeof(cj_node *));
    if (!nodes) cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory");
    return nodes;
}

/* ---- if -------------------------------------------------------------------------------------- */

/* The branch followed by its product with the cotangents that are not zero; grads[i]: of capture i.
 */
static cj_graph *branch_gradient(const cj_call *call, const cj_graph *branch, cj_node *const *dy,
                                 cj_node **grads)
{
    cj_graph *b = cj__graph_clone(branch);
    cj_node **y = b ? array(b, 4 * (call->n_out + call->n_in)) : NULL;
    if (!y) return b;
    cj_node **cotangent = y + call->n_out, **wrt = cotangent + call->n_out,
            **found = wrt + call->n_in;
    int n_y = 0, n = 0;
    for (int k = 0; k < call->n_out; k++) {
        if (cj__is_zero(dy[k])) continue;
        y[n_y] = b->outputs.items[k].node;
        cj_type type =
            y[n_y]
                ->type; /* the other branch may find another size, which must not be claimed here */
        for (int i = 0; i < type.rank; i++)
            if (cj__dim_is_dynamic(call->graph, call->out[k].type.dim[i])) type.dim[i] = CJ_INFER;
        cotangent[n_y] = input_like(b, b, &type);
        n_y++;
    }
    for (int i = 1; i < call->n_in; i++)
        if (is_float(call->in[i])) wrt[n++] = b->inputs.items[i - 1].node;
    if (cj_vjp(y, cotangent, n_y, wrt, n, found)) return b;
    for (int i = 1, j = 0; i < call->n_in; i++)
        grads[i] = is_float(call->in[i]) ? found[j++] : cj_zero;
    b->outputs.count = 0;
    return b;
}

void cj__if_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    const cj__body_attrs *a = call->attributes;
    cj_graph *b[2] = {NULL, NULL};
    cj_node **grads[2] = {array(g, call->n_in), array(g, call->n_in)},
            **in = array(g, call->n_in + call->n_out);
    if (!grads[0] || !grads[1] || !in) return;
    for (int j = 0; j < 2; j++) {
        b[j] = branch_gradient(call, j ? a->other : a->body, dy, grads[j]);
        if (body_failed(g, call, b[j])) goto out;
    }
    int n_out = 0, n_in = call->n_in;
    for (int i = 1; i < call->n_in; i++) {
        if (cj__is_zero(grads[0][i]) && cj__is_zero(grads[1][i])) continue;
        for (int j = 0; j < 2; j++)
            cj_graph_output(b[j], NULL, cj_zero_as(grads[j][i], b[j]->inputs.items[i - 1].node));
        n_out++;
    }
    if (!n_out) goto out;
    memcpy(in, call->in, (size_t)call->n_in * sizeof *in);
    for (int k = 0; k < call->n_out; k++)
        if (!cj__is_zero(dy[k])) in[n_in++] = dy[k];
    cj_node *node = cj_apply(g, &cj_op_if, in, n_in,
                             &(cj__body_attrs){.body = b[0], .other = b[1]});
    for (int i = 1, k = 0; i < call->n_in && node; i++)
        if (!cj__is_zero(grads[0][i]) || !cj__is_zero(grads[1][i]))
            dx[i] = cj_node_output(node, k++);
out:
    for (int j = 0; j < 2; j++)
        if (b[j] && !b[j]->is_body) cj_graph_free(b[j]);
}

/* ---- loop and scan --------------------------------------------------------------------------- */

typedef struct walk {
    cj_graph *g;
    cj_call *call;
    const cj__body_attrs *a;
    const cj_graph *body;
    cj__steps s;
    cj_node *const *dy;
    cj_node **carried, **sequences, **captures; /* operands */
    cj_node **stacked;                          /* by carried value: what entered each step */
    bool *wanted; /* by operand from the first carried value on: has a gradient */
} walk;

static cj_node *body_input(const walk *w, int i)
{
    return w->body->inputs.items[w->s.first_in + i].node;
}

/* Runs forward again for the values that enter the steps. */
static bool run_again(walk *w)
{
    if (!w->s.n_carried) return true;
    cj_graph *b = cj__graph_clone(w->body);
    if (!b) return body_failed(w->g, w->call, b), false;
    b->outputs.count = w->s.first_out + w->s.n_carried;
    for (int i = 0; i < w->s.n_carried; i++)
        cj_graph_output(b, NULL, b->inputs.items[w->s.first_in + i].node);
    cj__body_attrs a = *w->a;
    a.body = b;
    cj_node *node = b->failed ? NULL : cj_apply(w->g, w->call->op, w->call->in, w->call->n_in, &a);
    if (!node) body_failed(w->g, w->call, b);
    if (!b->is_body) cj_graph_free(b);
    for (int i = 0; node && i < w->s.n_carried; i++)
        w->stacked[i] = cj_node_output(node, w->s.n_carried + i);
    return node != NULL;
}

/* The body of the backward scan being built. */
typedef struct step {
    cj_graph *b;
    cj_node **d_carried, **d_capture, **in, **y, **dy, **wrt, **grads;
    int n_y, n_wrt;
} step;

static bool start_step(const walk *w, step *t)
{
    int n = w->s.n_carried + w->s.n_sequences + w->s.n_captures + w->s.n_stacked + 4;
    *t = (step){.b = cj_graph_new(w->g->cj)};
    if (!t->b || !(t->d_carried = array(t->b, 7 * n))) return false;
    t->d_capture = t->d_carried + n;
    t->in = t->d_capture + n;
    t->y = t->in + n;
    t->dy = t->y + n;
    t->wrt = t->dy + n;
    t->grads = t->wrt + n;
    return true;
}

static void add_wrt(step *t, cj_node *node)
{
    if (node && is_float(node)) t->wrt[t->n_wrt++] = node;
}

/* Placeholders in the order of the scan's operands, the step itself, and what its results weigh. */
static void write_step(const walk *w, step *t)
{
    const cj__steps *s = &w->s;
    int after = s->n_carried + s->n_sequences, n_in = 0;
    cj_node **in = t->in + s->first_in, **out = array(t->b, w->body->outputs.count),
            **ds = array(t->b, s->n_stacked);
    if (!out || !ds) return;
    for (int i = 0; i < s->n_carried; i++)
        if (is_float(w->carried[i]))
            t->d_carried[i] = input_like(t->b, w->body, &body_input(w, i)->type);
    for (int i = 0; i < s->n_captures; i++)
        if (w->wanted[after + i])
            t->d_capture[i] = input_like(t->b, w->body, &body_input(w, after + i)->type);
    for (; n_in < s->n_carried; n_in++)
        in[n_in] = input_like(t->b, w->body, &body_input(w, n_in)->type);
    if (s->first_in) {
        t->in[0] = input_like(t->b, w->body, &w->body->inputs.items[0].node->type);
        t->in[1] = cj_scalar(t->b, CJ_BOOL, 1); /* or the step would not have run */
    }
    for (; n_in < after; n_in++) in[n_in] = input_like(t->b, w->body, &body_input(w, n_in)->type);
    for (int i = 0; i < s->n_stacked; i++)
        if (!cj__is_zero(w->dy[s->n_carried + i]))
            ds[i] = input_like(t->b, w->body,
                               &w->body->outputs.items[s->first_out + s->n_carried + i].node->type);
    for (; n_in < after + s->n_captures; n_in++)
        in[n_in] = input_like(t->b, w->body, &body_input(w, n_in)->type);
    if (t->b->failed || !cj__graph_inline(t->b, w->body, t->in, s->first_in + n_in, out)) return;
    for (int i = 0; i < s->n_carried; i++)
        if (t->d_carried[i])
            t->y[t->n_y] = out[s->first_out + i], t->dy[t->n_y++] = t->d_carried[i];
    for (int i = 0; i < s->n_stacked; i++)
        if (ds[i]) t->y[t->n_y] = out[s->first_out + s->n_carried + i], t->dy[t->n_y++] = ds[i];
    for (int i = 0; i < n_in; i++) add_wrt(t, in[i]);
    cj_vjp(t->y, t->dy, t->n_y, t->wrt, t->n_wrt, t->grads);
}

/* Gradients of the inputs, by input from the first carried value on; NULL for those that are no
 * floats. */
static cj_node *gradient_of(const walk *w, const step *t, int input)
{
    for (int i = 0; i < t->n_wrt; i++)
        if (t->wrt[i] == t->in[w->s.first_in + input]) return t->grads[i];
    return NULL;
}

/* Captures and elements that no step depends on are left out of the scan. Returns whether there are
 * any. */
static bool drop_unwanted(walk *w, const step *t)
{
    bool dropped = false;
    for (int i = w->s.n_carried; i < w->s.n_carried + w->s.n_sequences + w->s.n_captures; i++) {
        if (!w->wanted[i] || !cj__is_zero(gradient_of(w, t, i))) continue;
        w->wanted[i] = false;
        dropped = true;
    }
    return dropped;
}

static void finish_step(const walk *w, const step *t)
{
    int after = w->s.n_carried + w->s.n_sequences;
    for (int i = 0; i < w->s.n_carried; i++)
        if (t->d_carried[i])
            cj_graph_output(t->b, NULL, cj_zero_as(gradient_of(w, t, i), t->in[w->s.first_in + i]));
    for (int i = 0; i < w->s.n_captures; i++)
        if (t->d_capture[i])
            cj_graph_output(t->b, NULL, cj_add(t->d_capture[i], gradient_of(w, t, after + i)));
    for (int i = w->s.n_carried; i < after; i++)
        if (w->wanted[i]) cj_graph_output(t->b, NULL, gradient_of(w, t, i));
}

static cj_graph *make_step(walk *w)
{
    for (;;) {
        step t;
        if (start_step(w, &t)) write_step(w, &t);
        if (body_failed(w->g, w->call, t.b)) return cj_graph_free(t.b), NULL;
        if (!drop_unwanted(w, &t)) {
            finish_step(w, &t);
            if (!body_failed(w->g, w->call, t.b)) return t.b;
            return cj_graph_free(t.b), NULL;
        }
        cj_graph_free(t.b);
    }
}

/* The scan's operands in the order write_step made its placeholders; returns how many. */
static int gather_operands(const walk *w, cj_node **in, cj__body_attrs *a)
{
    const cj__steps *s = &w->s;
    int n = 0, after = s->n_carried + s->n_sequences;
    for (int i = 0; i < s->n_carried; i++)
        if (is_float(w->carried[i])) in[n++] = cj_zero_as(w->dy[i], w->carried[i]);
    for (int i = 0; i < s->n_captures; i++)
        if (w->wanted[after + i]) in[n++] = cj_full_like(w->captures[i], 0);
    a->n_carried = n;
    for (int i = 0; i < s->n_carried; i++) in[n++] = w->stacked[i];
    if (s->first_in) {
        cj_node *any = s->n_carried ? w->stacked[0] : &w->call->out[0];
        in[n++] = any ? cj_iota(w->g, CJ_I64, 0, 1, any->type.dim) : NULL;
    }
    for (int i = 0; i < s->n_sequences; i++) in[n++] = w->sequences[i];
    for (int i = 0; i < s->n_stacked; i++)
        if (!cj__is_zero(w->dy[s->n_carried + i])) in[n++] = w->dy[s->n_carried + i];
    a->n_sequences = n - a->n_carried;
    for (int i = 0; i < s->n_captures; i++) in[n++] = w->captures[i];
    return n;
}

/* Hands the scan's outputs (d carried, d captures, d elements) to the operands they belong to. */
static void give_gradients(const walk *w, cj_node *node, cj_node **dx)
{
    int k = 0, after = w->s.n_carried + w->s.n_sequences;
    for (int i = 0; i < w->s.n_carried; i++)
        if (is_float(w->carried[i])) dx[w->s.first + i] = cj_node_output(node, k++);
    for (int i = after; i < after + w->s.n_captures; i++)
        if (w->wanted[i]) dx[w->s.first + i] = cj_node_output(node, k++);
    for (int i = w->s.n_carried; i < after; i++)
        if (w->wanted[i]) dx[w->s.first + i] = cj_node_output(node, k++);
}

void cj__steps_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    walk w = {.g = g, .call = call, .a = call->attributes, .s = cj__steps_of(call), .dy = dy};
    int n = w.s.n_carried + w.s.n_sequences + w.s.n_captures;
    bool loop = call->op == &cj_op_loop;
    w.body = w.a->body;
    w.carried = call->in + w.s.first;
    w.sequences = w.carried + w.s.n_carried;
    w.captures = w.sequences + w.s.n_sequences;
    w.stacked = array(g, w.s.n_carried);
    w.wanted = cj__arena_alloc(&g->arena, (size_t)n + 1);
    cj_node **in = array(g, 3 * n + w.s.n_stacked + 1);
    if (!w.stacked || !w.wanted || !in) return;
    for (int i = 0; i < n; i++) w.wanted[i] = is_float(w.carried[i]);
    cj_graph *b = run_again(&w) ? make_step(&w) : NULL;
    if (b && b->outputs.count) {
        cj__body_attrs a = {.body = b, .reverse = loop || !w.a->reverse};
        int n_in = gather_operands(&w, in, &a);
        cj_node *node = cj_apply(g, &cj_op_scan, in, n_in, &a);
        if (node) give_gradients(&w, node, dx);
    }
    if (b && !b->is_body) cj_graph_free(b);
}
