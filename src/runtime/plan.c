/* plan.c: for one binding of the symbols, which kernel runs each call and where each value lives.
 *
 * Values get places in one arena by liveness: each lives in a block from the step that makes it to
 * its last reader, and the largest block chooses its place first, the lowest one that is free
 * during its life. An output takes over the block of an operand that dies there when the kernel
 * allows it. Views share a place: the `root` of a value is the one whose place it uses.
 *
 *     early steps            outputs and commit_if are known here
 *     late steps             only for updates; may write straight into the store, each as soon as
 *                            what it overwrites is not needed any more
 */
#include "runtime/runtime.h"

#include <string.h>

#include "base/sort.h"

enum { ALIGNMENT = 64 };

typedef struct block {
    size_t offset, size;
    int first, last; /* the steps that need it */
    int owner;       /* the value that lies there last; -1: none does */
    size_t *to;      /* gets the offset, too; may be NULL */
} block;

typedef struct planner {
    cj_session *s;
    cj__plan *plan;
    const cj_program *p;
    int *root;      /* by value */
    int *last_use;  /* by root: the step that reads it last */
    block *blocks;
    const void **order; /* blocks, the largest first */
    block **placed;     /* by offset */
    int n_blocks;
    int *block_of;  /* by root: 1 + the number of its block; 0: none */
} planner;

int cj__value_of(const cj_session *s, const cj_node *node)
{
    return s->value_base[node->call->id] + node->output;
}

static cj__value *value_of(planner *pl, const cj_node *node)
{
    return &pl->plan->values[cj__value_of(pl->s, node)];
}
static int root_of(planner *pl, const cj_node *node) { return pl->root[cj__value_of(pl->s, node)]; }

/* ---- Shapes and places ----------------------------------------------------------------------- */

static cj_status shape_value(planner *pl, const cj_node *node)
{
    cj__value *v = value_of(pl, node);
    v->array.dtype = node->type.dtype;
    v->array.rank = node->type.rank;
    for (int i = 0; i < node->type.rank; i++) {
        v->array.dim[i] = cj__dim_number(node->type.dim[i], pl->plan->symbols);
        if (v->array.dim[i] < 0) {
            if (!(node->call->op->flags & (CJ_OP_DYNAMIC | CJ_OP_SOURCE)))
                return cj_fail(&pl->s->cj, CJ_ERR_SHAPE,
                               "%s: dimension %d of its result is nowhere to be learned from",
                               node->call->op->name, i);
            v->place = CJ__PLACE_DYNAMIC;
            v->array.count = 0;
            return CJ_OK;
        }
    }
    if (!cj__count(v->array.rank, v->array.dim, &v->array.count) ||
        !cj__bytes(v->array.count, cj_dtype_info(v->array.dtype)->bits, &v->bytes) ||
        v->bytes > CJ__BYTES_MAX)
        return cj_fail(&pl->s->cj, CJ_ERR_LIMIT, "%s: its result has too many elements",
                       node->call->op->name);
    return CJ_OK;
}

static void place_source(planner *pl, const cj_call *call)
{
    cj__value *v = value_of(pl, &call->out[0]);
    if (call->op == &cj_op_constant) {
        v->place = CJ__PLACE_CONSTANT;
        v->array.data = (void *)(uintptr_t)cj_tensor_map_read(
            ((const cj__constant_attrs *)call->attributes)->value);
        cj_tensor_unmap(((const cj__constant_attrs *)call->attributes)->value);
        v->fixed = true;
    } else if (call->op == &cj_op_variable) {
        v->place = CJ__PLACE_STORE;
        v->index = pl->s->store_index[call->id];
        v->fixed = true;
        for (int u = 0; u < pl->p->n_updates; u++)
            v->fixed = v->fixed && pl->p->updates[u].variable != &call->out[0];
        if (v->fixed) pl->plan->fixed_entries[pl->plan->n_fixed_entries++] = v->index;
    } else {
        v->place = CJ__PLACE_INPUT;
        for (v->index = 0; pl->p->graph->inputs.items[v->index].node != &call->out[0];) v->index++;
    }
}

static bool is_view(const cj_call *call)
{
    return call->op->flags & CJ_OP_VIEW && call->n_in >= 1 && call->n_out == 1 &&
           call->in[0]->type.dtype == call->out[0].type.dtype;
}

/* Is a call's result known from state alone that the program does not update? Such calls run once
 * for each version of the state. */
static bool is_fixed(planner *pl, const cj_call *call)
{
    const unsigned never = CJ_OP_CONTROL | CJ_OP_OPAQUE | CJ_OP_DYNAMIC;
    if (call->op->flags & never || pl->p->late[call->id] || !call->n_in) return false;
    for (int k = 0; k < call->n_in; k++)
        if (!value_of(pl, call->in[k])->fixed) return false;
    return true;
}

/* Every value of earlier segments that this one may read is known by shape; its data comes at run
 * time. */
static cj_status shape_values(planner *pl)
{
    const cj_graph *g = pl->p->graph;
    for (int id = 0; id < g->n_calls; id++) {
        const cj_call *call = g->calls[id];
        if (pl->p->segment[id] > pl->plan->segment) continue;
        for (int k = 0; k < call->n_out; k++) {
            int number = cj__value_of(pl->s, &call->out[k]);
            pl->root[number] = number;
            CJ__TRY(shape_value(pl, &call->out[k]));
        }
        if (call->op->flags & CJ_OP_SOURCE) {
            place_source(pl, call);
        } else if (pl->p->segment[id] < pl->plan->segment) {
            for (int k = 0; k < call->n_out; k++)
                value_of(pl, &call->out[k])->place = CJ__PLACE_EARLIER;
        } else {
            bool fixed = is_fixed(pl, call);
            for (int k = 0; k < call->n_out; k++) value_of(pl, &call->out[k])->fixed = fixed;
            if (is_view(call))
                pl->root[cj__value_of(pl->s, &call->out[0])] = root_of(pl, call->in[0]);
        }
    }
    return CJ_OK;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static const cj__kernel_row *find_row(const cj__kernel_row *rows, const cj_kernel *kernel)
{
    for (; rows->run; rows++)
        if ((!rows->op || rows->op == kernel->call->op) &&
            (!rows->supports || rows->supports(kernel)))
            return rows;
    return NULL;
}

static const cj__kernel_row *select_kernel(planner *pl, const cj_kernel *kernel)
{
    const cj__backend *const *backends = cj__backends();
    const cj__kernel_row *row = NULL;
    if (kernel->call->op->flags & CJ_OP_CONTROL) return find_row(cj__control_kernels, kernel);
    if (pl->s->backend) row = find_row(pl->s->backend->kernels, kernel);
    for (; !pl->s->backend && *backends && !row; backends++)
        row = find_row((*backends)->kernels, kernel);
    /* A composite without a reference kernel runs on whoever has it. */
    for (backends = cj__backends(); !row && !kernel->call->op->ref && *backends; backends++)
        row = find_row((*backends)->kernels, kernel);
    return row;
}

static cj_status make_step(planner *pl, const cj_call *call)
{
    cj__plan *plan = pl->plan;
    cj__step *step = &plan->steps[plan->n_steps++];
    const cj_array **in = cj__arena_array(&plan->arena, (size_t)call->n_in + 1, sizeof *in);
    cj_array **out = cj__arena_array(&plan->arena, (size_t)call->n_out, sizeof *out);
    bool *fixed = cj__arena_array(&plan->arena, (size_t)call->n_in + 1, sizeof *fixed);
    if (!in || !out || !fixed) return CJ_ERR_MEMORY;
    for (int k = 0; k < call->n_in; k++) {
        in[k] = &value_of(pl, call->in[k])->array;
        fixed[k] = value_of(pl, call->in[k])->fixed;
    }
    for (int k = 0; k < call->n_out; k++) out[k] = &value_of(pl, &call->out[k])->array;
    step->call = call;
    step->kernel = (cj_kernel){.call = call,
                               .cj = &pl->s->cj,
                               .team = pl->s->team,
                               .in = in,
                               .out = out,
                               .symbols = plan->symbols,
                               .fixed = fixed,
                               .version = &plan->version};
    const cj__kernel_row *row = select_kernel(pl, &step->kernel);
    if (row) {
        step->row = row;
        step->name = row->name;
        step->run = row->run;
    } else if (call->op->ref) {
        step->name = "reference";
        step->run = call->op->ref;
    } else {
        return cj_fail(&pl->s->cj, CJ_ERR_UNSUPPORTED, "no backend runs operator '%s'",
                       call->op->name);
    }
    if (pl->s->profile) {
        step->timed = step->run;
        step->run = cj__run_timed;
    }
    return CJ_OK;
}

static bool has_step(planner *pl, const cj_call *call)
{
    return pl->p->segment[call->id] == pl->plan->segment && !(call->op->flags & CJ_OP_SOURCE) &&
           !is_view(call) && (pl->p->live[call->id] || call->op->flags & CJ_OP_OPAQUE);
}

typedef struct order {
    const cj_call **calls; /* of steps, the last ones (CJ__LAST) not among them */
    int n, n_fixed, n_early;
    int *made;   /* by call: after how many of those steps its results are there */
    int *read;   /* by root: after how many of them nothing reads it any more */
    int *first, *end; /* by number of steps: 1 + the last ones that can run then */
    int *next;        /* by call: 1 + the next one */
} order;

/* When a last call can run: its operands are there, and the variables it is to overwrite are read
 * no more. */
static void place_last(planner *pl, order *o, const cj_call *call)
{
    int when = o->n_early;
    for (int k = 0; k < call->n_in; k++) {
        const int made = o->made[call->in[k]->call->id];
        when = made > when ? made : when;
    }
    for (int u = 0; u < pl->p->n_updates; u++) {
        const cj__program_update *update = &pl->p->updates[u];
        if (update->value->call != call || !update->variable) continue;
        const int read = o->read[root_of(pl, update->variable)];
        when = read > when ? read : when;
    }
    o->made[call->id] = when;
    *(o->first[when] ? &o->next[o->end[when] - 1] : &o->first[when]) = call->id + 1;
    o->end[when] = call->id + 1;
}

static cj_status find_order(planner *pl, order *o, cj__arena *scratch)
{
    const cj_graph *g = pl->p->graph;
    const size_t calls = (size_t)g->n_calls + 1;
    o->calls = cj__arena_array(scratch, calls, sizeof(void *));
    o->made = cj__arena_array(scratch, calls, sizeof *o->made);
    o->read = cj__arena_array(scratch, (size_t)pl->s->n_values + 1, sizeof *o->read);
    o->first = cj__arena_array(scratch, calls, sizeof *o->first);
    o->end = cj__arena_array(scratch, calls, sizeof *o->end);
    o->next = cj__arena_array(scratch, calls, sizeof *o->next);
    if (!o->calls || !o->made || !o->read || !o->first || !o->end || !o->next)
        return CJ_ERR_MEMORY;
    enum { FIXED, EARLY, LATE };
    for (int when = FIXED; when <= LATE; when++) {
        for (int id = 0; id < g->n_calls; id++) {
            const cj_call *call = g->calls[id];
            if (!has_step(pl, call) || pl->p->late[id] == CJ__LAST) continue;
            int wanted = pl->p->late[id]                      ? LATE
                         : value_of(pl, &call->out[0])->fixed ? FIXED
                                                              : EARLY;
            if (wanted != when) continue;
            o->calls[o->n++] = call;
            o->made[id] = o->n;
            for (int k = 0; k < call->n_in; k++) o->read[root_of(pl, call->in[k])] = o->n;
        }
        if (when == FIXED) o->n_fixed = o->n;
        if (when == EARLY) o->n_early = o->n;
    }
    for (int id = 0; id < g->n_calls; id++) {
        const cj_call *call = g->calls[id];
        if (is_view(call)) o->made[id] = o->made[call->in[0]->call->id];
        else if (has_step(pl, call) && pl->p->late[id] == CJ__LAST) place_last(pl, o, call);
    }
    return CJ_OK;
}

static cj_status make_step_named(planner *pl, const cj_call *call)
{
    cj_status failed = make_step(pl, call);
    if (!failed || failed == CJ_ERR_MEMORY || !call->where) return failed;
    return cj__prefix(&pl->s->cj, failed, "%s", call->where);
}

static cj_status make_steps(planner *pl, cj__arena *scratch)
{
    order o = {0};
    CJ__TRY(find_order(pl, &o, scratch));
    pl->plan->n_fixed = o.n_fixed;
    pl->plan->n_early = o.n_early;
    for (int i = 0; i <= o.n; i++) {
        for (int last = o.first[i]; last; last = o.next[last - 1])
            CJ__TRY(make_step_named(pl, pl->p->graph->calls[last - 1]));
        if (i < o.n) CJ__TRY(make_step_named(pl, o.calls[i]));
    }
    return CJ_OK;
}

/* About how long a step takes on one core, in nanoseconds: 100 GFLOP/s for products, 10 GB/s for
 * each sweep over memory. Only its order of magnitude matters. */
double cj__kernel_ns(const cj_kernel *k)
{
    double bytes = 0;
    for (int i = 0; i < k->call->n_in; i++)
        bytes += (double)k->in[i]->count * cj_dtype_info(k->in[i]->dtype)->bits / 8;
    for (int i = 0; i < k->call->n_out; i++)
        bytes += (double)k->out[i]->count * cj_dtype_info(k->out[i]->dtype)->bits / 8;
    double products = k->call->op->multiply_adds ? k->call->op->multiply_adds(k) : 0;
    return products > 0 ? 2 * products / 100 : bytes / 10;
}

/* Waking a team and waiting for it costs some microseconds a step: a plan whose steps take less
 * than STEP_NS on the average is faster on its own thread. The bits are the same either way. */
static void choose_threads(planner *pl)
{
    enum { STEP_NS = 8000 };
    double all = 0;
    for (int i = 0; i < pl->plan->n_steps; i++) all += cj__kernel_ns(&pl->plan->steps[i].kernel);
    if (all >= (double)STEP_NS * pl->plan->n_steps) return;
    for (int i = 0; i < pl->plan->n_steps; i++) pl->plan->steps[i].kernel.team = NULL;
}

/* After the threads are chosen: what a kernel prepares may depend on their number. */
static cj_status prepare_steps(planner *pl)
{
    for (int i = 0; i < pl->plan->n_steps; i++) {
        cj__step *step = &pl->plan->steps[i];
        if (!step->row || !step->row->prepare) continue;
        /* In bytes for now; place_values makes it an offset. */
        cj_status failed = step->row->prepare(&step->kernel, &pl->plan->arena,
                                              &step->kernel.prepared, &step->workspace);
        if (failed == CJ_ERR_MEMORY || (failed && !step->call->where)) return failed;
        if (failed) return cj__prefix(&pl->s->cj, failed, "%s", step->call->where);
    }
    return CJ_OK;
}

/* ---- Liveness -------------------------------------------------------------------------------- */

static void find_last_uses(planner *pl)
{
    const cj_program *p = pl->p;
    cj__plan *plan = pl->plan;
    const int never = plan->n_steps;
    for (int i = 0; i < plan->n_steps; i++)
        for (int k = 0; k < plan->steps[i].call->n_in; k++)
            pl->last_use[root_of(pl, plan->steps[i].call->in[k])] = i;
    for (int i = 0; i < p->n_outputs; i++)
        if (p->segment[p->outputs[i]->call->id] <= plan->segment)
            pl->last_use[root_of(pl, p->outputs[i])] = never;
    if (p->commit_if && p->segment[p->commit_if->call->id] <= plan->segment)
        pl->last_use[root_of(pl, p->commit_if)] = never;
    for (int i = 0; i < p->n_updates; i++)
        if (p->segment[p->updates[i].value->call->id] <= plan->segment)
            pl->last_use[root_of(pl, p->updates[i].value)] = never;
    if (p->n_segments > 1) /* later segments may read anything */
        for (int i = 0; i < pl->s->n_values; i++) pl->last_use[i] = never;
}

/* Is output k of the whole shape of its group? Others (sums) may be there before all is read. */
static bool is_whole(const cj_call *call, int k)
{
    const cj__fused_attrs *a = call->attributes;
    const cj_type *type = &call->out[k].type;
    return type->rank == a->dims.n &&
           (!type->rank || !memcmp(type->dim, a->dims.v, (size_t)type->rank * sizeof type->dim[0]));
}

/* May output k of a step be written over an operand while the kernel reads it? */
static bool overwrites(planner *pl, const cj_call *call, int k, int operand)
{
    const cj_array *out = &value_of(pl, &call->out[k])->array,
                   *in = &value_of(pl, call->in[operand])->array;
    if (out->count != in->count ||
        cj_dtype_info(out->dtype)->bits != cj_dtype_info(in->dtype)->bits)
        return false;
    if (call->op->flags & CJ_OP_ELEMENTWISE) return true;
    if (call->op == &cj_op_fused) return is_whole(call, k);
    if (!call->op->inplace || call->op->inplace(call, k) != operand) return false;
    for (int i = 0; i < call->n_in; i++)
        if (i != operand && root_of(pl, call->in[i]) == root_of(pl, call->in[operand]))
            return false;
    return true;
}

/* The late step that computes the value of update u, and can do it where the variable lives. */
static void place_updates(planner *pl)
{
    const cj_program *p = pl->p;
    cj__plan *plan = pl->plan;
    for (int u = 0; u < p->n_updates; u++) {
        const cj_node *value = p->updates[u].value, *variable = p->updates[u].variable;
        int root = cj__value_of(pl->s, value), step = plan->n_early;
        if (p->segment[value->call->id] != plan->segment || pl->root[root] != root) continue;
        while (step < plan->n_steps && plan->steps[step].call != value->call) step++;
        cj__value *v = &plan->values[root];
        if (step == plan->n_steps || v->place == CJ__PLACE_STORE) continue;
        if (variable) {
            int last = pl->last_use[root_of(pl, variable)];
            bool allowed = last < step;
            for (int k = 0; last == step && k < value->call->n_in; k++)
                if (root_of(pl, value->call->in[k]) == root_of(pl, variable))
                    allowed = overwrites(pl, value->call, value->output, k);
            if (!allowed) continue;
        }
        v->place = CJ__PLACE_STORE;
        v->index = cj__store_index(pl->s->store, p->updates[u].name);
        plan->in_place[u] = true;
    }
}

/* ---- Arena ----------------------------------------------------------------------------------- */

static block *add_block(planner *pl, size_t size, int first, int last)
{
    block *b = &pl->blocks[pl->n_blocks++];
    *b = (block){.size = cj__round_up(size ? size : 1, ALIGNMENT),
                 .first = first,
                 .last = last > first ? last : first,
                 .owner = -1};
    return b;
}

static int by_size(const void *a, const void *b)
{
    const block *x = a, *y = b;
    return x->size != y->size ? (x->size < y->size) - (x->size > y->size) : (x > y) - (x < y);
}

/* The largest first. */
static cj_status place_blocks(planner *pl)
{
    for (int i = 0; i < pl->n_blocks; i++) pl->order[i] = &pl->blocks[i];
    cj__sort(pl->order, (size_t)pl->n_blocks, by_size);
    for (int n = 0; n < pl->n_blocks; n++) {
        block *b = &pl->blocks[(const block *)pl->order[n] - pl->blocks];
        size_t end = 0;
        for (int i = 0; i < n; i++) { /* by offset */
            const block *other = pl->placed[i];
            if (other->last < b->first || other->first > b->last) continue;
            if (other->offset >= end + b->size) break;
            if (other->offset + other->size > end) end = other->offset + other->size;
        }
        b->offset = end;
        if (!cj__size_add(b->offset, b->size, &end) || end > (size_t)1 << 47)
            return cj_fail(&pl->s->cj, CJ_ERR_LIMIT,
                           "the plan needs more memory than can be addressed");
        if (end > pl->plan->arena_bytes) pl->plan->arena_bytes = end;
        if (b->to) *b->to = b->offset;
        int at = n;
        for (; at > 0 && pl->placed[at - 1]->offset > b->offset; at--)
            pl->placed[at] = pl->placed[at - 1];
        pl->placed[at] = b;
    }
    return CJ_OK;
}

/* Fixed values outlive the run, so they have memory of their own. */
static cj_status hold(planner *pl, cj__value *v)
{
    v->place = CJ__PLACE_HELD;
    v->offset = pl->plan->held_bytes;
    if (!cj__size_add(pl->plan->held_bytes, cj__round_up(v->bytes ? v->bytes : 1, ALIGNMENT),
                      &pl->plan->held_bytes))
        return cj_fail(&pl->s->cj, CJ_ERR_LIMIT,
                       "the plan needs more memory than can be addressed");
    return CJ_OK;
}

static cj_status place_output(planner *pl, int at, int k)
{
    const cj_call *call = pl->plan->steps[at].call;
    int number = cj__value_of(pl->s, &call->out[k]);
    cj__value *v = &pl->plan->values[number];
    if (v->place != CJ__PLACE_NONE) return CJ_OK; /* in the store, or dynamic */
    if (v->fixed) return hold(pl, v);
    v->place = CJ__PLACE_ARENA;
    block *b = NULL;
    for (int i = 0; i < call->n_in && !b; i++) {
        int root = root_of(pl, call->in[i]), number_of = pl->block_of[root];
        if (!number_of || pl->last_use[root] != at || pl->blocks[number_of - 1].owner != root ||
            !overwrites(pl, call, k, i))
            continue;
        b = &pl->blocks[number_of - 1];
        if (pl->last_use[number] > b->last) b->last = pl->last_use[number];
    }
    if (!b) b = add_block(pl, v->bytes, at, pl->last_use[number]);
    b->owner = number;
    pl->block_of[number] = (int)(b - pl->blocks) + 1;
    return CJ_OK;
}

static cj_status place_values(planner *pl)
{
    cj__plan *plan = pl->plan;
    for (int i = 0; i < plan->n_steps; i++) {
        cj__step *step = &plan->steps[i];
        for (int k = 0; k < step->call->n_out; k++) CJ__TRY(place_output(pl, i, k));
        if (step->workspace) add_block(pl, step->workspace, i, i)->to = &step->workspace;
        else step->workspace = SIZE_MAX;
    }
    for (int u = 0; u < pl->p->n_updates; u++) {
        const cj_node *value = pl->p->updates[u].value;
        if (pl->p->segment[value->call->id] != plan->segment || plan->in_place[u]) continue;
        if (plan->values[root_of(pl, value)].place == CJ__PLACE_STORE)
            add_block(pl, value_of(pl, value)->bytes, plan->n_steps, plan->n_steps)->to =
                &plan->stage[u];
    }
    CJ__TRY(place_blocks(pl));
    for (int i = 0; i < pl->s->n_values; i++)
        if (pl->block_of[i]) plan->values[i].offset = pl->blocks[pl->block_of[i] - 1].offset;
    return CJ_OK;
}

/* Views lie where their roots lie. */
static void place_views(planner *pl)
{
    for (int i = 0; i < pl->s->n_values; i++) {
        cj__value *v = &pl->plan->values[i], *root = &pl->plan->values[pl->root[i]];
        if (v == root) continue;
        v->place = root->place;
        v->offset = root->offset;
        v->index = root->place == CJ__PLACE_EARLIER || root->place == CJ__PLACE_DYNAMIC
                       ? pl->root[i]
                       : root->index;
        v->array.data = root->array.data;
    }
}

/* ---- Life cycle ------------------------------------------------------------------------------ */

static cj_status build(planner *pl, cj__arena *scratch)
{
    cj__plan *plan = pl->plan;
    cj_session *s = pl->s;
    size_t calls = (size_t)pl->p->graph->n_calls + 1, values = (size_t)s->n_values + 1,
           symbols = (size_t)pl->p->graph->dims.count + 1;
    size_t updates = (size_t)pl->p->n_updates + 1;
    plan->symbols = cj__arena_copy(&plan->arena, s->symbols, symbols * sizeof *s->symbols);
    plan->values = cj__arena_array(&plan->arena, values, sizeof *plan->values);
    plan->steps = cj__arena_array(&plan->arena, calls, sizeof *plan->steps);
    plan->in_place = cj__arena_array(&plan->arena, updates, sizeof *plan->in_place);
    plan->stage = cj__arena_array(&plan->arena, updates, sizeof *plan->stage);
    pl->root = cj__arena_array(scratch, values, sizeof *pl->root);
    pl->last_use = cj__arena_array(scratch, values, sizeof *pl->last_use);
    pl->block_of = cj__arena_array(scratch, values, sizeof *pl->block_of);
    const size_t blocks = values + calls + updates; /* workspaces, stages */
    pl->blocks = cj__arena_array(scratch, blocks, sizeof *pl->blocks);
    pl->order = cj__arena_array(scratch, blocks, sizeof *pl->order);
    pl->placed = cj__arena_array(scratch, blocks, sizeof *pl->placed);
    plan->fixed_entries = cj__arena_array(&plan->arena, (size_t)pl->p->graph->variables.count + 1,
                                          sizeof *plan->fixed_entries);
    if (!plan->symbols || !plan->values || !plan->steps || !plan->in_place || !plan->stage ||
        !plan->fixed_entries || !pl->root || !pl->last_use || !pl->block_of || !pl->blocks ||
        !pl->order || !pl->placed)
        return CJ_ERR_MEMORY;
    for (size_t i = 0; i < values; i++) pl->last_use[i] = -1, pl->root[i] = (int)i;
    CJ__TRY(shape_values(pl));
    CJ__TRY(make_steps(pl, scratch));
    choose_threads(pl);
    CJ__TRY(prepare_steps(pl));
    find_last_uses(pl);
    place_updates(pl);
    CJ__TRY(place_values(pl));
    if (plan->held_bytes && !(plan->held = cj__alloc_aligned(&s->cj, plan->held_bytes)))
        return CJ_ERR_MEMORY;
    place_views(pl);
    return CJ_OK;
}

cj__plan *cj__plan_new(cj_session *s, int segment)
{
    cj__plan *plan = cj__alloc(&s->cj, sizeof *plan);
    if (!plan) return NULL;
    plan->segment = segment;
    cj__arena_init(&plan->arena, &s->cj);
    cj__arena scratch;
    cj__arena_init(&scratch, &s->cj);
    planner pl = {.s = s, .plan = plan, .p = s->program};
    cj_status failed = build(&pl, &scratch);
    cj__arena_release(&scratch);
    if (!failed) {
        s->made++;
        if (cj__debugs(&s->cj, 1)) cj__plan_log(s, plan);
        return plan;
    }
    if (failed == CJ_ERR_MEMORY && s->cj.status != CJ_ERR_LIMIT)
        cj_fail(&s->cj, failed, "plan: out of memory");
    cj__plan_free(s, plan);
    return NULL;
}

void cj__plan_free(cj_session *s, cj__plan *plan)
{
    if (!plan) return;
    for (int i = 0; i < plan->n_steps; i++) {
        const cj__step *step = &plan->steps[i];
        if (step->row && step->row->release && step->kernel.prepared)
            step->row->release(step->kernel.prepared);
    }
    if (plan->held) cj__free_aligned(&s->cj, plan->held, plan->held_bytes);
    cj__arena_release(&plan->arena);
    cj__free(&s->cj, plan, sizeof *plan);
}
