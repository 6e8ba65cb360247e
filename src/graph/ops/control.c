/* control.c: if, loop and scan: calls whose bodies are graphs of their own.
 *
 * A body shares nothing with the graph around it but its operands: placeholder i stands for operand
 * i, and its symbols are found by matching the two shapes (the first dimension met names the
 * symbol, later ones must agree). Sizes of the results are the body's, said in symbols of the graph
 * around it.
 *
 * A size that only running can tell (how often a loop ran) is a symbol named by the attribute
 * `symbol`. It is chosen when the call is made and copied with it, because other calls mention it
 * by that name. */
#include "graph/ops/control.h"

#include <string.h>

enum { OUTPUTS_MAX = 64 };

static const cj_type iteration_type = {.dtype = CJ_I64}, condition_type = {.dtype = CJ_BOOL};

static const char *type_string(cj_graph *g, const cj_type *type)
{
    cj__text text;
    cj__text_init(&text, g->cj);
    cj__type_text(&text, g, type);
    const char *string = cj__arena_strdup(&g->arena, cj__text_string(&text));
    cj__text_release(&text);
    return string ? string : "?";
}

/* The call's name for sizes it finds out: "loop0", the first that is free in the graph. */
static const char *symbol_of(cj_infer *infer)
{
    cj__body_attrs *a = infer->call->attributes;
    const cj__dims *dims = &infer->graph->dims;
    for (int n = 0; !a->symbol; n++) {
        char name[32];
        cj__format(name, sizeof name, "%s%d", infer->call->op->name, n);
        int i = 0;
        while (i < dims->count &&
               (dims->items[i].kind != CJ__EXPR_NAME || strcmp(dims->items[i].name, name)))
            i++;
        if (i == dims->count && !(a->symbol = cj__arena_strdup(&infer->graph->arena, name))) {
            cj_infer_fail(infer, CJ_ERR_MEMORY, "out of memory");
            return "";
        }
    }
    return a->symbol;
}

/* ---- Matching a body to its operands --------------------------------------------------------- */

typedef struct binding {
    cj_infer *infer;
    cj_graph *body;
    const char *role; /* "body", "then", "else" */
    cj_dim *map; /* by expression of the body: in the outer graph; CJ_INFER: not a bound name */
    bool *found; /* by expression: only running the body tells */
} binding;

static cj_status start_binding(binding *b, cj_infer *infer, cj_graph *body, const char *role,
                               int n_in)
{
    cj_graph *g = infer->graph;
    *b = (binding){.infer = infer, .body = body, .role = role};
    if (!body) return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "it has no %s", role);
    if (body->inputs.count != n_in)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%s has %d inputs, expected %d", role,
                             body->inputs.count, n_in);
    b->map = cj__arena_array(&g->arena, (size_t)body->dims.count + 1, sizeof *b->map);
    b->found = cj__arena_array(&g->arena, (size_t)body->dims.count + 1, sizeof *b->found);
    if (!b->map || !b->found) return cj_infer_fail(infer, CJ_ERR_MEMORY, "out of memory");
    for (int i = 0; i < body->dims.count; i++) b->map[i] = CJ_INFER;
    return CJ_OK;
}

static cj_dim outer(const binding *b, cj_dim d)
{
    return cj__dim_translate(b->body, b->infer->graph, b->map, d);
}

/* Input i of the body stands for something of this type. Names are bound in the first round;
 * expressions of them are compared in the second. */
static cj_status bind_input(binding *b, int i, const cj_type *given, bool expressions,
                            const char *what, int number)
{
    const cj_node *input = b->body->inputs.items[i].node;
    bool same = input->type.dtype == given->dtype && input->type.rank == given->rank;
    for (int k = 0; same && k < given->rank; k++) {
        cj_dim d = input->type.dim[k];
        bool name = d < 0 && b->body->dims.items[-1 - d].kind == CJ__EXPR_NAME;
        if (name && b->map[-1 - d] == CJ_INFER) b->map[-1 - d] = given->dim[k];
        if (d >= 0 || name ? expressions : !expressions) continue;
        same = cj_infer_equal(b->infer, d >= 0 ? d : outer(b, d), given->dim[k]);
    }
    if (same) return b->infer->graph->failed;
    char subject[48];
    cj__format(subject, sizeof subject, number < 0 ? "%s" : "%s %d", what, number);
    return cj_infer_fail(b->infer, input->type.dtype == given->dtype ? CJ_ERR_SHAPE : CJ_ERR_TYPE,
                         "%s input %d ('%s') is %s, but %s is %s", b->role, i,
                         input->name ? input->name : "", type_string(b->body, &input->type),
                         subject, type_string(b->infer->graph, given));
}

static bool holds(const cj_graph *g, cj_dim d, int name)
{
    if (d >= 0 || d == CJ_INFER) return false;
    const cj__expr *e = &g->dims.items[-1 - d];
    bool held = -1 - d == name;
    for (int k = 0; k < e->n && e->kind != CJ__EXPR_NAME && !held; k++)
        held = holds(g, e->part[k], name);
    return held;
}

/* Does the shape of a result, or an attribute, need this name? */
static bool is_used(const cj_graph *g, int name)
{
    for (int id = 0; id < g->n_calls; id++) {
        const cj_call *call = g->calls[id];
        for (int k = 0; k < call->n_out; k++)
            for (int i = 0; i < call->out[k].type.rank; i++)
                if (holds(g, call->out[k].type.dim[i], name)) return true;
        for (const cj_option *o = cj_option_row(call->op->attributes); o && o->type;
             o = cj_option_row(o + 1)) {
            const cj_ints *dims = (const cj_ints *)(const void *)((const char *)call->attributes +
                                                                  o->offset);
            for (int i = 0; o->type == CJ_OPTION_TYPE_DIMS && i < dims->n; i++)
                if (holds(g, dims->v[i], name)) return true;
        }
    }
    return false;
}

/* After all inputs are bound, the symbols left are sizes found inside the body. */
static cj_status bind_rest(binding *b)
{
    const cj__dims *dims = &b->body->dims;
    for (int i = 0; i < dims->count; i++) {
        const cj__expr *e = &dims->items[i];
        for (int k = 0; k < e->n && e->kind != CJ__EXPR_NAME; k++)
            b->found[i] = b->found[i] || (e->part[k] < 0 && b->found[-1 - e->part[k]]);
        if (e->kind != CJ__EXPR_NAME || b->map[i] != CJ_INFER) continue;
        if (!e->dynamic && !is_used(b->body, i)) continue;
        if (!e->dynamic)
            return cj_infer_fail(
                b->infer, CJ_ERR_SHAPE,
                "%s uses the size '%s', which is in the shape of none of its inputs", b->role,
                e->name);
        const char *name = cj__arena_printf(&b->infer->graph->arena, "%s.%s", symbol_of(b->infer),
                                            e->name);
        if (!name) return cj_infer_fail(b->infer, CJ_ERR_MEMORY, "out of memory");
        b->map[i] = cj__dim_dynamic(b->infer->graph, name);
        b->found[i] = true;
    }
    return b->infer->graph->failed;
}

static bool is_found(const binding *b, cj_dim d)
{
    return d < 0 && b->found[-1 - d];
}

static cj_type output_type(const binding *b, int i)
{
    cj_type type = b->body->outputs.items[i].node->type;
    for (int k = 0; k < type.rank; k++) type.dim[k] = outer(b, type.dim[k]);
    return type;
}

/* A size found inside that is an expression gets a symbol of its own, for only symbols can be
 * learned. */
static cj_status name_found(const binding *b, int i, int axis, cj_type *type)
{
    cj_graph *g = b->infer->graph;
    cj_dim d = b->body->outputs.items[i].node->type.dim[axis];
    if (!is_found(b, d) || b->body->dims.items[-1 - d].kind == CJ__EXPR_NAME) return CJ_OK;
    const char *name = cj__arena_printf(&g->arena, "%s.%d.%d", symbol_of(b->infer), i, axis);
    if (!name) return cj_infer_fail(b->infer, CJ_ERR_MEMORY, "out of memory");
    type->dim[axis] = cj__dim_dynamic(g, name);
    return g->failed;
}

/* Output i of the body must have the type of what it replaces. */
static cj_status check_output(const binding *b, int i, const cj_type *expected, const char *what)
{
    cj_type type = output_type(b, i);
    bool same = type.dtype == expected->dtype && type.rank == expected->rank;
    for (int k = 0; same && k < type.rank; k++)
        same = cj_infer_equal(b->infer, type.dim[k], expected->dim[k]);
    if (same) return b->infer->graph->failed;
    return cj_infer_fail(b->infer, type.dtype == expected->dtype ? CJ_ERR_SHAPE : CJ_ERR_TYPE,
                         "%s output %d is %s, but %s is %s", b->role, i,
                         type_string(b->infer->graph, &type), what,
                         type_string(b->infer->graph, expected));
}

static cj_status check_scalar(cj_infer *infer, int operand, cj_dtype dtype, const char *what)
{
    const cj_type *type = &infer->call->in[operand]->type;
    if (type->dtype == dtype && type->rank == 0) return CJ_OK;
    return cj_infer_fail(infer, type->dtype == dtype ? CJ_ERR_SHAPE : CJ_ERR_TYPE,
                         "%s is %s, expected %s[]", what, type_string(infer->graph, type),
                         cj_dtype_info(dtype)->name);
}

static cj_status set_output_count(cj_infer *infer, int n)
{
    if (n < 1) return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "it has no results");
    if (n > OUTPUTS_MAX)
        return cj_infer_fail(infer, CJ_ERR_LIMIT, "it has %d results, more than %d", n,
                             OUTPUTS_MAX);
    infer->call->n_out = n;
    return CJ_OK;
}

/* ---- if -------------------------------------------------------------------------------------- */

static cj_status meet_branches(cj_infer *infer, int k, const binding *b)
{
    const cj_type *inner[] = {&b[0].body->outputs.items[k].node->type,
                              &b[1].body->outputs.items[k].node->type};
    cj_type then = output_type(&b[0], k), other = output_type(&b[1], k);
    bool same = then.dtype == other.dtype && then.rank == other.rank;
    infer->out[k] = then;
    for (int i = 0; same && i < then.rank; i++) {
        if (is_found(&b[0], inner[0]->dim[i]) || is_found(&b[1], inner[1]->dim[i])) {
            const char *name = cj__arena_printf(&infer->graph->arena, "%s.%d.%d", symbol_of(infer),
                                                k, i);
            if (!name) return cj_infer_fail(infer, CJ_ERR_MEMORY, "out of memory");
            infer->out[k].dim[i] = cj__dim_dynamic(infer->graph, name);
            continue;
        }
        same = cj_infer_equal(infer, then.dim[i], other.dim[i]);
        if (then.dim[i] < 0) infer->out[k].dim[i] = other.dim[i];
    }
    if (same) return infer->graph->failed;
    return cj_infer_fail(infer, then.dtype == other.dtype ? CJ_ERR_SHAPE : CJ_ERR_TYPE,
                         "output %d is %s in then, %s in else", k, type_string(infer->graph, &then),
                         type_string(infer->graph, &other));
}

static cj_status infer_if(cj_infer *infer)
{
    cj_call *call = infer->call;
    const cj__body_attrs *a = call->attributes;
    cj_graph *bodies[] = {a->body, a->other};
    binding b[2];
    CJ__TRY(check_scalar(infer, 0, CJ_BOOL, "the condition"));
    for (int j = 0; j < 2; j++) {
        CJ__TRY(start_binding(&b[j], infer, bodies[j], j ? "else" : "then", call->n_in - 1));
        for (int round = 0; round < 2; round++)
            for (int i = 1; i < call->n_in; i++)
                CJ__TRY(bind_input(&b[j], i - 1, &call->in[i]->type, round, "capture", i - 1));
        CJ__TRY(bind_rest(&b[j]));
    }
    if (a->body->outputs.count != a->other->outputs.count)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "then has %d outputs, else has %d",
                             a->body->outputs.count, a->other->outputs.count);
    CJ__TRY(set_output_count(infer, a->body->outputs.count));
    for (int k = 0; k < call->n_out; k++) CJ__TRY(meet_branches(infer, k, b));
    return CJ_OK;
}

/* ---- loop and scan --------------------------------------------------------------------------- */

cj__steps cj__steps_of(const cj_call *call)
{
    const cj__body_attrs *a = call->attributes;
    bool loop = call->op == &cj_op_loop;
    cj__steps s = {.n_carried = (int)a->n_carried, .n_sequences = loop ? 0 : (int)a->n_sequences};
    s.first = loop ? a->has_limit + a->has_condition : 0;
    s.first_in = loop ? 2 : 0;
    s.first_out = loop ? 1 : 0;
    s.n_captures = call->n_in - s.first - s.n_carried - s.n_sequences;
    s.n_stacked = a->body ? a->body->outputs.count - s.first_out - s.n_carried : 0;
    return s;
}

/* What carried values and captures have in common: the whole operand is handed in. */
static cj_status bind_whole(binding *b, const cj__steps *s, bool expressions)
{
    cj_node **in = b->infer->call->in + s->first;
    int after = s->n_carried + s->n_sequences;
    for (int i = 0; i < s->n_carried; i++)
        CJ__TRY(bind_input(b, s->first_in + i, &in[i]->type, expressions, "carried value", i));
    for (int i = 0; i < s->n_captures; i++)
        CJ__TRY(bind_input(b, s->first_in + after + i, &in[after + i]->type, expressions, "capture",
                           i));
    return CJ_OK;
}

/* Types of the results, of which the stacked ones are `length` long. */
static cj_status give_results(const binding *b, const cj__steps *s, cj_dim length)
{
    cj_infer *infer = b->infer;
    CJ__TRY(set_output_count(infer, s->n_carried + s->n_stacked));
    for (int i = 0; i < s->n_carried; i++) {
        char what[40];
        cj__format(what, sizeof what, "carried value %d", i);
        infer->out[i] = infer->call->in[s->first + i]->type;
        CJ__TRY(check_output(b, s->first_out + i, &infer->out[i], what));
    }
    for (int i = s->n_carried; i < s->n_carried + s->n_stacked; i++) {
        cj_type type = output_type(b, s->first_out + i);
        if (type.rank == CJ_RANK_MAX)
            return cj_infer_fail(infer, CJ_ERR_SHAPE,
                                 "body output %d has rank %d and cannot be stacked",
                                 s->first_out + i, type.rank);
        for (int k = 0; k < type.rank; k++) CJ__TRY(name_found(b, s->first_out + i, k, &type));
        memmove(type.dim + 1, type.dim, (size_t)type.rank * sizeof *type.dim);
        type.dim[0] = length;
        type.rank++;
        infer->out[i] = type;
    }
    return infer->graph->failed;
}

static cj_status check_steps(cj_infer *infer, const cj__steps *s)
{
    const cj__body_attrs *a = infer->call->attributes;
    if (s->n_captures < 0)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT,
                             "%d carried values and %d sequences do not fit %d operands",
                             s->n_carried, s->n_sequences, infer->call->n_in);
    if (a->body && s->n_stacked < 0)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "body has %d outputs, expected at least %d",
                             a->body->outputs.count, s->first_out + s->n_carried);
    return CJ_OK;
}

/* The number of iterations when it is known now: a constant limit and nothing that stops earlier;
 * else -1. */
static int64_t known_trips(const cj_call *call)
{
    const cj__body_attrs *a = call->attributes;
    double limit, go_on;
    if (a->symbol || !a->has_limit || a->has_condition || !cj__is_constant(call->in[0], &limit) ||
        !(limit < 1e9) || !cj__is_constant(a->body->outputs.items[0].node, &go_on) || go_on == 0)
        return -1;
    return limit > 0 ? (int64_t)limit : 0;
}

static cj_status infer_loop(cj_infer *infer)
{
    const cj__body_attrs *a = infer->call->attributes;
    cj__steps s = cj__steps_of(infer->call);
    binding b;
    CJ__TRY(check_steps(infer, &s));
    if (a->has_limit) CJ__TRY(check_scalar(infer, 0, CJ_I64, "the limit"));
    if (a->has_condition) CJ__TRY(check_scalar(infer, a->has_limit, CJ_BOOL, "the condition"));
    CJ__TRY(start_binding(&b, infer, a->body, "body", s.first_in + s.n_carried + s.n_captures));
    for (int round = 0; round < 2; round++) {
        CJ__TRY(bind_input(&b, 0, &iteration_type, round, "the iteration", -1));
        CJ__TRY(bind_input(&b, 1, &condition_type, round, "the condition", -1));
        CJ__TRY(bind_whole(&b, &s, round));
    }
    CJ__TRY(bind_rest(&b));
    CJ__TRY(check_output(&b, 0, &condition_type, "the condition"));
    cj_dim length = s.n_stacked ? known_trips(infer->call) : 0;
    if (length < 0) length = cj__dim_dynamic(infer->graph, symbol_of(infer));
    return give_results(&b, &s, length);
}

static cj_status infer_scan(cj_infer *infer)
{
    cj_call *call = infer->call;
    const cj__body_attrs *a = call->attributes;
    cj__steps s = cj__steps_of(call);
    binding b;
    CJ__TRY(check_steps(infer, &s));
    if (s.n_sequences < 1)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "it has no sequence to walk along");
    CJ__TRY(start_binding(&b, infer, a->body, "body", s.n_carried + s.n_sequences + s.n_captures));
    cj_dim length = CJ_INFER;
    for (int round = 0; round < 2; round++) {
        CJ__TRY(bind_whole(&b, &s, round));
        for (int i = 0; i < s.n_sequences; i++) {
            cj_type element = call->in[s.n_carried + i]->type;
            if (element.rank < 1)
                return cj_infer_fail(infer, CJ_ERR_SHAPE, "sequence %d is a scalar", i);
            cj_dim own = element.dim[0];
            if (length != CJ_INFER && !cj_infer_equal(infer, length, own))
                return cj_infer_fail(infer, CJ_ERR_SHAPE,
                                     "sequence %d has %s elements, the ones before have %s", i,
                                     cj_dim_text(infer->graph, own),
                                     cj_dim_text(infer->graph, length));
            if (length == CJ_INFER || length < 0) length = own;
            element.rank--;
            memmove(element.dim, element.dim + 1, (size_t)element.rank * sizeof *element.dim);
            CJ__TRY(bind_input(&b, s.n_carried + i, &element, round, "an element of sequence", i));
        }
    }
    CJ__TRY(bind_rest(&b));
    return give_results(&b, &s, length);
}

/* ---- Builders -------------------------------------------------------------------------------- */

typedef struct part {
    cj_node *const *nodes;
    int n;
} part;

/* The parts one after another; NULL when the graph fails. */
static cj_node **join(cj_graph *g, const part *parts, int n_parts, int *n)
{
    *n = 0;
    for (int i = 0; i < n_parts; i++) {
        if (parts[i].n < 0 || (parts[i].n && !parts[i].nodes))
            return cj_graph_fail(g, CJ_ERR_ARGUMENT,
                                 "a list of operands is missing or has %d items", parts[i].n),
                   NULL;
        if (CJ__ADD_OVERFLOWS(*n, parts[i].n, n))
            return cj_graph_fail(g, CJ_ERR_LIMIT, "too many operands"), NULL;
    }
    cj_node **in = cj__arena_array(&g->arena, (size_t)*n + 1, sizeof *in), **at = in;
    if (!in) return cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory"), NULL;
    for (int i = 0; i < n_parts; i++)
        for (int k = 0; k < parts[i].n; k++) *at++ = parts[i].nodes[k];
    return in;
}

static cj_node *apply(const cj_op *op, const part *parts, int n_parts, const cj__body_attrs *a)
{
    cj_graph *g = NULL;
    for (int i = 0; i < n_parts && !g; i++)
        g = parts[i].nodes ? cj__graph_of(parts[i].nodes, parts[i].n) : NULL;
    if (!g || g->failed) return NULL;
    int n;
    cj_node **in = join(g, parts, n_parts, &n);
    return in ? cj_apply(g, op, in, n, a) : NULL;
}

cj_node *cj_if(cj_node *condition, cj_graph *then_body, cj_graph *else_body,
               cj_node *const *captures, int n)
{
    const part parts[] = {{&condition, 1}, {captures, n}};
    return apply(&cj_op_if, parts, 2, &(cj__body_attrs){.body = then_body, .other = else_body});
}

cj_node *cj_loop(cj_node *trip_limit, cj_node *condition, cj_node *const *carried, int n_carried,
                 cj_graph *body, cj_node *const *captures, int n_captures)
{
    const part parts[] = {{&trip_limit, trip_limit != NULL},
                          {&condition, condition != NULL},
                          {carried, n_carried},
                          {captures, n_captures}};
    return apply(&cj_op_loop, parts, 4,
                 &(cj__body_attrs){.body = body,
                                   .n_carried = n_carried,
                                   .has_limit = trip_limit != NULL,
                                   .has_condition = condition != NULL});
}

cj_node *cj_scan(cj_node *const *carried, int n_carried, cj_node *const *sequences, int n_sequences,
                 bool reverse, cj_graph *body, cj_node *const *captures, int n_captures)
{
    const part parts[] = {{carried, n_carried}, {sequences, n_sequences}, {captures, n_captures}};
    return apply(&cj_op_scan, parts, 3,
                 &(cj__body_attrs){.body = body,
                                   .n_carried = n_carried,
                                   .n_sequences = n_sequences,
                                   .reverse = reverse});
}

/* ---- Rows ------------------------------------------------------------------------------------ */

const cj_op cj_op_if = {.name = "if",
                        .doc = "the outputs of one of two bodies, as the condition says",
                        .inputs = -1,
                        .inputs_min = 1,
                        .outputs = -1,
                        .flags = CJ_OP_CONTROL | CJ_OP_DYNAMIC | CJ_OP_ANY_DTYPE,
                        .attributes_size = sizeof(cj__body_attrs),
                        .attributes = cj__body_options,
                        .infer = infer_if,
                        .grad = cj__if_grad,
                        .sample = CJ__SAMPLE(cj__if_sample),
                        .onnx = "If"};
const cj_op cj_op_loop = {.name = "loop",
                          .doc = "a body run until a limit or its condition ends it",
                          .inputs = -1,
                          .inputs_min = 0,
                          .outputs = -1,
                          .flags = CJ_OP_CONTROL | CJ_OP_DYNAMIC | CJ_OP_ANY_DTYPE,
                          .attributes_size = sizeof(cj__body_attrs),
                          .attributes = cj__body_options,
                          .infer = infer_loop,
                          .grad = cj__steps_grad,
                          .sample = CJ__SAMPLE(cj__loop_sample),
                          .onnx = "Loop"};
const cj_op cj_op_scan = {.name = "scan",
                          .doc = "a body run for every element along axis 0 of sequences",
                          .inputs = -1,
                          .inputs_min = 1,
                          .outputs = -1,
                          .flags = CJ_OP_CONTROL | CJ_OP_DYNAMIC | CJ_OP_ANY_DTYPE,
                          .attributes_size = sizeof(cj__body_attrs),
                          .attributes = cj__body_options,
                          .infer = infer_scan,
                          .grad = cj__steps_grad,
                          .sample = CJ__SAMPLE(cj__scan_sample),
                          .onnx = "Scan"};
