/* run.c: sessions: binding what is fed, running plans, committing updates.
 *
 *     bind      symbols from the fed shapes; derived sizes; agreements
 *     early     steps of each segment; outputs are copied out
 *     commit    if commit_if holds: late steps, then new values go to the store together
 *
 * Nothing is written to the store before everything that can fail has run. Running allocates
 * nothing once the plan for a binding is there (but for outputs the caller asks us to make). */
#include "runtime/runtime.h"

#include "base/float_mode.h"
#include "base/opts.h"
#include "tensor/tensor.h"

#include <string.h>

/* "f32[4, 3] "; the texts of messages that name two types. */
static void shape_text(cj__text *out, cj_dtype dtype, int rank, const int64_t *dims)
{
    cj__text_format(out, "%s[", cj_dtype_info(dtype)->name);
    for (int i = 0; i < rank; i++)
        cj__text_format(out, "%s%lld", i ? ", " : "", (long long)dims[i]);
    cj__text_char(out, ']');
}

static bool same_shape(const cj_tensor *t, cj_dtype dtype, int rank, const int64_t *dims)
{
    bool same = cj_tensor_dtype(t) == dtype && cj_tensor_rank(t) == rank;
    for (int i = 0; same && i < rank; i++) same = cj_tensor_shape(t)[i] == dims[i];
    return same;
}

/* "WHAT is f32[2], expected f32[3]" */
static cj_status wrong_tensor(cj_session *s, const char *what, const cj_tensor *t, cj_dtype dtype,
                              int rank, const int64_t *dims)
{
    cj__text text;
    cj__text_init(&text, &s->cj);
    cj__text_format(&text, "%s is ", what);
    shape_text(&text, cj_tensor_dtype(t), cj_tensor_rank(t), cj_tensor_shape(t));
    cj__text_add(&text, ", expected ");
    shape_text(&text, dtype, rank, dims);
    cj_status failed = cj_fail(&s->cj, cj_tensor_dtype(t) == dtype ? CJ_ERR_SHAPE : CJ_ERR_TYPE,
                               "%s", cj__text_string(&text));
    cj__text_release(&text);
    return failed;
}

/* ---- Life cycle ------------------------------------------------------------------------------ */

static cj_status find_backend(cj_session *s, const char *name)
{
    const cj__backend *const *b = cj__backends();
    while (name && *b && strcmp((*b)->name, name)) b++;
    if (name && !*b)
        return cj_fail(&s->cj, CJ_ERR_NOT_FOUND, "there is no backend '%s' in this build", name);
    s->backend = name ? *b : NULL;
    return CJ_OK;
}

/* Does the store have a variable of this type? */
static cj_status check_variable(cj_session *s, const char *name, const cj_type *type)
{
    int index = cj__store_index(s->store, name);
    if (index < 0)
        return cj_fail(&s->cj, CJ_ERR_NOT_FOUND,
                       s->store ? "the store has no variable '%s'"
                                : "the program has variable '%s', but no store was given",
                       name);
    const cj_tensor *t = cj_store_tensor_at(s->store, index);
    if (same_shape(t, type->dtype, type->rank, type->dim)) return CJ_OK;
    char what[256];
    cj__format(what, sizeof what, "the store's variable '%.200s'", name);
    return wrong_tensor(s, what, t, type->dtype, type->rank, type->dim);
}

static cj_status bind_variables(cj_session *s)
{
    const cj_graph *g = s->program->graph;
    for (int i = 0; i < g->variables.count; i++) {
        const cj_node *v = g->variables.items[i].node;
        CJ__TRY(check_variable(s, v->name, &v->type));
        s->store_index[v->call->id] = cj__store_index(s->store, v->name);
    }
    for (int i = 0; i < s->program->n_updates; i++)
        CJ__TRY(
            check_variable(s, s->program->updates[i].name, &s->program->updates[i].value->type));
    return CJ_OK;
}

static cj_status make_tables(cj_session *s)
{
    const cj_program *p = s->program;
    const cj_graph *g = p->graph;
    size_t calls = (size_t)g->n_calls + 1, segments = (size_t)p->n_segments;
    s->value_base = cj__arena_array(&s->arena, calls, sizeof *s->value_base);
    s->store_index = cj__arena_array(&s->arena, calls, sizeof *s->store_index);
    s->symbols = cj__arena_array(&s->arena, (size_t)g->dims.count + 1, sizeof *s->symbols);
    s->inputs = cj__arena_array(&s->arena, (size_t)p->n_inputs + 1, sizeof *s->inputs);
    s->active = cj__arena_array(&s->arena, segments, sizeof *s->active);
    s->workspace = cj__arena_array(&s->arena, segments, sizeof *s->workspace);
    s->workspace_bytes = cj__arena_array(&s->arena, segments, sizeof *s->workspace_bytes);
    s->plans = cj__arena_array(&s->arena, (size_t)s->plans_max, sizeof *s->plans);
    s->made_output = cj__arena_array(&s->arena, (size_t)p->n_outputs + 1, sizeof *s->made_output);
    if (!s->value_base || !s->store_index || !s->symbols || !s->inputs || !s->active ||
        !s->workspace || !s->workspace_bytes || !s->plans || !s->made_output)
        return CJ_ERR_MEMORY;
    for (int i = 0; i < g->n_calls; i++) {
        s->value_base[i] = s->n_values;
        s->n_values += g->calls[i]->n_out;
    }
    s->dynamic = cj__arena_array(&s->arena, (size_t)s->n_values + 1, sizeof *s->dynamic);
    return s->dynamic ? CJ_OK : CJ_ERR_MEMORY;
}

static void free_owned(cj__owned *object)
{
    cj_session_free((cj_session *)(void *)((char *)object - offsetof(cj_session, owned)));
}

/* Everything but backend, threads and owner. `cj` pays, and is the parent of the session's context.
 */
static cj_session *new_session(cj_context *cj, cj_program *program, cj_store *store, int plans)
{
    cj_session *s = cj__alloc(cj, sizeof *s);
    if (!s) return NULL;
    cj__context_init_child(&s->cj, cj);
    s->program = program;
    s->store = store;
    s->plans_max = plans > 0 ? plans : 8;
    if (s->plans_max < program->n_segments) s->plans_max = program->n_segments;
    s->work = &s->own_work;
    cj__arena_init(&s->arena, &s->cj);
    return s;
}

/* The session when all went well; else it is freed and its message goes to `cj`. */
static cj_session *finish_session(cj_session *s, cj_context *cj, cj_status failed)
{
    if (!failed) failed = make_tables(s);
    if (!failed) failed = bind_variables(s);
    if (!failed) return s;
    cj_fail(cj, failed, "%s", s->cj.status ? cj_message(&s->cj) : "session: out of memory");
    cj_session_free(s);
    return NULL;
}

cj_session *cj_session_new_opts(cj_program *program, cj_store *store, const cj_session_opts *opts)
{
    if (!program) return NULL;
    cj_session_opts o = {0};
    cj_context *cj = program->cj;
    if (cj__opts_take(cj, "session", &o, sizeof o, opts)) return NULL;
    cj_session *s = new_session(cj, program, store, o.plans);
    if (!s) return NULL;
    cj__own(cj, &s->owned, free_owned);
    s->profile = o.profile;
    s->own_work.max = o.work_max > 0 ? o.work_max : 0;
    int threads = o.threads > 0 ? o.threads : cj_threads(cj);
    cj_status failed = find_backend(s, o.backend);
    if (!failed && threads > 1 && !(s->team = cj__team_new(&s->cj, threads)))
        failed = CJ_ERR_MEMORY;
    return finish_session(s, cj, failed);
}

cj_session *cj__session_new_inside(cj_program *program, cj_session *outer)
{
    cj_session *s = new_session(&outer->cj, program, outer->store, 0);
    if (!s) return NULL;
    s->inside = true;
    s->work = outer->work;
    s->backend = outer->backend;
    s->team = outer->team;
    return finish_session(s, &outer->cj, CJ_OK);
}

cj_session *cj_session_new(cj_program *program, cj_store *store)
{
    return cj_session_new_opts(program, store, NULL);
}

static void drop_dynamic(cj_session *s)
{
    for (int i = 0; s->dynamic && i < s->n_values; i++) {
        cj_tensor_free(s->dynamic[i]);
        s->dynamic[i] = NULL;
    }
}

void cj_session_free(cj_session *s)
{
    if (!s) return;
    cj_context *cj = s->program->cj;
    cj__disown(&s->owned);
    drop_dynamic(s);
    for (int i = 0; i < s->n_plans; i++) cj__plan_free(s, s->plans[i]);
    for (int i = 0; s->workspace_bytes && i < s->program->n_segments; i++)
        cj__free_aligned(&s->cj, s->workspace[i], s->workspace_bytes[i]);
    if (!s->inside) cj__team_free(s->team);
    cj__arena_release(&s->arena);
    cj__context_release_child(&s->cj);
    cj__free(cj, s, sizeof *s);
}

const char *cj_session_message(const cj_session *s) { return cj_message(&s->cj); }

void cj_session_get_info(const cj_session *s, cj_session_info *info)
{
    *info = (cj_session_info){
        .plans = s->made, .committed = s->committed, .work = s->work->spent};
    for (int i = 0; i < s->program->n_segments; i++) info->arena_bytes += s->workspace_bytes[i];
    for (int i = 0; i < s->n_plans; i++)
        info->kept_bytes += s->plans[i]->held_bytes + cj__arena_bytes(&s->plans[i]->arena);
    for (int i = 0; i < s->program->n_segments && s->active[i]; i++)
        info->steps += s->active[i]->n_steps;
}

/* ---- Binding --------------------------------------------------------------------------------- */

static cj_status match_feeds(cj_session *s, const cj_feed *feeds, int n)
{
    const cj_program *p = s->program;
    for (int i = 0; i < p->n_inputs; i++) s->inputs[i] = NULL;
    if (n > 0 && !feeds)
        return cj_fail(&s->cj, CJ_ERR_ARGUMENT, "run: %d feeds, but the list of feeds is NULL", n);
    for (int f = 0; f < n; f++) {
        int i = 0;
        const cj_node *node = feeds[f].node;
        while (i < p->n_inputs && p->original_inputs[i] != node &&
               p->graph->inputs.items[i].node != node)
            i++;
        if (i == p->n_inputs)
            return cj_fail(&s->cj, CJ_ERR_ARGUMENT, "run: the node of feed %d is %s", f,
                           node ? "no input of this program"
                                : "NULL (is there an input of that name?)");
        if (!feeds[f].value)
            return cj_fail(&s->cj, CJ_ERR_ARGUMENT, "run: input '%s' is fed NULL",
                           p->graph->inputs.items[i].name);
        if (s->inputs[i])
            return cj_fail(&s->cj, CJ_ERR_ARGUMENT, "run: input '%s' is fed twice",
                           p->graph->inputs.items[i].name);
        s->inputs[i] = feeds[f].value;
    }
    for (int i = 0; i < p->n_inputs; i++)
        if (!s->inputs[i] && p->live[p->graph->inputs.items[i].node->call->id])
            return cj_fail(&s->cj, CJ_ERR_ARGUMENT, "run: input '%s' was not fed",
                           p->graph->inputs.items[i].name);
    return CJ_OK;
}

/* "input 'x': dimension 0 (batch) is 5, expected 4" */
static cj_status wrong_size(cj_session *s, int i, int axis, int64_t found)
{
    const cj_graph *g = s->program->graph;
    cj_dim d = g->inputs.items[i].node->type.dim[axis];
    int64_t expected = cj__dim_number(d, s->symbols);
    cj__text dim;
    cj__text_init(&dim, &s->cj);
    if (d < 0) cj__text_add(&dim, " (");
    if (d < 0) cj__dim_print(&dim, g, d);
    if (d < 0) cj__text_char(&dim, ')');
    cj_status failed =
        expected < 0
            ? cj_fail(&s->cj, CJ_ERR_SHAPE,
                      "input '%s': dimension %d%s needs a symbol that no other input binds",
                      g->inputs.items[i].name, axis, cj__text_string(&dim))
            : cj_fail(&s->cj, CJ_ERR_SHAPE, "input '%s': dimension %d%s is %lld, expected %lld",
                      g->inputs.items[i].name, axis, cj__text_string(&dim), (long long)found,
                      (long long)expected);
    cj__text_release(&dim);
    return failed;
}

/* Plain symbols take their value here; expressions are compared after all symbols are known. */
static cj_status bind_input(cj_session *s, int i, bool expressions)
{
    const cj_graph *g = s->program->graph;
    const cj_type *type = &g->inputs.items[i].node->type;
    const char *name = g->inputs.items[i].name;
    const cj_tensor *t = s->inputs[i];
    if (!t) return CJ_OK;
    if (cj_tensor_dtype(t) != type->dtype)
        return cj_fail(&s->cj, CJ_ERR_TYPE, "input '%s' has dtype %s, expected %s", name,
                       cj_dtype_info(cj_tensor_dtype(t))->name, cj_dtype_info(type->dtype)->name);
    if (cj__tensor_foreign(&s->cj, t))
        return cj_fail(&s->cj, CJ_ERR_ARGUMENT, "input '%s' has texts of another context", name);
    if (cj_tensor_rank(t) != type->rank)
        return cj_fail(&s->cj, CJ_ERR_SHAPE, "input '%s' has rank %d, expected %d", name,
                       cj_tensor_rank(t), type->rank);
    for (int k = 0; k < type->rank; k++) {
        int64_t size = cj_tensor_shape(t)[k];
        cj_dim d = type->dim[k];
        bool is_name = d < 0 && g->dims.items[-1 - d].kind == CJ__EXPR_NAME;
        if (d >= 0 && d != size) return wrong_size(s, i, k, size);
        if (is_name && s->symbols[-1 - d] < 0) s->symbols[-1 - d] = size;
        if (d < 0 && (is_name || expressions) && s->symbols[-1 - d] != size)
            return wrong_size(s, i, k, size);
    }
    return CJ_OK;
}

static cj_status check_agreements(cj_session *s)
{
    const cj_graph *g = s->program->graph;
    for (int i = 0; i < g->dims.n_agreements; i++) {
        const cj__agreement *a = &g->dims.agreements[i];
        int64_t x = cj__dim_number(a->a, s->symbols), y = cj__dim_number(a->b, s->symbols);
        if (x < 0 || y < 0 || x == y) continue;
        return cj_fail(&s->cj, CJ_ERR_SHAPE, "%s%s%s: the sizes %lld and %lld must be equal",
                       a->call && a->call->where ? a->call->where : "",
                       a->call && a->call->where ? ": " : "", a->call ? a->call->op->name : "run",
                       (long long)x, (long long)y);
    }
    return CJ_OK;
}

static cj_status bind(cj_session *s)
{
    const cj_graph *g = s->program->graph;
    for (int i = 0; i < g->dims.count; i++) s->symbols[i] = -1;
    for (int i = 0; i < s->program->n_inputs; i++) CJ__TRY(bind_input(s, i, false));
    CJ__TRY(cj__dims_evaluate(&s->cj, g, s->symbols));
    for (int i = 0; i < s->program->n_inputs; i++) CJ__TRY(bind_input(s, i, true));
    return check_agreements(s);
}

/* ---- Plans ----------------------------------------------------------------------------------- */

static cj__plan *find_plan(cj_session *s, int segment)
{
    size_t bytes = (size_t)s->program->graph->dims.count * sizeof *s->symbols;
    for (int i = 0; i < s->n_plans; i++)
        if (s->plans[i]->segment == segment &&
            (!bytes || !memcmp(s->plans[i]->symbols, s->symbols, bytes)))
            return s->plans[i];
    return NULL;
}

static bool is_active(const cj_session *s, const cj__plan *plan, int segment)
{
    for (int i = 0; i < segment; i++)
        if (s->active[i] == plan) return true;
    return false;
}

static cj_status activate(cj_session *s, int segment)
{
    cj__plan *plan = find_plan(s, segment);
    if (!plan) {
        if (!(plan = cj__plan_new(s, segment))) return s->cj.status;
        int at = s->n_plans;
        if (at < s->plans_max) {
            s->n_plans++;
        } else { /* the one longest unused goes */
            at = -1;
            for (int i = 0; i < s->n_plans; i++)
                if (!is_active(s, s->plans[i], segment) &&
                    (at < 0 || s->plans[i]->used < s->plans[at]->used))
                    at = i;
            CJ_ASSERT(at >= 0);
            for (int i = segment; i < s->program->n_segments; i++)
                if (s->active[i] == s->plans[at]) s->active[i] = NULL;
            cj__plan_free(s, s->plans[at]);
        }
        s->plans[at] = plan;
    }
    if (plan->arena_bytes > s->workspace_bytes[segment]) {
        /* The old one goes first: both at once might pass a memory limit that one of them keeps. */
        cj__free_aligned(&s->cj, s->workspace[segment], s->workspace_bytes[segment]);
        s->workspace_bytes[segment] = 0;
        s->workspace[segment] = cj__alloc_aligned(&s->cj, plan->arena_bytes);
        if (!s->workspace[segment]) return s->cj.status;
        s->workspace_bytes[segment] = plan->arena_bytes;
    }
    plan->used = ++s->clock;
    s->active[segment] = plan;
    return CJ_OK;
}

cj__value *cj__session_value(cj_session *s, const cj_node *node)
{
    return &s->active[s->program->segment[node->call->id]]->values[cj__value_of(s, node)];
}

/* Sets every value's address for this run. */
static void point(cj_session *s, cj__plan *plan)
{
    char *base = s->workspace[plan->segment];
    for (int i = 0; i < s->n_values; i++) {
        cj__value *v = &plan->values[i];
        switch (v->place) {
        case CJ__PLACE_ARENA: v->array.data = base + v->offset; break;
        case CJ__PLACE_HELD: v->array.data = (char *)plan->held + v->offset; break;
        case CJ__PLACE_INPUT:
            v->array.data = s->inputs[v->index] ? cj__tensor_data(s->inputs[v->index]) : NULL;
            break;
        case CJ__PLACE_STORE:
            v->array.data = cj__tensor_data(cj_store_tensor_at(s->store, v->index));
            break;
        default: break;
        }
    }
    const cj_graph *g = s->program->graph;
    for (int id = 0; plan->segment && id < g->n_calls; id++) {
        int segment = s->program->segment[id];
        if (segment > plan->segment || g->calls[id]->op->flags & CJ_OP_SOURCE) continue;
        for (int k = 0; k < g->calls[id]->n_out; k++) {
            int number = cj__value_of(s, &g->calls[id]->out[k]);
            cj__value *v = &plan->values[number];
            if (segment < plan->segment)
                v->array.data = s->active[segment]->values[number].array.data;
            else if (v->place == CJ__PLACE_EARLIER)
                v->array.data = plan->values[v->index].array.data; /* a view */
        }
    }
    for (int i = 0; i < plan->n_steps; i++)
        plan->steps[i].kernel.workspace = plan->steps[i].workspace == SIZE_MAX
                                              ? NULL
                                              : base + plan->steps[i].workspace;
}

/* ---- Running --------------------------------------------------------------------------------- */

/* The sizes a step has found out, from the tensors it made. */
static cj_status learn(cj_session *s, cj__plan *plan, const cj__step *step)
{
    for (int k = 0; k < step->call->n_out; k++) {
        const cj_node *node = &step->call->out[k];
        int number = cj__value_of(s, node);
        if (plan->values[number].place != CJ__PLACE_DYNAMIC) continue;
        const cj_tensor *t = s->dynamic[number];
        if (!t)
            return cj_fail(&s->cj, CJ_ERR_STATE, "%s: output %d was not made", step->call->op->name,
                           k);
        plan->values[number].array.data = cj__tensor_data(t);
        plan->values[number].array.count = cj_tensor_count(t);
        for (int i = 0; i < node->type.rank; i++) {
            plan->values[number].array.dim[i] = cj_tensor_shape(t)[i];
            cj_dim d = node->type.dim[i];
            if (d < 0 && s->symbols[-1 - d] < 0) s->symbols[-1 - d] = cj_tensor_shape(t)[i];
        }
        plan->values[number].bytes = cj_tensor_size_bytes(t);
    }
    return CJ_OK;
}

cj_status cj__spend(cj_session *s, double ns)
{
    struct cj__work *w = s->work;
    if (!w->max) return CJ_OK;
    if (ns > (double)w->left)
        return cj_fail(&s->cj, CJ_ERR_LIMIT, "more than the %lld microseconds that it may take",
                       (long long)(w->max / 1000));
    w->left -= (int64_t)ns;
    w->spent += (int64_t)ns;
    return CJ_OK;
}

static cj_status run_steps(cj_session *s, cj__plan *plan, int begin, int end)
{
    for (int i = begin; i < end; i++) {
        cj__step *step = &plan->steps[i];
        CJ__TRY(cj__check_cancel(&s->cj));
        if (s->work->max) CJ__TRY(cj__spend(s, CJ__STEP_NS + cj__kernel_ns(&step->kernel)));
        cj_status failed = step->run(&step->kernel);
        if (failed)
            return cj__prefix(&s->cj, failed, "%s%s%s", step->call->where ? step->call->where : "",
                              step->call->where ? ": " : "", step->call->op->name);
        if (s->program->finds_sizes) CJ__TRY(learn(s, plan, step));
    }
    return CJ_OK;
}

/* Grows whenever one of the state's entries that the plan takes for fixed may have changed. */
static uint64_t state_version(const cj_session *s, const cj__plan *plan)
{
    uint64_t version = 1;
    for (int i = 0; i < plan->n_fixed_entries; i++)
        version += cj_store_tensor_at(s->store, plan->fixed_entries[i])->buffer->writes;
    return version;
}

/* The steps before the commit; those that state alone decides only when it has changed. */
static cj_status run_early(cj_session *s, cj__plan *plan)
{
    uint64_t version = state_version(s, plan), last = plan->version;
    plan->version = version;
    if (version == last) return run_steps(s, plan, plan->n_fixed, plan->n_early);
    cj_status failed = run_steps(s, plan, 0, plan->n_early);
    if (failed) plan->version = 0;
    return failed;
}

/* The steps that never fail. A kernel of another library may all the same; then the reference does
 * its work. */
static void run_late(cj__plan *plan)
{
    for (int i = plan->n_early; i < plan->n_steps; i++) {
        cj__step *step = &plan->steps[i];
        cj_status failed = step->run(&step->kernel);
        if (failed && step->call->op->ref) failed = step->call->op->ref(&step->kernel);
        CJ_ASSERT(!failed);
        (void)failed;
    }
}

/* Checks the tensors given for outputs and makes those that are not. Nothing is written yet: what
 * the late steps read may lie in a tensor that is fed and given. When it fails, the made ones are
 * gone again. */
static cj_status make_outputs(cj_session *s, cj_tensor **outputs, int n)
{
    const cj_program *p = s->program;
    if (n < 0 || n > p->n_outputs)
        return cj_fail(&s->cj, CJ_ERR_ARGUMENT, "run: %d outputs wanted, the program has %d", n,
                       p->n_outputs);
    if (n && !outputs)
        return cj_fail(&s->cj, CJ_ERR_ARGUMENT,
                       "run: %d outputs wanted, but the list of outputs is NULL", n);
    for (int i = 0; i < n; i++) {
        const cj_array *a = &cj__session_value(s, p->outputs[i])->array;
        if (outputs[i] && !same_shape(outputs[i], a->dtype, a->rank, a->dim)) {
            char what[64];
            cj__format(what, sizeof what, "run: the tensor given for output %d", i);
            return wrong_tensor(s, what, outputs[i], a->dtype, a->rank, a->dim);
        }
        if (outputs[i] && cj__tensor_writable(outputs[i]))
            return cj_fail(&s->cj, CJ_ERR_MEMORY,
                           "run: the tensor given for output %d cannot be made writable", i);
        s->made_output[i] = !outputs[i];
    }
    for (int i = 0; i < n; i++) {
        const cj_array *a = &cj__session_value(s, p->outputs[i])->array;
        if (outputs[i]) continue;
        /* The message of a failure is the session's, the tensor outlives it. */
        if ((outputs[i] = cj_tensor_new(&s->cj, a->dtype, a->rank, a->dim))) {
            outputs[i]->cj = outputs[i]->buffer->cj = p->cj;
            continue;
        }
        for (int k = 0; k < i; k++) {
            if (!s->made_output[k]) continue;
            cj_tensor_free(outputs[k]);
            outputs[k] = NULL;
        }
        return cj__prefix(&s->cj, s->cj.status, "run: output %d", i);
    }
    return CJ_OK;
}

static void fill_outputs(cj_session *s, cj_tensor **outputs, int n)
{
    for (int i = 0; i < n; i++) {
        const cj__value *v = cj__session_value(s, s->program->outputs[i]);
        if (v->bytes) memmove(cj__tensor_data(outputs[i]), v->array.data, v->bytes);
    }
}

/* Entries that updates write to are memory of their own, no longer a window on a file. */
static cj_status make_state_writable(cj_session *s)
{
    const cj_program *p = s->program;
    for (int u = 0; u < p->n_updates; u++) {
        cj_tensor *t = cj_store_get(s->store, p->updates[u].name);
        if (t->buffer->read_only && cj__tensor_writable(t))
            return cj_fail(&s->cj, CJ_ERR_MEMORY, "run: variable '%s' cannot be made writable",
                           p->updates[u].name);
    }
    return CJ_OK;
}

static bool commits(cj_session *s)
{
    const cj_node *c = s->program->commit_if;
    return !c || *(const unsigned char *)cj__session_value(s, c)->array.data;
}

/* Updates from `first` on. Values that are state themselves are set aside first, so that w1 := w2,
 * w2 := w1 swaps. */
static void commit(cj_session *s, int first)
{
    const cj_program *p = s->program;
    for (int u = first; u < p->n_updates; u++)
        cj_store_get(s->store, p->updates[u].name)->buffer->writes++;
    for (int pass = 0; pass < 2; pass++) {
        for (int u = first; u < p->n_updates; u++) {
            int segment = p->segment[p->updates[u].value->call->id];
            cj__plan *plan = s->active[segment];
            const cj__value *v = cj__session_value(s, p->updates[u].value);
            bool staged = v->place == CJ__PLACE_STORE;
            if (plan->in_place[u] || !v->bytes || (pass == 0 && !staged)) continue;
            char *stage = (char *)s->workspace[segment] + plan->stage[u];
            void *to = cj__tensor_data(cj_store_get(s->store, p->updates[u].name));
            if (pass == 0) memcpy(stage, v->array.data, v->bytes);
            else memcpy(to, staged ? stage : v->array.data, v->bytes);
        }
    }
    cj__store_touch(s->store);
}

cj_status cj_session_plan(cj_session *s, const cj_feed *feeds, int n_feeds)
{
    if (!s) return CJ_ERR_ARGUMENT;
    CJ__TRY(match_feeds(s, feeds, n_feeds));
    CJ__TRY(bind(s));
    return activate(s, 0);
}

static cj_status run(cj_session *s, const cj_feed *feeds, int n_feeds, cj_tensor **outputs,
                     int n_outputs)
{
    const cj_program *p = s->program;
    s->committed = false;
    CJ__TRY(match_feeds(s, feeds, n_feeds));
    CJ__TRY(bind(s));
    CJ__TRY(make_state_writable(s));
    drop_dynamic(s);
    for (int segment = 0; segment < p->n_segments; segment++) {
        if (segment) {
            CJ__TRY(cj__dims_evaluate(&s->cj, p->graph, s->symbols));
            CJ__TRY(check_agreements(s));
        }
        CJ__TRY(activate(s, segment));
        point(s, s->active[segment]);
        CJ__TRY(run_early(s, s->active[segment]));
    }
    CJ__TRY(make_outputs(s, outputs, n_outputs));
    cj__plan *plan = s->active[0];
    s->committed = p->n_updates && commits(s);
    if (s->committed) run_late(plan);
    fill_outputs(s, outputs, n_outputs);
    int first = 0; /* of the updates that are committed */
    while (!s->committed && first < p->n_updates && !p->updates[first].always) first++;
    if (first < p->n_updates) commit(s, first);
    return CJ_OK;
}

cj_status cj_run(cj_session *s, const cj_feed *feeds, int n_feeds, cj_tensor **outputs,
                 int n_outputs)
{
    if (!s) return CJ_ERR_ARGUMENT;
    uint64_t mode = cj__float_mode();
    if (!s->inside) s->work->left = s->work->max;
    if (!s->backend || !s->backend->keeps_subnormals) cj__float_mode_flush();
    cj_status failed = run(s, feeds, n_feeds, outputs, n_outputs);
    cj__float_mode_set(mode);
    return failed;
}
