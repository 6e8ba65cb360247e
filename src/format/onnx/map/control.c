/* control.c: If, Loop and Scan, and fused groups, which are written as what is in them.
 *
 * Bodies of ours take what they use from outside as operands; ONNX's bodies see the names around
 * them. Writing, a capture is the outer name. Reading, the names that a body uses and does not make
 * become its captures, in order of first use. */
#include <string.h>

#include "format/onnx/import.h"
#include "format/onnx/tensor.h"
#include "tensor/tensor.h"
#include "graph/ops/control.h"

enum { OPERANDS_MAX = 256 };

/* ---- Writing --------------------------------------------------------------------------------- */

static const char **operands(cj__onnx_writer *w)
{
    const char **in = cj__arena_array(w->arena, (size_t)w->call->n_in + 1, sizeof(*in));
    if (!in) cj__onnx_refuse(w, CJ_ERR_MEMORY, "out of memory");
    for (int i = 0; in && i < w->call->n_in; i++) in[i] = cj__onnx_in(w, i);
    return w->failed ? NULL : in;
}

static const char *body_name(cj__onnx_writer *w, const char *role)
{
    const char *name = cj__names_unique(&w->nodes, role);
    if (!name) cj__onnx_refuse(w, CJ_ERR_MEMORY, "out of memory");
    return name;
}

static void write_if(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj__body_attrs *a = w->call->attributes;
    const char **in = operands(w), *then = body_name(w, "then"), *other = body_name(w, "else");
    (void)row;
    if (w->failed) return;
    cj__onnx_graph *then_body = cj__onnx_write_body(w, then, a->body, 0, in + 1);
    cj__onnx_graph *else_body = cj__onnx_write_body(w, other, a->other, 0, in + 1);
    if (w->failed) return;
    cj__onnx_last_list(w, "If", 1, in);
    cj__onnx_put_graph(w, "else_branch", else_body);
    cj__onnx_put_graph(w, "then_branch", then_body);
}

static void write_loop(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj__body_attrs *a = w->call->attributes;
    cj__steps s = cj__steps_of(w->call);
    const char **in = operands(w), *name = body_name(w, "body");
    const char **to = cj__arena_array(w->arena, (size_t)s.n_carried + 3, sizeof(*to));
    (void)row;
    if (!to) cj__onnx_refuse(w, CJ_ERR_MEMORY, "out of memory");
    if (w->failed) return;
    to[0] = a->has_limit ? in[0] : "";
    to[1] = a->has_condition ? in[a->has_limit] : "";
    for (int i = 0; i < s.n_carried; i++) to[2 + i] = in[s.first + i];
    cj__onnx_graph *body = cj__onnx_write_body(w, name, a->body, 2 + s.n_carried,
                                               in + s.first + s.n_carried);
    cj__onnx_last_list(w, "Loop", 2 + (size_t)s.n_carried, to);
    cj__onnx_put_graph(w, "body", body);
}

static void write_scan(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj__body_attrs *a = w->call->attributes;
    cj__steps s = cj__steps_of(w->call);
    const char **in = operands(w), *name = body_name(w, "body");
    int n = s.n_carried + s.n_sequences;
    int64_t backward[64];
    (void)row;
    if (w->failed) return;
    for (int i = 0; i < 64; i++) backward[i] = 1;
    cj__onnx_graph *body = cj__onnx_write_body(w, name, a->body, n, in + n);
    cj__onnx_last_list(w, "Scan", (size_t)n, in);
    cj__onnx_put_graph(w, "body", body);
    cj__onnx_put_int(w, "num_scan_inputs", s.n_sequences);
    if (!a->reverse) return;
    cj__onnx_put_ints(w, "scan_input_directions", s.n_sequences < 64 ? s.n_sequences : 64,
                      backward);
    if (s.n_stacked)
        cj__onnx_put_ints(w, "scan_output_directions", s.n_stacked < 64 ? s.n_stacked : 64,
                          backward);
}

static void write_fused(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const char **in = operands(w),
               **out = cj__arena_array(w->arena, (size_t)w->call->n_out, sizeof(*out));
    const cj_call *call = w->call;
    (void)row;
    if (!out) cj__onnx_refuse(w, CJ_ERR_MEMORY, "out of memory");
    if (w->failed) return;
    cj__onnx_write_inline(w, ((const cj__fused_attrs *)call->attributes)->body, in, out);
    w->scope->names[call->id] = out;
}

/* ---- Free names ------------------------------------------------------------------------------ */

/* Names are copied once, into the arena of the list; what is made on the way lives in scratch. */
static bool add_free(cj__onnx_reader *r, cj__arena *arena, cj__onnx_free *list, const char *name)
{
    if (!list->seen.arena) cj__names_init(&list->seen, arena);
    if (cj__names_get(&list->seen, name)) return true;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 16;
        const char **names = cj__arena_array(arena, capacity, sizeof(*names));
        if (!names) return cj__onnx_no_memory(r), false;
        if (list->count) memcpy(names, list->names, list->count * sizeof(*names));
        list->names = names;
        list->capacity = capacity;
    }
    const char *copy = cj__arena_strdup(arena, name);
    if (!copy || !cj__names_put(&list->seen, copy, list)) return cj__onnx_no_memory(r), false;
    list->names[list->count++] = copy;
    return true;
}

/* The name of a slice in scratch: used when `out` is given, else made. */
static bool meet(cj__onnx_reader *r, cj__arena *scratch, cj__names *made, cj__slice slice,
                 cj__arena *arena, cj__onnx_free *out)
{
    char *name;
    if (!slice.size) return true;
    if (cj__slice_string(scratch, slice, "a name", &name))
        return cj__onnx_fail(r, CJ_ERR_DATA, "a name is no text"), false;
    if (out) return cj__names_get(made, name) || add_free(r, arena, out, name);
    return cj__names_put(made, name, name) || (cj__onnx_no_memory(r), false);
}

static bool free_names(cj__onnx_reader *r, cj__arena *arena, cj__arena *scratch,
                       const cj__onnx_graph *graph, cj__onnx_free *out);

static bool node_names(cj__onnx_reader *r, cj__arena *arena, cj__arena *scratch, cj__names *made,
                       const cj__onnx_node *node, cj__onnx_free *out)
{
    bool done = true;
    for (size_t k = 0; k < node->input.count && done; k++)
        done = meet(r, scratch, made, node->input.items[k], arena, out);
    for (size_t k = 0; k < node->attribute.count && done; k++) {
        const cj__onnx_attribute *a = &node->attribute.items[k];
        cj__onnx_free inner = {0};
        cj__arena own;
        if (a->type != CJ__ONNX_ATTR_GRAPH || !a->as.g) continue;
        cj__arena_init(&own, r->cj);
        done = free_names(r, scratch, &own, a->as.g, &inner);
        cj__arena_release(&own);
        for (size_t n = 0; n < inner.count && done; n++)
            done = cj__names_get(made, inner.names[n]) || add_free(r, arena, out, inner.names[n]);
    }
    for (size_t k = 0; k < node->output.count && done; k++)
        done = meet(r, scratch, made, node->output.items[k], NULL, NULL);
    return done;
}

/* Recursion is as deep as the parser let the file be. */
static bool free_names(cj__onnx_reader *r, cj__arena *arena, cj__arena *scratch,
                       const cj__onnx_graph *graph, cj__onnx_free *out)
{
    cj__names made;
    bool done = true;
    cj__names_init(&made, scratch);
    for (size_t i = 0; i < graph->input.count && done; i++)
        done = meet(r, scratch, &made, graph->input.items[i].name, NULL, NULL);
    for (size_t i = 0; i < graph->initializer.count && done; i++)
        done = meet(r, scratch, &made, graph->initializer.items[i].name, NULL, NULL);
    for (size_t i = 0; i < graph->node.count && done; i++)
        done = node_names(r, arena, scratch, &made, &graph->node.items[i], out);
    for (size_t i = 0; i < graph->output.count && done; i++)
        done = meet(r, scratch, &made, graph->output.items[i].name, arena, out);
    return done;
}

bool cj__onnx_free_names(cj__onnx_reader *r, const cj__onnx_graph *graph, cj__onnx_free *out)
{
    cj__arena scratch;
    cj__arena_init(&scratch, r->cj);
    bool done = free_names(r, r->arena, &scratch, graph, out);
    cj__arena_release(&scratch);
    return done;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static cj_node *scalar(cj__onnx_reader *r, size_t i, cj_dtype dtype)
{
    return cj__onnx_has(r, i) ? cj_cast(cj_reshape(cj__onnx_node_in(r, i), 0, NULL), dtype) : NULL;
}

static void set_all(cj__onnx_reader *r, cj_node *y)
{
    for (size_t k = 0; y && k < r->node->output.count; k++)
        cj__onnx_set(r, k, cj_node_output(y, (int)k));
}

/* A branch that is known to be taken. false after a failure, too. */
static void take_branch(cj__onnx_reader *r, const cj__onnx_graph *branch)
{
    size_t n = r->node->output.count;
    cj__onnx_source **outputs = cj__arena_array(r->arena, branch->output.count + 1,
                                                sizeof(*outputs));
    if (!outputs) cj__onnx_no_memory(r);
    if (n > branch->output.count)
        cj__onnx_fail(r, CJ_ERR_DATA, "%zu outputs, and %zu of its branch", n,
                      branch->output.count);
    if (!cj__onnx_read_in_place(r, branch, NULL, 0, outputs)) return;
    for (size_t k = 0; k < n; k++) cj__onnx_set_source(r, k, outputs[k]);
}

static void read_if(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj__onnx_graph *then = cj__onnx_get_graph(r, "then_branch"),
                   *other = cj__onnx_get_graph(r, "else_branch");
    cj__onnx_free names = {0};
    double chosen;
    int n = 0;
    (void)row;
    if (r->failed) return;
    if (cj__onnx_number_of(r, cj__onnx_source_in(r, 0), &chosen)) {
        take_branch(r, chosen != 0 ? then : other);
        return;
    }
    if (!cj__onnx_free_names(r, then, &names) || !cj__onnx_free_names(r, other, &names)) return;
    cj_node *condition = scalar(r, 0, CJ_BOOL);
    cj_node **captured = cj__arena_array(r->arena, names.count + 1, sizeof(*captured));
    if (!condition || !captured) {
        cj__onnx_fail(r, captured ? CJ_ERR_DATA : CJ_ERR_MEMORY, "it has no condition");
        return;
    }
    cj_graph *a = cj__onnx_read_body(r, then, NULL, 0, &names, captured, &n);
    cj_graph *b = a ? cj__onnx_read_body(r, other, NULL, 0, &names, captured, &n) : NULL;
    cj_node *y = b ? cj_if(condition, a, b, captured, n) : NULL;
    set_all(r, cj__onnx_took(cj__onnx_took(y, b), a));
}

/* ---- Loop ------------------------------------------------------------------------------------ */

/* A loop of ours has a body of fixed types. Where a step changes a shape, or carries a sequence,
 * and the number of steps can be known, they are read one after the other. */
typedef struct loop {
    cj__onnx_graph *graph;
    int n_carried, n_stacked;
    cj_node *limit, *condition; /* or NULL */
} loop;

/* Can the body be one of ours? Its results must have the types that it begins with. */
static bool fits(cj__onnx_reader *r, const loop *l, const cj_graph *body, const cj_type *types)
{
    if (!r->n_feeds) return true;
    for (int i = 0; i < l->n_carried && i + 1 < body->outputs.count; i++) {
        const cj_type *t = &body->outputs.items[i + 1].node->type;
        if (t->dtype != types[i].dtype || t->rank != types[i].rank) return false;
        for (int k = 0; k < t->rank; k++)
            if (t->dim[k] != types[i].dim[k]) return false;
    }
    return true;
}

/* What goes into a loop of ours, beside the limit and the condition. */
typedef struct operands_of_loop {
    cj_node *carried[OPERANDS_MAX], **captured;
    cj_type types[OPERANDS_MAX + 2];
    cj__onnx_free names;
    int n; /* captured */
} operands_of_loop;

static cj_graph *read_steps(cj__onnx_reader *r, const loop *l, operands_of_loop *o)
{
    return cj__onnx_read_body(r, l->graph, o->types, l->n_carried + 2, &o->names, o->captured,
                              &o->n);
}

/* How many steps are made is known only when the loop has run, and with it the size of what it
 * stacks; where values are known it runs now, and is a loop of so many steps. */
static cj_node *counted(cj__onnx_reader *r, const loop *l, operands_of_loop *o, cj_node *y)
{
    cj_node *stack = y && l->n_stacked && r->n_feeds ? cj_node_output(y, l->n_carried) : NULL;
    if (!stack || stack->type.dim[0] >= 0) return y;
    const cj_tensor *found = cj__onnx_compute(r, cj__onnx_new_source(r, stack));
    /* Too long to be run while reading: the size stays open, which most that follows can bear. */
    if (r->failed == CJ_ERR_LIMIT) r->failed = CJ_OK;
    cj_graph *body = found ? read_steps(r, l, o) : NULL;
    if (!body) return r->failed ? NULL : y;
    body->outputs.items[0].node = cj_scalar(body, CJ_BOOL, 1);
    y = cj_loop(cj_scalar(r->g, CJ_I64, (double)found->shape[0]), NULL, o->carried, l->n_carried,
                body, o->captured, o->n);
    return cj__onnx_took(y, body);
}

/* As a loop. false, without a failure, when it does not fit one and values are known. */
static bool read_as_loop(cj__onnx_reader *r, const loop *l)
{
    const cj__onnx_node *node = r->node;
    operands_of_loop o = {.types = {{.dtype = CJ_I64}, {.dtype = CJ_BOOL}}};
    if (!cj__onnx_free_names(r, l->graph, &o.names)) return true;
    o.captured = cj__arena_array(r->arena, o.names.count + 1, sizeof(*o.captured));
    if (!o.captured) return cj__onnx_no_memory(r), true;
    for (int i = 0; i < l->n_carried; i++) {
        if (!(o.carried[i] = cj__onnx_node_in(r, (size_t)i + 2))) return true;
        o.types[i + 2] = o.carried[i]->type;
    }
    cj_graph *body = read_steps(r, l, &o);
    if (!body || !fits(r, l, body, o.types + 2)) {
        bool again = r->n_feeds && (body || r->failed != CJ_ERR_MEMORY);
        cj_graph_free(body);
        if (again) r->failed = CJ_OK, r->node = node;
        return !again;
    }
    cj_node *condition = l->condition;
    if (!l->limit && !condition && !l->n_carried &&
        !o.n) /* an operand must say whose graph it is */
        condition = cj_scalar(r->g, CJ_BOOL, 1);
    cj_node *y = cj_loop(l->limit, condition, o.carried, l->n_carried, body, o.captured, o.n);
    set_all(r, counted(r, l, &o, cj__onnx_took(y, body)));
    return true;
}

/* Of the steps so far, the values that are stacked. */
typedef struct stacked {
    cj_node **at;
    int64_t n, capacity;
} stacked;

static bool push(cj__onnx_reader *r, stacked *s, cj_node *node)
{
    if (!node) return false;
    if (s->n == s->capacity) {
        int64_t capacity = s->capacity ? 2 * s->capacity : 16;
        cj_node **grown = cj__arena_array(r->arena, (size_t)capacity, sizeof(*grown));
        if (!grown) return cj__onnx_no_memory(r), false;
        if (s->n) memcpy(grown, s->at, (size_t)s->n * sizeof(*grown));
        s->at = grown;
        s->capacity = capacity;
    }
    s->at[s->n++] = node;
    return true;
}

/* No step was made: as the body's output says, with sizes of 1 where it says none. */
static cj_node *no_steps(cj__onnx_reader *r, const cj__onnx_value *output)
{
    const cj__onnx_value_type *type = output->type;
    const cj__onnx_tensor_type *t = type && type->which == CJ__ONNX_TYPE_TENSOR ? type->as.tensor
                                                                                : NULL;
    cj_dim dims[CJ_RANK_MAX] = {0};
    int rank = t && t->shape && t->shape->dim.count < CJ_RANK_MAX ? (int)t->shape->dim.count : -1;
    cj_dtype dtype = t ? cj__onnx_type_dtype(t->elem_type) : CJ_DTYPE_NONE;
    if (rank < 0 || dtype == CJ_DTYPE_NONE)
        return cj__onnx_fail(r, CJ_ERR_UNSUPPORTED,
                             "it makes no step, and the type of what it would stack is not told"),
               NULL;
    for (int i = 0; i < rank; i++) {
        const cj__onnx_dim *d = &t->shape->dim.items[i];
        dims[i + 1] = d->which == CJ__ONNX_DIM_VALUE && d->as.value >= 0 ? d->as.value : 1;
    }
    return cj_broadcast_to(cj_scalar(r->g, dtype, 0), rank + 1, dims);
}

enum { STEPS_MAX = 100000 };

static void unroll(cj__onnx_reader *r, const loop *l)
{
    size_t n_in = (size_t)l->n_carried + 2, n_out = (size_t)l->n_carried + (size_t)l->n_stacked;
    cj__onnx_source **in = cj__arena_array(r->arena, n_in, sizeof(*in)),
                    **out = cj__arena_array(r->arena, n_out + 1, sizeof(*out));
    stacked *stacks = cj__arena_array(r->arena, (size_t)l->n_stacked + 1, sizeof(*stacks));
    double limit = STEPS_MAX + 1.0, go_on = 1;
    if (!in || !out || !stacks) cj__onnx_no_memory(r);
    if (r->failed) return;
    if (l->limit) cj__onnx_number_in(r, 0, "the number of steps", &limit);
    if (l->limit && !r->failed)
        cj__onnx_grant_steps(r, limit, l->graph->node.count, l->graph->node.items);
    if (l->condition && !r->failed) cj__onnx_number_in(r, 1, "the condition", &go_on);
    for (int i = 0; i < l->n_carried && !r->failed; i++)
        in[i + 2] = cj__onnx_source_in(r, (size_t)i + 2);
    for (int64_t step = 0; !r->failed && (double)step < limit && go_on != 0; step++) {
        if (step == STEPS_MAX) {
            cj__onnx_fail(r, CJ_ERR_LIMIT, "more than %d steps of different shapes", STEPS_MAX);
            return;
        }
        cj__onnx_sizes *at = cj__onnx_new_sizes(r, 0, 1, CJ_I64);
        in[0] = cj__onnx_new_source(r, NULL);
        in[1] = cj__onnx_new_source(r, cj_scalar(r->g, CJ_BOOL, 1));
        if (!at || !in[0] || !in[1]) return;
        at->at[0].v = step;
        in[0]->sizes = at;
        if (!cj__onnx_read_in_place(r, l->graph, in, n_in, out)) return;
        if (!cj__onnx_number_of(r, out[0], &go_on))
            cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "whether it goes on is known only when running");
        for (int i = 0; i < l->n_carried; i++) in[i + 2] = out[i + 1];
        for (int k = 0; k < l->n_stacked && !r->failed; k++)
            if (!push(r, &stacks[k], cj__onnx_node_of(r, out[1 + l->n_carried + k]))) return;
        if (!r->failed) r->failed = cj__check_cancel(r->cj);
    }
    for (int i = 0; i < l->n_carried && !r->failed; i++)
        cj__onnx_set_source(r, (size_t)i, in[i + 2]);
    for (int k = 0; k < l->n_stacked && !r->failed; k++) {
        const stacked *s = &stacks[k];
        if (!cj__onnx_wants(r, (size_t)(l->n_carried + k))) continue;
        cj__onnx_set(r, (size_t)(l->n_carried + k),
                     s->n ? cj_stack(s->at, (int)s->n, 0)
                          : no_steps(r, &l->graph->output.items[1 + l->n_carried + k]));
    }
}

static void read_loop(cj__onnx_reader *r, const cj__onnx_row *row)
{
    loop l = {.graph = cj__onnx_get_graph(r, "body"),
              .n_carried = (int)r->node->input.count - 2};
    bool lists = false;
    (void)row;
    if (r->failed) return;
    if (l.n_carried < 0) l.n_carried = 0;
    l.n_stacked = (int)l.graph->output.count - 1 - l.n_carried;
    if (l.n_carried > OPERANDS_MAX)
        cj__onnx_fail(r, CJ_ERR_LIMIT, "%d operands", l.n_carried);
    else if (l.n_stacked < 0 || r->node->output.count > l.graph->output.count)
        cj__onnx_fail(r, CJ_ERR_DATA, "%zu outputs and %d carried values, and %zu of its body",
                      r->node->output.count, l.n_carried, l.graph->output.count);
    for (int i = 0; i < l.n_carried && !r->failed; i++) {
        const cj__onnx_source *source = cj__onnx_source_in(r, (size_t)i + 2);
        lists = lists || (source && (source->list || source->absent));
    }
    double always;
    l.limit = scalar(r, 0, CJ_I64);
    l.condition = scalar(r, 1, CJ_BOOL);
    if (r->failed) return;
    if (l.condition && cj__is_constant(l.condition, &always) && always != 0) l.condition = NULL;
    if (lists || !read_as_loop(r, &l)) unroll(r, &l);
}

/* x with its axis in front, or (back) the other way. */
static cj_node *axis_first(cj_node *x, int64_t axis, bool back)
{
    int64_t p[CJ_RANK_MAX];
    if (!x || axis == 0) return x;
    int at = cj__axis(x, "Scan", axis, x->type.rank);
    for (int i = 0; at >= 0 && i < x->type.rank; i++)
        p[i] = back ? (i == at ? 0 : i < at ? i + 1 : i) : i == 0 ? at : i <= at ? i - 1 : i;
    return at < 0 ? NULL : cj_transpose(x, p);
}

static int list_of(cj__onnx_reader *r, const char *name, int64_t out[OPERANDS_MAX])
{
    memset(out, 0, OPERANDS_MAX * sizeof(*out));
    return cj__onnx_get_ints(r, name, OPERANDS_MAX, out);
}

static void read_scan(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj__onnx_graph *graph = cj__onnx_get_graph(r, "body");
    int64_t sequences = cj__onnx_get_int(r, "num_scan_inputs", 0), in_axes[OPERANDS_MAX],
            out_axes[OPERANDS_MAX];
    int64_t backward[OPERANDS_MAX], prepend[OPERANDS_MAX];
    cj__onnx_free names = {0};
    int n = 0, n_in = (int)r->node->input.count, carried = n_in - (int)sequences;
    cj_node *in[OPERANDS_MAX];
    cj_type types[OPERANDS_MAX];
    (void)row;
    if (r->opset < 9) {
        cj__onnx_read_batch_scan(r);
        return;
    }
    list_of(r, "scan_input_axes", in_axes);
    list_of(r, "scan_output_axes", out_axes);
    list_of(r, "scan_input_directions", backward);
    list_of(r, "scan_output_directions", prepend);
    if (r->failed || !cj__onnx_free_names(r, graph, &names)) return;
    if (n_in > OPERANDS_MAX || sequences < 1 || sequences > n_in ||
        r->node->output.count > OPERANDS_MAX) {
        cj__onnx_fail(r, CJ_ERR_DATA, "%d operands, of which %lld are sequences", n_in,
                      (long long)sequences);
        return;
    }
    for (int i = 0; i < n_in; i++) {
        in[i] = cj__onnx_node_in(r, (size_t)i);
        if (i >= carried) in[i] = axis_first(in[i], in_axes[i - carried], false);
        if (i >= carried && backward[i - carried]) in[i] = cj_reverse(in[i], 0);
        if (!in[i]) return;
        types[i] = in[i]->type;
        if (i < carried) continue;
        if (types[i].rank < 1) {
            cj__onnx_fail(r, CJ_ERR_SHAPE, "sequence %d is a scalar", i - carried);
            return;
        }
        types[i].rank--;
        memmove(types[i].dim, types[i].dim + 1, (size_t)types[i].rank * sizeof(cj_dim));
    }
    cj_node **captured = cj__arena_array(r->arena, names.count + 1, sizeof(*captured));
    if (!captured) {
        cj__onnx_fail(r, CJ_ERR_MEMORY, "out of memory");
        return;
    }
    cj_graph *body = cj__onnx_read_body(r, graph, types, n_in, &names, captured, &n);
    cj_node *y = body ? cj_scan(in, carried, in + carried, (int)sequences, false, body, captured, n)
                      : NULL;
    cj__onnx_took(y, body);
    for (int k = 0; y && k < (int)r->node->output.count; k++) {
        cj_node *out = cj_node_output(y, k);
        if (k >= carried && prepend[k - carried]) out = cj_reverse(out, 0);
        if (k >= carried) out = axis_first(out, out_axes[k - carried], true);
        cj__onnx_set(r, (size_t)k, out);
    }
}

const cj__onnx_row cj__onnx_rows_control[] = {
    {.onnx = "If", .op = &cj_op_if, .write = write_if, .read = read_if},
    {.onnx = "Loop", .op = &cj_op_loop, .write = write_loop, .read = read_loop},
    {.onnx = "Scan", .op = &cj_op_scan, .write = write_scan, .read = read_scan},
    {.op = &cj_op_fused, .write = write_fused},
    {0},
};
