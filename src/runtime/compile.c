/* compile.c: from a graph to a program: the passes, and what is known before any shape is.
 *
 * The graph that the caller built stays as it is; each pass makes a new one. Afterwards each call
 * is late (needed by updates alone, so it can wait for commit_if) or early, and lies in the
 * segment after which its sizes are known. */
#include "runtime/runtime.h"

#include "base/opts.h"
#include "graph/pass/pass.h"

#include <string.h>

static cj_status wrong(cj_context *cj, const char *what, int i, const char *why)
{
    return cj_fail(cj, CJ_ERR_ARGUMENT, "compile: %s %d %s", what, i, why);
}

static cj_status check_node(cj_graph *g, const char *what, int i, const cj_node *node)
{
    if (!node) return wrong(g->cj, what, i, "is NULL");
    if (node == cj_zero) return wrong(g->cj, what, i, "is cj_zero: nothing depends on it");
    if (node->call->graph != g) return wrong(g->cj, what, i, "belongs to another graph");
    return CJ_OK;
}

static cj_status take_outputs(cj_program *p, cj_graph *g, const cj_compile_opts *o)
{
    int n = o->n_outputs;
    cj_node *const *list = o->output_list;
    if (!list) {
        for (n = 0; n < CJ_OUTPUTS_MAX && o->outputs[n];) n++;
        list = o->outputs;
    }
    if (!n && !o->updates) n = g->outputs.count, list = NULL;
    if (!n && !o->updates)
        return cj_fail(g->cj, CJ_ERR_ARGUMENT,
                       "compile: there are no outputs and no updates, and the graph has no outputs "
                       "of its own");
    p->outputs = cj__arena_array(&p->arena, (size_t)n + 1, sizeof *p->outputs);
    if (!p->outputs) return CJ_ERR_MEMORY;
    for (int i = 0; i < n; i++) {
        p->outputs[i] = list ? list[i] : g->outputs.items[i].node;
        CJ__TRY(check_node(g, "output", i, p->outputs[i]));
    }
    p->n_outputs = n;
    return CJ_OK;
}

static cj_status wrong_type(cj_graph *g, const cj_node *variable, const cj_node *value)
{
    cj__text text;
    cj__text_init(&text, g->cj);
    cj__text_format(&text, "compile: variable '%s' is ", variable->name);
    cj__type_text(&text, g, &variable->type);
    cj__text_add(&text, ", but its new value is ");
    cj__type_text(&text, g, &value->type);
    cj_status failed = cj_fail(g->cj, CJ_ERR_SHAPE, "%s", cj__text_string(&text));
    cj__text_release(&text);
    return failed;
}

static int count_updates(const cj_update *list)
{
    int n = 0;
    while (list && (list[n].variable || list[n].value)) n++;
    return n;
}

static cj_status take_updates(cj_program *p, cj_graph *g, const cj_compile_opts *o)
{
    int n_asked = count_updates(o->updates), n = n_asked + count_updates(o->always);
    p->updates = cj__arena_array(&p->arena, (size_t)n + 1, sizeof *p->updates);
    unsigned char *updated = cj__arena_alloc(&p->arena, (size_t)g->n_calls + 1); /* by call */
    if (!p->updates || !updated) return CJ_ERR_MEMORY;
    for (int i = 0; i < n; i++) {
        const cj_update *u = i < n_asked ? &o->updates[i] : &o->always[i - n_asked];
        cj_node *variable = u->variable, *value = u->value;
        CJ__TRY(check_node(g, "updated variable", i, variable));
        if (variable->call->op != &cj_op_variable)
            return wrong(g->cj, "updated variable", i, "is not a variable");
        if (value == cj_zero) value = cj_zero_as(value, variable);
        CJ__TRY(check_node(g, "update", i, value));
        const char *name = variable->name;
        if (!cj__type_equal(&variable->type, &value->type)) return wrong_type(g, variable, value);
        if (updated[variable->call->id]++)
            return cj_fail(g->cj, CJ_ERR_ARGUMENT, "compile: variable '%s' is updated twice", name);
        name = cj__arena_strdup(&p->arena, name);
        if (!name) return CJ_ERR_MEMORY;
        p->updates[p->n_updates++] = (cj__program_update){name, NULL, value, i >= n_asked};
    }
    p->commit_if = o->commit_if;
    if (!p->commit_if) return CJ_OK;
    CJ__TRY(check_node(g, "commit_if", 0, p->commit_if));
    if (p->commit_if->type.dtype != CJ_BOOL || p->commit_if->type.rank)
        return cj_fail(g->cj, CJ_ERR_TYPE,
                       "compile: commit_if must be a bool scalar, it is %s of rank %d",
                       cj_dtype_info(p->commit_if->type.dtype)->name, p->commit_if->type.rank);
    return CJ_OK;
}

/* The graph a pass has made takes the place of the one before. */
static cj_status replace(cj_program *p, cj_graph *original, const char *pass, cj_graph *next)
{
    if (!next) return cj_last_status(original->cj) ? cj_last_status(original->cj) : CJ_ERR_MEMORY;
    if (cj__debugs(p->cj, 2))
        cj__log(p->cj, CJ_LOG_DEBUG, "pass %s: %d calls -> %d", pass, p->graph->n_calls,
                next->n_calls);
    if (cj__debugs(p->cj, 3)) cj__graph_log(next);
    if (p->graph != original) cj_graph_free(p->graph);
    p->graph = next;
    return CJ_OK;
}

static cj_status check_precision(cj_program *p, cj_precision precision)
{
    return cj_precision_name(precision)
               ? CJ_OK
               : cj_fail(p->cj, CJ_ERR_ARGUMENT, "compile: precision=%d is none there is",
                         (int)precision);
}

static cj_status run_passes(cj_program *p, cj_graph *original, const cj_compile_opts *o)
{
    int n = p->n_outputs + p->n_updates + 1;
    cj_node ***roots = cj__arena_array(&p->arena, (size_t)n, sizeof *roots);
    if (!roots) return CJ_ERR_MEMORY;
    for (int i = 0; i < p->n_outputs; i++) roots[i] = &p->outputs[i];
    for (int i = 0; i < p->n_updates; i++) roots[p->n_outputs + i] = &p->updates[i].value;
    roots[n - 1] = &p->commit_if;
    static const cj__pass_fn passes[] = {cj__pass_simplify, cj__pass_fold, cj__pass_simplify,
                                         cj__pass_cse};
    static const char *const names[] = {"simplify", "fold", "simplify", "cse"};
    p->graph = original;
    CJ__TRY(replace(p, original, "mode",
                    cj__pass_run(p->graph, cj__pass_mode, o->training, NULL, roots, n)));
    for (size_t i = 0; i < CJ__COUNT(passes) && !o->no_passes; i++)
        CJ__TRY(replace(p, original, names[i],
                        cj__pass_run(p->graph, passes[i], o->training, NULL, roots, n)));
    if (!o->no_passes)
        CJ__TRY(replace(p, original, "sparse",
                        cj__pass_run(p->graph, cj__pass_sparse, o->training, NULL, roots, n)));
    if (!o->no_passes)
        CJ__TRY(replace(p, original, "epilogue",
                        cj__pass_epilogue(p->graph, p->n_updates > 0, o->training, roots, n)));
    if (o->precision != CJ_PRECISION_FLOAT32)
        CJ__TRY(replace(p, original, "mixed",
                        cj__pass_mixed(p->graph, o->precision, o->training, roots, n)));
    CJ__TRY(replace(p, original, "recompute",
                    cj__pass_recompute(p->graph, o->recompute, o->training, roots, n)));
    if (!o->no_passes)
        CJ__TRY(replace(p, original, "fuse",
                        cj__pass_fuse(p->graph, roots, n, p->n_outputs, p->n_updates,
                                      o->recompute != CJ_RECOMPUTE_NONE)));
    CJ__TRY(replace(p, original, "copy",
                    cj__pass_run(p->graph, cj__pass_copy, o->training, NULL, roots, n)));
#ifdef CJ_ASSERTS
    CJ__TRY(cj_graph_verify(p->graph));
#endif
    return CJ_OK;
}

/* The segment in which a dimension is known; -1: it holds a symbol nobody has defined yet. */
static int known_in(const int *defined, cj_dim d) { return d >= 0 ? 0 : defined[-1 - d]; }

static void settle_expressions(const cj_graph *g, int *defined)
{
    for (int i = 0; i < g->dims.count; i++) {
        const cj__expr *e = &g->dims.items[i];
        if (e->kind == CJ__EXPR_NAME) continue;
        defined[i] = 0;
        for (int k = 0; k < e->n && defined[i] >= 0; k++) {
            int part = known_in(defined, e->part[k]);
            defined[i] = part < 0 || part > defined[i] ? part : defined[i];
        }
    }
}

/* The last segment in which one of the sizes becomes known, but for those that call `id` (-1: none)
 * finds. */
static int last_known(const int *defined, const int *finder, int id, const int64_t *dims, int n)
{
    int last = 0;
    for (int i = 0; i < n; i++) {
        if (dims[i] == CJ_INFER || (dims[i] < 0 && id >= 0 && finder[-1 - dims[i]] == id)) continue;
        if (known_in(defined, dims[i]) > last) last = known_in(defined, dims[i]);
    }
    return last;
}

static int segment_of(const cj_program *p, const int *defined, const int *finder,
                      const cj_call *call)
{
    int s = 0;
    for (int k = 0; k < call->n_in; k++) {
        int from = p->segment[call->in[k]->call->id];
        int size = last_known(defined, finder, -1, call->in[k]->type.dim, call->in[k]->type.rank);
        s = from > s ? from : s;
        s = size > s ? size : s;
    }
    for (int k = 0; k < call->n_out; k++) {
        int size = last_known(defined, finder, call->id, call->out[k].type.dim,
                              call->out[k].type.rank);
        s = size > s ? size : s;
    }
    for (const cj_option *o = cj_option_row(call->op->attributes); o && o->type;
         o = cj_option_row(o + 1)) {
        if (o->type != CJ_OPTION_TYPE_DIMS) continue;
        const cj_ints *dims = (const cj_ints *)(const void *)((const char *)call->attributes +
                                                              o->offset);
        int size = last_known(defined, finder, -1, dims->v, dims->n);
        s = size > s ? size : s;
    }
    return s;
}

/* Names in the shapes of inputs are known from the start, the others when the first call with them
 * has run. */
static void define_inputs(const cj_graph *g, int *defined)
{
    for (int i = 0; i < g->dims.count; i++) defined[i] = g->dims.items[i].dynamic ? -1 : 0;
    for (int i = 0; i < g->inputs.count; i++) {
        const cj_type *type = &g->inputs.items[i].node->type;
        for (int k = 0; k < type->rank; k++)
            if (type->dim[k] < 0 && g->dims.items[-1 - type->dim[k]].kind == CJ__EXPR_NAME)
                defined[-1 - type->dim[k]] = 0;
    }
}

/* A pass may have put a call before the one that finds its size out, so this is repeated until it
 * stands. */
static cj_status cut_segments(cj_program *p)
{
    cj_graph *g = p->graph;
    p->segment = cj__arena_array(&p->arena, (size_t)g->n_calls + 1, sizeof *p->segment);
    int *defined = cj__arena_array(&p->arena, 2 * (size_t)g->dims.count + 1, sizeof *defined),
        *finder = defined + g->dims.count;
    if (!p->segment || !defined) return CJ_ERR_MEMORY;
    define_inputs(g, defined);
    for (int i = 0; i < g->dims.count; i++) finder[i] = -1;
    p->n_segments = 1;
    for (bool changed = true; changed;) {
        changed = false;
        settle_expressions(g, defined);
        for (int id = 0; id < g->n_calls; id++) {
            const cj_call *call = g->calls[id];
            int s = segment_of(p, defined, finder, call);
            changed = changed || s != p->segment[id];
            p->segment[id] = s;
            if (s >= p->n_segments) p->n_segments = s + 1;
            for (int k = 0; k < call->n_out && call->op->flags & CJ_OP_DYNAMIC; k++) {
                for (int i = 0; i < call->out[k].type.rank; i++) {
                    int e = (int)(-1 - call->out[k].type.dim[i]);
                    if (e < 0 || g->dims.items[e].kind != CJ__EXPR_NAME ||
                        (defined[e] >= 0 && finder[e] != id))
                        continue;
                    changed = changed || defined[e] != s + 1;
                    defined[e] = s + 1;
                    finder[e] = id;
                    p->finds_sizes = true;
                }
            }
        }
    }
    return CJ_OK;
}

/* A sum over rows whose indices an earlier look-up has found in range. */
static bool is_checked(const cj_program *p, const cj_call *call)
{
    for (int i = 0; call->op == &cj_op_scatter_add && i < call->id; i++)
        if (p->live[i] && cj__checks_indices(p->graph->calls[i], call)) return true;
    return false;
}

static bool never_fails(const cj_program *p, const cj_call *call)
{
    return call->op->flags & (CJ_OP_ELEMENTWISE | CJ_OP_VIEW | CJ_OP_NOFAIL) ||
           is_checked(p, call);
}

/* Late calls run after commit_if was asked, when some updates may be written already, so they never
 * fail, and whatever reads them is late itself. The last of them, new values and what only those
 * need, run as soon as they can (plan.c): then a gradient does not live until the end, and the new
 * value is written where the old one was. */
static cj_status mark_late(cj_program *p)
{
    cj_graph *g = p->graph;
    unsigned char *early = cj__arena_alloc(&p->arena, 2 * (size_t)g->n_calls + 2),
                  *inner = early + g->n_calls + 1; /* a late call that is not last needs it */
    p->late = cj__arena_alloc(&p->arena, (size_t)g->n_calls + 1);
    if (!p->late || !early) return CJ_ERR_MEMORY;
    if (p->finds_sizes) return CJ_OK;
    for (int i = 0; i < p->n_outputs; i++) early[p->outputs[i]->call->id] = 1;
    if (p->commit_if) early[p->commit_if->call->id] = 1;
    for (int i = 0; i < p->n_updates; i++)
        if (p->updates[i].always) early[p->updates[i].value->call->id] = 1;
    for (int i = g->n_calls - 1; i >= 0; i--) {
        const cj_call *call = g->calls[i];
        const bool light = call->op->flags & (CJ_OP_ELEMENTWISE | CJ_OP_VIEW) ||
                           call->op == &cj_op_fused || call->op->inplace;
        if (!p->live[i] && !(call->op->flags & CJ_OP_OPAQUE)) continue;
        if (!early[i] && never_fails(p, call))
            p->late[i] = light && !inner[i] ? CJ__LAST : CJ__LATE;
        for (int k = 0; k < call->n_in; k++) {
            if (p->late[i] == CJ__EARLY) early[call->in[k]->call->id] = 1;
            if (p->late[i] == CJ__LATE) inner[call->in[k]->call->id] = 1;
        }
    }
    return CJ_OK;
}

static cj_status map_inputs(cj_program *p, const cj_graph *original)
{
    p->n_inputs = p->graph->inputs.count;
    if (p->n_inputs != original->inputs.count)
        return cj_fail(p->cj, CJ_ERR_STATE, "compile: an input was lost");
    p->original_inputs = cj__arena_array(&p->arena, (size_t)p->n_inputs + 1,
                                         sizeof *p->original_inputs);
    if (!p->original_inputs) return CJ_ERR_MEMORY;
    for (int i = 0; i < p->n_inputs; i++) p->original_inputs[i] = original->inputs.items[i].node;
    for (int i = 0; i < p->n_updates; i++)
        p->updates[i].variable = cj_find_variable(p->graph, p->updates[i].name);
    /* An input that only other programs of this graph read need not be fed. */
    p->live = cj__arena_alloc(&p->arena, (size_t)p->graph->n_calls + 1);
    if (!p->live) return CJ_ERR_MEMORY;
    cj_node **needed = cj__arena_array(&p->arena, (size_t)(p->n_outputs + p->n_updates) + 1,
                                       sizeof *needed);
    if (!needed) return CJ_ERR_MEMORY;
    for (int i = 0; i < p->n_outputs; i++) needed[i] = p->outputs[i];
    for (int i = 0; i < p->n_updates; i++) needed[p->n_outputs + i] = p->updates[i].value;
    needed[p->n_outputs + p->n_updates] = p->commit_if;
    cj__graph_mark(p->graph, needed, p->n_outputs + p->n_updates + 1, p->live);
    cj__disown(&p->graph->owned); /* the program's alone from here on */
    return CJ_OK;
}

/* The bodies of calls, compiled once for all plans and sessions. */
static cj_status compile_bodies(cj_program *p, const cj_compile_opts *o)
{
    const cj_graph *g = p->graph;
    p->bodies = cj__arena_array(&p->arena, 2 * (size_t)g->n_calls + 1, sizeof *p->bodies);
    if (!p->bodies) return CJ_ERR_MEMORY;
    p->n_bodies = 2 * g->n_calls;
    for (int i = 0; i < g->n_calls; i++) {
        const cj__body_attrs *a = g->calls[i]->attributes;
        if (!(g->calls[i]->op->flags & CJ_OP_CONTROL) || !p->live[i]) continue;
        for (int which = 0; which < 2; which++) {
            cj_graph *body = which ? a->other : a->body;
            if (!body) continue;
            cj_program *inner = (cj_compile)(body, &(cj_compile_opts){.struct_size = sizeof *o,
                                                                      .training = o->training});
            p->bodies[2 * i + which] = inner;
            if (!inner) return cj_last_status(p->cj);
            cj__disown(&inner->owned);
        }
    }
    return CJ_OK;
}

static void free_owned(cj__owned *object)
{
    cj_program_free((cj_program *)(void *)((char *)object - offsetof(cj_program, owned)));
}

cj_program *(cj_compile)(cj_graph *g, const cj_compile_opts *opts)
{
    if (!g) return NULL;
    cj_compile_opts o = {0};
    if (cj__opts_take(g->cj, "compile", &o, sizeof o, opts)) return NULL;
    if (g->failed) {
        cj_fail(g->cj, g->failed, "%s", g->message ? g->message : cj_status_name(g->failed));
        return NULL;
    }
    cj_program *p = cj__alloc(g->cj, sizeof *p);
    if (!p) return NULL;
    p->cj = g->cj;
    cj__arena_init(&p->arena, g->cj);
    cj__own(g->cj, &p->owned, free_owned);
    cj_status failed;
    CJ__CHECK(failed = check_precision(p, o.precision));
    CJ__CHECK(failed = take_outputs(p, g, &o));
    CJ__CHECK(failed = take_updates(p, g, &o));
    CJ__CHECK(failed = run_passes(p, g, &o));
    CJ__CHECK(failed = cut_segments(p));
    CJ__CHECK(failed = map_inputs(p, g));
    CJ__CHECK(failed = mark_late(p));
    CJ__CHECK(failed = compile_bodies(p, &o));
out:
    if (!failed) return p;
    if (failed == CJ_ERR_MEMORY) cj_fail(g->cj, failed, "compile: out of memory");
    if (p->graph == g) p->graph = NULL;
    cj_program_free(p);
    return NULL;
}

void cj_program_free(cj_program *p)
{
    if (!p) return;
    cj__disown(&p->owned);
    for (int i = 0; i < p->n_bodies; i++) cj_program_free(p->bodies[i]);
    cj_graph_free(p->graph);
    cj__arena_release(&p->arena);
    cj__free(p->cj, p, sizeof *p);
}

const cj_node *cj_program_input(const cj_program *p, const char *name)
{
    return name ? cj__nodes_find(&p->graph->inputs, name) : NULL;
}

int cj_program_input_count(const cj_program *p) { return p->n_inputs; }
int cj_program_output_count(const cj_program *p) { return p->n_outputs; }
cj_graph *cj_program_graph(const cj_program *p) { return p->graph; }
const char *cj_program_input_name(const cj_program *p, int i)
{
    return i >= 0 && i < p->n_inputs ? p->graph->inputs.items[i].name : NULL;
}
const cj_type *cj_program_input_type(const cj_program *p, int i)
{
    return i >= 0 && i < p->n_inputs ? &p->graph->inputs.items[i].node->type : NULL;
}
